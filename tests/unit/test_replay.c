/* replay: tests: sections on a virtual clock, YAML as JSON, and the same events twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rng.h"
#include "replay/replay.h"
#include "replay/test_event.h"
#include "replay/tests.h"
#include "replay/timeline.h"

/* --- one file of rules and tests ------------------------------------------------------------------------------------ */
struct bed {
    struct arena a;
    struct diags d;
    const struct yaml_node *top;
    struct ruleset *rules;
    struct test_counts counts;
    struct strbuf report;
};

static struct rule_destination places[] = {
    { .name = { "chat", 4 }, .type = { "slack", 5 }, .edits = true },
    { .name = { "hook", 4 }, .type = { "webhook", 7 } },
    { .name = { "pager", 5 }, .type = { "pagerduty", 9 }, .acks = true },
};

static void bed_open(struct bed *b, const char *rules, const char *tests)
{
    struct rule_file file;
    struct rule_world w = { &file, 1, places, 3, STR_NONE, false };
    memset(b, 0, sizeof *b);
    diags_init(&b->d, &b->a);
    strbuf_init(&b->report, 64 << 20);
    b->top = yaml_read(&b->a, "t.yaml", str_printf(&b->a, "version: 1\n%s%s", rules, tests), &b->d);
    assert_int_equal(b->d.errors, 0);
    file = (struct rule_file){ b->top, false };
    b->rules = ruleset_compile(&b->a, &w, &b->d);
    assert_non_null(b->rules);
}

static void bed_close(struct bed *b)
{
    ruleset_fini(b->rules);
    strbuf_fini(&b->report);
    diags_fini(&b->d);
    arena_fini(&b->a);
}

static void take_down(void *ctx, struct str name, const struct yaml_node *at, const char *failure)
{
    struct bed *b = ctx;
    assert_string_equal(at->file, "t.yaml");
    strbuf_printf(&b->report, "%s " STR_FMT "\n%s", failure ? "FAIL" : "ok", STR_ARG(name), failure ? failure : "");
}

static const char *run(struct bed *b)
{
    tests_run(b->rules, yaml_get(b->top, "tests"), &b->d, take_down, b, &b->counts);
    return b->report.p;
}

/* --- expectations ------------------------------------------------------------------------------------------------------ */
#define RULES \
    "rules:\n" \
    "  fails: {when: {status: failed}, notify: chat, escalate: {15m: pager}, linger: 0s}\n" \
    "  twice: {when: {status: CRASHED}, count: 2 in 10m, notify: hook, wait: 1m, linger: 0s}\n"
#define EVENTS \
    "tests:\n  - name: case\n    events:\n" \
    "      - {at: 1m, run: run_a, task: sync, status: FAILED, error: {message: \"disk is full\", name: DiskError}}\n" \
    "      - {at: 2m, run: run_b, task: mail, status: CRASHED}\n" \
    "      - {at: 30m, run: run_c, task: sync, status: COMPLETED, started: 20m}\n" \
    "    expect:\n"

static void test_every_kind_of_expectation(void **state)
{
    static const struct { const char *expect; bool holds; const char *says; } cases[] = {
        { "{at: 1m, rule: fails, sent: chat}", true, NULL },
        { "{at: 2m, rule: fails, key: mail, sent: chat}", true, NULL },
        { "{at: 2m, rule: fails, key: sync, sent: chat}", false, "at 2m, rule fails, key sync: expected a message to chat" },
        { "{at: 1m, rule: fails, sent: pager}", false, "line 12: at 1m, rule fails: expected a message to pager" },
        { "{at: 16m, rule: fails, sent: pager}", true, NULL },
        { "{at: 15m59s999ms, rule: fails, sent: pager}", false, "at 15m59s999ms, rule fails: expected a message to pager" },
        { "{until: 20m, rule: fails, sent: pager}", true, NULL },
        { "{until: 15m, rule: fails, sent: pager}", false, "until 15m, rule fails: expected a message to pager" },
        { "{until: 15m, rule: fails, never: pager}", true, NULL },
        { "{until: 16m, rule: fails, never: pager}", false, "until 16m, rule fails: expected no message to pager" },
        { "{at: 17m, rule: fails, never: pager}", false, "at 17m, rule fails: expected no message to pager" }, /* mail's */
        { "{at: 18m, rule: fails, never: pager}", true, NULL },
        { "{at: 1m, rule: fails, text: disk is full}", true, NULL },
        { "{at: 1m, rule: fails, text: out of memory}", false, "at 1m, rule fails: expected a message that says \"out of memory\"" },
        { "{at: 1m, rule: fails, sent: chat, text: \"sync failed\"}", true, NULL },
        { "{at: 1m, rule: fails, sent: chat, text: nonsense}", false, "expected a message to chat" },
        { "{at: 1m, rule: fails, never: chat, text: nonsense}", true, NULL },
        { "{at: 1m, rule: fails, never: chat, text: disk is full}", false, "expected no message to chat" },
        { "{at: 30m, rule: fails, key: sync, resolved: true}", true, NULL },
        { "{at: 29m, rule: fails, resolved: true}", false, "at 29m, rule fails: expected it to resolve" },
        { "{until: 29m, rule: fails, resolved: false}", true, NULL },
        { "{until: 30m, rule: fails, resolved: false}", false, "expected it not to resolve" },
        { "{at: 1m, rule: fails, key: sync, open: true}", true, NULL },
        { "{at: 59s, rule: fails, open: true}", false, "at 59s, rule fails: expected it to be open" },
        { "{at: 30m, rule: fails, key: sync, open: true}", false, "expected it to be open" },
        { "{at: 30m, rule: fails, key: sync, open: false}", true, NULL },
        { "{at: 29m, rule: fails, key: sync, open: false}", false, "expected it not to be open" },
        { "{until: 1h, rule: fails, open: true}", true, NULL }, /* mail's */
        { "{until: 1h, rule: twice, never: hook}", true, NULL },
        { "{until: 1h, rule: twice, open: false, resolved: false}", true, NULL },
        { "{at: 1m, rule: fails, sent: chat, open: true, resolved: true}", false, "expected it to resolve" },
        { "{at: 30d, rule: fails, open: true}", false, "expected it to be open" }, /* quiet for a day: time goes on to the last expectation */
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct bed b;
        char tests[2000];
        const char *got;
        snprintf(tests, sizeof tests, EVENTS "      - %s\n", cases[k].expect);
        bed_open(&b, RULES, tests);
        got = run(&b);
        if (b.d.errors || (int)b.counts.passed != cases[k].holds || (int)b.counts.failed == cases[k].holds) fail_msg("%s:\n%s", cases[k].expect, got);
        if (cases[k].says && !strstr(got, cases[k].says)) fail_msg("%s is not in\n%s", cases[k].says, got);
        bed_close(&b);
    }
}

/* What is over a limit, or was held with others, has no message of its own; who asks whether it was told means the digest, too. */
static void test_what_a_digest_tells_counts_as_sent(void **state)
{
    static const char rules[] =
        "rules:\n  fails: {when: {status: failed}, notify: hook, limit: 1 per 1m}\n"
        "tests:\n  - name: case\n    events:\n"
        "      - {at: 1m, run: run_a, task: sync, status: FAILED}\n"
        "      - {at: 1m1s, run: run_b, task: mail, status: FAILED}\n"
        "      - {at: 1m2s, run: run_c, task: note, status: FAILED}\n"
        "    expect:\n";
    static const struct { const char *expect; bool holds; } cases[] = {
        { "{at: 1m1s, rule: fails, key: mail, sent: hook}", true },   { "{at: 1m2s, rule: fails, key: note, sent: hook}", true },
        { "{until: 1h, rule: fails, key: mail, never: hook}", false }, { "{until: 1m1s, rule: fails, key: note, never: hook}", true },
        { "{until: 1h, rule: fails, key: mail, never: pager}", true },  { "{at: 1m1s, rule: fails, key: mail, sent: hook, text: mail}", false },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct bed b;
        char text[1000];
        const char *got;
        snprintf(text, sizeof text, "      - %s\n", cases[k].expect);
        bed_open(&b, rules, text);
        got = run(&b);
        if (b.d.errors || (int)b.counts.passed != cases[k].holds || (int)b.counts.failed == cases[k].holds) fail_msg("%s:\n%s", cases[k].expect, got);
        bed_close(&b);
    }
}

static void test_a_failure_shows_what_happened(void **state)
{
    struct bed b;
    (void)state;
    bed_open(&b, RULES, EVENTS "      - {at: 5m, rule: fails, key: sync, sent: hook}\n      - {until: 31m, rule: fails, key: sync, open: true}\n");
    assert_string_equal(run(&b),
                        "FAIL case\n"
                        "  line 12: at 5m, rule fails, key sync: expected a message to hook\n"
                        "  line 13: until 31m, rule fails, key sync: expected it to be open\n"
                        "        when  what happened                                        what was expected\n"
                        "          1m  fails [sync] opened\n"
                        "          1m  fails [sync] open sent to chat: sync failed\n"
                        "          2m  fails [mail] opened\n"
                        "          2m  fails [mail] open sent to chat: mail crashed\n"
                        "          5m                                                       MISS  line 12: fails [sync] sent to hook\n"
                        "         16m  fails [sync] escalated\n"
                        "         16m  fails [sync] escalation sent to pager: sync failed\n"
                        "         17m  fails [mail] escalated\n"
                        "         17m  fails [mail] escalation sent to pager: mail crashed\n"
                        "         30m  fails [sync] resolved: a run succeeded\n"
                        "         30m  fails [sync] update sent to chat: sync failed\n"
                        "         30m  fails [sync] resolve sent to chat: sync failed\n"
                        "         30m  fails [sync] resolve sent to pager: sync failed\n"
                        "         31m                                                       MISS  line 13: fails [sync] open\n");
    bed_close(&b);
    bed_open(&b, RULES, "tests:\n  - {name: nothing, events: [{at: 0s, status: QUEUED}], expect: [{at: 0s, rule: fails, open: true}]}\n");
    assert_non_null(strstr(run(&b), "          0s  nothing: no rule opened an incident\n          0s                                       MISS  line 6: fails open\n"));
    bed_close(&b);
}

/* Each expectation stands beside the fact that met it, or that was not to be; two of one fact take two rows. */
static void test_expected_beside_happened(void **state)
{
    struct bed b;
    (void)state;
    bed_open(&b, RULES, EVENTS "      - {at: 1m, rule: fails, sent: chat, text: disk}\n      - {at: 1m, rule: fails, key: sync, sent: chat}\n"
                               "      - {until: 20m, rule: fails, never: pager}\n      - {at: 30m, rule: fails, resolved: true}\n");
    run(&b);
    assert_non_null(strstr(b.report.p, "      1m  fails [sync] open sent to chat: sync failed          ok    line 12: fails sent to chat, says \"disk\"\n"
                                       "          1m                                                       ok    line 13: fails [sync] sent to chat\n"));
    assert_non_null(strstr(b.report.p, "     16m  fails [sync] escalation sent to pager: sync failed   MISS  line 14: fails never to pager\n"));
    assert_non_null(strstr(b.report.p, "     30m  fails [sync] resolved: a run succeeded               ok    line 15: fails resolved\n"));
    bed_close(&b);
}

static void test_a_long_timeline_is_cut(void **state)
{
    struct strbuf events, out;
    struct timeline_row rows[200];
    (void)state;
    strbuf_init(&events, 65536);
    strbuf_init(&out, 65536);
    for (size_t k = 0; k < 100; k++) strbuf_c(&events, "\xc3\xa9");
    for (size_t k = 0; k < 200; k++) rows[k] = (struct timeline_row){ .at_ms = (int64_t)k * 1000, .happened = strbuf_view(&events), .expected = STR("") };
    rows[150].expected = STR("it");
    timeline_put(rows, 200, &out);
    assert_non_null(strstr(out.p, "\xc3\xa9\xe2\x80\xa6  ok    it\n    and 139 more that nothing was expected of\n"));
    assert_non_null(strstr(out.p, "  2m30s  "));
    assert_null(strstr(out.p, "  1m  "));
    strbuf_fini(&events);
    strbuf_fini(&out);
}

static void test_the_clock_and_defaults_of_events(void **state)
{
    struct bed b;
    (void)state;
    bed_open(&b,
             "rules:\n"
             "  slow: {when: {duration: {gt: 5m}, status: success}, by: run, notify: hook}\n"
             "  old: {when: {age: {gte: 1h}}, by: run, notify: hook}\n"
             "  waited: {when: {queue_time: {gt: 10m}}, by: run, notify: hook}\n"
             "  all: {when: {task: t, tags: [x], version: v1, queue: q, machine: m, region: r, schedule: s, batch: b, root: run_r, parent: run_p,"
             " test: true, attempt: 3, cost: {gt: 1}, error.name: E, error.code: C, metadata.a.b: 7, metadata.list: two, env: stg, project: pr},"
             " by: run, notify: hook}\n",
             "tests:\n"
             "  - name: fields\n"
             "    events:\n"
             "      - {at: 0s, run: run_1, status: COMPLETED, started: 0s, finished: 6m}\n"
             "      - {at: 1s, run: run_2, status: COMPLETED, duration: 4m}\n"
             "      - {at: 2s, run: run_3, status: EXECUTING, created: 0s, updated: 2h}\n"
             "      - {at: 3s, run: run_4, status: EXECUTING, created: 0s, delayed: 1h, started: 1h11m}\n"
             "      - {at: 4s, run: run_5, status: FAILED, task: t, tags: [y, x], version: v1, queue: q, machine: m, region: r, schedule: s, batch: b,"
             " root: run_r, parent: run_p, test: true, attempt: 3, cost: 1.5, error: {name: E, code: C}, metadata: {a: {b: 7}, list: [one, two]}, env: stg,"
             " project: pr}\n"
             "    expect:\n"
             "      - {at: 0s, rule: slow, key: run_1, sent: hook}\n"
             "      - {until: 1m, rule: slow, key: run_2, never: hook}\n"
             "      - {at: 3s, rule: waited, key: run_4, sent: hook}\n"
             "      - {at: 4s, rule: all, key: run_5, sent: hook}\n");
    if (b.d.errors) fail_msg("rules");
    run(&b);
    if (b.counts.failed) fail_msg("%s", b.report.p);
    bed_close(&b);
}

/* --- mistakes -------------------------------------------------------------------------------------------------------------- */
#define ONE_EVENT "    events: [{at: 0s, run: run_a, status: FAILED}]\n"
#define ONE_EXPECT "    expect: [{at: 0s, rule: fails, sent: chat}]\n"
#define CASE "tests:\n  - name: x\n"

static void test_mistakes_are_diagnostics(void **state)
{
    static const struct { const char *tests, *says; } cases[] = {
        { "tests: 7\n", "5:8 tests is a list" },
        { "tests: [7]\n", "5:9 a test is a map with `name`, `events` and `expect`" },
        { "tests: [{events: [], expect: []}]\n", "5:9 a test is a map with `name`, `events` and `expect`" },
        { CASE ONE_EVENT, "6:5 a test has `events` and `expect`, both lists" },
        { CASE ONE_EXPECT, "6:5 a test has `events` and `expect`, both lists" },
        { CASE ONE_EVENT "    expect: []\n", "8:13 a test that expects nothing cannot fail" },
        { CASE ONE_EVENT ONE_EXPECT "    exepct: []\n", "9:5 a test has no `exepct`" },
        { CASE "    events: [7]\n" ONE_EXPECT, "7:14 an event is a map: {at: 2m, run: run_1, task: sync, status: FAILED}" },
        { CASE "    events: [{at: 0s}]\n" ONE_EXPECT, "7:14 missing key `status` in an event" },
        { CASE "    events: [{at: 0s, status: }]\n" ONE_EXPECT, "7:31 wants text, got nothing" },
        { CASE "    events: [{at: 0s, status: [FAILED]}]\n" ONE_EXPECT, "7:31 wants text, got a list" },
        { CASE "    events: [{at: soon, status: FAILED}]\n" ONE_EXPECT, "7:19 wants a duration like 30s or 5m, got `soon`" },
        { CASE "    events: [{at: 0s, status: FAILED, taks: x}]\n" ONE_EXPECT, "7:39 an event has no field `taks`" },
        { CASE "    events: [{at: 0s, status: FAILED, run: {x: 1}}]\n" ONE_EXPECT, "7:44 wants text, got a map" },
        { CASE "    events: [{at: 0s, status: FAILED, tags: [[a]]}]\n" ONE_EXPECT, "7:46 wants text, got a list" },
        { CASE "    events: [{at: 0s, status: FAILED, error: {mesage: x}}]\n" ONE_EXPECT, "7:47 an error has no `mesage`" },
        { CASE "    events: [{at: 0s, status: FAILED, error: [x]}]\n" ONE_EXPECT, "7:46 wants text, got a list" },
        { CASE "    events: [{at: 0s, status: FAILED, error.name: x}]\n" ONE_EXPECT, "7:39 an event has no field `error.name`" },
        { CASE "    events: [{at: 0s, status: FAILED, metadata: x}]\n" ONE_EXPECT, "7:49 metadata is a map" },
        { CASE "    events: [{at: 0s, status: FAILED, attempt: 0}]\n" ONE_EXPECT, "7:48 wants a whole number from 1 to 1000000, got `0`" },
        { CASE "    events: [{at: 0s, status: FAILED, test: yes}]\n" ONE_EXPECT, "7:45 wants true or false, got `yes`" },
        { CASE "    events: [{at: 2m, status: FAILED}, {at: 1m, status: FAILED}]\n" ONE_EXPECT, "7:40 events are told in the order of `at`" },
        { CASE ONE_EVENT "    expect: [7]\n", "8:14 an expectation is a map: {at: 4m, rule: NAME, sent: DESTINATION}" },
        { CASE ONE_EVENT "    expect: [{at: 0s, rule: fials, sent: chat}]\n", "8:29 there is no rule `fials`" },
        { CASE ONE_EVENT "    expect: [{at: 0s, sent: chat}]\n", "8:14 missing key `rule` in an expectation" },
        { CASE ONE_EVENT "    expect: [{rule: fails, sent: chat}]\n", "8:14 the expectation has neither `at` nor `until`" },
        { CASE ONE_EVENT "    expect: [{at: 0s, until: 1m, rule: fails, sent: chat}]\n", "8:14 an expectation has `at` or `until`, not both" },
        { CASE ONE_EVENT "    expect: [{at: 0s, rule: fails}]\n", "8:14 nothing is expected" },
        { CASE ONE_EVENT "    expect: [{at: 0s, rule: fails, sent: [chat, hook]}]\n", "8:42 wants text, got a list" },
        { CASE ONE_EVENT "    expect: [{at: 0s, rule: fails, snet: chat}]\n", "8:36 an expectation has no `snet`" },
        { CASE ONE_EVENT "    expect: [{at: 0s, rule: fails, resolved: no}]\n", "8:46 wants true or false, got `no`" },
        { CASE ONE_EVENT "    expect: [{at: 0s, rule: fails, sent: caht}]\n", "8:42 there is no destination `caht`" },
        { CASE ONE_EVENT "    expect: [{at: 0s, rule: fails, never: pagr}]\n", "8:43 there is no destination `pagr`" },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct bed b;
        char got[400] = "nothing";
        bed_open(&b, RULES, cases[k].tests);
        run(&b);
        if (b.d.items.n) snprintf(got, sizeof got, "%u:%u " STR_FMT, b.d.items.v[0].line, b.d.items.v[0].col, STR_ARG(b.d.items.v[0].text));
        if (strcmp(got, cases[k].says) != 0) fail_msg("%s\n  got:    %s\n  wanted: %s", cases[k].tests, got, cases[k].says);
        assert_int_equal(b.d.errors, 1);
        assert_int_equal(b.counts.failed, 1);
        assert_int_equal(b.counts.passed, 0);
        bed_close(&b);
    }
}

static void test_a_mistake_fails_only_its_own_case(void **state)
{
    struct bed b;
    (void)state;
    bed_open(&b, RULES,
             "tests:\n  - name: bad\n    events: [{at: 0s, stauts: FAILED}]\n" ONE_EXPECT "  - name: good\n    events: [{at: 0s, status: FAILED}]\n" ONE_EXPECT);
    assert_non_null(strstr(run(&b), "FAIL bad\n  the test itself has mistakes: the errors name their lines\nok good\n"));
    assert_int_equal(b.d.errors, 2); /* the key that is unknown, and the status that is missing */
    assert_int_equal(b.counts.passed, 1);
    assert_int_equal(b.counts.failed, 1);
    bed_close(&b);
}

/* In a file of rules alone the destinations are those its rules name: others may be meant, and are not judged. */
static void test_destinations_of_rules_alone(void **state)
{
    static struct rule_destination alone[] = { { .name = { "chat", 4 }, .type = { "", 0 } } };
    struct bed b;
    struct rule_file file;
    struct rule_world w = { &file, 1, alone, 1, STR_NONE, false };
    (void)state;
    bed_open(&b, "rules: {}\n", "");
    b.top = yaml_read(&b.a, "t.yaml", STR("version: 1\nrules: {r: {when: {status: failed}, notify: chat}}\ntests:\n  - name: x\n    events: [{at: 0s, status: FAILED}]\n"
                                          "    expect: [{at: 0s, rule: r, never: pager}]\n"), &b.d);
    ruleset_fini(b.rules);
    file = (struct rule_file){ b.top, false };
    b.rules = ruleset_compile(&b.a, &w, &b.d);
    run(&b);
    assert_int_equal(b.counts.passed, 1);
    assert_int_equal(b.d.errors, 0);
    bed_close(&b);
}

/* --- YAML as JSON -------------------------------------------------------------------------------------------------------------- */
static void test_yaml_as_json(void **state)
{
    static const struct { const char *yaml, *json; } cases[] = {
        { "{a: 1}", "{\"a\":1}" },
        { "{a: \"1\"}", "{\"a\":\"1\"}" },
        { "{a: -1.5e3, b: 0, c: -0, d: 0.5, e: 12345678901234567890}", "{\"a\":-1.5e3,\"b\":0,\"c\":-0,\"d\":0.5,\"e\":12345678901234567890}" },
        { "{a: 007, b: 1., c: .5, d: +1, e: -01, f: -.5, g: 1e, h: 0x1f, i: 1_000, j: -}",
          "{\"a\":\"007\",\"b\":\"1.\",\"c\":\".5\",\"d\":\"+1\",\"e\":\"-01\",\"f\":\"-.5\",\"g\":\"1e\",\"h\":\"0x1f\",\"i\":\"1_000\",\"j\":\"-\"}" },
        { "{a: true, b: false, c: \"true\", d: yes, e: no, f: on, g: True}",
          "{\"a\":true,\"b\":false,\"c\":\"true\",\"d\":\"yes\",\"e\":\"no\",\"f\":\"on\",\"g\":\"True\"}" },
        { "{a: null, b: ~, c: , d: \"null\", e: \"\"}", "{\"a\":null,\"b\":null,\"c\":null,\"d\":\"null\",\"e\":\"\"}" },
        { "{a: [], b: {}, c: [1, [x, {y: z}]]}", "{\"a\":[],\"b\":{},\"c\":[1,[\"x\",{\"y\":\"z\"}]]}" },
        { "{\"q\\\"k\": \"tab\\t\", \"\\u00e9\": 20260503.1}", "{\"q\\\"k\":\"tab\\t\",\"\xc3\xa9\":20260503.1}" },
        { "{a: 20260503.1.2, b: 12:30, c: 1e999}", "{\"a\":\"20260503.1.2\",\"b\":\"12:30\",\"c\":1e999}" },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct arena a = { 0 };
        struct diags d;
        struct strbuf b;
        struct json_writer w;
        struct json v;
        struct err err;
        diags_init(&d, &a);
        strbuf_init(&b, 1000);
        json_writer_init(&w, &b);
        test_yaml_to_json(yaml_read(&a, "x", str_c(cases[k].yaml), &d), &w);
        assert_int_equal(d.errors, 0);
        assert_string_equal(b.p, cases[k].json);
        assert_int_equal(json_parse(&a, strbuf_view(&b), &json_default_limits, &v, NULL, &err), 0);
        strbuf_fini(&b);
        diags_fini(&d);
        arena_fini(&a);
    }
}

/* --- the same events twice ------------------------------------------------------------------------------------------------------- */
#define ZOO \
    "rules:\n" \
    "  a: {when: {status: failed}, notify: [chat, pager], escalate: {10m: hook}, repeat: 1h, limit: 3 per 10m}\n" \
    "  b: {when: {status: REATTEMPTING}, count: 3 in 30m, by: run, notify: hook, escalate: {15m: pager}}\n" \
    "  c: {when: {status: [FAILED, CRASHED]}, count: 4 runs in 1h, resolve: clears, notify: chat}\n" \
    "  d: {when: {status: failed}, by: [task, error.fingerprint], wait: 5m, at_least: 2, resolve: [2 successes, 2h quiet], notify: chat}\n"

static void put_facts(const struct replay *r, struct strbuf *out)
{
    for (size_t k = 0; k < r->facts.n; k++) {
        const struct replay_fact *f = &r->facts.v[k];
        strbuf_printf(out, "%lld %d " STR_FMT " " STR_FMT " " STR_FMT " %d " STR_FMT " " STR_FMT "\n", (long long)f->at_ms, (int)f->kind, STR_ARG(f->rule),
                      STR_ARG(f->key), STR_ARG(f->destination), (int)f->message, STR_ARG(f->reason), STR_ARG(f->params));
        strbuf_str(out, f->content);
    }
}

static void live(const struct ruleset *rules, uint64_t seed, struct strbuf *out)
{
    static const enum run_state states[] = { RUN_FAILED, RUN_CRASHED, RUN_COMPLETED, RUN_REATTEMPTING, RUN_TIMED_OUT, RUN_EXECUTING };
    struct replay r;
    struct arena a = { 0 };
    struct err err;
    struct rng rng;
    int64_t at = 1767614400000;
    rng_seed(&rng, seed);
    replay_init(&r, rules, STR("https://bell.example.com"), at);
    r.dashboard = STR("https://d.example.com");
    for (int k = 0; k < 300; k++) {
        struct run run;
        uint64_t hits;
        run_init(&run);
        run.id = str_printf(&a, "run_%d", (int)rng_below(&rng, 60));
        run.task = str_printf(&a, "task%d", (int)rng_below(&rng, 3));
        run.project = run.env = STR("default");
        run.kind = STR("run");
        run.state = states[rng_below(&rng, 6)];
        run.spelling = str_c(run_state_name(run.state));
        run.error.message = STR("it broke");
        run.updated_ms = at;
        run.started_ms = at - 1000;
        run.present = RUN_HAS_TASK | RUN_HAS_STATE | RUN_HAS_UPDATED | RUN_HAS_STARTED;
        assert_int_equal(replay_report(&r, &run, at, &hits, &err), 0);
        at += (int64_t)rng_below(&rng, 600000);
    }
    assert_int_equal(replay_until(&r, at + 3 * 86400000, &err), 0);
    assert_true(r.facts.n > 50);
    put_facts(&r, out);
    replay_fini(&r);
    arena_fini(&a);
}

static void test_the_same_events_give_the_same_facts(void **state)
{
    struct bed b;
    (void)state;
    bed_open(&b, ZOO, "");
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct strbuf one, two;
        strbuf_init(&one, 64 << 20);
        strbuf_init(&two, 64 << 20);
        live(b.rules, seed, &one);
        live(b.rules, seed, &two);
        assert_true(strbuf_ok(&one) && str_eq(strbuf_view(&one), strbuf_view(&two)));
        strbuf_fini(&one);
        strbuf_fini(&two);
    }
    bed_close(&b);
}

static void test_a_late_failure_that_was_cured(void **state)
{
    struct bed b;
    (void)state;
    bed_open(&b, "rules:\n  loud: {when: {status: REATTEMPTING}, notify: chat}\n  quiet: {when: {status: REATTEMPTING}, wait: 1m, notify: hook}\n",
             "tests:\n  - name: late\n    events:\n"
             "      - {at: 10m, run: run_a, task: t, status: COMPLETED, finished: 9m}\n"
             "      - {at: 20m, run: run_a, task: t, status: REATTEMPTING, attempt: 2, updated: 5m}\n"
             "    expect:\n"
             "      - {at: 20m, rule: loud, sent: chat, text: succeeded since}\n"
             "      - {at: 20m, rule: loud, resolved: true}\n"
             "      - {until: 2h, rule: quiet, never: hook}\n"
             "      - {until: 2h, rule: quiet, open: false}\n");
    run(&b);
    if (b.counts.failed) fail_msg("%s", b.report.p);
    bed_close(&b);
}

static void test_ten_thousand_cases(void **state)
{
    struct bed b;
    struct strbuf tests;
    int64_t before;
    (void)state;
    strbuf_init(&tests, 64 << 20);
    strbuf_c(&tests, "tests:\n");
    for (int k = 0; k < 10000; k++)
        strbuf_printf(&tests, "  - {name: case %d, events: [{at: 0s, task: t, status: FAILED}, {at: 1m, task: t, status: COMPLETED, started: 30s}],"
                              " expect: [{at: 0s, rule: a, sent: chat}, {at: 6m, rule: a, resolved: true}]}\n", k);
    bed_open(&b, ZOO, tests.p);
    before = clock_mono(clock_system()).ms;
    run(&b);
    print_message("10,000 cases in %lld ms\n", (long long)(clock_mono(clock_system()).ms - before));
    assert_int_equal(b.counts.passed, 10000);
    bed_close(&b);
    strbuf_fini(&tests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_expectation),
        cmocka_unit_test(test_what_a_digest_tells_counts_as_sent),
        cmocka_unit_test(test_a_failure_shows_what_happened),
        cmocka_unit_test(test_expected_beside_happened),
        cmocka_unit_test(test_a_long_timeline_is_cut),
        cmocka_unit_test(test_the_clock_and_defaults_of_events),
        cmocka_unit_test(test_mistakes_are_diagnostics),
        cmocka_unit_test(test_a_mistake_fails_only_its_own_case),
        cmocka_unit_test(test_destinations_of_rules_alone),
        cmocka_unit_test(test_yaml_as_json),
        cmocka_unit_test(test_the_same_events_give_the_same_facts),
        cmocka_unit_test(test_a_late_failure_that_was_cured),
        cmocka_unit_test(test_ten_thousand_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
