// Package fsm is the replicated state machine: it applies rounds to the canisters of a cluster and gives the state root
// of every round. It knows nothing of engines, networks, disks and clocks: a round carries its own time, and the
// canisters, the pages and the checkpoint files are handed to it.
//
// # One round
//
//	raft.Log ── DecodeRound ──► attestation compared (raft.go, machine.go)
//	                               │
//	                               ▼
//	        plan: refuse duplicates by session, find each message's canister (plan.go)
//	                               │
//	            ┌──────────────────┼──────────────────┐
//	            ▼                  ▼                  ▼          in parallel, each (turn.go):
//	        canister a         canister b         canister c       1. what waits in its queue, within limits
//	            │                  │                  │            2. timer, heartbeat
//	            │                  │                  │            3. the round's messages, in log order
//	            └──────────────────┼──────────────────┘
//	                               ▼
//	        what was sent is routed into queues, by canister and order of issue (route.go)
//	                               ▼
//	        results into sessions; state root (root.go); published for queries and checkpoints (published.go)
//
// A message that changes a canister's life (life.go) waits for all before it and runs alone. So does one to the management
// canister (management.go); calls of it by canisters are carried out one after the other where the round's calls are routed.
//
// Modules are compiled by Compile before their round, beside other rounds; the round finds the code in the engine, also
// where a canister's MemoryBytes or StackUnits change. What a canister asks the management canister for is compiled in the round.
//
// # Calls
//
// A message opens a call context (context.go), which lives while calls made on its behalf have no response. A call made in
// round n waits in the callee's queue from the end of round n, runs in n+1 or later, and its response runs the caller's
// callback in the round after that or later. A client's message that is not answered in its own round is pending: its Result
// says so and names it by round and position (Ref); a later RoundResult completes it. Its session has the pending result,
// then the final one; Await waits for it (await.go). While HasWork, the leader proposes rounds without messages. A best-effort
// call whose deadline comes first is answered with code 6 (SYS_UNKNOWN); the callee's own response is dropped when it comes.
//
// A sequence number names one message of its session: a second message under a used number, even with another content, gets the
// first one's result and does not run.
//
// # Invariants
//
//   - The state after a round is a pure function of the state before it and the round's bytes. Worker count, tracker,
//     Raft batch boundaries, restarts and checkpoint intervals cannot change it.
//   - Everything that messages can change is in the State: what is hashed is what is checkpointed.
//   - A failure of the world stops the machine for good: every later call returns that error, and no later round
//     changes anything. It is never turned into a result, since the other replicas would not see it.
//   - A published State is immutable, and its pages stay until the last query or checkpoint that holds it lets go.
//   - The attestation in a round is compared and forgotten; it never reaches the state.
//   - Every call gets exactly one response that runs a callback, unless its canister is installed anew before. A response is never
//     refused.
//   - A canister runs under its own limits, which it got from the cluster's when it was installed: Limits change nothing of it.
//   - A context is in the table if and only if a call of it is outstanding; a canister is stopped only without contexts.
//   - A live canister is closed when no published state that names it has users.
//
// # State root
//
// All integers are big endian, H is SHA-256, and every hashed text begins with a domain of its own:
//
//	state    = H("lockstep/state/2" ‖ round u64 ‖ time i64 ‖ H(limits) ‖ next session u64 ‖ next canister u64 ‖
//	             sessions root ‖ number of canisters u64 ‖ canister hash, ascending by ID)
//	limits   = H("lockstep/limits/2" ‖ limits as deterministic CBOR)
//	canister = H("lockstep/canister-entry/2" ‖ head ‖ canister.State root ‖ contexts ‖ calls ‖ queue)
//	head     = H("lockstep/canister-head/2" ‖ canisterHead as deterministic CBOR: ID, name, module hash, controllers, limits, …)
//	contexts = H("lockstep/contexts/1" ‖ context hash, ascending by ID), context = H("lockstep/context/1" ‖ as CBOR)
//	calls    = H("lockstep/calls/1" ‖ call hash, ascending by ID),       call    = H("lockstep/call/2" ‖ as CBOR)
//	queue    = H("lockstep/queue/1" ‖ item hash, oldest first),          item    = H("lockstep/queued/1" ‖ as CBOR)
//	sessions = Merkle tree of fan-out 64 over the low 12 bits of the session number (session.go):
//	           H("lockstep/sessions/2" ‖ which of the 64 groups have sessions, bit by bit, u64 ‖ their hashes)
//	           group   = H("lockstep/session-group/2" ‖ which of the 64 buckets have sessions u64 ‖ their hashes)
//	           bucket = H("lockstep/session-bucket/1" ‖ session hash, ascending by number)
//	           session = H("lockstep/session/2" ‖ session as deterministic CBOR)
//
// An empty bucket, group or tree, and an empty list of contexts, calls or items, hashes to 32 zero bytes. Raft's index and term are not in the root: a state carried to
// another cluster keeps it.
//
// # Goroutines
//
// Apply, Snapshot and Restore run on raft's FSM goroutine; during a round it starts at most Config.Workers goroutines
// and waits for them. Compile, queries, Inspect, Await, HasWork, Status, Roots and a checkpoint's Persist run beside it on their callers' goroutines.
//
// # Sources
//
// Schneider, "Implementing Fault-Tolerant Services Using the State Machine Approach" (1990); Ongaro, "Consensus:
// Bridging Theory and Practice" §6.3 (sessions), hashicorp/raft's FSM contract; the Internet Computer's interface
// specification (call contexts, reject codes, canister life cycle). What was decided differently, and why, is in
// docs/adr/0012-calls-and-life-cycle.md.
package fsm
