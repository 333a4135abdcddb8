package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Budget is what the faults of a plan can do to a cluster that is correct.
type Budget struct {
	// MayStall: it may stay without progress after everything has healed. MayLose: it may lose or change what it has
	// acknowledged, and two of its replicas may differ.
	MayStall, MayLose bool
	// Reasons say why, one a finding.
	Reasons []string
	// Excused are the replicas that need not come back in the end, ascending.
	Excused []int
}

// Budget works out what a correct cluster must survive. It errs to the careful side.
//
// Faults are put into episodes, which a time of at least Time.Window without faults separates; in that time replicas repair
// each other. With f = replicas − quorum:
//
//   - Faults that only stop, cut off or slow down replicas, or lose what was not synced, are always within the budget: they
//     end, and the quiet ending is for everybody.
//   - A replica is harmed when it may miss something that it has acknowledged. Abrupt wipes, silent loss in a log, and a crash
//     that loses writes on a disk that lies about syncs harm without a warning: the only other replicas with a message may
//     be the ones that lag. That may lose messages in any cluster.
//   - Careful wipes, members that are replaced, and damage that a checksum shows harm with a warning. That is within the budget while the harmed replicas
//     of an episode and the others that it impairs are at most f.
//   - A replica whose log is damaged, or whose newest checkpoint is damaged twice in an episode, need not come back unless it
//     is wiped later. If there are more than f of those, the cluster may stall.
func (p *Plan) Budget() Budget {
	b := budget{plan: p, spare: len(p.Replicas) - Quorum(len(p.Replicas)), broken: map[int]bool{}}
	for _, e := range p.episodes() {
		b.episode(e)
	}
	for n := range b.broken {
		b.found.Excused = append(b.found.Excused, n)
	}
	slices.Sort(b.found.Excused)
	if len(b.found.Excused) > b.spare {
		b.stall("replicas %v need not come back, and the others are no quorum", b.found.Excused)
	}
	return b.found
}

type budget struct {
	plan  *Plan
	spare int
	// broken are the replicas that need not come back.
	broken map[int]bool
	found  Budget
}

func (b *budget) lose(format string, args ...any) {
	b.found.MayLose = true
	b.found.Reasons = append(b.found.Reasons, fmt.Sprintf(format, args...))
}

func (b *budget) stall(format string, args ...any) {
	b.found.MayStall = true
	b.found.Reasons = append(b.found.Reasons, fmt.Sprintf(format, args...))
}

// weather are the kinds that do not count as faults for episodes: a cluster works, only slower.
var weather = []Kind{Delay, Loss, Duplicate, Reorder, SlowLink, CorruptLink, Clock, Starve, StaleInstall, DuplicateInstall,
	TruncatedInstall, SlowInstall, SlowDisk, Transfer}

// episode is a group of faults, by their place in the plan.
type episode []int

// episodes groups the faults that are not weather.
func (p *Plan) episodes() []episode {
	var order []int
	for i := range p.Faults {
		if !slices.Contains(weather, p.Faults[i].Kind) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p.Faults[a].At, p.Faults[b].At) })
	var all []episode
	end := time.Duration(0)
	for _, i := range order {
		f := &p.Faults[i]
		if len(all) == 0 || f.At < end+p.Time.Window || p.Time.Window == 0 {
			if len(all) == 0 {
				all = append(all, nil)
			}
		} else {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], i)
		end = max(end, f.End())
	}
	return all
}

// hit is what an episode does to its replicas. words counts the most replicas that targets by word can be.
type hit struct {
	nodes map[int]bool
	words int
}

func (h *hit) add(t Target, replicas int) {
	if t.Who != "" {
		h.words = max(h.words, t.Size(replicas))
		return
	}
	if h.nodes == nil {
		h.nodes = map[int]bool{}
	}
	for _, n := range t.Nodes {
		h.nodes[n] = true
	}
}

// count is the most different replicas that can be hit.
func (h *hit) count(replicas int) int { return min(len(h.nodes)+h.words, replicas) }

func (b *budget) episode(e episode) {
	var harmed, impaired hit
	replicas := len(b.plan.Replicas)
	checkpoints := map[int]int{}
	for _, i := range e {
		f := &b.plan.Faults[i]
		b.silent(f, e)
		switch f.Kind {
		case Wipe:
			harmed.add(f.Nodes, replicas)
			for _, n := range f.Nodes.Nodes {
				delete(b.broken, n)
			}
		case CorruptLog:
			harmed.add(f.Nodes, replicas)
			b.breaks(f)
		case Members:
			if f.Variant() == Replace { // it comes back as a voter with nothing
				harmed.add(f.Nodes, replicas)
			} else {
				impaired.add(f.Nodes, replicas)
			}
		case CorruptCkpt:
			b.checkpoint(f, checkpoints)
		case Ring, Rolling, Bridge:
			impaired.words = replicas
		case Cut:
			impaired.add(f.Nodes, replicas)
			impaired.add(f.To, replicas)
		default:
			impaired.add(f.Nodes, replicas)
		}
	}
	for n := range b.broken {
		harmed.add(Listed(n), replicas)
	}
	for n := range harmed.nodes {
		delete(impaired.nodes, n)
	}
	if h, all := harmed.count(replicas), harmed.count(replicas)+impaired.count(replicas); h > 0 && all > b.spare {
		b.lose("from %v on up to %d of %d replicas are harmed or held back at once, %d of them harmed: no more than %d may",
			b.plan.Faults[e[0]].At, min(all, replicas), replicas, h, b.spare)
	}
}

// silent finds harm without a warning.
func (b *budget) silent(f *Fault, e episode) {
	switch {
	case f.Kind == Wipe && f.Variant() == Abrupt:
		b.lose("at %v replica %s is wiped abruptly: it may be one of few with the newest messages", f.At, f.Nodes)
	case f.Kind == CorruptLog && (f.Variant() == Truncate || f.Variant() == Stale):
		b.lose("at %v the log of replica %s loses entries that no checksum misses", f.At, f.Nodes)
	case f.Kind == LyingDisk:
		for _, i := range e {
			if g := &b.plan.Faults[i]; g.Left() != Kept && overlap(f.Nodes, g.Nodes) {
				b.lose("at %v replica %s loses power while its disk has not synced what it said", g.At, g.Nodes)
			}
		}
	}
}

// overlap reports whether two targets can have a replica in common.
func overlap(a, b Target) bool {
	if a.Who != "" || b.Who != "" {
		return true
	}
	return slices.ContainsFunc(a.Nodes, func(n int) bool { return slices.Contains(b.Nodes, n) })
}

// checkpoint counts damage to checkpoints in an episode.
func (b *budget) checkpoint(f *Fault, counts map[int]int) {
	nodes := f.Nodes.Nodes
	if f.Nodes.Who != "" { // it may be any
		for n := range b.plan.Replicas {
			nodes = append(nodes, n+1)
		}
	}
	for _, n := range nodes {
		if counts[n]++; counts[n] > 1 {
			b.breaks(f)
		}
	}
}

// breaks notes the replicas that need not come back.
func (b *budget) breaks(f *Fault) {
	if f.Nodes.Who != "" {
		b.stall("at %v %s breaks replicas that are not known before: list their numbers", f.At, f.Kind)
		return
	}
	for _, n := range f.Nodes.Nodes {
		b.broken[n] = true
	}
}
