package link

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// Config says who this node is and where the others are.
type Config struct {
	Self, Cluster string
	// Peers are the addresses (host:port) by node ID. Who is not among them is refused.
	Peers map[string]string
	// Timeout bounds the greeting of an accepted connection, and dialling and greeting for a checkpoint.
	Timeout time.Duration
	// MessageBytes bounds what a peer that has dialled for Raft may send before it is answered; more ends the connection. 0: no bound.
	MessageBytes int64
}

// Layer carries the connections between replicas over TCP: hashicorp/raft's, and those of checkpoints. Raft's server addresses
// are node IDs; the layer looks up where a node is. It owns every connection in both directions, because raft's transport
// leaves accepted and pooled ones open when it is closed.
type Layer struct {
	cfg      Config
	listener net.Listener
	// take is given the connections for a checkpoint; nil before there is a taker.
	take atomic.Pointer[func(from string, conn net.Conn)]

	// mu guards the fields below.
	mu       sync.Mutex
	closed   bool
	conns    map[*trackedConn]struct{}
	accepted acceptedConns
}

var _ raft.StreamLayer = (*Layer)(nil)

// NewLayer owns the listener from here on.
func NewLayer(cfg Config, listener net.Listener) *Layer {
	return &Layer{cfg: cfg, listener: listener, conns: map[*trackedConn]struct{}{},
		accepted: acceptedConns{greeted: map[string][]*trackedConn{}}}
}

// TakeCheckpoints says who is given the accepted connections on which a peer sends a checkpoint. The connection ends when take
// returns. Without a taker they are closed at once.
func (s *Layer) TakeCheckpoints(take func(from string, conn net.Conn)) { s.take.Store(&take) }

// idAddr is a node ID as raft's transport wants to see the address that it listens on.
type idAddr string

func (idAddr) Network() string  { return "lockstep" }
func (a idAddr) String() string { return string(a) }

// Addr implements net.Listener.
func (s *Layer) Addr() net.Addr { return idAddr(s.cfg.Self) }

// Accept implements net.Listener.
func (s *Layer) Accept() (net.Conn, error) {
	conn, err := s.listener.Accept()
	if err != nil {
		return nil, err
	}
	tracked, err := s.track(conn)
	if err != nil {
		return nil, err
	}
	s.admit(tracked)
	return &welcomingConn{Conn: tracked, judge: s.judge, serve: s.serve, timeout: s.cfg.Timeout, most: s.cfg.MessageBytes,
		welcomed: func(from string) { s.welcomed(tracked, from) }}, nil
}

func (s *Layer) serve(from string, conn net.Conn) {
	if take := s.take.Load(); take != nil {
		(*take)(from, conn)
	}
}

func (s *Layer) judge(g greeting) string {
	return g.refusal(s.cfg.Cluster, s.cfg.Self, func(id string) bool { _, ok := s.cfg.Peers[id]; return ok })
}

// Dial implements raft.StreamLayer.
func (s *Layer) Dial(id raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return s.dial(id, purposeRaft, timeout)
}

// DialCheckpoint opens a connection on which a checkpoint is sent to a peer.
func (s *Layer) DialCheckpoint(id raft.ServerAddress) (net.Conn, error) {
	return s.dial(id, purposeCheckpoint, s.cfg.Timeout)
}

func (s *Layer) dial(id raft.ServerAddress, use purpose, timeout time.Duration) (net.Conn, error) {
	addr, ok := s.cfg.Peers[string(id)]
	if !ok {
		return nil, fmt.Errorf("node %q is not a peer", id)
	}
	conn, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return nil, fmt.Errorf("dial node %s: %w", id, err)
	}
	tracked, err := s.track(conn)
	if err != nil {
		return nil, err
	}
	if err := greet(tracked, greeting{purpose: use, cluster: s.cfg.Cluster, from: s.cfg.Self, to: string(id)}, timeout); err != nil {
		return nil, errors.Join(err, tracked.Close())
	}
	return newFramedConn(tracked, string(id)), nil
}

// Close stops listening and closes every connection. Nothing is sent any more once it has returned.
func (s *Layer) Close() error {
	s.mu.Lock()
	s.closed = true
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	err := s.listener.Close()
	for c := range conns {
		_ = c.Conn.Close() // a connection that is already broken is as good as closed
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// track makes the connection end with the layer.
func (s *Layer) track(conn net.Conn) (*trackedConn, error) {
	c := &trackedConn{Conn: conn, layer: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	s.conns[c] = struct{}{}
	return c, nil
}

type trackedConn struct {
	net.Conn
	layer *Layer
	from  string // who dialled it, once it has greeted
}

func (c *trackedConn) Close() error {
	c.layer.mu.Lock()
	delete(c.layer.conns, c)
	c.layer.accepted.remove(c)
	c.layer.mu.Unlock()
	return c.Conn.Close()
}
