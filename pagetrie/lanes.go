package pagetrie

import "lockstep/pagetrie/sha256x2"

// lanes collects messages and hashes them two at a time. Collecting also parts the reading of hashes scattered over
// memory from the arithmetic, so that the cache misses of many messages overlap.
type lanes struct {
	buf   []byte
	queue []queued
}

// queued is one message, padded, in buf, and where its digest goes.
type queued struct {
	from, to int
	digest   *Hash
}

const (
	laneRoom    = longestMessage + 2*64 // of one message with padding
	laneBytes   = 32 << 10              // greatest capacity
	laneAtFirst = 4 << 10
)

// begin makes room for one message, which the caller appends to what it returns and hands to end.
func (q *lanes) begin() []byte {
	if cap(q.buf)-len(q.buf) < laneRoom {
		q.makeRoom()
	}
	return q.buf[len(q.buf):]
}

func (q *lanes) makeRoom() {
	if cap(q.buf) == laneBytes {
		q.run()
		return
	}
	q.buf = append(make([]byte, 0, min(max(2*cap(q.buf), laneAtFirst), laneBytes)), q.buf...)
}

// end puts message into the queue. Its digest is there after the next run.
func (q *lanes) end(message []byte, digest *Hash) {
	from := len(q.buf)
	to := from + len(sha256x2.Pad(message))
	q.buf = q.buf[:to]
	q.queue = append(q.queue, queued{from, to, digest})
}

// run hashes what is in the queue.
func (q *lanes) run() {
	all := q.queue
	for ; len(all) > 1; all = all[2:] {
		a, b := &all[0], &all[1]
		sha256x2.SumPadded2((*[32]byte)(a.digest), (*[32]byte)(b.digest), q.buf[a.from:a.to], q.buf[b.from:b.to])
	}
	if len(all) == 1 {
		sha256x2.SumPadded((*[32]byte)(all[0].digest), q.buf[all[0].from:all[0].to])
	}
	clear(q.queue)
	q.buf, q.queue = q.buf[:0], q.queue[:0]
}
