package chaos

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"lockstep/chaos/workload"
)

// RunConfig says what Run does.
type RunConfig struct {
	Cluster ClusterConfig
	// Modules are installed before the clients start; those that the cluster's folder has already are not.
	Modules []workload.Module
	// Needed names canisters that the messages call and Modules need not have: if the cluster has one it stays as it is,
	// otherwise the canister of that name that comes with Lockstep is installed.
	Needed []string
	// Messages gives a client's messages; Clients is their number, at least 1.
	Messages func(client int) workload.Messages
	Clients  int
	// Duration is how long the clients run; 0 means until Rounds or Stop.
	Duration time.Duration
	// Rounds ends the run when so many rounds were run; 0 means no such end.
	Rounds uint64
	// Stop ends the run early when it is closed; the run is judged all the same.
	Stop <-chan struct{}
	// Started is told when the processes run, Ready when the clients are about to start, Progressed every Every (0 means 1 s) while the clients run and once when
	// they have ended, Settling if the replicas then take more than a second to reach the same round. All are called by
	// Run's goroutine; all may be nil.
	Started    func(*Cluster)
	Ready      func(Equipment)
	Progressed func(Progress)
	Settling   func()
	Every      time.Duration
	Log        *slog.Logger
}

// Times that Run allows for what comes before and after the clients' part.
const (
	readyWithin  = 60 * time.Second
	settleWithin = 30 * time.Second
	stopWithin   = 10 * time.Second
	startTries   = 3
)

// Run starts a cluster, runs clients against it while the roots are compared, judges what was seen and stops everything.
// The error is for runs that could not be made; a run that was made has a verdict, whatever it says. When ctx ends, all
// is killed at once and the error is ctx's. Nothing stays behind but a folder that was named, kept, or holds evidence: of a
// disagreement, or of why a replica ended.
func Run(ctx context.Context, c RunConfig) (*Verdict, error) {
	r := &run{RunConfig: c, ctx: ctx}
	if r.Every == 0 {
		r.Every = time.Second
	}
	verdict, err := r.run()
	return verdict, errors.Join(err, r.close())
}

// run is a Run on its way.
type run struct {
	RunConfig
	ctx      context.Context
	cluster  *Cluster
	remote   *remote
	observer *Observer
	driver   *Driver
	began    time.Time // of the clients
	before   reading
}

// reading is what the rates of a Progress are computed from.
type reading struct {
	at     time.Time
	rounds uint64
	acked  uint64
}

// ErrInterrupted is why a run that was stopped before its clients could start has no verdict.
var ErrInterrupted = errors.New("stopped before the clients could start: there is nothing to judge")

func (r *run) run() (*Verdict, error) {
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	started := make(chan struct{})
	watching := make(chan struct{})
	go func() { // a Stop before the clients run cancels the start
		defer close(watching)
		select {
		case <-r.Stop:
			cancel(ErrInterrupted)
		case <-started:
		case <-ctx.Done():
		}
	}()
	err := r.start(ctx)
	close(started)
	<-watching
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	if r.Ready != nil {
		r.Ready(r.remote.equipment(ctx))
	}
	elapsed := r.drive()
	settled := r.settle()
	if err := r.ctx.Err(); err != nil {
		return nil, context.Cause(r.ctx)
	}
	return r.judge(elapsed, settled)
}

// drive runs the clients until the run is over, and says how long they ran.
func (r *run) drive() time.Duration {
	r.driver = StartDriver(DriverConfig{Clients: r.Clients, Connect: r.remote.connect, Messages: r.Messages})
	r.began = time.Now()
	r.before = reading{at: r.began, rounds: r.observer.Counts().Rounds}
	var timeout <-chan time.Time
	if r.Duration > 0 {
		timer := time.NewTimer(r.Duration)
		defer timer.Stop()
		timeout = timer.C
	}
	progress := time.NewTicker(r.Every)
	defer progress.Stop()
	check := time.NewTicker(20 * time.Millisecond)
	defer check.Stop()
	for over := false; !over; {
		select {
		case <-r.ctx.Done():
			over = true
		case <-r.Stop:
			over = true
		case <-timeout:
			over = true
		case <-r.observer.Disagreed():
			over = true
		case <-progress.C:
			r.progress()
		case <-check.C:
			over = r.Rounds > 0 && r.observer.Counts().Rounds >= r.Rounds || r.lost()
		}
	}
	r.driver.Stop(r.ctx)
	elapsed := time.Since(r.began)
	r.progress()
	return elapsed
}

// lost reports whether a replica has ended or stopped applying for good.
func (r *run) lost() bool {
	for i, v := range r.observer.Views() {
		if r.cluster.Process(i).Final() || v.Report.Stopped != "" {
			return true
		}
	}
	return false
}

// progress tells how far the run is.
func (r *run) progress() {
	now, acked := time.Now(), r.driver.Traffic().Acknowledged()
	counts := r.observer.Counts()
	p := progressOf(r.observer.Views(), r.processes())
	seconds := now.Sub(r.before.at).Seconds()
	p.Elapsed, p.Compared, p.Latency = now.Sub(r.began), counts.Compared(), r.driver.Recent()
	if seconds > 0 {
		p.RoundsPerSecond = float64(counts.Rounds-r.before.rounds) / seconds
		p.MessagesPerSecond = float64(acked-r.before.acked) / seconds
	}
	r.before = reading{at: now, rounds: counts.Rounds, acked: acked}
	if r.Progressed != nil {
		r.Progressed(p)
	}
}

func (r *run) processes() []ProcessStatus {
	var all []ProcessStatus
	for i := range r.cluster.Members() {
		all = append(all, r.cluster.Process(i))
	}
	return all
}

// settle waits until every replica has been seen at the newest round. It does not wait for what cannot come any more.
func (r *run) settle() bool {
	ctx, cancel := context.WithTimeout(r.ctx, settleWithin)
	defer cancel()
	ended := time.Now()
	slow := time.After(time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !r.observer.Settled(ended) {
		if r.observer.Disagreement() != nil || r.lost() {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-slow:
			if r.Settling != nil {
				r.Settling()
			}
		case <-tick.C:
		}
	}
	return true
}

// judge stops observing and draws the conclusion. The folder of a run that disagreed or lost a replica stays.
func (r *run) judge(elapsed time.Duration, settled bool) (*Verdict, error) {
	r.observer.Finish(r.ctx)
	v := Judge(Evidence{
		Views: r.observer.Views(), Processes: r.processes(), Counts: r.observer.Counts(),
		Disagreement: r.observer.Disagreement(), Settled: settled, Traffic: r.driver.Traffic(),
	})
	v.Elapsed = elapsed
	if v.Judgement == Disagreed || r.lost() {
		return &v, r.cluster.folder.Keep()
	}
	return &v, nil
}

// close ends whatever of the run still runs.
func (r *run) close() error {
	if r.driver != nil {
		r.driver.Stop(r.ctx)
	}
	if r.observer != nil {
		r.observer.Stop()
	}
	if r.remote != nil {
		r.remote.close()
	}
	if r.cluster == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, stopWithin)
	defer cancel()
	return errors.Join(r.cluster.Stop(ctx), r.cluster.Close())
}
