package node

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// damagePages changes a byte in every page file of a node's checkpoints.
func damagePages(t *testing.T, dir string) {
	t.Helper()
	damageFiles(t, dir, "*.pages", func(size int) int { return size / 2 })
}

// damageFiles changes the byte at an offset in every file of a node's checkpoints whose name matches. The node may run: each file is
// replaced in one step, and one that the node has put away meanwhile stays as it is.
func damageFiles(t *testing.T, dir, pattern string, offset func(size int) int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, checkpointsDir, "checkpoint-*", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("files %s: %v, %v", pattern, files, err)
	}
	damaged := filepath.Join(t.TempDir(), "damaged")
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err == nil {
			content[offset(len(content))] ^= 1
			// They are shared by hard link: only this name leads to the damage.
			err = errors.Join(os.WriteFile(damaged, content, 0o644), os.Rename(damaged, file))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// A replica none of whose checkpoints is sound, and whose log begins behind them, is sent the state by the others.
func TestUnusableLogIsSetAside(t *testing.T) {
	c, client := startCounting(t, 3, 40, smallLogs)
	c.agree()
	victim := c.follower()
	more := c.rely(client, "counter", victim)
	dir := c.cfgs[victim].DataDir
	c.stop(victim)
	damagePages(t, dir)
	c.add(client, "counter", 5)
	c.comeBack(victim, client)
	s := c.nodes[victim].Status()
	if s.State != StateRunning || !strings.Contains(s.SetAside, "no readable checkpoint") || !strings.Contains(s.SetAside, dir) {
		t.Errorf("status: %s, set aside %q", s.State, s.SetAside)
	}
	for _, name := range []string{raftFile, checkpointsDir} {
		if kept, err := filepath.Glob(filepath.Join(dir, setAsideDir, "*", name)); err != nil || len(kept) != 1 {
			t.Errorf("%s is not kept: %v, %v", name, kept, err)
		}
	}
	if !strings.Contains(c.log.String(), "cannot be used and were set aside") {
		t.Error("the log does not say that it was set aside")
	}
	c.eventually("the replica has joined", func() bool { return !c.nodes[victim].Status().Joining })
	if r, err := client.Query(c.ctx, "counter", "get", nil); err != nil || count(r) != uint64(46+more) {
		t.Errorf("count %d, want %d; %v", count(r), 46+more, err)
	}
}

// checkpointFaults are places in a checkpoint's files, by when a start finds damage there: by opening, by restoring, or behind
// that.
var checkpointFaults = []struct {
	name, pattern string
	offset        func(size int) int
}{
	{"manifest", "manifest", func(size int) int { return size / 2 }},
	{"table", "table", func(size int) int { return size / 2 }},
	{"page", "*.pages", func(int) int { return 4095 }},
	{"page hash", "*.pages", func(size int) int { return size - 41 }},
	{"footer", "*.pages", func(size int) int { return size - 1 }},
	{"tree record", "*.tree", func(size int) int { return size - 1 }},
	{"tree header", "*.tree", func(int) int { return 0 }},
}

// Whatever is damaged in all checkpoints, and whenever it is found, the others send the replica the state.
func TestReplicaOutlivesTheDamageOfAllCheckpoints(t *testing.T) {
	for _, f := range checkpointFaults {
		t.Run(f.name, func(t *testing.T) {
			c, client := startCounting(t, 3, 20, smallLogs)
			c.agree()
			victim := c.follower()
			c.rely(client, "counter", victim)
			c.stop(victim)
			damageFiles(t, c.cfgs[victim].DataDir, f.pattern, f.offset)
			c.start(victim)
			c.eventually("all are found damaged", func() bool {
				s := c.nodes[victim].Status()
				return s.State == StateRunning && s.SetAside != ""
			})
			c.add(client, "counter", 1)
			c.agree()
			if !strings.Contains(c.log.String(), "checkpoint is damaged and was set aside") {
				t.Error("the log does not tell the damage")
			}
		})
	}
}

// A single replica whose log does not reach back to the beginning refuses to start, or ends when the damage is found behind the start, and
// says what to do.
func TestSingleReplicaWithoutASoundCheckpoint(t *testing.T) {
	for _, f := range checkpointFaults {
		t.Run(f.name, func(t *testing.T) {
			c, client := startCounting(t, 1, 20, smallLogs)
			c.rely(client, "counter", 0)
			c.stop(0)
			damageFiles(t, c.cfgs[0].DataDir, f.pattern, f.offset)
			n, err := Start(c.cfgs[0])
			if err == nil {
				c.nodes[0] = n
				c.ended(0)
				if s := n.Status(); s.State != StateFailed {
					t.Errorf("status: %s: %s", s.State, s.Reason)
				}
				err = n.Err()
			}
			for _, want := range []string{"no readable checkpoint", "no other replica can send it", "put a sound copy of the data folder in its place"} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
			if _, err := os.Stat(filepath.Join(c.cfgs[0].DataDir, raftFile)); err != nil {
				t.Error(err)
			}
		})
	}
}

// A log that is whole needs no checkpoint: the replica goes on, and takes a sound one.
func TestWholeLogOfASingleReplicaIsEnough(t *testing.T) {
	for _, f := range checkpointFaults {
		t.Run(f.name, func(t *testing.T) {
			c := startCluster(t, 1, func(cfg *Config) { cfg.CheckpointEvery = 20 }) // one: a second would cut the log
			client := c.client()
			c.install(client, "counter")
			c.add(client, "counter", 20)
			c.rest(0)
			if first := c.logBegins(0); first != 1 {
				t.Fatalf("the log begins at %d", first)
			}
			c.stop(0)
			damageFiles(t, c.cfgs[0].DataDir, f.pattern, f.offset)
			c.start(0)
			c.eventually("a sound checkpoint", func() bool {
				s := c.nodes[0].Status()
				return s.State == StateRunning && s.CheckpointsTaken > 0 || s.State == StateFailed
			})
			if r, err := client.Query(c.ctx, "counter", "get", nil); err != nil || count(r) != 20 {
				t.Errorf("count %d, want 20; %v", count(r), err)
			}
		})
	}
}

// A replica without others has nobody who could send it what is lost: it must not begin anew.
func TestUnusableLogOfASingleReplicaIsRefused(t *testing.T) {
	c, client := startCounting(t, 1, 40, smallLogs)
	c.rely(client, "counter", 0)
	c.stop(0)
	damagePages(t, c.cfgs[0].DataDir)
	if n, err := Start(c.cfgs[0]); err == nil || !strings.Contains(err.Error(), "no readable checkpoint") {
		t.Errorf("got %v, %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(c.cfgs[0].DataDir, raftFile)); err != nil {
		t.Error(err)
	}
}

// zeroLog makes the tree of a log file zeros.
func zeroLog(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, raftFile)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(content[2*os.Getpagesize():]) // behind the two meta pages
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A replica whose log file is damaged is sent the state by the others. bbolt would panic, on a goroutine of its own.
func TestDamagedLogIsSetAside(t *testing.T) {
	c, client := startCounting(t, 3, 20, smallLogs)
	c.agree()
	victim := c.follower()
	dir := c.cfgs[victim].DataDir
	c.stop(victim)
	zeroLog(t, dir)
	c.add(client, "counter", 5)
	c.comeBack(victim, client)
	if s := c.nodes[victim].Status(); s.State != StateRunning || !strings.Contains(s.SetAside, "raft.db is damaged: page") {
		t.Errorf("status: %s, set aside %q", s.State, s.SetAside)
	}
	c.eventually("the replica has joined", func() bool { return !c.nodes[victim].Status().Joining })
}

// damageEntries changes the entries of a type in a stopped node's log, from an index on.
func damageEntries(t *testing.T, dir string, kind raft.LogType, from uint64, change func(entry *raft.Log)) {
	t.Helper()
	disk, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, raftFile)})
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	last, err := disk.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	for index := from; index <= last; index++ {
		var entry raft.Log
		if err := disk.GetLog(index, &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Type != kind {
			continue
		}
		change(&entry)
		if err := disk.StoreLog(&entry); err != nil {
			t.Fatal(err)
		}
		changed++
	}
	if changed == 0 {
		t.Fatalf("no %v from entry %d to %d", kind, from, last)
	}
}

// A replica with damaged rounds in the part of its log that a start reads is sent the state by the others, wherever the first
// of them lies; one that has no others says which entry it is.
func TestDamagedEntriesAreSetAside(t *testing.T) {
	flip := func(entry *raft.Log) { entry.Data[len(entry.Data)-1] ^= 1 }
	for _, nodes := range []int{3, 1} {
		for name, last := range map[string]bool{"the last entry": true, "all behind the checkpoint": false} {
			t.Run(fmt.Sprintf("%s of %d", name, nodes), func(t *testing.T) {
				c, client := startCounting(t, nodes, 20, func(cfg *Config) { cfg.CheckpointEvery = 1 << 20 })
				c.agree()
				victim := 0
				if nodes > 1 {
					victim = c.follower()
				}
				dir, from := c.cfgs[victim].DataDir, uint64(2)
				if last {
					from = c.nodes[victim].Status().Raft.Last
				}
				c.stop(victim)
				damageEntries(t, dir, raft.LogCommand, from, flip)
				if nodes == 1 {
					n, err := Start(c.cfgs[victim])
					for _, want := range []string{"log entry ", "is damaged", "checksum", "put a sound copy of the data folder in its place"} {
						if err == nil || !strings.Contains(err.Error(), want) {
							t.Errorf("got %v, %v, want %q", n, err, want)
						}
					}
					return
				}
				c.comeBack(victim, client)
				if s := c.nodes[victim].Status(); s.State != StateRunning || !strings.Contains(s.SetAside, "is damaged: its checksum is not that of") {
					t.Errorf("status: %s, set aside %q", s.State, s.SetAside)
				}
			})
		}
	}
}

// Damage of any part of an entry is found when the replica starts, before raft believes it: a configuration that cannot be decoded is
// a panic of raft's, and one that can another membership.
func TestDamagedPartsAreSetAside(t *testing.T) {
	c, client := startCounting(t, 3, 5, func(cfg *Config) { cfg.CheckpointEvery = 1 << 20 })
	for _, kind := range []raft.LogType{raft.LogConfiguration, raft.LogCommand} {
		for _, d := range entryDamages {
			if d.part == "index" { // the file would have it at another place, with a gap
				continue
			}
			c.agree()
			victim := c.follower()
			c.stop(victim)
			damageEntries(t, c.cfgs[victim].DataDir, kind, 1, d.flip)
			c.comeBack(victim, client)
			if s := c.nodes[victim].Status(); s.State != StateRunning || !strings.Contains(s.SetAside, "is damaged: "+d.want) {
				t.Errorf("%s of a %v: %s, set aside %q", d.part, kind, s.State, s.SetAside)
			}
		}
	}
}

// An entry that cannot be decoded is damage like a wrong checksum.
func TestEntriesThatAreNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), raftFile)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error {
		logs, err := tx.CreateBucket([]byte("logs"))
		if err != nil {
			return err
		}
		return logs.Put([]byte{0, 0, 0, 0, 0, 0, 0, 1}, []byte("\xc1 no message pack"))
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	disk, err := raftboltdb.New(raftboltdb.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if err := (diskLog{disk}).GetLog(1, new(raft.Log)); !unusable(err) {
		t.Errorf("an entry that cannot be decoded: %v", err)
	}
	if err := (diskLog{disk}).GetLog(2, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("an entry that is not there: %v", err)
	}
}

// A replica that reads a damaged entry while it runs may begin anew where others can send it the state, and once: if it comes to
// another one, its disk does not keep what is written.
func TestDamagedEntryIsReplacedOnce(t *testing.T) {
	c := startCluster(t, 3, nil)
	reason := &StorageError{Op: "read log entry 3", Err: &EntryError{3, errors.New("flipped")}}
	n := c.nodes[0]
	if !n.replaceable(reason) || n.replaceable(&StorageError{Op: "read log entry 3", Err: errors.New("input/output error")}) {
		t.Error("of damage and a failing disk, the first alone can be replaced")
	}
	n.setAside = "once before"
	if n.replaceable(reason) {
		t.Error("a second time")
	}
	alone := startCluster(t, 1, nil)
	if alone.nodes[0].replaceable(reason) {
		t.Error("nobody can send it")
	}
}

// A single replica's damaged log is refused with the place of the damage, and stays where it is.
func TestDamagedLogOfASingleReplicaIsRefused(t *testing.T) {
	c := startCluster(t, 1, nil)
	c.install(c.client(), "counter")
	c.stop(0)
	dir := c.cfgs[0].DataDir
	zeroLog(t, dir)
	n, err := Start(c.cfgs[0])
	if err == nil || !strings.Contains(err.Error(), "raft.db is damaged: page") || !strings.Contains(err.Error(), "put a sound copy of the data folder in its place") {
		t.Errorf("got %v, %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(dir, raftFile)); err != nil {
		t.Error(err)
	}
}

// A replica that has set its log aside votes for nobody, not even for one that knows as little, nor for itself.
func TestStrictJoinerVotesForNobody(t *testing.T) {
	for text, want := range map[string]bool{"": false, joiningStrictly: true} {
		dir := &dataDir{path: t.TempDir()}
		if err := os.WriteFile(dir.file(joiningFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := newJoiner(dir, raft.NewInmemStore(), raft.NewInmemSnapshotStore(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		rpc := raft.RPC{Command: &raft.RequestVoteRequest{LastLogIndex: newestOfNew}, RespChan: make(chan raft.RPCResponse, 1)}
		if got := j.withhold(rpc, 1); got != want {
			t.Errorf("marker %q: withheld %v, want %v", text, got, want)
		}
		if got := j.stands(newestOfNew); got == want {
			t.Errorf("marker %q: stands for election: %v", text, got)
		}
		if j.stands(newestOfNew + 1) {
			t.Errorf("marker %q: stands for election with a part of what was committed", text)
		}
		answer := make(chan raft.RPCResponse, 1)
		if !j.withhold(raft.RPC{Command: &raft.TimeoutNowRequest{}, RespChan: answer}, 1) || (<-answer).Error == nil {
			t.Errorf("marker %q: leadership was handed on to it", text)
		}
	}
}

// What is written into deleted files is acknowledged and lost: the replica must end.
func TestDeletedFolderEndsTheReplica(t *testing.T) {
	for name, remove := range map[string]func(dir string) error{
		"the folder":  os.RemoveAll,
		"the log":     func(dir string) error { return os.Remove(filepath.Join(dir, raftFile)) },
		"another log": func(dir string) error { return writeFileSynced(filepath.Join(dir, raftFile), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			c, client := startCounting(t, 3, 0, nil)
			c.agree()
			victim := c.follower()
			if err := remove(c.cfgs[victim].DataDir); err != nil {
				t.Fatal(err)
			}
			c.ended(victim)
			if s := c.nodes[victim].Status(); s.State != StateFailed || !strings.Contains(s.Reason, "deleted or replaced while the node ran") {
				t.Errorf("status: %s: %s", s.State, s.Reason)
			}
			c.add(client, "counter", 3)
			c.stop(victim)
			c.wipe(victim)
			c.comeBack(victim, client)
		})
	}
}

// A checkpoint that finds its folder gone does not wait for the next look.
func TestCheckpointLooksAtTheGround(t *testing.T) {
	c, client := startCounting(t, 1, 0, func(cfg *Config) { cfg.CheckpointEvery = 3 })
	r := c.nodes[0].current()
	r.grounds.close() // nobody looks but the checkpointer
	r.grounds.quit = make(chan struct{})
	if err := os.RemoveAll(filepath.Join(c.cfgs[0].DataDir, checkpointsDir)); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		add := call{path: canisterPath("counter", "update", "add"), body: []byte{1}}
		if err := client.try(c.ctx, c.cfgs[0].Peers[0].HTTP, add, &Response{}); err != nil {
			break // it has ended
		}
	}
	c.ended(0)
	if s := c.nodes[0].Status(); s.State != StateFailed || !strings.Contains(s.Reason, checkpointsDir+": it was deleted") {
		t.Errorf("status: %s: %s", s.State, s.Reason)
	}
}

// A cluster that begins has nothing to join, whether or not anybody sends it a message.
func TestNewClusterHasNothingToJoin(t *testing.T) {
	for _, n := range []int{1, 3} {
		c := startCluster(t, n, nil)
		c.eventually("nobody is joining", func() bool {
			for _, n := range c.nodes {
				if n.Status().Joining {
					return false
				}
			}
			return true
		})
		if s := c.nodes[c.leader()].Status(); s.Round != 0 || s.PID != os.Getpid() {
			t.Errorf("got round %d, pid %d", s.Round, s.PID)
		}
	}
}

// noCheckpoints is a ground whose machine cannot be captured until healed is closed.
type noCheckpoints struct {
	Ground
	healed chan struct{}
}

func (g noCheckpoints) Open(stop func(error)) (*Parts, error) {
	p, err := g.Ground.Open(stop)
	if err == nil {
		p.Machine = uncaptured{p.Machine, g.healed}
	}
	return p, err
}

type uncaptured struct {
	Machine
	healed chan struct{}
}

func (m uncaptured) Snapshot() (raft.FSMSnapshot, error) {
	select {
	case <-m.healed:
		return m.Machine.Snapshot()
	default:
		return nil, errBroken
	}
}

// Checkpoints that fail are told, until one succeeds; that they failed stays known.
func TestFailedCheckpointsAreTold(t *testing.T) {
	c := newCluster(t, 1, smallLogs)
	c.shareCompiled(0)
	n, healed := newNode(c.cfgs[0].WithDefaults()), make(chan struct{})
	n, err := n.start(n.openDir, n.listen, func() error {
		n.ground = noCheckpoints{n.ground, healed}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.nodes[0] = n
	client := c.client()
	c.install(client, "counter")
	c.add(client, "counter", 6)
	c.eventually("a failure", func() bool { return n.Status().Checkpoints.Failed > 0 })
	if s := n.Status(); s.State != StateRunning || !strings.Contains(s.Checkpoints.Failure, errBroken.Error()) || s.CheckpointsTaken != 0 {
		t.Errorf("status: %+v", s)
	}
	close(healed)
	c.add(client, "counter", 12)
	c.eventually("a checkpoint", func() bool { return n.Status().CheckpointsTaken > 0 })
	if s := n.Status(); s.Checkpoints.Failure != "" || s.Checkpoints.Failed == 0 {
		t.Errorf("checkpoints: %+v", s.Checkpoints)
	}
}

// A replica was sent a checkpoint and keeps an older one of its own. The newer is damaged: from the older one it would forget what it
// had acknowledged, whether entries follow the checkpoint in its log or none.
func TestNothingIsForgottenWithAnInstalledCheckpoint(t *testing.T) {
	for _, follows := range []bool{true, false} {
		for _, place := range []string{"manifest", "table", "*.pages"} {
			t.Run(fmt.Sprintf("%s, entries follow %v", place, follows), func(t *testing.T) {
				c, client := startCounting(t, 3, 12, smallLogs)
				c.agree()
				victim := c.follower()
				c.addUntil(client, "counter", func() bool { return c.nodes[victim].Status().Checkpoints.Count > 0 })
				dir, last := c.cfgs[victim].DataDir, c.nodes[victim].Status().Raft.Last
				c.stop(victim)
				c.add(client, "counter", 30)
				c.addUntil(client, "counter", func() bool { return c.cutBehind(last) })
				c.cfgs[victim].CheckpointEvery = 1 << 20 // it takes none of its own
				c.start(victim)
				c.eventually("a checkpoint installed", func() bool { return c.nodes[victim].Status().Installed > 0 })
				c.add(client, "counter", 1)
				c.agree()
				installed := c.nodes[victim].current().installedAt.Load()
				c.stop(victim)
				if !follows {
					emptyLog(t, dir)
				}
				kept, err := filepath.Glob(filepath.Join(dir, checkpointsDir, "checkpoint-*"))
				if err != nil || len(kept) < 2 {
					t.Fatalf("checkpoints %q, %v: an older one must be there", kept, err)
				}
				files, err := filepath.Glob(filepath.Join(dir, checkpointsDir, fmt.Sprintf("checkpoint-%d-*", installed), place))
				if err != nil || len(files) == 0 {
					t.Fatal(files, err)
				}
				for _, name := range files {
					flipByte(t, name)
				}
				c.comeBack(victim, client)
				c.eventually("the replica has joined", func() bool { return !c.nodes[victim].Status().Joining })
				if s := c.nodes[victim].Status(); s.State != StateRunning || s.SetAside == "" {
					t.Errorf("status: %s, set aside %q", s.State, s.SetAside)
				}
			})
		}
	}
}

// emptyLog deletes all entries of a stopped node's log, as when nothing has come since a checkpoint was installed.
func emptyLog(t *testing.T, dir string) {
	t.Helper()
	disk, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, raftFile)})
	if err != nil {
		t.Fatal(err)
	}
	first, err := disk.FirstIndex()
	last, lastErr := disk.LastIndex()
	if err := errors.Join(err, lastErr, disk.DeleteRange(first, last), disk.Close()); err != nil {
		t.Fatal(err)
	}
}

// flipByte changes a byte in the middle of a file's first page.
func flipByte(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[min(len(b), 4096)/2] ^= 1
	if err := errors.Join(os.Chmod(name, 0o644), os.WriteFile(name, b, 0o644)); err != nil {
		t.Fatal(err)
	}
}
