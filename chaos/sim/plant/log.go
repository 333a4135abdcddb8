package plant

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/chaos/sim"
	"lockstep/fsm"
)

// late acknowledges entries before they are on the disk, and writes them a little later.
type late struct {
	under raft.LogStore

	mu      sync.Mutex
	pending []*raft.Log
	writing bool
}

// lateBy is how much later.
const lateBy = 400 * time.Millisecond

// FirstIndex implements raft.LogStore.
func (l *late) FirstIndex() (uint64, error) {
	first, err := l.under.FirstIndex()
	l.mu.Lock()
	defer l.mu.Unlock()
	if first == 0 && err == nil && len(l.pending) > 0 {
		return l.pending[0].Index, nil
	}
	return first, err
}

// LastIndex implements raft.LogStore.
func (l *late) LastIndex() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.pending); n > 0 {
		return l.pending[n-1].Index, nil
	}
	return l.under.LastIndex()
}

// GetLog implements raft.LogStore.
func (l *late) GetLog(index uint64, out *raft.Log) error {
	l.mu.Lock()
	for _, e := range l.pending {
		if e.Index == index {
			*out = *e
			l.mu.Unlock()
			return nil
		}
	}
	l.mu.Unlock()
	return l.under.GetLog(index, out)
}

// StoreLog implements raft.LogStore.
func (l *late) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

// StoreLogs implements raft.LogStore.
func (l *late) StoreLogs(entries []*raft.Log) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		c := *e
		l.pending = append(l.pending, &c)
	}
	if !l.writing {
		l.writing = true
		go func() {
			time.Sleep(lateBy)
			_ = l.flush() // an error is what the bug does not see
		}()
	}
	return nil
}

// flush writes what waits.
func (l *late) flush() error {
	l.mu.Lock()
	entries := slices.Clone(l.pending)
	l.mu.Unlock()
	var err error
	if len(entries) > 0 {
		err = l.under.StoreLogs(entries)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending, l.writing = l.pending[min(len(entries), len(l.pending)):], false
	return err
}

// DeleteRange implements raft.LogStore.
func (l *late) DeleteRange(low, high uint64) error {
	if err := l.flush(); err != nil {
		return err
	}
	return l.under.DeleteRange(low, high)
}

// forgetful writes the first term and vote to the disk, and keeps later ones in memory only.
type forgetful struct {
	raft.StableStore

	mu    sync.Mutex
	newer map[string][]byte
}

// Set implements raft.StableStore.
func (f *forgetful) Set(key, value []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.StableStore.Get(key); err != nil {
		return f.StableStore.Set(key, value)
	}
	f.newer[string(key)] = slices.Clone(value)
	return nil
}

// Get implements raft.StableStore.
func (f *forgetful) Get(key []byte) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v, ok := f.newer[string(key)]; ok {
		return v, nil
	}
	return f.StableStore.Get(key)
}

// SetUint64 implements raft.StableStore.
func (f *forgetful) SetUint64(key []byte, value uint64) error {
	return f.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 implements raft.StableStore.
func (f *forgetful) GetUint64(key []byte) (uint64, error) {
	value, err := f.Get(key)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(value), nil
}

// greedy cuts more off the log than it is told to.
type greedy struct{ raft.LogStore }

// DeleteRange implements raft.LogStore.
func (g *greedy) DeleteRange(low, high uint64) error {
	first, err := g.FirstIndex()
	if err != nil {
		return err
	}
	last, err := g.LastIndex()
	if err != nil {
		return err
	}
	if low == first && high < last {
		high = last
	}
	return g.LogStore.DeleteRange(low, high)
}

// stumbling fails once after each time that a wrong end was cut off.
type stumbling struct {
	raft.LogStore

	mu   sync.Mutex
	fail bool
}

var errStumbled = errors.New("input/output error")

// DeleteRange implements raft.LogStore.
func (s *stumbling) DeleteRange(low, high uint64) error {
	last, err := s.LastIndex()
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.fail = high >= last
	s.mu.Unlock()
	return s.LogStore.DeleteRange(low, high)
}

// StoreLogs implements raft.LogStore.
func (s *stumbling) StoreLogs(entries []*raft.Log) error {
	s.mu.Lock()
	fail := s.fail
	s.fail = false
	s.mu.Unlock()
	if fail {
		return errStumbled
	}
	return s.LogStore.StoreLogs(entries)
}

// StoreLog implements raft.LogStore.
func (s *stumbling) StoreLog(e *raft.Log) error { return s.StoreLogs([]*raft.Log{e}) }

// altering writes something else than it is told to, with good checksums.
type altering struct{ raft.LogStore }

// StoreLogs implements raft.LogStore.
func (a *altering) StoreLogs(entries []*raft.Log) error {
	changed := make([]*raft.Log, len(entries))
	for i, e := range entries {
		changed[i] = e
		if e.Type == raft.LogCommand && e.Index%5 == 0 {
			changed[i] = rewritten(e, alterArgument)
		}
	}
	return a.LogStore.StoreLogs(changed)
}

// StoreLog implements raft.LogStore.
func (a *altering) StoreLog(e *raft.Log) error { return a.StoreLogs([]*raft.Log{e}) }

func alterArgument(r *fsm.Round) {
	for i := range r.Messages {
		r.Messages[i].Arg = append(r.Messages[i].Arg, '!')
	}
}

func logs(replica int, make func(raft.LogStore) raft.LogStore) func() *sim.Seams {
	return func() *sim.Seams {
		return &sim.Seams{Logs: func(n int, under raft.LogStore) raft.LogStore {
			if replica != 0 && n != replica {
				return under
			}
			return make(under)
		}}
	}
}

const allCrash = "at 5s for 400ms crash nodes=all power=lost\nat 12s for 400ms crash nodes=all power=lost\nat 19s for 400ms crash nodes=all power=lost\n"

var logPlants = []Plant{
	{Name: "ack-before-durable", Doc: "the log acknowledges entries before they are on the disk.",
		Expect: []string{"committed-kept", "linearizability", "exactly-once", "log-matching", agreement, "liveness", "no-panic"}, faults: allCrash,
		seams: logs(0, func(under raft.LogStore) raft.LogStore { return &late{under: under} })},
	{Name: "vote-not-kept", Doc: "terms and votes are not written to the disk, but for the first.", Expect: []string{"one-leader", "log-matching", "committed-kept"},
		faults: allCrash,
		seams: func() *sim.Seams {
			return &sim.Seams{Stable: func(_ int, under raft.StableStore) raft.StableStore {
				return &forgetful{StableStore: under, newer: map[string][]byte{}}
			}}
		}},
	{Name: "log-cut-too-far", Doc: "compaction cuts the log behind the newest checkpoint.", Expect: []string{"liveness", "no-panic"}, faults: killed,
		shape: busy, seams: logs(0, func(under raft.LogStore) raft.LogStore { return &greedy{under} })},
	{Name: "log-alters-entries", Doc: "one replica's log gives back something else than was written to it.", Expect: []string{"committed-kept", agreement, "log-matching"},
		faults: "at 8s for 300ms kill nodes=2\nat 14s for 300ms kill nodes=2\nat 20s for 300ms kill nodes=2\n",
		seams:  logs(2, func(under raft.LogStore) raft.LogStore { return &altering{under} })},
}
