package snapshot

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"sort"
	"sync"

	"golang.org/x/sys/unix"
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
	return openRegular(path, unix.O_NOFOLLOW)
}

func openRegular(path string, flags int) (File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|flags, 0)
	if errors.Is(err, unix.ELOOP) {
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
	for len(parts) > 0 {
		n, err := unix.Pwritev(int(o.Fd()), parts[:min(len(parts), maxParts)], off)
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return &fs.PathError{Op: "pwritev", Path: o.Name(), Err: err}
		}
		off += int64(n)
		for ; n > 0 && n >= len(parts[0]); parts = parts[1:] {
			n -= len(parts[0])
		}
		if n > 0 {
			parts[0] = parts[0][n:]
		}
	}
	return nil
}

// gathered holds buffers of writes that are made in one piece.
var gathered = sync.Pool{New: func() any { return new([]byte) }}

// maxParts is how many parts the kernel takes at once, see pwritev(2).
const maxParts = 1024

// beginWriteout has the disk write a part of a file without waiting for it. It promises nothing: what is to last is synced.
func beginWriteout(f File, off, n int64) {
	if o, ok := f.(*os.File); ok {
		_ = unix.SyncFileRange(int(o.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
	}
}

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
