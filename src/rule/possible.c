/* Could any run meet a match at all? What contradicts itself is found field by field: what a field's tests want of it together, under
 * `not` and in each branch of `any`. Whatever cannot be told counts as possible. */
#include <math.h>

#include "rule/rule_internal.h"

struct fact { const struct match *m; bool negated; };
struct solver {
    VEC(struct fact) facts;
    VEC(struct fact) branches; /* of which one child must hold */
    struct match_conflict *why;
};
struct same { const struct fact **v; size_t n, cap; }; /* facts of one field */
enum { VALUES_MOST = 4000 }; /* all values of a field's tests; every one is held against the others */

/* --- one fact ------------------------------------------------------------------------------------------------ */
/* `in` as it is meant: none of is in, negated. */
static bool wants_in(const struct fact *f)
{
    return f->m->op == (f->negated ? OP_NONE : OP_IN);
}

static bool wants_out(const struct fact *f)
{
    bool one = f->negated && f->m->op == OP_ALL && f->m->value_count == 1;
    return one || f->m->op == (f->negated ? OP_IN : OP_NONE);
}

static bool wants_all(const struct fact *f)
{
    return !f->negated && f->m->op == OP_ALL;
}

static bool wants_presence(const struct fact *f, bool present)
{
    return f->m->op == OP_EXISTS && (f->m->wanted != f->negated) == present;
}

static bool any_fact(const struct same *s, bool (*is)(const struct fact *))
{
    for (size_t i = 0; i < s->n; i++)
        if (is(s->v[i])) return true;
    return false;
}

static bool presence_wanted(const struct same *s, bool present)
{
    for (size_t i = 0; i < s->n; i++)
        if (wants_presence(s->v[i], present)) return true;
    return false;
}

/* --- texts ------------------------------------------------------------------------------------------------------ */
static bool fits_any(const struct match *m, struct str text)
{
    for (size_t i = 0; i < m->value_count; i++)
        if (match_value_is(&m->values[i], text)) return true;
    return false;
}

static bool is_literal(const struct match_value *v)
{
    return !v->glob && !v->re;
}

/* Is whatever fits v, a pattern or a number, certain to fit m, too? */
static bool pattern_within(const struct match_value *v, const struct match *m)
{
    for (size_t i = 0; i < m->value_count; i++) {
        const struct match_value *w = &m->values[i];
        if (w->glob && str_eq_c(w->text, "*")) return true;
        if (str_eq(w->text, v->text) && w->glob == v->glob && !w->re == !v->re && w->numeric == v->numeric) return true;
    }
    return false;
}

/* Would no value that fits v get past the tests that want others out? */
static bool value_is_out(const struct match_value *v, const struct same *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!wants_out(s->v[i])) continue;
        if (is_literal(v) && !v->numeric ? fits_any(s->v[i]->m, v->text) : pattern_within(v, s->v[i]->m)) return true;
    }
    return false;
}

/* The field has one text: a literal has to fit every other list, too. */
static bool literal_is_in(const struct match_value *v, const struct same *s)
{
    if (v->text.n == 0) return false;
    for (size_t i = 0; i < s->n; i++)
        if (wants_in(s->v[i]) && !fits_any(s->v[i]->m, v->text)) return false;
    return true;
}

static bool some_value_left(const struct match *m, const struct same *s, bool one_text)
{
    for (size_t i = 0; i < m->value_count; i++) {
        const struct match_value *v = &m->values[i];
        if (value_is_out(v, s)) continue;
        if (!one_text || !is_literal(v) || literal_is_in(v, s)) return true;
    }
    return false;
}

static bool texts_possible(const struct same *s, enum field_shape shape)
{
    bool present = any_fact(s, wants_in) || any_fact(s, wants_all);
    if (presence_wanted(s, false) && (presence_wanted(s, true) || (present && shape != SHAPE_JSON))) return false;
    for (size_t i = 0; i < s->n; i++) {
        const struct match *m = s->v[i]->m;
        if (wants_in(s->v[i]) && !some_value_left(m, s, shape == SHAPE_TEXT)) return false;
        for (size_t k = 0; wants_all(s->v[i]) && k < m->value_count; k++)
            if (value_is_out(&m->values[k], s)) return false;
    }
    return true;
}

/* --- states, true and false ------------------------------------------------------------------------------------- */
enum { FAILED_SOMEHOW = RUN_STATES, STATUSES }; /* a failure that does not say which is like a state of its own */

static bool state_meets(const struct fact *f, int state)
{
    const struct match *m = f->m;
    bool in;
    if (m->op == OP_EXISTS) return m->wanted != f->negated;
    if (state == RUN_UNKNOWN && m->value_count > 0 && !(m->states >> RUN_UNKNOWN & 1)) return true; /* by its text, perhaps */
    in = state == FAILED_SOMEHOW ? match_takes_failures(m) : m->states >> state & 1;
    return in == wants_in(f);
}

static bool test_meets(const struct fact *f, int value)
{
    return ((f->m->op == OP_EXISTS ? f->m->wanted : f->m->wanted == (value != 0))) != f->negated;
}

static bool some_of(const struct same *s, bool (*meets)(const struct fact *, int), int values)
{
    for (int v = 0; v < values; v++) {
        size_t i = 0;
        while (i < s->n && meets(s->v[i], v)) i++;
        if (i == s->n) return true;
    }
    return false;
}

/* --- numbers ------------------------------------------------------------------------------------------------------- */
static bool number_in(const struct match *m, double v)
{
    for (size_t i = 0; i < m->value_count; i++)
        if (m->values[i].number == v) return true;
    return false;
}

static bool number_meets(const struct fact *f, bool present, double v)
{
    bool is;
    switch (f->m->op) {
    case OP_IN: is = present && number_in(f->m, v); break;
    case OP_NONE: is = !(present && number_in(f->m, v)); break;
    case OP_EXISTS: is = present == f->m->wanted; break;
    case OP_GT: is = present && v > f->m->bound; break;
    case OP_GTE: is = present && v >= f->m->bound; break;
    case OP_LT: is = present && v < f->m->bound; break;
    case OP_LTE: is = present && v <= f->m->bound; break;
    case OP_ALL:
    default: return true;
    }
    return is != f->negated;
}

static bool all_meet(const struct same *s, bool present, double v)
{
    for (size_t i = 0; i < s->n; i++)
        if (!number_meets(s->v[i], present, v)) return false;
    return true;
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct points { double *v; size_t n, cap; };

static void points_of(const struct same *s, struct points *p)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct match *m = s->v[i]->m;
        bool bound = m->op >= OP_GT && m->op <= OP_LTE;
        for (size_t k = 0; !bound && k < m->value_count; k++) *vec_push(p) = m->values[k].number;
        if (bound) *vec_push(p) = m->bound;
    }
    *vec_push(p) = 1; /* any number, where only presence is tested */
    qsort(p->v, p->n, sizeof *p->v, by_number);
}

/* Between two neighbours of the numbers that tests name, all numbers are alike: one of them stands for the rest. */
static bool near_meets(const struct same *s, double v, double next)
{
    double far = fmax(1, fabs(v));
    return all_meet(s, true, v) || all_meet(s, true, v / 2 + next / 2) || all_meet(s, true, v - far) || all_meet(s, true, v + far);
}

/* Attempts are whole, from 1 on. */
static bool whole_meets(const struct same *s, double v)
{
    enum { FAR = 1000000000 };
    if (fabs(v) > FAR) return true;
    for (int d = -1; d <= 2; d++)
        if (floor(v) + d >= 1 && all_meet(s, true, floor(v) + d)) return true;
    return false;
}

static bool numbers_possible(const struct same *s, bool attempt)
{
    struct points p = { 0 };
    bool is = all_meet(s, false, 0);
    points_of(s, &p);
    for (size_t i = 0; !is && i < p.n; i++) is = attempt ? whole_meets(s, p.v[i]) : near_meets(s, p.v[i], i + 1 < p.n ? p.v[i + 1] : p.v[i]);
    vec_free(&p);
    return is;
}

/* --- a field -------------------------------------------------------------------------------------------------------- */
static size_t values_in(const struct same *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) n += s->v[i]->m->value_count + 1;
    return n;
}

static bool field_possible(const struct same *s)
{
    const struct rule_field *f = &s->v[0]->m->field;
    enum field_shape shape = rule_field_shape(f->id);
    if (values_in(s) > VALUES_MOST) return true;
    switch (shape) {
    case SHAPE_STATUS: return some_of(s, state_meets, STATUSES);
    case SHAPE_BOOL: return some_of(s, test_meets, 2);
    case SHAPE_NUMBER:
    case SHAPE_DURATION: return numbers_possible(s, f->id == RULE_ATTEMPT);
    case SHAPE_TEXT:
    case SHAPE_LIST:
    case SHAPE_JSON:
    default: return texts_possible(s, shape);
    }
}

static void conflict_note(struct solver *s, const struct same *same)
{
    *s->why = (struct match_conflict){ 0 };
    for (size_t i = 0; i < same->n && s->why->n < CONFLICT_TESTS; i++) {
        s->why->tests[s->why->n] = same->v[i]->m;
        s->why->negated[s->why->n++] = same->v[i]->negated;
    }
}

/* Are the facts from `from` on possible beside all others? */
static bool facts_possible(struct solver *s, size_t from)
{
    struct same same = { 0 };
    bool ok = true;
    for (size_t i = from; ok && i < s->facts.n; i++) {
        const struct rule_field *f = &s->facts.v[i].m->field;
        bool done = false;
        vec_clear(&same);
        for (size_t k = from; k < i && !done; k++) done = rule_field_same(&s->facts.v[k].m->field, f);
        for (size_t k = 0; !done && k < s->facts.n; k++)
            if (rule_field_same(&s->facts.v[k].m->field, f)) *vec_push(&same) = &s->facts.v[k];
        ok = done || field_possible(&same);
        if (!ok) conflict_note(s, &same);
    }
    vec_free(&same);
    return ok;
}

/* --- the tree --------------------------------------------------------------------------------------------------------- */
static void collect(struct solver *s, const struct match *m, bool negated)
{
    if (m->kind == MATCH_TEST) *vec_push(&s->facts) = (struct fact){ m, negated };
    else if (m->kind == MATCH_NOT) collect(s, m->children[0], !negated);
    else if ((m->kind == MATCH_ALL) == negated) *vec_push(&s->branches) = (struct fact){ m, negated };
    else
        for (size_t i = 0; i < m->child_count; i++) collect(s, m->children[i], negated);
}

static bool level_possible(struct solver *s, size_t facts, size_t branches);

/* Of each `any` by itself: that two of them may contradict one another is not looked for. */
static bool branch_possible(struct solver *s, struct fact any)
{
    for (size_t i = 0; i < any.m->child_count; i++) {
        size_t facts = s->facts.n, branches = s->branches.n;
        bool ok;
        collect(s, any.m->children[i], any.negated);
        ok = level_possible(s, facts, branches);
        s->facts.n = facts;
        s->branches.n = branches;
        if (ok) return true;
    }
    if (any.m->child_count > 1) *s->why = (struct match_conflict){ .any = any.m };
    return false;
}

static bool level_possible(struct solver *s, size_t facts, size_t branches)
{
    size_t end = s->branches.n;
    if (!facts_possible(s, facts)) return false;
    for (size_t i = branches; i < end; i++)
        if (!branch_possible(s, s->branches.v[i])) return false;
    return true;
}

bool matches_can_meet(const struct match *const *m, size_t n, struct match_conflict *why)
{
    struct match_conflict unasked = { 0 };
    struct solver s = { .why = why ? why : &unasked };
    bool ok;
    *s.why = (struct match_conflict){ 0 };
    for (size_t i = 0; i < n; i++) collect(&s, m[i], false);
    ok = level_possible(&s, 0, 0);
    vec_free(&s.facts);
    vec_free(&s.branches);
    return ok;
}
