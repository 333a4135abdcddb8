package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/snapshot"
)

// newestOf is the newest checkpoint of a stopped node.
func newestOf(t *testing.T, dir string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, checkpointsDir, "checkpoint-*"))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	newest, best := "", uint64(0)
	for _, path := range all {
		c, err := snapshot.OpenDir(path)
		if err != nil {
			t.Fatal(err)
		}
		if c.Index > best {
			newest, best = path, c.Index
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return newest
}

// A checkpoint of one replica is the beginning of another cluster, on more replicas.
func TestImport(t *testing.T) {
	old, _ := startCounting(t, 1, 20, smallLogs)
	old.stop(0)
	checkpoint := newestOf(t, old.cfgs[0].DataDir)
	want, err := snapshot.OpenDir(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()

	c := newCluster(t, 5, nil)
	var members []string
	for _, cfg := range c.cfgs {
		members = append(members, cfg.ID)
	}
	for i, cfg := range c.cfgs {
		founding := Founding{DataDir: cfg.DataDir, ClusterID: cfg.ClusterID, ID: cfg.ID, Members: members}
		if err := Import(founding, checkpoint); err != nil {
			t.Fatal(err)
		}
		if err := Import(founding, checkpoint); err == nil || !strings.Contains(err.Error(), "name a new or an empty one") {
			t.Errorf("a second time: %v", err)
		}
		c.start(i)
	}
	c.agree()
	if s := c.nodes[3].Status(); s.Round < want.Round || s.SetAside != "" || s.Installed > 0 {
		t.Errorf("it did not begin with its checkpoint: %+v", s)
	}
	client := c.client()
	before, err := client.Query(c.ctx, "counter", "get", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.add(client, "counter", 3)
	c.agree()
	if after, err := client.Query(c.ctx, "counter", "get", nil); err != nil || count(after) != count(before)+3 || count(before) == 0 {
		t.Errorf("count %d and then %d: %v", count(before), count(after), err)
	}
}

// What cannot be imported leaves nothing behind.
func TestImportRefuses(t *testing.T) {
	old, _ := startCounting(t, 1, 10, smallLogs)
	old.stop(0)
	sound := newestOf(t, old.cfgs[0].DataDir)
	damaged := filepath.Join(t.TempDir(), filepath.Base(sound))
	if err := os.CopyFS(damaged, os.DirFS(sound)); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(damaged, "*.pages"))
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	content, err := os.ReadFile(pages[0])
	if err != nil {
		t.Fatal(err)
	}
	content[5] ^= 1
	if err := os.WriteFile(pages[0], content, 0o644); err != nil {
		t.Fatal(err)
	}
	for want, try := range map[string]struct {
		founding   Founding
		checkpoint string
	}{
		"is damaged at offset":   {Founding{ClusterID: "c", ID: "a", Members: []string{"a"}}, damaged},
		"the file is missing":    {Founding{ClusterID: "c", ID: "a", Members: []string{"a"}}, t.TempDir()},
		"is none of the members": {Founding{ClusterID: "c", ID: "a", Members: []string{"b"}}, sound},
		"is named twice":         {Founding{ClusterID: "c", ID: "a", Members: []string{"a", "b", "b"}}, sound},
		"must have 1 to":         {Founding{ID: "a", Members: []string{"a"}}, sound},
		"is not allowed":         {Founding{ClusterID: "c", ID: "../a", Members: []string{"../a"}}, sound},
	} {
		parent := t.TempDir()
		try.founding.DataDir = filepath.Join(parent, "data")
		if err := Import(try.founding, try.checkpoint); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
		if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
			t.Errorf("%q leaves %v, %v", want, left, err)
		}
	}
}
