/* condition: does what a rule asks for hold in a window? Does it still? */
#include "engine/engine_internal.h"

/* Whose hit an entry of a population's window is; where all keys have windows of their own there is no other. */
uint64_t mark_of(const struct rule *r, struct str key)
{
    return r->by_identity ? 1 : str_hash_stable(key) | 1;
}

struct window *incident_window(struct engine *e, const struct incident *i)
{
    const struct rule *r = i->rule->now;
    struct str key = incident_key(i);
    struct arena a = { 0 };
    struct window *w;
    if (rule_on_population(&r->condition) && !str_eq(key, hit_overflow().key)) key = rule_identity_of(r, &a, key);
    w = window_find(e, i->rule, i->part, key);
    arena_fini(&a);
    return w;
}

/* --- streak ---------------------------------------------------------------------------------------------------- */
static struct window_span streak(const struct window *w, uint64_t mark)
{
    struct window_span s = { w->entries.n, w->entries.n, 0 };
    while (s.from > 0 && w->entries.v[s.from - 1].mark == mark) s.from--;
    s.count = (int64_t)(s.to - s.from);
    return s;
}

/* --- any --------------------------------------------------------------------------------------------------------- */
bool population_holds(const struct window *w, uint64_t mark, struct window_span *span)
{
    *span = streak(w, mark);
    return span->count >= w->rule->now->condition.n;
}

bool incident_cleared(struct engine *e, const struct incident *i, int64_t now_ms, int64_t *clears_ms)
{
    const struct rule *r = i->rule->now;
    struct window *w = incident_window(e, i);
    struct window_span span;
    *clears_ms = ENGINE_NEVER;
    if (!w) return true;
    if (r->condition.kind == RULE_FIRST) return false; /* what has been seen stays seen */
    if (!rule_on_population(&r->condition)) return !window_holds(w, now_ms, clears_ms);
    return !population_holds(w, mark_of(r, incident_key(i)), &span);
}

bool incident_holds(struct engine *e, const struct incident *i, int64_t now_ms)
{
    int64_t clears_ms;
    return !incident_cleared(e, i, now_ms, &clears_ms);
}
