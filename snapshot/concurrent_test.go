package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
)

// TestConcurrent does at once what raft's goroutines do: one writes, others list, open, stream and map, while merges run.
func TestConcurrent(t *testing.T) {
	s, err := OpenStore(Config{Dir: t.TempDir(), Hashing: testHashing(), OnMerge: func(_ MergeReport, err error) {
		if err != nil {
			t.Error(err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(6, 6))
	m := randomModel(rng, 120)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := readNewest(s); err != nil && !errors.Is(err, ErrNoCheckpoint) {
					t.Error(err)
					return
				}
			}
		})
	}
	for index := uint64(1); index < 25; index++ {
		old := m.clone()
		m.mutate(rng, 8)
		writeState(t, s, index, m.since(old))
	}
	close(done)
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	metas, _ := s.List()
	checkNewest(t, s, metas[0].ID, m)
	if len(s.pins) != 0 || len(s.taken) != 0 {
		t.Errorf("still held: %v %v", s.pins, s.taken)
	}
}

func readNewest(s *Store) error {
	metas, err := s.List()
	if err != nil || len(metas) == 0 {
		return err
	}
	meta, r, err := s.Open(metas[0].ID)
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	if err == nil && n != meta.Size {
		err = io.ErrShortWrite
	}
	return err
}

// TestPinnedBaseStays: a checkpoint that a new one is being built on is not removed, whatever is published meanwhile.
func TestPinnedBaseStays(t *testing.T) {
	s := openTestStore(t, Config{Keep: 1})
	m := smallModel()
	write(t, s, 1, m)
	base := s.base()
	write(t, s, 2, m)
	write(t, s, 3, m)
	if err := verifyFolder(s.fs, base.Dir); err != nil {
		t.Error(err)
	}
	s.unpin(base)
	write(t, s, 4, m)
	if names, _ := s.fs.List(s.config.Dir); len(names) != 1 {
		t.Errorf("folder holds %v", names)
	}
}

// TestForgedDigest: a page file that is not what its name says is found even if all else agrees.
func TestForgedDigest(t *testing.T) {
	s, mem, id := layeredStore(t, 5)
	c, err := s.OpenCheckpoint(id)
	if err != nil {
		t.Fatal(err)
	}
	dir := mem.find("/store/" + id)
	e := &c.Manifest.Memories[0].Layers[1]
	f := dir.names[e.Name()]
	delete(dir.names, e.Name())
	e.Digest[7] ^= 1
	dir.names[e.Name()] = f
	dir.names[manifestName] = &inode{data: c.Manifest.encode()}
	mustFind(t, s, id, func() string { return "forged digest" })
}

// TestForgedTree: records that are consistent in themselves, down to the manifest, and are not those of the pages.
func TestForgedTree(t *testing.T) {
	mem := &memFS{root: &inode{names: map[string]*inode{}}, quiet: true}
	s := openTestStore(t, Config{FS: mem, Dir: "/store"})
	m := newModel()
	scattered(m, 1100)
	id := write(t, s, 1, m)
	c, err := s.OpenCheckpoint(id)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dir := mem.find("/store/" + id)
	names, part := maps.Clone(dir.names), c.Manifest.Memories[0].Layers[0].Tree
	for i := range part.Count {
		for what, at := range map[string]uint32{"pages": 4, "digest": 40} {
			dir.names = maps.Clone(names)
			b := bytes.Clone(names[part.File.Name()].data)
			record := b[treeHeadBytes+(part.First+i)*treeRecordBytes:][:treeRecordBytes]
			if what == "digest" && record[10] == 0 {
				continue // it has none, and what stands there is not read
			}
			record[at] ^= 1
			binary.LittleEndian.PutUint32(record[treeSumAt:], recordSum(record))
			forged := TreePart{File: TreeFile{Records: part.File.Records, Digest: sumWithContext(treeContext, b)}, First: part.First, Count: part.Count}
			c.Manifest.Memories[0].Layers[0].Tree = forged
			delete(dir.names, part.File.Name())
			dir.names[forged.File.Name()] = &inode{data: b}
			dir.names[manifestName] = &inode{data: c.Manifest.encode()}
			err := verifyFolder(mem, "/store/"+id)
			var d *Damage
			if !errors.As(err, &d) || d.File != "/store/"+id+"/"+forged.File.Name() || d.Offset != treeHeadBytes+int64(part.First+i)*treeRecordBytes {
				t.Fatalf("%s of record %d: %v", what, i, err)
			}
		}
	}
	if part.Count < 10 {
		t.Errorf("%d records", part.Count)
	}
}
