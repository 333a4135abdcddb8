package plant

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/plan"
	"lockstep/chaos/sim"
)

// Plant is one planted bug.
type Plant struct {
	Name string
	// Doc says what is wrong, in a sentence.
	Doc string
	// Expect are the checkers of which one must find it.
	Expect []string
	// Blind says that the checkers in Expect must not find it: what they see is falsified too.
	Blind bool
	// Bare says that it is a defect of hashicorp/raft without node's guards.
	Bare bool
	// seams makes the layers of one run.
	seams func() *sim.Seams
	// faults are lines of the plan that provokes it, shape the lines before them if not the usual ones.
	faults, shape string
}

// All lists the plants.
func All() []Plant {
	return slices.Concat(machinePlants, memoryPlants, bankPlants, checkpointPlants, logPlants, networkPlants, recorderPlants, barePlants)
}

// guarded is behind the name of a bare plant whose layers are to be put around node.
const guarded = "+node"

// BareRaft is the name under which hashicorp/raft runs without node's guards and with no bug of ours: Find knows it, All does not, since no
// plan of its own provokes what is wrong with it. Drawn plans do.
const BareRaft = "bare-raft"

// Find gives a plant's layers by name: what sim.Serve wants to know.
func Find(name string) (*sim.Seams, error) {
	if name == BareRaft {
		return bareRaft(), nil
	}
	plain, onNode := strings.CutSuffix(name, guarded)
	for _, p := range All() {
		if p.Name == plain {
			s := p.seams()
			s.Bare = s.Bare && !onNode
			return s, nil
		}
	}
	return nil, fmt.Errorf("no bug %q can be planted", name)
}

// usual is the cluster that most plants are put into: replicas that differ, small logs and frequent checkpoints.
const usual = `time run=30s quiet=16s window=1s
replica 1 tracker=prefetch checkpoint=24 trailing=16 messages=8
replica 2 tracker=cow opt=none checkpoint=31 trailing=16 messages=8 append=7
replica 3 tracker=compare checkpoint=40 trailing=16 messages=8 workers=1
workload name=uniform clients=8 rate=60 queries=0.3 stale=0.05 duplicates=0.2
`

// busy has rounds of many messages.
const busy = `time run=20s quiet=16s window=1s
replica 1 tracker=prefetch checkpoint=60 trailing=16 inflight=1
replica 2 tracker=cow opt=none checkpoint=71 trailing=16 append=7 inflight=1
replica 3 tracker=compare checkpoint=90 trailing=16 workers=1 inflight=1
workload name=uniform clients=24 rate=500 queries=0.1 duplicates=0.2
`

// Plan is the plan that provokes the bug, with a seed.
func (p Plant) Plan(seed uint64) (*plan.Plan, error) {
	shape := p.shape
	if shape == "" {
		shape = usual
	}
	text := fmt.Sprintf("lockstep-plan 1\nseed %d\n%s%s", seed, shape, p.faults)
	made, err := plan.Parse(strings.NewReader(text), p.Name)
	if err != nil {
		return nil, err
	}
	made.Workload.Seed = seed
	b := made.Budget()
	made.Allow = plan.Allow{Stall: b.MayStall, Loss: b.MayLose}
	return made, nil
}

// Caught is what became of a plant.
type Caught struct {
	Plant
	// By is the checker that found it first; Others found it too. OK says that it ended as it must.
	By     string
	Others []string
	OK     bool
	// Seeds is how many runs it took, Took in how much real time, CPU of the processor's.
	Seeds     int
	Took, CPU time.Duration
	// Last is the last run.
	Last sim.Outcome
}

// Bounds of one plant's runs.
const (
	maxSeeds = 40
	// MaxTime is the processor time in which a plant must be caught.
	MaxTime = time.Minute
	// blindSeeds is how many runs a blinded checker must let pass.
	blindSeeds = 2
)

// Run runs a plant with one seed after the other until it is caught.
func Run(ctx context.Context, pool *sim.Pool, p Plant) (Caught, error) {
	c := Caught{Plant: p}
	for seed := uint64(1); seed <= maxSeeds && ctx.Err() == nil && c.CPU < MaxTime; seed++ {
		made, err := p.Plan(seed)
		if err != nil {
			return c, err
		}
		o := pool.Run(ctx, sim.Job{Plan: made, Plant: p.Name})
		c.Seeds, c.Took, c.CPU, c.Last = c.Seeds+1, c.Took+o.Took, c.CPU+max(o.Result.CPU, 0), o
		if o.Result.CPU == 0 {
			c.CPU += o.Took // it died and cannot tell
		}
		c.By, c.Others = found(o.Result.Verdict)
		if p.Blind {
			if slices.ContainsFunc(append(c.Others, c.By), func(by string) bool { return slices.Contains(p.Expect, by) }) {
				return c, nil
			}
			if c.OK = c.Seeds >= blindSeeds; c.OK {
				return c, nil
			}
			continue
		}
		if c.By != "" {
			c.OK = slices.ContainsFunc(append(c.Others, c.By), func(by string) bool { return slices.Contains(p.Expect, by) })
			return c, nil
		}
	}
	return c, ctx.Err()
}

// Guarded runs a bare plant's plan on node, which must survive it.
func Guarded(ctx context.Context, pool *sim.Pool, p Plant, seed uint64) (sim.Outcome, error) {
	made, err := p.Plan(seed)
	if err != nil {
		return sim.Outcome{}, err
	}
	return pool.Run(ctx, sim.Job{Plan: made, Plant: p.Name + guarded}), nil
}

// found lists the checkers that found something: the one that the verdict names, then the others.
func found(v check.Verdict) (by string, others []string) {
	for _, f := range v.Findings {
		if f.State != check.Broken && f.State != check.Excused {
			continue
		}
		if by == "" || strings.HasPrefix(v.Sentence, "VIOLATION: "+f.Checker) {
			if by != "" {
				others = append(others, by)
			}
			by = f.Checker
			continue
		}
		others = append(others, f.Checker)
	}
	return by, others
}

// String is the line of a table.
func (c Caught) String() string {
	state := "MISSED"
	switch {
	case c.OK && c.Blind:
		state = "blind, as it must be"
	case c.OK:
		state = "caught by " + c.By
	case c.By != "":
		state = "found by " + c.By + ", not by " + strings.Join(c.Expect, " or ")
	}
	return fmt.Sprintf("%-28s %-42s %2d runs %8s cpu", c.Name, state, c.Seeds, c.CPU.Round(10*time.Millisecond))
}
