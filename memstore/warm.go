package memstore

// warmSlabs is how many slabs of free slots are kept brought in at most; a store of fewer than eight times as many has an eighth of
// its slabs.
const warmSlabs = 4

// warmLocked has the memory of the slabs that are taken next brought in on a goroutine of its own, so that a commit does not wait
// for it: a slab that was never used, or whose memory was given back, is 2 MiB for the kernel to find and clear, and where the
// machine is a guest its host too. A commit of many pages takes slabs as they come.
func (s *Store) warmLocked() {
	if s.warming || s.closed {
		return
	}
	if _, cold := s.coldLocked(); cold {
		s.warming = true
		go s.warm() // ends when enough are warm; Close waits for it
	}
}

// coldLocked reports whether too few of the slots that are taken next are in memory, and where in the list the cold slab is that is
// taken first: -1 if it is yet to be made.
func (s *Store) coldLocked() (at int, cold bool) {
	want := chunkPages * min(max(len(s.slabs)/8, 1), warmSlabs)
	for at = len(s.partial) - 1; at >= 0 && want > 0; at-- {
		b := &s.slabs[s.partial[at]]
		if b.drained {
			return at, true
		}
		want -= int(b.nfree)
	}
	return -1, want > 0
}

func (s *Store) warm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed {
		at, cold := s.coldLocked()
		if !cold || !s.warmOneLocked(at) {
			break
		}
	}
	s.warming = false
	s.warmed.Broadcast()
}

// warmOneLocked brings in one slab and puts it where it is taken next. The lock is free meanwhile, and the slab in no list.
func (s *Store) warmOneLocked(at int) bool {
	var i uint32
	var err error
	if at >= 0 {
		i = s.partial[at]
		s.partial = append(s.partial[:at], s.partial[at+1:]...)
	} else if i, err = s.takeSlabsLocked(1); err != nil {
		return false // whoever needs a slab will meet it
	}
	s.mu.Unlock()
	if at < 0 {
		err = s.arena.openSlab(i)
	}
	if err == nil {
		s.arena.touchSlab(i)
	}
	s.mu.Lock()
	if err != nil {
		s.ranges = append(s.ranges, slabRange{i, 1})
		return false
	}
	if at < 0 {
		s.slabs[i] = freeSlab()
	}
	s.slabs[i].drained, s.slabs[i].listed = false, true
	s.empty++
	s.partial = append(s.partial, i)
	s.warmed.Broadcast()
	return true
}

// awaitWarmLocked waits for a slab that is being brought in, if one is.
func (s *Store) awaitWarmLocked() {
	if s.warming {
		s.warmed.Wait()
	}
}
