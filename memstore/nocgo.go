//go:build !cgo

package memstore

import "os"

// Tracking is how memories find what was written; without cgo there are none.
type Tracking interface{ tracks() }

func (Tracker) tracks() {}

// heapSlots is how many pages a Store without cgo can hold at most: 256 MiB. The tables beside them are made at once.
const heapSlots = 1 << 16

// arena holds the Store's pages in the Go heap, a slab at a time.
type arena struct {
	books
	slabs [][]byte // nil where nothing was put yet, or the memory was given back
}

func (a *arena) open(slots uint32) error {
	a.slots = min(slots, heapSlots)
	a.slabs = make([][]byte, a.slots/chunkPages)
	a.gens, a.hashed, a.hashes = make([]uint32, a.slots), make([]uint32, a.slots), make([][32]byte, a.slots)
	return nil
}

func (a *arena) close() error {
	*a = arena{}
	return nil
}

func (a *arena) adviseHuge(uint32) {}

func (a *arena) openSlab(slab uint32) error {
	a.touchSlab(slab)
	return nil
}

func (a *arena) touchSlab(slab uint32) {
	if a.slabs[slab] == nil {
		a.slabs[slab] = make([]byte, slabBytes)
	}
}

// drainSlab keeps the memory: whoever takes the slab again has it open already.
func (a *arena) drainSlab(uint32) {}

// mapFile reads a file's pages into its slabs.
func (a *arena) mapFile(b *backing, from *os.File) error {
	for i := range b.slabCount {
		slab := make([]byte, min(slabBytes, b.pages.Bytes()-uint64(i)*slabBytes))
		if _, err := from.ReadAt(slab, b.off+int64(i)*slabBytes); err != nil {
			return err
		}
		a.slabs[b.firstSlab+i] = slab
	}
	return nil
}

func (a *arena) unmapFile(b *backing) error {
	clear(a.slabs[b.firstSlab : b.firstSlab+b.slabCount])
	return nil
}

// slotBytes is the page in a slot, whatever its generation.
func (a *arena) slotBytes(slot uint32) []byte {
	at := slot % chunkPages * PageSize
	return a.slabs[slot/chunkPages][at : at+PageSize : at+PageSize]
}

// ownFile gives none: a file that was read is not needed again.
func ownFile(*os.File) (*os.File, error) { return nil, nil }

// copyQueue is empty: there are no live memories.
type copyQueue struct{}

// Probe says that there is no choice.
func Probe() Choice {
	return Choice{Tracker: TrackerCompare, Why: "built without cgo: there are no live memories whose pages could be tracked"}
}
