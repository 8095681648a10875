/* The values of one test, by what its field wants: states, texts, globs, patterns, numbers, durations. */
#include <float.h>

#include "base/glob.h"
#include "base/suggest.h"
#include "base/utf8.h"
#include "rule/rule_internal.h"

static struct match_value *value_add(struct compile *c, struct match *m, const struct yaml_node *n)
{
    struct match_value *v = &m->values[m->value_count++];
    *v = (struct match_value){ .text = str_dup(c->a, n->text), .line = n->line, .col = n->col };
    return v;
}

static bool scalar_ok(struct compile *c, const struct yaml_node *n)
{
    if (n->kind != YAML_SCALAR) {
        yaml_error(c->d, n, "wants one value");
        return false;
    }
    if (!yaml_is_null(n)) return true;
    yaml_error(c->d, n, "no value; to match a field that is absent, use {exists: false}");
    return false;
}

/* --- what was meant otherwise ----------------------------------------------------------------------------- */
/* `>= 3` as the map that compares, "{gte: 3}"; STR_NONE when the text is no comparison. */
static struct str comparison(struct compile *c, struct str text)
{
    bool or_equal = text.n > 1 && text.p[1] == '=';
    struct str of = str_trim(str_sub(text, or_equal ? 2 : 1, text.n));
    if (text.n == 0 || (text.p[0] != '>' && text.p[0] != '<') || of.n == 0 || of.p[0] < '0' || of.p[0] > '9') return STR_NONE;
    return str_printf(c->d->arena, "{%s%s: " STR_FMT "}", text.p[0] == '>' ? "gt" : "lt", or_equal ? "e" : "", STR_ARG(of));
}

static bool is_list(const struct yaml_node *n)
{
    return n->plain && str_find_str(n->text, STR(", ")) < n->text.n;
}

static struct str as_list(struct compile *c, const struct yaml_node *n)
{
    return str_printf(c->d->arena, "several are a list: [" STR_FMT "]", STR_ARG(n->text));
}

static void text_meant(struct compile *c, const struct yaml_node *n, enum field_shape shape)
{
    struct str map = shape == SHAPE_JSON ? comparison(c, n->text) : STR_NONE;
    if (is_list(n))
        yaml_warning(c->d, n, "`" STR_FMT "` is one text with a comma in it", STR_ARG(n->text))->hint =
            str_printf(c->d->arena, STR_FMT "; one text is put in quotes", STR_ARG(as_list(c, n)));
    if (!str_absent(map))
        yaml_warning(c->d, n, "`" STR_FMT "` is a text and compares nothing", STR_ARG(n->text))->hint =
            str_printf(c->d->arena, "write " STR_FMT, STR_ARG(map));
}

/* --- states -------------------------------------------------------------------------------------------- */
/* Adds every known state of which the name or some spelling fits; does any? */
static bool add_fitting(struct match *m, const struct match_value *v)
{
    uint32_t before = m->states, added = 0;
    for (int s = 1; s < RUN_STATES; s++)
        if (match_value_is(v, str_c(run_state_name((enum run_state)s)))) added |= 1u << s;
    for (const char *const *sp = run_state_spellings(); *sp; sp++)
        if (match_value_is(v, str_c(*sp))) added |= 1u << run_state_parse(str_c(*sp));
    m->states = before | (added & ~(1u << RUN_UNKNOWN));
    return added != 0;
}

static void add_class(struct match *m, unsigned bit)
{
    for (int s = 0; s < RUN_STATES; s++)
        if (run_state_class((enum run_state)s) & bit) m->states |= 1u << s;
    if (bit == RUN_CLASS_ACTIVE) m->states |= 1u << RUN_UNKNOWN; /* treated as active */
}

static struct str nearest_state(struct str word, bool with_classes)
{
    static const char *const classes[] = { "failed", "success", "finished", "active", "retrying", NULL };
    struct str names[96];
    size_t n = 0;
    for (const char *const *name = classes; with_classes && *name; name++) names[n++] = str_c(*name);
    for (const char *const *sp = run_state_spellings(); *sp && n < 96; sp++) names[n++] = str_c(*sp);
    return suggest_nearest(word, names, n);
}

static struct str upper(struct compile *c, struct str s)
{
    char *p = arena_memdup(c->a, s.p, s.n);
    for (size_t i = 0; i < s.n; i++)
        if (p[i] >= 'a' && p[i] <= 'z') p[i] = (char)(p[i] - 'a' + 'A');
    return (struct str){ p, s.n };
}

static bool state_wrong(struct compile *c, const struct yaml_node *n)
{
    struct str hint = nearest_state(n->text, true), capitals = upper(c, n->text);
    struct diag *d = yaml_error(c->d, n, "no class of states is called `" STR_FMT "`; states are in capitals",
                                STR_ARG(n->text));
    if (is_list(n)) d->hint = as_list(c, n);
    else compile_nearest(d, c, run_state_parse(capitals) != RUN_UNKNOWN ? capitals : hint);
    return false;
}

static void state_unknown(struct compile *c, const struct yaml_node *n)
{
    struct diag *d = yaml_warning(
        c->d, n, "no known state is called `" STR_FMT "`; it is matched by its exact text", STR_ARG(n->text));
    if (is_list(n)) d->hint = as_list(c, n);
    else compile_nearest(d, c, nearest_state(n->text, false));
}

static bool state_value(struct compile *c, const struct yaml_node *n, struct match *m, bool globs)
{
    enum run_state state;
    unsigned bit;
    char first = n->text.n ? n->text.p[0] : 'a';
    if (globs && glob_is(n->text)) {
        struct match_value *v = value_add(c, m, n);
        v->glob = true;
        if (!add_fitting(m, v)) yaml_warning(c->d, n, "no known state fits `" STR_FMT "`", STR_ARG(n->text));
        return true;
    }
    if (run_class_parse(n->text, &bit)) {
        add_class(m, bit);
        return true;
    }
    if (first >= 'a' && first <= 'z') return state_wrong(c, n);
    state = run_state_parse(n->text);
    if (state != RUN_UNKNOWN) {
        m->states |= 1u << state;
        return true;
    }
    state_unknown(c, n);
    value_add(c, m, n);
    return true;
}

/* --- the other shapes ---------------------------------------------------------------------------------- */
static bool kind_ok(struct compile *c, const struct yaml_node *n)
{
    static const struct str kinds[] = { { "run", 3 }, { "deployment", 10 }, { "error", 5 } };
    struct diag *d;
    for (size_t i = 0; i < 3; i++)
        if (str_eq(n->text, kinds[i])) return true;
    d = yaml_error(c->d, n, "`kind` is run, deployment or error, not `" STR_FMT "`", STR_ARG(n->text));
    compile_nearest(d, c, suggest_nearest(n->text, kinds, 3));
    return false;
}

static bool text_value(struct compile *c, const struct yaml_node *n, struct match *m, bool globs)
{
    struct match_value *v;
    bool glob = globs && glob_is(n->text);
    if (m->field.id == RULE_KIND && !glob && !kind_ok(c, n)) return false;
    v = value_add(c, m, n);
    v->glob = glob;
    return true;
}

/* 0123 and quoted numbers are texts alone; a plain 5 is also any number that equals it. */
static bool json_value(struct compile *c, const struct yaml_node *n, struct match *m, bool globs)
{
    struct match_value *v = value_add(c, m, n);
    bool zeros = n->text.n > 1 && n->text.p[0] == '0' && n->text.p[1] != '.';
    v->glob = globs && glob_is(n->text);
    v->numeric = n->plain && !zeros && !v->glob && str_to_f64(n->text, &v->number);
    return true;
}

static bool number_value(struct compile *c, const struct yaml_node *n, struct match *m)
{
    double number;
    int64_t whole;
    struct str map = comparison(c, n->text);
    if (!str_absent(map)) {
        yaml_error(c->d, n, "a comparison is a map, got `" STR_FMT "`", STR_ARG(n->text))->hint =
            str_printf(c->d->arena, "write " STR_FMT, STR_ARG(map));
        return false;
    }
    if (m->field.id == RULE_ATTEMPT) {
        if (!yaml_want_i64(n, c->d, 0, INT32_MAX, &whole)) return false;
        number = (double)whole;
    } else if (rule_field_shape(m->field.id) == SHAPE_DURATION) {
        if (!yaml_want_duration(n, c->d, &whole)) return false;
        number = (double)whole;
    } else if (!yaml_want_f64(n, c->d, -DBL_MAX, DBL_MAX, &number)) {
        return false;
    }
    m->values[m->value_count++] = (struct match_value){
        .text = str_printf(c->a, "%.17g", number), .number = number, .numeric = true };
    return true;
}

struct values { struct match *m; bool globs; };

static bool value_parse(struct compile *c, const struct yaml_node *n, void *ctx)
{
    struct values *v = ctx;
    enum field_shape shape = rule_field_shape(v->m->field.id);
    if (!scalar_ok(c, n)) return false;
    if (shape == SHAPE_TEXT || shape == SHAPE_LIST || shape == SHAPE_JSON) text_meant(c, n, shape);
    switch (shape) {
    case SHAPE_STATUS: return state_value(c, n, v->m, v->globs);
    case SHAPE_TEXT:
    case SHAPE_LIST: return text_value(c, n, v->m, v->globs);
    case SHAPE_JSON: return json_value(c, n, v->m, v->globs);
    case SHAPE_BOOL: return yaml_want_bool(n, c->d, &v->m->wanted);
    case SHAPE_NUMBER:
    case SHAPE_DURATION:
    default: return number_value(c, n, v->m);
    }
}

bool match_values_parse(struct compile *c, struct match *m, const struct yaml_node *n, bool globs)
{
    struct values v = { m, globs };
    if (rule_field_shape(m->field.id) == SHAPE_BOOL && n->kind == YAML_SEQ && n->count > 1) {
        yaml_error(c->d, n, "true or false, not a list of both");
        return false;
    }
    m->values = ARENA_ARRAY(c->a, struct match_value, n->kind == YAML_SEQ ? n->count : 1);
    if (!compile_each(c, n, "a value or a list of values", value_parse, &v)) return false;
    if (rule_field_shape(m->field.id) == SHAPE_BOOL && m->op == OP_NONE) { /* not true is false */
        m->op = OP_IN;
        m->wanted = !m->wanted;
    }
    return true;
}

/* --- patterns ------------------------------------------------------------------------------------------ */
static bool regex_value(struct compile *c, const struct yaml_node *n, struct match_value *v)
{
    struct err err = { 0 };
    struct regex *re = regex_new(v->text, &err);
    struct rule_pattern *owned;
    if (!re) {
        struct diag *d = yaml_error(c->d, n, "%s", err.msg);
        size_t bytes = err.col > 1 ? err.col - 1 : 0;
        if (str_find(n->text, '\n', 0) == n->text.n)
            d->col += (uint32_t)utf8_chars(str_sub(n->text, 0, bytes)) + (n->plain ? 0 : 1);
        return false;
    }
    owned = ARENA_NEW(c->a, struct rule_pattern);
    *owned = (struct rule_pattern){ re, c->rs->patterns };
    c->rs->patterns = owned;
    v->re = re;
    return true;
}

static bool pattern_parse(struct compile *c, const struct yaml_node *n, void *ctx)
{
    struct values *v = ctx; /* globs: globs, else regular expressions */
    struct match_value *value;
    if (!scalar_ok(c, n)) return false;
    value = value_add(c, v->m, n);
    value->glob = v->globs;
    if (!v->globs && !regex_value(c, n, value)) return false;
    if (rule_field_shape(v->m->field.id) == SHAPE_STATUS && !add_fitting(v->m, value))
        yaml_warning(c->d, n, "no known state fits `" STR_FMT "`", STR_ARG(n->text));
    return true;
}

bool match_patterns_parse(struct compile *c, struct match *m, const struct yaml_node *n, bool regex)
{
    struct values v = { m, !regex };
    m->values = ARENA_ARRAY(c->a, struct match_value, n->kind == YAML_SEQ ? n->count : 1);
    return compile_each(c, n, regex ? "a pattern or a list of patterns" : "a glob or a list of globs",
                        pattern_parse, &v);
}
