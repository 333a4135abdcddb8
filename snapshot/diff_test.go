package snapshot

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestDiff(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		s := openTestStore(t, Config{FS: newMemFS(), Dir: "/store"})
		a := randomModel(rng, 100)
		a.memory("same", 16).set(3, 3)
		a.memory("only in a", 16).set(1, 1)
		b := a.clone()
		b.mutate(rng, 5)
		b.memories["same"] = a.memories["same"]
		delete(b.memories, "only in a")
		b.memory("only in b", 32).set(2, 2)
		ca, err := s.OpenCheckpoint(write(t, s, 1, a))
		if err != nil {
			t.Fatal(err)
		}
		cb, err := s.OpenCheckpoint(write(t, s, 2, b))
		if err != nil {
			t.Fatal(err)
		}
		d := Diff(ca, cb)
		if d.Equal() || !Diff(ca, ca).Equal() || len(d.Table) == 0 {
			t.Fatalf("seed %d: %+v", seed, d)
		}
		var names []string
		for _, m := range d.Memories {
			names = append(names, m.Name)
			checkMemoryDifference(t, m, a, b)
		}
		if fmt.Sprint(names) != "[canister-7 only in a only in b]" {
			t.Errorf("seed %d: memories %v", seed, names)
		}
	}
}

func checkMemoryDifference(t *testing.T, d MemoryDifference, a, b *model) {
	t.Helper()
	pa, pb := map[uint64]Page{}, map[uint64]Page{}
	if m := a.memories[d.Name]; m != nil {
		pa = m.pages
	}
	if m := b.memories[d.Name]; m != nil {
		pb = m.pages
	}
	var want []uint64
	all := maps.Clone(pa)
	maps.Copy(all, pb)
	for _, page := range slices.Sorted(maps.Keys(all)) {
		if pa[page].Hash != pb[page].Hash {
			want = append(want, page)
		}
	}
	if !slices.Equal(d.Pages, want) {
		t.Errorf("%s: pages %v, want %v", d.Name, d.Pages, want)
	}
	for _, page := range d.Pages {
		ranges, err := d.Bytes(page)
		if err != nil || len(ranges) == 0 {
			t.Errorf("%s page %d: %v, %v", d.Name, page, ranges, err)
		}
	}
}

func TestDiffBytes(t *testing.T) {
	a := []byte("the quick brown fox jumps over the lazy dog")
	b := bytes.Clone(a)
	b[4], b[6], b[30] = 'Q', 'I', 'X'
	got := ""
	for _, r := range DiffBytes(a, append(b, '!')) {
		got += fmt.Sprintf("%d %q %q; ", r.Offset, r.A, r.B)
	}
	if got != `4 "qui" "QuI"; 30 " " "X"; 43 "" "!"; ` {
		t.Errorf("got %s", got)
	}
	if DiffBytes(a, a) != nil {
		t.Error("equal strings differ")
	}
}

func TestInspect(t *testing.T) {
	s, mem, id := layeredStore(t, 20)
	c, err := s.OpenCheckpoint(id)
	if err != nil {
		t.Fatal(err)
	}
	info := c.Inspect()
	bytes := uint64(0)
	for _, f := range files(mem.find("/store/" + id)) {
		bytes += uint64(len(f.data))
	}
	if info.Bytes != bytes || info.Index != 3 || len(info.Memories) != 1 {
		t.Errorf("%+v", info)
	}
	m := info.Memories[0]
	if m.Pages != 19 || len(m.Layers) != 3 || m.Layers[0].Visible != 17 || m.Layers[1].Zeros != 1 || m.Layers[2].Born != 3 {
		t.Errorf("%+v", m)
	}
}
