// Package plant holds bugs that are planted into a simulated cluster, to see that the checkers find them: a checker that has never
// been seen to fail has shown nothing.
//
//	sim.Options.Seams ◄── Plant.Seams: layers around the log, the votes, the files, the state machine, the network,
//	                            │      and the trackers of memories
//	                            │
//	   plan that provokes it ───┴──► run ──► verdict ──► is the violation one that the plant expects?
//
// Files are by what is wrong: machine.go what is done with rounds, memory.go how pages are found, merged and laid, checkpoint.go
// what is written of a state, log.go and network.go what is kept and sent, bank.go what all replicas do alike, recorder.go
// what the checkers see, upstream.go defects of hashicorp/raft.
//
// Nothing in production code knows of plants: each is a layer around a public interface. A plant says in a sentence what is wrong
// and which checkers are to find it. Four kinds besides the ordinary ones:
//
//   - Bare plants take node's guards away: what then goes wrong is known of hashicorp/raft. With Guarded the same plan runs on node
//     and must be survived.
//   - BareRaft is raft without the guards and no plan of its own: drawn plans show what is wrong with it. A witness tells which known defect
//     is behind a violation (witness.go, Causes).
//   - Blind plants are mutants of what the checkers see: an ordinary bug that must then go unnoticed by the checker that it is about.
//     One that is found all the same shows that the mutant changes nothing.
//   - canary always fails: it shows that the alarm rings.
//
// The only goroutines are those of late (log.go), which end with their writes.
package plant
