package snapshot

import (
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"sort"
	"sync/atomic"

	"lockstep/pagetrie"
)

// Checkpoint is an opened checkpoint folder. Its manifest and table are verified, and which pages its files name; whether
// their hashes and bytes are depends on who opened it. It stays usable when the folder is removed, until Close.
type Checkpoint struct {
	Manifest
	ID       string // name of the folder
	Dir      string
	Table    []byte
	Memories []*MemoryFile // in the order of Manifest.Memories

	trees   []File
	users   atomic.Int32          // beyond the first
	damaged atomic.Bool           // damage was found in it
	blame   func(err error) error // of a store: sets the checkpoint aside if err is damage
}

// MemoryFile is one memory of an opened checkpoint.
type MemoryFile struct {
	Name   string
	Size   uint64 // pages
	Root   pagetrie.Hash
	Layers []*PageFile // oldest first

	in      *Checkpoint // nil for one that is still being written
	extents []extent    // where each page that is not zero comes from, ascending
}

// PageRef says where a page lies: at a position of a layer.
type PageRef struct {
	Layer    int
	Position uint64
}

// Len is the number of pages that are not zero.
func (m *MemoryFile) Len() uint64 {
	n, _ := flatSize(m.extents)
	return n
}

// Pages yields every page that is not zero, ascending, with its place.
func (m *MemoryFile) Pages() iter.Seq2[uint64, PageRef] {
	return func(yield func(uint64, PageRef) bool) {
		for _, e := range m.extents {
			for i := range e.count {
				if !yield(e.first+i, PageRef{e.layer, e.position + i}) {
					return
				}
			}
		}
	}
}

// Find returns the place of a page; false means that the page is zero. Cost: logarithmic in the runs of pages.
func (m *MemoryFile) Find(page uint64) (PageRef, bool) {
	i := sort.Search(len(m.extents), func(i int) bool { return m.extents[i].end() > page })
	if i == len(m.extents) || page < m.extents[i].first {
		return PageRef{}, false
	}
	e := m.extents[i]
	return PageRef{e.layer, e.position + page - e.first}, true
}

// Hash returns the hash of the page at a place.
func (m *MemoryFile) Hash(r PageRef) pagetrie.Hash { return m.Layers[r.Layer].Hash(r.Position) }

// ReadPage reads the page at a place. The bytes are not verified.
func (m *MemoryFile) ReadPage(r PageRef, buf []byte) error {
	return m.Layers[r.Layer].ReadPage(r.Position, buf)
}

// Map returns the memory as a map from page to handle, when the page at position i of layer l has handle first[l]+i: the
// handles that memstore gives for mapped page files.
func (m *MemoryFile) Map(first []pagetrie.Value) pagetrie.Map {
	b := pagetrie.Map{}.Edit()
	for page, ref := range m.Pages() {
		b.Insert(page, first[ref.Layer]+pagetrie.Value(ref.Position))
	}
	return b.Map()
}

// eager is the memory's map, all of it, and what hashes its handles.
func (m *MemoryFile) eager() (pagetrie.Map, layerHasher) {
	h := m.hasher()
	return m.Map(h.first), h
}

// hasher numbers the layers' pages one after the other.
func (m *MemoryFile) hasher() layerHasher {
	h := layerHasher{layers: m.Layers, first: make([]pagetrie.Value, len(m.Layers))}
	next := pagetrie.Value(1)
	for i, l := range m.Layers {
		h.first[i] = next
		next += pagetrie.Value(l.Len())
	}
	return h
}

// rootOf is the memory's root, of that of its trie.
func (m *MemoryFile) rootOf(pages pagetrie.Hash, h Hashing) pagetrie.Hash {
	if h.Memory == nil {
		return pages
	}
	return h.Memory(m.Size, pages)
}

// layerHasher hashes handles that Map gave out.
type layerHasher struct {
	layers []*PageFile
	first  []pagetrie.Value
}

func (h layerHasher) HashValue(v pagetrie.Value) pagetrie.Hash {
	i := len(h.first) - 1
	for h.first[i] > v {
		i--
	}
	return h.layers[i].Hash(uint64(v - h.first[i]))
}

// Hold makes one more user of the checkpoint: Close is to be called once more. What [MemoryFile.Stored] gives is a user.
func (c *Checkpoint) Hold() { c.users.Add(1) }

// Damaged reports whether damage was found in it by one who used it: what was read of it before may rest on bytes that are not
// those that were written. It is true before the store sets the checkpoint aside.
func (c *Checkpoint) Damaged() bool { return c.damaged.Load() }

// Close releases the files, when the last user calls it. Mappings made from them stay.
func (c *Checkpoint) Close() error {
	if c.users.Add(-1) >= 0 {
		return nil
	}
	var errs []error
	for _, f := range c.trees {
		errs = append(errs, f.Close())
	}
	for _, m := range c.Memories {
		for _, l := range m.Layers {
			errs = append(errs, l.file.Close())
		}
	}
	return errors.Join(errs...)
}

// Memory returns the memory of that name, or nil.
func (c *Checkpoint) Memory(name string) *MemoryFile {
	for _, m := range c.Memories {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// OpenDir opens a checkpoint folder outside any store: everything but the pages is verified.
// An error that matches IsDamage says that the folder is damaged, and where.
func OpenDir(dir string) (*Checkpoint, error) { return OpenDirIn(OS{}, dir) }

// OpenDirIn is OpenDir on another file layer.
func OpenDirIn(fsys FS, dir string) (*Checkpoint, error) { return openFolder(fsys, dir) }

// OpenDirLazily is OpenDir as a store with VerifyOnUse opens its own: page hashes and trees are read, and verified, when they are
// used. Cost: the manifest, the table and the runs of pages.
func OpenDirLazily(dir string) (*Checkpoint, error) { return OpenDirLazilyIn(OS{}, dir) }

// OpenDirLazilyIn is OpenDirLazily on another file layer.
func OpenDirLazilyIn(fsys FS, dir string) (*Checkpoint, error) { return openLazily(fsys, dir) }

// openFolder opens a folder and verifies everything but the pages.
func openFolder(fsys FS, dir string) (*Checkpoint, error) {
	c, err := openFiles(fsys, dir)
	if err != nil {
		return nil, err
	}
	if err = c.load(); err == nil {
		err = c.openTrees(fsys, true)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// openLazily opens a folder and leaves page hashes and tree records to be read, and verified, when they are asked for.
func openLazily(fsys FS, dir string) (*Checkpoint, error) {
	c, err := openFiles(fsys, dir)
	if err != nil {
		return nil, err
	}
	if err := c.openTrees(fsys, false); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// load verifies the page indexes and keeps their hashes in memory.
// Preconditions: nobody else uses the checkpoint.
func (c *Checkpoint) load() error {
	for _, m := range c.Memories {
		if err := m.readIndexes(); err != nil {
			return err
		}
	}
	return nil
}

func (m *MemoryFile) readIndexes() error {
	for _, l := range m.Layers {
		if l.index.hashes == nil {
			if err := l.readIndex(); err != nil {
				return err
			}
		}
	}
	return nil
}

// openFiles opens a folder's files, without the trees: manifest, table and page ranges are verified.
func openFiles(fsys FS, dir string) (*Checkpoint, error) {
	m, err := readManifest(fsys, dir)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Manifest: *m, ID: filepath.Base(dir), Dir: dir}
	if c.Table, err = readTable(fsys, dir, m); err != nil {
		return nil, err
	}
	for i := range m.Memories {
		mem, err := openMemory(fsys, dir, &m.Memories[i])
		if err != nil {
			c.Close()
			return nil, err
		}
		mem.in = c
		c.Memories = append(c.Memories, mem)
	}
	return c, nil
}

func readManifest(fsys FS, dir string) (*Manifest, error) {
	path := join(dir, manifestName)
	f, err := openFile(fsys, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := fileSize(f)
	if err != nil {
		return nil, err
	}
	if size > MaxManifestBytes {
		return nil, &Damage{File: path, Offset: MaxManifestBytes, Fault: fmt.Sprintf("the manifest has %d bytes, at most %d are allowed", size, MaxManifestBytes)}
	}
	b := make([]byte, size)
	if err := readFull(f, path, b, 0); err != nil {
		return nil, err
	}
	m, fault := decodeManifest(b)
	if fault != nil {
		return nil, &Damage{File: path, Offset: fault.offset, Fault: fault.fault}
	}
	return m, nil
}

func readTable(fsys FS, dir string, m *Manifest) ([]byte, error) {
	path := join(dir, tableName)
	f, err := openSized(fsys, path, int64(m.TableBytes))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, m.TableBytes)
	if err := readFull(f, path, b, 0); err != nil {
		return nil, err
	}
	if tableDigest(b) != m.TableDigest {
		return nil, &Damage{File: path, Fault: "SHA-256 of the table is not the manifest's"}
	}
	return b, nil
}

const tableContext = "lockstep state table\x00"

func tableDigest(table []byte) Digest { return sumWithContext(tableContext, table) }

func openMemory(fsys FS, dir string, e *MemoryEntry) (*MemoryFile, error) {
	m := &MemoryFile{Name: e.Name, Size: e.Size, Root: e.Root}
	for _, f := range e.Layers {
		p, err := openPageFile(fsys, dir, f)
		if err != nil {
			m.close()
			return nil, err
		}
		m.Layers = append(m.Layers, p)
	}
	if fault := m.arrange(); fault != nil {
		m.close()
		return nil, &Damage{File: join(dir, manifestName), Fault: fmt.Sprintf("memory %q: %v", e.Name, fault)}
	}
	return m, nil
}

// arrange lays the layers over each other and checks that they make a memory.
func (m *MemoryFile) arrange() error {
	indexes := make([]*pageIndex, len(m.Layers))
	for i, l := range m.Layers {
		indexes[i] = l.index
	}
	if len(indexes) > 0 && indexes[0].zeros > 0 {
		return errors.New("its base file declares pages zero")
	}
	m.extents = stored(overlay(indexes, 0))
	if n := len(m.extents); n > 0 && m.extents[n-1].end() > m.Size {
		return fmt.Errorf("page %d lies beyond its size of %d pages", m.extents[n-1].end()-1, m.Size)
	}
	return nil
}

func (m *MemoryFile) close() {
	for _, l := range m.Layers {
		l.file.Close()
	}
}
