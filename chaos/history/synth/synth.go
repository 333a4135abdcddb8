// Package synth makes up histories of clusters that never ran: good ones, which every checker must accept, for the tests of
// checkers and reports. What a cluster does here is a caricature; only the histories are consistent.
//
// A run has one round a tick. Outages take replicas away for a time; one that is back is brought up to date from the log or, if it is
// far behind, by a checkpoint. The leader of the moment is the first replica that is there. The same Config gives the same history.
package synth

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"lockstep/chaos/history"
	"lockstep/pagetrie"
)

// Config is what history to make up.
type Config struct {
	Replicas int
	// Run is the time with outages, Quiet the time after it, Tick the time between two rounds.
	Run, Quiet, Tick time.Duration
	// Clients is the number of calls of each round.
	Clients int
	// Checkpoint is the number of rounds between two checkpoints, Trailing how far behind a replica may be and catch up from
	// the log.
	Checkpoint, Trailing uint64
	Outages              []Outage
	Seed                 uint64
}

// Outage takes replicas away.
type Outage struct {
	At, For time.Duration
	Nodes   []int
	// Crash ends the process; otherwise the replicas are cut off.
	Crash bool
	// Text is the fault's line.
	Text string
}

// Root is the state's root after a round.
func Root(round uint64) pagetrie.Hash {
	var h pagetrie.Hash
	for i := 0; i < len(h); i += 8 {
		binary.LittleEndian.PutUint64(h[i:], scramble(round*4+uint64(i)))
	}
	return h
}

func scramble(x uint64) uint64 {
	x = (x ^ x>>31 ^ 0x5bd1e995) * 0x9e3779b97f4a7c15
	return x ^ x>>29
}

// cluster is a history on its way.
type cluster struct {
	Config
	random *rand.Rand
	log    history.Log
	now    time.Duration
	term   uint64
	leader int
	rounds uint64 // committed
	nodes  []node
	op     uint64
	// vacant is until when no new leader is found.
	vacant time.Duration
}

// node is one replica; applied and ckpt are rounds.
type node struct {
	up, linked    bool
	applied, ckpt uint64
}

// index is a round's log entry: each term begins with one of its own, the first with two.
func (c *cluster) index(round uint64) uint64 { return round + 2 }

// Make makes up a history.
func Make(cfg Config) *history.Log {
	c := &cluster{Config: cfg, random: rand.New(rand.NewPCG(cfg.Seed, 1)), nodes: make([]node, cfg.Replicas)}
	c.log.Header = history.Header{Format: 1, Replicas: cfg.Replicas, Seed: cfg.Seed, Plan: history.DigestOf([]byte("synth")), Layer: "sim",
		Program: "made up"}
	for n := range c.nodes {
		c.nodes[n] = node{up: true, linked: true}
		c.add(history.Event{Kind: history.Started, Node: uint8(n + 1), Text: "tracker=adaptive"})
	}
	for ; c.now < cfg.Run+cfg.Quiet; c.now += cfg.Tick {
		c.outages()
		if c.now >= cfg.Run && c.now < cfg.Run+cfg.Tick {
			c.add(history.Event{Kind: history.Healed})
		}
		c.elect()
		c.round()
		c.catchUp()
	}
	c.add(history.Event{Kind: history.Ended})
	slices.SortStableFunc(c.log.Events, func(a, b history.Event) int { return cmp.Compare(a.At, b.At) })
	return &c.log
}

func (c *cluster) add(e history.Event) { c.after(0, e) }

func (c *cluster) after(d time.Duration, e history.Event) {
	e.At = c.now + d
	c.log.Events = append(c.log.Events, e)
}

func (c *cluster) jitter(most time.Duration) time.Duration {
	return time.Duration(c.random.Int64N(int64(most)) + 1)
}

// during reports whether a moment of the run is now.
func (c *cluster) during(t time.Duration) bool { return t >= c.now && t < c.now+c.Tick }

func (c *cluster) outages() {
	for i, o := range c.Outages {
		id := uint32(i + 1)
		if c.during(o.At + o.For) {
			c.add(history.Event{Kind: history.FaultEnd, Fault: id, Text: o.Text, Count: uint64(len(o.Nodes))})
			for _, n := range o.Nodes {
				c.back(n, o)
			}
		}
		if !c.during(o.At) {
			continue
		}
		c.add(history.Event{Kind: history.FaultBegin, Fault: id, Text: o.Text})
		for _, n := range o.Nodes {
			if c.nodes[n-1].linked = false; o.Crash {
				c.nodes[n-1].up = false
				c.add(history.Event{Kind: history.Crashed, Node: uint8(n), Fault: id, Text: "killed"})
			}
		}
	}
}

// back lets a replica take part again. A crashed one begins with its checkpoint and repeats its log.
func (c *cluster) back(n int, o Outage) {
	x := &c.nodes[n-1]
	x.linked = true
	if !o.Crash {
		return
	}
	e := history.Event{Kind: history.Started, Node: uint8(n), To: c.index(x.applied), Text: "tracker=cow"}
	if x.ckpt > 0 {
		e.Index, e.Round, e.Root = c.index(x.ckpt), x.ckpt, Root(x.ckpt)
	}
	c.add(e)
	had := x.applied
	x.up, x.applied = true, x.ckpt
	for x.applied < had {
		c.apply(n, time.Millisecond)
	}
}

// elect makes the first replica that is there the leader, if a quorum is.
func (c *cluster) elect() {
	there, first := 0, 0
	for n, x := range c.nodes {
		if x.up && x.linked {
			if there++; first == 0 || x.applied > c.nodes[first-1].applied {
				first = n + 1
			}
		}
	}
	if l := c.leader; l > 0 && c.nodes[l-1].up && c.nodes[l-1].linked && there > c.Replicas/2 {
		return
	}
	if c.leader != 0 {
		c.vacant = c.now + 4*c.Tick
	}
	if c.leader = 0; there <= c.Replicas/2 || c.now < c.vacant {
		return
	}
	c.leader = first
	c.term++
	for n, x := range c.nodes {
		if x.up && x.linked && n+1 != first {
			c.add(history.Event{Kind: history.Voted, Node: uint8(n + 1), Peer: uint8(first), Term: c.term})
			c.after(time.Microsecond, history.Event{Kind: history.RoleChanged, Node: uint8(n + 1), Role: history.Follower, Term: c.term})
		}
	}
	c.after(time.Microsecond, history.Event{Kind: history.RoleChanged, Node: uint8(first), Role: history.Leader, Term: c.term})
}

// round sends a round's calls, and commits and answers them if there is a leader.
func (c *cluster) round() {
	first := c.op + 1
	for i := range c.Clients {
		c.op++
		e := history.Event{Kind: history.Invoked, Op: c.op, Class: history.Update, Client: uint32(i), Session: uint64(i + 1), Sequence: c.op, Text: "kv.put"}
		if i%4 == 3 {
			e.Class, e.Session, e.Sequence, e.Text = history.Query, 0, 0, "kv.get"
		}
		c.after(c.Tick/20, e)
	}
	answer := history.Event{Kind: history.Returned, Outcome: history.Unknown, Text: "no leader"}
	if c.leader > 0 {
		c.commit(first)
		answer = history.Event{Kind: history.Returned, Outcome: history.OK, Index: c.index(c.rounds), Round: c.rounds,
			Root: Root(c.rounds), Text: "replied"}
	} else if c.random.IntN(2) == 0 {
		answer.Outcome = history.Refused
	}
	for op := first; op <= c.op; op++ {
		if answer.Op = op; answer.Outcome == history.OK {
			answer.Ran = 0
			if (op-first)%4 != 3 {
				answer.Ran, answer.Digest = c.rounds, history.Digest(op)
			} else {
				answer.Digest = 0
			}
		}
		c.after(c.Tick/2+c.jitter(c.Tick/3), answer)
	}
}

func (c *cluster) commit(first uint64) {
	c.rounds++
	e := history.Event{Term: c.term, Index: c.index(c.rounds), Digest: history.Digest(scramble(c.rounds))}
	for n, x := range c.nodes {
		if e.Node = uint8(n + 1); x.up && x.linked && x.applied+1 == c.rounds {
			e.Kind = history.Appended
			c.after(c.Tick/10, e)
			e.Kind = history.Committed
			c.after(c.Tick/8, e)
		}
	}
	for op := first; op <= c.op; op++ {
		if (op-first)%4 == 3 {
			continue
		}
		c.after(c.Tick/5, history.Event{Kind: history.Executed, Node: uint8(c.leader), Round: c.rounds, Index: e.Index, Slot: uint32(op - first),
			Ran: c.rounds, Session: op - first + 1, Sequence: op, Digest: history.Digest(op), Text: "replied"})
	}
}

// catchUp brings everybody who is there to the newest round.
func (c *cluster) catchUp() {
	if c.leader == 0 {
		return
	}
	for n := range c.nodes {
		x := &c.nodes[n]
		if !x.up || !x.linked {
			continue
		}
		if c.rounds-x.applied > c.Trailing {
			c.install(n+1, x)
		}
		for d := c.Tick/4 + c.jitter(c.Tick/10); x.applied < c.rounds; d += time.Microsecond {
			c.apply(n+1, d)
		}
	}
}

func (c *cluster) apply(n int, d time.Duration) {
	x := &c.nodes[n-1]
	x.applied++
	c.after(d, history.Event{Kind: history.Applied, Node: uint8(n), Index: c.index(x.applied), Round: x.applied, Root: Root(x.applied)})
	if x.applied%c.Checkpoint == 0 && x.applied > x.ckpt {
		x.ckpt = x.applied
		c.after(d, history.Event{Kind: history.Published, Node: uint8(n), Index: c.index(x.ckpt), Round: x.ckpt, Root: Root(x.ckpt), Count: 1 << 20})
	}
}

func (c *cluster) install(n int, x *node) {
	from := &c.nodes[c.leader-1]
	if from.ckpt <= x.applied {
		return
	}
	e := history.Event{Kind: history.InstallBegin, Node: uint8(n), Peer: uint8(c.leader), Index: c.index(from.ckpt), Round: from.ckpt}
	c.after(c.Tick/16, e)
	x.applied, x.ckpt = from.ckpt, from.ckpt
	e.Kind, e.Root = history.Installed, Root(from.ckpt)
	c.after(c.Tick/9, e)
	c.after(c.Tick/9, history.Event{Kind: history.Published, Node: uint8(n), Index: e.Index, Round: e.Round, Root: e.Root, Count: 1 << 20})
}

// Busy is the configuration of a run in which much happens: an outage of one or two replicas every few seconds.
func Busy(seed uint64, replicas int, run time.Duration) Config {
	c := Config{Replicas: replicas, Run: run, Quiet: run / 4, Tick: 100 * time.Millisecond, Clients: 8, Checkpoint: 20, Trailing: 30, Seed: seed}
	random := rand.New(rand.NewPCG(seed, 2))
	for at := time.Second; at+4*time.Second < run; at += 3*time.Second + time.Duration(random.Int64N(int64(run/12))) {
		n := 1 + random.IntN(replicas)
		o := Outage{At: at, For: time.Duration(500+random.IntN(5000)) * time.Millisecond, Nodes: []int{n}, Crash: random.IntN(2) == 0}
		o.For = min(o.For, run-at-100*time.Millisecond)
		kind := "partition"
		if o.Crash {
			kind = "kill"
		}
		o.Text = fmt.Sprintf("at %v for %v %s nodes=%d", o.At, o.For, kind, n)
		c.Outages = append(c.Outages, o)
		at += o.For
	}
	return c
}
