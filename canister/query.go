//go:build cgo

package canister

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"lockstep/canister/program"
	"lockstep/canister/systemapi"
	"lockstep/memstore"
)

// queryPool keeps the instances that queries run on. An instance belongs to
// one query at a time and keeps its place in memory between them, so that the
// next one costs as much as the states differ.
type queryPool struct {
	canister *Canister
	slots    chan struct{} // bounds the queries that run at a time

	mu   sync.Mutex
	idle []*instance
}

func newQueryPool(c *Canister) *queryPool {
	return &queryPool{canister: c, slots: make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))}
}

// Query runs a query method on a state of this canister and discards its
// effects. It may be called from several goroutines, and beside Update; more
// queries than processors wait for each other.
//
// Preconditions: the pages of the state are held by a memstore.Pin that was
// taken before the state was read, or no Update runs meanwhile.
func (c *Canister) Query(env Env, s State, msg Message) (Outcome, error) {
	kind, export := c.module.Program.Method(msg.Method)
	if kind != program.Query {
		return methodNotFound("query", msg.Method), nil
	}
	x := systemapi.Execution{Env: env, Occasion: systemapi.InQuery, Arg: msg.Arg, Fuel: c.config.Limits.Fuel}
	return c.onState(env.Canister, s, func(in *instance) (Outcome, error) { return in.run(target{export: export}, x) })
}

// Inspect asks canister_inspect_message about an update on a state, as Query
// asks a method: Outcome.Accepted. A canister without it accepts everything.
func (c *Canister) Inspect(env Env, s State, msg Message) (Outcome, error) {
	input := Input{Entry: EntryInspect, Method: msg.Method, Arg: msg.Arg}
	t, occasion, _, out := input.lookup(c.module.Program)
	if out.Status != 0 {
		return out, nil
	}
	x := input.execution(env, occasion, c.config.Limits.Fuel)
	return c.onState(env.Canister, s, func(in *instance) (Outcome, error) { return in.run(t, x) })
}

// onState runs something on an instance that is at the state, and brings it
// back there.
func (c *Canister) onState(id uint64, s State, run func(*instance) (Outcome, error)) (Outcome, error) {
	q := c.queries
	q.enter()
	defer q.leave()
	in, err := q.take(s)
	if err != nil {
		return Outcome{}, fmt.Errorf("query of canister %d: %w", id, err)
	}
	var out Outcome
	if err = in.begin(s); err == nil {
		if out, err = run(in); err == nil {
			err = in.rollback(s)
		}
	}
	if err == nil {
		q.put(in)
		return out, nil
	}
	closeErr := in.close()
	if errors.Is(err, memstore.ErrGrown) && closeErr == nil { // the instance is used up
		return out, nil
	}
	return Outcome{}, fmt.Errorf("query of canister %d: %w", id, errors.Join(err, closeErr))
}

// enter waits for a place among the queries that run.
func (q *queryPool) enter() { q.slots <- struct{}{} }

func (q *queryPool) leave() { <-q.slots }

// take gives an instance at the state: an idle one brought there, or a new one.
func (q *queryPool) take(s State) (*instance, error) {
	c := q.canister
	for {
		in := q.pop()
		if in == nil {
			return newInstance(instanceConfig{Config: c.config, module: c.module, state: &s, query: true})
		}
		err := in.advance(s)
		if err == nil {
			return in, nil
		}
		closeErr := in.close()
		if !errors.Is(err, memstore.ErrSize) || closeErr != nil {
			return nil, errors.Join(err, closeErr)
		}
	}
}

func (q *queryPool) pop() *instance {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.idle)
	if n == 0 {
		return nil
	}
	in := q.idle[n-1]
	q.idle = q.idle[:n-1]
	return in
}

func (q *queryPool) put(in *instance) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.idle = append(q.idle, in)
}

func (q *queryPool) close() error {
	var err error
	for in := q.pop(); in != nil; in = q.pop() {
		err = errors.Join(err, in.close())
	}
	return err
}
