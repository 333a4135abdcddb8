package pagetrie

// Union returns the map with the entries of both; where both have a key, left's value counts. Subtrees that only one
// side has, or that win as a whole, are shared and not copied: Okasaki & Gill's merge.
//
// Cost: the nodes that both sides have keys in, so a small delta on the left costs the delta, not the map.
func Union(left, right Map) Map {
	switch {
	case left.root == nil:
		return right
	case right.root == nil:
		return left
	}
	u := union{token: lastToken.Add(1)}
	return Map{u.nodes(left.root, right.root)}
}

// union is one run of Union.
type union struct {
	token   uint64
	overlap int    // keys found on both sides so far
	touched uint64 // means nothing: see warm
}

func (u *union) nodes(a, b node) node {
	if alike(a, b) {
		u.overlap += a.entries()
		return a
	}
	x, aLight := a.(*bucket)
	y, bLight := b.(*bucket)
	switch {
	case aLight && bLight:
		return u.buckets(x, y)
	case aLight:
		return u.warmPour(b, x.ents(), true)
	case bLight:
		return u.warmPour(a, y.ents(), false)
	}
	shift, disjoint := apart(a, b)
	if disjoint {
		return join(a, b, u.token)
	}
	if full(a) && a.entries() >= b.entries() { // b lies within a and loses everywhere
		u.overlap += b.entries()
		return a
	}
	l, aLeaf := a.(*leaf)
	r, bLeaf := b.(*leaf)
	if aLeaf && bLeaf {
		return u.leaves(l, r)
	}
	if x, ok := scattered(a, b); ok {
		return u.scatter(b, x, true)
	}
	if x, ok := scattered(b, a); ok {
		return u.scatter(a, x, false)
	}
	return u.branches(a, b, shift)
}

func (u *union) buckets(a, b *bucket) node {
	var room [2 * bucketMax]Entry
	all := mergeEntries(room[:0], a.ents(), b.ents())
	u.overlap += len(a.ents()) + len(b.ents()) - len(all)
	if len(all) == len(a.ents()) {
		return a
	}
	return shape(all, u.token)
}

// mergeEntries appends the union of a and b, left-biased.
func mergeEntries(dst, a, b []Entry) []Entry {
	for len(a) > 0 && len(b) > 0 {
		switch ka, kb := a[0].Key, b[0].Key; {
		case ka < kb:
			dst, a = append(dst, a[0]), a[1:]
		case ka > kb:
			dst, b = append(dst, b[0]), b[1:]
		default:
			dst, a, b = append(dst, a[0]), a[1:], b[1:]
		}
	}
	return append(append(dst, a...), b...)
}

// leaves merges two leaves of one block.
func (u *union) leaves(a, b *leaf) *leaf {
	both := a.present & b.present
	u.overlap += both.count()
	if both == b.present {
		return a
	}
	var c *leaf
	if b.digests.Load() != nil { // b is the one with digests to keep: lay a over it
		c = b.own(u.token)
		for rest := a.present; rest != 0; rest &= rest - 1 {
			s := rest.lowest() & slotMask
			if !c.present.has(s) || c.vals[s] != a.vals[s] {
				c.vals[s] = a.vals[s]
				c.stale |= uint32(bit(s))
			}
		}
		c.present |= a.present
		return c
	}
	c = a.own(u.token)
	for rest := b.present &^ a.present; rest != 0; rest &= rest - 1 {
		s := rest.lowest() & slotMask
		c.vals[s] = b.vals[s]
		c.stale |= uint32(bit(s))
	}
	c.present |= b.present
	return c
}

// full reports whether the heavy n has every key of its range. Another heavy node with no more entries, whose range has
// keys in common with that of n, then lies within it.
func full(n node) bool {
	if _, above := extent(n); above > fanBits {
		return n.entries() == 1<<above
	}
	return n.(*leaf).present == ^bitmap(0)
}

// branches merges two heavy nodes that are at, or in one slot of, a branch at shift.
func (u *union) branches(a, b node, shift uint8) node {
	before := u.overlap
	sa, sb := sideOf(a, shift), sideOf(b, shift)
	var out slots
	if !u.aligned(&out, &sa, &sb) {
		u.halves(&out, run{0, fanOut, shift}, &sa, &sb)
	}
	x, _ := peek(a).(*inner)
	y, _ := peek(b).(*inner)
	if x != nil && x.shift == shift && x.starts == out.starts && x.kids.equal(out.kids[:out.n]) {
		return a
	}
	if y != nil && y.shift == shift && y.starts == out.starts && y.kids.equal(out.kids[:out.n]) {
		return b
	}
	c := out.branch(a.anchor(), shift, a.entries()+b.entries()-(u.overlap-before), u.token)
	if y != nil && y.shift == shift && y.digests.Load() != nil {
		c.inherit(y)
	} else if x != nil && x.shift == shift {
		c.inherit(x)
	}
	return c
}

// aligned merges kid by kid if every kid of both sides is heavy, which is the usual case where keys are dense.
func (u *union) aligned(out *slots, a, b *side) bool {
	if a.light() || b.light() || !a.kids.heavy() || !b.kids.heavy() {
		return false
	}
	out.starts = a.starts | b.starts
	i, j := 0, 0
	for rest := out.starts; rest != 0; rest &= rest - 1 {
		s := rest.lowest()
		inA, inB := a.starts.has(s), b.starts.has(s)
		switch {
		case inA && inB:
			out.kids[out.n] = u.nodes(a.kids.at(i), b.kids.at(j))
		case inA:
			out.kids[out.n] = a.kids.at(i)
		default:
			out.kids[out.n] = b.kids.at(j)
		}
		out.n++
		if inA {
			i++
		}
		if inB {
			j++
		}
	}
	return true
}

// run is an aligned run of slots of a branch.
type run struct {
	from, width uint
	shift       uint8
}

// halves adds to out the union of what a and b have in r.
func (u *union) halves(out *slots, r run, a, b *side) {
	switch {
	case a.empty():
		out.addSide(b, r.shift, u.token)
		return
	case b.empty():
		out.addSide(a, r.shift, u.token)
		return
	case a.light() && b.light():
		if u.runs(out, r, a, b) {
			return
		}
	case r.width == 1:
		out.add(r.from, u.slot(a, b))
		return
	}
	half := r.width / 2
	aLo, aHi := a.cut(r.from+half, r.shift)
	bLo, bHi := b.cut(r.from+half, r.shift)
	u.halves(out, run{r.from, half, r.shift}, &aLo, &bLo)
	u.halves(out, run{r.from + half, half, r.shift}, &aHi, &bHi)
}

// runs merges two parts of buckets, unless r is to be halved first.
func (u *union) runs(out *slots, r run, a, b *side) bool {
	var room [2 * bucketMax]Entry
	all := mergeEntries(room[:0], a.run, b.run)
	if r.width > 1 && !light(all) {
		return false
	}
	u.overlap += len(a.run) + len(b.run) - len(all)
	var n node
	switch {
	case len(all) == len(a.run) && a.whole != nil:
		n = a.whole
	default:
		n = shape(all, u.token)
	}
	out.add(uint(all[0].Key>>r.shift)&slotMask, n)
	return true
}

// slot merges what two sides, at least one of them heavy, have in a single slot.
func (u *union) slot(a, b *side) node {
	switch {
	case a.light():
		return u.warmPour(b.kids.at(0), a.run, true)
	case b.light():
		return u.warmPour(a.kids.at(0), b.run, false)
	}
	return u.nodes(a.kids.at(0), b.kids.at(0))
}

// inherit takes over from old, a branch of the same prefix, the digests at the slots that are alike.
func (x *inner) inherit(old *inner) {
	stale := loadStale(old)
	d := old.digests.Load()
	if d == nil {
		return
	}
	x.digests.Store(d)
	i, j := 0, 0
	for rest := old.starts | x.starts; rest != 0; rest &= rest - 1 {
		s := rest.lowest()
		was, is := old.starts.has(s), x.starts.has(s)
		if !was || !is || old.kids.at(i) != x.kids.at(j) {
			stale |= uint32(bit(s))
		}
		if was {
			i++
		}
		if is {
			j++
		}
	}
	x.stale = stale
}
