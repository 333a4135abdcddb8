// Package check judges a chaos run by its history.
//
//	events, one by one ──► Suite.Observe ──► first violation, at once
//	                           │
//	                    root-agreement   apply-order    log-matching    one-leader
//	                    committed-kept   exactly-once   linearizability checkpoint-truth
//	                    corruption-refused  no-panic    liveness        bounded-resources  faults-fired
//	                           │
//	                       Suite.Finish ──► second-opinion, replay-equivalence ──► Verdict, exit code
//
// Every checker is a name with its own documentation (Doc) in its own file. It knows events, and neither nodes nor clocks nor
// networks: the same history gives the same verdict while the cluster runs and years later.
//
// Invariants:
//
//   - What was not seen has not held. A checker without its events is Unseen, and a required one makes the run Undecided.
//   - Unknown stays unknown: a call without an answer may have happened or not, and both are fine.
//   - A plan that goes beyond what its cluster must survive has violations excused, by kind: loss excuses what loss can cause,
//     stall excuses liveness. They are still in the verdict.
//   - A violation carries the events that contradict each other, and the faults before them.
//   - Memory is bounded for rounds and log entries by Config.Window. Per message of a session and per call on its way something is
//     kept; that is what a run's length costs.
//   - A history without its end, as a run whose recorder was killed leaves it, does not say what did not happen: what is wrong only because
//     something is missing is undecided then (testdata/cut).
//
// Every checker has histories in testdata/bad in which it must find a violation, and there are mutants of what it sees that make
// it miss one: a checker that never failed has shown nothing.
//
// Sources: Raft's properties (Ongaro & Ousterhout 2014, figure 3); Herlihy & Wing 1990 for linearizability; the search is
// porcupine's (Lowe 2017). That a log gives the order away, so that nothing needs to be searched, is used by several
// replicated databases' own tests.
package check
