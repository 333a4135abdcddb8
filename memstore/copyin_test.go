//go:build cgo

package memstore

import (
	"errors"
	"testing"
	"time"
)

// copyInTest attaches an adaptive memory of zeroes to a store with a configuration.
func copyInTest(t *testing.T, c CopyInConfig, pages int) (*Store, *engine, *Memory) {
	t.Helper()
	skipUnavailable(t, TrackerAdaptive)
	s, err := OpenStore(StoreConfig{CopyIn: c})
	if err != nil {
		t.Fatal(err)
	}
	e, err := newEngine(2*pages*PageSize, pages*PageSize)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Attach(MemoryConfig{Store: s, Tracker: TrackerAdaptive, Base: addrOf(e.mem), Reserved: uint64(len(e.mem)), Size: uint64(e.size)})
	if err != nil {
		t.Fatal(err)
	}
	m.tracker.(*adaptive).limits.armPage = 1 // cold for one message
	t.Cleanup(func() {
		if err := errors.Join(m.Detach(), e.close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return s, e, m
}

// writePages runs a message that writes the given pages and says how many the store sees changed.
func writePages(t *testing.T, e *engine, m *Memory, x byte, pages ...int) int {
	t.Helper()
	if err := m.Begin(); err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		e.mem[p*PageSize] = x
	}
	c, err := m.Commit(e.pages())
	if err != nil {
		t.Fatal(err)
	}
	return len(c.Changed)
}

// TestCopyInEarns counts what first writes earn: near them first, nothing for pages written before, no more than the bounds.
func TestCopyInEarns(t *testing.T) {
	for _, c := range []struct {
		name   string
		config CopyInConfig
		want   uint64
	}{
		{"by write", CopyInConfig{PerWrite: 10, Manual: true}, 30},
		{"all", CopyInConfig{PerWrite: 1 << 20, Manual: true}, 2048 - 3},
		{"at most", CopyInConfig{PerWrite: 1 << 20, MemoryBytes: 50 * PageSize, Manual: true}, 50},
		{"off", CopyInConfig{PerWrite: -1, Manual: true}, 0},
		{"too small", CopyInConfig{PerWrite: 10, LeastBytes: 2049 * PageSize, Manual: true}, 0},
		{"just large enough", CopyInConfig{PerWrite: 10, LeastBytes: 2048 * PageSize, Manual: true}, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := copyInPages.Load()
			s, e, m := copyInTest(t, c.config, 2048)
			for n := range 8 { // the same pages: they earn once
				if got := writePages(t, e, m, byte(n+1), 1030, 1031, 5); got != 3 {
					t.Fatalf("message %d: %d pages changed, want 3", n, got)
				}
				s.CopyIn(time.Minute)
			}
			if got := m.Stats().BroughtIn; got != c.want {
				t.Errorf("%d pages brought in, want %d", got, c.want)
			}
			own := m.tracker.(*adaptive).bring.own
			if c.want > 0 && (!own.has(1032) && !own.has(1024) || c.want < 512 && own.has(600)) {
				t.Error("what was brought in is not near the first writes")
			}
			if got := copyInPages.Load() - before; got != int64(c.want) {
				t.Errorf("the process's books have %d pages, want %d", got, c.want)
			}
			if err := m.Detach(); err != nil {
				t.Fatal(err)
			}
			if got := copyInPages.Load(); got != before {
				t.Errorf("a detached memory holds %d pages of the process's share", got-before)
			}
		})
	}
}

// TestCopyInSavesCopies shows that pages brought in are found when written, and take one fault and no copy.
func TestCopyInSavesCopies(t *testing.T) {
	s, e, m := copyInTest(t, CopyInConfig{PerWrite: 1 << 20, Manual: true}, 2048)
	for n := range 4 {
		writePages(t, e, m, byte(n+1), 7)
	}
	s.CopyIn(time.Minute)
	own, err := m.private(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := countPages(own); got != 2048 {
		t.Errorf("%d pages are the memory's own, want 2048", got)
	}
	before := m.Stats()
	if got := writePages(t, e, m, 9, 300, 900, 1500); got != 3 {
		t.Errorf("%d pages changed, want 3", got)
	}
	if got := m.Stats(); got.Faults-before.Faults != 3 || got.Signals != 0 {
		t.Errorf("%d faults and %d signals, want 3 and 0", got.Faults-before.Faults, got.Signals)
	}
}

// TestCopyInAdvance moves a memory to other versions while only some of its pages are brought in, and sees that its bytes are
// the version's, and that writes to pages brought in, to others and to those that Advance put are all found afterwards.
func TestCopyInAdvance(t *testing.T) {
	const pages = 1024
	s, e, m := copyInTest(t, CopyInConfig{PerWrite: 1 << 20, Manual: true}, pages)
	var versions []Version
	var models [][pages]byte
	var model [pages]byte
	write := func(x byte, at ...int) {
		t.Helper()
		if got := writePages(t, e, m, x, at...); got != len(at) {
			t.Fatalf("write of %d: %d pages changed, want %d", x, got, len(at))
		}
		for _, p := range at {
			model[p] = x
		}
		versions, models = append(versions, m.Version()), append(models, model)
	}
	pin := s.Pin()
	defer pin.Release()
	for n := range 6 {
		write(byte(n+1), 3*n, 200+n, 700, 1000-n)
	}
	slice := func(more bool) {
		t.Helper()
		if got := m.copyInSlice(); got != more {
			t.Fatalf("more to bring in: %v, want %v", got, more)
		}
	}
	for k, to := range []int{1, 5, 0, 3, 5} {
		slice(true)
		if err := m.Advance(versions[to]); err != nil {
			t.Fatal(err)
		}
		slice(true)
		for p := range pages {
			if e.mem[p*PageSize] != models[to][p] {
				t.Fatalf("move %d, to version %d: page %d has %d, want %d", k, to, p, e.mem[p*PageSize], models[to][p])
			}
		}
	}
	if got, all := m.Stats().BroughtIn, uint64(pages); got == 0 || got >= all {
		t.Fatalf("%d pages of %d brought in: not in the middle", got, all)
	}
	write(9, 1, 3, 200, 201, 650, 700, 701, 998, 1023)
	for m.copyInSlice() {
	}
	write(10, 0, 2, 203, 500, 700, 999, 1022)
}

// TestCopyInWaitsForProof has nothing brought in while the pages of a checkpoint file are not proven: a page that is mapped is
// hashed by the next message.
func TestCopyInWaitsForProof(t *testing.T) {
	s, e, m := copyInTest(t, CopyInConfig{PerWrite: 1 << 20, Manual: true}, 512)
	s.unproven.Add(1)
	for n := range 4 {
		writePages(t, e, m, byte(n+1), 7)
		s.CopyIn(time.Minute)
	}
	if got := m.Stats().BroughtIn; got != 0 {
		t.Errorf("%d pages were brought in before the proof", got)
	}
	s.unproven.Add(-1)
	writePages(t, e, m, 99, 7)
	s.CopyIn(time.Minute)
	if got := m.Stats().BroughtIn; got != 511 {
		t.Errorf("%d pages were brought in after the proof, want 511", got)
	}
}
