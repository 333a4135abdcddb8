package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/plan"
	"lockstep/chaos/real"
	"lockstep/chaos/sim/plant"
)

// defaultRealTime makes the first verdict come soon.
const defaultRealTime = 5 * time.Second

// drawReal draws a plan for a real run.
func drawReal(seed uint64, shape plan.Shape) *plan.Plan {
	if shape.Replicas == 0 {
		shape.Replicas = 3
	}
	if shape.Time.Run == 0 {
		shape.Time.Run = defaultRealTime
	}
	shape.Time.Window = 400 * time.Millisecond // what it takes them to be equal again, with some to spare
	shape.Workloads = []string{"demo", "bank", "fuel"}
	return real.Draw(seed, shape)
}

// executeReal runs one plan with a process a replica.
func (o *chaosOptions) executeReal(ctx context.Context, out *chaosOutput, e execution) chaosRun {
	began, cpu := time.Now(), processorTime()
	r := chaosRun{dir: e.dir, rerun: e.rerun}
	program, err := os.Executable()
	load, loadErr := o.own.load(e.plan.Seed)
	if err = errors.Join(err, loadErr); err != nil {
		r.err, r.verdict = err, check.Failed(err)
		return r
	}
	options := real.Options{Program: program, Args: []string{"cluster", replicaCommand}, Dir: e.dir, Version: buildVersion().Revision,
		Rerun: e.rerun, Shrink: e.shrink(), Lie: o.lie || e.lie, Load: load, Interrupt: o.interrupt}
	if e.progress {
		options.Progressed = out.progress
	}
	result, err := real.Run(ctx, e.plan, options)
	r.verdict, r.err, r.took = result.Verdict, err, time.Since(began)
	r.interrupted = result.Interrupted
	r.struck, r.verified, r.cpu = result.Struck, result.Verified, processorTime()-cpu
	if err != nil {
		r.verdict = check.Failed(err)
		return r
	}
	r.figures = fmt.Sprintf("%d faults, %d had an effect, after %d of these all replicas were seen equal again: %.0f verified faults a minute, %.0f a minute a core; equal %v after healing",
		result.Faults, result.Struck, result.Verified, result.PerMinute(), perMinute(result.Verified, r.cpu), result.Converged.Round(time.Millisecond))
	if result.Converged == 0 {
		r.figures = strings.TrimSuffix(r.figures, "; equal 0s after healing") + "; never all equal after healing"
	}
	return r
}

// realSeeds runs real clusters, as many at a time as --jobs says.
func (o *chaosOptions) realSeeds(ctx context.Context, b batch, each func(uint64, chaosRun)) error {
	slots := make(chan struct{}, o.parallel())
	var runs sync.WaitGroup
	defer runs.Wait()
	for seed := b.first; seed <= b.last; seed++ {
		select {
		case slots <- struct{}{}:
		case <-o.interrupt:
		}
		if o.interrupted() {
			return nil
		}
		e, err := o.seedRun(seed)
		if err != nil {
			return err
		}
		runs.Go(func() {
			defer func() { <-slots }()
			each(seed, o.execute(ctx, b.out, e))
		})
	}
	return nil
}

// plantReal is the planted bug of real runs.
func (o *chaosOptions) plantReal(ctx context.Context, out *chaosOutput) error {
	dir, err := os.MkdirTemp("", "lockstep-chaos-")
	if err != nil {
		return &exitError{exitFault, err}
	}
	p := o.draw(1)
	p.Faults, p.Allow = nil, plan.Allow{}
	p.Workload.Name = "demo" // the lie is in the argument of a put, which not every workload sends
	began := time.Now()
	r := o.execute(ctx, out, execution{plan: p, dir: dir, lie: true})
	if err := errors.Join(r.err, os.RemoveAll(dir)); err != nil {
		return &exitError{exitFault, err}
	}
	caught := plant.Caught{Plant: plant.Plant{Name: "lying-replica", Doc: "a replica is given another message than the others"}, Seeds: 1,
		Took: time.Since(began), CPU: r.cpu, OK: r.verdict.Judgement == check.Violated}
	for _, f := range r.verdict.Findings {
		switch {
		case f.State != check.Broken:
		case caught.By == "":
			caught.By = f.Checker
		default:
			caught.Others = append(caught.Others, f.Checker)
		}
	}
	planted := planting{o, out, 1, 0, 0}
	if caught.OK || !r.interrupted {
		planted.tell(caught)
	}
	return planted.end()
}
