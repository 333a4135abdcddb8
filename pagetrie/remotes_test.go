package pagetrie

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestDiffRemotes holds the walk over two maps on other machines against Diff, and sees every lie.
func TestDiffRemotes(t *testing.T) {
	forPatterns(t, 20, func(t *testing.T, p keyPattern, r *rand.Rand, size int) {
		for range 4 {
			a, b, want := relatedRemotes(r, p, size)
			left, right := &wire{m: a}, &wire{m: b}
			got, err := DiffRemotes(left, right)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%v, want %v", got, want)
			}
			if left.trips > 13 || right.trips > 13 {
				t.Fatalf("%d and %d round trips", left.trips, right.trips)
			}
			right = &wire{m: b}
			lied := right.liar(r)
			if _, err := DiffRemotes(&wire{m: a}, right); *lied != (err != nil) {
				t.Fatalf("lied %v, error %v", *lied, err)
			}
		}
	})
}

// TestDiffRemotesCost: one page of a quarter of a million takes a node a level on either side, and a map that has grown a level
// does not make the walk read what both have.
func TestDiffRemotesCost(t *testing.T) {
	small := keys(1<<15, func(i uint64) uint64 { return i })
	for _, c := range []struct {
		name         string
		a, b         Map
		changes      int
		nodesA, both int
	}{
		{"one page", keys(1<<18, func(i uint64) uint64 { return i }), keys(1<<18, func(i uint64) uint64 { return i }).Insert(99_999, 1), 1, 4, 8},
		{"grown by a level", small, small.Insert(1<<15, 1), 1, 1, 3},
		{"shrunk by a level", small.Insert(1<<15, 1), small, 1, 2, 3},
	} {
		a, b := &wire{m: c.a}, &wire{m: c.b}
		got, err := DiffRemotes(a, b)
		if err != nil || len(got) != c.changes {
			t.Fatalf("%s: %v, %v", c.name, got, err)
		}
		if a.nodes != c.nodesA || a.nodes+b.nodes != c.both {
			t.Errorf("%s: %d and %d nodes read, want %d of %d", c.name, a.nodes, b.nodes, c.nodesA, c.both)
		}
	}
}
