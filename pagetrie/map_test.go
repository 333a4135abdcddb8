package pagetrie

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestMinMax(t *testing.T) {
	if _, _, ok := (Map{}).Min(); ok {
		t.Error("Min of the empty map")
	}
	if _, _, ok := (Map{}).Max(); ok {
		t.Error("Max of the empty map")
	}
	forPatterns(t, 6, func(t *testing.T, p keyPattern, r *rand.Rand, size int) {
		model := p.model(r, size, 1000)
		m, entries := inOrder(r, model), sorted(model)
		if k, v, ok := m.Min(); !ok || (Entry{k, v}) != entries[0] {
			t.Errorf("Min %#x, %d, %v; want %v", k, v, ok, entries[0])
		}
		if k, v, ok := m.Max(); !ok || (Entry{k, v}) != entries[len(entries)-1] {
			t.Errorf("Max %#x, %d, %v; want %v", k, v, ok, entries[len(entries)-1])
		}
	})
}

// TestFromSortedOrder: entries out of order, or twice the same key, are a bug of the caller.
func TestFromSortedOrder(t *testing.T) {
	for _, entries := range [][]Entry{{{2, 1}, {1, 1}}, {{1, 1}, {1, 1}}} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, "out of order: key 0x1 after") {
					t.Errorf("FromSorted(%v): panic %q", entries, text)
				}
			}()
			FromSorted(entries)
		}()
	}
}

// TestDifferenceOfLeaves takes one block from another: half of it, so that it is just still a leaf, one more, and nothing.
func TestDifferenceOfLeaves(t *testing.T) {
	block := func(from, to uint64) map[uint64]Value {
		model := map[uint64]Value{}
		for k := from; k < to; k++ {
			model[64+k] = Value(k + 1)
		}
		return model
	}
	for _, c := range []struct{ a, b, want map[uint64]Value }{
		{block(0, 32), block(0, 16), block(16, 32)},
		{block(0, 32), block(0, 17), block(17, 32)},
		{block(0, 16), block(16, 32), block(0, 16)},
		{block(0, 32), block(0, 32), block(0, 0)},
	} {
		a, b := FromSorted(sorted(c.a)), FromSorted(sorted(c.b))
		a.Root(testHasher{})
		mustEqual(t, Difference(a, b), c.want)
		mustEqual(t, a, c.a)
	}
}
