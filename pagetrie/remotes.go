package pagetrie

import (
	"cmp"
	"fmt"
	"slices"
)

// DiffRemotes returns the keys at which two maps on two other machines differ, ascending; what a has is Local in the changes,
// what b has Remote. Every node received is checked against the root that its side has announced.
//
// Cost: round trips as in [RemoteDiff], on both sides. A node that both sides have is looked into only if one of them shows it
// a level later than the other, as maps of different height do, and then for one level.
func DiffRemotes(a, b Remote) ([]RemoteChange, error) {
	sides := [2]*farSide{newFarSide(a), newFarSide(b)}
	if sides[0].root == sides[1].root && sides[0].entries == sides[1].entries {
		return nil, nil
	}
	for len(sides[0].front)+len(sides[1].front) > 0 {
		for i, s := range sides {
			if err := s.descend(sides[1-i]); err != nil {
				return nil, err
			}
		}
	}
	return compareFar(sides[0].living(), sides[1].living()), nil
}

// farSide is one of the two maps, as far as it is known.
type farSide struct {
	digester
	remote  Remote
	entries uint64
	root    Hash
	depth   int // of the nodes in front
	front   []*farNode
	known   map[Hash]*farNode // every node that was named, by its digest, which covers its keys
	found   []farEntry
}

// farNode is a node of which the digest is known.
type farNode struct {
	key    uint64 // that leads to it
	digest Hash
	above  *farNode
	same   bool // the other side has it as well
}

// covered reports whether the other side has the node or one above it.
func (n *farNode) covered() bool {
	for ; n != nil; n = n.above {
		if n.same {
			return true
		}
	}
	return false
}

type farEntry struct {
	key  uint64
	hash Hash
	in   *farNode
}

func newFarSide(r Remote) *farSide {
	s := &farSide{remote: r, known: map[Hash]*farNode{}}
	s.entries, s.root = r.Head()
	s.front = []*farNode{{}}
	return s
}

// descend reads the nodes of the front that the other side is not known to have, and makes their kids the front.
func (s *farSide) descend(other *farSide) error {
	if s.depth == 0 && s.entries == 0 {
		s.front = nil
		if s.root != s.digester.root(nil) {
			return fmt.Errorf("remote root %v is not that of an empty map", s.root)
		}
		return nil
	}
	front := slices.DeleteFunc(s.front, (*farNode).covered)
	s.front = nil
	for batch := range slices.Chunk(front, MaxRefs) {
		refs := make([]wanted, len(batch))
		for i, n := range batch {
			refs[i].key = n.key
		}
		views, err := fetch(s.remote, refs, s.depth)
		if err != nil {
			return err
		}
		for i := range views {
			if err := s.take(batch[i], &views[i], other); err != nil {
				return err
			}
		}
	}
	s.depth++
	return nil
}

// take adds what a node shows.
func (s *farSide) take(n *farNode, v *View, other *farSide) error {
	digest := s.foreign(v)
	if n.above == nil && s.depth == 0 {
		if s.seal(s.entries, digest) != s.root {
			return fmt.Errorf("remote node at depth 0: not the one that the root has")
		}
		n.digest = digest
		s.meet(n, other)
	}
	if digest != n.digest {
		return fmt.Errorf("remote node at depth %d for key %#x: not the one that the root has", s.depth, n.key)
	}
	if v.Kind != Branch {
		for i, key := range v.keys() {
			s.found = append(s.found, farEntry{key, v.Hashes[i], n})
		}
		return nil
	}
	for i, rest := 0, bitmap(v.Used); rest != 0; i++ {
		kid := &farNode{key: v.Base | uint64(rest.lowest())<<v.Shift, digest: v.Hashes[i], above: n}
		rest &= rest - 1
		s.meet(kid, other)
		s.front = append(s.front, kid)
	}
	return nil
}

// meet notes a node, and whether both sides have it.
func (s *farSide) meet(n *farNode, other *farSide) {
	s.known[n.digest] = n
	if twin := other.known[n.digest]; twin != nil {
		n.same, twin.same = true, true
	}
}

// living are the entries that the other side may not have, ascending.
func (s *farSide) living() []farEntry {
	list := slices.DeleteFunc(s.found, func(e farEntry) bool { return e.in.covered() })
	slices.SortFunc(list, func(a, b farEntry) int { return cmp.Compare(a.key, b.key) })
	return list
}

// compareFar merges two ascending lists.
func compareFar(a, b []farEntry) (changes []RemoteChange) {
	for len(a) > 0 || len(b) > 0 {
		var c RemoteChange
		inA := len(a) > 0 && (len(b) == 0 || a[0].key <= b[0].key)
		inB := len(b) > 0 && (len(a) == 0 || b[0].key <= a[0].key)
		if inA {
			c.Key, c.Local, c.HasLocal, a = a[0].key, a[0].hash, true, a[1:]
		}
		if inB {
			c.Key, c.Remote, c.HasRemote, b = b[0].key, b[0].hash, true, b[1:]
		}
		if !inA || !inB || c.Local != c.Remote {
			changes = append(changes, c)
		}
	}
	return changes
}
