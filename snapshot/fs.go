package snapshot

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"sort"
	"sync"
	"syscall"
)

// FS is the file layer under a Store: the handful of operations that make a checkpoint durable. Production uses OS.
// Tests implement it to record a trace, to lose what was not synced, to fill the disk.
//
// Paths are what filepath.Join makes of Config.Dir and names of this package. Every method is called from several
// goroutines.
type FS interface {
	// Mkdir makes one folder; an existing one is an error that matches fs.ErrExist.
	Mkdir(path string) error
	// Create makes a new file, open for reading and writing; an existing one is an error that matches fs.ErrExist.
	// The file's own mode is read-only: what a checkpoint holds is never written again.
	Create(path string) (File, error)
	// Open opens a file for reading; a missing one is an error that matches fs.ErrNotExist, and what is no file one that matches
	// errNoFile.
	Open(path string) (File, error)
	// Link gives an existing file a second name.
	Link(from, to string) error
	// Rename moves a file over a file or a folder to a free name, atomically.
	Rename(from, to string) error
	// Remove removes a file or an empty folder.
	Remove(path string) error
	// List returns the names in a folder, ascending.
	List(path string) ([]string, error)
	// SyncDir makes the names in a folder durable.
	SyncDir(path string) error
}

// File is an open file of an FS. *os.File is one.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes the contents durable.
	Sync() error
	Stat() (fs.FileInfo, error)
}

// OS is the operating system's file layer.
type OS struct{}

var _ FS = OS{}

func (OS) Mkdir(path string) error { return os.Mkdir(path, 0o755) }

func (OS) Create(path string) (File, error) {
	return fileOrError(os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o444))
}

// Open follows no link and waits for no other end of a pipe: of what is in a folder that came from elsewhere, only files are read.
func (OS) Open(path string) (File, error) {
	return openRegular(path, noFollow|noWait)
}

func openRegular(path string, flags int) (File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|flags, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errNoFile}
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errNoFile}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// errNoFile is what Open finds in place of a file: a folder, a link, a pipe, a device.
var errNoFile = errors.New("it is no regular file")

func (OS) Link(from, to string) error { return os.Link(from, to) }

func (OS) Rename(from, to string) error { return os.Rename(from, to) }

func (OS) Remove(path string) error { return os.Remove(path) }

func (OS) List(path string) ([]string, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	sort.Strings(names)
	return names, err
}

func (OS) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// fileOrError keeps a nil *os.File from becoming a non-nil File.
func fileOrError(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

// writeGathered writes parts one behind the other: straight from where they lie if the file is the operating system's, in one piece
// otherwise. The slice of parts is used up.
func writeGathered(f File, parts [][]byte, off int64) error {
	o, ok := f.(*os.File)
	if !ok {
		whole := gathered.Get().(*[]byte)
		defer gathered.Put(whole)
		*whole = slices.Grow((*whole)[:0], len(parts)*PageSize)
		for _, p := range parts {
			*whole = append(*whole, p...)
		}
		_, err := f.WriteAt(*whole, off)
		return err
	}
	return writeVector(o, parts, off)
}

// gathered holds buffers of writes that are made in one piece.
var gathered = sync.Pool{New: func() any { return new([]byte) }}

// removeAll removes a folder of plain files. What is already gone is no error: two cleanings may meet.
func removeAll(fsys FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return ignoreMissing(err)
	}
	for _, name := range names {
		if err := ignoreMissing(fsys.Remove(join(dir, name))); err != nil {
			return err
		}
	}
	return ignoreMissing(fsys.Remove(dir))
}
