package fsm

import (
	"context"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/pagetrie"
	"lockstep/snapshot"
	"lockstep/testdata"
)

// replica is a machine with what it needs, driven by hand instead of by raft.
type replica struct {
	*Machine
	t           testing.TB
	checkpoints *snapshot.Store
	dir         string // of the checkpoints
	index       uint64
}

// sharedEngine saves compiling the same canisters for every replica of a test run; modules hold no state.
func newEngine(t testing.TB, level canister.OptLevel, cache string) *canister.Engine {
	t.Helper()
	engine, err := canister.NewEngine(canister.EngineConfig{CacheDir: cache, OptLevel: level})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	return engine
}

func newReplica(t testing.TB, cfg Config) *replica {
	t.Helper()
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	checkpoints, err := snapshot.OpenStore(snapshot.Config{Dir: dir, Keep: 2, Hashing: Hashing()})
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{Machine: m, t: t, checkpoints: checkpoints, dir: dir}
	t.Cleanup(func() {
		if err := checkpoints.Close(); err != nil {
			t.Errorf("close checkpoints: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("close machine: %v", err)
		}
	})
	return r
}

// apply applies a round as raft would and returns its result.
func (r *replica) apply(round *Round) *RoundResult {
	r.t.Helper()
	data, err := round.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	r.index++
	switch response := r.Apply(&raft.Log{Index: r.index, Term: 1, Type: raft.LogCommand, Data: data}).(type) {
	case *RoundResult:
		return response
	case error:
		r.t.Fatalf("apply round at index %d: %v", r.index, response)
	}
	return nil
}

// one applies a round with one message and returns that message's result.
func (r *replica) one(msg Message) Result {
	r.t.Helper()
	return r.apply(&Round{Time: int64(r.index), Messages: []Message{msg}}).Results[0]
}

// checkpoint writes one and gives what the writer looked at.
func (r *replica) checkpoint() (pages, changes int) {
	r.t.Helper()
	captured, err := r.Snapshot()
	if err != nil {
		r.t.Fatal(err)
	}
	defer captured.Release()
	sink, err := r.checkpoints.Create(1, r.index, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	k := &countingSink{Sink: sink.(*snapshot.Sink)}
	if err := captured.Persist(k); err != nil {
		r.t.Fatal(err)
	}
	return k.pages, k.changes
}

// restored writes a checkpoint and gives another replica that has begun with it.
func (r *replica) restored(cfg Config) *replica {
	r.t.Helper()
	r.checkpoint()
	other := newReplica(r.t, cfg)
	if err := other.Restore(r.openNewest()); err != nil {
		r.t.Fatal(err)
	}
	other.index = r.index
	return other
}

func (r *replica) newest() string {
	r.t.Helper()
	list, err := r.checkpoints.List()
	if err != nil || len(list) == 0 {
		r.t.Fatalf("%d checkpoints, error %v", len(list), err)
	}
	return list[0].ID
}

// openNewest opens the newest checkpoint as raft would. A merge in the background may put another in its place between the
// two steps, so it tries again as raft does.
func (r *replica) openNewest() io.ReadCloser {
	r.t.Helper()
	for try := 0; ; try++ {
		_, reader, err := r.checkpoints.Open(r.newest())
		if err == nil {
			return reader
		}
		if try == 10 {
			r.t.Fatal(err)
		}
	}
}

func module(t testing.TB, name string) []byte {
	t.Helper()
	code, file, err := testdata.Canister(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(file, ".wat") {
		if code, err = canister.ParseWAT(code); err != nil {
			t.Fatal(err)
		}
	}
	return code
}

func install(t testing.TB, name string) Message {
	return Message{Kind: KindInstall, Canister: name, Module: module(t, name)}
}

func update(canister, method, arg string) Message {
	return Message{Kind: KindUpdate, Canister: canister, Method: method, Arg: []byte(arg)}
}

func inSession(id SessionID, sequence uint64, msg Message) Message {
	msg.Session, msg.Sequence = id, sequence
	return msg
}

func wantStatus(t testing.TB, got Result, want Status) {
	t.Helper()
	if got.Status != want {
		t.Fatalf("status %s (%s), want %s", got.Status, got.Text, want)
	}
}

func TestInstallCallAndQuery(t *testing.T) {
	r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache)})
	empty := r.Latest()
	wantStatus(t, r.one(update("kv", "put", "a=1")), StatusRefused)
	wantStatus(t, r.one(install(t, "kv")), StatusReplied)
	wantStatus(t, r.one(install(t, "kv")), StatusRefused)
	wantStatus(t, r.one(Message{Kind: KindInstall, Canister: "bad", Module: []byte("garbage")}), StatusRefused)
	wantStatus(t, r.one(update("kv", "put", "a=1")), StatusReplied)
	wantStatus(t, r.one(update("kv", "no-such-method", "")), StatusRefused)
	got, err := r.Query(Query{Canister: "kv", Method: "get", Arg: []byte("a")})
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Reply) != "1" || got.Root != r.Latest().Root {
		t.Errorf("query gives %q at root %s, want \"1\" at %s", got.Reply, got.Root, r.Latest().Root)
	}
	if r.Latest().Round != empty.Round+6 {
		t.Errorf("round %d, want %d", r.Latest().Round, empty.Round+6)
	}
}

// What a message that fails leaves behind must be nothing: the same rounds without it give the same canister.
func TestFailedMessagesLeaveNothing(t *testing.T) {
	r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache)})
	wantStatus(t, r.one(install(t, "faulty")), StatusReplied)
	wantStatus(t, r.one(update("faulty", "touch", "")), StatusReplied)
	before := r.current.state.canisters[0].State
	for _, method := range []string{"trap", "divide", "bounds", "indirect", "trap_text", "spin", "long_reply", "double_reply",
		"bad_utf8", "bad_arg", "grow_then_trap", "write_all_then_trap", "global_then_trap", "recurse"} {
		result := r.one(update("faulty", method, ""))
		if result.Status != StatusTrapped && result.Status != StatusOutOfFuel {
			t.Errorf("%s: status %s (%s)", method, result.Status, result.Text)
		}
		after := r.current.state.canisters[0].State
		if before.Root(r.pages) != after.Root(r.pages) {
			t.Errorf("%s: something is left behind", method)
		}
	}
	wantStatus(t, r.one(update("faulty", "reject", "")), StatusRejected)
	if before.Root(r.pages) == r.current.state.canisters[0].State.Root(r.pages) {
		t.Error("a reject's changes are gone; they must stay")
	}
}

func openSession(r *replica) SessionID {
	r.t.Helper()
	result := r.one(Message{Kind: KindOpenSession})
	wantStatus(r.t, result, StatusReplied)
	return SessionID(binary.BigEndian.Uint64(result.Reply))
}

func TestSessionsSuppressDuplicates(t *testing.T) {
	r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache)})
	wantStatus(t, r.one(install(t, "kv")), StatusReplied)
	id := openSession(r)
	add := func(sequence uint64) Message { return inSession(id, sequence, update("kv", "add", "n=1")) }

	first := r.one(add(1))
	again := r.one(add(1))
	if string(first.Reply) != "1" || string(again.Reply) != "1" || again.Round != first.Round {
		t.Errorf("the duplicate answers %q of round %d, want %q of round %d", again.Reply, again.Round, first.Reply, first.Round)
	}
	both := r.apply(&Round{Messages: []Message{add(2), add(2), add(3), add(2)}}).Results
	if string(both[0].Reply) != "2" || string(both[1].Reply) != "2" || string(both[2].Reply) != "3" {
		t.Errorf("replies %q %q %q in one round, want 2 2 3", both[0].Reply, both[1].Reply, both[2].Reply)
	}
	wantStatus(t, both[3], StatusStale)
	wantStatus(t, r.one(add(1)), StatusStale)
	wantStatus(t, r.one(inSession(id+1, 1, update("kv", "add", "n=1"))), StatusSessionExpired)

	restored := r.restored(Config{Engine: r.cfg.Engine})
	if got := restored.one(add(3)); string(got.Reply) != "3" {
		t.Errorf("after a restore the duplicate answers %q, want 3", got.Reply)
	}
}

func TestTheLongestUnusedSessionIsEvicted(t *testing.T) {
	r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache)})
	r.state.Limits.Sessions = 3
	wantStatus(t, r.one(install(t, "kv")), StatusReplied)
	a, b, c := openSession(r), openSession(r), openSession(r)
	wantStatus(t, r.one(inSession(a, 1, update("kv", "put", "a=1"))), StatusReplied)
	d := openSession(r)
	wantStatus(t, r.one(inSession(b, 1, update("kv", "put", "b=1"))), StatusSessionExpired)
	for _, id := range []SessionID{a, c, d} {
		wantStatus(t, r.one(inSession(id, 2, update("kv", "put", "b=1"))), StatusReplied)
	}
	if r.state.sessions.count != 3 {
		t.Errorf("%d sessions, want 3", r.state.sessions.count)
	}
}

func TestLongRepliesAreNotKeptForRetries(t *testing.T) {
	r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache)})
	r.state.Limits.SessionReplyBytes = 4
	wantStatus(t, r.one(install(t, "kv")), StatusReplied)
	id := openSession(r)
	put := inSession(id, 1, update("kv", "put", "a=1"))
	if got := r.one(put); string(got.Reply) != "created" {
		t.Fatalf("reply %q", got.Reply)
	}
	again := r.one(put)
	if again.Status != StatusReplied || len(again.Reply) != 0 || !strings.Contains(again.Text, "too long to be kept") {
		t.Errorf("the retry is answered %+v", again)
	}
}

func TestAttestationIsCompared(t *testing.T) {
	var stopped []error
	r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache), OnStop: func(err error) { stopped = append(stopped, err) }})
	wantStatus(t, r.one(install(t, "kv")), StatusReplied)
	good := r.Latest()
	r.apply(&Round{Attested: good})
	r.apply(&Round{Attested: Attestation{Round: 77, Root: pagetrie.Hash{1}}}) // not known here: nothing to compare
	round := good
	round.Root[0] ^= 1
	before := r.Latest()
	data, err := (&Round{Attested: round, Messages: []Message{update("kv", "put", "a=1")}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		response, isError := r.Apply(&raft.Log{Index: r.index + 1, Data: data}).(error)
		diverged, ok := response.(*DivergedError)
		if !isError || !ok || diverged.Round != good.Round || diverged.Own != good.Root || diverged.Attested != round.Root {
			t.Fatalf("response %v, want a DivergedError of round %d", response, good.Round)
		}
	}
	if r.Latest() != before {
		t.Error("a diverged machine has gone on")
	}
	if _, err := r.Query(Query{Canister: "kv", Method: "len"}); err == nil {
		t.Error("a diverged machine answers queries")
	}
	if len(stopped) != 1 {
		t.Errorf("OnStop was called %d times, want once", len(stopped))
	}
}

func TestADamagedLogEntryStopsTheMachine(t *testing.T) {
	r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache)})
	if _, ok := r.Apply(&raft.Log{Index: 1, Data: []byte("garbage")}).(error); !ok || r.Stopped() == nil {
		t.Error("the machine has not stopped")
	}
	if err := r.WaitIndex(context.Background(), 99); err == nil {
		t.Error("waiting on a stopped machine succeeds")
	}
}

// A checkpoint that is not what it says must leave the machine as it was.
func TestRestoreIsAllOrNothing(t *testing.T) {
	r := newReplica(t, Config{Engine: newEngine(t, canister.OptSpeed, sharedCache)})
	wantStatus(t, r.one(install(t, "kv")), StatusReplied)
	wantStatus(t, r.one(update("kv", "put", "a=1")), StatusReplied)
	r.checkpoint()
	checkpoint, err := r.checkpoints.OpenCheckpoint(r.newest())
	if err != nil {
		t.Fatal(err)
	}
	defer checkpoint.Close()
	wantStatus(t, r.one(update("kv", "put", "b=2")), StatusReplied)
	before := r.Latest()
	checkpoint.Root[3] ^= 4
	if err := r.RestoreCheckpoint(checkpoint); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("restoring a checkpoint with another root: error %v", err)
	}
	if r.Latest() != before {
		t.Error("the machine has changed")
	}
	if got := r.one(update("kv", "add", "n=1")); string(got.Reply) != "1" {
		t.Errorf("afterwards the machine answers %q", got.Reply)
	}
}
