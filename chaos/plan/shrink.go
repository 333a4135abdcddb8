package plan

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ShrinkLimits bounds the work of Shrink.
type ShrinkLimits struct {
	// Attempts is the most plans to try; 0 means ShrinkAttempts.
	Attempts int
	// Tried is told of every attempt; it may be nil.
	Tried func(Attempt)
}

// Attempt is a plan that Shrink tried.
type Attempt struct {
	// Number counts from 1.
	Number int
	// Change says in what it differs from the least plan before it: "fewer faults".
	Change string
	Plan   *Plan
	// Failed is set if it fails as the whole plan does: it is the least plan now.
	Failed bool
}

// ShrinkAttempts bounds the plans that are tried where nobody says how many.
const ShrinkAttempts = 200

// Shrunk is what Shrink found.
type Shrunk struct {
	// Plan is the least plan that failed.
	Plan *Plan
	// Attempts is the number of plans that were tried, Kept the number of them that failed and were smaller.
	Attempts, Kept int
	// Exhausted is set when the attempts were used up before nothing more could be left out.
	Exhausted bool
}

// errAttempts ends a search.
var errAttempts = errors.New("no attempts left")

// Shrink looks for a smaller plan for which fails still says true: first with fewer faults (delta debugging), then with simpler
// ones, then with a smaller workload, faults closer to each other and to the beginning, a shorter run and a plainer cluster, and again
// until nothing changes. The plan itself is taken to fail and is not changed. A plan is never made to exceed a budget that it kept: then another failure would be found than the one
// that is looked for.
//
// fails must be able to fail: if a run depends on chance it should run each plan a few times. An error of fails, or the end of ctx, ends the
// search and is returned with what was found until then.
func Shrink(ctx context.Context, p *Plan, fails func(context.Context, *Plan) (bool, error), l ShrinkLimits) (Shrunk, error) {
	if l.Attempts == 0 {
		l.Attempts = ShrinkAttempts
	}
	s := &shrinker{ctx: ctx, fails: fails, limits: l, best: p.Clone(), tried: map[string]bool{p.String(): true}}
	err := s.run()
	if errors.Is(err, errAttempts) {
		s.exhausted, err = true, nil
	}
	return Shrunk{Plan: s.best, Attempts: s.attempts, Kept: s.kept, Exhausted: s.exhausted}, err
}

type shrinker struct {
	ctx            context.Context
	fails          func(context.Context, *Plan) (bool, error)
	limits         ShrinkLimits
	best           *Plan
	change         string // what the pass that goes on does
	tried          map[string]bool
	attempts, kept int
	exhausted      bool
}

func (s *shrinker) run() error {
	for {
		before := s.kept
		for _, pass := range []struct {
			change string
			run    func() error
		}{
			{"fewer faults", s.fewerFaults}, {"simpler faults", s.simplerFaults}, {"less work", s.smallerWorkload},
			{"earlier faults", s.earlierFaults}, {"less time", s.shorterTime}, {"plainer replicas", s.plainReplicas},
		} {
			s.change = pass.change
			if err := pass.run(); err != nil {
				return err
			}
		}
		if s.kept == before {
			return nil
		}
	}
}

// try tries the best plan with a change, and takes it if it still fails.
func (s *shrinker) try(change func(*Plan)) (bool, error) {
	p := s.best.Clone()
	change(p)
	b := p.Budget()
	p.Allow = Allow{Stall: b.MayStall, Loss: b.MayLose}
	worse := p.Allow.Stall && !s.best.Allow.Stall || p.Allow.Loss && !s.best.Allow.Loss
	text := p.String()
	if worse || s.tried[text] || p.Validate() != nil {
		return false, nil
	}
	if s.attempts >= s.limits.Attempts {
		return false, errAttempts
	}
	s.tried[text] = true
	s.attempts++
	failed, err := s.fails(s.ctx, p)
	if err == nil {
		err = s.ctx.Err() // what was interrupted says nothing
	}
	if err != nil {
		return false, fmt.Errorf("shrink, attempt %d: %w", s.attempts, err)
	}
	if failed {
		s.best = p
		s.kept++
	}
	if s.limits.Tried != nil {
		s.limits.Tried(Attempt{Number: s.attempts, Change: s.change, Plan: p, Failed: failed})
	}
	return failed, nil
}

// fewerFaults leaves out stretches of faults: halves first, single ones last (the complements of ddmin).
func (s *shrinker) fewerFaults() error {
	for size := len(s.best.Faults); size >= 1; size /= 2 {
		for from := 0; from < len(s.best.Faults); {
			to := min(from+size, len(s.best.Faults))
			failed, err := s.try(func(p *Plan) { p.Faults = append(p.Faults[:from:from], p.Faults[to:]...) })
			if err != nil {
				return err
			}
			if !failed {
				from = to
			}
		}
	}
	return nil
}

// simplerFaults makes single faults shorter, rarer, smaller.
func (s *shrinker) simplerFaults() error {
	for i := range s.best.Faults {
		for _, change := range faultChanges {
			for {
				failed, err := s.try(func(p *Plan) { change(&p.Faults[i]) })
				if err != nil {
					return err
				}
				if !failed {
					break
				}
			}
		}
	}
	return nil
}

// faultChanges each make a fault a little simpler, or leave it as it is.
var faultChanges = []func(*Fault){
	func(f *Fault) { f.Power = "" },
	func(f *Fault) { f.Mode = optionalMode(f) },
	func(f *Fault) { f.Until = "" },
	func(f *Fault) { f.Jitter = 0 },
	func(f *Fault) { f.After /= 2 },
	func(f *Fault) { f.For = (f.For / 2).Round(time.Millisecond) },
	func(f *Fault) { f.Delay = (f.Delay / 2).Round(time.Millisecond) },
	func(f *Fault) { f.At = f.At.Truncate(time.Second) },
	func(f *Fault) {
		if f.Nodes.Who == "" && len(f.Nodes.Nodes) > 1 {
			f.Nodes.Nodes = f.Nodes.Nodes[:len(f.Nodes.Nodes)-1]
		}
	},
}

// optionalMode is no mode for kinds that need none.
func optionalMode(f *Fault) Mode {
	if spec, _ := SpecOf(f.Kind); contains(spec.Needs, "mode") {
		return f.Mode
	}
	return ""
}

func (s *shrinker) smallerWorkload() error {
	return s.repeat(
		func(p *Plan) { p.Workload.Duplicates = 0 },
		func(p *Plan) { p.Workload.Stale = 0 },
		func(p *Plan) { p.Workload.Queries = 0 },
		func(p *Plan) { p.Workload.Clients = max(p.Workload.Clients/2, 1) },
		func(p *Plan) {
			if p.Workload.Operations == 0 { // as many as the rate gives
				p.Workload.Operations = min(max(int(p.Workload.Rate*p.Time.Run.Seconds()), 1), 1<<20)
			}
			p.Workload.Operations = max(p.Workload.Operations/2, 1)
		})
}

// earlierFaults takes time out before faults: all of it, or half of it as often as that helps. Those behind come earlier too.
func (s *shrinker) earlierFaults() error {
	for i := range s.best.Faults {
		for _, share := range []time.Duration{1, 2} {
			for {
				failed, err := s.try(func(p *Plan) { p.advance(i, share) })
				if err != nil {
					return err
				}
				if !failed {
					break
				}
			}
		}
	}
	return nil
}

// advance takes a share, 1/share, of the time without any fault before one out of the plan, in milliseconds.
func (p *Plan) advance(fault int, share time.Duration) {
	idle := p.Faults[fault].At
	for i := range p.Faults[:fault] {
		idle = min(idle, max(p.Faults[fault].At-p.Faults[i].End(), 0))
	}
	by := (idle / share).Truncate(time.Millisecond)
	for i := fault; i < len(p.Faults); i++ {
		p.Faults[i].At -= by
	}
	p.Time.Run -= min(by, p.Time.Run-time.Millisecond)
}

// shorterTime ends the run soon after the last fault. The quiet ending stays: it ends by itself when the cluster gets on, and in a
// shorter one another failure would be found than the one that is looked for.
func (s *shrinker) shorterTime() error {
	end := func(p *Plan) (end time.Duration) {
		for i := range p.Faults {
			end = max(end, p.Faults[i].End())
		}
		return max(end, time.Millisecond)
	}
	return s.repeat(
		func(p *Plan) { p.Time.Run = end(p) },
		func(p *Plan) { p.Time.Run = max(end(p), p.Time.Run/2).Round(time.Millisecond) })
}

// leastReplicas is the smallest cluster that a larger one is made: with fewer, one replica is the whole cluster or each is needed, and
// another failure would be found than the one that is looked for.
const leastReplicas = 3

// plainReplicas takes options back to their defaults, and leaves out replicas that no fault names.
func (s *shrinker) plainReplicas() error {
	changes := []func(*Plan){
		func(p *Plan) {
			if n := len(p.Replicas); n > leastReplicas {
				p.Replicas = p.Replicas[:max(n-2, leastReplicas)]
			}
		},
		func(p *Plan) { clear(p.Replicas) },
	}
	for i := range s.best.Replicas {
		changes = append(changes, func(p *Plan) {
			if i < len(p.Replicas) {
				p.Replicas[i] = Options{}
			}
		})
	}
	return s.repeat(changes...)
}

// repeat tries each change as long as it helps.
func (s *shrinker) repeat(changes ...func(*Plan)) error {
	for _, change := range changes {
		for {
			failed, err := s.try(change)
			if err != nil {
				return err
			}
			if !failed {
				break
			}
		}
	}
	return nil
}
