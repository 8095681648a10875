/* ends: run events that `resolve: {match: ...}` names (rule-language.md section 5, Resolving). */
#include "engine/engine_internal.h"

/* It must have happened after the last hit: a report that comes late ends nothing that broke out since. */
static void end_one(struct step_context *c, struct incident *i, const struct hit *h)
{
    if (i->ended || h->subject->transition->event_ms <= i->last_event_ms) return;
    if (!incident_lingers(i)) hit_note(c, i->id, h, "met resolve");
    incident_criterion(c, i, BY_MATCH);
    if (!i->ended) incident_rearm(c->e, i);
}

/* The one with that key; where `by` holds outcome fields, which are those of hits, all with its identity. */
static void end_key(struct step_context *c, const struct hit *h, struct part *p, const struct rule_key *key)
{
    struct engine_rule *r = h->rule;
    struct incident *i = r->now->by_identity ? incident_find(c->e, r, p, key->key) : incident_first_by_identity(c->e, r, p, key->identity), *next;
    for (; i && !c->failed; i = next) {
        next = i->sibling;
        end_one(c, i, h);
    }
}

void engine_ends(struct step_context *c, const struct engine_input *in, struct rule_subject *s)
{
    const struct transition *t = in->u.event.transition;
    const uint32_t *candidates;
    size_t n;
    if (c->e->by_id.n == 0) return;
    n = ruleset_end_candidates(c->e->rules, s, &c->e->success_scratch, &candidates);
    for (size_t k = 0; k < n && !c->failed; k++) {
        struct hit h = { s, c->e->by_index[candidates[k]], in, t->kind == TRANSITION_FULLER, NULL, 0 };
        struct rule_key keys[KEYS_PER_HIT];
        size_t count;
        if (h.rule->open == 0 || (h.fuller && !(h.rule->now->reads & t->gained)) || !rule_ends(h.rule->now, s)) continue;
        count = rule_keys(h.rule->now, s, keys, KEYS_PER_HIT);
        for (size_t x = 0; x < count && !c->failed; x++) end_key(c, &h, hit_part(c, s), &keys[x]);
    }
}
