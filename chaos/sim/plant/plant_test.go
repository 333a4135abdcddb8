package plant

import (
	"os"
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

func TestPlants(t *testing.T) {
	pool := &sim.Pool{Limit: 40 * time.Second, Dir: os.Getenv("SIMDIR"), Modules: os.Getenv("SIMMOD")}
	for _, p := range All() {
		if only := os.Getenv("PLANT"); only != "" && !strings.Contains(","+only+",", ","+p.Name+",") {
			continue
		}
		c, err := Run(t.Context(), pool, p)
		if err != nil {
			t.Fatal(p.Name, err)
		}
		t.Log(c)
		if !c.OK {
			t.Logf("   %v: %.500s err=%v", c.Others, c.Last.Result.Verdict.Sentence, c.Last.Err)
			if os.Getenv("OUT") != "" {
				t.Log(c.Last.Output)
			}
		}
		if p.Bare {
			o, err := Guarded(t.Context(), pool, p, 1)
			if err != nil || o.Result.Verdict.Judgement != check.Agreed {
				t.Logf("   guarded: %.400s %v", o.Result.Verdict.Sentence, err)
			}
		}
	}
}
