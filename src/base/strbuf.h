/* strbuf: an owning, growing byte buffer with a ceiling from birth.
 * Invariants: p is never NULL and always NUL-terminated. Over the ceiling nothing is appended and
 * `failed` sticks: check it once at the end (strbuf_ok). One thread at a time. */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H
#include <stdarg.h>

#include "base/str.h"

struct strbuf {
    char *p;
    size_t n, cap, ceiling;
    bool failed;
};

void strbuf_init(struct strbuf *b, size_t ceiling);
void strbuf_fini(struct strbuf *b);
void strbuf_clear(struct strbuf *b); /* empty again, memory kept, failed reset */
void strbuf_add(struct strbuf *b, const void *p, size_t n);
void strbuf_str(struct strbuf *b, struct str s);
void strbuf_c(struct strbuf *b, const char *s);
char *strbuf_make_room(struct strbuf *b, size_t n);
/* Room for n bytes at the end, to be filled and then counted with strbuf_grew; NULL (and failed) over the ceiling. */
static inline char *strbuf_room(struct strbuf *b, size_t n)
{
    if (!b->failed && n < b->cap && b->n + n < b->cap && b->n + n <= b->ceiling) return b->p + b->n; /* the usual case */
    return strbuf_make_room(b, n);
}
static inline void strbuf_grew(struct strbuf *b, size_t n)
{
    b->n += n;
    b->p[b->n] = '\0';
}
static inline void strbuf_char(struct strbuf *b, char c)
{
    char *p = strbuf_room(b, 1);
    if (!p) return;
    *p = c;
    strbuf_grew(b, 1);
}
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void strbuf_cut(struct strbuf *b, size_t n); /* keep the first n bytes */
bool strbuf_ok(const struct strbuf *b);
struct str strbuf_view(const struct strbuf *b); /* borrowed until the next change */
/* The heap memory, now the caller's (free()); the buffer is empty again. */
char *strbuf_detach(struct strbuf *b, size_t *n);
#endif
