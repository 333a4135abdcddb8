package memstore

/*
#cgo CFLAGS: -O2 -Wall -Wextra -Wno-unused-parameter
#include <stdlib.h>
#include "handler.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"lockstep/pagetrie"
)

// Bits of a page's state; see handler.h.
const (
	stateAccessed = C.MS_ACCESSED
	stateDirty    = C.MS_DIRTY
	stateInPlace  = C.MS_INPLACE
	stateOverlaid = C.MS_OVERLAID
)

// region is a memory as the signal handler sees it.
type region struct {
	c       *C.ms_region
	slot    C.int // in the handler's table, -1 while not registered
	state   []uint8
	touched []uint32
}

var errTooManyMemories = errors.New("more than 4096 memories use the signal handler: choose a tracker without one")

// newRegion makes the tables for a memory of the given reservation and puts the handler in place.
func newRegion(base, arena uintptr, handles []pagetrie.Value, o faultingOptions, query bool) (*region, error) {
	if e := C.ms_install(); e != 0 {
		return nil, fmt.Errorf("install the SIGSEGV handler: %w", syscall.Errno(e))
	}
	r := &region{slot: -1}
	var err error
	if r.state, err = mapTable[uint8](uint32(len(handles))); err != nil {
		return nil, err
	}
	if r.touched, err = mapTable[uint32](uint32(len(handles))); err != nil {
		_ = unmapTable(r.state)
		return nil, err
	}
	r.c = (*C.ms_region)(C.calloc(1, C.sizeof_ms_region))
	r.c.base = C.uintptr_t(base)
	r.c.arena = (*C.uint8_t)(pointer(arena))
	r.c.handles = (*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(handles)))
	r.c.state = (*C.uint8_t)(unsafe.SliceData(r.state))
	r.c.touched = (*C.uint32_t)(unsafe.SliceData(r.touched))
	for bit, on := range map[C.uint32_t]bool{
		C.MS_RWBIT: o.readWriteBit, C.MS_AHEAD: o.ahead, C.MS_WHOLE: o.whole, C.MS_UNTRACKED: o.readWriteBit && query,
	} {
		if on {
			r.c.mode |= bit
		}
	}
	return r, nil
}

// pointer is an address outside the Go heap as cgo wants it.
func pointer(addr uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }

// register makes the handler serve the first size bytes.
func (r *region) register(size uintptr) error {
	r.unregister()
	r.c.size = C.uintptr_t(size)
	if size == 0 {
		return nil
	}
	if r.slot = C.ms_register(r.c); r.slot < 0 {
		return errTooManyMemories
	}
	return nil
}

func (r *region) unregister() {
	if r.slot >= 0 {
		C.ms_unregister(r.slot)
		r.slot = -1
	}
}

func (r *region) free() {
	r.unregister()
	_ = unmapTable(r.state)
	_ = unmapTable(r.touched)
	C.free(unsafe.Pointer(r.c))
}

// marked are the pages whose state the handler changed, in the order of their faults.
func (r *region) marked() []uint32 { return r.touched[:r.c.ntouched] }

// forget makes all pages untouched again.
func (r *region) forget() {
	for _, p := range r.marked() {
		r.state[p] &^= stateAccessed | stateDirty
	}
	r.c.ntouched = 0
}

// err is the first mapping call that failed in the handler.
func (r *region) err() error {
	if r.c.failed == 0 {
		return nil
	}
	return &MapError{"mprotect in the signal handler", uintptr(r.c.fail_addr), uintptr(r.c.fail_len), syscall.Errno(r.c.failed)}
}

// count moves the handler's counters into s.
func (r *region) count(s *Stats) {
	s.Signals += uint64(r.c.signals)
	s.Syscalls += uint64(r.c.syscalls)
	s.Copied += uint64(r.c.copied)
	r.c.signals, r.c.syscalls, r.c.copied = 0, 0, 0
}
