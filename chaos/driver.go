package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"lockstep/chaos/workload"
	"lockstep/fsm"
)

// ErrRefused marks a call that certainly did not happen. Any other error of a Caller means that nobody knows.
var ErrRefused = errors.New("refused")

// Caller is one client's way to the cluster, used by one goroutine.
type Caller interface {
	// Call sends a message and waits for its outcome.
	Call(ctx context.Context, m workload.Message) (fsm.Status, error)
}

// DriverConfig says who sends what.
type DriverConfig struct {
	// Clients is the number of concurrent clients, each with one message on its way at a time; at least 1.
	Clients int
	// Connect makes a client's Caller, with a session of its own. It is called again when the session has expired.
	Connect func(ctx context.Context, client int) (Caller, error)
	// Messages gives a client's messages.
	Messages func(client int) workload.Messages
	// Grace is how long calls that are on their way at the end may still take; 0 means 10 s.
	Grace time.Duration
}

// Traffic counts calls and what became of them.
type Traffic struct {
	// Updates counts acknowledged updates, Queries answered queries, by the name of their status.
	Updates map[string]uint64 `json:"updates"`
	Queries map[string]uint64 `json:"queries"`
	// Refused counts the errors after which the message certainly did not happen, Unknown all others.
	Refused uint64 `json:"refused"`
	Unknown uint64 `json:"unknown"`
	// LastError is the newest of those errors.
	LastError string `json:"last_error,omitempty"`
	// Latency is that of acknowledged updates; QueryLatency that of answered queries.
	Latency      Latency `json:"latency"`
	QueryLatency Latency `json:"query_latency"`
}

// Acknowledged is the number of calls with an outcome: updates and queries.
func (t Traffic) Acknowledged() uint64 { return sum(t.Updates) + sum(t.Queries) }

func sum(counts map[string]uint64) uint64 {
	var n uint64
	for _, k := range counts {
		n += k
	}
	return n
}

// Latency summarises a histogram with three significant digits.
type Latency struct {
	Count uint64        `json:"count"`
	P50   time.Duration `json:"p50_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
}

// Bounds of what the histograms can tell apart: longer calls count as the longest.
const (
	latencyLeast = time.Microsecond
	latencyMost  = 10 * time.Minute
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(latencyLeast), int64(latencyMost), 3)
}

func summarise(h *hdrhistogram.Histogram) Latency {
	return Latency{
		Count: uint64(h.TotalCount()), P50: time.Duration(h.ValueAtQuantile(50)),
		P99: time.Duration(h.ValueAtQuantile(99)), Max: time.Duration(h.Max()),
	}
}

// Driver runs clients against a cluster: one goroutine each, from StartDriver until Stop or the end of its context.
type Driver struct {
	cfg     DriverConfig
	issue   context.Context // ends when no new message may be sent
	stop    context.CancelFunc
	call    context.Context // ends when calls on their way are given up
	abandon context.CancelFunc
	running sync.WaitGroup

	mu               sync.Mutex
	traffic          Traffic
	updates, queries *hdrhistogram.Histogram
	recent           *hdrhistogram.Histogram // of updates since the last Recent
}

// retryPause is what a client waits after an error, so that a cluster in trouble is not flooded.
const retryPause = 50 * time.Millisecond

// StartDriver lets the clients loose. The caller must call Stop.
func StartDriver(c DriverConfig) *Driver {
	if c.Grace == 0 {
		c.Grace = 10 * time.Second
	}
	d := &Driver{
		cfg:     c,
		traffic: Traffic{Updates: map[string]uint64{}, Queries: map[string]uint64{}},
		updates: newHistogram(), queries: newHistogram(), recent: newHistogram(),
	}
	d.issue, d.stop = context.WithCancel(context.Background())
	d.call, d.abandon = context.WithCancel(context.Background())
	for i := range c.Clients {
		d.running.Go(func() { d.client(i) })
	}
	return d
}

// Stop lets the calls that are on their way finish, for as long as the grace, and ends the clients. If ctx ends first,
// the calls are given up at once. Stop may be called again.
func (d *Driver) Stop(ctx context.Context) {
	d.stop()
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Grace)
	defer cancel()
	ended := context.AfterFunc(ctx, d.abandon)
	d.running.Wait()
	ended()
	d.abandon()
}

// client sends one client's messages.
func (d *Driver) client(number int) {
	messages := d.cfg.Messages(number)
	var caller Caller
	for d.issue.Err() == nil {
		if caller == nil {
			var err error
			if caller, err = d.cfg.Connect(d.issue, number); err != nil {
				if d.issue.Err() != nil {
					return // it is over: that a session could not be opened any more is no error
				}
				caller = nil
				d.failed(fmt.Errorf("%w: open a session: %w", ErrRefused, err))
				continue
			}
		}
		if status := d.send(caller, messages.Next()); status == fsm.StatusSessionExpired {
			caller = nil
		}
	}
}

// send sends one message and books what became of it; the status is 0 after an error.
func (d *Driver) send(caller Caller, m workload.Message) fsm.Status {
	began := time.Now()
	status, err := caller.Call(d.call, m)
	if err != nil {
		d.failed(fmt.Errorf("%s.%s: %w", m.Canister, m.Method, err))
		return 0
	}
	took := int64(min(max(time.Since(began), latencyLeast), latencyMost))
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.Query {
		d.traffic.Queries[status.String()]++
		d.queries.RecordValue(took) // within bounds: no error
		return status
	}
	d.traffic.Updates[status.String()]++
	d.updates.RecordValue(took)
	d.recent.RecordValue(took)
	return status
}

// failed books an error and pauses.
func (d *Driver) failed(err error) {
	d.mu.Lock()
	if errors.Is(err, ErrRefused) {
		d.traffic.Refused++
	} else {
		d.traffic.Unknown++
	}
	d.traffic.LastError = err.Error()
	d.mu.Unlock()
	select {
	case <-d.issue.Done():
	case <-time.After(retryPause):
	}
}

// Traffic is what became of the calls so far. The result is the caller's.
func (d *Driver) Traffic() Traffic {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.traffic
	t.Updates, t.Queries = map[string]uint64{}, map[string]uint64{}
	for status, n := range d.traffic.Updates {
		t.Updates[status] = n
	}
	for status, n := range d.traffic.Queries {
		t.Queries[status] = n
	}
	t.Latency, t.QueryLatency = summarise(d.updates), summarise(d.queries)
	return t
}

// Recent is the latency of the updates acknowledged since it was last called.
func (d *Driver) Recent() Latency {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := summarise(d.recent)
	d.recent.Reset()
	return l
}
