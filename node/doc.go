// Package node is one replica of a cluster: hashicorp/raft with its log, its checkpoints and its connections around the state
// machine of package fsm, and the port where clients call it. It knows nothing of faults; chaos puts them into Config.Wrap and
// around the process.
//
// # One message
//
//	client ── POST /v1/canisters/{name}/update/{method} ──► server (server.go, handlers.go)
//	                                                           │ not the leader: passed on once (forward.go)
//	                                                           ▼
//	   queue ──► batcher: a round as soon as fewer than RoundsInFlight are on their way (batcher.go)
//	                                                           │ raft.Apply
//	             ┌─────────────────────────────────────────────┤
//	             ▼                                             ▼
//	   LogCache ► guardedLog ► Config.Wrap                transport ► link.Layer ► the other replicas
//	   (logstore.go)  ► CheckedLog ► raft.db              (transport.go, guard.go)  (folder link)
//	             │      (checkedlog.go)
//	             │ committed
//	             ▼
//	   fencedMachine ► fsm.Machine (fence.go) ──► result, root ──► the message's own sender
//	             │ every CheckpointEvery rounds
//	             ▼
//	   checkpointer ► raft.Snapshot ► snapshot.Store (checkpoints.go)
//
// # Files
//
//	client port        server, handlers, forward, modules, states, states_read, status, help, metrics; protocol has its JSON
//	in-process calls   calls; the client over HTTP: client, states_client, outcome
//	rounds             batcher, reader, fence
//	one life of it     node, replica, parts, ground, config, roles, reserve, handover
//	log                logstore, checkedlog, checkedstable, guard, raftlog; folder logfile
//	data folder        datadir, import, setaside, joining, evidence, groundwatch
//	checkpoints        checkpoints; between replicas: statesync, syncwire, transfers
//	connections        transport, pipeline, message; folder link
//
// # One checkpoint
//
//	leader: raft.InstallSnapshot ► stateSync.send ── offer ──────────────────────────► stateSync.receive :follower
//	                                    ▲ ◄───────── have: pages here already ───────── snapshot.Transfer
//	        snapshot.Reader.WriteDelta ─┴── chunks: indexes and pages that are missing ► Transfer.Receive: verified, kept on disk
//	                                      ◄───────── alive, alive ───────────────────── assembled, every byte verified
//	        raft goes on ◄─────────────── answer ◄── raft installs ◄── installGuard ◄── Transfer.Ticket
//
// What has come outlasts a cut, a restart of either side and a change of leader (statesync.go, syncwire.go). Transfers are in
// the status and the log (transfers.go). On a Network that is no SyncNetwork Raft sends checkpoints whole.
//
// A linearizable query waits until the state machine has applied what was committed when the query came, proved by a majority
// that answers what was sent since (reader.go, contact.go). A stale one is answered at once, on any replica.
//
// # What can end a replica
//
// replica (replica.go) is everything between one opening of its Ground and the next; Node (node.go) has one at a time. A Ground
// gives the parts below the guards (parts.go): Start's is a data folder and TCP (ground.go), StartOn takes any other.
//
//	the machine finds another root than the leader's     state diverged: evidence/round-N/report.json, never started again
//	the disk fails, or the machine does                  state failed: fix the cause and start the node again
//	its files are deleted or replaced (groundwatch.go)   state failed: start again, with an empty folder it is sent the state
//	a leader's checkpoint contradicts our log            the uncommitted end of the log is cut and the replica opened again
//	raft refuses its rounds because it hands leadership on, for three election time-outs (handover.go)    opened again
//	Stop
//
// replica.stop first puts up the fence before the state machine and cuts every connection, and only then does anything else
// happen: so raft may be told what it likes to hear instead of panicking, because nothing that it does afterwards reaches
// anybody. In the first two states the client port still answers /v1/status, /v1/roots and /v1/states until Stop.
//
// A log that no readable checkpoint reaches is set aside at the start, with the checkpoints, as evidence (setaside.go). The
// replica then begins like one with a new folder, but votes for nobody at all until a leader has sent it the state. A cluster
// of one has nobody who could, and is refused instead.
//
// # Reading a whole state
//
// Two live replicas are compared over their client ports (states.go, states_read.go). POST /v1/states?round=N holds the state after
// a round, without N the newest, and lists its parts with a hash each; a round to come is waited for up to 5 s, and one that is not
// kept is answered with 409 and those that are: the newest 17, fewer when what they keep is more than 16 MiB of replaced pages.
// POST /v1/states/ID/read reads canisters, sessions, pages (64 of each at most) and nodes of page tries (pagetrie.MaxRefs), so that
// a client finds what differs by descending hashes. DELETE /v1/states/ID gives the state up, and so do 15 s without use and 2
// minutes in all; 4 are held at most, since their pages stay in memory.
//
// # Outcomes
//
// A call that has a result has happened. A call that failed is refused (it certainly did not happen) or unknown (it may have
// happened): see classify in outcome.go. Only a session makes it safe to send an unknown message again. A session's sequence
// number names one message: whatever is sent under a number that was used gets the first one's result and does not run.
//
// # Invariants
//
//   - Each sender gets its own message's result, or an error with an outcome; none waits after Stop has returned.
//   - The log, from its first entry to its last, has no gap and nothing in it contradicts the newest checkpoint (mendLog,
//     replica.installed). It reaches back to the oldest checkpoint kept and holds the entry at the newest one, or
//     begins behind it and answers for its term (guardedLog.GetLog).
//   - No entry of the log reaches raft, another replica or the state machine that is not what was stored: CheckedLog names it, and
//     the log is set aside.
//   - A checkpoint from a leader never takes the state machine back (installGuard).
//   - What is deleted from the log is covered by a checkpoint or provably not committed (conflict.cut).
//   - A replica with a new folder votes for no candidate with a history until it holds all that was committed, and one that
//     has set its log aside for no candidate at all (joiner).
//   - A replica acknowledges nothing for longer than groundEvery after its folder or its log was deleted (groundWatcher).
//   - No byte of Raft is exchanged with a node of another cluster, and none that a link has changed is read.
//   - Nothing of a checkpoint reaches raft, the list of checkpoints or the state machine before all of it is there and verified. A
//     peer's lengths are bounded before they are used, and so are its connections (package link); its stream costs at most three times
//     Config.CheckpointBytes on disk.
//   - A folder with evidence of a divergence is not served from and takes no part in elections.
//
// # Goroutines
//
//	Node.supervise             one a node; ends with the replica for good, or by Stop
//	server.start               one a node, and net/http's per connection; ended by Stop
//	batcher.run and one for each round in flight    batcher.close
//	reader.run                 reader.close
//	checkpointer.run           checkpointer.close
//	roleWatcher.run            roleWatcher.close
//	groundWatcher.run          groundWatcher.close
//	replica.compile            one a module that is compiled for a coming round; ends with the compiler, for which closing the
//	                           engine waits; server.compileEverywhere waits for the goroutines that ask other nodes
//	transport.listen           transport.Close, replica.stop
//	transport.beat             one a heartbeat that raft is to answer, until transport.listen takes it; transport.Close
//	stateSync.receive          one a checkpoint on its way here, on the goroutine that raft's transport has for its connection;
//	                           beside it keepAlive's, and on the sending side one that waits for the answer: all end with the connection,
//	                           stateSync.close waits
//	drainedPipeline.run        one a follower that raft sends to; its Close, which raft calls
//	raft's own                 replica.close: raft.Shutdown after the rounds in flight have ended, since raft answers
//	                           none of them later; its connections' end with link.Layer's Close
//	a transfer of leadership that does not end (handover.go) outlives its raft: one goroutine of raft's each
//	waitGroup                  ends with what it waits for; outlives Stop only when the disk hangs for closeTimeout
//
// # Sources
//
// Ongaro, "Consensus: Bridging Theory and Practice" §3 (Raft), §5.1 (compaction), §6.4 (read index); hashicorp/raft 1.7.3's
// source and its issues 85 (damaged checkpoint), 212 (stream not drained), 503 (hung store), 612 (store error), 697 (install
// of a checkpoint that the log contradicts), what its pipeline does when an answer is no success (pipeline.go), and transfers of
// leadership that wait for ever (handover.go), its heartbeats, which set the term beside its own goroutine (heartbeat.go), and its
// candidates that know a leader (transport.go);
// docs/adr/0006 for the choices.
package node
