/* persist_window: a window as cells, and back. What stands in its chunks is written only where it changed. */
#include "engine/engine_internal.h"

enum { CELL_CEILING = 8 * 1024 * 1024 };

/* --- writing ------------------------------------------------------------------------------------------------------ */
static void write_name(const struct window *x, struct json_writer *w)
{
    json_field_str(w, "rule", x->rule->name);
    json_field_str(w, "shape", str_c(x->rule->now->shape));
    json_field_str(w, "project", x->part->project);
    json_field_str(w, "env", x->part->env);
    json_field_str(w, "key", window_key(x));
}

static void write_entries(const struct window_entry *v, size_t n, struct json_writer *w)
{
    bool marks = false;
    json_put_key(w, STR("entries"));
    json_array_begin(w);
    for (size_t k = 0; k < n; k++) {
        json_put_i64(w, v[k].event_ms);
        json_put_i64(w, (int64_t)v[k].run);
        marks |= v[k].mark != 0;
    }
    json_array_end(w);
    if (!marks) return;
    json_put_key(w, STR("marks"));
    json_array_begin(w);
    for (size_t k = 0; k < n; k++) json_put_i64(w, (int64_t)v[k].mark);
    json_array_end(w);
}

static struct str chunk_blob(struct arena *a, const struct window *x, const struct window_chunk *chunk, const struct window_entry *v)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, CELL_CEILING);
    json_object_begin(w);
    write_name(x, w);
    json_field_i64(w, "chunk", chunk->number);
    write_entries(v, chunk->n, w);
    json_object_end(w);
    return json_draft_end(&d, a);
}

static struct str own_blob(struct arena *a, const struct window *x, const struct window_entry *v, size_t n)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, CELL_CEILING);
    json_object_begin(w);
    write_name(x, w);
    json_field_i64(w, "over", x->timer.due_ms);
    json_field_i64(w, "collapsed", x->collapsed);
    if (x->chunks && x->chunks->sealed) json_field_i64(w, "in_chunks", x->chunks->sealed);
    if (x->chunks && x->chunks->dead) json_field_i64(w, "dead", x->chunks->dead);
    write_entries(v, n, w);
    json_object_end(w);
    return json_draft_end(&d, a);
}

void collect_window(struct window *x, struct engine_changes *out)
{
    const struct window_chunks *c = x->chunks;
    const struct window_entry *v = x->entries.v - (c ? c->dead : 0);
    x->dirty = 0;
    for (size_t k = 0; c && k < c->list.n; k++) {
        struct window_chunk *chunk = &c->list.v[k];
        if (chunk->dirty) put_cell(out, window_chunk_key(out->arena, x, chunk->number), chunk_blob(out->arena, x, chunk, v));
        chunk->dirty = false;
        v += chunk->n;
    }
    put_cell(out, window_cell_key(out->arena, x), own_blob(out->arena, x, v, (size_t)(x->entries.v + x->entries.n - v)));
}

/* --- restoring ------------------------------------------------------------------------------------------------------ */
static int64_t number_or(struct json v, int64_t fallback)
{
    int64_t out;
    return json_i64(v, &out) ? out : fallback;
}

static size_t count_or_none(struct json o, const char *name)
{
    int64_t n = number_or(json_get_c(o, name), 0);
    return n > 0 && n <= UINT32_MAX ? (size_t)n : 0;
}

static void restore_entries(struct json o, struct window_entry *out, size_t n)
{
    struct json v = json_first(json_get_c(o, "entries")), mark = json_first(json_get_c(o, "marks"));
    for (size_t k = 0; k < n; k++) {
        struct json run = json_next(v);
        out[k] = (struct window_entry){ number_or(v, 0), (uint64_t)number_or(run, 0), (uint64_t)number_or(mark, 0) };
        v = json_next(run);
        if (json_present(mark)) mark = json_next(mark);
    }
}

void restore_window(struct engine *e, struct str key, struct json o)
{
    struct engine_rule *r = engine_rule_get(e, json_str(json_get_c(o, "rule")));
    struct json chunk = json_get_c(o, "chunk");
    size_t n = json_count(json_get_c(o, "entries")) / 2;
    struct window *w;
    if (r->gone || !str_eq_c(json_str(json_get_c(o, "shape")), r->now->shape)) {
        cell_gone(e, key);
        return;
    }
    w = window_get(e, r, part_get(e, json_str(json_get_c(o, "project")), json_str(json_get_c(o, "env"))), json_str(json_get_c(o, "key")));
    if (json_present(chunk)) {
        restore_entries(o, entries_restore_chunk(w, number_or(chunk, 0), n), n);
        return;
    }
    w->collapsed = (uint32_t)count_or_none(o, "collapsed");
    restore_entries(o, entries_restore_own(w, n, count_or_none(o, "in_chunks"), count_or_none(o, "dead")), n);
    timer_set(e, &w->timer, number_or(json_get_c(o, "over"), 0));
}

void windows_restored(struct engine *e)
{
    size_t at = 0;
    struct window *w;
    while ((w = index_next(&e->windows, &at))) {
        entries_restored(e, w);
        if (w->timer.at == 0) window_drop(e, w); /* chunks without the cell that they belong to */
    }
}
