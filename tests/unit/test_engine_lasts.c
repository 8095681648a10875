/* engine: rules with `lasts`, case by case. */
#include "lasts_testing.h"

/* --- a stay -------------------------------------------------------------------------------------------------------- */
static void test_a_run_that_stays_rings(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, STUCK(""));
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_QUEUED, .at_ms = 0 });
    tell(&b, EXECUTES("run_a", 5 * MINUTE));
    tell(&b, EXECUTES("run_b", 10 * MINUTE));
    tell(&b, EXECUTES("run_a", 20 * MINUTE)); /* still so: that moves nothing */
    until(&b, 35 * MINUTE - 1);
    assert_int_equal(b.said.n, 0);
    tell(&b, ENDS("run_b", 35 * MINUTE)); /* in time */
    assert_int_equal(openings(&b), 1);
    assert_true(field_is(&b, last_said(&b, "hook"), "title", "sync: 1 run EXECUTING for over 30m in prod"));
    assert_true(field_is(&b, last_said(&b, "hook"), "run", "run_a"));
    assert_true(field_is(&b, last_said(&b, "hook"), "hits", "1"));
    assert_true(str_eq_c(said_value(&b, last_said(&b, "hook"), "Since"), "2026-01-05T12:05:00.000Z"));
    assert_int_equal(said_field(&b, last_said(&b, "hook"), "late_by").n, 0);
    assert_int_equal(b.said.v[0].at_ms, start_ms + 35 * MINUTE);
    until(&b, 3 * HOUR);
    assert_int_equal(openings(&b), 1);
    tell(&b, ENDS("run_a", 4 * HOUR));
    until(&b, 4 * HOUR + 5 * MINUTE - 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 0);
    until(&b, 4 * HOUR + 5 * MINUTE); /* linger */
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    assert_true(field_is(&b, last_said(&b, "hook"), "reason", "no run is left"));
    assert_int_equal(engine_stats(b.e).watched_runs, 0);
    assert_int_equal(engine_stats(b.e).timers, 0);
    bench_close(&b);
}

/* A poller may tell late that a run has been executing for an hour, or that it had long stopped. */
static void test_a_run_that_is_told_late(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, STUCK(""));
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_EXECUTING, .at_ms = 2 * HOUR, .event_ms = HOUR });
    assert_int_equal(openings(&b), 1);
    assert_int_equal(b.said.v[0].at_ms, start_ms + 2 * HOUR);
    assert_true(field_is(&b, last_said(&b, "hook"), "late_by", "30m"));
    tell(&b, EXECUTES("run_b", 3 * HOUR));
    tell(&b, (struct tell){ .run = "run_b", .state = RUN_WAITING, .at_ms = 4 * HOUR, .event_ms = 3 * HOUR + MINUTE }); /* too late: it has rung */
    assert_int_equal(count_notes(&b, "left"), 1);
    tell(&b, (struct tell){ .run = "run_c", .state = RUN_COMPLETED, .at_ms = 5 * HOUR });
    tell(&b, (struct tell){ .run = "run_c", .state = RUN_EXECUTING, .at_ms = 6 * HOUR, .event_ms = HOUR }); /* it was, and ended */
    assert_int_equal(count_notes(&b, "hit"), 2);
    assert_int_equal(engine_stats(b.e).watched_runs, 1);
    bench_close(&b);
}

static void test_a_new_attempt_starts_anew(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, STUCK(""));
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_EXECUTING, .at_ms = MINUTE, .attempts = 1 });
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_EXECUTING, .at_ms = 20 * MINUTE, .attempts = 2 });
    until(&b, 50 * MINUTE - 1);
    assert_int_equal(b.said.n, 0);
    until(&b, 50 * MINUTE);
    assert_int_equal(openings(&b), 1);
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_EXECUTING, .at_ms = HOUR, .attempts = 3 }); /* and leaves the incident */
    assert_int_equal(count_notes(&b, "left"), 1);
    until(&b, HOUR + 5 * MINUTE);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    until(&b, HOUR + 30 * MINUTE);
    assert_int_equal(openings(&b), 2);
    tell(&b, (struct tell){ .run = "run_b", .state = RUN_EXECUTING, .at_ms = 2 * HOUR, .attempts = 1, .started_ms = 2 * HOUR });
    tell(&b, (struct tell){ .run = "run_b", .state = RUN_QUEUED, .at_ms = 2 * HOUR + 20 * MINUTE, .attempts = 1, .started_ms = 2 * HOUR });
    tell(&b, (struct tell){ .run = "run_b", .state = RUN_EXECUTING, .at_ms = 2 * HOUR + 25 * MINUTE, .attempts = 2, .started_ms = 2 * HOUR });
    until(&b, 2 * HOUR + 55 * MINUTE - 1);
    assert_int_equal(count_notes(&b, "hit"), 2);
    until(&b, 2 * HOUR + 55 * MINUTE);
    assert_int_equal(count_notes(&b, "hit"), 3);
    bench_close(&b);
}

/* --- several states: a stay is how long it was a hit without a break ---------------------------------------------------- */
#define EITHER "rules:\n  r:\n    when: {status: [DEQUEUED, EXECUTING, WAITING]}\n    lasts: 30m\n    repeat: never\n    notify: hook\n    message: {body: \"{{status}} {{metadata.x}}\"}\n"

static void test_one_stay_in_several_states(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, EITHER);
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_DEQUEUED, .at_ms = 1 });
    tell(&b, EXECUTES("run_a", 10 * MINUTE));
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_WAITING, .at_ms = 20 * MINUTE });
    until(&b, 30 * MINUTE);
    assert_int_equal(openings(&b), 0);
    until(&b, 30 * MINUTE + 1);
    assert_int_equal(openings(&b), 1);
    assert_true(field_is(&b, last_said(&b, "hook"), "title", "sync: 1 run DEQUEUED, EXECUTING or WAITING for over 30m in prod"));
    assert_true(field_is(&b, last_said(&b, "hook"), "body", "WAITING "));
    tell(&b, EXECUTES("run_a", 40 * MINUTE));
    assert_int_equal(count_notes(&b, "left"), 0);
    assert_int_equal(count_notes(&b, "hit"), 1);
    bench_close(&b);
}

/* What is told late makes the stay longer, or breaks it. */
static void test_late_reports_in_a_stay(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, EITHER);
    tell(&b, EXECUTES("run_a", 10 * MINUTE));
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_DEQUEUED, .at_ms = 12 * MINUTE, .event_ms = 2 * MINUTE });
    until(&b, 32 * MINUTE - 1);
    assert_int_equal(openings(&b), 0);
    until(&b, 32 * MINUTE);
    assert_int_equal(openings(&b), 1);
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_QUEUED, .at_ms = 33 * MINUTE, .event_ms = 8 * MINUTE });
    assert_int_equal(count_notes(&b, "left"), 1);
    until(&b, 39 * MINUTE);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    until(&b, 40 * MINUTE);
    assert_int_equal(openings(&b), 2);
    bench_close(&b);
}

/* --- leaving --------------------------------------------------------------------------------------------------------- */
static void test_a_run_leaves_by_another_field(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, "rules:\n  r:\n    when: {status: [EXECUTING, WAITING], tags: slow}\n    lasts: 30m\n    linger: 0s\n    notify: hook\n");
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_EXECUTING, .at_ms = 1, .tag = "slow" });
    tell(&b, (struct tell){ .run = "run_b", .state = RUN_EXECUTING, .at_ms = 1, .tag = "slow" });
    tell(&b, (struct tell){ .run = "run_b", .state = RUN_WAITING, .at_ms = MINUTE, .tag = "fast" });
    until(&b, HOUR);
    assert_int_equal(count_notes(&b, "hit"), 1);
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_WAITING, .at_ms = HOUR, .event_ms = 2 * MINUTE, .tag = "slow" });
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 0);
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_EXECUTING, .at_ms = HOUR + 1, .tag = "fast" });
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* What is too old to be evaluated begins nothing; but a run that is known to have left is not kept. */
static void test_what_is_too_old(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, STUCK("    linger: 0s\n"));
    tell(&b, EXECUTES("run_a", 1));
    tell(&b, (struct tell){ .run = "run_b", .state = RUN_EXECUTING, .at_ms = 2 * HOUR, .event_ms = 1, .old = true });
    assert_int_equal(engine_stats(b.e).watched_runs, 1);
    assert_int_equal(openings(&b), 1);
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_CRASHED, .at_ms = 3 * HOUR, .event_ms = HOUR, .old = true });
    assert_int_equal(engine_stats(b.e).watched_runs, 0);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* Those that leave an open incident are no longer "still" there: an update says so. */
static void test_how_many_still_are(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, STUCK("    message: {body: \"{{still}} of {{runs}}\"}\n"));
    for (int k = 0; k < 3; k++) tell(&b, EXECUTES(k == 0 ? "run_a" : k == 1 ? "run_b" : "run_c", k * MINUTE + 1));
    until(&b, 34 * MINUTE);
    assert_true(field_is(&b, last_said(&b, "chat"), "title", "sync: 3 runs EXECUTING for over 30m in prod"));
    tell(&b, (struct tell){ .run = "run_b", .state = RUN_WAITING, .at_ms = 35 * MINUTE });
    until(&b, 36 * MINUTE);
    assert_int_equal(last_said(&b, "chat")->kind, MESSAGE_UPDATE);
    assert_true(field_is(&b, last_said(&b, "chat"), "title", "sync: 2 runs EXECUTING for over 30m in prod"));
    assert_true(field_is(&b, last_said(&b, "chat"), "body", "2 of 3"));
    assert_true(str_eq_c(said_value(&b, last_said(&b, "chat"), "Runs"), "3, of which 2 still are"));
    assert_true(str_starts(b.rows.v[b.rows.n - 1].title, STR("sync: 2 runs")) || str_absent(b.rows.v[b.rows.n - 1].title));
    tell(&b, EXECUTES("run_b", 40 * MINUTE)); /* once more, the same run */
    tell(&b, ENDS("run_a", 41 * MINUTE));
    until(&b, 71 * MINUTE);
    assert_true(field_is(&b, last_said(&b, "chat"), "body", "2 of 3"));
    assert_true(field_is(&b, last_said(&b, "chat"), "hits", "4"));
    tell(&b, ENDS("run_b", 80 * MINUTE));
    tell(&b, ENDS("run_c", 81 * MINUTE));
    until(&b, 87 * MINUTE);
    assert_int_equal(last_said(&b, "chat")->kind, MESSAGE_RESOLVE);
    assert_true(field_is(&b, last_said(&b, "chat"), "title", "sync: 3 runs EXECUTING for over 30m in prod"));
    assert_true(str_eq_c(said_value(&b, last_said(&b, "chat"), "Runs"), "3, none of which still is"));
    bench_close(&b);
}

/* A run whose rule asks for each run alone: its end is the incident's. */
static void test_by_run(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, STUCK("    by: run\n"));
    tell(&b, EXECUTES("run_a", 1));
    tell(&b, EXECUTES("run_b", 2));
    until(&b, 31 * MINUTE);
    assert_int_equal(openings(&b), 2);
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_TIMED_OUT, .at_ms = 40 * MINUTE });
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    assert_int_equal(engine_stats(b.e).incidents_open, 1);
    bench_close(&b);
}

/* --- at_least ----------------------------------------------------------------------------------------------------------- */
#define BACKLOG(more) "rules:\n  r:\n    when: {status: QUEUED}\n    lasts: 10m\n    at_least: 3\n    by: queue\n    linger: 0s\n    repeat: never\n    notify: hook\n" more
#define QUEUES(run_, at_, queue_) (struct tell){ .run = run_, .state = RUN_QUEUED, .at_ms = at_, .queue = queue_ }

/* So many at the same time, not one after another. */
static void test_at_least_so_many_at_once(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, BACKLOG(""));
    tell(&b, QUEUES("run_a", 1, "mails"));
    tell(&b, QUEUES("run_b", 2, "mails"));
    tell(&b, QUEUES("run_x", 3, "other"));
    tell(&b, EXECUTES("run_a", 11 * MINUTE)); /* two were too slow, one of them has left */
    tell(&b, QUEUES("run_c", 12 * MINUTE, "mails"));
    until(&b, 22 * MINUTE);
    assert_int_equal(openings(&b), 0);
    tell(&b, QUEUES("run_d", 23 * MINUTE, "mails"));
    until(&b, 33 * MINUTE);
    assert_int_equal(openings(&b), 1);
    assert_true(field_is(&b, last_said(&b, "hook"), "title", "queue=mails: 3 runs QUEUED for over 10m in prod"));
    tell(&b, EXECUTES("run_b", 34 * MINUTE));
    tell(&b, EXECUTES("run_c", 35 * MINUTE));
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 0); /* until no run is left */
    tell(&b, EXECUTES("run_d", 36 * MINUTE));
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    tell(&b, EXECUTES("run_x", 37 * MINUTE)); /* what never opened ends in silence */
    assert_int_equal(engine_stats(b.e).incidents_pending, 0);
    assert_int_equal(b.said.n, 2);
    bench_close(&b);
}

/* A fuller report shows that a run belongs elsewhere. */
static void test_the_key_is_told_later(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, "rules:\n  r:\n    when: {status: QUEUED}\n    lasts: 10m\n    by: queue\n    linger: 0s\n    notify: hook\n");
    tell(&b, QUEUES("run_a", 1, NULL));
    tell(&b, QUEUES("run_b", 2, NULL));
    tell(&b, QUEUES("run_b", 5 * MINUTE, "mails"));
    until(&b, 11 * MINUTE);
    assert_int_equal(openings(&b), 2);
    assert_true(field_is(&b, &b.said.v[0], "key", "queue=(none)"));
    assert_true(field_is(&b, &b.said.v[1], "key", "queue=mails"));
    tell(&b, QUEUES("run_a", 12 * MINUTE, "mails"));
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    assert_int_equal(openings(&b), 2);
    assert_int_equal(engine_stats(b.e).incidents_open, 1);
    bench_close(&b);
}

/* --- what ends otherwise --------------------------------------------------------------------------------------------- */
/* Quiet ends an incident, and its runs are where they were: the next one finds them there. */
static void test_after_a_day_of_quiet(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, STUCK(""));
    tell(&b, EXECUTES("run_a", 1));
    tell(&b, EXECUTES("run_b", 2));
    until(&b, 25 * HOUR);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    assert_true(field_is(&b, last_said(&b, "hook"), "reason", "no hit for 1d 5m"));
    restart(&b, b.rules);
    tell(&b, EXECUTES("run_c", 26 * HOUR));
    until(&b, 27 * HOUR);
    assert_int_equal(openings(&b), 2);
    assert_true(field_is(&b, last_said(&b, "hook"), "title", "sync: 3 runs EXECUTING for over 30m in prod"));
    assert_true(field_is(&b, last_said(&b, "hook"), "runs", "3"));
    tell(&b, ENDS("run_a", 28 * HOUR));
    tell(&b, ENDS("run_b", 28 * HOUR));
    tell(&b, ENDS("run_c", 28 * HOUR));
    until(&b, 29 * HOUR);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 2);
    bench_close(&b);
}

/* Without `clears` a resolve leaves nothing behind; no run left ends it all the same. */
static void test_without_clears(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, BACKLOG("    resolve: manual\n"));
    for (int k = 0; k < 3; k++) tell(&b, QUEUES(k == 0 ? "run_a" : k == 1 ? "run_b" : "run_c", k + 1, "mails"));
    until(&b, 11 * MINUTE);
    assert_int_equal(openings(&b), 1);
    command(&b, ENGINE_RESOLVE, first(&b), 0);
    restart(&b, b.rules);
    tell(&b, QUEUES("run_d", 12 * MINUTE, "mails"));
    until(&b, 30 * MINUTE);
    assert_int_equal(openings(&b), 1);
    assert_int_equal(engine_stats(b.e).incidents_pending, 1);
    tell(&b, QUEUES("run_e", 31 * MINUTE, "mails"));
    tell(&b, QUEUES("run_f", 31 * MINUTE, "mails"));
    until(&b, 42 * MINUTE);
    assert_int_equal(openings(&b), 2);
    for (int k = 0; k < 3; k++) tell(&b, EXECUTES(k == 0 ? "run_d" : k == 1 ? "run_e" : "run_f", HOUR));
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 2);
    for (int k = 0; k < 3; k++) tell(&b, EXECUTES(k == 0 ? "run_a" : k == 1 ? "run_b" : "run_c", 2 * HOUR)); /* of no incident any more */
    assert_int_equal(engine_stats(b.e).watched_runs, 0);
    assert_int_equal(b.said.n, 4);
    bench_close(&b);
}

/* Within `linger` one more run goes on with the same incident. */
static void test_a_relapse(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, STUCK(""));
    tell(&b, EXECUTES("run_a", 1));
    tell(&b, EXECUTES("run_b", 3 * MINUTE));
    until(&b, 31 * MINUTE);
    tell(&b, ENDS("run_a", 31 * MINUTE));
    until(&b, 40 * MINUTE);
    assert_int_equal(openings(&b), 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 0);
    assert_int_equal(count_notes(&b, "relapsed"), 1);
    bench_close(&b);
}

/* The end of a run got lost: it is not watched for ever. */
static void test_a_run_that_is_never_heard_of_again(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, STUCK(""));
    tell(&b, EXECUTES("run_a", 1));
    until(&b, (int64_t)31 * 24 * HOUR);
    assert_int_equal(engine_stats(b.e).watched_runs, 0);
    assert_int_equal(engine_stats(b.e).timers, 0);
    bench_close(&b);
}

/* --- restarts, reloads ------------------------------------------------------------------------------------------------ */
static void test_overdue_after_a_restart(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, STUCK(""));
    tell(&b, EXECUTES("run_a", 1));
    tell(&b, EXECUTES("run_b", 20 * MINUTE));
    tell(&b, (struct tell){ .run = "run_c", .state = RUN_EXECUTING, .at_ms = 21 * MINUTE });
    tell(&b, ENDS("run_c", 22 * MINUTE));
    b.now_ms = start_ms + 2 * HOUR; /* down all the while */
    restart(&b, b.rules);
    assert_int_equal(b.said.n, 0);
    assert_int_equal(engine_stats(b.e).watched_runs, 2);
    tick(&b);
    assert_int_equal(openings(&b), 1);
    assert_true(field_is(&b, last_said(&b, "hook"), "late_by", "1h 29m"));
    assert_true(str_find_str(said_field(&b, last_said(&b, "hook"), "note"), STR("later than due: runbell was not running")) <
                said_field(&b, last_said(&b, "hook"), "note").n);
    assert_int_equal(count_notes(&b, "hit"), 2);
    restart(&b, b.rules);
    tick(&b);
    until(&b, 3 * HOUR);
    assert_int_equal(openings(&b), 1);
    assert_int_equal(count_notes(&b, "hit"), 2);
    tell(&b, ENDS("run_a", 4 * HOUR));
    tell(&b, ENDS("run_b", 4 * HOUR));
    until(&b, 4 * HOUR + 5 * MINUTE);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* Another time: its incidents end as changed, and the runs that are there are there under the new rule, too. */
static void test_a_changed_rule(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, STUCK(""));
    tell(&b, EXECUTES("run_a", 1));
    tell(&b, EXECUTES("run_b", 20 * MINUTE));
    until(&b, 31 * MINUTE);
    reload(&b, compile(&b, STUCK("    severity: critical\n"))); /* the same condition */
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 0);
    reload(&b, compile(&b, "rules:\n  r:\n    when: {status: EXECUTING}\n    lasts: 15m\n    notify: hook\n"));
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    assert_int_equal(openings(&b), 2);
    assert_true(field_is(&b, last_said(&b, "hook"), "title", "sync: 1 run EXECUTING for over 15m in prod"));
    until(&b, 35 * MINUTE + 1);
    assert_int_equal(count_notes(&b, "hit"), 3);
    restart(&b, compile(&b, "rules:\n  r:\n    when: {status: EXECUTING}\n    lasts: 1h\n    notify: hook\n")); /* changed while nothing ran */
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 2);
    until(&b, HOUR + MINUTE);
    assert_int_equal(openings(&b), 3);
    reload(&b, compile(&b, "rules:\n  other:\n    when: {status: failed}\n    notify: hook\n"));
    assert_true(field_is(&b, last_said(&b, "hook"), "reason", "rule removed"));
    assert_int_equal(engine_stats(b.e).watched_runs, 0);
    tell(&b, ENDS("run_a", 2 * HOUR));
    bench_close(&b);
}

/* A rule that comes later sees the runs that are told again, and takes them from when they began. */
static void test_a_rule_that_comes_later(void **state)
{
    struct bench b;
    struct ruleset *after;
    (void)state;
    open_bench(&b, "rules:\n  r:\n    when: {status: failed}\n    notify: hook\n");
    tell(&b, EXECUTES("run_a", 1));
    tell(&b, EXECUTES("run_b", MINUTE));
    tell(&b, (struct tell){ .run = "run_b", .state = RUN_WAITING, .at_ms = 2 * MINUTE });
    after = compile(&b, STUCK(""));
    reload(&b, after);
    assert_int_equal(engine_stats(b.e).watched_runs, 0);
    tell(&b, EXECUTES("run_a", 10 * MINUTE));
    tell(&b, (struct tell){ .run = "run_b", .state = RUN_EXECUTING, .at_ms = 10 * MINUTE, .event_ms = MINUTE }); /* once more what it was */
    until(&b, 30 * MINUTE);
    assert_int_equal(openings(&b), 0);
    until(&b, 30 * MINUTE + 1);
    assert_int_equal(openings(&b), 1);
    for (int k = 0; k < 3; k++) tell(&b, EXECUTES("run_a", (31 + k) * MINUTE));
    until(&b, 2 * HOUR);
    assert_int_equal(count_notes(&b, "hit"), 1);
    restart(&b, after);
    tell(&b, ENDS("run_a", 2 * HOUR));
    assert_int_equal(engine_stats(b.e).watched_runs, 0);
    tell(&b, EXECUTES("run_b", 2 * HOUR + 1)); /* and now it is */
    assert_int_equal(engine_stats(b.e).watched_runs, 1);
    bench_close(&b);
}

/* What is told again changes nothing for rules that were there: it is in no log. */
static void test_what_is_told_again_is_no_news(void **state)
{
    struct bench b;
    (void)state;
    open_bench(&b, "rules:\n  other:\n    when: {status: failed}\n    notify: hook\n");
    reload(&b, compile(&b, "rules:\n  r:\n    when: {status: EXECUTING, tags: slow}\n    lasts: 30m\n    notify: hook\n"));
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_EXECUTING, .at_ms = MINUTE, .tag = "fast" });
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_EXECUTING, .at_ms = 2 * MINUTE, .tag = "slow" });
    assert_int_equal(engine_stats(b.e).watched_runs, 0);
    tell(&b, (struct tell){ .run = "run_b", .state = RUN_EXECUTING, .at_ms = 3 * MINUTE, .tag = "slow" });
    tell(&b, (struct tell){ .run = "run_b", .state = RUN_EXECUTING, .at_ms = 4 * MINUTE, .tag = "fast" });
    assert_int_equal(engine_stats(b.e).watched_runs, 1);
    bench_close(&b);
}

/* --- bounds ------------------------------------------------------------------------------------------------------------- */
static void test_more_runs_than_can_be_watched(void **state)
{
    struct bench b;
    struct engine_limits limits = engine_default_limits;
    (void)state;
    limits.watched_runs = 2;
    heard_count = 0;
    bench_open_within(&b, STUCK(""), limits);
    tell(&b, EXECUTES("run_a", 1));
    tell(&b, EXECUTES("run_b", 2));
    tell(&b, EXECUTES("run_c", 3));
    tell(&b, EXECUTES("run_d", 4));
    assert_int_equal(engine_stats(b.e).watched_runs, 2);
    assert_int_equal(engine_stats(b.e).unwatched_runs, 2);
    assert_int_equal(count_said(&b, "ops", MESSAGE_OPERATOR), 1);
    until(&b, HOUR);
    assert_int_equal(count_notes(&b, "hit"), 2);
    tell(&b, ENDS("run_c", HOUR + 1));
    tell(&b, ENDS("run_a", HOUR + 2));
    tell(&b, (struct tell){ .run = "run_d", .state = RUN_EXECUTING, .at_ms = 2 * HOUR, .attempts = 2 }); /* there is room now */
    until(&b, 3 * HOUR);
    assert_int_equal(count_notes(&b, "hit"), 3);
    bench_close(&b);
}

static void test_more_keys_than_there_may_be(void **state)
{
    struct bench b;
    struct engine_limits limits = engine_default_limits;
    (void)state;
    limits.keys_per_rule = 1;
    heard_count = 0;
    bench_open_within(&b, STUCK("    by: run\n"), limits);
    tell(&b, EXECUTES("run_a", 1));
    tell(&b, EXECUTES("run_b", 2));
    tell(&b, EXECUTES("run_c", 3));
    until(&b, 31 * MINUTE);
    assert_int_equal(engine_stats(b.e).incidents_open, 2); /* run_a and (overflow) */
    tell(&b, EXECUTES("run_b", 32 * MINUTE));
    tell(&b, ENDS("run_b", 33 * MINUTE));
    assert_int_equal(engine_stats(b.e).incidents_open, 2);
    restart(&b, b.rules);
    tell(&b, ENDS("run_c", 34 * MINUTE));
    assert_int_equal(engine_stats(b.e).incidents_open, 1);
    bench_close(&b);
}

/* What is kept of a run goes out of memory and is read back; what cannot be read back fails the step, and not the run. */
static void test_what_is_kept_of_a_run(void **state)
{
    struct bench b;
    struct engine_input in = { .kind = ENGINE_TICK };
    struct engine_output out;
    struct err err;
    (void)state;
    open_bench(&b, STUCK(""));
    b.trim_always = true;
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_EXECUTING, .at_ms = 1, .queue = "mails" });
    tell(&b, EXECUTES("run_b", 2));
    assert_int_equal(b.paged_in, 0);
    until(&b, 30 * MINUTE + 2);
    assert_true(b.paged_in > 0);
    assert_int_equal(count_notes(&b, "hit"), 2);
    assert_true(str_eq_c(said_value(&b, &b.said.v[0], "Queue"), "mails"));
    tell(&b, EXECUTES("run_c", HOUR));
    for (size_t k = 0; k < b.cells.n; k++) b.cells.v[k].key = STR("gone");
    in.now_ms = start_ms + 2 * HOUR;
    engine_output_init(&out, &b.a);
    assert_int_equal(engine_step(b.e, &in, &out, &err), -1);
    assert_non_null(strstr(err.msg, "could not be read back"));
    engine_output_fini(&out);
    bench_close(&b);
}

/* What comes and goes between two commits is written nowhere. */
static void test_short_runs_cost_no_rows(void **state)
{
    struct bench b;
    size_t cells;
    (void)state;
    open_bench(&b, STUCK(""));
    tell(&b, ENDS("run_0", 0)); /* its environment is news, and written */
    cells = b.cells.n;
    b.lazy = true;
    tell(&b, EXECUTES("run_a", 1));
    tell(&b, ENDS("run_a", 2));
    b.lazy = false;
    tick(&b);
    assert_int_equal(b.cells.n, cells);
    tell(&b, EXECUTES("run_b", 3));
    tell(&b, ENDS("run_b", 4));
    assert_int_equal(b.cells.n, cells + 2);
    assert_true(str_absent(b.cells.v[cells + 1].blob));
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_that_stays_rings),
        cmocka_unit_test(test_a_run_that_is_told_late),
        cmocka_unit_test(test_a_new_attempt_starts_anew),
        cmocka_unit_test(test_one_stay_in_several_states),
        cmocka_unit_test(test_late_reports_in_a_stay),
        cmocka_unit_test(test_a_run_leaves_by_another_field),
        cmocka_unit_test(test_what_is_too_old),
        cmocka_unit_test(test_how_many_still_are),
        cmocka_unit_test(test_by_run),
        cmocka_unit_test(test_at_least_so_many_at_once),
        cmocka_unit_test(test_the_key_is_told_later),
        cmocka_unit_test(test_after_a_day_of_quiet),
        cmocka_unit_test(test_without_clears),
        cmocka_unit_test(test_a_relapse),
        cmocka_unit_test(test_a_run_that_is_never_heard_of_again),
        cmocka_unit_test(test_overdue_after_a_restart),
        cmocka_unit_test(test_a_changed_rule),
        cmocka_unit_test(test_a_rule_that_comes_later),
        cmocka_unit_test(test_what_is_told_again_is_no_news),
        cmocka_unit_test(test_more_runs_than_can_be_watched),
        cmocka_unit_test(test_more_keys_than_there_may_be),
        cmocka_unit_test(test_what_is_kept_of_a_run),
        cmocka_unit_test(test_short_runs_cost_no_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
