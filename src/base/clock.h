/* clock: where time comes from. Wall time is stored and shown; monotonic time measures intervals.
 * They are different types so that they cannot be mixed up. Tests drive a virtual clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
#include <stdint.h>

struct wall { int64_t ms; }; /* milliseconds since 1970-01-01 UTC */
struct mono { int64_t ms; }; /* milliseconds since some fixed moment of this boot */

struct clock {
    struct wall (*wall)(struct clock *c);
    struct mono (*mono)(struct clock *c);
};
struct wall clock_wall(struct clock *c);
struct mono clock_mono(struct clock *c);
struct clock *clock_system(void); /* any thread; never freed */

struct clock_virtual {
    struct clock clock; /* first: pass &v.clock */
    int64_t wall_ms, mono_ms;
};
void clock_virtual_init(struct clock_virtual *v, int64_t wall_ms);
void clock_virtual_advance(struct clock_virtual *v, int64_t ms); /* moves both */
#endif
