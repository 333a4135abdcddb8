package plan

import (
	"slices"
	"time"
)

// Dense plans are for runs whose seconds are real ones: every fault is drawn so that there is something for it to hit, and episodes are
// filled up with faults that always hit something (Shape.Dense).

// sure are the kinds that have an effect almost whenever they happen to a replica that runs. The first ones do so within the budget
// beside everything else.
var sure = []Kind{Starve, SlowDisk, Kill, Restart, Pause, Partition}

// mild is how many of sure are within the budget beside harm.
const mild = 2

// Bounds of dense plans.
const (
	// sureKinds is how many of sure are on in every plan, of which one is of the mild ones.
	sureKinds = 3
	// leastHit is how long faults of links and disks last, for something to come along that they can hit.
	leastHit = 150 * time.Millisecond
	// leastEnd is what must be left of a run for one more episode.
	leastEnd = 300 * time.Millisecond
	// afterHits bounds Fault.After.
	afterHits = 4
	// tries is how often faults are drawn anew that do not fit.
	tries = 12
	// ofSure and ofOthers are the shares of faults of those kinds, and of others, that have an effect.
	ofSure, ofOthers = 0.9, 0.4
)

func (d *drawer) dense() bool { return d.shape.Dense > 0 }

// surely adds kinds to those that are on until there are enough that always have an effect, in the order of the catalogue.
func (d *drawer) surely(on, candidates []Kind) []Kind {
	if !d.dense() {
		return on
	}
	add := func(from []Kind, count int) {
		from = slices.DeleteFunc(slices.Clone(from), func(k Kind) bool { return !slices.Contains(candidates, k) })
		for _, i := range d.Perm(len(from)) {
			have := 0
			for _, k := range from {
				if slices.Contains(on, k) {
					have++
				}
			}
			if k := from[i]; have < count && !slices.Contains(on, k) {
				on, d.weights[k] = append(on, k), d.ExpFloat64()+0.05
			}
		}
	}
	add(sure[:mild], 1)
	add(sure, sureKinds)
	if slices.Contains(on, TruncatedInstall) || slices.Contains(on, SlowInstall) {
		add([]Kind{Partition, Wipe}, 1)
	}
	all := Kinds(Sim | Real)
	slices.SortFunc(on, func(a, b Kind) int { return slices.Index(all, a) - slices.Index(all, b) })
	return on
}

// sharpen makes a fault one that can hit something between two times.
func (d *drawer) sharpen(f *Fault, from, to time.Duration) {
	if !d.dense() {
		return
	}
	f.After %= afterHits
	switch f.Kind {
	case Bridge:
		f.Nodes = Named(Follower) // the leader has the two others on its sides, or is on one of them
	case Partition:
		if len(f.Nodes.Nodes) == d.shape.Replicas {
			f.Nodes = d.listed(1)
		}
	case Kill, Restart, Pause: // mostly of one replica, so that the others go on and meet other faults
		if d.chance(0.7) {
			f.Nodes = d.one()
		}
	case Delay, SlowLink, CorruptLink, Cut:
		if f.Rate > 0 {
			f.Rate = max(f.Rate, 0.05)
		}
		if f.Nodes.Who == "" && f.To.Who == "" { // two followers tell each other nothing
			f.To = Named(Others)
		}
	case DiskError:
		if d.chance(0.6) {
			f.Op = OpAppend
		}
	case CrashIn:
		if f.Mode == InInstall || f.Mode == InRestore { // addInstall has those
			f.Mode = pick(d, InAppend, InPublish, InCompact)
		}
	case FullDisk:
		f.Bytes = min(f.Bytes, 1<<12)
	}
	if f.For > 0 && !slices.Contains([]Kind{Kill, Restart, Pause}, f.Kind) {
		f.For = min(max(f.For, leastHit), to-from)
		f.At = min(f.At, to-f.For)
		// What it holds up must not come when it is long over.
		f.Delay, f.Jitter = min(f.Delay, f.For/2), min(f.Jitter, f.For/2)
	}
}

// stops are the kinds that need a process which runs, or take it away.
var stops = []Kind{Kill, Restart, Rolling, Pause, Wipe, Transfer}

// masked reports whether another fault leaves nothing for a new one to hit: one of the same kind at the same time on the same replicas, or
// one that stops them.
func (d *drawer) masked(p *Plan, f *Fault) bool {
	if !d.dense() {
		return false
	}
	for i := range p.Faults {
		g := &p.Faults[i]
		alike := g.Kind == f.Kind || slices.Contains(stops, g.Kind) && slices.Contains(stops, f.Kind)
		if g.For == p.Time.Run { // weather, on which others lie
			continue
		}
		anywhere := g.Nodes.IsZero() || f.Nodes.IsZero()
		if alike && g.At <= f.over() && f.At <= g.over() && (anywhere || overlap(f.Nodes, g.Nodes)) {
			return true
		}
	}
	return false
}

// over is when a fault is over and what it has hit can be hit again.
func (f *Fault) over() time.Duration {
	switch f.Kind {
	case Kill, Restart, Rolling, Wipe:
		return f.End() + restartTakes
	case Transfer:
		return f.At + 2*restartTakes
	}
	return f.End()
}

// fill adds faults of kinds that always have an effect to an episode, until as many effects are to be expected as its time must have,
// with the window behind it.
func (d *drawer) fill(p *Plan, from, to time.Duration) {
	if !d.dense() {
		return
	}
	var kinds []Kind
	for _, k := range p.Drawn.Kinds {
		if slices.Contains(sure, k) {
			kinds = append(kinds, k)
		}
	}
	expected := 0.0
	for i := range p.Faults {
		switch f := &p.Faults[i]; {
		case f.At < from:
		case slices.Contains(sure, f.Kind):
			expected += ofSure
		default:
			expected += ofOthers
		}
	}
	wanted := d.shape.Dense * (to - from + p.Time.Window).Seconds()
	for missed := 0; len(kinds) > 0 && expected < wanted && missed < tries; {
		before := len(p.Faults)
		if d.addFault(p, kinds, from, to); len(p.Faults) > before {
			expected += ofSure
		} else {
			missed++
		}
	}
}
