package memstore

import "lockstep/pagetrie"

// Pin keeps pages. Every page of every version that was the newest of its memory when the Pin was taken, or became so
// later, stays readable until Release.
//
// Take the Pin first and read the version afterwards: a version read before the Pin may have been replaced in between.
type Pin struct {
	store      *Store
	epoch      uint64
	prev, next *Pin
	released   bool
}

// pinList holds the Pins in the order of their epochs.
type pinList struct {
	head, tail *Pin
	len        int
}

// retirement is a set of handles that a commit replaced. It can be freed when no Pin is older than its epoch.
type retirement struct {
	epoch   uint64
	handles []pagetrie.Value
}

// Pin starts keeping pages. O(1).
func (s *Store) Pin() *Pin {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &Pin{store: s, epoch: s.epoch, prev: s.pins.tail}
	if p.prev != nil {
		p.prev.next = p
	} else {
		s.pins.head = p
	}
	s.pins.tail = p
	s.pins.len++
	return p
}

// Release frees what only this Pin kept. Releasing twice does nothing.
func (p *Pin) Release() {
	s := p.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.released {
		return
	}
	p.released = true
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		s.pins.head = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	} else {
		s.pins.tail = p.prev
	}
	p.prev, p.next = nil, nil
	s.pins.len--
	s.sweepLocked()
}

// retire ends the life of handles as soon as no Pin that could reach them is held. It takes ownership of the slice.
func (s *Store) retire(handles []pagetrie.Value) {
	if len(handles) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.epoch++
	s.retired = append(s.retired, retirement{s.epoch, handles})
	s.waiting += uint64(len(handles))
	s.sweepLocked()
}

// sweepLocked frees the retirements that are no younger than the oldest Pin.
func (s *Store) sweepLocked() {
	if s.closed {
		return
	}
	oldest := s.epoch
	if s.pins.head != nil {
		oldest = s.pins.head.epoch
	}
	n := 0
	for ; n < len(s.retired) && s.retired[n].epoch <= oldest; n++ {
		s.waiting -= uint64(len(s.retired[n].handles))
		s.freeHandlesLocked(s.retired[n].handles)
		s.retired[n] = retirement{}
	}
	if n == len(s.retired) {
		s.retired = s.retired[:0]
	} else {
		s.retired = s.retired[n:]
	}
}
