//go:build !cgo

package memstore

import "testing"

// wantInMemory fails unless a slab has memory.
func wantInMemory(t *testing.T, s *Store, slab uint32) {
	t.Helper()
	if len(s.arena.slabs[slab]) != slabBytes {
		t.Fatalf("slab %d has %d bytes", slab, len(s.arena.slabs[slab]))
	}
}
