package node

import (
	"context"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
	"lockstep/pagetrie"
)

// Answer is what a caller is told: its own result, and of which round.
type Answer struct {
	fsm.Result
	// Index is the log index of the round that answered, Time and Root its time and the state's root after it.
	Index uint64
	Time  int64
	Root  pagetrie.Hash
}

// Submit puts a message into a round and waits for its result. Only the leader does. OutcomeOf says of an error whether the
// message may have happened.
func (n *Node) Submit(ctx context.Context, m fsm.Message) (Answer, error) {
	r, err := n.leading()
	if err != nil {
		return Answer{}, refused(err)
	}
	if err := m.Validate(); err != nil {
		return Answer{}, refused(err)
	}
	return r.batcher.submit(ctx, m)
}

// Query answers a linearizable query. Only the leader does. An error is always a refusal.
func (n *Node) Query(ctx context.Context, q fsm.Query) (Answer, error) {
	r, err := n.leading()
	if err != nil {
		return Answer{}, refused(err)
	}
	if err := r.waitLinearizable(ctx); err != nil {
		return Answer{}, err
	}
	return r.read(q)
}

// QueryStale answers a query from whatever state this replica has.
func (n *Node) QueryStale(q fsm.Query) (Answer, error) {
	r, err := n.serving()
	if err != nil {
		return Answer{}, refused(err)
	}
	return r.read(q)
}

// Raft is the running replica's Raft, for membership changes and leadership transfers; nil when none runs.
func (n *Node) Raft() *raft.Raft {
	if r := n.current(); r != nil {
		return r.raft
	}
	return nil
}

// leading gives the replica if it is the leader's.
func (n *Node) leading() (*replica, error) {
	r, err := n.serving()
	if err != nil {
		return nil, err
	}
	if r.raft.State() != raft.Leader {
		return nil, errNotLeader
	}
	return r, nil
}

// waitLinearizable waits until the state machine has applied everything that was committed when it was called.
func (r *replica) waitLinearizable(ctx context.Context) error {
	index, err := r.reader.index(ctx)
	if err != nil {
		return err
	}
	if err := r.machine.WaitIndex(ctx, index); err != nil {
		return refused(err)
	}
	return nil
}

// read runs one query.
func (r *replica) read(q fsm.Query) (Answer, error) {
	result, err := r.machine.Query(q)
	if err != nil {
		return Answer{}, refused(err)
	}
	return Answer{Result: result.Result, Index: result.Index, Time: result.Time, Root: result.Root}, nil
}
