package pagetrie

// effect is what an edit did to a subtree.
type effect uint8

const (
	unchanged effect = iota // the value was there already: nothing was copied
	replaced                // another value of the same key
	added                   // a new key
)

// insert puts e into n. Nodes made by the holder of token are changed in place, others copied (token 0 owns nothing).
func insert(n node, e Entry, token uint64) (node, effect) {
	switch x := n.(type) {
	case *inner:
		if x.matches(e.Key) {
			return x.insert(e, token)
		}
		return join(x, newBucket([]Entry{e}, token), token), added
	case *stored:
		if !x.matches(e.Key) {
			return join(x, newBucket([]Entry{e}, token), token), added
		}
		if y, eff := x.open().insert(e, token); eff != unchanged {
			return y, eff
		}
		return x, unchanged
	case *leaf:
		if (e.Key ^ x.base) < fanOut {
			return x.insert(e, token)
		}
		return join(x, newBucket([]Entry{e}, token), token), added
	case *bucket:
		at, found := x.search(e.Key)
		if found {
			return x.set(at, e.Value, token)
		}
		if x.fitsIn(at, e.Key) {
			return x.add(at, e, token), added
		}
		var room [bucketMax + 1]Entry
		return shape(x.burst(at, e, &room), token), added
	}
	return newBucket([]Entry{e}, token), added
}

func (l *leaf) insert(e Entry, token uint64) (*leaf, effect) {
	s := uint(e.Key) & slotMask
	had := l.present.has(s)
	if had && l.vals[s] == e.Value {
		return l, unchanged
	}
	c := l.own(token)
	c.vals[s] = e.Value
	c.stale |= uint32(bit(s))
	if had {
		return c, replaced
	}
	c.present |= bit(s)
	return c, added
}

// insert puts e, whose key matches x, into x.
func (x *inner) insert(e Entry, token uint64) (*inner, effect) {
	s := x.slot(e.Key)
	i := x.rank(s) - 1
	if x.starts.has(s) {
		if kid := x.kids.at(i); heavy(kid) {
			fresh, eff := insert(kid, e, token)
			if eff == unchanged {
				return x, unchanged
			}
			y := x.setKid(i, s, fresh, token)
			if eff == added {
				y.size++
			}
			return y, eff
		}
		return x.insertBucket(i, e, token)
	}
	if i, ok := x.bucketFor(s, i); ok {
		return x.insertBucket(i, e, token)
	}
	y := x.splice(0, bit(s), []node{newBucket([]Entry{e}, token)}, token)
	y.size++
	return y, added
}

// bucketFor finds the bucket whose run of slots s belongs to, when no kid starts at s. Kid i is the last to start
// below s (-1 for none). A bucket reaches to the largest aligned run of slots that no other kid shares; such runs are
// nested or apart, so its start alone tells, and its memory is not touched.
func (x *inner) bucketFor(s uint, i int) (int, bool) {
	if i >= 0 && !heavy(x.kids.at(i)) {
		start := (x.starts & below(s)).highest()
		if (x.starts & buddies(start, s)).count() == 1 {
			return i, true
		}
	}
	if i++; i < x.kids.count() && !heavy(x.kids.at(i)) {
		start := (x.starts &^ upTo(s)).lowest()
		if (x.starts & buddies(s, start)).count() == 1 {
			return i, true
		}
	}
	return 0, false
}

// insertBucket puts e into kid i, a bucket to whose run of slots e belongs.
func (x *inner) insertBucket(i int, e Entry, token uint64) (*inner, effect) {
	b := x.kids.at(i).(*bucket)
	start := x.slot(b.ents()[0].Key)
	at, found := b.search(e.Key)
	if found {
		fresh, eff := b.set(at, e.Value, token)
		if eff == unchanged {
			return x, unchanged
		}
		return x.setKid(i, start, fresh, token), eff
	}
	var y *inner
	if b.fitsIn(at, e.Key) {
		fresh := b.add(at, e, token)
		if s := x.slot(e.Key); s < start {
			y = x.splice(bit(start), bit(s), []node{fresh}, token)
		} else {
			y = x.setKid(i, start, fresh, token)
		}
	} else {
		var room [bucketMax + 1]Entry
		var parts slots
		parts.split(b.burst(at, e, &room), x.shift, token)
		y = x.splice(bit(start), parts.starts, parts.kids[:parts.n], token)
	}
	y.size++
	return y, added
}

// fitsIn reports whether b is still light with key before entry i.
func (b *bucket) fitsIn(i int, key uint64) bool {
	if len(b.ents()) == bucketMax {
		return false
	}
	from, to := i, i
	for from > 0 && b.ents()[from-1].Key^key < fanOut {
		from--
	}
	for to < len(b.ents()) && b.ents()[to].Key^key < fanOut {
		to++
	}
	return to-from+1 < crowd
}

// own returns b, without its digest, if the holder of token made it, otherwise a copy of it.
func (b *bucket) own(token uint64) *bucket {
	if token == 0 || b.token != token {
		return newBucket(b.ents(), token)
	}
	b.state.Store(unknown)
	return b
}

// set changes the value of entry i.
func (b *bucket) set(i int, v Value, token uint64) (*bucket, effect) {
	if b.room[i].Value == v {
		return b, unchanged
	}
	c := b.own(token)
	c.room[i].Value = v
	return c, replaced
}

// add puts e before entry i, where it fits in.
func (b *bucket) add(i int, e Entry, token uint64) *bucket {
	c := b.own(token)
	c.n++
	copy(c.room[i+1:c.n], c.room[i:])
	c.room[i] = e
	return c
}

// burst returns, in room, the entries of b with e before entry i, where it does not fit in.
func (b *bucket) burst(i int, e Entry, room *[bucketMax + 1]Entry) []Entry {
	all := room[:len(b.ents())+1]
	copy(all, b.ents()[:i])
	all[i] = e
	copy(all[i+1:], b.ents()[i:])
	return all
}
