/* bench_engine: what the fold costs under load, on a virtual clock and with no store.
 *   rules    an event through engine_step, timers and rows included, under 10 rules of mixed conditions and under 10,000
 *   keys     what windows of a million keys weigh, of mixed conditions, with one entry or two each
 *   timers   setting, moving and firing one timer of 10,000 to 1,000,000; a restart with as many incidents, all overdue
 *   window   what a batch writes of a window that holds 4,096 runs
 * Each prints one JSON object. --quick: tiny counts, which measure nothing. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "engine/engine_internal.h"

enum { MINUTE = 60000 };
static const int64_t start_ms = 1777803800000;

/* Of the processor: one thread that waits for nothing, and other programs' turns are not counted. */
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- a world: rules, an engine, what a batch hands out ------------------------------------------------------------ */
struct world {
    struct arena a; /* rules */
    struct ruleset *rs;
    struct engine *e;
    int64_t now_ms;
    size_t in_batch, hits, most_hits, messages, cell_bytes, cells;
    struct arena batch;
};

static struct ruleset *compiled(struct arena *a, struct str text)
{
    static const struct rule_destination places[] = { { .name = { "ops", 3 }, .type = { "slack", 5 }, .edits = true },
                                                      { .name = { "pager", 5 }, .type = { "pagerduty", 9 }, .acks = true } };
    struct diags d;
    struct ruleset *rs;
    struct strbuf out;
    struct rule_file file = { 0 };
    struct rule_world w = { .files = &file, .file_count = 1, .destinations = places, .destination_count = 2 };
    diags_init(&d, a);
    file.top = yaml_read(a, "bench.yaml", text, &d);
    rs = ruleset_compile(a, &w, &d);
    if (!rs) {
        strbuf_init(&out, 1 << 20);
        diags_print(&d, &out, false);
        fputs(out.p, stderr);
        exit(1);
    }
    diags_fini(&d);
    return rs;
}

static struct str last_detail; /* every incident is told with the same one: who reads it back is not measured */

static int some_detail(void *ctx, uint64_t incident, struct arena *a, struct str *detail)
{
    (void)ctx;
    (void)incident;
    *detail = str_dup(a, last_detail);
    return 0;
}

static void keep_detail(struct str detail)
{
    static struct arena a;
    if (str_absent(detail) || last_detail.n) return;
    last_detail = str_dup(&a, detail);
}

static void engine_up(struct world *w)
{
    struct engine_setup setup = { .rules = w->rs, .limits = engine_default_limits, .detail = some_detail };
    w->e = engine_new(&setup);
    w->now_ms = start_ms;
}

static void world_init(struct world *w, struct str rules)
{
    memset(w, 0, sizeof *w);
    w->rs = compiled(&w->a, str_dup(&w->a, rules));
    engine_up(w);
}

static void world_fini(struct world *w)
{
    engine_free(&w->e);
    ruleset_fini(w->rs);
    arena_fini(&w->a);
    arena_fini(&w->batch);
}

static void step(struct world *w, struct engine_input *in);

/* What was said has arrived. */
static void deliver(struct world *w, const struct engine_output *out)
{
    for (size_t k = 0; k < out->messages.n; k++) {
        const struct engine_message *m = &out->messages.v[k];
        struct engine_input v = { .kind = ENGINE_VERDICT };
        v.u.verdict.delivery = m->delivery;
        v.u.verdict.incident = m->incident;
        v.u.verdict.destination = m->destination;
        v.u.verdict.lane = m->lane;
        v.u.verdict.delivered = true;
        step(w, &v);
    }
    w->messages += out->messages.n;
}

static void step(struct world *w, struct engine_input *in)
{
    struct engine_output out;
    struct err err;
    in->now_ms = w->now_ms;
    engine_output_init(&out, &w->batch);
    if (engine_step(w->e, in, &out, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    w->hits += out.hits;
    if (in->kind == ENGINE_EVENT && out.hits > w->most_hits) w->most_hits = out.hits; /* a tick tells of what has lasted, for many runs */
    deliver(w, &out);
    engine_output_fini(&out);
}

/* The end of a batch: timers, rows, details out of memory. */
static void collect(struct world *w)
{
    struct engine_input tick = { .kind = ENGINE_TICK };
    struct engine_changes c = { .arena = &w->batch };
    step(w, &tick);
    engine_collect(w->e, &c);
    w->cell_bytes = 0;
    for (size_t k = 0; k < c.incidents.n; k++) keep_detail(c.incidents.v[k].detail);
    w->cells = c.cells.n;
    for (size_t k = 0; k < c.cells.n; k++) w->cell_bytes += c.cells.v[k].key.n + c.cells.v[k].blob.n;
    vec_free(&c.incidents);
    vec_free(&c.cells);
    engine_trim(w->e, 1 << 20);
    arena_reset(&w->batch);
    w->in_batch = 0;
}

static void take(struct world *w, const struct run *run, uint64_t event)
{
    struct transition t = { .kind = TRANSITION_NEW, .state = run->state, .current = true, .attempt = run->attempt, .event_ms = w->now_ms };
    struct engine_input in = { .kind = ENGINE_EVENT };
    in.u.event.run = run;
    in.u.event.transition = &t;
    in.u.event.event_id = event;
    step(w, &in);
}

static struct run a_run(struct str id, struct str task, enum run_state state)
{
    struct run run;
    run_init(&run);
    run.id = id;
    run.task = task;
    run.project = STR("default");
    run.env = STR("prod");
    run.kind = STR("run");
    run.state = state;
    run.spelling = str_c(run_state_name(state));
    run.present = RUN_HAS_TASK | RUN_HAS_STATE;
    return run;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void put_spread(const char *name, double *v, size_t n, const char *behind)
{
    qsort(v, n, sizeof *v, by_value);
    printf("\"%s\": [%.4g, %.4g, %.4g]%s", name, v[0], (v[(n - 1) / 2] + v[n / 2]) / 2, v[n - 1], behind);
}

/* --- rules ------------------------------------------------------------------------------------------------------------ */
enum { EVENTS = 4000, BATCH = 100, KINDS = 12, ROUNDS = 15 };

/* Every tenth rule of each kind, so that 10 rules and 10,000 are the same mixture. */
static void put_rule(struct strbuf *out, size_t i)
{
    static const char *const kinds[KINDS] = {
        "when: {task: task-@, status: failed}",
        "when: {task: task-@, status: [CRASHED, TIMED_OUT], env: prod}, count: 3 in 10m",
        "when: {tags: [team-@, squad-@], status: failed}, count: 5 of metadata.customerId in 15m",
        "when: {task: \"batch-@-*\", status: failed}, streak: 3",
        "when: {task: task-@, status: REATTEMPTING}, count: 3 in 10m, by: run",
        "when: {status: failed, metadata.customerId: cust-@}, first: 7d, by: [task, error.fingerprint]",
        "when: {queue: queue-@, status: failed}, flaps: 4 in 1h",
        "when: {any: [{task: job-@}, {tags: job-@}], status: failed}, rate: over 20% of last 50 runs",
        "when: {env: prod, status: failed, task: {in: [a-@, b-@]}}, rate: \"over 5% in 1h, min 50\"",
        "when: {version: \"2026.@\", status: failed, not: {tags: canary}}, count: 10 runs in 5m",
        "when: {task: job-@, status: EXECUTING}, lasts: 30m",
        "when: {task: a-@, status: success, env: prod}, absent: 2h",
    };
    strbuf_printf(out, "  r%zu: {", i);
    for (const char *p = kinds[i % KINDS]; *p; p++) {
        if (*p == '@') strbuf_printf(out, "%zu", i / KINDS);
        else strbuf_char(out, *p);
    }
    strbuf_c(out, ", notify: ops}\n");
}

static void rules_world(struct world *w, size_t rules)
{
    struct strbuf text;
    strbuf_init(&text, 64 << 20);
    strbuf_c(&text, "rules:\n");
    for (size_t i = 0; i < rules; i++) put_rule(&text, i);
    world_init(w, strbuf_view(&text));
    strbuf_fini(&text);
}

/* A run of one task of the rules, with at most one more field that a rule names: it hits three at most. */
static void event_json(struct rng *rng, size_t i, size_t names, struct strbuf *out)
{
    static const char *const states[] = { "CRASHED", "COMPLETED_SUCCESSFULLY", "COMPLETED_SUCCESSFULLY", "FAILED", "REATTEMPTING", "EXECUTING" };
    static const char *const tasks[][2] = { { "task", "" }, { "batch", "-x" }, { "job", "" }, { "a", "" } };
    size_t task = (size_t)rng_below(rng, 4);
    const char *state = states[rng_below(rng, 6)];
    size_t id = (size_t)rng_below(rng, names), more = (size_t)rng_below(rng, 5);
    strbuf_clear(out);
    strbuf_printf(out, "{\"id\":\"run_%zu\",\"status\":\"%s\",\"taskIdentifier\":\"%s-%zu%s\",\"env\":\"prod\",", i, state, tasks[task][0], id, tasks[task][1]);
    strbuf_printf(out, "\"queue\":\"%s-%zu\",\"version\":\"%s.%zu\",", more == 1 ? "queue" : "q", id, more == 2 ? "2026" : "v", id);
    strbuf_printf(out, "\"tags\":[\"org_%zu\",\"%s-%zu\"],\"metadata\":{\"customerId\":\"%s-%zu\",\"step\":3}", i % 50, more == 3 ? "team" : "t", id,
                  more == 4 ? "cust" : "c", more == 4 ? id : i % 50);
    if (!strchr(state, 'M')) strbuf_printf(out, ",\"error\":{\"name\":\"E\",\"message\":\"boom %zu\"}", i % 3);
    strbuf_char(out, '}');
}

static struct run *some_runs(struct arena *a, size_t names)
{
    struct run *runs = ARENA_ARRAY(a, struct run, EVENTS);
    struct rng rng;
    struct strbuf text;
    rng_seed(&rng, 7);
    strbuf_init(&text, 1 << 16);
    for (size_t i = 0; i < EVENTS; i++) {
        struct json root;
        struct err err;
        event_json(&rng, i, names, &text);
        if (json_parse(a, str_dup(a, strbuf_view(&text)), &json_default_limits, &root, NULL, &err) != 0 || run_decode(a, root, &runs[i], &err) != 0) {
            fprintf(stderr, "%s\n", err.msg);
            exit(1);
        }
        runs[i].project = STR("default");
    }
    strbuf_fini(&text);
    return runs;
}

/* The clock goes on over rounds, and runs get new ids, so that every round finds the state as a long time leaves it. */
static double fold(struct world *w, const struct run *runs, size_t events)
{
    char id[32];
    double from_s = seconds();
    for (size_t i = 0; i < events; i++) {
        struct run run = runs[i];
        int n = snprintf(id, sizeof id, "run_%lld", (long long)w->now_ms);
        run.id = (struct str){ id, (size_t)n };
        w->now_ms += 50;
        take(w, &run, (uint64_t)w->now_ms);
        if (++w->in_batch == BATCH) collect(w);
    }
    return (seconds() - from_s) / (double)events * 1e9;
}

static void bench_rules(bool quick)
{
    struct world few, many, spread;
    struct arena a = { 0 };
    struct run *same, *wide;
    double ns[3][ROUNDS], ratio[2][ROUNDS];
    size_t rounds = quick ? 1 : ROUNDS, events = quick ? 200 : EVENTS;
    rules_world(&few, 10);
    rules_world(&many, 10000);
    rules_world(&spread, 10000);
    same = some_runs(&a, 1);
    wide = some_runs(&a, 1000);
    for (size_t k = 0; k <= rounds; k++) { /* the first one warms up */
        size_t at = k ? k - 1 : 0;
        ns[0][at] = fold(&few, same, events);
        ns[1][at] = fold(&many, same, events);
        ns[2][at] = fold(&spread, wide, events);
        for (size_t j = 0; j < 2; j++) ratio[j][at] = ns[j + 1][at] / ns[0][at];
    }
    printf("{\"hits\": %.2f, \"most_hits\": %zu, \"spread_hits\": %.2f, ", (double)few.hits / (double)((rounds + 1) * events), many.most_hits,
           (double)spread.hits / (double)((rounds + 1) * events));
    put_spread("ns_10", ns[0], rounds, ", ");
    put_spread("ns_10000", ns[1], rounds, ", ");
    put_spread("ns_10000_spread", ns[2], rounds, ", ");
    put_spread("ratio", ratio[0], rounds, ", ");
    put_spread("ratio_spread", ratio[1], rounds, "}\n");
    world_fini(&few);
    world_fini(&many);
    world_fini(&spread);
    arena_fini(&a);
}

/* --- keys ------------------------------------------------------------------------------------------------------------- */
static size_t allocated(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static size_t resident(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*s %lu", &pages) != 1) exit(1);
    fclose(f);
    return pages * 4096;
}

/* Six conditions; a customer's run fails, and another one succeeds: windows of one entry and of two. What `first` opens
 * resolves by the success. */
static const char key_rules[] = "defaults: {linger: 0s, by: metadata.customerId, wait: 1m}\nrules:\n"
                                "  a: {when: {status: failed}, count: 3 in 10m, notify: ops}\n"
                                "  b: {when: {status: failed}, count: 5 of task in 15m, notify: ops}\n"
                                "  c: {when: {status: failed}, count: 10 runs in 1h, notify: ops}\n"
                                "  d: {when: {status: failed}, streak: 3, notify: ops}\n"
                                "  e: {when: {status: failed}, first: 7d, notify: ops}\n"
                                "  f: {when: {status: failed}, flaps: 4 in 1h, notify: ops}\n"
                                "  g: {when: {status: failed}, rate: over 20% of last 50 runs, notify: ops}\n"
                                "  h: {when: {status: failed}, rate: over 20% in 1h, notify: ops}\n";
enum { KEY_RULES = 8 };

static void of_customer(struct world *w, size_t customer, enum run_state state)
{
    static struct arena a;
    char id[32];
    struct err err;
    struct run run;
    int n = snprintf(id, sizeof id, "run_%zu_%d", customer, (int)state);
    run = a_run((struct str){ id, (size_t)n }, STR("job"), state);
    w->now_ms += 2;
    run.started_ms = w->now_ms - 1; /* after what happened before */
    run.present |= RUN_HAS_METADATA | RUN_HAS_STARTED;
    if (json_parse(&a, str_printf(&a, "{\"customerId\":\"customer-%07zu\"}", customer), &json_default_limits, &run.metadata, NULL, &err)) exit(1);
    take(w, &run, (uint64_t)w->now_ms);
    if (++w->in_batch == 1000) collect(w);
    arena_reset(&a);
}

static void bench_keys(bool quick)
{
    struct world w;
    size_t customers = (quick ? 1000 : 1000000) / KEY_RULES, before, rss;
    double from_s;
    world_init(&w, str_c(key_rules));
    before = allocated();
    rss = resident();
    from_s = seconds();
    for (size_t k = 0; k < customers; k++) {
        of_customer(&w, k, RUN_FAILED);
        of_customer(&w, k, RUN_COMPLETED);
    }
    collect(&w);
    arena_fini(&w.batch);
    printf("{\"windows\": %zu, \"incidents\": %zu, \"allocated_mib\": %.1f, \"resident_mib\": %.1f, \"us_per_event\": %.2f}\n", engine_stats(w.e).windows,
           engine_incidents(w.e, STR(""), (uint64_t[8]){ 0 }, 8), (double)(allocated() - before) / (1 << 20), (double)(resident() - rss) / (1 << 20),
           (seconds() - from_s) * 1e6 / (double)(2 * customers));
    world_fini(&w);
}

/* --- a busy window -------------------------------------------------------------------------------------------------------- */
enum { BUSY = 4096, BUSY_BATCHES = 2000 };

static void bench_window(bool quick)
{
    struct world w;
    size_t batches = quick ? 100 : BUSY_BATCHES, filled = quick ? 200 : BUSY;
    static double bytes[BUSY_BATCHES], us[BUSY_BATCHES];
    char id[32];
    world_init(&w, STR("rules: {r: {when: {status: failed}, count: 100000 in 1h, notify: ops}}"));
    for (size_t k = 0; k < filled + batches; k++) {
        struct run run;
        double from_s;
        int n = snprintf(id, sizeof id, "run_%zu", k);
        run = a_run((struct str){ id, (size_t)n }, STR("job"), RUN_FAILED);
        w.now_ms += 10;
        take(&w, &run, k + 1);
        if (k + 1 == filled) collect(&w); /* all of it, once */
        if (k < filled) continue;
        from_s = seconds();
        collect(&w);
        us[k - filled] = (seconds() - from_s) * 1e6;
        bytes[k - filled] = (double)w.cell_bytes;
    }
    printf("{");
    put_spread("bytes_per_batch", bytes, batches, ", ");
    put_spread("us_per_batch", us, batches, "}\n");
    world_fini(&w);
}

/* --- timers ------------------------------------------------------------------------------------------------------------------ */
enum { SETS = 200000, LEAST = 10000, MOST_TIMERS = 1000000, SPAN_MS = 100000000 };

/* ns to set one, to move one, to fire the first (and set it anew, as a reminder does), while n stand in the heap. */
static void time_heap(size_t n, size_t sets, double *ns)
{
    struct world w;
    struct rng rng;
    struct incident *all = xcalloc(n, sizeof *all);
    double from_s;
    rng_seed(&rng, 5);
    world_init(&w, STR("rules: {r: {when: {status: failed}, notify: ops}}"));
    for (size_t k = 0; k < n; k++) {
        all[k].timer.due_ms = ENGINE_NEVER;
        all[k].id = k + 1;
    }
    from_s = seconds();
    for (size_t k = 0; k < n; k++) timer_set(w.e, &all[k].timer, (int64_t)rng_below(&rng, SPAN_MS));
    ns[0] = (seconds() - from_s) * 1e9 / (double)n;
    from_s = seconds();
    for (size_t k = 0; k < sets; k++) timer_set(w.e, &all[rng_below(&rng, n)].timer, (int64_t)rng_below(&rng, SPAN_MS));
    ns[1] = (seconds() - from_s) * 1e9 / (double)sets;
    from_s = seconds();
    for (size_t k = 0; k < sets; k++) {
        struct timer *t = timer_first(w.e);
        timer_set(w.e, t, t->due_ms + SPAN_MS);
    }
    ns[2] = (seconds() - from_s) * 1e9 / (double)sets;
    while (timer_first(w.e)) timer_drop(w.e, timer_first(w.e));
    free(all);
    world_fini(&w);
}

static void bench_heap(bool quick)
{
    static const char *const names[] = { "set", "move", "fire" };
    double ns[2][3][5];
    size_t rounds = quick ? 1 : 5;
    for (size_t k = 0; k < rounds; k++)
        for (size_t big = 0; big < 2; big++) {
            double one[3];
            time_heap(big && !quick ? MOST_TIMERS : LEAST, quick ? 1000 : SETS, one);
            for (size_t j = 0; j < 3; j++) ns[big][j][k] = one[j];
        }
    for (size_t j = 0; j < 3; j++) {
        char name[64];
        double grown[5];
        for (size_t k = 0; k < rounds; k++) grown[k] = ns[1][j][k] / ns[0][j][k];
        snprintf(name, sizeof name, "%s_ns_10000", names[j]);
        put_spread(name, ns[0][j], rounds, ", ");
        snprintf(name, sizeof name, "%s_ns_1000000", names[j]);
        put_spread(name, ns[1][j], rounds, ", ");
        snprintf(name, sizeof name, "%s_growth", names[j]);
        put_spread(name, grown, rounds, ", ");
    }
}

/* An open incident, as a store would hold it, with an escalation to come. */
static void one_row(struct world *w, struct arena *a, struct engine_incident_row *row)
{
    struct engine_changes c = { .arena = a };
    struct run run = a_run(STR("run_1"), STR("job-0000000"), RUN_FAILED);
    take(w, &run, 1);
    engine_collect(w->e, &c);
    *row = c.incidents.v[0];
    row->project = str_dup(a, row->project);
    row->env = str_dup(a, row->env);
    row->rule = str_dup(a, row->rule);
    keep_detail(row->detail);
    vec_free(&c.incidents);
    vec_free(&c.cells);
}

static void restore_all(struct world *w, struct engine_incident_row row, size_t n)
{
    struct engine_output out;
    struct err err;
    char key[32];
    uint64_t id = row.id;
    engine_free(&w->e);
    engine_up(w);
    for (size_t k = 0; k < n; k++) {
        int length = snprintf(key, sizeof key, "job-%07zu", k);
        row.key = (struct str){ key, (size_t)length };
        row.id = id + k;
        if (engine_restore_incident(w->e, &row, &err) < 0) exit(1);
    }
    engine_output_init(&out, &w->batch);
    if (engine_restored(w->e, w->now_ms, &out, &err) < 0) exit(1);
    engine_output_fini(&out);
}

/* A restart after a day: everything is overdue, and fires once. A batch is a tick and what it changed. */
static void bench_restart(bool quick)
{
    struct world w;
    struct arena a = { 0 };
    struct engine_incident_row row;
    size_t n = quick ? 1000 : MOST_TIMERS, batches = 0, said;
    double from_s = seconds(), restore_s;
    world_init(&w, STR("defaults: {repeat: never, resolve: manual, limit: 20 per 1m}\n"
                       "rules: {r: {when: {status: failed}, notify: ops, escalate: {15m: pager}}}"));
    one_row(&w, &a, &row);
    from_s = seconds();
    restore_all(&w, row, n);
    restore_s = seconds() - from_s;
    w.now_ms += 24 * 60 * MINUTE;
    w.messages = 0;
    from_s = seconds();
    for (; engine_next_due(w.e) <= w.now_ms; batches++) collect(&w);
    said = w.messages;
    printf("\"restored\": %zu, \"restore_s\": %.3f, \"fire_s\": %.3f, \"batches\": %zu, \"messages\": %zu}\n", n, restore_s, seconds() - from_s, batches, said);
    world_fini(&w);
    arena_fini(&a);
}

static void bench_timers(bool quick)
{
    printf("{");
    bench_heap(quick);
    bench_restart(quick);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*fn)(bool quick); } all[] = {
        { "rules", bench_rules }, { "keys", bench_keys }, { "timers", bench_timers }, { "window", bench_window },
    };
    bool quick = argc > 2 && strcmp(argv[2], "--quick") == 0;
    for (size_t k = 0; argc > 1 && k < sizeof all / sizeof *all; k++) {
        if (strcmp(argv[1], all[k].name) != 0) continue;
        all[k].fn(quick);
        return 0;
    }
    fputs("usage: bench_engine rules|keys|timers|window [--quick]\n", stderr);
    return 2;
}
