//go:build cgo

package memstore

import (
	"testing"

	"golang.org/x/sys/unix"
)

// wantInMemory fails unless the kernel has mapped every page of a slab.
func wantInMemory(t *testing.T, s *Store, slab uint32) {
	t.Helper()
	fd, err := pagemapFD()
	if err != nil {
		t.Fatal(err)
	}
	entries := make([]byte, chunkPages*8)
	if n, err := unix.Pread(int(fd), entries, int64(s.arena.slabAddr(slab)>>pageShift)*8); n != len(entries) {
		t.Fatalf("%d bytes of the page map: %v", n, err)
	}
	for i := range chunkPages {
		if entries[i*8+7]&0x80 == 0 {
			t.Fatalf("page %d of the next slab is not in memory", i)
		}
	}
}
