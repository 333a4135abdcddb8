package sim

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/chaos/history"
	"lockstep/chaos/plan"
)

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
			may := c.othersJoined
			if f.Variant() == plan.Replace {
				may = c.dispensable
			}
			if !may(n, ended) {
				continue
			}
			c.members[n-1].leaves(true)
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
			if c.member(func(r *raft.Raft) error {
				return r.AddVoter(serverID(n), raft.ServerAddress(serverID(n)), 0, time.Second).Error()
			}, nil) {
				c.members[n-1].leaves(false)
			}
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

// dispensable waits until the cluster can do without what a replica has: all others are up, are members, have what they acknowledged
// (bare raft knows no joining), could start from it, and know the newest membership. False means that given came first; nil does not wait.
func (c *cluster) dispensable(n int, given <-chan struct{}) bool {
	return c.waitForAll(func(m *member) bool {
		if m.number == n {
			return true
		}
		m.mu.Lock()
		whole := m.life != nil && (c.seams.Bare || !m.device.joining) && !m.absent && m.restorableLocked()
		m.mu.Unlock()
		return whole && c.informed(m)
	}, given)
}

// othersJoined waits until no other member is joining, or would be after a restart, and all know the newest membership. Whoever takes out one
// of three while another votes for nobody is left with a majority that needs a vote which nobody gives. So is whoever does while one
// does not know of a member that was added: raft refuses such a candidate its vote, and the one that was taken out does not stand.
func (c *cluster) othersJoined(n int, given <-chan struct{}) bool {
	return c.waitForAll(func(m *member) bool {
		if m.number == n {
			return true
		}
		m.mu.Lock()
		absent, joined := m.absent, (c.seams.Bare || !m.device.joining) && m.restorableLocked()
		m.mu.Unlock()
		return absent || joined && c.informed(m)
	}, given)
}

// informed reports whether a replica knows the leader's newest membership.
func (c *cluster) informed(m *member) bool {
	leader := c.leaderNow()
	return leader != 0 && m.servers() != "" && m.servers() == c.members[leader-1].servers()
}

// servers is the newest membership that a replica knows; "" while it does not run.
func (m *member) servers() string {
	l := m.current()
	if l == nil || !l.ready() || l.process.Raft() == nil {
		return ""
	}
	return fmt.Sprint(l.process.Raft().GetConfiguration().Configuration().Servers)
}

// waitForAll is false when given came first; nil does not wait.
func (c *cluster) waitForAll(is func(*member) bool, given <-chan struct{}) bool {
	for !allOf(c.members, is) {
		if given == nil || !sleep(50*time.Millisecond, given) {
			return false
		}
	}
	return true
}

// errHandsOn is a leader's answer that has to hand on before it can be taken out.
var errHandsOn = errors.New("one of two voters does not take itself out: it hands on")

// leave takes a replica, or its vote, out of the cluster by a leader's word. A leader goes by its newest membership before that is
// committed: one of two voters that takes itself out, and is cut off then, neither stands for election again nor votes for the other,
// which has fewer entries (Ongaro's dissertation, §4.2.2, lets it stand; raft does not). So it hands on first, as an operator would have it.
func (c *cluster) leave(r *raft.Raft, mode plan.Mode, n int) error {
	now := r.GetConfiguration()
	if err := now.Error(); err != nil {
		return err
	}
	if _, self := r.LeaderWithID(); self == serverID(n) && voters(now.Configuration()) == 2 {
		return joinErrors(errHandsOn, r.LeadershipTransfer().Error())
	}
	if mode == plan.Demote {
		return r.DemoteVoter(serverID(n), now.Index(), time.Second).Error()
	}
	return r.RemoveServer(serverID(n), now.Index(), time.Second).Error()
}

// voters counts those of a membership.
func voters(c raft.Configuration) (n int) {
	for _, s := range c.Servers {
		if s.Suffrage == raft.Voter {
			n++
		}
	}
	return n
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
