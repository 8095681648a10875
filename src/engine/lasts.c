/* lasts: a run that is a hit of a rule for some time (rule-language.md section 5). What counts is the run as all its
 * reports together tell it, by its own clock: whatever the order in which they came, the same stays come of them. */
#include <stdlib.h>

#include "base/timefmt.h"
#include "engine/lasts.h"

/* A run of which nothing is heard for that long after its time was over is not watched any more: its end got lost. */
enum { KEPT_DAYS = 30 };
#define DAY_MS INT64_C(86400000)

/* --- a run as it is now ------------------------------------------------------------------------------------------- */
static void look_begin(struct look *l, const struct run_seen *now)
{
    bool same = l->run.state == now->state && (now->state != RUN_UNKNOWN || str_eq(l->run.spelling, now->spelling));
    if (!same) l->run.spelling = now->state == RUN_UNKNOWN ? now->spelling : str_c(run_state_name(now->state));
    l->run.state = now->state;
    l->t = (struct transition){
        .kind = TRANSITION_NEW, .state = now->state, .current = true, .event_ms = now->event_ms, .event_id = now->event_id,
        .attempt = now->state == RUN_REATTEMPTING ? now->attempt : l->run.attempt,
    };
    rule_subject_init(&l->subject, l->c->out->arena, &l->run, &l->t, l->c->now_ms);
}

static void look_at_report(struct look *l, const struct engine_input *in)
{
    l->run = *in->u.event.run;
    l->dashboard = in->u.event.dashboard;
    l->fresh = l->whole = true;
    look_begin(l, run_known_state(l->known));
}

bool look_at_kept(struct look *l)
{
    struct detail d;
    if (watched_page_in(l->c->e, l->w, l->c->err) < 0 || detail_read(l->c->out->arena, (struct str){ l->w->detail, l->w->detail_bytes }, &d, l->c->err) < 0) {
        l->c->failed = true;
        return false;
    }
    l->run = d.run;
    l->t = d.transition;
    l->t.event_id = l->w->event_id;
    l->dashboard = d.dashboard;
    l->whole = str_absent(d.note);
    rule_subject_init(&l->subject, l->c->out->arena, &l->run, &l->t, l->c->now_ms);
    return true;
}

static void keep(struct look *l)
{
    struct strbuf b;
    struct json metadata = l->run.metadata;
    if (!(l->c->e->lasts->reads & RUN_HAS_METADATA)) l->run.metadata = (struct json){ 0 }; /* nobody will ask for it */
    strbuf_init(&b, 4 * CONTENT_CEILING);
    if (detail_write(&l->subject, l->dashboard, &b)) watched_keep_detail(l->c->e, l->w, strbuf_view(&b));
    strbuf_fini(&b);
    l->run.metadata = metadata;
    l->w->event_id = l->t.event_id;
    watched_touch(l->c->e, l->w);
}

/* --- since when --------------------------------------------------------------------------------------------------- */
static bool was_hit(struct look *l, const struct rule *r, const struct run_seen *seen)
{
    struct run run = l->run;
    struct transition t = l->t;
    struct rule_subject s;
    if (seen->state != l->t.state || seen->state == RUN_UNKNOWN) run.spelling = seen->state == RUN_UNKNOWN ? seen->spelling : str_c(run_state_name(seen->state));
    run.state = t.state = seen->state;
    t.event_ms = seen->event_ms;
    if (seen->state == RUN_REATTEMPTING) t.attempt = seen->attempt;
    rule_subject_init(&s, l->subject.arena, &run, &t, l->c->now_ms);
    return rule_matches(r, &s);
}

/* Was it a hit in the state it was in before place i? r NULL: it was in none that counts. */
static bool was_hit_before(struct look *l, const struct rule *r, size_t i)
{
    while (i-- > 0)
        if (!l->known->seen[i].derived) return r && was_hit(l, r, &l->known->seen[i]);
    return false;
}

/* Back from the state it is in, as long as the run was a hit, and no further than to where its attempt began. r NULL: in
 * that very state. *open: the memory of the run ends before the stay does. */
static int64_t stays_since(struct look *l, const struct rule *r, bool *open)
{
    const struct run_known *k = l->known;
    int64_t since_ms = ENGINE_NEVER;
    *open = false;
    for (size_t i = k->seen_count; i-- > 0;) {
        const struct run_seen *seen = &k->seen[i];
        bool newest = since_ms == ENGINE_NEVER; /* it is what the run is now */
        if (seen->derived) return newest || was_hit_before(l, r, i) ? seen->event_ms : since_ms;
        if (!newest && !(r && was_hit(l, r, seen))) return since_ms;
        since_ms = seen->event_ms;
        if (seen->state == RUN_REATTEMPTING) return since_ms;
    }
    *open = true;
    return since_ms;
}

/* --- the incident of a key ------------------------------------------------------------------------------------------ */
static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The others that are over their time: what ended by hand or in quiet left them where they are. */
static void take_over(struct step_context *c, struct incident *i, const struct crowd *crowd, const struct member *own)
{
    uint64_t *runs = xcalloc(crowd->still, sizeof *runs);
    size_t n = 0;
    for (const struct member *m = crowd->members; m; m = m->after)
        if (m->counts && m != own) runs[n++] = str_hash_stable(watched_id(m->run));
    qsort(runs, n, sizeof *runs, by_value); /* whichever are kept, the same ones in every run */
    for (size_t k = 0; k < n && i->runs_kept < c->e->limits.runs_per_incident; k++) incident_keep_run(i, runs[k]);
    i->run_count += (uint32_t)n;
    i->hits += (uint32_t)n;
    free(runs);
}

static void note_hit(struct step_context *c, const struct incident *i, const struct hit *h, const struct stay *s)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, CONTENT_CEILING);
    char id[ID_SIZE];
    json_object_begin(w);
    json_field_str(w, "run", h->subject->run->id);
    json_field_str(w, "status", h->subject->run->spelling);
    json_field_time(w, "since", s->since_ms);
    json_field_time(w, "at", h->subject->transition->event_ms);
    json_field_str(w, "event", id_format("evt", h->in->u.event.event_id, id));
    json_object_end(w);
    note(c, i->id, "hit", json_draft_end(&d, c->out->arena));
}

/* A stay that is over its time counts for one of its keys. */
static void join(struct look *l, struct stay *s, struct member *m, const struct hit *h)
{
    struct step_context *c = l->c;
    struct arena *a = c->out->arena;
    struct rule_key key = { str_dup(a, m->crowd->key), STR_NONE, STR_NONE };
    struct incident *i = hit_find(c, h, l->w->part, &key);
    bool there = i != NULL;
    if (!str_eq(key.key, m->crowd->key)) { /* over the bound of keys */
        member_leave(c->e, m);
        member_join(m, crowd_get(c->e, s->rule, l->w->part, key.key), l->w);
    }
    m->counts = true;
    m->crowd->still++;
    if (!there) {
        key.identity = s->rule->now->by_identity ? STR_NONE : rule_identity_of(s->rule->now, a, key.key);
        i = hit_start(c, h, l->w->part, &key);
        take_over(c, i, m->crowd, m);
    }
    i->still = m->crowd->still;
    if (i->state == INCIDENT_PENDING) i->unconfirmed |= l->unconfirmed;
    hit_join(c, i, h);
    note_hit(c, i, h, s);
    hit_settle(c, h, i, there);
}

static void note_left(struct step_context *c, const struct incident *i, const struct watched *w, struct str why)
{
    struct json_draft d;
    struct json_writer *out = json_draft_begin(&d, CONTENT_CEILING);
    json_object_begin(out);
    json_field_str(out, "run", watched_id(w));
    json_field_str(out, "status", why);
    json_field_i64(out, "still", i->still);
    json_object_end(out);
    note(c, i->id, "left", json_draft_end(&d, c->out->arena));
}

/* Its run does not count any more; why: what it is now. */
static void uncount(struct step_context *c, struct member *m, struct str why)
{
    struct incident *i = m->counts ? incident_find(c->e, m->crowd->rule, m->crowd->part, m->crowd->key) : NULL;
    struct detail d;
    if (m->counts) m->crowd->still--;
    m->counts = false;
    if (!i) return;
    i->still = m->crowd->still;
    note_left(c, i, m->run, why);
    incident_touch(c->e, i);
    if (detail_get(c, i, &d) < 0) return;
    i->detail_dirty = true; /* the title says how many there are */
    if (i->still == 0) incident_criterion(c, i, BY_CLEARING);
    else incident_want_update(c, i);
    if (!i->ended) incident_rearm(c->e, i);
}

void lasts_forget_key(struct step_context *c, const struct incident *i)
{
    struct crowd *crowd = crowd_find(c->e, i->rule, i->part, incident_key(i));
    if (!crowd) return;
    crowd->still = 0;
    for (struct member *m = crowd->members; m; m = m->after) {
        if (!m->counts) continue;
        m->counts = false;
        watched_touch(c->e, m->run);
    }
}

/* --- stays ---------------------------------------------------------------------------------------------------------- */
static int64_t over_ms(const struct stay *s)
{
    return s->since_ms + s->rule->now->condition.window_ms;
}

/* The hit is the moment at which its time was over. had: a bit for each key in which it has been told. */
static void join_keys(struct look *l, struct stay *s, uint32_t had)
{
    struct step_context *c = l->c;
    struct transition at = l->t;
    struct rule_subject subject;
    struct engine_input in = { .kind = ENGINE_EVENT, .now_ms = c->now_ms };
    struct hit h = { &subject, s->rule, &in, false, NULL, 0 };
    at.event_ms = over_ms(s);
    rule_subject_init(&subject, c->out->arena, &l->run, &at, c->now_ms);
    in.u.event.run = &l->run;
    in.u.event.transition = &at;
    in.u.event.event_id = l->t.event_id;
    in.u.event.dashboard = l->dashboard;
    c->out->hits++;
    for (size_t k = 0; k < s->member_count && !c->failed; k++)
        if (!(had >> k & 1)) join(l, s, &s->members[k], &h);
}

void lasts_ripe(struct look *l, struct stay *s)
{
    stay_set_phase(l->c->e, s, STAY_RIPE);
    s->due_ms = l->c->now_ms + KEPT_DAYS * DAY_MS;
    watched_touch(l->c->e, l->w);
    join_keys(l, s, 0);
}

/* Its time is over. */
static void ripen(struct look *l, struct stay *s)
{
    if (!confirm_asks(l, s)) lasts_ripe(l, s);
}

static void end_stay(struct step_context *c, struct watched *w, struct stay *s, struct str why)
{
    for (size_t k = 0; k < s->member_count && !c->failed; k++) {
        uncount(c, &s->members[k], why);
        member_leave(c->e, &s->members[k]);
    }
    watched_touch(c->e, w);
    if (!c->failed) stay_remove(c->e, w, s);
}

static size_t keys_of(struct look *l, const struct rule *r, struct str keys[KEYS_PER_HIT + 1])
{
    struct rule_key all[KEYS_PER_HIT + 1];
    size_t n = rule_keys(r, &l->subject, all, KEYS_PER_HIT + 1);
    for (size_t k = 0; k < n; k++) keys[k] = all[k].key;
    if (n <= KEYS_PER_HIT) return n;
    l->c->e->stats.collapsed_keys++;
    keys[KEYS_PER_HIT] = hit_overflow().key; /* the rest of a long list is one key */
    return n;
}

static bool has_keys(const struct stay *s, const struct str *keys, size_t n)
{
    if (stay_has_key(s, hit_overflow().key)) return true; /* where there was no room for a key of its own */
    for (size_t k = 0; k < n; k++)
        if (!stay_has_key(s, keys[k])) return false;
    return n == s->member_count;
}

/* A fuller report may show that it belongs elsewhere: to a queue that was not told before, say. */
static void set_keys(struct look *l, struct stay *s)
{
    struct str keys[KEYS_PER_HIT + 1];
    size_t n = keys_of(l, s->rule->now, keys), before_count = s->member_count;
    struct member *before = s->members;
    uint32_t had = 0;
    if (has_keys(s, keys, n)) return;
    watched_touch(l->c->e, l->w);
    s->members = NULL;
    stay_set_keys(l->c->e, l->w, s, keys, n);
    for (size_t k = 0; k < before_count && !l->c->failed; k++) {
        for (size_t i = 0; i < n; i++) {
            if (s->members[i].crowd != before[k].crowd) continue;
            had |= 1u << i;
            s->members[i].counts = before[k].counts;
            before[k].counts = false;
        }
        uncount(l->c, &before[k], STR("another key"));
        member_leave(l->c->e, &before[k]);
    }
    free(before);
    if (s->phase == STAY_RIPE && !l->c->failed) join_keys(l, s, had);
}

/* Back to waiting: a new attempt, or a late report, says that it has not been so for as long as it seemed. */
static void wait_again(struct look *l, struct stay *s)
{
    for (size_t k = 0; k < s->member_count && !l->c->failed; k++) uncount(l->c, &s->members[k], STR("begun anew"));
    stay_set_phase(l->c->e, s, STAY_WAITS);
}

static struct stay *new_stay(struct look *l, struct engine_rule *r)
{
    struct stay *s = stay_add(l->w, r);
    struct str keys[KEYS_PER_HIT + 1];
    stay_set_keys(l->c->e, l->w, s, keys, keys_of(l, r->now, keys));
    s->since_ms = ENGINE_NEVER;
    return s;
}

static void set_stay(struct look *l, struct engine_rule *r, int64_t since_ms, bool open)
{
    int64_t now_ms = l->c->now_ms;
    struct stay *s = stay_find(l->w, r);
    if (!s) s = new_stay(l, r);
    else if (l->fresh) set_keys(l, s);
    if (open && s->since_ms < since_ms) since_ms = s->since_ms;
    if (s->since_ms != since_ms) watched_touch(l->c->e, l->w);
    s->since_ms = since_ms;
    if (s->phase != STAY_WAITS && over_ms(s) > now_ms) wait_again(l, s);
    if (l->c->failed || s->phase == STAY_ASKED) return;
    if (s->phase == STAY_RIPE) s->due_ms = now_ms + KEPT_DAYS * DAY_MS;
    else if (over_ms(s) <= now_ms) ripen(l, s);
    else s->due_ms = over_ms(s);
}

/* --- a report ------------------------------------------------------------------------------------------------------- */
static bool has_room(struct step_context *c)
{
    if (lasts_runs(c->e) < c->e->limits.watched_runs) return true;
    c->e->stats.unwatched_runs++;
    engine_fault(c, STR("lasts"), STR("More runs than can be watched: rules with `lasts` do not see all of them"),
                 str_printf(c->out->arena, "%zu runs are watched, and there is room for no more. Let `when` of these rules name fewer tasks, queues or states.",
                            lasts_runs(c->e)));
    return false;
}

/* Told again is a run to a rule that came while it was in that state. What is told again is in no log: rules that have
 * seen it must not depend on it. */
static bool is_new_to(const struct look *l, const struct engine_rule *r)
{
    return !(l->w && stay_find(l->w, r)) && (!l->known || l->t.event_ms < r->came_ms);
}

/* Rules that hit the run as it is now; again: of those, the ones to which it is new. */
static void look_for_hits(struct look *l, bool again)
{
    struct engine *e = l->c->e;
    const uint32_t *candidates;
    size_t n = ruleset_lasts_candidates(e->rules, &l->subject, &e->lasts->scratch, &candidates);
    for (size_t k = 0; k < n && !l->c->failed; k++) {
        struct engine_rule *r = e->by_index[candidates[k]];
        bool open = false;
        if (l->old && !(l->w && stay_find(l->w, r))) continue;
        if (r->now->condition.kind != RULE_LASTS || (again && !is_new_to(l, r)) || !rule_matches(r->now, &l->subject)) continue;
        if (!l->w && !has_room(l->c)) return;
        if (!l->w) {
            l->w = watched_new(e, part_get(e, l->run.project, l->run.env), l->run.id);
            l->born = true;
        }
        set_stay(l, r, l->known ? stays_since(l, r->now, &open) : l->w->at_ms, open);
    }
}

static void end_misses(struct look *l)
{
    for (size_t k = l->w->stay_count; k-- > 0 && !l->c->failed;)
        if (!rule_matches(l->w->stays[k].rule->now, &l->subject)) end_stay(l->c, l->w, &l->w->stays[k], l->run.spelling);
}

void look_end(struct look *l)
{
    if (l->w->stay_count == 0) watched_forget(l->c->e, l->w);
    else watched_rearm(l->c->e, l->w);
}

/* What is known where nothing more was given than this transition. */
static void known_alone(const struct engine_input *in, struct run_known *known, struct run_seen seen[2])
{
    const struct transition *t = in->u.event.transition;
    seen[0] = (struct run_seen){ .event_ms = t->event_ms, .state = t->derived ? in->u.event.run->state : t->state, .attempt = t->attempt, .event_id = t->event_id,
                                 .spelling = in->u.event.run->spelling };
    seen[1] = (struct run_seen){ .event_ms = t->event_ms, .state = RUN_REATTEMPTING, .attempt = t->attempt, .derived = true };
    *known = (struct run_known){ .exists = true, .seen = seen, .seen_count = t->derived ? 2 : 1 };
}

void lasts_event(struct step_context *c, const struct engine_input *in)
{
    const struct run *run = in->u.event.run;
    const struct transition *t = in->u.event.transition;
    struct look l = { .c = c, .known = in->u.event.known, .answered = in->u.event.reread, .old = in->u.event.recorded_only };
    struct run_known alone;
    struct run_seen seen[2];
    bool open, again = t->kind == TRANSITION_DUPLICATE;
    if (c->e->lasts->rules + lasts_runs(c->e) == 0) return;
    l.w = watched_find(c->e, run->project, run->env, run->id);
    if ((!l.w || again) && (!t->current || run_state_class(t->state) & RUN_CLASS_FINISHED)) return;
    if (!l.known) {
        known_alone(in, &alone, seen);
        l.known = &alone;
    }
    if (t->current) look_at_report(&l, in);
    else if (!look_at_kept(&l) || !l.whole) return; /* a late report never tells what the run is now, but since when */
    if (l.w && !again) end_misses(&l);
    look_for_hits(&l, again);
    if (!l.w || c->failed) return;
    if (l.born || !again) l.w->at_ms = stays_since(&l, NULL, &open);
    if (l.born || (!again && l.fresh && l.w->stay_count)) keep(&l);
    if (l.answered && l.fresh) confirm_answered(&l);
    if (c->failed) return;
    look_end(&l);
}

/* --- time, rules ------------------------------------------------------------------------------------------------------ */
void lasts_due(struct step_context *c, struct timer *t)
{
    struct look l = { .c = c, .w = (struct watched *)(void *)t };
    if (!look_at_kept(&l)) return;
    for (size_t k = 0; k < l.w->stay_count && !c->failed;) {
        struct stay *s = &l.w->stays[k];
        if (s->due_ms > c->now_ms) {
            k++;
            continue;
        }
        overdue_since(c, s->due_ms);
        l.unconfirmed = s->phase == STAY_ASKED;
        if (l.unconfirmed) c->overdue_ms = s->overdue_ms;
        if (s->phase == STAY_WAITS) ripen(&l, s);
        else if (l.unconfirmed) lasts_ripe(&l, s);
        else end_stay(c, l.w, s, STR("not heard of any more"));
    }
    if (!c->failed) look_end(&l);
}

void lasts_drop_rule(struct engine *e, struct engine_rule *r)
{
    struct watched *w;
    size_t at = 0;
    while ((w = index_next(&e->lasts->runs, &at))) {
        struct stay *s = stay_find(w, r);
        if (!s) continue;
        for (size_t k = 0; k < s->member_count; k++) member_leave(e, &s->members[k]);
        stay_remove(e, w, s);
        watched_touch(e, w);
        watched_rearm(e, w);
    }
}

/* A state of things is there whichever rule asks: what is watched already is what a changed rule begins with. */
void lasts_look_again(struct step_context *c)
{
    struct watched **all;
    size_t n;
    lasts_note_coming(c->e, c->now_ms);
    if (!c->e->lasts->news) return;
    c->e->lasts->news = false;
    all = watched_all(c->e, &n);
    for (size_t k = 0; k < n && !c->failed; k++) {
        struct look l = { .c = c, .w = all[k] };
        if (!look_at_kept(&l)) break;
        look_for_hits(&l, true);
        if (!c->failed) look_end(&l);
    }
    free(all);
}

/* --- for people --------------------------------------------------------------------------------------------------------- */
int lasts_describe(struct engine *e, const struct engine_window_name *name, struct json_writer *out)
{
    struct engine_rule *r = map_get(&e->engine_rules, name->rule);
    const struct watched *w = watched_find(e, name->project, name->env, name->run);
    const struct stay *s = w && r ? stay_find(w, r) : NULL;
    const struct crowd *crowd = s ? crowd_find(e, r, w->part, name->key) : NULL;
    char text[TIMEFMT_SIZE];
    if (!s) return 0;
    json_object_begin(out);
    json_field_str(out, "key", name->key);
    json_field_str(out, "lasts", duration_format(r->now->condition.window_ms, text));
    json_field_time(out, "since", s->since_ms);
    json_field_time(out, "rings_at", over_ms(s));
    json_field_bool(out, "over", s->phase == STAY_RIPE);
    if (s->phase == STAY_ASKED) json_field_bool(out, "confirming", true);
    json_field_i64(out, "still", crowd ? crowd->still : 0);
    json_object_end(out);
    return 1;
}
