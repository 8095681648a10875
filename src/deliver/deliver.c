/* The thread around the core: what other threads say goes into an inbox, what they may see is published. */
#include "deliver/deliver.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/wire.h"

enum { LONGEST_WAIT_MS = 1000 }; /* a wall clock that jumps or a virtual one is noticed within it */

/* What other threads see of a destination; under the lock. Kept for good, for names that the configuration no
 * longer has, too: they are few. */
struct desk {
    struct str name, type;
    bool configured;
    size_t held; /* jobs that are here: inbox, waiting or in flight */
    size_t waiting, in_flight;
    enum breaker_state breaker;
    struct mono throttled_until;
    char reason[sizeof((struct place *)0)->reason];
};

struct deliver {
    pthread_t thread;
    struct deliver_callbacks cb; /* the owner's */
    struct clock *clock;
    pthread_mutex_t lock;
    /* under the lock: */
    struct job *inbox, **inbox_end;
    struct config *new_config;
    bool stopping;
    int64_t grace_ms;
    struct map desks;
    VEC(struct desk *) list;
    struct deliver_stats stats;
    /* the thread's own: */
    struct deliver_core core;
    struct wire *wire;
};

/* --- desks --------------------------------------------------------------------------------------------- */
static struct str heap_dup(struct str s)
{
    char *p = xmalloc(s.n + 1);
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return (struct str){ p, s.n };
}

static struct desk *desk_of(struct deliver *d, struct str name)
{
    struct desk *k = map_get(&d->desks, name);
    if (k) return k;
    k = xcalloc(1, sizeof *k);
    k->name = heap_dup(name);
    *vec_push(&d->list) = k;
    map_put(&d->desks, k->name, k);
    return k;
}

static void name_desks(struct deliver *d, const struct config *c)
{
    for (size_t i = 0; i < d->list.n; i++) d->list.v[i]->configured = false;
    for (size_t i = 0; i < c->destination_count; i++) {
        struct desk *k = desk_of(d, c->destinations[i].name);
        k->configured = true;
        free((char *)k->type.p);
        k->type = heap_dup(c->destinations[i].type);
    }
}

static void publish(struct deliver *d)
{
    pthread_mutex_lock(&d->lock);
    d->stats = d->core.stats;
    for (size_t i = 0; i < d->core.list.n; i++) {
        struct place *p = d->core.list.v[i];
        struct desk *k = p->dirty ? map_get(&d->desks, p->name) : NULL;
        if (!k) continue;
        p->dirty = false;
        k->waiting = p->waiting;
        k->in_flight = p->in_flight;
        k->breaker = p->breaker.state;
        k->throttled_until = p->throttled_until;
        memcpy(k->reason, p->reason, sizeof k->reason);
    }
    pthread_mutex_unlock(&d->lock);
}

/* --- callbacks ----------------------------------------------------------------------------------------- */
/* The job's place is free before the owner hears of it: it may push the next at once. */
static void on_done(void *ctx, const struct deliver_result *r)
{
    struct deliver *d = ctx;
    pthread_mutex_lock(&d->lock);
    desk_of(d, r->destination)->held--;
    pthread_mutex_unlock(&d->lock);
    d->cb.done(d->cb.ctx, r);
}

static void on_health(void *ctx, const struct deliver_health *h)
{
    struct deliver *d = ctx;
    publish(d); /* whoever hears of it finds it on the status page */
    if (d->cb.health) d->cb.health(d->cb.ctx, h);
}

/* --- the thread ---------------------------------------------------------------------------------------- */
static bool take_inbox(struct deliver *d)
{
    struct job *jobs;
    struct config *c;
    bool stopping;
    pthread_mutex_lock(&d->lock);
    jobs = d->inbox;
    d->inbox = NULL;
    d->inbox_end = &d->inbox;
    c = d->new_config;
    d->new_config = NULL;
    stopping = d->stopping;
    pthread_mutex_unlock(&d->lock);
    if (c) {
        core_reload(&d->core, c);
        config_unref(&c);
    }
    while (jobs) {
        struct job *job = jobs;
        jobs = job->next;
        core_push(&d->core, job);
    }
    return stopping;
}

static int64_t wait_for(struct deliver *d, struct mono next)
{
    int64_t now = clock_mono(d->clock).ms;
    if (next.ms <= now) return 0;
    return next.ms - now < LONGEST_WAIT_MS ? next.ms - now : LONGEST_WAIT_MS;
}

static void finish(struct deliver *d)
{
    int64_t end = clock_mono(d->clock).ms + d->grace_ms, now;
    core_give_back(&d->core);
    while (d->core.flying && (now = clock_mono(d->clock).ms) < end) {
        if (!wire_run(d->wire)) wire_wait(d->wire, end - now < LONGEST_WAIT_MS ? end - now : LONGEST_WAIT_MS);
    }
    core_abort(&d->core);
    publish(d);
}

static void *run(void *ctx)
{
    struct deliver *d = ctx;
    while (!take_inbox(d)) {
        struct mono next = core_step(&d->core);
        bool answered = wire_run(d->wire);
        publish(d);
        if (!answered) wire_wait(d->wire, wait_for(d, next));
    }
    finish(d);
    return NULL;
}

/* --- for other threads --------------------------------------------------------------------------------- */
static void free_all(struct deliver *d)
{
    core_fini(&d->core);
    wire_free(&d->wire);
    for (size_t i = 0; i < d->list.n; i++) {
        free((char *)d->list.v[i]->name.p);
        free((char *)d->list.v[i]->type.p);
        free(d->list.v[i]);
    }
    vec_free(&d->list);
    map_fini(&d->desks);
    config_unref(&d->new_config);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

/* Signals are other threads' business; SIGPIPE blocked, a write to a closed TLS connection is an error. */
static int start_thread(struct deliver *d)
{
    sigset_t all, old;
    int rc;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&d->thread, NULL, run, d);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}

struct deliver *deliver_start(struct config *c, struct clock *clock, struct rng *rng,
                              const struct deliver_callbacks *cb, struct err *err)
{
    struct deliver *d = xcalloc(1, sizeof *d);
    struct deliver_callbacks ours = { on_done, on_health, d };
    struct deliver_transport transport;
    d->cb = *cb;
    d->clock = clock;
    d->inbox_end = &d->inbox;
    pthread_mutex_init(&d->lock, NULL);
    d->wire = wire_new(&d->core, err);
    if (!d->wire) return pthread_mutex_destroy(&d->lock), free(d), NULL;
    transport = wire_transport(d->wire);
    core_init(&d->core, c, clock, rng, &ours, &transport);
    name_desks(d, c);
    publish(d);
    if (start_thread(d) == 0) return d;
    err_set(err, ERR_IO, "the deliver thread could not be started");
    free_all(d);
    return NULL;
}

bool deliver_push(struct deliver *d, const struct deliver_job *j)
{
    struct job *job = job_new(j);
    struct desk *k;
    bool first = false, taken = false;
    pthread_mutex_lock(&d->lock);
    k = desk_of(d, j->destination);
    if (!d->stopping && k->held < QUEUE_MOST) {
        k->held++;
        first = d->inbox == NULL;
        *d->inbox_end = job;
        d->inbox_end = &job->next;
        taken = true;
    }
    pthread_mutex_unlock(&d->lock);
    if (!taken) free(job);
    if (first) wire_wake(d->wire);
    return taken;
}

size_t deliver_room(struct deliver *d, struct str destination)
{
    size_t held;
    bool stopping;
    pthread_mutex_lock(&d->lock);
    held = desk_of(d, destination)->held;
    stopping = d->stopping;
    pthread_mutex_unlock(&d->lock);
    return stopping || held >= QUEUE_MOST ? 0 : QUEUE_MOST - held;
}

void deliver_reload(struct deliver *d, struct config *c)
{
    struct config *unused;
    config_ref(c);
    pthread_mutex_lock(&d->lock);
    unused = d->new_config;
    d->new_config = c;
    name_desks(d, c);
    pthread_mutex_unlock(&d->lock);
    config_unref(&unused);
    wire_wake(d->wire);
}

void deliver_stop(struct deliver **deliver, int64_t grace_ms)
{
    struct deliver *d = *deliver;
    *deliver = NULL;
    if (!d) return;
    pthread_mutex_lock(&d->lock);
    d->stopping = true;
    d->grace_ms = grace_ms;
    pthread_mutex_unlock(&d->lock);
    wire_wake(d->wire);
    pthread_join(d->thread, NULL);
    free_all(d);
}

struct deliver_stats deliver_stats(struct deliver *d)
{
    struct deliver_stats s;
    pthread_mutex_lock(&d->lock);
    s = d->stats;
    pthread_mutex_unlock(&d->lock);
    return s;
}

static void describe_desk(const struct desk *k, struct mono now, struct json_writer *w)
{
    bool open = k->breaker != BREAKER_CLOSED, throttled = now.ms < k->throttled_until.ms;
    json_object_begin(w);
    json_field_str(w, "name", k->name);
    json_field_str(w, "type", k->type);
    json_field_str(w, "state", open ? STR("breaker_open") : throttled ? STR("throttled") : STR("ok"));
    json_field_str(w, "reason", open ? str_c(k->reason) : STR(""));
    json_field_i64(w, "in_flight", (int64_t)k->in_flight);
    json_field_i64(w, "waiting", (int64_t)k->waiting);
    json_object_end(w);
}

void deliver_describe(struct deliver *d, struct json_writer *w)
{
    struct mono now = clock_mono(d->clock);
    json_array_begin(w);
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->list.n; i++)
        if (d->list.v[i]->configured) describe_desk(d->list.v[i], now, w);
    pthread_mutex_unlock(&d->lock);
    json_array_end(w);
}
