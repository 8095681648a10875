/* The rule language's section 5, "Events and windows", 5th and 6th line: what fields are, and values that are missing or many. */
#include "story.h"

#define R(body) "rules: {r: {" body ", notify: hook}}"

/* Does a rule with this `when` hit that report, which arrives after two hours? */
static bool hits(const char *when, const char *event)
{
    struct story s;
    char rules[300];
    bool hit;
    snprintf(rules, sizeof rules, "rules: {r: {when: %s, notify: hook}}", when);
    story_begin(&s, rules);
    happens(&s, "2h", event);
    hit = count_notes(&s.b, "opened") > 0;
    story_end(&s);
    return hit;
}

/* --- 5th line: what fields are -------------------------------------------------------------------------------------------- */
static void duration_is_from_start_to_finish(void **state)
{
    static const char run[] = "{task: sync, status: FAILED, created: 0m, started: 10m, finished: 15m}";
    (void)state;
    assert_true(hits("{status: failed, duration: {gt: 4m59s}}", run));
    assert_false(hits("{status: failed, duration: {gt: 5m}}", run));
    assert_true(hits("{status: failed, duration: {gte: 5m}}", run));
    assert_true(hits("{status: failed, duration: {gte: 5m}}", "{task: sync, status: FAILED, started: 10m, finished: 15m, duration: 1m}"));
    assert_false(hits("{status: failed, duration: {gte: 0s}}", "{task: sync, status: FAILED, created: 10m}")); /* it never started */
}

static void queue_time_is_from_the_end_of_the_delay_or_else_creation_to_start(void **state)
{
    (void)state;
    assert_true(hits("{status: failed, queue_time: {gte: 10m}}", "{task: sync, status: FAILED, created: 20m, started: 30m}"));
    assert_false(hits("{status: failed, queue_time: {gt: 10m}}", "{task: sync, status: FAILED, created: 20m, started: 30m}"));
    assert_true(hits("{status: failed, queue_time: {gte: 2m}}", "{task: sync, status: FAILED, created: 0m, delayed: 28m, started: 30m}"));
    assert_false(hits("{status: failed, queue_time: {gt: 2m}}", "{task: sync, status: FAILED, created: 0m, delayed: 28m, started: 30m}"));
}

static void age_is_from_creation_to_the_event(void **state)
{
    static const char run[] = "{task: sync, status: FAILED, created: 10m, started: 20m, finished: 40m}"; /* though told at 2h */
    (void)state;
    assert_true(hits("{status: failed, age: {gte: 30m}}", run));
    assert_false(hits("{status: failed, age: {gt: 30m}}", run));
}

static void cost_is_in_cents(void **state)
{
    (void)state;
    assert_true(hits("{status: failed, cost: {gte: 250}}", "{task: sync, status: FAILED, cost: 250}"));
    assert_false(hits("{status: failed, cost: {gt: 250}}", "{task: sync, status: FAILED, cost: 250}"));
}

#define SEEN "rules: {r: {when: {status: failed}, first: 7d, by: [task, error.fingerprint], notify: hook}}"
/* Are they one error? */
static bool same_error(const char *first_error, const char *second_error)
{
    static const char report[] = "{\"id\":\"run_%d\",\"taskIdentifier\":\"sync\",\"status\":\"FAILED\",\"error\":%s}";
    struct story s;
    bool same;
    story_begin(&s, SEEN);
    happens_json(&s, "1m", str_printf(&s.b.a, report, 1, first_error).p);
    happens_json(&s, "2m", str_printf(&s.b.a, report, 2, second_error).p);
    same = count_notes(&s.b, "opened") == 1;
    story_end(&s);
    return same;
}

static void a_fingerprint_masks_digits_and_ids(void **state)
{
    (void)state;
    assert_true(same_error("{\"name\":\"E\",\"message\":\"order 17 of user 4\"}", "{\"name\":\"E\",\"message\":\"order 4711 of user 12\"}"));
    assert_true(same_error("{\"name\":\"E\",\"message\":\"no run_01HXYZ8A9B\"}", "{\"name\":\"E\",\"message\":\"no run_99QWERT123\"}"));
    assert_true(same_error("{\"name\":\"E\",\"message\":\"no 0b2c9a52-6a1f-4b6e-9d3e-0c1d2e3f4a5b\"}", "{\"name\":\"E\",\"message\":\"no 7c1d8f00-1111-4222-8333-abcdefabcdef\"}"));
}

static void a_fingerprint_tells_names_and_words_apart(void **state)
{
    (void)state;
    assert_false(same_error("{\"name\":\"TypeError\",\"message\":\"no customer\"}", "{\"name\":\"RangeError\",\"message\":\"no customer\"}"));
    assert_false(same_error("{\"name\":\"E\",\"message\":\"no customer\"}", "{\"name\":\"E\",\"message\":\"no order\"}"));
}

#define STACK(line) "{\"name\":\"E\",\"message\":\"m\",\"stack\":\"E: m\\n    at pick (/app/node_modules/lib/index.js:1:1)\\n    at " line "\\n    at outer (/app/src/outer.ts:9:9)\"}"
static void a_fingerprint_knows_the_first_own_frame(void **state)
{
    (void)state;
    assert_false(same_error(STACK("load (/app/src/load.ts:10:5)"), STACK("save (/app/src/save.ts:10:5)")));
    assert_true(same_error(STACK("load (/app/src/load.ts:10:5)"), STACK("load (/app/src/load.ts:12:7)"))); /* a line further down */
}

static void a_frame_of_a_library_is_not_own(void **state)
{
    (void)state;
    assert_true(same_error("{\"name\":\"E\",\"message\":\"m\",\"stack\":\"E: m\\n    at a (/app/node_modules/x/a.js:1:1)\\n    at load (/app/src/load.ts:1:1)\"}",
                           "{\"name\":\"E\",\"message\":\"m\",\"stack\":\"E: m\\n    at b (/app/node_modules/y/b.js:1:1)\\n    at load (/app/src/load.ts:1:1)\"}"));
}

static void re_is_unanchored_and_case_sensitive(void **state)
{
    static const char run[] = "{task: sync, status: FAILED, error: {message: connection Timeout after 3s}}";
    (void)state;
    assert_true(hits("{status: failed, error.message: {re: Timeout}}", run));
    assert_false(hits("{status: failed, error.message: {re: timeout}}", run));
    assert_false(hits("{status: failed, error.message: {re: ^Timeout}}", run));
    assert_true(hits("{status: failed, error.message: {re: (?i)timeout}}", run));
}

/* --- 6th line: missing values and lists ---------------------------------------------------------------------------------------- */
static void a_missing_value_is_not_counted(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}, count: 2 of metadata.customer in 15m"));
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED, metadata: {customer: acme}}");
    happens(&s, "2m", "{run: run_b, task: sync, status: FAILED}");
    happens(&s, "3m", "{run: run_c, task: sync, status: FAILED, metadata: {customer: null}}");
    happens(&s, "4m", "{run: run_d, task: sync, status: FAILED, metadata: {plan: free}}");
    nothing_came(&s);
    happens(&s, "5m", "{run: run_e, task: sync, status: FAILED, metadata: {customer: globex}}");
    came(&s, "5m open r sync -> hook", "5m opened r sync");
    story_end(&s);
}

static void a_missing_value_in_by_is_the_key_none(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}, by: [metadata.customer, version]"));
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED}");
    happens(&s, "2m", "{run: run_b, task: mail, status: FAILED, metadata: {plan: free}}"); /* the same key */
    happens(&s, "3m", "{run: run_c, task: mail, status: FAILED, version: v1}");
    came(&s, "1m open r (none)/(none) -> hook", "1m opened r (none)/(none)", "3m open r (none)/v1 -> hook", "3m opened r (none)/v1");
    story_end(&s);
}

static void a_list_in_by_gives_one_key_per_element(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed}, by: tags"));
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED, tags: [eu, billing]}");
    came(&s, "1m open r billing -> hook", "1m open r eu -> hook", "1m opened r billing", "1m opened r eu");
    story_end(&s);
    story_begin(&s, R("when: {status: failed}, by: metadata.regions"));
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED, metadata: {regions: [eu, us]}}");
    came(&s, "1m open r eu -> hook", "1m open r us -> hook", "1m opened r eu", "1m opened r us");
    story_end(&s);
}

static void only_the_elements_that_when_names(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s, R("when: {status: failed, tags: [billing, invoices]}, by: tags"));
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED, tags: [eu, billing, urgent]}");
    came(&s, "1m open r billing -> hook", "1m opened r billing");
    story_end(&s);
    story_begin(&s, R("when: {status: failed, tags: cust-*}, by: tags"));
    happens(&s, "1m", "{run: run_a, task: sync, status: FAILED, tags: [eu, cust-a, cust-b]}");
    came(&s, "1m open r cust-a -> hook", "1m open r cust-b -> hook", "1m opened r cust-a", "1m opened r cust-b");
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(duration_is_from_start_to_finish),
        cmocka_unit_test(queue_time_is_from_the_end_of_the_delay_or_else_creation_to_start),
        cmocka_unit_test(age_is_from_creation_to_the_event),
        cmocka_unit_test(cost_is_in_cents),
        cmocka_unit_test(a_fingerprint_masks_digits_and_ids),
        cmocka_unit_test(a_fingerprint_tells_names_and_words_apart),
        cmocka_unit_test(a_fingerprint_knows_the_first_own_frame),
        cmocka_unit_test(a_frame_of_a_library_is_not_own),
        cmocka_unit_test(re_is_unanchored_and_case_sensitive),
        cmocka_unit_test(a_missing_value_is_not_counted),
        cmocka_unit_test(a_missing_value_in_by_is_the_key_none),
        cmocka_unit_test(a_list_in_by_gives_one_key_per_element),
        cmocka_unit_test(only_the_elements_that_when_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
