/* engine: `lasts` against a naive model. Random runs go through random states, in one attempt after another; what they were
 * is told late, twice, or in another order. The model goes through all that is known of every run after each report, and
 * knows nothing of timers. CONDITION_EVENTS (20000) is how many reports there are, SEED where the rounds begin: a failure
 * prints the seed of its round. */
#include <stdlib.h>

#include "engine_testing.h"

static uint64_t below(uint64_t *state, uint64_t n)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % n;
}

static size_t number(const char *name, size_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

/* --- the world ------------------------------------------------------------------------------------------------------ */
enum { RUNS = 12, KEYS = 3, LIVES = 40, ROUND = 250 };
struct live_run {
    size_t life;            /* each begins as a run of its own */
    int key, value;         /* value: of metadata.v, as last told by a report of its state; 0 = none */
    bool value_known, ripe, forgotten;
    int64_t attempt;
    struct run_known known;
};
struct world {
    struct bench b;
    uint64_t random;
    bool by_value, clears;
    uint32_t states;        /* that are hits */
    int64_t lasts_ms;
    int at_least;
    struct live_run runs[RUNS];
    int64_t reports;
    bool open[KEYS];
    size_t opened, joined, left;
};
static const enum run_state active[] = { RUN_QUEUED, RUN_DEQUEUED, RUN_EXECUTING, RUN_WAITING, RUN_REATTEMPTING };
enum { ACTIVE = sizeof active / sizeof *active };

/* --- the model ------------------------------------------------------------------------------------------------------ */
static bool is_hit(const struct world *w, const struct live_run *r, enum run_state s)
{
    return w->states >> s & 1 && (!w->by_value || r->value == 1);
}

/* From its first report on: since when has it been a hit without a break? INT64_MAX: it is none. */
static int64_t since(const struct world *w, const struct live_run *r)
{
    int64_t at = INT64_MAX;
    for (size_t k = 0; k < r->known.seen_count; k++) {
        const struct run_seen *s = &r->known.seen[k];
        if (s->derived) {
            if (at != INT64_MAX) at = s->event_ms;
            continue;
        }
        if (run_state_class(s->state) & RUN_CLASS_FINISHED) return INT64_MAX;
        if (!is_hit(w, r, s->state)) at = INT64_MAX;
        else if (at == INT64_MAX || s->state == RUN_REATTEMPTING) at = s->event_ms;
    }
    return at;
}

static int still(const struct world *w, int key)
{
    int n = 0;
    for (int k = 0; k < RUNS; k++) n += w->runs[k].key == key && w->runs[k].ripe && !w->runs[k].forgotten;
    return n;
}

static void joins(struct world *w, struct live_run *r)
{
    r->ripe = true;
    r->forgotten = false;
    w->joined++;
    if (w->open[r->key] || still(w, r->key) < w->at_least) return;
    w->open[r->key] = true;
    w->opened++;
}

static void leaves(struct world *w, struct live_run *r)
{
    r->ripe = false;
    if (still(w, r->key) == 0) w->open[r->key] = false;
}

/* What is over its time by now; one that begins anew leaves first. */
static void model_now(struct world *w)
{
    for (int k = 0; k < RUNS; k++) {
        struct live_run *r = &w->runs[k];
        int64_t at = since(w, r);
        bool ripe = at != INT64_MAX && at + w->lasts_ms <= w->b.now_ms;
        if (r->ripe && !ripe) leaves(w, r);
        if (!r->ripe && ripe) joins(w, r);
    }
}

/* --- the engine's side ------------------------------------------------------------------------------------------------ */
static void feed(struct world *w, int number_of, enum run_state state, int64_t event_ms, int value)
{
    struct bench *b = &w->b;
    struct live_run *r = &w->runs[number_of];
    struct run run;
    struct transition t[TRANSITIONS_MAX];
    struct engine_input in = { .kind = ENGINE_EVENT };
    struct err err;
    size_t n;
    run_init(&run);
    run.id = str_printf(&b->a, "run_%d_%zu", number_of, r->life);
    run.task = str_printf(&b->a, "task-%d", r->key);
    run.project = run.env = STR("default");
    run.kind = STR("run");
    run.state = state;
    run.spelling = str_c(run_state_name(state));
    run.updated_ms = event_ms;
    run.present = RUN_HAS_TASK | RUN_HAS_STATE | RUN_HAS_UPDATED;
    if (run_state_class(state) & RUN_CLASS_FINISHED) run.finished_ms = event_ms;
    if (r->attempt > 0 && below(&w->random, 2)) {
        run.present |= RUN_HAS_ATTEMPT;
        run.attempt_count = r->attempt;
    }
    if (value) {
        run.present |= RUN_HAS_METADATA;
        assert_int_equal(json_parse(&b->a, str_printf(&b->a, "{\"v\":\"v%d\"}", value), &json_default_limits, &run.metadata, NULL, &err), 0);
    }
    in.u.event.run = &run;
    in.u.event.event_id = 1000 + (uint64_t)w->reports;
    in.u.event.known = &r->known;
    n = run_transitions(&b->a, &run, &r->known, b->now_ms, 0, in.u.event.event_id, t);
    for (size_t k = 0; k < n; k++) {
        in.u.event.transition = &t[k];
        if (t[k].kind != TRANSITION_DUPLICATE && t[k].current) r->value = value;
        step(b, &in);
    }
    until(b, b->now_ms - start_ms);
}

static void world_open(struct world *w, uint64_t seed)
{
    char rules[512], states[128] = "";
    memset(w, 0, sizeof *w);
    w->random = seed;
    w->by_value = below(&w->random, 3) == 0;
    w->clears = below(&w->random, 3) > 0;
    w->lasts_ms = 1000 * (60 + (int64_t)below(&w->random, 1800));
    w->at_least = 1 + (int)below(&w->random, 3);
    while (w->states == 0 || w->states == 1u << RUN_REATTEMPTING)
        for (size_t k = 0; k < ACTIVE; k++)
            if (below(&w->random, 2)) w->states |= 1u << active[k];
    for (size_t k = 0; k < ACTIVE; k++)
        if (w->states >> active[k] & 1) snprintf(states + strlen(states), sizeof states - strlen(states), "%s%s", *states ? ", " : "", run_state_name(active[k]));
    snprintf(rules, sizeof rules,
             "rules:\n  r:\n    when: {status: [%s]%s}\n    lasts: %llds\n    at_least: %d\n    resolve: %s\n    linger: 0s\n    repeat: never\n    limit: 1000 per 1s\n"
             "    notify: hook\n",
             states, w->by_value ? ", metadata.v: v1" : "", (long long)w->lasts_ms / 1000, w->at_least, w->clears ? "clears" : "manual");
    bench_open(&w->b, rules);
    restart(&w->b, w->b.rules);
    until(&w->b, HOUR); /* the rule was there before the first run */
    for (int k = 0; k < RUNS; k++) w->runs[k].key = (int)below(&w->random, KEYS);
}

/* --- a round ---------------------------------------------------------------------------------------------------------- */
/* Most reports are of now, every third is late; now and then one more attempt has begun, and seldom the run ends. */
static void report_something(struct world *w)
{
    int which = (int)below(&w->random, RUNS);
    struct live_run *r = &w->runs[which];
    enum run_state state = active[below(&w->random, ACTIVE)];
    int64_t event_ms = w->b.now_ms - (below(&w->random, 3) ? 0 : (int64_t)below(&w->random, 1800000));
    if (below(&w->random, 4) == 0) r->attempt++;
    if (below(&w->random, 8) == 0) state = below(&w->random, 2) ? RUN_COMPLETED : RUN_FAILED;
    feed(w, which, state, event_ms, (int)below(&w->random, 3));
    model_now(w);
    if (!run_known_state(&r->known) || !(run_state_class(run_known_state(&r->known)->state) & RUN_CLASS_FINISHED) || below(&w->random, 2)) return;
    *r = (struct live_run){ .life = r->life + 1, .key = (int)below(&w->random, KEYS) }; /* nothing more is told of it */
}

static void resolve_by_hand(struct world *w)
{
    uint64_t ids[KEYS];
    size_t n = engine_incidents(w->b.e, STR("r"), ids, KEYS);
    for (size_t k = 0; k < n; k++) command(&w->b, ENGINE_RESOLVE, ids[k], 0);
    for (int key = 0; key < KEYS; key++) w->open[key] = false;
    for (int k = 0; k < RUNS && !w->clears; k++) w->runs[k].forgotten |= w->runs[k].ripe;
}

static size_t model_open(const struct world *w)
{
    size_t n = 0;
    for (int key = 0; key < KEYS; key++) n += w->open[key];
    return n;
}

static struct str play(uint64_t seed, size_t restart_at, struct arena *a, size_t *opened)
{
    struct world *w = xcalloc(1, sizeof *w);
    struct str transcript;
    world_open(w, seed);
    w->b.trim_always = restart_at != SIZE_MAX; /* what a run was is then read back whenever it is asked for */
    for (size_t k = 0; k < ROUND; k++) {
        if (k == restart_at) restart(&w->b, w->b.rules);
        w->reports++;
        until(&w->b, w->b.now_ms - start_ms + (int64_t)below(&w->random, 240000));
        model_now(w);
        report_something(w);
        if (below(&w->random, 16) == 0) resolve_by_hand(w);
        if (engine_stats(w->b.e).incidents_open != model_open(w) || count_notes(&w->b, "opened") != w->opened)
            fail_msg("SEED=%llu, report %zu: the engine has %zu open after %zu openings, the model %zu after %zu", (unsigned long long)seed, k,
                     engine_stats(w->b.e).incidents_open, count_notes(&w->b, "opened"), model_open(w), w->opened);
        if (count_notes(&w->b, "hit") != w->joined)
            fail_msg("SEED=%llu, report %zu: %zu hits, the model has %zu", (unsigned long long)seed, k, count_notes(&w->b, "hit"), w->joined);
    }
    *opened += w->opened;
    transcript = str_dup(a, strbuf_view(&w->b.transcript));
    bench_close(&w->b);
    free(w);
    return transcript;
}

/* The same with a restart somewhere in the middle, and with nothing kept in memory, says the same. */
static void test_lasts(void **state)
{
    size_t most = number("CONDITION_EVENTS", 20000), opened = 0, twice = 0;
    uint64_t seed = number("SEED", 1);
    (void)state;
    for (size_t done = 0; done < most; done += ROUND, seed++) {
        struct arena a = { 0 };
        struct str straight = play(seed, SIZE_MAX, &a, &opened), restarted = play(seed, 20 + seed * 7 % 200, &a, &twice);
        if (!str_eq(straight, restarted)) fail_msg("SEED=%llu: after a restart it went another way", (unsigned long long)seed);
        arena_fini(&a);
    }
    assert_true(opened > most / ROUND); /* or it says nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_lasts) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
