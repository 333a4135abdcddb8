package main

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"lockstep/pagetrie"
)

const pageSize = 4096

// pages hashes pages of a buffer larger than the caches and remembers, as a page store would: handle v has page
// v mod pages of the buffer.
type pages struct {
	buffer []byte
	hashes []pagetrie.Hash
}

func (p *pages) HashValue(v pagetrie.Value) pagetrie.Hash { return p.hashes[v] }

func (p *pages) hash(v pagetrie.Value) {
	at := int(v) * pageSize % len(p.buffer)
	p.hashes[v] = sha256.Sum256(p.buffer[at : at+pageSize])
}

// reportRoots prints what the root of a full memory of 4 GiB costs after some pages changed, beside hashing just those
// pages.
func reportRoots(times int) {
	const n, room = 1 << 20, 1 << 18
	p := &pages{buffer: make([]byte, 64<<20), hashes: make([]pagetrie.Hash, n+room)}
	rng := rand.New(rand.NewPCG(2, 2))
	for i := range p.buffer {
		p.buffer[i] = byte(rng.Uint32())
	}
	entries := make([]entry, n)
	for i := range entries {
		entries[i] = entry{Key: uint64(i), Value: pagetrie.Value(i)}
		p.hashes[i][0], p.hashes[i][1], p.hashes[i][2] = byte(i), byte(i>>8), byte(i>>16)
	}
	before := float64(heap())
	m := pagetrie.FromSorted(entries)
	plain := float64(heap()) - before
	first := timed(1, func() { m.Root(p) })
	fmt.Printf("root, 4 GiB of pages: first root without hashing pages %.0f ms; %.2f bytes an entry, %.2f with all digests\n\n",
		first/1e6, plain/n, (float64(heap())-before)/n)
	runtime.KeepAlive(entries)
	runtime.KeepAlive(p)
	fmt.Print("| dirty pages | | hash them, us | root, us | (hash + root) / hash | union before, us |\n|---|---|---:|---:|---:|---:|\n")
	for _, k := range []int{10, 1000, 100_000} {
		for _, random := range []bool{true, false} {
			var bare, unions, roots []float64
			for range times * 3 {
				dirty := dirtyPages(rng, n, k, random)
				runtime.GC()
				percent := debug.SetGCPercent(-1)
				t0 := cpu()
				for _, e := range dirty {
					p.hash(e.Value)
				}
				t1 := cpu()
				changed := pagetrie.Union(pagetrie.FromSorted(dirty), m)
				t2 := cpu()
				root := changed.Root(p)
				t3 := cpu()
				debug.SetGCPercent(percent)
				if root == m.Root(p) {
					panic("the root did not change")
				}
				m = changed
				bare, unions, roots = append(bare, us(t1-t0)), append(unions, us(t2-t1)), append(roots, us(t3-t2))
			}
			kind := map[bool]string{true: "random", false: "a run"}[random]
			b, u, r := median(bare), median(unions), median(roots)
			fmt.Printf("| %d | %s | %.0f | %.0f | %.2f | %.0f |\n", k, kind, b, r, (b+r)/b, u)
		}
	}
	fmt.Println()
}

func us(d time.Duration) float64 { return float64(d) / 1e3 }

// dirtyPages gives k pages new handles, whose hashes are not known yet.
func dirtyPages(rng *rand.Rand, n, k int, random bool) []entry {
	at := rng.IntN(n - k)
	dirty := make([]entry, k)
	base := n + rng.IntN(1<<18-k)
	for i := range dirty {
		dirty[i] = entry{Key: uint64(at + i), Value: pagetrie.Value(base + i)}
		if random {
			dirty[i].Key = rng.Uint64N(uint64(n))
		}
	}
	return slices.Clone(normal(dirty))
}

// reportGC prints what a full collection costs with 10 million entries alive.
func reportGC() {
	const n = 10_000_000
	fmt.Print("full GC with 10 000 000 entries alive:\n\n| keys | CPU ms | wall ms | bytes an entry |\n|---|---:|---:|---:|\n")
	for _, kind := range []string{"none", "dense", "sparse"} {
		var m pagetrie.Map
		before := heap()
		if kind != "none" {
			entries := make([]entry, 0, n)
			for i, k := range drawKeys(kind, n) {
				entries = append(entries, entry{Key: k, Value: pagetrie.Value(i)})
			}
			m = pagetrie.FromSorted(entries)
		}
		size := heap() - before
		start := time.Now()
		runtime.GC()
		wall := time.Since(start)
		fmt.Printf("| %s | %.1f | %.1f | %.2f |\n", kind, gcCost()/1e6, float64(wall)/1e6, float64(size)/n)
		runtime.KeepAlive(m)
	}
	fmt.Println()
}
