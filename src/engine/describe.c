/* describe: what a window holds, for people. */
#include "base/timefmt.h"
#include "engine/engine_internal.h"

static void put_span(const struct window *w, struct window_span span, struct json_writer *out)
{
    if (span.to <= span.from) return;
    json_field_time(out, "oldest", w->entries.v[span.from].event_ms);
    json_field_time(out, "newest", w->entries.v[span.to - 1].event_ms);
}

int engine_describe_window(struct engine *e, const struct engine_window_name *name, int64_t event_ms, struct json_writer *out)
{
    struct engine_rule *r = map_get(&e->engine_rules, name->rule);
    const struct window *w;
    struct window_span best = { 0, 0, 0 };
    char text[TIMEFMT_SIZE];
    if (r && r->now->condition.kind == RULE_LASTS) return lasts_describe(e, name, out);
    if (!r || r->now->condition.kind != RULE_COUNT) return 0;
    w = window_find(e, r, part_get(e, name->project, name->env), name->key);
    if (w) best = window_best(w, event_ms);
    json_object_begin(out);
    json_field_str(out, "key", name->key);
    json_field_i64(out, "count", best.count);
    json_field_i64(out, "of", r->now->condition.n);
    json_field_str(out, "what", r->now->condition.of_runs ? STR("runs") : STR("hits"));
    json_field_str(out, "in", duration_format(r->now->condition.window_ms, text));
    if (w) put_span(w, best, out);
    if (w && w->collapsed) json_field_i64(out, "collapsed", (int64_t)w->collapsed);
    json_object_end(out);
    return 1;
}
