/* bucket: a token bucket: n sends per per_ms, n of them at once after a rest. Pure; the caller says what time
 * it is. Whole numbers, so that nothing drifts. One thread. */
#ifndef DELIVER_BUCKET_H
#define DELIVER_BUCKET_H
#include <stdbool.h>

#include "base/clock.h"

struct bucket {
    int64_t n, per_ms;  /* n 0 = no limit */
    int64_t level;      /* a token is worth per_ms; full at n * per_ms */
    struct mono at;     /* when level was right */
};
/* Full. n or per_ms of 0 or less: no limit. */
void bucket_init(struct bucket *b, int64_t n, int64_t per_ms, struct mono now);
int64_t bucket_wait(struct bucket *b, struct mono now); /* ms until a token is there; 0 = now */
bool bucket_take(struct bucket *b, struct mono now);    /* false: none there */
int64_t bucket_interval(const struct bucket *b);        /* ms between two tokens, rounded up; 0 = no limit */
#endif
