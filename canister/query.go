package canister

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

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
	export, ok := c.module.Program.Export(msg.Method, true)
	if !ok {
		return methodNotFound("query", msg.Method), nil
	}
	q := c.queries
	q.slots <- struct{}{}
	defer func() { <-q.slots }()
	in, err := q.take(s)
	if err != nil {
		return Outcome{}, fmt.Errorf("query of canister %d: %w", env.Canister, err)
	}
	out, err := in.query(export, execution{env, inQuery, msg.Arg, c.config.Limits.Fuel}, s)
	if err == nil {
		q.put(in)
		return out, nil
	}
	closeErr := in.close()
	if errors.Is(err, memstore.ErrGrown) && closeErr == nil { // the instance is used up
		return out, nil
	}
	return Outcome{}, fmt.Errorf("query of canister %d: %w", env.Canister, errors.Join(err, closeErr))
}

// query runs on an instance that is at the state and brings it back there.
func (in *instance) query(export string, x execution, s State) (Outcome, error) {
	if err := in.begin(); err != nil {
		return Outcome{}, err
	}
	out, err := in.run(export, x)
	if err != nil {
		return Outcome{}, err
	}
	if out.Status == 0 {
		out = in.answer(out.Fuel)
	}
	return out, in.rollback(s)
}

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
