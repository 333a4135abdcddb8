//go:build cgo

package memstore

import (
	"time"

	"golang.org/x/sys/unix"
)

// watchAhead lets memory be brought in ahead of the guest, while the memory is cold and large enough.
func (t *adaptive) watchAhead() {
	l := t.limits.ahead
	if t.m.tracked < PageCount(4*l.unit) {
		return
	}
	if t.ahead == nil {
		t.ahead = newAhead(t.m, l)
	}
	if t.ahead != nil {
		t.ahead.begin(t.m.tracked)
	}
}

// endAhead ends that; its error is one of bringing in.
func (t *adaptive) endAhead() error {
	if t.ahead == nil {
		return nil
	}
	return t.ahead.end(&t.m.stats)
}

func (t *adaptive) freeAhead() {
	if t.ahead != nil {
		t.ahead.free()
		t.ahead = nil
	}
}

// collectCold gives the pages that are the memory's own. Without a fault there are no new ones.
func (t *adaptive) collectCold(runs []PageRun, faults uint64) ([]PageRun, error) {
	audit := t.m.stats.Messages >= t.audits
	if audit {
		t.audits = t.m.stats.Messages * 4
	}
	if faults > 0 || !t.walked || audit {
		start := time.Now()
		before := countPages(t.own)
		own, err := t.cow.Collect(t.own[:0])
		if err != nil {
			return nil, err
		}
		if faults == 0 && t.walked && countPages(own) != before {
			return nil, errUnaccounted
		}
		t.own, t.walked = own, true
		t.rent += time.Since(start)
	}
	return append(runs, t.own...), nil
}

// rollbackCold puts back the pages that are the memory's own. They stay its own.
func (t *adaptive) rollbackCold(faults uint64) error {
	own, err := t.collectCold(t.m.runs[:0], faults)
	if err != nil {
		return err
	}
	t.m.runs = own
	for _, r := range own {
		for i := r.Start; i < r.End; i++ {
			t.m.put(i)
		}
	}
	t.rent += time.Duration(countPages(own)) * compareWaste
	if t.rent < t.limits.armPage*time.Duration(t.m.tracked) {
		return nil
	}
	return t.heat()
}

// learn is remember for a cold memory, where what changed is known and what was written is not.
func (t *adaptive) learn(changed []PageIndex) {
	t.pages = t.pages[:0]
	for _, i := range changed {
		t.pages = append(t.pages, uint32(i))
	}
	t.remember(t.pages)
}

// heat arms a memory that was cold.
func (t *adaptive) heat() error {
	if err := t.populate(); err != nil {
		return err
	}
	for _, r := range t.own {
		t.owns(r)
	}
	t.warm = true
	t.freeAhead()
	t.audits = t.m.stats.Messages + 2
	return t.watchFrom(0)
}

// populate maps the file pages of chunks that were used at all: once a range is watched the kernel maps one page a fault.
func (t *adaptive) populate() error {
	m := t.m
	for _, e := range m.layout.extents {
		runs, err := populated(m, nil, PageRun{e.start, e.start + e.count})
		if err != nil {
			return err
		}
		var chunks []PageRun
		for _, r := range runs {
			chunks = appendRun(chunks, max(e.start, r.Start&^(chunkPages-1)), min(e.start+e.count, (r.End+chunkPages-1)&^(chunkPages-1)))
		}
		for _, c := range chunks {
			m.stats.Syscalls++
			// Advice only: what is not mapped now is mapped by a fault later.
			_ = madviseRaw(m.addr(c.Start), uintptr(c.pages())<<pageShift, unix.MADV_POPULATE_READ)
		}
	}
	return nil
}
