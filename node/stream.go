package node

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// streamLayer carries the connections between replicas over TCP: hashicorp/raft's, and those of checkpoints. Raft's server addresses are node IDs; the layer looks up where
// a node is. It owns every connection in both directions, because raft's transport leaves accepted and pooled ones open
// when it is closed.
type streamLayer struct {
	listener net.Listener
	self     string
	cluster  string
	peers    map[string]string // node ID -> host:port
	timeout  time.Duration
	// sync takes the connections of leaders that send a checkpoint; nil before there is a taker.
	sync atomic.Pointer[func(from string, conn net.Conn)]

	// mu guards the fields below.
	mu     sync.Mutex
	closed bool
	conns  map[*trackedConn]struct{}
}

var _ raft.StreamLayer = (*streamLayer)(nil)

func newStreamLayer(cfg *Config, listener net.Listener) *streamLayer {
	peers := make(map[string]string, len(cfg.Peers))
	for _, p := range cfg.Peers {
		peers[p.ID] = p.Raft
	}
	return &streamLayer{listener: listener, self: cfg.ID, cluster: cfg.ClusterID, peers: peers,
		timeout: cfg.PeerTimeout, conns: map[*trackedConn]struct{}{}}
}

// idAddr is a node ID as raft's transport wants to see the address that it listens on.
type idAddr string

func (idAddr) Network() string  { return "lockstep" }
func (a idAddr) String() string { return string(a) }

// Addr implements net.Listener.
func (s *streamLayer) Addr() net.Addr { return idAddr(s.self) }

// Accept implements net.Listener.
func (s *streamLayer) Accept() (net.Conn, error) {
	conn, err := s.listener.Accept()
	if err != nil {
		return nil, err
	}
	tracked, err := s.track(conn)
	if err != nil {
		return nil, err
	}
	return &welcomingConn{Conn: tracked, judge: s.judge, serve: s.serve, timeout: s.timeout}, nil
}

func (s *streamLayer) serve(from string, conn net.Conn) {
	if take := s.sync.Load(); take != nil {
		(*take)(from, conn)
	}
}

func (s *streamLayer) judge(g greeting) string {
	return g.refusal(s.cluster, s.self, func(id string) bool { _, ok := s.peers[id]; return ok })
}

// Dial implements raft.StreamLayer.
func (s *streamLayer) Dial(id raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return s.dial(id, purposeRaft, timeout)
}

func (s *streamLayer) dial(id raft.ServerAddress, use purpose, timeout time.Duration) (net.Conn, error) {
	addr, ok := s.peers[string(id)]
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
	if err := greet(tracked, greeting{purpose: use, cluster: s.cluster, from: s.self, to: string(id)}, timeout); err != nil {
		return nil, errors.Join(err, tracked.Close())
	}
	return newFramedConn(tracked, string(id)), nil
}

// Close stops listening and closes every connection. Nothing is sent any more once it has returned.
func (s *streamLayer) Close() error {
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
func (s *streamLayer) track(conn net.Conn) (net.Conn, error) {
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
	layer *streamLayer
}

func (c *trackedConn) Close() error {
	c.layer.mu.Lock()
	delete(c.layer.conns, c)
	c.layer.mu.Unlock()
	return c.Conn.Close()
}
