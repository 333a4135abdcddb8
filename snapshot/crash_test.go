package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/hashicorp/raft"
)

// story is a store on a memFS with the model it holds.
type story struct {
	fs    *memFS
	store *Store
	model *model
	rng   *rand.Rand
}

func newStory() *story {
	m := newModel()
	m.table = []byte("table")
	for page := range uint64(50) {
		m.memory("a", 64).set(page, page+1)
	}
	m.memory("zero", 16)
	return &story{fs: newMemFS(), model: m, rng: rand.New(rand.NewPCG(1, 1))}
}

func (s *story) open(t testing.TB) {
	s.store = openTestStore(t, Config{FS: s.fs, Dir: "/store"})
}

// change gives the first n pages of memory a new contents.
func (s *story) change(n int) {
	s.model.round++
	for page := range uint64(n) {
		s.model.memories["a"].set(page, s.rng.Uint64N(1<<30)+1)
	}
}

func (s *story) receive(t testing.TB, index uint64) {
	t.Helper()
	if err := install(createSink(t, s.store, index), streamOf(t, index, s.model), 64<<10); err != nil {
		t.Fatal(err)
	}
}

// transfer brings a checkpoint as a peer does that is told what is here: cut once, then whole, and taken over for its ticket.
func (s *story) transfer(t testing.TB, index uint64) {
	t.Helper()
	leader := openTestStore(t, Config{FS: newMemFS(), Dir: "/leader"})
	c, err := leader.OpenCheckpoint(write(t, leader, index, s.model))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, whole := range []bool{false, true} {
		transfer, err := s.store.BeginTransfer()
		if err != nil {
			t.Fatal(err)
		}
		delta, _ := deltaFor(t, c, transfer)
		if !whole {
			receiveCut(t, transfer, delta[:len(delta)-5*PageSize])
			continue
		}
		if err := transfer.Receive(bytes.NewReader(delta), admitAll, func(Progress) {}); err != nil {
			t.Fatal(err)
		}
		sink, err := s.store.Create(raft.SnapshotVersionMax, c.Index, c.Term, c.Configuration, c.ConfigurationIndex, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sink.Write(transfer.Ticket())
		if err := errors.Join(err, sink.Close(), transfer.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTrace keeps the order of file operations, as text.
func TestTrace(t *testing.T) {
	s := newStory()
	datadriven.RunTest(t, "testdata/trace", func(t *testing.T, d *datadriven.TestData) string {
		var index uint64
		var change int
		d.MaybeScanArgs(t, "index", &index)
		d.MaybeScanArgs(t, "change", &change)
		s.change(change)
		since := len(s.fs.journal)
		switch d.Cmd {
		case "open":
			s.open(t)
		case "write":
			write(t, s.store, index, s.model)
		case "merge":
			if _, err := s.store.Merge(); err != nil {
				return err.Error()
			}
		case "receive":
			s.receive(t, index)
		case "cancel":
			k := createSink(t, s.store, index)
			if err := errors.Join(k.WriteState(s.model.state()), k.Cancel()); err != nil {
				return err.Error()
			}
		case "damage":
			id := fmt.Sprintf("checkpoint-%d-3-0", index)
			s.fs.find("/store/" + id + "/table").data[0] ^= 1
			if _, err := s.store.OpenCheckpoint(id); !IsDamage(err) {
				return fmt.Sprint(err)
			}
		}
		return s.fs.trace(since)
	})
}

// crashMode is what happens to what was not synced.
type crashMode int

const (
	loseAll crashMode = iota
	keepAll
	keepNames    // names last, contents do not
	keepContents // contents last, names do not
	tearRandomly // each name and each 512 byte sector for itself
	crashModes
)

// crash returns the disk as it may be after the first n operations of the journal.
func crash(journal []operation, n int, mode crashMode, rng *rand.Rand, root *inode) *memFS {
	durable := make([]bool, n)
	synced := map[*inode]string{}
	for i := n - 1; i >= 0; i-- {
		switch o := journal[i]; o.kind {
		case "sync", "syncdir":
			synced[o.on] = o.kind
		default:
			durable[i] = synced[o.on] != ""
		}
	}
	image := map[*inode]*inode{}
	of := func(n *inode) *inode {
		if image[n] == nil {
			image[n] = &inode{}
			if n.names != nil {
				image[n].names = map[string]*inode{}
			}
		}
		return image[n]
	}
	for i, o := range journal[:n] {
		switch {
		case o.kind == "sync" || o.kind == "syncdir":
		case o.kind == "write":
			applyWrite(of(o.on), o, durable[i], mode, rng)
		case durable[i] || mode == keepAll || mode == keepNames || mode == tearRandomly && rng.IntN(2) == 0:
			if o.from != "" && of(o.on).names[o.from] == of(o.target) {
				delete(of(o.on).names, o.from)
			}
			if o.to != "" {
				of(o.on).names[o.to] = of(o.target)
			}
		}
	}
	return &memFS{root: of(root)}
}

func applyWrite(to *inode, o operation, durable bool, mode crashMode, rng *rand.Rand) {
	if durable || mode == keepAll || mode == keepContents {
		to.put(o.data, o.off)
		return
	}
	if mode != tearRandomly {
		return
	}
	for at := 0; at < len(o.data); at += 512 {
		if rng.IntN(2) == 0 {
			to.put(o.data[at:min(at+512, len(o.data))], o.off+int64(at))
		}
	}
}

// TestCrashAtEveryOperation cuts a life of a store after every file operation, loses, keeps or tears what was not synced,
// and opens what is left: the newest checkpoint is the one before the cut or the one being made, whole, and nothing is
// damaged.
func TestCrashAtEveryOperation(t *testing.T) {
	s := newStory()
	s.open(t)
	models := map[uint64]*model{}
	returned := map[int]uint64{0: 0} // journal length when a checkpoint's Close had returned
	step := func(index uint64, f func()) {
		models[index] = s.model.clone()
		f()
		returned[len(s.fs.journal)] = index
	}
	for i, change := range []int{0, 3, 30, 2, 5} {
		s.change(change)
		index := uint64(i + 1)
		step(index, func() { write(t, s.store, index, s.model) })
		step(index, func() {
			if _, err := s.store.Merge(); err != nil {
				t.Fatal(err)
			}
		})
	}
	s.change(4)
	step(6, func() { s.receive(t, 6) })
	s.change(4)
	step(7, func() { write(t, s.store, 7, s.model) })
	s.change(20)
	step(8, func() { s.transfer(t, 8) })
	s.change(4)
	step(9, func() { write(t, s.store, 9, s.model) })

	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	last := uint64(0)
	for n := range len(s.fs.journal) + 1 {
		last = max(last, returned[n])
		for mode := loseAll; mode < crashModes; mode++ {
			for seed := range rounds {
				if mode != tearRandomly && seed > 0 {
					break
				}
				rng := rand.New(rand.NewPCG(uint64(n), uint64(seed)))
				image := crash(s.fs.journal, n, mode, rng, s.fs.root)
				if err := checkImage(t, image, last, models); err != nil {
					t.Fatalf("cut after operation %d, mode %d, seed %d: %v\n%s", n, mode, seed, err, tail(s.fs, n))
				}
			}
		}
	}
	t.Logf("%d operations, %d images", len(s.fs.journal), (len(s.fs.journal)+1)*(int(crashModes)-1+rounds))
}

// tail is the end of the trace before a cut.
func tail(m *memFS, n int) string {
	var b strings.Builder
	for _, o := range m.journal[max(0, n-8):n] {
		fmt.Fprintln(&b, o.text)
	}
	return b.String()
}

func checkImage(t *testing.T, image *memFS, last uint64, models map[uint64]*model) error {
	var damage error
	s, err := OpenStore(Config{FS: image, Dir: "/store", Hashing: testHashing(), Merge: MergeWhenAsked, OnDamage: func(_ string, err error) { damage = err }})
	if err != nil || damage != nil {
		return fmt.Errorf("open: %v, damage: %v", err, damage)
	}
	metas, err := s.List()
	if err != nil {
		return err
	}
	if len(metas) == 0 {
		if last > 0 {
			return fmt.Errorf("checkpoint %d is gone", last)
		}
		return nil
	}
	if i := metas[0].Index; i != last && i != last+1 {
		return fmt.Errorf("newest is of index %d, want %d or the next", i, last)
	}
	for _, meta := range metas {
		c, err := s.OpenCheckpoint(meta.ID)
		if err != nil {
			return err
		}
		err = difference(c, models[meta.Index])
		c.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", meta.ID, err)
		}
	}
	names, _ := image.List("/store")
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, "transfer-") }) // the next publishing removes them
	if len(names) != len(metas) && len(names) > 3 {
		return fmt.Errorf("left behind: %v", names)
	}
	return nil
}
