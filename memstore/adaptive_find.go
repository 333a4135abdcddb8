//go:build cgo

package memstore

import (
	"math/bits"
	"slices"
)

// find gives the written pages outside open ones, ascending, and arms them again or makes them hot.
func (t *adaptive) find(found []uint32, faults uint64, known bool) ([]uint32, error) {
	if faults == 0 {
		return found, nil
	}
	if known && t.few(len(t.addrs)) {
		return t.findSampled(found)
	}
	guess, done, err := t.findPredicted(found, faults)
	if done || err != nil {
		return guess, err
	}
	return t.findAll(found)
}

// few says that looking at so many pages one by one is cheaper than a walk over all.
func (t *adaptive) few(pages int) bool { return pages*t.limits.walkPages <= int(t.m.tracked) }

// findSampled looks at the pages where faults were.
func (t *adaptive) findSampled(found []uint32) ([]uint32, error) {
	base, end := t.m.base, t.m.addr(uint32(t.m.tracked))
	for _, a := range t.addrs {
		if a >= base && a < end {
			if p := uint32((a - base) >> pageShift); !t.dense.has(p >> chunkShift) {
				found = append(found, p)
			}
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	return found, t.settle(found)
}

// settle arms written pages again, but for those that the last message of this kind wrote, too: they become hot.
func (t *adaptive) settle(found []uint32) error {
	var again []PageRun
	last := t.kind.last
	if len(last) > 4*len(found)+t.limits.hotShared { // another sort of message: no guess
		last = nil
	}
	for _, p := range found {
		for len(last) > 0 && last[0] < p {
			last = last[1:]
		}
		if len(last) > 0 && last[0] == p && t.heatUp(p) {
			continue
		}
		if n := len(again); n > 0 && p < again[n-1].End+rearmGap && !t.opensBetween(again[n-1].End, p) {
			again[n-1].End = p + 1
		} else {
			again = append(again, PageRun{p, p + 1})
		}
	}
	t.sortHot()
	for _, r := range again {
		if err := t.m.rearm(r); err != nil {
			return err
		}
	}
	return nil
}

// rearmGap is how many pages a walk may pass over for nothing rather than cost another system call.
const rearmGap = 128

// opensBetween says whether a walk over [from, to), a short range, would arm an open page.
func (t *adaptive) opensBetween(from, to uint32) bool {
	if len(t.hot) > 0 {
		for p := from; p < to; p++ {
			if t.isHot.has(p) {
				return true
			}
		}
	}
	return t.nDense > 0 && from < to && (t.dense.has(from>>chunkShift) || t.dense.has((to-1)>>chunkShift))
}

// findPredicted looks at the pages that the last message of this kind wrote, and is done if as many are written as there
// were faults.
func (t *adaptive) findPredicted(found []uint32, faults uint64) (_ []uint32, done bool, err error) {
	last := t.kind.last
	if len(last) == 0 || uint64(len(last)) < faults || !t.few(len(last)) {
		return found, false, nil
	}
	n := len(found)
	var runs []PageRun
	for k := 0; k < len(last); {
		first := last[k]
		for k++; k < len(last) && last[k] < last[k-1]+rearmGap; k++ {
		}
		if runs, err = t.m.scan(runs, PageRun{first, last[k-1] + 1}, queryWritten); err != nil {
			return found, false, err
		}
	}
	for _, r := range runs {
		for p := r.Start; p < r.End; p++ {
			if !t.isOpen(p) {
				found = append(found, p)
			}
		}
	}
	if uint64(len(found)-n) != faults {
		return found[:n], false, nil
	}
	return found, true, t.settle(found)
}

func (t *adaptive) isOpen(p uint32) bool {
	return t.dense.has(p>>chunkShift) || t.isHot.has(p)
}

// findAll walks everything but dense chunks. Hot pages are found, too; where messages of this kind write the same pages
// again and again, those become the new hot ones, else every page is armed.
func (t *adaptive) findAll(found []uint32) ([]uint32, error) {
	t.m.stats.FullScans++
	t.coolAll()
	query := queryRearm
	if t.kind.same {
		query = queryWritten
	}
	var runs []PageRun
	err := t.closedRanges(func(r PageRun) (err error) {
		runs, err = t.m.scan(runs, r, query)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		for p := r.Start; p < r.End; p++ {
			found = append(found, p)
		}
	}
	if t.kind.same {
		err = t.settle(found)
	}
	return found, err
}

// closedRanges calls f with the ranges between dense chunks.
func (t *adaptive) closedRanges(f func(PageRun) error) error {
	end := uint32(t.m.tracked)
	start := uint32(0)
	for w, x := range t.dense {
		for ; x != 0; x &= x - 1 {
			c := uint32(w<<6 + bits.TrailingZeros64(x))
			if err := f(PageRun{start, max(start, min(c<<chunkShift, end))}); err != nil {
				return err
			}
			start = min((c+1)<<chunkShift, end)
		}
	}
	return f(PageRun{start, end})
}
