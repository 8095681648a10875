/* confirm_run: rules other than `lasts` and `absent` that say `confirm: true`. An incident that would open waits, pending, until the run of
 * its last hit has been read again at its source; it opens if that still says so, or when nobody answers in time. */
#include "engine/engine_internal.h"

static bool asks(const struct engine *e, const struct rule *r)
{
    return e->rereads && r->confirm && r->condition.kind != RULE_LASTS && r->condition.kind != RULE_ABSENT;
}

static void ask(struct step_context *c, const struct incident *i)
{
    struct arena *a = c->out->arena;
    *vec_push(&c->out->rereads) = (struct engine_reread){ str_dup(a, i->part->project), str_dup(a, i->part->env), str_dup(a, incident_last_run(i)) };
}

static void wait_for_answer(struct step_context *c, struct incident *i)
{
    incident_wait_until(i, DUE_LATER, c->now_ms + CONFIRM_ANSWER_MS);
    incident_touch(c->e, i);
    if (c->e->confirming.n >= CONFIRM_ASKED_MOST) return; /* a source would not answer more in that time: it opens unconfirmed */
    *vec_push(&c->e->confirming) = i->id;
    ask(c, i);
}

bool confirm_run_waits(struct step_context *c, const struct hit *h, struct incident *i)
{
    if (!asks(c->e, i->rule->now) || h->in->u.event.reread) return false; /* this is what its source says now */
    if (incident_due_ms(i, DUE_LATER) != ENGINE_NEVER) return true;
    wait_for_answer(c, i);
    note(c, i->id, "asked again", note_text(c, "run", incident_last_run(i)));
    return true;
}

static void open_now(struct step_context *c, struct incident *i, bool unconfirmed)
{
    incident_wait_until(i, DUE_LATER, ENGINE_NEVER);
    i->unconfirmed = unconfirmed;
    incident_open(c, i);
    incident_rearm(c->e, i);
}

/* A retry was a retry whatever came of it, unless the run is over and done. */
static bool still_a_hit(const struct incident *i, const struct engine_input *in, struct rule_subject *s)
{
    unsigned class = run_state_class(in->u.event.transition->state);
    if (i->last_state == RUN_REATTEMPTING) return !(class & (RUN_CLASS_SUCCESS)) && in->u.event.transition->state != RUN_CANCELED;
    return rule_matches(i->rule->now, s);
}

static struct incident *waiting(struct engine *e, size_t k)
{
    struct incident *i = incident_by_id(e, e->confirming.v[k]);
    return i && i->state == INCIDENT_PENDING && incident_due_ms(i, DUE_LATER) != ENGINE_NEVER ? i : NULL;
}

static void forget_those_that_wait_no_more(struct engine *e)
{
    size_t kept = 0;
    for (size_t k = 0; k < e->confirming.n; k++)
        if (waiting(e, k)) e->confirming.v[kept++] = e->confirming.v[k];
    e->confirming.n = kept;
}

void confirm_run_answered(struct step_context *c, const struct engine_input *in)
{
    const struct run *run = in->u.event.run;
    const struct part *p = c->e->confirming.n ? part_get(c->e, run->project, run->env) : NULL;
    struct rule_subject s;
    rule_subject_init(&s, c->out->arena, run, in->u.event.transition, c->now_ms);
    for (size_t k = 0; k < c->e->confirming.n && !c->failed; k++) {
        struct incident *i = waiting(c->e, k);
        if (!i || i->part != p || !incident_has_run(i, run->id)) continue;
        if (still_a_hit(i, in, &s)) open_now(c, i, false);
        else incident_resolve(c, i, str_printf(c->out->arena, "not confirmed: the run is " STR_FMT " by now", STR_ARG(run->spelling)));
    }
    forget_those_that_wait_no_more(c->e);
}

void confirm_run_unread(struct step_context *c, const struct engine_input *in)
{
    const struct part *p = c->e->confirming.n ? part_get(c->e, in->u.unread.project, in->u.unread.env) : NULL;
    for (size_t k = 0; k < c->e->confirming.n && !c->failed; k++) {
        struct incident *i = waiting(c->e, k);
        if (i && i->part == p && incident_has_run(i, in->u.unread.run)) open_now(c, i, false); /* there is nobody who could confirm it */
    }
    forget_those_that_wait_no_more(c->e);
}

void confirm_run_late(struct step_context *c, struct incident *i)
{
    open_now(c, i, true);
    forget_those_that_wait_no_more(c->e);
}

void confirm_run_ask_again(struct step_context *c)
{
    for (size_t k = 0; k < c->e->by_id.n && !c->failed; k++) {
        struct incident *i = c->e->by_id.v[k];
        if (!i || i->state != INCIDENT_PENDING || incident_due_ms(i, DUE_LATER) == ENGINE_NEVER) continue;
        if (!asks(c->e, i->rule->now)) open_now(c, i, false);
        else wait_for_answer(c, i);
        incident_rearm(c->e, i);
    }
}
