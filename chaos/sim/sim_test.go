package sim

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"lockstep/chaos/plan"
)

func TestMain(m *testing.M) {
	if IsChild() {
		Serve(func(string) (*Seams, error) { return nil, errors.New("no plants here") })
	}
	os.Exit(m.Run())
}

func parse(t *testing.T, text string) *plan.Plan {
	t.Helper()
	p, err := plan.Parse(strings.NewReader(text), t.Name())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestQuiet(t *testing.T) {
	p := parse(t, `lockstep-plan 1
seed 1
time run=60s quiet=20s
workload name=`+env("WORK", "demo")+` seed=1 clients=4 rate=`+env("RATE", "10")+` queries=0.1
replica 1 tracker=prefetch
replica 2 tracker=cow
replica 3 tracker=compare
`)
	pool := &Pool{Limit: 60 * time.Second, Dir: os.Getenv("SIMDIR"), Modules: os.Getenv("SIMMOD"), Log: os.Getenv("SIMLOG") != "", NoReplays: os.Getenv("NOREPLAY") != ""}
	o := pool.Run(t.Context(), Job{Plan: p, History: os.Getenv("HIST")})
	r := o.Result
	t.Logf("%s\nsim %v real %v cpu %v took %v speed %.0fx/cpu commits %d err %v\n%s", r.Verdict.Sentence, r.Simulated, r.Real, r.CPU, o.Took, r.Simulated.Seconds()/r.CPU.Seconds(), r.Commits, o.Err, o.Output)
	for _, f := range r.Verdict.Findings {
		t.Log(f.Checker, f.State, f.Checked, f.Reason)
	}
}

func env(name, or string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return or
}
