package fsm

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"lockstep/pagetrie"
)

// shortText is the length up to which a text is put together before it is hashed: that costs no allocation.
const shortText = 512

// hashParts hashes a domain and one byte string that ends the hashed text.
func hashParts(domain string, data []byte) pagetrie.Hash {
	if len(domain)+len(data) <= shortText {
		var text [shortText]byte
		n := copy(text[:], domain)
		return sha256.Sum256(text[:n+copy(text[n:], data)])
	}
	h := sha256.New()
	h.Write([]byte(domain))
	h.Write(data)
	return pagetrie.Hash(h.Sum(nil))
}

// hashValue hashes a domain and a value's encoding. The value must be one that can be encoded: a struct of the state.
func hashValue(domain string, v any) pagetrie.Hash {
	encoded, err := encMode.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("fsm: encode %T: %v", v, err))
	}
	return hashParts(domain, encoded)
}

// hashList hashes a domain and a list of hashes; each is of fixed size, so their number is covered.
func hashList(domain string, hashes []pagetrie.Hash) pagetrie.Hash {
	var text [shortText]byte
	all := append(text[:0], domain...)
	for i := range hashes {
		all = append(all, hashes[i][:]...)
	}
	return sha256.Sum256(all)
}

func hashLimits(l Limits) (pagetrie.Hash, error) {
	encoded, err := encMode.Marshal(l)
	if err != nil {
		return pagetrie.Hash{}, fmt.Errorf("encode limits: %w", err)
	}
	return hashParts("lockstep/limits/2", encoded), nil
}

// hashedLimits remembers the hash of the limits that it was asked for last: few rounds change them.
type hashedLimits struct {
	limits Limits
	hash   pagetrie.Hash // zero: of none
}

func (h *hashedLimits) of(l Limits) (pagetrie.Hash, error) {
	if h.hash != (pagetrie.Hash{}) && h.limits == l {
		return h.hash, nil
	}
	hash, err := hashLimits(l)
	if err == nil {
		h.limits, h.hash = l, hash
	}
	return hash, err
}

// hashItems hashes a domain and the hashes of items; an empty list hashes to zero bytes.
func hashItems[T any](domain string, items []T, hash func(T) pagetrie.Hash) pagetrie.Hash {
	if len(items) == 0 {
		return pagetrie.Hash{}
	}
	hashes := make([]pagetrie.Hash, len(items))
	for i, item := range items {
		hashes[i] = hash(item)
	}
	return hashList(domain, hashes)
}

// hashCanister is the hash of one entry of the canister table.
func hashCanister(c *canisterRecord, stateRoot pagetrie.Hash) pagetrie.Hash {
	parts := []pagetrie.Hash{hashValue("lockstep/canister-head/2", c.head()), stateRoot,
		hashItems("lockstep/contexts/1", c.Contexts, func(i *callContext) pagetrie.Hash { return i.hash }),
		hashItems("lockstep/calls/1", c.Calls, func(i *outCall) pagetrie.Hash { return i.hash }),
		hashItems("lockstep/queue/1", c.Queue, func(i *queued) pagetrie.Hash { return i.hash })}
	return hashList("lockstep/canister-entry/2", parts)
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
	return hashParts("lockstep/state/2", text)
}
