package drill

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"

	"lockstep/chaos/replay"
	"lockstep/fsm"
	"lockstep/snapshot"
)

func copyAll(to io.Writer, from io.Reader) (int64, error) {
	return io.CopyBuffer(to, from, make([]byte, 256<<10))
}

// corrupt damages the newest checkpoint of a replica: it must fall back to the older one.
func (e *Ensemble) corrupt() error {
	v := e.victim()
	if err := v.close(); err != nil {
		return err
	}
	paths, err := replay.ListCheckpoints(v.dir)
	if err != nil || len(paths) < 2 {
		return errors.Join(err, fmt.Errorf("%d checkpoints, two are needed", len(paths)))
	}
	newest := paths[len(paths)-1]
	if _, err := damageLargest(newest); err != nil {
		return err
	}
	if err := e.open(v); err != nil {
		return err
	}
	if _, err := os.Stat(newest); err == nil {
		return violation("%s was not set aside", newest)
	}
	if v.applied == 0 {
		return errors.New("the older checkpoint was not used")
	}
	return nil
}

// rollback takes every replica back to its older checkpoint.
func (e *Ensemble) rollback() error {
	for _, v := range e.replicas {
		if err := v.close(); err != nil {
			return err
		}
		paths, err := replay.ListCheckpoints(v.dir)
		if err != nil || len(paths) < 2 {
			return errors.Join(err, fmt.Errorf("%d checkpoints, two are needed", len(paths)))
		}
		if err := errors.Join(removeSameEntry(paths[len(paths)-1]), e.open(v)); err != nil {
			return err
		}
	}
	return nil
}

// loss rebuilds all replicas from one exported checkpoint folder.
func (e *Ensemble) loss() error {
	source := e.victim()
	if err := source.close(); err != nil {
		return err
	}
	paths, err := replay.ListCheckpoints(source.dir)
	if err != nil || len(paths) == 0 {
		return errors.Join(err, errors.New("there is no checkpoint to rebuild from"))
	}
	exported := filepath.Join(e.cfg.Dir, "exported", filepath.Base(paths[len(paths)-1]))
	if err := copyFolder(paths[len(paths)-1], exported); err != nil {
		return err
	}
	defer os.RemoveAll(exported)
	c, err := snapshot.OpenDir(exported)
	if err != nil {
		return err
	}
	at := raft.SnapshotMeta{Index: c.Index, Term: 1}
	if err := c.Close(); err != nil {
		return err
	}
	for _, v := range e.replicas {
		if err := e.reborn(v, exported, at); err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
	}
	return nil
}

// reborn makes a replica anew from a checkpoint folder.
func (e *Ensemble) reborn(v *member, exported string, at raft.SnapshotMeta) error {
	if err := errors.Join(v.close(), os.RemoveAll(v.dir)); err != nil {
		return err
	}
	store, err := snapshot.OpenStore(snapshot.Config{Dir: v.dir, Keep: 2, Hashing: fsm.Hashing(), Merge: snapshot.MergeWhenAsked})
	if err != nil {
		return err
	}
	_, err = store.Import(exported, at)
	return errors.Join(err, store.Close(), e.open(v))
}
