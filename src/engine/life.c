/* life: how an incident opens, waits, speaks, is acknowledged, lingers and resolves (rule-language.md 5). */
#include <assert.h>
#include <stdlib.h>

#include "base/timefmt.h"
#include "engine/engine_internal.h"

enum { RUN_ENDED_QUIET_MS = 86400000 };

/* --- opening --------------------------------------------------------------------------------------------------- */
static int by_due(const void *a, const void *b)
{
    const struct step *x = a, *y = b;
    return x->due_ms < y->due_ms ? -1 : x->due_ms > y->due_ms;
}

/* The steps are frozen now: what a reload changes later does not move them. */
static void freeze_steps(struct step_context *c, struct incident *i)
{
    const struct rule *r = i->rule->now;
    size_t n = 0, at = 0;
    for (size_t k = 0; k < r->escalate_count; k++) n += r->escalate[k].to.n;
    if (n == 0 || n > UINT16_MAX) return;
    i->steps = xcalloc(n, sizeof *i->steps);
    for (size_t k = 0; k < r->escalate_count; k++)
        for (size_t t = 0; t < r->escalate[k].to.n; t++) {
            const struct rule_target *to = &r->escalate[k].to.v[t];
            i->steps[at++] = (struct step){
                .due_ms = i->opened_ms + r->escalate[k].after_ms,
                .after_ms = r->escalate[k].after_ms,
                .place = place_get(c->e, c->e->rules->destinations[to->destination].name),
                .params = target_params(c, i, to),
                .during = hours_name(c->e, to->during),
            };
        }
    i->step_count = (uint16_t)n;
    qsort(i->steps, n, sizeof *i->steps, by_due);
}

int64_t incident_repeat_wait(const struct incident *i)
{
    const struct rule *r = i->rule->now;
    size_t k = i->repeat_next;
    if (r->repeat_count == 0 || k == REPEAT_OVER) return 0;
    return r->repeat_ms[k < r->repeat_count ? k : r->repeat_count - 1];
}

static void arm_repeat(struct incident *i, int64_t from_ms)
{
    int64_t wait_ms = incident_repeat_wait(i);
    incident_wait_until(i, DUE_REPEAT, wait_ms > 0 ? from_ms + wait_ms : ENGINE_NEVER);
}

/* What did not happen is not late: it says itself how long it is overdue. */
static bool is_late(const struct step_context *c, const struct incident *i)
{
    return i->rule->now->condition.kind != RULE_ABSENT && c->now_ms - i->last_event_ms > 600000;
}

/* Open, and nobody told yet. */
static void begin(struct step_context *c, struct incident *i)
{
    c->e->stats.incidents_pending--;
    c->e->stats.incidents_open++;
    i->state = INCIDENT_OPEN;
    i->opened_ms = c->now_ms;
    i->late = is_late(c, i);
    freeze_steps(c, i);
    arm_repeat(i, c->now_ms);
    note(c, i->id, "opened", STR("{}"));
    incident_route(c, i);
    incident_touch(c->e, i);
    hold_review(c, i);
    hold_gate(c, i, 1);
}

void incident_open(struct step_context *c, struct incident *i)
{
    int64_t wait_ms = i->rule->now->wait_ms;
    bool behind = i->rule->now->unless_count > 0; /* what it stands behind may open in this step, too */
    begin(c, i);
    if (wait_ms > 0 || behind || incident_held(i)) incident_wait_until(i, DUE_WAIT, c->now_ms + wait_ms);
    else incident_speak_first(c, i);
    if (behind) hold_wait_fresh(c, i);
}

void incident_speak_first(struct step_context *c, struct incident *i)
{
    incident_wait_until(i, DUE_WAIT, ENGINE_NEVER);
    if (hold_drops(c, i, "open")) {
        hold_dropped(i);
        return;
    }
    incident_tell_first(c, i, MESSAGE_OPEN, STR_NONE);
    i->last_told_ms = c->now_ms;
}

/* --- updates ------------------------------------------------------------------------------------------------------ */
static bool anybody_edits(const struct incident *i)
{
    for (size_t k = 0; k < i->told_count; k++)
        if (incident_told(i)[k].place->now && incident_told(i)[k].place->now->edits) return true;
    return false;
}

void incident_want_update(struct step_context *c, struct incident *i)
{
    int64_t due;
    if (i->state == INCIDENT_PENDING || incident_due_ms(i, DUE_WAIT) != ENGINE_NEVER || incident_due_ms(i, DUE_UPDATE) != ENGINE_NEVER) return;
    if (!anybody_edits(i)) return;
    due = i->last_told_ms + i->rule->now->update_ms;
    incident_wait_until(i, DUE_UPDATE, due > c->now_ms ? due : c->now_ms);
}

/* What is to be said of a run-keyed incident whose run is over and did not succeed. */
static struct str ended_as(struct step_context *c, const struct incident *i)
{
    if (!incident_run_ended(i)) return STR_NONE;
    return str_printf(c->out->arena, "the run ended as %s", run_state_name((enum run_state)i->last_state));
}

static void update_due(struct step_context *c, struct incident *i)
{
    if (hold_drops(c, i, "update")) return;
    for (size_t k = 0; k < i->told_count && !c->failed; k++) {
        struct told *t = incident_told_at(i, k);
        if (!t->place->now || !t->place->now->edits || !(t->flags & TOLD_SPOKE)) continue; /* the digest speaks for those */
        if (t->outstanding > 0)
            t->flags |= TOLD_DIRTY; /* coalesced: said when the one on its way has arrived */
        else
            tell_told(c, i, t, MESSAGE_UPDATE, ended_as(c, i));
    }
    i->last_told_ms = c->now_ms;
}

static void remind_later(struct step_context *c, struct incident *i, struct told *t)
{
    const struct telling what = { .kind = MESSAGE_REMINDER, .during = hours_find(c->e, t->during) };
    hours_postpone(c, i, t, &what);
}

static void repeat_due(struct step_context *c, struct incident *i)
{
    if (i->repeat_next < REPEAT_OVER - 1) i->repeat_next++;
    arm_repeat(i, c->now_ms);
    if (hold_drops(c, i, "reminder")) return;
    for (size_t k = 0; k < i->told_count && !c->failed; k++) {
        struct told *t = incident_told_at(i, k);
        if (!(t->flags & TOLD_SPOKE)) continue;
        if (!t->place->now) continue; /* there is no such place any more */
        if (t->outstanding > 0 && (t->flags & TOLD_LOUD)) { /* it has not heard the last one yet: a reminder on top tells nothing */
            note(c, i->id, "reminder skipped", note_text(c, "destination", t->place->name));
            continue;
        }
        if (hours_cover(c, t->during)) tell_told(c, i, t, MESSAGE_REMINDER, STR_NONE);
        else remind_later(c, i, t);
    }
}

static void step_due(struct step_context *c, struct incident *i)
{
    struct step *s;
    struct telling what;
    assert(i->step_next < i->step_count); /* or incident_next would not have named it */
    s = &i->steps[i->step_next++];
    if (hold_drops(c, i, "escalation")) return;
    note(c, i->id, "escalated", note_text(c, "destination", s->place->name));
    what = (struct telling){ s->place, s->params, MESSAGE_ESCALATION, ended_as(c, i), s->after_ms, hours_find(c->e, s->during) };
    tell_target(c, i, &what);
}

/* --- the end ------------------------------------------------------------------------------------------------------- */
/* Steps that stood still since paused_ms move on by as long as they stood. */
void incident_unpause(struct incident *i, int64_t now_ms)
{
    if (i->paused_ms == 0) return;
    for (size_t k = i->step_next; k < i->step_count; k++) i->steps[k].due_ms += now_ms - i->paused_ms;
    i->paused_ms = 0;
}

int64_t incident_clock(const struct incident *i, int64_t now_ms)
{
    return incident_held(i) ? i->hold->since_ms : now_ms;
}

/* What stood still while it lingered or slept is due now, and not late. */
static void hold_no_more(struct incident *i, int64_t at_ms)
{
    static const enum due held[] = { DUE_WAIT, DUE_UPDATE, DUE_REPEAT, DUE_LATER };
    int64_t now_ms = incident_clock(i, at_ms);
    for (size_t k = 0; k < sizeof held / sizeof *held; k++)
        if (incident_due_ms(i, held[k]) < now_ms) incident_wait_until(i, held[k], now_ms);
}

void incident_relapse(struct step_context *c, struct incident *i)
{
    incident_wait_until(i, DUE_LINGER, ENGINE_NEVER);
    hold_no_more(i, c->now_ms);
    if (i->state == INCIDENT_OPEN && !incident_held(i)) incident_unpause(i, c->now_ms);
    note(c, i->id, "relapsed", STR("{}"));
    incident_touch(c->e, i);
}

static struct str criterion_text(struct step_context *c, const struct incident *i, enum criterion why)
{
    const enum rule_condition_kind kind = i->rule->now->condition.kind;
    char text[TIMEFMT_SIZE];
    if (why == BY_QUIET) return str_printf(c->out->arena, "no hit for " STR_FMT, STR_ARG(duration_human(c->now_ms - i->last_hit_ms, text)));
    if (why == BY_MATCH) return STR("a run event met its `resolve`");
    if (why == BY_SUCCESS) return STR("a run succeeded");
    if (kind == RULE_ABSENT) return STR("it is back");
    return kind == RULE_LASTS ? STR("no run is left") : STR("the condition no longer holds");
}

void incident_criterion(struct step_context *c, struct incident *i, enum criterion why)
{
    int64_t linger_ms = i->rule->now->linger_ms;
    if (i->state == INCIDENT_PENDING || linger_ms == 0) {
        incident_resolve(c, i, criterion_text(c, i, why));
        return;
    }
    if (incident_lingers(i)) return;
    incident_wait_until(i, DUE_LINGER, c->now_ms + linger_ms);
    if (i->paused_ms == 0) i->paused_ms = c->now_ms;
    i->criterion = (uint8_t)why;
    note(c, i->id, "lingering", note_text(c, "reason", criterion_text(c, i, why)));
    incident_touch(c->e, i);
}

static void empty_window(struct step_context *c, struct incident *i)
{
    struct window *w = incident_window(c->e, i);
    const struct rule *r = i->rule->now;
    bool lasts = r->condition.kind == RULE_LASTS;
    if ((!w && !lasts) || r->condition.kind == RULE_FIRST) return; /* the memory of the key stays */
    for (size_t k = 0; k < r->resolve_count; k++)
        if (r->resolve[k].kind == RULE_CLEARS) return; /* its window goes on */
    if (lasts) lasts_forget_key(c, i);
    else if (rule_on_population(&r->condition) && !r->by_identity) window_forget(c->e, w, mark_of(r, incident_key(i))); /* it is others' window, too */
    else window_drop(c->e, w);
}

void incident_resolve(struct step_context *c, struct incident *i, struct str reason)
{
    struct engine_stats *stats = &c->e->stats;
    bool counted = i->state != INCIDENT_PENDING;
    if (i->ended) return;
    if (i->state == INCIDENT_PENDING) stats->incidents_pending--;
    if (i->state == INCIDENT_OPEN) stats->incidents_open--;
    if (i->state == INCIDENT_ACKNOWLEDGED) stats->incidents_acknowledged--;
    i->state = INCIDENT_RESOLVED;
    note(c, i->id, "resolved", note_text(c, "reason", reason));
    for (size_t k = 0; k < i->told_count && !c->failed; k++) {
        struct told *t = incident_told_at(i, k);
        if (t->flags & TOLD_DIGEST) digest_resolved(c, t->digest);
        if (!(t->flags & TOLD_SPOKE)) continue;
        if (t->place->now && t->place->now->edits) tell_told(c, i, t, MESSAGE_UPDATE, reason);
        tell_told(c, i, t, MESSAGE_RESOLVE, reason);
    }
    empty_window(c, i);
    incident_forget(c->e, i);
    if (incident_held(i)) stats->incidents_held--;
    if (counted) hold_gate(c, i, -1);
    silence_resolved(c, i);
}

void incident_open_over(struct step_context *c, struct incident *i, struct str reason)
{
    bool silent = i->rule->now->wait_ms > 0 || hold_would(c, i);
    c->e->stats.incidents_pending--;
    i->state = INCIDENT_RESOLVED;
    i->opened_ms = c->now_ms;
    i->late = is_late(c, i);
    note(c, i->id, "opened", STR("{}"));
    note(c, i->id, "resolved", note_text(c, "reason", reason));
    if (!silent && !hold_drops(c, i, "resolve")) incident_tell_first(c, i, MESSAGE_RESOLVE, reason);
    for (size_t k = 0; k < i->told_count; k++)
        if (incident_told(i)[k].flags & TOLD_DIGEST) digest_resolved(c, incident_told(i)[k].digest);
    empty_window(c, i);
    incident_forget(c->e, i);
}

/* --- timers --------------------------------------------------------------------------------------------------------- */
void incident_arm_quiet(struct incident *i)
{
    const struct rule *r = i->rule->now;
    bool ended = r->by_run && (run_state_class((enum run_state)i->last_state) & RUN_CLASS_FINISHED), by_hand = false;
    int64_t quiet_ms = 0;
    for (size_t k = 0; k < r->resolve_count; k++) {
        if (r->resolve[k].kind == RULE_QUIET) quiet_ms = r->resolve[k].quiet_ms;
        by_hand |= r->resolve[k].kind == RULE_MANUAL;
    }
    if (quiet_ms == 0 && ended && !by_hand) quiet_ms = RUN_ENDED_QUIET_MS; /* nothing else will ever be heard of this run */
    incident_wait_until(i, DUE_QUIET, quiet_ms > 0 ? i->last_hit_ms + quiet_ms + (i->hold ? i->hold->stood_ms : 0) : ENGINE_NEVER);
}

static void quiet_due(struct step_context *c, struct incident *i)
{
    incident_criterion(c, i, BY_QUIET);
    if (!i->ended) incident_arm_quiet(i); /* it goes on to be quiet while it lingers */
}

static void clears_due(struct step_context *c, struct incident *i)
{
    int64_t clears_ms;
    if (incident_cleared(c->e, i, c->now_ms, &clears_ms)) incident_criterion(c, i, BY_CLEARING);
    else incident_wait_until(i, DUE_CLEARS, clears_ms);
}

/* It was put to sleep before it had enough runs to open, and has not enough yet. */
static void pend_again(struct step_context *c, struct incident *i)
{
    hold_gate(c, i, -1);
    incident_wait_until(i, DUE_LATER, ENGINE_NEVER);
    i->state = INCIDENT_PENDING;
    i->opened_ms = i->paused_ms = 0;
    c->e->stats.incidents_pending++;
    hold_review(c, i);
    for (size_t k = 0; k < i->step_count; k++) free(i->steps[k].params);
    free(i->steps);
    i->steps = NULL;
    i->step_count = i->step_next = 0;
}

static void lapse_due(struct step_context *c, struct incident *i)
{
    c->e->stats.incidents_acknowledged--;
    if (i->last_told_ms == 0 && incident_affected(i) < i->rule->now->at_least) {
        pend_again(c, i);
        return;
    }
    i->state = INCIDENT_OPEN;
    c->e->stats.incidents_open++;
    if (!incident_lingers(i) && !incident_held(i)) incident_unpause(i, c->now_ms);
    hold_no_more(i, c->now_ms);
    arm_repeat(i, incident_clock(i, c->now_ms));
    note(c, i->id, "snooze ended", STR("{}"));
    if (i->last_told_ms == 0)
        incident_wait_until(i, DUE_WAIT, c->now_ms); /* it was put to sleep before anybody was told */
    else
        incident_want_update(c, i);
}

static void fire(struct step_context *c, struct incident *i, enum due what)
{
    if (what != DUE_STEP) incident_wait_until(i, what, ENGINE_NEVER);
    switch (what) {
    case DUE_WAIT: incident_speak_first(c, i); break;
    case DUE_UPDATE: update_due(c, i); break;
    case DUE_REPEAT: repeat_due(c, i); break;
    case DUE_LINGER: incident_resolve(c, i, criterion_text(c, i, (enum criterion)i->criterion)); break;
    case DUE_QUIET: quiet_due(c, i); break;
    case DUE_CLEARS: clears_due(c, i); break;
    case DUE_LAPSE: lapse_due(c, i); break;
    case DUE_LATER:
        if (i->state == INCIDENT_PENDING) confirm_run_late(c, i);
        else hours_due(c, i);
        break;
    case DUE_STEP: step_due(c, i); break;
    }
}

/* In the order in which things were due: after a downtime nobody stays untold because the end is overdue, too. */
void incident_due(struct step_context *c, struct incident *i)
{
    incident_touch(c->e, i);
    while (!c->failed && !i->ended) {
        int64_t due_ms;
        enum due what = incident_next(i, &due_ms);
        if (due_ms > c->now_ms) break;
        overdue_since(c, due_ms);
        fire(c, i, what);
    }
    incident_rearm(c->e, i);
}

/* --- commands and verdicts --------------------------------------------------------------------------------------------- */
static struct str who_why(struct step_context *c, const struct engine_input *in)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, CONTENT_CEILING);
    json_object_begin(w);
    json_field_opt(w, "who", in->u.command.who);
    json_field_opt(w, "why", in->u.command.why);
    if (in->u.command.for_ms > 0) json_field_i64(w, "for_ms", in->u.command.for_ms);
    json_object_end(w);
    return json_draft_end(&d, c->out->arena);
}

static void acknowledge(struct step_context *c, struct incident *i, const struct engine_input *in)
{
    bool was_open = i->state == INCIDENT_OPEN;
    if (i->state == INCIDENT_PENDING) begin(c, i); /* who acknowledges before it rings knows already */
    if (i->state == INCIDENT_OPEN) {
        c->e->stats.incidents_open--;
        c->e->stats.incidents_acknowledged++;
    }
    i->state = INCIDENT_ACKNOWLEDGED;
    if (i->paused_ms == 0) i->paused_ms = c->now_ms;
    incident_wait_until(i, DUE_REPEAT, ENGINE_NEVER);
    incident_wait_until(i, DUE_WAIT, ENGINE_NEVER);
    incident_wait_until(i, DUE_LAPSE, in->u.command.what == ENGINE_SNOOZE ? c->now_ms + in->u.command.for_ms : ENGINE_NEVER);
    note(c, i->id, in->u.command.what == ENGINE_SNOOZE ? "snoozed" : "acknowledged", who_why(c, in));
    for (size_t k = 0; k < i->told_count && was_open && !c->failed; k++) {
        struct told *t = incident_told_at(i, k);
        if (!(t->flags & TOLD_SPOKE) || !t->place->now) continue;
        if (t->place->now->acks) tell_told(c, i, t, MESSAGE_ACK, in->u.command.who);
        if (t->place->now->edits) tell_told(c, i, t, MESSAGE_UPDATE, STR_NONE);
    }
}

static void incident_command(struct step_context *c, const struct engine_input *in)
{
    struct incident *i = incident_by_id(c->e, in->u.command.incident);
    c->out->command_result = i ? 0 : -1;
    if (!i) return;
    incident_touch(c->e, i);
    if (in->u.command.what == ENGINE_RESOLVE) {
        struct str who = in->u.command.who;
        note(c, i->id, "resolved by hand", who_why(c, in));
        incident_resolve(c, i, who.n ? str_printf(c->out->arena, "resolved by " STR_FMT, STR_ARG(who)) : STR("resolved by hand"));
        return;
    }
    acknowledge(c, i, in);
    incident_rearm(c->e, i);
}

void engine_command_step(struct step_context *c, const struct engine_input *in)
{
    if (in->u.command.what == ENGINE_SILENCE) silence_begin(c, in);
    else if (in->u.command.what == ENGINE_SILENCE_END) silence_end_by_hand(c, in);
    else incident_command(c, in);
}

static void told_verdict(struct step_context *c, struct incident *i, struct told *t, bool delivered)
{
    if (t->outstanding > 0) t->outstanding--;
    if (t->outstanding == 0) t->flags &= ~(uint32_t)TOLD_LOUD;
    if (t->outstanding == 0 && (t->flags & TOLD_DIRTY)) {
        t->flags &= ~(uint32_t)TOLD_DIRTY;
        if (delivered) incident_want_update(c, i);
    }
    incident_touch(c->e, i);
    incident_rearm(c->e, i);
}

void engine_verdict_step(struct step_context *c, const struct engine_input *in)
{
    struct incident *i = incident_by_id(c->e, in->u.verdict.incident);
    uint64_t digest;
    if (id_parse("dig", in->u.verdict.lane, &digest)) digest_verdict(c, digest);
    if (!i) return;
    if (!in->u.verdict.delivered) note(c, i->id, "not delivered", note_text(c, "destination", in->u.verdict.destination));
    for (size_t k = 0; k < i->told_count; k++) {
        struct told *t = incident_told_at(i, k);
        if (!str_eq(t->place->name, in->u.verdict.destination) || !str_eq(told_lane(c->out->arena, i, t), in->u.verdict.lane)) continue;
        told_verdict(c, i, t, in->u.verdict.delivered);
        return;
    }
}
