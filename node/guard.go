package node

import (
	"errors"
	"io"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"
)

// transport is the network with a guard before raft's ear: hashicorp/raft installs any checkpoint of the current
// term that it is sent, also one older than its own state, and cannot go on after one that its log contradicts.
type transport struct {
	Network
	guard  *installGuard
	joiner *joiner
	heard  chan raft.RPC
	closed chan struct{}
	once   sync.Once
	pump   sync.WaitGroup
}

var (
	_ raft.Transport   = (*transport)(nil)
	_ raft.WithPreVote = (*transport)(nil)
	_ raft.WithClose   = (*transport)(nil)
)

func newTransport(network Network, guard *installGuard, j *joiner) *transport {
	t := &transport{Network: network, guard: guard, joiner: j, heard: make(chan raft.RPC), closed: make(chan struct{})}
	t.pump.Go(t.listen)
	return t
}

// Consumer implements raft.Transport.
func (t *transport) Consumer() <-chan raft.RPC { return t.heard }

// Close implements raft.WithClose.
func (t *transport) Close() error {
	t.once.Do(func() { close(t.closed) })
	err := t.Network.Close()
	t.pump.Wait()
	return err
}

// silence cuts every connection without waiting for anybody. It may be called from any goroutine of raft.
func (t *transport) silence() {
	t.once.Do(func() { close(t.closed) })
	_ = t.Network.Close() // what it could say, Close says again
}

func (t *transport) listen() {
	for {
		select {
		case rpc := <-t.Network.Consumer():
			t.hear(rpc)
		case <-t.closed:
			return
		}
	}
}

// hear lets the guard and the joiner look at a request on its way to raft.
func (t *transport) hear(rpc raft.RPC) {
	switch req := rpc.Command.(type) {
	case *raft.InstallSnapshotRequest:
		t.install(rpc, req)
	case *raft.AppendEntriesRequest:
		if !t.joiner.on.Load() {
			t.hand(rpc)
			return
		}
		if answer, ok := t.ask(rpc); ok {
			t.joiner.committed(req.LeaderCommitIndex, req.Term)
			rpc.RespChan <- answer
		}
	default:
		if !t.joiner.withhold(rpc, t.guard.term()) {
			t.hand(rpc)
		}
	}
}

// hand gives a request to raft; false means that the transport is closed.
func (t *transport) hand(rpc raft.RPC) bool {
	select {
	case t.heard <- rpc:
		return true
	case <-t.closed:
		return false
	}
}

// install hands a checkpoint to raft if the guard lets it, and waits for the end: raft hears nothing else meanwhile anyway.
func (t *transport) install(rpc raft.RPC, req *raft.InstallSnapshotRequest) {
	if answer, decided := t.guard.answer(rpc, req); decided {
		rpc.RespChan <- answer
		return
	}
	watched := rpc
	watched.Reader = t.guard.watch(rpc.Reader, req)
	if answer, ok := t.ask(watched); ok {
		rpc.RespChan <- t.guard.installed(answer, req)
	}
}

// ask hands a request to raft and waits for the answer, which does not go to the sender yet; false means that the transport
// is closed.
func (t *transport) ask(rpc raft.RPC) (raft.RPCResponse, bool) {
	done := make(chan raft.RPCResponse, 1)
	rpc.RespChan = done
	if !t.hand(rpc) {
		return raft.RPCResponse{}, false
	}
	select {
	case answer := <-done:
		return answer, true
	case <-t.closed:
		return raft.RPCResponse{}, false
	}
}

// replicaLog is what the guard asks of the running replica.
type replicaLog interface {
	CurrentTerm() uint64
	// AppliedIndex is raft's: it is ahead of the state machine by what is queued for it.
	AppliedIndex() uint64
}

// installGuard judges the checkpoints that a leader sends.
type installGuard struct {
	logger *slog.Logger
	log    raft.LogStore // through raft's cache
	// onConflict is told that our log must be cut before the checkpoint can be installed; the replica restarts for that.
	onConflict func(*conflict)
	// onInstalled is told the index of an installed checkpoint before the leader is.
	onInstalled func(index uint64) error

	// mu guards raft, which exists only after the transport.
	mu   sync.Mutex
	raft replicaLog
}

func (g *installGuard) attach(r replicaLog) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.raft = r
}

func (g *installGuard) attached() replicaLog {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.raft
}

// term is the replica's current term, 0 before there is a replica.
func (g *installGuard) term() uint64 {
	if r := g.attached(); r != nil {
		return r.CurrentTerm()
	}
	return 0
}

var (
	errStaleInstall = errors.New("checkpoint is older than the state of this replica")
	errConflict     = errors.New("log conflicts with the checkpoint: this replica cuts its log and restarts")
	errNotAttached  = errors.New("replica is starting")
)

// answer decides about the checkpoints that raft must not see. One at or below what raft has handed to the state machine is
// committed and durable here: the honest answer is "done", and nothing is touched.
func (g *installGuard) answer(rpc raft.RPC, req *raft.InstallSnapshotRequest) (answer raft.RPCResponse, decided bool) {
	r := g.attached()
	if r == nil {
		return raft.RPCResponse{Response: &raft.InstallSnapshotResponse{}, Error: errNotAttached}, true
	}
	if req.Term < r.CurrentTerm() || req.LastLogIndex > r.AppliedIndex() {
		return raft.RPCResponse{}, false
	}
	g.logger.Info("ignored a checkpoint older than the own state", "index", req.LastLogIndex, "term", req.LastLogTerm)
	_, err := io.Copy(io.Discard, rpc.Reader)
	return raft.RPCResponse{Response: &raft.InstallSnapshotResponse{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}, Term: r.CurrentTerm(), Success: true}, Error: err}, true
}

// watch gives the checkpoint a last look when raft begins to read it: only then, on raft's main goroutine, nothing else
// moves.
func (g *installGuard) watch(under io.Reader, req *raft.InstallSnapshotRequest) io.Reader {
	return &lastLook{Reader: under, look: func() error {
		if req.LastLogIndex <= g.attached().AppliedIndex() {
			return errStaleInstall
		}
		var entry raft.Log
		err := g.log.GetLog(req.LastLogIndex, &entry)
		if errors.Is(err, raft.ErrLogNotFound) || err == nil && entry.Term == req.LastLogTerm {
			return nil
		}
		if err == nil {
			g.onConflict(&conflict{index: req.LastLogIndex, term: req.LastLogTerm})
			err = errConflict
		}
		return err
	}}
}

// installed sees raft's answer before the leader does.
func (g *installGuard) installed(answer raft.RPCResponse, req *raft.InstallSnapshotRequest) raft.RPCResponse {
	response, ok := answer.Response.(*raft.InstallSnapshotResponse)
	if !ok || !response.Success || answer.Error != nil {
		return answer
	}
	if err := g.onInstalled(req.LastLogIndex); err != nil {
		response.Success, answer.Error = false, err
	}
	return answer
}

// lastLook calls look before the first byte is read. When look objects, one Read fails with its error; later ones drain the
// stream as raft wants it.
type lastLook struct {
	io.Reader
	look   func() error
	looked bool
}

func (l *lastLook) Read(p []byte) (int, error) {
	if !l.looked {
		l.looked = true
		if err := l.look(); err != nil {
			return 0, err
		}
	}
	return l.Reader.Read(p)
}
