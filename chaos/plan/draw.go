package plan

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// drawer draws the parts of a plan. What it returns depends on the seed and on nothing else.
type drawer struct {
	*rand.Rand
	shape Shape
	// wild is how hard the faults are.
	wild float64
	// installs makes it a cluster that compacts its logs early, and in which checkpoints are sent.
	installs bool
	// rare is what the plan begins with, nil for nothing.
	rare *recipe
	// weights say how often each kind is drawn.
	weights map[Kind]float64
}

func newDrawer(seed uint64, s Shape) *drawer {
	return &drawer{Rand: rand.New(rand.NewPCG(seed, 0x6c6f636b73746570)), shape: s, weights: map[Kind]float64{}}
}

func (d *drawer) chance(p float64) bool { return d.Float64() < p }

// between draws a time from least to most, short ones more often the tamer the plan is, in milliseconds.
func (d *drawer) between(least, most time.Duration) time.Duration {
	x := math.Pow(d.Float64(), 2-1.5*d.wild)
	t := least + time.Duration(x*float64(most-least))
	return max(t.Round(time.Millisecond), least)
}

// share draws a number up to most, with three digits, never 0.
func (d *drawer) share(most float64) float64 {
	x := math.Pow(d.Float64(), 2-1.5*d.wild) * most
	return max(math.Round(x*1000)/1000, 0.001)
}

// size draws a power of two from least to most.
func (d *drawer) size(least, most int) int {
	n := least
	for n*2 <= most && d.chance(0.6) {
		n *= 2
	}
	return n
}

func pick[T any](d *drawer, from ...T) T { return from[d.IntN(len(from))] }

// some draws one replica or a few, by number or by word.
func (d *drawer) some() Target {
	if d.chance(0.5) {
		return Named(pick(d, Leader, Leader, Follower, Followers, Minority))
	}
	return d.listed(1 + d.IntN(d.shape.Replicas))
}

// one draws one replica, by number or by word.
func (d *drawer) one() Target {
	if d.chance(0.5) {
		return Named(pick(d, Leader, Follower))
	}
	return d.listed(1)
}

// listed draws so many replicas by number.
func (d *drawer) listed(count int) Target {
	var nodes []int
	for _, n := range d.Perm(d.shape.Replicas)[:min(count, d.shape.Replicas)] {
		nodes = append(nodes, n+1)
	}
	return Listed(nodes...)
}

// links draws the senders and receivers of links.
func (d *drawer) links(f *Fault) {
	switch d.IntN(4) {
	case 0:
		f.Nodes, f.To = Named(All), Named(All)
	case 1:
		f.Nodes, f.To = Named(All), d.one()
	case 2:
		f.Nodes, f.To = d.one(), Named(Others)
	default:
		f.Nodes, f.To = d.listed(1), d.listed(2)
	}
}

// kinds draws which faults are on (swarm testing), and how often each comes.
func (d *drawer) kinds() []Kind {
	candidates := d.shape.Kinds
	if candidates == nil {
		candidates = Kinds(d.shape.Layer)
	}
	candidates = slices.DeleteFunc(slices.Clone(candidates), func(k Kind) bool { return !d.possible(k) })
	on := 0.15 + 0.7*d.Float64()
	var kinds []Kind
	for _, k := range candidates {
		if d.chance(on) {
			kinds = append(kinds, k)
			d.weights[k] = d.ExpFloat64() + 0.05
			if slices.Contains(onInstalls, k) {
				d.weights[k] /= d.seldom(k)
			}
		}
	}
	if len(kinds) == 0 {
		k := pick(d, candidates...)
		kinds, d.weights[k] = []Kind{k}, 1
	}
	return d.surely(kinds, candidates)
}

// possible reports whether a kind of fault can have an effect and be within the budget.
func (d *drawer) possible(k Kind) bool {
	switch k {
	case LyingDisk:
		return d.shape.Exceed
	case Ring: // in which three are all neighbours
		return d.shape.Replicas > 3
	case Bridge: // which is a third one
		return d.shape.Replicas > 2
	}
	return true
}

// onInstalls are the faults of links that need a checkpoint on its way.
var onInstalls = []Kind{StaleInstall, DuplicateInstall, TruncatedInstall, SlowInstall}

// seldom is how much less often than others a fault is drawn that needs a checkpoint on its way: episodes that send one have one
// of these of their own, and a stale one needs only that one was sent.
func (d *drawer) seldom(k Kind) float64 {
	switch {
	case d.installs && k == StaleInstall:
		return 1
	case d.installs || d.dense() || k == StaleInstall:
		return 4
	}
	return 16
}

// kind draws one of the kinds that are on.
func (d *drawer) kind(kinds []Kind) Kind {
	total := 0.0
	for _, k := range kinds {
		total += d.weights[k]
	}
	x := d.Float64() * total
	for _, k := range kinds {
		if x -= d.weights[k]; x < 0 {
			return k
		}
	}
	return kinds[len(kinds)-1]
}

// fault draws one fault of a kind that begins and ends within a stretch of time.
func (d *drawer) fault(k Kind, from, to time.Duration) Fault {
	spec, _ := SpecOf(k)
	f := Fault{Kind: k, At: from + d.between(0, to-from)}
	if spec.Lasting == Lasts {
		f.For = min(d.between(50*time.Millisecond, to-from), to-f.At)
		if f.For < 50*time.Millisecond {
			f.At, f.For = from, 50*time.Millisecond
		}
	}
	d.fields(&f, spec)
	if slices.Contains(onInstalls, k) {
		// Checkpoints are sent when what kept a replica behind is over: the fault goes on into the quiet window.
		f.For = to + d.shape.Time.Window - f.At
	}
	return f
}

// fields draws what the kind needs, and half of what it may have.
func (d *drawer) fields(f *Fault, spec Spec) {
	if contains(spec.Needs, "nodes") {
		f.Nodes = d.some()
		if contains(spec.Needs, "to") {
			d.links(f)
		}
	} else if contains(spec.Needs, "to") {
		f.To = d.one()
	}
	for _, k := range spec.Needs {
		d.field(f, spec, k)
	}
	for _, k := range spec.May {
		if d.chance(0.5) {
			d.field(f, spec, k)
		}
	}
	d.tame(f)
}

func (d *drawer) field(f *Fault, spec Spec, k Key) {
	switch k {
	case "mode":
		f.Mode = pick(d, spec.Modes...)
		if (f.Mode == InInstall || f.Mode == InRestore) && !d.installs && d.chance(0.75) { // a checkpoint is seldom sent
			f.Mode = pick(d, InAppend, InVote, InPublish, InCompact)
		}
	case "power":
		f.Power = pick(d, Kept, Lost, Torn)
	case "op":
		f.Op = pick(d, OpAppend, OpAppend, OpTruncate, OpVote, OpRead, OpCheckpoint)
	case "rate":
		f.Rate = d.share(0.4)
	case "delay":
		f.Delay = d.between(time.Millisecond, time.Second)
	case "jitter":
		f.Jitter = d.between(time.Millisecond, time.Second)
	case "gap":
		f.Gap = d.between(10*time.Millisecond, time.Second)
	case "skew":
		f.Skew = d.between(time.Millisecond, time.Hour) * time.Duration(pick(d, -1, 1))
	case "bytes":
		f.Bytes = d.size(1, 1<<20)
	case "after":
		f.After = min(int(d.ExpFloat64()*3), 20)
	case "until":
		f.Until = Compacted
	case "shift":
		f.Shift = d.IntN(d.shape.Replicas)
	}
}

// tame keeps a fault from being one that is over the budget by itself, or that is nothing.
func (d *drawer) tame(f *Fault) {
	switch f.Kind {
	case Rolling:
		f.Shift = max(f.Shift, 1)
		f.Gap = min(f.Gap, (f.For/time.Duration(2*d.shape.Replicas)).Truncate(time.Millisecond)+time.Millisecond)
	case Swizzle:
		f.Gap = min(f.Gap, (f.For/8).Truncate(time.Millisecond)+time.Millisecond)
	case SlowLink, SlowInstall:
		f.Bytes = max(f.Bytes, 1<<10)
	case CorruptLog, Wipe, CorruptCkpt:
		f.Nodes = d.listed(1)
	case Members, Bridge:
		f.Nodes = d.one()
	case Partition:
		if n := len(f.Nodes.Nodes); n == d.shape.Replicas && n > 1 { // there are no others to be cut off from
			f.Nodes.Nodes = f.Nodes.Nodes[:n-1]
		}
	}
	if d.shape.Exceed {
		return
	}
	switch f.Kind {
	case Wipe:
		f.Mode = Careful
	case CorruptLog:
		f.Mode = pick(d, Flip, Zero)
	}
}
