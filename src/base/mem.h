/* mem: our own small allocations. They abort when memory is out: the store makes a crash safe,
 * and what is sized by input is capped before it gets here. Any thread. */
#ifndef BASE_MEM_H
#define BASE_MEM_H
#include <stddef.h>

void *xmalloc(size_t n) __attribute__((malloc, returns_nonnull, alloc_size(1)));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1, 2)));
void *xrealloc(void *p, size_t n) __attribute__((returns_nonnull, alloc_size(2)));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
/* Gives freed memory back to the system, where malloc can. Takes milliseconds after a rush: for idle moments. */
void mem_give_back(void);
#endif
