// Package pagetrie is a persistent, mergeable, Merkle-hashed map from uint64 to small handles: the map from page index
// to page of every version of every memory.
//
// It is the big-endian Patricia trie of Okasaki & Gill, "Fast Mergeable Integer Maps" (1998), with their vocabulary
// (prefix, branching, join, merge), and these changes:
//
//   - a branch decides 5 bits and not one, and keeps only the kids that it has;
//   - a block of 32 adjacent keys with at least 16 present is one leaf, values by slot;
//   - a subtree of at most 29 entries without such a block is one bucket, a sorted array;
//   - an edit token says which nodes a [Builder], or one [Union], made itself and may change in place;
//   - nodes remember their hash, group by group of 8 slots, and branches the hashes of their kids; copies inherit both.
//
// A memory with pages 0 to 95 and 200:
//
//	branch 0x0 shift 5, 97 entries
//	   0: leaf 0x0 0-31
//	   1: leaf 0x20 0-31
//	   2: leaf 0x40 0-31
//	   6: bucket 0xc8=1200
//
// # Invariants
//
// The shape is a function of the contents ([FromSorted] is its definition; FORMAT.md has it in words), so equal maps have
// equal roots, and every operation that shares subtrees can compare them by pointer. [Map.Check] walks all of it.
//
// A node never changes once a [Map] has it, but for what it remembers of its hash. Values are handles without pointers:
// buckets are not scanned by the garbage collector, and of a leaf it looks at one word.
//
// An absent key and a page of zeros are the same thing to the users of this package: they never insert a zero page.
//
// # Hash
//
// The root is SHA-256 over the shape, see FORMAT.md. It is computed when asked for, and only for nodes that are new
// since the last time: a changed entry costs two messages a level, of at most 8 and 4 hashes each. Nodes that do not depend
// on each other are worked on together, so that their cache misses overlap and, by sha256x2, two are hashed in little more
// than the time of one. [DiffRemotes] finds what differs between maps on two other machines, a level a round
// trip; [RemoteDiff] does with one that is here, and [Map.Prove] makes proofs of presence and absence. Whatever comes from
// elsewhere must have not only the right digests but the shape of its contents.
//
// # Stored maps
//
// A map can lie in a file and be used without being built ([Stored]): a branch that is not in memory is known by prefix,
// number of entries and digest, and is read from a [Source] when a key below it matters. What is read is built anew and must
// have the digest, or nothing of it is used. Operations on such a map panic with *[Unreadable] if that fails; whoever works
// on them defers [CatchUnreadable].
//
// # Goroutines
//
// The package starts none. Maps may be used by any number of them at once; a Builder by one.
package pagetrie
