// Package chaos runs clusters and judges them: it starts replicas as processes, lets clients work on them, watches the
// roots of all replicas, and says in the end whether they agreed.
//
//	                 Run (run.go)
//	   ┌────────────────┼─────────────────────┐
//	Cluster          Driver                Observer ── Agreement ── Judge ── Verdict
//	   │ process        │ client … client     │ watcher … watcher
//	   │ … process      │ (workload)          │ (Report, Roots, Counters)
//	   ▼                ▼                     ▼
//	replicas' processes ◄── client ports (HTTP): remote ──►
//
// What runs, what sends and what judges know nothing of each other: a Cluster only starts and ends processes, a Driver only
// sends messages, which package workload makes, and counts what became of them, an Observer only asks. Everything that is asked
// of a replica is asked over its client port, as any user could.
//
// # Invariants
//
//   - Silence is never agreement. A round counts as compared by k replicas only after k of them have reported the same
//     root for it (agreement.go). A run in which something could not be seen is undecided, not agreed (verdict.go).
//   - A call has three ends: an outcome, a certain refusal, or nobody knows. The third stays the third (driver.go).
//   - A replica's process can't outlive the run, whatever kills the run (process.go). A temporary folder goes away with
//     the run, or with the next one if the run was killed (folder.go). A folder that isn't a cluster's is never written to.
//   - A replica that was killed is started again; one that ended because it diverged or failed is not: its folder is
//     evidence.
//
// # Goroutines
//
//   - process.run, one a replica, on a thread of its own: from startProcess until the process has ended for good
//     (Cluster.Stop, Cluster.Close).
//   - Driver.client, one a client: until Driver.Stop.
//   - watcher.watch, one a replica: until Observer.Stop.
//   - Run waits for all of them before it returns.
//
// # Sources
//
// The three outcomes of a call and the exit codes follow Jepsen and Maelstrom; comparing at a named round instead of
// "now" avoids the false alarms of the application-hash tests of Tendermint. PR_SET_PDEATHSIG: prctl(2);
// it is bound to the thread that forks, not to the process.
package chaos
