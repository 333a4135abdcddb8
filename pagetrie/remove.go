package pagetrie

// remove takes key out of n. Nodes made by the holder of token are changed in place, others copied.
func remove(n node, key uint64, token uint64) (node, bool) {
	switch x := n.(type) {
	case *inner:
		if x.matches(key) {
			return x.remove(key, token)
		}
	case *stored:
		if !x.matches(key) {
			return x, false
		}
		if y, had := x.open().remove(key, token); had {
			return y, true
		}
	case *leaf:
		if x.has(key) {
			return x.remove(key, token), true
		}
	case *bucket:
		at, found := x.search(key)
		if found && len(x.ents()) == 1 {
			return nil, true
		}
		if found {
			return x.drop(at, token), true
		}
	}
	return n, false
}

// drop takes out entry i of at least two.
func (b *bucket) drop(i int, token uint64) *bucket {
	c := b.own(token)
	copy(c.room[i:], c.room[i+1:c.n])
	c.n--
	c.room[c.n] = Entry{}
	return c
}

// remove takes out a key that is there. A leaf that gets too small becomes a bucket.
func (l *leaf) remove(key uint64, token uint64) node {
	s := uint(key) & slotMask
	if l.present.count() == crowd {
		var room [crowd]Entry
		all := appendEntries(room[:0], l)
		at := searchEntries(all, key)
		return newBucket(append(all[:at], all[at+1:]...), token)
	}
	c := l.own(token)
	c.present &^= bit(s)
	c.vals[s] = 0
	c.stale |= uint32(bit(s))
	return c
}

// remove takes out a key that matches x, if it is there.
func (x *inner) remove(key uint64, token uint64) (node, bool) {
	s := x.slot(key)
	i := x.rank(s) - 1
	if i < 0 {
		return x, false
	}
	start := (x.starts & upTo(s)).highest()
	fresh, ok := remove(x.kids.at(i), key, token)
	if !ok {
		return x, false
	}
	y := x
	switch {
	case fresh == nil:
		y = x.splice(bit(start), 0, nil, token)
	case x.slot(fresh.anchor()) != start:
		y = x.splice(bit(start), bit(x.slot(fresh.anchor())), []node{fresh}, token)
	default:
		y = x.setKid(i, start, fresh, token)
	}
	y.size--
	if fresh == nil || !heavy(fresh) {
		y = y.fuse(s, token)
	}
	if y.kids.count() == 1 {
		return y.kids.at(0), true
	}
	return y, true
}

// fuse makes one bucket of the largest aligned run of slots around s whose entries are light.
func (x *inner) fuse(s uint, token uint64) *inner {
	var found bitmap
	for width := uint(2); width <= fanOut; width *= 2 {
		run := x.starts & buddies(s&^(width-1), s|(width-1))
		if run == 0 {
			continue
		}
		first := (x.starts & below(run.lowest())).count()
		if part := x.kids.part(first, first+run.count()); !part.light() {
			break
		}
		found = run
	}
	if found.count() < 2 {
		return x
	}
	first := (x.starts & below(found.lowest())).count()
	var room [bucketMax]Entry
	all := room[:0]
	for i := range found.count() {
		all = appendEntries(all, x.kids.at(first+i))
	}
	return x.splice(found, bit(found.lowest()), []node{newBucket(all, token)}, token)
}
