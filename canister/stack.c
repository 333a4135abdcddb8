// Deep recursion is a trap that all replicas agree on, decided by a count that
// stands for far more native stack than it takes (program/weight.go). That
// stack must be there on every thread that may run a canister, and the
// language's runtime makes its threads with the default size. So the default
// is raised here, before the runtime starts; it costs address space only.

#define _GNU_SOURCE
#include <pthread.h>
#include <sys/resource.h>

static const size_t wanted = 64 << 20;

__attribute__((constructor)) static void lockstep_raise_stacks(void) {
	// New threads.
	pthread_attr_t attr;
	size_t size = 0;
	if (pthread_attr_init(&attr) == 0) {
		if (pthread_attr_getstacksize(&attr, &size) == 0 && size < wanted &&
		    pthread_attr_setstacksize(&attr, wanted) == 0)
			pthread_setattr_default_np(&attr);
		pthread_attr_destroy(&attr);
	}
	// The first thread, whose stack grows up to the limit as it is when it grows;
	// the kernel leaves 128 MiB free below it.
	struct rlimit limit;
	if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < wanted) {
		limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
		setrlimit(RLIMIT_STACK, &limit);
	}
	// What failed is found by checkNativeStack.
}
