package node

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// pulse is a network that keeps the handler of heartbeats.
type pulse struct {
	Network
	handler func(raft.RPC)
	rpcs    chan raft.RPC
}

func (p *pulse) SetHeartbeatHandler(f func(raft.RPC)) { p.handler = f }
func (p *pulse) Consumer() <-chan raft.RPC            { return p.rpcs }
func (p *pulse) Close() error                         { return nil }

// beaten is a replica in some state.
type beaten struct {
	state   raft.RaftState
	term    uint64
	applied uint64
}

func (b beaten) State() raft.RaftState { return b.state }
func (b beaten) CurrentTerm() uint64   { return b.term }
func (b beaten) LastIndex() uint64     { return 7 }
func (b beaten) AppliedIndex() uint64  { return b.applied }

func (b beaten) LeaderWithID() (raft.ServerAddress, raft.ServerID) { return "", "" }

// Heartbeats change nothing in raft beside its own goroutine: they reach it as any other request does. One of the leader that is followed
// is answered at once, also while raft is busy, and again while it still is.
func TestHeartbeatsReachRaftInItsTurn(t *testing.T) {
	for name, tc := range map[string]struct {
		replica runningRaft
		atOnce  bool
	}{
		"starting":            {nil, false},
		"of its leader":       {beaten{state: raft.Follower, term: 3}, true},
		"as a candidate":      {beaten{state: raft.Candidate, term: 3}, false},
		"in an earlier term":  {beaten{state: raft.Follower, term: 2}, false},
		"of a former leader":  {beaten{state: raft.Follower, term: 4}, false},
		"while it leads":      {beaten{state: raft.Leader, term: 3}, false},
		"when it has stopped": {beaten{state: raft.Shutdown, term: 3}, false},
	} {
		t.Run(name, func(t *testing.T) {
			network := &pulse{rpcs: make(chan raft.RPC)}
			transport := newTransport(network, &installGuard{base: func() *logBase { return nil }}, &joiner{}, nil)
			defer transport.Close()
			if tc.replica != nil {
				transport.guard.attach(tc.replica)
			}
			transport.SetHeartbeatHandler(func(raft.RPC) { t.Error("raft was called beside its own goroutine") })
			for range 3 {
				answer := make(chan raft.RPCResponse, 1)
				beat := raft.RPC{Command: &raft.AppendEntriesRequest{Term: 3}, RespChan: answer}
				if tc.atOnce {
					network.handler(beat)
					if got, ok := (<-answer).Response.(*raft.AppendEntriesResponse); !ok || !got.Success || got.Term != 3 || got.LastLog != 7 {
						t.Fatalf("answered %+v", got)
					}
					continue
				}
				network.handler(beat) // it does not wait
				select {
				case rpc := <-transport.Consumer():
					rpc.Respond(&raft.AppendEntriesResponse{Term: 9}, nil)
				case <-time.After(10 * time.Second):
					t.Fatal("raft was not told")
				}
				if got := (<-answer).Response.(*raft.AppendEntriesResponse); got.Term != 9 {
					t.Errorf("answered %+v, not by raft", got)
				}
			}
			if !tc.atOnce {
				return
			}
			select {
			case rpc := <-transport.Consumer():
				rpc.Respond(&raft.AppendEntriesResponse{}, nil)
			case <-time.After(10 * time.Second):
				t.Fatal("raft was not told")
			}
		})
	}
}
