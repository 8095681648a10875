#include "base/suggest.h"

enum { LONGEST = 64 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned distance(struct str a, struct str b)
{
    unsigned rows[3][LONGEST];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b.n; j++) last[j] = before[j] = (unsigned)j;
    for (size_t i = 1; i <= a.n; i++) {
        unsigned *turn = before;
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b.n; j++) {
            unsigned same = a.p[i - 1] == b.p[j - 1] ? 0 : 1;
            now[j] = least(last[j - 1] + same, least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        before = last;
        last = now;
        now = turn;
    }
    return last[b.n];
}

struct str suggest_nearest(struct str word, const struct str *candidates, size_t n)
{
    struct str best = STR_NONE;
    unsigned best_distance = ~0u;
    if (word.n == 0 || word.n >= LONGEST) return STR_NONE;
    for (size_t i = 0; i < n; i++) {
        size_t longer = candidates[i].n > word.n ? candidates[i].n : word.n;
        unsigned d;
        if (candidates[i].n == 0 || candidates[i].n >= LONGEST) continue;
        d = distance(word, candidates[i]);
        if (d < best_distance && d <= (longer + 2) / 3) {
            best = candidates[i];
            best_distance = d;
        }
    }
    return best;
}
