/* arena: memory that lives and dies together (one per event, one per configuration).
 * One thread at a time. Nothing inside is freed singly. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include <stddef.h>

struct arena_block;
struct arena {
    struct arena_block *head; /* newest block; NULL = empty. Zero-initialised is ready for use */
    size_t used_bytes;        /* handed out since the last reset */
};

/* n bytes aligned for any type, uninitialised / zeroed. Never NULL. */
void *arena_alloc(struct arena *a, size_t n) __attribute__((returns_nonnull, alloc_size(2)));
void *arena_zalloc(struct arena *a, size_t n) __attribute__((returns_nonnull, alloc_size(2)));
/* A NUL-terminated copy of n bytes. */
char *arena_memdup(struct arena *a, const void *p, size_t n) __attribute__((returns_nonnull));
/* Keeps one block for reuse; everything handed out before is invalid. */
void arena_reset(struct arena *a);
/* Moves everything of from into to: it now lives as long as to. from is empty and usable. */
void arena_adopt(struct arena *to, struct arena *from);
/* Frees all; the arena is empty and usable again. */
void arena_fini(struct arena *a);

#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_zalloc((a), sizeof(type) * (n)))
#endif
