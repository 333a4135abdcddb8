package bench

import (
	"os"
	"strings"
	"testing"
	"time"

	"lockstep/chaos/check"
	"lockstep/chaos/plan"
	"lockstep/chaos/sim"
	"lockstep/chaos/sim/plant"
)

func TestMain(m *testing.M) {
	if sim.IsChild() {
		sim.Serve(plant.Find)
	}
	os.Exit(m.Run())
}

// Small states, few calls and short plans are measured as large ones are; whether goals are met is not for a test.
func TestMeasure(t *testing.T) {
	pool, remove, err := sim.TempPool()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := remove(); err != nil {
			t.Error(err)
		}
	}()
	r, err := Run(t.Context(), Config{Pool: pool, Seeds: 2, MiB: 16, Calls: 10_000, Dir: t.TempDir(), Only: []string{"drawn", "localise", "linear"},
		Draw: func(seed uint64) *plan.Plan {
			return plan.Generate(seed, plan.Shape{Layer: plan.Sim, Replicas: 3, Time: plan.Time{Run: 5 * time.Second}, Workloads: []string{"small"},
				Trackers: []string{"cow"}})
		}})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if len(r.Figures) != 5 {
		t.Errorf("%d figures", len(r.Figures))
	}
	for _, want := range []string{"seeds 1 to 2", "two checkpoints of 16 MiB", "a replica of 16 MiB that disagrees", "10000 calls"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, &text)
		}
	}
	if _, err := Run(t.Context(), Config{Only: []string{"colour"}}); err == nil || !strings.Contains(err.Error(), "linear") {
		t.Errorf("an unknown part: %v", err)
	}
}

// A history with one answer out of order is not called linearizable.
func TestManyCallsCanFail(t *testing.T) {
	events := manyCalls(1000)
	for i := range events {
		if e := &events[i]; e.Op == 900 && e.Round != 0 {
			e.Round, e.Index, e.Ran = 1, 1, 1
		}
	}
	s := check.New(check.Config{})
	found := false
	for i := range events {
		v := s.Observe(&events[i])
		found = found || v != nil && v.Checker == "linearizability"
	}
	if !found {
		t.Error("an answer from the first round was let pass")
	}
}
