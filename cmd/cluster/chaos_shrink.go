package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	simRunsToFail  = 20
	realRunsToFail = 5
	maxRunsOfOne   = 10
)

// shrinking is a search for the least plan that fails as a whole one does.
type shrinking struct {
	*chaosOptions
	out *chaosOutput
	// judge runs a plan once.
	judge func(context.Context, *plan.Plan) (check.Verdict, error)
}

// runShrink looks for the least plan that still fails in the same way, prints it and writes it.
func (o *chaosOptions) runShrink(ctx context.Context, out *chaosOutput, p *plan.Plan) error {
	s := shrinking{o, out, func(ctx context.Context, p *plan.Plan) (check.Verdict, error) { return o.judged(ctx, out, p) }}
	return s.run(ctx, p)
}

func (s *shrinking) run(ctx context.Context, p *plan.Plan) error {
	s.out.plan(p, s.layer())
	first, err := s.untilFailure(ctx, p)
	switch {
	case ctx.Err() != nil:
		s.out.say("interrupted before the plan failed: nothing was shrunk")
		return &exitError{exitUndecided, nil}
	case err != nil:
		return &exitError{exitFault, err}
	case first.checker == "":
		s.out.say(fmt.Sprintf("the plan did not fail in %d runs, %d of them undecided: there is nothing to shrink", first.runs, first.undecided))
		if first.undecided > 0 {
			return &exitError{exitUndecided, nil}
		}
		return nil
	}
	each := min(2*first.runs, maxRunsOfOne)
	s.out.say(fmt.Sprintf("run %d of it failed: %s. Now the least plan that fails so, in %d attempts at most of up to %d runs each:", first.runs,
		first.checker, plan.ShrinkAttempts, each))
	shrunk, searchErr := plan.Shrink(ctx, p, func(ctx context.Context, p *plan.Plan) (bool, error) {
		for range each {
			v, err := s.once(ctx, p)
			if err != nil || broken(&v, first.checker) {
				return err == nil, err
			}
		}
		return false, nil
	}, plan.ShrinkLimits{Tried: s.out.attempt})
	return s.conclude(p, shrunk, searchErr, ctx.Err() != nil)
}

// conclude prints the plan that was found, and writes it: what could not be searched or written to its end is there all the same.
func (s *shrinking) conclude(whole *plan.Plan, shrunk plan.Shrunk, searchErr error, interrupted bool) error {
	least := shrunk.Plan
	s.out.plan(least, s.layer())
	end := "nothing more can be left out"
	switch {
	case interrupted:
		end = "interrupted: shrinking the plan above goes on"
	case searchErr != nil:
		end = "a run could not be made: shrinking the plan above goes on"
	case shrunk.Exhausted:
		end = "there may be more to leave out: the attempts are used up, shrinking the plan above goes on"
	}
	s.out.say(fmt.Sprintf("left after %d attempts: %d of %d faults, %v of %v, %d of %d clients; %s", shrunk.Attempts, len(least.Faults),
		len(whole.Faults), least.Time.Run, whole.Time.Run, least.Workload.Clients, whole.Workload.Clients, end))
	path, err := s.keepPlan(least)
	if err == nil {
		s.out.say(fmt.Sprintf("plan     %s\nagain    %s --runs %d", path, s.rerunPlan(path), s.runsToFail()))
	}
	if interrupted {
		searchErr = nil
	}
	if err := errors.Join(searchErr, err); err != nil {
		return &exitError{exitFault, err}
	}
	return &exitError{exitBad, nil}
}

// failure says which check found the first failure of a plan, "" if none did, after how many runs, and how many of these were undecided.
type failure struct {
	checker         string
	runs, undecided int
}

// runsToFail is how often a plan is run until it fails.
func (o *chaosOptions) runsToFail() int {
	switch {
	case o.runs > 0:
		return o.runs
	case o.real:
		return realRunsToFail
	}
	return simRunsToFail
}

// untilFailure runs a plan until it fails. What another check finds than the one that found it first is another failure.
func (s *shrinking) untilFailure(ctx context.Context, p *plan.Plan) (f failure, err error) {
	for f.runs < s.runsToFail() {
		v, err := s.once(ctx, p)
		if f.runs++; err != nil {
			return f, err
		}
		if broken(&v, v.Leading) {
			f.checker = v.Leading
			return f, nil
		}
		if v.Judgement != check.Agreed {
			f.undecided++
		}
	}
	return f, nil
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

// once runs a plan once. A run that ctx has ended is judged as far as it went: that says nothing about the plan.
func (s *shrinking) once(ctx context.Context, p *plan.Plan) (check.Verdict, error) {
	v, err := s.judge(ctx, p)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return v, err
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

// keepPlan writes the plan that was found, under a name that is free.
func (o *chaosOptions) keepPlan(p *plan.Plan) (string, error) {
	if o.out != "" {
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return "", err
		}
	}
	for n := 1; ; n++ {
		name := fmt.Sprintf("shrunk-%d.plan", p.Seed)
		if n > 1 {
			name = fmt.Sprintf("shrunk-%d-%d.plan", p.Seed, n)
		}
		path := filepath.Join(o.out, name)
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.WriteString(p.String())
		return path, errors.Join(err, f.Close())
	}
}
