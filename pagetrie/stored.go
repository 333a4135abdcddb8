package pagetrie

import (
	"fmt"
	"sync/atomic"
)

// Region is an aligned run of keys: the 32^Level from First on. Level is at least 2, First a multiple of 32^Level.
type Region struct {
	First uint64
	Level uint8
}

// TopLevel is the level of the region that has all keys below 2^30.
const TopLevel = 6

const leastLevel = 2 // of a region that may be stored

// RegionOf is the region of a level that key lies in.
func RegionOf(key uint64, level uint8) Region {
	return Region{First: key &^ (1<<(level*fanBits) - 1), Level: level}
}

// Last is the region's highest key.
func (r Region) Last() uint64 { return r.First | (1<<(r.Level*fanBits) - 1) }

// Summary says what a map has in a region. What is in there in few entries is given by them; anything else is a subtree of
// its own, which is known by its digest.
type Summary struct {
	Region
	Count  int    // entries in the region
	Branch bool   // they are a branch, described by the fields below; otherwise a bucket's worth, a leaf or nothing
	Base   uint64 // of the branch
	Shift  uint8
	Digest Hash
}

// Source gives the parts of a stored map. Its methods are called by any goroutine that uses the map, and more than once
// for one part. What Part gives is believed only after its digest was computed.
type Source interface {
	Hasher
	// Part returns what the region has, as far as it is stored: a Summary for each of the 32 regions of the level below
	// that has entries, ascending. Those without Branch, and regions of level 2, which have no Summaries below them, are
	// given by their entries.
	Part(r Region) (Part, error)
	// Damaged is told that a part is not the one that its digest belongs to. It returns the error to report.
	Damaged(r Region) error
}

// Part is what a Source has of a region.
type Part struct {
	Kids    []Summary
	Entries []Entry // ascending: of the whole region, but not of the Kids that are branches
}

// Unreadable is the value of the panic with which any operation on a stored map ends when a part of it can't be read or is
// not what was stored. Maps have no errors to return, and there is nothing to go on with. See [CatchUnreadable].
type Unreadable struct{ Err error }

func (u *Unreadable) Error() string { return u.Err.Error() }
func (u *Unreadable) Unwrap() error { return u.Err }

// CatchUnreadable is deferred where work on stored maps begins, and makes the error of an [Unreadable] panic *err. Other
// panics go on.
func CatchUnreadable(err *error) {
	switch r := recover().(type) {
	case nil:
	case *Unreadable:
		*err = r
	default:
		panic(r)
	}
}

// stored is a branch that is not in memory. Everything about it is known but its kids; they are read, and checked against
// the digest, when a key below it matters.
type stored struct {
	Summary
	source Source
	real   atomic.Pointer[inner]
}

func (s *stored) entries() int   { return s.Count }
func (s *stored) anchor() uint64 { return s.Base }

// Stored returns the map of which source has the parts; top is all of it, whose entries are given if it is no branch.
// Nothing is read. The map is the one that the entries make; [Map.Root] of it is known at once.
func Stored(source Source, top Summary, entries []Entry) (Map, error) {
	if top.Branch {
		if err := top.check(); err != nil {
			return Map{}, err
		}
		return Map{&stored{Summary: top, source: source}}, nil
	}
	if err := ascending(entries); err != nil {
		return Map{}, err
	}
	return FromSorted(entries), nil
}

func ascending(entries []Entry) error {
	for i := 1; i < len(entries); i++ {
		if entries[i-1].Key >= entries[i].Key {
			return fmt.Errorf("entries out of order: key %#x after %#x", entries[i].Key, entries[i-1].Key)
		}
	}
	return nil
}

// check reports a branch that cannot be.
func (s *Summary) check() error {
	if s.Shift < fanBits || s.Shift > 60 || s.Shift%fanBits != 0 || prefixAbove(s.Base, s.Shift) != s.Base || s.Shift+fanBits > s.Level*fanBits ||
		s.Base < s.First || s.Base > s.Last() || s.Count < crowd || uint64(s.Count)-1 > spanMask(s.Shift) {
		return fmt.Errorf("no branch of %d entries at key %#x, shift %d lies in the region of level %d at %#x", s.Count, s.Base, s.Shift, s.Level, s.First)
	}
	return nil
}

// open returns n, or the branch that it stands for if it is stored.
func open(n node) node {
	if s, ok := n.(*stored); ok {
		return s.open()
	}
	return n
}

// open reads the branch unless somebody has. Two goroutines may do so at once; the first one's is kept.
func (s *stored) open() *inner {
	if x := s.real.Load(); x != nil {
		return x
	}
	x, err := s.read()
	if err != nil {
		panic(&Unreadable{err})
	}
	if !s.real.CompareAndSwap(nil, x) {
		return s.real.Load()
	}
	return x
}

func (s *stored) matches(key uint64) bool { return (key^s.Base)>>s.Shift < fanOut }

// openAt returns n if it is a branch that decides the digit at shift.
func openAt(n node, shift uint8) (*inner, bool) {
	if s, ok := n.(*stored); ok && s.Shift == shift {
		return s.open(), true
	}
	x, ok := n.(*inner)
	return x, ok && x.shift == shift
}

// peek returns n, or the branch that it stands for if it is stored and has been read.
func peek(n node) node {
	if s, ok := n.(*stored); ok {
		if x := s.real.Load(); x != nil {
			return x
		}
	}
	return n
}

// alike reports whether two subtrees are known to be one.
func alike(a, b node) bool { return a == b || peek(a) == peek(b) }

// region is the smallest one that the branch fits in.
func (s *stored) region() Region { return Region{s.Base, s.Shift/fanBits + 1} }

func (s *stored) read() (*inner, error) {
	part, err := s.source.Part(s.region())
	if err != nil {
		return nil, err
	}
	n := s.build(part)
	x, ok := n.(*inner)
	if !ok || x.base != s.Base || x.shift != s.Shift || x.size != s.Count {
		return nil, s.source.Damaged(s.region())
	}
	d := digester{hasher: s.source}
	if d.node(x) != s.Digest {
		return nil, s.source.Damaged(s.region())
	}
	return x, nil
}

// build makes the node of a part; nil if there is none.
func (s *stored) build(p Part) node {
	r := s.region()
	if ascending(p.Entries) != nil || len(p.Entries) > 0 && (p.Entries[0].Key < r.First || p.Entries[len(p.Entries)-1].Key > r.Last()) {
		return nil
	}
	if s.Shift == fanBits {
		return shape(p.Entries, 0)
	}
	var all slots
	size := 0
	for first := r.First; ; first += 1 << s.Shift {
		below := Region{first, r.Level - 1}
		var kid node
		if len(p.Kids) > 0 && p.Kids[0].First == first {
			if p.Kids[0].Level != below.Level || p.Kids[0].check() != nil {
				return nil
			}
			kid = &stored{Summary: p.Kids[0], source: s.source}
			p.Kids = p.Kids[1:]
		} else if n := countUpTo(p.Entries, below.Last()); n > 0 {
			if !light(p.Entries[:n]) && p.Entries[0].Key^p.Entries[n-1].Key >= fanOut {
				return nil // that is a branch, and would have been stored as one
			}
			kid = shape(p.Entries[:n], 0)
			p.Entries = p.Entries[n:]
		}
		if kid != nil {
			size += kid.entries()
			all.add(uint(kid.anchor()>>s.Shift)&slotMask, kid)
		}
		if below.Last() == r.Last() {
			break
		}
	}
	if len(p.Kids) > 0 || all.n == 0 {
		return nil
	}
	var packed slots
	packed.pack(all.starts, all.kids[:all.n], run{0, fanOut, s.Shift}, 0)
	if packed.n < 2 {
		return nil
	}
	return packed.branch(s.Base, s.Shift, size, 0)
}

// countUpTo returns how many of the ascending ents have keys up to last.
func countUpTo(ents []Entry, last uint64) int {
	n := searchEntries(ents, last)
	if n < len(ents) && ents[n].Key == last {
		n++
	}
	return n
}

// Summary returns what m has in a region.
//
// Cost: the nodes on the way, and what of the digest is not computed yet.
func (m Map) Summary(r Region, h Hasher) Summary {
	s := Summary{Region: r}
	n := m.root
	for n != nil {
		var base uint64
		var shift uint8
		switch x := n.(type) {
		case *bucket:
			s.Count = countUpTo(x.ents(), r.Last()) - searchEntries(x.ents(), r.First)
			return s
		case *leaf:
			if x.base >= r.First && x.base <= r.Last() {
				s.Count = x.entries()
			}
			return s
		case *stored:
			base, shift = x.Base, x.Shift
		case *inner:
			base, shift = x.base, x.shift
		}
		if shift+fanBits <= r.Level*fanBits { // all of n lies in the region, or nothing
			if base >= r.First && base <= r.Last() {
				d := digester{hasher: h}
				s.Branch, s.Base, s.Shift, s.Count, s.Digest = true, base, shift, n.entries(), d.node(n)
			}
			return s
		}
		x := open(n).(*inner)
		if !x.matches(r.First) || x.rank(x.slot(r.First)) == 0 {
			return s
		}
		n = x.kids.at(x.rank(x.slot(r.First)) - 1)
	}
	return s
}

// Seal is the root of a map of which a Summary says all.
func (s *Summary) Seal() Hash {
	var d digester
	return d.seal(uint64(s.Count), s.Digest)
}

// Reading counts, for tests and benchmarks, the stored branches of a map that are in memory and those known but not read.
func (m Map) Reading() (read, left int) {
	var walk func(node)
	walk = func(n node) {
		if s, ok := n.(*stored); ok {
			if x := s.real.Load(); x != nil {
				read++
				n = x
			} else {
				left++
			}
		}
		if x, ok := n.(*inner); ok {
			for i := range x.kids.count() {
				walk(x.kids.at(i))
			}
		}
	}
	walk(m.root)
	return read, left
}
