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
			_, _, a, b := related(r, p, size)
			switch r.IntN(10) {
			case 0:
				a = Map{}
			case 1:
				b = Map{}
			}
			var want []RemoteChange
			for c := range Diff(a, b) {
				change := RemoteChange{Key: c.Key, HasLocal: c.HasOld, HasRemote: c.HasNew}
				if c.HasOld {
					change.Local = testHasher{}.HashValue(c.Old)
				}
				if c.HasNew {
					change.Remote = testHasher{}.HashValue(c.New)
				}
				want = append(want, change)
			}
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
			lied, trip, liar := false, 1+r.IntN(3), &wire{m: b}
			liar.lie = func(views []View) {
				if liar.trips == trip {
					v := &views[r.IntN(len(views))]
					v.Hashes[r.IntN(len(v.Hashes))][r.IntN(32)] ^= 1
					lied = true
				}
			}
			if _, err := DiffRemotes(&wire{m: a}, liar); lied != (err != nil) {
				t.Fatalf("lied %v, error %v", lied, err)
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
