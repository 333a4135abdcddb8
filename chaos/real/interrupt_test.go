package real_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/chaos/real"
	"lockstep/chaos/report"
)

// runLong begins the short plan with a time that nobody waits for and tells its progress.
func runLong(t *testing.T, ctx context.Context, interrupt <-chan struct{}, told func(real.Progress)) (real.Result, *report.Loaded) {
	t.Helper()
	text := strings.Replace(shortPlan, "run=2.6s", "run=1h", 1) + "at 200ms for 50m pause nodes=follower\n"
	p, err := plan.Parse(strings.NewReader(text), "plan")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, scratch := filepath.Join(t.TempDir(), "report"), t.TempDir()
	result, err := real.Run(ctx, p, real.Options{Program: program, Args: []string{program, asReplica}, Dir: dir, Scratch: scratch,
		Interrupt: interrupt, Progressed: told})
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(scratch); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	l, err := report.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return result, l
}

func state(v *check.Verdict, checker string) check.State {
	for _, f := range v.Findings {
		if f.Checker == checker {
			return f.State
		}
	}
	return ""
}

// An interrupted run heals what its faults have done, waits for the replicas as any run does, and says that it is not the whole one.
func TestInterruptedRunIsJudged(t *testing.T) {
	interrupt := make(chan struct{})
	var once sync.Once
	result, l := runLong(t, t.Context(), interrupt, func(p real.Progress) {
		if p.Round > 5 && p.Begun == 1 {
			once.Do(func() { close(interrupt) })
		}
	})
	v := result.Verdict
	if !result.Interrupted || v.Judgement != check.Undecided || !strings.Contains(v.Sentence, "interrupted after ") {
		t.Errorf("%s", v.Sentence)
	}
	for _, name := range []string{"root-agreement", "linearizability", "liveness", "replay-equivalence"} {
		if s := state(&v, name); s != check.Held {
			t.Errorf("%s is %s: %s", name, s, v.Sentence)
		}
	}
	again := check.Judge(t.Context(), l.Log, check.Config{})
	if again.Judgement != check.Undecided || !strings.Contains(again.Sentence, "interrupted after ") {
		t.Errorf("judged again: %s", again.Sentence)
	}
}

// A run that is ended at once leaves open what it has not seen.
func TestRunThatIsEndedAtOnceIsUndecided(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result, l := runLong(t, ctx, nil, func(p real.Progress) {
		if p.Round > 5 {
			cancel()
		}
	})
	if v := result.Verdict; v.Judgement != check.Undecided || state(&v, "liveness") != check.Open {
		t.Errorf("%s", v.Sentence)
	}
	if count(l.Log, history.Ended) != 0 {
		t.Error("the history of a run that broke off has an end")
	}
	if again := check.Judge(t.Context(), l.Log, check.Config{}); again.Judgement != check.Undecided {
		t.Errorf("judged again: %s", again.Sentence)
	}
}

func TestRunThatIsInterruptedBeforeItBegins(t *testing.T) {
	interrupt := make(chan struct{})
	close(interrupt)
	result, _ := runLong(t, t.Context(), interrupt, nil)
	if v := result.Verdict; !result.Interrupted || v.Judgement != check.Undecided || !strings.Contains(v.Sentence, "before the replicas were ready") {
		t.Errorf("%s", v.Sentence)
	}
}
