#include "pipeline/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "pipeline/pipeline_internal.h"

/* --- what deliver says, on its thread ------------------------------------------------------------------------- */
static void on_done(void *ctx, const struct deliver_result *r)
{
    struct pipeline *p = ctx;
    struct verdict_item *v = xcalloc(1, sizeof *v);
    v->kind = (enum pipeline_kind)PIPELINE_VERDICT;
    v->result = *r;
    v->result.destination = str_dup(&v->arena, r->destination);
    v->result.lane = str_dup(&v->arena, r->lane);
    v->result.verdict.detail = str_dup(&v->arena, r->verdict.detail);
    v->result.verdict.captures = str_dup(&v->arena, r->verdict.captures);
    if (r->outcome == DELIVER_RETRY && r->plain)
        v->result.verdict.detail = str_printf(&v->arena, "bad_payload: " STR_FMT, STR_ARG(r->verdict.detail));
    v->item.weight_bytes = sizeof *v;
    if (queue_put_late(p->queue, &v->item)) return; /* often the next event's commit takes it along */
    arena_fini(&v->arena); /* stopping: it is sent again after the start, with the same key */
    free(v);
}

static void on_health(void *ctx, const struct deliver_health *h)
{
    struct pipeline *p = ctx;
    struct health_item *v = xcalloc(1, sizeof *v);
    v->kind = (enum pipeline_kind)PIPELINE_HEALTH;
    v->health.open = h->open;
    v->health.destination = str_dup(&v->arena, h->destination);
    v->health.reason = str_dup(&v->arena, h->reason);
    v->item.weight_bytes = sizeof *v;
    if (queue_put(p->queue, &v->item, true)) return;
    arena_fini(&v->arena);
    free(v);
}

/* --- time -------------------------------------------------------------------------------------------------------- */
void pipeline_tell_time(struct pipeline *p)
{
    int64_t mono = clock_mono(p->clock).ms, drift, own;
    p->wall_ms = clock_wall(p->clock).ms;
    drift = p->wall_ms - mono - p->wall_minus_mono_ms;
    if (drift > 2000 || drift < -2000) {
        log_warn("clock.jumped", LOG_I("ms", drift));
        p->wall_minus_mono_ms += drift;
    }
    if (p->wall_ms >= p->now_ms) {
        p->now_ms = p->agreed_ms = p->wall_ms;
        p->agreed_mono_ms = mono;
        return;
    }
    own = p->agreed_ms + (mono - p->agreed_mono_ms) * 9 / 10;
    if (own > p->now_ms) p->now_ms = own;
}

/* --- the writer --------------------------------------------------------------------------------------------------- */
static int64_t wait_ms(struct pipeline *p)
{
    int64_t due = engine_next_due(p->engine), wait;
    pipeline_tell_time(p);
    if (p->next_delivery_ms < due) due = p->next_delivery_ms;
    if (p->next_purge_ms < due) due = p->next_purge_ms;
    if (p->sick || p->kept) return HEAL_EVERY_MS;
    if (p->unread.n) return 0;
    wait = due > p->now_ms ? due - p->now_ms : 0;
    if (p->idle_rounds == 0 && wait > IDLE_MS) return IDLE_MS; /* then look whether housekeeping is due, once */
    return wait > 3600000 ? 3600000 : wait;
}

static void housekeeping_failed(struct pipeline *p, const char *what, const struct err *err)
{
    static struct log_once once;
    log_write_limited(&once, 5000, LOG_WARN, what, LOG_FIELDS(LOG_E(err)));
    if (err->code == ERR_UNCERTAIN) batch_break(p, err);
}

/* What a rush took: queued bodies, the store's cache, details that were paged out. */
static void give_back(struct pipeline *p)
{
    if (p->stats.commits - p->given_back < GIVE_BACK_COMMITS) return;
    mem_give_back();
    p->given_back = p->stats.commits;
}

static void housekeeping(struct pipeline *p, bool idle)
{
    struct err err;
    struct store_keep keep = { p->config->store.keep_events_ms, p->config->store.keep_incidents_ms, p->config->store.keep_size_bytes };
    size_t deleted = 0;
    if (p->sick || p->broken) return;
    if ((p->store->ops->upkeep_due(p->store) || idle) && p->store->ops->upkeep(p->store, idle, &err) < 0)
        housekeeping_failed(p, "store.upkeep_failed", &err);
    if (idle) give_back(p);
    if (p->broken || p->now_ms < p->next_purge_ms) return;
    if (p->store->ops->purge(p->store, &keep, p->now_ms, PURGE_ROWS, &deleted, &err) < 0)
        housekeeping_failed(p, "store.purge_failed", &err);
    /* A full chunk means there is more: go on soon, but let batches pass between. */
    p->next_purge_ms = p->now_ms + (deleted >= PURGE_ROWS ? 20 : PURGE_EVERY_MS);
}

void pipeline_turn(struct pipeline *p, int64_t most_ms)
{
    int64_t wait = p->deliver ? wait_ms(p) : 0;
    struct queue_item *items = queue_take(p->queue, wait < most_ms ? wait : most_ms, BATCH_ITEMS, BATCH_BYTES);
    bool timers;
    pipeline_tell_time(p);
    timers = engine_next_due(p->engine) <= p->now_ms;
    if (items || timers || p->kept || p->sick || p->unread.n) batch_run_all(p, items, p->deliver == NULL);
    reread_ask(p);
    if (!p->sick && p->next_delivery_ms <= p->now_ms) outbox_top_up(p, true);
    p->idle_rounds = items || timers ? 0 : p->idle_rounds + 1;
    housekeeping(p, p->idle_rounds == 1);
}

/* Deliver first: the outcomes of what is in flight still reach the queue and the store. */
static void drain(struct pipeline *p)
{
    deliver_stop(&p->deliver, p->grace_ms);
    queue_close(p->queue);
    do pipeline_turn(p, 0); /* once in any case: for verdicts that could not be stored before */
    while (queue_length(p->queue) > 0);
}

static void *writer(void *ctx)
{
    struct pipeline *p = ctx;
    while (!atomic_load(&p->stopping)) pipeline_turn(p, INT64_MAX);
    drain(p);
    return NULL;
}

/* --- start and stop --------------------------------------------------------------------------------------------------- */
static int first_commit(struct pipeline *p, struct err *err)
{
    p->engine_stale = true;
    batch_run_all(p, NULL, false);
    if (!p->sick) return 0;
    *err = p->sick_err;
    return -1;
}

/* A clock that was set back while nothing ran must not give an id a second time. */
static int go_on_with_ids(struct pipeline *p, struct err *err)
{
    struct store_counts counts;
    if (p->reader->ops->counts(p->reader, &counts, err) < 0) return -1;
    p->event_ids.last = counts.newest_event;
    return 0;
}

static int open_all(struct pipeline *p, struct err *err)
{
    struct deliver_callbacks cb = { on_done, on_health, p };
    p->reader = p->store->ops->reader_open(p->store, err);
    if (!p->reader || go_on_with_ids(p, err) < 0) return -1;
    p->deliver = deliver_start(p->config, p->clock, p->rng, &cb, err);
    if (!p->deliver || first_commit(p, err) < 0) return -1;
    outbox_top_up(p, true);
    return 0;
}

struct pipeline *pipeline_build(const struct pipeline_setup *setup, struct err *err)
{
    struct pipeline *p = xcalloc(1, sizeof *p);
    p->store = setup->store;
    p->clock = setup->clock;
    p->rng = setup->rng;
    p->broken_fn = setup->broken;
    p->broken_ctx = setup->broken_ctx;
    p->config = config_ref(setup->config);
    p->queue = queue_new((size_t)setup->config->server.queue_bytes);
    p->wall_minus_mono_ms = clock_wall(p->clock).ms - clock_mono(p->clock).ms;
    pipeline_tell_time(p);
    p->next_delivery_ms = ENGINE_NEVER;
    p->next_purge_ms = p->now_ms + 10000; /* not in the way of a start */
    p->stats.started_ms = p->now_ms;
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->reread_lock, NULL);
    store_batch_init(&p->batch);
    strbuf_init(&p->row, ROW_CEILING);
    if (open_all(p, err) == 0) return p;
    pipeline_stop(&p, 0);
    return NULL;
}

struct pipeline *pipeline_start(const struct pipeline_setup *setup, struct err *err)
{
    struct pipeline *p = pipeline_build(setup, err);
    int rc;
    if (!p) return NULL;
    rc = pthread_create(&p->thread, NULL, writer, p);
    if (rc == 0) return p->thread_started = true, p;
    err_set(err, ERR_IO, "the writer thread could not be started");
    pipeline_stop(&p, 0);
    return NULL;
}

bool pipeline_submit(struct pipeline *p, struct pipeline_request *r)
{
    if (atomic_load(&p->stopping)) return false;
    r->arrival_ms = clock_wall(p->clock).ms;
    return queue_put(p->queue, &r->item, r->kind != PIPELINE_REPORTS && r->kind != PIPELINE_REJECTED);
}

bool pipeline_submit_soon(struct pipeline *p, struct pipeline_request *r)
{
    if (r->kind != PIPELINE_REPORTS && r->kind != PIPELINE_REJECTED) return pipeline_submit(p, r);
    if (atomic_load(&p->stopping)) return false;
    r->arrival_ms = clock_wall(p->clock).ms;
    return queue_put_soon(p->queue, &r->item);
}

void pipeline_flush(struct pipeline *p)
{
    queue_flush(p->queue);
}

void pipeline_stop(struct pipeline **pipeline, int64_t grace_ms)
{
    struct pipeline *p = *pipeline;
    if (!p) return;
    *pipeline = NULL;
    p->grace_ms = grace_ms;
    atomic_store(&p->stopping, true);
    queue_wake(p->queue);
    if (p->thread_started)
        pthread_join(p->thread, NULL);
    else if (p->engine)
        drain(p);
    else
        deliver_stop(&p->deliver, 0);
    if (p->reader) p->reader->ops->close(&p->reader);
    engine_free(&p->engine);
    if (p->store) p->store->ops->close(&p->store);
    outbox_fini(p);
    store_batch_fini(&p->batch);
    strbuf_fini(&p->row);
    engine_output_fini(&p->out);
    map_fini(&p->batch_runs);
    map_fini(&p->source_starts);
    map_fini(&p->heard);
    vec_free(&p->batch_run_list);
    arena_fini(&p->batch_arena);
    arena_fini(&p->names);
    queue_free(&p->queue);
    config_unref(&p->config);
    reread_fini(p);
    pthread_mutex_destroy(&p->reread_lock);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* --- looking in, from any thread ------------------------------------------------------------------------------------------ */
struct config *pipeline_config(struct pipeline *p)
{
    struct config *c;
    pthread_mutex_lock(&p->lock);
    c = config_ref(p->config);
    pthread_mutex_unlock(&p->lock);
    return c;
}

struct store_reader *pipeline_reader(struct pipeline *p, struct err *err)
{
    return p->store->ops->reader_open(p->store, err);
}

struct deliver *pipeline_deliver(struct pipeline *p)
{
    return p->deliver;
}

bool pipeline_ready(struct pipeline *p, struct err *why)
{
    bool ready;
    pthread_mutex_lock(&p->lock);
    ready = p->ready;
    if (!ready) *why = p->why_not_ready;
    pthread_mutex_unlock(&p->lock);
    return ready;
}

struct pipeline_stats pipeline_stats(struct pipeline *p)
{
    struct pipeline_stats s;
    pthread_mutex_lock(&p->lock);
    s = p->stats;
    pthread_mutex_unlock(&p->lock);
    s.queue_length = queue_length(p->queue);
    s.queue_bytes = queue_bytes(p->queue);
    return s;
}
