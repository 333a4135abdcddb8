// memory: methods that read and write large parts of the linear memory, each in another pattern.
//
// The methods work on an area of 4 KiB pages that begins on the first page behind the canister's own data; page numbers
// count from there. The memory grows by itself to hold the area. An argument is text such as
//
//   pages=1000 at=16 stride=4 seed=7 bytes=64
//
//   area    pages in the area (1024, or more if the pages named need it)
//   pages   how many pages to visit (16)
//   at      the first page (0)
//   stride  pages from one visit to the next (1; sparse chooses its own)
//   run     pages in one cluster (8)
//   to      the first page to copy to (at+pages)
//   seed    chooses the random pages and the bytes written (1)
//   bytes   bytes to write or read in every page visited (8; scan: 4096)
//
// Updates: sequential, backward, random, sparse, clustered, rewrite, straddle, fill, copy, grow, read.
// Queries: scan, size. The reply names the pages visited and a checksum of what was written or read.
#include "params.h"

enum { PAGE = 4096, WASM_PAGE = 65536, MAX_PAGES = 1 << 20 };

extern uint8_t __heap_base;  // where the linker's data ends

struct job {
    uint64_t area, pages, at, stride, run, to, seed, bytes;
    uint64_t sum;  // checksum so far
};

INIT {}

static uint8_t *page(uint64_t index) {
    uintptr_t first = ((uintptr_t)&__heap_base + PAGE - 1) / PAGE;
    return (uint8_t *)((first + (uintptr_t)index) * PAGE);
}

// next_random is xorshift64*.
static uint64_t next_random(struct job *j) {
    j->seed ^= j->seed >> 12;
    j->seed ^= j->seed << 25;
    j->seed ^= j->seed >> 27;
    return j->seed * UINT64_C(2685821657736338717);
}

static void mix(struct job *j, uint64_t word) { j->sum = (j->sum ^ word) * UINT64_C(1099511628211); }

// reach grows the memory until it has the area.
static int reach(uint64_t area) {
    uint64_t end = (uint64_t)(uintptr_t)page(0) + area * PAGE, have = (uint64_t)__builtin_wasm_memory_size(0) * WASM_PAGE;
    if (end <= have) return 1;
    uint64_t more = (end - have + WASM_PAGE - 1) / WASM_PAGE;
    if (end <= (UINT64_C(1) << 32) && __builtin_wasm_memory_grow(0, (uint32_t)more) != (size_t)-1) return 1;
    reject(TEXT("memory: cannot grow to hold the area"));
    return 0;
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

// begin reads the argument into the job and checks it. On 0 the message has been rejected already.
static int begin(struct job *j, uint64_t default_bytes) {
    *j = (struct job){.area = 1024, .pages = 16, .stride = 1, .run = 8, .to = UINT64_MAX, .seed = 1, .bytes = default_bytes,
                      .sum = UINT64_C(14695981039346656037)};
    const struct param known[] = {{"area", &j->area}, {"pages", &j->pages}, {"at", &j->at},     {"stride", &j->stride},
                                  {"run", &j->run},   {"to", &j->to},       {"seed", &j->seed}, {"bytes", &j->bytes}};
    if (!params_read(known, sizeof known / sizeof *known)) return 0;
    if (j->to == UINT64_MAX) j->to = j->at + j->pages;
    j->seed = j->seed * 2 + 1;  // never zero, which xorshift cannot leave
    if (j->area > MAX_PAGES || j->pages > MAX_PAGES || j->at > MAX_PAGES || j->stride > MAX_PAGES || j->to > MAX_PAGES)
        reject(TEXT("memory: area, pages, at, stride and to are at most 1048576"));
    else if (j->bytes > PAGE || j->area == 0 || j->run == 0)
        reject(TEXT("memory: bytes is at most 4096, area and run at least 1"));
    else
        return 1;
    return 0;
}

static void finish(struct job *j) {
    char room[16];
    for (int i = 0; i < 16; i++) room[i] = "0123456789abcdef"[j->sum >> (60 - 4 * i) & 15];
    say(TEXT("pages="));
    say_number(j->pages);
    say(TEXT(" sum="));
    answer((struct text){room, 16});
}

// write_page fills the first bytes of a page with numbers that depend on the seed and the page, never all zero.
static void write_page(struct job *j, uint64_t index) {
    uint64_t word = (j->seed ^ index) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    uint8_t *to = page(index);
    uint64_t i = 0;
    for (; i + 8 <= j->bytes; i += 8) *(uint64_t *)(to + i) = word + i;
    for (; i < j->bytes; i++) to[i] = (uint8_t)(word >> 8 * (i & 7));
    mix(j, word);
}

static void read_page(struct job *j, uint64_t index) {
    const uint8_t *from = page(index);
    uint64_t i = 0;
    for (; i + 8 <= j->bytes; i += 8) mix(j, *(const uint64_t *)(from + i));
    for (; i < j->bytes; i++) mix(j, from[i]);
}

// walk_end is one past the last page that a walk by strides visits.
static uint64_t walk_end(const struct job *j) { return j->pages == 0 ? j->at : j->at + (j->pages - 1) * j->stride + 1; }

UPDATE(sequential) {
    struct job j;
    if (!begin(&j, 8) || !reach(larger(j.area, walk_end(&j)))) return;
    for (uint64_t i = 0; i < j.pages; i++) write_page(&j, j.at + i * j.stride);
    finish(&j);
}

UPDATE(backward) {
    struct job j;
    if (!begin(&j, 8) || !reach(larger(j.area, walk_end(&j)))) return;
    for (uint64_t i = j.pages; i-- > 0;) write_page(&j, j.at + i * j.stride);
    finish(&j);
}

UPDATE(random) {
    struct job j;
    if (!begin(&j, 8) || !reach(j.area)) return;
    for (uint64_t i = 0; i < j.pages; i++) write_page(&j, next_random(&j) % j.area);
    finish(&j);
}

// sparse spreads its pages evenly over the whole area.
UPDATE(sparse) {
    struct job j;
    if (!begin(&j, 8) || !reach(larger(j.area, j.pages))) return;
    uint64_t stride = j.pages < j.area ? j.area / larger(j.pages, 1) : 1;
    for (uint64_t i = 0; i < j.pages; i++) write_page(&j, i * stride);
    finish(&j);
}

// clustered writes runs of neighbouring pages at random places.
UPDATE(clustered) {
    struct job j;
    if (!begin(&j, 8) || !reach(larger(j.area, j.run))) return;
    uint64_t places = larger(j.area, j.run) - j.run + 1;
    for (uint64_t done = 0; done < j.pages;) {
        uint64_t first = next_random(&j) % places;
        for (uint64_t i = 0; i < j.run && done < j.pages; i++, done++) write_page(&j, first + i);
    }
    finish(&j);
}

// rewrite stores into every page the bytes that it already has: pages touched, none changed.
UPDATE(rewrite) {
    struct job j;
    if (!begin(&j, 8) || !reach(larger(j.area, walk_end(&j)))) return;
    for (uint64_t i = 0; i < j.pages; i++) {
        volatile uint8_t *to = page(j.at + i * j.stride);
        for (uint64_t k = 0; k < j.bytes; k++) to[k] = to[k];
    }
    finish(&j);
}

// straddle writes eight bytes across the end of each page visited: one store, two pages.
UPDATE(straddle) {
    struct job j;
    if (!begin(&j, 8) || !reach(larger(j.area, walk_end(&j) + 1))) return;
    for (uint64_t i = 0; i < j.pages; i++) {
        uint64_t word = next_random(&j);
        __builtin_memcpy(page(j.at + i * j.stride + 1) - 4, &word, sizeof word);
        mix(&j, word);
    }
    finish(&j);
}

// fill sets whole pages to one byte, the seed, with one instruction (memory.fill). A seed of 0 makes them zero again.
UPDATE(fill) {
    struct job j;
    if (!begin(&j, 8) || !reach(larger(j.area, j.at + j.pages))) return;
    __builtin_memset(page(j.at), (int)(j.seed >> 1 & 255), j.pages * PAGE);
    mix(&j, j.seed);
    finish(&j);
}

// copy moves whole pages with one instruction (memory.copy); the two ranges may overlap.
UPDATE(copy) {
    struct job j;
    if (!begin(&j, 8) || !reach(larger(j.area, larger(j.at, j.to) + j.pages))) return;
    __builtin_memmove(page(j.to), page(j.at), j.pages * PAGE);
    mix(&j, j.to);
    finish(&j);
}

// grow adds pages to the end of the memory, rounded up to whole Wasm pages, and writes to every stride-th of them.
UPDATE(grow) {
    struct job j;
    if (!begin(&j, 8)) return;
    uint64_t old_area = ((uint64_t)__builtin_wasm_memory_size(0) * WASM_PAGE - (uint64_t)(uintptr_t)page(0)) / PAGE;
    if (!reach(old_area + j.pages)) return;
    for (uint64_t i = 0; i < j.pages; i += larger(j.stride, 1)) write_page(&j, old_area + i);
    finish(&j);
}

// read is an update that writes nothing: random pages, read only.
UPDATE(read) {
    struct job j;
    if (!begin(&j, 8) || !reach(j.area)) return;
    for (uint64_t i = 0; i < j.pages; i++) read_page(&j, next_random(&j) % j.area);
    finish(&j);
}

QUERY(scan) {
    struct job j;
    if (!begin(&j, PAGE) || !reach(larger(j.area, walk_end(&j)))) return;
    for (uint64_t i = 0; i < j.pages; i++) read_page(&j, j.at + i * j.stride);
    finish(&j);
}

QUERY(size) {
    uint64_t pages = (uint64_t)__builtin_wasm_memory_size(0) * WASM_PAGE / PAGE;
    say(TEXT("pages="));
    say_number(pages);
    say(TEXT(" area="));
    say_number(pages - (uint64_t)(uintptr_t)page(0) / PAGE);
    ic0_msg_reply();
}
