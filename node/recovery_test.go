package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"lockstep/fsm"
)

// A leader that was cut off with entries that it never committed comes back after the others have cut their logs beyond the
// place where the logs part. hashicorp/raft would be sent the same checkpoint for ever (upstream issue 697).
func TestDeposedLeaderCutsItsLog(t *testing.T) {
	c, client := startCounting(t, 3, 3, smallLogs)
	old := c.leader()
	term := c.nodes[old].Status().Term
	c.stop(old)
	appendUncommitted(t, filepath.Join(c.cfgs[old].DataDir, raftFile), term, 200)

	c.add(client, "counter", 33)
	c.addUntil(client, "counter", func() bool { return c.cutBehind(20) }) // what the old leader needs is gone
	c.start(old)
	c.eventually("the log cut", func() bool { return c.nodes[old].Status().Restarts == 1 && c.nodes[old].Status().State == StateRunning })
	c.add(client, "counter", 1)
	c.agree()
	if n := c.nodes[old].Status().Restarts; n != 1 {
		t.Errorf("the replica restarted %d times, want once", n)
	}
	c.eventually("a checkpoint installed", func() bool { return c.nodes[old].current().installedAt.Load() > 0 })
}

// appendUncommitted writes entries of a term to the end of a log, as a leader of that term does that reaches nobody.
func appendUncommitted(t *testing.T, path string, term uint64, n int) {
	t.Helper()
	disk, err := raftboltdb.NewBoltStore(path)
	if err != nil {
		t.Fatal(err)
	}
	last, err := disk.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	round, err := (&fsm.Round{Time: 1}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	var entries []*raft.Log
	for i := range n {
		entries = append(entries, &raft.Log{Index: last + 1 + uint64(i), Term: term, Type: raft.LogCommand, Data: round})
	}
	if err := errors.Join(CheckedLog(disk).StoreLogs(entries), disk.Close()); err != nil {
		t.Fatal(err)
	}
}

// A checkpoint that is delivered late must not take the replica back. The test sends one itself, as the leader.
func TestLateCheckpointChangesNothing(t *testing.T) {
	c, client := startCounting(t, 3, 6, func(cfg *Config) { cfg.CheckpointEvery = 5 })
	leader := c.leader()
	victim := c.follower()
	var metas []*raft.SnapshotMeta
	c.eventually("a checkpoint", func() bool {
		metas, _ = c.nodes[leader].current().checkpoints.List()
		return len(metas) > 0
	})
	meta, reader, err := c.nodes[leader].current().checkpoints.Open(metas[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	c.add(client, "counter", 10)
	c.agree()
	before := c.nodes[victim].Status()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	network := newTCPNetwork(&c.cfgs[leader], listener)
	defer network.Close()
	sender := newTransport(network, &installGuard{}, nil, &stateSync{logger: slog.New(slog.DiscardHandler), timeout: 30 * time.Second,
		transfers: &transfers{}})
	defer sender.Close()
	id := raft.ServerID(c.cfgs[victim].ID)
	request := &raft.InstallSnapshotRequest{SnapshotVersion: meta.Version, Term: before.Term, LastLogIndex: meta.Index, LastLogTerm: meta.Term, Size: meta.Size}
	var response raft.InstallSnapshotResponse
	if err := sender.InstallSnapshot(id, raft.ServerAddress(id), request, &response, reader); err != nil || !response.Success {
		t.Fatalf("late checkpoint: %+v, %v", response, err)
	}
	if after := c.nodes[victim].Status(); after.Round < before.Round || after.Index < before.Index || after.State != StateRunning {
		t.Errorf("the late checkpoint took the replica from round %d to %d (%s)", before.Round, after.Round, after.State)
	}
	c.add(client, "counter", 1)
	c.agree()
}

func TestLastLook(t *testing.T) {
	store := raft.NewInmemStore()
	for i := uint64(1); i <= 20; i++ {
		if err := store.StoreLog(&raft.Log{Index: i, Term: 3}); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		index, term, applied uint64
		want                 error
		conflicts            int
	}{
		"beyond the log":    {index: 30, term: 5, applied: 10},
		"in the log, same":  {index: 15, term: 3, applied: 10},
		"in the log, other": {index: 15, term: 5, applied: 10, want: errConflict, conflicts: 1},
		"applied meanwhile": {index: 10, term: 3, applied: 12, want: errStaleInstall},
	} {
		var conflicts []*conflict
		g := &installGuard{log: store, onConflict: func(c *conflict) { conflicts = append(conflicts, c) }}
		g.attach(beaten{term: 5, applied: tc.applied})
		r := g.watch(bytes.NewReader([]byte("stream")), &raft.InstallSnapshotRequest{LastLogIndex: tc.index, LastLogTerm: tc.term})
		text, err := io.ReadAll(r)
		if !errors.Is(err, tc.want) || len(conflicts) != tc.conflicts {
			t.Errorf("%s: %v with %d conflicts, want %v with %d", name, err, len(conflicts), tc.want, tc.conflicts)
		}
		rest, err := io.ReadAll(r)
		if err != nil || string(text)+string(rest) != "stream" {
			t.Errorf("%s: drained %q, %v", name, string(text)+string(rest), err)
		}
	}
}

func TestMendLog(t *testing.T) {
	for name, tc := range map[string]struct {
		first, last, hole uint64 // entries first to last of term 2, without those from hole to 9
		checkpoint        raft.SnapshotMeta
		wantFirst, wantTo uint64
		wantErr           bool
	}{
		"empty log":                 {checkpoint: raft.SnapshotMeta{Index: 10, Term: 2}},
		"ordinary":                  {first: 5, last: 20, checkpoint: raft.SnapshotMeta{Index: 10, Term: 2}, wantFirst: 5, wantTo: 20},
		"compacted to the last":     {first: 11, last: 20, checkpoint: raft.SnapshotMeta{Index: 10, Term: 2}, wantFirst: 11, wantTo: 20},
		"all below":                 {first: 1, last: 8, checkpoint: raft.SnapshotMeta{Index: 10, Term: 2}},
		"conflict":                  {first: 5, last: 20, checkpoint: raft.SnapshotMeta{Index: 10, Term: 3}},
		"old entries under a hole":  {first: 1, last: 20, hole: 5, checkpoint: raft.SnapshotMeta{Index: 9, Term: 2}, wantFirst: 10, wantTo: 20},
		"entries between are lost":  {first: 13, last: 20, checkpoint: raft.SnapshotMeta{Index: 10, Term: 2}, wantFirst: 13, wantTo: 20, wantErr: true},
		"checkpoint at the last":    {first: 5, last: 10, checkpoint: raft.SnapshotMeta{Index: 10, Term: 2}, wantFirst: 5, wantTo: 10},
		"conflict at the last":      {first: 5, last: 10, checkpoint: raft.SnapshotMeta{Index: 10, Term: 4}},
		"everything compacted away": {first: 10, last: 10, checkpoint: raft.SnapshotMeta{Index: 10, Term: 2}, wantFirst: 10, wantTo: 10},
	} {
		store := openBolt(t)
		for i := tc.first; i > 0 && i <= tc.last; i++ {
			if tc.hole != 0 && i >= tc.hole && i <= 9 {
				continue
			}
			if err := store.StoreLog(&raft.Log{Index: i, Term: 2}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := mendLog(store, tc.checkpoint)
		if (err != nil) != tc.wantErr {
			t.Errorf("%s: %v", name, err)
		}
		first, _ := store.FirstIndex()
		last, _ := store.LastIndex()
		if first != tc.wantFirst || last != tc.wantTo {
			t.Errorf("%s: the log is %d to %d, want %d to %d", name, first, last, tc.wantFirst, tc.wantTo)
		}
	}
}

func openBolt(t *testing.T) *raftboltdb.BoltStore {
	t.Helper()
	store, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(t.TempDir(), raftFile), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func TestGuardedLogKeepsWhatCheckpointsNeed(t *testing.T) {
	for name, tc := range map[string]struct {
		keep, newest, low, high uint64
		wantFirst, wantLast     uint64
	}{
		"one checkpoint":               {keep: 0, newest: 8, low: 1, high: 8, wantFirst: 1, wantLast: 20},
		"two checkpoints":              {keep: 5, newest: 8, low: 1, high: 8, wantFirst: 5, wantLast: 20},
		"less than allowed":            {keep: 15, newest: 18, low: 1, high: 3, wantFirst: 4, wantLast: 20},
		"installed from a leader":      {keep: 18, newest: 18, low: 1, high: 18, wantFirst: 18, wantLast: 20},
		"truncation of a suffix":       {keep: 5, newest: 8, low: 12, high: 20, wantFirst: 1, wantLast: 11},
		"truncation, no checkpoint":    {keep: 0, newest: 0, low: 2, high: 20, wantFirst: 1, wantLast: 1},
		"truncation just above newest": {keep: 5, newest: 8, low: 9, high: 20, wantFirst: 1, wantLast: 8},
	} {
		store := openBolt(t)
		for i := uint64(1); i <= 20; i++ {
			if err := store.StoreLog(&raft.Log{Index: i, Term: 2}); err != nil {
				t.Fatal(err)
			}
		}
		g := &guardedLog{under: store, stop: noStop{t}, keepFrom: func() (uint64, uint64, error) { return tc.keep, tc.newest, nil }}
		if err := g.DeleteRange(tc.low, tc.high); err != nil {
			t.Fatal(err)
		}
		first, _ := g.FirstIndex()
		last, _ := g.LastIndex()
		if first != tc.wantFirst || last != tc.wantLast {
			t.Errorf("%s: the log is %d to %d, want %d to %d", name, first, last, tc.wantFirst, tc.wantLast)
		}
	}
}

type noStop struct{ t *testing.T }

func (n noStop) stop(err error) { n.t.Errorf("stopped: %v", err) }

// A replica whose folder was lost must not help to elect a leader that lacks what it had acknowledged.
func TestNewFolderWithholdsItsVote(t *testing.T) {
	loseFolder(t, "withheld a vote", func(c *cluster, lost int) { c.wipe(lost) })
}

// A replica that has got back a part of what it had acknowledged must not be elected by one that has still less.
func TestJoiningReplicaDoesNotStand(t *testing.T) {
	loseFolder(t, "did not stand for election", func(c *cluster, lost int) {
		// As if it had been wiped, and stopped while the leader was sending it what there is.
		if err := os.WriteFile(filepath.Join(c.cfgs[lost].DataDir, joiningFile), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

// loseFolder harms one of the two replicas that hold what was acknowledged, and starts it beside the third while the other is down: it says why
// neither leads. When that one is back nothing is lost, and the harmed one takes part in elections again.
func loseFolder(t *testing.T, says string, harm func(c *cluster, lost int)) {
	t.Helper()
	c, client := startCounting(t, 3, 1, nil)
	c.agree()
	leader := c.leader()
	lost, behind := (leader+1)%3, (leader+2)%3
	c.eventually("all have joined", func() bool { return !strings.Contains(joiningOf(c), "true") })
	c.stop(behind)
	c.add(client, "counter", 5) // acknowledged by the leader and the one that will be lost
	c.stop(leader)
	c.stop(lost)
	harm(c, lost)
	c.start(lost)
	c.start(behind)
	c.eventually("no vote", func() bool { return strings.Contains(c.log.String(), says) })
	for _, i := range []int{lost, behind} {
		if s := c.nodes[i].Status(); s.Role == "leader" {
			t.Fatalf("%s was elected, and lacks what was acknowledged or may", s.Node)
		}
	}
	c.start(leader)
	r, err := client.Query(c.ctx, "counter", "get", nil)
	if err != nil || count(r) != 6 {
		t.Errorf("count %d, want 6; %v", count(r), err)
	}
	c.agree()
	c.eventually("the folder has joined", func() bool { return !strings.Contains(joiningOf(c), "true") })
	c.stop(leader)
	c.add(client, "counter", 1) // now it votes or leads again
}

// A cluster of one has nobody to join: it leads at once, also where its first start was cut off before it could say so.
func TestSingleReplicaDoesNotJoin(t *testing.T) {
	c, client := startCounting(t, 1, 3, nil)
	c.stop(0)
	marker := filepath.Join(c.cfgs[0].DataDir, joiningFile)
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.start(0)
	c.add(client, "counter", 1)
	if _, err := os.Stat(marker); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// What a joining replica adds to its log is what a leader sent, or what it adds as the leader of a cluster that begins.
func TestJoiningLog(t *testing.T) {
	for name, tc := range map[string]struct {
		marker      string
		state       raft.RaftState
		index, term uint64
		next        uint64 // term of another entry
		refused     bool
	}{
		"a cluster that begins":           {state: raft.Leader, index: 2, term: 2, next: 2},
		"sent by a leader":                {state: raft.Follower, index: 60, term: 4, next: 7},
		"its own":                         {state: raft.Leader, index: 60, term: 8, refused: true},
		"whosever, while it stops":        {state: raft.Shutdown, index: 60, term: 8, refused: true},
		"its own, with its log set aside": {marker: joiningStrictly, state: raft.Leader, index: 2, term: 2, refused: true},
	} {
		dir := &dataDir{path: t.TempDir()}
		if err := os.WriteFile(dir.file(joiningFile), []byte(tc.marker), 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := newJoiner(dir, raft.NewInmemStore(), raft.NewInmemSnapshotStore(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		guard := &installGuard{}
		guard.attach(beaten{state: tc.state})
		log := &joiningLog{raft.NewInmemStore(), j, guard}
		if err := log.StoreLog(&raft.Log{Index: tc.index, Term: tc.term}); (err != nil) != tc.refused {
			t.Errorf("%s: %v", name, err)
		}
		if tc.next != 0 {
			if err := log.StoreLog(&raft.Log{Index: tc.index + 1, Term: tc.next}); err != nil {
				t.Errorf("%s, the next: %v", name, err)
			}
		}
		j.joined()
		if err := log.StoreLog(&raft.Log{Index: 99, Term: 99}); err != nil {
			t.Errorf("%s, when it has joined: %v", name, err)
		}
	}
}

// joiningOf tells which nodes are joining.
func joiningOf(c *cluster) string {
	var out []string
	for _, cfg := range c.cfgs {
		_, err := os.Stat(filepath.Join(cfg.DataDir, joiningFile))
		out = append(out, fmt.Sprint(cfg.ID, " ", err == nil))
	}
	return strings.Join(out, ", ")
}

// An old commit index proves nothing: only an entry of the leader's own term does.
func TestJoinerWantsTheLeadersTerm(t *testing.T) {
	log := raft.NewInmemStore()
	for i := uint64(1); i <= 4; i++ {
		if err := log.StoreLog(&raft.Log{Index: i, Term: 1 + i/4}); err != nil {
			t.Fatal(err)
		}
	}
	dir := &dataDir{path: t.TempDir()}
	if err := os.WriteFile(dir.file(joiningFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := newJoiner(dir, log, raft.NewInmemSnapshotStore(), slog.New(slog.DiscardHandler))
	if err != nil || !j.on.Load() {
		t.Fatal("not joining", err)
	}
	for _, index := range []uint64{0, 3, 9} {
		if j.committed(index, 2); !j.on.Load() {
			t.Errorf("joined with commit index %d", index)
		}
	}
	j.committed(4, 2)
	if again, err := newJoiner(dir, log, j.checkpoints, j.logger); j.on.Load() || err != nil || again.on.Load() {
		t.Errorf("still joining: %v", err)
	}
}

// In a cluster that begins, whoever elected the first leader, or is it, has joined before anything is committed: else nobody could be
// elected if it ended there. A replica whose folder was lost is not taken in by a leader that it did not vote for.
func TestFounderHasJoined(t *testing.T) {
	for name, tc := range map[string]struct {
		last         uint64
		asks, voted  bool // it asks for votes in term 2, it votes for another candidate of term 2
		term         uint64
		leads, joins bool // it leads in term, or hears of another leader of term
	}{
		"voted for the first leader":    {last: 1, voted: true, term: 2, joins: true},
		"is the first leader":           {last: 1, asks: true, term: 2, leads: true, joins: true},
		"voted for another":             {last: 1, voted: true, term: 3},
		"asked, and another was chosen": {last: 1, asks: true, term: 2},
		"voted, and leads":              {last: 1, voted: true, term: 2, leads: true},
		"neither":                       {last: 1, term: 2},
		"the candidate had more":        {last: 2, voted: true, term: 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := &dataDir{path: t.TempDir()}
			if err := os.WriteFile(dir.file(joiningFile), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			j, err := newJoiner(dir, raft.NewInmemStore(), raft.NewInmemSnapshotStore(), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			if tc.asks {
				j.note(&j.stood, tc.last, 2)
			}
			if tc.voted {
				j.note(&j.voted, tc.last, 2)
			}
			if in := (map[bool]*atomic.Uint64{true: &j.stood, false: &j.voted})[tc.leads]; in != nil {
				j.elected(in, tc.term)
			}
			if on, err := dir.Joining(); err != nil || on == tc.joins || j.on.Load() == tc.joins {
				t.Errorf("joining is %v, want it to be over: %v, %v", on, tc.joins, err)
			}
		})
	}
}

// The first entry of a cluster finds those who elected its leader joined.
func TestFollowersOfTheFirstLeaderHaveJoined(t *testing.T) {
	var c *cluster
	var early atomic.Int32
	c = startCluster(t, 3, func(cfg *Config) {
		dir := &dataDir{path: cfg.DataDir}
		cfg.Wrap.Logs = func(under raft.LogStore) raft.LogStore {
			return &watchedStore{LogStore: under, storing: func(logs []*raft.Log) {
				on, err := dir.Joining()
				if len(logs) > 0 && logs[0].Index == newestOfNew+1 && (on || err != nil) {
					early.Add(1)
				}
			}}
		}
	})
	c.leader()
	c.eventually("all have joined", func() bool { return !strings.Contains(joiningOf(c), "true") })
	// The leader itself may be a moment late, and one follower may not have been asked.
	if n := early.Load(); n > 2 {
		t.Errorf("%d of 3 replicas were joining when the first entry came", n)
	}
}

// watchedStore tells of entries before they are stored.
type watchedStore struct {
	raft.LogStore
	storing func([]*raft.Log)
}

func (s *watchedStore) StoreLog(log *raft.Log) error { return s.StoreLogs([]*raft.Log{log}) }

func (s *watchedStore) StoreLogs(logs []*raft.Log) error {
	s.storing(logs)
	return s.LogStore.StoreLogs(logs)
}

// A checkpoint that ends with the newest committed entry holds all that is committed: in a cluster at rest nothing follows it into
// the log, and the replica must vote all the same.
func TestReplicaJoinsByACheckpoint(t *testing.T) {
	checkpoints := raft.NewInmemSnapshotStore()
	sink, err := checkpoints.Create(raft.SnapshotVersionMax, 7, 2, raft.Configuration{}, 1, nil)
	if err != nil || sink.Close() != nil {
		t.Fatal(err)
	}
	dir := &dataDir{path: t.TempDir()}
	if err := os.WriteFile(dir.file(joiningFile), []byte(joiningStrictly), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := newJoiner(dir, raft.NewInmemStore(), checkpoints, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []struct{ index, term uint64 }{{7, 3}, {8, 2}, {6, 2}} {
		if j.committed(at.index, at.term); !j.on.Load() {
			t.Errorf("joined with commit index %d of term %d", at.index, at.term)
		}
	}
	if j.committed(7, 2); j.on.Load() {
		t.Error("still joining")
	}
}
