package bench

import (
	"encoding/binary"
	"iter"
	"math/rand/v2"
	"path/filepath"

	"github.com/hashicorp/raft"

	"lockstep/fsm"
	"lockstep/memstore"
	"lockstep/pagetrie"
	"lockstep/snapshot"
)

// plain is a state of one memory of random pages. Handles of its trie are versions of pages: each has a hash.
type plain struct {
	bytes   []byte
	handles []pagetrie.Value // by page
	hashes  []pagetrie.Hash  // by handle
	pages   pagetrie.Map
	index   uint64
	since   pagetrie.Hash // root of the memory at the last checkpoint
	changed map[uint64]bool
}

func newPlain(pages int, seed byte) *plain {
	m := &plain{bytes: make([]byte, pages*memstore.PageSize), handles: make([]pagetrie.Value, pages), changed: map[uint64]bool{}}
	rng := rand.NewChaCha8([32]byte{seed})
	_, _ = rng.Read(m.bytes)
	b := pagetrie.Map{}.Edit()
	for i := range uint64(pages) {
		m.rehash(b, i)
	}
	m.pages = b.Map()
	return m
}

func (m *plain) page(i uint64) []byte {
	return m.bytes[i*memstore.PageSize : (i+1)*memstore.PageSize]
}
func (m *plain) rehash(b *pagetrie.Builder, i uint64) {
	m.handles[i] = pagetrie.Value(len(m.hashes))
	m.hashes = append(m.hashes, memstore.HashPage(m.page(i)))
	b.Insert(i, m.handles[i])
}

// HashValue implements pagetrie.Hasher.
func (m *plain) HashValue(v pagetrie.Value) pagetrie.Hash { return m.hashes[v] }

func (m *plain) size() int { return len(m.handles) }

// touch changes k different pages chosen at random.
func (m *plain) touch(rng *rand.Rand, k int) {
	b := m.pages.Edit()
	for n := 0; n < k; {
		i := rng.Uint64N(uint64(m.size()))
		if m.changed[i] {
			continue
		}
		n++
		m.changed[i] = true
		p := m.page(i)
		binary.LittleEndian.PutUint64(p[rng.IntN(500)*8:], rng.Uint64())
		m.rehash(b, i)
	}
	m.pages = b.Map()
}

// state is what the state machine hands over. The pages that changed since the last checkpoint are named.
func (m *plain) state() snapshot.State {
	root := m.pages.Root(m)
	list := func(keys iter.Seq2[uint64, pagetrie.Value], only map[uint64]bool) iter.Seq2[uint64, snapshot.Page] {
		return func(yield func(uint64, snapshot.Page) bool) {
			for i, h := range keys {
				if (only == nil || only[i]) && !yield(i, snapshot.Page{Hash: m.hashes[h], Bytes: m.page(i)}) {
					return
				}
			}
		}
	}
	mem := snapshot.Memory{Name: "m", Size: uint64(m.size()), Root: root, Pages: list(m.pages.All(), nil),
		SinceRoot: m.since, Changes: list(m.pages.All(), m.changed)}
	return snapshot.State{Round: m.index, Root: root, Table: make([]byte, 1000), Memories: []snapshot.Memory{mem}}
}

// write publishes the state as a checkpoint and gives its folder.
func (m *plain) write(s *snapshot.Store) (id string, err error) {
	m.index++
	sink, err := s.Create(raft.SnapshotVersionMax, m.index, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		return "", err
	}
	st := m.state()
	if err := sink.(*snapshot.Sink).WriteState(st); err != nil {
		_ = sink.Cancel()
		return "", err
	}
	if err := sink.Close(); err != nil {
		return "", err
	}
	m.since, m.changed = st.Root, map[uint64]bool{}
	return sink.ID(), nil
}

// openStore opens a store in a new folder below dir, which merges when it is told to.
func openStore(dir, name string, fs snapshot.FS) (*snapshot.Store, string, error) {
	dir = filepath.Join(dir, name)
	s, err := snapshot.OpenStore(snapshot.Config{Dir: dir, Hashing: fsm.Hashing(), Merge: snapshot.MergeWhenAsked,
		VerifyOnOpen: snapshot.VerifyIndexes, FS: fs})
	return s, dir, err
}
