package pagetrie

import (
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"
)

func profKeys(sparse bool, n int) []Entry {
	r := rand.New(rand.NewPCG(1, 2))
	e := make([]Entry, n)
	for i := range e {
		e[i] = Entry{uint64(i), Value(i + 1)}
		if sparse {
			e[i].Key = r.Uint64()
		}
	}
	slices.SortFunc(e, func(a, b Entry) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return e
}

func benchRound(b *testing.B, sparse bool, k int, gc bool) {
	base := profKeys(sparse, 1000000)
	m := FromSorted(base)
	r := rand.New(rand.NewPCG(3, 4))
	if !gc {
		defer debug.SetGCPercent(debug.SetGCPercent(400))
	}
	var deltas []Map
	for range 3000000 / k / 10 {
		d := make([]Entry, 0, k)
		for range k {
			d = append(d, Entry{base[r.IntN(len(base))].Key, Value(r.Uint64())})
		}
		slices.SortFunc(d, func(a, b Entry) int {
			if a.Key < b.Key {
				return -1
			}
			return 1
		})
		d = slices.CompactFunc(d, func(a, b Entry) bool { return a.Key == b.Key })
		deltas = append(deltas, FromSorted(d))
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if i == len(deltas) {
			i = 0
			m = FromSorted(base)
		}
		m = Union(deltas[i], m)
		i++
	}
}
func BenchmarkUnion(b *testing.B) {
	b.Run("dense/100", func(b *testing.B) { benchRound(b, false, 100, true) })
	b.Run("sparse/100", func(b *testing.B) { benchRound(b, true, 100, true) })
	b.Run("dense/10000", func(b *testing.B) { benchRound(b, false, 10000, true) })
	b.Run("sparse/10000", func(b *testing.B) { benchRound(b, true, 10000, true) })
}
