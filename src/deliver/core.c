/* core: jobs in, attempts out, in turn for every destination. */
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "deliver/deliver_internal.h"

/* --- jobs ---------------------------------------------------------------------------------------------- */
static struct str copy_text(char **to, struct str s)
{
    struct str out = { *to, s.n };
    if (str_absent(s)) return STR_NONE;
    memcpy(*to, s.p, s.n);
    *to += s.n;
    *(*to)++ = '\0';
    return out;
}

struct job *job_new(const struct deliver_job *j)
{
    size_t texts = j->destination.n + j->lane.n + j->params.n + j->content.n + j->captures.n + 5;
    struct job *job = xmalloc(sizeof *job + texts);
    char *to = (char *)(job + 1);
    job->next = NULL;
    job->j = *j;
    job->j.destination = copy_text(&to, j->destination);
    job->j.lane = copy_text(&to, j->lane);
    job->j.params = copy_text(&to, j->params);
    job->j.content = copy_text(&to, j->content);
    job->j.captures = copy_text(&to, j->captures);
    return job;
}

/* --- exchanges ----------------------------------------------------------------------------------------- */
static struct exchange *exchange_begin(struct deliver_core *core, struct place *p, struct job *job)
{
    struct exchange *x = p->idle;
    if (x) p->idle = x->next;
    else x = xcalloc(1, sizeof *x);
    x->next = NULL;
    x->place = p;
    x->generation = p->generation;
    x->probe = false;
    x->job = job;
    x->config = config_ref(core->config);
    x->dest = p->dest;
    x->captures = (struct json){ 0 };
    x->began = clock_wall(core->clock);
    x->began_mono = clock_mono(core->clock);
    return x;
}

static void exchange_free(struct deliver_core *core, struct exchange *x)
{
    if (core->transport.forget) core->transport.forget(core->transport.ctx, x);
    arena_fini(&x->arena);
    free(x);
}

static void drop_idle(struct deliver_core *core, struct place *p)
{
    while (p->idle) {
        struct exchange *x = p->idle;
        p->idle = x->next;
        exchange_free(core, x);
    }
}

/* A destination that is gone from the configuration is forgotten with its last exchange. */
static void forget_place(struct deliver_core *core, struct place *p)
{
    for (size_t i = 0; i < core->list.n; i++)
        if (core->list.v[i] == p) core->list.v[i] = core->list.v[--core->list.n];
    map_remove(&core->places, p->name);
    drop_idle(core, p);
    place_free(&p);
}

void exchange_end(struct deliver_core *core, struct exchange *x)
{
    struct place *p = x->place;
    free(x->job);
    x->job = NULL;
    config_unref(&x->config);
    if (p->dest && x->generation == p->generation) {
        arena_reset(&x->arena);
        x->next = p->idle;
        p->idle = x;
        return;
    }
    exchange_free(core, x);
    if (!p->dest && p->in_flight == 0) forget_place(core, p);
}

/* --- one attempt --------------------------------------------------------------------------------------- */
static int parse(struct exchange *x, struct str text, struct json *out, struct err *err)
{
    *out = (struct json){ 0 };
    return text.n == 0 ? 0 : json_parse(&x->arena, text, &json_own_limits, out, NULL, err);
}

static int build(struct exchange *x, struct err *err)
{
    const struct deliver_job *j = &x->job->j;
    struct notify_attempt at = { j->delivery, j->message, x->began.ms, j->plain };
    struct json message, params;
    if (parse(x, j->content, &message, err) < 0 || parse(x, j->params, &params, err) < 0 ||
        parse(x, j->captures, &x->captures, err) < 0)
        return -1;
    return notify_build(x->dest, message, params, x->captures, &at, &x->arena, &x->request, err);
}

/* The text in one piece. A standard output that nobody reads holds up the thread: it is meant for people. */
static void print(struct deliver_core *core, struct exchange *x)
{
    struct str text = str_absent(x->request.body) ? STR("") : x->request.body;
    struct notify_response res = { .sent = true };
    bool ok;
    flockfile(core->console);
    ok = fwrite(text.p, 1, text.n, core->console) == text.n;
    if (text.n && text.p[text.n - 1] != '\n') ok &= fputc('\n', core->console) != EOF;
    ok &= fflush(core->console) == 0;
    clearerr(core->console);
    funlockfile(core->console);
    if (!ok) res.transport_error = STR("cannot write to the standard output");
    core_answered(core, x, &res);
}

static void take_off(struct deliver_core *core, struct exchange *x)
{
    struct place *p = x->place;
    bucket_take(&p->bucket, x->began_mono);
    x->probe = p->breaker.state == BREAKER_OPEN;
    if (x->probe) breaker_probe(&p->breaker);
    x->flying = true;
    x->after = core->flying;
    if (x->after) x->after->before = x;
    core->flying = x;
    p->in_flight++;
    p->dirty = true;
    core->stats.in_flight++;
    core->stats.sent++;
    failpoint("deliver.before_send");
    if (x->dest->transport == NOTIFY_CONSOLE) print(core, x);
    else core->transport.send(core->transport.ctx, x);
}

static void start(struct deliver_core *core, struct place *p, struct job *job)
{
    struct exchange *x = exchange_begin(core, p, job);
    struct err err = { 0 };
    struct verdict v = { .class = VERDICT_OK };
    if (build(x, &err) < 0) {
        v.class = VERDICT_BAD_PAYLOAD;
        v.detail = notify_mask(x->dest, &x->arena, str_c(err.msg));
        settle(core, x, &v, false);
    } else if (x->request.skip) {
        v.detail = STR("nothing to say for this kind of message");
        settle(core, x, &v, false);
    } else if (x->dest->transport == NOTIFY_SMTP) {
        v.class = VERDICT_BAD_CONFIG;
        v.detail = STR("this runbell cannot send mail");
        settle(core, x, &v, false);
    } else {
        take_off(core, x);
    }
}

/* --- stepping ------------------------------------------------------------------------------------------ */
/* Starts one job of p. False when none may start; *next is moved to when one may. */
static bool place_step(struct deliver_core *core, struct place *p, struct mono now, struct mono *next)
{
    const struct str throttled = STR("the destination is throttled");
    const struct str breaker_open = STR("the breaker is open");
    struct mono until;
    struct job *job;
    enum gate gate;
    if (!p->waiting) return false;
    gate = place_gate(p, now, &until);
    if (gate == GATE_WAIT && until.ms < next->ms) *next = until;
    if (gate == GATE_POSTPONE)
        give_back_waiting(core, p, until, p->breaker.state == BREAKER_CLOSED ? throttled : breaker_open);
    if (gate != GATE_GO) return false;
    job = place_take(p);
    core->stats.waiting--;
    if (job->j.expires_ms > 0 && job->j.expires_ms < clock_wall(core->clock).ms)
        give_dead(core, job, STR("maximum age reached"));
    else
        start(core, p, job);
    return true;
}

struct mono core_step(struct deliver_core *core)
{
    struct mono now = clock_mono(core->clock), next = { INT64_MAX };
    size_t n = core->list.n, budget = STARTS_PER_STEP;
    vec_clear(&core->busy);
    for (size_t i = 0; i < n; i++) {
        struct place *p = core->list.v[(core->turn + i) % n];
        if (p->waiting) *vec_push(&core->busy) = p;
    }
    core->turn++;
    while (core->busy.n) { /* one each, round after round */
        size_t kept = 0;
        for (size_t i = 0; i < core->busy.n; i++) {
            struct place *p = core->busy.v[i];
            if (!place_step(core, p, now, &next)) continue;
            core->busy.v[kept++] = p;
            if (--budget == 0) return now;
        }
        core->busy.n = kept;
    }
    return next;
}

void core_answered(struct deliver_core *core, struct exchange *x, const struct notify_response *res)
{
    struct verdict v;
    notify_judge(x->dest, &x->request, x->captures, res, clock_wall(core->clock).ms, &x->arena, &v);
    failpoint("deliver.answered");
    settle(core, x, &v, true);
}

void core_push(struct deliver_core *core, struct job *job)
{
    struct place *p = map_get(&core->places, job->j.destination);
    if (!p || !p->dest) {
        give_dead(core, job, STR("destination removed"));
        return;
    }
    place_put(p, job);
    core->stats.waiting++;
}

/* --- configurations ------------------------------------------------------------------------------------ */
static void add_or_update(struct deliver_core *core, const struct notify_destination *d, struct mono now)
{
    struct place *p = map_get(&core->places, d->name);
    bool was_open;
    if (!p) {
        p = place_new(d, now);
        map_put(&core->places, p->name, p);
        *vec_push(&core->list) = p;
        return;
    }
    was_open = p->breaker.state != BREAKER_CLOSED;
    if (!place_reload(p, d, now)) return;
    drop_idle(core, p);
    if (was_open) breaker_told(core, p, false, STR("the destination was changed"));
}

static void remove_place(struct deliver_core *core, struct place *p)
{
    struct job *job;
    p->dest = NULL;
    while ((job = place_take(p))) {
        core->stats.waiting--;
        give_dead(core, job, STR("destination removed"));
    }
    if (p->breaker.state != BREAKER_CLOSED) breaker_told(core, p, false, STR("the destination was removed"));
    breaker_init(&p->breaker);
    if (p->in_flight == 0) forget_place(core, p);
}

void core_reload(struct deliver_core *core, struct config *c)
{
    struct config *old = core->config;
    struct mono now = clock_mono(core->clock);
    core->config = config_ref(c);
    for (size_t i = core->list.n; i-- > 0;) {
        struct place *p = core->list.v[i];
        if (p->dest && !config_destination(c, p->name)) remove_place(core, p);
    }
    for (size_t i = 0; i < c->destination_count; i++) add_or_update(core, &c->destinations[i], now);
    config_unref(&old);
}

/* --- beginning and end --------------------------------------------------------------------------------- */
void core_init(struct deliver_core *core, struct config *c, struct clock *clock, struct rng *rng,
               const struct deliver_callbacks *cb, const struct deliver_transport *transport)
{
    struct mono now = clock_mono(clock);
    *core = (struct deliver_core){ .config = config_ref(c), .clock = clock, .rng = rng, .cb = *cb,
                                   .transport = *transport, .console = stdout };
    for (size_t i = 0; i < c->destination_count; i++) add_or_update(core, &c->destinations[i], now);
}

void core_give_back(struct deliver_core *core)
{
    struct mono now = clock_mono(core->clock);
    for (size_t i = 0; i < core->list.n; i++) {
        struct place *p = core->list.v[i];
        struct job *job;
        while ((job = place_take(p))) {
            core->stats.waiting--;
            give_back(core, job, now, STR("runbell is stopping"));
        }
    }
}

void core_abort(struct deliver_core *core)
{
    while (core->flying) {
        struct exchange *x = core->flying;
        struct place *p = x->place;
        core->flying = x->after;
        if (x->after) x->after->before = NULL;
        p->in_flight--;
        core->stats.in_flight--;
        give_back(core, x->job, clock_mono(core->clock), STR("runbell stopped before the answer came"));
        config_unref(&x->config);
        exchange_free(core, x);
        if (!p->dest && p->in_flight == 0) forget_place(core, p);
    }
}

void core_fini(struct deliver_core *core)
{
    while (core->list.n) forget_place(core, core->list.v[0]);
    vec_free(&core->list);
    vec_free(&core->busy);
    map_fini(&core->places);
    config_unref(&core->config);
}
