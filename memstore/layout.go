//go:build cgo

package memstore

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"

	"lockstep/pagetrie"
)

// layout is how a version is laid over a memory: runs of pages that lie in a row in a checkpoint file are mapped from it,
// the others are copied. It is immutable, and shared by the memories of one canister.
type layout struct {
	pages   pagetrie.Map // what it was made for
	extents []extent
	copies  []copied // pages of that map outside all extents, ascending
}

// copied is a page that is copied into the memory.
type copied struct {
	page   uint32
	handle pagetrie.Value
}

// extent is a run of pages that a checkpoint file has in a row.
type extent struct {
	start, count uint32
	first        pagetrie.Value // handle of page start
	file         *backing
}

func (e extent) fileOffset() int64 {
	return e.file.off + int64(slotOf(e.first)-e.file.firstSlot())*PageSize
}

const (
	minExtent  = 16   // pages; shorter runs are cheaper to copy than to map
	maxExtents = 2048 // mappings that one memory may cost, far below vm.max_map_count
)

// newLayout finds how to lay m.version. With like it costs as much as the two versions differ.
func newLayout(m *Memory, like *Memory) *layout {
	if like != nil && like.store == m.store && like.layout != nil {
		l := like.layout
		l.retain(m.store)
		return l
	}
	l := &layout{pages: m.version.Pages}
	var cur extent
	for r := range m.version.eachRow {
		start, count := uint32(r.Start), uint32(r.Count)
		if cur.count > 0 && start == cur.start+cur.count && r.First == cur.first+pagetrie.Value(cur.count) &&
			slotOf(r.First)-cur.file.firstSlot() < uint32(cur.file.pages) {
			cur.count += count
			continue
		}
		l.add(cur)
		cur = extent{start, count, r.First, m.store.fileOf(r.First)}
		if cur.file == nil {
			l.copy(cur)
			cur = extent{}
		}
	}
	l.add(cur)
	l.bound()
	l.retain(m.store)
	return l
}

func (l *layout) add(e extent) {
	if e.count >= minExtent {
		l.extents = append(l.extents, e)
		return
	}
	l.copy(e)
}

func (l *layout) copy(e extent) {
	for i := range e.count {
		l.copies = append(l.copies, copied{e.start + i, e.first + pagetrie.Value(i)})
	}
}

// bound turns the shortest extents into copies until there are few enough.
func (l *layout) bound() {
	for least := uint32(2 * minExtent); len(l.extents) > maxExtents; least *= 2 {
		l.extents = slices.DeleteFunc(l.extents, func(e extent) bool {
			if e.count < least {
				l.copy(e)
			}
			return e.count < least
		})
	}
	slices.SortFunc(l.copies, func(a, b copied) int { return cmp.Compare(a.page, b.page) })
}

func (l *layout) retain(s *Store) {
	for _, e := range l.extents {
		s.hold(e.file)
	}
}

func (l *layout) release(s *Store) {
	if l == nil {
		return
	}
	for _, e := range l.extents {
		s.unhold(e.file)
	}
}

// mapExtents maps zeroes and the layout's files over the memory, with the given protection.
func (m *Memory) mapExtents(prot int, files bool) error {
	m.stats.Syscalls++
	if err := mmapFixed(m.base, uintptr(m.size.Bytes()), prot, unix.MAP_PRIVATE, -1, 0); err != nil {
		return err
	}
	if !files {
		return nil
	}
	for _, e := range m.layout.extents {
		m.stats.Syscalls++
		length := uintptr(e.count) << pageShift
		if err := mmapFixed(m.addr(e.start), length, prot, unix.MAP_PRIVATE, int(e.file.file.Fd()), e.fileOffset()); err != nil {
			return err
		}
	}
	return nil
}

// lay puts m.version into the memory, readable and writable.
func (m *Memory) lay() error {
	if err := m.mapExtents(unix.PROT_READ|unix.PROT_WRITE, true); err != nil {
		return err
	}
	newest := m.layout.pages == m.version.Pages // then the layout's handles are live
	for _, c := range m.layout.copies {
		if newest { // nor is the map looked at when the page is compared, as it will be
			m.handles[c.page] = c.handle
			m.putBytes(c.page, m.store.Page(c.handle))
		} else {
			m.put(c.page)
		}
	}
	for c := range pagetrie.Diff(m.layout.pages, m.version.Pages) {
		m.put(uint32(c.Key))
	}
	return nil
}

// put copies a page of m.version into the memory where it differs, and says whether it did.
func (m *Memory) put(i uint32) bool {
	if PageCount(i) >= m.size {
		return false
	}
	return m.putBytes(i, m.old(i))
}

// putBytes copies old, the bytes of a page of m.version, into the memory where it differs.
func (m *Memory) putBytes(i uint32, old []byte) bool {
	live := m.page(i)
	if pageEqual(live, old) {
		return false
	}
	copy(live, old)
	m.stats.Copied++
	return true
}

// handle is what the file has at page i.
func (e extent) handle(i uint32) pagetrie.Value { return e.first + pagetrie.Value(i-e.start) }

// find is the extent that page i lies in.
func (l *layout) find(i uint32) (extent, bool) {
	k, found := slices.BinarySearchFunc(l.extents, i, func(e extent, i uint32) int {
		switch {
		case i < e.start:
			return 1
		case i >= e.start+e.count:
			return -1
		}
		return 0
	})
	if !found {
		return extent{}, false
	}
	return l.extents[k], true
}
