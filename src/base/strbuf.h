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
void strbuf_char(struct strbuf *b, char c);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void strbuf_cut(struct strbuf *b, size_t n); /* keep the first n bytes */
bool strbuf_ok(const struct strbuf *b);
struct str strbuf_view(const struct strbuf *b); /* borrowed until the next change */
/* The heap memory, now the caller's (free()); the buffer is empty again. */
char *strbuf_detach(struct strbuf *b, size_t *n);
#endif
