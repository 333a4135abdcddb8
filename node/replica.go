package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// replica is the running part of a node between one opening of its ground and the next: stores, state machine, raft,
// and what feeds raft. A node has one at a time, and several one after the other when its log must be cut.
type replica struct {
	cfg     *Config
	logger  *slog.Logger
	metrics *metrics

	parts       *Parts
	log         *raft.LogCache
	checkpoints Checkpoints
	machine     *fencedMachine
	joiner      *joiner
	transport   atomic.Pointer[transport]
	raft        *raft.Raft

	batcher      *batcher
	reader       *reader
	checkpointer *checkpointer
	watcher      *roleWatcher
	grounds      *groundWatcher

	// fence is what raft sees of the state machine once the replica has ended: nothing.
	fence atomic.Bool
	// keepMachine leaves the state machine open when the replica is closed.
	keepMachine bool
	// guarded is what log caches; stable is the term, the vote, and what lies beside them.
	guarded *guardedLog
	stable  *guardedStable
	// installedAt is the index of the newest checkpoint that a leader sent: the log begins there.
	installedAt atomic.Uint64
	// setAside is where a log that could not be used is kept, and why; empty when there was none.
	setAside string
	// ended gets the reason when the replica ends by itself.
	ended chan error
	once  sync.Once
}

// openReplica opens a ground and starts raft. What the leader's checkpoint contradicts is cut off the log first; cut is nil when
// that is nothing.
func openReplica(cfg *Config, ground Ground, m *metrics, cut *conflict) (*replica, error) {
	r := &replica{cfg: cfg, logger: cfg.Logger, metrics: m, ended: make(chan error, 1)}
	var err error
	if r.parts, err = ground.Open(r.stop); err != nil {
		return nil, err
	}
	r.machine, r.checkpoints = newFencedMachine(r.parts.Machine, &r.fence, m), r.parts.Checkpoints
	steps := []func() error{func() error { return r.openLog(cut) }, r.startRaft}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, errors.Join(r.endedBy(err), r.close(errStopping))
		}
	}
	if err := r.endedBy(nil); unusable(err) {
		return nil, errors.Join(err, r.close(errStopping))
	} else if err != nil {
		r.ended <- err // which is for who runs it
	}
	return r, nil
}

// endedBy is why the replica has ended by itself while it was opened, if it has: then whatever else failed did so because of that.
func (r *replica) endedBy(err error) error {
	select {
	case reason := <-r.ended:
		return reason
	default:
		return err
	}
}

// openLog makes the log fit the newest checkpoint and puts guard and cache above it.
func (r *replica) openLog(cut *conflict) error {
	logs := r.parts.Logs
	if cut != nil {
		if err := cut.cut(logs); err != nil {
			return fmt.Errorf("cut log: %w", err)
		}
	}
	var err error
	r.guarded = &guardedLog{under: logs, stop: r, keepFrom: r.keepFrom}
	r.log, err = raft.NewLogCache(logCacheEntries, r.guarded)
	if err != nil {
		return err
	}
	metas, err := r.checkpoints.List()
	if err != nil {
		return err
	}
	last, err := logs.LastIndex()
	if err != nil {
		return err
	}
	r.stable = &guardedStable{under: r.parts.Stable, stop: r}
	// A checkpoint of a later term than that which Import gives is of a replica that has lived.
	if err := foundStable(r.stable, last > 0 || len(metas) > 0 && metas[0].Term > importedTerm); err != nil {
		return err
	}
	if err := r.reachesInstalled(metas); err != nil {
		return err
	}
	if len(metas) == 0 {
		return wholeLog(logs)
	}
	deleted, err := mendLog(logs, *metas[0])
	if err != nil {
		return fmt.Errorf("fit the log to checkpoint %s: %w", metas[0].ID, err)
	}
	if deleted != "" {
		r.logger.Warn("log was cut to fit the newest checkpoint", "index", metas[0].Index, "deleted", deleted)
	}
	// What was not there to begin with is not there either after the log was made to fit: then the log begins behind it.
	r.guarded.base.Store(&logBase{metas[0].Index, metas[0].Term})
	return nil
}

// reachesInstalled refuses what ends before a checkpoint that was acknowledged: to go on from an older one would be to forget.
func (r *replica) reachesInstalled(metas []*raft.SnapshotMeta) error {
	installed, err := r.stable.GetUint64(installedKey)
	if err != nil {
		return err
	}
	last, err := r.parts.Logs.LastIndex()
	if err != nil {
		return err
	}
	var at uint64
	if len(metas) > 0 {
		at = metas[0].Index
	}
	if max(last, at) < installed {
		return &gapError{at: at, acknowledged: installed}
	}
	return nil
}

// startCheckpoints is what Raft sees of the checkpoints while it starts: the newest, and those that the log joins on to. From any
// other the replica would go on without the entries between.
type startCheckpoints struct {
	Checkpoints
	first, last uint64 // of the log
	started     atomic.Bool
}

// List implements raft.SnapshotStore.
func (s *startCheckpoints) List() ([]*raft.SnapshotMeta, error) {
	metas, err := s.Checkpoints.List()
	if err != nil || len(metas) == 0 || s.started.Load() {
		return metas, err
	}
	newest := metas[0].Index
	return slices.DeleteFunc(metas, func(m *raft.SnapshotMeta) bool {
		return m.Index < newest && (s.first == 0 || s.first > m.Index+1 || s.last < newest)
	}), nil
}

// keepFrom implements guardedLog.keepFrom: the log reaches back to the oldest checkpoint kept, so that each of them is one to
// fall back to, or to the one that a leader sent.
func (r *replica) keepFrom() (keep, newest uint64, err error) {
	metas, err := r.checkpoints.List()
	if err != nil || len(metas) == 0 {
		return 0, 0, err
	}
	keep = r.installedAt.Load()
	if oldest := metas[len(metas)-1].Index; oldest < metas[0].Index {
		keep = max(keep, oldest)
	}
	return keep, metas[0].Index, nil
}

// untilWork tells when this replica is to propose a round without messages: at once for queues, or when a timer is due.
func (r *replica) untilWork() time.Duration {
	if r.fence.Load() || r.raft.State() != raft.Leader {
		return lookAgain
	}
	if r.machine.HasWork() {
		return 0
	}
	due, set := r.machine.NextTimer()
	if !set {
		return lookAtMost
	}
	return max(0, time.Duration(due-r.parts.Now().UnixNano()))
}

func (r *replica) startRaft() error {
	var err error
	if r.joiner, err = newJoiner(r.parts.Marker, r.log, r.checkpoints, r.logger); err != nil {
		return err
	}
	if len(r.cfg.Peers) == 1 && r.joiner.on.Load() {
		r.joiner.joined("replicas", 1)
	}
	guard := &installGuard{logger: r.logger, log: r.log, onInstalled: r.installed, onConflict: func(c *conflict) { r.stop(c) },
		base: r.guarded.base.Load}
	transport := newTransport(r.parts.Network, guard, r.joiner, &stateSync{logger: r.logger, timeout: r.cfg.PeerTimeout,
		checkpoints: r.checkpoints, transfers: r.metrics.transfers})
	r.transport.Store(transport)
	if r.fence.Load() { // it has ended already
		transport.silence()
	}
	conf := r.raftConfig()
	conf.Logger = newRaftLogger(r.logger)
	if err := r.bootstrap(conf, transport); err != nil {
		return err
	}
	before, err := r.checkpoints.List()
	if err != nil {
		return err
	}
	start := &startCheckpoints{Checkpoints: r.checkpoints}
	if start.first, err = r.log.FirstIndex(); err != nil {
		return err
	}
	if start.last, err = r.log.LastIndex(); err != nil {
		return err
	}
	r.raft, err = raft.NewRaft(conf, r.machine, &joiningLog{r.log, r.joiner, guard}, r.stable, start, transport)
	if err != nil {
		err = fmt.Errorf("start Raft: %w", err)
		if after, listErr := r.checkpoints.List(); listErr == nil && len(after) < len(before) && (len(after) == 0 || after[0].Index < before[0].Index) {
			err = fmt.Errorf("%w: %w", errNoneRestored, err)
		}
		return err
	}
	start.started.Store(true)
	guard.attach(r.raft)
	r.batcher = newBatcher(r.cfg, r.raft, r.machine.Latest, r.metrics)
	r.batcher.now = r.parts.Now
	r.batcher.await, r.batcher.work, r.batcher.leads = r.machine.Await, r.untilWork, r.raft.LeaderCh()
	r.batcher.committed = func(index uint64) { r.joiner.committed(index, r.raft.CurrentTerm()) }
	r.batcher.ended = (&handover{limit: handoverPatience * r.cfg.ElectionTimeout, term: r.raft.CurrentTerm, now: time.Now, stop: r.stop}).ended
	r.reader = newReader(&leadership{r.raft, conf.LocalID, &transport.contacts}, r.log, r.cfg.RequestTimeout)
	r.watcher = newRoleWatcher(r.raft, r.joiner, r.logger)
	r.grounds = newGroundWatcher(r.parts.Check, r.stop)
	r.checkpointer = newCheckpointer(r.cfg.CheckpointEvery, r)
	r.batcher.start()
	r.reader.start()
	r.checkpointer.start()
	r.watcher.start()
	return nil
}

// bootstrap writes the cluster's first log entry into a new folder. It is the same on every node.
func (r *replica) bootstrap(conf *raft.Config, transport raft.Transport) error {
	exists, err := raft.HasExistingState(r.log, r.stable, r.checkpoints)
	if err != nil || exists {
		return err
	}
	var servers []raft.Server
	for _, p := range r.cfg.Peers {
		servers = append(servers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.ID)})
	}
	slices.SortFunc(servers, func(a, b raft.Server) int { return compareIDs(a.ID, b.ID) })
	if err := raft.BootstrapCluster(conf, r.log, r.stable, r.checkpoints, transport, raft.Configuration{Servers: servers}); err != nil {
		return fmt.Errorf("write the first configuration: %w", err)
	}
	return nil
}

func compareIDs(a, b raft.ServerID) int {
	if a < b {
		return -1
	}
	return 1
}

func (r *replica) raftConfig() *raft.Config {
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(r.cfg.ID)
	conf.HeartbeatTimeout = r.cfg.ElectionTimeout
	conf.ElectionTimeout = r.cfg.ElectionTimeout
	conf.LeaderLeaseTimeout = r.cfg.ElectionTimeout
	conf.CommitTimeout = max(r.cfg.ElectionTimeout/commitTimeoutShare, 5*time.Millisecond)
	conf.MaxAppendEntries = r.cfg.AppendEntries
	conf.TrailingLogs = r.cfg.TrailingLogs
	conf.SnapshotInterval = 10_000 * time.Hour
	conf.SnapshotThreshold = math.MaxUint64
	conf.ShutdownOnRemove = false
	conf.NoLegacyTelemetry = true
	return conf
}

// installed deletes the log below a checkpoint that a leader sent: entries there may contradict what the cluster has
// committed, and raft would later send them to others. The checkpoint counts as installed when that is done.
func (r *replica) installed(index, term uint64) error {
	r.installedAt.Store(index)
	r.guarded.base.Store(&logBase{index, term})
	if err := r.stable.SetUint64(installedKey, index); err != nil {
		return err
	}
	first, err := r.log.FirstIndex()
	if err == nil && first > 0 && first < index {
		err = r.log.DeleteRange(first, index-1)
	}
	if err != nil {
		return err
	}
	r.metrics.installed.Inc()
	r.metrics.checkpointsInstalled.Add(1)
	r.logger.Info("checkpoint installed from the leader", "index", index, "round", uint64(r.machine.Latest().Round))
	return nil
}

// stop ends the replica, the first time, with a reason for the node. When it returns, no connection carries a byte and the
// state machine takes no round. It waits for nobody: it is called from raft's own goroutines.
func (r *replica) stop(reason error) {
	r.once.Do(func() {
		r.fence.Store(true)
		if t := r.transport.Load(); t != nil {
			t.silence()
		}
		r.ended <- reason
	})
}

// closeTimeout bounds each wait of close for a part that may hang with its disk.
const closeTimeout = 30 * time.Second

// close ends everything that the replica runs and closes its files. Requests still waiting are told reason.
//
// The order matters: rounds and proofs under way are waited for while raft still runs, because raft answers none of them
// after its shutdown. A leader that reaches no majority steps down within its lease and so answers them.
func (r *replica) close(reason error) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var errs []error
	if t := r.transport.Load(); t != nil {
		t.cutSync()
	}
	if r.raft != nil {
		errs = append(errs, r.batcher.close(ctx, reason), r.reader.close(ctx, reason))
		r.watcher.close()
		r.grounds.close()
		errs = append(errs, r.checkpointer.close(ctx))
		var shutdown sync.WaitGroup
		future := r.raft.Shutdown()
		shutdown.Go(func() { _ = future.Error() }) // it gives none
		if err := waitGroup(ctx, &shutdown, "Raft to stop"); err != nil {
			return errors.Join(append(errs, err)...) // files that raft may still use stay open
		}
	}
	if t := r.transport.Load(); t != nil {
		errs = append(errs, t.Close())
	}
	return errors.Join(append(errs, r.parts.close(r.keptMachine()))...)
}

// keptMachine is the machine that stays open when the replica is closed, nil for none.
func (r *replica) keptMachine() Machine {
	if r.keepMachine {
		return r.parts.Machine
	}
	return nil
}

// closeMachine closes what keepMachine keeps.
func (r *replica) closeMachine() error { return r.parts.Machine.Close() }
