package node

import (
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"lockstep/snapshot"
)

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
