package pagetrie

// One node is one allocation: the array behind a slice lies in the same struct as the slice. The sizes follow the
// allocator's size classes, so that little of a block is left unused.

// allocInner returns a branch with n mixed kids, all nil; its capacity may be larger.
func allocInner(n int) *inner {
	switch {
	case n <= 2:
		x := new(struct {
			inner
			a [2]node
		})
		x.kids.mixed = x.a[:n]
		return &x.inner
	case n <= 4:
		x := new(struct {
			inner
			a [4]node
		})
		x.kids.mixed = x.a[:n]
		return &x.inner
	case n <= 8:
		x := new(struct {
			inner
			a [8]node
		})
		x.kids.mixed = x.a[:n]
		return &x.inner
	case n <= 12:
		x := new(struct {
			inner
			a [12]node
		})
		x.kids.mixed = x.a[:n]
		return &x.inner
	case n <= 16:
		x := new(struct {
			inner
			a [16]node
		})
		x.kids.mixed = x.a[:n]
		return &x.inner
	case n <= 24:
		x := new(struct {
			inner
			a [24]node
		})
		x.kids.mixed = x.a[:n]
		return &x.inner
	}
	x := new(struct {
		inner
		a [fanOut]node
	})
	x.kids.mixed = x.a[:n]
	return &x.inner
}

// allocTwig returns a branch with n leaves, all nil; its capacity may be larger.
func allocTwig(n int) *inner {
	switch {
	case n <= 2:
		x := new(struct {
			inner
			a [2]*leaf
		})
		x.kids.leaves = x.a[:n]
		return &x.inner
	case n <= 4:
		x := new(struct {
			inner
			a [4]*leaf
		})
		x.kids.leaves = x.a[:n]
		return &x.inner
	case n <= 8:
		x := new(struct {
			inner
			a [8]*leaf
		})
		x.kids.leaves = x.a[:n]
		return &x.inner
	case n <= 16:
		x := new(struct {
			inner
			a [16]*leaf
		})
		x.kids.leaves = x.a[:n]
		return &x.inner
	case n <= 24:
		x := new(struct {
			inner
			a [24]*leaf
		})
		x.kids.leaves = x.a[:n]
		return &x.inner
	}
	x := new(struct {
		inner
		a [fanOut]*leaf
	})
	x.kids.leaves = x.a[:n]
	return &x.inner
}
