package pagetrie

import "fmt"

// Kind says what a node is.
type Kind uint8

// The kinds of node. Their numbers are part of the format.
const (
	Bucket Kind = kindBucket
	Leaf   Kind = kindLeaf
	Branch Kind = kindBranch
)

// View is one node as another machine sees it: enough to compute its digest.
type View struct {
	Kind   Kind
	Base   uint64   // leaf: its first key; branch: its prefix
	Shift  uint8    // branch: position of its digit
	Used   uint32   // leaf: slots present; branch: slots at which kids start
	Keys   []uint64 // bucket: ascending
	Hashes []Hash   // of the values, or of the kids; ascending
}

func (d *digester) view(n node) View {
	n = open(n)
	switch x := n.(type) {
	case *bucket:
		v := View{Kind: Bucket}
		for _, e := range x.ents() {
			v.Keys = append(v.Keys, e.Key)
			v.Hashes = append(v.Hashes, d.value(e.Value))
		}
		return v
	case *leaf:
		v := View{Kind: Leaf, Base: x.base, Used: uint32(x.present)}
		for rest := x.present; rest != 0; rest &= rest - 1 {
			v.Hashes = append(v.Hashes, d.value(x.vals[rest.lowest()&slotMask]))
		}
		return v
	}
	x := n.(*inner)
	v := View{Kind: Branch, Base: x.base, Shift: x.shift, Used: uint32(x.starts)}
	for i := range x.kids.count() {
		v.Hashes = append(v.Hashes, d.node(x.kids.at(i)))
	}
	return v
}

// check reports a view that no node has: fields of another kind must be zero.
func (v *View) check() error {
	if err := v.checkHead(); err != nil {
		return err
	}
	if len(v.Hashes) != len(v.Keys)+bitmap(v.Used).count() { // one of the two is 0
		return v.malformed()
	}
	return nil
}

// checkHead is check without the hashes.
func (v *View) checkHead() error {
	used, ok := bitmap(v.Used), false
	switch v.Kind {
	case Bucket:
		ok = len(v.Keys) > 0 && v.Base == 0 && v.Shift == 0 && used == 0 && lightKeys(v.Keys)
	case Leaf:
		ok = v.Base%fanOut == 0 && v.Shift == 0 && len(v.Keys) == 0 && used.count() >= crowd
	case Branch:
		ok = v.Shift >= fanBits && v.Shift < 64 && v.Shift%fanBits == 0 && prefixAbove(v.Base, v.Shift) == v.Base &&
			len(v.Keys) == 0 && used.count() > 1 && used.highest() <= uint(^uint64(0)>>v.Shift)
	}
	if !ok {
		return v.malformed()
	}
	return nil
}

func (v *View) malformed() error {
	return fmt.Errorf("malformed node: kind %d, base %#x, shift %d, slots %b, %d keys, %d hashes",
		v.Kind, v.Base, v.Shift, v.Used, len(v.Keys), len(v.Hashes))
}

// lightKeys reports whether keys are those of a bucket.
func lightKeys(keys []uint64) bool {
	if len(keys) > bucketMax {
		return false
	}
	var ents [bucketMax]Entry
	for i, key := range keys {
		if i > 0 && keys[i-1] >= key {
			return false
		}
		ents[i].Key = key
	}
	return light(ents[:len(keys)])
}

// foreign computes the digest of a node of which only the view is known; it has passed check.
func (d *digester) foreign(v *View) Hash {
	if v.Kind == Bucket {
		var ents [bucketMax]Entry
		for i, key := range v.Keys {
			ents[i].Key = key
		}
		return d.sum(appendBucket(d.buf, ents[:len(v.Keys)], v.Hashes))
	}
	var groups digests
	used, next := bitmap(v.Used), 0
	for g := range groupCount {
		mask := used.group(g)
		if mask != 0 {
			groups.groups[g] = d.foreignGroup(v.Kind, mask, v.Hashes[next:next+mask.count()])
			next += mask.count()
		}
	}
	return d.foreignNode(v, &groups)
}

func (d *digester) foreignGroup(kind Kind, mask bitmap, hashes []Hash) Hash {
	first := byte(kindBranchGroup)
	if kind == Leaf {
		first = kindLeafGroup
	}
	return d.sum(appendGroup(d.buf, first, mask, hashes))
}

// foreignNode is the digest of a leaf or branch whose groups have these digests.
func (d *digester) foreignNode(v *View, g *digests) Hash {
	if v.Kind == Leaf {
		return d.sum(appendLeaf(d.buf, v.Base, bitmap(v.Used), &g.groups))
	}
	return d.sum(appendBranch(d.buf, v.Base, v.Shift, bitmap(v.Used), &g.groups))
}

// route is where a lookup of key goes from a leaf or branch: the slot whose value or kid it ends at, if there is one.
func (v *View) route(key uint64) (slot uint, ok bool) {
	used := bitmap(v.Used)
	if v.Kind == Leaf {
		return uint(key) & slotMask, (key^v.Base) < fanOut && used.has(uint(key))
	}
	if (key^v.Base)>>v.Shift >= fanOut {
		return 0, false
	}
	at := used & upTo(uint(key>>v.Shift)&slotMask)
	if at == 0 {
		return 0, false
	}
	return at.highest(), true
}
