//go:build cgo

package memstore

// marking is the tracker that has the kernel mark written pages, and reads the marks by walking all page tables after
// every message. No signals, no fault is served by anybody but the kernel.
type marking struct{ m *Memory }

func (t *marking) Attach() error {
	if _, err := uffd(); err != nil {
		return err
	}
	if t.m.tracked == 0 {
		return nil
	}
	if err := t.m.lay(); err != nil {
		return err
	}
	return t.watchFrom(0)
}

func (t *marking) watchFrom(from PageCount) error {
	r := PageRun{uint32(from), uint32(t.m.tracked)}
	if err := t.m.watch(r); err != nil {
		return err
	}
	return t.m.arm(r)
}

func (t *marking) begin() error { return nil }

func (t *marking) Collect(runs []PageRun) ([]PageRun, error) {
	t.m.stats.FullScans++
	return t.m.scan(runs, PageRun{0, uint32(t.m.tracked)}, queryRearm)
}

func (t *marking) committed(_ []PageIndex, grown PageCount) error {
	if grown == t.m.tracked {
		return nil
	}
	return t.watchFrom(grown)
}

func (t *marking) Rollback() error {
	m := t.m
	m.stats.FullScans++
	runs, err := m.scan(m.runs[:0], PageRun{0, uint32(m.tracked)}, queryWritten)
	if err != nil {
		return err
	}
	m.runs = runs
	return m.restore(runs)
}

func (t *marking) advance(pages []PageIndex) error { return t.m.restore(pageRuns(pages)) }

func (t *marking) abandon() {}

func (t *marking) detach() error {
	if t.m.tracked == 0 {
		return nil
	}
	return t.m.unwatch(PageRun{0, uint32(t.m.tracked)})
}

// restore puts the version's bytes back into armed memory and arms the pages again.
func (m *Memory) restore(runs []PageRun) error {
	for _, r := range runs {
		for i := r.Start; i < r.End; i++ {
			m.put(i)
		}
		if err := m.rearm(r); err != nil {
			return err
		}
	}
	return nil
}

// pageRuns joins ascending pages.
func pageRuns(pages []PageIndex) (runs []PageRun) {
	for _, i := range pages {
		runs = appendRun(runs, uint32(i), uint32(i)+1)
	}
	return runs
}
