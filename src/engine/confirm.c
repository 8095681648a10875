/* confirm: before an incident of `lasts` opens, its run is read again at the source: what was heard of it last may be out of
 * date. The engine asks, and waits for a bounded time; the answer comes as an event, and may say that the run has moved on. */
#include <stdlib.h>

#include "engine/lasts.h"

enum { ANSWER_MS = CONFIRM_ANSWER_MS, ASKED_MOST = CONFIRM_ASKED_MOST };

static void ask(struct step_context *c, const struct watched *w)
{
    struct arena *a = c->out->arena;
    *vec_push(&c->out->rereads) = (struct engine_reread){ str_dup(a, w->part->project), str_dup(a, w->part->env), str_dup(a, watched_id(w)) };
}

/* Where an incident of each of its keys is open already, nothing is opened by it. */
static bool opens_nothing(const struct look *l, const struct stay *s)
{
    for (size_t k = 0; k < s->member_count; k++) {
        const struct incident *i = incident_find(l->c->e, s->rule, l->w->part, s->members[k].crowd->key);
        if (!i || i->state == INCIDENT_PENDING) return false;
    }
    return true;
}

bool confirm_asks(struct look *l, struct stay *s)
{
    struct engine *e = l->c->e;
    bool asked = false;
    if (!e->rereads || !s->rule->now->confirm || l->answered || opens_nothing(l, s)) return false;
    for (size_t k = 0; k < l->w->stay_count; k++) asked |= l->w->stays[k].phase == STAY_ASKED;
    stay_set_phase(e, s, STAY_ASKED);
    s->due_ms = l->c->now_ms + ANSWER_MS;
    s->overdue_ms = l->c->overdue_ms;
    watched_touch(e, l->w);
    if (!asked && e->lasts->asked <= ASKED_MOST) ask(l->c, l->w);
    return true;
}

/* It is as it was: what waited for that counts. */
void confirm_answered(struct look *l)
{
    struct step_context *c = l->c;
    for (size_t k = 0; k < l->w->stay_count && !c->failed; k++) {
        if (l->w->stays[k].phase != STAY_ASKED) continue;
        c->overdue_ms = l->w->stays[k].overdue_ms;
        lasts_ripe(l, &l->w->stays[k]);
        c->overdue_ms = 0;
    }
}

void confirm_unread(struct step_context *c, const struct engine_input *in)
{
    struct look l = { .c = c, .w = watched_find(c->e, in->u.unread.project, in->u.unread.env, in->u.unread.run) };
    if (!l.w || !look_at_kept(&l)) return;
    confirm_answered(&l);
    if (!c->failed) look_end(&l);
}

/* Whoever was asked before the restart may never have heard of it. */
void confirm_ask_again(struct step_context *c)
{
    struct watched **all;
    size_t n;
    if (c->e->lasts->asked == 0) return;
    all = watched_all(c->e, &n);
    for (size_t k = 0; k < n; k++) {
        bool asked = false;
        for (size_t i = 0; i < all[k]->stay_count; i++) {
            if (all[k]->stays[i].phase != STAY_ASKED) continue;
            all[k]->stays[i].due_ms = c->now_ms + ANSWER_MS;
            asked = true;
        }
        if (!asked) continue;
        watched_touch(c->e, all[k]);
        watched_rearm(c->e, all[k]);
        if (c->out->rereads.n < ASKED_MOST) ask(c, all[k]);
    }
    free(all);
}

struct str confirm_note(struct arena *a, const struct incident *i)
{
    if (!i->unconfirmed) return STR_NONE;
    return str_printf(a, "not confirmed: the source did not tell the run again within %d s", ANSWER_MS / 1000);
}
