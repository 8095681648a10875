/* population: conditions about finished runs one after another (rule-language.md section 1.3): hits are told from the
 * others by outcome, and both stand in one window for each identity, by event time. */
#include "engine/engine_internal.h"

struct str population_key(const struct rule *r, const struct rule_key *key)
{
    if (!rule_on_population(&r->condition) || str_absent(key->identity)) return key->key;
    return key->identity;
}

/* What a run is to a rule. */
enum part_of_row { NO_PART, A_MISS, A_HIT };

static enum part_of_row part_in_row(const struct rule *r, struct rule_subject *s)
{
    if (!(rule_population_states(&r->condition) >> s->transition->state & 1) || !rule_in_population(r, s)) return NO_PART;
    if (rule_matches(r, s)) return A_HIT;
    /* What flaps goes to and fro between hit and success; a failure that is no hit is neither. */
    return r->condition.kind == RULE_FLAPS && !(run_state_class(s->transition->state) & RUN_CLASS_SUCCESS) ? NO_PART : A_MISS;
}

/* The runs it is about: they have come before the incident. Where hits are too few, it is about the others. */
static void take_over(struct step_context *c, struct incident *i, const struct window *w, struct window_span span, uint64_t mark)
{
    bool under = i->rule->now->condition.under;
    for (size_t k = span.from; k < span.to; k++)
        if ((w->entries.v[k].mark == mark) != under) window_runs(w, (struct window_span){ k, k + 1, 1 }, i, c->e);
}

/* A run that is no hit may end what the condition said of a key, or show that it holds again. */
static void look_again(struct step_context *c, struct incident *i)
{
    int64_t clears_ms = incident_due_ms(i, DUE_CLEARS);
    if (i->ended) return;
    incident_arm_clears(c, i);
    if (incident_due_ms(i, DUE_CLEARS) != clears_ms) incident_touch(c->e, i); /* it must be known after a restart, too */
    if (incident_lingers(i) && i->criterion == BY_CLEARING && incident_holds(c->e, i, c->now_ms)) incident_relapse(c, i);
    incident_rearm(c->e, i);
}

/* What a run that is no hit completes: the change back to success, say. It is then what the incident shows. */
static void open_by_miss(struct step_context *c, const struct hit *h, struct part *p, const struct rule_key *key)
{
    struct window *w = window_find(c->e, h->rule, p, population_key(h->rule->now, key));
    uint64_t mark = mark_of(h->rule->now, key->key);
    struct window_span span;
    struct incident *i;
    if (!w || !population_holds(w, mark, &span)) return;
    i = hit_start(c, h, p, key);
    take_over(c, i, w, span, mark);
    incident_add_run(c->e, i, h->subject->run->id); /* it is about this run, too */
    i->last_hit_ms = c->now_ms;
    hit_details(c, i, h);
    hold_hit(c, i, h->subject);
    hit_note(c, i->id, h, "completed the condition");
    incident_touch(c->e, i);
    hit_settle(c, h, i, false);
}

static bool opens_by_miss(const struct rule *r)
{
    return r->condition.kind == RULE_FLAPS || (r->condition.kind == RULE_RATE && r->by_identity);
}

static void missed(struct step_context *c, const struct hit *h, struct part *p, const struct rule_key *key, struct incident *own)
{
    struct incident *i;
    if (!own && opens_by_miss(h->rule->now)) {
        open_by_miss(c, h, p, key);
        return;
    }
    i = h->rule->now->by_identity || str_absent(key->identity) ? own : incident_first_by_identity(c->e, h->rule, p, key->identity);
    for (struct incident *next; i; i = next) {
        next = i->sibling;
        look_again(c, i);
    }
}

static void hit_in_row(struct step_context *c, const struct hit *h, struct part *p, const struct rule_key *key, struct incident *i, bool was_hit)
{
    const struct rule *r = h->rule->now;
    struct window *w = window_find(c->e, h->rule, p, population_key(r, key));
    uint64_t mark = mark_of(r, key->key);
    bool there = i != NULL;
    struct window_span span;
    if (was_hit) {
        hit_refresh(c, h, i);
        return;
    }
    if (!there) {
        if (!w || !population_holds(w, mark, &span)) return;
        i = hit_start(c, h, p, key);
        take_over(c, i, w, span, mark);
        if (!r->condition.under) i->hits--; /* to join counts this hit */
    }
    hit_join(c, i, h);
    hit_note(c, i->id, h, "hit");
    hit_settle(c, h, i, there);
}

/* --- what a fuller report changes -------------------------------------------------------------------------------- */
static bool among(const struct rule_key *keys, size_t n, const struct rule *r, const struct rule_key *key, bool whole)
{
    for (size_t k = 0; k < n; k++) {
        struct str a = whole ? keys[k].key : population_key(r, &keys[k]), b = whole ? key->key : population_key(r, key);
        if (str_eq(a, b)) return true;
    }
    return false;
}

/* A thinner report may have stood under another key, as (none) for a version not told yet: it moves. */
static void leave_others(struct step_context *c, const struct hit *h, struct part *p, const struct rule_key *keys, size_t n)
{
    for (size_t k = 0; k < h->counted_count; k++) {
        struct window *w;
        if (among(keys, n, h->rule->now, &h->counted[k], false)) continue;
        w = window_find(c->e, h->rule, p, population_key(h->rule->now, &h->counted[k]));
        if (w) window_drop_run(c->e, w, str_hash_stable(h->subject->run->id));
    }
}

/* --- a run ---------------------------------------------------------------------------------------------------------- */
static void run_of_key(struct step_context *c, const struct hit *h, struct part *p, struct rule_key *key, enum part_of_row before, enum part_of_row now)
{
    const struct rule *r = h->rule->now;
    bool fresh = !among(h->counted, h->counted_count, r, key, false), was_hit = before == A_HIT && among(h->counted, h->counted_count, r, key, true);
    struct incident *i = hit_find(c, h, p, key);
    struct str name = population_key(r, key);
    struct window *w = fresh ? window_get(c->e, h->rule, p, name) : window_find(c->e, h->rule, p, name);
    struct window_entry entry = { h->subject->transition->event_ms, str_hash_stable(h->subject->run->id), now == A_HIT ? mark_of(r, key->key) : 0 };
    if (w) window_put_run(c->e, w, entry, fresh);
    if (now == A_HIT) hit_in_row(c, h, p, key, i, was_hit);
    else if (fresh || before == A_HIT) missed(c, h, p, key, i);
}

static void run_of_rule(struct step_context *c, const struct hit *h, enum part_of_row before, enum part_of_row now)
{
    struct rule_key keys[KEYS_PER_HIT + 1];
    struct part *p = hit_part(c, h->subject);
    size_t n = rule_keys(h->rule->now, h->subject, keys, KEYS_PER_HIT + 1);
    c->out->hits += now == A_HIT;
    if (n > KEYS_PER_HIT) { /* the rest of a long list is one key */
        c->e->stats.collapsed_keys++;
        keys[KEYS_PER_HIT] = hit_overflow();
    }
    leave_others(c, h, p, keys, n);
    for (size_t k = 0; k < n && !c->failed; k++) run_of_key(c, h, p, &keys[k], before, now);
}

void population_event(struct step_context *c, const struct engine_input *in, struct rule_subject *s)
{
    const struct transition *t = in->u.event.transition;
    const uint32_t *candidates;
    size_t n;
    if (!(run_state_class(t->state) & RUN_CLASS_FINISHED)) return;
    n = ruleset_population_candidates(c->e->rules, s, &c->e->success_scratch, &candidates);
    for (size_t k = 0; k < n && !c->failed; k++) {
        struct hit h = { s, c->e->by_index[candidates[k]], in, t->kind == TRANSITION_FULLER, NULL, 0 };
        enum part_of_row before = NO_PART, now = part_in_row(h.rule->now, s);
        struct thinner thin;
        struct rule_key counted[KEYS_PER_HIT];
        if (!rule_on_population(&h.rule->now->condition)) continue; /* bent since the index was built: `render` */
        if (now == NO_PART || (h.fuller && !(h.rule->now->reads & t->gained))) continue;
        if (h.fuller) {
            hit_thinner(s, &thin);
            before = part_in_row(h.rule->now, &thin.subject);
            h.counted = counted;
            h.counted_count = before == NO_PART ? 0 : rule_keys(h.rule->now, &thin.subject, counted, KEYS_PER_HIT);
        }
        run_of_rule(c, &h, before, now);
    }
}
