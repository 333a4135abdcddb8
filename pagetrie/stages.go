package pagetrie

import "sync/atomic"

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

	stale       [stageSize]bitmap // of the nodes worked on, read before their digests: see leaf.own
	freshLeaf   [stageSize]*digests
	freshBranch [stageSize]*branchDigests
	freshBucket [stageSize]Hash
	wanted      []Value // of which the hashes are needed next
	hashes      []Hash
	touched     byte
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

// runLeaves is in passes over all its leaves, each of which waits for memory at many places at once.
func (d *digester) runLeaves() {
	for i, l := range d.leaves {
		d.stale[i] = bitmap(atomic.LoadUint32(&l.stale))
		d.freshLeaf[i] = l.digests.Load()
	}
	for i := range d.leaves {
		d.touched += d.freshLeaf[i].touch()
	}
	for i, l := range d.leaves {
		d.freshLeaf[i] = d.freshLeaf[i].copy()
		for groups := groupsOf(d.stale[i]) & groupsOf(l.present); groups != 0; groups &= groups - 1 {
			d.wantGroup(l, bitmap(groups).lowest())
		}
	}
	hashes := d.hashWanted()
	for i, l := range d.leaves {
		for groups := groupsOf(d.stale[i]) & groupsOf(l.present); groups != 0; groups &= groups - 1 {
			g := int(bitmap(groups).lowest())
			mask := l.present.group(g)
			n := mask.count()
			d.end(appendGroup(d.lanes.begin(), kindLeafGroup, mask, hashes[:n]), &d.freshLeaf[i].groups[g])
			hashes = hashes[n:]
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

func (d *digester) wantGroup(l *leaf, g uint) {
	for rest := l.present.group(int(g)); rest != 0; rest &= rest - 1 {
		d.wanted = append(d.wanted, l.vals[(g<<groupBits+rest.lowest())&slotMask])
	}
}

// hashWanted returns the hashes of the values wanted, and wants none any more.
func (d *digester) hashWanted() []Hash {
	n := len(d.wanted)
	if n == 0 {
		return nil
	}
	d.values += n
	if n > cap(d.hashes) {
		d.hashes = make([]Hash, cap(d.wanted))
	}
	if batch, ok := d.hasher.(BatchHasher); ok {
		batch.HashValues(d.wanted, d.hashes[:n])
	} else {
		for i, v := range d.wanted {
			d.hashes[i] = d.hasher.HashValue(v)
		}
	}
	d.wanted = d.wanted[:0]
	return d.hashes[:n]
}

func (d *digester) runBuckets() {
	for _, b := range d.buckets {
		for _, e := range b.ents() {
			d.wanted = append(d.wanted, e.Value)
		}
	}
	hashes := d.hashWanted()
	for i, b := range d.buckets {
		n := len(b.ents())
		d.end(appendBucket(d.lanes.begin(), b.ents(), hashes[:n]), &d.freshBucket[i])
		hashes = hashes[n:]
	}
	d.lanes.run()
	for i, b := range d.buckets {
		b.publish(&d.freshBucket[i])
	}
	clear(d.buckets)
	d.buckets = d.buckets[:0]
}

func (d *digester) runBranches(height int) {
	all := d.branches[height]
	for i, x := range all {
		d.stale[i] = bitmap(atomic.LoadUint32(&x.stale))
		d.freshBranch[i] = x.digests.Load()
	}
	for i := range all {
		d.touched += d.freshBranch[i].touch()
	}
	for i := range all {
		d.touched += d.freshBranch[i].touchKids(groupsOf(d.stale[i]))
	}
	for i, x := range all {
		fresh := d.freshBranch[i].copy()
		d.freshBranch[i] = fresh
		for rest := groupsOf(d.stale[i]) & groupsOf(x.starts); rest != 0; rest &= rest - 1 {
			g := bitmap(rest).lowest()
			d.renewKids(x, fresh, g, d.stale[i])
			d.end(appendKidGroup(d.lanes.begin(), x.starts.group(int(g)), fresh.kids[g]), &fresh.groups[g])
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
	kids := fresh.kids[g].copy()
	fresh.kids[g] = kids
	first := g << groupBits
	for rest := (stale & x.starts).group(int(g)); rest != 0; rest &= rest - 1 {
		s := rest.lowest()
		kids[s&(groupSize-1)] = d.settled(x.kids.at((x.starts & below(first+s)).count()))
	}
}
