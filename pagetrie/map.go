package pagetrie

// Map is an immutable map from uint64 to Value. The zero Map is empty. Copying a Map is a snapshot: 16 bytes, no
// allocation. All methods are safe for concurrent use. Two maps with the same entries have the same shape, however they
// were made.
type Map struct {
	root node
}

// FromSorted returns the map of entries, which must be strictly ascending by key: it panics where they are not. The
// slice is not kept.
//
// Cost: linear in the entries, with no other garbage than the map.
func FromSorted(entries []Entry) Map {
	for i := 1; i < len(entries); i++ {
		if entries[i-1].Key >= entries[i].Key {
			panic(outOfOrder(entries[i-1].Key, entries[i].Key))
		}
	}
	return Map{shape(entries, 0)}
}

// Get returns the value of key, or 0 and false.
//
// Cost: one node for each digit in which keys differ, at most 13; 4 nodes for 10^6 adjacent keys.
func (m Map) Get(key uint64) (Value, bool) {
	return get(m.root, key)
}

func get(n node, key uint64) (Value, bool) {
	n = open(n)
	if x, ok := n.(*inner); ok && !x.matches(key) { // further down, only the last node is asked
		return 0, false
	}
	for {
		x, ok := n.(*inner)
		if !ok {
			s, ok := n.(*stored)
			if !ok {
				break
			}
			if !s.matches(key) { // nothing to read it for
				return 0, false
			}
			x = s.open()
		}
		i := x.rank(x.slot(key))
		if i == 0 {
			return 0, false
		}
		if x.kids.leaves != nil {
			return x.kids.leaves[i-1].get(key)
		}
		n = x.kids.mixed[i-1]
	}
	if l, ok := n.(*leaf); ok {
		return l.get(key)
	}
	if b, ok := n.(*bucket); ok {
		if i, found := b.search(key); found {
			return b.ents()[i].Value, true
		}
	}
	return 0, false
}

// Len returns the number of entries, in constant time.
func (m Map) Len() int {
	if m.root == nil {
		return 0
	}
	return m.root.entries()
}

// Insert returns m with v under key, in place of what was there. It is m itself if v was there already. For more than
// one key use a [Builder] or [Union].
//
// Cost: copies one node for each digit in which keys differ.
func (m Map) Insert(key uint64, v Value) Map {
	n, _ := insert(m.root, Entry{key, v}, 0)
	return Map{n}
}

// Remove returns m without key. It is m itself if key was not there.
//
// Cost: as [Map.Insert].
func (m Map) Remove(key uint64) Map {
	n, _ := remove(m.root, key, 0)
	return Map{n}
}
