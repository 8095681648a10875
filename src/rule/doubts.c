/* Warnings of what can be compiled and will hardly have been meant: rules that never hit, hours that never come, what nobody uses. */
#include "rule/rule_internal.h"

/* --- rules and mutes that never hit ---------------------------------------------------------------------------- */
enum { SHOWN_BYTES = 400, TEST_SHOWN = 100 };

/* "is "CRASHED"; not in ["FAILED", ...]" */
static struct str tests_text(struct compile *c, const struct match_conflict *why)
{
    struct strbuf all, one;
    struct str text;
    strbuf_init(&all, SHOWN_BYTES * CONFLICT_TESTS);
    strbuf_init(&one, 1 << 20);
    for (size_t i = 0; i < why->n; i++) {
        strbuf_clear(&one);
        match_test_text(why->tests[i], &one);
        strbuf_printf(&all, "%s%s" STR_FMT "%s", i ? "; " : "", why->negated[i] ? "not " : "", STR_ARG(str_sub(strbuf_view(&one), 0, TEST_SHOWN)),
                      one.n > TEST_SHOWN ? "..." : "");
    }
    text = str_dup(c->d->arena, strbuf_view(&all));
    strbuf_fini(&one);
    strbuf_fini(&all);
    return text;
}

static void never(struct compile *c, struct diag *d, const struct match_conflict *why)
{
    d->hint = why->any ? STR("none of its branches can hold beside the rest of the match") : tests_text(c, why);
}

static const char *wants_of(struct compile *c, const struct match_conflict *why)
{
    if (why->any) return "of one of these";
    return str_printf(c->d->arena, "of `" STR_FMT "`", STR_ARG(why->tests[0]->field.text)).p;
}

/* The last of the tests is where one would look: the ones before it were met by then. */
static const struct match *place_of(const struct match_conflict *why)
{
    return why->any ? why->any : why->tests[why->n - 1];
}

void never_hits_check(struct compile *c, const struct match *own, const struct rule *r)
{
    struct match_conflict why;
    const struct match *at;
    if (!matches_can_meet(&own, 1, &why) && (why.any || why.n > 0)) {
        at = place_of(&why);
        never(c, diag_add(c->d, DIAG_WARNING, r->file, at->line, at->col, "rule `" STR_FMT "` never hits: no run meets all that `when` wants %s", STR_ARG(r->name), wants_of(c, &why)), &why);
    } else if (!matches_can_meet(&r->when, 1, &why)) {
        never(c, diag_add(c->d, DIAG_WARNING, r->file, r->line, r->col, "rule `" STR_FMT "` never hits: no run meets all that `when` and `defaults.when` want %s", STR_ARG(r->name), wants_of(c, &why)),
              &why);
    }
}

void mute_never_check(struct compile *c, const struct yaml_node *n, const struct match *when)
{
    struct match_conflict why;
    if (!matches_can_meet(&when, 1, &why)) never(c, yaml_warning(c->d, n, "this mutes nothing: no run meets all that `when` wants %s", wants_of(c, &why)), &why);
}

/* --- hours -------------------------------------------------------------------------------------------------------- */
/* Some years in which any pair of hours that ever meets does meet, in whatever zones. */
static const int64_t looked_at_from_ms = INT64_C(1767225600000), looked_at_to_ms = INT64_C(1861920000000); /* 2026 to 2028 */

static bool hours_meet(const struct schedule *s, bool inside, const struct schedule *t)
{
    int64_t at = looked_at_from_ms;
    while (at < looked_at_to_ms) {
        int64_t next_s, next_t;
        if (schedule_covers(s, at) == inside && schedule_covers(t, at)) return true;
        next_s = schedule_changes_at(s, at);
        next_t = schedule_changes_at(t, at);
        at = next_s < next_t ? next_s : next_t;
    }
    return false;
}

/* Of many rules the pairs are few. */
static bool hours_meet_cached(struct compile *c, const struct schedule *s, bool inside, const struct schedule *t)
{
    for (size_t i = 0; i < c->hours_pairs.n; i++) {
        const struct hours_pair *p = &c->hours_pairs.v[i];
        if (p->s == s && p->t == t && p->inside == inside) return p->meet;
    }
    *vec_push(&c->hours_pairs) = (struct hours_pair){ s, t, inside, hours_meet(s, inside, t) };
    return c->hours_pairs.v[c->hours_pairs.n - 1].meet;
}

static void target_hours(struct compile *c, const struct rule *r, const struct rule_targets *to, bool inside)
{
    for (size_t i = 0; r->during && i < to->n; i++) {
        const struct rule_target *t = &to->v[i];
        if (!t->during || hours_meet_cached(c, r->during, inside, t->during)) continue;
        diag_add(c->d, DIAG_WARNING, r->file, r->line, r->col, "destination `" STR_FMT "` never hears of rule `" STR_FMT "`: `" STR_FMT "` is never %s `" STR_FMT "`",
                 STR_ARG(c->rs->destinations[t->destination].name), STR_ARG(r->name), STR_ARG(schedule_name(t->during)), inside ? "within" : "outside", STR_ARG(schedule_name(r->during)));
    }
}

static bool names(const struct rule_targets *to, const struct rule_target *t)
{
    for (size_t i = 0; i < to->n; i++)
        if (to->v[i].destination == t->destination && to->v[i].param_count == 0 && !to->v[i].during) return true;
    return false;
}

/* Does `outside` name just those that hear of it anyway? */
static bool same_targets(const struct rule_targets *to, const struct rule_targets *of)
{
    bool same = to->n == of->n && to->n > 0;
    for (size_t i = 0; same && i < to->n; i++) same = to->v[i].param_count == 0 && !to->v[i].during && names(of, &to->v[i]);
    return same;
}

void hours_check(struct compile *c, const struct yaml_node *outside, const struct rule *r)
{
    if (outside && !r->during) {
        yaml_warning(c->d, outside, "`outside` does nothing here: without `during` there is no time outside")->hint = STR("name a schedule: `during: business`");
        return;
    }
    if (outside && same_targets(&r->outside_to, &r->notify))
        yaml_warning(c->d, outside, "this tells the same as `notify`, so `during` makes no difference")->hint = STR("leave out `during` and `outside`, or name another destination");
    target_hours(c, r, &r->notify, true);
    for (size_t i = 0; i < r->escalate_count; i++) target_hours(c, r, &r->escalate[i].to, true);
    target_hours(c, r, &r->outside_to, false);
}

/* --- never in one place --------------------------------------------------------------------------------------------- */
static size_t place_tests(const struct match *when, const struct match **out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; when->kind == MATCH_ALL && i < when->child_count && n < max; i++) {
        const struct match *m = when->children[i], *inner = m->kind == MATCH_NOT ? m->children[0] : m;
        if (inner->kind == MATCH_TEST && (inner->field.id == RULE_ENV || inner->field.id == RULE_PROJECT)) out[n++] = m;
    }
    return n;
}

void unless_place_check(struct compile *c, const struct yaml_node *item, const struct rule *r, const struct rule *other)
{
    enum { PLACE_TESTS = 8 };
    const struct match *tests[2 * PLACE_TESTS];
    struct match_conflict why;
    size_t n = place_tests(r->when, tests, PLACE_TESTS);
    n += place_tests(other->when, tests + n, PLACE_TESTS);
    if (matches_can_meet(tests, n, &why)) return;
    yaml_warning(c->d, item, "this never holds anything: rules `" STR_FMT "` and `" STR_FMT "` have no environment in common", STR_ARG(r->name), STR_ARG(other->name))->hint = tests_text(c, &why);
}

/* --- what nobody uses --------------------------------------------------------------------------------------------------- */
void unused_check(struct compile *c)
{
    if (c->world->part || compile_is_cut(c)) return;
    for (size_t i = 0; i < c->schedule_entries.n; i++) {
        const struct schedule_entry *e = c->schedule_entries.v[i];
        struct diag *d;
        if (e->used) continue;
        d = diag_add(c->d, DIAG_WARNING, e->node->file, e->node->key_line, e->node->key_col, "nothing uses schedule `" STR_FMT "`", STR_ARG(e->node->key));
        d->width = (uint32_t)e->node->key.n;
        d->hint = str_printf(c->d->arena, "a rule does with `during: " STR_FMT "`", STR_ARG(e->node->key));
    }
}
