/* batch: what is waiting, as one transaction (design.md section 2). */
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "pipeline/pipeline_internal.h"

/* --- the transaction ------------------------------------------------------------------------------------------------ */
static void begin(struct pipeline *p)
{
    pipeline_tell_time(p);
    arena_reset(&p->batch_arena);
    store_batch_clear(&p->batch);
    engine_output_fini(&p->out);
    engine_output_init(&p->out, &p->batch_arena);
    map_fini(&p->batch_runs);
    vec_clear(&p->batch_run_list);
    p->tally = (struct pipeline_stats){ 0 };
    p->batch.now_ms = p->now_ms;
}

static int evaluate(struct pipeline *p, struct queue_item *items, struct err *err)
{
    struct engine_input tick = { .kind = ENGINE_TICK, .now_ms = p->now_ms };
    if (p->engine_stale) {
        if (engine_build(p, err) < 0 || heard_learn(p, p->config, err) < 0 || engine_restored(p->engine, p->now_ms, &p->out, err) < 0) return -1;
        if (reports_note_sources(p, p->config, err) < 0 || outbox_name_places(p, p->config, err) < 0) return -1;
        p->engine_stale = false;
    }
    if (reread_step(p, err) < 0 || reports_fetch(p, items, err) < 0) return -1;
    for (struct queue_item *i = items; i; i = i->next)
        if (step_item(p, i, err) < 0) return -1;
    return engine_step(p->engine, &tick, &p->out, err);
}

static bool has_rows(const struct store_batch *b)
{
    return b->events.n || b->runs.n || b->incidents.n || b->cells.n || b->notes.n || b->deliveries.n || b->attempts.n ||
           b->rejected.n || b->meta.n || b->redeliver.n;
}

static void gather(struct pipeline *p)
{
    struct engine_changes changes = { .arena = &p->batch_arena };
    engine_collect(p->engine, &changes);
    for (size_t k = 0; k < changes.incidents.n; k++) *vec_push(&p->batch.incidents) = changes.incidents.v[k];
    for (size_t k = 0; k < changes.cells.n; k++) *vec_push(&p->batch.cells) = changes.cells.v[k];
    vec_free(&changes.incidents);
    vec_free(&changes.cells);
    reports_write_runs(p);
    outbox_take_messages(p);
}

static void publish(struct pipeline *p, uint64_t us)
{
    struct pipeline_stats *s = &p->stats;
    const struct pipeline_stats *t = &p->tally;
    pthread_mutex_lock(&p->lock);
    s->events_accepted += t->events_accepted;
    s->events_duplicate += t->events_duplicate;
    s->events_fuller += t->events_fuller;
    s->events_late += t->events_late;
    s->unknown_states += t->unknown_states;
    s->rejected += t->rejected;
    s->commits += has_rows(&p->batch);
    s->commit_us_total += us;
    if (us > s->commit_us_max) s->commit_us_max = us;
    if (p->batch.events.n > s->batch_max) s->batch_max = p->batch.events.n;
    s->hits += p->out.hits;
    s->messages += p->out.messages.n;
    s->engine = engine_stats(p->engine);
    pthread_mutex_unlock(&p->lock);
}

/* UNFIT: something in the batch cannot be done, whatever the store does. ILL: the store's fault; it may heal. */
enum result { COMMITTED, UNFIT, ILL };

static enum result commit(struct pipeline *p, uint64_t *us, struct err *err)
{
    struct timespec from, to;
    int rc;
    failpoint("pipeline.before_commit");
    clock_gettime(CLOCK_MONOTONIC, &from);
    rc = p->store->ops->commit(p->store, &p->batch, err);
    clock_gettime(CLOCK_MONOTONIC, &to);
    *us = (uint64_t)((to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000);
    if (rc < 0) return err->code == ERR_IO || err->code == ERR_LIMIT || err->code == ERR_BUSY || err->code == ERR_UNCERTAIN ? ILL : UNFIT;
    failpoint("pipeline.after_commit");
    return COMMITTED;
}

static enum result transact(struct pipeline *p, struct queue_item *items, struct err *err)
{
    enum result rc = COMMITTED;
    uint64_t us = 0;
    begin(p);
    if (evaluate(p, items, err) < 0) return err->code == ERR_IO ? ILL : UNFIT;
    gather(p);
    if (p->sick) /* only a write shows that the store takes writes again */
        *vec_push(&p->batch.meta) = (struct store_meta){ STR("healed_ms"), str_printf(&p->batch_arena, "%lld", (long long)p->now_ms) };
    if (has_rows(&p->batch)) rc = commit(p, &us, err);
    if (rc == COMMITTED) publish(p, us);
    return rc;
}

/* --- afterwards ------------------------------------------------------------------------------------------------------- */
static void swap_config(struct pipeline *p, struct pipeline_request *r)
{
    struct config *old;
    pthread_mutex_lock(&p->lock);
    old = p->config;
    p->config = config_ref(r->config);
    p->stats.reloads++;
    p->stats.last_reload_ms = p->now_ms;
    pthread_mutex_unlock(&p->lock);
    if (p->deliver) deliver_reload(p->deliver, p->config);
    config_unref(&old);
    outbox_look_again(p, p->now_ms); /* destinations may have come or gone */
    log_info("config.reloaded", LOG_I("rules", (int64_t)p->config->rules->rule_count));
}

static void answer(struct pipeline_request *r)
{
    if (r->done) r->done(r->ctx, r);
}

/* Everybody in the batch hears of the commit first; then lanes move. */
static void settle(struct pipeline *p, struct queue_item *items)
{
    struct queue_item *next;
    struct queue_item *ours = NULL;
    for (struct queue_item *i = items; i; i = next) {
        next = i->next;
        if (item_is_ours(i)) {
            i->next = ours;
            ours = i;
            continue;
        }
        if (item_kind(i) == PIPELINE_RELOAD) swap_config(p, item_request(i));
        answer(item_request(i));
    }
    reread_forget(p);
    reread_take(p);
    outbox_push_new(p);
    for (; ours; ours = next) {
        next = ours->next;
        if ((int)item_kind(ours) == PIPELINE_VERDICT) {
            const struct deliver_result *r = &((struct verdict_item *)(void *)ours)->result;
            outbox_release(p, r);
            outbox_push_lane(p, r->destination, r->lane);
        }
        item_free_ours(ours);
    }
    outbox_top_up(p, false);
    engine_trim(p->engine, DETAIL_KEEP_BYTES);
}

/* --- when it cannot be done -------------------------------------------------------------------------------------------- */
static void fall_ill(struct pipeline *p, const struct err *why)
{
    static struct log_once once;
    log_write_limited(&once, 5000, LOG_ERROR, "commit.failed", LOG_FIELDS(LOG_E(why)));
    p->sick = true;
    p->sick_err = *why;
    p->heal_at_ms = clock_mono(p->clock).ms + HEAL_EVERY_MS;
    pthread_mutex_lock(&p->lock);
    p->stats.commit_failures++;
    p->ready = false;
    p->why_not_ready = *why;
    pthread_mutex_unlock(&p->lock);
}

void batch_break(struct pipeline *p, const struct err *why)
{
    if (p->broken) return;
    p->broken = p->sick = true;
    p->sick_err = *why;
    pthread_mutex_lock(&p->lock);
    p->ready = false;
    p->why_not_ready = *why;
    pthread_mutex_unlock(&p->lock);
    if (!p->broken_fn) abort();
    p->broken_fn(p->broken_ctx, why);
}

static void recover(struct pipeline *p)
{
    if (p->sick) log_info("store.healed");
    if (!p->sick && p->ready) return;
    p->sick = false;
    pthread_mutex_lock(&p->lock);
    p->ready = true;
    pthread_mutex_unlock(&p->lock);
}

static void turn_away(struct pipeline *p, struct pipeline_request *r, const struct err *why)
{
    if (r->kind == PIPELINE_RELOAD) {
        pthread_mutex_lock(&p->lock);
        p->stats.reloads_failed++;
        pthread_mutex_unlock(&p->lock);
    }
    r->status = PIPELINE_FAILED;
    r->err = *why;
    answer(r);
}

/* Nothing of it is in the store. Callers are told; what deliver said is kept for the next try. */
static void turn_all_away(struct pipeline *p, struct queue_item *items, const struct err *why, bool stopping)
{
    struct queue_item *next, **last = &p->kept;
    for (struct queue_item *i = items; i; i = next) {
        next = i->next;
        i->next = NULL;
        if (!item_is_ours(i)) {
            turn_away(p, item_request(i), why);
        } else if (stopping) {
            item_free_ours(i); /* sent again after the start, with the same key */
        } else {
            *last = i;
            last = &i->next;
        }
    }
}

static void run(struct pipeline *p, struct queue_item *items, bool stopping);

/* The one item that cannot be done. A verdict that the engine chokes on is at least recorded; if that fails too
 * (its delivery is gone), its lane goes on without it. */
static void refuse(struct pipeline *p, struct queue_item *i, const struct err *why, bool stopping)
{
    log_error("batch.refused", LOG_I("kind", (int64_t)item_kind(i)), LOG_E(why));
    if (!item_is_ours(i)) {
        turn_away(p, item_request(i), why);
        return;
    }
    if ((int)item_kind(i) == PIPELINE_VERDICT) {
        struct verdict_item *v = (struct verdict_item *)(void *)i;
        if (!v->bare) {
            v->bare = true;
            run(p, i, stopping);
            return;
        }
        outbox_release(p, &v->result);
        outbox_look_again(p, p->now_ms + HEAL_EVERY_MS);
    }
    item_free_ours(i);
}

static void one_by_one(struct pipeline *p, struct queue_item *items, bool stopping)
{
    struct queue_item *next;
    for (struct queue_item *i = items; i; i = next) {
        next = i->next;
        i->next = NULL;
        batch_run_all(p, i, stopping);
    }
}

static void run(struct pipeline *p, struct queue_item *items, bool stopping)
{
    struct err err = { .code = ERR_OK };
    enum result rc = transact(p, items, &err);
    if (rc == COMMITTED) {
        recover(p);
        settle(p, items);
        return;
    }
    p->engine_stale = true; /* it is ahead of the store, and the store is the truth */
    if (rc == UNFIT && items) {
        if (items->next) one_by_one(p, items, stopping);
        else refuse(p, items, &err, stopping);
        return;
    }
    fall_ill(p, &err);
    turn_all_away(p, items, &err, stopping);
    if (err.code == ERR_UNCERTAIN) batch_break(p, &err);
}

static struct queue_item *with_kept(struct pipeline *p, struct queue_item *items)
{
    struct queue_item **last = &p->kept, *all;
    while (*last) last = &(*last)->next;
    *last = items;
    all = p->kept;
    p->kept = NULL;
    return all;
}

void batch_run_all(struct pipeline *p, struct queue_item *items, bool stopping)
{
    struct err err = p->sick_err;
    items = with_kept(p, items);
    if (p->broken || (p->sick && clock_mono(p->clock).ms < p->heal_at_ms)) turn_all_away(p, items, &err, stopping);
    else run(p, items, stopping);
}
