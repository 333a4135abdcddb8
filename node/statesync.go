package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/snapshot"
)

// SyncNetwork is a Network that carries checkpoints on connections of their own, so that only what a follower lacks is sent. On
// another Network Raft sends them whole.
type SyncNetwork interface {
	Network
	// OpenSync connects to a node for one checkpoint.
	OpenSync(to raft.ServerAddress) (net.Conn, error)
	// TakeSync names who serves the connections of others' OpenSync, each on a goroutine of its own; one ends when take returns.
	// Close of the network breaks them all.
	TakeSync(take func(from string, conn net.Conn))
}

// stateSync moves checkpoints between replicas in place of raft's transport. Raft sees an InstallSnapshot as ever: on the leader
// it takes as long as the transfer, on the follower it comes when everything has come and was verified.
type stateSync struct {
	logger      *slog.Logger
	network     SyncNetwork
	timeout     time.Duration
	checkpoints Checkpoints
	guard       *installGuard
	transfers   *transfers
	// install hands a request to raft; false means that the transport is closed.
	install func(rpc raft.RPC, req *raft.InstallSnapshotRequest) (raft.RPCResponse, bool)

	active sync.WaitGroup // calls of send and receive

	// mu guards the fields below.
	mu      sync.Mutex
	closed  bool
	conns   map[net.Conn]struct{}
	current *receiving
}

// receiving is the one transfer to this replica.
type receiving struct {
	term uint64
	conn *syncConn
	done chan struct{}
}

// give ends the transfer in favour of another one. What has arrived already may be taken first: its sender has given up, or is
// about to.
func (r *receiving) give() {
	step := r.conn.timeout / 20
	tick := time.NewTicker(step)
	defer tick.Stop()
	last, now := uint64(0), r.conn.carried.Load()
	for waited := time.Duration(0); now != last && waited < r.conn.timeout; waited += step {
		select {
		case <-r.done:
			return
		case <-tick.C:
			last, now = now, r.conn.carried.Load()
		}
	}
	_ = r.conn.Close() // a connection that is already broken is as good as closed
	<-r.done
}

// enter makes a connection end with cut; false means that it is too late.
func (s *stateSync) enter(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[conn] = struct{}{}
	s.active.Add(1)
	return true
}

func (s *stateSync) leave(conn net.Conn) {
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
	s.active.Done()
}

// cut breaks all transfers and lets no new ones begin. It waits for nobody.
func (s *stateSync) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for conn := range s.conns {
		_ = conn.Close() // a connection that is already broken is as good as closed
	}
}

// close is cut, and waits for the transfers' end.
func (s *stateSync) close() {
	s.cut()
	s.active.Wait()
}

// send is raft.Transport's InstallSnapshot.
func (s *stateSync) send(to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	reader, err := snapshot.ReaderBehind(data)
	if err != nil {
		return fmt.Errorf("send checkpoint to node %s: %w", to, err)
	}
	stream, err := s.network.OpenSync(to)
	if err != nil {
		return err
	}
	defer stream.Close()
	if !s.enter(stream) {
		return raft.ErrTransportShutdown
	}
	defer s.leave(stream)
	conn := newSyncConn(stream, s.timeout)
	answer, err := s.sendOn(conn, string(to), req, reader)
	if err != nil {
		return fmt.Errorf("send checkpoint to node %s: %w", to, err)
	}
	resp.RPCHeader, resp.Term, resp.Success = rpcHeader(), answer.term, answer.success
	if answer.err != "" {
		return errors.New(answer.err)
	}
	return nil
}

// sendOn is send on an open connection.
func (s *stateSync) sendOn(conn *syncConn, to string, req *raft.InstallSnapshotRequest, reader *snapshot.Reader) (syncAnswer, error) {
	o := offer{term: req.Term, index: req.LastLogIndex, entryTerm: req.LastLogTerm, maxHaveSize: reader.MaxHave()}
	if err := conn.send(kindOffer, o.encode()); err != nil {
		return syncAnswer{}, err
	}
	kind, body, err := conn.await(max(o.maxHaveSize, maxSyncAnswerBytes))
	if err != nil {
		return syncAnswer{}, err
	}
	if kind == kindAnswer {
		return decodeSyncAnswer(body)
	}
	if kind != kindHave {
		return syncAnswer{}, fmt.Errorf("%w: message of kind %d in place of what the follower has", errSyncProtocol, kind)
	}
	have, err := snapshot.DecodeHave(body)
	if err != nil {
		return syncAnswer{}, err
	}
	t := s.transfers.begin(transferSending, to, req.LastLogIndex, conn)
	answer, err := s.sendDelta(conn, have, reader, t)
	t.end(errors.Join(err, answer.fault()))
	return answer, err
}

// sendDelta sends what is missing. The follower may answer at any time.
func (s *stateSync) sendDelta(conn *syncConn, have *snapshot.Have, reader *snapshot.Reader, t *transfer) (answer syncAnswer, err error) {
	answered := make(chan error, 1)
	go func() {
		kind, body, err := conn.await(maxSyncAnswerBytes)
		if err == nil && kind != kindAnswer {
			err = fmt.Errorf("%w: message of kind %d in place of an answer", errSyncProtocol, kind)
		}
		if err == nil {
			answer, err = decodeSyncAnswer(body)
		}
		answered <- err
		_ = conn.Close() // whatever is still being sent is not wanted
	}()
	w := &chunkWriter{conn: conn, wrote: t.moved}
	report, err := reader.WriteDelta(w, have, t.sized)
	if err == nil {
		err = w.flush()
	}
	if snapshot.IsDamage(err) {
		_ = conn.Close()
		<-answered
		return syncAnswer{}, err
	}
	if err == nil {
		t.movedPages(report.Pages)
	}
	if failed := <-answered; failed != nil {
		return syncAnswer{}, errors.Join(err, failed)
	}
	return answer, nil
}

// receive serves a leader that sends a checkpoint.
func (s *stateSync) receive(from string, stream net.Conn) {
	if !s.enter(stream) {
		return
	}
	defer s.leave(stream)
	conn := newSyncConn(stream, s.timeout)
	kind, body, err := conn.receive(offerBytes, nil)
	var o offer
	if err == nil {
		o, err = decodeOffer(kind, body)
	}
	if err != nil {
		s.logger.Warn("refused a checkpoint", "peer", from, "err", err)
		_ = conn.send(kindAnswer, syncAnswer{err: err.Error()}.encode()) // one of another version may understand it
		return
	}
	quiet := conn.keepAlive()
	answer, ok := s.take(from, conn, o)
	quiet()
	if ok && conn.send(kindAnswer, answer.encode()) == nil {
		conn.drain()
	}
}

// take receives the checkpoint and lets raft install it. False means that the transport is closed.
func (s *stateSync) take(from string, conn *syncConn, o offer) (answer syncAnswer, ok bool) {
	done, err := s.turn(conn, o.term)
	if err != nil {
		return syncAnswer{err: err.Error()}, true
	}
	defer done()
	if decided, response, err := s.guard.decide(o.term, o.index); decided {
		return answerOf(raft.RPCResponse{Response: response, Error: err}), true
	}
	incoming, err := s.checkpoints.BeginTransfer()
	if err != nil {
		return syncAnswer{err: err.Error()}, true
	}
	response, ok := s.assemble(from, conn, o, incoming)
	if err := incoming.Close(); err != nil {
		s.logger.Warn("what a transfer has left could not be put away", "err", err)
	}
	return answerOf(response), ok
}

// answerOf is raft's answer as the leader is told it.
func answerOf(r raft.RPCResponse) syncAnswer {
	var a syncAnswer
	if response, ok := r.Response.(*raft.InstallSnapshotResponse); ok && response != nil {
		a.term, a.success = response.Term, response.Success
	}
	if r.Error != nil {
		a.success, a.err = false, r.Error.Error()
	}
	return a
}

// turn makes a transfer the only one to this replica. One under way is cut unless it is of a newer leader: what it has received
// is kept, and this one goes on from there.
func (s *stateSync) turn(conn *syncConn, term uint64) (done func(), err error) {
	mine := &receiving{term: term, conn: conn, done: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.current != nil {
		other := s.current
		if other.term > term {
			return nil, fmt.Errorf("a checkpoint of the leader of term %d is being received, this one is of term %d", other.term, term)
		}
		s.mu.Unlock()
		other.give()
		s.mu.Lock()
	}
	s.current = mine
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.current = nil
		close(mine.done)
	}, nil
}

// assemble receives what is missing, and hands raft a ticket for the whole.
func (s *stateSync) assemble(from string, conn *syncConn, o offer, incoming *snapshot.Transfer) (raft.RPCResponse, bool) {
	have, err := incoming.Have(o.maxHaveSize)
	if err == nil {
		err = conn.send(kindHave, have.Encode())
	}
	if err != nil {
		return raft.RPCResponse{Error: err}, true
	}
	t := s.transfers.begin(transferReceiving, from, o.index, conn)
	var manifest *snapshot.Manifest
	chunks := &chunkReader{conn: conn, look: func() error { return s.stillWanted(o.term) }}
	err = incoming.Receive(chunks, func(m *snapshot.Manifest) error {
		manifest = m
		if m.Index != o.index || m.Term != o.entryTerm {
			return fmt.Errorf("it is of index %d and term %d; %d and %d were offered", m.Index, m.Term, o.index, o.entryTerm)
		}
		return nil
	}, t.received)
	if err != nil {
		t.end(err)
		return raft.RPCResponse{Error: err}, true
	}
	ticket := incoming.Ticket()
	request := installRequest(from, o.term, manifest, int64(len(ticket)))
	response, ok := s.install(raft.RPC{Command: request, Reader: bytes.NewReader(ticket)}, request)
	if !ok {
		response.Error = raft.ErrTransportShutdown
	}
	t.end(answerOf(response).fault())
	return response, ok
}

// stillWanted ends a transfer whose leader is one no more.
func (s *stateSync) stillWanted(term uint64) error {
	if now := s.guard.term(); now > term {
		return fmt.Errorf("the leader of term %d is followed by that of term %d", term, now)
	}
	return nil
}

// installRequest is what the leader's raft has asked for, told from the checkpoint itself: nothing that a peer has encoded for
// raft is decoded.
func installRequest(from string, term uint64, m *snapshot.Manifest, size int64) *raft.InstallSnapshotRequest {
	return &raft.InstallSnapshotRequest{
		RPCHeader:       raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(from), Addr: []byte(from)},
		SnapshotVersion: raft.SnapshotVersionMax, Term: term, Leader: []byte(from), LastLogIndex: m.Index, LastLogTerm: m.Term,
		Configuration: raft.EncodeConfiguration(m.Configuration), ConfigurationIndex: m.ConfigurationIndex, Size: size,
	}
}

// fault is the answer as an error, nil for success.
func (a syncAnswer) fault() error {
	switch {
	case a.success:
		return nil
	case a.err != "":
		return errors.New(a.err)
	}
	return fmt.Errorf("refused in term %d", a.term)
}

// await reads the next message that says more than that the other side is alive.
func (c *syncConn) await(most int64) (kind byte, body []byte, err error) {
	for {
		if kind, body, err = c.receive(most, nil); err != nil || kind != kindAlive {
			return kind, body, err
		}
	}
}

// keepAlive lets the other side wait until quiet is called.
func (c *syncConn) keepAlive() (quiet func()) {
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(c.timeout / 4)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = c.send(kindAlive) // who reads will notice
			case <-stop:
				return
			}
		}
	}()
	return func() {
		close(stop)
		<-ended
	}
}

// drain takes what was on its way when the answer was sent, so that the answer is not lost with the connection.
func (c *syncConn) drain() {
	_ = c.SetReadDeadline(time.Now().Add(c.timeout))
	_, _ = io.CopyN(io.Discard, c.Conn, maxDrainBytes) // until the leader closes, at most the timeout
}
