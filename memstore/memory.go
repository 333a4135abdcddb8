//go:build cgo

package memstore

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/pagetrie"
)

// MemoryConfig says what a Memory is laid over.
type MemoryConfig struct {
	Store   *Store   // holds the version's pages; required
	Tracker Tracking // required; a Tracker, or a layer around one
	// Base is the address of the memory's first byte, a multiple of 4096. The engine keeps the range until Detach.
	Base uintptr
	// Reserved is how far the memory can grow in place, in bytes: the engine's reservation without its guards.
	Reserved uint64
	// Size is the engine's memory now, in bytes, all of it accessible. At least Version.Size.
	Size uint64
	// Version is laid over the memory. Where the engine's memory is longer, the rest is made zero, and becomes part of the
	// version at the first Commit. Its pages must be live during Attach: held by a Pin, or the newest of their memory.
	Version Version
	// Adopt keeps the bytes that the engine's memory has, instead of laying Version, which must be the zero Version: they
	// count as written by the first message. It is for a new instance whose data segments the engine has placed.
	Adopt bool
	// Query makes a memory whose effects are always thrown away: Rollback only, no Commit. Its caller must hold a Pin
	// that covers Version (or the version given to Advance) from Begin to Rollback.
	Query bool
	// Clock measures the times in Stats; nil means the monotonic clock. A benchmark may want processor time.
	Clock func() time.Duration
	// Like is another memory of the same canister, or nil. Attach then costs as much as the versions differ, instead of a
	// walk over all pages. It may be in use by another goroutine, or detached.
	Like *Memory
}

// maxReserved is the address range of a 32-bit memory, in bytes.
const maxReserved = 4 << 30

// Validate reports everything that is wrong with the configuration.
func (c MemoryConfig) Validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(c.Store == nil, "Store is missing")
	fault(c.Tracker == nil, "Tracker is missing")
	fault(c.Base%PageSize != 0, "Base %#x is not a multiple of %d", c.Base, PageSize)
	fault(c.Reserved > maxReserved, "Reserved %d is more than %d", c.Reserved, uint64(maxReserved))
	fault(c.Size > c.Reserved, "Size %d is more than Reserved %d", c.Size, c.Reserved)
	fault(c.Size%WasmPageSize != 0, "Size %d is not a multiple of %d", c.Size, WasmPageSize)
	fault(c.Version.Size%pagesPerWasm != 0, "Version.Size %d is not a multiple of %d pages", c.Version.Size, pagesPerWasm)
	fault(c.Version.Size.Bytes() > c.Size, "Version has %d bytes, the engine's memory %d", c.Version.Size.Bytes(), c.Size)
	fault(c.Adopt && (c.Version.Size > 0 || c.Version.Pages.Len() > 0), "Adopt wants the zero Version")
	fault(c.Adopt && c.Query, "Adopt and Query exclude each other")
	return errors.Join(faults...)
}

type memoryState int

const (
	idle memoryState = iota
	running
	grown // a Rollback was refused with ErrGrown: only Detach is left
	broken
	detached
)

// Memory is one live linear memory with its newest version. One goroutine uses it at a time.
type Memory struct {
	// mu is held from Begin to Commit or Rollback, and during every other call; the Store's worker takes it between them.
	mu     sync.Mutex
	held   bool        // by the goroutine that uses the memory, which alone reads and writes this
	wanted atomic.Bool // that goroutine waits for mu
	queued bool        // for the Store's worker
	counts bool        // among the Store's running messages

	store    *Store
	tracker  Mechanism
	base     uintptr
	mem      []byte // the reserved range; what is above size is not accessible
	reserved PageCount
	size     PageCount // the engine's memory when the last message began
	tracked  PageCount // pages that the tracker knows; the rest up to size was adopted
	query    bool
	kind     uint64 // of the running message
	version  Version
	layout   *layout

	// handles mirrors version.Pages as a flat table, chunk by chunk as it is needed: 0 for absent. In a chunk that is not
	// filled a few pages may be there too.
	handles []pagetrie.Value
	filled  []bool
	misses  []uint8 // lookups in chunks that are not filled

	// lines says in which 64-byte line a page probably differs from the version, if it does: where it did last, or where
	// the fault was. Comparisons look there first. It is indexed by the page's lowest bits: while it is short, pages share
	// entries, which costs time only.
	lines    []uint8
	searched atomic.Int64 // pages that the last comparison had to search for their difference

	proven bitset // pages whose bytes were held against their hash, or need not be; nil while there are none

	state memoryState
	err   error     // what broke it
	runs  []PageRun // collect's, kept for its memory
	clock func() time.Duration
	stats Stats
}

// Stats counts what a Memory did since Attach. It depends on the machine and on chance; nothing replicated may use it.
type Stats struct {
	Messages  uint64
	Signals   uint64 // faults that reached the signal handler
	Faults    uint64 // page faults of the guest's thread, where the tracker counts them
	Syscalls  uint64 // made by the tracker, in the handler included
	Copied    uint64 // pages copied into the memory (first touch, rollback, advance)
	Compared  uint64 // pages compared by bytes
	Candidate uint64 // pages that the tracker reported
	Changed   uint64 // pages that differed
	FullScans uint64 // walks over the whole memory's page tables
	BroughtIn uint64 // pages made private between messages

	// Time spent in parts of Commit, of all messages: finding candidates and arming again; comparing; copying into the
	// Store and merging into the trie.
	Find, Compare, Save time.Duration
	// Background is the time spent between messages, by the Store's worker or Store.CopyIn; always monotonic.
	Background time.Duration
}

// Attach lays a version over an engine's memory and returns the Memory that tracks it.
func Attach(c MemoryConfig) (*Memory, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("attach memory: %w", err)
	}
	m := &Memory{
		store: c.Store, clock: c.Clock, base: c.Base, query: c.Query, version: c.Version,
		mem:      bytesAt(c.Base, uintptr(c.Reserved)),
		reserved: PageCount(c.Reserved / PageSize),
		size:     PageCount(c.Size / PageSize),
		tracked:  PageCount(c.Size / PageSize),
	}
	if c.Adopt {
		m.tracked = 0
	}
	if start := time.Now(); m.clock == nil {
		m.clock = func() time.Duration { return time.Since(start) }
	}
	var err error
	if m.tracker, err = c.Tracker.Track(m, c); err != nil {
		return nil, fmt.Errorf("attach memory: %w", err)
	}
	if m.handles, err = mapTable[pagetrie.Value](uint32(max(m.reserved, 1))); err != nil {
		return nil, fmt.Errorf("attach memory: %w", err)
	}
	m.lines = make([]uint8, fewLines)
	m.filled = make([]bool, (m.reserved+chunkPages-1)/chunkPages)
	m.misses = make([]uint8, len(m.filled))
	m.layout = newLayout(m, c.Like)
	if err := m.tracker.Attach(); err != nil {
		_ = m.tracker.detach()
		m.free()
		return nil, fmt.Errorf("attach memory: %w", err)
	}
	return m, nil
}

// Version is the memory's newest version. During a message it is the one that the message began with.
func (m *Memory) Version() Version { return m.version }

// Stats is what the Memory did since Attach.
func (m *Memory) Stats() Stats {
	m.hold()
	defer m.letGo()
	return m.stats
}

// hold keeps the Store's worker away, and waits for it at most a slice of its work.
func (m *Memory) hold() {
	if m.held {
		return
	}
	if !m.mu.TryLock() {
		m.wanted.Store(true)
		m.mu.Lock()
		m.wanted.Store(false)
	}
	m.held = true
}

// letGo lets the Store's worker in unless a message is running.
func (m *Memory) letGo() {
	if m.state == running {
		if !m.counts {
			m.counts = true
			m.store.running.Add(1)
		}
		return
	}
	if m.counts {
		m.counts = false
		m.store.running.Add(-1)
	}
	m.held = false
	m.mu.Unlock()
}

// Begin starts a message: writes from here on belong to it. The goroutine that calls it runs the guest.
// Preconditions: no message is running.
func (m *Memory) Begin() error { return m.BeginKind(0) }

// BeginKind is Begin for a message that is expected to write about the pages that the last one of the same kind wrote: a
// kind is a number of the caller's choice, such as a hash of the method's name. A wrong guess costs time only.
func (m *Memory) BeginKind(kind uint64) error {
	m.hold()
	defer m.letGo()
	m.kind = kind
	if err := m.want(idle, "Begin"); err != nil {
		return err
	}
	m.stats.Messages++
	if err := m.tracker.begin(); err != nil {
		return m.fail("begin message", err)
	}
	m.state = running
	return nil
}

// Rollback undoes the running message: every byte is what it was at Begin. size is the memory's size now; if it grew,
// nothing is put back and the answer is ErrGrown: the caller rebuilds the instance. After it only Detach is left.
func (m *Memory) Rollback(size PageCount) error {
	m.hold()
	defer m.letGo()
	if err := m.want(running, "Rollback"); err != nil {
		return err
	}
	if err := m.prove(); err != nil { // a trap, too, is made of what was read
		return m.fail("roll back message", err)
	}
	if size > m.size || m.tracked < m.size { // in the second case the memory was adopted: there is nothing to go back to
		m.tracker.abandon()
		m.state = grown
		return ErrGrown
	}
	if err := m.tracker.Rollback(); err != nil {
		return m.fail("roll back message", err)
	}
	m.state = idle
	return nil
}

// ErrSize is what Advance answers when the engine's memory has not the version's size. Where the version is longer, grow
// the engine's memory and say so with Resize; where it is shorter, rebuild the instance.
var ErrSize = errors.New("the engine's memory has another size than the version")

// Resize tells that the engine's memory grew to size between messages; the new pages are zero.
func (m *Memory) Resize(size PageCount) error {
	m.hold()
	defer m.letGo()
	if err := m.want(idle, "Resize"); err != nil {
		return err
	}
	if err := m.checkSize(size); err != nil {
		return m.fail("resize", err)
	}
	old := m.size
	m.size, m.tracked = size, size
	if err := m.tracker.committed(nil, old); err != nil {
		return m.fail("resize", err)
	}
	return nil
}

// Advance brings the memory to another version of the same canister, in either direction of time. It costs as much as
// the two differ. The version's pages must be live during the call. The replaced version's pages are not retired.
func (m *Memory) Advance(v Version) error {
	m.hold()
	defer m.letGo()
	if err := m.want(idle, "Advance"); err != nil {
		return err
	}
	if v.Size != m.size {
		return fmt.Errorf("advance memory of %d pages to a version of %d: %w", m.size, v.Size, ErrSize)
	}
	var pages []PageIndex
	for c := range pagetrie.Diff(m.version.Pages, v.Pages) {
		pages = append(pages, PageIndex(c.Key))
		m.setHandle(PageIndex(c.Key), c.New, c.HasNew)
	}
	m.version = v
	if err := m.tracker.advance(pages); err != nil {
		return m.fail("advance", err)
	}
	return nil
}

// Detach stops tracking and frees what the Memory holds; the version stays in the Store. Call it before the engine frees
// the range, also after an error. The range's contents are undefined afterwards. Detaching twice does nothing.
func (m *Memory) Detach() error {
	m.hold()
	defer m.letGo()
	if m.state == detached {
		return nil
	}
	m.state = detached
	err := m.tracker.detach()
	m.free()
	if err != nil {
		return fmt.Errorf("detach memory: %w", err)
	}
	return nil
}

func (m *Memory) free() {
	m.layout.release(m.store)
	_ = unmapTable(m.handles)
	m.handles, m.mem = nil, nil
}

// want refuses a call in the wrong state. Wrong order is a broken invariant; a broken memory is an error.
func (m *Memory) want(s memoryState, call string) error {
	switch m.state {
	case s:
		return nil
	case broken:
		return m.err
	case grown:
		return ErrGrown
	}
	panic(fmt.Sprintf("memstore: %s in state %d", call, m.state))
}

// fail breaks the Memory: its contents are no longer known, and every later call but Detach gives this error.
func (m *Memory) fail(doing string, err error) error {
	m.state = broken
	m.err = fmt.Errorf("%s: %w", doing, err)
	return m.err
}

func (m *Memory) checkSize(size PageCount) error {
	if size < m.size || size > m.reserved || size%pagesPerWasm != 0 {
		return fmt.Errorf("memory of %d pages became %d, reserved are %d", m.size, size, m.reserved)
	}
	return nil
}

// page is the live bytes of a page.
func (m *Memory) page(i uint32) []byte {
	return m.mem[uint64(i)<<pageShift : uint64(i+1)<<pageShift]
}

// addr is where a page lies.
func (m *Memory) addr(i uint32) uintptr { return m.base + uintptr(i)<<pageShift }

// fill makes the flat table hold the chunk.
func (m *Memory) fill(chunk uint32) {
	lo := uint64(chunk) << chunkShift
	for k, v := range m.version.Pages.Range(lo, lo+chunkPages) {
		m.handles[k] = v
	}
	m.filled[chunk] = true
}

// handle is the handle of a page in the memory's version, 0 for absent.
func (m *Memory) handle(i uint32) pagetrie.Value {
	chunk := i >> chunkShift
	if h := m.handles[i]; h != 0 || m.filled[chunk] {
		return h
	}
	if m.misses[chunk]++; m.misses[chunk] >= fillAfter {
		m.fill(chunk)
		return m.handles[i]
	}
	if h, ok := m.version.Pages.Get(uint64(i)); ok {
		return h
	}
	return 0
}

// fillAfter is how many lookups in the trie are cheaper than copying a chunk of it into the flat table.
const fillAfter = 32

// setHandle keeps the flat table in step with the version.
func (m *Memory) setHandle(i PageIndex, h pagetrie.Value, present bool) {
	if !m.filled[i>>chunkShift] && m.handles[i] == 0 {
		return // the trie has it
	}
	if !present {
		h = 0
	}
	m.handles[i] = h
}

// old is the bytes of a page in the memory's version.
func (m *Memory) old(i uint32) []byte {
	if h := m.handle(i); h != 0 {
		return m.store.Page(h)
	}
	return zeroPage[:]
}
