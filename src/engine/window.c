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
    return w->key_hash == x->hash && w->rule == x->rule && w->part == x->part && str_eq(window_key(w), x->key);
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
    if (w) return w;
    w = xcalloc(1, sizeof *w + key.n);
    if (key.n) memcpy(w + 1, key.p, key.n);
    w->timer = (struct timer){ ENGINE_NEVER, 0, TIMER_WINDOW };
    w->rule = r;
    w->part = p;
    w->key_bytes = (uint32_t)key.n;
    w->key_hash = key_hash(r, p, key);
    entries_init(w);
    index_put(&e->windows, w->key_hash, w, hash_of_window);
    r->windows++;
    e->stats.windows++;
    return w;
}

static void window_touch(struct engine *e, struct window *w)
{
    entries_seal(e, w);
    if (w->dirty) return;
    *vec_push(&e->dirty_windows) = w;
    w->dirty = (uint32_t)e->dirty_windows.n;
}

/* Entries that no window ending now or later can hold are over, but a late event may still fall beside them:
 * they are kept for a day more. */
enum { LATE_MS = 86400000 };

static int64_t last_ms(const struct window *w, size_t k)
{
    return w->rule->now->condition.kind == RULE_FIRST ? (int64_t)w->entries.v[k].mark : w->entries.v[k].event_ms;
}

static int64_t newest_ms(const struct window *w)
{
    return w->entries.n ? last_ms(w, w->entries.n - 1) : 0;
}

static void drop_old(struct engine *e, struct window *w)
{
    const struct rule_condition *c = &w->rule->now->condition;
    int64_t newest = newest_ms(w);
    size_t old = 0;
    if (c->window_ms == 0) { /* the last n runs, however old */
        entries_drop_first(e, w, w->entries.n > (size_t)c->n ? w->entries.n - (size_t)c->n : 0);
        return;
    }
    while (old < w->entries.n && last_ms(w, old) < newest - c->window_ms - LATE_MS) old++;
    if (c->kind == RULE_FLAPS && old > 0) old--; /* the next one may be a change from it */
    entries_drop_first(e, w, old);
}

/* --- counting -------------------------------------------------------------------------------------------------- */
/* How often each run or value stands in a stretch of entries that moves on, and how many different ones there are. */
struct tally {
    uint64_t *keys; /* 0 = free */
    uint32_t *times;
    size_t mask;
    int64_t distinct;
};

static void tally_init(struct tally *t, size_t entries)
{
    size_t cap = 16;
    while (cap < entries * 2) cap *= 2;
    *t = (struct tally){ xcalloc(cap, sizeof *t->keys), xcalloc(cap, sizeof *t->times), cap - 1, 0 };
}

static void tally_fini(struct tally *t)
{
    free(t->keys);
    free(t->times);
}

static uint32_t *tally_of(struct tally *t, uint64_t key)
{
    size_t at;
    if (key == 0) key = 1;
    for (at = key & t->mask; t->keys[at] && t->keys[at] != key; at = (at + 1) & t->mask) {}
    t->keys[at] = key;
    return &t->times[at];
}

static void tally_add(struct tally *t, uint64_t key)
{
    t->distinct += (*tally_of(t, key))++ == 0;
}

static void tally_remove(struct tally *t, uint64_t key)
{
    t->distinct -= --*tally_of(t, key) == 0;
}

/* Distinct what? */
static bool counts_distinct(const struct rule_condition *c)
{
    return c->of_runs || c->of;
}

static uint64_t counted(const struct rule_condition *c, const struct window_entry *entry)
{
    return c->of ? entry->mark : entry->run;
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
            tally_add(&t, counted(c, &w->entries.v[to]));
        n = counts_distinct(c) ? t.distinct : (int64_t)(to - from);
        if (n > best.count) best = (struct window_span){ from, to, n };
        tally_remove(&t, counted(c, &w->entries.v[from]));
    }
    tally_fini(&t);
    return best;
}

/* Which entries does a newer one of the same run or value make needless? */
static bool *needless(const struct window *w)
{
    const struct rule_condition *c = &w->rule->now->condition;
    bool *out = xcalloc(w->entries.n + 1, sizeof *out);
    struct tally t;
    tally_init(&t, w->entries.n);
    for (size_t at = w->entries.n; at-- > 0;) {
        int64_t before = t.distinct;
        tally_add(&t, counted(c, &w->entries.v[at]));
        out[at] = t.distinct == before;
    }
    tally_fini(&t);
    return out;
}

struct shrinking { const bool *needless; size_t needed_go, needless_go; };

static bool shrinks(void *ctx, size_t at, const struct window_entry *entry)
{
    struct shrinking *s = ctx;
    size_t *left = s->needless[at] ? &s->needless_go : &s->needed_go;
    (void)entry;
    return *left > 0 && (*left)--;
}

/* Needless ones first, then the oldest. So a thousand hits of one customer do not push four others out. */
static void shrink_distinct(struct engine *e, struct window *w, size_t over)
{
    bool *out = needless(w);
    struct shrinking s = { out, over, 0 };
    for (size_t at = 0; at < w->entries.n && s.needed_go > 0; at++) s.needed_go -= out[at];
    s.needless_go = over - s.needed_go;
    entries_remove_if(e, w, shrinks, &s);
    free(out);
}

/* Down to `most`. */
static void shrink(struct engine *e, struct window *w, size_t most)
{
    size_t over = w->entries.n - most;
    if (counts_distinct(&w->rule->now->condition)) shrink_distinct(e, w, over);
    else entries_drop_first(e, w, over);
    w->collapsed = w->collapsed > UINT32_MAX - over ? UINT32_MAX : w->collapsed + (uint32_t)over;
    e->stats.collapsed_entries += over;
}

/* Over the bound the oldest collapse into a counter. Where distinct things are counted that is some work: it is done
 * for many entries at once. */
static void keep_bound(struct engine *e, struct window *w)
{
    const struct rule_condition *c = &w->rule->now->condition;
    size_t most = (size_t)c->n > e->limits.window_entries ? (size_t)c->n : e->limits.window_entries;
    size_t slack = counts_distinct(c) ? most / 8 : 0;
    if (w->entries.n > most + slack) shrink(e, w, most);
}

/* How long a window is remembered of which nothing more is heard. Where runs are counted and not time, a job that runs
 * once a month must still be known when it runs again. */
enum { RUNS_KEPT_DAYS = 100 };

static int64_t kept_ms(const struct rule_condition *c)
{
    return c->window_ms == 0 || c->kind == RULE_FLAPS ? (int64_t)RUNS_KEPT_DAYS * 86400000 : c->window_ms + LATE_MS;
}

static void window_changed(struct engine *e, struct window *w)
{
    int64_t over_ms = newest_ms(w);
    window_touch(e, w);
    if (over_ms < e->now_ms) over_ms = e->now_ms; /* late events count among themselves, too */
    timer_set(e, &w->timer, over_ms + kept_ms(&w->rule->now->condition));
}

void window_add(struct engine *e, struct window *w, struct window_entry entry)
{
    entries_insert(e, w, entry);
    drop_old(e, w);
    keep_bound(e, w);
    window_changed(e, w);
}

struct stretch { struct window_entry all; int64_t event_ms, apart_ms; bool is_first; };

static bool near_stretch(void *ctx, size_t at, const struct window_entry *x)
{
    struct stretch *s = ctx;
    (void)at;
    if (s->event_ms <= x->event_ms - s->apart_ms || s->event_ms >= (int64_t)x->mark + s->apart_ms) return false;
    if (x->event_ms < s->all.event_ms) s->all.event_ms = x->event_ms;
    if ((int64_t)x->mark > (int64_t)s->all.mark) s->all.mark = x->mark;
    s->is_first = false;
    return true;
}

/* What `first` remembers is stretches: hits that are nearer to each other than the rule's time are one, from the first
 * of them to the last. Whatever falls near a stretch is not the first, and widens it; it may close the gap to the next. */
bool window_first(struct engine *e, struct window *w, int64_t event_ms, struct str run)
{
    struct stretch s = { { event_ms, str_hash_stable(run), (uint64_t)event_ms }, event_ms, w->rule->now->condition.window_ms, true };
    entries_remove_if(e, w, near_stretch, &s);
    window_add(e, w, s.all);
    return s.is_first;
}

void window_put_run(struct engine *e, struct window *w, struct window_entry entry, bool fresh)
{
    if (fresh) {
        window_add(e, w, entry);
        return;
    }
    for (size_t k = w->entries.n; k-- > 0;) {
        if (w->entries.v[k].run != entry.run) continue;
        if (w->entries.v[k].mark == entry.mark) return;
        w->entries.v[k].mark = entry.mark;
        entries_changed(w, k);
        window_touch(e, w);
        return;
    }
}

static bool is_entry(void *ctx, size_t at, const struct window_entry *entry)
{
    (void)entry;
    return at == *(const size_t *)ctx;
}

void window_drop_run(struct engine *e, struct window *w, uint64_t run)
{
    for (size_t k = w->entries.n; k-- > 0;) {
        if (w->entries.v[k].run != run) continue;
        entries_remove_if(e, w, is_entry, &k);
        window_touch(e, w);
        return;
    }
}

static bool has_mark(void *ctx, size_t at, const struct window_entry *entry)
{
    (void)at;
    return entry->mark == *(const uint64_t *)ctx;
}

void window_forget(struct engine *e, struct window *w, uint64_t mark)
{
    entries_remove_if(e, w, has_mark, &mark);
    window_touch(e, w);
}

bool window_holds(const struct window *w, int64_t now_ms, int64_t *clears_ms)
{
    const struct rule_condition *c = &w->rule->now->condition;
    size_t from = behind(w, now_ms - c->window_ms), at = w->entries.n;
    int64_t n = 0;
    struct tally t;
    *clears_ms = now_ms;
    if ((int64_t)(at - from) < c->n) return false;
    tally_init(&t, counts_distinct(c) ? at - from : 0);
    while (at > from && n < c->n) { /* from the newest back: the one that makes it n leaves last */
        at--;
        if (counts_distinct(c)) tally_add(&t, counted(c, &w->entries.v[at]));
        n = counts_distinct(c) ? t.distinct : n + 1;
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
        const struct window_entry *x = &w->entries.v[k];
        uint64_t run = x->run;
        bool same_hit = k > span.from && x->mark && x[-1].mark && run == x[-1].run && x->event_ms == x[-1].event_ms; /* another of its values */
        i->hits += !same_hit;
        if (keeps_run(i, run)) continue;
        i->run_count++;
        if (i->runs_kept < e->limits.runs_per_incident) incident_keep_run(i, run);
    }
}

static struct str cell_key(struct arena *a, const struct window *w, struct str chunk)
{
    const struct str parts[] = { STR("w"), w->rule->name, w->part->project, w->part->env, window_key(w), chunk };
    return name_joined(a, parts, chunk.n ? 6 : 5);
}

struct str window_cell_key(struct arena *a, const struct window *w)
{
    return cell_key(a, w, STR(""));
}

struct str window_chunk_key(struct arena *a, const struct window *w, int64_t number)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%016llx", (unsigned long long)number); /* in the order of the numbers */
    return cell_key(a, w, (struct str){ text, (size_t)n });
}

void window_drop(struct engine *e, struct window *w)
{
    struct arena a = { 0 };
    cell_gone(e, window_cell_key(&a, w));
    entries_gone(e, w);
    arena_fini(&a);
    timer_drop(e, &w->timer);
    index_remove(&e->windows, w->key_hash, w);
    w->rule->windows--;
    e->stats.windows--;
    if (w->dirty) e->dirty_windows.v[w->dirty - 1] = NULL;
    entries_free(w);
    free(w);
}
