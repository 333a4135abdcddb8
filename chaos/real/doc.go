// Package real runs a chaos plan against real replicas: one operating-system process each, TCP between them, files on disk.
//
//	        this process                                  a process a replica (Serve)
//	Run ─┬─ fault goroutines ── SIGKILL, SIGSTOP ───────►  node.Node ── journal ── raft.db
//	     │        │   └─ command lines ── standard input ►  storeFaults ──┘
//	     │        └── link conditions                         │
//	     │      proxy n1→n2, n1→n3, … ◄── raft over TCP ──────┤
//	     ├─ clients ── HTTP, client port ────────────────────►│
//	     └─ history.Recorder ◄── events, a pipe ── reporter ──┘ (its own log, votes, roots of its own client port)
//	              └──► check.Suite, the tracker of verified faults
//
// A replica's process is this same program. It tells its parent through a pipe what goes to its log, what its state machine answers to
// each message, and which roots its node reports: an answer that a client was given is held against all replicas' own; a pipe outlives the process that wrote to it, so that a replica that was killed has still told everything up to then.
// Links are TCP proxies, one a directed pair of replicas: what a dialled connection carries forward belongs to the pair, what it
// carries back to the opposite pair.
//
// # Invariants
//
//   - Nothing needs root, and nothing outlives the run: processes die with their parent (PR_SET_PDEATHSIG and a pipe that ends),
//     temporary folders are removed in the end.
//   - Each fault is undone by who began it, and counted references decide when a replica that several faults hold down runs again.
//   - What this package can't inject it refuses before the start (Supports), and leaves out of the plans that it draws (Draw).
//   - A fault counts as verified when, after its end, every replica that may be up has reported the root of a round that is at
//     least as new as the newest one known at its end; all these roots were compared.
//   - A replica that stopped for a reason of its own is started again only if a fault of the plan has broken its disk.
//
// # Goroutines
//
//   - run.fault, one a fault of the plan: ends with its fault; Run waits for all before the quiet ending.
//   - client.run, one a client: ends with the run.
//   - process.run on a thread of its own and replica.read, one each a replica's process: end when it has ended.
//   - proxy.accept, one a pair, and four a connection: end with network.close.
//   - In a replica's process: reporter.run and storeFaults.listen, which end with the process, and storeFaults.handOver, one a
//     transfer of leadership, which ends when raft has answered.
//
// # Sources
//
// Proxies in place of firewalls follow Toxiproxy. RLIMIT_FSIZE for a full disk: setrlimit(2). A count of verified faults instead of
// injected ones is the answer to chaos tools that report success while nothing was hit.
package real
