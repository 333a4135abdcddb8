package real

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/chaos/history"
	"lockstep/chaos/plan"
	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/node"
)

// ReplicaConfig is what a replica's process is told, as JSON in its only argument.
type ReplicaConfig struct {
	// Number is the replica's, from 1, of Replicas.
	Number   int
	Replicas int
	Cluster  string
	Dir      string
	// Peers are all replicas as this one reaches them: the others through their proxies.
	Peers    []node.Peer
	Options  plan.Options
	Election time.Duration
	// Timeout bounds an exchange between replicas; a client is answered within half of it.
	Timeout time.Duration
}

// Exit codes of a replica's process.
const (
	exitStopped  = 0
	exitDiverged = 1
	exitFailed   = 2
	exitUnusable = 3
)

// name is a replica's name in its cluster.
func name(number int) string { return fmt.Sprintf("n%d", number) }

// Serve is a replica's process: it runs a node until in ends, or until the node has ended by itself. Lines of in are
// commands for its disk (storeFaults). What happens is written to events as a history. It returns the exit code.
func Serve(config string, in io.Reader, events, log io.Writer) int {
	if err := serve(config, in, events, log); err != nil {
		fmt.Fprintf(log, "error: %v\n", err)
		var code exitCode
		if errors.As(err, &code) {
			return int(code)
		}
		return exitUnusable
	}
	return exitStopped
}

// exitCode is an error that knows its exit code.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func serve(config string, in io.Reader, events, log io.Writer) error {
	var c ReplicaConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if c.Options.Procs > 0 {
		runtime.GOMAXPROCS(c.Options.Procs)
	}
	out, err := newEmitter(events, c)
	if err != nil {
		return err
	}
	faults := newStoreFaults(c.Dir, out.emit)
	journal := newJournal(&c, faults, out.emit)
	before := setAside(c.Dir)
	n, err := node.Start(c.node(log, journal))
	if err != nil {
		return err
	}
	faults.transfer = func(to string) error { return transfer(n.Raft(), to) }
	over := make(chan struct{})
	go func() { // ends with the process at the latest
		faults.listen(in)
		close(over)
	}()
	ctx, stop := context.WithCancel(context.Background())
	r := newReporter(n, &c, journal, out.emit)
	r.ignore(before)
	ended := make(chan struct{})
	go func() { defer close(ended); r.run(ctx) }()
	select {
	case <-over:
	case <-n.Done():
	}
	stop()
	<-ended
	return r.end(n)
}

// transfer hands leadership to a replica, to any one if none is named.
func transfer(r *raft.Raft, to string) error {
	if to == "" {
		return r.LeadershipTransfer().Error()
	}
	members := r.GetConfiguration()
	if err := members.Error(); err != nil {
		return err
	}
	for _, s := range members.Configuration().Servers {
		if string(s.ID) == to {
			return r.LeadershipTransferToServer(s.ID, s.Address).Error()
		}
	}
	return fmt.Errorf("replica %s is no member", to)
}

// node is the node's configuration.
func (c *ReplicaConfig) node(log io.Writer, j *journal) node.Config {
	o := c.Options
	return node.Config{
		ID: name(c.Number), ClusterID: c.Cluster, DataDir: c.Dir, Peers: c.Peers,
		Tracker: memstore.Tracker(o.Tracker), OptLevel: canister.OptLevel(o.Opt), Workers: o.Workers,
		CheckpointEvery: uint64(o.Checkpoint), CheckpointsKept: o.Kept, TrailingLogs: uint64(o.Trailing),
		RoundMessages: o.Messages, RoundBytes: o.Bytes, RoundsInFlight: o.Inflight, AppendEntries: o.Append,
		ElectionTimeout: c.Election, PeerTimeout: c.Timeout, RequestTimeout: c.Timeout / 2,
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo})),
		Wrap:   node.Wrap{Logs: j.wrapLogs, Stable: j.wrapStable, Machine: j.wrapMachine},
	}
}

// end stops the node and tells why it ended.
func (r *reporter) end(n *node.Node) error {
	reason := n.Err()
	if reason != nil && n.Status().State != node.StateStopped {
		r.poll() // what it applied last
	}
	stopErr := n.Stop()
	var diverged *fsm.DivergedError
	switch {
	case errors.As(reason, &diverged):
		r.emit(history.Event{Kind: history.Diverged, Round: uint64(diverged.Round), Root: diverged.Own, Text: diverged.Error()})
		return fmt.Errorf("%w: %w", reason, exitCode(exitDiverged))
	case reason != nil:
		r.emit(history.Event{Kind: history.Stopped, Text: reason.Error()})
		return fmt.Errorf("%w: %w", reason, exitCode(exitFailed))
	case stopErr != nil:
		return fmt.Errorf("%w: %w", stopErr, exitCode(exitFailed))
	}
	return nil
}

// emitter writes events to the parent, each at once.
type emitter struct {
	recorder *history.Recorder
	node     uint8
}

func newEmitter(to io.Writer, c ReplicaConfig) (*emitter, error) {
	r, err := history.NewRecorder(history.RecorderConfig{Out: to, Header: history.Header{Replicas: c.Replicas, Layer: "real"}})
	if err != nil {
		return nil, err
	}
	return &emitter{recorder: r, node: uint8(c.Number)}, r.Flush()
}

// emit tells the parent. A parent that is gone is told nothing: this process is about to end too.
func (e *emitter) emit(v history.Event) {
	v.Node = e.node
	e.recorder.Add(v)
	if err := e.recorder.Flush(); err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, syscall.EPIPE) {
		panic(fmt.Sprintf("chaos/real: event %s of index %d, round %d can't be told: %v", v.Kind, v.Index, v.Round, err))
	}
}
