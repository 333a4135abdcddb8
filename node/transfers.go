package node

import (
	"log/slog"
	"sync"
	"time"

	"lockstep/snapshot"
)

// TransferReport describes one checkpoint on its way to or from this node.
type TransferReport struct {
	// Direction is sending or receiving, Peer the other node.
	Direction string `json:"direction"`
	Peer      string `json:"peer"`
	// Index is the checkpoint's last log entry.
	Index uint64 `json:"index"`
	// State is running, done or failed; Reason says why it failed.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Bytes of Total have moved: of what the follower lacks, before compression. Carried is what all messages took, in both
	// directions, after it.
	Bytes   uint64 `json:"bytes"`
	Total   uint64 `json:"total"`
	Carried uint64 `json:"carried"`
	// Pages have moved. Known counts, on the sending side, the pages that the follower had.
	Pages uint64 `json:"pages"`
	Known uint64 `json:"known"`
	// Rate is the mean of Bytes a second, Remaining the seconds that the rest takes at that rate.
	Rate      float64   `json:"rate"`
	Remaining float64   `json:"remaining"`
	Started   time.Time `json:"started"`
	Seconds   float64   `json:"seconds"`
}

const (
	transferSending   = "sending"
	transferReceiving = "receiving"

	transferRunning = "running"
	transferDone    = "done"
	transferFailed  = "failed"

	// transfersKept bounds the transfers that are remembered, transferEvery the pause between two lines about one.
	transfersKept = 16
	transferEvery = 5 * time.Second
)

// transfers remembers the newest transfers of a node.
type transfers struct {
	logger  *slog.Logger
	metrics *metrics

	// mu guards all, and the transfers in it.
	mu  sync.Mutex
	all []*transfer
}

// transfer is one of them. Its methods may be called from any goroutine.
type transfer struct {
	book   *transfers
	conn   *syncConn
	report TransferReport
	told   time.Time // the last line about it
}

func (b *transfers) begin(direction, peer string, index uint64, conn *syncConn) *transfer {
	now := time.Now()
	t := &transfer{book: b, conn: conn, told: now,
		report: TransferReport{Direction: direction, Peer: peer, Index: index, State: transferRunning, Started: now}}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, t)
	if len(b.all) > transfersKept {
		b.all = append([]*transfer(nil), b.all[len(b.all)-transfersKept:]...)
	}
	return t
}

// reports describes the transfers, the newest last.
func (b *transfers) reports() []TransferReport {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]TransferReport, len(b.all))
	for i, t := range b.all {
		if t.report.State == transferRunning {
			t.measure()
		}
		out[i] = t.report
	}
	return out
}

// measure brings the report up to now.
func (t *transfer) measure() {
	r := &t.report
	r.Carried = t.conn.carried.Load()
	r.Seconds = time.Since(r.Started).Seconds()
	if r.Seconds > 0 {
		r.Rate = float64(r.Bytes) / r.Seconds
	}
	if r.Remaining = 0; r.Rate > 0 && r.Total > r.Bytes {
		r.Remaining = float64(r.Total-r.Bytes) / r.Rate
	}
}

// sized is told what a delta is made of.
func (t *transfer) sized(d snapshot.DeltaReport) {
	t.change(func(r *TransferReport) { r.Total, r.Known = d.Bytes, d.Known })
	t.book.logger.Info("sending a checkpoint", "peer", t.report.Peer, "index", t.report.Index, "bytes", d.Bytes, "pages", d.Pages, "known", d.Known)
}

// moved is told that n more bytes of the delta are on their way.
func (t *transfer) moved(n int) { t.change(func(r *TransferReport) { r.Bytes += uint64(n) }) }

func (t *transfer) movedPages(n uint64) { t.change(func(r *TransferReport) { r.Pages = n }) }

// received is told how far a follower is.
func (t *transfer) received(p snapshot.Progress) {
	t.change(func(r *TransferReport) { r.Bytes, r.Total, r.Pages = p.Bytes, p.Total, p.Pages })
}

func (t *transfer) change(f func(*TransferReport)) {
	t.book.mu.Lock()
	f(&t.report)
	tell := time.Since(t.told) >= transferEvery
	if tell {
		t.told = time.Now()
		t.measure()
	}
	r := t.report
	t.book.mu.Unlock()
	if tell {
		t.book.logger.Info(r.Direction+" a checkpoint", "peer", r.Peer, "index", r.Index, "bytes", r.Bytes, "total", r.Total,
			"rate", uint64(r.Rate), "remaining", time.Duration(r.Remaining*float64(time.Second)).Round(time.Second))
	}
}

// end is told what became of it.
func (t *transfer) end(err error) {
	t.book.mu.Lock()
	t.measure()
	t.report.State, t.report.Remaining = transferDone, 0
	if err != nil {
		t.report.State, t.report.Reason = transferFailed, err.Error()
	}
	r := t.report
	t.book.mu.Unlock()
	t.book.metrics.transferred.WithLabelValues(r.Direction).Add(float64(r.Carried))
	fields := []any{"peer", r.Peer, "index", r.Index, "bytes", r.Bytes, "total", r.Total, "carried", r.Carried, "pages", r.Pages,
		"took", time.Duration(r.Seconds * float64(time.Second)).Round(time.Millisecond)}
	if err != nil {
		t.book.logger.Warn(r.Direction+" a checkpoint ended early; what has come is kept for the next attempt", append(fields, "err", err)...)
		return
	}
	t.book.logger.Info(r.Direction+" a checkpoint is done", fields...)
}
