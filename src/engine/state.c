/* state: interned names, the incident indexes, runs of an incident. */
#include <stdlib.h>
#include <string.h>

#include "engine/engine_internal.h"

/* --- interning -------------------------------------------------------------------------------------------- */
struct str name_joined(struct arena *a, const struct str *parts, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    size_t room = 1, at = 0;
    char *p;
    for (size_t k = 0; k < n; k++) room += 3 * parts[k].n + 1;
    p = arena_alloc(a, room);
    for (size_t k = 0; k < n; k++) {
        if (k > 0) p[at++] = '/';
        for (size_t i = 0; i < parts[k].n; i++) {
            unsigned char c = (unsigned char)parts[k].p[i];
            if (c >= 0x20 && c != '/' && c != '%') {
                p[at++] = (char)c;
                continue;
            }
            p[at++] = '%';
            p[at++] = hex[c >> 4];
            p[at++] = hex[c & 15];
        }
    }
    p[at] = '\0';
    return (struct str){ p, at };
}

/* With the length in front no two pairs look alike. */
static struct str part_name(struct str project, struct str env, char *room, size_t room_bytes)
{
    size_t length = project.n, n = sizeof length + project.n + env.n;
    char *full = n <= room_bytes ? room : xmalloc(n);
    memcpy(full, &length, sizeof length);
    memcpy(full + sizeof length, project.p ? project.p : "", project.n);
    memcpy(full + sizeof length + project.n, env.p ? env.p : "", env.n);
    return (struct str){ full, n };
}

struct part *part_find(struct engine *e, struct str project, struct str env)
{
    char room[512];
    struct str name = part_name(project, env, room, sizeof room);
    struct part *p = map_get(&e->parts, name);
    if (name.p != room) free((char *)(uintptr_t)name.p);
    return p;
}

struct part *part_get(struct engine *e, struct str project, struct str env)
{
    char room[512];
    struct str name = part_name(project, env, room, sizeof room);
    struct part *p = map_get(&e->parts, name);
    if (!p) {
        struct str kept = str_dup(&e->names, name);
        p = ARENA_NEW(&e->names, struct part);
        p->project = str_sub(kept, sizeof(size_t), project.n);
        p->env = str_sub(kept, sizeof(size_t) + project.n, env.n);
        map_put(&e->parts, kept, p);
    }
    if (name.p != room) free((char *)(uintptr_t)name.p);
    return p;
}

struct place *place_get(struct engine *e, struct str name)
{
    struct place *p = map_get(&e->places, name);
    if (p) return p;
    p = ARENA_NEW(&e->names, struct place);
    p->name = str_dup(&e->names, name);
    for (size_t i = 0; i < e->rules->destination_count; i++)
        if (str_eq(e->rules->destinations[i].name, name)) p->now = &e->rules->destinations[i];
    map_put(&e->places, p->name, p);
    return p;
}

struct engine_rule *engine_rule_get(struct engine *e, struct str name)
{
    struct engine_rule *r = map_get(&e->engine_rules, name);
    if (r) return r;
    r = ARENA_NEW(&e->names, struct engine_rule);
    r->name = str_dup(&e->names, name);
    engine_rule_bind(e, r, ruleset_find(e->rules, name));
    map_put(&e->engine_rules, r->name, r);
    return r;
}

/* --- the incident indexes ---------------------------------------------------------------------------------- */
struct wanted {
    const struct engine_rule *rule;
    const struct part *part;
    struct str key;
    uint32_t hash;
};

uint32_t key_hash(const struct engine_rule *r, const struct part *p, struct str key)
{
    uint64_t h = str_hash(key);
    h ^= (uint64_t)(uintptr_t)r * 0x9e3779b97f4a7c15u;
    h ^= (uint64_t)(uintptr_t)p * 0xc2b2ae3d27d4eb4fu;
    h ^= h >> 29;
    return (uint32_t)(h ^ h >> 32);
}

static bool same_key(const void *element, const void *wanted)
{
    const struct incident *i = element;
    const struct wanted *w = wanted;
    return i->key_hash == w->hash && i->rule == w->rule && i->part == w->part && str_eq(incident_key(i), w->key);
}

static uint32_t hash_of_key(const void *element)
{
    return ((const struct incident *)element)->key_hash;
}

/* Identities are compared by a 32-bit hash and rule and part: a collision costs a needless look, since who
 * asks checks nothing more than that a success belongs to the population. So the full text is kept out of
 * memory; the chance of a wrong resolve is 2^-32 per pair of keys of one rule. */
static bool same_identity(const void *element, const void *wanted)
{
    const struct incident *i = element;
    const struct wanted *w = wanted;
    return i->identity_hash == w->hash && i->rule == w->rule && i->part == w->part;
}

static uint32_t hash_of_identity(const void *element)
{
    return ((const struct incident *)element)->identity_hash;
}

struct incident *incident_find(struct engine *e, struct engine_rule *r, struct part *p, struct str key)
{
    struct wanted w = { r, p, key, key_hash(r, p, key) };
    return index_find(&e->incident_keys, w.hash, same_key, &w);
}

static uint32_t identity_hash(struct str identity)
{
    uint64_t h = str_hash_stable(identity); /* stored, so the same in every process */
    return (uint32_t)(h ^ h >> 32) | 1;     /* 0 means none */
}

struct incident *incident_first_by_identity(struct engine *e, struct engine_rule *r, struct part *p, struct str identity)
{
    struct wanted w = { r, p, identity, identity_hash(identity) };
    return index_find(&e->incident_identities, w.hash, same_identity, &w);
}

static struct incident **slot_by_id(struct engine *e, uint64_t id)
{
    size_t low = 0, high = e->id_slots.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (e->id_slots.v[mid] < id) low = mid + 1;
        else high = mid;
    }
    return low < e->id_slots.n && e->id_slots.v[low] == id ? &e->by_id.v[low] : NULL;
}

struct incident *incident_by_id(struct engine *e, uint64_t id)
{
    struct incident **slot = slot_by_id(e, id);
    return slot ? *slot : NULL;
}

static int by_id_order(const void *a, const void *b)
{
    const struct incident *x = *(struct incident *const *)a, *y = *(struct incident *const *)b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void compact_ids(struct engine *e)
{
    size_t kept = 0;
    for (size_t i = 0; i < e->by_id.n; i++) {
        if (!e->by_id.v[i]) continue;
        e->id_slots.v[kept] = e->by_id.v[i]->id;
        e->by_id.v[kept++] = e->by_id.v[i];
    }
    e->by_id.n = e->id_slots.n = kept;
    e->by_id_dead = 0;
}

void incident_link_identity(struct engine *e, struct incident *i, uint32_t hash)
{
    struct wanted w = { i->rule, i->part, STR_NONE, hash };
    struct incident *first = index_find(&e->incident_identities, hash, same_identity, &w);
    i->identity_hash = hash;
    if (!first || first->id < i->id) { /* the youngest leads, so that the order is the same however it came to be */
        if (first) index_remove(&e->incident_identities, hash, first);
        i->sibling = first;
        index_put(&e->incident_identities, hash, i, hash_of_identity);
        return;
    }
    while (first->sibling && first->sibling->id > i->id) first = first->sibling;
    i->sibling = first->sibling;
    first->sibling = i;
}

struct incident *incident_new(struct engine *e, struct engine_rule *r, struct part *p, struct str key, struct str identity, uint64_t id)
{
    struct incident *i = xcalloc(1, sizeof *i + key.n + 1);
    if (key.n) memcpy(i + 1, key.p, key.n);
    i->timer = (struct timer){ ENGINE_NEVER, 0, TIMER_INCIDENT };
    i->id = id;
    i->rule = r;
    i->part = p;
    i->key_bytes = (uint32_t)key.n;
    i->key_hash = key_hash(r, p, key);
    index_put(&e->incident_keys, i->key_hash, i, hash_of_key);
    if (!str_absent(identity)) incident_link_identity(e, i, identity_hash(identity));
    *vec_push(&e->by_id) = i;
    *vec_push(&e->id_slots) = id;
    if (e->by_id.n > 1 && e->id_slots.v[e->by_id.n - 2] > id) e->by_id_mixed = true; /* restored out of order */
    r->open++;
    return i;
}

void incidents_restored(struct engine *e)
{
    if (!e->by_id_mixed) return;
    e->by_id_mixed = false;
    compact_ids(e);
    // NOLINTNEXTLINE(bugprone-sizeof-expression): elements are pointers
    qsort(e->by_id.v, e->by_id.n, sizeof *e->by_id.v, by_id_order);
    for (size_t k = 0; k < e->by_id.n; k++) e->id_slots.v[k] = e->by_id.v[k]->id;
}

static void unlink_identity(struct engine *e, struct incident *i)
{
    struct wanted w = { i->rule, i->part, STR_NONE, i->identity_hash };
    struct incident *first = index_find(&e->incident_identities, w.hash, same_identity, &w);
    if (!first) return;
    if (first == i) {
        index_remove(&e->incident_identities, i->identity_hash, i);
        if (i->sibling) index_put(&e->incident_identities, i->sibling->identity_hash, i->sibling, hash_of_identity);
        return;
    }
    while (first->sibling && first->sibling != i) first = first->sibling;
    if (first->sibling == i) first->sibling = i->sibling;
}

void incident_forget(struct engine *e, struct incident *i)
{
    struct incident **slot = slot_by_id(e, i->id);
    index_remove(&e->incident_keys, i->key_hash, i);
    if (i->identity_hash) unlink_identity(e, i);
    timer_drop(e, &i->timer);
    if (slot) *slot = NULL;
    if (++e->by_id_dead > 64 && e->by_id_dead * 2 > e->by_id.n) compact_ids(e);
    i->rule->open--;
    i->ended = true;
    incident_touch(e, i);
}

void incident_free(struct engine *e, struct incident *i)
{
    e->detail_bytes -= i->detail_bytes;
    hold_free(i);
    for (size_t k = 0; k < i->told_count; k++) free(incident_told(i)[k].params);
    for (size_t k = 0; k < i->step_count; k++) free(i->steps[k].params);
    if (i->told_count > 1) free(i->told.many);
    free(i->steps);
    if (i->runs_kept > 1) free(i->runs.many);
    if (incident_waits(i) > DUE_FEW) free(i->due.many);
    free(i->detail);
    free(i->first_run);
    free(i->last_run);
    free(i);
}

void incident_touch(struct engine *e, struct incident *i)
{
    if (i->dirty) return;
    i->dirty = true;
    *vec_push(&e->dirty) = i;
}

struct told *incident_add_told(struct incident *i, struct told t)
{
    struct told *many = i->told_count > 1 ? i->told.many : NULL;
    if (i->told_count > 0) {
        many = xrealloc(many, (size_t)(i->told_count + 1) * sizeof *many);
        if (i->told_count == 1) many[0] = i->told.one;
        i->told.many = many;
    }
    i->told_count++;
    *incident_told_at(i, i->told_count - 1u) = t;
    return incident_told_at(i, i->told_count - 1u);
}

/* --- runs of an incident -------------------------------------------------------------------------------------- */
bool incident_has_run(const struct incident *i, struct str run)
{
    const uint64_t h = str_hash_stable(run), *runs = incident_runs(i);
    for (size_t k = i->runs_kept; k-- > 0;)
        if (runs[k] == h) return true;
    return false;
}

void incident_keep_run(struct incident *i, uint64_t hash)
{
    uint64_t first = i->runs.one;
    if (i->runs_kept == 0) {
        i->runs.one = hash;
        i->runs_kept = 1;
        return;
    }
    if (i->runs_kept == 1) {
        i->runs.many = xmalloc(2 * sizeof hash);
        i->runs.many[0] = first;
    } else if ((i->runs_kept & (i->runs_kept - 1)) == 0) { /* grows at powers of two */
        i->runs.many = xrealloc(i->runs.many, (size_t)i->runs_kept * 2 * sizeof hash);
    }
    i->runs.many[i->runs_kept++] = hash;
}

bool incident_add_run(struct engine *e, struct incident *i, struct str run)
{
    if (incident_has_run(i, run)) return false;
    i->run_count++;
    if (i->runs_kept >= e->limits.runs_per_incident) return true; /* counted, not remembered */
    incident_keep_run(i, str_hash_stable(run));
    return true;
}

static struct str key_run(const struct incident *i)
{
    return i->rule->now->by_run && i->rule->now->by_count == 1 ? incident_key(i) : STR_NONE;
}

struct str incident_last_run(const struct incident *i)
{
    return i->last_run ? str_c(i->last_run) : key_run(i);
}

struct str incident_first_run(const struct incident *i)
{
    return i->first_run ? str_c(i->first_run) : key_run(i);
}

static char *text_dup(struct str s)
{
    char *p = xmalloc(s.n + 1);
    memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

void incident_set_last_run(struct incident *i, struct str run)
{
    if (str_eq(run, incident_key(i))) return; /* by: run needs no second copy */
    if (!i->first_run) i->first_run = text_dup(run);
    if (i->last_run && str_eq_c(run, i->last_run)) return;
    free(i->last_run);
    i->last_run = text_dup(run);
}
