/* engine: `absent` and its sources: what could not be heard rings for nobody, and a start gives everybody a whole period. */
#include "absent_testing.h"

/* --- sources ------------------------------------------------------------------------------------------------------- */
static void a_source_that_lags_is_waited_for(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, EVERY_2H);
    source(&b, -HOUR, 0);
    report(&b, HIT("sync", "run_1", 0));
    assert_int_equal(due(&b), 2 * HOUR);
    until(&b, 2 * HOUR);
    assert_int_equal(engine_stats(b.e).absent_unknown, 1); /* then it is seen */
    assert_int_equal(due(&b), -1);
    until(&b, 3 * HOUR);
    source(&b, -HOUR, 2 * HOUR - 1);
    assert_int_equal(opened(&b), 0);
    assert_int_equal(engine_stats(b.e).absent_unknown, 1);
    source(&b, -HOUR, 2 * HOUR);
    assert_int_equal(opened(&b), 1);
    assert_int_equal(engine_stats(b.e).absent_unknown, 0);
    assert_true(str_starts(said_field(&b, last_said(&b, "hook"), "note"), STR("sent 1h later than due")));
    bench_close(&b);
}

static void what_a_source_tells_late_prevents(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, EVERY_2H);
    source(&b, -HOUR, 0);
    report(&b, HIT("sync", "run_1", 0));
    until(&b, 3 * HOUR);
    report(&b, LATE("sync", "run_2", 3 * HOUR, HOUR + 30 * MINUTE));
    source(&b, -HOUR, 3 * HOUR);
    assert_int_equal(opened(&b), 0);
    until(&b, 4 * HOUR);
    assert_int_equal(opened(&b), 0);
    source(&b, -HOUR, 3 * HOUR + 30 * MINUTE);
    assert_int_equal(opened(&b), 1);
    bench_close(&b);
}

/* It was late, and is over: recorded, and told in one. */
static void a_time_that_was_missed_while_the_source_lagged(void **state)
{
    struct bench b;
    const int64_t slot = 15 * HOUR;
    (void)state;
    bench_open(&b, NIGHTLY);
    source(&b, -HOUR, 0);
    restart(&b, b.rules);
    source(&b, -HOUR, 0);
    until(&b, slot + 3 * HOUR);
    report(&b, LATE("export", "run_1", slot + 3 * HOUR, slot + 2 * HOUR));
    assert_int_equal(opened(&b), 0);
    source(&b, -HOUR, slot + 3 * HOUR);
    assert_int_equal(opened(&b), 1);
    assert_int_equal(open_now(&b), 0);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    assert_true(str_eq_c(title(&b), "export in prod did not succeed by 03:30"));
    source(&b, -HOUR, slot + DAY + 30 * MINUTE - 1);
    until(&b, slot + DAY + HOUR);
    assert_int_equal(opened(&b), 1);
    source(&b, -HOUR, slot + DAY + HOUR);
    assert_int_equal(opened(&b), 2);
    bench_close(&b);
}

/* The same, but the source tells of one in time as well. */
static void a_time_that_was_met_after_all(void **state)
{
    struct bench b;
    const int64_t slot = 15 * HOUR;
    (void)state;
    bench_open(&b, NIGHTLY);
    restart(&b, b.rules);
    source(&b, -HOUR, 0);
    until(&b, slot + 3 * HOUR);
    report(&b, LATE("export", "run_1", slot + 3 * HOUR, slot + 2 * HOUR));
    report(&b, LATE("export", "run_0", slot + 3 * HOUR, slot + MINUTE));
    source(&b, -HOUR, slot + 3 * HOUR);
    assert_int_equal(opened(&b), 0);
    bench_close(&b);
}

static void after_a_start_a_whole_period(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, EVERY_2H);
    source(&b, 0, ENGINE_NEVER);
    report(&b, HIT("sync", "run_1", MINUTE));
    b.now_ms = start_ms + 5 * HOUR; /* nothing ran */
    restart(&b, b.rules);
    source(&b, 5 * HOUR, ENGINE_NEVER);
    assert_int_equal(opened(&b), 0);
    until(&b, 7 * HOUR - 1);
    assert_int_equal(opened(&b), 0);
    until(&b, 7 * HOUR);
    assert_int_equal(opened(&b), 1);
    until(&b, 20 * HOUR);
    assert_int_equal(opened(&b), 1);
    bench_close(&b);
}

static void after_a_start_a_whole_time_of_cron(void **state)
{
    struct bench b;
    const int64_t slot = 15 * HOUR;
    (void)state;
    bench_open(&b, NIGHTLY);
    restart(&b, b.rules);
    source(&b, 0, ENGINE_NEVER);
    b.now_ms = start_ms + slot + MINUTE; /* it may have come in that minute */
    restart(&b, b.rules);
    source(&b, slot + MINUTE, ENGINE_NEVER);
    until(&b, slot + DAY + 30 * MINUTE - 1);
    assert_int_equal(opened(&b), 0);
    until(&b, slot + DAY + 30 * MINUTE);
    assert_int_equal(opened(&b), 1);
    bench_close(&b);
}

/* A polling source has its position, and looks up what it missed: there is nothing to wait for but it. */
static void after_a_start_an_overdue_one_rings_late(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, EVERY_2H);
    source(&b, -HOUR, 0);
    report(&b, HIT("sync", "run_1", 0));
    b.now_ms = start_ms + 5 * HOUR;
    restart(&b, b.rules);
    source(&b, -HOUR, 0);
    until(&b, 5 * HOUR + MINUTE);
    assert_int_equal(opened(&b), 0);
    source(&b, -HOUR, 5 * HOUR);
    assert_int_equal(opened(&b), 1);
    assert_true(str_starts(said_field(&b, last_said(&b, "hook"), "note"), STR("sent 3h 1m later than due")));
    restart(&b, b.rules);
    source(&b, -HOUR, 6 * HOUR);
    until(&b, 8 * HOUR);
    assert_int_equal(opened(&b), 1);
    bench_close(&b);
}

static void one_source_is_another_environments(void **state)
{
    struct bench b;
    struct engine_source two[] = { SOURCE(STR("prod"), -HOUR, ENGINE_NEVER), SOURCE(STR("stg"), -HOUR, 0) };
    (void)state;
    bench_open(&b, SEEN_2H);
    sources(&b, two, 2);
    report(&b, HIT("a", "run_1", 0));
    report(&b, (struct report){ .run = "run_2", .task = "a", .env = "stg", .state = RUN_COMPLETED });
    report(&b, (struct report){ .run = "run_3", .task = "a", .env = "dev", .state = RUN_COMPLETED });
    until(&b, 10 * HOUR);
    assert_int_equal(opened(&b), 1); /* prod; nothing is known of stg, and nobody brings dev */
    two[1].told_ms = start_ms + 10 * HOUR;
    sources(&b, two, 2);
    assert_int_equal(opened(&b), 2);
    bench_close(&b);
}

/* Where a source that looks brings them, too, it decides. */
static void a_source_that_cannot_see_the_hit_does_not_count(void **state)
{
    struct bench b;
    struct engine_source two[] = { SOURCE(STR_NONE, -HOUR, 0), SOURCE(STR_NONE, -HOUR, ENGINE_NEVER) };
    (void)state;
    bench_open(&b, EVERY_2H);
    two[0].states = 1 << RUN_FAILED;
    sources(&b, two, 2);
    report(&b, HIT("sync", "run_1", 0));
    assert_int_equal(due(&b), 2 * HOUR);
    two[0].states = EVERY_STATE;
    sources(&b, two, 2);
    until(&b, 3 * HOUR);
    assert_int_equal(opened(&b), 0);
    two[0].states = 1 << RUN_FAILED;
    sources(&b, two, 2);
    assert_int_equal(opened(&b), 1);
    bench_close(&b);
}

static void named_tasks_wait_in_each_project_that_could_bring_them(void **state)
{
    struct bench b;
    struct engine_source two[] = { SOURCE(STR("prod"), 0, ENGINE_NEVER), SOURCE(STR("dev"), 0, ENGINE_NEVER) };
    (void)state;
    two[0].project = STR("shop");
    two[1].project = STR("blog");
    bench_open(&b, IN_PROD);
    sources(&b, two, 1);
    assert_int_equal(keys(&b), 2);
    sources(&b, two, 2);
    assert_int_equal(keys(&b), 2); /* blog's source brings dev only */
    two[1].env = STR_NONE;
    sources(&b, two, 2);
    assert_int_equal(keys(&b), 4);
    until(&b, 2 * HOUR);
    assert_int_equal(opened(&b), 4);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_that_lags_is_waited_for),
        cmocka_unit_test(what_a_source_tells_late_prevents),
        cmocka_unit_test(a_time_that_was_missed_while_the_source_lagged),
        cmocka_unit_test(a_time_that_was_met_after_all),
        cmocka_unit_test(after_a_start_a_whole_period),
        cmocka_unit_test(after_a_start_a_whole_time_of_cron),
        cmocka_unit_test(after_a_start_an_overdue_one_rings_late),
        cmocka_unit_test(one_source_is_another_environments),
        cmocka_unit_test(a_source_that_cannot_see_the_hit_does_not_count),
        cmocka_unit_test(named_tasks_wait_in_each_project_that_could_bring_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
