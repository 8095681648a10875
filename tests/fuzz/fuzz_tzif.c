/* Any bytes as the file of a time zone. What is refused says why; of what is taken the jumps come one behind the other, between two of
 * them the offset is one, and a schedule in that zone changes when it says so. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "rule/zone_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

static void check_jumps(const struct zone *z)
{
    int64_t at = -4000000000;
    for (int k = 0; k < 300; k++) {
        int64_t next = zone_changes_at(z, at);
        int32_t offset = zone_offset_at(z, at);
        must(offset > -ZONE_OFFSET_BELOW_S && offset < ZONE_OFFSET_BELOW_S && next > at);
        if (next == ZONE_NEVER) return;
        must(zone_offset_at(z, next - 1) == offset);
        must(zone_reaches(z, at + offset) <= at);
        at = next;
    }
}

static void check_schedule(struct arena *a, const struct zone *z)
{
    static const struct schedule_hours hours[] = { { 60, 240 }, { 1320, 360 } };
    static const int64_t except[] = { 20540, 20541 };
    struct schedule_spec spec = { STR("s"), 0x1f, hours, 2, except, 2, z };
    const struct schedule *s = schedule_make(a, &spec);
    int64_t at = INT64_C(1774000000000);
    for (int k = 0; k < 50; k++) {
        int64_t next = schedule_changes_at(s, at);
        if (next == SCHEDULE_NEVER) return;
        must(next > at && schedule_covers(s, next) != schedule_covers(s, next - 1));
        must(schedule_covers(s, at) == schedule_covers(s, next - 1));
        at = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = { (const char *)data, size };
    struct arena a = { 0 };
    struct err err = { 0 };
    struct zone z = { .name = STR("fuzz") };
    if (tzif_read(&a, bytes, &z, &err) == 0) {
        check_jumps(&z);
        check_schedule(&a, &z);
    } else {
        must(err.msg[0]);
    }
    arena_fini(&a);
    return 0;
}
