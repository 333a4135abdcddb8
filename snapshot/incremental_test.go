package snapshot

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestIncremental is a long random run: after every checkpoint and merge the newest holds the model, every kept one is
// sound, and the bounds of doc.go hold.
func TestIncremental(t *testing.T) {
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 5))
		c := Config{Keep: 2 + int(seed%2)}
		steps := uint64(20)
		if seed > 0 { // the first run is on the disk
			c.FS, c.Dir, steps = &memFS{root: newMemFS().root, quiet: true}, "/store", 60
		}
		s := openTestStore(t, c)
		m := randomModel(rng, 300)
		m.memory("canister-8", 64).set(9, 9)
		m.memory("canister-9", 16)
		old := m.clone()
		for index := uint64(1); index < steps; index++ {
			st := m.state()
			if rng.IntN(2) == 0 {
				st = m.since(old)
			}
			id := writeState(t, s, index, st)
			if rng.IntN(3) > 0 {
				r, err := s.Merge()
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if r.ID != "" && (r.Files <= r.Memories || r.Memories == 0) {
					t.Errorf("seed %d: merge did %+v", seed, r)
				}
			}
			checkNewest(t, s, id, m)
			if rng.IntN(10) == 0 {
				s = openTestStore(t, s.config)
			}
			old = m.clone()
			m.mutate(rng, rng.IntN(12))
		}
	}
}

func checkNewest(t *testing.T, s *Store, id string, m *model) {
	t.Helper()
	c, err := s.OpenCheckpoint(id) // verifies every page
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	compare(t, c, m)
	for _, mem := range c.Memories {
		if len(mem.Layers) > MaxLayers {
			t.Errorf("%s has %d layers", mem.Name, len(mem.Layers))
		}
	}
	metas, err := s.List()
	if err != nil || len(metas) > s.config.Keep || metas[0].Index != c.Index {
		t.Errorf("List is %v, %v", metas, err)
	}
	for _, meta := range metas {
		if err := verifyFolder(s.fs, filepath.Join(s.config.Dir, meta.ID)); err != nil {
			t.Error(err)
		}
	}
	if names, _ := s.fs.List(s.config.Dir); len(names) != len(metas) {
		t.Errorf("folder holds %v", names)
	}
}

func verifyFolder(fsys FS, dir string) error {
	c, err := openFolder(fsys, dir)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = verify(fsys, c, testHashing())
	return err
}

// TestCheckpointCostsWhatChanged counts the bytes written, including manifests.
func TestCheckpointCostsWhatChanged(t *testing.T) {
	mem := newMemFS()
	rng := rand.New(rand.NewPCG(8, 8))
	s := openTestStore(t, Config{FS: mem, Dir: "/store"})
	m := randomModel(rng, 3000)
	write(t, s, 1, m)
	worst := 0.0
	for index := uint64(2); index < 40; index++ {
		old := m.clone()
		changed := uint64(0)
		for range rng.IntN(100) {
			page := rng.Uint64N(3000)
			m.memories["canister-7"].set(page, rng.Uint64N(1<<30)+1)
		}
		for page, p := range m.memories["canister-7"].pages {
			if old.memories["canister-7"].pages[page].Hash != p.Hash {
				changed++
			}
		}
		since := len(mem.journal)
		writeState(t, s, index, m.since(old))
		written := uint64(0)
		for _, o := range mem.journal[since:] {
			written += uint64(len(o.data))
		}
		limit := changed*PageSize*105/100 + 64<<10 + uint64(len(m.table))
		worst = max(worst, float64(written)/float64(limit))
		if written > limit {
			t.Errorf("checkpoint %d after %d changed pages wrote %d bytes, at most %d are promised", index, changed, written, limit)
		}
		if _, err := s.Merge(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("at worst %.2f of the bytes promised", worst)
}

// TestPyramid runs the merge rule over a long random history without files, and counts.
func TestPyramid(t *testing.T) {
	for _, c := range []struct{ pages, changed int }{{20000, 10}, {20000, 50}, {20000, 200}, {20000, 2000}, {5000, 4000}} {
		for _, skew := range []bool{false, true} {
			f := simulatePyramid(c.pages, c.changed, skew)
			t.Logf("pages=%d changed=%d skew=%v: merge amplification %.2f, files %d, disk %.2f of the state", c.pages, c.changed, skew, f.amplification, f.files, f.disk)
			if f.amplification > 3 || f.files > MaxOverlays+1 {
				t.Errorf("pages=%d changed=%d skew=%v: %+v", c.pages, c.changed, skew, f)
			}
			if limit := 2.5 + float64(c.changed)/float64(c.pages)/2; f.disk > limit {
				t.Errorf("pages=%d changed=%d skew=%v: disk %.2f of the state, at most %.2f", c.pages, c.changed, skew, f.disk, limit)
			}
		}
	}
}

type pyramidFigures struct {
	amplification, disk float64
	files               int
}

// simulatePyramid keeps two checkpoints, as a store does by default, and counts disk at its fullest.
func simulatePyramid(pages, changed int, skew bool) (f pyramidFigures) {
	rng := rand.New(rand.NewPCG(uint64(pages), uint64(changed)))
	zipf := rand.NewZipf(rng, 1.1, 10, uint64(pages-1))
	draw := func() uint32 {
		if skew {
			return uint32(zipf.Uint64())
		}
		return rng.Uint32N(uint32(pages))
	}
	type layer = map[uint32]bool
	all := layer{}
	for i := range pages {
		all[uint32(i)] = true
	}
	now, before := []*layer{&all}, []*layer(nil)
	total, merged := 0, 0
	disk := func(checkpoints ...[]*layer) {
		seen := map[*layer]bool{}
		sum := 0
		for _, c := range checkpoints {
			for _, l := range c {
				if !seen[l] {
					seen[l] = true
					sum += len(*l)
				}
			}
		}
		f.disk = max(f.disk, float64(sum)/float64(pages))
	}
	for range max(60, 4*pages/changed) {
		next := layer{}
		for range changed {
			next[draw()] = true
		}
		total += len(next)
		before, now = now, append(now[:len(now):len(now)], &next)
		disk(before, now)
		f.files = max(f.files, len(now))
		var sizes []uint64
		for _, l := range now {
			sizes = append(sizes, uint64(len(*l)))
		}
		if run := planMerge(sizes); run > 0 {
			one := layer{}
			for _, l := range now[len(now)-run:] {
				for p := range *l {
					one[p] = true
				}
			}
			merged += len(one)
			with := append(now[:len(now)-run:len(now)-run], &one)
			disk(before, now, with)
			now = with
		}
	}
	f.amplification = float64(merged) / float64(total)
	return f
}

func TestFilesAreShared(t *testing.T) {
	s := openTestStore(t, Config{})
	m := randomModel(rand.New(rand.NewPCG(1, 1)), 200)
	first, err := s.OpenCheckpoint(write(t, s, 1, m))
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	m.memories["canister-7"].set(7, 7)
	second, err := s.OpenCheckpoint(write(t, s, 2, m))
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	a, _ := first.Memories[0].Layers[0].File.Stat()
	b, _ := second.Memories[0].Layers[0].File.Stat()
	if len(second.Memories[0].Layers) != 2 || !os.SameFile(a, b) {
		t.Errorf("base is not shared: %d layers", len(second.Memories[0].Layers))
	}
	if second.Memories[0].Layers[0].Entry.Born != 1 || second.Memories[0].Layers[1].Entry.Born != 2 {
		t.Error("ages are wrong")
	}
}

// TestWithoutLinks: a file system that refuses hard links costs more, nothing else.
func TestWithoutLinks(t *testing.T) {
	mem := newMemFS()
	mem.refuse = func(op, _ string) error {
		if op == "link" {
			return syscall.EPERM
		}
		return nil
	}
	s := openTestStore(t, Config{FS: mem, Dir: "/store"})
	m := randomModel(rand.New(rand.NewPCG(1, 1)), 200)
	for index := uint64(1); index < 4; index++ {
		m.memories["canister-7"].set(7, index)
		c, err := s.OpenCheckpoint(write(t, s, index, m))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, c, m)
	}
}

// TestLyingStateMachine: pages that do not make the promised root are found before anything is published.
func TestLyingStateMachine(t *testing.T) {
	s := openTestStore(t, Config{})
	m := randomModel(rand.New(rand.NewPCG(1, 1)), 200)
	write(t, s, 1, m)
	old := m.clone()
	m.memories["canister-7"].set(7, 7)
	m.memories["canister-7"].set(70, 8)
	st := m.since(old)
	changes := st.Memories[0].Changes
	st.Memories[0].Changes = func(yield func(uint64, Page) bool) {
		for page, p := range changes {
			if page != 70 && !yield(page, p) {
				return
			}
		}
	}
	k := createSink(t, s, 2)
	if err := k.WriteState(st); err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("a forgotten change: %v", err)
	}
	if err := k.Close(); err == nil {
		t.Error("published")
	}
}

// TestSinceAnotherRoot: a list of changes is not used from where it does not start.
func TestSinceAnotherRoot(t *testing.T) {
	s := openTestStore(t, Config{})
	m := randomModel(rand.New(rand.NewPCG(1, 1)), 200)
	write(t, s, 1, m)
	m.memories["canister-7"].set(7, 7)
	old := m.clone() // never written
	m.memories["canister-7"].set(70, 8)
	checkNewestOnly(t, s, writeState(t, s, 2, m.since(old)), m)
}

// TestDamageIsNotMerged: a merge verifies what it copies, sets the damaged checkpoint aside, and the next one starts anew.
func TestDamageIsNotMerged(t *testing.T) {
	s := openTestStore(t, Config{VerifyOnOpen: VerifyIndexes})
	m := randomModel(rand.New(rand.NewPCG(1, 1)), 100)
	for index := uint64(1); index < 3; index++ {
		for page := range uint64(60) {
			m.memories["canister-7"].set(page, index*100+page+1)
		}
		write(t, s, index, m)
	}
	id := "checkpoint-2-3-0"
	c, err := s.OpenCheckpoint(id)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	path := c.Memories[0].Layers[0].path
	b, _ := os.ReadFile(path)
	pages := c.Memories[0].Layers[0]
	b[(pages.Len()-1)*PageSize] ^= 1
	if err := errors.Join(os.Remove(path), os.WriteFile(path, b, 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Merge(); !IsDamage(err) {
		t.Fatalf("merge: %v", err)
	}
	if metas, _ := s.List(); len(metas) != 1 || metas[0].Index != 1 {
		t.Errorf("List is %v", metas)
	}
	m.mutate(rand.New(rand.NewPCG(1, 1)), 3)
	checkNewestOnly(t, s, write(t, s, 3, m), m)
}

func checkNewestOnly(t *testing.T, s *Store, id string, m *model) {
	t.Helper()
	c, err := s.OpenCheckpoint(id)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	compare(t, c, m)
}

// TestOldNameAfterMerge: raft may hold an identifier across a merge.
func TestOldNameAfterMerge(t *testing.T) {
	s := openTestStore(t, Config{})
	m := randomModel(rand.New(rand.NewPCG(1, 1)), 100)
	write(t, s, 1, m)
	for page := range uint64(60) {
		m.memories["canister-7"].set(page, page+1)
	}
	id := write(t, s, 2, m)
	r, err := s.Merge()
	if err != nil || r.ID == "" || r.ID == id {
		t.Fatalf("%+v, %v", r, err)
	}
	meta, reader, err := s.Open(id)
	if err != nil || meta.ID != r.ID || meta.Index != 2 {
		t.Fatalf("%+v, %v", meta, err)
	}
	reader.Close()
}

// A checkpoint that is published while the one before is merged is merged too.
func TestBackgroundMergeLooksAgain(t *testing.T) {
	merged, goOn := make(chan string), make(chan struct{})
	s, err := OpenStore(Config{Dir: t.TempDir(), Hashing: testHashing(), OnMerge: func(r MergeReport, err error) {
		if err != nil {
			t.Error(err)
		}
		merged <- r.ID
		<-goOn
	}})
	if err != nil {
		t.Fatal(err)
	}
	m := randomModel(rand.New(rand.NewPCG(1, 1)), 100)
	write(t, s, 1, m)
	var last string
	for round := range uint64(3) {
		for page := range uint64(60) {
			m.memories["canister-7"].set(page, page+round+1)
		}
		write(t, s, round+2, m)
		if round > 0 {
			goOn <- struct{}{}
		}
		id := <-merged
		if id == last {
			t.Errorf("%s was merged twice", id)
		}
		last = id
	}
	close(goOn)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestBackgroundMerge(t *testing.T) {
	merged := make(chan MergeReport, 10)
	s, err := OpenStore(Config{Dir: t.TempDir(), Hashing: testHashing(), OnMerge: func(r MergeReport, err error) {
		if err != nil {
			t.Error(err)
		}
		merged <- r
	}})
	if err != nil {
		t.Fatal(err)
	}
	m := randomModel(rand.New(rand.NewPCG(1, 1)), 100)
	write(t, s, 1, m)
	for page := range uint64(60) {
		m.memories["canister-7"].set(page, page+1)
	}
	write(t, s, 2, m)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if r := <-merged; r.Memories != 1 || r.Files != 2 {
		t.Errorf("%+v", r)
	}
	checkNewestOnly(t, s, "checkpoint-2-3-1", m)
}

// TestDiskFull fails every operation in turn: whatever fails, the checkpoint before stays, nothing else does after a restart,
// and with room again everything works.
func TestDiskFull(t *testing.T) {
	for n := 0; ; n++ {
		mem := newMemFS()
		s := openTestStore(t, Config{FS: mem, Dir: "/store", Keep: 1})
		m := randomModel(rand.New(rand.NewPCG(1, 1)), 40)
		write(t, s, 1, m)
		before := m.clone()
		for page := range uint64(30) {
			m.memories["canister-7"].set(page, page+1)
		}
		count := 0
		mem.refuse = func(op, _ string) error {
			switch op {
			case "open", "remove", "rename": // need no room
				return nil
			}
			if count++; count > n {
				return syscall.ENOSPC
			}
			return nil
		}
		err := writeAndMerge(s, m)
		mem.refuse = nil
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("operation %d: %v", n, err)
		}
		s = openTestStore(t, s.config)
		metas, _ := s.List()
		names, _ := mem.List("/store")
		if len(metas) != 1 || len(names) != 1 {
			t.Fatalf("operation %d: %v in %v", n, metas, names)
		}
		want := m
		if metas[0].Index == 1 {
			want = before
		}
		checkNewestOnly(t, s, metas[0].ID, want)
		checkNewestOnly(t, s, write(t, s, 9, m), m)
		if err == nil {
			break
		}
	}
}

func writeAndMerge(s *Store, m *model) error {
	k, err := s.Create(1, 2, 3, testConfiguration(), 2, nil)
	if err != nil {
		return err
	}
	if err := k.(*Sink).WriteState(m.state()); err != nil {
		return errors.Join(err, k.Cancel())
	}
	if err := k.Close(); err != nil {
		return err
	}
	_, err = s.Merge()
	return err
}

// TestDiskStaysWithinBound runs checkpoints and merges over real files and holds everything that lies in the store at any time,
// indexes and what is being published included, against 2.5 states.
func TestDiskStaysWithinBound(t *testing.T) {
	for _, changed := range []int{3, 20, 100} {
		const pages = 1000
		mem := newMemFS()
		rng := rand.New(rand.NewPCG(uint64(changed), 3))
		s := openTestStore(t, Config{FS: mem, Dir: "/store"})
		m := newModel()
		for page := range uint64(pages) {
			m.memory("m", pages).set(page, page+1)
		}
		write(t, s, 1, m)
		most := uint64(0)
		mem.refuse = func(string, string) error {
			seen := map[*inode]bool{}
			most = max(most, mem.root.bytes(seen))
			return nil
		}
		mem.quiet = true
		for index := range uint64(max(60, 2*pages/changed)) {
			old := m.clone()
			for range changed {
				m.memories["m"].set(rng.Uint64N(pages), rng.Uint64N(1<<30)+1)
			}
			writeState(t, s, index+2, m.since(old))
			if _, err := s.Merge(); err != nil {
				t.Fatal(err)
			}
		}
		ratio := float64(most) / (pages * PageSize)
		t.Logf("%d of %d pages between checkpoints: at most %.2f states on disk", changed, pages, ratio)
		if ratio > 2.5 || ratio < 2.2 {
			t.Errorf("%d of %d pages between checkpoints: %.2f states on disk, at most 2.5 are promised", changed, pages, ratio)
		}
	}
}

// TestDiskBoundOfAnyChanges holds the rule for merging against the bound for change sets of any sizes, of a state of 10 000 pages that
// all change before one changes again: what is there while a base is merged is the old one, the overlays and the new one.
func TestDiskBoundOfAnyChanges(t *testing.T) {
	const state = 10_000
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 5))
		largest := 1 + rng.Uint64N(state*2/3)
		layers := []uint64{state}
		overlays, worst := uint64(0), uint64(0)
		for range 200 {
			c := 1 + rng.Uint64N(largest)
			if rng.IntN(3) > 0 {
				c = 1 + rng.Uint64N(1+largest/20)
			}
			layers, overlays = append(layers, c), overlays+c
			n := planMerge(layers)
			switch {
			case n == len(layers):
				worst = max(worst, 2*state+overlays)
				layers, overlays = []uint64{state}, 0
			case n > 0:
				sum := uint64(0)
				for _, l := range layers[len(layers)-n:] {
					sum += l
				}
				worst = max(worst, state+overlays+sum)
				layers = append(layers[:len(layers)-n], sum)
			default:
				worst = max(worst, state+overlays)
			}
		}
		if most := state*245/100 + largest; worst > most {
			t.Fatalf("seed %d: %.3f states with change sets of up to %.3f, at most %.3f are promised", seed, float64(worst)/state, float64(largest)/state, float64(most)/state)
		}
	}
}

// bytes are those of the files below, each once.
func (n *inode) bytes(seen map[*inode]bool) (sum uint64) {
	if seen[n] {
		return 0
	}
	seen[n] = true
	sum = uint64(len(n.data))
	for _, below := range n.names {
		sum += below.bytes(seen)
	}
	return sum
}
