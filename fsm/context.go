package fsm

import (
	"fmt"
	"time"

	"lockstep/canister"
)

// A call context ends in one place, settle: after each of its executions it is answered if the canister answered, kept while
// a call of it is outstanding, and otherwise closed, with an answer of the state machine's own if there was none.

// open begins a context and runs its first execution. It gives the fuel used.
func (t *turn) open(o origin, in canister.Input, number uint64) (uint64, error) {
	c := &callContext{ID: t.record.NextContext, Origin: o, Answered: o.Kind == fromTask}
	t.record.NextContext++
	outcome, err := t.execute(c, in, number)
	if err != nil {
		return 0, err
	}
	t.settle(c, outcome)
	if o.Kind == fromClient && c.Outstanding > 0 && !c.Answered {
		t.respond(o, Result{Status: StatusPending, Fuel: c.Fuel, Ref: o.Ref})
	}
	return c.Fuel, nil
}

// takeResponse runs the callback of a call. The response to a call that is not known any more is dropped: the canister was
// installed anew meanwhile.
func (t *turn) takeResponse(q *queued) (uint64, error) {
	call := t.record.takeCall(q.Call)
	if call == nil {
		return 0, nil
	}
	c := t.record.context(call.Context)
	c.Outstanding--
	before := c.Fuel
	in := canister.Input{Entry: canister.EntryReply, Arg: q.Data, Callback: call.OnReply.value()}
	if q.Code != 0 {
		in = canister.Input{Entry: canister.EntryReject, RejectCode: q.Code, RejectText: q.Text, Callback: call.OnReject.value()}
	}
	outcome, err := t.execute(c, in, t.number())
	if err != nil {
		return 0, err
	}
	if !outcome.Status.Committed() && len(call.OnCleanup) > 0 {
		in.Entry, in.Callback, in.Arg = canister.EntryCleanup, call.OnCleanup[0].value(), nil
		if _, err := t.execute(c, in, t.number()); err != nil { // how it ends tells nobody anything
			return 0, err
		}
	}
	t.settle(c, outcome)
	return c.Fuel - before, nil
}

// execute enters the canister once, on behalf of a context, and takes note of what it asks for. Answers are left to settle.
func (t *turn) execute(c *callContext, in canister.Input, number uint64) (canister.Outcome, error) {
	in.Answered, in.Spent, in.Deadline = c.Answered, c.Fuel, c.Origin.Deadline
	env := t.env(c.Origin.Caller, number)
	env.CallsLeft = max(t.round.next.Limits.Calls, uint64(len(t.record.Calls))) - uint64(len(t.record.Calls))
	outcome, err := t.record.live.Execute(env, in)
	if err != nil {
		return outcome, fmt.Errorf("context %d: %w", c.ID, err)
	}
	c.Fuel += outcome.Fuel
	if !outcome.Status.Committed() {
		return outcome, nil
	}
	t.record.Version++
	if outcome.Timer != nil {
		t.record.Timer = *outcome.Timer
	}
	for i := range outcome.Calls {
		t.issue(c, &outcome.Calls[i])
	}
	return outcome, nil
}

// issue keeps a record of a call and sends it.
func (t *turn) issue(c *callContext, call *canister.Call) {
	id := t.record.NextCall
	t.record.NextCall++
	from := origin{Kind: fromCanister, Caller: canister.Principal(uint64(t.record.ID)), Canister: t.record.ID, Call: id}
	if call.TimeoutSeconds > 0 {
		from.Deadline = t.round.next.Time + int64(call.TimeoutSeconds)*int64(time.Second)
	}
	c.Outstanding++
	t.record.addCall(&outCall{ID: id, Context: c.ID, OnReply: callbackOf(call.OnReply), OnReject: callbackOf(call.OnReject),
		OnCleanup: cleanupOf(call.OnCleanup), Deadline: from.Deadline})
	t.outbox = append(t.outbox, envelope{callee: call.Callee, item: &queued{Origin: from, Method: call.Method, Data: call.Arg}})
}

// settle decides what becomes of a context after an execution.
func (t *turn) settle(c *callContext, outcome canister.Outcome) {
	answer := outcome.Status == canister.Replied || outcome.Status == canister.Rejected
	if !c.Answered && (answer || c.Outstanding == 0) {
		if outcome.Status == canister.NoReply {
			outcome.RejectCode, outcome.Text = codeError, "the canister did not reply"
		}
		result := resultOf(outcome, t.round.next.Round)
		result.Fuel = c.Fuel
		t.respond(c.Origin, result)
		c.Answered = true
	}
	if c.Outstanding == 0 {
		t.record.dropContext(c.ID)
		return
	}
	t.record.keepContext(c)
}
