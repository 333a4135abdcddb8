package memstore

import (
	"crypto/sha256"
	"sync/atomic"

	"lockstep/pagetrie"
	"lockstep/pagetrie/sha256x2"
)

// HashPage is the hash of one page's contents: SHA-256 over the 4096 bytes followed by a domain tag. The tag sits behind
// the page because there it fits into SHA-256's last padding block and costs nothing.
// Preconditions: len(page) == PageSize.
func HashPage(page []byte) pagetrie.Hash {
	var b [PageSize + len(pageHashDomain)]byte
	if copy(b[:], page) != PageSize {
		panic("memstore: HashPage: not a page")
	}
	copy(b[PageSize:], pageHashDomain)
	return sha256.Sum256(b[:])
}

// hashGrain is how many pages one worker hashes at a time.
const hashGrain = 64

// HashPagePair is HashPage of two pages, in little more than the time of one where the processor allows.
// Preconditions: each is a page.
func HashPagePair(a, b []byte) (x, y pagetrie.Hash) {
	if len(a) != PageSize || len(b) != PageSize {
		panic("memstore: HashPagePair: not a page")
	}
	return sha256x2.SumSuffix2(a, b, []byte(pageHashDomain))
}

// HashValue is HashPage of the page behind h, computed at most once per page and kept beside it.
func (s *Store) HashValue(h pagetrie.Value) pagetrie.Hash {
	slot := s.check(h)
	if sum, ok := s.hashed(h, slot); ok {
		return sum
	}
	sum := HashPage(s.arena.slotBytes(slot))
	s.keepHash(h, slot, sum)
	return sum
}

// HashValues is HashValue of values[i] in hashes[i], for all i. Pages that have no hash yet are hashed two at a time, and
// many on all processors. It makes the Store a pagetrie.BatchHasher, so that a root after a round asks for the pages that
// changed in one call.
func (s *Store) HashValues(values []pagetrie.Value, hashes []pagetrie.Hash) {
	parallel(len(values), hashGrain, func(lo, hi int) { s.hashPairs(values[lo:hi], hashes[lo:hi]) })
}

// HashAll computes the hashes of many pages on all processors, so that a following Root finds them ready. Zero handles
// are skipped.
func (s *Store) HashAll(handles []pagetrie.Value) {
	parallel(len(handles), hashGrain, func(lo, hi int) { s.hashPairs(handles[lo:hi], nil) })
}

// hashPairs puts the hashes of values into hashes, if that is not nil. Zero handles are skipped.
func (s *Store) hashPairs(values []pagetrie.Value, hashes []pagetrie.Hash) {
	done := func(i int, sum pagetrie.Hash) {
		if hashes != nil {
			hashes[i] = sum
		}
	}
	first := -1 // a page that waits for a second one
	for i, h := range values {
		if h == 0 {
			continue
		}
		slot := s.check(h)
		if sum, ok := s.hashed(h, slot); ok {
			done(i, sum)
			continue
		}
		if first < 0 {
			first = i
			continue
		}
		other := slotOf(values[first])
		x, y := HashPagePair(s.arena.slotBytes(other), s.arena.slotBytes(slot))
		s.keepHash(values[first], other, x)
		s.keepHash(h, slot, y)
		done(first, x)
		done(i, y)
		first = -1
	}
	if first >= 0 {
		done(first, s.HashValue(values[first]))
	}
}

// hashed is the hash of a live page if it is known: kept beside it, or in its checkpoint.
func (s *Store) hashed(h pagetrie.Value, slot uint32) (sum pagetrie.Hash, ok bool) {
	if atomic.LoadUint32(&s.arena.hashed[slot]) == uint32(h>>32) {
		return s.arena.hashes[slot], true
	}
	b := s.fileOf(h)
	if b == nil || b.hash == nil {
		return sum, false
	}
	sum = b.hash(PageCount(slot - b.firstSlot()))
	s.keepHash(h, slot, sum)
	return sum, true
}

// keepHash publishes a page's hash unless somebody else is at it.
func (s *Store) keepHash(h pagetrie.Value, slot uint32, sum pagetrie.Hash) {
	state := &s.arena.hashed[slot]
	if old := atomic.LoadUint32(state); old != uint32(h>>32) && old != hashBusy && atomic.CompareAndSwapUint32(state, old, hashBusy) {
		s.arena.hashes[slot] = sum
		atomic.StoreUint32(state, uint32(h>>32))
	}
}
