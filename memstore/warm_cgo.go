package memstore

/*
#include <stddef.h>
#include <stdint.h>

// Writes to a free slab. A fault of the process's own code is served under the lock of one mapping; madvise(2) and a system call
// that is given the memory hold the lock of all of them, and what wants to change one, or reads the page tables, then waits.
static void touch(uintptr_t at, size_t length, size_t step) {
	for (uintptr_t end = at + length; at < end; at += step)
		*(volatile uint8_t *)at = 0;
}
*/
import "C"

// touchSlab brings in the memory of a slab that is free. It is C because a goroutine that runs Go could not be stopped meanwhile.
func touchSlab(addr uintptr) { C.touch(C.uintptr_t(addr), slabBytes, PageSize) }
