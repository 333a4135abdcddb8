// Package replay repeats the log of a stopped replica on a fresh state machine and holds every root that it finds against
// everything that says what the root should be.
//
//	raft.db (read-only) ── rounds ──▶ Machine ── root after each round ──▶ compared with
//	checkpoint or empty ── start ───────┘                                    · what later rounds attest
//	                                                                         · the replica's checkpoints of that index
//	                                                                         · roots that the caller knows (Config.Known)
//	first difference ──▶ search: the rounds since the last agreement again, message by message ──▶ Finding
//
// A Finding names the round, the message, the canister, the page and the bytes, as far as what is left to compare with
// allows: two machines that differ (another tracker, another level of optimisation) are taken apart message by message; if
// they do not differ, the replayed state is held against the nearest checkpoint.
//
// # Invariants
//
//   - Nothing in the replica's folder is written. A folder in use is refused: its lock is held, shared, while it is open.
//   - A round's attestation is taken out before the machine sees the round: the comparison happens here, and goes on to say
//     where the difference comes from.
//   - Rounds at the end of a log that nobody attests may never have been committed. They are repeated, and counted apart.
//   - A search writes what changed since the start of the replay, into Config.Scratch: what it keeps refers to the files of the
//     checkpoint that it began from.
//   - A log entry that can't be read ends a replay with an EntryError; it is never skipped.
//
// # Goroutines
//
// None of its own; a Machine has those that its package says.
//
// # Sources
//
// Delta debugging's binary search for the step that makes the difference: Zeller, "Yesterday, my program worked. Today, it
// does not. Why?" (1999).
package replay
