#include "replay/holds.h"

static void put(struct rule_subject *s, struct json_writer *w, const char *before, struct str name, const char *after)
{
    json_put_str(w, str_printf(s->arena, "%s" STR_FMT "%s", before, STR_ARG(name), after));
}

static void put_hours(const struct rule *r, struct rule_subject *s, int64_t at_ms, struct json_writer *w)
{
    static const char *const after[] = { [RULE_OUTSIDE_HOLD] = ": held until they begin", [RULE_OUTSIDE_DROP] = ": dropped",
                                         [RULE_OUTSIDE_ELSEWHERE] = ": `outside` is told instead" };
    if (r->during && !schedule_covers(r->during, at_ms)) put(s, w, "outside the hours of ", schedule_name(r->during), after[r->outside]);
    for (size_t k = 0; k < r->notify.n; k++) {
        const struct schedule *own = r->notify.v[k].during;
        if (own && !schedule_covers(own, at_ms)) put(s, w, "outside the hours of ", schedule_name(own), ", which one destination keeps");
    }
}

void holds_write(const struct ruleset *rules, const struct rule *r, struct rule_subject *s, int64_t at_ms, struct json_writer *w)
{
    json_array_begin(w);
    put_hours(r, s, at_ms, w);
    for (size_t k = 0; k < rules->mute_count; k++) {
        const struct rule_mute *m = &rules->mutes[k];
        if (schedule_covers(m->during, at_ms) && rule_match_holds(m->when, s)) put(s, w, "mute ", m->name, str_printf(s->arena, " (" STR_FMT ")", STR_ARG(m->why)).p);
    }
    for (size_t k = 0; k < r->unless_count; k++) put(s, w, "stands behind ", rules->rules[r->unless[k]]->name, ": held while that has an open incident");
    json_array_end(w);
}
