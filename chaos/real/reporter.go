package real

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/chaos/history"
	"lockstep/chaos/replay"
	"lockstep/node"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// reporter tells the parent what its node shows: roots as anybody can ask for them, roles, checkpoints, sizes.
type reporter struct {
	config  *ReplicaConfig
	node    *node.Node
	client  *node.Client
	journal *journal
	emit    func(history.Event)

	raft    *raft.Raft
	life    int
	next    uint64 // round to ask for
	known   map[string]bool
	measure time.Time
}

// Times of a reporter.
const (
	pollEvery    = 10 * time.Millisecond
	measureEvery = 250 * time.Millisecond
	askWithin    = 2 * time.Second
	rootsAtOnce  = 1000
)

func newReporter(n *node.Node, c *ReplicaConfig, j *journal, emit func(history.Event)) *reporter {
	r := &reporter{config: c, node: n, journal: j, emit: emit, known: map[string]bool{}}
	r.client, _ = node.NewClient(node.ClientConfig{Addresses: []string{n.HTTPAddr()}, Timeout: askWithin}) // one good address is given
	for _, c := range r.checkpoints() {
		r.known[c] = true
	}
	return r
}

// run reports until ctx ends.
func (r *reporter) run(ctx context.Context) {
	defer r.client.Close()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		r.poll()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// poll reports once what is new.
func (r *reporter) poll() {
	size, last, life := r.journal.size()
	if life != r.life {
		if !r.begin(last) {
			return
		}
		r.life = life
	}
	r.watch()
	r.newCheckpoints(last)
	for r.roots() {
	}
	if time.Since(r.measure) > measureEvery {
		r.measure = time.Now()
		r.gauges(size)
	}
}

// begin reports with what the replica has begun: its first root is that of a checkpoint, or there is none.
func (r *reporter) begin(last uint64) bool {
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	report, err := r.client.Roots(ctx, r.node.HTTPAddr(), 1, 1)
	if err != nil {
		return false
	}
	o := r.config.Options
	e := history.Event{Kind: history.Started, To: last, Text: optionsText(o.Tracker, o.Opt, o.Checkpoint)}
	r.next = 1
	if len(report.Roots) > 0 && report.Roots[0].Round > 0 {
		if m, ok := r.manifest(report.Roots[0].Round); ok {
			e.Index, e.Term, e.Round = m.Index, m.Term, m.Round
			e.Root, _ = pagetrie.ParseHash(report.Roots[0].Root) // a node writes nothing else
			r.next = e.Round + 1
		}
	}
	r.emit(e)
	return true
}

func optionsText(tracker, opt string, checkpoint int) string {
	words := []string{}
	for _, w := range []string{tracker, opt} {
		if w != "" {
			words = append(words, w)
		}
	}
	if checkpoint > 0 {
		words = append(words, "checkpoint every "+strconv.Itoa(checkpoint))
	}
	return strings.Join(words, ", ")
}

// watch reports changes of role from inside raft, where the term belongs to the role.
func (r *reporter) watch() {
	now := r.node.Raft()
	if now == r.raft || now == nil {
		return
	}
	r.raft = now
	now.RegisterObserver(raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		if s, ok := o.Data.(raft.RaftState); ok {
			r.role(s, o.Raft.CurrentTerm())
		}
		return false
	}))
	for {
		term, state := now.CurrentTerm(), now.State()
		if now.CurrentTerm() == term {
			r.role(state, term)
			return
		}
	}
}

func (r *reporter) role(s raft.RaftState, term uint64) {
	role := history.Follower
	switch s {
	case raft.Leader:
		role = history.Leader
	case raft.Candidate:
		role = history.Candidate
	case raft.Shutdown:
		return
	}
	r.journal.leads.Store(role == history.Leader)
	r.emit(history.Event{Kind: history.RoleChanged, Role: role, Term: term})
}

// roots reports the roots that are new; true means that there may be more.
func (r *reporter) roots() bool {
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	report, err := r.client.Roots(ctx, r.node.HTTPAddr(), r.next, rootsAtOnce)
	if err != nil {
		return false
	}
	for _, line := range report.Roots {
		root, err := pagetrie.ParseHash(line.Root)
		if err != nil || line.Round < r.next {
			return false
		}
		index, e, logged := r.journal.at(line.Round)
		if m, ok := r.manifest(line.Round); !logged && ok || line.Round > r.next && ok {
			r.emit(history.Event{Kind: history.Installed, Index: m.Index, Term: m.Term, Round: m.Round, Root: root})
		} else if logged {
			r.emit(history.Event{Kind: history.Applied, Index: index, Term: e.term, Digest: e.digest, Round: line.Round, Root: root})
		}
		r.next = line.Round + 1
	}
	return len(report.Roots) == rootsAtOnce
}

// checkpoints lists the checkpoint folders, oldest first.
func (r *reporter) checkpoints() []string {
	paths, err := replay.ListCheckpoints(filepath.Join(r.config.Dir, "checkpoints"))
	if err != nil {
		return nil
	}
	return paths
}

// manifest finds the checkpoint of a round, which must be the newest at it.
func (r *reporter) manifest(round uint64) (snapshot.Manifest, bool) {
	paths := r.checkpoints()
	for i := len(paths) - 1; i >= 0; i-- {
		c, err := snapshot.OpenDir(paths[i])
		if err != nil {
			continue
		}
		m := c.Manifest
		if c.Close(); m.Round <= round {
			return m, m.Round == round
		}
	}
	return snapshot.Manifest{}, false
}

// newCheckpoints reports checkpoints that have become visible, and those that were set aside.
func (r *reporter) newCheckpoints(last uint64) {
	for _, path := range r.checkpoints() {
		if r.known[path] {
			continue
		}
		c, err := snapshot.OpenDir(path)
		if err != nil {
			continue
		}
		r.known[path] = true
		r.emit(history.Event{Kind: history.Published, Index: c.Index, Term: c.Term, Round: c.Round, Root: c.Root})
		step := crashPublish
		if c.Index > last {
			step = crashInstall
		}
		c.Close()
		r.journal.faults.reached(step)
	}
	for _, path := range setAside(r.config.Dir) {
		if r.known[path] {
			continue
		}
		r.known[path] = true
		e := history.Event{Kind: history.CheckpointRefused, Text: "it is damaged and was set aside"}
		if parts := strings.Split(filepath.Base(path), "-"); len(parts) > 2 {
			e.Index, _ = strconv.ParseUint(parts[2], 10, 64) // 0 where it is none
		}
		r.emit(e)
	}
}

// setAside lists the damaged checkpoints that a node has set aside.
func setAside(dir string) []string {
	damaged, _ := filepath.Glob(filepath.Join(dir, "checkpoints", "damaged-*")) // the pattern is a good one
	return damaged
}

// ignore keeps quiet about checkpoints of earlier lives.
func (r *reporter) ignore(paths []string) {
	for _, path := range paths {
		r.known[path] = true
	}
}

// gauges reports sizes.
func (r *reporter) gauges(entries uint64) {
	tell := func(name string, n uint64) { r.emit(history.Event{Kind: history.Gauge, Text: name, Count: n}) }
	tell("goroutines", uint64(runtime.NumGoroutine()))
	tell("checkpoints", uint64(len(r.checkpoints())))
	tell("log-entries", entries)
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		tell("descriptors", uint64(len(files)))
	}
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if words := strings.Fields(string(text)); len(words) > 1 {
			if pages, err := strconv.ParseUint(words[1], 10, 64); err == nil {
				tell("memory-bytes", pages*uint64(os.Getpagesize()))
			}
		}
	}
	if left, err := filepath.Glob(filepath.Join(r.config.Dir, "checkpoints", "*.tmp")); err == nil {
		tell("leftovers", uint64(len(left)))
	}
}
