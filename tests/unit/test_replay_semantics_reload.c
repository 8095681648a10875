/* The rule language's section 5, "Reload and restart": a test for each thing it says, judged from its text. That a file which fails
 * to load leaves the rules in force, and what becomes of deliveries to a destination that is gone, needs a server:
 * tests/e2e/test_semantics.py. */
#include "story.h"

#define R(body) "rules: {r: {" body ", notify: hook}}"
#define FAILS(more) R("when: {status: failed}, repeat: never" more)

/* The last message to hook is the only one since, of that kind, and tells how late it is. */
static void one_late_message(struct story *s, const char *line, const char *destination, const char *lateness)
{
    came(s, line);
    says(s, destination, lateness);
}

/* --- 1st line: durable timers, overdue ones fire once, late, and say so ------------------------------------------------------------- */
static void an_overdue_escalation_fires_once_and_says_so(void **state)
{
    static const char rules[] = FAILS(", escalate: {15m: pager}");
    struct story s;
    (void)state;
    story_begin(&s, rules);
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    down(&s, "5m", "2h15m", rules);
    passes(&s, "10h");
    one_late_message(&s, "2h15m escalation r sync -> pager", "pager", "2h later than due");
    story_end(&s);
}

static void an_overdue_reminder_fires_once_and_says_so(void **state)
{
    static const char rules[] = R("when: {status: failed}, repeat: 1h");
    struct story s;
    (void)state;
    story_begin(&s, rules);
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    down(&s, "5m", "6h", rules); /* six were due */
    passes(&s, "6h30m");
    one_late_message(&s, "6h reminder r sync -> hook", "hook", "5h later than due");
    story_end(&s);
}

static void an_overdue_wait_fires_once_and_says_so(void **state)
{
    static const char rules[] = FAILS(", wait: 10m");
    struct story s;
    (void)state;
    story_begin(&s, rules);
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    down(&s, "5m", "3h10m", rules);
    passes(&s, "10h");
    one_late_message(&s, "3h10m open r sync -> hook", "hook", "3h later than due");
    story_end(&s);
}

static void an_overdue_linger_fires_once_and_says_so(void **state)
{
    static const char rules[] = FAILS(", linger: 10m");
    struct story s;
    (void)state;
    story_begin(&s, rules);
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "5m", "{run: run_b, task: sync, status: COMPLETED, started: 4m}");
    forget(&s);
    down(&s, "6m", "3h15m", rules);
    passes(&s, "10h");
    came(&s, "3h15m resolve r sync -> hook", "3h15m resolved r sync");
    says(&s, "hook", "3h later than due");
    story_end(&s);
}

static void an_overdue_lasts_fires_once_and_says_so(void **state)
{
    static const char rules[] = R("when: {status: EXECUTING}, lasts: 30m, repeat: never");
    struct story s;
    (void)state;
    story_begin(&s, rules);
    happens(&s, "0m", "{run: run_a, task: sync, status: EXECUTING}");
    down(&s, "5m", "2h30m", rules);
    passes(&s, "10h");
    came(&s, "2h30m open r sync -> hook", "2h30m opened r sync");
    says(&s, "hook", "2h later than due");
    story_end(&s);
}

static void an_overdue_absence_fires_once_and_says_so(void **state)
{
    static const char rules[] = R("when: {task: sync, status: success, env: default}, absent: 2h, repeat: never");
    struct story s;
    (void)state;
    story_begin(&s, rules);
    down(&s, "5m", "5h", rules);
    passes(&s, "10h");
    came(&s, "5h open r sync -> hook", "5h opened r sync");
    says(&s, "hook", "3h");
    story_end(&s);
}

static void what_is_not_overdue_fires_in_time_and_does_not_say_so(void **state)
{
    static const char rules[] = FAILS(", escalate: {15m: pager}");
    struct story s;
    (void)state;
    story_begin(&s, rules);
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    down(&s, "5m", "14m", rules);
    passes(&s, "15m");
    came(&s, "15m escalation r sync -> pager");
    assert_null(strstr(text_to(&s, "pager"), "later than due"));
    story_end(&s);
}

/* --- 2nd line: rules that change --------------------------------------------------------------------------------------------------------- */
/* What becomes of an open incident of `before` under `after`: the reason with which it resolved, or "" while it is open. */
static void becomes(const char *before, const char *after, const char *reason)
{
    struct story s;
    story_begin(&s, before);
    happens(&s, "0m", "{run: run_a, task: sync, version: v1, status: FAILED}");
    forget(&s);
    reloaded(&s, "1m", after);
    if (!reason[0]) {
        nothing_came(&s);
        assert_int_equal(state_of(&s.b, incident_of(&s, "r sync")), INCIDENT_OPEN);
    } else {
        came(&s, "1m resolve r sync -> hook", "1m resolved r sync");
        says(&s, "hook", reason);
    }
    story_end(&s);
}

static void another_when_resolves_as_rule_changed(void **state)
{
    (void)state;
    becomes(FAILS(""), R("when: {status: [FAILED, CRASHED]}, repeat: never"), "rule changed");
    becomes(FAILS(""), R("when: {status: failed, env: default}, repeat: never"), "rule changed");
    becomes(FAILS(""), "defaults: {when: {env: default}}\n" FAILS(""), "rule changed"); /* it is and-ed to every rule */
}

static void another_by_resolves_as_rule_changed(void **state)
{
    (void)state;
    becomes(FAILS(""), FAILS(", by: [task, version]"), "rule changed");
    becomes(FAILS(""), "defaults: {by: env}\n" FAILS(""), "rule changed");
}

static void another_condition_resolves_as_rule_changed(void **state)
{
    (void)state;
    becomes(FAILS(""), FAILS(", count: 3 in 10m"), "rule changed");
    becomes(FAILS(", count: 1 in 10m"), FAILS(", count: 1 in 11m"), "rule changed");
    becomes(FAILS(", first: 7d"), FAILS(", first: 8d"), "rule changed");
}

static void the_same_in_other_words_is_no_change(void **state)
{
    (void)state;
    becomes(FAILS(", count: 1 in 10m"), FAILS(", count: {n: 1, in: 600s}"), "");
    becomes(R("when: {status: FAILED}, repeat: never"), R("when: {status: [COMPLETED_WITH_ERRORS]}, repeat: never"), "");
    becomes(FAILS(""), "defaults: {by: task}\n" FAILS(", by: [task]"), "");
}

static void its_windows_start_anew(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", count: 3 in 10m"));
    happen(&s, "0m", 2, "x", "task: sync, status: FAILED");
    reloaded(&s, "1m", FAILS(", count: 3 in 20m"));
    happen(&s, "2m", 2, "y", "task: sync, status: FAILED");
    nothing_came(&s);
    happens(&s, "3m", "{run: run_z, task: sync, status: FAILED}");
    came(&s, "3m open r sync -> hook", "3m opened r sync");
    story_end(&s);
}

static void the_windows_of_a_rule_that_did_not_change_go_on(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", count: 3 in 10m"));
    happen(&s, "0m", 2, "x", "task: sync, status: FAILED");
    reloaded(&s, "1m", "rules: {other: {when: {status: EXPIRED}, notify: chat}, r: {when: {status: failed}, repeat: 2h, count: 3 in 10m, notify: hook}}");
    happens(&s, "3m", "{run: run_z, task: sync, status: FAILED}");
    came(&s, "3m open r sync -> hook", "3m opened r sync");
    story_end(&s);
}

static void other_changes_apply_at_once(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", linger: 1h"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    reloaded(&s, "1m", R("when: {status: failed}, repeat: 30m, linger: 0s"));
    passes(&s, "31m");
    assert_int_equal(count_said(&s.b, "hook", MESSAGE_REMINDER), 1);
    happens(&s, "40m", "{run: run_b, task: sync, status: COMPLETED, started: 39m}");
    assert_int_equal(count_said(&s.b, "hook", MESSAGE_RESOLVE), 1);
    story_end(&s);
}

static void but_escalations_are_frozen_when_the_incident_opens(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", escalate: {15m: pager}"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    reloaded(&s, "1m", FAILS(", escalate: {5m: chat}"));
    passes(&s, "1h");
    came(&s, "15m escalation r sync -> pager");
    story_end(&s);
}

static void a_rename_is_a_deletion_and_a_new_rule(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", count: 2 in 10m"));
    happen(&s, "0m", 2, "x", "task: sync, status: FAILED");
    happens(&s, "0m", "{run: run_m, task: mail, status: FAILED}");
    forget(&s);
    reloaded(&s, "1m", "rules: {renamed: {when: {status: failed}, repeat: never, count: 2 in 10m, notify: hook}}");
    came(&s, "1m resolve r sync -> hook", "1m resolved r sync");
    says(&s, "hook", "rule removed");
    happens(&s, "2m", "{run: run_n, task: mail, status: FAILED}"); /* it knows nothing of the one before */
    nothing_came(&s);
    story_end(&s);
}

static void enabled_false_is_a_deletion(void **state)
{
    (void)state;
    becomes(FAILS(""), FAILS(", enabled: false"), "rule removed");
}

static void a_deletion_resolves_as_rule_removed(void **state)
{
    (void)state;
    becomes(FAILS(""), "rules: {other: {when: {status: EXPIRED}, notify: hook}}", "rule removed");
}

static void rules_that_changed_while_nobody_ran_resolve_as_well(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "rules: {r: {when: {status: FAILED}, repeat: never, notify: hook}, q: {when: {status: FAILED}, repeat: never, notify: chat}}");
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    forget(&s);
    down(&s, "1m", "1h", "rules: {r: {when: {status: failed}, repeat: never, notify: hook}}");
    came(&s, "1h resolve q sync -> chat", "1h resolve r sync -> hook", "1h resolved q sync", "1h resolved r sync", "1h update q sync -> chat");
    says(&s, "hook", "rule changed");
    says(&s, "chat", "rule removed");
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_overdue_escalation_fires_once_and_says_so),
        cmocka_unit_test(an_overdue_reminder_fires_once_and_says_so),
        cmocka_unit_test(an_overdue_wait_fires_once_and_says_so),
        cmocka_unit_test(an_overdue_linger_fires_once_and_says_so),
        cmocka_unit_test(an_overdue_lasts_fires_once_and_says_so),
        cmocka_unit_test(an_overdue_absence_fires_once_and_says_so),
        cmocka_unit_test(what_is_not_overdue_fires_in_time_and_does_not_say_so),
        cmocka_unit_test(another_when_resolves_as_rule_changed),
        cmocka_unit_test(another_by_resolves_as_rule_changed),
        cmocka_unit_test(another_condition_resolves_as_rule_changed),
        cmocka_unit_test(the_same_in_other_words_is_no_change),
        cmocka_unit_test(its_windows_start_anew),
        cmocka_unit_test(the_windows_of_a_rule_that_did_not_change_go_on),
        cmocka_unit_test(other_changes_apply_at_once),
        cmocka_unit_test(but_escalations_are_frozen_when_the_incident_opens),
        cmocka_unit_test(a_rename_is_a_deletion_and_a_new_rule),
        cmocka_unit_test(enabled_false_is_a_deletion),
        cmocka_unit_test(a_deletion_resolves_as_rule_removed),
        cmocka_unit_test(rules_that_changed_while_nobody_ran_resolve_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
