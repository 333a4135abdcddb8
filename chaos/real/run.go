package real

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/chaos/report"
	"lockstep/chaos/tempdir"
	"lockstep/chaos/workload"
	"lockstep/fsm"
	"lockstep/node"
)

// Times of a run besides the plan's.
const (
	readyWithin   = 30 * time.Second
	installWithin = 3 * time.Minute // programs of megabytes take a busy machine long to compile
	progressEvery = 500 * time.Millisecond
	reportWithin  = time.Second // for replicas to tell what they have applied
)

// run is a Run on its way.
type run struct {
	Options
	plan    *plan.Plan
	cluster string
	scratch *tempdir.Dir // nil before there is one
	data    string       // its path
	report  *report.Run
	suite   *check.Suite
	track   *tracker
	net     *network
	members []*member
	work    *work
	caller  *caller
	began   time.Time // of the history
	start   time.Time // of the plan's time
	readers sync.WaitGroup
	healed  atomic.Bool
	alarm   chan struct{} // closed at the first violation
	once    sync.Once
	begun   atomic.Int64
	// searched counts the states that were made to explain a difference.
	searched atomic.Int64

	// mu guards the order of the history and the fields below.
	mu     sync.Mutex
	over   bool // the history has its last event
	struck map[uint32]uint64
	known  map[uint64]history.Event // first reports of rounds, for explanations
}

// Run runs a plan and judges it. The error is for runs that could not be made; a run that was made has a verdict, and a report in
// Options.Dir. When ctx ends, the run ends at once: its history breaks off, and what that leaves open is undecided.
func Run(ctx context.Context, p *plan.Plan, o Options) (Result, error) {
	if err := errors.Join(p.Validate(), Supports(p)); err != nil {
		return Result{}, err
	}
	r := &run{Options: o, plan: p, cluster: "chaos-" + random(), alarm: make(chan struct{}), struck: map[uint32]uint64{},
		known: map[uint64]history.Event{}}
	result, err := r.do(ctx)
	return result, errors.Join(err, r.clean())
}

func random() string {
	var b [6]byte
	rand.Read(b[:]) // crypto/rand never fails
	return hex.EncodeToString(b[:])
}

func (r *run) do(ctx context.Context) (Result, error) {
	if err := r.prepare(); err != nil {
		return Result{}, err
	}
	early, cancel := r.early(ctx)
	defer cancel()
	if err := r.boot(early); err != nil {
		if early.Err() != nil {
			return r.unstarted()
		}
		return Result{}, r.harnessError(err)
	}
	return r.drive(ctx, early)
}

// harnessError leaves a report of what there is.
func (r *run) harnessError(err error) error {
	r.breakOff("the harness failed: " + err.Error())
	return errors.Join(err, r.report.Finish(check.Failed(err)))
}

// prepare makes folders, links and the history.
func (r *run) prepare() error {
	var err error
	if r.work, err = newWork(r.plan.Workload, r.Load); err != nil {
		return err
	}
	budget := r.plan.Budget()
	header := history.Header{Replicas: len(r.plan.Replicas), Seed: r.plan.Seed, Plan: history.DigestOf([]byte(r.plan.String())),
		Layer: "real", Program: r.Version, MayStall: budget.MayStall, MayLose: budget.MayLose, Excused: budget.Excused,
		Rerun: r.Rerun, Shrink: r.Shrink, Parameters: parameters(r.plan)}
	r.suite = check.New(check.Config{Header: header, Replays: r.replays()})
	r.track = newTracker(len(r.plan.Replicas), budget.Excused)
	r.report, err = report.Create(r.Dir, r.plan.String(), history.RecorderConfig{Header: header, Observe: func(e *history.Event) {
		if r.suite.Observe(e) != nil {
			r.once.Do(func() { close(r.alarm) })
		}
	}})
	if err != nil {
		return err
	}
	r.began = time.Now()
	if r.scratch, err = tempdir.Make(r.Scratch, "lockstep-chaos-data-"); err != nil {
		return err
	}
	r.data = r.scratch.Path
	return r.wire()
}

// wire reserves the replicas' ports and puts links between them.
func (r *run) wire() error {
	var targets, clients []string
	for i := range r.plan.Replicas {
		m, err := newMember(r, i+1)
		r.members = append(r.members, m)
		if err != nil {
			return err
		}
		targets, clients = append(targets, m.raft.Addr), append(clients, m.http.Addr)
	}
	r.caller = newCaller(clients)
	var err error
	r.net, err = newNetwork(targets, r.plan.Seed)
	return err
}

// install installs a canister. Requests of a run end soon, and compiling may take longer: it is asked for until it is there.
func install(ctx context.Context, client *node.Client, m workload.Module) error {
	for {
		a, err := client.Install(ctx, m.Name, m.Wasm, m.Arg)
		switch {
		case err == nil && a.Status == fsm.StatusRefused && strings.Contains(a.Text, "there is a canister"):
			return nil // by an earlier request
		case err == nil && a.Status != fsm.StatusReplied:
			return m.NotInstalled(a.Status, a.Text)
		case err == nil:
			return nil
		case node.OutcomeOf(err) != node.OutcomeUnknown || ctx.Err() != nil:
			return fmt.Errorf("install canister %s: %w", m.Name, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("install canister %s: %w", m.Name, err)
		case <-time.After(progressEvery):
		}
	}
}

// boot starts the replicas and installs the workload's canisters.
func (r *run) boot(ctx context.Context) error {
	for _, m := range r.members {
		if err := m.start(); err != nil {
			return err
		}
	}
	if !r.track.wait(readyWithin, ctx.Done(), func(v view) bool {
		for _, n := range v.nodes {
			if !n.up {
				return false
			}
		}
		return v.leader != 0
	}) {
		return fmt.Errorf("the replicas did not start, or found no leader, within %v: see %s", readyWithin, filepath.Join(r.Dir, report.LogsFolder))
	}
	client, err := node.NewClient(node.ClientConfig{Addresses: r.caller.addresses, Timeout: installWithin})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, installWithin)
	defer cancel()
	for _, m := range r.work.modules {
		if err := install(ctx, client, m); err != nil {
			return err
		}
		if limits := workload.Limits(r.plan.Workload.Name, m.Name); limits != "" {
			if _, err := client.Change(ctx, m.Name, fsm.Message{Kind: fsm.KindLimits, Arg: []byte(limits)}); err != nil {
				return fmt.Errorf("limits of canister %s: %w", m.Name, err)
			}
		}
	}
	return nil
}

// drive is the plan's time, or less if early ends before, and the quiet ending.
func (r *run) drive(ctx, early context.Context) (Result, error) {
	r.start = time.Now()
	if r.Lie {
		follower := 1 + r.track.view().leader%len(r.members)
		r.members[follower-1].command("0 lie")
	}
	clients := startClients(r, r.work, r.caller)
	faulty, cancel := context.WithCancel(early)
	stopTelling := r.tell()
	var faults sync.WaitGroup
	for i := range r.plan.Faults {
		faults.Go(func() { r.fault(faulty, i+1) })
	}
	select {
	case <-time.After(time.Until(r.start.Add(r.plan.Time.Run))):
	case <-r.alarm:
	case <-early.Done():
	}
	interrupted := early.Err() != nil
	why := fmt.Sprintf("interrupted after %v of %v", time.Since(r.start).Round(100*time.Millisecond), r.plan.Time.Run)
	cancel()
	faults.Wait()
	converged := r.settle(ctx, clients)
	result := Result{Elapsed: time.Since(r.start), Converged: converged, Faults: int(r.begun.Load()), Verified: r.track.view().verified,
		Interrupted: interrupted}
	switch {
	case ctx.Err() != nil:
		r.breakOff(why + ", and the quiet ending too")
	case interrupted:
		r.end(why)
	default:
		r.end("")
	}
	stopTelling()
	for _, m := range r.members {
		m.close()
	}
	return r.judge(ctx, result)
}

// settle is the quiet ending: everything runs, clients go on for a little, and the replicas become equal. After a violation there
// is none: what is wrong does not get right by waiting.
func (r *run) settle(ctx context.Context, clients *clients) (converged time.Duration) {
	defer clients.end()
	done := ctx.Done()
	select {
	case <-r.alarm:
		clients.end()
		r.track.wait(reportWithin, done, func(v view) bool { return v.equal && v.newest >= clients.newest.Load() })
		return 0
	default:
	}
	for _, m := range r.members {
		if err := m.revive(); err != nil {
			r.record(history.Event{Kind: history.Note, Node: uint8(m.number), Text: err.Error()})
		}
	}
	r.healed.Store(true)
	r.record(history.Event{Kind: history.Healed})
	clients.probe()
	began, at := time.Now(), r.track.view().newest
	quiet := r.plan.Time.Quiet
	if !r.track.wait(quiet, done, func(v view) bool { return v.least > at && clients.newest.Load() > at }) {
		return 0
	}
	clients.end()
	r.audit(ctx, quiet)
	ctx, cancel := context.WithTimeout(ctx, max(time.Until(began.Add(quiet)), reportWithin))
	defer cancel()
	last := r.lastRound(ctx)
	if last != 0 && r.track.wait(quiet, ctx.Done(), func(v view) bool { return v.equal && v.newest >= last }) {
		converged = time.Since(began)
	}
	return converged
}

// lastRound makes one more round, behind all that clients have sent, and gives its number; 0 if ctx ended first.
func (r *run) lastRound(ctx context.Context) uint64 {
	for at := 1; ctx.Err() == nil; at = 1 + at%len(r.members) {
		if _, round := r.caller.openSession(ctx, at); round != 0 {
			return round
		}
		wait(ctx, errorPause)
	}
	return 0
}

// record adds an event to the history, at the time of now.
func (r *run) record(e history.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	e.At = time.Since(r.began)
	r.report.Recorder().Add(e)
	if e.Kind == history.Applied {
		if _, ok := r.known[e.Round]; !ok {
			r.known[e.Round] = e
		}
	}
	r.track.see(&e)
}

// heard takes what a replica's process tells.
func (r *run) heard(m *member, e history.Event) {
	if e.Kind != history.Note || e.Text != struckNote {
		r.record(e)
		return
	}
	r.mu.Lock()
	r.struck[e.Fault]++
	first := r.struck[e.Fault] == 1
	r.mu.Unlock()
	if first {
		r.markInside(m, int(e.Fault))
	}
}

// tell tells the caller how the run is until the function it returns is called.
func (r *run) tell() (stop func()) {
	if r.Progressed == nil {
		return func() {}
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				r.Progressed(r.progress())
			}
		}
	}()
	return func() { close(quit); <-ended }
}

func (r *run) progress() Progress {
	v := r.track.view()
	p := Progress{Elapsed: time.Since(r.start), Phase: "faults", Round: v.newest, Leader: v.leader, Begun: int(r.begun.Load()), Verified: v.verified}
	if r.healed.Load() {
		p.Phase = "quiet"
	}
	for _, n := range v.nodes {
		if n.up {
			p.Up++
		}
	}
	return p
}
