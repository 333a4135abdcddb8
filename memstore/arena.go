package memstore

import "sync/atomic"

// books are the tables beside an arena's slots.
type books struct {
	slots  uint32
	gens   []uint32   // how often the slot was freed; atomic
	hashed []uint32   // generation whose hash is in hashes, 0 for none, hashBusy while one is written; atomic
	hashes [][32]byte // valid while hashed says so
}

const hashBusy = ^uint32(0)

// slabBytes is the unit of arena management: a huge page.
const slabBytes = chunkPages * PageSize

func (b *books) gen(slot uint32) uint32 { return atomic.LoadUint32(&b.gens[slot]) + 1 }

// bump ends a slot's generation: handles made before are dead from here on.
func (b *books) bump(slot uint32) { atomic.AddUint32(&b.gens[slot], 1) }

// setGen raises a free slot's generation.
func (b *books) setGen(slot, gen uint32) { atomic.StoreUint32(&b.gens[slot], gen-1) }
