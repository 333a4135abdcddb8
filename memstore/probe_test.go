//go:build cgo

package memstore

import (
	"slices"
	"strings"
	"testing"
)

func TestProbe(t *testing.T) {
	c := Probe()
	if !slices.Contains(Trackers(), c.Tracker) || c.Why == "" || len(c.Facts) < 4 {
		t.Fatalf("probe says %+v", c)
	}
	if slices.Contains([]Tracker{TrackerNaive, TrackerPrefetch, TrackerWholePage}, c.Tracker) {
		t.Fatalf("probe chose %s, which can run out of mappings", c.Tracker)
	}
	for _, f := range c.Facts {
		t.Log(f)
	}
	if _, err := conform(t.TempDir(), TrackerAuto, newSeeded(1, 20), nil); err != nil {
		t.Fatal(err)
	}
}

func TestParseTracker(t *testing.T) {
	for _, name := range append(Trackers(), TrackerAuto) {
		if got, err := ParseTracker(string(name)); err != nil || got != name {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := ParseTracker("fastest"); err == nil || !strings.Contains(err.Error(), "adaptive") {
		t.Errorf("an unknown name gives %v", err)
	}
}
