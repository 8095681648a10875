/* The rule language's section 5, "Messages", but for what holds them: a test for each thing it says, judged from its text. */
#include "story.h"

#define FAILS(more, to) "rules: {r: {when: {status: failed}" more ", notify: " to "}}"

/* --- 1st line: who cannot edit gets no updates ------------------------------------------------------------------------------------ */
static void who_cannot_edit_gets_opening_escalation_reminder_and_resolve_only(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", escalate: {15m: pager}, repeat: 30m, linger: 0s", "hook"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "5m", "{run: run_b, task: sync, status: FAILED}");
    happens(&s, "20m", "{run: run_c, task: sync, status: FAILED}");
    happens(&s, "40m", "{run: run_d, task: sync, status: COMPLETED, started: 30m}");
    came(&s, "0s open r sync -> hook", "0s opened r sync", "15m escalation r sync -> pager", "30m reminder r sync -> hook", "30m reminder r sync -> pager",
         "40m resolve r sync -> hook", "40m resolve r sync -> pager", "40m resolved r sync");
    story_end(&s);
}

static void who_can_edit_gets_them_beside_one_who_cannot(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", repeat: never", "[chat, hook]"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "5m", "{run: run_b, task: sync, status: FAILED}");
    passes(&s, "1h");
    came(&s, "0s open r sync -> chat", "0s open r sync -> hook", "0s opened r sync", "5m update r sync -> chat");
    story_end(&s);
}

/* --- 4th line: snooze ---------------------------------------------------------------------------------------------------------------- */
static void an_acknowledgement_stops_escalation_and_reminders(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", escalate: {15m: pager}, repeat: 30m", "hook"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    acknowledged(&s, "5m", "r sync");
    passes(&s, "10h");
    came(&s, "0s open r sync -> hook", "0s opened r sync");
    story_end(&s);
}

static void a_snooze_is_an_acknowledgement_that_lapses(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", escalate: {15m: pager}, repeat: 4h", "hook"));
    happens(&s, "0m", "{run: run_a, task: sync, status: FAILED}");
    snoozed(&s, "5m", "r sync", "1h");
    passes(&s, "1h14m");
    came(&s, "0s open r sync -> hook", "0s opened r sync");
    assert_int_equal(state_of(&s.b, incident_of(&s, "r sync")), INCIDENT_OPEN); /* again, since 1h5m */
    passes(&s, "1h15m"); /* ten of its fifteen minutes were left */
    came(&s, "1h15m escalation r sync -> pager");
    passes(&s, "6h");
    assert_int_equal(count_said(&s.b, "hook", MESSAGE_REMINDER), 1);
    story_end(&s);
}

/* --- 5th line: limit -------------------------------------------------------------------------------------------------------------------- */
#define LIMITED(n, to) "rules: {r: {when: {status: failed}, limit: " n ", repeat: never, linger: 0s, notify: " to "}}"
static void the_window_of_a_limit_slides(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "defaults: {limit: 2 per 10m}\nrules: {r: {when: {status: failed}, repeat: never, notify: hook}}");
    happens(&s, "0m", "{run: run_a, task: a, status: FAILED}");
    happens(&s, "5m", "{run: run_b, task: b, status: FAILED}");
    happens(&s, "10m1s", "{run: run_c, task: c, status: FAILED}"); /* a is no longer in the ten minutes */
    came(&s, "0s open r a -> hook", "0s opened r a", "5m open r b -> hook", "5m opened r b", "10m1s open r c -> hook", "10m1s opened r c");
    happens(&s, "14m59s", "{run: run_d, task: d, status: FAILED}"); /* b and c are */
    came(&s, "14m59s digest - -> hook", "14m59s in-a-digest r d", "14m59s opened r d");
    story_end(&s);
}

static void a_limit_counts_for_each_destination_project_and_environment(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "defaults: {limit: 1 per 1h}\nrules: {r: {when: {status: FAILED}, repeat: never, notify: hook}, q: {when: {status: CRASHED}, repeat: never, notify: pager}}");
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "2m", "{run: run_b, task: sync, status: CRASHED}");
    happens(&s, "3m", "{run: run_c, task: sync, env: dev, status: FAILED}");
    happens(&s, "4m", "{run: run_d, task: sync, project: other, status: FAILED}");
    assert_int_equal(count_said(&s.b, "hook", MESSAGE_OPEN), 3);
    assert_int_equal(count_said(&s.b, "pager", MESSAGE_OPEN), 1);
    assert_int_equal(count_said(&s.b, "hook", MESSAGE_DIGEST) + count_said(&s.b, "pager", MESSAGE_DIGEST), 0);
    story_end(&s);
}

static void rules_share_the_limit_of_a_destination(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "defaults: {limit: 1 per 1h}\nrules: {r: {when: {status: FAILED}, repeat: never, notify: hook}, q: {when: {status: CRASHED}, repeat: never, notify: hook}}");
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "2m", "{run: run_b, task: sync, status: CRASHED}");
    came(&s, "1m open r sync -> hook", "1m opened r sync", "2m digest - -> hook", "2m in-a-digest q sync", "2m opened q sync");
    story_end(&s);
}

static void a_limit_counts_openings_and_escalations(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "defaults: {limit: 2 per 1h}\nrules: {r: {when: {status: failed}, repeat: never, escalate: {5m: pager}, notify: pager}}");
    happens(&s, "0m", "{run: run_a, task: a, status: FAILED}");
    happens(&s, "10m", "{run: run_b, task: b, status: FAILED}");
    came(&s, "0s open r a -> pager", "0s opened r a", "5m escalation r a -> pager", "10m digest - -> pager", "10m in-a-digest r b", "10m opened r b");
    story_end(&s);
}

static void a_limit_counts_neither_reminders_nor_resolves(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "defaults: {limit: 2 per 1h}\nrules: {r: {when: {status: failed}, repeat: 5m, linger: 0s, notify: hook}}");
    happens(&s, "0m", "{run: run_a, task: a, status: FAILED}");
    happens(&s, "12m", "{run: run_b, task: a, status: COMPLETED, started: 10m}");
    happens(&s, "13m", "{run: run_c, task: b, status: FAILED}");
    assert_int_equal(count_said(&s.b, "hook", MESSAGE_REMINDER), 2);
    assert_int_equal(count_said(&s.b, "hook", MESSAGE_OPEN), 2);
    story_end(&s);
}

static void a_rules_own_limit_counts_that_rule_alone(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "defaults: {limit: 2 per 1h}\nrules: {r: {when: {status: FAILED}, limit: 1 per 1h, repeat: never, notify: hook}, q: {when: {status: CRASHED}, repeat: never, notify: hook}}");
    happens(&s, "1m", "{run: run_a, task: a, status: CRASHED}");
    happens(&s, "2m", "{run: run_b, task: a, status: FAILED}"); /* q's opening is none of r's */
    happens(&s, "3m", "{run: run_c, task: b, status: CRASHED}"); /* nor is r's one of the two */
    came(&s, "1m open q a -> hook", "1m opened q a", "2m open r a -> hook", "2m opened r a", "3m open q b -> hook", "3m opened q b");
    happens(&s, "4m", "{run: run_d, task: b, status: FAILED}");
    came(&s, "4m digest - -> hook", "4m in-a-digest r b", "4m opened r b");
    story_end(&s);
}

static void an_incident_told_in_a_digest_is_updated_and_resolved_in_it(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, LIMITED("1 per 1h", "chat"));
    happens(&s, "0m", "{run: run_a, task: a, status: FAILED}");
    happens(&s, "1m", "{run: run_b, task: b, status: FAILED}");
    forget(&s);
    happens(&s, "5m", "{run: run_c, task: b, status: FAILED}"); /* no message of its own */
    happens(&s, "10m", "{run: run_d, task: b, status: COMPLETED, started: 9m}");
    passes(&s, "2h");
    for (size_t k = 2; k < s.b.said.n; k++) assert_string_equal(story_name(&s, s.b.said.v[k].incident), "-");
    assert_int_equal(state_of(&s.b, incident_of(&s, "r b")), INCIDENT_RESOLVED);
    assert_int_equal(count_said(&s.b, "chat", MESSAGE_RESOLVE), 1); /* the digest's */
    story_end(&s);
}

static void a_digest_is_edited_in_place(void **state)
{
    struct story s;
    size_t from;
    (void)state;
    story_begin(&s, LIMITED("1 per 1h", "chat"));
    happens(&s, "0m", "{run: run_a, task: a, status: FAILED}");
    happens(&s, "1m", "{run: run_b, task: b, status: FAILED}");
    from = s.b.said.n;
    happens(&s, "2m", "{run: run_c, task: c, status: FAILED}");
    happens(&s, "3m", "{run: run_d, task: d, status: FAILED}");
    passes(&s, "10m");
    assert_int_equal(count_said(&s.b, "chat", MESSAGE_DIGEST), 1);
    assert_true(s.b.said.n > from);
    for (size_t k = from; k < s.b.said.n; k++) {
        assert_int_equal(s.b.said.v[k].kind, MESSAGE_UPDATE);
        assert_true(str_eq(s.b.said.v[k].lane, s.b.said.v[from - 1].lane)); /* of the same message */
    }
    says(&s, "chat", "3 ");
    story_end(&s);
}

static void at_a_pager_the_digest_has_a_dedup_key_of_its_own_and_resolves_with_its_last_incident(void **state)
{
    struct story s;
    struct str opened, digest;
    (void)state;
    story_begin(&s, LIMITED("1 per 1h", "pager"));
    happens(&s, "0m", "{run: run_a, task: a, status: FAILED}");
    opened = said_field(&s.b, last_said(&s.b, "pager"), "dedup");
    happens(&s, "1m", "{run: run_b, task: b, status: FAILED}");
    happens(&s, "1m", "{run: run_c, task: c, status: FAILED}");
    digest = said_field(&s.b, last_said(&s.b, "pager"), "dedup");
    assert_true(digest.n > 0 && !str_eq(opened, digest));
    happens(&s, "10m", "{run: run_d, task: b, status: COMPLETED, started: 9m}");
    passes(&s, "3h");
    assert_int_equal(count_said(&s.b, "pager", MESSAGE_RESOLVE), 0);
    happens(&s, "4h", "{run: run_e, task: c, status: COMPLETED, started: 3h}");
    passes(&s, "5h");
    assert_int_equal(count_said(&s.b, "pager", MESSAGE_RESOLVE), 1);
    assert_true(str_eq(digest, said_field(&s.b, last_said(&s.b, "pager"), "dedup")));
    story_end(&s);
}

/* --- 6th line: three layers, none of which drops --------------------------------------------------------------------------------------- */
static void a_hundred_runs_of_one_task_are_one_message(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, FAILS(", repeat: never", "chat"));
    happen(&s, "0m", 100, "x", "task: sync, status: CRASHED");
    passes(&s, "1h");
    came(&s, "0s open r sync -> chat", "0s opened r sync", "30s update r sync -> chat");
    assert_true(str_eq_c(said_field(&s.b, last_said(&s.b, "chat"), "hits"), "100"));
    story_end(&s);
}

static void every_incident_over_a_limit_is_in_a_digest(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, LIMITED("5 per 1m", "hook"));
    for (int k = 0; k < 60; k++) happens(&s, "1s", str_printf(&s.b.a, "{run: run_%d, task: task-%d, status: FAILED}", k, k).p);
    passes(&s, "10m");
    assert_int_equal(count_said(&s.b, "hook", MESSAGE_OPEN), 5);
    says(&s, "hook", "55 ");
    story_end(&s);
}

/* --- 7th line: n rules that match ------------------------------------------------------------------------------------------------------- */
static void n_rules_that_match_are_n_incidents_and_n_messages(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, "rules: {a: {when: {status: failed}, notify: hook}, b: {when: {status: CRASHED}, notify: hook}, c: {when: {task: sync, status: failed}, notify: hook}}");
    happens(&s, "1m", "{run: run_a, task: sync, status: CRASHED}");
    came(&s, "1m open a sync -> hook", "1m open b sync -> hook", "1m open c sync -> hook", "1m opened a sync", "1m opened b sync", "1m opened c sync");
    story_end(&s);
}

static void the_check_warns_where_one_rules_matches_contain_anothers(void **state)
{
    (void)state;
    warned("rules: {wide: {when: {status: failed}, notify: hook}, narrow: {when: {status: CRASHED}, notify: hook}}", "narrow");
    warned("rules: {wide: {when: {status: failed}, notify: [chat, hook]}, narrow: {when: {status: failed, task: sync}, notify: hook}}", "narrow");
    accepted("rules: {wide: {when: {status: failed}, notify: hook}, narrow: {when: {status: CRASHED}, notify: chat}}"); /* another destination */
    accepted("rules: {a: {when: {status: failed, task: sync}, notify: hook}, b: {when: {status: CRASHED, task: mail}, notify: hook}}");
    accepted("rules: {wide: {when: {status: failed}, unless: narrow, notify: hook}, narrow: {when: {status: CRASHED}, notify: hook}}");
}

/* --- 8th line: a template that fails ---------------------------------------------------------------------------------------------------- */
static void a_template_that_fails_falls_back_to_the_built_in_text_with_a_note(void **state)
{
    struct story s;
    struct strbuf text;
    (void)state;
    story_begin(&s, "rules: {r: {when: {status: failed}, notify: hook, message: {title: \"{{#metadata.l}}{{#metadata.l}}{{#metadata.l}}{{.}}{{/metadata.l}}{{/metadata.l}}{{/metadata.l}}\"}}}");
    strbuf_init(&text, 1 << 20);
    strbuf_c(&text, "{run: run_a, task: sync, status: FAILED, metadata: {l: [");
    for (int k = 0; k < 1000; k++) strbuf_printf(&text, "%se%d", k ? ", " : "", k);
    strbuf_c(&text, "]}}"); /* a thousand to the third */
    happens(&s, "1m", text.p);
    came(&s, "1m open r sync -> hook", "1m opened r sync");
    says(&s, "hook", "sync failed");
    says(&s, "hook", "a template of rule r failed");
    assert_int_equal(engine_stats(s.b.e).template_failures, 1);
    strbuf_fini(&text);
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_cannot_edit_gets_opening_escalation_reminder_and_resolve_only),
        cmocka_unit_test(who_can_edit_gets_them_beside_one_who_cannot),
        cmocka_unit_test(an_acknowledgement_stops_escalation_and_reminders),
        cmocka_unit_test(a_snooze_is_an_acknowledgement_that_lapses),
        cmocka_unit_test(the_window_of_a_limit_slides),
        cmocka_unit_test(a_limit_counts_for_each_destination_project_and_environment),
        cmocka_unit_test(rules_share_the_limit_of_a_destination),
        cmocka_unit_test(a_limit_counts_openings_and_escalations),
        cmocka_unit_test(a_limit_counts_neither_reminders_nor_resolves),
        cmocka_unit_test(a_rules_own_limit_counts_that_rule_alone),
        cmocka_unit_test(an_incident_told_in_a_digest_is_updated_and_resolved_in_it),
        cmocka_unit_test(a_digest_is_edited_in_place),
        cmocka_unit_test(at_a_pager_the_digest_has_a_dedup_key_of_its_own_and_resolves_with_its_last_incident),
        cmocka_unit_test(a_hundred_runs_of_one_task_are_one_message),
        cmocka_unit_test(every_incident_over_a_limit_is_in_a_digest),
        cmocka_unit_test(n_rules_that_match_are_n_incidents_and_n_messages),
        cmocka_unit_test(the_check_warns_where_one_rules_matches_contain_anothers),
        cmocka_unit_test(a_template_that_fails_falls_back_to_the_built_in_text_with_a_note),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
