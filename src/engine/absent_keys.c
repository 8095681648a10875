/* absent_keys: the registry of the keys that are waited for, and when what is known of them can be trusted. */
#include <stdlib.h>
#include <string.h>

#include "engine/absent.h"

struct absent_rule *absent_rule_get(struct engine_rule *r)
{
    if (!r->absent) r->absent = xcalloc(1, sizeof *r->absent);
    return r->absent;
}

void absent_rule_touch(struct engine *e, struct engine_rule *r)
{
    if (r->absent->dirty) return;
    r->absent->dirty = true;
    *vec_push(&e->absences.dirty_rules) = r;
}

/* --- what a group's sources have told ------------------------------------------------------------------------- */
static bool carries(const struct engine_source *s, const struct absent_group *g)
{
    const struct rule *r = g->rule->now;
    if (!str_eq(s->project, g->part->project) || (s->env.n && !str_eq(s->env, g->part->env))) return false;
    return (rule_states(r) & s->states) && !(rule_needs(r) & ~s->fields);
}

/* Where nobody can hear, nothing is known: it never runs out. */
static void listen_for(struct engine *e, struct absent_group *g)
{
    bool anybody = false;
    g->told_ms = ENGINE_NEVER;
    g->heard_ms = INT64_MIN;
    for (size_t k = 0; k < e->absences.sources.n; k++) {
        const struct engine_source *s = &e->absences.sources.v[k];
        if (!carries(s, g)) continue;
        if (s->told_ms < g->told_ms) g->told_ms = s->told_ms;
        if (!anybody || s->heard_ms < g->heard_ms) g->heard_ms = s->heard_ms;
        anybody = true;
    }
    if (e->absences.told && !anybody) g->told_ms = INT64_MIN;
}

/* What is overdue and not told yet waits for its sources. That it is so is seen at the moment it becomes due. */
void absent_group_rearm(struct engine *e, struct absent_group *g)
{
    int64_t due_ms = g->heap.n ? g->heap.v[0]->due_ms : ENGINE_NEVER;
    timer_set(e, &g->timer, due_ms > g->told_ms && due_ms <= e->now_ms ? ENGINE_NEVER : due_ms);
}

void absent_listen(struct engine *e)
{
    for (size_t k = 0; k < e->absences.groups.n; k++) {
        listen_for(e, e->absences.groups.v[k]);
        absent_group_rearm(e, e->absences.groups.v[k]);
    }
}

/* --- groups ------------------------------------------------------------------------------------------------------ */
static struct absent_group *group_new(struct engine *e, struct engine_rule *r, struct part *p)
{
    struct absent_group *g = xcalloc(1, sizeof *g);
    const struct str parts[] = { r->name, p->project, p->env };
    struct arena a = { 0 };
    g->timer = (struct timer){ ENGINE_NEVER, 0, TIMER_ABSENT };
    g->id = str_hash_stable(name_joined(&a, parts, 3));
    g->rule = r;
    g->part = p;
    listen_for(e, g);
    *vec_push(&e->absences.groups) = g;
    arena_fini(&a);
    return g;
}

struct absent_group *absent_group_get(struct engine *e, struct engine_rule *r, struct part *p)
{
    for (size_t k = e->absences.groups.n; k-- > 0;) {
        struct absent_group *g = e->absences.groups.v[k];
        if (g->rule == r && g->part == p) return g;
    }
    return group_new(e, r, p);
}

uint64_t absent_group_id(const struct timer *t)
{
    return ((const struct absent_group *)(const void *)t)->id;
}

/* --- the heap of a group ------------------------------------------------------------------------------------------ */
static bool before(const struct absent_key *a, const struct absent_key *b)
{
    if (a->due_ms != b->due_ms) return a->due_ms < b->due_ms;
    return str_cmp(absent_key_text(a), absent_key_text(b)) < 0;
}

static void put_at(struct absent_group *g, size_t at, struct absent_key *k)
{
    g->heap.v[at] = k;
    k->at = (uint32_t)at + 1;
}

static void sift_up(struct absent_group *g, size_t at)
{
    struct absent_key *k = g->heap.v[at];
    while (at > 0 && before(k, g->heap.v[(at - 1) / 2])) {
        put_at(g, at, g->heap.v[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put_at(g, at, k);
}

static void sift_down(struct absent_group *g, size_t at)
{
    struct absent_key *k = g->heap.v[at];
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= g->heap.n) break;
        if (child + 1 < g->heap.n && before(g->heap.v[child + 1], g->heap.v[child])) child++;
        if (!before(g->heap.v[child], k)) break;
        put_at(g, at, g->heap.v[child]);
        at = child;
    }
    put_at(g, at, k);
}

static void take_out(struct absent_group *g, struct absent_key *k)
{
    size_t at = k->at;
    struct absent_key *last;
    if (at == 0) return;
    at--;
    k->at = 0;
    last = g->heap.v[--g->heap.n];
    if (last == k) return;
    put_at(g, at, last);
    sift_down(g, at);
    sift_up(g, last->at - 1);
}

void absent_key_wait(struct engine *e, struct absent_key *k, int64_t due_ms)
{
    struct absent_group *g = k->group;
    take_out(g, k);
    k->due_ms = due_ms;
    if (due_ms != ENGINE_NEVER) {
        *vec_push(&g->heap) = k;
        sift_up(g, g->heap.n - 1);
    }
    absent_group_rearm(e, g);
    absent_key_touch(e, k);
}

/* --- keys --------------------------------------------------------------------------------------------------------- */
struct wanted_key { const struct engine_rule *rule; const struct part *part; struct str key; uint32_t hash; };

static bool same_key(const void *element, const void *wanted)
{
    const struct absent_key *k = element;
    const struct wanted_key *w = wanted;
    return k->key_hash == w->hash && k->group->rule == w->rule && k->group->part == w->part && str_eq(absent_key_text(k), w->key);
}

static uint32_t hash_of(const void *element)
{
    return ((const struct absent_key *)element)->key_hash;
}

struct absent_key *absent_key_find(struct engine *e, struct engine_rule *r, struct part *p, struct str key)
{
    struct wanted_key w = { r, p, key, key_hash(r, p, key) };
    return index_find(&e->absences.keys, w.hash, same_key, &w);
}

struct absent_key *absent_key_new(struct engine *e, struct absent_group *g, struct str key)
{
    struct absent_key *k = xcalloc(1, sizeof *k + key.n + 1);
    if (key.n) memcpy(k + 1, key.p, key.n);
    k->group = g;
    k->key_bytes = (uint32_t)key.n;
    k->key_hash = key_hash(g->rule, g->part, key);
    k->due_ms = ENGINE_NEVER;
    index_put(&e->absences.keys, k->key_hash, k, hash_of);
    absent_rule_get(g->rule)->keys++;
    e->stats.absent_keys++;
    return k;
}

void absent_key_touch(struct engine *e, struct absent_key *k)
{
    if (k->dirty) return;
    k->dirty = true;
    *vec_push(&e->absences.dirty_keys) = k;
}

static struct str heap_dup(struct str s)
{
    char *p = xmalloc(s.n + 1);
    memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return (struct str){ p, s.n };
}

static void forget_dirty(struct engine *e, const struct absent_key *k)
{
    for (size_t n = 0; k->dirty && n < e->absences.dirty_keys.n; n++)
        if (e->absences.dirty_keys.v[n] == k) e->absences.dirty_keys.v[n] = NULL;
}

static void free_key(struct engine *e, struct absent_key *k)
{
    index_remove(&e->absences.keys, k->key_hash, k);
    k->group->rule->absent->keys--;
    e->stats.absent_keys--;
    free(k);
}

void absent_key_drop(struct engine *e, struct absent_key *k)
{
    struct absent_group *g = k->group;
    struct arena a = { 0 };
    *vec_push(&e->gone_cells) = heap_dup(absent_cell_key(&a, g->rule->name, g->part->project, g->part->env, absent_key_text(k)));
    arena_fini(&a);
    take_out(g, k);
    absent_group_rearm(e, g);
    forget_dirty(e, k);
    free_key(e, k);
}

/* --- the end of a rule, and of everything --------------------------------------------------------------------------- */
void absent_forget(struct engine *e, struct engine_rule *r)
{
    struct absences *all = &e->absences;
    struct absent_key *k;
    size_t at = 0, kept = 0;
    if (!r->absent) return;
    while (r->absent->keys > 0 && (k = index_next(&all->keys, &at)))
        if (k->group->rule == r) absent_key_drop(e, k);
    for (size_t n = 0; n < all->groups.n; n++) {
        struct absent_group *g = all->groups.v[n];
        if (g->rule != r) {
            all->groups.v[kept++] = g;
            continue;
        }
        timer_drop(e, &g->timer);
        vec_free(&g->heap);
        free(g);
    }
    all->groups.n = kept;
    r->absent->loaded_ms = 0;
    absent_rule_touch(e, r);
}

void absent_fini(struct engine *e)
{
    struct absences *all = &e->absences;
    struct absent_key *k;
    struct map_entry *m;
    size_t at = 0;
    while ((k = index_next(&all->keys, &at))) free(k);
    for (size_t n = 0; n < all->groups.n; n++) {
        vec_free(&all->groups.v[n]->heap);
        free(all->groups.v[n]);
    }
    at = 0;
    while ((m = map_next(&e->engine_rules, &at))) free(((struct engine_rule *)m->value)->absent);
    free(all->keys.slots);
    vec_free(&all->groups);
    vec_free(&all->dirty_keys);
    vec_free(&all->dirty_rules);
    vec_free(&all->heard);
    vec_free(&all->dirty_heard);
    vec_free(&all->sources);
    arena_fini(&all->source_texts);
}

/* --- how many wait for a source -------------------------------------------------------------------------------------- */
enum { UNKNOWN_MOST = 10000 }; /* counted; it is told with every commit */

static size_t overdue(const struct absent_group *g, size_t at, int64_t now_ms, size_t most)
{
    size_t n = 1;
    if (most == 0 || at >= g->heap.n || g->heap.v[at]->due_ms > now_ms) return 0;
    n += overdue(g, 2 * at + 1, now_ms, most - n);
    return n + overdue(g, 2 * at + 2, now_ms, most - n);
}

size_t absent_unknown(const struct engine *e)
{
    size_t n = 0;
    for (size_t k = 0; k < e->absences.groups.n && n < UNKNOWN_MOST; k++) {
        const struct absent_group *g = e->absences.groups.v[k];
        if (g->told_ms < e->now_ms) n += overdue(g, 0, e->now_ms, UNKNOWN_MOST - n);
    }
    return n;
}
