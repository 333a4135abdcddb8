package pagetrie

import (
	"crypto/sha256"
	"sync"
)

// Root returns the hash of the whole map: a function of the entries alone, where a value counts by h.HashValue. All
// calls for maps that share nodes must be given the same h, or ones that agree, since digests stay in the nodes.
// Concurrent calls are safe and at worst do the same work twice.
//
// Cost: for each node that is new since it was last part of a root one SHA-256 message, and, unless it is a bucket, one for each
// group of 8 of its slots in which something changed; one for the root. One HashValue for each value
// in a group of 8 slots, or in a bucket, that changed. Where the processor can, two nodes are hashed at a time.
func (m Map) Root(h Hasher) Hash {
	d := digester{hasher: h}
	return d.root(m.root)
}

// digester computes digests and counts what it does.
type digester struct {
	hasher Hasher
	buf    []byte
	calls  int // of SHA-256
	values int // of HashValue
	*stages
}

// spareStages are the buffers of digesters that are done.
var spareStages = sync.Pool{New: func() any { return new(stages) }}

func (d *digester) value(v Value) Hash {
	d.values++
	return d.hasher.HashValue(v)
}

// sum is the digest of one message alone.
func (d *digester) sum(message []byte) Hash {
	d.calls++
	d.buf = message[:0]
	return sha256.Sum256(message)
}

// emptyRoot is the root of the map without entries.
var emptyRoot = Hash(sha256.Sum256(appendEmptyRoot(nil)))

func (d *digester) root(n node) Hash {
	if n == nil {
		return emptyRoot
	}
	return d.seal(uint64(n.entries()), d.node(n))
}

// seal is the root of a map with entries, more than none, whose topmost node has that digest.
func (d *digester) seal(entries uint64, digest Hash) Hash {
	return d.sum(appendRoot(d.buf, entries, &digest))
}

// node is the digest of n. Afterwards every node below n has its digest.
func (d *digester) node(n node) Hash {
	if digest, ok := digestOf(n); ok {
		return digest
	}
	d.stages = spareStages.Get().(*stages)
	d.collect(n)
	d.finish(maxHeight)
	spareStages.Put(d.stages)
	d.stages = nil
	return d.settled(n)
}

// settled is the digest of n, which has been through a stage.
func (d *digester) settled(n node) Hash {
	digest, ok := digestOf(n)
	if !ok { // a bucket whose digest another goroutine is just writing
		return d.bucket(n.(*bucket))
	}
	return digest
}

func (d *digester) bucket(b *bucket) Hash {
	var hashes [bucketMax]Hash
	for i, e := range b.ents() {
		hashes[i] = d.value(e.Value)
	}
	return d.sum(appendBucket(d.buf, b.ents(), hashes[:b.n]))
}
