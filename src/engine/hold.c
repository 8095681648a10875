/* hold: what keeps an incident's messages back: silences and mutes that mark its hits, rules it stands behind (`unless`), and hours
 * (rule-language.md section 5, Messages). While it is held its clocks stand still; when nothing holds it any more and it is still
 * open, its current state goes out, several openings for one destination as one digest. */
#include <stdlib.h>
#include <string.h>

#include "base/timefmt.h"
#include "engine/engine_internal.h"

enum cause { HELD_MARKED = 1, HELD_UNLESS = 2, HELD_HOURS = 4 }; /* stored */

struct hold *hold_get(struct incident *i)
{
    if (!i->hold) i->hold = xcalloc(1, sizeof *i->hold);
    return i->hold;
}

void hold_free(struct incident *i)
{
    if (!i->hold) return;
    marks_drop(i->hold);
    free(i->hold->why);
    free(i->hold);
    i->hold = NULL;
}

/* --- unless ------------------------------------------------------------------------------------------------------ */
static uint32_t *open_in(struct engine_rule *r, const struct part *p)
{
    for (size_t k = 0; k < r->gates.n; k++)
        if (r->gates.v[k].part == p) return &r->gates.v[k].open;
    *vec_push(&r->gates) = (struct gate){ p, 0 };
    return &r->gates.v[r->gates.n - 1].open;
}

static bool stands_behind(const struct rule *r, const struct rule *other)
{
    for (size_t k = 0; k < r->unless_count; k++)
        if (r->unless[k] == other->index) return true;
    return false;
}

/* An incident of r opened (+1) or ended (-1): those that stand behind it are held, or no longer. */
void hold_gate(struct step_context *c, const struct incident *of, int change)
{
    uint32_t *open;
    if (!of->rule->gate) return;
    open = open_in(of->rule, of->part);
    *open = (uint32_t)((int64_t)*open + change);
    if (*open != (change > 0 ? 1 : 0) || c->e->switching) return; /* there is another; all are looked at then */
    for (size_t k = 0; k < c->e->by_id.n && !c->failed; k++) {
        struct incident *i = c->e->by_id.v[k];
        if (i && i->part == of->part && stands_behind(i->rule->now, of->rule->now)) hold_review(c, i);
    }
}

void hold_bind(struct engine *e)
{
    struct map_entry *m;
    size_t at = 0;
    while ((m = map_next(&e->engine_rules, &at))) {
        struct engine_rule *r = m->value;
        r->gate = false;
        vec_clear(&r->gates);
    }
    for (size_t k = 0; k < e->rules->rule_count; k++)
        for (size_t u = 0; u < e->rules->rules[k]->unless_count; u++) e->by_index[e->rules->rules[k]->unless[u]]->gate = true;
    for (size_t k = 0; k < e->by_id.n; k++) {
        struct incident *i = e->by_id.v[k];
        if (i && i->rule->gate && (i->state == INCIDENT_OPEN || i->state == INCIDENT_ACKNOWLEDGED)) ++*open_in(i->rule, i->part);
    }
}

static const struct engine_rule *behind(const struct engine *e, const struct incident *i)
{
    const struct rule *r = i->rule->now;
    for (size_t k = 0; k < r->unless_count; k++) {
        struct engine_rule *other = e->by_index[r->unless[k]];
        if (*open_in(other, i->part) > 0) return other;
    }
    return NULL;
}

/* --- hours ------------------------------------------------------------------------------------------------------- */
bool hold_outside(const struct step_context *c, const struct incident *i)
{
    const struct rule *r = i->rule->now;
    return r->during && !schedule_covers(r->during, c->now_ms);
}

bool hold_drops(struct step_context *c, struct incident *i, const char *what)
{
    if (i->rule->now->outside != RULE_OUTSIDE_DROP || !hold_outside(c, i)) return false;
    note(c, i->id, "dropped", str_printf(c->out->arena, "{\"message\":\"%s\",\"reason\":\"outside " STR_FMT "\"}", what, STR_ARG(schedule_name(i->rule->now->during))));
    return true;
}

void hold_dropped(struct incident *i)
{
    hold_get(i)->dropped = true;
}

/* It speaks at the end of the step. */
void hold_wait_fresh(struct step_context *c, struct incident *i)
{
    i->queued = true;
    *vec_push(&c->e->fresh) = i->id;
}

/* Its opening was dropped, and now it hits within the hours: they are told. */
void hold_told_after_all(struct step_context *c, struct incident *i)
{
    if (!i->hold || !i->hold->dropped || i->state != INCIDENT_OPEN || hold_outside(c, i)) return;
    i->hold->dropped = false;
    incident_wait_until(i, DUE_WAIT, c->now_ms);
    hold_wait_fresh(c, i);
}

/* --- held, and no longer ------------------------------------------------------------------------------------------ */
static unsigned causes_of(struct step_context *c, const struct incident *i)
{
    unsigned causes = 0;
    if (hold_is_marked(c, i)) causes |= HELD_MARKED;
    if (i->rule->now->unless_count > 0 && behind(c->e, i)) causes |= HELD_UNLESS;
    if (i->rule->now->outside == RULE_OUTSIDE_HOLD && hold_outside(c, i)) causes |= HELD_HOURS;
    return causes;
}

bool hold_would(struct step_context *c, const struct incident *i)
{
    return causes_of(c, i) != 0;
}

/* What holds it, for people. */
static struct str causes_text(struct step_context *c, const struct incident *i)
{
    struct strbuf b;
    struct str out;
    const struct engine_rule *other = i->rule->now->unless_count > 0 ? behind(c->e, i) : NULL;
    strbuf_init(&b, 4096);
    if (hold_is_marked(c, i)) markers_text(c, i, &b);
    if (other) strbuf_printf(&b, "%s" STR_FMT " is open", b.n ? "; " : "", STR_ARG(other->name));
    if (i->rule->now->outside == RULE_OUTSIDE_HOLD && hold_outside(c, i))
        strbuf_printf(&b, "%soutside " STR_FMT, b.n ? "; " : "", STR_ARG(schedule_name(i->rule->now->during)));
    out = str_dup(c->out->arena, strbuf_view(&b));
    strbuf_fini(&b);
    return out;
}

static void set_why(struct hold *h, struct str why)
{
    free(h->why);
    h->why = xmalloc(why.n + 1);
    memcpy(h->why, why.p, why.n);
    h->why[why.n] = '\0';
}

static void begin(struct step_context *c, struct incident *i)
{
    struct str why = causes_text(c, i);
    c->e->stats.incidents_held++;
    i->hold->since_ms = c->now_ms;
    set_why(i->hold, why);
    if (i->paused_ms == 0) i->paused_ms = c->now_ms;
    note(c, i->id, "held", note_text(c, "by", why));
}

static void due_not_before(struct incident *i, enum due what, int64_t now_ms)
{
    if (incident_due_ms(i, what) < now_ms) incident_wait_until(i, what, now_ms);
}

void hold_release(struct engine *e, struct incident *i)
{
    i->queued = true;
    *vec_push(&e->released) = i->id;
}

static void release(struct step_context *c, struct incident *i)
{
    struct hold *h = i->hold;
    int64_t stood_ms = c->now_ms - h->since_ms;
    char text[TIMEFMT_SIZE];
    h->stood_ms += c->now_ms - (h->since_ms > i->last_hit_ms ? h->since_ms : i->last_hit_ms);
    h->held_ms = stood_ms;
    h->since_ms = 0;
    c->e->stats.incidents_held--;
    if (incident_due_ms(i, DUE_REPEAT) != ENGINE_NEVER) incident_wait_until(i, DUE_REPEAT, incident_due_ms(i, DUE_REPEAT) + stood_ms);
    due_not_before(i, DUE_WAIT, c->now_ms);
    due_not_before(i, DUE_UPDATE, c->now_ms);
    due_not_before(i, DUE_LATER, c->now_ms);
    incident_arm_quiet(i);
    if (i->state == INCIDENT_OPEN && !incident_lingers(i)) incident_unpause(i, c->now_ms);
    note(c, i->id, "released", note_text(c, "after", duration_human(stood_ms, text)));
    hold_release(c->e, i);
}

void hold_review(struct step_context *c, struct incident *i)
{
    bool told = !i->ended && (i->state == INCIDENT_OPEN || i->state == INCIDENT_ACKNOWLEDGED);
    unsigned causes = told ? causes_of(c, i) : 0, before = i->hold ? i->hold->causes : 0;
    if (causes == before) return;
    hold_get(i)->causes = (uint8_t)causes;
    if (!before) begin(c, i);
    else if (!causes) release(c, i);
    incident_touch(c->e, i);
    if (!i->ended) incident_rearm(c->e, i);
}

void hold_review_all(struct step_context *c)
{
    if (c->e->switching) return;
    for (size_t k = 0; k < c->e->by_id.n && !c->failed; k++)
        if (c->e->by_id.v[k]) hold_review(c, c->e->by_id.v[k]);
}

/* --- what was held is told ------------------------------------------------------------------------------------------ */
static bool opening_is_due(const struct step_context *c, const struct incident *i)
{
    return i && i->state == INCIDENT_OPEN && !incident_lingers(i) && incident_due_ms(i, DUE_WAIT) <= c->now_ms;
}

static struct gather *gather_of(struct engine *e, const struct place *place, const struct part *part)
{
    for (size_t k = 0; k < e->gathers.n; k++)
        if (e->gathers.v[k].place == place && e->gathers.v[k].part == part) return &e->gathers.v[k];
    return NULL;
}

void hold_count_opening(struct step_context *c, struct incident *i, const struct place *place)
{
    struct gather *g = gather_of(c->e, place, i->part);
    if (g) g->openings++;
    else *vec_push(&c->e->gathers) = (struct gather){ place, i->part, 1 };
}

/* Who is outside its hours is not told with the others. */
static void count_opening(struct step_context *c, struct incident *i, const struct telling *what)
{
    if (!what->during || schedule_covers(what->during, c->now_ms)) hold_count_opening(c, i, what->place);
}

bool hold_gathers(const struct engine *e, const struct place *place, const struct part *part)
{
    const struct gather *g = gather_of((struct engine *)(uintptr_t)e, place, part);
    return g && g->openings > 1;
}

static void speak_together(struct step_context *c, const uint64_t *ids, size_t n)
{
    struct engine *e = c->e;
    const struct telling none = { .kind = MESSAGE_OPEN };
    for (size_t k = 0; k < n && !c->failed; k++) {
        struct incident *i = incident_by_id(e, ids[k]);
        if (opening_is_due(c, i)) incident_openings(c, i, &none, count_opening);
        if (i) hours_count(c, i);
    }
    for (size_t k = 0; k < n && !c->failed; k++) {
        struct incident *i = incident_by_id(e, ids[k]);
        if (!i) continue;
        i->queued = false;
        if (opening_is_due(c, i) || incident_due_in_force(i, DUE_LATER) <= c->now_ms) incident_due(c, i);
        else incident_rearm(e, i); /* what else it has to say is due now: a tick says so much at once as fits in memory */
    }
    vec_clear(&e->gathers);
}

/* What ends as they speak may release others: they come after them. */
void hold_speak(struct step_context *c)
{
    struct engine *e = c->e;
    while (e->released.n > 0 && !c->failed) {
        size_t n = e->released.n;
        uint64_t *ids = ARENA_ARRAY(c->out->arena, uint64_t, n);
        memcpy(ids, e->released.v, n * sizeof *ids);
        vec_clear(&e->released);
        speak_together(c, ids, n);
    }
}

/* --- openings of rules that stand behind others: all that a step opens is known before the first of them speaks -------- */
void hold_fresh(struct step_context *c)
{
    struct engine *e = c->e;
    for (size_t k = 0; k < e->fresh.n && !c->failed; k++) {
        struct incident *i = incident_by_id(e, e->fresh.v[k]);
        if (!i) continue;
        i->queued = false;
        hold_review(c, i);
        if (!i->queued) incident_due(c, i);
    }
    vec_clear(&e->fresh);
}

/* --- for people ------------------------------------------------------------------------------------------------------ */
void hold_describe(const struct incident *i, struct json_writer *w)
{
    if (!incident_held(i)) return;
    json_field_time(w, "held_since", i->hold->since_ms);
    json_field_str(w, "held_by", str_c(i->hold->why));
}

/* --- stored ------------------------------------------------------------------------------------------------------------ */
void hold_write(const struct incident *i, struct json_writer *w)
{
    const struct hold *h = i->hold;
    if (!h) return;
    json_put_key(w, STR("hold"));
    json_object_begin(w);
    json_field_i64(w, "causes", h->causes);
    json_field_i64(w, "since", h->since_ms);
    json_field_i64(w, "stood", h->stood_ms);
    json_field_i64(w, "held", h->held_ms);
    json_field_opt(w, "why", str_c(h->why));
    if (h->unmarked) json_field_bool(w, "unmarked", true);
    if (h->spoken) json_field_bool(w, "spoken", true);
    if (h->dropped) json_field_bool(w, "dropped", true);
    json_put_key(w, STR("marks"));
    json_array_begin(w);
    for (size_t k = 0; k < h->mark_words; k++) json_put_i64(w, (int64_t)h->marks[k]);
    json_array_end(w);
    json_object_end(w);
}

static int64_t i64_of(struct json o, const char *name)
{
    int64_t v;
    return json_i64(json_get_c(o, name), &v) ? v : 0;
}

void hold_restore(struct incident *i, struct json o)
{
    struct hold *h;
    if (json_kind(o) != JSON_OBJECT) return;
    h = hold_get(i);
    h->causes = (uint8_t)i64_of(o, "causes");
    h->since_ms = i64_of(o, "since");
    h->stood_ms = i64_of(o, "stood");
    h->held_ms = i64_of(o, "held");
    h->unmarked = json_bool(json_get_c(o, "unmarked"), false);
    h->spoken = json_bool(json_get_c(o, "spoken"), false);
    h->dropped = json_bool(json_get_c(o, "dropped"), false);
    if (json_present(json_get_c(o, "why"))) set_why(h, json_str(json_get_c(o, "why")));
    marks_restore(h, json_get_c(o, "marks"));
}
