/* What each condition does, case by case; test_engine_model.c holds all of them against a model. */
#include "engine_testing.h"

/* --- count: N of FIELD ---------------------------------------------------------------------------------------------- */
#define CUSTOMER(run_, at_, who) (struct report){ .run = run_, .state = RUN_FAILED, .at_ms = at_, .metadata = who }
#define MANY(more) "rules:\n  r:\n    when: {status: failed}\n    count: 3 of metadata.c in 15m\n    notify: hook\n" more

static void test_distinct_values_ring(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, MANY("    by: env\n"));
    for (int k = 0; k < 5; k++) report(&b, CUSTOMER("run_a", k, "{\"c\":\"acme\"}"));
    report(&b, CUSTOMER("run_b", 2 * MINUTE, "{\"c\":\"globex\"}"));
    report(&b, CUSTOMER("run_c", 3 * MINUTE, "{\"d\":1}")); /* a missing value is not counted */
    report(&b, CUSTOMER("run_d", 3 * MINUTE, "{\"c\":null}"));
    assert_int_equal(b.said.n, 0);
    report(&b, CUSTOMER("run_e", 14 * MINUTE, "{\"c\":7}"));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    assert_true(str_ends(said_field(&b, last_said(&b, "hook"), "title"), STR("(3 or more different metadata.c in 15m) in prod")));
    bench_close(&b);
}

/* A list counts each of its elements, and is one hit of one run. */
static void test_a_list_of_values(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, MANY(""));
    report(&b, CUSTOMER("run_a", 0, "{\"c\":[\"x\",\"y\"]}"));
    report(&b, CUSTOMER("run_b", 1, "{\"c\":[\"y\",\"z\"]}"));
    assert_int_equal(b.said.n, 1);
    assert_true(str_eq_c(said_field(&b, &b.said.v[0], "hits"), "2"));
    assert_true(str_eq_c(said_field(&b, &b.said.v[0], "runs"), "2"));
    bench_close(&b);
}

/* Many hits of one customer over the bound do not push the others out; what collapsed is counted. */
static void test_repeated_values_collapse_first(void **state)
{
    struct bench b;
    struct engine_limits limits = engine_default_limits;
    (void)state;
    limits.window_entries = 16;
    bench_open_within(&b, MANY(""), limits);
    report(&b, CUSTOMER("run_a", 0, "{\"c\":\"acme\"}"));
    report(&b, CUSTOMER("run_b", 1, "{\"c\":\"globex\"}"));
    for (int k = 0; k < 100; k++) report(&b, CUSTOMER("run_c", 2 + k, "{\"c\":\"globex\"}"));
    assert_int_equal(b.said.n, 0);
    assert_true(engine_stats(&*b.e).collapsed_entries > 80);
    report(&b, CUSTOMER("run_d", 200, "{\"c\":\"initech\"}"));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    bench_close(&b);
}

/* --- streak ------------------------------------------------------------------------------------------------------------ */
#define STREAK_OF_3(more) "rules:\n  r:\n    when: {status: failed}\n    streak: 3\n    notify: hook\n    linger: 0s\n" more
#define CANCELED(run_, at_) (struct report){ .run = run_, .state = RUN_CANCELED, .at_ms = at_ }

static void test_three_in_a_row_ring(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, STREAK_OF_3(""));
    report(&b, FAILED("run_0", 0));
    report(&b, FAILED("run_1", MINUTE));
    report(&b, SUCCEEDED("run_2", 2 * MINUTE, 0)); /* breaks the row */
    report(&b, FAILED("run_3", 3 * MINUTE));
    report(&b, CANCELED("run_4", 4 * MINUTE)); /* neither counts nor breaks */
    report(&b, FAILED("run_5", 5 * MINUTE));
    assert_int_equal(b.said.n, 0);
    report(&b, FAILED("run_6", 6 * MINUTE));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    assert_true(str_eq_c(said_field(&b, &b.said.v[0], "hits"), "3"));
    assert_true(str_eq_c(said_field(&b, &b.said.v[0], "runs"), "3"));
    assert_true(str_eq_c(said_field(&b, &b.said.v[0], "title"), "job: 3 runs failed (3 in a row) in prod"));
    bench_close(&b);
}

/* A late success is placed where it belongs: the row was never one. */
static void test_a_late_success_breaks_the_row(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, STREAK_OF_3(""));
    report(&b, FAILED("run_0", 0));
    report(&b, FAILED("run_1", 2 * MINUTE));
    report(&b, (struct report){ .run = "run_2", .state = RUN_COMPLETED, .at_ms = 3 * MINUTE, .event_ms = MINUTE });
    report(&b, FAILED("run_3", 4 * MINUTE));
    assert_int_equal(b.said.n, 0);
    report(&b, (struct report){ .run = "run_4", .state = RUN_FAILED, .at_ms = 5 * MINUTE, .event_ms = 3 * MINUTE }); /* and a late failure makes it one */
    assert_int_equal(b.said.n, 1);
    bench_close(&b);
}

/* `resolve: 3 successes`, as in the language's own example: they are counted one after another, and a failure starts anew. */
static void test_a_streak_ends_by_successes(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, STREAK_OF_3("    resolve: 3 successes\n"));
    for (int k = 0; k < 3; k++) report(&b, FAILED("run_x", k * MINUTE));
    report(&b, SUCCEEDED("run_0", 5 * MINUTE, 4 * MINUTE));
    report(&b, SUCCEEDED("run_1", 6 * MINUTE, 4 * MINUTE));
    report(&b, FAILED("run_2", 7 * MINUTE));
    for (int k = 0; k < 2; k++) report(&b, SUCCEEDED("run_3", (8 + 2 * k) * MINUTE, (8 + 2 * k) * MINUTE - 1000));
    report(&b, CANCELED("run_4", 11 * MINUTE));
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 0);
    report(&b, SUCCEEDED("run_5", 12 * MINUTE, 12 * MINUTE - 1000));
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* On a key with outcome fields a run of another error breaks the row; each error has its own. */
static void test_rows_of_one_error(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, STREAK_OF_3("    by: [task, error.message]\n    resolve: manual\n"));
    report(&b, (struct report){ .run = "run_0", .state = RUN_FAILED, .at_ms = 0, .error = "a" });
    report(&b, (struct report){ .run = "run_1", .state = RUN_FAILED, .at_ms = 1, .error = "a" });
    report(&b, (struct report){ .run = "run_2", .state = RUN_FAILED, .at_ms = 2, .error = "b" });
    report(&b, (struct report){ .run = "run_3", .state = RUN_FAILED, .at_ms = 3, .error = "a" });
    report(&b, (struct report){ .run = "run_4", .state = RUN_FAILED, .at_ms = 4, .error = "a" });
    assert_int_equal(b.said.n, 0);
    report(&b, (struct report){ .run = "run_5", .state = RUN_FAILED, .at_ms = 5, .error = "a" });
    assert_int_equal(b.said.n, 1);
    assert_true(str_eq_c(b.rows.v[0].key, "job/a"));
    assert_int_equal(command(&b, ENGINE_RESOLVE, first(&b), 0), 0); /* its window starts anew */
    report(&b, (struct report){ .run = "run_6", .state = RUN_FAILED, .at_ms = 6, .error = "a" });
    report(&b, (struct report){ .run = "run_7", .state = RUN_FAILED, .at_ms = 7, .error = "a" });
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    report(&b, (struct report){ .run = "run_8", .state = RUN_FAILED, .at_ms = 8, .error = "a" });
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 2);
    bench_close(&b);
}

/* A job that runs once a month is still known when it runs again; one that never does is forgotten. */
static void test_rows_of_rare_runs(void **state)
{
    struct bench b;
    const int64_t month = (int64_t)31 * 24 * HOUR;
    (void)state;
    bench_open(&b, STREAK_OF_3("    repeat: never\n"));
    for (int k = 0; k < 3; k++) report(&b, FAILED("run_x", k * month));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    until(&b, 7 * month);
    assert_int_equal(engine_stats(b.e).windows, 0);
    bench_close(&b);
}

/* A changed number is another rule: its row starts anew and its incidents are told why they end. */
static void test_a_reload_in_the_middle_of_a_row(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, STREAK_OF_3(""));
    report(&b, FAILED("run_0", 0));
    report(&b, FAILED("run_1", 1));
    reload(&b, compile(&b, STREAK_OF_3("    severity: critical\n")));
    report(&b, FAILED("run_2", 2));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    reload(&b, compile(&b, "rules:\n  r:\n    when: {status: failed}\n    streak: 2\n    notify: hook\n"));
    assert_true(str_eq_c(said_field(&b, last_said(&b, "hook"), "reason"), "rule changed"));
    report(&b, FAILED("run_3", 3));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    report(&b, FAILED("run_4", 4));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 2);
    bench_close(&b);
}

/* --- first ------------------------------------------------------------------------------------------------------------- */
#define DAY ((int64_t)24 * HOUR)
#define FIRST_IN_7D(more) "rules:\n  r:\n    when: {status: failed}\n    first: 7d\n    by: error.message\n    notify: hook\n    repeat: never\n    resolve: 1h quiet\n" more
#define WITH_ERROR(run_, at_, text) (struct report){ .run = run_, .state = RUN_FAILED, .at_ms = at_, .error = text }

static void test_an_error_that_is_new_or_comes_back(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, FIRST_IN_7D(""));
    report(&b, WITH_ERROR("run_0", 0, "a"));
    assert_true(str_eq_c(said_field(&b, &b.said.v[0], "title"), "job failed, for the first time in 1w in prod"));
    report(&b, WITH_ERROR("run_1", MINUTE, "b"));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 2);
    report(&b, WITH_ERROR("run_2", 5 * DAY, "a")); /* known, and known for another week */
    report(&b, WITH_ERROR("run_3", 11 * DAY, "a"));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 2);
    report(&b, WITH_ERROR("run_4", 11 * DAY, "b"));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 3);
    report(&b, WITH_ERROR("run_5", 18 * DAY, "a"));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 4);
    bench_close(&b);
}

/* Neither a resolve, nor a restart, nor a reload of other settings makes a known error new; another time does. */
static void test_what_was_seen_stays_seen(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, FIRST_IN_7D(""));
    report(&b, WITH_ERROR("run_0", 0, "a"));
    assert_int_equal(command(&b, ENGINE_RESOLVE, first(&b), 0), 0);
    restart(&b, b.rules);
    reload(&b, compile(&b, FIRST_IN_7D("    severity: info\n")));
    report(&b, WITH_ERROR("run_1", DAY, "a"));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    reload(&b, compile(&b, "rules:\n  r:\n    when: {status: failed}\n    first: 6d\n    by: error.message\n    notify: hook\n"));
    report(&b, WITH_ERROR("run_2", DAY + 1, "a"));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 2);
    until(&b, 9 * DAY);
    assert_int_equal(engine_stats(b.e).windows, 0); /* in the end it is forgotten */
    bench_close(&b);
}

/* More keys than are kept: what may be new joins one incident that rings, and is counted. */
static void test_first_over_the_bound_of_keys(void **state)
{
    struct bench b;
    struct engine_limits limits = engine_default_limits;
    char text[16];
    (void)state;
    limits.keys_per_rule = 4;
    bench_open_within(&b, FIRST_IN_7D(""), limits);
    for (int k = 0; k < 6; k++) {
        snprintf(text, sizeof text, "e%d", k);
        report(&b, WITH_ERROR("run_0", k, text));
    }
    assert_true(engine_stats(b.e).collapsed_keys > 0);
    assert_true(str_eq_c(b.rows.v[b.rows.n - 1].key, "(overflow)"));
    report(&b, WITH_ERROR("run_1", 3 * HOUR, "e9"));
    assert_true(last_said(&b, "hook")->at_ms == start_ms + 3 * HOUR);
    bench_close(&b);
}

/* --- flaps ------------------------------------------------------------------------------------------------------------- */
#define FLAPS(when, more) "rules:\n  r:\n    when: " when "\n    flaps: 4 in 1h\n    notify: hook\n    repeat: never\n    linger: 0s\n" more

/* The change back to success counts like the other, and may be the one that rings. */
static void test_to_and_fro(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, FLAPS("{status: TIMED_OUT}", "    resolve: manual\n"));
    report(&b, SUCCEEDED("run_0", 0, 0));
    report(&b, (struct report){ .run = "run_1", .state = RUN_TIMED_OUT, .at_ms = MINUTE });
    report(&b, (struct report){ .run = "run_2", .state = RUN_TIMED_OUT, .at_ms = 2 * MINUTE });
    report(&b, SUCCEEDED("run_3", 3 * MINUTE, 0));
    report(&b, CANCELED("run_4", 4 * MINUTE));
    report(&b, FAILED("run_5", 5 * MINUTE)); /* neither a hit nor a success */
    report(&b, SUCCEEDED("run_6", 6 * MINUTE, 0));
    report(&b, (struct report){ .run = "run_7", .state = RUN_TIMED_OUT, .at_ms = 7 * MINUTE });
    assert_int_equal(b.said.n, 0);
    report(&b, SUCCEEDED("run_8", 8 * MINUTE, 0));
    assert_int_equal(b.said.n, 1);
    assert_true(str_eq_c(said_field(&b, &b.said.v[0], "title"), "job flaps (4 or more changes in 1h) in prod"));
    assert_true(str_eq_c(said_field(&b, &b.said.v[0], "hits"), "3"));
    assert_true(str_eq_c(said_field(&b, &b.said.v[0], "run"), "run_8"));
    bench_close(&b);
}

/* The run before the window tells whether its first is a change, however long ago it was. */
static void test_what_flapped_long_ago(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, FLAPS("{status: failed}", "    resolve: manual\n"));
    report(&b, SUCCEEDED("run_0", 0, 0));
    for (int k = 0; k < 3; k++) {
        struct report r = k % 2 ? SUCCEEDED("run_x", 10 * DAY + k * MINUTE, 0) : FAILED("run_y", 10 * DAY + k * MINUTE);
        report(&b, r);
    }
    assert_int_equal(b.said.n, 0);
    report(&b, SUCCEEDED("run_4", 10 * DAY + 3 * MINUTE, 0));
    assert_int_equal(b.said.n, 1);
    bench_close(&b);
}

static void test_flapping_ends(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, FLAPS("{status: failed}", "    resolve: clears\n"));
    for (int k = 0; k < 5; k++) {
        struct report r = k % 2 ? FAILED("run_x", k * MINUTE) : SUCCEEDED("run_y", k * MINUTE, 0);
        report(&b, r);
    }
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    until(&b, HOUR + MINUTE - 1); /* the first of four changes was after a minute */
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 0);
    until(&b, HOUR + MINUTE);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* --- rate -------------------------------------------------------------------------------------------------------------- */
#define RATE(of, more) "rules:\n  r:\n    when: {status: failed}\n    rate: " of "\n    notify: hook\n    repeat: never\n    linger: 0s\n" more

static void finish(struct bench *b, bool ok, int64_t at_ms)
{
    char run[32];
    snprintf(run, sizeof run, "run_%zu", b->events);
    report(b, (struct report){ .run = run, .state = ok ? RUN_COMPLETED : RUN_FAILED, .at_ms = at_ms });
}

/* Over 20 % of 10 opens at three; below 16 % closes, so at one: two of ten is between the limits. */
static void test_a_share_of_the_last_runs(void **state)
{
    struct bench b;
    int at = 0;
    (void)state;
    bench_open(&b, RATE("over 20% of last 10 runs", "    message: {title: \"{{rate.percent}}% ({{rate.hits}} of {{rate.runs}})\"}\n"));
    for (int k = 0; k < 9; k++) finish(&b, k != 3 && k != 5 && k != 6, at += 1000);
    assert_int_equal(b.said.n, 0); /* three of nine: too few runs yet */
    report(&b, CANCELED("run_c", at += 1000));
    assert_int_equal(b.said.n, 0);
    finish(&b, true, at += 1000);
    assert_int_equal(b.said.n, 1);
    assert_true(str_eq_c(said_field(&b, &b.said.v[0], "title"), "30% (3 of 10)"));
    assert_true(str_eq_c(said_field(&b, &b.said.v[0], "hits"), "3"));
    for (int k = 0; k < 5; k++) finish(&b, true, at += 1000);
    until(&b, at += 1000);
    assert_int_equal(b.said.n, 1); /* two of ten */
    finish(&b, true, at += 1000);
    until(&b, at);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* In a time: below the least number it does not hold, and time alone ends it. */
static void test_a_share_in_a_time(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, RATE("over 50% in 1h, min 4", ""));
    for (int k = 0; k < 3; k++) finish(&b, false, k * MINUTE);
    assert_int_equal(b.said.n, 0);
    finish(&b, true, 10 * MINUTE);
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    assert_true(str_eq_c(said_field(&b, &b.said.v[0], "title"), "job: 75% of 4 runs failed (limit over 50% in 1h, min 4) in prod"));
    until(&b, HOUR - 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 0);
    until(&b, HOUR);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* A run that is no hit moves the moment at which the share clears; a restart knows of it. */
static void test_a_restart_knows_when_it_clears(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, RATE("over 50% in 1h, min 2", ""));
    finish(&b, false, 0);
    finish(&b, false, 10 * MINUTE);
    finish(&b, false, 20 * MINUTE); /* when two of the three have left there are too few: at 1h10m */
    for (int k = 0; k < 4; k++) finish(&b, true, 30 * MINUTE + k); /* now two of six, when the first has left: below 40 % at 1h */
    restart(&b, b.rules);
    until(&b, HOUR - 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 0);
    until(&b, HOUR);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* Under: of the runs of an hour at least half should succeed. It clears a fifth of the way up to all. */
static void test_too_few_successes(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  good:\n    when: {status: success}\n    rate: under 50% of last 10 runs, min 4\n    notify: hook\n    linger: 0s\n");
    for (int k = 0; k < 4; k++) finish(&b, k < 2, k);
    assert_int_equal(b.said.n, 0);
    finish(&b, false, 5);
    assert_int_equal(b.said.n, 1);
    assert_true(str_eq_c(said_field(&b, &b.said.v[0], "title"), "job: 40% of 5 runs hit good (limit under 50% of last 10 runs, min 4) in prod"));
    assert_true(str_eq_c(said_field(&b, &b.said.v[0], "hits"), "3")); /* those that did not succeed */
    for (int k = 0; k < 5; k++) finish(&b, true, 10 + k);
    until(&b, 1000);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1); /* seven of ten, over 60 % */
    bench_close(&b);
}

/* One success says nothing about a rate: what is written in `defaults` is not for it. */
static void test_a_share_is_not_ended_by_success(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "defaults: {resolve: success}\n" RATE("over 20% of last 4 runs", ""));
    for (int k = 0; k < 4; k++) finish(&b, false, k * MINUTE);
    report(&b, SUCCEEDED("run_s", 10 * MINUTE, 9 * MINUTE));
    until(&b, HOUR);
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 0);
    bench_close(&b);
}

/* A run whose metadata comes later moves to the key it belongs to, and counts once. */
static void test_a_version_told_later(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, RATE("over 50% of last 2 runs", "    by: metadata.v\n"));
    report(&b, (struct report){ .run = "run_0", .state = RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ .run = "run_0", .state = RUN_FAILED, .at_ms = 1, .event_ms = 1, .metadata = "{\"v\":1}", .gained = RUN_HAS_METADATA });
    report(&b, (struct report){ .run = "run_1", .state = RUN_FAILED, .at_ms = 2 });
    assert_int_equal(b.said.n, 0); /* (none) has one run left */
    report(&b, (struct report){ .run = "run_2", .state = RUN_FAILED, .at_ms = 3, .metadata = "{\"v\":1}" });
    assert_int_equal(b.said.n, 1);
    assert_true(str_eq_c(b.rows.v[0].key, "1"));
    bench_close(&b);
}

/* More runs than are kept: the share is that of the newest, and what collapsed is counted. */
static void test_a_busy_rate_is_bounded(void **state)
{
    struct bench b;
    struct engine_limits limits = engine_default_limits;
    (void)state;
    limits.window_entries = 50;
    bench_open_within(&b, RATE("over 20% in 1d", ""), limits);
    for (int k = 0; k < 500; k++) finish(&b, true, k);
    assert_int_equal(engine_stats(b.e).collapsed_entries, 450);
    for (int k = 0; k < 11; k++) finish(&b, false, 1000 + k);
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distinct_values_ring), cmocka_unit_test(test_a_list_of_values),
        cmocka_unit_test(test_repeated_values_collapse_first),
        cmocka_unit_test(test_three_in_a_row_ring), cmocka_unit_test(test_a_late_success_breaks_the_row), cmocka_unit_test(test_a_streak_ends_by_successes),
        cmocka_unit_test(test_rows_of_one_error), cmocka_unit_test(test_rows_of_rare_runs), cmocka_unit_test(test_a_reload_in_the_middle_of_a_row),
        cmocka_unit_test(test_an_error_that_is_new_or_comes_back), cmocka_unit_test(test_what_was_seen_stays_seen),
        cmocka_unit_test(test_first_over_the_bound_of_keys), cmocka_unit_test(test_to_and_fro), cmocka_unit_test(test_what_flapped_long_ago), cmocka_unit_test(test_flapping_ends),
        cmocka_unit_test(test_a_share_of_the_last_runs), cmocka_unit_test(test_a_share_in_a_time), cmocka_unit_test(test_too_few_successes), cmocka_unit_test(test_a_restart_knows_when_it_clears),
        cmocka_unit_test(test_a_share_is_not_ended_by_success), cmocka_unit_test(test_a_version_told_later), cmocka_unit_test(test_a_busy_rate_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
