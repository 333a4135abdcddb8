package fsm

import (
	"bytes"
	"fmt"
	"slices"

	"lockstep/canister"
	"lockstep/memstore"
)

// The life of a canister is changed by messages that wait for everything before them in the round and run alone.

// change runs message i, which changes a canister's life.
func (w *roundWork) change(i int) error {
	if err := w.execute(); err != nil {
		return err
	}
	msg := &w.round.Messages[i]
	if msg.Kind == KindInstall {
		return w.install(i)
	}
	id, found := w.machine.names[msg.Canister]
	if !found {
		w.refuse(i, fmt.Sprintf("there is no canister %q", msg.Canister))
		return nil
	}
	t := w.turn(id)
	if !t.controlledBy(msg.Caller) {
		w.refuse(i, fmt.Sprintf("the caller %q is not a controller of canister %q", msg.Caller, msg.Canister))
		return nil
	}
	var err error
	switch msg.Kind {
	case KindUpgrade:
		err = w.upgrade(i, t)
	case KindReinstall:
		err = w.reinstall(i, t)
	case KindStop:
		t.stop(w.client(i))
	case KindStart:
		t.start(w.client(i))
	case KindDelete:
		return w.delete(i, t)
	}
	if err != nil {
		return err
	}
	return w.collect(t)
}

func (t *turn) controlledBy(caller []byte) bool {
	return slices.ContainsFunc(t.record.Controllers, func(c []byte) bool { return bytes.Equal(c, caller) })
}

// install creates a canister. Its caller becomes its controller.
func (w *roundWork) install(i int) error {
	msg, m := &w.round.Messages[i], w.machine
	if m.names[msg.Canister] != 0 {
		w.refuse(i, fmt.Sprintf("there is a canister %q already", msg.Canister))
		return nil
	}
	if uint64(len(w.next.canisters)) >= w.next.Limits.Canisters {
		w.refuse(i, fmt.Sprintf("the cluster has %d canisters, as many as it allows", len(w.next.canisters)))
		return nil
	}
	module, refusal, err := w.compile(msg)
	if err != nil || refusal != "" {
		w.refuse(i, refusal)
		return err
	}
	c := canisterRecord{ID: w.next.NextCanister, Name: msg.Canister, Controllers: [][]byte{msg.Caller}, Life: Running, traffic: newTraffic()}
	live, outcome, err := canister.Install(m.canisterConfig(w.next.Limits), module, w.env(&c, msg.Caller, uint64(i)), msg.Arg)
	if err != nil {
		return fmt.Errorf("round %d: install canister %s: %w", w.next.Round, msg.Canister, err)
	}
	w.results[i] = resultOf(outcome, w.next.Round)
	if live == nil {
		return nil
	}
	m.own(live)
	if err := w.enterModule(&c, msg, live, outcome); err != nil {
		return err
	}
	w.next.NextCanister++
	w.next.putCanisters([]*canisterRecord{&c})
	m.names[c.Name] = c.ID
	return nil
}

// enterModule gives a record the module and the live canister that were made of a message.
func (w *roundWork) enterModule(c *canisterRecord, msg *Message, live *canister.Canister, outcome canister.Outcome) error {
	code, err := storePages(w.machine.pages, msg.Module)
	if err != nil {
		return fmt.Errorf("round %d: keep module of canister %s: %w", w.next.Round, msg.Canister, err)
	}
	c.Module, c.Code, c.CodeBytes = live.Module().Program.Hash, code, uint64(len(msg.Module))
	c.live, c.State = live, live.State()
	c.Version++
	c.Timer = 0
	if outcome.Timer != nil {
		c.Timer = *outcome.Timer
	}
	return nil
}

// upgrade changes a canister's module and keeps its state as canister.Upgrade says, or changes nothing. Calls without a
// response stand in the way: their callbacks are functions of the old module.
func (w *roundWork) upgrade(i int, t *turn) error {
	msg, c := &w.round.Messages[i], &t.record
	if n := len(c.Calls); n > 0 {
		w.refuse(i, fmt.Sprintf("canister %q waits for %d responses, whose callbacks are functions of the module that it has now: stop it first", c.Name, n))
		return nil
	}
	module, refusal, err := w.compile(msg)
	if err != nil || refusal != "" {
		w.refuse(i, refusal)
		return err
	}
	live, outcome, err := canister.Upgrade(w.machine.canisterConfig(w.next.Limits), c.live, module,
		w.env(c, msg.Caller, uint64(i)), msg.Arg, canister.UpgradeOptions{})
	if err != nil {
		return fmt.Errorf("round %d: upgrade canister %s: %w", w.next.Round, msg.Canister, err)
	}
	w.results[i] = resultOf(outcome, w.next.Round)
	if live == nil {
		return nil
	}
	w.machine.own(live)
	w.retire(c, false)
	c.Version++ // canister_post_upgrade has seen one version, what comes after sees another
	return w.enterModule(c, msg, live, outcome)
}

// reinstall installs a module over nothing under the name and number of a canister, or changes nothing. Whoever waits for
// the old canister is told, and responses to its calls will be dropped.
func (w *roundWork) reinstall(i int, t *turn) error {
	msg, c := &w.round.Messages[i], &t.record
	module, refusal, err := w.compile(msg)
	if err != nil || refusal != "" {
		w.refuse(i, refusal)
		return err
	}
	live, outcome, err := canister.Install(w.machine.canisterConfig(w.next.Limits), module, w.env(c, msg.Caller, uint64(i)), msg.Arg)
	if err != nil {
		return fmt.Errorf("round %d: reinstall canister %s: %w", w.next.Round, msg.Canister, err)
	}
	w.results[i] = resultOf(outcome, w.next.Round)
	if live == nil {
		return nil
	}
	w.machine.own(live)
	w.retire(c, true)
	for _, context := range c.Contexts {
		if !context.Answered {
			t.respond(context.Origin, Result{Status: StatusRejected, RejectCode: codeReject, Fuel: context.Fuel,
				Text: fmt.Sprintf("canister %q was installed anew", c.Name)})
		}
	}
	c.Contexts, c.Calls = nil, nil
	t.settleStop()
	return w.enterModule(c, msg, live, outcome)
}

// retire gives up the live canister of a record with its code, and its memories if nothing goes on with them.
func (w *roundWork) retire(c *canisterRecord, memories bool) {
	versions := []memstore.Version{c.Code}
	if memories {
		state := c.live.State()
		versions = append(versions, state.Memory, state.Stable)
	}
	w.machine.retire(c.live, w.next.Round, versions)
}

// maxStops bounds those who wait for one canister to have stopped.
const maxStops = 64

// stop makes a canister take no more messages. The answer comes when nothing is outstanding.
func (t *turn) stop(o origin) {
	switch {
	case t.record.Life == Stopped:
		t.respond(o, Result{Status: StatusReplied})
		return
	case len(t.record.Stops) >= maxStops:
		t.respond(o, Result{Status: StatusRefused, Text: fmt.Sprintf("%d others wait for canister %q to stop", maxStops, t.record.Name)})
		return
	case t.record.Life == Running:
		t.record.Life = Stopping
		t.record.Version++
	}
	t.record.Stops = append(t.record.Stops, o)
	t.respond(o, Result{Status: StatusPending, Ref: o.Ref})
	t.settleStop()
}

// start makes a canister take messages again. Those who wait for it to have stopped are told that it has not.
func (t *turn) start(o origin) {
	if t.record.Life != Running {
		t.record.Life = Running
		t.record.Version++
	}
	for _, waiting := range t.record.Stops {
		t.respond(waiting, Result{Status: StatusRejected, RejectCode: codeError, Text: fmt.Sprintf("canister %q was started again", t.record.Name)})
	}
	t.record.Stops = nil
	t.respond(o, Result{Status: StatusReplied})
}

// delete takes a stopped canister out of the cluster. Calls that wait at it are rejected.
func (w *roundWork) delete(i int, t *turn) error {
	c := &t.record
	if c.Life != Stopped {
		w.refuse(i, fmt.Sprintf("canister %q is %s: stop it first", c.Name, c.Life))
		return nil
	}
	for _, q := range c.Queue {
		if !q.Response {
			t.respond(q.Origin, Result{Status: StatusRejected, RejectCode: codeDestination, Text: fmt.Sprintf("canister %q was deleted", c.Name)})
		}
	}
	t.respond(w.client(i), Result{Status: StatusReplied})
	w.retire(c, true)
	delete(w.machine.names, c.Name)
	delete(w.turns, c.ID)
	w.left = append(w.left, t)
	w.next.removeCanister(c.ID)
	return w.collect(t)
}
