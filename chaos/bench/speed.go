package bench

import (
	"fmt"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/plan"
	"lockstep/chaos/sim"
	"lockstep/figure"
)

// speeds measures quiet clusters with about ten rounds a second.
func (b *run) speeds() error {
	for _, of := range []struct {
		work, workload   string
		goal, checkpoint int
	}{
		{"three replicas, ten rounds a second, a trivial canister", sim.TrivialWorkload, 700, 0},
		{"the same with Wasm memory, tracking, checkpoints on disk", "uniform", 100, 100},
	} {
		r, err := b.simulate(speedPlan(of.workload, of.checkpoint))
		if err != nil {
			return err
		}
		speed := r.Simulated.Seconds() / r.CPU.Seconds()
		b.figure(figure.Figure{Work: "simulated time per processor time: " + of.work, Goal: fmt.Sprintf("%dx", of.goal), Met: speed >= float64(of.goal),
			Measured: fmt.Sprintf("%.0fx: %v in %v, %d rounds", speed, r.Simulated.Round(time.Second), r.CPU.Round(time.Millisecond), r.Commits),
			Values:   map[string]float64{"x": speed}})
	}
	return nil
}

func speedPlan(workload string, checkpoint int) *plan.Plan {
	p := &plan.Plan{Seed: 1, Time: plan.Time{Run: 10 * time.Minute, Quiet: 10 * time.Second},
		Workload: plan.Workload{Name: workload, Seed: 1, Clients: 4, Rate: 10}}
	for _, t := range []string{"prefetch", "cow", "adaptive"} {
		p.Replicas = append(p.Replicas, plan.Options{Tracker: t, Checkpoint: checkpoint})
	}
	return p
}

// simulate runs a plan that must not find a violation.
func (b *run) simulate(p *plan.Plan) (sim.Result, error) {
	o := b.Pool.Run(b.ctx, sim.Job{Plan: p})
	if o.Err != nil {
		return o.Result, o.Err
	}
	if j := o.Result.Verdict.Judgement; j == check.Violated || j == check.HarnessError {
		return o.Result, fmt.Errorf("seed %d: %s", p.Seed, o.Result.Verdict.Sentence)
	}
	return o.Result, nil
}

// drawn measures simulated runs of drawn plans.
func (b *run) drawn() error {
	var cpu, simulated time.Duration
	struck, undecided := uint64(0), 0
	for seed := uint64(1); seed <= b.Seeds; seed++ {
		r, err := b.simulate(b.Draw(seed))
		if err != nil {
			return err
		}
		cpu, simulated = cpu+r.CPU, simulated+r.Simulated
		if r.Verdict.Judgement != check.Agreed { // its faults are not verified
			undecided++
			continue
		}
		struck += r.Struck
	}
	rate := perMinute(struck, cpu)
	b.figure(figure.Figure{Work: fmt.Sprintf("verified faults a minute and processor, simulated, seeds 1 to %d", b.Seeds), Goal: "5000", Met: rate >= 5000,
		Measured: fmt.Sprintf("%.0f; %.0f times real time, %d undecided", rate, simulated.Seconds()/cpu.Seconds(), undecided),
		Values:   map[string]float64{"faults a minute": rate, "x": simulated.Seconds() / cpu.Seconds()}})
	return nil
}

// reals measures real runs of drawn plans.
func (b *run) reals() error {
	if b.Real == nil {
		return nil
	}
	var cpu time.Duration
	verified := uint64(0)
	for seed := uint64(1); seed <= b.RealSeeds; seed++ {
		r, err := b.Real(b.ctx, seed)
		if err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
		cpu, verified = cpu+r.CPU, verified+uint64(r.Verified)
	}
	rate := perMinute(verified, cpu)
	b.figure(figure.Figure{Work: fmt.Sprintf("verified faults a minute and processor, real, seeds 1 to %d", b.RealSeeds), Goal: "150", Met: rate >= 150,
		Measured: fmt.Sprintf("%.0f: %d in %v", rate, verified, cpu.Round(time.Second)), Values: map[string]float64{"faults a minute": rate}})
	return nil
}

func perMinute(n uint64, in time.Duration) float64 { return float64(n) / max(in, 1).Minutes() }
