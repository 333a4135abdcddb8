package node

import (
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/node/link"
)

// nothingHad is the description of a follower that has no page.
var nothingHad = []byte("LSHAVE\x00\x01\x00\x00\x00\x00")

// sendTo lets a leader send its checkpoint to n3, which does with the connection what it likes.
func sendTo(t *testing.T, leader *syncEnd, receive func(c *syncConn)) error {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	layer := link.NewLayer(link.Config{Self: "n3", Cluster: "test", Peers: map[string]string{leader.id: ""}, Timeout: 30 * time.Second}, listener)
	defer layer.Close()
	layer.TakeCheckpoints(func(_ string, conn net.Conn) { receive(newSyncConn(conn, 30*time.Second)) })
	go func() {
		conn, err := layer.Accept()
		if err == nil {
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.Close() // as raft's transport does
		}
	}()
	saved := leader.transport.sync.network
	defer func() { leader.transport.sync.network = saved }()
	dial := leader.cfg
	dial.Peers = append(slices.Clone(dial.Peers), Peer{ID: "n3", Raft: listener.Addr().String()})
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	network := newTCPNetwork(&dial, other)
	defer network.Close()
	leader.transport.sync.network = network
	_, err = leader.send("n3")
	return err
}

// recordDelta is what the leader sends to a follower that has nothing.
func recordDelta(t *testing.T, leader *syncEnd) []byte {
	t.Helper()
	recorded := make(chan []byte, 1)
	err := sendTo(t, leader, func(c *syncConn) {
		_, _, _ = c.receive(offerBytes, nil)
		_ = c.send(kindHave, nothingHad)
		chunks, head := &chunkReader{conn: c, look: func() error { return nil }}, make([]byte, 16)
		_, _ = io.ReadFull(chunks, head)
		rest := make([]byte, binary.LittleEndian.Uint64(head[8:]))
		_, _ = io.ReadFull(chunks, rest)
		_ = c.send(kindAnswer, syncAnswer{err: "enough"}.encode())
		recorded <- append(head, rest...)
	})
	if err == nil || !strings.Contains(err.Error(), "enough") {
		t.Fatal(err)
	}
	return <-recorded
}

// hadAll says that a follower has pages 0 to n-1 of memory m, with tags that are none of them.
func hadAll(n uint64) []byte {
	le := binary.LittleEndian
	b := append([]byte("LSHAVE\x00\x01\x01\x00\x00\x00\x01\x00m\x01\x00\x00\x00"), make([]byte, 8)...)
	b = le.AppendUint64(b, n)
	return append(b, make([]byte, 8*n)...)
}

// A receiver that is broken or means harm is given up with a reason. It costs the leader memory that its checkpoint bounds, and the
// next honest replica is served.
func TestSyncHostileReceivers(t *testing.T) {
	p := newSyncPair(t)
	state := newPages(512, 1)
	p.leader.checkpoint(9, state)
	offered := func(c *syncConn) { _, _, _ = c.receive(offerBytes, nil) }
	for name, tc := range map[string]struct {
		receive func(c *syncConn)
		want    string
	}{
		"no answer": {offered, "send checkpoint to node n3"},
		"a length without end": {func(c *syncConn) {
			offered(c)
			_, _ = c.Conn.Write([]byte{kindHave, 0xff, 0xff, 0xff, 0xff})
			c.drain()
		}, "4294967295 bytes"},
		"garbage": {func(c *syncConn) {
			offered(c)
			_ = c.send(kindHave, []byte("I have all there is, believe me"))
		}, "wrong magic"},
		"a chunk in place of what it has": {func(c *syncConn) {
			offered(c)
			_ = c.send(kindChunk, []byte("no, you take one"))
		}, "message of kind 3"},
		"an answer that is none": {func(c *syncConn) {
			offered(c)
			_ = c.send(kindAnswer, []byte("no"))
		}, "answer of 2 bytes"},
		"a range beyond all memories": {func(c *syncConn) {
			offered(c)
			b := hadAll(1)
			binary.LittleEndian.PutUint64(b[len(nothingHad)+2+1+4:], 1<<62)
			_ = c.send(kindHave, b)
		}, "out of order or bounds"},
		"what it has has no end": {func(c *syncConn) {
			offered(c)
			b := hadAll(1)
			binary.LittleEndian.PutUint32(b[8:], 1<<31)
			_ = c.send(kindHave, b)
		}, "memories"},
		"more than the checkpoint could use": {func(c *syncConn) {
			offered(c)
			_ = c.send(kindHave, hadAll(1<<20))
			c.drain()
		}, "are expected"},
		"pages that it does not have, and then success": {func(c *syncConn) {
			offered(c)
			_ = c.send(kindHave, hadAll(700))
			_ = c.send(kindAnswer, syncAnswer{term: 3, success: true}.encode())
			c.drain()
		}, ""},
		"alive, and alive, and gone": {func(c *syncConn) {
			offered(c)
			_ = c.send(kindHave, nothingHad)
			for range 20000 {
				if c.send(kindAlive) != nil {
					return
				}
			}
		}, "send checkpoint to node n3"},
		"what it has, twice": {func(c *syncConn) {
			offered(c)
			_ = c.send(kindHave, nothingHad)
			_ = c.send(kindHave, nothingHad)
			c.drain()
		}, "message of kind 2 in place of an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := sendTo(t, p.leader, tc.receive)
			runtime.ReadMemStats(&after)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("send: %v; want %q", err, tc.want)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20 {
				t.Errorf("%d MiB were allocated for it", n>>20)
			}
		})
	}
	p.leader.mustSend("n2")
	p.same(t)
}

// Senders that stop in the middle, wherever that is, and never go on: each holds the one place for a transfer until the next comes,
// and what the last has left is no hindrance for an honest one of the same term.
func TestSyncStalledSenders(t *testing.T) {
	p := newSyncPair(t)
	p.leader.checkpoint(9, newPages(256, 1))
	honest := recordDelta(t, p.leader)
	stalls := map[string]func(h *hostile){
		"behind the greeting":    func(*hostile) {},
		"within the offer":       func(h *hostile) { _, _ = h.conn.Conn.Write([]byte{kindOffer, offerBytes, 0}) },
		"behind the offer":       func(h *hostile) { h.begin() },
		"within a head":          func(h *hostile) { h.begin(); _, _ = h.conn.Conn.Write([]byte{kindChunk, 9}) },
		"within a chunk":         func(h *hostile) { h.begin(); _, _ = h.conn.Conn.Write([]byte{kindChunk, 9, 0, 0, 0, 1, 2}) },
		"within the manifest":    func(h *hostile) { h.begin(); h.plain(honest[:60]) },
		"in the middle of pages": func(h *hostile) { h.begin(); h.plain(honest[:200<<10]) },
	}
	var stalled []*hostile
	for range 3 {
		for _, stall := range stalls {
			h := dialSync(t, p.follower)
			stall(h)
			stalled = append(stalled, h)
		}
	}
	p.leader.mustSend("n2")
	p.same(t)
	for _, h := range stalled {
		_ = h.conn.Close()
	}
}
