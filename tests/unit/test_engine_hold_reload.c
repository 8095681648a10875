/* engine: what is held while the rules change, in a reload or while nobody ran: what nothing holds any more is told, what something
 * holds now is not, and what was known of the hits stays known (rule-language.md section 5, Reload and restart). */
#include "hold_testing.h"

#define TAIL_ALONE "rules:\n  tail:\n    when: {status: failed, not: {status: SYSTEM_FAILURE}}\n    notify: chat\n    linger: 0s\n"

/* The same rules as restarted with others: an engine built from what the old one handed out. */
typedef void (*change_fn)(struct bench *b, const struct ruleset *rules);

static void unless_goes(change_fn change)
{
    struct bench b;
    bench_open(&b, BUSINESS BEHIND);
    report(&b, DOWN("run_0", 0));
    report(&b, FAILED("run_1", MINUTE));
    assert_int_equal(count_said(&b, "chat", -1), 0);
    change(&b, compile(&b, BUSINESS "rules:\n  tail:\n    when: {status: failed, not: {status: SYSTEM_FAILURE}}\n    notify: chat\n    linger: 0s\n"
                                    "  platform:\n    when: {status: SYSTEM_FAILURE}\n    by: env\n    notify: pager\n    linger: 0s\n    resolve: manual\n"));
    tick(&b);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_unless_goes_in_a_reload(void **state)
{
    (void)state;
    unless_goes(reload);
}

static void test_unless_goes_while_nobody_ran(void **state)
{
    (void)state;
    unless_goes(restart);
}

static void hours_go(change_fn change)
{
    struct bench b;
    bench_open(&b, BUSINESS SIMPLE("    during: business\n"));
    report(&b, FAILED("run_0", EVENING));
    assert_int_equal(b.said.n, 0);
    change(&b, compile(&b, BUSINESS SIMPLE("")));
    tick(&b);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_hours_go_in_a_reload(void **state)
{
    (void)state;
    hours_go(reload);
}

static void test_hours_go_while_nobody_ran(void **state)
{
    (void)state;
    hours_go(restart);
}

static void hours_come(change_fn change)
{
    struct bench b;
    bench_open(&b, BUSINESS SIMPLE("    escalate: {1h: pager}\n"));
    report(&b, FAILED("run_0", EVENING));
    assert_int_equal(b.said.n, 1);
    change(&b, compile(&b, BUSINESS SIMPLE("    escalate: {1h: pager}\n    during: business\n")));
    until(&b, MORNING - 1);
    assert_int_equal(b.said.n, 1);
    bench_close(&b);
}

static void test_hours_come_in_a_reload(void **state)
{
    (void)state;
    hours_come(reload);
}

static void test_hours_come_while_nobody_ran(void **state)
{
    (void)state;
    hours_come(restart);
}

static void mute_comes(change_fn change)
{
    struct bench b;
    bench_open(&b, "schedules:\n  nightly: {days: all, hours: 01:00-04:00, zone: UTC}\n" SIMPLE("    escalate: {1h: pager}\n"));
    report(&b, crashed("run_0", "etl-a", MUTED + MINUTE));
    assert_int_equal(b.said.n, 1);
    change(&b, compile(&b, NIGHTLY SIMPLE("    escalate: {1h: pager}\n")));
    until(&b, UNMUTED - 1);
    assert_int_equal(b.said.n, 1);
    until(&b, UNMUTED + HOUR);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    bench_close(&b);
}

static void test_a_mute_comes_in_a_reload(void **state)
{
    (void)state;
    mute_comes(reload);
}

static void test_a_mute_comes_while_nobody_ran(void **state)
{
    (void)state;
    mute_comes(restart);
}

static void mute_goes(change_fn change, const char *rules)
{
    struct bench b;
    bench_open(&b, NIGHTLY SIMPLE(""));
    report(&b, crashed("run_0", "etl-a", MUTED + MINUTE));
    assert_int_equal(b.said.n, 0);
    change(&b, compile(&b, rules));
    tick(&b);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static const char without_mute[] = "schedules:\n  nightly: {days: all, hours: 01:00-04:00, zone: UTC}\n" SIMPLE("");
static const char narrower_mute[] =
    "schedules:\n  nightly: {days: all, hours: 01:00-04:00, zone: UTC}\nmutes:\n  rebuild: {when: {task: etl-b}, during: nightly, why: planned}\n" SIMPLE("");

static void test_a_mute_goes_in_a_reload(void **state)
{
    (void)state;
    mute_goes(reload, without_mute);
}

static void test_a_mute_goes_while_nobody_ran(void **state)
{
    (void)state;
    mute_goes(restart, without_mute);
}

static void test_a_mute_is_about_other_runs_after_a_reload(void **state)
{
    (void)state;
    mute_goes(reload, narrower_mute);
}

static void test_a_mute_is_about_other_runs_after_a_restart(void **state)
{
    (void)state;
    mute_goes(restart, narrower_mute);
}

/* What ends in the same reload is not told first, only because what it stood behind has ended, too. */
static void ends_both(change_fn change)
{
    struct bench b;
    bench_open(&b, BEHIND);
    report(&b, DOWN("run_0", 0));
    report(&b, FAILED("run_1", MINUTE));
    change(&b, compile(&b, "rules:\n  other:\n    when: {status: EXPIRED}\n    notify: chat\n"));
    tick(&b);
    assert_int_equal(count_said(&b, "chat", -1), 0);
    assert_int_equal(count_said(&b, "pager", MESSAGE_RESOLVE), 1);
    assert_int_equal(engine_stats(b.e).incidents_held, 0);
    bench_close(&b);
}

static void test_a_reload_that_ends_both(void **state)
{
    (void)state;
    ends_both(reload);
}

static void test_a_restart_that_ends_both(void **state)
{
    (void)state;
    ends_both(restart);
}

/* One thing that held it goes, another comes: it never was free. */
static void one_for_another(change_fn change)
{
    struct bench b;
    bench_open(&b, BUSINESS BEHIND);
    report(&b, DOWN("run_0", EVENING));
    report(&b, FAILED("run_1", EVENING + MINUTE));
    change(&b, compile(&b, BUSINESS "rules:\n  tail:\n    when: {status: failed, not: {status: SYSTEM_FAILURE}}\n    during: business\n    notify: chat\n    linger: 0s\n"));
    until(&b, MORNING - 1);
    assert_int_equal(count_said(&b, "chat", -1), 0);
    until(&b, MORNING);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_a_reload_that_holds_by_something_else(void **state)
{
    (void)state;
    one_for_another(reload);
}

static void test_a_restart_that_holds_by_something_else(void **state)
{
    (void)state;
    one_for_another(restart);
}

/* Several that a reload lets go are told together, whichever way they were held. */
static void test_a_reload_tells_in_one_digest(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BEHIND);
    report(&b, DOWN("run_0", 0));
    report(&b, crashed("run_1", "a", MINUTE));
    report(&b, crashed("run_2", "b", MINUTE));
    reload(&b, compile(&b, TAIL_ALONE));
    tick(&b);
    assert_int_equal(count_said(&b, "chat", MESSAGE_DIGEST), 1);
    assert_int_equal(count_said(&b, "chat", -1), 1);
    bench_close(&b);
}

/* --- hits that were marked, or not ---------------------------------------------------------------------------------- */
#define BY_ENV(more) "rules:\n  r:\n    when: {status: failed}\n    by: env\n    notify: chat\n" more

static void marks_stay(change_fn change)
{
    struct bench b;
    bench_open(&b, BY_ENV(""));
    silence(&b, "{task: a}", HOUR);
    silence(&b, "{task: b}", 2 * HOUR);
    report(&b, crashed("run_0", "a", MINUTE));
    report(&b, crashed("run_1", "b", MINUTE));
    change(&b, b.rules);
    tick(&b);
    until(&b, HOUR - 1);
    assert_int_equal(b.said.n, 0);
    until(&b, HOUR); /* nothing holds the hit of a any more */
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_marks_outlive_a_reload(void **state)
{
    (void)state;
    marks_stay(reload);
}

static void test_marks_outlive_a_restart(void **state)
{
    (void)state;
    marks_stay(restart);
}

static void no_marks_stay(change_fn change)
{
    struct bench b;
    bench_open(&b, BY_ENV("    wait: 10m\n"));
    silence(&b, "{task: a}", 3 * HOUR);
    report(&b, crashed("run_0", "other", MINUTE));
    report(&b, crashed("run_1", "a", 2 * MINUTE));
    change(&b, b.rules);
    until(&b, 11 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_a_hit_without_a_mark_outlives_a_reload(void **state)
{
    (void)state;
    no_marks_stay(reload);
}

static void test_a_hit_without_a_mark_outlives_a_restart(void **state)
{
    (void)state;
    no_marks_stay(restart);
}

static void another_silence(struct bench *b, const struct ruleset *rules)
{
    (void)rules;
    silence(b, "{task: elsewhere}", 5 * HOUR);
}

static void test_a_silence_of_others_changes_no_marks(void **state)
{
    (void)state;
    marks_stay(another_silence);
    no_marks_stay(another_silence);
}

/* Who silences it anew before the old silence ends wants it silent for as long. */
static void test_a_second_silence_takes_over_from_the_first(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BY_ENV(""));
    silence(&b, "{task: a}", HOUR);
    report(&b, crashed("run_0", "a", MINUTE));
    until(&b, 30 * MINUTE);
    silence(&b, "{task: a}", 2 * HOUR); /* until 2:30 */
    until(&b, 2 * HOUR + 30 * MINUTE - 1);
    assert_int_equal(b.said.n, 0);
    until(&b, 2 * HOUR + 30 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

/* ... but says nothing of what another silence marked. */
static void test_a_second_silence_leaves_the_marks_of_other_hits(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BY_ENV(""));
    silence(&b, "{task: a}", HOUR);
    silence(&b, "{task: b}", HOUR);
    report(&b, crashed("run_0", "a", MINUTE));
    report(&b, crashed("run_1", "b", MINUTE));
    until(&b, 30 * MINUTE);
    silence(&b, "{task: b}", 2 * HOUR);
    until(&b, HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

/* As a version before silences, switches and hours wrote it. */
static void test_an_incident_of_an_older_version(void **state)
{
    struct bench b;
    struct engine *e;
    struct err err;
    struct engine_output out;
    struct engine_incident_row row = { .id = UINT64_C(1853486702504443904), .project = STR("default"), .env = STR("prod"), .rule = STR("r"), .key = STR("job"),
                                       .state = INCIDENT_OPEN, .opened_ms = start_ms, .hits = 1, .runs = 1 };
    (void)state;
    bench_open(&b, SIMPLE("    repeat: 1h\n    escalate: {2h: pager}\n"));
    report(&b, FAILED("run_0", 0)); /* its detail is what the older version kept, too */
    row.id = first(&b);
    row.state_blob = str_printf(&b.a,
                                "{\"shape\":\"%s\",\"first\":%lld,\"hit\":%lld,\"event\":%lld,\"spoke\":%lld,\"due\":[null,null,%lld,null,null,null,null],"
                                "\"told\":[[\"chat\",null,0,0,1]],\"steps\":[[%lld,7200000,\"pager\",null]],\"step_next\":0,\"repeat_next\":0,\"state\":8,"
                                "\"first_run\":\"run_0\",\"run\":\"run_0\",\"runs\":[1]}",
                                b.rules->rules[0]->shape, (long long)start_ms, (long long)start_ms, (long long)start_ms, (long long)start_ms,
                                (long long)start_ms + HOUR, (long long)start_ms + 2 * HOUR);
    e = bench_engine(&b, b.rules);
    assert_int_equal(engine_restore_incident(e, &row, &err), 0);
    assert_int_equal(engine_restore_cell(e, &(struct engine_cell_row){ STR("gates"), STR("[1767614400000]") }, &err), 0);
    engine_free(&b.e);
    b.e = e;
    engine_output_init(&out, &b.a);
    assert_int_equal(engine_restored(e, b.now_ms, &out, &err), 0);
    engine_output_fini(&out);
    until(&b, HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    silence(&b, "{task: job}", HOUR);
    until(&b, 2 * HOUR);
    assert_int_equal(count_said(&b, "pager", -1), 0);
    until(&b, 3 * HOUR);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    bench_close(&b);
}

/* --- clocks ---------------------------------------------------------------------------------------------------------- */
static void test_waits_of_a_reload_outlive_a_restart(void **state)
{
    struct bench b;
    struct ruleset *shorter;
    (void)state;
    bench_open(&b, SIMPLE("    repeat: 4h\n    resolve: manual\n"));
    report(&b, FAILED("run_0", 0));
    shorter = compile(&b, SIMPLE("    repeat: 10m\n    resolve: manual\n"));
    until(&b, MINUTE);
    reload(&b, shorter);
    restart(&b, shorter);
    until(&b, 10 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    bench_close(&b);
}

static void test_waits_of_a_reload_stand_still_while_held(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    repeat: 4h\n    resolve: manual\n"));
    report(&b, FAILED("run_0", 0));
    silence(&b, "{status: failed}", 10 * HOUR);
    until(&b, 5 * HOUR);
    reload(&b, compile(&b, SIMPLE("    repeat: 1h\n    resolve: manual\n")));
    until(&b, 11 * HOUR - 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 0);
    until(&b, 11 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unless_goes_in_a_reload),
        cmocka_unit_test(test_unless_goes_while_nobody_ran),
        cmocka_unit_test(test_hours_go_in_a_reload),
        cmocka_unit_test(test_hours_go_while_nobody_ran),
        cmocka_unit_test(test_hours_come_in_a_reload),
        cmocka_unit_test(test_hours_come_while_nobody_ran),
        cmocka_unit_test(test_a_mute_comes_in_a_reload),
        cmocka_unit_test(test_a_mute_comes_while_nobody_ran),
        cmocka_unit_test(test_a_mute_goes_in_a_reload),
        cmocka_unit_test(test_a_mute_goes_while_nobody_ran),
        cmocka_unit_test(test_a_mute_is_about_other_runs_after_a_reload),
        cmocka_unit_test(test_a_mute_is_about_other_runs_after_a_restart),
        cmocka_unit_test(test_a_reload_that_ends_both),
        cmocka_unit_test(test_a_restart_that_ends_both),
        cmocka_unit_test(test_a_reload_that_holds_by_something_else),
        cmocka_unit_test(test_a_restart_that_holds_by_something_else),
        cmocka_unit_test(test_a_reload_tells_in_one_digest),
        cmocka_unit_test(test_marks_outlive_a_reload),
        cmocka_unit_test(test_marks_outlive_a_restart),
        cmocka_unit_test(test_a_hit_without_a_mark_outlives_a_reload),
        cmocka_unit_test(test_a_hit_without_a_mark_outlives_a_restart),
        cmocka_unit_test(test_a_silence_of_others_changes_no_marks),
        cmocka_unit_test(test_a_second_silence_takes_over_from_the_first),
        cmocka_unit_test(test_a_second_silence_leaves_the_marks_of_other_hits),
        cmocka_unit_test(test_an_incident_of_an_older_version),
        cmocka_unit_test(test_waits_of_a_reload_outlive_a_restart),
        cmocka_unit_test(test_waits_of_a_reload_stand_still_while_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
