package fsm

import (
	"context"
	"errors"
	"fmt"
	"math"

	"lockstep/pagetrie"
)

// Answer is the end of a message that was pending.
type Answer struct {
	Result
	// Index, Time and Root are of the round in which it was answered.
	Index uint64
	Time  int64
	Root  pagetrie.Hash
}

// ErrNotPending is given for a message that does not wait for an answer here: it never did, or it was answered so long ago
// that the answer is only in its session, if it had one.
var ErrNotPending = errors.New("message is not pending")

// Bounds on the answers that are kept for those who ask late.
const (
	maxRecent      = 4096
	maxRecentBytes = 64 << 20
)

// pendingTable knows which messages are pending, and what became of the newest that were. It is derived from the state and
// guarded by Machine.mu.
type pendingTable struct {
	waiting map[Ref]chan struct{} // closed when the message is not pending any more
	recent  map[Ref]Answer
	order   []Ref // of recent, oldest first
	bytes   int   // of the replies in recent
}

// reset makes the table that of a state. Who waits looks again.
func (p *pendingTable) reset(s *State) {
	for _, done := range p.waiting {
		close(done)
	}
	*p = pendingTable{waiting: map[Ref]chan struct{}{}, recent: map[Ref]Answer{}}
	add := func(o origin) {
		if o.Kind == fromClient {
			p.waiting[o.Ref] = make(chan struct{})
		}
	}
	for _, c := range s.canisters {
		for _, context := range c.Contexts {
			if !context.Answered {
				add(context.Origin)
			}
		}
		for _, o := range c.Stops {
			add(o)
		}
	}
}

// note takes in what a round has begun and completed.
func (m *Machine) note(r *RoundResult) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.pending
	for i := range r.Results {
		if ref := r.Results[i].Ref; ref.Round == r.Round && p.waiting[ref] == nil {
			p.waiting[ref] = make(chan struct{})
		}
	}
	for _, c := range r.Completed {
		p.keep(c.Ref, Answer{Result: c.Result, Index: r.Index, Time: r.Time, Root: r.Root})
		close(p.waiting[c.Ref])
		delete(p.waiting, c.Ref)
	}
}

func (p *pendingTable) keep(ref Ref, a Answer) {
	p.recent[ref] = a
	p.order = append(p.order, ref)
	p.bytes += len(a.Reply)
	for len(p.order) > maxRecent || p.bytes > maxRecentBytes && len(p.order) > 1 {
		p.bytes -= len(p.recent[p.order[0]].Reply)
		delete(p.recent, p.order[0])
		p.order = p.order[1:]
	}
}

// Await waits until a pending message is answered. It gives ErrNotPending for one that it knows nothing of, and the reason
// why the machine has stopped if it stops.
func (m *Machine) Await(ctx context.Context, ref Ref) (Answer, error) {
	for {
		m.mu.RLock()
		answer, answered := m.pending.recent[ref]
		done, stopped := m.pending.waiting[ref], m.stopped
		m.mu.RUnlock()
		switch {
		case answered:
			return answer, nil
		case stopped != nil:
			return Answer{}, stopped
		case done == nil:
			return Answer{}, fmt.Errorf("wait for %s: %w", ref, ErrNotPending)
		}
		select {
		case <-done:
		case <-m.ended:
		case <-ctx.Done():
			return Answer{}, fmt.Errorf("wait for %s: %w", ref, ctx.Err())
		}
	}
}

// HasWork reports whether a round without messages would do something now: a queue is not empty, or a timer is due. A
// leader proposes such rounds while there is work. Heartbeats are no work; they come with whatever rounds there are.
func (m *Machine) HasWork() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.stopped != nil || m.current == nil {
		return false
	}
	s := &m.current.state
	for _, c := range s.canisters {
		if len(c.Queue) > 0 || c.dueCall(s.Time+1) || c.timerDue(s.Time+1, &s.Limits) {
			return true
		}
	}
	return false
}

// NextTimer gives the earliest time for which a canister has set its timer, or from which it waits no longer for a response. A
// round of that time or a later one is work.
func (m *Machine) NextTimer() (time int64, set bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.stopped != nil || m.current == nil {
		return 0, false
	}
	for _, c := range m.current.state.canisters {
		due := c.nextDeadline()
		if t := int64(min(c.Timer, math.MaxInt64)); c.timerRuns(&m.current.state.Limits) && (due == 0 || t < due) {
			due = t
		}
		if due != 0 && (!set || due < time) {
			time, set = due, true
		}
	}
	return time, set
}
