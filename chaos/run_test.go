package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"

	"lockstep/chaos/workload"
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
	untilEnded(terminated)
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

func (fixedCall) Next() workload.Message {
	return workload.Message{Canister: "counter", Method: "add", Arg: []byte("abc")}
}

func runConfig(t *testing.T, mode string) RunConfig {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	counter, err := workload.ParseModule("counter", []byte(counterWAT))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	return RunConfig{
		Cluster:  ClusterConfig{Program: program, Args: []string{"replica", realReplicaFlag + mode}, Log: log},
		Modules:  []workload.Module{counter},
		Messages: func(int) workload.Messages { return fixedCall{} },
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
	if v.Replicas[0].Checkpoints == 0 { // one is due every 50 rounds, but the rounds do not wait for it
		t.Error("n1 took no checkpoint")
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
