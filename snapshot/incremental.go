package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
)

// sparePages is how many unchanged pages a checkpoint may write again, over all memories, to keep small ones in one file:
// most of the 64 KiB that a checkpoint may cost beyond what changed.
const sparePages = 12

// base opens the checkpoint that the next one builds on, the newest, and keeps it from being removed. Nil: there is none,
// or none that is sound.
func (s *Store) base() *Checkpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.newestFirstLocked() {
		id := p.name.String()
		c, err := s.openFolder(p.name, openFolder)
		if err == nil {
			s.pins[id]++
			return c
		}
		if !IsDamage(err) || s.setAsideLocked(id, err) != nil {
			return nil // the disk is in trouble; a whole checkpoint will tell
		}
	}
	return nil
}

// unpin ends the use of a base.
func (s *Store) unpin(c *Checkpoint) {
	if c == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pins[c.ID]--; s.pins[c.ID] == 0 {
		delete(s.pins, c.ID)
	}
	_ = c.Close() // only read from
}

// writeMemory writes what is new in a memory since the checkpoint before, links the rest, and returns the layers.
func (k *Sink) writeMemory(mem Memory, before *Checkpoint) ([]FileEntry, error) {
	var old *MemoryFile
	if before != nil {
		old = before.Memory(mem.Name)
	}
	if old == nil || len(old.Layers) == 0 || len(old.Layers) == MaxLayers {
		return k.writeBase(mem)
	}
	changes, fits := collectChanges(mem, old)
	var rest uint64 // pages that a base file would write again
	if n := countStored(changes); fits > n {
		rest = fits - n
	}
	if rest <= k.spare {
		k.spare -= rest
		return k.writeBase(mem)
	}
	layers, err := k.linkLayers(before.Dir, old.Layers)
	if err != nil {
		return k.writeBase(mem) // a file system without links, or with too many of one file
	}
	if len(changes) == 0 {
		return layers, nil
	}
	e, err := k.writeOverlay(changes)
	if err != nil {
		return nil, err
	}
	return append(layers, e), nil
}

// change is a page that differs from the checkpoint before.
type change struct {
	page uint64
	Page // without Bytes: the page is zero now
}

// collectChanges finds what differs from the checkpoint before, ascending, and how many pages the memory then has. It
// believes the state machine's list if that starts from the same root, and compares hashes otherwise.
func collectChanges(mem Memory, old *MemoryFile) (changes []change, pages uint64) {
	seq := compareHashes(mem, old)
	if mem.Changes != nil && mem.SinceRoot == old.Root {
		seq = mem.Changes
	}
	index := &pageIndex{}
	for page, p := range seq {
		changes = append(changes, change{page, p})
		hash := &p.Hash
		if p.Bytes == nil {
			hash = nil
		}
		if index.add(page, hash) != nil {
			break // out of order: the overlay's writer will say so
		}
	}
	indexes := []*pageIndex{}
	for _, l := range old.Layers {
		indexes = append(indexes, l.index)
	}
	pages, _ = flatSize(stored(overlay(append(indexes, index), 0)))
	return changes, pages
}

// compareHashes walks the memory and the checkpoint before side by side.
func compareHashes(mem Memory, old *MemoryFile) iter.Seq2[uint64, Page] {
	return func(yield func(uint64, Page) bool) {
		next, stop := iter.Pull2(old.Pages())
		defer stop()
		was, ref, more := next()
		for page, p := range mem.Pages {
			for ; more && was < page; was, ref, more = next() {
				if !yield(was, Page{}) {
					return
				}
			}
			same := more && was == page && old.Hash(ref) == p.Hash
			if more && was == page {
				was, ref, more = next()
			}
			if !same && !yield(page, p) {
				return
			}
		}
		for ; more; was, ref, more = next() {
			if !yield(was, Page{}) {
				return
			}
		}
	}
}

func countStored(changes []change) (n uint64) {
	for _, c := range changes {
		if c.Bytes != nil {
			n++
		}
	}
	return n
}

// linkLayers gives files of another checkpoint a name in this one.
func (k *Sink) linkLayers(dir string, layers []*PageFile) ([]FileEntry, error) {
	var entries []FileEntry
	for _, l := range layers {
		names := []string{l.Entry.Name()}
		if l.Entry.Tree.Count > 0 {
			names = append(names, l.Entry.Tree.File.Name())
		}
		for _, name := range names {
			err := k.store.fs.Link(join(dir, name), join(k.temp, name))
			if err != nil && !errors.Is(err, fs.ErrExist) { // one file may be of several memories
				return nil, fmt.Errorf("share checkpoint file: %w", err)
			}
		}
		entries = append(entries, l.Entry)
	}
	return entries, nil
}

func (k *Sink) writeOverlay(changes []change) (FileEntry, error) {
	w, err := newPageFileWriter(k.store.fs, k.temp, unfinishedName)
	if err != nil {
		return FileEntry{}, err
	}
	for _, c := range changes {
		if c.Bytes == nil {
			err = w.addZero(c.page)
		} else {
			err = w.add(c.page, c.Page)
		}
		if err != nil {
			return FileEntry{}, abort(w, err)
		}
	}
	return w.finish(k.raft.Index)
}
