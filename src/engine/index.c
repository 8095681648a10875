/* index: a hash table of pointers to elements that keep their own hash: 8 bytes a slot, because there may be
 * hundreds of thousands of incidents (design.md section 6, invariant 8). */
#include <stdlib.h>

#include "base/mem.h"
#include "engine/engine_internal.h"

static char removed_mark;
#define REMOVED ((void *)&removed_mark)

void *index_find(const struct index *x, uint32_t hash, index_same_fn same, const void *wanted)
{
    if (x->cap == 0) return NULL;
    for (size_t at = hash & (x->cap - 1);; at = (at + 1) & (x->cap - 1)) {
        void *element = x->slots[at];
        if (!element) return NULL;
        if (element != REMOVED && same(element, wanted)) return element;
    }
}

static void place_in(struct index *x, uint32_t hash, void *element)
{
    size_t at = hash & (x->cap - 1);
    while (x->slots[at] && x->slots[at] != REMOVED) at = (at + 1) & (x->cap - 1);
    if (!x->slots[at]) x->used++;
    x->slots[at] = element;
    x->n++;
}

static void rebuild(struct index *x, size_t cap, uint32_t (*hash_of)(const void *))
{
    struct index old = *x;
    *x = (struct index){ .slots = xcalloc(cap, sizeof *x->slots), .cap = cap };
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i] && old.slots[i] != REMOVED) place_in(x, hash_of(old.slots[i]), old.slots[i]);
    free(old.slots);
}

void index_put(struct index *x, uint32_t hash, void *element, uint32_t (*hash_of)(const void *))
{
    if ((x->used + 1) * 4 > x->cap * 3) {
        size_t cap = x->cap ? x->cap : 16;
        while ((x->n + 1) * 2 > cap) cap *= 2;
        rebuild(x, cap, hash_of);
    }
    place_in(x, hash, element);
}

void index_remove(struct index *x, uint32_t hash, const void *element)
{
    if (x->cap == 0) return;
    for (size_t at = hash & (x->cap - 1); x->slots[at]; at = (at + 1) & (x->cap - 1))
        if (x->slots[at] == element) {
            x->slots[at] = REMOVED;
            x->n--;
            return;
        }
}

void *index_next(const struct index *x, size_t *at)
{
    while (*at < x->cap) {
        void *element = x->slots[(*at)++];
        if (element && element != REMOVED) return element;
    }
    return NULL;
}
