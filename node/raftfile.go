//go:build unix

package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"lockstep/node/logfile"
)

// openRaftFile opens log, term and vote, without checksums; disk closes both.
func openRaftFile(path string) (logs raft.LogStore, stable raft.StableStore, disk io.Closer, err error) {
	// bbolt trusts its pages: over a wrong one it panics, on a goroutine of its own.
	if err := logfile.Check(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil, err
	}
	db, err := raftboltdb.New(raftboltdb.Options{Path: path,
		BoltOptions: &bbolt.Options{Timeout: time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("open log %s: %w", path, err)
	}
	return diskLog{db}, db, db, nil
}

// diskLog is a log in a file whose pages were checked: an entry in it that cannot be decoded is damaged.
type diskLog struct{ *raftboltdb.BoltStore }

// GetLog implements raft.LogStore. Errors are raft.ErrLogNotFound, bbolt's ErrDatabaseNotOpen, or an *EntryError.
func (d diskLog) GetLog(index uint64, entry *raft.Log) error {
	err := d.BoltStore.GetLog(index, entry)
	if err == nil || errors.Is(err, raft.ErrLogNotFound) || errors.Is(err, bbolterrors.ErrDatabaseNotOpen) {
		return err
	}
	return &EntryError{index, err}
}

// lockFolder takes the lock of a data folder. errLocked says that another process has it.
func lockFolder(lock *os.File) error {
	err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}
