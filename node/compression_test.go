package node

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"lockstep/canister"
	"lockstep/fsm"
	"lockstep/snapshot"
	"lockstep/testdata"
)

// BenchmarkCompression packs the memories of demo canisters in chunks, as they are sent. ratio is packed over plain; 100MB/s and
// 1GB/s are the seconds that packing, sending and unpacking 1 GB takes on one processor over such a link.
func BenchmarkCompression(b *testing.B) {
	fast, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		b.Fatal(err)
	}
	defer fast.Close()
	unpack, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		b.Fatal(err)
	}
	defer unpack.Close()
	room, back := make([]byte, s2.MaxEncodedLen(chunkBytes)), make([]byte, chunkBytes)
	methods := []struct {
		name         string
		pack, unpack func([]byte) []byte
	}{
		{"plain", func(p []byte) []byte { return room[:copy(room, p)] }, func(p []byte) []byte { return back[:copy(back, p)] }},
		{"s2", func(p []byte) []byte { return s2.Encode(room, p) }, func(p []byte) []byte { out, _ := s2.Decode(back, p); return out }},
		{"zstd", func(p []byte) []byte { return fast.EncodeAll(p, room[:0]) }, func(p []byte) []byte { out, _ := unpack.DecodeAll(p, back[:0]); return out }},
	}
	for name, memory := range guestMemories(b) {
		for _, m := range methods {
			b.Run(fmt.Sprintf("memory=%s/MiB=%d/method=%s", name, len(memory)>>20, m.name), func(b *testing.B) {
				var packing, unpacking time.Duration
				var plain, packed int
				for b.Loop() {
					for rest := memory; len(rest) > 0; {
						n := min(len(rest), chunkBytes)
						began := time.Now()
						p := m.pack(rest[:n])
						packing += time.Since(began)
						plain, packed = plain+n, packed+len(p)
						began = time.Now()
						if got := m.unpack(p); len(got) != n {
							b.Fatalf("%d bytes came back of %d", len(got), n)
						}
						unpacking += time.Since(began)
						rest = rest[n:]
					}
				}
				gb := float64(plain) / 1e9
				ratio := float64(packed) / float64(plain)
				b.ReportMetric(ratio, "ratio")
				b.ReportMetric(float64(plain)/1e6/packing.Seconds(), "pack-MB/s")
				b.ReportMetric(float64(plain)/1e6/unpacking.Seconds(), "unpack-MB/s")
				work := (packing + unpacking).Seconds() / gb
				b.ReportMetric(work+ratio*10, "s/GB@100MB/s")
				b.ReportMetric(work+ratio, "s/GB@1GB/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// guestMemories are the pages that are not zero of canisters that have worked a little.
func guestMemories(b *testing.B) map[string][]byte {
	b.Helper()
	engine, err := canister.NewEngine(canister.EngineConfig{CacheDir: compiled})
	if err != nil {
		b.Fatal(err)
	}
	defer engine.Close()
	machine, err := fsm.New(fsm.Config{Engine: engine})
	if err != nil {
		b.Fatal(err)
	}
	defer machine.Close()
	index := uint64(0)
	apply := func(m ...fsm.Message) {
		index++
		result, err := machine.ApplyRound(index, &fsm.Round{Time: int64(index), Messages: m})
		if err != nil || result.Results[0].Text != "" {
			b.Fatal(err, result)
		}
	}
	for _, name := range []string{"kv", "memory"} {
		code, _, err := testdata.Canister(name)
		if err != nil {
			b.Fatal(err)
		}
		apply(fsm.Message{Kind: fsm.KindInstall, Canister: name, Module: code})
	}
	for i := range 200 {
		var puts []fsm.Message
		for j := range 100 {
			puts = append(puts, fsm.Message{Kind: fsm.KindUpdate, Canister: "kv", Method: "put",
				Arg: fmt.Appendf(nil, "key-%d=%s", i*7919%20011+j*20011, strings.Repeat(fmt.Sprintf("value %d of %d, ", j, i*i), 1+(i+j)%30))})
		}
		apply(puts...)
	}
	apply(fsm.Message{Kind: fsm.KindUpdate, Canister: "memory", Method: "sequential", Arg: []byte("pages=2048 seed=3 bytes=4096")})
	store, err := snapshot.OpenStore(snapshot.Config{Dir: b.TempDir(), Hashing: fsm.Hashing(), Merge: snapshot.MergeWhenAsked})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	captured, err := machine.Snapshot()
	if err != nil {
		b.Fatal(err)
	}
	defer captured.Release()
	sink, err := store.Create(1, index, 1, testConfiguration, 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := captured.Persist(sink); err != nil {
		b.Fatal(err)
	}
	c, err := store.OpenCheckpoint(sink.ID())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	out := map[string][]byte{}
	for _, m := range c.Memories {
		name := map[string]string{"canister-1": "kv", "canister-2": "memory"}[m.Name]
		if name == "" {
			continue
		}
		for _, ref := range m.Pages() {
			page := make([]byte, snapshot.PageSize)
			if err := m.ReadPage(ref, page); err != nil && err != io.EOF {
				b.Fatal(err)
			}
			out[name] = append(out[name], page...)
		}
	}
	return out
}
