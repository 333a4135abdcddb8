package replay

import (
	"errors"
	"fmt"
	"os"
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
	if before != "" {
		if err := refer(before, filepath.Join(dir, filepath.Base(before))); err != nil {
			return "", err
		}
	}
	store, err := snapshot.OpenStore(snapshot.Config{Dir: dir, Hashing: fsm.Hashing(), Merge: snapshot.MergeWhenAsked})
	if err != nil {
		return "", err
	}
	captured, err := m.Snapshot()
	if err != nil {
		return "", errors.Join(err, store.Close())
	}
	defer captured.Release()
	return writeInto(store, dir, index, captured.Persist)
}

// WriteView writes a state that is held for reading into a new store of checkpoints, as that of a log index, and gives the
// checkpoint's folder.
func WriteView(v *fsm.StateView, dir string, index uint64) (string, error) {
	store, err := snapshot.OpenStore(snapshot.Config{Dir: dir, Hashing: fsm.Hashing(), Merge: snapshot.MergeWhenAsked})
	if err != nil {
		return "", err
	}
	return writeInto(store, dir, index, v.Persist)
}

// writeInto writes a checkpoint into a store and closes the store.
func writeInto(store *snapshot.Store, dir string, index uint64, persist func(raft.SnapshotSink) error) (string, error) {
	sink, err := store.Create(raft.SnapshotVersionMax, index, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		return "", errors.Join(err, store.Close())
	}
	if err := errors.Join(persist(sink), store.Close()); err != nil {
		return "", err
	}
	paths, err := ListCheckpoints(dir)
	if err != nil || len(paths) == 0 {
		return "", errors.Join(fmt.Errorf("no checkpoint appeared in %s", dir), err)
	}
	return paths[len(paths)-1], nil
}

// refer makes a checkpoint folder whose files are symbolic links to another's. A hard link of one, which is what a store makes of
// files that did not change, is another link to the same file.
func refer(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if from, err = filepath.Abs(from); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
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
