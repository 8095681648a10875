#include "base/map.h"

#include <stdlib.h>

#include "base/mem.h"

enum { FREE = 0, REMOVED = 1 };

static uint64_t hash_of(struct str key)
{
    uint64_t h = str_hash(key);
    return h > REMOVED ? h : h + 2;
}

static struct map_entry *find(const struct map *m, struct str key, uint64_t hash)
{
    if (m->cap == 0) return NULL;
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_entry *e = &m->slots[i];
        if (e->hash == FREE) return NULL;
        if (e->hash == hash && str_eq(e->key, key)) return e;
    }
}

static void place(struct map *m, struct map_entry entry)
{
    size_t i = entry.hash & (m->cap - 1);
    while (m->slots[i].hash > REMOVED) i = (i + 1) & (m->cap - 1);
    if (m->slots[i].hash == FREE) m->used++;
    m->slots[i] = entry;
    m->n++;
}

static void rebuild(struct map *m, size_t cap)
{
    struct map old = *m;
    *m = (struct map){ .slots = xcalloc(cap, sizeof *m->slots), .cap = cap };
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].hash > REMOVED) place(m, old.slots[i]);
    free(old.slots);
}

void *map_get(const struct map *m, struct str key)
{
    struct map_entry *e = find(m, key, hash_of(key));
    return e ? e->value : NULL;
}

void *map_put(struct map *m, struct str key, void *value)
{
    uint64_t hash = hash_of(key);
    struct map_entry *e = find(m, key, hash);
    if (e) {
        void *before = e->value;
        e->key = key;
        e->value = value;
        return before;
    }
    if ((m->used + 1) * 4 > m->cap * 3) {
        size_t cap = m->cap ? m->cap : 8;
        while ((m->n + 1) * 2 > cap) cap *= 2;
        rebuild(m, cap);
    }
    place(m, (struct map_entry){ key, value, hash });
    return NULL;
}

void *map_remove(struct map *m, struct str key)
{
    struct map_entry *e = find(m, key, hash_of(key));
    if (!e) return NULL;
    e->hash = REMOVED;
    m->n--;
    return e->value;
}

struct map_entry *map_next(const struct map *m, size_t *at)
{
    while (*at < m->cap) {
        struct map_entry *e = &m->slots[(*at)++];
        if (e->hash > REMOVED) return e;
    }
    return NULL;
}

void map_fini(struct map *m)
{
    free(m->slots);
    *m = (struct map){ 0 };
}
