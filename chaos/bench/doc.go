// Package bench measures chaos runs: how fast they go, what they catch and how fast, and what judging them costs, against the figures
// that the project holds itself to. It is what `cluster bench chaos` prints.
//
//	speed.go     simulated time and faults for each unit of processor time; faults of real runs
//	planted.go   planted bugs, and the known defects of hashicorp/raft: caught, and survived by node
//	localise.go  finding the bytes in which two states differ, down to the message
//	linear.go    linearizability of a long history
//
// Speeds are of one processor: what counts is processor time, not the time that a busy machine gives to others.
package bench
