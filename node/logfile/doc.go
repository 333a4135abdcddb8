// Package logfile tells a sound log file from a damaged one, before anything relies on it.
//
// A replica's log, term and vote are one bbolt file (raft-boltdb). bbolt trusts its pages: a wrong one is a panic, on a goroutine of
// its own when the file is opened for writing, or a fault of memory, or an entry that is not found. Check reads the file by itself,
// page by page, and believes nothing:
//
//	page 0, 1   meta: the root, the size in pages, a checksum; the newer one counts
//	page 2...   free, or of the tree:  root ─► bucket logs ─► entries by index (8 bytes, big endian)
//	                                        └► bucket conf ─► term, vote
//
// # What holds of a file that passes
//
//   - Both meta pages are whole. (bbolt goes on with the other one, and so without the newest write: an entry or a vote that
//     others count on.)
//   - Every page of the tree is inside the file, says its own number, is a branch or a leaf, and is used once.
//   - Every key and value lies inside its page; keys ascend, within the bounds that the branches above say.
//   - Entries' keys are indexes without a gap.
//
// What entries, the term and the vote hold is not judged: they have checksums of their own (node.CheckedLog, node.CheckedStable).
//
// # Sources
//
// The file format is bbolt's, version 2 (go.etcd.io/bbolt 1.4, internal/common); what it asks of a tree when it looks for free
// pages is the least that is asked here.
package logfile
