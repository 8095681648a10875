/* `resolve: {match: ...}`: which run events end an incident. */
#include "base/glob.h"
#include "rule/rule_internal.h"

/* --- compiling ------------------------------------------------------------------------------------------- */
/* The tests of `when` that say of what kind its runs are: where a match names no kind, it is about the same. */
static const struct match *with_kinds(struct compile *c, const struct match *m, const struct match *when)
{
    if (match_names_field(m, RULE_KIND)) return m;
    for (size_t i = 0; when->kind == MATCH_ALL && i < when->child_count; i++)
        if (when->children[i]->kind == MATCH_TEST && when->children[i]->field.id == RULE_KIND) m = match_both(c, m, when->children[i]);
    return m;
}

/* defaults.when is and-ed to every rule: as far as it says which runs, it holds here, too. */
static const struct match *one_end(struct compile *c, const struct rule *r, const struct match *m)
{
    if (c->always) m = match_both(c, m, match_population(c->a, c->always));
    return with_kinds(c, m, r->when);
}

const struct match *ends_of(struct compile *c, const struct rule *r)
{
    struct match *any = match_new(c, MATCH_ANY, NULL);
    any->children = ARENA_ARRAY(c->a, const struct match *, r->resolve_count);
    for (size_t i = 0; i < r->resolve_count; i++)
        if (r->resolve[i].kind == RULE_MATCH) any->children[any->child_count++] = one_end(c, r, r->resolve[i].match);
    return any->child_count ? any : NULL;
}

/* --- matches that no event of the incident can meet -------------------------------------------------------- */
static bool may_be_both(const struct match_value *v, const struct match_value *w)
{
    if (v->re || w->re || (v->glob && w->glob)) return true; /* who knows */
    if (v->glob || w->glob) return v->glob ? glob_match(v->text, w->text) : glob_match(w->text, v->text);
    return str_eq(v->text, w->text);
}

static bool apart(const struct match *m, const struct match *n)
{
    if (m->kind != MATCH_TEST || n->kind != MATCH_TEST || m->op != OP_IN || n->op != OP_IN || !rule_field_same(&m->field, &n->field)) return false;
    if (rule_field_shape(m->field.id) != SHAPE_TEXT) return false;
    for (size_t i = 0; i < m->value_count; i++)
        for (size_t k = 0; k < n->value_count; k++)
            if (may_be_both(&m->values[i], &n->values[k])) return false;
    return true;
}

static bool in_every_key(const struct rule *r, const struct rule_field *f)
{
    return f->id == RULE_ENV || f->id == RULE_PROJECT || (!rule_field_is_outcome(f->id) && rule_by_has(r, f));
}

/* The field of the key that `when` and the match want to be different things; NULL = none is seen. */
static const struct rule_field *torn_field(const struct rule *r, const struct match *m)
{
    for (size_t i = 0; i < m->child_count; i++)
        for (size_t k = 0; k < r->when->child_count; k++)
            if (apart(m->children[i], r->when->children[k]) && in_every_key(r, &m->children[i]->field)) return &m->children[i]->field;
    return NULL;
}

static struct diag *never(struct compile *c, const char *file, const struct match *m, const char *why)
{
    struct diag *d = diag_add(c->d, DIAG_WARNING, file, m->line, m->col, "this `match` never ends an incident: %s", why);
    d->width = sizeof "match" - 1;
    return d;
}

void ends_check(struct compile *c, const char *file, const struct rule *r)
{
    for (size_t i = 0; i < r->resolve_count; i++) {
        const struct match *m = r->resolve[i].match;
        const struct rule_field *torn = m ? torn_field(r, m) : NULL;
        if (torn)
            never(c, file, m, str_printf(c->a, "`" STR_FMT "` is part of the key, and `when` wants another one", STR_ARG(torn->text)).p)->hint =
                str_printf(c->d->arena, "leave `" STR_FMT "` out of the match, or out of `by`", STR_ARG(torn->text));
        else if (m && match_within(c->a, with_kinds(c, m, r->when), r->when))
            never(c, file, m, "whatever meets it is a hit")->hint = STR("say what differs from a hit, as a status");
    }
}

/* --- asking ------------------------------------------------------------------------------------------------ */
bool rule_ends(const struct rule *r, struct rule_subject *s)
{
    return r->ends && match_eval(r->ends, s) && !match_eval(r->when, s);
}

uint32_t rule_ends_states(const struct rule *r)
{
    return r->ends ? match_states(r->ends) : 0;
}
