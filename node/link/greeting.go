package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"sync"
	"time"
)

// A connection between replicas begins with a greeting of the side that dialled and an answer of the other:
//
//	greeting            answer
//	size  field         size  field
//	4     magic "LSRP"  4     magic "LSRP"
//	1     version       1     0 = welcome, 1 = refused
//	1     purpose       1+n   reason of a refusal
//	1+n   cluster       4     checksum
//	1+n   from, the dialler's node ID
//	1+n   to, the node ID it means to reach
//	4     checksum
//
// A text is its length in one byte and its bytes. A checksum is the CRC-32C of all bytes before it, little-endian. Frames follow
// (frames.go): purpose 1 is hashicorp/raft's own protocol, purpose 2 a checkpoint.
const (
	greetingMagic   = "LSRP"
	greetingVersion = 2

	maxReasonBytes = 255
)

// purpose is what a connection is for.
type purpose byte

const (
	purposeRaft       purpose = 1
	purposeCheckpoint purpose = 2
)

type greeting struct {
	purpose           purpose
	cluster, from, to string
}

// MaxIDBytes is the longest ID of a node or a cluster.
const MaxIDBytes = 64

// ValidateID says whether an ID can be that of a node or a cluster.
func ValidateID(id string) error {
	if id == "" || len(id) > MaxIDBytes {
		return fmt.Errorf("name %q has %d bytes, must have 1 to %d", id, len(id), MaxIDBytes)
	}
	for _, r := range id {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
		default:
			return fmt.Errorf("name %q: character %q is not allowed: use letters, digits, dots, dashes and underscores", id, r)
		}
	}
	return nil
}

// errGreeting marks bytes that are no greeting of this program.
var errGreeting = errors.New("not a greeting between replicas")

func (g greeting) encode() []byte {
	out := append([]byte(greetingMagic), greetingVersion, byte(g.purpose))
	for _, text := range [...]string{g.cluster, g.from, g.to} {
		out = appendText(out, text)
	}
	return appendSum(out)
}

func appendSum(out []byte) []byte {
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli))
}

// summed reads and keeps what it reads for readSum.
type summed struct {
	io.Reader
	sum uint32
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.sum = crc32.Update(s.sum, castagnoli, p[:n])
	return n, err
}

// readSum reads the checksum of everything before it.
func (s *summed) readSum() error {
	var b [4]byte
	if _, err := io.ReadFull(s.Reader, b[:]); err != nil {
		return fmt.Errorf("%w: %w", errGreeting, err)
	}
	if got := binary.LittleEndian.Uint32(b[:]); got != s.sum {
		return fmt.Errorf("%w: its checksum is %08x, it says %08x: the link is corrupt", errGreeting, s.sum, got)
	}
	return nil
}

func appendText(out []byte, text string) []byte {
	text = text[:min(len(text), maxReasonBytes)]
	return append(append(out, byte(len(text))), text...)
}

// readGreeting reads one greeting and not a byte more.
func readGreeting(under io.Reader) (greeting, error) {
	r := &summed{Reader: under}
	var head [len(greetingMagic) + 1]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return greeting{}, fmt.Errorf("%w: %w", errGreeting, err)
	}
	if !bytes.Equal(head[:len(greetingMagic)], []byte(greetingMagic)) {
		return greeting{}, fmt.Errorf("%w: begins with %x", errGreeting, head[:len(greetingMagic)])
	}
	if head[len(greetingMagic)] != greetingVersion {
		return greeting{}, fmt.Errorf("%w: version %d, this program speaks version %d", errGreeting, head[len(greetingMagic)], greetingVersion)
	}
	var g greeting
	var use [1]byte
	if _, err := io.ReadFull(r, use[:]); err != nil {
		return greeting{}, fmt.Errorf("%w: %w", errGreeting, err)
	}
	g.purpose = purpose(use[0])
	for _, field := range [...]*string{&g.cluster, &g.from, &g.to} {
		text, err := readText(r)
		if err != nil {
			return greeting{}, fmt.Errorf("%w: %w", errGreeting, err)
		}
		*field = text
	}
	if err := r.readSum(); err != nil {
		return greeting{}, err
	}
	for _, id := range [...]string{g.cluster, g.from, g.to} {
		if err := ValidateID(id); err != nil {
			return greeting{}, fmt.Errorf("%w: %w", errGreeting, err)
		}
	}
	return g, nil
}

func readText(r io.Reader) (string, error) {
	var size [1]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return "", err
	}
	text := make([]byte, size[0])
	_, err := io.ReadFull(r, text)
	return string(text), err
}

// refusal says why a node does not talk to the one that greets it; "" welcomes it.
func (g greeting) refusal(cluster, self string, known func(string) bool) string {
	switch {
	case g.cluster != cluster:
		return fmt.Sprintf("this is a node of cluster %q, not of cluster %q", cluster, g.cluster)
	case g.to != self:
		return fmt.Sprintf("this is node %q, not node %q: check the addresses of the peers", self, g.to)
	case !known(g.from):
		return fmt.Sprintf("node %q is not a peer of node %q", g.from, self)
	case g.purpose != purposeRaft && g.purpose != purposeCheckpoint:
		return fmt.Sprintf("node %q knows no connections for purpose %d: is it of another version?", self, g.purpose)
	}
	return ""
}

func encodeAnswer(reason string) []byte {
	out := []byte(greetingMagic)
	if reason == "" {
		return appendSum(appendText(append(out, 0), ""))
	}
	return appendSum(appendText(append(out, 1), reason))
}

// readAnswer gives the reason of a refusal, or "".
func readAnswer(under io.Reader) (string, error) {
	r := &summed{Reader: under}
	var head [len(greetingMagic) + 1]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", fmt.Errorf("%w: %w", errGreeting, err)
	}
	if !bytes.Equal(head[:len(greetingMagic)], []byte(greetingMagic)) || head[len(greetingMagic)] > 1 {
		return "", fmt.Errorf("%w: answer begins with %x", errGreeting, head)
	}
	reason, err := readText(r)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errGreeting, err)
	}
	if err := r.readSum(); err != nil {
		return "", err
	}
	if head[len(greetingMagic)] == 1 && reason == "" {
		reason = "no reason given"
	}
	return reason, nil
}

// welcomingConn is an accepted connection. The greeting is read and answered with the first Read, so that a slow or
// hostile peer never holds up the accept loop. A connection that is not for Raft is served within that Read, on the goroutine
// that Raft's transport has for it, and looks to Raft like one that the other side closed.
type welcomingConn struct {
	net.Conn
	judge   func(greeting) string
	serve   func(from string, conn net.Conn)
	timeout time.Duration
	// welcomed is told who has greeted.
	welcomed func(from string)
	// most is Config.MessageBytes.
	most int64

	once   sync.Once
	framed *framedConn
	err    error
}

func (c *welcomingConn) Read(p []byte) (int, error) {
	c.once.Do(c.begin)
	if c.err != nil {
		return 0, c.err
	}
	return c.framed.Read(p)
}

// Write implements net.Conn. Nothing is written before something was read.
func (c *welcomingConn) Write(p []byte) (int, error) { return c.framed.Write(p) }

func (c *welcomingConn) begin() {
	g, err := c.welcome()
	if err != nil {
		c.err = err
		return
	}
	c.welcomed(g.from)
	c.framed = newFramedConn(c.Conn, g.from)
	if g.purpose == purposeCheckpoint {
		c.serve(g.from, c.framed)
		c.err = io.EOF
	}
	c.framed.most = c.most
}

func (c *welcomingConn) welcome() (greeting, error) {
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return greeting{}, err
	}
	g, err := readGreeting(c.Conn)
	if err != nil {
		_, _ = c.Conn.Write(encodeAnswer(err.Error())) // one of another version may understand it
		return greeting{}, fmt.Errorf("refused connection from %s: %w", c.RemoteAddr(), err)
	}
	reason := c.judge(g)
	if _, err := c.Conn.Write(encodeAnswer(reason)); err != nil {
		return greeting{}, fmt.Errorf("answer greeting of %s at %s: %w", g.from, c.RemoteAddr(), err)
	}
	if reason != "" {
		return greeting{}, fmt.Errorf("refused connection from node %s of cluster %s at %s: %s", g.from, g.cluster, c.RemoteAddr(), reason)
	}
	return g, c.SetDeadline(time.Time{})
}

// greet shakes hands on a connection that this node dialled.
func greet(conn net.Conn, g greeting, timeout time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := conn.Write(g.encode()); err != nil {
		return fmt.Errorf("greet node %s at %s: %w", g.to, conn.RemoteAddr(), err)
	}
	reason, err := readAnswer(conn)
	if err != nil {
		return fmt.Errorf("greet node %s at %s: %w", g.to, conn.RemoteAddr(), err)
	}
	if reason != "" {
		return fmt.Errorf("node at %s refused the connection: %s", conn.RemoteAddr(), reason)
	}
	return conn.SetDeadline(time.Time{})
}
