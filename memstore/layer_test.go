//go:build cgo

package memstore

import (
	"strings"
	"testing"
)

// hiding is a layer that hides what its tracker finds, while told to.
type hiding struct {
	Mechanism
	hide *bool
}

func (h hiding) Collect(runs []PageRun) ([]PageRun, error) {
	runs, err := h.Mechanism.Collect(runs)
	if *h.hide {
		runs = runs[:0]
	}
	return runs, err
}

// layered is a tracker with such a layer around it.
type layered struct {
	Tracker
	hide bool
}

func (l *layered) Track(m *Memory, c MemoryConfig) (Mechanism, error) {
	under, err := l.Tracker.Track(m, c)
	return hiding{under, &l.hide}, err
}

// A memory works through whatever lies around its tracker.
func TestLayerAroundTracker(t *testing.T) {
	for _, name := range []Tracker{TrackerNaive, TrackerCow, TrackerCompare} {
		t.Run(string(name), func(t *testing.T) {
			skipUnavailable(t, name)
			e, err := newEngine(WasmPageSize, WasmPageSize)
			if err != nil {
				t.Fatal(err)
			}
			defer e.close()
			l := &layered{Tracker: name}
			c := MemoryConfig{Store: openStore(t), Base: addrOf(e.mem), Reserved: WasmPageSize, Size: WasmPageSize}
			if _, err := Attach(c); err == nil || !strings.Contains(err.Error(), "Tracker is missing") {
				t.Fatalf("without a tracker: %v", err)
			}
			c.Tracker = l
			m, err := Attach(c)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Detach()
			for page, hide := range []bool{false, true} {
				if err := m.Begin(); err != nil {
					t.Fatal(err)
				}
				e.mem[page*PageSize] = 1
				l.hide = hide
				got, err := m.Commit(e.pages())
				if err != nil {
					t.Fatal(err)
				}
				if found := len(got.Changed) == 1; found == hide {
					t.Errorf("changed %v, hidden %v", got.Changed, hide)
				}
			}
		})
	}
}
