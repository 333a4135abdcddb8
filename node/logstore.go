package node

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/hashicorp/raft"
)

// StorageError reports that the log on disk failed. The node stops at the first one: hashicorp/raft would go on with a log
// that is not what it believes, or panic.
type StorageError struct {
	// Op is what was tried.
	Op  string
	Err error
}

func (e *StorageError) Error() string {
	text := fmt.Sprintf("storage failed: %s: %v", e.Op, e.Err)
	if errors.Is(e.Err, syscall.ENOSPC) || errors.Is(e.Err, syscall.EDQUOT) {
		text += ": the disk is full; nothing that was acknowledged is lost: free space and start the node again"
	}
	return text
}

func (e *StorageError) Unwrap() error { return e.Err }

// stopper ends a replica at the first failure of its storage, before the failing call returns: from then on no connection
// carries a byte and the state machine takes no round, so that whatever raft still does in memory reaches nobody.
type stopper interface{ stop(error) }

// guardedLog is the log under raft's cache. It turns every error into the replica's end, and keeps the log useful after
// compaction.
type guardedLog struct {
	under raft.LogStore
	stop  stopper
	// keepFrom tells from which index on the log must be kept: entries below may be compacted. newest is the index of the
	// newest checkpoint: raft compacts nothing above it and truncates nothing at or below it.
	keepFrom func() (keep, newest uint64, err error)
	// base is the last entry of the checkpoint that the log begins behind; nil when the log holds it, or begins at 1.
	base atomic.Pointer[logBase]
}

// logBase is an entry by index and term.
type logBase struct{ index, term uint64 }

func (g *guardedLog) fail(op string, err error) error {
	failure := &StorageError{Op: op, Err: err}
	g.stop.stop(failure)
	return failure
}

// FirstIndex implements raft.LogStore.
func (g *guardedLog) FirstIndex() (uint64, error) {
	index, err := g.under.FirstIndex()
	if err != nil {
		return 0, g.fail("find the first log entry", err)
	}
	return index, nil
}

// LastIndex implements raft.LogStore.
func (g *guardedLog) LastIndex() (uint64, error) {
	index, err := g.under.LastIndex()
	if err != nil {
		return 0, g.fail("find the last log entry", err)
	}
	return index, nil
}

// GetLog implements raft.LogStore. A missing entry is raft's ordinary question. Any other failure gives raft an empty entry
// in place of a panic: the replica has ended, and the state machine never sees the entry. One that was damaged where it lay
// (CheckedLog) is such a failure.
//
// The entry that the log begins behind is answered with its term, which is all that is asked of it: a leader that sends once
// more what follows the checkpoint is compared with it. Raft itself does so only while nothing follows, and otherwise rejects
// what the leader sends until it has sent the checkpoint again, without end. Nobody is sent that answer in place of the
// entry: to be sent an entry, a follower must have the one before it, which is not here.
func (g *guardedLog) GetLog(index uint64, entry *raft.Log) error {
	err := g.under.GetLog(index, entry)
	if base := g.base.Load(); base != nil && base.index == index && errors.Is(err, raft.ErrLogNotFound) {
		*entry = raft.Log{Index: index, Term: base.term, Type: raft.LogNoop}
		return nil
	}
	if err == nil || errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	g.stop.stop(&StorageError{Op: fmt.Sprintf("read log entry %d", index), Err: err})
	*entry = raft.Log{Index: index, Type: raft.LogNoop}
	return nil
}

// StoreLog implements raft.LogStore.
func (g *guardedLog) StoreLog(entry *raft.Log) error { return g.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore.
func (g *guardedLog) StoreLogs(entries []*raft.Log) error {
	if err := g.under.StoreLogs(entries); err != nil {
		return g.fail(fmt.Sprintf("write log entries %d to %d", entries[0].Index, entries[len(entries)-1].Index), err)
	}
	return nil
}

// DeleteRange implements raft.LogStore. Truncating a conflicting suffix is done as asked. Compaction spares what the oldest
// checkpoint kept needs, and always the entry at the newest checkpoint: without it a follower whose log is longer than its
// checkpoint rejects everything that follows the checkpoint, and is sent it again without end.
func (g *guardedLog) DeleteRange(low, high uint64) error {
	keep, newest, err := g.keepFrom()
	if err != nil {
		return g.fail("list checkpoints", err)
	}
	if low <= newest {
		if keep == 0 {
			return nil
		}
		high = min(high, keep-1)
	}
	return g.deleteRange(low, high)
}

func (g *guardedLog) deleteRange(low, high uint64) error {
	if low > high {
		return nil
	}
	if err := g.under.DeleteRange(low, high); err != nil {
		return g.fail(fmt.Sprintf("delete log entries %d to %d", low, high), err)
	}
	return nil
}

// guardedStable is the term and the vote. Raft panics when the term cannot be written; here the replica has ended by the time
// that raft is told a comforting lie.
type guardedStable struct {
	under raft.StableStore
	stop  stopper
}

// Set implements raft.StableStore.
func (g *guardedStable) Set(key, value []byte) error {
	if err := g.under.Set(key, value); err != nil {
		failure := &StorageError{Op: fmt.Sprintf("write %s", key), Err: err}
		g.stop.stop(failure)
		return failure
	}
	return nil
}

// Get implements raft.StableStore.
func (g *guardedStable) Get(key []byte) ([]byte, error) {
	value, err := g.under.Get(key)
	return value, g.read(key, err)
}

// SetUint64 implements raft.StableStore.
func (g *guardedStable) SetUint64(key []byte, value uint64) error {
	if err := g.under.SetUint64(key, value); err != nil {
		g.stop.stop(&StorageError{Op: fmt.Sprintf("write %s", key), Err: err})
	}
	return nil
}

// GetUint64 implements raft.StableStore.
func (g *guardedStable) GetUint64(key []byte) (uint64, error) {
	value, err := g.under.GetUint64(key)
	return value, g.read(key, err)
}

// read passes on a missing key, which raft knows by its text.
func (g *guardedStable) read(key []byte, err error) error {
	if err == nil || isMissing(err) {
		return err
	}
	failure := &StorageError{Op: fmt.Sprintf("read %s", key), Err: err}
	g.stop.stop(failure)
	return failure
}

// wholeLog refuses a log that begins behind checkpoints which are not there: raft would panic.
func wholeLog(log raft.LogStore) error {
	first, err := log.FirstIndex()
	if err == nil && first > 1 {
		err = &gapError{first: first}
	}
	return err
}

// mendLog makes the log fit the newest checkpoint before raft opens both. What it deletes is either covered by the
// checkpoint or provably not committed: the checkpoint is of committed entries, so an entry of another term at its index
// is not committed, nor is any entry after that one.
func mendLog(log raft.LogStore, checkpoint raft.SnapshotMeta) (deleted string, err error) {
	first, err := log.FirstIndex()
	if err != nil {
		return "", err
	}
	last, err := log.LastIndex()
	if err != nil || last == 0 {
		return "", err
	}
	at := checkpoint.Index
	switch {
	case first > at+1:
		return "", &gapError{first: first, at: at}
	case first == at+1:
		return "", nil
	case last < at:
		return fmt.Sprintf("entries %d to %d, which the checkpoint covers", first, last), log.DeleteRange(first, last)
	}
	var entry raft.Log
	err = log.GetLog(at, &entry)
	switch {
	case errors.Is(err, raft.ErrLogNotFound):
		return fmt.Sprintf("entries %d to %d, which the checkpoint covers", first, at-1), log.DeleteRange(first, at-1)
	case err != nil:
		return "", err
	case entry.Term != checkpoint.Term:
		return fmt.Sprintf("entries %d to %d, which conflict with the checkpoint", first, last), log.DeleteRange(first, last)
	}
	return "", nil
}

// conflict is an entry of our log that contradicts a checkpoint which a leader sent: that checkpoint's last index and term.
type conflict struct{ index, term uint64 }

func (c *conflict) Error() string {
	return fmt.Sprintf("log entry %d is not of term %d as the leader's checkpoint says", c.index, c.term)
}

// cut deletes our entry at the conflict and all after it, none of which can be committed, if the conflict is still there.
func (c *conflict) cut(log raft.LogStore) error {
	last, err := log.LastIndex()
	if err != nil || last < c.index {
		return err
	}
	var entry raft.Log
	if err := log.GetLog(c.index, &entry); err != nil {
		return fmt.Errorf("read log entry %d: %w", c.index, err)
	}
	if entry.Term == c.term {
		return nil
	}
	return log.DeleteRange(c.index, last)
}
