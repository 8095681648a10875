/* engine: what rules wait for: keys that are named and keys that were seen, clocks that run out, late hits, sources that lag. */
#include "absent_testing.h"

/* --- clocks ----------------------------------------------------------------------------------------------------- */
static void it_rings_when_the_next_hit_stays_away(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, EVERY_2H);
    report(&b, HIT("sync", "run_1", 0));
    report(&b, HIT("sync", "run_2", HOUR));
    until(&b, 3 * HOUR - 1);
    assert_int_equal(opened(&b), 0);
    until(&b, 3 * HOUR);
    assert_int_equal(opened(&b), 1);
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    assert_true(str_eq_c(title(&b), "sync in prod has not succeeded for 2h (last at 13:00 UTC)"));
    until(&b, 20 * HOUR);
    assert_int_equal(opened(&b), 1); /* once */
    report(&b, HIT("sync", "run_3", 20 * HOUR));
    assert_int_equal(open_now(&b), 0);
    assert_int_equal(count_said(&b, "hook", MESSAGE_RESOLVE), 1);
    assert_true(str_eq_c(said_field(&b, last_said(&b, "hook"), "reason"), "it is back"));
    until(&b, 22 * HOUR);
    assert_int_equal(opened(&b), 2);
    bench_close(&b);
}

static void grace_comes_on_top(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  quiet:\n    when: {task: sync, status: success}\n    absent: {every: 2h, grace: 10m}\n    notify: hook\n");
    report(&b, HIT("sync", "run_1", 0));
    assert_int_equal(due(&b), 2 * HOUR + 10 * MINUTE);
    until(&b, 2 * HOUR + 10 * MINUTE);
    assert_int_equal(opened(&b), 1);
    assert_true(str_eq_c(title(&b), "sync in prod has not succeeded for 2h 10m (last at 12:00 UTC)"));
    bench_close(&b);
}

/* A failure is no hit, another task is no hit. */
static void only_hits_set_the_clock(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, EVERY_2H);
    report(&b, HIT("sync", "run_1", 0));
    report(&b, (struct report){ .run = "run_2", .task = "sync", .state = RUN_FAILED, .at_ms = HOUR });
    report(&b, HIT("other", "run_3", HOUR));
    until(&b, 2 * HOUR);
    assert_int_equal(opened(&b), 1);
    assert_int_equal(keys(&b), 1);
    bench_close(&b);
}

static void a_relapse_within_linger_goes_on_silently(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  quiet:\n    when: {task: sync, status: success}\n    absent: 2m\n    linger: 5m\n    repeat: never\n    notify: hook\n");
    report(&b, HIT("sync", "run_1", 0));
    until(&b, 2 * MINUTE);
    report(&b, HIT("sync", "run_2", 3 * MINUTE));
    until(&b, 20 * MINUTE);
    assert_int_equal(opened(&b), 1);
    assert_int_equal(count_notes(&b, "relapsed"), 1);
    assert_int_equal(open_now(&b), 1);
    assert_int_equal(b.said.n, 1);
    for (int k = 0; k < 10; k++) report(&b, HIT("sync", str_printf(&b.a, "run_l%d", k).p, 20 * MINUTE + k * MINUTE));
    assert_int_equal(count_notes(&b, "resolved"), 1);
    bench_close(&b);
}

/* --- keys -------------------------------------------------------------------------------------------------------- */
static void named_tasks_wait_from_the_start_on(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, IN_PROD);
    restart(&b, b.rules); /* loaded */
    assert_int_equal(keys(&b), 2);
    report(&b, HIT("sync", "run_1", HOUR));
    until(&b, 2 * HOUR);
    assert_int_equal(opened(&b), 1);
    assert_true(str_eq_c(title(&b), "import in prod has not succeeded for 2h"));
    until(&b, 3 * HOUR);
    assert_int_equal(opened(&b), 2);
    bench_close(&b);
}

static void without_an_environment_those_that_live(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, EVERY_2H);
    until(&b, 5 * HOUR);
    assert_int_equal(keys(&b), 0);
    report(&b, (struct report){ .run = "run_1", .task = "other", .state = RUN_EXECUTING, .env = "stg", .at_ms = 5 * HOUR });
    assert_int_equal(keys(&b), 1);
    until(&b, 7 * HOUR);
    assert_true(str_eq_c(title(&b), "sync in stg has not succeeded for 2h"));
    /* Heard of eight days ago it lives no more; what happened there lately counts, not what is told of long ago. */
    report(&b, (struct report){ .run = "run_2", .task = "other", .state = RUN_EXECUTING, .env = "dev", .at_ms = 7 * HOUR, .event_ms = 7 * HOUR - 8 * (int64_t)DAY });
    assert_int_equal(keys(&b), 1);
    bench_close(&b);
}

static void a_new_rule_knows_which_environments_live(void **state)
{
    struct bench b;
    const struct ruleset *rules;
    (void)state;
    bench_open(&b, SIMPLE(""));
    rules = compile(&b, EVERY_2H);
    report(&b, (struct report){ .run = "run_1", .task = "other", .state = RUN_EXECUTING, .env = "old" });
    report(&b, (struct report){ .run = "run_2", .task = "other", .state = RUN_EXECUTING, .env = "prod", .at_ms = 3 * DAY });
    until(&b, 8 * (int64_t)DAY);
    restart(&b, b.rules);
    reload(&b, rules);
    assert_int_equal(keys(&b), 1);
    assert_int_equal(due(&b), 8 * (int64_t)DAY + 2 * HOUR);
    bench_close(&b);
}

static void other_keys_are_those_that_were_seen(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SEEN_2H);
    until(&b, 3 * HOUR);
    assert_int_equal(keys(&b), 0);
    report(&b, HIT("a", "run_1", 3 * HOUR));
    report(&b, HIT("b", "run_2", 4 * HOUR));
    report(&b, (struct report){ .run = "run_3", .task = "a", .env = "stg", .state = RUN_COMPLETED, .at_ms = 4 * HOUR });
    assert_int_equal(keys(&b), 3);
    until(&b, 5 * HOUR);
    assert_int_equal(opened(&b), 1);
    assert_true(str_eq_c(title(&b), "a in prod has not succeeded for 2h (last at 15:00 UTC)"));
    until(&b, 6 * HOUR);
    assert_int_equal(opened(&b), 3);
    bench_close(&b);
}

static void after_thirty_days_a_key_is_given_up(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, SEEN_2H);
    report(&b, HIT("a", "run_1", 0));
    until(&b, 30 * (int64_t)DAY - 1);
    assert_int_equal(open_now(&b), 1);
    until(&b, 30 * (int64_t)DAY);
    assert_int_equal(open_now(&b), 0);
    assert_int_equal(keys(&b), 0);
    assert_int_equal(due(&b), -1);
    report(&b, HIT("a", "run_2", 31 * (int64_t)DAY));
    assert_int_equal(due(&b), 31 * (int64_t)DAY + 2 * HOUR);
    bench_close(&b);
}

/* It is not in force anew at the next start, and rings no second time. */
static void a_named_key_that_was_given_up_waits_for_a_hit(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, IN_PROD);
    restart(&b, b.rules);
    until(&b, 31 * (int64_t)DAY);
    assert_int_equal(opened(&b), 2);
    assert_int_equal(open_now(&b), 0);
    restart(&b, b.rules);
    until(&b, 40 * (int64_t)DAY);
    assert_int_equal(opened(&b), 2);
    report(&b, HIT("sync", "run_1", 40 * (int64_t)DAY));
    until(&b, 41 * (int64_t)DAY);
    assert_int_equal(opened(&b), 3);
    bench_close(&b);
}

static void a_month_gets_its_time(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  monthly:\n    when: {status: success}\n    absent: {cron: \"0 3 1 * *\", grace: 1h}\n    linger: 0s\n    repeat: never\n    notify: hook\n");
    report(&b, HIT("a", "run_1", 0));
    until(&b, 27 * (int64_t)DAY);
    assert_int_equal(opened(&b), 1); /* 1 February 04:00 */
    until(&b, 40 * (int64_t)DAY);
    assert_int_equal(open_now(&b), 1);
    until(&b, 60 * (int64_t)DAY);
    assert_int_equal(open_now(&b), 0);
    bench_close(&b);
}

static void more_keys_than_the_bound_are_counted_and_told(void **state)
{
    struct bench b;
    struct engine_limits few = engine_default_limits;
    (void)state;
    few.keys_per_rule = 3;
    bench_open_within(&b, SEEN_2H, few);
    for (int k = 0; k < 5; k++) report(&b, HIT(str_printf(&b.a, "task%d", k).p, str_printf(&b.a, "run_%d", k).p, 0));
    assert_int_equal(keys(&b), 3);
    assert_int_equal(engine_stats(b.e).collapsed_keys, 2);
    assert_int_equal(count_said(&b, "ops", MESSAGE_OPERATOR), 1);
    until(&b, 2 * HOUR);
    assert_int_equal(opened(&b), 3);
    bench_close(&b);
}

/* --- late ---------------------------------------------------------------------------------------------------------- */
static void a_late_hit_prevents(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, EVERY_2H);
    report(&b, HIT("sync", "run_1", 0));
    report(&b, LATE("sync", "run_2", 2 * HOUR - 1, HOUR));
    until(&b, 3 * HOUR - 1);
    assert_int_equal(opened(&b), 0);
    until(&b, 3 * HOUR);
    assert_int_equal(opened(&b), 1);
    bench_close(&b);
}

static void a_late_hit_resolves_what_it_lies_in(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, EVERY_2H);
    report(&b, HIT("sync", "run_1", 0));
    until(&b, 2 * HOUR);
    assert_int_equal(open_now(&b), 1);
    report(&b, LATE("sync", "run_2", 2 * HOUR + 30 * MINUTE, HOUR));
    assert_int_equal(open_now(&b), 0);
    assert_int_equal(due(&b), 3 * HOUR);
    bench_close(&b);
}

static void a_late_hit_that_is_too_old_resolves_nothing(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, EVERY_2H);
    report(&b, HIT("sync", "run_1", 0));
    until(&b, 6 * HOUR);
    report(&b, LATE("sync", "run_2", 6 * HOUR, HOUR));
    assert_int_equal(open_now(&b), 1);
    report(&b, LATE("sync", "run_1b", 6 * HOUR, HOUR / 2)); /* older than what is known */
    assert_int_equal(open_now(&b), 1);
    report(&b, HIT("sync", "run_3", 6 * HOUR));
    assert_int_equal(open_now(&b), 0);
    bench_close(&b);
}

static void what_was_due_comes_before_what_is_told_now(void **state)
{
    struct bench b;
    struct run run;
    struct transition t = { .kind = TRANSITION_NEW, .state = RUN_COMPLETED, .current = true };
    struct engine_input in = { .kind = ENGINE_EVENT };
    (void)state;
    bench_open(&b, EVERY_2H);
    report(&b, HIT("sync", "run_1", 0));
    run_init(&run); /* without the tick that was due between */
    run.id = STR("run_2");
    run.task = STR("sync");
    run.project = STR("default");
    run.env = STR("prod");
    run.kind = STR("run");
    run.state = RUN_COMPLETED;
    run.present = RUN_HAS_TASK | RUN_HAS_STATE;
    b.now_ms = start_ms + 2 * HOUR + 20;
    t.event_ms = start_ms + 2 * HOUR + 10;
    in.u.event.run = &run;
    in.u.event.transition = &t;
    step(&b, &in);
    assert_int_equal(opened(&b), 1);
    assert_int_equal(count_notes(&b, "resolved"), 1);
    bench_close(&b);
}

/* --- by hand and by other means --------------------------------------------------------------------------------------- */
static void resolved_by_hand_it_waits_for_the_next_hit(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, EVERY_2H);
    report(&b, HIT("sync", "run_1", 0));
    until(&b, 2 * HOUR);
    command(&b, ENGINE_RESOLVE, first(&b), 0);
    until(&b, 10 * HOUR);
    assert_int_equal(opened(&b), 1);
    report(&b, LATE("sync", "run_2", 10 * HOUR, 3 * HOUR)); /* before somebody resolved it, or as good as */
    until(&b, 11 * HOUR);
    assert_int_equal(opened(&b), 1);
    report(&b, HIT("sync", "run_3", 11 * HOUR));
    until(&b, 13 * HOUR);
    assert_int_equal(opened(&b), 2);
    bench_close(&b);
}

static void manual_stays_until_somebody_ends_it(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  quiet:\n    when: {task: sync, status: success}\n    absent: 2h\n    resolve: manual\n    repeat: never\n    notify: [hook, chat]\n");
    report(&b, HIT("sync", "run_1", 0));
    until(&b, 2 * HOUR);
    report(&b, HIT("sync", "run_2", 3 * HOUR));
    until(&b, 4 * HOUR);
    assert_int_equal(open_now(&b), 1);
    until(&b, 5 * HOUR); /* absent once more: an update where it can be edited */
    assert_int_equal(opened(&b), 1);
    assert_int_equal(count_notes(&b, "absent"), 2);
    until(&b, 5 * HOUR + MINUTE);
    assert_int_equal(count_said(&b, "chat", MESSAGE_UPDATE), 1);
    bench_close(&b);
}

static void a_success_that_began_before_it_rang_counts(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  quiet:\n    when: {task: sync, status: success}\n    absent: 2h\n    resolve: success\n    linger: 0s\n    repeat: never\n    notify: hook\n");
    report(&b, HIT("sync", "run_1", 0));
    until(&b, 2 * HOUR);
    report(&b, SUCCEEDED("run_other", 2 * HOUR, HOUR));
    assert_int_equal(open_now(&b), 1); /* another task */
    report(&b, (struct report){ .run = "run_2", .task = "sync", .state = RUN_COMPLETED, .at_ms = 2 * HOUR + MINUTE, .started_ms = HOUR + 50 * MINUTE });
    assert_int_equal(open_now(&b), 0);
    bench_close(&b);
}

static void snoozed_before_anybody_was_told(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  quiet:\n    when: {task: sync, status: success}\n    absent: 2h\n    wait: 30m\n    repeat: never\n    notify: hook\n");
    report(&b, HIT("sync", "run_1", 0));
    until(&b, 2 * HOUR);
    command(&b, ENGINE_SNOOZE, first(&b), HOUR);
    until(&b, 3 * HOUR);
    assert_int_equal(count_said(&b, "hook", MESSAGE_OPEN), 1);
    bench_close(&b);
}

/* --- cron ----------------------------------------------------------------------------------------------------------- */
static void a_time_is_met_from_then_until_grace_is_over(void **state)
{
    struct bench b;
    const int64_t slot = 15 * HOUR; /* 03:00 */
    (void)state;
    bench_open(&b, NIGHTLY);
    restart(&b, b.rules);
    assert_int_equal(due(&b), slot + 30 * MINUTE);
    report(&b, HIT("export", "run_1", slot - 1)); /* too early */
    assert_int_equal(due(&b), slot + 30 * MINUTE);
    report(&b, HIT("export", "run_2", slot));
    assert_int_equal(due(&b), slot + DAY + 30 * MINUTE);
    report(&b, HIT("export", "run_3", slot + DAY + 30 * MINUTE - 1)); /* the last moment but one */
    assert_int_equal(due(&b), slot + 2 * DAY + 30 * MINUTE);
    report(&b, LATE("export", "run_4", slot + 2 * DAY + 30 * MINUTE - 1, slot + 2 * DAY + 10 * MINUTE));
    until(&b, slot + 3 * DAY + 30 * MINUTE - 1);
    assert_int_equal(opened(&b), 0);
    until(&b, slot + 3 * DAY + 30 * MINUTE);
    assert_int_equal(opened(&b), 1);
    assert_true(str_eq_c(title(&b), "export in prod did not succeed by 03:30 (last at 2026-01-08 03:10)"));
    assert_true(str_eq_c(said_field(&b, last_said(&b, "hook"), "body"), "It was due at 2026-01-09 03:00 UTC, with 30m of grace. The last one was at 2026-01-08 03:10."));
    report(&b, HIT("export", "run_5", slot + 3 * DAY + 7 * HOUR)); /* somebody started it by hand */
    assert_int_equal(open_now(&b), 0);
    assert_int_equal(due(&b), slot + 4 * DAY + 30 * MINUTE);
    bench_close(&b);
}

static void one_of_two_that_were_missed_comes_late(void **state)
{
    struct bench b;
    const int64_t slot = 15 * HOUR;
    (void)state;
    bench_open(&b, NIGHTLY);
    restart(&b, b.rules);
    until(&b, slot + DAY + HOUR);
    assert_int_equal(opened(&b), 1);
    report(&b, LATE("export", "run_1", slot + DAY + HOUR, slot + 10 * MINUTE));
    assert_int_equal(open_now(&b), 1); /* the one of today is still missing */
    report(&b, LATE("export", "run_2", slot + DAY + HOUR, slot + DAY + 10 * MINUTE));
    assert_int_equal(open_now(&b), 0);
    bench_close(&b);
}

static void a_rule_loaded_in_the_middle_of_grace_waits_for_the_next_time(void **state)
{
    struct bench b;
    const struct ruleset *rules;
    (void)state;
    bench_open(&b, SIMPLE(""));
    rules = compile(&b, NIGHTLY);
    until(&b, 15 * HOUR + MINUTE);
    reload(&b, rules);
    assert_int_equal(due(&b), 15 * HOUR + DAY + 30 * MINUTE);
    bench_close(&b);
}

/* Europe/Berlin, 2026-03-29: at 02:00 it becomes 03:00. */
static void the_night_on_which_clocks_go_forward(void **state)
{
    struct bench b;
    const int64_t spring = 1774742400000 - start_ms; /* 2026-03-29 00:00 UTC, since the start */
    (void)state;
    bench_open(&b, "rules:\n  nightly:\n    when: {task: export, status: success, env: prod}\n    absent: {cron: \"30 2 * * *\", grace: 10m, zone: Europe/Berlin}\n"
                   "    linger: 0s\n    repeat: never\n    notify: hook\n");
    report(&b, LATE("export", "run_1", spring - HOUR, spring - 22 * HOUR - 30 * MINUTE)); /* 02:30 on the 28th */
    assert_int_equal(due(&b), spring + HOUR + 10 * MINUTE); /* 02:30 is not there: the jump is, at 01:00 UTC */
    until(&b, spring + HOUR + 10 * MINUTE);
    assert_true(str_eq_c(title(&b), "export in prod did not succeed by 03:10 (last at 2026-03-28 02:30)"));
    bench_close(&b);
}

/* 2026-10-25: at 03:00 it becomes 02:00 once more. */
static void the_night_on_which_clocks_go_back(void **state)
{
    struct bench b;
    const int64_t autumn = 1792886400000 - start_ms; /* 2026-10-25 00:00 UTC */
    (void)state;
    bench_open(&b, "rules:\n  nightly:\n    when: {task: export, status: success, env: prod}\n    absent: {cron: \"30 2 * * *\", grace: 10m, zone: Europe/Berlin}\n"
                   "    linger: 0s\n    repeat: never\n    notify: hook\n");
    report(&b, LATE("export", "run_1", autumn - HOUR, autumn - 23 * HOUR)); /* 03:00 on the 24th */
    assert_int_equal(due(&b), autumn + 30 * MINUTE + 10 * MINUTE); /* the first 02:30 */
    report(&b, HIT("export", "run_2", autumn + 35 * MINUTE));
    assert_int_equal(due(&b), autumn + 25 * HOUR + 30 * MINUTE + 10 * MINUTE); /* once */
    bench_close(&b);
}

/* --- reload and restart -------------------------------------------------------------------------------------------- */
static void another_condition_starts_anew(void **state)
{
    struct bench b;
    const struct ruleset *same, *other;
    (void)state;
    bench_open(&b, EVERY_2H);
    same = compile(&b, EVERY_2H "    severity: critical\n");
    other = compile(&b, "rules:\n  quiet:\n    when: {task: sync, status: success}\n    absent: {every: 2h, grace: 1m}\n    notify: hook\n");
    report(&b, HIT("sync", "run_1", 0));
    until(&b, HOUR);
    reload(&b, same);
    assert_int_equal(due(&b), 2 * HOUR);
    until(&b, 2 * HOUR);
    assert_int_equal(open_now(&b), 1);
    reload(&b, other);
    assert_int_equal(open_now(&b), 0);
    assert_int_equal(keys(&b), 1);
    assert_int_equal(due(&b), 4 * HOUR + MINUTE); /* its clock starts now */
    reload(&b, compile(&b, SIMPLE("")));
    assert_int_equal(keys(&b), 0);
    assert_int_equal(due(&b), -1);
    restart(&b, b.rules); /* the cells of what is gone are gone */
    assert_int_equal(keys(&b), 1);
    assert_int_equal(due(&b), 4 * HOUR);
    bench_close(&b);
}

static void a_rule_changed_while_nothing_ran(void **state)
{
    struct bench b;
    const struct ruleset *other;
    (void)state;
    bench_open(&b, EVERY_2H);
    other = compile(&b, "rules:\n  quiet:\n    when: {task: sync, status: success}\n    absent: 3h\n    notify: hook\n");
    report(&b, HIT("sync", "run_1", 0));
    until(&b, HOUR);
    restart(&b, other);
    assert_int_equal(due(&b), 4 * HOUR);
    restart(&b, other);
    assert_int_equal(due(&b), 4 * HOUR);
    bench_close(&b);
}

static void template_and_fields_without_a_run(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  quiet:\n    when: {task: sync, status: success}\n    absent: 2h\n    by: [task, queue]\n    notify: hook\n"
                   "    message: {title: \"{{task}}|{{key}}|{{env}}|{{run}}|{{url}}|{{error.message | default: none}}|{{hits}}|{{absent.for}}|{{absent.last}}|{{absent.due}}\"}\n");
    b.trim_always = true;
    report(&b, HIT("sync", "run_1", 0));
    until(&b, 2 * HOUR);
    assert_true(str_eq_c(title(&b), "sync|sync/(none)|prod|||none|1|2h|2026-01-05 12:00 UTC|2026-01-05 14:00 UTC"));
    assert_int_equal(engine_stats(b.e).template_failures, 0);
    bench_close(&b);
}

static void what_a_key_waits_for(void **state)
{
    struct bench b;
    struct json cell;
    struct json_draft d;
    struct err err;
    struct str key;
    (void)state;
    bench_open(&b, EVERY_2H);
    report(&b, HIT("sync", "run_1", 0));
    key = absent_cell_key(&b.a, STR("quiet"), STR("default"), STR("prod"), STR("sync"));
    for (size_t k = b.cells.n; k-- > 0;) {
        if (!str_eq(b.cells.v[k].key, key)) continue;
        assert_int_equal(json_parse(&b.a, b.cells.v[k].blob, &json_own_limits, &cell, NULL, &err), 0);
        engine_describe_absent(cell, json_draft_begin(&d, 4096));
        assert_true(str_eq_c(json_draft_end(&d, &b.a), "{\"key\":\"sync\",\"state\":\"armed\",\"last_hit\":\"2026-01-05T12:00:00.000Z\","
                                                       "\"expected\":\"2026-01-05T14:00:00.000Z\",\"rings\":\"2026-01-05T14:00:00.000Z\"}"));
        bench_close(&b);
        return;
    }
    fail_msg("no cell");
}

/* A million keys, and hits of all of them, are no trouble. */
static void many_keys(void **state)
{
    struct bench b;
    const char *text = getenv("ABSENT_KEYS");
    size_t n = text ? strtoul(text, NULL, 10) : 20000;
    (void)state;
    bench_open(&b, SEEN_2H);
    b.lazy = true;
    for (size_t k = 0; k < 2 * n; k++) {
        char task[32], run[32];
        snprintf(task, sizeof task, "t%zu", k % n);
        snprintf(run, sizeof run, "run_%zu", k);
        report(&b, HIT(task, run, (int64_t)(k / n) * HOUR));
    }
    assert_int_equal(keys(&b), n);
    assert_int_equal(engine_stats(b.e).timers, 1);
    assert_int_equal(due(&b), 3 * HOUR);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_rings_when_the_next_hit_stays_away),
        cmocka_unit_test(grace_comes_on_top),
        cmocka_unit_test(only_hits_set_the_clock),
        cmocka_unit_test(a_relapse_within_linger_goes_on_silently),
        cmocka_unit_test(named_tasks_wait_from_the_start_on),
        cmocka_unit_test(without_an_environment_those_that_live),
        cmocka_unit_test(a_new_rule_knows_which_environments_live),
        cmocka_unit_test(other_keys_are_those_that_were_seen),
        cmocka_unit_test(after_thirty_days_a_key_is_given_up),
        cmocka_unit_test(a_named_key_that_was_given_up_waits_for_a_hit),
        cmocka_unit_test(a_month_gets_its_time),
        cmocka_unit_test(more_keys_than_the_bound_are_counted_and_told),
        cmocka_unit_test(a_late_hit_prevents),
        cmocka_unit_test(a_late_hit_resolves_what_it_lies_in),
        cmocka_unit_test(a_late_hit_that_is_too_old_resolves_nothing),
        cmocka_unit_test(what_was_due_comes_before_what_is_told_now),
        cmocka_unit_test(resolved_by_hand_it_waits_for_the_next_hit),
        cmocka_unit_test(manual_stays_until_somebody_ends_it),
        cmocka_unit_test(a_success_that_began_before_it_rang_counts),
        cmocka_unit_test(snoozed_before_anybody_was_told),
        cmocka_unit_test(a_time_is_met_from_then_until_grace_is_over),
        cmocka_unit_test(one_of_two_that_were_missed_comes_late),
        cmocka_unit_test(a_rule_loaded_in_the_middle_of_grace_waits_for_the_next_time),
        cmocka_unit_test(the_night_on_which_clocks_go_forward),
        cmocka_unit_test(the_night_on_which_clocks_go_back),
        cmocka_unit_test(another_condition_starts_anew),
        cmocka_unit_test(a_rule_changed_while_nothing_ran),
        cmocka_unit_test(template_and_fields_without_a_run),
        cmocka_unit_test(what_a_key_waits_for),
        cmocka_unit_test(many_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
