package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/chaos/workload"
	"lockstep/fsm"
	"lockstep/node"
)

// TrivialWorkload is a workload of the smallest messages that change anything, for the figure of speed.
const TrivialWorkload = "trivial"

const trivialCanister = `(module
  (global $count (mut i64) (i64.const 0))
  (func (export "canister_update increment") (global.set $count (i64.add (global.get $count) (i64.const 1))))
  (func (export "canister_query get")))`

// work is what clients send.
type work struct {
	spec     plan.Workload
	workload *workload.Workload
	modules  []workload.Module
	queries  []fsm.Query
}

func newWork(spec plan.Workload, load *workload.Load) (*work, error) {
	w := &work{spec: spec}
	var err error
	if spec.Name == TrivialWorkload && load == nil {
		var m workload.Module
		if m, err = workload.ParseModule(TrivialWorkload, []byte(trivialCanister)); err != nil {
			return nil, err
		}
		w.modules, w.queries = []workload.Module{m}, []fsm.Query{{Canister: TrivialWorkload, Method: "get"}}
		w.workload, err = workload.Parse(strings.NewReader(`{"canister":"trivial","method":"increment"}`), spec.Name)
		return w, err
	}
	if w.workload, w.modules, err = load.Open(spec.Name); err != nil {
		return nil, err
	}
	for _, m := range w.workload.Queries(spec.Seed, 16) {
		w.queries = append(w.queries, fsm.Query{Canister: m.Canister, Method: m.Method, Arg: m.Arg})
	}
	if len(w.queries) == 0 {
		w.queries = []fsm.Query{{Canister: w.workload.Canisters()[0], Method: "get"}}
	}
	return w, nil
}

// clients are the senders of a run.
type clients struct {
	c    *cluster
	stop chan struct{} // no new message from here on
	wait sync.WaitGroup
	sent atomic.Int64
	// healed is set when everything is healed; advanced counts the messages that were answered since.
	healed   atomic.Bool
	advanced atomic.Int64
}

// client is one of them.
type client struct {
	*clients
	number   int
	rng      *rand.Rand
	stream   *workload.Stream
	session  fsm.SessionID
	sequence uint64
}

// ops numbers calls.
var ops atomic.Uint64

func (c *cluster) startClients() *clients {
	cs := &clients{c: c, stop: make(chan struct{})}
	for i := range c.plan.Workload.Clients {
		cl := &client{clients: cs, number: i, rng: c.dice.fork(), stream: c.work.workload.Stream(c.plan.Workload.Seed, i, c.plan.Workload.Clients)}
		cs.wait.Go(cl.run)
	}
	return cs
}

// settle lets the clients send until progress is seen, for as long as the quiet ending lasts, and then ends them. They may have sent all
// that they are to, send seldom or nothing but queries: a prober asks for rounds besides.
func (cs *clients) settle() {
	cs.healed.Store(true)
	prober := &client{clients: cs, number: cs.c.plan.Workload.Clients, rng: cs.c.dice.fork()}
	cs.wait.Go(prober.probe)
	deadline := time.Now().Add(cs.c.plan.Time.Quiet)
	for time.Now().Before(deadline) && cs.advanced.Load() < settledAfter && sleep(100*time.Millisecond, cs.c.failed) {
	}
	close(cs.stop)
	cs.wait.Wait()
}

// settledAfter is how many answered messages are progress enough.
const settledAfter = 5

func (cl *client) run() {
	rate := cl.c.plan.Workload.Rate
	for {
		wait := time.Millisecond
		if rate > 0 {
			wait = time.Duration(cl.rng.ExpFloat64() * float64(cl.c.plan.Workload.Clients) / rate * float64(time.Second))
		}
		select {
		case <-cl.stop:
			return
		case <-cl.c.failed:
			return
		case <-time.After(wait):
		}
		if most := cl.c.plan.Workload.Operations; most > 0 && cl.sent.Add(1) > int64(most) {
			return
		}
		cl.next()
	}
}

// next sends one message or query.
func (cl *client) next() {
	w := &cl.c.plan.Workload
	switch x := cl.rng.Float64(); {
	case x < w.Queries:
		cl.query(cl.c.work.queries[cl.rng.IntN(len(cl.c.work.queries))], history.Query)
		return
	case x < w.Queries+w.Stale:
		cl.query(cl.c.work.queries[cl.rng.IntN(len(cl.c.work.queries))], history.StaleQuery)
		return
	}
	m := cl.stream.Next()
	if m.Query {
		cl.query(fsm.Query{Canister: m.Canister, Method: m.Method, Arg: m.Arg}, history.Query)
		return
	}
	if cl.session == 0 && !cl.open() {
		return
	}
	cl.sequence++
	msg, err := m.Replicated(cl.c.work.modules)
	if err != nil {
		cl.c.fail(err)
		return
	}
	msg.Session, msg.Sequence = cl.session, cl.sequence
	answered, expired := cl.repeat(msg)
	if expired {
		cl.session = 0
		return
	}
	if answered && cl.rng.Float64() < w.Duplicates {
		cl.send(msg)
	}
}

// maxTries is how often a message without a result is sent.
const maxTries = 6

// repeat sends a message of a session until it has a result, which its session makes safe.
func (cl *client) repeat(m fsm.Message) (answered, expired bool) {
	for try := range maxTries {
		if try > 0 && !sleep(time.Duration(50+cl.rng.IntN(200))*time.Millisecond, cl.c.failed) {
			return false, false
		}
		a, err := cl.send(m)
		if err == nil {
			return true, a.Status == fsm.StatusSessionExpired
		}
		select {
		case <-cl.stop:
			return false, false
		default:
		}
	}
	return false, false
}

// probeEvery is the pause between two messages of a prober.
const probeEvery = 100 * time.Millisecond

// probe opens sessions, which every cluster can, until the clients end.
func (cl *client) probe() {
	for {
		cl.open()
		select {
		case <-cl.stop:
			return
		case <-cl.c.failed:
			return
		case <-time.After(probeEvery):
		}
	}
}

// open opens a session.
func (cl *client) open() bool {
	a, err := cl.send(fsm.Message{Kind: fsm.KindOpenSession})
	if err != nil || len(a.Reply) != 8 {
		return false
	}
	cl.session, cl.sequence = fsm.SessionID(binary.BigEndian.Uint64(a.Reply)), 0
	return true
}

// callTimeout is how long a client waits.
const callTimeout = 5 * time.Second

// send makes one call and records it.
func (cl *client) send(m fsm.Message) (node.Answer, error) {
	op := ops.Add(1)
	to := cl.choose()
	cl.c.record(history.Event{Kind: history.Invoked, Op: op, Class: history.Update, Node: uint8(to), Client: uint32(cl.number),
		Session: uint64(m.Session), Sequence: m.Sequence, Text: title(&m)})
	after := cl.healed.Load()
	a, err := cl.c.call(to, func(ctx context.Context, p process) (node.Answer, error) { return p.Submit(ctx, m) })
	cl.returned(op, to, a, err)
	if after && err == nil {
		cl.advanced.Add(1)
	}
	return a, err
}

func (cl *client) query(q fsm.Query, class history.Class) {
	op := ops.Add(1)
	to := cl.choose()
	if class == history.StaleQuery {
		to = 1 + cl.rng.IntN(len(cl.c.members))
	}
	cl.c.record(history.Event{Kind: history.Invoked, Op: op, Class: class, Node: uint8(to), Client: uint32(cl.number), Text: q.Canister + "." + q.Method})
	before := cl.c.newestRound()
	a, err := cl.c.call(to, func(ctx context.Context, p process) (node.Answer, error) {
		if class == history.StaleQuery || cl.c.seams.StaleReads {
			return p.QueryStale(q)
		}
		return p.Query(ctx, q)
	})
	cl.returned(op, to, a, err)
	if err != nil {
		return
	}
	if class == history.StaleQuery && a.Round < before {
		cl.c.record(history.Event{Kind: history.Mark, Node: uint8(to), Text: string(history.MarkStaleRead), Round: uint64(a.Round)})
	}
	cl.c.audited(&q, &a, 0)
}

// title is a message in a word.
func title(m *fsm.Message) string {
	if m.Kind == fsm.KindUpdate {
		return m.Canister + "." + m.Method
	}
	return m.Canister + ":" + m.Kind.String()
}

// returned records the end of a call.
func (cl *client) returned(op uint64, to int, a node.Answer, err error) {
	e := history.Event{Kind: history.Returned, Op: op, Outcome: history.OK, Node: uint8(to), Client: uint32(cl.number)}
	switch {
	case err == nil:
		e.Index, e.Round, e.Ran, e.Root = a.Index, uint64(a.Round), ranIn(&a.Result), a.Root
		e.Digest, e.Text = digestOf(&a.Result), a.Status.String()
	case refusedCall(err):
		e.Outcome, e.Text = history.Refused, err.Error()
	default:
		e.Outcome, e.Text = history.Unknown, err.Error()
	}
	cl.c.record(e)
}

// choose is the replica to call: mostly the leader, as its followers would pass the call on to.
func (cl *client) choose() int {
	if leader := cl.c.leaderNow(); leader != 0 && cl.rng.Float64() < 0.95 {
		return leader
	}
	return 1 + cl.rng.IntN(len(cl.c.members))
}

// errDown: nobody listens. Nothing has happened.
var errDown = errors.New("connection refused")

// callLatency is the way of a call to a replica, and back.
const callLatency = 300 * time.Microsecond

// call makes a call to a replica as a client does over a network.
func (c *cluster) call(to int, f func(context.Context, process) (node.Answer, error)) (node.Answer, error) {
	time.Sleep(callLatency)
	m := c.members[to-1]
	l := m.current()
	if l == nil {
		return node.Answer{}, refusal{errDown}
	}
	select {
	case <-l.running:
	default:
		return node.Answer{}, refusal{errDown}
	}
	if l.process == nil {
		return node.Answer{}, refusal{errDown}
	}
	ctx, cancel := context.WithTimeout(l.ctx, callTimeout)
	defer cancel()
	if !m.gate.pass(ctx.Done()) {
		return node.Answer{}, refusal{fmt.Errorf("it did not take the call: %w", ctx.Err())}
	}
	a, err := f(ctx, l.process)
	if !m.gate.pass(ctx.Done()) {
		return node.Answer{}, fmt.Errorf("it did not answer: %w", ctx.Err())
	}
	time.Sleep(callLatency)
	select {
	case <-l.dead:
		if err == nil {
			err = errors.New("connection reset")
		}
	default:
	}
	return a, err
}

// refusal is an error after which nothing can have happened.
type refusal struct{ error }

func refusedCall(err error) bool {
	var r refusal
	return errors.As(err, &r) || node.OutcomeOf(err) == node.OutcomeRefused
}
