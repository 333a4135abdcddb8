//go:build cgo

package memstore

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// conform runs one generated program under a tracker and gives the roots of its committed versions.
func conform(dir string, name Tracker, c choices, sabotage func(*Memory) Mechanism) ([]string, error) {
	perWrite := []int{-1, 3, 1 << 20}[c.below(3)]
	s, err := OpenStore(StoreConfig{ReserveBytes: 1 << 30, CopyIn: CopyInConfig{PerWrite: perWrite, LeastBytes: 1, Manual: true}})
	if err != nil {
		return nil, err
	}
	b := &testbed{choices: c, store: s, tracker: name, sabotage: sabotage, maxWasm: 24, dir: dir}
	err = b.run()
	if e := s.Close(); err == nil {
		err = e
	}
	return b.hashes, err
}

// programs is how many seeds a test runs; LOCKSTEP_PROGRAMS raises it for long runs.
func programs(t testing.TB, normal int) int {
	n, err := strconv.Atoi(os.Getenv("LOCKSTEP_PROGRAMS"))
	if err != nil {
		n = normal
	}
	if testing.Short() {
		n = min(n, 20)
	}
	return n
}

func repeatHint(seed uint64) string {
	return fmt.Sprintf("repeat: LOCKSTEP_SEED=%d go test -run TestConformance ./memstore", seed)
}

func firstSeed(t testing.TB) (uint64, bool) {
	seed, err := strconv.ParseUint(os.Getenv("LOCKSTEP_SEED"), 10, 64)
	return seed, err == nil
}

// TestConformance holds every tracker against a flat model and against compare.
func TestConformance(t *testing.T) {
	first, single := firstSeed(t)
	n := programs(t, 40)
	if single {
		n = 1
	}
	dir := t.TempDir()
	oracle := make([][]string, n)
	for i := range n {
		var err error
		if oracle[i], err = conform(dir, TrackerCompare, newSeeded(first+uint64(i), 30), nil); err != nil {
			t.Fatalf("compare: %v; %s", err, repeatHint(first+uint64(i)))
		}
	}
	for _, name := range Trackers() {
		if name == TrackerCompare {
			continue
		}
		t.Run(string(name), func(t *testing.T) {
			skipUnavailable(t, name)
			for i := range n {
				seed := first + uint64(i)
				tune := eager
				if seed%3 == 0 {
					tune = nil
				}
				roots, err := conform(dir, name, newSeeded(seed, 30), tune)
				if err != nil {
					t.Fatalf("%v; %s/%s", err, repeatHint(seed), name)
				}
				if !slices.Equal(roots, oracle[i]) {
					t.Fatalf("roots differ from compare's; %s/%s", repeatHint(seed), name)
				}
			}
		})
	}
}

// eager makes trackers take their dear steps on small programs, too.
func eager(m *Memory) Mechanism {
	switch t := m.tracker.(type) {
	case *copying:
		t.least = 4
	case *adaptive:
		t.limits = adaptiveLimits{
			armPage: time.Microsecond, hotPages: 6, hotShared: 2, hotIdle: 2, denseOpen: 8, denseClose: 4,
			walkPages: 12, sampleSize: 64, rememberMax: 16,
			ahead: aheadLimits{unit: 8, period: 1, steps: 1, total: 20},
		}
	}
	return m.tracker
}

// skipUnavailable skips where the kernel lacks a tracker's mechanism.
func skipUnavailable(t testing.TB, name Tracker) {
	mechanism := tryPrivate
	switch name {
	case TrackerUffd, TrackerAdaptive:
		mechanism = tryMarks
	case TrackerCow:
	default:
		return
	}
	if err := tryOn(mechanism); err != nil {
		t.Skipf("the machine has not what %s needs: %v", name, err)
	}
}

func FuzzProgram(f *testing.F) {
	f.Add([]byte("\x00\x01\x02"))
	f.Add([]byte("a longer program that stores, fills, copies, grows and traps a few times over"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 600 {
			return
		}
		want, err := conform(dir, TrackerCompare, &fuzzed{data}, nil)
		if err != nil {
			t.Fatalf("compare: %v", err)
		}
		for _, name := range Trackers() {
			got, err := conform(dir, name, &fuzzed{data}, eager)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s: roots differ from compare's", name)
			}
		}
	})
}

// saboteur is a tracker with a planted bug.
type saboteur struct {
	Mechanism
	m        *Memory
	bug      string
	previous []PageRun
}

func (s *saboteur) Collect(runs []PageRun) ([]PageRun, error) {
	if s.bug == "protects late" && s.m.tracked > 0 { // arming after the writes loses their marks
		if err := s.m.arm(PageRun{0, uint32(s.m.tracked) / 2}); err != nil {
			return nil, err
		}
	}
	if a, ok := s.Mechanism.(*adaptive); ok && s.bug == "brings pages in while they are dirty" { // arming them loses their marks
		if a.bring.own == nil {
			a.bring.own = newBitset(int(s.m.reserved))
		}
		a.bring.earned = 1 << 20
		for a.mayCopyIn() && a.nextIn().pages() > 0 {
			if _, err := a.copyIn(); err != nil {
				return nil, err
			}
		}
	}
	runs, err := s.Mechanism.Collect(runs)
	switch s.bug {
	case "misses a page":
		if len(runs) > 1 {
			runs = slices.Delete(runs, 0, 1)
		}
	case "misses the page behind a border":
		for i := range runs {
			if runs[i].pages() > 1 {
				runs[i].End--
			}
		}
	case "forgets what was brought in":
		if a, ok := s.Mechanism.(*adaptive); ok && a.ahead != nil {
			var kept []PageRun
			for _, r := range runs {
				for i := r.Start; i < r.End; i++ {
					if !a.ahead.has(i) {
						kept = appendRun(kept, i, i+1)
					}
				}
			}
			runs = kept
		}
	case "marks late":
		runs, s.previous = s.previous, slices.Clone(runs)
	}
	return runs, err
}

// committed of a tracker that does not arm again what it reported.
func (s *saboteur) committed(changed []PageIndex, grown PageCount) error {
	err := s.Mechanism.committed(changed, grown)
	if a, ok := s.Mechanism.(*adaptive); ok && s.bug == "leaves pages open" && err == nil && a.warm && s.m.tracked > 0 {
		return s.m.open(PageRun{0, uint32(s.m.tracked)})
	}
	return err
}

// copyIn of a tracker that brings pages in and leaves them open.
func (s *saboteur) copyIn() (more bool, err error) {
	t, ok := s.Mechanism.(copier)
	if !ok {
		return false, nil
	}
	var r PageRun
	if a, ok := t.(*adaptive); ok && a.mayCopyIn() && s.bug == "does not arm what it brings in" {
		r = a.nextIn()
	}
	if more, err = t.copyIn(); err != nil || r.pages() == 0 {
		return more, err
	}
	return more, s.m.open(r)
}

func (s *saboteur) Rollback() error {
	if s.bug == "keeps a page after rollback" {
		for i := range uint32(s.m.size) {
			if !pageEqual(s.m.page(i), s.m.old(i)) {
				kept := slices.Clone(s.m.page(i))
				err := s.Mechanism.Rollback()
				copy(s.m.page(i), kept)
				return err
			}
		}
	}
	return s.Mechanism.Rollback()
}

// TestConformanceCatches shows that the suite fails for trackers that are wrong.
func TestConformanceCatches(t *testing.T) {
	dir := t.TempDir()
	for _, bug := range []struct {
		name     string
		trackers []Tracker
	}{
		{"misses a page", []Tracker{TrackerPrefetch, TrackerWholePage, TrackerCow, TrackerUffd, TrackerAdaptive}},
		{"misses the page behind a border", []Tracker{TrackerCompare, TrackerPrefetch, TrackerUffd, TrackerAdaptive}},
		{"marks late", []Tracker{TrackerNaive, TrackerUffd, TrackerAdaptive}},
		{"keeps a page after rollback", []Tracker{TrackerCompare, TrackerPrefetch, TrackerCow, TrackerUffd, TrackerAdaptive}},
		{"protects late", []Tracker{TrackerUffd}},
		{"leaves pages open", []Tracker{TrackerAdaptive}},
		{"forgets what was brought in", []Tracker{TrackerAdaptive}},
		{"brings pages in while they are dirty", []Tracker{TrackerAdaptive}},
		{"does not arm what it brings in", []Tracker{TrackerAdaptive}},
	} {
		for _, name := range bug.trackers {
			t.Run(bug.name+"/"+string(name), func(t *testing.T) {
				skipUnavailable(t, name)
				for seed := range uint64(200) {
					_, err := conform(dir, name, newSeeded(seed, 30), func(m *Memory) Mechanism {
						return &saboteur{Mechanism: eager(m), m: m, bug: bug.name}
					})
					if err != nil {
						t.Logf("seed %d: %v", seed, err)
						return
					}
				}
				t.Fatal("200 programs ran under a broken tracker and none noticed")
			})
		}
	}
}
