package memstore

import "golang.org/x/sys/unix"

// warmLocked has the memory of the slab that is taken next brought in on a goroutine of its own, so that a commit does not wait for
// it: a slab that was never used, or whose memory was given back, is 2 MiB for the kernel to find and clear, and where the
// machine is a guest its host too. A store that has only begun, and a commit of many pages, take slabs as they come.
func (s *Store) warmLocked() {
	n := len(s.partial)
	if s.warming || n > 0 && !s.slabs[s.partial[n-1]].drained || len(s.slabs) < 2 {
		return
	}
	var i uint32
	if n > 0 {
		i = s.partial[n-1]
		s.partial = s.partial[:n-1]
	} else {
		var err error
		if i, err = s.newSlabLocked(); err != nil {
			return // whoever needs a slab will meet it
		}
	}
	s.warming = true
	go func() { // ends with the call; Close waits for it
		// A kernel that refuses, as those before Linux 5.14 do, leaves the first touch as dear as it was.
		err := madviseRaw(s.arena.slotAddr(i*chunkPages), slabBytes, unix.MADV_POPULATE_WRITE)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.warming = false
		defer s.warmed.Broadcast()
		if err == nil {
			s.slabs[i].drained = false
			s.empty++
		}
		s.slabs[i].listed = true
		s.partial = append(s.partial, i)
	}()
}

// awaitWarmLocked waits for the slab that is being brought in, if one is.
func (s *Store) awaitWarmLocked() {
	for s.warming {
		s.warmed.Wait()
	}
}
