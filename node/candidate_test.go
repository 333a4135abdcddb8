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

// A replica that stands for election and is sent a checkpoint by the leader of its term follows that one, and gives others its vote when it is
// not heard of again.
func TestACandidateThatIsSentACheckpointVotesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &alone{pulse{rpcs: make(chan raft.RPC)}}
		store, checkpoints := raft.NewInmemStore(), raft.NewInmemSnapshotStore()
		guard := &installGuard{logger: slog.New(slog.DiscardHandler), log: store, base: func() *logBase { return nil }}
		transport := newTransport(network, guard, &joiner{}, nil)
		defer transport.Close()
		conf := raft.DefaultConfig()
		conf.LocalID, conf.Logger = "n1", hclog.NewNullLogger()
		servers := raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "n1"}, {ID: "n2", Address: "n2"}, {ID: "n3", Address: "n3"}}}
		if err := raft.BootstrapCluster(conf, store, store, checkpoints, transport, servers); err != nil {
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
		of := func(id string) raft.RPCHeader {
			return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: []byte(id)}
		}
		cut := &raft.InstallSnapshotRequest{RPCHeader: of("n2"), SnapshotVersion: raft.SnapshotVersionMax, Term: r.CurrentTerm(), Leader: []byte("n2"),
			LastLogIndex: 9, LastLogTerm: 1, Configuration: raft.EncodeConfiguration(servers), ConfigurationIndex: 1, Size: 100}
		if answer := ask(cut, bytes.NewReader(make([]byte, 10))); answer.Error == nil {
			t.Fatal("a checkpoint was taken of which a part came")
		}
		vote := &raft.RequestPreVoteRequest{RPCHeader: of("n3"), Term: r.CurrentTerm() + 1, LastLogIndex: 9, LastLogTerm: 1}
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
