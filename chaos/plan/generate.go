package plan

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Shape is what the plans of a batch have in common. The zero value of a field means what its comment names.
type Shape struct {
	// Layer is what will run the plans; 0 means Sim.
	Layer Layer
	// Replicas is their number; 0 draws 3 or 5.
	Replicas int
	// Time is the runs' shape; a zero member means: Run drawn from 10 s to 40 s, Quiet 20 s, Window three election timeouts, but
	// at least 1 s. Quiet becomes longer if the drawn faults want that.
	Time Time
	// Cluster's zero Election is drawn from 300 ms to 1 s: the shorter, the more faults a run has.
	Cluster Cluster
	// Kinds are the faults to choose among; nil means all that the layer can inject.
	Kinds []Kind
	// Trackers and Opts are the names to choose replicas' options from; none leaves them at their defaults.
	Trackers, Opts []string
	// Workloads are the names to choose from; none means "demo". Workload is the rest of it; zero members are drawn.
	Workloads []string
	Workload  Workload
	// Same gives all replicas the default options. The default is that they differ.
	Same bool
	// Exceed lets faults go beyond the budget.
	Exceed bool
	// Dense is how many faults a second are to be expected to have an effect, at the least, for runs whose time is dear: faults are
	// drawn so that there is something for them to hit, and more of those that always do are added. 0 leaves all that to chance.
	Dense float64
	// Adapt changes a drawn fault to one that the runner can inject; false means that there is none. nil takes every fault.
	Adapt func(*Fault) bool
}

// Generate draws a plan. The same seed and shape give the same plan; it is valid, and within the budget unless
// Shape.Exceed.
func Generate(seed uint64, s Shape) *Plan {
	d := newDrawer(seed, s)
	d.complete()
	d.installs = d.shape.Layer == Sim && !d.shape.Same && d.chance(0.25)
	if d.rare = d.chooseRare(); d.rare != nil {
		d.installs = d.installs || d.rare.installs
	}
	d.wild = math.Round(d.Float64()*100) / 100
	p := &Plan{Seed: seed, Time: d.shape.Time, Cluster: d.shape.Cluster, Workload: d.workload(seed)}
	for n := range d.shape.Replicas {
		p.Replicas = append(p.Replicas, d.options(n))
	}
	if d.rare != nil && d.rare.diverges { // each has one entry at most on its way
		p.Workload.Clients = max(p.Workload.Clients, 16)
	}
	p.Drawn = Drawn{Wild: d.wild, Kinds: d.kinds()}
	if d.installs {
		p.Workload.Rate = max(p.Workload.Rate, 30)
	} else if d.rare != nil && d.rare.appends {
		p.Workload.Rate = max(p.Workload.Rate, 20)
	}
	d.weather(p)
	d.episodes(p)
	p.Time.Quiet = max(p.Time.Quiet, p.LeastQuiet())
	b := p.Budget()
	p.Allow = Allow{Stall: b.MayStall, Loss: b.MayLose}
	return p
}

// complete draws what the shape leaves open.
func (d *drawer) complete() {
	s := &d.shape
	if s.Layer == 0 {
		s.Layer = Sim
	}
	if s.Replicas == 0 {
		s.Replicas = pick(d, 3, 3, 5)
	}
	if s.Time.Run == 0 {
		s.Time.Run = time.Duration(10+d.IntN(31)) * time.Second
	}
	if s.Time.Quiet == 0 {
		s.Time.Quiet = 20 * time.Second
	}
	if s.Cluster.Election == 0 {
		s.Cluster.Election = pick(d, 300*time.Millisecond, 300*time.Millisecond, 500*time.Millisecond, time.Second)
	}
	if s.Time.Window == 0 {
		s.Time.Window = max(3*s.Cluster.Election, time.Second)
	}
}

// options draws what makes replica n (from 0) different from the others.
func (d *drawer) options(n int) Options {
	var o Options
	if d.shape.Same {
		return o
	}
	if t := d.shape.Trackers; len(t) > 0 {
		o.Tracker = t[(n+d.IntN(len(t)))%len(t)]
	}
	if t := d.shape.Opts; len(t) > 0 {
		o.Opt = pick(d, t...)
	}
	o.Workers, o.Procs = pick(d, 0, 1, 2, 4), pick(d, 0, 1, 2)
	if d.shape.Layer == Sim { // whose replicas are in one process
		o.Procs = 0
	}
	o.Checkpoint, o.Trailing = 16+d.IntN(120), d.size(16, 1024)
	o.Kept = pick(d, 0, 2, 3)
	switch {
	case d.installs:
		o.Checkpoint, o.Trailing, o.Kept = 8+d.IntN(16), 16, 2
	case d.dense(): // a checkpoint a second or so
		o.Checkpoint, o.Trailing = 16+o.Checkpoint/4, 16
	}
	o.Messages, o.Inflight, o.Append = d.size(1<<d.IntN(6), 256), pick(d, 0, 1, 2, 8), pick(d, 0, 1, 7, 64)
	if d.rare != nil && d.rare.diverges {
		o.Checkpoint, o.Trailing = 16+d.IntN(16), 1
	}
	if d.rare != nil && d.rare.appends && o.Append == 1 {
		o.Append = 0
	}
	return o
}

func (d *drawer) workload(seed uint64) Workload {
	w := d.shape.Workload
	if w.Name == "" {
		w.Name = "demo"
		if names := d.shape.Workloads; len(names) > 0 {
			w.Name = pick(d, names...)
		}
	}
	if w.Seed == 0 {
		w.Seed = seed
	}
	if w.Clients == 0 {
		w.Clients = d.size(2, 16)
		if d.dense() { // some of them always wait for a replica that does not answer
			w.Clients += 8
		}
	}
	if w.Rate == 0 {
		w.Rate = float64(pick(d, 5, 10, 20, 50))
		if d.dense() {
			w.Rate = 40 + 2*w.Rate
		}
	}
	if w.Queries == 0 {
		w.Queries = math.Round(d.Float64()*40) / 100
	}
	if w.Stale == 0 {
		w.Stale = math.Round(d.Float64()*10) / 100
	}
	if w.Duplicates == 0 {
		w.Duplicates = math.Round(d.Float64()*20) / 100
	}
	return w
}

// weather draws mild faults of all links for the whole run.
func (d *drawer) weather(p *Plan) {
	run := p.Time.Run
	all := Fault{For: run, Nodes: Named(All), To: Named(All)}
	for _, k := range []Kind{Delay, Loss, Duplicate, Reorder} {
		if !slices.Contains(p.Drawn.Kinds, k) || !d.chance(0.5) {
			continue
		}
		f := all
		f.Kind = k
		switch k {
		case Delay:
			f.Delay, f.Jitter = d.between(time.Millisecond, 20*time.Millisecond), d.between(time.Millisecond, 50*time.Millisecond)
		case Loss, Duplicate:
			f.Rate = d.share(0.05)
		case Reorder:
			f.Rate, f.Delay = d.share(0.05), d.between(time.Millisecond, 50*time.Millisecond)
		}
		p.Faults = append(p.Faults, f)
	}
}

// episodes draws stretches of faults with quiet windows between, until the time to run is over.
func (d *drawer) episodes(p *Plan) {
	window := p.Time.Window
	most := min(time.Duration(float64(window)*(1+3*d.wild)), p.Time.Run/3)
	at := min(window, p.Time.Run/10)
	if d.rare != nil {
		at = d.addRare(p, at) + window
	}
	for {
		length := d.between(200*time.Millisecond, max(most, 400*time.Millisecond))
		if rest := p.Time.Run - at; d.dense() && rest >= leastEnd {
			length = min(length, rest)
		}
		if at+length > p.Time.Run {
			break
		}
		if d.dense() && d.chance(0.5) {
			d.addInstall(p, at, at+length)
		}
		for range 2 + int(d.ExpFloat64()*(3+10*d.wild)) {
			d.addFault(p, p.Drawn.Kinds, at, at+length)
		}
		d.fill(p, at, at+length)
		if d.installs {
			d.addInstall(p, at, at+length)
		}
		at += length + window + d.between(0, window/3)
	}
	slices.SortStableFunc(p.Faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
}

// addFault adds a fault of one of some kinds that keeps the plan within the budget, if one can be found.
func (d *drawer) addFault(p *Plan, kinds []Kind, from, to time.Duration) {
	for range 4 {
		k := d.kind(kinds)
		if d.dense() && slices.Contains([]Kind{TruncatedInstall, SlowInstall}, k) {
			d.addInstall(p, from, to)
			return
		}
		f := d.fault(k, from, to)
		d.sharpen(&f, from, to)
		if f.End() > p.Time.Run {
			f.For = p.Time.Run - f.At
		}
		if d.shape.Adapt != nil && !d.shape.Adapt(&f) || d.masked(p, &f) {
			continue
		}
		if len(p.Faults)+1 >= MaxFaults {
			return
		}
		before := len(p.Faults)
		p.Faults = append(p.Faults, f)
		if f.Kind == CorruptLog && d.shape.Layer == Sim && d.chance(0.5) { // a start reads much of it
			p.Faults = append(p.Faults, Fault{Kind: Restart, At: f.At, For: min(restartTakes, p.Time.Run-f.At), Nodes: f.Nodes})
		}
		if d.shape.Exceed {
			return
		}
		if b := p.Budget(); !b.MayLose && !b.MayStall {
			return
		}
		p.Faults = p.Faults[:before]
	}
}

// restartTakes is how long a replica is down that is restarted to make it read its log.
const restartTakes = 300 * time.Millisecond

// addInstall makes an episode one in which a replica is sent a checkpoint, since it is cut off for long, and lets a fault wait for that.
func (d *drawer) addInstall(p *Plan, from, to time.Duration) {
	var waiting []Kind
	for _, k := range p.Drawn.Kinds {
		if slices.Contains(duringInstalls, k) {
			waiting = append(waiting, k)
		}
	}
	one := d.listed(1)
	why, ok := d.whyInstall(p, one, from, to)
	if len(waiting) == 0 || !ok || len(p.Faults)+2 > MaxFaults {
		return
	}
	f := d.fault(pick(d, waiting...), from, from+50*time.Millisecond)
	f.At, f.Nodes = from, one
	f.For = min(to+d.shape.Time.Window, p.Time.Run) - from
	if f.Kind == CrashIn {
		f.Mode, f.Power, f.After = pick(d, InInstall, InRestore, InAppend), Torn, 0
	}
	if d.shape.Adapt != nil && !d.shape.Adapt(&f) {
		return
	}
	if d.masked(p, &why) {
		return
	}
	p.Faults = append(p.Faults, why, f)
	if b := p.Budget(); b.MayLose || b.MayStall {
		p.Faults = p.Faults[:len(p.Faults)-2]
	}
}

// whyInstall is a fault after which a replica is sent a checkpoint: it was cut off for long or, where there is no time for that, has lost
// its disk. False: none of these is on.
func (d *drawer) whyInstall(p *Plan, one Target, from, to time.Duration) (Fault, bool) {
	long := Fault{Kind: Partition, At: from, For: to - from, Nodes: one, Until: Compacted}
	if d.dense() && slices.Contains(p.Drawn.Kinds, Wipe) && d.chance(0.7) {
		return Fault{Kind: Wipe, At: from, For: min(to-from, d.between(50*time.Millisecond, 200*time.Millisecond)), Nodes: one, Mode: Careful}, true
	}
	return long, slices.Contains(p.Drawn.Kinds, Partition)
}

// duringInstalls are the faults that happen to a checkpoint on its way, or to a replica that is sent one.
var duringInstalls = []Kind{CrashIn, DuplicateInstall, TruncatedInstall, SlowInstall}
