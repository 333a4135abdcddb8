package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
