package sim

import (
	"errors"
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
			release, ok := may(n, ended)
			if !ok {
				continue
			}
			c.members[n-1].leaves(true)
			release()
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
			if f.Variant() == plan.Replace && hits.Load() > 0 {
				if release, ok := c.dispensable(n, nil); ok {
					c.renew(c.members[n-1])
					release()
				}
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

// renew stops a replica, makes its device new and starts it. It waits until the replica is down.
func (c *cluster) renew(m *member) {
	m.want(false, false)
	m.settled()
	m.wipe()
	m.want(true, false)
}

// dispensable waits until the cluster can do without what a replica has: all others are up, are members, have what they acknowledged
// (bare raft knows no joining), could start from it, lose it to no other fault, and know that each of them has a vote. From then on until
// release is called the cluster counts on the replica for nothing. False means that given came first; nil does not wait.
func (c *cluster) dispensable(n int, given <-chan struct{}) (release func(), ok bool) {
	return c.spare(n, given, func(m *member) bool { return c.whole(m) && c.knowsOthers(m, n) })
}

// whole reports whether a replica is up, a member, has what it acknowledged and could start from it.
func (c *cluster) whole(m *member) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.life != nil && (c.seams.Bare || !m.device.joining) && !m.absent && m.restorableLocked()
}

// knowsOthers reports whether all replicas but n have a vote in the newest membership that a replica knows: it votes for no other one.
func (c *cluster) knowsOthers(m *member, n int) bool {
	known := m.voters()
	return allOf(c.members, func(o *member) bool { return o.number == n || slices.Contains(known, o.number) })
}

// othersJoined waits until no other replica is joining, or would be after a restart or a fault that is on: whoever takes out one of three
// while another votes for nobody is left with a majority that needs a vote which nobody gives. One that was taken out and is new counts
// too: it may be a member again, by a change that waits for a leader like this one, before this one is made. Replicas that are down may
// be. What it gives is what dispensable gives.
func (c *cluster) othersJoined(n int, given <-chan struct{}) (release func(), ok bool) {
	return c.spare(n, given, func(m *member) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return (c.seams.Bare || !m.device.joining) && (m.absent || m.restorableLocked())
	})
}

// spare waits until others is true of all replicas but n at one time, and none of them is spared itself: it may take
// seconds to stop, and looks as if it were there for good until it is down and its disk is new.
func (c *cluster) spare(n int, given <-chan struct{}, others func(*member) bool) (release func(), ok bool) {
	for !c.spareNow(n, others) {
		if given == nil || !sleep(50*time.Millisecond, given) {
			return nil, false
		}
	}
	return func() { c.members[n-1].spares(-1) }, true
}

func (c *cluster) spareNow(n int, others func(*member) bool) bool {
	c.sparing.Lock()
	defer c.sparing.Unlock()
	if !allOf(c.members, func(m *member) bool { return m.number == n || !m.isSpared() && others(m) }) {
		return false
	}
	c.members[n-1].spares(1)
	return true
}

func allOf(members []*member, is func(*member) bool) bool {
	return !slices.ContainsFunc(members, func(m *member) bool { return !is(m) })
}

// What keeps a leader from taking a replica out as yet.
var (
	errHandsOn  = errors.New("one of two voters does not take itself out: it hands on")
	errNotKnown = errors.New("a voter does not know the newest membership")
)

// leave takes a replica, or its vote, out of the cluster by a leader's word, with the care that raft asks of an operator. A leader goes by its
// newest membership before that is committed, and where it is cut off then, raft's election differs from that of Ongaro's dissertation (§4.2.2)
// in two ways that can leave a cluster of sound replicas without a leader for good:
//
//   - who has no vote in its own newest membership does not stand, though the others may need it: so one of two voters hands on before it is
//     taken out;
//   - a voter refuses a candidate that is not in the newest membership that the voter knows: so all others that have a vote are to know it.
func (c *cluster) leave(r *raft.Raft, mode plan.Mode, n int) error {
	now := r.GetConfiguration()
	if err := now.Error(); err != nil {
		return err
	}
	voters := votersOf(now.Configuration())
	if _, self := r.LeaderWithID(); self == serverID(n) && len(voters) == 2 {
		return joinErrors(errHandsOn, r.LeadershipTransfer().Error())
	}
	for _, v := range voters {
		if v != n && !slices.Equal(c.members[v-1].voters(), voters) {
			return errNotKnown
		}
	}
	if mode == plan.Demote {
		return r.DemoteVoter(serverID(n), 0, time.Second).Error()
	}
	return r.RemoveServer(serverID(n), 0, time.Second).Error()
}

// votersOf gives the replicas that have a vote, ascending.
func votersOf(conf raft.Configuration) (voters []int) {
	for _, s := range conf.Servers {
		if s.Suffrage == raft.Voter {
			voters = append(voters, replicaOf(s.ID))
		}
	}
	slices.Sort(voters)
	return voters
}

// member changes the membership by whoever leads, as often as it takes, one change after the other; false means that given,
// or the run's end, came first.
func (c *cluster) member(change func(*raft.Raft) error, given <-chan struct{}) bool {
	for {
		select {
		case c.changing <- struct{}{}:
		case <-given:
			return false
		case <-c.failed:
			return false
		}
		done := c.changeNow(change)
		<-c.changing
		if done {
			return true
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

// changeNow changes the membership by whoever leads, if somebody does.
func (c *cluster) changeNow(change func(*raft.Raft) error) bool {
	leader := c.leaderNow()
	if leader == 0 {
		return false
	}
	r := c.members[leader-1].raft()
	return r != nil && r.State() == raft.Leader && change(r) == nil
}
