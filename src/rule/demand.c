/* What rules ask for: which runs a source has to find for them, and whether a rule can hit at all when only part of a
 * report is known. */
#include "rule/rule_internal.h"

/* --- three-valued matching ----------------------------------------------------------------------------- */
enum maybe { NO, MAYBE, YES };

static uint32_t field_needs(const struct rule_field *f)
{
    switch ((int)f->id) { /* those that are no part of a report's `present` */
    case RULE_ENV: return RULE_KNOWS_ENV;
    case RULE_PROJECT: return RULE_KNOWS_PROJECT;
    case RULE_KIND: return RULE_KNOWS_KIND;
    case RULE_RUN: return RULE_KNOWS_RUN;
    default: return rule_field_reads(f);
    }
}

static enum maybe could(const struct match *m, struct rule_subject *s, uint32_t known);

static enum maybe could_list(const struct match *m, struct rule_subject *s, uint32_t known)
{
    enum maybe all = YES, any = NO;
    for (size_t i = 0; i < m->child_count; i++) {
        enum maybe child = could(m->children[i], s, known);
        if (child < all) all = child;
        if (child > any) any = child;
    }
    return m->kind == MATCH_ALL ? all : any;
}

static enum maybe could(const struct match *m, struct rule_subject *s, uint32_t known)
{
    switch (m->kind) {
    case MATCH_ALL:
    case MATCH_ANY: return could_list(m, s, known);
    case MATCH_NOT: return YES - could(m->children[0], s, known);
    case MATCH_TEST:
    default:
        if (field_needs(&m->field) & ~known) return MAYBE;
        return match_eval(m, s) ? YES : NO;
    }
}

bool rule_could_hit(const struct rule *r, struct rule_subject *s, uint32_t known)
{
    if (!rule_on_population(&r->condition)) return could(r->when, s, known) != NO;
    if ((known & RUN_HAS_STATE) && !(rule_population_states(&r->condition) >> rule_subject_state(s) & 1)) return false;
    return could(r->population, s, known) != NO;
}

bool rule_could_end(const struct rule *r, struct rule_subject *s, uint32_t known)
{
    return r->ends && could(r->ends, s, known) != NO;
}

/* --- what a hit must have ------------------------------------------------------------------------------ */
uint32_t rule_states(const struct rule *r)
{
    return match_states(r->when);
}

static uint32_t needs(const struct match *m)
{
    uint32_t all = 0, any = ~(uint32_t)0;
    bool presence = m->op != OP_NONE && (m->op != OP_EXISTS || m->wanted);
    if (m->kind == MATCH_NOT) return 0;
    if (m->kind == MATCH_TEST) /* a state is known wherever there is a report, and `test: false` is what none says */
        return presence && m->field.id != RULE_STATUS && m->field.id != RULE_TEST ? rule_field_reads(&m->field) : 0;
    for (size_t i = 0; i < m->child_count; i++) {
        uint32_t bits = needs(m->children[i]);
        all |= bits;
        any &= bits;
    }
    if (m->kind == MATCH_ALL) return all;
    return m->child_count ? any : 0;
}

uint32_t rule_needs(const struct rule *r)
{
    return needs(r->when);
}

uint32_t rule_ends_needs(const struct rule *r)
{
    return r->ends ? needs(r->ends) : 0;
}

/* --- literals of which every hit has one --------------------------------------------------------------- */
static bool is_literal(const struct match *m)
{
    for (size_t i = 0; i < m->value_count; i++)
        if (m->values[i].glob || m->values[i].re) return false;
    return (m->op == OP_IN || m->op == OP_ALL) && m->value_count > 0;
}

/* Adds them to out; false: a hit can do without. */
static bool literals(const struct match *m, enum rule_field_id id, struct rule_texts *out)
{
    size_t before = out->n;
    if (m->kind == MATCH_NOT || m->child_count + (m->kind == MATCH_TEST) == 0) return false;
    if (m->kind == MATCH_TEST) {
        if (m->field.id != id || !is_literal(m)) return false;
        for (size_t i = 0; i < m->value_count; i++) *vec_push(out) = m->values[i].text;
        return true;
    }
    for (size_t i = 0; i < m->child_count; i++) {
        bool one = literals(m->children[i], id, out);
        if (m->kind == MATCH_ALL && one) return true;
        if (m->kind == MATCH_ANY && !one) {
            out->n = before;
            return false;
        }
    }
    return m->kind == MATCH_ANY;
}

static int by_text(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static void take_texts(struct arena *a, struct rule_texts *all, struct rule_names *out)
{
    if (all->n > 1) qsort(all->v, all->n, sizeof *all->v, by_text);
    out->v = ARENA_ARRAY(a, struct str, all->n + 1);
    for (size_t i = 0; i < all->n; i++)
        if (i == 0 || !str_eq(all->v[i], all->v[i - 1])) out->v[out->n++] = str_dup(a, all->v[i]);
    vec_free(all);
}

void rule_literals(const struct rule *r, struct arena *a, enum rule_field_id id, struct rule_names *out)
{
    struct rule_texts all = { 0 };
    bool bound = literals(r->when, id, &all);
    *out = (struct rule_names){ .all = !bound };
    take_texts(a, &all, out);
}

/* --- the demand of a set ------------------------------------------------------------------------------- */
static uint32_t class_states(unsigned class)
{
    uint32_t states = 0;
    for (uint32_t s = 0; s < RUN_STATES; s++)
        if (run_state_class((enum run_state)s) & class) states |= 1u << s;
    return states;
}

/* What ends incidents by a match, and ends of runs that are no hits but stand in a row or a rate with them, close incidents, break a row of successes, or end the run of a key. */
static uint32_t end_states(const struct rule *r)
{
    uint32_t states = r->by_run ? class_states(RUN_CLASS_FINISHED) : 0;
    if (rule_on_population(&r->condition)) states |= rule_population_states(&r->condition);
    if (r->condition.kind == RULE_LASTS) states = MATCH_ALL_STATES; /* whatever a run goes on to, it has left the state that is watched */
    states |= rule_ends_states(r);
    for (size_t i = 0; i < r->resolve_count; i++) {
        if (r->resolve[i].kind != RULE_SUCCESS) continue;
        states |= class_states(RUN_CLASS_SUCCESS);
        if (r->resolve[i].successes > 1) states |= class_states(RUN_CLASS_FAILED);
    }
    return states;
}

static bool concerns(const struct rule *r, struct arena *a, struct str project, struct str env)
{
    struct run run;
    struct transition t = { .kind = TRANSITION_NEW };
    struct rule_subject s;
    run_init(&run);
    run.kind = STR("run");
    run.project = project;
    run.env = env;
    rule_subject_init(&s, a, &run, &t, 0);
    return rule_could_hit(r, &s, RULE_KNOWS_KIND | (project.n ? RULE_KNOWS_PROJECT : 0) | (env.n ? RULE_KNOWS_ENV : 0));
}

void ruleset_demand(const struct ruleset *rs, struct arena *a, struct str project, struct str env, struct rule_demand *out)
{
    struct rule_texts tasks = { 0 }, tags = { 0 };
    *out = (struct rule_demand){ .tasks.all = false, .tags.all = false };
    for (size_t i = 0; i < rs->rule_count; i++) {
        const struct rule *r = rs->rules[i];
        const struct match *m = rule_on_population(&r->condition) ? r->population : r->when; /* what each run it looks at has */
        if (!concerns(r, a, project, env)) continue;
        out->rules++;
        out->hits |= match_states(r->when);
        out->states |= match_states(r->when) | end_states(r);
        out->reads |= r->reads;
        out->attempts |= r->condition.kind == RULE_LASTS; /* a new attempt starts it anew */
        out->absent |= r->condition.kind == RULE_ABSENT;
        if (!literals(m, RULE_TASK, &tasks)) out->tasks.all = true;
        if (!literals(m, RULE_TAGS, &tags)) out->tags.all = true;
        if (r->ends && !literals(r->ends, RULE_TASK, &tasks)) out->tasks.all = true;
        if (r->ends && !literals(r->ends, RULE_TAGS, &tags)) out->tags.all = true;
    }
    out->attempts |= (out->hits >> RUN_REATTEMPTING & 1) || (out->reads & RUN_HAS_ATTEMPT);
    take_texts(a, &tasks, &out->tasks);
    take_texts(a, &tags, &out->tags);
}
