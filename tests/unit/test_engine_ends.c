/* engine: `resolve: {match: ...}`: the event that ends an incident. */
#include "engine_testing.h"

#define ENDS(more) "rules:\n  r:\n    when: {status: failed}\n    linger: 0s\n    notify: chat\n    resolve: {match: {status: COMPLETED, metadata.fixed: true}}\n" more
static const char fixed[] = "{\"fixed\":true}";

static size_t resolved(const struct bench *b)
{
    return count_said(b, "chat", MESSAGE_RESOLVE);
}

static void test_what_meets_it(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, ENDS(""));
    report(&b, FAILED("run_0", 0));
    report(&b, SUCCEEDED("run_1", 2 * MINUTE, MINUTE)); /* a success, but not what is asked for */
    report(&b, (struct report){ "run_2", "other", RUN_COMPLETED, .at_ms = 3 * MINUTE, .metadata = fixed }); /* another key */
    report(&b, (struct report){ "run_2", "job", RUN_COMPLETED, .at_ms = 3 * MINUTE, .metadata = fixed, .env = "stg" });
    assert_int_equal(resolved(&b), 0);
    report(&b, (struct report){ "run_3", "job", RUN_COMPLETED, .at_ms = 4 * MINUTE, .metadata = fixed });
    assert_int_equal(resolved(&b), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "reason"), "a run event met its `resolve`"));
    assert_int_equal(count_notes(&b, "met resolve"), 1);
    bench_close(&b);
}

/* By the events' own time: what comes late ends nothing that broke out since. */
static void test_later_than_the_last_hit(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, ENDS(""));
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 10 * MINUTE, .event_ms = 9 * MINUTE });
    report(&b, (struct report){ "run_1", "job", RUN_COMPLETED, .at_ms = 11 * MINUTE, .event_ms = 8 * MINUTE, .metadata = fixed });
    report(&b, (struct report){ "run_2", "job", RUN_COMPLETED, .at_ms = 11 * MINUTE, .event_ms = 9 * MINUTE, .metadata = fixed });
    assert_int_equal(resolved(&b), 0);
    report(&b, (struct report){ "run_3", "job", RUN_COMPLETED, .at_ms = 12 * MINUTE, .event_ms = 9 * MINUTE + 1, .metadata = fixed });
    assert_int_equal(resolved(&b), 1);
    bench_close(&b);
}

/* Any state, of runs outside of `when`, too, where the key is wide enough. */
static void test_other_runs_and_states(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed, task: pay}\n    by: env\n    linger: 0s\n    notify: chat\n    resolve: [{match: {status: EXECUTING, task: repair}}, {match: {tags: all-clear}}]\n");
    report(&b, (struct report){ "run_0", "pay", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_1", "repair", RUN_QUEUED, .at_ms = MINUTE });
    assert_int_equal(resolved(&b), 0);
    report(&b, (struct report){ "run_1", "repair", RUN_EXECUTING, .at_ms = 2 * MINUTE });
    assert_int_equal(resolved(&b), 1);
    report(&b, (struct report){ "run_2", "pay", RUN_FAILED, .at_ms = 3 * MINUTE });
    report(&b, (struct report){ "run_3", "any", RUN_QUEUED, .at_ms = 4 * MINUTE, .tags = { "all-clear" } });
    assert_int_equal(resolved(&b), 2);
    bench_close(&b);
}

/* A hit is no end of what it is a hit of. */
static void test_a_hit_ends_nothing(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    linger: 0s\n    notify: chat\n    resolve: {match: {tags: x}}\n");
    report(&b, FAILED("run_0", 0));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = MINUTE, .tags = { "x" } });
    assert_int_equal(resolved(&b), 0);
    report(&b, (struct report){ "run_1", "job", RUN_QUEUED, .at_ms = 2 * MINUTE, .tags = { "x" } });
    assert_int_equal(resolved(&b), 1);
    bench_close(&b);
}

/* What it wants may come with a fuller report of an event that was told already. */
static void test_fuller_reports(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, ENDS(""));
    report(&b, FAILED("run_0", 0));
    report(&b, (struct report){ "run_1", "job", RUN_COMPLETED, .at_ms = MINUTE });
    report(&b, (struct report){ "run_1", "job", RUN_COMPLETED, .at_ms = 2 * MINUTE, .event_ms = MINUTE, .gained = RUN_HAS_VERSION });
    assert_int_equal(resolved(&b), 0);
    report(&b, (struct report){ "run_1", "job", RUN_COMPLETED, .at_ms = 3 * MINUTE, .event_ms = MINUTE, .metadata = fixed, .gained = RUN_HAS_METADATA });
    assert_int_equal(resolved(&b), 1);
    bench_close(&b);
}

static void test_it_lingers(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    linger: 10m\n    notify: chat\n    escalate: {15m: pager}\n    resolve: {match: {status: EXECUTING}}\n");
    report(&b, FAILED("run_0", 0));
    report(&b, (struct report){ "run_1", "job", RUN_EXECUTING, .at_ms = 5 * MINUTE });
    report(&b, (struct report){ "run_2", "job", RUN_EXECUTING, .at_ms = 6 * MINUTE }); /* said once */
    assert_int_equal(count_notes(&b, "met resolve"), 1);
    report(&b, FAILED("run_3", 10 * MINUTE));
    assert_int_equal(count_notes(&b, "relapsed"), 1);
    until(&b, 19 * MINUTE);
    assert_int_equal(count_said(&b, "pager", -1), 0); /* stood still for five minutes */
    until(&b, 20 * MINUTE);
    assert_int_equal(count_said(&b, "pager", -1), 1);
    report(&b, (struct report){ "run_3", "job", RUN_EXECUTING, .at_ms = 30 * MINUTE });
    restart(&b, b.rules);
    until(&b, 39 * MINUTE);
    assert_int_equal(resolved(&b), 0);
    until(&b, 40 * MINUTE);
    assert_int_equal(resolved(&b), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "reason"), "a run event met its `resolve`"));
    bench_close(&b);
}

/* Hits are keyed by their error, which what ends them has not: all of the identity end, as with a success. */
static void test_outcomes_in_the_key(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    by: [task, error.message]\n    linger: 0s\n    notify: chat\n    resolve: {match: {status: EXECUTING}}\n");
    report(&b, (struct report){ "run_0", "a", RUN_FAILED, .at_ms = 0, .error = "x" });
    report(&b, (struct report){ "run_1", "a", RUN_FAILED, .at_ms = 0, .error = "y" });
    report(&b, (struct report){ "run_2", "b", RUN_FAILED, .at_ms = 0, .error = "x" });
    report(&b, (struct report){ "run_3", "a", RUN_EXECUTING, .at_ms = MINUTE });
    assert_int_equal(resolved(&b), 2);
    bench_close(&b);
}

/* By run: the same run only. A count that waits is begun anew after it. */
static void test_runs_and_windows(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: REATTEMPTING}\n    by: run\n    count: 2 in 10m\n    notify: chat\n    resolve: {match: {status: WAITING}}\n");
    for (int k = 0; k < 2; k++) report(&b, (struct report){ "run_0", "a", RUN_REATTEMPTING, .at_ms = k * MINUTE, .attempt = k + 2 });
    report(&b, (struct report){ "run_1", "a", RUN_WAITING, .at_ms = 2 * MINUTE });
    assert_int_equal(resolved(&b), 0);
    report(&b, (struct report){ "run_0", "a", RUN_WAITING, .at_ms = 3 * MINUTE });
    assert_int_equal(resolved(&b), 1);
    report(&b, (struct report){ "run_0", "a", RUN_REATTEMPTING, .at_ms = 4 * MINUTE, .attempt = 4 });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

/* It is one way to end among others, and a reload may bring it. */
static void test_beside_others_and_reloaded(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    linger: 0s\n    notify: chat\n    resolve: manual\n");
    report(&b, FAILED("run_0", 0));
    report(&b, (struct report){ "run_1", "job", RUN_COMPLETED, .at_ms = MINUTE, .metadata = fixed });
    reload(&b, compile(&b, "rules:\n  r:\n    when: {status: failed}\n    linger: 0s\n    notify: chat\n    resolve: [success, {match: {status: EXECUTING}}]\n"));
    assert_int_equal(resolved(&b), 0);
    report(&b, (struct report){ "run_2", "job", RUN_EXECUTING, .at_ms = 2 * MINUTE });
    assert_int_equal(resolved(&b), 1);
    report(&b, FAILED("run_3", 3 * MINUTE));
    report(&b, SUCCEEDED("run_4", 5 * MINUTE, 4 * MINUTE));
    assert_int_equal(resolved(&b), 2);
    bench_close(&b);
}

/* --- what the match is about ------------------------------------------------------------------------------------- */
static bool ends_with_kind(const char *rules, const char *kind, bool test)
{
    struct bench b;
    struct run run;
    struct transition t = { .kind = TRANSITION_NEW, .state = RUN_EXECUTING };
    struct rule_subject s;
    bool yes;
    bench_open(&b, rules);
    run_init(&run);
    run.kind = str_c(kind);
    run.state = RUN_EXECUTING;
    run.test = test;
    rule_subject_init(&s, &b.a, &run, &t, start_ms);
    yes = rule_ends(b.rules->rules[0], &s);
    bench_close(&b);
    return yes;
}

static void test_kinds_and_defaults(void **state)
{
    static const char runs[] = "rules:\n  r:\n    when: {status: failed}\n    notify: chat\n    resolve: {match: {status: EXECUTING}}\n";
    static const char deployments[] = "rules:\n  r:\n    when: {kind: deployment, status: failed}\n    notify: chat\n    resolve: {match: {status: EXECUTING}}\n";
    static const char named[] = "rules:\n  r:\n    when: {status: failed}\n    notify: chat\n    resolve: {match: {kind: deployment, status: EXECUTING}}\n";
    static const char defaults[] = "defaults: {when: {test: false, status: failed}}\nrules:\n  r:\n    when: {}\n    notify: chat\n    resolve: {match: {status: EXECUTING}}\n";
    (void)state;
    assert_true(ends_with_kind(runs, "run", false) && !ends_with_kind(runs, "deployment", false));
    assert_true(!ends_with_kind(deployments, "run", false) && ends_with_kind(deployments, "deployment", false));
    assert_true(!ends_with_kind(named, "run", false) && ends_with_kind(named, "deployment", false));
    assert_true(ends_with_kind(defaults, "run", false) && !ends_with_kind(defaults, "run", true)); /* its identity, not its outcome */
}

/* What the sources are asked for. */
static void test_demand(void **state)
{
    struct bench b;
    struct rule_demand d;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: CRASHED, task: pay, tags: t}\n    by: env\n    notify: chat\n    resolve: {match: {status: WAITING, task: repair, queue: q}}\n");
    ruleset_demand(b.rules, &b.a, STR("default"), STR("prod"), &d);
    assert_int_equal(d.hits, 1 << RUN_CRASHED);
    assert_int_equal(d.states, 1 << RUN_CRASHED | 1 << RUN_WAITING);
    assert_true(d.reads & RUN_HAS_QUEUE);
    assert_int_equal(d.tasks.n, 2);
    assert_false(d.tasks.all);
    assert_true(d.tags.all); /* what ends it has none */
    bench_close(&b);
}

static void warned(const char *more, const char *says, uint32_t col)
{
    struct bench b;
    struct arena a = { 0 };
    bench_open(&b, str_printf(&a, "rules:\n  r:\n    when: {status: failed, task: [a, \"b-*\"]}\n    notify: chat\n%s", more).p);
    assert_int_equal(b.d.warnings, says ? 1 : 0);
    if (says) {
        assert_non_null(strstr(b.d.items.v[0].text.p, says));
        assert_int_equal(b.d.items.v[0].col, col);
    }
    bench_close(&b);
    arena_fini(&a);
}

static void test_matches_that_nothing_meets(void **state)
{
    static const char torn[] = "`task` is part of the key, and `when` wants another one";
    (void)state;
    warned("    resolve: {match: {status: success, task: c}}\n", torn, 15);
    warned("    resolve: [24h quiet, {match: {status: success, task: c}}]\n", torn, 27);
    warned("    resolve: {match: {status: success, task: b-1}}\n", NULL, 0);
    warned("    resolve: {match: {status: success, task: \"c-*\"}}\n", NULL, 0); /* who knows */
    warned("    by: env\n    resolve: {match: {status: success, task: c}}\n", NULL, 0);
    warned("    resolve: {match: {status: CRASHED, task: a}}\n", "whatever meets it is a hit", 15);
    warned("    resolve: {match: {status: success}}\n", NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_meets_it),
        cmocka_unit_test(test_later_than_the_last_hit),
        cmocka_unit_test(test_other_runs_and_states),
        cmocka_unit_test(test_a_hit_ends_nothing),
        cmocka_unit_test(test_fuller_reports),
        cmocka_unit_test(test_it_lingers),
        cmocka_unit_test(test_outcomes_in_the_key),
        cmocka_unit_test(test_runs_and_windows),
        cmocka_unit_test(test_beside_others_and_reloaded),
        cmocka_unit_test(test_kinds_and_defaults),
        cmocka_unit_test(test_demand),
        cmocka_unit_test(test_matches_that_nothing_meets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
