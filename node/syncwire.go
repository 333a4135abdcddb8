package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/s2"

	"lockstep/node/link"
)

// A connection of purpose 2 moves one checkpoint. Messages on it, integers little-endian:
//
//	size  field    meaning
//	1     kind     below
//	4     length   of the body
//	n     body
//
//	kind          from      body
//	1  offer      leader    version of this protocol (1), term (8), the checkpoint's index (8) and term (8), the most bytes that
//	                        may be said in kind 2 (8)
//	2  have       follower  what it has (snapshot.Have)
//	3  chunk      leader    method (1), length of the contents (4), contents: the next piece of a delta (snapshot/delta.go)
//	4  alive      follower  nothing; so that the leader goes on waiting
//	5  answer     follower  term (8), success (1), an error's text
//
// The leader offers, the follower says what it has, the leader sends chunks, and the follower answers what Raft's
// InstallSnapshot would be answered. It may answer at any time, and nothing more comes then. A chunk's method is 0 for plain
// contents and 1 for an S2 block.
const (
	syncVersion = 1

	kindOffer  = 1
	kindHave   = 2
	kindChunk  = 3
	kindAlive  = 4
	kindAnswer = 5

	messageHeadBytes   = 5
	offerBytes         = 33
	answerHeadBytes    = 9
	maxSyncAnswerBytes = 4 << 10

	maxDrainBytes = 16 << 20 // more than an honest leader has under way

	chunkBytes     = 256 << 10 // of contents, at most
	chunkHeadBytes = 5
	methodPlain    = 0
	methodS2       = 1
)

// errSyncProtocol marks what is no message of this protocol.
var errSyncProtocol = errors.New("not the protocol in which checkpoints are sent")

// syncConn is a connection of purpose 2. Every exchange with the other side must move within the timeout, however long the
// whole takes.
type syncConn struct {
	net.Conn
	timeout time.Duration
	// carried counts the bytes of messages in both directions.
	carried atomic.Uint64

	writing sync.Mutex
	out     []byte
}

func newSyncConn(conn net.Conn, timeout time.Duration) *syncConn {
	return &syncConn{Conn: conn, timeout: timeout}
}

// Read implements io.Reader with the timeout.
func (c *syncConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.carried.Add(uint64(n))
	return n, err
}

// send writes one message whose body is the parts.
func (c *syncConn) send(kind byte, parts ...[]byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	c.out = binary.LittleEndian.AppendUint32(append(c.out[:0], kind), uint32(n))
	for _, p := range parts {
		c.out = append(c.out, p...)
	}
	for b := c.out; len(b) > 0; { // in pieces, each with the whole timeout
		piece := b[:min(len(b), link.MaxFrameBytes)]
		if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
			return err
		}
		if _, err := c.Conn.Write(piece); err != nil {
			return err
		}
		c.carried.Add(uint64(len(piece)))
		b = b[len(piece):]
	}
	return nil
}

// receive reads one message with a body of at most most bytes into space, which may be nil.
func (c *syncConn) receive(most int64, space []byte) (kind byte, body []byte, err error) {
	var head [messageHeadBytes]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return 0, nil, err
	}
	n := int64(binary.LittleEndian.Uint32(head[1:]))
	if n > most {
		return 0, nil, fmt.Errorf("%w: message of kind %d with %d bytes, at most %d are expected", errSyncProtocol, head[0], n, most)
	}
	if int64(cap(space)) < n {
		space = make([]byte, n)
	}
	body = space[:n]
	if _, err := io.ReadFull(c, body); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return head[0], body, nil
}

// offer is how a leader begins.
type offer struct {
	term        uint64 // of the leader
	index       uint64 // of the checkpoint's last entry
	entryTerm   uint64
	maxHaveSize int64
}

func (o offer) encode() []byte {
	b := []byte{syncVersion}
	for _, v := range [...]uint64{o.term, o.index, o.entryTerm, uint64(o.maxHaveSize)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func decodeOffer(kind byte, b []byte) (offer, error) {
	if kind != kindOffer || len(b) != offerBytes || b[0] != syncVersion {
		if kind == kindOffer && len(b) > 0 && b[0] != syncVersion {
			return offer{}, fmt.Errorf("%w: version %d, this program speaks version %d", errSyncProtocol, b[0], syncVersion)
		}
		return offer{}, fmt.Errorf("%w: it begins with a message of kind %d with %d bytes", errSyncProtocol, kind, len(b))
	}
	le := binary.LittleEndian
	return offer{term: le.Uint64(b[1:]), index: le.Uint64(b[9:]), entryTerm: le.Uint64(b[17:]), maxHaveSize: int64(min(le.Uint64(b[25:]), math.MaxInt64))}, nil
}

// syncAnswer is what a follower says in the end.
type syncAnswer struct {
	term    uint64
	success bool
	err     string
}

func (a syncAnswer) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, a.term)
	if a.success {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	return append(b, a.err[:min(len(a.err), maxSyncAnswerBytes-answerHeadBytes)]...)
}

func decodeSyncAnswer(b []byte) (syncAnswer, error) {
	if len(b) < answerHeadBytes || b[8] > 1 {
		return syncAnswer{}, fmt.Errorf("%w: answer of %d bytes", errSyncProtocol, len(b))
	}
	return syncAnswer{term: binary.LittleEndian.Uint64(b), success: b[8] == 1, err: string(b[answerHeadBytes:])}, nil
}

// chunkWriter cuts a stream into chunks.
type chunkWriter struct {
	conn   *syncConn
	buf    []byte
	packed []byte
	// wrote is told how much of the stream is out.
	wrote func(n int)
}

// Write implements io.Writer.
func (w *chunkWriter) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		if w.buf == nil {
			w.buf = make([]byte, 0, chunkBytes)
		}
		n := min(len(p), chunkBytes-len(w.buf))
		w.buf = append(w.buf, p[:n]...)
		written += n
		p = p[n:]
		if len(w.buf) == chunkBytes {
			if err := w.flush(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// flush sends what has not filled a chunk.
func (w *chunkWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	method, contents := byte(methodPlain), w.buf
	if w.packed = s2.Encode(w.packed[:cap(w.packed)], w.buf); len(w.packed) < len(w.buf)-len(w.buf)/16 {
		method, contents = methodS2, w.packed
	}
	head := binary.LittleEndian.AppendUint32([]byte{method}, uint32(len(w.buf)))
	if err := w.conn.send(kindChunk, head, contents); err != nil {
		return err
	}
	w.wrote(len(w.buf))
	w.buf = w.buf[:0]
	return nil
}

// chunkReader puts the chunks together again. A chunk never becomes more than chunkBytes.
type chunkReader struct {
	conn *syncConn
	// look is asked before each chunk whether to go on.
	look   func() error
	left   []byte
	packed []byte
	plain  []byte
}

// Read implements io.Reader.
func (r *chunkReader) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		if err := r.look(); err != nil {
			return 0, err
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *chunkReader) next() error {
	if r.packed == nil {
		r.packed, r.plain = make([]byte, chunkHeadBytes+chunkBytes), make([]byte, chunkBytes)
	}
	kind, body, err := r.conn.receive(chunkHeadBytes+chunkBytes, r.packed)
	if err != nil {
		return err
	}
	if kind != kindChunk || len(body) <= chunkHeadBytes {
		return fmt.Errorf("%w: message of kind %d with %d bytes in place of a chunk", errSyncProtocol, kind, len(body))
	}
	n, contents := binary.LittleEndian.Uint32(body[1:]), body[chunkHeadBytes:]
	switch {
	case body[0] == methodPlain && int(n) == len(contents):
		r.left = contents
		return nil
	case body[0] == methodS2 && n > 0 && n <= chunkBytes:
		if size, err := s2.DecodedLen(contents); err != nil || size != int(n) {
			return fmt.Errorf("%w: a chunk of %d bytes says that it unpacks to others: %v", errSyncProtocol, n, err)
		}
		if r.left, err = s2.Decode(r.plain, contents); err != nil {
			return fmt.Errorf("%w: unpack chunk: %w", errSyncProtocol, err)
		}
		return nil
	}
	return fmt.Errorf("%w: chunk of method %d, %d bytes for %d", errSyncProtocol, body[0], len(contents), n)
}
