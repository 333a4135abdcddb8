package sim

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/node"
	"lockstep/snapshot"
)

// process is a running replica: a *node.Node, or bare raft.
type process interface {
	Submit(ctx context.Context, m fsm.Message) (node.Answer, error)
	Query(ctx context.Context, q fsm.Query) (node.Answer, error)
	QueryStale(q fsm.Query) (node.Answer, error)
	Raft() *raft.Raft
	Done() <-chan struct{}
	Err() error
	Stop() error
}

// life is one replica between power on and power off. It is the ground that a node stands on.
type life struct {
	m       *member
	options plan.Options
	disk    *disk
	files   *files
	// dead is closed when the power is off; ctx ends then, quit is closed when the replica is to stop in order.
	dead, quit chan struct{}
	ctx        context.Context
	off        context.CancelFunc
	// running is closed when start has returned; process is nil if it failed. ended is closed when the process has been stopped.
	running, ended chan struct{}
	process        process
	ending         atomic.Bool

	// recording is held for reading while an event is recorded, for writing while the life ends.
	recording sync.RWMutex
	gone      bool

	mu        sync.Mutex
	transport *transport
	began     bool               // the event Started of this opening is recorded
	base      *raft.SnapshotMeta // the checkpoint that this opening began with
	received  map[string]bool    // checkpoints that came from a leader, by ID
	sender    int                // who sent the newest
	stop      func(error)
	store     node.Checkpoints
	aside     chan struct{}   // holds a value after a checkpoint of this opening was set aside
	plain     *snapshot.Store // without the layers
	machine   Machine         // without the layers
}

// ready reports whether the process runs.
func (l *life) ready() bool {
	select {
	case <-l.running:
		return l.process != nil
	default:
		return false
	}
}

func newLife(m *member) (*life, error) {
	l := &life{m: m, options: m.options, dead: make(chan struct{}), quit: make(chan struct{}), running: make(chan struct{}),
		ended: make(chan struct{})}
	l.ctx, l.off = context.WithCancel(context.Background())
	var err error
	if l.disk, l.files, err = m.device.plug(&m.faults, &m.gate, l.dead); err != nil {
		return nil, err
	}
	l.disk.reached, l.files.reached = l.reached, l.reached
	return l, nil
}

// record adds an event of this replica, unless its power is off.
func (l *life) record(e history.Event) {
	l.recording.RLock()
	defer l.recording.RUnlock()
	if l.gone {
		return
	}
	e.Node = uint8(l.m.number)
	l.m.c.record(e)
}

// reached crashes the replica if a fault waits for it at this step.
func (l *life) reached(step plan.Mode, parts int) {
	if power, fault, ok := l.m.armedFor(l, step, parts); ok {
		l.m.crash(l, power, fault)
	}
}

// Open implements node.Ground.
func (l *life) Open(stop func(error)) (*node.Parts, error) {
	c, s := l.m.c, l.m.c.seams
	l.mu.Lock()
	l.began, l.base, l.received, l.stop = false, nil, map[string]bool{}, stop
	l.mu.Unlock()
	p := &node.Parts{Marker: l.m.marker(), Now: l.m.now, Logs: node.CheckedLog(l.disk), Stable: node.CheckedStable(l.disk), Close: func() error { return nil }}
	if s.Bare { // raft's own stores check nothing
		p.Logs, p.Stable = bareLog{l.disk}, bareStable{l.disk, l}
	}
	if s.Logs != nil {
		p.Logs = s.Logs(l.m.number, p.Logs)
	}
	p.Logs = &watchedLog{under: p.Logs, life: l}
	if s.Stable != nil {
		p.Stable = s.Stable(l.m.number, p.Stable)
	}
	var tracking memstore.Tracking = memstore.Tracker(l.options.Tracker)
	if s.Tracking != nil {
		tracking = s.Tracking(l.m.number, tracking)
	}
	machine, err := c.newMachine(l.m.number, l.options.Opt, fsm.Config{Tracker: tracking, Workers: l.options.Workers,
		RootsKept: rootsKept, StatesKept: statesKept, ProveRestored: true, OnStop: stop})
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.machine = machine
	l.aside = make(chan struct{}, 1)
	p.Damaged = l.aside
	l.mu.Unlock()
	if p.Checkpoints, err = l.openCheckpoints(); err != nil {
		return nil, fmt.Errorf("%w", joinErrors(err, machine.Close()))
	}
	l.mu.Lock()
	l.store = p.Checkpoints
	l.mu.Unlock()
	p.Machine = machine
	if s.Machine != nil {
		p.Machine = s.Machine(l.m.number, p.Machine)
	}
	p.Machine = &watchedMachine{Machine: p.Machine, life: l}
	p.Network = l.openNetwork()
	return p, nil
}

// rootsKept is how many rounds a replica can compare attestations with.
const rootsKept = 4096

func (l *life) openCheckpoints() (node.Checkpoints, error) {
	s := l.m.c.seams
	config := snapshot.Config{Dir: l.files.tree(), Keep: l.options.Kept, Hashing: fsm.Hashing(), VerifyOnOpen: snapshot.VerifyOnUse,
		FS: l.files, OnDamage: l.damaged}
	if s.Files != nil {
		config.FS = s.Files(l.m.number, config.FS)
	}
	open := node.OpenCheckpoints
	if s.Bare { // raft's own store reads all of a checkpoint when it opens it
		open, config.VerifyOnOpen = snapshot.OpenStore, snapshot.VerifyPages
	}
	store, err := open(config)
	if err != nil {
		_, id, _ := strings.Cut(err.Error(), "verify checkpoint ")
		l.refused(checkpointIndex(id), err)
		return nil, err
	}
	l.mu.Lock()
	l.plain = store
	l.mu.Unlock()
	var checkpoints node.Checkpoints = store
	if s.Checkpoints != nil {
		checkpoints = s.Checkpoints(l.m.number, checkpoints)
	}
	return &watchedCheckpoints{Checkpoints: checkpoints, life: l}, nil
}

func (l *life) openNetwork() node.Network {
	t := newTransport(l.m.c.net, l.m.number, &l.m.gate, l)
	l.mu.Lock()
	l.transport = t
	l.mu.Unlock()
	l.recording.RLock()
	defer l.recording.RUnlock()
	if l.gone {
		_ = t.Close()
	} else {
		t.net.attach(t)
	}
	if s := l.m.c.seams; s.Network != nil {
		return s.Network(l.m.number, t)
	}
	return t
}

// FindEvidence implements node.Ground. A replica that has diverged is not started again at all.
func (l *life) FindEvidence() (*node.KnownDivergenceError, error) { return nil, nil }

// KeepEvidence implements node.Ground.
func (l *life) KeepEvidence(e *node.Evidence) (string, error) {
	l.m.device.evidence = e
	return "the device", nil
}

// SetAside is what node asks of a ground on which log and checkpoints can be put away, as a data folder's can. They are gone at once
// here, and for good: what an unfinished one leaves is the real folder's business.
func (l *life) SetAside() (string, error) {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.m.life != l {
		return "", errDead
	}
	if err := l.files.clear(); err != nil {
		return "", err
	}
	l.disk.clear()
	if l.m.device.damagedLog {
		l.m.faults.mark(history.MarkLogBad)
	}
	l.m.device.joining, l.m.device.strictly, l.m.device.damagedLog = true, true, false
	l.m.c.record(history.Event{Kind: history.Note, Node: uint8(l.m.number), Text: "log and checkpoints cannot be used and are set aside"})
	return "the device", nil
}

// start runs the replica until Stop.
func (l *life) start() (err error) {
	defer close(l.running)
	defer func() {
		if r := recover(); r != nil {
			l.record(history.Event{Kind: history.Panicked, Text: fmt.Sprint(r)})
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	if l.m.c.seams.Bare {
		b, err := startBare(l)
		if err == nil {
			l.process = b
		}
		return err
	}
	n, err := node.StartOn(l.m.config(), l)
	if err != nil {
		return err
	}
	l.process = n
	l.starts()
	return nil
}

// powerOff ends the life at once: nothing of it is recorded, sent or written any more.
func (l *life) powerOff() {
	l.recording.Lock()
	defer l.recording.Unlock()
	if l.gone {
		return
	}
	l.gone = true
	close(l.dead)
	l.off()
	l.mu.Lock()
	t := l.transport
	l.mu.Unlock()
	if t != nil {
		_ = t.Close() // it gives none
	}
}

// bury waits until the goroutines of a dead life have ended and its memory is free.
func (l *life) bury() {
	<-l.running
	if l.process != nil {
		l.end()
	}
}

// end stops the process, or waits until whoever does so is done: not in Stop, where it would wait for a lock.
func (l *life) end() {
	if l.ending.CompareAndSwap(false, true) {
		_ = l.process.Stop() // the log tells whether it was in order
		close(l.ended)
	}
	<-l.ended
}

// starts records that the replica works, once an opening.
func (l *life) starts() {
	l.mu.Lock()
	if l.began {
		l.mu.Unlock()
		return
	}
	l.began = true
	base := l.base
	l.mu.Unlock()
	e := history.Event{Kind: history.Started, Text: optionsText(l.options)}
	l.disk.mu.Lock()
	if len(l.disk.image.log) > 0 {
		e.To = l.disk.image.last()
	}
	l.disk.mu.Unlock()
	if base != nil {
		e.Index, e.Term = base.Index, base.Term
	}
	l.m.c.startedWith(l, &e)
	l.record(e)
}

func (c *cluster) startedWith(l *life, e *history.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.base != nil {
		state := c.checkpointState(l.m.number, l.base.Index)
		e.Round, e.Root = state.round, state.root
	}
}

// now is the replica's wall clock.
func (m *member) now() time.Time { return time.Now().Add(m.skewNow()) }
