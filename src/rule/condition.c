/* The condition of a rule: what has to come together before a hit rings (rule-language.md section 3, count and on). */
#include "base/timefmt.h"
#include "rule/rule_internal.h"

size_t rule_words(struct str text, struct str words[RULE_WORDS_MAX])
{
    struct str word;
    size_t n = 0;
    while (str_split(&text, ' ', &word)) {
        if (word.n == 0) continue;
        if (n == RULE_WORDS_MAX) return n + 1;
        words[n++] = word;
    }
    return n;
}

static bool wants(struct compile *c, const struct yaml_node *n, const char *what)
{
    if (n->kind == YAML_SCALAR) yaml_error(c->d, n, "wants %s, got `" STR_FMT "`", what, STR_ARG(n->text));
    else yaml_error(c->d, n, "wants %s", what);
    return false;
}

/* --- count --------------------------------------------------------------------------------------------- */
static bool count_of(struct compile *c, const struct yaml_node *at, struct str what, struct rule_condition *out)
{
    struct rule_field *f;
    out->of_runs = str_eq_c(what, "runs");
    if (out->of_runs || str_eq_c(what, "hits")) return true;
    f = ARENA_NEW(c->a, struct rule_field);
    if (!compile_field(c, at, what, false, f)) return false;
    out->of_runs = f->id == RULE_RUN; /* the same by another name */
    out->of = out->of_runs ? NULL : f;
    return true;
}

static const char count_form[] = "a count like `3 in 10m`, `10 runs in 5m` or `5 of metadata.customerId in 15m`";

static bool count_text(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    struct str w[RULE_WORDS_MAX];
    size_t count = rule_words(n->text, w);
    size_t in = count == 5 ? 3 : count == 4 ? 2 : 1;
    if (count < 3 || count > 5 || !str_eq_c(w[in], "in")) return wants(c, n, count_form);
    if (!str_to_i64(w[0], &out->n) || !duration_parse(w[in + 1], &out->window_ms)) return wants(c, n, count_form);
    if (out->n < 1 || out->n > RULE_COUNT_MAX || out->window_ms < 1) {
        yaml_error(c->d, n, "a count is 1 to %d in a time above 0", RULE_COUNT_MAX);
        return false;
    }
    if (count == 4 && !str_eq_c(w[1], "runs")) return wants(c, n, count_form);
    out->of_runs = count == 4;
    if (count < 5) return true;
    return str_eq_c(w[1], "of") ? count_of(c, n, w[2], out) : wants(c, n, count_form);
}

static bool count_map(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    struct count_draft draft = { 0 };
    struct str of;
    if (!fields_decode(&rule_tables[RULE_TABLE_COUNT], c->a, n, c->d, &draft, NULL, NULL)) return false;
    out->n = draft.n;
    out->window_ms = draft.in_ms;
    if (!draft.of) return true;
    return yaml_want_text(draft.of, c->d, &of) && count_of(c, draft.of, of, out);
}

static bool count_parse(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    if (n->kind == YAML_MAP) return count_map(c, n, out);
    if (n->kind == YAML_SCALAR) return count_text(c, n, out);
    return wants(c, n, count_form);
}

/* --- streak -------------------------------------------------------------------------------------------- */
static bool streak_parse(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    return yaml_want_i64(n, c->d, 1, RULE_STREAK_MAX, &out->n);
}

/* --- first --------------------------------------------------------------------------------------------- */
static bool first_parse(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    if (!yaml_want_duration(n, c->d, &out->window_ms)) return false;
    if (out->window_ms > 0) return true;
    yaml_error(c->d, n, "`first` wants a time above 0, as 7d");
    return false;
}

/* --- lasts --------------------------------------------------------------------------------------------- */
static bool lasts_parse(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    if (!yaml_want_duration(n, c->d, &out->window_ms)) return false;
    if (out->window_ms > 0) return true;
    yaml_error(c->d, n, "`lasts` wants a time above 0, as 30m")->hint = STR("a rule without it rings as soon as a run is in that state");
    return false;
}

/* --- flaps --------------------------------------------------------------------------------------------- */
static const char flaps_form[] = "a number of changes like `4 in 1h` or {n: 4, in: 1h}";

static bool flaps_parse(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    struct flaps_draft draft = { 0 };
    struct str w[RULE_WORDS_MAX];
    if (n->kind == YAML_MAP) {
        if (!fields_decode(&rule_tables[RULE_TABLE_FLAPS], c->a, n, c->d, &draft, NULL, NULL)) return false;
    } else if (n->kind != YAML_SCALAR || rule_words(n->text, w) != 3 || !str_eq_c(w[1], "in") || !str_to_i64(w[0], &draft.n) ||
               !duration_parse(w[2], &draft.in_ms)) {
        return wants(c, n, flaps_form);
    }
    out->n = draft.n;
    out->window_ms = draft.in_ms;
    if (draft.n >= 1 && draft.n <= RULE_STREAK_MAX && draft.in_ms >= 1) return true;
    yaml_error(c->d, n, "`flaps` is 1 to %d changes in a time above 0", RULE_STREAK_MAX);
    return false;
}

/* --- rate ---------------------------------------------------------------------------------------------- */
enum { RATE_MIN = 10 };
static const char rate_form[] = "a rate like `over 20% of last 50 runs` or `over 5% in 1h, min 50`";

static bool percent_read(struct str text, double *out)
{
    if (str_ends(text, STR("%"))) text = str_sub(text, 0, text.n - 1);
    return str_to_f64(text, out);
}

/* "over 20% of last 50 runs, min 20" or "under 5% in 1h": its words, a comma behind one of them or not. */
static bool rate_words(struct str text, struct rule_condition *out)
{
    struct str w[RULE_WORDS_MAX];
    size_t n = rule_words(text, w), at;
    bool last = n >= 6 && str_eq_c(w[2], "of") && str_eq_c(w[3], "last");
    if (n < 4 || n > RULE_WORDS_MAX || !str_ends(w[1], STR("%")) || !percent_read(w[1], &out->percent)) return false;
    out->under = str_eq_c(w[0], "under");
    if (!out->under && !str_eq_c(w[0], "over")) return false;
    at = last ? 5 : 3;
    if (str_ends(w[at], STR(","))) w[at].n--;
    if (last ? !str_to_i64(w[4], &out->n) || !str_eq_c(w[5], "runs") : !str_eq_c(w[2], "in") || !duration_parse(w[3], &out->window_ms)) return false;
    if (n == at + 1) return true;
    return n == at + 3 && str_eq_c(w[at + 1], "min") && str_to_i64(w[at + 2], &out->min) && out->min > 0;
}

static bool rate_map(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    struct rate_draft draft = { 0 };
    const struct yaml_node *limit;
    if (!fields_decode(&rule_tables[RULE_TABLE_RATE], c->a, n, c->d, &draft, NULL, NULL)) return false;
    limit = draft.over ? draft.over : draft.under;
    if (!draft.over == !draft.under || !draft.last == !draft.in_ms) {
        yaml_error(c->d, n, "a rate has one of `over` and `under`, and one of `last` and `in`: {over: 20, last: 50}");
        return false;
    }
    if (limit->kind != YAML_SCALAR || !percent_read(limit->text, &out->percent)) {
        yaml_error(c->d, limit, "wants a number of percent, as 20");
        return false;
    }
    out->under = draft.under != NULL;
    out->n = draft.last;
    out->window_ms = draft.in_ms;
    out->min = draft.min;
    return true;
}

static bool rate_ranges(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    bool last = out->window_ms == 0, percent = out->under ? out->percent > 0 && out->percent <= 100 : out->percent >= 0 && out->percent < 100;
    if (out->min == 0) out->min = last ? out->n : RATE_MIN;
    if (!percent)
        yaml_error(c->d, n, "this never rings: no share is %s %.6g%%", out->under ? "under" : "over", out->percent)->hint = STR("a number of percent from 0 to 100");
    else if (last ? out->n < 1 || out->n > RULE_RATE_MAX : out->window_ms < 1)
        yaml_error(c->d, n, "a rate is of the last 1 to %d runs, or in a time above 0", RULE_RATE_MAX);
    else if (last && out->min > out->n)
        yaml_error(c->d, n, "this never rings: of the last %lld runs there are never %lld", (long long)out->n, (long long)out->min);
    else
        return true;
    return false;
}

static bool rate_parse(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    if (n->kind == YAML_MAP ? !rate_map(c, n, out) : n->kind != YAML_SCALAR || !rate_words(n->text, out))
        return n->kind == YAML_MAP ? false : wants(c, n, rate_form);
    return rate_ranges(c, n, out);
}

/* --- which one ----------------------------------------------------------------------------------------- */
bool condition_parse(struct compile *c, const struct rule_draft *draft, struct rule_condition *out)
{
    const struct { const struct yaml_node *n; enum rule_condition_kind kind; bool (*parse)(struct compile *, const struct yaml_node *, struct rule_condition *); } all[] = {
        { draft->count, RULE_COUNT, count_parse },
        { draft->streak, RULE_STREAK, streak_parse },
        { draft->first, RULE_FIRST, first_parse },
        { draft->flaps, RULE_FLAPS, flaps_parse },
        { draft->rate, RULE_RATE, rate_parse },
        { draft->absent, RULE_ABSENT, absent_parse },
        { draft->lasts, RULE_LASTS, lasts_parse },
    };
    const struct yaml_node *first = NULL;
    bool ok = true;
    *out = (struct rule_condition){ .kind = RULE_EVERY_HIT };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        if (!all[k].n) continue;
        if (first) {
            yaml_error_key(c->d, all[k].n, "a rule has one condition: `" STR_FMT "` stands beside `" STR_FMT "`", STR_ARG(all[k].n->key), STR_ARG(first->key))->hint =
                STR("write two rules");
            return false;
        }
        first = all[k].n;
        out->kind = all[k].kind;
        ok = all[k].parse(c, first, out);
    }
    return ok;
}

/* --- conditions on a population ------------------------------------------------------------------------ */
static uint32_t states_of(unsigned class)
{
    uint32_t states = 0;
    for (uint32_t s = 0; s < RUN_STATES; s++)
        if (run_state_class((enum run_state)s) & class) states |= 1u << s;
    return states;
}

bool rule_on_population(const struct rule_condition *c)
{
    return c->kind == RULE_STREAK || c->kind == RULE_FLAPS || c->kind == RULE_RATE;
}

uint32_t rule_population_states(const struct rule_condition *c)
{
    return states_of(RUN_CLASS_FINISHED) & ~(c->canceled ? 0 : 1u << RUN_CANCELED);
}

static const char *condition_name(const struct rule_condition *c)
{
    static const char *const names[] = { [RULE_EVERY_HIT] = "", [RULE_COUNT] = "count", [RULE_STREAK] = "streak", [RULE_FIRST] = "first", [RULE_FLAPS] = "flaps", [RULE_RATE] = "rate",
                                         [RULE_LASTS] = "lasts", [RULE_ABSENT] = "absent" };
    return names[c->kind];
}

/* A run that is no hit has no error to be keyed by: where it may ring, too, it has to be known whose run it is. */
static void key_check(struct compile *c, const struct yaml_node *at, const struct rule *r)
{
    bool any_run = r->condition.kind == RULE_FLAPS || r->condition.under;
    for (size_t i = 0; any_run && i < r->by_count; i++) {
        if (!rule_field_is_outcome(r->by[i].id)) continue;
        yaml_error_key(c->d, at, "`%s` looks at hits and other runs of one key, and `by` has `" STR_FMT "`, which differs between them", r->condition.under ? "under" : "flaps",
                       STR_ARG(r->by[i].text))->hint =
            STR("leave it out of `by`");
        return;
    }
}

static bool has_outcome(const struct match *m)
{
    if (m->kind == MATCH_TEST) return rule_field_is_outcome(m->field.id);
    for (size_t i = 0; i < m->child_count; i++)
        if (has_outcome(m->children[i])) return true;
    return false;
}

/* Where the status stands, or else what asks for one. */
static const struct yaml_node *status_node(const struct yaml_node *n, const char *name)
{
    const struct yaml_node *when = yaml_get(n, "when"), *status = when && when->kind == YAML_MAP ? yaml_get(when, "status") : NULL;
    return status ? status : yaml_get(n, name);
}

/* The first final state that a hit can be in; RUN_UNKNOWN: there is none. */
static enum run_state final_hit(struct compile *c, const struct rule *r)
{
    struct run run;
    struct transition t = { .kind = TRANSITION_NEW };
    struct rule_subject s;
    run_init(&run);
    run.present = RUN_HAS_STATE;
    for (int state = RUN_UNKNOWN + 1; state < RUN_STATES; state++) {
        if (!(run_state_class((enum run_state)state) & RUN_CLASS_FINISHED)) continue;
        run.state = t.state = (enum run_state)state;
        rule_subject_init(&s, c->a, &run, &t, 0);
        if (rule_could_hit(r, &s, RUN_HAS_STATE)) return (enum run_state)state;
    }
    return RUN_UNKNOWN;
}

/* A run that is over stays what it is for ever; and what never is a state cannot last. */
static void lasts_check(struct compile *c, const struct yaml_node *n, const struct rule *r)
{
    enum run_state over = final_hit(c, r);
    if (over != RUN_UNKNOWN && !match_names_field(r->when, RULE_STATUS))
        yaml_error_key(c->d, yaml_get(n, "lasts"), "`lasts` is about states that a run leaves, and `when` names no status: a run that has ended would stay a hit for ever")->hint =
            STR("add a status, as `status: EXECUTING` or `status: active`");
    else if (over != RUN_UNKNOWN)
        yaml_error(c->d, status_node(n, "lasts"), "`lasts` is about states that a run leaves, and `when` takes %s: a run stays in that for ever", run_state_name(over))->hint =
            STR("name states of runs under way: EXECUTING, QUEUED, WAITING and the like, or `active`; without `lasts` a final state rings at once");
    else if (match_states(r->when) == 1u << RUN_REATTEMPTING)
        yaml_warning(c->d, status_node(n, "lasts"), "this hardly ever rings: today's Trigger.dev tells of retries by attempts, and no run stays in REATTEMPTING")->hint =
            STR("name EXECUTING or QUEUED: each attempt starts `lasts` anew");
}

/* A run that is still under way belongs to no row, and without an outcome there is nothing to tell hits by. */
void condition_check(struct compile *c, const struct yaml_node *n, struct rule *r)
{
    const char *name = condition_name(&r->condition);
    const struct yaml_node *at = yaml_get(n, name), *when = yaml_get(n, "when");
    bool names_status = match_names_field(r->when, RULE_STATUS);
    if (r->condition.kind == RULE_ABSENT) absent_check(c, n, r);
    if (r->condition.kind == RULE_LASTS) lasts_check(c, n, r);
    if (!rule_on_population(&r->condition)) return;
    key_check(c, at, r);
    r->condition.canceled = names_status && (match_states(r->when) >> RUN_CANCELED & 1);
    if (!has_outcome(r->when))
        yaml_error_key(c->d, at, "`%s` tells hits from other runs, and `when` names no outcome: every finished run would be a hit", name)->hint =
            STR("add a status, as `status: failed`, or a test of duration, cost or error");
    else if (names_status && (match_states(r->when) & ~states_of(RUN_CLASS_FINISHED)))
        yaml_error(c->d, when && when->kind == YAML_MAP && yaml_get(when, "status") ? yaml_get(when, "status") : at,
                   "`%s` is about finished runs, and `when` takes a state that is not final", name)->hint =
            STR("name final states: failed, success, TIMED_OUT and the like; for runs under way there are `count` and `lasts`");
}

/* --- for people and for shapes ------------------------------------------------------------------------- */
static struct str rate_text(const struct rule_condition *c, struct arena *a, struct str span)
{
    const char *limit = c->under ? "under" : "over";
    if (c->window_ms) return str_printf(a, "%s %.6g%% in " STR_FMT ", min %lld", limit, c->percent, STR_ARG(span), (long long)c->min);
    if (c->min == c->n) return str_printf(a, "%s %.6g%% of last %lld runs", limit, c->percent, (long long)c->n);
    return str_printf(a, "%s %.6g%% of last %lld runs, min %lld", limit, c->percent, (long long)c->n, (long long)c->min);
}

struct str rule_condition_text(const struct rule_condition *c, struct arena *a)
{
    char text[TIMEFMT_SIZE];
    struct str span = duration_format(c->window_ms, text);
    if (c->kind == RULE_EVERY_HIT) return STR("every hit");
    if (c->kind == RULE_STREAK) return str_printf(a, "%lld in a row", (long long)c->n);
    if (c->kind == RULE_FIRST) return str_printf(a, "the first hit in " STR_FMT, STR_ARG(span));
    if (c->kind == RULE_FLAPS) return str_printf(a, "%lld changes of outcome in " STR_FMT, (long long)c->n, STR_ARG(span));
    if (c->kind == RULE_RATE) return rate_text(c, a, span);
    if (c->kind == RULE_ABSENT) return absent_text(c, a);
    if (c->kind == RULE_LASTS) return str_printf(a, STR_FMT " without a break", STR_ARG(span));
    if (c->of) return str_printf(a, "%lld of " STR_FMT " in " STR_FMT, (long long)c->n, STR_ARG(c->of->text), STR_ARG(span));
    return str_printf(a, "%lld %s in " STR_FMT, (long long)c->n, c->of_runs ? "runs" : "hits", STR_ARG(span));
}

/* What of a condition is part of a rule's shape. The first line is as it always was: a shape that changes with the
 * version of runbell would end every open incident at the update. */
void condition_shape(const struct rule_condition *c, struct strbuf *out)
{
    strbuf_printf(out, "\n%d %lld %lld %d", (int)c->kind, (long long)c->n, (long long)c->window_ms, (int)c->of_runs);
    if (c->kind == RULE_RATE) strbuf_printf(out, "\n%s %.17g min %lld", c->under ? "under" : "over", c->percent, (long long)c->min);
    if (c->kind == RULE_ABSENT) absent_shape(c, out);
    if (!c->of) return;
    strbuf_c(out, "\nof ");
    strbuf_str(out, c->of->text);
}

/* --- what is counted ----------------------------------------------------------------------------------- */
size_t rule_counted_values(const struct rule *r, struct rule_subject *s, struct str *out, size_t max)
{
    return rule_subject_key_values(r->condition.of, s, out, max);
}
