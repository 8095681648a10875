/* All pollers: their beginning and end, and what a reload makes of them. */
#include <string.h>

#include "source/poll_internal.h"

void poll_free(struct poll *p)
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
    vec_free(&p->hints);
    arena_fini(&p->hints.texts);
    config_unref(&p->settings);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* One key is of one environment, whose slug its prefix says (trigger-dev-api.md 2.1); not of which preview branch. */
static struct str env_of(const struct config_source *s)
{
    static const struct { struct str prefix, slug; } known[] = { { STR("tr_dev_"), STR("dev") }, { STR("tr_stg_"), STR("stg") }, { STR("tr_prod_"), STR("prod") } };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (str_starts(secret_reveal(&s->api.key), known[k].prefix)) return known[k].slug;
    return STR_NONE;
}

struct poll *poll_make(struct pollers *all, struct config *c, const struct config_source *s)
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
    p->start_ms = p->floor_ms = RUN_TIME_NONE;
    p->status.remaining = -1;
    p->status.live = s->api.live;
    pthread_mutex_init(&p->lock, NULL);
    poll_learn_env(p, env_of(s));
    if (api_init(&p->api, &s->api, all->clock, &err) < 0 || (s->api.live && !(p->live_fetch = fetch_new(&s->api, &err)))) abort(); /* out of memory */
    p->api.on_again = poll_say_again;
    p->api.ctx = p;
    return p;
}

static struct poll *poll_new(struct pollers *all, struct config *c, const struct config_source *s)
{
    struct poll *p = poll_make(all, c, s);
    if (pthread_create(&p->thread, NULL, poll_run, p) != 0) abort();
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

struct poll *poll_named(struct pollers *all, struct str source)
{
    for (size_t i = 0; i < all->polls.n; i++)
        if (str_eq(all->polls.v[i]->name, source)) return all->polls.v[i];
    return NULL;
}

static void start_missing(struct pollers *all, struct config *c)
{
    for (size_t k = 0; k < c->source_count; k++) {
        if (c->sources[k].type == SOURCE_TRIGGER_API && !poll_named(all, c->sources[k].name)) *vec_push(&all->polls) = poll_new(all, c, &c->sources[k]);
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

static const struct config_source *source_in(const struct config *c, struct str name)
{
    for (size_t k = 0; k < c->source_count; k++)
        if (str_eq(c->sources[k].name, name)) return &c->sources[k];
    return NULL;
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

/* Its source is of another environment, as is configured or has been learned. */
static bool is_elsewhere(struct poll *p, struct str env)
{
    bool elsewhere;
    if (p->source->env.n || env.n == 0) return p->source->env.n && env.n && !str_eq(env, p->source->env);
    pthread_mutex_lock(&p->lock);
    elsewhere = p->env[0] && !str_eq_c(env, p->env);
    pthread_mutex_unlock(&p->lock);
    return elsewhere;
}

size_t pollers_reread(struct pollers *all, struct str env, struct str run)
{
    size_t asked = 0;
    pthread_mutex_lock(&all->lock);
    for (size_t i = 0; i < all->polls.n; i++) {
        struct poll *p = all->polls.v[i];
        if (is_elsewhere(p, env) || !str_absent(p->source->api.project_ref)) continue; /* a personal token cannot retrieve */
        poll_hint(p, run);
        fetch_wake(p->api.fetch);
        asked++;
    }
    pthread_mutex_unlock(&all->lock);
    return asked;
}
