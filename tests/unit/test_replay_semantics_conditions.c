/* The rule language's section 5, "Conditions", 1st and 2nd line (population, rate, streak, flaps): a test for each thing they say,
 * judged from their text. `lasts` and `absent` have files of their own. */
#include "story.h"

#define R(body) "rules: {r: {" body ", notify: hook}}"

/* n finished runs of sync, a second apart, the last at that moment; each takes no time, so it began after the one before. */
static void finished(struct story *s, int *at_s, int n, const char *status)
{
    for (int k = 0; k < n; k++, ++*at_s) {
        const char *at = str_printf(&s->b.a, "%ds", *at_s).p;
        happens(s, at, str_printf(&s->b.a, "{run: run_%d, task: sync, status: %s, started: %s}", *at_s, status, at).p);
    }
}

static size_t openings(const struct story *s)
{
    return count_notes(&s->b, "opened");
}

static size_t ends(const struct story *s)
{
    return count_notes(&s->b, "resolved");
}

/* --- 1st line: the population is `when` without its outcome tests ------------------------------------------------------------ */
static void the_population_is_when_without_its_outcome(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {task: sync, tags: [a], status: failed, attempt: {gte: 2}, error.name: E}, by: env, linger: 0s, repeat: never"));
    happens(&s, "1m", "{run: run_a, task: sync, tags: [a], attempt: 2, status: FAILED, error: {name: E, message: m}}");
    forget(&s);
    happens(&s, "3m", "{run: run_b, task: mail, tags: [a], status: COMPLETED, started: 2m}"); /* another task, other tags: other runs */
    happens(&s, "4m", "{run: run_c, task: sync, tags: [b], status: COMPLETED, started: 2m}");
    nothing_came(&s);
    happens(&s, "5m", "{run: run_d, task: sync, tags: [a], attempt: 1, status: COMPLETED, started: 2m}"); /* its attempt and error do not matter */
    came(&s, "5m resolve r - -> hook", "5m resolved r -");
    story_end(&s);
}

static void an_any_branch_left_empty_means_everything(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {any: [{task: sync, status: FAILED}, {status: CRASHED}]}, by: env, linger: 0s"));
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    happens(&s, "3m", "{run: run_b, task: mail, status: COMPLETED, started: 2m}"); /* of the runs whose crashes count */
    came(&s, "3m resolve r - -> hook", "3m resolved r -");
    story_end(&s);
}

static void an_any_of_identity_alone_stays(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {any: [{task: sync, status: FAILED}, {task: mail, status: CRASHED}]}, by: env, linger: 0s"));
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    happens(&s, "3m", "{run: run_b, task: note, status: COMPLETED, started: 2m}");
    nothing_came(&s);
    happens(&s, "4m", "{run: run_c, task: mail, status: COMPLETED, started: 2m}");
    came(&s, "4m resolve r - -> hook", "4m resolved r -");
    story_end(&s);
}

static void a_not_that_holds_an_outcome_test_is_removed(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed, not: {task: sync, error.name: E}}, by: env, linger: 0s"));
    happens(&s, "1m", "{run: run_a, task: mail, status: FAILED}");
    forget(&s);
    happens(&s, "3m", "{run: run_b, task: sync, status: COMPLETED, started: 2m}");
    came(&s, "3m resolve r - -> hook", "3m resolved r -");
    story_end(&s);
}

static void a_not_of_identity_alone_stays(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed, not: {task: sync}}, by: env, linger: 0s"));
    happens(&s, "1m", "{run: run_a, task: mail, status: FAILED}");
    forget(&s);
    happens(&s, "3m", "{run: run_b, task: sync, status: COMPLETED, started: 2m}");
    nothing_came(&s);
    story_end(&s);
}

/* --- 2nd line: rate ---------------------------------------------------------------------------------------------------------- */
static void min_of_the_last_n_runs_is_n(void **state)
{
    struct story s;
    int at = 1;
    (void)state;
    story_begin(&s, R("when: {status: failed}, rate: over 20% of last 12 runs"));
    finished(&s, &at, 11, "FAILED");
    assert_int_equal(openings(&s), 0);
    finished(&s, &at, 1, "COMPLETED");
    assert_int_equal(openings(&s), 1);
    story_end(&s);
}

static void min_in_a_time_is_10(void **state)
{
    struct story s;
    int at = 1;
    (void)state;
    story_begin(&s, R("when: {status: failed}, rate: over 20% in 1h"));
    finished(&s, &at, 9, "FAILED");
    assert_int_equal(openings(&s), 0);
    finished(&s, &at, 1, "FAILED");
    assert_int_equal(openings(&s), 1);
    story_end(&s);
}

static void over_means_over(void **state)
{
    struct story s;
    int at = 1;
    (void)state;
    story_begin(&s, R("when: {status: failed}, rate: over 20% of last 10 runs"));
    finished(&s, &at, 2, "FAILED");
    finished(&s, &at, 8, "COMPLETED");
    assert_int_equal(openings(&s), 0);
    story_end(&s);
}

static void a_canceled_run_is_not_in_the_population_of_a_rate(void **state)
{
    struct story s;
    int at = 1;
    (void)state;
    story_begin(&s, R("when: {status: failed}, rate: over 20% of last 10 runs"));
    finished(&s, &at, 9, "FAILED");
    finished(&s, &at, 9, "CANCELED");
    assert_int_equal(openings(&s), 0);
    finished(&s, &at, 1, "FAILED");
    assert_int_equal(openings(&s), 1);
    story_end(&s);
}

static void unless_when_names_it(void **state)
{
    struct story s;
    int at = 1;
    (void)state;
    story_begin(&s, R("when: {status: [CANCELED, FAILED]}, rate: over 50% of last 10 runs"));
    finished(&s, &at, 4, "COMPLETED");
    finished(&s, &at, 6, "CANCELED");
    assert_int_equal(openings(&s), 1);
    story_end(&s);
    at = 1;
    story_begin(&s, R("when: {status: [CANCELED, FAILED]}, streak: 3"));
    finished(&s, &at, 2, "FAILED");
    finished(&s, &at, 1, "CANCELED");
    assert_int_equal(openings(&s), 1);
    story_end(&s);
}

static void a_canceled_run_neither_counts_for_nor_breaks_a_streak(void **state)
{
    struct story s;
    int at = 1;
    (void)state;
    story_begin(&s, R("when: {status: failed}, streak: 3"));
    finished(&s, &at, 2, "FAILED");
    finished(&s, &at, 2, "CANCELED");
    assert_int_equal(openings(&s), 0);
    finished(&s, &at, 1, "FAILED");
    assert_int_equal(openings(&s), 1);
    story_end(&s);
}

static void nor_flaps(void **state)
{
    struct story s;
    int at = 1;
    (void)state;
    story_begin(&s, R("when: {status: failed}, flaps: 2 in 1h"));
    finished(&s, &at, 1, "FAILED");
    finished(&s, &at, 1, "CANCELED");
    finished(&s, &at, 1, "FAILED");
    finished(&s, &at, 1, "CANCELED");
    finished(&s, &at, 1, "COMPLETED");
    finished(&s, &at, 1, "CANCELED");
    assert_int_equal(openings(&s), 0); /* one change */
    finished(&s, &at, 1, "FAILED");
    assert_int_equal(openings(&s), 1);
    story_end(&s);
}

static void nor_n_successes(void **state)
{
    struct story s;
    int at = 1;
    (void)state;
    story_begin(&s, R("when: {status: failed}, resolve: 3 successes, linger: 0s"));
    finished(&s, &at, 1, "FAILED");
    finished(&s, &at, 2, "COMPLETED");
    finished(&s, &at, 3, "CANCELED");
    assert_int_equal(ends(&s), 0);
    finished(&s, &at, 1, "COMPLETED");
    assert_int_equal(ends(&s), 1);
    story_end(&s);
}

static void over_p_clears_below_four_fifths_of_p(void **state)
{
    struct story s;
    int at = 1;
    (void)state;
    story_begin(&s, R("when: {status: failed}, rate: over 50% of last 10 runs, linger: 0s"));
    finished(&s, &at, 4, "COMPLETED");
    finished(&s, &at, 6, "FAILED");
    assert_int_equal(openings(&s), 1);
    finished(&s, &at, 6, "COMPLETED"); /* 4 good ones and 2 of these 6 have replaced the old ones: 4 bad of 10 are 40%, not below */
    assert_int_equal(ends(&s), 0);
    finished(&s, &at, 1, "COMPLETED"); /* 3 of 10 */
    assert_int_equal(ends(&s), 1);
    story_end(&s);
}

static void under_p_clears_a_fifth_of_the_way_to_100(void **state)
{
    struct story s;
    int at = 1;
    (void)state;
    story_begin(&s, R("when: {status: success}, rate: under 50% of last 10 runs, linger: 0s"));
    finished(&s, &at, 4, "COMPLETED");
    finished(&s, &at, 6, "FAILED"); /* 40% */
    assert_int_equal(openings(&s), 1);
    finished(&s, &at, 6, "COMPLETED"); /* 60% = 50 + (100 - 50) / 5, not above */
    assert_int_equal(ends(&s), 0);
    finished(&s, &at, 1, "COMPLETED");
    assert_int_equal(ends(&s), 1);
    story_end(&s);
}

static void below_min_a_rate_does_not_hold(void **state)
{
    struct story s;
    int at = 1;
    (void)state;
    story_begin(&s, R("when: {status: failed}, rate: \"over 50% in 1m, min 4\", linger: 0s"));
    finished(&s, &at, 4, "FAILED");
    assert_int_equal(openings(&s), 1);
    passes(&s, "61s"); /* the first of the four has left the minute: three are below min, so it holds no more */
    assert_int_equal(ends(&s), 1);
    story_end(&s);
}

static void conditions_on_finished_runs_want_final_states(void **state)
{
    (void)state;
    refused(R("when: {status: EXECUTING}, rate: over 20% of last 50 runs"), "test.yaml:2:");
    refused(R("when: {status: REATTEMPTING}, streak: 3"), "REATTEMPTING");
    refused(R("when: {status: active}, flaps: 4 in 1h"), "test.yaml:2:");
    accepted(R("when: {status: failed}, streak: 3"));
}

/* --- section 3: what the other conditions are ------------------------------------------------------------------------------------ */
static void count_of_runs_counts_distinct_runs(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: REATTEMPTING}, count: 2 runs in 10m"));
    happens(&s, "1m", "{run: run_a, task: sync, status: REATTEMPTING, attempt: 2}");
    happens(&s, "2m", "{run: run_a, status: REATTEMPTING, attempt: 3}");
    nothing_came(&s);
    happens(&s, "3m", "{run: run_b, task: sync, status: REATTEMPTING, attempt: 2}");
    came(&s, "3m open r sync -> hook", "3m opened r sync");
    story_end(&s);
}

static void flaps_are_changes_between_failed_and_success(void **state)
{
    struct story s;
    int at = 1;
    (void)state;
    story_begin(&s, R("when: {status: failed}, flaps: 3 in 1h"));
    finished(&s, &at, 5, "FAILED");
    finished(&s, &at, 5, "COMPLETED");
    finished(&s, &at, 5, "CRASHED");
    assert_int_equal(openings(&s), 0);
    finished(&s, &at, 1, "COMPLETED");
    assert_int_equal(openings(&s), 1);
    story_end(&s);
}

static void a_streak_is_of_the_key(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}, streak: 2"));
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "2m", "{run: run_b, task: mail, status: COMPLETED}"); /* breaks nothing of sync */
    happens(&s, "3m", "{run: run_c, task: sync, status: FAILED}");
    came(&s, "3m open r sync -> hook", "3m opened r sync");
    story_end(&s);
}

static void at_least_wants_distinct_runs_in_the_incident(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: REATTEMPTING}, at_least: 2"));
    happens(&s, "1m", "{run: run_a, task: sync, status: REATTEMPTING, attempt: 2}");
    happens(&s, "2m", "{run: run_a, status: REATTEMPTING, attempt: 3}");
    nothing_came(&s);
    happens(&s, "3m", "{run: run_b, task: sync, status: REATTEMPTING, attempt: 2}");
    came(&s, "3m open r sync -> hook", "3m opened r sync");
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_population_is_when_without_its_outcome),
        cmocka_unit_test(an_any_branch_left_empty_means_everything),
        cmocka_unit_test(an_any_of_identity_alone_stays),
        cmocka_unit_test(a_not_that_holds_an_outcome_test_is_removed),
        cmocka_unit_test(a_not_of_identity_alone_stays),
        cmocka_unit_test(min_of_the_last_n_runs_is_n),
        cmocka_unit_test(min_in_a_time_is_10),
        cmocka_unit_test(over_means_over),
        cmocka_unit_test(a_canceled_run_is_not_in_the_population_of_a_rate),
        cmocka_unit_test(unless_when_names_it),
        cmocka_unit_test(a_canceled_run_neither_counts_for_nor_breaks_a_streak),
        cmocka_unit_test(nor_flaps),
        cmocka_unit_test(nor_n_successes),
        cmocka_unit_test(over_p_clears_below_four_fifths_of_p),
        cmocka_unit_test(under_p_clears_a_fifth_of_the_way_to_100),
        cmocka_unit_test(below_min_a_rate_does_not_hold),
        cmocka_unit_test(conditions_on_finished_runs_want_final_states),
        cmocka_unit_test(count_of_runs_counts_distinct_runs),
        cmocka_unit_test(flaps_are_changes_between_failed_and_success),
        cmocka_unit_test(a_streak_is_of_the_key),
        cmocka_unit_test(at_least_wants_distinct_runs_in_the_incident),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
