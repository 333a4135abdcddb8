package pagetrie

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestScattered merges deltas of a few entries and of many batches, scattered over a larger map, with either side
// winning: some keys are new, some are there, some with the same value.
func TestScattered(t *testing.T) {
	spreads := []struct {
		name string
		key  func(*rand.Rand) uint64
	}{
		{"dense", func(r *rand.Rand) uint64 { return r.Uint64N(20_000) }},
		{"strided", func(r *rand.Rand) uint64 { return r.Uint64N(20_000) * 48 }},
		{"sparse", func(r *rand.Rand) uint64 { return r.Uint64N(20_000) * 0x9e3779b97f4a7c15 }},
		{"two parts", func(r *rand.Rand) uint64 { return r.Uint64N(20_000) | r.Uint64N(2)<<40 }},
	}
	for _, s := range spreads {
		for _, size := range []int{2, bucketMax + 1, batch, 300, 3000} {
			t.Run(fmt.Sprintf("%s/size=%d", s.name, size), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(size), 11))
				large, delta := map[uint64]Value{}, map[uint64]Value{}
				for range 15_000 {
					large[s.key(r)] = Value(r.Uint64N(3))
				}
				for range size {
					delta[s.key(r)] = Value(r.Uint64N(3))
				}
				m, d := FromSorted(sorted(large)), FromSorted(sorted(delta))
				m.Root(testHasher{})
				checkScattered(t, m, d, large, delta)
			})
		}
	}
}

func checkScattered(t *testing.T, m, d Map, large, delta map[uint64]Value) {
	t.Helper()
	wins, loses := map[uint64]Value{}, map[uint64]Value{}
	for k, v := range delta {
		wins[k], loses[k] = v, v
	}
	for k, v := range large {
		loses[k] = v
		if _, has := delta[k]; !has {
			wins[k] = v
		}
	}
	merged := Union(d, m)
	mustEqual(t, merged, wins)
	mustEqual(t, Union(m, d), loses)
	mustEqual(t, m, large)
	mustEqual(t, d, delta)
	if len(delta) > 300 { // too large a part of m to be poured: the winner's equal nodes take the place of m's
		return
	}
	if again := Union(d, merged); again != merged {
		t.Error("a delta that changes nothing gives another map")
	}
	if again := Union(merged, d); again != merged {
		t.Error("a delta that loses everywhere gives another map")
	}
}

// TestUnionCost counts nodes: merging new values for existing keys makes at most one for each level on the way to each,
// and makes none twice.
func TestUnionCost(t *testing.T) {
	for _, stride := range []uint64{1, 48, 0x9e3779b97f4a7c15} {
		m := keys(100_000, func(i uint64) uint64 { return i * stride })
		old := map[node]bool{}
		nodesOf(m.root, old)
		for _, k := range []uint64{1, 50, 1000} {
			delta := keys(k, func(i uint64) uint64 { return (i*7919 + 5) % 100_000 * stride }).Edit()
			for key := range delta.Map().All() {
				delta.Insert(key, 1<<40)
			}
			left := delta.Map()
			merged, fresh, made := Union(left, m), map[node]bool{}, 0
			nodesOf(merged.root, fresh)
			for n := range fresh {
				if !old[n] {
					made++
				}
			}
			if levels := levels(merged.root); made > int(k)*levels {
				t.Errorf("stride %d: %d new nodes for %d entries, %d levels", stride, made, k, levels)
			}
			if allocs := testing.AllocsPerRun(1, func() { Union(left, m) }); int(allocs) > made+2 {
				t.Errorf("stride %d: %v allocations for %d new nodes", stride, allocs, made)
			}
			if Union(m, left) != m {
				t.Errorf("stride %d: a delta of %d that loses everywhere gives another map", stride, k)
			}
		}
	}
}
