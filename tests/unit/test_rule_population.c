/* What rules ask their sources for: states, tasks, and whether a run is worth a closer look. */
#include "rule_testing.h"

static void demand_of(struct bed *b, const char *rules, struct rule_demand *out)
{
    bed_init(b);
    bed_compile_files(b, &rules, 1);
    if (!b->rs) bed_print(b);
    assert_non_null(b->rs);
    ruleset_demand(b->rs, &b->a, STR("default"), STR("prod"), out);
}

static bool asks_for(const struct rule_demand *d, enum run_state s)
{
    return d->states >> s & 1;
}

/* A row of failures is broken by successes: those have to be found, too. Cancellations only where they are named. */
static void conditions_on_a_population_ask_for_all_ends(void **state)
{
    static const char *const conditions[] = { "streak: 3", "flaps: 4 in 1h", "rate: over 5% in 1h" };
    (void)state;
    for (size_t k = 0; k < sizeof conditions / sizeof *conditions; k++) {
        struct bed b;
        struct rule_demand d;
        char text[300];
        snprintf(text, sizeof text, "version: 1\nrules:\n  r:\n    when: {task: a, status: CRASHED}\n    %s\n    resolve: manual\n    notify: pager\n", conditions[k]);
        demand_of(&b, text, &d);
        assert_true(asks_for(&d, RUN_CRASHED) && asks_for(&d, RUN_COMPLETED) && asks_for(&d, RUN_FAILED) && asks_for(&d, RUN_EXPIRED));
        assert_false(asks_for(&d, RUN_CANCELED) || asks_for(&d, RUN_EXECUTING));
        assert_false(d.tasks.all);
        assert_int_equal(d.tasks.n, 1);
        bed_fini(&b);
        snprintf(text, sizeof text, "version: 1\nrules:\n  r:\n    when: {status: [CRASHED, CANCELED]}\n    %s\n    notify: pager\n", conditions[k]);
        demand_of(&b, text, &d);
        assert_true(asks_for(&d, RUN_CANCELED) && d.tasks.all);
        bed_fini(&b);
    }
}

/* `any` may name a task for some hits only: the population then has others. */
static void the_population_may_be_wider_than_the_hits(void **state)
{
    struct bed b;
    struct rule_demand d;
    (void)state;
    demand_of(&b, "version: 1\nrules:\n  r:\n    when: {any: [{task: a, status: failed}, {status: CRASHED, error.code: X}]}\n    streak: 2\n    notify: pager\n", &d);
    assert_true(d.tasks.all);
    bed_fini(&b);
}

/* A success is worth its metadata where it stands in a row that is keyed by it; a run under way is not. */
static void could_count(void **state)
{
    struct bed b;
    struct rule_demand d;
    struct run run;
    struct transition t = { .kind = TRANSITION_NEW, .state = RUN_COMPLETED };
    struct rule_subject s;
    (void)state;
    demand_of(&b, "version: 1\nrules:\n  r:\n    when: {task: a, status: failed}\n    streak: 2\n    by: metadata.c\n    notify: pager\n"
                  "  s:\n    when: {task: a, status: failed}\n    by: metadata.c\n    notify: pager\n", &d);
    run_init(&run);
    run.task = STR("a");
    run.kind = STR("run");
    rule_subject_init(&s, &b.a, &run, &t, 0);
    assert_true(rule_could_hit(b.rs->rules[0], &s, RUN_HAS_STATE | RUN_HAS_TASK));
    assert_false(rule_could_hit(b.rs->rules[1], &s, RUN_HAS_STATE | RUN_HAS_TASK));
    t.state = RUN_EXECUTING;
    assert_false(rule_could_hit(b.rs->rules[0], &s, RUN_HAS_STATE | RUN_HAS_TASK));
    t.state = RUN_COMPLETED;
    run.task = STR("b");
    assert_false(rule_could_hit(b.rs->rules[0], &s, RUN_HAS_STATE | RUN_HAS_TASK));
    bed_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_on_a_population_ask_for_all_ends),
        cmocka_unit_test(the_population_may_be_wider_than_the_hits),
        cmocka_unit_test(could_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
