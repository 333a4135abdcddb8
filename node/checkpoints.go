package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/snapshot"
)

// CheckpointStatus describes the checkpoints of a node.
type CheckpointStatus struct {
	// Count is the number of complete checkpoints on disk.
	Count int `json:"count"`
	// Index and Round are of the newest one: its last log entry and the state's round. Round is 0 when this process has
	// neither taken nor restored it.
	Index uint64 `json:"index"`
	Round uint64 `json:"round"`
	// Bytes is what sending it to a follower that has nothing would take.
	Bytes int64 `json:"bytes"`
	// Taken is when this process finished the newest one that it took; zero if it took none.
	Taken time.Time `json:"taken,omitzero"`
	// Every is the number of rounds between two.
	Every uint64 `json:"every"`
	// Failure is why the last try failed; empty when it did not.
	Failure string `json:"failure,omitempty"`
	// Failed counts the tries of this process that failed.
	Failed uint64 `json:"failed"`
}

// checkpointer takes a checkpoint whenever enough rounds were applied since the last, and after one was found damaged. Raft's own
// schedule is by time, and is off.
type checkpointer struct {
	every   uint64
	machine *fencedMachine
	raft    *raft.Raft
	store   raft.SnapshotStore
	logger  *slog.Logger
	metrics *metrics
	damaged <-chan struct{}
	// stop ends the replica.
	stop func(error)
	// failed is called after a failure: what kept the checkpoint from being written may be the end of the replica.
	failed func()

	quit chan struct{}
	loop sync.WaitGroup

	// mu guards the fields below.
	mu      sync.Mutex
	saved   uint64 // round of the newest checkpoint taken
	taken   time.Time
	failure string
}

func newCheckpointer(every uint64, r *replica) *checkpointer {
	return &checkpointer{every: every, machine: r.machine, raft: r.raft, store: r.checkpoints, logger: r.logger,
		metrics: r.metrics, damaged: r.parts.Damaged, stop: r.stop, failed: r.grounds.look, quit: make(chan struct{})}
}

func (c *checkpointer) start() { c.loop.Go(c.run) }

// close waits for a checkpoint under way.
func (c *checkpointer) close(ctx context.Context) error {
	close(c.quit)
	return waitGroup(ctx, &c.loop, "the checkpoint under way")
}

func (c *checkpointer) run() {
	last := c.machine.restored.Load()
	for {
		replace := false
		select {
		case <-c.machine.applied:
		case <-c.damaged:
			replace = true
		case <-c.quit:
			return
		}
		round := uint64(c.machine.Latest().Round)
		last = max(last, c.machine.restored.Load()) // a checkpoint from the leader counts too
		if round < last+c.every && !replace {
			continue
		}
		last = round // a failure is tried again after as many rounds
		take := c.take
		if replace {
			take = c.replaceDamaged
		}
		if saved, ok := take(); ok {
			last = saved
		}
	}
}

// replaceDamaged takes a checkpoint after one was set aside: nobody else has one to send to a replica that needs it. Others may
// share files with the damaged one, and the next would share them again, so all of them are read first. If the new one is
// damaged all the same, the pages in memory are, which were mapped from those files: the replica ends.
func (c *checkpointer) replaceDamaged() (round uint64, ok bool) {
	c.logger.Info("reading all checkpoints, and taking one in place of the damaged one", "round", uint64(c.machine.Latest().Round))
	_ = c.readAll() // those that are damaged are set aside now
	if round, ok = c.take(); ok {
		if err := c.readAll(); snapshot.IsDamage(err) {
			c.stop(&StorageError{Op: "take a checkpoint in place of a damaged one", Err: fmt.Errorf("the state in memory is damaged as well, start the node again: %w", err)})
		}
	}
	select {
	case <-c.damaged: // what readAll itself found
	default:
	}
	return round, ok
}

// readAll reads every byte of every checkpoint.
func (c *checkpointer) readAll() error {
	metas, err := c.store.List()
	if err != nil {
		return err
	}
	var errs []error
	for _, meta := range metas {
		_, reader, err := c.store.Open(meta.ID)
		if err == nil {
			_, err = io.Copy(io.Discard, reader)
			err = errors.Join(err, reader.Close())
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// take writes one checkpoint and gives its round.
func (c *checkpointer) take() (round uint64, ok bool) {
	start := time.Now()
	err := c.raft.Snapshot().Error()
	round = c.machine.captured.Load()
	if errors.Is(err, raft.ErrRaftShutdown) || errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return round, false
	}
	took := time.Since(start)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failure = err.Error()
		c.metrics.checkpointsFailed.Inc()
		c.metrics.checkpointsNotTaken.Add(1)
		c.logger.Error("checkpoint failed; the log grows until one succeeds", "round", round, "err", err)
		c.failed()
		return round, false
	}
	c.failure, c.saved, c.taken = "", round, time.Now()
	c.metrics.checkpointSeconds.Observe(took.Seconds())
	c.metrics.checkpointsTaken.Add(1)
	if metas, err := c.store.List(); err == nil && len(metas) > 0 {
		c.metrics.checkpointBytes.Set(float64(metas[0].Size))
	}
	c.logger.Info("checkpoint taken", "round", round, "took", took.Round(time.Millisecond))
	return round, true
}

func (c *checkpointer) status() CheckpointStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := CheckpointStatus{Round: max(c.saved, c.machine.restored.Load()), Taken: c.taken, Failure: c.failure, Every: c.every,
		Failed: c.metrics.checkpointsNotTaken.Load()}
	metas, err := c.store.List()
	if err != nil {
		s.Failure = err.Error()
	}
	s.Count = len(metas)
	if s.Count > 0 {
		s.Index, s.Bytes = metas[0].Index, metas[0].Size
	}
	return s
}
