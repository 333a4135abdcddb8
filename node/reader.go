package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// verifier is the part of raft that proves leadership.
type verifier interface {
	State() raft.RaftState
	CurrentTerm() uint64
	CommitIndex() uint64
	VerifyLeader() raft.Future
	Barrier(timeout time.Duration) raft.Future
	FollowedSince(term uint64, start time.Time) bool
}

// reader gives the log index up to which the state machine must have applied for a linearizable query: the commit index when
// the query came, proved by a majority to be the leader's (Ongaro §6.4, read index). Queries that wait share one proof.
type reader struct {
	raft    verifier
	log     raft.LogStore
	timeout time.Duration

	wake chan struct{} // holds one
	quit chan struct{}
	loop sync.WaitGroup
	// term is the newest term in which an entry of this leader is known to be committed. It belongs to the loop.
	term uint64

	// mu guards the fields below.
	mu      sync.Mutex
	waiting []chan readIndex
	closed  error
}

type readIndex struct {
	index uint64
	err   error
}

func newReader(r verifier, log raft.LogStore, timeout time.Duration) *reader {
	return &reader{raft: r, log: log, timeout: timeout, wake: make(chan struct{}, 1), quit: make(chan struct{})}
}

func (r *reader) start() { r.loop.Go(r.run) }

// index gives the read index of a query that arrives now. A query changes nothing: every error is a refusal.
func (r *reader) index(ctx context.Context) (uint64, error) {
	ticket := make(chan readIndex, 1)
	r.mu.Lock()
	if r.closed != nil {
		r.mu.Unlock()
		return 0, refused(r.closed)
	}
	r.waiting = append(r.waiting, ticket)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
	select {
	case result := <-ticket:
		return result.index, result.err
	case <-ctx.Done():
		return 0, refused(fmt.Errorf("gave up while proving leadership: %w", context.Cause(ctx)))
	}
}

func (r *reader) run() {
	for {
		select {
		case <-r.wake:
		case <-r.quit:
			return
		}
		r.mu.Lock()
		waiting := r.waiting
		r.waiting = nil
		r.mu.Unlock()
		if len(waiting) == 0 {
			continue
		}
		index, err := r.prove()
		for _, ticket := range waiting {
			ticket <- readIndex{index, err}
		}
	}
}

func (r *reader) prove() (uint64, error) {
	if r.raft.State() != raft.Leader {
		return 0, refused(errNotLeader)
	}
	if err := r.beginTerm(); err != nil {
		return 0, readRefusal(err)
	}
	start, committed := time.Now(), r.raft.CommitIndex()
	if err := r.verify(start); err != nil {
		return 0, readRefusal(err)
	}
	index, err := r.applicable(committed)
	if err != nil {
		return 0, refused(err)
	}
	return index, nil
}

// beginTerm makes sure that an entry of this leader's term is committed: before that, its commit index may lag behind what
// an earlier leader has committed.
func (r *reader) beginTerm() error {
	term := r.raft.CurrentTerm()
	if term == r.term {
		return nil
	}
	if err := r.raft.Barrier(r.timeout).Error(); err != nil {
		return err
	}
	r.term = term
	return nil
}

// verify makes sure that this was the leader of its term at a time after start. Raft counts answers to what it had sent before then, too: those that
// gave them may have elected another leader since, and it may have committed more, if their way back is slow. This replica may have voted for
// another one itself, and lead again: its term is looked at last.
func (r *reader) verify(start time.Time) error {
	for {
		if err := r.raft.VerifyLeader().Error(); err != nil {
			return err
		}
		followed := r.raft.FollowedSince(r.term, start)
		switch {
		case r.raft.CurrentTerm() != r.term:
			return raft.ErrLeadershipLost
		case followed:
			return nil
		case time.Since(start) > r.timeout:
			return errors.New("no majority has answered in time")
		}
		select {
		case <-r.quit:
			return errStopping
		case <-time.After(time.Millisecond):
		}
	}
}

// applicable finds the newest entry up to index that reaches the state machine. Raft keeps its own entries to itself.
func (r *reader) applicable(index uint64) (uint64, error) {
	for ; index > 0; index-- {
		var entry raft.Log
		err := r.log.GetLog(index, &entry)
		if errors.Is(err, raft.ErrLogNotFound) {
			return 0, nil // compacted: it is in the checkpoint that the machine holds
		}
		if err != nil {
			return 0, err
		}
		if entry.Type == raft.LogCommand || entry.Type == raft.LogConfiguration {
			return index, nil
		}
	}
	return 0, nil
}

func readRefusal(err error) error {
	if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipLost) || errors.Is(err, raft.ErrLeadershipTransferInProgress) {
		return refused(errNotLeader)
	}
	return refused(fmt.Errorf("prove leadership: %w", err))
}

// close refuses all that waits and everything after it, and waits for the proof under way.
func (r *reader) close(ctx context.Context, reason error) error {
	r.mu.Lock()
	if r.closed == nil {
		r.closed = reason
		close(r.quit)
	}
	waiting := r.waiting
	r.waiting = nil
	r.mu.Unlock()
	for _, ticket := range waiting {
		ticket <- readIndex{err: refused(reason)}
	}
	return waitGroup(ctx, &r.loop, "the proof of leadership")
}
