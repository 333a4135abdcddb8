package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"lockstep/canister"
	"lockstep/fsm"
	"lockstep/snapshot"
)

// replica is the running part of a node between one opening of its data folder and the next: stores, state machine, raft,
// and what feeds raft. A node has one at a time, and several one after the other when its log must be cut.
type replica struct {
	cfg     *Config
	logger  *slog.Logger
	metrics *metrics

	disk        *raftboltdb.BoltStore
	log         *raft.LogCache
	checkpoints *snapshot.Store
	engine      *canister.Engine
	machine     *fencedMachine
	joiner      *joiner
	transport   *transport
	raft        *raft.Raft

	batcher      *batcher
	reader       *reader
	checkpointer *checkpointer
	watcher      *roleWatcher

	// keepMachine leaves the state machine open when the replica is closed.
	keepMachine bool
	// installedAt is the index of the newest checkpoint that a leader sent: the log begins there.
	installedAt atomic.Uint64
	// ended gets the reason when the replica ends by itself.
	ended chan error
	once  sync.Once
}

// openReplica opens the data folder and starts raft. socket is the Raft port, which is listening already.
func openReplica(cfg *Config, dir *dataDir, socket *os.File, m *metrics) (*replica, error) {
	r := &replica{cfg: cfg, logger: cfg.Logger, metrics: m, ended: make(chan error, 1)}
	steps := []func() error{
		func() error { return r.openMachine(dir) },
		func() error { return r.openCheckpoints(dir) },
		func() error { return r.openLog(dir) },
		func() error { return r.startRaft(dir, socket) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, errors.Join(err, r.close(errStopping))
		}
	}
	return r, nil
}

func (r *replica) openMachine(dir *dataDir) error {
	engine, err := canister.NewEngine(canister.EngineConfig{CacheDir: dir.file(modulesDir), OptLevel: r.cfg.OptLevel})
	if err != nil {
		return fmt.Errorf("open engine: %w", err)
	}
	r.engine = engine
	machine, err := fsm.New(fsm.Config{Engine: engine, Tracker: r.cfg.Tracker, Workers: r.cfg.Workers, OnStop: r.stop,
		CanisterLog: func(id fsm.CanisterID, text string) { r.logger.Debug(text, "canister", uint64(id)) }})
	if err != nil {
		return fmt.Errorf("open state machine: %w", err)
	}
	r.machine = newFencedMachine(machine, r.metrics)
	return nil
}

// openCheckpoints opens the checkpoints and verifies every byte of the newest sound one, before raft commits itself to it.
func (r *replica) openCheckpoints(dir *dataDir) error {
	hashing := fsm.Hashing()
	path := dir.file(checkpointsDir)
	store, err := snapshot.OpenStore(snapshot.Config{Dir: path, Keep: r.cfg.CheckpointsKept, Hashing: hashing,
		VerifyOnOpen: snapshot.VerifyIndexes, OnDamage: func(id string, err error) {
			r.logger.Error("checkpoint is damaged and was set aside", "checkpoint", id, "err", err)
		}})
	if err != nil {
		return fmt.Errorf("open checkpoints: %w", err)
	}
	r.checkpoints = store
	for {
		metas, err := store.List()
		if err != nil || len(metas) == 0 {
			return err
		}
		id := metas[0].ID
		_, err = snapshot.Verify(filepath.Join(path, id), hashing)
		if err == nil {
			return nil
		}
		if !snapshot.IsDamage(err) {
			return fmt.Errorf("verify checkpoint %s: %w", id, err)
		}
		if err := store.SetAside(id, err); err != nil {
			return err
		}
	}
}

func (r *replica) openLog(dir *dataDir) error {
	disk, err := raftboltdb.New(raftboltdb.Options{Path: dir.file(raftFile),
		BoltOptions: &bbolt.Options{Timeout: time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}})
	if err != nil {
		return fmt.Errorf("open log %s: %w", dir.file(raftFile), err)
	}
	r.disk = disk
	var logs raft.LogStore = disk
	if r.cfg.Wrap.Logs != nil {
		logs = r.cfg.Wrap.Logs(logs)
	}
	r.log, err = raft.NewLogCache(logCacheEntries, &guardedLog{under: logs, stop: r, keepFrom: r.keepFrom})
	if err != nil {
		return err
	}
	metas, err := r.checkpoints.List()
	if err != nil || len(metas) == 0 {
		return err
	}
	deleted, err := mendLog(logs, *metas[0])
	if err != nil {
		return fmt.Errorf("fit the log to checkpoint %s: %w", metas[0].ID, err)
	}
	if deleted != "" {
		r.logger.Warn("log was cut to fit the newest checkpoint", "index", metas[0].Index, "deleted", deleted)
	}
	return nil
}

// keepFrom implements guardedLog.keepFrom: the log reaches back to the second newest checkpoint, or to the one that a
// leader sent.
func (r *replica) keepFrom() (keep, newest uint64, err error) {
	metas, err := r.checkpoints.List()
	if err != nil || len(metas) == 0 {
		return 0, 0, err
	}
	keep = r.installedAt.Load()
	if i := slices.IndexFunc(metas, func(m *raft.SnapshotMeta) bool { return m.Index < metas[0].Index }); i > 0 {
		keep = max(keep, metas[i].Index)
	}
	return keep, metas[0].Index, nil
}

func (r *replica) startRaft(dir *dataDir, socket *os.File) error {
	var err error
	if r.joiner, err = newJoiner(dir, r.log, r.logger); err != nil {
		return err
	}
	listener, err := net.FileListener(socket)
	if err != nil {
		return fmt.Errorf("listen on the Raft port: %w", err)
	}
	logger := newRaftLogger(r.logger)
	guard := &installGuard{logger: r.logger, log: r.log, onInstalled: r.installed, onConflict: func(c *conflict) { r.stop(c) }}
	r.transport = newTransport(raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: newStreamLayer(r.cfg, listener), MaxPool: raftConnections, Timeout: r.cfg.PeerTimeout, Logger: logger,
	}), guard, r.joiner)

	var stable raft.StableStore = r.disk
	if r.cfg.Wrap.Stable != nil {
		stable = r.cfg.Wrap.Stable(stable)
	}
	stable = &guardedStable{under: stable, stop: r}
	conf := r.raftConfig()
	conf.Logger = logger
	if err := r.bootstrap(conf, stable); err != nil {
		return err
	}
	r.raft, err = raft.NewRaft(conf, r.machine, r.log, stable, r.checkpoints, r.transport)
	if err != nil {
		return fmt.Errorf("start Raft: %w", err)
	}
	guard.attach(r.raft)
	r.batcher = newBatcher(r.cfg, r.raft, r.machine.Latest, r.metrics)
	r.batcher.committed = func(index uint64) { r.joiner.committed(index, r.raft.CurrentTerm()) }
	r.reader = newReader(r.raft, r.log, r.cfg.RequestTimeout)
	r.checkpointer = newCheckpointer(r.cfg.CheckpointEvery, r)
	r.watcher = newRoleWatcher(r.raft, r.logger)
	r.batcher.start()
	r.reader.start()
	r.checkpointer.start()
	r.watcher.start()
	return nil
}

// bootstrap writes the cluster's first log entry into a new folder. It is the same on every node.
func (r *replica) bootstrap(conf *raft.Config, stable raft.StableStore) error {
	exists, err := raft.HasExistingState(r.log, stable, r.checkpoints)
	if err != nil || exists {
		return err
	}
	var servers []raft.Server
	for _, p := range r.cfg.Peers {
		servers = append(servers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.ID)})
	}
	slices.SortFunc(servers, func(a, b raft.Server) int { return compareIDs(a.ID, b.ID) })
	if err := raft.BootstrapCluster(conf, r.log, stable, r.checkpoints, r.transport, raft.Configuration{Servers: servers}); err != nil {
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
	conf.MaxAppendEntries = maxAppendEntries
	conf.TrailingLogs = r.cfg.TrailingLogs
	conf.SnapshotInterval = 10_000 * time.Hour
	conf.SnapshotThreshold = math.MaxUint64
	conf.ShutdownOnRemove = false
	conf.NoLegacyTelemetry = true
	return conf
}

// installed deletes the log below a checkpoint that a leader sent: entries there may contradict what the cluster has
// committed, and raft would later send them to others.
func (r *replica) installed(index uint64) error {
	r.installedAt.Store(index)
	r.metrics.installed.Inc()
	r.logger.Info("checkpoint installed from the leader", "index", index, "round", uint64(r.machine.Latest().Round))
	first, err := r.log.FirstIndex()
	if err != nil || first == 0 || first >= index {
		return err
	}
	return r.log.DeleteRange(first, index-1)
}

// stop ends the replica, the first time, with a reason for the node. When it returns, no connection carries a byte and the
// state machine takes no round. It waits for nobody: it is called from raft's own goroutines.
func (r *replica) stop(reason error) {
	r.once.Do(func() {
		if r.machine != nil {
			r.machine.up.Store(true)
		}
		if r.transport != nil {
			r.transport.silence()
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
	if r.raft != nil {
		errs = append(errs, r.batcher.close(ctx, reason), r.reader.close(ctx, reason))
		r.watcher.close()
		errs = append(errs, r.checkpointer.close(ctx))
		var shutdown sync.WaitGroup
		future := r.raft.Shutdown()
		shutdown.Go(func() { _ = future.Error() }) // it gives none
		if err := waitGroup(ctx, &shutdown, "Raft to stop"); err != nil {
			return errors.Join(append(errs, err)...) // files that raft may still use stay open
		}
	}
	if r.transport != nil {
		errs = append(errs, r.transport.Close())
	}
	if !r.keepMachine {
		errs = append(errs, r.closeMachine())
	}
	if r.checkpoints != nil {
		errs = append(errs, r.checkpoints.Close())
	}
	if r.disk != nil {
		errs = append(errs, r.disk.Close())
	}
	return errors.Join(errs...)
}

// closeMachine closes what keepMachine keeps.
func (r *replica) closeMachine() error {
	var err error
	if r.machine != nil {
		err = r.machine.Close()
	}
	if r.engine != nil {
		r.engine.Close()
	}
	return err
}

// cutLog deletes what a leader's checkpoint contradicts, with raft closed.
func cutLog(dir *dataDir, c *conflict) error {
	disk, err := raftboltdb.New(raftboltdb.Options{Path: dir.file(raftFile), BoltOptions: &bbolt.Options{Timeout: time.Second}})
	if err != nil {
		return fmt.Errorf("open log to cut it: %w", err)
	}
	return errors.Join(c.cut(disk), disk.Close())
}
