package sim

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"lockstep/chaos/plan"
	"lockstep/node"
)

// Rules of the harness that a plan reaches by luck only: each was found by seeds that failed without it.

// idle is a replica of which only raft is there.
type idle struct {
	process
	raft *raft.Raft
	stop func() error
}

func (p *idle) Raft() *raft.Raft { return p.raft }
func (p *idle) Stop() error      { return p.stop() }

// startRaft starts a raft that stands alone and knows a membership.
func startRaft(t *testing.T, self int, voters ...int) *raft.Raft {
	t.Helper()
	conf := raft.DefaultConfig()
	conf.LocalID, conf.Logger = serverID(self), hclog.NewNullLogger()
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = 20*time.Millisecond, 20*time.Millisecond, 20*time.Millisecond
	store, snapshots := raft.NewInmemStore(), raft.NewInmemSnapshotStore()
	_, network := raft.NewInmemTransport(raft.ServerAddress(serverID(self)))
	members := raft.Configuration{}
	for _, v := range voters {
		members.Servers = append(members.Servers, raft.Server{ID: serverID(v), Address: raft.ServerAddress(serverID(v))})
	}
	if err := raft.BootstrapCluster(conf, store, store, snapshots, network, members); err != nil {
		t.Fatal(err)
	}
	r, err := raft.NewRaft(conf, &raft.MockFSM{}, store, store, snapshots, network)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Shutdown().Error() }) // it gives none
	return r
}

// alive is a life of which the process runs.
func alive(m *member, p process) *life {
	running := make(chan struct{})
	close(running)
	return &life{m: m, running: running, ended: make(chan struct{}), process: p}
}

// clusterOf makes members that are up and whole; known are the voters that each knows.
func clusterOf(t *testing.T, known ...[]int) *cluster {
	t.Helper()
	c := &cluster{seams: &Seams{}, installs: map[int]*keptInstall{}, plan: &plan.Plan{}}
	c.ended.Store(true) // nothing is recorded
	for i, voters := range known {
		m := &member{c: c, number: i + 1, device: newDevice("")}
		m.device.joining = false
		m.life = alive(m, &idle{raft: startRaft(t, i+1, voters...)})
		c.members = append(c.members, m)
	}
	return c
}

// Nobody is wiped or damaged while a replica that stays does not know that another one of them has a vote: it would vote for it no more.
func TestHarmWaitsUntilAllVotersAreKnown(t *testing.T) {
	all := []int{1, 2, 3}
	c := clusterOf(t, all, []int{1, 2}, all)
	for n, want := range map[int]bool{1: false, 2: true, 3: true} {
		release, ok := c.dispensable(n, nil)
		if ok != want {
			t.Errorf("replica 2 does not know 3 as a voter: the cluster can do without %d: %v", n, ok)
		}
		if ok {
			release()
		}
	}
}

// Nobody is taken out while a voter that stays knows another membership than the leader does.
func TestNobodyLeavesAMembershipThatAVoterDoesNotKnow(t *testing.T) {
	all := []int{1, 2, 3}
	c := clusterOf(t, all, []int{1, 2}, all)
	for n, want := range map[int]error{3: errNotKnown, 2: raft.ErrNotLeader} { // what raft says shows that it was asked
		for _, mode := range []plan.Mode{plan.Demote, plan.Remove} {
			if err := c.leave(c.members[0].raft(), mode, n); !errors.Is(err, want) {
				t.Errorf("replica 2 knows another membership, replica %d is to leave (%s): %v, not %v", n, mode, err, want)
			}
		}
	}
}

// A replica is whole if it is up, joined, a member, and can start from what it has.
func TestWholeReplica(t *testing.T) {
	all := []int{1, 2, 3}
	for what, c := range map[string]struct {
		spoil         func(m *member)
		whole, joined bool
	}{
		"nothing":                    {func(*member) {}, true, true},
		"it is down":                 {func(m *member) { m.life = nil }, false, true},
		"it is joining":              {func(m *member) { m.device.joining = true }, false, false},
		"it is no member":            {func(m *member) { m.leaves(true) }, false, true},
		"damage that it will find":   {damageLonely, false, false},
		"a new one that was damaged": {func(m *member) { m.leaves(true); damageLonely(m) }, false, true},
	} {
		cl := clusterOf(t, all, all, all)
		c.spoil(cl.members[1])
		for name, may := range map[string]struct {
			of   func(int, <-chan struct{}) (func(), bool)
			want bool
		}{"wiped": {cl.dispensable, c.whole}, "taken out": {cl.othersJoined, c.joined}} {
			if _, ok := may.of(1, nil); ok != may.want {
				t.Errorf("%s with replica 2: replica 1 may be %s: %v", what, name, ok)
			}
		}
	}
}

// damageLonely damages the only checkpoint of a replica whose log does not reach back to the beginning.
func damageLonely(m *member) {
	inside := &folder{now: map[string]*inode{"table": {damaged: true}}}
	m.device.files = &files{dirs: map[string]*folder{".": {now: map[string]*inode{"checkpoint-9-1-1": {folder: inside}}}}}
	m.life.disk = &disk{image: image{first: 10}}
}

// A leader of a membership of one tells nobody that it leads: it is found.
func TestLonelyLeaderIsFound(t *testing.T) {
	c := clusterOf(t, []int{1}, []int{1, 2, 3})
	<-c.members[0].raft().LeaderCh()
	for _, told := range []int{0, 2} {
		c.leader = told
		if leader := c.leaderNow(); leader != 1 {
			t.Errorf("replica %d was seen to lead last: %d leads", told, leader)
		}
	}
}

// storeOfOne is a store with one checkpoint.
type storeOfOne struct {
	node.Checkpoints
	meta raft.SnapshotMeta
}

func (s *storeOfOne) List() ([]*raft.SnapshotMeta, error) { return []*raft.SnapshotMeta{&s.meta}, nil }

func (s *storeOfOne) Open(string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	return &s.meta, io.NopCloser(io.LimitReader(nil, 0)), nil
}

// A late checkpoint is one that a leader may have sent: none that the replica is behind of, since the leader's log may reach back further.
func TestLateCheckpointIsOneThatWasOfUse(t *testing.T) {
	c := clusterOf(t, []int{1}, []int{1, 2})
	<-c.members[0].raft().LeaderCh()
	c.members[0].life.store = &storeOfOne{meta: raft.SnapshotMeta{Index: 10, Term: 1}}
	for applied, want := range map[uint64]bool{9: false, 10: true, 11: true} {
		c.members[1].applied = applied
		if k := c.oldCheckpoint(2); (k != nil) != want {
			t.Errorf("a replica at entry %d is sent the checkpoint at entry 10: %v", applied, k != nil)
		}
	}
}

// Two who end one life both wait without holding up virtual time: who waits for a lock would.
func TestLifeIsEndedByTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stops := 0
		l := alive(&member{}, &idle{stop: func() error {
			stops++
			time.Sleep(time.Second)
			return nil
		}})
		go l.end()
		l.end()
		if stops != 1 {
			t.Errorf("the process was stopped %d times", stops)
		}
	})
}

// untold is a tap that hears nothing.
type untold struct{ tap }

// Whoever sends over a link that is slow and corrupt at once hears of it within the time-out, not when the whole message would be there.
func TestSenderHearsWithinItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(1, 2*time.Second, &watchdog{})
		from, to := newTransport(n, 1, &gate{}, untold{}), newTransport(n, 2, &gate{}, untold{})
		n.attach(to)
		n.add(&rule{links: links{{1, 2}: true}, apply: func(_ *rand.Rand, _ int, f *fate) { f.delay, f.corrupt = time.Minute, true }})
		began := time.Now()
		_, err := from.call("n2", &raft.RequestVoteRequest{}, nil)
		if took := time.Since(began); !errors.Is(err, errCorrupt) || took > n.timeout {
			t.Errorf("%v after %v of virtual time", err, took)
		}
	})
}
