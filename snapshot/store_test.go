package snapshot

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/pagetrie"

	"github.com/hashicorp/raft"
)

func TestWriteAndOpen(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, m := range map[string]*model{"small": smallModel(), "nothing": newModel(), "random": randomModel(rng, 700)} {
		t.Run(name, func(t *testing.T) {
			s := openTestStore(t, Config{})
			id := write(t, s, 9, m)
			c, err := s.OpenCheckpoint(id)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			compare(t, c, m)
			if c.Index != 9 || c.Term != 3 || c.ConfigurationIndex != 2 || len(c.Configuration.Servers) != 2 {
				t.Errorf("raft's part is %+v", c.Manifest)
			}
			for _, mem := range c.Memories {
				for _, l := range mem.Layers {
					if l.File == nil || l.DataOffset%PageSize != 0 {
						t.Errorf("layer %+v cannot be mapped", l)
					}
				}
			}
			r, err := Verify(c.Dir, testHashing())
			if err != nil {
				t.Fatal(err)
			}
			if r.Round != m.round || r.Memories != len(m.memories) {
				t.Errorf("report %+v", r)
			}
		})
	}
}

// TestRaftContract holds the store against what hashicorp/raft asks of one.
func TestRaftContract(t *testing.T) {
	s := openTestStore(t, Config{Keep: 3})
	if metas, err := s.List(); err != nil || len(metas) != 0 {
		t.Fatalf("empty store lists %v, %v", metas, err)
	}
	m := smallModel()
	for _, index := range []uint64{10, 30, 20, 9} {
		write(t, s, index, m)
	}
	metas, err := s.List()
	if err != nil || len(metas) != 3 || metas[0].Index != 30 || metas[1].Index != 20 || metas[2].Index != 10 {
		t.Fatalf("List is %v, %v", metas, err)
	}
	meta, r, err := s.Open(metas[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != meta.Size || meta.Size != metas[0].Size {
		t.Fatalf("%d bytes read, size %d, listed %d, %v", len(b), meta.Size, metas[0].Size, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if meta.Term != 3 || meta.ConfigurationIndex != 2 || len(meta.Configuration.Servers) != 2 || meta.Version != raft.SnapshotVersionMax {
		t.Errorf("meta %+v", meta)
	}
	if _, _, err := s.Open("checkpoint-1-1-0"); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("unknown identifier: %v", err)
	}
	if _, _, err := s.Open("../../etc"); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("path as identifier: %v", err)
	}
}

func TestSinkEndings(t *testing.T) {
	s := openTestStore(t, Config{})
	entries := func() int {
		names, err := os.ReadDir(s.config.Dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	k := createSink(t, s, 5)
	if err := k.WriteState(smallModel().state()); err != nil {
		t.Fatal(err)
	}
	if metas, _ := s.List(); len(metas) != 0 {
		t.Error("visible before Close")
	}
	if err := k.Cancel(); err != nil || entries() != 0 {
		t.Errorf("Cancel left %d entries, %v", entries(), err)
	}
	if err := k.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("Close after Cancel: %v", err)
	}
	if err := createSink(t, s, 5).Close(); err == nil || entries() != 0 {
		t.Errorf("an empty sink: %v, %d entries", err, entries())
	}
	k = createSink(t, s, 5)
	if err := k.WriteState(smallModel().state()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Cancel(); err != nil || entries() != 1 {
		t.Errorf("Cancel after Close: %v, %d entries", err, entries())
	}
	if err := k.WriteState(State{}); !errors.Is(err, ErrClosed) {
		t.Errorf("write after Close: %v", err)
	}
	if other := createSink(t, s, 5); other.ID() == k.ID() {
		t.Errorf("two checkpoints are called %s", k.ID())
	}
}

func TestBadStates(t *testing.T) {
	page := smallModel().memories["canister-2"].pages[31]
	pages := func(list ...uint64) func(func(uint64, Page) bool) {
		return func(yield func(uint64, Page) bool) {
			for _, p := range list {
				if !yield(p, page) {
					return
				}
			}
		}
	}
	for name, memories := range map[string][]Memory{
		"page beyond size": {{Name: "m", Size: 16, Pages: pages(16)}},
		"all zero":         {{Name: "m", Size: 16, Pages: func(yield func(uint64, Page) bool) { yield(1, Page{testHashing().Page(zeroPage[:]), zeroPage[:]}) }}},
		"descending":       {{Name: "m", Size: 16, Pages: pages(4, 3)}},
		"twice":            {{Name: "m", Size: 16, Pages: pages(4, 4)}},
		"no name":          {{Size: 16, Pages: pages()}},
		"long name":        {{Name: strings.Repeat("x", MaxNameBytes+1), Size: 16, Pages: pages()}},
		"same name":        {{Name: "m", Pages: pages()}, {Name: "m", Pages: pages()}},
		"too large":        {{Name: "m", Size: MaxMemoryPages + 1, Pages: pages()}},
	} {
		t.Run(name, func(t *testing.T) {
			s := openTestStore(t, Config{})
			k := createSink(t, s, 5)
			if err := k.WriteState(State{Memories: memories}); err == nil {
				t.Error("accepted")
			}
			if err := k.Close(); err == nil {
				t.Error("published")
			}
			if names, _ := os.ReadDir(s.config.Dir); len(names) != 0 {
				t.Errorf("left %v", names)
			}
		})
	}
}

// wrapped is a reader as raft wraps it before FSM.Restore.
type wrapped struct{ io.ReadCloser }

func (w wrapped) WrappedReadCloser() io.ReadCloser { return w.ReadCloser }

func TestFromReader(t *testing.T) {
	s := openTestStore(t, Config{})
	m := smallModel()
	_, r, err := s.Open(write(t, s, 5, m))
	if err != nil {
		t.Fatal(err)
	}
	c, err := FromReader(wrapped{wrapped{r}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	compare(t, c, m) // still open
	if _, err := FromReader(r); err == nil {
		t.Error("taken twice")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := FromReader(io.NopCloser(strings.NewReader("x"))); !errors.Is(err, ErrForeignReader) {
		t.Errorf("foreign reader: %v", err)
	}
}

func TestLeftoversAreCleaned(t *testing.T) {
	dir := t.TempDir()
	s := openTestStore(t, Config{Dir: dir})
	write(t, s, 5, smallModel())
	k := createSink(t, s, 6)
	if err := k.WriteState(smallModel().state()); err != nil { // and the process ends here
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s = openTestStore(t, Config{Dir: dir})
	if metas, _ := s.List(); len(metas) != 1 || metas[0].Index != 5 {
		t.Errorf("List is %v", metas)
	}
	names, _ := os.ReadDir(dir)
	if len(names) != 2 || names[1].Name() != "notes.txt" {
		t.Errorf("folder holds %v", names)
	}
}

func TestRetention(t *testing.T) {
	s := openTestStore(t, Config{Keep: 2})
	m := smallModel()
	first := write(t, s, 1, m)
	c, err := s.OpenCheckpoint(first)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for index := uint64(2); index < 6; index++ {
		write(t, s, index, m)
	}
	names, _ := os.ReadDir(s.config.Dir)
	if len(names) != 2 || names[0].Name() != "checkpoint-4-3-0" || names[1].Name() != "checkpoint-5-3-0" {
		t.Errorf("folder holds %v", names)
	}
	compare(t, c, m) // an open checkpoint outlives its folder
}

func TestDamageIsSetAside(t *testing.T) {
	dir := t.TempDir()
	var told []string
	s := openTestStore(t, Config{Dir: dir, Keep: 9, KeepDamaged: 2, OnDamage: func(id string, err error) {
		if !IsDamage(err) {
			t.Errorf("OnDamage got %v", err)
		}
		told = append(told, id)
	}})
	m := smallModel()
	for index := uint64(1); index <= 5; index++ {
		write(t, s, index, m)
	}
	flip := func(id, file string, offset int) {
		path := filepath.Join(dir, id, file)
		if strings.Contains(file, "*") {
			found, _ := filepath.Glob(path)
			path = found[0]
		}
		// The file may be shared with other checkpoints: put a changed copy in its place.
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[offset] ^= 1
		if err := errors.Join(os.Remove(path), os.WriteFile(path, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	flip("checkpoint-5-3-0", manifestName, 60)
	flip("checkpoint-4-3-0", tableName, 3)
	flip("checkpoint-3-3-0", "*"+pageFileSuffix, 100)
	for _, id := range []string{"checkpoint-5-3-0", "checkpoint-4-3-0", "checkpoint-3-3-0"} {
		if _, _, err := s.Open(id); !IsDamage(err) || !strings.Contains(err.Error(), "offset") {
			t.Errorf("open %s: %v", id, err)
		}
		if _, _, err := s.Open(id); !errors.Is(err, ErrNoCheckpoint) {
			t.Errorf("open %s again: %v", id, err)
		}
	}
	if metas, _ := s.List(); len(metas) != 2 || metas[0].Index != 2 {
		t.Errorf("List is %v", metas)
	}
	if len(told) != 3 {
		t.Errorf("told %v", told)
	}
	evidence, _ := filepath.Glob(filepath.Join(dir, damagedPrefix+"*"))
	if len(evidence) != 2 || !strings.HasSuffix(evidence[0], "-4-3-0") {
		t.Errorf("evidence is %v", evidence)
	}
	reason, err := os.ReadFile(filepath.Join(evidence[0], reasonName))
	if err != nil || !bytes.Contains(reason, []byte("table")) {
		t.Errorf("reason %q, %v", reason, err)
	}
	// What was found at run time is also found at start.
	flip("checkpoint-2-3-0", manifestName, 9)
	s = openTestStore(t, Config{Dir: dir})
	if metas, _ := s.List(); len(metas) != 1 || metas[0].Index != 1 {
		t.Errorf("after restart List is %v", metas)
	}
}

// TestRenamedFolder: a folder cannot pass for the checkpoint of another log entry.
func TestRenamedFolder(t *testing.T) {
	dir := t.TempDir()
	id := write(t, openTestStore(t, Config{Dir: dir}), 5, smallModel())
	sound := filepath.Join(t.TempDir(), "sound")
	if err := os.CopyFS(sound, os.DirFS(filepath.Join(dir, id))); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, id), filepath.Join(dir, "checkpoint-6-3-0")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(dir, "checkpoint-6-3-0"))
	for _, path := range []string{filepath.Join(dir, "checkpoint-6-3-0"), "."} {
		var d *Damage
		if _, err := Verify(path, testHashing()); !errors.As(err, &d) || filepath.Base(d.File) != manifestName || !strings.Contains(d.Fault, "index 5 and term 3") {
			t.Errorf("%s verified: %v", path, err)
		}
	}
	if metas, _ := openTestStore(t, Config{Dir: dir}).List(); len(metas) != 0 {
		t.Errorf("List is %v", metas[0])
	}
	aside := filepath.Join(dir, damagedPrefix+"checkpoint-6-3-0")
	if _, err := Verify(aside, testHashing()); !IsDamage(err) {
		t.Errorf("%s verified: %v", aside, err)
	}
	for _, other := range []string{"of-monday", "checkpoint-5-3-7"} { // a name that says nothing, and another of the same entry
		to := filepath.Join(dir, other)
		if err := os.CopyFS(to, os.DirFS(sound)); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(to, testHashing()); err != nil {
			t.Errorf("%s: %v", other, err)
		}
	}
}

func TestVerifyLevels(t *testing.T) {
	for level, found := range map[VerifyLevel]bool{VerifyPages: true, VerifyIndexes: false} {
		s := openTestStore(t, Config{VerifyOnOpen: level})
		id := write(t, s, 5, smallModel())
		pages, _ := filepath.Glob(filepath.Join(s.config.Dir, id, "*"+pageFileSuffix))
		if err := os.Chmod(pages[0], 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(pages[0], os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("damage"), 50); err != nil {
			t.Fatal(err)
		}
		f.Close()
		_, r, err := s.Open(id)
		if IsDamage(err) != found {
			t.Errorf("level %d: %v", level, err)
		}
		if err != nil {
			continue
		}
		// Whatever the level, damage does not leave for a peer, and is remembered.
		if _, err := io.ReadAll(r); !IsDamage(err) {
			t.Errorf("streaming damaged pages: %v", err)
		}
		if metas, _ := s.List(); len(metas) != 0 {
			t.Errorf("still listed: %v", metas)
		}
		r.Close()
	}
}

func TestConfigValidate(t *testing.T) {
	err := Config{Keep: -1, VerifyOnOpen: 9}.Validate()
	for _, want := range []string{"Dir", "Keep", "Hashing", "VerifyOnOpen"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	good := Config{Dir: "x", Hashing: Hashing{Page: func([]byte) pagetrie.Hash { return pagetrie.Hash{} }}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}
