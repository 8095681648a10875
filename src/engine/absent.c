/* absent: the dead-man. A hit sets the clock of its key anew; a clock that runs out opens an incident, and the next hit
 * ends it (rule-language.md section 5, Conditions). Event time decides: what is told late counts where it belongs. */
#include "engine/absent.h"

static const int64_t kept_ms = 30LL * 86400000; /* a key of which nothing more is heard */

/* --- when ---------------------------------------------------------------------------------------------------- */
static const struct rule_condition *condition_of(const struct absent_key *k)
{
    return &k->group->rule->now->condition;
}

/* What it has been absent since. */
static int64_t since(const struct absent_key *k)
{
    return k->hit ? k->since_ms : k->start_ms;
}

/* What nobody could hear says nothing: a whole period must lie after the start of whoever listens, of the rule, of the clock. */
static int64_t not_before(const struct absent_key *k)
{
    int64_t at = k->group->heard_ms, loaded_ms = k->group->rule->absent->loaded_ms;
    if (loaded_ms > at) at = loaded_ms;
    return k->start_ms > at ? k->start_ms : at;
}

/* Armed and due at *due_ms, or later where that could not be heard. */
static void put_off(const struct absent_key *k, int64_t *slot_ms, int64_t *due_ms)
{
    const struct rule_condition *c = condition_of(k);
    int64_t from = not_before(k), slot, due;
    if (from == INT64_MIN || *due_ms == ENGINE_NEVER || (c->cron && *slot_ms >= from)) return;
    due = rule_absent_due(c, c->cron ? from - 1 : from, &slot); /* a time that is the start itself can be met */
    if (due <= *due_ms) return;
    *due_ms = due;
    *slot_ms = slot;
}

static void arm(struct step_context *c, struct absent_key *k)
{
    int64_t due_ms = rule_absent_due(condition_of(k), k->hit || !condition_of(k)->cron ? since(k) : since(k) - 1, &k->slot_ms);
    put_off(k, &k->slot_ms, &due_ms);
    k->state = ABSENT_ARMED;
    absent_key_wait(c->e, k, due_ms);
}

void absent_start(struct step_context *c, struct absent_key *k)
{
    k->start_ms = c->now_ms;
    arm(c, k);
}

/* Thirty days without a hit; a period that is as long gets its time, too. */
static void run_out(struct step_context *c, struct absent_key *k)
{
    int64_t given_up_ms = since(k) + kept_ms, again_ms = k->due_ms + (k->due_ms - since(k));
    k->state = ABSENT_OUT;
    absent_key_wait(c->e, k, given_up_ms > again_ms ? given_up_ms : again_ms);
}

/* --- incidents -------------------------------------------------------------------------------------------------- */
static void note_absence(struct step_context *c, uint64_t incident, const char *what, const struct absence *a)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, CONTENT_CEILING);
    json_object_begin(w);
    json_field_time(w, a->hit ? "last" : "since", a->since_ms);
    json_field_time(w, "due", a->due_ms);
    json_object_end(w);
    note(c, incident, what, json_draft_end(&d, c->out->arena));
}

/* There is no run to tell of, but for what the key says of it. */
static void describe(struct step_context *c, struct incident *i, const struct absence *a)
{
    struct run run;
    run_init(&run);
    run.project = i->part->project;
    run.env = i->part->env;
    run.kind = STR("run");
    run.task = incident_key_part(c->out->arena, i, RULE_TASK);
    if (run.task.n) run.present |= RUN_HAS_TASK;
    detail_set_absence(c, i, &run, a);
}

static void open_absence(struct step_context *c, struct absent_key *k, const struct absence *a, bool over)
{
    struct absent_group *g = k->group;
    struct incident *i = incident_new(c->e, g->rule, g->part, absent_key_text(k), STR_NONE, id_next(&c->e->ids, c->now_ms));
    i->state = INCIDENT_PENDING;
    c->e->stats.incidents_pending++;
    i->first_ms = i->last_hit_ms = c->now_ms;
    i->last_event_ms = a->since_ms; /* so a success counts if it started after the last one */
    i->hits = 1;
    describe(c, i, a);
    hold_absence(c, i);
    note_absence(c, i->id, "absent", a);
    incident_arm_quiet(i);
    if (over) incident_open_over(c, i, STR("a hit has come since"));
    else incident_open(c, i);
    if (!i->ended) incident_rearm(c->e, i);
}

/* Its incident is still there: it lingers, or is resolved by hand only. */
static void absent_again(struct step_context *c, struct incident *i, const struct absence *a)
{
    i->hits++;
    i->last_hit_ms = c->now_ms;
    i->last_event_ms = a->since_ms;
    describe(c, i, a);
    hold_absence(c, i);
    note_absence(c, i->id, "absent", a);
    incident_arm_quiet(i);
    if (incident_lingers(i)) incident_relapse(c, i);
    incident_want_update(c, i);
    incident_touch(c->e, i);
    incident_rearm(c->e, i);
}

/* A cron's time may pass while its source lags, and the hit that came too late for it is known already. */
static void ring(struct step_context *c, struct absent_key *k)
{
    const struct absence a = { k->hit && k->since_ms > k->due_ms ? k->slot_ms : since(k), k->slot_ms, k->due_ms, c->now_ms, k->hit && k->since_ms <= k->due_ms };
    bool over = k->hit && k->since_ms > k->due_ms;
    struct incident *i = incident_find(c->e, k->group->rule, k->group->part, absent_key_text(k));
    run_out(c, k);
    if (i) absent_again(c, i, &a);
    else open_absence(c, k, &a, over);
    if (over) arm(c, k);
}

static void give_up(struct step_context *c, struct absent_key *k)
{
    struct incident *i = incident_find(c->e, k->group->rule, k->group->part, absent_key_text(k));
    if (i) incident_resolve(c, i, STR("given up: no hit for so long that its key is forgotten"));
    if (k->named) absent_key_wait(c->e, k, ENGINE_NEVER);
    else absent_key_drop(c->e, k);
}

static void key_due(struct step_context *c, struct absent_key *k)
{
    int64_t due_ms = k->due_ms;
    if (k->state == ABSENT_OUT) {
        give_up(c, k);
        return;
    }
    put_off(k, &k->slot_ms, &due_ms);
    if (due_ms > k->due_ms) absent_key_wait(c->e, k, due_ms);
    else ring(c, k);
}

void absent_due(struct step_context *c, struct timer *t)
{
    struct absent_group *g = (struct absent_group *)(void *)t;
    if (g->heap.v[0]->due_ms > g->told_ms) absent_group_rearm(c->e, g);
    else key_due(c, g->heap.v[0]);
}

/* --- hits ----------------------------------------------------------------------------------------------------------- */
static void ends(struct step_context *c, const struct hit *h, struct incident *i)
{
    const struct rule *r = h->rule->now;
    hit_note(c, i->id, h, "hit");
    for (size_t k = 0; k < r->resolve_count && !i->ended; k++)
        if (r->resolve[k].kind == RULE_CLEARS) incident_criterion(c, i, BY_CLEARING);
    incident_touch(c->e, i);
    if (!i->ended) incident_rearm(c->e, i);
}

/* It ends an absence unless the next hit has been missed as well since; one that was resolved by hand waits for one that is in time. */
static void hit_after(struct step_context *c, const struct hit *h, struct absent_key *k)
{
    struct incident *i = incident_find(c->e, h->rule, k->group->part, absent_key_text(k));
    int64_t slot_ms, due_ms = rule_absent_due(condition_of(k), k->since_ms, &slot_ms);
    bool missed = due_ms <= c->now_ms && (!i || due_ms <= k->group->told_ms);
    const struct absence a = { k->since_ms, slot_ms, due_ms, c->now_ms, true };
    if (!missed) {
        arm(c, k);
        if (i) ends(c, h, i);
        return;
    }
    k->slot_ms = slot_ms;
    k->due_ms = due_ms;
    run_out(c, k);
    if (!i) return;
    i->last_event_ms = a.since_ms;
    describe(c, i, &a);
    hit_note(c, i->id, h, "hit");
    incident_want_update(c, i);
    incident_rearm(c->e, i);
}

static void hit_in_time(struct step_context *c, const struct hit *h, struct absent_key *k)
{
    struct incident *i = h->rule->open > 0 ? incident_find(c->e, h->rule, k->group->part, absent_key_text(k)) : NULL;
    /* A cron's time is met by a hit from then on, until its grace is over. */
    bool undecided = condition_of(k)->cron && (k->since_ms < k->slot_ms || k->since_ms > k->due_ms);
    if (undecided) absent_key_touch(c->e, k);
    else arm(c, k);
    if (i) ends(c, h, i);
}

/* What was due until now comes before what is told now, whoever was quicker. */
static void catch_up(struct step_context *c, struct absent_key *k)
{
    if (k->state != ABSENT_ARMED || k->due_ms >= c->now_ms || k->due_ms > k->group->told_ms) return;
    overdue_since(c, k->due_ms);
    key_due(c, k);
    c->overdue_ms = 0;
}

/* A cron's time that seemed to be missed, for a later hit was told first. */
static bool met_after_all(const struct absent_key *k, int64_t event_ms)
{
    return condition_of(k)->cron && k->state == ABSENT_ARMED && k->since_ms > k->due_ms && event_ms >= k->slot_ms && event_ms <= k->due_ms;
}

static void hit_key(struct step_context *c, const struct hit *h, struct absent_key *k)
{
    int64_t event_ms = h->subject->transition->event_ms;
    catch_up(c, k);
    if (k->hit && event_ms <= k->since_ms) { /* told before, or older than what is known */
        if (met_after_all(k, event_ms)) arm(c, k);
        return;
    }
    k->hit = true;
    k->since_ms = event_ms;
    if (k->state == ABSENT_ARMED) hit_in_time(c, h, k);
    else hit_after(c, h, k);
}

static void too_many(struct step_context *c, const struct engine_rule *r)
{
    c->e->stats.collapsed_keys++;
    engine_fault(c, str_printf(c->out->arena, "absent/" STR_FMT, STR_ARG(r->name)),
                 str_printf(c->out->arena, "Rule " STR_FMT " waits for %zu keys and takes no more", STR_ARG(r->name), r->absent->keys),
                 STR("Nobody will hear when one of the others stays away. Let `by` name a field with fewer values."));
}

/* The first hit of a key. */
static void learn(struct step_context *c, const struct hit *h, struct part *p, struct str key)
{
    struct absent_key *k;
    if (absent_rule_get(h->rule)->keys >= c->e->limits.keys_per_rule) {
        too_many(c, h->rule);
        return;
    }
    if (h->subject->transition->event_ms + kept_ms <= c->now_ms) return; /* it would have been forgotten by now */
    k = absent_key_new(c->e, absent_group_get(c->e, h->rule, p), key);
    k->hit = true;
    k->since_ms = h->subject->transition->event_ms;
    arm(c, k);
}

void absent_hit(struct step_context *c, const struct hit *h)
{
    struct rule_key keys[KEYS_PER_HIT];
    struct part *p = hit_part(c, h->subject);
    size_t n = rule_keys(h->rule->now, h->subject, keys, KEYS_PER_HIT);
    c->out->hits++;
    for (size_t i = 0; i < n && !c->failed; i++) {
        struct absent_key *k = absent_key_find(c->e, h->rule, p, keys[i].key);
        if (k) hit_key(c, h, k);
        else learn(c, h, p, keys[i].key);
    }
}
