package snapshot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// streamOf publishes the model in a store of its own and returns its stream.
func streamOf(t testing.TB, index uint64, m *model) []byte {
	t.Helper()
	s := openTestStore(t, Config{})
	_, r, err := s.Open(write(t, s, index, m))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// install feeds a stream to a sink in pieces, as raft does, and returns the first error.
func install(k *Sink, b []byte, piece int) error {
	for len(b) > 0 {
		n := min(piece, len(b))
		if _, err := k.Write(b[:n]); err != nil {
			return errors.Join(err, k.Cancel())
		}
		b = b[n:]
	}
	return k.Close()
}

func TestStream(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for name, m := range map[string]*model{"small": smallModel(), "nothing": newModel(), "random": randomModel(rng, 900)} {
		for _, piece := range []int{1, 7, 4096, 32 << 10, 5 << 20} {
			if piece == 1 && name == "random" {
				continue
			}
			b := streamOf(t, 8, m)
			s := openTestStore(t, Config{})
			k := createSink(t, s, 8)
			if err := install(k, b, piece); err != nil {
				t.Fatalf("%s in pieces of %d: %v", name, piece, err)
			}
			c, err := s.OpenCheckpoint(k.ID())
			if err != nil {
				t.Fatal(err)
			}
			compare(t, c, m)
			c.Close()
			_, r, _ := s.Open(k.ID())
			again, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(again, b) {
				t.Errorf("%s: the received checkpoint streams otherwise than the sent one (%v)", name, err)
			}
			r.Close()
		}
	}
}

// TestBadStreams flips every bit of a stream, cuts it everywhere, and prolongs it: nothing may be published.
func TestBadStreams(t *testing.T) {
	m := newModel()
	m.table = []byte("table")
	m.memory("a", 16).set(3, 1)
	m.memory("b", 16).set(0, 2)
	b := streamOf(t, 8, m)
	s := openTestStore(t, Config{FS: newMemFS(), Dir: "/store"})
	try := func(what string, at int, bad []byte, piece int) {
		k := createSink(t, s, 8)
		err := install(k, bad, piece)
		var fault *StreamFault
		if !errors.As(err, &fault) || fault.Offset < 0 || fault.Offset > int64(len(bad)) {
			t.Fatalf("%s %d: %v", what, at, err)
		}
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1 << (i % 8)
		try("flip in byte", i, bad, 1000)
	}
	for n := 0; n < len(b); n += 1 + n/200 {
		if n > 0 {
			try("cut at", n, b[:n], 997)
		}
	}
	try("longer by", 1, append(bytes.Clone(b), 0), 4096)
	if metas, _ := s.List(); len(metas) != 0 {
		t.Errorf("published: %v", metas)
	}
	if names, _ := s.fs.List("/store"); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

// resign gives a changed manifest in a stream a right checksum, as a hostile sender would.
func resign(b []byte, change func(manifest []byte)) []byte {
	b = bytes.Clone(b)
	n := int(b[12]) | int(b[13])<<8 | int(b[14])<<16
	m := b[streamHeadBytes : streamHeadBytes+n]
	change(m)
	sum := manifestSum(m[:n-sha256.Size])
	copy(m[n-sha256.Size:], sum[:])
	return b
}

func TestHostileStreams(t *testing.T) {
	b := streamOf(t, 8, smallModel())
	for name, c := range map[string]struct {
		change func(m []byte)
		want   string
	}{
		"other index":     {func(m []byte) { m[24]++ }, "announced"},
		"other term":      {func(m []byte) { m[32]++ }, "announced"},
		"huge table":      {func(m []byte) { m[92] = 0xff }, "table"},
		"many memories":   {func(m []byte) { m[138] = 0xff }, "memories"},
		"many servers":    {func(m []byte) { m[134] = 0xff }, "servers"},
		"other page size": {func(m []byte) { m[129]++ }, "pages of"},
		"tree files":      {func(m []byte) { m[143] = 1 }, "tree files"},
		"reserved":        {func(m []byte) { m[146+2*(5+1+11)+48+10+76]++ }, "reserved"},
		"range sum":       {func(m []byte) { m[146+2*(5+1+11)+48+10+28]++ }, "page ranges"},
		"tree of a layer": {func(m []byte) { m[146+2*(5+1+11)+48+10+64]++ }, "tree file"},
		"memory root":     {func(m []byte) { m[146+2*(5+1+11)+8]++ }, "root"},
		"layer digest":    {func(m []byte) { m[146+2*(5+1+11)+48+10+40]++ }, "page index"},
		"layer sum":       {func(m []byte) { m[146+2*(5+1+11)+48+10+24]++ }, "page index"},
		"memory size":     {func(m []byte) { m[146+2*(5+1+11)+7] = 1 }, "size"},
	} {
		t.Run(name, func(t *testing.T) {
			s := openTestStore(t, Config{})
			err := install(createSink(t, s, 8), resign(b, c.change), 100)
			var fault *StreamFault
			if !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if names, _ := os.ReadDir(s.config.Dir); len(names) != 0 {
				t.Errorf("left %v", names)
			}
		})
	}
	s := openTestStore(t, Config{MaxBytes: 10000})
	if err := install(createSink(t, s, 8), b, 100); err == nil || !strings.Contains(err.Error(), "accepted") {
		t.Errorf("over MaxBytes: %v", err)
	}
}

// TestStaleAndDivergedStreams: a stream never leads backwards, and a contradiction is named.
func TestStaleAndDivergedStreams(t *testing.T) {
	m := smallModel()
	s := openTestStore(t, Config{})
	write(t, s, 8, m)
	if err := install(createSink(t, s, 8), streamOf(t, 8, m), 4096); err != nil {
		t.Errorf("the same checkpoint again: %v", err)
	}
	if err := install(createSink(t, s, 7), streamOf(t, 7, m), 4096); err == nil || !strings.Contains(err.Error(), "older") {
		t.Errorf("an older one: %v", err)
	}
	m.memories["canister-2"].set(5, 99)
	if err := install(createSink(t, s, 8), streamOf(t, 8, m), 4096); err == nil || !strings.Contains(err.Error(), "diverged") {
		t.Errorf("another state of the same entry: %v", err)
	}
	k := createSink(t, s, 8)
	if err := k.WriteState(m.state()); err == nil || !strings.Contains(err.Error(), "diverged") {
		t.Errorf("another local state of the same entry: %v", err)
	}
	if err := k.Cancel(); err != nil {
		t.Error(err)
	}
	if metas, _ := s.List(); len(metas) != 1 || metas[0].Index != 8 {
		t.Errorf("List is %v", metas) // the second of index 8 has replaced the first
	}
}

func TestCreateRefusesOldVersions(t *testing.T) {
	s := openTestStore(t, Config{})
	if _, err := s.Create(raft.SnapshotVersionMin, 1, 1, raft.Configuration{}, 1, nil); err == nil {
		t.Error("accepted")
	}
}
