// Package patricia is the paper's own tree, as plainly as it can be written: big-endian Patricia tries of Okasaki &
// Gill, "Fast Mergeable Integer Maps" (1998), §3 and §4. It is what pagetrie is tested against and measured beside.
package patricia

import "math/bits"

// Tree is an immutable map from uint64 to uint64; nil is the empty one. Which of the fields count depends on bit: a
// leaf has a key and a value; a branch has a branching bit, the prefix above it, and two subtrees.
type Tree struct {
	key, value  uint64 // leaf; of a branch, key is the prefix
	bit         uint64 // branching bit, 0 for a leaf
	left, right *Tree  // keys with the branching bit clear, set
}

func leaf(key, value uint64) *Tree { return &Tree{key: key, value: value} }

// mask keeps the bits of key above the branching bit.
func mask(key, bit uint64) uint64 { return key &^ (bit<<1 - 1) }

func branch(prefix, bit uint64, left, right *Tree) *Tree {
	switch {
	case left == nil:
		return right
	case right == nil:
		return left
	}
	return &Tree{key: prefix, bit: bit, left: left, right: right}
}

// join is the tree of two whose prefixes differ.
func join(a, b *Tree) *Tree {
	bit := uint64(1) << (bits.Len64(a.key^b.key) - 1)
	if a.key&bit != 0 {
		a, b = b, a
	}
	return branch(mask(a.key, bit), bit, a, b)
}

// Get returns the value of key.
func (t *Tree) Get(key uint64) (uint64, bool) {
	for t != nil && t.bit != 0 {
		if mask(key, t.bit) != t.key {
			return 0, false
		}
		if key&t.bit == 0 {
			t = t.left
		} else {
			t = t.right
		}
	}
	if t == nil || t.key != key {
		return 0, false
	}
	return t.value, true
}

// Insert returns t with value under key.
func (t *Tree) Insert(key, value uint64) *Tree {
	return Union(leaf(key, value), t)
}

// Remove returns t without key.
func (t *Tree) Remove(key uint64) *Tree {
	switch {
	case t == nil:
		return nil
	case t.bit == 0 && t.key == key:
		return nil
	case t.bit == 0 || mask(key, t.bit) != t.key:
		return t
	case key&t.bit == 0:
		return branch(t.key, t.bit, t.left.Remove(key), t.right)
	}
	return branch(t.key, t.bit, t.left, t.right.Remove(key))
}

// Union returns the entries of both; where both have a key, a's value counts.
func Union(a, b *Tree) *Tree {
	switch {
	case a == nil:
		return b
	case b == nil || a == b:
		return a
	case a.bit == b.bit && a.key == b.key:
		if a.bit == 0 {
			return a
		}
		return branch(a.key, a.bit, Union(a.left, b.left), Union(a.right, b.right))
	case a.bit > b.bit && mask(b.key, a.bit) == a.key:
		if b.key&a.bit == 0 {
			return branch(a.key, a.bit, Union(a.left, b), a.right)
		}
		return branch(a.key, a.bit, a.left, Union(a.right, b))
	case b.bit > a.bit && mask(a.key, b.bit) == b.key:
		if a.key&b.bit == 0 {
			return branch(b.key, b.bit, Union(a, b.left), b.right)
		}
		return branch(b.key, b.bit, b.left, Union(a, b.right))
	}
	return join(a, b)
}

// All yields the entries, ascending by key, and reports whether yield wanted more.
func (t *Tree) All(yield func(key, value uint64) bool) bool {
	switch {
	case t == nil:
		return true
	case t.bit == 0:
		return yield(t.key, t.value)
	}
	return t.left.All(yield) && t.right.All(yield)
}

// Ceiling returns the entry with the least key at or above key.
func (t *Tree) Ceiling(key uint64) (k, v uint64, ok bool) {
	switch {
	case t == nil:
		return 0, 0, false
	case t.bit == 0:
		return t.key, t.value, t.key >= key
	case mask(key, t.bit) != t.key:
		if key > t.key {
			return 0, 0, false
		}
		return t.least()
	case key&t.bit == 0:
		if k, v, ok := t.left.Ceiling(key); ok {
			return k, v, true
		}
		return t.right.least()
	}
	return t.right.Ceiling(key)
}

func (t *Tree) least() (k, v uint64, ok bool) {
	for t.bit != 0 {
		t = t.left
	}
	return t.key, t.value, true
}
