// Package bench measures page tracking with real Wasm: every tracker over a matrix of access patterns, and the figures that
// this project holds itself to.
//
//	guest.wat --> rig: one wasmtime instance, its memory in one of three modes --> samples --> Result --> Text, JSON, SVG
//
//	tracked     under a memstore tracker
//	untracked   a fresh private mapping of the checkpoint file for every message, no tracking: what a restored program pays
//	resident    plain memory that is already there: the limit
//
// Costs are processor time of the process, so that other work on the machine matters little; wall time is kept beside
// them. The cost of a message is that of arming, running, finding, comparing and arming again. Copying the changed pages
// into the store and merging them into the trie is the same for all trackers and reported on its own. All series of a cell
// are interleaved, and medians are reported with the quartiles.
//
// Run starts no goroutine that outlives it.
package bench
