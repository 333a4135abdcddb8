package pagetrie

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"lockstep/pagetrie/internal/patricia"
)

// same checks that two maps have the same root, and the same entries by Diff.
func same(t *testing.T, law string, a, b Map) {
	t.Helper()
	for c := range Diff(a, b) {
		t.Fatalf("%s: key %#x: %d, %d", law, c.Key, c.Old, c.New)
	}
	if a.Root(testHasher{}) != b.Root(testHasher{}) || a.Len() != b.Len() {
		t.Fatalf("%s: roots differ", law)
	}
}

func TestLaws(t *testing.T) {
	forPatterns(t, 25, func(t *testing.T, p keyPattern, r *rand.Rand, size int) {
		_, _, a, b := related(r, p, size)
		c := inOrder(r, p.model(r, 1+r.IntN(size), 50))
		same(t, "union is associative", Union(a, Union(b, c)), Union(Union(a, b), c))
		same(t, "union is idempotent", Union(a, a), a)
		same(t, "union has a unit", Union(a, Map{}), Union(Map{}, a))
		same(t, "union absorbs", Union(a, Intersection(a, b)), a)
		same(t, "a map is its two parts", Union(Difference(a, b), Intersection(a, b)), a)
		same(t, "right-biased union by difference", Union(b, a), Union(Difference(a, b), b))
		same(t, "difference distributes", Difference(a, Union(b, c)), Difference(Difference(a, b), c))
		same(t, "intersection is associative", Intersection(a, Intersection(b, c)), Intersection(Intersection(a, b), c))

		patched, undone := a.Edit(), b.Edit()
		for c := range Diff(a, b) {
			apply(patched, c.Key, c.New, c.HasNew)
			apply(undone, c.Key, c.Old, c.HasOld)
		}
		same(t, "a diff leads from a to b", patched.Map(), b)
		same(t, "and back", undone.Map(), a)
		var delta []Change
		for k, v := range b.All() {
			if was, had := a.Get(k); !had || was != v {
				delta = append(delta, Change{Key: k, Old: was, New: v, HasOld: had, HasNew: true})
			}
		}
		if got := slices.Collect(Diff(a, Union(b, a))); !slices.Equal(got, delta) {
			t.Fatalf("the diff of a union is %v, the delta %v", got, delta)
		}
		if equal := slices.Equal(entriesOf(a), entriesOf(b)); equal != (a.Root(testHasher{}) == b.Root(testHasher{})) {
			t.Fatalf("contents equal: %v, roots equal: %v", equal, !equal)
		}
	})
}

func apply(b *Builder, key uint64, v Value, has bool) {
	if has {
		b.Insert(key, v)
	} else {
		b.Remove(key)
	}
}

// TestOracle compares with the paper's binary tree.
func TestOracle(t *testing.T) {
	forPatterns(t, 10, func(t *testing.T, p keyPattern, r *rand.Rand, size int) {
		build := func(model map[uint64]Value) *patricia.Tree {
			var tree *patricia.Tree
			for k, v := range model {
				tree = tree.Insert(k, uint64(v))
			}
			return tree
		}
		ma, mb, a, b := related(r, p, size)
		tree := patricia.Union(build(ma), build(mb))
		union := Union(a, b)
		for k := range mb {
			if r.IntN(3) == 0 {
				tree, union = tree.Remove(k), union.Remove(k)
			}
		}
		want := []Entry{}
		tree.All(func(k, v uint64) bool {
			want = append(want, Entry{k, Value(v)})
			return true
		})
		if got := entriesOf(union); !slices.Equal(got, want) {
			t.Fatalf("entries %v, want %v", got, want)
		}
		for range 50 {
			k := p.draw(r)
			v, ok := union.Get(k)
			if want, has := tree.Get(k); uint64(v) != want || ok != has {
				t.Fatalf("Get(%#x) = %d, %v; want %d, %v", k, v, ok, want, has)
			}
			at, v, ok := union.Ceiling(k)
			if wantKey, want, has := tree.Ceiling(k); ok != has || ok && (at != wantKey || uint64(v) != want) {
				t.Fatalf("Ceiling(%#x) = %#x, %d, %v; want %#x, %d, %v", k, at, v, ok, wantKey, want, has)
			}
		}
	})
}

// TestPersistence keeps versions of a map while going on from any of them, and looks at all of them at the end.
func TestPersistence(t *testing.T) {
	forPatterns(t, 8, func(t *testing.T, p keyPattern, r *rand.Rand, size int) {
		type version struct {
			m     Map
			model map[uint64]Value
		}
		versions := []version{{Map{}, map[uint64]Value{}}}
		for range 30 {
			from, other := versions[r.IntN(len(versions))], versions[r.IntN(len(versions))]
			next := version{from.m, maps.Clone(from.model)}
			switch r.IntN(5) {
			case 0:
				next.m = Union(from.m, other.m)
				for k, v := range other.model {
					if _, has := from.model[k]; !has {
						next.model[k] = v
					}
				}
			case 1:
				next.m = Difference(from.m, other.m)
				for k := range other.model {
					delete(next.model, k)
				}
			default:
				edit := from.m.Edit()
				for range size {
					k, v := p.draw(r), Value(r.Uint64N(100))
					if r.IntN(4) == 0 {
						edit.Remove(k)
						delete(next.model, k)
					} else {
						edit.Insert(k, v)
						next.model[k] = v
					}
				}
				next.m = edit.Map()
				edit.Insert(p.draw(r), 1<<40) // after Map: must not show
				edit.Remove(p.draw(r))
			}
			if r.IntN(2) == 0 {
				next.m.Root(testHasher{})
			}
			versions = append(versions, next)
		}
		for _, v := range versions {
			mustEqual(t, v.m, v.model)
		}
	})
}

// TestConcurrentRoots asks for roots of versions that share nodes from several goroutines, while others are made of
// them. The race detector is the judge of more than the roots.
func TestConcurrentRoots(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 5))
		base := inOrder(r, keyPatterns[seed%uint64(len(keyPatterns))].model(r, 3000, 1000))
		if seed%2 == 0 {
			base.Root(testHasher{})
		}
		versions := []Map{base}
		for range 4 {
			versions = append(versions, Union(inOrder(r, keyPatterns[0].model(r, 30, 1000)), versions[len(versions)-1]))
		}
		var group sync.WaitGroup
		roots := make([][]Hash, 4)
		for g := range roots {
			group.Go(func() {
				for i := range versions {
					m := versions[(i+g)%len(versions)]
					roots[g] = append(roots[g], m.Root(testHasher{}), m.Insert(77, Value(g)).Remove(77).Insert(77, 5).Root(testHasher{}))
				}
			})
		}
		group.Wait()
		for i, m := range versions {
			want := FromSorted(entriesOf(m)).Root(testHasher{})
			for g := range roots {
				at := 2 * ((i - g + len(versions)) % len(versions))
				if got := roots[g][at]; got != want {
					t.Fatalf("seed %d: goroutine %d, version %d: root %v, want %v", seed, g, i, got, want)
				}
			}
			if err := m.Check(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
