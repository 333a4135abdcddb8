// Package sim runs a whole cluster in one process under virtual time: raft, batching, the state machine with real Wasm on real
// tracked memory, real checkpoint files, sessions and clients. Every replica is a node.Node on another ground (node.StartOn); only
// what lies below node's guards is simulated.
//
//	plan ──► cluster (sim.go) ── walk (faults.go, links.go, membership.go, damage.go): each fault at its time
//	            │                        │
//	            │ clients (clients.go)   ▼
//	            │      │        ┌── member (member.go): one replica through all its lives ──┐
//	            │      └──────► │   life (life.go): a node.Node between power on and off    │
//	            │               │     gate       stands still while it is paused            │
//	            │               │     transport  messages, each with its own fate           │──► network (network.go)
//	            │               │     disk       log and votes, synced and not              │
//	            │               │     files      checkpoints' real files, journalled        │
//	            │               │   device (device.go): what outlasts a life                │
//	            │               └───────────────────────────────────────────────────────────┘
//	            ▼ watched layers (watched.go, observe.go)
//	     history.Recorder ──► check.Suite, online; replays of the log at the end (replay.go) ──► Verdict
//	                              │ violation                                                     ▲
//	                              └──► states held (witness.go) ──► search for what differs (explain.go, chaos/replay)
//
// Pool (pool.go) runs each plan in a child process, this program started again (child.go): a panic ends one run and is its result.
//
// # Time
//
// All goroutines of a run are in one bubble of testing/synctest: time goes on when all of them wait. Wasm, hashing and files take no
// virtual time; messages, log writes, pauses and clients' waits do. Time stands still while anybody works, and while anybody waits for
// a sync.Mutex: so nothing here sleeps where a lock may be held, and the file layer never sleeps at all; a slow or hung disk
// makes checkpoints wait before and after the store is called.
//
// # Crash
//
// Power off (life.powerOff) first stops all recording, sending and writing of the life, in this order of importance: nothing that the
// old life still does can be seen by anybody. Then the device is taken out as it is at that instant: what was not synced is kept, lost or
// torn, as the fault says. The old life's goroutines work on a copy that nobody sees again, and are stopped and waited for (bury).
//
//	log        a list of undoable operations since the last sync; lost takes all back, torn some, and a part of one append
//	files      for each file the size that is synced, for each folder the changes of names since it was synced
//
// # Invariants
//
//   - Replicas share no memory but compiled code: what crosses the network or is written is copied (copy.go).
//   - An event is recorded at the moment that it becomes true for its replica, and never after its power is off.
//   - A refused call has certainly not happened; whatever else went wrong leaves a call unknown.
//   - Bugs are planted through Seams only (seams.go, package plant); nothing here or in production code asks whether one is.
//
// A plan run again is given the same faults and messages. What Go's scheduler and raft's own random numbers decide differs: a
// failing plan may need several runs to fail again.
//
// # What is not as in the world
//
//   - A paused replica's goroutines go on until they touch the world: its network, disk, state machine, clients.
//   - A flipped bit on a link is a broken connection, but for checkpoints' streams, which arrive with it.
//   - A checkpoint travels whole, with Raft's InstallSnapshot: the network is no node.SyncNetwork. Transfers of what is missing, and
//     their cuts, are tested over TCP (package node), by drills and in real runs.
//   - A damaged checkpoint file takes the place of the old one, so that what is mapped stays whole.
//   - A replica with a diverged state is not started again unless it is wiped.
//
// # Goroutines
//
//	member.keep, live, run      one a replica: the cluster's end
//	bury                        one for each crash: ends when the old life is gone
//	client.run                  one a client: settle
//	pipeline.run                one a follower that raft sends to: Close
//	late, receive's             messages that nobody waits for: when they have arrived
//	those of faults             rolling, swizzle, staleInstall, transfer, membership, partedUntil: with the fault, or the run
//	seize                       one, at the first violation: when it holds the replicas' states
//	limit                       outside the bubble: ends the process that takes too long
//
// A child process ends with its result; nothing outlives it.
//
// # Sources
//
// Power loss after Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014) and Pebble's strict in-memory file system;
// the catalogue of faults after TigerBeetle's and FoundationDB's simulators and etcd's robustness tests; hashicorp/raft 1.7.3's network
// transport, whose behaviour transport.go and pipeline.go repeat. docs/adr/0009 has the choices.
package sim
