package canister

import (
	"bytes"
	"reflect"
	"testing"
)

// queue delivers calls and answers between executions, as a state machine
// would, to one canister on several replicas, which must agree on everything.
type queue struct {
	t       testing.TB
	rigs    []*rig
	items   []item
	version uint64
	timer   uint64
	runs    int // executions so far
}

// item is an execution to come.
type item struct {
	ctx  *callContext
	in   Input
	call *Call // that a callback belongs to
}

// callContext is a call that waits for an answer.
type callContext struct {
	caller   []byte
	answered bool
	answer   Outcome
	waiting  int // calls that it waits for
	spent    uint64
	parent   *callContext // nil if the call came from outside
	call     *Call        // of the parent
}

// update sends a message and runs until nothing is left to do.
func (q *queue) update(method string, arg []byte) Outcome {
	q.t.Helper()
	ctx := q.send(method, arg)
	for q.step() {
	}
	return ctx.answer
}

func (q *queue) send(method string, arg []byte) *callContext {
	ctx := &callContext{caller: []byte("caller")}
	q.items = append(q.items, item{ctx: ctx, in: Input{Method: method, Arg: arg}})
	return ctx
}

// task runs a heartbeat or timer and what follows from it.
func (q *queue) task(e Entry) Outcome {
	q.t.Helper()
	ctx := &callContext{answered: true}
	out := q.run(ctx, Input{Entry: e}, nil)
	for q.step() {
	}
	return out
}

// step carries out the next execution, false if there is none.
func (q *queue) step() bool {
	q.t.Helper()
	if len(q.items) == 0 {
		return false
	}
	next := q.items[0]
	q.items = q.items[1:]
	if next.call != nil {
		next.ctx.waiting--
	}
	q.run(next.ctx, next.in, next.call)
	return true
}

// run carries out one execution and queues what follows from it.
func (q *queue) run(ctx *callContext, in Input, call *Call) Outcome {
	q.t.Helper()
	in.Answered, in.Spent = ctx.answered, ctx.spent
	out := q.execute(ctx.caller, in)
	ctx.spent += out.Fuel
	if out.Status.Committed() {
		q.note(out)
		for _, c := range out.Calls {
			ctx.waiting++
			q.deliver(ctx, &c)
		}
	} else if call != nil && call.OnCleanup != nil {
		cleanup := q.execute(ctx.caller, Input{Entry: EntryCleanup, Callback: *call.OnCleanup, RejectCode: in.RejectCode, Spent: ctx.spent})
		ctx.spent += cleanup.Fuel
	}
	if !ctx.answered && (out.Status == Replied || out.Status == Rejected || ctx.waiting == 0) {
		if out.Status == NoReply {
			out.Text, out.RejectCode = textNoReply, rejectError
		}
		q.answer(ctx, out)
	}
	return out
}

func (q *queue) note(out Outcome) {
	q.version++
	if out.Timer != nil {
		q.timer = *out.Timer
	}
}

// deliver takes a call to where it goes.
func (q *queue) deliver(ctx *callContext, c *Call) {
	if id, ok := CanisterOf(c.Callee); !ok || id != rigCanister {
		q.respond(ctx, c, Outcome{Status: Rejected, RejectCode: 3, Text: "no such canister"})
		return
	}
	callee := &callContext{caller: Principal(rigCanister), parent: ctx, call: c}
	q.items = append(q.items, item{ctx: callee, in: Input{Method: c.Method, Arg: c.Arg}})
}

func (q *queue) answer(ctx *callContext, out Outcome) {
	ctx.answered, ctx.answer = true, out
	if ctx.parent != nil {
		q.respond(ctx.parent, ctx.call, out)
	}
}

func (q *queue) respond(ctx *callContext, c *Call, out Outcome) {
	in := Input{Entry: EntryReply, Arg: out.Reply, Callback: c.OnReply}
	if out.Status != Replied {
		in = Input{Entry: EntryReject, RejectCode: out.RejectCode, RejectText: out.Text, Callback: c.OnReject}
	}
	q.items = append(q.items, item{ctx, in, c})
}

// execute runs on every replica.
func (q *queue) execute(caller []byte, in Input) Outcome {
	q.t.Helper()
	q.runs++
	outs := q.each(func(r *rig) Outcome {
		env := r.env()
		env.Caller, env.Version, env.Timer = caller, q.version, q.timer
		before := r.root()
		out, err := r.Execute(env, in)
		if err != nil {
			q.t.Fatalf("%+v: %v", in, err)
		}
		if r.root() != before && (!out.Status.Committed() || in.Entry == EntryInspect) {
			q.t.Errorf("%+v: %v left changes", in, out)
		}
		return out
	})
	return outs
}

// each does something on every replica and compares what comes of it.
func (q *queue) each(do func(*rig) Outcome) Outcome {
	q.t.Helper()
	var first Outcome
	for i, r := range q.rigs {
		out := do(r)
		if i == 0 {
			first = out
		} else if !reflect.DeepEqual(out, first) {
			q.t.Errorf("replica %d: %v, replica 0: %v", i, out, first)
		}
		if r.root() != q.rigs[0].root() {
			q.t.Fatalf("replicas have different roots after %v", out)
		}
	}
	return first
}

// upgrade replaces the module on every replica.
func (q *queue) upgrade(wasm, arg []byte, o UpgradeOptions) Outcome {
	q.t.Helper()
	out := q.each(func(r *rig) Outcome {
		before := r.root()
		env := r.env()
		env.Version, env.Timer = q.version, q.timer
		can, out, err := Upgrade(r.config, r.Canister, compile(q.t, r.config, wasm), env, arg, o)
		if err != nil {
			q.t.Fatal(err)
		}
		if can != nil {
			r.adopt(can)
			r.original = wasm
		} else if r.root() != before {
			q.t.Errorf("the upgrade that failed left changes: %v", out)
		}
		return out
	})
	if out.Status == Replied {
		q.version++
		q.note(out)
	}
	return out
}

// reinstall starts over with a module on every replica.
func (q *queue) reinstall(wasm, arg []byte) Outcome {
	q.t.Helper()
	out := q.each(func(r *rig) Outcome {
		can, out, err := Install(r.config, compile(q.t, r.config, wasm), r.env(), arg)
		if err != nil {
			q.t.Fatal(err)
		}
		if can != nil {
			old := r.State()
			if err := r.Canister.Close(); err != nil {
				q.t.Fatal(err)
			}
			r.config.Store.Drop(old.Memory)
			r.config.Store.Drop(old.Stable)
			r.adopt(can)
		}
		return out
	})
	if out.Status == Replied {
		q.timer = 0
		q.note(out)
	}
	return out
}

// composite runs a composite query, whose calls are answered by queries.
func (q *queue) composite(method string, arg []byte) Outcome {
	q.t.Helper()
	return q.each(func(r *rig) Outcome {
		state := r.State()
		out, err := r.CompositeQuery(r.env(), state, Message{method, arg}, func(c Call) (Outcome, error) {
			if !bytes.Equal(c.Callee, Principal(rigCanister)) {
				return Outcome{Status: Rejected, RejectCode: 3, Text: "no such canister"}, nil
			}
			return r.Query(r.env(), state, Message{c.Method, c.Arg})
		})
		if err != nil {
			q.t.Fatal(err)
		}
		return out
	})
}
