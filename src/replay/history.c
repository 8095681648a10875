#include "replay/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "replay/memory.h"

enum { COLLECT_EVERY = 4096 };

void history_init(struct history *h, const struct config *config, const struct history_ear *ear)
{
    const struct config_server *most = &config->server;
    const struct engine_limits limits = { (size_t)most->window_entries, (size_t)most->keys_per_rule, (size_t)most->runs_per_incident, (size_t)most->watched_runs };
    struct engine_setup setup = { .rules = config->rules, .limits = limits, .public_url = config->server.public_url };
    *h = (struct history){ .config = config, .ear = *ear };
    h->engine = engine_new(&setup);
    h->starts = xcalloc(config->source_count + 1, sizeof *h->starts);
    engine_output_init(&h->out, &h->scratch);
}

void history_fini(struct history *h)
{
    struct map_entry *m;
    size_t at = 0;
    while ((m = map_next(&h->runs, &at))) memory_fini(m->value);
    map_fini(&h->runs);
    map_fini(&h->who);
    engine_output_fini(&h->out);
    engine_free(&h->engine);
    free(h->starts);
    arena_fini(&h->scratch);
    arena_fini(&h->names);
}

int history_learn_sources(struct history *h, struct store_reader *r, struct err *err)
{
    for (size_t k = 0; k < h->config->source_count; k++) {
        struct str text, key = str_printf(&h->scratch, "source_start/" STR_FMT, STR_ARG(h->config->sources[k].name));
        int found = r->ops->meta(r, &h->scratch, key, &text, err);
        if (found < 0) return -1;
        if (found == 1 && !str_to_i64(text, &h->starts[k])) h->starts[k] = 0;
    }
    return 0;
}

/* --- telling what came of a step ------------------------------------------------------------------------------- */
static struct str id_key(const uint64_t *id)
{
    return (struct str){ (const char *)id, sizeof *id };
}

static struct history_who *who_is(const struct history *h, uint64_t incident)
{
    return incident ? map_get(&h->who, id_key(&incident)) : NULL;
}

static void meet(struct history *h, const struct engine_incident_row *row)
{
    struct history_who *w;
    if (map_get(&h->who, id_key(&row->id))) return;
    w = ARENA_NEW(&h->names, struct history_who);
    *w = (struct history_who){ row->id, str_dup(&h->names, row->project), str_dup(&h->names, row->env),
                               str_dup(&h->names, row->rule), str_dup(&h->names, row->key), false };
    map_put(&h->who, id_key(&w->id), w);
}

/* Also what lets the engine forget the incidents that ended. */
static void collect(struct history *h)
{
    struct engine_changes changes = { .arena = &h->scratch };
    engine_collect(h->engine, &changes);
    for (size_t k = 0; k < changes.incidents.n; k++) meet(h, &changes.incidents.v[k]);
    vec_free(&changes.incidents);
    vec_free(&changes.cells);
    h->steps = 0;
}

static bool is_told_elsewhere(const struct engine_note *n)
{
    return strcmp(n->what, "hit") == 0 || strcmp(n->what, "told") == 0;
}

static bool has_opening(const struct engine_output *out)
{
    for (size_t k = 0; k < out->notes.n; k++)
        if (strcmp(out->notes.v[k].what, "opened") == 0) return true;
    return false;
}

static void tell(struct history *h)
{
    const struct history_ear *ear = &h->ear;
    if (has_opening(&h->out) || ++h->steps >= COLLECT_EVERY) collect(h);
    for (size_t k = 0; ear->note && k < h->out.notes.n; k++) {
        const struct engine_note *n = &h->out.notes.v[k];
        struct history_who *who = is_told_elsewhere(n) ? NULL : who_is(h, n->incident);
        if (is_told_elsewhere(n)) continue;
        if (who && strcmp(n->what, "opened") == 0) who->opened = true;
        ear->note(ear->ctx, who, n);
    }
    for (size_t k = 0; ear->message && k < h->out.messages.n; k++)
        ear->message(ear->ctx, who_is(h, h->out.messages.v[k].incident), &h->out.messages.v[k], h->now_ms);
    h->hits += h->out.hits;
    h->out.hits = 0;
    vec_clear(&h->out.messages);
    vec_clear(&h->out.notes);
}

/* One input, and the verdicts of what was said, until nothing more is said. */
static int step(struct history *h, const struct engine_input *in, struct err *err)
{
    if (engine_step(h->engine, in, &h->out, err) < 0) return -1;
    for (size_t k = 0; k < h->out.messages.n; k++) {
        const struct engine_message m = h->out.messages.v[k];
        struct engine_input v = { .kind = ENGINE_VERDICT, .now_ms = h->now_ms };
        v.u.verdict.delivery = m.delivery;
        v.u.verdict.incident = m.incident;
        v.u.verdict.destination = m.destination;
        v.u.verdict.lane = m.lane;
        v.u.verdict.delivered = true;
        if (engine_step(h->engine, &v, &h->out, err) < 0) return -1;
    }
    tell(h);
    return 0;
}

int history_until(struct history *h, int64_t at_ms, struct err *err)
{
    int64_t due;
    while ((due = engine_next_due(h->engine)) <= at_ms) {
        struct engine_input tick = { .kind = ENGINE_TICK };
        if (due > h->now_ms) h->now_ms = due;
        tick.now_ms = h->now_ms;
        if (step(h, &tick, err) < 0) return -1;
        arena_reset(&h->scratch);
    }
    if (at_ms > h->now_ms) h->now_ms = at_ms;
    return 0;
}

/* --- one event ---------------------------------------------------------------------------------------------------- */
static struct memory *memory_of(struct history *h, const struct store_event *e)
{
    size_t n = e->project.n + e->env.n + e->run.n + 2;
    char *p = arena_alloc(&h->scratch, n), *at = p;
    struct str key = { p, n };
    struct memory *m;
    memcpy(at, e->project.p, e->project.n);
    at += e->project.n;
    *at++ = 1;
    memcpy(at, e->env.p, e->env.n);
    at += e->env.n;
    *at++ = 1;
    memcpy(at, e->run.p, e->run.n);
    m = map_get(&h->runs, key);
    if (m) return m;
    m = ARENA_NEW(&h->names, struct memory);
    map_put(&h->runs, str_dup(&h->names, key), m);
    return m;
}

static size_t source_of(const struct history *h, struct str name)
{
    size_t k = 0;
    while (k < h->config->source_count && !str_eq(h->config->sources[k].name, name)) k++;
    return k;
}

static int evaluate(struct history *h, const struct history_judged *j, const struct run_known *known, struct err *err)
{
    const struct config *c = h->config;
    size_t from = source_of(h, j->event->source);
    int64_t older_ms = from < c->source_count ? c->sources[from].ignore_older_ms : 0;
    struct engine_input in = { .kind = ENGINE_EVENT, .now_ms = h->now_ms };
    in.u.event.recorded_only = older_ms > 0 && h->now_ms - j->transition->event_ms > older_ms;
    in.u.event.run = j->run;
    in.u.event.transition = j->transition;
    in.u.event.event_id = j->event->id;
    in.u.event.dashboard = from < c->source_count ? c->sources[from].dashboard : STR_NONE;
    in.u.event.since_succeeded = run_succeeded_since(known, j->transition);
    in.u.event.known = known;
    if (h->ear.judging) h->ear.judging(h->ear.ctx, h->engine, j);
    if (step(h, &in, err) < 0) return -1;
    if (h->ear.judged) h->ear.judged(h->ear.ctx, h->engine, j);
    return 0;
}

static int judge(struct history *h, const struct store_event *e, struct err *err)
{
    struct transition t[TRANSITIONS_MAX];
    struct memory *m = memory_of(h, e);
    struct run_known known;
    struct json root;
    struct run run;
    size_t n;
    if (json_parse(&h->scratch, e->body, &json_own_limits, &root, NULL, err) < 0 ||
        run_restore(&h->scratch, root, &run, err) < 0)
        return -1;
    known = memory_recall(m);
    n = run_transitions(&h->scratch, &run, &known, h->by_event_time ? e->event_ms : e->arrival_ms, h->starts[source_of(h, e->source)], e->id, t);
    memory_keep(m, &known);
    for (size_t k = 0; k < n; k++) {
        struct history_judged j = { e, &run, &t[k] };
        if (t[k].kind != TRANSITION_DUPLICATE && evaluate(h, &j, m->known, err) < 0) return -1;
    }
    return 0;
}

/* The id tells when the event was evaluated. What was due until then came before it. */
int history_event(void *ctx, const struct store_event *e, struct err *err)
{
    struct history *h = ctx;
    int64_t at_ms = h->by_event_time ? e->event_ms : id_wall_ms(e->id);
    int rc;
    h->last = e->id;
    if (e->id >= h->until && !h->by_event_time) return 0;
    if (at_ms > h->now_ms && history_until(h, at_ms - 1, err) < 0) return -1;
    if (at_ms > h->now_ms) h->now_ms = at_ms;
    h->events++;
    rc = judge(h, e, err);
    arena_reset(&h->scratch);
    return rc;
}

/* --- a log ---------------------------------------------------------------------------------------------------------- */
uint64_t history_id_at(int64_t wall_ms)
{
    struct id_gen from = { 0 };
    return id_next(&from, wall_ms);
}

/* Whatever a source of the configuration brings is in the log, and was heard at once. */
static int tell_sources(struct history *h, struct err *err)
{
    const struct config *c = h->config;
    struct engine_source *v = ARENA_ARRAY(&h->scratch, struct engine_source, c->source_count + 1);
    struct engine_input in = { .kind = ENGINE_SOURCES, .now_ms = h->now_ms };
    if (c->source_count == 0) return 0;
    for (size_t k = 0; k < c->source_count; k++) {
        const struct config_source *s = &c->sources[k];
        v[k] = (struct engine_source){ s->name, s->project.n ? s->project : STR("default"), s->env, UINT32_MAX, UINT32_MAX, INT64_MIN, ENGINE_NEVER };
    }
    in.u.sources.v = v;
    in.u.sources.n = c->source_count;
    return engine_step(h->engine, &in, &h->out, err);
}

/* The rules are in force from there on. */
static int begin(struct history *h, int64_t from_ms, struct err *err)
{
    h->now_ms = from_ms;
    if (tell_sources(h, err) < 0) return -1;
    return engine_restored(h->engine, from_ms, &h->out, err);
}

int history_read(struct history *h, struct store_reader *r, int64_t from_ms, int64_t until_ms, struct err *err)
{
    size_t n = 1;
    if (begin(h, from_ms, err) < 0) return -1;
    h->last = history_id_at(from_ms) - 1;
    h->until = history_id_at(until_ms);
    while (n > 0 && h->last < h->until) {
        if (r->ops->events(r, h->last, STORE_ROWS_MAX, history_event, h, &n, err) < 0) return -1;
        if (h->ear.page && !h->ear.page(h->ear.ctx, id_wall_ms(h->last), h->events)) return 0;
    }
    return history_until(h, until_ms, err);
}

/* --- as it happened --------------------------------------------------------------------------------------------------- */
struct moment { int64_t event_ms; uint64_t id; };
struct moments { VEC(struct moment) list; int64_t from_ms, until_ms; uint64_t last; };

static int take_moment(void *ctx, const struct store_event *e, struct err *err)
{
    struct moments *m = ctx;
    (void)err;
    m->last = e->id;
    if (e->event_ms >= m->from_ms && e->event_ms < m->until_ms) *vec_push(&m->list) = (struct moment){ e->event_ms, e->id };
    return 0;
}

static int by_moment(const void *x, const void *y)
{
    const struct moment *a = x, *b = y;
    if (a->event_ms != b->event_ms) return a->event_ms < b->event_ms ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static int read_moments(struct history *h, struct store_reader *r, const struct moments *m, struct err *err)
{
    uint64_t ids[STORE_ROWS_MAX];
    for (size_t k = 0, n; k < m->list.n; k += n) {
        for (n = 0; n < STORE_ROWS_MAX && k + n < m->list.n; n++) ids[n] = m->list.v[k + n].id;
        if (r->ops->events_of(r, ids, n, history_event, h, err) < 0) return -1;
        if (h->ear.page && !h->ear.page(h->ear.ctx, m->list.v[k + n - 1].event_ms, h->events)) return 0;
    }
    return history_until(h, m->until_ms, err);
}

int history_read_as_it_happened(struct history *h, struct store_reader *r, int64_t from_ms, int64_t until_ms, struct err *err)
{
    struct moments m = { .from_ms = from_ms, .until_ms = until_ms };
    size_t n = 1;
    int rc = 0;
    h->by_event_time = true;
    memset(h->starts, 0, h->config->source_count * sizeof *h->starts); /* it is as if each source had always looked */
    while (n > 0 && rc == 0) rc = r->ops->events(r, m.last, STORE_ROWS_MAX, take_moment, &m, &n, err);
    if (m.list.n) qsort(m.list.v, m.list.n, sizeof *m.list.v, by_moment);
    if (rc == 0) rc = begin(h, from_ms, err);
    if (rc == 0) rc = read_moments(h, r, &m, err);
    vec_free(&m.list);
    return rc;
}
