package real

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/chaos/workload"
	"lockstep/fsm"
)

// work is what clients send, by the plan.
type work struct {
	spec     plan.Workload
	workload *workload.Workload
	modules  []workload.Module
	queries  []workload.Message
}

// wantedQueries is how many queries of the workload clients choose from.
const wantedQueries = 16

func newWork(spec plan.Workload, load *workload.Load) (*work, error) {
	w := &work{spec: spec}
	var err error
	if w.workload, w.modules, err = load.Open(spec.Name); err != nil {
		return nil, err
	}
	w.queries = w.workload.Queries(spec.Seed, wantedQueries)
	if len(w.queries) == 0 && spec.Queries+spec.Stale > 0 {
		return nil, fmt.Errorf("workload %s has no query to send: leave queries= and stale= away", spec.Name)
	}
	return w, nil
}

// clients are the senders of a run.
type clients struct {
	run    *run
	work   *work
	caller *caller
	ctx    context.Context // ends when nothing is sent any more
	stop   context.CancelFunc
	wait   sync.WaitGroup
	ops    atomic.Uint64
	left   atomic.Int64  // messages that may still be sent
	newest atomic.Uint64 // round that was answered
}

func startClients(r *run, w *work, c *caller) *clients {
	cs := &clients{run: r, work: w, caller: c}
	cs.ctx, cs.stop = context.WithCancel(context.Background())
	cs.left.Store(int64(w.spec.Operations))
	if w.spec.Operations == 0 {
		cs.left.Store(1 << 62)
	}
	for i := range max(w.spec.Clients, 1) {
		cl := &client{clients: cs, number: i, at: 1 + i%len(r.members), random: rand.New(rand.NewPCG(w.spec.Seed, uint64(i))),
			stream: w.workload.Stream(w.spec.Seed, i, max(w.spec.Clients, 1))}
		cs.wait.Go(cl.loop)
	}
	return cs
}

// probe asks for rounds besides what clients send, from healing on: they may send seldom, or nothing but queries.
func (cs *clients) probe() {
	prober := &client{clients: cs, number: cs.work.spec.Clients, at: 1}
	cs.wait.Go(func() {
		for cs.ctx.Err() == nil {
			q := &request{class: history.Update, node: prober.at, change: fsm.KindOpenSession} // every cluster can
			if e, _ := prober.call(q); e.Outcome != history.OK {
				prober.turn()
			}
			prober.sleep(probeEvery)
		}
	})
}

// end lets the calls on their way come back and ends the clients.
func (cs *clients) end() {
	cs.stop()
	cs.wait.Wait()
}

// client is one sender, with one message on its way at a time.
type client struct {
	*clients
	number   int
	at       int // the replica that it asks
	random   *rand.Rand
	stream   *workload.Stream
	session  uint64
	sequence uint64
}

func (c *client) loop() {
	for c.ctx.Err() == nil {
		pause := time.Duration(0)
		if rate := c.work.spec.Rate; rate > 0 {
			pause = time.Duration(c.random.ExpFloat64() * float64(c.work.spec.Clients) / rate * float64(time.Second))
		}
		if !c.sleep(pause) {
			return
		}
		if c.session == 0 {
			if c.sequence = 0; c.open() == 0 {
				c.turn()
				c.sleep(errorPause)
				continue
			}
		}
		if c.left.Add(-1) < 0 && !c.run.healed.Load() {
			c.sleep(errorPause)
			continue
		}
		c.message()
	}
}

// open opens a session.
func (c *client) open() uint64 {
	c.session, _ = c.caller.openSession(c.ctx, c.at)
	return c.session
}

// Pauses and bounds of a client.
const (
	errorPause = 30 * time.Millisecond
	probeEvery = 100 * time.Millisecond
	patience   = 6 // tries of one message
)

func (c *client) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// turn asks the next replica from now on.
func (c *client) turn() { c.at = 1 + c.at%len(c.caller.addresses) }

// message sends the next message or query.
func (c *client) message() {
	x, spec := c.random.Float64(), &c.work.spec
	switch {
	case x < spec.Queries:
		c.query(history.Query)
		return
	case x < spec.Queries+spec.Stale:
		c.query(history.StaleQuery)
		return
	}
	m := c.stream.Next()
	for range 64 {
		if !m.Query {
			break
		}
		m = c.stream.Next()
	}
	if m.Query {
		return
	}
	c.sequence++
	msg, err := m.Replicated(c.work.modules)
	if err != nil {
		c.run.record(history.Event{Kind: history.Note, Text: err.Error()})
		return
	}
	arg := msg.Arg
	if msg.Module != nil {
		arg = msg.Module
	}
	c.update(&request{class: history.Update, canister: m.Canister, method: m.Method, change: m.Change, arg: arg, session: c.session, sequence: c.sequence})
}

func (c *client) query(class history.Class) {
	m := c.work.queries[c.random.IntN(len(c.work.queries))]
	q := &request{class: class, node: c.at, canister: m.Canister, method: m.Method, arg: m.Arg}
	before := c.run.track.view().newest
	e, _ := c.call(q)
	switch {
	case e.Outcome != history.OK:
		c.turn()
		c.sleep(errorPause)
	case class == history.StaleQuery && e.Round < before:
		c.run.record(history.Event{Kind: history.Mark, Text: string(history.MarkStaleRead), Round: e.Round})
	}
}

// update sends a message again, to one replica after the other, until it has a result. If that takes too long it gives up and
// goes on with the next number.
func (c *client) update(q *request) {
	for range patience {
		q.node = c.at
		e, status := c.call(q)
		if status == fsm.StatusSessionExpired {
			c.session = 0
		}
		if e.Outcome == history.OK {
			break
		}
		c.turn()
		if !c.sleep(errorPause + time.Duration(c.random.IntN(int(errorPause)))) {
			return
		}
	}
	if c.session != 0 && c.random.Float64() < c.work.spec.Duplicates {
		again := *q
		again.node = 1 + c.random.IntN(len(c.caller.addresses))
		c.call(&again)
	}
}

// call sends a request once and records both ends.
func (c *client) call(q *request) (history.Event, fsm.Status) {
	op := c.ops.Add(1)
	c.run.record(history.Event{Kind: history.Invoked, Class: q.class, Op: op, Client: uint32(c.number), Node: uint8(q.node),
		Session: q.session, Sequence: q.sequence, Text: q.title()})
	e, status := c.caller.send(context.Background(), q) // one that has begun is waited for
	e.Op, e.Client, e.Node = op, uint32(c.number), uint8(q.node)
	for old := c.newest.Load(); e.Round > old && !c.newest.CompareAndSwap(old, e.Round); old = c.newest.Load() {
	}
	c.run.record(e)
	c.run.audited(q, &e, status, 0)
	if status == fsm.StatusOutOfFuel {
		c.run.record(history.Event{Kind: history.Mark, Text: string(history.MarkOutOfFuel), Round: e.Round, Index: e.Index})
	}
	return e, status
}
