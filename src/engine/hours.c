/* hours: the hours of single targets, {to: X, during: SCHEDULE}. Outside them what rings is kept for that one alone, and no clock stands
 * still; when they begin and the incident is still open, it is told once, by what is loudest of it (rule-language.md section 5, Messages).
 * Edits pass: they ring nobody. */
#include "engine/engine_internal.h"

/* --- by name: a reload may change them -------------------------------------------------------------------------------- */
const char *hours_intern(struct engine *e, struct str name)
{
    const char *kept = name.n ? map_get(&e->hours, name) : NULL;
    if (name.n == 0 || kept) return kept;
    kept = str_dup_c(&e->names, name);
    map_put(&e->hours, str_c(kept), (void *)(uintptr_t)kept);
    return kept;
}

const char *hours_name(struct engine *e, const struct schedule *s)
{
    return s ? hours_intern(e, schedule_name(s)) : NULL;
}

const struct schedule *hours_find(const struct engine *e, const char *name)
{
    for (size_t k = 0; name && k < e->rules->schedule_count; k++)
        if (str_eq_c(schedule_name(e->rules->schedules[k]), name)) return e->rules->schedules[k];
    return NULL;
}

bool hours_cover(const struct step_context *c, const char *name)
{
    const struct schedule *s = hours_find(c->e, name);
    return !s || schedule_covers(s, c->now_ms);
}

/* --- later ------------------------------------------------------------------------------------------------------------ */
enum { LATER_FLAGS = TOLD_LATER | TOLD_LATER_STEP | TOLD_LATER_AGAIN };

void hours_told(struct told *t)
{
    t->flags &= ~(uint32_t)LATER_FLAGS;
    t->later = NULL;
    t->later_ms = 0;
}

static enum message_kind later_kind(const struct told *t)
{
    if (t->flags & TOLD_LATER_STEP) return MESSAGE_ESCALATION;
    return t->flags & TOLD_LATER_AGAIN ? MESSAGE_REMINDER : MESSAGE_OPEN;
}

void hours_postpone(struct step_context *c, struct incident *i, struct told *t, const struct telling *what)
{
    struct str name = schedule_name(what->during);
    bool again = what->kind == MESSAGE_REMINDER;
    if (i->state == INCIDENT_RESOLVED || (t->flags & TOLD_DIGEST && what->kind == MESSAGE_OPEN)) return; /* the digest speaks for it */
    if (again && t->flags & TOLD_LATER) return; /* it is told then as it is */
    t->flags |= TOLD_LATER | (what->kind == MESSAGE_ESCALATION ? TOLD_LATER_STEP : 0) | (again ? TOLD_LATER_AGAIN : 0);
    t->later = hours_name(c->e, what->during);
    t->later_ms = schedule_changes_at(what->during, c->now_ms);
    if (t->later_ms < incident_due_ms(i, DUE_LATER)) incident_wait_until(i, DUE_LATER, t->later_ms);
    note(c, i->id, "held for one", note_text(c, "destination", str_printf(c->out->arena, STR_FMT ", outside " STR_FMT, STR_ARG(t->place->name), STR_ARG(name))));
    incident_touch(c->e, i);
}

/* May it be told? If not, when. */
static bool is_due(const struct step_context *c, struct told *t)
{
    if (!(t->flags & TOLD_LATER) || t->later_ms > c->now_ms) return false;
    if (hours_cover(c, t->later)) return true;
    t->later_ms = schedule_changes_at(hours_find(c->e, t->later), c->now_ms);
    return false;
}

static void tell_now(struct step_context *c, struct incident *i, struct told *t)
{
    struct str hours = str_c(t->later ? t->later : "its hours");
    const struct say say = { later_kind(t), STR_NONE, c->now_ms - i->opened_ms, str_printf(c->out->arena, "held until now: outside " STR_FMT, STR_ARG(hours)) };
    hours_told(t);
    if (say.kind == MESSAGE_REMINDER) tell_say(c, i, t, &say);
    else tell_loud(c, i, t, &say);
}

void hours_due(struct step_context *c, struct incident *i)
{
    int64_t next_ms = ENGINE_NEVER;
    for (size_t k = 0; k < i->told_count && !c->failed; k++) {
        struct told *t = incident_told_at(i, k);
        if (is_due(c, t)) tell_now(c, i, t);
        else if (t->flags & TOLD_LATER && t->later_ms < next_ms) next_ms = t->later_ms;
    }
    incident_wait_until(i, DUE_LATER, next_ms);
}

/* --- several at once --------------------------------------------------------------------------------------------------- */
void hours_begun(struct step_context *c)
{
    for (size_t k = 0; k < c->e->by_id.n; k++) {
        struct incident *i = c->e->by_id.v[k];
        if (i && !i->queued && incident_due_in_force(i, DUE_LATER) <= c->now_ms) hold_release(c->e, i);
    }
}

void hours_count(struct step_context *c, struct incident *i)
{
    if (incident_due_in_force(i, DUE_LATER) > c->now_ms) return;
    for (size_t k = 0; k < i->told_count; k++) {
        struct told *t = incident_told_at(i, k);
        if (is_due(c, t) && later_kind(t) == MESSAGE_OPEN) hold_count_opening(c, i, t->place);
    }
}

/* --- other rules ------------------------------------------------------------------------------------------------------- */
/* What a switch decided stays, and so does an escalation. */
static void rebind(struct step_context *c, const struct incident *i, struct told *t)
{
    const struct rule_targets *to = &i->rule->now->notify;
    for (size_t k = 0; !(t->flags & TOLD_CHOSEN) && k < to->n; k++) {
        if (!str_eq(c->e->rules->destinations[to->v[k].destination].name, t->place->name) || (to->v[k].param_count > 0) != (t->params != NULL)) continue;
        t->during = hours_name(c->e, to->v[k].during);
        if (!(t->flags & TOLD_LATER_STEP)) t->later = t->during;
        return;
    }
}

void hours_rebind(struct step_context *c)
{
    for (size_t k = 0; k < c->e->by_id.n; k++) {
        struct incident *i = c->e->by_id.v[k];
        for (size_t n = 0; i && n < i->told_count; n++) {
            const char *before = incident_told(i)[n].during;
            rebind(c, i, incident_told_at(i, n));
            if (incident_told(i)[n].during != before) incident_touch(c->e, i);
        }
    }
}

static void wait_anew(struct step_context *c, struct incident *i, struct told *t)
{
    int64_t before_ms = t->later_ms;
    if (!(t->flags & TOLD_LATER) || (!t->later && before_ms == 0)) return; /* as an older version stored it */
    t->later_ms = hours_cover(c, t->later) ? c->now_ms : schedule_changes_at(hours_find(c->e, t->later), c->now_ms);
    if (t->later_ms == before_ms) return;
    if (t->later_ms < incident_due_ms(i, DUE_LATER)) incident_wait_until(i, DUE_LATER, t->later_ms);
    incident_touch(c->e, i);
    incident_rearm(c->e, i);
}

void hours_switched(struct step_context *c)
{
    for (size_t k = 0; k < c->e->by_id.n; k++) {
        struct incident *i = c->e->by_id.v[k];
        for (size_t n = 0; i && n < i->told_count; n++) wait_anew(c, i, incident_told_at(i, n));
    }
}
