package snapshot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"lockstep/pagetrie"
)

// handlesOf are first handles for layers, in no order.
func handlesOf(m *MemoryFile) []pagetrie.Value {
	first := make([]pagetrie.Value, len(m.Layers))
	for i := range first {
		first[i] = pagetrie.Value((i*7+3)%67)<<40 + 5
	}
	return first
}

// pageHasher hashes the handles of handlesOf.
type pageHasher struct{ m *MemoryFile }

func (h pageHasher) HashValue(v pagetrie.Value) pagetrie.Hash {
	for i, first := range handlesOf(h.m) {
		if v >= first && v < first+pagetrie.Value(h.m.Layers[i].Len()) {
			return h.m.Layers[i].Hash(uint64(v - first))
		}
	}
	panic(fmt.Sprintf("handle %#x", uint64(v)))
}

// checkStored holds the stored map of a memory against the one that is built of its pages.
func checkStored(m *MemoryFile, rng *rand.Rand) (err error) {
	defer pagetrie.CatchUnreadable(&err)
	eager, h := m.Map(handlesOf(m)), pageHasher{m}
	lazy := func() pagetrie.Map {
		s, err := m.Stored(handlesOf(m))
		if err != nil {
			panic(&pagetrie.Unreadable{Err: err})
		}
		return s
	}
	if lazy().Len() != eager.Len() || lazy().Root(h) != eager.Root(h) {
		return fmt.Errorf("memory %s: stored map has %d entries, want %d, or another root", m.Name, lazy().Len(), eager.Len())
	}
	if err := m.CheckRoot(m.rootOf(lazy().Root(h), testHashing())); err != nil {
		return err
	}
	delta := pagetrie.Map{}
	for range 4 {
		page := rng.Uint64N(m.Size + 1)
		delta = delta.Insert(page, 1)
		got, ok := lazy().Get(page)
		if want, has := eager.Get(page); ok && got != want || ok != has {
			return fmt.Errorf("memory %s: page %d is %d, %v; want %d, %v", m.Name, page, got, ok, want, has)
		}
	}
	for c := range pagetrie.Diff(pagetrie.Union(delta, lazy()), pagetrie.Union(delta, eager)) {
		return fmt.Errorf("memory %s: unions differ at page %d", m.Name, c.Key)
	}
	for c := range pagetrie.Diff(lazy(), eager) {
		return fmt.Errorf("memory %s: page %d differs", m.Name, c.Key)
	}
	return lazy().CheckHashes(h)
}

// scattered is a memory with dense, clustered and lonely pages, so that its trie has every kind of node, at every level.
func scattered(m *model, dense uint64) *modelMemory {
	a := m.memory("a", 1<<26)
	for page := range dense {
		a.set(page, page+1)
	}
	for i := range uint64(40) {
		a.set(1<<20+i*3, i+1)
		a.set(1<<21+i*1000, i+1)
		a.set(1<<25+i<<12, i+1)
	}
	for i := range uint64(25) {
		a.set(1<<22+i, i+1)
	}
	return a
}

// TestStoredMemory: through overlays, zeroed pages and merges a memory's stored map is the one that its pages make.
func TestStoredMemory(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 3))
		mem := &memFS{root: &inode{names: map[string]*inode{}}, quiet: true}
		s := openTestStore(t, Config{FS: mem, Dir: "/store", Keep: 1, VerifyOnOpen: VerifyOnUse})
		m := newModel()
		a := scattered(m, 1500)
		pages := slices.Sorted(func(yield func(uint64) bool) {
			for page := range a.pages {
				if !yield(page) {
					return
				}
			}
		})
		for index := uint64(1); index <= 60; index++ {
			id := write(t, s, index, m)
			if index%9 == 0 {
				r, err := s.Merge()
				if err != nil {
					t.Fatal(err)
				}
				if r.ID != "" {
					id = r.ID
				}
			}
			c, err := s.OpenCheckpoint(id)
			if err == nil {
				err = errors.Join(checkStored(c.Memories[0], rng), c.Close())
			}
			if err != nil {
				t.Fatalf("seed %d, checkpoint %d: %v", seed, index, err)
			}
			m.round++
			for range 1 + rng.IntN(20) {
				switch page := pages[rng.IntN(len(pages))]; rng.IntN(4) {
				case 0:
					a.set(page, 0)
				case 1:
					a.set(rng.Uint64N(a.size), rng.Uint64()|1)
				default:
					a.set(page, rng.Uint64()|1)
				}
			}
			if index == 30 { // a part of the tree falls together
				for i := range uint64(40) {
					a.set(1<<25+i<<12, 0)
				}
			}
		}
	}
}

// TestStoredDamage flips bytes of everything that is read on use: either the damage is found, and the checkpoint set aside,
// or what was damaged is of no account and everything is as it was.
func TestStoredDamage(t *testing.T) {
	mem := &memFS{root: &inode{names: map[string]*inode{}}, quiet: true}
	s := openTestStore(t, Config{FS: mem, Dir: "/store", Keep: 1, KeepDamaged: -1, VerifyOnOpen: VerifyOnUse})
	m := newModel()
	a := scattered(m, 1100)
	write(t, s, 1, m)
	for page := range uint64(40) {
		a.set(page*40, 0)
		a.set(page*41, page+5)
	}
	m.round++
	id := write(t, s, 2, m)
	use := func() (err error) {
		defer pagetrie.CatchUnreadable(&err)
		c, err := s.OpenCheckpoint(id)
		if err != nil {
			return err
		}
		defer c.Close()
		f := c.Memories[0]
		pages, err := f.Stored(handlesOf(f))
		if err != nil {
			return err
		}
		if err := f.CheckRoot(f.rootOf(pages.Root(pageHasher{f}), testHashing())); err != nil {
			return err
		}
		want := pagetrie.Map{}
		next := f.Map(handlesOf(f))
		for range pagetrie.Diff(want, pages) { // reads all of it
		}
		for c := range pagetrie.Diff(next, pages) {
			return fmt.Errorf("page %d is not what it was", c.Key)
		}
		return nil
	}
	if err := use(); err != nil {
		t.Fatal(err)
	}
	files := maps.Clone(mem.find("/store/" + id).names)
	for name, f := range files {
		start, step := 0, 1
		if strings.HasSuffix(name, pageFileSuffix) {
			start, step = len(f.data)/PageSize*PageSize, 61
		} else if !strings.HasSuffix(name, treeFileSuffix) {
			continue
		}
		found, tried := 0, 0
		for i := start; i < len(f.data); i += step {
			f.data[i] ^= 1 << (i % 8)
			err := use()
			f.data[i] ^= 1 << (i % 8)
			tried++
			if err == nil {
				continue
			}
			if !IsDamage(err) {
				t.Fatalf("byte %d of %s: %v", i, name, err)
			}
			found++
			if metas, _ := s.List(); len(metas) != 0 {
				t.Fatalf("byte %d of %s: the checkpoint is still offered", i, name)
			}
			mem.find("/store").names[id] = &inode{names: maps.Clone(files)}
			s = openTestStore(t, Config{FS: mem, Dir: "/store", Keep: 1, KeepDamaged: -1, VerifyOnOpen: VerifyOnUse})
		}
		t.Logf("%s: %d of %d flips were of account, and found", name[len(name)-6:], found, tried)
		if found < tried/2 {
			t.Errorf("%s: only %d of %d flips were found", name, found, tried)
		}
	}
}

// countFS counts what is read through it.
type countFS struct {
	FS
	bytes *atomic.Int64
}

type countFile struct {
	File
	bytes *atomic.Int64
}

func (c countFS) Open(path string) (File, error) {
	f, err := c.FS.Open(path)
	if err != nil {
		return nil, err
	}
	return countFile{f, c.bytes}, nil
}

func (c countFile) ReadAt(p []byte, off int64) (int, error) {
	c.bytes.Add(int64(len(p)))
	return c.File.ReadAt(p, off)
}

func (c countFile) Stat() (fs.FileInfo, error) { return c.File.Stat() }

// TestRestoreReads counts what is read of a checkpoint to restore it, and to look at and change one page: it does not depend
// on how large the state is.
func TestRestoreReads(t *testing.T) {
	var open, use []int64
	for _, dense := range []uint64{1500, 12000} {
		var n atomic.Int64
		mem := &memFS{root: &inode{names: map[string]*inode{}}, quiet: true}
		s := openTestStore(t, Config{FS: countFS{mem, &n}, Dir: "/store", VerifyOnOpen: VerifyOnUse})
		m := newModel()
		a := m.memory("a", 16384)
		for page := range dense {
			a.set(page, page+1)
		}
		id := write(t, s, 1, m)
		n.Store(0)
		c, err := s.OpenCheckpoint(id)
		if err != nil {
			t.Fatal(err)
		}
		f := c.Memories[0]
		pages, err := f.Stored(handlesOf(f))
		if err != nil {
			t.Fatal(err)
		}
		h := pageHasher{f}
		pages.Root(h)
		open = append(open, n.Load())
		pagetrie.Union(pagetrie.Map{}.Insert(700, 5), pages)
		if _, ok := pages.Get(700); !ok {
			t.Error("page 700 is missing")
		}
		use = append(use, n.Load())
		if read, _ := pages.Reading(); read > 2 {
			t.Errorf("%d branches were read for one page", read)
		}
		c.Close()
	}
	const records = 4096 // the tree files of such states have a block at most
	if open[1]-open[0] > records || use[1]-use[0] > records {
		t.Errorf("opening reads %d and %d bytes, using one page %d and %d", open[0], open[1], use[0], use[1])
	}
	if use[1] > 80<<10 {
		t.Errorf("using one page reads %d bytes", use[1])
	}
}

// TestDamagedTree damages a tree file where it lies, which is in all checkpoints that share it, while a store is in use: whoever reads
// it sets the checkpoint aside; the next checkpoint does not share it, and is sound.
func TestDamagedTree(t *testing.T) {
	for name, use := range map[string]func(s *Store, c *Checkpoint) error{
		"proving": func(_ *Store, c *Checkpoint) error { return c.ProveTrees() },
		"streaming": func(s *Store, c *Checkpoint) error {
			_, r, err := s.Open(c.ID)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, r)
			return errors.Join(err, r.Close())
		},
		"the next checkpoint": func(*Store, *Checkpoint) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			mem := &memFS{root: &inode{names: map[string]*inode{}}, quiet: true}
			told := 0
			s := openTestStore(t, Config{FS: mem, Dir: "/store", VerifyOnOpen: VerifyOnUse, OnDamage: func(string, error) { told++ }})
			m := newModel()
			a := scattered(m, 1100)
			write(t, s, 1, m)
			a.set(7, 7777)
			m.round++
			c, err := s.OpenCheckpoint(write(t, s, 2, m))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			base := c.Memories[0].Layers[0].Entry.Tree.File
			tree := mem.find("/store/" + c.ID + "/" + base.Name())
			if tree != mem.find("/store/checkpoint-1-3-0/"+base.Name()) || len(c.Memories[0].Layers) < 2 {
				t.Fatal("the checkpoints share no tree file")
			}
			tree.data[len(tree.data)-1] ^= 1
			if err := use(s, c); (err != nil) != (name != "the next checkpoint") || err != nil && !IsDamage(err) {
				t.Errorf("%s: %v", name, err)
			}
			a.set(9, 9999)
			m.round++
			id := write(t, s, 3, m)
			checkNewestOnly(t, s, id, m)
			if err := verifyFolder(mem, "/store/"+id); err != nil {
				t.Error(err)
			}
			if metas, err := s.List(); err != nil || len(metas) != 1 || told != 2 {
				t.Errorf("%d checkpoints are offered, damage was told %d times: %v", len(metas), told, err)
			}
		})
	}
}

// TestDamagedTreeIsNotSent: trees do not travel. Who is sent the pages of a checkpoint whose tree is damaged makes its own.
func TestDamagedTreeIsNotSent(t *testing.T) {
	p := newTransferPair(t, 0, true)
	mem := p.newest.Memories[0].Layers[0]
	transfer := p.begin(t)
	file := p.leader.find("/leader/" + p.newest.ID + "/" + mem.Entry.Tree.File.Name())
	file.data[len(file.data)-1] ^= 1
	delta, _ := deltaFor(t, p.newest, transfer)
	p.finish(t, transfer, delta)
	if err := verifyFolder(p.follower.fs, "/follower/"+p.newest.ID); err != nil {
		t.Error(err)
	}
}
