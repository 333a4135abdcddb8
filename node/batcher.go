package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
)

// proposal is a message that waits for its result.
type proposal struct {
	message fsm.Message
	size    int
	done    chan proposalResult // holds one
	// left is set under the batcher's lock when the proposal has left the queue: into a round, or given up.
	left bool
}

type proposalResult struct {
	answer Answer
	err    error
}

// proposer is the part of raft that takes rounds.
type proposer interface {
	Apply(cmd []byte, timeout time.Duration) raft.ApplyFuture
}

// batcher gathers messages into rounds. A round leaves as soon as fewer than Config.RoundsInFlight are on their way, and
// takes all that waits, up to the limits: alone, a message leaves at once; under load the rounds grow. While no message waits
// but the state machine has work, a round without messages leaves whenever none is on its way.
type batcher struct {
	cfg     *Config
	raft    proposer
	attest  func() fsm.Attestation
	now     func() time.Time
	metrics *metrics
	// committed is told the index of each round that this leader has committed; nil tells nobody.
	committed func(index uint64)
	// ended is told how each round has ended; nil tells nobody.
	ended func(error)
	// await waits for a message that is pending, work tells how long it is until a round without messages has something to do, 0 if it has
	// now; nil for neither.
	await func(context.Context, fsm.Ref) (fsm.Answer, error)
	work  func() time.Duration
	// leads tells when this replica begins to lead and when it ends: only a leader looks for work by itself. nil: it always leads.
	leads <-chan bool

	wake   chan struct{} // holds one
	quit   chan struct{}
	rounds sync.WaitGroup // the loop and the rounds in flight

	// mu guards the fields below.
	mu       sync.Mutex
	queue    []*proposal
	waiting  int
	bytes    int
	inFlight int
	closed   error
}

func newBatcher(cfg *Config, r proposer, attest func() fsm.Attestation, m *metrics) *batcher {
	return &batcher{cfg: cfg, raft: r, attest: attest, now: time.Now, metrics: m,
		wake: make(chan struct{}, 1), quit: make(chan struct{})}
}

func (b *batcher) start() { b.rounds.Go(b.run) }

// submit puts a message into a round and waits for its result. Every error has an outcome.
func (b *batcher) submit(ctx context.Context, message fsm.Message) (Answer, error) {
	p := &proposal{message: message, size: message.Size(), done: make(chan proposalResult, 1)}
	if err := b.enqueue(p); err != nil {
		return Answer{}, err
	}
	select {
	case r := <-p.done:
		return b.finalAnswer(ctx, r)
	case <-ctx.Done():
	}
	if b.giveUp(p) {
		return Answer{}, refused(fmt.Errorf("gave up before the message left in a round: %w", context.Cause(ctx)))
	}
	select {
	case r := <-p.done: // it came at the same time
		return b.finalAnswer(ctx, r)
	default:
		return Answer{}, unknown(fmt.Errorf("gave up while the message was on its way to the other replicas: %w", context.Cause(ctx)))
	}
}

// finalAnswer waits for the end of a message whose canister waits for others.
func (b *batcher) finalAnswer(ctx context.Context, r proposalResult) (Answer, error) {
	if r.err != nil || r.answer.Status != fsm.StatusPending || b.await == nil {
		return r.answer, r.err
	}
	b.poke()
	answer, err := b.await(ctx, r.answer.Ref)
	if err != nil {
		return Answer{}, unknown(fmt.Errorf("the message ran in round %d and its canister waits for others: %w", r.answer.Ref.Round, err))
	}
	return Answer{Result: answer.Result, Index: answer.Index, Time: answer.Time, Root: answer.Root}, nil
}

func (b *batcher) enqueue(p *proposal) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil {
		return refused(b.closed)
	}
	if b.waiting+1 > b.cfg.QueueMessages || b.bytes+p.size > b.cfg.QueueBytes {
		return refused(fmt.Errorf("%w: %d messages of %d bytes wait, at most %d of %d may", errBusy,
			b.waiting, b.bytes, b.cfg.QueueMessages, b.cfg.QueueBytes))
	}
	b.queue = append(b.queue, p)
	b.waiting++
	b.bytes += p.size
	b.poke()
	return nil
}

// giveUp takes a proposal out of the queue; false means that it has left in a round.
func (b *batcher) giveUp(p *proposal) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.left {
		return false
	}
	b.leaveLocked(p)
	return true
}

func (b *batcher) leaveLocked(p *proposal) {
	p.left = true
	b.waiting--
	b.bytes -= p.size
}

func (b *batcher) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// A leader's batcher looks by itself whether there is work: when the next timer is due, at the latest after lookAtMost, as clocks
// are set and work is left over from leaders before, and after lookAgain while a round is on its way or was refused.
const (
	lookAtMost = 100 * time.Millisecond
	lookAgain  = 20 * time.Millisecond
)

func (b *batcher) run() {
	look := time.NewTimer(lookAgain)
	defer look.Stop()
	leads := b.leads == nil
	for {
		select {
		case <-b.wake:
		case <-look.C:
		case leads = <-b.leads:
		case <-b.quit:
			return
		}
		batch, wait := b.cut()
		for ; wait == 0; batch, wait = b.cut() {
			b.propose(batch)
		}
		if look.Stop(); leads {
			look.Reset(wait)
		}
	}
}

// cut takes the next round's messages; wait is when to look again, while enough rounds are in flight or there is nothing to do, and 0 if
// the round is to leave.
func (b *batcher) cut() (batch []*proposal, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed != nil || b.inFlight >= b.cfg.RoundsInFlight:
		return nil, lookAgain
	case b.waiting == 0:
		if b.inFlight > 0 || b.work == nil {
			return nil, lookAgain
		}
		if wait := b.work(); wait > 0 {
			return nil, min(wait, lookAtMost)
		}
		b.inFlight++
		return nil, 0
	}
	size, used := 0, 0
	for _, p := range b.queue {
		if len(batch) == b.cfg.RoundMessages || len(batch) > 0 && size+p.size > b.cfg.RoundBytes {
			break
		}
		used++
		if p.left {
			continue
		}
		b.leaveLocked(p)
		size += p.size
		batch = append(batch, p)
	}
	clear(b.queue[:used])
	b.queue = b.queue[used:]
	b.inFlight++
	b.metrics.roundMessages.Observe(float64(len(batch)))
	b.metrics.roundBytes.Observe(float64(size))
	return batch, 0
}

// propose hands the round to raft, which may keep it waiting while it writes, and leaves the rest to await.
func (b *batcher) propose(batch []*proposal) {
	round := fsm.Round{Time: b.now().UnixNano(), Attested: b.attest(), Messages: make([]fsm.Message, len(batch))}
	for i, p := range batch {
		round.Messages[i] = p.message
	}
	data, err := round.Encode()
	if err != nil {
		b.finish(batch, nil, refused(err))
		return
	}
	start := b.now()
	future := b.raft.Apply(data, b.cfg.RequestTimeout)
	b.rounds.Go(func() {
		result, err := awaitRound(future)
		if err == nil {
			b.metrics.commitSeconds.Observe(b.now().Sub(start).Seconds())
			if b.committed != nil {
				b.committed(result.Index)
			}
		}
		if b.ended != nil {
			b.ended(err)
		}
		b.finish(batch, result, err)
	})
}

// awaitRound waits for the end of a proposed round. An error of the state machine arrives as raft's response.
func awaitRound(future raft.ApplyFuture) (*fsm.RoundResult, error) {
	if err := future.Error(); err != nil {
		return nil, classify(err)
	}
	switch response := future.Response().(type) {
	case *fsm.RoundResult:
		return response, nil
	case error:
		return nil, unknown(response)
	default:
		panic(fmt.Sprintf("state machine answered a round with a %T", response))
	}
}

// finish tells every sender its own result and makes place for the next round.
func (b *batcher) finish(batch []*proposal, result *fsm.RoundResult, err error) {
	if err == nil && len(result.Results) != len(batch) {
		panic(fmt.Sprintf("round of %d messages has %d results", len(batch), len(result.Results)))
	}
	for i, p := range batch {
		if err != nil {
			p.done <- proposalResult{err: err}
			continue
		}
		p.done <- proposalResult{answer: Answer{Result: result.Results[i], Index: result.Index, Time: result.Time, Root: result.Root}}
	}
	b.mu.Lock()
	b.inFlight--
	b.mu.Unlock()
	if err != nil && len(batch) == 0 {
		return // a leader that hands over takes no round: the next look comes soon enough
	}
	b.poke()
}

// close refuses all that waits and everything after it, and waits until the rounds in flight have ended: raft answers them
// while it runs, and may never do so once it is shut down. It gives up when ctx ends.
func (b *batcher) close(ctx context.Context, reason error) error {
	b.mu.Lock()
	if b.closed == nil {
		b.closed = reason
		close(b.quit)
	}
	for _, p := range b.queue {
		if !p.left {
			b.leaveLocked(p)
			p.done <- proposalResult{err: refused(reason)}
		}
	}
	b.queue = nil
	b.mu.Unlock()
	return waitGroup(ctx, &b.rounds, "rounds in flight")
}

// waitGroup waits for a group until ctx ends.
func waitGroup(ctx context.Context, group *sync.WaitGroup, what string) error {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for %s: %w", what, errors.Join(context.Cause(ctx)))
	}
}
