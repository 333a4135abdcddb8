package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/chaos/check"
	"lockstep/chaos/plan"
	"lockstep/chaos/report"
	"lockstep/chaos/sim"
)

// A simulation that ended without an answer is told of with what there is: a report if it had begun to record, and nothing to shrink.
func TestSimulationWithoutAnAnswer(t *testing.T) {
	p := plan.Generate(1, plan.Shape{})
	const header = `{"format":1,"replicas":3,"seed":1,"plan":"0000000000000001","layer":"sim"}` + "\n"
	for name, recorded := range map[string]bool{"recorded": true, "nothing recorded": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if recorded {
				if err := os.WriteFile(filepath.Join(dir, report.HistoryFile), []byte(header), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			failed := errors.New("the simulation was ended after 2m0s")
			e := execution{plan: p, dir: dir, rerun: "cluster chaos --sim --seed 1"}
			r := (&chaosOptions{}).simulated(sim.Outcome{Job: sim.Job{Plan: p}, Err: failed, Output: "stacks",
				Result: sim.Result{Verdict: check.Failed(failed)}}, e)
			r.kept = true
			var text strings.Builder
			newChaosOutput(&text, false).verdict(r)
			newChaosOutput(&text, false).line(1, r)
			newChaosOutput(&text, true).line(1, r)
			said := text.String()
			if !strings.Contains(said, "HARNESS ERROR: "+failed.Error()) || strings.Contains(said, "shrink") {
				t.Errorf("it says\n%s", said)
			}
			_, err := os.Stat(filepath.Join(dir, report.PageFile))
			if there := !errors.Is(err, fs.ErrNotExist); there != recorded || strings.Contains(said, report.PageFile) != recorded {
				t.Errorf("the page is there: %v, it says\n%s", there, said)
			}
			if kept, err := os.ReadFile(filepath.Join(dir, report.OutputFile)); err != nil || string(kept) != "stacks" {
				t.Errorf("%q, %v", kept, err)
			}
		})
	}
}
