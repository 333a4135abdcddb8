package sim

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// transport is one life's end of the network. It implements node.Network.
type transport struct {
	net  *network
	self int
	gate *gate
	tap  tap

	consumer chan raft.RPC
	closed   chan struct{}
	once     sync.Once

	mu        sync.Mutex
	heartbeat func(raft.RPC)
}

// tap sees what a replica says and is told.
type tap interface {
	asked(command any)
	answered(command, answer any)
	// sending gives a number to a checkpoint that is about to be read, sent is told what was read.
	sending(to int, index, term uint64) (number uint64)
	sent(to int, req *raft.InstallSnapshotRequest, read *body)
	installing(from int, req *raft.InstallSnapshotRequest, number uint64)
	refusedInstall(from int, req *raft.InstallSnapshotRequest, reason string)
}

func newTransport(net *network, self int, g *gate, t tap) *transport {
	return &transport{net: net, self: self, gate: g, tap: t, consumer: make(chan raft.RPC), closed: make(chan struct{})}
}

// Consumer implements raft.Transport.
func (t *transport) Consumer() <-chan raft.RPC { return t.consumer }

// LocalAddr implements raft.Transport.
func (t *transport) LocalAddr() raft.ServerAddress { return raft.ServerAddress(serverID(t.self)) }

// EncodePeer implements raft.Transport.
func (t *transport) EncodePeer(_ raft.ServerID, a raft.ServerAddress) []byte { return []byte(a) }

// DecodePeer implements raft.Transport.
func (t *transport) DecodePeer(b []byte) raft.ServerAddress { return raft.ServerAddress(b) }

// SetHeartbeatHandler implements raft.Transport.
func (t *transport) SetHeartbeatHandler(f func(raft.RPC)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heartbeat = f
}

// Close implements raft.WithClose.
func (t *transport) Close() error {
	t.once.Do(func() {
		t.net.detach(t)
		close(t.closed)
	})
	return nil
}

// exchange is call for a known kind of answer.
func exchange[A any](t *transport, target raft.ServerAddress, request any, answer *A, body *body) error {
	t.tap.asked(request)
	got, err := t.call(target, request, body)
	if err != nil {
		return err
	}
	*answer = *got.(*A)
	return nil
}

// AppendEntries implements raft.Transport.
func (t *transport) AppendEntries(_ raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return exchange(t, to, req, resp, nil)
}

// RequestVote implements raft.Transport.
func (t *transport) RequestVote(_ raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return exchange(t, to, req, resp, nil)
}

// RequestPreVote implements raft.WithPreVote.
func (t *transport) RequestPreVote(_ raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return exchange(t, to, req, resp, nil)
}

// TimeoutNow implements raft.Transport.
func (t *transport) TimeoutNow(_ raft.ServerID, to raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return exchange(t, to, req, resp, nil)
}

// InstallSnapshot implements raft.Transport.
func (t *transport) InstallSnapshot(_ raft.ServerID, to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	read := &body{number: t.tap.sending(replicaOf(to), req.LastLogIndex, req.LastLogTerm)}
	whole := bytes.NewBuffer(make([]byte, 0, req.Size+bytes.MinRead))
	if _, err := whole.ReadFrom(io.LimitReader(data, req.Size)); err != nil {
		return err
	}
	read.data = whole.Bytes()
	t.tap.sent(replicaOf(to), req, read)
	return exchange(t, to, req, resp, read)
}

// receive is a message's arrival at a replica: it waits for the replica's answer.
func (t *transport) receive(command any, stream *bodyReader, timeout time.Duration) (any, error) {
	if !t.gate.open() { // it stands still: what arrives now waits for it
		go func() {
			if t.gate.pass(t.closed) {
				_, _ = t.handle(command, stream, timeout) // its sender has given up
			}
		}()
		return nil, errTimeout
	}
	return t.handle(command, stream, timeout)
}

func (t *transport) handle(command any, stream *bodyReader, timeout time.Duration) (any, error) {
	done := make(chan raft.RPCResponse, 1)
	rpc := raft.RPC{Command: command, RespChan: done}
	req, install := command.(*raft.InstallSnapshotRequest)
	if install {
		timeout = 1000 * time.Hour // as long as its stream lasts
		rpc.Reader = stream
		t.tap.installing(replicaOf(req.Leader), req, stream.number)
	}
	timer := t.net.timer(timeout)
	defer t.net.done(timer)
	if beat := t.beats(command); beat != nil {
		beat(rpc)
	} else {
		select {
		case t.consumer <- rpc:
		case <-t.closed:
			return nil, errReset
		case <-timer.C:
			return nil, errTimeout
		}
	}
	select {
	case answer := <-done:
		if install && (answer.Error != nil || !answer.Response.(*raft.InstallSnapshotResponse).Success) {
			t.tap.refusedInstall(replicaOf(req.Leader), req, errorText(answer.Error))
		}
		t.tap.answered(command, answer.Response)
		return copyAnswer(answer.Response), answer.Error
	case <-t.closed:
		return nil, errReset
	case <-timer.C:
		return nil, errTimeout
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// beats gives the handler of heartbeats if the message is one: raft's own transport knows them by their zeros.
func (t *transport) beats(command any) func(raft.RPC) {
	req, ok := command.(*raft.AppendEntriesRequest)
	if !ok || req.Term == 0 || len(req.Addr) == 0 || req.PrevLogEntry != 0 || req.PrevLogTerm != 0 ||
		len(req.Entries) != 0 || req.LeaderCommitIndex != 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.heartbeat
}
