/* batch: what is waiting, as one transaction (design.md section 2). */
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "pipeline/pipeline_internal.h"

static enum pipeline_kind kind_of(const struct queue_item *i)
{
    return ((const struct pipeline_request *)(const void *)i)->kind;
}

static bool is_ours(const struct queue_item *i)
{
    return (int)kind_of(i) == PIPELINE_VERDICT || (int)kind_of(i) == PIPELINE_HEALTH;
}

static void free_ours(struct queue_item *i)
{
    if ((int)kind_of(i) == PIPELINE_VERDICT)
        arena_fini(&((struct verdict_item *)(void *)i)->arena);
    else
        arena_fini(&((struct health_item *)(void *)i)->arena);
    free(i);
}

/* --- kinds of work ------------------------------------------------------------------------------------------------ */
static int step_fault(struct pipeline *p, struct str topic, struct str title, struct str body, struct err *err)
{
    struct engine_input in = { .kind = ENGINE_FAULT, .now_ms = p->now_ms };
    in.u.fault.topic = topic;
    in.u.fault.title = title;
    in.u.fault.body = body;
    return engine_step(p->engine, &in, &p->out, err);
}

static int step_verdict(struct pipeline *p, const struct deliver_result *r, struct err *err)
{
    struct engine_input in = { .kind = ENGINE_VERDICT, .now_ms = p->now_ms };
    outbox_verdict(p, r);
    if (r->outcome == DELIVER_RETRY) return 0;
    in.u.verdict.delivery = r->delivery;
    in.u.verdict.incident = r->incident;
    in.u.verdict.destination = r->destination;
    in.u.verdict.lane = r->lane;
    in.u.verdict.delivered = r->outcome == DELIVER_DELIVERED;
    in.u.verdict.detail = r->verdict.detail;
    if (engine_step(p->engine, &in, &p->out, err) < 0) return -1;
    if (r->outcome != DELIVER_DEAD) return 0;
    return step_fault(p, str_printf(&p->batch_arena, "dead/" STR_FMT, STR_ARG(r->destination)),
                      str_printf(&p->batch_arena, "A message to " STR_FMT " could not be delivered", STR_ARG(r->destination)),
                      str_printf(&p->batch_arena, STR_FMT "\n`runbell deliveries --state dead` lists it; `runbell retry ID` sends it again.",
                                 STR_ARG(r->verdict.detail)), err);
}

static int step_health(struct pipeline *p, const struct deliver_health *h, struct err *err)
{
    if (!h->open) return 0;
    return step_fault(p, str_printf(&p->batch_arena, "breaker/" STR_FMT, STR_ARG(h->destination)),
                      str_printf(&p->batch_arena, "Destination " STR_FMT " is failing: its messages wait", STR_ARG(h->destination)),
                      h->reason, err);
}

static int step_command(struct pipeline *p, struct pipeline_request *r, struct err *err)
{
    struct engine_input in = { .kind = ENGINE_COMMAND, .now_ms = p->now_ms };
    in.u.command.what = r->command.what;
    in.u.command.incident = r->command.incident;
    in.u.command.who = r->command.who;
    in.u.command.why = r->command.why;
    in.u.command.for_ms = r->command.for_ms;
    if (engine_step(p->engine, &in, &p->out, err) < 0) return -1;
    if (p->out.command_result == 0) return 0;
    r->status = PIPELINE_NOT_FOUND;
    err_set(&r->err, ERR_NOT_FOUND, "there is no open incident with this id");
    return 0;
}

static int step_rejected(struct pipeline *p, struct pipeline_request *r, struct err *err)
{
    struct str body = str_sub(r->rejected.body, 0, 65536), source = r->source ? r->source->name : STR("");
    *vec_push(&p->batch.rejected) = (struct store_rejected){ id_next(&p->event_ids, p->now_ms), p->now_ms, source, r->rejected.reason, body };
    pthread_mutex_lock(&p->lock);
    p->stats.rejected++;
    pthread_mutex_unlock(&p->lock);
    return step_fault(p, str_printf(&p->batch_arena, "rejected/" STR_FMT, STR_ARG(source)),
                      str_printf(&p->batch_arena, "Source " STR_FMT " sent a body that could not be read", STR_ARG(source)),
                      r->rejected.reason, err);
}

static int step_reload(struct pipeline *p, struct pipeline_request *r, struct err *err)
{
    reports_note_sources(p, r->config);
    return engine_reload(p->engine, r->config->rules, p->now_ms, &p->out, err);
}

static int step_item(struct pipeline *p, struct queue_item *i, struct err *err)
{
    struct pipeline_request *r = (struct pipeline_request *)(void *)i;
    if ((int)r->kind == PIPELINE_VERDICT) return step_verdict(p, &((struct verdict_item *)(void *)i)->result, err);
    if ((int)r->kind == PIPELINE_HEALTH) return step_health(p, &((struct health_item *)(void *)i)->health, err);
    r->status = PIPELINE_DONE;
    switch (r->kind) {
    case PIPELINE_REPORTS: return reports_apply(p, r, err);
    case PIPELINE_REJECTED: return step_rejected(p, r, err);
    case PIPELINE_COMMAND: return step_command(p, r, err);
    case PIPELINE_REDELIVER:
        if (outbox_redeliver(p, r) < 0) r->status = r->err.code == ERR_NOT_FOUND ? PIPELINE_NOT_FOUND : PIPELINE_FAILED;
        return 0;
    case PIPELINE_SEND:
        if (outbox_drill(p, r) < 0) r->status = PIPELINE_NOT_FOUND;
        return 0;
    case PIPELINE_RELOAD: return step_reload(p, r, err);
    case PIPELINE_FAULT: return step_fault(p, r->fault.topic, r->fault.title, r->fault.body, err);
    }
    return 0;
}

/* --- the transaction ------------------------------------------------------------------------------------------------ */
static void begin(struct pipeline *p)
{
    int64_t now = clock_wall(p->clock).ms, drift = now - clock_mono(p->clock).ms - p->wall_minus_mono_ms;
    if (drift > 2000 || drift < -2000) {
        log_warn("clock.jumped", LOG_I("ms", drift));
        p->wall_minus_mono_ms += drift;
    }
    if (now > p->now_ms) p->now_ms = now;
    arena_reset(&p->batch_arena);
    store_batch_clear(&p->batch);
    engine_output_fini(&p->out);
    engine_output_init(&p->out, &p->batch_arena);
    map_fini(&p->batch_runs);
    vec_clear(&p->batch_run_list);
    p->batch.now_ms = p->now_ms;
}

static int evaluate(struct pipeline *p, struct queue_item *items, struct err *err)
{
    struct engine_input tick = { .kind = ENGINE_TICK, .now_ms = p->now_ms };
    if (p->engine_stale) {
        if (engine_build(p, err) < 0 || engine_restored(p->engine, p->now_ms, &p->out, err) < 0) return -1;
        reports_note_sources(p, p->config);
        p->engine_stale = false;
    }
    if (reports_fetch(p, items, err) < 0) return -1;
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

static int transact(struct pipeline *p, struct queue_item *items, struct err *err)
{
    struct timespec from, to;
    int rc = 0;
    uint64_t us;
    if (evaluate(p, items, err) < 0) return -1;
    gather(p);
    failpoint("pipeline.before_commit");
    clock_gettime(CLOCK_MONOTONIC, &from);
    if (has_rows(&p->batch)) rc = p->store->ops->commit(p->store, &p->batch, err);
    clock_gettime(CLOCK_MONOTONIC, &to);
    if (rc < 0) return -1;
    failpoint("pipeline.after_commit");
    us = (uint64_t)((to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000);
    pthread_mutex_lock(&p->lock);
    p->stats.commits += has_rows(&p->batch);
    p->stats.commit_us_total += us;
    if (us > p->stats.commit_us_max) p->stats.commit_us_max = us;
    if (p->batch.events.n > p->stats.batch_max) p->stats.batch_max = p->batch.events.n;
    p->stats.hits += p->out.hits;
    p->stats.messages += p->out.messages.n;
    p->stats.engine = engine_stats(p->engine);
    pthread_mutex_unlock(&p->lock);
    return 0;
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
    p->next_delivery_ms = p->now_ms; /* destinations may have come or gone */
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
        if (is_ours(i)) {
            i->next = ours;
            ours = i;
            continue;
        }
        if (kind_of(i) == PIPELINE_RELOAD) swap_config(p, (struct pipeline_request *)(void *)i);
        answer((struct pipeline_request *)(void *)i);
    }
    outbox_push_new(p);
    for (; ours; ours = next) {
        next = ours->next;
        if ((int)kind_of(ours) == PIPELINE_VERDICT) {
            const struct deliver_result *r = &((struct verdict_item *)(void *)ours)->result;
            outbox_release(p, r);
            outbox_push_lane(p, r->destination, r->lane);
        }
        free_ours(ours);
    }
    outbox_top_up(p, false);
    engine_trim(p->engine, DETAIL_KEEP_BYTES);
}

/* Nothing of the batch is in the store. Callers are told; what deliver said is kept for the next try. */
static void fail(struct pipeline *p, struct queue_item *items, const struct err *why, bool stopping)
{
    struct queue_item *next, **last = &p->kept;
    static struct log_once once;
    log_write_limited(&once, 5000, LOG_ERROR, "commit.failed", LOG_FIELDS(LOG_E(why)));
    p->engine_stale = true;
    p->heal_at_ms = clock_mono(p->clock).ms + HEAL_EVERY_MS;
    pthread_mutex_lock(&p->lock);
    p->stats.commit_failures++;
    p->ready = false;
    p->why_not_ready = *why;
    pthread_mutex_unlock(&p->lock);
    p->sick = true;
    p->sick_err = *why;
    for (struct queue_item *i = items; i; i = next) {
        struct pipeline_request *r = (struct pipeline_request *)(void *)i;
        next = i->next;
        if (is_ours(i)) {
            if (stopping) {
                free_ours(i); /* sent again after the start, with the same key */
                continue;
            }
            i->next = NULL;
            *last = i;
            last = &i->next;
            continue;
        }
        r->status = PIPELINE_FAILED;
        r->err = *why;
        answer(r);
    }
    if (why->code != ERR_UNCERTAIN) return;
    p->broken = true;
    if (!p->broken_fn) abort();
    p->broken_fn(p->broken_ctx, why);
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
    struct err err = { .code = ERR_OK };
    items = with_kept(p, items);
    begin(p);
    if (p->broken || (p->sick && clock_mono(p->clock).ms < p->heal_at_ms)) {
        err = p->sick_err;
        err.code = ERR_IO; /* it was reported already */
        fail(p, items, &err, stopping);
        return;
    }
    if (transact(p, items, &err) < 0) {
        fail(p, items, &err, stopping);
        return;
    }
    if (p->sick) log_info("store.healed");
    p->sick = false;
    pthread_mutex_lock(&p->lock);
    p->ready = true;
    pthread_mutex_unlock(&p->lock);
    settle(p, items);
}
