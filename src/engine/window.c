/* window: exact sliding windows by event time, for `count` (rule-language.md section 5, Events and windows). */
#include <stdlib.h>
#include <string.h>

#include "engine/engine_internal.h"

struct wanted_window {
    const struct engine_rule *rule;
    const struct part *part;
    struct str key;
    uint32_t hash;
};

static bool same_window(const void *element, const void *wanted)
{
    const struct window *w = element;
    const struct wanted_window *x = wanted;
    return w->key_hash == x->hash && w->rule == x->rule && w->part == x->part && str_eq(w->key, x->key);
}

static uint32_t hash_of_window(const void *element)
{
    return ((const struct window *)element)->key_hash;
}

struct window *window_find(struct engine *e, struct engine_rule *r, struct part *p, struct str key)
{
    struct wanted_window x = { r, p, key, key_hash(r, p, key) };
    return index_find(&e->windows, x.hash, same_window, &x);
}

struct window *window_get(struct engine *e, struct engine_rule *r, struct part *p, struct str key)
{
    struct window *w = window_find(e, r, p, key);
    char *text;
    if (w) return w;
    w = xcalloc(1, sizeof *w);
    text = xmalloc(key.n + 1);
    if (key.n) memcpy(text, key.p, key.n);
    text[key.n] = '\0';
    w->timer = (struct timer){ ENGINE_NEVER, 0, 0, TIMER_WINDOW };
    w->rule = r;
    w->part = p;
    w->key = (struct str){ text, key.n };
    w->key_hash = key_hash(r, p, w->key);
    index_put(&e->windows, w->key_hash, w, hash_of_window);
    r->windows++;
    e->stats.windows++;
    return w;
}

static void window_touch(struct engine *e, struct window *w)
{
    if (w->dirty) return;
    w->dirty = true;
    *vec_push(&e->dirty_windows) = w;
}

/* Entries that no window ending now or later can hold are over, but a late event may still fall beside them:
 * they are kept for a day more. */
enum { LATE_MS = 86400000 };

static void drop_old(struct window *w, int64_t window_ms)
{
    int64_t newest = w->entries.n ? w->entries.v[w->entries.n - 1].event_ms : 0;
    size_t old = 0;
    while (old < w->entries.n && w->entries.v[old].event_ms < newest - window_ms - LATE_MS) old++;
    if (old == 0) return;
    memmove(w->entries.v, w->entries.v + old, (w->entries.n - old) * sizeof *w->entries.v);
    w->entries.n -= old;
}

static void insert(struct window *w, struct window_entry entry)
{
    size_t at;
    (void)vec_push(&w->entries);
    at = w->entries.n - 1;
    while (at > 0 && w->entries.v[at - 1].event_ms > entry.event_ms) {
        w->entries.v[at] = w->entries.v[at - 1];
        at--;
    }
    w->entries.v[at] = entry;
}

static int64_t count_between(const struct window *w, size_t from, size_t to, bool of_runs)
{
    int64_t n = 0;
    if (!of_runs) return (int64_t)(to - from);
    for (size_t i = from; i < to; i++) { /* windows are short: quadratic on purpose, no second structure */
        bool seen = false;
        for (size_t k = from; k < i && !seen; k++) seen = w->entries.v[k].run == w->entries.v[i].run;
        n += !seen;
    }
    return n;
}

/* The largest count of any window of the rule's length that holds the entry at event_ms. */
static int64_t best_count(const struct window *w, const struct rule_condition *c, int64_t event_ms)
{
    int64_t best = 0;
    for (size_t from = 0; from < w->entries.n; from++) {
        int64_t start = w->entries.v[from].event_ms, n;
        size_t to = from;
        if (start > event_ms) break;
        if (start <= event_ms - c->window_ms) continue; /* (start, start + window] would end before it */
        while (to < w->entries.n && w->entries.v[to].event_ms < start + c->window_ms) to++;
        n = count_between(w, from, to, c->of_runs);
        if (n > best) best = n;
    }
    return best;
}

static bool has_entry(const struct window *w, struct window_entry x)
{
    for (size_t i = 0; i < w->entries.n; i++)
        if (w->entries.v[i].event_ms == x.event_ms && w->entries.v[i].run == x.run) return true;
    return false;
}

int64_t window_add(struct engine *e, struct window *w, int64_t event_ms, struct str run, bool known)
{
    const struct rule_condition *c = &w->rule->now->condition;
    struct window_entry entry = { event_ms, str_hash_stable(run) };
    int64_t over_ms;
    if (known && has_entry(w, entry)) return best_count(w, c, event_ms);
    insert(w, entry);
    drop_old(w, c->window_ms);
    if (w->entries.n > e->limits.window_entries) { /* over the bound: the oldest collapses into a counter */
        memmove(w->entries.v, w->entries.v + 1, (w->entries.n - 1) * sizeof *w->entries.v);
        w->entries.n--;
        w->collapsed++;
        e->stats.collapsed_entries++;
    }
    window_touch(e, w);
    over_ms = w->entries.v[w->entries.n - 1].event_ms;
    if (over_ms < e->now_ms) over_ms = e->now_ms; /* late events count among themselves, too */
    timer_set(e, &w->timer, over_ms + c->window_ms + LATE_MS);
    return best_count(w, c, event_ms);
}

/* Count in the window ending at until_ms; *clears_ms: when, with no more hits, it falls below n. */
int64_t window_count(const struct window *w, const struct rule_condition *c, int64_t until_ms, bool *holds, int64_t *clears_ms)
{
    size_t from = 0;
    int64_t n;
    *clears_ms = until_ms;
    while (from < w->entries.n && w->entries.v[from].event_ms <= until_ms - c->window_ms) from++;
    n = count_between(w, from, w->entries.n, c->of_runs);
    *holds = n >= c->n;
    for (size_t k = from; k < w->entries.n && count_between(w, k, w->entries.n, c->of_runs) >= c->n; k++)
        *clears_ms = w->entries.v[k].event_ms + c->window_ms;
    return n;
}

/* An incident that opens by a window takes its runs over: they are what it is about. */
void window_runs(const struct window *w, struct incident *i, struct engine *e)
{
    const struct rule_condition *c = &w->rule->now->condition;
    int64_t newest = w->entries.v[w->entries.n - 1].event_ms;
    for (size_t k = 0; k < w->entries.n; k++) {
        bool seen = false;
        if (w->entries.v[k].event_ms <= newest - c->window_ms) continue;
        i->hits++;
        for (size_t r = 0; r < i->runs_kept && !seen; r++) seen = incident_runs(i)[r] == w->entries.v[k].run;
        if (seen) continue;
        i->run_count++;
        if (i->runs_kept < e->limits.runs_per_incident) incident_keep_run(i, w->entries.v[k].run);
    }
}

struct str window_cell_key(struct arena *a, const struct window *w)
{
    return str_printf(a, "w/" STR_FMT "/" STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(w->rule->name),
                      STR_ARG(w->part->project), STR_ARG(w->part->env), STR_ARG(w->key));
}

void window_drop(struct engine *e, struct window *w)
{
    struct arena a = { 0 };
    struct str key = window_cell_key(&a, w), kept = { xmalloc(key.n), key.n };
    memcpy((char *)(uintptr_t)kept.p, key.p, key.n);
    arena_fini(&a);
    *vec_push(&e->gone_cells) = kept;
    timer_drop(e, &w->timer);
    index_remove(&e->windows, w->key_hash, w);
    w->rule->windows--;
    e->stats.windows--;
    if (w->dirty)
        for (size_t i = 0; i < e->dirty_windows.n; i++)
            if (e->dirty_windows.v[i] == w) e->dirty_windows.v[i] = NULL;
    vec_free(&w->entries);
    free((char *)(uintptr_t)w->key.p);
    free(w);
}
