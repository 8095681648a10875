/* engine: late and fuller reports, keys, what resolves, storms. */
#include "base/clock.h"
#include "engine_testing.h"

/* --- late and fuller reports -------------------------------------------------------------------------------------------------------- */
static void test_late_hits_that_were_cured(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    notify: [chat, pager]\n    escalate: {15m: pager}\n");
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = HOUR, .event_ms = MINUTE, .since_succeeded = true });
    assert_int_equal(count_said(&b, "chat", -1), 1); /* one message that says so */
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "reason"), "the run has succeeded since"));
    until(&b, 2 * HOUR);
    assert_int_equal(count_said(&b, "chat", -1), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 0);
    assert_int_equal(state_of(&b, first(&b)), INCIDENT_RESOLVED);
    bench_close(&b);
    bench_open(&b, SIMPLE("    wait: 1m\n    escalate: {15m: pager}\n"));
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = HOUR, .event_ms = MINUTE, .since_succeeded = true });
    until(&b, 2 * HOUR);
    assert_int_equal(b.said.n, 0);
    assert_int_equal(state_of(&b, first(&b)), INCIDENT_RESOLVED);
    bench_close(&b);
    bench_open(&b, "rules:\n  r:\n    when: {status: REATTEMPTING}\n    count: 3 in 10m\n    by: run\n    notify: chat\n    escalate: {15m: pager}\n");
    for (int k = 0; k < 3; k++)
        report(&b, (struct report){ "run_0", "job", RUN_REATTEMPTING, .at_ms = HOUR + k, .event_ms = (k + 1) * MINUTE, .attempt = k + 2, .since_succeeded = true });
    until(&b, 2 * HOUR);
    assert_int_equal(count_said(&b, "chat", -1), 1);
    assert_int_equal(count_said(&b, "pager", -1), 0);
    bench_close(&b);
}

/* `defaults: {resolve: 3 successes}` and a rule by run: its run succeeds once, and then nobody is to be paged. */
static void test_a_run_succeeds_once(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "defaults: {resolve: 3 successes}\nrules:\n  r:\n    when: {status: REATTEMPTING}\n    by: run\n    notify: chat\n    escalate: {15m: pager}\n");
    report(&b, (struct report){ "run_0", "job", RUN_REATTEMPTING, .attempt = 2 });
    report(&b, SUCCEEDED("run_0", MINUTE, 0));
    until(&b, HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    assert_int_equal(count_said(&b, "pager", -1), 0);
    bench_close(&b);
}

/* All retries may be told in the report of the success: one message, not one for each. */
static void test_retries_told_with_their_success(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: REATTEMPTING}\n    notify: chat\n    linger: 0s\n  s:\n    when: {status: REATTEMPTING}\n    by: run\n    notify: hook\n");
    for (int k = 0; k < 3; k++)
        report(&b, (struct report){ "run_0", "job", RUN_REATTEMPTING, .at_ms = HOUR, .event_ms = (k + 1) * MINUTE, .attempt = k + 2, .since_succeeded = true, .event = 5 });
    report(&b, (struct report){ "run_0", "job", RUN_COMPLETED, .at_ms = HOUR, .event = 5 });
    assert_int_equal(count_said(&b, "chat", -1), 1);
    assert_int_equal(count_said(&b, "hook", -1), 1);
    assert_int_equal(count_notes(&b, "hit"), 6); /* the timeline has them all */
    report(&b, (struct report){ "run_1", "job", RUN_REATTEMPTING, .at_ms = 2 * HOUR, .event_ms = MINUTE, .attempt = 2, .since_succeeded = true, .event = 6 });
    assert_int_equal(count_said(&b, "chat", -1), 2);
    bench_close(&b);
}

/* Reports overtake each other: a retry told after the success of its own run does not undo that success. */
static void test_a_cured_late_hit_is_no_relapse(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: REATTEMPTING}\n    notify: chat\n    escalate: {15m: pager}\n");
    report(&b, (struct report){ "run_0", "job", RUN_REATTEMPTING, .attempt = 2 });
    report(&b, SUCCEEDED("run_0", 3 * MINUTE, 0));
    report(&b, (struct report){ "run_0", "job", RUN_REATTEMPTING, .at_ms = 4 * MINUTE, .event_ms = 2 * MINUTE, .attempt = 3, .since_succeeded = true });
    assert_int_equal(count_notes(&b, "relapsed"), 0);
    until(&b, 2 * HOUR);
    assert_int_equal(count_said(&b, "pager", -1), 0);
    assert_int_equal(state_of(&b, first(&b)), INCIDENT_RESOLVED);
    bench_close(&b);
    bench_open(&b, "rules:\n  r:\n    when: {status: REATTEMPTING}\n    notify: chat\n    resolve: 2 successes\n    linger: 0s\n");
    report(&b, (struct report){ "run_0", "job", RUN_REATTEMPTING, .attempt = 2 });
    report(&b, SUCCEEDED("run_0", 3 * MINUTE, 0));
    report(&b, (struct report){ "run_0", "job", RUN_REATTEMPTING, .at_ms = 4 * MINUTE, .event_ms = 2 * MINUTE, .attempt = 3, .since_succeeded = true });
    report(&b, SUCCEEDED("run_1", 6 * MINUTE, 5 * MINUTE)); /* still the second in a row */
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* A report without startedAt: what was created after the hit started after it; with neither time nobody knows. */
static void test_a_success_that_tells_only_when_it_was_made(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    linger: 0s\n"));
    report(&b, FAILED("run_0", 2 * MINUTE));
    report(&b, (struct report){ "run_1", "job", RUN_COMPLETED, .at_ms = 3 * MINUTE });
    report(&b, (struct report){ "run_2", "job", RUN_COMPLETED, .at_ms = 4 * MINUTE, .created_ms = MINUTE });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    report(&b, (struct report){ "run_3", "job", RUN_COMPLETED, .at_ms = 5 * MINUTE, .created_ms = 3 * MINUTE });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* A cancellation ends what was told of a run before it, but not a rule's own word of cancellations. */
static void test_a_cancellation_that_is_the_hit(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: [REATTEMPTING, CANCELED]}\n    by: run\n    notify: chat\n"
                   "  s:\n    when: {status: REATTEMPTING}\n    by: run\n    notify: pager\n");
    report(&b, (struct report){ "run_0", "job", RUN_CANCELED, .at_ms = 0 });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    report(&b, (struct report){ "run_1", "job", RUN_REATTEMPTING, .at_ms = MINUTE, .attempt = 2 });
    report(&b, (struct report){ "run_1", "job", RUN_CANCELED, .at_ms = 2 * MINUTE });
    assert_int_equal(count_said(&b, "pager", MESSAGE_RESOLVE), 1);
    until(&b, 23 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 2);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    until(&b, 25 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 2); /* quiet for a day */
    bench_close(&b);
}

/* A fuller report of a hit that was counted brings its details, and is no new hit. */
static void test_a_fuller_report_is_no_second_hit(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    message: {title: \"{{task}}: {{error.message}}\"}\n    update: 1s\n    linger: 5m\n    resolve: [success, 1h quiet]\n"));
    report(&b, FAILED("run_0", 0));
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 10000, .event_ms = 1, .error = "disk full", .gained = RUN_HAS_ERROR });
    until(&b, MINUTE);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "hits"), "1"));
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "title"), "job: disk full"));
    report(&b, SUCCEEDED("run_1", 2 * MINUTE, 100000));
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 3 * MINUTE, .event_ms = 1, .metadata = "{}", .error = "disk full", .gained = RUN_HAS_ERROR });
    assert_int_equal(count_notes(&b, "relapsed"), 0); /* what lingers is not disturbed */
    until(&b, 7 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 10 * MINUTE, .event_ms = 1, .error = "disk full", .gained = RUN_HAS_ERROR });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1); /* nor opened anew */
    bench_close(&b);
}

/* A rule that could not judge the thin report judges the fuller one. */
static void test_a_fuller_report_may_be_the_first_hit(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed, error.message: {glob: \"*full*\"}}\n    notify: chat\n"
                   "  m:\n    when: {status: failed, metadata.customer: acme}\n    count: 2 in 10m\n    notify: hook\n"
                   "    message: {title: \"{{error.message}}\"}\n");
    report(&b, FAILED("run_0", 0));
    assert_int_equal(b.said.n, 0);
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 1000, .event_ms = 1, .error = "disk full", .gained = RUN_HAS_ERROR });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 2000, .event_ms = 1, .metadata = "{\"customer\":\"acme\"}", .gained = RUN_HAS_METADATA });
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 2001, .event_ms = 1, .error = "disk full", .metadata = "{\"customer\":\"acme\"}", .gained = RUN_HAS_ERROR });
    assert_int_equal(count_said(&b, "hook", -1), 0); /* the same transition counts once */
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 3000, .metadata = "{\"customer\":\"acme\"}" });
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "hook"), "hits"), "2"));
    bench_close(&b);
}

static void test_the_fuller_report_that_opens_counts_itself(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  m:\n    when: {status: REATTEMPTING, metadata.customer: acme}\n    count: 2 in 10m\n    by: run\n    notify: hook\n");
    report(&b, (struct report){ "run_0", "job", RUN_REATTEMPTING, .at_ms = 0, .attempt = 2, .metadata = "{\"customer\":\"acme\"}" });
    report(&b, (struct report){ "run_0", "job", RUN_REATTEMPTING, .at_ms = 1000, .attempt = 3 });
    report(&b, (struct report){ "run_0", "job", RUN_REATTEMPTING, .at_ms = 2000, .event_ms = 1000, .attempt = 3, .metadata = "{\"customer\":\"acme\"}", .gained = RUN_HAS_METADATA });
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "hook"), "hits"), "2"));
    bench_close(&b);
}

static void test_a_late_window_is_what_it_is_about(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    count: 3 in 10m\n"));
    report(&b, FAILED("run_1", 0));
    report(&b, FAILED("run_2", 30 * MINUTE));
    report(&b, (struct report){ "run_3", "job", RUN_FAILED, .at_ms = 31 * MINUTE, .event_ms = 4 * MINUTE });
    report(&b, (struct report){ "run_4", "job", RUN_FAILED, .at_ms = 32 * MINUTE, .event_ms = 9 * MINUTE });
    assert_int_equal(b.said.n, 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "hits"), "3"));
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "runs"), "3"));
    bench_close(&b);
}

/* --- keys --------------------------------------------------------------------------------------------------------------------------------- */
static void test_a_list_gives_a_key_for_each_element(void **state)
{
    struct bench b;
    uint64_t ids[8];
    (void)state;
    bench_open(&b, "rules:\n  named:\n    when: {status: failed, tags: [billing, invoices]}\n    by: tags\n    notify: chat\n    linger: 0s\n"
                   "  any:\n    when: {status: failed}\n    by: tags\n    notify: hook\n    linger: 0s\n");
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 0, .tags = { "billing", "eu", "invoices" } });
    assert_int_equal(engine_incidents(b.e, STR("named"), ids, 8), 2); /* only the ones that when names */
    assert_int_equal(engine_incidents(b.e, STR("any"), ids, 8), 3);
    report(&b, (struct report){ "run_1", "job", RUN_COMPLETED, .at_ms = 2000, .started_ms = 1000, .tags = { "billing", "us" } });
    assert_int_equal(engine_incidents(b.e, STR("named"), ids, 8), 1);
    assert_int_equal(engine_incidents(b.e, STR("any"), ids, 8), 2);
    report(&b, FAILED("run_2", 3000));
    assert_int_equal(engine_incidents(b.e, STR("any"), ids, 8), 3); /* (none) */
    bench_close(&b);
}

static void test_a_list_that_is_too_long(void **state)
{
    struct bench b;
    uint64_t ids[32];
    (void)state;
    bench_open(&b, SIMPLE("    by: metadata.list\n"));
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 0, .metadata = "{\"list\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}" });
    assert_int_equal(engine_incidents(b.e, STR("r"), ids, 32), 16);
    assert_int_equal(engine_stats(b.e).collapsed_keys, 0);
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 1, .metadata = "{\"list\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18]}" });
    assert_int_equal(engine_incidents(b.e, STR("r"), ids, 32), 17); /* the rest is one, and counted */
    assert_int_equal(engine_stats(b.e).collapsed_keys, 1);
    bench_close(&b);
}

static void test_too_many_keys_join_one(void **state)
{
    struct engine_limits limits = engine_default_limits;
    struct bench b;
    uint64_t ids[8];
    (void)state;
    limits.keys_per_rule = 3;
    bench_open_within(&b, SIMPLE("    by: run\n    resolve: [success, 1h quiet]\n"), limits);
    for (int k = 0; k < 10; k++) report(&b, FAILED(str_printf(&b.a, "run_%d", k).p, k));
    assert_int_equal(engine_incidents(b.e, STR("r"), ids, 8), 4);
    assert_int_equal(engine_stats(b.e).collapsed_keys, 7);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "key"), "run=(overflow)"));
    until(&b, 10 * MINUTE);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "runs"), "7"));
    report(&b, SUCCEEDED("run_5", 11 * MINUTE, 1)); /* one of seven says nothing of the others */
    assert_int_equal(engine_incidents(b.e, STR("r"), ids, 8), 4);
    report(&b, FAILED("run_1", 12 * MINUTE)); /* a key that is there is never put aside */
    assert_int_equal(engine_stats(b.e).collapsed_keys, 7);
    until(&b, 3 * HOUR);
    assert_int_equal(engine_incidents(b.e, STR("r"), ids, 8), 0);
    bench_close(&b);
}

static void test_windows_that_are_there_go_on_at_the_bound(void **state)
{
    struct engine_limits limits = engine_default_limits;
    struct bench b;
    uint64_t ids[8];
    (void)state;
    limits.keys_per_rule = 2;
    bench_open_within(&b, SIMPLE("    count: 3 in 10m\n    by: task\n"), limits);
    for (int k = 0; k < 3; k++)
        for (int t = 0; t < 2; t++) report(&b, (struct report){ str_printf(&b.a, "run_%d%d", k, t).p, t ? "b" : "a", RUN_FAILED, .at_ms = k });
    assert_int_equal(engine_incidents(b.e, STR("r"), ids, 8), 2); /* neither joined the other */
    assert_int_equal(engine_stats(b.e).collapsed_keys, 0);
    bench_close(&b);
}

static void test_a_success_is_of_one_task_also_when_keys_overflow(void **state)
{
    struct engine_limits limits = engine_default_limits;
    struct bench b;
    uint64_t ids[8];
    (void)state;
    limits.keys_per_rule = 1;
    bench_open_within(&b, SIMPLE("    by: [task, error.fingerprint]\n    linger: 0s\n"), limits);
    report(&b, (struct report){ "run_0", "a", RUN_FAILED, .at_ms = 0, .error = "x" });
    report(&b, (struct report){ "run_1", "b", RUN_FAILED, .at_ms = 1, .error = "y" });
    report(&b, (struct report){ "run_2", "c", RUN_FAILED, .at_ms = 2, .error = "z" });
    assert_int_equal(engine_incidents(b.e, STR("r"), ids, 8), 2);
    report(&b, (struct report){ "run_3", "b", RUN_COMPLETED, .at_ms = 1000, .started_ms = 500 });
    assert_int_equal(engine_incidents(b.e, STR("r"), ids, 8), 2); /* c is not well because b is */
    bench_close(&b);
}

static void test_a_resolve_empties_the_window(void **state)
{
    static const char *const how[] = { "success", "clears" };
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct bench b;
        struct arena a = { 0 };
        bench_open(&b, str_printf(&a, SIMPLE("    count: 3 in 10m\n    linger: 0s\n    resolve: %s\n"), how[k]).p);
        for (int n = 0; n < 3; n++) report(&b, FAILED(str_printf(&b.a, "run_%d", n).p, n));
        if (k == 0) report(&b, SUCCEEDED("run_s", MINUTE, 30000));
        else assert_int_equal(command(&b, ENGINE_RESOLVE, first(&b), 0), 0);
        assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
        report(&b, FAILED("run_3", 2 * MINUTE));
        assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), k == 0 ? 1 : 2); /* but with `clears` it goes on */
        report(&b, FAILED("run_4", 3 * MINUTE));
        report(&b, FAILED("run_5", 4 * MINUTE));
        assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 2);
        bench_close(&b);
        arena_fini(&a);
    }
}

/* --- resolving ------------------------------------------------------------------------------------------------------------------------------ */
static void test_a_failure_breaks_the_row_of_successes(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: CRASHED}\n    notify: chat\n    resolve: 2 successes\n    linger: 0s\n");
    report(&b, (struct report){ "run_0", "job", RUN_CRASHED, .at_ms = 0 });
    report(&b, SUCCEEDED("run_1", 2000, 1000));
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 4000, .started_ms = 3000 }); /* no hit, and no success */
    report(&b, SUCCEEDED("run_3", 6000, 5000));
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    report(&b, SUCCEEDED("run_4", 8000, 7000));
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

static void test_run_keyed_incidents_end_whatever_their_rule_says(void **state)
{
    static const char *const resolves[] = { "24h quiet", "success", "3 successes" };
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        struct bench b;
        struct arena a = { 0 };
        bench_open(&b, str_printf(&a, "rules:\n  r:\n    when: {status: REATTEMPTING}\n    by: run\n    notify: chat\n    resolve: %s\n    repeat: 1h\n", resolves[k]).p);
        report(&b, (struct report){ "run_0", "job", RUN_REATTEMPTING, .at_ms = 0, .attempt = 2 });
        report(&b, (struct report){ "run_1", "job", RUN_REATTEMPTING, .at_ms = 0, .attempt = 2 });
        report(&b, (struct report){ "run_0", "job", RUN_CANCELED, .at_ms = 1000 });
        assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1); /* CANCELED resolves */
        report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 2000 });
        until(&b, 23 * HOUR);
        assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 0); /* a final failure ends reminders */
        assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
        until(&b, 25 * HOUR);
        assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 2); /* and resolves at 24h quiet */
        bench_close(&b);
        arena_fini(&a);
    }
}

/* --- storms ----------------------------------------------------------------------------------------------------------------------------- */
/* Thousands of hits in one window: each costs about what the first one did. */
static void test_a_storm_in_one_window(void **state)
{
    enum { STORM = 20000 };
    struct bench b;
    int64_t before = clock_mono(clock_system()).ms;
    (void)state;
    bench_open(&b, "rules:\n  hits: {when: {status: failed}, count: 3 in 1h, by: env, notify: chat}\n"
                   "  runs: {when: {status: failed}, count: 10 runs in 1h, by: env, resolve: clears, notify: hook}\n"
                   "  many: {when: {status: failed}, count: 10000 runs in 1h, by: env, notify: pager}\n");
    b.lazy = true;
    for (int k = 0; k < STORM; k++) report(&b, FAILED(str_printf(&b.a, "run_%d", k).p, k));
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_OPEN), 1); /* also where a window holds less by default */
    print_message("%d hits of three rules in one window each: %lld ms\n", STORM, (long long)(clock_mono(clock_system()).ms - before));
    bench_close(&b);
}

/* What ended is found as fast as what lives. */
static void test_a_hundred_thousand_that_end(void **state)
{
    enum { MANY = 100000 };
    struct bench b;
    int64_t before = clock_mono(clock_system()).ms;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    by: run\n    notify: chat\n    limit: 1 per 1h\n    linger: 0s\n");
    b.lazy = true;
    for (int k = 0; k < MANY; k++) report(&b, FAILED(str_printf(&b.a, "run_%d", k).p, k));
    for (int k = 0; k < MANY; k++) report(&b, SUCCEEDED(str_printf(&b.a, "run_%d", k).p, MANY + k, 1));
    assert_int_equal(engine_stats(b.e).incidents_open, 0);
    print_message("%d incidents opened and resolved: %lld ms\n", MANY, (long long)(clock_mono(clock_system()).ms - before));
    bench_close(&b);
}

static void test_finding_one_among_many_that_ended(void **state)
{
    enum { MANY = 20000 };
    struct bench b;
    uint64_t *ids = calloc(MANY, sizeof *ids);
    size_t left;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    by: run\n    notify: chat\n    limit: 1 per 1h\n    resolve: manual\n");
    strbuf_fini(&b.transcript);
    for (int k = 0; k < MANY; k++) report(&b, FAILED(str_printf(&b.a, "run_%d", k).p, k));
    assert_int_equal(engine_incidents(b.e, STR("r"), ids, MANY), MANY);
    for (int k = 0; k < MANY; k++) /* from both ends, and through the middle */
        if (k % 3 != 1) assert_int_equal(command(&b, ENGINE_RESOLVE, ids[k % 3 ? MANY - 1 - k / 3 * 3 : k], 0), 0);
    left = engine_stats(b.e).incidents_open;
    for (int k = 0; k < MANY; k++) left -= command(&b, ENGINE_ACK, ids[k], 0) == 0;
    assert_int_equal(left, 0);
    assert_int_equal(command(&b, ENGINE_ACK, 1, 0), -1);
    assert_int_equal(command(&b, ENGINE_ACK, UINT64_MAX, 0), -1);
    free(ids);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_late_hits_that_were_cured),
        cmocka_unit_test(test_a_cured_late_hit_is_no_relapse),
        cmocka_unit_test(test_retries_told_with_their_success),
        cmocka_unit_test(test_a_run_succeeds_once),
        cmocka_unit_test(test_a_cancellation_that_is_the_hit),
        cmocka_unit_test(test_a_success_that_tells_only_when_it_was_made),
        cmocka_unit_test(test_a_fuller_report_is_no_second_hit),
        cmocka_unit_test(test_a_fuller_report_may_be_the_first_hit),
        cmocka_unit_test(test_the_fuller_report_that_opens_counts_itself),
        cmocka_unit_test(test_a_late_window_is_what_it_is_about),
        cmocka_unit_test(test_a_list_gives_a_key_for_each_element),
        cmocka_unit_test(test_a_list_that_is_too_long),
        cmocka_unit_test(test_too_many_keys_join_one),
        cmocka_unit_test(test_windows_that_are_there_go_on_at_the_bound),
        cmocka_unit_test(test_a_success_is_of_one_task_also_when_keys_overflow),
        cmocka_unit_test(test_a_resolve_empties_the_window),
        cmocka_unit_test(test_a_failure_breaks_the_row_of_successes),
        cmocka_unit_test(test_run_keyed_incidents_end_whatever_their_rule_says),
        cmocka_unit_test(test_a_storm_in_one_window),
        cmocka_unit_test(test_a_hundred_thousand_that_end),
        cmocka_unit_test(test_finding_one_among_many_that_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
