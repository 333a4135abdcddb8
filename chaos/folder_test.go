package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func testManifest() Manifest {
	return Manifest{Format: manifestFormat, ClusterID: "c", Nodes: []Member{{"n1", "h:1", "h:2"}, {"n2", "h:3", "h:4"}}}
}

func TestOpenFolderRefuses(t *testing.T) {
	write := func(name, text string) func(dir string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644) }
	}
	for _, c := range []struct {
		name    string
		prepare func(dir string) error
		want    string
	}{
		{"somebody else's", write("thesis.tex", "x"), "not a cluster's folder"},
		{"garbage", write(manifestName, "\x00\x01"), "damaged or not ours"},
		{"cut off", write(manifestName, `{"format":1,"cluster_id":"c","nodes":[{"id":"n1"`), "damaged or not ours"},
		{"a later version", write(manifestName, `{"format":2}`), "version is 2"},
		{"no nodes", write(manifestName, `{"format":1,"cluster_id":"c"}`), "0 nodes"},
		{"a name that climbs", write(manifestName, `{"format":1,"cluster_id":"c","nodes":[{"id":"../x","raft":"a","http":"b"}]}`), "../x"},
		{"a port twice", write(manifestName, `{"format":1,"cluster_id":"c","nodes":[{"id":"n1","raft":"a","http":"a"}]}`), "used twice"},
		{"very large", func(dir string) error {
			return errors.Join(write(manifestName, "")(dir), os.Truncate(filepath.Join(dir, manifestName), 1<<30))
		}, "damaged"},
		{"a folder for a file", func(dir string) error { return os.Mkdir(filepath.Join(dir, manifestName), 0o755) }, manifestName},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := c.prepare(dir); err != nil {
				t.Fatal(err)
			}
			f, err := OpenFolder(dir)
			if err == nil {
				f.Close()
				t.Fatal("it was opened")
			}
			if !errors.Is(err, ErrFolder) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("got %v, want the folder's name and %q", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(dir, lockName)); c.name == "somebody else's" && err == nil {
				t.Error("a lock was left in a folder that is not ours")
			}
		})
	}
}

func TestFolderRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if f.Manifest != nil || f.Temporary() {
		t.Errorf("a new folder: %+v", f)
	}
	if err := f.SetManifest(testManifest()); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f, err = OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Manifest == nil || len(f.Manifest.Nodes) != 2 || f.Manifest.Nodes[1] != testManifest().Nodes[1] {
		t.Errorf("read back %+v", f.Manifest)
	}
}

func TestTemporaryFolders(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	live, err := OpenFolder("")
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	kept, err := OpenFolder("")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(kept.Keep(), kept.Close()); err != nil {
		t.Fatal(err)
	}
	next, err := OpenFolder("")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{live.Path, kept.Path, next.Path} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(next.Path); err == nil {
		t.Error("a closed temporary folder is still there")
	}
}
