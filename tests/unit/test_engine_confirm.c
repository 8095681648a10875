/* engine: rules with `confirm`: before an incident of `lasts` opens, its run is read again. */
#include "lasts_testing.h"

enum { SECOND = 1000 };

static void open_asking(struct bench *b, const char *rules)
{
    open_bench(b, rules);
    b->rereads = true;
    for (size_t k = 0; k < b->rules->rule_count; k++) assert_true(b->rules->rules[k]->confirm); /* as is said of nothing else */
    restart(b, b->rules);
}

static void test_it_is_asked_and_opens(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, STUCK(""));
    tell(&b, EXECUTES("run_a", 1));
    until(&b, 30 * MINUTE + 1);
    assert_int_equal(b.asked.n, 1);
    assert_true(str_eq_c(b.asked.v[0].run, "run_a") && str_eq_c(b.asked.v[0].env, "prod") && str_eq_c(b.asked.v[0].project, "default"));
    assert_int_equal(b.said.n, 0);
    tell(&b, EXECUTES("run_a", 30 * MINUTE + 2 * SECOND)); /* told again, but not because it was asked for */
    assert_int_equal(openings(&b), 0);
    answer(&b, EXECUTES("run_a", 30 * MINUTE + 3 * SECOND));
    assert_int_equal(openings(&b), 1);
    assert_int_equal(said_field(&b, last_said(&b, "hook"), "note").n, 0);
    until(&b, HOUR);
    assert_int_equal(openings(&b), 1);
    assert_int_equal(count_notes(&b, "hit"), 1);
    bench_close(&b);
}

static void test_it_has_moved_on(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, STUCK(""));
    tell(&b, EXECUTES("run_a", 1));
    tell(&b, (struct tell){ .run = "run_b", .state = RUN_EXECUTING, .at_ms = 2, .attempts = 1 });
    until(&b, 30 * MINUTE + 2);
    assert_int_equal(b.asked.n, 2);
    answer(&b, (struct tell){ .run = "run_a", .state = RUN_COMPLETED, .at_ms = 30 * MINUTE + 3, .event_ms = 10 * MINUTE });
    answer(&b, (struct tell){ .run = "run_b", .state = RUN_EXECUTING, .at_ms = 30 * MINUTE + 4, .event_ms = 20 * MINUTE, .attempts = 2 }); /* another attempt */
    until(&b, 50 * MINUTE - 1);
    assert_int_equal(b.rows.n, 0);
    assert_int_equal(b.asked.n, 2);
    until(&b, 50 * MINUTE);
    assert_int_equal(b.asked.n, 3);
    answer(&b, (struct tell){ .run = "run_b", .state = RUN_EXECUTING, .at_ms = 50 * MINUTE + 1, .event_ms = 20 * MINUTE, .attempts = 2 });
    assert_int_equal(openings(&b), 1);
    bench_close(&b);
}

/* It opens all the same, and says so. */
static void test_nobody_answers(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, STUCK(""));
    tell(&b, EXECUTES("run_a", 1));
    tell(&b, EXECUTES("run_b", 5 * MINUTE));
    until(&b, 30 * MINUTE + 30 * SECOND);
    assert_int_equal(b.said.n, 0);
    until(&b, 30 * MINUTE + 30 * SECOND + 1);
    assert_int_equal(openings(&b), 1);
    assert_true(field_is(&b, last_said(&b, "hook"), "note", "not confirmed: the source did not tell the run again within 30 s"));
    until(&b, 36 * MINUTE); /* to one that is open, runs come without being asked for */
    assert_int_equal(b.asked.n, 1);
    assert_int_equal(count_notes(&b, "hit"), 2);
    assert_int_equal(last_said(&b, "chat")->kind, MESSAGE_UPDATE);
    assert_int_equal(said_field(&b, last_said(&b, "chat"), "note").n, 0);
    bench_close(&b);
}

/* Where nobody can read it, nobody is waited for. */
static void test_nobody_can(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, STUCK(""));
    tell(&b, EXECUTES("run_a", 1));
    until(&b, 30 * MINUTE + 1);
    unread(&b, "run_b");
    assert_int_equal(openings(&b), 0);
    unread(&b, "run_a");
    assert_int_equal(openings(&b), 1);
    assert_int_equal(said_field(&b, last_said(&b, "hook"), "note").n, 0);
    bench_close(&b);
    open_bench(&b, STUCK("    confirm: false\n"));
    b.rereads = true;
    restart(&b, b.rules);
    tell(&b, EXECUTES("run_a", 1));
    until(&b, 30 * MINUTE + 1);
    assert_int_equal(openings(&b), 1);
    assert_int_equal(b.asked.n, 0);
    bench_close(&b);
}

/* Each run that brings an incident nearer to its opening is asked for, once, whichever rules want to know. */
static void test_at_least_so_many_are_asked_for(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, "rules:\n  r:\n    when: {status: EXECUTING}\n    lasts: 30m\n    at_least: 2\n    repeat: never\n    linger: 0s\n    notify: hook\n"
                    "  s:\n    when: {status: EXECUTING}\n    lasts: 30m\n    by: env\n    notify: pager\n");
    tell(&b, EXECUTES("run_a", 1));
    tell(&b, EXECUTES("run_b", 2));
    until(&b, 30 * MINUTE + 2);
    assert_int_equal(b.asked.n, 2);
    answer(&b, EXECUTES("run_a", 30 * MINUTE + 3));
    assert_int_equal(openings(&b), 0);
    assert_int_equal(count_said(&b, "pager", MESSAGE_OPEN), 1);
    answer(&b, ENDS("run_b", 30 * MINUTE + 4));
    tell(&b, EXECUTES("run_c", 31 * MINUTE));
    until(&b, HOUR + MINUTE);
    assert_int_equal(openings(&b), 0);
    answer(&b, EXECUTES("run_c", HOUR + MINUTE + 1));
    assert_int_equal(openings(&b), 1);
    bench_close(&b);
}

/* Asked for again after a restart; an overdue one says how late it is, whoever answers. */
static void test_restarts(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, STUCK(""));
    tell(&b, EXECUTES("run_a", 1));
    b.now_ms = start_ms + 35 * MINUTE;
    restart(&b, b.rules);
    tick(&b);
    assert_int_equal(b.asked.n, 1);
    b.now_ms = start_ms + 38 * MINUTE;
    restart(&b, b.rules);
    assert_int_equal(b.asked.n, 2);
    tick(&b);
    assert_int_equal(b.said.n, 0);
    answer(&b, EXECUTES("run_a", 38 * MINUTE + SECOND));
    assert_int_equal(openings(&b), 1);
    assert_true(field_is(&b, last_said(&b, "hook"), "note", "sent 4m 59s later than due: runbell was not running"));
    bench_close(&b);
}

/* A report of a source that was asked for it needs no other. */
static void test_an_answer_that_nobody_waits_for(void **state)
{
    struct bench b;
    (void)state;
    open_asking(&b, STUCK(""));
    answer(&b, (struct tell){ .run = "run_a", .state = RUN_EXECUTING, .at_ms = 2 * HOUR, .event_ms = HOUR });
    assert_int_equal(openings(&b), 1);
    assert_int_equal(b.asked.n, 0);
    answer(&b, EXECUTES("run_b", 3 * HOUR));
    assert_int_equal(count_notes(&b, "hit"), 1);
    bench_close(&b);
}

/* No more are asked for at once than a source could answer; the others wait their time, and come all the same. */
static void test_no_more_than_can_be_answered(void **state)
{
    struct bench b;
    struct engine_input in = { .kind = ENGINE_EVENT };
    struct transition t = { .kind = TRANSITION_NEW, .state = RUN_EXECUTING, .current = true, .event_ms = start_ms };
    (void)state;
    open_asking(&b, STUCK("    by: run\n    limit: 10000 per 1s\n"));
    for (size_t k = 0; k < 1100; k++) {
        struct run run;
        run_init(&run);
        run.id = str_printf(&b.a, "run_%zu", k);
        run.task = STR("sync");
        run.project = STR("default");
        run.env = STR("prod");
        run.kind = STR("run");
        run.state = RUN_EXECUTING;
        run.spelling = STR("EXECUTING");
        run.present = RUN_HAS_TASK | RUN_HAS_STATE;
        in.u.event.run = &run;
        in.u.event.transition = &t;
        in.u.event.event_id = t.event_id = 1000 + k;
        step(&b, &in);
    }
    until(&b, 30 * MINUTE);
    assert_int_equal(b.asked.n, 1000);
    until(&b, 31 * MINUTE);
    assert_int_equal(openings(&b), 1100);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_asked_and_opens),
        cmocka_unit_test(test_it_has_moved_on),
        cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_nobody_can),
        cmocka_unit_test(test_at_least_so_many_are_asked_for),
        cmocka_unit_test(test_restarts),
        cmocka_unit_test(test_an_answer_that_nobody_waits_for),
        cmocka_unit_test(test_no_more_than_can_be_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
