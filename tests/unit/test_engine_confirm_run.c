/* engine: `confirm: true` of rules that ring on a hit: the run is read again before the incident opens. */
#include "lasts_testing.h"

enum { SECOND = 1000 };
#define ASKS(more) "rules:\n  r:\n    when: {status: failed}\n    confirm: true\n    repeat: never\n    linger: 0s\n    notify: [chat, hook]\n" more
#define FAILS(run_, at_) (struct tell){ .run = run_, .state = RUN_FAILED, .at_ms = at_ }

static void open_asking(struct bench *b, const char *rules)
{
    open_bench(b, rules);
    b->rereads = true;
    restart(b, b->rules);
}

static void test_it_opens_when_the_source_says_so_too(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, ASKS(""));
    tell(&b, FAILS("run_a", 1));
    assert_int_equal(b.asked.n, 1);
    assert_true(str_eq_c(b.asked.v[0].run, "run_a"));
    tell(&b, FAILS("run_a", 2 * SECOND)); /* the webhook again: nobody asked for that */
    assert_int_equal(b.said.n, 0);
    answer(&b, FAILS("run_a", 3 * SECOND));
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_int_equal(said_field(&b, last_said(&b, "chat"), "note").n, 0);
    until(&b, HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_int_equal(b.asked.n, 1);
    tell(&b, FAILS("run_b", HOUR)); /* it is open: nobody is asked */
    assert_int_equal(b.asked.n, 1);
    bench_close(&b);
}

static void test_it_does_not_open_when_the_run_has_moved_on(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, ASKS(""));
    tell(&b, FAILS("run_a", 1));
    answer(&b, (struct tell){ .run = "run_a", .state = RUN_EXECUTING, .at_ms = 2 * SECOND, .event_ms = 2 * SECOND });
    until(&b, HOUR);
    assert_int_equal(b.said.n, 0);
    assert_int_equal(state_of(&b, first(&b)), INCIDENT_RESOLVED);
    tell(&b, FAILS("run_b", HOUR + 1)); /* the next one is asked for anew */
    assert_int_equal(b.asked.n, 2);
    answer(&b, FAILS("run_b", HOUR + 2 * SECOND));
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_nobody_answers(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, ASKS(""));
    tell(&b, FAILS("run_a", 1));
    until(&b, 30 * SECOND);
    assert_int_equal(b.said.n, 0);
    until(&b, 30 * SECOND + 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_true(str_starts(said_field(&b, last_said(&b, "chat"), "note"), STR("not confirmed")));
    bench_close(&b);
}

static void test_there_is_nobody_to_ask(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, ASKS(""));
    tell(&b, FAILS("run_a", 1));
    unread(&b, "run_other");
    assert_int_equal(b.said.n, 0);
    unread(&b, "run_a");
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_int_equal(said_field(&b, last_said(&b, "chat"), "note").n, 0);
    bench_close(&b);
    open_bench(&b, ASKS("")); /* in tests and backtests */
    tell(&b, FAILS("run_a", 1));
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_a_count_asks_when_it_is_full(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, ASKS("    count: 3 in 10m\n"));
    tell(&b, FAILS("run_a", 1));
    tell(&b, FAILS("run_b", 2));
    assert_int_equal(b.asked.n, 0);
    tell(&b, FAILS("run_c", 3));
    assert_int_equal(b.asked.n, 1);
    assert_true(str_eq_c(b.asked.v[0].run, "run_c"));
    answer(&b, FAILS("run_c", SECOND));
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_a_retry_was_a_retry(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, "rules:\n  r:\n    when: {status: REATTEMPTING}\n    by: run\n    confirm: true\n    notify: chat\n");
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_EXECUTING, .at_ms = 1, .attempts = 1 });
    tell(&b, (struct tell){ .run = "run_a", .state = RUN_EXECUTING, .at_ms = 2, .attempts = 2 });
    assert_int_equal(b.asked.n, 1);
    answer(&b, (struct tell){ .run = "run_a", .state = RUN_EXECUTING, .at_ms = SECOND, .attempts = 2 });
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_after_a_restart_it_is_asked_again(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, ASKS(""));
    tell(&b, FAILS("run_a", 1));
    until(&b, 20 * SECOND);
    restart(&b, b.rules);
    assert_int_equal(b.asked.n, 2);
    until(&b, 45 * SECOND);
    assert_int_equal(b.said.n, 0);
    answer(&b, FAILS("run_a", 46 * SECOND));
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

/* A storm does not become a storm of questions: the others open when the time is over, and say so. */
static void test_no_more_questions_than_a_source_answers(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, "rules:\n  r:\n    when: {status: failed}\n    by: run\n    confirm: true\n    limit: 100000 per 1s\n    notify: hook\n");
    for (int k = 0; k < 1200; k++) report(&b, FAILED(str_dup_c(&b.a, str_printf(&b.a, "run_%d", k)), 1));
    assert_int_equal(b.asked.n, 1000);
    until(&b, 30 * SECOND + 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1200);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_opens_when_the_source_says_so_too),
        cmocka_unit_test(test_it_does_not_open_when_the_run_has_moved_on),
        cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_there_is_nobody_to_ask),
        cmocka_unit_test(test_a_count_asks_when_it_is_full),
        cmocka_unit_test(test_a_retry_was_a_retry),
        cmocka_unit_test(test_after_a_restart_it_is_asked_again),
        cmocka_unit_test(test_no_more_questions_than_a_source_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
