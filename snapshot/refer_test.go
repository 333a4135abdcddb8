package snapshot

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// A store that refers to a checkpoint elsewhere writes only what changed, behind one that refers to another too, and writes
// nothing there. Its folders are for those who know of the links.
func TestReferences(t *testing.T) {
	m := randomModel(rand.New(rand.NewPCG(4, 4)), 3000)
	home := openTestStore(t, Config{})
	base := filepath.Join(t.TempDir(), "named by somebody")
	if err := os.Rename(filepath.Join(home.config.Dir, write(t, home, 5, m)), base); err != nil {
		t.Fatal(err)
	}
	for index := uint64(6); index < 9; index++ {
		for _, mem := range m.memories {
			mem.set(mem.size/2+index, 77+index)
		}
		m.round++
		damaged := func(id string, err error) { t.Errorf("%s: %v", id, err) }
		c := Config{Dir: filepath.Join(t.TempDir(), "store"), FS: References{}, OnDamage: damaged}
		if err := (References{}).Refer(base, c.Dir); err != nil {
			t.Fatal(err)
		}
		s := openTestStore(t, c)
		dir := filepath.Join(c.Dir, write(t, s, index, m))
		for name, open := range map[string]func(FS, string) (*Checkpoint, error){"whole": OpenDirIn, "lazily": OpenDirLazilyIn} {
			opened, err := open(References{}, dir)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if name == "whole" {
				compare(t, opened, m)
			}
			for _, mem := range opened.Memories {
				if n := len(mem.Layers); n != int(index-4) {
					t.Errorf("%s has %d layers in the checkpoint of entry %d", mem.Name, n, index)
				}
				for _, l := range mem.Layers {
					if l.File == nil {
						t.Errorf("layer %+v cannot be mapped", l)
					}
				}
			}
			if err := opened.Close(); err != nil {
				t.Error(err)
			}
		}
		if n, most := bytesIn(t, c.Dir), int64(len(m.memories)*(PageSize+4096)+len(m.table)+8192); n > most {
			t.Errorf("the checkpoint of entry %d takes %d bytes, %d are enough for what changed", index, n, most)
		}
		if _, err := OpenDir(dir); !IsDamage(err) {
			t.Errorf("without references it opens with %v", err)
		}
		base = dir
	}
}

// bytesIn adds up the files below a folder, and not what links in it lead to.
func bytesIn(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		n += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
