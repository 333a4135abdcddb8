package node

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// answering is a network on which every request is answered after a second, in a term.
type answering struct {
	pulse
	term uint64
	err  error
}

func (a *answering) AppendEntries(_ raft.ServerID, _ raft.ServerAddress, _ *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	time.Sleep(time.Second)
	resp.Term = a.term
	return a.err
}

// What proves that a replica followed is an answer in the leader's term to what was sent at that time or later, whenever it comes.
func TestContactsCountFromWhenTheyWereSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &answering{pulse: pulse{rpcs: make(chan raft.RPC)}, term: 3}
		transport := newTransport(network, &installGuard{base: func() *logBase { return nil }}, &joiner{}, nil)
		defer transport.Close()
		send := func() (sent time.Time) {
			sent = time.Now()
			_ = transport.AppendEntries("n2", "n2", &raft.AppendEntriesRequest{Term: 3}, &raft.AppendEntriesResponse{})
			return sent
		}
		since := func(term uint64, at time.Time) bool { return transport.contacts.since("n2", term, at) }
		first := send()
		if !since(3, first) || since(3, first.Add(1)) || since(2, first) || since(4, first) || transport.contacts.since("n3", 3, first) {
			t.Error("the first answer")
		}
		network.err = errors.New("lost")
		if sent := send(); since(3, sent) {
			t.Error("a request without an answer counts")
		}
		network.err, network.term = nil, 4
		if sent := send(); since(3, sent) || since(4, sent) {
			t.Error("the answer of a replica in another term counts")
		}
		network.term = 3
		go send()
		time.Sleep(time.Millisecond)
		if last := send(); !since(3, last) {
			t.Error("the answer to an earlier request takes the place of a later one's")
		}
	})
}
