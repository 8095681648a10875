/* `notify: {switch: FIELD, VALUE: ..., else: ...}`: one field decides, when an incident opens, whom it tells. */
#include "rule/rule_internal.h"

/* --- reading ------------------------------------------------------------------------------------------- */
static bool is_value(const struct yaml_node *member)
{
    return !str_eq_c(member->key, "switch") && !str_eq_c(member->key, "else");
}

/* The VALUE as a scalar of its own, so that it is read as a test of the field would be: a glob, a state, a number. */
static struct yaml_node value_node(const struct yaml_node *member)
{
    return (struct yaml_node){ .kind = YAML_SCALAR, .plain = member->key_plain, .line = member->key_line, .col = member->key_col,
                               .file = member->file, .text = member->key };
}

static const struct match *value_parse(struct compile *c, const struct yaml_node *member, const struct rule_field *f)
{
    struct yaml_node n = value_node(member);
    struct match *m = match_new(c, MATCH_TEST, member);
    if (n.plain && str_find_str(n.text, STR(", ")) < n.text.n) {
        yaml_warning(c->d, &n, "`" STR_FMT "` is one value with a comma in it", STR_ARG(n.text))->hint = STR("give each value a line of its own; one text is put in quotes");
        n.plain = false;
    }
    m->field = *f;
    m->op = OP_IN;
    return match_values_parse(c, m, &n, true) ? m : NULL;
}

static void warn_if_never(struct compile *c, const struct yaml_node *member, const struct rule_switch *s, const struct match *value)
{
    struct yaml_node at = value_node(member);
    for (size_t i = 0; i < s->case_count; i++) {
        if (!match_test_within(value, s->cases[i].value)) continue;
        yaml_warning(c->d, &at, "this never tells anybody: a VALUE above takes all of `" STR_FMT "`", STR_ARG(member->key))->hint =
            STR("the first VALUE that fits wins: put it above");
        return;
    }
}

static bool case_parse(struct compile *c, const struct yaml_node *member, struct rule_switch *s)
{
    const struct match *value = value_parse(c, member, &s->field);
    struct rule_case *out = &s->cases[s->case_count];
    if (!targets_parse(c, member, &out->to) || !value) return false;
    warn_if_never(c, member, s, value);
    out->value = value;
    s->case_count++;
    return true;
}

static bool switch_parse(struct compile *c, const struct yaml_node *n, struct rule *r)
{
    struct rule_switch *s = ARENA_NEW(c->a, struct rule_switch);
    const struct yaml_node *field = yaml_get(n, "switch"), *otherwise = yaml_get(n, "else");
    bool ok = field->kind == YAML_SCALAR;
    r->route = s;
    if (!ok) yaml_error(c->d, field, "wants a field's name, as in {switch: env, prod: pager, else: slack}");
    if (!ok || !compile_field(c, field, field->text, false, &s->field)) return false;
    if (n->count == 1u + (otherwise != NULL)) {
        yaml_error(c->d, n, "a `switch` wants a VALUE or more and whom each tells, as in {switch: env, prod: pager, else: slack}");
        ok = false;
    }
    s->cases = ARENA_ARRAY(c->a, struct rule_case, n->count);
    for (const struct yaml_node *m = n->first; m; m = m->next)
        if (is_value(m)) ok = case_parse(c, m, s) && ok;
    return (!otherwise || targets_parse(c, otherwise, &s->otherwise)) && ok;
}

bool notify_parse(struct compile *c, const struct yaml_node *n, struct rule *r)
{
    r->route = NULL;
    r->notify = (struct rule_targets){ 0 };
    if (n->kind == YAML_MAP && yaml_get(n, "switch")) return switch_parse(c, n, r);
    return targets_parse(c, n, &r->notify);
}

/* --- what it means together with the rest of the rule ---------------------------------------------------- */
/* The same for the whole incident, or, of the task, known when it opens. */
static bool field_fits(const struct rule *r, const struct rule_field *f)
{
    return f->id == RULE_TASK || f->id == RULE_ENV || f->id == RULE_PROJECT || rule_by_has(r, f);
}

static struct str by_with(struct compile *c, const struct rule *r, const struct rule_field *f)
{
    struct str list = STR("");
    for (size_t i = 0; i < r->by_count; i++) list = str_printf(c->d->arena, STR_FMT STR_FMT ", ", STR_ARG(list), STR_ARG(r->by[i].text));
    return str_printf(c->d->arena, "`by: [" STR_FMT STR_FMT "]`", STR_ARG(list), STR_ARG(f->text));
}

/* Every value of all cases, as one test. */
static struct match all_cases(struct compile *c, const struct rule_switch *s)
{
    struct match all = { .kind = MATCH_TEST, .op = OP_IN, .field = s->field };
    size_t n = 0;
    for (size_t i = 0; i < s->case_count; i++) n += s->cases[i].value->value_count;
    all.values = ARENA_ARRAY(c->a, struct match_value, n + 1);
    for (size_t i = 0; i < s->case_count; i++) {
        all.states |= s->cases[i].value->states;
        for (size_t k = 0; k < s->cases[i].value->value_count; k++) all.values[all.value_count++] = s->cases[i].value->values[k];
    }
    return all;
}

static bool takes_any(const struct match *all)
{
    bool always = all->field.id == RULE_TASK || all->field.id == RULE_ENV || all->field.id == RULE_PROJECT || all->field.id == RULE_RUN;
    for (size_t i = 0; i < all->value_count; i++)
        if (always && all->values[i].glob && str_eq_c(all->values[i].text, "*")) return true;
    return rule_field_shape(all->field.id) == SHAPE_BOOL; /* there are but two */
}

/* Does each value that `when` lets through fit a case? */
static bool is_complete(struct compile *c, const struct rule *r)
{
    const struct match all = all_cases(c, r->route), *when = r->when;
    if (r->route->otherwise.n > 0 || takes_any(&all) || match_test_within(when, &all)) return true;
    for (size_t i = 0; when->kind == MATCH_ALL && i < when->child_count; i++)
        if (match_test_within(when->children[i], &all)) return true;
    return false;
}

void route_check(struct compile *c, const struct yaml_node *at, const struct rule *r)
{
    const struct yaml_node *own = at->kind == YAML_MAP ? yaml_get(at, "switch") : NULL;
    const struct rule_field *f = &r->route->field;
    uint32_t line = own ? own->line : at->key_line, col = own ? own->col : at->key_col;
    if (!field_fits(r, f)) {
        diag_add(c->d, DIAG_ERROR, at->file, line, col, "`switch` wants a field that is the same for a whole incident, and `" STR_FMT "` is not in `by`", STR_ARG(f->text))->hint =
            str_printf(c->d->arena, "write " STR_FMT ", or switch by task, env or project", STR_ARG(by_with(c, r, f)));
    } else if (!is_complete(c, r)) {
        diag_add(c->d, DIAG_WARNING, at->file, line, col, "an incident of any other `" STR_FMT "`, or of none, is recorded and tells nobody", STR_ARG(f->text))->hint =
            STR("add `else: DESTINATION`, or leave the others out in `when`");
    }
}

/* --- deciding -------------------------------------------------------------------------------------------- */
static bool fits_text(const struct match *m, struct str text)
{
    double number;
    for (size_t i = 0; i < m->value_count; i++) {
        const struct match_value *v = &m->values[i];
        if (match_value_is(v, text) || (v->numeric && str_to_f64(text, &number) && number == v->number)) return true;
    }
    return false;
}

static bool in_words(enum field_shape shape)
{
    return shape == SHAPE_TEXT || shape == SHAPE_LIST || shape == SHAPE_JSON;
}

/* The incident's own value first: of a list in `by` it has one element. Where no VALUE names that, the run's whole list is asked. */
const struct rule_targets *rule_routed(const struct rule *r, struct rule_subject *s, struct str key)
{
    const struct rule_switch *sw = r->route;
    struct str own = str_absent(key) ? STR_NONE : rule_key_value(r, s->arena, key, &sw->field);
    if (str_absent(key) && sw->otherwise.n > 0) return &sw->otherwise;
    if (!str_absent(own) && !str_eq_c(own, "(none)") && in_words(rule_field_shape(sw->field.id)))
        for (size_t i = 0; i < sw->case_count; i++)
            if (fits_text(sw->cases[i].value, own)) return &sw->cases[i].to;
    for (size_t i = 0; i < sw->case_count; i++)
        if (match_eval(sw->cases[i].value, s)) return &sw->cases[i].to;
    return &sw->otherwise;
}
