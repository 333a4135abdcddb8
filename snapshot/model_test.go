package snapshot

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"lockstep/pagetrie"

	"github.com/hashicorp/raft"
)

// testHashing is a hashing of the tests' own; the real one belongs to memstore.
func testHashing() Hashing {
	return Hashing{
		Page: func(b []byte) pagetrie.Hash { return pagetrie.Hash(sha256.Sum256(b)) },
		Pair: func(a, b []byte) (x, y pagetrie.Hash) { return sha256.Sum256(a), sha256.Sum256(b) },
		Memory: func(size uint64, pages pagetrie.Hash) pagetrie.Hash {
			return pagetrie.Hash(sha256.Sum256(fmt.Appendf(pages[:], "%d", size)))
		},
	}
}

// model is a plain state to write and to compare with.
type model struct {
	round    uint64
	table    []byte
	memories map[string]*modelMemory
}

type modelMemory struct {
	size  uint64
	pages map[uint64]Page
}

func newModel() *model { return &model{memories: map[string]*modelMemory{}} }

func (m *model) clone() *model {
	c := &model{round: m.round, table: bytes.Clone(m.table), memories: map[string]*modelMemory{}}
	for name, mem := range m.memories {
		c.memories[name] = &modelMemory{size: mem.size, pages: maps.Clone(mem.pages)}
	}
	return c
}

// memory returns the memory of that name, grown to at least size pages.
func (m *model) memory(name string, size uint64) *modelMemory {
	mem := m.memories[name]
	if mem == nil {
		mem = &modelMemory{pages: map[uint64]Page{}}
		m.memories[name] = mem
	}
	mem.size = max(mem.size, size)
	return mem
}

// set fills a page with bytes made from a seed; seed zero makes it zero.
func (mem *modelMemory) set(page uint64, seed uint64) {
	if seed == 0 {
		delete(mem.pages, page)
		return
	}
	b := make([]byte, PageSize)
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24), 1})
	_, _ = rng.Read(b)
	mem.pages[page] = Page{Hash: testHashing().Page(b), Bytes: b}
}

func (mem *modelMemory) all() iter.Seq2[uint64, Page] {
	return func(yield func(uint64, Page) bool) {
		for _, page := range slices.Sorted(maps.Keys(mem.pages)) {
			if !yield(page, mem.pages[page]) {
				return
			}
		}
	}
}

// HashValue makes the model a pagetrie.Hasher whose handles are page numbers.
func (mem *modelMemory) HashValue(v pagetrie.Value) pagetrie.Hash { return mem.pages[uint64(v)].Hash }

func (mem *modelMemory) root() pagetrie.Hash {
	b := pagetrie.Map{}.Edit()
	for page := range mem.pages {
		b.Insert(page, pagetrie.Value(page))
	}
	return testHashing().Memory(mem.size, b.Map().Root(mem))
}

func randSource(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// mutate changes about n pages: new contents, zeros, the same bytes again, and now and then growth.
func (m *model) mutate(rng *rand.Rand, n int) {
	m.round++
	m.table = fmt.Appendf(nil, "table of round %d", m.round)
	for _, name := range slices.Sorted(maps.Keys(m.memories)) {
		mem := m.memories[name]
		if rng.IntN(8) == 0 {
			mem.size += 16
		}
		for range n {
			switch page := rng.Uint64N(mem.size); rng.IntN(6) {
			case 0:
				mem.set(page, 0)
			case 1: // a run
				for p := page; p < min(page+5, mem.size); p++ {
					mem.set(p, rng.Uint64N(1<<30)+1)
				}
			default:
				mem.set(page, rng.Uint64N(1<<30)+1)
			}
		}
	}
}

// since is the model's state with the changes since an older model filled in.
func (m *model) since(old *model) State {
	st := m.state()
	for i := range st.Memories {
		name := st.Memories[i].Name
		was, is := old.memories[name], m.memories[name]
		if was == nil {
			continue
		}
		st.Memories[i].SinceRoot = was.root()
		st.Memories[i].Changes = func(yield func(uint64, Page) bool) {
			for page := range max(is.size, was.size) {
				if is.pages[page].Hash != was.pages[page].Hash && !yield(page, is.pages[page]) {
					return
				}
			}
		}
	}
	return st
}

func (m *model) state() State {
	st := State{Round: m.round, Table: m.table}
	h := sha256.New()
	h.Write(m.table)
	for _, name := range slices.Sorted(maps.Keys(m.memories)) {
		mem := m.memories[name]
		root := mem.root()
		h.Write(root[:])
		st.Memories = append(st.Memories, Memory{Name: name, Size: mem.size, Root: root, Pages: mem.all()})
	}
	st.Root = pagetrie.Hash(h.Sum(nil))
	return st
}

// smallModel has everything a checkpoint can have, in a few pages.
func smallModel() *model {
	m := newModel()
	m.round = 41
	m.table = []byte("the table of the state")
	a := m.memory("canister-1", 16)
	for page := range uint64(5) {
		a.set(page+3, page+1)
	}
	a.set(12, 7)
	m.memory("canister-2", 32).set(31, 9)
	m.memory("empty", 16)
	return m
}

// randomModel has one memory of the given number of pages, two thirds of them not zero.
func randomModel(rng *rand.Rand, pages uint64) *model {
	m := newModel()
	m.table = make([]byte, rng.IntN(3000))
	mem := m.memory("canister-7", pages)
	for page := range pages {
		if rng.IntN(3) > 0 {
			mem.set(page, rng.Uint64N(1<<30)+1)
		}
	}
	return m
}

func testConfiguration() raft.Configuration {
	return raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "127.0.0.1:1"}, {Suffrage: raft.Nonvoter, ID: "b", Address: "127.0.0.1:2"}}}
}

func openTestStore(t testing.TB, c Config) *Store {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	c.Hashing = testHashing()
	c.Merge = MergeWhenAsked // a test that wants the goroutine opens its own
	s, err := OpenStore(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func createSink(t testing.TB, s *Store, index uint64) *Sink {
	t.Helper()
	k, err := s.Create(raft.SnapshotVersionMax, index, 3, testConfiguration(), 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k.(*Sink)
}

// write publishes the model as the checkpoint of an index and returns its identifier.
func write(t testing.TB, s *Store, index uint64, m *model) string {
	t.Helper()
	return writeState(t, s, index, m.state())
}

func writeState(t testing.TB, s *Store, index uint64, st State) string {
	t.Helper()
	k := createSink(t, s, index)
	if err := k.WriteState(st); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	return k.ID()
}

// compare fails unless the checkpoint holds exactly the model.
func compare(t testing.TB, c *Checkpoint, m *model) {
	t.Helper()
	if err := difference(c, m); err != nil {
		t.Fatal(err)
	}
}

func difference(c *Checkpoint, m *model) error {
	st := m.state()
	if c.Round != m.round || c.Root != st.Root || !bytes.Equal(c.Table, m.table) || len(c.Memories) != len(m.memories) {
		return fmt.Errorf("round %d root %v table %q memories %d; want %d %v %q %d",
			c.Round, c.Root, c.Table, len(c.Memories), m.round, st.Root, m.table, len(m.memories))
	}
	buf := make([]byte, PageSize)
	for name, mem := range m.memories {
		f := c.Memory(name)
		if f == nil || f.Size != mem.size || f.Root != mem.root() || f.Len() != uint64(len(mem.pages)) {
			return fmt.Errorf("memory %s is %+v; want size %d, %d pages", name, f, mem.size, len(mem.pages))
		}
		if err := checkStored(f, rand.New(rand.NewPCG(m.round, 5))); err != nil {
			return err
		}
		for page, ref := range f.Pages() {
			if err := f.ReadPage(ref, buf); err != nil {
				return err
			}
			if want := mem.pages[page]; !bytes.Equal(buf, want.Bytes) || f.Hash(ref) != want.Hash {
				return fmt.Errorf("memory %s page %d differs", name, page)
			}
			if got := f.Layers[ref.Layer].PageIndex(ref.Position); got != page {
				return fmt.Errorf("memory %s page %d: PageIndex says %d", name, page, got)
			}
		}
	}
	return nil
}
