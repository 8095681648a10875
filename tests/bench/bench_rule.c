/* bench_rule: what an event costs with 10 rules and with 10,000, when it matches at most 3 of them; and with
 * 100 rules of which none can be skipped. Interleaved rounds; prints min / median / max in ns per event. */
#include "base/rng.h"
#include "rule/rule.h"

enum { EVENTS = 2000, ROUNDS = 21, REPEATS = 5 };

struct world {
    struct arena a;
    struct ruleset *rs;
    struct rule_scratch scratch;
    double ns[ROUNDS];
    size_t hits, candidates;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- rules --------------------------------------------------------------------------------------------- */
/* Every tenth of each kind, so that 10 rules and 10,000 rules are the same mixture. */
static void put_rule(struct strbuf *out, size_t i)
{
    static const char *const kinds[] = {
        "{task: task-%zu, status: failed}",
        "{task: task-%zu, status: [CRASHED, TIMED_OUT], env: prod}",
        "{tags: [team-%zu, squad-%zu], status: failed}",
        "{task: \"batch-%zu-*\", status: failed}",
        "{status: REATTEMPTING, task: task-%zu}",
        "{status: failed, metadata.customerId: cust-%zu}",
        "{queue: queue-%zu, status: QUEUED}",
        "{any: [{task: job-%zu}, {tags: job-%zu}], status: failed}",
        "{env: prod, status: failed, task: {in: [a-%zu, b-%zu]}, error.message: {re: \"timeout|refused\"}}",
        "{version: \"2026.%zu\", status: failed, not: {tags: canary}}",
    };
    strbuf_printf(out, "  r%zu:\n    when: ", i);
    for (const char *p = kinds[i % 10]; *p; p++) {
        if (*p == '%') {
            strbuf_printf(out, "%zu", i / 10);
            p += 2;
        } else {
            strbuf_char(out, *p);
        }
    }
    strbuf_c(out, "\n    notify: ops\n");
}

static void put_plain_rule(struct strbuf *out, size_t i)
{
    strbuf_printf(out,
                  "  r%zu:\n    when: {task: task-0, status: failed, env: prod, tags: [team-0, x%zu]}\n    notify: ops\n", i, i);
}

static void world_init(struct world *w, size_t rules, void (*put)(struct strbuf *out, size_t i))
{
    static const struct rule_destination ops = { .name = { "ops", 3 }, .type = { "slack", 5 } };
    struct strbuf text;
    struct diags d;
    struct rule_file file = { 0 };
    struct rule_world rule_world = { .files = &file, .file_count = 1, .destinations = &ops,
                                     .destination_count = 1 };
    memset(w, 0, sizeof *w);
    diags_init(&d, &w->a);
    strbuf_init(&text, 64 << 20);
    strbuf_c(&text, "rules:\n");
    for (size_t i = 0; i < rules; i++) put(&text, i);
    file.top = yaml_read(&w->a, "bench.yaml", str_dup(&w->a, strbuf_view(&text)), &d);
    w->rs = ruleset_compile(&w->a, &rule_world, &d);
    if (!w->rs) {
        strbuf_clear(&text);
        diags_print(&d, &text, false);
        fputs(text.p, stderr);
        exit(1);
    }
    strbuf_fini(&text);
    diags_fini(&d);
}

static void world_fini(struct world *w)
{
    rule_scratch_fini(&w->scratch);
    ruleset_fini(w->rs);
    arena_fini(&w->a);
}

/* --- events -------------------------------------------------------------------------------------------- */
struct events { struct arena a; struct run *runs; };

/* 0 is named by a rule of either set, the others by none: the same rules hit under both. */
static size_t some_id(struct rng *rng)
{
    return rng_below(rng, 2) ? 0 : 10000 + (size_t)rng_below(rng, 1000);
}

static void event_json(struct rng *rng, size_t i, struct strbuf *out)
{
    static const char *const states[] = { "CRASHED", "COMPLETED_SUCCESSFULLY", "QUEUED", "FAILED",
                                          "REATTEMPTING", "EXECUTING" };
    strbuf_clear(out);
    strbuf_printf(out,
                  "{\"id\":\"run_%zu\",\"status\":\"%s\",\"taskIdentifier\":\"%s-%zu%s\",\"env\":\"prod\","
                       "\"queue\":\"queue-%zu\",\"version\":\"2026.%zu\",\"tags\":[\"org_%zu\",\"user_%zu\"],"
                       "\"metadata\":{\"customerId\":\"c%zu\",\"step\":3},\"error\":{\"name\":\"E\",\"message\":\"boom\"}}",
                  i, states[rng_below(rng, 6)], i % 4 ? "task" : "batch", some_id(rng),
                  i % 4 ? "" : "-x", some_id(rng), some_id(rng), i, i, i);
}

static void events_init(struct events *e)
{
    struct rng rng;
    struct strbuf text;
    memset(e, 0, sizeof *e);
    rng_seed(&rng, 7);
    strbuf_init(&text, 1 << 16);
    e->runs = ARENA_ARRAY(&e->a, struct run, EVENTS);
    for (size_t i = 0; i < EVENTS; i++) {
        struct json root;
        struct err err;
        event_json(&rng, i, &text);
        if (json_parse(&e->a, str_dup(&e->a, strbuf_view(&text)), &json_default_limits, &root, NULL,
                       &err) != 0 ||
            run_decode(&e->a, root, &e->runs[i], &err) != 0) {
            fprintf(stderr, "%s\n", err.msg);
            exit(1);
        }
    }
    strbuf_fini(&text);
}

static size_t evaluate(struct world *w, struct rule_subject *s, size_t *most)
{
    const uint32_t *v;
    size_t hits = 0, n = ruleset_candidates(w->rs, s, &w->scratch, &v);
    for (size_t i = 0; i < n; i++) hits += rule_matches(w->rs->rules[v[i]], s);
    w->candidates += n;
    if (hits > *most) *most = hits;
    return hits;
}

static size_t round_of(struct world *w, struct events *e, int round)
{
    size_t most = 0;
    int64_t start = now_ns();
    w->hits = w->candidates = 0;
    for (int again = 0; again < REPEATS; again++)
        for (size_t i = 0; i < EVENTS; i++) {
            struct rule_subject s;
            rule_subject_init(&s, &e->a, &e->runs[i], NULL, 1777803800000);
            w->hits += evaluate(w, &s, &most);
        }
    w->ns[round] = (double)(now_ns() - start) / (EVENTS * REPEATS);
    return most;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double report(const char *name, struct world *w, size_t most)
{
    qsort(w->ns, ROUNDS, sizeof *w->ns, by_value);
    printf("%-28s %7.0f %7.0f %7.0f   candidates %.2f, hits %.2f, at most %zu per event\n", name, w->ns[0],
           w->ns[ROUNDS / 2],
           w->ns[ROUNDS - 1], (double)w->candidates / (EVENTS * REPEATS),
               (double)w->hits / (EVENTS * REPEATS), most);
    return w->ns[ROUNDS / 2];
}

int main(void)
{
    struct world few, many, plain;
    struct events e;
    size_t most[3] = { 0 };
    double ten, ten_thousand;
    int64_t start;
    events_init(&e);
    world_init(&few, 10, put_rule);
    start = now_ns();
    world_init(&many, 10000, put_rule);
    printf("10,000 rules read and compiled in %.0f ms\n", (double)(now_ns() - start) / 1e6);
    world_init(&plain, 100, put_plain_rule);
    for (int round = 0; round < ROUNDS; round++) {
        most[0] = round_of(&few, &e, round);
        most[1] = round_of(&many, &e, round);
        most[2] = round_of(&plain, &e, round);
    }
    printf("%-28s %7s %7s %7s   (ns per event)\n", "", "min", "median", "max");
    ten = report("10 rules", &few, most[0]);
    ten_thousand = report("10,000 rules", &many, most[1]);
    report("100 rules of one task", &plain, most[2]);
    printf("10,000 against 10: %.2fx (goal: at most 2x)\n", ten_thousand / ten);
    world_fini(&few);
    world_fini(&many);
    world_fini(&plain);
    arena_fini(&e.a);
    return 0;
}
