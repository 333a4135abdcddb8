package fsm

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"lockstep/pagetrie"
)

// hashParts hashes a domain and one byte string that ends the hashed text.
func hashParts(domain string, data []byte) pagetrie.Hash {
	h := sha256.New()
	h.Write([]byte(domain))
	h.Write(data)
	return pagetrie.Hash(h.Sum(nil))
}

// hashList hashes a domain and a list of hashes; each is of fixed size, so their number is covered.
func hashList(domain string, hashes []pagetrie.Hash) pagetrie.Hash {
	h := sha256.New()
	h.Write([]byte(domain))
	for i := range hashes {
		h.Write(hashes[i][:])
	}
	return pagetrie.Hash(h.Sum(nil))
}

func hashLimits(l Limits) (pagetrie.Hash, error) {
	encoded, err := encMode.Marshal(l)
	if err != nil {
		return pagetrie.Hash{}, fmt.Errorf("encode limits: %w", err)
	}
	return hashParts("lockstep/limits/1", encoded), nil
}

// hashCanister is the hash of one entry of the canister table.
func hashCanister(c *canisterRecord, stateRoot pagetrie.Hash) pagetrie.Hash {
	text := binary.BigEndian.AppendUint64(nil, uint64(c.ID))
	text = binary.BigEndian.AppendUint64(text, uint64(len(c.Name)))
	text = append(text, c.Name...)
	text = append(text, c.Module[:]...)
	text = append(text, stateRoot[:]...)
	return hashParts("lockstep/canister-entry/1", text)
}

// root computes the state root from the parts' hashes. It must be called before the state is published: it fills in the
// hashes of records that have none yet.
func (s *State) root(pages pagetrie.Hasher, limits pagetrie.Hash) pagetrie.Hash {
	text := binary.BigEndian.AppendUint64(nil, uint64(s.Round))
	text = binary.BigEndian.AppendUint64(text, uint64(s.Time))
	text = append(text, limits[:]...)
	text = binary.BigEndian.AppendUint64(text, uint64(s.NextSession))
	text = binary.BigEndian.AppendUint64(text, uint64(s.NextCanister))
	sessions := s.sessions.root()
	text = append(text, sessions[:]...)
	text = binary.BigEndian.AppendUint64(text, uint64(len(s.canisters)))
	for _, c := range s.canisters {
		if c.hash == (pagetrie.Hash{}) {
			c.hash = hashCanister(c, c.State.Root(pages))
		}
		text = append(text, c.hash[:]...)
	}
	return hashParts("lockstep/state/1", text)
}
