package fsm

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"lockstep/pagetrie"
	"lockstep/snapshot"
)

var (
	_ raft.FSM                = (*Machine)(nil)
	_ raft.ConfigurationStore = (*Machine)(nil)
)

// Apply applies one log entry; raft calls it on its FSM goroutine. The response is a *RoundResult, or the error with
// which the machine has stopped.
func (m *Machine) Apply(entry *raft.Log) any {
	if err := m.Stopped(); err != nil {
		return err
	}
	round, err := DecodeRound(entry.Data)
	if err != nil {
		return m.stop(fmt.Errorf("log index %d: %w: the log is damaged or of another version; restore this replica from its peers", entry.Index, err))
	}
	result, err := m.ApplyRound(entry.Index, round)
	if err != nil {
		return err
	}
	return result
}

// StoreConfiguration is told of a committed membership change. The state doesn't hold the membership; only the index moves
// on, without which raft could not take a checkpoint whose last entry is a membership change.
func (m *Machine) StoreConfiguration(index uint64, _ raft.Configuration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index = max(m.index, index)
	m.wakeLocked()
}

// Snapshot captures the newest state for a checkpoint, in constant time; raft calls it on its FSM goroutine. A state that rests
// on a checkpoint in which damage was found is not captured: the machine is about to stop, and no other checkpoint is made of it.
func (m *Machine) Snapshot() (raft.FSMSnapshot, error) {
	p, err := m.acquire()
	if err != nil {
		return nil, err
	}
	if c := p.world.checkpoint; c != nil && c.Damaged() {
		return nil, errors.Join(fmt.Errorf("the state was restored from checkpoint %s, which is damaged", c.ID), m.release(p))
	}
	return &capture{machine: m, published: p}, nil
}

// capture is a state held for a checkpoint. Raft calls Persist beside later rounds, and Release in the end.
type capture struct {
	machine   *Machine
	published *published
}

// Persist writes the checkpoint. The sink must be one of snapshot.Store.
func (c *capture) Persist(sink raft.SnapshotSink) error {
	err := c.persist(sink)
	if damage := new(pagetrie.Unreadable); errors.As(err, &damage) {
		_ = c.machine.stop(err) // it is the live state that can't be read
	}
	if err != nil {
		return errors.Join(err, sink.Cancel())
	}
	if err := sink.Close(); err != nil {
		return err
	}
	c.published.world.wrote(&c.published.state)
	return nil
}

func (c *capture) persist(sink raft.SnapshotSink) error { return c.published.persist(sink) }

func (p *published) persist(sink raft.SnapshotSink) (err error) {
	defer pagetrie.CatchUnreadable(&err)
	writer, ok := sink.(interface{ WriteState(snapshot.State) error })
	if !ok {
		return fmt.Errorf("write checkpoint %s: sink is a %T, which can't take a state", sink.ID(), sink)
	}
	state, err := p.checkpoint()
	if err != nil {
		return fmt.Errorf("write checkpoint %s: %w", sink.ID(), err)
	}
	return writer.WriteState(state)
}

// Release lets the captured state go.
func (c *capture) Release() {
	if err := c.machine.release(c.published); err != nil {
		_ = c.machine.stop(fmt.Errorf("release checkpointed state: %w", err))
	}
}

// Restore replaces the whole state by a checkpoint's. The new state is built aside and verified by its root; only then does
// the machine enter it; on an error it stays as it was.
func (m *Machine) Restore(reader io.ReadCloser) error {
	if err := m.Stopped(); err != nil {
		return errors.Join(err, reader.Close())
	}
	checkpoint, err := snapshot.FromReader(reader)
	if err != nil {
		return errors.Join(fmt.Errorf("restore: %w", err), reader.Close())
	}
	err = m.RestoreCheckpoint(checkpoint)
	return errors.Join(err, checkpoint.Close(), reader.Close())
}
