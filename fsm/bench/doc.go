// Package bench measures checkpoints: what they cost on disk, on the wire, in time, and in the rounds that run beside them, against
// the figures that the project holds itself to. It is what `cluster bench checkpoint` prints.
//
//	plain.go     one memory of random pages without a canister: bytes written, merges, disk, writing and verifying, sending
//	ledger.go    a file layer that counts bytes written and bytes on disk
//	machine.go   a state machine with a canister, and its checkpoints
//	rounds.go    the time of rounds: alone, beside checkpoints, and beside what checkpoints are made of
//	restore.go   a process of its own that restores a checkpoint as a node does, and runs a message
//	compress.go  pages of a real Wasm memory through compressors
//
// Every time is the wall's, of runs that take turns in one process, and stands beside what it is compared with. Bytes are counted.
package bench
