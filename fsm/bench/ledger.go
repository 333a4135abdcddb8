package bench

import (
	"strings"
	"sync"

	"lockstep/snapshot"
)

// ledger is a file layer that counts: bytes written, and bytes of the files that have a name.
type ledger struct {
	snapshot.OS

	mu      sync.Mutex
	written uint64
	onDisk  uint64
	most    uint64 // of onDisk
	files   map[string]*inode
}

type inode struct {
	size  uint64
	names int
}

func newLedger() *ledger { return &ledger{files: map[string]*inode{}} }

// Create implements snapshot.FS.
func (l *ledger) Create(path string) (snapshot.File, error) {
	f, err := l.OS.Create(path)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	i := &inode{names: 1}
	l.files[path] = i
	return &countedFile{f, l, i}, nil
}

// Link implements snapshot.FS.
func (l *ledger) Link(from, to string) error {
	err := l.OS.Link(from, to)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.files[to] = l.files[from]
		l.files[to].names++
	}
	return err
}

// Rename implements snapshot.FS.
func (l *ledger) Rename(from, to string) error {
	err := l.OS.Rename(from, to)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		return err
	}
	for path, i := range l.files {
		if path == from || strings.HasPrefix(path, from+"/") {
			delete(l.files, path)
			moved := to + path[len(from):]
			l.dropLocked(moved)
			l.files[moved] = i
		}
	}
	return nil
}

// Remove implements snapshot.FS.
func (l *ledger) Remove(path string) error {
	err := l.OS.Remove(path)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.dropLocked(path)
	}
	return err
}

func (l *ledger) dropLocked(path string) {
	i := l.files[path]
	if i == nil {
		return
	}
	delete(l.files, path)
	if i.names--; i.names == 0 {
		l.onDisk -= i.size
	}
}

// take gives the bytes written and the most that was on disk since the last call.
func (l *ledger) take() (written, most uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	written, most = l.written, l.most
	l.written, l.most = 0, l.onDisk
	return written, most
}

// countedFile is a file whose writes are counted.
type countedFile struct {
	snapshot.File
	ledger *ledger
	inode  *inode
}

// WriteAt implements io.WriterAt.
func (f *countedFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(b, off)
	l := f.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written += uint64(n)
	if end := uint64(off) + uint64(n); end > f.inode.size {
		l.onDisk += end - f.inode.size
		f.inode.size = end
	}
	l.most = max(l.most, l.onDisk)
	return n, err
}
