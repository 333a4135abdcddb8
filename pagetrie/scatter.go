package pagetrie

// batch is how many entries are poured at a time: enough for their cache misses to overlap, few enough for what was
// read to be still in the nearest cache when it is copied.
const batch = 64

// scattered returns n as a branch whose kids are buckets, if it is one, lies within the range of into and is much smaller.
// Then there is nothing in it to share, and its entries are poured.
func scattered(n, into node) (*inner, bool) {
	x, ok := n.(*inner)
	if !ok || x.kids.leaves != nil || x.size > into.entries()/4 {
		return nil, false
	}
	if y, ok := into.(*inner); !ok || y.shift < x.shift {
		return nil, false
	}
	for _, kid := range x.kids.mixed {
		if heavy(kid) {
			return nil, false
		}
	}
	return x, true
}

// scatter pours the entries of the scattered x into n.
func (u *union) scatter(n node, x *inner, win bool) node {
	var room [batch]Entry
	ents := room[:0]
	for _, kid := range x.kids.mixed {
		for rest := kid.(*bucket).ents(); len(rest) > 0; {
			fits := min(len(rest), batch-len(ents))
			ents, rest = append(ents, rest[:fits]...), rest[fits:]
			if len(ents) == batch {
				n, ents = u.warmPour(n, ents, win), ents[:0]
			}
		}
	}
	if len(ents) > 0 {
		n = u.warmPour(n, ents, win)
	}
	return n
}

// warmPour is pour for at most a batch of entries. One or two have no misses to overlap.
func (u *union) warmPour(n node, ents []Entry, win bool) node {
	if len(ents) > 2 {
		u.warm(n, ents)
	}
	fresh, _ := u.pour(n, ents, win)
	return fresh
}

// warm reads what pour is about to copy: level by level for all of ents, so that the processor has the cache misses of
// many of them under way together. One after the other they would wait for each level of each.
func (u *union) warm(top node, ents []Entry) {
	var at [batch]node
	for i := range ents {
		at[i] = top
	}
	for deeper := true; deeper; {
		deeper = false
		for i := range ents {
			x, ok := at[i].(*inner)
			if !ok {
				continue
			}
			if k := x.rank(x.slot(ents[i].Key)); k > 0 {
				at[i], deeper = x.kids.at(k-1), true
			} else {
				at[i] = nil
			}
		}
	}
	for i := range ents {
		switch x := at[i].(type) {
		case *leaf:
			u.touched += x.touch()
		case *bucket:
			u.touched += x.touch()
		}
	}
}

// The touch methods read a word of every cache line, of 64 bytes. What they return means nothing.

func (l *leaf) touch() uint64 {
	sum := l.base
	for i := 0; i < fanOut; i += 8 {
		sum += uint64(l.vals[i])
	}
	return sum + uint64(l.vals[fanOut-1])
}

func (b *bucket) touch() uint64 {
	sum := b.token
	for i := 0; i < bucketMax; i += 4 {
		sum += b.room[i].Key
	}
	return sum
}
