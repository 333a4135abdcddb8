package memstore

import (
	"math/bits"
	"os"
	"sync/atomic"

	"lockstep/pagetrie"
)

// slab is 2 MiB of the arena: 512 slots for pages, or a part of a mapped checkpoint file, or nothing yet.
type slab struct {
	free    [chunkPages / 64]uint64 // slots that can be taken
	nfree   uint16
	listed  bool // in Store.partial
	drained bool // fully free, and its memory given back
	file    *backing
}

// slabRange is a run of slabs that were part of an unmapped checkpoint file.
type slabRange struct{ first, count uint32 }

// keepEmpty is how many fully free slabs keep their memory for the next message, at least; after a commit of many pages as
// many as that took, up to keepMost, and ever fewer with the commits that follow. Where the machine is a guest that gave
// free memory back, the first touch of a new slab costs ten times what copying the pages does.
const (
	keepEmpty = 64
	keepMost  = 256
)

// keepLocked sets how many empty slabs are kept, after an allocation of n pages.
func (s *Store) keepLocked(n int) {
	s.keep = max(keepEmpty, s.keep-1, min(n/chunkPages, keepMost))
	for k := 0; s.empty > s.keep && k < len(s.partial); k++ {
		if i := s.partial[k]; s.slabs[i].nfree == chunkPages && !s.slabs[i].drained {
			s.drainLocked(i)
			s.empty--
		}
	}
}

// drainLocked gives an empty slab's memory back.
func (s *Store) drainLocked(i uint32) {
	s.arena.drainSlab(i)
	s.slabs[i].drained = true
}

// allocate fills dst with free slots, ascending where it can.
func (s *Store) allocate(dst []uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range dst {
		slot, err := s.takeLocked()
		if err != nil {
			s.freeLocked(dst[:i])
			return err
		}
		dst[i] = slot
	}
	s.live += uint64(len(dst))
	s.keepLocked(len(dst))
	return nil
}

func (s *Store) takeLocked() (uint32, error) {
	if s.closed {
		return 0, ErrClosed
	}
	for s.current < 0 || s.slabs[s.current].nfree == 0 {
		if err := s.nextSlabLocked(); err != nil {
			return 0, err
		}
	}
	b := &s.slabs[s.current]
	if b.nfree == chunkPages && !b.drained {
		s.empty--
	}
	b.drained = false
	for w, x := range b.free {
		if x != 0 {
			bit := bits.TrailingZeros64(x)
			b.free[w] &^= 1 << bit
			b.nfree--
			return uint32(s.current)*chunkPages + uint32(w*64+bit), nil
		}
	}
	panic("memstore: slab counts free slots that it does not have")
}

// nextSlabLocked makes a slab with free slots the current one: a partly used one, or a new one. It may have to be called again.
func (s *Store) nextSlabLocked() error {
	begun := s.current >= 0
	if n := len(s.partial); n > 0 {
		s.current = int(s.partial[n-1])
		s.partial = s.partial[:n-1]
		s.slabs[s.current].listed = false
	} else {
		i, err := s.newSlabLocked()
		if err == ErrStoreFull && s.warming {
			s.awaitWarmLocked() // the last one
			return nil
		}
		if err != nil {
			return err
		}
		s.current = int(i)
	}
	if begun {
		fresh := len(s.slabs)
		if s.current == fresh-1 {
			fresh--
		}
		s.arena.adviseHuge(uint32(fresh))
		s.warmLocked()
	}
	return nil
}

// newSlabLocked makes a slab of free slots, which is in no list.
func (s *Store) newSlabLocked() (uint32, error) {
	i, err := s.takeSlabsLocked(1)
	if err != nil {
		return 0, err
	}
	if err := s.arena.openSlab(i); err != nil {
		s.ranges = append(s.ranges, slabRange{i, 1})
		return 0, err
	}
	s.slabs[i] = freeSlab()
	return i, nil
}

// freeSlab is a slab of free slots, which hold no memory yet.
func freeSlab() slab {
	b := slab{nfree: chunkPages, drained: true}
	for w := range b.free {
		b.free[w] = ^uint64(0)
	}
	return b
}

// takeSlabsLocked finds count slabs in a row that hold nothing.
func (s *Store) takeSlabsLocked(count uint32) (uint32, error) {
	for i := range s.ranges {
		if r := &s.ranges[i]; r.count >= count {
			first := r.first
			r.first += count
			if r.count -= count; r.count == 0 {
				s.ranges = append(s.ranges[:i], s.ranges[i+1:]...)
			}
			return first, nil
		}
	}
	first := uint32(len(s.slabs))
	if uint64(first+count)*chunkPages > uint64(s.arena.slots) {
		return 0, ErrStoreFull
	}
	s.slabs = append(s.slabs, make([]slab, count)...)
	return first, nil
}

// release returns slots that were allocated and never named.
func (s *Store) release(slots []uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live -= uint64(len(slots))
	s.freeLocked(slots)
}

// freeLocked makes slots free for use. Whoever still has a handle of their old generation finds it dead.
func (s *Store) freeLocked(slots []uint32) {
	for _, slot := range slots {
		i := slot >> chunkShift
		b := &s.slabs[i]
		in := slot & (chunkPages - 1)
		if b.free[in>>6]>>(in&63)&1 != 0 {
			panic("memstore: page slot freed twice")
		}
		b.free[in>>6] |= 1 << (in & 63)
		b.nfree++
		if !b.listed && int(i) != s.current {
			b.listed = true
			s.partial = append(s.partial, i)
		}
		if b.nfree == chunkPages {
			s.emptiedLocked(i)
		}
	}
}

// emptiedLocked keeps a bounded number of fully free slabs warm and gives the memory of the others back.
func (s *Store) emptiedLocked(i uint32) {
	if s.empty < max(s.keep, keepEmpty) {
		s.empty++
		return
	}
	s.drainLocked(i)
}

// freeHandlesLocked ends the life of named pages, whether they are in slots or in a file.
func (s *Store) freeHandlesLocked(handles []pagetrie.Value) {
	var one [1]uint32
	for _, h := range handles {
		slot := s.check(h)
		s.arena.bump(slot)
		s.live--
		if f := s.slabs[slot>>chunkShift].file; f != nil {
			s.filed--
			f.live--
			s.unmapIfUnusedLocked(f)
			continue
		}
		one[0] = slot
		s.freeLocked(one[:])
	}
}

// backing is a checkpoint file's page area in the arena.
type backing struct {
	file      *os.File // nil where files are read and not mapped
	name      string
	off       int64
	firstSlab uint32
	slabCount uint32
	pages     PageCount
	hash      func(PageCount) pagetrie.Hash
	damaged   func(PageCount) error
	proven    []atomic.Uint32 // a bit for each page; nil if its bytes are believed
	settled   bool            // all of it is proven, or gone
	live      PageCount       // handles that are not freed
	held      int             // layouts that may map the file again
}

func (b *backing) firstSlot() uint32 { return b.firstSlab * chunkPages }
