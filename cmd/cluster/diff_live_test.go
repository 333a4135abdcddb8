package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/node"
	"lockstep/testdata"
)

// liar is a replica's log that hands every message on with another argument while it is armed.
type liar struct {
	raft.LogStore
	armed atomic.Bool
}

func (l *liar) StoreLogs(logs []*raft.Log) error {
	for _, entry := range logs {
		if !l.armed.Load() || entry.Type != raft.LogCommand {
			continue
		}
		round, err := fsm.DecodeRound(entry.Data)
		if err != nil {
			return err
		}
		for i := range round.Messages {
			round.Messages[i].Arg = append(round.Messages[i].Arg, " bytes=24"...)
		}
		if entry.Data, err = round.Encode(); err != nil {
			return err
		}
	}
	return l.LogStore.StoreLogs(logs)
}

func (l *liar) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// liveCluster is three replicas in this process, each with a log that can lie.
type liveCluster struct {
	t      *testing.T
	nodes  []*node.Node
	liars  []*liar
	client *node.Client
	addrs  []string
}

func startLive(t *testing.T) *liveCluster {
	c := &liveCluster{t: t}
	var peers []node.Peer
	for i := range 3 {
		peers = append(peers, node.Peer{ID: fmt.Sprintf("n%d", i+1), Raft: reserveAddress(t), HTTP: reserveAddress(t)})
		c.addrs = append(c.addrs, peers[i].HTTP)
	}
	dir := t.TempDir()
	for i := range peers {
		l := &liar{}
		c.liars = append(c.liars, l)
		cfg := node.Config{ID: peers[i].ID, ClusterID: "test", DataDir: filepath.Join(dir, peers[i].ID), Peers: peers,
			Tracker: memstore.TrackerCow, ElectionTimeout: 250 * time.Millisecond, PeerTimeout: 2 * time.Second, RequestTimeout: 20 * time.Second}
		cfg.Wrap.Logs = func(under raft.LogStore) raft.LogStore {
			l.LogStore = under
			return l
		}
		n, err := node.Start(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c.nodes = append(c.nodes, n)
		t.Cleanup(func() {
			if err := n.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	var err error
	if c.client, err = node.NewClient(node.ClientConfig{Addresses: c.addrs, Timeout: 20 * time.Second}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.client.Close)
	return c
}

func reserveAddress(t *testing.T) string {
	r, err := node.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r.Addr
}

// write runs an update of the memory canister.
func (c *liveCluster) write(method, arg string) uint64 {
	c.t.Helper()
	r, err := c.client.Update(c.t.Context(), "memory", method, []byte(arg))
	if err != nil || r.Status != fsm.StatusReplied {
		c.t.Fatalf("%s: %+v, %v", method, r, err)
	}
	return r.Round
}

// diff runs the command and gives its exit code and what it prints.
func (c *liveCluster) diff(a, b int, flags ...string) (int, string) {
	var out bytes.Buffer
	args := append([]string{"diff", c.addrs[a], c.addrs[b]}, flags...)
	code := execute(context.Background(), streams{strings.NewReader(""), &out, &out}, args)
	return code, out.String()
}

// eventually waits until ok holds; the test's own time limit is the only one.
func (c *liveCluster) eventually(what string, ok func() bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-c.t.Context().Done():
			c.t.Fatalf("gave up waiting for %s", what)
		}
	}
}

func (c *liveCluster) leader() (leader int) {
	c.eventually("a leader", func() bool {
		leader = slices.IndexFunc(c.nodes, func(n *node.Node) bool { return n.Status().Role == "leader" })
		return leader >= 0
	})
	return leader
}

// TestDiffLive plants a write in one page that only one replica makes. The command names it while both replicas run, under load
// and after the divergence was found, and reads little more than what differs.
func TestDiffLive(t *testing.T) {
	c := startLive(t)
	code, file, err := testdata.Canister("memory")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := c.client.Install(t.Context(), "memory", code, nil); err != nil || r.Status != fsm.StatusReplied {
		t.Fatalf("install %s: %+v, %v", file, r, err)
	}
	c.write("sequential", "area=3000 pages=3000 seed=9")
	leader := c.leader()
	victim, honest := (leader+1)%3, (leader+2)%3
	if code, out := c.diff(leader, victim); code != exitGood || !strings.Contains(out, "\nequal\n") {
		t.Fatalf("exit code %d of equal replicas:\n%s", code, out)
	}

	c.liars[victim].armed.Store(true)
	wrong := c.write("sequential", "area=3000 pages=1 at=1234 seed=5")
	for _, n := range c.nodes {
		c.eventually("all replicas at the round", func() bool { return n.Status().Round >= wrong })
	}
	c.liars[victim].armed.Store(false)
	check := func(code int, out string, reason string) {
		t.Helper()
		for _, want := range []string{fmt.Sprintf("differ from round %d on", wrong), "canister memory: 2 pages differ", "page 1239 (memory offset 0x4d7000)", "004d7008  A 00 00 00 00 00 00 00 00", "  B d5 81"} {
			if code != exitBad || !strings.Contains(out, want) {
				t.Errorf("%s: exit code %d, without %q:\n%s", reason, code, want, out)
			}
		}
	}
	code2, out := c.diff(honest, victim)
	check(code2, out, "both run")

	c.write("sequential", "area=3000 pages=1 at=7 seed=6") // carries the leader's attestation
	c.eventually("the liar has diverged", func() bool { return c.nodes[victim].Err() != nil })
	<-c.nodes[victim].Done()
	code2, out = c.diff(honest, victim)
	check(code2, out, "one has diverged")
	_, text := c.diff(victim, honest, "--json")
	var result diffResult
	if err := json.Unmarshal([]byte(text), &result); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	d := result.Difference.Canisters[0]
	if result.A.Round != wrong || result.FirstRound != wrong || len(d.Shown) != 2 || d.Shown[1].Page != 1239 || len(d.Shown[1].Ranges) != 1 || len(d.Shown[1].Ranges[0].A) != 16 {
		t.Errorf("%+v", result)
	}
	if result.Pages != 4 || result.Nodes == 0 || result.Nodes > 100 {
		t.Errorf("%d nodes and %d pages read for two pages of 3000", result.Nodes, result.Pages)
	}
	if result.Trips > 20 || result.Read > 40<<10 {
		t.Errorf("%d requests and %d bytes for two pages of 3000", result.Trips, result.Read)
	}

	var newest uint64
	for i := range 40 {
		newest = c.write("sequential", fmt.Sprintf("area=3000 pages=1 at=%d seed=6", i))
	}
	c.eventually("the other follower has given the rounds up that it had in common", func() bool { return c.nodes[honest].Status().Round >= newest })
	if code, out := c.diff(victim, honest); code != exitUndecided || !strings.Contains(out, "no round in common") {
		t.Errorf("long after: exit code %d:\n%s", code, out)
	}
	if code, out := c.diff(victim, honest, "--across-rounds"); code != exitBad || !strings.Contains(out, "pages differ") {
		t.Errorf("long after, across rounds: exit code %d:\n%s", code, out)
	}
	if code, out := c.diff(leader, honest); code != exitGood {
		t.Errorf("the others: exit code %d:\n%s", code, out)
	}
}

// TestDiffLiveUnderLoad: replicas that go on meanwhile are held at one round.
func TestDiffLiveUnderLoad(t *testing.T) {
	c := startLive(t)
	code, _, err := testdata.Canister("memory")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.client.Install(t.Context(), "memory", code, nil); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			_, _ = c.client.Update(ctx, "memory", "random", fmt.Appendf(nil, "area=500 pages=20 seed=%d", i+1))
		}
	}()
	for range 5 {
		if code, out := c.diff(0, 1); code != exitGood {
			t.Errorf("exit code %d:\n%s", code, out)
		}
	}
	stop()
	<-done
}
