package snapshot

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"lockstep/pagetrie"
)

// bigModel is one dense memory; its pages share a buffer, each with a number of its own.
type bigModel struct {
	bytes  []byte
	hashes []pagetrie.Hash
	values pagetrie.Map
}

func newBigModel(pages int) *bigModel {
	m := &bigModel{bytes: make([]byte, pages*PageSize), hashes: make([]pagetrie.Hash, pages)}
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(m.bytes)
	b := pagetrie.Map{}.Edit()
	for i := range pages {
		m.hashes[i] = testHashing().Page(m.page(uint64(i)))
		b.Insert(uint64(i), pagetrie.Value(i))
	}
	m.values = b.Map()
	return m
}

func (m *bigModel) page(i uint64) []byte                     { return m.bytes[i*PageSize : (i+1)*PageSize] }
func (m *bigModel) HashValue(v pagetrie.Value) pagetrie.Hash { return m.hashes[v] }
func (m *bigModel) all(yield func(uint64, Page) bool)        { m.some(1)(yield) }
func (m *bigModel) size() uint64                             { return uint64(len(m.hashes)) }
func (m *bigModel) root() pagetrie.Hash                      { return testHashing().Memory(m.size(), m.values.Root(m)) }
func (m *bigModel) some(step uint64) func(func(uint64, Page) bool) {
	return func(yield func(uint64, Page) bool) {
		for i := uint64(0); i < m.size(); i += step {
			if !yield(i, Page{m.hashes[i], m.page(i)}) {
				return
			}
		}
	}
}

// touch gives every step-th page another contents.
func (m *bigModel) touch(step uint64, seed byte) {
	b := m.values.Edit()
	for i := uint64(0); i < m.size(); i += step {
		m.page(i)[9] = seed
		m.page(i)[10]++
		m.hashes[i] = testHashing().Page(m.page(i))
		b.Remove(i)
	}
	m.values = b.Map()
	b = m.values.Edit()
	for i := uint64(0); i < m.size(); i += step {
		b.Insert(i, pagetrie.Value(i))
	}
	m.values = b.Map()
}

func (m *bigModel) state() State {
	return State{Table: []byte("table"), Memories: []Memory{{Name: "m", Size: m.size(), Root: m.root(), Pages: m.all}}}
}

const benchPages = 64 << 20 / PageSize

// BenchmarkWriteFull writes a first checkpoint of 64 MiB; the plain run writes as many bytes in large pieces with one sync.
func BenchmarkWriteFull(b *testing.B) {
	m := newBigModel(benchPages)
	st := m.state()
	b.Run("plain", func(b *testing.B) {
		b.SetBytes(int64(len(m.bytes)))
		for b.Loop() {
			f, err := os.Create(filepath.Join(b.TempDir(), "plain"))
			if err != nil {
				b.Fatal(err)
			}
			for at := 0; at < len(m.bytes); at += 1 << 20 {
				if _, err := f.Write(m.bytes[at : at+1<<20]); err != nil {
					b.Fatal(err)
				}
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
			f.Close()
			os.Remove(f.Name())
		}
	})
	b.Run("checkpoint", func(b *testing.B) {
		b.SetBytes(int64(len(m.bytes)))
		for b.Loop() {
			s := openTestStore(b, Config{})
			writeState(b, s, 1, st)
			os.RemoveAll(s.config.Dir)
		}
	})
}

// BenchmarkWriteChanged writes checkpoints of a 64 MiB memory with few changed pages.
func BenchmarkWriteChanged(b *testing.B) {
	for _, step := range []uint64{16, 256, 4096} {
		{
			b.Run(fmt.Sprintf("changed=%d", benchPages/step), func(b *testing.B) {
				m := newBigModel(benchPages)
				s := openTestStore(b, Config{VerifyOnOpen: VerifyIndexes})
				writeState(b, s, 1, m.state())
				index, since := uint64(1), m.root()
				for b.Loop() {
					b.StopTimer()
					index++
					m.touch(step, byte(index))
					st := m.state()
					st.Memories[0].SinceRoot, st.Memories[0].Changes = since, m.some(step)
					since = m.root()
					if index%40 == 0 {
						if _, err := s.Merge(); err != nil {
							b.Fatal(err)
						}
					}
					b.StartTimer()
					writeState(b, s, index, st)
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(benchPages/step), "us/page")
			})
		}
	}
}

// BenchmarkVerify verifies 64 MiB; the hash runs are the bound, on one and on all processors.
func BenchmarkVerify(b *testing.B) {
	m := newBigModel(benchPages)
	s := openTestStore(b, Config{})
	dir := filepath.Join(s.config.Dir, writeState(b, s, 1, m.state()))
	b.Run("hash", func(b *testing.B) {
		b.SetBytes(int64(len(m.bytes)))
		for b.Loop() {
			for i := range m.size() {
				if sha256.Sum256(m.page(i)) != m.hashes[i] {
					b.Fatal("wrong hash")
				}
			}
		}
	})
	b.Run("hash/parallel", func(b *testing.B) {
		b.SetBytes(PageSize)
		b.RunParallel(func(pb *testing.PB) {
			for i := uint64(0); pb.Next(); i = (i + 1) % m.size() {
				if sha256.Sum256(m.page(i)) != m.hashes[i] {
					b.Error("wrong hash")
				}
			}
		})
	})
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(int64(len(m.bytes)))
		for b.Loop() {
			if r, err := Verify(dir, testHashing()); err != nil || r.Pages != m.size() {
				b.Fatal(r, err)
			}
		}
	})
}

// BenchmarkOpen opens a checkpoint and makes the map of its pages, as a restart does, for states of two sizes.
func BenchmarkOpen(b *testing.B) {
	for _, pages := range []int{benchPages, 16 * benchPages} {
		m := newBigModel(pages)
		s := openTestStore(b, Config{VerifyOnOpen: VerifyIndexes})
		id := writeState(b, s, 1, m.state())
		b.Run(fmt.Sprintf("MiB=%d/open", pages/256), func(b *testing.B) {
			for b.Loop() {
				c, err := s.OpenCheckpoint(id)
				if err != nil {
					b.Fatal(err)
				}
				c.Close()
			}
		})
		b.Run(fmt.Sprintf("MiB=%d/open+map", pages/256), func(b *testing.B) {
			for b.Loop() {
				c, err := s.OpenCheckpoint(id)
				if err != nil {
					b.Fatal(err)
				}
				if n := c.Memories[0].Map([]pagetrie.Value{1}).Len(); n != pages {
					b.Fatal(n)
				}
				c.Close()
			}
		})
	}
}

// BenchmarkStream sends 64 MiB from one store to another.
func BenchmarkStream(b *testing.B) {
	m := newBigModel(benchPages)
	from := openTestStore(b, Config{VerifyOnOpen: VerifyIndexes})
	id := writeState(b, from, 1, m.state())
	b.Run("send", func(b *testing.B) {
		b.SetBytes(int64(len(m.bytes)))
		for b.Loop() {
			meta, r, err := from.Open(id)
			if err != nil {
				b.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, r); err != nil || n != meta.Size {
				b.Fatal(n, err)
			}
			b.ReportMetric(float64(meta.Size)/float64(len(m.bytes)), "sent/state")
			r.Close()
		}
	})
	b.Run("receive", func(b *testing.B) {
		b.SetBytes(int64(len(m.bytes)))
		to := openTestStore(b, Config{})
		for b.Loop() {
			_, r, err := from.Open(id)
			if err != nil {
				b.Fatal(err)
			}
			k := createSink(b, to, 1)
			if _, err := io.Copy(k, r); err != nil {
				b.Fatal(err)
			}
			if err := k.Close(); err != nil {
				b.Fatal(err)
			}
			r.Close()
		}
	})
}
