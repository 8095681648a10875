/* A poller's thread: looks, waits, settles which method works, says how it is. */
#include <string.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "source/poll_internal.h"

enum {
    BACKOFF_MS = 1000, BACKOFF_MOST_MS = 60000, BACKOFF_LOOKS = 4, FAULT_AFTER_MS = 60000, /* failing that long: the operator hears */
    SLOW_LEAST_MS = 60000, SLOW_LOOKS = 3, LATE_LEAST_MS = 1000
};

int64_t poll_mono(const struct poll *p)
{
    return clock_mono(p->all->clock).ms;
}

int64_t poll_wall(const struct poll *p)
{
    return clock_wall(p->all->clock).ms;
}

/* --- what people are told ------------------------------------------------------------------------------ */
static void fault(struct poll *p, const char *what, struct str title, const char *body)
{
    const struct poller_sink *sink = &p->all->sink;
    sink->fault(sink->ctx, str_printf(&p->arena, "source/" STR_FMT "/%s", STR_ARG(p->name), what), title, str_c(body));
}

void poll_say_blind(struct poll *p, struct str text)
{
    pthread_mutex_lock(&p->lock);
    snprintf(p->status.blind, sizeof p->status.blind, STR_FMT, STR_ARG(text));
    pthread_mutex_unlock(&p->lock);
    if (str_absent(text)) return;
    log_warn("source.blind", LOG_S("source", p->name), LOG_S("rules", text));
    fault(p, "blind", str_printf(&p->arena, "Source " STR_FMT " cannot see what some rules ask for", STR_ARG(p->name)), p->status.blind);
}

/* A request may be tried for minutes: what is wrong is shown meanwhile. */
void poll_say_again(void *ctx, const struct err *err)
{
    struct poll *p = ctx;
    pthread_mutex_lock(&p->lock);
    snprintf(p->status.again, sizeof p->status.again, "%.150s", err ? err->msg : "");
    p->status.usage = p->api.usage;
    pthread_mutex_unlock(&p->lock);
}

/* --- what rules ask for -------------------------------------------------------------------------------- */
uint32_t poll_tells(enum source_method m)
{
    uint32_t both = RUN_HAS_STATE | RUN_HAS_TASK | RUN_HAS_TAGS | RUN_HAS_VERSION | RUN_HAS_REGION | RUN_HAS_TEST | RUN_HAS_CREATED |
                    RUN_HAS_STARTED | RUN_HAS_FINISHED | RUN_HAS_DELAYED | RUN_HAS_COST;
    if (m == METHOD_LIST) return both | RUN_HAS_UPDATED | RUN_HAS_METADATA;
    return both | RUN_HAS_QUEUE | RUN_HAS_MACHINE | RUN_HAS_ROOT | RUN_HAS_PARENT | RUN_HAS_BATCH | RUN_HAS_ATTEMPT | RUN_HAS_ERROR;
}

void poll_take_rules(struct poll *p)
{
    struct config *next;
    pthread_mutex_lock(&p->lock);
    next = p->next_rules;
    p->next_rules = NULL;
    pthread_mutex_unlock(&p->lock);
    if (!next) return;
    rule_scratch_fini(&p->scratch);
    p->scratch = (struct rule_scratch){ 0 };
    if (p->rules) config_unref(&p->rules);
    p->rules = next;
    arena_reset(&p->demand_arena);
    ruleset_demand(p->rules->rules, &p->demand_arena, p->source->project.n ? p->source->project : STR("default"), p->source->env, &p->demand);
    details_prepare(p);
    blind_check(p);
    recall_fini(&p->recall); /* what was passed over may be asked for now */
    p->recall = (struct recall){ 0 };
    p->floor_ms = RUN_TIME_NONE;
}

/* --- the method ---------------------------------------------------------------------------------------- */
static void settle_on(struct poll *p, enum source_method m, const char *why)
{
    if (p->method == m) return;
    p->method = m;
    p->tells = poll_tells(m);
    details_prepare(p);
    recall_fini(&p->recall);
    p->recall = (struct recall){ 0 };
    log_info("source.method", LOG_S("source", p->name), LOG_C("method", source_method_name(m)), LOG_C("why", why));
    pthread_mutex_lock(&p->lock);
    p->status.method = m;
    snprintf(p->status.why_method, sizeof p->status.why_method, "%s", why);
    pthread_mutex_unlock(&p->lock);
    blind_check(p);
}

/* Is that an answer of a server that takes no queries of ours, and never will? */
static bool takes_no_queries(enum api_outcome outcome, const struct err *err)
{
    return outcome == API_NOT_FOUND || outcome == API_BAD_REQUEST || outcome == API_TOO_LARGE ||
           (outcome == API_DENIED && str_starts(str_c(err->msg), STR("HTTP 403")));
}

static void do_without_queries(struct poll *p, const struct err *err)
{
    char why[160];
    snprintf(why, sizeof why, "the server does not answer queries (%.100s)", err->msg);
    p->probe_ms = poll_mono(p) + PROBE_EVERY_MS;
    settle_on(p, METHOD_LIST, why);
}

/* Finds out what the server can do. Where it lists already that costs nothing of what is remembered. */
static enum api_outcome settle_by_itself(struct poll *p, struct err *err)
{
    enum api_outcome outcome;
    if (p->method == METHOD_QUERY || (p->method == METHOD_LIST && poll_mono(p) < p->probe_ms)) return API_OK;
    outcome = query_probe(p, err);
    if (outcome == API_OK) settle_on(p, METHOD_QUERY, "auto: the server answers queries");
    else if (takes_no_queries(outcome, err)) do_without_queries(p, err);
    else if (p->method == METHOD_AUTO || outcome == API_INTERRUPTED) return outcome;
    return API_OK;
}

enum api_outcome poll_settle(struct poll *p, struct err *err)
{
    enum source_method asked = p->source->api.method;
    if (!str_absent(p->source->api.project_ref)) settle_on(p, METHOD_LIST, "a personal token can only list");
    else if (asked == METHOD_AUTO) return settle_by_itself(p, err);
    else settle_on(p, asked, "configured");
    return API_OK;
}

static enum api_outcome look(struct poll *p, struct err *err)
{
    enum api_outcome outcome = poll_settle(p, err);
    if (outcome != API_OK) return outcome;
    if (p->method == METHOD_LIST) return list_look(p, err);
    outcome = query_look(p, err);
    if (p->source->api.method != METHOD_AUTO || !takes_no_queries(outcome, err)) return outcome;
    do_without_queries(p, err);
    return list_look(p, err);
}

/* --- how it is ----------------------------------------------------------------------------------------- */
void poll_say(struct poll *p)
{
    struct poll_status *s = &p->status;
    pthread_mutex_lock(&p->lock);
    s->usage = p->api.usage;
    s->limit = p->api.budget.limit;
    s->remaining = p->api.budget.remaining;
    s->per_minute = budget_per_minute(&p->api.budget);
    s->looks = p->looks;
    s->transitions = p->transitions;
    s->thin = p->thin;
    s->newest_ms = p->newest_ms;
    s->active = p->active;
    s->late = p->late.n + p->unasked;
    pthread_mutex_unlock(&p->lock);
}

const char *poll_remedy(enum api_outcome outcome)
{
    switch (outcome) {
    case API_DENIED: return " - is the key right, and for this environment?";
    case API_NOT_FOUND: return " - is `url` the address of a Trigger.dev server?";
    case API_TOO_LARGE: return " - set `page_size: 1`, or keep metadata small";
    case API_OK:
    case API_BAD_REQUEST:
    case API_FAILED:
    case API_INTERRUPTED:
    default: return "";
    }
}

static void failed(struct poll *p, enum api_outcome outcome, const struct err *err)
{
    static struct log_once once;
    char text[240];
    int64_t now = poll_wall(p);
    snprintf(text, sizeof text, "%.150s%s", err->msg, poll_remedy(outcome));
    if (p->failing_since_ms == 0) {
        p->failing_since_ms = now;
        p->failing_mono_ms = poll_mono(p);
    }
    log_write_limited(&once, 10000, LOG_WARN, "source.failed", LOG_FIELDS(LOG_S("source", p->name), LOG_C("err", text)));
    pthread_mutex_lock(&p->lock);
    p->status.ok = false;
    p->status.tried = true;
    p->status.failing_since_ms = p->failing_since_ms;
    memcpy(p->status.trouble, text, sizeof text);
    pthread_mutex_unlock(&p->lock);
    if (p->faulted || (outcome != API_DENIED && poll_mono(p) - p->failing_mono_ms < FAULT_AFTER_MS)) return;
    p->faulted = true;
    fault(p, "down", str_printf(&p->arena, "Source " STR_FMT " cannot read runs: what fails there is not noticed", STR_ARG(p->name)), text);
}

static void say_slow(struct poll *p, const char *text)
{
    char whole[400];
    snprintf(whole, sizeof whole, "%s (%.0f requests a minute allowed). Raise `budget`, name tasks in the rules, or use a server that answers queries.", text,
             budget_per_minute(&p->api.budget));
    log_warn("source.slow", LOG_S("source", p->name), LOG_C("why", text));
    fault(p, "slow", str_printf(&p->arena, "Source " STR_FMT " cannot keep up: transitions are seen late", STR_ARG(p->name)), whole);
}

/* A look that takes longer than its interval is late for the next, and details that are put off again and again come late. */
static void judge_pace(struct poll *p, int64_t took_ms)
{
    int64_t most = p->source->api.every_ms * SLOW_LOOKS > SLOW_LEAST_MS ? p->source->api.every_ms * SLOW_LOOKS : SLOW_LEAST_MS, now = poll_mono(p);
    size_t waiting = p->late.n + p->unasked;
    char text[200], took[TIMEFMT_SIZE];
    if (waiting == 0) p->behind_ms = 0;
    else if (p->behind_ms == 0) p->behind_ms = now;
    if (took_ms >= most) {
        snprintf(text, sizeof text, "One look at %zu active runs took %s", p->active, duration_human(took_ms, took).p);
        say_slow(p, text);
    } else if (p->behind_ms && now - p->behind_ms >= most) {
        snprintf(text, sizeof text, "%zu runs have been waiting for their details for %s", waiting, duration_human(now - p->behind_ms, took).p);
        say_slow(p, text);
    }
}

static void succeeded(struct poll *p, int64_t took_ms)
{
    int64_t now = poll_wall(p);
    if (p->failing_since_ms) log_info("source.recovered", LOG_S("source", p->name), LOG_I("after_ms", now - p->failing_since_ms));
    p->failing_since_ms = 0;
    p->faulted = false;
    p->looks++;
    pthread_mutex_lock(&p->lock);
    p->status.ok = p->status.tried = true;
    p->status.failing_since_ms = 0;
    p->status.last_ok_ms = now;
    p->status.look_ms = took_ms;
    p->status.lag_ms = took_ms + p->source->api.every_ms;
    pthread_mutex_unlock(&p->lock);
    judge_pace(p, took_ms);
}

/* --- the thread ---------------------------------------------------------------------------------------- */
void poll_reset(struct poll *p)
{
    vec_clear(&p->found);
    vec_clear(&p->needy);
    p->found_bytes = 0;
    arena_reset(&p->arena);
    arena_reset(&p->details_arena);
}

/* What the look that failed has taken for seen was not handed over. */
static void undo(struct poll *p)
{
    if (p->found.n + p->needy.n == 0) return;
    recall_fini(&p->recall);
    p->recall = (struct recall){ 0 };
}

/* What is left of the interval, and where looks take all of it still a part: what was put off must come. */
static int64_t late_ms(const struct poll *p, int64_t took_ms)
{
    int64_t left = p->source->api.every_ms - took_ms;
    return left > LATE_LEAST_MS ? left : LATE_LEAST_MS;
}

static int64_t one_look(struct poll *p, int64_t *backoff_ms)
{
    struct err err = { 0 };
    int64_t began = poll_mono(p), took, most = p->source->api.every_ms * BACKOFF_LOOKS;
    enum api_outcome outcome;
    poll_reset(p);
    poll_take_rules(p);
    p->round++;
    outcome = history_load(p, &err) == 0 && (p->position.known || position_load(p, &err) >= 0) ? look(p, &err) : API_FAILED;
    took = poll_mono(p) - began;
    if (outcome == API_OK) {
        succeeded(p, took);
        *backoff_ms = BACKOFF_MS;
        if (details_late(p, poll_mono(p) + late_ms(p, took), &err) < 0) undo(p);
    } else if (outcome != API_INTERRUPTED) {
        undo(p);
        failed(p, outcome, &err);
        if (most < BACKOFF_MS) most = BACKOFF_MS;
        if (most > BACKOFF_MOST_MS) most = BACKOFF_MOST_MS;
        *backoff_ms = *backoff_ms * 2 > most ? most : *backoff_ms * 2;
    }
    poll_say(p);
    if (outcome != API_OK) return *backoff_ms / 2 + (int64_t)rng_below(&p->api.rng, (uint64_t)*backoff_ms / 2);
    took = poll_mono(p) - began;
    return took < p->source->api.every_ms ? p->source->api.every_ms - took : 0;
}

void poll_learn_env(struct poll *p, struct str env)
{
    if (p->env[0] || env.n == 0) return; /* only this thread writes it */
    pthread_mutex_lock(&p->lock);
    snprintf(p->env, sizeof p->env, STR_FMT, STR_ARG(env));
    memcpy(p->status.env, p->env, sizeof p->status.env);
    pthread_mutex_unlock(&p->lock);
}

void poll_hint(struct poll *p, struct str id)
{
    pthread_mutex_lock(&p->lock);
    if (p->hints.n < LATE_MOST) *vec_push(&p->hints) = str_dup(&p->hints.texts, id);
    pthread_mutex_unlock(&p->lock);
}

/* What the feed has heard of, and whose rules want more than it tells. */
static void take_hints(struct poll *p)
{
    struct poll_hints hints;
    struct run thin, run;
    struct err err;
    pthread_mutex_lock(&p->lock);
    hints = p->hints;
    p->hints = (struct poll_hints){ 0 };
    pthread_mutex_unlock(&p->lock);
    if (hints.n) poll_reset(p);
    for (size_t k = 0; k < hints.n; k++) {
        run_init(&thin);
        thin.env = poll_env(p);
        if (api_room(&p->api) > 0 && thin.env.n && details_get(p, &p->arena, hints.v[k], &thin, &run, &err) == API_OK) poll_found(p, &run);
    }
    vec_free(&hints);
    arena_fini(&hints.texts);
    p->rereading = true;
    if (p->found.n && poll_hand_over(p, false, &err) < 0) poll_reset(p);
    p->rereading = false;
}

size_t names_bytes(const struct rule_names *names)
{
    size_t n = 0;
    for (size_t k = 0; k < names->n; k++) n += names->v[k].n + 4;
    return n;
}

struct str poll_env(const struct poll *p)
{
    if (p->source->env.n) return p->source->env;
    return p->env[0] ? str_c(p->env) : STR_NONE;
}

void poll_learn_start(struct poll *p)
{
    pthread_mutex_lock(&p->lock);
    p->start_ms = p->position.start_ms;
    pthread_mutex_unlock(&p->lock);
}

static bool has_rules(struct poll *p)
{
    bool has;
    pthread_mutex_lock(&p->lock);
    has = p->next_rules != NULL;
    pthread_mutex_unlock(&p->lock);
    return has;
}

static bool has_hints(struct poll *p)
{
    bool has;
    pthread_mutex_lock(&p->lock);
    has = p->hints.n > 0;
    pthread_mutex_unlock(&p->lock);
    return has;
}

/* Until the next look is due, or there are new rules. What came while nobody slept is not slept over. False: stopping. */
static bool rest(struct poll *p, int64_t ms)
{
    int64_t due = poll_mono(p) + ms, left;
    do {
        if (p->position.known) history_go_on(p, due);
        left = due - poll_mono(p);
        if (!has_hints(p) && !has_rules(p) && !fetch_sleep(p->api.fetch, left > 0 ? left : 0)) return false;
        take_hints(p);
    } while (poll_mono(p) < due && !has_rules(p));
    return true;
}

void *poll_run(void *ctx)
{
    struct poll *p = ctx;
    int64_t backoff_ms = BACKOFF_MS;
    while (rest(p, one_look(p, &backoff_ms))) {}
    return NULL;
}
