package fsm

import (
	"fmt"
	"slices"

	"lockstep/canister"
)

// turn is one canister's part of a round. Turns of different canisters run beside each other: a turn changes nothing but
// itself, its live canister, and the results of its own messages.
type turn struct {
	round *roundWork
	// record becomes the canister's entry when the round ends.
	record canisterRecord
	// begun says that queue, timer and heartbeat have run. They run once in a round, before its messages.
	begun bool
	// jobs are the positions of the round's messages that are to run, in log order.
	jobs []int
	// executions numbers those that are no message of the round's.
	executions uint64
	// outbox are calls and responses in the order in which they were made, answered the clients' messages likewise.
	outbox   []envelope
	answered []clientAnswer
}

// envelope is something on its way into the queue of a canister, which may be the sender's own.
type envelope struct {
	// callee is the principal that a call goes to. A response goes to the canister to.
	callee []byte
	to     CanisterID
	item   *queued
}

// clientAnswer is the end of a client's message.
type clientAnswer struct {
	origin origin
	result Result
}

// turn gives the canister's turn in this round, a new one if it has none yet. The canister must exist.
func (w *roundWork) turn(id CanisterID) *turn {
	if t := w.turns[id]; t != nil {
		return t
	}
	t := &turn{round: w, record: *w.next.canister(id)}
	t.record.traffic = t.record.traffic.clone()
	w.turns[id] = t
	return t
}

// busy reports whether there is anything to run.
func (t *turn) busy() bool { return len(t.jobs) > 0 || !t.begun && t.round.wakes(&t.record) }

// wakes reports whether a canister has something to do in this round even if no message comes.
func (w *roundWork) wakes(c *canisterRecord) bool {
	return len(c.Queue) > 0 || c.dueCall(w.next.Time) || c.timerDue(w.next.Time, &w.next.Limits) || w.heartbeat(c)
}

func (w *roundWork) heartbeat(c *canisterRecord) bool {
	every := w.next.Limits.HeartbeatRounds
	return c.Life == Running && every > 0 && uint64(w.next.Round)%every == 0 && c.live.Module().Has(canister.EntryHeartbeat)
}

// run runs what is to run. It is called at the end of the round, and before each message that changes a canister's life.
func (t *turn) run() error {
	steps := []func() error{t.takeQueue, t.runTimer, t.runHeartbeat}
	if t.begun {
		steps = nil
	}
	t.begun = true
	for _, step := range append(steps, t.runMessages) {
		if err := step(); err != nil {
			return fmt.Errorf("round %d, canister %s: %w", t.round.next.Round, t.record.Name, err)
		}
	}
	t.settleStop()
	return nil
}

// takeQueue handles what waited when the round began, as far as the limits on a turn allow.
func (t *turn) takeQueue() error {
	t.record.expire(t.round.next.Time)
	limits, fuel := &t.round.next.Limits, uint64(0)
	for range min(uint64(len(t.record.Queue)), limits.TurnMessages) {
		if fuel >= limits.TurnFuel {
			break
		}
		used, err := t.take(t.record.pop())
		if err != nil {
			return err
		}
		fuel += used
	}
	return nil
}

// take handles one item of the queue and gives the fuel that it used.
func (t *turn) take(q *queued) (uint64, error) {
	if q.Response {
		return t.takeResponse(q)
	}
	if code, reason := t.turnsAway(); code != 0 {
		t.respond(q.Origin, Result{Status: StatusRejected, RejectCode: code, Text: reason})
		return 0, nil
	}
	return t.open(q.Origin, canister.Input{Entry: canister.EntryUpdate, Method: q.Method, Arg: q.Data}, t.number())
}

// turnsAway says why no new message may run; code 0 if one may.
func (t *turn) turnsAway() (code uint32, reason string) {
	switch {
	case t.record.empty():
		return codeDestination, fmt.Sprintf("canister %q has no module", t.record.Name)
	case t.record.Life != Running:
		return codeError, fmt.Sprintf("canister %q is %s", t.record.Name, t.record.Life)
	case uint64(len(t.record.Calls)) >= t.round.next.Limits.Calls:
		return codeTransient, fmt.Sprintf("canister %q waits for %d responses, as many as the cluster allows: try again later",
			t.record.Name, len(t.record.Calls))
	}
	return 0, ""
}

func (t *turn) runTimer() error {
	if !t.record.timerDue(t.round.next.Time, &t.round.next.Limits) {
		return nil
	}
	t.record.Timer = 0
	if !t.record.live.Module().Has(canister.EntryTimer) {
		return nil
	}
	return t.runTask(canister.EntryTimer)
}

func (t *turn) runHeartbeat() error {
	if !t.round.heartbeat(&t.record) {
		return nil
	}
	return t.runTask(canister.EntryHeartbeat)
}

// runTask runs a task unless the canister waits for too much already. The management canister is its caller.
func (t *turn) runTask(entry canister.Entry) error {
	if code, _ := t.turnsAway(); code != 0 {
		return nil
	}
	_, err := t.open(origin{Kind: fromTask}, canister.Input{Entry: entry}, t.number())
	return err
}

// runMessages runs the round's own messages to the canister.
func (t *turn) runMessages() error {
	jobs := t.jobs
	t.jobs = nil
	for _, i := range jobs {
		msg := &t.round.round.Messages[i]
		if _, reason := t.turnsAway(); reason != "" {
			t.round.refuse(i, reason)
			continue
		}
		in := canister.Input{Entry: canister.EntryUpdate, Method: msg.Method, Arg: msg.Arg}
		if _, err := t.open(t.round.client(i), in, uint64(i)); err != nil {
			return fmt.Errorf("message %d (method %s): %w", i, msg.Method, err)
		}
	}
	return nil
}

// client is the sender of message i.
func (w *roundWork) client(i int) origin {
	msg := &w.round.Messages[i]
	return origin{Kind: fromClient, Caller: callerOf(msg.Caller), Ref: Ref{Round: w.next.Round, Position: uint64(i)}, Session: msg.Session}
}

// number is the next execution's, apart from those of the round's messages.
func (t *turn) number() uint64 {
	t.executions++
	return 1<<32 + t.executions
}

func (t *turn) env(caller []byte, number uint64) canister.Env {
	return t.round.env(&t.record, caller, number)
}

// env is the world as an execution of this round sees it.
func (w *roundWork) env(c *canisterRecord, caller []byte, number uint64) canister.Env {
	env := c.env(&w.next, caller)
	env.Message, env.Seed, env.Log = number, w.seed, w.machine.logOf(c.ID)
	return env
}

// env is what an execution sees of a state.
func (c *canisterRecord) env(s *State, caller []byte) canister.Env {
	return canister.Env{
		Canister:    uint64(c.ID),
		Round:       uint64(s.Round),
		Time:        s.Time,
		Caller:      caller,
		Self:        canister.Principal(uint64(c.ID)),
		Controllers: c.Controllers,
		Version:     c.Version,
		Status:      uint32(c.Life),
		Timer:       c.Timer,
	}
}

// settleStop ends a stop when nothing is outstanding any more.
func (t *turn) settleStop() {
	if t.record.Life != Stopping || len(t.record.Contexts) > 0 {
		return
	}
	t.record.Life = Stopped
	t.record.Version++
	stops := t.record.Stops
	t.record.Stops = nil
	for _, o := range stops {
		t.respond(o, done)
	}
}

// respond tells an origin its answer.
func (t *turn) respond(o origin, r Result) {
	r.Round = t.round.next.Round
	switch o.Kind {
	case fromClient:
		t.answered = append(t.answered, clientAnswer{o, r})
	case fromCanister:
		t.outbox = append(t.outbox, envelope{to: o.Canister, item: responseOf(o.Call, r)})
	}
}

// responseOf is a result as the caller's callbacks see it.
func responseOf(call callID, r Result) *queued {
	switch r.Status {
	case StatusReplied:
		return &queued{Response: true, Call: call, Data: r.Reply}
	case StatusRejected:
		return rejection(call, r.RejectCode, r.Text)
	}
	return rejection(call, codeError, r.Text)
}

// collect hands the answers of a turn to the round. It is called from one goroutine, in the order of the canisters.
func (w *roundWork) collect(t *turn) error {
	for _, a := range t.answered {
		if err := w.complete(a); err != nil {
			return err
		}
	}
	t.answered = nil
	return nil
}

// complete gives a client's message its result.
func (w *roundWork) complete(a clientAnswer) error {
	if a.origin.Ref.Round == w.next.Round {
		w.results[a.origin.Ref.Position] = a.result
		return nil
	}
	w.completed = append(w.completed, Completion{Ref: a.origin.Ref, Result: a.result})
	s := w.next.sessions.get(a.origin.Session)
	if s == nil || s.Result.Ref != a.origin.Ref { // it has gone on to a newer message
		return nil
	}
	answered := *s
	w.keep(&answered, a.result)
	return w.next.sessions.put(w.next.Round, &answered)
}

// ids lists the canisters that have a turn, ascending.
func (w *roundWork) ids() []CanisterID {
	ids := make([]CanisterID, 0, len(w.turns))
	for id := range w.turns {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
