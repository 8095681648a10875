/* The rule language's section 5, "Events and windows": a test for each thing it says, judged from its text. */
#include "story.h"

#define R(body) "rules: {r: {" body ", notify: hook}}"
#define COUNT_3 "when: {status: failed}, count: 3 in 10m"

/* --- the values of `defaults` in section 2 are the built-in ones, with `linger: 5m` (0s when `run` is in `by`) ------------ */
static void by_is_task_and_the_first_hit_is_told_at_once(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}"));
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "2m", "{run: run_b, task: sync, status: FAILED}");
    happens(&s, "3m", "{run: run_c, task: mail, status: FAILED}");
    came(&s, "1m open r sync -> hook", "1m opened r sync", "3m open r mail -> hook", "3m opened r mail");
    story_end(&s);
}

static void at_most_one_edit_in_30s(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "rules: {r: {when: {status: failed}, notify: chat}}");
    happens(&s, "0s", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "1s", "{run: run_b, task: sync, status: FAILED}");
    happens(&s, "29s", "{run: run_c, task: sync, status: FAILED}");
    happens(&s, "31s", "{run: run_d, task: sync, status: FAILED}");
    happens(&s, "59s", "{run: run_e, task: sync, status: FAILED}");
    passes(&s, "2m");
    came(&s, "0s open r sync -> chat", "0s opened r sync", "30s update r sync -> chat", "1m update r sync -> chat");
    story_end(&s);
}

static void a_reminder_every_4h_while_open(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}"));
    happens(&s, "0s", "{run: run_a, task: sync, status: FAILED}");
    passes(&s, "12h");
    came(&s, "0s open r sync -> hook", "0s opened r sync", "4h reminder r sync -> hook", "8h reminder r sync -> hook", "12h reminder r sync -> hook");
    story_end(&s);
}

static void success_resolves_after_5m(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}"));
    happens(&s, "0s", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "10m", "{run: run_b, task: sync, status: COMPLETED, started: 9m}");
    passes(&s, "1h");
    came(&s, "0s open r sync -> hook", "0s opened r sync", "15m resolve r sync -> hook", "15m resolved r sync");
    story_end(&s);
}

static void a_day_without_a_hit_resolves(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}, repeat: never"));
    happens(&s, "0s", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "2h", "{run: run_b, task: sync, status: FAILED}");
    passes(&s, "25h59m");
    came(&s, "0s open r sync -> hook", "0s opened r sync");
    passes(&s, "27h");
    assert_int_equal(state_of(&s.b, incident_of(&s, "r sync")), INCIDENT_RESOLVED);
    story_end(&s);
}

static void twenty_openings_in_a_minute_and_one_digest(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}"));
    for (int k = 0; k < 25; k++) happens(&s, "10s", str_printf(&s.b.a, "{run: run_%d, task: task-%d, status: FAILED}", k, k).p);
    assert_int_equal(count_said(&s.b, "hook", MESSAGE_OPEN), 20);
    assert_int_equal(count_said(&s.b, "hook", MESSAGE_DIGEST), 1);
    story_end(&s);
}

static void with_run_in_by_nothing_lingers(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: REATTEMPTING}, by: run"));
    happens(&s, "0s", "{run: run_a, task: sync, status: REATTEMPTING, attempt: 2}");
    happens(&s, "10m", "{run: run_a, status: COMPLETED}");
    came(&s, "0s open r run_a -> hook", "0s opened r run_a", "10m resolve r run_a -> hook", "10m resolved r run_a");
    story_end(&s);
}

/* --- Events and windows, 1st line: windows are exact and sliding, by event time -------------------------------------------- */
static void windows_are_exact(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R(COUNT_3));
    happens(&s, "0s", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "5m", "{run: run_b, task: sync, status: FAILED}");
    happens(&s, "10m1ms", "{run: run_c, task: sync, status: FAILED}");
    nothing_came(&s);
    happens(&s, "14m59s999ms", "{run: run_d, task: sync, status: FAILED}");
    came(&s, "14m59s999ms open r sync -> hook", "14m59s999ms opened r sync");
    story_end(&s);
}

static void windows_slide(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R(COUNT_3));
    happens(&s, "9m", "{run: run_a, task: sync, status: FAILED}"); /* no boundary at 10m divides them */
    happens(&s, "10m", "{run: run_b, task: sync, status: FAILED}");
    happens(&s, "11m", "{run: run_c, task: sync, status: FAILED}");
    came(&s, "11m open r sync -> hook", "11m opened r sync");
    story_end(&s);
}

static void the_time_of_a_final_state_is_finished_at(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R(COUNT_3));
    happens(&s, "30m", "{run: run_a, task: sync, status: FAILED, finished: 1m, updated: 30m}");
    happens(&s, "30m", "{run: run_b, task: sync, status: FAILED, finished: 12m, updated: 30m}");
    happens(&s, "30m", "{run: run_c, task: sync, status: FAILED, finished: 29m, updated: 30m}");
    nothing_came(&s);
    happens(&s, "30m", "{run: run_d, task: sync, status: FAILED, finished: 3m, updated: 30m}"); /* 1m, 3m, 12m: no */
    nothing_came(&s);
    happens(&s, "30m", "{run: run_e, task: sync, status: FAILED, finished: 10m, updated: 30m}"); /* 3m, 10m, 12m */
    came(&s, "30m open r sync -> hook", "30m opened r sync");
    story_end(&s);
}

#define ATTEMPTS(now_, second, third) \
    "{\"id\":\"run_a\",\"taskIdentifier\":\"sync\",\"status\":\"EXECUTING\",\"createdAt\":\"2026-01-05T12:00:00Z\",\"updatedAt\":\"" now_ "\"," \
    "\"attempts\":[{\"startedAt\":\"2026-01-05T12:00:01Z\"},{\"startedAt\":\"" second "\"},{\"startedAt\":\"" third "\"}]}"
static void the_time_of_a_retry_is_its_attempts_start(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: REATTEMPTING}, count: 2 in 10m, by: run"));
    happens_json(&s, "30m", ATTEMPTS("2026-01-05T12:30:00Z", "2026-01-05T12:05:00Z", "2026-01-05T12:20:00Z"));
    nothing_came(&s); /* told in one moment, but a quarter of an hour apart */
    story_end(&s);
    story_begin(&s, R("when: {status: REATTEMPTING}, count: 2 in 10m, by: run"));
    happens_json(&s, "30m", ATTEMPTS("2026-01-05T12:30:00Z", "2026-01-05T12:12:00Z", "2026-01-05T12:20:00Z"));
    came(&s, "30m open r run_a -> hook", "30m opened r run_a");
    story_end(&s);
}

static void the_time_of_a_retry_without_a_start_is_updated_at(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: REATTEMPTING}, count: 2 in 10m, by: run"));
    happens(&s, "30m", "{run: run_a, task: sync, status: REATTEMPTING, attempt: 2, updated: 1m}");
    happens(&s, "30m", "{run: run_a, status: REATTEMPTING, attempt: 3, updated: 12m}");
    nothing_came(&s);
    happens(&s, "30m", "{run: run_a, status: REATTEMPTING, attempt: 4, updated: 21m}");
    came(&s, "30m open r run_a -> hook", "30m opened r run_a");
    story_end(&s);
}

static void a_time_in_the_future_is_five_minutes_after_arrival(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}, count: 2 in 10m"));
    happens(&s, "0s", "{run: run_a, task: sync, status: FAILED, finished: 3h}");   /* counts at 5m */
    happens(&s, "0s", "{run: run_m, task: mail, status: FAILED, finished: 4m}");   /* a clock that goes before is believed */
    happens(&s, "14m30s", "{run: run_n, task: mail, status: FAILED}");
    happens(&s, "14m59s", "{run: run_b, task: sync, status: FAILED}");
    came(&s, "14m59s open r sync -> hook", "14m59s opened r sync");
    story_end(&s);
    story_begin(&s, R("when: {status: failed}, count: 2 in 10m"));
    happens(&s, "0s", "{run: run_a, task: sync, status: FAILED, finished: 20m}");
    happens(&s, "15m1s", "{run: run_b, task: sync, status: FAILED}");
    nothing_came(&s);
    story_end(&s);
}

static void late_events_are_placed_where_they_belong(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R(COUNT_3));
    happens(&s, "5m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "13m", "{run: run_b, task: sync, status: FAILED}");
    happens(&s, "40m", "{run: run_c, task: sync, status: FAILED}");
    nothing_came(&s);
    happens(&s, "41m", "{run: run_d, task: sync, status: FAILED, finished: 9m}");
    came(&s, "41m open r sync -> hook", "41m opened r sync");
    story_end(&s);
}

static void and_do_not_stretch_a_window(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R(COUNT_3));
    happens(&s, "5m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "15m1s", "{run: run_b, task: sync, status: FAILED}");
    happens(&s, "16m", "{run: run_c, task: sync, status: FAILED, finished: 9m}"); /* near to both, but they are too far apart */
    nothing_came(&s);
    story_end(&s);
}

static void a_late_report_never_moves_a_runs_state_back(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: EXECUTING}, lasts: 30m"));
    happens(&s, "0s", "{run: run_a, task: sync, status: QUEUED}");
    happens(&s, "20m", "{run: run_a, status: COMPLETED}");
    happens(&s, "21m", "{run: run_a, status: EXECUTING, updated: 1m}");
    passes(&s, "5h");
    nothing_came(&s);
    story_end(&s);
    story_begin(&s, R("when: {status: QUEUED}, lasts: 30m"));
    happens(&s, "10m", "{run: run_a, task: sync, status: EXECUTING}");
    happens(&s, "11m", "{run: run_a, status: QUEUED, updated: 1m}"); /* it executes, whatever is told late */
    passes(&s, "5h");
    nothing_came(&s);
    story_end(&s);
}

static void the_window_is_not_consumed_by_an_opening(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R(COUNT_3 ", resolve: clears, linger: 0s"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "1m", "{run: run_b, task: sync, status: FAILED}");
    happens(&s, "2m", "{run: run_c, task: sync, status: FAILED}");
    happens(&s, "9m", "{run: run_d, task: sync, status: FAILED}");
    passes(&s, "10m59s"); /* 1m, 2m and 9m are three, two of them of before the opening */
    came(&s, "2m open r sync -> hook", "2m opened r sync");
    passes(&s, "11m1s");
    assert_int_equal(state_of(&s.b, incident_of(&s, "r sync")), INCIDENT_RESOLVED);
    story_end(&s);
}

static void an_incident_absorbs_further_hits(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R(COUNT_3 ", repeat: never"));
    happen(&s, "1m", 9, "x", "task: sync, status: FAILED");
    happens(&s, "3h", "{run: run_b, task: sync, status: FAILED}"); /* one alone, and the incident is open */
    happens(&s, "4h", "{run: run_c, task: sync, status: COMPLETED, started: 150m}"); /* not after the last hit */
    passes(&s, "5h");
    came(&s, "1m open r sync -> hook", "1m opened r sync");
    assert_int_equal(s.b.rows.v[s.b.rows.n - 1].hits, 10);
    story_end(&s);
}

static void a_resolve_empties_the_window(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R(COUNT_3 ", linger: 0s"));
    happen(&s, "1m", 3, "x", "task: sync, status: FAILED");
    happens(&s, "3m", "{run: run_s, task: sync, status: COMPLETED, started: 2m}");
    forget(&s);
    happen(&s, "4m", 2, "y", "task: sync, status: FAILED");
    nothing_came(&s);
    happens(&s, "5m", "{run: run_z, task: sync, status: FAILED}");
    came(&s, "5m open r sync -> hook", "5m opened r sync");
    story_end(&s);
}

static void a_resolve_by_hand_empties_the_window(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R(COUNT_3));
    happen(&s, "1m", 3, "x", "task: sync, status: FAILED");
    resolved_by_hand(&s, "2m", "r sync");
    forget(&s);
    happen(&s, "4m", 2, "y", "task: sync, status: FAILED");
    nothing_came(&s);
    story_end(&s);
}

static void a_resolve_empties_the_window_of_its_key_alone(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R(COUNT_3 ", linger: 0s"));
    happen(&s, "1m", 3, "x", "task: sync, status: FAILED");
    happen(&s, "1m", 2, "y", "task: mail, status: FAILED");
    happens(&s, "3m", "{run: run_s, task: sync, status: COMPLETED, started: 2m}");
    forget(&s);
    happens(&s, "4m", "{run: run_z, task: mail, status: FAILED}");
    came(&s, "4m open r mail -> hook", "4m opened r mail");
    story_end(&s);
}

static void with_resolve_clears_the_window_stays(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R(COUNT_3 ", resolve: [clears, success], linger: 0s"));
    happen(&s, "1m", 3, "x", "task: sync, status: FAILED");
    happens(&s, "3m", "{run: run_s, task: sync, status: COMPLETED, started: 2m}");
    came(&s, "1m open r sync -> hook", "1m opened r sync", "3m resolve r sync -> hook", "3m resolved r sync");
    happens(&s, "4m", "{run: run_y, task: sync, status: FAILED}");
    came(&s, "4m open r sync -> hook", "4m opened r sync");
    story_end(&s);
}

static void with_first_the_memory_of_the_key_stays(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}, first: 7d, linger: 0s, repeat: never"));
    happens(&s, "0s", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "1h", "{run: run_s, task: sync, status: COMPLETED, started: 30m}");
    forget(&s);
    happens(&s, "2d", "{run: run_b, task: sync, status: FAILED}");
    happens(&s, "8d", "{run: run_c, task: sync, status: FAILED}");
    nothing_came(&s);
    happens(&s, "16d", "{run: run_d, task: sync, status: FAILED}");
    came(&s, "16d open r sync -> hook", "16d opened r sync");
    story_end(&s);
}

/* --- 2nd line: the clocks of an incident count from arrival ---------------------------------------------------------------- */
static void what_is_a_month_old_rings_and_says_so(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}"));
    happens(&s, "31d", "{run: run_a, task: sync, status: FAILED, finished: 1d}");
    came(&s, "31d open r sync -> hook", "31d opened r sync");
    says(&s, "hook", "4w 2d after it happened");
    story_end(&s);
}

static void what_is_on_time_is_not_called_late(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}"));
    happens(&s, "31d", "{run: run_a, task: sync, status: FAILED}");
    assert_false(strstr(text_to(&s, "hook"), "late") != NULL);
    story_end(&s);
}

static void wait_escalate_repeat_and_quiet_count_from_arrival(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}, wait: 1m, escalate: {15m: pager}, repeat: 20h, linger: 0s"));
    happens(&s, "31d", "{run: run_a, task: sync, status: FAILED, finished: 1d}");
    passes(&s, "33d");
    came(&s, "31d opened r sync", "31d1m open r sync -> hook", "31d15m escalation r sync -> pager", "31d20h reminder r sync -> hook",
         "31d20h reminder r sync -> pager", "32d resolve r sync -> hook", "32d resolve r sync -> pager", "32d resolved r sync");
    story_end(&s);
}

static void update_and_linger_count_from_arrival(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "rules: {r: {when: {status: failed}, notify: chat}}");
    happens(&s, "31d", "{run: run_a, task: sync, status: FAILED, finished: 1d}");
    happens(&s, "31d10s", "{run: run_b, task: sync, status: FAILED, finished: 2d}");
    passes(&s, "31d1m");
    came(&s, "31d open r sync -> chat", "31d opened r sync", "31d30s update r sync -> chat");
    happens(&s, "31d2m", "{run: run_s, task: sync, status: COMPLETED, started: 3d, finished: 4d}");
    passes(&s, "31d6m59s");
    nothing_came(&s);
    passes(&s, "31d7m");
    assert_int_equal(state_of(&s.b, incident_of(&s, "r sync")), INCIDENT_RESOLVED);
    story_end(&s);
}

/* --- 3rd line: a late hit whose success is known already ------------------------------------------------------------------- */
#define LATE_RETRY "when: {status: REATTEMPTING}, by: run"
static void tell_a_cured_retry(struct story *s, const char *rules)
{
    story_begin(s, rules);
    happens(s, "0s", "{run: run_a, task: sync, status: EXECUTING, attempt: 1}");
    happens(s, "10m", "{run: run_a, status: COMPLETED}");
    happens(s, "12m", "{run: run_a, status: REATTEMPTING, attempt: 2, updated: 5m}");
}

static void a_late_hit_that_was_cured_is_one_message(void **state)
{
    struct story s;
    (void)state;
    tell_a_cured_retry(&s, R(LATE_RETRY));
    passes(&s, "2d");
    assert_int_equal(s.b.said.n, 1);
    says(&s, "hook", "succeeded since");
    assert_int_equal(count_notes(&s.b, "opened"), 1);
    assert_int_equal(state_of(&s.b, incident_of(&s, "r run_a")), INCIDENT_RESOLVED);
    story_end(&s);
}

static void a_late_hit_that_was_cured_is_silent_with_wait(void **state)
{
    struct story s;
    (void)state;
    tell_a_cured_retry(&s, R(LATE_RETRY ", wait: 1s"));
    passes(&s, "2d");
    came(&s, "12m opened r run_a", "12m resolved r run_a");
    story_end(&s);
}

static void a_late_hit_whose_run_failed_is_not_cured(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R(LATE_RETRY));
    happens(&s, "0s", "{run: run_a, task: sync, status: EXECUTING, attempt: 1}");
    happens(&s, "10m", "{run: run_a, status: FAILED}");
    happens(&s, "12m", "{run: run_a, status: REATTEMPTING, attempt: 2, updated: 5m}");
    came(&s, "12m open r run_a -> hook", "12m opened r run_a");
    story_end(&s);
}

/* --- 4th line: kinds and test runs ------------------------------------------------------------------------------------------- */
static void a_rule_that_names_no_kind_is_about_runs(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "rules: {r: {when: {status: failed}, by: env, notify: hook}, d: {when: {status: failed, kind: deployment}, by: env, notify: hook}, "
                    "e: {when: {kind: error}, by: env, notify: hook}, all: {when: {kind: [run, deployment, error], status: failed}, by: env, notify: pager}}");
    happens(&s, "1m", "{run: dep_a, kind: deployment, status: FAILED}");
    came(&s, "1m open all - -> pager", "1m open d - -> hook", "1m opened all -", "1m opened d -");
    happens(&s, "2m", "{run: err_a, kind: error, status: FAILED}");
    came(&s, "2m open e - -> hook", "2m opened e -");
    happens(&s, "3m", "{run: run_a, task: sync, status: FAILED}");
    came(&s, "3m open r - -> hook", "3m opened r -");
    story_end(&s);
}

static void test_runs_match_unless_test_is_false(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "rules: {r: {when: {status: failed}, notify: hook}, real: {when: {status: failed, test: false}, notify: hook}, "
                    "tests: {when: {status: failed, test: true}, notify: hook}}");
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED, test: true}");
    came(&s, "1m open r sync -> hook", "1m open tests sync -> hook", "1m opened r sync", "1m opened tests sync");
    happens(&s, "2m", "{run: run_b, task: mail, status: FAILED, test: false}");
    came(&s, "2m open r mail -> hook", "2m open real mail -> hook", "2m opened r mail", "2m opened real mail");
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_is_task_and_the_first_hit_is_told_at_once),
        cmocka_unit_test(at_most_one_edit_in_30s),
        cmocka_unit_test(a_reminder_every_4h_while_open),
        cmocka_unit_test(success_resolves_after_5m),
        cmocka_unit_test(a_day_without_a_hit_resolves),
        cmocka_unit_test(twenty_openings_in_a_minute_and_one_digest),
        cmocka_unit_test(with_run_in_by_nothing_lingers),
        cmocka_unit_test(windows_are_exact),
        cmocka_unit_test(windows_slide),
        cmocka_unit_test(the_time_of_a_final_state_is_finished_at),
        cmocka_unit_test(the_time_of_a_retry_is_its_attempts_start),
        cmocka_unit_test(the_time_of_a_retry_without_a_start_is_updated_at),
        cmocka_unit_test(a_time_in_the_future_is_five_minutes_after_arrival),
        cmocka_unit_test(late_events_are_placed_where_they_belong),
        cmocka_unit_test(and_do_not_stretch_a_window),
        cmocka_unit_test(a_late_report_never_moves_a_runs_state_back),
        cmocka_unit_test(the_window_is_not_consumed_by_an_opening),
        cmocka_unit_test(an_incident_absorbs_further_hits),
        cmocka_unit_test(a_resolve_empties_the_window),
        cmocka_unit_test(a_resolve_by_hand_empties_the_window),
        cmocka_unit_test(a_resolve_empties_the_window_of_its_key_alone),
        cmocka_unit_test(with_resolve_clears_the_window_stays),
        cmocka_unit_test(with_first_the_memory_of_the_key_stays),
        cmocka_unit_test(what_is_a_month_old_rings_and_says_so),
        cmocka_unit_test(what_is_on_time_is_not_called_late),
        cmocka_unit_test(wait_escalate_repeat_and_quiet_count_from_arrival),
        cmocka_unit_test(update_and_linger_count_from_arrival),
        cmocka_unit_test(a_late_hit_that_was_cured_is_one_message),
        cmocka_unit_test(a_late_hit_that_was_cured_is_silent_with_wait),
        cmocka_unit_test(a_late_hit_whose_run_failed_is_not_cured),
        cmocka_unit_test(a_rule_that_names_no_kind_is_about_runs),
        cmocka_unit_test(test_runs_match_unless_test_is_false),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
