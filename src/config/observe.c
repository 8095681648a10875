/* What the sources can see, and which rules could therefore never hit (rule-language.md section 1, point 6). */
#include "base/strbuf.h"
#include "config/config_internal.h"

enum {
    ALL_STATES = (1 << RUN_STATES) - 1,
    ALL_FIELDS = (RUN_HAS_STATE << 1) - 1,
    ALERTED = 1 << RUN_FAILED | 1 << RUN_CRASHED | 1 << RUN_SYSTEM_FAILURE | 1 << RUN_TIMED_OUT,
    /* trigger-dev-api.md 6.4: no payload, output, metadata or attempt count, and nothing of queue or relations */
    ALERT_FIELDS = RUN_HAS_STATE | RUN_HAS_TASK | RUN_HAS_TAGS | RUN_HAS_VERSION | RUN_HAS_MACHINE | RUN_HAS_TEST | RUN_HAS_CREATED |
                   RUN_HAS_UPDATED | RUN_HAS_STARTED | RUN_HAS_FINISHED | RUN_HAS_ERROR,
    /* 2.3 and 3: the runs API tells neither queue nor machine; the query endpoint does (2.5) */
    LIST_FIELDS = ALL_FIELDS & ~(RUN_HAS_QUEUE | RUN_HAS_MACHINE),
};

struct source_sight config_source_sight(const struct config_source *s)
{
    switch (s->type) {
    case SOURCE_TRIGGER_WEBHOOK: return (struct source_sight){ ALERTED, ALERT_FIELDS, true };
    case SOURCE_TRIGGER_API: {
        bool personal = !str_absent(s->api.project_ref); /* it cannot retrieve a run, nor query (2.4, 3) */
        uint32_t fields = s->api.method == METHOD_LIST || personal ? LIST_FIELDS : ALL_FIELDS;
        if (personal) fields &= ~(uint32_t)(RUN_HAS_ATTEMPT | RUN_HAS_ERROR | RUN_HAS_ROOT | RUN_HAS_PARENT | RUN_HAS_SCHEDULE | RUN_HAS_BATCH);
        return (struct source_sight){ ALL_STATES, fields, false };
    }
    case SOURCE_WEBHOOK:
    default: return (struct source_sight){ ALL_STATES, ALL_FIELDS, true };
    }
}

typedef bool (*could_fn)(const struct rule *r, struct rule_subject *s, uint32_t known);

static bool wants_kind(struct loader *l, const struct rule *r, struct str kind, could_fn could)
{
    struct run run;
    struct transition t = { .kind = TRANSITION_NEW };
    struct rule_subject s;
    run_init(&run);
    run.kind = kind;
    rule_subject_init(&s, l->a, &run, &t, 0);
    return could(r, &s, RULE_KNOWS_KIND);
}

/* Why this source cannot show a hit of the rule; STR_NONE: it can. */
static struct str blind(struct loader *l, const struct rule *r, const struct config_source *s)
{
    static const struct { uint32_t bit; const char *name; } names[] = {
        { RUN_HAS_ATTEMPT, "attempt numbers" }, { RUN_HAS_METADATA, "metadata" }, { RUN_HAS_QUEUE, "queues" }, { RUN_HAS_MACHINE, "machines" },
        { RUN_HAS_COST, "cost" }, { RUN_HAS_SCHEDULE, "schedules" }, { RUN_HAS_BATCH, "batches" }, { RUN_HAS_ROOT, "root runs" },
        { RUN_HAS_PARENT, "parent runs" }, { RUN_HAS_REGION, "regions" }, { RUN_HAS_DELAYED, "delays" }, { RUN_HAS_ERROR, "errors" },
    };
    struct source_sight sight = config_source_sight(s);
    uint32_t missing = rule_needs(r) & ~sight.fields;
    bool runs = wants_kind(l, r, STR("run"), rule_could_hit);
    if (!runs && !sight.other_kinds) return STR("sees runs only, no deployments or error groups");
    if (runs && !(rule_states(r) & sight.states))
        return rule_states(r) == 1u << RUN_REATTEMPTING ? STR("does not see retries: Trigger.dev's webhook tells of final failures only")
                                                        : STR("does not see that state: Trigger.dev's webhook tells of final failures only");
    if (runs && rule_on_population(&r->condition) && !(sight.states & rule_population_states(&r->condition) & 1u << RUN_COMPLETED))
        return STR("sees failures only, and the condition is about successes, too");
    if (!runs || !missing) return STR_NONE;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (missing & names[k].bit) return str_printf(l->d->arena, "does not see %s", names[k].name);
    return STR("does not see a field it reads");
}

static bool brings(const struct config_source *s, struct str env, const struct rule_names *projects)
{
    struct str project = s->project.n ? s->project : STR("default");
    bool same = projects->all;
    for (size_t k = 0; k < projects->n; k++) same |= str_eq(projects->v[k], project);
    return same && (s->env.n == 0 || str_eq(s->env, env));
}

/* What a rule waits for in an environment that nobody brings would stay away for ever, and nobody would know. */
static void check_places(struct loader *l, const struct rule *r)
{
    for (size_t i = 0; r->watch && i < r->watch->envs.n; i++) {
        bool any = false;
        for (size_t k = 0; k < l->c->source_count; k++) any |= brings(&l->c->sources[k], r->watch->envs.v[i], &r->watch->projects);
        if (any) continue;
        diag_add(l->d, DIAG_ERROR, r->file, r->line, r->col, "rule `" STR_FMT "` waits for hits in env `" STR_FMT "`, and no source brings events of %s", STR_ARG(r->name),
                 STR_ARG(r->watch->envs.v[i]), r->watch->projects.all ? "it" : "it in that project")
            ->hint = STR("add a source with that `env:`, or name another one in `when`");
    }
}

static void check_rule(struct loader *l, const struct rule *r)
{
    struct strbuf why;
    struct str reason;
    struct diag *d;
    strbuf_init(&why, 4096);
    for (size_t k = 0; k < l->c->source_count; k++) {
        const struct config_source *s = &l->c->sources[k];
        reason = blind(l, r, s);
        if (str_absent(reason)) {
            strbuf_fini(&why);
            return;
        }
        if (why.n < 1024)
            strbuf_printf(&why, "%s%s `" STR_FMT "` " STR_FMT, why.n ? "; " : "", source_type_name(s->type), STR_ARG(s->name), STR_ARG(reason));
    }
    d = diag_add(l->d, DIAG_ERROR, r->file, r->line, r->col, "rule `" STR_FMT "` can never hit: " STR_FMT, STR_ARG(r->name), STR_ARG(strbuf_view(&why)));
    d->hint = STR("add a source that sees it: trigger-api with the environment's key, or a webhook that your tasks post to");
    strbuf_fini(&why);
}

/* What ends its incidents, too: else they wait for something that is never told. */
static void check_ends(struct loader *l, const struct rule *r)
{
    uint32_t states = rule_ends_states(r), needs = rule_ends_needs(r);
    if (!wants_kind(l, r, STR("run"), rule_could_end)) return; /* no match, or not about runs */
    for (size_t k = 0; k < l->c->source_count; k++) {
        struct source_sight sight = config_source_sight(&l->c->sources[k]);
        if ((states & sight.states) && !(needs & ~sight.fields)) return;
    }
    diag_add(l->d, DIAG_WARNING, r->file, r->line, r->col, "no source can show the event that ends incidents of rule `" STR_FMT "` by `resolve: {match: ...}`", STR_ARG(r->name))->hint =
        STR("add a source that sees it, or another way to resolve, as `24h quiet`");
}

/* Can it read a run again on request? A personal token cannot retrieve. */
static bool rereads(const struct config_source *s)
{
    return s->type == SOURCE_TRIGGER_API && str_absent(s->api.project_ref);
}

/* Where no source can, there is nothing to wait for. */
static void settle_confirm(struct loader *l)
{
    bool any = false;
    for (size_t k = 0; k < l->c->source_count; k++) any |= rereads(&l->c->sources[k]);
    for (size_t k = 0; k < l->c->rules->rule_count; k++) l->c->rules->rules[k]->confirm &= any;
}

void config_check_observable(struct loader *l)
{
    const struct ruleset *rs = l->c->rules;
    if (rs) settle_confirm(l);
    if (!rs || l->c->source_count == 0 || l->d->errors) return; /* what is wrong already would only be told again */
    for (size_t k = 0; k < rs->rule_count; k++) {
        check_rule(l, rs->rules[k]);
        check_ends(l, rs->rules[k]);
        check_places(l, rs->rules[k]);
    }
}
