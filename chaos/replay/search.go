package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"lockstep/fsm"
	"lockstep/pagetrie"
)

// Finding is the first difference that a replay met, as far as it could be taken apart.
type Finding struct {
	// Round is the first round whose root is known to differ, Since the newest one before it that is known not to.
	Round fsm.RoundNumber `json:"round"`
	Since fsm.RoundNumber `json:"since"`
	// Got is the replay's root, Want what Says says it should be.
	Got  Root   `json:"got"`
	Want Root   `json:"want"`
	Says string `json:"says"`
	// Cause is the message that makes the difference, nil if none was found.
	Cause *Cause `json:"cause,omitempty"`
	// Difference is between the states of A and B, nil if there was nothing to compare with.
	A          string           `json:"a,omitempty"`
	B          string           `json:"b,omitempty"`
	Difference *StateDifference `json:"difference,omitempty"`
	// Notes say what the search tried and could not find.
	Notes []string `json:"notes,omitempty"`
}

// Cause is a message.
type Cause struct {
	Round    fsm.RoundNumber `json:"round"`
	Index    uint64          `json:"index"`
	Position int             `json:"position"` // in the round, from 0
	Messages int             `json:"messages"` // of the round
	Kind     string          `json:"kind"`
	Canister string          `json:"canister"`
	Method   string          `json:"method"`
	Session  fsm.SessionID   `json:"session"`
	Sequence uint64          `json:"sequence"`
	ArgBytes int             `json:"arg_bytes"`
	Arg      []byte          `json:"arg"` // its beginning, at most 48 bytes
}

// argTold bounds what is told of an argument.
const argTold = 48

// suspect is a difference before the search.
type suspect struct {
	round, since fsm.RoundNumber
	got, want    pagetrie.Hash
	says         string
	checkpoint   *checkpointInfo // that says so, nil if none
	roots        map[fsm.RoundNumber]pagetrie.Hash
}

// pagesShown bounds the pages of a canister whose bytes a Finding holds.
const pagesShown = 16

// search is the search for the cause of a difference.
type search struct {
	*source
	ctx     context.Context
	scratch string
	suspect *suspect
	finding *Finding
	// before is the newest state that is certainly right.
	before start
}

// search takes a difference apart.
func (s *source) search(ctx context.Context, from start, found *suspect) (*Finding, error) {
	scratch, err := os.MkdirTemp(s.cfg.Scratch, "lockstep-replay-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the search: %w", err)
	}
	x := &search{source: s, ctx: ctx, scratch: scratch, suspect: found, finding: &Finding{
		Round: found.round, Since: found.since, Got: Root(found.got), Want: Root(found.want), Says: found.says}}
	err = x.run(from)
	return x.finding, errors.Join(err, os.RemoveAll(scratch))
}

func (x *search) run(from start) error {
	before, err := x.advance(from)
	if err != nil || before == nil {
		return err
	}
	x.before = *before
	index, round, err := x.duel()
	if err != nil {
		return err
	}
	if round != nil {
		return x.takeApart(index, round)
	}
	x.notef("%s repeats the replay's roots", x.plainly)
	return x.compareWithCheckpoint()
}

func (x *search) notef(format string, args ...any) {
	x.finding.Notes = append(x.finding.Notes, fmt.Sprintf(format, args...))
}

// advance repeats the log up to the round before which all is right, and keeps that state as a checkpoint. nil without an
// error: the second time gave another root than the first, which is a finding in itself.
func (x *search) advance(from start) (*start, error) {
	m, err := x.subject(from)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	at := from.index
	for m.Latest().Round < x.suspect.since {
		index, round, err := x.next(at, m)
		if err != nil {
			return nil, err
		}
		at = index
		if own := x.suspect.roots[m.Latest().Round]; own != m.Latest().Root {
			x.notef("repeated once more, round %d (%d messages) has root %s and not %s: the machine is not deterministic", m.Latest().Round, len(round.Messages), m.Latest().Root, own)
			return nil, nil
		}
	}
	switch {
	case m.Latest().Round == 0:
		return &start{name: FromEmpty, index: at}, nil
	case at == from.index:
		return &from, nil
	}
	return x.keep(m, from, "before", at)
}

// next applies the next round after a log index.
func (x *search) next(after uint64, machines ...Machine) (uint64, *fsm.Round, error) {
	for index := after + 1; index <= x.last; index++ {
		if x.ctx.Err() != nil {
			return 0, nil, context.Cause(x.ctx)
		}
		round, err := x.round(index)
		if err != nil {
			return 0, nil, err
		}
		if round == nil {
			continue
		}
		for _, m := range machines {
			if _, err := apply(m, index, round); err != nil {
				return 0, nil, err
			}
		}
		return index, round, nil
	}
	return 0, nil, fmt.Errorf("the log ends at entry %d", x.last)
}

// keep writes the state of a machine that began behind a start as a checkpoint folder.
func (x *search) keep(m Machine, behind start, name string, index uint64) (*start, error) {
	dir := filepath.Join(x.scratch, name)
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	path, err := writeBehind(m, behind.path, dir, index)
	if err != nil {
		return nil, fmt.Errorf("keep the state after round %d: %w", m.Latest().Round, err)
	}
	return &start{name: path, path: path, index: index, kept: true}, nil
}

// duel repeats the suspicious rounds on the subject and on the plain machine side by side, up to the first round after which
// they differ; nil if they do not.
func (x *search) duel() (uint64, *fsm.Round, error) {
	subject, err := x.subject(x.before)
	if err != nil {
		return 0, nil, err
	}
	defer subject.Close()
	plain, err := x.reference(x.before)
	if err != nil {
		return 0, nil, err
	}
	defer plain.Close()
	at := x.before.index
	for subject.Latest().Round < x.suspect.round {
		index, round, err := x.next(at, subject, plain)
		if err != nil {
			return 0, nil, err
		}
		if subject.Latest().Root != plain.Latest().Root {
			return index, round, x.advancePlain(index)
		}
		at = index
	}
	return 0, nil, nil
}

// advancePlain moves x.before to the state before the round at an index, on the plain machine.
func (x *search) advancePlain(index uint64) error {
	if next, err := x.following(x.before.index, index-1); err != nil || next == 0 {
		return err
	}
	before, err := x.stateAt(x.reference, index-1)
	if err == nil {
		x.before = *before
	}
	return err
}

// takeApart finds the message of a round after which the subject and the plain machine differ, and how.
func (x *search) takeApart(index uint64, round *fsm.Round) error {
	differs := func(messages int) (bool, error) {
		roots := [2]pagetrie.Hash{}
		for i, open := range []opener{x.subject, x.reference} {
			m, err := x.part(open, index, round, messages)
			if err != nil {
				return false, err
			}
			roots[i] = m.Latest().Root
			if err := m.Close(); err != nil {
				return false, err
			}
		}
		return roots[0] != roots[1], nil
	}
	k, err := firstTrue(len(round.Messages), differs)
	if err != nil {
		return err
	}
	x.finding.Cause = x.cause(index, round, k-1)
	var states [2]start
	for i, open := range []opener{x.subject, x.reference} {
		m, err := x.part(open, index, round, k)
		if err != nil {
			return err
		}
		kept, err := x.keep(m, x.before, []string{"subject", "plain"}[i], index)
		if err = errors.Join(err, m.Close()); err != nil {
			return err
		}
		states[i] = *kept
	}
	x.finding.A, x.finding.B = "the replay", x.plainly
	x.finding.Difference, err = compareStarts(states[0], states[1], pagesShown)
	return err
}

// part makes a machine that has applied the first messages of a round after x.before.
func (x *search) part(open opener, index uint64, round *fsm.Round, messages int) (Machine, error) {
	m, err := open(x.before)
	if err != nil {
		return nil, err
	}
	some := *round
	some.Messages = round.Messages[:messages]
	if _, err := apply(m, index, &some); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// firstTrue finds a number k of messages with which something is so that is not so with k-1; 0 if it is so without any.
//
// Preconditions: it is so with all n.
func firstTrue(n int, so func(int) (bool, error)) (int, error) {
	if without, err := so(0); err != nil || without {
		return 0, err
	}
	low, high := 0, n // not so with low, so with high
	for high-low > 1 {
		middle := (low + high) / 2
		is, err := so(middle)
		if err != nil {
			return 0, err
		}
		if is {
			high = middle
		} else {
			low = middle
		}
	}
	return high, nil
}

// cause describes a message; nil for a round that differs before its first.
func (x *search) cause(index uint64, round *fsm.Round, position int) *Cause {
	if position < 0 {
		x.notef("the round differs even without its messages")
		return nil
	}
	c := newCause(&round.Messages[position])
	c.Round, c.Index, c.Position, c.Messages = x.roundAt(index), index, position, len(round.Messages)
	return c
}

func newCause(m *fsm.Message) *Cause {
	return &Cause{Kind: m.Kind.String(), Canister: m.Canister, Method: m.Method, Session: m.Session, Sequence: m.Sequence, ArgBytes: len(m.Arg),
		Arg: bytes.Clone(m.Arg[:min(len(m.Arg), argTold)])}
}

// roundAt is the number of the round at a log index behind x.before.
func (x *search) roundAt(index uint64) fsm.RoundNumber {
	var number fsm.RoundNumber
	if x.before.path != "" {
		if c, err := x.before.openLazily(); err == nil {
			number = fsm.RoundNumber(c.Round)
			_ = c.Close()
		}
	}
	for i := x.before.index + 1; i <= index; i++ {
		if round, err := x.round(i); err == nil && round != nil {
			number++
		}
	}
	return number
}

// canisterOf finds the memory of a canister by name.
func canisterOf(c *fsm.Contents, name string) *fsm.CanisterContents {
	i := slices.IndexFunc(c.Canisters, func(c fsm.CanisterContents) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Canisters[i]
}
