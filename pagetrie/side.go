package pagetrie

// side is what one of two subtrees that are walked together has in an aligned run of slots of a branch: whole kids, or
// the part of one bucket. The two shapes may cut the same keys differently (a bucket here, a branch there); halving the
// run until the sides can be compared is what merge and diff have in common.
type side struct {
	starts bitmap  // slots at which the kids start
	kids   kids    // whole kids; none if run is used
	run    []Entry // entries of a bucket that lie in the run of slots
	whole  *bucket // that bucket, if all its entries are in run
}

// sideOf is all that n has below the branch at shift of which it is, or of which it is below, a part.
func sideOf(n node, shift uint8) side {
	if x, ok := openAt(n, shift); ok {
		return side{starts: x.starts, kids: x.kids}
	}
	s := side{starts: bit(uint(n.anchor() >> shift)), kids: kids{mixed: []node{n}}}
	s.settle()
	return s
}

func (s *side) empty() bool { return s.kids.count() == 0 && len(s.run) == 0 }
func (s *side) light() bool { return s.kids.count() == 0 }

// settle makes a single bucket a run.
func (s *side) settle() {
	if len(s.kids.mixed) == 1 {
		if b, ok := s.kids.mixed[0].(*bucket); ok {
			*s = side{run: b.ents(), whole: b}
		}
	}
}

// cut divides s at slot mid of the branch at shift.
func (s *side) cut(mid uint, shift uint8) (lo, hi side) {
	if len(s.run) > 0 {
		at := 0
		for at < len(s.run) && uint(s.run[at].Key>>shift)&slotMask < mid {
			at++
		}
		lo.run, hi.run = s.run[:at], s.run[at:]
		if at == 0 {
			hi.whole = s.whole
		} else if at == len(s.run) {
			lo.whole = s.whole
		}
		return lo, hi
	}
	left := s.starts & below(mid)
	at := left.count()
	lo = side{starts: left, kids: s.kids.part(0, at)}
	hi = side{starts: s.starts &^ left, kids: s.kids.part(at, s.kids.count())}
	lo.settle()
	hi.settle()
	return lo, hi
}

// bucket is s, which is light and not empty, as a node.
func (s *side) bucket(token uint64) *bucket {
	if s.whole != nil {
		return s.whole
	}
	return newBucket(s.run, token)
}

// addSide adds what s has.
func (s *slots) addSide(a *side, shift uint8, token uint64) {
	if len(a.run) > 0 {
		s.add(uint(a.run[0].Key>>shift)&slotMask, a.bucket(token))
		return
	}
	s.n = len(a.kids.appendTo(s.kids[:s.n]))
	s.starts |= a.starts
}

// extent is the prefix of a heavy node and the position of the digit above it.
func extent(n node) (base uint64, above uint8) {
	switch x := n.(type) {
	case *inner:
		return x.base, x.shift + fanBits
	case *stored:
		return x.Base, x.Shift + fanBits
	}
	return n.anchor(), fanBits
}

// apart reports whether two heavy nodes have no key range in common, and otherwise the shift of the branch that both
// are at or below.
func apart(a, b node) (shift uint8, disjoint bool) {
	aBase, aAbove := extent(a)
	bBase, bAbove := extent(b)
	above := max(aAbove, bAbove)
	return above - fanBits, (aBase^bBase)>>above != 0
}
