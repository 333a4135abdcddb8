package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/fsm"
	"lockstep/snapshot"
)

// Ground is what a node stands on: it gives each replica of the node, one life after the other, its parts. Start stands on a
// data folder and TCP; StartOn takes any other.
type Ground interface {
	// Open gives the parts of a new replica. stop ends that replica with a reason; any goroutine may call it, it waits for
	// nobody, and it does nothing the second time. When Open fails, nothing stays open.
	Open(stop func(error)) (*Parts, error)
	// FindEvidence gives the divergence that an earlier replica of this node found, nil if there was none.
	FindEvidence() (*KnownDivergenceError, error)
	// KeepEvidence makes a divergence outlast the node and says where it is kept.
	KeepEvidence(*Evidence) (string, error)
}

// Parts are everything between a replica and the world. The replica puts its own guards above them, and closes the machine,
// the network, the checkpoints and at last the parts themselves.
type Parts struct {
	// Logs is the log, on top of CheckedLog where it lies on a disk; Stable is the term and the vote, on top of CheckedStable.
	Logs   raft.LogStore
	Stable raft.StableStore
	// Checkpoints must have been opened by OpenCheckpoints or a layer around what that gave.
	Checkpoints Checkpoints
	Network     Network
	Machine     Machine
	Marker      Marker
	// Damaged, if not nil, gets a value after a checkpoint was set aside. It holds one at least.
	Damaged <-chan struct{}
	// Now is the clock that a leader's rounds are given. Required.
	Now func() time.Time
	// Check finds out whether what the parts stand on is still there; an error ends the replica. It is called now and then, and
	// nil means that there is nothing to check.
	Check func() error
	// Close gives back what Logs and Stable hold.
	Close func() error
}

// Checkpoints is where checkpoints are kept: a *snapshot.Store, or a layer around one.
type Checkpoints interface {
	raft.SnapshotStore
	// BeginTransfer begins to receive a checkpoint of which parts may be here.
	BeginTransfer() (*snapshot.Transfer, error)
	Close() error
}

// Network carries Raft's messages between replicas, whose addresses are their IDs. Close must not wait for
// anybody and may be called more than once.
type Network interface {
	raft.Transport
	raft.WithPreVote
	raft.WithClose
}

// Machine is the replicated state machine: an *fsm.Machine, or a layer around one.
type Machine interface {
	raft.FSM
	raft.ConfigurationStore
	Query(fsm.Query) (fsm.QueryResult, error)
	Inspect(*fsm.Message) (refusal string, err error)
	Refusal(fsm.Code) string
	Compile(fsm.Code) (hash canister.ModuleHash, refusal string, err error)
	Await(context.Context, fsm.Ref) (fsm.Answer, error)
	HasWork() bool
	NextTimer() (time int64, set bool)
	WaitIndex(ctx context.Context, index uint64) error
	Latest() fsm.Attestation
	Roots(from fsm.RoundNumber, limit int) []fsm.Attestation
	Status() fsm.MachineStatus
	Limits() fsm.Limits
	Interface(canister string) (did string, found bool)
	View(ctx context.Context, round fsm.RoundNumber) (*fsm.StateView, error)
	Close() error
}

// Marker remembers whether the replica is joining: whether what it stands on was new and it has not caught up yet (joiner).
type Marker interface {
	Joining() (bool, error)
	// Joined ends it for good.
	Joined() error
	// String says where it is, for operators.
	String() string
}

// close closes what is there, but for a machine that is to be kept.
func (p *Parts) close(kept Machine) error {
	var errs []error
	if p.Network != nil {
		errs = append(errs, p.Network.Close())
	}
	if p.Machine != nil && p.Machine != kept {
		errs = append(errs, p.Machine.Close())
	}
	if p.Checkpoints != nil {
		errs = append(errs, p.Checkpoints.Close())
	}
	return errors.Join(append(errs, p.Close())...)
}

// OpenCheckpoints opens a folder of checkpoints and verifies of the newest sound one what restoring it reads, before Raft
// commits itself to it. Those that are damaged are set aside. The rest is verified when it is used.
func OpenCheckpoints(c snapshot.Config) (*snapshot.Store, error) {
	store, err := snapshot.OpenStore(c)
	if err != nil {
		return nil, fmt.Errorf("open checkpoints: %w", err)
	}
	for {
		metas, err := store.List()
		if err != nil {
			return nil, err
		}
		if len(metas) == 0 {
			return store, nil
		}
		id := metas[0].ID
		err = checkCheckpoint(store, id)
		if err == nil {
			return store, nil
		}
		if !snapshot.IsDamage(err) {
			return nil, fmt.Errorf("verify checkpoint %s: %w", id, err)
		}
	}
}

// checkCheckpoint gives an error that matches IsDamage for a checkpoint that the store has set aside.
func checkCheckpoint(store *snapshot.Store, id string) error {
	c, err := store.OpenCheckpoint(id)
	if err != nil {
		return err
	}
	return errors.Join(fsm.CheckCheckpoint(c), c.Close())
}
