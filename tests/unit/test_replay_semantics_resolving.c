/* The rule language's section 5, "Resolving": a test for each thing it says, judged from its text. */
#include "story.h"

#define R(body) "rules: {r: {" body ", notify: hook}}"
#define FAILS(more) R("when: {status: failed}, repeat: never" more)

/* --- 1st line: which success counts ------------------------------------------------------------------------------------------ */
static void a_success_that_started_before_the_last_hit_does_not_count(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", linger: 0s"));
    happens(&s, "5m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    happens(&s, "6m", "{run: run_b, task: sync, status: COMPLETED, started: 4m59s}");
    nothing_came(&s);
    happens(&s, "7m", "{run: run_c, task: sync, status: COMPLETED, started: 5m1s}");
    came(&s, "7m resolve r sync -> hook", "7m resolved r sync");
    story_end(&s);
}

static void it_is_the_last_hit_that_counts(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", linger: 0s"));
    happens(&s, "5m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "8m", "{run: run_b, task: sync, status: FAILED}");
    forget(&s);
    happens(&s, "9m", "{run: run_c, task: sync, status: COMPLETED, started: 6m}");
    nothing_came(&s);
    story_end(&s);
}

static void the_hits_own_run_counts_whenever_it_started(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: REATTEMPTING}, repeat: never, linger: 0s"));
    happens(&s, "5m", "{run: run_a, task: sync, status: REATTEMPTING, attempt: 2, started: 1m}");
    forget(&s);
    happens(&s, "6m", "{run: run_b, task: sync, status: COMPLETED, started: 2m}"); /* another run, which started before */
    nothing_came(&s);
    happens(&s, "7m", "{run: run_a, status: COMPLETED, started: 1m}");
    came(&s, "7m resolve r sync -> hook", "7m resolved r sync");
    story_end(&s);
}

static void a_success_of_another_key_does_not_count(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}, repeat: never, linger: 0s, by: [task, version]"));
    happens(&s, "5m", "{run: run_a, task: sync, version: v1, status: FAILED}");
    forget(&s);
    happens(&s, "7m", "{run: run_b, task: sync, version: v2, status: COMPLETED, started: 6m}");
    happens(&s, "8m", "{run: run_c, task: sync, env: prod, version: v1, status: COMPLETED, started: 6m}");
    nothing_came(&s);
    happens(&s, "9m", "{run: run_d, task: sync, version: v1, status: COMPLETED, started: 6m}");
    came(&s, "9m resolve r sync/v1 -> hook", "9m resolved r sync/v1");
    story_end(&s);
}

static void n_successes_are_consecutive(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", linger: 0s, resolve: 3 successes"));
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    happens(&s, "3m", "{run: run_b, task: sync, status: COMPLETED, started: 2m}");
    happens(&s, "5m", "{run: run_c, task: sync, status: COMPLETED, started: 4m}");
    happens(&s, "6m", "{run: run_d, task: sync, status: FAILED}");
    happens(&s, "8m", "{run: run_e, task: sync, status: COMPLETED, started: 7m}");
    happens(&s, "10m", "{run: run_f, task: sync, status: COMPLETED, started: 9m}");
    nothing_came(&s);
    happens(&s, "12m", "{run: run_g, task: sync, status: COMPLETED, started: 11m}");
    came(&s, "12m resolve r sync -> hook", "12m resolved r sync");
    story_end(&s);
}

static void a_failure_that_is_no_hit_breaks_the_successes_too(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: CRASHED}, repeat: never, linger: 0s, resolve: 2 successes"));
    happens(&s, "1m", "{run: run_a, task: sync, status: CRASHED}");
    forget(&s);
    happens(&s, "3m", "{run: run_b, task: sync, status: COMPLETED, started: 2m}");
    happens(&s, "4m", "{run: run_c, task: sync, status: FAILED}");
    happens(&s, "6m", "{run: run_d, task: sync, status: COMPLETED, started: 5m}");
    nothing_came(&s);
    story_end(&s);
}

static void a_hit_that_is_no_failure_breaks_the_successes_too(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: REATTEMPTING}, repeat: never, linger: 0s, resolve: 2 successes"));
    happens(&s, "1m", "{run: run_a, task: sync, status: REATTEMPTING, attempt: 2}");
    forget(&s);
    happens(&s, "3m", "{run: run_b, task: sync, status: COMPLETED, started: 2m}");
    happens(&s, "4m", "{run: run_a, status: REATTEMPTING, attempt: 3}");
    happens(&s, "6m", "{run: run_c, task: sync, status: COMPLETED, started: 5m}");
    nothing_came(&s);
    happens(&s, "8m", "{run: run_d, task: sync, status: COMPLETED, started: 7m}");
    came(&s, "8m resolve r sync -> hook", "8m resolved r sync");
    story_end(&s);
}

static void one_success_of_the_task_closes_all_its_errors(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}, repeat: never, linger: 0s, by: [task, error.name]"));
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED, error: {name: A, message: a}}");
    happens(&s, "2m", "{run: run_b, task: sync, status: FAILED, error: {name: B, message: b}}");
    happens(&s, "2m", "{run: run_c, task: mail, status: FAILED, error: {name: A, message: a}}");
    forget(&s);
    happens(&s, "4m", "{run: run_d, task: sync, status: COMPLETED, started: 3m}");
    came(&s, "4m resolve r sync/A -> hook", "4m resolve r sync/B -> hook", "4m resolved r sync/A", "4m resolved r sync/B");
    story_end(&s);
}

/* --- 2nd line: with `run` in `by` ---------------------------------------------------------------------------------------------- */
#define RETRIES(more, to) "rules: {r: {when: {status: REATTEMPTING}, by: run" more ", notify: " to "}}"
static void another_runs_success_means_nothing(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, RETRIES(", repeat: never", "hook"));
    happens(&s, "1m", "{run: run_a, task: sync, status: REATTEMPTING, attempt: 2}");
    forget(&s);
    happens(&s, "3m", "{run: run_b, task: sync, status: COMPLETED, started: 2m}");
    nothing_came(&s);
    story_end(&s);
}

static void a_final_failure_of_the_run_is_an_update(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, RETRIES(", repeat: never", "chat"));
    happens(&s, "1m", "{run: run_a, task: sync, status: REATTEMPTING, attempt: 2}");
    forget(&s);
    happens(&s, "3m", "{run: run_a, status: FAILED}");
    came(&s, "3m update r run_a -> chat");
    says(&s, "chat", "ended as FAILED");
    story_end(&s);
}

static void it_ends_reminders_and_leaves_due_escalations_due(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, RETRIES(", repeat: 10m, escalate: {1h: pager}", "hook"));
    happens(&s, "0m", "{run: run_a, task: sync, status: REATTEMPTING, attempt: 2}");
    happens(&s, "15m", "{run: run_a, status: FAILED}");
    passes(&s, "20h");
    came(&s, "0s open r run_a -> hook", "0s opened r run_a", "10m reminder r run_a -> hook", "1h escalation r run_a -> pager");
    story_end(&s);
}

static void it_resolves_at_24h_quiet(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, RETRIES(", resolve: success", "hook"));
    happens(&s, "0m", "{run: run_a, task: sync, status: REATTEMPTING, attempt: 2}");
    happens(&s, "15m", "{run: run_a, status: CRASHED}");
    passes(&s, "23h59m");
    forget(&s);
    passes(&s, "1d15m");
    assert_int_equal(state_of(&s.b, incident_of(&s, "r run_a")), INCIDENT_RESOLVED);
    story_end(&s);
}

static void or_by_hand(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, RETRIES("", "hook"));
    happens(&s, "0m", "{run: run_a, task: sync, status: REATTEMPTING, attempt: 2}");
    happens(&s, "15m", "{run: run_a, status: FAILED}");
    forget(&s);
    resolved_by_hand(&s, "1h", "r run_a");
    came(&s, "1h resolve r run_a -> hook", "1h resolved r run_a");
    story_end(&s);
}

static void canceled_resolves(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, RETRIES("", "hook"));
    happens(&s, "0m", "{run: run_a, task: sync, status: REATTEMPTING, attempt: 2}");
    forget(&s);
    happens(&s, "15m", "{run: run_a, status: CANCELED}");
    came(&s, "15m resolve r run_a -> hook", "15m resolved r run_a");
    story_end(&s);
}

/* --- 3rd line: linger ------------------------------------------------------------------------------------------------------------- */
static void while_it_lingers_escalation_stands_still(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", linger: 10m, escalate: {15m: pager}"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "10m", "{run: run_b, task: sync, status: COMPLETED, started: 5m}");
    happens(&s, "18m", "{run: run_c, task: sync, status: FAILED}"); /* eight minutes later it is not well */
    passes(&s, "22m59s");
    came(&s, "0s open r sync -> hook", "0s opened r sync");
    passes(&s, "23m");
    came(&s, "23m escalation r sync -> pager");
    story_end(&s);
}

static void while_it_lingers_no_message_goes(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "rules: {r: {when: {status: failed}, linger: 1h, repeat: 30m, update: 5m, escalate: {40m: pager}, notify: [chat, hook]}}");
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "1m", "{run: run_b, task: sync, status: FAILED}"); /* an update is due at 5m */
    happens(&s, "3m", "{run: run_c, task: sync, status: COMPLETED, started: 2m}");
    forget(&s);
    passes(&s, "1h2m");
    nothing_came(&s);
    passes(&s, "1h3m");
    assert_int_equal(count_said(&s.b, "hook", MESSAGE_RESOLVE), 1);
    assert_int_equal(count_said(&s.b, "chat", MESSAGE_RESOLVE), 1);
    assert_int_equal(count_said(&s.b, "pager", -1), 0);
    assert_int_equal(count_said(&s.b, "hook", MESSAGE_REMINDER), 0);
    story_end(&s);
}

static void a_relapse_continues_the_same_incident_silently(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", linger: 10m"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "5m", "{run: run_b, task: sync, status: COMPLETED, started: 4m}");
    forget(&s);
    happens(&s, "14m", "{run: run_c, task: sync, status: FAILED}");
    passes(&s, "1h");
    nothing_came(&s);
    happens(&s, "1h2m", "{run: run_d, task: sync, status: COMPLETED, started: 61m}");
    passes(&s, "1h12m");
    came(&s, "1h12m resolve r sync -> hook", "1h12m resolved r sync");
    assert_int_equal(count_notes(&s.b, "opened"), 1);
    story_end(&s);
}

#define CLEARS R("when: {status: failed}, count: 3 in 10m, resolve: clears, linger: 10m, repeat: never")
static void with_clears_a_hit_alone_is_no_relapse(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, CLEARS);
    happen(&s, "0m", 3, "x", "task: sync, status: FAILED"); /* below three from 10m on */
    happens(&s, "15m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    passes(&s, "19m59s");
    nothing_came(&s);
    passes(&s, "20m");
    came(&s, "20m resolve r sync -> hook", "20m resolved r sync");
    story_end(&s);
}

static void with_clears_it_relapses_when_the_condition_holds_again(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, CLEARS);
    happen(&s, "0m", 3, "x", "task: sync, status: FAILED");
    happen(&s, "15m", 3, "y", "task: sync, status: FAILED");
    forget(&s);
    passes(&s, "34m59s"); /* it holds until 25m, and ten minutes linger */
    nothing_came(&s);
    passes(&s, "35m");
    came(&s, "35m resolve r sync -> hook", "35m resolved r sync");
    story_end(&s);
}

static void quiet_lingers_like_every_criterion(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", linger: 10m, resolve: 1h quiet"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    passes(&s, "1h9m59s");
    nothing_came(&s);
    passes(&s, "1h10m");
    came(&s, "1h10m resolve r sync -> hook", "1h10m resolved r sync");
    story_end(&s);
}

static void a_hit_while_quiet_lingers_is_a_relapse(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", linger: 10m, resolve: 1h quiet"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    happens(&s, "1h5m", "{run: run_b, task: sync, status: FAILED}");
    passes(&s, "2h14m");
    nothing_came(&s);
    passes(&s, "2h15m");
    came(&s, "2h15m resolve r sync -> hook", "2h15m resolved r sync");
    story_end(&s);
}

static void what_a_match_ends_lingers(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", linger: 10m, by: env, resolve: {match: {task: replay, status: success}}"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    happens(&s, "5m", "{run: run_b, task: replay, status: COMPLETED}");
    passes(&s, "14m59s");
    nothing_came(&s);
    passes(&s, "15m");
    came(&s, "15m resolve r - -> hook", "15m resolved r -");
    story_end(&s);
}

/* --- 4th line: epochs -------------------------------------------------------------------------------------------------------------- */
static void each_epoch_has_a_dedup_key_of_its_own(void **state)
{
    struct story s;
    struct str opened_first, resolved_first, opened_next;
    (void)state;
    story_begin(&s, "rules: {r: {when: {status: failed}, linger: 0s, repeat: never, notify: pager}}");
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    opened_first = said_field(&s.b, last_said(&s.b, "pager"), "dedup");
    happens(&s, "5m", "{run: run_b, task: sync, status: COMPLETED, started: 4m}");
    resolved_first = said_field(&s.b, last_said(&s.b, "pager"), "dedup");
    happens(&s, "6m", "{run: run_c, task: sync, status: FAILED}");
    opened_next = said_field(&s.b, last_said(&s.b, "pager"), "dedup");
    assert_true(opened_first.n > 0 && str_eq(opened_first, resolved_first));
    assert_false(str_eq(opened_first, opened_next));
    story_end(&s);
}

/* --- 5th line: inside `wait` ----------------------------------------------------------------------------------------------------------- */
static void what_resolves_inside_wait_is_silent_but_recorded(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", wait: 10m, linger: 0s"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "5m", "{run: run_b, task: sync, status: COMPLETED, started: 4m}");
    passes(&s, "2d");
    came(&s, "0s opened r sync", "5m resolved r sync");
    assert_int_equal(state_of(&s.b, incident_of(&s, "r sync")), INCIDENT_RESOLVED);
    story_end(&s);
}

static void what_lingers_over_the_end_of_wait_is_silent_too(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", wait: 10m, linger: 10m"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "5m", "{run: run_b, task: sync, status: COMPLETED, started: 4m}");
    passes(&s, "2d");
    came(&s, "0s opened r sync", "15m resolved r sync");
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_success_that_started_before_the_last_hit_does_not_count),
        cmocka_unit_test(it_is_the_last_hit_that_counts),
        cmocka_unit_test(the_hits_own_run_counts_whenever_it_started),
        cmocka_unit_test(a_success_of_another_key_does_not_count),
        cmocka_unit_test(n_successes_are_consecutive),
        cmocka_unit_test(a_failure_that_is_no_hit_breaks_the_successes_too),
        cmocka_unit_test(a_hit_that_is_no_failure_breaks_the_successes_too),
        cmocka_unit_test(one_success_of_the_task_closes_all_its_errors),
        cmocka_unit_test(another_runs_success_means_nothing),
        cmocka_unit_test(a_final_failure_of_the_run_is_an_update),
        cmocka_unit_test(it_ends_reminders_and_leaves_due_escalations_due),
        cmocka_unit_test(it_resolves_at_24h_quiet),
        cmocka_unit_test(or_by_hand),
        cmocka_unit_test(canceled_resolves),
        cmocka_unit_test(while_it_lingers_escalation_stands_still),
        cmocka_unit_test(while_it_lingers_no_message_goes),
        cmocka_unit_test(a_relapse_continues_the_same_incident_silently),
        cmocka_unit_test(with_clears_a_hit_alone_is_no_relapse),
        cmocka_unit_test(with_clears_it_relapses_when_the_condition_holds_again),
        cmocka_unit_test(quiet_lingers_like_every_criterion),
        cmocka_unit_test(a_hit_while_quiet_lingers_is_a_relapse),
        cmocka_unit_test(what_a_match_ends_lingers),
        cmocka_unit_test(each_epoch_has_a_dedup_key_of_its_own),
        cmocka_unit_test(what_resolves_inside_wait_is_silent_but_recorded),
        cmocka_unit_test(what_lingers_over_the_end_of_wait_is_silent_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
