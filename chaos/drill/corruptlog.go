package drill

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"lockstep/node"
)

// logDamages are the ways in which a stopped replica's log is damaged.
var logDamages = []struct {
	what   string
	damage func(path string) error
}{
	{"its beginning overwritten with garbage", overwriteLog},
	{"its second half cut off", halveLog},
	{"a bit flipped in its newest round", flipNewestRound},
}

// corruptLog damages a follower's log in one way after the other. Nobody helps the replica: it must find the damage when it
// starts, put its log aside, and be sent the state by the others.
func corruptLog(r *rig) error {
	for _, d := range logDamages {
		// One that was sent the state has nothing in its log that could be damaged.
		if err := r.work(2); err != nil {
			return err
		}
		if err := r.agree(); err != nil {
			return err
		}
		v, err := r.victim()
		if err != nil {
			return err
		}
		if err := r.end(syscall.SIGKILL, v); err != nil {
			return err
		}
		if err := d.damage(r.dir(v, "raft.db")); err != nil {
			return err
		}
		if err := r.work(2 * checkpointEvery); err != nil {
			return err
		}
		if err := r.start(v); err != nil {
			return err
		}
		var s node.StatusReport
		if err := r.wait(r.members()[v].ID+" has a state again", func() bool {
			var ok bool
			s, ok = r.status(v)
			return r.died() != nil || ok && s.State == node.StateRunning && s.Round > 0
		}); err != nil {
			return err
		}
		if err := r.died(); err != nil {
			return err
		}
		if s.SetAside == "" {
			return violation("%s goes on with a log that has %s", s.Node, d.what)
		}
		r.fact("%s, %s: set aside in %s", s.Node, d.what, s.SetAside)
		if err := r.agree(); err != nil {
			return err
		}
	}
	return nil
}

func overwriteLog(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(bytes.Repeat([]byte("not what was written "), 3000), 0)
	return errors.Join(err, file.Close())
}

// halveLog cuts off the second half of the pages that the file counts as its own: it may be twice as long as they are.
func halveLog(path string) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	var size int64
	err = db.View(func(tx *bbolt.Tx) error {
		size = tx.Size()
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return os.Truncate(path, size/2)
}

// flipNewestRound writes the newest entry of a round again with a bit in its data flipped: the file's own structure stays right.
func flipNewestRound(path string) error {
	log, err := raftboltdb.New(raftboltdb.Options{Path: path})
	if err != nil {
		return err
	}
	err = flipNewest(log)
	return errors.Join(err, log.Close())
}

func flipNewest(log raft.LogStore) error {
	last, err := log.LastIndex()
	if err != nil {
		return err
	}
	for index := last; index > 0; index-- {
		var entry raft.Log
		if err := log.GetLog(index, &entry); err != nil {
			return fmt.Errorf("read log entry %d: %w", index, err)
		}
		if entry.Type == raft.LogCommand && len(entry.Data) > 0 {
			entry.Data[len(entry.Data)/2] ^= 1
			return log.StoreLog(&entry)
		}
	}
	return errors.New("the log has no round to damage")
}
