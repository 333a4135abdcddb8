package real

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// rig is two replicas' ports with the links between them; the second one's is an echo.
type rig struct {
	*network
	t *testing.T
}

func newRig(t *testing.T) *rig {
	t.Helper()
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { echo.Close() })
	go func() { // ends with the listener
		for {
			conn, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { // ends with its connection
				_, _ = io.Copy(conn, conn)
				conn.Close()
			}()
		}
	}()
	n, err := newNetwork([]string{echo.Addr().String(), echo.Addr().String()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.close)
	return &rig{n, t}
}

var (
	forth = []pair{{1, 2}}
	back  = []pair{{2, 1}}
)

func (r *rig) dial() net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.address(forth[0]))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

func (r *rig) write(conn net.Conn, text string) {
	r.t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		r.t.Fatal(err)
	}
}

// read reads as many bytes as a text has; within bounds the wait for what may never come.
func read(conn net.Conn, size int, within time.Duration) ([]byte, error) {
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, err
	}
	got := make([]byte, size)
	n, err := io.ReadFull(conn, got)
	return got[:n], err
}

const (
	enough = 10 * time.Second       // for what must come
	little = 100 * time.Millisecond // for what must not
)

func (r *rig) wantEcho(conn net.Conn, text string) {
	r.t.Helper()
	r.write(conn, text)
	if got, err := read(conn, len(text), enough); err != nil || string(got) != text {
		r.t.Fatalf("read %q, %v, want %q", got, err, text)
	}
}

func (r *rig) wantSilence(conn net.Conn) {
	r.t.Helper()
	if got, err := read(conn, 1, little); !errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Fatalf("read %q, %v, want nothing", got, err)
	}
}

func (r *rig) wantClosed(conn net.Conn) {
	r.t.Helper()
	if got, err := read(conn, 1, enough); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Fatalf("read %q, %v, want a closed connection", got, err)
	}
}

func TestLinkCarries(t *testing.T) {
	r := newRig(t)
	r.wantEcho(r.dial(), "as it is")
}

func TestHalfOpenLinkHoldsAndGoesOn(t *testing.T) {
	for _, direction := range [][]pair{forth, back} {
		r := newRig(t)
		conn := r.dial()
		r.wantEcho(conn, "before")
		r.set(1, direction, condition{Hold: true})
		r.write(conn, "held")
		r.wantSilence(conn)
		if struck := r.clear(1, direction); struck == 0 {
			t.Errorf("%v: no effect was counted", direction)
		}
		if got, err := read(conn, 4, enough); err != nil || string(got) != "held" {
			t.Errorf("%v: read %q, %v after the end", direction, got, err)
		}
	}
}

func TestDroppingLinkLosesTheConnection(t *testing.T) {
	r := newRig(t)
	conn := r.dial()
	r.wantEcho(conn, "before")
	r.set(1, forth, condition{Drop: true})
	r.write(conn, "lost")
	r.wantSilence(conn)
	if r.clear(1, forth) == 0 {
		t.Error("no effect was counted")
	}
	r.wantClosed(conn)
	r.wantEcho(r.dial(), "after")
}

func TestResettingLinkClosesAndRefuses(t *testing.T) {
	r := newRig(t)
	conn := r.dial()
	r.wantEcho(conn, "before")
	r.set(1, back, condition{Reset: true})
	r.wantClosed(conn)
	r.wantClosed(r.dial())
	r.clear(1, back)
	r.wantEcho(r.dial(), "after")
}

func TestDelayIsAddedToEachWay(t *testing.T) {
	r := newRig(t)
	conn := r.dial()
	r.wantEcho(conn, "before")
	const delay = 150 * time.Millisecond
	r.set(1, forth, condition{Delay: delay})
	began := time.Now()
	r.wantEcho(conn, "later")
	if took := time.Since(began); took < delay { // never earlier, however loaded the machine is
		t.Errorf("it took %v, the delay is %v", took, delay)
	}
	if r.clear(1, forth) == 0 {
		t.Error("no effect was counted")
	}
}

func TestCorruptingLinkFlipsOneBitOfAPiece(t *testing.T) {
	r := newRig(t)
	conn := r.dial()
	r.set(1, forth, condition{Corrupt: 1})
	sent := bytes.Repeat([]byte{0}, 100)
	r.write(conn, string(sent))
	got, err := read(conn, len(sent), enough)
	if err != nil {
		t.Fatal(err)
	}
	set := 0
	for _, b := range got {
		for ; b != 0; b &= b - 1 {
			set++
		}
	}
	if struck := r.clear(1, forth); set == 0 || uint64(set) != struck {
		t.Errorf("%d bits are flipped, %d effects counted", set, struck)
	}
}

func TestLongStreamIsCutShort(t *testing.T) {
	r := newRig(t)
	conn := r.dial()
	r.set(1, forth, condition{Burst: 1})
	r.wantEcho(conn, "a short message passes")
	r.set(2, back, condition{Hold: true})                   // no answer between
	_, _ = conn.Write(make([]byte, burstFree+2*pieceBytes)) // it may be closed while this is written
	r.wantClosed(conn)
	if r.clear(1, forth) == 0 {
		t.Error("no effect was counted")
	}
}

func TestOverlappingFaultsEndByThemselves(t *testing.T) {
	r := newRig(t)
	conn := r.dial()
	r.wantEcho(conn, "before")
	r.set(1, forth, condition{Hold: true})
	r.set(2, forth, condition{Hold: true})
	r.clear(1, forth)
	r.write(conn, "held")
	r.wantSilence(conn)
	r.clear(2, forth)
	if got, err := read(conn, 4, enough); err != nil || string(got) != "held" {
		t.Errorf("read %q, %v after both ended", got, err)
	}
}
