// kv: a key-value store that keeps a hash map in its linear memory.
//
//   put    key=value     stores; replies "created" or "replaced"
//   append key=text      adds to the end of the value; replies its new length
//   add    key=number    adds to a counter (absent: 0, number left out: 1); replies the sum
//   delete key           replies "deleted" or "absent"
//   clear                deletes everything; replies how many there were
//   load   count= bytes= seed=   stores that many made-up pairs in one message (keys "load/0" and up)
//   get    key           query: the value; rejects when there is none. key=fallback replies the fallback instead
//   len                  query: how many keys
//   scan   prefix        query: the pairs whose key begins so, in order of the keys, a line each, at most 1000
//   stats                query: what the map and the heap hold
//
// A key is 1 to 1024 bytes without "="; a value is up to 1 MiB of any bytes.
#include "map.h"
#include "params.h"

enum { MAX_KEY = 1024, MAX_VALUE = 1 << 20, MAX_SCAN = 1000, MAX_LOAD = 1 << 24 };

INIT { map_rehash(MIN_BUCKETS); }

// argument copies the message's argument to the heap; whoever takes it releases it.
static struct text argument(void) {
    uint32_t size = ic0_msg_arg_data_size();
    char *data = allocate(size);
    ic0_msg_arg_data_copy(data, 0, size);
    return (struct text){data, size};
}

// good_pair checks the limits; a bad pair has been rejected when it answers 0.
static int good_pair(struct text key, struct text value) {
    if (key.size == 0) reject(TEXT("kv: the key is empty; the argument is key or key=value"));
    else if (key.size > MAX_KEY) reject(TEXT("kv: the key is longer than 1024 bytes"));
    else if (value.size > MAX_VALUE) reject(TEXT("kv: the value is longer than 1048576 bytes"));
    else return 1;
    return 0;
}

UPDATE(put) {
    struct text arg = argument(), key, value;
    if (!text_cut(arg, '=', &key, &value)) {
        reject(TEXT("kv: put wants key=value"));
    } else if (good_pair(key, value)) {
        uint32_t before = map.entry_count;
        map_set_value(map_at(key), value);
        answer(map.entry_count > before ? TEXT("created") : TEXT("replaced"));
    }
    release((void *)arg.at);
}

UPDATE(append) {
    struct text arg = argument(), key, tail;
    if (!text_cut(arg, '=', &key, &tail)) {
        reject(TEXT("kv: append wants key=text"));
    } else if (good_pair(key, tail)) {
        struct entry *e = map_get(key);
        uint32_t old_size = e == NULL ? 0 : e->value_size;
        if (old_size + tail.size > MAX_VALUE) {
            reject(TEXT("kv: the value would be longer than 1048576 bytes"));
        } else {
            e = map_at(key);
            map_resize_value(e, old_size + tail.size);
            __builtin_memcpy(e->value + old_size, tail.at, tail.size);
            say_number(e->value_size);
            ic0_msg_reply();
        }
    }
    release((void *)arg.at);
}

static void add(struct text key, int64_t step) {
    struct entry *e = map_get(key);
    int64_t sum = 0;
    char room[MAX_DIGITS];
    if (e != NULL && !text_to_signed(entry_value(e), &sum)) {
        reject(TEXT("kv: the value is not a number"));
    } else if (__builtin_add_overflow(sum, step, &sum)) {
        reject(TEXT("kv: the sum does not fit 64 bits"));
    } else {
        struct text digits = text_of_signed(sum, room);
        map_set_value(map_at(key), digits);
        answer(digits);
    }
}

UPDATE(add) {
    struct text arg = argument(), key, number;
    int64_t step = 1;
    if (text_cut(arg, '=', &key, &number) && !text_to_signed(number, &step))
        reject(TEXT("kv: add wants key=number"));
    else if (good_pair(key, number))
        add(key, step);
    release((void *)arg.at);
}

UPDATE(delete) {
    struct text arg = argument();
    if (good_pair(arg, TEXT(""))) answer(map_remove(arg) ? TEXT("deleted") : TEXT("absent"));
    release((void *)arg.at);
}

UPDATE(clear) {
    uint32_t count = map.entry_count;
    for (uint32_t i = 0; i < map.bucket_count; i++) {
        for (struct entry *e = map.buckets[i], *next; e != NULL; e = next) {
            next = e->next;
            release(e->value);
            release(e);
        }
        map.buckets[i] = NULL;
    }
    map.entry_count = 0;
    map_rehash(MIN_BUCKETS);
    ic0_debug_print("kv: cleared", 11);
    say_number(count);
    ic0_msg_reply();
}

// load_value fills in printable bytes that depend on the seed (xorshift64).
static void load_value(struct entry *e, uint32_t bytes, uint64_t *seed) {
    map_resize_value(e, bytes);
    for (uint32_t i = 0; i < bytes; i++) {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        e->value[i] = (char)('a' + *seed % 26);
    }
}

UPDATE(load) {
    uint64_t count = 1000, bytes = 64, seed = 1;
    const struct param known[] = {{"count", &count}, {"bytes", &bytes}, {"seed", &seed}};
    char key[5 + MAX_DIGITS] = "load/", room[MAX_DIGITS];
    if (!params_read(known, 3)) return;
    if (count > MAX_LOAD || bytes > MAX_VALUE) {
        reject(TEXT("kv: load takes at most count=16777216 bytes=1048576"));
        return;
    }
    seed |= UINT64_C(1) << 63;  // xorshift never leaves zero
    for (uint64_t i = 0; i < count; i++) {
        struct text digits = text_of_unsigned(i, room);
        __builtin_memcpy(key + 5, digits.at, digits.size);
        load_value(map_at((struct text){key, 5 + digits.size}), (uint32_t)bytes, &seed);
    }
    say_number(map.entry_count);
    ic0_msg_reply();
}

QUERY(get) {
    struct text arg = argument(), key, fallback;
    int has_fallback = text_cut(arg, '=', &key, &fallback);
    if (!good_pair(key, fallback)) return;
    struct entry *e = map_get(key);
    if (e != NULL) answer(entry_value(e));
    else if (has_fallback) answer(fallback);
    else reject(TEXT("kv: no such key"));
}

QUERY(len) {
    say_number(map.entry_count);
    ic0_msg_reply();
}

// key_before orders keys by their bytes, a prefix first.
static int key_before(const struct entry *a, const struct entry *b) {
    for (uint32_t i = 0; i < a->key_size && i < b->key_size; i++)
        if (a->key[i] != b->key[i]) return (uint8_t)a->key[i] < (uint8_t)b->key[i];
    return a->key_size < b->key_size;
}

// scan_keep puts e into the sorted list of at most MAX_SCAN smallest entries, and returns the list's new length.
static uint32_t scan_keep(struct entry **list, uint32_t length, struct entry *e) {
    if (length == MAX_SCAN) {
        if (!key_before(e, list[length - 1])) return length;
        length--;
    }
    uint32_t at = length;
    for (; at > 0 && key_before(e, list[at - 1]); at--) list[at] = list[at - 1];
    list[at] = e;
    return length + 1;
}

QUERY(scan) {
    static struct entry *list[MAX_SCAN];
    struct text prefix = argument();
    uint32_t length = 0;
    for (uint32_t i = 0; i < map.bucket_count; i++)
        for (struct entry *e = map.buckets[i]; e != NULL; e = e->next)
            if (e->key_size >= prefix.size && text_equal((struct text){e->key, prefix.size}, prefix))
                length = scan_keep(list, length, e);
    for (uint32_t i = 0; i < length; i++) {
        say(entry_key(list[i]));
        say(TEXT("="));
        say(entry_value(list[i]));
        say(TEXT("\n"));
    }
    ic0_msg_reply();
}

QUERY(stats) {
    say(TEXT("keys="));
    say_number(map.entry_count);
    say(TEXT(" buckets="));
    say_number(map.bucket_count);
    say(TEXT(" used_bytes="));
    say_number(heap.used_bytes);
    say(TEXT(" free_bytes="));
    say_number(heap.free_bytes);
    say(TEXT(" memory_bytes="));
    say_number((uint64_t)__builtin_wasm_memory_size(0) * WASM_PAGE);
    ic0_msg_reply();
}
