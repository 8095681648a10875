/* silence: what marks hits, so that what they say is held: silences, which people make (API, CLI), and mutes, which the rules
 * bring (rule-language.md section 5, Messages). A silence is kept for a while after its end, for those who ask what it was. */
#include <stdlib.h>
#include <string.h>

#include "engine/engine_internal.h"

enum { SILENCE_KEPT_MS = 7 * 86400000, MUTE_BIT = 63 };

/* A mute has no number: what it is stands for it over reloads and restarts. One that is about other runs is another one. */
static uint64_t mute_id(const struct rule_mute *m)
{
    return m->hash | UINT64_C(1) << MUTE_BIT;
}

static bool is_live(const struct silence *s)
{
    return s->ended_ms == 0;
}

static bool covers(const struct rule_mute *m, int64_t at_ms)
{
    return schedule_covers(m->during, at_ms);
}

static struct silence *silence_by_id(const struct engine *e, uint64_t id)
{
    for (size_t k = e->silences.n; k-- > 0;)
        if (e->silences.v[k]->id == id) return e->silences.v[k];
    return NULL;
}

static const struct rule_mute *mute_by_id(const struct engine *e, uint64_t id)
{
    for (size_t k = 0; k < e->rules->mute_count; k++)
        if (mute_id(&e->rules->mutes[k]) == id) return &e->rules->mutes[k];
    return NULL;
}

/* --- who marks what ------------------------------------------------------------------------------------------------- */
bool markers_any(const struct step_context *c)
{
    for (size_t k = 0; k < c->e->silences.n; k++)
        if (is_live(c->e->silences.v[k])) return true;
    for (size_t k = 0; k < c->e->rules->mute_count; k++)
        if (covers(&c->e->rules->mutes[k], c->now_ms)) return true;
    return false;
}

static bool is_about(const struct silence *x, const struct engine_rule *r)
{
    return is_live(x) && (x->rule.n == 0 || str_eq(x->rule, r->name));
}

static bool silences(const struct silence *x, const struct engine_rule *r, struct rule_subject *s)
{
    return is_about(x, r) && (!x->when.match || rule_match_holds(x->when.match, s));
}

static bool mutes(const struct step_context *c, const struct rule_mute *m, struct rule_subject *s)
{
    return covers(m, c->now_ms) && rule_match_holds(m->when, s);
}

size_t markers_of(struct step_context *c, const struct engine_rule *r, struct rule_subject *s, uint64_t out[MARKS_PER_HIT])
{
    const struct engine *e = c->e;
    size_t n = 0;
    for (size_t k = 0; k < e->silences.n && n < MARKS_PER_HIT; k++)
        if (silences(e->silences.v[k], r, s)) out[n++] = e->silences.v[k]->id;
    for (size_t k = 0; k < e->rules->mute_count && n < MARKS_PER_HIT; k++)
        if (mutes(c, &e->rules->mutes[k], s)) out[n++] = mute_id(&e->rules->mutes[k]);
    return n;
}

bool marker_is_about(const struct engine *e, uint64_t id, const struct engine_rule *r)
{
    const struct silence *s = id >> MUTE_BIT ? NULL : silence_by_id(e, id);
    return id >> MUTE_BIT || (s && is_about(s, r));
}

bool marker_marks(const struct step_context *c, uint64_t id, const struct engine_rule *r, struct rule_subject *s)
{
    const struct silence *x = id >> MUTE_BIT ? NULL : silence_by_id(c->e, id);
    const struct rule_mute *m = id >> MUTE_BIT ? mute_by_id(c->e, id) : NULL;
    return (x && silences(x, r, s)) || (m && mutes(c, m, s));
}

bool marker_stands(const struct step_context *c, uint64_t id)
{
    const struct silence *s = id >> MUTE_BIT ? NULL : silence_by_id(c->e, id);
    const struct rule_mute *m = id >> MUTE_BIT ? mute_by_id(c->e, id) : NULL;
    return (s && is_live(s)) || (m && covers(m, c->now_ms));
}

void markers_text(const struct step_context *c, const struct incident *i, struct strbuf *out)
{
    const struct engine *e = c->e;
    char id[ID_SIZE];
    for (size_t k = 0; k < e->silences.n; k++) {
        const struct silence *s = e->silences.v[k];
        struct str name = id_format("sil", s->id, id);
        if (!is_live(s) || !hold_has_mark(i, s->id)) continue;
        strbuf_printf(out, "%ssilence " STR_FMT, out->n ? "; " : "", STR_ARG(name));
        if (s->who.n) strbuf_printf(out, " of " STR_FMT, STR_ARG(s->who));
        if (s->why.n) strbuf_printf(out, " (" STR_FMT ")", STR_ARG(s->why));
    }
    for (size_t k = 0; k < e->rules->mute_count; k++) {
        const struct rule_mute *m = &e->rules->mutes[k];
        if (covers(m, c->now_ms) && hold_has_mark(i, mute_id(m)))
            strbuf_printf(out, "%smute " STR_FMT " (" STR_FMT ")", out->n ? "; " : "", STR_ARG(m->name), STR_ARG(m->why));
    }
}

/* --- a silence's life -------------------------------------------------------------------------------------------------- */
static void silence_touch(struct silence *s)
{
    s->dirty = true;
}

/* Those in force are listed, however many have ended since: they have keys of their own. */
struct str silence_cell_key(struct arena *a, const struct silence *s)
{
    char id[ID_SIZE];
    struct str name = id_format("sil", s->id, id);
    return str_printf(a, "%s" STR_FMT, is_live(s) ? "s/" : "x/", STR_ARG(name));
}

static void end_at(struct step_context *c, struct silence *s, int64_t at_ms, struct str reason)
{
    cell_gone(c->e, silence_cell_key(c->out->arena, s));
    s->ended_ms = at_ms;
    s->end = str_dup(&s->memory, reason);
    silence_touch(s);
}

void silence_free(struct silence *s)
{
    rule_when_fini(&s->when);
    arena_fini(&s->memory);
    free(s);
}

static struct silence *silence_new(struct engine *e, uint64_t id, const struct silence_text *t)
{
    struct silence *s = xcalloc(1, sizeof *s);
    struct diags d;
    bool ok = true;
    s->id = id;
    s->rule = str_dup(&s->memory, t->rule);
    s->text = str_dup(&s->memory, t->when);
    s->who = str_dup(&s->memory, t->who);
    s->why = str_dup(&s->memory, t->why);
    diags_init(&d, &s->memory);
    if (s->text.n) ok = rule_when_compile(&s->memory, s->text, &s->when, &d);
    diags_fini(&d);
    if (!ok || (s->text.n == 0 && s->rule.n == 0)) {
        silence_free(s);
        return NULL;
    }
    *vec_push(&e->silences) = s;
    return s;
}

enum { MARK_AT_ONCE = 1024, MARK_KEEP_BYTES = 16 << 20 }; /* details that are read back for it are let go again */

static void mark_all(struct step_context *c, const uint64_t *begun, size_t n)
{
    if (n == 0) return;
    for (size_t k = 0; k < c->e->by_id.n && !c->failed; k++) {
        if (c->e->by_id.v[k]) hold_begin(c, c->e->by_id.v[k], begun, n);
        if (k % MARK_AT_ONCE == MARK_AT_ONCE - 1) engine_trim(c->e, MARK_KEEP_BYTES);
    }
}

static size_t live(const struct engine *e)
{
    size_t n = 0;
    for (size_t k = 0; k < e->silences.n; k++) n += is_live(e->silences.v[k]);
    return n;
}

/* A week after its end, or when many have ended since. */
static void forget_old(struct step_context *c)
{
    struct engine *e = c->e;
    size_t kept = 0, ended = e->silences.n - live(e);
    for (size_t k = 0; k < e->silences.n; k++) {
        struct silence *s = e->silences.v[k];
        if (is_live(s) || (s->ended_ms + SILENCE_KEPT_MS > c->now_ms && ended <= ENGINE_SILENCES_MOST)) {
            e->silences.v[kept++] = s;
            continue;
        }
        ended--;
        cell_gone(e, silence_cell_key(c->out->arena, s));
        silence_free(s);
    }
    e->silences.n = kept;
}

void silence_begin(struct step_context *c, const struct engine_input *in)
{
    const struct silence_text t = { in->u.command.when, in->u.command.rule, in->u.command.who, in->u.command.why };
    struct silence *s;
    forget_old(c);
    s = live(c->e) < ENGINE_SILENCES_MOST ? silence_new(c->e, id_next(&c->e->ids, c->now_ms), &t) : NULL;
    c->out->command_result = s ? 0 : -1;
    if (!s) return;
    c->out->command_id = s->id;
    s->made_ms = c->now_ms;
    s->until_ms = c->now_ms + in->u.command.for_ms;
    s->until_resolved = in->u.command.until_resolved;
    silence_touch(s);
    mark_all(c, &s->id, 1);
    hold_review_all(c);
    gates_arm(c->e);
}

static void silence_end(struct step_context *c, struct silence *s, struct str reason)
{
    end_at(c, s, c->now_ms, reason);
    hold_review_all(c);
    gates_arm(c->e);
}

void silence_end_by_hand(struct step_context *c, const struct engine_input *in)
{
    struct silence *s = silence_by_id(c->e, in->u.command.incident);
    struct str who = in->u.command.who;
    c->out->command_result = -1;
    if (!s || !is_live(s)) return;
    c->out->command_result = 0;
    silence_end(c, s, who.n ? str_printf(c->out->arena, "ended by " STR_FMT, STR_ARG(who)) : STR("ended by hand"));
}

/* "Until resolved" ends with the last incident that it marked. */
void silence_resolved(struct step_context *c, const struct incident *i)
{
    struct engine *e = c->e;
    for (size_t k = 0; k < e->silences.n; k++) {
        struct silence *s = e->silences.v[k];
        bool others = false;
        if (!is_live(s) || !s->until_resolved || !hold_has_mark(i, s->id)) continue;
        for (size_t n = 0; n < e->by_id.n && !others; n++) others = e->by_id.v[n] && e->by_id.v[n] != i && hold_has_mark(e->by_id.v[n], s->id);
        if (!others) silence_end(c, s, STR("what it silenced is resolved"));
    }
}

/* --- when what holds changes: hours, and ends of silences ------------------------------------------------------------------ */
void gates_arm(struct engine *e)
{
    int64_t due_ms = ENGINE_NEVER;
    for (size_t k = 0; k < e->rules->schedule_count; k++) {
        int64_t at_ms = schedule_changes_at(e->rules->schedules[k], e->gates_seen_ms);
        if (at_ms < due_ms) due_ms = at_ms;
    }
    for (size_t k = 0; k < e->silences.n; k++) {
        const struct silence *s = e->silences.v[k];
        int64_t at_ms = is_live(s) ? s->until_ms : s->ended_ms + SILENCE_KEPT_MS;
        if (at_ms < due_ms) due_ms = at_ms;
    }
    timer_set(e, &e->gates, due_ms);
}

static bool muted_before(const struct engine *e, uint64_t id)
{
    for (size_t k = 0; k < e->muting.n; k++)
        if (e->muting.v[k] == id) return true;
    return false;
}

void gates_look(struct step_context *c)
{
    struct engine *e = c->e;
    VEC(uint64_t) begun = { 0 };
    for (size_t k = 0; k < e->rules->mute_count; k++) {
        uint64_t id = mute_id(&e->rules->mutes[k]);
        if (covers(&e->rules->mutes[k], c->now_ms) && !muted_before(e, id)) *vec_push(&begun) = id;
    }
    vec_clear(&e->muting);
    for (size_t k = 0; k < e->rules->mute_count; k++)
        if (covers(&e->rules->mutes[k], c->now_ms)) *vec_push(&e->muting) = mute_id(&e->rules->mutes[k]);
    mark_all(c, begun.v, begun.n);
    vec_free(&begun);
    e->gates_seen_ms = c->now_ms;
    e->gates_kept |= e->rules->schedule_count > 0;
    e->gates_dirty = e->gates_kept;
}

static void end_overdue(struct step_context *c)
{
    for (size_t k = 0; k < c->e->silences.n; k++) {
        struct silence *s = c->e->silences.v[k];
        if (!is_live(s) || s->until_ms > c->now_ms) continue;
        end_at(c, s, s->until_ms, s->until_resolved ? STR("its longest time is over") : STR("its time is over"));
    }
}

void gates_due(struct step_context *c)
{
    timer_drop(c->e, &c->e->gates);
    end_overdue(c);
    forget_old(c);
    gates_look(c);
    hold_review_all(c);
    hours_begun(c);
    hold_speak(c);
    gates_arm(c->e);
}

/* --- stored ------------------------------------------------------------------------------------------------------------------ */
void silence_write(const struct silence *s, struct json_writer *w)
{
    char id[ID_SIZE];
    json_object_begin(w);
    json_field_str(w, "id", id_format("sil", s->id, id));
    if (s->rule.n) json_field_str(w, "rule", s->rule);
    if (s->text.n) json_field_str(w, "when", s->text);
    if (s->who.n) json_field_str(w, "who", s->who);
    if (s->why.n) json_field_str(w, "why", s->why);
    json_field_i64(w, "made", s->made_ms);
    json_field_i64(w, "until", s->until_ms);
    if (s->until_resolved) json_field_bool(w, "until_resolved", true);
    if (s->ended_ms) json_field_i64(w, "ended", s->ended_ms);
    if (s->ended_ms) json_field_str(w, "end", s->end);
    json_object_end(w);
}

static int64_t i64_of(struct json o, const char *name)
{
    int64_t v;
    return json_i64(json_get_c(o, name), &v) ? v : 0;
}

int silence_restore(struct engine *e, struct json o, struct err *err)
{
    const struct silence_text t = { json_str(json_get_c(o, "when")), json_str(json_get_c(o, "rule")), json_str(json_get_c(o, "who")), json_str(json_get_c(o, "why")) };
    struct silence *s;
    uint64_t id;
    if (!id_parse("sil", json_str(json_get_c(o, "id")), &id)) return err_set(err, ERR_SYNTAX, "a stored silence has no id");
    s = silence_new(e, id, &t);
    if (!s) return 0; /* of a version that knew other fields: rather ring than refuse to start */
    s->made_ms = i64_of(o, "made");
    s->until_ms = i64_of(o, "until");
    s->until_resolved = json_bool(json_get_c(o, "until_resolved"), false);
    s->ended_ms = i64_of(o, "ended");
    s->end = str_dup(&s->memory, json_str(json_get_c(o, "end")));
    return 0;
}
