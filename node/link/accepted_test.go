package link

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// serveAll accepts as Raft's transport does: each connection is read on a goroutine of its own.
func serveAll(layer *Layer) {
	go func() {
		for {
			conn, err := layer.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			}()
		}
	}()
}

func (s *Layer) open() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Who opens connections without end, and greets on none or on all, holds a bounded number of them, and keeps nobody else out.
func TestConnectionsAreBounded(t *testing.T) {
	server, addr := listen(t, "test", "n2", map[string]string{"n1": "", "n3": ""})
	serveAll(server)
	var silent []net.Conn
	for range 3 * MaxUngreeted {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		silent = append(silent, conn)
	}
	rude, _ := listen(t, "test", "n3", map[string]string{"n2": addr})
	var greeted []net.Conn
	for range 3 * MaxPerPeer {
		conn, err := rude.DialCheckpoint("n2")
		if err == nil {
			greeted = append(greeted, conn)
		}
	}
	honest, _ := listen(t, "test", "n1", map[string]string{"n2": addr})
	conn, err := honest.Dial("n2", 30*time.Second)
	if err != nil {
		t.Fatalf("a peer is kept out: %v", err)
	}
	if n := server.open(); n > MaxUngreeted+2*MaxPerPeer {
		t.Errorf("%d connections are held open, at most %d should be", n, MaxUngreeted+2*MaxPerPeer)
	}
	if len(greeted) != 3*MaxPerPeer {
		t.Errorf("%d of %d greetings were answered", len(greeted), 3*MaxPerPeer)
	}
	for _, c := range []net.Conn{silent[0], greeted[0]} { // the oldest of both were ended
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the oldest connection: %v", err)
		}
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Error(err)
	}
}

// A connection that is closed is forgotten, so that those that follow do not end what is in use.
func TestClosedConnectionsAreForgotten(t *testing.T) {
	server, addr := listen(t, "test", "n2", map[string]string{"n1": ""})
	serveAll(server)
	client, _ := listen(t, "test", "n1", map[string]string{"n2": addr})
	kept, err := client.Dial("n2", 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 * MaxPerPeer {
		conn, err := client.Dial("n2", 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		for server.open() > 1 { // the test's deadline is the limit
			time.Sleep(time.Millisecond)
		}
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	if n := len(server.accepted.greeted["n1"]); n != 1 || len(server.accepted.ungreeted) != 0 || len(server.accepted.greeted) != 1 {
		t.Errorf("%d connections of the peer, %d without a greeting", n, len(server.accepted.ungreeted))
	}
	if _, err := kept.Write([]byte("hello")); err != nil {
		t.Error(err)
	}
}
