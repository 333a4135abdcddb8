// Package fsm is the replicated state machine: it applies rounds to the canisters of a cluster and gives the state root
// of every round. It knows nothing of engines, networks, disks and clocks: a round carries its own time, and the
// canisters, the pages and the checkpoint files are handed to it.
//
// # One round
//
//	raft.Log ── DecodeRound ──► attestation compared (raft.go)
//	                               │
//	                               ▼
//	        plan: refuse duplicates by session, find each message's canister (plan.go)
//	                               │
//	            ┌──────────────────┼──────────────────┐
//	            ▼                  ▼                  ▼
//	        canister a         canister b         canister c     in parallel, each in log order (execute.go)
//	            └──────────────────┼──────────────────┘
//	                               ▼
//	        results into sessions; state root (root.go); published for queries and checkpoints (state.go)
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
//
// # State root
//
// All integers are big endian, H is SHA-256, and every hashed text begins with a domain of its own:
//
//	state    = H("lockstep/state/1" ‖ round u64 ‖ time i64 ‖ H(limits) ‖ next session u64 ‖ next canister u64 ‖
//	             sessions root ‖ number of canisters u64 ‖ canister hash, ascending by ID)
//	limits   = H("lockstep/limits/1" ‖ limits as deterministic CBOR)
//	canister = H("lockstep/canister-entry/1" ‖ ID u64 ‖ length of name u64 ‖ name ‖ module hash ‖ canister.State root)
//	sessions = Merkle tree of fan-out 64 over the low 12 bits of the session number (session.go):
//	           H("lockstep/sessions/1" ‖ 64 group hashes), group  = H("lockstep/session-group/1" ‖ 64 bucket hashes)
//	           bucket = H("lockstep/session-bucket/1" ‖ session hash, ascending by number)
//	           session = H("lockstep/session/1" ‖ session as deterministic CBOR)
//
// An empty bucket, group or tree hashes to 32 zero bytes. Raft's index and term are not in the root: a state carried to
// another cluster keeps it.
//
// # Goroutines
//
// Apply, Snapshot and Restore run on raft's FSM goroutine; during a round it starts at most Config.Workers goroutines
// and waits for them. Queries, Status, Roots and a checkpoint's Persist run beside it on their callers' goroutines.
//
// # Sources
//
// Schneider, "Implementing Fault-Tolerant Services Using the State Machine Approach" (1990); Ongaro, "Consensus:
// Bridging Theory and Practice" §6.3 (sessions), hashicorp/raft's FSM contract.
package fsm
