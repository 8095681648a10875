/* engine: the language's semantics, storms, restarts, the same inputs twice. */
#include "engine_testing.h"

/* --- opening, joining, updates ------------------------------------------------------------------------------------- */
static void test_hits_join_one_incident(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE(""));
    for (int k = 0; k < 100; k++) report(&b, (struct report){ str_printf(&b.a, "run_%d", k).p, "job", RUN_FAILED, .at_ms = k * 10 });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    until(&b, 10 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 1); /* coalesced: 100 hits within one `update` */
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "runs"), "100"));
    bench_close(&b);
}

static void test_environments_share_nothing(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    count: 2 in 10m\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0, .env = "prod" });
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 0, .env = "stg" });
    assert_int_equal(b.said.n, 0);
    report(&b, (struct report){ "run_3", "job", RUN_FAILED, .at_ms = 0, .env = "prod" });
    assert_int_equal(b.said.n, 1);
    bench_close(&b);
}

static void test_wait_batches_and_stays_silent(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    wait: 1m\n    linger: 0s\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_2", "job", RUN_COMPLETED, .at_ms = 30000, .started_ms = 20000 });
    until(&b, 5 * MINUTE);
    assert_int_equal(b.said.n, 0); /* opened and resolved inside wait: silent */
    assert_int_equal(state_of(&b, b.rows.v[0].id), INCIDENT_RESOLVED);
    report(&b, (struct report){ "run_3", "job", RUN_FAILED, .at_ms = 6 * MINUTE });
    until(&b, 6 * MINUTE + 59999);
    assert_int_equal(b.said.n, 0);
    until(&b, 7 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_at_least_counts_runs(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    at_least: 3\n"));
    for (int k = 0; k < 5; k++) report(&b, (struct report){ "run_same", "job", RUN_FAILED, .at_ms = k });
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 10 });
    assert_int_equal(b.said.n, 0);
    report(&b, (struct report){ "run_3", "job", RUN_FAILED, .at_ms = 11 });
    assert_int_equal(b.said.n, 1);
    bench_close(&b);
}

/* --- count ---------------------------------------------------------------------------------------------------------- */
static void test_count_window_is_exact(void **state)
{
    static const struct { int64_t at[3]; size_t said; } cases[] = {
        { { 0, 5 * MINUTE, 10 * MINUTE - 1 }, 1 },
        { { 0, 5 * MINUTE, 10 * MINUTE }, 0 }, /* the first one has just left */
        { { 0, 1, 2 }, 1 },
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct bench b;
        bench_open(&b, SIMPLE("    count: 3 in 10m\n"));
        for (int k = 0; k < 3; k++) report(&b, (struct report){ str_printf(&b.a, "run_%d", k).p, "job", RUN_FAILED, .at_ms = cases[c].at[k] });
        assert_int_equal(b.said.n, cases[c].said);
        bench_close(&b);
    }
}

static void test_late_events_are_placed_where_they_belong(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    count: 3 in 10m\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 30 * MINUTE });
    report(&b, (struct report){ "run_3", "job", RUN_FAILED, .at_ms = 31 * MINUTE, .event_ms = 4 * MINUTE });
    assert_int_equal(b.said.n, 0);
    report(&b, (struct report){ "run_4", "job", RUN_FAILED, .at_ms = 32 * MINUTE, .event_ms = 9 * MINUTE });
    assert_int_equal(b.said.n, 1); /* 0, 4 and 9 minutes are three within ten */
    bench_close(&b);
}

static void test_count_of_runs(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    count: 2 runs in 10m\n"));
    for (int k = 0; k < 9; k++) report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = k * 1000 });
    assert_int_equal(b.said.n, 0);
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 10000 });
    assert_int_equal(b.said.n, 1);
    bench_close(&b);
}

static void test_clears_when_the_window_empties(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    count: 2 in 10m\n    resolve: clears\n    linger: 0s\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 4 * MINUTE });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    until(&b, 10 * MINUTE - 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    until(&b, 10 * MINUTE + 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* --- resolving ------------------------------------------------------------------------------------------------------- */
static void test_success_must_start_after_the_last_hit(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    linger: 0s\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 10 * MINUTE });
    report(&b, (struct report){ "run_2", "job", RUN_COMPLETED, .at_ms = 11 * MINUTE, .started_ms = 9 * MINUTE });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    report(&b, (struct report){ "run_3", "other", RUN_COMPLETED, .at_ms = 12 * MINUTE, .started_ms = 11 * MINUTE });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    report(&b, (struct report){ "run_4", "job", RUN_COMPLETED, .at_ms = 13 * MINUTE, .started_ms = 11 * MINUTE });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

static void test_n_successes_are_consecutive(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    resolve: 3 successes\n    linger: 0s\n"));
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_1", "job", RUN_COMPLETED, .at_ms = 1000, .started_ms = 500 });
    report(&b, (struct report){ "run_2", "job", RUN_COMPLETED, .at_ms = 2000, .started_ms = 1500 });
    report(&b, (struct report){ "run_3", "job", RUN_FAILED, .at_ms = 3000 });
    report(&b, (struct report){ "run_4", "job", RUN_COMPLETED, .at_ms = 4000, .started_ms = 3500 });
    report(&b, (struct report){ "run_5", "job", RUN_COMPLETED, .at_ms = 5000, .started_ms = 4500 });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    report(&b, (struct report){ "run_6", "job", RUN_CANCELED, .at_ms = 5500 }); /* does not break the row */
    report(&b, (struct report){ "run_7", "job", RUN_COMPLETED, .at_ms = 6000, .started_ms = 5500 });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

static void test_linger_and_relapse(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    linger: 5m\n    escalate: {8m: pager}\n"));
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_1", "job", RUN_COMPLETED, .at_ms = 2 * MINUTE, .started_ms = MINUTE });
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 4 * MINUTE }); /* relapse: no message */
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    until(&b, 9 * MINUTE);
    assert_int_equal(count_said(&b, "pager", -1), 0); /* two minutes stood still */
    until(&b, 10 * MINUTE);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    report(&b, (struct report){ "run_3", "job", RUN_COMPLETED, .at_ms = 11 * MINUTE, .started_ms = 10 * MINUTE });
    until(&b, 16 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_RESOLVE), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "pager"), "reason"), "a run succeeded"));
    bench_close(&b);
}

static void test_quiet_counts_from_arrival(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    resolve: 24h quiet\n    linger: 0s\n"));
    /* a month old by its own time: it rings, is marked late, and is not quiet at once */
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 1000, .event_ms = -30LL * 24 * HOUR });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "late"), "true"));
    until(&b, 24 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    until(&b, 24 * HOUR + 1000);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

#define RETRIES "rules:\n  r:\n    when: {status: REATTEMPTING}\n    count: 3 in 10m\n    by: run\n    notify: chat\n    escalate: {15m: pager}\n"

static void retries(struct bench *b)
{
    for (int k = 0; k < 3; k++) report(b, (struct report){ "run_r1", "job", RUN_REATTEMPTING, .at_ms = k * MINUTE, .attempt = k + 2 });
}

static void test_run_keyed_incident_follows_its_run(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, RETRIES);
    retries(&b);
    report(&b, (struct report){ "run_x", "job", RUN_COMPLETED, .at_ms = 3 * MINUTE, .started_ms = 3 * MINUTE }); /* another run: nothing */
    report(&b, (struct report){ "run_r1", "job", RUN_FAILED, .at_ms = 4 * MINUTE });
    until(&b, 5 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "reason"), "the run ended as FAILED"));
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "title"), "job failed after being retried (3 times, limit 3 in 10m) in prod"));
    until(&b, 20 * MINUTE);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1); /* due escalations stay due */
    until(&b, 20 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 0); /* reminders end */
    until(&b, 26 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

static void test_cancel_resolves_a_run_keyed_incident(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, RETRIES);
    retries(&b);
    report(&b, (struct report){ "run_r1", "job", RUN_CANCELED, .at_ms = 4 * MINUTE });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    until(&b, HOUR);
    assert_int_equal(count_said(&b, "pager", -1), 0);
    bench_close(&b);
}

static void test_success_of_the_task_closes_all_errors(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    by: [task, error.fingerprint]\n    linger: 0s\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0, .error = "one thing" });
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 1, .error = "another thing" });
    report(&b, (struct report){ "run_3", "else", RUN_FAILED, .at_ms = 2, .error = "one thing" });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 3);
    report(&b, (struct report){ "run_4", "job", RUN_COMPLETED, .at_ms = 1000, .started_ms = 500 });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 2);
    bench_close(&b);
}

/* --- acknowledging, reminders ----------------------------------------------------------------------------------------- */
static void test_ack_stops_reminders_and_escalation(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    repeat: 10m then 1h\n    escalate: {5m: pager, 30m: pager}\n    resolve: manual\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    until(&b, 12 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    assert_int_equal(command(&b, ENGINE_ACK, b.rows.v[0].id, 0), 0);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ACK), 1);
    until(&b, 10 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    assert_int_equal(command(&b, ENGINE_RESOLVE, b.rows.v[0].id, 0), 0);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "pager"), "reason"), "resolved by ann"));
    assert_int_equal(command(&b, ENGINE_RESOLVE, b.rows.v[0].id, 0), -1);
    bench_close(&b);
}

static void test_snooze_lapses(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    repeat: never\n    escalate: {30m: pager}\n    resolve: manual\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    until(&b, 10 * MINUTE);
    command(&b, ENGINE_SNOOZE, b.rows.v[0].id, HOUR);
    until(&b, HOUR + 29 * MINUTE);
    assert_int_equal(count_said(&b, "pager", -1), 0);
    until(&b, HOUR + 30 * MINUTE); /* 30 minutes of its own clock, an hour asleep */
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    bench_close(&b);
}

static void test_repeat_widens(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    repeat: 30m then 2h then 1d\n    resolve: manual\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    until(&b, 3 * 24 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 4); /* 0:30, 2:30, 26:30, 50:30 */
    bench_close(&b);
}

/* --- limits ----------------------------------------------------------------------------------------------------------- */
static void test_storm_is_a_digest_with_exact_counts(void **state)
{
    struct bench b;
    enum { STORM = 5000 };
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    by: run\n    notify: [chat, pager]\n    limit: 20 per 1m\n    resolve: success\n    linger: 0s\n");
    for (int k = 0; k < STORM; k++) report(&b, (struct report){ str_printf(&b.a, "run_%d", k).p, "job", RUN_FAILED, .at_ms = k * 10 });
    until(&b, 2 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 20);
    assert_int_equal(count_said(&b, "pager", MESSAGE_OPEN), 20);
    assert_int_equal(count_said(&b, "chat", MESSAGE_DIGEST), 1); /* then edited in place */
    assert_in_range(count_said(&b, "chat", MESSAGE_UPDATE), 1, 12);
    assert_in_range(count_said(&b, "pager", MESSAGE_DIGEST), 1, 3);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "hits"), "4980"));
    assert_true(str_eq_c(said_field(&b, last_said(&b, "pager"), "hits"), "4980"));
    for (int k = 0; k < STORM; k++)
        report(&b, (struct report){ str_printf(&b.a, "run_%d", k).p, "job", RUN_COMPLETED, .at_ms = 3 * MINUTE + k, .started_ms = 1 });
    until(&b, 10 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 21); /* 20 and the digest */
    assert_int_equal(count_said(&b, "pager", MESSAGE_RESOLVE), 21);
    assert_int_equal(engine_stats(b.e).incidents_open, 0);
    bench_close(&b);
}

static void test_updates_wait_for_what_is_on_its_way(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    update: 1s\n"));
    b.hold_verdicts = true; /* the receiver is down */
    for (int k = 0; k < 60; k++) report(&b, (struct report){ str_printf(&b.a, "run_%d", k).p, "job", RUN_FAILED, .at_ms = k * MINUTE });
    assert_int_equal(b.said.n, 1); /* an hour of hits: one message waits, not sixty */
    b.hold_verdicts = false;
    verdict(&b, 0, true);
    until(&b, 2 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "runs"), "60"));
    bench_close(&b);
}

/* --- faults, templates ---------------------------------------------------------------------------------------------------- */
static void test_operator_hears_once_an_hour(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE(""));
    for (int k = 0; k < 10; k++) {
        struct engine_input in = { .kind = ENGINE_FAULT };
        in.u.fault.topic = STR("reload");
        in.u.fault.title = STR("A reload was refused");
        step(&b, &in);
        b.now_ms += MINUTE;
    }
    assert_int_equal(count_said(&b, "ops", MESSAGE_OPERATOR), 1);
    b.now_ms += HOUR;
    {
        struct engine_input in = { .kind = ENGINE_FAULT };
        in.u.fault.topic = STR("reload");
        in.u.fault.title = STR("A reload was refused");
        step(&b, &in);
    }
    assert_int_equal(count_said(&b, "ops", MESSAGE_OPERATOR), 2);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "ops"), "note"), "9 more like it since the last message"));
    bench_close(&b);
}

static void test_templates_see_the_run_and_the_incident(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    message: {title: \"{{task}} of {{metadata.customerId}}: {{error.message | upper}} x{{hits}}\"}\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0, .error = "boom", .metadata = "{\"customerId\":\"acme\"}" });
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "title"), "job of acme: BOOM x1"));
    bench_close(&b);
}

/* --- persistence, reload, determinism ---------------------------------------------------------------------------------------- */
static void test_overdue_timers_fire_once_and_say_so(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    escalate: {15m: pager}\n    repeat: 1h\n    resolve: manual\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    b.now_ms += 5 * HOUR; /* runbell was down */
    restart(&b, b.rules);
    {
        struct engine_input tick = { .kind = ENGINE_TICK };
        step(&b, &tick);
    }
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    assert_true(str_starts(said_field(&b, last_said(&b, "pager"), "note"), STR("sent 4h 45m later")));
    bench_close(&b);
}

static void test_reload_keeps_what_is_unchanged(void **state)
{
    static const char *const after = "rules:\n  keep:\n    when: {status: failed}\n    notify: hook\n    severity: critical\n"
                                     "  change:\n    when: {status: FAILED, task: job}\n    notify: chat\n";
    struct bench b;
    struct ruleset *next;
    (void)state;
    bench_open(&b, "rules:\n  keep:\n    when: {status: failed}\n    notify: chat\n  change:\n    when: {status: failed}\n    notify: chat\n"
                   "  gone:\n    when: {status: failed}\n    notify: chat\n");
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    assert_int_equal(engine_stats(b.e).incidents_open, 3);
    next = compile(&b, after);
    reload(&b, next);
    assert_int_equal(engine_stats(b.e).incidents_open, 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 2);
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = MINUTE });
    assert_int_equal(engine_stats(b.e).incidents_open, 2); /* keep goes on, change starts anew */
    engine_free(&b.e);
    bench_close(&b);
}

enum way { PLAIN, RESTARTS, TRIMS, WAYS };

/* A random life: the same inputs give the same outputs; with a restart after every step, too, and with every detail
 * paged out after every step. */
static void random_life(struct bench *b, uint64_t seed, enum way way)
{
    static const char *const errors[] = { "something 12 broke", "disk full", "no such host", "timeout" };
    struct rng rng;
    rng_seed(&rng, seed);
    int64_t at = 0;
    b->trim_always = way == TRIMS;
    for (int k = 0; k < 300; k++) {
        enum run_state states[] = { RUN_FAILED, RUN_CRASHED, RUN_COMPLETED, RUN_REATTEMPTING, RUN_TIMED_OUT, RUN_CANCELED };
        struct report r = { .state = states[rng_below(&rng, 6)], .at_ms = at };
        char run[32], task[32];
        snprintf(run, sizeof run, "run_%d", (int)rng_below(&rng, 40));
        snprintf(task, sizeof task, "task%d", (int)rng_below(&rng, 3));
        r.run = str_dup_c(&b->a, str_c(run));
        r.task = str_dup_c(&b->a, str_c(task));
        r.attempt = (int64_t)rng_below(&rng, 5) + 1;
        r.started_ms = at > 100 ? at - (int64_t)rng_below(&rng, 60000) : 0;
        if (rng_below(&rng, 5) == 0) r.event_ms = at - (int64_t)rng_below(&rng, HOUR) - 1; /* late */
        r.error = errors[rng_below(&rng, 4)];
        r.tags[0] = rng_below(&rng, 2) ? "eu" : "us";
        if (rng_below(&rng, 2)) r.tags[1] = "vip";
        r.gained = rng_below(&rng, 8) == 0 ? RUN_HAS_ERROR : 0;
        r.since_succeeded = r.event_ms && rng_below(&rng, 4) == 0;
        report(b, r);
        if (rng_below(&rng, 20) == 0 && b->rows.n) command(b, ENGINE_ACK, b->rows.v[rng_below(&rng, b->rows.n)].id, 0);
        if (rng_below(&rng, 20) == 0 && b->rows.n) command(b, ENGINE_SNOOZE, b->rows.v[rng_below(&rng, b->rows.n)].id, 20 * MINUTE);
        if (way == RESTARTS) restart(b, b->rules);
        at += (int64_t)rng_below(&rng, 10 * MINUTE);
    }
    until(b, at + 48 * HOUR);
}

#define ZOO "rules:\n  a:\n    when: {status: failed}\n    notify: [chat, pager]\n    escalate: {10m: hook}\n    repeat: 1h\n    limit: 5 per 10m\n" \
            "  b:\n    when: {status: REATTEMPTING}\n    count: 3 in 30m\n    by: run\n    notify: hook\n    escalate: {15m: pager}\n" \
            "  c:\n    when: {status: [FAILED, CRASHED]}\n    count: 4 runs in 1h\n    resolve: clears\n    notify: chat\n" \
            "  d:\n    when: {status: failed}\n    by: [task, error.fingerprint]\n    wait: 5m\n    at_least: 2\n    resolve: [2 successes, 2h quiet]\n    notify: chat\n" \
            "  e:\n    when: {status: failed}\n    by: [tags, error.message]\n    notify: {to: hook}\n    linger: 20m\n    message: {title: \"{{error.message}}\"}\n"

static void assert_same(const struct bench *a, const struct bench *b, uint64_t seed, const char *what)
{
    struct str x = strbuf_view(&a->transcript), y = strbuf_view(&b->transcript);
    size_t at = 0, line = 0;
    if (str_eq(x, y)) return;
    for (; at < x.n && at < y.n && x.p[at] == y.p[at]; at++)
        if (x.p[at] == '\n') line = at + 1;
    fail_msg("seed %llu, %s:\n%.300s\n%.300s", (unsigned long long)seed, what, x.p + line, y.p + line);
}

static void test_same_inputs_same_outputs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct bench again, b[WAYS];
        bench_open(&again, ZOO);
        random_life(&again, seed, PLAIN);
        for (enum way w = PLAIN; w < WAYS; w++) {
            bench_open(&b[w], ZOO);
            random_life(&b[w], seed, w);
        }
        assert_true(again.transcript.n > 1000);
        assert_int_equal(b[PLAIN].paged_in, 0);
        assert_true(b[TRIMS].paged_in > 100);
        assert_same(&b[PLAIN], &again, seed, "once more");
        assert_same(&b[PLAIN], &b[RESTARTS], seed, "with restarts");
        assert_same(&b[PLAIN], &b[TRIMS], seed, "with details paged out");
        for (enum way w = PLAIN; w < WAYS; w++) bench_close(&b[w]);
        bench_close(&again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hits_join_one_incident),
        cmocka_unit_test(test_environments_share_nothing),
        cmocka_unit_test(test_wait_batches_and_stays_silent),
        cmocka_unit_test(test_at_least_counts_runs),
        cmocka_unit_test(test_count_window_is_exact),
        cmocka_unit_test(test_late_events_are_placed_where_they_belong),
        cmocka_unit_test(test_count_of_runs),
        cmocka_unit_test(test_clears_when_the_window_empties),
        cmocka_unit_test(test_success_must_start_after_the_last_hit),
        cmocka_unit_test(test_n_successes_are_consecutive),
        cmocka_unit_test(test_linger_and_relapse),
        cmocka_unit_test(test_quiet_counts_from_arrival),
        cmocka_unit_test(test_run_keyed_incident_follows_its_run),
        cmocka_unit_test(test_cancel_resolves_a_run_keyed_incident),
        cmocka_unit_test(test_success_of_the_task_closes_all_errors),
        cmocka_unit_test(test_ack_stops_reminders_and_escalation),
        cmocka_unit_test(test_snooze_lapses),
        cmocka_unit_test(test_repeat_widens),
        cmocka_unit_test(test_storm_is_a_digest_with_exact_counts),
        cmocka_unit_test(test_updates_wait_for_what_is_on_its_way),
        cmocka_unit_test(test_operator_hears_once_an_hour),
        cmocka_unit_test(test_templates_see_the_run_and_the_incident),
        cmocka_unit_test(test_overdue_timers_fire_once_and_say_so),
        cmocka_unit_test(test_reload_keeps_what_is_unchanged),
        cmocka_unit_test(test_same_inputs_same_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
