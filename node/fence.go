package node

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
)

// errEnded is what raft gets from a replica that has ended.
var errEnded = errors.New("this replica has ended")

// fencedMachine is the state machine as raft sees it. Once the fence is up nothing reaches the machine any more, whatever
// raft still does.
type fencedMachine struct {
	Machine
	// fence is the replica's: it is up once the replica has ended.
	fence   *atomic.Bool
	metrics *metrics
	// applied holds a wake-up for the checkpoint loop.
	applied chan struct{}
	// captured is the round of the newest state that was captured for a checkpoint, restored the one of the newest
	// checkpoint that was restored.
	captured, restored atomic.Uint64
}

var (
	_ raft.FSM                = (*fencedMachine)(nil)
	_ raft.ConfigurationStore = (*fencedMachine)(nil)
)

func newFencedMachine(m Machine, fence *atomic.Bool, metrics *metrics) *fencedMachine {
	return &fencedMachine{Machine: m, fence: fence, metrics: metrics, applied: make(chan struct{}, 1)}
}

// Apply implements raft.FSM.
func (f *fencedMachine) Apply(entry *raft.Log) any {
	if f.fence.Load() {
		return errEnded
	}
	start := time.Now()
	response := f.Machine.Apply(entry)
	if result, ok := response.(*fsm.RoundResult); ok {
		f.metrics.applySeconds.Observe(time.Since(start).Seconds())
		f.metrics.rounds.Inc()
		f.metrics.messages.Add(float64(len(result.Results)))
		select {
		case f.applied <- struct{}{}:
		default:
		}
	}
	return response
}

// StoreConfiguration implements raft.ConfigurationStore.
func (f *fencedMachine) StoreConfiguration(index uint64, c raft.Configuration) {
	if !f.fence.Load() {
		f.Machine.StoreConfiguration(index, c)
	}
}

// Snapshot implements raft.FSM.
func (f *fencedMachine) Snapshot() (raft.FSMSnapshot, error) {
	if f.fence.Load() {
		return nil, errEnded
	}
	captured, err := f.Machine.Snapshot()
	if err == nil {
		f.captured.Store(uint64(f.Status().Round))
	}
	return captured, err
}

// Restore implements raft.FSM.
func (f *fencedMachine) Restore(from io.ReadCloser) error {
	if f.fence.Load() {
		return errors.Join(errEnded, from.Close())
	}
	err := f.Machine.Restore(from)
	if err == nil {
		f.restored.Store(uint64(f.Status().Round))
	}
	return err
}
