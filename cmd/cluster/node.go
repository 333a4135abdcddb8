package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"lockstep/canister"
	"lockstep/chaos"
	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/node"
)

// nodeOptions are the flags of `cluster node`.
type nodeOptions struct {
	id, clusterID, data   string
	raft, http            string
	peers                 []string
	tracker, optLevel     string
	checkpointEvery       uint64
	checkpointMiB         int64
	trailingLogs          uint64
	workers               int
	logLevel              string
	expose, stopWithStdin bool
}

func newNodeCommand() *cobra.Command {
	var o nodeOptions
	c := &cobra.Command{
		Use:     "node --id ID --cluster-id NAME --data DIR --raft HOST:PORT --http HOST:PORT [--peer ID=RAFT,HTTP]…",
		Short:   "Run one replica with explicit addresses, so that a cluster can span machines",
		GroupID: groupRun,
		Long: `Runs one replica until it is told to end (SIGINT or SIGTERM). Every replica of a cluster is given the same members:
itself by --raft and --http, every other by --peer.

There is no authentication on either port. The client port is served on loopback only; --expose allows another address.

Exit codes: 0 stopped, 1 the replica diverged, 2 the disk or another part of the world failed, 3 it could not start.`,
		Example: `  cluster node --id n1 --cluster-id demo --data ./n1 --raft 127.0.0.1:7001 --http 127.0.0.1:8001 \
    --peer n2=127.0.0.1:7002,127.0.0.1:8002 --peer n3=127.0.0.1:7003,127.0.0.1:8003`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := o.config(c.ErrOrStderr())
			if err != nil {
				return usageError(c, err)
			}
			lifeline := io.Reader(nil)
			if o.stopWithStdin {
				lifeline = c.InOrStdin()
			}
			return runNode(c.Context(), config, lifeline)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.id, "id", "", "name of this replica")
	f.StringVar(&o.clusterID, "cluster-id", "", "name of the cluster, the same on every replica")
	f.StringVar(&o.data, "data", "", "folder for this replica's data; made if missing, continued otherwise")
	f.StringVar(&o.raft, "raft", "", "host:port of this replica for the others")
	f.StringVar(&o.http, "http", "", "host:port of this replica's client port")
	f.StringArrayVar(&o.peers, "peer", nil, "another replica, as ID=RAFTHOST:PORT,HTTPHOST:PORT; once for each")
	f.StringVar(&o.tracker, "tracker", "", "how changed pages are found: "+trackers())
	f.Uint64Var(&o.checkpointEvery, "checkpoint-every", 0, "rounds between two checkpoints (0: the node's default)")
	f.Int64Var(&o.checkpointMiB, "checkpoint-mib", 0, "MiB that a checkpoint may have which a leader sends (0: 65536)")
	f.Uint64Var(&o.trailingLogs, "trailing-logs", 0, "log entries kept behind a checkpoint; who lags more is sent the checkpoint (0: the node's default)")
	f.StringVar(&o.optLevel, "opt-level", "", "optimisation of the WebAssembly compiler: "+optLevels())
	f.IntVar(&o.workers, "workers", 0, "canisters of a round that run at the same time (0: one a processor)")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error; the log goes to standard error")
	f.BoolVar(&o.expose, "expose", false, "allow a client port that other machines can reach")
	f.BoolVar(&o.stopWithStdin, "stop-with-stdin", false, "stop when standard input ends")
	return c
}

// trackers lists the names of the trackers; auto takes the fastest that the machine allows.
func trackers() string {
	names := []string{string(memstore.TrackerAuto)}
	for _, t := range memstore.Trackers() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// optLevels lists the levels of optimisation.
func optLevels() string {
	return fmt.Sprintf("%s, %s, %s", canister.OptNone, canister.OptSpeed, canister.OptSpeedAndSize)
}

// config makes a node's configuration of the flags.
func (o *nodeOptions) config(log io.Writer) (node.Config, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return node.Config{}, fmt.Errorf("--log-level %q: use debug, info, warn or error", o.logLevel)
	}
	if err := checkLoopback(o.http, o.expose); err != nil {
		return node.Config{}, err
	}
	peers := []node.Peer{{ID: o.id, Raft: o.raft, HTTP: o.http}}
	for _, text := range o.peers {
		p, err := parsePeer(text)
		if err != nil {
			return node.Config{}, err
		}
		peers = append(peers, p)
	}
	config := node.Config{
		ID: o.id, ClusterID: o.clusterID, DataDir: o.data, Peers: peers,
		Tracker: memstore.Tracker(o.tracker), OptLevel: canister.OptLevel(o.optLevel), Workers: o.workers, CheckpointEvery: o.checkpointEvery,
		CheckpointBytes: o.checkpointMiB << 20,
		TrailingLogs:    o.trailingLogs,
		Logger:          slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level})),
	}.WithDefaults()
	return config, config.Validate()
}

// parsePeer reads ID=RAFT,HTTP.
func parsePeer(text string) (node.Peer, error) {
	id, addresses, ok := strings.Cut(text, "=")
	raft, http, both := strings.Cut(addresses, ",")
	if !ok || !both || id == "" {
		return node.Peer{}, fmt.Errorf("--peer %q: it must be ID=RAFTHOST:PORT,HTTPHOST:PORT", text)
	}
	return node.Peer{ID: id, Raft: raft, HTTP: http}, nil
}

// checkLoopback refuses to serve clients of other machines unless that is allowed.
func checkLoopback(address string, expose bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--http %q must be host:port", address)
	}
	ip := net.ParseIP(host)
	if expose || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--http %s is not on loopback, and whoever reaches it can change the state: use 127.0.0.1, or allow it with --expose", address)
}

// runNode runs a replica until it is told to end. One that has diverged or failed stays, to answer /v1/status. If lifeline
// is not nil, its end is another way to be told.
func runNode(parent context.Context, config node.Config, lifeline io.Reader) error {
	// Not SIGPIPE: whoever asks for it is sent it for every connection that a peer breaks while it is written to.
	ctx, forget := signal.NotifyContext(parent, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer forget()
	n, err := node.Start(config)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	if lifeline != nil {
		go func() { // ends with the process at the latest
			_, _ = io.Copy(io.Discard, lifeline)
			close(ended)
		}()
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
	reason := n.Err()
	stopErr := n.Stop()
	var diverged *fsm.DivergedError
	switch {
	case errors.As(reason, &diverged):
		return &exitError{chaos.ExitDiverged, reason}
	case errors.Join(reason, stopErr) != nil:
		return &exitError{chaos.ExitFailed, errors.Join(reason, stopErr)}
	}
	return nil
}
