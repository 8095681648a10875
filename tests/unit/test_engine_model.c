/* engine: every condition against a naive model. Random reports, late, repeated and completed afterwards, under random
 * rules; the model keeps every run it ever heard of and computes everything anew each time. CONDITION_EVENTS (5000) is
 * how many reports each condition gets, SEED where the rounds begin: a failure prints the seed of its round. */
#include <stdlib.h>

#include "engine_testing.h"

/* --- what is random ------------------------------------------------------------------------------------------------- */
static uint64_t below(uint64_t *state, uint64_t n)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % n;
}

static size_t events_wanted(void)
{
    const char *text = getenv("CONDITION_EVENTS");
    return text ? strtoul(text, NULL, 10) : 5000;
}

static uint64_t first_seed(void)
{
    const char *text = getenv("SEED");
    return text ? strtoul(text, NULL, 10) : 1;
}

/* --- the world ------------------------------------------------------------------------------------------------------ */
enum kind { COUNT_HITS, COUNT_RUNS, COUNT_OF, FIRST, STREAK, FLAPS, RATE_LAST, RATE_IN };
enum which { ANY_FAILURE, OF_VALUE, OF_ERROR, WITH_CANCELED, WHICHES }; /* what `when` asks for beside a failure */
enum { RUNS_MAX = 400, KEYS = 3, VALUES = 5 };
struct told_run { /* one run, as far as it was told */
    int key, value; /* of metadata.v; 0 = not told */
    enum run_state state;
    bool boom;         /* error.name is told, and Boom */
    int64_t event_ms;
    int64_t entered;   /* when it began to count, as a number of reports; 0 = it does not */
    struct run_known known;
    int full_value;
    bool full_boom;
};
struct world {
    struct bench b;
    uint64_t random;
    enum kind kind;
    enum which which;
    int64_t n, window_ms, percent, min;
    bool clears, under;
    struct told_run runs[RUNS_MAX];
    size_t run_count;
    int64_t reports;
    bool open[KEYS];
    int64_t emptied[KEYS]; /* what entered before is forgotten */
    size_t opened;         /* so often */
};

static bool is_failure(enum run_state s)
{
    return run_state_class(s) & RUN_CLASS_FAILED;
}

static bool in_population(const struct world *w, const struct told_run *r)
{
    return w->which != OF_VALUE || r->value == 1;
}

static bool is_hit(const struct world *w, const struct told_run *r)
{
    if (!in_population(w, r)) return false;
    if (w->which == WITH_CANCELED && r->state == RUN_CANCELED) return true;
    return is_failure(r->state) && (w->which != OF_ERROR || r->boom);
}

static bool on_population(const struct world *w)
{
    return w->kind >= STREAK;
}

/* Does it stand in the window at all? */
static bool is_entry(const struct world *w, const struct told_run *r)
{
    if (r->state == RUN_EXECUTING) return false; /* not told yet */
    if (w->kind == FLAPS) return is_hit(w, r) || (in_population(w, r) && r->state == RUN_COMPLETED);
    if (on_population(w)) return in_population(w, r) && (r->state != RUN_CANCELED || w->which == WITH_CANCELED);
    return is_hit(w, r) && (w->kind != COUNT_OF || r->value != 0);
}

static bool stands(const struct world *w, const struct told_run *r, int key)
{
    return r->key == key && r->entered > w->emptied[key] && is_entry(w, r);
}

/* --- the model ------------------------------------------------------------------------------------------------------ */
/* How much there is in [from, to). */
static int64_t amount(const struct world *w, int key, int64_t from_ms, int64_t to_ms)
{
    bool seen[VALUES + 1] = { false };
    int64_t n = 0;
    for (size_t k = 0; k < w->run_count; k++) {
        const struct told_run *r = &w->runs[k];
        if (!stands(w, r, key) || r->event_ms < from_ms || r->event_ms >= to_ms) continue;
        n += w->kind != COUNT_OF || !seen[r->value];
        seen[r->value] = true;
    }
    return n;
}

/* No other hit nearer than that, earlier or later: a hit that is told late is not new where a later one has rung. */
static bool is_first(const struct world *w, int key, const struct told_run *hit)
{
    for (size_t k = 0; k < w->run_count; k++) {
        const struct told_run *r = &w->runs[k];
        if (r == hit || !stands(w, r, key)) continue;
        if (r->event_ms > hit->event_ms - w->window_ms && r->event_ms < hit->event_ms + w->window_ms) return false;
    }
    return true;
}

/* Any window of the length that begins with an entry and holds the moment. */
static bool rings(const struct world *w, int key, int64_t event_ms)
{
    for (size_t k = 0; k < w->run_count; k++) {
        const struct told_run *r = &w->runs[k];
        if (!stands(w, r, key) || r->event_ms > event_ms || r->event_ms <= event_ms - w->window_ms) continue;
        if (amount(w, key, r->event_ms, r->event_ms + w->window_ms) >= w->n) return true;
    }
    return false;
}

/* The runs of a key, the oldest first, as they were told where they are alike. */
static size_t row_of(const struct world *w, int key, const struct told_run *row[RUNS_MAX])
{
    size_t n = 0;
    for (size_t k = 0; k < w->run_count; k++) {
        const struct told_run *r = &w->runs[k];
        size_t at = n;
        if (!stands(w, r, key)) continue;
        for (; at > 0 && (row[at - 1]->event_ms > r->event_ms || (row[at - 1]->event_ms == r->event_ms && row[at - 1]->entered > r->entered)); at--) row[at] = row[at - 1];
        row[at] = r;
        n++;
    }
    return n;
}

static bool streak_holds(const struct world *w, int key)
{
    const struct told_run *row[RUNS_MAX];
    size_t n = row_of(w, key, row);
    int64_t hits = 0;
    while (n > 0 && is_hit(w, row[n - 1])) {
        hits++;
        n--;
    }
    return hits >= w->n;
}

static int64_t changes_after(const struct world *w, int key, int64_t after_ms)
{
    const struct told_run *row[RUNS_MAX];
    size_t n = row_of(w, key, row);
    int64_t changes = 0;
    for (size_t k = 1; k < n; k++) changes += row[k]->event_ms > after_ms && is_hit(w, row[k]) != is_hit(w, row[k - 1]);
    return changes;
}

static int64_t newest_ms(const struct world *w, int key)
{
    const struct told_run *row[RUNS_MAX];
    size_t n = row_of(w, key, row);
    return n ? row[n - 1]->event_ms : 0;
}

struct part_of { int64_t hits, runs; };

/* Of the last n runs, or of those after a moment. */
static struct part_of rate_of(const struct world *w, int key, int64_t after_ms)
{
    const struct told_run *row[RUNS_MAX];
    struct part_of p = { 0, 0 };
    for (size_t k = row_of(w, key, row); k-- > 0;) {
        if (w->kind == RATE_LAST ? p.runs == w->n : row[k]->event_ms <= after_ms) break;
        p.hits += is_hit(w, row[k]);
        p.runs++;
    }
    return p;
}

static bool is_rate(const struct world *w)
{
    return w->kind == RATE_LAST || w->kind == RATE_IN;
}

static bool rate_rings(const struct world *w, int key, int64_t now_ms)
{
    struct part_of p = rate_of(w, key, now_ms - w->window_ms);
    if (p.runs < w->min) return false;
    return w->under ? 100 * p.hits < w->percent * p.runs : 100 * p.hits > w->percent * p.runs;
}

static bool rate_stays(const struct world *w, int key, int64_t now_ms)
{
    struct part_of p = rate_of(w, key, now_ms - w->window_ms);
    int64_t back = w->under ? 5 * w->percent + (100 - w->percent) : 4 * w->percent; /* times five */
    if (p.runs < w->min) return false;
    return w->under ? 500 * p.hits <= back * p.runs : 500 * p.hits >= back * p.runs;
}

static bool holds_still(const struct world *w, int key, int64_t now_ms)
{
    if (is_rate(w)) return rate_stays(w, key, now_ms);
    if (w->kind == STREAK) return streak_holds(w, key);
    if (w->kind == FLAPS) return changes_after(w, key, now_ms - w->window_ms) >= w->n;
    if (w->kind == FIRST) return true;
    return amount(w, key, now_ms - w->window_ms + 1, INT64_MAX) >= w->n;
}

/* A share may rise and fall again while one run after another leaves the window: every such moment is looked at. */
static void model_between(struct world *w, int64_t before_ms)
{
    for (size_t k = 0; k < w->run_count && w->kind == RATE_IN && w->clears; k++) {
        int64_t leaves_ms = w->runs[k].event_ms + w->window_ms;
        int key = w->runs[k].key;
        if (leaves_ms > before_ms && leaves_ms <= w->b.now_ms && w->open[key] && !holds_still(w, key, leaves_ms)) w->open[key] = false;
    }
}

static void model_time(struct world *w)
{
    for (int key = 0; key < KEYS && w->clears; key++)
        if (w->open[key] && !holds_still(w, key, w->b.now_ms)) w->open[key] = false;
}

static bool opens(const struct world *w, const struct told_run *r)
{
    if (w->kind == FIRST) return is_first(w, r->key, r);
    if (w->kind == STREAK) return is_hit(w, r) && holds_still(w, r->key, w->b.now_ms);
    if (w->kind == FLAPS) return holds_still(w, r->key, newest_ms(w, r->key));
    if (is_rate(w)) return rate_rings(w, r->key, newest_ms(w, r->key));
    return rings(w, r->key, r->event_ms);
}

static void model_report(struct world *w, struct told_run *r, struct told_run before)
{
    bool news = !is_entry(w, &before) || is_hit(w, &before) != is_hit(w, r);
    if (!is_entry(w, &before) && is_entry(w, r)) r->entered = w->reports;
    if (!is_entry(w, r) || !news || w->open[r->key]) return;
    if (!opens(w, r)) return;
    w->open[r->key] = true;
    w->opened++;
}

/* --- the engine's side ---------------------------------------------------------------------------------------------- */
static void feed(struct world *w, struct told_run *r, size_t number)
{
    struct bench *b = &w->b;
    struct run run;
    struct transition t[TRANSITIONS_MAX];
    struct engine_input in = { .kind = ENGINE_EVENT };
    struct err err;
    size_t n;
    run_init(&run);
    run.id = str_printf(&b->a, "run_%zu", number);
    run.task = str_printf(&b->a, "task-%d", r->key);
    run.project = run.env = STR("default");
    run.kind = STR("run");
    run.state = r->state;
    run.spelling = str_c(run_state_name(r->state));
    run.finished_ms = run.updated_ms = r->event_ms;
    run.present = RUN_HAS_TASK | RUN_HAS_STATE | RUN_HAS_FINISHED | RUN_HAS_UPDATED;
    if (r->value) {
        run.present |= RUN_HAS_METADATA;
        assert_int_equal(json_parse(&b->a, str_printf(&b->a, "{\"v\":\"v%d\"}", r->value), &json_default_limits, &run.metadata, NULL, &err), 0);
    }
    if (r->boom) {
        run.present |= RUN_HAS_ERROR;
        run.error.name = STR("Boom");
    }
    in.u.event.run = &run;
    in.u.event.event_id = 1000 + (uint64_t)w->reports;
    n = run_transitions(&b->a, &run, &r->known, b->now_ms, 0, in.u.event.event_id, t);
    for (size_t k = 0; k < n; k++) {
        in.u.event.transition = &t[k];
        if (t[k].kind != TRANSITION_DUPLICATE) step(b, &in);
    }
    until(b, b->now_ms - start_ms);
}

static const char *when_text(enum which which)
{
    switch (which) {
    case OF_VALUE: return "{status: failed, metadata.v: v1}";
    case OF_ERROR: return "{status: failed, error.name: Boom}";
    case WITH_CANCELED: return "{status: [failed, CANCELED]}";
    case ANY_FAILURE:
    case WHICHES:
    default: return "{status: failed}";
    }
}

static const char *condition_text(struct world *w, char *text, size_t room)
{
    long long n = (long long)w->n, s = (long long)w->window_ms / 1000;
    const char *limit = w->under ? "under" : "over";
    switch (w->kind) {
    case RATE_LAST: snprintf(text, room, "rate: %s %lld%% of last %lld runs, min %lld", limit, (long long)w->percent, n, (long long)w->min); break;
    case RATE_IN: snprintf(text, room, "rate: {%s: %lld, in: %llds, min: %lld}", limit, (long long)w->percent, s, (long long)w->min); break;
    case COUNT_RUNS: snprintf(text, room, "count: %lld runs in %llds", n, s); break;
    case COUNT_OF: snprintf(text, room, "count: {n: %lld, of: metadata.v, in: %llds}", n, s); break;
    case FLAPS: snprintf(text, room, "flaps: %lld in %llds", n, s); break;
    case FIRST: snprintf(text, room, "first: %llds", s); break;
    case STREAK: snprintf(text, room, "streak: %lld", n); break;
    case COUNT_HITS:
    default: snprintf(text, room, "count: %lld in %llds", n, s); break;
    }
    return text;
}

static void world_open(struct world *w, enum kind kind, uint64_t seed)
{
    char rules[512], condition[128];
    memset(w, 0, sizeof *w);
    w->random = seed;
    w->kind = kind;
    w->which = (enum which)below(&w->random, WHICHES);
    w->n = 1 + (int64_t)below(&w->random, 4);
    w->window_ms = 1000 * (60 + (int64_t)below(&w->random, 1800));
    w->clears = below(&w->random, 2);
    if (kind == RATE_LAST) w->n = 1 + (int64_t)below(&w->random, 12);
    w->under = below(&w->random, 3) == 0;
    w->percent = 5 * (w->under + (int64_t)below(&w->random, 19));
    w->min = 1 + (int64_t)below(&w->random, kind == RATE_LAST ? (uint64_t)w->n : 6);
    if (kind == FIRST) w->window_ms = w->window_ms / 4000 * 1000;
    snprintf(rules, sizeof rules, "rules:\n  r:\n    when: %s\n    %s\n    resolve: %s\n    linger: 0s\n    repeat: never\n    limit: 1000 per 1s\n    notify: hook\n",
             when_text(w->which), condition_text(w, condition, sizeof condition), w->clears ? "clears" : "manual");
    bench_open(&w->b, rules);
}

/* --- a round -------------------------------------------------------------------------------------------------------- */
static void new_run(struct world *w)
{
    static const enum run_state states[] = { RUN_FAILED, RUN_FAILED, RUN_CRASHED, RUN_COMPLETED, RUN_COMPLETED, RUN_CANCELED };
    struct told_run *r = &w->runs[w->run_count++];
    r->key = (int)below(&w->random, KEYS);
    r->state = states[below(&w->random, sizeof states / sizeof *states)];
    r->event_ms = w->b.now_ms - (below(&w->random, 3) ? 0 : (int64_t)below(&w->random, 1800000)); /* every third is late */
    r->full_value = (int)below(&w->random, VALUES + 1);
    r->full_boom = is_failure(r->state) && below(&w->random, 2);
    if (below(&w->random, 3)) { /* told whole at once */
        r->value = r->full_value;
        r->boom = r->full_boom;
    }
    feed(w, r, w->run_count - 1);
    model_report(w, r, (struct told_run){ .state = RUN_EXECUTING });
}

/* The same run once more, perhaps with what the first report lacked; a later final state changes nothing. */
static void again(struct world *w)
{
    size_t number = below(&w->random, w->run_count);
    struct told_run *r = &w->runs[number];
    struct told_run before = *r;
    if (below(&w->random, 2)) {
        r->value = r->full_value;
        r->boom = r->full_boom;
    }
    feed(w, r, number);
    model_report(w, r, before);
}

static void resolve_by_hand(struct world *w)
{
    uint64_t ids[KEYS];
    size_t n = engine_incidents(w->b.e, STR("r"), ids, KEYS);
    for (size_t k = 0; k < n; k++) command(&w->b, ENGINE_RESOLVE, ids[k], 0);
    for (int key = 0; key < KEYS; key++) {
        if (w->open[key] && !w->clears && w->kind != FIRST) w->emptied[key] = w->reports;
        w->open[key] = false;
    }
}

static size_t model_open(const struct world *w)
{
    size_t n = 0;
    for (int key = 0; key < KEYS; key++) n += w->open[key];
    return n;
}

/* What a round leaves: its transcript, for comparing. */
static struct str play(enum kind kind, uint64_t seed, size_t events, size_t restart_at, struct arena *a)
{
    struct world *w = xcalloc(1, sizeof *w);
    struct str transcript;
    int64_t before_ms;
    world_open(w, kind, seed);
    for (size_t k = 0; k < events; k++) {
        if (k == restart_at) restart(&w->b, w->b.rules);
        w->reports++;
        before_ms = w->b.now_ms;
        until(&w->b, w->b.now_ms - start_ms + (int64_t)below(&w->random, 120000));
        model_between(w, before_ms);
        model_time(w);
        if (w->run_count > 0 && below(&w->random, 4) == 0) again(w);
        else new_run(w);
        model_time(w);
        if (below(&w->random, 12) == 0) resolve_by_hand(w);
        if (engine_stats(w->b.e).incidents_open != model_open(w) || count_notes(&w->b, "opened") != w->opened)
            fail_msg("kind %d, SEED=%llu, report %zu: the engine has %zu open after %zu openings, the model %zu after %zu", (int)kind, (unsigned long long)seed, k,
                     engine_stats(w->b.e).incidents_open, count_notes(&w->b, "opened"), model_open(w), w->opened);
    }
    transcript = str_dup(a, strbuf_view(&w->b.transcript));
    bench_close(&w->b);
    free(w);
    return transcript;
}

/* The same with a restart somewhere in the middle says the same. */
static void against_the_model(enum kind kind)
{
    size_t most = events_wanted(), opened = 0;
    uint64_t seed = first_seed();
    for (size_t done = 0; done < most; done += 200, seed++) {
        struct arena a = { 0 };
        struct str straight = play(kind, seed, 200, SIZE_MAX, &a), restarted = play(kind, seed, 200, 20 + seed * 7 % 170, &a);
        if (!str_eq(straight, restarted)) fail_msg("kind %d, SEED=%llu: after a restart it went another way", (int)kind, (unsigned long long)seed);
        opened += str_find_str(straight, STR(" opened ")) < straight.n;
        arena_fini(&a);
    }
    assert_true(opened * 2 > most / 200); /* or it says nothing */
}

static void test_count(void **state)
{
    (void)state;
    against_the_model(COUNT_HITS);
}

static void test_count_runs(void **state)
{
    (void)state;
    against_the_model(COUNT_RUNS);
}

static void test_count_of_field(void **state)
{
    (void)state;
    against_the_model(COUNT_OF);
}

static void test_first(void **state)
{
    (void)state;
    against_the_model(FIRST);
}

static void test_flaps(void **state)
{
    (void)state;
    against_the_model(FLAPS);
}

static void test_rate_of_last_runs(void **state)
{
    (void)state;
    against_the_model(RATE_LAST);
}

static void test_rate_in_a_time(void **state)
{
    (void)state;
    against_the_model(RATE_IN);
}

static void test_streak(void **state)
{
    (void)state;
    against_the_model(STREAK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_count_runs),
        cmocka_unit_test(test_count_of_field),
        cmocka_unit_test(test_streak),
        cmocka_unit_test(test_first),
        cmocka_unit_test(test_flaps),
        cmocka_unit_test(test_rate_of_last_runs),
        cmocka_unit_test(test_rate_in_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
