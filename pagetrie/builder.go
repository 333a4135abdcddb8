package pagetrie

import (
	"fmt"
	"sync/atomic"
)

// lastToken is the last edit token handed out. A token is never used by two holders, which is all that matters: nothing
// that is stored or hashed depends on it.
var lastToken atomic.Uint64

// Builder is a transient map: it changes in place the nodes that it made itself, and copies those of the map it began
// with. The zero Builder is an empty one. It is for one goroutine.
type Builder struct {
	root  node
	token uint64 // 0: every node may be shared
}

// Edit returns a Builder that holds the entries of m; m stays as it is.
//
// Cost: constant.
func (m Map) Edit() *Builder { return &Builder{root: m.root} }

// Insert puts v under key, in place of what was there.
func (b *Builder) Insert(key uint64, v Value) {
	if b.token == 0 {
		b.token = lastToken.Add(1)
	}
	b.root, _ = insert(b.root, Entry{key, v}, b.token)
}

// Remove takes key out, if it is there.
func (b *Builder) Remove(key uint64) {
	if b.token == 0 {
		b.token = lastToken.Add(1)
	}
	b.root, _ = remove(b.root, key, b.token)
}

// Get returns the value of key.
func (b *Builder) Get(key uint64) (Value, bool) { return get(b.root, key) }

// Len returns the number of entries.
func (b *Builder) Len() int { return Map{b.root}.Len() }

// Map returns the entries as an immutable map. The Builder may be used on; the map stays as it is.
//
// Cost: constant.
func (b *Builder) Map() Map {
	b.token = 0
	return Map{b.root}
}

func outOfOrder(before, key uint64) string {
	return fmt.Sprintf("pagetrie: entries out of order: key %#x after %#x", key, before)
}
