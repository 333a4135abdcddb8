//go:build cgo

package memstore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lockstep/pagetrie"
)

// choices is where a generated program takes its decisions from: a seed, or the bytes that the fuzzer made.
type choices interface {
	below(n int) int // 0 <= result < n
	more() bool
}

type seeded struct {
	*rand.Rand
	messages int
}

func newSeeded(seed uint64, messages int) *seeded {
	return &seeded{rand.New(rand.NewPCG(seed, 0x6c6f636b)), messages}
}
func (s *seeded) below(n int) int { return s.IntN(n) }
func (s *seeded) more() bool      { s.messages--; return s.messages >= 0 }

type fuzzed struct{ data []byte }

func (f *fuzzed) below(n int) int {
	x := 0
	for m := 1; m < n && len(f.data) > 0; m <<= 8 {
		x = x<<8 | int(f.data[0])
		f.data = f.data[1:]
	}
	return x % n
}
func (f *fuzzed) more() bool { return len(f.data) > 0 }

// engine plays the part of a Wasm engine: a reserved range whose accessible part grows.
type engine struct {
	mem  []byte
	size int
}

func newEngine(reserved, size int) (*engine, error) {
	b, err := unix.Mmap(-1, 0, reserved, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	e := &engine{mem: b}
	return e, e.grow(size)
}

func (e *engine) grow(size int) error {
	if size == e.size {
		return nil
	}
	err := unix.Mprotect(e.mem[e.size:size], unix.PROT_READ|unix.PROT_WRITE)
	e.size = size
	return err
}

func (e *engine) pages() PageCount { return PageCount(e.size / PageSize) }
func (e *engine) close() error     { return unix.Munmap(e.mem) }

// bench is a memory under test beside its flat model.
type testbed struct {
	choices
	store    *Store
	tracker  Tracker
	sabotage func(*Memory) Mechanism // replaces or tunes the tracker, or nil
	maxWasm  int                     // reservation in Wasm pages
	dir      string

	engine *engine
	m      *Memory
	model  []byte   // what the memory must hold
	before []byte   // the model at Begin
	past   []past   // versions kept by a pin
	hashes []string // root after every committed message
}

type past struct {
	pin     *Pin
	version Version
	model   []byte
}

func (b *testbed) start(v Version, size int, like *Memory) (err error) {
	if b.engine, err = newEngine(b.maxWasm*WasmPageSize, size); err != nil {
		return err
	}
	b.m, err = Attach(MemoryConfig{
		Store: b.store, Tracker: b.tracker, Base: addrOf(b.engine.mem), Reserved: uint64(len(b.engine.mem)),
		Size: uint64(size), Version: v, Like: like,
	})
	if err == nil && b.sabotage != nil {
		b.m.tracker = b.sabotage(b.m)
	}
	return err
}

func (b *testbed) stop() error { return errors.Join(b.m.Detach(), b.engine.close()) }

// run executes a generated program and reports the first difference from the model.
func (b *testbed) run() (err error) {
	size := b.below(min(4, b.maxWasm)+1) * WasmPageSize
	b.model = make([]byte, size)
	if err := b.start(Version{}, size, nil); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, b.stop())
		for _, p := range b.past {
			p.pin.Release()
		}
		b.store.Drop(b.m.version)
		if s := b.store.Stats(); err == nil && (s.Live != 0 || s.Waiting != 0) {
			err = fmt.Errorf("store leaks: %+v", s)
		}
	}()
	for n := 0; b.more(); n++ {
		if err := b.message(); err != nil {
			return fmt.Errorf("message %d: %w", n, err)
		}
		b.store.CopyIn(time.Minute)
		if err := b.between(); err != nil {
			return fmt.Errorf("after message %d: %w", n, err)
		}
	}
	return nil
}

func (b *testbed) message() error {
	if err := b.m.BeginKind(uint64(b.below(3))); err != nil {
		return err
	}
	b.before = slices.Clone(b.model)
	for range b.below(12) {
		if err := b.op(); err != nil {
			return err
		}
	}
	if b.below(4) == 0 {
		return b.trap()
	}
	return b.commit()
}

// offset favours page borders and a small working set.
func (b *testbed) offset(room int) int {
	n := len(b.model) - room
	if n <= 0 {
		return 0
	}
	switch b.below(4) {
	case 0:
		return b.below(n + 1)
	case 1:
		return min(b.below(n/PageSize+1)*PageSize, n)
	case 2:
		return min(max(b.below(n/PageSize+1)*PageSize-b.below(16), 0), n)
	}
	return min(b.below(8)*PageSize+b.below(32), n)
}

func (b *testbed) op() error {
	if kind := b.below(8); kind == 0 {
		return b.growBy(b.below(3))
	} else if len(b.model) > 0 {
		return b.access(kind)
	}
	return nil
}

func (b *testbed) growBy(wasmPages int) error {
	size := b.engine.size + wasmPages*WasmPageSize
	if size > len(b.engine.mem) {
		return nil // memory.grow answers -1
	}
	b.model = append(b.model, make([]byte, size-len(b.model))...)
	return b.engine.grow(size)
}

func (b *testbed) access(kind int) error {
	mem := b.engine.mem
	switch kind {
	case 1, 2: // load
		w := 1 << b.below(5)
		at := b.offset(w)
		if w = min(w, len(b.model)-at); !bytes.Equal(mem[at:at+w], b.model[at:at+w]) {
			return fmt.Errorf("load of %d bytes at %#x: got %x, want %x", w, at, mem[at:at+w], b.model[at:at+w])
		}
	case 3, 4, 5: // store of any width
		w := 1 << b.below(5)
		at := b.offset(w)
		for i := at; i < min(at+w, len(b.model)); i++ {
			x := byte(b.below(3)) // often what is there already
			mem[i], b.model[i] = x, x
		}
	case 6: // fill
		at, n := b.offset(1), b.below(3*PageSize)
		n = min(n, len(b.model)-at)
		x := byte(b.below(2))
		for i := at; i < at+n; i++ {
			b.model[i] = x
		}
		fillBytes(mem[at:at+n], x)
	case 7: // copy
		from, to, n := b.offset(1), b.offset(1), b.below(5*PageSize)
		n = min(n, len(b.model)-from, len(b.model)-to)
		copy(mem[to:to+n], mem[from:from+n])
		copy(b.model[to:to+n], b.model[from:from+n])
	}
	return nil
}

func fillBytes(b []byte, x byte) {
	for i := range b {
		b[i] = x
	}
}

func (b *testbed) trap() error {
	b.model = b.before
	err := b.m.Rollback(b.engine.pages())
	if errors.Is(err, ErrGrown) {
		if b.engine.size == len(b.before) && b.engine.size > 0 && b.m.tracked == b.m.size {
			return fmt.Errorf("rollback without growth: %w", err)
		}
		return b.restart()
	}
	if err != nil {
		return err
	}
	if b.engine.size != len(b.before) {
		return errors.New("rollback of a memory that grew was not refused")
	}
	return b.checkLive("after rollback")
}

func (b *testbed) commit() error {
	c, err := b.m.Commit(b.engine.pages())
	if err != nil {
		return err
	}
	want := diffPages(b.before, b.model)
	if !slices.Equal(c.Changed, want) {
		return fmt.Errorf("changed pages: got %v, want %v", c.Changed, want)
	}
	if len(c.Handles) != len(c.Changed) {
		return fmt.Errorf("%d handles for %d changed pages", len(c.Handles), len(c.Changed))
	}
	for k, i := range c.Changed {
		if h, ok := c.Version.Pages.Get(uint64(i)); ok != (c.Handles[k] != 0) || ok && h != c.Handles[k] {
			return fmt.Errorf("handle of page %d is %#x, the version has %#x", i, c.Handles[k], h)
		}
	}
	if c.Version.Size != b.engine.pages() {
		return fmt.Errorf("version has %d pages, the memory %d", c.Version.Size, b.engine.pages())
	}
	b.hashes = append(b.hashes, c.Version.Root(b.store).String())
	return checkVersion(b.store, c.Version, b.model)
}

// checkVersion compares a version with the bytes that it must have.
func checkVersion(s *Store, v Version, want []byte) error {
	for i := range len(want) / PageSize {
		got, page := zeroPage[:], want[i*PageSize:(i+1)*PageSize]
		h, ok := v.Pages.Get(uint64(i))
		if ok {
			if got = s.Page(h); isZero(got) {
				return fmt.Errorf("page %d is zero and present", i)
			}
			if s.HashValue(h) != HashPage(page) {
				return fmt.Errorf("page %d has a wrong hash", i)
			}
		}
		if !bytes.Equal(got, page) {
			return fmt.Errorf("page %d of the version differs from the model", i)
		}
	}
	for k := range v.Pages.All() {
		if int(k) >= len(want)/PageSize {
			return fmt.Errorf("page %d lies behind the memory's end", k)
		}
	}
	return nil
}

func diffPages(a, b []byte) (changed []PageIndex) {
	for i := range len(b) / PageSize {
		old := zeroPage[:]
		if (i+1)*PageSize <= len(a) {
			old = a[i*PageSize : (i+1)*PageSize]
		}
		if !bytes.Equal(old, b[i*PageSize:(i+1)*PageSize]) {
			changed = append(changed, PageIndex(i))
		}
	}
	return changed
}

// checkLive reads the live memory, as the next message would.
func (b *testbed) checkLive(when string) error {
	if at := mismatch(b.engine.mem[:len(b.model)], b.model); at >= 0 {
		return fmt.Errorf("%s: live memory differs from the model at %#x (page %d)", when, at, at/PageSize)
	}
	return nil
}

func mismatch(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// between does what a replica does from one message to the next.
func (b *testbed) between() error {
	switch b.below(10) {
	case 0:
		return b.restart()
	case 1:
		return b.rebase()
	case 2:
		b.past = append(b.past, past{b.store.Pin(), b.m.Version(), slices.Clone(b.model)})
	case 3:
		return b.query()
	case 4:
		return b.timeTravel()
	case 5:
		if n := len(b.past); n > 0 {
			k := b.below(n)
			b.past[k].pin.Release()
			b.past = slices.Delete(b.past, k, k+1)
		}
	}
	for _, p := range b.past {
		if err := checkVersion(b.store, p.version, p.model); err != nil {
			return fmt.Errorf("pinned version: %w", err)
		}
	}
	return nil
}

// restart makes a new instance from the last version.
func (b *testbed) restart() error {
	v, old := b.m.Version(), b.m
	if b.below(2) == 0 {
		old = nil
	}
	if err := b.stop(); err != nil {
		return err
	}
	if err := b.start(v, len(b.model), old); err != nil {
		return err
	}
	return b.checkLive("after restart")
}

// rebase writes a checkpoint and goes on from its file.
func (b *testbed) rebase() error {
	v := b.m.Version()
	if v.Pages.Len() == 0 || v.Size != b.engine.pages() {
		return nil
	}
	next, err := checkpoint(b.store, b.dir, v)
	if err != nil {
		return err
	}
	if next.Root(b.store) != v.Root(b.store) {
		return errors.New("a checkpoint has another root than its version")
	}
	if err := b.m.Advance(next); err != nil {
		return err
	}
	b.store.Supersede(v, next)
	return b.checkLive("after rebase")
}

// checkpoint writes a version's pages to a file and gives the version made of the file's pages.
func checkpoint(s *Store, dir string, v Version) (Version, error) {
	f, err := os.CreateTemp(dir, "pages")
	if err != nil {
		return v, err
	}
	defer f.Close()
	defer os.Remove(f.Name())
	var hashes []pagetrie.Hash
	for _, h := range v.Pages.All() {
		if _, err := f.Write(s.Page(h)); err != nil {
			return v, err
		}
		hashes = append(hashes, s.HashValue(h))
	}
	first, err := s.AddFile(PageArea{File: f, Pages: PageCount(len(hashes)), Hash: func(i PageCount) pagetrie.Hash { return hashes[i] }})
	if err != nil {
		return v, err
	}
	b := pagetrie.Map{}.Edit()
	for k := range v.Pages.All() {
		b.Insert(k, first)
		first++
	}
	return Version{Size: v.Size, Pages: b.Map()}, nil
}

// query runs a message on an older version, in a memory of its own, and throws its effects away.
func (b *testbed) query() error {
	if len(b.past) == 0 {
		return nil
	}
	p := b.past[b.below(len(b.past))]
	q := &testbed{choices: b.choices, store: b.store, tracker: b.tracker, maxWasm: b.maxWasm, model: slices.Clone(p.model)}
	var err error
	if q.engine, err = newEngine(q.maxWasm*WasmPageSize, len(p.model)); err != nil {
		return err
	}
	q.m, err = Attach(MemoryConfig{
		Store: q.store, Tracker: q.tracker, Base: addrOf(q.engine.mem), Reserved: uint64(len(q.engine.mem)),
		Size: uint64(q.engine.size), Version: p.version, Query: true, Like: b.m,
	})
	if err != nil {
		return err
	}
	for range 2 {
		if err := q.m.Begin(); err != nil {
			return err
		}
		for range b.below(6) {
			if err := q.access(1 + b.below(7)); len(q.model) > 0 && err != nil {
				return fmt.Errorf("query: %w", err)
			}
		}
		q.model = slices.Clone(p.model)
		if err := q.m.Rollback(q.engine.pages()); err != nil {
			return fmt.Errorf("query: %w", err)
		}
		if err := q.checkLive("after a query"); err != nil {
			return err
		}
	}
	return q.stop()
}

// timeTravel moves the live memory to an older version and back.
func (b *testbed) timeTravel() error {
	for _, p := range b.past {
		now, model := b.m.Version(), b.model
		if p.version.Size != b.engine.pages() || now.Size != p.version.Size {
			continue
		}
		if err := b.m.Advance(p.version); err != nil {
			return err
		}
		b.model = p.model
		if err := b.checkLive("in the past"); err != nil {
			return err
		}
		b.model = model
		if err := b.m.Advance(now); err != nil {
			return err
		}
		return b.checkLive("back from the past")
	}
	return nil
}
