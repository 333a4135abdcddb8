package pagetrie

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// testHasher gives handle v the value hash of v's bytes.
type testHasher struct{}

func (testHasher) HashValue(v Value) Hash {
	var h Hash
	binary.LittleEndian.PutUint64(h[:], uint64(v)*0x9e3779b97f4a7c15+1)
	return h
}

// keyPattern draws keys in one of the ways that make different shapes.
type keyPattern struct {
	name string
	draw func(*rand.Rand) uint64
}

var keyPatterns = []keyPattern{
	{"dense", func(r *rand.Rand) uint64 { return r.Uint64N(400) }},
	{"crowded", func(r *rand.Rand) uint64 { return 1<<20 - 50 + r.Uint64N(100) }},
	{"sparse", func(r *rand.Rand) uint64 { return r.Uint64() }},
	{"strided", func(r *rand.Rand) uint64 { return r.Uint64N(300) * 16 }},
	{"clusters", func(r *rand.Rand) uint64 { return r.Uint64N(6)<<(10*r.Uint64N(6)) + r.Uint64N(50) }},
	{"top", func(r *rand.Rand) uint64 { return ^r.Uint64N(200) }},
	{"powers", func(r *rand.Rand) uint64 { return 1<<r.Uint64N(64) + r.Uint64N(3) }},
	{"mixed", func(r *rand.Rand) uint64 {
		if r.Uint64N(2) == 0 {
			return r.Uint64N(200)
		}
		return r.Uint64() >> r.Uint64N(64)
	}},
}

func (p keyPattern) model(r *rand.Rand, n int, values uint64) map[uint64]Value {
	model := make(map[uint64]Value, n)
	for range n {
		model[p.draw(r)] = Value(r.Uint64N(values))
	}
	return model
}

// inOrder makes the map of model by inserting in a random order, one by one or in a Builder.
func inOrder(r *rand.Rand, model map[uint64]Value) Map {
	keys := slices.Collect(maps.Keys(model))
	slices.Sort(keys)
	r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	var edit Builder
	for _, k := range keys {
		if r.IntN(8) == 0 { // the nodes so far are shared from here on
			edit = *edit.Map().Insert(k, model[k]).Edit()
			continue
		}
		edit.Insert(k, model[k])
	}
	return edit.Map()
}

func sorted(model map[uint64]Value) []Entry {
	entries := make([]Entry, 0, len(model))
	for _, k := range slices.Sorted(maps.Keys(model)) {
		entries = append(entries, Entry{k, model[k]})
	}
	return entries
}

func entriesOf(m Map) []Entry {
	entries := []Entry{}
	for k, v := range m.All() {
		entries = append(entries, Entry{k, v})
	}
	return entries
}

// mustEqual checks that m is sound, has the entries of model, and has the root of a map made of them in key order.
func mustEqual(t *testing.T, m Map, model map[uint64]Value) {
	t.Helper()
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	want := sorted(model)
	if got := entriesOf(m); !slices.Equal(got, want) {
		t.Fatalf("entries %v, want %v", got, want)
	}
	if m.Len() != len(model) {
		t.Fatalf("Len %d, want %d", m.Len(), len(model))
	}
	if err := m.CheckHashes(testHasher{}); err != nil {
		t.Fatal(err)
	}
}

// forPatterns runs f for every key pattern and some seeds; sizes go up with the seed.
func forPatterns(t *testing.T, seeds int, f func(t *testing.T, p keyPattern, r *rand.Rand, size int)) {
	for _, p := range keyPatterns {
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s/seed=%d", p.name, seed), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(seed), 7))
				f(t, p, r, 1+r.IntN(4+seed*24))
			})
		}
	}
}

func TestModelSteps(t *testing.T) {
	forPatterns(t, 12, func(t *testing.T, p keyPattern, r *rand.Rand, size int) {
		model := map[uint64]Value{}
		var m Map
		edit := m.Edit()
		for step := range 3 * size {
			k, v := p.draw(r), Value(r.Uint64N(1000))
			persistent := r.IntN(3) == 0
			if persistent {
				m = edit.Map()
			}
			if r.IntN(100) < 60 != (step/100%2 == 1) { // grow for 100 steps, shrink for 100
				model[k] = v
				if persistent {
					m = m.Insert(k, v)
				} else {
					edit.Insert(k, v)
				}
			} else {
				if len(model) > 0 && r.IntN(4) > 0 {
					k = sorted(model)[r.IntN(len(model))].Key
				}
				delete(model, k)
				if persistent {
					m = m.Remove(k)
				} else {
					edit.Remove(k)
				}
			}
			if persistent {
				edit = m.Edit()
			}
			if r.IntN(10) == 0 {
				mustEqual(t, edit.Map(), model)
			} else if err := (Map{edit.root}).Check(); err != nil {
				t.Fatal(err)
			}
			got, ok := edit.Get(k)
			if want, has := model[k]; got != want || ok != has || edit.Len() != len(model) {
				t.Fatalf("Get(%#x) = %d, %v; want %d, %v; Len %d, want %d", k, got, ok, want, has, edit.Len(), len(model))
			}
		}
		mustEqual(t, edit.Map(), model)
		for k := range model {
			edit.Remove(k)
		}
		mustEqual(t, edit.Map(), map[uint64]Value{})
	})
}

func TestNearest(t *testing.T) {
	forPatterns(t, 12, func(t *testing.T, p keyPattern, r *rand.Rand, size int) {
		model := p.model(r, size, 100)
		m, entries := inOrder(r, model), sorted(model)
		probes := []uint64{0, 1, 1<<64 - 1, 1<<64 - 2}
		for range 50 {
			k := p.draw(r)
			probes = append(probes, k, k-1, k+1, k^1<<r.IntN(64))
		}
		for _, k := range probes {
			at, _ := slices.BinarySearchFunc(entries, k, func(e Entry, k uint64) int {
				if e.Key < k {
					return -1
				}
				return 1
			})
			var up, down Entry
			if at < len(entries) {
				up = entries[at]
			}
			below := at - 1
			if at < len(entries) && entries[at].Key == k {
				below = at
			}
			if below >= 0 {
				down = entries[below]
			}
			gotKey, gotValue, ok := m.Ceiling(k)
			if got := (Entry{gotKey, gotValue}); got != up || ok != (at < len(entries)) {
				t.Errorf("Ceiling(%#x) = %v, %v; want %v", k, got, ok, up)
			}
			gotKey, gotValue, ok = m.Floor(k)
			if got := (Entry{gotKey, gotValue}); got != down || ok != (below >= 0) {
				t.Errorf("Floor(%#x) = %v, %v; want %v", k, got, ok, down)
			}
		}
		checkRanges(t, r, m, entries, probes)
	})
}

func checkRanges(t *testing.T, r *rand.Rand, m Map, entries []Entry, probes []uint64) {
	for range 100 {
		lo, hi := probes[r.IntN(len(probes))], probes[r.IntN(len(probes))]
		want := []Entry{}
		for _, e := range entries {
			if e.Key >= lo && e.Key < hi {
				want = append(want, e)
			}
		}
		got := []Entry{}
		for k, v := range m.Range(lo, hi) {
			got = append(got, Entry{k, v})
		}
		if !slices.Equal(got, want) {
			t.Errorf("Range(%#x, %#x) = %v, want %v", lo, hi, got, want)
		}
		checkFrom(t, m, lo, entries)
		stop := r.IntN(len(entries) + 1)
		got = got[:0]
		for k, v := range m.Range(lo, hi) {
			if len(got) == stop {
				break
			}
			got = append(got, Entry{k, v})
		}
		if !slices.Equal(got, want[:min(stop, len(want))]) {
			t.Errorf("Range(%#x, %#x), stopped after %d: %v", lo, hi, stop, got)
		}
	}
}

func checkFrom(t *testing.T, m Map, lo uint64, entries []Entry) {
	t.Helper()
	want := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool { return e.Key < lo })
	got := []Entry{}
	for k, v := range m.From(lo) {
		got = append(got, Entry{k, v})
	}
	if !slices.Equal(got, want) {
		t.Errorf("From(%#x) = %v, want %v", lo, got, want)
	}
}

// related returns two models that share keys to some degree, and maps of them that share nodes.
func related(r *rand.Rand, p keyPattern, size int) (ma, mb map[uint64]Value, a, b Map) {
	ma = p.model(r, size, 1000)
	a = inOrder(r, ma)
	if r.IntN(3) == 0 {
		p = keyPatterns[r.IntN(len(keyPatterns))]
	}
	if r.IntN(2) == 0 {
		mb = p.model(r, 1+r.IntN(size), 1000)
		return ma, mb, a, inOrder(r, mb)
	}
	mb, b = maps.Clone(ma), a
	if r.IntN(2) == 0 {
		b.Root(testHasher{}) // digests to inherit
	}
	edit := b.Edit()
	for range r.IntN(size + 1) {
		k, v := p.draw(r), Value(r.Uint64N(1000))
		if r.IntN(2) == 0 && len(mb) > 0 {
			k = sorted(mb)[r.IntN(len(mb))].Key
			if r.IntN(2) == 0 {
				delete(mb, k)
				edit.Remove(k)
				continue
			}
		}
		mb[k] = v
		edit.Insert(k, v)
	}
	if r.IntN(2) == 0 {
		return mb, ma, edit.Map(), a
	}
	return ma, mb, a, edit.Map()
}

func TestSetOperations(t *testing.T) {
	forPatterns(t, 20, func(t *testing.T, p keyPattern, r *rand.Rand, size int) {
		for range 5 {
			ma, mb, a, b := related(r, p, size)
			union, both, less := maps.Clone(mb), map[uint64]Value{}, map[uint64]Value{}
			for k, v := range ma {
				union[k] = v
				if _, ok := mb[k]; ok {
					both[k] = v
				} else {
					less[k] = v
				}
			}
			if r.IntN(2) == 0 {
				a.Root(testHasher{})
			}
			mustEqual(t, Union(a, b), union)
			mustEqual(t, Intersection(a, b), both)
			mustEqual(t, Difference(a, b), less)
			mustEqual(t, a, ma)
			mustEqual(t, b, mb)
		}
	})
}

func TestDiff(t *testing.T) {
	forPatterns(t, 20, func(t *testing.T, p keyPattern, r *rand.Rand, size int) {
		for range 5 {
			ma, mb, a, b := related(r, p, size)
			want := []Change{}
			all := maps.Clone(ma)
			maps.Copy(all, mb)
			for _, e := range sorted(all) {
				was, hasOld := ma[e.Key]
				is, hasNew := mb[e.Key]
				if hasOld != hasNew || was != is {
					want = append(want, Change{e.Key, was, is, hasOld, hasNew})
				}
			}
			for name, diff := range map[string]func(func(Change) bool){
				"Diff": Diff(a, b), "DiffHashed": DiffHashed(a, b, testHasher{}),
			} {
				got := []Change{}
				for c := range diff {
					got = append(got, c)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%s: %v, want %v", name, got, want)
				}
				stop := r.IntN(len(want) + 1)
				got = got[:0]
				for c := range diff {
					if len(got) == stop {
						break
					}
					got = append(got, c)
				}
				if !slices.Equal(got, want[:min(stop, len(want))]) {
					t.Fatalf("%s, stopped after %d: %v", name, stop, got)
				}
			}
		}
	})
}
