package sim

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/plan"
)

func TestSeeds(t *testing.T) {
	from, _ := strconv.ParseUint(env("FROM", "1"), 10, 64)
	to, _ := strconv.ParseUint(env("TO", "5"), 10, 64)
	var kinds []plan.Kind
	for _, k := range plan.Kinds(plan.Sim) {
		if only := os.Getenv("KIND"); only == "" || only == string(k) {
			kinds = append(kinds, k)
		}
	}
	par, _ := strconv.Atoi(env("PAR", "1"))
	pool := &Pool{Limit: 60 * time.Second, Parallel: par, Dir: os.Getenv("SIMDIR"), Modules: os.Getenv("SIMMOD"), Log: os.Getenv("SIMLOG") != ""}
	var batch check.Batch
	var sim, cpu, real time.Duration
	var faults, struck, commits uint64
	pool.RunAll(t.Context(), func(yield func(Job) bool) {
		for s := from; s <= to; s++ {
			p := plan.Generate(s, plan.Shape{Kinds: kinds, Trackers: []string{"prefetch", "cow", "compare", "naive", "wholepage", "uffd", "adaptive"}, Opts: []string{"none", "speed"}})
			if !yield(Job{Plan: p, History: os.Getenv("HIST")}) {
				return
			}
		}
	}, func(o Outcome) bool {
		r := o.Result
		batch.Add(r.Verdict)
		sim, cpu, real, faults, struck, commits = sim+r.Simulated, cpu+r.CPU, real+o.Took, faults+r.Faults, struck+r.Struck, commits+r.Commits
		if r.Verdict.Judgement != check.Agreed {
			t.Logf("seed %d: %.600s [%v] err=%.200v", o.Plan.Seed, r.Verdict.Sentence, o.Took.Round(time.Millisecond), o.Err)
			if os.Getenv("OUT") != "" {
				t.Log(o.Output)
			}
			os.WriteFile(fmt.Sprintf("/tmp/seed%d.plan", o.Plan.Seed), []byte(o.Plan.String()), 0o644)
		}
		return true
	})
	t.Logf("%s\nsim %v cpu %v real %v: %.0fx; faults %d struck %d: %.0f/min/cpu; commits %d; idle %v", batch.Sentence(nil), sim, cpu, real, sim.Seconds()/cpu.Seconds(), faults, struck, float64(struck)/cpu.Minutes(), commits, batch.Idle())
}
