package sim

import (
	"os"
	"testing"
)

// The figures take minutes and a quiet machine: LOCKSTEP_FIGURES=1 asks for them.
func TestFigures(t *testing.T) {
	if os.Getenv("LOCKSTEP_FIGURES") == "" {
		t.Skip("LOCKSTEP_FIGURES is not set")
	}
	figures, err := Measure(t.Context(), testPool(t))
	for _, f := range figures {
		t.Log(f)
		if f.Value < f.Goal {
			t.Logf("below its goal")
		}
	}
	if err != nil {
		t.Error(err)
	}
}
