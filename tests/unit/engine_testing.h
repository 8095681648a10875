/* engine_testing: a bench around one engine: rules given as YAML, events on a virtual clock, everything that is
 * said and handed out taken down. What a store would hold is kept, so that an engine can be built anew from it. */
#ifndef ENGINE_TESTING_H
#define ENGINE_TESTING_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/map.h"
#include "base/rng.h"
#include "engine/engine.h"

#define UNUSED __attribute__((unused)) static

enum { MINUTE = 60000, HOUR = 3600000 };
UNUSED const int64_t start_ms = 1767614400000;

struct said {
    int64_t at_ms;
    uint64_t incident, delivery;
    enum message_kind kind;
    struct str destination, lane, content, params;
};
struct bench {
    struct arena a;
    struct diags d;
    struct ruleset *rules;
    VEC(struct ruleset *) rulesets;
    struct engine *e;
    int64_t now_ms;
    bool hold_verdicts; /* messages are not delivered until asked for */
    bool trim_always;   /* details are paged out after every step */
    bool rereads;       /* runs can be read again; what is asked for is taken down */
    bool lazy;          /* nothing but messages is taken down, and rows only now and then: for storms */
    struct engine_limits limits;
    size_t paged_in, steps, events;
    VEC(struct said) said;
    VEC(struct engine_note) notes;
    VEC(struct engine_reread) asked;
    VEC(struct engine_incident_row) rows;
    VEC(struct engine_cell_row) cells; /* all ever handed out, in order */
    struct strbuf transcript; /* all outputs as text, for comparing two runs */
};

UNUSED const struct rule_destination bench_places[] = {
    { .name = { "chat", 4 }, .type = { "slack", 5 }, .edits = true },
    { .name = { "hook", 4 }, .type = { "webhook", 7 } },
    { .name = { "pager", 5 }, .type = { "pagerduty", 9 }, .acks = true },
    { .name = { "ops", 3 }, .type = { "console", 7 } },
};
enum { BENCH_PLACES = sizeof bench_places / sizeof *bench_places };

UNUSED struct ruleset *compile_in(struct bench *b, struct arena *a, const char *rules, const struct rule_destination *places, size_t n)
{
    struct str text = str_printf(a, "version: 1\n%s", rules);
    struct rule_file file = { yaml_read(a, "test.yaml", text, &b->d), false };
    struct rule_world w = { &file, 1, places, n, STR("ops"), false };
    struct ruleset *rs = ruleset_compile(a, &w, &b->d);
    if (!rs) {
        struct strbuf out;
        strbuf_init(&out, 1 << 20);
        diags_print(&b->d, &out, false);
        fail_msg("%s", out.p);
    }
    return rs;
}

/* Lives as long as the bench. */
UNUSED struct ruleset *compile_for(struct bench *b, const char *rules, const struct rule_destination *places, size_t n)
{
    struct ruleset *rs = compile_in(b, &b->a, rules, places, n);
    *vec_push(&b->rulesets) = rs;
    return rs;
}

UNUSED struct ruleset *compile(struct bench *b, const char *rules)
{
    return compile_for(b, rules, bench_places, BENCH_PLACES);
}

/* The last detail that was handed out, as a store would give it. */
UNUSED int bench_detail(void *ctx, uint64_t incident, struct arena *a, struct str *detail)
{
    struct bench *b = ctx;
    b->paged_in++;
    for (size_t k = b->rows.n; k-- > 0;)
        if (b->rows.v[k].id == incident && !str_absent(b->rows.v[k].detail)) {
            *detail = str_dup(a, b->rows.v[k].detail);
            return 0;
        }
    return -1;
}

/* The last blob of a cell. */
UNUSED int bench_cell(void *ctx, struct str key, struct arena *a, struct str *blob)
{
    struct bench *b = ctx;
    b->paged_in++;
    for (size_t k = b->cells.n; k-- > 0;)
        if (str_eq(b->cells.v[k].key, key)) {
            *blob = str_dup(a, b->cells.v[k].blob);
            return 0;
        }
    return -1;
}

UNUSED struct engine *bench_engine(struct bench *b, const struct ruleset *rules)
{
    struct engine_setup setup = { .rules = rules, .limits = b->limits, .detail = bench_detail, .cell = bench_cell, .detail_ctx = b, .rereads = b->rereads };
    return engine_new(&setup);
}

UNUSED void bench_open_within(struct bench *b, const char *rules, struct engine_limits limits)
{
    memset(b, 0, sizeof *b);
    diags_init(&b->d, &b->a);
    strbuf_init(&b->transcript, 64 << 20);
    b->rules = compile(b, rules);
    b->limits = limits;
    b->now_ms = start_ms;
    b->e = bench_engine(b, b->rules);
}

UNUSED void bench_open(struct bench *b, const char *rules)
{
    bench_open_within(b, rules, engine_default_limits);
}

UNUSED void bench_close(struct bench *b)
{
    engine_free(&b->e);
    for (size_t k = 0; k < b->rulesets.n; k++) ruleset_fini(b->rulesets.v[k]);
    vec_free(&b->rulesets);
    vec_free(&b->said);
    vec_free(&b->notes);
    vec_free(&b->asked);
    vec_free(&b->rows);
    vec_free(&b->cells);
    strbuf_fini(&b->transcript);
    diags_fini(&b->d);
    arena_fini(&b->a);
}

/* As a batch would: what changed is given up, seldom. */
UNUSED void collect_lazily(struct bench *b)
{
    struct arena a = { 0 };
    struct engine_changes c = { .arena = &a };
    if (++b->steps % 1000) return;
    engine_collect(b->e, &c);
    vec_free(&c.incidents);
    vec_free(&c.cells);
    arena_fini(&a);
}

UNUSED void collect(struct bench *b)
{
    struct engine_changes c = { .arena = &b->a };
    if (b->lazy) {
        collect_lazily(b);
        return;
    }
    engine_collect(b->e, &c);
    for (size_t k = 0; k < c.incidents.n; k++) { /* names belong to the engine, which a restart replaces */
        struct engine_incident_row row = c.incidents.v[k];
        row.rule = str_dup(&b->a, row.rule);
        row.project = str_dup(&b->a, row.project);
        row.env = str_dup(&b->a, row.env);
        *vec_push(&b->rows) = row;
    }
    for (size_t k = 0; k < c.cells.n; k++) *vec_push(&b->cells) = c.cells.v[k];
    vec_free(&c.incidents);
    vec_free(&c.cells);
    if (b->trim_always) {
        engine_trim(b->e, 0);
        assert_int_equal(engine_stats(b->e).detail_bytes, 0);
    }
}

UNUSED void take(struct bench *b, struct engine_output *out)
{
    for (size_t k = 0; k < out->messages.n; k++) {
        const struct engine_message *m = &out->messages.v[k];
        *vec_push(&b->said) = (struct said){ b->now_ms, m->incident, m->delivery, m->kind, str_dup(&b->a, m->destination), m->lane, m->content, m->params };
        strbuf_printf(&b->transcript, "%lld " STR_FMT " " STR_FMT "\n", (long long)b->now_ms, STR_ARG(m->destination), STR_ARG(m->content));
    }
    for (size_t k = 0; k < out->rereads.n; k++) *vec_push(&b->asked) = out->rereads.v[k];
    for (size_t k = 0; k < out->notes.n && !b->lazy; k++) {
        *vec_push(&b->notes) = out->notes.v[k];
        strbuf_printf(&b->transcript, "%llu %s " STR_FMT "\n", (unsigned long long)out->notes.v[k].incident, out->notes.v[k].what,
                      STR_ARG(out->notes.v[k].body));
    }
}

UNUSED void verdict(struct bench *b, size_t k, bool delivered);

UNUSED int step(struct bench *b, struct engine_input *in)
{
    struct engine_output out;
    struct err err;
    size_t from = b->said.n;
    int result;
    in->now_ms = b->now_ms;
    engine_output_init(&out, &b->a);
    assert_int_equal(engine_step(b->e, in, &out, &err), 0);
    take(b, &out);
    result = out.command_result;
    engine_output_fini(&out);
    collect(b);
    for (size_t k = from, n = b->said.n; k < n && !b->hold_verdicts; k++) verdict(b, k, true);
    return result;
}

UNUSED void until(struct bench *b, int64_t after_start_ms)
{
    int64_t to = start_ms + after_start_ms;
    while (engine_next_due(b->e) <= to) {
        struct engine_input tick = { .kind = ENGINE_TICK };
        if (engine_next_due(b->e) > b->now_ms) b->now_ms = engine_next_due(b->e);
        step(b, &tick);
    }
    b->now_ms = to;
}

struct report {
    const char *run, *task;
    enum run_state state;
    int64_t at_ms, attempt, started_ms;
    const char *env, *error, *metadata;
    int64_t event_ms; /* since the start; 0 = at_ms */
    const char *tags[4];
    uint32_t gained;  /* not 0: a fuller report */
    bool since_succeeded;
    int64_t created_ms;
    uint64_t event;   /* 0 = one of its own */
};

UNUSED void report(struct bench *b, struct report r)
{
    struct run run;
    struct transition t = { .kind = TRANSITION_NEW, .state = r.state, .current = true, .attempt = r.attempt };
    struct engine_input in = { .kind = ENGINE_EVENT };
    struct str tags[4];
    struct err err;
    until(b, r.at_ms);
    run_init(&run);
    run.id = str_c(r.run);
    run.task = str_c(r.task ? r.task : "job");
    run.project = STR("default");
    run.env = str_c(r.env ? r.env : "prod");
    run.kind = STR("run");
    run.state = r.state;
    run.spelling = str_c(run_state_name(r.state));
    run.attempt = r.attempt;
    run.updated_ms = b->now_ms;
    run.started_ms = r.started_ms ? start_ms + r.started_ms : RUN_TIME_NONE;
    run.created_ms = r.created_ms ? start_ms + r.created_ms : RUN_TIME_NONE;
    run.error.message = str_c(r.error);
    run.present = RUN_HAS_TASK | RUN_HAS_STATE | (r.error ? RUN_HAS_ERROR : 0) | (r.metadata ? RUN_HAS_METADATA : 0) | (r.tags[0] ? RUN_HAS_TAGS : 0);
    if (r.metadata) assert_int_equal(json_parse(&b->a, str_c(r.metadata), &json_default_limits, &run.metadata, NULL, &err), 0);
    t.event_ms = r.event_ms ? start_ms + r.event_ms : b->now_ms;
    in.u.event.run = &run;
    in.u.event.transition = &t;
    for (; run.tag_count < 4 && r.tags[run.tag_count]; run.tag_count++) tags[run.tag_count] = str_c(r.tags[run.tag_count]);
    run.tags = tags;
    if (r.gained) {
        t.kind = TRANSITION_FULLER;
        t.gained = r.gained;
    }
    in.u.event.since_succeeded = r.since_succeeded;
    in.u.event.event_id = r.event ? r.event : 1000 + b->events++;
    step(b, &in);
}

UNUSED int command(struct bench *b, enum engine_command what, uint64_t incident, int64_t for_ms)
{
    struct engine_input in = { .kind = ENGINE_COMMAND };
    in.u.command.what = what;
    in.u.command.incident = incident;
    in.u.command.who = STR("ann");
    in.u.command.for_ms = for_ms;
    return step(b, &in);
}

UNUSED size_t count_said(const struct bench *b, const char *destination, int kind)
{
    size_t n = 0;
    for (size_t k = 0; k < b->said.n; k++)
        n += str_eq_c(b->said.v[k].destination, destination) && (kind < 0 || (int)b->said.v[k].kind == kind);
    return n;
}

UNUSED const struct said *last_said(const struct bench *b, const char *destination)
{
    for (size_t k = b->said.n; k-- > 0;)
        if (str_eq_c(b->said.v[k].destination, destination)) return &b->said.v[k];
    fail_msg("nothing was said to %s", destination);
    return NULL;
}

UNUSED struct str said_field(struct bench *b, const struct said *s, const char *name)
{
    struct json v;
    struct err err;
    assert_int_equal(json_parse(&b->a, s->content, &json_default_limits, &v, NULL, &err), 0);
    return json_scalar(json_get_c(v, name));
}

UNUSED enum incident_state state_of(const struct bench *b, uint64_t id)
{
    for (size_t k = b->rows.n; k-- > 0;)
        if (b->rows.v[k].id == id) return b->rows.v[k].state;
    fail_msg("no row of the incident");
    return INCIDENT_PENDING;
}

/* What became of message k. */
UNUSED void verdict(struct bench *b, size_t k, bool delivered)
{
    struct engine_input v = { .kind = ENGINE_VERDICT };
    v.u.verdict.delivery = b->said.v[k].delivery;
    v.u.verdict.incident = b->said.v[k].incident;
    v.u.verdict.destination = b->said.v[k].destination;
    v.u.verdict.lane = b->said.v[k].lane;
    v.u.verdict.delivered = delivered;
    step(b, &v);
}

/* What a store would hold: the last row of each incident that is not resolved, the last blob of each cell. */
UNUSED void restore(struct bench *b, struct engine *e)
{
    struct err err;
    struct map last_cells = { 0 };
    for (size_t k = 0; k < b->rows.n; k++) {
        struct engine_incident_row row = b->rows.v[k];
        bool last = true;
        for (size_t n = k + 1; n < b->rows.n; n++) last &= b->rows.v[n].id != row.id;
        if (last && row.state != INCIDENT_RESOLVED) assert_int_equal(engine_restore_incident(e, &row, &err), 0);
    }
    for (size_t k = 0; k < b->cells.n; k++) map_put(&last_cells, b->cells.v[k].key, &b->cells.v[k]);
    for (size_t k = 0; k < b->cells.n; k++)
        if (map_get(&last_cells, b->cells.v[k].key) == &b->cells.v[k] && !str_absent(b->cells.v[k].blob))
            assert_int_equal(engine_restore_cell(e, &b->cells.v[k], &err), 0);
    map_fini(&last_cells);
}

/* The engine of b is replaced by one built from what it handed out. */
UNUSED void restart(struct bench *b, const struct ruleset *rules)
{
    struct engine_output out;
    struct err err;
    struct engine *e = bench_engine(b, rules);
    engine_free(&b->e);
    restore(b, e);
    b->e = e;
    engine_output_init(&out, &b->a);
    assert_int_equal(engine_restored(e, b->now_ms, &out, &err), 0);
    take(b, &out);
    engine_output_fini(&out);
    collect(b);
}

UNUSED void reload(struct bench *b, const struct ruleset *rules)
{
    struct engine_output out;
    struct err err;
    engine_output_init(&out, &b->a);
    assert_int_equal(engine_reload(b->e, rules, b->now_ms, &out, &err), 0);
    take(b, &out);
    engine_output_fini(&out);
    collect(b);
}

#define SIMPLE(more) "rules:\n  r:\n    when: {status: failed}\n    notify: chat\n" more
#define FAILED(run_, at_) (struct report){ .run = run_, .state = RUN_FAILED, .at_ms = at_ }
#define SUCCEEDED(run_, at_, started_) (struct report){ .run = run_, .state = RUN_COMPLETED, .at_ms = at_, .started_ms = started_ }

UNUSED uint64_t first(const struct bench *b)
{
    assert_true(b->rows.n > 0);
    return b->rows.v[0].id;
}

UNUSED size_t count_notes(const struct bench *b, const char *what)
{
    size_t n = 0;
    for (size_t k = 0; k < b->notes.n; k++) n += strcmp(b->notes.v[k].what, what) == 0;
    return n;
}

UNUSED void tick(struct bench *b)
{
    struct engine_input in = { .kind = ENGINE_TICK };
    step(b, &in);
}
#endif
