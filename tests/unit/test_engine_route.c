/* engine: a switch decides, when an incident opens, whom it tells; from then on it stays with them. */
#include "engine_testing.h"

#define BY_CUSTOMER "rules:\n  r:\n    when: {status: failed}\n    by: metadata.customer\n    notify: {switch: metadata.customer, acme: [chat, pager], \"glob*\": hook, else: ops}\n"

static struct report failed_for(const char *run, const char *customer, int64_t at_ms)
{
    return (struct report){ .run = run, .state = RUN_FAILED, .at_ms = at_ms, .metadata = customer };
}

static void test_each_is_told_its_own(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BY_CUSTOMER "    escalate: {15m: pager}\n");
    b.trim_always = true;
    report(&b, failed_for("run_0", "{\"customer\":\"acme\"}", 0));
    report(&b, failed_for("run_1", "{\"customer\":\"globex\"}", MINUTE));
    report(&b, failed_for("run_2", "{\"customer\":\"initech\"}", 2 * MINUTE));
    report(&b, failed_for("run_3", NULL, 3 * MINUTE));
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_OPEN), 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    assert_int_equal(count_said(&b, "ops", MESSAGE_OPEN), 2);
    report(&b, failed_for("run_4", "{\"customer\":\"acme\"}", 4 * MINUTE)); /* an update, to who can edit */
    until(&b, 5 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 1);
    until(&b, 5 * HOUR);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 4);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_REMINDER), 1);
    report(&b, (struct report){ "run_5", "job", RUN_COMPLETED, .at_ms = 5 * HOUR, .started_ms = 5 * HOUR - 1, .metadata = "{\"customer\":\"globex\"}" });
    until(&b, 6 * HOUR);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    assert_int_equal(count_said(&b, "ops", MESSAGE_RESOLVE), 0);
    bench_close(&b);
}

#define BY_TASK(more) "rules:\n  r:\n    when: {status: failed}\n    by: env\n    wait: 10m\n    notify: {switch: task, " more "}\n"

/* Decided when it opens: not by what is known when it first speaks. */
static void wait_out(struct bench *b, const char *rules_meanwhile, bool restarts)
{
    bench_open(b, BY_TASK("a: chat, b: hook, else: ops"));
    report(b, (struct report){ "run_0", "a", RUN_FAILED, .at_ms = 0 });
    report(b, (struct report){ "run_1", "b", RUN_FAILED, .at_ms = MINUTE });
    if (rules_meanwhile) reload(b, compile(b, rules_meanwhile));
    if (restarts) restart(b, rules_meanwhile ? b->rulesets.v[b->rulesets.n - 1] : b->rules);
    until(b, 11 * MINUTE);
    assert_int_equal(count_said(b, "chat", MESSAGE_OPEN), 1);
    assert_int_equal(b->said.n, 1);
    report(b, (struct report){ "run_2", "a", RUN_COMPLETED, .at_ms = 20 * MINUTE, .started_ms = 19 * MINUTE });
    until(b, HOUR);
    assert_int_equal(count_said(b, "chat", MESSAGE_RESOLVE), 1);
    assert_int_equal(count_said(b, "hook", -1) + count_said(b, "ops", -1), 0);
    bench_close(b);
}

static void test_the_decision_stays(void **state)
{
    static const char *const meanwhile[] = { NULL, BY_TASK("a: hook, b: ops, else: pager"), "rules:\n  r:\n    when: {status: failed}\n    by: env\n    wait: 10m\n    notify: hook\n" };
    struct bench b;
    (void)state;
    for (size_t k = 0; k < sizeof meanwhile / sizeof *meanwhile; k++) {
        wait_out(&b, meanwhile[k], false);
        wait_out(&b, meanwhile[k], true);
    }
}

/* An escalation that is due before the first message tells its own destination, and that one alone. */
static void test_an_escalation_while_it_waits(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BY_TASK("a: chat, else: ops") "    escalate: {5m: pager}\n");
    report(&b, (struct report){ "run_0", "a", RUN_FAILED, .at_ms = 0 });
    until(&b, 11 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    assert_int_equal(b.said.n, 2);
    bench_close(&b);
}

/* What was told stays with whom it was told, whatever the switch says later; the next incident goes by the new one. */
static void test_reloads_move_the_next_one_only(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    linger: 0s\n    notify: {switch: env, prod: chat, else: ops}\n");
    report(&b, FAILED("run_0", 0));
    reload(&b, compile(&b, "rules:\n  r:\n    when: {status: failed}\n    linger: 0s\n    notify: {switch: env, prod: hook, else: ops}\n"));
    report(&b, FAILED("run_1", MINUTE));
    until(&b, 2 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 1);
    report(&b, SUCCEEDED("run_2", 3 * MINUTE, 2 * MINUTE));
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    assert_int_equal(count_said(&b, "hook", -1), 0);
    report(&b, FAILED("run_3", 4 * MINUTE));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    bench_close(&b);
}

/* It opened under a plain `notify`; when it speaks there is a switch, which decides then. */
static void test_a_switch_that_comes_while_it_waits(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    by: env\n    wait: 10m\n    notify: hook\n");
    report(&b, (struct report){ "run_0", "b", RUN_FAILED, .at_ms = 0 });
    reload(&b, compile(&b, BY_TASK("a: chat, b: ops, else: pager")));
    until(&b, 11 * MINUTE);
    assert_int_equal(b.said.n, 1);
    assert_int_equal(count_said(&b, "ops", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_nobody(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    notify: {switch: env, stg: chat}\n    linger: 0s\n");
    report(&b, FAILED("run_0", 0));
    assert_int_equal(state_of(&b, first(&b)), INCIDENT_OPEN); /* recorded and shown */
    assert_int_equal(count_notes(&b, "nobody to tell"), 1);
    restart(&b, b.rules);
    until(&b, 5 * HOUR);
    report(&b, SUCCEEDED("run_1", 6 * HOUR, 5 * HOUR));
    assert_int_equal(state_of(&b, first(&b)), INCIDENT_RESOLVED);
    assert_int_equal(b.said.n, 0);
    bench_close(&b);
}

/* A late hit that is over already goes where it would have gone. */
static void test_what_is_over_already(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    notify: {switch: env, prod: hook, else: chat}\n");
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = HOUR, .event_ms = MINUTE, .since_succeeded = true });
    assert_int_equal(b.said.n, 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* --- channels by template ------------------------------------------------------------------------------------------ */
static const struct rule_destination channel_places[] = {
    { .name = { "cust", 4 }, .type = { "slack", 5 }, .edits = true, .channel_pattern = { "#cust-*", 7 } },
    { .name = { "ops", 3 }, .type = { "console", 7 } },
};

static void test_channels_of_customers(void **state)
{
    static const char rules[] = "rules:\n  r:\n    when: {status: failed}\n    by: metadata.customer\n    notify: {switch: metadata.customer, \"a*\": {to: cust, channel: \"#cust-{{metadata.customer}}\"}, evil: {to: cust, channel: \"#{{metadata.channel}}\"}, else: ops}\n";
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE(""));
    reload(&b, compile_for(&b, rules, channel_places, 2));
    report(&b, failed_for("run_0", "{\"customer\":\"acme\"}", 0));
    assert_true(str_eq_c(last_said(&b, "cust")->params, "{\"channel\":\"#cust-acme\"}"));
    report(&b, failed_for("run_1", "{\"customer\":\"ajax\"}", MINUTE));
    assert_true(str_eq_c(last_said(&b, "cust")->params, "{\"channel\":\"#cust-ajax\"}"));
    report(&b, failed_for("run_2", "{\"customer\":\"acme\"}", 2 * MINUTE)); /* the update goes where the opening went */
    until(&b, 3 * MINUTE);
    assert_true(last_said(&b, "cust")->kind == MESSAGE_UPDATE && str_eq_c(last_said(&b, "cust")->params, "{\"channel\":\"#cust-acme\"}"));
    restart(&b, b.rulesets.v[1]);
    report(&b, (struct report){ "run_3", "job", RUN_COMPLETED, .at_ms = 4 * MINUTE, .started_ms = 3 * MINUTE, .metadata = "{\"customer\":\"acme\"}" });
    until(&b, HOUR);
    assert_true(last_said(&b, "cust")->kind == MESSAGE_RESOLVE && str_eq_c(last_said(&b, "cust")->params, "{\"channel\":\"#cust-acme\"}"));
    assert_int_equal(count_notes(&b, "parameter refused"), 0);
    report(&b, failed_for("run_4", "{\"customer\":\"evil\",\"channel\":\"board\"}", 2 * HOUR)); /* never where user data says */
    assert_int_equal(count_notes(&b, "parameter refused"), 1);
    assert_true(str_eq_c(last_said(&b, "cust")->params, "{}"));
    bench_close(&b);
}

static void test_over_the_bound_of_keys(void **state)
{
    struct bench b;
    struct engine_limits few = engine_default_limits;
    (void)state;
    few.keys_per_rule = 1;
    bench_open_within(&b, BY_CUSTOMER, few);
    report(&b, failed_for("run_0", "{\"customer\":\"acme\"}", 0));
    report(&b, failed_for("run_1", "{\"customer\":\"globex\"}", MINUTE)); /* one of many in "(overflow)" */
    assert_int_equal(count_said(&b, "hook", -1), 0);
    assert_int_equal(count_said(&b, "ops", MESSAGE_OPEN), 1);
    bench_close(&b);
}

/* Acknowledged before it had enough runs, and asleep no more: the decision was made then. */
static void test_pending_ones(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    by: env\n    at_least: 2\n    notify: {switch: task, a: chat, b: hook, else: ops}\n");
    report(&b, (struct report){ "run_0", "a", RUN_FAILED, .at_ms = 0 });
    assert_int_equal(count_notes(&b, "opened"), 0);
    report(&b, (struct report){ "run_1", "b", RUN_FAILED, .at_ms = MINUTE }); /* opens it */
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    assert_int_equal(b.said.n, 1);
    bench_close(&b);
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    by: env\n    at_least: 2\n    notify: {switch: task, a: hook, b: chat, else: ops}\n");
    report(&b, (struct report){ "run_0", "a", RUN_FAILED, .at_ms = 0 });
    assert_int_equal(command(&b, ENGINE_SNOOZE, first(&b), HOUR), 0);
    restart(&b, b.rules);
    until(&b, 2 * HOUR);
    report(&b, (struct report){ "run_1", "b", RUN_FAILED, .at_ms = 2 * HOUR });
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    assert_int_equal(b.said.n, 1);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_told_its_own),
        cmocka_unit_test(test_the_decision_stays),
        cmocka_unit_test(test_an_escalation_while_it_waits),
        cmocka_unit_test(test_reloads_move_the_next_one_only),
        cmocka_unit_test(test_a_switch_that_comes_while_it_waits),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_what_is_over_already),
        cmocka_unit_test(test_channels_of_customers),
        cmocka_unit_test(test_over_the_bound_of_keys),
        cmocka_unit_test(test_pending_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
