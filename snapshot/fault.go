package snapshot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// Damage says that a file of a checkpoint is not what was written: the checkpoint must not be used. It is told apart from
// other errors (no permission, too many open files), which say nothing about the checkpoint.
type Damage struct {
	File   string // path
	Offset int64  // of the first byte that is wrong or, if only a larger piece is known to be wrong, of its start
	Fault  string
}

func (d *Damage) Error() string {
	return fmt.Sprintf("%s is damaged at offset %d: %s; use another checkpoint, or fetch this one from a peer", d.File, d.Offset, d.Fault)
}

// StreamFault says that a stream received from a peer is not a checkpoint. Nothing of it is published.
type StreamFault struct {
	Offset int64  // in the stream
	Part   string // what the offset lies in
	Fault  string
}

func (s *StreamFault) Error() string {
	return fmt.Sprintf("checkpoint stream is bad at offset %d, in %s: %s; nothing of it was kept, ask for another one", s.Offset, s.Part, s.Fault)
}

// ErrClosed is returned by a Sink that was closed or cancelled before.
var ErrClosed = errors.New("checkpoint sink is closed")

// ErrNoCheckpoint is returned for an identifier that the store does not hold.
var ErrNoCheckpoint = errors.New("no such checkpoint")

// ErrForeignReader is returned by FromReader for a reader that does not come from a Store of this package.
var ErrForeignReader = errors.New("reader does not come from a checkpoint store")

// IsDamage reports whether err means that a checkpoint on disk is damaged.
func IsDamage(err error) bool {
	var d *Damage
	return errors.As(err, &d)
}

func join(elem ...string) string { return filepath.Join(elem...) }

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// openFile opens a file that must be there.
func openFile(fsys FS, path string) (File, error) {
	f, err := fsys.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Damage{File: path, Fault: "the file is missing"}
	case errors.Is(err, errNoFile):
		return nil, &Damage{File: path, Fault: errNoFile.Error()}
	case err != nil:
		return nil, fmt.Errorf("open checkpoint file: %w", err)
	}
	return f, nil
}

// openSized opens a file that must have exactly want bytes. A missing file and another length are damage.
func openSized(fsys FS, path string, want int64) (File, error) {
	f, err := openFile(fsys, path)
	if err != nil {
		return nil, err
	}
	size, err := fileSize(f)
	if err == nil && size != want {
		err = &Damage{File: path, Offset: min(size, want), Fault: fmt.Sprintf("the file has %d bytes, the manifest says %d", size, want)}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func fileSize(f File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("measure checkpoint file: %w", err)
	}
	return info.Size(), nil
}

// readFull reads exactly len(p) bytes at off.
func readFull(f File, path string, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == io.EOF || err == nil {
		return &Damage{File: path, Offset: off + int64(n), Fault: "the file ends early"}
	}
	return fmt.Errorf("read %s at offset %d: %w", path, off+int64(n), err)
}
