package pagetrie

import (
	"math/bits"
	"sync/atomic"
)

// The numbers that fix the shape, and so the root, of every map. Changing one changes the format: FORMAT.md has the table.
const (
	fanBits    = 5            // key bits that one branch decides
	fanOut     = 1 << fanBits // slots of a branch, and keys of a block
	slotMask   = fanOut - 1
	bucketMax  = 29 // entries that fit in a bucket
	crowd      = 16 // entries in one block that make it a leaf
	groupBits  = 3  // a digest group is 8 adjacent slots
	groupSize  = 1 << groupBits
	groupCount = fanOut >> groupBits // digest groups of a branch or leaf
	allStale   = 1<<fanOut - 1
)

// bitmap has one bit a slot.
type bitmap uint32

func (b bitmap) count() int      { return bits.OnesCount64(uint64(b)) }
func (b bitmap) has(s uint) bool { return b>>(s&slotMask)&1 != 0 }
func (b bitmap) lowest() uint    { return uint(bits.TrailingZeros64(uint64(b))) }
func (b bitmap) highest() uint   { return uint(bits.Len64(uint64(b)) - 1) }

// group is the slots of digest group g, as bits 0 to 7.
func (b bitmap) group(g int) bitmap { return b >> (g << groupBits) & (1<<groupSize - 1) }

func bit(s uint) bitmap   { return 1 << (s & slotMask) }
func below(s uint) bitmap { return bit(s) - 1 }                            // slots 0 .. s-1
func upTo(s uint) bitmap  { return ^bitmap(0) >> (slotMask - s&slotMask) } // slots 0 .. s

// buddies is the smallest aligned power-of-two run of slots with both a and b in it.
func buddies(a, b uint) bitmap {
	width := uint(1) << bits.Len64(uint64(a^b))
	return upTo(width-1) << (a &^ (width - 1) & slotMask)
}

// groupsOf is the set of digest groups with a slot of b in them.
func groupsOf(b bitmap) uint32 {
	var g uint32
	for i := range groupCount {
		if b.group(i) != 0 {
			g |= 1 << i
		}
	}
	return g
}

// node is a *bucket, a *leaf or a *inner; nil is the empty subtree. Entries are light, and go in a bucket, if there are
// at most bucketMax and no block has crowd of them. A leaf or inner node is heavy: its entries are not light, and it lies
// within one slot of every branch above it.
type node interface {
	entries() int   // entries below, exact
	anchor() uint64 // bucket: lowest key; leaf, inner: the prefix, zeros below it
}

// bucket is a subtree of light entries, ascending by key. It has no pointers, so the garbage collector does not look
// inside, and it always has room for all the entries that a bucket may have, so that edits in place need no other one.
type bucket struct {
	token  uint64
	state  atomic.Uint32 // of digest: see below
	n      int32
	digest Hash // of the contents, once somebody asked for it
	room   [bucketMax]Entry
}

// The states of a bucket's digest. Whoever brings it from unknown to written writes the digest; others may read it once
// it is known.
const (
	unknown = iota
	written
	known
)

func (b *bucket) ents() []Entry { return b.room[:b.n] }

// leaf is a block of fanOut adjacent keys, at least crowd of them present.
type leaf struct {
	digests atomic.Pointer[digests]
	base    uint64 // a multiple of fanOut
	token   uint64
	stale   uint32 // slots at which digests is out of date; see digests
	present bitmap
	vals    [fanOut]Value // zero where not present
}

// inner is a branch on fanBits bits of the key, after a compressed path. It has at least 2 kids, and its
// entries are not light. Kid i starts at the slot of the i-th bit of starts and owns the keys up to the next start.
type inner struct {
	kids    kids
	base    uint64 // the prefix: key bits above the branching digit, zeros below
	starts  bitmap
	shift   uint8 // position of the branching digit: a multiple of fanBits, at least fanBits
	digests atomic.Pointer[branchDigests]
	token   uint64
	size    int    // entries below
	stale   uint32 // slots at which digests is out of date: there another kid starts, or starts no more
}

func (b *bucket) entries() int { return int(b.n) }
func (l *leaf) entries() int   { return l.present.count() }
func (x *inner) entries() int  { return x.size }

func (b *bucket) anchor() uint64 { return b.room[0].Key }
func (l *leaf) anchor() uint64   { return l.base }
func (x *inner) anchor() uint64  { return x.base }

// heavy tells inner nodes and leaves from buckets without touching the node's memory.
func heavy(n node) bool {
	_, light := n.(*bucket)
	return !light
}

// search returns the position of key in b, or where it would go.
func (b *bucket) search(key uint64) (at int, found bool) {
	at = searchEntries(b.ents(), key)
	return at, at < len(b.ents()) && b.ents()[at].Key == key
}

// searchEntries returns how many entries of the ascending ents are below key. The last steps compare without branches
// and independently of each other, so that the cache misses of a cold bucket overlap.
func searchEntries(ents []Entry, key uint64) int {
	skipped := 0
	for len(ents) > bucketMax+1 {
		half := len(ents) / 2
		if ents[half].Key < key {
			ents, skipped = ents[half+1:], skipped+half+1
		} else {
			ents = ents[:half]
		}
	}
	at := uint64(0)
	for i := 3; i < len(ents); i += 4 {
		_, isBelow := bits.Sub64(ents[i].Key, key, 0)
		at += 4 * isBelow
	}
	rest := ents[at:]
	if len(rest) > 3 {
		rest = rest[:3]
	}
	for i := range rest {
		_, isBelow := bits.Sub64(rest[i].Key, key, 0)
		at += isBelow
	}
	return skipped + int(at)
}

func (l *leaf) has(key uint64) bool { return (key^l.base) < fanOut && l.present.has(uint(key)) }

func (l *leaf) get(key uint64) (Value, bool) {
	if !l.has(key) {
		return 0, false
	}
	return l.vals[key&slotMask], true
}

func (x *inner) slot(key uint64) uint { return uint(key>>(x.shift&63)) & slotMask }

// matches is Okasaki & Gill's matchPrefix: key belongs below x.
func (x *inner) matches(key uint64) bool { return (key^x.base)>>(x.shift&63) < fanOut }

// rank is the number of kids that start at or below slot s; kid rank-1 is the only one that can hold its keys.
func (x *inner) rank(s uint) int { return (x.starts & upTo(s)).count() }

// digitShift is the position of the digit that holds key bit number b.
func digitShift(b int) uint8 { return uint8(b / fanBits * fanBits) }

// prefixAbove clears the digit at shift and all below it.
func prefixAbove(key uint64, shift uint8) uint64 { return key &^ (1<<(shift+fanBits) - 1) }

// newBucket copies ents, which are ascending and light.
func newBucket(ents []Entry, token uint64) *bucket {
	b := &bucket{token: token, n: int32(len(ents))}
	copy(b.room[:], ents)
	return b
}

// newLeaf makes a leaf of ents, which are ascending and in one block.
func newLeaf(ents []Entry, token uint64) *leaf {
	l := &leaf{base: ents[0].Key &^ slotMask, token: token, stale: allStale}
	for _, e := range ents {
		l.present |= bit(uint(e.Key))
		l.vals[e.Key&slotMask] = e.Value
	}
	return l
}

// own returns l if the holder of token made it, otherwise a copy of it.
func (l *leaf) own(token uint64) *leaf {
	if token != 0 && l.token == token {
		return l
	}
	// stale before digests: when another goroutine publishes digests between the two loads, a stale slot is merely
	// computed once more.
	stale := atomic.LoadUint32(&l.stale)
	c := &leaf{base: l.base, token: token, stale: stale, present: l.present, vals: l.vals}
	if d := l.digests.Load(); d != nil {
		c.digests.Store(d)
	}
	return c
}

// own returns x if the holder of token made it, otherwise a copy of it.
func (x *inner) own(token uint64) *inner {
	if token != 0 && x.token == token {
		return x
	}
	var c *inner
	if x.kids.leaves != nil {
		c = allocTwig(len(x.kids.leaves))
		copy(c.kids.leaves, x.kids.leaves)
	} else {
		c = allocInner(len(x.kids.mixed))
		copy(c.kids.mixed, x.kids.mixed)
	}
	c.inheritFrom(x, token)
	return c
}

// inheritFrom sets all fields of the new c but its kids to those of x.
func (c *inner) inheritFrom(x *inner, token uint64) {
	c.stale = atomic.LoadUint32(&x.stale) // before digests, see leaf.own
	c.base, c.token, c.size, c.starts, c.shift = x.base, token, x.size, x.starts, x.shift
	if d := x.digests.Load(); d != nil {
		c.digests.Store(d)
	}
}

// setKid puts n in place of kid i, which starts at slot s as n does.
func (x *inner) setKid(i int, s uint, n node, token uint64) *inner {
	l, isLeaf := n.(*leaf)
	switch {
	case x.kids.leaves != nil && isLeaf:
		x = x.own(token)
		x.kids.leaves[i] = l
	case x.kids.leaves == nil && (!isLeaf || isLeafNode(x.kids.mixed[i])):
		x = x.own(token)
		x.kids.mixed[i] = n
	default: // the kids may change their form
		return x.splice(bit(s), bit(s), []node{n}, token)
	}
	x.stale |= uint32(bit(s))
	return x
}

// splice replaces the kids that start at gone by kids that start at starts. Both lie in one gap between other kids.
func (x *inner) splice(gone, starts bitmap, all []node, token uint64) *inner {
	i := (x.starts & below((gone | starts).lowest())).count()
	tail := i + gone.count()
	n := x.kids.count() - gone.count() + len(all)
	y := x
	if token != 0 && x.token == token && x.kids.leaves == nil && n <= cap(x.kids.mixed) && !allLeaves(all) {
		was := x.kids.mixed
		y.kids.mixed = was[:n]
		copy(y.kids.mixed[i+len(all):], was[tail:])
		copy(y.kids.mixed[i:], all)
		clear(was[min(n, len(was)):])
	} else {
		var room [fanOut]node
		before, after := x.kids.part(0, i), x.kids.part(tail, x.kids.count())
		y = newInner(after.appendTo(append(before.appendTo(room[:0]), all...)))
		y.inheritFrom(x, token)
	}
	y.stale |= uint32(gone | starts)
	y.starts = y.starts&^gone | starts
	return y
}
