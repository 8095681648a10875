/* One rule, and `defaults`: tables of their keys, and what the keys mean together. */
#include "rule/rule_internal.h"

static bool is_one_of(struct str key, const char *const *names)
{
    for (; *names; names++)
        if (str_eq_c(key, *names)) return true;
    return false;
}

static bool defaults_key(void *ctx, const struct yaml_node *member)
{
    static const char *const conditions[] = { "count", "rate", "absent", "lasts", "first", "flaps", "streak",
                                              NULL };
    struct compile *c = ctx;
    if (!is_one_of(member->key, conditions)) return false;
    yaml_error_key(c->d, member, "a condition belongs to a rule: `" STR_FMT "` cannot be a default",
                   STR_ARG(member->key));
    return true;
}

/* --- from the draft ------------------------------------------------------------------------------------ */
static void settings_from(struct compile *c, const struct rule_draft *draft, struct rule *r)
{
    r->at_least = draft->at_least;
    r->wait_ms = draft->wait_ms;
    r->update_ms = draft->update_ms;
    r->linger_ms = draft->linger_ms;
    r->severity = draft->severity;
    r->runbook = str_absent(draft->runbook) ? draft->runbook : str_dup(c->a, draft->runbook);
    if (draft->by) by_parse(c, draft->by, r);
    if (draft->repeat) repeat_parse(c, draft->repeat, r);
    if (draft->resolve) resolve_parse(c, draft->resolve, r);
    if (draft->notify) notify_parse(c, draft->notify, r);
    if (draft->escalate) escalate_parse(c, draft->escalate, r);
    if (draft->message) message_parse(c, draft->message, r);
    if (draft->labels) labels_parse(c, draft->labels, r);
    if (draft->during) during_parse(c, draft->during, &r->during);
    if (draft->outside) outside_parse(c, draft->outside, r);
}

static struct rule_draft draft_of(const struct rule *r)
{
    return (struct rule_draft){ .at_least = r->at_least, .wait_ms = r->wait_ms, .update_ms = r->update_ms,
                                .linger_ms = r->linger_ms, .severity = r->severity, .runbook = r->runbook,
                                .enabled = true };
}

static void runbook_check(struct compile *c, const struct yaml_node *n)
{
    const struct yaml_node *link = yaml_get(n, "runbook");
    if (!link || link->kind != YAML_SCALAR) return;
    if (str_starts(link->text, STR("https://")) || str_starts(link->text, STR("http://"))) return;
    yaml_error(c->d, link, "a runbook is a link that starts with https:// or http://");
}

bool defaults_parse(struct compile *c, const struct yaml_node *n)
{
    struct rule_draft draft = draft_of(&c->base);
    size_t errors = c->d->errors;
    fields_decode(&rule_tables[RULE_TABLE_DEFAULTS], c->a, n, c->d, &draft, defaults_key, c);
    if (n->kind != YAML_MAP) return false;
    runbook_check(c, n);
    if (draft.when) c->always = match_parse(c, draft.when);
    settings_from(c, &draft, &c->base);
    if (draft.limit && limit_parse(c, draft.limit, &c->rs->limit)) c->base.limit = c->rs->limit;
    c->base_enabled = draft.enabled;
    if (draft.unless) unless_parse(c, draft.unless, &c->base);
    c->unless_base = c->unless.n;
    if (draft.confirm && yaml_want_bool(draft.confirm, c->d, &c->base.confirm)) c->base_confirm = c->base.confirm;
    return c->d->errors == errors;
}

/* --- a rule -------------------------------------------------------------------------------------------- */
static void clears_check(struct compile *c, const struct yaml_node *n, const struct rule *r)
{
    if (r->condition.kind == RULE_COUNT || r->condition.kind == RULE_ABSENT || r->condition.kind == RULE_LASTS || rule_on_population(&r->condition)) return;
    for (size_t i = 0; i < r->resolve_count; i++)
        if (r->resolve[i].kind == RULE_CLEARS)
            yaml_warning(c->d, n, "`clears` only makes sense with a condition that can stop to hold, as `count` or `streak`: here it never does");
}

/* What is part of the key has one value in an incident. */
static bool in_key(const struct rule *r, const struct rule_field *f)
{
    if (f->id == RULE_ENV || f->id == RULE_PROJECT) return true;
    return rule_by_has(r, f);
}

/* One run has one incident: no second run will ever join it. */
static void opens_check(struct compile *c, const struct yaml_node *n, const struct rule *r)
{
    const struct yaml_node *count = yaml_get(n, "count"), *at_least = yaml_get(n, "at_least");
    const struct rule_field *of = r->condition.of;
    if (of && r->condition.n > 1 && in_key(r, of))
        yaml_warning(c->d, count, "this never rings: `" STR_FMT "` is part of the key, so an incident has one value of it", STR_ARG(of->text))->hint = STR("leave it out of `by`, or count another field");
    if (!r->by_run) return;
    if (rule_on_population(&r->condition) && (r->condition.n > 1 || r->condition.min > 1))
        yaml_warning(c->d, n, "this never rings: with `run` in `by` an incident has one run, and a run finishes once")->hint = STR("leave `run` out of `by`");
    if (r->condition.kind == RULE_COUNT && r->condition.of_runs && r->condition.n > 1)
        yaml_warning(c->d, count, "this never rings: with `run` in `by` an incident has one run")->hint = STR("count hits (`5 in 5m`), or leave `run` out of `by`");
    if (r->condition.kind == RULE_FIRST)
        yaml_warning(c->d, n, "with `run` in `by` every hit is the first of its key: `first` does nothing here")->hint = STR("leave `run` out of `by`");
    if (r->at_least > 1)
        yaml_warning(c->d, at_least ? at_least : n, "this never rings: with `run` in `by` an incident has one run")->hint = STR("leave out `at_least`, or `run` in `by`");
}

static void needed_check(struct compile *c, const struct yaml_node *n, const struct rule_draft *draft)
{
    if (!draft->when && !yaml_get(n, "when"))
        yaml_error_key(c->d, n, "rule `" STR_FMT "` has no `when`", STR_ARG(n->key));
    if (!draft->notify && c->base.notify.n == 0 && !c->base.route && !yaml_get(n, "notify"))
        yaml_error_key(c->d, n, "rule `" STR_FMT "` has no `notify`", STR_ARG(n->key));
}

static const struct match *kind_run(struct compile *c)
{
    struct match *m = match_new(c, MATCH_TEST, NULL);
    m->implicit = true;
    m->op = OP_IN;
    m->field = (struct rule_field){ .id = RULE_KIND, .text = STR("kind") };
    m->values = ARENA_NEW(c->a, struct match_value);
    m->values->text = STR("run");
    m->value_count = 1;
    return m;
}

static const struct match *when_of(struct compile *c, const struct match *own)
{
    const struct match *m = c->always ? match_both(c, own, c->always) : own;
    return match_names_field(m, RULE_KIND) ? m : match_both(c, m, kind_run(c));
}

/* What is a state of things, and not a number of hits, is over when it no longer is. */
static void resolve_default(struct compile *c, struct rule *r)
{
    bool lasts = r->condition.kind == RULE_LASTS;
    if (r->condition.kind != RULE_RATE && r->condition.kind != RULE_ABSENT && !lasts) return;
    r->resolve = ARENA_ARRAY(c->a, struct rule_resolve, 2);
    r->resolve[0] = (struct rule_resolve){ .kind = RULE_CLEARS };
    r->resolve[1] = (struct rule_resolve){ .kind = RULE_QUIET, .quiet_ms = 24 * 3600 * 1000 };
    r->resolve_count = lasts ? 2 : 1;
}

/* What is no report of an event, but of time gone by, may be out of date. */
static void confirm_parse(struct compile *c, const struct rule_draft *draft, struct rule *r)
{
    bool silent = r->condition.kind == RULE_LASTS || r->condition.kind == RULE_ABSENT;
    r->confirm = c->base_confirm < 0 ? silent : c->base_confirm;
    if (draft->confirm) yaml_want_bool(draft->confirm, c->d, &r->confirm);
}

void rule_parse(struct compile *c, const struct yaml_node *n)
{
    struct rule *r = ARENA_NEW(c->a, struct rule);
    struct rule_draft draft = draft_of(&c->base);
    const struct match *own = NULL;
    size_t errors = c->d->errors;
    draft.enabled = c->base_enabled;
    (void)compile_name(c, &c->names, n, "rule");
    fields_decode(&rule_tables[RULE_TABLE_RULE], c->a, n, c->d, &draft, NULL, NULL);
    if (n->kind != YAML_MAP) return;
    *r = c->base;
    r->name = str_dup(c->a, n->key);
    r->file = c->file;
    r->line = n->key_line;
    r->col = n->key_col;
    needed_check(c, n, &draft);
    runbook_check(c, n);
    if (draft.when) own = match_parse(c, draft.when);
    condition_parse(c, &draft, &r->condition);
    resolve_default(c, r);
    settings_from(c, &draft, r);
    confirm_parse(c, &draft, r);
    if (draft.unless) unless_parse(c, draft.unless, r);
    else unless_inherit(c, r);
    r->own_limit = draft.limit && limit_parse(c, draft.limit, &r->limit);
    if (draft.resolve) clears_check(c, draft.resolve, r);
    if (!own || c->d->errors > errors || !draft.enabled) return;
    r->when = when_of(c, own);
    condition_check(c, n, r);
    if (r->route) route_check(c, draft.notify ? draft.notify : n, r);
    rule_finish(c, r);
    opens_check(c, n, r);
    if (draft.resolve) ends_check(c, draft.resolve->file, r);
    never_hits_check(c, own, r);
    hours_check(c, draft.outside, r);
    *vec_push(&c->rules) = r;
}
