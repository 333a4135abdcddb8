package pagetrie

import "iter"

// Change is one key whose value differs between two maps.
type Change struct {
	Key            uint64
	Old, New       Value // zero without HasOld or HasNew
	HasOld, HasNew bool  // at least one
}

// Diff iterates over the keys at which old and new differ, ascending. Values differ if their handles do.
//
// Cost: subtrees that the two maps share are not looked at, so the difference between a version and a later one costs
// the nodes copied in between.
func Diff(old, new Map) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		d := differ{yield: yield}
		d.nodes(old.root, new.root)
	}
}

// DiffHashed is Diff for maps that came about apart from each other: values differ if their hashes do, and subtrees of
// equal hash are not looked at.
//
// Cost: the hashes of both maps, as far as no [Map.Root] has left them in the nodes, and the nodes that differ.
func DiffHashed(old, new Map, h Hasher) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		d := differ{yield: yield, hashes: &digester{hasher: h}}
		d.nodes(old.root, new.root)
	}
}

// differ is one run of Diff. Its methods report whether the consumer wants more.
type differ struct {
	yield  func(Change) bool
	hashes *digester // nil: compare handles only
}

func (d *differ) nodes(a, b node) bool {
	switch {
	case alike(a, b):
		return true
	case a == nil || b == nil:
		return d.only(a, b)
	case d.hashes != nil && d.hashes.node(a) == d.hashes.node(b):
		return true
	}
	x, aLight := a.(*bucket)
	y, bLight := b.(*bucket)
	switch {
	case aLight && bLight:
		return d.runs(x.ents(), y.ents())
	case aLight:
		return d.against(b, x.ents(), false)
	case bLight:
		return d.against(a, y.ents(), true)
	}
	shift, disjoint := apart(a, b)
	if disjoint {
		if a.anchor() < b.anchor() {
			return d.only(a, nil) && d.only(nil, b)
		}
		return d.only(nil, b) && d.only(a, nil)
	}
	l, aLeaf := a.(*leaf)
	r, bLeaf := b.(*leaf)
	if aLeaf && bLeaf {
		return d.leaves(l, r)
	}
	sa, sb := sideOf(a, shift), sideOf(b, shift)
	if sa.starts == sb.starts { // then kid i of both owns the same keys
		for i := range sa.kids.count() {
			if !d.nodes(sa.kids.at(i), sb.kids.at(i)) {
				return false
			}
		}
		return true
	}
	return d.halves(run{0, fanOut, shift}, &sa, &sb)
}

func (d *differ) halves(r run, a, b *side) bool {
	switch {
	case a.empty() || b.empty():
		return d.sideOnly(a, b)
	case a.light() && b.light():
		return d.lights(a, b)
	case r.width == 1 && a.light():
		return d.against(b.kids.at(0), a.run, false)
	case r.width == 1 && b.light():
		return d.against(a.kids.at(0), b.run, true)
	case r.width == 1:
		return d.nodes(a.kids.at(0), b.kids.at(0))
	}
	half := r.width / 2
	aLo, aHi := a.cut(r.from+half, r.shift)
	bLo, bHi := b.cut(r.from+half, r.shift)
	return d.halves(run{r.from, half, r.shift}, &aLo, &bLo) &&
		d.halves(run{r.from + half, half, r.shift}, &aHi, &bHi)
}

func (d *differ) lights(a, b *side) bool {
	if a.whole != nil && b.whole != nil {
		return d.nodes(a.whole, b.whole)
	}
	return d.runs(a.run, b.run)
}

// sideOnly yields everything of two sides one of which is empty.
func (d *differ) sideOnly(a, b *side) bool {
	if !d.runs(a.run, b.run) {
		return false
	}
	for i := range a.kids.count() {
		if !d.only(a.kids.at(i), nil) {
			return false
		}
	}
	for i := range b.kids.count() {
		if !d.only(nil, b.kids.at(i)) {
			return false
		}
	}
	return true
}

// only yields everything of two subtrees one of which is nil.
func (d *differ) only(a, b node) bool {
	return each(a, func(k uint64, v Value) bool { return d.yield(Change{Key: k, Old: v, HasOld: true}) }) &&
		each(b, func(k uint64, v Value) bool { return d.yield(Change{Key: k, New: v, HasNew: true}) })
}

// both yields a key that both maps have, if its values differ.
func (d *differ) both(key uint64, was, is Value) bool {
	if was == is || d.hashes != nil && d.hashes.value(was) == d.hashes.value(is) {
		return true
	}
	return d.yield(Change{Key: key, Old: was, New: is, HasOld: true, HasNew: true})
}

func (d *differ) leaves(a, b *leaf) bool {
	for rest := a.present | b.present; rest != 0; rest &= rest - 1 {
		s := rest.lowest() & slotMask
		key := a.base + uint64(s)
		more := true
		switch inA, inB := a.present.has(s), b.present.has(s); {
		case inA && inB:
			more = d.both(key, a.vals[s], b.vals[s])
		case inA:
			more = d.yield(Change{Key: key, Old: a.vals[s], HasOld: true})
		default:
			more = d.yield(Change{Key: key, New: b.vals[s], HasNew: true})
		}
		if !more {
			return false
		}
	}
	return true
}

// runs compares ascending entries.
func (d *differ) runs(a, b []Entry) bool {
	for len(a) > 0 || len(b) > 0 {
		more := true
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Key < b[0].Key:
			more = d.yield(Change{Key: a[0].Key, Old: a[0].Value, HasOld: true})
			a = a[1:]
		case len(a) == 0 || b[0].Key < a[0].Key:
			more = d.yield(Change{Key: b[0].Key, New: b[0].Value, HasNew: true})
			b = b[1:]
		default:
			more = d.both(a[0].Key, a[0].Value, b[0].Value)
			a, b = a[1:], b[1:]
		}
		if !more {
			return false
		}
	}
	return true
}

// against compares a heavy node with a few entries; old says that the node is of the old map.
func (d *differ) against(n node, ents []Entry, old bool) bool {
	compare := func(heavy, few []Entry) bool {
		if old {
			return d.runs(heavy, few)
		}
		return d.runs(few, heavy)
	}
	more := each(n, func(k uint64, v Value) bool {
		at := searchEntries(ents, k)
		if at < len(ents) && ents[at].Key == k {
			at++
		}
		few := ents[:at]
		ents = ents[at:]
		return compare([]Entry{{k, v}}, few)
	})
	return more && compare(nil, ents)
}
