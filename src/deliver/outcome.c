/* outcome: what a verdict means for the job, for its destination and for whoever waits. */
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/id.h"
#include "deliver/deliver_internal.h"

static const struct backoff backoff = { .base_ms = 1000, .cap_ms = 300000 };

static bool has_captures(const struct deliver_job *j)
{
    return j->captures.n > 0 && !str_eq_c(str_trim(j->captures), "{}");
}

static int64_t delay_of(const struct deliver_job *j, const struct verdict *v, const uint64_t jitter[2])
{
    int64_t delay = backoff_delay(&backoff, j->attempts + 1, jitter[0]), asked = v->wait_ms;
    if (v->class == VERDICT_RATE_LIMITED && asked == 0) asked = backoff.base_ms;
    if (asked > 0) asked += (int64_t)(jitter[1] % 1000); /* others were told the same moment */
    return delay > asked ? delay : asked;
}

struct outcome outcome_of(const struct deliver_job *j, const struct verdict *v, int64_t now_ms,
                          int64_t not_before_ms, const uint64_t jitter[2])
{
    struct outcome o = { .what = DELIVER_RETRY, .plain = j->plain };
    switch (v->class) {
    case VERDICT_OK:
    case VERDICT_OK_DUPLICATE:
        o.what = DELIVER_DELIVERED;
        return o;
    case VERDICT_BAD_PAYLOAD:
        if (j->plain) return o.what = DELIVER_DEAD, o;
        o.plain = true;
        break;
    case VERDICT_GONE_TARGET: /* again and again would be a loop: only what had captures can lose them */
        if (!has_captures(j)) o.delay_ms = delay_of(j, v, jitter);
        break;
    case VERDICT_RETRY:
    case VERDICT_RATE_LIMITED:
    case VERDICT_UNCERTAIN:
    case VERDICT_BAD_CONFIG:
    case VERDICT_CLASSES:
        o.delay_ms = delay_of(j, v, jitter);
        break;
    }
    if (o.delay_ms < not_before_ms) o.delay_ms = not_before_ms;
    o.too_old = j->expires_ms > 0 && now_ms + o.delay_ms > j->expires_ms;
    if (o.too_old) o.what = DELIVER_DEAD;
    return o;
}

/* A message to a channel of its own, perhaps out of a run's metadata, speaks for that channel: one that does not
 * exist must not hold up the others. A revoked token shows all the same, by failures in a row. */
enum breaker_outcome outcome_for_breaker(const struct deliver_job *j, enum verdict_class c)
{
    bool own_params = j->params.n > 0 && !str_eq_c(j->params, "{}");
    if (c == VERDICT_BAD_CONFIG) return own_params ? BREAKER_FAILED : BREAKER_BROKEN;
    return c == VERDICT_RETRY || c == VERDICT_UNCERTAIN ? BREAKER_FAILED : BREAKER_OK;
}

/* --- telling ------------------------------------------------------------------------------------------- */
static void log_result(const struct deliver_job *j, const struct deliver_result *r)
{
    char delivery[ID_SIZE], incident[ID_SIZE];
    const struct log_field fields[] = {
        LOG_S("delivery", id_format("dlv", j->delivery, delivery)),
        LOG_S("incident", id_format("inc", j->incident, incident)),
        LOG_S("destination", j->destination), LOG_I("attempt", j->attempts + (r->attempted ? 1 : 0)),
        LOG_I("status", r->verdict.status), LOG_I("took_ms", r->took_ms),
        LOG_C("verdict", verdict_class_name(r->verdict.class)), LOG_I("due_ms", r->due_ms),
        LOG_S("err", r->verdict.detail), { LOG_KIND_END, NULL, STR_NONE, 0 }
    };
    struct log_field sent[7];
    if (r->outcome == DELIVER_DELIVERED) {
        memcpy(sent, fields, sizeof sent);
        sent[6] = fields[9];
        log_write(LOG_INFO, "delivery.sent", sent);
    } else if (r->outcome == DELIVER_DEAD) {
        log_write(LOG_ERROR, "delivery.dead", fields);
    } else if (r->attempted) {
        log_write(LOG_WARN, "delivery.retry", fields);
    } else {
        log_write(LOG_DEBUG, "delivery.postponed", fields);
    }
}

static void tell(struct deliver_core *core, const struct deliver_job *j, struct deliver_result *r)
{
    r->delivery = j->delivery;
    r->incident = j->incident;
    r->destination = j->destination;
    r->lane = j->lane;
    core->stats.delivered += r->outcome == DELIVER_DELIVERED;
    core->stats.dead += r->outcome == DELIVER_DEAD;
    core->stats.retried += r->outcome == DELIVER_RETRY && r->attempted;
    log_result(j, r);
    core->cb.done(core->cb.ctx, r);
}

void give_dead(struct deliver_core *core, struct job *job, struct str why)
{
    struct deliver_result r = { .outcome = DELIVER_DEAD, .plain = job->j.plain,
                                .at_ms = clock_wall(core->clock).ms,
                                .verdict = { .class = VERDICT_BAD_CONFIG, .detail = why } };
    tell(core, &job->j, &r);
    free(job);
}

void give_back(struct deliver_core *core, struct job *job, struct mono due, struct str why)
{
    int64_t now_ms = clock_wall(core->clock).ms, away = due.ms - clock_mono(core->clock).ms;
    struct deliver_result r = { .outcome = DELIVER_RETRY, .plain = job->j.plain, .at_ms = now_ms,
                                .due_ms = now_ms, .verdict = { .class = VERDICT_RETRY, .detail = why } };
    if (away > 0) r.due_ms += away;
    tell(core, &job->j, &r);
    free(job);
}

void give_back_waiting(struct deliver_core *core, struct place *p, struct mono from, struct str why)
{
    struct mono now = clock_mono(core->clock);
    struct job *job;
    while ((job = place_take(p))) {
        core->stats.waiting--;
        give_back(core, job, place_return(p, from, now, core->rng), why);
    }
}

void breaker_told(struct deliver_core *core, struct place *p, bool open, struct str reason)
{
    struct deliver_health h = { .destination = p->name, .open = open, .reason = reason };
    size_t n = reason.n < sizeof p->reason - 1 ? reason.n : sizeof p->reason - 1;
    if (open) {
        memcpy(p->reason, reason.p, n);
        p->reason[n] = '\0';
        log_warn("breaker.open", LOG_S("destination", p->name), LOG_S("err", reason),
                 LOG_I("cool_ms", p->breaker.cool_ms));
        core->stats.breakers_open++;
    } else {
        p->reason[0] = '\0';
        log_info("breaker.closed", LOG_S("destination", p->name), LOG_S("why", reason));
        core->stats.breakers_open--;
    }
    p->dirty = true;
    if (core->cb.health) core->cb.health(core->cb.ctx, &h);
}

/* --- an attempt is over -------------------------------------------------------------------------------- */
static void maybe_pause(struct place *p, const struct verdict *v, int64_t delay_ms, struct mono now)
{
    int64_t pause = v->wait_ms;
    if (v->class != VERDICT_RATE_LIMITED && v->status != 429 && v->status != 503) return;
    if (v->class == VERDICT_RATE_LIMITED && pause == 0) pause = delay_ms;
    if (now.ms + pause <= p->paused_until.ms || pause == 0) return;
    p->paused_until.ms = p->throttled_until.ms = now.ms + pause;
}

/* What the destination's state learns from a verdict. */
static enum breaker_change learn(struct exchange *x, const struct verdict *v, struct mono now)
{
    struct place *p = x->place;
    enum breaker_outcome o = outcome_for_breaker(&x->job->j, v->class);
    enum breaker_change change = breaker_record(&p->breaker, o, x->probe, now);
    if (o != BREAKER_OK || v->class == VERDICT_RATE_LIMITED) place_went_badly(p);
    else place_went_well(p);
    if (change != BREAKER_SAME) { /* what comes after an outage begins slowly */
        p->round = 0;
        if (p->limit > START_LIMIT) p->limit = START_LIMIT;
    }
    return change;
}

static void land(struct deliver_core *core, struct exchange *x)
{
    if (x->before) x->before->after = x->after;
    else core->flying = x->after;
    if (x->after) x->after->before = x->before;
    x->before = x->after = NULL;
    x->flying = false;
    x->place->in_flight--;
    x->place->dirty = true;
    core->stats.in_flight--;
}

static struct str too_old(struct exchange *x, struct str detail)
{
    if (detail.n == 0) return STR("maximum age reached");
    return str_printf(&x->arena, "maximum age reached; the last try: " STR_FMT, STR_ARG(detail));
}

void settle(struct deliver_core *core, struct exchange *x, const struct verdict *v, bool was_sent)
{
    struct place *p = x->place;
    struct mono now = clock_mono(core->clock);
    int64_t now_ms = clock_wall(core->clock).ms;
    bool current = was_sent && p->dest && x->generation == p->generation;
    bool was_closed = p->breaker.state == BREAKER_CLOSED;
    enum breaker_change change = BREAKER_SAME;
    uint64_t jitter[2] = { rng_u64(core->rng), rng_u64(core->rng) };
    struct deliver_result r = { .attempted = true, .verdict = *v, .at_ms = x->began.ms,
                                .took_ms = now.ms - x->began_mono.ms };
    struct outcome o;
    int64_t not_before = 0;
    if (was_sent) land(core, x);
    if (current) change = learn(x, v, now);
    if (current && p->breaker.state == BREAKER_OPEN && outcome_for_breaker(&x->job->j, v->class) != BREAKER_OK)
        not_before = place_return(p, p->breaker.until, now, core->rng).ms - now.ms;
    o = outcome_of(&x->job->j, v, now_ms, not_before, jitter);
    if (current) maybe_pause(p, v, o.delay_ms, now);
    r.outcome = o.what;
    r.plain = o.plain;
    if (o.what == DELIVER_RETRY) r.due_ms = now_ms + o.delay_ms;
    if (o.too_old) r.verdict.detail = too_old(x, v->detail);
    tell(core, &x->job->j, &r);
    if (change == BREAKER_OPENED && was_closed) breaker_told(core, p, true, v->detail);
    if (change == BREAKER_CLOSED_AGAIN) breaker_told(core, p, false, STR("the probe went through"));
    if (change == BREAKER_OPENED) give_back_waiting(core, p, p->breaker.until, STR("the breaker is open"));
    exchange_end(core, x);
}
