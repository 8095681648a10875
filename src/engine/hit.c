/* hit: from one transition to hits, incidents and successes. */
#include "engine/engine_internal.h"

/* --- hits ---------------------------------------------------------------------------------------------------- */
struct hit {
    struct rule_subject *subject;
    struct engine_rule *rule;
    const struct engine_input *in;
    bool fuller;
};

static struct part *part_of(struct step_context *c, const struct rule_subject *s)
{
    return part_get(c->e, s->run->project, s->run->env);
}

/* Joins the hit to an incident that is there already. */
static void join(struct step_context *c, struct incident *i, const struct hit *h)
{
    struct rule_subject *s = h->subject;
    bool again = h->fuller && incident_has_run(i, s->run->id);
    incident_add_run(c->e, i, s->run->id);
    if (!again) i->hits++;
    i->successes = 0;
    i->last_hit_ms = c->now_ms;
    if (s->transition->event_ms >= i->last_event_ms || i->hits == 1) {
        i->last_event_ms = s->transition->event_ms;
        i->last_state = (uint8_t)s->transition->state;
        incident_set_last_run(i, s->run->id);
        detail_set(c, i, s, h->in->u.event.dashboard);
    }
    incident_touch(c->e, i);
}

static void note_hit(struct step_context *c, const struct incident *i, const struct hit *h)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, CONTENT_CEILING);
    char id[ID_SIZE];
    const struct rule_subject *s = h->subject;
    json_object_begin(w);
    json_field_str(w, "run", s->run->id);
    json_field_str(w, "status", s->transition->derived ? STR("REATTEMPTING") : s->run->spelling);
    if (s->transition->attempt > 0) json_field_i64(w, "attempt", s->transition->attempt);
    json_field_time(w, "at", s->transition->event_ms);
    json_field_str(w, "event", id_format("evt", h->in->u.event.event_id, id));
    if (h->fuller) json_field_bool(w, "fuller", true);
    json_object_end(w);
    note(c, i->id, "hit", json_draft_end(&d, c->out->arena));
}

static void arm_quiet(struct incident *i)
{
    const struct rule *r = i->rule->now;
    for (size_t k = 0; k < r->resolve_count; k++)
        if (r->resolve[k].kind == RULE_QUIET) i->due[DUE_QUIET] = i->last_hit_ms + r->resolve[k].quiet_ms;
}

static void arm_clears(struct step_context *c, struct incident *i)
{
    const struct rule *r = i->rule->now;
    struct window *w = window_find(c->e, i->rule, i->part, i->key);
    bool holds;
    int64_t clears_ms;
    if (r->condition.kind != RULE_COUNT || !w) return;
    for (size_t k = 0; k < r->resolve_count; k++) {
        if (r->resolve[k].kind != RULE_CLEARS) continue;
        window_count(w, &r->condition, c->now_ms, &holds, &clears_ms);
        i->due[DUE_CLEARS] = clears_ms > c->now_ms ? clears_ms : c->now_ms;
    }
}

static struct incident *start(struct step_context *c, struct hit *h, struct part *p, const struct rule_key *key,
                              const struct window *w)
{
    const struct rule *r = h->rule->now;
    uint64_t id = id_next(&c->e->ids, c->now_ms);
    struct incident *i = incident_new(c->e, h->rule, p, key->key, r->by_identity ? STR_NONE : key->identity, id);
    i->state = INCIDENT_PENDING;
    i->first_ms = c->now_ms;
    c->e->stats.incidents_pending++;
    if (w) window_runs(w, i, c->e);
    if (w && i->hits) i->hits--; /* join counts this hit again */
    return i;
}

/* 1 the condition holds (or there is none), 0 it does not yet. *w = the window, when there is one. */
static bool condition_holds(struct step_context *c, const struct hit *h, struct part *p, struct str key, struct window **w)
{
    const struct rule *r = h->rule->now;
    *w = NULL;
    if (r->condition.kind == RULE_EVERY_HIT) return true;
    *w = window_get(c->e, h->rule, p, key);
    return window_add(c->e, *w, h->subject->transition->event_ms, h->subject->run->id, h->fuller) >= r->condition.n;
}

/* A late hit of a run that is known to have succeeded since, and nobody else's trouble. */
static bool is_over(const struct hit *h, const struct incident *i)
{
    return h->in->u.event.since_succeeded && i->run_count <= 1;
}

static void open_hit(struct step_context *c, const struct hit *h, struct incident *i)
{
    if (is_over(h, i)) incident_open_over(c, i, STR("the run has succeeded since"));
    else incident_open(c, i);
}

static void hit_key(struct step_context *c, struct hit *h, struct part *p, struct rule_key *key)
{
    struct incident *i = incident_find(c->e, h->rule, p, key->key);
    struct window *w;
    bool holds, was_new;
    if (!i && h->rule->open + h->rule->windows >= c->e->limits.keys_per_rule) {
        c->e->stats.collapsed_keys++;
        key->key = STR("(overflow)");
        i = incident_find(c->e, h->rule, p, key->key);
    }
    holds = condition_holds(c, h, p, key->key, &w);
    if (!i && !holds) return;
    was_new = i == NULL;
    if (was_new) i = start(c, h, p, key, w);
    join(c, i, h);
    note_hit(c, i, h);
    arm_quiet(i);
    arm_clears(c, i);
    if (i->due[DUE_LINGER] != ENGINE_NEVER) incident_relapse(c, i);
    if (i->state == INCIDENT_PENDING) {
        if ((int64_t)i->run_count >= h->rule->now->at_least) open_hit(c, h, i);
    } else if (!was_new) {
        incident_want_update(c, i);
    }
    if (!i->ended) incident_rearm(c->e, i);
}

static void hit_rule(struct step_context *c, struct hit *h)
{
    struct rule_key keys[KEYS_PER_HIT];
    struct part *p = part_of(c, h->subject);
    size_t n = rule_keys(h->rule->now, h->subject, keys, KEYS_PER_HIT);
    c->out->hits++;
    for (size_t k = 0; k < n && !c->failed; k++) hit_key(c, h, p, &keys[k]);
}

static void all_hits(struct step_context *c, const struct engine_input *in, struct rule_subject *s)
{
    const struct transition *t = in->u.event.transition;
    const uint32_t *candidates;
    size_t n = ruleset_candidates(c->e->rules, s, &c->e->scratch, &candidates);
    for (size_t k = 0; k < n && !c->failed; k++) {
        const struct rule *r = c->e->rules->rules[candidates[k]];
        struct hit h = { s, c->e->by_index[candidates[k]], in, t->kind == TRANSITION_FULLER };
        if (h.fuller && !(r->reads & t->gained)) continue;
        if (rule_matches(r, s)) hit_rule(c, &h);
    }
}

/* --- successes ----------------------------------------------------------------------------------------------- */
static int64_t successes_wanted(const struct rule *r)
{
    for (size_t k = 0; k < r->resolve_count; k++)
        if (r->resolve[k].kind == RULE_SUCCESS) return r->resolve[k].successes;
    return 0;
}

static void success_for(struct step_context *c, struct incident *i, const struct rule_subject *s)
{
    int64_t wanted = successes_wanted(i->rule->now);
    bool own = incident_has_run(i, s->run->id);
    bool after = s->run->started_ms != RUN_TIME_NONE && s->run->started_ms > i->last_event_ms;
    if (wanted == 0 || i->ended || !(own || after)) return;
    /* The own run of an old hit says nothing about a newer hit of another run. */
    if (own && !after && s->transition->event_ms < i->last_event_ms) return;
    i->successes++;
    incident_touch(c->e, i);
    if (i->successes < wanted) return;
    incident_criterion(c, i, BY_SUCCESS);
    if (!i->ended) incident_rearm(c->e, i);
}

/* A run-keyed incident follows its run to the end: rule-language.md section 5, Resolving. */
static void run_ended(struct step_context *c, struct incident *i, const struct rule_subject *s)
{
    struct str name = str_c(run_state_name(s->transition->state));
    if (i->ended) return;
    if (s->transition->state == RUN_CANCELED) {
        incident_resolve(c, i, STR("the run was canceled"));
        return;
    }
    if (i->last_state == (uint8_t)s->transition->state) return; /* it was the hit itself */
    i->last_state = (uint8_t)s->transition->state;
    i->due[DUE_REPEAT] = ENGINE_NEVER;
    i->repeat_next = UINT16_MAX; /* no more of them */
    note(c, i->id, "run ended", note_text(c, "state", name));
    incident_want_update(c, i);
    incident_touch(c->e, i);
    incident_rearm(c->e, i);
}

static void after_rule(struct step_context *c, struct engine_rule *r, struct rule_subject *s, bool success)
{
    struct rule_key keys[KEYS_PER_HIT];
    struct part *p = part_of(c, s);
    size_t n = rule_keys(r->now, s, keys, KEYS_PER_HIT);
    for (size_t k = 0; k < n && !c->failed; k++) {
        struct incident *i, *next;
        if (!success) {
            i = incident_find(c->e, r, p, keys[k].key);
            if (i) run_ended(c, i, s);
            continue;
        }
        i = r->now->by_identity ? incident_find(c->e, r, p, keys[k].key)
                                : incident_first_by_identity(c->e, r, p, keys[k].identity);
        for (; i && !c->failed; i = next) {
            next = i->sibling;
            success_for(c, i, s);
        }
    }
}

/* What a final state means for incidents that are open, beside being a hit. */
static void all_ends(struct step_context *c, const struct engine_input *in, struct rule_subject *s)
{
    unsigned class = run_state_class(in->u.event.transition->state);
    bool success = class & RUN_CLASS_SUCCESS;
    const uint32_t *candidates;
    size_t n;
    if (!(class & RUN_CLASS_FINISHED) || in->u.event.transition->kind != TRANSITION_NEW || c->e->by_id.n == 0) return;
    n = ruleset_success_candidates(c->e->rules, s, &c->e->success_scratch, &candidates);
    for (size_t k = 0; k < n && !c->failed; k++) {
        struct engine_rule *r = c->e->by_index[candidates[k]];
        if (r->open == 0 || !(success || r->now->by_run) || !rule_in_population(r->now, s)) continue;
        after_rule(c, r, s, success);
    }
}

void engine_event(struct step_context *c, const struct engine_input *in)
{
    struct rule_subject s;
    rule_subject_init(&s, c->out->arena, in->u.event.run, in->u.event.transition, c->now_ms);
    /* Ends first: a success that is itself a hit of a rule must not resolve what it opens. A failure that is
     * a hit is told apart in run_ended by the hit's state. */
    if (run_state_class(in->u.event.transition->state) & RUN_CLASS_SUCCESS) {
        all_ends(c, in, &s);
        all_hits(c, in, &s);
    } else {
        all_hits(c, in, &s);
        all_ends(c, in, &s);
    }
}
