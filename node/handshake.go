package node

import (
	"bytes"
	"errors"
	"fmt"
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
//	1+n   cluster       1+n   reason of a refusal
//	1+n   from, the dialler's node ID
//	1+n   to, the node ID it means to reach
//
// A text is its length in one byte and its bytes. After the answer the connection is hashicorp/raft's.
const (
	greetingMagic   = "LSRP"
	greetingVersion = 1

	maxReasonBytes = 255
)

type greeting struct {
	cluster, from, to string
}

// errGreeting marks bytes that are no greeting of this program.
var errGreeting = errors.New("not a greeting between replicas")

func (g greeting) encode() []byte {
	out := append([]byte(greetingMagic), greetingVersion)
	for _, text := range [...]string{g.cluster, g.from, g.to} {
		out = appendText(out, text)
	}
	return out
}

func appendText(out []byte, text string) []byte {
	text = text[:min(len(text), maxReasonBytes)]
	return append(append(out, byte(len(text))), text...)
}

// readGreeting reads one greeting and not a byte more.
func readGreeting(r io.Reader) (greeting, error) {
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
	for _, field := range [...]*string{&g.cluster, &g.from, &g.to} {
		text, err := readText(r)
		if err != nil {
			return greeting{}, fmt.Errorf("%w: %w", errGreeting, err)
		}
		if err := validateID(text); err != nil {
			return greeting{}, fmt.Errorf("%w: %w", errGreeting, err)
		}
		*field = text
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
	}
	return ""
}

func encodeAnswer(reason string) []byte {
	out := []byte(greetingMagic)
	if reason == "" {
		return appendText(append(out, 0), "")
	}
	return appendText(append(out, 1), reason)
}

// readAnswer gives the reason of a refusal, or "".
func readAnswer(r io.Reader) (string, error) {
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
	if head[len(greetingMagic)] == 1 && reason == "" {
		reason = "no reason given"
	}
	return reason, nil
}

// welcomingConn is an accepted connection. The greeting is read and answered with the first Read, so that a slow or
// hostile peer never holds up the accept loop.
type welcomingConn struct {
	net.Conn
	judge   func(greeting) string
	timeout time.Duration

	once sync.Once
	err  error
}

func (c *welcomingConn) Read(p []byte) (int, error) {
	c.once.Do(func() { c.err = c.welcome() })
	if c.err != nil {
		return 0, c.err
	}
	return c.Conn.Read(p)
}

func (c *welcomingConn) welcome() error {
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	g, err := readGreeting(c.Conn)
	if err != nil {
		return fmt.Errorf("refused connection from %s: %w", c.RemoteAddr(), err)
	}
	reason := c.judge(g)
	if _, err := c.Write(encodeAnswer(reason)); err != nil {
		return fmt.Errorf("answer greeting of %s at %s: %w", g.from, c.RemoteAddr(), err)
	}
	if reason != "" {
		return fmt.Errorf("refused connection from node %s of cluster %s at %s: %s", g.from, g.cluster, c.RemoteAddr(), reason)
	}
	return c.SetDeadline(time.Time{})
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
