//go:build cgo

package memstore

import (
	"math/bits"
	"slices"
	"time"
)

// compareWaste is about what it costs to compare a page that did not change.
const compareWaste = 300 * time.Nanosecond

func (t *adaptive) committed(changed []PageIndex, grown PageCount) error {
	m := t.m
	t.earn(changed)
	if t.warm {
		if t.kind != nil && t.sampler == nil {
			t.kind.astray = mostly(int(m.searched.Load()), len(changed))
		}
		if err := t.coolHot(changed); err != nil {
			return err
		}
		t.thinDense(changed)
		return t.watchFrom(grown)
	}
	t.learn(changed)
	if grown < m.tracked { // pages of the new range may be the memory's own already
		t.walked = false
	}
	t.rent += time.Duration(countPages(m.runs)-len(changed)) * compareWaste
	if t.rent < t.limits.armPage*time.Duration(m.tracked) {
		return nil
	}
	return t.heat()
}

func (t *adaptive) watchFrom(from PageCount) error {
	r := PageRun{uint32(from), uint32(t.m.tracked)}
	if r.Start >= r.End {
		return nil
	}
	if err := t.m.watch(r); err != nil {
		return err
	}
	return t.m.arm(r)
}

// remember keeps what the next message of this kind is expected to write.
func (t *adaptive) remember(found []uint32) {
	k := t.kind
	k.count = len(found)
	if len(found) > 0 {
		k.same = 2*common(found, k.last) > max(len(found), len(k.last))
	}
	if k.last = k.last[:0]; len(found)+len(t.hot) <= t.limits.rememberMax {
		k.last = append(k.last, found...)
		if len(t.hot) > 0 {
			k.last = slices.Compact(t.withHot(k.last, true))
		}
	}
	if len(found) == 0 {
		return
	}
	once := newBitset(t.chunks())
	for i := 0; i < len(found); {
		c, n := found[i]>>chunkShift, 0
		for ; i < len(found) && found[i]>>chunkShift == c; i++ {
			n++
		}
		if n >= t.limits.denseOpen {
			once.set(c)
			if k.once.has(c) || n >= 2*t.limits.denseOpen {
				k.dense.set(c)
			}
		}
	}
	k.once = once
}

// mostly says that n of some are more than a quarter.
func mostly(n, of int) bool { return 4*n > of }

// common counts the members of two ascending lists that are in both.
func common(a, b []uint32) (n int) {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			n, i, j = n+1, i+1, j+1
		}
	}
	return n
}

// setDense opens and closes chunks so that those of want are open.
func (t *adaptive) setDense(want bitset) error {
	if slices.Equal(t.dense, want) {
		return nil
	}
	end := uint32(t.m.tracked)
	var open, shut []PageRun
	for w := range want {
		for x := want[w] ^ t.dense[w]; x != 0; x &= x - 1 {
			c := uint32(w<<6 + bits.TrailingZeros64(x))
			r := PageRun{min(c<<chunkShift, end), min((c+1)<<chunkShift, end)}
			if want.has(c) {
				open = appendRun(open, r.Start, r.End)
			} else {
				shut = appendRun(shut, r.Start, r.End)
			}
		}
	}
	for _, r := range open {
		if err := t.m.open(r); err != nil {
			return err
		}
	}
	for _, r := range shut {
		if err := t.m.rearm(r); err != nil {
			return err
		}
	}
	copy(t.dense, want)
	t.nDense = 0
	for _, x := range want {
		t.nDense += bits.OnesCount64(x)
	}
	return nil
}

// thinDense lets chunks that hardly changed be closed before the next message of this kind.
func (t *adaptive) thinDense(changed []PageIndex) {
	if t.nDense == 0 {
		return
	}
	i := 0
	for w, x := range t.dense {
		for ; x != 0; x &= x - 1 {
			c := uint32(w<<6 + bits.TrailingZeros64(x))
			for i < len(changed) && uint32(changed[i])>>chunkShift < c {
				i++
			}
			n := 0
			for ; i < len(changed) && uint32(changed[i])>>chunkShift == c; i++ {
				n++
			}
			if n < t.limits.denseClose {
				t.kind.dense.clear(c)
			}
		}
	}
}

func (t *adaptive) Rollback() error {
	faults, known, err := t.endFaults()
	if err != nil {
		return err
	}
	if !t.warm {
		return t.rollbackCold(faults)
	}
	found, err := t.find(t.pages[:0], faults, known)
	if err != nil {
		return err
	}
	t.pages = found
	t.remember(found)
	t.m.runs = t.join(t.m.runs[:0], found)
	for _, p := range found {
		t.owns(PageRun{p, p + 1})
	}
	var changed []PageIndex
	var again []PageRun
	for _, r := range t.m.runs {
		for i := r.Start; i < r.End; i++ {
			if !t.m.put(i) {
				continue
			}
			changed = append(changed, PageIndex(i))
			if !t.isOpen(i) {
				again = appendRun(again, i, i+1)
			}
		}
	}
	if err := t.rearmAll(again); err != nil {
		return err
	}
	t.thinDense(changed)
	return t.coolHot(changed)
}

func (t *adaptive) advance(pages []PageIndex) error {
	if !t.warm {
		t.walked = false
		return t.cow.advance(pages)
	}
	var again []PageRun
	for _, i := range pages {
		t.owns(PageRun{uint32(i), uint32(i) + 1})
		if t.m.put(uint32(i)); !t.isOpen(uint32(i)) {
			again = appendRun(again, uint32(i), uint32(i)+1)
		}
	}
	for _, r := range again {
		if err := t.m.rearm(r); err != nil {
			return err
		}
	}
	return nil
}

func (t *adaptive) abandon() { t.unlock() }

func (t *adaptive) detach() error {
	t.unlock()
	t.freeAhead()
	t.bring.release()
	if !t.warm {
		return nil
	}
	return t.m.unwatch(PageRun{0, uint32(t.m.tracked)})
}
