/* The rule language's section 5, "Messages", 2nd and 3rd line: what holds messages, and what becomes of them; judged from its text. */
#include "story.h"

/* Stories begin on a Monday at noon, UTC: the hours of `day` are their first two, and again from 24h on. */
#define HOURS "schedules: {day: {days: all, hours: \"12:00-14:00\", zone: UTC}, dusk: {days: all, hours: \"14:00-16:00\", zone: UTC}}\n"
#define MUTED HOURS "mutes: {rebuild: {when: {task: sync}, during: dusk, why: planned}}\n"
#define FAILS(more) "rules: {r: {when: {status: failed}" more ", notify: hook}}"
/* r stands behind `down`, which opens with a SYSTEM_FAILURE and is ended by hand. */
#define BEHIND(more) \
    "rules: {r: {when: {status: FAILED}" more ", unless: down, notify: hook}, " \
    "down: {when: {status: SYSTEM_FAILURE}, by: env, resolve: manual, repeat: never, notify: ops}}"

/* --- held, by each of the four, and told when it ends ---------------------------------------------------------------------------- */
static void a_silenced_message_is_held_and_its_state_goes_out_afterwards(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", repeat: never"));
    silenced(&s, "0m", "{task: sync}", "1h");
    happens(&s, "10m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "20m", "{run: run_b, task: sync, status: FAILED}");
    passes(&s, "59m");
    came(&s, "10m opened r sync");
    passes(&s, "1h");
    came(&s, "1h open r sync -> hook");
    assert_true(str_eq_c(said_field(&s.b, last_said(&s.b, "hook"), "hits"), "2")); /* as it is now, not as it was */
    story_end(&s);
}

static void a_muted_message_is_held(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, MUTED FAILS(", repeat: never"));
    happens(&s, "3h", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "3h", "{run: run_b, task: mail, status: FAILED}");
    passes(&s, "3h59m");
    came(&s, "3h open r mail -> hook", "3h opened r mail", "3h opened r sync");
    passes(&s, "4h");
    came(&s, "4h open r sync -> hook");
    story_end(&s);
}

static void an_unlessed_message_is_held(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, BEHIND(", repeat: never"));
    happens(&s, "0m", "{run: run_x, task: mail, status: SYSTEM_FAILURE}");
    happens(&s, "10m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "10m", "{run: run_b, task: sync, env: dev, status: FAILED}"); /* it is open in the other environment */
    resolved_by_hand(&s, "1h", "down -");
    came(&s, "0s open down - -> ops", "0s opened down -", "10m open r sync @dev -> hook", "10m opened r sync", "10m opened r sync @dev",
         "1h open r sync -> hook", "1h resolve down - -> ops", "1h resolved down -");
    story_end(&s);
}

static void a_message_out_of_hours_is_held(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, HOURS FAILS(", during: day, repeat: never"));
    happens(&s, "3h", "{run: run_a, task: sync, status: FAILED}");
    passes(&s, "23h59m");
    came(&s, "3h opened r sync");
    passes(&s, "24h");
    came(&s, "1d open r sync -> hook");
    story_end(&s);
}

static void what_is_no_longer_open_is_not_told(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, HOURS FAILS(", during: day, linger: 0s"));
    happens(&s, "3h", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "5h", "{run: run_b, task: sync, status: COMPLETED, started: 4h}");
    passes(&s, "2d");
    came(&s, "3h opened r sync", "5h resolved r sync");
    story_end(&s);
}

/* --- the clocks stand still ----------------------------------------------------------------------------------------------------------- */
#define CLOCKS ", repeat: 50m, escalate: {20m: pager}, resolve: 2h quiet, linger: 0s"
/* Held from 10m to 70m, whatever by: everything comes an hour later, and the reminder goes to both. */
static void comes_an_hour_later(struct story *s)
{
    passes(s, "3h30m");
    came(s, "0s open r sync -> hook", "0s opened r sync", "1h20m escalation r sync -> pager", "1h50m reminder r sync -> hook", "1h50m reminder r sync -> pager",
         "2h40m reminder r sync -> hook", "2h40m reminder r sync -> pager", "3h resolve r sync -> hook", "3h resolve r sync -> pager", "3h resolved r sync");
}

static void escalate_repeat_and_quiet_stand_still_in_a_silence(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(CLOCKS));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    silenced(&s, "10m", "{task: sync}", "1h");
    comes_an_hour_later(&s);
    story_end(&s);
}

static void escalate_repeat_and_quiet_stand_still_in_a_mute(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "schedules: {dusk: {days: all, hours: \"12:10-13:10\", zone: UTC}}\nmutes: {rebuild: {when: {task: sync}, during: dusk, why: planned}}\n" FAILS(CLOCKS));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    comes_an_hour_later(&s);
    story_end(&s);
}

static void escalate_repeat_and_quiet_stand_still_out_of_hours(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "schedules: {most: {days: all, hours: [\"00:00-12:10\", \"13:10-24:00\"], zone: UTC}}\n" FAILS(CLOCKS ", during: most"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    comes_an_hour_later(&s);
    story_end(&s);
}

static void escalate_repeat_and_quiet_stand_still_behind_another_rule(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "rules: {r: {when: {status: FAILED}" CLOCKS ", unless: down, notify: hook}, "
                    "down: {when: {status: SYSTEM_FAILURE}, by: env, resolve: 1h quiet, linger: 0s, repeat: never, notify: ops}}");
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "10m", "{run: run_x, task: mail, status: SYSTEM_FAILURE}");
    passes(&s, "3h30m");
    came(&s, "0s open r sync -> hook", "0s opened r sync", "10m open down - -> ops", "10m opened down -", "1h10m resolve down - -> ops", "1h10m resolved down -",
         "1h20m escalation r sync -> pager", "1h50m reminder r sync -> hook", "1h50m reminder r sync -> pager", "2h40m reminder r sync -> hook",
         "2h40m reminder r sync -> pager", "3h resolve r sync -> hook", "3h resolve r sync -> pager", "3h resolved r sync");
    story_end(&s);
}

/* --- digests of what was held, and resolves ---------------------------------------------------------------------------------------------- */
static void several_held_openings_for_one_destination_leave_as_one_digest(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, HOURS "rules: {r: {when: {status: failed}, during: day, repeat: never, notify: [hook, chat]}}");
    happens(&s, "3h", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "4h", "{run: run_b, task: mail, status: FAILED}");
    passes(&s, "24h");
    came(&s, "3h opened r sync", "4h opened r mail", "1d digest - -> chat", "1d digest - -> hook", "1d in-a-digest r mail", "1d in-a-digest r mail", "1d in-a-digest r sync",
         "1d in-a-digest r sync");
    story_end(&s);
}

static void openings_of_several_rules_leave_as_one_digest(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "rules: {r: {when: {status: FAILED}, repeat: never, notify: hook}, q: {when: {status: CRASHED}, repeat: never, notify: hook}}");
    silenced(&s, "0m", "{status: failed}", "1h");
    happens(&s, "10m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "20m", "{run: run_b, task: sync, status: CRASHED}");
    passes(&s, "1h");
    came(&s, "10m opened r sync", "20m opened q sync", "1h digest - -> hook", "1h in-a-digest q sync", "1h in-a-digest r sync");
    story_end(&s);
}

static void several_held_for_the_hours_of_one_destination_leave_as_one_digest(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, HOURS "rules: {r: {when: {status: failed}, repeat: never, notify: [hook, {to: pager, during: day}]}}");
    happens(&s, "3h", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "4h", "{run: run_b, task: mail, status: FAILED}");
    passes(&s, "24h");
    came(&s, "3h open r sync -> hook", "3h opened r sync", "4h open r mail -> hook", "4h opened r mail", "1d digest - -> pager", "1d in-a-digest r mail", "1d in-a-digest r sync");
    story_end(&s);
}

static void a_resolve_passes_if_its_opening_was_sent(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, HOURS FAILS(", during: day, repeat: never, linger: 0s"));
    happens(&s, "1h", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "5h", "{run: run_b, task: sync, status: COMPLETED, started: 4h}");
    came(&s, "1h open r sync -> hook", "1h opened r sync", "5h resolve r sync -> hook", "5h resolved r sync");
    story_end(&s);
}

static void drop_must_be_asked_for(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, HOURS "rules: {r: {when: {status: FAILED}, during: day, repeat: never, outside: drop, notify: hook}, "
                          "q: {when: {status: CRASHED}, during: day, repeat: never, notify: hook}}");
    happens(&s, "3h", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "3h", "{run: run_b, task: sync, status: CRASHED}");
    passes(&s, "25h");
    came(&s, "3h opened q sync", "3h opened r sync", "1d open q sync -> hook");
    story_end(&s);
}

static void a_cycle_of_unless_is_an_error(void **state)
{
    (void)state;
    refused("rules: {a: {when: {status: FAILED}, unless: b, notify: hook}, b: {when: {status: CRASHED}, unless: c, notify: hook}, "
            "c: {when: {status: TIMED_OUT}, unless: a, notify: hook}}", "unless");
    refused("rules: {a: {when: {status: FAILED}, unless: a, notify: hook}}", "unless");
    accepted("rules: {a: {when: {status: FAILED}, unless: b, notify: hook}, b: {when: {status: CRASHED}, unless: c, notify: hook}, c: {when: {status: TIMED_OUT}, notify: hook}}");
}

static void outside_a_destinations_own_hours_that_one_alone_is_held(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, HOURS "rules: {r: {when: {status: failed}, repeat: never, notify: [hook, {to: chat, during: day}], escalate: {15m: pager}}}");
    happens(&s, "3h", "{run: run_a, task: sync, status: FAILED}");
    passes(&s, "24h");
    came(&s, "3h open r sync -> hook", "3h opened r sync", "3h15m escalation r sync -> pager", "1d open r sync -> chat");
    story_end(&s);
}

static void no_clock_stands_still_for_it(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, HOURS "rules: {r: {when: {status: failed}, repeat: 1h, resolve: 3h quiet, linger: 0s, notify: [{to: chat, during: day}, hook]}}");
    happens(&s, "3h", "{run: run_a, task: sync, status: FAILED}");
    passes(&s, "25h");
    came(&s, "3h open r sync -> hook", "3h opened r sync", "4h reminder r sync -> hook", "5h reminder r sync -> hook", "6h resolve r sync -> hook", "6h resolved r sync");
    story_end(&s);
}

/* --- 3rd line: marks -------------------------------------------------------------------------------------------------------------------------- */
static void one_hit_that_is_not_marked_speaks(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", by: env, repeat: never"));
    silenced(&s, "0m", "{task: sync}", "10h");
    happens(&s, "10m", "{run: run_a, task: sync, status: FAILED}");
    came(&s, "10m opened r -");
    happens(&s, "20m", "{run: run_b, task: mail, status: FAILED}");
    came(&s, "20m open r - -> hook");
    story_end(&s);
}

static void since_its_last_message_every_hit_must_be_marked(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "rules: {r: {when: {status: failed}, by: env, repeat: 1h, notify: hook}}");
    happens(&s, "0m", "{run: run_a, task: mail, status: FAILED}");
    silenced(&s, "10m", "{task: sync}", "10h"); /* it is about mail: not held */
    passes(&s, "1h");
    came(&s, "0s open r - -> hook", "0s opened r -", "1h reminder r - -> hook");
    happens(&s, "1h30m", "{run: run_b, task: sync, status: FAILED}"); /* the only hit since that reminder */
    passes(&s, "3h");
    nothing_came(&s);
    happens(&s, "3h10m", "{run: run_c, task: mail, status: FAILED}");
    passes(&s, "3h39m");
    nothing_came(&s);
    passes(&s, "3h40m"); /* of the reminder's hour, half had gone when it was held */
    came(&s, "3h40m reminder r - -> hook");
    story_end(&s);
}

static void an_absence_uses_its_key(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "rules: {r: {when: {task: [sync, mail], status: success, env: default}, absent: 2h, repeat: never, notify: hook}}");
    silenced(&s, "1h", "{task: sync}", "3h");
    passes(&s, "3h59m");
    came(&s, "2h open r mail -> hook", "2h opened r mail", "2h opened r sync");
    passes(&s, "4h");
    came(&s, "4h open r sync -> hook");
    story_end(&s);
}

static void a_silence_that_began_after_the_opening_lets_the_resolve_pass(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", repeat: never, linger: 0s"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    silenced(&s, "10m", "{task: sync}", "5h");
    happens(&s, "20m", "{run: run_b, task: sync, status: FAILED}");
    happens(&s, "1h", "{run: run_c, task: sync, status: COMPLETED, started: 30m}");
    came(&s, "0s open r sync -> hook", "0s opened r sync", "1h resolve r sync -> hook", "1h resolved r sync");
    story_end(&s);
}

static void a_silence_that_ends_after_the_resolve_sends_nothing(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", repeat: never, linger: 0s"));
    silenced(&s, "0m", "{task: sync}", "5h");
    happens(&s, "10m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "1h", "{run: run_b, task: sync, status: COMPLETED, started: 30m}");
    passes(&s, "1d");
    came(&s, "10m opened r sync", "1h resolved r sync");
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silenced_message_is_held_and_its_state_goes_out_afterwards),
        cmocka_unit_test(a_muted_message_is_held),
        cmocka_unit_test(an_unlessed_message_is_held),
        cmocka_unit_test(a_message_out_of_hours_is_held),
        cmocka_unit_test(what_is_no_longer_open_is_not_told),
        cmocka_unit_test(escalate_repeat_and_quiet_stand_still_in_a_silence),
        cmocka_unit_test(escalate_repeat_and_quiet_stand_still_in_a_mute),
        cmocka_unit_test(escalate_repeat_and_quiet_stand_still_out_of_hours),
        cmocka_unit_test(escalate_repeat_and_quiet_stand_still_behind_another_rule),
        cmocka_unit_test(several_held_openings_for_one_destination_leave_as_one_digest),
        cmocka_unit_test(openings_of_several_rules_leave_as_one_digest),
        cmocka_unit_test(several_held_for_the_hours_of_one_destination_leave_as_one_digest),
        cmocka_unit_test(a_resolve_passes_if_its_opening_was_sent),
        cmocka_unit_test(drop_must_be_asked_for),
        cmocka_unit_test(a_cycle_of_unless_is_an_error),
        cmocka_unit_test(outside_a_destinations_own_hours_that_one_alone_is_held),
        cmocka_unit_test(no_clock_stands_still_for_it),
        cmocka_unit_test(one_hit_that_is_not_marked_speaks),
        cmocka_unit_test(since_its_last_message_every_hit_must_be_marked),
        cmocka_unit_test(an_absence_uses_its_key),
        cmocka_unit_test(a_silence_that_began_after_the_opening_lets_the_resolve_pass),
        cmocka_unit_test(a_silence_that_ends_after_the_resolve_sends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
