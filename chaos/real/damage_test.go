package real

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"lockstep/chaos/plan"
)

func TestDamageChangesTheFileAndNoOther(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	before := make([]byte, 5*blockBytes)
	for i := range before {
		before[i] = byte(random.Uint32() | 1)
	}
	for _, mode := range []plan.Mode{plan.Flip, plan.Truncate, plan.Zero, plan.Extend} {
		path := filepath.Join(t.TempDir(), "pages")
		if err := os.WriteFile(path, before, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(path, path+".other"); err != nil {
			t.Fatal(err)
		}
		if _, err := damageFile(path, mode, random); err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		after, err := os.ReadFile(path)
		other, err2 := os.ReadFile(path + ".other")
		if err != nil || err2 != nil || bytes.Equal(after, before) || !bytes.Equal(other, before) {
			t.Errorf("%s: changed: %v; the file that shared its bytes is whole: %v", mode, !bytes.Equal(after, before), bytes.Equal(other, before))
		}
	}
}
