package node

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
)

// faultyLog alters what is written to the log on disk, or refuses it, when armed.
type faultyLog struct {
	raft.LogStore
	armed atomic.Bool
	alter func([]*raft.Log) error
}

func (f *faultyLog) StoreLogs(logs []*raft.Log) error {
	if f.armed.Load() {
		if err := f.alter(logs); err != nil {
			return err
		}
	}
	return f.LogStore.StoreLogs(logs)
}

func (f *faultyLog) StoreLog(l *raft.Log) error { return f.StoreLogs([]*raft.Log{l}) }

// wrapLogs puts a faulty log into every node of a cluster, none of them armed, by node ID.
func wrapLogs(alter func([]*raft.Log) error) (map[string]*faultyLog, func(*Config)) {
	faulty := map[string]*faultyLog{}
	return faulty, func(cfg *Config) {
		f := &faultyLog{alter: alter}
		faulty[cfg.ID] = f
		cfg.Wrap.Logs = func(under raft.LogStore) raft.LogStore {
			f.LogStore = under
			return f
		}
	}
}

// alterMessage gives the first message of every round a longer argument.
func alterMessage(logs []*raft.Log) error {
	for _, l := range logs {
		if l.Type != raft.LogCommand {
			continue
		}
		round, err := fsm.DecodeRound(l.Data)
		if err != nil {
			return err
		}
		round.Messages[0].Arg = append(round.Messages[0].Arg, 'x')
		if l.Data, err = round.Encode(); err != nil {
			return err
		}
	}
	return nil
}

func TestDivergenceIsFoundAndKept(t *testing.T) {
	faulty, wrap := wrapLogs(alterMessage)
	c, client := startCounting(t, 3, 0, wrap)
	victim := c.follower()
	c.agree()
	faulty[c.cfgs[victim].ID].armed.Store(true)
	c.add(client, "counter", 1)
	wrong := c.nodes[c.leader()].Status().Round
	c.eventually("the victim has applied what it altered", func() bool { return c.nodes[victim].Status().Round >= wrong })
	faulty[c.cfgs[victim].ID].armed.Store(false)
	c.add(client, "counter", 2)
	c.ended(victim)

	var diverged *fsm.DivergedError
	if err := c.nodes[victim].Err(); !errors.As(err, &diverged) || uint64(diverged.Round) != wrong {
		t.Fatalf("found %v, want the divergence of round %d", err, wrong)
	}
	addr := c.cfgs[victim].Peers[victim].HTTP
	status, err := client.Status(c.ctx, addr)
	if err != nil || status.State != StateDiverged || status.Divergence == nil || status.Divergence.Round != wrong {
		t.Errorf("status: %+v, %v", status, err)
	}
	refusedBy(t, c, client, addr, diverged.Own.String())
	roots, err := client.Roots(c.ctx, addr, wrong, 1)
	if err != nil || len(roots.Roots) != 1 || roots.Roots[0].Root != diverged.Own.String() {
		t.Errorf("roots of a diverged node: %+v, %v", roots, err)
	}
	checkEvidence(t, c.cfgs[victim].DataDir, diverged)
	c.add(client, "counter", 1) // the others go on

	c.stop(victim)
	c.start(victim) // its state is not trusted again
	if status, err = client.Status(c.ctx, addr); err != nil || status.State != StateDiverged || status.Round != 0 {
		t.Errorf("after a restart: %+v, %v", status, err)
	}
	refusedBy(t, c, client, addr, "start with an empty one")
	c.ended(victim)
	c.stop(victim)
	c.wipe(victim)
	c.comeBack(victim, client)
}

// refusedBy checks that a node answers neither updates nor queries.
func refusedBy(t *testing.T, c *cluster, client *Client, addr, reason string) {
	t.Helper()
	for _, path := range []string{"update/add", "query/get", "query/get?consistency=stale"} {
		var failed *CallError
		err := client.try(c.ctx, addr, call{path: "/v1/canisters/counter/" + path}, &Response{})
		if !errors.As(err, &failed) || failed.Code != 503 || failed.Outcome != OutcomeRefused || !strings.Contains(failed.Reason, reason) {
			t.Errorf("%s: %v, want a refusal with %q", path, err, reason)
		}
	}
}

func checkEvidence(t *testing.T, dir string, want *fsm.DivergedError) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, evidenceDir, "round-*", "report.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("evidence: %v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var e Evidence
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	if e.Round != uint64(want.Round) || e.Own != want.Own.String() || e.Attested != want.Attested.String() || len(e.Roots) == 0 || e.Tracker == "" {
		t.Errorf("evidence %s", text)
	}
	for _, kept := range []string{e.Log, e.CheckpointDir} {
		if _, err := os.Stat(kept); err != nil {
			t.Errorf("evidence names what is not there: %v", err)
		}
	}
}

func TestFullDiskStopsTheNode(t *testing.T) {
	faulty, wrap := wrapLogs(func([]*raft.Log) error { return &os.PathError{Op: "write", Path: raftFile, Err: syscall.ENOSPC} })
	c, client := startCounting(t, 3, 0, wrap)
	for i, victim := range []int{c.follower(), c.leader()} {
		session, err := client.OpenSession(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		faulty[c.cfgs[victim].ID].armed.Store(true)
		for range 3 {
			if _, err := session.Update(c.ctx, "counter", "add", []byte{1}); err != nil {
				t.Fatal(err)
			}
		}
		c.ended(victim)
		var storage *StorageError
		if err := c.nodes[victim].Err(); !errors.As(err, &storage) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free space") {
			t.Fatalf("reason: %v", err)
		}
		addr := c.cfgs[victim].Peers[victim].HTTP
		if status, err := client.Status(c.ctx, addr); err != nil || status.State != StateFailed || !strings.Contains(status.Reason, "disk is full") {
			t.Errorf("status: %+v, %v", status, err)
		}
		refusedBy(t, c, client, addr, "disk is full")
		c.stop(victim)
		faulty[c.cfgs[victim].ID].armed.Store(false)
		c.start(victim)
		r, err := client.Query(c.ctx, "counter", "get", nil)
		if err != nil || count(r) != uint64(3*(i+1)) {
			t.Errorf("count %d, want %d; %v", count(r), 3*(i+1), err)
		}
		c.add(client, "counter", 0)
		c.agree()
	}
}

// faultyStable refuses to write the term and the vote when armed.
type faultyStable struct {
	raft.StableStore
	armed atomic.Bool
}

var errBroken = errors.New("input/output error")

func (f *faultyStable) Set(key, value []byte) error {
	if f.armed.Load() {
		return errBroken
	}
	return f.StableStore.Set(key, value)
}

func (f *faultyStable) SetUint64(key []byte, value uint64) error {
	if f.armed.Load() {
		return errBroken
	}
	return f.StableStore.SetUint64(key, value)
}

// hashicorp/raft panics when it cannot write its term; the node must stop with the reason instead, and cast no vote.
func TestTermThatCannotBeWritten(t *testing.T) {
	faulty := map[string]*faultyStable{}
	c := startCluster(t, 3, func(cfg *Config) {
		f := &faultyStable{}
		faulty[cfg.ID] = f
		cfg.Wrap.Stable = func(under raft.StableStore) raft.StableStore {
			f.StableStore = under
			return f
		}
	})
	client := c.client()
	c.install(client, "counter")
	leader, victim := c.leader(), c.follower()
	faulty[c.cfgs[victim].ID].armed.Store(true)
	c.stop(leader) // the others must elect one, or the victim must follow another's term
	c.ended(victim)
	if err := c.nodes[victim].Err(); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "storage failed: write") {
		t.Errorf("reason: %v", err)
	}
	c.stop(victim)
	faulty[c.cfgs[victim].ID].armed.Store(false)
	c.start(victim)
	c.start(leader)
	c.add(client, "counter", 1)
	c.agree()
}

func TestBackPressure(t *testing.T) {
	gate := make(chan struct{})
	entered := make(chan struct{}, 16)
	faulty, wrap := wrapLogs(func([]*raft.Log) error {
		entered <- struct{}{}
		<-gate
		return nil
	})
	c := startCluster(t, 1, func(cfg *Config) {
		wrap(cfg)
		cfg.QueueMessages, cfg.RoundsInFlight = 2, 1
	})
	client := c.client()
	c.install(client, "counter")
	faulty["n1"].armed.Store(true)
	results := make(chan error, 3)
	send := func() {
		var out Response
		results <- client.try(c.ctx, c.cfgs[0].Peers[0].HTTP, call{path: canisterPath("counter", "update", "add"), body: []byte{1}}, &out)
	}
	go send()
	<-entered // one round is on its way and stays there
	go send()
	go send()
	b := c.nodes[0].current().batcher
	c.eventually("two messages wait", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.waiting == 2
	})
	err := client.try(c.ctx, c.cfgs[0].Peers[0].HTTP, call{path: canisterPath("counter", "update", "add"), body: []byte{1}}, &Response{})
	var failed *CallError
	if !errors.As(err, &failed) || failed.Code != 429 || failed.Outcome != OutcomeRefused || !strings.Contains(failed.Reason, "at most 2") {
		t.Errorf("over the bound: %v", err)
	}
	faulty["n1"].armed.Store(false)
	close(gate)
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if r, err := client.Query(c.ctx, "counter", "get", nil); err != nil || count(r) != 3 {
		t.Errorf("count %d, want 3; %v", count(r), err)
	}
}

// Behind the fence nothing reaches the state machine.
func TestFence(t *testing.T) {
	var up atomic.Bool
	f := newFencedMachine(nil, &up, nil) // any use of the machine would panic
	up.Store(true)
	if err, ok := f.Apply(&raft.Log{}).(error); !ok || !errors.Is(err, errEnded) {
		t.Errorf("Apply: %v", err)
	}
	f.StoreConfiguration(1, raft.Configuration{})
	if _, err := f.Snapshot(); !errors.Is(err, errEnded) {
		t.Errorf("Snapshot: %v", err)
	}
	if err := f.Restore(io.NopCloser(nil)); !errors.Is(err, errEnded) {
		t.Errorf("Restore: %v", err)
	}
}
