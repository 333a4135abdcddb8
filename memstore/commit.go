//go:build cgo

package memstore

import (
	"bytes"
	"slices"

	"lockstep/pagetrie"
)

func pageEqual(a, b []byte) bool { return bytes.Equal(a, b) }

// Commit is the outcome of a message that is kept.
type Commit struct {
	// Version is the memory's new value.
	Version Version
	// Changed are the pages whose bytes differ from the version before, ascending; pages that became zero are among them.
	Changed []PageIndex
	// Handles are the new contents of Changed, in the same order; 0 for a page that became zero. Store.HashAll takes them.
	Handles []pagetrie.Value
}

// parallelGrain is how many pages one worker takes at a time.
const parallelGrain = 1024

// Commit ends the running message and keeps its effects. size is the memory's size now. It compares the tracker's
// candidates with the old version, copies every page that differs into the Store once and merges them into the trie. The
// replaced pages are retired: Pins taken before keep them.
func (m *Memory) Commit(size PageCount) (Commit, error) {
	m.hold()
	defer m.letGo()
	if err := m.want(running, "Commit"); err != nil {
		return Commit{}, err
	}
	if m.query {
		panic("memstore: Commit of a query's memory")
	}
	if err := m.checkSize(size); err != nil {
		return Commit{}, m.fail("commit", err)
	}
	if err := m.prove(); err != nil {
		return Commit{}, m.fail("commit", err)
	}
	c, err := m.commit(size)
	if err != nil {
		return Commit{}, m.fail("commit", err)
	}
	m.state = idle
	return c, nil
}

func (m *Memory) commit(size PageCount) (Commit, error) {
	t0 := m.clock()
	runs, err := m.tracker.Collect(m.runs[:0])
	if err != nil {
		return Commit{}, err
	}
	runs = clip(runs, uint32(m.tracked))
	if size > m.tracked {
		if runs, err = populated(m, runs, PageRun{uint32(m.tracked), uint32(size)}); err != nil {
			return Commit{}, err
		}
	}
	m.runs = runs
	t1 := m.clock()
	if len(runs) == 0 && size == m.size && size == m.version.Size {
		m.stats.Find += t1 - t0
		return Commit{Version: m.version}, m.tracker.committed(nil, m.tracked)
	}
	changed := m.compare(runs)
	t2 := m.clock()
	handles, err := m.save(changed)
	if err != nil {
		return Commit{}, err
	}
	replaced := m.merge(changed, handles)
	m.version.Size = size
	m.store.retire(replaced)
	t3 := m.clock()
	old := m.tracked
	m.size, m.tracked = size, size
	if err := m.tracker.committed(changed, old); err != nil {
		return Commit{}, err
	}
	m.stats.Changed += uint64(len(changed))
	m.stats.Find += t1 - t0 + m.clock() - t3
	m.stats.Compare += t2 - t1
	m.stats.Save += t3 - t2
	return Commit{Version: m.version, Changed: changed, Handles: handles}, nil
}

// clip cuts ascending runs at end.
func clip(runs []PageRun, end uint32) []PageRun {
	for len(runs) > 0 && runs[len(runs)-1].Start >= end {
		runs = runs[:len(runs)-1]
	}
	if n := len(runs); n > 0 && runs[n-1].End > end {
		runs[n-1].End = end
	}
	return runs
}

// compare gives the pages of runs that differ from the version, ascending.
func (m *Memory) compare(runs []PageRun) []PageIndex {
	n := countPages(runs)
	m.stats.Candidate += uint64(n)
	m.stats.Compared += uint64(n)
	m.searched.Store(0)
	if n < 2*parallelGrain {
		return m.compareRuns(runs, nil)
	}
	m.ownLines()
	for _, r := range runs { // workers only read the flat table
		for c := r.Start >> chunkShift; c <= (r.End-1)>>chunkShift; c++ {
			if !m.filled[c] {
				m.fill(c)
			}
		}
	}
	parts := splitRuns(runs, parallelGrain)
	found := make([][]PageIndex, len(parts))
	parallel(len(parts), 1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			found[i] = m.compareRuns(parts[i], nil)
		}
	})
	return slices.Concat(found...)
}

func (m *Memory) compareRuns(runs []PageRun, changed []PageIndex) []PageIndex {
	var b batch
	for _, r := range runs {
		for i := r.Start; i < r.End; i++ {
			b.page[b.n] = i
			if b.n++; b.n == compareBatch {
				changed = m.compareBatched(&b, changed)
			}
		}
	}
	changed = m.compareBatched(&b, changed)
	m.searched.Add(int64(b.searched))
	return changed
}

// splitRuns cuts runs into parts of about the given number of pages, in order.
func splitRuns(runs []PageRun, pages int) [][]PageRun {
	var parts [][]PageRun
	var part []PageRun
	room := pages
	for _, r := range runs {
		for r.Start < r.End {
			cut := PageRun{r.Start, min(r.End, r.Start+uint32(room))}
			part = append(part, cut)
			r.Start = cut.End
			if room -= cut.pages(); room == 0 {
				parts, part, room = append(parts, part), nil, pages
			}
		}
	}
	if len(part) > 0 {
		parts = append(parts, part)
	}
	return parts
}

// save copies the changed pages into the Store and names them; a zero page gets no handle.
func (m *Memory) save(changed []PageIndex) ([]pagetrie.Value, error) {
	if len(changed) == 0 {
		return nil, nil
	}
	slots := make([]uint32, len(changed))
	if err := m.store.allocate(slots); err != nil {
		return nil, err
	}
	handles := make([]pagetrie.Value, len(changed))
	parallel(len(changed), parallelGrain, func(lo, hi int) {
		for k := lo; k < hi; k++ {
			if page := m.page(uint32(changed[k])); !isZero(page) {
				handles[k] = m.store.fill(slots[k], page)
			}
		}
	})
	var unused []uint32
	for k, h := range handles {
		if h == 0 {
			unused = append(unused, slots[k])
		}
	}
	if unused != nil {
		m.store.release(unused)
	}
	return handles, nil
}

// merge makes the next version's map and gives the handles that it replaced.
func (m *Memory) merge(changed []PageIndex, handles []pagetrie.Value) []pagetrie.Value {
	if len(changed) == 0 {
		return nil
	}
	var replaced []pagetrie.Value
	for _, i := range changed { // before the first setHandle: a lookup may fill a chunk of the table from the old version
		if old := m.handle(uint32(i)); old != 0 {
			replaced = append(replaced, old)
		}
	}
	b := m.version.Pages.Edit()
	for k, i := range changed {
		m.setHandle(i, handles[k], handles[k] != 0)
		if handles[k] != 0 {
			b.Insert(uint64(i), handles[k])
		} else {
			b.Remove(uint64(i))
		}
	}
	m.version.Pages = b.Map()
	return replaced
}

// comparing is the tracker that does not track.
type comparing struct{ m *Memory }

func (t *comparing) Attach() error {
	if t.m.tracked == 0 {
		return nil
	}
	return t.m.lay()
}
func (t *comparing) begin() error { return nil }
func (t *comparing) Collect(runs []PageRun) ([]PageRun, error) {
	return appendRun(runs, 0, uint32(t.m.tracked)), nil
}
func (t *comparing) committed([]PageIndex, PageCount) error { return nil }
func (t *comparing) Rollback() error {
	for i := range uint32(t.m.tracked) {
		t.m.put(i)
	}
	return nil
}
func (t *comparing) advance(pages []PageIndex) error {
	for _, i := range pages {
		t.m.put(uint32(i))
	}
	return nil
}
func (t *comparing) abandon() {}

func (t *comparing) detach() error { return nil }

// prove proves every page that the message can have read. It comes before the message's end.
func (m *Memory) prove() error {
	if m.store.unproven.Load() == 0 || m.tracked == 0 {
		return nil
	}
	if m.proven == nil {
		m.proven = newBitset(int(m.reserved))
	}
	runs, err := populated(m, nil, PageRun{0, uint32(m.tracked)})
	if err != nil {
		return err
	}
	for _, r := range runs {
		for i := r.Start; i < r.End; i++ {
			if m.proven.has(i) {
				continue
			}
			if h := m.handle(i); h != 0 {
				if err := m.store.prove(h); err != nil {
					return err
				}
			}
			m.proven.set(i)
		}
	}
	return nil
}
