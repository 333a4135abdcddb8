package memstore

/*
#include <stdlib.h>
#include "ahead.h"
*/
import "C"

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// aheadLimits say when memory is brought in ahead of a guest that fills it, and how much.
type aheadLimits struct {
	unit   uint32 // pages brought in at a time; a huge page
	period uint32 // page faults from one look to the next
	steps  uint32 // looks in a row that found the guest going on
	total  uint32 // units of a memory, at most; each may cost a mapping
}

// ahead brings memory in before a guest that fills a cold memory in order; see ahead.c. It needs perf events; without
// them the guest takes a fault for every page, as without it.
type ahead struct {
	c    *C.ms_ahead
	trap *trap // of the running message's thread, switched on; or nil
}

// trap is a thread's perf event that interrupts it.
type trap struct {
	fd     C.int
	period C.uint32_t // what it is set to
}

// traps by thread, as samplers.
var traps struct {
	sync.Mutex
	byThread map[int]*trap // nil where the kernel refused
}

func threadTrap() *trap {
	id := unix.Gettid()
	traps.Lock()
	defer traps.Unlock()
	t, known := traps.byThread[id]
	if !known {
		if traps.byThread == nil {
			traps.byThread = make(map[int]*trap)
		}
		if fd := C.ms_ahead_open(); fd >= 0 && C.ms_ahead_install() == 0 {
			t = &trap{fd, 1}
		}
		traps.byThread[id] = t
	}
	return t
}

// newAhead is nil where nothing can be brought in.
func newAhead(m *Memory, l aheadLimits) *ahead {
	unit := uintptr(l.unit) << pageShift
	if unit%slabBytes == 0 && m.base%slabBytes != 0 {
		return nil // no huge page fits
	}
	fd, err := pagemapFD()
	if err != nil {
		return nil
	}
	a := &ahead{c: (*C.ms_ahead)(C.calloc(1, C.sizeof_ms_ahead))}
	a.c.base = C.uintptr_t(m.base)
	a.c.unit, a.c.period, a.c.steps = C.uint32_t(l.unit), C.uint32_t(l.period), C.uint32_t(l.steps)
	a.c.left = C.uint32_t(l.total)
	a.c.pagemap = C.int(fd)
	return a
}

// begin watches the calling thread's first writes to the memory's first pages.
func (a *ahead) begin(pages PageCount) {
	if a.trap = threadTrap(); a.trap == nil {
		return
	}
	a.c.pages = C.uint32_t(pages)
	if C.ms_ahead_begin(a.c, a.trap.fd, &a.trap.period) == 0 {
		a.trap = nil
	}
}

// end stops watching, and moves the counters into s.
func (a *ahead) end(s *Stats) error {
	if a.trap == nil {
		return nil
	}
	C.ms_ahead_end(a.c)
	a.trap = nil
	s.Signals += uint64(a.c.signals)
	s.Syscalls += uint64(a.c.syscalls)
	s.Copied += uint64(a.c.copied)
	a.c.signals, a.c.syscalls, a.c.copied = 0, 0, 0
	if a.c.failed != 0 {
		return &MapError{"mremap ahead of the guest", uintptr(a.c.fail_addr), uintptr(a.c.fail_len), syscall.Errno(a.c.failed)}
	}
	return nil
}

func (a *ahead) free() { C.ms_ahead_free(a.c) }

// has says whether a page was brought in.
func (a *ahead) has(page uint32) bool {
	u := page / uint32(a.c.unit)
	return u < C.MS_AHEAD_UNITS && a.c.brought[u/64]>>(u%64)&1 != 0
}
