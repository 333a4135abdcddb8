package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/plan"
)

// Figure is one measured number of the simulation, on one core.
type Figure struct {
	Name string
	// Value is in Unit, Goal what it is to reach.
	Value, Goal float64
	Unit        string
	// Detail says what was run.
	Detail string
}

// String is the figure's line.
func (f Figure) String() string {
	return fmt.Sprintf("%-52s %8.0f %s (goal %.0f); %s", f.Name, f.Value, f.Unit, f.Goal, f.Detail)
}

// Measure runs the plans behind the simulation's figures, one after the other. Processor time counts, not the time that a busy
// machine gives to others.
func Measure(ctx context.Context, pool *Pool) ([]Figure, error) {
	var figures []Figure
	for _, m := range []struct {
		name, unit string
		goal       float64
		plan       *plan.Plan
		value      func(Result) float64
	}{
		{"simulated time per processor time, trivial canister", "x", 700, speedPlan(TrivialWorkload, 0), speed},
		{"the same with Wasm memory, tracking, checkpoints", "x", 100, speedPlan("uniform", 100), speed},
		{"faults per minute of processor time", "/min", 5000, densePlan(1), func(r Result) float64 { return float64(r.Struck) / r.CPU.Minutes() }},
	} {
		o := pool.Run(ctx, Job{Plan: m.plan})
		r := o.Result
		if o.Err != nil || r.Verdict.Judgement == check.Violated || r.Verdict.Judgement == check.HarnessError {
			return figures, fmt.Errorf("%s: %s", m.name, r.Verdict.Sentence)
		}
		figures = append(figures, Figure{Name: m.name, Value: m.value(r), Goal: m.goal, Unit: m.unit,
			Detail: fmt.Sprintf("%v simulated in %v of processor time, %v real; %d rounds, %d of %d faults struck", r.Simulated.Round(time.Second),
				r.CPU.Round(time.Millisecond), r.Real.Round(time.Millisecond), r.Commits, r.Struck, r.Faults)})
	}
	return figures, nil
}

func speed(r Result) float64 { return r.Simulated.Seconds() / r.CPU.Seconds() }

// speedPlan is a quiet cluster with about ten rounds a second.
func speedPlan(workload string, checkpoint int) *plan.Plan {
	p := &plan.Plan{Seed: 1, Time: plan.Time{Run: 10 * time.Minute, Quiet: 4 * time.Second},
		Workload: plan.Workload{Name: workload, Seed: 1, Clients: 4, Rate: 10}}
	for _, t := range []string{"prefetch", "cow", "adaptive"} {
		p.Replicas = append(p.Replicas, plan.Options{Tracker: t, Checkpoint: checkpoint})
	}
	return p
}

// densePlan has several faults a second.
func densePlan(seed uint64) *plan.Plan {
	r := rand.New(rand.NewPCG(seed, 1))
	lines := []string{
		"for 60ms kill nodes=follower", "for 80ms partition nodes=leader", "for 60ms pause nodes=follower", "for 100ms loss nodes=all to=all rate=0.3",
		"for 60ms crash nodes=follower power=torn", "for 100ms duplicate nodes=all to=all rate=0.5 delay=20ms", "for 80ms partition nodes=follower mode=in",
		"for 80ms slow-disk nodes=follower delay=5ms", "for 100ms reorder nodes=all to=all rate=0.4 delay=15ms", "for 60ms crash nodes=leader power=lost",
		"for 80ms ring", "for 60ms cut nodes=leader to=others", "for 90ms hung-disk nodes=follower", "for 90ms clock nodes=leader skew=5s",
	}
	var b strings.Builder
	fmt.Fprintf(&b, "lockstep-plan 1\nseed %d\ntime run=4m quiet=10s\ncluster election=200ms\n", seed)
	b.WriteString("workload name=trivial seed=1 clients=3 rate=10 queries=0.1\nreplica 1 checkpoint=60\nreplica 2 checkpoint=70\nreplica 3 checkpoint=80\n")
	for at := 500 * time.Millisecond; at < 239*time.Second; at += time.Duration(100+r.IntN(120)) * time.Millisecond {
		fmt.Fprintf(&b, "at %v %s\n", at, lines[r.IntN(len(lines))])
	}
	p, err := plan.Parse(strings.NewReader(b.String()), "dense")
	if err != nil {
		panic(err) // it is written above
	}
	budget := p.Budget()
	p.Allow = plan.Allow{Stall: budget.MayStall, Loss: budget.MayLose}
	return p
}
