package workload

import (
	"testing"
	"time"

	"lockstep/canister"
	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/fsm"
)

// town is a state machine with the canisters of the bank workload.
type town struct {
	t       *testing.T
	machine *fsm.Machine
	modules []Module
	index   uint64
	ends    map[fsm.Status]int
}

func newTown(t *testing.T, w *Workload) *town {
	t.Helper()
	engine, err := canister.NewEngine(canister.EngineConfig{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := fsm.New(fsm.Config{Engine: engine})
	if err != nil {
		t.Fatal(err)
	}
	modules, err := CompleteModules(nil, w.Canisters())
	if err != nil {
		t.Fatal(err)
	}
	c := &town{t: t, machine: m, modules: modules, ends: map[fsm.Status]int{}}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		engine.Close()
	})
	for _, module := range modules {
		c.round(fsm.Message{Kind: fsm.KindInstall, Canister: module.Name, Module: module.Wasm})
	}
	return c
}

func (c *town) round(messages ...fsm.Message) {
	c.t.Helper()
	c.index++
	r, err := c.machine.ApplyRound(c.index, &fsm.Round{Time: int64(c.index) * int64(10*time.Millisecond), Messages: messages})
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range r.Results {
		c.ends[r.Results[i].Status]++
	}
	for i := range r.Completed {
		c.ends[r.Completed[i].Result.Status]++
	}
}

// audit asks both banks.
func (c *town) audit(final uint64) []history.Event {
	c.t.Helper()
	var all []history.Event
	for _, bank := range []string{"bank-a", "bank-b"} {
		r, err := c.machine.Query(fsm.Query{Canister: bank, Method: check.AuditMethod})
		if err != nil {
			c.t.Fatal(err)
		}
		if r.Status != fsm.StatusReplied {
			continue // it is stopped
		}
		all = append(all, history.Event{Kind: history.Audited, Round: uint64(r.Round), Count: final, Text: bank + " " + string(r.Reply)})
	}
	return all
}

// The bank workload reaches every end that a message can have, moves money, and what the banks say always adds up.
func TestBankKeepsItsMoney(t *testing.T) {
	w, err := Embedded("bank")
	if err != nil {
		t.Fatal(err)
	}
	c := newTown(t, w)
	l := history.Log{Header: history.Header{Format: 1, Replicas: 1}}
	for i := uint64(0); i < w.Len(); i += 4 {
		var messages []fsm.Message
		for j := range uint64(4) {
			m := w.Message(1, i+j)
			if m.Query {
				continue
			}
			message, err := m.Replicated(c.modules)
			if err != nil {
				t.Fatal(err)
			}
			messages = append(messages, message)
		}
		c.round(messages...)
		l.Events = append(l.Events, c.audit(0)...)
	}
	c.round(fsm.Message{Kind: fsm.KindStart, Canister: "bank-a"}, fsm.Message{Kind: fsm.KindStart, Canister: "bank-b"})
	for range 1000 {
		c.round()
	}
	end := c.audit(1)
	l.Events = append(l.Events, end...)
	v := check.Judge(t.Context(), &l, check.Config{})
	for _, f := range v.Findings {
		if f.Checker == "conservation" && (f.State != check.Held || f.Checked < 300) {
			t.Errorf("%+v", f)
		}
	}
	for _, status := range []fsm.Status{fsm.StatusReplied, fsm.StatusRejected, fsm.StatusNoReply, fsm.StatusTrapped, fsm.StatusRefused, fsm.StatusPending} {
		if c.ends[status] == 0 {
			t.Errorf("no message ended as %s: %v", status, c.ends)
		}
	}
	for _, e := range end {
		b, err := check.ParseBooks(e.Text)
		if err != nil || b.Confirmed < 100 || b.Refunded < 10 || b.Received < 100 {
			t.Errorf("little was done: %s (%v)", e.Text, err)
		}
	}
}
