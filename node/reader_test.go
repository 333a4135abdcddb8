package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// fakeLeader is a leader whose commit index moves to that of its term only with a barrier.
type fakeLeader struct {
	state          raft.RaftState
	term           uint64
	commit, behind uint64 // behind is the commit index before the first barrier
	barriers       int
	proofs         int
	proof, barrier error
	// old is how many proofs rest on what was sent before the read.
	old int
	// again is by how many terms it is elected again during a proof.
	again uint64
}

func (f *fakeLeader) State() raft.RaftState { return f.state }
func (f *fakeLeader) CurrentTerm() uint64   { return f.term }
func (f *fakeLeader) CommitIndex() uint64 {
	if f.barriers == 0 {
		return f.behind
	}
	return f.commit
}
func (f *fakeLeader) VerifyLeader() raft.Future {
	f.proofs++
	return done{f.proof}
}
func (f *fakeLeader) Barrier(time.Duration) raft.Future {
	f.barriers++
	return done{f.barrier}
}

func (f *fakeLeader) FollowedSince(uint64, time.Time) bool {
	f.term += f.again
	return f.proofs > f.old
}

type done struct{ err error }

func (d done) Error() error { return d.err }

func TestReadIndex(t *testing.T) {
	log := raft.NewInmemStore()
	for i, kind := range []raft.LogType{raft.LogConfiguration, raft.LogNoop, raft.LogCommand, raft.LogCommand, raft.LogNoop, raft.LogBarrier} {
		if err := log.StoreLog(&raft.Log{Index: uint64(i + 1), Type: kind}); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		leader fakeLeader
		want   uint64
		err    error
	}{
		// The machine never sees the entries 5 and 6: waiting for them would be for ever.
		"newest that reaches the machine":       {leader: fakeLeader{state: raft.Leader, term: 2, commit: 6, behind: 6}, want: 4},
		"an entry of the own term is committed": {leader: fakeLeader{state: raft.Leader, term: 2, commit: 4, behind: 1}, want: 4},
		"proved by answers to older requests":   {leader: fakeLeader{state: raft.Leader, term: 2, commit: 4, behind: 4, old: 3}, want: 4},
		"only configuration":                    {leader: fakeLeader{state: raft.Leader, term: 2, commit: 2, behind: 2}, want: 1},
		"compacted":                             {leader: fakeLeader{state: raft.Leader, term: 2, commit: 9, behind: 9}, want: 0},
		"elected again meanwhile":               {leader: fakeLeader{state: raft.Leader, term: 2, commit: 4, behind: 4, again: 2}, err: errNotLeader},
		"follower":                              {leader: fakeLeader{state: raft.Follower}, err: errNotLeader},
		"deposed":                               {leader: fakeLeader{state: raft.Leader, proof: raft.ErrNotLeader}, err: errNotLeader},
		"lost meanwhile":                        {leader: fakeLeader{state: raft.Leader, term: 1, barrier: raft.ErrLeadershipLost}, err: errNotLeader},
	} {
		r := newReader(&tc.leader, log, time.Second)
		r.start()
		for range 2 {
			got, err := r.index(context.Background())
			if got != tc.want || !errors.Is(err, tc.err) || err != nil && OutcomeOf(err) != OutcomeRefused {
				t.Errorf("%s: %d, %v; want %d, %v", name, got, err, tc.want, tc.err)
			}
		}
		if err := r.close(context.Background(), errStopping); err != nil {
			t.Fatal(err)
		}
		if tc.leader.old > 0 && tc.leader.proofs != tc.leader.old+2 {
			t.Errorf("%s: %d proofs", name, tc.leader.proofs)
		}
		if tc.err == nil && tc.leader.barriers != 1 {
			t.Errorf("%s: %d barriers, want one a term", name, tc.leader.barriers)
		}
		if _, err := r.index(context.Background()); !errors.Is(err, errStopping) {
			t.Errorf("%s: after close: %v", name, err)
		}
	}
}
