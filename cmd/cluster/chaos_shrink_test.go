package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/plan"
)

// shrinkOf runs a search whose runs end as judge says, and gives what it printed and its exit code.
func shrinkOf(t *testing.T, ctx context.Context, o *chaosOptions, judge func(*plan.Plan) (check.Judgement, error)) (string, int) {
	t.Helper()
	var printed bytes.Buffer
	s := shrinking{o, newChaosOutput(&printed, false), func(_ context.Context, p *plan.Plan) (check.Verdict, error) {
		j, err := judge(p)
		v := check.Verdict{Judgement: j}
		if j == check.Violated {
			v.Leading, v.Findings = "one-leader", []check.Finding{{Checker: "one-leader", State: check.Broken}}
		}
		return v, err
	}}
	err := s.run(ctx, plan.Generate(5, plan.Shape{Time: plan.Time{Run: 20 * time.Second}}))
	var exit *exitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit == nil {
		return printed.String(), 0
	}
	return printed.String(), exit.code
}

func always(j check.Judgement) func(*plan.Plan) (check.Judgement, error) {
	return func(*plan.Plan) (check.Judgement, error) { return j, nil }
}

func TestShrinkSaysHowItEnded(t *testing.T) {
	faulty := func(p *plan.Plan) (check.Judgement, error) {
		if len(p.Faults) > 0 {
			return check.Violated, nil
		}
		return check.Agreed, nil
	}
	for _, c := range []struct {
		name  string
		judge func(*plan.Plan) (check.Judgement, error)
		code  int
		wants string
	}{
		{"whole", faulty, exitBad, "; nothing more can be left out"},
		{"agreeing", always(check.Agreed), 0, "did not fail in 20 runs, 0 of them undecided"},
		{"undecided", always(check.Undecided), exitUndecided, "did not fail in 20 runs, 20 of them undecided"},
		{"broken", func(p *plan.Plan) (check.Judgement, error) {
			if len(p.Faults) < 3 {
				return check.HarnessError, errors.New("no port")
			}
			return check.Violated, nil
		}, exitFault, "a run could not be made: shrinking the plan above goes on"},
	} {
		printed, code := shrinkOf(t, t.Context(), &chaosOptions{out: t.TempDir()}, c.judge)
		if code != c.code || !strings.Contains(printed, c.wants) {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s", c.name, code, c.code, c.wants, printed)
		}
	}
}

// What an interrupted run has come to says nothing about its plan, whether it is one of the first or one of the search.
func TestAnInterruptedShrinkSaysSo(t *testing.T) {
	for _, c := range []struct {
		after, code int
		wants       string
	}{{1, exitUndecided, "interrupted before the plan failed"}, {3, exitBad, "; interrupted: shrinking the plan above goes on\nplan "}} {
		ctx, interrupt := context.WithCancel(t.Context())
		runs := 0
		printed, code := shrinkOf(t, ctx, &chaosOptions{out: t.TempDir()}, func(*plan.Plan) (check.Judgement, error) {
			if runs++; runs < c.after {
				return check.Violated, nil
			}
			interrupt()
			return check.Agreed, nil
		})
		if code != c.code || !strings.Contains(printed, c.wants) || strings.Contains(printed, "put back") || runs != c.after {
			t.Errorf("interrupted in run %d: exit code %d, want %d and %q, after %d runs:\n%s", c.after, code, c.code, c.wants, runs, printed)
		}
	}
}

// What was found before is never written over, and what cannot be written is printed all the same.
func TestShrunkPlansAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b")
	o := &chaosOptions{out: dir}
	for _, name := range []string{"shrunk-5.plan", "shrunk-5-2.plan"} {
		printed, code := shrinkOf(t, t.Context(), o, always(check.Violated))
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		again := "again    cluster chaos --sim --plan '" + path + "' --runs 20\n"
		if code != exitBad || err != nil || !strings.HasPrefix(string(text), "lockstep-plan 1") || !strings.Contains(printed, again) {
			t.Fatalf("exit code %d, %v:\n%s", code, err, printed)
		}
	}
	file := filepath.Join(dir, "shrunk-5.plan")
	printed, code := shrinkOf(t, t.Context(), &chaosOptions{out: file}, always(check.Violated))
	if code != exitFault || strings.Count(printed, "lockstep-plan 1") != 2 || strings.Contains(printed, "again ") {
		t.Errorf("exit code %d when the plan can't be written:\n%s", code, printed)
	}
}
