/* tell: messages of an incident to its destinations, and its timeline. */
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "engine/engine_internal.h"

/* --- the timeline ------------------------------------------------------------------------------------------- */
void note(struct step_context *c, uint64_t incident, const char *what, struct str body)
{
    *vec_push(&c->out->notes) = (struct engine_note){ incident, c->now_ms, what, body };
}

struct str note_text(struct step_context *c, const char *name, struct str value)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, CONTENT_CEILING);
    json_object_begin(w);
    json_field_str(w, name, value);
    json_object_end(w);
    return json_draft_end(&d, c->out->arena);
}

/* --- lanes and parameters -------------------------------------------------------------------------------------- */
struct str told_lane(struct arena *a, const struct incident *i, const struct told *t)
{
    char id[ID_SIZE];
    struct str inc = id_format("inc", i->id, id);
    if (!t->params) return str_dup(a, inc);
    return str_printf(a, STR_FMT "/%zu", STR_ARG(inc), (size_t)(t - incident_told(i)));
}

/* A rendered channel must still fit what the destination allows: user data never picks one freely. */
static bool channel_fits(const struct rule_destination *d, struct str name, struct str value)
{
    if (!str_eq_c(name, "channel") || str_absent(d->channel_pattern)) return true;
    return glob_match(d->channel_pattern, value);
}

static bool render_param(struct step_context *c, struct incident *i, const struct rule_param *p, struct str *out)
{
    struct strbuf b, text;
    struct json_writer w;
    struct detail detail;
    struct json view;
    struct rule_subject s;
    bool ok = false;
    strbuf_init(&b, CONTENT_CEILING);
    strbuf_init(&text, 4096);
    if (detail_get(c, i, &detail) == 0) {
        rule_subject_init(&s, c->out->arena, &detail.run, &detail.transition, c->now_ms);
        json_writer_init(&w, &b);
        rule_view(i->rule->now, &s, &w);
        ok = json_parse(c->out->arena, strbuf_view(&b), &json_own_limits, &view, NULL, c->err) == 0 &&
             template_render(p->value, view, NULL, &template_default_limits, &text, c->err) == 0;
        *out = str_dup(c->out->arena, strbuf_view(&text));
    }
    strbuf_fini(&b);
    strbuf_fini(&text);
    return ok;
}

char *target_params(struct step_context *c, struct incident *i, const struct rule_target *t)
{
    const struct rule_destination *d = &c->e->rules->destinations[t->destination];
    struct strbuf b;
    struct json_writer w;
    char *out;
    if (t->param_count == 0) return NULL;
    strbuf_init(&b, CONTENT_CEILING);
    json_writer_init(&w, &b);
    json_object_begin(&w);
    for (size_t k = 0; k < t->param_count; k++) {
        struct str value;
        if (render_param(c, i, &t->params[k], &value) && channel_fits(d, t->params[k].name, value)) {
            json_put_key(&w, t->params[k].name);
            json_put_str(&w, value);
        } else {
            c->e->stats.template_failures++;
            note(c, i->id, "parameter refused", note_text(c, "name", t->params[k].name));
        }
    }
    json_object_end(&w);
    out = xstrdup(b.p);
    strbuf_fini(&b);
    return out;
}

/* --- saying it ----------------------------------------------------------------------------------------------------- */
static void note_told(struct step_context *c, const struct incident *i, const struct engine_message *m, const char *what)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, CONTENT_CEILING);
    char id[ID_SIZE];
    json_object_begin(w);
    json_field_str(w, "destination", m->destination);
    json_field_str(w, "kind", str_c(message_kind_name(m->kind)));
    json_field_str(w, "delivery", id_format("dlv", m->delivery, id));
    json_object_end(w);
    note(c, i->id, what, json_draft_end(&d, c->out->arena));
}

void tell_say(struct step_context *c, struct incident *i, struct told *t, const struct say *say)
{
    struct engine_message m = {
        .message = id_next(&c->e->ids, c->now_ms),
        .incident = i->id,
        .destination = t->place->name,
        .params = t->params ? str_dup(c->out->arena, str_c(t->params)) : STR_NONE,
        .lane = told_lane(c->out->arena, i, t),
        .kind = say->kind,
    };
    m.delivery = id_next(&c->e->ids, c->now_ms);
    m.content = content_incident(c, i, say, m.message);
    if (c->failed) return;
    *vec_push(&c->out->messages) = m;
    t->outstanding++;
    t->flags |= TOLD_SPOKE;
    if (i->hold && say->kind != MESSAGE_RESOLVE) i->hold->spoken = true;
    if (say->kind == MESSAGE_OPEN || say->kind == MESSAGE_REMINDER || say->kind == MESSAGE_ESCALATION) t->flags |= TOLD_LOUD;
    if (say->kind == MESSAGE_OPEN || say->kind == MESSAGE_ESCALATION) hours_told(t);
    t->flags &= ~(uint32_t)TOLD_DIRTY;
    note_told(c, i, &m, "told");
}

void tell_told(struct step_context *c, struct incident *i, struct told *t, enum message_kind kind, struct str reason)
{
    const struct say say = { kind, reason, 0, STR_NONE };
    tell_say(c, i, t, &say);
}

bool same_params(const char *a, const char *b)
{
    if (!a || !b) return a == b;
    return strcmp(a, b) == 0;
}

struct told *told_get(struct incident *i, struct place *place, const char *params)
{
    for (size_t k = 0; k < i->told_count; k++) {
        struct told *t = incident_told_at(i, k);
        if (t->place == place && same_params(t->params, params)) return t;
    }
    if (i->told_count == UINT16_MAX) return incident_told_at(i, 0);
    return incident_add_told(i, (struct told){ .place = place, .params = params ? xstrdup(params) : NULL });
}

/* Openings that were held together are a digest, and so is what does not fit a limit. */
bool tell_loud(struct step_context *c, struct incident *i, struct told *t, const struct say *say)
{
    if (say->kind == MESSAGE_OPEN && hold_gathers(c->e, t->place, i->part)) {
        digest_add_held(c, i, t);
        return false;
    }
    if (!limit_passes(c, i, t->place)) {
        digest_add(c, i, t);
        return false;
    }
    tell_say(c, i, t, say);
    return true;
}

bool tell_target(struct step_context *c, struct incident *i, const struct telling *what)
{
    struct told *t = told_get(i, what->place, what->params);
    const struct say say = { what->kind, what->reason, what->after_ms, STR_NONE };
    bool first = what->kind == MESSAGE_OPEN || !(t->flags & (TOLD_SPOKE | TOLD_DIGEST));
    if (first && !(t->flags & TOLD_CHOSEN)) t->during = hours_name(c->e, what->during);
    if (!what->during || schedule_covers(what->during, c->now_ms)) return tell_loud(c, i, t, &say);
    hours_postpone(c, i, t, what);
    return false;
}
