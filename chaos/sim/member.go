package sim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/node"
)

// member is one replica of the cluster through all its lives: its device, its options, its clock.
type member struct {
	c      *cluster
	number int
	gate   gate
	faults diskFaults
	dice   *dice

	mu      sync.Mutex
	device  *device
	options plan.Options
	wanted  bool // it shall run
	barred  bool // it diverged: it is not started again unless it is wiped
	absent  bool // a fault has taken it, or its vote, out of the cluster
	spared  int  // faults that take what it has, or the replica itself, out of the cluster now
	life    *life
	armed   *armed
	skew    time.Duration
	drift   *drifting
	seen    map[uint64]history.Role // roles told, by term
	// applied is the newest log index that it has applied in this life.
	applied uint64

	wake chan struct{} // holds one: wanted has changed
}

// diskLatency is what a write to the log takes.
const diskLatency = time.Millisecond

func newMember(c *cluster, number int, o plan.Options) *member {
	m := &member{c: c, number: number, options: o, wake: make(chan struct{}, 1), seen: map[uint64]history.Role{},
		dice: newDice(c.plan.Seed, 0x6d656d00+uint64(number)), device: newDevice(filepath.Join(c.home, fmt.Sprint(number)))}
	m.faults.latency, m.faults.rng = diskLatency, m.dice.fork()
	m.faults.mark = func(name history.MarkName) {
		c.record(history.Event{Kind: history.Mark, Node: uint8(number), Text: string(name)})
	}
	return m
}

// config is what node is started with.
func (m *member) config() node.Config {
	m.mu.Lock()
	o := m.options
	m.mu.Unlock()
	cfg := node.Config{ID: string(serverID(m.number)), ClusterID: "sim", Tracker: memstore.Tracker(o.Tracker), OptLevel: canister.OptLevel(o.Opt),
		Workers: o.Workers, CheckpointEvery: uint64(o.Checkpoint), CheckpointsKept: o.Kept, TrailingLogs: uint64(o.Trailing),
		RoundMessages: o.Messages, RoundBytes: o.Bytes, RoundsInFlight: o.Inflight, AppendEntries: o.Append,
		ElectionTimeout: m.c.plan.Cluster.Election, RequestTimeout: 10 * time.Second, PeerTimeout: m.c.net.timeout, Logger: m.c.opts.Logger}
	for _, other := range m.c.members {
		cfg.Peers = append(cfg.Peers, node.Peer{ID: string(serverID(other.number))})
	}
	return cfg
}

func (m *member) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// want says whether the replica shall run. One that shall not is stopped in order, unless it is to be crashed.
func (m *member) want(up, crash bool) {
	m.mu.Lock()
	m.wanted = up
	if l := m.life; l != nil && !up && !crash {
		select {
		case <-l.quit:
		default:
			close(l.quit)
		}
	}
	m.mu.Unlock()
	m.poke()
}

// current is the life that runs, nil for none.
func (m *member) current() *life {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.life
}

// leaves notes that the replica is to be taken out of the cluster, or is back.
func (m *member) leaves(absent bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.absent = absent
}

// spares counts the faults that the cluster spares the replica for.
func (m *member) spares(more int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spared += more
}

// isSpared reports whether such a fault is on.
func (m *member) isSpared() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spared > 0
}

// leads reports whether the replica takes itself for the leader.
func (m *member) leads() bool {
	r := m.raft()
	return r != nil && r.State() == raft.Leader
}

// raft is that of the replica that runs, nil if none does.
func (m *member) raft() *raft.Raft {
	l := m.current()
	if l == nil || !l.ready() {
		return nil
	}
	return l.process.Raft()
}

// voters are those of the newest membership that the replica knows, none if it does not run.
func (m *member) voters() []int {
	r := m.raft()
	if r == nil {
		return nil
	}
	known := r.GetConfiguration()
	if known.Error() != nil {
		return nil
	}
	return votersOf(known.Configuration())
}

// restartPause is how long a replica that ended by itself stays down.
const restartPause = 300 * time.Millisecond

// keep starts the replica whenever it shall run and does not, until the cluster ends.
func (m *member) keep() {
	for {
		m.mu.Lock()
		start := m.wanted && !m.barred && m.life == nil
		m.mu.Unlock()
		if start {
			m.live()
			if !sleep(restartPause, m.c.over) {
				return
			}
			continue
		}
		select {
		case <-m.wake:
		case <-m.c.over:
			return
		}
	}
}

// live is one life, from power on to the end.
func (m *member) live() {
	m.mu.Lock()
	l, err := newLife(m)
	if err == nil {
		m.life, m.applied = l, 0
	}
	m.mu.Unlock()
	if err != nil {
		m.c.fail(fmt.Errorf("replica %d: %w", m.number, err))
		return
	}
	go m.run(l)
	select {
	case <-l.running:
	case <-l.dead:
		return
	}
	if l.process == nil {
		m.unplug(l)
		return
	}
	select {
	case <-l.dead:
	case <-l.quit:
		l.end()
		m.finish(l, history.Event{Kind: history.Stopped, Text: "stopped in order"})
	case <-l.process.Done():
		m.ended(l, l.process.Err())
	case <-m.c.over:
		l.end()
		l.powerOff()
	}
}

// run starts the process, which may take virtual time.
func (m *member) run(l *life) {
	err := l.start()
	if err != nil && l.ctx.Err() == nil {
		l.record(history.Event{Kind: history.Stopped, Text: "it does not start: " + err.Error()})
		m.c.mu.Lock()
		m.c.noStart = err
		m.c.mu.Unlock()
	}
}

// ended deals with a replica that ended by itself.
func (m *member) ended(l *life, reason error) {
	e := history.Event{Kind: history.Stopped, Text: fmt.Sprint(reason)}
	var diverged *fsm.DivergedError
	if errors.As(reason, &diverged) {
		e = history.Event{Kind: history.Diverged, Round: uint64(diverged.Round), Root: diverged.Own, Text: reason.Error()}
		m.mu.Lock()
		m.barred = true
		m.mu.Unlock()
	}
	l.end()
	m.finish(l, e)
}

// finish ends a life in order: everything written stays.
func (m *member) finish(l *life, e history.Event) {
	l.record(e)
	m.unplug(l)
}

func (m *member) unplug(l *life) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.powerOff()
	if m.life != l {
		return
	}
	m.life = nil
	m.dice.with(func(r *randomSource) { m.device.image, _, _ = l.disk.after(plan.Kept, r) })
}

// crash takes the power away from a life. It waits for nobody, and may be called from the replica's own goroutines.
func (m *member) crash(l *life, power plan.Power, fault int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.life != l || l == nil {
		return false
	}
	l.powerOff()
	m.life = nil
	old := m.device.files.home
	var lost left
	var err error
	m.dice.with(func(r *randomSource) { lost, err = m.device.unplug(l.disk, power, r) })
	if err != nil {
		m.c.fail(err)
	}
	m.c.record(history.Event{Kind: history.Crashed, Node: uint8(m.number), Fault: uint32(fault), Text: "power: " + string(power)})
	if lost.lost > 0 {
		m.faults.mark(history.MarkWritesLost)
	}
	if lost.torn > 0 {
		m.faults.mark(history.MarkWritesTorn)
	}
	m.c.buried.Go(func() {
		l.bury()
		_ = os.RemoveAll(old) // what stays only takes space
	})
	m.poke()
	return true
}

// settled waits until the replica is down, whatever another fault wants meanwhile.
func (m *member) settled() {
	for m.current() != nil {
		m.want(false, false)
		if !sleep(10*time.Millisecond, m.c.failed) {
			return
		}
	}
}

func (m *member) optionsNow() plan.Options {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.options
}

func (m *member) setOptions(o plan.Options) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.options = o
}

// wipe makes the device new. The replica must be down.
func (m *member) wipe() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.device.wipe()
	m.barred = false
	m.c.record(history.Event{Kind: history.Damaged, Node: uint8(m.number), Text: "the disk is new"})
}

// reached notes how far the replica is.
func (m *member) reached(index uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applied = max(m.applied, index)
}

// appliedNow is the newest log index that the replica has applied in this life.
func (m *member) appliedNow() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied
}

// role records a replica's part in a term, once; true the first time.
func (m *member) role(l *life, r history.Role, term uint64) bool {
	m.mu.Lock()
	known := m.seen[term]
	if known >= r {
		m.mu.Unlock()
		return false
	}
	m.seen[term] = r
	m.mu.Unlock()
	if r == history.Leader {
		m.c.led(m.number, term)
	}
	l.record(history.Event{Kind: history.RoleChanged, Role: r, Term: term})
	return true
}
