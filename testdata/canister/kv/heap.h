// heap.h: the key-value store's own allocator.
//
// Blocks come in size classes, two for every power of two: 32, 48, 64, 96, 128, ... bytes with their header. A freed block
// goes to the front of its class's list and is the next one handed out; with an empty list a new block is cut from the top of
// the heap, which grows the memory when it must. Blocks are never split or joined, so a block's class is for life.
#ifndef HEAP_H
#define HEAP_H

#include "text.h"

enum { WASM_PAGE = 65536, HEAP_CLASSES = 52 };

struct block {
    uint32_t class;
    struct block *next_free;  // meaningful only while the block is free
};

static struct {
    uint32_t top;  // address of the first byte never handed out; 0 before the first block
    uint32_t free_bytes, used_bytes;
    struct block *free[HEAP_CLASSES];
} heap;

extern uint8_t __heap_base;  // where the linker's data ends

// class_bytes is the size of a block of this class: 32, 48, 64, 96, ... Always a multiple of 16.
static uint64_t class_bytes(uint32_t class) { return (class & 1 ? UINT64_C(48) : UINT64_C(32)) << (class / 2); }

// out_of_memory traps: the message then has changed nothing, and the next one finds the store as it was.
__attribute__((noreturn)) static void out_of_memory(void) { trap(TEXT("kv: out of memory")); }

static uint32_t heap_class(uint32_t bytes) {
    uint32_t class = 0;
    while (class < HEAP_CLASSES && class_bytes(class) < (uint64_t)bytes + sizeof(struct block)) class++;
    if (class == HEAP_CLASSES) out_of_memory();
    return class;
}

// heap_cut takes bytes from the top of the heap, growing the memory when it ends too soon.
static struct block *heap_cut(uint64_t bytes) {
    if (heap.top == 0) heap.top = ((uint32_t)&__heap_base + 15) & ~15u;
    uint64_t end = heap.top + bytes, have = (uint64_t)__builtin_wasm_memory_size(0) * WASM_PAGE;
    if (end > have) {
        uint64_t pages = (end - have + WASM_PAGE - 1) / WASM_PAGE;
        if (end > UINT32_MAX || __builtin_wasm_memory_grow(0, (uint32_t)pages) == (size_t)-1)
            out_of_memory();
    }
    struct block *b = (struct block *)heap.top;
    heap.top = (uint32_t)end;
    return b;
}

// allocate returns at least so many bytes, 8-aligned, holding whatever they held before.
static void *allocate(uint32_t bytes) {
    uint32_t class = heap_class(bytes);
    struct block *b = heap.free[class];
    if (b != NULL) {
        heap.free[class] = b->next_free;
        heap.free_bytes -= (uint32_t)class_bytes(class);
    } else {
        b = heap_cut(class_bytes(class));
        b->class = class;
    }
    heap.used_bytes += (uint32_t)class_bytes(class);
    return b + 1;
}

static void release(void *data) {
    if (data == NULL) return;
    struct block *b = (struct block *)data - 1;
    b->next_free = heap.free[b->class];
    heap.free[b->class] = b;
    heap.free_bytes += (uint32_t)class_bytes(b->class);
    heap.used_bytes -= (uint32_t)class_bytes(b->class);
}

// room_in is how many bytes the block really has for its user: never less than were asked for.
static uint32_t room_in(void *data) {
    return (uint32_t)class_bytes(((struct block *)data - 1)->class) - sizeof(struct block);
}

#endif
