package snapshot

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
)

// Sink is a checkpoint on its way into a Store, written either by WriteState from the local state or by Write from a stream
// that a peer sends. Close publishes it; nothing of it is visible before, and nothing of it stays after Cancel or an error.
// A Sink is used by one goroutine at a time; Close and Cancel may be called more than once.
type Sink struct {
	store *Store
	name  name
	temp  string // folder under construction

	raft  Manifest // the part that raft knows: index, term, configuration
	spare uint64   // unchanged pages that may still be written again to keep small memories in one file

	mu       sync.Mutex
	receiver *receiver // of a stream, from the first Write on
	written  bool      // WriteState or a merge has put everything in the folder
	merged   bool      // it was a merge
	failed   error     // first error; Close returns it
	done     bool
	result   error // of the first Close or Cancel
}

var _ raft.SnapshotSink = (*Sink)(nil)

// Create begins a checkpoint. The transport is not used. It implements raft.SnapshotStore; the sink is a *Sink.
func (s *Store) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if version != raft.SnapshotVersionMax {
		return nil, fmt.Errorf("create checkpoint: raft snapshot version %d is not supported", version)
	}
	return s.newSink(Manifest{Index: index, Term: term, Configuration: configuration.Clone(), ConfigurationIndex: configurationIndex})
}

func (s *Store) newSink(r Manifest) (*Sink, error) {
	r.Cluster = s.config.Cluster
	s.mu.Lock()
	n := s.freeNameLocked(r.Index, r.Term)
	s.taken[n.String()] = true
	s.mu.Unlock()
	k := &Sink{store: s, name: n, temp: join(s.config.Dir, tempPrefix+n.String()), raft: r, spare: sparePages}
	if err := s.fs.Mkdir(k.temp); err != nil {
		s.release(k)
		return nil, fmt.Errorf("create checkpoint %s: %w", n, err)
	}
	return k, nil
}

// freeNameLocked finds a name of that index and term that no checkpoint has.
// It is newer than those that have.
func (s *Store) freeNameLocked(index, term uint64) name {
	n := name{index: index, term: term}
	for id := range s.taken {
		n.follow(id)
	}
	for id := range s.published {
		n.follow(id)
	}
	return n
}

// follow moves n behind a name of the same index and term.
func (n *name) follow(id string) {
	o, _ := parseName(id)
	if o.index == n.index && o.term == n.term && o.sequence >= n.sequence {
		n.sequence = o.sequence + 1
	}
}

func (s *Store) release(k *Sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, k.name.String())
}

// ID is the identifier that the checkpoint has once it is published. It implements raft.SnapshotSink.
func (k *Sink) ID() string { return k.name.String() }

// WriteState writes the whole checkpoint from the local state. It reads st while rounds go on; st must not change.
// Close is still needed.
func (k *Sink) WriteState(st State) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.usable(); err != nil {
		return err
	}
	if k.written || k.receiver != nil {
		return k.fail(errors.New("the sink has been written to before"))
	}
	if _, err := beside(func() (struct{}, error) { return struct{}{}, k.writeState(st) }); err != nil {
		return k.fail(err)
	}
	k.written = true
	return nil
}

// Write takes the next bytes of a checkpoint stream, as a Reader gives them, and verifies them as it goes. It implements
// raft.SnapshotSink.
func (k *Sink) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.usable(); err != nil {
		return 0, err
	}
	if k.written {
		return 0, k.fail(errors.New("the sink has been written to before"))
	}
	if k.receiver == nil {
		k.receiver = newReceiver(k)
	}
	if err := k.receiver.write(p); err != nil {
		return 0, k.fail(err)
	}
	return len(p), nil
}

func (k *Sink) usable() error {
	if k.done {
		return fmt.Errorf("checkpoint %s: %w", k.name, ErrClosed)
	}
	return k.failed
}

func (k *Sink) fail(err error) error {
	k.failed = fmt.Errorf("write checkpoint %s: %w", k.name, err)
	return k.failed
}

// Close publishes the checkpoint if all of it was written and none of it was bad, and removes it otherwise. Later calls
// return what the first returned. It implements raft.SnapshotSink.
func (k *Sink) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.done {
		return k.result
	}
	if k.failed == nil {
		if err := k.complete(); err != nil {
			_ = k.fail(err)
		}
	}
	if k.failed == nil {
		if err := k.store.publish(k); err != nil {
			_ = k.fail(err)
		}
	}
	k.result = k.failed
	_ = k.finish(k.failed != nil) // what stays behind is removed at the next start
	if k.result == nil && k.written && !k.merged {
		k.store.mergeInBackground()
	}
	return k.result
}

// complete ends a stream and makes the folder durable.
func (k *Sink) complete() error {
	switch {
	case k.receiver != nil:
		if err := k.receiver.finish(); err != nil {
			return err
		}
	case !k.written:
		return errors.New("nothing was written")
	}
	if err := k.store.fs.SyncDir(k.temp); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

// Cancel removes the checkpoint unless it is published already. It implements raft.SnapshotSink.
func (k *Sink) Cancel() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.done {
		return nil
	}
	k.result = fmt.Errorf("checkpoint %s was cancelled: %w", k.name, ErrClosed)
	return k.finish(true)
}

// finish ends the sink's life.
func (k *Sink) finish(remove bool) error {
	k.done = true
	if k.receiver != nil {
		k.receiver.close()
	}
	var err error
	if remove {
		err = removeAll(k.store.fs, k.temp)
	}
	k.store.release(k)
	return err
}

// publish gives a complete, synced folder its final name and makes the name durable.
func (s *Store) publish(k *Sink) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	final := join(s.config.Dir, k.name.String())
	if err := s.fs.Rename(k.temp, final); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	err := s.fs.SyncDir(s.config.Dir)
	var c *Checkpoint
	if err == nil {
		c, err = s.openFolder(k.name, openLazily)
	}
	if err != nil {
		// Visible, but not known to last: take it back, so that no one builds on it.
		return errors.Join(fmt.Errorf("publish: %w", err), s.fs.Rename(final, k.temp))
	}
	defer c.Close()
	s.published[k.name.String()] = newPublished(k.name, c)
	return errors.Join(s.retainLocked(), s.dropLogsLocked(k.name.index))
}
