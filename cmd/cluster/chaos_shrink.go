package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"lockstep/chaos/check"
	"lockstep/chaos/plan"
)

// runsOfShrink is how often a plan is run before it counts as one that does not fail: only a simulation's plan fails always, and
// not even that, as far as Go's scheduler has a part in it.
const runsOfShrink = 2

// runShrink looks for the least plan that still fails in the same way, and writes it.
func (o *chaosOptions) runShrink(ctx context.Context, out *chaosOutput, p *plan.Plan) error {
	out.plan(p, o.layer())
	checker := "" // that found the failure first; one that another finds is another failure
	fails := func(ctx context.Context, p *plan.Plan) (bool, error) {
		for range runsOfShrink {
			v, err := o.judged(ctx, out, p)
			if err != nil {
				return false, err
			}
			if checker == "" {
				checker = v.Leading
			}
			if slices.ContainsFunc(v.Findings, func(f check.Finding) bool { return f.State == check.Broken && f.Checker == checker }) {
				return true, nil
			}
		}
		return false, nil
	}
	failed, err := fails(ctx, p)
	if err != nil {
		return &exitError{exitFault, err}
	}
	if !failed {
		out.say(fmt.Sprintf("the plan did not fail in %d runs: there is nothing to shrink", runsOfShrink))
		return nil
	}
	out.say(fmt.Sprintf("it fails by %s; leaving things out of %d faults:", checker, len(p.Faults)))
	attempt := 0
	shrunk, err := plan.Shrink(ctx, p, func(ctx context.Context, p *plan.Plan) (bool, error) {
		attempt++
		failed, err := fails(ctx, p)
		word := "agrees"
		if failed {
			word = "fails"
		}
		out.say(fmt.Sprintf("attempt %d: %d faults, %v: %s", attempt, len(p.Faults), p.Time.Run, word))
		return failed, err
	}, plan.ShrinkLimits{})
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
	out.say(fmt.Sprintf("%d faults of %d are left, %v with faults of %v, after %d attempts of at most %d; %s\nplan     %s\nagain    cluster chaos %s --plan %s%s", len(shrunk.Plan.Faults),
		len(p.Faults), shrunk.Plan.Time.Run, p.Time.Run, shrunk.Attempts, plan.ShrinkAttempts, end, path, o.layer(), path, o.bugs()))
	return &exitError{exitBad, nil}
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
