package plant

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/sim"
)

func TestMain(m *testing.M) {
	if sim.IsChild() {
		sim.Serve(Find)
	}
	os.Exit(m.Run())
}

func testPool(t *testing.T) *sim.Pool {
	t.Helper()
	p, remove, err := sim.TempPool()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := remove(); err != nil {
			t.Error(err)
		}
	})
	p.Limit = time.Minute
	return p
}

// slice are the plants of an ordinary test: one for each checker, those of the memory system, and both kinds of odd ones.
const slice = "wall-clock missed-write merge-oldest-last rollback-skipped restore-leaves-absent-pages restore-half-done " +
	"checkpoint-without-globals checkpoint-without-sessions checkpoint-wrong-size checkpoint-table-cut overlay-oldest-last " +
	"no-duplicate-check applied-twice restart-trusts-index canary checkpoint-old-root no-folder-sync " +
	"money-lost ack-before-durable vote-not-kept entries-altered stale-read blind-roots raft-install-livelock raft-bad-checkpoint-panic"

// Every planted bug is caught by a checker that is to catch it. LOCKSTEP_PLANTS=all plants all, a list of names those.
func TestPlants(t *testing.T) {
	wanted := os.Getenv("LOCKSTEP_PLANTS")
	if wanted == "" {
		wanted = slice
	}
	pool := testPool(t)
	for _, p := range All() {
		if wanted != "all" && !slices.Contains(strings.Fields(wanted), p.Name) {
			continue
		}
		c, err := Run(t.Context(), pool, p)
		if err != nil {
			t.Fatal(p.Name, err)
		}
		t.Log(c)
		if !c.OK {
			t.Errorf("%s: %s: %v %.500s %v", p.Name, p.Doc, c.Others, c.Last.Result.Verdict.Sentence, c.Last.Err)
		}
		// The run ends at the violation, so replicas may be behind: liveness does not count.
		others := slices.DeleteFunc(c.Others, func(by string) bool { return by == "liveness" })
		if slices.Equal(p.Expect, []string{"conservation"}) && len(others) > 0 {
			t.Errorf("%s: all replicas do the same, and %v saw it", p.Name, others)
		}
		if !p.Bare {
			continue
		}
		for seed := range uint64(2) { // node survives what bare raft does not
			o, err := Guarded(t.Context(), pool, p, seed+1)
			if err != nil || o.Result.Verdict.Judgement != check.Agreed {
				t.Errorf("%s on node, seed %d: %.500s %v %v", p.Name, seed+1, o.Result.Verdict.Sentence, err, o.Err)
			}
		}
	}
}

func TestPlantsAreDescribed(t *testing.T) {
	if n := len(All()); n < 22 {
		t.Errorf("%d plants", n)
	}
	seen := map[string]bool{}
	for _, p := range All() {
		if seen[p.Name] || p.Doc == "" || len(p.Expect) == 0 {
			t.Errorf("plant %q is not described, or is there twice", p.Name)
		}
		seen[p.Name] = true
		for _, name := range p.Expect {
			if check.Doc(name) == "" {
				t.Errorf("%s expects %q, which is no checker", p.Name, name)
			}
		}
		if _, err := p.Plan(1); err != nil {
			t.Error(err)
		}
	}
}
