//go:build cgo

package memstore

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestTooManyMappings scatters writes over more pages than the kernel gives mappings for: the trackers that protect single
// pages must say so, cleanly, and never commit.
func TestTooManyMappings(t *testing.T) {
	b, err := os.ReadFile("/proc/sys/vm/max_map_count")
	limit, err2 := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || err2 != nil || limit > 200_000 {
		t.Skip("vm.max_map_count is unknown or large")
	}
	for _, name := range []Tracker{TrackerNaive, TrackerPrefetch} {
		for _, end := range []string{"commit", "rollback"} {
			t.Run(string(name)+"/"+end, func(t *testing.T) {
				s := openStore(t)
				size := (limit + 2000) / 16 * 16 * PageSize
				e, err := newEngine(size, size)
				if err != nil {
					t.Fatal(err)
				}
				defer e.close()
				m, err := Attach(MemoryConfig{Store: s, Tracker: name, Base: addrOf(e.mem), Reserved: uint64(size), Size: uint64(size)})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Detach()
				if err := m.Begin(); err != nil {
					t.Fatal(err)
				}
				for at := 0; at < size; at += 2 * PageSize {
					e.mem[at] = 1
				}
				if end == "commit" {
					_, err = m.Commit(e.pages())
				} else {
					err = m.Rollback(e.pages())
				}
				var failed *MapError
				if !errors.As(err, &failed) || !errors.Is(err, syscall.ENOMEM) || !strings.Contains(err.Error(), "vm.max_map_count") {
					t.Fatalf("got %v, want ENOMEM with its remedy", err)
				}
				if m.Version().Pages.Len() != 0 {
					t.Error("a version left the memory")
				}
				if again := m.Begin(); again == nil {
					t.Error("a broken memory begins a message")
				}
			})
		}
	}
}
