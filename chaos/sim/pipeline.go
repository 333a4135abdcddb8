package sim

import (
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// pipelineDepth is how many requests of a pipeline are on their way, as in raft's network transport.
const pipelineDepth = 2 // one waits while one is answered

// pipeline sends AppendEntries one after the other without making raft wait for the answers.
type pipeline struct {
	t      *transport
	target raft.ServerAddress
	queue  chan *appendFuture
	done   chan raft.AppendFuture
	quit   chan struct{}
	once   sync.Once
}

// AppendEntriesPipeline implements raft.Transport.
func (t *transport) AppendEntriesPipeline(_ raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	p := &pipeline{t: t, target: target, queue: make(chan *appendFuture, pipelineDepth-1), done: make(chan raft.AppendFuture),
		quit: make(chan struct{})}
	go p.run()
	return p, nil
}

func (p *pipeline) run() {
	for {
		select {
		case f := <-p.queue:
			f.err = exchange(p.t, p.target, f.request, f.response, nil)
			close(f.ready)
			select {
			case p.done <- f:
			case <-p.quit:
				return
			}
		case <-p.quit:
			return
		}
	}
}

var errPipelineClosed = errors.New("pipeline is closed")

// AppendEntries implements raft.AppendPipeline.
func (p *pipeline) AppendEntries(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	f := &appendFuture{start: time.Now(), request: req, response: resp, ready: make(chan struct{})}
	select {
	case p.queue <- f:
		return f, nil
	case <-p.quit:
		return nil, errPipelineClosed
	case <-p.t.closed:
		return nil, raft.ErrTransportShutdown
	}
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.done }

// Close implements raft.AppendPipeline.
func (p *pipeline) Close() error {
	p.once.Do(func() { close(p.quit) })
	return nil
}

// appendFuture is one request of a pipeline.
type appendFuture struct {
	start    time.Time
	request  *raft.AppendEntriesRequest
	response *raft.AppendEntriesResponse
	ready    chan struct{}
	err      error
}

func (f *appendFuture) Error() error {
	<-f.ready
	return f.err
}

func (f *appendFuture) Start() time.Time                      { return f.start }
func (f *appendFuture) Request() *raft.AppendEntriesRequest   { return f.request }
func (f *appendFuture) Response() *raft.AppendEntriesResponse { return f.response }
