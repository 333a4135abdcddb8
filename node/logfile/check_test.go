package logfile_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"lockstep/node/logfile"
)

func open(t testing.TB, path string) *raftboltdb.BoltStore { return openWith(t, path, true) }

// openWith opens a log file as node does, or with its list of free pages in the file.
func openWith(t testing.TB, path string, noFreelist bool) *raftboltdb.BoltStore {
	t.Helper()
	store, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{Timeout: time.Second, NoSync: true,
		NoFreelistSync: noFreelist, FreelistType: bbolt.FreelistMapType}})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func appendEntries(t testing.TB, store *raftboltdb.BoltStore, first, last uint64) {
	t.Helper()
	for at := first; at <= last; at += 16 {
		var entries []*raft.Log
		for i := at; i < at+16 && i <= last; i++ {
			entries = append(entries, &raft.Log{Index: i, Term: 1 + i/300, Data: bytes.Repeat([]byte{byte(i)}, int(i*37%700))})
		}
		if err := store.StoreLogs(entries); err != nil {
			t.Fatal(err)
		}
	}
}

// write makes a log file as a replica does: entries of several sizes, one over many pages, term and vote, compaction, a suffix cut off.
func write(t testing.TB, path string) {
	t.Helper()
	store := open(t, path)
	appendEntries(t, store, 1, 900)
	for _, step := range []error{
		store.SetUint64([]byte("CurrentTerm"), 4), store.Set([]byte("LastVoteCand"), []byte("n1")),
		store.StoreLog(&raft.Log{Index: 901, Term: 4, Data: make([]byte, 100_000)}),
		store.DeleteRange(1, 150), store.DeleteRange(870, 901),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	appendEntries(t, store, 870, 1000)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// written is a log file and what is in it.
func written(t testing.TB) (path string, content []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "raft.db")
	write(t, path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content
}

func TestSoundFilesPass(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raft.db")
	for _, step := range []struct {
		name   string
		change func()
	}{
		{"new", func() { _ = open(t, path).Close() }},
		{"written", func() { write(t, path) }},
		{"with a list of free pages", func() {
			store := openWith(t, path, false)
			if err := store.DeleteRange(151, 600); err != nil {
				t.Fatal(err)
			}
			_ = store.Close()
		}},
		{"emptied", func() {
			store := open(t, path)
			if err := store.DeleteRange(1, 2000); err != nil {
				t.Fatal(err)
			}
			_ = store.Close()
		}},
	} {
		step.change()
		if err := logfile.Check(path); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	if err := logfile.Check(path + ".absent"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// What is found is named.
func TestDamageIsNamed(t *testing.T) {
	path, sound := written(t)
	pageSize := os.Getpagesize()
	for name, c := range map[string]struct {
		damage func(b []byte) []byte
		want   string
	}{
		"an empty file":     {func(b []byte) []byte { return nil }, "page 0 is missing"},
		"a cut file":        {func(b []byte) []byte { return b[:len(b)/4] }, "speaks of"},
		"zeros":             {func(b []byte) []byte { clear(b[:pageSize]); return b }, "page 0 has no meta with a right checksum"},
		"one meta of two":   {func(b []byte) []byte { b[pageSize+20] ^= 1; return b }, "page 1 has no meta with a right checksum"},
		"pages of all zero": {func(b []byte) []byte { clear(b[2*pageSize:]); return b }, "says that it is page 0"},
	} {
		if err := os.WriteFile(path, c.damage(bytes.Clone(sound)), 0o600); err != nil {
			t.Fatal(err)
		}
		var damage *logfile.DamageError
		if err := logfile.Check(path); !errors.As(err, &damage) || !strings.Contains(err.Error(), c.want) || damage.Path != path {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A file that passes can be opened and every index looked up; one that bbolt would panic over does not pass. (A panic would end this
// test: bbolt's are on a goroutine of its own.)
func TestWhatPassesCanBeUsed(t *testing.T) {
	path, sound := written(t)
	r := rand.New(rand.NewPCG(1, 2))
	refused, pageSize := 0, os.Getpagesize()
	for range 400 {
		b := bytes.Clone(sound)
		at := r.IntN(len(b)/pageSize) * pageSize
		switch r.IntN(4) {
		case 0:
			clear(b[at : at+pageSize])
		case 1:
			copy(b[at:at+pageSize], b[r.IntN(len(b)/pageSize)*pageSize:])
		case 2:
			b[at+r.IntN(64)] ^= 1 << r.IntN(8)
		default:
			b[at+r.IntN(pageSize)] ^= 1 << r.IntN(8)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if logfile.Check(path) != nil {
			refused++
			continue
		}
		store := open(t, path)
		first, err1 := store.FirstIndex()
		last, err2 := store.LastIndex()
		if err1 != nil || err2 != nil || first != 151 || last != 1000 {
			t.Fatalf("entries %d to %d; %v, %v", first, last, err1, err2)
		}
		for i := first; i <= last; i++ {
			if err := store.GetLog(i, new(raft.Log)); errors.Is(err, raft.ErrLogNotFound) {
				t.Fatalf("entry %d: %v", i, err)
			}
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if refused < 50 {
		t.Errorf("%d of 400 damaged files were refused", refused)
	}
}

func FuzzCheck(f *testing.F) {
	path := filepath.Join(f.TempDir(), "raft.db")
	_ = open(f, path).Close()
	sound, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sound)
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "raft.db")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = logfile.Check(path) // it must not panic
	})
}
