package plan

import (
	"errors"
	"fmt"
	"time"
)

// Validate reports everything by which the plan is not one, among it an Allow that is not what Budget finds.
func (p *Plan) Validate() error {
	var errs []error
	fail := func(format string, args ...any) {
		if len(errs) < maxErrors {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if len(p.Replicas) < 1 || len(p.Replicas) > MaxReplicas {
		fail("%d replicas: 1 to %d are possible, a line each: replica 1", len(p.Replicas), MaxReplicas)
	}
	if p.Time.Run <= 0 {
		fail("no time to run: write a line such as: time run=30s quiet=20s")
	}
	if p.Workload.Name == "" || p.Workload.Clients == 0 {
		fail("no workload: write a line such as: workload name=demo clients=4")
	}
	if p.Workload.Queries+p.Workload.Stale > 1 {
		fail("workload: queries=%g and stale=%g are more than all messages", p.Workload.Queries, p.Workload.Stale)
	}
	if len(p.Faults) > MaxFaults {
		fail("more than %d faults", MaxFaults)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	last := time.Duration(0)
	for i := range p.Faults {
		f := &p.Faults[i]
		if err := f.validate(); err != nil {
			fail("fault %d: %w", i+1, err)
		}
		if err := f.fits(p); err != nil {
			fail("fault %d (%s): %w", i+1, f, err)
		}
		if f.At < last {
			fail("fault %d (%s) comes after one at %v: faults are in the order of their beginnings", i+1, f, last)
		}
		last = f.At
	}
	if least := p.LeastQuiet(); p.Time.Quiet < least {
		fail("quiet=%v is too short: after these faults a correct cluster may take %v to get on; write quiet=%[2]v or more, it ends as soon as all replicas are equal",
			p.Time.Quiet, least)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return p.validateAllow()
}

// validate checks the fault by itself: its kind's fields.
func (f *Fault) validate() error {
	spec, ok := SpecOf(f.Kind)
	if !ok {
		return fmt.Errorf("unknown fault %q", clip(string(f.Kind)))
	}
	for _, v := range f.values() {
		text := v.print()
		needs, may := contains(spec.Needs, v.key), contains(spec.May, v.key)
		switch {
		case text == "" && needs:
			return fmt.Errorf("%s needs %s=", f.Kind, v.key)
		case text != "" && !needs && !may:
			return fmt.Errorf("%s has no %s=; it has %s", f.Kind, v.key, join(append(append([]Key(nil), spec.Needs...), spec.May...)))
		case text != "":
			if err := v.parse(text); err != nil {
				return fmt.Errorf("%s: %w", f.Kind, err)
			}
		}
	}
	if f.Nodes.Who == Others {
		return fmt.Errorf("%s: nodes=others: only to= can be others", f.Kind)
	}
	return f.validateFor(spec)
}

func (f *Fault) validateFor(spec Spec) error {
	least, most := leastFor, mostFor
	if spec.Least > 0 {
		least = spec.Least
	}
	if spec.Most > 0 {
		most = spec.Most
	}
	switch {
	case spec.Lasting == Momentary && f.For != 0:
		return fmt.Errorf("%s is over at once: leave \"for %v\" away", f.Kind, f.For)
	case spec.Lasting == Lasts && (f.For < least || f.For > most):
		return fmt.Errorf("%s lasts: write \"for\" and a duration from %v to %v", f.Kind, least, most)
	}
	return nil
}

// fits checks the fault against the rest of the plan.
func (f *Fault) fits(p *Plan) error {
	if f.End() > p.Time.Run {
		return fmt.Errorf("it ends at %v, the time to run is over at %v: no fault may reach into the quiet ending", f.End(), p.Time.Run)
	}
	for _, n := range append(append([]int(nil), f.Nodes.Nodes...), f.To.Nodes...) {
		if n > len(p.Replicas) {
			return fmt.Errorf("replica %d: there are %d", n, len(p.Replicas))
		}
	}
	return nil
}

func (p *Plan) validateAllow() error {
	b := p.Budget()
	want := Allow{Stall: b.MayStall, Loss: b.MayLose}
	if p.Allow == want {
		return nil
	}
	if words := want.words(); len(words) > 0 {
		return fmt.Errorf("the faults go beyond what %d replicas must survive: write the line \"allow %s\", or fewer faults: %s",
			len(p.Replicas), joinWith(words, " "), joinWith(b.Reasons, "; "))
	}
	return fmt.Errorf("the line \"allow %s\" is too much: a correct cluster survives these faults", joinWith(p.Allow.words(), " "))
}

// Supports reports the faults that a layer cannot inject.
func (p *Plan) Supports(l Layer) error {
	var errs []error
	for i := range p.Faults {
		if spec, _ := SpecOf(p.Faults[i].Kind); spec.Layers&l == 0 && len(errs) < maxErrors {
			errs = append(errs, fmt.Errorf("fault %d (%s) cannot be injected here", i+1, &p.Faults[i]))
		}
	}
	return errors.Join(errs...)
}
