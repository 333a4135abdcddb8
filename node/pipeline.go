package node

import (
	"sync"

	"github.com/hashicorp/raft"
)

// AppendEntriesPipeline implements raft.Transport.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	under, err := t.Network.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	return drain(under), nil
}

// drainedPipeline takes answers from a pipeline whether raft wants them or not. Raft stops listening at the first answer that is no
// success, but may still send; a pipeline with two requests on their way then waits for its listener, raft's sender for the
// pipeline, and the follower is sent nothing more until the leader steps down.
type drainedPipeline struct {
	raft.AppendPipeline
	done chan raft.AppendFuture
	quit chan struct{}
	once sync.Once
}

func drain(under raft.AppendPipeline) *drainedPipeline {
	p := &drainedPipeline{AppendPipeline: under, done: make(chan raft.AppendFuture), quit: make(chan struct{})}
	go p.run()
	return p
}

// Consumer implements raft.AppendPipeline.
func (p *drainedPipeline) Consumer() <-chan raft.AppendFuture { return p.done }

// Close implements raft.AppendPipeline.
func (p *drainedPipeline) Close() error {
	p.once.Do(func() { close(p.quit) })
	return p.AppendPipeline.Close()
}

func (p *drainedPipeline) run() {
	var waiting []raft.AppendFuture
	for {
		var out chan<- raft.AppendFuture
		var next raft.AppendFuture
		if len(waiting) > 0 {
			out, next = p.done, waiting[0]
		}
		select {
		case f := <-p.AppendPipeline.Consumer():
			waiting = append(waiting, f)
		case out <- next:
			waiting = waiting[1:]
		case <-p.quit:
			return
		}
	}
}
