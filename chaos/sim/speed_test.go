package sim

import (
	"fmt"
	"os"
	"testing"
	"time"
)

func TestSpeed(t *testing.T) {
	if os.Getenv("SPEED") == "" {
		t.Skip()
	}
	for _, w := range []struct{ name, extra, rep string }{
		{"trivial", "", " checkpoint=100000"},
		{"uniform", " queries=0.1", " checkpoint=100"},
		{"demo", " queries=0.1", " checkpoint=100"},
	} {
		p := parse(t, fmt.Sprintf("lockstep-plan 1\nseed 1\ntime run=%s quiet=4s\nworkload name=%s seed=1 clients=4 rate=10%s\nreplica 1 tracker=prefetch%[4]s\nreplica 2 tracker=cow%[4]s\nreplica 3 tracker=adaptive%[4]s\n", env("RUN", "600s"), w.name, w.extra, w.rep))
		pool := &Pool{Limit: 100 * time.Second, Dir: os.Getenv("SIMDIR"), Modules: os.Getenv("SIMMOD"), NoReplays: os.Getenv("NOREPLAY") != ""}
		o := pool.Run(t.Context(), Job{Plan: p})
		r := o.Result
		t.Logf("%-8s %.0fx cpu, %.0fx real: sim %v real %v cpu %v commits %d %s", w.name, r.Simulated.Seconds()/r.CPU.Seconds(), r.Simulated.Seconds()/r.Real.Seconds(), r.Simulated.Round(time.Second), r.Real, r.CPU, r.Commits, r.Verdict.Judgement)
	}
}
