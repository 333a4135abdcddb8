package snapshot

import (
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// noFollow opens no link, noWait a pipe without waiting for its other end.
const (
	noFollow = unix.O_NOFOLLOW
	noWait   = unix.O_NONBLOCK
)

// maxParts is how many parts the kernel takes at once, see pwritev(2).
const maxParts = 1024

// writeVector writes parts one behind the other, straight from where they lie. The slice of parts is used up.
func writeVector(o *os.File, parts [][]byte, off int64) error {
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

// beginWriteout has the disk write a part of a file without waiting for it. It promises nothing: what is to last is synced.
func beginWriteout(f File, off, n int64) {
	if o, ok := f.(*os.File); ok {
		_ = unix.SyncFileRange(int(o.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
	}
}

// yieldToOthers gives the calling thread a low priority.
func yieldToOthers() { _ = unix.Setpriority(unix.PRIO_PROCESS, 0, besideNice) }
