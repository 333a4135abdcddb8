package node

import (
	"errors"
	"io"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"
)

// runningRaft is what is asked of the running replica before raft hears a request.
type runningRaft interface {
	State() raft.RaftState
	CurrentTerm() uint64
	LeaderWithID() (raft.ServerAddress, raft.ServerID)
	LastIndex() uint64
	// AppliedIndex is raft's: it is ahead of the state machine by what is queued for it.
	AppliedIndex() uint64
}

// installGuard judges the checkpoints that a leader sends.
type installGuard struct {
	logger *slog.Logger
	log    raft.LogStore // through raft's cache
	// onConflict is told that our log must be cut before the checkpoint can be installed; the replica restarts for that.
	onConflict func(*conflict)
	// onInstalled is told the last entry of an installed checkpoint before the leader is.
	onInstalled func(index, term uint64) error
	// base is the entry that the log begins behind, nil for none; see guardedLog.
	base func() *logBase

	// mu guards raft, which exists only after the transport.
	mu   sync.Mutex
	raft runningRaft
}

func (g *installGuard) attach(r runningRaft) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.raft = r
}

func (g *installGuard) attached() runningRaft {
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

// decide judges the checkpoints that raft must not see. One at or below what raft has handed to the state machine is committed
// and durable here: the honest answer is "done", and nothing is touched.
func (g *installGuard) decide(term, index uint64) (decided bool, response *raft.InstallSnapshotResponse, err error) {
	response = &raft.InstallSnapshotResponse{RPCHeader: rpcHeader()}
	r := g.attached()
	if r == nil {
		return true, response, errNotAttached
	}
	response.Term = r.CurrentTerm()
	if term < response.Term || index > r.AppliedIndex() {
		return term < response.Term, response, nil
	}
	g.logger.Info("ignored a checkpoint older than the own state", "index", index, "term", term)
	response.Success = true
	return true, response, nil
}

// onward makes of a leader's request that begins before the checkpoint that the log begins behind one that begins with it: what the
// checkpoint ends with is committed, and so the same in the log of every leader. Raft would look for the entry before, or for
// the log's first, reject the request for want of it, and be sent the same or an older checkpoint, without end: by a leader which does not
// know that another one has sent the newer.
func (g *installGuard) onward(req *raft.AppendEntriesRequest) *raft.AppendEntriesRequest {
	base := g.base()
	if base == nil || req.PrevLogEntry >= base.index || req.Term < g.term() {
		return req
	}
	looked := req.PrevLogEntry
	if looked == 0 { // the log from its first entry on, or a heartbeat
		if len(req.Entries) == 0 {
			return req
		}
		looked = req.Entries[0].Index
	}
	if err := g.log.GetLog(looked, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
		return req
	}
	onward := *req
	onward.PrevLogEntry, onward.PrevLogTerm = base.index, base.term
	for len(onward.Entries) > 0 && onward.Entries[0].Index <= base.index {
		onward.Entries = onward.Entries[1:]
	}
	return &onward
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
	if err := g.onInstalled(req.LastLogIndex, req.LastLogTerm); err != nil {
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
