package sim

import (
	"sync/atomic"

	"github.com/hashicorp/raft"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
)

// keptInstall is a checkpoint that a replica was sent, to be delivered again.
type keptInstall struct {
	from    int
	request *raft.InstallSnapshotRequest
	body    *body
}

// keepInstall keeps the newest checkpoint that was sent to each replica.
func (c *cluster) keepInstall(from, to int, req *raft.InstallSnapshotRequest, body *body) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.installs[to] = &keptInstall{from, copyCommand(req).(*raft.InstallSnapshotRequest), body}
}

// staleInstall delivers old checkpoints again. A replica that was sent none is sent the leader's oldest, if it is beyond that: what a
// stream is that was on its way for long.
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
	k := c.installs[n]
	c.mu.Unlock()
	if k == nil {
		k = c.oldCheckpoint(n)
	}
	target := c.net.end(n)
	if k == nil || target == nil {
		return false
	}
	// One that was sent comes in its own term. It may be of use yet, and is no refusal then.
	stale := k.request.LastLogIndex <= c.members[n-1].appliedNow()
	answer, err := target.receive(copyCommand(k.request), &bodyReader{number: k.body.number, data: k.body.data, closed: target.closed}, c.net.timeout)
	if _, ok := answer.(*raft.InstallSnapshotResponse); err == nil && ok && stale {
		c.record(history.Event{Kind: history.Mark, Node: uint8(n), Text: string(history.MarkStaleInstall)})
	}
	return true
}

// oldCheckpoint makes an install of the leader's oldest checkpoint, nil if the replica has not come so far: no leader sends one whose log
// may reach further back, and a leader whose log has all could never bring a replica up again that took it.
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
	oldest := metas[len(metas)-1]
	if oldest.Index > c.members[to-1].appliedNow() {
		return nil
	}
	read := &body{number: l.sending(to, oldest.Index, oldest.Term)}
	meta, reader, err := store.Open(oldest.ID)
	if err != nil {
		return nil
	}
	defer reader.Close()
	read.data = make([]byte, 0, meta.Size)
	buf := make([]byte, 64<<10)
	for {
		n, err := reader.Read(buf)
		read.data = append(read.data, buf[:n]...)
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
		Configuration: raft.EncodeConfiguration(meta.Configuration), ConfigurationIndex: meta.ConfigurationIndex, Size: meta.Size}, read}
}
