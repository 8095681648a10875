/* The section `schedules`, and what names one: `during` of rules, targets and mutes, and `outside` beside it. */
#include "base/civil.h"
#include "base/suggest.h"
#include "rule/rule_internal.h"

/* --- days, hours, dates ------------------------------------------------------------------------------------- */
static struct str lower(struct arena *a, struct str s)
{
    char *p = arena_memdup(a, s.p, s.n);
    for (size_t i = 0; i < s.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z') p[i] = (char)(p[i] | 32);
    return (struct str){ p, s.n };
}

static struct str days_meant(struct arena *a, struct str text)
{
    static const char *const names[] = { "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday" };
    unsigned days = 0;
    struct str low = lower(a, text);
    if (schedule_days_parse(low, &days)) return low;
    if (str_eq_c(low, "weekdays") || str_eq_c(low, "workdays")) return STR("mon-fri");
    if (str_eq_c(low, "weekend") || str_eq_c(low, "weekends")) return STR("sat-sun");
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (str_eq_c(low, names[k])) return str_sub(low, 0, 3);
    return STR_NONE;
}

/* A spec and the room for what it points to. */
struct builder { struct schedule_spec spec; struct schedule_hours hours[SCHEDULE_HOURS_MOST]; int64_t *except; };

static bool days_item(struct compile *c, const struct yaml_node *n, void *ctx)
{
    struct builder *b = ctx;
    struct str text;
    struct diag *d;
    if (!yaml_want_text(n, c->d, &text)) return false;
    if (schedule_days_parse(text, &b->spec.days)) return true;
    d = yaml_error(c->d, n, "wants days: all, one of mon tue wed thu fri sat sun, a range like mon-fri, or a list of those; got `" STR_FMT "`", STR_ARG(text));
    compile_nearest(d, c, days_meant(c->d->arena, text));
    return false;
}

static void hours_hint(struct compile *c, struct diag *d, struct str text, const struct schedule_hours *found)
{
    struct str padded = str_printf(c->d->arena, "0" STR_FMT, STR_ARG(text));
    struct schedule_hours h;
    if (found->from == found->to) d->hint = STR("the whole day is 00:00-24:00");
    else if (schedule_hours_parse(padded, &h)) compile_nearest(d, c, padded);
}

static bool hours_item(struct compile *c, const struct yaml_node *n, void *ctx)
{
    struct builder *b = ctx;
    struct schedule_hours h = { -1, -2 };
    struct str text;
    if (!yaml_want_text(n, c->d, &text)) return false;
    if (!schedule_hours_parse(text, &h))
        hours_hint(c, yaml_error(c->d, n, "wants hours like 09:00-18:00, or 22:00-06:00 over midnight, got `" STR_FMT "`", STR_ARG(text)), text, &h);
    else if (b->spec.hour_count == SCHEDULE_HOURS_MOST)
        yaml_error(c->d, n, "a schedule has at most %d stretches of hours", SCHEDULE_HOURS_MOST);
    else
        return b->hours[b->spec.hour_count++] = h, true;
    return false;
}

static bool except_item(struct compile *c, const struct yaml_node *n, void *ctx)
{
    struct builder *b = ctx;
    int64_t day = 0;
    struct str text;
    if (!yaml_want_text(n, c->d, &text)) return false;
    if (!civil_parse(text, &day))
        yaml_error(c->d, n, "wants a date that exists, like 2026-12-25, got `" STR_FMT "`", STR_ARG(text));
    else if (b->spec.except_count == SCHEDULE_EXCEPT_MOST)
        yaml_error(c->d, n, "a schedule has at most %d exceptions", SCHEDULE_EXCEPT_MOST);
    else
        return b->except[b->spec.except_count++] = day, true;
    return false;
}

static bool zone_parse(struct compile *c, const struct yaml_node *n, const struct zone **out)
{
    struct err err = { 0 };
    struct str name;
    if (!yaml_want_text(n, c->d, &name)) return false;
    *out = zone_load(c->a, name, &err);
    if (*out) return true;
    compile_nearest(yaml_error(c->d, n, "%s", err.msg), c, zone_nearest(c->d->arena, name));
    return false;
}

/* --- a schedule ------------------------------------------------------------------------------------------------ */
static void build(struct compile *c, const struct schedule_draft *draft, struct builder *b)
{
    const struct yaml_node *except = draft->except;
    if (draft->days) compile_each(c, draft->days, "days like mon-fri, or a list of days", days_item, b);
    else b->spec.days = SCHEDULE_ALL_DAYS;
    if (draft->hours) compile_each(c, draft->hours, "hours like 09:00-18:00, or a list of them", hours_item, b);
    else b->hours[b->spec.hour_count++] = (struct schedule_hours){ 0, SCHEDULE_MINUTES };
    b->except = ARENA_ARRAY(c->a, int64_t, SCHEDULE_EXCEPT_MOST);
    if (except && !(except->kind == YAML_SEQ && except->count == 0)) compile_each(c, except, "a date or a list of dates", except_item, b);
    if (draft->zone) zone_parse(c, draft->zone, &b->spec.zone);
    b->spec.hours = b->hours;
    b->spec.except = b->except;
}

static const struct schedule *schedule_parse(struct compile *c, const struct yaml_node *n)
{
    struct schedule_draft draft = { 0 };
    struct builder b = { .spec.name = n->key };
    size_t errors = c->d->errors;
    fields_decode(&rule_tables[RULE_TABLE_SCHEDULE], c->a, n, c->d, &draft, NULL, NULL);
    if (n->kind != YAML_MAP) return NULL;
    if (str_eq_c(n->key, "always")) yaml_error_key(c->d, n, "`always` is what `during` says for no schedule at all: give it another name");
    if (!draft.days && !draft.hours && !n->cut)
        yaml_error_key(c->d, n, "schedule `" STR_FMT "` has neither `days` nor `hours`: it would cover all the time", STR_ARG(n->key));
    build(c, &draft, &b);
    return c->d->errors > errors || !b.spec.zone ? NULL : schedule_make(c->a, &b.spec);
}

void schedules_parse(struct compile *c, const struct yaml_node *section)
{
    if (!compile_named(c, section, "schedules")) return;
    for (const struct yaml_node *n = section->first; n; n = n->next) {
        bool first = compile_name(c, &c->schedules, n, "schedule");
        struct schedule_entry *e = ARENA_NEW(c->a, struct schedule_entry);
        *e = (struct schedule_entry){ n, schedule_parse(c, n), false };
        if (first) *vec_push(&c->schedule_entries) = e;
    }
}

void schedules_take(struct compile *c)
{
    struct ruleset *rs = c->rs;
    rs->schedules = ARENA_ARRAY(c->a, const struct schedule *, c->schedule_entries.n + 1);
    for (size_t i = 0; i < c->schedule_entries.n; i++)
        if (c->schedule_entries.v[i]->schedule) rs->schedules[rs->schedule_count++] = c->schedule_entries.v[i]->schedule;
}

/* --- who names one ---------------------------------------------------------------------------------------------- */
bool schedule_find(struct compile *c, const struct yaml_node *n, const struct schedule **out)
{
    struct str name, *names;
    struct diag *d;
    if (!yaml_want_text(n, c->d, &name)) return false;
    names = ARENA_ARRAY(c->a, struct str, c->schedule_entries.n + 1);
    for (size_t i = 0; i < c->schedule_entries.n; i++) {
        struct schedule_entry *e = c->schedule_entries.v[i];
        names[i] = e->node->key;
        if (!str_eq(names[i], name)) continue;
        e->used = true;
        *out = e->schedule;
        return true;
    }
    if (compile_is_cut(c)) return false; /* it may stand behind the syntax error */
    d = compile_nearest(yaml_error(c->d, n, "no schedule is called `" STR_FMT "`", STR_ARG(name)), c, suggest_nearest(name, names, c->schedule_entries.n));
    if (c->schedule_entries.n == 0) d->hint = str_printf(c->d->arena, "schedules: {" STR_FMT ": {days: mon-fri, hours: 09:00-18:00, zone: Europe/Berlin}}", STR_ARG(name));
    return false;
}

bool during_parse(struct compile *c, const struct yaml_node *n, const struct schedule **out)
{
    *out = NULL;
    if (n->kind == YAML_SCALAR && str_eq_c(n->text, "always")) return true;
    return schedule_find(c, n, out);
}

/* Near to one of the words, and no destination. */
static bool outside_mistyped(struct compile *c, const struct yaml_node *n)
{
    static const struct str words[] = { { "hold", 4 }, { "drop", 4 } };
    struct str near = suggest_nearest(n->text, words, 2);
    for (size_t i = 0; i < c->rs->destination_count; i++)
        if (str_eq(n->text, c->rs->destinations[i].name)) return false;
    if (near.n == 0) return false;
    compile_nearest(yaml_error(c->d, n, "`outside` is hold, drop or who hears of it instead, got `" STR_FMT "`", STR_ARG(n->text)), c, near);
    return true;
}

bool outside_parse(struct compile *c, const struct yaml_node *n, struct rule *r)
{
    bool text = n->kind == YAML_SCALAR;
    r->outside_to = (struct rule_targets){ 0 };
    r->outside = RULE_OUTSIDE_HOLD;
    if (text && str_eq_c(n->text, "hold")) return true;
    r->outside = RULE_OUTSIDE_DROP;
    if (text && str_eq_c(n->text, "drop")) return true;
    r->outside = RULE_OUTSIDE_ELSEWHERE;
    return !(text && outside_mistyped(c, n)) && targets_parse(c, n, &r->outside_to);
}
