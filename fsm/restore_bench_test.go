package fsm

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"lockstep/canister"
	"lockstep/memstore"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// inflated is a machine's state in which the memory of its one canister has been prolonged to a size with pages that are
// not zero and exist only while they are written.
type inflated struct {
	state  State
	record canisterRecord
	small  memstore.Version // what the canister has itself
	pages  *memstore.Store
	salt   map[uint64]uint64 // of the pages that have changed
	hashes []pagetrie.Hash   // by page
	table  snapshot.State
}

func inflate(b *testing.B, r *replica, mib int) *inflated {
	p, err := r.acquire()
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.release(p) }()
	f := &inflated{state: p.state, record: *p.state.canisters[0], pages: p.world.pages, salt: map[uint64]uint64{}}
	f.small = f.record.State.Memory
	f.hashes = make([]pagetrie.Hash, mib<<20/memstore.PageSize)
	parallelPages(len(f.hashes), func(i int) { f.rehash(uint64(i)) })
	if f.table, err = p.checkpoint(); err != nil {
		b.Fatal(err)
	}
	return f
}

func parallelPages(n int, do func(i int)) {
	done := make(chan struct{})
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		go func() {
			for i := w; i < n; i += workers {
				do(i)
			}
			done <- struct{}{}
		}()
	}
	for range workers {
		<-done
	}
}

// page is the contents of a page; the canister's own ones are what they are. The others are made anew: the checkpoint writer keeps
// the bytes of a page until it has written it.
func (f *inflated) page(i uint64) []byte {
	buf := make([]byte, memstore.PageSize)
	if i < uint64(f.small.Size) {
		if h, ok := f.small.Pages.Get(i); ok {
			return f.pages.Page(h)
		}
		return buf
	}
	for at := 0; at < len(buf); at += 8 {
		binary.LittleEndian.PutUint64(buf[at:], i<<20|f.salt[i]<<12|uint64(at)|1)
	}
	return buf
}

func (f *inflated) rehash(i uint64) {
	f.hashes[i] = memstore.HashPage(f.page(i))
}

// HashValue implements pagetrie.Hasher; the handle of a page is its number and one.
func (f *inflated) HashValue(v pagetrie.Value) pagetrie.Hash { return f.hashes[v-1] }

func (f *inflated) zero(i uint64) bool {
	_, own := f.small.Pages.Get(i)
	return i < uint64(f.small.Size) && !own
}

// write writes a checkpoint of the state, as of another index.
func (f *inflated) write(b *testing.B, s *snapshot.Store, index uint64) string {
	var entries []pagetrie.Entry
	for i := range f.hashes {
		if !f.zero(uint64(i)) {
			entries = append(entries, pagetrie.Entry{Key: uint64(i), Value: pagetrie.Value(i + 1)})
		}
	}
	trie := pagetrie.FromSorted(entries)
	record := f.record
	record.State.Memory = memstore.Version{Size: memstore.PageCount(len(f.hashes)), Pages: trie}
	record.hash = pagetrie.Hash{}
	state := f.state
	state.putCanisters([]*canisterRecord{&record})
	limits, err := hashLimits(state.Limits)
	if err != nil {
		b.Fatal(err)
	}
	st := f.table
	st.Root = state.root(f, limits)
	st.Memories = slices.Clone(st.Memories)
	st.Memories[0] = snapshot.Memory{Name: memoryName(record.ID), Size: uint64(len(f.hashes)), Root: trie.Root(f),
		Pages: func(yield func(uint64, snapshot.Page) bool) {
			for _, e := range entries {
				if !yield(e.Key, snapshot.Page{Hash: f.hashes[e.Key], Bytes: f.page(e.Key)}) {
					return
				}
			}
		}}
	sink, err := s.Create(raft.SnapshotVersionMax, index, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := sink.(*snapshot.Sink).WriteState(st); err != nil {
		b.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		b.Fatal(err)
	}
	return sink.ID()
}

// BenchmarkRestore restores states of three sizes, each a base file with eight overlays of 64 pages here and there, to the
// answer to their first message, which writes 16 pages all over the memory. It reports medians: the time of opening the
// checkpoint, of restoring it, and of all until the answer; and by how much the process's resident memory has grown by
// then: its own (anonymous) and that of mapped files.
//
//	go test -run '^$' -bench Restore -benchtime 15x ./fsm
func BenchmarkRestore(b *testing.B) {
	engine, err := canister.NewEngine(canister.EngineConfig{})
	if err != nil {
		b.Fatal(err)
	}
	defer engine.Close()
	for _, mib := range []int{64, 1024, 4096} {
		b.Run(fmt.Sprintf("MiB=%d", mib), func(b *testing.B) { benchmarkRestore(b, engine, mib) })
	}
}

func benchmarkRestore(b *testing.B, engine *canister.Engine, mib int) {
	store, err := snapshot.OpenStore(snapshot.Config{Dir: b.TempDir(), Hashing: Hashing(), Merge: snapshot.MergeWhenAsked,
		VerifyOnOpen: snapshot.VerifyOnUse})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	id := buildInflated(b, engine, store, mib)
	round := &Round{Time: 99, Messages: []Message{{Kind: KindUpdate, Canister: "memory", Method: "random",
		Arg: fmt.Appendf(nil, "area=%d pages=16", mib*256-256)}}}
	var open, restore, all, anon, file []float64
	for b.Loop() {
		b.StopTimer()
		runtime.GC()
		debug.FreeOSMemory()
		anon0, file0 := resident(b)
		b.StartTimer()
		start := time.Now()
		c, err := store.OpenCheckpoint(id)
		if err != nil {
			b.Fatal(err)
		}
		open = append(open, ms(start))
		m, err := New(Config{Engine: engine})
		if err != nil {
			b.Fatal(err)
		}
		if err := m.RestoreCheckpoint(c); err != nil {
			b.Fatal(err)
		}
		restore = append(restore, ms(start))
		result, err := m.ApplyRound(c.Index+1, round)
		if err != nil || result.Results[0].Status != StatusReplied {
			b.Fatal(err, result)
		}
		all = append(all, ms(start))
		b.StopTimer()
		anon1, file1 := resident(b)
		anon, file = append(anon, anon1-anon0), append(file, file1-file0)
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(median(open), "open-ms")
	b.ReportMetric(median(restore), "restored-ms")
	b.ReportMetric(median(all), "answer-ms")
	b.ReportMetric(median(anon), "own-MiB")
	b.ReportMetric(median(file), "mapped-MiB")
}

// buildInflated makes the checkpoint and gives its identifier.
func buildInflated(b *testing.B, engine *canister.Engine, store *snapshot.Store, mib int) string {
	r := newReplica(b, Config{Engine: engine})
	for _, msg := range []Message{install(b, "memory"), {Kind: KindUpdate, Canister: "memory", Method: "random", Arg: []byte("area=16 pages=16")}} {
		if result := r.one(msg); result.Status != StatusReplied {
			b.Fatal(result)
		}
	}
	f := inflate(b, r, mib)
	id := f.write(b, store, 10)
	rng := rand.New(rand.NewPCG(1, 2))
	for index := range uint64(8) {
		for range 64 {
			i := uint64(f.small.Size) + rng.Uint64N(uint64(len(f.hashes))-uint64(f.small.Size))
			f.salt[i]++
			f.rehash(i)
		}
		id = f.write(b, store, 11+index)
	}
	return id
}

func ms(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1000 }

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// resident is what the process has in memory, in MiB: its own and of files.
func resident(b *testing.B) (own, files float64) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch name {
		case "RssAnon":
			own = kib / 1024
		case "RssFile":
			files = kib / 1024
		}
	}
	return own, files
}
