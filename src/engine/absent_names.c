/* absent_names: keys that a rule's text names are waited for before anything is seen of them: in the environments it names,
 * else in those that live. */
#include <stdlib.h>
#include <string.h>

#include "engine/absent.h"

enum {
    HEARD_MOST = 10000,     /* environments that are remembered to live; a hostile sender makes up as many as it likes */
    HEARD_EVERY_MS = 3600000 /* how often it is written down */
};
static const int64_t lives_ms = 7LL * 86400000;

/* --- one environment ------------------------------------------------------------------------------------------ */
static bool can_hit(struct step_context *c, const struct rule *r, const struct part *p, struct str task, struct rule_subject *s)
{
    static const struct transition none = { .kind = TRANSITION_NEW };
    struct run *run = ARENA_NEW(c->out->arena, struct run);
    run_init(run);
    run->project = p->project;
    run->env = p->env;
    run->task = task;
    run->kind = STR("run");
    run->present = RUN_HAS_TASK;
    rule_subject_init(s, c->out->arena, run, &none, c->now_ms);
    return rule_could_hit(r, s, RULE_KNOWS_ENV | RULE_KNOWS_PROJECT | RUN_HAS_TASK);
}

static void register_key(struct step_context *c, struct engine_rule *r, struct part *p, struct str key)
{
    struct absent_key *k = absent_key_find(c->e, r, p, key);
    if (!k && absent_rule_get(r)->keys >= c->e->limits.keys_per_rule) return;
    if (!k) {
        k = absent_key_new(c->e, absent_group_get(c->e, r, p), key);
        absent_start(c, k);
    }
    if (k->named) return;
    k->named = true;
    absent_key_touch(c->e, k);
}

static void register_part(struct step_context *c, struct engine_rule *r, struct part *p)
{
    const struct rule_watch *w = r->now->watch;
    for (size_t i = 0; i < w->tasks.n; i++) {
        struct rule_subject s;
        struct rule_key keys[KEYS_PER_HIT];
        size_t n = can_hit(c, r->now, p, w->tasks.v[i], &s) ? rule_keys(r->now, &s, keys, KEYS_PER_HIT) : 0;
        for (size_t k = 0; k < n; k++) register_key(c, r, p, keys[k].key);
    }
}

/* --- which environments ---------------------------------------------------------------------------------------- */
/* Without a project in the rule, those whose sources could bring runs of the environment. */
static void register_env(struct step_context *c, struct engine_rule *r, struct str env)
{
    const struct absences *all = &c->e->absences;
    const struct rule_names *projects = &r->now->watch->projects;
    for (size_t k = 0; k < projects->n; k++) register_part(c, r, part_get(c->e, projects->v[k], env));
    for (size_t k = 0; projects->all && k < all->sources.n; k++)
        if (all->sources.v[k].env.n == 0 || str_eq(all->sources.v[k].env, env)) register_part(c, r, part_get(c->e, all->sources.v[k].project, env));
    if (projects->all && !all->told) register_part(c, r, part_get(c->e, STR("default"), env));
}

static bool lives(const struct step_context *c, const struct part *p)
{
    return p->heard_ms > 0 && c->now_ms - p->heard_ms <= lives_ms;
}

static void register_rule(struct step_context *c, struct engine_rule *r)
{
    const struct rule_watch *w = r->now->watch;
    if (absent_rule_get(r)->loaded_ms == 0) {
        r->absent->loaded_ms = c->now_ms;
        absent_rule_touch(c->e, r);
    }
    if (!w->by_name) return;
    for (size_t k = 0; k < w->envs.n; k++) register_env(c, r, w->envs.v[k]);
    for (size_t k = 0; w->envs.all && k < c->e->absences.heard.n; k++)
        if (lives(c, c->e->absences.heard.v[k])) register_part(c, r, c->e->absences.heard.v[k]);
}

void absent_register(struct step_context *c)
{
    for (size_t k = 0; k < c->e->rules->rule_count; k++)
        if (c->e->rules->rules[k]->condition.kind == RULE_ABSENT) register_rule(c, c->e->by_index[k]);
}

/* --- environments that live -------------------------------------------------------------------------------------- */
static void note_heard(struct engine *e, struct part *p)
{
    if (p->heard_dirty) return;
    p->heard_dirty = true;
    *vec_push(&e->absences.dirty_heard) = p;
}

/* Of what has been silent for long nothing is kept. */
static void sweep(struct step_context *c)
{
    struct absences *all = &c->e->absences;
    size_t kept = 0;
    for (size_t k = 0; k < all->heard.n; k++) {
        struct part *p = all->heard.v[k];
        if (lives(c, p)) {
            all->heard.v[kept++] = p;
            continue;
        }
        p->heard_ms = 0;
        note_heard(c->e, p); /* its cell goes */
    }
    all->heard.n = kept;
    all->swept_ms = c->now_ms;
}

void absent_heard(struct step_context *c, struct str project, struct str env, int64_t event_ms)
{
    struct absences *all = &c->e->absences;
    struct part *p;
    bool lived;
    if (all->heard.n == HEARD_MOST && c->now_ms - all->swept_ms > HEARD_EVERY_MS) sweep(c);
    p = all->heard.n < HEARD_MOST ? part_get(c->e, project, env) : part_find(c->e, project, env);
    if (!p || event_ms < p->heard_ms + HEARD_EVERY_MS || c->now_ms - event_ms > lives_ms) return;
    lived = lives(c, p);
    if (p->heard_ms == 0) {
        if (all->heard.n == HEARD_MOST) return;
        *vec_push(&all->heard) = p;
    }
    p->heard_ms = event_ms;
    note_heard(c->e, p);
    for (size_t k = 0; !lived && k < c->e->rules->rule_count; k++) {
        const struct rule *r = c->e->rules->rules[k];
        if (r->watch && r->watch->by_name && r->watch->envs.all) register_part(c, c->e->by_index[k], p);
    }
}

/* --- the rules are in force from now on ------------------------------------------------------------------------------ */
void absent_loaded(struct step_context *c)
{
    c->e->absences.loaded = true;
    sweep(c);
    absent_register(c);
    absent_listen(c->e); /* since when each rule waits is known now */
}

/* --- sources ------------------------------------------------------------------------------------------------------------ */
static bool same_places(const struct absences *all, const struct engine_source *v, size_t n)
{
    if (!all->told || all->sources.n != n) return false;
    for (size_t k = 0; k < n; k++)
        if (!str_eq(all->sources.v[k].project, v[k].project) || !str_eq(all->sources.v[k].env, v[k].env)) return false;
    return true;
}

void absent_sources(struct step_context *c, const struct engine_source *v, size_t n)
{
    struct absences *all = &c->e->absences;
    bool same = same_places(all, v, n);
    arena_reset(&all->source_texts);
    vec_clear(&all->sources);
    for (size_t k = 0; k < n; k++) {
        struct engine_source s = v[k];
        s.name = str_dup(&all->source_texts, s.name);
        s.project = str_dup(&all->source_texts, s.project);
        s.env = str_dup(&all->source_texts, s.env);
        *vec_push(&all->sources) = s;
    }
    all->told = true;
    absent_listen(c->e);
    if (all->loaded && !same) absent_register(c);
}
