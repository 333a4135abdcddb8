package pagetrie

import (
	"fmt"
	"sync/atomic"
)

// lastToken is the last edit token handed out. A token is never used by two holders, which is all that matters: nothing
// that is stored or hashed depends on it.
var lastToken atomic.Uint64

// Builder is a transient map: it changes in place the nodes that it made itself, and copies those of the map it began
// with. The zero Builder is an empty one. It is for one goroutine. Between the first edit and [Builder.Map] it must not be
// copied: a copy would change the nodes of the other, so using one panics.
type Builder struct {
	root  node
	token uint64   // 0: every node may be shared
	self  *Builder // who holds token
}

// Edit returns a Builder that holds the entries of m; m stays as it is.
//
// Cost: constant.
func (m Map) Edit() *Builder { return &Builder{root: m.root} }

// check panics in a copy of a Builder whose nodes the other may change.
func (b *Builder) check() {
	if b.self != nil && b.self != b {
		panic("pagetrie: a Builder that was being edited has been copied; call Map and edit that, or keep a *Builder")
	}
}

func (b *Builder) begin() {
	b.check()
	if b.token == 0 {
		b.token, b.self = lastToken.Add(1), b
	}
}

// Insert puts v under key, in place of what was there.
func (b *Builder) Insert(key uint64, v Value) {
	b.begin()
	b.root, _ = insert(b.root, Entry{key, v}, b.token)
}

// Remove takes key out, if it is there.
func (b *Builder) Remove(key uint64) {
	b.begin()
	b.root, _ = remove(b.root, key, b.token)
}

// Get returns the value of key.
func (b *Builder) Get(key uint64) (Value, bool) {
	b.check()
	return get(b.root, key)
}

// Len returns the number of entries.
func (b *Builder) Len() int {
	b.check()
	return Map{b.root}.Len()
}

// Map returns the entries as an immutable map. The Builder may be used on; the map stays as it is.
//
// Cost: constant.
func (b *Builder) Map() Map {
	b.check()
	b.token, b.self = 0, nil
	return Map{b.root}
}

func outOfOrder(before, key uint64) string {
	return fmt.Sprintf("pagetrie: entries out of order: key %#x after %#x", key, before)
}
