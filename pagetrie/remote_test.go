package pagetrie

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestProof(t *testing.T) {
	forPatterns(t, 20, func(t *testing.T, p keyPattern, r *rand.Rand, size int) {
		model := p.model(r, size, 1000)
		m := inOrder(r, model)
		if r.IntN(4) == 0 {
			m, model = Map{}, nil
		}
		root := m.Root(testHasher{})
		ks := slices.Sorted(maps.Keys(model))
		for range 60 {
			key := p.draw(r)
			if len(ks) > 0 && r.IntN(2) == 0 {
				key = ks[r.IntN(len(ks))] + r.Uint64N(3) - 1
			}
			proof := m.Prove(key, testHasher{})
			got, present, err := proof.Verify(root, key)
			if err != nil {
				t.Fatalf("key %#x: %v", key, err)
			}
			want := Hash{}
			v, has := model[key]
			if has {
				want = testHasher{}.HashValue(v)
			}
			if present != has || got != want {
				t.Fatalf("key %#x: proved %v, %v; want %v, %v", key, got, present, want, has)
			}
			if _, _, err := proof.Verify(m.Insert(key, v+1).Root(testHasher{}), key); !errors.Is(err, ErrProof) {
				t.Fatalf("proof of another root: %v", err)
			}
			forge(t, r, proof, root, key, got, present)
		}
	})
}

// forge changes the proof in one place and checks that it never proves anything else.
func forge(t *testing.T, r *rand.Rand, p Proof, root Hash, key uint64, want Hash, present bool) {
	t.Helper()
	p.Path = slices.Clone(p.Path)
	if len(p.Path) == 0 {
		p.Entries++
	} else {
		s := &p.Path[r.IntN(len(p.Path))]
		s.Keys, s.Hashes, s.Groups = slices.Clone(s.Keys), slices.Clone(s.Hashes), slices.Clone(s.Groups)
		switch bit := byte(1) << r.IntN(8); r.IntN(9) {
		case 0:
			p.Entries ^= uint64(bit)
		case 1:
			s.Base ^= 1 << r.IntN(64)
		case 2:
			s.Shift ^= bit
		case 3:
			s.Used ^= 1 << r.IntN(32)
		case 4:
			s.Kind ^= Kind(bit)
		case 5:
			if len(s.Keys) > 0 {
				s.Keys[r.IntN(len(s.Keys))] ^= uint64(bit)
			}
		case 6:
			if len(s.Hashes) > 0 {
				s.Hashes[r.IntN(len(s.Hashes))][r.IntN(32)] ^= bit
			}
		case 7:
			if len(s.Groups) > 0 {
				s.Groups[r.IntN(len(s.Groups))][r.IntN(32)] ^= bit
			}
		case 8:
			p.Path = p.Path[:len(p.Path)-1]
		}
	}
	got, has, err := p.Verify(root, key)
	if err == nil && (got != want || has != present) {
		t.Fatalf("key %#x: a forged proof shows %v, %v; truth is %v, %v", key, got, has, want, present)
	}
}

// wire is a map on another machine, which counts round trips and can lie.
type wire struct {
	m     Map
	trips int
	nodes int
	lie   func([]View)
}

func (w *wire) Head() (uint64, Hash) { return uint64(w.m.Len()), w.m.Root(testHasher{}) }

func (w *wire) Nodes(refs []Ref) ([]View, error) {
	w.trips++
	w.nodes += len(refs)
	views, err := w.m.Nodes(testHasher{}, refs)
	if w.lie != nil {
		w.lie(views)
	}
	return views, err
}

// relatedRemotes are two maps, one in ten of each empty, and what a walk over their hashes must find.
func relatedRemotes(r *rand.Rand, p keyPattern, size int) (a, b Map, want []RemoteChange) {
	_, _, a, b = related(r, p, size)
	switch r.IntN(10) {
	case 0:
		a = Map{}
	case 1:
		b = Map{}
	}
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
	return a, b, want
}

// liar makes the other side change a bit in one of the first answers, and says whether it did.
func (w *wire) liar(r *rand.Rand) (lied *bool) {
	lied = new(bool)
	trip := 1 + r.IntN(3)
	w.lie = func(views []View) {
		if w.trips == trip {
			v := &views[r.IntN(len(views))]
			v.Hashes[r.IntN(len(v.Hashes))][r.IntN(32)] ^= 1
			*lied = true
		}
	}
	return lied
}

func TestRemoteDiff(t *testing.T) {
	forPatterns(t, 20, func(t *testing.T, p keyPattern, r *rand.Rand, size int) {
		for range 4 {
			a, b, want := relatedRemotes(r, p, size)
			remote := &wire{m: b}
			got, err := RemoteDiff(a, testHasher{}, remote)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%v, want %v", got, want)
			}
			if remote.trips > 13 {
				t.Fatalf("%d round trips", remote.trips)
			}
			remote = &wire{m: b}
			lied := remote.liar(r)
			if _, err := RemoteDiff(a, testHasher{}, remote); *lied != (err != nil) {
				t.Fatalf("lied %v, error %v", *lied, err)
			}
		}
	})
}

// TestRemoteDiffCost: one page of a quarter of a million takes as many round trips as the trie has levels, and as many
// nodes.
func TestRemoteDiffCost(t *testing.T) {
	b := keys(1<<18, func(i uint64) uint64 { return i })
	a := keys(1<<18, func(i uint64) uint64 { return i }).Insert(99_999, 1)
	remote := &wire{m: b}
	got, err := RemoteDiff(a, testHasher{}, remote)
	if err != nil || len(got) != 1 || got[0].Key != 99_999 {
		t.Fatalf("%v, %v", got, err)
	}
	if remote.trips != 4 || remote.nodes != 4 {
		t.Errorf("%d round trips for %d nodes, want 4 for 4", remote.trips, remote.nodes)
	}
}

func TestNodesUnknownRef(t *testing.T) {
	m := keys(100, func(i uint64) uint64 { return i })
	for _, ref := range []Ref{{0, 2}, {0, 200}} {
		if _, err := m.Nodes(testHasher{}, []Ref{ref}); err == nil || !strings.Contains(err.Error(), "no node") {
			t.Errorf("Nodes(%v): %v", ref, err)
		}
	}
	if _, err := (Map{}).Nodes(testHasher{}, []Ref{{}}); err == nil {
		t.Error("Nodes of the empty map: no error")
	}
}
