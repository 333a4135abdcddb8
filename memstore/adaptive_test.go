//go:build cgo

package memstore

import (
	"runtime"
	"testing"
)

// TestFaultsTellLines has messages that write to some hundred pages, more than are looked at one by one: their faults are
// recorded while the lines that they write to are not where comparisons look first, and no longer when they are.
func TestFaultsTellLines(t *testing.T) {
	const pages, line = 2048, 5
	_, e, m := copyInTest(t, CopyInConfig{PerWrite: -1}, pages)
	tracker := m.tracker.(*adaptive)
	write := func(x byte, first int) (recorded bool) {
		t.Helper()
		if err := m.Begin(); err != nil {
			t.Fatal(err)
		}
		recorded = tracker.sampler != nil
		for p := first; p < first+200; p++ {
			e.mem[p*PageSize+line*lineSize] = x
		}
		c, err := m.Commit(e.pages())
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Changed) != 200 {
			t.Fatalf("%d pages changed, want 200", len(c.Changed))
		}
		return recorded
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if threadSampler() == nil {
		t.Skip("the kernel records no faults")
	}
	write(1, 0)   // cold
	write(2, 200) // searched
	if tracker.few(200) {
		t.Fatal("200 pages of this memory are few")
	}
	for n := 2; n < 6; n++ {
		if !write(3, 200*n) {
			t.Errorf("message %d: the faults were not recorded, and every page was searched", n)
		}
	}
	for n, want := range []bool{true, false, false, false} { // pages that the messages before wrote, each set once
		if got := write(4, 200*(n+1)); got != want {
			t.Errorf("message %d over pages whose lines are known: faults recorded: %v, want %v", n, got, want)
		}
	}
}
