/* engine: rules given as YAML, events on a virtual clock, what is said and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/rng.h"
#include "engine/engine.h"

enum { MINUTE = 60000, HOUR = 3600000 };
static const int64_t start_ms = 1767614400000;

/* --- a bench around one engine ------------------------------------------------------------------------------------ */
struct said {
    int64_t at_ms;
    uint64_t incident, delivery;
    enum message_kind kind;
    struct str destination, lane, content;
};
struct bench {
    struct arena a;
    struct diags d;
    struct ruleset *rules;
    struct engine *e;
    int64_t now_ms;
    bool hold_verdicts; /* messages are not delivered until asked for */
    VEC(struct said) said;
    VEC(struct engine_note) notes;
    VEC(struct engine_incident_row) rows;
    VEC(struct engine_cell_row) cells; /* all ever handed out, in order */
    struct str script; /* all outputs as text, for comparing two runs */
    struct strbuf transcript;
};

static struct ruleset *compile(struct bench *b, const char *rules)
{
    static struct rule_destination places[] = {
        { .name = { "chat", 4 }, .type = { "slack", 5 }, .edits = true },
        { .name = { "hook", 4 }, .type = { "webhook", 7 } },
        { .name = { "pager", 5 }, .type = { "pagerduty", 9 }, .acks = true },
        { .name = { "ops", 3 }, .type = { "console", 7 } },
    };
    struct str text = str_printf(&b->a, "version: 1\n%s", rules);
    struct rule_file file = { yaml_read(&b->a, "test.yaml", text, &b->d), false };
    struct rule_world w = { &file, 1, places, 4, STR("ops") };
    struct ruleset *rs = ruleset_compile(&b->a, &w, &b->d);
    if (!rs) {
        struct strbuf out;
        strbuf_init(&out, 1 << 20);
        diags_print(&b->d, &out, false);
        fail_msg("%s", out.p);
    }
    return rs;
}

static void bench_open(struct bench *b, const char *rules)
{
    struct engine_setup setup = { .limits = engine_default_limits };
    memset(b, 0, sizeof *b);
    diags_init(&b->d, &b->a);
    strbuf_init(&b->transcript, 64 << 20);
    b->rules = compile(b, rules);
    setup.rules = b->rules;
    b->now_ms = start_ms;
    b->e = engine_new(&setup);
}

static void bench_close(struct bench *b)
{
    engine_free(&b->e);
    ruleset_fini(b->rules);
    vec_free(&b->said);
    vec_free(&b->notes);
    vec_free(&b->rows);
    vec_free(&b->cells);
    strbuf_fini(&b->transcript);
    diags_fini(&b->d);
    arena_fini(&b->a);
}

static void collect(struct bench *b)
{
    struct engine_changes c = { .arena = &b->a };
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
}

static void take(struct bench *b, struct engine_output *out)
{
    for (size_t k = 0; k < out->messages.n; k++) {
        const struct engine_message *m = &out->messages.v[k];
        *vec_push(&b->said) = (struct said){ b->now_ms, m->incident, m->delivery, m->kind, str_dup(&b->a, m->destination), m->lane, m->content };
        strbuf_printf(&b->transcript, "%lld " STR_FMT " " STR_FMT "\n", (long long)b->now_ms, STR_ARG(m->destination), STR_ARG(m->content));
    }
    for (size_t k = 0; k < out->notes.n; k++) {
        *vec_push(&b->notes) = out->notes.v[k];
        strbuf_printf(&b->transcript, "%llu %s " STR_FMT "\n", (unsigned long long)out->notes.v[k].incident, out->notes.v[k].what,
                      STR_ARG(out->notes.v[k].body));
    }
}

static int step(struct bench *b, struct engine_input *in)
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
    for (size_t k = from, n = b->said.n; k < n && !b->hold_verdicts; k++) {
        struct engine_input v = { .kind = ENGINE_VERDICT };
        v.u.verdict.delivery = b->said.v[k].delivery;
        v.u.verdict.incident = b->said.v[k].incident;
        v.u.verdict.destination = b->said.v[k].destination;
        v.u.verdict.lane = b->said.v[k].lane;
        v.u.verdict.delivered = true;
        step(b, &v);
    }
    return result;
}

static void until(struct bench *b, int64_t after_start_ms)
{
    int64_t to = start_ms + after_start_ms;
    while (engine_next_due(b->e) <= to) {
        struct engine_input tick = { .kind = ENGINE_TICK };
        if (engine_next_due(b->e) > b->now_ms) b->now_ms = engine_next_due(b->e);
        step(b, &tick);
    }
    b->now_ms = to;
}

struct report { const char *run, *task; enum run_state state; int64_t at_ms, attempt, started_ms; const char *env, *error, *metadata; int64_t event_ms; };

static void report(struct bench *b, struct report r)
{
    struct run run;
    struct transition t = { .kind = TRANSITION_NEW, .state = r.state, .current = true, .attempt = r.attempt };
    struct engine_input in = { .kind = ENGINE_EVENT };
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
    run.error.message = str_c(r.error);
    run.present = RUN_HAS_TASK | RUN_HAS_STATE | (r.error ? RUN_HAS_ERROR : 0) | (r.metadata ? RUN_HAS_METADATA : 0);
    if (r.metadata) assert_int_equal(json_parse(&b->a, str_c(r.metadata), &json_default_limits, &run.metadata, NULL, &err), 0);
    t.event_ms = r.event_ms ? start_ms + r.event_ms : b->now_ms;
    in.u.event.run = &run;
    in.u.event.transition = &t;
    in.u.event.event_id = 7;
    step(b, &in);
}

static int command(struct bench *b, enum engine_command what, uint64_t incident, int64_t for_ms)
{
    struct engine_input in = { .kind = ENGINE_COMMAND };
    in.u.command.what = what;
    in.u.command.incident = incident;
    in.u.command.who = STR("ann");
    in.u.command.for_ms = for_ms;
    return step(b, &in);
}

static size_t count_said(const struct bench *b, const char *destination, int kind)
{
    size_t n = 0;
    for (size_t k = 0; k < b->said.n; k++)
        n += str_eq_c(b->said.v[k].destination, destination) && (kind < 0 || (int)b->said.v[k].kind == kind);
    return n;
}

static const struct said *last_said(const struct bench *b, const char *destination)
{
    for (size_t k = b->said.n; k-- > 0;)
        if (str_eq_c(b->said.v[k].destination, destination)) return &b->said.v[k];
    fail_msg("nothing was said to %s", destination);
    return NULL;
}

static struct str said_field(struct bench *b, const struct said *s, const char *name)
{
    struct json v;
    struct err err;
    assert_int_equal(json_parse(&b->a, s->content, &json_default_limits, &v, NULL, &err), 0);
    return json_scalar(json_get_c(v, name));
}

static enum incident_state state_of(const struct bench *b, uint64_t id)
{
    for (size_t k = b->rows.n; k-- > 0;)
        if (b->rows.v[k].id == id) return b->rows.v[k].state;
    fail_msg("no row of the incident");
    return INCIDENT_PENDING;
}

#define SIMPLE(more) "rules:\n  r:\n    when: {status: failed}\n    notify: chat\n" more

/* --- opening, joining, updates ------------------------------------------------------------------------------------- */
static void test_hits_join_one_incident(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE(""));
    for (int k = 0; k < 100; k++) report(&b, (struct report){ str_printf(&b.a, "run_%d", k).p, "job", RUN_FAILED, .at_ms = k * 10 });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    until(&b, 10 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 1); /* coalesced: 100 hits within one `update` */
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "runs"), "100"));
    bench_close(&b);
}

static void test_environments_share_nothing(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    count: 2 in 10m\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0, .env = "prod" });
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 0, .env = "stg" });
    assert_int_equal(b.said.n, 0);
    report(&b, (struct report){ "run_3", "job", RUN_FAILED, .at_ms = 0, .env = "prod" });
    assert_int_equal(b.said.n, 1);
    bench_close(&b);
}

static void test_wait_batches_and_stays_silent(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    wait: 1m\n    linger: 0s\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_2", "job", RUN_COMPLETED, .at_ms = 30000, .started_ms = 20000 });
    until(&b, 5 * MINUTE);
    assert_int_equal(b.said.n, 0); /* opened and resolved inside wait: silent */
    assert_int_equal(state_of(&b, b.rows.v[0].id), INCIDENT_RESOLVED);
    report(&b, (struct report){ "run_3", "job", RUN_FAILED, .at_ms = 6 * MINUTE });
    until(&b, 6 * MINUTE + 59999);
    assert_int_equal(b.said.n, 0);
    until(&b, 7 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_at_least_counts_runs(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    at_least: 3\n"));
    for (int k = 0; k < 5; k++) report(&b, (struct report){ "run_same", "job", RUN_FAILED, .at_ms = k });
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 10 });
    assert_int_equal(b.said.n, 0);
    report(&b, (struct report){ "run_3", "job", RUN_FAILED, .at_ms = 11 });
    assert_int_equal(b.said.n, 1);
    bench_close(&b);
}

/* --- count ---------------------------------------------------------------------------------------------------------- */
static void test_count_window_is_exact(void **state)
{
    static const struct { int64_t at[3]; size_t said; } cases[] = {
        { { 0, 5 * MINUTE, 10 * MINUTE - 1 }, 1 },
        { { 0, 5 * MINUTE, 10 * MINUTE }, 0 }, /* the first one has just left */
        { { 0, 1, 2 }, 1 },
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct bench b;
        bench_open(&b, SIMPLE("    count: 3 in 10m\n"));
        for (int k = 0; k < 3; k++) report(&b, (struct report){ str_printf(&b.a, "run_%d", k).p, "job", RUN_FAILED, .at_ms = cases[c].at[k] });
        assert_int_equal(b.said.n, cases[c].said);
        bench_close(&b);
    }
}

static void test_late_events_are_placed_where_they_belong(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    count: 3 in 10m\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 30 * MINUTE });
    report(&b, (struct report){ "run_3", "job", RUN_FAILED, .at_ms = 31 * MINUTE, .event_ms = 4 * MINUTE });
    assert_int_equal(b.said.n, 0);
    report(&b, (struct report){ "run_4", "job", RUN_FAILED, .at_ms = 32 * MINUTE, .event_ms = 9 * MINUTE });
    assert_int_equal(b.said.n, 1); /* 0, 4 and 9 minutes are three within ten */
    bench_close(&b);
}

static void test_count_of_runs(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    count: 2 runs in 10m\n"));
    for (int k = 0; k < 9; k++) report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = k * 1000 });
    assert_int_equal(b.said.n, 0);
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 10000 });
    assert_int_equal(b.said.n, 1);
    bench_close(&b);
}

static void test_clears_when_the_window_empties(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    count: 2 in 10m\n    resolve: clears\n    linger: 0s\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 4 * MINUTE });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    until(&b, 10 * MINUTE - 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    until(&b, 10 * MINUTE + 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* --- resolving ------------------------------------------------------------------------------------------------------- */
static void test_success_must_start_after_the_last_hit(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    linger: 0s\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 10 * MINUTE });
    report(&b, (struct report){ "run_2", "job", RUN_COMPLETED, .at_ms = 11 * MINUTE, .started_ms = 9 * MINUTE });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    report(&b, (struct report){ "run_3", "other", RUN_COMPLETED, .at_ms = 12 * MINUTE, .started_ms = 11 * MINUTE });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    report(&b, (struct report){ "run_4", "job", RUN_COMPLETED, .at_ms = 13 * MINUTE, .started_ms = 11 * MINUTE });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

static void test_n_successes_are_consecutive(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    resolve: 3 successes\n    linger: 0s\n"));
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_1", "job", RUN_COMPLETED, .at_ms = 1000, .started_ms = 500 });
    report(&b, (struct report){ "run_2", "job", RUN_COMPLETED, .at_ms = 2000, .started_ms = 1500 });
    report(&b, (struct report){ "run_3", "job", RUN_FAILED, .at_ms = 3000 });
    report(&b, (struct report){ "run_4", "job", RUN_COMPLETED, .at_ms = 4000, .started_ms = 3500 });
    report(&b, (struct report){ "run_5", "job", RUN_COMPLETED, .at_ms = 5000, .started_ms = 4500 });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    report(&b, (struct report){ "run_6", "job", RUN_CANCELED, .at_ms = 5500 }); /* does not break the row */
    report(&b, (struct report){ "run_7", "job", RUN_COMPLETED, .at_ms = 6000, .started_ms = 5500 });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

static void test_linger_and_relapse(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    linger: 5m\n    escalate: {8m: pager}\n"));
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_1", "job", RUN_COMPLETED, .at_ms = 2 * MINUTE, .started_ms = MINUTE });
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 4 * MINUTE }); /* relapse: no message */
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    until(&b, 9 * MINUTE);
    assert_int_equal(count_said(&b, "pager", -1), 0); /* two minutes stood still */
    until(&b, 10 * MINUTE);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    report(&b, (struct report){ "run_3", "job", RUN_COMPLETED, .at_ms = 11 * MINUTE, .started_ms = 10 * MINUTE });
    until(&b, 16 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_RESOLVE), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "pager"), "reason"), "a run succeeded"));
    bench_close(&b);
}

static void test_quiet_counts_from_arrival(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    resolve: 24h quiet\n"));
    /* a month old by its own time: it rings, is marked late, and is not quiet at once */
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 1000, .event_ms = -30LL * 24 * HOUR });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "late"), "true"));
    until(&b, 24 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    until(&b, 24 * HOUR + 1000);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

#define RETRIES "rules:\n  r:\n    when: {status: REATTEMPTING}\n    count: 3 in 10m\n    by: run\n    notify: chat\n    escalate: {15m: pager}\n"

static void retries(struct bench *b)
{
    for (int k = 0; k < 3; k++) report(b, (struct report){ "run_r1", "job", RUN_REATTEMPTING, .at_ms = k * MINUTE, .attempt = k + 2 });
}

static void test_run_keyed_incident_follows_its_run(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, RETRIES);
    retries(&b);
    report(&b, (struct report){ "run_x", "job", RUN_COMPLETED, .at_ms = 3 * MINUTE, .started_ms = 3 * MINUTE }); /* another run: nothing */
    report(&b, (struct report){ "run_r1", "job", RUN_FAILED, .at_ms = 4 * MINUTE });
    until(&b, 5 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 1); /* ended as FAILED */
    until(&b, 20 * MINUTE);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1); /* due escalations stay due */
    until(&b, 20 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 0); /* reminders end */
    until(&b, 26 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

static void test_cancel_resolves_a_run_keyed_incident(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, RETRIES);
    retries(&b);
    report(&b, (struct report){ "run_r1", "job", RUN_CANCELED, .at_ms = 4 * MINUTE });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    until(&b, HOUR);
    assert_int_equal(count_said(&b, "pager", -1), 0);
    bench_close(&b);
}

static void test_success_of_the_task_closes_all_errors(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    by: [task, error.fingerprint]\n    linger: 0s\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0, .error = "one thing" });
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 1, .error = "another thing" });
    report(&b, (struct report){ "run_3", "else", RUN_FAILED, .at_ms = 2, .error = "one thing" });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 3);
    report(&b, (struct report){ "run_4", "job", RUN_COMPLETED, .at_ms = 1000, .started_ms = 500 });
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 2);
    bench_close(&b);
}

/* --- acknowledging, reminders ----------------------------------------------------------------------------------------- */
static void test_ack_stops_reminders_and_escalation(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    repeat: 10m then 1h\n    escalate: {5m: pager, 30m: pager}\n    resolve: manual\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    until(&b, 12 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    assert_int_equal(command(&b, ENGINE_ACK, b.rows.v[0].id, 0), 0);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ACK), 1);
    until(&b, 10 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    assert_int_equal(command(&b, ENGINE_RESOLVE, b.rows.v[0].id, 0), 0);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "pager"), "reason"), "resolved by ann"));
    assert_int_equal(command(&b, ENGINE_RESOLVE, b.rows.v[0].id, 0), -1);
    bench_close(&b);
}

static void test_snooze_lapses(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    repeat: never\n    escalate: {30m: pager}\n    resolve: manual\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    until(&b, 10 * MINUTE);
    command(&b, ENGINE_SNOOZE, b.rows.v[0].id, HOUR);
    until(&b, HOUR + 29 * MINUTE);
    assert_int_equal(count_said(&b, "pager", -1), 0);
    until(&b, HOUR + 30 * MINUTE); /* 30 minutes of its own clock, an hour asleep */
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    bench_close(&b);
}

static void test_repeat_widens(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    repeat: 30m then 2h then 1d\n    resolve: manual\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    until(&b, 3 * 24 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 4); /* 0:30, 2:30, 26:30, 50:30 */
    bench_close(&b);
}

/* --- limits ----------------------------------------------------------------------------------------------------------- */
static void test_storm_is_a_digest_with_exact_counts(void **state)
{
    struct bench b;
    enum { STORM = 5000 };
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    by: run\n    notify: [chat, pager]\n    limit: 20 per 1m\n    resolve: success\n    linger: 0s\n");
    for (int k = 0; k < STORM; k++) report(&b, (struct report){ str_printf(&b.a, "run_%d", k).p, "job", RUN_FAILED, .at_ms = k * 10 });
    until(&b, 2 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 20);
    assert_int_equal(count_said(&b, "pager", MESSAGE_OPEN), 20);
    assert_int_equal(count_said(&b, "chat", MESSAGE_DIGEST), 1); /* then edited in place */
    assert_in_range(count_said(&b, "chat", MESSAGE_UPDATE), 1, 12);
    assert_in_range(count_said(&b, "pager", MESSAGE_DIGEST), 1, 3);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "hits"), "4980"));
    assert_true(str_eq_c(said_field(&b, last_said(&b, "pager"), "hits"), "4980"));
    for (int k = 0; k < STORM; k++)
        report(&b, (struct report){ str_printf(&b.a, "run_%d", k).p, "job", RUN_COMPLETED, .at_ms = 3 * MINUTE + k, .started_ms = 1 });
    until(&b, 10 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 21); /* 20 and the digest */
    assert_int_equal(count_said(&b, "pager", MESSAGE_RESOLVE), 21);
    assert_int_equal(engine_stats(b.e).incidents_open, 0);
    bench_close(&b);
}

static void test_updates_wait_for_what_is_on_its_way(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    update: 1s\n"));
    b.hold_verdicts = true; /* the receiver is down */
    for (int k = 0; k < 60; k++) report(&b, (struct report){ str_printf(&b.a, "run_%d", k).p, "job", RUN_FAILED, .at_ms = k * MINUTE });
    assert_int_equal(b.said.n, 1); /* an hour of hits: one message waits, not sixty */
    b.hold_verdicts = false;
    {
        struct engine_input v = { .kind = ENGINE_VERDICT };
        v.u.verdict.delivery = b.said.v[0].delivery;
        v.u.verdict.incident = b.said.v[0].incident;
        v.u.verdict.destination = b.said.v[0].destination;
        v.u.verdict.lane = b.said.v[0].lane;
        v.u.verdict.delivered = true;
        step(&b, &v);
    }
    until(&b, 2 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "runs"), "60"));
    bench_close(&b);
}

/* --- faults, templates ---------------------------------------------------------------------------------------------------- */
static void test_operator_hears_once_an_hour(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE(""));
    for (int k = 0; k < 10; k++) {
        struct engine_input in = { .kind = ENGINE_FAULT };
        in.u.fault.topic = STR("reload");
        in.u.fault.title = STR("A reload was refused");
        step(&b, &in);
        b.now_ms += MINUTE;
    }
    assert_int_equal(count_said(&b, "ops", MESSAGE_OPERATOR), 1);
    b.now_ms += HOUR;
    {
        struct engine_input in = { .kind = ENGINE_FAULT };
        in.u.fault.topic = STR("reload");
        in.u.fault.title = STR("A reload was refused");
        step(&b, &in);
    }
    assert_int_equal(count_said(&b, "ops", MESSAGE_OPERATOR), 2);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "ops"), "note"), "9 more like it since the last message"));
    bench_close(&b);
}

static void test_templates_see_the_run_and_the_incident(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    message: {title: \"{{task}} of {{metadata.customerId}}: {{error.message | upper}} x{{hits}}\"}\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0, .error = "boom", .metadata = "{\"customerId\":\"acme\"}" });
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "title"), "job of acme: BOOM x1"));
    bench_close(&b);
}

/* --- persistence, reload, determinism ---------------------------------------------------------------------------------------- */
/* What a store would hold: the last row of each incident that is not resolved, the last blob of each cell. */
static void restore(struct bench *b, struct engine *e)
{
    struct err err;
    for (size_t k = 0; k < b->rows.n; k++) {
        struct engine_incident_row row = b->rows.v[k];
        bool last = true;
        for (size_t n = k + 1; n < b->rows.n; n++) last &= b->rows.v[n].id != row.id;
        if (last && row.state != INCIDENT_RESOLVED) assert_int_equal(engine_restore_incident(e, &row, &err), 0);
    }
    for (size_t k = 0; k < b->cells.n; k++) {
        bool last = true;
        for (size_t n = k + 1; n < b->cells.n; n++) last &= !str_eq(b->cells.v[n].key, b->cells.v[k].key);
        if (last && !str_absent(b->cells.v[k].blob)) assert_int_equal(engine_restore_cell(e, &b->cells.v[k], &err), 0);
    }
}

struct detail_source { struct bench *b; };
static int detail_from_rows(void *ctx, uint64_t incident, struct arena *a, struct str *detail)
{
    struct bench *b = ((struct detail_source *)ctx)->b;
    for (size_t k = b->rows.n; k-- > 0;)
        if (b->rows.v[k].id == incident && !str_absent(b->rows.v[k].detail)) {
            *detail = str_dup(a, b->rows.v[k].detail);
            return 0;
        }
    return -1;
}

/* The engine of b is replaced by one built from what it handed out. */
static struct detail_source restart_source;
static void restart(struct bench *b, const struct ruleset *rules)
{
    struct engine_output out;
    struct err err;
    struct engine_setup setup = { .rules = rules, .limits = engine_default_limits, .detail = detail_from_rows, .detail_ctx = &restart_source };
    struct engine *e;
    restart_source.b = b;
    e = engine_new(&setup);
    engine_free(&b->e);
    restore(b, e);
    b->e = e;
    engine_output_init(&out, &b->a);
    assert_int_equal(engine_restored(e, b->now_ms, &out, &err), 0);
    take(b, &out);
    engine_output_fini(&out);
    collect(b);
}

static void test_overdue_timers_fire_once_and_say_so(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    escalate: {15m: pager}\n    repeat: 1h\n    resolve: manual\n"));
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    b.now_ms += 5 * HOUR; /* runbell was down */
    restart(&b, b.rules);
    {
        struct engine_input tick = { .kind = ENGINE_TICK };
        step(&b, &tick);
    }
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    assert_true(str_starts(said_field(&b, last_said(&b, "pager"), "note"), STR("sent 4h 45m later")));
    bench_close(&b);
}

static void test_reload_keeps_what_is_unchanged(void **state)
{
    static const char *const after = "rules:\n  keep:\n    when: {status: failed}\n    notify: hook\n    severity: critical\n"
                                     "  change:\n    when: {status: FAILED, task: job}\n    notify: chat\n";
    struct bench b;
    struct engine_output out;
    struct ruleset *next;
    struct err err;
    (void)state;
    bench_open(&b, "rules:\n  keep:\n    when: {status: failed}\n    notify: chat\n  change:\n    when: {status: failed}\n    notify: chat\n"
                   "  gone:\n    when: {status: failed}\n    notify: chat\n");
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 0 });
    assert_int_equal(engine_stats(b.e).incidents_open, 3);
    next = compile(&b, after);
    engine_output_init(&out, &b.a);
    assert_int_equal(engine_reload(b.e, next, b.now_ms, &out, &err), 0);
    take(&b, &out);
    engine_output_fini(&out);
    collect(&b);
    assert_int_equal(engine_stats(b.e).incidents_open, 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 2);
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = MINUTE });
    assert_int_equal(engine_stats(b.e).incidents_open, 2); /* keep goes on, change starts anew */
    engine_free(&b.e);
    ruleset_fini(next); /* its memory is the bench's arena */
    bench_close(&b);
}

/* A random life: the same inputs give the same outputs; with a restart after every step, too. */
static void random_life(struct bench *b, uint64_t seed, bool restarts)
{
    struct rng rng;
    rng_seed(&rng, seed);
    int64_t at = 0;
    for (int k = 0; k < 300; k++) {
        enum run_state states[] = { RUN_FAILED, RUN_CRASHED, RUN_COMPLETED, RUN_REATTEMPTING, RUN_TIMED_OUT, RUN_CANCELED };
        struct report r = { .state = states[rng_below(&rng, 6)], .at_ms = at };
        char run[32], task[32];
        snprintf(run, sizeof run, "run_%d", (int)rng_below(&rng, 40));
        snprintf(task, sizeof task, "task%d", (int)rng_below(&rng, 3));
        r.run = str_dup_c(&b->a, str_c(run));
        r.task = str_dup_c(&b->a, str_c(task));
        r.attempt = (int64_t)rng_below(&rng, 5) + 1;
        r.started_ms = at > 100 ? at - (int64_t)rng_below(&rng, 60000) : 0;
        r.error = "something 12 broke";
        report(b, r);
        if (rng_below(&rng, 20) == 0 && b->rows.n) command(b, ENGINE_ACK, b->rows.v[rng_below(&rng, b->rows.n)].id, 0);
        if (restarts) restart(b, b->rules);
        at += (int64_t)rng_below(&rng, 10 * MINUTE);
    }
    until(b, at + 48 * HOUR);
}

#define ZOO "rules:\n  a:\n    when: {status: failed}\n    notify: [chat, pager]\n    escalate: {10m: hook}\n    repeat: 1h\n    limit: 5 per 10m\n" \
            "  b:\n    when: {status: REATTEMPTING}\n    count: 3 in 30m\n    by: run\n    notify: hook\n    escalate: {15m: pager}\n" \
            "  c:\n    when: {status: [FAILED, CRASHED]}\n    count: 4 runs in 1h\n    resolve: clears\n    notify: chat\n" \
            "  d:\n    when: {status: failed}\n    by: [task, error.fingerprint]\n    wait: 5m\n    at_least: 2\n    resolve: [2 successes, 2h quiet]\n    notify: chat\n"

static void test_same_inputs_same_outputs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct bench a, b, c;
        bench_open(&a, ZOO);
        bench_open(&b, ZOO);
        bench_open(&c, ZOO);
        random_life(&a, seed, false);
        random_life(&b, seed, false);
        random_life(&c, seed, true);
        assert_true(a.transcript.n > 1000);
        if (!str_eq(strbuf_view(&a.transcript), strbuf_view(&b.transcript))) fail_msg("seed %llu: two runs differ", (unsigned long long)seed);
        if (!str_eq(strbuf_view(&a.transcript), strbuf_view(&c.transcript))) fail_msg("seed %llu: a run with restarts differs", (unsigned long long)seed);
        bench_close(&a);
        bench_close(&b);
        bench_close(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hits_join_one_incident),
        cmocka_unit_test(test_environments_share_nothing),
        cmocka_unit_test(test_wait_batches_and_stays_silent),
        cmocka_unit_test(test_at_least_counts_runs),
        cmocka_unit_test(test_count_window_is_exact),
        cmocka_unit_test(test_late_events_are_placed_where_they_belong),
        cmocka_unit_test(test_count_of_runs),
        cmocka_unit_test(test_clears_when_the_window_empties),
        cmocka_unit_test(test_success_must_start_after_the_last_hit),
        cmocka_unit_test(test_n_successes_are_consecutive),
        cmocka_unit_test(test_linger_and_relapse),
        cmocka_unit_test(test_quiet_counts_from_arrival),
        cmocka_unit_test(test_run_keyed_incident_follows_its_run),
        cmocka_unit_test(test_cancel_resolves_a_run_keyed_incident),
        cmocka_unit_test(test_success_of_the_task_closes_all_errors),
        cmocka_unit_test(test_ack_stops_reminders_and_escalation),
        cmocka_unit_test(test_snooze_lapses),
        cmocka_unit_test(test_repeat_widens),
        cmocka_unit_test(test_storm_is_a_digest_with_exact_counts),
        cmocka_unit_test(test_updates_wait_for_what_is_on_its_way),
        cmocka_unit_test(test_operator_hears_once_an_hour),
        cmocka_unit_test(test_templates_see_the_run_and_the_incident),
        cmocka_unit_test(test_overdue_timers_fire_once_and_say_so),
        cmocka_unit_test(test_reload_keeps_what_is_unchanged),
        cmocka_unit_test(test_same_inputs_same_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
