/* hit: from one transition to hits, incidents and successes. */
#include "engine/engine_internal.h"

/* --- hits ---------------------------------------------------------------------------------------------------- */
struct part *hit_part(struct step_context *c, const struct rule_subject *s)
{
    return part_get(c->e, s->run->project, s->run->env);
}

/* What is known of the last hit, from this report. */
void hit_details(struct step_context *c, struct incident *i, const struct hit *h)
{
    struct rule_subject *s = h->subject;
    if (s->transition->event_ms < i->last_event_ms && i->hits > 1) return;
    i->last_event_ms = s->transition->event_ms;
    i->last_state = (uint8_t)s->transition->state;
    incident_set_last_run(i, s->run->id);
    detail_set(c, i, s, h->in->u.event.dashboard);
}

/* Joins the hit to an incident that is there already. */
void hit_join(struct step_context *c, struct incident *i, const struct hit *h)
{
    incident_add_run(c->e, i, h->subject->run->id);
    i->hits++;
    if (!h->in->u.event.since_succeeded) i->successes = 0;
    i->last_hit_ms = c->now_ms;
    hit_details(c, i, h);
    hold_hit(c, i, h->subject);
    incident_touch(c->e, i);
}

void hit_note(struct step_context *c, uint64_t incident, const struct hit *h, const char *what)
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
    note(c, incident, what, json_draft_end(&d, c->out->arena));
}

void incident_arm_clears(struct step_context *c, struct incident *i)
{
    const struct rule *r = i->rule->now;
    int64_t clears_ms;
    if (!incident_window(c->e, i)) return;
    for (size_t k = 0; k < r->resolve_count; k++) {
        if (r->resolve[k].kind != RULE_CLEARS) continue;
        if (incident_cleared(c->e, i, c->now_ms, &clears_ms) || clears_ms < c->now_ms) clears_ms = c->now_ms;
        incident_wait_until(i, DUE_CLEARS, clears_ms);
    }
}

struct incident *hit_start(struct step_context *c, const struct hit *h, struct part *p, const struct rule_key *key)
{
    const struct rule *r = h->rule->now;
    uint64_t id = id_next(&c->e->ids, c->now_ms);
    struct incident *i = incident_new(c->e, h->rule, p, key->key, r->by_identity ? STR_NONE : key->identity, id);
    i->state = INCIDENT_PENDING;
    i->first_ms = c->now_ms;
    c->e->stats.incidents_pending++;
    return i;
}

enum { VALUES_PER_HIT = 64 };

/* The key's window with the hit's entries: one, or one for each value that is counted. NULL when it has no value. */
static struct window *count_in(struct step_context *c, const struct hit *h, struct part *p, struct str key)
{
    struct window_entry entry = { h->subject->transition->event_ms, str_hash_stable(h->subject->run->id), 0 };
    struct str values[VALUES_PER_HIT];
    bool of = h->rule->now->condition.of != NULL;
    size_t n = of ? rule_counted_values(h->rule->now, h->subject, values, VALUES_PER_HIT) : 1;
    struct window *w = n > 0 ? window_get(c->e, h->rule, p, key) : NULL;
    for (size_t k = 0; k < n; k++) {
        if (of) entry.mark = str_hash_stable(values[k]) | 1; /* 0 means none */
        window_add(c->e, w, entry);
    }
    return w;
}

/* Over the bound of keys there is no memory: what may be new rings, rather than to be lost among others. */
static struct incident *first_of(struct step_context *c, struct hit *h, struct part *p, const struct rule_key *key, struct incident *i)
{
    bool is_first = str_eq(key->key, hit_overflow().key) ||
                    window_first(c->e, window_get(c->e, h->rule, p, key->key), h->subject->transition->event_ms, h->subject->run->id);
    return i || !is_first ? i : hit_start(c, h, p, key);
}

/* The incident that this hit joins or starts; NULL while the condition does not hold. */
static struct incident *incident_of(struct step_context *c, struct hit *h, struct part *p, const struct rule_key *key, struct incident *i)
{
    const struct rule_condition *condition = &h->rule->now->condition;
    int64_t event_ms = h->subject->transition->event_ms;
    struct window_span best;
    struct window *w;
    if (condition->kind == RULE_EVERY_HIT) return i ? i : hit_start(c, h, p, key);
    if (condition->kind == RULE_FIRST) return first_of(c, h, p, key, i);
    w = count_in(c, h, p, key->key);
    if (i || !w) return i; /* an open one absorbs further hits, whatever the window says */
    best = window_best(w, event_ms);
    if (best.count < condition->n) return NULL;
    i = hit_start(c, h, p, key);
    window_runs(w, best, i, c->e);
    i->hits--; /* join counts this hit */
    return i;
}

/* A condition that cleared must hold again; a success is undone by any hit but a late one of a run that has
 * succeeded since: nothing would ever follow that could resolve it, and it would escalate. */
static bool relapses(struct step_context *c, const struct incident *i, const struct hit *h)
{
    if (!incident_lingers(i)) return false;
    if (i->criterion != BY_CLEARING) return !h->in->u.event.since_succeeded;
    return incident_holds(c->e, i, c->now_ms);
}

/* A late hit of a run that is known to have succeeded since, and nobody else's trouble. */
static bool is_over(const struct hit *h, const struct incident *i)
{
    return h->in->u.event.since_succeeded && i->run_count <= 1;
}

static void open_hit(struct step_context *c, const struct hit *h, struct incident *i)
{
    struct engine *e = c->e;
    if (!is_over(h, i)) {
        if (confirm_run_waits(c, h, i)) return;
        incident_open(c, i);
        return;
    }
    if (e->over_event != h->in->u.event.event_id) vec_clear(&e->over);
    e->over_event = h->in->u.event.event_id;
    *vec_push(&e->over) = (struct over){ i->key_hash, i->rule, i->id };
    incident_open_over(c, i, STR("the run has succeeded since"));
}

/* The report of a success may tell of several retries: they are over together, in one incident and one message.
 * Only what this very report ended is remembered, so that nothing depends on what happened before a restart. */
static bool over_already(struct step_context *c, const struct hit *h, const struct part *p, struct str key)
{
    const struct engine *e = c->e;
    uint32_t hash = key_hash(h->rule, p, key);
    if (!h->in->u.event.since_succeeded || e->over_event != h->in->u.event.event_id) return false;
    for (size_t k = 0; k < e->over.n; k++) {
        if (e->over.v[k].rule != h->rule || e->over.v[k].key_hash != hash) continue;
        hit_note(c, e->over.v[k].incident, h, "hit");
        return true;
    }
    return false;
}

/* One incident for what is over a bound. It is nobody's in particular: no single success ends it. */
static const struct rule_key overflow = { { "(overflow)", 10 }, { NULL, 0 }, { NULL, 0 } };

struct rule_key hit_overflow(void)
{
    return overflow;
}

/* Over the bound of keys, hits of keys that are not known yet join one incident. */
struct incident *hit_find(struct step_context *c, const struct hit *h, struct part *p, struct rule_key *key)
{
    struct incident *i = incident_find(c->e, h->rule, p, key->key);
    if (i || h->rule->open + h->rule->windows < c->e->limits.keys_per_rule) return i;
    if (window_find(c->e, h->rule, p, population_key(h->rule->now, key))) return NULL;
    c->e->stats.collapsed_keys++;
    *key = overflow;
    return incident_find(c->e, h->rule, p, key->key);
}

static bool was_counted(const struct hit *h, struct str key)
{
    for (size_t k = 0; k < h->counted_count; k++)
        if (str_eq(h->counted[k].key, key)) return true;
    return false;
}

/* Another report of a hit that was counted: it may only know more. */
void hit_refresh(struct step_context *c, const struct hit *h, struct incident *i)
{
    if (!i || !incident_has_run(i, h->subject->run->id)) return;
    hit_details(c, i, h);
    incident_want_update(c, i);
    incident_rearm(c->e, i);
}

void hit_settle(struct step_context *c, const struct hit *h, struct incident *i, bool there)
{
    incident_arm_quiet(i);
    incident_arm_clears(c, i);
    if (relapses(c, i, h)) incident_relapse(c, i);
    if (i->state == INCIDENT_PENDING) {
        if (incident_affected(i) >= h->rule->now->at_least) open_hit(c, h, i);
    } else if (there) {
        hold_told_after_all(c, i);
        incident_want_update(c, i);
    }
    if (!i->ended) incident_rearm(c->e, i);
}

/* A hit without the value that is counted joined when it was told; now the value is known. */
static bool joined_already(const struct hit *h, const struct incident *there)
{
    return h->fuller && h->rule->now->condition.of && there && incident_has_run(there, h->subject->run->id);
}

static void hit_key(struct step_context *c, struct hit *h, struct part *p, struct rule_key *key)
{
    struct incident *there, *i;
    if (was_counted(h, key->key)) {
        hit_refresh(c, h, incident_find(c->e, h->rule, p, key->key));
        return;
    }
    if (over_already(c, h, p, key->key)) return;
    there = hit_find(c, h, p, key);
    i = incident_of(c, h, p, key, there);
    if (!i) return;
    if (joined_already(h, there)) {
        hit_refresh(c, h, i);
        return;
    }
    hit_join(c, i, h);
    hit_note(c, i->id, h, "hit");
    hit_settle(c, h, i, there != NULL);
}

static void hit_rule(struct step_context *c, struct hit *h)
{
    struct rule_key keys[KEYS_PER_HIT + 1];
    struct part *p = hit_part(c, h->subject);
    size_t n = rule_keys(h->rule->now, h->subject, keys, KEYS_PER_HIT + 1);
    c->out->hits++;
    if (n > KEYS_PER_HIT) { /* the rest of a long list is one key */
        c->e->stats.collapsed_keys++;
        keys[KEYS_PER_HIT] = overflow;
    }
    for (size_t k = 0; k < n && !c->failed; k++) hit_key(c, h, p, &keys[k]);
}

/* What a report told before it gained these fields. */
static struct run thinner(const struct run *full, uint32_t gained)
{
    struct run r = *full;
    const struct { uint32_t bit; struct str *text; } texts[] = {
        { RUN_HAS_TASK, &r.task },       { RUN_HAS_VERSION, &r.version }, { RUN_HAS_QUEUE, &r.queue },       { RUN_HAS_ROOT, &r.root },
        { RUN_HAS_PARENT, &r.parent },   { RUN_HAS_MACHINE, &r.machine }, { RUN_HAS_REGION, &r.region },
        { RUN_HAS_SCHEDULE, &r.schedule }, { RUN_HAS_BATCH, &r.batch },
    };
    const struct { uint32_t bit; int64_t *ms; } times[] = {
        { RUN_HAS_CREATED, &r.created_ms }, { RUN_HAS_STARTED, &r.started_ms }, { RUN_HAS_FINISHED, &r.finished_ms }, { RUN_HAS_DELAYED, &r.delayed_ms },
    };
    r.present &= ~gained;
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        if (gained & texts[k].bit) *texts[k].text = STR_NONE;
    for (size_t k = 0; k < sizeof times / sizeof *times; k++)
        if (gained & times[k].bit) *times[k].ms = RUN_TIME_NONE;
    if (gained & RUN_HAS_FINISHED) r.duration_ms = RUN_TIME_NONE;
    if (gained & RUN_HAS_TAGS) r.tag_count = 0;
    if (gained & RUN_HAS_TEST) r.test = false;
    if (gained & RUN_HAS_ATTEMPT) r.attempt = 0;
    if (gained & RUN_HAS_ERROR) r.error = (struct run_error){ 0 };
    if (gained & RUN_HAS_METADATA) r.metadata = (struct json){ 0 };
    if ((gained & RUN_HAS_STATE) && (run_state_class(r.state) & RUN_CLASS_FAILED)) r.state = RUN_FAILED; /* "in some way" */
    return r;
}

void hit_thinner(const struct rule_subject *s, struct thinner *out)
{
    const struct transition *t = s->transition;
    out->run = thinner(s->run, t->gained);
    out->transition = *t;
    if (!t->derived && t->state != RUN_REATTEMPTING) {
        out->transition.state = out->run.state;
        out->transition.attempt = out->run.attempt;
    }
    rule_subject_init(&out->subject, s->arena, &out->run, &out->transition, s->arrival_ms);
}

/* A fuller report is no second hit of a rule that the thinner one hit: under which keys did it? */
static size_t counted_keys(const struct rule *r, const struct rule_subject *s, struct rule_key *out)
{
    struct thinner before;
    struct str values[VALUES_PER_HIT];
    hit_thinner(s, &before);
    if (!rule_matches(r, &before.subject)) return 0;
    if (r->condition.of && rule_counted_values(r, &before.subject, values, VALUES_PER_HIT) == 0) return 0; /* it counted for nothing */
    return rule_keys(r, &before.subject, out, KEYS_PER_HIT);
}

static void all_hits(struct step_context *c, const struct engine_input *in, struct rule_subject *s)
{
    const struct transition *t = in->u.event.transition;
    const uint32_t *candidates;
    size_t n = ruleset_candidates(c->e->rules, s, &c->e->scratch, &candidates);
    for (size_t k = 0; k < n && !c->failed; k++) {
        const struct rule *r = c->e->rules->rules[candidates[k]];
        struct rule_key counted[KEYS_PER_HIT];
        struct hit h = { s, c->e->by_index[candidates[k]], in, t->kind == TRANSITION_FULLER, counted, 0 };
        if (rule_on_population(&r->condition) || r->condition.kind == RULE_LASTS) continue; /* population_event's, lasts_event's */
        if ((h.fuller && !(r->reads & t->gained)) || !rule_matches(r, s)) continue;
        if (r->condition.kind == RULE_ABSENT) {
            absent_hit(c, &h);
            continue;
        }
        if (h.fuller) h.counted_count = counted_keys(r, s, counted);
        hit_rule(c, &h);
    }
}

/* --- successes ----------------------------------------------------------------------------------------------- */
/* Where an incident follows its run, there is one success at most: a run succeeds once. */
static int64_t successes_wanted(const struct rule *r)
{
    for (size_t k = 0; k < r->resolve_count; k++)
        if (r->resolve[k].kind == RULE_SUCCESS) return r->by_run ? 1 : r->resolve[k].successes;
    return 0;
}

/* What was made after a moment started after it, too: a thin report may tell no more. A deployment does not say when it
 * began; its end stands for it. */
static bool started_after(const struct rule_subject *s, int64_t ms)
{
    const struct run *r = s->run;
    int64_t at = r->started_ms != RUN_TIME_NONE ? r->started_ms : r->created_ms;
    if (r->started_ms == RUN_TIME_NONE && str_eq_c(r->kind, "deployment")) at = s->transition->event_ms;
    return at != RUN_TIME_NONE && at > ms;
}

static void success_for(struct step_context *c, struct incident *i, const struct rule_subject *s)
{
    int64_t wanted = successes_wanted(i->rule->now);
    bool own = incident_has_run(i, s->run->id);
    bool after = started_after(s, i->last_event_ms);
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
    if (i->ended || i->last_state == (uint8_t)s->transition->state) return; /* it was the hit itself */
    if (s->transition->state == RUN_CANCELED) {
        incident_resolve(c, i, STR("the run was canceled"));
        return;
    }
    i->last_state = (uint8_t)s->transition->state;
    incident_arm_quiet(i);
    incident_wait_until(i, DUE_REPEAT, ENGINE_NEVER);
    i->repeat_next = REPEAT_OVER;
    note(c, i->id, "run ended", note_text(c, "state", name));
    incident_want_update(c, i);
    incident_touch(c->e, i);
    incident_rearm(c->e, i);
}

/* Successes are counted in a row: a failure that is no hit of the rule breaks it, too. */
static void row_broken(struct step_context *c, struct incident *i)
{
    if (i->successes == 0) return;
    i->successes = 0;
    incident_touch(c->e, i);
}

/* The incidents of one key that a finished run speaks of: the one with that key, or all with its identity. */
static void after_key(struct step_context *c, struct engine_rule *r, struct part *p, const struct rule_key *key, struct rule_subject *s)
{
    bool success = run_state_class(s->transition->state) & RUN_CLASS_SUCCESS;
    struct incident *i = r->now->by_identity ? incident_find(c->e, r, p, key->key) : incident_first_by_identity(c->e, r, p, key->identity), *next;
    for (; i && !c->failed; i = next) {
        next = i->sibling;
        if (success)
            success_for(c, i, s);
        else if (run_state_class(s->transition->state) & RUN_CLASS_FAILED)
            row_broken(c, i);
    }
}

static void after_rule(struct step_context *c, struct engine_rule *r, struct rule_subject *s, bool success)
{
    struct rule_key keys[KEYS_PER_HIT];
    struct part *p = hit_part(c, s);
    size_t n = rule_keys(r->now, s, keys, KEYS_PER_HIT);
    for (size_t k = 0; k < n && !c->failed; k++) {
        struct incident *own = success || !r->now->by_run ? NULL : incident_find(c->e, r, p, keys[k].key);
        after_key(c, r, p, &keys[k], s);
        if (own) run_ended(c, own, s);
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
        if (r->open == 0 || !(success || r->now->by_run || successes_wanted(r->now) > 1)) continue;
        if (rule_in_population(r->now, s)) after_rule(c, r, s, success);
    }
}

void engine_event(struct step_context *c, const struct engine_input *in)
{
    struct rule_subject s;
    rule_subject_init(&s, c->out->arena, in->u.event.run, in->u.event.transition, c->now_ms);
    lasts_event(c, in);
    if (c->failed) return;
    engine_ends(c, in, &s);
    /* Ends first: a success that is itself a hit of a rule must not resolve what it opens. A failure that is
     * a hit is told apart in run_ended by the hit's state. */
    if (run_state_class(in->u.event.transition->state) & RUN_CLASS_SUCCESS) {
        all_ends(c, in, &s);
        all_hits(c, in, &s);
        population_event(c, in, &s);
    } else {
        all_hits(c, in, &s);
        population_event(c, in, &s);
        all_ends(c, in, &s);
    }
    absent_heard(c, s.run->project, s.run->env, s.transition->event_ms);
}
