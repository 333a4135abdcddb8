package pagetrie

import "math/bits"

// slots collects the kids of a branch in ascending order.
type slots struct {
	starts bitmap
	n      int
	kids   [fanOut]node
}

func (s *slots) add(start uint, n node) {
	s.starts |= bit(start)
	s.kids[s.n] = n
	s.n++
}

// shape is the one subtree that stands for ents, which are ascending and distinct; nil for none. Every other way of
// making a subtree must end with the shape that this gives.
//
// Cost: linear in the entries.
func shape(ents []Entry, token uint64) node {
	if len(ents) == 0 {
		return nil
	}
	if light(ents) {
		return newBucket(ents, token)
	}
	diff := ents[0].Key ^ ents[len(ents)-1].Key
	if diff < fanOut {
		return newLeaf(ents, token)
	}
	shift := digitShift(bits.Len64(diff) - 1)
	var s slots
	s.split(ents, shift, token)
	return s.branch(ents[0].Key, shift, len(ents), token)
}

// light reports whether ascending entries go in one bucket.
func light(ents []Entry) bool {
	if len(ents) > bucketMax {
		return false
	}
	for i := crowd - 1; i < len(ents); i++ {
		if ents[i].Key^ents[i-crowd+1].Key < fanOut {
			return false
		}
	}
	return true
}

// split adds the kids that ents, more than none, have below a branch at shift: the largest aligned runs of slots with
// light entries are a bucket each; a single slot whose entries are not is the shape of them.
func (s *slots) split(ents []Entry, shift uint8, token uint64) {
	start := uint(ents[0].Key>>shift) & slotMask
	diff := ents[0].Key ^ ents[len(ents)-1].Key
	switch {
	case light(ents):
		s.add(start, newBucket(ents, token))
	case diff>>shift == 0:
		s.add(start, shape(ents, token))
	default:
		branching := uint64(1) << (bits.Len64(diff) - 1)
		mid := searchEntries(ents, ents[len(ents)-1].Key&^(branching-1))
		s.split(ents[:mid], shift, token)
		s.split(ents[mid:], shift, token)
	}
}

// branch makes the inner node of the kids collected, at least two, which are already as split would have them.
func (s *slots) branch(key uint64, shift uint8, size int, token uint64) *inner {
	x := newInner(s.kids[:s.n])
	x.base, x.shift, x.starts = prefixAbove(key, shift), shift, s.starts
	x.size, x.token, x.stale = size, token, allStale
	return x
}

// join makes the branch above two subtrees neither of which holds a key of the other's range: Okasaki & Gill's join.
// At least one is heavy; the other is heavy too or has a single entry.
func join(a, b node, token uint64) node {
	diff := a.anchor() ^ b.anchor()
	shift := digitShift(bits.Len64(diff) - 1)
	if a.anchor() > b.anchor() {
		a, b = b, a
	}
	var s slots
	s.add(uint(a.anchor()>>shift)&slotMask, a)
	s.add(uint(b.anchor()>>shift)&slotMask, b)
	return s.branch(a.anchor(), shift, a.entries()+b.entries(), token)
}

// appendEntries appends the entries of n, ascending.
func appendEntries(dst []Entry, n node) []Entry {
	switch x := open(n).(type) {
	case *bucket:
		dst = append(dst, x.ents()...)
	case *leaf:
		for rest := x.present; rest != 0; rest &= rest - 1 {
			s := rest.lowest()
			dst = append(dst, Entry{x.base + uint64(s), x.vals[s&slotMask]})
		}
	case *inner:
		for i := range x.kids.count() {
			dst = appendEntries(dst, x.kids.at(i))
		}
	}
	return dst
}
