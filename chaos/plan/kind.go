package plan

import (
	"slices"
	"time"
)

// Kind names a kind of fault. It is the word in a plan's text.
type Kind string

// The kinds of faults. What each does is in its Spec.
const (
	Delay            Kind = "delay"
	Loss             Kind = "loss"
	Duplicate        Kind = "duplicate"
	Reorder          Kind = "reorder"
	SlowLink         Kind = "slow-link"
	CorruptLink      Kind = "corrupt-link"
	Cut              Kind = "cut"
	Partition        Kind = "partition"
	Ring             Kind = "ring"
	Bridge           Kind = "bridge"
	Swizzle          Kind = "swizzle"
	StaleInstall     Kind = "stale-install"
	DuplicateInstall Kind = "duplicate-install"
	TruncatedInstall Kind = "truncated-install"
	SlowInstall      Kind = "slow-install"
	Crash            Kind = "crash"
	CrashIn          Kind = "crash-in"
	Kill             Kind = "kill"
	Restart          Kind = "restart"
	Rolling          Kind = "rolling"
	Pause            Kind = "pause"
	Starve           Kind = "starve"
	Clock            Kind = "clock"
	DiskError        Kind = "disk-error"
	FsyncError       Kind = "fsync-error"
	SlowDisk         Kind = "slow-disk"
	HungDisk         Kind = "hung-disk"
	FullDisk         Kind = "full-disk"
	LyingDisk        Kind = "lying-disk"
	CorruptCkpt      Kind = "corrupt-checkpoint"
	CorruptLog       Kind = "corrupt-log"
	Wipe             Kind = "wipe"
	Members          Kind = "members"
	Transfer         Kind = "transfer"
)

// Mode is a variant of a kind of fault.
type Mode string

// The modes. Specs say which kinds know which.
const (
	Drop      Mode = "drop"      // messages vanish
	Reset     Mode = "reset"     // connections are refused and closed
	HalfOpen  Mode = "half-open" // connections stay open, nothing comes through
	Both      Mode = "both"      // both directions
	In        Mode = "in"        // only what is sent to the nodes is lost
	Out       Mode = "out"       // only what the nodes send is lost
	Once      Mode = "once"      // the operation fails once
	Always    Mode = "always"    // it fails until the fault ends
	Dropped   Mode = "dropped"   // it fails once, and what was written before it is gone
	Flip      Mode = "flip"      // one bit is another
	Truncate  Mode = "truncate"  // the end is missing
	Zero      Mode = "zero"      // a block is zeros
	Swap      Mode = "swap"      // two blocks have changed places
	Extend    Mode = "extend"    // there is something behind the end
	Stale     Mode = "stale"     // a block has older contents
	Careful   Mode = "careful"   // only once the others can do without it, and lose nothing themselves
	Abrupt    Mode = "abrupt"    // at once
	Jump      Mode = "jump"      // once
	Drift     Mode = "drift"     // little by little, over the fault's time
	Remove    Mode = "remove"    // a voter leaves, and is added again at the end
	Demote    Mode = "demote"    // a voter becomes a non-voter, and a voter again at the end
	Replace   Mode = "replace"   // a voter leaves, loses its data and is added again at the end
	InAppend  Mode = "append"    // between writing a log entry and answering for it
	InVote    Mode = "vote"      // between writing a vote and answering for it
	InPublish Mode = "publish"   // between a checkpoint being visible and anything after it
	InInstall Mode = "install"   // between an installed checkpoint being visible and the state machine having it
	InRestore Mode = "restore"   // between the state machine having an installed checkpoint and anything after it
	InCompact Mode = "compact"   // between cutting the log and anything after it
)

// Power is what a crash leaves of writes that were not synced.
type Power string

// What a crash leaves. The zero value means Kept: the process ends, the machine goes on.
const (
	Kept Power = "kept"
	Lost Power = "lost"
	Torn Power = "torn" // each write is kept, lost or kept in part
)

// Op is a disk operation.
type Op string

// The disk operations that can fail.
const (
	OpAppend     Op = "append"
	OpTruncate   Op = "truncate"
	OpVote       Op = "vote"
	OpRead       Op = "read"
	OpCheckpoint Op = "checkpoint"
	OpReplace    Op = "replace" // the first append after entries were cut off the log's end
)

// Until ends a fault early.
type Until string

// What ends a partition.
const (
	// Compacted: the other side has cut its log behind what the nodes have, so that they need a checkpoint.
	Compacted Until = "compacted"
	// Diverged: another replica leads, and has cut its log behind where that of a node parts from it, but not behind what the node has:
	// the node needs a checkpoint of entries in whose place it has others. Messages are refused meanwhile, not lost: who waits for an
	// answer that was lost comes too late.
	Diverged Until = "diverged"
)

// Layer is a way of running a plan.
type Layer uint8

// The layers. A plan may hold faults that only one of them can inject; the other says so before it starts.
const (
	Sim Layer = 1 << iota
	Real
)

// Key names a field of a fault in the text.
type Key string

// Lasting says whether a fault takes time.
type Lasting uint8

// How long a kind lasts.
const (
	// Momentary faults have no For.
	Momentary Lasting = iota
	// Lasts faults need one.
	Lasts
)

// Spec describes a kind of fault: the one place that parser, printer, generator, budget and help read.
type Spec struct {
	Kind    Kind
	Lasting Lasting
	Layers  Layer
	// Needs are the fields that must be there, May those that may.
	Needs, May []Key
	// Modes are the words that mode= may have; the first is what a missing one means.
	Modes []Mode
	// Least and Most bound For; zero means no bound.
	Least, Most time.Duration
	// Doc is what it does, in a sentence.
	Doc string
}

// Specs lists all kinds in the order in which they are explained to people. The result must not be changed.
func Specs() []Spec { return specs }

// SpecOf gives a kind's Spec, or false.
func SpecOf(k Kind) (Spec, bool) {
	i := slices.IndexFunc(specs, func(s Spec) bool { return s.Kind == k })
	if i < 0 {
		return Spec{}, false
	}
	return specs[i], true
}

// Kinds lists the kinds that a layer can inject.
func Kinds(l Layer) []Kind {
	var kinds []Kind
	for _, s := range specs {
		if s.Layers&l != 0 {
			kinds = append(kinds, s.Kind)
		}
	}
	return kinds
}
