package fsm

import (
	"errors"
	"fmt"

	"lockstep/canister"
	"lockstep/pagetrie"
)

// Query is a call of a query method: it reads one state and changes nothing.
type Query struct {
	Canister string
	Method   string
	Arg      []byte
	Caller   []byte
}

// QueryResult is the outcome of a query with the state that it read.
type QueryResult struct {
	Result
	// Index is the Raft log index of the state that was read.
	Index uint64
	// Time is that state's time.
	Time int64
	Root pagetrie.Hash
}

// Query runs a query on the newest published state, beside rounds and other queries. An error means that the replica can't
// answer: the machine has stopped, or the world failed for this query alone.
func (m *Machine) Query(q Query) (QueryResult, error) {
	p, err := m.acquire()
	if err != nil {
		return QueryResult{}, err
	}
	result, err := m.query(p, q)
	if damage := new(pagetrie.Unreadable); errors.As(err, &damage) {
		_ = m.stop(err) // the state itself is in question, not this query alone
	}
	if releaseErr := m.release(p); err == nil {
		err = releaseErr
	}
	return result, err
}

func (m *Machine) query(p *published, q Query) (result QueryResult, err error) {
	defer pagetrie.CatchUnreadable(&err)
	out := QueryResult{Time: p.state.Time, Root: p.root, Index: p.index}
	msg := Message{Kind: KindUpdate, Caller: q.Caller, Canister: q.Canister, Method: q.Method, Arg: q.Arg}
	if err := msg.Validate(); err != nil {
		out.Result = Result{Status: StatusRefused, Text: err.Error(), Round: p.state.Round}
		return out, nil
	}
	record := p.state.canisterNamed(q.Canister)
	if record == nil {
		out.Result = Result{Status: StatusRefused, Text: fmt.Sprintf("there is no canister %q", q.Canister), Round: p.state.Round}
		return out, nil
	}
	if record.empty() {
		out.Result = Result{Status: StatusRefused, Text: fmt.Sprintf("canister %q has no module", q.Canister), Round: p.state.Round}
		return out, nil
	}
	if record.Life != Running {
		out.Result = Result{Status: StatusRefused, Text: fmt.Sprintf("canister %q is %s", q.Canister, record.Life), Round: p.state.Round}
		return out, nil
	}
	outcome, err := m.runQuery(p, record, q)
	if err != nil {
		return QueryResult{}, fmt.Errorf("query %s of canister %s at round %d: %w", q.Method, q.Canister, p.state.Round, err)
	}
	out.Result = resultOf(outcome, p.state.Round)
	return out, nil
}

// Interface is the description of a canister's methods in Candid, empty if the canister carries none; found is false if there
// is no such canister.
func (m *Machine) Interface(name string) (did string, found bool) {
	if name == ManagementCanister {
		return ManagementInterface, true
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.current == nil {
		return "", false
	}
	c := m.current.state.canisterNamed(name)
	if c == nil {
		return "", false
	}
	text, _ := c.live.Module().Program.Metadata("candid:service")
	return string(text), true
}

// CanisterStatus is one line of the canister table.
type CanisterStatus struct {
	ID     CanisterID          `json:"id"`
	Name   string              `json:"name"`
	Module canister.ModuleHash `json:"module"`
	// MemoryBytes is the size of the linear memory; PagesUsed the number of its 4 KiB pages that are not all zero.
	MemoryBytes uint64 `json:"memory_bytes"`
	PagesUsed   int    `json:"pages_used"`
	Life        Life   `json:"life"`
	Version     uint64 `json:"version"`
	// Queued is the number of calls and responses that wait for the canister, Outstanding of its own calls without a response.
	Queued      int `json:"queued"`
	Outstanding int `json:"outstanding"`
}

// MachineStatus is what a replica tells of its state machine.
type MachineStatus struct {
	Attestation
	Index     uint64
	Time      int64
	Sessions  uint64
	Canisters []CanisterStatus
	// Stopped is why the machine has stopped; nil while it runs.
	Stopped error
}

// Status describes the newest published state, also after the machine has stopped.
func (m *Machine) Status() MachineStatus {
	m.mu.RLock()
	defer m.mu.RUnlock()
	status := MachineStatus{Index: m.index, Stopped: m.stopped}
	if m.current == nil {
		return status
	}
	state := &m.current.state
	status.Attestation = Attestation{Round: state.Round, Root: m.current.root}
	status.Time, status.Sessions = state.Time, state.sessions.count
	for _, c := range state.canisters {
		status.Canisters = append(status.Canisters, CanisterStatus{ID: c.ID, Name: c.Name, Module: c.Module,
			MemoryBytes: c.State.Memory.Size.Bytes(), PagesUsed: c.State.Memory.Pages.Len(),
			Life: c.Life, Version: c.Version, Queued: len(c.Queue), Outstanding: len(c.Calls)})
	}
	return status
}

// Limits gives the replicated configuration of the newest published state.
func (m *Machine) Limits() Limits {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.current == nil {
		return DefaultLimits()
	}
	return m.current.state.Limits
}
