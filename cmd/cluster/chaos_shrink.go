package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"lockstep/chaos/check"
	"lockstep/chaos/plan"
)

// A plan is given the same faults whenever it is run, but Go's scheduler and raft's own random numbers have a part in what comes of them.
// So the plan itself is run until it fails, up to a bound, and each smaller one twice as often as that took before it counts as one that
// does not fail.
const (
	runsToFail     = 20
	realRunsToFail = 5
	maxRunsOfOne   = 10
)

// runShrink looks for the least plan that still fails in the same way, and writes it.
func (o *chaosOptions) runShrink(ctx context.Context, out *chaosOutput, p *plan.Plan) error {
	out.plan(p, o.layer())
	most := runsToFail
	if o.real {
		most = realRunsToFail
	}
	checker, runs, err := o.firstFailure(ctx, out, p, most)
	if err != nil {
		return &exitError{exitFault, err}
	}
	if checker == "" {
		out.say(fmt.Sprintf("the plan did not fail in %d runs: there is nothing to shrink", most))
		return nil
	}
	each := min(2*runs, maxRunsOfOne)
	out.say(fmt.Sprintf("run %d of it failed: %s. Now the least plan that fails so, in %d attempts at most of up to %d runs each:", runs, checker,
		plan.ShrinkAttempts, each))
	shrunk, err := plan.Shrink(ctx, p, func(ctx context.Context, p *plan.Plan) (bool, error) {
		for range each {
			v, err := o.judged(ctx, out, p)
			if err != nil || broken(&v, checker) {
				return err == nil, err
			}
		}
		return false, nil
	}, plan.ShrinkLimits{Tried: out.attempt})
	if err != nil && ctx.Err() == nil {
		return &exitError{exitFault, err}
	}
	path, err := o.keepPlan(shrunk.Plan)
	if err != nil {
		return &exitError{exitFault, err}
	}
	out.plan(shrunk.Plan, o.layer())
	end := "nothing more can be left out"
	if shrunk.Exhausted {
		end = "there may be more to leave out: the attempts are used up, shrinking the plan below goes on"
	}
	if err != nil {
		end = "interrupted: shrinking the plan below goes on"
	}
	least := shrunk.Plan
	out.say(fmt.Sprintf("left after %d attempts: %d of %d faults, %v of %v, %d of %d clients; %s\nplan     %s\nagain    cluster chaos %s --plan %s%s",
		shrunk.Attempts, len(least.Faults), len(p.Faults), least.Time.Run, p.Time.Run, least.Workload.Clients, p.Workload.Clients, end,
		path, o.layer(), path, o.bugs()))
	return &exitError{exitBad, nil}
}

// firstFailure runs a plan until it fails, most times at most, and gives the check that found it first, none if none did: what another
// check finds is another failure.
func (o *chaosOptions) firstFailure(ctx context.Context, out *chaosOutput, p *plan.Plan, most int) (checker string, runs int, err error) {
	for runs = 1; runs <= most; runs++ {
		v, err := o.judged(ctx, out, p)
		if err != nil {
			return "", runs, err
		}
		if broken(&v, v.Leading) {
			return v.Leading, runs, nil
		}
	}
	return "", most, nil
}

// broken reports whether a check has found a violation.
func broken(v *check.Verdict, checker string) bool {
	return slices.ContainsFunc(v.Findings, func(f check.Finding) bool { return f.State == check.Broken && f.Checker == checker })
}

// attempt prints what became of a smaller plan.
func (t *chaosOutput) attempt(a plan.Attempt) {
	if t.json {
		t.object("attempt", map[string]any{"number": a.Number, "change": a.Change, "faults": len(a.Plan.Faults), "run_ns": a.Plan.Time.Run,
			"failed": a.Failed})
		return
	}
	word := "agrees, put back"
	if a.Failed {
		word = "still fails, kept"
	}
	messages := "any"
	if n := a.Plan.Workload.Operations; n > 0 {
		messages = strconv.Itoa(n)
	}
	t.say(fmt.Sprintf("%4d  %-16s  %-17s  faults %-4d time %-8v quiet %-6v clients %-2d messages %s", a.Number, a.Change, word,
		len(a.Plan.Faults), a.Plan.Time.Run, a.Plan.Time.Quiet, a.Plan.Workload.Clients, messages))
}

// judged runs a plan once.
func (o *chaosOptions) judged(ctx context.Context, out *chaosOutput, p *plan.Plan) (v check.Verdict, err error) {
	if ctx.Err() != nil {
		return v, context.Cause(ctx)
	}
	dir := ""
	if o.real {
		if dir, err = os.MkdirTemp("", "lockstep-chaos-"); err != nil {
			return v, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	r := o.execute(ctx, out, execution{plan: p, dir: dir})
	return r.verdict, r.err
}

// keepPlan writes the plan that was found.
func (o *chaosOptions) keepPlan(p *plan.Plan) (string, error) {
	path := fmt.Sprintf("shrunk-%d.plan", p.Seed)
	if o.out != "" {
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return "", err
		}
		path = filepath.Join(o.out, path)
	}
	return path, os.WriteFile(path, []byte(p.String()), 0o644)
}
