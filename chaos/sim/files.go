package sim

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"lockstep/chaos/plan"
	"lockstep/snapshot"
)

// files is a folder on a disk that forgets what was not synced: it implements snapshot.FS over real files, which state machines
// map, and keeps a journal of what a loss of power may undo. It never syncs the real files: that costs time and says nothing about
// a simulated machine.
//
// A file's bytes live in an inode of its own under inodes/, with a hard link for each name; so a name whose removal was not synced
// can come back.
type files struct {
	home   string // the real folder: inodes/ and tree/
	faults *diskFaults
	dead   chan struct{}

	mu   sync.Mutex
	dirs map[string]*folder // by path relative to tree; "." is the root
	next int
	// reached is told of each step that a crash may fall behind, and of how many parts it is.
	reached func(step plan.Mode, parts int)
}

func newFiles(home string, f *diskFaults, dead chan struct{}) (*files, error) {
	for _, dir := range []string{"inodes", "tree"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			return nil, err
		}
	}
	return &files{home: home, faults: f, dead: dead, reached: func(plan.Mode, int) {}, dirs: map[string]*folder{".": {now: map[string]*inode{}}}}, nil
}

// tree is the path that the checkpoint store is given.
func (f *files) tree() string { return filepath.Join(f.home, "tree") }

// rel splits a path into its folder and its name there.
func (f *files) rel(path string) (dir, name string) {
	r, err := filepath.Rel(f.tree(), path)
	if err != nil || strings.HasPrefix(r, "..") {
		panic(fmt.Sprintf("sim: path %s is outside %s", path, f.tree()))
	}
	return filepath.Dir(r), filepath.Base(r)
}

// step begins an operation: a dead machine does nothing more, a bad disk fails.
func (f *files) step(size int, sync bool) error {
	select {
	case <-f.dead:
		return errDead
	default:
	}
	return f.faults.file(size, sync)
}

// Mkdir implements snapshot.FS.
func (f *files) Mkdir(path string) error {
	if err := f.step(1, false); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	dir, name := f.rel(path)
	d := &folder{now: map[string]*inode{}}
	f.noteLocked(dir, name, &inode{folder: d})
	f.dirs[filepath.Join(dir, name)] = d
	return nil
}

// Create implements snapshot.FS.
func (f *files) Create(path string) (snapshot.File, error) {
	if err := f.step(1, false); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	home := filepath.Join(f.home, "inodes", fmt.Sprint(f.next))
	file, err := os.OpenFile(home, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := os.Link(home, path); err != nil {
		_ = file.Close()
		_ = os.Remove(home)
		return nil, err
	}
	node := &inode{path: home}
	dir, name := f.rel(path)
	f.noteLocked(dir, name, node)
	return &openFile{File: file, files: f, node: node}, nil
}

// Open implements snapshot.FS. What it gives is the system's own file: state machines map it.
func (f *files) Open(path string) (snapshot.File, error) {
	if err := f.step(0, false); err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return file, nil
}

// Link implements snapshot.FS.
func (f *files) Link(from, to string) error {
	if err := f.step(1, false); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := os.Link(from, to); err != nil {
		return err
	}
	fromDir, fromName := f.rel(from)
	dir, name := f.rel(to)
	f.noteLocked(dir, name, f.dirs[fromDir].now[fromName])
	return nil
}

// Rename implements snapshot.FS.
func (f *files) Rename(from, to string) error {
	if err := f.step(1, false); err != nil {
		return err
	}
	f.mu.Lock()
	if err := os.Rename(from, to); err != nil {
		f.mu.Unlock()
		return err
	}
	fromDir, fromName := f.rel(from)
	dir, name := f.rel(to)
	node := f.dirs[fromDir].now[fromName]
	f.noteLocked(fromDir, fromName, nil)
	f.noteLocked(dir, name, node)
	if node.folder != nil {
		delete(f.dirs, filepath.Join(fromDir, fromName))
		f.dirs[filepath.Join(dir, name)] = node.folder
	}
	f.mu.Unlock()
	if strings.HasPrefix(name, "checkpoint-") {
		f.reached(plan.InPublish, 1)
	}
	return nil
}

// Remove implements snapshot.FS.
func (f *files) Remove(path string) error {
	if err := f.step(0, false); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := os.Remove(path); err != nil {
		return err
	}
	dir, name := f.rel(path)
	if f.dirs[dir].now[name].folder != nil {
		delete(f.dirs, filepath.Join(dir, name))
	}
	f.noteLocked(dir, name, nil)
	return nil
}

// List implements snapshot.FS.
func (f *files) List(path string) ([]string, error) {
	if err := f.step(0, false); err != nil {
		return nil, err
	}
	return snapshot.OS{}.List(path)
}

// SyncDir implements snapshot.FS.
func (f *files) SyncDir(path string) error {
	if err := f.step(0, true); err != nil {
		return err
	}
	if f.faults.lying() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, name := f.rel(path)
	d := f.dirs[filepath.Join(dir, name)]
	if d == nil {
		return fs.ErrNotExist
	}
	for _, c := range d.pending {
		f.forget(c.before)
	}
	d.pending = nil
	return nil
}

// clear takes all files away, for good.
func (f *files) clear() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, dir := range []string{"inodes", "tree"} {
		path := filepath.Join(f.home, dir)
		if err := joinErrors(os.RemoveAll(path), os.Mkdir(path, 0o755)); err != nil {
			return err
		}
	}
	f.dirs = map[string]*folder{".": {now: map[string]*inode{}}}
	return nil
}
