package snapshot

// extent is a run of pages that come from one layer, in order.
type extent struct {
	first, count uint64
	layer        int
	position     uint64 // of the first page in its layer
	zero         bool
}

func (e extent) end() uint64 { return e.first + e.count }

// part is the piece lo <= page < hi of e.
func (e extent) part(lo, hi uint64) extent {
	e.position += lo - e.first
	e.first, e.count = lo, hi-lo
	return e
}

// overlay lays page indexes over each other, oldest first, and returns for every page that any of them names where it
// comes from, ascending. Layers are numbered from base. Cost: ranges, not pages.
func overlay(layers []*pageIndex, base int) []extent {
	var seen []extent
	for i := len(layers) - 1; i >= 0; i-- {
		seen = under(seen, layers[i].ranges, base+i)
	}
	return seen
}

// under puts the ranges of a layer below what newer layers already decide.
func under(upper []extent, ranges []pageRange, layer int) []extent {
	out := make([]extent, 0, len(upper)+len(ranges))
	i := 0
	for _, r := range ranges {
		e := extent{first: r.first, count: r.count, layer: layer, position: r.position, zero: r.zero}
		at, end := e.first, e.end()
		for ; i < len(upper) && upper[i].end() <= at; i++ {
			out = append(out, upper[i])
		}
		for at < end {
			if i == len(upper) || upper[i].first >= end {
				out = append(out, e.part(at, end))
				break
			}
			if upper[i].first > at {
				out = append(out, e.part(at, upper[i].first))
			}
			at = upper[i].end()
			if at > end {
				break
			}
			out = append(out, upper[i])
			i++
		}
	}
	return append(out, upper[i:]...)
}

// stored keeps the extents that are not declared zero.
func stored(all []extent) []extent {
	kept := all[:0:0]
	for _, e := range all {
		if !e.zero {
			kept = append(kept, e)
		}
	}
	return kept
}

// flatSize returns how many pages and how many ranges a single file with the pages of the extents has.
func flatSize(extents []extent) (pages, ranges uint64) {
	var end uint64
	for i, e := range extents {
		if i == 0 || e.first != end {
			ranges++
		}
		pages += e.count
		end = e.end()
	}
	return pages, ranges
}

// flatBytes is the length of that file; a memory without pages has none.
func flatBytes(extents []extent) uint64 {
	pages, ranges := flatSize(extents)
	if pages == 0 {
		return 0
	}
	return pages*(PageSize+hashBytes) + ranges*rangeBytes + footerBytes
}
