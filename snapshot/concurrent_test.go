package snapshot

import (
	"errors"
	"io"
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
