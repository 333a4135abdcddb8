package snapshot

import "fmt"

// MergeMode says who merges overlays.
type MergeMode int

const (
	// MergeInBackground merges on a goroutine that the Close of a local checkpoint starts and that ends with the work.
	MergeInBackground MergeMode = iota
	// MergeWhenAsked leaves it to calls of Store.Merge.
	MergeWhenAsked
)

// The size pyramid. Overlays stay until they are overlayPercent of the base together, or too many files; figures for other values
// are in docs/adr/0005.
const (
	// overlayPercent keeps the old base, its overlays and the new base, which are on disk together while a base is merged, within
	// 2.5 states with their indexes.
	overlayPercent = 45
	// MaxOverlays is the number of overlays of a memory at which some are merged.
	MaxOverlays = 56
	// mergeRun is the least number of newest overlays that are merged into one because there are too many.
	mergeRun = 32
)

// MergeReport says what a merge did.
type MergeReport struct {
	ID       string // of the checkpoint that has the merged files in place of the old ones; empty: there was nothing to merge
	Memories int    // with merged files
	Files    int    // merged away
	Pages    uint64 // written
}

// planMerge says how many of the newest layers of a memory to merge into one: none, some, or all. Sizes are pages named,
// oldest layer first.
func planMerge(sizes []uint64) int {
	n := len(sizes)
	if n < 2 {
		return 0
	}
	base, newest, overlays := sizes[0], sizes[n-1], uint64(0)
	for _, s := range sizes[1:] {
		overlays += s
	}
	// Room for one more overlay of the same size is kept, unless a base would then be written for too few changes.
	if overlays*100 > base*overlayPercent || overlays*3 >= base && (overlays+newest)*100 > base*overlayPercent {
		return n
	}
	if n-1 < MaxOverlays {
		return 0
	}
	run, merged := 0, uint64(0)
	for run < n-1 {
		next := sizes[n-1-run]
		if run >= mergeRun && next*mergeRun > merged*3 {
			break
		}
		merged += next
		run++
	}
	return run
}

func (m *MemoryFile) planMerge() int {
	var sizes []uint64
	for _, l := range m.Layers {
		sizes = append(sizes, l.index.pages+l.index.zeros)
	}
	return planMerge(sizes)
}

// Merge does the merging that the newest checkpoint needs, if any: it publishes the same state with fewer files in place of
// it. Every page that is merged is verified on the way. It may run beside everything else; only local checkpoints wait for it.
func (s *Store) Merge() (MergeReport, error) { return beside(s.merge) }

func (s *Store) merge() (MergeReport, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	c := s.base()
	defer s.retainAfter(c)
	if c == nil || !c.needsMerge() {
		return MergeReport{}, nil
	}
	k, err := s.newSink(Manifest{Index: c.Index, Term: c.Term, ConfigurationIndex: c.ConfigurationIndex, Configuration: c.Configuration})
	if err != nil {
		return MergeReport{}, fmt.Errorf("merge: %w", err)
	}
	r, err := k.merge(c)
	if err != nil {
		_ = k.fail(s.blameBase(c, err))
	}
	k.written = true
	k.merged = true
	return r, k.Close()
}

// retainAfter ends the use of the base of a merge and removes it if it was replaced.
func (s *Store) retainAfter(c *Checkpoint) {
	s.unpin(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.retainLocked() // what stays is tried again with the next checkpoint
}

// blameBase sets the base aside if it is the one that is damaged.
func (s *Store) blameBase(c *Checkpoint, err error) error {
	if IsDamage(err) {
		return s.blame(c.ID, err)
	}
	return err
}

func (c *Checkpoint) needsMerge() bool {
	for _, m := range c.Memories {
		if m.planMerge() > 0 {
			return true
		}
	}
	return false
}

// merge writes the folder.
func (k *Sink) merge(c *Checkpoint) (MergeReport, error) {
	r := MergeReport{ID: k.ID()}
	m := c.Manifest
	m.Memories = nil
	if err := k.writeFile(tableName, c.Table); err != nil {
		return r, err
	}
	for i, mem := range c.Memories {
		e := c.Manifest.Memories[i]
		run := mem.planMerge()
		kept := mem.Layers[:len(mem.Layers)-run]
		var err error
		if e.Layers, err = k.linkLayers(c.Dir, kept); err != nil {
			return r, err
		}
		if run > 0 {
			merged, err := k.mergeLayers(mem, len(kept))
			if err != nil {
				return r, fmt.Errorf("memory %q: %w", mem.Name, err)
			}
			r.Memories, r.Files = r.Memories+1, r.Files+run
			for _, f := range merged {
				r.Pages += f.Pages
			}
			e.Layers = append(e.Layers, merged...)
		}
		m.Memories = append(m.Memories, e)
	}
	return r, k.writeManifest(&m)
}

// mergeLayers writes the layers from a number on as one file, or as none if the memory is zero all over.
func (k *Sink) mergeLayers(mem *MemoryFile, from int) ([]FileEntry, error) {
	var indexes []*pageIndex
	for _, l := range mem.Layers[from:] {
		indexes = append(indexes, l.index)
	}
	extents := overlay(indexes, from)
	if from == 0 {
		extents = stored(extents)
	}
	if len(extents) == 0 {
		return nil, nil
	}
	w, err := newPageFileWriter(k.store.fs, k.temp, unfinishedName)
	if err != nil {
		return nil, err
	}
	pages, _ := flatSize(stored(extents))
	c := newPageCopy(mem, w, k.store.config.Hashing, pages)
	for _, e := range extents {
		if err := c.extent(e); err != nil {
			return nil, abort(w, err)
		}
	}
	if err := c.flush(); err != nil {
		return nil, abort(w, err)
	}
	f, err := w.finish(k.raft.Index)
	return []FileEntry{f}, err
}

// mergeInBackground starts the goroutine that merges; one that runs looks again when it is through.
func (s *Store) mergeInBackground() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.config.Merge != MergeInBackground {
		return
	}
	if s.wantMerge = true; s.merging {
		return
	}
	s.merging = true
	s.merges.Go(func() {
		for s.mergeWanted() {
			if r, err := s.Merge(); (err != nil || r.ID != "") && s.config.OnMerge != nil {
				s.config.OnMerge(r, err)
			}
		}
	})
}

// mergeWanted reports whether a checkpoint was published since it was asked last; no more merging is done if not.
func (s *Store) mergeWanted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.merging, s.wantMerge = s.wantMerge, false
	return s.merging
}

// Close waits for the merge in the background, if any. The store must not be used after it.
func (s *Store) Close() error {
	s.merges.Wait()
	return nil
}
