/* engine: what holds messages back: silences, mutes, unless, hours; clocks stand still, nothing is lost, and what is still open
 * then is told (rule-language.md section 5, Messages). */
#include "hold_testing.h"

/* --- silences ------------------------------------------------------------------------------------------------- */
static void test_a_silenced_incident_is_told_when_the_silence_ends(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    escalate: {30m: pager}\n    repeat: never\n"));
    silence(&b, "{task: sync}", HOUR);
    report(&b, crashed("run_0", "sync", 10 * MINUTE));
    report(&b, crashed("run_1", "other", 10 * MINUTE));
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1); /* other alone */
    assert_int_equal(engine_stats(b.e).incidents_held, 1);
    until(&b, HOUR - 1);
    assert_int_equal(b.said.n, 2); /* and its escalation */
    until(&b, HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 2);
    assert_true(str_starts(said_field(&b, last_said(&b, "chat"), "note"), STR("held for 50m")));
    assert_int_equal(engine_stats(b.e).incidents_held, 0);
    until(&b, HOUR + 30 * MINUTE - 1);
    assert_int_equal(count_said(&b, "pager", -1), 1);
    until(&b, HOUR + 30 * MINUTE); /* its clock stood still for 50 minutes */
    assert_int_equal(count_said(&b, "pager", -1), 2);
    bench_close(&b);
}

static void test_a_silence_that_ends_after_the_resolve_sends_nothing(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    linger: 0s\n"));
    silence(&b, "{status: failed}", HOUR);
    report(&b, FAILED("run_0", MINUTE));
    report(&b, SUCCEEDED("run_1", 20 * MINUTE, 10 * MINUTE));
    until(&b, 2 * HOUR);
    assert_int_equal(b.said.n, 0);
    assert_int_equal(state_of(&b, first(&b)), INCIDENT_RESOLVED);
    assert_int_equal(engine_stats(b.e).incidents_held, 0);
    bench_close(&b);
}

static void test_a_silence_that_begins_after_the_opening_lets_the_resolve_pass(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    linger: 0s\n    repeat: 10m\n    escalate: {1h: pager}\n"));
    report(&b, FAILED("run_0", 0));
    until(&b, 5 * MINUTE);
    silence(&b, "{task: job}", 3 * HOUR);
    report(&b, FAILED("run_1", 30 * MINUTE));
    until(&b, 2 * HOUR);
    assert_int_equal(b.said.n, 1); /* no reminder, no update, no escalation */
    report(&b, SUCCEEDED("run_2", 2 * HOUR, HOUR));
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

static void test_one_hit_without_a_mark_is_enough(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    by: env\n    notify: chat\n    update: 0s\n");
    silence(&b, "{task: sync}", 10 * HOUR);
    report(&b, crashed("run_0", "sync", 0));
    assert_int_equal(b.said.n, 0);
    report(&b, crashed("run_1", "other", MINUTE)); /* one incident, and this hit is nobody's silence */
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    report(&b, crashed("run_2", "sync", 2 * MINUTE)); /* since the last message every hit is marked again */
    until(&b, HOUR);
    assert_int_equal(b.said.n, 1);
    report(&b, crashed("run_3", "other", HOUR));
    until(&b, HOUR + MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 1);
    bench_close(&b);
}

static void test_each_hit_must_be_marked_by_something_that_stands(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    by: env\n    notify: chat\n");
    silence(&b, "{task: a}", HOUR);
    silence(&b, "{task: b}", 2 * HOUR);
    report(&b, crashed("run_0", "a", MINUTE));
    report(&b, crashed("run_1", "b", MINUTE));
    until(&b, HOUR - 1);
    assert_int_equal(b.said.n, 0);
    until(&b, HOUR); /* nothing holds a's hit any more */
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    by: env\n    notify: chat\n");
    silence(&b, "{task: a}", HOUR);
    silence(&b, "{status: failed}", 2 * HOUR);
    report(&b, crashed("run_0", "a", MINUTE));
    until(&b, 2 * HOUR - 1); /* the other one marks it, too */
    assert_int_equal(b.said.n, 0);
    until(&b, 2 * HOUR);
    assert_int_equal(b.said.n, 1);
    bench_close(&b);
}

static void test_a_silence_of_a_rule(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    notify: chat\n  s:\n    when: {status: failed}\n    notify: hook\n");
    silence_of(&b, "", "r", HOUR, false);
    report(&b, FAILED("run_0", 0));
    assert_int_equal(count_said(&b, "chat", -1), 0);
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_until_resolved_ends_with_the_last_incident(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    linger: 0s\n"));
    report(&b, crashed("run_0", "a", 0));
    report(&b, crashed("run_1", "b", 0));
    silence_of(&b, "{status: failed}", "", 24 * HOUR, true);
    assert_int_equal(engine_stats(b.e).silences, 1);
    report(&b, (struct report){ .run = "run_2", .task = "a", .state = RUN_COMPLETED, .at_ms = HOUR, .started_ms = 30 * MINUTE });
    assert_int_equal(engine_stats(b.e).silences, 1);
    report(&b, crashed("run_3", "c", HOUR)); /* still silent */
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 2);
    report(&b, (struct report){ .run = "run_4", .task = "b", .state = RUN_COMPLETED, .at_ms = 2 * HOUR, .started_ms = 90 * MINUTE });
    assert_int_equal(engine_stats(b.e).silences, 1); /* c is held by it */
    report(&b, (struct report){ .run = "run_5", .task = "c", .state = RUN_COMPLETED, .at_ms = 3 * HOUR, .started_ms = 150 * MINUTE });
    assert_int_equal(engine_stats(b.e).silences, 0);
    report(&b, crashed("run_6", "a", 4 * HOUR));
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 3);
    bench_close(&b);
    bench_open(&b, SIMPLE("    linger: 0s\n    resolve: manual\n"));
    silence_of(&b, "{status: failed}", "", 24 * HOUR, true);
    report(&b, crashed("run_0", "a", HOUR));
    until(&b, 24 * HOUR - 1);
    assert_int_equal(b.said.n, 0);
    until(&b, 24 * HOUR); /* and at its greatest age in any case */
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_several_held_openings_leave_as_one_digest(void **state)
{
    static const char *const tasks[] = { "a", "b", "c" };
    struct bench b;
    uint64_t id;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    notify: [chat, hook]\n    linger: 0s\n");
    id = silence(&b, "{status: failed}", 10 * HOUR);
    for (int k = 0; k < 3; k++) report(&b, crashed(tasks[k], tasks[k], MINUTE));
    report(&b, (struct report){ .run = "run_9", .task = "b", .state = RUN_COMPLETED, .at_ms = HOUR, .started_ms = 30 * MINUTE });
    command(&b, ENGINE_SILENCE_END, id, 0);
    until(&b, HOUR);
    tick(&b);
    assert_int_equal(b.said.n, 2); /* one for each destination: b is resolved and not among them */
    assert_int_equal(count_said(&b, "chat", MESSAGE_DIGEST), 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_DIGEST), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "chat"), "title"), "2 incidents were held, 2 still open"));
    report(&b, (struct report){ .run = "run_10", .task = "a", .state = RUN_COMPLETED, .at_ms = 2 * HOUR, .started_ms = 90 * MINUTE });
    report(&b, (struct report){ .run = "run_11", .task = "c", .state = RUN_COMPLETED, .at_ms = 2 * HOUR, .started_ms = 90 * MINUTE });
    until(&b, 3 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1); /* in the digest, once */
    assert_int_equal(command(&b, ENGINE_SILENCE_END, id, 0), -1);
    bench_close(&b);
}

static void test_an_acknowledgement_while_held(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    escalate: {10m: pager}\n    repeat: never\n"));
    silence(&b, "{status: failed}", HOUR);
    report(&b, FAILED("run_0", 0));
    until(&b, MINUTE);
    command(&b, ENGINE_SNOOZE, first(&b), 2 * HOUR);
    until(&b, 2 * HOUR);
    assert_int_equal(b.said.n, 0);
    until(&b, 2 * HOUR + MINUTE); /* the snooze is over, and nobody was told */
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    until(&b, 2 * HOUR + 11 * MINUTE - 1);
    assert_int_equal(count_said(&b, "pager", -1), 0);
    until(&b, 2 * HOUR + 11 * MINUTE);
    assert_int_equal(count_said(&b, "pager", -1), 1);
    bench_close(&b);
}

static void test_quiet_stands_still_while_held(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE("    resolve: 1h quiet\n    linger: 0s\n    repeat: never\n"));
    report(&b, FAILED("run_0", 0));
    until(&b, 30 * MINUTE);
    silence(&b, "{status: failed}", 2 * HOUR); /* until 2:30 */
    until(&b, 3 * HOUR - 1);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 0);
    until(&b, 3 * HOUR);
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

/* --- unless ------------------------------------------------------------------------------------------------------ */
static void test_unless_holds_while_the_other_is_open(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BEHIND);
    report(&b, DOWN("run_0", 0));
    report(&b, FAILED("run_1", MINUTE));
    report(&b, (struct report){ .run = "run_2", .state = RUN_FAILED, .at_ms = MINUTE, .env = "stg" }); /* another environment */
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    until(&b, HOUR);
    command(&b, ENGINE_ACK, id_of(&b, "platform"), 0); /* acknowledged is still open */
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    until(&b, 2 * HOUR);
    command(&b, ENGINE_RESOLVE, id_of(&b, "platform"), 0);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 2);
    assert_true(str_starts(said_field(&b, last_said(&b, "chat"), "note"), STR("held for 1h 59m: platform is open")));
    bench_close(&b);
}

static void test_unless_does_not_depend_on_the_order_of_rules(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  a:\n    when: {status: failed}\n    unless: b\n    notify: chat\n"
                   "  b:\n    when: {status: failed, task: job}\n    unless: c\n    notify: hook\n"
                   "  c:\n    when: {status: CRASHED}\n    notify: pager\n");
    report(&b, (struct report){ .run = "run_0", .state = RUN_CRASHED, .at_ms = 0 }); /* one event opens all three */
    until(&b, MINUTE);
    assert_int_equal(count_said(&b, "pager", -1), 1);
    assert_int_equal(count_said(&b, "hook", -1) + count_said(&b, "chat", -1), 0);
    bench_close(&b);
}

static void test_several_held_behind_one_leave_as_one_digest(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BEHIND);
    report(&b, DOWN("run_0", 0));
    report(&b, crashed("run_1", "a", MINUTE));
    report(&b, crashed("run_2", "b", MINUTE));
    command(&b, ENGINE_RESOLVE, id_of(&b, "platform"), 0);
    tick(&b);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 0);
    assert_int_equal(count_said(&b, "chat", MESSAGE_DIGEST), 1);
    bench_close(&b);
}

static void test_a_reload_that_removes_the_other(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BEHIND);
    report(&b, DOWN("run_0", 0));
    report(&b, FAILED("run_1", MINUTE));
    reload(&b, compile(&b, "rules:\n  tail:\n    when: {status: failed, not: {status: SYSTEM_FAILURE}}\n    notify: chat\n"));
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

/* --- hours -------------------------------------------------------------------------------------------------------------- */
static void test_outside_hold_is_told_in_the_morning(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BUSINESS SIMPLE("    during: business\n    repeat: never\n    escalate: {2h: pager}\n    linger: 0s\n"));
    report(&b, crashed("run_0", "a", 5 * HOUR)); /* 17:00: told, escalation due at 19:00 stands still from 18:00 */
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    report(&b, crashed("run_1", "b", EVENING));
    report(&b, crashed("run_2", "c", EVENING + HOUR));
    report(&b, (struct report){ .run = "run_3", .task = "c", .state = RUN_COMPLETED, .at_ms = EVENING + 3 * HOUR, .started_ms = EVENING + 2 * HOUR });
    until(&b, MORNING - 1);
    assert_int_equal(b.said.n, 1);
    until(&b, MORNING);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 2); /* b alone: one is no digest, and c is over */
    assert_true(str_ends(said_field(&b, last_said(&b, "chat"), "note"), STR("outside business")));
    until(&b, MORNING + HOUR - 1);
    assert_int_equal(count_said(&b, "pager", -1), 0);
    until(&b, MORNING + HOUR);
    assert_int_equal(count_said(&b, "pager", -1), 1);
    until(&b, MORNING + 2 * HOUR);
    assert_int_equal(count_said(&b, "pager", -1), 2);
    bench_close(&b);
}

static void test_a_resolve_passes_at_night_when_its_opening_was_sent(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BUSINESS SIMPLE("    during: business\n    linger: 0s\n"));
    report(&b, FAILED("run_0", HOUR));
    report(&b, SUCCEEDED("run_1", EVENING + 2 * HOUR, EVENING + HOUR));
    assert_int_equal(count_said(&b, "chat", MESSAGE_RESOLVE), 1);
    bench_close(&b);
}

static void test_outside_drop(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BUSINESS SIMPLE("    during: business\n    outside: drop\n    repeat: 1h\n    resolve: manual\n"));
    report(&b, FAILED("run_0", EVENING));
    until(&b, MORNING + HOUR);
    assert_int_equal(b.said.n, 0);
    assert_int_equal(state_of(&b, first(&b)), INCIDENT_OPEN); /* recorded all the same */
    assert_true(count_notes(&b, "dropped") > 0);
    report(&b, FAILED("run_1", MORNING + 2 * HOUR)); /* it goes on within the hours */
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_outside_elsewhere(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BUSINESS SIMPLE("    during: business\n    outside: hook\n    linger: 0s\n"));
    report(&b, FAILED("run_0", EVENING));
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    report(&b, SUCCEEDED("run_1", MORNING + HOUR, MORNING));
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1); /* who heard of it hears its end */
    report(&b, FAILED("run_2", MORNING + 2 * HOUR));
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static void test_outside_the_hours_of_a_target_that_one_alone_is_held(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, BUSINESS "rules:\n  r:\n    when: {status: failed}\n    notify: [hook, {to: chat, during: business}]\n    escalate: {1h: {to: pager, during: business}, 2h: ops}\n"
                            "    repeat: never\n    linger: 0s\n");
    report(&b, crashed("run_0", "a", EVENING));
    report(&b, crashed("run_1", "b", EVENING + HOUR));
    until(&b, EVENING + 3 * HOUR);
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 2);
    assert_int_equal(count_said(&b, "ops", MESSAGE_ESCALATION), 2); /* no clock stands still */
    assert_int_equal(count_said(&b, "chat", -1) + count_said(&b, "pager", -1), 0);
    report(&b, (struct report){ .run = "run_3", .task = "b", .state = RUN_COMPLETED, .at_ms = EVENING + 5 * HOUR, .started_ms = EVENING + 4 * HOUR });
    assert_int_equal(count_said(&b, "chat", -1), 0); /* it never heard of it */
    until(&b, MORNING - 1);
    assert_int_equal(count_said(&b, "chat", -1) + count_said(&b, "pager", -1), 0);
    until(&b, MORNING);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    assert_int_equal(count_said(&b, "pager", MESSAGE_ESCALATION), 1);
    bench_close(&b);
}

/* --- mutes --------------------------------------------------------------------------------------------------------------- */
static void test_a_mute_marks_hits_in_its_hours(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, NIGHTLY SIMPLE("    repeat: never\n    linger: 0s\n    update: 0s\n"));
    report(&b, crashed("run_0", "etl-a", MUTED - 1));
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    report(&b, crashed("run_1", "etl-a", MUTED + 1)); /* no update of it now */
    report(&b, crashed("run_2", "etl-b", MUTED + 1));
    report(&b, crashed("run_3", "other", MUTED + 1));
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 2);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 0);
    until(&b, UNMUTED - 1);
    assert_int_equal(b.said.n, 2);
    until(&b, UNMUTED);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 3);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 1);
    assert_true(count_notes(&b, "held") == 2);
    bench_close(&b);
}

static void test_a_mute_that_begins_holds_the_reminders_of_what_is_open(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, NIGHTLY SIMPLE("    repeat: 30m\n    resolve: manual\n"));
    report(&b, crashed("run_0", "etl-a", MUTED - 10 * MINUTE));
    until(&b, UNMUTED);
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 0);
    until(&b, UNMUTED + 20 * MINUTE); /* ten minutes had passed before it */
    assert_int_equal(count_said(&b, "chat", MESSAGE_REMINDER), 1);
    bench_close(&b);
}

/* --- restarts -------------------------------------------------------------------------------------------------- */
static void hold_story(struct bench *b, bool restarts)
{
    struct ruleset *rules;
    bench_open(b, SIMPLE("    escalate: {30m: pager}\n    linger: 0s\n"));
    b->trim_always = restarts;
    rules = b->rules;
    if (restarts) restart(b, rules);
    silence(b, "{task: sync}", HOUR);
    silence_of(b, "{task: other}", "r", 2 * HOUR, true);
    if (restarts) restart(b, rules);
    report(b, crashed("run_0", "sync", 10 * MINUTE));
    report(b, crashed("run_1", "other", 10 * MINUTE));
    if (restarts) restart(b, rules);
    report(b, crashed("run_2", "other", 20 * MINUTE));
    until(b, 90 * MINUTE);
    if (restarts) restart(b, rules);
    report(b, (struct report){ .run = "run_3", .task = "other", .state = RUN_COMPLETED, .at_ms = 100 * MINUTE, .started_ms = 95 * MINUTE });
    report(b, crashed("run_4", "other", 110 * MINUTE));
    if (restarts) restart(b, rules);
    until(b, 5 * HOUR);
}

static void night_story(struct bench *b, bool restarts)
{
    bench_open(b, BUSINESS "  nightly: {days: all, hours: 01:00-04:00, zone: UTC}\nmutes:\n  rebuild: {when: {task: \"etl-*\"}, during: nightly, why: rebuild}\n" BEHIND
               "  night:\n    when: {status: failed, task: a*}\n    during: business\n    notify: [hook, chat]\n    linger: 0s\n    escalate: {1h: {to: pager, during: business}}\n"
               "  target:\n    when: {status: failed, task: a*}\n    notify: [{to: hook, during: business}, ops]\n    linger: 0s\n    escalate: {1h: {to: pager, during: business}}\n");
    b->trim_always = restarts;
    for (int k = 0; k < 60; k++) {
        static const char *const tasks[] = { "a1", "a2", "etl-a", "etl-b", "other" };
        char *run = arena_alloc(&b->a, 32);
        snprintf(run, 32, "run_%d", k);
        report(b, (struct report){ .run = run, .task = tasks[k % 5], .state = k % 7 == 3 ? RUN_SYSTEM_FAILURE : k % 11 == 5 ? RUN_COMPLETED : RUN_FAILED,
                                   .at_ms = k * 41 * MINUTE, .started_ms = k * 41 * MINUTE - 1 });
        if (k % 9 == 4) command(b, ENGINE_RESOLVE, id_of(b, k % 2 ? "platform" : "tail"), 0);
        if (restarts) restart(b, b->rules);
    }
    until(b, 50 * HOUR);
}

static void test_restarts_at_night_change_nothing(void **state)
{
    struct bench one, two;
    (void)state;
    night_story(&one, false);
    night_story(&two, true);
    assert_true(one.said.n > 20 && count_notes(&one, "held") > 5 && count_notes(&one, "told in a digest") > 0 && count_notes(&one, "held for one") > 0);
    assert_string_equal(one.transcript.p, two.transcript.p);
    bench_close(&one);
    bench_close(&two);
}

static void test_restarts_change_nothing(void **state)
{
    struct bench one, two;
    (void)state;
    hold_story(&one, false);
    hold_story(&two, true);
    assert_true(count_said(&one, "pager", MESSAGE_ESCALATION) == 2 && count_said(&one, "chat", MESSAGE_OPEN) == 2);
    assert_string_equal(one.transcript.p, two.transcript.p);
    bench_close(&one);
    bench_close(&two);
}

static void test_a_silence_that_ended_while_nobody_ran(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SIMPLE(""));
    silence(&b, "{task: sync}", HOUR);
    report(&b, crashed("run_0", "sync", 10 * MINUTE));
    b.now_ms = start_ms + 3 * HOUR;
    restart(&b, b.rules);
    until(&b, 3 * HOUR);
    tick(&b);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    bench_close(&b);
}

static size_t count_cells(const struct bench *b, const char *prefix)
{
    struct map last = { 0 };
    struct map_entry *m;
    size_t at = 0, n = 0;
    for (size_t k = 0; k < b->cells.n; k++) map_put(&last, b->cells.v[k].key, (void *)(uintptr_t)&b->cells.v[k]);
    while ((m = map_next(&last, &at))) n += str_starts(m->key, str_c(prefix)) && !str_absent(((const struct engine_cell_row *)m->value)->blob);
    map_fini(&last);
    return n;
}

/* Both in memory and in what is listed: those in force stand apart from those that ended. */
static void test_silences_are_bounded(void **state)
{
    struct bench b;
    uint64_t id, one;
    (void)state;
    bench_open(&b, SIMPLE(""));
    one = silence(&b, "{task: sync}", 10 * HOUR);
    for (int k = 0; k < ENGINE_SILENCES_MOST + 20; k++) {
        assert_int_equal(silence_made(&b, "{task: other}", "", HOUR, false, &id), 0);
        assert_int_equal(command(&b, ENGINE_SILENCE_END, id, 0), 0);
    }
    assert_int_equal(count_cells(&b, "s/"), 1);
    assert_true(count_cells(&b, "x/") >= ENGINE_SILENCES_MOST && count_cells(&b, "x/") <= ENGINE_SILENCES_MOST + 1);
    for (int k = 1; k < ENGINE_SILENCES_MOST; k++) assert_int_equal(silence_made(&b, "{task: other}", "", HOUR, false, &id), 0);
    assert_int_equal(silence_made(&b, "{task: other}", "", HOUR, false, &id), -1);
    restart(&b, b.rules);
    assert_int_equal(engine_stats(b.e).silences, ENGINE_SILENCES_MOST);
    report(&b, crashed("run_0", "sync", MINUTE));
    assert_int_equal(b.said.n, 0);
    assert_int_equal(command(&b, ENGINE_SILENCE_END, one, 0), 0);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1);
    until(&b, 8 * 24 * HOUR);
    assert_int_equal(count_cells(&b, "s/") + count_cells(&b, "x/"), 0);
    bench_close(&b);
}

/* What many have to say when they are released is said by ticks, which are bounded; only openings gather in the step itself. */
static void test_many_updates_are_not_one_step(void **state)
{
    struct bench b;
    uint64_t id;
    size_t said;
    (void)state;
    bench_open(&b, "rules:\n  r:\n    when: {status: failed}\n    by: run\n    notify: chat\n    limit: 100000 per 1s\n");
    for (int k = 0; k < 200; k++) report(&b, FAILED(str_dup_c(&b.a, str_printf(&b.a, "run_%d", k)), k));
    until(&b, MINUTE);
    id = silence(&b, "{status: failed}", HOUR);
    for (int k = 0; k < 200; k++) report(&b, (struct report){ .run = str_dup_c(&b.a, str_printf(&b.a, "run_%d", k)), .state = RUN_CRASHED, .at_ms = 2 * MINUTE });
    said = b.said.n;
    command(&b, ENGINE_SILENCE_END, id, 0);
    assert_int_equal(b.said.n, said);
    tick(&b);
    assert_int_equal(b.said.n, said + 200);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_silenced_incident_is_told_when_the_silence_ends),
        cmocka_unit_test(test_a_silence_that_ends_after_the_resolve_sends_nothing),
        cmocka_unit_test(test_a_silence_that_begins_after_the_opening_lets_the_resolve_pass),
        cmocka_unit_test(test_one_hit_without_a_mark_is_enough),
        cmocka_unit_test(test_each_hit_must_be_marked_by_something_that_stands),
        cmocka_unit_test(test_a_silence_of_a_rule),
        cmocka_unit_test(test_until_resolved_ends_with_the_last_incident),
        cmocka_unit_test(test_several_held_openings_leave_as_one_digest),
        cmocka_unit_test(test_an_acknowledgement_while_held),
        cmocka_unit_test(test_quiet_stands_still_while_held),
        cmocka_unit_test(test_unless_holds_while_the_other_is_open),
        cmocka_unit_test(test_unless_does_not_depend_on_the_order_of_rules),
        cmocka_unit_test(test_several_held_behind_one_leave_as_one_digest),
        cmocka_unit_test(test_a_reload_that_removes_the_other),
        cmocka_unit_test(test_outside_hold_is_told_in_the_morning),
        cmocka_unit_test(test_a_resolve_passes_at_night_when_its_opening_was_sent),
        cmocka_unit_test(test_outside_drop),
        cmocka_unit_test(test_outside_elsewhere),
        cmocka_unit_test(test_outside_the_hours_of_a_target_that_one_alone_is_held),
        cmocka_unit_test(test_a_mute_marks_hits_in_its_hours),
        cmocka_unit_test(test_a_mute_that_begins_holds_the_reminders_of_what_is_open),
        cmocka_unit_test(test_restarts_at_night_change_nothing),
        cmocka_unit_test(test_restarts_change_nothing),
        cmocka_unit_test(test_a_silence_that_ended_while_nobody_ran),
        cmocka_unit_test(test_silences_are_bounded),
        cmocka_unit_test(test_many_updates_are_not_one_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
