// The engine's C interface as the thin call path uses it. The declarations
// repeat those of wasmtime 39 (wasmtime/extern.h, func.h, linker.h, store.h,
// trap.h); the Go binding links the library.

#ifndef LOCKSTEP_CALL_H
#define LOCKSTEP_CALL_H

#include <stddef.h>
#include <stdint.h>

typedef struct { uint64_t store; uintptr_t private; } lockstep_func;
typedef struct { struct { uint64_t store; uint32_t private1; }; uint32_t private2; } lockstep_memory;
typedef union { uint64_t word; uint64_t vector[2]; } lockstep_raw;

// How a call ended.
enum { LOCKSTEP_RETURNED, LOCKSTEP_TRAPPED, LOCKSTEP_STOPPED, LOCKSTEP_FAILED };

// One instance's side of its calls. It lives in C memory, since both sides
// keep a pointer to it.
typedef struct {
	void *context;          // of the store
	lockstep_memory memory;
	int has_memory;
	uintptr_t host;         // handle of the Go side
	lockstep_func func;     // to call
	uint64_t args[2];       // for a function that takes two numbers of 64 bits
	int nargs;              // 0 or 2
	uint64_t fuel;          // before the call to run on, then what is left; in a host call what is left, to be changed
	uint64_t size;          // of the memory, in bytes, when last control came back
	uint8_t *base;
	int stopped;            // a host function has stopped the call
	uint8_t trap;           // code, if LOCKSTEP_TRAPPED
	char message[256];      // if LOCKSTEP_FAILED
} lockstep_run;

void lockstep_look(lockstep_run *run); // sets size and base
int lockstep_call(lockstep_run *run);
int lockstep_define(void *linker, const char *module, size_t module_len, const char *name, size_t name_len,
		const void *type, uintptr_t index);

#endif
