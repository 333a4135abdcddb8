//go:build cgo

package canister

import (
	"math"

	"lockstep/canister/program"
	"lockstep/canister/systemapi"
)

// CompositeQuery runs a composite query on a state of this canister, or a query
// like Query. Each call that it makes is given to ask, one after the other, and
// the answer to the callback, which sees what the query did to memory before;
// once the query has answered, no more calls are made. In the end all effects
// are discarded. Limits.Fuel bounds the query, its callbacks and the answers
// together. A callback that traps ends the query: its cleanup callback is not
// run, since nothing that it does could be seen.
//
// Preconditions: those of Query. ask may query this canister, too.
func (c *Canister) CompositeQuery(env Env, s State, msg Message, ask func(Call) (Outcome, error)) (Outcome, error) {
	kind, export := c.module.Program.Method(msg.Method)
	if kind != program.CompositeQuery {
		return c.Query(env, s, msg)
	}
	q := compositeQuery{ask: ask, pool: c.queries, limit: c.config.Limits.Fuel, program: c.module.Program}
	if env.CallsLeft = 0; ask != nil {
		env.CallsLeft = math.MaxUint64
	}
	q.x = systemapi.Execution{Env: env, Occasion: systemapi.InCompositeQuery, Arg: msg.Arg, Fuel: q.limit}
	return c.onState(env.Canister, s, func(in *instance) (Outcome, error) { return q.run(in, target{export: export}) })
}

// compositeQuery is one under way.
type compositeQuery struct {
	ask     func(Call) (Outcome, error)
	pool    *queryPool
	program *program.Program
	limit   uint64
	x       systemapi.Execution // the next one
	calls   []Call              // to be made
}

func (q *compositeQuery) run(in *instance, t target) (Outcome, error) {
	for {
		out, err := in.run(t, q.x)
		if err != nil {
			return out, err
		}
		q.x.Spent += out.Fuel
		q.calls = append(q.calls, out.Calls...)
		if out.Status != NoReply || len(q.calls) == 0 {
			if out.Status == NoReply {
				out = failed(NoReply, textNoReply, 0)
			}
			out.Calls, out.Fuel = nil, q.x.Spent
			return out, nil
		}
		call := q.calls[0]
		q.calls = q.calls[1:]
		if t, err = q.await(call); err != nil {
			return Outcome{}, err
		}
		switch {
		case q.x.Spent >= q.limit:
			return outOfFuel(q.limit), nil
		case !q.program.HasTable:
			return failed(Trapped, textNoTable, q.x.Spent), nil
		}
	}
}

// await has a call answered and gives the callback.
func (q *compositeQuery) await(call Call) (target, error) {
	q.pool.leave() // others may run meanwhile, and this canister be asked
	answer, err := q.ask(call)
	q.pool.enter()
	if err != nil {
		return target{}, err
	}
	spent := q.x.Spent + min(answer.Fuel, q.limit)
	next := systemapi.Execution{Env: q.x.Env, Step: q.x.Step + 1, Spent: spent, Fuel: q.limit - min(spent, q.limit)}
	then := call.OnReply
	if answer.Status == Replied {
		next.Occasion, next.Arg = systemapi.InCompositeReply, answer.Reply
	} else {
		next.Occasion, next.RejectCode, next.RejectText = systemapi.InCompositeReject, answer.RejectCode, answer.Text
		then = call.OnReject
	}
	q.x = next
	return target{program.CallbackExport, []uint64{then.Func, then.Env}}, nil
}
