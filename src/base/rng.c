#include "base/rng.h"

#include <stdlib.h>
#include <sys/random.h>

void rng_seed(struct rng *r, uint64_t seed)
{
    r->state = seed;
}

void rng_secure(void *p, size_t n)
{
    unsigned char *at = p;
    while (n > 0) {
        size_t want = n > 256 ? 256 : n; /* up to 256 bytes come whole */
        if (getrandom(at, want, 0) != (ssize_t)want) abort();
        at += want;
        n -= want;
    }
}

void rng_seed_system(struct rng *r)
{
    rng_secure(&r->state, sizeof r->state);
}

/* SplitMix64, from its published description. */
uint64_t rng_u64(struct rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, v;
    do v = rng_u64(r);
    while (v >= limit);
    return v % n;
}
