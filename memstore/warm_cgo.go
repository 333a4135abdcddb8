package memstore

/*
#include <stddef.h>
#include <stdint.h>

// Writes to a free slab. A fault of the process's own code is served under the lock of one mapping; madvise(2) and a system call
// that is given the memory hold the lock of all of them, and what wants to change one, or reads the page tables, then waits.
static void ms_touch(uintptr_t at, size_t length, size_t step) {
	for (uintptr_t end = at + length; at < end; at += step)
		*(volatile uint8_t *)at = 0;
}
*/
import "C"

// touch writes to all pages of a slab. It is C because a goroutine that runs Go could not be stopped meanwhile.
func touch(addr uintptr) { C.ms_touch(C.uintptr_t(addr), slabBytes, PageSize) }
