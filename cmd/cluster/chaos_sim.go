package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"lockstep/canister"
	"lockstep/chaos/check"
	"lockstep/chaos/plan"
	"lockstep/chaos/report"
	"lockstep/chaos/sim"
	"lockstep/chaos/sim/plant"
	"lockstep/memstore"
)

// drawSim draws a plan for a simulated run. Its messages are mostly small: a run costs what its rounds do, and faults find more among
// few rounds than in few runs with many.
func drawSim(seed uint64, s plan.Shape) *plan.Plan {
	s.Layer, s.Workloads = plan.Sim, []string{"small", "small", "fuel", "uniform", "skewed", "demo", "bank"}
	for _, t := range memstore.Trackers() {
		s.Trackers = append(s.Trackers, string(t))
	}
	s.Opts = []string{string(canister.OptNone), string(canister.OptSpeed), string(canister.OptSpeedAndSize)}
	return plan.Generate(seed, s)
}

// simPool makes the runner of simulated runs, with a folder for its files. The caller must call done.
func (o *chaosOptions) simPool() (pool *sim.Pool, done func() error, err error) {
	if pool, done, err = sim.TempPool(); err != nil {
		return nil, nil, err
	}
	pool.Parallel, pool.Program = o.parallel(), buildVersion().Revision
	return pool, done, nil
}

// executeSim runs one simulated plan.
func (o *chaosOptions) executeSim(ctx context.Context, e execution) chaosRun {
	pool, done, err := o.simPool()
	if err != nil {
		return chaosRun{dir: e.dir, err: err, verdict: check.Failed(err)}
	}
	r := o.simulated(pool.Run(ctx, o.simJob(e)), e)
	r.err = errors.Join(r.err, done())
	return r
}

func (o *chaosOptions) simJob(e execution) sim.Job {
	j := sim.Job{Plan: e.plan, Plant: o.plant, Rerun: e.rerun, Shrink: e.shrink()}
	j.Load, _ = o.own.load(e.plan.Seed) // it was made once already
	if e.dir != "" {
		j.History, j.Faults = filepath.Join(e.dir, report.HistoryFile), filepath.Join(e.dir, report.FaultsFile)
		_ = os.MkdirAll(e.dir, 0o755) // the child says why it cannot write
	}
	return j
}

// simulated tells a simulated run as any other, and writes its report.
func (o *chaosOptions) simulated(out sim.Outcome, e execution) chaosRun {
	r := chaosRun{verdict: out.Result.Verdict, dir: e.dir, rerun: e.rerun, took: out.Took, err: out.Err,
		simulated: out.Result.Simulated, cpu: out.Result.CPU, struck: int(out.Result.Struck), causes: plant.Causes(out), bare: o.plant == plant.BareRaft}
	if errors.Is(out.Err, sim.ErrInterrupted) {
		r.err, r.interrupted = o.removeUnfinished(&e), true
		return r
	}
	if e.dir != "" && out.Output != "" {
		r.err = errors.Join(r.err, report.KeepOutput(e.dir, e.plan.String(), out.Output))
	}
	if out.Err != nil {
		if e.dir != "" { // of one that has recorded nothing there is none
			_ = report.Complete(e.dir, e.plan.String(), out.Result.Verdict)
		}
		return r
	}
	if e.dir != "" {
		r.err = errors.Join(r.err, report.Complete(e.dir, e.plan.String(), out.Result.Verdict))
	}
	speed := 0.0
	if out.Result.CPU > 0 {
		speed = out.Result.Simulated.Seconds() / out.Result.CPU.Seconds()
	}
	r.figures = fmt.Sprintf("%d faults, %d had an effect; %v simulated in %v: %.0f times real time a core", out.Result.Faults, out.Result.Struck,
		out.Result.Simulated.Round(time.Millisecond), out.Took.Round(time.Millisecond), speed)
	return r
}

// removeUnfinished removes what a simulation has written that was ended on the way: there is no report of it.
func (o *chaosOptions) removeUnfinished(e *execution) error {
	if e.dir == "" {
		return nil
	}
	for _, name := range []string{report.HistoryFile, report.FaultsFile} {
		if err := os.Remove(filepath.Join(e.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if o.out != "" && o.seeds == "" { // it may have been there before
		return nil
	}
	return os.Remove(e.dir)
}

// simSeeds runs simulated clusters in child processes.
func (o *chaosOptions) simSeeds(ctx context.Context, b batch, each func(uint64, chaosRun)) error {
	pool, done, err := o.simPool()
	if err != nil {
		return err
	}
	runs := map[*plan.Plan]execution{}
	var mu sync.Mutex
	var failed error
	pool.RunAll(ctx, func(yield func(sim.Job) bool) {
		for seed := b.first; seed <= b.last; seed++ {
			e, err := o.seedRun(seed)
			if err != nil {
				failed = err
				return
			}
			mu.Lock()
			runs[e.plan] = e
			mu.Unlock()
			if !yield(o.simJob(e)) {
				return
			}
		}
	}, func(out sim.Outcome) bool {
		mu.Lock()
		e := runs[out.Plan]
		delete(runs, out.Plan)
		mu.Unlock()
		r := o.simulated(out, e)
		each(e.plan.Seed, r)
		return true
	})
	for _, e := range runs { // those that were ended on the way, and those that were about to begin
		failed = errors.Join(failed, o.removeUnfinished(&e))
	}
	return errors.Join(failed, done())
}
