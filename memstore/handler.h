// The signal handler's view of a memory. See handler.c.
#ifndef LOCKSTEP_MEMSTORE_HANDLER_H
#define LOCKSTEP_MEMSTORE_HANDLER_H

#include <stdint.h>

// Bits of a page's state, kept in ms_region.state.
enum {
	MS_ACCESSED = 1, // readable, and has its contents
	MS_DIRTY = 2,    // writable; may differ from the version
	MS_INPLACE = 4,  // the mapping under it has the version's bytes
	MS_OVERLAID = 8, // the mapping under it is a file's, with other bytes than the version's
};

// How a region's faults are served.
enum {
	MS_RWBIT = 1,     // use the fault's own read/write bit
	MS_AHEAD = 2,     // prefetch by the run of pages beside the fault
	MS_UNTRACKED = 4, // a query: the first access makes the page writable
	MS_WHOLE = 8,     // serve whole 64 KiB Wasm pages
};

// One memory. The tables belong to Go code and are mapped outside its heap. While a fault is served the handler owns
// everything in it; between faults the memory's goroutine does. Faults come from that goroutine's thread only.
typedef struct {
	uintptr_t base;          // first byte
	uintptr_t size;          // bytes
	const uint8_t *arena;    // slot s of the store is at arena + s * 4096
	const uint64_t *handles; // per page: handle in the version, slot in the lower half, 0 for a zero page
	uint8_t *state;          // per page
	uint32_t *touched;       // pages whose state was changed, each once
	uint32_t ntouched;
	uint32_t mode;
	uint64_t signals, syscalls, copied;
	int failed;              // errno of the first mprotect that failed, 0 for none
	uintptr_t fail_addr, fail_len;
} ms_region;

// ms_install puts the handler on top of the process's SIGSEGV handlers unless it is there already. Returns 0 or errno.
int ms_install(void);

// ms_register makes the handler serve a region; it must not change its base and size until ms_unregister. Returns a
// slot, or -1 when all are taken.
int ms_register(ms_region *r);

// ms_unregister ends that. When it has returned no handler on any thread uses the region.
void ms_unregister(int slot);

#endif
