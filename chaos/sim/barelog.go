package sim

import (
	"errors"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/chaos/plan"
)

// bareLog makes of the device, whose log has no gaps, what bare raft is usually given: a log like raft-boltdb's, in which an entry may be
// written over one that is there, as after a write that failed and stayed, and behind a gap, as after a checkpoint from a leader. What would
// lie before the gap, or behind what is written over, goes: raft never asks for it.
//
// It also lets the abandoned life of a crashed replica end: raft panics where the term or a committed entry cannot be had, which would be
// the end of the simulation, where there was only that of a replica.
type bareLog struct{ *disk }

var _ raft.LogStore = bareLog{}

// looksFor is how long it takes to find that an entry is not there: a leader that is to hand over to a replica to which it can send neither
// entries nor a checkpoint looks without a pause, and time would stand still.
const looksFor = 100 * time.Microsecond

// GetLog implements raft.LogStore.
func (b bareLog) GetLog(index uint64, e *raft.Log) error {
	err := b.disk.GetLog(index, e)
	switch {
	case errors.Is(err, errDead):
		*e = raft.Log{Index: index, Type: raft.LogNoop}
		return nil
	case errors.Is(err, raft.ErrLogNotFound):
		sleep(looksFor, b.dead)
	}
	return err
}

// StoreLog implements raft.LogStore.
func (b bareLog) StoreLog(e *raft.Log) error { return b.StoreLogs([]*raft.Log{e}) }

// StoreLogs implements raft.LogStore.
func (b bareLog) StoreLogs(entries []*raft.Log) error {
	last, err := b.LastIndex()
	if err != nil {
		return err
	}
	switch at := entries[0].Index; {
	case last == 0 || at == last+1:
	case at <= last:
		err = b.disk.remove(at, last)
	default:
		err = b.disk.remove(0, last)
	}
	if err != nil {
		return err
	}
	return b.disk.StoreLogs(entries)
}

// bareStable is the term and the vote of bare raft, which ends its process where the term cannot be written. As a process that is started
// again does, only the replica ends.
type bareStable struct {
	*disk
	life *life
}

var _ raft.StableStore = bareStable{}

// SetUint64 implements raft.StableStore.
func (b bareStable) SetUint64(key []byte, value uint64) error {
	err := b.disk.SetUint64(key, value)
	if err != nil && !errors.Is(err, errDead) {
		b.life.m.crash(b.life, plan.Kept, 0)
	}
	return nil
}
