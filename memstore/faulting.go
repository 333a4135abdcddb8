//go:build cgo

package memstore

import (
	"slices"

	"golang.org/x/sys/unix"
)

// faultingOptions are what the signal-driven trackers differ in.
type faultingOptions struct {
	mapFiles     bool // map checkpoint files under the memory instead of copying their pages
	readWriteBit bool // tell reads from writes by the fault itself, and leave queries untracked
	ahead        bool // prefetch by the run of pages beside the fault
	whole        bool // serve whole 64 KiB Wasm pages
}

// faulting is the family of trackers that learn of every access by a signal: each message starts with a fresh mapping
// that allows nothing; the handler brings a page in at the first read and opens it at the first write.
type faulting struct {
	m       *Memory
	options faultingOptions
	region  *region
	fresh   bool // the mapping has no touched pages
}

func newFaulting(m *Memory, o faultingOptions) Mechanism { return &faulting{m: m, options: o} }

func (t *faulting) Attach() (err error) {
	m := t.m
	for k, h := range m.version.Pages.All() {
		m.handles[k] = h
	}
	for c := range m.filled { // the handler reads the table, so all of it must be there
		m.filled[c] = true
	}
	if t.region, err = newRegion(m.base, m.store.arena.base, m.handles, t.options, m.query); err != nil {
		return err
	}
	if t.options.mapFiles {
		for _, e := range m.layout.extents {
			for i := e.start; i < e.start+e.count; i++ {
				t.place(i)
			}
		}
	}
	if m.tracked == 0 {
		return nil
	}
	return t.reset()
}

// reset lays a fresh mapping that allows no access.
func (t *faulting) reset() error {
	if t.fresh {
		return nil
	}
	if err := t.m.mapExtents(unix.PROT_NONE, t.options.mapFiles); err != nil {
		return err
	}
	t.region.forget()
	t.fresh = true
	return t.region.register(uintptr(t.m.tracked.Bytes()))
}

// place records whether the mapping under a page has the version's bytes.
func (t *faulting) place(i uint32) {
	e, ok := t.m.layout.find(i)
	if !ok || !t.options.mapFiles {
		return
	}
	t.region.state[i] &^= stateInPlace | stateOverlaid
	if t.m.handles[i] == e.handle(i) {
		t.region.state[i] |= stateInPlace
	} else {
		t.region.state[i] |= stateOverlaid
	}
}

func (t *faulting) begin() error {
	if t.m.tracked == 0 {
		return nil
	}
	t.fresh = t.fresh && len(t.region.marked()) == 0
	return t.reset()
}

func (t *faulting) Collect(runs []PageRun) ([]PageRun, error) {
	t.region.count(&t.m.stats)
	if err := t.region.err(); err != nil {
		return nil, err
	}
	var dirty []uint32
	for _, p := range t.region.marked() {
		if t.region.state[p]&stateDirty != 0 {
			dirty = append(dirty, p)
		}
	}
	slices.Sort(dirty)
	for _, p := range dirty {
		runs = appendRun(runs, p, p+1)
	}
	return runs, nil
}

func (t *faulting) committed(changed []PageIndex, grown PageCount) error {
	for _, i := range changed {
		t.place(uint32(i))
	}
	t.fresh = t.fresh && grown == t.m.tracked
	return nil
}

func (t *faulting) Rollback() error {
	t.region.count(&t.m.stats)
	if err := t.region.err(); err != nil {
		return err
	}
	t.fresh = false
	return t.reset()
}

func (t *faulting) advance(pages []PageIndex) error {
	for _, i := range pages {
		t.place(uint32(i))
	}
	t.fresh = false
	return t.reset()
}

func (t *faulting) abandon() {}

func (t *faulting) detach() error {
	if t.region != nil {
		t.region.count(&t.m.stats)
		t.region.free()
		t.region = nil
	}
	return nil
}
