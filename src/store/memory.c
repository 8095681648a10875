/* The store in memory: the double in tests. It does what SQLite does, simply; texts that were replaced stay
 * until it is closed. */
#include "store/memory_internal.h"

#include <assert.h>

#include "base/strbuf.h"

size_t mem_lower_bound(const void *v, size_t n, size_t size, uint64_t id)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        uint64_t at;
        memcpy(&at, (const char *)v + mid * size, sizeof at);
        if (at < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Makes room for id in its place and gives the index. */
#define INSERT(vec, id) \
    (vec_push(vec), shift_for((vec)->v, (vec)->n, sizeof *(vec)->v, \
                              mem_lower_bound((vec)->v, (vec)->n - 1, sizeof *(vec)->v, (id))))

void *mem_find_id(void *v, size_t n, size_t size, uint64_t id)
{
    size_t at = mem_lower_bound(v, n, size, id);
    uint64_t found = 0;
    if (at < n) memcpy(&found, (char *)v + at * size, sizeof found);
    return at < n && found == id ? (char *)v + at * size : NULL;
}

static size_t shift_for(void *v, size_t n, size_t size, size_t at)
{
    memmove((char *)v + (at + 1) * size, (char *)v + at * size, (n - 1 - at) * size);
    return at;
}

/* Kept text; absent becomes "" / stays absent. */
static struct str own(struct mem_store *s, struct str v)
{
    return str_dup(&s->texts, str_absent(v) ? STR("") : v);
}

static struct str own_maybe(struct mem_store *s, struct str v)
{
    return str_absent(v) ? v : str_dup(&s->texts, v);
}

/* --- events, runs --------------------------------------------------------------------------------------- */
static void put_event(struct mem_store *s, const struct store_event *e)
{
    struct store_event *n = &s->events.v[INSERT(&s->events, e->id)];
    *n = *e;
    n->source = own(s, e->source);
    n->project = own(s, e->project);
    n->env = own(s, e->env);
    n->run = own(s, e->run);
    n->status = own(s, e->status);
    n->state = own(s, e->state);
    n->body = own(s, e->body);
}

struct str mem_run_key(struct arena *a, const struct store_run *r)
{
    return str_printf(a, "%zu:" STR_FMT "%zu:" STR_FMT STR_FMT, r->run.n, STR_ARG(r->run), r->project.n,
                      STR_ARG(r->project), STR_ARG(r->env));
}

struct store_run *mem_find_run(struct mem_store *s, const struct store_run *id)
{
    struct arena a = { 0 };
    struct store_run *r = map_get(&s->run_by_key, mem_run_key(&a, id));
    arena_fini(&a);
    return r;
}

static void put_run(struct mem_store *s, const struct store_run *r)
{
    struct store_run *n = mem_find_run(s, r);
    if (!n) {
        n = ARENA_NEW(&s->texts, struct store_run);
        n->project = own(s, r->project);
        n->env = own(s, r->env);
        n->run = own(s, r->run);
        *vec_push(&s->runs) = n;
        map_put(&s->run_by_key, mem_run_key(&s->texts, r), n);
    }
    n->known = own(s, r->known);
    n->updated_ms = r->updated_ms;
    n->last_event = r->last_event;
}

/* --- incidents, cells, notes ---------------------------------------------------------------------------- */
static void put_incident(struct mem_store *s, const struct engine_incident_row *i)
{
    struct engine_incident_row *n = MEM_FIND(&s->incidents, i->id), old;
    if (!n) {
        n = &s->incidents.v[INSERT(&s->incidents, i->id)];
        *n = (struct engine_incident_row){ .project = own(s, i->project),
                                           .env = own(s, i->env),
                                           .rule = own(s, i->rule),
                                           .key = own(s, i->key),
                                           .title = STR(""),
                                           .task = STR(""),
                                           .last_run = STR("") };
    }
    old = *n;
    *n = *i;
    n->project = old.project;
    n->env = old.env;
    n->rule = old.rule;
    n->key = old.key;
    n->label = own(s, i->label);
    n->title = str_absent(i->title) ? old.title : own(s, i->title);
    n->task = str_absent(i->task) ? old.task : own(s, i->task);
    n->last_run = str_absent(i->last_run) ? old.last_run : own(s, i->last_run);
    n->detail = str_absent(i->detail) ? old.detail : own(s, i->detail);
    n->state_blob = i->state == INCIDENT_RESOLVED ? STR("") : own(s, i->state_blob);
}

static void put_cell(struct mem_store *s, const struct engine_cell_row *c)
{
    size_t i = 0;
    while (i < s->cells.n && !str_eq(s->cells.v[i].key, c->key)) i++;
    if (str_absent(c->blob)) {
        if (i < s->cells.n) s->cells.v[i] = s->cells.v[--s->cells.n];
        return;
    }
    if (i == s->cells.n) vec_push(&s->cells)->key = own(s, c->key);
    s->cells.v[i].blob = own(s, c->blob);
}

static void put_note(struct mem_store *s, const struct store_note *n)
{
    *vec_push(&s->notes) = (struct store_note){ n->incident, n->at_ms, own(s, n->what), own(s, n->body) };
}

static void put_meta(struct mem_store *s, const struct store_meta *m)
{
    size_t i = 0;
    while (i < s->meta.n && !str_eq(s->meta.v[i].key, m->key)) i++;
    if (i == s->meta.n) vec_push(&s->meta)->key = own(s, m->key);
    s->meta.v[i].value = own(s, m->value);
}

static void put_rejected(struct mem_store *s, const struct store_rejected *r)
{
    struct store_rejected *n = &s->rejected.v[INSERT(&s->rejected, r->id)];
    *n = (struct store_rejected){ r->id, r->at_ms, own(s, r->source), own(s, r->reason), own(s, r->body) };
}

/* --- deliveries ----------------------------------------------------------------------------------------- */
bool mem_waits(const struct store_delivery *d)
{
    return d->state == DELIVERY_PENDING || d->state == DELIVERY_RETRYING;
}

struct str mem_lane_key(struct arena *a, struct str destination, struct str lane)
{
    return str_printf(a, "%zu:" STR_FMT STR_FMT, destination.n, STR_ARG(destination), STR_ARG(lane));
}

struct mem_lane *mem_lane_find(struct mem_store *s, struct str destination, struct str lane)
{
    struct arena a = { 0 };
    struct str key = mem_lane_key(&a, destination, lane);
    struct mem_lane *found = NULL;
    for (size_t i = 0; i < s->lanes.n && !found; i++)
        if (str_eq(s->lanes.v[i].key, key)) found = &s->lanes.v[i];
    arena_fini(&a);
    return found;
}

static void put_delivery(struct mem_store *s, const struct store_delivery *d)
{
    struct store_delivery *n = &s->deliveries.v[INSERT(&s->deliveries, d->id)];
    *n = *d;
    if (n->state == DELIVERY_SENDING) n->state = DELIVERY_PENDING;
    n->destination = own(s, d->destination);
    n->lane = own(s, d->lane);
    n->params = own_maybe(s, d->params);
    n->content = own(s, d->content);
    n->last_error = own(s, d->last_error);
    n->captures = STR_NONE;
}

void mem_put_captures(struct mem_store *s, const struct store_delivery *d, struct str captures)
{
    struct mem_lane *l = mem_lane_find(s, d->destination, d->lane);
    if (str_absent(captures)) return;
    if (str_eq(captures, STR("{}"))) {
        if (l) *l = s->lanes.v[--s->lanes.n];
        return;
    }
    if (!l) {
        l = vec_push(&s->lanes);
        l->key = mem_lane_key(&s->texts, d->destination, d->lane);
    }
    l->captures = own(s, captures);
}

static void end_delivery(struct mem_store *s, struct store_delivery *d, const struct store_attempt *t)
{
    d->state = t->state;
    d->done_ms = t->at_ms;
    d->last_error = t->state == DELIVERY_DEAD ? own(s, t->detail) : STR("");
}

static void put_attempt(struct mem_store *s, const struct store_attempt *t)
{
    struct store_delivery *d = MEM_FIND(&s->deliveries, t->delivery);
    struct store_attempt *n;
    assert(d); /* checked before anything of the batch was applied */
    mem_put_captures(s, d, t->captures);
    if (!t->postponed) {
        n = vec_push(&s->attempts);
        *n = *t;
        n->detail = own(s, t->detail);
        n->captures = own_maybe(s, t->captures);
    }
    d->attempts += !t->postponed;
    if (!mem_waits(d)) return; /* what is over stays over: only redeliver brings it back */
    if (t->state == DELIVERY_DELIVERED || t->state == DELIVERY_DEAD) {
        end_delivery(s, d, t);
        return;
    }
    d->state = t->state == DELIVERY_SENDING ? DELIVERY_PENDING : t->state;
    d->due_ms = t->due_ms;
    if (!t->postponed) d->last_error = own(s, t->detail);
}

static void redeliver(struct mem_store *s, uint64_t id, int64_t now_ms)
{
    struct store_delivery *d = MEM_FIND(&s->deliveries, id);
    int64_t until;
    if (!d || d->state != DELIVERY_DEAD) return;
    until = now_ms + d->expires_ms - d->created_ms;
    d->state = DELIVERY_PENDING;
    d->due_ms = now_ms;
    d->done_ms = 0;
    if (until > d->expires_ms) d->expires_ms = until;
}

/* --- commit --------------------------------------------------------------------------------------------- */
static bool repeated(const uint64_t *id, size_t n, size_t stride)
{
    for (size_t i = 0; i + 1 < n; i++)
        for (size_t j = i + 1; j < n; j++)
            if (*(const uint64_t *)((const char *)id + i * stride) ==
                *(const uint64_t *)((const char *)id + j * stride))
                return true;
    return false;
}

#define CLASHES(s, b, rows) (b->rows.n && repeated(&b->rows.v[0].id, b->rows.n, sizeof *b->rows.v))

static bool delivery_known(struct mem_store *s, const struct store_batch *b, uint64_t id)
{
    if (MEM_FIND(&s->deliveries, id)) return true;
    for (size_t i = 0; i < b->deliveries.n; i++)
        if (b->deliveries.v[i].id == id) return true;
    return false;
}

/* All that can go wrong is found here, before anything changes. */
static int check(struct mem_store *s, const struct store_batch *b, struct err *err)
{
    if (s->fail_commits > 0) {
        s->fail_commits--;
        return err_set(err, s->fail_code, "the memory store was told to fail");
    }
    bool clash = CLASHES(s, b, events) || CLASHES(s, b, deliveries) || CLASHES(s, b, rejected);
    for (size_t i = 0; i < b->events.n; i++) clash |= MEM_FIND(&s->events, b->events.v[i].id) != NULL;
    for (size_t i = 0; i < b->deliveries.n; i++)
        clash |= MEM_FIND(&s->deliveries, b->deliveries.v[i].id) != NULL;
    for (size_t i = 0; i < b->rejected.n; i++) clash |= MEM_FIND(&s->rejected, b->rejected.v[i].id) != NULL;
    if (clash) return err_set(err, ERR_CONFLICT, "an id is stored already");
    for (size_t i = 0; i < b->attempts.n; i++)
        if (!delivery_known(s, b, b->attempts.v[i].delivery))
            return err_set(err, ERR_CONFLICT, "attempt at a delivery that is not in the store");
    return 0;
}

static void apply(struct mem_store *s, const struct store_batch *b)
{
    for (size_t i = 0; i < b->events.n; i++) put_event(s, &b->events.v[i]);
    for (size_t i = 0; i < b->runs.n; i++) put_run(s, &b->runs.v[i]);
    for (size_t i = 0; i < b->incidents.n; i++) put_incident(s, &b->incidents.v[i]);
    for (size_t i = 0; i < b->cells.n; i++) put_cell(s, &b->cells.v[i]);
    for (size_t i = 0; i < b->notes.n; i++) put_note(s, &b->notes.v[i]);
    for (size_t i = 0; i < b->deliveries.n; i++) put_delivery(s, &b->deliveries.v[i]);
    for (size_t i = 0; i < b->attempts.n; i++) put_attempt(s, &b->attempts.v[i]);
    for (size_t i = 0; i < b->rejected.n; i++) put_rejected(s, &b->rejected.v[i]);
    for (size_t i = 0; i < b->meta.n; i++) put_meta(s, &b->meta.v[i]);
    for (size_t i = 0; i < b->redeliver.n; i++) redeliver(s, b->redeliver.v[i], b->now_ms);
}

static int mem_commit(struct store *store, const struct store_batch *b, struct err *err)
{
    struct mem_store *s = (struct mem_store *)store;
    int rc;
    pthread_mutex_lock(&s->lock);
    rc = check(s, b, err);
    if (rc == 0) apply(s, b);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void store_memory_fail(struct store *store, enum err_code code, size_t commits)
{
    struct mem_store *s = (struct mem_store *)store;
    s->fail_code = code;
    s->fail_commits = commits;
}

/* --- open and close ------------------------------------------------------------------------------------- */
static bool mem_upkeep_due(struct store *s)
{
    (void)s;
    return false;
}

static int mem_upkeep(struct store *s, bool idle, struct err *err)
{
    (void)s, (void)idle, (void)err;
    return 0;
}

static void mem_close(struct store **store)
{
    struct mem_store *s = (struct mem_store *)*store;
    if (!s) return;
    vec_free(&s->events);
    vec_free(&s->incidents);
    vec_free(&s->deliveries);
    vec_free(&s->rejected);
    vec_free(&s->runs);
    vec_free(&s->notes);
    vec_free(&s->attempts);
    vec_free(&s->cells);
    vec_free(&s->meta);
    vec_free(&s->lanes);
    map_fini(&s->run_by_key);
    arena_fini(&s->texts);
    pthread_mutex_destroy(&s->lock);
    free(s);
    *store = NULL;
}

struct store *store_memory_open(void)
{
    static const struct store_ops ops = {
        .close = mem_close,
        .load = mem_load,
        .fetch_runs = mem_fetch_runs,
        .fetch_detail = mem_fetch_detail,
        .fetch_cell = mem_fetch_cell,
        .commit = mem_commit,
        .due_deliveries = mem_due_deliveries,
        .lane_head = mem_lane_head,
        .meta_get = mem_meta_get,
        .purge = mem_purge,
        .upkeep_due = mem_upkeep_due,
        .upkeep = mem_upkeep,
        .reader_open = mem_reader_open,
    };
    struct mem_store *s = xcalloc(1, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    s->store.ops = &ops;
    return &s->store;
}
