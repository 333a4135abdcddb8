package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// memFS is a file layer in memory that keeps a journal of what was done to it, from which disk images after a crash are
// made (crash_test.go) and a readable trace is printed.
type memFS struct {
	mu      sync.Mutex
	root    *inode
	journal []operation
	// quiet keeps no journal.
	quiet bool
	// refuse, if set, is asked before every operation.
	refuse func(op, path string) error
}

type inode struct {
	data  []byte
	names map[string]*inode // of a folder
}

// operation is one entry of the journal.
type operation struct {
	text   string // for the trace
	kind   string
	on     *inode // the file, or the folder whose names change
	from   string // name taken away from the folder
	to     string // name put into it
	target *inode // what the name stands for
	off    int64
	data   []byte
}

func newMemFS() *memFS { return &memFS{root: &inode{names: map[string]*inode{}}} }

func (m *memFS) do(op, path string, o operation) {
	if m.quiet {
		return
	}
	o.kind = op
	o.text = strings.TrimSpace(op + " " + shorten(path) + " " + o.text)
	m.journal = append(m.journal, o)
}

// shorten leaves the first eight digits of digests.
func shorten(path string) string {
	dir, base := filepath.Split(path)
	for _, suffix := range []string{pageFileSuffix, treeFileSuffix} {
		if name, ok := strings.CutSuffix(base, suffix); ok && len(name) == 64 {
			base = name[:8] + "..." + suffix
		}
	}
	return dir + base
}

func (m *memFS) find(path string) *inode {
	n := m.root
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if part != "" && n != nil {
			n = n.names[part]
		}
	}
	return n
}

// locate returns the folder that holds the path and the name in it.
func (m *memFS) locate(op, path string) (*inode, string, error) {
	if m.refuse != nil {
		if err := m.refuse(op, path); err != nil {
			return nil, "", &fs.PathError{Op: op, Path: path, Err: err}
		}
	}
	dir := m.find(filepath.Dir(path))
	if dir == nil || dir.names == nil {
		return nil, "", &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist}
	}
	return dir, filepath.Base(path), nil
}

func (m *memFS) make(op, path string, n *inode) error {
	dir, name, err := m.locate(op, path)
	if err != nil {
		return err
	}
	if dir.names[name] != nil {
		return &fs.PathError{Op: op, Path: path, Err: fs.ErrExist}
	}
	dir.names[name] = n
	m.do(op, path, operation{on: dir, to: name, target: n})
	return nil
}

func (m *memFS) Mkdir(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.make("mkdir", path, &inode{names: map[string]*inode{}})
}

func (m *memFS) Create(path string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := &inode{}
	if err := m.make("create", path, n); err != nil {
		return nil, err
	}
	return &memFile{fs: m, node: n, path: path}, nil
}

func (m *memFS) Open(path string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, name, err := m.locate("open", path)
	if err != nil {
		return nil, err
	}
	if n := dir.names[name]; n != nil {
		return &memFile{fs: m, node: n, path: path}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
}

func (m *memFS) Link(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.find(from)
	if n == nil {
		return &fs.PathError{Op: "link", Path: from, Err: fs.ErrNotExist}
	}
	return m.make("link", to, n)
}

func (m *memFS) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, name, err := m.locate("rename", from)
	if err != nil {
		return err
	}
	if filepath.Dir(from) != filepath.Dir(to) {
		panic("rename between folders: " + from + " " + to)
	}
	n := dir.names[name]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	if old := dir.names[filepath.Base(to)]; old != nil && old.names != nil {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
	}
	delete(dir.names, name)
	dir.names[filepath.Base(to)] = n
	m.do("rename", from, operation{text: shorten(filepath.Base(to)), on: dir, from: name, to: filepath.Base(to), target: n})
	return nil
}

func (m *memFS) Remove(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, name, err := m.locate("remove", path)
	if err != nil {
		return err
	}
	n := dir.names[name]
	if n == nil || len(n.names) > 0 {
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrNotExist}
	}
	delete(dir.names, name)
	m.do("remove", path, operation{on: dir, from: name, target: n})
	return nil
}

func (m *memFS) List(path string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.find(path)
	if n == nil || n.names == nil {
		return nil, &fs.PathError{Op: "list", Path: path, Err: fs.ErrNotExist}
	}
	return slices.Sorted(maps.Keys(n.names)), nil
}

func (m *memFS) SyncDir(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, _, err := m.locate("syncdir", path); err != nil {
		return err
	}
	m.do("syncdir", path, operation{on: m.find(path)})
	return nil
}

// trace is the journal since an entry, one operation a line.
func (m *memFS) trace(since int) string {
	var b strings.Builder
	for _, o := range m.journal[since:] {
		fmt.Fprintln(&b, o.text)
	}
	return b.String()
}

type memFile struct {
	fs   *memFS
	node *inode
	path string
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return bytes.NewReader(f.node.data).ReadAt(p, off)
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if _, _, err := f.fs.locate("write", f.path); err != nil {
		n := 0
		if errors.Is(err, syscall.ENOSPC) { // a disk takes what it has room for
			n = len(p) / 2
			f.node.put(p[:n], off)
		}
		return n, err
	}
	f.node.put(p, off)
	f.fs.do("write", f.path, operation{text: fmt.Sprintf("%d+%d", off, len(p)), on: f.node, off: off, data: bytes.Clone(p)})
	return len(p), nil
}

func (n *inode) put(p []byte, off int64) {
	if need := int(off) + len(p); need > len(n.data) {
		n.data = append(n.data, make([]byte, need-len(n.data))...)
	}
	copy(n.data[off:], p)
}

func (f *memFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if _, _, err := f.fs.locate("sync", f.path); err != nil {
		return err
	}
	f.fs.do("sync", f.path, operation{on: f.node})
	return nil
}

func (f *memFile) Close() error { return nil }

func (f *memFile) Stat() (fs.FileInfo, error) { return memInfo{f}, nil }

type memInfo struct{ f *memFile }

func (i memInfo) Name() string       { return filepath.Base(i.f.path) }
func (i memInfo) Size() int64        { return int64(len(i.f.node.data)) }
func (i memInfo) Mode() fs.FileMode  { return 0o444 }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return false }
func (i memInfo) Sys() any           { return nil }

var _ io.ReaderAt = (*memFile)(nil)
