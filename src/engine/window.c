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
    w->timer = (struct timer){ ENGINE_NEVER, 0, TIMER_WINDOW };
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

/* --- counting -------------------------------------------------------------------------------------------------- */
/* How often each run stands in a stretch of entries that moves on, and how many different ones there are. */
struct tally {
    uint64_t *runs; /* 0 = free */
    uint32_t *times;
    size_t mask;
    int64_t distinct;
};

static void tally_init(struct tally *t, size_t entries)
{
    size_t cap = 16;
    while (cap < entries * 2) cap *= 2;
    *t = (struct tally){ xcalloc(cap, sizeof *t->runs), xcalloc(cap, sizeof *t->times), cap - 1, 0 };
}

static void tally_fini(struct tally *t)
{
    free(t->runs);
    free(t->times);
}

static uint32_t *tally_of(struct tally *t, uint64_t run)
{
    size_t at;
    if (run == 0) run = 1;
    for (at = run & t->mask; t->runs[at] && t->runs[at] != run; at = (at + 1) & t->mask) {}
    t->runs[at] = run;
    return &t->times[at];
}

static void tally_add(struct tally *t, uint64_t run)
{
    t->distinct += (*tally_of(t, run))++ == 0;
}

static void tally_remove(struct tally *t, uint64_t run)
{
    t->distinct -= --*tally_of(t, run) == 0;
}

/* The first entry behind until_ms. */
static size_t behind(const struct window *w, int64_t until_ms)
{
    size_t low = 0, high = w->entries.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (w->entries.v[mid].event_ms <= until_ms) low = mid + 1;
        else high = mid;
    }
    return low;
}

/* Of all windows of the rule's length that begin at an entry and hold event_ms, the fullest. */
struct window_span window_best(const struct window *w, int64_t event_ms)
{
    const struct rule_condition *c = &w->rule->now->condition;
    struct window_span best = { 0, 0, 0 };
    struct tally t;
    size_t from = behind(w, event_ms - c->window_ms), to = from;
    tally_init(&t, w->entries.n - from);
    for (; from < w->entries.n && w->entries.v[from].event_ms <= event_ms; from++) {
        int64_t n;
        for (; to < w->entries.n && w->entries.v[to].event_ms < w->entries.v[from].event_ms + c->window_ms; to++)
            tally_add(&t, w->entries.v[to].run);
        n = c->of_runs ? t.distinct : (int64_t)(to - from);
        if (n > best.count) best = (struct window_span){ from, to, n };
        tally_remove(&t, w->entries.v[from].run);
    }
    tally_fini(&t);
    return best;
}

void window_add(struct engine *e, struct window *w, int64_t event_ms, struct str run)
{
    const struct rule_condition *c = &w->rule->now->condition;
    int64_t over_ms;
    size_t most = (size_t)c->n > e->limits.window_entries ? (size_t)c->n : e->limits.window_entries;
    insert(w, (struct window_entry){ event_ms, str_hash_stable(run) });
    drop_old(w, c->window_ms);
    if (w->entries.n > most) { /* over the bound: the oldest collapses into a counter */
        memmove(w->entries.v, w->entries.v + 1, (w->entries.n - 1) * sizeof *w->entries.v);
        w->entries.n--;
        w->collapsed++;
        e->stats.collapsed_entries++;
    }
    window_touch(e, w);
    over_ms = w->entries.v[w->entries.n - 1].event_ms;
    if (over_ms < e->now_ms) over_ms = e->now_ms; /* late events count among themselves, too */
    timer_set(e, &w->timer, over_ms + c->window_ms + LATE_MS);
}

bool window_holds(const struct window *w, int64_t now_ms, int64_t *clears_ms)
{
    const struct rule_condition *c = &w->rule->now->condition;
    size_t from = behind(w, now_ms - c->window_ms), at = w->entries.n;
    int64_t n = 0;
    struct tally t;
    *clears_ms = now_ms;
    if ((int64_t)(at - from) < c->n) return false;
    tally_init(&t, c->of_runs ? at - from : 0);
    while (at > from && n < c->n) { /* from the newest back: the one that makes it n leaves last */
        at--;
        if (c->of_runs) tally_add(&t, w->entries.v[at].run);
        n = c->of_runs ? t.distinct : n + 1;
    }
    tally_fini(&t);
    if (n < c->n) return false;
    *clears_ms = w->entries.v[at].event_ms + c->window_ms;
    return true;
}

static bool keeps_run(const struct incident *i, uint64_t run)
{
    const uint64_t *runs = incident_runs(i);
    for (size_t k = i->runs_kept; k-- > 0;)
        if (runs[k] == run) return true;
    return false;
}

/* An incident that opens by a window takes its runs over: they are what it is about. */
void window_runs(const struct window *w, struct window_span span, struct incident *i, struct engine *e)
{
    for (size_t k = span.from; k < span.to; k++) {
        uint64_t run = w->entries.v[k].run;
        i->hits++;
        if (keeps_run(i, run)) continue;
        i->run_count++;
        if (i->runs_kept < e->limits.runs_per_incident) incident_keep_run(i, run);
    }
}

struct str window_cell_key(struct arena *a, const struct window *w)
{
    const struct str parts[] = { STR("w"), w->rule->name, w->part->project, w->part->env, w->key };
    return name_joined(a, parts, 5);
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
