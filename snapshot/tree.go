package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"sort"

	"lockstep/pagetrie"
)

// A tree file has, for layers of memories, the digests with which a memory's trie is restored without being built: a record
// for every region of pagetrie of the levels 2 to 6 that a layer names pages of. A memory's tree is read like its pages: for
// a region, the newest layer that names pages of it decides. doc.go has the table.
const (
	treeMagic       = "LSTREE\x00\x01"
	treeHeadBytes   = 16
	treeRecordBytes = 48
	treeSumAt       = 12

	treeLeastLevel = 2
	treeContext    = "lockstep tree file\x00"
)

// appendRecord appends the record of a summary.
func appendRecord(b []byte, s pagetrie.Summary) []byte {
	le, at := binary.LittleEndian, len(b)
	kind, base := byte(0), s.First
	if s.Branch {
		kind, base = 1, s.Base
	}
	b = le.AppendUint32(b, uint32(base))
	b = le.AppendUint32(b, uint32(s.Count))
	b = append(b, s.Level, s.Shift, kind, 0, 0, 0, 0, 0)
	b = append(b, s.Digest[:]...)
	le.PutUint32(b[at+treeSumAt:], recordSum(b[at:]))
	return b
}

// recordSum is the checksum of a record: of all its bytes but its own.
func recordSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:treeSumAt], castagnoli), castagnoli, b[treeSumAt+4:treeRecordBytes])
}

func decodeRecord(b []byte) (s pagetrie.Summary, ok bool) {
	le := binary.LittleEndian
	base, level := uint64(le.Uint32(b)), b[8]
	if le.Uint32(b[treeSumAt:]) != recordSum(b) || level < treeLeastLevel || level > pagetrie.TopLevel || b[10] > 1 || b[11] != 0 {
		return s, false
	}
	s = pagetrie.Summary{Region: pagetrie.RegionOf(base, level), Count: int(le.Uint32(b[4:]))}
	if b[10] == 1 {
		s.Branch, s.Base, s.Shift = true, base, b[9]
		copy(s.Digest[:], b[16:])
	}
	return s, true
}

// before orders records: higher levels first, then by region.
func before(a, b pagetrie.Region) bool {
	return a.Level > b.Level || a.Level == b.Level && a.First < b.First
}

// regions are those that the index names pages of, in the order of records.
func (x *pageIndex) regions() []pagetrie.Region {
	var all []pagetrie.Region
	for level := uint8(pagetrie.TopLevel); level >= treeLeastLevel; level-- {
		next := uint64(0) // pages below are dealt with
		for _, r := range x.ranges {
			for page := max(r.first, next); page < r.end(); page = next {
				region := pagetrie.RegionOf(page, level)
				all = append(all, region)
				next = region.Last() + 1
			}
		}
	}
	return all
}

// names reports whether the index names a page of lo to hi, both included.
func (x *pageIndex) names(lo, hi uint64) bool {
	i := searchRange(x.ranges, lo)
	return i < len(x.ranges) && x.ranges[i].first <= hi
}

// record finds the record of a region that the layer names pages of.
func (p *PageFile) record(r pagetrie.Region) (pagetrie.Summary, error) {
	var b [treeRecordBytes]byte
	var failed error
	at := func(i int) (s pagetrie.Summary, ok bool) {
		if err := p.tree.read(b[:], treeHeadBytes+(int64(p.Entry.Tree.First)+int64(i))*treeRecordBytes); err != nil {
			failed = err
			return s, false
		}
		s, ok = decodeRecord(b[:])
		if !ok && failed == nil {
			failed = p.treeDamage(i, "checksum of a tree record is wrong")
		}
		return s, ok
	}
	count := int(p.Entry.Tree.Count)
	i := 0 // of the top level, which has one region
	if r.Level < pagetrie.TopLevel {
		i = sort.Search(count, func(i int) bool {
			s, ok := at(i)
			return ok && !before(s.Region, r)
		})
	}
	if failed != nil {
		return pagetrie.Summary{}, failed
	}
	if i < count {
		if s, ok := at(i); ok && s.Region == r {
			return s, nil
		}
	}
	if failed == nil {
		failed = p.treeDamage(i, fmt.Sprintf("the record of pages %d to %d is missing", r.First, r.Last()))
	}
	return pagetrie.Summary{}, failed
}

func (p *PageFile) treeDamage(i int, fault string) error {
	return &Damage{File: p.tree.path, Offset: treeHeadBytes + (int64(p.Entry.Tree.First)+int64(i))*treeRecordBytes, Fault: fault}
}

// writeTrees gives every layer that has none its tree records, in one new file, and holds the memories that it looks at
// against their roots.
func (k *Sink) writeTrees(m *Manifest) error {
	var records []byte
	file := func(e *MemoryEntry, h Hashing) error {
		mem, err := openMemory(k.store.fs, k.temp, e)
		if err != nil {
			return err
		}
		defer mem.close()
		if err := mem.readIndexes(); err != nil {
			return err
		}
		pages, hashes := mem.eager()
		if root := mem.rootOf(pages.Root(hashes), h); root != e.Root {
			return &rootError{e.Name, root, e.Root}
		}
		for i := range e.Layers {
			if e.Layers[i].Tree.Count > 0 {
				continue
			}
			regions := mem.Layers[i].index.regions()
			e.Layers[i].Tree = TreePart{First: uint32(len(records) / treeRecordBytes), Count: uint32(len(regions))}
			for _, r := range regions {
				records = appendRecord(records, pages.Summary(r, hashes))
			}
		}
		return nil
	}
	for i := range m.Memories {
		e := &m.Memories[i]
		e.Layers = slices.Clone(e.Layers)
		if slices.ContainsFunc(e.Layers, func(f FileEntry) bool { return f.Tree.Count == 0 }) {
			if err := file(e, k.store.config.Hashing); err != nil {
				return err
			}
		}
	}
	if len(records) == 0 {
		return nil
	}
	head := binary.LittleEndian.AppendUint32([]byte(treeMagic), treeFileVersion)
	b := append(binary.LittleEndian.AppendUint32(head, 0), records...)
	t := TreeFile{Records: uint32(len(records) / treeRecordBytes), Digest: sumWithContext(treeContext, b)}
	for i := range m.Memories {
		for j := range m.Memories[i].Layers {
			if f := &m.Memories[i].Layers[j]; f.Tree.Count > 0 && f.Tree.File == (TreeFile{}) {
				f.Tree.File = t
			}
		}
	}
	err := k.writeFile(t.Name(), b)
	if errors.Is(err, fs.ErrExist) { // an older layer's records are the same
		return nil
	}
	return err
}

// rootError is that pages have not the root that was promised for them.
type rootError struct {
	memory     string
	have, want pagetrie.Hash
}

func (e *rootError) Error() string {
	return fmt.Sprintf("memory %q: its pages have root %v, promised was %v", e.memory, e.have, e.want)
}

// openTrees opens the tree files of the layers. With whole, every byte of them is verified.
func (c *Checkpoint) openTrees(fsys FS, whole bool) error {
	opened := map[TreeFile]*blocks{}
	for _, m := range c.Memories {
		for _, l := range m.Layers {
			t := l.Entry.Tree.File
			if opened[t] == nil {
				path := join(c.Dir, t.Name())
				if l.Entry.Tree.Count == 0 {
					return &Damage{File: join(c.Dir, manifestName), Fault: fmt.Sprintf("memory %q: a layer has no tree records", m.Name)}
				}
				f, err := openSized(fsys, path, int64(t.Length()))
				if err != nil {
					return err
				}
				c.trees = append(c.trees, f)
				opened[t] = newBlocks(f, path, 0, int64(t.Length()))
				if whole {
					if err := t.verify(f, path); err != nil {
						return err
					}
				}
			}
			l.tree = opened[t]
		}
	}
	return nil
}

func (t TreeFile) verify(f File, path string) error {
	b := make([]byte, t.Length())
	if err := readFull(f, path, b, 0); err != nil {
		return err
	}
	if sumWithContext(treeContext, b) != t.Digest {
		return &Damage{File: path, Fault: "SHA-256 of the tree records is not the manifest's"}
	}
	if string(b[:8]) != treeMagic || binary.LittleEndian.Uint32(b[8:]) != treeFileVersion {
		return &Damage{File: path, Fault: "this is no tree file of version 1"}
	}
	return nil
}

// verifyTree holds the tree records that decide against the trie of the pages.
func (m *MemoryFile) verifyTree(pages pagetrie.Map, h pagetrie.Hasher) error {
	for i, l := range m.Layers {
		regions := l.index.regions()
		if len(regions) != int(l.Entry.Tree.Count) {
			return l.treeDamage(0, fmt.Sprintf("memory %q, layer %d: %d tree records, want %d", m.Name, i, l.Entry.Tree.Count, len(regions)))
		}
		for at, r := range regions {
			s, err := l.record(r)
			if err != nil {
				return err
			}
			if m.deciding(r) == l && s != pages.Summary(r, h) {
				return l.treeDamage(at, fmt.Sprintf("memory %q: the record of pages %d to %d is not that of its pages", m.Name, r.First, r.Last()))
			}
		}
	}
	return nil
}

// deciding is the newest layer that names pages of a region, or nil.
func (m *MemoryFile) deciding(r pagetrie.Region) *PageFile {
	for _, l := range slices.Backward(m.Layers) {
		if l.index.names(r.First, r.Last()) {
			return l
		}
	}
	return nil
}
