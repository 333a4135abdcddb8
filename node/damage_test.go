package node

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
	"lockstep/snapshot"
)

// A leader finds its only checkpoints damaged when it is to send one. No round comes after which it would take another: it must do
// so at once, or the replica that needs one starves.
func TestDamagedCheckpointsAreReplaced(t *testing.T) {
	c, client := startCounting(t, 3, 23, smallLogs)
	c.agree()
	victim := c.follower()
	c.stop(victim)
	c.wipe(victim)
	c.add(client, "counter", 12)
	c.addUntil(client, "counter", func() bool { return c.cutBehind(1) }) // what the empty one needs is gone
	for i, n := range c.nodes {                                          // whichever of them leads
		if n != nil {
			c.rest(i) // no checkpoint is under way that would be sound
			damagePages(t, c.cfgs[i].DataDir)
		}
	}
	c.start(victim)
	c.agree()
	c.eventually("a checkpoint from the leader", func() bool { return c.nodes[victim].Status().Installed > 0 })
	if log := c.log.String(); !strings.Contains(log, "taking one in place of the damaged one") {
		t.Error("nothing says that a checkpoint was replaced")
	}
	// The transfer is done once the leader is told so, which is after the checkpoint counts as installed.
	var sender string
	c.eventually("a transfer that is done", func() bool {
		return slices.ContainsFunc(c.nodes[victim].Status().Transfers, func(r TransferReport) bool {
			sender = r.Peer
			return r.State == transferDone && r.Direction == transferReceiving && r.Pages > 0
		})
	})
	from := slices.IndexFunc(c.cfgs, func(cfg Config) bool { return cfg.ID == sender })
	metas, err := c.nodes[from].current().checkpoints.List()
	if err != nil || len(metas) == 0 {
		t.Fatal(metas, err)
	}
	if _, err := snapshot.Verify(filepath.Join(c.cfgs[from].DataDir, checkpointsDir, metas[0].ID), fsm.Hashing()); err != nil {
		t.Error(err)
	}
}

// The log reaches back to the oldest checkpoint: with all newer ones damaged the replica goes on from there, by itself.
func TestLogReachesBackToTheOldestCheckpoint(t *testing.T) {
	c := startCluster(t, 3, func(cfg *Config) {
		smallLogs(cfg)
		cfg.CheckpointsKept = 4
	})
	client := c.client()
	c.install(client, "counter")
	c.add(client, "counter", 60)
	c.agree()
	victim := c.follower()
	dir := c.cfgs[victim].DataDir
	c.addUntil(client, "counter", func() bool { return c.nodes[victim].Status().Checkpoints.Count == 4 })
	c.stop(victim)
	kept, err := filepath.Glob(filepath.Join(dir, checkpointsDir, "checkpoint-*"))
	if err != nil || len(kept) != 4 {
		t.Fatal(kept, err)
	}
	slices.SortFunc(kept, func(a, b string) int { return len(a) - len(b) + strings.Compare(a, b) })
	for _, newer := range kept[1:] {
		if err := os.Truncate(filepath.Join(newer, "manifest"), 100); err != nil {
			t.Fatal(err)
		}
	}
	c.start(victim)
	c.agree()
	if s := c.nodes[victim].Status(); s.SetAside != "" || s.Installed > 0 {
		t.Errorf("it did not go on by itself: set aside %q, %d installed", s.SetAside, s.Installed)
	}
	c.add(client, "counter", 1)
	c.agree()
}

// unreadable is a ground whose disk does not give the newest checkpoint, or none at all.
type unreadable struct {
	Ground
	all bool
}

func (g unreadable) Open(stop func(error)) (*Parts, error) {
	p, err := g.Ground.Open(stop)
	if err == nil {
		p.Checkpoints = unreadCheckpoints{p.Checkpoints, g.all}
	}
	return p, err
}

type unreadCheckpoints struct {
	Checkpoints
	all bool
}

func (u unreadCheckpoints) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	if metas, err := u.List(); err != nil || u.all || metas[0].ID == id {
		return nil, nil, errors.Join(err, errBroken)
	}
	return u.Checkpoints.Open(id)
}

// A disk that fails to give the newest checkpoint says nothing about it: the replica goes on from the one before, to which its log
// reaches back, and the newest stays for the next start.
func TestUnreadCheckpointIsPassedOverAndStays(t *testing.T) {
	c, client := startCounting(t, 1, 12, smallLogs)
	added := 12 + c.rely(client, "counter", 0)
	kept, err := c.nodes[0].current().checkpoints.List()
	if err != nil || len(kept) != 2 {
		t.Fatal(kept, err)
	}
	newest := c.nodes[0].Status().Checkpoints.Round
	c.stop(0)
	start := func(all bool) (*Node, error) {
		n := newNode(c.cfgs[0].WithDefaults())
		return n.start(n.openDir, n.listen, func() error {
			n.ground = unreadable{n.ground, all}
			return nil
		})
	}

	if n, err := start(true); err == nil {
		c.nodes[0] = n
		t.Fatal("it starts without any of its checkpoints, and its log begins behind the oldest")
	}
	n, err := start(false)
	if err != nil {
		t.Fatal(err)
	}
	c.nodes[0] = n
	if restored := n.current().machine.restored.Load(); restored == 0 || restored >= newest {
		t.Errorf("it began with the checkpoint of round %d, want the one before that of round %d", restored, newest)
	}
	if r, err := client.Query(c.ctx, "counter", "get", nil); err != nil || count(r) != uint64(added) {
		t.Errorf("count %d, want %d; %v", count(r), added, err)
	}
	if s := n.Status(); s.SetAside != "" {
		t.Errorf("set aside: %q", s.SetAside)
	}
	c.stop(0)
	aside, err := filepath.Glob(filepath.Join(c.cfgs[0].DataDir, checkpointsDir, "damaged-*"))
	if err != nil || len(aside) > 0 {
		t.Errorf("set aside though it is whole: %v, %v", aside, err)
	}
	c.start(0)
	if restored := c.nodes[0].current().machine.restored.Load(); restored < newest {
		t.Errorf("then it began with the checkpoint of round %d, want that of round %d or a newer one", restored, newest)
	}
}
