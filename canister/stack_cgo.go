package canister

/*
#include <pthread.h>
#include <stddef.h>

// The stack that a new thread gets, in bytes.
static size_t lockstep_thread_stack(void) {
	pthread_attr_t attr;
	size_t size = 0;
	if (pthread_attr_init(&attr) == 0) {
		pthread_attr_getstacksize(&attr, &size);
		pthread_attr_destroy(&attr);
	}
	return size;
}
*/
import "C"

import (
	"fmt"
	"syscall"

	"lockstep/canister/program"
)

// checkNativeStack makes sure that the engine's limit on native stack, which
// must never be reached, lies within the stacks that threads have.
func checkNativeStack() error {
	const need = program.NativeStackBytes + 4<<20 // host functions and the runtime below
	size := uint64(C.lockstep_thread_stack())
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_STACK, &limit); err != nil {
		return fmt.Errorf("read the limit on stacks: %w", err)
	}
	if size = min(size, limit.Cur); size < need {
		return fmt.Errorf("threads have %d KiB of stack, canisters need %d, and the limit could not be raised: "+
			"see 'ulimit -Hs'", size>>10, need>>10)
	}
	return nil
}
