package link

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"sync/atomic"
)

// Behind its greeting, a connection between replicas carries frames in both directions:
//
//	offset  size  field      meaning
//	0       4     length     of the payload, 1 to MaxFrameBytes, little-endian
//	4       4     checksum   CRC-32C of the frame's number in its direction (8 bytes, little-endian, from 0), length and payload
//	8             payload
//
// TCP's own checksum lets some faults of a network through, and Raft's decoder takes what it is given. A frame that is damaged,
// repeated or missing ends the connection before a byte of it is read.
const frameHeadBytes = 8

// MaxFrameBytes is the longest payload of a frame. A longer Write becomes several.
const MaxFrameBytes = 64 << 10

// CorruptError reports a connection whose bytes did not arrive as they were sent. It is closed; the sender tries again on
// another one.
type CorruptError struct {
	// Peer is the other node's ID.
	Peer string
	// Frame is the number of the frame on this connection.
	Frame uint64
	Fault string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("connection with node %s is corrupt at frame %d: %s; it is closed, and what was under way is sent again", e.Peer, e.Frame, e.Fault)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// framedConn is a connection of frames. As with any net.Conn one goroutine may read while another writes.
type framedConn struct {
	net.Conn
	peer       string
	r          *bufio.Reader
	in, out    uint64 // frames read, written
	left       []byte // read, not yet taken
	inbound    []byte
	outbound   []byte
	readFault  error
	writeFault error

	most       int64        // bytes that may be read before something is written; 0: any number
	unanswered atomic.Int64 // read since
}

func newFramedConn(conn net.Conn, peer string) *framedConn {
	return &framedConn{Conn: conn, peer: peer, r: bufio.NewReaderSize(conn, MaxFrameBytes)}
}

// checksum covers a frame's number, its length and its payload.
func checksum(number uint64, payload []byte) uint32 {
	var head [12]byte
	binary.LittleEndian.PutUint64(head[:], number)
	binary.LittleEndian.PutUint32(head[8:], uint32(len(payload)))
	return crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, payload)
}

// Write implements net.Conn.
func (c *framedConn) Write(p []byte) (written int, err error) {
	c.unanswered.Store(0)
	for len(p) > 0 && c.writeFault == nil {
		n := min(len(p), MaxFrameBytes)
		b := binary.LittleEndian.AppendUint32(c.outbound[:0], uint32(n))
		b = binary.LittleEndian.AppendUint32(b, checksum(c.out, p[:n]))
		c.outbound = append(b, p[:n]...)
		if _, c.writeFault = c.Conn.Write(c.outbound); c.writeFault != nil {
			break // half a frame may be out: nothing can follow
		}
		c.out++
		written += n
		p = p[n:]
	}
	return written, c.writeFault
}

// Read implements net.Conn.
func (c *framedConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(c.left) == 0 {
		if c.readFault == nil {
			c.readFault = c.readFrame()
		}
		if c.readFault != nil {
			return 0, c.readFault
		}
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}

// readFrame reads the next frame into left.
func (c *framedConn) readFrame() error {
	var head [frameHeadBytes]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return err // io.EOF between two frames
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n == 0 || n > MaxFrameBytes {
		return c.corrupt(fmt.Sprintf("a frame of %d bytes, 1 to %d are possible", n, MaxFrameBytes))
	}
	if c.most > 0 && c.unanswered.Add(int64(n)) > c.most {
		return fmt.Errorf("node %s has sent a message of more than %d bytes: the connection is closed", c.peer, c.most)
	}
	if uint32(cap(c.inbound)) < n {
		c.inbound = make([]byte, max(n, 4096))
	}
	payload := c.inbound[:n]
	if _, err := io.ReadFull(c.r, payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if got, want := checksum(c.in, payload), binary.LittleEndian.Uint32(head[4:]); got != want {
		return c.corrupt(fmt.Sprintf("its checksum is %08x, it says %08x", got, want))
	}
	c.in++
	c.left = payload
	return nil
}

func (c *framedConn) corrupt(fault string) error {
	return &CorruptError{Peer: c.peer, Frame: c.in, Fault: fault}
}
