/* replay: what is known of runs in memory; the fold of a log; what a comparison finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/id.h"
#include "base/rng.h"
#include "replay/backtest.h"
#include "replay/explain.h"
#include "replay/memory.h"
#include "replay/windows.h"

#define MINUTE INT64_C(60000)
#define HOUR INT64_C(3600000)
#define T0 INT64_C(1777800000000)

/* --- memory ------------------------------------------------------------------------------------------------------- */
static struct str written(struct arena *a, const struct run_known *k)
{
    struct json_draft d;
    run_known_write(k, json_draft_begin(&d, 1 << 20));
    return json_draft_end(&d, a);
}

/* Kept, recalled, judged and kept again: the same as never having left the arena. */
static void test_memory_is_what_was_known(void **state)
{
    static const enum run_state states[] = { RUN_EXECUTING, RUN_REATTEMPTING, RUN_WAITING, RUN_UNKNOWN, RUN_CRASHED };
    struct arena a = { 0 }, kept = { 0 };
    struct rng rng;
    (void)state;
    rng_seed(&rng, 7);
    for (int round = 0; round < 50; round++) {
        struct memory m = { NULL };
        struct run_known known = { .exists = false };
        assert_false(memory_recall(&m).exists);
        for (int k = 0; k < 90; k++) {
            struct transition t[TRANSITIONS_MAX];
            struct run one, two;
            struct str tags[] = { STR("a"), STR("") };
            struct run_known recalled = memory_recall(&m);
            run_init(&one);
            one.id = STR("run_1");
            one.project = one.env = STR("default");
            one.state = states[rng_below(&rng, k < 80 ? 4 : 5)];
            one.spelling = str_printf(&kept, "state-%d", (int)rng_below(&rng, 3));
            one.updated_ms = T0 + (int64_t)rng_below(&rng, 100) * MINUTE;
            one.present = RUN_HAS_UPDATED | RUN_HAS_STATE;
            if (rng_below(&rng, 2)) {
                one.task = STR("sync");
                one.queue = STR("");
                one.tags = tags;
                one.tag_count = 2;
                one.present |= RUN_HAS_TASK | RUN_HAS_TAGS | RUN_HAS_QUEUE;
            }
            two = one;
            assert_int_equal(run_transitions(&kept, &one, &known, T0 + k, 0, (uint64_t)k + 1, t),
                             run_transitions(&a, &two, &recalled, T0 + k, 0, (uint64_t)k + 1, t));
            memory_keep(&m, &recalled);
            arena_reset(&a);
            recalled = memory_recall(&m);
            {
                struct str wanted = written(&kept, &known), got = written(&kept, &recalled);
                if (!str_eq(wanted, got)) fail_msg("round %d, report %d:\n" STR_FMT "\n" STR_FMT, round, k, STR_ARG(wanted), STR_ARG(got));
            }
        }
        memory_fini(&m);
    }
    arena_fini(&a);
    arena_fini(&kept);
}

/* --- a log ---------------------------------------------------------------------------------------------------------- */
static struct rule_destination places[] = { { .name = { "chat", 4 }, .type = { "slack", 5 }, .edits = true } };

struct bed {
    struct config config;
    struct diags d;
    struct store *store;
    struct store_batch batch;
    struct id_gen ids;
    struct store_reader *reader;
};

static struct ruleset *rules_of(struct bed *b, const char *rules)
{
    struct rule_file file;
    struct rule_world w = { &file, 1, places, 1, STR_NONE, false };
    struct ruleset *rs;
    file = (struct rule_file){ yaml_read(&b->config.arena, "t.yaml", str_printf(&b->config.arena, "version: 1\nrules:\n%s", rules), &b->d), false };
    rs = ruleset_compile(&b->config.arena, &w, &b->d);
    assert_non_null(rs);
    return rs;
}

static void bed_open(struct bed *b, const char *rules)
{
    struct err err;
    *b = (struct bed){ .store = store_memory_open() };
    diags_init(&b->d, &b->config.arena);
    store_batch_init(&b->batch);
    b->config.rules = rules_of(b, rules);
    b->reader = b->store->ops->reader_open(b->store, &err);
}

static void bed_close(struct bed *b)
{
    b->reader->ops->close(&b->reader);
    b->store->ops->close(&b->store);
    store_batch_fini(&b->batch);
    ruleset_fini(b->config.rules);
    diags_fini(&b->d);
    arena_fini(&b->config.arena);
}

static void add_late(struct bed *b, int64_t arrival_ms, int64_t at_ms, const char *run, enum run_state state)
{
    struct arena *a = &b->config.arena;
    struct json_draft d;
    struct run r;
    struct err err;
    run_init(&r);
    r.id = str_c(run);
    r.project = r.env = STR("default");
    r.task = STR("sync");
    r.kind = STR("run");
    r.state = state;
    r.spelling = str_c(run_state_name(state));
    r.updated_ms = T0 + at_ms;
    r.present = RUN_HAS_TASK | RUN_HAS_UPDATED | RUN_HAS_STATE;
    run_write(&r, json_draft_begin(&d, 1 << 16));
    *vec_push(&b->batch.events) = (struct store_event){
        .id = id_next(&b->ids, T0 + arrival_ms), .source = STR("hook"), .project = r.project, .env = r.env, .run = r.id, .status = r.spelling,
        .state = r.spelling, .event_ms = T0 + at_ms, .arrival_ms = T0 + arrival_ms, .body = json_draft_end(&d, a),
    };
    assert_int_equal(b->store->ops->commit(b->store, &b->batch, &err), 0);
    store_batch_clear(&b->batch);
}

static void add(struct bed *b, int64_t at_ms, const char *run, enum run_state state)
{
    add_late(b, at_ms, at_ms, run, state);
}

static const struct backtest_line *line(const struct backtest *b, const char *rule, const char *destination)
{
    for (size_t k = 0; k < b->list.n; k++)
        if (str_eq_c(b->list.v[k]->rule, rule) && (destination ? str_eq_c(b->list.v[k]->destination, destination) : str_absent(b->list.v[k]->destination)))
            return b->list.v[k];
    fail_msg("no line of %s", rule);
    return NULL;
}

#define CRASHES "  crashed: {when: {status: CRASHED}, notify: chat, update: 1m, repeat: 1h then 1d, resolve: 3h quiet}\n"

static void test_timers_fire_at_their_own_moment(void **state)
{
    struct bed b;
    struct backtest t;
    struct err err;
    (void)state;
    bed_open(&b, CRASHES);
    add(&b, 0, "run_1", RUN_CRASHED);
    add(&b, 10, "run_2", RUN_CRASHED);
    add(&b, 20, "run_2", RUN_CRASHED); /* nothing new */
    add(&b, 9 * HOUR, "run_3", RUN_CRASHED);
    backtest_init(&t, &b.config, T0, T0 + 10 * HOUR);
    assert_int_equal(backtest_read(&t, b.reader, HOUR, &err), 0);
    assert_int_equal(t.history.events, 4);
    assert_int_equal(line(&t, "crashed", NULL)->openings, 2);
    assert_int_equal(line(&t, "crashed", NULL)->resolves, 1);
    assert_int_equal(line(&t, "crashed", "chat")->sent[MESSAGE_REMINDER], 2);
    assert_int_equal(line(&t, "crashed", "chat")->sent[MESSAGE_RESOLVE], 1);
    assert_int_equal(t.messages.v[0].at_ms, T0);
    assert_int_equal(t.messages.v[1].at_ms, T0 + MINUTE); /* the update with the second hit */
    assert_int_equal(t.messages.v[2].at_ms, T0 + HOUR);
    assert_int_equal(line(&t, "crashed", "chat")->last_ms, T0 + 10 * HOUR);
    backtest_fini(&t);
    bed_close(&b);
}

/* Nobody waits where no source of the configuration brings anything; where one does, named tasks are missed from the start on. */
static void test_what_stayed_away(void **state)
{
    struct bed b;
    struct config_source push = { .name = STR("hook"), .type = SOURCE_WEBHOOK, .project = STR_NONE, .env = STR_NONE };
    struct backtest t;
    struct err err;
    (void)state;
    bed_open(&b, "  quiet: {when: {task: [sync, import], env: default}, absent: 2h, linger: 0s, repeat: never, notify: chat}\n");
    b.config.sources = &push;
    b.config.source_count = 1;
    add(&b, 0, "run_1", RUN_COMPLETED);
    add(&b, 3 * HOUR, "run_2", RUN_COMPLETED);
    backtest_init(&t, &b.config, T0 - HOUR, T0 + 6 * HOUR);
    assert_int_equal(backtest_read(&t, b.reader, 0, &err), 0);
    assert_int_equal(line(&t, "quiet", NULL)->openings, 3); /* import once, sync twice */
    assert_int_equal(t.messages.v[0].at_ms, T0 + HOUR);
    assert_int_equal(t.messages.v[1].at_ms, T0 + 2 * HOUR);
    backtest_fini(&t);
    push.project = STR("shop");
    backtest_init(&t, &b.config, T0 - HOUR, T0 + 6 * HOUR);
    assert_int_equal(backtest_read(&t, b.reader, 0, &err), 0);
    assert_int_equal(line(&t, "quiet", NULL)->openings, 2); /* both of shop; what is told of default is of nobody's */
    backtest_fini(&t);
    bed_close(&b);
}

static void test_what_never_opened_does_not_resolve(void **state)
{
    struct bed b;
    struct backtest t;
    struct err err;
    (void)state;
    bed_open(&b, "  two: {when: {status: CRASHED}, at_least: 2, notify: chat, resolve: 1h quiet}\n"
                 "  each: {when: {status: CRASHED}, by: run, notify: chat, resolve: 1h quiet}\n");
    add(&b, 0, "run_1", RUN_CRASHED);
    backtest_init(&t, &b.config, T0, T0 + 10 * HOUR);
    assert_int_equal(backtest_read(&t, b.reader, HOUR, &err), 0);
    assert_int_equal(line(&t, "two", NULL)->openings, 0);
    assert_int_equal(line(&t, "two", NULL)->resolves, 0);
    assert_int_equal(line(&t, "each", NULL)->resolves, 1);
    backtest_fini(&t);
    bed_close(&b);
}

/* Imported: it came at once, in some order, long after. */
static void test_history_can_be_told_as_it_happened(void **state)
{
    struct bed b;
    struct backtest t;
    struct err err;
    (void)state;
    bed_open(&b, CRASHES);
    add_late(&b, 500 * HOUR, 9 * HOUR, "run_3", RUN_CRASHED);
    add_late(&b, 500 * HOUR, 0, "run_1", RUN_CRASHED);
    add_late(&b, 500 * HOUR, 10, "run_2", RUN_CRASHED);
    add_late(&b, 500 * HOUR, 30 * HOUR, "run_4", RUN_CRASHED); /* after what is asked for */
    backtest_init(&t, &b.config, T0, T0 + 10 * HOUR);
    t.as_it_happened = true;
    assert_int_equal(backtest_read(&t, b.reader, HOUR, &err), 0);
    assert_int_equal(t.history.events, 3);
    assert_int_equal(t.openings.n, 2);
    assert_int_equal(t.openings.v[0].at_ms, T0);
    assert_int_equal(t.openings.v[1].at_ms, T0 + 9 * HOUR);
    assert_int_equal(line(&t, "crashed", NULL)->resolves, 1);
    assert_int_equal(t.messages.v[1].at_ms, T0 + MINUTE);
    backtest_fini(&t);
    bed_close(&b);
}

static void count_it(void *ctx, const struct backtest_opening *o)
{
    (void)o;
    ++*(size_t *)ctx;
}

static void test_a_comparison_finds_what_is_only_in_one(void **state)
{
    struct bed b;
    struct backtest one, two;
    struct config other;
    struct err err;
    size_t told = 0;
    (void)state;
    bed_open(&b, "  runs: {when: {status: failed}, by: run, notify: chat}\n");
    other = b.config;
    other.rules = rules_of(&b, "  runs: {when: {status: CRASHED}, by: run, notify: chat}\n");
    for (int k = 0; k < 2500; k++) add(&b, k * 10, str_printf(&b.config.arena, "run_%d", k).p, k % 5 ? RUN_FAILED : RUN_CRASHED); /* some pages */
    backtest_init(&one, &b.config, T0, T0 + HOUR);
    backtest_init(&two, &other, T0, T0 + HOUR);
    assert_int_equal(backtest_read(&one, b.reader, 0, &err), 0);
    assert_int_equal(backtest_read(&two, b.reader, 0, &err), 0);
    assert_int_equal(one.openings.n, 2500);
    assert_int_equal(two.openings.n, 500);
    assert_int_equal(backtest_missing(&one, &two, count_it, &told), 2000);
    assert_int_equal(told, 2000);
    assert_int_equal(backtest_missing(&two, &one, NULL, NULL), 0);
    assert_int_equal(backtest_missing(&one, &one, NULL, NULL), 0);
    backtest_fini(&one);
    backtest_fini(&two);
    ruleset_fini(other.rules);
    bed_close(&b);
}

/* --- explain ---------------------------------------------------------------------------------------------------------- */
static void test_a_damaged_log_is_an_error_and_an_unknown_run_is_none(void **state)
{
    struct bed b;
    struct backtest t;
    struct err err = { 0 };
    struct json_draft d;
    struct explain_setup setup = { .run = STR("run_1"), .project = STR_NONE, .env = STR_NONE };
    (void)state;
    bed_open(&b, CRASHES);
    setup.config = &b.config;
    setup.reader = b.reader;
    setup.arena = &b.config.arena;
    assert_int_equal(explain_run(&setup, json_draft_begin(&d, 1 << 20), &err), 0);
    assert_int_equal(json_draft_end(&d, &b.config.arena).n, 0);
    add(&b, 0, "run_1", RUN_CRASHED);
    *vec_push(&b.batch.events) = (struct store_event){ .id = id_next(&b.ids, T0 + 1), .source = STR(""), .project = STR(""), .env = STR(""),
                                                        .run = STR("run_2"), .status = STR(""), .state = STR(""), .body = STR("{\"id\":7") };
    assert_int_equal(b.store->ops->commit(b.store, &b.batch, &err), 0);
    store_batch_clear(&b.batch);
    backtest_init(&t, &b.config, T0, T0 + HOUR);
    assert_int_equal(backtest_read(&t, b.reader, 0, &err), -1);
    assert_true(err.msg[0] != '\0');
    backtest_fini(&t);
    bed_close(&b);
}

/* --- windows ------------------------------------------------------------------------------------------------------------ */
/* As `explain` asks for them: of the run's transition k. */
static struct str window_of(struct bed *b, const char *rule, const char *run, enum run_state is, uint64_t event, uint64_t events_max, struct windows *w)
{
    struct run_seen seen = { .state = is, .event_id = event, .event_ms = id_wall_ms(event) };
    struct run_known known = { .exists = true, .seen = &seen, .seen_count = 1 };
    struct store_run row = { .run = str_c(run), .project = STR("default"), .env = STR("default"), .last_event = event };
    struct windows_setup setup = { .config = &b->config, .reader = b->reader, .arena = &b->config.arena, .run = &row, .known = &known,
                                   .deadline_ms = INT64_MAX, .events_max = events_max };
    struct transition t = { .state = is };
    const struct window_seen *found;
    struct err err;
    struct str text;
    assert_int_equal(windows_read(w, &setup, &err), 0);
    found = windows_find(w, str_c(rule), event, &t);
    text = found ? found->text : STR("");
    windows_fini(w);
    return text;
}

static void expect_in(struct str text, const char *part)
{
    if (str_find_str(text, str_c(part)) == text.n) fail_msg("no %s in " STR_FMT, part, STR_ARG(text));
}

static void test_windows_are_counted_again(void **state)
{
    struct bed b;
    struct windows w;
    struct str text;
    uint64_t third, second, good;
    (void)state;
    bed_open(&b, "  row: {when: {status: failed}, streak: 5, notify: chat}\n"
                 "  new: {when: {status: failed}, first: 7d, notify: chat}\n"
                 "  two: {when: {status: failed}, count: 2 in 1h, notify: chat}\n"
                 "  each: {when: {status: failed}, notify: chat}\n");
    add(&b, 0, "run_1", RUN_CRASHED);
    add(&b, 2 * HOUR, "run_2", RUN_CRASHED);
    second = b.ids.last;
    add(&b, 3 * HOUR, "run_3", RUN_COMPLETED);
    good = b.ids.last;
    add(&b, 3 * HOUR + MINUTE, "run_4", RUN_CRASHED);
    third = b.ids.last;
    add(&b, 3 * HOUR + 2 * MINUTE, "run_5", RUN_CRASHED); /* later: not seen by those before */
    text = window_of(&b, "row", "run_2", RUN_CRASHED, second, 0, &w);
    expect_in(text, "\"count\":2,\"of\":5");
    assert_true(w.from_ms == T0 + 2 * HOUR - 7 * 24 * HOUR);
    text = window_of(&b, "row", "run_4", RUN_CRASHED, third, 0, &w);
    expect_in(text, "\"count\":1,\"of\":5");
    expect_in(text, "\"hit\":false},{\"at\":\"2026-05-03T12:21:");
    text = window_of(&b, "row", "run_3", RUN_COMPLETED, good, 0, &w); /* no hit, and it broke the row */
    expect_in(text, "\"count\":0,\"of\":5");
    text = window_of(&b, "new", "run_4", RUN_CRASHED, third, 0, &w);
    expect_in(text, "\"last_seen\":\"2026-05-03T11:20:00.000Z\"");
    expect_in(text, "\"holds\":false");
    expect_in(window_of(&b, "two", "run_4", RUN_CRASHED, third, 0, &w), "\"count\":1,\"of\":2");
    assert_int_equal(window_of(&b, "two", "run_3", RUN_COMPLETED, good, 0, &w).n, 0);
    assert_int_equal(window_of(&b, "each", "run_4", RUN_CRASHED, third, 0, &w).n, 0);
    bed_close(&b);
}

/* A row has no length in time: where all of it is too long to read, the newest part of it is told. */
static void test_long_logs_are_read_from_later_on(void **state)
{
    struct bed b;
    struct windows w;
    struct str text;
    uint64_t last;
    (void)state;
    bed_open(&b, "  row: {when: {status: failed}, streak: 9, notify: chat}\n  two: {when: {status: failed}, count: 99 in 6d, notify: chat}\n");
    for (int k = 0; k < 2000; k++) add(&b, k * 10, str_printf(&b.config.arena, "run_%d", k).p, RUN_COMPLETED); /* two pages, days ago */
    for (int k = 0; k < 3; k++) add(&b, 6 * 24 * HOUR + k, str_printf(&b.config.arena, "bad_%d", k).p, RUN_CRASHED);
    last = b.ids.last;
    text = window_of(&b, "row", "bad_2", RUN_CRASHED, last, 1000, &w);
    expect_in(text, "\"count\":3,\"of\":9");
    assert_false(w.cut_short);
    assert_true(w.from_ms > T0 + 5 * 24 * HOUR);
    text = window_of(&b, "two", "bad_2", RUN_CRASHED, last, 1000, &w);
    assert_int_equal(text.n, 0); /* its window is longer than what was read: no half truth */
    text = window_of(&b, "two", "bad_2", RUN_CRASHED, last, 0, &w);
    expect_in(text, "\"count\":3,\"of\":99");
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_what_was_known),
        cmocka_unit_test(test_timers_fire_at_their_own_moment),
        cmocka_unit_test(test_what_never_opened_does_not_resolve),
        cmocka_unit_test(test_what_stayed_away),
        cmocka_unit_test(test_history_can_be_told_as_it_happened),
        cmocka_unit_test(test_a_comparison_finds_what_is_only_in_one),
        cmocka_unit_test(test_a_damaged_log_is_an_error_and_an_unknown_run_is_none),
        cmocka_unit_test(test_windows_are_counted_again),
        cmocka_unit_test(test_long_logs_are_read_from_later_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
