package drill

import (
	"os"
	"path/filepath"
	"testing"

	"lockstep/chaos/replay"
)

func TestEnsembleDrills(t *testing.T) {
	e, err := NewEnsemble(EnsembleConfig{Dir: t.TempDir(), SizeMiB: 1, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	for range 10 {
		if name, err := e.Drill(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// The comparison must be seen to fail: a replica with another log has another root.
func TestEnsembleFindsADifference(t *testing.T) {
	e, err := NewEnsemble(EnsembleConfig{Dir: t.TempDir(), SizeMiB: 1, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.work(1)
	changed := *e.log[len(e.log)-1]
	changed.Time += 12345
	if _, err := e.replicas[1].machine.ApplyRound(uint64(len(e.log)), &changed); err != nil {
		t.Fatal(err)
	}
	e.replicas[1].applied++
	e.work(1)
	if err := e.catchUp(); !IsViolation(err) {
		t.Errorf("error %v, want a violation", err)
	}
}

func TestDamageIsDamage(t *testing.T) {
	e, err := NewEnsemble(EnsembleConfig{Dir: t.TempDir(), SizeMiB: 1, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	paths, err := replay.ListCheckpoints(e.replicas[0].dir)
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	if _, err := damageLargest(paths[0]); err != nil {
		t.Fatal(err)
	}
	v := e.replicas[0]
	if err := v.close(); err != nil {
		t.Fatal(err)
	}
	if err := e.open(v); err != nil || v.applied != 0 {
		t.Errorf("opened at index %d from a damaged checkpoint: %v", v.applied, err)
	}
	if _, err := os.Stat(filepath.Join(v.dir, "damaged-"+filepath.Base(paths[0]))); err != nil {
		t.Error(err)
	}
}

// One drill is one operation: a disaster, its repair, and the comparison of every root.
func BenchmarkDrill(b *testing.B) {
	b.Run("state=16MiB/replicas=3", func(b *testing.B) {
		e, err := NewEnsemble(EnsembleConfig{Dir: b.TempDir(), SizeMiB: 16, Seed: 5})
		if err != nil {
			b.Fatal(err)
		}
		defer e.Close()
		for b.Loop() {
			if name, err := e.Drill(); err != nil {
				b.Fatalf("%s: %v", name, err)
			}
		}
		b.ReportMetric(60*float64(b.N)/b.Elapsed().Seconds(), "drills/min")
	})
}
