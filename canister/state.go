package canister

import (
	"crypto/sha256"
	"encoding/binary"

	"lockstep/canister/program"
	"lockstep/memstore"
	"lockstep/pagetrie"
)

// Global is the value of a mutable global: its type in the binary encoding of
// WebAssembly and its bits, in Lo unless it is a v128.
type Global struct {
	Type   byte
	Lo, Hi uint64
}

// State is everything of a canister that persists between messages. It is an
// immutable value; the pages of Memory live in the memstore.Store it came from.
type State struct {
	Memory  memstore.Version
	Globals []Global // every mutable global, in order of index
}

// Root is the Merkle root over all of the state.
//
//	SHA-256("lockstep/canister/1\n" ‖ memory root ‖ count ‖ globals × (type, lo, hi))
//
// with integers of 64 bits, little endian.
func (s State) Root(h pagetrie.Hasher) pagetrie.Hash {
	memory := s.Memory.Root(h)
	b := make([]byte, 0, 64+17*len(s.Globals))
	b = append(b, "lockstep/canister/1\n"...)
	b = append(b, memory[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(s.Globals)))
	for _, g := range s.Globals {
		b = append(b, g.Type)
		b = binary.LittleEndian.AppendUint64(b, g.Lo)
		b = binary.LittleEndian.AppendUint64(b, g.Hi)
	}
	return sha256.Sum256(b)
}

// fits tells whether a state can be one of this program's.
func (s State) fits(p *program.Program) bool {
	if len(s.Globals) != len(p.Globals) {
		return false
	}
	for i, g := range s.Globals {
		if g.Type != byte(p.Globals[i]) {
			return false
		}
	}
	const perWasmPage = memstore.WasmPageSize / memstore.PageSize
	size := uint64(s.Memory.Size)
	return size%perWasmPage == 0 && size >= p.MemoryMin*perWasmPage && size <= p.MemoryMax*perWasmPage
}
