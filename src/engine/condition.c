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

/* --- flaps ------------------------------------------------------------------------------------------------------ */
/* Changes after a moment: entries that are not what the one before them was. n_th: when the n-th newest of them was. */
static struct window_span changes(const struct window *w, int64_t after_ms, int64_t n, int64_t *n_th_ms)
{
    struct window_span s = { w->entries.n, w->entries.n, 0 };
    while (s.from > 0 && w->entries.v[s.from - 1].event_ms > after_ms) {
        s.from--;
        if (s.from == 0 || w->entries.v[s.from].mark == w->entries.v[s.from - 1].mark) continue;
        if (++s.count == n) *n_th_ms = w->entries.v[s.from].event_ms;
    }
    return s;
}

/* --- rate ------------------------------------------------------------------------------------------------------- */
struct share share_of(const struct window *w, uint64_t mark, struct window_span s)
{
    struct share out = { 0, (int64_t)(s.to - s.from) };
    for (size_t k = s.from; k < s.to; k++) out.hits += w->entries.v[k].mark == mark;
    return out;
}

double share_percent(struct share s)
{
    int64_t tenths = s.runs > 0 ? (s.hits * 2000 + s.runs) / (2 * s.runs) : 0;
    return (double)tenths / 10;
}

/* The runs it looks at: all there are of the last n, or those after a moment. */
static struct window_span rated(const struct window *w, int64_t until_ms)
{
    const struct rule_condition *c = &w->rule->now->condition;
    struct window_span s = { w->entries.n, w->entries.n, 0 };
    while (s.from > 0 && (c->window_ms == 0 || w->entries.v[s.from - 1].event_ms > until_ms - c->window_ms)) s.from--;
    return s;
}

static bool rate_holds(const struct rule_condition *c, struct share s)
{
    double hits = 100 * (double)s.hits, limit = c->percent * (double)s.runs;
    return s.runs >= c->min && (c->under ? hits < limit : hits > limit);
}

/* Not as soon as it no longer holds, or it would chatter: a fifth of the way back is wanted, too. */
static bool rate_cleared(const struct rule_condition *c, struct share s)
{
    double hits = 500 * (double)s.hits, runs = (double)s.runs;
    if (s.runs < c->min) return true;
    return c->under ? hits > (4 * c->percent + 100) * runs : hits < 4 * c->percent * runs;
}

/* Has it cleared, with what of the window is left now? Else: when, as one run after another leaves the window? */
static bool rate_over(const struct window *w, uint64_t mark, int64_t now_ms, int64_t *clears_ms)
{
    const struct rule_condition *c = &w->rule->now->condition;
    struct window_span s = rated(w, now_ms);
    struct share left = share_of(w, mark, s);
    if (rate_cleared(c, left)) return true;
    while (c->window_ms > 0 && s.from < s.to) {
        int64_t leaves_ms = w->entries.v[s.from].event_ms + c->window_ms;
        for (; s.from < s.to && w->entries.v[s.from].event_ms + c->window_ms == leaves_ms; s.from++) {
            left.hits -= w->entries.v[s.from].mark == mark;
            left.runs--;
        }
        if (!rate_cleared(c, left)) continue;
        *clears_ms = leaves_ms;
        return false;
    }
    return false;
}

static int64_t newest_ms(const struct window *w)
{
    return w->entries.n ? w->entries.v[w->entries.n - 1].event_ms : 0;
}

bool incident_share(struct engine *e, const struct incident *i, struct share *out)
{
    struct window *w = i->rule->now->condition.kind == RULE_RATE ? incident_window(e, i) : NULL;
    if (!w || w->entries.n == 0) return false;
    *out = share_of(w, mark_of(i->rule->now, incident_key(i)), rated(w, newest_ms(w)));
    return true;
}

/* --- any --------------------------------------------------------------------------------------------------------- */
bool population_holds(const struct window *w, uint64_t mark, struct window_span *span)
{
    const struct rule_condition *c = &w->rule->now->condition;
    int64_t n_th_ms;
    if (c->kind == RULE_RATE) {
        *span = rated(w, newest_ms(w));
        return rate_holds(c, share_of(w, mark, *span));
    }
    *span = c->kind == RULE_FLAPS ? changes(w, newest_ms(w) - c->window_ms, c->n, &n_th_ms) : streak(w, mark);
    return span->count >= c->n;
}

/* As of now, and not of the newest run: time alone may clear it. */
static bool population_cleared(const struct window *w, uint64_t mark, int64_t now_ms, int64_t *clears_ms)
{
    const struct rule_condition *c = &w->rule->now->condition;
    int64_t n_th_ms = 0;
    if (c->kind == RULE_RATE) return rate_over(w, mark, now_ms, clears_ms);
    if (c->kind == RULE_STREAK) return streak(w, mark).count < c->n;
    if (changes(w, now_ms - c->window_ms, c->n, &n_th_ms).count < c->n) return true;
    *clears_ms = n_th_ms + c->window_ms;
    return false;
}

bool incident_cleared(struct engine *e, const struct incident *i, int64_t now_ms, int64_t *clears_ms)
{
    const struct rule *r = i->rule->now;
    struct window *w = incident_window(e, i);
    *clears_ms = ENGINE_NEVER;
    if (r->condition.kind == RULE_LASTS) return i->still == 0;
    if (!w) return true;
    if (r->condition.kind == RULE_FIRST) return false; /* what has been seen stays seen */
    if (!rule_on_population(&r->condition)) return !window_holds(w, now_ms, clears_ms);
    return population_cleared(w, mark_of(r, incident_key(i)), now_ms, clears_ms);
}

bool incident_holds(struct engine *e, const struct incident *i, int64_t now_ms)
{
    const struct rule *r = i->rule->now;
    int64_t clears_ms;
    struct window *w = r->condition.kind == RULE_RATE ? incident_window(e, i) : NULL;
    if (w) return rate_holds(&r->condition, share_of(w, mark_of(r, incident_key(i)), rated(w, now_ms))); /* between the two limits it does not hold again */
    return !incident_cleared(e, i, now_ms, &clears_ms);
}
