package link

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// listen is a layer on a free port of this machine.
func listen(t *testing.T, cluster, self string, peers map[string]string) (*Layer, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	layer := NewLayer(Config{Self: self, Cluster: cluster, Peers: peers, Timeout: 30 * time.Second}, l)
	t.Cleanup(func() { _ = layer.Close() })
	return layer, l.Addr().String()
}

// next accepts a connection and gives what its first Read finds.
func next(layer *Layer) <-chan error {
	found := make(chan error, 1)
	go func() {
		conn, err := layer.Accept()
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
		}
		found <- err
	}()
	return found
}

// Two clusters whose addresses are mixed up must not exchange a byte of Raft, and both must say why.
func TestOtherClusterIsRefused(t *testing.T) {
	blue, addr := listen(t, "blue", "n2", map[string]string{"n1": "", "n2": ""})
	red, _ := listen(t, "red", "n1", map[string]string{"n2": addr, "n1": ""})
	accepted := next(blue)
	_, err := red.Dial("n2", 30*time.Second)
	if err == nil || !strings.Contains(err.Error(), `refused the connection: this is a node of cluster "blue", not of cluster "red"`) {
		t.Errorf("dialling side: %v", err)
	}
	if err := <-accepted; err == nil || !strings.Contains(err.Error(), "refused connection from node n1 of cluster red") {
		t.Errorf("accepting side: %v", err)
	}
	if _, err := red.Dial("n7", time.Second); err == nil || !strings.Contains(err.Error(), `"n7" is not a peer`) {
		t.Errorf("unknown peer: %v", err)
	}
}

// The greeting of a program that knows no frames is answered in words that it understands.
func TestOlderVersionIsTold(t *testing.T) {
	layer, addr := listen(t, "test", "n2", map[string]string{"n1": ""})
	accepted := next(layer)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("LSRP\x01\x04test\x02n1\x02n2")); err != nil {
		t.Fatal(err)
	}
	reason, err := readAnswer(conn)
	if err != nil || !strings.Contains(reason, "version 1, this program speaks version 2") {
		t.Errorf("answer %q, %v", reason, err)
	}
	if err := <-accepted; !errors.Is(err, errGreeting) {
		t.Errorf("accepting side: %v", err)
	}
}

// A connection for a checkpoint goes to its taker, and what accepts connections for Raft sees one that ended.
func TestCheckpointsHaveATaker(t *testing.T) {
	server, addr := listen(t, "test", "n2", map[string]string{"n1": ""})
	client, _ := listen(t, "test", "n1", map[string]string{"n2": addr})
	server.TakeCheckpoints(func(from string, conn net.Conn) {
		all, err := io.ReadAll(io.LimitReader(conn, 5))
		if _, werr := conn.Write([]byte(from + " said " + string(all))); err != nil || werr != nil {
			t.Error(err, werr)
		}
	})
	accepted := next(server)
	conn, err := client.DialCheckpoint("n2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len("n1 said hello"))
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "n1 said hello" {
		t.Errorf("%q, %v", answer, err)
	}
	if err := <-accepted; err != io.EOF {
		t.Errorf("Raft's side saw %v, want the end of a connection", err)
	}
}

// Nothing is sent or read any more once a layer is closed, on connections of both directions.
func TestCloseEndsEveryConnection(t *testing.T) {
	server, addr := listen(t, "test", "n2", map[string]string{"n1": ""})
	client, _ := listen(t, "test", "n1", map[string]string{"n2": addr})
	accepted := next(server)
	conn, err := client.Dial("n2", 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; err == nil {
		t.Error("an accepted connection outlives its layer")
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a dialled connection outlives its layer: %v", err)
	}
	if _, err := client.DialCheckpoint("n2"); err == nil {
		t.Error("a closed layer dials")
	}
	if err := client.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}
