package pagetrie

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// mapSource stores a map in itself.
type mapSource struct {
	testHasher
	m      Map
	parts  atomic.Int64         // given
	change func(Region, *Part)  // what damage does, if not nil
	lie    func(v Value) *Value // the value whose hash v has, if not nil
	fail   error
}

var errDamaged = errors.New("damaged")

func (s *mapSource) HashValue(v Value) Hash {
	if s.lie != nil {
		if other := s.lie(v); other != nil {
			v = *other
		}
	}
	return s.testHasher.HashValue(v)
}

func (s *mapSource) Damaged(r Region) error {
	return fmt.Errorf("keys %#x to %#x: %w", r.First, r.Last(), errDamaged)
}

func (s *mapSource) Part(r Region) (Part, error) {
	s.parts.Add(1)
	var p Part
	add := func(below Region) {
		eachWithin(s.m.root, below.First, below.Last(), func(k uint64, v Value) bool {
			p.Entries = append(p.Entries, Entry{k, v})
			return true
		})
	}
	if r.Level == leastLevel {
		add(r)
	} else {
		for first := r.First; ; first += 1 << ((r.Level - 1) * fanBits) {
			below := RegionOf(first, r.Level-1)
			if sum := s.m.Summary(below, s.testHasher); sum.Branch {
				p.Kids = append(p.Kids, sum)
			} else {
				add(below)
			}
			if below.Last() == r.Last() {
				break
			}
		}
	}
	if s.change != nil {
		s.change(r, &p)
	}
	return p, s.fail
}

// wholeLevel is that of the region of all keys.
const wholeLevel = 13

func (s *mapSource) stored(t testing.TB) Map {
	t.Helper()
	m, err := Stored(s, s.m.Summary(RegionOf(0, wholeLevel), s.testHasher), entriesOf(s.m))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestStored: a stored map gives what the map gives that it is stored from, whatever is asked of it first.
func TestStored(t *testing.T) {
	forPatterns(t, 25, func(t *testing.T, p keyPattern, r *rand.Rand, size int) {
		_, _, a, b := related(r, p, size)
		h := testHasher{}
		lazy := func(m Map) Map { return (&mapSource{m: m}).stored(t) }
		if got, want := lazy(a).Root(h), a.Root(h); got != want || lazy(a).Len() != a.Len() {
			t.Fatalf("root %v, %d entries; want %v, %d", got, lazy(a).Len(), want, a.Len())
		}
		same(t, "union of stored and not", Union(lazy(a), b), Union(a, b))
		same(t, "union of not and stored", Union(a, lazy(b)), Union(a, b))
		same(t, "union of stored", Union(lazy(a), lazy(b)), Union(a, b))
		one := lazy(a)
		same(t, "union with itself", Union(one, one), a)
		same(t, "difference of stored", Difference(lazy(a), lazy(b)), Difference(a, b))
		same(t, "difference of stored and not", Difference(lazy(a), b), Difference(a, b))
		same(t, "intersection of stored", Intersection(a, lazy(b)), Intersection(a, b))
		collect := func(seq func(func(Change) bool)) []Change { return slices.Collect(seq) }
		if !slices.Equal(collect(Diff(lazy(a), b)), collect(Diff(a, b))) || !slices.Equal(collect(DiffHashed(lazy(a), lazy(b), h)), collect(DiffHashed(a, b, h))) {
			t.Fatal("differences differ")
		}
		if err := lazy(a).CheckHashes(h); err != nil {
			t.Fatal(err)
		}
		changes, err := RemoteDiff(lazy(a), h, &wire{m: lazy(b)})
		if want, _ := RemoteDiff(a, h, &wire{m: b}); err != nil || !slices.Equal(changes, want) {
			t.Fatalf("remote difference: %v", err)
		}
		edit, want := lazy(a).Edit(), a.Edit()
		for range 20 {
			k := p.draw(r)
			checkStoredKey(t, lazy(a), a, k)
			if r.IntN(2) == 0 {
				edit.Remove(k)
				want.Remove(k)
			} else {
				edit.Insert(k, Value(k))
				want.Insert(k, Value(k))
			}
		}
		same(t, "edits", edit.Map(), want.Map())
		if err := edit.Map().CheckHashes(h); err != nil {
			t.Fatal(err)
		}
	})
}

// checkStoredKey asks two equal maps about a key. Each question finds l not read yet.
func checkStoredKey(t *testing.T, l, m Map, k uint64) {
	t.Helper()
	again := func() Map { return (&mapSource{m: m}).stored(t) }
	v, ok := l.Get(k)
	if want, has := m.Get(k); v != want || ok != has {
		t.Fatalf("Get(%#x) is %d, %v; want %d, %v", k, v, ok, want, has)
	}
	fk, fv, fok := again().Floor(k)
	if wk, wv, wok := m.Floor(k); fk != wk || fv != wv || fok != wok {
		t.Fatalf("Floor(%#x) is %#x", k, fk)
	}
	ck, cv, cok := again().Ceiling(k)
	if wk, wv, wok := m.Ceiling(k); ck != wk || cv != wv || cok != wok {
		t.Fatalf("Ceiling(%#x) is %#x", k, ck)
	}
	proof := again().Prove(k, testHasher{})
	hash, present, err := proof.Verify(m.Root(testHasher{}), k)
	if err != nil || present != ok || ok && hash != (testHasher{}).HashValue(v) {
		t.Fatalf("proof of %#x: %v", k, err)
	}
	within := func(m Map) (all []Entry) {
		for k, v := range m.Range(k-70, k+5000) {
			all = append(all, Entry{k, v})
		}
		return all
	}
	if !slices.Equal(within(again()), within(m)) {
		t.Fatalf("range around %#x differs", k)
	}
	same(t, "insert", again().Insert(k, 99), m.Insert(k, 99))
	same(t, "remove", again().Remove(k), m.Remove(k))
}

// TestStoredCost: what is read depends on the keys that are touched, not on how many there are.
func TestStoredCost(t *testing.T) {
	for _, n := range []uint64{1 << 15, 1 << 18, 1 << 20} {
		s := &mapSource{m: keys(n, func(i uint64) uint64 { return i })}
		m := s.stored(t)
		m.Root(testHasher{})
		if got := s.parts.Load(); got != 0 {
			t.Errorf("%d entries: the root took %d parts", n, got)
		}
		m.Get(n / 2)
		changed := Union(Map{}.Insert(n/2, 1), m)
		changed.Root(testHasher{})
		for range Diff(m, changed) {
		}
		if got := s.parts.Load(); got > 3 {
			t.Errorf("%d entries: looking at, changing and hashing one took %d parts", n, got)
		}
		if read, left := m.Reading(); read > 3 || left > 3*fanOut {
			t.Errorf("%d entries: %d branches read, %d known", n, read, left)
		}
	}
}

// TestStoredDamage: whatever of a part is not as it was is found before it counts.
func TestStoredDamage(t *testing.T) {
	changes := []func(*rand.Rand, *Part) bool{
		func(r *rand.Rand, p *Part) bool {
			return onKid(r, p, func(s *Summary) { s.Digest[r.IntN(32)] ^= 1 << r.IntN(8) })
		},
		func(r *rand.Rand, p *Part) bool { return onKid(r, p, func(s *Summary) { s.Count += 1 + r.IntN(5) }) },
		func(r *rand.Rand, p *Part) bool { return onKid(r, p, func(s *Summary) { s.Shift += 5 }) },
		func(r *rand.Rand, p *Part) bool { return onKid(r, p, func(s *Summary) { s.Base ^= 1 << s.Shift << 5 }) },
		func(r *rand.Rand, p *Part) bool { return onKid(r, p, func(s *Summary) { s.First ^= 1 << 40 }) },
		func(r *rand.Rand, p *Part) bool {
			i := r.IntN(len(p.Kids) + 1)
			if i == len(p.Kids) {
				return false
			}
			p.Kids = slices.Delete(p.Kids, i, i+1)
			return true
		},
		func(r *rand.Rand, p *Part) bool { return onEntry(r, p, func(e *Entry) { e.Key ^= 1 << r.IntN(64) }) },
		func(r *rand.Rand, p *Part) bool { return onEntry(r, p, func(e *Entry) { e.Value++ }) },
		func(r *rand.Rand, p *Part) bool {
			if len(p.Entries) == 0 {
				return false
			}
			i := r.IntN(len(p.Entries))
			p.Entries = slices.Delete(p.Entries, i, i+1)
			return true
		},
		func(r *rand.Rand, p *Part) bool { *p = Part{}; return true },
	}
	found := 0
	for seed := range uint64(600) {
		r := rand.New(rand.NewPCG(seed, 7))
		p := keyPatterns[r.IntN(len(keyPatterns))]
		a := inOrder(r, p.model(r, 3000, 1<<40))
		s := &mapSource{m: a}
		change, left := changes[int(seed)%len(changes)], r.IntN(4)
		done := false
		s.change = func(_ Region, part *Part) {
			if left--; left < 0 && !done {
				done = change(r, part)
			}
		}
		err := visitAll(s.stored(t))
		if done {
			found++
		}
		var u *Unreadable
		if done != (err != nil) || err != nil && (!errors.As(err, &u) || !errors.Is(err, errDamaged)) {
			t.Fatalf("seed %d, pattern %s: damaged %v, found %v", seed, p.name, done, err)
		}
	}
	if found < 100 {
		t.Errorf("only %d of the maps were damaged", found)
	}
	s := &mapSource{m: keys(5000, func(i uint64) uint64 { return i }), fail: errors.New("disk on fire")}
	if err := visitAll(s.stored(t)); !errors.Is(err, s.fail) {
		t.Errorf("a source that fails: %v", err)
	}
	wrong := func() (err error) { defer CatchUnreadable(&err); panic("another") }
	defer func() {
		if recover() == nil {
			t.Error("another panic was swallowed")
		}
	}()
	_ = wrong()
}

func onKid(r *rand.Rand, p *Part, f func(*Summary)) bool {
	if len(p.Kids) == 0 {
		return false
	}
	f(&p.Kids[r.IntN(len(p.Kids))])
	return true
}

func onEntry(r *rand.Rand, p *Part, f func(*Entry)) bool {
	if len(p.Entries) == 0 {
		return false
	}
	f(&p.Entries[r.IntN(len(p.Entries))])
	return true
}

func visitAll(m Map) (err error) {
	defer CatchUnreadable(&err)
	for range m.All() {
	}
	return nil
}

// TestStoredConcurrently reads one stored map from many goroutines: all must see one branch, whoever read it.
func TestStoredConcurrently(t *testing.T) {
	s := &mapSource{m: keys(40000, func(i uint64) uint64 { return i })}
	want := s.m.Insert(39999, 7).Root(testHasher{})
	for range 10 {
		m := s.stored(t)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(g), 1))
				for range 300 {
					k := r.Uint64N(40000)
					if v, ok := m.Get(k); !ok || v != mustGet(s.m, k) {
						t.Errorf("key %d: %d %v", k, v, ok)
					}
				}
				if m.Insert(39999, 7).Root(testHasher{}) != want {
					t.Error("root differs")
				}
				for c := range Diff(m, m.Insert(5, 1)) {
					if c.Key != 5 {
						t.Errorf("key %d differs", c.Key)
					}
				}
			})
		}
		wg.Wait()
	}
}

func mustGet(m Map, k uint64) Value {
	v, _ := m.Get(k)
	return v
}
