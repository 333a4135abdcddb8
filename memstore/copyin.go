//go:build cgo

package memstore

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	copyInSlice   = 64 // pages brought in before a message gets its turn: about 100 us
	copyInRecent  = 64 // chunks remembered
	copyInTurn    = time.Millisecond
	copyInLongest = 16 * time.Millisecond // from one look for a pause to the next
)

// copyInPages counts what all memories of the process were brought in, copyInLimit bounds it: an eighth of the machine's
// memory.
var (
	copyInPages atomic.Int64
	copyInLimit = sync.OnceValue(func() int64 {
		var info unix.Sysinfo_t
		if unix.Sysinfo(&info) != nil {
			return 0
		}
		return int64(uint64(info.Totalram) * uint64(info.Unit) / 8 / PageSize)
	})
)

// copyQueue is the memories of a Store that have earned pages, and the worker that brings them in. The worker is a
// goroutine that ends when nobody is left in the queue.
type copyQueue struct {
	mu      sync.Mutex
	waiting []*Memory
	working bool
	looks   uint64 // how often the worker looked for a pause and found none
}

// wantCopyIn queues a memory. Its lock is held.
func (s *Store) wantCopyIn(m *Memory) {
	q := &s.copying
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, m)
	if !q.working && !s.copyIn.Manual {
		q.working = true
		go s.copyInWorker()
	}
}

// next takes a memory out of the queue; without one the worker is over.
func (q *copyQueue) next() *Memory {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.working = false
		return nil
	}
	m := q.waiting[0]
	q.waiting = q.waiting[1:]
	return m
}

func (q *copyQueue) put(m *Memory) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, m)
}

// putOff is put for a memory that found no pause.
func (q *copyQueue) putOff(m *Memory) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.looks++
	q.waiting = append(q.waiting, m)
}

// copyInWorker works slice by slice while no memory of the Store has a message running, and rests as long as it works, so
// that it takes no more than half of a processor. It keeps out of the way of messages of other memories, too: what a message
// unmaps or protects the processor on which the worker runs would have to be told.
func (s *Store) copyInWorker() {
	start, wait := time.Now(), copyInTurn
	for m := s.copying.next(); m != nil; m = s.copying.next() {
		if s.running.Load() > 0 {
			s.copying.putOff(m)
			time.Sleep(wait)
			start, wait = time.Now(), min(2*wait, copyInLongest)
			continue
		}
		if m.copyInSlice() {
			s.copying.put(m)
		}
		if worked := time.Since(start); worked >= copyInTurn {
			time.Sleep(worked)
			start, wait = time.Now(), copyInTurn
		}
	}
}

// CopyIn brings in what the Store's memories have earned, until it is done or the time is over, and says how long it took.
// It is for stores whose configuration says Manual.
// Preconditions: the caller has no message running; it waits for those of others.
func (s *Store) CopyIn(limit time.Duration) time.Duration {
	start := time.Now()
	for time.Since(start) < limit {
		m := s.copying.next()
		if m == nil {
			break
		}
		if m.copyInSlice() {
			s.copying.put(m)
		}
	}
	return time.Since(start)
}

// copyInSlice brings in a few pages between two messages and says whether there is more to do.
func (m *Memory) copyInSlice() (more bool) {
	for m.wanted.Load() { // a message goes first
		runtime.Gosched()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tracker.(copier)
	if m.state != idle || !ok {
		m.queued = false
		return false
	}
	start := time.Now()
	more, err := t.copyIn()
	m.stats.Background += time.Since(start)
	if err != nil {
		_ = m.fail("bring pages in", err)
		more = false
	}
	m.queued = more
	return more
}

// copier is a tracker that has work to do between messages.
type copier interface {
	// copyIn does a slice of it, and says whether there is more. The memory is idle and locked.
	copyIn() (more bool, err error)
}

// bringer knows which pages of a memory are its own and which to bring in next.
type bringer struct {
	own    bitset   // pages that were written or brought in
	earned int      // pages that may be brought in
	held   int      // pages brought in, until detach
	recent []uint32 // chunks of first writes, the newest last
	next   uint32   // page at which the rest goes on
	off    bool     // the kernel refused
}

// brings says whether pages of this memory are brought in at all.
func (t *adaptive) brings() bool {
	c := &t.m.store.copyIn
	return c.PerWrite >= 0 && uint64(t.m.tracked)*PageSize >= c.LeastBytes && !t.m.query && !t.bring.off
}

// owns notes pages that are the memory's own without having earned anything.
func (t *adaptive) owns(r PageRun) {
	if !t.brings() {
		return
	}
	b := &t.bring
	if b.own == nil {
		b.own = newBitset(int(t.m.reserved))
	}
	for p := r.Start; p < r.End; p++ {
		b.own.set(p)
	}
}

// earn counts the first writes among changed pages.
func (t *adaptive) earn(changed []PageIndex) {
	if !t.brings() {
		return
	}
	m, b := t.m, &t.bring
	config := m.store.copyIn
	if b.own == nil {
		b.own = newBitset(int(m.reserved))
	}
	for _, i := range changed {
		if p := uint32(i); !b.own.has(p) {
			b.own.set(p)
			b.earned += config.PerWrite
			if c := p >> chunkShift; len(b.recent) == 0 || b.recent[len(b.recent)-1] != c {
				b.recent = append(b.recent, c)
			}
		}
	}
	if n := len(b.recent); n > copyInRecent {
		b.recent = append(b.recent[:0], b.recent[n-copyInRecent:]...)
	}
	b.earned = min(b.earned, int(config.MemoryBytes/PageSize)-b.held)
	if !m.queued && t.mayCopyIn() {
		m.queued = true
		m.store.wantCopyIn(m)
	}
}

// mayCopyIn says whether there is something to bring in. While a memory is cold, its own pages are its candidates, so that
// to bring in others would have them compared. While a checkpoint file is being proven, the pages that are mapped are held
// against their hashes by the next message, so that to bring in others would have it hash them.
func (t *adaptive) mayCopyIn() bool {
	return t.warm && t.bring.earned > 0 && t.m.store.unproven.Load() == 0
}

// copyIn brings in a few pages and arms them. Their bytes stay as they are, and nobody writes to them meanwhile: the memory
// is locked and no message is running.
func (t *adaptive) copyIn() (more bool, err error) {
	if !t.mayCopyIn() {
		return false, nil
	}
	b := &t.bring
	r := t.nextIn()
	n := int64(r.pages())
	if n == 0 || copyInPages.Add(n) > copyInLimit() {
		copyInPages.Add(-n)
		b.earned = 0
		return false, nil
	}
	t.owns(r)
	b.held += int(n)
	b.earned -= int(n)
	t.m.stats.BroughtIn += uint64(n)
	t.m.stats.Syscalls++
	if madviseRaw(t.m.addr(r.Start), uintptr(n)<<pageShift, unix.MADV_POPULATE_WRITE) != nil {
		b.off, b.earned = true, 0 // advice only: the pages are mapped by faults; what was brought in is armed all the same
	}
	if !t.dense.has(r.Start >> chunkShift) {
		err = t.m.rearm(r)
	}
	return b.earned > 0, err
}

// nextIn is a run of pages of one chunk to be brought in: around the latest first writes, else the lowest. It is empty
// where nothing is left.
func (t *adaptive) nextIn() PageRun {
	b, end := &t.bring, uint32(t.m.tracked)
	for n := len(b.recent); n > 0; n = len(b.recent) {
		c := b.recent[n-1]
		if r := b.missing(c<<chunkShift, min((c+1)<<chunkShift, end)); r.pages() > 0 {
			return r
		}
		b.recent = b.recent[:n-1]
	}
	for b.next < end {
		border := min((b.next|(chunkPages-1))+1, end)
		if r := b.missing(b.next, border); r.pages() > 0 {
			return r
		}
		b.next = border
	}
	return PageRun{}
}

// missing is the first run of pages from start to end that are not the memory's own, at most a slice of what was earned.
func (b *bringer) missing(start, end uint32) PageRun {
	for start < end && b.own.has(start) {
		start++
	}
	r := PageRun{start, start}
	for r.End < end && r.pages() < min(copyInSlice, b.earned) && !b.own.has(r.End) {
		r.End++
	}
	return r
}

// release gives back what the memory held of the process's share.
func (b *bringer) release() {
	copyInPages.Add(-int64(b.held))
	b.held, b.earned = 0, 0
}
