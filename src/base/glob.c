#include "base/glob.h"

#include "base/utf8.h"

static size_t step(struct str s, size_t at)
{
    size_t n = utf8_sequence(s, at);
    return n ? n : 1;
}

bool glob_match(struct str pattern, struct str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.n && pattern.p[p] == '?') {
            p++;
            t += step(text, t);
        } else if (p < pattern.n && pattern.p[p] == text.p[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) { /* let the last star take one more */
            p = star + 1;
            mark += step(text, mark);
            t = mark;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') p++;
    return p == pattern.n;
}

bool glob_is(struct str pattern)
{
    return str_find(pattern, '*', 0) < pattern.n || str_find(pattern, '?', 0) < pattern.n;
}
