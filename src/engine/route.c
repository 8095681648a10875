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
    told_get(i, place_of(c, to), params)->flags |= TOLD_CHOSEN;
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

void incident_tell_first(struct step_context *c, struct incident *i, enum message_kind kind, struct str reason)
{
    const struct rule *r = i->rule->now;
    incident_route(c, i); /* a reload may have put a switch where there was none */
    for (size_t k = 0; i->routed && k < i->told_count && !c->failed; k++) {
        const struct told *t = incident_told_at(i, k);
        if (t->flags & TOLD_CHOSEN) tell_target(c, i, t->place, t->params, kind, reason, 0);
    }
    for (size_t k = 0; !i->routed && k < r->notify.n && !c->failed; k++) {
        char *params = target_params(c, i, &r->notify.v[k]);
        tell_target(c, i, place_of(c, &r->notify.v[k]), params, kind, reason, 0);
        free(params);
    }
}
