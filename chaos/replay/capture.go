package replay

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// WriteCheckpoint writes a machine's newest state into a new store of checkpoints, as that of a log index, and gives the
// checkpoint's folder.
func WriteCheckpoint(m Machine, dir string, index uint64) (string, error) {
	return writeBehind(m, "", dir, index)
}

// writeBehind is WriteCheckpoint for a machine that began from the checkpoint before, "" for none: only what has changed since is
// written, and the files of that checkpoint are referred to.
func writeBehind(m Machine, before, dir string, index uint64) (string, error) {
	var damaged error
	config := snapshot.Config{Dir: dir, OnDamage: func(_ string, err error) { damaged = err }}
	if before != "" {
		files := snapshot.References{}
		if err := files.Refer(before, dir); err != nil {
			return "", err
		}
		config.FS = files
	}
	captured, err := m.Snapshot()
	if err != nil {
		return "", err
	}
	defer captured.Release()
	path, err := writeStore(config, index, captured.Persist)
	if damaged != nil { // nothing was shared with it, and the whole state written
		err = errors.Join(fmt.Errorf("build on checkpoint %s: %w", before, damaged), err)
	}
	return path, err
}

// WriteView writes a state that is held for reading into a new store of checkpoints, as that of a log index, and gives the
// checkpoint's folder.
func WriteView(v *fsm.StateView, dir string, index uint64) (string, error) {
	return writeStore(snapshot.Config{Dir: dir}, index, v.Persist)
}

// writeStore opens a store, writes a checkpoint into it and closes it.
func writeStore(c snapshot.Config, index uint64, persist func(raft.SnapshotSink) error) (string, error) {
	c.Hashing, c.Merge = fsm.Hashing(), snapshot.MergeWhenAsked
	store, err := snapshot.OpenStore(c)
	if err != nil {
		return "", err
	}
	sink, err := store.Create(raft.SnapshotVersionMax, index, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		return "", errors.Join(err, store.Close())
	}
	if err := errors.Join(persist(sink), store.Close()); err != nil {
		return "", err
	}
	return filepath.Join(c.Dir, sink.ID()), nil
}

// pageHash is the hash of a page of a machine's newest state; the zero hash for a page that is zero or beyond the memory.
func pageHash(m Machine, memory string, page uint64) (hash pagetrie.Hash, err error) {
	captured, err := m.Snapshot()
	if err != nil {
		return hash, err
	}
	defer captured.Release()
	return hash, captured.Persist(&stateReader{read: func(s snapshot.State) {
		for _, mem := range s.Memories {
			if mem.Name != memory {
				continue
			}
			for key, p := range mem.Pages {
				if key >= page {
					if key == page {
						hash = p.Hash
					}
					return
				}
			}
		}
	}})
}

// stateReader is a sink that looks at a state instead of writing it.
type stateReader struct{ read func(snapshot.State) }

var _ raft.SnapshotSink = (*stateReader)(nil)

// WriteState is what a machine calls.
func (r *stateReader) WriteState(s snapshot.State) error {
	r.read(s)
	return nil
}

// ID implements raft.SnapshotSink.
func (r *stateReader) ID() string { return "a look at the state" }

// Write implements raft.SnapshotSink; states do not come as bytes.
func (r *stateReader) Write([]byte) (int, error) {
	return 0, errors.New("a look at the state takes no bytes")
}

// Close implements raft.SnapshotSink.
func (r *stateReader) Close() error { return nil }

// Cancel implements raft.SnapshotSink.
func (r *stateReader) Cancel() error { return nil }
