/* Matching: every field with every test that fits it, on a run that has everything and on one that has
 * nothing; and the tests that do not fit are refused. */
#include "rule_testing.h"

static const char rich_json[] =
    "{\"id\":\"run_rich1\",\"status\":\"CRASHED\",\"taskIdentifier\":\"render-video\",\"tags\":[\"billing\",\"org_7\"],"
    "\"env\":\"prod\",\"project\":\"shop\",\"version\":\"20260503.1\",\"queue\":\"q-video\",\"machine\":\"large-1x\","
    "\"region\":\"eu-central-1\",\"schedule\":\"sched_1\",\"batch\":\"batch_1\",\"isTest\":true,\"attempt\":3,"
    "\"relatedRuns\":{\"root\":{\"id\":\"run_root1\"},\"parent\":{\"id\":\"run_par1\"}},"
    "\"createdAt\":\"2026-05-03T10:00:00Z\",\"startedAt\":\"2026-05-03T10:00:10Z\","
    "\"updatedAt\":\"2026-05-03T10:02:10Z\",\"finishedAt\":\"2026-05-03T10:02:10Z\",\"costInCents\":2.5,"
    "\"error\":{\"name\":\"TypeError\",\"message\":\"Cannot read rows of 17\",\"code\":\"TASK_PROCESS_OOM_KILLED\"},"
    "\"metadata\":{\"customerId\":\"acme\",\"n\":5,\"text5\":\"5\",\"float\":5.0,\"zip\":\"0123\",\"flag\":true,"
    "\"nothing\":null,\"a.b\":{\"c\":\"deep\"},\"list\":[\"x\",\"yy\",7],\"obj\":{\"k\":1}}}";
static const char bare_json[] = "{\"id\":\"run_bare1\",\"status\":\"EXECUTING\"}";

struct row { const char *when; int rich, bare; }; /* wanted on the rich and on the bare run */

static const struct row text_rows[] = {
    { "{task: render-video}", 1, 0 },
    { "{task: \"render-video\"}", 1, 0 },
    { "{task: Render-video}", 0, 0 },
    { "{task: render}", 0, 0 },
    { "{task: render-*}", 1, 0 },
    { "{task: \"*-vide?\"}", 1, 0 },
    { "{task: [sync, render-video]}", 1, 0 },
    { "{task: [sync, \"ren*\"]}", 1, 0 },
    { "{task: {is: render-video}}", 1, 0 },
    { "{task: {is: render-*}}", 0, 0 },
    { "{task: {not: render-video}}", 0, 1 },
    { "{task: {not: render-*}}", 0, 1 },
    { "{task: {not: sync}}", 1, 1 },
    { "{task: {in: [sync, render-*]}}", 1, 0 },
    { "{task: {none: [sync, render-*]}}", 0, 1 },
    { "{task: {none: [sync]}}", 1, 1 },
    { "{task: {glob: \"r*v?deo\"}}", 1, 0 },
    { "{task: {glob: [a, \"r*\"]}}", 1, 0 },
    { "{task: {re: \"^ren.*o$\"}}", 1, 0 },
    { "{task: {re: [\"^x\", \"der-\"]}}", 1, 0 },
    { "{task: {re: RENDER}}", 0, 0 },
    { "{task: {re: (?i)RENDER}}", 1, 0 },
    { "{task: {exists: true}}", 1, 0 },
    { "{task: {exists: false}}", 0, 1 },
    { "{task: {glob: \"r*\", not: render-video}}", 0, 0 },
    { "{task: {glob: \"r*\", not: render-audio}}", 1, 0 },
    { "{env: prod}", 1, 0 },
    { "{env: default}", 0, 1 },
    { "{project: shop}", 1, 0 },
    { "{version: 20260503.1}", 1, 0 },
    { "{version: 20260503.*}", 1, 0 },
    { "{queue: q-video}", 1, 0 },
    { "{queue: {exists: true}}", 1, 0 },
    { "{run: run_rich1}", 1, 0 },
    { "{run: run_*}", 1, 1 },
    { "{root: run_root1}", 1, 0 },
    { "{parent: run_par1}", 1, 0 },
    { "{parent: {exists: false}}", 0, 1 },
    { "{machine: large-1x}", 1, 0 },
    { "{region: eu-*}", 1, 0 },
    { "{schedule: sched_1}", 1, 0 },
    { "{batch: batch_1}", 1, 0 },
    { "{kind: run}", 1, 1 },
    { "{kind: [deployment, run]}", 1, 1 },
    { "{kind: error}", 0, 0 },
    { "{error.message: {re: \"rows of \\\\d+$\"}}", 1, 0 },
    { "{error.message: \"*rows*\"}", 1, 0 },
    { "{error.name: TypeError}", 1, 0 },
    { "{error.name: {not: TypeError}}", 0, 1 },
    { "{error.code: TASK_PROCESS_OOM_KILLED}", 1, 0 },
    { "{error.fingerprint: {exists: true}}", 1, 0 },
    { "{error.fingerprint: {re: \"^[0-9a-f]{16}$\"}}", 1, 0 },
    { "{}", 1, 1 },
};

static const struct row other_rows[] = {
    { "{status: CRASHED}", 1, 0 },
    { "{status: EXECUTING}", 0, 1 },
    { "{status: failed}", 1, 0 },
    { "{status: active}", 0, 1 },
    { "{status: [success, failed]}", 1, 0 },
    { "{status: finished}", 1, 0 },
    { "{status: retrying}", 0, 0 },
    { "{status: FAILED}", 0, 0 },
    { "{status: Crashed}", 1, 0 },
    { "{status: {is: CRASHED}}", 1, 0 },
    { "{status: {not: CRASHED}}", 0, 1 },
    { "{status: {not: failed}}", 0, 1 },
    { "{status: {in: [CRASHED, TIMED_OUT]}}", 1, 0 },
    { "{status: {none: [CRASHED, EXECUTING]}}", 0, 0 },
    { "{status: CR*}", 1, 0 },
    { "{status: {glob: \"*ED\"}}", 1, 0 },
    { "{status: {re: \"^EXEC\"}}", 0, 1 },
    { "{status: {exists: true}}", 1, 1 },
    { "{tags: billing}", 1, 0 },
    { "{tags: [invoices, billing]}", 1, 0 },
    { "{tags: org_*}", 1, 0 },
    { "{tags: {all: [billing, org_7]}}", 1, 0 },
    { "{tags: {all: [billing, \"org_*\"]}}", 1, 0 },
    { "{tags: {all: [billing, invoices]}}", 0, 0 },
    { "{tags: {none: [invoices]}}", 1, 1 },
    { "{tags: {none: [invoices, billing]}}", 0, 1 },
    { "{tags: {not: billing}}", 0, 1 },
    { "{tags: {in: [billing]}}", 1, 0 },
    { "{tags: {is: billing}}", 1, 0 },
    { "{tags: {re: \"^org_[0-9]$\"}}", 1, 0 },
    { "{tags: {glob: \"org_?\"}}", 1, 0 },
    { "{tags: {exists: true}}", 1, 0 },
    { "{tags: {exists: false}}", 0, 1 },
    { "{test: true}", 1, 0 },
    { "{test: false}", 0, 1 },
    { "{test: {not: true}}", 0, 1 },
    { "{test: {is: true}}", 1, 0 },
    { "{attempt: 3}", 1, 0 },
    { "{attempt: [1, 3]}", 1, 0 },
    { "{attempt: {gt: 2}}", 1, 0 },
    { "{attempt: {gt: 3}}", 0, 0 },
    { "{attempt: {gte: 3}}", 1, 0 },
    { "{attempt: {lt: 3}}", 0, 0 },
    { "{attempt: {lte: 3}}", 1, 0 },
    { "{attempt: {gte: 2, lt: 4}}", 1, 0 },
    { "{attempt: {not: 3}}", 0, 1 },
    { "{attempt: {none: [1, 2]}}", 1, 1 },
    { "{duration: 2m}", 1, 0 },
    { "{duration: {gt: 1m59s}}", 1, 0 },
    { "{duration: {gt: 2m}}", 0, 0 },
    { "{duration: {gte: 2m}}", 1, 0 },
    { "{duration: {lte: 119999ms}}", 0, 0 },
    { "{duration: {exists: false}}", 0, 1 },
    { "{queue_time: 10s}", 1, 0 },
    { "{queue_time: {lt: 10s}}", 0, 0 },
    { "{age: {gte: 130s, lt: 131s}}", 1, 0 },
    { "{cost: 2.5}", 1, 0 },
    { "{cost: {gt: 2}}", 1, 0 },
    { "{cost: {lt: 2}}", 0, 0 },
    { "{cost: {exists: true}}", 1, 0 },
    { "{metadata.customerId: acme}", 1, 0 },
    { "{metadata.customerId: [globex, acme]}", 1, 0 },
    { "{metadata.customerId: ac*}", 1, 0 },
    { "{metadata.customerId: {exists: true}}", 1, 0 },
    { "{metadata.customerId: {not: acme}}", 0, 1 },
    { "{metadata.customerId: {re: ^a}}", 1, 0 },
    { "{metadata.n: 5}", 1, 0 },
    { "{metadata.n: \"5\"}", 1, 0 },
    { "{metadata.n: 05}", 0, 0 },
    { "{metadata.n: 5.0}", 1, 0 },
    { "{metadata.n: \"5.0\"}", 0, 0 },
    { "{metadata.float: 5}", 1, 0 },
    { "{metadata.text5: 5}", 1, 0 },
    { "{metadata.text5: {gt: 4}}", 1, 0 },
    { "{metadata.n: {gt: 4.5, lte: 5}}", 1, 0 },
    { "{metadata.n: {lt: 5}}", 0, 0 },
    { "{metadata.customerId: {gt: 1}}", 0, 0 },
    { "{metadata.zip: 0123}", 1, 0 },
    { "{metadata.zip: 123}", 0, 0 },
    { "{metadata.flag: true}", 1, 0 },
    { "{metadata.nothing: {exists: false}}", 1, 1 },
    { "{metadata.obj: {exists: true}}", 1, 0 },
    { "{metadata.obj.k: 1}", 1, 0 },
    { "{'metadata.\"a.b\".c': deep}", 1, 0 },
    { "{metadata.a.b.c: deep}", 0, 0 },
    { "{metadata.list: yy}", 1, 0 },
    { "{metadata.list: 7}", 1, 0 },
    { "{metadata.list: {all: [x, yy]}}", 1, 0 },
    { "{metadata.list: {all: [x, z]}}", 0, 0 },
    { "{metadata.list: {none: [z]}}", 1, 1 },
    { "{metadata.list.1: yy}", 1, 0 },
    { "{metadata.list.0: yy}", 0, 0 },
};

static const struct row logic_rows[] = {
    { "{task: render-video, status: failed}", 1, 0 },
    { "{task: render-video, status: success}", 0, 0 },
    { "{any: [{task: sync}, {status: failed}]}", 1, 0 },
    { "{any: [{task: sync}, {status: success}]}", 0, 0 },
    { "{all: [{tags: billing}, {tags: org_7}]}", 1, 0 },
    { "{all: [{tags: billing}, {tags: org_8}]}", 0, 0 },
    { "{not: {status: CRASHED}}", 0, 1 },
    { "{status: failed, not: {status: SYSTEM_FAILURE}}", 1, 0 },
    { "{not: {task: render-video, status: success}}", 1, 1 },
    { "{not: {any: [{status: CRASHED}, {status: EXECUTING}]}}", 0, 0 },
    { "{any: [{all: [{task: render-*}, {not: {env: dev}}]}, {test: false}]}", 1, 1 },
    { "{status: failed, tags: [billing, invoices]}", 1, 0 },
};

static void check(const struct row *row, struct testing_run *run, int wanted, const char *name)
{
    struct bed b;
    bed_when(&b, row->when, "");
    if (!b.rs) {
        bed_print(&b);
        fail_msg("%s does not compile", row->when);
    }
    run->subject.fingerprint = STR_NONE;
    if (rule_matches(b.rs->rules[0], &run->subject) != (wanted != 0))
        fail_msg("%s on the %s run: wanted %d", row->when, name, wanted);
    bed_fini(&b);
}

static void check_rows(const struct row *rows, size_t n)
{
    struct arena a = { 0 };
    struct testing_run rich, bare;
    testing_run(&a, rich_json, &rich);
    testing_run(&a, bare_json, &bare);
    for (size_t i = 0; i < n; i++) {
        check(&rows[i], &rich, rows[i].rich, "rich");
        check(&rows[i], &bare, rows[i].bare, "bare");
    }
    arena_fini(&a);
}

static void texts(void **state)
{
    (void)state;
    check_rows(text_rows, sizeof text_rows / sizeof *text_rows);
}

static void other_shapes(void **state)
{
    (void)state;
    check_rows(other_rows, sizeof other_rows / sizeof *other_rows);
}

static void any_all_not(void **state)
{
    (void)state;
    check_rows(logic_rows, sizeof logic_rows / sizeof *logic_rows);
}

/* Every field with every test: each pair either compiles or is refused, as the table of shapes says. */
static void every_field_with_every_test(void **state)
{
    static const char *const ops[] = { "is", "not", "in", "none", "all", "glob", "re", "gt", "gte", "lt",
                                       "lte", "exists" };
    /* by shape: S status, T text, L list, B bool, N number, D duration, J json; a letter = allowed */
    static const char *const fits[] = { "STLBNDJ", "STLBNDJ", "STLBNDJ", "STLBNDJ", "LJ", "STLJ", "STLJ",
                                        "NDJ", "NDJ",
                                        "NDJ", "NDJ", "STLBNDJ" };
    static const char letters[] = "STLBNDJ";
    static const char *const values[] = { "CRASHED", "run", "x", "true", "3", "3s", "3" };
    (void)state;
    for (int id = 0; id < RULE_FIELDS; id++) {
        enum field_shape shape = rule_field_shape((enum rule_field_id)id);
        for (size_t op = 0; op < 12; op++) {
            struct bed b;
            char when[128];
            bool wanted = strchr(fits[op], letters[shape]) != NULL;
            snprintf(when, sizeof when, "{%s%s: {%s: %s}}", rule_field_name((enum rule_field_id)id),
                     id == RULE_METADATA ? ".a" : "", ops[op], op == 11 ? "true" : values[shape]);
            bed_when(&b, when, "");
            if ((b.rs != NULL) != wanted) fail_msg("%s: wanted %d", when, wanted);
            bed_fini(&b);
        }
    }
}

struct state_row { const char *status, *when; bool hit; };
static void states_by_any_spelling(void **state)
{
    static const struct state_row rows[] = {
        { "COMPLETED_SUCCESSFULLY", "{status: COMPLETED}", true },
        { "COMPLETED", "{status: COMPLETED_SUCCESSFULLY}", true },
        { "COMPLETED_WITH_ERRORS", "{status: FAILED}", true },
        { "CANCELLED", "{status: CANCELED}", true },
        { "CANCELED", "{status: finished}", true },
        { "CANCELED", "{status: failed}", false },
        { "WAITING_FOR_DEPLOY", "{status: PENDING_VERSION}", true },
        { "RETRYING_AFTER_FAILURE", "{status: REATTEMPTING}", true },
        { "RETRYING_AFTER_FAILURE", "{status: retrying}", true },
        { "PENDING", "{status: QUEUED}", true },
        { "FROZEN", "{status: [WAITING]}", true },
        { "Timed out", "{status: TIMED_OUT}", true },
        { "TIMED_OUT", "{status: Timed out}", true },
        { "COMPLETED_WITH_ERRORS", "{status: COMPLETED_W*}", true },
        { "FAILED", "{status: COMPLETED_W*}", true },
        { "HIBERNATING", "{status: HIBERNATING}", true },
        { "HIBERNATING", "{status: HIBERNATED}", false },
        { "HIBERNATING", "{status: active}", true },
        { "HIBERNATING", "{status: finished}", false },
        { "HIBERNATING", "{status: HIB*}", true },
        { "HIBERNATING", "{status: {re: ^HIB}}", true },
        { "HIBERNATING", "{status: {not: HIBERNATING}}", false },
        { "HIBERNATING", "{status: {not: active}}", false },
        { "HIBERNATING", "{status: {not: failed}}", true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bed b;
        struct testing_run run;
        char json[160];
        bed_when(&b, rows[i].when, "");
        assert_non_null(b.rs);
        snprintf(json, sizeof json, "{\"id\":\"run_s\",\"status\":\"%s\"}", rows[i].status);
        testing_run(&b.a, json, &run);
        if (rule_matches(b.rs->rules[0], &run.subject) != rows[i].hit)
            fail_msg("%s on %s: wanted %d", rows[i].when, rows[i].status, rows[i].hit);
        bed_fini(&b);
    }
}

/* A derived REATTEMPTING is seen by its transition, not by the state the run was reported in. */
static void transition_decides(void **state)
{
    struct bed b;
    struct testing_run run;
    struct str text;
    struct rule_field status = { .id = RULE_STATUS };
    (void)state;
    bed_when(&b, "{status: REATTEMPTING, attempt: 2}", "");
    testing_run(&b.a, "{\"id\":\"run_s\",\"status\":\"QUEUED\"}", &run);
    assert_false(rule_matches(b.rs->rules[0], &run.subject));
    run.transition.state = RUN_REATTEMPTING;
    run.transition.attempt = 2;
    run.transition.derived = true;
    assert_true(rule_matches(b.rs->rules[0], &run.subject));
    assert_int_equal(rule_field_values(&status, &run.subject, &text, 1), 1);
    assert_true(str_eq_c(text, "REATTEMPTING"));
    bed_fini(&b);
}

static void kinds(void **state)
{
    struct bed b;
    struct testing_run run;
    (void)state;
    bed_when(&b, "{status: failed}", "");
    testing_run(&b.a, "{\"id\":\"run_s\",\"status\":\"FAILED\"}", &run);
    assert_true(rule_matches(b.rs->rules[0], &run.subject));
    run.run.kind = STR("deployment");
    assert_false(rule_matches(b.rs->rules[0], &run.subject));
    assert_false(rule_in_population(b.rs->rules[0], &run.subject));
    bed_fini(&b);
    bed_when(&b, "{status: failed, any: [{kind: deployment}, {task: x}]}", "");
    assert_true(rule_matches(b.rs->rules[0], &run.subject));
    bed_fini(&b);
}

struct population_row { const char *when; bool in; }; /* for a successful run of task sync in env prod */
static void populations(void **state)
{
    static const struct population_row rows[] = {
        { "{status: failed}", true },
        { "{status: failed, task: sync}", true },
        { "{status: failed, task: other}", false },
        { "{status: failed, duration: {gt: 2m}, env: prod}", true },
        { "{any: [{status: failed}, {task: other}]}", true },
        { "{any: [{task: other, status: failed}, {task: sync, status: CRASHED}]}", true },
        { "{any: [{task: other, status: failed}, {task: another}]}", false },
        { "{task: sync, not: {status: SYSTEM_FAILURE}}", true },
        { "{task: sync, not: {status: success, task: sync}}", true },
        { "{not: {task: sync}}", false },
        { "{all: [{status: failed}, {env: dev}]}", false },
        { "{error.message: {re: x}, attempt: 3, cost: {gt: 1}, queue_time: {gt: 1s}, age: {gt: 1s}}", true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bed b;
        struct testing_run run;
        bed_when(&b, rows[i].when, "");
        testing_run(&b.a, "{\"id\":\"run_s\",\"status\":\"COMPLETED\",\"task\":\"sync\",\"env\":\"prod\"}",
                    &run);
        if (rule_in_population(b.rs->rules[0], &run.subject) != rows[i].in)
            fail_msg("population of %s: wanted %d", rows[i].when, rows[i].in);
        bed_fini(&b);
    }
}

/* A pattern that would run for ever gives up and does not match. */
static void a_pattern_cannot_stall(void **state)
{
    struct bed b;
    struct testing_run run;
    (void)state;
    bed_when(&b, "{error.message: {re: \"^(a+)+$\"}}", "");
    testing_run(&b.a, "{\"id\":\"run_s\",\"status\":\"FAILED\"}", &run);
    run.run.error.message = STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab");
    assert_false(rule_matches(b.rs->rules[0], &run.subject));
    bed_fini(&b);
}

static void matching_allocates_nothing(void **state)
{
    struct bed b;
    struct arena a = { 0 };
    struct testing_run run;
    size_t used;
    (void)state;
    testing_run(&a, rich_json, &run);
    used = a.used_bytes;
    for (size_t i = 0; i < sizeof other_rows / sizeof *other_rows; i++) {
        bed_when(&b, other_rows[i].when, "");
        (void)rule_matches(b.rs->rules[0], &run.subject);
        bed_fini(&b);
    }
    assert_int_equal(a.used_bytes, used);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(other_shapes),
        cmocka_unit_test(any_all_not),
        cmocka_unit_test(every_field_with_every_test),
        cmocka_unit_test(states_by_any_spelling),
        cmocka_unit_test(transition_decides),
        cmocka_unit_test(kinds),
        cmocka_unit_test(populations),
        cmocka_unit_test(a_pattern_cannot_stall),
        cmocka_unit_test(matching_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
