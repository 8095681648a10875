/* map: string keys to pointers, open addressing, keyed hash. Keys are borrowed and must outlive their
 * entry; values are the caller's. Zero-initialised is empty. One thread at a time. */
#ifndef BASE_MAP_H
#define BASE_MAP_H
#include "base/str.h"

struct map_entry {
    struct str key;
    void *value;
    uint64_t hash; /* 0 = free, 1 = removed */
};
struct map {
    struct map_entry *slots;
    size_t n, used, cap; /* live, live + removed, slots */
};

void *map_get(const struct map *m, struct str key);               /* NULL when absent */
/* Puts or replaces; gives the value that was there before, or NULL. value must not be NULL. */
void *map_put(struct map *m, struct str key, void *value);
void *map_remove(struct map *m, struct str key);                  /* the value, or NULL */
/* Iterates in no particular order: size_t at = 0; while ((e = map_next(m, &at))). No put meanwhile;
 * removing the current entry is fine. */
struct map_entry *map_next(const struct map *m, size_t *at);
void map_fini(struct map *m);
#endif
