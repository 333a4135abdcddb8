package pagetrie

import "sync/atomic"

func loadStale(x *inner) uint32 { return atomic.LoadUint32(&x.stale) }

// pour puts a few ascending entries into the heavy node n; win says whose value counts where both have a key. It
// returns the node and whether anything changed.
func (u *union) pour(n node, ents []Entry, win bool) (node, bool) {
	first, last := ents[0].Key, ents[len(ents)-1].Key
	switch x := n.(type) {
	case *leaf:
		if first&^slotMask == x.base && last&^slotMask == x.base {
			return u.pourLeaf(x, ents, win)
		}
	case *inner:
		if x.matches(first) && x.matches(last) {
			return u.pourInner(x, ents, win)
		}
	case *stored:
		if x.matches(first) && x.matches(last) {
			if y, changed := u.pourInner(x.open(), ents, win); changed {
				return y, true
			}
			return x, false
		}
	}
	changed := false
	for _, e := range ents {
		var eff effect
		if n, eff = u.put(n, e, win); eff != unchanged {
			changed = true
		}
	}
	return n, changed
}

// put is insert, with a say in whose value counts.
func (u *union) put(n node, e Entry, win bool) (node, effect) {
	if !win {
		if _, had := get(n, e.Key); had {
			u.overlap++
			return n, unchanged
		}
	}
	fresh, eff := insert(n, e, u.token)
	if eff != added {
		u.overlap++
	}
	return fresh, eff
}

func (u *union) pourLeaf(l *leaf, ents []Entry, win bool) (*leaf, bool) {
	c, changed := l, false
	for _, e := range ents {
		s := uint(e.Key) & slotMask
		had := c.present.has(s)
		if had {
			u.overlap++
		}
		if had && (!win || c.vals[s] == e.Value) {
			continue
		}
		c, changed = c.own(u.token), true
		c.vals[s] = e.Value
		c.present |= bit(s)
		c.stale |= uint32(bit(s))
	}
	return c, changed
}

func (u *union) pourInner(x *inner, ents []Entry, win bool) (*inner, bool) {
	y, changed := x, false
	for len(ents) > 0 {
		s := y.slot(ents[0].Key)
		n := 1
		for n < len(ents) && y.slot(ents[n].Key) == s {
			n++
		}
		if i := y.rank(s) - 1; y.starts.has(s) && heavy(y.kids.at(i)) {
			before := u.overlap
			if kid, ch := u.pour(y.kids.at(i), ents[:n], win); ch {
				y, changed = y.setKid(i, s, kid, u.token), true
				y.size += n - (u.overlap - before)
			}
		} else {
			for _, e := range ents[:n] {
				fresh, eff := u.put(y, e, win)
				if eff != unchanged {
					y, changed = fresh.(*inner), true
				}
			}
		}
		ents = ents[n:]
	}
	return y, changed
}
