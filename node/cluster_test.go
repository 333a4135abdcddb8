package node

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lockstep/memstore"
)

// counterWAT counts in its memory. "add" adds its argument's length and replies with the new count as 8 bytes; "get" reads it;
// "echo" replies with its argument; "trap" traps.
const counterWAT = `(module
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 2)
  (func $answer (call $append (i32.const 0) (i32.const 8)) (call $reply))
  (func (export "canister_update add")
    (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.extend_i32_u (call $size))))
    (call $answer))
  (func (export "canister_query get") (call $answer))
  (func (export "canister_update echo")
    (call $copy (i32.const 1024) (i32.const 0) (call $size))
    (call $append (i32.const 1024) (call $size)) (call $reply))
  (func (export "canister_update trap") unreachable))`

// compiled holds compiled modules for all tests of a run: each node gets the folder as its own.
var compiled string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "lockstep-node-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	compiled = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines were left behind:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// lines is a log that tests can search.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// cluster is some nodes in this process, on loopback.
type cluster struct {
	t     *testing.T
	cfgs  []Config
	nodes []*Node // nil where stopped
	log   *lines
	ctx   context.Context
}

// patience bounds a test: far more than any takes on a slow machine, and less than the limit of a package.
const patience = 4 * time.Minute

// newCluster makes the configuration of n nodes without starting any.
func newCluster(t *testing.T, n int, change func(*Config)) *cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	c := &cluster{t: t, nodes: make([]*Node, n), log: &lines{}, ctx: ctx}
	var peers []Peer
	for i := range n {
		peers = append(peers, Peer{ID: fmt.Sprintf("n%d", i+1), Raft: reserve(t), HTTP: reserve(t)})
	}
	logger := slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for i := range n {
		cfg := Config{ID: peers[i].ID, ClusterID: "test", DataDir: filepath.Join(t.TempDir(), peers[i].ID), Peers: peers,
			Tracker: memstore.TrackerCompare, ElectionTimeout: 250 * time.Millisecond, PeerTimeout: 10 * time.Second,
			RequestTimeout: time.Minute, Logger: logger}
		if change != nil {
			change(&cfg)
		}
		c.cfgs = append(c.cfgs, cfg)
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.stop(i)
		}
		cancel()
		if t.Failed() {
			t.Log(c.log.String())
		}
	})
	return c
}

func reserve(t *testing.T) string {
	t.Helper()
	r, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r.Addr
}

// startCluster starts n nodes.
func startCluster(t *testing.T, n int, change func(*Config)) *cluster {
	t.Helper()
	c := newCluster(t, n, change)
	for i := range n {
		c.start(i)
	}
	return c
}

// startCounting starts n nodes with a canister "counter" that has been called so often.
func startCounting(t *testing.T, n, calls int, change func(*Config)) (*cluster, *Client) {
	t.Helper()
	c := startCluster(t, n, change)
	client := c.client()
	c.install(client, "counter")
	if calls > 0 {
		c.add(client, "counter", calls)
	}
	return c, client
}

func (c *cluster) start(i int) {
	c.t.Helper()
	c.shareCompiled(i)
	n, err := Start(c.cfgs[i])
	if err != nil {
		c.t.Fatal(err)
	}
	c.nodes[i] = n
}

// shareCompiled lets the node's module cache be the common one: compiling is not what is tested here.
func (c *cluster) shareCompiled(i int) {
	c.t.Helper()
	link := filepath.Join(c.cfgs[i].DataDir, modulesDir)
	if _, err := os.Lstat(link); err == nil {
		return
	}
	dir, err := openDataDir(c.cfgs[i].DataDir, identity{Format: dataFormat, Cluster: c.cfgs[i].ClusterID, Node: c.cfgs[i].ID})
	if err == nil {
		err = dir.close()
	}
	if err == nil {
		err = os.Symlink(compiled, link)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) stop(i int) {
	c.t.Helper()
	if c.nodes[i] == nil {
		return
	}
	if err := c.nodes[i].Stop(); err != nil {
		c.t.Errorf("stop %s: %v", c.cfgs[i].ID, err)
	}
	c.nodes[i] = nil
}

// comeBack starts a node that was stopped and waits until it holds what the others do, after one more message.
func (c *cluster) comeBack(i int, client *Client) {
	c.t.Helper()
	c.start(i)
	c.add(client, "counter", 1)
	c.agree()
}

// wipe forgets a stopped node's data.
func (c *cluster) wipe(i int) {
	c.t.Helper()
	if err := os.RemoveAll(c.cfgs[i].DataDir); err != nil {
		c.t.Fatal(err)
	}
}

// client gives a client that knows the nodes in the given order, all of them when there is none.
func (c *cluster) client(order ...int) *Client {
	c.t.Helper()
	var addrs []string
	if len(order) == 0 {
		for i := range c.cfgs {
			order = append(order, i)
		}
	}
	for _, i := range order {
		addrs = append(addrs, c.cfgs[i].Peers[i].HTTP)
	}
	client, err := NewClient(ClientConfig{Addresses: addrs, Timeout: time.Minute})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Close)
	return client
}

// eventually waits until ok holds; the test's own context is the only limit.
func (c *cluster) eventually(what string, ok func() bool) {
	c.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			c.t.Fatalf("gave up waiting for: %s; %s", what, c.describe())
		}
	}
}

// describe tells what the nodes are doing.
func (c *cluster) describe() string {
	var out []string
	for i, n := range c.nodes {
		if n == nil {
			out = append(out, c.cfgs[i].ID+" is stopped")
			continue
		}
		s := n.Status()
		out = append(out, fmt.Sprintf("%s is %s, %s of term %d, at round %d, raft %+v, checkpoints %+v, set aside %q, reason %q",
			s.Node, s.State, s.Role, s.Term, s.Round, s.Raft, s.Checkpoints, s.SetAside, s.Reason))
	}
	return strings.Join(out, "; ")
}

// ended waits until a node's replica has ended for good.
func (c *cluster) ended(i int) {
	c.t.Helper()
	c.eventually(c.cfgs[i].ID+" has ended", func() bool {
		select {
		case <-c.nodes[i].Done():
			return true
		default:
			return false
		}
	})
}

// addUntil adds 1 until ok holds: how many rounds that takes is a matter of speed, since checkpoints are taken beside rounds. It
// gives how often it has added.
func (c *cluster) addUntil(client *Client, name string, ok func() bool) (added int) {
	c.t.Helper()
	for ; !ok(); added++ {
		c.add(client, name, 1)
		c.agree()
	}
	return added
}

// logBegins gives the first entry of a running node's log, 0 if it is empty.
func (c *cluster) logBegins(i int) uint64 {
	c.t.Helper()
	first, err := c.nodes[i].current().log.FirstIndex()
	if err != nil {
		c.t.Fatal(err)
	}
	return first
}

// cutBehind reports whether no running node has what follows an entry in its log any more.
func (c *cluster) cutBehind(index uint64) bool {
	c.t.Helper()
	for i, n := range c.nodes {
		if n != nil && c.logBegins(i) <= index+1 {
			return false
		}
	}
	return true
}

// rest waits until a node has no checkpoint to take.
func (c *cluster) rest(i int) {
	c.t.Helper()
	c.eventually(c.cfgs[i].ID+" has no checkpoint to take", func() bool {
		s := c.nodes[i].Status()
		return s.Round < s.Checkpoints.Round+s.Checkpoints.Every
	})
}

// rely adds until a node at rest cannot start without a sound checkpoint: its log begins at the older one, not at entry 1. It gives
// how often it has added.
func (c *cluster) rely(client *Client, name string, i int) (added int) {
	c.t.Helper()
	return c.addUntil(client, name, func() bool {
		c.rest(i)
		return c.logBegins(i) > 1
	})
}

// leader waits for a leader and gives its place.
func (c *cluster) leader() int {
	c.t.Helper()
	leader := -1
	c.eventually("a leader", func() bool {
		for i, n := range c.nodes {
			if n != nil && n.Status().Role == "leader" {
				leader = i
				return true
			}
		}
		return false
	})
	return leader
}

// follower gives a running node that is not the leader.
func (c *cluster) follower() int {
	c.t.Helper()
	leader := c.leader()
	for i, n := range c.nodes {
		if n != nil && i != leader {
			return i
		}
	}
	c.t.Fatal("no follower runs")
	return -1
}

// agree waits until all running nodes are at one round, and compares their roots of every round that they keep.
func (c *cluster) agree() {
	c.t.Helper()
	leader := c.leader()
	want := c.nodes[leader].Status()
	for i, n := range c.nodes {
		if n == nil || i == leader {
			continue
		}
		c.eventually(fmt.Sprintf("%s at round %d", c.cfgs[i].ID, want.Round), func() bool {
			return n.Status().Round >= want.Round || n.Status().State != StateRunning
		})
		if s := n.Status(); s.State != StateRunning {
			c.t.Fatalf("%s is %s: %s", s.Node, s.State, s.Reason)
		}
		mine, theirs := map[uint64]string{}, n.machine().Roots(1, 1<<20)
		for _, a := range rootReports(c.nodes[leader].machine().Roots(1, 1<<20)) {
			mine[a.Round] = a.Root
		}
		for _, a := range rootReports(theirs) {
			if root, known := mine[a.Round]; known && root != a.Root {
				c.t.Fatalf("round %d: %s has root %s, %s has %s", a.Round, c.cfgs[leader].ID, root, c.cfgs[i].ID, a.Root)
			}
		}
	}
}

// install installs the counter.
func (c *cluster) install(client *Client, name string) {
	c.t.Helper()
	r, err := client.Install(c.ctx, name, []byte(counterWAT), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if r.Text != "" {
		c.t.Fatalf("install: %s: %s", r.Status, r.Text)
	}
}

// add sends updates that each add 1, in a session of their own.
func (c *cluster) add(client *Client, name string, times int) {
	c.t.Helper()
	session, err := client.OpenSession(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	for range times {
		r, err := session.Update(c.ctx, name, "add", []byte{1})
		if err != nil {
			c.t.Fatal(err)
		}
		if len(r.Reply) != 8 {
			c.t.Fatalf("update: %s: %s", r.Status, r.Text)
		}
	}
}
