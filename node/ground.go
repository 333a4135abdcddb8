package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/fsm"
	"lockstep/node/link"
	"lockstep/snapshot"
)

// folderGround is the ground of a real node: a data folder, TCP and the wall clock.
type folderGround struct {
	cfg *Config
	dir *dataDir
	// socket is the Raft port, which is listening already.
	socket *os.File
}

// Open implements Ground.
func (g *folderGround) Open(stop func(error)) (*Parts, error) {
	p := &Parts{Marker: g.dir, Now: time.Now, Close: func() error { return nil }}
	for _, step := range []func(*Parts) error{
		func(p *Parts) error { return g.openMachine(p, stop) }, g.openCheckpoints, g.openLog, g.openNetwork,
	} {
		if err := step(p); err != nil {
			return nil, errors.Join(err, p.close(nil))
		}
	}
	return p, nil
}

// enginedMachine is a state machine with an engine of its own.
type enginedMachine struct {
	*fsm.Machine
	engine *canister.Engine
}

// Close implements Machine.
func (m *enginedMachine) Close() error {
	err := m.Machine.Close()
	m.engine.Close()
	return err
}

func (g *folderGround) openMachine(p *Parts, stop func(error)) error {
	engine, err := canister.NewEngine(canister.EngineConfig{CacheDir: g.dir.file(modulesDir), OptLevel: g.cfg.OptLevel})
	if err != nil {
		return fmt.Errorf("open engine: %w", err)
	}
	machine, err := fsm.New(fsm.Config{Engine: engine, Tracker: g.cfg.Tracker, Workers: g.cfg.Workers, OnStop: stop, ProveRestored: true,
		CanisterLog: func(id fsm.CanisterID, text string) { g.cfg.Logger.Debug(text, "canister", uint64(id)) }})
	if err != nil {
		engine.Close()
		return fmt.Errorf("open state machine: %w", err)
	}
	p.Machine = &enginedMachine{machine, engine}
	if g.cfg.Wrap.Machine != nil {
		p.Machine = g.cfg.Wrap.Machine(p.Machine)
	}
	return nil
}

func (g *folderGround) openCheckpoints(p *Parts) error {
	damaged := make(chan struct{}, 1)
	store, err := OpenCheckpoints(snapshot.Config{Dir: g.dir.file(checkpointsDir), Cluster: g.cfg.ClusterID, Keep: g.cfg.CheckpointsKept, MaxBytes: uint64(g.cfg.CheckpointBytes),
		Hashing: fsm.Hashing(), VerifyOnOpen: snapshot.VerifyOnUse, OnDamage: func(id string, err error) {
			g.cfg.Logger.Error("checkpoint is damaged and was set aside", "checkpoint", id, "err", err)
			select {
			case damaged <- struct{}{}:
			default:
			}
		}})
	if err != nil {
		return err
	}
	p.Checkpoints, p.Damaged = store, damaged
	return nil
}

func (g *folderGround) openLog(p *Parts) error {
	logs, stable, disk, err := openRaftFile(g.dir.file(raftFile))
	if err != nil {
		return err
	}
	p.Logs, p.Stable, p.Close = CheckedLog(logs), CheckedStable(stable), disk.Close
	check, err := newFolderCheck(g.dir.path, g.dir.file(raftFile), g.dir.file(checkpointsDir))
	if err != nil {
		return fmt.Errorf("look at the data folder: %w", err)
	}
	p.Check = check.check
	if g.cfg.Wrap.Logs != nil {
		p.Logs = g.cfg.Wrap.Logs(p.Logs)
	}
	if g.cfg.Wrap.Stable != nil {
		p.Stable = g.cfg.Wrap.Stable(p.Stable)
	}
	return nil
}

func (g *folderGround) openNetwork(p *Parts) error {
	listener, err := net.FileListener(g.socket)
	if err != nil {
		return fmt.Errorf("listen on the Raft port: %w", err)
	}
	p.Network = newTCPNetwork(g.cfg, listener)
	return nil
}

// tcpNetwork is raft's network transport, and beside it what carries checkpoints, as a SyncNetwork.
type tcpNetwork struct {
	*raft.NetworkTransport
	layer *link.Layer
}

func newTCPNetwork(cfg *Config, listener net.Listener) *tcpNetwork {
	peers := make(map[string]string, len(cfg.Peers))
	for _, p := range cfg.Peers {
		peers[p.ID] = p.Raft
	}
	layer := link.NewLayer(link.Config{Self: cfg.ID, Cluster: cfg.ClusterID, Peers: peers, Timeout: cfg.PeerTimeout, MessageBytes: messageBytes}, listener)
	return &tcpNetwork{raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: layer, MaxPool: raftConnections,
		Timeout: cfg.PeerTimeout, Logger: newRaftLogger(cfg.Logger)}), layer}
}

// OpenSync implements SyncNetwork.
func (n *tcpNetwork) OpenSync(to raft.ServerAddress) (net.Conn, error) {
	return n.layer.DialCheckpoint(to)
}

// TakeSync implements SyncNetwork.
func (n *tcpNetwork) TakeSync(take func(from string, conn net.Conn)) { n.layer.TakeCheckpoints(take) }

// FindEvidence implements Ground.
func (g *folderGround) FindEvidence() (*KnownDivergenceError, error) { return findEvidence(g.dir) }

// KeepEvidence implements Ground.
func (g *folderGround) KeepEvidence(e *Evidence) (string, error) {
	e.CheckpointDir, e.Log = g.dir.file(checkpointsDir), g.dir.file(raftFile)
	return keepEvidence(g.dir, e)
}
