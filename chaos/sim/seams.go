package sim

import (
	"github.com/hashicorp/raft"

	"lockstep/chaos/check"
	"lockstep/chaos/history"
	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/node"
	"lockstep/snapshot"
)

// Seams are layers that a run puts around the parts of its replicas: how bugs are planted, and never otherwise; and the state machine,
// where it is to be another one. Each function may be nil; it is called for every life of a replica with the replica's number.
type Seams struct {
	// Logs and Stable lie above the disk that loses power, below what is recorded.
	Logs   func(replica int, under raft.LogStore) raft.LogStore
	Stable func(replica int, under raft.StableStore) raft.StableStore
	// Files lies above the files that lose power. What its Open gives must be the system's own file.
	Files func(replica int, under snapshot.FS) snapshot.FS
	// Checkpoints, Machine and Network lie below what is recorded.
	Checkpoints func(replica int, under node.Checkpoints) node.Checkpoints
	Machine     func(replica int, under node.Machine) node.Machine
	Network     func(replica int, under node.Network) node.Network
	// NewMachine makes the state machines in place of fsm's with an engine: of a program that has no engine, or in which it is elsewhere.
	// cfg has no engine. As replica 0 it makes those that repeat the log.
	NewMachine func(replica int, cfg fsm.Config) (Machine, error)
	// Tracking lies between canisters and the tracker of a replica's memories.
	Tracking func(replica int, under memstore.Tracking) memstore.Tracking
	// Replays puts Machine's layers round the machines that repeat the log too, as replica 0: for a bug of all that ever apply a round.
	Replays bool
	// Event changes what is recorded; false leaves it out.
	Event func(*history.Event) bool
	// Without leaves checkers out, by name.
	Without []string
	// Bare runs hashicorp/raft by itself in place of node: without any of node's guards.
	Bare bool
	// Causes names what is behind a verdict, for Result.Causes.
	Causes func(*check.Verdict) []string
	// StaleReads answers linearizable queries without proving leadership.
	StaleReads bool
}
