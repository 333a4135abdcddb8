package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"lockstep/fsm"
	"lockstep/snapshot"
)

// State is what a node is doing.
type State uint8

// The states of a node. Only a running one takes calls and queries; all of them answer /v1/status.
const (
	// StateStarting: the data folder is being opened.
	StateStarting State = 1
	// StateRunning: the replica runs.
	StateRunning State = 2
	// StateRepairing: the replica restarts, to cut a log that contradicts a checkpoint from the leader, to leave behind what is damaged, or to end
	// a transfer of leadership that does not end.
	StateRepairing State = 3
	// StateDiverged: the replica's state was not the one that a leader attested; the evidence is kept.
	StateDiverged State = 4
	// StateFailed: the disk or another part of the world failed.
	StateFailed State = 5
	// StateStopped: Stop was called.
	StateStopped State = 6
)

var states = [...]State{StateStarting, StateRunning, StateRepairing, StateDiverged, StateFailed, StateStopped}

// String is the word in the client protocol.
func (s State) String() string {
	names := [...]string{StateStarting: "starting", StateRunning: "running", StateRepairing: "repairing",
		StateDiverged: "diverged", StateFailed: "failed", StateStopped: "stopped"}
	if int(s) < len(names) && names[s] != "" {
		return names[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// MarshalText makes the state a word in JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word that MarshalText writes.
func (s *State) UnmarshalText(text []byte) error {
	for _, known := range states {
		if known.String() == string(text) {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("unknown state %q", text)
}

// Node is one running replica of a cluster with its client port.
type Node struct {
	cfg     Config
	logger  *slog.Logger
	metrics *metrics
	ground  Ground
	started time.Time

	// These are nil in a node that stands on no data folder.
	dir    *dataDir
	socket *os.File // the Raft port, listening as long as the node lives
	server *server

	quit       chan struct{}
	supervisor sync.WaitGroup
	done       chan struct{}
	stopOnce   sync.Once
	stopErr    error // of closing the replica, then of Stop

	// mu guards the fields below.
	mu       sync.Mutex
	state    State
	reason   error
	replica  *replica
	ended    *replica // that diverged or failed; closed but for its machine, which is kept for status and roots
	restarts int
	setAside string // where a log that could not be used is kept, and why
}

// Start opens the data folder, joins the cluster and serves the client port. It returns when the node runs; a leader may not
// be known yet. Errors name the field, folder or port at fault.
func Start(cfg Config) (*Node, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuration of node %q: %w", cfg.ID, err)
	}
	n := newNode(cfg)
	return n.start(n.openDir, n.listen)
}

// StartOn starts a node on another ground than a data folder and TCP. It has no client port: Submit, Query and QueryStale take
// its place. Of the configuration, DataDir and all addresses mean nothing.
func StartOn(cfg Config, ground Ground) (*Node, error) {
	cfg = cfg.WithDefaults()
	errs := faults{}
	if cfg.validateReplica(&errs); len(errs) > 0 {
		return nil, fmt.Errorf("configuration of node %q: %w", cfg.ID, errors.Join(errs...))
	}
	n := newNode(cfg)
	n.ground = ground
	return n.start()
}

func newNode(cfg Config) *Node {
	logger := cfg.Logger.With("node", cfg.ID)
	n := &Node{cfg: cfg, logger: logger, metrics: newMetrics(cfg.ID, logger), started: time.Now(),
		quit: make(chan struct{}), done: make(chan struct{}), state: StateStarting}
	n.cfg.Logger = n.logger
	return n
}

// start takes the steps before the replica is opened, opens it and goes on beside the caller.
func (n *Node) start(steps ...func() error) (*Node, error) {
	for _, step := range append(steps, n.openFirst) {
		if err := step(); err != nil {
			return nil, fmt.Errorf("start node %s: %w", n.cfg.ID, errors.Join(err, n.release()))
		}
	}
	n.supervisor.Go(n.supervise)
	return n, nil
}

func (n *Node) openDir() (err error) {
	n.dir, err = openDataDir(n.cfg.DataDir, identity{Format: dataFormat, Cluster: n.cfg.ClusterID, Node: n.cfg.ID})
	if err == nil {
		n.cfg.DataDir = n.dir.path
	}
	return err
}

// listen takes both ports, so that one in use is known before anything else happens.
func (n *Node) listen() error {
	listener, err := net.Listen("tcp", n.cfg.RaftAddr)
	if err != nil {
		return fmt.Errorf("listen on the Raft port: %w", err)
	}
	// Each replica of this node gets a descriptor of its own for the port, so that it stays ours in between.
	n.socket, err = listener.(*net.TCPListener).File()
	if err := errors.Join(err, listener.Close()); err != nil {
		return fmt.Errorf("listen on the Raft port: %w", err)
	}
	n.server, err = newServer(n)
	if err != nil {
		return fmt.Errorf("listen on the client port: %w", err)
	}
	n.server.start()
	n.ground = &folderGround{cfg: &n.cfg, dir: n.dir, socket: n.socket}
	return nil
}

// openFirst opens the replica, unless an earlier divergence has not been dealt with.
func (n *Node) openFirst() error {
	if found, err := n.ground.FindEvidence(); err != nil || found != nil {
		if err == nil {
			n.logger.Error("this folder's replica has diverged before and is not started", "round", found.Round, "err", found)
			n.become(StateDiverged, found)
			err = n.closeSocket()
		}
		return err
	}
	r, err := openReplicaOrAside(&n.cfg, n.ground, n.metrics, nil)
	if err != nil {
		return err
	}
	n.run(r)
	return nil
}

// run makes a replica the node's.
func (n *Node) run(r *replica) {
	n.mu.Lock()
	n.replica = r
	if r.setAside != "" {
		n.setAside = r.setAside
	}
	n.mu.Unlock()
	n.become(StateRunning, nil)
}

func (n *Node) become(s State, reason error) {
	n.mu.Lock()
	n.state, n.reason = s, reason
	n.mu.Unlock()
	n.metrics.setState(s)
}

// supervise waits for the replica's end or the node's.
func (n *Node) supervise() {
	defer close(n.done)
	for {
		r := n.current()
		if r == nil {
			return
		}
		var reason error
		select {
		case reason = <-r.ended:
		case <-n.quit:
			n.become(StateStopped, errStopping)
			n.stopErr = n.leave(r, errStopping)
			return
		}
		var c *conflict
		if !errors.As(reason, &c) && !snapshot.IsDamage(reason) && !n.replaceable(reason) && !handingOn(reason) {
			n.end(r, reason)
			return
		}
		if err := n.repair(r, reason, c); err != nil {
			n.logger.Error("node failed", "err", err)
			n.become(StateFailed, err)
			return
		}
	}
}

// leave closes the replica.
func (n *Node) leave(r *replica, reason error) error {
	n.mu.Lock()
	n.replica = nil
	n.mu.Unlock()
	return r.close(reason)
}

// end closes a replica that must not serve any more, and leaves the node up to say so.
func (n *Node) end(r *replica, reason error) {
	state := StateFailed
	var diverged *fsm.DivergedError
	if errors.As(reason, &diverged) {
		state = StateDiverged
	}
	n.mu.Lock()
	n.state, n.reason, n.ended, r.keepMachine = state, reason, r, true
	n.mu.Unlock()
	n.metrics.setState(state)
	term, checkpoints := r.raft.CurrentTerm(), r.checkpointer.status()
	if err := errors.Join(n.leave(r, reason), n.closeSocket()); err != nil {
		n.logger.Error("replica did not close cleanly", "err", err)
	}
	if diverged == nil {
		n.logger.Error("node failed", "term", term, "err", reason)
		return
	}
	dir, err := n.ground.KeepEvidence(n.evidence(diverged, term, checkpoints))
	if err != nil {
		n.logger.Error("evidence could not be written", "round", diverged.Round, "err", err)
	}
	n.logger.Error("replica diverged and stopped serving", "round", diverged.Round, "own", diverged.Own.String(),
		"attested", diverged.Attested.String(), "term", term, "evidence", dir)
}

// replaceable reports whether a replica whose log has a damaged entry can begin anew, which needs others; a second time, what is written
// to its disk does not stay there.
func (n *Node) replaceable(reason error) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return damagedEntry(reason) && len(n.cfg.Peers) > 1 && n.setAside == ""
}

// repair opens the replica again: with c its log is cut before; after a damaged log entry it begins with nothing; after a transfer of leadership
// that did not end it goes on with what it has; otherwise the checkpoint that it was restored from was found damaged on use, has been set
// aside, and another one takes its place.
func (n *Node) repair(r *replica, reason error, c *conflict) error {
	open := func() (*replica, error) { return openReplicaOrAside(&n.cfg, n.ground, n.metrics, c) }
	switch {
	case c != nil:
		n.logger.Warn("cutting the end of the log, which was never committed, to take the leader's checkpoint", "index", c.index, "term", c.term)
	case damagedEntry(reason):
		open = func() (*replica, error) { return openAside(&n.cfg, n.ground, n.metrics, reason) }
	case handingOn(reason):
		n.logger.Warn("starting the replica again, to hand leadership on", "err", reason)
	default:
		n.logger.Warn("the state was restored from a checkpoint that is damaged; starting from another", "err", reason)
	}
	n.become(StateRepairing, reason)
	n.metrics.restarts.Inc()
	if err := n.leave(r, reason); err != nil {
		return err
	}
	opened, err := open()
	if err != nil {
		return fmt.Errorf("restart replica: %w", err)
	}
	n.mu.Lock()
	n.restarts++
	n.mu.Unlock()
	n.run(opened)
	return nil
}

// current gives the replica, nil when none runs.
func (n *Node) current() *replica {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.replica
}

// machine gives the state machine that can be asked for its status and roots, nil when there is none.
func (n *Node) machine() *fencedMachine {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.replica != nil {
		return n.replica.machine
	}
	if n.ended != nil {
		return n.ended.machine
	}
	return nil
}

// serving gives the replica to serve with, or why there is none.
func (n *Node) serving() (*replica, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state == StateRunning {
		return n.replica, nil
	}
	if n.reason == nil {
		return nil, fmt.Errorf("node %s is %s", n.cfg.ID, n.state)
	}
	return nil, fmt.Errorf("node %s is %s: %w", n.cfg.ID, n.state, n.reason)
}

// Stop ends the node: calls that wait are told, files and ports are closed, and no goroutine is left. It takes no checkpoint.
// Later calls return what the first returned.
func (n *Node) Stop() error {
	n.stopOnce.Do(func() {
		close(n.quit)
		n.supervisor.Wait()
		n.stopErr = errors.Join(n.stopErr, n.release())
	})
	return n.stopErr
}

// release gives back what Start took. The replica is closed already.
func (n *Node) release() error {
	var errs []error
	if n.server != nil {
		errs = append(errs, n.server.close())
	}
	if n.ended != nil {
		errs = append(errs, n.ended.closeMachine())
	}
	errs = append(errs, n.closeSocket())
	if n.dir != nil {
		errs = append(errs, n.dir.close())
	}
	return errors.Join(errs...)
}

// closeSocket gives up the Raft port, so that the other nodes are refused at once.
func (n *Node) closeSocket() error {
	if n.socket == nil {
		return nil
	}
	err := n.socket.Close()
	n.socket = nil
	return err
}

// Done is closed when the replica has ended for good: stopped, diverged or failed. After the last two the client port still
// answers /v1/status until Stop.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err says why the replica has ended: a *fsm.DivergedError, a *StorageError or another failure; nil while it runs or after a
// mere Stop.
func (n *Node) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state == StateDiverged || n.state == StateFailed {
		return n.reason
	}
	return nil
}

// HTTPAddr is the address on which the client port listens. The node must have one.
func (n *Node) HTTPAddr() string { return n.server.addr() }
