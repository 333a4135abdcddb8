package pagetrie

// kids are the children of a branch, ascending. Where keys are dense all of them are leaves, and then a slot takes one
// word and not the two of an interface. Which of the two forms a branch has does not count as its shape.
type kids struct {
	mixed  []node  // usually lies behind the header, in the same allocation
	leaves []*leaf // in place of mixed
}

func (k *kids) count() int { return len(k.mixed) + len(k.leaves) }

func (k *kids) at(i int) node {
	if k.leaves != nil {
		return k.leaves[i]
	}
	return k.mixed[i]
}

// part is kids i .. j-1; it shares their memory.
func (k *kids) part(i, j int) kids {
	if k.leaves != nil {
		return kids{leaves: k.leaves[i:j]}
	}
	return kids{mixed: k.mixed[i:j]}
}

// appendTo appends the kids as nodes.
func (k *kids) appendTo(dst []node) []node {
	for _, l := range k.leaves {
		dst = append(dst, l)
	}
	return append(dst, k.mixed...)
}

// heavy reports whether no kid is a bucket.
func (k *kids) heavy() bool {
	for _, kid := range k.mixed {
		if !heavy(kid) {
			return false
		}
	}
	return true
}

// equal reports whether the kids are the same nodes.
func (k *kids) equal(others []node) bool {
	if k.count() != len(others) {
		return false
	}
	for i, l := range k.leaves {
		if others[i] != node(l) {
			return false
		}
	}
	for i, kid := range k.mixed {
		if others[i] != kid {
			return false
		}
	}
	return true
}

// light reports whether the entries of kids go in one bucket.
func (k *kids) light() bool {
	sum := 0
	for _, kid := range k.mixed {
		b, ok := kid.(*bucket)
		if !ok {
			return false
		}
		if sum += len(b.ents()); sum > bucketMax {
			return false
		}
	}
	return len(k.leaves) == 0
}

// allLeaves reports whether kids could be a []*leaf.
func allLeaves(all []node) bool {
	for _, kid := range all {
		if !isLeafNode(kid) {
			return false
		}
	}
	return true
}

func isLeafNode(n node) bool {
	_, ok := n.(*leaf)
	return ok
}

// newInner returns a branch of kids, with the rest of its fields zero. It does not keep all.
func newInner(all []node) *inner {
	if !allLeaves(all) {
		x := allocInner(len(all))
		copy(x.kids.mixed, all)
		return x
	}
	x := allocTwig(len(all))
	for i, kid := range all {
		x.kids.leaves[i] = kid.(*leaf)
	}
	return x
}
