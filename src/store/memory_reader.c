/* Reading the memory store from other threads: the same lock as a commit. */
#include "store/memory_internal.h"

struct mem_reader {
    struct store_reader reader; /* first */
    struct mem_store *s;
};

static struct mem_store *lock(struct store_reader *r)
{
    struct mem_store *s = ((struct mem_reader *)r)->s;
    pthread_mutex_lock(&s->lock);
    return s;
}

static int unlock(struct mem_store *s, int rc)
{
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static size_t row_limit(size_t wanted)
{
    return wanted < STORE_ROWS_MAX ? wanted : STORE_ROWS_MAX;
}

static struct str copy(struct arena *a, struct str v)
{
    return str_absent(v) ? v : str_dup(a, v);
}

static bool fits(struct str wanted, struct str have)
{
    return str_absent(wanted) || str_eq(wanted, have);
}

static bool contains(struct str text, struct str part)
{
    for (size_t i = 0; i + part.n <= text.n; i++)
        if (str_ieq(str_sub(text, i, part.n), part)) return true;
    return false;
}

/* --- incidents ------------------------------------------------------------------------------------------ */
static bool state_fits(struct str want, enum incident_state state)
{
    if (!str_absent(want) && str_eq_c(want, "unresolved")) return state != INCIDENT_RESOLVED;
    return fits(want, str_c(incident_state_name(state)));
}

static bool incident_fits(const struct store_incident_filter *f, const struct engine_incident_row *i)
{
    return (f->before == 0 || i->id < f->before) && state_fits(f->state, i->state) &&
           fits(f->rule, i->rule) && fits(f->task, i->task) && fits(f->env, i->env) &&
           fits(f->project, i->project) && fits(f->key, i->key) &&
           (contains(i->title, f->q) || contains(i->key, f->q) || contains(i->last_run, f->q));
}

static struct engine_incident_row copy_incident(struct arena *a, const struct engine_incident_row *i)
{
    struct engine_incident_row r = *i;
    r.project = copy(a, i->project);
    r.env = copy(a, i->env);
    r.rule = copy(a, i->rule);
    r.key = copy(a, i->key);
    r.label = copy(a, i->label);
    r.title = copy(a, i->title);
    r.task = copy(a, i->task);
    r.last_run = copy(a, i->last_run);
    r.state_blob = r.detail = STR_NONE;
    return r;
}

static int mem_incidents(struct store_reader *r, struct arena *a, const struct store_incident_filter *f,
                         struct engine_incident_row *out, size_t *n, struct err *err)
{
    struct mem_store *s = lock(r);
    (void)err;
    *n = 0;
    for (size_t i = s->incidents.n; i-- > 0 && *n < row_limit(f->limit);)
        if (incident_fits(f, &s->incidents.v[i])) out[(*n)++] = copy_incident(a, &s->incidents.v[i]);
    return unlock(s, 0);
}

static int mem_incident(struct store_reader *r, struct arena *a, uint64_t id, struct engine_incident_row *out,
                        struct err *err)
{
    struct mem_store *s = lock(r);
    const struct engine_incident_row *i = MEM_FIND(&s->incidents, id);
    (void)err;
    if (!i) return unlock(s, 0);
    *out = copy_incident(a, i);
    out->state_blob = copy(a, i->state_blob);
    out->detail = copy(a, i->detail);
    return unlock(s, 1);
}

static int mem_notes(struct store_reader *r, struct arena *a, uint64_t incident, struct store_note *out,
                     size_t max, size_t *n, struct err *err)
{
    struct mem_store *s = lock(r);
    size_t have = 0, skip;
    (void)err;
    *n = 0;
    for (size_t i = 0; i < s->notes.n; i++) have += s->notes.v[i].incident == incident;
    skip = have > row_limit(max) ? have - row_limit(max) : 0;
    for (size_t i = 0; i < s->notes.n; i++) {
        const struct store_note *o = &s->notes.v[i];
        if (o->incident != incident || (skip > 0 && skip--)) continue;
        out[(*n)++] = (struct store_note){ incident, o->at_ms, copy(a, o->what), copy(a, o->body) };
    }
    return unlock(s, 0);
}

/* --- deliveries ----------------------------------------------------------------------------------------- */
static bool delivery_fits(const struct store_delivery_filter *f, const struct store_delivery *d)
{
    return (f->before == 0 || d->id < f->before) && (f->state < 0 || f->state == (int)d->state) &&
           (f->incident == 0 || f->incident == d->incident) && fits(f->destination, d->destination);
}

static int mem_deliveries(struct store_reader *r, struct arena *a, const struct store_delivery_filter *f,
                          struct store_delivery *out, size_t *n, struct err *err)
{
    struct mem_store *s = lock(r);
    (void)err;
    *n = 0;
    for (size_t i = s->deliveries.n; i-- > 0 && *n < row_limit(f->limit);) {
        struct store_delivery *o = &out[*n];
        if (!delivery_fits(f, &s->deliveries.v[i])) continue;
        mem_copy_delivery(s, a, &s->deliveries.v[i], o);
        o->destination = copy(a, o->destination);
        o->lane = copy(a, o->lane);
        o->params = copy(a, o->params);
        o->content = copy(a, o->content);
        o->last_error = copy(a, o->last_error);
        ++*n;
    }
    return unlock(s, 0);
}

static int mem_attempts(struct store_reader *r, struct arena *a, uint64_t delivery, struct store_attempt *out,
                        size_t max, size_t *n, struct err *err)
{
    struct mem_store *s = lock(r);
    size_t have = 0, skip;
    (void)err;
    *n = 0;
    for (size_t i = 0; i < s->attempts.n; i++) have += s->attempts.v[i].delivery == delivery;
    skip = have > row_limit(max) ? have - row_limit(max) : 0;
    for (size_t i = 0; i < s->attempts.n; i++) {
        const struct store_attempt *t = &s->attempts.v[i];
        if (t->delivery != delivery || (skip > 0 && skip--)) continue;
        out[*n] = *t;
        out[*n].detail = copy(a, t->detail);
        out[(*n)++].captures = copy(a, t->captures);
    }
    return unlock(s, 0);
}

/* --- runs, events, rejected ----------------------------------------------------------------------------- */
static int run_order(const void *x, const void *y)
{
    const struct store_run *a = x, *b = y;
    int c = str_cmp(a->project, b->project);
    return c ? c : str_cmp(a->env, b->env);
}

static int mem_run(struct store_reader *r, struct arena *a, struct str project, struct str env,
                   struct str run, struct store_run *out, size_t max, size_t *n, struct err *err)
{
    struct mem_store *s = lock(r);
    (void)err;
    *n = 0;
    for (size_t i = 0; i < s->runs.n && *n < row_limit(max); i++) {
        const struct store_run *o = s->runs.v[i];
        if (!str_eq(o->run, run) || !fits(project, o->project) || !fits(env, o->env)) continue;
        out[*n] = *o;
        out[*n].project = copy(a, o->project);
        out[*n].env = copy(a, o->env);
        out[*n].run = copy(a, o->run);
        out[(*n)++].known = copy(a, o->known);
    }
    if (*n) qsort(out, *n, sizeof *out, run_order);
    return unlock(s, 0);
}

static int mem_event(struct store_reader *r, struct arena *a, uint64_t id, struct store_event *out,
                     struct err *err)
{
    struct mem_store *s = lock(r);
    const struct store_event *e = MEM_FIND(&s->events, id);
    (void)err;
    if (!e) return unlock(s, 0);
    *out = *e;
    out->source = copy(a, e->source);
    out->project = copy(a, e->project);
    out->env = copy(a, e->env);
    out->run = copy(a, e->run);
    out->status = copy(a, e->status);
    out->state = copy(a, e->state);
    out->body = copy(a, e->body);
    return unlock(s, 1);
}

static int mem_events(struct store_reader *r, uint64_t after, size_t max, store_event_fn fn, void *ctx, size_t *n, struct err *err)
{
    struct mem_store *s = lock(r);
    int rc = 0;
    *n = 0;
    for (size_t i = 0; i < s->events.n && *n < row_limit(max) && rc == 0; i++) {
        if (s->events.v[i].id <= after) continue;
        rc = fn(ctx, &s->events.v[i], err);
        ++*n;
    }
    return unlock(s, rc < 0 ? -1 : 0);
}

static int mem_events_back(struct store_reader *r, uint64_t before, size_t max, store_event_fn fn, void *ctx, size_t *n, struct err *err)
{
    struct mem_store *s = lock(r);
    int rc = 0;
    *n = 0;
    for (size_t i = s->events.n; i-- > 0 && *n < row_limit(max) && rc == 0;) {
        if (s->events.v[i].id >= before) continue;
        rc = fn(ctx, &s->events.v[i], err);
        ++*n;
    }
    return unlock(s, rc < 0 ? -1 : 0);
}

static int mem_events_of(struct store_reader *r, const uint64_t *ids, size_t n, store_event_fn fn, void *ctx, struct err *err)
{
    struct mem_store *s = lock(r);
    int rc = 0;
    for (size_t i = 0; i < row_limit(n) && rc == 0; i++) {
        const struct store_event *e = MEM_FIND(&s->events, ids[i]);
        if (e) rc = fn(ctx, e, err);
    }
    return unlock(s, rc < 0 ? -1 : 0);
}

static int mem_rejected(struct store_reader *r, struct arena *a, uint64_t before, struct store_rejected *out,
                        size_t max, size_t *n, struct err *err)
{
    struct mem_store *s = lock(r);
    (void)err;
    *n = 0;
    for (size_t i = s->rejected.n; i-- > 0 && *n < row_limit(max);) {
        const struct store_rejected *o = &s->rejected.v[i];
        if (before && o->id >= before) continue;
        out[(*n)++] = (struct store_rejected){ o->id, o->at_ms, copy(a, o->source), copy(a, o->reason),
                                               copy(a, o->body) };
    }
    return unlock(s, 0);
}

static int mem_counts(struct store_reader *r, struct store_counts *out, struct err *err)
{
    struct mem_store *s = lock(r);
    (void)err;
    *out = (struct store_counts){ .events = (int64_t)s->events.n,
                                  .runs = (int64_t)s->runs.n,
                                  .incidents = (int64_t)s->incidents.n,
                                  .rejected = (int64_t)s->rejected.n };
    for (size_t i = 0; i < s->incidents.n; i++)
        out->incidents_open +=
            s->incidents.v[i].state == INCIDENT_OPEN || s->incidents.v[i].state == INCIDENT_ACKNOWLEDGED;
    for (size_t i = s->deliveries.n; i-- > 0;) {
        const struct store_delivery *d = &s->deliveries.v[i];
        out->deliveries_dead += d->state == DELIVERY_DEAD;
        if (!mem_waits(d)) continue;
        out->deliveries_undelivered++;
        out->oldest_undelivered_ms = d->created_ms;
    }
    for (size_t i = 0; i < s->events.n; i++) out->size_bytes += (int64_t)s->events.v[i].body.n;
    for (size_t i = 0; i < s->events.n; i++)
        if (s->events.v[i].id > out->newest_event) out->newest_event = s->events.v[i].id;
    for (size_t i = 0; i < s->rejected.n; i++)
        if (s->rejected.v[i].id > out->newest_event) out->newest_event = s->rejected.v[i].id;
    return unlock(s, 0);
}

static int mem_meta(struct store_reader *r, struct arena *a, struct str key, struct str *value, struct err *err)
{
    struct mem_store *s = lock(r);
    (void)err;
    *value = STR_NONE;
    for (size_t i = 0; i < s->meta.n && str_absent(*value); i++)
        if (str_eq(s->meta.v[i].key, key)) *value = str_dup(a, s->meta.v[i].value);
    return unlock(s, !str_absent(*value));
}

static int by_key(const void *a, const void *b)
{
    return str_cmp(((const struct engine_cell_row *)a)->key, ((const struct engine_cell_row *)b)->key);
}

static int mem_cells(struct store_reader *r, struct arena *a, struct str prefix, struct engine_cell_row *out, size_t max, size_t *n, struct err *err)
{
    struct mem_store *s = lock(r);
    struct engine_cell_row *all = ARENA_ARRAY(a, struct engine_cell_row, s->cells.n + 1);
    size_t found = 0;
    (void)err;
    for (size_t i = 0; i < s->cells.n; i++)
        if (str_starts(s->cells.v[i].key, prefix)) all[found++] = (struct engine_cell_row){ str_dup(a, s->cells.v[i].key), str_dup(a, s->cells.v[i].blob) };
    qsort(all, found, sizeof *all, by_key);
    for (*n = 0; *n < found && *n < max; ++*n) out[*n] = all[*n];
    return unlock(s, 0);
}

static int mem_cell(struct store_reader *r, struct arena *a, struct str key, struct str *blob, struct err *err)
{
    struct mem_store *s = lock(r);
    (void)err;
    *blob = STR_NONE;
    for (size_t i = 0; i < s->cells.n && str_absent(*blob); i++)
        if (str_eq(s->cells.v[i].key, key)) *blob = str_dup(a, s->cells.v[i].blob);
    return unlock(s, !str_absent(*blob));
}

static void mem_reader_close(struct store_reader **reader)
{
    free(*reader);
    *reader = NULL;
}

struct store_reader *mem_reader_open(struct store *store, struct err *err)
{
    static const struct store_reader_ops ops = {
        .close = mem_reader_close,
        .incidents = mem_incidents,
        .incident = mem_incident,
        .notes = mem_notes,
        .deliveries = mem_deliveries,
        .attempts = mem_attempts,
        .run = mem_run,
        .event = mem_event,
        .events = mem_events,
        .events_back = mem_events_back,
        .events_of = mem_events_of,
        .rejected = mem_rejected,
        .counts = mem_counts,
        .meta = mem_meta,
        .cells = mem_cells,
        .cell = mem_cell,
    };
    struct mem_reader *r = xcalloc(1, sizeof *r);
    (void)err;
    r->reader.ops = &ops;
    r->s = (struct mem_store *)store;
    return &r->reader;
}
