package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// narrowPipeline answers one request at a time and keeps the next waiting until somebody takes the answer, as raft's own does.
type narrowPipeline struct {
	in   chan *raft.AppendEntriesResponse
	out  chan raft.AppendFuture
	quit chan struct{}
}

func (n *narrowPipeline) AppendEntries(_ *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	n.in <- resp
	return nil, nil
}
func (n *narrowPipeline) Consumer() <-chan raft.AppendFuture { return n.out }
func (n *narrowPipeline) Close() error {
	close(n.quit)
	return nil
}

func (n *narrowPipeline) run() {
	for {
		select {
		case <-n.in:
			select {
			case n.out <- nil:
			case <-n.quit:
				return
			}
		case <-n.quit:
			return
		}
	}
}

// Raft's sender must get on when its listener has gone.
func TestPipelineGoesOnWithoutAListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		narrow := &narrowPipeline{in: make(chan *raft.AppendEntriesResponse), out: make(chan raft.AppendFuture), quit: make(chan struct{})}
		go narrow.run()
		p := drain(narrow)
		sent := make(chan struct{})
		go func() {
			for range 10 {
				_, _ = p.AppendEntries(new(raft.AppendEntriesRequest), nil)
			}
			close(sent)
		}()
		select {
		case <-sent:
		case <-time.After(time.Hour):
			t.Error("the sender waits for a listener")
		}
		for range 10 {
			<-p.Consumer()
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}
