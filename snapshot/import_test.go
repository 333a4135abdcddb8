package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

func TestImport(t *testing.T) {
	from := openTestStore(t, Config{FS: newMemFS(), Dir: "/from"})
	m := smallModel()
	write(t, from, 50, m)
	m.mutate(randSource(3), 3)
	dir := "/from/" + write(t, from, 60, m)
	at := raft.SnapshotMeta{Index: 1, Term: 1, ConfigurationIndex: 1, Configuration: raft.Configuration{Servers: []raft.Server{{ID: "x", Address: "y"}}}}
	mem := from.fs.(*memFS)
	for _, name := range []string{"/to", "/another"} {
		to := openTestStore(t, Config{FS: mem, Dir: name})
		id, err := to.Import(dir, at)
		if err != nil {
			t.Fatal(err)
		}
		c, err := to.OpenCheckpoint(id)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, c, m)
		if c.Index != 1 || c.Term != 1 || c.Configuration.Servers[0].ID != "x" {
			t.Errorf("raft's part is %+v", c.Manifest)
		}
		if _, err := from.Import(dir, at); err == nil {
			t.Error("imported behind a newer checkpoint")
		}
	}
	// Replicas that begin with one checkpoint are to fail one by one: damage to the files of one is no damage to another's.
	for _, f := range files(mem.find("/to/checkpoint-1-1-0")) {
		for i := range f.data {
			f.data[i] ^= 1
		}
	}
	for _, sound := range []string{dir, "/another/checkpoint-1-1-0"} {
		if err := verifyFolder(mem, sound); err != nil {
			t.Error(err)
		}
	}
}

func TestImportVerifies(t *testing.T) {
	from, to := openTestStore(t, Config{}), openTestStore(t, Config{})
	dir := filepath.Join(from.config.Dir, write(t, from, 5, smallModel()))
	found, _ := filepath.Glob(filepath.Join(dir, "*"+pageFileSuffix))
	b, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	b[77] ^= 4
	if err := errors.Join(os.Remove(found[0]), os.WriteFile(found[0], b, 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Import(dir, raft.SnapshotMeta{Index: 1}); !IsDamage(err) {
		t.Errorf("import of damage: %v", err)
	}
	if names, _ := os.ReadDir(to.config.Dir); len(names) != 0 {
		t.Errorf("left %v", names)
	}
}
