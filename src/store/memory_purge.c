/* Retention in the memory store, by the same rules as in SQLite. */
#include "store/memory_internal.h"

enum { OVERHEAD_BYTES = 200 }; /* of an event, for keep.size_bytes */

/* Elements may be pointers, which clang-tidy takes for a wrong sizeof. */
#define REMOVE(vec, i) \
    (memmove(&(vec)->v[i], &(vec)->v[(i) + 1], \
             ((vec)->n - (i)-1) * sizeof *(vec)->v), /* NOLINT(bugprone-sizeof-expression) */ \
     (void)(vec)->n--)

struct purge {
    size_t left, deleted;
};

static void took(struct purge *p, size_t n)
{
    p->deleted += n;
    p->left -= n < p->left ? n : p->left;
}

static void purge_run_of(struct mem_store *s, const struct store_event *e, struct purge *p)
{
    struct store_run id = { .project = e->project, .env = e->env, .run = e->run }, *r = mem_find_run(s, &id);
    struct arena a = { 0 };
    if (!r || r->last_event > e->id) return;
    map_remove(&s->run_by_key, mem_run_key(&a, &id));
    arena_fini(&a);
    for (size_t i = 0; i < s->runs.n; i++)
        if (s->runs.v[i] == r) REMOVE(&s->runs, i);
    took(p, 1);
}

static void purge_oldest_event(struct mem_store *s, struct purge *p)
{
    purge_run_of(s, &s->events.v[0], p);
    REMOVE(&s->events, 0);
    took(p, 1);
}

static void purge_attempts(struct mem_store *s, uint64_t delivery, struct purge *p)
{
    for (size_t i = s->attempts.n; i-- > 0;) {
        if (s->attempts.v[i].delivery != delivery) continue;
        REMOVE(&s->attempts, i);
        took(p, 1);
    }
}

static void purge_delivery(struct mem_store *s, size_t at, struct purge *p)
{
    purge_attempts(s, s->deliveries.v[at].id, p);
    REMOVE(&s->deliveries, at);
    took(p, 1);
}

static void purge_incident(struct mem_store *s, size_t at, struct purge *p)
{
    uint64_t id = s->incidents.v[at].id;
    for (size_t i = s->notes.n; i-- > 0;) {
        if (s->notes.v[i].incident != id) continue;
        REMOVE(&s->notes, i);
        took(p, 1);
    }
    for (size_t i = s->deliveries.n; i-- > 0;) {
        if (s->deliveries.v[i].incident != id) continue;
        mem_put_captures(s, &s->deliveries.v[i], STR("{}"));
        purge_delivery(s, i, p);
    }
    REMOVE(&s->incidents, at);
    took(p, 1);
}

static bool incident_done(const struct mem_store *s, const struct engine_incident_row *i, int64_t before_ms)
{
    if (i->state != INCIDENT_RESOLVED || i->resolved_ms >= before_ms) return false;
    for (size_t k = 0; k < s->deliveries.n; k++)
        if (s->deliveries.v[k].incident == i->id && mem_waits(&s->deliveries.v[k])) return false;
    return true;
}

static void purge_incidents(struct mem_store *s, int64_t before_ms, struct purge *p)
{
    for (size_t i = s->incidents.n; i-- > 0 && p->left;)
        if (incident_done(s, &s->incidents.v[i], before_ms)) purge_incident(s, i, p);
    for (size_t i = s->deliveries.n; i-- > 0 && p->left;) {
        const struct store_delivery *d = &s->deliveries.v[i];
        if (d->incident == 0 && !mem_waits(d) && d->done_ms < before_ms && id_wall_ms(d->id) < before_ms)
            purge_delivery(s, i, p);
    }
}

static int64_t size_of(const struct mem_store *s)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < s->events.n; i++) bytes += (int64_t)s->events.v[i].body.n + OVERHEAD_BYTES;
    return bytes;
}

int mem_purge(struct store *store, const struct store_keep *keep, int64_t now_ms, size_t max_rows,
              size_t *deleted, struct err *err)
{
    struct mem_store *s = (struct mem_store *)store;
    struct purge p = { max_rows, 0 };
    int64_t before_ms = now_ms - keep->events_ms;
    (void)err;
    pthread_mutex_lock(&s->lock);
    while (keep->events_ms > 0 && p.left && s->events.n && id_wall_ms(s->events.v[0].id) < before_ms)
        purge_oldest_event(s, &p);
    while (keep->events_ms > 0 && p.left && s->rejected.n && id_wall_ms(s->rejected.v[0].id) < before_ms) {
        REMOVE(&s->rejected, 0);
        took(&p, 1);
    }
    if (keep->incidents_ms > 0) purge_incidents(s, now_ms - keep->incidents_ms, &p);
    while (keep->size_bytes > 0 && p.left && s->events.n && size_of(s) > keep->size_bytes)
        purge_oldest_event(s, &p);
    *deleted = p.deleted;
    pthread_mutex_unlock(&s->lock);
    return 0;
}
