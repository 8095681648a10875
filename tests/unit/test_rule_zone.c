/* Zones: names, files and rules for later years. Offsets of all zones are judged in tests/zones. */
#include "rule_testing.h"

#include <unistd.h>

#include "base/timefmt.h"
#include "rule/zone_internal.h"

static const struct zone *loaded(struct arena *a, const char *name)
{
    struct err err = { 0 };
    const struct zone *z = zone_load(a, str_c(name), &err);
    if (!z) fail_msg("%s: %s", name, err.msg);
    return z;
}

static int64_t at(const char *text)
{
    int64_t ms;
    assert_true(time_parse(str_c(text), &ms));
    return ms;
}

/* --- names ---------------------------------------------------------------------------------------------- */
static void names_that_leave_the_folder_are_refused(void **state)
{
    static const char *const bad[] = { "", "/etc/localtime", "../zoneinfo/UTC", "Europe/../Europe/Berlin", "Europe//Berlin", "Europe/", "Europe/.Berlin", "zone.tab", "Europe\\Berlin", "Europe/Berlin\n",
                                       "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", "Köln" };
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = { 0 };
        assert_null(zone_load(&a, str_c(bad[i]), &err));
        if (!strstr(err.msg, "is no name of a time zone")) fail_msg("%s: %s", bad[i], err.msg);
    }
    arena_fini(&a);
}

static void what_is_not_there_is_told(void **state)
{
    static const struct { const char *name, *says; } bad[] = {
        { "Europe/Berln", "no time zone is called `Europe/Berln`" },
        { "Europe", "no time zone is called `Europe`" },
        { "leapseconds", "time zone `leapseconds` cannot be read: it is no file of a time zone" },
    };
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = { 0 };
        assert_null(zone_load(&a, str_c(bad[i].name), &err));
        assert_string_equal(err.msg, bad[i].says);
    }
    arena_fini(&a);
}

static void names_that_come_near_are_known(void **state)
{
    static const struct { const char *name, *nearest; } all[] = {
        { "Europe/Berln", "Europe/Berlin" }, { "europe/berlin", "Europe/Berlin" }, { "Berlin", "Europe/Berlin" }, { "new_york", "America/New_York" },
        { "Arctic/Longyearbyn", "Arctic/Longyearbyen" }, { "nothing at all like it", "" },
    };
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) assert_string_equal(str_dup_c(&a, zone_nearest(&a, str_c(all[i].name))), all[i].nearest);
    arena_fini(&a);
}

/* TZDIR is honoured; with nothing in it, UTC is there, and the lack of the rest is told for what it is. */
static void without_tzdata_there_is_utc(void **state)
{
    char dir[] = "/tmp/runbell-zones-XXXXXX";
    struct arena a = { 0 };
    struct err err = { 0 };
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(setenv("TZDIR", dir, 1), 0);
    assert_int_equal(zone_offset_s(loaded(&a, "UTC"), at("2026-07-01T00:00:00Z")), 0);
    assert_null(zone_load(&a, STR("Europe/Berlin"), &err));
    assert_non_null(strstr(err.msg, "no time zones on this machine"));
    assert_non_null(strstr(err.msg, dir));
    assert_non_null(strstr(err.msg, "tzdata"));
    assert_true(str_absent(zone_nearest(&a, STR("Berlin"))));
    assert_int_equal(unsetenv("TZDIR"), 0);
    assert_int_equal(rmdir(dir), 0);
    arena_fini(&a);
}

/* --- clocks --------------------------------------------------------------------------------------------- */
static void clocks(void **state)
{
    static const struct { const char *zone, *when; int32_t hours4; } all[] = { /* in quarters of an hour */
        { "Europe/Berlin", "2026-03-29T00:59:59.999Z", 4 }, { "Europe/Berlin", "2026-03-29T01:00:00Z", 8 },
        { "Europe/Berlin", "2126-07-01T00:00:00Z", 8 },     { "Europe/Dublin", "2026-01-01T00:00:00Z", 0 },
        { "Europe/Dublin", "2090-07-01T00:00:00Z", 4 },     { "Europe/Dublin", "2090-01-01T00:00:00Z", 0 },
        { "Australia/Sydney", "2090-01-01T00:00:00Z", 44 }, { "Australia/Sydney", "2090-07-01T00:00:00Z", 40 },
        { "Asia/Kathmandu", "2026-01-01T00:00:00Z", 23 },   { "America/Sao_Paulo", "2090-01-01T00:00:00Z", -12 },
        { "Europe/Berlin", "1800-01-01T00:00:00Z", 3 },
    };
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int32_t offset = zone_offset_s(loaded(&a, all[i].zone), at(all[i].when));
        if (offset / 900 != all[i].hours4) fail_msg("%s at %s: %d", all[i].zone, all[i].when, (int)offset);
    }
    assert_string_equal(zone_name(loaded(&a, "Asia/Kathmandu")).p, "Asia/Kathmandu");
    (void)zone_offset_s(loaded(&a, "Europe/Berlin"), INT64_MIN);
    assert_int_equal(zone_offset_s(loaded(&a, "Europe/Berlin"), INT64_MAX), 3600);
    arena_fini(&a);
}

static void jumps_are_found_one_after_another(void **state)
{
    struct arena a = { 0 };
    const struct zone *berlin = loaded(&a, "Europe/Berlin"), *tokyo = loaded(&a, "Asia/Tokyo");
    int64_t t = at("2036-06-01T00:00:00Z") / 1000;
    static const char *const jumps[] = { "2036-10-26T01:00:00Z", "2037-03-29T01:00:00Z", "2037-10-25T01:00:00Z", "2038-03-28T01:00:00Z", "2038-10-31T01:00:00Z" };
    (void)state;
    for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) assert_int_equal(t = zone_changes_at(berlin, t), at(jumps[i]) / 1000);
    assert_true(zone_changes_at(tokyo, t) == ZONE_NEVER);
    arena_fini(&a);
}

/* --- rules of later years -------------------------------------------------------------------------------- */
static void rules(void **state)
{
    static const struct { const char *rule, *when; int32_t offset_s; } all[] = {
        { "EST5", "2026-07-01T00:00:00Z", -18000 },
        { "<+0330>-3:30", "2026-07-01T00:00:00Z", 12600 },
        { "EST5EDT,M3.2.0,M11.1.0", "2026-03-08T06:59:59Z", -18000 },
        { "EST5EDT,M3.2.0,M11.1.0", "2026-03-08T07:00:00Z", -14400 },
        { "EST5EDT,M3.2.0,M11.1.0", "2026-11-01T06:00:00Z", -18000 },
        { "AAA1BBB,J60,J300/3", "2024-03-01T02:59:59Z", -3600 }, /* J60 is 1 March, leap year or not */
        { "AAA1BBB,J60,J300/3", "2024-03-01T03:00:00Z", 0 },
        { "AAA1BBB,59,300/3", "2024-02-29T03:00:00Z", 0 },       /* 59 is 29 February in a leap year */
        { "XXX3EDT4,0/0,J365/23", "2025-12-31T23:59:59Z", -14400 }, /* summer all year */
        { "XXX3EDT4,0/0,J365/23", "2026-01-01T03:00:00Z", -14400 },
        { "XXX3EDT4,0/0,J365/23", "2026-07-01T00:00:00Z", -14400 },
        { "XXX1EDT4,0/0,J365/23", "2026-01-01T00:30:00Z", -3600 }, /* a summer that ends after the next one has begun: nonsense, and the same from all sides */
        { "IST-2IDT,M3.4.4/26,M10.5.0", "2026-03-26T23:59:59Z", 7200 }, /* Thursday 26:00 is Friday 02:00 */
        { "IST-2IDT,M3.4.4/26,M10.5.0", "2026-03-27T00:00:00Z", 10800 },
        { "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00:00Z", -3600 }, /* the Saturday before, 23:00 */
        { "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59:59Z", -7200 },
    };
    struct zone_rule r;
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!zone_rule_parse(str_c(all[i].rule), &r)) fail_msg("%s", all[i].rule);
        if (zone_rule_offset(&r, at(all[i].when) / 1000) != all[i].offset_s) fail_msg("%s at %s", all[i].rule, all[i].when);
    }
}

static void rules_that_are_none(void **state)
{
    static const char *const bad[] = { "", "E5", "EST", "EST25", "EST5EDT", "EST5EDT,M3.2.0", "EST5EDT,M3.2.0,M11.1.0x", "EST5EDT,M13.2.0,M11.1.0", "EST5EDT,M3.0.0,M11.1.0",
                                       "EST5EDT,M3.2.7,M11.1.0", "EST5EDT,J0,J5", "EST5EDT,366,5", "EST5EDT,M3.2.0/168,M11.1.0", "EST5:60", "<EST5", "EST5EDT,M3.2.0,M11.1.0/" };
    struct zone_rule r;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (zone_rule_parse(str_c(bad[i]), &r)) fail_msg("%s", bad[i]);
}

/* --- files ----------------------------------------------------------------------------------------------- */
/* Version 1, one change from +1 h to +2 h at second 1000; then the places that damage reaches. */
static const char version_1[] = "TZif\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\4"
                                "\0\0\3\xe8" "\1" "\0\0\x0e\x10\0\0" "\0\0\x1c\x20\1\0" "AAA";
/* Two changes at one moment. */
static const char not_in_order[] = "TZif\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0\2\0\0\0\4"
                                   "\0\0\3\xe8\0\0\3\xe8" "\1\0" "\0\0\x0e\x10\0\0" "\0\0\x1c\x20\1\0" "AAA";
enum { LEAPS_AT = 31, TIMES_AT = 35, WHICH_AT = 48, OFFSET_AT = 49 };

static int read_bytes(struct arena *a, const char *bytes, size_t n, struct zone *z, struct err *err)
{
    *z = (struct zone){ 0 };
    return tzif_read(a, (struct str){ bytes, n }, z, err);
}

static void a_file_of_version_1_has_no_rule(void **state)
{
    struct arena a = { 0 };
    struct err err = { 0 };
    struct zone z;
    (void)state;
    assert_int_equal(read_bytes(&a, version_1, sizeof version_1, &z, &err), 0);
    assert_int_equal(zone_offset_at(&z, 999), 3600);
    assert_int_equal(zone_offset_at(&z, 1000), 7200);
    assert_int_equal(zone_offset_at(&z, INT64_C(4000000000)), 7200);
    assert_int_equal(zone_changes_at(&z, 0), 1000);
    assert_true(zone_changes_at(&z, 1000) == ZONE_NEVER);
    arena_fini(&a);
}

static void damage_is_told(void **state)
{
    static const struct { int at; unsigned char is; const char *says; } all[] = {
        { 0, 'X', "no file of a time zone" }, { LEAPS_AT, 1, "leap seconds" }, { TIMES_AT, 9, "ends too early" }, { TIMES_AT - 3, 0xff, "ends too early" },
        { WHICH_AT, 2, "table is not in order" }, { OFFSET_AT, 0x7f, "table is not in order" }, { OFFSET_AT, 0x80, "table is not in order" }, { 4, '2', "ends too early" },
    };
    struct arena a = { 0 };
    struct err order = { 0 };
    struct zone z;
    (void)state;
    assert_int_equal(read_bytes(&a, not_in_order, sizeof not_in_order, &z, &order), -1);
    assert_string_equal(order.msg, "its table is not in order");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct err err = { 0 };
        char bytes[sizeof version_1];
        memcpy(bytes, version_1, sizeof bytes);
        bytes[all[i].at] = (char)all[i].is;
        assert_int_equal(read_bytes(&a, bytes, sizeof bytes, &z, &err), -1);
        if (!strstr(err.msg, all[i].says)) fail_msg("byte %d: %s", all[i].at, err.msg);
    }
    for (size_t n = 0; n < sizeof version_1; n++) {
        struct err err = { 0 };
        assert_int_equal(read_bytes(&a, version_1, n, &z, &err), -1);
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_leave_the_folder_are_refused), cmocka_unit_test(what_is_not_there_is_told), cmocka_unit_test(names_that_come_near_are_known),
        cmocka_unit_test(without_tzdata_there_is_utc), cmocka_unit_test(clocks), cmocka_unit_test(jumps_are_found_one_after_another), cmocka_unit_test(rules),
        cmocka_unit_test(rules_that_are_none), cmocka_unit_test(a_file_of_version_1_has_no_rule), cmocka_unit_test(damage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
