/* timers: one heap of everything that waits, ordered by (due, kind, owner's id), so that two runs over
 * the same inputs fire in the same order. */
#include <stdlib.h>

#include "engine/engine_internal.h"

enum { CHILDREN = 4 }; /* of a slot: half the levels of a binary heap, and they lie side by side */

/* What breaks ties the same way in every run. */
static uint64_t owner_id(const struct timer *t)
{
    if (t->kind == TIMER_WINDOW || t->kind == TIMER_GATES) return 0;
    if (t->kind == TIMER_ABSENT) return absent_group_id(t);
    if (t->kind == TIMER_WATCHED) return lasts_timer_id(t);
    if (t->kind == TIMER_DIGEST) return ((const struct digest *)(const void *)t)->id;
    return ((const struct incident *)(const void *)t)->id;
}

static bool before(struct heap_slot a, struct heap_slot b)
{
    if (a.due_ms != b.due_ms) return a.due_ms < b.due_ms;
    if (a.timer->kind != b.timer->kind) return a.timer->kind < b.timer->kind;
    return owner_id(a.timer) < owner_id(b.timer);
}

static void put_at(struct engine *e, size_t at, struct heap_slot slot)
{
    e->heap.v[at] = slot;
    slot.timer->at = (uint32_t)at + 1;
}

static size_t sift_up(struct engine *e, size_t at, struct heap_slot slot)
{
    while (at > 0 && before(slot, e->heap.v[(at - 1) / CHILDREN])) {
        put_at(e, at, e->heap.v[(at - 1) / CHILDREN]);
        at = (at - 1) / CHILDREN;
    }
    put_at(e, at, slot);
    return at;
}

static void sift_down(struct engine *e, size_t at, struct heap_slot slot)
{
    const struct heap_slot *v = e->heap.v;
    for (;;) {
        size_t first = at * CHILDREN + 1, end = first + CHILDREN, child = first;
        if (first >= e->heap.n) break;
        if (end > e->heap.n) end = e->heap.n;
        for (size_t k = first + 1; k < end; k++)
            if (before(v[k], v[child])) child = k;
        if (!before(v[child], slot)) break;
        put_at(e, at, v[child]);
        at = child;
    }
    put_at(e, at, slot);
}

/* The slot's time has changed, or another has come in its place. */
static void settle(struct engine *e, size_t at, struct heap_slot slot)
{
    if (sift_up(e, at, slot) == at) sift_down(e, at, slot);
}

void timer_drop(struct engine *e, struct timer *t)
{
    size_t at = t->at;
    struct heap_slot last;
    if (at == 0) return;
    t->at = 0;
    t->due_ms = ENGINE_NEVER;
    last = e->heap.v[--e->heap.n];
    if (last.timer != t) settle(e, at - 1, last);
}

void timer_set(struct engine *e, struct timer *t, int64_t due_ms)
{
    if (due_ms == ENGINE_NEVER) {
        timer_drop(e, t);
        return;
    }
    if (t->at == 0) {
        (void)vec_push(&e->heap);
        t->at = (uint32_t)e->heap.n;
    } else if (t->due_ms == due_ms) {
        return;
    }
    t->due_ms = due_ms;
    settle(e, t->at - 1, (struct heap_slot){ due_ms, t });
}

struct timer *timer_first(const struct engine *e)
{
    return e->heap.n ? e->heap.v[0].timer : NULL;
}

/* --- what an incident waits for -------------------------------------------------------------------------------- */
void incident_wait_until(struct incident *i, enum due what, int64_t due_ms)
{
    int64_t all[DUE_KINDS], *list;
    for (size_t k = 0; k < DUE_KINDS; k++) all[k] = incident_due_ms(i, (enum due)k);
    if (all[what] == due_ms) return;
    all[what] = due_ms;
    if (incident_waits(i) > DUE_FEW) free(i->due.many);
    i->waits &= (uint8_t)~(1u << what);
    if (due_ms != ENGINE_NEVER) i->waits |= (uint8_t)(1u << what);
    if (incident_waits(i) > DUE_FEW) i->due.many = xmalloc(incident_waits(i) * sizeof *list);
    list = incident_waits(i) > DUE_FEW ? i->due.many : i->due.few;
    for (size_t k = 0; k < DUE_KINDS; k++)
        if (all[k] != ENGINE_NEVER) *list++ = all[k];
}

bool incident_lingers(const struct incident *i)
{
    return incident_due_ms(i, DUE_LINGER) != ENGINE_NEVER;
}

/* While it lingers or is held no message goes and escalation stands still; the latter also after an acknowledgement. What lingers is
 * about to end, whether it is quiet or not. */
static bool stands_still(const struct incident *i, enum due what)
{
    bool speaks = what == DUE_WAIT || what == DUE_UPDATE || what == DUE_REPEAT || what == DUE_LATER || what == DUE_STEP;
    if (what == DUE_LATER && i->state != INCIDENT_OPEN && i->state != INCIDENT_PENDING) return true;
    return (speaks || what == DUE_QUIET) && (incident_lingers(i) || incident_held(i));
}

int64_t incident_due_in_force(const struct incident *i, enum due what)
{
    bool step = i->state == INCIDENT_OPEN && i->step_next < i->step_count;
    if (stands_still(i, what)) return ENGINE_NEVER;
    if (what != DUE_STEP) return incident_due_ms(i, what);
    return step ? i->steps[i->step_next].due_ms : ENGINE_NEVER;
}

enum due incident_next(const struct incident *i, int64_t *due_ms)
{
    /* What goes first of what is due at the same moment. */
    static const uint8_t turns[] = { DUE_LINGER, DUE_CLEARS, DUE_QUIET, DUE_WAIT, DUE_LAPSE, DUE_LATER, DUE_UPDATE, DUE_STEP, DUE_REPEAT };
    enum due next = DUE_LINGER;
    *due_ms = ENGINE_NEVER;
    for (size_t k = 0; k < sizeof turns; k++) {
        int64_t due = incident_due_in_force(i, (enum due)turns[k]);
        if (due >= *due_ms) continue;
        *due_ms = due;
        next = (enum due)turns[k];
    }
    return next;
}

/* An incident has one place in the heap: the earliest of what it waits for. */
void incident_rearm(struct engine *e, struct incident *i)
{
    int64_t due_ms = ENGINE_NEVER;
    if (!i->ended && !i->queued) incident_next(i, &due_ms);
    timer_set(e, &i->timer, due_ms);
}

/* --- firing ------------------------------------------------------------------------------------------------------- */
void overdue_since(struct step_context *c, int64_t due_ms)
{
    /* Downtime, a suspended machine. A minute is ordinary scheduling. */
    c->overdue_ms = c->now_ms - due_ms >= 60000 ? c->now_ms - due_ms : 0;
}

int64_t engine_next_due(const struct engine *e)
{
    const struct timer *t = timer_first(e);
    return t ? t->due_ms : ENGINE_NEVER;
}

static void fire(struct step_context *c, struct timer *t)
{
    overdue_since(c, t->due_ms);
    switch ((enum timer_kind)t->kind) {
    case TIMER_INCIDENT: incident_due(c, (struct incident *)(void *)t); break;
    case TIMER_DIGEST: digest_due(c, (struct digest *)(void *)t); break;
    case TIMER_WINDOW: window_drop(c->e, (struct window *)(void *)t); break;
    case TIMER_GATES: gates_due(c); break;
    case TIMER_ABSENT: absent_due(c, t); break;
    case TIMER_WATCHED: lasts_due(c, t); break;
    }
    c->overdue_ms = 0;
}

/* After a downtime everything may be overdue at once: what one step says must fit in memory. */
enum { FIRED_MOST = 10000 };

void engine_tick(struct step_context *c)
{
    struct timer *t;
    size_t fired = 0;
    while (!c->failed && fired++ < FIRED_MOST && (t = timer_first(c->e)) && t->due_ms <= c->now_ms) fire(c, t);
}
