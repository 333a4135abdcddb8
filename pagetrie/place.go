package pagetrie

import "fmt"

// opened is a branch of a map elsewhere, of which only views are known, and what has been seen of its kids.
type opened struct {
	base   uint64
	shift  uint8
	starts bitmap
	light  [fanOut]uint8 // by slot: entries of the bucket that starts there; 0 if it is no bucket or was not looked at
}

func newOpened(v *View) *opened {
	return &opened{base: v.Base, shift: v.Shift, starts: bitmap(v.Used)}
}

// place is where a node lies that is known by its digest alone: it is the kid that starts at that slot. The place of the
// topmost node has no branch.
type place struct {
	in   *opened
	slot uint
}

// first is the first key of the slot; a lookup of it leads to the node.
func (p place) first() uint64 {
	if p.in == nil {
		return 0
	}
	return p.in.base | uint64(p.slot)<<p.in.shift
}

// last is the last key before the next kid's slot.
func (p place) last() uint64 {
	switch {
	case p.in == nil:
		return 1<<64 - 1
	case p.in.starts&^upTo(p.slot) == 0:
		return p.in.base | spanMask(p.in.shift)
	}
	return place{p.in, (p.in.starts &^ upTo(p.slot)).lowest()}.first() - 1
}

// admit checks that a node, of which hashes need not be known and which has passed [View.check], can lie there in a map of
// the one shape: it starts in the slot; a leaf or branch has no other slot; a bucket reaches over no kid beside it.
func (p place) admit(v *View) error {
	if p.in == nil {
		return nil
	}
	slotOf := func(key uint64) uint { return uint(key>>p.in.shift) & slotMask }
	ok := false
	switch v.Kind {
	case Bucket:
		lo, hi := v.Keys[0], v.Keys[len(v.Keys)-1]
		ok = (lo^p.first())>>p.in.shift == 0 && hi <= p.last() && (p.in.starts&buddies(p.slot, slotOf(hi))).count() == 1
		p.in.light[p.slot] = uint8(len(v.Keys))
	case Leaf:
		ok = (v.Base^p.first())>>p.in.shift == 0
	case Branch:
		ok = v.Shift < p.in.shift && (v.Base^p.first())>>p.in.shift == 0
	}
	if !ok {
		return fmt.Errorf("node of kind %d, base %#x, shift %d, keys %x does not belong at slot %d of the branch at key %#x, shift %d",
			v.Kind, v.Base, v.Shift, v.Keys, p.slot, p.in.base, p.in.shift)
	}
	return nil
}

// check finds buckets that should be one, as far as kids have been seen.
func (o *opened) check() error {
	return o.checkRun(run{0, fanOut, o.shift})
}

func (o *opened) checkRun(r run) error {
	sum, n, light := 0, 0, true
	for rest := o.starts & buddies(r.from, r.from+r.width-1); rest != 0; rest &= rest - 1 {
		entries := o.light[rest.lowest()&slotMask]
		sum, n, light = sum+int(entries), n+1, light && entries > 0
	}
	if n < 2 {
		return nil
	}
	if light && sum <= bucketMax {
		return fmt.Errorf("branch at key %#x, shift %d: slots %d to %d have %d entries in %d buckets, want one bucket",
			o.base, o.shift, r.from, r.from+r.width-1, sum, n)
	}
	half := r.width / 2
	if err := o.checkRun(run{r.from, half, r.shift}); err != nil {
		return err
	}
	return o.checkRun(run{r.from + half, half, r.shift})
}

// outline is the view of a node without its hashes.
func outline(n node) View {
	switch x := n.(type) {
	case *bucket:
		v := View{Kind: Bucket}
		for _, e := range x.ents() {
			v.Keys = append(v.Keys, e.Key)
		}
		return v
	case *leaf:
		return View{Kind: Leaf, Base: x.base, Used: uint32(x.present)}
	case *stored:
		return View{Kind: Branch, Base: x.Base, Shift: x.Shift}
	}
	x := n.(*inner)
	return View{Kind: Branch, Base: x.base, Shift: x.shift, Used: uint32(x.starts)}
}

// maxNamed is how many nodes of a map elsewhere are kept in mind at most: as many as 60 million scattered entries have.
const maxNamed = 1 << 22

// foreignMap is a map elsewhere, of which the nodes that arrive are checked.
type foreignMap struct {
	digester
	remote  Remote
	entries uint64
	root    Hash
	named   uint64 // nodes of which the digest has been told
	found   uint64 // entries
}

func newForeignMap(r Remote) foreignMap {
	f := foreignMap{remote: r, named: 1}
	f.entries, f.root = r.Head()
	return f
}

// fetch returns the views of the nodes at places, all of one depth, in one round trip. They have passed View.check.
func (f *foreignMap) fetch(places []place, depth int) ([]View, error) {
	refs := make([]Ref, len(places))
	for i, p := range places {
		refs[i] = Ref{Key: p.first(), Depth: uint8(depth)}
	}
	views, err := f.remote.Nodes(refs)
	if err != nil {
		return nil, fmt.Errorf("fetch nodes at depth %d: %w", depth, err)
	}
	if len(views) != len(refs) {
		return nil, fmt.Errorf("fetch nodes at depth %d: %d answers to %d questions", depth, len(views), len(refs))
	}
	for i := range views {
		if err := views[i].check(); err != nil {
			return nil, fmt.Errorf("fetch nodes at depth %d: %w", depth, err)
		}
	}
	return views, nil
}

// take holds the view of the node at p against the digest that the branch above has for it, or, of the topmost node, against
// the root, and against the shape. It returns the node's digest.
func (f *foreignMap) take(p place, v *View, want Hash) (Hash, error) {
	digest := f.foreign(v)
	if p.in == nil && f.seal(f.entries, digest) != f.root || p.in != nil && digest != want {
		return Hash{}, fmt.Errorf("remote node for key %#x: not the one that the root has", p.first())
	}
	if err := p.admit(v); err != nil {
		return Hash{}, err
	}
	if v.Kind == Branch {
		f.named += uint64(len(v.Hashes))
	} else {
		f.found += uint64(len(v.Hashes))
	}
	switch {
	case p.in == nil && !v.holds(f.entries):
		return Hash{}, fmt.Errorf("remote root is of %d entries, the topmost node is not", f.entries)
	case f.found > f.entries || f.named/2 >= f.entries: // branches have two kids or more, so there are fewer than the other nodes
		return Hash{}, fmt.Errorf("remote map of %d entries shows %d, in %d nodes", f.entries, f.found, f.named)
	case f.named > maxNamed:
		return Hash{}, fmt.Errorf("remote map: more than %d nodes differ", maxNamed)
	}
	return digest, nil
}

// holds reports whether v can be the topmost node of a map with entries.
func (v *View) holds(entries uint64) bool {
	if v.Kind != Branch {
		return entries == uint64(len(v.Keys)+bitmap(v.Used).count())
	}
	return entries >= crowd && entries-1 <= spanMask(v.Shift)
}

// checkEmpty is for a map that says it has no entries.
func (f *foreignMap) checkEmpty() error {
	if f.root != f.digester.root(nil) {
		return fmt.Errorf("remote root %v is not that of an empty map", f.root)
	}
	return nil
}
