package sim

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
)

// keptInstall is a checkpoint that a replica was sent, to be delivered again.
type keptInstall struct {
	from    int
	request *raft.InstallSnapshotRequest
	body    []byte
}

// keepInstall keeps the newest checkpoint that was sent to each replica.
func (c *cluster) keepInstall(from, to int, req *raft.InstallSnapshotRequest, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.installs[to] = &keptInstall{from, copyCommand(req).(*raft.InstallSnapshotRequest), body}
}

// staleInstall delivers old checkpoints again. A replica that was sent none is sent the leader's oldest: what a stream is that was
// on its way for long.
func (c *cluster) staleInstall(f *plan.Fault, nodes []int) *running {
	var hits atomic.Uint64
	stop := make(chan struct{})
	go func() {
		if !sleep(f.Delay, stop) {
			return
		}
		for _, n := range nodes {
			if c.deliverOld(n) {
				hits.Add(1)
			}
		}
	}()
	return &running{end: func() uint64 {
		close(stop)
		return hits.Load()
	}}
}

func (c *cluster) deliverOld(n int) bool {
	c.mu.Lock()
	k, term := c.installs[n], c.leaderTerm
	c.mu.Unlock()
	if k == nil {
		k = c.oldCheckpoint(n)
	}
	target := c.net.end(n)
	if k == nil || target == nil {
		return false
	}
	req := copyCommand(k.request).(*raft.InstallSnapshotRequest)
	if req.Term < term {
		req.Term = term // it was sent in this term for all that the receiver can know
	}
	answer, err := target.receive(req, &bodyReader{data: k.body, closed: target.closed}, c.net.timeout)
	if _, ok := answer.(*raft.InstallSnapshotResponse); err == nil && ok {
		c.record(history.Event{Kind: history.Mark, Node: uint8(n), Text: string(history.MarkStaleInstall)})
	}
	return true
}

// oldCheckpoint makes an install of the leader's oldest checkpoint.
func (c *cluster) oldCheckpoint(to int) *keptInstall {
	leader := c.leaderNow()
	if leader == 0 || leader == to {
		return nil
	}
	l := c.members[leader-1].current()
	if l == nil {
		return nil
	}
	l.mu.Lock()
	store := l.store
	l.mu.Unlock()
	if store == nil {
		return nil
	}
	metas, err := store.List()
	if err != nil || len(metas) == 0 {
		return nil
	}
	meta, reader, err := store.Open(metas[len(metas)-1].ID)
	if err != nil {
		return nil
	}
	defer reader.Close()
	body := make([]byte, 0, meta.Size)
	buf := make([]byte, 64<<10)
	for {
		n, err := reader.Read(buf)
		body = append(body, buf[:n]...)
		if err != nil {
			break
		}
	}
	c.mu.Lock()
	term := c.leaderTerm
	c.mu.Unlock()
	id := []byte(serverID(leader))
	return &keptInstall{leader, &raft.InstallSnapshotRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: id, Addr: id},
		SnapshotVersion: meta.Version, Term: term, Leader: id, LastLogIndex: meta.Index, LastLogTerm: meta.Term,
		Configuration: raft.EncodeConfiguration(meta.Configuration), ConfigurationIndex: meta.ConfigurationIndex, Size: meta.Size}, body}
}

// transfer tells the leader to hand on.
func (c *cluster) transfer(f *plan.Fault) *running {
	to := c.resolve(f.To, nil)
	leader := c.leaderNow()
	if leader == 0 || len(to) == 0 {
		return nil
	}
	target := to[0]
	if target == leader {
		target = leader%len(c.members) + 1
	}
	l := c.members[leader-1].current()
	if l == nil || target == leader {
		return nil
	}
	go func() {
		select {
		case <-l.running:
		case <-l.dead:
			return
		}
		if l.process == nil {
			return
		}
		r := l.process.Raft()
		if r == nil {
			return
		}
		if r.LeadershipTransferToServer(serverID(target), raft.ServerAddress(serverID(target))).Error() == nil {
			c.record(history.Event{Kind: history.Mark, Node: uint8(target), Text: string(history.MarkTransfer)})
		}
	}()
	return &running{end: func() uint64 { return 1 }}
}

// membership takes replicas out of the cluster, or their votes, and back at the end. Both wait for a leader, which a fault may keep
// from answering: so they happen beside the walk through the plan, which ends that fault.
func (c *cluster) membership(f *plan.Fault, nodes []int) *running {
	var hits atomic.Uint64
	ended := make(chan struct{})
	go func() {
		var out []int
		for _, n := range nodes {
			if f.Variant() == plan.Replace && !c.dispensable(n, ended) {
				continue
			}
			if out = append(out, n); c.member(func(r *raft.Raft) error { return c.leave(r, f.Variant(), n) }, ended) {
				hits.Add(1)
			}
		}
		select {
		case <-ended:
		case <-c.failed:
			return
		}
		for _, n := range out {
			if f.Variant() == plan.Replace && hits.Load() > 0 && c.dispensable(n, nil) {
				c.renew(c.members[n-1])
			}
			c.member(func(r *raft.Raft) error {
				return r.AddVoter(serverID(n), raft.ServerAddress(serverID(n)), 0, time.Second).Error()
			}, nil)
		}
	}()
	return &running{end: func() uint64 {
		close(ended)
		return hits.Load()
	}}
}

func allOf(members []*member, is func(*member) bool) bool {
	return !slices.ContainsFunc(members, func(m *member) bool { return !is(m) })
}

// renew stops a replica, makes its device new and starts it. It waits until the replica is down.
func (c *cluster) renew(m *member) {
	m.want(false, false)
	m.settled()
	m.wipe()
	m.want(true, false)
}

// dispensable waits until the cluster can do without what a replica has: all others are up and have what they acknowledged. False means
// that given came first; nil does not wait.
func (c *cluster) dispensable(n int, given <-chan struct{}) bool {
	whole := func(m *member) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.number == n || m.life != nil && !m.device.joining
	}
	for !allOf(c.members, whole) {
		if given == nil || !sleep(50*time.Millisecond, given) {
			return false
		}
	}
	return true
}

func (c *cluster) leave(r *raft.Raft, mode plan.Mode, n int) error {
	if mode == plan.Demote {
		return r.DemoteVoter(serverID(n), 0, time.Second).Error()
	}
	return r.RemoveServer(serverID(n), 0, time.Second).Error()
}

// member changes the membership by whoever leads, as often as it takes; false means that given, or the run's end, came first.
func (c *cluster) member(change func(*raft.Raft) error, given <-chan struct{}) bool {
	for {
		if leader := c.leaderNow(); leader != 0 {
			if l := c.members[leader-1].current(); l != nil && l.ready() {
				if r := l.process.Raft(); r != nil && r.State() == raft.Leader && change(r) == nil {
					return true
				}
			}
		}
		select {
		case <-given:
			return false
		default:
		}
		if !sleep(250*time.Millisecond, c.failed) {
			return false
		}
	}
}

// corruptCheckpoints damages the newest checkpoint of replicas. A file is damaged in a copy that takes its place: what is mapped
// already stays whole, as the pages do that a kernel holds.
func (c *cluster) corruptCheckpoints(f *plan.Fault, nodes []int, number int) *running {
	var hits uint64
	for _, n := range nodes {
		m := c.members[n-1]
		m.mu.Lock()
		files := m.device.files
		m.mu.Unlock()
		if files == nil || !c.mayHarm(n) {
			continue
		}
		var index uint64
		var what string
		m.dice.with(func(r *randomSource) { index, what = files.damageNewest(f.Variant(), r) })
		if index != 0 {
			hits++
			c.record(history.Event{Kind: history.Damaged, Node: uint8(n), Fault: uint32(number), Index: index, Text: what})
		}
	}
	return &running{end: func() uint64 { return hits }}
}

// damageNewest damages a file of the newest checkpoint and gives its index.
func (f *files) damageNewest(mode plan.Mode, r *rand.Rand) (index uint64, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	newest := ""
	for name := range f.dirs["."].now {
		var i uint64
		if _, err := fmt.Sscanf(name, "checkpoint-%d-", &i); err == nil && i >= index && strings.HasPrefix(name, "checkpoint-") {
			newest, index = name, i
		}
	}
	d := f.dirs[newest]
	if d == nil {
		return 0, ""
	}
	var names []string
	for name := range d.now {
		names = append(names, name)
	}
	slices.Sort(names)
	name := names[r.IntN(len(names))]
	node := d.now[name]
	data, err := os.ReadFile(node.path)
	if err != nil || len(data) == 0 {
		return 0, ""
	}
	data, what = damageBytes(data, mode, r)
	if what == "" || f.replaceLocked(node, data) != nil {
		return 0, ""
	}
	return index, fmt.Sprintf("%s of %s: %s", name, newest, what)
}

// replaceLocked gives every name of a file other contents.
func (f *files) replaceLocked(node *inode, data []byte) error {
	f.next++
	home := filepath.Join(f.home, "inodes", fmt.Sprint(f.next))
	if err := os.WriteFile(home, data, 0o644); err != nil {
		return err
	}
	node.path, node.size, node.synced = home, int64(len(data)), int64(len(data))
	for dir, d := range f.dirs {
		for name, n := range d.now {
			if n != node {
				continue
			}
			path := filepath.Join(f.tree(), dir, name)
			if err := joinErrors(os.Remove(path), os.Link(home, path)); err != nil {
				return err
			}
		}
	}
	return nil
}

// damageBytes damages a file's contents; "" says that nothing changed.
func damageBytes(data []byte, mode plan.Mode, r *rand.Rand) ([]byte, string) {
	at := r.IntN(len(data))
	switch mode {
	case plan.Truncate:
		return data[:at], fmt.Sprintf("cut at %d", at)
	case plan.Extend:
		return append(data, 1, 2, 3), "three bytes longer"
	case plan.Zero:
		end := min(at+512, len(data))
		if len(strings.Trim(string(data[at:end]), "\x00")) == 0 {
			data[at] ^= 1
			return data, fmt.Sprintf("bit flipped at %d", at)
		}
		clear(data[at:end])
		return data, fmt.Sprintf("zeros from %d to %d", at, end)
	case plan.Swap, plan.Stale:
		if len(data) < 1024 || string(data[:512]) == string(data[512:1024]) {
			break
		}
		first := append([]byte(nil), data[:512]...)
		copy(data, data[512:1024])
		copy(data[512:], first)
		return data, "two sectors swapped"
	}
	data[at] ^= 1 << r.IntN(8)
	return data, fmt.Sprintf("bit flipped at %d", at)
}

// mayHarm reports whether a replica may lose what it has. A plan within the budget counts on the quiet windows between its episodes to
// be long enough for repairs: where one was not, the harm is left out.
func (c *cluster) mayHarm(n int) bool {
	return c.plan.Allow != (plan.Allow{}) || c.dispensable(n, nil)
}

// corruptLogs damages replicas' logs where they lie.
func (c *cluster) corruptLogs(f *plan.Fault, nodes []int, number int) *running {
	var hits uint64
	for _, n := range nodes {
		m := c.members[n-1]
		if !c.mayHarm(n) {
			continue
		}
		m.mu.Lock()
		what := ""
		m.dice.with(func(r *randomSource) {
			if l := m.life; l != nil {
				l.disk.mu.Lock()
				what = l.disk.image.damage(f.Variant(), r)
				l.disk.mu.Unlock()
				return
			}
			what = m.device.image.damage(f.Variant(), r)
		})
		m.mu.Unlock()
		if what != "" {
			hits++
			c.record(history.Event{Kind: history.Damaged, Node: uint8(n), Fault: uint32(number), Text: "log: " + what})
		}
	}
	return &running{end: func() uint64 { return hits }}
}
