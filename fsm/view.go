package fsm

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/raft"

	"lockstep/memstore"
	"lockstep/pagetrie"
)

// StateView is the whole state after one round, held for reading beside rounds: what two replicas are compared by. Its pages stay
// in memory until Release. Several goroutines may use it.
type StateView struct {
	machine *Machine
	p       *published
}

// StateGoneError says that a machine does not have the state after a round.
type StateGoneError struct {
	Round RoundNumber
	// Oldest and Newest are the rounds whose states it has.
	Oldest, Newest RoundNumber
	// Stopped is why the machine will not reach the round; nil if it has left the round behind.
	Stopped error
}

func (e *StateGoneError) Error() string {
	if e.Stopped != nil {
		return fmt.Sprintf("stopped at round %d and will not reach round %d: %v", e.Newest, e.Round, e.Stopped)
	}
	return fmt.Sprintf("the state after round %d is not kept any more: rounds %d to %d are", e.Round, e.Oldest, e.Newest)
}

// Unwrap gives the reason of a stop.
func (e *StateGoneError) Unwrap() error { return e.Stopped }

// NewestRound stands for the newest round there is, in View.
const NewestRound RoundNumber = 1<<64 - 1

// View holds the state after a round, or the newest, which a machine that has stopped still has. A round to come is waited
// for until ctx ends. One that is not kept is a *StateGoneError.
func (m *Machine) View(ctx context.Context, round RoundNumber) (*StateView, error) {
	for {
		p, advanced, err := m.find(round)
		if p != nil || err != nil {
			return &StateView{m, p}, err
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for round %d: %w", round, ctx.Err())
		}
	}
}

// find gives a state that is kept, or what to wait for.
func (m *Machine) find(round RoundNumber) (*published, <-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current == nil {
		return nil, nil, m.stopped
	}
	p, newest := m.current, m.current.state.Round
	if round != NewestRound && round != newest {
		p = m.window.find(round)
	}
	switch {
	case p != nil:
		p.users++
		return p, nil, nil
	case round > newest && m.stopped == nil:
		return nil, m.advanced, nil
	case round > newest:
		return nil, nil, &StateGoneError{Round: round, Oldest: m.window.kept[0].state.Round, Newest: newest, Stopped: m.stopped}
	}
	return nil, nil, &StateGoneError{Round: round, Oldest: m.window.kept[0].state.Round, Newest: newest}
}

// Release lets the state go.
func (v *StateView) Release() error { return v.machine.release(v.p) }

// Persist writes the state as a checkpoint and ends the sink, which must be one of snapshot.Store.
func (v *StateView) Persist(sink raft.SnapshotSink) error {
	if err := v.p.persist(sink); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// StateHead is what a state says of itself: all that it takes to see which parts of two states differ.
type StateHead struct {
	Attestation
	Index        uint64 // of the round's log entry
	Time         int64
	NextSession  SessionID
	NextCanister CanisterID
	Limits       Limits
	// Sessions are the parts of the session table that are not empty, ascending.
	Sessions []SessionPart
	// Canisters are ascending by ID.
	Canisters []CanisterPart
}

// SessionPart is one of 4096 parts of the session table.
type SessionPart struct {
	Number int
	Hash   pagetrie.Hash
}

// CanisterPart is a canister with the hash of everything that is replicated of it but its module's bytes, whose hash it covers.
type CanisterPart struct {
	ID   CanisterID
	Name string
	Hash pagetrie.Hash
}

// Head describes the state.
func (v *StateView) Head() StateHead {
	s := &v.p.state
	h := StateHead{Attestation: Attestation{Round: s.Round, Root: v.p.root}, Index: v.p.index, Time: s.Time, NextSession: s.NextSession,
		NextCanister: s.NextCanister, Limits: s.Limits}
	for i, group := range s.sessions.groups {
		for j := range sessionFan {
			if group != nil && group.buckets[j] != nil && len(group.buckets[j].sessions) > 0 {
				h.Sessions = append(h.Sessions, SessionPart{i<<sessionFanBits | j, *group.buckets[j].hash})
			}
		}
	}
	for _, c := range s.canisters {
		h.Canisters = append(h.Canisters, CanisterPart{c.ID, c.Name, c.hash})
	}
	return h
}

// Sessions are those of a part of the session table.
func (v *StateView) Sessions(part int) (out []SessionContents) {
	group := v.p.state.sessions.groups[part>>sessionFanBits&(sessionFan-1)]
	if group == nil || group.buckets[part&(sessionFan-1)] == nil {
		return nil
	}
	for _, s := range group.buckets[part&(sessionFan-1)].sessions {
		out = append(out, s.contents())
	}
	return out
}

// Canister describes one canister; false if there is none of that number.
func (v *StateView) Canister(id CanisterID) (CanisterContents, bool) {
	record := v.p.state.canister(id)
	if record == nil {
		return CanisterContents{}, false
	}
	table := record.table()
	return table.contents(), true
}

// Memory is the size of a memory and a map of its pages, by the name that it has in checkpoints (CanisterContents); false if there
// is none of that name.
func (v *StateView) Memory(name string) (memstore.Version, bool) {
	_, number, _ := strings.Cut(name, "-")
	id, err := strconv.ParseUint(number, 10, 64)
	record := v.p.state.canister(CanisterID(id))
	if err != nil || record == nil {
		return memstore.Version{}, false
	}
	switch name {
	case memoryName(record.ID):
		return record.State.Memory, true
	case stableName(record.ID):
		return record.State.Stable, true
	case codeName(record.ID):
		return record.Code, true
	}
	return memstore.Version{}, false
}

// Root is the root of a memory's pages.
func (v *StateView) Root(m memstore.Version) pagetrie.Hash { return m.Pages.Root(v.p.world.pages) }

// Nodes are views of nodes of a memory's map. A node of a restored state that is not what its checkpoint says is a *pagetrie.Unreadable,
// and ends the machine.
func (v *StateView) Nodes(m memstore.Version, refs []pagetrie.Ref) (views []pagetrie.View, err error) {
	err = v.read(func() (err error) {
		views, err = m.Pages.Nodes(v.p.world.pages, refs)
		return err
	})
	return views, err
}

// Page is a copy of a page of a memory; nil for one that is all zero. The error is as that of Nodes and names the page too.
func (v *StateView) Page(m memstore.Version, page uint64) (bytes []byte, err error) {
	err = v.read(func() error {
		if handle, ok := m.Pages.Get(page); ok {
			bytes = append(bytes, v.p.world.pages.Page(handle)...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("page %d: %w", page, err)
	}
	return bytes, nil
}

// read calls f, which reads the state. Damage that it meets ends the machine: it is the state that is in question, not f alone.
func (v *StateView) read(f func() error) error {
	caught := func() (err error) {
		defer pagetrie.CatchUnreadable(&err)
		return f()
	}
	err := caught()
	if damage := new(pagetrie.Unreadable); errors.As(err, &damage) {
		_ = v.machine.stop(err) // it is told to the caller
	}
	return err
}
