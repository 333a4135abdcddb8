package memstore

import (
	"runtime"

	"lockstep/pagetrie"
)

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
	p.store.forget(p)
	p.store.sweep()
}

// forget takes a Pin out of the list, once.
func (s *Store) forget(p *Pin) {
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
}

// retire ends the life of handles as soon as no Pin that could reach them is held. It takes ownership of the slice.
func (s *Store) retire(handles []pagetrie.Value) {
	if len(handles) == 0 {
		return
	}
	s.mu.Lock()
	if !s.closed {
		s.epoch++
		s.retired = append(s.retired, retirement{s.epoch, handles})
		s.waiting += uint64(len(handles))
	}
	s.mu.Unlock()
	s.sweep()
}

// sweepPages is how many pages are freed at a time: a commit that wants the Store's lock waits for no more, however many pages a
// Pin has kept.
const sweepPages = 256

// sweep frees the retirements that are no younger than the oldest Pin, unless somebody else is at it.
func (s *Store) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sweeping {
		return
	}
	s.sweeping = true
	for s.sweepSomeLocked() {
		s.mu.Unlock()
		runtime.Gosched()
		s.mu.Lock()
	}
	s.sweeping = false
}

// sweepSomeLocked frees some of them, and says whether more are left.
func (s *Store) sweepSomeLocked() bool {
	oldest := s.epoch
	if s.pins.head != nil {
		oldest = s.pins.head.epoch
	}
	for free := sweepPages; !s.closed && len(s.retired) > 0 && s.retired[0].epoch <= oldest; {
		if free == 0 {
			return true
		}
		r := &s.retired[0]
		n := min(free, len(r.handles))
		s.waiting -= uint64(n)
		s.freeHandlesLocked(r.handles[:n])
		free -= n
		if r.handles = r.handles[n:]; len(r.handles) == 0 {
			s.retired[0] = retirement{}
			s.retired = s.retired[1:]
		}
	}
	if len(s.retired) == 0 {
		s.retired = nil
	}
	return false
}
