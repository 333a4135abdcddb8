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

// A block of zeros that is made zeros is no damage, which a checker would wait for: something else is changed then.
func TestDamageOfZerosIsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pages")
	for _, mode := range []plan.Mode{plan.Zero, plan.Swap, plan.Stale} {
		if err := os.WriteFile(path, make([]byte, 3*blockBytes), 0o644); err != nil {
			t.Fatal(err)
		}
		what, err := damageFile(path, mode, rand.New(rand.NewPCG(1, 2)))
		if err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(path)
		if err != nil || bytes.Equal(after, make([]byte, 3*blockBytes)) {
			t.Errorf("%s: %s, and the file is what it was (%v)", mode, what, err)
		}
	}
}

func TestHarmWaitsForTheOthers(t *testing.T) {
	whole := []progress{{up: true, round: 9}, {up: true, round: 7}, {up: true, round: 9}}
	lags := view{nodes: whole, newest: 9}
	down := view{nodes: []progress{{up: true, round: 9}, {round: 9}, {up: true, round: 9}}, newest: 9}
	for _, v := range []*view{&lags, &down} {
		if !v.canSpare(2) || v.canSpare(1) || v.canSpare(3) {
			t.Errorf("%+v: spares 1: %v, 2: %v, 3: %v", v.nodes, v.canSpare(1), v.canSpare(2), v.canSpare(3))
		}
	}
}
