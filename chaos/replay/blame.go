package replay

import (
	"errors"
	"fmt"

	"lockstep/fsm"
	"lockstep/pagetrie"
)

// compareWithCheckpoint holds the replayed state against a checkpoint that was written at or after the difference, and looks
// for the message that wrote the first page that differs.
func (x *search) compareWithCheckpoint() error {
	c := x.suspect.checkpoint
	for _, other := range x.checkpoints {
		if c == nil && other.err == nil && other.Round >= uint64(x.suspect.round) && other.Index <= x.last && other.Index > x.before.index {
			c = other
		}
	}
	if c == nil {
		x.notef("no checkpoint here was written at or after round %d: what differs is only known as a root; compare with the folder of a replica that disagrees", x.suspect.round)
		return nil
	}
	replayed, err := x.stateAt(x.subject, c.Index)
	if err != nil {
		return err
	}
	x.finding.A, x.finding.B = "the replay", "checkpoint "+c.path
	d, err := compareStarts(*replayed, start{path: c.path}, pagesShown)
	if err != nil {
		return err
	}
	x.finding.Difference = d
	if d.Empty() && c.Root != x.finding.wantRoot() {
		x.notef("the checkpoint of round %d has the replay's state: it is the other root that is wrong", c.Round)
		return nil
	}
	for i := range d.Canisters {
		if len(d.Canisters[i].Shown) > 0 {
			return x.blame(replayed, &d.Canisters[i])
		}
	}
	return nil
}

func (f *Finding) wantRoot() pagetrie.Hash { return pagetrie.Hash(f.Want) }

// opener makes a machine at a start.
type opener func(start) (Machine, error)

// stateAt repeats the log from x.before up to an index and keeps the state.
func (x *search) stateAt(open opener, index uint64) (*start, error) {
	m, err := open(x.before)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	for at := x.before.index; ; {
		next, err := x.following(at, index)
		if err != nil {
			return nil, err
		}
		if next == 0 {
			return x.keep(m, x.before, fmt.Sprintf("state-%d", index), index)
		}
		if at, _, err = x.next(at, m); err != nil {
			return nil, err
		}
	}
}

// following is the log index of the first round in (after, last]; 0 if there is none.
func (x *search) following(after, last uint64) (uint64, error) {
	for index := after + 1; index <= last; index++ {
		round, err := x.round(index)
		if err != nil {
			return 0, err
		}
		if round != nil {
			return index, nil
		}
	}
	return 0, nil
}

// blame finds the message that gave the first differing page of a canister the contents that it has in the replay.
func (x *search) blame(replayed *start, d *CanisterDifference) error {
	page := d.Shown[0].Page
	memory, err := memoryOf(*replayed, d.Name)
	if err != nil {
		return err
	}
	w, err := x.lastWriter(memory, page, replayed.index)
	if err != nil {
		return err
	}
	if w == nil {
		return x.blameReader(d, page, replayed.index)
	}
	round, err := x.round(w.index)
	if err != nil {
		return err
	}
	x.before = w.before
	k, err := firstTrue(len(round.Messages), func(messages int) (bool, error) {
		m, err := x.part(x.subject, w.index, round, messages)
		if err != nil {
			return false, err
		}
		hash, err := pageHash(m, memory, page)
		return hash == w.hash, errors.Join(err, m.Close())
	})
	if err != nil {
		return err
	}
	x.finding.Cause = x.cause(w.index, round, k-1)
	return nil
}

// blameReader looks for the message when the replay never wrote the page: only the other side did.
func (x *search) blameReader(d *CanisterDifference, page, until uint64) error {
	var found *Cause
	calls := 0
	for index := x.before.index + 1; index <= until; index++ {
		round, err := x.round(index)
		if err != nil {
			return err
		}
		for i := 0; round != nil && i < len(round.Messages); i++ {
			if round.Messages[i].Canister == d.Name {
				calls++
				found = x.cause(index, round, i)
			}
		}
	}
	x.notef("in the replay no message since round %d wrote page %d of %s; %d messages went to it", x.finding.Since, page, d.Name, calls)
	if calls == 1 {
		x.finding.Cause = found
	}
	return nil
}

// write is a round that changed a page, and the state before it.
type write struct {
	index  uint64
	before start
	hash   pagetrie.Hash // of the page afterwards
}

// lastWriter finds the last round up to the first one whose root differs that changed a page, or, if none did, the next up to an index;
// nil if none did at all. Rounds behind the difference only add to it.
func (x *search) lastWriter(memory string, page, until uint64) (*write, error) {
	m, err := x.subject(x.before)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	hash, err := pageHash(m, memory, page)
	if err != nil {
		return nil, err
	}
	var found *write
	for at := x.before.index; ; {
		next, err := x.following(at, until)
		if err != nil {
			return nil, err
		}
		if next == 0 || found != nil && m.Latest().Round >= x.suspect.round {
			return found, x.completeWrite(found)
		}
		at, _, err = x.next(at, m)
		if err != nil {
			return nil, err
		}
		now, err := pageHash(m, memory, page)
		if err != nil {
			return nil, err
		}
		if now != hash {
			found, hash = &write{index: next, hash: now}, now
		}
	}
}

// completeWrite adds the state before the round.
func (x *search) completeWrite(w *write) error {
	if w == nil {
		return nil
	}
	w.before = x.before
	next, err := x.following(x.before.index, w.index-1)
	if err != nil || next == 0 {
		return err
	}
	kept, err := x.stateAt(x.subject, w.index-1)
	if err == nil {
		w.before = *kept
	}
	return err
}

// memoryOf is the name of the memory of a canister in a checkpoint.
func memoryOf(at start, canister string) (string, error) {
	c, err := at.openLazily()
	if err != nil {
		return "", err
	}
	contents, err := fsm.ReadContents(c)
	if err := errors.Join(err, c.Close()); err != nil {
		return "", err
	}
	if found := canisterOf(contents, canister); found != nil {
		return found.Memory, nil
	}
	return "", fmt.Errorf("checkpoint %s has no canister %s", at.path, canister)
}
