package history

import (
	"time"

	"lockstep/pagetrie"
)

// Event is one thing that happened in a run. Which fields a kind uses is in its KindSpec; the others are zero, and a Reader
// refuses an event in which they are not.
type Event struct {
	// At is when it happened, since the run began: virtual time in a simulation.
	At   time.Duration
	Kind Kind
	// Role is of a Node that has taken a part in Raft; Class what a client's Op is; Outcome how it ended.
	Role    Role
	Class   Class
	Outcome Outcome
	// Node is the replica that it happened on or that says so, from 1; 0 is none. Peer is another replica: the sender of a
	// checkpoint, the candidate of a vote.
	Node, Peer uint8
	// Slot is the place of a message in its round, from 0.
	Slot uint32
	// Client is the number of a client, from 0.
	Client uint32
	// Fault is the number of a fault in the plan, from 1.
	Fault uint32
	// Op is the number of a client's call, from 1; a call that is invoked once returns at most once.
	Op uint64
	// Term, Index and Round are as in Raft and in the state machine. To is the last index of a range that begins at Index.
	Term, Index, To, Round uint64
	// Ran is the round in which a message ran the first time: for Executed Round itself, or an earlier one for a repeated
	// message. It is 0 for a message that did not run (refused by the state machine, of an expired session, stale).
	Ran uint64
	// Session and Sequence are the message's; 0 for a message outside any session.
	Session, Sequence uint64
	// Count is how many messages or operations a fault has hit, the bytes of a checkpoint, or the value of a gauge.
	Count uint64
	// Root is the state's root after Round.
	Root pagetrie.Hash
	// Digest is that of the entry's bytes at Index, of a reply, or of a checkpoint's files; 0 is not compared with anything. An
	// answer whose reply is gone, because the message was sent again too late, has none.
	Digest Digest
	// Text is for people, except where the kind's specification says more; at most MaxText bytes.
	Text string
}

// MaxText bounds Event.Text. A Recorder shortens a longer one.
const MaxText = 4096

// Kind says what happened. It is the word in a history.
type Kind uint8

// The kinds of events.
const (
	// FaultBegin and FaultEnd are a fault of the plan with its line as Text. Count at the end is how often it had an effect.
	FaultBegin Kind = iota + 1
	FaultEnd
	// Healed is the beginning of the quiet ending: no fault from here on, everything that was stopped is started.
	Healed
	// Ended is the end of the run, the last event. Text says why it came before the plan's end; then the run is undecided at best.
	Ended
	// Mark is a rare path that was reached: Text is a MarkName.
	Mark
	// Note is anything worth knowing.
	Note

	// Started is a node that begins to work with the state that it found on disk: Index, Term, Round and Root of its newest
	// checkpoint, zeros for none, and To the last index of its log. Text is its options.
	Started
	// Stopped is a node that has ended: Text says why. Crashed is one that a fault has ended.
	Stopped
	Crashed
	// Panicked is a node that ended by a panic that nobody wanted. Diverged is one that found that its Root is not the one
	// that the leader attests. Stuck is a node, or the run if none is named, that works without getting on.
	Panicked
	Diverged
	Stuck
	// RoleChanged is a node that is in a Role in a Term. Voted is a vote for Peer in a Term.
	RoleChanged
	Voted
	// Appended is an entry written to a node's log. Truncated is Index..To cut off the end of a log, Compacted Index..To off
	// its beginning.
	Appended
	Truncated
	Compacted
	// Committed is an entry that a node learnt to be committed.
	Committed
	// Applied is a round that a node has applied. Executed is one message of it, with the digest of its reply.
	Applied
	Executed
	// Published is a checkpoint that is visible on a node's disk. CheckpointRefused is a checkpoint that the node would not write or use;
	// Text says why. Damaged is one that the harness has damaged; if Index is 0, it is the node's log,
	// all that it has, or what of a checkpoint is verified only when it is read. CheckpointUnread is one that the disk failed to give to
	// a node that was starting, with Text as the error: it may be whole, and it stays where it is.
	Published
	CheckpointRefused
	CheckpointUnread
	Damaged
	// InstallSent is a checkpoint that a node begins to read, to send it to Peer; Sequence numbers such streams from 1.
	// InstallBegin is one that begins to arrive from Peer, with Sequence if that is known. Installed is a node whose state became that of a checkpoint
	// while it ran. InstallFailed is one that it did not take.
	InstallSent
	InstallBegin
	Installed
	InstallFailed
	// Configured is a membership, as Text: the voters' numbers with commas between.
	Configured
	// Gauge is a resource's size: Text is its name, Count its size.
	Gauge
	// Audited is what a canister's books say after Round: Text is its name and then name=number, with spaces between. Count is 1
	// for an audit at the end, when everything that was on its way has had the time to arrive.
	Audited

	// Invoked is a client's call on its way to Node (0: any), Text the method.
	Invoked
	// Returned is its end, with Text the status or the error. If it is OK, Round is the round that the result is of: in which
	// the message ran, the first time if it was repeated, or whose state a query read; Index is the log index of the round
	// that answered, and Root the state's root after it.
	Returned
)

// Role is a replica's part in Raft.
type Role uint8

// The roles.
const (
	Follower Role = iota + 1
	Candidate
	Leader
)

// Class is the kind of a client's call.
type Class uint8

// The classes of calls.
const (
	// Update runs in a round.
	Update Class = iota + 1
	// Query is a linearizable query: it reads the state after Round.
	Query
	// StaleQuery reads the state after Round, which may be old.
	StaleQuery
)

// Outcome is how a call ended.
type Outcome uint8

// The outcomes. A call that never returned is as one that returned Unknown.
const (
	// OK: there is a result, whatever the result is.
	OK Outcome = iota + 1
	// Refused: it certainly did not happen and will not.
	Refused
	// Unknown: it may have happened, and may still happen.
	Unknown
)

// Digest stands for some bytes: the first 8 of their SHA-256. 0 means "not known".
type Digest uint64

// Header is the first line of a history: what is needed to judge it.
type Header struct {
	// Format is 1.
	Format int `json:"format"`
	// Replicas is their number, Seed and Plan the plan's seed and the digest of its text.
	Replicas int    `json:"replicas"`
	Seed     uint64 `json:"seed"`
	Plan     Digest `json:"plan"`
	// Layer is "sim" or "real", Program what ran: a version or a commit.
	Layer   string `json:"layer"`
	Program string `json:"program,omitempty"`
	// MayStall and MayLose are what the plan admits that a correct cluster may do.
	MayStall bool `json:"may_stall,omitempty"`
	MayLose  bool `json:"may_lose,omitempty"`
	// Excused are the replicas that need not be up at the end.
	Excused []int `json:"excused,omitempty"`
	// Rerun and Shrink are the commands that repeat the run and that reduce its plan.
	Rerun  string `json:"rerun,omitempty"`
	Shrink string `json:"shrink,omitempty"`
	// Parameters are shown to people, in this order.
	Parameters []Parameter `json:"parameters,omitempty"`
}

// Parameter is a name and a value for people.
type Parameter struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}
