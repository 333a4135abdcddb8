package sim

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
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
	// reached is told of each step that a crash may fall behind.
	reached func(plan.Mode)
}

// folder is what a folder holds now and what it held when it was last synced. pending are the changes between, in order.
type folder struct {
	now     map[string]*inode
	pending []change
}

// change is one operation on a folder's names.
type change struct {
	name   string
	before *inode // nil: the name was free
}

// inode is a file, or a folder (then path is "").
type inode struct {
	path   string
	folder *folder
	// synced is the size up to which contents are safe; size how far it was written.
	synced, size int64
	// refs counts the names that it has, and those that it may get back.
	refs int
}

func newFiles(home string, f *diskFaults, dead chan struct{}) (*files, error) {
	for _, dir := range []string{"inodes", "tree"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			return nil, err
		}
	}
	return &files{home: home, faults: f, dead: dead, reached: func(plan.Mode) {}, dirs: map[string]*folder{".": {now: map[string]*inode{}}}}, nil
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

// note records a change of a folder's names, before it is made.
func (f *files) noteLocked(dir, name string, node *inode) {
	d := f.dirs[dir]
	d.pending = append(d.pending, change{name, d.now[name]})
	if node == nil {
		delete(d.now, name)
	} else {
		d.now[name] = node
		node.refs++
	}
}

// forget lets go of an inode that a name can no longer get back; the last one frees it.
func (f *files) forget(node *inode) {
	if node == nil {
		return
	}
	if node.refs--; node.refs > 0 {
		return
	}
	if node.folder == nil {
		_ = os.Remove(node.path) // a file that stays only takes space
		return
	}
	for _, inside := range node.folder.now {
		f.forget(inside)
	}
	for _, c := range node.folder.pending {
		f.forget(c.before)
	}
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
		f.reached(plan.InPublish)
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

// openFile is a file being written.
type openFile struct {
	*os.File
	files *files
	node  *inode
}

// WriteAt implements io.WriterAt.
func (o *openFile) WriteAt(p []byte, off int64) (int, error) {
	if err := o.files.step(len(p), false); err != nil {
		return 0, err
	}
	o.files.mu.Lock()
	o.node.size = max(o.node.size, off+int64(len(p)))
	o.files.mu.Unlock()
	return o.File.WriteAt(p, off)
}

// Sync implements snapshot.File.
func (o *openFile) Sync() error {
	if err := o.files.step(0, true); err != nil {
		return err
	}
	if o.files.faults.lying() {
		return nil
	}
	o.files.mu.Lock()
	defer o.files.mu.Unlock()
	o.node.synced = o.node.size
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

// after makes a new folder of what a crash leaves, and says how much it lost and how much it kept in part.
func (f *files) after(home string, power plan.Power, r *rand.Rand) (left *files, lost, torn int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	left, err = newFiles(home, f.faults, nil)
	if err != nil {
		return nil, 0, 0, err
	}
	c := &cloning{to: left, power: power, rng: r, done: map[*inode]*inode{}}
	left.dirs["."], err = c.folder(f.dirs["."], ".")
	return left, c.lost, c.torn, err
}

// cloning carries what survives into a new folder.
type cloning struct {
	to         *files
	power      plan.Power
	rng        *rand.Rand
	done       map[*inode]*inode
	lost, torn int
}

func (c *cloning) folder(d *folder, path string) (*folder, error) {
	names := map[string]*inode{}
	for name, node := range d.now {
		names[name] = node
	}
	keep := len(d.pending)
	switch c.power {
	case plan.Lost:
		keep = 0
	case plan.Torn:
		keep = c.rng.IntN(len(d.pending) + 1)
	}
	for _, undone := range slices.Backward(d.pending[keep:]) {
		if c.lost++; undone.before == nil {
			delete(names, undone.name)
		} else {
			names[undone.name] = undone.before
		}
	}
	out := &folder{now: map[string]*inode{}}
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted) // the random choices are drawn in this order
	for _, name := range sorted {
		node, err := c.node(names[name], filepath.Join(path, name))
		if err != nil {
			return nil, err
		}
		out.now[name] = node
		node.refs++
	}
	return out, nil
}

func (c *cloning) node(node *inode, path string) (*inode, error) {
	real := filepath.Join(c.to.tree(), path)
	if node.folder != nil {
		if err := os.Mkdir(real, 0o755); err != nil {
			return nil, err
		}
		d, err := c.folder(node.folder, path)
		if err != nil {
			return nil, err
		}
		c.to.dirs[path] = d
		return &inode{folder: d}, nil
	}
	made := c.done[node]
	if made == nil {
		var err error
		if made, err = c.file(node); err != nil {
			return nil, err
		}
		c.done[node] = made
	}
	return made, os.Link(made.path, real)
}

// file carries a file over: as it is if it was synced, otherwise as the crash leaves it.
func (c *cloning) file(node *inode) (*inode, error) {
	c.to.next++
	made := &inode{path: filepath.Join(c.to.home, "inodes", fmt.Sprint(c.to.next)), synced: node.size, size: node.size}
	if node.synced == node.size {
		return made, os.Link(node.path, made.path)
	}
	data, err := os.ReadFile(node.path)
	if err != nil {
		return nil, err
	}
	switch c.power {
	case plan.Lost:
		c.lost++
		data = data[:min(node.synced, int64(len(data)))]
	case plan.Torn:
		c.torn++
		data = tear(data, node.synced, c.rng)
	}
	made.synced, made.size = int64(len(data)), int64(len(data))
	return made, os.WriteFile(made.path, data, 0o644)
}

// tear keeps some sectors of what was not synced.
func tear(data []byte, synced int64, r *rand.Rand) []byte {
	const sector = 512
	for at := synced; at < int64(len(data)); at += sector {
		if r.IntN(2) == 0 {
			clear(data[at:min(at+sector, int64(len(data)))])
		}
	}
	if r.IntN(2) == 0 {
		data = data[:synced+r.Int64N(int64(len(data))-synced+1)]
	}
	return data
}
