#include "base/strbuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static char empty[1] = "";

void strbuf_init(struct strbuf *b, size_t ceiling)
{
    *b = (struct strbuf){ .p = empty, .ceiling = ceiling };
}

void strbuf_fini(struct strbuf *b)
{
    if (b->cap) free(b->p);
    strbuf_init(b, b->ceiling);
}

void strbuf_clear(struct strbuf *b)
{
    b->n = 0;
    b->failed = false;
    if (b->cap) b->p[0] = '\0';
}

static bool reserve(struct strbuf *b, size_t extra)
{
    size_t need, cap;
    if (b->failed || extra > b->ceiling || b->n > b->ceiling - extra) {
        b->failed = true;
        return false;
    }
    need = b->n + extra + 1;
    if (need <= b->cap) return true;
    cap = b->cap ? b->cap * 2 : 64;
    if (cap < need) cap = need;
    b->p = xrealloc(b->cap ? b->p : NULL, cap);
    b->cap = cap;
    return true;
}

void strbuf_add(struct strbuf *b, const void *p, size_t n)
{
    char *to = n ? strbuf_room(b, n) : NULL;
    if (!to) return;
    memcpy(to, p, n);
    strbuf_grew(b, n);
}

void strbuf_str(struct strbuf *b, struct str s)
{
    strbuf_add(b, s.p, s.n);
}

void strbuf_c(struct strbuf *b, const char *s)
{
    strbuf_add(b, s, strlen(s));
}

char *strbuf_make_room(struct strbuf *b, size_t n)
{
    return reserve(b, n) ? b->p + b->n : NULL;
}

void strbuf_vprintf(struct strbuf *b, const char *fmt, va_list ap)
{
    va_list again;
    int n;
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    if (n > 0 && reserve(b, (size_t)n)) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    strbuf_vprintf(b, fmt, ap);
    va_end(ap);
}

void strbuf_cut(struct strbuf *b, size_t n)
{
    if (n >= b->n) return;
    b->n = n;
    b->p[n] = '\0';
}

bool strbuf_ok(const struct strbuf *b)
{
    return !b->failed;
}

struct str strbuf_view(const struct strbuf *b)
{
    return (struct str){ b->p, b->n };
}

char *strbuf_detach(struct strbuf *b, size_t *n)
{
    char *p = b->cap ? b->p : xstrdup("");
    if (n) *n = b->n;
    strbuf_init(b, b->ceiling);
    return p;
}
