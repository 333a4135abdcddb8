// Package tempdir makes folders that go away with the process that made them, however that ends.
//
// Each has a file TEMPORARY that its process holds a lock on. A process that is killed cannot remove its folder, but the system drops the
// lock: whoever makes a folder with the same parent and prefix next finds the mark unlocked and removes the folder.
package tempdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// mark is the file that makes a folder a temporary one. It holds the process id.
const mark = "TEMPORARY"

// Dir is a temporary folder of this process.
type Dir struct {
	// Path is absolute if the parent is.
	Path string
	mark *os.File
}

// living holds the folders of this process: the lock of one that nobody refers to any more must not be dropped by the collector of garbage,
// which closes files.
var living sync.Map

// Make makes a folder in parent, "" for the system's one for temporary files, with a name that begins with prefix. Before that it
// removes those of processes that were killed. The caller must call Remove or Keep.
func Make(parent, prefix string) (*Dir, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	sweep(parent, prefix)
	path, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	d := &Dir{Path: path}
	living.Store(d, nil)
	if err := d.lock(); err != nil {
		return nil, errors.Join(fmt.Errorf("mark the temporary folder %s: %w", path, err), d.Remove())
	}
	return d, nil
}

// lock makes the mark. It is locked before it gets its name, so that nobody can find it unlocked while this process lives.
func (d *Dir) lock() error {
	unnamed := filepath.Join(d.Path, mark+".new")
	var err error
	if d.mark, err = os.OpenFile(unnamed, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644); err != nil {
		return err
	}
	if err := lockFile(d.mark); err != nil {
		return err
	}
	if _, err := d.mark.WriteString(strconv.Itoa(os.Getpid()) + "\n"); err != nil {
		return err
	}
	return os.Rename(unnamed, filepath.Join(d.Path, mark))
}

// Keep makes the folder one that stays.
func (d *Dir) Keep() error {
	if d.mark == nil {
		return nil
	}
	err := os.Remove(filepath.Join(d.Path, mark))
	return errors.Join(err, d.unlock())
}

// Remove removes the folder, kept or not. One that is gone already is no error.
func (d *Dir) Remove() error {
	return errors.Join(os.RemoveAll(d.Path), d.unlock())
}

func (d *Dir) unlock() error {
	living.Delete(d)
	if d.mark == nil {
		return nil
	}
	err := d.mark.Close()
	d.mark = nil
	return err
}

// sweep removes the folders of processes that were killed. What cannot be removed stays: it is another user's, or the next process will
// try again.
func sweep(parent, prefix string) {
	marks, err := filepath.Glob(filepath.Join(parent, prefix+"*", mark))
	if err != nil {
		return
	}
	for _, name := range marks {
		file, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if lockFile(file) == nil {
			os.RemoveAll(filepath.Dir(name))
		}
		file.Close()
	}
}
