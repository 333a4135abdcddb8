// A SIGSEGV handler that serves faults in registered memories and passes every other fault on to whoever was there
// before: the Wasm engine, which knows its traps, and behind it the Go runtime, which makes nil panics.
//
// Everything here runs in a signal handler, on the thread's alternate stack (SA_ONSTACK; Go requires it), possibly in the
// middle of any other code. So: no locks, no allocation, no errno left changed, and only mprotect, memcpy and sigaction.

#define _GNU_SOURCE
#include "handler.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum {
	SHIFT = 12,
	MAP_CAP = 128, // pages prefetched by one fault where no copy is needed (Internet Computer, 2021-11)
	COPY_CAP = 64, // and where pages are copied
	WHOLE = 16,    // 4 KiB pages in a Wasm page
	SLOTS = 4096,
	LAYERS = 4,
};

// A table entry. Writers hold table_lock and make seq odd while they change it; the handler skips an entry that is being
// changed, since an entry whose memory is in use is never changed: registering comes before the first fault and
// unregistering after the last, on the memory's own goroutine.
typedef struct {
	_Atomic uint32_t seq;
	_Atomic uintptr_t base, size;
	_Atomic(ms_region *) region;
} entry;

static entry table[SLOTS];
static _Atomic int table_used; // entries below this may be in use
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

// The handlers that were in place when ours was installed, oldest first. More than one only if somebody installed theirs
// over ours and it was put on top again.
static struct sigaction layer[LAYERS];
static _Atomic int layers;

// While a fault is being passed on: the context it came with, and how many layers already had it. A layer that was
// installed over ours passes to ours in turn; the second visit goes one layer down.
static __thread void *passing;
static __thread int passing_layer;

static ms_region *find(uintptr_t addr) {
	int n = atomic_load_explicit(&table_used, memory_order_acquire);
	for (int i = 0; i < n; i++) {
		entry *e = &table[i];
		uint32_t seq = atomic_load_explicit(&e->seq, memory_order_acquire);
		if (seq & 1)
			continue;
		uintptr_t base = atomic_load_explicit(&e->base, memory_order_relaxed);
		uintptr_t size = atomic_load_explicit(&e->size, memory_order_relaxed);
		ms_region *r = atomic_load_explicit(&e->region, memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&e->seq, memory_order_relaxed) != seq)
			continue;
		if (r && addr - base < size)
			return r;
	}
	return NULL;
}

// protect changes the protection of pages [from, to). The first failure is kept, and then everything is opened: the
// access goes on, with bytes that may be wrong, in a message that can no longer be committed.
static int protect(ms_region *r, uint32_t from, uint32_t to, int prot) {
	r->syscalls++;
	void *addr = (void *)(r->base + ((uintptr_t)from << SHIFT));
	size_t len = (size_t)(to - from) << SHIFT;
	if (mprotect(addr, len, prot) == 0)
		return 0;
	if (!r->failed) {
		r->failed = errno;
		r->fail_addr = (uintptr_t)addr;
		r->fail_len = len;
	}
	r->syscalls++;
	mprotect((void *)r->base, r->size, PROT_READ | PROT_WRITE);
	return -1;
}

static void mark(ms_region *r, uint32_t p, uint8_t bits) {
	if (!(r->state[p] & (MS_ACCESSED | MS_DIRTY)))
		r->touched[r->ntouched++] = p;
	r->state[p] |= bits;
}

// cheap says that a page gets its contents from the mapping under it: from a file, or zeroes.
static int cheap(ms_region *r, uint32_t p) {
	return (r->state[p] & MS_INPLACE) || (r->handles[p] == 0 && !(r->state[p] & MS_OVERLAID));
}

// copy_in fills an open page from the store.
static void copy_in(ms_region *r, uint32_t p) {
	void *to = (void *)(r->base + ((uintptr_t)p << SHIFT));
	if (r->handles[p] == 0)
		memset(to, 0, 1 << SHIFT);
	else
		memcpy(to, r->arena + ((uintptr_t)(uint32_t)r->handles[p] << SHIFT), 1 << SHIFT);
	r->copied++;
}

// bring makes pages [from, to), none of them accessed, available with the given protection.
static int bring(ms_region *r, uint32_t from, uint32_t to, int writable, uint8_t bits) {
	int copies = 0;
	for (uint32_t p = from; p < to; p++)
		copies |= !cheap(r, p);
	if ((copies || writable) && protect(r, from, to, PROT_READ | PROT_WRITE))
		return -1;
	for (uint32_t p = from; p < to; p++) {
		if (!cheap(r, p))
			copy_in(r, p);
		mark(r, p, bits);
	}
	return writable ? 0 : protect(r, from, to, PROT_READ);
}

// beside counts marked pages next to p, in the direction of step, up to cap.
static uint32_t beside(ms_region *r, uint32_t p, int step, uint8_t bit, uint32_t cap) {
	uint32_t n = 0, pages = r->size >> SHIFT;
	for (int64_t q = (int64_t)p + step; n < cap && q >= 0 && q < pages && (r->state[q] & bit); q += step)
		n++;
	return n;
}

// take says whether a page can join the range of a prefetch.
static int take(ms_region *r, uint32_t p, int mapped) {
	uint8_t s = r->state[p] & (MS_ACCESSED | MS_DIRTY);
	return mapped ? s == MS_ACCESSED : s == 0;
}

// extend finds the range [*from, *to) around p that one fault serves: 1 + k pages, where k is the number of marked pages
// just before p, and the same mirrored. free allows a longer range where no copy is needed.
static void extend(ms_region *r, uint32_t p, uint8_t bit, int mapped, int free, uint32_t *from, uint32_t *to) {
	uint32_t pages = r->size >> SHIFT;
	uint32_t fwd = beside(r, p, -1, bit, MAP_CAP), back = beside(r, p, 1, bit, MAP_CAP);
	uint32_t hi = p + 1, lo = p;
	int copying = !mapped && !cheap(r, p);
	uint32_t cap = copying ? COPY_CAP : MAP_CAP;
	while (hi < pages && hi - p < cap && take(r, hi, mapped) && (hi - p <= fwd || (free && !copying && cheap(r, hi))))
		hi++;
	while (lo > 0 && hi - lo < cap && p - lo < back && take(r, lo - 1, mapped))
		lo--;
	*from = lo;
	*to = hi;
}

// first serves the first access to page p.
static int first(ms_region *r, uint32_t p, int write) {
	int untracked = r->mode & MS_UNTRACKED;
	int writable = write || untracked;
	uint32_t from = p, to = p + 1;
	if (r->mode & MS_AHEAD)
		extend(r, p, write && !untracked ? MS_DIRTY : MS_ACCESSED, 0, !write || untracked, &from, &to);
	return bring(r, from, to, writable, MS_ACCESSED | (writable ? MS_DIRTY : 0));
}

// second serves the first write to page p, which was read before.
static int second(ms_region *r, uint32_t p) {
	uint32_t from = p, to = p + 1;
	if (r->mode & MS_AHEAD)
		extend(r, p, MS_DIRTY, 1, 0, &from, &to);
	if (protect(r, from, to, PROT_READ | PROT_WRITE))
		return -1;
	for (uint32_t q = from; q < to; q++)
		mark(r, q, MS_DIRTY);
	return 0;
}

// whole serves a fault for the Wasm page around p. All sixteen pages have the same state, so what is marked in the end
// does not depend on the order of faults.
static int whole(ms_region *r, uint32_t p, int write) {
	uint32_t from = p & ~(uint32_t)(WHOLE - 1), to = from + WHOLE;
	int writable = write || (r->mode & MS_UNTRACKED);
	if (!(r->state[p] & MS_ACCESSED))
		return bring(r, from, to, writable, MS_ACCESSED | (writable ? MS_DIRTY : 0));
	if (protect(r, from, to, PROT_READ | PROT_WRITE))
		return -1;
	for (uint32_t q = from; q < to; q++)
		mark(r, q, MS_DIRTY);
	return 0;
}

// serve returns 1 if the access can be tried again, 0 if the fault is not one of ours after all.
static int serve(ms_region *r, uintptr_t addr, ucontext_t *uc) {
	uint32_t p = (addr - r->base) >> SHIFT;
	uint8_t s = r->state[p];
	if (s & MS_DIRTY)
		return 0; // the page is open: whatever this is, tracking did not cause it
	r->signals++;
	if (r->failed) {
		r->syscalls++;
		return mprotect((void *)r->base, r->size, PROT_READ | PROT_WRITE) == 0;
	}
	// Bit 1 of the page-fault error code is set for a write (Intel SDM vol. 3, 4.7). Without it the first fault of a page
	// counts as a read and the second as a write.
	int write = uc->uc_mcontext.gregs[REG_ERR] >> 1 & 1;
	if (!(r->mode & MS_RWBIT))
		write = s & MS_ACCESSED;
	else if (!write && (s & MS_ACCESSED))
		return 0; // a read of a readable page
	if (r->mode & MS_WHOLE)
		whole(r, p, write);
	else if (s & MS_ACCESSED)
		second(r, p);
	else
		first(r, p, write);
	return 1;
}

static void pass_on(int sig, siginfo_t *info, void *context) {
	int at = atomic_load(&layers) - 1;
	if (passing == context)
		at = passing_layer - 1;
	if (at < 0) { // nobody was there before: die of it
		signal(sig, SIG_DFL);
		return;
	}
	void *outer = passing;
	int outer_layer = passing_layer;
	passing = context;
	passing_layer = at;
	struct sigaction *old = &layer[at];
	if (old->sa_flags & SA_SIGINFO)
		old->sa_sigaction(sig, info, context);
	else if (old->sa_handler == SIG_DFL)
		sigaction(sig, old, NULL); // the instruction faults again and the default applies
	else if (old->sa_handler != SIG_IGN)
		old->sa_handler(sig);
	passing = outer;
	passing_layer = outer_layer;
}

static void on_segv(int sig, siginfo_t *info, void *context) {
	int saved = errno;
	// Only faults that the kernel raised for an access carry an address; a kill(2) must not be mistaken for one.
	if (info->si_code == SEGV_ACCERR || info->si_code == SEGV_MAPERR) {
		uintptr_t addr = (uintptr_t)info->si_addr;
		ms_region *r = find(addr);
		if (r && serve(r, addr, context)) {
			errno = saved;
			return;
		}
	}
	errno = saved;
	pass_on(sig, info, context);
}

int ms_install(void) {
	int err = 0;
	pthread_mutex_lock(&table_lock);
	struct sigaction now, ours;
	memset(&ours, 0, sizeof ours);
	ours.sa_sigaction = on_segv;
	ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
	sigfillset(&ours.sa_mask);
	int n = atomic_load(&layers);
	if (sigaction(SIGSEGV, NULL, &now) != 0) {
		err = errno;
	} else if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_segv) {
		// on top already
	} else if (n == LAYERS) {
		err = EBUSY;
	} else {
		layer[n] = now;
		atomic_store(&layers, n + 1);
		if (sigaction(SIGSEGV, &ours, NULL) != 0) {
			err = errno;
			atomic_store(&layers, n);
		}
	}
	pthread_mutex_unlock(&table_lock);
	return err;
}

static void publish(entry *e, ms_region *r, uintptr_t base, uintptr_t size) {
	uint32_t seq = atomic_load_explicit(&e->seq, memory_order_relaxed);
	atomic_store_explicit(&e->seq, seq + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&e->base, base, memory_order_relaxed);
	atomic_store_explicit(&e->size, size, memory_order_relaxed);
	atomic_store_explicit(&e->region, r, memory_order_relaxed);
	atomic_store_explicit(&e->seq, seq + 2, memory_order_release);
}

int ms_register(ms_region *r) {
	int slot = -1;
	pthread_mutex_lock(&table_lock);
	int n = atomic_load(&table_used);
	for (int i = 0; i < SLOTS && slot < 0; i++)
		if (!atomic_load_explicit(&table[i].region, memory_order_relaxed))
			slot = i;
	if (slot >= 0) {
		publish(&table[slot], r, r->base, r->size);
		if (slot >= n)
			atomic_store_explicit(&table_used, slot + 1, memory_order_release);
	}
	pthread_mutex_unlock(&table_lock);
	return slot;
}

void ms_unregister(int slot) {
	pthread_mutex_lock(&table_lock);
	publish(&table[slot], NULL, 0, 0);
	int n = atomic_load(&table_used);
	while (n > 0 && !atomic_load_explicit(&table[n - 1].region, memory_order_relaxed))
		n--;
	atomic_store_explicit(&table_used, n, memory_order_release);
	pthread_mutex_unlock(&table_lock);
}
