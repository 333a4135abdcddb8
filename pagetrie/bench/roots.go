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
	"lockstep/pagetrie/sha256x2"
)

const pageSize = 4096

// pages hashes pages of a buffer larger than the caches and remembers, as memstore does: handle v has page v mod pages of
// the buffer.
type pages struct {
	buffer []byte
	hashes []pagetrie.Hash
	known  []bool
}

func (p *pages) page(v pagetrie.Value) []byte {
	at := int(v) * pageSize % len(p.buffer)
	return p.buffer[at : at+pageSize]
}

func (p *pages) keep(v pagetrie.Value, h pagetrie.Hash) { p.hashes[v], p.known[v] = h, true }

func (p *pages) HashValue(v pagetrie.Value) pagetrie.Hash {
	if !p.known[v] {
		p.keep(v, sha256.Sum256(p.page(v)))
	}
	return p.hashes[v]
}

// HashValues hashes pages without a hash two at a time.
func (p *pages) HashValues(values []pagetrie.Value, hashes []pagetrie.Hash) {
	first := -1 // of two
	for i, v := range values {
		switch {
		case p.known[v]:
			hashes[i] = p.hashes[v]
		case first < 0:
			first = i
		default:
			hashes[first], hashes[i] = sha256x2.Sum2(p.page(values[first]), p.page(v))
			p.keep(values[first], hashes[first])
			p.keep(v, hashes[i])
			first = -1
		}
	}
	if first >= 0 {
		hashes[first] = p.HashValue(values[first])
	}
}

// hash computes the hashes of dirty pages with crypto/sha256, or two at a time.
func (p *pages) hash(dirty []entry, twoAtATime bool) {
	for ; twoAtATime && len(dirty) > 1; dirty = dirty[2:] {
		v, w := dirty[0].Value, dirty[1].Value
		x, y := sha256x2.Sum2(p.page(v), p.page(w))
		p.keep(v, x)
		p.keep(w, y)
	}
	for _, e := range dirty {
		p.keep(e.Value, sha256.Sum256(p.page(e.Value)))
	}
}

// reportRoots prints what the root of a full memory of 4 GiB costs after some pages changed, beside hashing just those
// pages.
func reportRoots(times int) {
	const n, room = 1 << 20, 1 << 18
	p := &pages{buffer: make([]byte, 64<<20), hashes: make([]pagetrie.Hash, n+room), known: make([]bool, n+room)}
	rng := rand.New(rand.NewPCG(2, 2))
	for i := range p.buffer {
		p.buffer[i] = byte(rng.Uint32())
	}
	entries := make([]entry, n)
	for i := range entries {
		entries[i] = entry{Key: uint64(i), Value: pagetrie.Value(i)}
		p.keep(pagetrie.Value(i), pagetrie.Hash{byte(i), byte(i >> 8), byte(i >> 16)})
	}
	before := float64(heap())
	m := pagetrie.FromSorted(entries)
	plain := float64(heap()) - before
	first := timed(1, func() { m.Root(p) })
	fmt.Printf("root, 4 GiB of pages: first root without hashing pages %.0f ms; %.2f bytes an entry, %.2f with all digests\n\n",
		first/1e6, plain/n, (float64(heap())-before)/n)
	runtime.KeepAlive(entries)
	runtime.KeepAlive(p)
	fmt.Printf("hash: the pages alone with crypto/sha256; two: the same two at a time (SHA instructions: %t); root: with all\n"+
		"pages hashed before; all: a root that hashes the pages itself, two at a time, as memstore does.\n\n", sha256x2.Accelerated())
	fmt.Print("| dirty pages | | hash, us | two, us | union, us | root, us | all, us | (hash + root) / hash | all / hash |\n" +
		"|---|---|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, k := range []int{10, 1000, 100_000} {
		for _, random := range []bool{true, false} {
			r := &rootRounds{pages: p, m: m, rng: rng}
			for i := range times * 9 {
				r.run(n, k, random, way(i%3))
			}
			m = r.m
			kind := map[bool]string{true: "random", false: "a run"}[random]
			bare, root, all := median(r.bare), median(r.roots), median(r.all)
			fmt.Printf("| %d | %s | %.1f | %.1f | %.1f | %.1f | %.1f | %.2f | %.2f |\n",
				k, kind, bare, median(r.two), median(r.unions), root, all, (bare+root)/bare, all/bare)
		}
	}
	fmt.Println()
}

// way is who hashes the dirty pages of a round.
type way int

const (
	oneByOne way = iota
	twoAtATime
	inRoot
)

// rootRounds is a map that changes round by round, and what that took, in us.
type rootRounds struct {
	pages                         *pages
	m                             pagetrie.Map
	rng                           *rand.Rand
	bare, two, unions, roots, all []float64
}

// run makes rounds of k of n pages one after the other, with a garbage collection before them and none between.
func (r *rootRounds) run(n, k int, random bool, who way) {
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for range max(1, 5000/k) {
		dirty := dirtyPages(r.rng, n, k, random)
		for _, e := range dirty {
			r.pages.known[e.Value] = false
		}
		t0 := cpu()
		if who != inRoot {
			r.pages.hash(dirty, who == twoAtATime)
		}
		t1 := cpu()
		changed := pagetrie.Union(pagetrie.FromSorted(dirty), r.m)
		t2 := cpu()
		root := changed.Root(r.pages)
		t3 := cpu()
		if root == r.m.Root(r.pages) {
			panic("the root did not change")
		}
		r.m = changed
		r.unions = append(r.unions, us(t2-t1))
		switch who {
		case oneByOne:
			r.bare, r.roots = append(r.bare, us(t1-t0)), append(r.roots, us(t3-t2))
		case twoAtATime:
			r.two, r.roots = append(r.two, us(t1-t0)), append(r.roots, us(t3-t2))
		case inRoot:
			r.all = append(r.all, us(t3-t2))
		}
	}
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

// reportStrides prints what maps of 10^6 keys take that lie a fixed step apart.
func reportStrides() {
	fmt.Print("bytes an entry of 1 000 000 keys that lie a step apart:\n\n| step | bytes an entry |\n|---:|---:|\n")
	for _, step := range []uint64{1, 2, 3, 4, 5, 8, 16, 32, 48, 1000} {
		entries := make([]entry, 1_000_000)
		for i := range entries {
			entries[i] = entry{Key: uint64(i) * step, Value: pagetrie.Value(i)}
		}
		before := heap()
		m := pagetrie.FromSorted(entries)
		fmt.Printf("| %d | %.1f |\n", step, float64(heap()-before)/float64(len(entries)))
		runtime.KeepAlive(m)
		runtime.KeepAlive(entries)
	}
	fmt.Println()
}
