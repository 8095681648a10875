/* Any text as a cron time, in a zone whose clock jumps. What is refused says why; the times of what is taken lie one behind
 * the other, and none between them is missed by asking again from the middle. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "rule/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

static void check(const struct cron *c, const struct zone *z)
{
    int64_t at = INT64_C(1774700000000); /* the evening before a jump in Berlin */
    for (int k = 0; k < 20; k++) {
        int64_t next = cron_next(c, z, at);
        if (next == SCHEDULE_NEVER) return;
        must(next > at && next % 1000 == 0);
        must(cron_next(c, z, at + (next - at) / 2) == next && cron_next(c, z, next - 1) == next);
        at = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = { (const char *)data, size };
    struct arena a = { 0 };
    struct err err = { 0 };
    const struct cron *c = cron_parse(&a, text, &err);
    const struct zone *z = zone_load(&a, STR("Europe/Berlin"), &err);
    must(c || err.msg[0]);
    if (c && z) check(c, z);
    arena_fini(&a);
    return 0;
}
