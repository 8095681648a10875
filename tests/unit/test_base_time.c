/* base: times and durations as text, ids, the virtual clock, randomness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/rng.h"
#include "base/timefmt.h"

static const int64_t year_1_ms = -62135596800000, year_9999_end_ms = 253402300799999;

static uint64_t seeded(struct rng *rng, const char *what)
{
    rng_seed_system(rng);
    print_message("%s seed %llu\n", what, (unsigned long long)rng->state);
    return rng->state;
}

/* --- times --------------------------------------------------------------------------------------------------------- */
static void test_times_are_read(void **state)
{
    static const struct { const char *text; int64_t ms; } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01T00:00:00.001Z", 1 },
        { "1969-12-31T23:59:59.999Z", -1 },
        { "2026-05-03T10:16:41.377Z", 1777803401377 },
        { "2026-05-03t10:16:41.377z", 1777803401377 },
        { "2026-05-03 10:16:41.377Z", 1777803401377 },
        { "2026-05-03T12:16:41.377+02:00", 1777803401377 },
        { "2026-05-03T04:46:41.377-05:30", 1777803401377 },
        { "2026-05-03T10:16:41.3779999Z", 1777803401377 }, /* cut, not rounded */
        { "2026-05-03T10:16:41.4Z", 1777803401400 },
        { "2026-05-03T10:16:41-00:00", 1777803401000 },
        { "2000-02-29T00:00:00Z", 951782400000 },
        { "2024-02-29T23:59:60Z", 1709251199999 },
        { "2100-03-01T00:00:00Z", 4107542400000 },
        { "0001-01-01T00:00:00Z", -62135596800000 },
        { "9999-12-31T23:59:59.999Z", 253402300799999 },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int64_t ms = 0;
        if (!time_parse(str_c(cases[k].text), &ms) || ms != cases[k].ms) fail_msg("%s gave %lld", cases[k].text, (long long)ms);
    }
}

static void test_what_is_no_time(void **state)
{
    static const char *const cases[] = {
        "", "2026-05-03", "2026-05-03T10:16:41", "2026-05-03T10:16Z", "2026-13-03T10:16:41Z", "2026-00-03T10:16:41Z", "2026-05-00T10:16:41Z",
        "2026-04-31T10:16:41Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-05-03T24:00:00Z",
        "2026-05-03T10:60:41Z", "2026-05-03T10:16:61Z", "2026-05-03T10:16:41.Z", "2026-05-03T10:16:41,5Z", "2026-05-03T10:16:41+0200",
        "2026-05-03T10:16:41+24:00", "2026-05-03T10:16:41+02:60", "2026-05-03T10:16:41ZZ", " 2026-05-03T10:16:41Z", "2026-05-03T10:16:41Z ",
        "26-05-03T10:16:41Z", "12026-05-03T10:16:41Z", "2026-5-3T10:16:41Z", "-026-05-03T10:16:41Z", "2026-05-03_10:16:41Z", "1777803401377",
        "2026-05-03T10:16:41+", "2026-05-03T10:16:41+02:0", "2026-05-03T1a:16:41Z",
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int64_t ms = 42;
        if (time_parse(str_c(cases[k]), &ms)) fail_msg("`%s` passed", cases[k]);
        assert_int_equal(ms, 42);
    }
    assert_false(time_parse((struct str){ "2026-05-03T10:16:41Z\0", 21 }, &(int64_t){ 0 }));
}

static void test_times_are_clamped(void **state)
{
    char text[TIMEFMT_SIZE];
    int64_t ms = 0;
    (void)state;
    assert_string_equal(time_format(INT64_MIN, text).p, "0001-01-01T00:00:00.000Z");
    assert_string_equal(time_format(year_1_ms - 1, text).p, "0001-01-01T00:00:00.000Z");
    assert_string_equal(time_format(INT64_MAX, text).p, "9999-12-31T23:59:59.999Z");
    assert_string_equal(time_format(1777803401377, text).p, "2026-05-03T10:16:41.377Z");
    assert_int_equal(time_format(0, text).n, 24);
    assert_true(time_parse(STR("0000-12-31T23:59:59Z"), &ms)); /* RFC 3339 has a year 0 */
    assert_true(ms < year_1_ms);
}

/* A calendar that is plainly right: one day after the other. */
static void test_every_day_of_four_centuries(void **state)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t day = -135140; /* 1600-01-01 */
    (void)state;
    for (int y = 1600; y < 2001; y++)
        for (int m = 1; m <= 12; m++) {
            bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
            for (int d = 1; d <= lengths[m - 1] + (m == 2 && leap); d++, day++) {
                char want[64], got[TIMEFMT_SIZE];
                snprintf(want, sizeof want, "%04d-%02d-%02dT00:00:00.000Z", y, m, d);
                time_format(day * 86400000, got);
                if (strcmp(want, got) != 0) fail_msg("day %lld is %s, not %s", (long long)day, want, got);
            }
        }
    assert_int_equal(day, 11323); /* 2001-01-01 */
}

static void test_times_round_trip(void **state)
{
    struct rng rng;
    uint64_t seed = seeded(&rng, "time");
    (void)state;
    for (int k = 0; k < 200000; k++) {
        int64_t ms = year_1_ms + (int64_t)rng_below(&rng, (uint64_t)(year_9999_end_ms - year_1_ms) + 1), back = 0;
        int h = (int)rng_below(&rng, 24), m = (int)rng_below(&rng, 60);
        char text[TIMEFMT_SIZE], shifted[64];
        struct str s = time_format(ms, text);
        if (!time_parse(s, &back) || back != ms) fail_msg("seed %llu: %s", (unsigned long long)seed, text);
        /* The same local digits at an offset are another moment. */
        snprintf(shifted, sizeof shifted, "%.23s%c%02d:%02d", text, k % 2 ? '+' : '-', h, m);
        assert_true(time_parse(str_c(shifted), &back));
        assert_true(back == ms + (k % 2 ? -1 : 1) * ((int64_t)h * 60 + m) * 60000);
    }
}

/* --- durations ------------------------------------------------------------------------------------------------------- */
static void test_durations_are_read(void **state)
{
    static const struct { const char *text; int64_t ms; } cases[] = {
        { "0s", 0 }, { "1ms", 1 }, { "30s", 30000 }, { "10m", 600000 }, { "1h30m", 5400000 }, { "2d", 172800000 }, { "1w", 604800000 },
        { "1w2d3h4m5s6ms", 788645006 }, { "90m", 5400000 }, { "007s", 7000 }, { "36500d", 3153600000000 },
    };
    static const char *const wrong[] = { "", "10", "m", "10 m", "10min", "1.5h", "-5m", "5M", "m10", "10m ", "+5m", "36501d", "9223372036854775807w",
                                         "99999999999999999999s", "36500d1ms", "1hh", "5s5" };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int64_t ms = -1;
        assert_true(duration_parse(str_c(cases[k].text), &ms));
        assert_true(ms == cases[k].ms);
    }
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
        if (duration_parse(str_c(wrong[k]), &(int64_t){ 0 })) fail_msg("`%s` passed", wrong[k]);
}

static void test_durations_are_written(void **state)
{
    static const struct { int64_t ms; const char *exact, *human; } cases[] = {
        { 0, "0s", "0s" }, { 90000, "1m30s", "1m 30s" }, { 850, "850ms", "850ms" }, { 1850, "1s850ms", "1s" }, { 192345, "3m12s345ms", "3m 12s" },
        { 187200000, "2d4h", "2d 4h" }, { -90000, "-1m30s", "-1m 30s" }, { 604800000, "1w", "1w" }, { 788645006, "1w2d3h4m5s6ms", "1w 2d" },
        { 3600001, "1h1ms", "1h" }, { 999, "999ms", "999ms" }, { 60000, "1m", "1m" },
    };
    char text[TIMEFMT_SIZE];
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        assert_string_equal(duration_format(cases[k].ms, text).p, cases[k].exact);
        assert_string_equal(duration_human(cases[k].ms, text).p, cases[k].human);
    }
    assert_string_equal(duration_format(INT64_MIN, text).p, "-15250284452w3d7h12m55s808ms"); /* the longest there is */
    assert_string_equal(duration_human(INT64_MIN, text).p, "-15250284452w 3d");
}

static void test_durations_round_trip(void **state)
{
    struct rng rng;
    uint64_t seed = seeded(&rng, "duration");
    (void)state;
    for (int k = 0; k < 100000; k++) {
        int64_t ms = (int64_t)rng_below(&rng, (uint64_t)1 << rng_below(&rng, 41)), back = -1;
        char text[TIMEFMT_SIZE];
        if (!duration_parse(duration_format(ms, text), &back) || back != ms) fail_msg("seed %llu: %s", (unsigned long long)seed, text);
    }
}

/* --- ids ---------------------------------------------------------------------------------------------------------------- */
static void test_ids_ascend_whatever_the_clock_does(void **state)
{
    struct id_gen g = { 0 }, h = { 0 };
    struct rng rng;
    uint64_t last = 0, seed = seeded(&rng, "id");
    char text[ID_SIZE], before[ID_SIZE] = "inc_0";
    (void)state;
    for (int k = 0; k < 100000; k++) {
        int64_t now = 1767614400000 + (int64_t)rng_below(&rng, 1000) - 500; /* back and forth */
        uint64_t id = id_next(&g, now), back;
        if (id <= last) fail_msg("seed %llu", (unsigned long long)seed);
        assert_true(id == id_next(&h, now)); /* the same inputs, the same ids */
        id_format("inc", id, text);
        assert_true(strcmp(before, text) < 0); /* text order is id order */
        assert_true(id_parse("inc", str_c(text), &back) && back == id);
        memcpy(before, text, sizeof before);
        last = id;
    }
    assert_int_equal(id_wall_ms(id_next(&(struct id_gen){ 0 }, 1767614400123)), 1767614400123);
    assert_true(id_next(&(struct id_gen){ 0 }, -5) > 0); /* 0 is never an id */
}

static void test_ids_as_text(void **state)
{
    static const uint64_t ids[] = { 0, 1, 31, 32, UINT64_MAX, (uint64_t)1 << 63, 0x0123456789abcdef };
    static const char *const wrong[] = { "", "inc_", "inc_0000000000000x", "inc_000000000000", "inc_00000000000000", "dlv_0000000000000",
                                         "inc-0000000000000", "inc_000000000000i", "inc_000000000000O", "inc_g000000000000", "0000000000000",
                                         "INC_0000000000000" };
    char text[ID_SIZE];
    uint64_t back;
    (void)state;
    for (size_t k = 0; k < sizeof ids / sizeof *ids; k++) {
        struct str s = id_format("msg", ids[k], text);
        assert_int_equal(s.n, 17);
        assert_true(id_parse("msg", s, &back) && back == ids[k]);
        assert_false(id_parse("inc", s, &back));
    }
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
        if (id_parse("inc", str_c(wrong[k]), &back)) fail_msg("`%s` passed", wrong[k]);
    assert_false(id_parse("inc", (struct str){ "inc_00000000000\0" "0", 17 }, &back));
    assert_int_equal(id_format("sevenLL", UINT64_MAX, text).n, 21);
}

/* --- clock, randomness ----------------------------------------------------------------------------------------------------- */
static void test_the_virtual_clock(void **state)
{
    struct clock_virtual v;
    (void)state;
    clock_virtual_init(&v, 5000);
    assert_int_equal(clock_wall(&v.clock).ms, 5000);
    assert_int_equal(clock_mono(&v.clock).ms, 0);
    clock_virtual_advance(&v, 250);
    assert_int_equal(clock_wall(&v.clock).ms, 5250);
    assert_int_equal(clock_mono(&v.clock).ms, 250);
    v.wall_ms -= 1000; /* somebody set the clock back: intervals do not notice */
    assert_int_equal(clock_wall(&v.clock).ms, 4250);
    assert_int_equal(clock_mono(&v.clock).ms, 250);
    assert_true(clock_mono(clock_system()).ms <= clock_mono(clock_system()).ms);
    assert_true(clock_wall(clock_system()).ms > 1700000000000);
}

static void test_randomness_stays_in_bounds(void **state)
{
    static const uint64_t bounds[] = { 1, 2, 3, 7, 10, 1000, (uint64_t)1 << 63, ((uint64_t)1 << 63) + 1, UINT64_MAX };
    struct rng a, b;
    uint64_t seen[10] = { 0 };
    (void)state;
    rng_seed(&a, 7);
    rng_seed(&b, 7);
    for (int k = 0; k < 1000; k++) assert_true(rng_u64(&a) == rng_u64(&b));
    for (size_t n = 0; n < sizeof bounds / sizeof *bounds; n++)
        for (int k = 0; k < 2000; k++) assert_true(rng_below(&a, bounds[n]) < bounds[n]);
    for (int k = 0; k < 100000; k++) seen[rng_below(&a, 10)]++;
    for (int k = 0; k < 10; k++) assert_in_range(seen[k], 9500, 10500); /* seed 7: the same each time */
    for (int k = 0; k < 20000; k++) seen[0] += rng_below(&a, ((uint64_t)1 << 63) + 1) < (uint64_t)1 << 62;
    rng_seed_system(&a);
    rng_seed_system(&b);
    assert_true(a.state != b.state);
}

static void test_secure_bytes_come_whole(void **state)
{
    unsigned char p[1000] = { 0 };
    size_t zeros = 0;
    (void)state;
    rng_secure(p, sizeof p - 1);
    for (size_t k = 0; k < sizeof p - 1; k++) zeros += p[k] == 0;
    assert_true(zeros < 40); /* four are to be expected */
    assert_int_equal(p[999], 0);
    rng_secure(p, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_are_read),
        cmocka_unit_test(test_what_is_no_time),
        cmocka_unit_test(test_times_are_clamped),
        cmocka_unit_test(test_every_day_of_four_centuries),
        cmocka_unit_test(test_times_round_trip),
        cmocka_unit_test(test_durations_are_read),
        cmocka_unit_test(test_durations_are_written),
        cmocka_unit_test(test_durations_round_trip),
        cmocka_unit_test(test_ids_ascend_whatever_the_clock_does),
        cmocka_unit_test(test_ids_as_text),
        cmocka_unit_test(test_the_virtual_clock),
        cmocka_unit_test(test_randomness_stays_in_bounds),
        cmocka_unit_test(test_secure_bytes_come_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
