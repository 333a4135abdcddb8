package snapshot

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// A checkpoint of another cluster, or of none, is used neither where it is found nor where it is sent.
func TestCheckpointOfAnotherCluster(t *testing.T) {
	const want = `it is a checkpoint of cluster "theirs", here are those of "ours": a state is taken to another cluster by an import`
	mem := newMemFS()
	theirs := openTestStore(t, Config{FS: mem, Dir: "/store", Cluster: "theirs"})
	id := write(t, theirs, 8, smallModel())
	c, err := theirs.OpenCheckpoint(id)
	if err != nil || c.Cluster != "theirs" {
		t.Fatal(c, err)
	}
	defer c.Close()

	t.Run("sent", func(t *testing.T) {
		stream, _ := c.newStream(testHashing())
		whole, err := io.ReadAll(stream)
		if err != nil {
			t.Fatal(err)
		}
		for _, cluster := range []string{"ours", "theirs"} {
			to := openTestStore(t, Config{FS: newMemFS(), Dir: "/to", Cluster: cluster})
			err := install(createSink(t, to, 8), whole, 100)
			if cluster == "theirs" && err != nil || cluster == "ours" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("at %s: %v", cluster, err)
			}
			if names, _ := to.fs.List("/to"); cluster == "ours" && len(names) != 0 {
				t.Errorf("left %v", names)
			}
		}
	})
	t.Run("sent by difference", func(t *testing.T) {
		to := openTestStore(t, Config{FS: newMemFS(), Dir: "/to", Cluster: "ours"})
		transfer, err := to.BeginTransfer()
		if err != nil {
			t.Fatal(err)
		}
		delta, _ := deltaFor(t, c, transfer)
		err = transfer.Receive(bytes.NewReader(delta), admitAll, func(Progress) {})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
		if err := transfer.Close(); err != nil {
			t.Fatal(err)
		}
		if names, _ := to.fs.List("/to"); len(names) != 0 {
			t.Errorf("left %v", names)
		}
	})
	t.Run("found", func(t *testing.T) {
		for _, cluster := range []string{"theirs", "", "ours"} { // in this order: the last sets it aside
			var reasons []error
			s := openTestStore(t, Config{FS: mem, Dir: "/store", Cluster: cluster, OnDamage: func(_ string, err error) { reasons = append(reasons, err) }})
			metas, err := s.List()
			if err != nil {
				t.Fatal(err)
			}
			if cluster != "ours" {
				if len(metas) != 1 || reasons != nil {
					t.Errorf("at %q: %v, %v", cluster, metas, reasons)
				}
				continue
			}
			if len(metas) != 0 || len(reasons) != 1 || !strings.Contains(reasons[0].Error(), want) {
				t.Errorf("at ours: %v, %v", metas, reasons)
			}
			if names, _ := mem.List("/store"); !slices.Contains(names, damagedPrefix+id) {
				t.Errorf("it is not kept as evidence: %v", names)
			}
		}
	})
	t.Run("of none", func(t *testing.T) {
		mem := newMemFS()
		write(t, openTestStore(t, Config{FS: mem, Dir: "/store"}), 1, smallModel())
		if metas, err := openTestStore(t, Config{FS: mem, Dir: "/store", Cluster: "ours"}).List(); err != nil || len(metas) != 0 {
			t.Errorf("%v, %v", metas, err)
		}
	})
}

// An import gives a checkpoint the name of the cluster it is taken to, and so have what is written on top of it and what merges make.
func TestImportNamesTheCluster(t *testing.T) {
	mem := newMemFS()
	from := openTestStore(t, Config{FS: mem, Dir: "/from", Cluster: "theirs"})
	m := smallModel()
	dir := "/from/" + write(t, from, 50, m)
	to := openTestStore(t, Config{FS: mem, Dir: "/to", Cluster: "ours", Keep: 1})
	if _, err := to.Import(dir, raft.SnapshotMeta{Index: 50, Term: 3, ConfigurationIndex: 2, Configuration: testConfiguration()}); err != nil {
		t.Fatal(err)
	}
	for index := range uint64(8) {
		m.mutate(randSource(index), 3)
		write(t, to, 51+index, m)
		if _, err := to.Merge(); err != nil {
			t.Fatal(err)
		}
		metas, err := openTestStore(t, Config{FS: mem, Dir: "/to", Cluster: "ours"}).List()
		if err != nil || len(metas) != 1 || metas[0].Index != 51+index {
			t.Fatalf("%v, %v", metas, err)
		}
	}
	if err := errors.Join(verifyFolder(mem, dir), from.Close(), to.Close()); err != nil {
		t.Error(err)
	}
}
