package pagetrie

import (
	"encoding/hex"
	"fmt"
)

// Hash is a SHA-256 digest: of a value, of a node or of a whole map.
type Hash [32]byte

// String returns the 64 lower-case hexadecimal digits of h.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash is the inverse of [Hash.String]. It accepts upper case as well.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) {
		return Hash{}, fmt.Errorf("parse hash: %d characters, want %d", len(s), 2*len(h))
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return Hash{}, fmt.Errorf("parse hash: %w", err)
	}
	return h, nil
}

// Value is an opaque handle chosen by the user of the map. What it stands for never changes. Handles hold no
// pointers, so the garbage collector does not look at them.
type Value uint64

// Hasher gives the hash of what a handle stands for.
type Hasher interface {
	// HashValue is a pure function of the contents behind v: two handles of equal contents have equal hashes. It is
	// called by any goroutine that asks for a root, and more than once for one handle, so it should remember.
	HashValue(v Value) Hash
}

// BatchHasher is a [Hasher] that is asked for many hashes at once: in one loop its cache misses overlap, and contents that
// have no hash yet can be hashed two at a time.
type BatchHasher interface {
	Hasher
	// HashValues puts the hash of values[i] into hashes[i], for all i. It keeps neither slice.
	HashValues(values []Value, hashes []Hash)
}

// Entry is one key and its value.
type Entry struct {
	Key   uint64
	Value Value
}
