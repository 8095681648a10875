/* A poller's thread: looks, waits, settles which method works, says how it is. */
#include <string.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "source/poll_internal.h"

enum {
    BACKOFF_MS = 1000, BACKOFF_MOST_MS = 60000, BACKOFF_LOOKS = 4, FAULT_AFTER_MS = 60000, /* failing that long: the operator hears */
    SLOW_LEAST_MS = 60000, SLOW_LOOKS = 3
};

int64_t poll_mono(const struct poll *p)
{
    return clock_mono(p->all->clock).ms;
}

int64_t poll_wall(const struct poll *p)
{
    return clock_wall(p->all->clock).ms;
}

/* --- what rules ask for -------------------------------------------------------------------------------- */
static const struct config_source *source_in(const struct config *c, struct str name)
{
    for (size_t k = 0; k < c->source_count; k++)
        if (str_eq(c->sources[k].name, name)) return &c->sources[k];
    return NULL;
}

static uint32_t tells(enum source_method m)
{
    uint32_t both = RUN_HAS_STATE | RUN_HAS_TASK | RUN_HAS_TAGS | RUN_HAS_VERSION | RUN_HAS_REGION | RUN_HAS_TEST | RUN_HAS_CREATED |
                    RUN_HAS_STARTED | RUN_HAS_FINISHED | RUN_HAS_DELAYED | RUN_HAS_COST;
    if (m == METHOD_LIST) return both | RUN_HAS_UPDATED | RUN_HAS_METADATA;
    return both | RUN_HAS_QUEUE | RUN_HAS_MACHINE | RUN_HAS_ROOT | RUN_HAS_PARENT | RUN_HAS_BATCH | RUN_HAS_ATTEMPT | RUN_HAS_ERROR;
}

static void take_rules(struct poll *p)
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
    recall_fini(&p->recall); /* what was passed over may be asked for now */
    p->recall = (struct recall){ 0 };
}

/* --- the method ---------------------------------------------------------------------------------------- */
static void settle_on(struct poll *p, enum source_method m, const char *why)
{
    if (p->method == m) return;
    p->method = m;
    p->tells = tells(m);
    details_prepare(p);
    recall_fini(&p->recall);
    p->recall = (struct recall){ 0 };
    log_info("source.method", LOG_S("source", p->name), LOG_C("method", source_method_name(m)), LOG_C("why", why));
    pthread_mutex_lock(&p->lock);
    p->status.method = m;
    snprintf(p->status.why_method, sizeof p->status.why_method, "%s", why);
    pthread_mutex_unlock(&p->lock);
}

static enum api_outcome look(struct poll *p, struct err *err)
{
    enum source_method asked = p->source->api.method;
    enum api_outcome outcome;
    char why[160];
    if (asked == METHOD_LIST) settle_on(p, METHOD_LIST, "configured");
    else if (!str_absent(p->source->api.project_ref)) settle_on(p, METHOD_LIST, "a personal token can only list");
    else if (asked == METHOD_QUERY) settle_on(p, METHOD_QUERY, "configured");
    else if (p->method == METHOD_AUTO || (p->method == METHOD_LIST && poll_mono(p) >= p->probe_ms)) settle_on(p, METHOD_QUERY, "auto: queries first");
    if (p->method == METHOD_LIST) return list_look(p, err);
    outcome = query_look(p, err);
    if (asked != METHOD_AUTO || (outcome != API_NOT_FOUND && outcome != API_BAD_REQUEST && !(outcome == API_DENIED && str_find_str(str_c(err->msg), STR("HTTP 403")) == 0)))
        return outcome;
    snprintf(why, sizeof why, "the server does not answer queries (%.100s)", err->msg);
    p->probe_ms = poll_mono(p) + PROBE_EVERY_MS;
    settle_on(p, METHOD_LIST, why);
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
    s->late = p->late.n;
    pthread_mutex_unlock(&p->lock);
}

static void fault(struct poll *p, const char *what, struct str title, const char *body)
{
    const struct poller_sink *sink = &p->all->sink;
    sink->fault(sink->ctx, str_printf(&p->arena, "source/" STR_FMT "/%s", STR_ARG(p->name), what), title, str_c(body));
}

static const char *remedy(enum api_outcome outcome)
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
    snprintf(text, sizeof text, "%.150s%s", err->msg, remedy(outcome));
    if (p->failing_since_ms == 0) p->failing_since_ms = now;
    log_write_limited(&once, 10000, LOG_WARN, "source.failed", LOG_FIELDS(LOG_S("source", p->name), LOG_C("err", text)));
    pthread_mutex_lock(&p->lock);
    p->status.ok = false;
    p->status.tried = true;
    p->status.failing_since_ms = p->failing_since_ms;
    memcpy(p->status.trouble, text, sizeof text);
    pthread_mutex_unlock(&p->lock);
    if (p->faulted || (outcome != API_DENIED && now - p->failing_since_ms < FAULT_AFTER_MS)) return;
    p->faulted = true;
    fault(p, "down", str_printf(&p->arena, "Source " STR_FMT " cannot read runs: what fails there is not noticed", STR_ARG(p->name)), text);
}

/* A look that takes longer than its interval is late for the next. */
static void say_slow(struct poll *p, int64_t took_ms)
{
    int64_t most = p->source->api.every_ms * SLOW_LOOKS > SLOW_LEAST_MS ? p->source->api.every_ms * SLOW_LOOKS : SLOW_LEAST_MS;
    char text[300], took[TIMEFMT_SIZE];
    if (took_ms < most) return;
    snprintf(text, sizeof text,
             "One look took %s (%zu active runs, %.0f requests a minute allowed). Raise `budget`, name tasks in the rules, or use a server that answers queries.",
             duration_human(took_ms, took).p, p->active, budget_per_minute(&p->api.budget));
    log_warn("source.slow", LOG_S("source", p->name), LOG_I("took_ms", took_ms), LOG_I("active", (int64_t)p->active));
    fault(p, "slow", str_printf(&p->arena, "Source " STR_FMT " cannot keep up: transitions are seen late", STR_ARG(p->name)), text);
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
    say_slow(p, took_ms);
}

/* --- the thread ---------------------------------------------------------------------------------------- */
void poll_reset(struct poll *p)
{
    vec_clear(&p->found);
    vec_clear(&p->needy);
    p->found_bytes = 0;
    arena_reset(&p->arena);
}

/* What the look that failed has taken for seen was not handed over. */
static void undo(struct poll *p)
{
    if (p->found.n + p->needy.n == 0) return;
    recall_fini(&p->recall);
    p->recall = (struct recall){ 0 };
}

static int64_t one_look(struct poll *p, int64_t *backoff_ms)
{
    struct err err = { 0 };
    int64_t began = poll_mono(p), took, most = p->source->api.every_ms * BACKOFF_LOOKS;
    enum api_outcome outcome;
    take_rules(p);
    poll_reset(p);
    p->round++;
    outcome = history_load(p, &err) == 0 && (p->position.known || position_load(p, &err) >= 0) ? look(p, &err) : API_FAILED;
    took = poll_mono(p) - began;
    if (outcome == API_OK) {
        succeeded(p, took);
        *backoff_ms = BACKOFF_MS;
        if (details_late(p, began + p->source->api.every_ms, &err) < 0) undo(p);
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
    pthread_mutex_unlock(&p->lock);
}

void poll_hint(struct poll *p, struct str id)
{
    pthread_mutex_lock(&p->lock);
    if (p->hints.n < LATE_MOST) *vec_push(&p->hints) = (struct str){ strndup(id.p, id.n), id.n };
    pthread_mutex_unlock(&p->lock);
}

size_t pollers_reread(struct pollers *all, struct str env, struct str run)
{
    size_t asked = 0;
    pthread_mutex_lock(&all->lock);
    for (size_t i = 0; i < all->polls.n; i++) {
        struct poll *p = all->polls.v[i];
        bool other = env.n && p->source->env.n && !str_eq(env, p->source->env);
        if (other || !str_absent(p->source->api.project_ref)) continue; /* a personal token cannot retrieve */
        poll_hint(p, run);
        fetch_wake(p->api.fetch);
        asked++;
    }
    pthread_mutex_unlock(&all->lock);
    return asked;
}

/* What the feed has heard of, and whose rules want more than it tells. */
static void take_hints(struct poll *p)
{
    VEC(struct str) hints = { 0 };
    struct run thin, run;
    struct err err;
    pthread_mutex_lock(&p->lock);
    for (size_t k = 0; k < p->hints.n; k++) *vec_push(&hints) = p->hints.v[k];
    vec_clear(&p->hints);
    pthread_mutex_unlock(&p->lock);
    if (hints.n) poll_reset(p);
    for (size_t k = 0; k < hints.n; k++) {
        run_init(&thin);
        thin.env = str_c(p->env);
        if (api_room(&p->api) > 0 && thin.env.n && details_get(p, hints.v[k], &thin, &run, &err) == API_OK) poll_found(p, &run);
        free((char *)hints.v[k].p);
    }
    vec_free(&hints);
    if (p->found.n && poll_hand_over(p, false, &err) < 0) poll_reset(p);
}

static bool has_rules(struct poll *p)
{
    bool has;
    pthread_mutex_lock(&p->lock);
    has = p->next_rules != NULL;
    pthread_mutex_unlock(&p->lock);
    return has;
}

/* Until the next look is due, or there are new rules. False: stopping. */
static bool rest(struct poll *p, int64_t ms)
{
    int64_t due = poll_mono(p) + ms, left;
    do {
        if (p->position.known) history_go_on(p, due);
        left = due - poll_mono(p);
        if (!fetch_sleep(p->api.fetch, left > 0 ? left : 0)) return false;
        take_hints(p);
    } while (poll_mono(p) < due && !has_rules(p));
    return true;
}

static void *run(void *ctx)
{
    struct poll *p = ctx;
    int64_t backoff_ms = BACKOFF_MS;
    while (rest(p, one_look(p, &backoff_ms))) {}
    return NULL;
}

/* --- beginning and end --------------------------------------------------------------------------------- */
static void poll_free(struct poll *p)
{
    api_fini(&p->api);
    fetch_free(&p->live_fetch);
    details_fini(p);
    position_fini(&p->position);
    recall_fini(&p->recall);
    rule_scratch_fini(&p->scratch);
    vec_free(&p->found);
    vec_free(&p->windows);
    arena_fini(&p->arena);
    arena_fini(&p->demand_arena);
    if (p->rules) config_unref(&p->rules);
    if (p->next_rules) config_unref(&p->next_rules);
    if (p->live_rules) config_unref(&p->live_rules);
    for (size_t k = 0; k < p->hints.n; k++) free((char *)p->hints.v[k].p);
    vec_free(&p->hints);
    config_unref(&p->settings);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* One key is of one environment, whose slug its prefix says (trigger-dev-api.md 2.1); not of which preview branch. */
static struct str env_of(const struct config_source *s)
{
    static const struct { struct str prefix, slug; } known[] = { { STR("tr_dev_"), STR("dev") }, { STR("tr_stg_"), STR("stg") }, { STR("tr_prod_"), STR("prod") } };
    for (size_t k = 0; s->env.n == 0 && k < sizeof known / sizeof *known; k++)
        if (str_starts(secret_reveal(&s->api.key), known[k].prefix)) return known[k].slug;
    return s->env;
}

static struct poll *poll_new(struct pollers *all, struct config *c, const struct config_source *s)
{
    struct poll *p = xcalloc(1, sizeof *p);
    struct err err;
    p->all = all;
    p->settings = config_ref(c);
    p->source = s;
    p->name = s->name;
    p->next_rules = config_ref(c);
    if (s->api.live) p->live_rules = config_ref(c);
    p->page_size = (size_t)s->api.page_size;
    p->status.remaining = -1;
    p->status.live = s->api.live;
    pthread_mutex_init(&p->lock, NULL);
    poll_learn_env(p, env_of(s));
    if (api_init(&p->api, &s->api, all->clock, &err) < 0 || (s->api.live && !(p->live_fetch = fetch_new(&s->api, &err)))) abort(); /* out of memory */
    if (pthread_create(&p->thread, NULL, run, p) != 0) abort();
    p->started = true;
    if (p->live_fetch && pthread_create(&p->live_thread, NULL, live_run, p) != 0) abort();
    p->live_started = p->live_fetch != NULL;
    return p;
}

static void poll_stop(struct poll *p)
{
    fetch_interrupt(p->api.fetch);
    if (p->live_fetch) fetch_interrupt(p->live_fetch);
    if (p->started) pthread_join(p->thread, NULL);
    if (p->live_started) pthread_join(p->live_thread, NULL);
    poll_free(p);
}

static void start_missing(struct pollers *all, struct config *c)
{
    for (size_t k = 0; k < c->source_count; k++) {
        bool there = false;
        if (c->sources[k].type != SOURCE_TRIGGER_API) continue;
        for (size_t i = 0; i < all->polls.n; i++) there |= str_eq(all->polls.v[i]->name, c->sources[k].name);
        if (!there) *vec_push(&all->polls) = poll_new(all, c, &c->sources[k]);
    }
}

struct pollers *pollers_start(struct config *c, struct clock *clock, const struct poller_sink *sink)
{
    struct pollers *all = xcalloc(1, sizeof *all);
    all->clock = clock;
    all->sink = *sink;
    pthread_mutex_init(&all->lock, NULL);
    start_missing(all, c);
    return all;
}

static bool same_text(struct str a, struct str b)
{
    return str_absent(a) == str_absent(b) && str_eq(a, b);
}

static bool same_settings(const struct config_source *a, const struct config_source *b)
{
    const struct config_trigger_api *x = &a->api, *y = &b->api;
    return a->type == b->type && same_text(a->project, b->project) && same_text(a->env, b->env) && same_text(a->dashboard, b->dashboard) &&
           a->ignore_older_ms == b->ignore_older_ms && same_text(x->url, y->url) && str_eq(secret_reveal(&x->key), secret_reveal(&y->key)) &&
           same_text(x->project_ref, y->project_ref) && same_text(x->branch, y->branch) && x->method == y->method && x->every_ms == y->every_ms &&
           x->overlap_ms == y->overlap_ms && x->timeout_ms == y->timeout_ms && x->budget_percent == y->budget_percent && x->page_size == y->page_size &&
           x->live == y->live && same_text(x->tls_ca, y->tls_ca) && same_text(x->proxy, y->proxy) && x->tls_insecure == y->tls_insecure;
}

static void give_rules(struct poll *p, struct config *c)
{
    struct config *old, *old_live;
    pthread_mutex_lock(&p->lock);
    old = p->next_rules;
    old_live = p->live_rules;
    p->next_rules = config_ref(c);
    p->live_rules = p->live_fetch ? config_ref(c) : NULL;
    pthread_mutex_unlock(&p->lock);
    if (old) config_unref(&old);
    if (old_live) config_unref(&old_live);
    fetch_wake(p->api.fetch);
}

void pollers_reload(struct pollers *all, struct config *c)
{
    size_t kept = 0;
    VEC(struct poll *) gone = { 0 };
    pthread_mutex_lock(&all->lock);
    for (size_t i = 0; i < all->polls.n; i++) {
        struct poll *p = all->polls.v[i];
        const struct config_source *s = source_in(c, p->name);
        if (s && same_settings(s, p->source)) {
            give_rules(p, c);
            all->polls.v[kept++] = p;
        } else {
            *vec_push(&gone) = p;
        }
    }
    all->polls.n = kept;
    pthread_mutex_unlock(&all->lock);
    for (size_t i = 0; i < gone.n; i++) poll_stop(gone.v[i]);
    vec_free(&gone);
    pthread_mutex_lock(&all->lock);
    start_missing(all, c);
    pthread_mutex_unlock(&all->lock);
}

void pollers_stop(struct pollers **pollers)
{
    struct pollers *all = *pollers;
    *pollers = NULL;
    if (!all) return;
    for (size_t i = 0; i < all->polls.n; i++) {
        fetch_interrupt(all->polls.v[i]->api.fetch);
        if (all->polls.v[i]->live_fetch) fetch_interrupt(all->polls.v[i]->live_fetch);
    }
    for (size_t i = 0; i < all->polls.n; i++) poll_stop(all->polls.v[i]);
    vec_free(&all->polls);
    pthread_mutex_destroy(&all->lock);
    free(all);
}
