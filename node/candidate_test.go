package node

import (
	"bytes"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// alone is a network on which nobody answers.
type alone struct{ pulse }

func (*alone) LocalAddr() raft.ServerAddress                           { return "n1" }
func (*alone) EncodePeer(_ raft.ServerID, a raft.ServerAddress) []byte { return []byte(a) }
func (*alone) DecodePeer(b []byte) raft.ServerAddress                  { return raft.ServerAddress(b) }
func (*alone) RequestVote(raft.ServerID, raft.ServerAddress, *raft.RequestVoteRequest, *raft.RequestVoteResponse) error {
	return io.ErrClosedPipe
}

func (*alone) RequestPreVote(raft.ServerID, raft.ServerAddress, *raft.RequestPreVoteRequest, *raft.RequestPreVoteResponse) error {
	return io.ErrClosedPipe
}

// A replica that stands for election and hears of a leader without following it gives others its vote when that leader is not heard of again.
func TestACandidateThatKnowsALeaderVotes(t *testing.T) {
	for name, hear := range map[string]func(t *testing.T, term uint64, ask func(any, io.Reader) raft.RPCResponse){
		"by a checkpoint in the term in which it asks whether it may stand": func(t *testing.T, term uint64, ask func(any, io.Reader) raft.RPCResponse) {
			cut := &raft.InstallSnapshotRequest{RPCHeader: from("n2"), SnapshotVersion: raft.SnapshotVersionMax, Term: term, Leader: []byte("n2"),
				LastLogIndex: 9, LastLogTerm: 1, Configuration: raft.EncodeConfiguration(three), ConfigurationIndex: 1, Size: 100}
			if answer := ask(cut, bytes.NewReader(make([]byte, 10))); answer.Error == nil {
				t.Fatal("a checkpoint was taken of which a part came")
			}
		},
		"by a heartbeat in the term for which leadership was handed to it": func(t *testing.T, term uint64, ask func(any, io.Reader) raft.RPCResponse) {
			ask(&raft.AppendEntriesRequest{RPCHeader: from("n3"), Term: term}, nil)
			ask(&raft.TimeoutNowRequest{RPCHeader: from("n3")}, nil)
			synctest.Wait()
			ask(&raft.AppendEntriesRequest{RPCHeader: from("n2"), Term: term + 1}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) { knowsALeader(t, hear) })
	}
}

var three = raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "n1"}, {ID: "n2", Address: "n2"}, {ID: "n3", Address: "n3"}}}

func from(id string) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: []byte(id)}
}

func knowsALeader(t *testing.T, hear func(t *testing.T, term uint64, ask func(any, io.Reader) raft.RPCResponse)) {
	synctest.Test(t, func(t *testing.T) {
		network := &alone{pulse{rpcs: make(chan raft.RPC)}}
		store, checkpoints := raft.NewInmemStore(), raft.NewInmemSnapshotStore()
		guard := &installGuard{logger: slog.New(slog.DiscardHandler), log: store, base: func() *logBase { return nil }}
		transport := newTransport(network, guard, &joiner{}, nil)
		defer transport.Close()
		conf := raft.DefaultConfig()
		conf.LocalID, conf.Logger = "n1", hclog.NewNullLogger()
		if err := raft.BootstrapCluster(conf, store, store, checkpoints, transport, three); err != nil {
			t.Fatal(err)
		}
		r, err := raft.NewRaft(conf, &raft.MockFSM{}, store, store, checkpoints, transport)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := r.Shutdown().Error(); err != nil {
				t.Error(err)
			}
		}()
		guard.attach(r)
		ask := func(command any, body io.Reader) raft.RPCResponse {
			answer := make(chan raft.RPCResponse, 1)
			network.rpcs <- raft.RPC{Command: command, Reader: body, RespChan: answer}
			return <-answer
		}
		time.Sleep(3 * conf.HeartbeatTimeout)
		if r.State() != raft.Candidate {
			t.Fatalf("nobody leads, and the replica is %v", r.State())
		}
		hear(t, r.CurrentTerm(), ask)
		synctest.Wait()
		if leader, _ := r.LeaderWithID(); r.State() != raft.Candidate || leader == "" {
			t.Fatalf("the replica is %v and knows the leader %q: nothing is shown", r.State(), leader)
		}
		vote := &raft.RequestPreVoteRequest{RPCHeader: from("n3"), Term: r.CurrentTerm() + 1, LastLogIndex: 9, LastLogTerm: 1}
		for range 20 {
			if ask(vote, nil).Response.(*raft.RequestPreVoteResponse).Granted {
				return
			}
			time.Sleep(conf.HeartbeatTimeout)
		}
		leader, _ := r.LeaderWithID()
		t.Errorf("a %v of term %d refuses its vote; it says that %q leads", r.State(), r.CurrentTerm(), leader)
	})
}
