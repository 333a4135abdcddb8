package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/klauspost/compress/s2"

	"lockstep/node/link"
)

// rotPages changes a byte in the middle of every page file of a store, in place.
func rotPages(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "checkpoint-*", "*.pages"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		b := []byte{0}
		_, rerr := f.ReadAt(b, 5000)
		b[0] ^= 1
		_, werr := f.WriteAt(b, 5000)
		if err := errors.Join(rerr, werr, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// hostile is a peer that says what it likes, as n3.
type hostile struct {
	t    *testing.T
	conn *syncConn
}

func dialSync(t *testing.T, to *syncEnd) *hostile {
	t.Helper()
	layer := link.NewLayer(link.Config{Self: "n3", Cluster: "test", Peers: map[string]string{to.id: to.addr}, Timeout: 30 * time.Second}, unheard{})
	conn, err := layer.DialCheckpoint(raft.ServerAddress(to.id))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = layer.Close() })
	return &hostile{t, newSyncConn(conn, 30*time.Second)}
}

// unheard is a listener of one that only dials.
type unheard struct{ net.Listener }

func (unheard) Close() error { return nil }

func (h *hostile) offer(term, index uint64) {
	h.t.Helper()
	if err := h.conn.send(kindOffer, offer{term: term, index: index, entryTerm: 2, maxHaveSize: 1 << 20}.encode()); err != nil {
		h.t.Fatal(err)
	}
}

// expect reads a message of a kind.
func (h *hostile) expect(kind byte) []byte {
	h.t.Helper()
	got, body, err := h.conn.await(1 << 20)
	if err != nil || got != kind {
		h.t.Fatalf("message of kind %d, %v; want kind %d", got, err, kind)
	}
	return body
}

// refused reads an answer that refuses with a text.
func (h *hostile) refused(text string) {
	h.t.Helper()
	a, err := decodeSyncAnswer(h.expect(kindAnswer))
	if err != nil || a.success || !strings.Contains(a.err, text) {
		h.t.Errorf("answer %+v, %v; want a refusal with %q", a, err, text)
	}
}

// expectEnd reads until the connection is closed.
func (h *hostile) expectEnd() {
	h.t.Helper()
	for {
		if _, _, err := h.conn.receive(1<<20, nil); err != nil {
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				h.t.Errorf("the connection is still open: %v", err)
			}
			return
		}
	}
}

// chunk sends a chunk of any claim.
func (h *hostile) chunk(method byte, n uint32, contents []byte) error {
	return h.conn.send(kindChunk, binary.LittleEndian.AppendUint32([]byte{method}, n), contents)
}

// manifestHead is the beginning of a delta up to its manifest's length.
func manifestHead(n uint32) []byte {
	b := append([]byte("LSDELTA\x01"), make([]byte, 8)...)
	return binary.LittleEndian.AppendUint32(b, n)
}

// A sender that is broken or means harm is refused in words, costs its bandwidth, and leaves the way free for an honest one.
func TestSyncHostileSenders(t *testing.T) {
	p := newSyncPair(t)
	p.leader.checkpoint(9, newPages(64, 1))
	zeros := make([]byte, chunkBytes)
	big := s2.Encode(nil, make([]byte, 64<<20))
	for name, tc := range map[string]struct {
		send func(h *hostile)
		want string
	}{
		"another version": {func(h *hostile) {
			b := offer{term: 3, index: 9}.encode()
			b[0] = 7
			_ = h.conn.send(kindOffer, b)
		}, "version 7, this program speaks version 1"},
		"no offer":          {func(h *hostile) { _ = h.conn.send(kindChunk, []byte("hello")) }, "begins with a message of kind 3"},
		"an absurd message": {func(h *hostile) { h.begin(); _, _ = h.conn.Conn.Write([]byte{kindChunk, 0xff, 0xff, 0xff, 0xff}) }, "4294967295 bytes"},
		"no chunk":          {func(h *hostile) { h.begin(); _ = h.conn.send(kindHave, []byte("what?")) }, "in place of a chunk"},
		"unknown method":    {func(h *hostile) { h.begin(); _ = h.chunk(9, 5, []byte("hello")) }, "method 9"},
		"wrong length":      {func(h *hostile) { h.begin(); _ = h.chunk(methodPlain, 1<<31, []byte("hello")) }, "5 bytes for 2147483648"},
		"a bomb":            {func(h *hostile) { h.begin(); _ = h.chunk(methodS2, chunkBytes, big[:min(len(big), chunkBytes)]) }, "unpacks to others"},
		"garbage packed":    {func(h *hostile) { h.begin(); _ = h.chunk(methodS2, 4, []byte{4, 0xff, 0xff}) }, "unpack chunk"},
		"no delta":          {func(h *hostile) { h.begin(); _ = h.chunk(methodPlain, chunkBytes, zeros) }, "no checkpoint delta"},
		"absurd manifest":   {func(h *hostile) { h.begin(); h.plain(manifestHead(1 << 31)) }, "wrong magic or length"},
		"damaged manifest":  {func(h *hostile) { h.begin(); h.plain(append(manifestHead(500), make([]byte, 500)...)) }, "bad at offset"},
		"an endless stream": {func(h *hostile) {
			h.begin()
			h.plain(manifestHead(60 << 20))
			for h.chunk(methodPlain, chunkBytes, zeros) == nil { // until it is cut off
				if h.conn.carried.Load() > 100<<20 {
					h.t.Error("100 MiB of nothing were taken")
					return
				}
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := dialSync(t, p.follower)
			tc.send(h)
			if tc.want != "" {
				h.refused(tc.want)
			}
			_ = h.conn.Close()
			if metas, err := p.follower.store.List(); err != nil || len(metas) > 0 {
				t.Fatalf("published: %v, %v", metas, err)
			}
		})
	}
	p.leader.mustSend("n2")
	p.same(t)
}

// begin makes an offer and hears what the follower has.
func (h *hostile) begin() {
	h.t.Helper()
	h.offer(3, 9)
	h.expect(kindHave)
}

func (h *hostile) plain(b []byte) { _ = h.chunk(methodPlain, uint32(len(b)), b) }

// Whatever byte of an honest transfer is changed by the sender itself, where no checksum of the link can see it: nothing else
// than the announced checkpoint is ever installed.
func TestSyncForgedDeltas(t *testing.T) {
	p := newSyncPair(t)
	state := newPages(24, 1)
	p.leader.checkpoint(9, state)
	honest := recordDelta(t, p.leader)
	for at := 0; at < len(honest); at += 1 + at/97 {
		if at >= 8 && at < 16 {
			continue // the announced length is for people
		}
		forged := bytes.Clone(honest)
		forged[at] ^= 0x20
		h := dialSync(t, p.follower)
		h.begin()
		for rest := forged; len(rest) > 0; {
			n := min(len(rest), chunkBytes)
			h.plain(rest[:n])
			rest = rest[n:]
		}
		h.refused("")
		_ = h.conn.Close()
		if metas, err := p.follower.store.List(); err != nil || len(metas) > 0 {
			t.Fatalf("byte %d was forged: published %v, %v", at, metas, err)
		}
	}
	p.leader.mustSend("n2")
	p.same(t)
}
