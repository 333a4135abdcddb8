package sim

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/canister"
	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/chaos/workload"
	"lockstep/fsm"
)

// Options say how a plan is run; they change nothing that the plan decides.
type Options struct {
	// Dir is where replicas' files lie; "" is the system's temporary folder. It is removed with everything in it.
	Dir string
	// Modules is a folder for compiled modules that runs may share; "" compiles in every run.
	Modules string
	// History and Faults take the events as they happen; nil for nobody. Program is for its header, and so are Rerun and Shrink.
	History, Faults io.Writer
	Program         string
	Rerun, Shrink   string
	// Logger receives what replicas tell their operators; nil drops it.
	Logger *slog.Logger
	// Load is what clients send; nil for the embedded workload that the plan names. Its canisters keep no books that are looked at.
	Load *workload.Load
	// Seams are where bugs are planted; nil for none.
	Seams *Seams
	// Keep holds the events in memory for Result.History.
	Keep bool
}

// Result is what a run ends with.
type Result struct {
	Verdict check.Verdict
	// Causes are what Seams.Causes has found.
	Causes []string
	// History is nil unless Options.Keep.
	History *history.Log `json:"-"`
	// Simulated is virtual time, Real what it took, CPU what the process used.
	Simulated, Real, CPU time.Duration
	// Faults counts the faults that began, Struck those that had an effect, Commits the committed rounds.
	Faults, Struck, Commits uint64
}

// cluster is a running simulation.
type cluster struct {
	plan  *plan.Plan
	opts  Options
	seams *Seams
	home  string
	began time.Time // virtual
	real  realClock

	net     *network
	members []*member
	rec     *history.Recorder
	suite   *check.Suite
	work    *work
	dice    *dice

	over   chan struct{} // closed when replicas shall end
	failed chan struct{} // closed when something is wrong: the run ends early
	buried sync.WaitGroup
	ended  atomic.Bool
	// changing holds a value while somebody changes the membership.
	changing chan struct{}
	// sparing is held while somebody judges whether the cluster can do without a replica.
	sparing sync.Mutex
	// streams counts the checkpoints that were read to be sent.
	streams atomic.Uint64

	failOnce sync.Once

	// seized are filled once, by a goroutine that seizing waits for.
	seizeOnce sync.Once
	seizing   sync.WaitGroup
	seized    []*witness

	mu          sync.Mutex
	err         error
	noStart     error // why a replica did not start, the newest
	engines     map[string]*canister.Engine
	checkpoints map[checkpointKey]checkpointState
	log         map[uint64]*committedRound
	pending     map[fsm.Ref]messageID // messages whose canister waits or has waited for others
	commits     uint64
	newest      fsm.RoundNumber // that any replica has applied
	leader      int
	leaderTerm  uint64
	begun       uint64 // faults
	installs    map[int]*keptInstall
}

// Run runs a plan. It must be called in a bubble of testing/synctest, in a process of its own: Serve does both. done is given
// the result, from whatever goroutine the run ended on; the process should exit then.
func Run(ctx context.Context, p *plan.Plan, o Options, done func(Result, error)) {
	c, err := newCluster(p, o)
	if err != nil {
		done(Result{}, err)
		return
	}
	var once sync.Once
	finish := func() {
		once.Do(func() {
			r, err := c.conclude(ctx)
			done(r, err)
		})
	}
	c.net.watch.stuck = func(node, peer int, count uint64, what string) {
		c.record(history.Event{Kind: history.Stuck, Node: uint8(node), Peer: uint8(peer), Count: count, Text: what})
		c.record(history.Event{Kind: history.Ended})
		finish()
	}
	time.AfterFunc(p.Time.Run+quietSteps*p.Time.Quiet+overtime, func() {
		c.fail(fmt.Errorf("the run goes on %v of virtual time after its end", overtime))
		finish()
	})
	c.run()
	finish()
}

// overtime bounds what a run takes besides what its plan says: for a first leader, and for calls that nobody answers.
const overtime = 5 * time.Minute

// quietSteps are the steps of the quiet ending, each of which may last as long as the plan says: settle, audit and converge.
const quietSteps = 3

func newCluster(p *plan.Plan, o Options) (*cluster, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &cluster{plan: p, opts: o, seams: o.Seams, began: time.Now(), real: startRealClock(), over: make(chan struct{}),
		failed: make(chan struct{}), changing: make(chan struct{}, 1), engines: map[string]*canister.Engine{},
		checkpoints: map[checkpointKey]checkpointState{},
		log:         map[uint64]*committedRound{}, pending: map[fsm.Ref]messageID{}, dice: newDice(p.Seed, 0x73696d), installs: map[int]*keptInstall{}}
	if c.seams == nil {
		c.seams = &Seams{}
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if err := p.Supports(plan.Sim); err != nil {
		return nil, err
	}
	var err error
	if c.home, err = os.MkdirTemp(o.Dir, "lockstep-sim-"); err != nil {
		return nil, err
	}
	if c.work, err = newWork(p.Workload, o.Load); err != nil {
		return nil, err
	}
	if err := c.openRecorder(); err != nil {
		return nil, err
	}
	c.net = newNetwork(p.Seed, 2*time.Second, &watchdog{})
	for i := range p.Replicas {
		c.members = append(c.members, newMember(c, i+1, p.Replicas[i]))
	}
	return c, nil
}

func (c *cluster) openRecorder() error {
	p := c.plan
	budget := p.Budget()
	h := history.Header{Format: 1, Replicas: len(p.Replicas), Seed: p.Seed, Plan: history.DigestOf([]byte(p.String())), Layer: "sim",
		Program: c.opts.Program, Rerun: c.opts.Rerun, Shrink: c.opts.Shrink, MayStall: budget.MayStall, MayLose: budget.MayLose,
		Excused: budget.Excused}
	c.suite = check.New(check.Config{Header: h, Without: c.seams.Without, Replays: c.replays()})
	var err error
	c.rec, err = history.NewRecorder(history.RecorderConfig{Header: h, Out: c.opts.History, Faults: c.opts.Faults, Keep: c.opts.Keep,
		Observe: func(e *history.Event) {
			if v := c.suite.Observe(e); v != nil {
				c.seizeOnce.Do(func() { c.seizing.Go(func() { c.seize(v) }) })
				c.stopEarly()
			}
		}})
	return err
}

// record adds an event, at the time that it is now.
func (c *cluster) record(e history.Event) {
	if c.ended.Load() {
		return
	}
	e.At = time.Since(c.began)
	if falsify := c.seams.Event; falsify != nil {
		other := e // only a planted recorder costs an allocation
		if !falsify(&other) {
			return
		}
		e = other
	}
	c.rec.Add(e)
}

// fail ends the run because the harness failed.
func (c *cluster) fail(err error) {
	c.mu.Lock()
	c.err = joinErrors(c.err, err)
	c.mu.Unlock()
	c.stopEarly()
}

func (c *cluster) stopEarly() { c.failOnce.Do(func() { close(c.failed) }) }

// led notes who leads.
func (c *cluster) led(replica int, term uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if term > c.leaderTerm {
		c.leader, c.leaderTerm = replica, term
	}
}

// leaderNow is the newest leader, if it runs; 0 for none. One that was seen to lead may have stepped down and not be followed yet; a
// leader without followers is seen by nobody.
func (c *cluster) leaderNow() int {
	c.mu.Lock()
	leader := c.leader
	c.mu.Unlock()
	if leader == 0 || c.members[leader-1].current() == nil {
		leader = 0
	} else if c.members[leader-1].leads() {
		return leader
	}
	for _, m := range c.members {
		if m.leads() {
			return m.number
		}
	}
	return leader
}

// run is the run from beginning to end.
func (c *cluster) run() {
	for _, m := range c.members {
		m.want(true, false)
		go m.keep()
	}
	if !c.setUp() {
		return
	}
	clients := c.startClients()
	c.walk()
	c.heal()
	clients.settle()
	c.audit()
	c.converge()
	c.record(history.Event{Kind: history.Ended})
}

// heal ends everything that the plan may have left.
func (c *cluster) heal() {
	for _, m := range c.members {
		m.arm(nil)
		m.want(true, false)
	}
	c.record(history.Event{Kind: history.Healed})
}

// converge waits until all replicas have applied the same, for as long as the quiet ending lasts.
func (c *cluster) converge() {
	deadline := time.Now().Add(c.plan.Time.Quiet)
	for time.Now().Before(deadline) && !c.level() {
		if !sleep(50*time.Millisecond, c.failed) {
			return
		}
	}
	c.gauges()
}

// level reports whether every replica that is to come back is up and has applied the newest round.
func (c *cluster) level() bool {
	c.mu.Lock()
	var newest uint64
	for index := range c.log {
		newest = max(newest, index)
	}
	c.mu.Unlock()
	for _, m := range c.members {
		m.mu.Lock()
		behind := m.life == nil || m.applied < newest
		m.mu.Unlock()
		if behind {
			return false
		}
	}
	return true
}

// gauges records sizes.
func (c *cluster) gauges() {
	c.record(history.Event{Kind: history.Gauge, Text: "goroutines", Count: uint64(runtime.NumGoroutine())})
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		c.record(history.Event{Kind: history.Gauge, Text: "descriptors", Count: uint64(len(open))})
	}
	for _, m := range c.members {
		l := m.current()
		if l == nil {
			continue
		}
		l.disk.mu.Lock()
		entries := len(l.disk.image.log)
		l.disk.mu.Unlock()
		l.record(history.Event{Kind: history.Gauge, Text: "log-entries", Count: uint64(entries)})
		if names, err := os.ReadDir(l.files.tree()); err == nil {
			l.record(history.Event{Kind: history.Gauge, Text: "checkpoints", Count: uint64(len(names))})
		}
	}
}

// conclude judges the run.
func (c *cluster) conclude(ctx context.Context) (Result, error) {
	c.ended.Store(true)
	simulated := time.Since(c.began)
	c.mu.Lock()
	err, commits, begun := c.err, c.commits, c.begun
	c.mu.Unlock()
	err = joinErrors(err, c.rec.Flush())
	r := Result{Simulated: simulated, Commits: commits, Faults: begun, History: c.rec.Log()}
	if err != nil {
		r.Verdict = check.Failed(err)
	} else {
		r.Verdict = c.suite.Finish(ctx)
		c.seizing.Wait()
		c.explain(ctx, &r.Verdict)
		if c.seams.Causes != nil {
			r.Causes = c.seams.Causes(&r.Verdict)
		}
	}
	for _, f := range r.Verdict.Faults {
		if f.Struck > 0 {
			r.Struck++
		}
	}
	r.Real, r.CPU = c.real.taken()
	_ = os.RemoveAll(c.home) // what stays only takes space
	return r, nil
}
