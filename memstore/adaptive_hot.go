//go:build cgo

package memstore

import "slices"

// heatUp makes a page hot, out of order; sortHot follows. It refuses when there are too many.
func (t *adaptive) heatUp(p uint32) bool {
	if t.isHot.has(p) {
		return true
	}
	if len(t.hot) >= t.limits.hotPages {
		return false
	}
	t.hot = append(t.hot, hotPage{page: p})
	t.isHot.set(p)
	t.hotKind = t.m.kind
	return true
}

func (t *adaptive) sortHot() {
	slices.SortFunc(t.hot, func(a, b hotPage) int { return int(a.page) - int(b.page) })
}

// withHot merges the hot pages into an ascending list, or only those that changed lately; pages may be in it twice.
func (t *adaptive) withHot(pages []uint32, lately bool) []uint32 {
	for _, h := range t.hot {
		if !lately || h.idle == 0 {
			pages = append(pages, h.page)
		}
	}
	slices.Sort(pages)
	return pages
}

// coolAll forgets which pages are hot. The caller arms them, or knows that they are.
func (t *adaptive) coolAll() {
	for _, h := range t.hot {
		t.isHot.clear(h.page)
	}
	t.hot = t.hot[:0]
}

// closeHot arms all hot pages again.
func (t *adaptive) closeHot() error {
	var again []PageRun
	for _, h := range t.hot {
		if t.dense.has(h.page >> chunkShift) {
			continue
		}
		n := len(again)
		if n > 0 && h.page < again[n-1].End+rearmGap && !t.denseBetween(again[n-1].End, h.page) {
			again[n-1].End = h.page + 1
		} else {
			again = append(again, PageRun{h.page, h.page + 1})
		}
	}
	t.coolAll()
	return t.rearmAll(again)
}

// denseBetween says whether a short range touches a dense chunk.
func (t *adaptive) denseBetween(from, to uint32) bool {
	return t.nDense > 0 && (t.dense.has(from>>chunkShift) || t.dense.has(to>>chunkShift))
}

func (t *adaptive) rearmAll(runs []PageRun) error {
	for _, r := range runs {
		if err := t.m.rearm(r); err != nil {
			return err
		}
	}
	return nil
}

// coolHot arms hot pages again that have not changed for a while; all of them where most have not.
func (t *adaptive) coolHot(changed []PageIndex) error {
	stale, unchanged := 0, 0
	for k := range t.hot {
		h := &t.hot[k]
		for len(changed) > 0 && changed[0] < PageIndex(h.page) {
			changed = changed[1:]
		}
		if len(changed) > 0 && changed[0] == PageIndex(h.page) {
			h.idle = 0
		} else {
			unchanged++
			if h.idle++; h.idle >= t.limits.hotIdle {
				stale++
			}
		}
	}
	if stale > t.limits.hotShared || unchanged > max(t.limits.hotShared, len(t.hot)/2) {
		return t.closeHot()
	}
	if stale == 0 {
		return nil
	}
	keep := t.hot[:0]
	for _, h := range t.hot {
		if h.idle < t.limits.hotIdle {
			keep = append(keep, h)
			continue
		}
		t.isHot.clear(h.page)
		if !t.dense.has(h.page >> chunkShift) {
			if err := t.m.rearm(PageRun{h.page, h.page + 1}); err != nil {
				return err
			}
		}
	}
	t.hot = keep
	return nil
}
