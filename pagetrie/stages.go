package pagetrie

import (
	"encoding/binary"
	"sync/atomic"
)

const (
	maxHeight = 64/fanBits + 2 // greater than any height
	stageSize = 64             // nodes that are worked on together
)

// stages holds the nodes whose digests are to be computed, by height: leaves and buckets first, then branches whose kids
// have theirs. Nodes of one height do not depend on each other, so they are worked on in parts of stageSize: first all
// that is to be read, then all that is to be hashed, two at a time.
//
//	height 2          x              a stage runs when it is full or when one above it
//	height 1      x       x          is to run, so those below are always done first
//	height 0    l l l   l b l
type stages struct {
	lanes    lanes
	leaves   []*leaf
	buckets  []*bucket
	branches [maxHeight][]*inner // by height; 0 is not used

	freshLeaf   [stageSize]*digests
	freshBranch [stageSize]*branchDigests
	freshBucket [stageSize]Hash
}

// collect puts n and what is below it into the stages, unless their digests are known, and returns n's height.
func (d *digester) collect(n node) int {
	switch x := n.(type) {
	case *bucket:
		if x.state.Load() != known {
			if d.buckets = append(d.buckets, x); len(d.buckets) == stageSize {
				d.runBuckets()
			}
		}
	case *leaf:
		if atomic.LoadUint32(&x.stale) != 0 {
			if d.leaves = append(d.leaves, x); len(d.leaves) == stageSize {
				d.runLeaves()
			}
		}
	case *inner:
		return d.collectBranch(x)
	}
	return 0
}

func (d *digester) collectBranch(x *inner) int {
	stale := bitmap(atomic.LoadUint32(&x.stale))
	if stale == 0 {
		return 0
	}
	height := 0
	for rest := stale & x.starts; rest != 0; rest &= rest - 1 {
		height = max(height, d.collect(x.kids.at((x.starts & below(rest.lowest())).count())))
	}
	height++
	if d.branches[height] = append(d.branches[height], x); len(d.branches[height]) == stageSize {
		d.finish(height)
	}
	return height
}

// finish runs the stages up to height.
func (d *digester) finish(height int) {
	d.runLeaves()
	d.runBuckets()
	for h := 1; h <= min(height, maxHeight-1); h++ {
		d.runBranches(h)
	}
}

func (d *digester) end(message []byte, digest *Hash) {
	d.calls++
	d.lanes.end(message, digest)
}

func (d *digester) runLeaves() {
	for i, l := range d.leaves {
		d.freshLeaf[i] = l.digests.Load()
	}
	for i, l := range d.leaves {
		fresh := new(digests)
		if old := d.freshLeaf[i]; old != nil {
			*fresh = *old
		}
		d.freshLeaf[i] = fresh
		for rest := groupsOf(bitmap(atomic.LoadUint32(&l.stale))) & groupsOf(l.present); rest != 0; rest &= rest - 1 {
			g := bitmap(rest).lowest()
			d.end(d.appendLeafGroup(d.lanes.begin(), l, g), &fresh.groups[g])
		}
	}
	d.lanes.run()
	for i, l := range d.leaves {
		fresh := d.freshLeaf[i]
		d.end(appendLeaf(d.lanes.begin(), l.base, l.present, &fresh.groups), &fresh.node)
	}
	d.lanes.run()
	for i, l := range d.leaves {
		l.publish(d.freshLeaf[i])
	}
	clear(d.freshLeaf[:len(d.leaves)])
	clear(d.leaves)
	d.leaves = d.leaves[:0]
}

func (d *digester) appendLeafGroup(dst []byte, l *leaf, g uint) []byte {
	mask := l.present.group(int(g))
	dst = appendGroupHead(dst, kindLeafGroup, mask)
	for rest := mask; rest != 0; rest &= rest - 1 {
		h := d.value(l.vals[(g<<groupBits+rest.lowest())&slotMask])
		dst = append(dst, h[:]...)
	}
	return dst
}

func (d *digester) runBuckets() {
	for i, b := range d.buckets {
		d.end(d.appendBucket(d.lanes.begin(), b), &d.freshBucket[i])
	}
	d.lanes.run()
	for i, b := range d.buckets {
		b.publish(&d.freshBucket[i])
	}
	clear(d.buckets)
	d.buckets = d.buckets[:0]
}

func (d *digester) appendBucket(dst []byte, b *bucket) []byte {
	dst = appendBucketHead(dst, len(b.ents()))
	for _, e := range b.ents() {
		h := d.value(e.Value)
		dst = append(binary.BigEndian.AppendUint64(dst, e.Key), h[:]...)
	}
	return dst
}

func (d *digester) runBranches(height int) {
	all := d.branches[height]
	for i, x := range all {
		d.freshBranch[i] = x.digests.Load()
	}
	for i, x := range all {
		fresh := new(branchDigests)
		if old := d.freshBranch[i]; old != nil {
			*fresh = *old
		}
		d.freshBranch[i] = fresh
		stale := bitmap(atomic.LoadUint32(&x.stale))
		for rest := groupsOf(stale) & groupsOf(x.starts); rest != 0; rest &= rest - 1 {
			g := bitmap(rest).lowest()
			d.renewKids(x, fresh, g, stale)
			d.end(appendBranchGroup(d.lanes.begin(), x.starts.group(int(g)), fresh.kids[g]), &fresh.groups[g])
		}
	}
	d.lanes.run()
	for i, x := range all {
		fresh := d.freshBranch[i]
		d.end(appendBranch(d.lanes.begin(), x.base, x.shift, x.starts, &fresh.groups), &fresh.node)
	}
	d.lanes.run()
	for i, x := range all {
		x.publish(d.freshBranch[i])
	}
	clear(d.freshBranch[:len(all)])
	clear(all)
	d.branches[height] = all[:0]
}

// renewKids makes the digests of the kids in group g anew: those that are not stale as they were.
func (d *digester) renewKids(x *inner, fresh *branchDigests, g uint, stale bitmap) {
	kids := new(groupHashes)
	if old := fresh.kids[g]; old != nil {
		*kids = *old
	}
	fresh.kids[g] = kids
	first := g << groupBits
	for rest := (stale & x.starts).group(int(g)); rest != 0; rest &= rest - 1 {
		s := rest.lowest()
		kids[s&(groupSize-1)] = d.settled(x.kids.at((x.starts & below(first+s)).count()))
	}
}

func appendBranchGroup(dst []byte, mask bitmap, kids *groupHashes) []byte {
	dst = appendGroupHead(dst, kindBranchGroup, mask)
	for rest := mask; rest != 0; rest &= rest - 1 {
		dst = append(dst, kids[rest.lowest()&(groupSize-1)][:]...)
	}
	return dst
}
