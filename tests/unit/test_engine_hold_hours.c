/* engine: targets with hours of their own, what falls due at one moment, and clocks of what is held, lingers or sleeps
 * (rule-language.md section 5, Messages). */
#include "hold_testing.h"

static struct str note_of(struct bench *b, const char *destination)
{
    return said_field(b, last_said(b, destination), "note");
}

/* --- the same moment -------------------------------------------------------------------------------------------- */
static void test_absences_of_one_moment_know_of_each_other(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  job-missing:\n    when: {task: job, status: success}\n    absent: 2h\n    unless: all-missing\n    notify: chat\n"
                   "  all-missing:\n    when: {status: success}\n    by: env\n    absent: 2h\n    notify: pager\n");
    report(&b, SUCCEEDED("run_0", MINUTE, 1));
    until(&b, 3 * HOUR);
    assert_int_equal(count_said(&b, "pager", MESSAGE_OPEN), 1);
    assert_int_equal(count_said(&b, "chat", -1), 0);
    bench_close(&b);
}

static void test_what_one_timer_releases_is_one_digest(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  tail:\n    when: {status: failed, not: {status: SYSTEM_FAILURE}}\n    unless: platform\n    notify: chat\n"
                   "  platform:\n    when: {status: SYSTEM_FAILURE}\n    by: env\n    notify: pager\n    resolve: 1h quiet\n    linger: 0s\n");
    report(&b, DOWN("run_0", 0));
    report(&b, crashed("run_1", "a", MINUTE));
    report(&b, crashed("run_2", "b", MINUTE));
    until(&b, HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_DIGEST), 1);
    assert_int_equal(count_said(&b, "chat", -1), 1);
    bench_close(&b);
}

/* --- hours of one target ------------------------------------------------------------------------------------------ */
#define TO_CHAT BUSINESS "rules:\n  r:\n    when: {status: failed}\n    notify: [hook, {to: chat, during: business}]\n    repeat: never\n    linger: 0s\n"

static void test_openings_held_for_one_target_leave_as_one_digest(void **state)
{
    static const char *const tasks[] = { "a", "b", "c" };
    struct bench b;
    (void)state;
    bench_open(&b, TO_CHAT);
    for (int k = 0; k < 3; k++) report(&b, crashed(tasks[k], tasks[k], EVENING + k * HOUR));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 3);
    until(&b, MORNING);
    assert_int_equal(count_said(&b, "chat", MESSAGE_DIGEST), 1);
    assert_int_equal(count_said(&b, "chat", -1), 1);
    bench_close(&b);
}

static void test_one_opening_held_for_a_target_says_so(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, TO_CHAT);
    report(&b, crashed("run_0", "a", EVENING + HOUR));
    until(&b, MORNING);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_true(str_eq_c(note_of(&b, "chat"), "held until now: outside business"));
    bench_close(&b);
}

/* Asleep in the morning, awake at noon: it was not runbell that slept. */
static void test_a_snooze_over_the_beginning_of_hours_is_no_downtime(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, TO_CHAT);
    report(&b, crashed("run_0", "a", EVENING));
    command(&b, ENGINE_SNOOZE, first(&b), MORNING - EVENING + 2 * HOUR);
    until(&b, MORNING + HOUR);
    assert_int_equal(count_said(&b, "chat", -1), 0);
    until(&b, MORNING + 2 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_true(str_eq_c(note_of(&b, "chat"), "held until now: outside business"));
    bench_close(&b);
}

static void test_an_escalation_that_told_it_is_no_opening_later(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, TO_CHAT "    escalate: {1h: chat}\n");
    report(&b, crashed("run_0", "a", EVENING));
    until(&b, EVENING + HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_ESCALATION), 1);
    until(&b, MORNING + HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 0);
    bench_close(&b);
}

static void hours_move(void (*change)(struct bench *b, const struct ruleset *rules))
{
    struct bench b;
    bench_open(&b, TO_CHAT);
    report(&b, crashed("run_0", "a", EVENING));
    change(&b, compile(&b, "schedules:\n  business: {days: mon-fri, hours: 11:00-18:00, zone: UTC}\n"
                           "rules:\n  r:\n    when: {status: failed}\n    notify: [hook, {to: chat, during: business}]\n    repeat: never\n    linger: 0s\n"));
    until(&b, MORNING + 2 * HOUR - 1);
    assert_int_equal(count_said(&b, "chat", -1), 0);
    until(&b, MORNING + 2 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
    bench_open(&b, TO_CHAT);
    report(&b, crashed("run_0", "a", EVENING));
    change(&b, compile(&b, "schedules:\n  business: {days: mon-fri, hours: 09:00-23:00, zone: UTC}\n"
                           "rules:\n  r:\n    when: {status: failed}\n    notify: [hook, {to: chat, during: business}]\n    repeat: never\n    linger: 0s\n"));
    tick(&b);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
    bench_open(&b, TO_CHAT);
    report(&b, crashed("run_0", "a", EVENING));
    change(&b, compile(&b, "rules:\n  r:\n    when: {status: failed}\n    notify: [hook, chat]\n    repeat: never\n    linger: 0s\n"));
    tick(&b);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_hours_of_a_target_move_in_a_reload(void **state)
{
    (void)state;
    hours_move(reload);
}

static void test_hours_of_a_target_move_while_nobody_ran(void **state)
{
    (void)state;
    hours_move(restart);
}

static void test_reminders_keep_the_hours_of_a_target(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BUSINESS "rules:\n  r:\n    when: {status: failed}\n    notify: [hook, {to: chat, during: business}]\n    repeat: 2h\n    resolve: manual\n");
    report(&b, crashed("run_0", "a", 5 * HOUR)); /* 17:00 */
    until(&b, MORNING - 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_REMINDER), 7);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 0);
    until(&b, MORNING); /* one for all that were due */
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    until(&b, MORNING + 2 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 2);
    bench_close(&b);
}

static void test_an_escalation_to_the_place_of_a_digest_rings(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BUSINESS "rules:\n  r:\n    when: {status: failed}\n    notify: pager\n    limit: 1 per 1m\n    repeat: never\n    escalate: {30m: {to: pager, during: business}}\n");
    report(&b, crashed("run_0", "a", EVENING - 10 * MINUTE));
    report(&b, crashed("run_1", "b", EVENING - 10 * MINUTE)); /* over the limit: in a digest */
    tick(&b);
    assert_int_equal(count_said(&b, "pager", MESSAGE_DIGEST), 1);
    until(&b, MORNING - 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 0);
    command(&b, ENGINE_RESOLVE, first(&b), 0);
    until(&b, MORNING);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    bench_close(&b);
}

/* --- clocks ------------------------------------------------------------------------------------------------------- */
/* The reminder clock begins anew as the snooze ends, and stands still from then on only. */
static void test_a_snooze_that_ends_while_held(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    repeat: 1h\n    resolve: manual\n"));
    report(&b, FAILED("run_0", 0));
    silence(&b, "{status: failed}", 10 * HOUR);
    command(&b, ENGINE_SNOOZE, first(&b), 9 * HOUR);
    until(&b, 11 * HOUR - 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 0);
    until(&b, 11 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    bench_close(&b);
}

static void test_a_relapse_while_held(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    repeat: 1h\n    linger: 2h\n"));
    report(&b, FAILED("run_0", 0));
    report(&b, SUCCEEDED("run_1", 10 * MINUTE, 5 * MINUTE)); /* lingers until 2:10; its reminder is due at 1:00 */
    until(&b, 30 * MINUTE);
    silence(&b, "{status: failed}", 10 * HOUR); /* until 10:30 */
    report(&b, FAILED("run_2", 90 * MINUTE)); /* a relapse: the reminder has been due for half an hour */
    until(&b, 10 * HOUR + 30 * MINUTE - 1);
    assert_int_equal(b.said.n, 1 + count_said(&b, "chat", MESSAGE_UPDATE));
    until(&b, 11 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    assert_true(note_of(&b, "chat").n == 0); /* nobody was down */
    bench_close(&b);
}

static void test_quiet_after_several_holds(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    resolve: 3h quiet\n    linger: 0s\n    repeat: never\n"));
    report(&b, FAILED("run_0", 0));
    silence(&b, "{status: failed}", HOUR);         /* 0:00 to 1:00 */
    report(&b, FAILED("run_1", 30 * MINUTE));
    until(&b, 2 * HOUR);
    silence(&b, "{status: failed}", HOUR);         /* 2:00 to 3:00 */
    until(&b, 5 * HOUR - 1);                       /* 0:30 and three hours, and the hour and a half that it was held since */
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    until(&b, 5 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* An absence that comes again while it is open is a hit: quiet counts from there. */
static void test_an_absence_again_without_a_mark(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {task: job, status: success}\n    absent: 1h\n    notify: chat\n    resolve: manual\n    repeat: never\n    update: 0s\n");
    silence(&b, "{task: job}", 90 * MINUTE);
    report(&b, SUCCEEDED("run_0", MINUTE, 1));
    until(&b, 89 * MINUTE);
    assert_int_equal(b.said.n, 0);
    until(&b, 90 * MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    report(&b, SUCCEEDED("run_1", 2 * HOUR, 90 * MINUTE));
    until(&b, 4 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 1); /* absent again */
    bench_close(&b);
}

static void test_too_few_runs_again_after_a_snooze_while_held(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    at_least: 2\n"));
    silence(&b, "{status: failed}", 3 * HOUR);
    report(&b, FAILED("run_0", MINUTE));
    assert_int_equal(state_of(&b, first(&b)), INCIDENT_PENDING);
    command(&b, ENGINE_SNOOZE, first(&b), HOUR);
    assert_int_equal(engine_stats(b.e).incidents_held, 1);
    until(&b, 2 * HOUR);
    assert_int_equal(state_of(&b, first(&b)), INCIDENT_PENDING);
    assert_int_equal(engine_stats(b.e).incidents_held, 0);
    report(&b, FAILED("run_1", 2 * HOUR));
    assert_int_equal(engine_stats(b.e).incidents_held, 1);
    until(&b, 3 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_int_equal(count_said(&b, "chat", -1), 1);
    bench_close(&b);
}

/* What could not be kept of a run is said beside what held it. */
static void test_a_note_beside_what_held_it(void **state)
{
    struct bench b;
    struct strbuf big;
    (void)state;
    bench_open(&b, SIMPLE(""));
    strbuf_init(&big, 1 << 20);
    strbuf_c(&big, "{\"x\":\"");
    for (int k = 0; k < 3000; k++) strbuf_c(&big, "0123456789");
    strbuf_c(&big, "\"}");
    silence(&b, "{status: failed}", HOUR);
    report(&b, (struct report){ .run = "run_0", .state = RUN_FAILED, .at_ms = MINUTE, .metadata = big.p });
    until(&b, HOUR);
    assert_true(str_starts(note_of(&b, "chat"), STR("held for 59m: silence")));
    assert_true(memmem(note_of(&b, "chat").p, note_of(&b, "chat").n, "; ", 2) != NULL);
    strbuf_fini(&big);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absences_of_one_moment_know_of_each_other),
        cmocka_unit_test(test_what_one_timer_releases_is_one_digest),
        cmocka_unit_test(test_openings_held_for_one_target_leave_as_one_digest),
        cmocka_unit_test(test_one_opening_held_for_a_target_says_so),
        cmocka_unit_test(test_a_snooze_over_the_beginning_of_hours_is_no_downtime),
        cmocka_unit_test(test_an_escalation_that_told_it_is_no_opening_later),
        cmocka_unit_test(test_hours_of_a_target_move_in_a_reload),
        cmocka_unit_test(test_hours_of_a_target_move_while_nobody_ran),
        cmocka_unit_test(test_reminders_keep_the_hours_of_a_target),
        cmocka_unit_test(test_an_escalation_to_the_place_of_a_digest_rings),
        cmocka_unit_test(test_a_snooze_that_ends_while_held),
        cmocka_unit_test(test_a_relapse_while_held),
        cmocka_unit_test(test_quiet_after_several_holds),
        cmocka_unit_test(test_an_absence_again_without_a_mark),
        cmocka_unit_test(test_too_few_runs_again_after_a_snooze_while_held),
        cmocka_unit_test(test_a_note_beside_what_held_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
