package canister

import (
	"crypto/sha256"
	"encoding/binary"

	"lockstep/canister/program"
	"lockstep/memstore"
	"lockstep/pagetrie"
)

const perWasmPage = memstore.WasmPageSize / memstore.PageSize

// Global is the value of a mutable global: its type in the binary encoding of
// WebAssembly and its bits, in Lo unless it is a v128.
type Global struct {
	Type   byte
	Lo, Hi uint64
}

// State is everything of a canister that persists between messages. It is an
// immutable value; the pages of Memory and Stable live in the memstore.Store it came from.
type State struct {
	Memory  memstore.Version
	Globals []Global // every mutable global, in order of index
	Stable  memstore.Version
	// CertifiedData is what the canister has certified, at most 32 bytes. It
	// must not be changed.
	CertifiedData []byte
}

// Root is the Merkle root over all of the state.
//
//	SHA-256("lockstep/canister/2\n" ‖ memory root ‖ stable memory root ‖
//	        count ‖ globals × (type, lo, hi) ‖ length ‖ certified data)
//
// with integers of 64 bits, little endian.
func (s State) Root(h pagetrie.Hasher) pagetrie.Hash {
	memory, stable := s.Memory.Root(h), s.Stable.Root(h)
	b := make([]byte, 0, 160+17*len(s.Globals))
	b = append(b, "lockstep/canister/2\n"...)
	b = append(append(b, memory[:]...), stable[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(s.Globals)))
	for _, g := range s.Globals {
		b = append(b, g.Type)
		b = binary.LittleEndian.AppendUint64(b, g.Lo)
		b = binary.LittleEndian.AppendUint64(b, g.Hi)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(len(s.CertifiedData)))
	return sha256.Sum256(append(b, s.CertifiedData...))
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
	size := uint64(s.Memory.Size)
	return s.Stable.Size%perWasmPage == 0 && size%perWasmPage == 0 && size >= p.MemoryMin*perWasmPage && size <= p.MemoryMax*perWasmPage
}
