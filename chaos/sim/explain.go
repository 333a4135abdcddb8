package sim

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/replay"
	"lockstep/fsm"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// explainWithin bounds the search for a divergence's cause, in real time; shown are the pages of a memory that are told.
const (
	explainWithin = 20 * time.Second
	shown         = 4
)

// explained are the checkers whose violations may be a difference between states; liveness is one more if it was found first: replicas
// may refuse their checkpoints.
var explained = []string{"root-agreement", "checkpoint-truth", "replay-equivalence", "apply-order", "exactly-once", "conservation"}

// explain looks for the cause of a violation that may be a difference between states, the first one that was found, and puts it into
// the violation: the committed log is repeated on a plain machine, and what replicas had is held against that and against each other.
func (c *cluster) explain(ctx context.Context, v *check.Verdict) {
	var found *check.Violation
	for _, f := range v.Findings {
		first := f.Checker == v.Leading
		if f.State == check.Broken && (slices.Contains(explained, f.Checker) && (found == nil || first) || first && f.Checker == "liveness") {
			found = f.Violation
		}
	}
	if found == nil {
		c.explainContents(v)
		return
	}
	began := wallTime()
	if len(c.seized) == 0 { // it was found when the run was over
		c.seize(found)
	}
	x := &explanation{c: c, v: found, until: began + explainWithin, roots: map[fsm.RoundNumber]pagetrie.Hash{},
		at: map[uint64]pagetrie.Hash{}}
	lines, err := x.run(ctx)
	if err != nil {
		lines = append(lines, "nothing more can be said: "+err.Error())
	}
	for i := range lines { // the folders are gone when somebody reads this
		lines[i] = strings.ReplaceAll(lines[i], c.home+"/", "")
	}
	found.Where, found.Searched = lines, wallTime()-began
}

// explainContents puts into the violation that was found first what stands behind its numbers.
func (c *cluster) explainContents(v *check.Verdict) {
	for _, f := range v.Findings {
		if f.State == check.Broken && f.Checker == v.Leading {
			began := wallTime()
			f.Violation.Where = c.contents(f.Violation)
			f.Violation.Searched = wallTime() - began
		}
	}
}

// explanation is one search.
type explanation struct {
	c     *cluster
	v     *check.Violation
	until time.Duration // of wallTime
	// log is the committed one; roots are those that it gives, by round, at those behind an entry.
	log   *committedLog
	roots map[fsm.RoundNumber]pagetrie.Hash
	at    map[uint64]pagetrie.Hash
	last  fsm.RoundNumber
}

func (x *explanation) run(ctx context.Context) ([]string, error) {
	x.log = newCommittedLog(x.c.committed(), x.until)
	wrong, err := x.wrong(ctx)
	if err != nil {
		return nil, err
	}
	if len(wrong) == 0 {
		lines, err := x.checkpoints(ctx)
		if err == nil && len(lines) == 0 {
			lines = []string{fmt.Sprintf("every state and every checkpoint that is at hand is what the log gives, repeated on a plain machine up to round %d: it is not the state that differs", x.last)}
			lines = append(lines, x.c.entryWords(x.c.firstDifferent())...)
		}
		return lines, err
	}
	var lines []string
	for _, w := range wrong {
		lines = append(lines, fmt.Sprintf("what %s has as round %d at entry %d is not what the log gives, repeated on a plain machine", w.who, w.round, w.index))
	}
	lines = append(lines, x.earlier()...)
	w := wrong[0]
	r, err := replay.Replay(ctx, replay.Config{Log: x.log, Checkpoints: []string{w.path}, From: replay.FromEmpty, Known: x.known,
		Options: replay.Options{ModuleCache: x.c.opts.Modules}, Scratch: x.c.home})
	if err != nil {
		return lines, err
	}
	if f := r.Finding; f != nil {
		lines = append(lines, x.tell(f, w)...)
	}
	return append(lines, x.others(w)...), nil
}

// tell tells what the search has found about a witness.
func (x *explanation) tell(f *replay.Finding, w *witness) []string {
	var lines []string
	if f.Cause != nil {
		lines = append(lines, f.Cause.String())
	}
	if f.Difference != nil {
		lines = append(lines, f.Difference.Words(x.right(w), w.who)...)
	}
	if f.Cause == nil && uint64(f.Round) == x.v.Round && f.Since+1 == f.Round {
		lines = append(lines, x.messages(w.index)...)
	}
	return lines
}

// messages lists those of the round at an index: the difference came with one of them.
func (x *explanation) messages(index uint64) []string {
	round := x.log.rounds[index]
	if round == nil {
		return nil
	}
	lines := []string{fmt.Sprintf("the difference came with entry %d; messages in it: %d", index, len(round.Messages))}
	for i := range round.Messages[:min(len(round.Messages), shown)] {
		lines = append(lines, fmt.Sprintf("message %d: %s", i+1, replay.MessageText(&round.Messages[i])))
	}
	return lines
}

// earlier tells the first round in which what replicas told is not what the log gives, if that is before the violation.
func (x *explanation) earlier() []string {
	for _, index := range slices.Sorted(maps.Keys(x.log.rounds)) {
		r := x.log.first[index]
		if r.root == (pagetrie.Hash{}) || x.at[index] == (pagetrie.Hash{}) || r.root == x.at[index] {
			continue
		}
		if x.v.Round == 0 || uint64(r.number) < x.v.Round {
			return append([]string{fmt.Sprintf("already round %d is not what the log gives, on the replica that applied it first", r.number)}, x.messages(index)...)
		}
		return nil
	}
	return nil
}

// right names who has what the log gives after a witness's round.
func (x *explanation) right(w *witness) string {
	var who []string
	for _, other := range x.c.seized {
		if other.index == w.index && other.view != nil && other.view.Head().Root == x.at[w.index] {
			who = append(who, other.who)
		}
	}
	if len(who) == 0 {
		return "the log"
	}
	return "the log (and " + strings.Join(who, ", ") + ")"
}

// others holds the witnesses of the same round against the one that is wrong: two replicas may be wrong in two ways.
func (x *explanation) others(w *witness) []string {
	var lines []string
	for _, other := range x.c.seized {
		if other == w || other.index != w.index || other.path == "" || w.view == nil || other.view == nil {
			continue
		}
		d, err := replay.CompareDirs(other.path, w.path, shown)
		switch root := other.view.Head().Root; {
		case err != nil:
			lines = append(lines, fmt.Sprintf("%s and %s can't be compared: %v", other.who, w.who, err))
		case d.Empty():
			lines = append(lines, fmt.Sprintf("%s has the same state as %s", other.who, w.who))
		case root != x.at[other.index]:
			lines = append(lines, d.Words(other.who, w.who)...)
		}
	}
	return lines
}

// wrong repeats the log on a plain machine and gives the witnesses whose states are others than those that it has, those of the
// violation's own round first.
func (x *explanation) wrong(ctx context.Context) ([]*witness, error) {
	err := x.repeat(ctx, func(index uint64, machine *fsm.Machine) error {
		at := machine.Latest()
		x.at[index], x.roots[at.Round], x.last = at.Root, at.Root, at.Round
		return nil
	})
	if err != nil {
		return nil, err
	}
	var wrong []*witness
	for i, w := range x.c.seized {
		path, err := w.write(filepath.Join(x.c.home, fmt.Sprintf("witness-%d", i)))
		if err != nil {
			return nil, err
		}
		root, err := rootOf(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.who, err)
		}
		if want, ok := x.at[w.index]; ok && root != want {
			wrong = append(wrong, w)
		}
	}
	away := func(w *witness) int { // a checkpoint, then a state of the round, then others
		switch {
		case w.view == nil:
			return 0
		case uint64(w.round) == x.v.Round:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(wrong, func(a, b *witness) int { return away(a) - away(b) })
	return wrong, nil
}

// repeat repeats the log on a plain machine and tells of the machine after every entry.
func (x *explanation) repeat(ctx context.Context, each func(index uint64, machine *fsm.Machine) error) (err error) {
	machine, err := x.c.plain()
	if err != nil {
		return err
	}
	defer func() { err = joinErrors(err, machine.Close()) }()
	for index := uint64(1); index <= x.log.last; index++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if wallTime() > x.until {
			return errTooLong
		}
		if round := x.log.rounds[index]; round != nil {
			if _, err := machine.ApplyRound(index, round); err != nil {
				return fmt.Errorf("repeat entry %d: %w", index, err)
			}
		}
		if err := each(index, machine); err != nil {
			return err
		}
	}
	return nil
}

// checkpoints holds all checkpoints that replicas have against what the log gives, and tells how the first differs, or why it
// can't be read, and how many others do.
func (x *explanation) checkpoints(ctx context.Context) ([]string, error) {
	kept, err := x.c.keptCheckpoints()
	if err != nil {
		return nil, err
	}
	var lines []string
	others := 0
	err = x.repeat(ctx, func(index uint64, machine *fsm.Machine) error {
		if len(kept[index]) == 0 {
			return nil
		}
		right, err := replay.WriteCheckpoint(machine, filepath.Join(x.c.home, fmt.Sprintf("right-%d", index)), index)
		if err != nil {
			return err
		}
		for _, w := range kept[index] {
			d, err := replay.CompareDirs(right, w.path, shown)
			switch {
			case err == nil && d.Empty():
			case len(lines) > 0:
				others++
			case err != nil:
				lines = append(lines, fmt.Sprintf("%s of entry %d, round %d, can't be read: %v", w.who, index, machine.Latest().Round, err))
			default:
				lines = append(lines, fmt.Sprintf("%s of entry %d, round %d, is not what the log gives", w.who, index, machine.Latest().Round))
				lines = append(lines, d.Words("the log", w.who)...)
			}
		}
		return nil
	})
	if others > 0 {
		lines = append(lines, fmt.Sprintf("and so are %d more checkpoints", others))
	}
	return lines, err
}

// known vouches for rounds before the violation in which what replicas told is what the log gives.
func (x *explanation) known(round fsm.RoundNumber) (pagetrie.Hash, bool) {
	told, ok := x.log.told[round]
	root := x.roots[round]
	return root, ok && told == root && (x.v.Round == 0 || uint64(round) < x.v.Round)
}

func rootOf(path string) (pagetrie.Hash, error) {
	c, err := snapshot.OpenDir(path)
	if err != nil {
		return pagetrie.Hash{}, err
	}
	return c.Root, c.Close()
}
