package fsm

import (
	"bytes"
	"fmt"
	"slices"

	"lockstep/canister"
	"lockstep/memstore"
)

// The life of a canister is changed by clients' messages, which wait for everything before them in the round and run alone, and
// by calls to the management canister, which are done when the round's executions are (management.go).

// command is a change of a canister's life that somebody wants.
type command struct {
	kind Kind
	// from is who wants it and is told how it ended.
	from origin
	// number is that of the execution, if there is one.
	number      uint64
	module, arg []byte
	options     canister.UpgradeOptions
}

// change runs message i, which changes a canister's life.
func (w *roundWork) change(i int) error {
	if err := w.execute(); err != nil {
		return err
	}
	msg := &w.round.Messages[i]
	c := &command{kind: msg.Kind, from: w.client(i), number: uint64(i), module: msg.Module, arg: msg.Arg,
		options: canister.UpgradeOptions{SkipPreUpgrade: msg.SkipPreUpgrade, Memory: msg.Memory}}
	id, found := w.machine.names[msg.Canister]
	var r Result
	var err error
	switch {
	case msg.Kind == KindLimits && msg.Canister == "":
		r = w.setLimits(string(msg.Arg))
	case msg.Kind == KindInstall && !found:
		r, err = w.install(msg.Canister, c)
	case !found:
		r = w.refusal("there is no canister %q", msg.Canister)
	default:
		r, err = w.command(w.turn(id), c)
	}
	if err != nil || r.Status == 0 {
		return err
	}
	return w.answer(c.from, r)
}

// command carries a command out on a canister that is there. A result of status 0 says that the answer was given, or will be.
func (w *roundWork) command(t *turn, c *command) (r Result, err error) {
	if !t.controlledBy(c.from.Caller) {
		return w.refusal("the caller %s is not a controller of canister %q", canister.PrincipalText(c.from.Caller), t.record.Name), nil
	}
	switch c.kind {
	case KindInstall:
		if !t.record.empty() {
			return w.refusal("there is a canister %q already", t.record.Name), nil
		}
		return w.reinstall(t, c)
	case KindUpgrade:
		return w.upgrade(t, c)
	case KindReinstall:
		return w.reinstall(t, c)
	case KindStop:
		t.stop(c.from)
	case KindStart:
		t.start(c.from)
	case KindDelete:
		if r, err = w.delete(t); err != nil || r.Status != StatusReplied {
			return r, err
		}
	case KindLimits:
		return w.limitCanister(t, string(c.arg))
	default:
		panic(fmt.Sprintf("fsm: %s is no command", c.kind))
	}
	return r, w.collect(t)
}

// refusal is the result of what the state machine does not do.
func (w *roundWork) refusal(format string, args ...any) Result {
	return Result{Status: StatusRefused, Text: fmt.Sprintf(format, args...), Round: w.next.Round}
}

// answer tells an origin how its message or call has ended, once no turn runs.
func (w *roundWork) answer(o origin, r Result) error {
	r.Round = w.next.Round
	if o.Kind == fromCanister {
		w.deliverResponse(o.Canister, responseOf(o.Call, r))
		return nil
	}
	return w.complete(clientAnswer{o, r})
}

func (t *turn) controlledBy(caller []byte) bool {
	return slices.ContainsFunc(t.record.Controllers, func(c []byte) bool { return bytes.Equal(c, caller) })
}

// emptyModule is the module of a canister that has no code: one that has no methods.
var emptyModule = []byte("\x00asm\x01\x00\x00\x00")

// empty reports whether a canister has no code.
func (c *canisterRecord) empty() bool { return c.CodeBytes == uint64(len(emptyModule)) }

// create makes a canister of a module, under a name or under its principal's text. There is none if the result is no reply.
func (w *roundWork) create(name string, controllers [][]byte, l canister.Limits, c *command) (CanisterID, Result, error) {
	m := w.machine
	id := w.next.NextCanister
	if name == "" {
		name = canister.PrincipalText(canister.Principal(uint64(id)))
	}
	if m.names[name] != 0 {
		return 0, w.refusal("there is a canister %q already", name), nil
	}
	if uint64(len(w.next.canisters)) >= w.next.Limits.Canisters {
		return 0, w.refusal("the cluster has %d canisters, as many as it allows", len(w.next.canisters)), nil
	}
	record := canisterRecord{ID: id, Name: name, Controllers: controllers, Limits: l, Life: Running, traffic: newTraffic()}
	live, outcome, r, err := w.newLive(&record, c)
	if live == nil {
		return 0, r, err
	}
	if err := w.enterModule(&record, c.module, live, outcome); err != nil {
		return 0, r, err
	}
	w.next.NextCanister++
	w.next.putCanisters([]*canisterRecord{&record})
	m.names[name] = id
	return id, r, nil
}

// install creates a canister of a client's message. Its caller becomes its controller.
func (w *roundWork) install(name string, c *command) (Result, error) {
	_, r, err := w.create(name, [][]byte{c.from.Caller}, w.next.Limits.Canister, c)
	return r, err
}

// newLive installs a module over nothing for a record. There is no live canister unless the result is a reply.
func (w *roundWork) newLive(record *canisterRecord, c *command) (*canister.Canister, canister.Outcome, Result, error) {
	fail := func(r Result, err error) (*canister.Canister, canister.Outcome, Result, error) {
		if err != nil {
			err = fmt.Errorf("round %d: %s canister %s: %w", w.next.Round, c.kind, record.Name, err)
		}
		return nil, canister.Outcome{}, r, err
	}
	module, refusal, err := w.machine.compile(c.module, w.next.Limits, record.Limits)
	if err != nil || refusal != "" {
		return fail(w.refusal("%s", refusal), err)
	}
	live, outcome, err := canister.Install(w.machine.canisterConfig(record.Limits), module, w.env(record, c.from.Caller, c.number), c.arg)
	if err != nil {
		return fail(Result{}, err)
	}
	if live != nil {
		w.machine.own(live)
	}
	return live, outcome, resultOf(outcome, w.next.Round), nil
}

// enterModule gives a record the live canister that was made of a module.
func (w *roundWork) enterModule(c *canisterRecord, module []byte, live *canister.Canister, outcome canister.Outcome) error {
	code, err := storePages(w.machine.pages, module)
	if err != nil {
		return fmt.Errorf("round %d: keep module of canister %s: %w", w.next.Round, c.Name, err)
	}
	c.Module, c.Code, c.CodeBytes = live.Module().Program.Hash, code, uint64(len(module))
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
func (w *roundWork) upgrade(t *turn, c *command) (Result, error) {
	record := &t.record
	if n := len(record.Calls); n > 0 {
		return w.refusal("canister %q waits for %d responses, whose callbacks are functions of the module that it has now: stop it first", record.Name, n), nil
	}
	module, refusal, err := w.machine.compile(c.module, w.next.Limits, record.Limits)
	if err != nil || refusal != "" {
		return w.refusal("%s", refusal), err
	}
	live, outcome, err := canister.Upgrade(w.machine.canisterConfig(record.Limits), record.live, module,
		w.env(record, c.from.Caller, c.number), c.arg, c.options)
	if err != nil {
		return Result{}, fmt.Errorf("round %d: upgrade canister %s: %w", w.next.Round, record.Name, err)
	}
	r := resultOf(outcome, w.next.Round)
	if live == nil {
		return r, nil
	}
	w.machine.own(live)
	w.retire(record, false)
	record.Version++ // canister_post_upgrade has seen one version, what comes after sees another
	return r, w.enterModule(record, c.module, live, outcome)
}

// reinstall installs a module over nothing under the name and number of a canister, or changes nothing. Whoever waits for
// the old canister is told, and responses to its calls will be dropped.
func (w *roundWork) reinstall(t *turn, c *command) (Result, error) {
	record := &t.record
	live, outcome, r, err := w.newLive(record, c)
	if live == nil {
		return r, err
	}
	w.retire(record, true)
	for _, context := range record.Contexts {
		if !context.Answered {
			t.respond(context.Origin, Result{Status: StatusRejected, RejectCode: codeReject, Fuel: context.Fuel,
				Text: fmt.Sprintf("canister %q was installed anew", record.Name)})
		}
	}
	record.Contexts, record.Calls = nil, nil
	t.settleStop()
	if err := w.enterModule(record, c.module, live, outcome); err != nil {
		return r, err
	}
	return r, w.collect(t)
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

// done is how a stop or a start ends well: with the reply that the management canister gives to it, no values in Candid.
var done = Result{Status: StatusReplied, Reply: []byte("DIDL\x00\x00")}

// maxStops bounds those who wait for one canister to have stopped.
const maxStops = 64

// stop makes a canister take no more messages. The answer comes when nothing is outstanding.
func (t *turn) stop(o origin) {
	switch {
	case t.record.Life == Stopped:
		t.respond(o, done)
		return
	case len(t.record.Stops) >= maxStops:
		t.respond(o, Result{Status: StatusRefused, Text: fmt.Sprintf("%d others wait for canister %q to stop", maxStops, t.record.Name)})
		return
	case t.record.Life == Running:
		t.record.Life = Stopping
		t.record.Version++
	}
	t.record.Stops = append(t.record.Stops, o)
	if o.Kind == fromClient {
		t.respond(o, Result{Status: StatusPending, Ref: o.Ref})
	}
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
	t.respond(o, done)
}

// delete takes a stopped canister out of the cluster. Calls that wait at it are rejected.
func (w *roundWork) delete(t *turn) (Result, error) {
	c := &t.record
	if c.Life != Stopped {
		return w.refusal("canister %q is %s: stop it first", c.Name, c.Life), nil
	}
	for _, q := range c.Queue {
		if !q.Response {
			t.respond(q.Origin, Result{Status: StatusRejected, RejectCode: codeDestination, Text: fmt.Sprintf("canister %q was deleted", c.Name)})
		}
	}
	w.retire(c, true)
	delete(w.machine.names, c.Name)
	delete(w.turns, c.ID)
	w.left = append(w.left, t)
	w.next.removeCanister(c.ID)
	return Result{Status: StatusReplied, Round: w.next.Round}, nil
}
