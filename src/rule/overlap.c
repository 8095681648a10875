/* Overlaps: every hit of one rule is a hit of another, and both tell the same place. n rules that match are n
 * incidents and n messages; whoever wrote them may not have meant that. Only what the clauses show is found. */
#include "base/glob.h"
#include "rule/rule_internal.h"

enum { RULES_MOST = 300, CLAUSE_BYTES = 1 << 20 }; /* pairs are compared: not for thousands of rules */

struct clauses {
    const struct match *const *v;
    struct str *texts; /* canonical */
    size_t n;
};

/* m: where the pointer stays. */
static struct clauses clauses_of(struct arena *a, const struct match *const *m)
{
    bool all = (*m)->kind == MATCH_ALL;
    struct clauses c = { all ? (*m)->children : m, NULL, all ? (*m)->child_count : 1 };
    struct strbuf b;
    strbuf_init(&b, CLAUSE_BYTES);
    c.texts = ARENA_ARRAY(a, struct str, c.n + 1);
    for (size_t i = 0; i < c.n; i++) {
        strbuf_clear(&b);
        match_canonical(c.v[i], &b);
        c.texts[i] = str_dup(a, strbuf_view(&b));
    }
    strbuf_fini(&b);
    return c;
}

static bool value_within(const struct match_value *v, const struct match *wide)
{
    for (size_t i = 0; i < wide->value_count; i++) {
        const struct match_value *w = &wide->values[i];
        bool same = str_eq(w->text, v->text) && w->glob == v->glob && !w->re == !v->re;
        if (same || (w->glob && !v->glob && !v->re && glob_match(w->text, v->text))) return true;
    }
    return false;
}

bool match_test_within(const struct match *m, const struct match *wide)
{
    if (m->kind != MATCH_TEST || wide->kind != MATCH_TEST || m->op != OP_IN || wide->op != OP_IN) return false;
    if (!rule_field_same(&m->field, &wide->field) || rule_field_shape(m->field.id) == SHAPE_BOOL) return false;
    if (m->states & ~wide->states) return false;
    for (size_t i = 0; i < m->value_count; i++)
        if (!value_within(&m->values[i], wide)) return false;
    return true;
}

static bool follows(const struct clauses *from, const struct clauses *to, size_t at)
{
    for (size_t i = 0; i < from->n; i++)
        if (str_eq(from->texts[i], to->texts[at]) || match_test_within(from->v[i], to->v[at])) return true;
    return false;
}

static bool all_follow(const struct clauses *from, const struct clauses *to)
{
    for (size_t i = 0; i < to->n; i++)
        if (!follows(from, to, i)) return false;
    return true;
}

bool match_within(struct arena *a, const struct match *m, const struct match *wide)
{
    struct clauses from = clauses_of(a, &m), to = clauses_of(a, &wide);
    return all_follow(&from, &to);
}

static const struct rule_target *common_target(const struct rule *r, const struct rule *s)
{
    for (size_t i = 0; i < r->notify.n; i++)
        for (size_t k = 0; k < s->notify.n; k++) {
            const struct rule_target *t = &r->notify.v[i], *u = &s->notify.v[k];
            if (t->destination == u->destination && t->param_count == 0 && u->param_count == 0) return t;
        }
    return NULL;
}

static void warn(struct compile *c, const struct rule *narrow, const struct rule *wide, const struct rule_target *t)
{
    struct diag *d = diag_add(c->d, DIAG_WARNING, narrow->file, narrow->line, narrow->col,
                              "every hit of rule `" STR_FMT "` is one of `" STR_FMT "`, too, and both notify `" STR_FMT "`: two messages each",
                              STR_ARG(narrow->name), STR_ARG(wide->name), STR_ARG(c->rs->destinations[t->destination].name));
    d->width = (uint32_t)narrow->name.n;
    d->hint = str_printf(c->d->arena, "leave them out of `" STR_FMT "` with `not`, hold one of them with `unless`, or tell another destination", STR_ARG(wide->name));
}

static bool rings_at_once(const struct rule *r)
{
    return r->condition.kind == RULE_EVERY_HIT && r->at_least <= 1;
}

/* Is it asked for that one of them waits for the other? */
static bool held_by(const struct rule *r, const struct rule *s, size_t at)
{
    for (size_t i = 0; i < r->unless_count; i++)
        if (r->unless[i] == at) return true;
    return r->during && s->during && r->during != s->during;
}

/* One warning for a rule is enough: the first rule that has all its hits. Of two alike the later one is warned of. */
static void check_one(struct compile *c, const struct clauses *of, size_t narrow)
{
    for (size_t wide = 0; wide < c->rules.n; wide++) {
        const struct rule *r = c->rules.v[narrow], *s = c->rules.v[wide];
        const struct rule_target *t = wide == narrow || !rings_at_once(s) ? NULL : common_target(r, s);
        if (held_by(r, s, wide) || held_by(s, r, narrow)) continue;
        if (!t || !all_follow(&of[narrow], &of[wide])) continue;
        if (wide > narrow && all_follow(&of[wide], &of[narrow])) continue;
        warn(c, r, s, t);
        return;
    }
}

void overlaps_check(struct compile *c)
{
    struct clauses *of;
    if (c->rules.n > RULES_MOST) return;
    of = ARENA_ARRAY(c->a, struct clauses, c->rules.n + 1);
    for (size_t i = 0; i < c->rules.n; i++) of[i] = clauses_of(c->a, &c->rules.v[i]->when);
    for (size_t i = 0; i < c->rules.n; i++)
        if (rings_at_once(c->rules.v[i])) check_one(c, of, i);
}
