package tempdir

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestFoldersOfKilledProcessesAreRemoved(t *testing.T) {
	parent := t.TempDir()
	made := func(prefix string) *Dir {
		d, err := Make(parent, prefix)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Remove() })
		return d
	}
	foreign := filepath.Join(parent, "ours-but-not-marked")
	if err := os.Mkdir(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	live, kept, orphan, other := made("ours-"), made("ours-"), made("ours-"), made("theirs-")
	if err := errors.Join(os.WriteFile(filepath.Join(kept.Path, "result"), nil, 0o644), kept.Keep()); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*Dir{orphan, other} {
		d.mark.Close() // what the system does when the process is killed
	}
	next := made("ours-")
	for path, want := range map[string]bool{foreign: true, live.Path: true, kept.Path: true, orphan.Path: false, other.Path: true, next.Path: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: there %v, want %v", path, err == nil, want)
		}
	}
	for _, d := range []*Dir{next, kept} {
		if err := d.Remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(d.Path); err == nil {
			t.Errorf("%s was removed and is still there", d.Path)
		}
	}
}

func TestWithoutAParentThereIsNone(t *testing.T) {
	if _, err := Make(filepath.Join(t.TempDir(), "nowhere"), "x-"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// A process that has forgotten its folder has it until it ends.
func TestForgottenFoldersStay(t *testing.T) {
	parent := t.TempDir()
	path := func() string {
		d, err := Make(parent, "x-")
		if err != nil {
			t.Fatal(err)
		}
		return d.Path
	}()
	for range 3 { // the first finds the file, a later one has closed it
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	next, err := Make(parent, "x-")
	if err != nil {
		t.Fatal(err)
	}
	defer next.Remove()
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
