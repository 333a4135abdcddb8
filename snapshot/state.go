package snapshot

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"lockstep/pagetrie"
)

// State is what the state machine hands over to be written: a value that does not change while it is read, and that is
// read beside rounds.
type State struct {
	Round    uint64
	Root     pagetrie.Hash // of the whole replicated state
	Table    []byte        // everything but the memories
	Memories []Memory      // any order, names unique
}

// Memory is one memory of a State.
type Memory struct {
	Name string
	Size uint64        // pages
	Root pagetrie.Hash // of the memory, see Hashing.Memory
	// Pages yields every page that is not zero, ascending. It may be ranged over more than once.
	Pages iter.Seq2[uint64, Page]
	// Changes, if not nil, yields what changed since the memory's root was SinceRoot, ascending: pages, and for a page that
	// is now zero a Page without Bytes. It spares comparing all of Pages with the checkpoint before when that one has the
	// memory at SinceRoot, and is not looked at otherwise. It may be ranged over more than once, and may name unchanged pages.
	SinceRoot pagetrie.Hash
	Changes   iter.Seq2[uint64, Page]
}

// Page is one page of a Memory. Bytes are PageSize bytes, not all zero. They are only read, must not change until WriteState
// returns, since they are written from where they lie, and are not kept beyond.
type Page struct {
	Hash  pagetrie.Hash
	Bytes []byte
}

// writeState writes everything but the folder's own sync.
func (k *Sink) writeState(st State) error {
	k.store.writing.Lock()
	defer k.store.writing.Unlock()
	before := k.store.base()
	defer k.store.unpin(before)
	m := k.raft
	m.Round, m.Root = st.Round, st.Root
	m.TableBytes, m.TableDigest = uint64(len(st.Table)), tableDigest(st.Table)
	if err := k.store.agrees(&m); err != nil {
		return err
	}
	if err := k.writeFile(tableName, st.Table); err != nil {
		return err
	}
	for _, mem := range st.Memories {
		layers, err := k.writeMemory(mem, before)
		if err != nil {
			return fmt.Errorf("memory %q: %w", mem.Name, err)
		}
		m.Memories = append(m.Memories, MemoryEntry{Name: mem.Name, Size: mem.Size, Root: mem.Root, Layers: layers})
	}
	slices.SortFunc(m.Memories, func(a, b MemoryEntry) int { return strings.Compare(a.Name, b.Name) })
	return k.writeManifest(&m)
}

// writeManifest completes the folder: with the trees of what is new in it, and with the manifest.
func (k *Sink) writeManifest(m *Manifest) error {
	if err := m.validate(); err != nil {
		return err
	}
	if err := k.writeTrees(m); err != nil {
		return err
	}
	b := m.encode()
	if len(b) > MaxManifestBytes {
		return fmt.Errorf("the manifest has %d bytes, at most %d are allowed", len(b), MaxManifestBytes)
	}
	return k.writeFile(manifestName, b)
}

// writeFile writes a small file in one piece and makes its contents durable.
func (k *Sink) writeFile(name string, b []byte) error {
	f, err := k.store.fs.Create(join(k.temp, name))
	if err != nil {
		return fmt.Errorf("create checkpoint file: %w", err)
	}
	if len(b) > 0 {
		_, err = f.WriteAt(b, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write checkpoint file %s: %w", name, err)
	}
	return nil
}

// unfinishedName is the name of a page file until its digest is known.
const unfinishedName = "unfinished"

// writeBase writes a memory as one file.
func (k *Sink) writeBase(mem Memory) ([]FileEntry, error) {
	var w *pageFileWriter
	for page, p := range mem.Pages {
		if page >= mem.Size {
			return nil, abort(w, fmt.Errorf("page %d lies beyond its size of %d pages", page, mem.Size))
		}
		if w == nil {
			var err error
			if w, err = newPageFileWriter(k.store.fs, k.temp, unfinishedName); err != nil {
				return nil, err
			}
		}
		if err := w.add(page, p); err != nil {
			return nil, abort(w, err)
		}
	}
	if w == nil {
		return nil, nil // zero all over
	}
	e, err := w.finish(k.raft.Index)
	if err != nil {
		return nil, err
	}
	return []FileEntry{e}, nil
}

func abort(w *pageFileWriter, err error) error {
	if w != nil {
		w.abort()
	}
	return err
}
