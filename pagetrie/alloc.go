package pagetrie

// One node is one allocation: the array behind a slice lies in the same struct as the slice. The sizes follow the
// allocator's size classes, so that little of a block is left unused.

// allocBucket returns a bucket of n entries, all zero; its capacity may be larger.
func allocBucket(n int) *bucket {
	switch {
	case n <= 1:
		x := new(struct {
			bucket
			a [1]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	case n <= 2:
		x := new(struct {
			bucket
			a [2]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	case n <= 3:
		x := new(struct {
			bucket
			a [3]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	case n <= 5:
		x := new(struct {
			bucket
			a [5]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	case n <= 7:
		x := new(struct {
			bucket
			a [7]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	case n <= 9:
		x := new(struct {
			bucket
			a [9]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	case n <= 11:
		x := new(struct {
			bucket
			a [11]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	}
	return allocLargeBucket(n)
}

func allocLargeBucket(n int) *bucket {
	switch {
	case n <= 13:
		x := new(struct {
			bucket
			a [13]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	case n <= 15:
		x := new(struct {
			bucket
			a [15]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	case n <= 17:
		x := new(struct {
			bucket
			a [17]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	case n <= 19:
		x := new(struct {
			bucket
			a [19]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	case n <= 21:
		x := new(struct {
			bucket
			a [21]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	case n <= 23:
		x := new(struct {
			bucket
			a [23]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	case n <= 25:
		x := new(struct {
			bucket
			a [25]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	case n <= 27:
		x := new(struct {
			bucket
			a [27]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	case n <= 29:
		x := new(struct {
			bucket
			a [29]Entry
		})
		x.ents = x.a[:n]
		return &x.bucket
	}
	x := new(struct {
		bucket
		a [bucketMax]Entry
	})
	x.ents = x.a[:n]
	return &x.bucket
}

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
