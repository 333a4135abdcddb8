package real

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/plan"
)

// judge draws the conclusion and writes the report. When ctx ends, what takes time is left out.
func (r *run) judge(ctx context.Context, result Result) (Result, error) {
	r.readers.Wait()
	result.Verdict = r.suite.Finish(ctx)
	for _, f := range result.Verdict.Faults {
		if f.Struck > 0 {
			result.Struck++
		}
	}
	var err error
	if result.Verdict.Judgement == check.Violated {
		r.explain(ctx, &result.Verdict)
		err = r.keepData()
	}
	return result, errors.Join(err, r.report.Finish(result.Verdict))
}

// keepData moves the replicas' folders to the report.
func (r *run) keepData() error {
	to := filepath.Join(r.Dir, DataFolder)
	if err := r.scratch.Keep(); err != nil {
		return fmt.Errorf("keep the replicas' data: %w", err)
	}
	if err := os.Rename(r.data, to); err == nil {
		return nil
	}
	err := os.CopyFS(to, os.DirFS(r.data)) // another file system
	if err != nil {
		return fmt.Errorf("keep the replicas' data: %w", err)
	}
	return nil
}

// DataFolder is where the replicas' data are in the report of a run with a violation.
const DataFolder = "data"

// clean ends whatever is left and removes the data.
func (r *run) clean() error {
	for _, m := range r.members {
		m.close()
	}
	if r.net != nil {
		r.net.close()
	}
	if r.caller != nil {
		r.caller.close()
	}
	r.readers.Wait()
	if r.report != nil {
		_ = r.report.Close() // closed already, unless something has failed before
	}
	if r.scratch == nil {
		return nil
	}
	return r.scratch.Remove()
}

// parameters are the plan's for the report.
func parameters(p *plan.Plan) []history.Parameter {
	out := []history.Parameter{
		{Name: "workload", Value: fmt.Sprintf("%s, %d clients, %g messages a second", p.Workload.Name, p.Workload.Clients, p.Workload.Rate)},
		{Name: "time", Value: fmt.Sprintf("%v with faults, up to %v quiet", p.Time.Run, p.Time.Quiet)},
	}
	for i, o := range p.Replicas {
		text := optionsText(o.Tracker, o.Opt, o.Checkpoint)
		if text == "" {
			text = "defaults"
		}
		out = append(out, history.Parameter{Name: fmt.Sprintf("replica %d", i+1), Value: text})
	}
	return out
}
