package memstore

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"lockstep/pagetrie"
)

func openStore(t testing.TB) *Store {
	t.Helper()
	s, err := OpenStore(StoreConfig{ReserveBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func testPage(x byte) []byte { return bytes.Repeat([]byte{x}, PageSize) }

func add(t testing.TB, s *Store, x byte) pagetrie.Value {
	t.Helper()
	h, err := s.Add(testPage(x))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}

func TestPinKeepsReplacedPages(t *testing.T) {
	s := openStore(t)
	a, b, c := add(t, s, 1), add(t, s, 2), add(t, s, 3)
	before := s.Pin()
	s.retire([]pagetrie.Value{a})
	between := s.Pin()
	s.retire([]pagetrie.Value{b})
	before.Release()
	if !panics(func() { s.Page(a) }) {
		t.Error("a page that no pin keeps is readable")
	}
	if !bytes.Equal(s.Page(b), testPage(2)) {
		t.Error("a pinned page lost its bytes")
	}
	between.Release()
	between.Release()
	if !panics(func() { s.HashValue(b) }) {
		t.Error("a freed handle has a hash")
	}
	if d := add(t, s, 4); d == a || d == b {
		t.Error("a handle was reused")
	}
	if !bytes.Equal(s.Page(c), testPage(3)) {
		t.Error("a live page lost its bytes")
	}
	if got := s.Stats(); got.Live != 2 || got.Waiting != 0 || got.Pins != 0 {
		t.Errorf("stats: %+v", got)
	}
}

func TestPinsReleasedInAnyOrder(t *testing.T) {
	s := openStore(t)
	rng := rand.New(rand.NewPCG(1, 2))
	type kept struct {
		pin     *Pin
		handles []pagetrie.Value
		bytes   []byte
	}
	var pins []kept
	current := make([]pagetrie.Value, 8)
	value := make([]byte, 8)
	for i := range current {
		value[i] = byte(1 + i)
		current[i] = add(t, s, value[i])
	}
	for range 3000 {
		switch i := rng.IntN(8); rng.IntN(4) {
		case 0:
			pins = append(pins, kept{s.Pin(), bytes2values(current), bytes.Clone(value)})
		case 1:
			if len(pins) > 0 {
				k := rng.IntN(len(pins))
				pins[k].pin.Release()
				pins = append(pins[:k], pins[k+1:]...)
			}
		default:
			old := current[i]
			value[i] = byte(1 + rng.IntN(255))
			current[i] = add(t, s, value[i])
			s.retire([]pagetrie.Value{old})
		}
		for _, p := range pins {
			for i, h := range p.handles {
				if got := s.Page(h); got[0] != p.bytes[i] || got[PageSize-1] != p.bytes[i] {
					t.Fatalf("pinned page reads %d, want %d", got[0], p.bytes[i])
				}
			}
		}
	}
	for _, p := range pins {
		p.pin.Release()
	}
	if got := s.Stats(); got.Live != 8 || got.Waiting != 0 {
		t.Errorf("stats: %+v", got)
	}
}

func bytes2values(v []pagetrie.Value) []pagetrie.Value { return append([]pagetrie.Value(nil), v...) }

// TestReadersBesideCommits reads pinned versions on many goroutines while pages are replaced and slots reused.
func TestReadersBesideCommits(t *testing.T) {
	s := openStore(t)
	var mu sync.Mutex
	var version pagetrie.Map // page i always holds 4096 times the same byte
	for i := range uint64(64) {
		version = version.Insert(i, add(t, s, byte(i)+1))
	}
	var stop atomic.Bool
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for !stop.Load() {
				p := s.Pin()
				mu.Lock()
				v := version
				mu.Unlock()
				for _, h := range v.All() {
					page := s.Page(h)
					if page[0] != page[PageSize-1] || page[0] == 0 {
						t.Error("a pinned page changed")
					}
					if s.HashValue(h) != HashPage(testPage(page[0])) {
						t.Error("wrong hash")
					}
				}
				p.Release()
			}
		})
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		i := uint64(rng.IntN(64))
		h := add(t, s, byte(1+rng.IntN(255)))
		old, _ := version.Get(i)
		mu.Lock()
		version = version.Insert(i, h)
		mu.Unlock()
		s.retire([]pagetrie.Value{old})
	}
	stop.Store(true)
	wait.Wait()
	if got := s.Stats(); got.Live != 64 || got.Waiting != 0 {
		t.Errorf("stats: %+v", got)
	}
}

func TestAddFile(t *testing.T) {
	s := openStore(t)
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const pages = 700 // more than a slab
	f.Write(make([]byte, PageSize))
	for i := range pages {
		f.Write(testPage(byte(i%250) + 1))
	}
	for round := range uint64(3) {
		if _, err := s.AddFile(PageArea{File: f, Offset: 100, Pages: pages}); err == nil {
			t.Fatal("an unaligned page area was taken")
		}
		if _, err := s.AddFile(PageArea{File: f, Offset: PageSize, Pages: pages + 1}); err == nil {
			t.Fatal("a page area behind the end of the file was taken")
		}
		first, err := s.AddFile(PageArea{File: f, Offset: PageSize, Pages: pages})
		if err != nil {
			t.Fatal(err)
		}
		for i := range pages {
			if h := first + pagetrie.Value(i); s.Page(h)[5] != byte(i%250)+1 || s.HashValue(h) != HashPage(s.Page(h)) {
				t.Fatalf("round %d: page %d of the file is wrong", round, i)
			}
		}
		if got := s.Stats(); got.Files != pages || got.Live != pages+round {
			t.Fatalf("stats: %+v", got)
		}
		var all []pagetrie.Value
		for i := range pages {
			all = append(all, first+pagetrie.Value(i))
		}
		pin := s.Pin()
		s.retire(all)
		if s.Page(first)[0] != 1 {
			t.Fatal("a pinned file is unmapped")
		}
		pin.Release()
		if !panics(func() { s.Page(first) }) {
			t.Fatal("an unmapped file's page is readable")
		}
		if got := s.Stats(); got.Files != 0 || got.Live != round {
			t.Fatalf("stats: %+v", got)
		}
		h := add(t, s, 9) // slots come and go between the files
		defer s.Page(h)
	}
}

// TestSweepLetsOthersIn: what a pin has kept is freed a bounded number of pages at a time, by one goroutine.
func TestSweepLetsOthersIn(t *testing.T) {
	s := openStore(t)
	pin := s.Pin()
	for i := range 3 {
		var handles []pagetrie.Value
		for j := range sweepPages {
			handles = append(handles, add(t, s, byte(1+(i+j)%255)))
		}
		s.retire(handles)
	}
	waiting := func(want uint64) {
		t.Helper()
		if got := s.Stats(); got.Waiting != want || got.Live != want {
			t.Errorf("%d pages wait and %d live, want %d", got.Waiting, got.Live, want)
		}
	}
	waiting(3 * sweepPages)
	s.sweeping = true // by another goroutine
	pin.Release()
	waiting(3 * sweepPages)
	if !s.sweepSomeLocked() {
		t.Error("nothing is left to free")
	}
	waiting(2 * sweepPages)
	s.sweeping = false
	s.sweep()
	waiting(0)
}

func TestStoreFull(t *testing.T) {
	s, err := OpenStore(StoreConfig{ReserveBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	slots := make([]uint32, 1024)
	if err := s.allocate(slots); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(testPage(1)); err == nil || !strings.Contains(err.Error(), ErrStoreFull.Error()) {
		t.Fatalf("a full store answers %v", err)
	}
	s.release(slots)
	add(t, s, 1)
}

// TestNextSlabIsWarm: a slab is brought in before it is needed, is counted as warm, and is the last of a full store too.
func TestNextSlabIsWarm(t *testing.T) {
	s, err := OpenStore(StoreConfig{ReserveBytes: 3 * slabBytes})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.allocate(make([]uint32, chunkPages+1)); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	settleLocked(s)
	if len(s.partial) != 1 || s.partial[0] != 2 || s.slabs[2].drained || s.empty != 1 {
		t.Errorf("slabs to take next: %d, of them warm: %d", s.partial, s.empty)
	}
	s.mu.Unlock()
	wantInMemory(t, s, 2)
	if err := s.allocate(make([]uint32, 2*chunkPages-1)); err != nil || s.empty != 0 {
		t.Errorf("the last slab: %d warm, %v", s.empty, err)
	}
	if err := s.allocate(make([]uint32, 1)); err != ErrStoreFull {
		t.Errorf("a full store answers %v", err)
	}
}

// settleLocked waits until no slab is being brought in.
func settleLocked(s *Store) {
	for s.warming {
		s.awaitWarmLocked()
	}
}

// TestSeveralSlabsAreWarm: what rounds take while one slab is being brought in is in memory, be it whole slabs or free slots in many.
func TestSeveralSlabsAreWarm(t *testing.T) {
	s := openStore(t)
	slots := make([]uint32, 40*chunkPages)
	if err := s.allocate(slots); err != nil {
		t.Fatal(err)
	}
	warm := func() (n int) {
		for k := len(s.partial) - 1; k >= 0 && !s.slabs[s.partial[k]].drained; k-- {
			n += int(s.slabs[s.partial[k]].nfree)
		}
		return n
	}
	s.mu.Lock()
	settleLocked(s)
	s.mu.Unlock()
	s.allocate(make([]uint32, 1)) // of another slab: the next ones are wanted
	s.mu.Lock()
	defer s.mu.Unlock()
	settleLocked(s)
	if n := warm(); n < warmSlabs*chunkPages {
		t.Errorf("%d free slots are in memory, want %d", n, warmSlabs*chunkPages)
	}
	s.freeLocked(slots[chunkPages : chunkPages+8]) // a slab with few free slots comes on top
	s.warmLocked()
	settleLocked(s)
	if n := warm(); n < warmSlabs*chunkPages {
		t.Errorf("with a slab that is nearly full: %d free slots are in memory, want %d", n, warmSlabs*chunkPages)
	}
}

// TestLastSlabIsWaitedFor: a store is not full while its last slab is being brought in.
func TestLastSlabIsWaitedFor(t *testing.T) {
	s, err := OpenStore(StoreConfig{ReserveBytes: 3 * slabBytes})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.allocate(make([]uint32, 3*chunkPages)); err != nil {
		t.Error(err)
	}
}

func TestSlabsComeBack(t *testing.T) {
	s := openStore(t)
	for range 5 {
		slots := make([]uint32, 100*chunkPages) // more than what stays warm
		if err := s.allocate(slots); err != nil {
			t.Fatal(err)
		}
		for _, slot := range slots {
			s.arena.slotBytes(slot)[0] = 1
		}
		s.release(slots)
	}
	if got := s.Stats(); got.Slots > (101+warmSlabs)*chunkPages || got.Live != 0 {
		t.Errorf("stats: %+v", got)
	}
}

func TestAddRefusesZero(t *testing.T) {
	s := openStore(t)
	if !panics(func() { s.Add(make([]byte, PageSize)) }) {
		t.Error("a zero page was stored")
	}
	if !panics(func() { s.Page(0) }) || !panics(func() { s.Page(1 << 40) }) {
		t.Error("a made-up handle is readable")
	}
}

func TestVersionRoot(t *testing.T) {
	s := openStore(t)
	h := add(t, s, 1)
	a := Version{Size: 16}
	if a.Root(s) == (Version{Size: 32}).Root(s) {
		t.Error("the size is not in the root")
	}
	b := Version{Size: 16, Pages: a.Pages.Insert(3, h)}
	c := Version{Size: 16, Pages: a.Pages.Insert(4, h)}
	if b.Root(s) == a.Root(s) || b.Root(s) == c.Root(s) {
		t.Error("different memories have one root")
	}
	if HashPage(testPage(1)) == HashPage(testPage(2)) {
		t.Error("different pages have one hash")
	}
}

// TestLateHelperIsNotWaitedFor: parallel work ends without the goroutines that get no processor, and what they do later is nothing.
func TestLateHelperIsNotWaitedFor(t *testing.T) {
	done := make([]int, 10)
	var late []func()
	share(parts{len(done), 3, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			done[i]++
		}
	}}, 2, func(help func()) { late = append(late, help) })
	for _, help := range late {
		help()
	}
	for i, n := range done {
		if n != 1 {
			t.Errorf("part %d was done %d times", i, n)
		}
	}
	if len(late) != 2 {
		t.Errorf("%d helpers, want 2", len(late))
	}
}

// TestParallelCarriesDamage: a worker that finds a damaged page does not end the process.
func TestParallelCarriesDamage(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	reason := errors.New("a damaged page")
	compare := func() (err error) {
		defer pagetrie.CatchUnreadable(&err)
		parallel(8, 1, func(lo, _ int) {
			if lo == 5 {
				panic(&pagetrie.Unreadable{Err: reason})
			}
		})
		return nil
	}
	if err := compare(); !errors.Is(err, reason) {
		t.Errorf("error %v", err)
	}
}
