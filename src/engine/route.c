/* route: whom the opening of an incident tells: what `notify` names, or what its switch decides. */
#include <stdlib.h>

#include "engine/engine_internal.h"

static struct place *place_of(struct step_context *c, const struct rule_target *to)
{
    return place_get(c->e, c->e->rules->destinations[to->destination].name);
}

static void choose(struct step_context *c, struct incident *i, const struct rule_target *to)
{
    char *params = target_params(c, i, to);
    struct told *t = told_get(i, place_of(c, to), params);
    t->flags |= TOLD_CHOSEN;
    t->during = hours_name(c->e, to->during);
    free(params);
}

/* The decision is part of the incident from then on: reloads, restarts and later hits do not move it. */
void incident_route(struct step_context *c, struct incident *i)
{
    const struct rule *r = i->rule->now;
    const struct rule_targets *to;
    struct detail d;
    struct rule_subject s;
    if (!r->route || i->routed || detail_get(c, i, &d) < 0) return;
    rule_subject_init(&s, c->out->arena, &d.run, &d.transition, c->now_ms);
    to = rule_routed(r, &s, str_eq(incident_key(i), hit_overflow().key) ? STR_NONE : incident_key(i));
    i->routed = true;
    for (size_t k = 0; k < to->n; k++) choose(c, i, &to->v[k]);
    if (to->n == 0) note(c, i->id, "nobody to tell", note_text(c, "switch", r->route->field.text));
    incident_touch(c->e, i);
}

void incident_openings(struct step_context *c, struct incident *i, const struct telling *model, opening_fn fn)
{
    const struct rule *r = i->rule->now;
    bool elsewhere = r->outside == RULE_OUTSIDE_ELSEWHERE && hold_outside(c, i);
    struct rule_targets to = elsewhere ? r->outside_to : r->notify;
    struct telling what = *model;
    if (!elsewhere) incident_route(c, i); /* a reload may have put a switch where there was none */
    if (i->routed && !elsewhere) to.n = 0;
    for (size_t k = 0; i->routed && !elsewhere && k < i->told_count && !c->failed; k++) {
        const struct told *t = incident_told_at(i, k);
        what.place = t->place;
        what.params = t->params;
        what.during = hours_find(c->e, t->during);
        if (t->flags & TOLD_CHOSEN) fn(c, i, &what);
    }
    for (size_t k = 0; k < to.n && !c->failed; k++) {
        char *params = target_params(c, i, &to.v[k]);
        what.place = place_of(c, &to.v[k]);
        what.params = params;
        what.during = to.v[k].during;
        fn(c, i, &what);
        free(params);
    }
}

static void tell(struct step_context *c, struct incident *i, const struct telling *what)
{
    tell_target(c, i, what);
}

void incident_tell_first(struct step_context *c, struct incident *i, enum message_kind kind, struct str reason)
{
    const struct telling model = { .kind = kind, .reason = reason };
    incident_openings(c, i, &model, tell);
}
