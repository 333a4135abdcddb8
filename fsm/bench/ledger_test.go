package bench

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestLedger holds the counted bytes on disk against the folder itself, after checkpoints and merges that link, move and remove.
func TestLedger(t *testing.T) {
	books := newLedger()
	s, dir, err := openStore(t.TempDir(), "store", books)
	if err != nil {
		t.Fatal(err)
	}
	m, rng := newPlain(64, 1), rand.New(rand.NewPCG(1, 1))
	for i := range 12 {
		m.touch(rng, 1+i)
		before := books.onDisk
		if _, err := m.write(s); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Merge(); err != nil {
			t.Fatal(err)
		}
		if written, most := books.take(); written < uint64(1+i)*4096 || most < max(before, books.onDisk) {
			t.Errorf("%d pages changed: %d bytes written, %d on disk at most, %d now", 1+i, written, most, books.onDisk)
		}
		var sum uint64
		seen := map[uint64]bool{}
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			if node := info.Sys().(*syscall.Stat_t).Ino; !seen[node] {
				seen[node] = true
				sum += uint64(info.Size())
			}
			return nil
		})
		if err != nil || sum != books.onDisk {
			t.Fatalf("the folder has %d bytes, the ledger says %d; %v", sum, books.onDisk, err)
		}
	}
}
