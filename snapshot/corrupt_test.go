package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// layeredStore holds two checkpoints of which the newest has a base, two overlays and zeroed pages, on a memFS.
func layeredStore(t testing.TB, pages uint64) (s *Store, mem *memFS, id string) {
	t.Helper()
	mem = &memFS{root: &inode{names: map[string]*inode{}}, quiet: true}
	s = openTestStore(t, Config{FS: mem, Dir: "/store", Keep: 2})
	m := newModel()
	m.table = []byte("a table")
	a := m.memory("a", (pages+15)/16*16)
	for page := range pages {
		a.set(page, page+1)
	}
	for index := uint64(1); index <= 3; index++ {
		k := createSink(t, s, index)
		k.spare = 0 // small as the memory is, it shall have overlays
		if err := errors.Join(k.WriteState(m.state()), k.Close()); err != nil {
			t.Fatal(err)
		}
		m.round++
		a.set(index-1, 100+index)
		a.set(pages-1, 0)
	}
	id = "checkpoint-3-3-0"
	c, err := s.OpenCheckpoint(id)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(c.Memories[0].Layers); n != 3 {
		t.Fatalf("%d layers", n)
	}
	return s, mem, id
}

// files are a folder's files in the order of their names.
func files(dir *inode) []*inode {
	var all []*inode
	for _, name := range slices.Sorted(maps.Keys(dir.names)) {
		all = append(all, dir.names[name])
	}
	return all
}

// mustFind fails unless verification names a file of the folder.
func mustFind(t *testing.T, s *Store, id string, what func() string) {
	t.Helper()
	err := verifyFolder(s.fs, "/store/"+id)
	var d *Damage
	if !errors.As(err, &d) || !strings.HasPrefix(d.File, "/store/"+id+"/") || d.Offset < 0 {
		t.Fatalf("%s: %v", what(), err)
	}
}

// TestEveryBit flips every bit of every file of a small checkpoint.
func TestEveryBit(t *testing.T) {
	s, mem, id := layeredStore(t, 3)
	dir := mem.find("/store/" + id)
	if err := verifyFolder(s.fs, "/store/"+id); err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	for name, f := range dir.names {
		for bit := 0; bit < 8*len(f.data); bit += step {
			f.data[bit/8] ^= 1 << (bit % 8)
			mustFind(t, s, id, func() string { return fmt.Sprintf("bit %d of %s", bit, name) })
			f.data[bit/8] ^= 1 << (bit % 8)
		}
	}
	if err := verifyFolder(s.fs, "/store/"+id); err != nil {
		t.Fatal(err)
	}
}

// TestOpeningFindsDamage: whatever opening reads it has verified, without the pages.
func TestOpeningFindsDamage(t *testing.T) {
	s, mem, id := layeredStore(t, 3)
	for name, f := range mem.find("/store/" + id).names {
		start := 0
		if strings.HasSuffix(name, pageFileSuffix) {
			start = len(f.data) / PageSize * PageSize
		}
		for i := start; i < len(f.data); i++ {
			f.data[i] ^= 1 << (i % 8)
			c, err := openFolder(s.fs, "/store/"+id)
			if !IsDamage(err) {
				t.Fatalf("byte %d of %s: %v", i, name, err)
			}
			f.data[i] ^= 1 << (i % 8)
			if c != nil {
				t.Fatal("handed out")
			}
		}
	}
}

// TestPageCheck: the first bad page is found wherever it is and however the work is split.
func TestPageCheck(t *testing.T) {
	for _, n := range []int{1, 7, 8, 9, 17, 40} {
		x, buf := &pageIndex{}, make([]byte, n*PageSize)
		for i := range n {
			buf[i*PageSize] = byte(i + 1)
			h := testHashing().Page(buf[i*PageSize : (i+1)*PageSize])
			_ = x.add(uint64(i), &h)
		}
		for workers := 1; workers < 11; workers++ {
			c := pageCheck{hash: testHashing().Page, index: x, workers: 1 + workers/2}
			if workers%2 == 1 {
				c.pair = testHashing().Pair
			}
			if _, fault := c.first(0, buf); fault != "" {
				t.Errorf("%d pages, %d workers: %s", n, workers, fault)
			}
			for i := range n {
				buf[i*PageSize+9], buf[n*PageSize-1] = 1, 1
				if bad, fault := c.first(0, buf); fault == "" || bad != uint64(i) {
					t.Errorf("%d pages, %d workers: page %d is bad, found %d %q", n, workers, i, bad, fault)
				}
				buf[i*PageSize+9], buf[n*PageSize-1] = 0, 0
			}
		}
	}
	if checkPage(zeroPage[:], testHashing().Page(zeroPage[:]), testHashing().Page) == "" {
		t.Error("a stored zero page is accepted")
	}
}

// TestEveryLength cuts and prolongs every file.
func TestEveryLength(t *testing.T) {
	s, mem, id := layeredStore(t, 3)
	for name, f := range mem.find("/store/" + id).names {
		whole := f.data
		for n := range len(whole) {
			f.data = whole[:n]
			mustFind(t, s, id, func() string { return fmt.Sprintf("%s cut to %d", name, n) })
		}
		for _, more := range []int{1, 32, 4096} {
			f.data = append(bytes.Clone(whole), make([]byte, more)...)
			mustFind(t, s, id, func() string { return fmt.Sprintf("%s longer by %d", name, more) })
		}
		f.data = whole
	}
}

// TestRandomDamage does everything that disks and people do to files, many times.
func TestRandomDamage(t *testing.T) {
	s, mem, id := layeredStore(t, 60)
	dir := mem.find("/store/" + id)
	older := files(mem.find("/store/checkpoint-2-3-0"))
	for seed := range uint64(12000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		names := dir.names
		dir.names = map[string]*inode{}
		for name, f := range names {
			dir.names[name] = &inode{data: bytes.Clone(f.data)}
		}
		what := damage(rng, dir, older)
		if !maps.EqualFunc(names, dir.names, func(a, b *inode) bool { return bytes.Equal(a.data, b.data) }) {
			mustFind(t, s, id, func() string { return fmt.Sprintf("seed %d: %s", seed, what) })
		}
		dir.names = names
	}
	if err := verifyFolder(s.fs, "/store/"+id); err != nil {
		t.Fatal(err)
	}
}

// damage changes a folder and says how.
func damage(rng *rand.Rand, dir *inode, older []*inode) string {
	names := slices.Sorted(maps.Keys(dir.names))
	name := names[rng.IntN(len(names))]
	f := dir.names[name]
	at := func() int { return rng.IntN(len(f.data)) }
	block := []int{1, 16, 32, 512, 4096}[rng.IntN(5)]
	piece := func(i int) []byte { return f.data[i/block*block : min(i/block*block+block, len(f.data))] }
	switch kind := rng.IntN(9); kind {
	case 0:
		for range 1 + rng.IntN(4) {
			f.data[at()] ^= 1 << rng.IntN(8)
		}
	case 1:
		f.data = f.data[:at()]
	case 2:
		f.data = append(f.data, make([]byte, 1+rng.IntN(5000))...)
	case 3: // swapped blocks
		a, b := piece(at()), piece(at())
		n := min(len(a), len(b))
		keep := bytes.Clone(a[:n])
		copy(a[:n], b[:n])
		copy(b[:n], keep)
	case 4:
		clear(piece(at()))
	case 5: // a block from another place of another file, or from the checkpoint before
		src := older[rng.IntN(len(older))].data
		i := rng.IntN(len(src)) / block * block
		copy(piece(at()), src[i:])
	case 6: // swapped or stale files
		dir.names[name] = older[rng.IntN(len(older))]
	case 7:
		delete(dir.names, name)
	default:
		dir.names[fmt.Sprint("new", rng.IntN(9))] = &inode{data: []byte("x")}
	}
	return fmt.Sprintf("%s, block %d", name, block)
}

// TestNoPartialRestore: a damaged checkpoint is refused before anything of it is handed out, and the one before is offered.
func TestNoPartialRestore(t *testing.T) {
	for seed := range uint64(300) {
		s, mem, id := layeredStore(t, 20)
		rng := rand.New(rand.NewPCG(seed, 1))
		dir := mem.find("/store/" + id)
		names := slices.Sorted(maps.Keys(dir.names))
		name := names[rng.IntN(len(names))]
		f := &inode{data: bytes.Clone(dir.names[name].data)} // a file of its own: the older checkpoint keeps the good one
		f.data[rng.IntN(len(f.data))] ^= 1 << rng.IntN(8)
		dir.names[name] = f
		if _, _, err := s.Open(id); !IsDamage(err) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		metas, _ := s.List()
		if len(metas) != 1 || metas[0].Index != 2 {
			t.Fatalf("seed %d: List is %v", seed, metas)
		}
		if _, r, err := s.Open(metas[0].ID); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		} else {
			r.Close()
		}
	}
}

// A checkpoint from elsewhere may hold what is no file. Nothing waits for it, and no link leads out of the folder.
func TestWhatIsNoFile(t *testing.T) {
	s := openTestStore(t, Config{})
	m := smallModel()
	sound := filepath.Join(s.config.Dir, write(t, s, 5, m))
	outside := filepath.Join(t.TempDir(), "outside")
	for kind, put := range map[string]func(path string) error{
		"a pipe":   func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o644)) },
		"a folder": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
		"a link":   func(path string) error { return errors.Join(os.Rename(path, outside), os.Symlink(outside, path)) },
		"a device": func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/dev/zero", path)) },
	} {
		for _, file := range []string{manifestName, tableName, "*" + pageFileSuffix, "*" + treeFileSuffix} {
			dir := filepath.Join(t.TempDir(), filepath.Base(sound))
			if err := os.CopyFS(dir, os.DirFS(sound)); err != nil {
				t.Fatal(err)
			}
			found, err := filepath.Glob(filepath.Join(dir, file))
			if err != nil || len(found) == 0 {
				t.Fatal(file, err)
			}
			if err := put(found[0]); err != nil {
				t.Fatal(err)
			}
			var d *Damage
			if _, err := Verify(dir, testHashing()); !errors.As(err, &d) || d.File != found[0] || d.Fault != errNoFile.Error() {
				t.Errorf("%s in place of %s: %v", kind, file, err)
			}
		}
	}
}
