/* engine: `absent` against a naive model. Random hits, late, repeated, of keys that are named or were seen; sources that tell at once
 * or lag; people who resolve by hand. The model keeps every hit it ever heard of and looks through all of them each time. ABSENT_EVENTS
 * (20000) is how many steps there are, SEED where the rounds begin: a failure prints the seed of its round. */
#include <stdlib.h>

#include "engine_testing.h"

static uint64_t below(uint64_t *state, uint64_t n)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % n;
}

/* --- the world ------------------------------------------------------------------------------------------------------ */
enum kind { EVERY, CRON };
enum { KEYS = 3, HITS_MAX = 400, STEPS = 200 };
struct watched { /* one key */
    bool there, open, armed;
    int64_t slot_ms; /* CRON, armed: the time that is not decided yet */
    int64_t hits[HITS_MAX];
    size_t hit_count;
};
struct world {
    struct bench b;
    enum kind kind;
    uint64_t random;
    bool named, lags;
    int64_t every_ms, grace_ms, minute; /* CRON: every hour at that minute */
    int64_t told_ms;
    struct watched keys[KEYS];
    size_t opened;
};

/* --- the model ------------------------------------------------------------------------------------------------------ */
static int64_t newest(const struct watched *k)
{
    int64_t at = INT64_MIN;
    for (size_t n = 0; n < k->hit_count; n++)
        if (k->hits[n] > at) at = k->hits[n];
    return at;
}

static int64_t slot_after(const struct world *w, int64_t after_ms)
{
    int64_t at = after_ms / HOUR * HOUR + w->minute * MINUTE - HOUR;
    while (at <= after_ms) at += HOUR;
    return at;
}

static bool any_between(const struct watched *k, int64_t from_ms, int64_t to_ms)
{
    for (size_t n = 0; n < k->hit_count; n++)
        if (k->hits[n] >= from_ms && k->hits[n] <= to_ms) return true;
    return false;
}

/* Up to when it is known what happened. */
static int64_t known_ms(const struct world *w)
{
    return w->lags && w->told_ms < w->b.now_ms ? w->told_ms : w->b.now_ms;
}

static void arm(const struct world *w, struct watched *k)
{
    int64_t last = newest(k), from = last > start_ms - 1 ? last : start_ms - 1;
    k->armed = true;
    k->slot_ms = slot_after(w, from);
}

static void miss(struct world *w, struct watched *k)
{
    w->opened++;
    if (w->kind == CRON && newest(k) > k->slot_ms + w->grace_ms) { /* it is over already */
        arm(w, k);
        return;
    }
    k->open = true;
    k->armed = false;
}

static void look_every(struct world *w, struct watched *k)
{
    int64_t last = newest(k);
    if (last < start_ms) last = start_ms;
    if (last + w->every_ms + w->grace_ms <= known_ms(w)) miss(w, k);
}

static void look_cron(struct world *w, struct watched *k)
{
    while (k->armed) {
        if (any_between(k, k->slot_ms, k->slot_ms + w->grace_ms)) arm(w, k);
        else if (k->slot_ms + w->grace_ms <= known_ms(w)) miss(w, k);
        else return;
    }
}

static void look(struct world *w)
{
    for (int n = 0; n < KEYS; n++) {
        struct watched *k = &w->keys[n];
        if (!k->there || !k->armed) continue;
        if (w->kind == EVERY) look_every(w, k);
        else look_cron(w, k);
    }
}

static void model_hit(struct world *w, struct watched *k, int64_t event_ms)
{
    int64_t before = newest(k), due;
    k->hits[k->hit_count++] = event_ms;
    if (!k->there) {
        k->there = true;
        arm(w, k);
    } else if (!k->armed && event_ms > before) {
        due = (w->kind == EVERY ? event_ms + w->every_ms : slot_after(w, event_ms)) + w->grace_ms;
        if (due > w->b.now_ms || (k->open && due > known_ms(w))) {
            k->open = false;
            arm(w, k);
        }
    }
}

/* --- the engine's side ---------------------------------------------------------------------------------------------- */
static void tell_sources(struct world *w)
{
    struct engine_source s = { STR("s"), STR("default"), STR_NONE, (1 << RUN_STATES) - 1, (RUN_HAS_STATE << 1) - 1, start_ms, w->lags ? w->told_ms : ENGINE_NEVER };
    struct engine_input in = { .kind = ENGINE_SOURCES };
    in.u.sources.v = &s;
    in.u.sources.n = 1;
    step(&w->b, &in);
}

static void begin_again(struct world *w)
{
    restart(&w->b, w->b.rules);
    tell_sources(w);
}

static const char *condition(const struct world *w, char *text, size_t room)
{
    if (w->kind == EVERY) snprintf(text, room, "{every: %llds, grace: %llds}", (long long)w->every_ms / 1000, (long long)w->grace_ms / 1000);
    else snprintf(text, room, "{cron: \"%lld * * * *\", grace: %llds}", (long long)w->minute, (long long)w->grace_ms / 1000);
    return text;
}

static void world_open(struct world *w, enum kind kind, uint64_t seed)
{
    char rules[512], text[128];
    memset(w, 0, sizeof *w);
    w->random = seed;
    w->kind = kind;
    w->named = below(&w->random, 2);
    w->lags = below(&w->random, 2);
    w->every_ms = 1000 * (60 + (int64_t)below(&w->random, 3600));
    w->minute = (int64_t)below(&w->random, 60);
    w->grace_ms = 1000 * (int64_t)below(&w->random, kind == CRON ? 5400 : 600); /* beyond the next time, too */
    snprintf(rules, sizeof rules, "rules:\n  r:\n    when: {%sstatus: success}\n    absent: %s\n    linger: 0s\n    repeat: never\n    limit: 1000 per 1s\n    notify: hook\n",
             w->named ? "task: [task-0, task-1, task-2], env: prod, " : "", condition(w, text, sizeof text));
    bench_open(&w->b, rules);
    w->told_ms = start_ms;
    begin_again(w);
    for (int n = 0; n < KEYS && w->named; n++) {
        w->keys[n].there = true;
        arm(w, &w->keys[n]);
    }
}

/* --- a round -------------------------------------------------------------------------------------------------------- */
static void hit(struct world *w, size_t number)
{
    int n = (int)below(&w->random, KEYS);
    struct watched *k = &w->keys[n];
    int64_t event_ms = w->b.now_ms - (below(&w->random, 2) ? 0 : (int64_t)below(&w->random, below(&w->random, 2) ? 600000 : 7200000));
    if (k->hit_count && below(&w->random, 5) == 0) event_ms = k->hits[below(&w->random, k->hit_count)]; /* once more */
    if (event_ms == start_ms) event_ms++;
    report(&w->b, (struct report){ .run = str_printf(&w->b.a, "run_%zu", number).p, .task = str_printf(&w->b.a, "task-%d", n).p, .state = RUN_COMPLETED,
                                   .at_ms = w->b.now_ms - start_ms, .event_ms = event_ms - start_ms });
    model_hit(w, k, event_ms);
}

static void resolve_by_hand(struct world *w)
{
    uint64_t ids[KEYS];
    size_t n = engine_incidents(w->b.e, STR("r"), ids, KEYS);
    for (size_t k = 0; k < n; k++) command(&w->b, ENGINE_RESOLVE, ids[k], 0);
    for (int k = 0; k < KEYS; k++) w->keys[k].open = false;
}

static void tell_further(struct world *w)
{
    w->told_ms += (int64_t)below(&w->random, (uint64_t)(w->b.now_ms - w->told_ms) + 1);
    tell_sources(w);
    tick(&w->b);
}

static void check(struct world *w, uint64_t seed, size_t step)
{
    size_t open = 0;
    for (int k = 0; k < KEYS; k++) open += w->keys[k].open;
    if (engine_stats(w->b.e).incidents_open == open && count_notes(&w->b, "opened") == w->opened) return;
    fail_msg("kind %d, SEED=%llu, step %zu: the engine has %zu open after %zu openings, the model %zu after %zu", (int)w->kind, (unsigned long long)seed, step,
             engine_stats(w->b.e).incidents_open, count_notes(&w->b, "opened"), open, w->opened);
}

static struct str play(enum kind kind, uint64_t seed, size_t restart_at, struct arena *a)
{
    struct world *w = xcalloc(1, sizeof *w);
    struct str transcript;
    world_open(w, kind, seed);
    for (size_t k = 0; k < STEPS; k++) {
        if (k == restart_at) begin_again(w);
        until(&w->b, w->b.now_ms - start_ms + (int64_t)below(&w->random, below(&w->random, 4) ? 600000 : 3600000));
        look(w);
        if (below(&w->random, 3)) hit(w, k);
        if (w->lags && below(&w->random, 2)) tell_further(w);
        until(&w->b, w->b.now_ms - start_ms);
        look(w);
        if (below(&w->random, 12) == 0) resolve_by_hand(w);
        check(w, seed, k);
    }
    transcript = str_dup(a, strbuf_view(&w->b.transcript));
    bench_close(&w->b);
    free(w);
    return transcript;
}

/* The same with a restart somewhere in the middle says the same. */
static void against_the_model(enum kind kind)
{
    const char *text = getenv("ABSENT_EVENTS"), *seed_text = getenv("SEED");
    size_t most = text ? strtoul(text, NULL, 10) : 20000, opened = 0;
    uint64_t seed = seed_text ? strtoul(seed_text, NULL, 10) : 1;
    for (size_t done = 0; done < most; done += STEPS, seed++) {
        struct arena a = { 0 };
        struct str straight = play(kind, seed, SIZE_MAX, &a), restarted = play(kind, seed, 20 + seed * 7 % 170, &a);
        if (!str_eq(straight, restarted)) fail_msg("kind %d, SEED=%llu: after a restart it went another way", (int)kind, (unsigned long long)seed);
        opened += str_find_str(straight, STR(" opened ")) < straight.n;
        arena_fini(&a);
    }
    assert_true(opened * 2 > most / STEPS); /* or it says nothing */
}

static void test_every(void **state)
{
    (void)state;
    against_the_model(EVERY);
}

static void test_cron(void **state)
{
    (void)state;
    against_the_model(CRON);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_every), cmocka_unit_test(test_cron) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
