package plan

import (
	"slices"
	"time"
)

// recipe leads a cluster to a rare path that faults drawn one by one seldom reach. It gives the faults of an episode of its own.
type recipe struct {
	kinds []Kind
	// installs says that checkpoints are to be sent: logs are compacted early.
	installs bool
	// appends says that entries are to be sent several at a time.
	appends bool
	// diverges says that a leader is to be left behind with entries of its own: many clients, next to nothing kept of logs.
	diverges bool
	faults   func(d *drawer, from, to time.Duration) []Fault
}

// recipes are as likely as each other. Batches of a hundred plans are to reach every mark: what a batch has missed it has proved nothing about.
var recipes = []recipe{
	{kinds: []Kind{Partition, CrashIn}, appends: true, faults: tornAppend},
	{kinds: []Kind{CrashIn}, faults: lostAppend},
	{kinds: []Kind{Partition, CrashIn}, installs: true, faults: crashInInstall},
	{kinds: []Kind{Partition, TruncatedInstall}, installs: true, faults: cutInstall},
	{kinds: []Kind{Pause}, faults: pausedLeader},
	{kinds: []Kind{DiskError}, faults: failedAppend},
	{kinds: []Kind{CorruptLog, Restart}, faults: damagedLog},
	{kinds: []Kind{Partition}, installs: true, diverges: true, faults: deposedLeader},
	{kinds: []Kind{Partition, DiskError}, faults: failedReplace},
}

// rareTakes is how long such an episode lasts, rareShare the share of plans that begin with one.
const (
	rareTakes = 2 * time.Second
	rareShare = 0.95
)

// chooseRare draws the recipe that a plan begins with; nil for none, as in runs that are too short, dense ones and those on processes.
func (d *drawer) chooseRare() *recipe {
	if d.shape.Layer != Sim || d.dense() || d.shape.Time.Run < 3*rareTakes || !d.chance(rareShare) {
		return nil
	}
	r := &recipes[d.IntN(len(recipes))]
	allowed := func(k Kind) bool { return d.shape.Kinds == nil || slices.Contains(d.shape.Kinds, k) }
	if r.installs && d.shape.Same || slices.ContainsFunc(r.kinds, func(k Kind) bool { return !allowed(k) }) {
		return nil
	}
	return r
}

// addRare adds the episode of a recipe.
func (d *drawer) addRare(p *Plan, from time.Duration) (to time.Duration) {
	to = from + rareTakes
	p.Faults = append(p.Faults, d.rare.faults(d, from, to)...)
	return to
}

// tornAppend cuts a replica off, and then lets it lose power in the append of what it has missed, which may come in the quiet window.
func tornAppend(d *drawer, from, to time.Duration) []Fault {
	one := d.listed(1)
	return []Fault{{Kind: Partition, At: from, For: (to - from) / 3, Nodes: one},
		{Kind: CrashIn, At: from, For: to + d.shape.Time.Window - from, Nodes: one, Mode: InAppend, Power: Torn}}
}

// lostAppend lets a replica lose power in an append, and what it appended.
func lostAppend(d *drawer, from, to time.Duration) []Fault {
	return []Fault{{Kind: CrashIn, At: from, For: to - from, Nodes: d.listed(1), Mode: InAppend, Power: Lost, After: d.IntN(8)}}
}

// crashInInstall lets the replica lose power when it is sent a checkpoint, which may be in the quiet window.
func crashInInstall(d *drawer, from, to time.Duration) []Fault {
	one := d.listed(1)
	return []Fault{{Kind: Partition, At: from, For: to - from, Nodes: one, Until: Compacted},
		{Kind: CrashIn, At: from, For: to + d.shape.Time.Window - from, Nodes: one, Mode: pick(d, InInstall, InRestore), Power: pick(d, Kept, Lost, Torn)}}
}

// cutInstall lets the checkpoint that a replica is sent end early.
func cutInstall(d *drawer, from, to time.Duration) []Fault {
	one := d.listed(1)
	return []Fault{{Kind: Partition, At: from, For: to - from, Nodes: one, Until: Compacted},
		{Kind: TruncatedInstall, At: from, For: to + d.shape.Time.Window - from, Nodes: one, Bytes: d.size(1, 1<<14)}}
}

// pausedLeader lets a leader stand still for longer than its lease and the others' patience.
func pausedLeader(d *drawer, from, to time.Duration) []Fault {
	return []Fault{{Kind: Pause, At: from, For: to - from, Nodes: Named(Leader)}}
}

// failedAppend lets a replica's disk refuse an append.
func failedAppend(d *drawer, from, to time.Duration) []Fault {
	return []Fault{{Kind: DiskError, At: from, For: to - from, Nodes: d.listed(1), Op: OpAppend, Mode: Once}}
}

// damagedLog restarts the replica to make it read its log.
func damagedLog(d *drawer, from, _ time.Duration) []Fault {
	one := d.listed(1)
	return []Fault{{Kind: CorruptLog, At: from, Nodes: one, Mode: pick(d, Flip, Zero)},
		{Kind: Restart, At: from, For: restartTakes, Nodes: one}}
}

// deposedLeader cuts a leader off until what the others have chosen in place of its last entries is in a checkpoint only.
func deposedLeader(_ *drawer, from, to time.Duration) []Fault {
	return []Fault{{Kind: Partition, At: from, For: 2 * (to - from), Nodes: Named(Leader), Until: Diverged}}
}

// failedReplace cuts a leader off for long enough that others choose entries in place of its last ones, and then lets its disk refuse these.
func failedReplace(d *drawer, from, to time.Duration) []Fault {
	return []Fault{{Kind: Partition, At: from, For: to - from, Nodes: Named(Leader)},
		{Kind: DiskError, At: from, For: to + d.shape.Time.Window - from, Nodes: Named(Leader), Op: OpReplace, Mode: Once}}
}
