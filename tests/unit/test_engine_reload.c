/* engine: changed settings, vanished places, restarts, templates that fail. */
#include "engine_testing.h"

/* --- reload ---------------------------------------------------------------------------------------------------------------------------------- */
static void test_other_settings_apply_at_once(void **state)
{
    struct bench b;
    struct ruleset *next[3];
    (void)state;
    bench_open(&b, SIMPLE("    resolve: 2h quiet\n    linger: 0s\n    repeat: 30m\n    wait: 1h\n"));
    next[0] = compile(&b, SIMPLE("    resolve: 2h quiet\n    linger: 0s\n    repeat: never\n    wait: 10m\n"));
    next[1] = compile(&b, SIMPLE("    resolve: manual\n    repeat: never\n"));
    next[2] = compile(&b, SIMPLE("    resolve: 5h quiet\n    linger: 0s\n    repeat: 1h\n"));
    report(&b, FAILED("run_0", 0));
    until(&b, 5 * MINUTE);
    reload(&b, next[0]);
    until(&b, 11 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1); /* not after an hour */
    until(&b, HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 0);
    reload(&b, next[1]);
    until(&b, 4 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0); /* by hand only, now */
    reload(&b, next[2]);
    until(&b, 5 * HOUR - 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    until(&b, 5 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

static void test_settings_changed_while_away_apply_too(void **state)
{
    struct bench b;
    struct ruleset *next;
    (void)state;
    bench_open(&b, SIMPLE("    resolve: 2h quiet\n    repeat: 30m\n"));
    next = compile(&b, SIMPLE("    resolve: manual\n    repeat: never\n"));
    report(&b, FAILED("run_0", 0));
    restart(&b, next);
    until(&b, 5 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 0);
    bench_close(&b);
}

static void test_places_that_vanish_or_lose_edits(void **state)
{
    static const struct rule_destination poorer[] = {
        { .name = { "chat", 4 }, .type = { "webhook", 7 } }, /* edits no more */
        { .name = { "ops", 3 }, .type = { "console", 7 } },
    };
    static const char *const two = "rules:\n  r:\n    when: {status: failed}\n    notify: [chat, hook]\n    update: 1m\n    repeat: 1h\n    linger: 0s\n    escalate: {2h: pager}\n",
                            *const one = "rules:\n  r:\n    when: {status: failed}\n    notify: chat\n    update: 1m\n    repeat: 1h\n    linger: 0s\n";
    struct bench b;
    struct ruleset *next;
    (void)state;
    bench_open(&b, two);
    next = compile_for(&b, one, poorer, 2);
    report(&b, FAILED("run_0", 0));
    report(&b, FAILED("run_1", 1000)); /* an update is due */
    reload(&b, next);
    report(&b, FAILED("run_2", 30 * MINUTE));
    until(&b, 90 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 0);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_REMINDER), 0); /* there is no such place any more */
    until(&b, 2 * HOUR + 1000);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1); /* frozen when it opened: goes dead with its reason */
    report(&b, SUCCEEDED("run_3", 3 * HOUR, 2 * HOUR));
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 0);
    reload(&b, b.rules); /* all are back */
    report(&b, FAILED("run_4", 4 * HOUR));
    report(&b, FAILED("run_5", 4 * HOUR + 1));
    until(&b, 4 * HOUR + 2 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 2);
    bench_close(&b);
}

/* After a reload the rules before are gone, with all their texts. */
static void test_nothing_of_the_old_rules_is_needed(void **state)
{
    static const char *const texts[] = {
        "rules:\n  r:\n    when: {status: failed, task: {re: \"j.b\"}}\n    notify: [chat, pager]\n    escalate: {10m: hook}\n    labels: {team: \"{{task}}\"}\n"
        "    message: {title: \"{{task}} failed\", fields: {A: \"{{run}}\"}}\n    runbook: \"https://x/y\"\n    limit: 2 per 1h\n    update: 1s\n"
        "  gone:\n    when: {status: failed}\n    by: []\n    count: 2 in 1h\n    notify: chat\n",
        "rules:\n  r:\n    when: {status: failed, task: {re: \"j.b\"}}\n    notify: chat\n    limit: 2 per 1h\n    update: 1s\n    linger: 0s\n",
    };
    struct bench b;
    struct arena arenas[2] = { 0 };
    struct ruleset *rules[2];
    (void)state;
    bench_open(&b, SIMPLE(""));
    for (int k = 0; k < 10; k++) {
        struct ruleset *next = compile_in(&b, &arenas[k % 2], texts[k % 2], bench_places, BENCH_PLACES);
        reload(&b, next);
        if (k > 0) {
            ruleset_fini(rules[(k + 1) % 2]);
            arena_fini(&arenas[(k + 1) % 2]);
        }
        rules[k % 2] = next;
        for (int n = 0; n < 4; n++) report(&b, FAILED(str_printf(&b.a, "run_%d_%d", k, n).p, k * 3 * HOUR + n * 20 * MINUTE));
        report(&b, (struct report){ "run_x", "job", RUN_FAILED, .at_ms = k * 3 * HOUR + 70 * MINUTE, .env = k % 3 ? "stg" : "prod" });
        report(&b, SUCCEEDED(str_printf(&b.a, "run_s%d", k).p, k * 3 * HOUR + 80 * MINUTE, k * 3 * HOUR + 75 * MINUTE));
        until(&b, k * 3 * HOUR + 100 * MINUTE);
    }
    reload(&b, b.rules);
    ruleset_fini(rules[1]);
    arena_fini(&arenas[1]);
    until(&b, 100 * HOUR);
    assert_true(b.said.n > 20);
    bench_close(&b);
}

/* --- restarts ----------------------------------------------------------------------------------------------------------------------------------- */
/* What was due first is done first: nobody is left untold because its end is overdue as well. */
static void test_overdue_timers_fire_in_their_order(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    wait: 5m\n    escalate: {15m: pager}\n    resolve: 24h quiet\n    linger: 0s\n"));
    report(&b, FAILED("run_0", 0));
    b.now_ms += 48 * HOUR;
    restart(&b, b.rules);
    tick(&b);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_RESOLVE), 1);
    assert_int_equal(b.said.v[0].kind, MESSAGE_OPEN);
    assert_true(str_starts(said_field(&b, &b.said.v[0], "note"), STR("sent 1d 23h later than due")));
    assert_true(engine_next_due(b.e) > b.now_ms);
    bench_close(&b);
}

static void test_each_overdue_message_says_how_late_it_is(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    escalate: {15m: pager}\n    repeat: 1h\n    resolve: manual\n"));
    report(&b, FAILED("run_0", 0));
    b.now_ms += 5 * HOUR;
    restart(&b, b.rules);
    tick(&b);
    assert_true(str_starts(said_field(&b, last_said(&b, "pager"), "note"), STR("sent 4h 45m later")));
    assert_true(str_starts(said_field(&b, last_said(&b, "chat"), "note"), STR("sent 4h later")));
    until(&b, 6 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 2);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "note"), ""));
    bench_close(&b);
}

/* --- templates, ids, storms ------------------------------------------------------------------------------------------------------------------------ */
static void test_a_template_that_fails_at_run_time(void **state)
{
    struct bench b;
    struct strbuf text;
    (void)state;
    bench_open(&b, SIMPLE("    message:\n      title: \"{{#metadata.list}}{{#metadata.list}}{{#metadata.list}}{{.}}{{/metadata.list}}{{/metadata.list}}{{/metadata.list}}\"\n"
                          "      fields: {Cost: \"{{task}}\"}\n"));
    strbuf_init(&text, 1 << 20);
    strbuf_c(&text, "{\"list\":[");
    for (int k = 0; k < 1000; k++) strbuf_printf(&text, "%s\"element %d\"", k ? "," : "", k);
    strbuf_c(&text, "]}"); /* a thousand to the third */
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 0, .metadata = text.p });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1); /* never eats an alert */
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "title"), "job failed in prod"));
    assert_true(str_starts(said_field(&b, last_said(&b, "chat"), "note"), STR("a template of rule r failed (")));
    assert_int_equal(engine_stats(b.e).template_failures, 1); /* counted once for the one message */
    strbuf_fini(&text);
    bench_close(&b);
}

static void test_names_with_slashes_keep_their_own_windows(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    count: 2 in 10m\n    by: metadata.key\n"));
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 0, .env = "a/b", .metadata = "{\"key\":\"c\"}" });
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 1, .env = "a", .metadata = "{\"key\":\"b/c\"}" });
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 2, .env = "a", .metadata = "{\"key\":\"n\\u0000x\"}" });
    report(&b, (struct report){ "run_3", "job", RUN_FAILED, .at_ms = 3, .env = "a", .metadata = "{\"key\":\"n\\u0000y\"}" });
    assert_int_equal(engine_stats(b.e).windows, 4);
    restart(&b, b.rules);
    assert_int_equal(engine_stats(b.e).windows, 4);
    assert_int_equal(b.said.n, 0);
    report(&b, (struct report){ "run_4", "job", RUN_FAILED, .at_ms = 4, .env = "a", .metadata = "{\"key\":\"n\\u0000x\"}" });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_settings_apply_at_once),
        cmocka_unit_test(test_settings_changed_while_away_apply_too),
        cmocka_unit_test(test_places_that_vanish_or_lose_edits),
        cmocka_unit_test(test_nothing_of_the_old_rules_is_needed),
        cmocka_unit_test(test_overdue_timers_fire_in_their_order),
        cmocka_unit_test(test_each_overdue_message_says_how_late_it_is),
        cmocka_unit_test(test_a_template_that_fails_at_run_time),
        cmocka_unit_test(test_names_with_slashes_keep_their_own_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
