package bench

import (
	"context"
	"slices"
	"strings"
	"testing"

	"lockstep/figure"
)

// TestOnly: only the parts that are named are measured, and a name that is none of them is refused with those that are.
func TestOnly(t *testing.T) {
	r, err := Run(context.Background(), Config{Dir: t.TempDir(), Only: []string{"bytes"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Figures) == 0 || slices.ContainsFunc(r.Figures, func(f figure.Figure) bool { return !strings.HasSuffix(f.Work, "bytes written") }) {
		t.Errorf("asked for the bytes written, measured %+v", r.Figures)
	}
	if _, err := Run(context.Background(), Config{Dir: t.TempDir(), Only: []string{"speeed"}}); err == nil || !strings.Contains(err.Error(), "restore") {
		t.Errorf("a part that does not exist: %v", err)
	}
}
