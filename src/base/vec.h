/* vec: a typed growing array: VEC(struct item) items; zero-initialised is empty. */
#ifndef BASE_VEC_H
#define BASE_VEC_H
#include <stdlib.h>

#include "base/mem.h"

#define VEC(type) struct { type *v; size_t n, cap; }
/* Appends and gives the lvalue of the new last element: *vec_push(&items) = x. An element may be a pointer,
 * which clang-tidy takes for a wrong sizeof. */
#define vec_push(vec) \
    (((vec)->n == (vec)->cap \
          ? (void)((vec)->cap = (vec)->cap ? (vec)->cap * 2 : 8, \
                   (vec)->v = xrealloc( \
                       (vec)->v, (vec)->cap * sizeof *(vec)->v)) /* NOLINT(bugprone-sizeof-expression) */ \
          : (void)0), \
     &(vec)->v[(vec)->n++])
#define vec_clear(vec) ((void)((vec)->n = 0))
#define vec_free(vec) (free((vec)->v), (vec)->v = NULL, (vec)->n = (vec)->cap = 0)
#endif
