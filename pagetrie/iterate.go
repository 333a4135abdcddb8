package pagetrie

import (
	"iter"
	"math"
)

// All iterates over the entries, ascending by key.
//
// Cost: no allocation but the iterator's own.
func (m Map) All() iter.Seq2[uint64, Value] {
	return func(yield func(uint64, Value) bool) { each(m.root, yield) }
}

// Range iterates over the entries with lo <= key < hi, ascending by key: none unless lo < hi. [Map.From] has no end.
func (m Map) Range(lo, hi uint64) iter.Seq2[uint64, Value] {
	return func(yield func(uint64, Value) bool) {
		if lo < hi {
			eachWithin(m.root, lo, hi-1, yield)
		}
	}
}

// From iterates over the entries with lo <= key, ascending by key.
func (m Map) From(lo uint64) iter.Seq2[uint64, Value] {
	return func(yield func(uint64, Value) bool) { eachWithin(m.root, lo, math.MaxUint64, yield) }
}

// each yields the entries of n, and reports whether the consumer wants more.
func each(n node, yield func(uint64, Value) bool) bool {
	switch x := open(n).(type) {
	case *bucket:
		for _, e := range x.ents() {
			if !yield(e.Key, e.Value) {
				return false
			}
		}
	case *leaf:
		for rest := x.present; rest != 0; rest &= rest - 1 {
			s := rest.lowest()
			if !yield(x.base+uint64(s), x.vals[s&slotMask]) {
				return false
			}
		}
	case *inner:
		for _, l := range x.kids.leaves {
			if !each(l, yield) {
				return false
			}
		}
		for _, kid := range x.kids.mixed {
			if !each(kid, yield) {
				return false
			}
		}
	}
	return true
}

// eachWithin is each for the keys lo .. last, both included.
func eachWithin(n node, lo, last uint64, yield func(uint64, Value) bool) bool {
	if s, ok := n.(*stored); ok {
		if last < s.Base || s.Base|spanMask(s.Shift) < lo {
			return true
		}
		n = s.open()
	}
	x, ok := n.(*inner)
	if !ok {
		return each(n, func(k uint64, v Value) bool { return k < lo || k > last || yield(k, v) })
	}
	end := x.base | spanMask(x.shift)
	if last < x.base || end < lo {
		return true
	}
	from, to := 0, x.kids.count()
	if lo > x.base {
		from = max(x.rank(x.slot(lo))-1, 0)
	}
	if last < end {
		to = x.rank(x.slot(last))
	}
	for i := from; i < to; i++ {
		inside := i > from && i < to-1
		if inside && !each(x.kids.at(i), yield) || !inside && !eachWithin(x.kids.at(i), lo, last, yield) {
			return false
		}
	}
	return true
}

// spanMask has the bits of a key that a branch at shift, and everything below it, decide.
func spanMask(shift uint8) uint64 { return 1<<(shift+fanBits) - 1 }

// Floor returns the entry with the greatest key at or below key.
func (m Map) Floor(key uint64) (uint64, Value, bool) {
	e, ok := floor(m.root, key)
	return e.Key, e.Value, ok
}

// Ceiling returns the entry with the least key at or above key.
func (m Map) Ceiling(key uint64) (uint64, Value, bool) {
	e, ok := ceiling(m.root, key)
	return e.Key, e.Value, ok
}

func floor(n node, key uint64) (Entry, bool) {
	switch x := open(n).(type) {
	case *bucket:
		if i, found := x.search(key); found {
			return x.ents()[i], true
		} else if i > 0 {
			return x.ents()[i-1], true
		}
	case *leaf:
		if key >= x.base {
			s := uint(min(key-x.base, slotMask))
			if m := x.present & upTo(s); m != 0 {
				return x.entry(m.highest()), true
			}
		}
	case *inner:
		if key < x.base {
			return Entry{}, false
		}
		i := x.kids.count() - 1
		if x.matches(key) {
			i = x.rank(x.slot(key)) - 1
		}
		for ; i >= 0; i-- { // the kid before the first tried has only smaller keys
			if e, ok := floor(x.kids.at(i), key); ok {
				return e, true
			}
		}
	}
	return Entry{}, false
}

func ceiling(n node, key uint64) (Entry, bool) {
	switch x := open(n).(type) {
	case *bucket:
		if i, _ := x.search(key); i < len(x.ents()) {
			return x.ents()[i], true
		}
	case *leaf:
		if key <= x.base|slotMask {
			s := uint(max(key, x.base) - x.base)
			if m := x.present &^ below(s); m != 0 {
				return x.entry(m.lowest()), true
			}
		}
	case *inner:
		if key > x.base|spanMask(x.shift) {
			return Entry{}, false
		}
		i := 0
		if x.matches(key) {
			i = max(x.rank(x.slot(key))-1, 0)
		}
		for ; i < x.kids.count(); i++ { // the kid after the first tried has only greater keys
			if e, ok := ceiling(x.kids.at(i), key); ok {
				return e, true
			}
		}
	}
	return Entry{}, false
}

func (l *leaf) entry(s uint) Entry { return Entry{l.base + uint64(s), l.vals[s&slotMask]} }

// Min returns the entry with the least key.
func (m Map) Min() (uint64, Value, bool) { return m.Ceiling(0) }

// Max returns the entry with the greatest key.
func (m Map) Max() (uint64, Value, bool) { return m.Floor(math.MaxUint64) }
