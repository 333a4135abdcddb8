// Package drill rehearses disasters: each drill starts a cluster, lets it work, does something terrible to it, repairs it in the
// way that an operator would, and then proves that nothing came of it.
//
//	rig: processes in a temporary folder ── work ── disaster ── repair ── work ──▶ all replicas at one round with one root
//	                                                                                │ stop
//	n1's log, which is never cut ── replay.Replay from its start ───────────────────┴─▶ the same root after every round
//
// # Invariants
//
//   - A drill passes only if every replica reached the same round with the same root, every root that any replica reported on
//     the way equals that of an undisturbed replay of the log, and the disaster is known to have happened (a checkpoint was
//     set aside, a kill hit a temporary folder, the disk was full). A disaster that could not be brought about is undecided
//     or skipped, with the reason, never passed.
//   - The first replica is the archive: it keeps its whole log, is never wiped, and its log is never damaged.
//   - Processes end with this one, temporary folders with the drill (chaos.Folder).
//   - Ensemble is the same in one process, without raft: replicas are state machines with stores of checkpoints.
//
// # Goroutines
//
//   - process.run, one a replica that runs, on a thread of its own (PR_SET_PDEATHSIG); it ends with the process.
//   - rig.work starts a few clients and waits for them.
//
// # Sources
//
// Disaster-recovery tests of the Internet Computer (dfinity/ic, rs/tests); Netflix's "Chaos Monkey" for rehearsing what
// must work on the day.
package drill
