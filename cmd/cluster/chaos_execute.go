package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"lockstep/chaos/check"
	"lockstep/chaos/plan"
	"lockstep/chaos/report"
	"lockstep/chaos/sim/plant"
)

// chaosRun is a run that is over, simulated or real.
type chaosRun struct {
	verdict check.Verdict
	// dir is the report's folder, kept whether it is still there.
	dir  string
	kept bool
	// interrupted: the run was ended before its time.
	interrupted bool
	// figures are measures of the run, in words.
	figures   string
	took      time.Duration
	rerun     string
	err       error
	simulated time.Duration
	cpu       time.Duration
	struck    int
	// causes are the defects of raft that a run without node's guards has shown.
	causes   []plant.Defect
	bare     bool
	verified int
}

// page is the path of the report's page, "" if there is none.
func (r *chaosRun) page() string {
	path := filepath.Join(r.dir, report.PageFile)
	if _, err := os.Stat(path); err != nil || !r.kept {
		return ""
	}
	return path
}

// runOne runs one plan, as often as --runs says until a run does not agree, and tells everything about the last run.
func (o *chaosOptions) runOne(ctx context.Context, out *chaosOutput, p *plan.Plan) error {
	for n := 1; ; n++ {
		dir, err := o.reportDir(n)
		if err != nil {
			return &exitError{exitFault, err}
		}
		if n == 1 {
			out.plan(p, o.layer())
		}
		r := o.execute(ctx, out, execution{plan: p, dir: dir, rerun: o.again(dir), progress: true})
		if n < o.runs && r.err == nil && r.verdict.Judgement == check.Agreed && ctx.Err() == nil && !o.interrupted() {
			out.say(fmt.Sprintf("run %d of %d agreed: %d rounds", n, o.runs, r.verdict.Totals.Rounds))
			if o.out == "" {
				r.err = os.RemoveAll(dir)
			}
			if r.err == nil {
				continue
			}
		}
		if r.kept = !(r.interrupted && !o.real); o.runs > 1 {
			r.figures = fmt.Sprintf("run %d of %d; %s", n, o.runs, r.figures)
		}
		out.verdict(r)
		return o.exit(r.verdict.Judgement, r.err)
	}
}

func (o *chaosOptions) exit(j check.Judgement, err error) error {
	switch {
	case err != nil:
		return &exitError{exitFault, err}
	case j == check.Agreed:
		return nil
	}
	return &exitError{j.ExitCode(), nil}
}

// reportDir makes the folder for the report of the run of a number; one that has a run's report already is refused.
func (o *chaosOptions) reportDir(run int) (string, error) {
	if o.out != "" {
		dir, err := filepath.Abs(o.out)
		if o.runs > 1 {
			dir = filepath.Join(dir, fmt.Sprintf("run-%d", run))
		}
		if err = errors.Join(err, os.MkdirAll(dir, 0o755)); err != nil {
			return "", fmt.Errorf("--out: %w", err)
		}
		if name := report.Occupied(dir); name != "" {
			return "", fmt.Errorf("--out: %s holds the report of a run already (%s): name another folder", dir, name)
		}
		return dir, nil
	}
	return os.MkdirTemp("", "lockstep-chaos-")
}

// execution is one run to make.
type execution struct {
	plan     *plan.Plan
	dir      string
	rerun    string
	progress bool
	lie      bool
}

func (e *execution) shrink() string { return e.rerun + " --shrink" }

// execute runs a plan. Its error is in the result: a run that could not be made is one that failed.
func (o *chaosOptions) execute(ctx context.Context, out *chaosOutput, e execution) chaosRun {
	if !o.real {
		return o.executeSim(ctx, e)
	}
	return o.executeReal(ctx, out, e)
}

// judgeAgain judges a report by today's checkers.
func (o *chaosOptions) judgeAgain(c *cobra.Command) error {
	v, err := report.Rejudge(c.Context(), o.rejudge, check.Config{})
	if err != nil {
		return &exitError{exitFault, fmt.Errorf("--rejudge %s: %w", o.rejudge, err)}
	}
	newChaosOutput(c.OutOrStdout(), o.asJSON).verdict(chaosRun{verdict: v, dir: o.rejudge, kept: true})
	return o.exit(v.Judgement, nil)
}

// parallel is the number of runs at the same time.
func (o *chaosOptions) parallel() int {
	switch {
	case o.jobs > 0:
		return o.jobs
	case o.real:
		return 1
	}
	return runtime.NumCPU()
}
