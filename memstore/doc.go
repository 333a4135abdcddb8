// Package memstore keeps the linear memories of one replica: which bytes each of them has, which pages a message
// changed, and every version of them that somebody still needs.
//
// It knows nothing of Wasm engines and nothing of Raft. An engine reserves an address range; memstore decides what the
// range contains, learns what is written into it, and turns a finished message into a new immutable Version, or puts
// the bytes back.
//
//	 checkpoint files          Store: immutable 4 KiB pages, named by handle          Memory: one live linear memory
//	+----------------+        +---------------------------------------------+        +---------------------------+
//	| page area      |--map-->| arena [slot][slot][slot] ...  hash, gen     |--lay-->| base                      |
//	+----------------+        +---------------------------------------------+        |  guest reads and writes   |
//	                                 ^ copy each changed page once                   |  tracker: what was written|
//	                                 |                                               +---------------------------+
//	                          Version{Size, Pages: page index -> handle} <---Commit---- compare by bytes
//
// # A message
//
// Begin arms tracking. The guest runs. Commit collects the candidates that the tracker found, compares each of them by
// bytes with the page of the old version, copies those that differ into the Store and returns the new Version; Rollback
// puts the old bytes back. Begin and Commit may also enclose a whole round of messages: then a message that traps is
// undone by Rollback to the start of the round and by running the round's earlier messages again, which execution being
// deterministic makes exact.
//
// # Invariants
//
//  1. Nothing that depends on how pages were found leaves this package except through Stats: a Version is a function of
//     the old version and of the bytes in the memory.
//  2. An absent page and an all-zero page are one thing; no handle ever names an all-zero page of the Store's own making.
//  3. A page behind a handle never changes while the handle lives. A handle is never reused: its upper half is the
//     generation of its slot, and every access checks it, so that a stale handle panics instead of reading other bytes.
//  4. A handle that a newer version no longer names is freed only when every Pin that is older than its replacement is
//     released.
//  5. A tracker may report too many pages, never too few. The conformance suite holds each of them against a flat model,
//     and is itself held against trackers with planted bugs.
//  6. A page of a checkpoint file is held against its hash before anything that was made of its bytes leaves this package
//     (proof.go). Which pages a guest can have read is what the page tables say at the end of its message: a page that the
//     kernel takes back in between, as it may when memory is short, is missed until the file is proven as a whole.
//  7. A mapping call that fails is an error with errno, range and remedy; after it no version leaves the memory again.
//
// # Trackers
//
// See Tracker. They differ in cost only. A memory takes any Tracking: a Tracker makes the Mechanism of its name, and another package
// can put a layer around what it makes. The signal handler that naive, prefetch and wholepage need is C (handler.c): it is
// put on top of the engine's when a memory is attached, serves only addresses of registered memories, takes no lock, and
// passes everything else on. Under these three a system call must not be given an address in the memory: the kernel
// answers EFAULT instead of raising the signal. Go and guest code may touch any page.
//
// Adaptive has a SIGTRAP handler (ahead.c), for perf events of its own only: while a memory is cold it brings in, in huge
// pages, what a guest that fills memory in order is about to write. It runs on the guest's thread. Without perf events
// (kernel.perf_event_paranoid above 2, seccomp) nothing is brought in.
//
// Once such a memory is armed, it earns pages by first writes, 64 each; a worker of the Store makes that many others private
// between messages, near the first writes first, and arms them (copyin.go). A message that comes meanwhile waits for 64 pages,
// about 100 us; while any memory of the Store has a message running, or a checkpoint file is being proven, nothing is brought
// in. A memory that is only read, and a query, cost nothing. What is brought in is at most 512 MiB a memory and an
// eighth of the machine's memory for the process (CopyInConfig); it is given back at Detach. While it is brought in, its bytes
// stay as they are.
//
// Candidates are compared in batches (compare_unsafe.go): first, for all of them, the line of 64 bytes in which the page
// differed last or in which its fault was, then, page by page, what was equal there. Package internal/pagecmp compares.
//
// A version has one history: of the memories attached to it at most one commits. Others are queries (MemoryConfig.Query).
//
// # Without cgo
//
// A program that is built without cgo has the Store and its versions, checkpoint files included, with pages in the Go heap and files
// read and not mapped (nocgo.go), and no live memories: nothing there runs a guest. It is for what simulates a cluster where there is no C
// (docs/adr/0009).
//
// # Goroutines
//
// A Store has two that outlive a call, and at most one of each: one that brings in the next slabs (warm.go), started by a commit,
// which ends when they are in; and one that brings in pages between messages (copyin.go), which ends as soon as no memory has
// anything to be brought in, and so after the last Detach. Close waits for the first. A Memory's lock is held during a message and
// during every other call; the second takes it in between. Commit, Rollback and Store.HashAll use short-lived workers for large sets
// and wait for those that have begun when nothing is left to do; a later one ends at once and touches nothing. A Memory is used by one goroutine at a time; the adaptive tracker ties that goroutine to its thread
// from Begin to Commit or Rollback, and the guest must run on it. Hashes of many pages are computed on all processors,
// two at a time on each (HashValues).
//
// # Race detector
//
// go test -race runs the whole package; make it -short, signals are slow under it. It does not see accesses to the arena or to linear memories, since these are not
// Go memory; what it checks is the bookkeeping.
//
// # Sources
//
// mprotect(2), sigaction(2), userfaultfd(2), ioctl_userfaultfd(2), PAGEMAP_SCAN (Documentation/admin-guide/mm/pagemap.rst),
// perf_event_open(2), getrusage(2). The algorithms of naive, prefetch and wholepage follow the Internet Computer's
// replica as published; see docs/adr/0003-page-tracking.md.
package memstore
