package pagetrie

import (
	"cmp"
	"fmt"
	"slices"
)

// DiffRemotes returns the keys at which two maps on two other machines differ, ascending; what a has is Local in the changes,
// what b has Remote. Every node received is checked as in [RemoteDiff], against the root of its own side. What lies below a
// node that both sides name is equal, and not looked at.
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
	foreignMap
	depth   int // of the nodes in front
	front   []*farNode
	known   map[Hash]*farNode // every node that was named, by its digest, which covers its keys
	entered []farEntry
}

// farNode is a node of which the digest is known.
type farNode struct {
	place
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
	return &farSide{foreignMap: newForeignMap(r), known: map[Hash]*farNode{}, front: []*farNode{{}}}
}

// descend reads the nodes of the front that the other side is not known to have, and makes their kids the front.
func (s *farSide) descend(other *farSide) error {
	if s.depth == 0 && s.entries == 0 {
		s.front = nil
		return s.checkEmpty()
	}
	front := slices.DeleteFunc(s.front, (*farNode).covered)
	s.front = nil
	for batch := range slices.Chunk(front, MaxRefs) {
		places := make([]place, len(batch))
		for i, n := range batch {
			places[i] = n.place
		}
		views, err := s.fetch(places, s.depth)
		if err != nil {
			return err
		}
		for i := range views {
			if err := s.enter(batch[i], &views[i], other); err != nil {
				return err
			}
		}
	}
	for i, n := range front {
		if n.in != nil && (i == 0 || n.in != front[i-1].in) {
			if err := n.in.check(); err != nil {
				return err
			}
		}
	}
	s.depth++
	return nil
}

// enter adds what a node shows.
func (s *farSide) enter(n *farNode, v *View, other *farSide) error {
	digest, err := s.take(n.place, v, n.digest)
	if err != nil {
		return err
	}
	if n.above == nil {
		n.digest = digest
		if err := s.meet(n, other); err != nil {
			return err
		}
	}
	if v.Kind != Branch {
		for i, key := range v.keys() {
			s.entered = append(s.entered, farEntry{key, v.Hashes[i], n})
		}
		return nil
	}
	o := newOpened(v)
	for i, rest := 0, o.starts; rest != 0; i++ {
		kid := &farNode{place: place{o, rest.lowest()}, digest: v.Hashes[i], above: n}
		rest &= rest - 1
		if err := s.meet(kid, other); err != nil {
			return err
		}
		s.front = append(s.front, kid)
	}
	return nil
}

// meet notes a node, and whether both sides have it. A digest covers keys: a map has it once, and two maps have it at places
// with keys in common.
func (s *farSide) meet(n *farNode, other *farSide) error {
	if twin := s.known[n.digest]; twin != nil {
		return fmt.Errorf("remote map has node %v twice, for keys %#x and %#x", n.digest, twin.first(), n.first())
	}
	s.known[n.digest] = n
	if twin := other.known[n.digest]; twin != nil {
		if twin.first() > n.last() || n.first() > twin.last() {
			return fmt.Errorf("remote maps have node %v at different places, for keys %#x and %#x", n.digest, n.first(), twin.first())
		}
		n.same, twin.same = true, true
	}
	return nil
}

// living are the entries that the other side may not have, ascending.
func (s *farSide) living() []farEntry {
	list := slices.DeleteFunc(s.entered, func(e farEntry) bool { return e.in.covered() })
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
