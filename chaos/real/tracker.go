package real

import (
	"sync"
	"time"

	"lockstep/chaos/history"
)

// tracker knows how far each replica is, as far as it has told.
type tracker struct {
	mu    sync.Mutex
	nodes []progress
	// newest is the newest round that any replica has applied, leader the newest leader in term.
	newest uint64
	leader int
	term   uint64
	// pending are the newest rounds at the ends of faults that are not verified yet.
	pending  []uint64
	verified int
	excused  map[int]bool
	changed  chan struct{} // closed and made anew with every change
}

// progress is one replica's.
type progress struct {
	up          bool
	round       uint64
	first, last uint64 // of its log
}

func newTracker(replicas int, excused []int) *tracker {
	t := &tracker{nodes: make([]progress, replicas), excused: map[int]bool{}, changed: make(chan struct{})}
	for _, n := range excused {
		t.excused[n] = true
	}
	return t
}

// see takes an event.
func (t *tracker) see(e *history.Event) {
	if e.Node == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := &t.nodes[e.Node-1]
	switch e.Kind {
	case history.Started:
		n.up, n.round, n.last = true, e.Round, e.To
	case history.Applied, history.Installed:
		n.round = e.Round
		t.newest = max(t.newest, e.Round)
		if e.Kind == history.Installed {
			n.last = max(n.last, e.Index)
		}
	case history.Appended:
		n.last = e.Index
		return
	case history.Compacted:
		n.first = e.To + 1
	case history.Crashed, history.Stopped, history.Panicked, history.Diverged:
		n.up = false
		if t.leader == int(e.Node) {
			t.leader = 0
		}
	case history.RoleChanged:
		switch {
		case e.Role == history.Leader && e.Term >= t.term:
			t.leader, t.term = int(e.Node), e.Term
		case e.Role != history.Leader && t.leader == int(e.Node):
			t.leader = 0
		}
	default:
		return
	}
	t.verify()
	close(t.changed)
	t.changed = make(chan struct{})
}

// least is the round that every replica has applied that need be up; ok is false while one of them is not.
func (t *tracker) least() (round uint64, ok bool) {
	round = t.newest
	for i, n := range t.nodes {
		switch {
		case n.up:
			round = min(round, n.round)
		case !t.excused[i+1]:
			return 0, false
		}
	}
	return round, true
}

// faultEnded puts a fault that had an effect among those that wait for all replicas to be equal again.
func (t *tracker) faultEnded() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending = append(t.pending, t.newest)
	t.verify()
}

func (t *tracker) verify() {
	least, ok := t.least()
	if !ok {
		return
	}
	waiting := t.pending[:0]
	for _, round := range t.pending {
		if round <= least {
			t.verified++
		} else {
			waiting = append(waiting, round)
		}
	}
	t.pending = waiting
}

// view is what the tracker knows now.
type view struct {
	nodes    []progress
	newest   uint64
	leader   int
	verified int
	// least is the round that every replica has applied that need be up, 0 while one is not; equal: it is the newest one.
	least   uint64
	equal   bool
	changed <-chan struct{}
}

func (t *tracker) view() view {
	t.mu.Lock()
	defer t.mu.Unlock()
	least, ok := t.least()
	return view{nodes: append([]progress(nil), t.nodes...), newest: t.newest, leader: t.leader, verified: t.verified,
		least: least, equal: ok && least == t.newest, changed: t.changed}
}

// wait waits until a condition holds; false means that the time ran out or done was closed.
func (t *tracker) wait(most time.Duration, done <-chan struct{}, holds func(view) bool) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		v := t.view()
		if holds(v) {
			return true
		}
		select {
		case <-v.changed:
		case <-timer.C:
			return false
		case <-done:
			return false
		}
	}
}
