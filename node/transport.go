package node

import (
	"errors"
	"io"
	"net"
	"sync"

	"github.com/hashicorp/raft"
)

// transport is the network with a guard before raft's ear: hashicorp/raft installs any checkpoint of the current
// term that it is sent, also one older than its own state, and cannot go on after one that its log contradicts.
//
// On a SyncNetwork checkpoints go beside Raft's messages (stateSync); on another one they come with them.
type transport struct {
	Network
	guard  *installGuard
	joiner *joiner
	sync   *stateSync // nil if the network is no SyncNetwork
	heard  chan raft.RPC
	closed chan struct{}
	once   sync.Once
	pump   sync.WaitGroup

	// beats are the heartbeats that raft is to be told of.
	beats chan raft.RPC

	contacts contacts

	// turn is held while raft is handed a request: nothing else is heard while a checkpoint is installed.
	turn sync.Mutex
}

var (
	_ raft.Transport   = (*transport)(nil)
	_ raft.WithPreVote = (*transport)(nil)
	_ raft.WithClose   = (*transport)(nil)
)

// newTransport fills in what s, which has its configuration only, is to know of the others.
func newTransport(network Network, guard *installGuard, j *joiner, s *stateSync) *transport {
	t := &transport{Network: network, guard: guard, joiner: j, heard: make(chan raft.RPC), beats: make(chan raft.RPC, 1), closed: make(chan struct{})}
	if n, ok := network.(SyncNetwork); ok {
		t.sync = s
		s.network, s.guard, s.install, s.conns = n, guard, t.install, map[net.Conn]struct{}{}
		n.TakeSync(s.receive)
	}
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
	if t.sync != nil {
		t.sync.close()
	}
	return err
}

// cutSync ends the transfers under way, for which raft would wait when it shuts down.
func (t *transport) cutSync() {
	if t.sync != nil {
		t.sync.cut()
	}
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
		case rpc := <-t.beats:
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
		t.hearInstall(rpc, req)
	case *raft.AppendEntriesRequest:
		t.turn.Lock()
		defer t.turn.Unlock()
		req = t.guard.onward(req)
		rpc.Command = req
		t.joiner.elected(&t.joiner.voted, req.Term)
		if !t.joiner.on.Load() {
			t.hand(rpc)
			return
		}
		if answer, ok := t.ask(rpc); ok {
			t.joiner.committed(req.LeaderCommitIndex, req.Term)
			rpc.RespChan <- answer
		}
	case *raft.RequestVoteRequest:
		t.hearVote(rpc, req)
	default:
		t.turn.Lock()
		defer t.turn.Unlock()
		if _, ok := req.(*raft.RequestPreVoteRequest); ok {
			t.unfollow()
		}
		if !t.joiner.withhold(rpc, t.guard.term()) {
			t.hand(rpc)
		}
	}
}

// hearVote deals with a candidate, and notes what a joining replica has answered.
func (t *transport) hearVote(rpc raft.RPC, req *raft.RequestVoteRequest) {
	t.turn.Lock()
	defer t.turn.Unlock()
	t.unfollow()
	if t.joiner.withhold(rpc, t.guard.term()) {
		return
	}
	if !t.joiner.on.Load() {
		t.hand(rpc)
		return
	}
	if answer, ok := t.ask(rpc); ok {
		if vote, ok := answer.Response.(*raft.RequestVoteResponse); ok && vote.Granted {
			t.joiner.note(&t.joiner.voted, req.LastLogIndex, req.Term)
		}
		rpc.RespChan <- answer
	}
}

// unfollow makes a candidate that knows a leader one of nobody's followers, before somebody asks it for its vote: it would refuse everybody for
// good if that leader is not heard of again. In hashicorp/raft 1.7.3 a replica that asks whether it may stand becomes such a candidate when
// it is sent a checkpoint, since it does so in the leader's own term, and one that leadership was handed to by any message of another leader of its term.
func (t *transport) unfollow() {
	r := t.guard.attached()
	if r == nil || r.State() != raft.Candidate {
		return
	}
	if leader, _ := r.LeaderWithID(); leader == "" || leader == t.LocalAddr() { // it has just been elected
		return
	}
	t.ask(raft.RPC{Command: &raft.AppendEntriesRequest{RPCHeader: rpcHeader(), Term: r.CurrentTerm()}})
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

// errWholeCheckpoint answers a peer that sends a checkpoint as hashicorp/raft by itself does.
var errWholeCheckpoint = errors.New("checkpoints are sent on a connection of their own: is the sender of another version?")

// hearInstall deals with a checkpoint that comes with raft's messages. The stream of one that is refused is read to its end,
// since the next request stands behind it; that is not waited for.
func (t *transport) hearInstall(rpc raft.RPC, req *raft.InstallSnapshotRequest) {
	decided, response, err := t.sync != nil, &raft.InstallSnapshotResponse{}, errWholeCheckpoint
	if !decided {
		decided, response, err = t.guard.decide(req.Term, req.LastLogIndex)
	}
	if decided {
		t.pump.Go(func() {
			if _, broken := io.Copy(io.Discard, rpc.Reader); err == nil {
				err = broken
			}
			rpc.RespChan <- raft.RPCResponse{Response: response, Error: err}
		})
		return
	}
	if answer, ok := t.install(rpc, req); ok {
		rpc.RespChan <- answer
	}
}

// install hands a checkpoint to raft, under the guard's eyes, and waits for the end: raft hears nothing else meanwhile anyway.
// False means that the transport is closed.
func (t *transport) install(rpc raft.RPC, req *raft.InstallSnapshotRequest) (raft.RPCResponse, bool) {
	t.turn.Lock()
	defer t.turn.Unlock()
	rpc.Reader = t.guard.watch(rpc.Reader, req)
	answer, ok := t.ask(rpc)
	if !ok {
		return answer, false
	}
	return t.guard.installed(answer, req), true
}

// RequestVote implements raft.Transport. A replica that is joining does not ask.
func (t *transport) RequestVote(id raft.ServerID, target raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	if !t.joiner.stands(req.LastLogIndex) {
		*resp = raft.RequestVoteResponse{RPCHeader: rpcHeader(), Term: req.Term}
		return nil
	}
	t.joiner.note(&t.joiner.stood, req.LastLogIndex, req.Term)
	return t.Network.RequestVote(id, target, req, resp)
}

// RequestPreVote implements raft.WithPreVote. A replica that is joining does not ask.
func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	if !t.joiner.stands(req.LastLogIndex) {
		*resp = raft.RequestPreVoteResponse{RPCHeader: rpcHeader(), Term: req.Term}
		return nil
	}
	return t.Network.RequestPreVote(id, target, req, resp)
}

// InstallSnapshot implements raft.Transport.
func (t *transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if t.sync == nil {
		return t.Network.InstallSnapshot(id, target, req, resp, data)
	}
	return t.sync.send(target, req, resp, data)
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
