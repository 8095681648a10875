/* watched: the runs that are watched, their keys, and how both are kept (lasts.h). */
#include <stdlib.h>
#include <string.h>

#include "engine/lasts.h"

enum { BLOB_CEILING = 1024 * 1024 };

struct lasts *lasts_new(void)
{
    return xcalloc(1, sizeof(struct lasts));
}

size_t lasts_runs(const struct engine *e)
{
    return e->lasts->runs.n;
}

/* --- runs -------------------------------------------------------------------------------------------------------- */
struct wanted_run { struct str project, env, run; uint32_t hash; };

static uint32_t hash_of(struct str project, struct str env, struct str run)
{
    uint64_t h = str_hash(run) ^ str_hash(project) * 0x9e3779b97f4a7c15u ^ str_hash(env) * 0xc2b2ae3d27d4eb4fu;
    h ^= h >> 29;
    return (uint32_t)(h ^ h >> 32);
}

static bool same_run(const void *element, const void *wanted)
{
    const struct watched *w = element;
    const struct wanted_run *x = wanted;
    return w->hash == x->hash && str_eq(watched_id(w), x->run) && str_eq(w->part->env, x->env) && str_eq(w->part->project, x->project);
}

static uint32_t hash_of_run(const void *element)
{
    return ((const struct watched *)element)->hash;
}

struct watched *watched_find(const struct engine *e, struct str project, struct str env, struct str run)
{
    struct wanted_run x = { project, env, run, 0 };
    if (e->lasts->runs.n == 0) return NULL;
    x.hash = hash_of(project, env, run);
    return index_find(&e->lasts->runs, x.hash, same_run, &x);
}

struct watched *watched_new(struct engine *e, struct part *p, struct str run)
{
    struct watched *w = xcalloc(1, sizeof *w + run.n + 1);
    if (run.n) memcpy(w + 1, run.p, run.n);
    w->timer = (struct timer){ ENGINE_NEVER, 0, TIMER_WATCHED };
    w->part = p;
    w->id_bytes = (uint32_t)run.n;
    w->hash = hash_of(p->project, p->env, run);
    index_put(&e->lasts->runs, w->hash, w, hash_of_run);
    return w;
}

uint64_t lasts_timer_id(const struct timer *t)
{
    return ((const struct watched *)(const void *)t)->event_id;
}

void watched_touch(struct engine *e, struct watched *w)
{
    if (w->dirty) return;
    w->dirty = true;
    *vec_push(&e->lasts->dirty) = w;
}

void watched_rearm(struct engine *e, struct watched *w)
{
    int64_t due_ms = ENGINE_NEVER;
    for (size_t k = 0; k < w->stay_count; k++)
        if (w->stays[k].due_ms < due_ms) due_ms = w->stays[k].due_ms;
    timer_set(e, &w->timer, due_ms);
}

/* --- what is kept of a run ------------------------------------------------------------------------------------------ */
static struct str cell_key(struct arena *a, const struct watched *w)
{
    const struct str parts[] = { STR("r"), w->part->project, w->part->env, watched_id(w) };
    return name_joined(a, parts, 4);
}

static void drop_detail(struct lasts *l, struct watched *w)
{
    if (!w->detail) return;
    if (w->older) w->older->newer = w->newer;
    else l->oldest = w->newer;
    if (w->newer) w->newer->older = w->older;
    else l->newest = w->older;
    w->older = w->newer = NULL;
    l->detail_bytes -= w->detail_bytes;
    free(w->detail);
    w->detail = NULL;
    w->detail_bytes = 0;
}

void watched_keep_detail(struct engine *e, struct watched *w, struct str text)
{
    struct lasts *l = e->lasts;
    drop_detail(l, w);
    w->detail = xmalloc(text.n + 1);
    memcpy(w->detail, text.p, text.n);
    w->detail[text.n] = '\0';
    w->detail_bytes = (uint32_t)text.n;
    l->detail_bytes += text.n;
    w->older = l->newest;
    if (w->older) w->older->newer = w;
    else l->oldest = w;
    l->newest = w;
}

int watched_page_in(struct engine *e, struct watched *w, struct err *err)
{
    struct arena a = { 0 };
    struct json root = { 0 };
    struct str blob = STR_NONE;
    if (w->detail) return 0;
    if (e->cell && e->cell(e->detail_ctx, cell_key(&a, w), &a, &blob) == 0 && !str_absent(blob) && json_parse(&a, blob, &json_own_limits, &root, NULL, err) == 0)
        watched_keep_detail(e, w, json_text(json_get_c(root, "detail")));
    arena_fini(&a);
    return w->detail ? 0 : err_set(err, ERR_IO, "what is kept of a watched run could not be read back");
}

bool lasts_lost(const struct engine *e, struct err *err)
{
    if (e->lasts->lost) (void)err_set(err, ERR_IO, "what is kept of a watched run could not be read back");
    return e->lasts->lost;
}

enum { KEEP_MORE = 16 }; /* runs that are watched are looked at again, most of them soon */

void lasts_trim(struct engine *e, size_t keep_bytes)
{
    struct lasts *l = e->lasts;
    for (struct watched *w = l->oldest, *next; w && e->cell && l->detail_bytes > KEEP_MORE * keep_bytes; w = next) {
        next = w->newer;
        if (!w->dirty) drop_detail(l, w); /* else it has not been handed out yet */
    }
}

static void watched_free(struct lasts *l, struct watched *w)
{
    drop_detail(l, w);
    free(w->stays);
    free(w);
}

void watched_forget(struct engine *e, struct watched *w)
{
    index_remove(&e->lasts->runs, w->hash, w);
    timer_drop(e, &w->timer);
    w->ended = true;
    watched_touch(e, w);
}

static int in_order(const void *a, const void *b)
{
    const struct watched *x = *(struct watched *const *)a, *y = *(struct watched *const *)b;
    if (x->event_id != y->event_id) return x->event_id < y->event_id ? -1 : 1;
    return str_cmp(watched_id(x), watched_id(y));
}

struct watched **watched_all(const struct engine *e, size_t *n)
{
    // NOLINTNEXTLINE(bugprone-sizeof-expression): elements are pointers
    struct watched **all = xcalloc(e->lasts->runs.n + 1, sizeof *all), *w;
    size_t at = 0;
    *n = 0;
    while ((w = index_next(&e->lasts->runs, &at))) all[(*n)++] = w;
    // NOLINTNEXTLINE(bugprone-sizeof-expression): elements are pointers
    qsort(all, *n, sizeof *all, in_order);
    return all;
}

/* --- keys -------------------------------------------------------------------------------------------------------- */
struct wanted_crowd { const struct engine_rule *rule; const struct part *part; struct str key; uint32_t hash; };

static bool same_crowd(const void *element, const void *wanted)
{
    const struct crowd *c = element;
    const struct wanted_crowd *x = wanted;
    return c->hash == x->hash && c->rule == x->rule && c->part == x->part && str_eq(c->key, x->key);
}

static uint32_t hash_of_crowd(const void *element)
{
    return ((const struct crowd *)element)->hash;
}

struct crowd *crowd_find(const struct engine *e, const struct engine_rule *r, const struct part *p, struct str key)
{
    struct wanted_crowd x = { r, p, key, key_hash(r, p, key) };
    return index_find(&e->lasts->crowds, x.hash, same_crowd, &x);
}

struct crowd *crowd_get(struct engine *e, struct engine_rule *r, struct part *p, struct str key)
{
    struct crowd *c = crowd_find(e, r, p, key);
    char *text;
    if (c) return c;
    c = xcalloc(1, sizeof *c + key.n + 1);
    text = (char *)(c + 1);
    if (key.n) memcpy(text, key.p, key.n);
    *c = (struct crowd){ .rule = r, .part = p, .key = { text, key.n }, .hash = key_hash(r, p, key) };
    index_put(&e->lasts->crowds, c->hash, c, hash_of_crowd);
    return c;
}

void member_join(struct member *m, struct crowd *crowd, struct watched *w)
{
    *m = (struct member){ .crowd = crowd, .run = w, .after = crowd->members };
    if (m->after) m->after->before = m;
    crowd->members = m;
}

void member_leave(struct engine *e, struct member *m)
{
    struct crowd *c = m->crowd;
    if (!c) return;
    if (m->counts) c->still--;
    if (m->before) m->before->after = m->after;
    else c->members = m->after;
    if (m->after) m->after->before = m->before;
    m->crowd = NULL;
    m->counts = false;
    if (c->members) return;
    index_remove(&e->lasts->crowds, c->hash, c);
    free(c);
}

/* --- stays ------------------------------------------------------------------------------------------------------- */
struct stay *stay_find(const struct watched *w, const struct engine_rule *r)
{
    for (size_t k = 0; k < w->stay_count; k++)
        if (w->stays[k].rule == r) return &w->stays[k];
    return NULL;
}

struct stay *stay_add(struct watched *w, struct engine_rule *r)
{
    struct stay *s;
    w->stays = xrealloc(w->stays, (w->stay_count + 1) * sizeof *w->stays);
    s = &w->stays[w->stay_count++];
    *s = (struct stay){ .rule = r, .due_ms = ENGINE_NEVER, .phase = STAY_WAITS };
    r->stays++;
    return s;
}

void stay_set_phase(struct engine *e, struct stay *s, enum stay_phase phase)
{
    if (s->phase == STAY_ASKED) e->lasts->asked--;
    if (phase == STAY_ASKED) e->lasts->asked++;
    s->phase = (uint8_t)phase;
}

void stay_remove(struct engine *e, struct watched *w, struct stay *s)
{
    size_t at = (size_t)(s - w->stays);
    stay_set_phase(e, s, STAY_WAITS);
    free(s->members);
    s->rule->stays--;
    memmove(s, s + 1, (w->stay_count - at - 1) * sizeof *s);
    w->stay_count--;
}

void stay_set_keys(struct engine *e, struct watched *w, struct stay *s, const struct str *keys, size_t n)
{
    s->members = n ? xcalloc(n, sizeof *s->members) : NULL;
    s->member_count = (uint16_t)n;
    for (size_t k = 0; k < n; k++) member_join(&s->members[k], crowd_get(e, s->rule, w->part, keys[k]), w);
}

bool stay_has_key(const struct stay *s, struct str key)
{
    for (size_t k = 0; k < s->member_count; k++)
        if (str_eq(s->members[k].crowd->key, key)) return true;
    return false;
}

void lasts_free(struct engine *e)
{
    struct lasts *l = e->lasts;
    struct watched *w;
    size_t at = 0;
    for (size_t k = 0; k < l->dirty.n; k++)
        if (l->dirty.v[k]->ended) watched_free(l, l->dirty.v[k]);
    while ((w = index_next(&l->runs, &at))) {
        timer_drop(e, &w->timer);
        for (size_t k = 0; k < w->stay_count; k++) {
            for (size_t i = 0; i < w->stays[k].member_count; i++) member_leave(e, &w->stays[k].members[i]);
            free(w->stays[k].members);
        }
        watched_free(l, w);
    }
    free(l->runs.slots);
    free(l->crowds.slots);
    vec_free(&l->dirty);
    free((char *)(uintptr_t)l->names.p);
    rule_scratch_fini(&l->scratch);
    free(l);
}

/* --- as rows ----------------------------------------------------------------------------------------------------- */
static void write_stay(const struct stay *s, struct json_writer *w)
{
    json_array_begin(w);
    json_put_str(w, s->rule->name);
    json_put_str(w, str_c(s->rule->now->shape));
    json_put_i64(w, s->since_ms);
    json_put_i64(w, s->phase);
    json_put_i64(w, s->due_ms);
    json_array_begin(w);
    for (size_t k = 0; k < s->member_count; k++)
        json_put_str(w, s->members[k].crowd->key);
    json_array_end(w);
    json_array_begin(w);
    for (size_t k = 0; k < s->member_count; k++) json_put_i64(w, s->members[k].counts);
    json_array_end(w);
    json_put_i64(w, s->overdue_ms);
    json_array_end(w);
}

static struct str blob_of(struct arena *a, const struct watched *x)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, BLOB_CEILING);
    json_object_begin(w);
    json_field_str(w, "project", x->part->project);
    json_field_str(w, "env", x->part->env);
    json_field_str(w, "run", watched_id(x));
    json_field_i64(w, "event", (int64_t)x->event_id);
    json_field_i64(w, "at", x->at_ms);
    json_put_key(w, STR("stays"));
    json_array_begin(w);
    for (size_t k = 0; k < x->stay_count; k++) write_stay(&x->stays[k], w);
    json_array_end(w);
    json_put_key(w, STR("detail"));
    json_put_raw(w, (struct str){ x->detail, x->detail_bytes });
    json_object_end(w);
    return json_draft_end(&d, a);
}

/* A run that came and left between two collects leaves no row behind. */
void lasts_collect(struct engine *e, struct engine_changes *out)
{
    struct lasts *l = e->lasts;
    struct err err;
    for (size_t k = 0; k < l->dirty.n; k++) {
        struct watched *w = l->dirty.v[k];
        bool known = w->ended || watched_page_in(e, w, &err) == 0;
        l->lost |= !known;
        if (known && (!w->ended || w->stored))
            *vec_push(&out->cells) = (struct engine_cell_row){ cell_key(out->arena, w), w->ended ? STR_NONE : blob_of(out->arena, w) };
        w->dirty = false;
        w->stored = true;
        if (w->ended) watched_free(l, w);
    }
    vec_clear(&l->dirty);
    if (!l->names_dirty) return;
    *vec_push(&out->cells) = (struct engine_cell_row){ STR("lasts"), str_dup(out->arena, l->names) };
    l->names_dirty = false;
}

static int64_t i64_or(struct json v, int64_t fallback)
{
    int64_t out;
    return json_i64(v, &out) ? out : fallback;
}

/* A stay under another shape of its rule is left out: lasts_look_again looks at the run by the rule that there is now. */
static void restore_stay(struct engine *e, struct watched *w, struct json v)
{
    struct engine_rule *r = engine_rule_get(e, json_str(json_at(v, 0)));
    struct str keys[KEYS_PER_HIT + 1];
    struct json list = json_at(v, 5);
    struct stay *s;
    size_t n = 0;
    if (r->gone || !str_eq_c(json_str(json_at(v, 1)), r->now->shape)) {
        e->lasts->news = true;
        return;
    }
    s = stay_add(w, r);
    s->since_ms = i64_or(json_at(v, 2), 0);
    stay_set_phase(e, s, (enum stay_phase)i64_or(json_at(v, 3), STAY_WAITS));
    s->overdue_ms = i64_or(json_at(v, 7), 0);
    s->due_ms = i64_or(json_at(v, 4), 0);
    for (struct json key = json_first(list); json_kind(key) != JSON_ABSENT && n <= KEYS_PER_HIT; key = json_next(key)) keys[n++] = json_str(key);
    stay_set_keys(e, w, s, keys, n);
    for (size_t k = 0; k < n; k++) {
        s->members[k].counts = i64_or(json_at(json_at(v, 6), k), 0) != 0;
        s->members[k].crowd->still += s->members[k].counts;
    }
}

void lasts_restore(struct engine *e, struct json o)
{
    struct watched *w = watched_new(e, part_get(e, json_str(json_get_c(o, "project")), json_str(json_get_c(o, "env"))), json_str(json_get_c(o, "run")));
    struct json stays = json_get_c(o, "stays");
    w->event_id = (uint64_t)i64_or(json_get_c(o, "event"), 0);
    w->at_ms = i64_or(json_get_c(o, "at"), 0);
    w->stored = true;
    if (!e->cell) watched_keep_detail(e, w, json_text(json_get_c(o, "detail")));
    for (struct json v = json_first(stays); json_kind(v) != JSON_ABSENT; v = json_next(v)) restore_stay(e, w, v);
    watched_rearm(e, w);
}

/* --- which rules there are ------------------------------------------------------------------------------------------ */
static bool is_lasts(const struct ruleset *rs, size_t k)
{
    return rs->rules[k]->condition.kind == RULE_LASTS;
}

/* [name, shape, when it came, name ...] */
static struct str names_of(struct arena *a, const struct engine *e)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, 64 * BLOB_CEILING);
    json_array_begin(w);
    for (size_t k = 0; k < e->rules->rule_count; k++) {
        if (!is_lasts(e->rules, k)) continue;
        json_put_str(w, e->rules->rules[k]->name);
        json_put_str(w, str_c(e->rules->rules[k]->shape));
        json_put_i64(w, e->by_index[k]->came_ms);
    }
    json_array_end(w);
    return json_draft_end(&d, a);
}

static void set_names(struct lasts *l, struct str names)
{
    char *kept = xmalloc(names.n + 1);
    memcpy(kept, names.p, names.n);
    kept[names.n] = '\0';
    free((char *)(uintptr_t)l->names.p);
    l->names = (struct str){ kept, names.n };
}

/* When did this rule come, as it is now? 0: it was not among those. */
static int64_t came_ms(struct json list, const struct rule *r)
{
    for (struct json name = json_first(list); json_kind(name) != JSON_ABSENT;) {
        struct json shape = json_next(name), came = json_next(shape);
        if (str_eq(json_str(name), r->name) && str_eq_c(json_str(shape), r->shape)) return i64_or(came, 0);
        name = json_next(came);
    }
    return 0;
}

/* before: those that were in force. */
static void compare(struct engine *e, struct json before)
{
    struct arena a = { 0 };
    struct str names;
    for (size_t k = 0; k < e->rules->rule_count; k++)
        if (is_lasts(e->rules, k)) e->by_index[k]->came_ms = came_ms(before, e->rules->rules[k]);
    names = names_of(&a, e);
    e->lasts->news = e->lasts->names_dirty = !str_eq(names, json_text(before));
    set_names(e->lasts, names);
    arena_fini(&a);
}

void lasts_bind(struct engine *e)
{
    struct lasts *l = e->lasts;
    struct arena a = { 0 };
    struct json before = { 0 };
    struct err err;
    l->rules = 0;
    l->reads = 0;
    for (size_t k = 0; k < e->rules->rule_count; k++) {
        if (!is_lasts(e->rules, k)) continue;
        l->rules++;
        l->reads |= e->rules->rules[k]->reads;
    }
    if (json_parse(&a, str_absent(l->names) ? STR("[]") : str_dup(&a, l->names), &json_own_limits, &before, NULL, &err) == 0) compare(e, before);
    arena_fini(&a);
}

/* What was in force when these cells were written. */
void lasts_restore_rules(struct engine *e, struct json o)
{
    compare(e, o);
}

void lasts_note_coming(struct engine *e, int64_t now_ms)
{
    struct arena a = { 0 };
    bool any = false;
    for (size_t k = 0; k < e->rules->rule_count; k++) {
        if (!is_lasts(e->rules, k) || e->by_index[k]->came_ms) continue;
        e->by_index[k]->came_ms = now_ms;
        any = e->lasts->names_dirty = true;
    }
    if (any) set_names(e->lasts, names_of(&a, e));
    arena_fini(&a);
}
