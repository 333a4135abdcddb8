package link

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// pipeEnd is a connection whose bytes are in memory.
type pipeEnd struct {
	net.Conn
	bytes.Buffer
}

func (p *pipeEnd) Read(b []byte) (int, error)  { return p.Buffer.Read(b) }
func (p *pipeEnd) Write(b []byte) (int, error) { return p.Buffer.Write(b) }

// framesOf is what some writes look like on the link.
func framesOf(t testing.TB, writes ...[]byte) []byte {
	t.Helper()
	var end pipeEnd
	c := newFramedConn(&end, "n2")
	for _, w := range writes {
		if n, err := c.Write(w); err != nil || n != len(w) {
			t.Fatal(n, err)
		}
	}
	return end.Bytes()
}

func readFrames(b []byte) ([]byte, error) {
	end := &pipeEnd{}
	_, _ = end.Buffer.Write(b)
	return io.ReadAll(newFramedConn(end, "n2"))
}

func TestFramesCarryAnything(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789"), 30_000)
	got, err := readFrames(framesOf(t, []byte("a"), nil, long, []byte("z")))
	if err != nil || string(got) != "a"+string(long)+"z" {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// No bit that changes, no byte that goes missing or comes twice, and no frame out of its place is ever read as something else.
func TestFramesFindEveryFault(t *testing.T) {
	first, second := []byte("the first frame"), []byte("and the second one")
	whole := framesOf(t, first, second)
	sent := string(first) + string(second)
	judge := func(what string, at int, b []byte) {
		t.Helper()
		got, err := readFrames(b)
		if err == nil || !strings.HasPrefix(sent, string(got)) {
			t.Errorf("%s at %d: read %q, %v", what, at, got, err)
		}
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s at %d: %v", what, at, err)
		}
	}
	for at := range len(whole) {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[at] ^= 1 << bit
			judge("a bit", at, b)
		}
		if at != 0 && at != frameHeadBytes+len(first) {
			judge("an end", at, whole[:at])
		}
		judge("a loss", at, append(bytes.Clone(whole[:at]), whole[at+1:]...))
		judge("a byte twice", at, append(bytes.Clone(whole[:at+1]), whole[at:]...))
	}
	one := whole[:frameHeadBytes+len(first)]
	judge("a frame twice", 0, append(bytes.Clone(one), whole...))
	judge("a frame lost", 0, whole[len(one):])
}

func FuzzFrames(f *testing.F) {
	f.Add(framesOf(f, []byte("hello"), []byte("world")))
	f.Add([]byte{1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readFrames(b)
		if err == nil && len(got) > 0 && !bytes.HasPrefix(b[frameHeadBytes:], got[:1]) {
			t.Errorf("%d bytes were made of %d", len(got), len(b))
		}
	})
}
