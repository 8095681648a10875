/* engine: under load. A storm is few messages and exact counts; what is overdue all at once fires in steps that fit in memory;
 * many rows and many rules come and go. */
#include "base/clock.h"
#include "engine_testing.h"

static const char *run_id(struct bench *b, const char *prefix, size_t k)
{
    return str_printf(&b->a, "%s_%zu", prefix, k).p;
}

/* --- a storm ------------------------------------------------------------------------------------------------------- */
struct counts { long long total, open; };

/* "99980 more incidents, 99980 still open" */
static struct counts counts_of(struct bench *b, const struct said *s)
{
    const char *title = str_dup(&b->a, said_field(b, s, "title")).p, *comma = strchr(title, ',');
    assert_true(comma && strstr(title, " more incidents") && strstr(comma, " still open"));
    return (struct counts){ strtoll(title, NULL, 10), strtoll(comma + 1, NULL, 10) };
}

static bool is_digest(const struct said *s)
{
    return s->incident == 0;
}

/* Of each digest, what it said last; -1: nothing. */
static struct counts told_in_digests(struct bench *b, const char *place)
{
    struct counts sum = { 0, 0 };
    for (size_t k = 0; k < b->said.n; k++) {
        const struct said *s = &b->said.v[k];
        bool last = is_digest(s) && str_eq_c(s->destination, place);
        for (size_t j = k + 1; last && j < b->said.n; j++) last = !is_digest(&b->said.v[j]) || !str_eq(b->said.v[j].lane, s->lane);
        if (!last) continue;
        sum.total += counts_of(b, s).total;
        sum.open += counts_of(b, s).open;
    }
    return sum;
}

static size_t openings(const struct bench *b, const char *place, int64_t from_ms, int64_t to_ms)
{
    size_t n = 0;
    for (size_t k = 0; k < b->said.n; k++) {
        const struct said *s = &b->said.v[k];
        n += !is_digest(s) && s->kind == MESSAGE_OPEN && str_eq_c(s->destination, place) && s->at_ms >= from_ms && s->at_ms < to_ms;
    }
    return n;
}

static size_t digests(const struct bench *b, const char *place, int64_t from_ms, int64_t to_ms)
{
    size_t n = 0;
    for (size_t k = 0; k < b->said.n; k++)
        n += is_digest(&b->said.v[k]) && str_eq_c(b->said.v[k].destination, place) && b->said.v[k].at_ms >= from_ms && b->said.v[k].at_ms < to_ms;
    return n;
}

enum { STORM = 100000, LIMIT = 20 };

static void storm(struct bench *b, const char *prefix, size_t n, int64_t from_ms)
{
    for (size_t k = 0; k < n; k++) report(b, FAILED(run_id(b, prefix, k), from_ms + (int64_t)(k * MINUTE / n)));
}

static void test_a_storm_is_few_messages_and_exact_counts(void **state)
{
    static const char *const places[] = { "chat", "hook", "pager" };
    struct bench b;
    int64_t before = clock_mono(clock_system()).ms;
    (void)state;
    bench_open(&b, "defaults: {limit: 20 per 1m, linger: 0s, resolve: 1h quiet}\n"
                   "rules: {r: {when: {status: failed}, by: run, repeat: never, notify: [chat, hook, pager]}}");
    b.lazy = true;
    storm(&b, "run", STORM, 0);
    until(&b, 3 * MINUTE);
    for (size_t k = 0; k < 3; k++) {
        size_t told = openings(&b, places[k], start_ms, start_ms + MINUTE);
        assert_int_equal(told, LIMIT);
        assert_int_equal(told_in_digests(&b, places[k]).total, STORM - LIMIT);
        assert_int_equal(told_in_digests(&b, places[k]).open, STORM - LIMIT);
        assert_int_equal(openings(&b, places[k], start_ms, start_ms + HOUR), LIMIT);
        /* at once, and then one in each minute, or an edit every ten seconds */
        assert_in_range(digests(&b, places[k], start_ms, start_ms + MINUTE), 1, k == 0 ? 6 : 1);
    }
    assert_int_equal(engine_stats(b.e).incidents_open, STORM);
    until(&b, 2 * HOUR); /* all are quiet; then a second, smaller one has digests of its own */
    assert_int_equal(engine_stats(b.e).incidents_open, 0);
    storm(&b, "more", 1000, 2 * HOUR);
    until(&b, 4 * HOUR);
    for (size_t k = 0; k < 3; k++) {
        assert_int_equal(told_in_digests(&b, places[k]).total, STORM + 1000 - 2 * LIMIT);
        assert_int_equal(told_in_digests(&b, places[k]).open, 0);
        assert_int_equal(count_said(&b, places[k], MESSAGE_OPEN), 2 * LIMIT);
    }
    print_message("%d incidents told to three places: %lld ms\n", STORM, (long long)(clock_mono(clock_system()).ms - before));
    bench_close(&b);
}

/* --- many things overdue ---------------------------------------------------------------------------------------------- */
enum { OVERDUE = 25000, FIRED_MOST = 10000 };

static void test_what_is_overdue_fires_once_in_bounded_steps(void **state)
{
    struct bench b;
    struct engine_input tick = { .kind = ENGINE_TICK };
    size_t ticks = 0;
    (void)state;
    bench_open(&b, "defaults: {limit: 1000000 per 1s, resolve: manual, repeat: never}\n"
                   "rules: {r: {when: {status: failed}, by: run, notify: chat, escalate: {15m: pager}}}");
    b.lazy = b.hold_verdicts = true;
    for (size_t k = 0; k < OVERDUE; k++) report(&b, FAILED(run_id(&b, "run", k), (int64_t)k));
    b.now_ms += 24 * (int64_t)HOUR; /* nobody was there */
    while (engine_next_due(b.e) <= b.now_ms) {
        size_t said = b.said.n;
        step(&b, &tick);
        ticks++;
        assert_in_range(b.said.n - said, 1, FIRED_MOST);
    }
    assert_int_equal(ticks, (OVERDUE + FIRED_MOST - 1) / FIRED_MOST);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), OVERDUE);
    assert_true(strstr(str_dup(&b.a, last_said(&b, "pager")->content).p, "late") != NULL);
    bench_close(&b);
}

/* --- many rows, many rules ----------------------------------------------------------------------------------------------- */
static void test_rows_come_back_in_any_order(void **state)
{
    enum { MANY = 500 };
    struct bench b;
    struct engine_output out;
    struct err err;
    uint64_t ids[MANY];
    (void)state;
    bench_open(&b, "rules: {r: {when: {status: failed}, by: [task, error.message], notify: chat}}");
    for (size_t k = 0; k < MANY; k++) report(&b, (struct report){ .run = run_id(&b, "run", k), .state = RUN_FAILED, .at_ms = (int64_t)k, .error = run_id(&b, "e", k) });
    engine_free(&b.e);
    b.e = bench_engine(&b, b.rules);
    for (size_t k = b.rows.n; k-- > 0;) { /* newest first; of each its last row */
        bool last = true;
        for (size_t j = k + 1; j < b.rows.n; j++) last &= b.rows.v[j].id != b.rows.v[k].id;
        if (last) assert_int_equal(engine_restore_incident(b.e, &b.rows.v[k], &err), 0);
    }
    engine_output_init(&out, &b.a);
    assert_int_equal(engine_restored(b.e, b.now_ms, &out, &err), 0);
    engine_output_fini(&out);
    assert_int_equal(engine_incidents(b.e, STR("r"), ids, MANY), MANY);
    for (size_t k = 1; k < MANY; k++) assert_true(ids[k - 1] < ids[k]);
    for (size_t k = 0; k < MANY; k += 7) assert_int_equal(command(&b, ENGINE_RESOLVE, ids[k], 0), 0);
    assert_int_equal(engine_stats(b.e).incidents_open, MANY - (MANY + 6) / 7);
    report(&b, SUCCEEDED("run_good", 2 * MANY, 2 * MANY - 1)); /* they are found by their task, too */
    until(&b, 20 * MINUTE);
    assert_int_equal(engine_stats(b.e).incidents_open, 0);
    bench_close(&b);
}

/* Rule k is changed where k is odd. */
static struct ruleset *many_rules(struct bench *b, size_t n, int64_t odd)
{
    struct strbuf text;
    struct ruleset *rs;
    strbuf_init(&text, 1 << 20);
    strbuf_c(&text, "rules:\n");
    for (size_t k = 0; k < n; k++)
        strbuf_printf(&text, "  r%zu: {when: {status: failed, task: job-%zu}, by: run, count: %lld in 1h, notify: chat}\n", k, k % 10, (long long)(k % 2 ? odd : 3));
    rs = compile(b, strbuf_view(&text).p);
    strbuf_fini(&text);
    return rs;
}

static void test_windows_of_changed_rules_go(void **state)
{
    enum { RULES = 200, RUNS = 300 };
    struct bench b;
    (void)state;
    bench_open(&b, "rules: {}");
    b.lazy = true;
    reload(&b, many_rules(&b, RULES, 3));
    for (size_t k = 0; k < RUNS; k++)
        report(&b, (struct report){ .run = run_id(&b, "run", k), .task = str_printf(&b.a, "job-%zu", k % 10).p, .state = RUN_FAILED, .at_ms = (int64_t)k });
    assert_int_equal(engine_stats(b.e).windows, RUNS * RULES / 10);
    reload(&b, many_rules(&b, RULES, 4));
    assert_int_equal(engine_stats(b.e).windows, RUNS * RULES / 10 / 2);
    reload(&b, many_rules(&b, RULES, 4));
    assert_int_equal(engine_stats(b.e).windows, RUNS * RULES / 10 / 2);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_storm_is_few_messages_and_exact_counts),
        cmocka_unit_test(test_what_is_overdue_fires_once_in_bounded_steps),
        cmocka_unit_test(test_rows_come_back_in_any_order),
        cmocka_unit_test(test_windows_of_changed_rules_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
