package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
)

func TestThreeNodesAgree(t *testing.T) {
	c, client := startCounting(t, 3, 0, nil)
	session, err := client.OpenSession(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		r, err := session.Update(c.ctx, "counter", "add", []byte{1, 2})
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != fsm.StatusReplied || count(r) != uint64(2*i+2) {
			t.Fatalf("update %d: %+v", i, r)
		}
	}
	r, err := client.Query(c.ctx, "counter", "get", nil)
	if err != nil || count(r) != 40 {
		t.Fatalf("query: %+v, %v", r, err)
	}
	r, err = client.Update(c.ctx, "counter", "trap", nil)
	if err != nil || r.Status != fsm.StatusTrapped || r.Text == "" {
		t.Fatalf("a trap is a result: %+v, %v", r, err)
	}
	c.agree()
}

func count(r Response) uint64 {
	if len(r.Reply) != 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(r.Reply)
}

func TestRestartContinues(t *testing.T) {
	c, client := startCounting(t, 3, 10, func(cfg *Config) { cfg.CheckpointEvery = 7 })
	victim := c.follower()
	c.stop(victim)
	c.add(client, "counter", 10)
	c.comeBack(victim, client)
	for i := range c.nodes {
		c.stop(i)
	}
	for i := range c.nodes {
		c.start(i)
	}
	c.add(client, "counter", 1)
	r, err := client.Query(c.ctx, "counter", "get", nil)
	if err != nil || count(r) != 22 {
		t.Fatalf("after a restart of all: count %d, want 22; %v", count(r), err)
	}
	c.agree()
}

// smallLogs makes a cluster cut its log at once, so that a node that lags needs a checkpoint.
func smallLogs(cfg *Config) {
	cfg.CheckpointEvery = 5
	cfg.CheckpointsKept = 2
	cfg.TrailingLogs = 1
}

func TestWipedNodeInstallsCheckpoint(t *testing.T) {
	c, client := startCounting(t, 3, 0, smallLogs)
	victim := c.follower()
	c.stop(victim)
	c.wipe(victim)
	c.add(client, "counter", 23)
	c.addUntil(client, "counter", func() bool { return c.cutBehind(1) })
	c.cfgs[victim].CheckpointEvery = 1000 // no checkpoint of its own cuts its log
	c.comeBack(victim, client)
	c.eventually("a checkpoint installed", func() bool { return c.nodes[victim].Status().Installed > 0 })
	first, err := c.nodes[victim].current().log.FirstIndex()
	if err != nil || first > 0 && first < c.nodes[victim].current().installedAt.Load() {
		t.Errorf("the log begins at %d, below the installed checkpoint; %v", first, err)
	}
	c.add(client, "counter", 1)
	c.agree()
	c.resend(victim)
	c.stop(victim)
	c.start(victim)
	c.resend(victim)
	c.add(client, "counter", 1)
	c.agree()
}

func TestStartRefusesFolder(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.start(0)
	refuse := func(name, want string, change func(*Config)) {
		t.Helper()
		cfg := c.cfgs[0]
		change(&cfg)
		n, err := Start(cfg)
		if err == nil {
			_ = n.Stop()
			t.Fatalf("%s: started", name)
		}
		var dir *DataDirError
		if !errors.As(err, &dir) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a DataDirError with %q", name, err, want)
		}
	}
	refuse("in use", "in use by another process", func(*Config) {})
	c.stop(0)
	refuse("other cluster", `belongs to cluster "test"`, func(cfg *Config) { cfg.ClusterID = "other" })
	refuse("other node", `belongs to node "n1"`, func(cfg *Config) {
		cfg.ID, cfg.Peers = "nx", []Peer{{ID: "nx", Raft: cfg.Peers[0].Raft, HTTP: cfg.Peers[0].HTTP}}
	})
	refuse("not a node's", "it is no node's folder", func(cfg *Config) {
		cfg.DataDir = t.TempDir()
		if err := os.WriteFile(filepath.Join(cfg.DataDir, "letter.txt"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	damage := func(content string) {
		if err := os.WriteFile(filepath.Join(c.cfgs[0].DataDir, identityFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	damage(`{"format":1,"cluster":"test","node":"n1"}`)
	refuse("other format", "has format 1, this program reads format 3", func(*Config) {})
	damage(`{"format`)
	refuse("damaged", "damaged node.json", func(*Config) {})
}

func TestStartRefusesPortInUse(t *testing.T) {
	for _, port := range []string{"Raft", "client"} {
		c := newCluster(t, 1, nil)
		addr := c.cfgs[0].Peers[0].Raft
		if port == "client" {
			addr = c.cfgs[0].Peers[0].HTTP
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		n, err := Start(c.cfgs[0])
		if err == nil {
			_ = n.Stop()
			t.Fatal("started on a port in use")
		}
		if !strings.Contains(err.Error(), "listen on the "+port+" port") || !strings.Contains(err.Error(), addr) {
			t.Errorf("error does not name port and address: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		c.start(0) // the refusal has left nothing behind
	}
}

func TestNoLeaderRefuses(t *testing.T) {
	c, client := startCounting(t, 3, 0, nil)
	c.agree()
	c.stop(1)
	c.stop(2)
	c.eventually("no leader", func() bool { s := c.nodes[0].Status(); return s.Leader == "" && s.Role != "leader" })
	var out Response
	err := client.try(c.ctx, c.cfgs[0].Peers[0].HTTP, call{path: canisterPath("counter", "update", "add"), body: []byte{1}}, &out)
	var failed *CallError
	if !errors.As(err, &failed) || failed.Outcome != OutcomeRefused || failed.Code != 503 || !strings.Contains(failed.Reason, "try again") {
		t.Errorf("update without a leader: %v", err)
	}
	out, err = client.QueryStale(c.ctx, c.cfgs[0].Peers[0].HTTP, fsm.Query{Canister: "counter", Method: "get"})
	if err != nil || out.Status != fsm.StatusReplied || out.Node != "n1" || out.Root == "" {
		t.Errorf("stale query without a leader: %+v, %v", out, err)
	}
}

func TestFollowerForwards(t *testing.T) {
	c := startCluster(t, 3, nil)
	client := c.client(c.follower())
	c.install(client, "counter")
	c.add(client, "counter", 3)
	r, err := client.Query(c.ctx, "counter", "get", nil)
	if err != nil || count(r) != 3 || r.Node != c.cfgs[c.leader()].ID {
		t.Errorf("query through a follower: %+v, %v", r, err)
	}
	request, err := http.NewRequestWithContext(c.ctx, "POST", "http://"+c.nodes[c.follower()].HTTPAddr()+canisterPath("counter", "update", "add"), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(headerForwarded, "n9")
	code, body, err := exchange(client.http, request)
	if err != nil || code != 503 || !strings.Contains(string(body), "node n9 took it for one") || !strings.Contains(string(body), `"leader_http"`) {
		t.Errorf("a request that was forwarded to a follower: %d %s, %v", code, body, err)
	}
}

// A new leader must not answer a linearizable query before it knows everything that earlier leaders committed.
func TestQueryAfterElection(t *testing.T) {
	c, client := startCounting(t, 3, 0, nil)
	for i := range 3 {
		c.add(client, "counter", 1)
		c.stop(c.leader())
		r, err := client.Query(c.ctx, "counter", "get", nil)
		if err != nil || count(r) != uint64(i+1) {
			t.Fatalf("query after election %d: %d, %v", i, count(r), err)
		}
		for j, n := range c.nodes {
			if n == nil {
				c.start(j)
			}
		}
	}
	c.agree()
}

// Whichever node is asked, limits are those that were acknowledged before, also right after an election.
func TestLimitsAreReadAsAcknowledged(t *testing.T) {
	c := startCluster(t, 3, nil)
	client := c.client()
	change := func(want uint64) {
		t.Helper()
		r, err := client.Change(c.ctx, "", fsm.Message{Kind: fsm.KindLimits, Arg: fmt.Appendf(nil, "Sessions=%d", want)})
		if err != nil || r.Status != fsm.StatusReplied {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	check := func(want uint64) {
		t.Helper()
		for i, n := range c.nodes {
			if n == nil {
				continue
			}
			limits, err := c.client(i).Limits(c.ctx)
			if err != nil || limits["Sessions"] != want {
				t.Fatalf("node %d: Sessions=%d, want %d (%v)", i+1, limits["Sessions"], want, err)
			}
		}
	}
	for want := range uint64(20) {
		change(1000 + want)
		check(1000 + want)
	}
	c.stop(c.leader())
	check(1019)
}

func TestConfigReportsAllFaults(t *testing.T) {
	cfg := Config{ID: "a b", ClusterID: "", Workers: -1, RoundsInFlight: 65, Tracker: "psychic", OptLevel: "most", ElectionTimeout: 1,
		CheckpointsKept: 1, Peers: []Peer{{ID: "x", Raft: "1.2.3.4:1", HTTP: "1.2.3.4:1"}, {ID: "x", Raft: "nowhere", HTTP: ":2"}}}.WithDefaults()
	err := cfg.Validate()
	if err == nil {
		t.Fatal("valid")
	}
	for _, want := range []string{"ID: name", "ClusterID", "DataDir", "Workers", "RoundsInFlight", "psychic", "most", "ElectionTimeout",
		"CheckpointsKept", "not one of the Peers", "ID x of x is also", "address 1.2.3.4:1", "must be host:port"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("fault %q is not reported in:\n%v", want, err)
		}
	}
	if _, err := Start(cfg); err == nil || !strings.Contains(err.Error(), "configuration of node") {
		t.Errorf("Start: %v", err)
	}
}

// resend has the leader send once more what follows the checkpoint that a follower's log begins behind, as it does when the answer
// of the first time was lost: raft must find it as right as the first time, or the follower is sent the checkpoint again without end.
func (c *cluster) resend(to int) {
	c.t.Helper()
	c.eventually("the follower knows a leader", func() bool { return c.nodes[to].Status().Leader != "" })
	r := c.nodes[to].current()
	metas, err := r.checkpoints.List()
	if err != nil || len(metas) == 0 {
		c.t.Fatal(metas, err)
	}
	at := metas[0]
	if err := r.guarded.under.GetLog(at.Index, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
		c.t.Fatalf("the log holds entry %d, the last of the checkpoint: %v", at.Index, err)
	}
	if last, err := r.log.LastIndex(); err != nil || last <= at.Index {
		c.t.Fatalf("nothing follows the checkpoint at %d: the log ends at %d, %v", at.Index, last, err)
	}
	status := c.nodes[to].Status()
	leader := []byte(status.Leader)
	sent := func(prev uint64, entries ...*raft.Log) {
		c.t.Helper()
		answer := make(chan raft.RPCResponse, 1)
		r.transport.Load().hear(raft.RPC{RespChan: answer, Command: &raft.AppendEntriesRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: leader, Addr: leader}, Term: status.Term,
			PrevLogEntry: prev, PrevLogTerm: at.Term, Entries: entries}})
		got := <-answer
		if response, is := got.Response.(*raft.AppendEntriesResponse); !is || !response.Success {
			c.t.Errorf("what follows entry %d of term %d, sent again: %+v, %v", prev, at.Term, got.Response, got.Error)
		}
	}
	sent(at.Index)
	sent(at.Index-1, &raft.Log{Index: at.Index, Term: at.Term, Type: raft.LogNoop}) // by a leader that knows of an older checkpoint only
	if err := r.log.GetLog(at.Index-1, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
		c.t.Errorf("the entry before the checkpoint's last: %v", err)
	}
}
