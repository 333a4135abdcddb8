package snapshot

import (
	"fmt"
	"slices"
	"sort"

	"lockstep/pagetrie"
)

// storedMap is a memory as the source of a stored map: of what the checkpoint was opened with only the runs of pages are in
// memory, and digests and hashes are read when a page of their region is asked for.
type storedMap struct {
	memory *MemoryFile
	layers []handles // ascending by first handle
	first  []pagetrie.Value
}

// handles are those of a layer's pages.
type handles struct {
	first pagetrie.Value
	file  *PageFile
}

var (
	_ pagetrie.Source      = (*storedMap)(nil)
	_ pagetrie.BatchHasher = (*storedMap)(nil)
)

// Stored returns the memory as a map from page to handle, when the page at position i of layer l has handle first[l]+i: the
// handles that memstore gives for mapped page files. Nothing is read but the root. A branch of the map is read when a key
// below it matters, and is checked against the digest that the branch above has for it, the topmost one against the memory's
// root in the manifest. What can't be read or is damaged ends the operation on the map with a panic of
// *pagetrie.Unreadable, which matches IsDamage in the second case; the checkpoint has been set aside by then.
//
// The map, and the Hash methods of the layers, use the checkpoint's files: Hold it as long as either is in use.
func (m *MemoryFile) Stored(first []pagetrie.Value) (pagetrie.Map, error) {
	if len(m.Layers) == 0 {
		return pagetrie.Map{}, nil
	}
	s := &storedMap{memory: m, first: first}
	for i, l := range m.Layers {
		s.layers = append(s.layers, handles{first[i], l})
	}
	slices.SortFunc(s.layers, func(a, b handles) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	top, err := m.summary(pagetrie.RegionOf(0, pagetrie.TopLevel))
	if err != nil {
		return pagetrie.Map{}, m.in.blamed(err)
	}
	var few []pagetrie.Entry
	if !top.Branch {
		few = s.entries(top.Region)
	}
	pages, err := pagetrie.Stored(s, top, few)
	if err != nil {
		return pagetrie.Map{}, s.Damaged(top.Region)
	}
	return pages, nil
}

// Check verifies what Stored reads at once: the root.
func (m *MemoryFile) Check(h Hashing) (err error) {
	defer pagetrie.CatchUnreadable(&err)
	hasher := m.hasher()
	pages, err := m.Stored(hasher.first)
	if err != nil {
		return err
	}
	return m.CheckRoot(m.rootOf(pages.Root(hasher), h))
}

// CheckRoot says that the memory is damaged if root, computed by the state machine from what Stored gave, is not its own.
func (m *MemoryFile) CheckRoot(root pagetrie.Hash) error {
	if root == m.Root {
		return nil
	}
	return m.in.blamed(m.damage(pagetrie.RegionOf(0, pagetrie.TopLevel), fmt.Sprintf("they have root %v, the manifest says %v", root, m.Root)))
}

// DamagedPage is the error for a page of a layer, by position, whose bytes have not its hash. The checkpoint is set aside.
func (m *MemoryFile) DamagedPage(l *PageFile, position uint64) error {
	return m.in.blamed(&Damage{File: l.path, Offset: l.offset(position), Fault: fmt.Sprintf("page %d has not the hash that its index says", l.PageIndex(position))})
}

// summary is what the memory has in a region, by the record of the layer that decides.
func (m *MemoryFile) summary(r pagetrie.Region) (pagetrie.Summary, error) {
	if l := m.deciding(r); l != nil {
		return l.record(r)
	}
	return pagetrie.Summary{Region: r}, nil
}

// Part implements pagetrie.Source.
func (s *storedMap) Part(r pagetrie.Region) (pagetrie.Part, error) {
	if r.Level == treeLeastLevel {
		return pagetrie.Part{Entries: s.entries(r)}, nil
	}
	var p pagetrie.Part
	for first := r.First; first <= r.Last(); {
		below := pagetrie.RegionOf(first, r.Level-1)
		sum, err := s.memory.summary(below)
		switch {
		case err != nil:
			return p, s.memory.in.blamed(err)
		case sum.Branch:
			p.Kids = append(p.Kids, sum)
		case sum.Count > 0:
			p.Entries = append(p.Entries, s.entries(below)...)
		}
		first = below.Last() + 1
	}
	return p, nil
}

// entries are those of a region.
func (s *storedMap) entries(r pagetrie.Region) []pagetrie.Entry {
	all := s.memory.extents
	var entries []pagetrie.Entry
	for i := sort.Search(len(all), func(i int) bool { return all[i].end() > r.First }); i < len(all) && all[i].first <= r.Last(); i++ {
		e := all[i].part(max(all[i].first, r.First), min(all[i].end(), r.Last()+1))
		for at := range e.count {
			entries = append(entries, pagetrie.Entry{Key: e.first + at, Value: s.first[e.layer] + pagetrie.Value(e.position+at)})
		}
	}
	return entries
}

// HashValue implements pagetrie.Hasher.
func (s *storedMap) HashValue(v pagetrie.Value) pagetrie.Hash {
	i := sort.Search(len(s.layers), func(i int) bool { return s.layers[i].first > v }) - 1
	return s.layers[i].file.Hash(uint64(v - s.layers[i].first))
}

// HashValues implements pagetrie.BatchHasher.
func (s *storedMap) HashValues(values []pagetrie.Value, hashes []pagetrie.Hash) {
	for len(values) > 0 {
		i := sort.Search(len(s.layers), func(i int) bool { return s.layers[i].first > values[0] }) - 1
		n := 1
		for n < len(values) && values[n] == values[0]+pagetrie.Value(n) { // the layers' handles have gaps between them
			n++
		}
		s.layers[i].file.hashesFrom(uint64(values[0]-s.layers[i].first), hashes[:n])
		values, hashes = values[n:], hashes[n:]
	}
}

// Damaged implements pagetrie.Source.
func (s *storedMap) Damaged(r pagetrie.Region) error {
	return s.memory.in.blamed(s.memory.damage(r, "they don't have the digest that is known of them"))
}

// damage finds the file at fault when a region's pages are not the ones that they should be.
func (m *MemoryFile) damage(r pagetrie.Region, fault string) error {
	for _, l := range m.Layers {
		again := &PageFile{Entry: l.Entry, path: l.path, file: l.file}
		if err := again.readIndex(); err != nil {
			return err
		}
		if err := l.Entry.Tree.File.verify(l.tree.file, l.tree.path); err != nil {
			return err
		}
	}
	return &Damage{File: join(m.in.Dir, manifestName), Fault: fmt.Sprintf("memory %q, pages %d to %d: %s", m.Name, r.First, r.Last(), fault)}
}

// blamed tells the store of a checkpoint, if it has one, what was found in it.
func (c *Checkpoint) blamed(err error) error {
	if IsDamage(err) {
		c.damaged.Store(true)
	}
	if c.blame == nil || err == nil {
		return err
	}
	return c.blame(err)
}

// Extents yields the runs of pages that lie in a row in a layer, ascending: the first page, its place, and how many.
// Cost: runs, not pages.
func (m *MemoryFile) Extents(yield func(page uint64, at PageRef, count uint64) bool) {
	for _, e := range m.extents {
		if !yield(e.first, PageRef{e.layer, e.position}, e.count) {
			return
		}
	}
}
