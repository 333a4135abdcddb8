package plan

import (
	"cmp"
	"slices"
	"time"
)

// Plan is everything that a run is made of. Two runs of equal plans are given the same faults, options and messages; only what
// the operating system or Go's scheduler decide may differ.
type Plan struct {
	// Seed is what the plan was drawn from, and what a runner seeds its own choices with (which message of a lossy link is
	// lost, which pages a torn write keeps).
	Seed uint64
	// Drawn says how Generate chose; it changes nothing in a run.
	Drawn Drawn
	// Time is the run's shape.
	Time Time
	// Cluster is what all replicas share.
	Cluster Cluster
	// Replicas are the options of replica 1, 2, …; 1 to MaxReplicas.
	Replicas []Options
	Workload Workload
	// Allow is what the plan admits that its faults can do to a correct cluster. Validate wants it to be what Budget says.
	Allow Allow
	// Faults are in the order of their beginnings. A fault's number in a history is its place in this list, from 1.
	Faults []Fault
}

// Limits of a plan.
const (
	// MaxReplicas bounds the replicas, as a node's configuration does.
	MaxReplicas = 9
	// MaxFaults bounds the faults of one plan.
	MaxFaults = 10_000
	// MaxBytes bounds the text of one plan.
	MaxBytes = 4 << 20
	// MaxTime bounds every duration in a plan.
	MaxTime = 30 * 24 * time.Hour
)

// Drawn records the choices behind a generated plan.
type Drawn struct {
	// Wild is how hard the faults are, from 0 (mild) to 1.
	Wild float64
	// Kinds are the kinds of faults that were on, in the order of the catalogue. Empty for a plan made by hand.
	Kinds []Kind
}

// Time is the shape of a run: faults, then a quiet ending.
type Time struct {
	// Run is how long clients send and faults happen. Every fault ends by then.
	Run time.Duration
	// Quiet is the ending without faults in which the cluster must converge. It is over as soon as it has; LeastQuiet is what a
	// correct cluster may take.
	Quiet time.Duration
	// Window is the least time without any fault but weather between two episodes of faults.
	Window time.Duration
}

// Cluster is what all replicas share.
type Cluster struct {
	// Election is the election timeout; 0 means the node's default, DefaultElection.
	Election time.Duration
}

// Options are one replica's own. Nothing in them may change the replicated state: that is what the run is to show. The zero
// value of a field means the node's default.
type Options struct {
	// Tracker and Opt are the names of memstore's trackers and of canister's optimisation levels.
	Tracker, Opt string
	// Workers bounds the canisters that run beside each other, Procs is the GOMAXPROCS of a process;
	// simulated replicas, which have none of their own, do not heed it.
	Workers, Procs int
	// Checkpoint is the number of rounds between two checkpoints, Kept how many are kept, Trailing the log entries kept
	// behind a checkpoint.
	Checkpoint, Kept, Trailing int
	// Messages and Bytes bound a round that this replica cuts as a leader, Inflight the rounds on their way.
	Messages, Bytes, Inflight int
	// Append bounds the log entries of one AppendEntries, and with it the batch that the state machine is given.
	Append int
}

// Workload is what the clients send.
type Workload struct {
	// Name is one of the workloads that the runner has.
	Name string
	// Seed chooses the messages.
	Seed uint64
	// Clients is the number of concurrent clients; each has one message on its way at a time.
	Clients int
	// Operations bounds the messages of all clients together; 0 means as many as the time allows.
	Operations int
	// Rate is the messages a second of all clients together; 0 means as fast as they are answered.
	Rate float64
	// Queries is the share of linearizable queries, Stale that of untracked ones, Duplicates that of messages that are sent
	// twice with the same sequence number.
	Queries, Stale, Duplicates float64
}

// Allow is what a correct cluster may do under the plan's faults.
type Allow struct {
	// Stall: it may stay without progress after everything has healed.
	Stall bool
	// Loss: it may lose or change what it acknowledged.
	Loss bool
}

// Fault is one fault. Which fields a kind uses is in its Spec; the others are zero.
type Fault struct {
	// At is when it begins and For how long it lasts, 0 for one that is over at once. For crash and its like, For is the time
	// until the replica is started again.
	At, For time.Duration
	Kind    Kind
	// Nodes are the replicas that it hits; for the faults of links the senders, with To the receivers.
	Nodes, To Target
	// Rate is the probability of every message or operation to be hit.
	Rate float64
	// Delay is added to each, with up to Jitter more; Gap is the pause between the steps of a fault that has steps.
	Delay, Jitter, Gap time.Duration
	// Skew is how far the clock is set forward, or back if negative.
	Skew time.Duration
	// Bytes is a size or a rate per second, After the number of operations that still succeed before the fault strikes.
	Bytes, After int
	// Mode chooses among the variants of the kind.
	Mode Mode
	// Power says what a crash leaves of writes that were not synced.
	Power Power
	// Op is the disk operation that is hit.
	Op Op
	// Until ends the fault before For is over, when something has happened.
	Until Until
	// Shift is the number of places by which a rolling restart moves the options on: replica i gets those of i+Shift.
	Shift int
}

// DefaultElection is the election timeout of a node that is given none.
const DefaultElection = time.Second

// What a correct cluster may take to get on.
const (
	// elections are the election timeouts in which there is a leader whom all follow, split votes and stale candidates included;
	// retried those that follow when a replica that was away is tried again.
	elections = 8
	retried   = 4
	// maxRetry is how long hashicorp/raft may wait before it tries a follower again that did not answer: the longer it was away
	// the longer, up to 10 ms << 10.
	maxRetry = 10240 * time.Millisecond
)

// LeastQuiet is the shortest quiet ending in which a correct cluster converges: a leader is found, or has stayed and tries replicas that
// were away again, after a time that grows with their absence.
func (p *Plan) LeastQuiet() time.Duration {
	longest := time.Duration(0)
	for i := range p.Faults {
		if f := &p.Faults[i]; !slices.Contains(weather, f.Kind) {
			longest = max(longest, f.For)
		}
	}
	election := cmp.Or(p.Cluster.Election, DefaultElection)
	return max(elections*election, min(longest, maxRetry)+retried*election)
}

// End is when the fault is over.
func (f *Fault) End() time.Duration { return f.At + f.For }

// Clone is a copy that shares nothing with the plan.
func (p *Plan) Clone() *Plan {
	c := *p
	c.Drawn.Kinds = append([]Kind(nil), p.Drawn.Kinds...)
	c.Replicas = append([]Options(nil), p.Replicas...)
	c.Faults = append([]Fault(nil), p.Faults...)
	for i := range c.Faults {
		f := &c.Faults[i]
		f.Nodes.Nodes = append([]int(nil), f.Nodes.Nodes...)
		f.To.Nodes = append([]int(nil), f.To.Nodes...)
	}
	return &c
}
