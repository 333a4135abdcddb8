package pagetrie

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

type scratchPages struct{ hashes []Hash }

func (p *scratchPages) HashValue(v Value) Hash { return p.hashes[v] }

func BenchmarkScratch(b *testing.B) {
	for _, k := range []int{10, 1000} {
		b.Run(fmt.Sprint(k), func(b *testing.B) {
			const n, room = 1 << 20, 1 << 18
			p := &scratchPages{hashes: make([]Hash, n+room)}
			rng := rand.New(rand.NewPCG(2, 2))
			entries := make([]Entry, n)
			for i := range entries {
				entries[i] = Entry{Key: uint64(i), Value: Value(i)}
				p.hashes[i] = sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
			}
			m := FromSorted(entries)
			m.Root(p)
			for b.Loop() {
				b.StopTimer()
				dirty := make([]Entry, k)
				base := n + rng.IntN(1<<18-k)
				for i := range dirty {
					dirty[i] = Entry{Key: rng.Uint64N(n), Value: Value(base + i)}
				}
				slices.SortFunc(dirty, func(a, b Entry) int { return int(a.Key) - int(b.Key) })
				dirty = slices.CompactFunc(dirty, func(a, b Entry) bool { return a.Key == b.Key })
				for i := 0; i < 40; i++ { // pollute
					at := rng.IntN(len(p.hashes) - 2000)
					for j := range 2000 {
						p.hashes[at+j][31]++
					}
				}
				changed := Union(FromSorted(dirty), m)
				b.StartTimer()
				changed.Root(p)
				m = changed
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(k), "ns/page")
		})
	}
}
