// Brings memory in ahead of a guest that fills a cold memory in order, up or down.
//
// A software perf event of the guest's thread traps it after every so many page faults (perf_event_open(2), sigtrap;
// Linux 5.13). A few traps in a row at pages beside each other are a run. From then on the memory before the run is
// replaced, 2 MiB at a time, by a huge page with the same bytes: what one fault a page costs 512 times then costs one
// copy. The first fault behind it says whether the run goes on, so that at most one huge page a run is copied in vain.
//
// The handler runs on the guest's own thread, between two of its instructions, so that nobody writes to what it copies.
// Like handler.c it takes no lock, allocates nothing and leaves errno alone.

#define _GNU_SOURCE
#include "ahead.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	SHIFT = 12,
	TRAP_BY_PERF = 6,      // TRAP_PERF
	POPULATE_READ = 22,    // MADV_POPULATE_READ, Linux 5.14
	DONT_UNMAP = 4,        // MREMAP_DONTUNMAP, Linux 5.7
	HUGE = 2 << 20,
};

static struct sigaction before;
static int installed;
static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;

static __thread ms_ahead *watched;

static int has(ms_ahead *a, uint32_t unit) { return a->brought[unit >> 6] >> (unit & 63) & 1; }

// written says that a page is the memory's own: not a file's, not the kernel's page of zeroes.
static int written(ms_ahead *a, uint32_t page) {
	const uint64_t present = 1ull << 63, file = 1ull << 61, exclusive = 1ull << 56;
	uint64_t entry;
	a->syscalls++;
	off_t at = (off_t)((a->base >> SHIFT) + page) * (off_t)sizeof entry;
	if (pread(a->pagemap, &entry, sizeof entry, at) != sizeof entry)
		return 0;
	return (entry & present) && (entry & exclusive) && !(entry & file);
}

// scratch is an address range of one unit, at a border of huge pages.
static void *scratch(ms_ahead *a) {
	if (a->scratch)
		return a->scratch;
	size_t length = ((size_t)a->unit << SHIFT) + HUGE;
	a->syscalls += 2;
	void *range = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (range == MAP_FAILED) {
		a->left = 0;
		return NULL;
	}
	madvise(range, length, MADV_HUGEPAGE);
	a->range = range;
	a->range_len = length;
	a->scratch = (uint8_t *)(((uintptr_t)range + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
	return a->scratch;
}

// replace puts huge pages with the same bytes under a unit.
static int replace(ms_ahead *a, uint32_t unit) {
	size_t length = (size_t)a->unit << SHIFT;
	void *at = (void *)(a->base + unit * length);
	void *fresh = scratch(a);
	if (!fresh)
		return 0; // nothing is lost
	a->syscalls += 2;
	madvise(at, length, POPULATE_READ); // fewer faults in the copy
	memcpy(fresh, at, length);
	// The range that the pages come from stays mapped, empty: nobody else's mapping can get there.
	if (mremap(fresh, length, length, MREMAP_MAYMOVE | MREMAP_FIXED | DONT_UNMAP, at) == at) {
		a->brought[unit >> 6] |= 1ull << (unit & 63);
		a->left--;
		a->copied += a->unit;
		return 1;
	}
	// What was there may be gone. The guest goes on, in a message that can no longer be committed.
	a->failed = errno;
	a->fail_addr = (uintptr_t)at;
	a->fail_len = length;
	a->left = 0;
	mmap(at, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	return 0;
}

// trap_after sets how many faults from now on the thread is trapped.
static void trap_after(ms_ahead *a, uint64_t faults) {
	a->syscalls++;
	ioctl(a->fd, PERF_EVENT_IOC_PERIOD, &faults);
	a->near = faults == 1;
}

// bring replaces the unit of a page, and has the next fault trap: it tells whether the run goes on.
static int bring(ms_ahead *a, uint32_t page) {
	uint32_t unit = page / a->unit, units = a->pages / a->unit;
	if (!a->left || unit >= units || unit >= MS_AHEAD_UNITS || has(a, unit) || !written(a, page))
		return 0;
	a->syscalls += 2;
	ioctl(a->fd, PERF_EVENT_IOC_DISABLE, 0); // the copy's own faults must not trap
	int done = replace(a, unit);
	ioctl(a->fd, PERF_EVENT_IOC_ENABLE, 0);
	if (!done)
		return 0;
	a->last = a->direction > 0 ? (unit + 1) * a->unit - 1 : unit * a->unit;
	if (!a->near)
		trap_after(a, 1);
	return 1;
}

static void fault(ms_ahead *a, uintptr_t addr) {
	if (addr >= a->base && (addr - a->base) >> SHIFT < a->pages) {
		uint32_t page = (addr - a->base) >> SHIFT;
		a->signals++;
		int64_t moved = (int64_t)page - a->last;
		int32_t direction = moved < 0 ? -1 : 1;
		if (moved * direction > 2 * (int64_t)a->period || (a->direction && direction != a->direction))
			a->run = 0;
		a->last = page;
		a->direction = direction;
		if (++a->run > a->steps && bring(a, page))
			return;
	}
	if (a->near) {
		a->run = 0;
		trap_after(a, a->period);
	}
}

static void on_trap(int sig, siginfo_t *info, void *context) {
	if (info->si_code == TRAP_BY_PERF) {
		int saved = errno;
		if (watched)
			fault(watched, (uintptr_t)info->si_addr);
		errno = saved;
		return;
	}
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(sig, info, context);
	else if (before.sa_handler == SIG_DFL)
		sigaction(sig, &before, NULL);
	else if (before.sa_handler != SIG_IGN)
		before.sa_handler(sig);
}

int ms_ahead_install(void) {
	int err = 0;
	pthread_mutex_lock(&install_lock);
	if (!installed) {
		struct sigaction ours;
		memset(&ours, 0, sizeof ours);
		ours.sa_sigaction = on_trap;
		ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
		sigfillset(&ours.sa_mask);
		if (sigaction(SIGTRAP, NULL, &before) != 0 || sigaction(SIGTRAP, &ours, NULL) != 0)
			err = errno;
		else
			installed = 1;
	}
	pthread_mutex_unlock(&install_lock);
	return err;
}

int ms_ahead_open(void) {
	struct perf_event_attr attr;
	memset(&attr, 0, sizeof attr);
	attr.size = sizeof attr;
	attr.type = PERF_TYPE_SOFTWARE;
	attr.config = PERF_COUNT_SW_PAGE_FAULTS_MIN;
	attr.sample_type = PERF_SAMPLE_ADDR;
	attr.sample_period = 1;
	attr.disabled = attr.exclude_kernel = attr.exclude_hv = 1;
	attr.sigtrap = attr.remove_on_exec = 1;
	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

int ms_ahead_begin(ms_ahead *a, int fd, uint32_t *period) {
	a->run = 0;
	a->direction = 0;
	a->last = ~(uint32_t)0;
	a->fd = fd;
	if (*period != a->period)
		trap_after(a, *period = a->period);
	a->near = 0;
	watched = a;
	a->syscalls++;
	if (ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) == 0)
		return 1;
	watched = NULL;
	return 0;
}

void ms_ahead_end(ms_ahead *a) {
	a->syscalls++;
	ioctl(a->fd, PERF_EVENT_IOC_DISABLE, 0);
	watched = NULL;
	if (a->near)
		trap_after(a, a->period);
}

void ms_ahead_free(ms_ahead *a) {
	if (a->range)
		munmap(a->range, a->range_len);
	free(a);
}
