package pagetrie

import "sync/atomic"

// digests is the small hash tree inside a leaf. It is never changed once a node points to it; the copies made of that
// node point to it too, and say in their field stale at which slots it is out of date.
type digests struct {
	groups [groupCount]Hash // of groups with no slot used: not part of any message
	node   Hash
}

// branchDigests is the same of a branch. It has the digests of the kids too, so that only the kids that changed are
// looked at, and not, for each of them, seven others somewhere in memory.
type branchDigests struct {
	digests
	kids [groupCount]*groupHashes // by slot; groups that are alike are shared with other versions
}

// groupHashes are hashes by slot, of the slots of one group; anything where nothing starts.
type groupHashes [groupSize]Hash

// copy returns a copy to be completed, or something empty for nil.
func (d *digests) copy() *digests {
	fresh := new(digests)
	if d != nil {
		*fresh = *d
	}
	return fresh
}

func (d *branchDigests) copy() *branchDigests {
	fresh := new(branchDigests)
	if d != nil {
		*fresh = *d
	}
	return fresh
}

func (k *groupHashes) copy() *groupHashes {
	fresh := new(groupHashes)
	if k != nil {
		*fresh = *k
	}
	return fresh
}

// The touch methods read a byte of every cache line, of 64 bytes, so that the processor has all of them under way
// together. Their results mean nothing.

func (d *digests) touch() (sum byte) {
	if d == nil {
		return 0
	}
	for g := 0; g < groupCount; g += 2 {
		sum += d.groups[g][0]
	}
	return sum + d.node[len(d.node)-1]
}

func (d *branchDigests) touch() byte {
	if d == nil {
		return 0
	}
	return d.digests.touch()
}

// touchKids reads of the hashes of kids those in groups.
func (d *branchDigests) touchKids(groups uint32) (sum byte) {
	if d == nil {
		return 0
	}
	for ; groups != 0; groups &= groups - 1 {
		k := d.kids[bitmap(groups).lowest()&(groupCount-1)]
		for i := 0; k != nil && i < groupSize; i += 2 {
			sum += k[i][0]
		}
	}
	return sum
}

// digestOf returns the digest of n if it is up to date.
func digestOf(n node) (Hash, bool) {
	switch x := n.(type) {
	case *bucket:
		if x.state.Load() == known {
			return x.digest, true
		}
	case *leaf:
		if atomic.LoadUint32(&x.stale) == 0 {
			return x.digests.Load().node, true
		}
	case *inner:
		if atomic.LoadUint32(&x.stale) == 0 {
			return x.digests.Load().node, true
		}
	case *stored:
		return x.Digest, true
	}
	return Hash{}, false
}

// publish makes fresh the digests of l.
func (l *leaf) publish(fresh *digests) {
	l.digests.Store(fresh)
	atomic.StoreUint32(&l.stale, 0)
}

func (x *inner) publish(fresh *branchDigests) {
	x.digests.Store(fresh)
	atomic.StoreUint32(&x.stale, 0)
}

// publish makes fresh the digest of b unless another goroutine has been first.
func (b *bucket) publish(fresh *Hash) {
	if b.state.CompareAndSwap(unknown, written) {
		b.digest = *fresh
		b.state.Store(known)
	}
}
