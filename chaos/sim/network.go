package sim

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// network carries messages between replicas: each is a message of its own with its own fate, decided by the rules of the faults
// that are on.
type network struct {
	// base is what a message takes on an undisturbed link, timeout how long its sender waits for the answer.
	base, timeout time.Duration
	watch         *watchdog

	mu    sync.Mutex
	rng   *rand.Rand
	ends  map[int]*transport // by replica
	rules []*rule

	timers sync.Pool // of *time.Timer, stopped
}

func newNetwork(seed uint64, timeout time.Duration, w *watchdog) *network {
	return &network{base: 500 * time.Microsecond, timeout: timeout, watch: w, rng: rand.New(rand.NewPCG(seed, 0x6e6574)), ends: map[int]*transport{}}
}

// timer gives one that fires after d; the caller gives it back by done. A message waits three times.
func (n *network) timer(d time.Duration) *time.Timer {
	if t, ok := n.timers.Get().(*time.Timer); ok {
		t.Reset(d)
		return t
	}
	return time.NewTimer(d)
}

func (n *network) done(t *time.Timer) {
	t.Stop()
	n.timers.Put(t)
}

// rule is what one fault does to messages.
type rule struct {
	// links are the directed pairs of replicas that it is about.
	links map[[2]int]bool
	// installs restricts it to InstallSnapshot.
	installs bool
	rate     float64
	apply    func(r *rand.Rand, size int, f *fate)
	// hits counts the messages that it had an effect on.
	hits uint64
}

// fate is what becomes of a message.
type fate struct {
	// lost messages are never answered; reset ones fail at once.
	lost, reset bool
	delay       time.Duration
	// crawl is the part of delay that a message's size costs, on the slowest stretch of its way.
	crawl time.Duration
	// again is the time after which a second copy arrives; 0 for none.
	again time.Duration
	// corrupt flips a bit of a stream, limit ends it early (-1: not), bytes a second slow it down (0: not).
	corrupt bool
	limit   int
	slow    int
	// slowed is the rule that says so: when it ends the stream goes on at full speed.
	slowed *rule
}

var (
	errTimeout = errors.New("i/o timeout")
	errReset   = errors.New("connection reset by peer")
	errCorrupt = errors.New("connection closed: bad checksum")
)

// add puts a rule in force.
func (n *network) add(r *rule) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rules = append(n.rules, r)
}

// remove ends a rule and gives the number of messages that it has hit.
func (n *network) remove(r *rule) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.rules {
		if n.rules[i] == r {
			n.rules = append(n.rules[:i:i], n.rules[i+1:]...)
			break
		}
	}
	return r.hits
}

// decide draws a message's fate.
func (n *network) decide(from, to, size int, install bool) fate {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := fate{delay: n.base + time.Duration(n.rng.Int64N(int64(n.base))), limit: -1}
	for _, r := range n.rules {
		if !r.links[[2]int{from, to}] || r.installs && !install || r.rate > 0 && n.rng.Float64() >= r.rate {
			continue
		}
		r.hits++
		r.apply(n.rng, size, &f)
		if f.slow > 0 && f.slowed == nil {
			f.slowed = r
		}
	}
	return f
}

// end gives the transport that answers for a replica now, nil if none does.
func (n *network) end(replica int) *transport {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ends[replica]
}

// attach makes t the one that answers for its replica.
func (n *network) attach(t *transport) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ends[t.self] = t
}

func (n *network) detach(t *transport) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ends[t.self] == t {
		delete(n.ends, t.self)
	}
}

// serverID names a replica for raft, as its address too.
func serverID(replica int) raft.ServerID { return raft.ServerID("n" + strconv.Itoa(replica)) }

// replicaOf is the inverse of serverID; 0 for what is no replica's name.
func replicaOf[S ~string | ~[]byte](id S) int {
	if len(id) < 2 || id[0] != 'n' {
		return 0
	}
	n, err := strconv.Atoi(string(id[1:]))
	if err != nil {
		return 0
	}
	return n
}

// call sends a request to a replica and waits for the answer, as a connection does that is broken by a lost message.
func (t *transport) call(target raft.ServerAddress, command any, body *body) (any, error) {
	to, size := replicaOf(target), sizeOf(command)+body.size()
	_, install := command.(*raft.InstallSnapshotRequest)
	t.net.watch.sent(t, to, command)
	if !t.gate.pass(t.closed) {
		return nil, raft.ErrTransportShutdown
	}
	timeout := t.net.timeout
	if install {
		timeout *= 4
	}
	f := t.net.decide(t.self, to, size, install)
	peer := t.net.end(to)
	switch {
	case f.reset || peer == nil && !f.lost:
		return nil, t.pause(t.net.base, fmt.Errorf("dial %s: %w", target, errReset))
	case f.lost:
		return nil, t.pause(timeout, errTimeout)
	case f.corrupt && !install:
		return nil, t.pause(min(f.delay, timeout), errCorrupt)
	}
	if f.again > 0 {
		t.late(peer, copyCommand(command), body, f, f.delay+f.again)
	}
	if f.delay >= timeout {
		t.late(peer, copyCommand(command), body, f, f.delay)
		return nil, t.pause(timeout, errTimeout)
	}
	if err := t.pause(f.delay, nil); err != nil {
		return nil, err
	}
	answer, err := peer.receive(copyCommand(command), t.stream(body, f), timeout)
	back := t.net.decide(to, t.self, 32, false)
	switch {
	case errors.Is(err, errReset):
		return nil, t.pause(min(back.delay, timeout), err)
	case errors.Is(err, errTimeout) || back.lost:
		return nil, t.pause(timeout-f.delay, errTimeout)
	case back.corrupt || back.reset:
		return nil, t.pause(min(back.delay, timeout), errReset)
	}
	if !t.gate.pass(t.closed) {
		return nil, raft.ErrTransportShutdown
	}
	if waited := t.pause(min(back.delay, timeout), nil); waited != nil {
		return nil, waited
	}
	if back.delay >= timeout {
		return nil, errTimeout
	}
	return answer, err
}

// pause waits and then gives err, or the end of the transport if that comes first.
func (t *transport) pause(d time.Duration, err error) error {
	if d <= 0 {
		return err
	}
	timer := t.net.timer(d)
	defer t.net.done(timer)
	select {
	case <-timer.C:
		return err
	case <-t.closed:
		return raft.ErrTransportShutdown
	}
}

// late delivers a message whose answer nobody waits for.
func (t *transport) late(peer *transport, command any, body *body, f fate, after time.Duration) {
	go func() {
		timer := time.NewTimer(after)
		defer timer.Stop()
		select {
		case <-timer.C:
			_, _ = peer.receive(command, t.stream(body, f), t.net.timeout) // nobody listens
		case <-peer.closed:
		}
	}()
}

// stream is a checkpoint on its way: possibly damaged, cut short or slow.
func (t *transport) stream(body *body, f fate) *bodyReader {
	if body == nil {
		return nil
	}
	s := &bodyReader{number: body.number, data: body.data, closed: t.closed}
	if f.slow > 0 {
		s.rate = func() int {
			if t.net.has(f.slowed) {
				return f.slow
			}
			return 0
		}
	}
	if f.limit >= 0 && f.limit < len(body.data) {
		s.data, s.end = body.data[:f.limit], errReset
	}
	if f.corrupt {
		s.data = append([]byte(nil), s.data...)
		if len(s.data) > 0 {
			s.data[len(s.data)*2/3] ^= 0x10
		}
	}
	return s
}

// body is what follows an InstallSnapshot, nil for other messages: a checkpoint as its sender read it, and the number of that reading.
type body struct {
	number uint64
	data   []byte
}

func (b *body) size() int {
	if b == nil {
		return 0
	}
	return len(b.data)
}

// bodyReader reads a stream that takes virtual time.
type bodyReader struct {
	number uint64
	data   []byte
	rate   func() int // bytes a second; 0: at once; nil is always 0
	end    error
	closed <-chan struct{}
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if len(b.data) == 0 {
		if b.end != nil {
			return 0, b.end
		}
		return 0, io.EOF
	}
	n := min(len(p), len(b.data))
	rate := 0
	if b.rate != nil {
		rate = b.rate()
	}
	if rate > 0 {
		n = min(n, max(rate/20, 1))
		timer := time.NewTimer(time.Duration(n) * time.Second / time.Duration(rate))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-b.closed:
			return 0, errReset
		}
	}
	copy(p, b.data[:n])
	b.data = b.data[n:]
	return n, nil
}
