/* engine: waiting, lingering, acknowledging, limits and digests: corners that were wrong once or easily could be. */
#include "engine_testing.h"

/* --- linger ------------------------------------------------------------------------------------------------------------- */
static void test_reminders_after_a_relapse(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    linger: 10m\n    repeat: 1h\n"));
    report(&b, FAILED("run_0", 0));
    report(&b, SUCCEEDED("run_1", 58 * MINUTE, 57 * MINUTE)); /* would linger until 1:08 */
    until(&b, 63 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 0); /* due at 1:00, but nothing is said while it lingers */
    report(&b, FAILED("run_2", 64 * MINUTE));
    until(&b, 65 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1); /* still open after all */
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "note"), "")); /* and not because runbell was away */
    until(&b, 2 * HOUR + 5 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 2);
    bench_close(&b);
}

static void test_a_wait_that_ends_while_lingering(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    wait: 10m\n    linger: 5m\n"));
    report(&b, FAILED("run_0", 0));
    report(&b, SUCCEEDED("run_1", 8 * MINUTE, 7 * MINUTE));
    until(&b, HOUR);
    assert_int_equal(b.said.n, 0); /* the criterion held inside wait: silent */
    report(&b, FAILED("run_2", 2 * HOUR));
    report(&b, SUCCEEDED("run_3", 2 * HOUR + 8 * MINUTE, 2 * HOUR + 7 * MINUTE));
    report(&b, FAILED("run_4", 2 * HOUR + 12 * MINUTE)); /* a relapse after wait: now it is told */
    until(&b, 3 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "note"), ""));
    bench_close(&b);
}

static void test_only_a_condition_that_holds_again_is_a_relapse_of_clears(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    count: 3 in 10m\n    resolve: clears\n    linger: 20m\n"));
    for (int k = 0; k < 3; k++) report(&b, FAILED(k == 0 ? "run_0" : k == 1 ? "run_1" : "run_2", k));
    until(&b, 12 * MINUTE); /* clear since 0:10, lingers until 0:30 */
    report(&b, FAILED("run_3", 15 * MINUTE)); /* one alone is no condition */
    until(&b, 29 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    until(&b, 31 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    for (int k = 0; k < 3; k++) report(&b, FAILED(k == 0 ? "run_4" : k == 1 ? "run_5" : "run_6", HOUR + k));
    until(&b, HOUR + 12 * MINUTE);
    for (int k = 0; k < 3; k++) report(&b, FAILED(k == 0 ? "run_7" : k == 1 ? "run_8" : "run_9", HOUR + 15 * MINUTE + k));
    until(&b, HOUR + 35 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1); /* it came back: clear from 1:25, until 1:45 */
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 2);
    until(&b, HOUR + 46 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 2);
    bench_close(&b);
}

static void test_a_snooze_that_ends_while_lingering(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    linger: 30m\n    escalate: {1h: pager}\n    repeat: never\n"));
    report(&b, FAILED("run_0", 0));
    until(&b, 10 * MINUTE);
    command(&b, ENGINE_SNOOZE, first(&b), 20 * MINUTE); /* until 0:30 */
    report(&b, SUCCEEDED("run_1", 20 * MINUTE, 15 * MINUTE)); /* lingers until 0:50 */
    report(&b, FAILED("run_2", 45 * MINUTE)); /* 35 minutes stood still */
    until(&b, HOUR + 34 * MINUTE);
    assert_int_equal(count_said(&b, "pager", -1), 0);
    until(&b, HOUR + 35 * MINUTE);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    bench_close(&b);
}

static void test_updates_while_lingering(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    update: 1m\n    linger: 5m\n"));
    report(&b, FAILED("run_0", 0));
    report(&b, FAILED("run_1", 1000)); /* an update is due at 1:00 */
    report(&b, SUCCEEDED("run_2", 30000, 20000));
    until(&b, 4 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 0);
    report(&b, FAILED("run_3", 4 * MINUTE));
    until(&b, 10 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "runs"), "3"));
    bench_close(&b);
}

/* --- at_least, wait ------------------------------------------------------------------------------------------------------ */
static void test_at_least_and_wait_and_a_success(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    at_least: 2\n    wait: 5m\n    linger: 0s\n"));
    report(&b, FAILED("run_0", 0));
    report(&b, SUCCEEDED("run_1", MINUTE, 30000)); /* over before it opened */
    assert_int_equal(state_of(&b, first(&b)), INCIDENT_RESOLVED);
    report(&b, FAILED("run_2", 2 * MINUTE)); /* counts anew */
    until(&b, 20 * MINUTE);
    assert_int_equal(b.said.n, 0);
    assert_int_equal(engine_stats(b.e).incidents_pending, 1);
    report(&b, FAILED("run_3", 30 * MINUTE)); /* opens, and waits from here */
    assert_int_equal(engine_stats(b.e).incidents_open, 1);
    until(&b, 35 * MINUTE - 1);
    assert_int_equal(b.said.n, 0);
    until(&b, 35 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "runs"), "2"));
    bench_close(&b);
    bench_open(&b, SIMPLE("    at_least: 2\n    wait: 5m\n    linger: 0s\n"));
    report(&b, FAILED("run_0", 0));
    report(&b, FAILED("run_1", MINUTE));
    report(&b, SUCCEEDED("run_2", 3 * MINUTE, 2 * MINUTE)); /* inside wait */
    until(&b, HOUR);
    assert_int_equal(b.said.n, 0);
    bench_close(&b);
}

/* --- acknowledging ---------------------------------------------------------------------------------------------------------- */
static void test_ack_of_a_pending_incident(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    at_least: 5\n    linger: 0s\n    escalate: {10m: pager}\n"));
    report(&b, FAILED("run_0", 0));
    assert_int_equal(command(&b, ENGINE_ACK, first(&b), 0), 0);
    assert_int_equal(state_of(&b, first(&b)), INCIDENT_ACKNOWLEDGED);
    report(&b, FAILED("run_1", MINUTE));
    until(&b, HOUR);
    assert_int_equal(b.said.n, 0); /* who acknowledges before it rings knows already */
    assert_int_equal(engine_stats(b.e).incidents_pending, 0);
    assert_int_equal(engine_stats(b.e).incidents_acknowledged, 1);
    report(&b, SUCCEEDED("run_2", 2 * HOUR, HOUR));
    assert_int_equal(b.said.n, 0);
    assert_int_equal(engine_stats(b.e).incidents_acknowledged, 0);
    bench_close(&b);
}

static void test_a_snooze_of_a_pending_incident(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    at_least: 3\n    escalate: {10m: pager}\n"));
    report(&b, FAILED("run_0", 0));
    command(&b, ENGINE_SNOOZE, first(&b), HOUR);
    until(&b, 2 * HOUR);
    assert_int_equal(b.said.n, 0); /* one run is still not three */
    assert_int_equal(engine_stats(b.e).incidents_pending, 1);
    assert_int_equal(engine_stats(b.e).incidents_acknowledged, 0);
    report(&b, FAILED("run_1", 3 * HOUR));
    report(&b, FAILED("run_2", 3 * HOUR));
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    until(&b, 3 * HOUR + 10 * MINUTE);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    bench_close(&b);
    bench_open(&b, SIMPLE("    at_least: 2\n"));
    report(&b, FAILED("run_0", 0));
    command(&b, ENGINE_SNOOZE, first(&b), HOUR);
    report(&b, FAILED("run_1", MINUTE)); /* enough now, but asleep */
    until(&b, HOUR - 1);
    assert_int_equal(b.said.n, 0);
    until(&b, HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_a_snooze_before_the_first_message(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    wait: 10m\n    escalate: {30m: pager}\n"));
    report(&b, FAILED("run_0", 0));
    command(&b, ENGINE_SNOOZE, first(&b), HOUR);
    until(&b, 59 * MINUTE);
    assert_int_equal(b.said.n, 0);
    until(&b, HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1); /* nobody was told yet, and it is open */
    until(&b, HOUR + 31 * MINUTE);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    bench_close(&b);
}

static void test_reminders_after_a_lapse(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    repeat: 30m then 2h\n    resolve: manual\n"));
    report(&b, FAILED("run_0", 0));
    until(&b, 31 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    command(&b, ENGINE_SNOOZE, first(&b), 4 * HOUR); /* until 4:31 */
    until(&b, 6 * HOUR + 30 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    until(&b, 6 * HOUR + 31 * MINUTE); /* the row of waits goes on: two hours after the lapse */
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 2);
    command(&b, ENGINE_SNOOZE, first(&b), HOUR);
    command(&b, ENGINE_ACK, first(&b), 0); /* for good now */
    until(&b, 48 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 2);
    assert_int_equal(state_of(&b, first(&b)), INCIDENT_ACKNOWLEDGED);
    bench_close(&b);
}

/* --- digests ------------------------------------------------------------------------------------------------------------------- */
#define LIMITED(more) "rules:\n  r:\n    when: {status: failed}\n    by: run\n    notify: [chat, pager]\n    limit: 1 per 10m\n" more

static void test_resolving_what_is_in_a_digest(void **state)
{
    struct bench b;
    uint64_t ids[4];
    (void)state;
    bench_open(&b, LIMITED(""));
    report(&b, FAILED("run_0", 0));
    report(&b, FAILED("run_1", 1));
    report(&b, FAILED("run_2", 2));
    until(&b, MINUTE);
    assert_int_equal(engine_incidents(b.e, STR("r"), ids, 4), 3);
    assert_int_equal(count_said(&b, "pager", MESSAGE_OPEN), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_DIGEST), 1);
    assert_int_equal(command(&b, ENGINE_RESOLVE, ids[1], 0), 0);
    until(&b, 15 * MINUTE);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "pager"), "title"), "2 more incidents, 1 still open"));
    assert_int_equal(count_said(&b, "pager", MESSAGE_RESOLVE), 0);
    assert_int_equal(command(&b, ENGINE_RESOLVE, ids[2], 0), 0);
    until(&b, 40 * MINUTE);
    assert_int_equal(count_said(&b, "pager", MESSAGE_RESOLVE), 1); /* the digest's, under its own key */
    assert_true(str_starts(said_field(&b, last_said(&b, "pager"), "dedup"), STR("runbell-dig_")));
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    assert_int_equal(engine_stats(b.e).incidents_open, 1);
    bench_close(&b);
}

/* Opening and end in one batch: a pager that hears of the digest must hear of its end, too. */
static void test_a_digest_that_ends_before_it_is_told(void **state)
{
    struct bench b;
    size_t said;
    (void)state;
    bench_open(&b, LIMITED("    linger: 0s\n"));
    report(&b, FAILED("run_0", MINUTE));
    b.now_ms = start_ms + MINUTE;
    for (int k = 1; k <= 2; k++) { /* no tick in between */
        report(&b, FAILED(k == 1 ? "run_1" : "run_2", MINUTE));
        command(&b, ENGINE_RESOLVE, b.rows.v[b.rows.n - 1].id, 0);
    }
    until(&b, HOUR);
    for (size_t d = 0; d < 2; d++) {
        const char *to = d ? "pager" : "chat";
        said = count_said(&b, to, MESSAGE_DIGEST);
        assert_int_equal(said > 0 ? count_said(&b, to, MESSAGE_RESOLVE) : 0, said);
        assert_true(said > 0); /* nothing is dropped */
        assert_true(str_eq_c(said_field(&b, last_said(&b, to), "resolved"), "true"));
    }
    bench_close(&b);
}

/* Told itself, then over the limit at the same place: both keep being right. */
static void test_told_and_in_a_digest_at_once(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    notify: chat\n    escalate: {5m: chat}\n    limit: 2 per 1h\n    update: 1s\n    linger: 0s\n    repeat: 40m\n");
    report(&b, (struct report){ "run_0", "a", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_1", "b", RUN_FAILED, .at_ms = 1000 });
    until(&b, 6 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 2);
    assert_int_equal(count_said(&b, "chat", MESSAGE_ESCALATION), 0); /* over the limit */
    assert_int_equal(count_said(&b, "chat", MESSAGE_DIGEST), 1);
    report(&b, (struct report){ "run_2", "a", RUN_FAILED, .at_ms = 7 * MINUTE });
    until(&b, 8 * MINUTE);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "key"), "task=a")); /* its own message is kept up */
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "runs"), "2"));
    until(&b, 45 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 2);
    report(&b, (struct report){ "run_3", "a", RUN_COMPLETED, .at_ms = 50 * MINUTE, .started_ms = 49 * MINUTE });
    report(&b, (struct report){ "run_4", "b", RUN_COMPLETED, .at_ms = 51 * MINUTE, .started_ms = 50 * MINUTE });
    until(&b, 3 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 3); /* two of their own and the digest's */
    bench_close(&b);
}

/* What goes to one customer's channel is told in no other's, and over the limit, too: a digest for each. */
static void test_a_digest_goes_where_its_incidents_go(void **state)
{
    static const struct rule_destination cust = { .name = { "cust", 4 }, .type = { "slack", 5 }, .edits = true, .channel_pattern = { "#c-*", 4 } };
    const char *rules = "rules:\n  r:\n    when: {status: failed}\n    by: run\n    notify: {to: cust, channel: \"#c-{{task}}\"}\n    limit: 1 per 10m\n";
    struct bench b;
    size_t acme = 0, globex = 0;
    (void)state;
    bench_open(&b, SIMPLE(""));
    reload(&b, compile_for(&b, rules, &cust, 1));
    report(&b, (struct report){ "run_0", "acme", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_1", "acme", RUN_FAILED, .at_ms = 1 });
    report(&b, (struct report){ "run_2", "globex", RUN_FAILED, .at_ms = 2 });
    restart(&b, compile_for(&b, rules, &cust, 1));
    report(&b, (struct report){ "run_3", "acme", RUN_FAILED, .at_ms = 3 });
    until(&b, MINUTE);
    for (size_t k = 0; k < b.said.n; k++) {
        struct str body = said_field(&b, &b.said.v[k], "body");
        if (b.said.v[k].kind == MESSAGE_OPEN) continue;
        if (str_eq_c(b.said.v[k].params, "{\"channel\":\"#c-acme\"}")) acme++;
        if (str_eq_c(b.said.v[k].params, "{\"channel\":\"#c-globex\"}")) globex++;
        assert_true(str_find_str(body, str_eq_c(b.said.v[k].params, "{\"channel\":\"#c-acme\"}") ? STR("globex") : STR("acme")) == body.n);
    }
    assert_int_equal(acme, 2); /* told, and edited when one more came */
    assert_int_equal(globex, 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "cust"), "title"), "2 more incidents, 2 still open"));
    bench_close(&b);
}

static void test_an_escalation_where_it_was_told(void **state)
{
    struct bench b;
    struct str lane;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    notify: [chat, pager]\n    escalate: {5m: chat, 10m: pager}\n    linger: 0s\n");
    report(&b, FAILED("run_0", 0));
    lane = last_said(&b, "chat")->lane;
    until(&b, 11 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_ESCALATION), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    assert_true(str_eq(last_said(&b, "chat")->lane, lane)); /* in order behind the opening */
    report(&b, SUCCEEDED("run_1", 12 * MINUTE, 11 * MINUTE));
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1); /* told once is resolved once */
    assert_int_equal(count_said(&b, "pager", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

static void test_whose_limit_counts(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "defaults: {limit: 2 per 10m, by: run}\nrules:\n"
                   "  a: {when: {status: FAILED}, notify: chat}\n  b: {when: {status: CRASHED}, notify: chat}\n"
                   "  own: {when: {status: EXPIRED}, notify: chat, limit: 3 per 10m}\n");
    report(&b, (struct report){ "run_0", "t", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_1", "t", RUN_CRASHED, .at_ms = 1 });
    report(&b, (struct report){ "run_2", "t", RUN_FAILED, .at_ms = 2 }); /* the third of the common two */
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 2);
    for (int k = 0; k < 4; k++) report(&b, (struct report){ str_printf(&b.a, "run_x%d", k).p, "t", RUN_EXPIRED, .at_ms = 3 + k });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 5);
    report(&b, (struct report){ "run_3", "t", RUN_FAILED, .at_ms = 10, .env = "stg" }); /* another environment */
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 6);
    report(&b, (struct report){ "run_4", "t", RUN_FAILED, .at_ms = 10 * MINUTE }); /* the first has left the window */
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 7);
    report(&b, (struct report){ "run_5", "t", RUN_FAILED, .at_ms = 10 * MINUTE });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 7);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reminders_after_a_relapse),
        cmocka_unit_test(test_a_wait_that_ends_while_lingering),
        cmocka_unit_test(test_only_a_condition_that_holds_again_is_a_relapse_of_clears),
        cmocka_unit_test(test_a_snooze_that_ends_while_lingering),
        cmocka_unit_test(test_updates_while_lingering),
        cmocka_unit_test(test_at_least_and_wait_and_a_success),
        cmocka_unit_test(test_ack_of_a_pending_incident),
        cmocka_unit_test(test_a_snooze_of_a_pending_incident),
        cmocka_unit_test(test_a_snooze_before_the_first_message),
        cmocka_unit_test(test_reminders_after_a_lapse),
        cmocka_unit_test(test_resolving_what_is_in_a_digest),
        cmocka_unit_test(test_a_digest_that_ends_before_it_is_told),
        cmocka_unit_test(test_told_and_in_a_digest_at_once),
        cmocka_unit_test(test_a_digest_goes_where_its_incidents_go),
        cmocka_unit_test(test_an_escalation_where_it_was_told),
        cmocka_unit_test(test_whose_limit_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
