package sim

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/history/synth"
	"lockstep/chaos/plan"
)

// A simulation that died gives no answer: when that was and what it had done is in what it recorded, also if the last line is not whole.
func TestWhatASimulationThatDiedHadRecorded(t *testing.T) {
	l := synth.Make(synth.Busy(3, 3, 10*time.Second))
	path := filepath.Join(t.TempDir(), "history.jsonl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := history.NewRecorder(history.RecorderConfig{Header: l.Header, Out: f})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l.Events {
		r.Add(e)
	}
	flush := r.Flush()
	_, cut := f.WriteString(`{"at":10`)
	if err := errors.Join(flush, cut, f.Close()); err != nil {
		t.Fatal(err)
	}
	for path, at := range map[string]time.Duration{path: l.Events[len(l.Events)-1].At, "": 0, path + ".none": 0} {
		o := Outcome{Job: Job{History: path}, Output: "panic: the heap is gone\n\ngoroutine 1 [running]:\n"}
		if err := o.died(errors.New("exit status 2")); err != nil {
			t.Fatal(err)
		}
		v := o.Result.Verdict
		if v.Judgement != check.Violated || v.Leading != "no-panic" || v.Findings[0].Violation.At != at || !strings.Contains(v.Sentence, history.Clock(at)+": a replica panicked: the heap is gone") {
			t.Errorf("history %q: %s", path, v.Sentence)
		}
		if known := v.Totals.Rounds > 0 && v.Totals.OK > 0 && len(v.Faults) > 0; known != (at > 0) {
			t.Errorf("history %q: %+v", path, v.Totals)
		}
	}
}

// A run that takes too long is ended, and the error names the limit and what can be done; the limit grows with the plan.
func TestASimulationHasALimit(t *testing.T) {
	pool := testPool(t)
	pool.Limit = time.Millisecond
	o := pool.Run(t.Context(), Job{Plan: parse(t, "lockstep-plan 1\nseed 1\ntime run=6h quiet=10s\nworkload name=demo seed=1 clients=1\nreplica 1\n")})
	if o.Err == nil || o.Result.Verdict.Judgement != check.HarnessError {
		t.Fatalf("%s", o.Result.Verdict.Sentence)
	}
	for _, want := range []string{"ended after 1ms", "a plan of 6h0m0s", "less time"} {
		if !strings.Contains(o.Err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, o.Err)
		}
	}
	long, short := LimitOf(o.Plan), LimitOf(&plan.Plan{Time: plan.Time{Run: time.Second}})
	if long < 6*time.Hour/30 || short < time.Minute || long < 4*short {
		t.Errorf("the limits are %v and %v", long, short)
	}
}
