#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    alignas(max_align_t) unsigned char data[];
};

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20 };

static struct arena_block *block_new(struct arena *a, size_t need)
{
    size_t size = a->head ? a->head->size * 2 : FIRST_BLOCK;
    struct arena_block *b;
    if (size > LARGEST_BLOCK) size = LARGEST_BLOCK;
    if (size < need) size = need;
    b = xmalloc(sizeof *b + size);
    b->size = size;
    b->used = 0;
    b->next = a->head;
    a->head = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    const size_t step = alignof(max_align_t);
    struct arena_block *b = a->head;
    void *p;
    if (n > SIZE_MAX / 2) abort();
    n = (n + step - 1) / step * step;
    if (n == 0) n = step;
    if (!b || b->size - b->used < n) b = block_new(a, n);
    p = b->data + b->used;
    b->used += n;
    a->used_bytes += n;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    return memset(arena_alloc(a, n), 0, n);
}

char *arena_memdup(struct arena *a, const void *p, size_t n)
{
    char *d = arena_alloc(a, n + 1);
    if (n) memcpy(d, p, n);
    d[n] = '\0';
    return d;
}

void arena_reset(struct arena *a)
{
    struct arena_block *b = a->head;
    if (!b) return;
    while (b->next) {
        struct arena_block *next = b->next;
        b->next = next->next;
        free(next);
    }
    b->used = 0;
    a->used_bytes = 0;
}

void arena_adopt(struct arena *to, struct arena *from)
{
    struct arena_block **end = &to->head;
    while (*end) end = &(*end)->next;
    *end = from->head;
    to->used_bytes += from->used_bytes;
    *from = (struct arena){ 0 };
}

void arena_fini(struct arena *a)
{
    while (a->head) {
        struct arena_block *b = a->head;
        a->head = b->next;
        free(b);
    }
    a->used_bytes = 0;
}
