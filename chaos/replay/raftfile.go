//go:build unix

package replay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"lockstep/node"
	"lockstep/node/logfile"
)

// lock shares the lock that a running replica holds alone. A folder that was copied without it has nobody to keep out.
func (f *Folder) lock() error {
	file, err := os.Open(filepath.Join(f.Path, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", f.Path, err)
	}
	f.closers = append(f.closers, file.Close)
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%s %w", f.Path, ErrInUse)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", f.Path, err)
	}
	return nil
}

func (f *Folder) openLog() error {
	path := filepath.Join(f.Path, LogFile)
	log, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{ReadOnly: true, Timeout: time.Second}})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return fmt.Errorf("%s %w", f.Path, ErrInUse)
	}
	if err == nil {
		f.closers = append(f.closers, log.Close)
	}
	// So opened, and locked, bbolt has looked at nothing but the first pages: what it is asked for later it does not check.
	var damage *logfile.DamageError
	if err := logfile.Check(path); errors.As(err, &damage) {
		return fmt.Errorf("%w; take the folder of another replica", err)
	} else if err != nil {
		return err
	}
	if err != nil {
		return fmt.Errorf("log %s: %w", path, err)
	}
	f.Log = node.CheckedLog(log)
	return nil
}
