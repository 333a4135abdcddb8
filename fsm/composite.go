package fsm

import (
	"fmt"

	"lockstep/canister"
	"lockstep/canister/program"
)

// maxNested bounds how often one canister may be at work in one composite query: as many instances as any canister has for
// queries. One composite query runs at a time, so that no two wait for each other's instances.
const maxNested = 2

// compositeQuery answers the calls of a composite query out of one published state.
type compositeQuery struct {
	machine *Machine
	state   *published
	atWork  map[CanisterID]int
}

// runQuery runs a query of a canister, composite or not.
func (m *Machine) runQuery(p *published, c *canisterRecord, q Query) (canister.Outcome, error) {
	env := c.env(&p.state, callerOf(q.Caller))
	env.Log = m.logOf(c.ID)
	message := canister.Message{Method: q.Method, Arg: q.Arg}
	if !isComposite(c, q.Method) {
		return c.live.Query(env, c.State, message)
	}
	m.composite.Lock()
	defer m.composite.Unlock()
	run := &compositeQuery{machine: m, state: p, atWork: map[CanisterID]int{}}
	return run.on(c, env, message)
}

// on runs a query of one canister, with the calls that it makes.
func (q *compositeQuery) on(c *canisterRecord, env canister.Env, message canister.Message) (canister.Outcome, error) {
	q.atWork[c.ID]++
	defer func() { q.atWork[c.ID]-- }()
	return c.live.CompositeQuery(env, c.State, message, func(call canister.Call) (canister.Outcome, error) {
		return q.ask(c, call)
	})
}

// ask answers one call of a composite query.
func (q *compositeQuery) ask(caller *canisterRecord, call canister.Call) (canister.Outcome, error) {
	id, _ := canister.CanisterOf(call.Callee)
	callee := q.state.state.canister(CanisterID(id))
	reject := func(code uint32, format string, args ...any) (canister.Outcome, error) {
		return canister.Outcome{Status: canister.Rejected, RejectCode: code, Text: fmt.Sprintf(format, args...)}, nil
	}
	switch {
	case callee == nil:
		return reject(codeDestination, "there is no canister %s", canister.PrincipalText(call.Callee))
	case callee.Life != Running:
		return reject(codeError, "canister %q is %s", callee.Name, callee.Life)
	case q.atWork[callee.ID] >= maxNested:
		return reject(codeTransient, "canister %q is at work %d times in this query already", callee.Name, maxNested)
	}
	env := callee.env(&q.state.state, canister.Principal(uint64(caller.ID)))
	env.Log = q.machine.logOf(callee.ID)
	return q.on(callee, env, canister.Message{Method: call.Method, Arg: call.Arg})
}

func isComposite(c *canisterRecord, method string) bool {
	kind, _ := c.live.Module().Program.Method(method)
	return kind == program.CompositeQuery
}
