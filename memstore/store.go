package memstore

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"lockstep/pagetrie"
)

// StoreConfig sets up a Store. The zero value is usable.
type StoreConfig struct {
	// ReserveBytes is the address space set aside for pages, checkpoint mappings included. 0 means 256 GiB; at most
	// 16 TiB. It is a reservation only: memory is used as pages are added.
	ReserveBytes uint64
	// CopyIn is the work done between messages.
	CopyIn CopyInConfig
}

// CopyInConfig says how much of the memories that are written is made private between messages, so that the first write to
// a page need not wait for the kernel's copy of it. Only the adaptive tracker does it, and never for queries. It changes
// costs, not results. The zero value is usable.
type CopyInConfig struct {
	// PerWrite is how many pages the first write to a page earns. 0 means 64; negative means that nothing is brought in.
	PerWrite int
	// LeastBytes is the size from which on a memory is worth the work. 0 means 1 MiB: 256 first writes are soon done.
	LeastBytes uint64
	// MemoryBytes bounds what is brought in for one memory. 0 means 512 MiB.
	MemoryBytes uint64
	// Manual leaves the work to calls of Store.CopyIn, for owners who know better when the machine is idle.
	Manual bool
}

const (
	defaultReserve = 256 << 30
	maxReserve     = 16 << 40

	copyInPerWrite = 64
	copyInLeast    = 1 << 20
	copyInMemory   = 512 << 20
)

// Validate reports a reservation that cannot be.
func (c StoreConfig) Validate() error {
	if c.ReserveBytes > maxReserve {
		return fmt.Errorf("ReserveBytes %d: at most %d", c.ReserveBytes, uint64(maxReserve))
	}
	return nil
}

func (c CopyInConfig) withDefaults() CopyInConfig {
	if c.PerWrite == 0 {
		c.PerWrite = copyInPerWrite
	}
	if c.LeastBytes == 0 {
		c.LeastBytes = copyInLeast
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = copyInMemory
	}
	return c
}

// Store holds the immutable pages of one replica, each named by a pagetrie.Value. All methods are safe for concurrent
// use. It implements pagetrie.BatchHasher.
type Store struct {
	arena    arena
	unproven atomic.Int32 // files with pages that are not proven
	copyIn   CopyInConfig
	copying  copyQueue
	running  atomic.Int32 // messages

	mu       sync.Mutex
	closed   bool
	slabs    []slab   // those below the high-water mark
	current  int      // slab that slots are taken from, -1 for none
	partial  []uint32 // slabs with free slots, beside current
	ranges   []slabRange
	warming  bool      // a slab is on its way into partial (warm.go)
	warmed   sync.Cond // that has ended
	empty    int       // fully free page slabs that still hold memory
	keep     int       // how many of them may
	live     uint64
	filed    uint64 // live pages that are in checkpoint files
	epoch    uint64
	pins     pinList
	retired  []retirement
	sweeping bool   // somebody frees them
	waiting  uint64 // pages in retired
}

// OpenStore reserves a Store's address range.
func OpenStore(c StoreConfig) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("open page store: %w", err)
	}
	if c.ReserveBytes == 0 {
		c.ReserveBytes = defaultReserve
	}
	s := &Store{current: -1, epoch: 1, copyIn: c.CopyIn.withDefaults()}
	s.warmed.L = &s.mu
	slots := max((c.ReserveBytes+slabBytes-1)/slabBytes*chunkPages, chunkPages)
	if err := s.arena.open(uint32(min(slots, 1<<32-chunkPages))); err != nil {
		_ = s.arena.close()
		return nil, fmt.Errorf("open page store: %w", err)
	}
	return s, nil
}

// Close unmaps everything. No page, Version or Memory of the Store may be used afterwards.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for s.warming {
		s.awaitWarmLocked()
	}
	for i := range s.slabs {
		if b := s.slabs[i].file; b != nil && b.firstSlab == uint32(i) {
			_ = b.file.Close()
		}
	}
	return s.arena.close()
}

func makeValue(gen, slot uint32) pagetrie.Value {
	return pagetrie.Value(uint64(gen)<<32 | uint64(slot))
}
func slotOf(h pagetrie.Value) uint32 { return uint32(h) }

// check panics when the handle does not name a live page.
func (s *Store) check(h pagetrie.Value) uint32 {
	slot := slotOf(h)
	if slot >= s.arena.slots || s.arena.gen(slot) != uint32(h>>32) {
		panic(fmt.Sprintf("memstore: page handle %#x is not live: use after free, or a handle of another store", uint64(h)))
	}
	return slot
}

// Page is the 4096 bytes behind a handle. The slice is read-only and valid while the handle is live: as long as the
// newest version of its memory names it, or a Pin from that time is held. A freed handle panics.
//
// A page of a checkpoint file that is not the one that the checkpoint says is a panic of *pagetrie.Unreadable.
func (s *Store) Page(h pagetrie.Value) []byte {
	slot := s.check(h)
	if s.unproven.Load() != 0 {
		if err := s.prove(h); err != nil {
			panic(err)
		}
	}
	return s.arena.slotBytes(slot)
}

// parallel calls f on parts of [0, n) of about the given grain, on as many goroutines as there are processors, and waits.
// The parts do not overlap. A panic of *pagetrie.Unreadable becomes the caller's, after the wait.
func parallel(n, grain int, f func(lo, hi int)) {
	helpers := min(runtime.GOMAXPROCS(0), n/grain) - 1
	if helpers <= 0 {
		f(0, n)
		return
	}
	share(parts{n, grain, f}, helpers, func(help func()) { go help() })
}

// parts are calls of f on what [0, n) is cut into.
type parts struct {
	n, grain int
	f        func(lo, hi int)
}

// share has the caller and helpers do parts. The caller waits for no helper that has not begun when nothing is left: one that has to
// wait for a processor, behind a system call or a collection of garbage, delays nobody, and ends at once when it gets one.
func share(p parts, helpers int, start func(help func())) {
	var next atomic.Int64
	work := func() (err error) {
		defer pagetrie.CatchUnreadable(&err)
		for {
			lo := int(next.Add(int64(p.grain))) - p.grain
			if lo >= p.n {
				return nil
			}
			p.f(lo, min(lo+p.grain, p.n))
		}
	}
	var mu sync.Mutex
	var begun sync.WaitGroup
	var errs []error
	late := false
	for range helpers {
		start(func() {
			mu.Lock()
			if late {
				mu.Unlock()
				return
			}
			begun.Add(1)
			mu.Unlock()
			defer begun.Done()
			if err := work(); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	err := work()
	mu.Lock()
	late = true
	mu.Unlock()
	begun.Wait()
	for _, err := range append(errs, err) {
		if err != nil {
			panic(err)
		}
	}
}

// Add copies a page into the Store.
// Preconditions: len(page) == PageSize; it is not all zero (absent is how zero is said), else Add panics.
func (s *Store) Add(page []byte) (pagetrie.Value, error) {
	if len(page) != PageSize || isZero(page) {
		panic("memstore: Add wants a page of 4096 bytes that is not all zero")
	}
	var slot [1]uint32
	if err := s.allocate(slot[:]); err != nil {
		return 0, fmt.Errorf("add page: %w", err)
	}
	return s.fill(slot[0], page), nil
}

var zeroPage [PageSize]byte

func isZero(page []byte) bool { return bytes.Equal(page, zeroPage[:]) }

// fill copies page into an allocated slot and names it.
func (s *Store) fill(slot uint32, page []byte) pagetrie.Value {
	copy(s.arena.slotBytes(slot), page)
	return makeValue(s.arena.gen(slot), slot)
}

// Drop retires every page of a version that will not be continued: an uninstalled canister's last one, or the one that a
// restored checkpoint replaces. Pages stay readable for Pins that are held. No Memory may be attached to it.
func (s *Store) Drop(v Version) {
	var handles []pagetrie.Value
	for _, h := range v.Pages.All() {
		handles = append(handles, h)
	}
	s.retire(handles)
}

// Supersede retires the handles of old that next does not have in the same place. It is for a version made outside a
// Memory that takes the place of old, such as the same contents named by a new checkpoint's handles; bring Memories to
// next by Advance first. Costs as much as the two differ.
func (s *Store) Supersede(old, next Version) {
	var handles []pagetrie.Value
	for c := range pagetrie.Diff(old.Pages, next.Pages) {
		if c.HasOld {
			handles = append(handles, c.Old)
		}
	}
	s.retire(handles)
}

// StoreStats says what a Store holds, in pages.
type StoreStats struct {
	Live    uint64 // readable pages, waiting ones included
	Files   uint64 // those of them that are in checkpoint files
	Waiting uint64 // replaced pages that a Pin keeps
	Slots   uint64 // size of the arena in use
	Pins    int
}

// Stats is a snapshot of the Store's books.
func (s *Store) Stats() StoreStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return StoreStats{Live: s.live, Files: s.filed, Waiting: s.waiting, Slots: uint64(len(s.slabs)) * chunkPages, Pins: s.pins.len}
}
