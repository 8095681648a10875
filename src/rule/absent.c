/* absent: the dead-man. No hit for so long, or none at a time when one is due (rule-language.md section 3). */
#include "base/timefmt.h"
#include "rule/rule_internal.h"

static const char absent_form[] = "a time like `2h`, {every: 2h, grace: 10m} or {cron: \"0 3 * * *\", grace: 30m, zone: Europe/Berlin}";

/* --- parsing ------------------------------------------------------------------------------------------- */
static bool above_zero(struct compile *c, const struct yaml_node *n, int64_t ms)
{
    if (ms > 0) return true;
    yaml_error(c->d, n, "`absent` wants a time above 0, as 2h");
    return false;
}

static bool zone_parse(struct compile *c, const struct yaml_node *n, struct str name, struct rule_condition *out)
{
    struct err err = { 0 };
    out->zone = zone_load(c->a, name, &err);
    if (out->zone) return true;
    compile_nearest(yaml_error(c->d, n, "%s", err.msg), c, zone_nearest(c->d->arena, name));
    return false;
}

/* Gaps are looked at over many times, but from one day on: whatever a clock that is put forward does to one of them is
 * nobody's mistake. */
enum { GAPS_LOOKED_AT = 500 };
#define GAPS_FROM_MS 1767225600000 /* 2026-01-01 */

static int64_t shortest_gap(const struct cron *cron, const struct zone *utc)
{
    int64_t at = cron_next(cron, utc, GAPS_FROM_MS), gap = INT64_MAX;
    for (size_t k = 0; k < GAPS_LOOKED_AT && at != SCHEDULE_NEVER; k++) {
        int64_t next = cron_next(cron, utc, at);
        if (next != SCHEDULE_NEVER && next - at < gap) gap = next - at;
        at = next;
    }
    return gap;
}

static void grace_check(struct compile *c, const struct yaml_node *n, const struct rule_condition *out)
{
    struct err err;
    const struct zone *utc = zone_load(c->a, STR("UTC"), &err);
    int64_t gap = shortest_gap(out->cron, utc);
    char text[TIMEFMT_SIZE];
    if (out->grace_ms < gap) return;
    yaml_warning(c->d, n, "`grace` reaches beyond the next time, " STR_FMT " later: one hit then answers for both", STR_ARG(duration_format(gap, text)))->hint =
        STR("a shorter grace, or a cron that comes less often");
}

static bool cron_take(struct compile *c, const struct yaml_node *n, const struct absent_draft *draft, struct rule_condition *out)
{
    const struct yaml_node *at = yaml_get(n, "cron"), *zone = yaml_get(n, "zone"), *grace = yaml_get(n, "grace");
    struct err err = { 0 };
    bool ok = zone_parse(c, zone ? zone : n, str_absent(draft->zone) ? STR("UTC") : draft->zone, out);
    out->cron = cron_parse(c->a, draft->cron, &err);
    if (!out->cron) {
        yaml_error(c->d, at, "%s", err.msg);
        return false;
    }
    if (!ok) return false;
    if (cron_next(out->cron, out->zone, GAPS_FROM_MS) == SCHEDULE_NEVER) {
        yaml_error(c->d, at, "this time never comes")->hint = STR("is the day in the month?");
        return false;
    }
    if (grace) grace_check(c, grace, out);
    return true;
}

static bool absent_map(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    struct absent_draft draft = { .cron = STR_NONE, .zone = STR_NONE };
    const struct yaml_node *every = yaml_get(n, "every"), *cron = yaml_get(n, "cron"), *zone = yaml_get(n, "zone");
    if (!fields_decode(&rule_tables[RULE_TABLE_ABSENT], c->a, n, c->d, &draft, NULL, NULL)) return false;
    out->window_ms = draft.every_ms;
    out->grace_ms = draft.grace_ms;
    if (!every == !cron) {
        yaml_error(c->d, n, "`absent` has one of `every` and `cron`")->hint = STR("{every: 2h}, or {cron: \"0 3 * * *\"}");
        return false;
    }
    if (cron) return cron_take(c, n, &draft, out);
    if (!zone) return above_zero(c, every, out->window_ms);
    yaml_error_key(c->d, zone, "`zone` belongs to `cron`: `every` counts from the last hit, and no clock shows that");
    return false;
}

bool absent_parse(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    if (n->kind == YAML_MAP) return absent_map(c, n, out);
    if (n->kind == YAML_SCALAR && duration_parse(n->text, &out->window_ms)) return above_zero(c, n, out->window_ms);
    if (n->kind == YAML_SCALAR) yaml_error(c->d, n, "wants %s, got `" STR_FMT "`", absent_form, STR_ARG(n->text));
    else yaml_error(c->d, n, "wants %s", absent_form);
    return false;
}

/* --- with the rest of the rule --------------------------------------------------------------------------- */
/* What is not there has no run, no outcome: only identity can tell whom a rule waits for. */
static void key_check(struct compile *c, const struct yaml_node *at, const struct yaml_node *by, const struct rule *r)
{
    for (size_t i = 0; i < r->by_count; i++) {
        bool run = r->by[i].id == RULE_RUN;
        struct diag *d;
        if (!run && !rule_field_is_outcome(r->by[i].id)) continue;
        d = yaml_error_key(c->d, by ? by : at, "`absent` waits for the next hit of a key, and `by` has `" STR_FMT "`, which %s", STR_ARG(r->by[i].text),
                           run ? "no other run will ever have" : "is known of hits only");
        d->hint = STR("keys that come again, as `by: task`");
        return;
    }
}

static bool by_names_alone(const struct rule *r)
{
    for (size_t i = 0; i < r->by_count; i++)
        if (r->by[i].id != RULE_TASK && r->by[i].id != RULE_ENV && r->by[i].id != RULE_PROJECT) return false;
    return true;
}

void absent_check(struct compile *c, const struct yaml_node *n, struct rule *r)
{
    const struct yaml_node *at_least = yaml_get(n, "at_least");
    struct rule_watch *w = ARENA_NEW(c->a, struct rule_watch);
    key_check(c, yaml_get(n, "absent"), yaml_get(n, "by"), r);
    if (at_least && r->at_least > 1)
        yaml_error(c->d, at_least, "this never rings: what is absent has no runs to count")->hint = STR("leave out `at_least`");
    r->at_least = 0; /* as none has hit */
    rule_literals(r, c->a, RULE_TASK, &w->tasks);
    rule_literals(r, c->a, RULE_ENV, &w->envs);
    rule_literals(r, c->a, RULE_PROJECT, &w->projects);
    w->by_name = !w->tasks.all && by_names_alone(r);
    r->watch = w;
}

/* --- for people and for shapes --------------------------------------------------------------------------- */
struct str absent_text(const struct rule_condition *c, struct arena *a)
{
    char span_text[TIMEFMT_SIZE], grace_text[TIMEFMT_SIZE];
    struct str span = duration_format(c->window_ms, span_text), grace = duration_format(c->grace_ms, grace_text);
    if (c->cron) {
        struct str cron = cron_text(c->cron), zone = zone_name(c->zone);
        if (c->grace_ms == 0) return str_printf(a, "no hit at " STR_FMT " (" STR_FMT ")", STR_ARG(cron), STR_ARG(zone));
        return str_printf(a, "no hit at " STR_FMT " (" STR_FMT ") or within " STR_FMT, STR_ARG(cron), STR_ARG(zone), STR_ARG(grace));
    }
    if (c->grace_ms == 0) return str_printf(a, "no hit for " STR_FMT, STR_ARG(span));
    return str_printf(a, "no hit for " STR_FMT " and " STR_FMT " of grace", STR_ARG(span), STR_ARG(grace));
}

void absent_shape(const struct rule_condition *c, struct strbuf *out)
{
    strbuf_printf(out, "\ngrace %lld", (long long)c->grace_ms);
    if (c->cron) strbuf_printf(out, "\ncron " STR_FMT " " STR_FMT, STR_ARG(cron_text(c->cron)), STR_ARG(zone_name(c->zone)));
}

/* --- when the next hit is due ---------------------------------------------------------------------------- */
int64_t rule_absent_due(const struct rule_condition *c, int64_t after_ms, int64_t *slot_ms)
{
    *slot_ms = c->cron ? cron_next(c->cron, c->zone, after_ms) : after_ms + c->window_ms;
    return *slot_ms == SCHEDULE_NEVER ? SCHEDULE_NEVER : *slot_ms + c->grace_ms;
}

int64_t rule_absent_period(const struct rule_condition *c)
{
    int64_t longest = c->window_ms, at = c->cron ? cron_next(c->cron, c->zone, GAPS_FROM_MS) : SCHEDULE_NEVER;
    for (size_t k = 0; k < GAPS_LOOKED_AT && at != SCHEDULE_NEVER; k++) {
        int64_t next = cron_next(c->cron, c->zone, at);
        if (next != SCHEDULE_NEVER && next - at > longest) longest = next - at;
        at = next;
    }
    return longest + c->grace_ms;
}
