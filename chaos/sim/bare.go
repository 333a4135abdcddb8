package sim

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"lockstep/fsm"
	"lockstep/node"
)

// bare is hashicorp/raft as its documentation wires it, around the same parts: without node's guards. It is there to be compared with
// node: what goes wrong in it, and not in node, is what the guards are for.
type bare struct {
	parts *node.Parts
	raft  *raft.Raft
	every uint64
	done  chan struct{}
	quit  chan struct{}
	once  sync.Once
	loop  sync.WaitGroup

	mu  sync.Mutex
	err error
}

var _ process = (*bare)(nil)

func startBare(l *life) (*bare, error) {
	b := &bare{done: make(chan struct{}), quit: make(chan struct{})}
	parts, err := l.Open(b.stop)
	if err != nil {
		return nil, err
	}
	b.parts = parts
	cfg := l.m.config().WithDefaults()
	b.every = cfg.CheckpointEvery
	conf := raft.DefaultConfig()
	conf.LocalID = serverID(l.m.number)
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = cfg.ElectionTimeout, cfg.ElectionTimeout, cfg.ElectionTimeout
	conf.TrailingLogs, conf.SnapshotThreshold, conf.SnapshotInterval = cfg.TrailingLogs, math.MaxUint64, 10_000*time.Hour
	conf.ShutdownOnRemove, conf.NoLegacyTelemetry = false, true
	conf.Logger = hclog.NewNullLogger()
	if err := b.bootstrap(l, conf); err != nil {
		return nil, joinErrors(err, b.close())
	}
	if b.raft, err = raft.NewRaft(conf, parts.Machine, parts.Logs, parts.Stable, parts.Checkpoints, parts.Network); err != nil {
		return nil, joinErrors(err, b.close())
	}
	l.starts()
	b.loop.Go(b.checkpoints)
	return b, nil
}

func (b *bare) bootstrap(l *life, conf *raft.Config) error {
	exists, err := raft.HasExistingState(b.parts.Logs, b.parts.Stable, b.parts.Checkpoints)
	if err != nil || exists {
		return err
	}
	var servers []raft.Server
	for _, m := range l.m.c.members {
		servers = append(servers, raft.Server{ID: serverID(m.number), Address: raft.ServerAddress(serverID(m.number))})
	}
	return raft.BootstrapCluster(conf, b.parts.Logs, b.parts.Stable, b.parts.Checkpoints, b.parts.Network, raft.Configuration{Servers: servers})
}

// checkpoints takes a checkpoint every so many rounds.
func (b *bare) checkpoints() {
	last := uint64(b.parts.Machine.Latest().Round)
	for sleep(100*time.Millisecond, b.quit) {
		if round := uint64(b.parts.Machine.Latest().Round); round >= last+b.every {
			last = round
			_ = b.raft.Snapshot().Error() // the next one is tried after as many rounds
		}
	}
}

// stop notes that the machine has ended.
func (b *bare) stop(err error) {
	b.once.Do(func() {
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
		close(b.done)
	})
}

// Submit implements process.
func (b *bare) Submit(ctx context.Context, m fsm.Message) (node.Answer, error) {
	round := fsm.Round{Time: b.parts.Now().UnixNano(), Attested: b.parts.Machine.Latest(), Messages: []fsm.Message{m}}
	data, err := round.Encode()
	if err != nil {
		return node.Answer{}, refusal{err}
	}
	future := b.raft.Apply(data, time.Second)
	ended := make(chan error, 1)
	go func() { ended <- future.Error() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		return node.Answer{}, ctx.Err()
	}
	if err != nil {
		if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrEnqueueTimeout) || errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			return node.Answer{}, refusal{err}
		}
		return node.Answer{}, err
	}
	switch r := future.Response().(type) {
	case *fsm.RoundResult:
		if r.Results[0].Status == fsm.StatusPending { // it waits for other canisters; node tells when that is over
			return node.Answer{}, errUnanswered
		}
		return node.Answer{Result: r.Results[0], Index: r.Index, Time: r.Time, Root: r.Root}, nil
	case error:
		return node.Answer{}, r
	}
	return node.Answer{}, errors.New("no result")
}

var errUnanswered = errors.New("the canister has not answered yet")

// Query implements process.
func (b *bare) Query(ctx context.Context, q fsm.Query) (node.Answer, error) {
	ended := make(chan error, 1)
	go func() { ended <- b.raft.Barrier(time.Second).Error() }()
	select {
	case err := <-ended:
		if err != nil {
			return node.Answer{}, refusal{err}
		}
	case <-ctx.Done():
		return node.Answer{}, refusal{ctx.Err()}
	}
	return b.QueryStale(q)
}

// QueryStale implements process.
func (b *bare) QueryStale(q fsm.Query) (node.Answer, error) {
	r, err := b.parts.Machine.Query(q)
	if err != nil {
		return node.Answer{}, refusal{err}
	}
	return node.Answer{Result: r.Result, Index: r.Index, Time: r.Time, Root: r.Root}, nil
}

// Raft implements process.
func (b *bare) Raft() *raft.Raft { return b.raft }

// Done implements process.
func (b *bare) Done() <-chan struct{} { return b.done }

// Err implements process.
func (b *bare) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Stop implements process.
func (b *bare) Stop() error {
	close(b.quit)
	ended := b.raft.Shutdown()
	_ = b.parts.Network.Close() // as at the end of a process: raft by itself may wait for a request for ever
	_ = ended.Error()           // it gives none
	b.loop.Wait()
	return b.close()
}

func (b *bare) close() error {
	return joinErrors(b.parts.Network.Close(), b.parts.Machine.Close(), b.parts.Checkpoints.Close())
}
