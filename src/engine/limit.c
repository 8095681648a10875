/* limit: openings and escalations per (destination, project, env) in a sliding window; what does not fit is
 * told as one digest, edited in place where the destination can (rule-language.md section 5, Messages).
 * Nothing is dropped: every limited incident is in a digest, and the digest's counts are exact. */
#include <stdlib.h>
#include <string.h>

#include "engine/engine_internal.h"

enum { DIGEST_EDIT_MS = 10000 };

struct limit_window *limit_window_get(struct engine *e, struct str name)
{
    struct limit_window *l = map_get(&e->limit_windows, name);
    if (l) return l;
    l = xcalloc(1, sizeof *l);
    l->name = str_dup(&e->names, name);
    map_put(&e->limit_windows, l->name, l);
    return l;
}

static struct str limit_name(struct step_context *c, const struct incident *i, const struct place *place)
{
    const struct rule *r = i->rule->now;
    const struct str parts[] = { place->name, i->part->project, i->part->env, r->own_limit ? r->name : STR("") };
    return name_joined(c->out->arena, parts, 4);
}

bool limit_passes(struct step_context *c, struct incident *i, struct place *place)
{
    const struct rule_limit *limit = &i->rule->now->limit;
    struct limit_window *l;
    size_t old = 0;
    if (limit->n <= 0 || limit->per_ms <= 0) return true;
    l = limit_window_get(c->e, limit_name(c, i, place));
    while (old < l->times.n && l->times.v[old] <= c->now_ms - limit->per_ms) old++;
    if (old > 0) memmove(l->times.v, l->times.v + old, (l->times.n - old) * sizeof *l->times.v);
    l->times.n -= old;
    if (l->times.n >= (size_t)limit->n) return false;
    *vec_push(&l->times) = c->now_ms;
    if (!l->dirty) *vec_push(&c->e->dirty_limits) = l;
    l->dirty = true;
    return true;
}

/* --- digests ------------------------------------------------------------------------------------------------------ */
struct digest *digest_by_id(struct engine *e, uint64_t id)
{
    for (size_t k = e->digests.n; k-- > 0;)
        if (e->digests.v[k]->id == id) return e->digests.v[k];
    return NULL;
}

/* The digest that still gathers for this limit window and these parameters. */
static struct digest *gathering(struct step_context *c, struct incident *i, const struct told *t, struct str name)
{
    struct place *place = t->place;
    struct digest *d;
    for (size_t k = c->e->digests.n; k-- > 0;) {
        d = c->e->digests.v[k];
        if (d->open > 0 && d->place == place && same_params(d->params, t->params) && str_eq(d->name, name)) return d;
    }
    d = xcalloc(1, sizeof *d);
    d->id = id_next(&c->e->ids, c->now_ms);
    d->timer = (struct timer){ ENGINE_NEVER, 0, TIMER_DIGEST };
    d->place = place;
    d->params = t->params ? xstrdup(t->params) : NULL;
    d->part = i->part;
    d->name = str_dup(&c->e->names, name);
    d->per_ms = i->rule->now->limit.per_ms;
    d->opened_ms = c->now_ms;
    d->severity = i->rule->now->severity;
    *vec_push(&c->e->digests) = d;
    return d;
}

static void say_as(struct step_context *c, struct digest *d, enum message_kind kind, bool resolved)
{
    char id[ID_SIZE];
    struct engine_message m = {
        .message = id_next(&c->e->ids, c->now_ms),
        .destination = d->place->name,
        .params = d->params ? str_dup(c->out->arena, str_c(d->params)) : STR_NONE,
        .lane = str_dup(c->out->arena, id_format("dig", d->id, id)),
        .kind = kind,
    };
    m.delivery = id_next(&c->e->ids, c->now_ms);
    m.content = content_digest(c, d, kind, resolved, m.message);
    *vec_push(&c->out->messages) = m;
    d->outstanding++;
    d->spoke = true;
    d->changed = false;
    d->last_sent_ms = c->now_ms;
    d->dirty = true;
}

static bool edits(const struct digest *d)
{
    return d->place->now && d->place->now->edits;
}

static void say_digest(struct step_context *c, struct digest *d, bool resolved)
{
    if (edits(d) && d->spoke && d->changed) say_as(c, d, MESSAGE_UPDATE, resolved);
    if (resolved) say_as(c, d, MESSAGE_RESOLVE, true);
    else if (!edits(d) || !d->spoke) say_as(c, d, MESSAGE_DIGEST, false);
}

/* The first one is told at once, so that a storm is known at once; then at most one message in `per`, or an
 * edit in place every `update` where the destination can. */
static void arm(struct step_context *c, struct digest *d)
{
    int64_t gap_ms = edits(d) ? DIGEST_EDIT_MS : d->per_ms;
    int64_t due = d->spoke ? d->last_sent_ms + gap_ms : c->now_ms;
    if (d->timer.due_ms == ENGINE_NEVER) timer_set(c->e, &d->timer, due > c->now_ms ? due : c->now_ms);
}

static void put_in(struct step_context *c, struct incident *i, struct told *t, struct digest *d)
{
    t->flags |= TOLD_DIGEST;
    t->digest = d->id;
    hours_told(t);
    if (i->hold) i->hold->spoken = true;
    d->total++;
    d->open++;
    d->changed = d->dirty = true;
    if (i->rule->now->severity > d->severity) d->severity = i->rule->now->severity;
    if (d->titles.n < DIGEST_TITLES) {
        struct str title = content_title(c, i);
        char *kept = xmalloc(title.n + 1);
        memcpy(kept, title.p ? title.p : "", title.n);
        kept[title.n] = '\0';
        *vec_push(&d->titles) = (struct str){ kept, title.n };
    }
    arm(c, d);
}

void digest_add(struct step_context *c, struct incident *i, struct told *t)
{
    c->e->stats.limited++;
    if (!(t->flags & TOLD_DIGEST)) put_in(c, i, t, gathering(c, i, t, limit_name(c, i, t->place))); /* else an escalation of one that is in it already */
    note(c, i->id, "limited", note_text(c, "destination", t->place->name));
}

/* Each time that several are released is a digest of its own: last week's summary is not edited. */
void digest_add_held(struct step_context *c, struct incident *i, struct told *t)
{
    struct str at = str_printf(c->out->arena, "%lld", (long long)c->now_ms);
    const struct str parts[] = { t->place->name, i->part->project, i->part->env, STR("held"), at };
    struct digest *d = gathering(c, i, t, name_joined(c->out->arena, parts, 5));
    d->held = true;
    put_in(c, i, t, d);
    note(c, i->id, "told in a digest", note_text(c, "destination", t->place->name));
}

void digest_resolved(struct step_context *c, uint64_t id)
{
    struct digest *d = digest_by_id(c->e, id);
    if (!d || d->open == 0) return;
    d->open--;
    d->changed = d->dirty = true;
    arm(c, d);
}

static void end(struct engine *e, struct digest *d)
{
    timer_drop(e, &d->timer);
    d->ended = d->dirty = true; /* freed by the next collect, which also deletes its cell */
}

void digest_due(struct step_context *c, struct digest *d)
{
    timer_drop(c->e, &d->timer);
    if (d->open == 0) {
        if (!d->spoke) say_as(c, d, MESSAGE_DIGEST, true); /* all over before it could be told: told all the same */
        say_digest(c, d, true);
        end(c->e, d);
        return;
    }
    if (!d->changed || (d->spoke && !d->place->now)) return; /* to a place that is gone, no more than once */
    if (d->outstanding > 0 && edits(d)) {
        timer_set(c->e, &d->timer, c->now_ms + DIGEST_EDIT_MS); /* coalesced: the newest state wins */
        return;
    }
    say_digest(c, d, false);
}

void digest_verdict(struct step_context *c, uint64_t id)
{
    struct digest *d = digest_by_id(c->e, id);
    if (!d) return;
    if (d->outstanding > 0) d->outstanding--;
    d->dirty = true;
}

void digest_free(struct engine *e, struct digest *d)
{
    timer_drop(e, &d->timer);
    for (size_t k = 0; k < d->titles.n; k++) free((char *)(uintptr_t)d->titles.v[k].p);
    vec_free(&d->titles);
    free(d->params);
    free(d);
}
