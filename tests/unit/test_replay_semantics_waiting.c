/* The rule language's section 5, "Conditions", 3rd and 4th line: `lasts` and `absent`, a test for each thing they say. */
#include "story.h"

#define R(body) "rules: {r: {" body ", notify: hook}}"
#define STUCK R("when: {status: EXECUTING}, lasts: 30m, repeat: never, linger: 0s")
#define QUIET(more) "rules: {r: {when: {task: sync, status: success" more "}, absent: 2h, repeat: never, linger: 0s, notify: hook}}"

/* --- 3rd line: lasts ---------------------------------------------------------------------------------------------------------- */
static void lasts_counts_from_the_first_report_of_the_state(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, STUCK);
    happens(&s, "0m", "{run: run_a, task: sync, status: QUEUED}");
    happens(&s, "25m", "{run: run_a, status: EXECUTING}");
    passes(&s, "54m59s");
    nothing_came(&s);
    passes(&s, "55m");
    came(&s, "55m open r sync -> hook", "55m opened r sync");
    story_end(&s);
}

static void lasts_counts_by_event_time(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, STUCK);
    happens(&s, "0m", "{run: run_a, task: sync, status: QUEUED}");
    happens(&s, "25m", "{run: run_a, status: EXECUTING, updated: 5m}"); /* told late */
    passes(&s, "35m");
    came(&s, "35m open r sync -> hook", "35m opened r sync");
    story_end(&s);
}

static void at_first_sight_lasts_counts_from_updated_at(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, STUCK);
    happens(&s, "1h", "{run: run_a, task: sync, status: EXECUTING, created: 0m, started: 1m, updated: 50m}");
    passes(&s, "1h19m59s");
    nothing_came(&s);
    passes(&s, "1h20m");
    came(&s, "1h20m open r sync -> hook", "1h20m opened r sync");
    story_end(&s);
}

static void later_reports_never_move_it(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, STUCK);
    happens(&s, "0m", "{run: run_a, task: sync, status: EXECUTING}");
    happens(&s, "10m", "{run: run_a, status: EXECUTING, updated: 10m}");
    happens(&s, "20m", "{run: run_a, status: EXECUTING, updated: 20m, metadata: {step: 2}}");
    happens(&s, "29m", "{run: run_a, status: EXECUTING, updated: 29m}");
    passes(&s, "30m");
    came(&s, "30m open r sync -> hook", "30m opened r sync");
    story_end(&s);
}

static void a_new_attempt_starts_it_anew(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, STUCK);
    happens(&s, "0m", "{run: run_a, task: sync, status: EXECUTING, attempt: 1}");
    happens(&s, "20m", "{run: run_a, status: EXECUTING, attempt: 2, updated: 20m}");
    passes(&s, "49m59s");
    nothing_came(&s);
    passes(&s, "50m");
    came(&s, "50m open r sync -> hook", "50m opened r sync");
    story_end(&s);
}

static void never_from_the_creation_of_a_delayed_run(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: QUEUED}, lasts: 30m, repeat: never, linger: 0s"));
    happens(&s, "0m", "{run: run_a, task: sync, status: DELAYED, created: 0m, delayed: 3h}");
    happens(&s, "3h", "{run: run_a, status: QUEUED, created: 0m, delayed: 3h}");
    passes(&s, "3h29m59s");
    nothing_came(&s);
    passes(&s, "3h30m");
    came(&s, "3h30m open r sync -> hook", "3h30m opened r sync");
    story_end(&s);
}

static void never_from_the_creation_of_a_retried_run(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: QUEUED}, lasts: 30m, repeat: never, linger: 0s"));
    happens(&s, "1h", "{run: run_a, task: sync, status: EXECUTING, created: 0m, started: 1m, attempt: 1}");
    happens(&s, "2h", "{run: run_a, status: QUEUED, created: 0m, started: 1m, attempt: 1, updated: 2h}");
    passes(&s, "2h29m59s");
    nothing_came(&s);
    passes(&s, "2h30m");
    came(&s, "2h30m open r sync -> hook", "2h30m opened r sync");
    story_end(&s);
}

static void with_at_least_it_clears_when_no_run_is_left(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: EXECUTING}, lasts: 30m, at_least: 3, repeat: never, linger: 0s"));
    happen(&s, "1m", 3, "x", "task: sync, status: EXECUTING");
    passes(&s, "31m");
    came(&s, "31m open r sync -> hook", "31m opened r sync");
    happens(&s, "40m", "{run: run_x0, status: COMPLETED}");
    happens(&s, "41m", "{run: run_x1, status: COMPLETED}"); /* one is fewer than three, and left */
    passes(&s, "50m");
    nothing_came(&s);
    happens(&s, "51m", "{run: run_x2, status: COMPLETED}");
    came(&s, "51m resolve r sync -> hook", "51m resolved r sync");
    story_end(&s);
}

static void a_lasts_incident_with_no_run_left_always_resolves(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: EXECUTING}, lasts: 30m, repeat: never, linger: 0s, resolve: 30d quiet"));
    happens(&s, "0m", "{run: run_a, task: sync, status: EXECUTING}");
    happens(&s, "40m", "{run: run_a, status: COMPLETED}");
    came(&s, "30m open r sync -> hook", "30m opened r sync", "40m resolve r sync -> hook", "40m resolved r sync");
    story_end(&s);
    story_begin(&s, R("when: {status: EXECUTING}, lasts: 30m, repeat: never, linger: 0s, resolve: manual"));
    happens(&s, "0m", "{run: run_a, task: sync, status: EXECUTING}");
    happens(&s, "40m", "{run: run_a, status: FAILED}");
    came(&s, "30m open r sync -> hook", "30m opened r sync", "40m resolve r sync -> hook", "40m resolved r sync");
    story_end(&s);
}

/* --- 4th line: the keys of absent ------------------------------------------------------------------------------------------------- */
static void literal_tasks_are_keys_in_the_envs_the_rule_names(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, QUIET(", env: [prod, stg]")); /* nothing at all was ever heard */
    passes(&s, "3h");
    came(&s, "2h open r sync @prod -> hook", "2h open r sync @stg -> hook", "2h opened r sync @prod", "2h opened r sync @stg");
    story_end(&s);
}

static void else_in_each_env_that_had_an_event_within_7_days(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, QUIET(""));
    passes(&s, "1d");
    nothing_came(&s); /* no environment lives */
    happens(&s, "1d", "{run: run_a, task: other, env: prod, status: EXECUTING}");
    passes(&s, "1d2h");
    came(&s, "1d2h open r sync @prod -> hook", "1d2h opened r sync @prod");
    story_end(&s);
}

static void an_env_that_has_been_dead_for_7_days_is_not_waited_for(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "rules: {other: {when: {status: CRASHED}, notify: hook}}");
    happens(&s, "1h", "{run: run_a, task: other, env: old, status: EXECUTING}");
    happens(&s, "3d", "{run: run_b, task: other, env: prod, status: EXECUTING}");
    reloaded(&s, "9d", QUIET(""));
    passes(&s, "9d2h");
    came(&s, "9d2h open r sync @prod -> hook", "9d2h opened r sync @prod");
    happens(&s, "9d3h", "{run: run_c, task: other, env: old, status: EXECUTING}"); /* it lives again */
    passes(&s, "9d5h");
    came(&s, "9d5h open r sync @old -> hook", "9d5h opened r sync @old");
    story_end(&s);
}

static void without_literal_tasks_every_key_seen_before(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {task: sync-*, status: success}, absent: 2h, repeat: never"));
    happens(&s, "0m", "{run: run_a, task: sync-orders, status: COMPLETED}");
    happens(&s, "1m", "{run: run_b, task: mail, status: COMPLETED}");
    happens(&s, "2m", "{run: run_c, task: sync-stock, status: FAILED}"); /* not a hit: not seen */
    passes(&s, "5h");
    came(&s, "2h open r sync-orders -> hook", "2h opened r sync-orders");
    story_end(&s);
}

static void keys_are_dropped_after_30_days_without_a_hit(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: success}, absent: 2h, repeat: never, linger: 0s"));
    happens(&s, "0m", "{run: run_a, task: sync, status: COMPLETED}");
    passes(&s, "2h");
    forget(&s);
    passes(&s, "29d23h");
    nothing_came(&s);
    passes(&s, "31d");
    assert_int_equal(state_of(&s.b, incident_of(&s, "r sync")), INCIDENT_RESOLVED);
    assert_int_equal(engine_stats(s.b.e).absent_keys, 0);
    story_end(&s);
}

static void resolved_by_hand_it_rearms_at_the_next_hit(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, QUIET(", env: default"));
    passes(&s, "2h");
    resolved_by_hand(&s, "3h", "r sync");
    forget(&s);
    passes(&s, "20h");
    nothing_came(&s);
    happens(&s, "20h", "{run: run_a, task: sync, status: COMPLETED}");
    passes(&s, "21h59m");
    nothing_came(&s);
    passes(&s, "22h");
    came(&s, "22h open r sync -> hook", "22h opened r sync");
    story_end(&s);
}

static void the_clock_starts_when_the_rule_is_first_loaded(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "rules: {other: {when: {status: CRASHED}, notify: hook}}");
    happens(&s, "0m", "{run: run_a, task: sync, env: prod, status: COMPLETED}");
    reloaded(&s, "5h", QUIET(", env: prod"));
    passes(&s, "6h59m");
    nothing_came(&s);
    passes(&s, "7h");
    came(&s, "7h open r sync @prod -> hook", "7h opened r sync @prod");
    story_end(&s);
}

static void first_loaded_is_not_loaded_again(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, QUIET(", env: prod"));
    reloaded(&s, "1h", QUIET(", env: prod"));
    down(&s, "90m", "100m", QUIET(", env: prod"));
    passes(&s, "1h59m");
    nothing_came(&s);
    passes(&s, "2h");
    came(&s, "2h open r sync @prod -> hook", "2h opened r sync @prod");
    story_end(&s);
}

enum { EVERY_STATE = (1 << RUN_STATES) - 1, EVERY_FIELD = (RUN_HAS_STATE << 1) - 1 };
/* A polling source has told everything up to then; with "" it is one that pushes. */
static void source_told(struct story *s, const char *listens_since, const char *told)
{
    struct engine_source v = { STR("prod"), STR("default"), STR_NONE, EVERY_STATE, EVERY_FIELD, start_ms + span(listens_since),
                               told[0] ? start_ms + span(told) : ENGINE_NEVER };
    struct engine_input in = { .kind = ENGINE_SOURCES };
    in.u.sources.v = &v;
    in.u.sources.n = 1;
    step(&s->b, &in);
    tick(&s->b);
}

/* The bench begins at noon, UTC: 03:00 is at 15h. */
#define NIGHTLY R("when: {task: sync, status: success, env: default}, absent: {cron: \"0 3 * * *\", grace: 30m, zone: UTC}, repeat: never, linger: 0s")
static void a_slot_is_met_by_a_hit_within_its_grace(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, NIGHTLY);
    happens(&s, "15h", "{run: run_a, task: sync, status: COMPLETED}"); /* at its beginning */
    passes(&s, "16h");
    source_told(&s, "0s", "16h");
    happens(&s, "40h", "{run: run_b, task: sync, status: COMPLETED, finished: 39h30m}"); /* at its end */
    source_told(&s, "0s", "40h");
    nothing_came(&s);
    happens(&s, "64h", "{run: run_c, task: sync, status: COMPLETED, finished: 63h30m1ms}"); /* and just behind it */
    source_told(&s, "0s", "64h");
    assert_int_equal(count_notes(&s.b, "opened"), 1);
    story_end(&s);
}

static void a_hit_before_the_slot_does_not_meet_it(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, NIGHTLY);
    happens(&s, "14h59m59s", "{run: run_a, task: sync, status: COMPLETED}");
    passes(&s, "15h30m1s");
    assert_int_equal(count_notes(&s.b, "opened"), 1);
    story_end(&s);
}

static void a_slot_is_met_by_event_time(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, NIGHTLY);
    happens(&s, "15h29m", "{run: run_a, task: sync, status: COMPLETED, finished: 14h}"); /* told in the slot, but it was before */
    passes(&s, "15h31m");
    assert_int_equal(count_notes(&s.b, "opened"), 1);
    story_end(&s);
}

/* --- what was not heard ------------------------------------------------------------------------------------------------------------- */
static void it_fires_only_when_every_polling_source_has_caught_up(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, QUIET(", env: prod"));
    source_told(&s, "0s", "1h");
    passes(&s, "4h");
    nothing_came(&s);
    source_told(&s, "0s", "1h59m59s");
    nothing_came(&s);
    source_told(&s, "0s", "2h");
    came(&s, "4h open r sync @prod -> hook", "4h opened r sync @prod");
    story_end(&s);
}

static void a_hit_that_a_lagging_source_tells_prevents_it(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, QUIET(", env: prod"));
    source_told(&s, "0s", "1h");
    happens(&s, "4h", "{run: run_a, task: sync, env: prod, status: COMPLETED, finished: 90m}");
    source_told(&s, "0s", "3h");
    nothing_came(&s);
    source_told(&s, "0s", "3h30m");
    came(&s, "4h open r sync @prod -> hook", "4h opened r sync @prod");
    story_end(&s);
}

static void with_push_sources_only_one_full_period_after_a_start(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, QUIET(", env: prod"));
    source_told(&s, "0s", "");
    happens(&s, "30m", "{run: run_a, task: sync, env: prod, status: COMPLETED}");
    down(&s, "1h", "2h", QUIET(", env: prod"));
    source_told(&s, "2h", ""); /* whoever posted between 1h and 2h was not heard */
    passes(&s, "3h59m");
    nothing_came(&s);
    passes(&s, "4h");
    came(&s, "4h open r sync @prod -> hook", "4h opened r sync @prod");
    story_end(&s);
}

static void while_a_source_is_unhealthy_it_is_unknown(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, QUIET(", env: prod"));
    source_told(&s, "0s", "1h");
    passes(&s, "3d");
    assert_int_equal(engine_stats(s.b.e).absent_unknown, 1);
    nothing_came(&s);
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lasts_counts_from_the_first_report_of_the_state),
        cmocka_unit_test(lasts_counts_by_event_time),
        cmocka_unit_test(at_first_sight_lasts_counts_from_updated_at),
        cmocka_unit_test(later_reports_never_move_it),
        cmocka_unit_test(a_new_attempt_starts_it_anew),
        cmocka_unit_test(never_from_the_creation_of_a_delayed_run),
        cmocka_unit_test(never_from_the_creation_of_a_retried_run),
        cmocka_unit_test(with_at_least_it_clears_when_no_run_is_left),
        cmocka_unit_test(a_lasts_incident_with_no_run_left_always_resolves),
        cmocka_unit_test(literal_tasks_are_keys_in_the_envs_the_rule_names),
        cmocka_unit_test(else_in_each_env_that_had_an_event_within_7_days),
        cmocka_unit_test(an_env_that_has_been_dead_for_7_days_is_not_waited_for),
        cmocka_unit_test(without_literal_tasks_every_key_seen_before),
        cmocka_unit_test(keys_are_dropped_after_30_days_without_a_hit),
        cmocka_unit_test(resolved_by_hand_it_rearms_at_the_next_hit),
        cmocka_unit_test(the_clock_starts_when_the_rule_is_first_loaded),
        cmocka_unit_test(first_loaded_is_not_loaded_again),
        cmocka_unit_test(a_slot_is_met_by_a_hit_within_its_grace),
        cmocka_unit_test(a_hit_before_the_slot_does_not_meet_it),
        cmocka_unit_test(a_slot_is_met_by_event_time),
        cmocka_unit_test(it_fires_only_when_every_polling_source_has_caught_up),
        cmocka_unit_test(a_hit_that_a_lagging_source_tells_prevents_it),
        cmocka_unit_test(with_push_sources_only_one_full_period_after_a_start),
        cmocka_unit_test(while_a_source_is_unhealthy_it_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
