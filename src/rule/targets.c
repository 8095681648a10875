/* Where a rule's messages go: notify and escalate. */
#include "base/glob.h"
#include "base/suggest.h"
#include "base/timefmt.h"
#include "rule/rule_internal.h"

static bool destination_find(struct compile *c, const struct yaml_node *n, struct rule_target *out)
{
    size_t count = c->rs->destination_count;
    struct str *names;
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(n->text, c->rs->destinations[i].name)) continue;
        out->destination = i;
        c->rs->destinations[i].used = true;
        return true;
    }
    names = ARENA_ARRAY(c->a, struct str, count);
    for (size_t i = 0; i < count; i++) names[i] = c->rs->destinations[i].name;
    compile_nearest(yaml_error(c->d, n, "no destination is called `" STR_FMT "`", STR_ARG(n->text)), c,
                    suggest_nearest(n->text, names, count));
    return false;
}

/* --- {to: X, PARAM: value} ----------------------------------------------------------------------------- */
static bool param_allowed(struct compile *c, const struct rule_destination *d, const struct yaml_node *n)
{
    struct str names[64];
    struct diag *wrong;
    size_t count = 0, fields = d->params ? d->params->n : 0;
    bool channel = !str_absent(d->channel_pattern);
    if (d->type.n == 0 || (channel && str_eq_c(n->key, "channel"))) return true;
    if (channel) names[count++] = STR("channel");
    for (size_t i = 0; i < fields && count < 64; i++) {
        struct str name = str_c(d->params->fields[i].name);
        if (str_eq_c(name, "channel")) continue; /* the pattern alone opens it */
        if (str_eq(n->key, name)) return true;
        names[count++] = name;
    }
    wrong = yaml_error_key(c->d, n, "destination `" STR_FMT "` does not let a rule set `" STR_FMT "`",
                           STR_ARG(d->name), STR_ARG(n->key));
    compile_nearest(wrong, c, suggest_nearest(n->key, names, count));
    return false;
}

static bool channel_fits(struct compile *c, const struct rule_destination *d, const struct yaml_node *n,
                         const struct template *value)
{
    struct str text;
    if (!str_eq_c(n->key, "channel") || str_absent(d->channel_pattern)) return true;
    if (!template_is_literal(value, &text) || glob_match(d->channel_pattern, text)) return true;
    yaml_error(c->d, n,
               "channel `" STR_FMT "` does not fit `" STR_FMT "`, which destination `" STR_FMT "` allows",
               STR_ARG(text), STR_ARG(d->channel_pattern), STR_ARG(d->name));
    return false;
}

static bool param_parse(struct compile *c, const struct yaml_node *n, struct rule_target *out)
{
    const struct rule_destination *d = &c->rs->destinations[out->destination];
    const struct template *value;
    if (!param_allowed(c, d, n)) return false;
    value = template_parse(c, n);
    if (!value || !channel_fits(c, d, n, value)) return false;
    out->params[out->param_count++] = (struct rule_param){ str_dup(c->a, n->key), value };
    return true;
}

static bool switch_misplaced(struct compile *c, const struct yaml_node *n)
{
    yaml_error_key(c->d, yaml_get(n, "switch"), "a `switch` is the whole of `notify`: it stands in no list, no escalation and no other switch")->hint =
        STR("name destinations here; a VALUE of the switch takes a list of them");
    return false;
}

static bool target_map(struct compile *c, const struct yaml_node *n, struct rule_target *out)
{
    const struct yaml_node *to = yaml_get(n, "to");
    bool ok = true;
    if (yaml_get(n, "switch")) return switch_misplaced(c, n);
    if (!to || to->kind != YAML_SCALAR) {
        yaml_error(c->d, to ? to : n, "wants {to: DESTINATION, ...}");
        return false;
    }
    if (!destination_find(c, to, out)) return false;
    out->params = ARENA_ARRAY(c->a, struct rule_param, n->count);
    for (const struct yaml_node *m = n->first; m; m = m->next) {
        if (m == to) continue;
        if (!(str_eq_c(m->key, "during") ? during_parse(c, m, &out->during) : param_parse(c, m, out))) ok = false;
    }
    return ok;
}

/* A pattern is no channel: somebody has to name one that fits. */
static bool channel_named(struct compile *c, const struct yaml_node *n, const struct rule_target *t)
{
    const struct rule_destination *d = &c->rs->destinations[t->destination];
    if (str_absent(d->channel_pattern) || !glob_is(d->channel_pattern)) return true;
    for (size_t i = 0; i < t->param_count; i++)
        if (str_eq_c(t->params[i].name, "channel")) return true;
    yaml_error(c->d, n, "destination `" STR_FMT "` has the channels `" STR_FMT "`, and none is named here", STR_ARG(d->name), STR_ARG(d->channel_pattern))
        ->hint = str_printf(c->d->arena, "write {to: " STR_FMT ", channel: ...} with one that fits", STR_ARG(d->name));
    return false;
}

static bool target_same(const struct rule_target *a, const struct rule_target *b)
{
    return a->destination == b->destination && a->param_count == 0 && b->param_count == 0 && a->during == b->during;
}

static bool target_item(struct compile *c, const struct yaml_node *n, void *ctx)
{
    struct rule_targets *to = ctx;
    struct rule_target *t = &to->v[to->n];
    if ((n->kind == YAML_MAP ? !target_map(c, n, t) : !destination_find(c, n, t)) || !channel_named(c, n, t)) {
        *t = (struct rule_target){ 0 };
        return false;
    }
    for (size_t i = 0; i < to->n; i++) {
        if (!target_same(&to->v[i], t)) continue;
        yaml_warning(c->d, n, "destination `" STR_FMT "` is named twice", STR_ARG(n->text));
        return true;
    }
    to->n++;
    return true;
}

bool targets_parse(struct compile *c, const struct yaml_node *n, struct rule_targets *out)
{
    out->n = 0;
    out->v = ARENA_ARRAY(c->a, struct rule_target, n->kind == YAML_SEQ ? n->count : 1);
    if (n->kind == YAML_MAP) return target_item(c, n, out);
    return compile_each(c, n, "a destination or a list of destinations", target_item, out);
}

/* --- escalate ------------------------------------------------------------------------------------------ */
static int by_time(const void *a, const void *b)
{
    const struct rule_step *s = a, *t = b;
    return (s->after_ms > t->after_ms) - (s->after_ms < t->after_ms);
}

static bool step_parse(struct compile *c, const struct yaml_node *n, struct rule *r)
{
    struct rule_step *step = &r->escalate[r->escalate_count];
    *step = (struct rule_step){ 0 };
    if (!duration_parse(n->key, &step->after_ms) || step->after_ms < 1) {
        yaml_error_key(c->d, n, "wants a duration above 0, as in {15m: pager}, got `" STR_FMT "`",
                       STR_ARG(n->key));
        targets_parse(c, n, &step->to); /* for its own mistakes */
        return false;
    }
    for (size_t i = 0; i < r->escalate_count; i++) {
        if (r->escalate[i].after_ms != step->after_ms) continue;
        yaml_error_key(c->d, n, "two steps after the same time; name their destinations in one list");
        return false;
    }
    if (!targets_parse(c, n, &step->to)) return false;
    r->escalate_count++;
    return true;
}

bool escalate_parse(struct compile *c, const struct yaml_node *n, struct rule *r)
{
    bool ok = true;
    if (n->kind != YAML_MAP || n->count == 0) {
        yaml_error(c->d, n, "wants steps by time from opening, like {15m: pager, 45m: [pager, mail]}");
        return false;
    }
    r->escalate = ARENA_ARRAY(c->a, struct rule_step, n->count);
    r->escalate_count = 0;
    for (const struct yaml_node *m = n->first; m; m = m->next) ok = step_parse(c, m, r) && ok;
    qsort(r->escalate, r->escalate_count, sizeof *r->escalate, by_time);
    return ok;
}
