package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/sim"
	"lockstep/chaos/sim/plant"
	"lockstep/figure"
)

// planted plants every bug of the catalogue until it is caught.
func (b *run) planted() error {
	return b.plants("planted bugs caught by a check that is to catch them", slices.DeleteFunc(plant.All(), func(p plant.Plant) bool { return p.Bare }))
}

// upstream runs raft as it is, until each of its known defects shows, and the same plans on node.
func (b *run) upstream() error {
	defects := slices.DeleteFunc(plant.All(), func(p plant.Plant) bool { return !p.Bare })
	if err := b.plants("known defects of hashicorp/raft found", defects); err != nil {
		return err
	}
	const seeds = 2
	survived, tried := 0, 0
	var fell []string
	for _, p := range defects {
		for seed := range uint64(seeds) {
			o, err := plant.Guarded(b.ctx, b.Pool, p, seed+1)
			if err != nil {
				return err
			}
			if tried++; o.Result.Verdict.Judgement == check.Agreed {
				survived++
			} else {
				fell = append(fell, fmt.Sprintf("%s, seed %d", p.Name, seed+1))
			}
		}
	}
	b.figure(figure.Figure{Work: "runs that bring them out, with node's guards: agreed", Goal: "all", Met: len(fell) == 0,
		Measured: fmt.Sprintf("%d of %d%s", survived, tried, list("; not ", fell))})
	return b.upstreamDrawn()
}

// mostSeeds is how many drawn plans bare raft is run under at the most, until each known defect has shown.
const mostSeeds = 300

// upstreamDrawn runs drawn plans on bare raft until each of the four known defects has shown, and the same plans on node.
func (b *run) upstreamDrawn() error {
	first := map[plant.Defect]uint64{}
	runs, violated := uint64(0), 0
	for runs < mostSeeds && slices.ContainsFunc(plant.Known(), func(d plant.Defect) bool { return first[d] == 0 }) {
		runs++
		o := b.Pool.Run(b.ctx, sim.Job{Plan: b.Draw(runs), Plant: plant.BareRaft})
		if err := b.ctx.Err(); err != nil {
			return err
		}
		if o.Result.Verdict.Judgement == check.Violated {
			violated++
		}
		for _, d := range plant.Causes(o) {
			if first[d] == 0 {
				first[d] = runs
			}
		}
	}
	var found, missing []string
	for _, d := range plant.Known() {
		if first[d] == 0 {
			missing = append(missing, string(d))
		} else {
			found = append(found, fmt.Sprintf("%s by seed %d", d, first[d]))
		}
	}
	b.figure(figure.Figure{Work: "known defects of hashicorp/raft that drawn plans find", Goal: fmt.Sprintf("%d of %d", len(plant.Known()), len(plant.Known())),
		Met: len(missing) == 0, Measured: fmt.Sprintf("%d of %d%s%s; %d of %d seeds with a violation", len(found), len(plant.Known()), list(": ", found),
			list("; not ", missing), violated, runs)})
	var fell []string
	for seed := range runs {
		o := b.Pool.Run(b.ctx, sim.Job{Plan: b.Draw(seed + 1)})
		if err := b.ctx.Err(); err != nil {
			return err
		}
		if o.Result.Verdict.Judgement != check.Agreed {
			fell = append(fell, fmt.Sprintf("seed %d", seed+1))
		}
	}
	b.figure(figure.Figure{Work: "the same seeds on node: agreed", Goal: "all", Met: len(fell) == 0,
		Measured: fmt.Sprintf("%d of %d%s", int(runs)-len(fell), runs, list("; not ", fell))})
	return nil
}

func (b *run) plants(work string, plants []plant.Plant) error {
	var slowest time.Duration
	var missed []string
	for _, p := range plants {
		c, err := plant.Run(b.ctx, b.Pool, p)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		if !c.OK {
			missed = append(missed, p.Name)
		}
		slowest = max(slowest, c.CPU)
	}
	b.figure(figure.Figure{Work: work, Goal: fmt.Sprintf("all within %v", plant.MaxTime), Met: len(missed) == 0 && slowest <= plant.MaxTime,
		Measured: fmt.Sprintf("%d of %d, slowest in %.2f s of processor time%s", len(plants)-len(missed), len(plants), slowest.Seconds(), list("; not ", missed)),
		Values:   map[string]float64{"slowest s": slowest.Seconds(), "missed": float64(len(missed))}})
	return nil
}

func list(before string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return before + strings.Join(names, ", ")
}
