package pagetrie

import (
	"errors"
	"fmt"
)

// ErrProof is that a proof does not belong to the root it was held against.
var ErrProof = errors.New("proof does not lead to the root")

// Proof shows what a map with a known root has under one key, or that it has nothing there, to somebody who does not
// have the map. It takes about 0.5 KiB a node on the way.
type Proof struct {
	Entries uint64 // of the whole map
	Path    []Step // from the topmost node on; none for the empty map
}

// Step is one node of a proof. Of a leaf or branch, Hashes are only those in the group of 8 slots that the key leads to
// (none if it leads nowhere).
type Step struct {
	View
	Groups []Hash // leaf, branch: digests of the groups with a slot used
}

// Prove returns the proof for key.
//
// Cost: what of the root is not computed yet, and the nodes on the way to key.
func (m Map) Prove(key uint64, h Hasher) Proof {
	d := digester{hasher: h}
	p := Proof{Entries: uint64(m.Len())}
	for n := m.root; n != nil; {
		n = open(n)
		d.node(n)
		s := Step{View: d.view(n)}
		slot, ok := uint(0), false
		if s.Kind != Bucket {
			slot, ok = s.route(key)
			s.narrow(n, slot, ok)
		}
		p.Path = append(p.Path, s)
		x, branch := n.(*inner)
		if !branch || !ok {
			break
		}
		n = x.kids.at(x.rank(slot) - 1)
	}
	return p
}

// narrow reduces the step for n to the group of slot, or to no group.
func (s *Step) narrow(n node, slot uint, ok bool) {
	var d *digests
	switch x := n.(type) {
	case *leaf:
		d = x.digests.Load()
	case *inner:
		d = &x.digests.Load().digests
	}
	used := bitmap(s.Used)
	for g := range groupCount {
		if used.group(g) != 0 {
			s.Groups = append(s.Groups, d.groups[g])
		}
	}
	if !ok {
		s.Hashes = nil
		return
	}
	first := slot >> groupBits << groupBits
	from := (used & below(first)).count()
	s.Hashes = s.Hashes[from : from+groupMask(used, slot).count()]
}

// groupMask is the used slots of the group of slot, as 8 bits.
func groupMask(used bitmap, slot uint) bitmap {
	return used.group(int(slot >> groupBits))
}

// Verify checks p against the root of a map and returns what that map has under key: the hash of the value, if there
// is one. A root and a key have one proof: whatever else is in it, even where it would not matter, is an error. The error is
// ErrProof, or says how the proof is malformed.
func (p *Proof) Verify(root Hash, key uint64) (value Hash, present bool, err error) {
	var d digester
	if p.Entries == 0 || len(p.Path) == 0 {
		if p.Entries != 0 || len(p.Path) != 0 || root != d.root(nil) {
			return Hash{}, false, ErrProof
		}
		return Hash{}, false, nil
	}
	if !p.Path[0].holds(p.Entries) {
		return Hash{}, false, ErrProof
	}
	var want Hash
	var at place
	for i := range p.Path {
		s := &p.Path[i]
		digest, next, ok, err := d.step(s, key)
		if err == nil {
			err = at.admit(&s.View)
		}
		if err != nil {
			return Hash{}, false, fmt.Errorf("step %d: %w", i, err)
		}
		if i == 0 && d.seal(p.Entries, digest) != root || i > 0 && digest != want {
			return Hash{}, false, ErrProof
		}
		last := i == len(p.Path)-1
		if done := !ok || s.Kind != Branch; done != last {
			return Hash{}, false, ErrProof
		}
		if last {
			return next, ok, nil
		}
		slot, _ := s.route(key)
		want, at = next, place{newOpened(&s.View), slot}
	}
	panic("unreachable")
}

// step returns the digest of s, and what key leads to there: the hash of its value or the digest of a kid.
func (d *digester) step(s *Step, key uint64) (digest, next Hash, ok bool, err error) {
	used := bitmap(s.Used)
	if err := s.checkHead(); err != nil {
		return Hash{}, Hash{}, false, err
	}
	if len(s.Groups) != groupsUsed(used) { // none of a bucket
		return Hash{}, Hash{}, false, fmt.Errorf("malformed: %d digests of groups, want %d", len(s.Groups), groupsUsed(used))
	}
	if s.Kind == Bucket {
		if err := s.View.check(); err != nil {
			return Hash{}, Hash{}, false, err
		}
		for i, k := range s.Keys {
			if k == key {
				next, ok = s.Hashes[i], true
			}
		}
		return d.foreign(&s.View), next, ok, nil
	}
	var all digests
	i := 0
	for g := range groupCount {
		if used.group(g) != 0 {
			all.groups[g] = s.Groups[i]
			i++
		}
	}
	digest = d.foreignNode(&s.View, &all)
	slot, ok := s.route(key)
	if !ok {
		if len(s.Hashes) != 0 {
			return Hash{}, Hash{}, false, fmt.Errorf("malformed: %d hashes of a node that does not lead to the key", len(s.Hashes))
		}
		return digest, Hash{}, false, nil
	}
	mask := groupMask(used, slot)
	if len(s.Hashes) != mask.count() || d.foreignGroup(s.Kind, mask, s.Hashes) != all.groups[slot>>groupBits] {
		return Hash{}, Hash{}, false, ErrProof
	}
	return digest, s.Hashes[(mask & (1<<(slot&(groupSize-1)) - 1)).count()], true, nil
}

func groupsUsed(used bitmap) int {
	n := 0
	for g := range groupCount {
		if used.group(g) != 0 {
			n++
		}
	}
	return n
}
