package memstore

import (
	"fmt"
	"os"
	"sync/atomic"

	"lockstep/pagetrie"
)

// PageArea is the page area of a checkpoint file.
type PageArea struct {
	File   *os.File // may be closed once it is added; must not change or shrink
	Offset int64    // of the first page, a multiple of 4096
	Pages  PageCount
	// Hash gives the hash of page i as the checkpoint knows it. It must stay callable, from any goroutine, as long as a page
	// is live. nil means that the bytes are believed, and hashes computed when asked for.
	Hash func(i PageCount) pagetrie.Hash
	// Damaged makes the error to report when page i has not that hash; nil for one that names file and offset.
	Damaged func(i PageCount) error
}

// AddFile maps a page area read-only into the Store. Page i gets the handle first+i; nothing is copied, and memories that
// are attached to these pages map the file privately. The file is unmapped when none of its handles is live any more and no
// memory maps it.
//
// If the area has hashes, a page is proven (proof.go) before anything that was made of its bytes leaves this package.
// Preconditions: the file has Pages*4096 bytes from Offset; no page is all zero.
func (s *Store) AddFile(a PageArea) (first pagetrie.Value, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("add file %s: %w", a.File.Name(), err)
		}
	}()
	if err := checkPageArea(a.File, a.Offset, a.Pages); err != nil {
		return 0, err
	}
	own, err := ownFile(a.File)
	if err != nil {
		return 0, err
	}
	b := &backing{file: own, name: a.File.Name(), off: a.Offset, pages: a.Pages, hash: a.Hash, damaged: a.Damaged, live: a.Pages}
	b.slabCount = uint32((a.Pages + chunkPages - 1) / chunkPages)
	if b.hash != nil {
		b.proven = make([]atomic.Uint32, (a.Pages+31)/32)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if first, err = s.mapFileLocked(b, a.File); err != nil {
		_ = own.Close()
		return 0, err
	}
	if b.hash != nil {
		s.unproven.Add(1)
	}
	return first, nil
}

func checkPageArea(f *os.File, off int64, pages PageCount) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if off < 0 || off%PageSize != 0 || pages == 0 || pages > 1<<32-1 {
		return fmt.Errorf("page area at %d of %d pages is no page area", off, pages)
	}
	if end := off + int64(pages.Bytes()); info.Size() < end {
		return fmt.Errorf("page area ends at %d, the file at %d", end, info.Size())
	}
	return nil
}

func (s *Store) mapFileLocked(b *backing, from *os.File) (pagetrie.Value, error) {
	if s.closed {
		return 0, ErrClosed
	}
	used := uint32(len(s.slabs))
	slab0, err := s.takeSlabsLocked(b.slabCount)
	if err != nil {
		return 0, err
	}
	b.firstSlab = slab0
	if err := s.arena.mapFile(b, from); err != nil {
		s.ranges = append(s.ranges, slabRange{slab0, b.slabCount})
		return 0, err
	}
	gen := uint32(1) // of slots that were never used
	if slab0 < used {
		gen = s.alignGenerations(b)
	}
	for i := range b.slabCount {
		s.slabs[slab0+i] = slab{file: b}
	}
	s.live += uint64(b.pages)
	s.filed += uint64(b.pages)
	return makeValue(gen, b.firstSlot()), nil
}

// alignGenerations gives all pages of a file the same generation, so that handles are first+i. Generations only rise.
func (s *Store) alignGenerations(b *backing) uint32 {
	first, n := b.firstSlot(), uint32(b.pages)
	var top uint32
	for i := range n {
		top = max(top, s.arena.gen(first+i))
	}
	if top == 1 {
		return 1
	}
	for i := range n {
		s.arena.setGen(first+i, top)
	}
	return top
}

func (s *Store) unmapIfUnusedLocked(b *backing) {
	if b.live > 0 || b.held > 0 {
		return
	}
	if err := s.arena.unmapFile(b); err == nil {
		for i := range b.slabCount {
			s.slabs[b.firstSlab+i] = slab{}
		}
		s.ranges = append(s.ranges, slabRange{b.firstSlab, b.slabCount})
	} // else the address range stays taken, which costs nothing but the range
	s.settleLocked(b)
	_ = b.file.Close()
}

// hold keeps a file's descriptor for a memory that may map it again; drop ends that.
func (s *Store) hold(b *backing) {
	s.mu.Lock()
	b.held++
	s.mu.Unlock()
}

func (s *Store) unhold(b *backing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.held--
	s.unmapIfUnusedLocked(b)
}

// fileOf is the checkpoint file behind a handle, or nil.
func (s *Store) fileOf(h pagetrie.Value) *backing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slabs[slotOf(h)>>chunkShift].file
}
