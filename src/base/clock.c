#include "base/clock.h"

#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct wall system_wall(struct clock *c)
{
    (void)c;
    return (struct wall){ read_ms(CLOCK_REALTIME) };
}

static struct mono system_mono(struct clock *c)
{
    (void)c;
    return (struct mono){ read_ms(CLOCK_MONOTONIC) };
}

struct wall clock_wall(struct clock *c)
{
    return c->wall(c);
}

struct mono clock_mono(struct clock *c)
{
    return c->mono(c);
}

struct clock *clock_system(void)
{
    static struct clock system = { system_wall, system_mono };
    return &system;
}

static struct wall virtual_wall(struct clock *c)
{
    return (struct wall){ ((struct clock_virtual *)c)->wall_ms };
}

static struct mono virtual_mono(struct clock *c)
{
    return (struct mono){ ((struct clock_virtual *)c)->mono_ms };
}

void clock_virtual_init(struct clock_virtual *v, int64_t wall_ms)
{
    *v = (struct clock_virtual){ { virtual_wall, virtual_mono }, wall_ms, 0 };
}

void clock_virtual_advance(struct clock_virtual *v, int64_t ms)
{
    v->wall_ms += ms;
    v->mono_ms += ms;
}
