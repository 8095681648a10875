/* What rules ask a source for: states, tasks, tags, fields; and what a report that is known in part could still hit. */
#include "rule_testing.h"

#define STATE(s) (1u << (s))
#define FAILED_STATES (STATE(RUN_FAILED) | STATE(RUN_CRASHED) | STATE(RUN_SYSTEM_FAILURE) | STATE(RUN_FAILED_TO_RUN) | STATE(RUN_INTERRUPTED) | STATE(RUN_TIMED_OUT) | STATE(RUN_EXPIRED))

static void demand_of(struct bed *b, const char *when, const char *more, struct rule_demand *out)
{
    bed_when(b, when, more);
    if (!b->rs) bed_print(b);
    assert_non_null(b->rs);
    ruleset_demand(b->rs, &b->a, STR("default"), STR("prod"), out);
}

static void assert_names(const struct bed *b, const char *what, const struct rule_names *names, const char *wanted)
{
    struct strbuf text;
    strbuf_init(&text, 1024);
    if (names->all) strbuf_c(&text, "*");
    for (size_t k = 0; !names->all && k < names->n; k++) strbuf_printf(&text, "%s" STR_FMT, k ? " " : "", STR_ARG(names->v[k]));
    if (!str_eq_c(strbuf_view(&text), wanted)) fail_msg("%s: `%s` instead of `%s`", what, text.p, wanted);
    strbuf_fini(&text);
    (void)b;
}

static void test_literals_that_every_hit_has(void **state)
{
    static const struct { const char *when, *tasks, *tags; } cases[] = {
        { "{status: CRASHED}", "*", "*" },
        { "{task: b, status: failed}", "b", "*" },
        { "{task: [b, a, b], tags: [x, y]}", "a b", "x y" },
        { "{task: \"b-*\"}", "*", "*" },
        { "{task: [a, \"b-*\"]}", "*", "*" },
        { "{task: {re: \"^a$\"}}", "*", "*" },
        { "{task: {not: a}}", "*", "*" },
        { "{task: {in: [a], not: b}}", "a", "*" },
        { "{tags: {all: [x, y]}}", "*", "x y" },
        { "{tags: {none: [x]}}", "*", "*" },
        { "{any: [{task: a}, {task: b, status: failed}]}", "a b", "*" },
        { "{any: [{task: a}, {tags: x}]}", "*", "*" },
        { "{any: [{task: a}, {any: [{task: b}, {task: c}]}], tags: x}", "a b c", "x" },
        { "{any: [{task: a}, {all: [{status: failed}, {task: d}]}]}", "a d", "*" },
        { "{not: {task: a}}", "*", "*" },
        { "{any: [{task: a}, {not: {task: b}}]}", "*", "*" },
        { "{task: \"it's, \\\"a\\\" \\\\\"}", "it's, \"a\" \\", "*" },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct bed b;
        struct rule_demand d;
        demand_of(&b, cases[k].when, "", &d);
        assert_names(&b, cases[k].when, &d.tasks, cases[k].tasks);
        assert_names(&b, cases[k].when, &d.tags, cases[k].tags);
        bed_fini(&b);
    }
}

static void test_states(void **state)
{
    static const struct { const char *when, *more; uint32_t hits, also; bool attempts; } cases[] = {
        { "{status: CRASHED}", "    resolve: manual\n", STATE(RUN_CRASHED), 0, false },
        { "{status: CRASHED}", "    resolve: success\n", STATE(RUN_CRASHED), STATE(RUN_COMPLETED), false },
        { "{status: CRASHED}", "    resolve: 2 successes\n", STATE(RUN_CRASHED), STATE(RUN_COMPLETED) | FAILED_STATES, false },
        { "{status: QUEUED}", "    resolve: manual\n    by: run\n", STATE(RUN_QUEUED), STATE(RUN_COMPLETED) | STATE(RUN_CANCELED) | FAILED_STATES, false },
        { "{status: failed}", "    resolve: manual\n", FAILED_STATES, 0, false },
        { "{status: EXECUTING}", "    lasts: 30m\n", STATE(RUN_EXECUTING), STATE(RUN_STATES) - 1, true },
        { "{status: REATTEMPTING}", "    resolve: manual\n", STATE(RUN_REATTEMPTING), 0, true },
        { "{status: CRASHED, attempt: {gt: 2}}", "    resolve: manual\n", STATE(RUN_CRASHED), 0, true },
        { "{status: {not: CRASHED}}", "    resolve: manual\n", (STATE(RUN_STATES) - 1) & ~STATE(RUN_CRASHED), 0, true },
        { "{not: {status: failed}}", "    resolve: manual\n", (STATE(RUN_STATES) - 1) & ~FAILED_STATES, 0, true },
        { "{any: [{status: CRASHED}, {status: WAITING}]}", "    resolve: manual\n", STATE(RUN_CRASHED) | STATE(RUN_WAITING), 0, false },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct bed b;
        struct rule_demand d;
        demand_of(&b, cases[k].when, cases[k].more, &d);
        if ((d.hits & cases[k].hits) != cases[k].hits) fail_msg("%s: hits %x lack some of %x", cases[k].when, d.hits, cases[k].hits);
        if (d.states != (d.hits | cases[k].also)) fail_msg("%s: states %x instead of %x", cases[k].when, d.states, d.hits | cases[k].also);
        assert_int_equal(d.attempts, cases[k].attempts);
        if (k < 9) assert_int_equal(d.hits, cases[k].hits);
        bed_fini(&b);
    }
}

static void test_whom_a_rule_concerns(void **state)
{
    static const struct { const char *when; size_t prod, any; } cases[] = {
        { "{status: failed}", 1, 1 }, { "{status: failed, env: prod}", 1, 1 }, { "{status: failed, env: stg}", 0, 1 },
        { "{status: failed, env: {not: prod}}", 0, 1 }, { "{not: {env: prod}}", 0, 1 }, { "{status: failed, project: other}", 0, 1 },
        { "{any: [{env: stg}, {task: a}]}", 1, 1 }, { "{any: [{env: stg}, {env: dev}]}", 0, 1 }, { "{kind: deployment}", 0, 0 },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct bed b;
        struct rule_demand d;
        demand_of(&b, cases[k].when, "", &d);
        if (d.rules != cases[k].prod) fail_msg("%s: %zu rules for prod", cases[k].when, d.rules);
        ruleset_demand(b.rs, &b.a, STR_NONE, STR_NONE, &d);
        if (d.rules != cases[k].any) fail_msg("%s: %zu rules for any", cases[k].when, d.rules);
        bed_fini(&b);
    }
}

/* A report of which task and state are known, and nothing else. */
static void test_could_hit(void **state)
{
    static const struct { const char *when; bool could; } cases[] = {
        { "{task: t}", true }, { "{task: u}", false }, { "{task: t, metadata.a: 1}", true }, { "{task: u, metadata.a: 1}", false },
        { "{not: {metadata.a: 1}}", true }, { "{not: {task: t}}", false }, { "{not: {task: u}}", true }, { "{not: {task: t, metadata.a: 1}}", true },
        { "{any: [{task: u}, {metadata.a: 1}]}", true }, { "{any: [{task: u}, {status: TIMED_OUT}]}", false }, { "{status: CRASHED, attempt: {gt: 1}}", true },
        { "{status: TIMED_OUT, attempt: {gt: 1}}", false }, { "{env: elsewhere}", true }, { "{run: run_2}", true }, { "{not: {any: [{task: t}, {metadata.a: 1}]}}", false },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct bed b;
        struct testing_run r;
        bed_when(&b, cases[k].when, "");
        assert_non_null(b.rs);
        testing_run(&b.a, "{\"id\":\"run_1\",\"status\":\"CRASHED\",\"taskIdentifier\":\"t\"}", &r);
        if (rule_could_hit(b.rs->rules[0], &r.subject, RUN_HAS_STATE | RUN_HAS_TASK | RULE_KNOWS_KIND) != cases[k].could)
            fail_msg("%s: %d", cases[k].when, !cases[k].could);
        bed_fini(&b);
    }
}

/* How far a source is must be known where rules wait, and only there. */
static void test_absences_are_asked_for(void **state)
{
    struct bed b;
    struct rule_demand d;
    (void)state;
    bed_when(&b, "{task: sync, status: success, env: prod}", "    absent: 2h\n");
    assert_non_null(b.rs);
    ruleset_demand(b.rs, &b.a, STR("default"), STR("prod"), &d);
    assert_true(d.absent);
    assert_true(d.states >> RUN_COMPLETED & 1);
    ruleset_demand(b.rs, &b.a, STR("default"), STR("stg"), &d);
    assert_false(d.absent);
    bed_fini(&b);
}

static void test_needs(void **state)
{
    static const struct { const char *when; uint32_t needs; } cases[] = {
        { "{status: failed}", 0 }, { "{task: a}", RUN_HAS_TASK }, { "{queue: q, machine: m}", RUN_HAS_QUEUE | RUN_HAS_MACHINE },
        { "{any: [{queue: q}, {task: a}]}", 0 }, { "{any: [{queue: q, task: a}, {queue: r}]}", RUN_HAS_QUEUE }, { "{not: {queue: q}}", 0 },
        { "{queue: {not: q}}", 0 }, { "{queue: {exists: true}}", RUN_HAS_QUEUE }, { "{queue: {exists: false}}", 0 }, { "{test: false}", 0 },
        { "{attempt: {gt: 1}}", RUN_HAS_ATTEMPT },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct bed b;
        bed_when(&b, cases[k].when, "");
        assert_non_null(b.rs);
        if (rule_needs(b.rs->rules[0]) != cases[k].needs) fail_msg("%s: %x instead of %x", cases[k].when, rule_needs(b.rs->rules[0]), cases[k].needs);
        bed_fini(&b);
    }
}

/* Never too little: whatever hits is among the states, has one of the literals, and could hit whatever is known of it. */
static void test_what_hits_was_asked_for(void **state)
{
    static const char *const whens[] = { "{status: failed, task: [a, b]}", "{not: {status: failed}}", "{any: [{task: a, status: CRASHED}, {task: b, status: QUEUED}]}",
                                         "{tags: {all: [x, y]}, status: finished}", "{status: {not: COMPLETED}, tags: [x, z]}" };
    static const char *const tags[] = { "", "\"x\"", "\"x\",\"y\"", "\"z\",\"q\"" };
    (void)state;
    for (size_t k = 0; k < sizeof whens / sizeof *whens; k++) {
        struct bed b;
        struct rule_demand d;
        size_t hits = 0;
        demand_of(&b, whens[k], "", &d);
        for (int s = 1; s < RUN_STATES; s++)
            for (int n = 0; n < 12; n++) {
                struct testing_run r;
                bool task = d.tasks.all, tag = d.tags.all;
                testing_run(&b.a, str_printf(&b.a, "{\"id\":\"run_1\",\"status\":\"%s\",\"taskIdentifier\":\"%c\",\"tags\":[%s]}", run_state_name((enum run_state)s), 'a' + n % 3, tags[n / 3]).p, &r);
                if (!rule_matches(b.rs->rules[0], &r.subject)) continue;
                hits++;
                for (size_t i = 0; i < d.tasks.n; i++) task |= str_eq(d.tasks.v[i], r.run.task);
                for (size_t i = 0; i < d.tags.n; i++)
                    for (size_t j = 0; j < r.run.tag_count; j++) tag |= str_eq(d.tags.v[i], r.run.tags[j]);
                assert_true(task && tag && (d.states >> s & 1));
                for (uint32_t known = 0; known < 8; known++)
                    assert_true(rule_could_hit(b.rs->rules[0], &r.subject, (known & 1 ? RUN_HAS_STATE : 0) | (known & 2 ? RUN_HAS_TASK : 0) | (known & 4 ? RUN_HAS_TAGS : 0)));
            }
        assert_true(hits > 0);
        bed_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals_that_every_hit_has), cmocka_unit_test(test_states), cmocka_unit_test(test_whom_a_rule_concerns),
        cmocka_unit_test(test_could_hit), cmocka_unit_test(test_absences_are_asked_for), cmocka_unit_test(test_needs), cmocka_unit_test(test_what_hits_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
