/* Does a subject meet a condition tree? No allocation but for error.fingerprint, made once per subject. */
#include "base/glob.h"
#include "rule/rule_internal.h"

bool match_value_is(const struct match_value *v, struct str text)
{
    if (v->re) return regex_match(v->re, text) == REGEX_YES;
    return v->glob ? glob_match(v->text, text) : str_eq(v->text, text);
}

static bool any_is(const struct match *m, struct str text)
{
    for (size_t i = 0; i < m->value_count; i++)
        if (match_value_is(&m->values[i], text)) return true;
    return false;
}

/* "Failed in some way" is a hit of what takes every failure; single states are not known of it. */
bool match_takes_failures(const struct match *m)
{
    uint32_t failures = 0;
    for (uint32_t s = 0; s < RUN_STATES; s++)
        if (run_state_class((enum run_state)s) & RUN_CLASS_FAILED) failures |= 1u << s;
    return (m->states & failures) == failures;
}

bool match_states_hit(const struct match *m, const struct rule_subject *s)
{
    enum run_state state = rule_subject_state(s);
    if (!rule_subject_exact(s)) return match_takes_failures(m);
    if (m->states >> state & 1) return true;
    return state == RUN_UNKNOWN && any_is(m, s->run->spelling);
}

static bool scalar_is(const struct match_value *v, struct json e)
{
    double number;
    struct str text = json_scalar(e);
    if (str_absent(text)) return false;
    if (match_value_is(v, text)) return true;
    return v->numeric && json_f64(e, &number) && number == v->number;
}

static bool json_has(const struct match_value *v, struct json value)
{
    if (json_kind(value) != JSON_ARRAY) return scalar_is(v, value);
    for (struct json e = json_first(value); json_kind(e) != JSON_ABSENT; e = json_next(e))
        if (scalar_is(v, e)) return true;
    return false;
}

static bool json_has_any(const struct match *m, struct json value)
{
    for (size_t i = 0; i < m->value_count; i++)
        if (json_has(&m->values[i], value)) return true;
    return false;
}

static bool tags_have(const struct match_value *v, const struct run *r)
{
    for (size_t i = 0; i < r->tag_count; i++)
        if (match_value_is(v, r->tags[i])) return true;
    return false;
}

static bool tags_have_any(const struct match *m, const struct run *r)
{
    for (size_t i = 0; i < m->value_count; i++)
        if (tags_have(&m->values[i], r)) return true;
    return false;
}

static bool number_in(const struct match *m, const struct rule_subject *s)
{
    double v;
    if (!rule_subject_number(m->field.id, s, &v)) return false;
    for (size_t i = 0; i < m->value_count; i++)
        if (v == m->values[i].number) return true;
    return false;
}

static bool eval_in(const struct match *m, struct rule_subject *s)
{
    struct str text;
    switch (rule_field_shape(m->field.id)) {
    case SHAPE_STATUS: return match_states_hit(m, s);
    case SHAPE_TEXT:
        text = rule_subject_text(m->field.id, s);
        return text.n > 0 && any_is(m, text);
    case SHAPE_LIST: return tags_have_any(m, s->run);
    case SHAPE_BOOL: return s->run->test == m->wanted;
    case SHAPE_JSON: return json_has_any(m, rule_subject_json(&m->field, s));
    case SHAPE_NUMBER:
    case SHAPE_DURATION:
    default: return number_in(m, s);
    }
}

static bool eval_all(const struct match *m, struct rule_subject *s)
{
    bool list = rule_field_shape(m->field.id) == SHAPE_LIST;
    struct json value = { 0 };
    if (!list) value = rule_subject_json(&m->field, s);
    for (size_t i = 0; i < m->value_count; i++)
        if (!(list ? tags_have(&m->values[i], s->run) : json_has(&m->values[i], value))) return false;
    return true;
}

/* A number, or text that is one. */
static bool json_number(struct json v, double *out)
{
    if (json_kind(v) == JSON_STRING) return str_to_f64(json_str(v), out);
    return json_kind(v) == JSON_NUMBER && json_f64(v, out);
}

static bool within(const struct match *m, double v)
{
    switch ((int)m->op) { /* the four comparisons only */
    case OP_GT: return v > m->bound;
    case OP_GTE: return v >= m->bound;
    case OP_LT: return v < m->bound;
    default: return v <= m->bound;
    }
}

static bool eval_bound(const struct match *m, struct rule_subject *s)
{
    double v;
    bool known;
    if (rule_field_shape(m->field.id) == SHAPE_JSON) known = json_number(rule_subject_json(&m->field, s), &v);
    else known = rule_subject_number(m->field.id, s, &v);
    return known && within(m, v);
}

static bool exists(const struct match *m, struct rule_subject *s)
{
    double v;
    switch (rule_field_shape(m->field.id)) {
    case SHAPE_TEXT: return rule_subject_text(m->field.id, s).n > 0;
    case SHAPE_LIST: return s->run->tag_count > 0;
    case SHAPE_JSON: return json_present(rule_subject_json(&m->field, s));
    case SHAPE_NUMBER:
    case SHAPE_DURATION: return rule_subject_number(m->field.id, s, &v);
    case SHAPE_STATUS:
    case SHAPE_BOOL:
    default: return true;
    }
}

static bool eval_test(const struct match *m, struct rule_subject *s)
{
    switch (m->op) {
    case OP_IN: return eval_in(m, s);
    case OP_NONE: return !eval_in(m, s);
    case OP_ALL: return eval_all(m, s);
    case OP_EXISTS: return exists(m, s) == m->wanted;
    case OP_GT:
    case OP_GTE:
    case OP_LT:
    case OP_LTE:
    default: return eval_bound(m, s);
    }
}

static bool eval_list(const struct match *m, struct rule_subject *s, bool stop_at)
{
    for (size_t i = 0; i < m->child_count; i++)
        if (match_eval(m->children[i], s) == stop_at) return stop_at;
    return !stop_at;
}

bool match_eval(const struct match *m, struct rule_subject *s)
{
    switch (m->kind) {
    case MATCH_ALL: return eval_list(m, s, false);
    case MATCH_ANY: return eval_list(m, s, true);
    case MATCH_NOT: return !match_eval(m->children[0], s);
    case MATCH_TEST:
    default: return eval_test(m, s);
    }
}

bool rule_matches(const struct rule *r, struct rule_subject *s)
{
    return match_eval(r->when, s);
}

bool rule_in_population(const struct rule *r, struct rule_subject *s)
{
    return match_eval(r->population, s);
}

bool rule_match_holds(const struct match *m, struct rule_subject *s)
{
    return match_eval(m, s);
}
