/* describe: what a window holds and whether the condition does, for people. */
#include "base/timefmt.h"
#include "engine/engine_internal.h"

enum { ROW_SHOWN = 20 };

static void put_span(const struct window *w, struct window_span span, struct json_writer *out)
{
    if (span.to <= span.from) return;
    json_field_time(out, "oldest", w->entries.v[span.from].event_ms);
    json_field_time(out, "newest", w->entries.v[span.to - 1].event_ms);
}

static void put_counted(struct json_writer *out, int64_t count, const struct rule_condition *c, struct str what)
{
    char text[TIMEFMT_SIZE];
    json_field_i64(out, "count", count);
    json_field_i64(out, "of", c->n);
    json_field_str(out, "what", what);
    if (c->window_ms) json_field_str(out, "in", duration_format(c->window_ms, text));
}

/* Finished runs one after another, the newest last: was it a hit of this key? */
static void put_row(const struct window *w, uint64_t mark, size_t from, size_t to, struct json_writer *out)
{
    if (to > ROW_SHOWN && from < to - ROW_SHOWN) from = to - ROW_SHOWN;
    json_put_key(out, STR("row"));
    json_array_begin(out);
    for (size_t k = from; k < to; k++) {
        json_object_begin(out);
        json_field_time(out, "at", w->entries.v[k].event_ms);
        json_field_bool(out, "hit", w->entries.v[k].mark == mark);
        json_object_end(out);
    }
    json_array_end(out);
}

/* --- count ------------------------------------------------------------------------------------------------------ */
static bool describe_count(const struct window *w, int64_t event_ms, const struct rule_condition *c, struct json_writer *out)
{
    struct window_span best = { 0, 0, 0 };
    struct arena a = { 0 };
    struct str what = c->of ? str_printf(&a, "values of " STR_FMT, STR_ARG(c->of->text)) : c->of_runs ? STR("runs") : STR("hits");
    if (w) best = window_best(w, event_ms);
    put_counted(out, best.count, c, what);
    if (w) put_span(w, best, out);
    if (w && w->collapsed) json_field_i64(out, "collapsed", (int64_t)w->collapsed);
    arena_fini(&a);
    return best.count >= c->n;
}

/* --- streak, flaps, rate -------------------------------------------------------------------------------------------- */
/* What was before the span tells, too: what broke the row, or what the first change was from. */
static size_t row_from(const struct window *w, const struct rule_condition *c, struct window_span span)
{
    size_t from = span.from > 0 ? span.from - 1 : 0, wanted = (size_t)c->n < w->entries.n ? w->entries.n - (size_t)c->n : 0;
    return c->kind == RULE_STREAK && wanted < from ? wanted : from;
}

static bool describe_row(const struct window *w, uint64_t mark, const struct rule_condition *c, struct json_writer *out)
{
    struct window_span span = { 0, 0, 0 };
    bool holds = w && population_holds(w, mark, &span);
    put_counted(out, span.count, c, c->kind == RULE_STREAK ? STR("in a row") : STR("changes"));
    if (w) put_row(w, mark, row_from(w, c, span), w->entries.n, out);
    return holds;
}

static bool describe_rate(const struct window *w, uint64_t mark, struct json_writer *out)
{
    struct window_span span = { 0, 0, 0 };
    bool holds = w && population_holds(w, mark, &span);
    struct share share = { 0, 0 };
    if (w) share = share_of(w, mark, span);
    json_field_i64(out, "hits", share.hits);
    json_field_i64(out, "runs", share.runs);
    json_field_f64(out, "percent", share_percent(share));
    if (w) put_span(w, span, out);
    return holds;
}

/* --- first ------------------------------------------------------------------------------------------------------------- */
/* As a hit of that moment would find it: the nearest hits before and, of a late one, behind it. */
static bool describe_first(const struct window *w, int64_t event_ms, const struct rule_condition *c, struct json_writer *out)
{
    int64_t before_ms = INT64_MIN, after_ms = INT64_MAX;
    char text[TIMEFMT_SIZE];
    for (size_t k = 0; w && k < w->entries.n; k++) { /* stretches: from event_ms to mark */
        int64_t from_ms = w->entries.v[k].event_ms, to_ms = (int64_t)w->entries.v[k].mark;
        if (from_ms <= event_ms) before_ms = to_ms <= event_ms ? to_ms : from_ms;
        if (to_ms > event_ms && after_ms == INT64_MAX) after_ms = from_ms > event_ms ? from_ms : to_ms;
    }
    json_field_str(out, "what", STR("first"));
    json_field_str(out, "in", duration_format(c->window_ms, text));
    if (before_ms != INT64_MIN) json_field_time(out, "last_seen", before_ms);
    if (after_ms != INT64_MAX) json_field_time(out, "next_seen", after_ms);
    return (before_ms == INT64_MIN || event_ms >= before_ms + c->window_ms) && (after_ms == INT64_MAX || event_ms <= after_ms - c->window_ms);
}

/* --- any ------------------------------------------------------------------------------------------------------------------ */
static bool describe_kind(const struct rule *r, const struct window *w, const struct engine_window_name *name, int64_t event_ms, struct json_writer *out)
{
    const struct rule_condition *c = &r->condition;
    uint64_t mark = mark_of(r, name->key);
    if (c->kind == RULE_COUNT) return describe_count(w, event_ms, c, out);
    if (c->kind == RULE_FIRST) return describe_first(w, event_ms, c, out);
    return c->kind == RULE_RATE ? describe_rate(w, mark, out) : describe_row(w, mark, c, out);
}

enum engine_window engine_describe_window(struct engine *e, const struct engine_window_name *name, int64_t event_ms, struct json_writer *out)
{
    struct engine_rule *r = map_get(&e->engine_rules, name->rule);
    const struct rule_condition *c = r ? &r->now->condition : NULL;
    struct arena a = { 0 };
    struct str key = name->key;
    bool holds;
    if (c && c->kind == RULE_LASTS) return lasts_describe(e, name, out) ? ENGINE_WINDOW : ENGINE_NO_WINDOW;
    if (!c || (c->kind != RULE_COUNT && c->kind != RULE_FIRST && !rule_on_population(c))) return ENGINE_NO_WINDOW;
    if (rule_on_population(c)) key = rule_identity_of(r->now, &a, key);
    json_object_begin(out);
    json_field_str(out, "key", name->key);
    json_field_str(out, "wants", rule_condition_text(c, &a));
    holds = describe_kind(r->now, window_find(e, r, part_get(e, name->project, name->env), key), name, event_ms, out);
    json_field_bool(out, "holds", holds);
    json_object_end(out);
    arena_fini(&a);
    return holds ? ENGINE_WINDOW_HOLDS : ENGINE_WINDOW;
}
