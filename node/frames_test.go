package node

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/snapshot"
)

// pipeEnd is a connection whose bytes are in memory.
type pipeEnd struct {
	net.Conn
	bytes.Buffer
}

func (p *pipeEnd) Read(b []byte) (int, error)  { return p.Buffer.Read(b) }
func (p *pipeEnd) Write(b []byte) (int, error) { return p.Buffer.Write(b) }

// framesOf is what some writes look like on the link.
func framesOf(t testing.TB, writes ...[]byte) []byte {
	t.Helper()
	var end pipeEnd
	c := newFramedConn(&end, "n2")
	for _, w := range writes {
		if n, err := c.Write(w); err != nil || n != len(w) {
			t.Fatal(n, err)
		}
	}
	return end.Bytes()
}

func readFrames(b []byte) ([]byte, error) {
	end := &pipeEnd{}
	_, _ = end.Buffer.Write(b)
	return io.ReadAll(newFramedConn(end, "n2"))
}

func TestFramesCarryAnything(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789"), 30_000)
	got, err := readFrames(framesOf(t, []byte("a"), nil, long, []byte("z")))
	if err != nil || string(got) != "a"+string(long)+"z" {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// No bit that changes, no byte that goes missing or comes twice, and no frame out of its place is ever read as something else.
func TestFramesFindEveryFault(t *testing.T) {
	first, second := []byte("the first frame"), []byte("and the second one")
	whole := framesOf(t, first, second)
	sent := string(first) + string(second)
	judge := func(what string, at int, b []byte) {
		t.Helper()
		got, err := readFrames(b)
		if err == nil || !strings.HasPrefix(sent, string(got)) {
			t.Errorf("%s at %d: read %q, %v", what, at, got, err)
		}
		var corrupt *CorruptLinkError
		if !errors.As(err, &corrupt) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s at %d: %v", what, at, err)
		}
	}
	for at := range len(whole) {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[at] ^= 1 << bit
			judge("a bit", at, b)
		}
		if at != 0 && at != frameHeadBytes+len(first) {
			judge("an end", at, whole[:at])
		}
		judge("a loss", at, append(bytes.Clone(whole[:at]), whole[at+1:]...))
		judge("a byte twice", at, append(bytes.Clone(whole[:at+1]), whole[at:]...))
	}
	one := whole[:frameHeadBytes+len(first)]
	judge("a frame twice", 0, append(bytes.Clone(one), whole...))
	judge("a frame lost", 0, whole[len(one):])
}

func FuzzFrames(f *testing.F) {
	f.Add(framesOf(f, []byte("hello"), []byte("world")))
	f.Add([]byte{1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readFrames(b)
		if err == nil && len(got) > 0 && !bytes.HasPrefix(b[frameHeadBytes:], got[:1]) {
			t.Errorf("%d bytes were made of %d", len(got), len(b))
		}
	})
}

// A link that flips a bit breaks the connection with a clear reason, and nothing that came over it is used; the next attempt goes on.
func TestSyncOverCorruptLink(t *testing.T) {
	p := newSyncPair(t)
	p.leader.checkpoint(9, newPages(256, 1))
	for _, at := range []int64{3, 30, 80, 100, 5000, 300_000, 600_000} {
		p.wire.flipAt.Store(at)
		if resp, err := p.leader.send("n2"); err == nil {
			t.Fatalf("byte %d was flipped: %+v", at, resp)
		}
		p.follower.settle()
		p.wire.flipAt.Store(0)
	}
	p.leader.mustSend("n2")
	p.same(t)
	if log := p.follower.log.String(); !strings.Contains(log, "connection with node n1 is corrupt at frame") || !strings.Contains(log, "its checksum is") {
		t.Error("the follower's log does not say that the link is corrupt")
	}
	if strings.Contains(p.follower.log.String(), "unknown rpc type") {
		t.Error("the follower took bytes of a checkpoint for a request")
	}
}

// Raft's own decoder is never given what a link has damaged: the nodes say so, and agree all the same.
func TestRaftOverCorruptLinks(t *testing.T) {
	c := newCluster(t, 3, nil)
	wires := map[int]*wire{}
	for i := range c.cfgs {
		w := newWire(t, c.cfgs[i].Peers[i].Raft)
		w.flipAt.Store(4000)
		wires[i] = w
	}
	for i := range c.cfgs {
		own := append([]Peer(nil), c.cfgs[i].Peers...)
		for j := range own {
			if j != i {
				own[j].Raft = wires[j].addr()
			}
		}
		c.cfgs[i].Peers = own
		c.start(i)
	}
	client := c.client()
	c.install(client, "counter")
	c.add(client, "counter", 60)
	c.eventually("a corrupt link", func() bool { return strings.Contains(c.log.String(), "is corrupt at frame") })
	for _, w := range wires {
		w.flipAt.Store(0)
	}
	c.add(client, "counter", 1)
	c.agree()
	if log := c.log.String(); strings.Contains(log, "unknown rpc type") || strings.Contains(log, "msgpack") {
		t.Error("raft's decoder was given damaged bytes")
	}
}

// A peer that sends a checkpoint among Raft's messages is told so, and the bytes that follow are not taken for a request.
func TestWholeCheckpointIsRefused(t *testing.T) {
	p := newSyncPair(t)
	p.leader.checkpoint(9, newPages(256, 1))
	network := p.leader.transport.Network
	metas, err := p.leader.store.List()
	if err != nil {
		t.Fatal(err)
	}
	meta, reader, err := p.leader.store.Open(metas[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	req := installRequest("n1", 3, &snapshot.Manifest{Index: meta.Index, Term: meta.Term, Configuration: meta.Configuration, ConfigurationIndex: 1}, meta.Size)
	var resp raft.InstallSnapshotResponse
	if err := network.InstallSnapshot("n2", "n2", req, &resp, reader); err == nil || !strings.Contains(err.Error(), "a connection of their own") {
		t.Errorf("a whole checkpoint: %v", err)
	}
	if log := p.follower.log.String(); strings.Contains(log, "unknown rpc type") {
		t.Error(log)
	}
	p.leader.mustSend("n2")
	p.same(t)
}

// The greeting of a program that knows no frames is answered in words that it understands.
func TestOlderVersionIsTold(t *testing.T) {
	p := newSyncPair(t)
	conn, err := net.Dial("tcp", p.follower.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("LSRP\x01\x04test\x02n1\x02n2")); err != nil {
		t.Fatal(err)
	}
	reason, err := readAnswer(conn)
	if err != nil || !strings.Contains(reason, "version 1, this program speaks version 2") {
		t.Errorf("answer %q, %v", reason, err)
	}
}
