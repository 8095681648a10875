/* backoff: when may a failed delivery be tried again? Pure: no clock, no I/O. Any thread. */
#ifndef DELIVER_BACKOFF_H
#define DELIVER_BACKOFF_H
#include <stdint.h>

struct backoff { int64_t base_ms, cap_ms; }; /* base_ms > 0; a cap below the base is the ceiling of all */
/* The longest delay before retry number attempt (1 = first; less counts as 1): base, doubled each time up to
 * the cap. */
int64_t backoff_ceiling(const struct backoff *b, int64_t attempt);
/* Full jitter: uniform in [0, ceiling], from rnd, any uniform 64-bit value. Same inputs, same answer. */
int64_t backoff_delay(const struct backoff *b, int64_t attempt, uint64_t rnd);
#endif
