/* The `when` grammar: a map of field tests plus any, all and not -> the condition tree. */
#include <float.h>

#include "base/suggest.h"
#include "rule/rule_internal.h"

struct match *match_new(struct compile *c, enum match_kind kind, const struct yaml_node *at)
{
    struct match *m = ARENA_NEW(c->a, struct match);
    m->kind = kind;
    m->file = c->file;
    if (at) {
        m->line = at->key_line ? at->key_line : at->line;
        m->col = at->key_line ? at->key_col : at->col;
    }
    return m;
}

struct children { const struct match **v; size_t n, cap; };

static struct children children_new(struct compile *c, size_t cap)
{
    return (struct children){ ARENA_ARRAY(c->a, const struct match *, cap), 0, cap };
}

static void children_add(struct children *to, const struct match *m)
{
    if (m && to->n < to->cap) to->v[to->n++] = m;
}

static const struct match *children_end(struct children *from, struct match *into, size_t errors_before,
                                        const struct compile *c)
{
    if (c->d->errors > errors_before) return NULL;
    into->children = from->v;
    into->child_count = from->n;
    return into;
}

static size_t conjuncts(const struct match *m)
{
    return m->kind == MATCH_ALL ? m->child_count : 1;
}

static void add_conjuncts(struct match *to, const struct match *m)
{
    if (m->kind != MATCH_ALL) {
        to->children[to->child_count++] = m;
        return;
    }
    for (size_t i = 0; i < m->child_count; i++) to->children[to->child_count++] = m->children[i];
}

const struct match *match_both(struct compile *c, const struct match *m, const struct match *n)
{
    struct match *both = match_new(c, MATCH_ALL, NULL);
    both->children = ARENA_ARRAY(c->a, const struct match *, conjuncts(m) + conjuncts(n));
    add_conjuncts(both, m);
    add_conjuncts(both, n);
    both->line = m->line;
    both->col = m->col;
    return both;
}

/* --- operators ----------------------------------------------------------------------------------------- */
enum op_values { VALUES, PATTERNS_GLOB, PATTERNS_RE, BOUND, PRESENCE };
struct op_info {
    const char *name;
    enum match_op op;
    enum op_values values;
    bool globs; /* a * or ? makes a value a glob */
};
static const struct op_info ops[] = {
    { "is", OP_IN, VALUES, false },         { "in", OP_IN, VALUES, true },
    { "not", OP_NONE, VALUES, true },       { "none", OP_NONE, VALUES, true },
    { "all", OP_ALL, VALUES, true },        { "glob", OP_IN, PATTERNS_GLOB, true },
    { "re", OP_IN, PATTERNS_RE, false },    { "gt", OP_GT, BOUND, false },
    { "gte", OP_GTE, BOUND, false },        { "lt", OP_LT, BOUND, false },
    { "lte", OP_LTE, BOUND, false },        { "exists", OP_EXISTS, PRESENCE, false },
};
enum { OPS = sizeof ops / sizeof *ops };

static const struct op_info *op_find(struct compile *c, const struct yaml_node *n)
{
    struct str names[OPS];
    for (size_t i = 0; i < OPS; i++) {
        if (str_eq_c(n->key, ops[i].name)) return &ops[i];
        names[i] = str_c(ops[i].name);
    }
    compile_nearest(yaml_error_key(c->d, n, "unknown test `" STR_FMT "`", STR_ARG(n->key)), c,
                    suggest_nearest(n->key, names, OPS));
    return NULL;
}

static bool op_fits(const struct op_info *op, enum field_shape shape)
{
    bool list = shape == SHAPE_LIST || shape == SHAPE_JSON;
    bool text = list || shape == SHAPE_TEXT || shape == SHAPE_STATUS;
    bool number = shape == SHAPE_NUMBER || shape == SHAPE_DURATION || shape == SHAPE_JSON;
    if (op->values == BOUND) return number;
    if (op->values == PATTERNS_GLOB || op->values == PATTERNS_RE) return text;
    return op->op != OP_ALL || list;
}

struct str match_test_name(size_t k, enum field_shape shape, bool *fits, enum match_wants *wants)
{
    static const enum match_wants wanted[] = { [VALUES] = MATCH_WANTS_VALUES, [PATTERNS_GLOB] = MATCH_WANTS_TEXTS,
                                               [PATTERNS_RE] = MATCH_WANTS_TEXTS, [BOUND] = MATCH_WANTS_BOUND,
                                               [PRESENCE] = MATCH_WANTS_BOOL };
    if (k >= OPS) return STR_NONE;
    *fits = op_fits(&ops[k], shape);
    *wants = wanted[ops[k].values];
    return str_c(ops[k].name);
}

static const char *shape_is(enum field_shape shape)
{
    switch (shape) {
    case SHAPE_STATUS: return "a state";
    case SHAPE_TEXT: return "one text";
    case SHAPE_LIST: return "a list of texts";
    case SHAPE_BOOL: return "true or false";
    case SHAPE_NUMBER: return "a number";
    case SHAPE_DURATION: return "a duration";
    case SHAPE_JSON:
    default: return "any value";
    }
}

static bool bound_parse(struct compile *c, struct match *m, const struct yaml_node *n)
{
    int64_t ms;
    if (rule_field_shape(m->field.id) != SHAPE_DURATION)
        return yaml_want_f64(n, c->d, -DBL_MAX, DBL_MAX, &m->bound);
    if (!yaml_want_duration(n, c->d, &ms)) return false;
    m->bound = (double)ms;
    return true;
}

/* The bound as a value, too, so that the test's text shows it. */
static bool bound_value(struct compile *c, struct match *m, const struct yaml_node *n)
{
    if (!bound_parse(c, m, n)) return false;
    m->values = ARENA_NEW(c->a, struct match_value);
    m->values->text = str_printf(c->a, "%.17g", m->bound);
    m->value_count = 1;
    return true;
}

static bool op_values(struct compile *c, struct match *m, const struct op_info *op, const struct yaml_node *n)
{
    switch (op->values) {
    case PATTERNS_GLOB: return match_patterns_parse(c, m, n, false);
    case PATTERNS_RE: return match_patterns_parse(c, m, n, true);
    case BOUND: return bound_value(c, m, n);
    case PRESENCE: return yaml_want_bool(n, c->d, &m->wanted);
    case VALUES:
    default: return match_values_parse(c, m, n, op->globs);
    }
}

static const struct match *op_parse(struct compile *c, const struct rule_field *f, const struct yaml_node *n)
{
    const struct op_info *op = op_find(c, n);
    enum field_shape shape = rule_field_shape(f->id);
    struct match *m = match_new(c, MATCH_TEST, n);
    if (!op) return NULL;
    if (!op_fits(op, shape)) {
        yaml_error_key(c->d, n, "`%s` does not fit `" STR_FMT "`, which is %s", op->name, STR_ARG(f->text),
                       shape_is(shape));
        return NULL;
    }
    m->field = *f;
    m->op = op->op;
    return op_values(c, m, op, n) ? m : NULL;
}

/* --- tests --------------------------------------------------------------------------------------------- */
static void test_map(struct compile *c, const struct rule_field *f, const struct yaml_node *n,
                     struct children *to)
{
    if (n->count == 0) yaml_error(c->d, n, "an empty test; to match any value, use {exists: true}");
    for (const struct yaml_node *op = n->first; op; op = op->next) children_add(to, op_parse(c, f, op));
}

static void test_parse(struct compile *c, const struct yaml_node *n, struct children *to)
{
    struct rule_field f;
    struct match *m;
    if (!compile_field(c, n, n->key, true, &f)) return;
    if (n->kind == YAML_MAP) {
        test_map(c, &f, n, to);
        return;
    }
    m = match_new(c, MATCH_TEST, n);
    m->field = f;
    m->op = OP_IN;
    if (match_values_parse(c, m, n, true)) children_add(to, m);
}

/* {task: a} inside any, all or not is that one test, not a list of one. */
static const struct match *inner_parse(struct compile *c, const struct yaml_node *n)
{
    const struct match *m = match_parse(c, n);
    return m && m->kind == MATCH_ALL && m->child_count == 1 ? m->children[0] : m;
}

static const struct match *list_parse(struct compile *c, enum match_kind kind, const struct yaml_node *n)
{
    struct match *m = match_new(c, kind, n);
    struct children children = children_new(c, n->count);
    size_t errors = c->d->errors;
    if (n->kind != YAML_SEQ || n->count == 0) {
        yaml_error(c->d, n, "`" STR_FMT "` wants a list of matches, like [{status: failed}, {task: sync}]",
                   STR_ARG(n->key));
        return NULL;
    }
    for (const struct yaml_node *item = n->first; item; item = item->next)
        children_add(&children, inner_parse(c, item));
    return children_end(&children, m, errors, c);
}

static const struct match *not_parse(struct compile *c, const struct yaml_node *n)
{
    struct match *m = match_new(c, MATCH_NOT, n);
    struct children children = children_new(c, 1);
    size_t errors = c->d->errors;
    if (n->kind == YAML_MAP && n->count == 0) yaml_error(c->d, n, "`not` of nothing never matches");
    children_add(&children, inner_parse(c, n));
    return children_end(&children, m, errors, c);
}

static size_t room_for(const struct yaml_node *n)
{
    size_t room = 0;
    for (const struct yaml_node *m = n->first; m; m = m->next) room += m->kind == YAML_MAP ? m->count : 1;
    return room + n->count;
}

const struct match *match_parse(struct compile *c, const struct yaml_node *n)
{
    struct match *m = match_new(c, MATCH_ALL, n);
    struct children children;
    size_t errors = c->d->errors;
    if (n->kind != YAML_MAP) {
        yaml_error(c->d, n, "wants a map of field tests, like {status: failed, task: sync}");
        return NULL;
    }
    children = children_new(c, room_for(n));
    for (const struct yaml_node *member = n->first; member; member = member->next) {
        if (str_eq_c(member->key, "any")) children_add(&children, list_parse(c, MATCH_ANY, member));
        else if (str_eq_c(member->key, "all")) children_add(&children, list_parse(c, MATCH_ALL, member));
        else if (str_eq_c(member->key, "not")) children_add(&children, not_parse(c, member));
        else test_parse(c, member, &children);
    }
    return children_end(&children, m, errors, c);
}
