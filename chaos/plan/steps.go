package plan

import (
	"cmp"
	"slices"
	"time"
)

// Step is the beginning or the end of a fault.
type Step struct {
	At time.Duration
	// Fault is its number, from 1.
	Fault int
	Begin bool
}

// Steps is what a runner walks through: ordered by time; at one time ends come before beginnings, then by number. A momentary
// fault has no end.
func (p *Plan) Steps() []Step {
	var steps []Step
	for i := range p.Faults {
		f := &p.Faults[i]
		steps = append(steps, Step{At: f.At, Fault: i + 1, Begin: true})
		if f.For > 0 {
			steps = append(steps, Step{At: f.End(), Fault: i + 1})
		}
	}
	slices.SortFunc(steps, func(a, b Step) int {
		if c := cmp.Compare(a.At, b.At); c != 0 {
			return c
		}
		if a.Begin != b.Begin {
			if b.Begin {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Fault, b.Fault)
	})
	return steps
}

// Variant is the fault's mode: the one that is written, or else the first of its kind's; "" for kinds without modes.
func (f *Fault) Variant() Mode {
	if f.Mode != "" {
		return f.Mode
	}
	if spec, _ := SpecOf(f.Kind); len(spec.Modes) > 0 {
		return spec.Modes[0]
	}
	return ""
}

// Left is what a crash leaves of writes that were not synced.
func (f *Fault) Left() Power {
	if f.Power == "" {
		return Kept
	}
	return f.Power
}
