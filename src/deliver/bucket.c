#include "deliver/bucket.h"

enum { PER_MOST_MS = 7 * 86400 * 1000, N_MOST = 1000000 }; /* keeps n * per_ms far from overflow */

void bucket_init(struct bucket *b, int64_t n, int64_t per_ms, struct mono now)
{
    *b = (struct bucket){ .at = now };
    if (n <= 0 || per_ms <= 0) return;
    b->n = n < N_MOST ? n : N_MOST;
    b->per_ms = per_ms < PER_MOST_MS ? per_ms : PER_MOST_MS;
    b->level = b->n * b->per_ms;
}

static void refill(struct bucket *b, struct mono now)
{
    int64_t passed = now.ms - b->at.ms, full = b->n * b->per_ms;
    if (passed <= 0) return;
    b->at = now;
    b->level = passed >= b->per_ms || b->level + passed * b->n > full ? full : b->level + passed * b->n;
}

int64_t bucket_wait(struct bucket *b, struct mono now)
{
    if (b->n == 0) return 0;
    refill(b, now);
    return b->level >= b->per_ms ? 0 : (b->per_ms - b->level + b->n - 1) / b->n;
}

bool bucket_take(struct bucket *b, struct mono now)
{
    if (bucket_wait(b, now) > 0) return false;
    b->level -= b->n ? b->per_ms : 0;
    return true;
}

int64_t bucket_interval(const struct bucket *b)
{
    return b->n ? (b->per_ms + b->n - 1) / b->n : 0;
}
