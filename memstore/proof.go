package memstore

import (
	"fmt"

	"lockstep/pagetrie"
)

// The pages of a checkpoint file are mapped without being read, so their bytes are held against their hashes when they are
// used: by Store.Page before it gives them out, and, where a guest has read them in its memory, at the end of the message,
// before anything that the message did is known to anybody. Which pages a guest can have read the page tables tell: the
// kernel maps what is touched, and a few pages beside it. Store.Proven ends all this for a file that was verified as a whole.

// prove holds the page behind a handle against its hash, the first time. The error is a *pagetrie.Unreadable.
func (s *Store) prove(h pagetrie.Value) error {
	b := s.fileOf(h)
	if b == nil || b.proven == nil {
		return nil
	}
	slot := slotOf(h)
	i := slot - b.firstSlot()
	word, bit := &b.proven[i/32], uint32(1)<<(i%32)
	if word.Load()&bit != 0 {
		return nil
	}
	if HashPage(s.arena.slotBytes(slot)) != b.hash(PageCount(i)) {
		return &pagetrie.Unreadable{Err: b.damage(PageCount(i))}
	}
	word.Or(bit)
	return nil
}

func (b *backing) damage(i PageCount) error {
	if b.damaged != nil {
		return b.damaged(i)
	}
	return fmt.Errorf("page at offset %d of %s is not the one that was stored; restore from another checkpoint", b.off+int64(i.Bytes()), b.name)
}

// Proven tells that all pages of a file, whose first has this handle, have been verified.
func (s *Store) Proven(first pagetrie.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if b := s.slabs[slotOf(first)>>chunkShift].file; b != nil && b.firstSlot() == slotOf(first) {
		s.settleLocked(b)
	}
}

// settleLocked ends the proving of a file's pages.
func (s *Store) settleLocked(b *backing) {
	if b.proven != nil && !b.settled {
		b.settled = true
		s.unproven.Add(-1)
	}
}
