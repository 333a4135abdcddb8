package replay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"lockstep/canister"
	"lockstep/fsm"
	"lockstep/node"
	"lockstep/pagetrie"
	"lockstep/snapshot"
	"lockstep/testdata"
)

// moduleCache holds compiled modules for all tests of a run.
var moduleCache string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "lockstep-replay-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	moduleCache = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// recording is a log as a replica leaves it, with checkpoints of some rounds.
type recording struct {
	t     *testing.T
	log   raft.LogStore
	store *snapshot.Store
	dir   string
	m     *fsm.Machine
	index uint64
	roots []pagetrie.Hash // by round
}

func options() Options { return Options{ModuleCache: moduleCache, OptLevel: canister.OptNone} }

func newRecording(t *testing.T, log raft.LogStore) *recording {
	t.Helper()
	engine, err := canister.NewEngine(canister.EngineConfig{CacheDir: moduleCache, OptLevel: canister.OptNone})
	if err != nil {
		t.Fatal(err)
	}
	m, err := fsm.New(fsm.Config{Engine: engine})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	store, err := snapshot.OpenStore(snapshot.Config{Dir: dir, Keep: 8, Hashing: fsm.Hashing(), Merge: snapshot.MergeWhenAsked})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(m.Close(), store.Close()); err != nil {
			t.Error(err)
		}
		engine.Close()
	})
	r := &recording{t: t, log: log, store: store, dir: dir, m: m, roots: []pagetrie.Hash{{}}}
	r.append(raft.LogConfiguration, nil)
	r.round(fsm.Message{Kind: fsm.KindInstall, Canister: "kv", Module: module(t, "kv")}, fsm.Message{Kind: fsm.KindOpenSession})
	return r
}

func module(t testing.TB, name string) []byte {
	t.Helper()
	code, _, err := testdata.Canister(name)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func (r *recording) append(kind raft.LogType, data []byte) {
	r.t.Helper()
	r.index++
	if err := r.log.StoreLog(&raft.Log{Index: r.index, Term: 1, Type: kind, Data: data}); err != nil {
		r.t.Fatal(err)
	}
}

// round applies a round and logs it with an attestation of the one before.
func (r *recording) round(messages ...fsm.Message) {
	r.t.Helper()
	round := &fsm.Round{Time: int64(r.index) * 1000, Attested: r.m.Latest(), Messages: messages}
	data, err := round.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	r.append(raft.LogCommand, data)
	result, err := r.m.ApplyRound(r.index, round)
	if err != nil {
		r.t.Fatal(err)
	}
	r.roots = append(r.roots, result.Root)
}

func put(key string, value any) fsm.Message {
	return fsm.Message{Kind: fsm.KindUpdate, Canister: "kv", Method: "put", Arg: fmt.Appendf(nil, "%s=%v", key, value)}
}

// puts logs rounds of five messages.
func (r *recording) puts(rounds int) {
	for i := range rounds {
		var messages []fsm.Message
		for j := range 5 {
			messages = append(messages, put(fmt.Sprintf("k%d", j), 100*i+j))
		}
		r.round(messages...)
	}
}

func (r *recording) checkpoint() {
	r.t.Helper()
	captured, err := r.m.Snapshot()
	if err != nil {
		r.t.Fatal(err)
	}
	defer captured.Release()
	sink, err := r.store.Create(1, r.index, 1, raft.Configuration{}, 1, nil)
	if err == nil {
		err = captured.Persist(sink)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *recording) config() Config {
	r.t.Helper()
	paths, err := ListCheckpoints(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	return Config{Log: r.log, Checkpoints: paths, Options: options(), Scratch: r.t.TempDir()}
}

func (r *recording) replay(c Config) Report {
	r.t.Helper()
	report, err := Replay(r.t.Context(), c)
	if err != nil {
		r.t.Fatal(err)
	}
	left, err := os.ReadDir(c.Scratch)
	if err != nil || len(left) > 0 {
		r.t.Errorf("left in the scratch folder: %v, %v", left, err)
	}
	return report
}

func TestReplayAgrees(t *testing.T) {
	r := newRecording(t, raft.NewInmemStore())
	r.puts(4)
	r.checkpoint()
	r.append(raft.LogNoop, nil)
	r.puts(3)
	r.checkpoint()
	r.puts(2)
	c := r.config()
	visited := fsm.RoundNumber(0)
	c.Visit = func(result *fsm.RoundResult) error {
		visited++
		if result.Root != r.roots[result.Round] {
			t.Errorf("round %d has root %s, want %s", result.Round, result.Root, r.roots[result.Round])
		}
		return nil
	}
	report := r.replay(c)
	if report.Finding != nil || report.From != FromEmpty || report.Round != 10 || visited != 10 || report.Attested != 9 || report.LastAttested != 9 || report.Messages != 47 {
		t.Errorf("report %+v", report)
	}
	for _, c := range report.Checkpoints {
		if !c.Compared {
			t.Errorf("checkpoint %+v was not compared", c)
		}
	}
	c.Visit = nil
	c.From, c.To, c.Options.Tracker = c.Checkpoints[0], 7, "compare"
	if report = r.replay(c); report.Finding != nil || report.FromRound != 5 || report.Round != 7 || report.LastAttested != 7 || Root(r.roots[7]) != report.Root {
		t.Errorf("from a checkpoint: %+v", report)
	}
	c.To = 4
	if _, err := Replay(t.Context(), c); !errors.Is(err, ErrStart) || !strings.Contains(err.Error(), "is of round 5, and the last round to repeat is 4") {
		t.Errorf("a start behind the last round: %v", err)
	}
}

func TestKnownRootsAreCompared(t *testing.T) {
	r := newRecording(t, raft.NewInmemStore())
	r.puts(3)
	c := r.config()
	c.Known = func(round fsm.RoundNumber) (pagetrie.Hash, bool) { return r.roots[round], round == 4 }
	if report := r.replay(c); report.Finding != nil || report.Known != 1 {
		t.Errorf("report %+v", report)
	}
	c.Known = func(round fsm.RoundNumber) (pagetrie.Hash, bool) { return pagetrie.Hash{1}, round == 4 }
	if report := r.replay(c); report.Finding == nil || report.Finding.Round != 4 || report.Finding.Since != 3 {
		t.Errorf("a wrong root of the last round was not found: %+v", report)
	}
}

// alteredMachine is a machine that makes a mistake: in one round, one message writes something else.
type alteredMachine struct {
	Machine
	round    fsm.RoundNumber
	position int
	instead  fsm.Message
}

func (m *alteredMachine) ApplyRound(index uint64, round *fsm.Round) (*fsm.RoundResult, error) {
	if m.Latest().Round+1 == m.round && len(round.Messages) > m.position {
		changed := *round
		changed.Messages = append([]fsm.Message(nil), round.Messages...)
		changed.Messages[m.position] = m.instead
		round = &changed
	}
	return m.Machine.ApplyRound(index, round)
}

// wants checks that a finding names the planted difference.
func wants(t *testing.T, f *Finding, round fsm.RoundNumber, position int, bytes string) {
	t.Helper()
	if f == nil || f.Cause == nil || f.Difference == nil {
		t.Fatalf("finding %+v has no cause or no difference", f)
	}
	if c := f.Cause; c.Round != round || c.Position != position || c.Canister != "kv" || c.Method != "put" {
		t.Errorf("cause %+v, want message %d of round %d", c, position, round)
	}
	if len(f.Difference.Canisters) != 1 || len(f.Difference.Canisters[0].Shown) != 1 {
		t.Fatalf("difference %+v, want one page of one canister", f.Difference)
	}
	d := f.Difference.Canisters[0]
	text := ""
	for _, r := range d.Shown[0].Ranges {
		text += fmt.Sprintf("%q/%q ", r.A, r.B)
	}
	if d.Name != "kv" || strings.TrimSpace(text) != bytes {
		t.Errorf("canister %s, bytes %s; want kv, %s", d.Name, text, bytes)
	}
}

func TestAnAlteredMachineIsNamed(t *testing.T) {
	r := newRecording(t, raft.NewInmemStore())
	r.puts(3)
	r.checkpoint()
	r.puts(6)
	c := r.config()
	source := &source{cfg: &Config{Options: options()}}
	defer source.close()
	for _, from := range []string{FromEmpty, c.Checkpoints[0]} {
		c.From = from
		c.Open = func() (Machine, error) {
			m, err := source.subject(start{})
			return &alteredMachine{Machine: m, round: 8, position: 3, instead: put("k3", "X03")}, err
		}
		report := r.replay(c)
		if f := report.Finding; f == nil || f.Round != 8 || f.Since != 7 {
			t.Fatalf("from %s: finding %+v", from, f)
		}
		wants(t, report.Finding, 8, 3, `"X"/"3" "X"/"3"`) // the store keeps the text twice
	}
}

// A replica whose log holds another message than the others' disagrees with what the leader attests; its checkpoint shows where.
func TestAnAlteredLogIsNamed(t *testing.T) {
	r := newRecording(t, raft.NewInmemStore())
	r.puts(6)
	r.checkpoint()
	const index = 5 // of round 4
	var entry raft.Log
	if err := r.log.GetLog(index, &entry); err != nil {
		t.Fatal(err)
	}
	round, err := fsm.DecodeRound(entry.Data)
	if err != nil {
		t.Fatal(err)
	}
	round.Messages[1] = put("k9", 1) // a key that no other message touches
	if entry.Data, err = round.Encode(); err == nil {
		err = r.log.StoreLog(&entry)
	}
	if err != nil {
		t.Fatal(err)
	}
	f := r.replay(r.config()).Finding
	if f == nil || f.Round != 4 || f.Since != 3 || f.Cause == nil || f.Cause.Round != 4 || f.Cause.Position != 1 {
		t.Fatalf("finding %+v, cause %+v", f, f.Cause)
	}
	if len(f.Difference.Canisters) != 1 || f.Difference.Canisters[0].Pages == 0 || len(f.Notes) == 0 {
		t.Errorf("difference %+v, notes %q", f.Difference, f.Notes)
	}
}

// The last round is compared with what the rounds behind it attest, though they are not repeated and need not be readable.
func TestTheLastRoundIsCompared(t *testing.T) {
	r := newRecording(t, raft.NewInmemStore())
	r.puts(2)
	r.round(put("a", 1)) // round 4, entry 5
	r.append(raft.LogNoop, nil)
	r.puts(3)
	c := r.config()
	c.To = 4
	if report := r.replay(c); report.Finding != nil || report.Rounds != 4 || report.Attested != 4 || report.LastAttested != 4 {
		t.Errorf("report %+v", report)
	}
	var entry raft.Log
	if err := r.log.GetLog(5, &entry); err != nil {
		t.Fatal(err)
	}
	round, err := fsm.DecodeRound(entry.Data)
	if err != nil {
		t.Fatal(err)
	}
	round.Messages[0] = put("a", 2)
	if entry.Data, err = round.Encode(); err == nil {
		err = r.log.StoreLog(&entry)
	}
	if err != nil {
		t.Fatal(err)
	}
	if f := r.replay(c).Finding; f == nil || f.Round != 4 || f.Says != "attested in round 5" {
		t.Errorf("finding %+v", f)
	}
	if err := r.log.StoreLog(&raft.Log{Index: 7, Term: 1, Type: raft.LogCommand, Data: []byte("garbage")}); err != nil {
		t.Fatal(err)
	}
	if report := r.replay(c); report.Finding != nil || report.Rounds != 4 || report.LastAttested != 3 {
		t.Errorf("with an entry that can't be read behind the last round: %+v", report)
	}
}

func TestUnreadableEntriesAreNamed(t *testing.T) {
	r := newRecording(t, raft.NewInmemStore())
	r.puts(3)
	if err := r.log.StoreLog(&raft.Log{Index: 4, Type: raft.LogCommand, Data: []byte("garbage")}); err != nil {
		t.Fatal(err)
	}
	_, err := Replay(t.Context(), r.config())
	var entry *EntryError
	if !errors.As(err, &entry) || entry.Index != 4 {
		t.Errorf("error %v, want that of entry 4", err)
	}
}

func TestStartsThatTheLogDoesNotReach(t *testing.T) {
	r := newRecording(t, raft.NewInmemStore())
	r.puts(2)
	r.checkpoint()
	r.puts(2)
	r.checkpoint()
	if err := r.log.DeleteRange(1, 5); err != nil {
		t.Fatal(err)
	}
	c := r.config()
	if report := r.replay(c); report.From != c.Checkpoints[1] {
		t.Errorf("began from %s, want %s", report.From, c.Checkpoints[1])
	}
	for _, from := range []string{FromEmpty, c.Checkpoints[0]} {
		c.From = from
		if _, err := Replay(t.Context(), c); !errors.Is(err, ErrStart) {
			t.Errorf("from %s: error %v", from, err)
		}
	}
}

// boltFolder makes a replica's folder with a log of some rounds.
func boltFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	log, err := raftboltdb.NewBoltStore(filepath.Join(dir, LogFile))
	if err != nil {
		t.Fatal(err)
	}
	newRecording(t, node.CheckedLog(log)).puts(40)
	if err := errors.Join(log.Close(), os.WriteFile(filepath.Join(dir, lockFile), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFolderIsReplayed(t *testing.T) {
	dir := boltFolder(t)
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Replay(t.Context(), Config{Log: f.Log, Checkpoints: f.Checkpoints, Options: options()})
	if err := errors.Join(err, f.Close()); err != nil || report.Finding != nil || report.Round != 41 {
		t.Errorf("report %+v, error %v", report, err)
	}
}

// A replay repeats no entry that was damaged where it lies, were it one that it does not need.
func TestDamagedEntriesOfFoldersAreNamed(t *testing.T) {
	dir := boltFolder(t)
	disk, err := raftboltdb.NewBoltStore(filepath.Join(dir, LogFile))
	if err != nil {
		t.Fatal(err)
	}
	var e raft.Log
	if err := disk.GetLog(5, &e); err != nil {
		t.Fatal(err)
	}
	e.Type = raft.LogNoop // a round that is left out would be another history
	if err := errors.Join(disk.StoreLog(&e), disk.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = Replay(t.Context(), Config{Log: f.Log, Checkpoints: f.Checkpoints, Options: options()})
	if err == nil || !strings.Contains(err.Error(), "log entry 5: damaged: its checksum") || strings.Count(err.Error(), "log entry 5") != 1 {
		t.Errorf("error %v", err)
	}
}

func TestFolderInUseIsRefused(t *testing.T) {
	dir := boltFolder(t)
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR, 0)
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := OpenFolder(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v", err)
	}
	if _, err := OpenFolder(t.TempDir()); !errors.Is(err, ErrNoReplica) {
		t.Errorf("error %v", err)
	}
	if _, err := OpenFolder(filepath.Join(dir, LogFile)); !errors.Is(err, ErrNoReplica) {
		t.Errorf("a file: error %v", err)
	}
	for _, name := range []string{LogFile, lockFile, identityFile} { // none of them is waited for
		pipes := t.TempDir()
		if err := errors.Join(os.WriteFile(filepath.Join(pipes, LogFile), nil, 0o644), os.RemoveAll(filepath.Join(pipes, name)),
			syscall.Mkfifo(filepath.Join(pipes, name), 0o644)); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenFolder(pipes); !errors.Is(err, ErrNoReplica) {
			t.Errorf("a pipe as %s: error %v", name, err)
		}
	}
}

// However the log file is damaged, opening and replaying it ends with an error or with the right roots, never with a panic.
func TestDamagedLogFiles(t *testing.T) {
	dir := boltFolder(t)
	path := filepath.Join(dir, LogFile)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string]func([]byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"garbage":   func(b []byte) []byte { return []byte(strings.Repeat("garbage!", len(b)/8)) },
		"truncated": func(b []byte) []byte { return b[:len(b)/2/4096*4096] },
	}
	for at := 0; at < len(good); at += 4096 {
		damage[fmt.Sprintf("page at %d", at)] = func(b []byte) []byte {
			for i := range 64 {
				b[at+i] ^= 0x5a
			}
			return b
		}
	}
	refused := 0
	for name, change := range damage {
		if err := os.WriteFile(path, change(append([]byte(nil), good...)), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFolder(dir)
		if err != nil {
			refused++
			continue
		}
		report, err := Replay(t.Context(), Config{Log: f.Log, Options: options()})
		if err == nil && (report.Finding != nil || report.Round > 41) {
			t.Errorf("%s: report %+v", name, report)
		}
		if err := f.Close(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
	}
	if refused < 3 {
		t.Errorf("%d of %d damaged files were refused", refused, len(damage))
	}
}

func TestFirstTrue(t *testing.T) {
	for n := range 20 {
		for want := range n + 1 {
			got, err := firstTrue(n, func(k int) (bool, error) { return k >= want, nil })
			if err != nil || got != want {
				t.Errorf("of %d: %d, %v; want %d", n, got, err, want)
			}
		}
	}
}
