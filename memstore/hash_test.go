package memstore

import (
	"math/rand/v2"
	"os"
	"testing"

	"lockstep/pagetrie"
)

// oneByOne hides that a Store can hash many pages at once.
type oneByOne struct{ s *Store }

func (o oneByOne) HashValue(v pagetrie.Value) pagetrie.Hash { return o.s.HashValue(v) }

// TestHashingInPairs holds the hashing of many pages against that of single ones: in slots and in files whose checkpoint
// knows the hashes or does not, some hashed before, some twice in the list, in lists of every length up to several grains.
func TestHashingInPairs(t *testing.T) {
	var _ pagetrie.BatchHasher = (*Store)(nil)
	dir := t.TempDir()
	for _, n := range []int{0, 1, 2, 3, 64, 129, 5*hashGrain + 1} {
		s := openStore(t)
		f, err := os.CreateTemp(dir, "pages")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			if _, err := f.Write(testPage(byte(100 + i))); err != nil {
				t.Fatal(err)
			}
		}
		known, err := s.AddFile(PageArea{File: f, Pages: 40, Hash: func(i PageCount) pagetrie.Hash { return HashPage(testPage(byte(100 + i))) }})
		if err != nil {
			t.Fatal(err)
		}
		unknown, err := s.AddFile(PageArea{File: f, Pages: 40})
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		values := make([]pagetrie.Value, n)
		b, again := pagetrie.Map{}.Edit(), pagetrie.Map{}.Edit()
		for i := range values {
			switch i % 5 {
			case 0, 1:
				values[i] = add(t, s, byte(i)|1)
			case 2:
				values[i] = known + pagetrie.Value(i%40)
			case 3:
				values[i] = unknown + pagetrie.Value(i*7%40)
			case 4:
				values[i] = values[i-3]
			}
			if i%11 == 0 {
				s.HashValue(values[i])
			}
			b.Insert(uint64(i*i), values[i])
			again.Insert(uint64(i*i), values[i])
		}
		hashes := make([]pagetrie.Hash, n)
		s.HashValues(values, hashes)
		for i, h := range values {
			if want := HashPage(s.Page(h)); hashes[i] != want || s.HashValue(h) != want {
				t.Fatalf("%d pages, page %d: %v and %v, want %v", n, i, hashes[i], s.HashValue(h), want)
			}
		}
		if got, want := b.Map().Root(s), again.Map().Root(oneByOne{s}); got != want {
			t.Errorf("%d pages: root %v, one by one %v", n, got, want)
		}
	}
}

// TestHashAll: zero handles are skipped, and the hashes are those of single pages.
func TestHashAll(t *testing.T) {
	s := openStore(t)
	handles := make([]pagetrie.Value, 3*hashGrain)
	for i := range handles {
		if i%3 > 0 {
			handles[i] = add(t, s, byte(i)|1)
		}
	}
	s.HashAll(handles)
	for i, h := range handles {
		if h == 0 {
			continue
		}
		if sum, ok := s.hashed(h, slotOf(h)); !ok || sum != HashPage(s.Page(h)) {
			t.Fatalf("page %d: hash %v, kept %v", i, sum, ok)
		}
	}
}

// unhashedPages are the pages of a benchmark, 16 MiB together.
func unhashedPages(b *testing.B) (*Store, []pagetrie.Value) {
	s := openStore(b)
	handles := make([]pagetrie.Value, 4096)
	for i := range handles {
		handles[i] = add(b, s, byte(i)|1)
	}
	b.SetBytes(int64(len(handles)) * PageSize)
	return s, handles
}

func BenchmarkHashAll(b *testing.B) {
	s, handles := unhashedPages(b)
	for range b.N {
		clear(s.arena.hashed[:len(handles)])
		s.HashAll(handles)
	}
}

func BenchmarkHashValue(b *testing.B) {
	s, handles := unhashedPages(b)
	for range b.N {
		clear(s.arena.hashed[:len(handles)])
		for _, h := range handles {
			s.HashValue(h)
		}
	}
}

func TestHashPagePair(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{7})
	a, b := make([]byte, PageSize), make([]byte, PageSize)
	for range 20 {
		_, _ = rng.Read(a)
		_, _ = rng.Read(b)
		if x, y := HashPagePair(a, b); x != HashPage(a) || y != HashPage(b) || x == y {
			t.Fatalf("pair %v %v, alone %v %v", x, y, HashPage(a), HashPage(b))
		}
	}
}
