package chaos

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"

	"lockstep/canister/candid"
	"lockstep/fsm"
	"lockstep/node"
)

// counterWAT adds the bytes of its argument to a number in its memory and answers with it.
const counterWAT = `(module
  (import "ic0" "msg_arg_data_size" (func $size (result i32)))
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 1)
  (func (export "canister_update add")
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (call $size)))
    (call $append (i32.const 0) (i32.const 4))
    (call $reply)))`

// realReplica runs a replica in a process of its own. In the mode "lie" n2's disk changes one letter of the argument of one
// message of the log, behind the checksum: a bug that no replica can see in what it reads.
func realReplica(mode string, args []string) int {
	f := flag.NewFlagSet("replica", flag.ContinueOnError)
	var c node.Config
	f.StringVar(&c.ID, "id", "", "")
	f.StringVar(&c.ClusterID, "cluster-id", "", "")
	f.StringVar(&c.DataDir, "data", "", "")
	raftAddr, httpAddr := f.String("raft", "", ""), f.String("http", "", "")
	f.Bool("stop-with-stdin", true, "")
	f.Func("peer", "", func(text string) error {
		id, addresses, _ := strings.Cut(text, "=")
		r, h, _ := strings.Cut(addresses, ",")
		c.Peers = append(c.Peers, node.Peer{ID: id, Raft: r, HTTP: h})
		return nil
	})
	if err := f.Parse(args); err != nil {
		return ExitUnusable
	}
	c.Peers = append(c.Peers, node.Peer{ID: c.ID, Raft: *raftAddr, HTTP: *httpAddr})
	c.CheckpointEvery = 50
	if mode == "lie" && c.ID == "n2" {
		c.Wrap.Logs = func(inner raft.LogStore) raft.LogStore { return &lyingLog{LogStore: inner} }
	}
	if mode == "full" {
		c.Wrap.Logs = func(inner raft.LogStore) raft.LogStore { return fullLog{inner} }
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	n, err := node.Start(c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return ExitUnusable
	}
	closed := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(closed)
	}()
	select {
	case <-terminated:
	case <-closed:
	}
	if err := errors.Join(n.Err(), n.Stop()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return ExitDiverged
	}
	return ExitStopped
}

// errPlantedFull is what the disk says in the mode "full".
var errPlantedFull = &os.PathError{Op: "write", Path: "raft.db", Err: syscall.ENOSPC}

// lyingLog changes one message of one round on its way to the disk.
type lyingLog struct {
	raft.LogStore
	lied bool
}

func (l *lyingLog) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

func (l *lyingLog) StoreLogs(entries []*raft.Log) error {
	for i, entry := range entries {
		round, err := fsm.DecodeRound(entry.Data)
		if entry.Type != raft.LogCommand || l.lied || err != nil || entry.Index < 40 {
			continue
		}
		for m := range round.Messages {
			if round.Messages[m].Kind == fsm.KindUpdate {
				round.Messages[m].Arg = append(round.Messages[m].Arg, 'x')
				l.lied = true
			}
		}
		if !l.lied {
			continue
		}
		changed := *entry
		if changed.Data, err = round.Encode(); err != nil {
			return err
		}
		entries[i] = &changed
	}
	return l.LogStore.StoreLogs(entries)
}

// fixedCall is one message for ever.
type fixedCall struct{}

func (fixedCall) Next() WorkloadMessage {
	return WorkloadMessage{Canister: "counter", Method: "add", Arg: []byte("abc")}
}

func runConfig(t *testing.T, mode string) RunConfig {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	counter, err := ParseModule("counter", []byte(counterWAT))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	return RunConfig{
		Cluster:  ClusterConfig{Program: program, Args: []string{"replica", realReplicaFlag + mode}, Log: log},
		Modules:  []Module{counter},
		Messages: func(int) Messages { return fixedCall{} },
		Clients:  3, Rounds: 120, Log: log,
	}
}

func TestRunAgrees(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c := runConfig(t, "well")
	var folder string
	c.Started = func(cluster *Cluster) { folder = cluster.Path() }
	v, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if v.Judgement != Agreed || v.Rounds.Rounds < 120 || v.Rounds.Witnessed[3] != v.Rounds.Rounds || v.Traffic.Updates["replied"] < 120 {
		t.Errorf("got %+v", v)
	}
	if v.Replicas[0].Checkpoints < 2 {
		t.Errorf("n1 took %d checkpoints, want one every 50 rounds", v.Replicas[0].Checkpoints)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
}

// TestRunFindsALie plants a disagreement between real replicas.
func TestRunFindsALie(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c := runConfig(t, "lie")
	c.Rounds = 1 << 40
	var folder string
	c.Started = func(cluster *Cluster) { folder = cluster.Path() }
	v, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if v.Judgement != Disagreed || !strings.HasPrefix(v.Sentence, "DISAGREED: ") || !strings.Contains(v.Sentence, "n2") {
		t.Errorf("got %s: %s", v.Judgement, v.Sentence)
	}
	if d := v.Disagreement; d != nil && (d.Round < 30 || d.Round > 100) {
		t.Errorf("the disagreement is at round %d, the lie was told a little after log index 40", d.Round)
	}
	if _, err := os.Stat(folder); err != nil {
		t.Errorf("the evidence is gone: %v", err)
	}
}

func TestRunEnds(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Run("when it is stopped", func(t *testing.T) {
		c := runConfig(t, "well")
		stop := make(chan struct{})
		c.Stop, c.Rounds = stop, 0
		seen := 0
		c.Every = 1
		c.Progressed = func(p Progress) {
			if p.Compared > 20 && seen == 0 {
				seen++
				close(stop)
			}
		}
		v, err := Run(t.Context(), c)
		if err != nil || v.Judgement != Agreed {
			t.Errorf("got %+v, %v", v, err)
		}
	})
	t.Run("before it began", func(t *testing.T) {
		c := runConfig(t, "well")
		stop := make(chan struct{})
		c.Stop = stop
		close(stop)
		if _, err := Run(t.Context(), c); !errors.Is(err, ErrInterrupted) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("at once", func(t *testing.T) {
		c := runConfig(t, "well")
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("enough")
		c.Every = 1
		c.Progressed = func(Progress) { cancel(why) }
		if _, err := Run(ctx, c); !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("when a replica cannot start", func(t *testing.T) {
		c := runConfig(t, "well")
		c.Cluster.Extra = []string{"--nonsense"}
		if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "replica n") {
			t.Errorf("got %v", err)
		}
	})
}

func TestParseModuleRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":       {nil, "the file is empty"},
		"binary junk": {[]byte{1, 2, 0, 4}, "neither a WebAssembly binary nor text"},
		"text junk":   {[]byte("hello"), "WebAssembly text, line 1, column 1: expected `(`"},
		"cut off":     {[]byte("\x00asm\x01\x00\x00\x00\x01\xff"), "module refused: module section, offset 0xa"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseModule("x", c.file); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := ParseModule("No Name", []byte("(module)")); err == nil {
		t.Error("a bad name was taken")
	}
}

func TestModuleName(t *testing.T) {
	for path, want := range map[string]string{
		"/a/b/My Game.wasm": "my-game", "x.wat": "x", "./_t.v2.wasm": "t.v2", "ünï.wasm": "n-",
	} {
		if got := ModuleName(path); got != want {
			t.Errorf("%s is called %q, want %q", path, got, want)
		}
	}
}

func TestCompleteModules(t *testing.T) {
	mine := Module{Name: "kv"}
	got, err := CompleteModules([]Module{mine}, []string{"memory", "kv"})
	if err != nil || len(got) != 2 || got[0].Name != "kv" || got[0].Wasm != nil || got[1].Name != "memory" || got[1].Wasm == nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := CompleteModules(nil, []string{"nobody"}); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("an unknown canister gives %v", err)
	}
	if _, err := CompleteModules([]Module{mine, mine}, nil); err == nil {
		t.Error("two modules of one name were taken")
	}
}

func TestProbe(t *testing.T) {
	m := Module{Name: "m", Updates: []string{"a", "b"}, Queries: []string{"q"}}
	sequence := func(seed uint64, client int) (calls string, updates int) {
		p, err := Probe([]Module{m}, seed, client)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		for range 400 {
			next := p.Next()
			fmt.Fprintf(&b, "%s %q\n", next.Method, next.Arg)
			if !next.Query {
				updates++
			}
			if next.Canister != "m" || next.Query != (next.Method == "q") || len(next.Arg) > 32 {
				t.Fatalf("got %+v", next)
			}
		}
		return b.String(), updates
	}
	first, updates := sequence(1, 0)
	if again, _ := sequence(1, 0); again != first {
		t.Error("the same seed and client give other messages")
	}
	for _, other := range [][2]uint64{{2, 0}, {1, 1}} {
		if calls, _ := sequence(other[0], int(other[1])); calls == first {
			t.Errorf("seed %d, client %d give the messages of seed 1, client 0", other[0], other[1])
		}
	}
	if updates < 250 || updates > 350 {
		t.Errorf("%d of 400 messages are updates, want about three in four", updates)
	}
	if _, err := Probe([]Module{{Name: "m"}}, 1, 0); !errors.Is(err, ErrNothingToCall) {
		t.Errorf("a module without methods gives %v", err)
	}
}

// TestProbeCandid: the methods of an interface are called with values of their types, others not at all.
func TestProbeCandid(t *testing.T) {
	m, err := ParseModule("m", []byte(`(module
		(@custom "icp:public candid:service" "service : (record { owner : text }) -> { set : (text, nat) -> (); get : (text) -> () query }")
		(func (export "canister_update set")) (func (export "canister_update __internal")) (func (export "canister_query get")))`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := candid.Decode(m.Arg, nil); err != nil || len(m.Arg) < 10 {
		t.Errorf("it is installed with % x (%v), want a record", m.Arg, err)
	}
	p, err := Probe([]Module{m}, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	valid := 0
	for range 400 {
		next := p.Next()
		if next.Method == "__internal" {
			t.Fatal("a method that the interface does not name was called")
		}
		if _, err := candid.Decode(next.Arg, nil); err == nil {
			valid++
		}
	}
	if valid < 300 || valid == 400 {
		t.Errorf("%d of 400 arguments are Candid, want about seven in eight", valid)
	}
}
