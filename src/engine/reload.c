/* reload: other rules, whole (rule-language.md section 5, Reload and restart). */
#include <stdlib.h>

#include "engine/engine_internal.h"

void engine_rule_bind(struct engine *e, struct engine_rule *r, const struct rule *now)
{
    r->gone = now == NULL;
    if (r->gone && !r->stub) {
        r->stub = ARENA_NEW(&e->names, struct rule);
        r->stub->name = r->name;
        r->stub->severity = SEVERITY_ERROR;
        r->stub->by_identity = true;
    }
    r->now = now ? now : r->stub;
}

void engine_bind_rules(struct engine *e, const struct ruleset *rules)
{
    size_t at = 0;
    struct map_entry *m;
    e->rules = rules;
    while ((m = map_next(&e->engine_rules, &at))) engine_rule_bind(e, m->value, ruleset_find(rules, m->key));
    at = 0;
    while ((m = map_next(&e->places, &at))) {
        struct place *p = m->value;
        p->now = NULL;
        for (size_t k = 0; k < rules->destination_count; k++)
            if (str_eq(rules->destinations[k].name, p->name)) p->now = &rules->destinations[k];
    }
    free(e->by_index);
    // NOLINTNEXTLINE(bugprone-sizeof-expression): elements are pointers
    e->by_index = xcalloc(rules->rule_count, sizeof *e->by_index);
    for (size_t k = 0; k < rules->rule_count; k++) e->by_index[k] = engine_rule_get(e, rules->rules[k]->name);
    lasts_bind(e);
}

static bool changed(const struct engine_rule *before, const struct rule *after)
{
    return !after || before->gone || !str_eq_c(str_c(before->now->shape), after->shape);
}

/* One look at each window, however many rules have changed. */
static void drop_windows(struct engine *e, const struct ruleset *after)
{
    size_t at = 0;
    struct map_entry *m;
    struct window *w;
    bool any = false;
    while ((m = map_next(&e->engine_rules, &at))) {
        struct engine_rule *r = m->value;
        r->changed = r->windows > 0 && changed(r, ruleset_find(after, r->name));
        any |= r->changed;
    }
    at = 0;
    while (any && (w = index_next(&e->windows, &at)))
        if (w->rule->changed) window_drop(e, w);
}

/* Ids first: resolving moves the list they stand in. */
static void resolve_all(struct step_context *c, const uint64_t *ids, size_t n, const struct ruleset *after)
{
    for (size_t k = 0; k < n && !c->failed; k++) {
        struct incident *i = incident_by_id(c->e, ids[k]);
        if (i) incident_resolve(c, i, ruleset_find(after, i->rule->name) ? STR("rule changed") : STR("rule removed"));
    }
}

/* Ends every incident whose rule is another one after the reload; called while the old rules still speak. */
static void settle(struct step_context *c, const struct ruleset *after)
{
    struct engine *e = c->e;
    VEC(uint64_t) ids = { 0 };
    struct map_entry *m;
    size_t at = 0;
    for (size_t k = 0; k < e->by_id.n; k++) {
        struct incident *i = e->by_id.v[k];
        if (i && changed(i->rule, ruleset_find(after, i->rule->name))) *vec_push(&ids) = i->id;
    }
    resolve_all(c, ids.v, ids.n, after);
    vec_free(&ids);
    drop_windows(e, after);
    while ((m = map_next(&e->engine_rules, &at))) {
        struct engine_rule *r = m->value;
        if (!changed(r, ruleset_find(after, r->name))) continue;
        if (r->stays > 0) lasts_drop_rule(e, r);
        absent_forget(e, r);
    }
}

/* --- other settings of rules that go on ------------------------------------------------------------------------- */
/* Between a due time and the moment it counts from (-1), and back under the settings of now (+1). */
static void turn_waits(struct incident *i, int sign)
{
    if (incident_due_ms(i, DUE_REPEAT) != ENGINE_NEVER) incident_wait_until(i, DUE_REPEAT, incident_due_ms(i, DUE_REPEAT) + sign * incident_repeat_wait(i));
    if (incident_lingers(i)) incident_wait_until(i, DUE_LINGER, incident_due_ms(i, DUE_LINGER) + sign * i->rule->now->linger_ms);
}

static bool clears(const struct rule *r)
{
    for (size_t k = 0; k < r->resolve_count; k++)
        if (r->resolve[k].kind == RULE_CLEARS) return true;
    return false;
}

static void apply_settings(struct step_context *c, struct incident *i)
{
    const struct rule *r = i->rule->now;
    int64_t wait_due = i->opened_ms + r->wait_ms;
    incident_arm_quiet(i);
    if (!clears(r)) incident_wait_until(i, DUE_CLEARS, ENGINE_NEVER);
    else if (incident_due_ms(i, DUE_CLEARS) == ENGINE_NEVER && !incident_lingers(i)) incident_arm_clears(c, i);
    if (incident_due_ms(i, DUE_WAIT) != ENGINE_NEVER && incident_due_ms(i, DUE_WAIT) != wait_due && i->last_told_ms == 0)
        incident_wait_until(i, DUE_WAIT, wait_due > c->now_ms ? wait_due : c->now_ms);
    if (incident_repeat_wait(i) == 0) incident_wait_until(i, DUE_REPEAT, ENGINE_NEVER);
    else if (i->state == INCIDENT_OPEN && incident_due_ms(i, DUE_REPEAT) == ENGINE_NEVER) incident_wait_until(i, DUE_REPEAT, incident_clock(i, c->now_ms) + incident_repeat_wait(i));
    if (i->state == INCIDENT_PENDING && incident_due_ms(i, DUE_LATER) == ENGINE_NEVER && incident_affected(i) >= r->at_least) incident_open(c, i);
    if (!i->ended) incident_rearm(c->e, i);
}

/* What changed is written: a restart would else bring the old waits back. */
static uint64_t dues_of(const struct incident *i)
{
    int64_t all[DUE_KINDS];
    for (size_t k = 0; k < DUE_KINDS; k++) all[k] = incident_due_ms(i, (enum due)k);
    return str_hash_stable((struct str){ (const char *)all, sizeof all });
}

/* A shorter wait may be over already: that is now, and not late. */
static void not_late(struct incident *i, int64_t now_ms)
{
    int64_t clock_ms = incident_clock(i, now_ms);
    if (incident_due_ms(i, DUE_REPEAT) < clock_ms) incident_wait_until(i, DUE_REPEAT, clock_ms);
    if (incident_due_ms(i, DUE_LINGER) < now_ms) incident_wait_until(i, DUE_LINGER, now_ms);
}

static struct step_context context(struct engine *e, int64_t now_ms, struct engine_output *out, struct err *err)
{
    if (now_ms > e->now_ms) e->now_ms = now_ms;
    return (struct step_context){ .e = e, .out = out, .now_ms = e->now_ms, .err = err };
}

/* All rules are as they are now: what holds, and what nothing holds any more? */
static void switched(struct step_context *c)
{
    c->e->switching = false;
    if (c->failed) return;
    hours_switched(c);
    gates_due(c);
    hold_fresh(c);
    hold_speak(c);
}

int engine_reload(struct engine *e, const struct ruleset *rules, int64_t now_ms, struct engine_output *out, struct err *err)
{
    struct step_context c = context(e, now_ms, out, err);
    uint64_t *before;
    e->switching = true;
    settle(&c, rules);
    if (c.failed) return -1;
    before = xcalloc(e->by_id.n + 1, sizeof *before);
    for (size_t k = 0; k < e->by_id.n; k++) {
        if (!e->by_id.v[k]) continue;
        before[k] = dues_of(e->by_id.v[k]);
        turn_waits(e->by_id.v[k], -1);
    }
    engine_bind_rules(e, rules);
    hold_bind(e);
    hours_rebind(&c);
    gates_look(&c);
    for (size_t k = 0; k < e->by_id.n && !c.failed; k++) {
        struct incident *i = e->by_id.v[k];
        if (!i) continue;
        turn_waits(i, 1);
        not_late(i, c.now_ms);
        apply_settings(&c, i);
        if (dues_of(i) != before[k]) incident_touch(e, i);
    }
    free(before);
    lasts_look_again(&c);
    absent_loaded(&c);
    switched(&c);
    return c.failed ? -1 : 0;
}

int engine_restored(struct engine *e, int64_t now_ms, struct engine_output *out, struct err *err)
{
    struct step_context c = context(e, now_ms, out, err);
    VEC(uint64_t) ids = { 0 };
    e->switching = true;
    incidents_restored(e);
    hold_bind(e);
    gates_look(&c);
    windows_restored(e);
    for (size_t k = 0; k < e->by_id.n; k++) {
        struct incident *i = e->by_id.v[k];
        bool other = i && i->timer.kind != TIMER_INCIDENT; /* marked by engine_restore_incident */
        if (!i) continue;
        i->timer.kind = TIMER_INCIDENT;
        if (other || i->rule->gone)
            *vec_push(&ids) = i->id;
        else
            apply_settings(&c, i);
    }
    resolve_all(&c, ids.v, ids.n, e->rules);
    vec_free(&ids);
    lasts_look_again(&c);
    absent_loaded(&c);
    if (!c.failed) confirm_ask_again(&c);
    if (!c.failed) confirm_run_ask_again(&c);
    switched(&c);
    return c.failed ? -1 : 0;
}
