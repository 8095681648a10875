/* Trees derived from a condition tree: its canonical text, its population, the states it can hit. */
#include "rule/rule_internal.h"

/* --- text ----------------------------------------------------------------------------------------------- */
static void quote(struct strbuf *out, struct str s)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_put_str(&w, s);
}

static void value_text(const struct match *m, const struct match_value *v, struct strbuf *out)
{
    enum field_shape shape = rule_field_shape(m->field.id);
    if (shape == SHAPE_NUMBER || shape == SHAPE_DURATION) {
        strbuf_str(out, v->text);
        return;
    }
    if (v->re) strbuf_c(out, "re ");
    else if (v->glob) strbuf_c(out, "glob ");
    else if (v->numeric) strbuf_c(out, "number ");
    quote(out, v->text);
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Texts sorted, equal ones once, joined by ", ". Frees nothing: they live in the arena. */
static void put_sorted(struct str *texts, size_t n, struct strbuf *out)
{
    bool first = true;
    if (n > 0) qsort(texts, n, sizeof *texts, by_text);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && str_eq(texts[i], texts[i - 1])) continue;
        if (!first) strbuf_c(out, ", ");
        strbuf_str(out, texts[i]);
        first = false;
    }
}

enum { CANONICAL_BYTES = 64 << 20 };

static struct str taken(struct arena *a, struct strbuf *b)
{
    struct str s = str_dup(a, strbuf_view(b));
    strbuf_clear(b);
    return s;
}

static size_t value_texts(const struct match *m, struct arena *a, struct str *out)
{
    struct strbuf one;
    size_t n = 0;
    strbuf_init(&one, CANONICAL_BYTES);
    for (int state = 0; state < RUN_STATES; state++) {
        if (!(m->states >> state & 1)) continue;
        quote(&one, state == RUN_UNKNOWN ? STR("(unknown)") : str_c(run_state_name((enum run_state)state)));
        out[n++] = taken(a, &one);
    }
    for (size_t i = 0; i < m->value_count; i++) {
        value_text(m, &m->values[i], &one);
        out[n++] = taken(a, &one);
    }
    strbuf_fini(&one);
    return n;
}

static const char *const op_names[] = {
    [OP_IN] = "in", [OP_NONE] = "none of", [OP_ALL] = "all of", [OP_GT] = "gt", [OP_GTE] = "gte",
    [OP_LT] = "lt", [OP_LTE] = "lte", [OP_EXISTS] = "exists",
};

void match_test_text(const struct match *m, struct strbuf *out)
{
    struct arena a = { 0 };
    struct str *texts = ARENA_ARRAY(&a, struct str, m->value_count + RUN_STATES);
    bool boolean = m->op == OP_EXISTS || rule_field_shape(m->field.id) == SHAPE_BOOL;
    size_t n = boolean ? 0 : value_texts(m, &a, texts);
    bool single = n == 1 && m->op == OP_IN;
    strbuf_c(out, single || (boolean && m->op != OP_EXISTS) ? "is" : op_names[m->op]);
    strbuf_char(out, ' ');
    if (boolean) strbuf_c(out, m->wanted ? "true" : "false");
    if (!boolean && !single && m->op <= OP_ALL) strbuf_char(out, '[');
    put_sorted(texts, n, out);
    if (!boolean && !single && m->op <= OP_ALL) strbuf_char(out, ']');
    arena_fini(&a);
}

static void field_text(const struct rule_field *f, struct strbuf *out)
{
    strbuf_c(out, rule_field_name(f->id));
    for (size_t i = 0; i < f->path_count; i++) {
        strbuf_char(out, '.');
        quote(out, f->path[i]);
    }
    strbuf_char(out, ' ');
}

static void children_text(const struct match *m, struct strbuf *out)
{
    struct arena a = { 0 };
    struct str *texts = ARENA_ARRAY(&a, struct str, m->child_count + 1);
    struct strbuf one;
    strbuf_init(&one, CANONICAL_BYTES);
    for (size_t i = 0; i < m->child_count; i++) {
        match_canonical(m->children[i], &one);
        texts[i] = taken(&a, &one);
    }
    put_sorted(texts, m->child_count, out);
    strbuf_fini(&one);
    arena_fini(&a);
}

void match_canonical(const struct match *m, struct strbuf *out)
{
    static const char *const names[] = { [MATCH_ALL] = "all(", [MATCH_ANY] = "any(", [MATCH_NOT] = "not(" };
    if (m->kind == MATCH_TEST) {
        field_text(&m->field, out);
        match_test_text(m, out);
        return;
    }
    if (m->kind != MATCH_NOT && m->child_count == 1) { /* one of one is itself */
        match_canonical(m->children[0], out);
        return;
    }
    strbuf_c(out, names[m->kind]);
    children_text(m, out);
    strbuf_char(out, ')');
}

/* --- population ---------------------------------------------------------------------------------------- */
static bool has_outcome(const struct match *m)
{
    if (m->kind == MATCH_TEST) return rule_field_is_outcome(m->field.id);
    for (size_t i = 0; i < m->child_count; i++)
        if (has_outcome(m->children[i])) return true;
    return false;
}

static const struct match *population_of(struct arena *a, const struct match *m);

/* A copy of a list with the children's populations; NULL when that is everything. */
static const struct match *population_list(struct arena *a, const struct match *m)
{
    struct match *copy = ARENA_NEW(a, struct match);
    *copy = *m;
    copy->children = ARENA_ARRAY(a, const struct match *, m->child_count);
    copy->child_count = 0;
    for (size_t i = 0; i < m->child_count; i++) {
        const struct match *child = population_of(a, m->children[i]);
        if (child) copy->children[copy->child_count++] = child;
        else if (m->kind == MATCH_ANY) return NULL; /* one branch takes everything */
    }
    return copy->child_count ? copy : NULL;
}

static const struct match *population_of(struct arena *a, const struct match *m)
{
    if (!has_outcome(m)) return m;
    if (m->kind == MATCH_TEST || m->kind == MATCH_NOT) return NULL;
    return population_list(a, m);
}

const struct match *match_population(struct arena *a, const struct match *m)
{
    const struct match *p = population_of(a, m);
    return p ? p : ARENA_NEW(a, struct match); /* all of nothing: everything */
}

/* --- questions ----------------------------------------------------------------------------------------- */
bool match_names_field(const struct match *m, enum rule_field_id id)
{
    if (m->kind == MATCH_TEST) return m->field.id == id;
    for (size_t i = 0; i < m->child_count; i++)
        if (match_names_field(m->children[i], id)) return true;
    return false;
}

static uint32_t test_states(const struct match *m)
{
    const uint32_t unknown = 1u << RUN_UNKNOWN;
    if (rule_field_shape(m->field.id) != SHAPE_STATUS) return MATCH_ALL_STATES;
    if (m->op == OP_IN) return m->states | (m->value_count ? unknown : 0);
    if (m->op == OP_NONE) return MATCH_ALL_STATES & ~m->states;
    return m->wanted ? MATCH_ALL_STATES : 0; /* OP_EXISTS: a status always does */
}

uint32_t match_states(const struct match *m)
{
    uint32_t states = m->kind == MATCH_ANY ? 0 : MATCH_ALL_STATES;
    if (m->kind == MATCH_TEST) return test_states(m);
    if (m->kind == MATCH_NOT) return MATCH_ALL_STATES;
    for (size_t i = 0; i < m->child_count; i++) {
        if (m->kind == MATCH_ANY) states |= match_states(m->children[i]);
        else states &= match_states(m->children[i]);
    }
    return states;
}
