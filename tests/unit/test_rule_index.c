/* The candidate index against the plain way: for random rules and random runs, what matches by way of the
 * candidates is what matches among all rules; in order, each once. The seed is printed: give it as
 * RUNBELL_SEED to see a run again. */
#include "base/rng.h"
#include "rule_testing.h"

static struct rng rng;

static size_t pick(size_t n)
{
    return (size_t)rng_below(&rng, n);
}

/* --- random rules -------------------------------------------------------------------------------------- */
static void put_list(struct strbuf *out, const char *const *values, size_t n)
{
    size_t count = 1 + pick(3);
    strbuf_char(out, '[');
    for (size_t i = 0; i < count; i++) strbuf_printf(out, "%s%s", i ? ", " : "", values[pick(n)]);
    strbuf_char(out, ']');
}

static const char *const tasks[] = { "sync", "sync-orders", "render", "render-video", "pay" };
static const char *const task_globs[] = { "sync*", "render-*", "\"*-video\"", "\"s?nc\"", "\"r*o\"",
                                          "\"?*\"" };
static const char *const tags[] = { "billing", "vip", "org_1", "org_2", "org_*", "\"*ing\"" };
static const char *const envs[] = { "prod", "dev", "default", "\"p*\"" };
static const char *const states[] = { "CRASHED", "failed", "success", "EXECUTING", "active", "TIMED_OUT",
                                      "WOBBLING",
                                      "\"CR*\"", "REATTEMPTING", "finished" };
static const char *const scalars[] = { "acme", "globex", "5", "5.0", "\"5\"", "7", "\"a*\"", "true", "-0",
                                       "0" };
static const char *const paths[] = { "customer", "n", "list", "deep.a", "list.0" };
static const char *const names[] = { "TypeError", "RangeError", "\"T*\"" };

#define LIST(a) (a), sizeof(a) / sizeof *(a)

static void put_test(struct strbuf *out, const char *field, const char *const *values, size_t n, bool list)
{
    static const char *const ops[] = { "is", "not", "in", "none", "all", "glob" };
    strbuf_printf(out, "{%s: ", field);
    if (pick(3) > 0) {
        put_list(out, values, n);
    } else {
        const char *op = ops[pick(6)];
        if (!list && strcmp(op, "all") == 0) op = "in";
        strbuf_printf(out, "{%s: ", op);
        put_list(out, values, n);
        strbuf_char(out, '}');
    }
    strbuf_char(out, '}');
}

static void put_leaf(struct strbuf *out)
{
    char path[64];
    switch (pick(10)) {
    case 0: put_test(out, "task", LIST(tasks), false); break;
    case 1: put_test(out, "task", LIST(task_globs), false); break;
    case 2: put_test(out, "tags", LIST(tags), true); break;
    case 3: put_test(out, "env", LIST(envs), false); break;
    case 4: case 5: put_test(out, "status", LIST(states), false); break;
    case 6: put_test(out, "error.name", LIST(names), false); break;
    case 7: strbuf_printf(out, "{attempt: {gte: %zu}}", pick(4)); break;
    case 8: strbuf_printf(out, "{task: {re: \"%s\"}}", pick(2) ? "^s" : "o$"); break;
    default:
        snprintf(path, sizeof path, "metadata.%s", paths[pick(5)]);
        put_test(out, path, LIST(scalars), true);
    }
}

static void put_match(struct strbuf *out, int depth)
{
    size_t kind = depth > 0 ? pick(6) : 5, n = 1 + pick(3);
    if (kind >= 3) {
        put_leaf(out);
    } else if (kind == 0) {
        strbuf_c(out, "{not: ");
        put_match(out, depth - 1);
        strbuf_char(out, '}');
    } else {
        strbuf_c(out, kind == 1 ? "{any: [" : "{all: [");
        for (size_t i = 0; i < n; i++) {
            if (i) strbuf_c(out, ", ");
            put_match(out, depth - 1);
        }
        strbuf_c(out, "]}");
    }
}

static void put_rules(struct strbuf *out, size_t n)
{
    strbuf_c(out, "rules:\n");
    for (size_t i = 0; i < n; i++) {
        strbuf_printf(out, "  r%zu:\n    when: {all: [", i);
        put_match(out, 3);
        strbuf_c(out, ", ");
        put_match(out, 1);
        strbuf_printf(out, "]}\n    notify: pager\n%s", pick(4) ? "" : "    resolve: manual\n");
    }
}

/* --- random runs --------------------------------------------------------------------------------------- */
static void put_run(struct strbuf *out)
{
    static const char *const run_states[] = { "CRASHED", "COMPLETED", "EXECUTING", "TIMED_OUT", "WOBBLING",
                                              "FAILED", "REATTEMPTING" };
    static const char *const run_tags[] = { "billing", "vip", "org_1", "org_2", "org_3", "x" };
    static const char *const values[] = { "\"acme\"", "\"globex\"", "5", "5.0", "\"5\"", "7", "true", "null",
                                          "{}", "-0.0",
                                          "[\"acme\",5]", "[5.0,\"x\"]", "[]", "50e-1", "\"abc\"" };
    strbuf_printf(out, "{\"id\":\"run_1\",\"status\":\"%s\",\"attempt\":%zu", run_states[pick(7)],
                  1 + pick(4));
    if (pick(8)) strbuf_printf(out, ",\"task\":\"%s\"", tasks[pick(5)]);
    if (pick(3)) strbuf_printf(out, ",\"env\":\"%s\"", envs[pick(2)]);
    if (pick(3)) strbuf_printf(out, ",\"tags\":[\"%s\",\"%s\"]", run_tags[pick(6)], run_tags[pick(6)]);
    if (pick(3)) strbuf_printf(out, ",\"error\":{\"name\":\"%s\"}", names[pick(2)]);
    if (pick(4))
        strbuf_printf(out, ",\"metadata\":{\"customer\":%s,\"n\":%s,\"list\":%s,\"deep\":{\"a\":%s}}",
                      values[pick(15)],
                      values[pick(15)], values[pick(15)], values[pick(15)]);
    strbuf_char(out, '}');
}

/* --- the property -------------------------------------------------------------------------------------- */
static void in_order_each_once(const uint32_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) assert_true(v[i - 1] < v[i]);
}

static bool among(const uint32_t *v, size_t n, size_t wanted)
{
    for (size_t i = 0; i < n; i++)
        if (v[i] == wanted) return true;
    return false;
}

static size_t superset(const struct bed *b, struct testing_run *run, struct rule_scratch *scratch,
                       const char *json)
{
    const uint32_t *v;
    size_t hits = 0, n = ruleset_candidates(b->rs, &run->subject, scratch, &v);
    in_order_each_once(v, n);
    for (size_t i = 0; i < b->rs->rule_count; i++) {
        if (!rule_matches(b->rs->rules[i], &run->subject)) continue;
        hits++;
        if (!among(v, n, i)) fail_msg("rule r%zu matches and is no candidate: %s", i, json);
    }
    n = ruleset_success_candidates(b->rs, &run->subject, scratch, &v);
    in_order_each_once(v, n);
    for (size_t i = 0; i < b->rs->rule_count; i++) {
        const struct rule *r = b->rs->rules[i];
        bool counts = r->resolve[0].kind == RULE_SUCCESS;
        if (!counts && among(v, n, i)) fail_msg("rule r%zu does not count successes", i);
        if (counts && rule_in_population(r, &run->subject) && !among(v, n, i))
            fail_msg("rule r%zu has it in its population and is no candidate: %s", i, json);
    }
    return hits;
}

static void round_of(size_t rules, size_t runs, struct rule_scratch *scratch, size_t *hits)
{
    struct strbuf text;
    struct bed b;
    strbuf_init(&text, 16 << 20);
    put_rules(&text, rules);
    bed_compile(&b, text.p);
    if (!b.rs) bed_print(&b);
    assert_non_null(b.rs);
    for (size_t i = 0; i < runs; i++) {
        struct arena a = { 0 };
        struct testing_run run;
        strbuf_clear(&text);
        put_run(&text);
        testing_run(&a, text.p, &run);
        *hits += superset(&b, &run, scratch, text.p);
        arena_fini(&a);
    }
    strbuf_fini(&text);
    bed_fini(&b);
}

static void candidates_hold_every_hit(void **state)
{
    struct rule_scratch scratch = { 0 };
    const char *given = getenv("RUNBELL_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 0;
    size_t hits = 0;
    (void)state;
    if (!given) {
        rng_seed_system(&rng);
        seed = rng_u64(&rng);
    }
    rng_seed(&rng, seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 40; i++) round_of(1 + pick(120), 60, &scratch,
                                          &hits); /* the scratch is used over all sets */
    assert_true(hits > 1000);
    rule_scratch_fini(&scratch);
}

/* --- selectivity --------------------------------------------------------------------------------------- */
struct found_row { const char *when; bool other; }; /* is it a candidate for an unrelated run? */
static void only_what_might_match(void **state)
{
    static const struct found_row rows[] = {
        { "{task: sync, status: failed}", false },
        { "{task: \"sync-*\"}", false },
        { "{tags: billing, env: prod}", false },
        { "{tags: {all: [\"*x\", billing]}}", false },
        { "{metadata.customer: acme, env: prod}", false },
        { "{metadata.customer: 5, env: prod}", false },
        { "{any: [{task: sync}, {tags: billing}, {task: pay, env: prod}]}", false },
        { "{status: success}", false },
        { "{env: prod, any: [{status: success}, {status: TIMED_OUT}]}", false },
        { "{status: {not: CRASHED}}", false },
        { "{env: dev, error.message: {re: x}}", false },
        { "{env: prod}", true },
        { "{any: [{task: sync}, {attempt: 2}]}", true },
        { "{task: {re: ^sync}}", true },
        { "{not: {task: other}}", true },
        { "{}", true },
    };
    struct rule_scratch scratch = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bed b;
        struct testing_run run;
        const uint32_t *v;
        bed_when(&b, rows[i].when, "");
        testing_run(&b.a,
                    "{\"id\":\"run_1\",\"status\":\"CRASHED\",\"task\":\"other\",\"env\":\"prod\",\"tags\":[\"y\"],"
                          "\"metadata\":{\"customer\":6}}", &run);
        if ((ruleset_candidates(b.rs, &run.subject, &scratch, &v) == 1) != rows[i].other)
            fail_msg("%s", rows[i].when);
        bed_fini(&b);
    }
    rule_scratch_fini(&scratch);
}

static void many_candidates_stay_in_order(void **state)
{
    struct rule_scratch scratch = { 0 };
    struct strbuf text;
    struct bed b;
    struct testing_run run;
    const uint32_t *v;
    (void)state;
    strbuf_init(&text, 1 << 20);
    strbuf_c(&text, "rules:\n");
    for (int i = 0; i < 300; i++)
        strbuf_printf(&text, "  r%d:\n    when: {%s}\n    notify: pager\n", i,
                      i % 3 == 0 ? "tags: [b, a]" : i % 3 == 1 ? "task: t" : "status: failed");
    bed_compile(&b, text.p);
    testing_run(&b.a, "{\"id\":\"run_1\",\"status\":\"CRASHED\",\"task\":\"t\",\"tags\":[\"a\",\"b\"]}",
                &run);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(ruleset_candidates(b.rs, &run.subject, &scratch, &v), 300);
        in_order_each_once(v, 300);
    }
    strbuf_fini(&text);
    rule_scratch_fini(&scratch);
    bed_fini(&b);
}

static void more_paths_than_slots(void **state)
{
    struct rule_scratch scratch = { 0 };
    struct strbuf text;
    struct bed b;
    struct testing_run run;
    const uint32_t *v;
    size_t n, hits = 0;
    (void)state;
    strbuf_init(&text, 1 << 20);
    strbuf_c(&text, "rules:\n");
    for (int i = 0; i < 200; i++) strbuf_printf(&text,
                                                "  r%d:\n    when: {metadata.k%d: x}\n    notify: pager\n", i,
                                                    i);
    bed_compile(&b, text.p);
    assert_non_null(b.rs);
    testing_run(&b.a, "{\"id\":\"run_1\",\"status\":\"CRASHED\",\"metadata\":{\"k3\":\"x\",\"k150\":\"x\"}}",
                &run);
    n = ruleset_candidates(b.rs, &run.subject, &scratch, &v);
    for (size_t i = 0; i < n; i++) hits += rule_matches(b.rs->rules[v[i]], &run.subject);
    assert_int_equal(hits, 2);
    strbuf_fini(&text);
    rule_scratch_fini(&scratch);
    bed_fini(&b);
}

static void an_empty_ruleset(void **state)
{
    struct rule_scratch scratch = { 0 };
    struct bed b;
    struct testing_run run;
    const uint32_t *v;
    (void)state;
    bed_compile(&b, "version: 1\n");
    assert_non_null(b.rs);
    testing_run(&b.a, "{\"id\":\"run_1\",\"status\":\"CRASHED\"}", &run);
    assert_int_equal(ruleset_candidates(b.rs, &run.subject, &scratch, &v), 0);
    rule_scratch_fini(&scratch);
    bed_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_hold_every_hit),
        cmocka_unit_test(only_what_might_match),
        cmocka_unit_test(many_candidates_stay_in_order),
        cmocka_unit_test(more_paths_than_slots),
        cmocka_unit_test(an_empty_ruleset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
