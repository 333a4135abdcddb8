package fsm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"lockstep/canister"
	"lockstep/memstore"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// Config is what a machine is made of. Nothing in it may influence the replicated state.
type Config struct {
	// Engine compiles and runs modules; one per replica. nil for a machine that is never given one: it has sessions, checkpoints and the
	// management canister.
	Engine *canister.Engine
	// Tracker finds the pages that messages change; nil or "" is memstore's default.
	Tracker memstore.Tracking
	// Workers bounds the canisters of a round that run beside each other; 0 means GOMAXPROCS.
	Workers int
	// RootsKept is the number of recent rounds whose roots are kept for Roots and for attestations; 0 means 65536.
	RootsKept int
	// StatesKept bounds the states before the newest that View can give; 0 means 16, and a negative number none.
	StatesKept int
	// CanisterLog receives what canisters print; nil drops it. It is called from several goroutines.
	CanisterLog func(id CanisterID, text string)
	// OnStop is called once, on the goroutine that finds the reason, when the machine stops for good: with a *DivergedError,
	// with the failure of the world, or with damage to the checkpoint that the state was restored from (snapshot.IsDamage).
	// It must not wait for raft. nil ignores it.
	OnStop func(error)
	// ProveRestored verifies, beside rounds, every byte of the files that a state was restored from. Without it what is read
	// of them is verified all the same, but at the cost of looking, after every message, at which pages were touched.
	ProveRestored bool
}

// Machine is the replicated state machine of one replica. It implements raft.FSM and raft.ConfigurationStore (raft.go).
type Machine struct {
	cfg Config

	// These belong to raft's FSM goroutine.
	state State
	order *sessionOrder
	names map[string]CanisterID
	// limits are those of the newest round with their hash.
	limits hashedLimits

	// composite lets one composite query run at a time (composite.go).
	composite sync.Mutex

	// mu guards what other goroutines see.
	mu       sync.RWMutex
	pages    *memstore.Store
	current  *published
	index    uint64
	roots    rootRing
	stopped  error
	advanced chan struct{} // closed and replaced when index or stopped changes
	ended    chan struct{} // closed when stopped is set
	pending  pendingTable
	window   window
}

// New gives a machine with the empty state of a new cluster.
func New(cfg Config) (*Machine, error) {
	if cfg.Workers == 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.Tracker == nil || cfg.Tracker == memstore.Tracker("") {
		cfg.Tracker = memstore.TrackerAuto
	}
	if cfg.RootsKept == 0 {
		cfg.RootsKept = 65536
	}
	if cfg.StatesKept == 0 {
		cfg.StatesKept = 16
	}
	pages, err := memstore.OpenStore(memstore.StoreConfig{})
	if err != nil {
		return nil, fmt.Errorf("open page store: %w", err)
	}
	m := &Machine{cfg: cfg, roots: newRootRing(cfg.RootsKept), advanced: make(chan struct{}), ended: make(chan struct{})}
	w := newWorld(newState(DefaultLimits()), pages)
	root, err := w.root()
	if err != nil {
		return nil, errors.Join(err, pages.Close())
	}
	m.enter(w, 0, root)
	return m, nil
}

// world is a whole state with what makes it live: what New and Restore build aside before the machine enters it.
type world struct {
	state State
	pages *memstore.Store
	live  map[*canister.Canister]struct{}
	names map[string]CanisterID
	// checkpoint is what the world was restored from, and still reads from; nil if it was not.
	checkpoint *snapshot.Checkpoint
	files      []restoredFile
	proving    *proving
}

func newWorld(state State, pages *memstore.Store) world {
	return world{state: state, pages: pages, live: map[*canister.Canister]struct{}{}, names: map[string]CanisterID{}}
}

func (w *world) root() (pagetrie.Hash, error) {
	limits, err := hashLimits(w.state.Limits)
	if err != nil {
		return pagetrie.Hash{}, err
	}
	return w.state.root(w.pages, limits), nil
}

// close frees everything; the pages last, since the canisters' memories map them.
func (w *world) close() error {
	var errs []error
	for live := range w.live {
		errs = append(errs, live.Close())
	}
	errs = append(errs, w.pages.Close())
	if w.checkpoint != nil {
		w.proving.stop.Store(true)
		errs = append(errs, w.checkpoint.Close())
	}
	return errors.Join(errs...)
}

// enter makes w the machine's state at a log index. What was before is freed when its last user lets go.
func (m *Machine) enter(w world, index uint64, root pagetrie.Hash) {
	m.state, m.names, m.order = w.state, w.names, newSessionOrder(&w.state.sessions)
	m.mu.Lock()
	m.pages = w.pages
	m.roots.reset()
	m.pending.reset(&w.state)
	m.mu.Unlock()
	shared := &sharedWorld{world: w}
	shared.wrote(&w.state)
	m.publish(&published{state: w.state, root: root, world: shared}, index)
	m.proveRestored(&w)
}

func (m *Machine) canisterConfig(l canister.Limits) canister.Config {
	return canister.Config{Engine: m.cfg.Engine, Store: m.pages, Tracker: m.cfg.Tracker, Limits: l}
}

// logOf is where a canister prints to; nil if nobody listens.
func (m *Machine) logOf(id CanisterID) func(string) {
	if m.cfg.CanisterLog == nil {
		return nil
	}
	return func(text string) { m.cfg.CanisterLog(id, text) }
}

// ApplyRound applies one round. It runs on raft's FSM goroutine, or alone when a log is replayed. An error means that the
// machine has stopped for good, now or earlier.
func (m *Machine) ApplyRound(index uint64, round *Round) (*RoundResult, error) {
	if err := m.Stopped(); err != nil {
		return nil, err
	}
	if err := m.compare(round.Attested); err != nil {
		return nil, m.stop(err)
	}
	work := m.newRoundWork(round)
	root, err := work.outcome()
	if err != nil {
		return nil, m.stop(err)
	}
	m.state = work.next
	result := &RoundResult{Round: m.state.Round, Index: index, Time: m.state.Time, Root: root, Results: work.results, Completed: work.completed}
	m.publish(&published{state: m.state, root: root, world: m.current.world}, index)
	m.note(result)
	return result, nil
}

// outcome runs the round and gives the root of the state after it.
func (w *roundWork) outcome() (root pagetrie.Hash, err error) {
	defer pagetrie.CatchUnreadable(&err)
	if err := w.run(); err != nil {
		return root, err
	}
	limits, err := w.machine.limits.of(w.next.Limits)
	if err != nil {
		return root, err
	}
	return w.next.root(w.machine.pages, limits), nil
}

// compare holds an attestation against the machine's own root of that round, if it still has it.
func (m *Machine) compare(a Attestation) error {
	if a.Round == 0 {
		return nil
	}
	m.mu.RLock()
	own, known := m.roots.get(a.Round)
	m.mu.RUnlock()
	if !known || own == a.Root {
		return nil
	}
	return &DivergedError{Round: a.Round, Own: own, Attested: a.Root, FoundAt: m.state.Round + 1}
}

// stop makes err the machine's end and tells OnStop, the first time.
func (m *Machine) stop(err error) error {
	m.mu.Lock()
	first := m.stopped == nil
	if first {
		m.endLocked(err)
	}
	m.mu.Unlock()
	if first && m.cfg.OnStop != nil {
		m.cfg.OnStop(err)
	}
	return err
}

// Stopped gives the reason why the machine has stopped, nil while it runs.
func (m *Machine) Stopped() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.stopped
}

// ErrClosed is the reason of a machine that was closed.
var ErrClosed = errors.New("state machine is closed")

// Close stops the machine and frees its memory once the last query and checkpoint have ended. Raft must be shut down.
func (m *Machine) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped == nil {
		m.endLocked(ErrClosed)
	}
	if m.current == nil {
		return nil
	}
	current := m.current
	m.current = nil
	return errors.Join(m.window.shrink(m, 0), m.releaseLocked(current))
}

// WaitIndex waits until the machine has itself applied the log up to index, as far as that holds commands and
// configurations: the other entries never reach it.
func (m *Machine) WaitIndex(ctx context.Context, index uint64) error {
	for {
		m.mu.RLock()
		reached, stopped, advanced := m.index >= index, m.stopped, m.advanced
		m.mu.RUnlock()
		switch {
		case stopped != nil:
			return stopped
		case reached:
			return nil
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return fmt.Errorf("wait for log index %d: %w", index, ctx.Err())
		}
	}
}

// endLocked sets the reason why the machine has stopped.
func (m *Machine) endLocked(err error) {
	m.stopped = err
	close(m.ended)
	m.wakeLocked()
}

func (m *Machine) wakeLocked() {
	close(m.advanced)
	m.advanced = make(chan struct{})
}
