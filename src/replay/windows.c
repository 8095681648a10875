#include "replay/windows.h"

#include "base/clock.h"
#include "base/id.h"
#include "replay/history.h"

enum {
    KEYS_MAX = 16, CEILING = 1 << 20,
    SKEW_MS = 300000,    /* an event can be that much newer than its arrival */
    DAY_MS = 86400000,
    ROW_DAYS = 7         /* a row of runs has no length in time: so much of the log is looked at, and less where that is too long */
};

/* --- one transition and one rule ----------------------------------------------------------------------------------- */
bool windows_concern(const struct rule *r, struct rule_subject *s)
{
    if (rule_matches(r, s)) return true;
    return rule_on_population(&r->condition) && (rule_population_states(&r->condition) >> s->transition->state & 1) && rule_in_population(r, s);
}

bool windows_asked_before(const struct rule *r)
{
    return r->condition.kind == RULE_FIRST;
}

struct str windows_text(struct engine *e, const struct rule *r, struct rule_subject *s, struct arena *a, bool *holds)
{
    struct rule_key keys[KEYS_MAX];
    size_t n = windows_concern(r, s) ? rule_keys(r, s, keys, KEYS_MAX) : 0, found = 0;
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, CEILING);
    struct str text;
    *holds = false;
    json_array_begin(w);
    for (size_t i = 0; i < n; i++) {
        struct engine_window_name name = { r->name, s->run->project, s->run->env, keys[i].key, s->run->id };
        enum engine_window has = engine_describe_window(e, &name, s->transition->event_ms, w);
        found += has != ENGINE_NO_WINDOW;
        *holds |= has == ENGINE_WINDOW_HOLDS;
    }
    json_array_end(w);
    text = json_draft_end(&d, a);
    return found ? text : STR("");
}

/* --- the log, again ---------------------------------------------------------------------------------------------------- */
static void take(struct windows *x, struct engine *e, const struct history_judged *j, bool before)
{
    const struct ruleset *rs = x->setup.config->rules;
    const struct store_run *run = x->setup.run;
    struct rule_subject s;
    if (!str_eq(j->event->run, run->run) || !str_eq(j->event->env, run->env) || !str_eq(j->event->project, run->project)) return;
    rule_subject_init(&s, x->setup.arena, j->run, j->transition, j->event->arrival_ms);
    for (size_t k = 0; k < rs->rule_count; k++) {
        struct window_seen seen = { j->event->id, j->transition->attempt, j->transition->state, rs->rules[k]->name, STR_NONE, false };
        if (windows_asked_before(rs->rules[k]) != before || rs->rules[k]->condition.window_ms > x->back_ms) continue;
        seen.text = windows_text(e, rs->rules[k], &s, x->setup.arena, &seen.holds);
        if (seen.text.n) *vec_push(&x->list) = seen;
    }
}

static void take_before(void *ctx, struct engine *e, const struct history_judged *j)
{
    take(ctx, e, j, true);
}

static void take_behind(void *ctx, struct engine *e, const struct history_judged *j)
{
    take(ctx, e, j, false);
}

static bool is_late(const struct windows *x)
{
    return clock_mono(clock_system()).ms > x->setup.deadline_ms;
}

static bool has_time(void *ctx, int64_t at_ms, uint64_t events)
{
    struct windows *x = ctx;
    (void)at_ms;
    x->cut_short = events > (x->setup.events_max ? x->setup.events_max : WINDOWS_EVENTS_MAX) || is_late(x);
    return !x->cut_short;
}

/* How much of the log the windows of the rules are made of; 0 = none has one. *exact: no more would change them. */
static int64_t look_back(const struct ruleset *rs, bool *exact)
{
    int64_t most = 0;
    *exact = true;
    for (size_t k = 0; k < rs->rule_count; k++) {
        const struct rule_condition *c = &rs->rules[k]->condition;
        int64_t ms = c->kind == RULE_ABSENT ? 0 : c->window_ms; /* that one's clock is told of as it is now */
        if (rule_on_population(c) && c->window_ms == 0) {
            ms = (int64_t)ROW_DAYS * DAY_MS;
            *exact = false;
        }
        if (ms > most) most = ms;
    }
    return most;
}

static int fold(struct windows *x, int64_t first_ms, int64_t until_ms, int64_t back_ms, struct err *err)
{
    struct history_ear ear = { .ctx = x, .judging = take_before, .judged = take_behind, .page = has_time };
    struct history h;
    int rc;
    vec_clear(&x->list);
    x->cut_short = false;
    x->back_ms = back_ms;
    x->from_ms = first_ms - back_ms;
    history_init(&h, x->setup.config, &ear);
    rc = history_learn_sources(&h, x->setup.reader, err);
    if (rc == 0) rc = history_read(&h, x->setup.reader, x->from_ms - SKEW_MS, until_ms + 1, err);
    history_fini(&h);
    if (x->cut_short) vec_clear(&x->list);
    return rc;
}

int windows_read(struct windows *x, const struct windows_setup *setup, struct err *err)
{
    const struct run_known *k = setup->known;
    int64_t from_ms = INT64_MAX, until_ms = 0, back_ms;
    bool exact;
    *x = (struct windows){ .setup = *setup };
    back_ms = look_back(setup->config->rules, &exact);
    if (back_ms == 0 || k->seen_count == 0) return 0;
    for (size_t i = 0; i < k->seen_count; i++) {
        int64_t arrived_ms = id_wall_ms(k->seen[i].event_id), early_ms = arrived_ms < k->seen[i].event_ms ? arrived_ms : k->seen[i].event_ms;
        if (early_ms < from_ms) from_ms = early_ms;
        if (arrived_ms > until_ms) until_ms = arrived_ms;
    }
    if (id_wall_ms(setup->run->last_event) > until_ms) until_ms = id_wall_ms(setup->run->last_event);
    if (fold(x, from_ms, until_ms, back_ms, err) < 0) return -1;
    /* Where rows are what is looked back for, a shorter look says more than none. */
    while (x->cut_short && !exact && back_ms > DAY_MS / 24 && !is_late(x)) {
        back_ms /= 8;
        if (fold(x, from_ms, until_ms, back_ms, err) < 0) return -1;
    }
    return 0;
}

void windows_fini(struct windows *x)
{
    vec_free(&x->list);
}

const struct window_seen *windows_find(const struct windows *x, struct str rule, uint64_t event, const struct transition *t)
{
    for (size_t k = 0; k < x->list.n; k++) {
        const struct window_seen *s = &x->list.v[k];
        if (s->event == event && s->attempt == t->attempt && s->state == t->state && str_eq(s->rule, rule)) return s;
    }
    return NULL;
}
