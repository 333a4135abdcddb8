package sim

import (
	"errors"
	"io"

	"github.com/hashicorp/raft"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/fsm"
	"lockstep/node"
	"lockstep/snapshot"
)

// Layers that record what a replica does: they change nothing.

func joinErrors(errs ...error) error { return errors.Join(errs...) }

// watchedLog records what is written to the log.
type watchedLog struct {
	under raft.LogStore
	life  *life
}

func (w *watchedLog) FirstIndex() (uint64, error)            { return w.under.FirstIndex() }
func (w *watchedLog) LastIndex() (uint64, error)             { return w.under.LastIndex() }
func (w *watchedLog) GetLog(index uint64, e *raft.Log) error { return w.under.GetLog(index, e) }
func (w *watchedLog) StoreLog(e *raft.Log) error             { return w.StoreLogs([]*raft.Log{e}) }

// StoreLogs implements raft.LogStore.
func (w *watchedLog) StoreLogs(entries []*raft.Log) error {
	if err := w.under.StoreLogs(entries); err != nil {
		return err
	}
	for _, e := range entries {
		w.life.record(history.Event{Kind: history.Appended, Index: e.Index, Term: e.Term, Digest: w.life.m.c.digest(e)})
	}
	return nil
}

// DeleteRange implements raft.LogStore.
func (w *watchedLog) DeleteRange(low, high uint64) error {
	last, err := w.under.LastIndex()
	if err != nil {
		return err
	}
	if err := w.under.DeleteRange(low, high); err != nil {
		return err
	}
	if low == 0 || last < low {
		return nil // nothing was there
	}
	kind := history.Compacted
	if high >= last {
		kind = history.Truncated
	}
	w.life.record(history.Event{Kind: kind, Index: low, To: min(high, last)})
	return nil
}

// watchedCheckpoints records checkpoints, and waits for a slow disk where nobody holds locks.
type watchedCheckpoints struct {
	node.Checkpoints
	life *life
}

// Create implements raft.SnapshotStore.
func (w *watchedCheckpoints) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, t raft.Transport) (raft.SnapshotSink, error) {
	if err := w.life.m.faults.stall(w.life.dead); err != nil {
		return nil, err
	}
	sink, err := w.Checkpoints.Create(version, index, term, configuration, configurationIndex, t)
	if err != nil {
		return nil, err
	}
	return &watchedSink{SnapshotSink: sink, life: w.life, index: index, term: term}, nil
}

// Open implements raft.SnapshotStore.
func (w *watchedCheckpoints) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, reader, err := w.Checkpoints.Open(id)
	if err != nil {
		w.life.unread(checkpointIndex(id), err)
		return nil, nil, err
	}
	return meta, &openedCheckpoint{reader, *meta}, nil
}

// openedCheckpoint carries a checkpoint's description to the state machine that restores it.
type openedCheckpoint struct {
	io.ReadCloser
	meta raft.SnapshotMeta
}

// WrappedReadCloser implements raft.ReadCloserWrapper.
func (o *openedCheckpoint) WrappedReadCloser() io.ReadCloser { return o.ReadCloser }

// openedBehind finds the description behind a reader.
func openedBehind(r io.ReadCloser) *raft.SnapshotMeta {
	for {
		switch v := r.(type) {
		case *openedCheckpoint:
			return &v.meta
		case raft.ReadCloserWrapper:
			r = v.WrappedReadCloser()
		default:
			return nil
		}
	}
}

// watchedSink is a checkpoint on its way to the disk.
type watchedSink struct {
	raft.SnapshotSink
	life        *life
	index, term uint64
	state       *checkpointState
	done        bool
}

// WriteState is what the state machine looks for in a sink.
func (w *watchedSink) WriteState(s snapshot.State) error {
	if err := w.life.m.faults.stall(w.life.dead); err != nil {
		return err
	}
	w.state = &checkpointState{s.Round, s.Root}
	err := w.SnapshotSink.(interface{ WriteState(snapshot.State) error }).WriteState(s)
	if err != nil {
		w.life.refused(w.index, err)
	}
	return err
}

// Close implements raft.SnapshotSink.
func (w *watchedSink) Close() error {
	if w.done {
		return w.SnapshotSink.Close()
	}
	if err := w.life.m.faults.stall(w.life.dead); err != nil {
		return joinErrors(err, w.SnapshotSink.Cancel())
	}
	if err := w.SnapshotSink.Close(); err != nil {
		return err
	}
	w.done = true
	l := w.life
	e := history.Event{Kind: history.Published, Index: w.index, Term: w.term}
	if w.state != nil {
		l.m.c.keepCheckpoint(l.m.number, w.index, *w.state)
		e.Round, e.Root = w.state.round, w.state.root
		l.record(e)
		return nil
	}
	l.mu.Lock()
	l.received[w.ID()] = true
	l.mu.Unlock()
	l.record(e)
	l.reached(plan.InInstall, 1)
	return nil
}

// watchedMachine records what the state machine does.
type watchedMachine struct {
	node.Machine
	life *life
}

// Apply implements raft.FSM.
func (w *watchedMachine) Apply(entry *raft.Log) any {
	l := w.life
	if !l.m.gate.pass(l.dead) {
		return errDead
	}
	l.starts()
	data := entry.Data
	response := w.Machine.Apply(entry)
	if result, ok := response.(*fsm.RoundResult); ok {
		l.applied(entry, data, result)
	}
	return response
}

// StoreConfiguration implements raft.ConfigurationStore.
func (w *watchedMachine) StoreConfiguration(index uint64, c raft.Configuration) {
	w.life.starts()
	w.life.m.c.configured(w.life, index, c)
	w.Machine.StoreConfiguration(index, c)
}

// Restore implements raft.FSM.
func (w *watchedMachine) Restore(from io.ReadCloser) error {
	l, meta := w.life, openedBehind(from)
	err := w.Machine.Restore(from)
	if err != nil {
		if meta != nil && !l.unread(meta.Index, err) {
			l.record(history.Event{Kind: history.CheckpointRefused, Index: meta.Index, Text: err.Error()})
		}
		return err
	}
	if meta == nil {
		return nil
	}
	status := w.Machine.Status()
	l.m.c.keepCheckpoint(l.m.number, meta.Index, checkpointState{uint64(status.Round), status.Root})
	l.mu.Lock()
	came, sender := l.received[meta.ID], l.sender
	if !came {
		l.base = meta
	}
	l.mu.Unlock()
	if came {
		l.starts()
		l.record(history.Event{Kind: history.Installed, Peer: uint8(sender), Index: meta.Index, Term: meta.Term,
			Round: uint64(status.Round), Root: status.Root})
		l.reached(plan.InRestore, 1)
	}
	return nil
}
