package node

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func FuzzReadGreeting(f *testing.F) {
	f.Add(greeting{purpose: purposeSync, cluster: "c", from: "n1", to: "n2"}.encode())
	f.Add([]byte("LSRP\x02\x01\x01c\x02n1\xffn2"))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		g, err := readGreeting(r)
		if err != nil {
			if !errors.Is(err, errGreeting) {
				t.Fatalf("error %v is not errGreeting", err)
			}
			return
		}
		used := data[:len(data)-r.Len()]
		if !bytes.Equal(g.encode(), used) {
			t.Fatalf("%+v was read from %x and encodes as %x", g, used, g.encode())
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	f.Add(encodeAnswer(""))
	f.Add(encodeAnswer("no"))
	f.Add([]byte("LSRP\x02\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		reason, err := readAnswer(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, errGreeting) {
				t.Fatalf("error %v is not errGreeting", err)
			}
			return
		}
		again, err := readAnswer(bytes.NewReader(encodeAnswer(reason)))
		if err != nil || again != reason {
			t.Fatalf("%q became %q, %v", reason, again, err)
		}
	})
}

func TestRefusal(t *testing.T) {
	known := func(id string) bool { return id == "n1" }
	for _, tc := range []struct {
		g    greeting
		want string
	}{
		{greeting{purposeRaft, "c", "n1", "n2"}, ""},
		{greeting{purposeSync, "c", "n1", "n2"}, ""},
		{greeting{7, "c", "n1", "n2"}, `knows no connections for purpose 7`},
		{greeting{purposeRaft, "other", "n1", "n2"}, `cluster "c", not of cluster "other"`},
		{greeting{purposeRaft, "c", "n1", "n3"}, `this is node "n2", not node "n3"`},
		{greeting{purposeRaft, "c", "n9", "n2"}, `node "n9" is not a peer`},
	} {
		if got := tc.g.refusal("c", "n2", known); got != tc.want && (tc.want == "" || !strings.Contains(got, tc.want)) {
			t.Errorf("%+v: %q, want %q", tc.g, got, tc.want)
		}
	}
}

// Two clusters whose addresses are mixed up must not exchange a byte of Raft, and both must say why.
func TestOtherClusterIsRefused(t *testing.T) {
	log := &lines{}
	layer := func(cluster, self string, peers ...Peer) (*streamLayer, string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		cfg := Config{ID: self, ClusterID: cluster, Peers: peers, PeerTimeout: 5 * time.Second}
		return newStreamLayer(&cfg, l), l.Addr().String()
	}
	server, addr := layer("blue", "n2", Peer{ID: "n1"}, Peer{ID: "n2"})
	network := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: server, MaxPool: 1, Timeout: 5 * time.Second,
		Logger: newRaftLogger(slog.New(slog.NewTextHandler(log, nil)))})
	defer network.Close()
	client, _ := layer("red", "n1", Peer{ID: "n2", Raft: addr}, Peer{ID: "n1"})
	defer client.Close()
	_, err := client.Dial("n2", 5*time.Second)
	if err == nil || !strings.Contains(err.Error(), `refused the connection: this is a node of cluster "blue", not of cluster "red"`) {
		t.Errorf("dialling side: %v", err)
	}
	for !strings.Contains(log.String(), "refused connection from node n1 of cluster red") {
		time.Sleep(time.Millisecond) // the test's deadline is the limit
	}
	if _, err := client.Dial("n7", time.Second); err == nil || !strings.Contains(err.Error(), `"n7" is not a peer`) {
		t.Errorf("unknown peer: %v", err)
	}
}

func TestReservedPort(t *testing.T) {
	r, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 2 { // listened on, given up, listened on again
		if conn, err := net.Dial("tcp", r.Addr); err == nil {
			_ = conn.Close()
			t.Error("a reserved port takes connections")
		}
		l, err := net.Listen("tcp", r.Addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
