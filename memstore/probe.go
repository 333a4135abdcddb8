//go:build cgo

package memstore

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Probe finds the fastest tracker that the machine allows, by trying: the mechanisms are run on a small mapping and their
// answers checked. It is done once in a process. Trackers that need a mapping for every scattered page are never chosen.
func Probe() Choice { return probed() }

var probed = sync.OnceValue(func() Choice {
	c := Choice{Facts: surroundings()}
	try := func(what string, f func(*Memory) error) bool {
		err := tryOn(f)
		if err != nil {
			c.Facts = append(c.Facts, fmt.Sprintf("%s: no: %v", what, err))
		} else {
			c.Facts = append(c.Facts, what+": yes")
		}
		return err == nil
	}
	marks := try("write marks (userfaultfd WP_ASYNC and PAGEMAP_SCAN)", tryMarks)
	private := try("pages copied on write told apart (/proc/self/pagemap)", tryPrivate)
	if s := openSampler(); s != nil {
		s.close()
		c.Facts = append(c.Facts, "addresses of page faults (perf_event_open): yes")
	} else {
		c.Facts = append(c.Facts, "addresses of page faults (perf_event_open): no: writes are looked for where the last message wrote")
	}
	switch {
	case marks && private:
		c.Tracker, c.Why = TrackerAdaptive, "the kernel marks written pages and tells copied ones"
	case private:
		c.Tracker, c.Why = TrackerCow, "the kernel tells copied pages but does not mark written ones"
	default:
		c.Tracker, c.Why = TrackerCompare, "the page tables cannot be read; protecting single pages would fail at vm.max_map_count"
	}
	return c
})

// surroundings says what usually decides.
func surroundings() []string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	facts := []string{"kernel " + unix.ByteSliceToString(u.Release[:])}
	for _, f := range []string{"vm/unprivileged_userfaultfd", "vm/max_map_count", "kernel/perf_event_paranoid"} {
		if b, err := os.ReadFile("/proc/sys/" + f); err == nil {
			facts = append(facts, strings.ReplaceAll(f, "/", ".")+" = "+strings.TrimSpace(string(b)))
		}
	}
	if b, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(b)) {
			if value, ok := strings.CutPrefix(line, "Seccomp:"); ok {
				facts = append(facts, "seccomp mode "+strings.TrimSpace(value)+" (0 none, 2 filter)")
			}
		}
	}
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			facts = append(facts, "container ("+mark+")")
		}
	}
	return facts
}

// tryPages is the size of the mapping that mechanisms are tried on.
const tryPages = 8

// tryOn calls f with a memory over a private mapping of a file of tryPages pages.
func tryOn(f func(*Memory) error) error {
	fd, err := unix.MemfdCreate("lockstep-probe", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("memfd_create: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, tryPages*PageSize); err != nil {
		return fmt.Errorf("ftruncate: %w", err)
	}
	b, err := unix.Mmap(fd, 0, tryPages*PageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		return mapError("mmap", 0, tryPages*PageSize, err)
	}
	defer func() { _ = unix.Munmap(b) }()
	return f(&Memory{base: addrOf(b), mem: b, reserved: tryPages, size: tryPages, tracked: tryPages})
}

func tryMarks(m *Memory) error {
	all := PageRun{0, tryPages}
	if err := m.watch(all); err != nil {
		return err
	}
	if err := m.arm(all); err != nil {
		return err
	}
	for range 2 {
		m.mem[3*PageSize]++
		if err := wantPage(m.scan(nil, all, queryRearm)); err != nil {
			return err
		}
	}
	return nil
}

func tryPrivate(m *Memory) error {
	_ = m.mem[5*PageSize]
	m.mem[3*PageSize]++
	return wantPage(m.private(nil))
}

func wantPage(runs []PageRun, err error) error {
	if err == nil && (len(runs) != 1 || runs[0] != PageRun{3, 4}) {
		err = fmt.Errorf("after a write to page 3 the kernel reports %v", runs)
	}
	return err
}
