package sim

import "os"

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
	// damaged says that a fault has changed the contents.
	damaged bool
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
