#include "base/str.h"

#include <assert.h>
#include <errno.h>
#include <locale.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_eq_c(struct str a, const char *b)
{
    return str_eq(a, str_c(b));
}

static char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool str_ieq(struct str a, struct str b)
{
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (a.p[i] != b.p[i] && ascii_lower(a.p[i]) != ascii_lower(b.p[i])) return false;
    return true;
}

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c) return c;
    return a.n < b.n ? -1 : a.n > b.n;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq(str_sub(s, 0, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq(str_sub(s, s.n - suffix.n, suffix.n), suffix);
}

struct str str_sub(struct str s, size_t from, size_t n)
{
    if (!s.p) return STR_NONE;
    if (from > s.n) from = s.n;
    if (n > s.n - from) n = s.n - from;
    return (struct str){ s.p + from, n };
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
    while (s.n && is_space(s.p[0])) s = str_sub(s, 1, s.n - 1);
    while (s.n && is_space(s.p[s.n - 1])) s.n--;
    return s;
}

size_t str_find(struct str s, char c, size_t from)
{
    const char *hit = from < s.n ? memchr(s.p + from, c, s.n - from) : NULL;
    return hit ? (size_t)(hit - s.p) : s.n;
}

size_t str_find_str(struct str s, struct str needle)
{
    if (needle.n == 0) return 0;
    for (size_t i = str_find(s, needle.p[0], 0); i + needle.n <= s.n;
         i = str_find(s, needle.p[0], i + 1))
        if (memcmp(s.p + i, needle.p, needle.n) == 0) return i;
    return s.n;
}

bool str_split(struct str *rest, char sep, struct str *part)
{
    size_t at;
    if (!rest->p) return false;
    at = str_find(*rest, sep, 0);
    *part = str_sub(*rest, 0, at);
    if (at == rest->n)
        *rest = STR_NONE;
    else
        *rest = str_sub(*rest, at + 1, rest->n - at - 1);
    return true;
}

struct str str_dup(struct arena *a, struct str s)
{
    if (!s.p) return STR_NONE;
    return (struct str){ arena_memdup(a, s.p, s.n), s.n };
}

const char *str_dup_c(struct arena *a, struct str s)
{
    return arena_memdup(a, s.p, s.n);
}

struct str str_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    int n;
    char *p;
    assert(fmt);
    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) n = 0;
    p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return (struct str){ p, (size_t)n };
}

bool str_to_i64(struct str s, int64_t *out)
{
    bool neg = s.n > 0 && s.p[0] == '-';
    size_t i = neg ? 1 : 0;
    int64_t v = 0; /* kept negative: the negative range is one wider */
    if (i == s.n) return false;
    for (; i < s.n; i++) {
        int d = s.p[i] - '0';
        if (d < 0 || d > 9) return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, d, &v)) return false;
    }
    if (!neg && v == INT64_MIN) return false;
    *out = neg ? v : -v;
    return true;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool str_to_f64(struct str s, double *out)
{
    const struct str also = STR("+-.eE");
    char buf[64], *end;
    double v;
    locale_t old;
    if (s.n == 0 || s.n >= sizeof buf) return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || str_find(also, s.p[i], 0) < also.n)) return false;
    memcpy(buf, s.p, s.n);
    buf[s.n] = '\0';
    pthread_once(&c_locale_once, make_c_locale);
    old = uselocale(c_locale);
    v = strtod(buf, &end);
    uselocale(old);
    if (*end != '\0' || v - v != 0.0) return false; /* inf - inf and nan - nan are not 0 */
    *out = v;
    return true;
}

/* SipHash-1-3, from its published description. */
struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

static void sip_round(struct sip *s)
{
    s->v0 += s->v1; s->v1 = rotl(s->v1, 13); s->v1 ^= s->v0; s->v0 = rotl(s->v0, 32);
    s->v2 += s->v3; s->v3 = rotl(s->v3, 16); s->v3 ^= s->v2;
    s->v0 += s->v3; s->v3 = rotl(s->v3, 21); s->v3 ^= s->v0;
    s->v2 += s->v1; s->v1 = rotl(s->v1, 17); s->v1 ^= s->v2; s->v2 = rotl(s->v2, 32);
}

static uint64_t siphash13(const uint64_t key[2], struct str in)
{
    struct sip s = { key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                     key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u };
    uint64_t m = 0, last = (uint64_t)in.n << 56;
    size_t i = 0;
    for (; i + 8 <= in.n; i += 8) {
        memcpy(&m, in.p + i, 8);
        s.v3 ^= m;
        sip_round(&s);
        s.v0 ^= m;
    }
    for (size_t k = 0; i < in.n; i++, k++) last |= (uint64_t)(unsigned char)in.p[i] << (8 * k);
    s.v3 ^= last;
    sip_round(&s);
    s.v0 ^= last;
    s.v2 ^= 0xff;
    for (int r = 0; r < 3; r++) sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static uint64_t process_key[2];
static pthread_once_t process_key_once = PTHREAD_ONCE_INIT;

static void make_process_key(void)
{
    if (getrandom(process_key, sizeof process_key, 0) != (ssize_t)sizeof process_key) abort();
}

uint64_t str_hash(struct str s)
{
    pthread_once(&process_key_once, make_process_key);
    return siphash13(process_key, s);
}

uint64_t str_hash_stable(struct str s)
{
    static const uint64_t fixed[2] = { 0x72756e62656c6c31u, 0x72756e62656c6c32u };
    return siphash13(fixed, s);
}
