package pagetrie

// Difference returns the entries of left whose keys right does not have.
//
// Cost: the nodes that both sides have keys in; a subtree that both share goes as a whole.
func Difference(left, right Map) Map {
	d := difference{token: lastToken.Add(1)}
	return Map{d.nodes(left.root, right.root)}
}

// Intersection returns the entries of left whose keys right has too.
//
// Cost: as [Difference], twice.
func Intersection(left, right Map) Map {
	return Difference(left, Difference(left, right))
}

// difference is one run of Difference.
type difference struct {
	token uint64
	gone  int // entries taken out so far
}

func (d *difference) nodes(a, b node) node {
	switch {
	case a == nil || b == nil:
		return a
	case alike(a, b):
		d.gone += a.entries()
		return nil
	}
	if x, light := a.(*bucket); light {
		return d.filter(x, b)
	}
	if y, light := b.(*bucket); light {
		for _, e := range y.ents() {
			var had bool
			if a, had = remove(a, e.Key, d.token); had {
				d.gone++
			}
		}
		return a
	}
	shift, disjoint := apart(a, b)
	if disjoint {
		return a
	}
	l, aLeaf := a.(*leaf)
	r, bLeaf := b.(*leaf)
	if aLeaf && bLeaf {
		return d.leaves(l, r)
	}
	if x, ok := openAt(a, shift); ok {
		if kept := d.branch(x, b); kept != node(x) {
			return kept
		}
		return a
	}
	return d.nodes(a, counterpart(b, shift, a.anchor()))
}

// counterpart is what b, at or below a branch at shift, has in the slot of key there; perhaps with keys of other slots.
func counterpart(b node, shift uint8, key uint64) node {
	y, ok := openAt(b, shift)
	if !ok {
		if (b.anchor()^key)>>shift == 0 {
			return b
		}
		return nil
	}
	if i := y.rank(y.slot(key)); i > 0 {
		return y.kids.at(i - 1)
	}
	return nil
}

func (d *difference) filter(a *bucket, b node) node {
	var room [bucketMax]Entry
	keep := room[:0]
	for _, e := range a.ents() {
		if _, had := get(b, e.Key); !had {
			keep = append(keep, e)
		}
	}
	if len(keep) == len(a.ents()) {
		return a
	}
	d.gone += len(a.ents()) - len(keep)
	return shape(keep, d.token)
}

func (d *difference) leaves(a, b *leaf) node {
	both := a.present & b.present
	if both == 0 {
		return a
	}
	d.gone += both.count()
	keep := a.present &^ both
	if keep.count() < crowd {
		var room [fanOut]Entry
		c := leaf{base: a.base, present: keep, vals: a.vals}
		return shape(appendEntries(room[:0], &c), d.token)
	}
	c := a.own(d.token)
	for rest := both; rest != 0; rest &= rest - 1 {
		c.vals[rest.lowest()&slotMask] = 0
	}
	c.present = keep
	c.stale |= uint32(both)
	return c
}

// branch takes b, which is at or below a branch like a, out of a.
func (d *difference) branch(a *inner, b node) node {
	before := d.gone
	var out slots
	rest := a.starts
	for i := range a.kids.count() {
		kid := a.kids.at(i)
		s := rest.lowest()
		rest &= rest - 1
		fresh := kid
		if heavy(kid) {
			fresh = d.nodes(kid, counterpart(b, a.shift, a.base|uint64(s)<<a.shift))
		} else {
			fresh = d.nodes(kid, b)
		}
		if fresh != nil {
			out.add(a.slot(fresh.anchor()), fresh)
		}
	}
	if d.gone == before {
		return a
	}
	var packed slots
	packed.pack(out.starts, out.kids[:out.n], run{0, fanOut, a.shift}, d.token)
	switch packed.n {
	case 0:
		return nil
	case 1:
		return packed.kids[0]
	}
	c := packed.branch(a.base, a.shift, a.size-(d.gone-before), d.token)
	c.inherit(a)
	return c
}

// pack adds kids that lie in r, after some of them became smaller: the largest runs of slots that fit in a bucket
// become one.
func (s *slots) pack(starts bitmap, all []node, r run, token uint64) {
	switch {
	case len(all) == 0:
		return
	case len(all) == 1:
		s.add(starts.lowest(), all[0])
		return
	case (&kids{mixed: all}).light():
		var room [bucketMax]Entry
		ents := room[:0]
		for _, kid := range all {
			ents = appendEntries(ents, kid)
		}
		s.add(starts.lowest(), newBucket(ents, token))
		return
	}
	half := r.width / 2
	left := starts & below(r.from+half)
	at := left.count()
	s.pack(left, all[:at], run{r.from, half, r.shift}, token)
	s.pack(starts&^left, all[at:], run{r.from + half, half, r.shift}, token)
}
