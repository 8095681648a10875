/* A match by itself, as a silence has one: {task: sync-*, env: prod}, as YAML or as JSON. */
#include "base/regex.h"
#include "rule/rule_internal.h"

bool rule_when_compile(struct arena *a, struct str text, struct rule_when *out, struct diags *d)
{
    struct rule_world world = { 0 };
    struct compile c = { .a = a, .d = d, .world = &world, .rs = ARENA_NEW(a, struct ruleset), .file = "when" };
    size_t errors = d->errors;
    const struct yaml_node *n = yaml_read(a, "when", str_dup(a, text), d);
    *out = (struct rule_when){ 0 };
    if (n && d->errors == errors) out->match = match_parse(&c, n);
    out->patterns = c.rs->patterns;
    if (n && out->match && n->kind == YAML_MAP && n->count == 0) yaml_error(d, n, "this matches every run: name a field, as in {task: sync}");
    if (out->match && d->errors == errors) return true;
    rule_when_fini(out);
    return false;
}

void rule_when_fini(struct rule_when *w)
{
    for (struct rule_pattern *p = w->patterns; p; p = p->next) regex_free(&p->re);
    *w = (struct rule_when){ 0 };
}
