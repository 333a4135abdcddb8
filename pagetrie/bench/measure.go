package main

import (
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// cpu is the CPU time that the whole process has used: the garbage collector's threads count, other processes do not.
func cpu() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// work is one set of keys and everything that is drawn from it.
type work struct {
	name                        string
	ascending                   []entry
	shuffled                    []entry
	hits, seq, miss             []uint64
	holed                       []entry   // ascending without every eighth
	holes                       []uint64  // keys that holed does not have
	one, random100              [][]entry // deltas, one for each time of measuring
	random10k, run10k, fresh10k [][]entry
	rounds100, rounds10k        [][]entry // one for each round, each over the outcome of the one before
	rng                         *rand.Rand
}

func newWork(name string, keys []uint64, seed uint64) *work {
	w := &work{name: name, rng: rand.New(rand.NewPCG(seed, 1))}
	for i, k := range keys {
		w.ascending = append(w.ascending, entry{Key: k, Value: pageValue(uint64(i) + 1)})
	}
	w.shuffled = slices.Clone(w.ascending)
	w.rng.Shuffle(len(keys), func(i, j int) { w.shuffled[i], w.shuffled[j] = w.shuffled[j], w.shuffled[i] })
	for range 200_000 {
		w.hits = append(w.hits, keys[w.rng.IntN(len(keys))])
		w.miss = append(w.miss, keys[w.rng.IntN(len(keys))]+1<<40+1)
	}
	for i, e := range w.ascending {
		if i%8 != 5 {
			w.holed = append(w.holed, e)
		}
	}
	for range 200_000 {
		w.holes = append(w.holes, keys[w.rng.IntN(len(keys)/8)*8+5])
	}
	at := w.rng.IntN(len(keys) - 200_000)
	w.seq = keys[at : at+200_000]
	for range 200 {
		w.one = append(w.one, w.draw(1))
	}
	for range 20 {
		w.random100 = append(w.random100, w.draw(100))
	}
	for range 5 {
		w.random10k = append(w.random10k, w.draw(10_000))
	}
	for i := range 25 {
		w.run10k = append(w.run10k, w.drawRun(10_000))
		w.fresh10k = append(w.fresh10k, w.drawNew(10_000, uint64(i)))
	}
	for range 400 {
		w.rounds100 = append(w.rounds100, w.draw(100))
	}
	for range 12 {
		w.rounds10k = append(w.rounds10k, w.draw(10_000))
	}
	return w
}

// drawRun is n adjacent keys with new values.
func (w *work) drawRun(n int) []entry {
	at := w.rng.IntN(len(w.ascending) - n)
	got := slices.Clone(w.ascending[at : at+n])
	for i := range got {
		got[i].Value += 1 << 32
	}
	return got
}

// drawNew is n keys beyond the last.
func (w *work) drawNew(n int, seed uint64) []entry {
	got := make([]entry, n)
	for i := range got {
		got[i] = entry{Key: 1<<63 + uint64(i)*3, Value: pageValue(seed + 7)}
		if w.name == "dense" {
			got[i].Key = w.ascending[len(w.ascending)-1].Key + 1 + uint64(i)
		}
	}
	return got
}

// draw is n random existing keys with new values, ascending.
func (w *work) draw(n int) []entry {
	got := make([]entry, 0, n)
	for range n {
		k := w.ascending[w.rng.IntN(len(w.ascending))].Key
		got = append(got, entry{Key: k, Value: pageValue(w.rng.Uint64())})
	}
	return normal(got)
}

func normal(got []entry) []entry {
	slices.SortFunc(got, func(a, b entry) int {
		switch {
		case a.Key < b.Key:
			return -1
		case a.Key > b.Key:
			return 1
		}
		return 0
	})
	return slices.CompactFunc(got, func(a, b entry) bool { return a.Key == b.Key })
}

// timed returns the CPU time of one of n runs of f, in ns, without garbage collection: the median of up to 25 groups of
// runs, so that what the runtime does in the background just after a collection does not count.
func timed(n int, f func()) float64 {
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	groups := min(n, 25)
	all := make([]float64, groups)
	for i := range all {
		start := cpu()
		for range n / groups {
			f()
		}
		all[i] = float64(cpu()-start) / float64(n/groups)
	}
	return median(all)
}

// sink keeps results alive.
var sink any

// measure runs every row for one subject and returns figure by row, and a checksum by row.
func measure(s subject, w *work) (figures map[string]float64, sums map[string]uint64) {
	figures, sums = map[string]float64{}, map[string]uint64{}
	before := heap()
	n := float64(len(w.ascending))
	var t table
	figures["build, random order"] = timed(1, func() { t = s.build(w.shuffled) }) / n
	t = nil
	load := s.load
	if load == nil {
		load = s.build
	}
	figures["build, ascending"] = timed(1, func() { t = load(w.ascending) }) / n
	figures["bytes an entry"] = float64(heap()-before) / n
	figures["full GC"] = gcCost()
	lookups(t, w, figures, sums)
	holed := load(w.holed)
	figures["lookup, miss in a hole"] = timed(1, func() { sink = holed.get(w.holes) }) / float64(len(w.holes))
	if sink != any(uint64(0)) {
		panic(s.name + ": a key in a hole is found")
	}
	holed = nil
	merges(t, w, figures, sums)
	figures["snapshot"] = timed(snapshots(s), func() { sink = t.snapshot() })
	figures["overwrite in place"] = timed(1, func() { t = t.set(w.hits, 5) }) / float64(len(w.hits))
	sums["overwrite in place"] = t.get(w.hits)
	runtime.KeepAlive(sink)
	sink = nil
	return figures, sums
}

func snapshots(s subject) int {
	if s.persistent {
		return 100_000
	}
	return 1
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// gcCost is the CPU time of one full collection, median of 5.
func gcCost() float64 {
	var all []float64
	for range 5 {
		start := cpu()
		runtime.GC()
		all = append(all, float64(cpu()-start))
	}
	return median(all)
}

func lookups(t table, w *work, figures map[string]float64, sums map[string]uint64) {
	for name, keys := range map[string][]uint64{
		"lookup, random hit": w.hits, "lookup, sequential": w.seq, "lookup, miss above all keys": w.miss,
	} {
		var sum uint64
		figures[name] = timed(1, func() { sum = t.get(keys) }) / float64(len(keys))
		sums[name] = sum
	}
	var sum uint64
	var ok bool
	cost := timed(1, func() { sum, ok = t.ceiling(w.hits) }) / float64(len(w.hits))
	if ok {
		figures["nearest at or above"], sums["nearest at or above"] = cost, sum
	}
	figures["iterate"] = timed(3, func() { sum = t.iterate() }) / float64(len(w.ascending))
	sums["iterate"] = sum
}

func merges(t table, w *work, figures map[string]float64, sums map[string]uint64) {
	for name, deltas := range map[string][][]entry{
		"union, 1 existing key":              w.one,
		"union, 100 random existing keys":    w.random100,
		"union, 10 000 random existing keys": w.random10k,
		"union, a run of 10 000":             w.run10k,
		"union, 10 000 new keys at the end":  w.fresh10k,
	} {
		if _, slow := t.(goMap); slow {
			deltas = deltas[:1]
		}
		prepared := make([]any, len(deltas))
		for i, d := range deltas {
			prepared[i] = t.delta(d)
		}
		next := 0
		figures[name] = timed(len(deltas), func() {
			sink = t.merge(prepared[next])
			next++
		})
		merged := t.merge(prepared[0])
		keys := make([]uint64, len(deltas[0]))
		for i, e := range deltas[0] {
			keys[i] = e.Key
		}
		sums[name] = merged.get(keys) + merged.get(w.seq)
		if t.get(keys) == merged.get(keys) {
			panic(name + ": the old version changed too")
		}
	}
	figures["round of 100, GC counted"], sums["round of 100, GC counted"] = rounds(t, w, w.rounds100)
	figures["round of 10 000, GC counted"], sums["round of 10 000, GC counted"] = rounds(t, w, w.rounds10k)
}

// rounds replaces t by its union with one delta after the other, and counts everything: building the delta from sorted
// entries, merging, and collecting what was dropped.
func rounds(t table, w *work, deltas [][]entry) (ns float64, sum uint64) {
	_, slow := t.(goMap)
	if slow {
		deltas = deltas[:max(len(deltas)/20, 2)]
	}
	sink = nil
	runtime.GC()
	start := cpu()
	for _, d := range deltas {
		t = t.merge(t.delta(d))
	}
	ns = float64(cpu()-start) / float64(len(deltas))
	if slow { // fewer rounds than the others, so another outcome
		return ns, 0
	}
	return ns, t.get(w.hits)
}

func median(all []float64) float64 {
	s := slices.Clone(all)
	slices.Sort(s)
	return s[len(s)/2]
}
