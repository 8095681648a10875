/* Names that rules write out: tasks, tags, queues and environments, each where it stands. */
#include "rule/rule_internal.h"

struct names { struct arena *a; struct rule_named *v; size_t n, cap; const struct rule *rule; };

static bool is_name(enum rule_field_id id)
{
    return id == RULE_TASK || id == RULE_TAGS || id == RULE_QUEUE || id == RULE_ENV;
}

/* What `defaults` says stands in every rule, and is one name all the same. */
static bool is_there(const struct names *x, const struct rule_named *one)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->v[i].line == one->line && x->v[i].col == one->col && str_eq(x->v[i].text, one->text) && str_eq_c(str_c(x->v[i].file), one->file)) return true;
    return false;
}

static void add(struct names *x, const struct match *m, const struct match_value *v)
{
    struct rule_named one = { .field = m->field.id, .text = v->text, .glob = v->glob, .rule = x->rule, .file = m->file,
                              .line = v->line, .col = v->col };
    if (v->re || is_there(x, &one)) return;
    if (x->n == x->cap) {
        struct rule_named *wider = ARENA_ARRAY(x->a, struct rule_named, x->cap = 2 * x->cap + 16);
        if (x->n) memcpy(wider, x->v, x->n * sizeof *wider);
        x->v = wider;
    }
    x->v[x->n++] = one;
}

static void of_match(struct names *x, const struct match *m)
{
    if (m->kind == MATCH_TEST && is_name(m->field.id))
        for (size_t i = 0; i < m->value_count; i++) add(x, m, &m->values[i]);
    for (size_t i = 0; i < m->child_count; i++) of_match(x, m->children[i]);
}

struct rule_named *ruleset_names(const struct ruleset *rs, struct arena *a, size_t *n)
{
    struct names x = { .a = a };
    for (size_t i = 0; i < rs->rule_count; i++) {
        x.rule = rs->rules[i];
        of_match(&x, x.rule->when);
        if (x.rule->ends) of_match(&x, x.rule->ends);
        for (size_t k = 0; x.rule->route && k < x.rule->route->case_count; k++) of_match(&x, x.rule->route->cases[k].value);
    }
    x.rule = NULL;
    for (size_t i = 0; i < rs->mute_count; i++) of_match(&x, rs->mutes[i].when);
    *n = x.n;
    return x.v;
}
