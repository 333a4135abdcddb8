// Bringing in memory ahead of a guest that fills it. See ahead.c.
#ifndef LOCKSTEP_MEMSTORE_AHEAD_H
#define LOCKSTEP_MEMSTORE_AHEAD_H

#include <stddef.h>
#include <stdint.h>

enum { MS_AHEAD_UNITS = 2048 }; // of a memory of 4 GiB

// One memory whose first writes are watched. The fields belong to the memory's goroutine between messages and to the
// handler, on the same thread, while one runs.
typedef struct {
	uintptr_t base;     // first byte
	uint32_t pages;     // 4 KiB pages
	uint32_t unit;      // pages brought in at a time: a huge page
	uint32_t period;    // faults from one trap to the next
	uint32_t steps;     // traps in a row that make a run
	uint32_t left;      // units that may still be brought in
	int pagemap;        // descriptor of /proc/self/pagemap
	uint8_t *scratch;   // a unit of empty memory; mapped when first needed
	void *range;        // the mapping that it is in
	size_t range_len;
	uint64_t brought[MS_AHEAD_UNITS / 64]; // bit set of units

	int fd;             // of the running message's trap
	uint32_t last;      // page of the last trap, or the last one brought in
	int32_t direction;  // 1 or -1; 0 before the first trap
	uint32_t run;       // traps in a row
	int near;           // the next fault traps

	uint64_t signals, syscalls, copied;
	int failed;         // errno of the first call that failed and left wrong bytes
	uintptr_t fail_addr, fail_len;
} ms_ahead;

// ms_ahead_install puts the trap handler in place unless it is there already. Returns 0 or errno.
int ms_ahead_install(void);

// ms_ahead_open makes the calling thread's trap, switched off. Returns a descriptor, or -1 where the kernel has none.
int ms_ahead_open(void);

// ms_ahead_begin switches the calling thread's trap on for a memory, ms_ahead_end off. Begin returns 0 if it could not.
int ms_ahead_begin(ms_ahead *a, int fd, uint32_t *period);
void ms_ahead_end(ms_ahead *a);

// ms_ahead_free frees a, which is not watched any more.
void ms_ahead_free(ms_ahead *a);

#endif
