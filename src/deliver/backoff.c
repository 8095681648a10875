#include "deliver/backoff.h"

int64_t backoff_ceiling(const struct backoff *b, int64_t attempt)
{
    int64_t ceiling = b->base_ms;
    for (int64_t i = 1; i < attempt && ceiling < b->cap_ms; i++)
        ceiling = ceiling > INT64_MAX / 2 ? INT64_MAX : ceiling * 2;
    return ceiling < b->cap_ms ? ceiling : b->cap_ms;
}

int64_t backoff_delay(const struct backoff *b, int64_t attempt, uint64_t rnd)
{
    return (int64_t)(rnd % ((uint64_t)backoff_ceiling(b, attempt) + 1));
}
