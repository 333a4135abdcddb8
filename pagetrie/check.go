package pagetrie

import (
	"fmt"
	"sync/atomic"
)

// Check walks the whole map and returns the first broken invariant, naming the node: the shape is the one of the
// contents, counts are exact, keys are where lookups go.
//
// Cost: linear.
func (m Map) Check() error {
	if m.root == nil {
		return nil
	}
	return checkNode(m.root)
}

// CheckHashes is Check, and computes again every digest that a node remembers.
func (m Map) CheckHashes(h Hasher) error {
	if err := m.Check(); err != nil {
		return err
	}
	m.Root(h)
	if err := checkRemembered(m.root); err != nil {
		return err
	}
	entries := make([]Entry, 0, m.Len())
	entries = appendEntries(entries, m.root)
	if got, want := m.Root(h), FromSorted(entries).Root(h); got != want {
		return fmt.Errorf("root %v, of the same entries anew %v", got, want)
	}
	return nil
}

// checkRemembered checks what the branches from n on, all of them with digests, remember of their kids.
func checkRemembered(n node) error {
	x, ok := open(n).(*inner)
	if !ok {
		return nil
	}
	d, rest := x.digests.Load(), x.starts
	for i := range x.kids.count() {
		s := rest.lowest()
		rest &= rest - 1
		want, known := digestOf(x.kids.at(i))
		if got := d.kids[s>>groupBits][s%groupSize]; !known || got != want {
			return fmt.Errorf("branch at key %#x, shift %d: digest of the kid at slot %d is %v, want %v", x.base, x.shift, s, got, want)
		}
		if err := checkRemembered(x.kids.at(i)); err != nil {
			return err
		}
	}
	return nil
}

func checkNode(n node) error {
	switch x := open(n).(type) {
	case *bucket:
		return x.check()
	case *leaf:
		return x.check()
	case *inner:
		return x.check()
	}
	return fmt.Errorf("nil node below a branch")
}

func (b *bucket) check() error {
	if len(b.ents()) == 0 {
		return fmt.Errorf("empty bucket")
	}
	if !light(b.ents()) {
		return fmt.Errorf("bucket at key %#x: %d entries, not light", b.anchor(), len(b.ents()))
	}
	for i := 1; i < len(b.ents()); i++ {
		if b.ents()[i-1].Key >= b.ents()[i].Key {
			return fmt.Errorf("bucket: key %#x after %#x", b.ents()[i].Key, b.ents()[i-1].Key)
		}
	}
	for _, e := range b.room[b.n:] {
		if e != (Entry{}) {
			return fmt.Errorf("bucket at key %#x: entry %v behind the last", b.anchor(), e)
		}
	}
	return nil
}

func (l *leaf) check() error {
	if n := l.entries(); n < crowd {
		return fmt.Errorf("leaf at key %#x: %d entries belong in a bucket", l.base, n)
	}
	if l.base%fanOut != 0 {
		return fmt.Errorf("leaf at key %#x: not the start of a block", l.base)
	}
	for s, v := range l.vals {
		if v != 0 && !l.present.has(uint(s)) {
			return fmt.Errorf("leaf at key %#x: value %d in slot %d, which is absent", l.base, v, s)
		}
	}
	return checkDigests(atomic.LoadUint32(&l.stale), l.digests.Load() != nil, l.base)
}

func checkDigests(stale uint32, known bool, at uint64) error {
	if stale != allStale && !known {
		return fmt.Errorf("node at key %#x: stale slots %b, but no digests", at, stale)
	}
	return nil
}

func (x *inner) check() error {
	switch {
	case x.shift < fanBits || x.shift > 63 || x.shift%fanBits != 0:
		return fmt.Errorf("branch at key %#x: shift %d", x.base, x.shift)
	case prefixAbove(x.base, x.shift) != x.base:
		return fmt.Errorf("branch at key %#x: bits below the prefix, shift %d", x.base, x.shift)
	case x.kids.count() < 2 || x.starts.count() != x.kids.count():
		return fmt.Errorf("branch at key %#x: %d kids, starts %b", x.base, x.kids.count(), x.starts)
	case x.kids.light():
		return fmt.Errorf("branch at key %#x: %d entries belong in a bucket", x.base, x.size)
	}
	size, rest := 0, x.starts
	for i := range x.kids.count() {
		kid := x.kids.at(i)
		if err := checkNode(kid); err != nil {
			return err
		}
		if err := x.checkKid(kid, rest.lowest()); err != nil {
			return err
		}
		rest &= rest - 1
		size += kid.entries()
	}
	if size != x.size {
		return fmt.Errorf("branch at key %#x: counts %d entries, has %d", x.base, x.size, size)
	}
	if err := x.checkRun(run{0, fanOut, x.shift}); err != nil {
		return err
	}
	return checkDigests(atomic.LoadUint32(&x.stale), x.digests.Load() != nil, x.base)
}

// checkKid checks that kid lies where it starts.
func (x *inner) checkKid(kid node, start uint) error {
	if !x.matches(kid.anchor()) || x.slot(kid.anchor()) != start {
		return fmt.Errorf("branch at key %#x, shift %d: kid with key %#x at slot %d", x.base, x.shift, kid.anchor(), start)
	}
	switch k := open(kid).(type) {
	case *inner:
		if k.shift >= x.shift {
			return fmt.Errorf("branch at key %#x, shift %d: below it a branch of shift %d", x.base, x.shift, k.shift)
		}
	case *bucket:
		last := k.ents()[len(k.ents())-1].Key
		if !x.matches(last) {
			return fmt.Errorf("branch at key %#x, shift %d: key %#x in its buckets", x.base, x.shift, last)
		}
		if reach := buddies(start, x.slot(last)); (x.starts & reach).count() != 1 {
			return fmt.Errorf("branch at key %#x, shift %d: bucket of slot %d overlaps", x.base, x.shift, start)
		}
	}
	return nil
}

// checkRun checks that the entries of r, which are not light, are cut into the largest runs that are.
func (x *inner) checkRun(r run) error {
	if r.width == 1 {
		return nil
	}
	half := r.width / 2
	for _, h := range [2]run{{r.from, half, r.shift}, {r.from + half, half, r.shift}} {
		mask := x.starts & buddies(h.from, h.from+half-1)
		first := (x.starts & below(h.from)).count()
		kids := x.kids.part(first, first+mask.count())
		if !kids.light() {
			if err := x.checkRun(h); err != nil {
				return err
			}
		} else if kids.count() > 1 {
			return fmt.Errorf("branch at key %#x, shift %d: slots %d to %d in %d kids, want one bucket",
				x.base, x.shift, h.from, h.from+half-1, kids.count())
		}
	}
	return nil
}
