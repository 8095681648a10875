/* place: what is known of one destination: who waits, what is in flight, and whether the next may go. */
#include <stdlib.h>
#include <string.h>

#include "deliver/deliver_internal.h"

static struct str heap_dup(struct str s)
{
    char *p = xmalloc(s.n + 1);
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return (struct str){ p, s.n };
}

static size_t limit_most(const struct place *p)
{
    return p->dest && p->dest->in_flight_max ? p->dest->in_flight_max : 8;
}

static void begin_anew(struct place *p, struct mono now)
{
    p->limit = limit_most(p) < START_LIMIT ? limit_most(p) : START_LIMIT;
    p->round = 0;
    bucket_init(&p->bucket, p->dest->rate_n, p->dest->rate_per_ms, now);
    breaker_init(&p->breaker);
    p->paused_until = p->slot = p->promised = p->throttled_until = (struct mono){ INT64_MIN };
    p->reason[0] = '\0';
    p->dirty = true;
}

struct place *place_new(const struct notify_destination *d, struct mono now)
{
    struct place *p = xcalloc(1, sizeof *p);
    p->name = heap_dup(d->name);
    p->type = heap_dup(d->type);
    p->dest = d;
    begin_anew(p, now);
    return p;
}

void place_free(struct place **place)
{
    struct place *p = *place;
    *place = NULL;
    if (!p) return;
    free((char *)p->name.p);
    free((char *)p->type.p);
    free(p);
}

/* --- is it still the same? ----------------------------------------------------------------------------- */
static bool same_params(const struct notify_destination *a, const struct notify_destination *b)
{
    if (a->param_count != b->param_count) return false;
    for (size_t i = 0; i < a->param_count; i++)
        if (!str_eq(a->params[i].name, b->params[i].name) ||
            !str_eq(secret_reveal(&a->params[i].value), secret_reveal(&b->params[i].value)))
            return false;
    return true;
}

static bool same(const struct notify_destination *a, const struct notify_destination *b)
{
    return str_eq(notify_provider_name(a->provider), notify_provider_name(b->provider)) &&
           same_params(a, b) && str_eq(a->base_url, b->base_url) && str_eq(a->tls_ca, b->tls_ca) &&
           str_eq(a->proxy, b->proxy) && a->timeout_ms == b->timeout_ms && a->rate_n == b->rate_n &&
           a->rate_per_ms == b->rate_per_ms && a->tls_insecure == b->tls_insecure && a->in_flight_max == b->in_flight_max;
}

bool place_reload(struct place *p, const struct notify_destination *d, struct mono now)
{
    bool changed = !p->dest || !same(p->dest, d);
    p->dest = d;
    if (!changed) return false;
    free((char *)p->type.p);
    p->type = heap_dup(d->type);
    p->generation++;
    begin_anew(p, now);
    return true;
}

/* --- the queue ----------------------------------------------------------------------------------------- */
void place_put(struct place *p, struct job *job)
{
    job->next = NULL;
    if (p->last) p->last->next = job;
    else p->first = job;
    p->last = job;
    p->waiting++;
    p->dirty = true;
}

struct job *place_take(struct place *p)
{
    struct job *job = p->first;
    if (!job) return NULL;
    p->first = job->next;
    if (!p->first) p->last = NULL;
    p->waiting--;
    p->dirty = true;
    return job;
}

/* --- may the next one go? ------------------------------------------------------------------------------ */
static enum gate wait_or_postpone(struct place *p, struct mono now, struct mono until)
{
    p->throttled_until = until;
    p->dirty = true;
    return until.ms - now.ms < SHORT_WAIT_MS ? GATE_WAIT : GATE_POSTPONE;
}

enum gate place_gate(struct place *p, struct mono now, struct mono *until)
{
    int64_t wait;
    *until = (struct mono){ INT64_MAX };
    if (p->breaker.state == BREAKER_PROBING) return GATE_WAIT;
    if (!breaker_allows(&p->breaker, now)) {
        *until = p->breaker.until;
        return wait_or_postpone(p, now, *until);
    }
    if (p->paused_until.ms > now.ms) {
        *until = p->paused_until;
        return wait_or_postpone(p, now, *until);
    }
    if (p->breaker.state == BREAKER_CLOSED && p->in_flight >= p->limit) return GATE_WAIT;
    wait = bucket_wait(&p->bucket, now);
    if (wait == 0) return GATE_GO;
    until->ms = now.ms + wait;
    return wait_or_postpone(p, now, *until);
}

/* With a rate each gets the moment of a token of its own; without one the first comes at `from` (the probe),
 * the others spread behind it. */
struct mono place_return(struct place *p, struct mono from, struct mono now, struct rng *rng)
{
    int64_t interval = bucket_interval(&p->bucket), away = from.ms - now.ms;
    int64_t spread = away / 2 < 1000 ? 1000 : away / 2 < SPREAD_MOST_MS ? away / 2 : SPREAD_MOST_MS;
    int64_t jitter = (int64_t)rng_below(rng, (uint64_t)spread);
    if (away > RECHECK_MS) from.ms = now.ms + RECHECK_MS;
    if (interval > 0) {
        int64_t most = from.ms + SLOTS_AHEAD_MS;
        if (p->slot.ms < from.ms) p->slot = from;
        from.ms = p->slot.ms < most ? p->slot.ms : most + jitter;
        if (p->slot.ms < most) p->slot.ms += interval;
        return from;
    }
    if (p->promised.ms != from.ms) return p->promised = from;
    from.ms += jitter;
    return from;
}

/* --- slow start ---------------------------------------------------------------------------------------- */
void place_went_well(struct place *p)
{
    if (++p->round < p->limit) return;
    p->round = 0;
    if (p->limit < limit_most(p)) p->limit++;
}

void place_went_badly(struct place *p)
{
    p->limit = p->limit > 1 ? p->limit / 2 : 1;
    p->round = 0;
}
