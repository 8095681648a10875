#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

struct who { struct str rule, key; };

/* The rules are in force from the start on, and all that happens is heard. */
void replay_init(struct replay *r, const struct ruleset *rules, struct str public_url, int64_t start_ms)
{
    struct engine_setup setup = { .rules = rules, .limits = engine_default_limits, .public_url = public_url };
    struct engine_output out;
    struct err err;
    *r = (struct replay){ .now_ms = start_ms, .dashboard = STR_NONE };
    r->engine = engine_new(&setup);
    engine_output_init(&out, &r->arena);
    if (engine_restored(r->engine, start_ms, &out, &err) < 0) abort(); /* there is nothing that could be wrong */
    engine_output_fini(&out);
}

void replay_fini(struct replay *r)
{
    engine_free(&r->engine);
    map_fini(&r->known);
    map_fini(&r->incidents);
    vec_free(&r->facts);
    arena_fini(&r->arena);
}

/* --- taking down what happened ------------------------------------------------------------------------------------ */
static struct who *who_is(struct replay *r, uint64_t incident)
{
    char id[ID_SIZE];
    return map_get(&r->incidents, id_format("inc", incident, id));
}

static void learn(struct replay *r)
{
    struct engine_changes changes = { .arena = &r->arena };
    engine_collect(r->engine, &changes);
    for (size_t k = 0; k < changes.incidents.n; k++) {
        const struct engine_incident_row *row = &changes.incidents.v[k];
        char id[ID_SIZE];
        struct str text = id_format("inc", row->id, id);
        struct who *w;
        if (map_get(&r->incidents, text)) continue;
        w = ARENA_NEW(&r->arena, struct who);
        *w = (struct who){ str_dup(&r->arena, row->rule), row->key };
        map_put(&r->incidents, str_dup(&r->arena, text), w);
    }
    vec_free(&changes.incidents);
    vec_free(&changes.cells);
}

static struct str note_member(struct replay *r, const struct engine_note *n, const char *name)
{
    struct json body;
    struct err err;
    if (json_parse(&r->arena, str_dup(&r->arena, n->body), &json_own_limits, &body, NULL, &err) < 0) return STR("");
    return json_str(json_get_c(body, name));
}

static void take_note(struct replay *r, const struct engine_note *n)
{
    const struct who *w = who_is(r, n->incident);
    struct replay_fact f = { .at_ms = n->at_ms, .kind = REPLAY_NOTE, .content = str_c(n->what) };
    if (!w || strcmp(n->what, "told") == 0 || strcmp(n->what, "hit") == 0) return; /* told has its own fact */
    f.rule = w->rule;
    f.key = w->key;
    if (strcmp(n->what, "opened") == 0) f.kind = REPLAY_OPENED;
    if (strcmp(n->what, "resolved") == 0) {
        f.kind = REPLAY_RESOLVED;
        f.reason = note_member(r, n, "reason");
    }
    if (strcmp(n->what, "limited") == 0 || strcmp(n->what, "told in a digest") == 0) f.destination = note_member(r, n, "destination");
    *vec_push(&r->facts) = f;
}

static void take_message(struct replay *r, const struct engine_message *m)
{
    const struct who *w = who_is(r, m->incident);
    *vec_push(&r->facts) = (struct replay_fact){
        .at_ms = r->now_ms, .kind = REPLAY_SENT, .rule = w ? w->rule : STR(""), .key = w ? w->key : STR(""),
        .destination = str_dup(&r->arena, m->destination), .message = m->kind, .content = str_dup(&r->arena, m->content),
        .params = str_dup(&r->arena, m->params),
    };
}

/* One input, what came of it, and the verdicts of what was said, until nothing more is said. */
static int step(struct replay *r, const struct engine_input *in, uint64_t *hits, struct err *err)
{
    struct engine_output out;
    VEC(struct engine_message) said = { 0 };
    int rc;
    engine_output_init(&out, &r->arena);
    rc = engine_step(r->engine, in, &out, err);
    learn(r);
    for (size_t k = 0; k < out.notes.n; k++) take_note(r, &out.notes.v[k]);
    for (size_t k = 0; k < out.messages.n; k++) {
        take_message(r, &out.messages.v[k]);
        *vec_push(&said) = out.messages.v[k];
    }
    if (hits) *hits += out.hits;
    engine_output_fini(&out);
    for (size_t k = 0; k < said.n && rc == 0; k++) {
        struct engine_input v = { .kind = ENGINE_VERDICT, .now_ms = r->now_ms };
        v.u.verdict.delivery = said.v[k].delivery;
        v.u.verdict.incident = said.v[k].incident;
        v.u.verdict.destination = said.v[k].destination;
        v.u.verdict.lane = said.v[k].lane;
        v.u.verdict.delivered = true;
        rc = step(r, &v, NULL, err);
    }
    vec_free(&said);
    return rc;
}

/* --- time and reports ----------------------------------------------------------------------------------------------- */
int replay_until(struct replay *r, int64_t at_ms, struct err *err)
{
    int64_t due;
    while ((due = engine_next_due(r->engine)) <= at_ms) {
        struct engine_input tick = { .kind = ENGINE_TICK };
        if (due > r->now_ms) r->now_ms = due;
        tick.now_ms = r->now_ms;
        if (step(r, &tick, NULL, err) < 0) return -1;
    }
    if (at_ms > r->now_ms) r->now_ms = at_ms;
    return 0;
}

static struct run_known *known_of(struct replay *r, const struct run *run)
{
    struct str key = str_printf(&r->arena, STR_FMT "%c" STR_FMT "%c" STR_FMT, STR_ARG(run->project), 1, STR_ARG(run->env), 1, STR_ARG(run->id));
    struct run_known *k = map_get(&r->known, key);
    if (k) return k;
    k = ARENA_NEW(&r->arena, struct run_known);
    map_put(&r->known, key, k);
    return k;
}

int replay_report(struct replay *r, struct run *report, int64_t at_ms, uint64_t *hits, struct err *err)
{
    struct transition t[TRANSITIONS_MAX];
    struct run_known *known = known_of(r, report);
    struct engine_input in = { .kind = ENGINE_EVENT };
    size_t n;
    if (hits) *hits = 0;
    if (replay_until(r, at_ms, err) < 0) return -1;
    in.now_ms = r->now_ms;
    in.u.event.run = report;
    in.u.event.dashboard = r->dashboard;
    in.u.event.event_id = id_next(&r->ids, r->now_ms);
    n = run_transitions(&r->arena, report, known, r->now_ms, 0, in.u.event.event_id, t);
    for (size_t k = 0; k < n; k++) {
        in.u.event.transition = &t[k];
        in.u.event.since_succeeded = run_succeeded_since(known, &t[k]);
        in.u.event.known = known;
        if (t[k].kind != TRANSITION_DUPLICATE && step(r, &in, hits, err) < 0) return -1;
    }
    return replay_until(r, r->now_ms, err);
}
