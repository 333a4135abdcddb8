package pagetrie

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
)

// First bytes of every message that this package hashes: FORMAT.md has the table.
const (
	domain          = "LPT1"
	kindRoot        = 0
	kindBucket      = 1
	kindLeaf        = 2
	kindBranch      = 3
	kindLeafGroup   = 4
	kindBranchGroup = 5
)

// digests is the small hash tree inside a leaf or branch. It is never changed once a node points to it; the copies made
// of that node point to it too, and say in their field stale which groups they can not take from it.
type digests struct {
	groups [groupCount]Hash // of groups with no slot used: zero, and not part of any message
	node   Hash
}

// Root returns the hash of the whole map: a function of the entries alone, where a value counts by h.HashValue. All
// calls for maps that share nodes must be given the same h, or ones that agree, since digests stay in the nodes.
// Concurrent calls are safe and at worst do the same work twice.
//
// Cost: two SHA-256 calls for each node that is new since it was last part of a root, and one HashValue for each value
// in a group of 8 slots, or in a bucket, that changed.
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
}

func (d *digester) begin(kind byte) { d.buf = append(append(d.buf[:0], domain...), kind) }

func (d *digester) sum() Hash {
	d.calls++
	return sha256.Sum256(d.buf)
}

func (d *digester) value(v Value) Hash {
	d.values++
	return d.hasher.HashValue(v)
}

func (d *digester) root(n node) Hash {
	if n == nil {
		d.begin(kindRoot)
		d.buf = binary.BigEndian.AppendUint64(d.buf, 0)
		return d.sum()
	}
	digest := d.node(n)
	return d.seal(uint64(n.entries()), digest)
}

// seal is the root of a map with entries, more than none, whose topmost node has that digest.
func (d *digester) seal(entries uint64, digest Hash) Hash {
	d.begin(kindRoot)
	d.buf = binary.BigEndian.AppendUint64(d.buf, entries)
	d.buf = append(d.buf, digest[:]...)
	return d.sum()
}

func (d *digester) node(n node) Hash {
	switch x := n.(type) {
	case *bucket:
		return d.bucket(x)
	case *leaf:
		return d.leaf(x)
	default:
		return d.inner(n.(*inner))
	}
}

func (d *digester) bucket(b *bucket) Hash {
	if b.state.Load() == known {
		return b.digest
	}
	d.begin(kindBucket)
	d.buf = append(d.buf, byte(len(b.ents())))
	for _, e := range b.ents() {
		d.buf = binary.BigEndian.AppendUint64(d.buf, e.Key)
		h := d.value(e.Value)
		d.buf = append(d.buf, h[:]...)
	}
	fresh := d.sum()
	if b.state.CompareAndSwap(unknown, written) {
		b.digest = fresh
		b.state.Store(known)
	}
	return fresh
}

func (d *digester) leaf(l *leaf) Hash {
	stale := atomic.LoadUint32(&l.stale)
	if stale == 0 {
		return l.digests.Load().node
	}
	fresh := copyOf(l.digests.Load())
	for g := range groupCount {
		mask := l.present >> (g << groupBits) & groupFull
		if stale>>g&1 == 0 || mask == 0 {
			continue
		}
		var room [1 << groupBits]Hash
		n := 0
		for rest := mask; rest != 0; rest &= rest - 1 {
			room[n] = d.value(l.vals[uint(g)<<groupBits+rest.lowest()])
			n++
		}
		fresh.groups[g] = d.group(kindLeafGroup, byte(mask), room[:n])
	}
	d.beginLeaf(l.base)
	fresh.node = d.sumGroups(l.present, fresh)
	l.digests.Store(fresh)
	atomic.StoreUint32(&l.stale, 0)
	return fresh.node
}

func (d *digester) inner(x *inner) Hash {
	stale := atomic.LoadUint32(&x.stale)
	if stale == 0 {
		return x.digests.Load().node
	}
	fresh := copyOf(x.digests.Load())
	next := 0
	for g := range groupCount {
		mask := x.starts >> (g << groupBits) & groupFull
		first := next
		next += mask.count()
		if stale>>g&1 == 0 || mask == 0 {
			continue
		}
		var room [1 << groupBits]Hash
		for i := first; i < next; i++ {
			room[i-first] = d.node(x.kids.at(i))
		}
		fresh.groups[g] = d.group(kindBranchGroup, byte(mask), room[:next-first])
	}
	d.beginBranch(x.base, x.shift)
	fresh.node = d.sumGroups(x.starts, fresh)
	x.digests.Store(fresh)
	atomic.StoreUint32(&x.stale, 0)
	return fresh.node
}

func (d *digester) beginLeaf(base uint64) {
	d.begin(kindLeaf)
	d.buf = binary.BigEndian.AppendUint64(d.buf, base)
}

func (d *digester) beginBranch(base uint64, shift uint8) {
	d.begin(kindBranch)
	d.buf = binary.BigEndian.AppendUint64(d.buf, base)
	d.buf = append(d.buf, shift)
}

// group is the digest of 8 adjacent slots: which are used, and their hashes.
func (d *digester) group(kind byte, mask byte, hashes []Hash) Hash {
	d.begin(kind)
	d.buf = append(d.buf, mask)
	for i := range hashes {
		d.buf = append(d.buf, hashes[i][:]...)
	}
	return d.sum()
}

// sumGroups ends the message of a leaf or branch: which slots are used, and the digests of the groups with any.
func (d *digester) sumGroups(used bitmap, g *digests) Hash {
	d.buf = binary.BigEndian.AppendUint32(d.buf, uint32(used))
	for i := range groupCount {
		if used>>(i<<groupBits)&groupFull != 0 {
			d.buf = append(d.buf, g.groups[i][:]...)
		}
	}
	return d.sum()
}

func copyOf(old *digests) *digests {
	fresh := new(digests)
	if old != nil {
		*fresh = *old
	}
	return fresh
}
