/* str: a borrowed slice of bytes, passed by value. NUL inside is allowed; p may be NULL when n is 0.
 * Whoever made the memory owns it; functions that copy say `_dup`. */
#ifndef BASE_STR_H
#define BASE_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

struct str {
    const char *p;
    size_t n;
};

#define STR(lit) ((struct str){ "" lit, sizeof(lit) - 1 })
#define STR_NONE ((struct str){ NULL, 0 }) /* absent, as opposed to empty: str_absent() */
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)((s).n > 65535 ? 65535 : (s).n), (s).p ? (s).p : ""

/* NULL gives STR_NONE. Inline, so that literals are not measured at run time. */
static inline struct str str_c(const char *s) { return s ? (struct str){ s, strlen(s) } : STR_NONE; }
/* p is NULL. Inline, so that compilers and analyzers know what p is after it. */
static inline bool str_absent(struct str s) { return s.p == NULL; }
bool str_eq(struct str a, struct str b);
bool str_eq_c(struct str a, const char *b);
bool str_ieq(struct str a, struct str b);  /* ASCII case folded */
int str_cmp(struct str a, struct str b);   /* byte order, shorter first on a tie */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_sub(struct str s, size_t from, size_t n); /* clipped to s */
struct str str_trim(struct str s);                       /* ASCII white space */
/* Index of c at or after from, or s.n when there is none. */
size_t str_find(struct str s, char c, size_t from);
/* Index of needle, or s.n when there is none. */
size_t str_find_str(struct str s, struct str needle);
/* Takes the part before the next sep off *rest. False when *rest was used up before. */
bool str_split(struct str *rest, char sep, struct str *part);
struct str str_dup(struct arena *a, struct str s);        /* NUL-terminated copy */
const char *str_dup_c(struct arena *a, struct str s) __attribute__((returns_nonnull)); /* the same, as a C string; s must hold no NUL */
struct str str_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Whole of s as a decimal integer; false on anything else or overflow. */
bool str_to_i64(struct str s, int64_t *out);
/* Whole of s as a finite decimal number; false on anything else. */
bool str_to_f64(struct str s, double *out);
/* Keyed hash (SipHash-1-3); the key is random per process. */
uint64_t str_hash(struct str s);
/* The same with a fixed key: equal in every process, so it may be stored. Not for hostile keys in maps. */
uint64_t str_hash_stable(struct str s);
#endif
