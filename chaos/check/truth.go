package check

import (
	"lockstep/chaos/history"
	"lockstep/pagetrie"
)

// truth is what the first replica that applied a round found. Whether the others agree is root-agreement's matter.
type truth struct {
	window, newest uint64
	rounds         map[uint64]*roundTruth
	// byIndex gives the round of a log index.
	byIndex map[uint64]uint64
}

type roundTruth struct {
	first history.Event
	// seen are the replicas that have applied the round, as bits.
	seen uint64
}

func newTruth(window uint64) *truth {
	return &truth{window: window, rounds: map[uint64]*roundTruth{}, byIndex: map[uint64]uint64{}}
}

func (t *truth) learn(e *history.Event) {
	r := t.rounds[e.Round]
	if r == nil {
		if e.Round+t.window <= t.newest {
			return // too old to be compared with anything
		}
		r = &roundTruth{first: *e}
		t.rounds[e.Round] = r
		t.byIndex[e.Index] = e.Round
		if e.Round > t.newest {
			t.forget(e.Round)
			t.newest = e.Round
		}
	}
	if r.first.Root == (pagetrie.Hash{}) {
		r.first.Root = e.Root
	}
	r.seen |= 1 << (e.Node - 1)
}

// forget drops the rounds that leave the window when newest comes.
func (t *truth) forget(newest uint64) {
	if newest <= t.window {
		return
	}
	limit := newest - t.window
	if newest-t.newest > uint64(len(t.rounds)) { // far ahead of everything: one pass instead of one step a round
		for round, r := range t.rounds {
			if round <= limit {
				delete(t.byIndex, r.first.Index)
				delete(t.rounds, round)
			}
		}
		return
	}
	low := uint64(0)
	if t.newest > t.window {
		low = t.newest - t.window
	}
	for round := low; round <= limit; round++ {
		if r := t.rounds[round]; r != nil {
			delete(t.byIndex, r.first.Index)
			delete(t.rounds, round)
		}
	}
}

// at gives what is known about a round, or nil.
func (t *truth) at(round uint64) *roundTruth { return t.rounds[round] }
