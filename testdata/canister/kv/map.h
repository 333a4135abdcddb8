// map.h: a chained hash map from keys to values, both of any bytes.
//
// The bucket array doubles when there are more entries than buckets and halves when there are eight times fewer, at once and
// not little by little: such a message touches every page that holds an entry, on purpose.
#ifndef MAP_H
#define MAP_H

#include "heap.h"

enum { MIN_BUCKETS = 16 };

struct entry {
    struct entry *next;
    uint32_t hash, key_size, value_size;
    char *value;  // a block of its own, so that it can grow
    char key[];
};

static struct {
    struct entry **buckets;
    uint32_t bucket_count, entry_count;
} map;

static struct text entry_key(const struct entry *e) { return (struct text){e->key, e->key_size}; }
static struct text entry_value(const struct entry *e) { return (struct text){e->value, e->value_size}; }

// map_hash is FNV-1a with a last mix, since the low bits choose the bucket.
static uint32_t map_hash(struct text key) {
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < key.size; i++) h = (h ^ (uint8_t)key.at[i]) * 16777619u;
    h ^= h >> 16;
    h *= 0x7feb352du;
    return h ^ h >> 15;
}

static void map_rehash(uint32_t bucket_count) {
    struct entry **buckets = allocate(bucket_count * sizeof *buckets);
    for (uint32_t i = 0; i < bucket_count; i++) buckets[i] = NULL;
    for (uint32_t i = 0; i < map.bucket_count; i++) {
        for (struct entry *e = map.buckets[i], *next; e != NULL; e = next) {
            struct entry **home = &buckets[e->hash & (bucket_count - 1)];
            next = e->next;
            e->next = *home;
            *home = e;
        }
    }
    release(map.buckets);
    map.buckets = buckets;
    map.bucket_count = bucket_count;
}

// map_find returns the link that points to the key's entry, or the link at the end of its chain (pointing to NULL).
// The map has buckets from canister_init on.
static struct entry **map_find(struct text key, uint32_t hash) {
    struct entry **link = &map.buckets[hash & (map.bucket_count - 1)];
    while (*link != NULL && ((*link)->hash != hash || !text_equal(entry_key(*link), key))) link = &(*link)->next;
    return link;
}

// map_get returns NULL for a key that is not there.
static struct entry *map_get(struct text key) { return *map_find(key, map_hash(key)); }

// map_at finds the entry or makes it, with an empty value.
static struct entry *map_at(struct text key) {
    uint32_t hash = map_hash(key);
    struct entry *e = *map_find(key, hash);
    if (e != NULL) return e;
    if (map.entry_count >= map.bucket_count) map_rehash(map.bucket_count * 2);
    e = allocate((uint32_t)sizeof *e + key.size);
    *e = (struct entry){.hash = hash, .key_size = key.size};
    __builtin_memcpy(e->key, key.at, key.size);
    struct entry **home = &map.buckets[hash & (map.bucket_count - 1)];
    e->next = *home;
    *home = e;
    map.entry_count++;
    return e;
}

// map_resize_value gives the value this size, keeping the bytes it had. Room grows by doubling (see heap.h).
static void map_resize_value(struct entry *e, uint32_t size) {
    if (e->value == NULL || room_in(e->value) < size) {
        char *value = allocate(size);
        if (e->value != NULL) __builtin_memcpy(value, e->value, e->value_size);
        release(e->value);
        e->value = value;
    }
    e->value_size = size;
}

static void map_set_value(struct entry *e, struct text value) {
    map_resize_value(e, value.size);
    __builtin_memcpy(e->value, value.at, value.size);
}

// map_remove answers whether the key was there.
static int map_remove(struct text key) {
    struct entry **link = map_find(key, map_hash(key)), *e = *link;
    if (e == NULL) return 0;
    *link = e->next;
    release(e->value);
    release(e);
    map.entry_count--;
    if (map.bucket_count > MIN_BUCKETS && map.entry_count < map.bucket_count / 8) map_rehash(map.bucket_count / 2);
    return 1;
}

#endif
