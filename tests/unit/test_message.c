/* message: names, the stored form, the plain text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "message/message.h"

#define COUNT_OF(t) (sizeof(t) / sizeof *(t))

static struct json parse(struct arena *a, struct str text)
{
    struct json root = { 0 };
    struct err err = { 0 };
    if (json_parse(a, text, &json_default_limits, &root, NULL, &err))
        fail_msg("%s: " STR_FMT, err.msg, STR_ARG(text));
    return root;
}

static struct str stored(struct arena *a, const struct message *m)
{
    struct json_draft d;
    message_write(m, json_draft_begin(&d, 1 << 20));
    return json_draft_end(&d, a);
}

static void same(struct str got, const char *want)
{
    if (!str_eq_c(got, want)) fail_msg("got:\n" STR_FMT "\nwant:\n%s", STR_ARG(got), want);
}

static void names_go_both_ways(void **state)
{
    enum message_kind k = MESSAGE_OPEN;
    enum severity s = SEVERITY_INFO;
    enum verdict_class c = VERDICT_OK;
    (void)state;
    for (int i = 0; i < MESSAGE_KINDS; i++)
        assert_true(message_kind_parse(str_c(message_kind_name((enum message_kind)i)), &k) && (int)k == i);
    for (int i = 0; i <= SEVERITY_CRITICAL; i++)
        assert_true(severity_parse(str_c(severity_name((enum severity)i)), &s) && (int)s == i);
    for (int i = 0; i < VERDICT_CLASSES; i++)
        assert_true(verdict_class_parse(str_c(verdict_class_name((enum verdict_class)i)), &c) && (int)c == i);
    assert_string_equal(message_kind_name(MESSAGE_ESCALATION), "escalation");
    assert_string_equal(severity_name(SEVERITY_CRITICAL), "critical");
    assert_string_equal(verdict_class_name(VERDICT_GONE_TARGET), "gone_target");
    assert_string_equal(message_kind_name(MESSAGE_KINDS), "");
    assert_false(message_kind_parse(STR("Open"), &k));
    assert_false(severity_parse(STR(""), &s));
    assert_false(verdict_class_parse(STR("okay"), &c));
}

static struct message_field two_fields[] = {
    { { "Task", 4 }, { "render-video", 12 }, false },
    { { "Tags", 4 }, { "a, \"b\"", 6 }, true },
};

static struct message full(struct arena *a)
{
    return (struct message){
        .kind = MESSAGE_REMINDER,
        .id = 1,
        .incident = (uint64_t)1777803401377 << 20,
        .rule = STR("video-fails"),
        .key = STR("task=render-video"),
        .dedup = STR("runbell-inc_x"),
        .project = STR("web"),
        .env = STR("prod"),
        .severity = SEVERITY_ERROR,
        .acknowledged = true,
        .title = STR("render-video crashed in prod (12 times)"),
        .body = STR("Error: out of memory\n\n  at frame 7"),
        .status_line = STR("STILL OPEN after 2h 5m"),
        .reason = STR("nobody took it"),
        .fields = two_fields,
        .field_count = COUNT_OF(two_fields),
        .run = STR("run_abc"),
        .task = STR("render-video"),
        .link = STR("https://trigger.example/runs/run_abc"),
        .incident_link = STR("https://bell.example/incidents/1"),
        .runbook = STR("https://wiki.example/video"),
        .at_ms = 1777803401377,
        .opened_ms = 1777795901377,
        .hits = 12,
        .runs = 3,
        .late = true,
        .late_by = STR("3h 5m"),
        .note = STR("a template failed"),
        .labels = parse(a, STR("{\"team\":\"media\",\"tier\":\"1\"}")),
    };
}

static void stored_form(void **state)
{
    struct arena a = { 0 };
    struct message m = full(&a);
    (void)state;
    same(stored(&a, &m),
         "{\"kind\":\"reminder\",\"id\":\"msg_0000000000001\",\"incident\":\"inc_1kqpne6510000\",\"rule\":"
         "\"video-fails\","
         "\"key\":\"task=render-video\",\"dedup\":\"runbell-inc_x\",\"project\":\"web\",\"env\":\"prod\","
         "\"severity\":\"error\",\"severity_error\":true,\"resolved\":false,\"acknowledged\":true,\"state\":"
         "\"acknowledged\","
         "\"title\":\"render-video crashed in prod (12 times)\",\"body\":\"Error: out of memory\\n\\n  at "
         "frame 7\","
         "\"status\":\"STILL OPEN after 2h 5m\",\"reason\":\"nobody took it\","
         "\"fields\":[{\"name\":\"Task\",\"value\":\"render-video\",\"wide\":false},"
         "{\"name\":\"Tags\",\"value\":\"a, \\\"b\\\"\",\"wide\":true}],"
         "\"run\":\"run_abc\",\"task\":\"render-video\",\"link\":\"https://trigger.example/runs/run_abc\","
         "\"incident_link\":\"https://bell.example/incidents/1\",\"runbook\":\"https://wiki.example/video\","
         "\"at\":\"2026-05-03T10:16:41.377Z\",\"opened_at\":\"2026-05-03T08:11:41.377Z\",\"opened_unix\":"
         "1777795901,"
         "\"hits\":12,\"runs\":3,\"late\":true,\"late_by\":\"3h 5m\",\"note\":\"a template failed\","
         "\"labels\":{\"team\":\"media\",\"tier\":\"1\"},"
         "\"label_list\":[{\"name\":\"team\",\"value\":\"media\"},{\"name\":\"tier\",\"value\":\"1\"}]}");
    arena_fini(&a);
}

static void stored_form_of_little(void **state)
{
    struct arena a = { 0 };
    struct message m = {
        .kind = MESSAGE_OPERATOR, .severity = SEVERITY_CRITICAL, .resolved = true, .acknowledged = true
    };
    (void)state;
    same(stored(&a, &m),
         "{\"kind\":\"operator\",\"severity\":\"critical\",\"severity_critical\":true,\"resolved\":true,"
         "\"acknowledged\":true,\"state\":\"resolved\",\"title\":\"\",\"fields\":[],"
         "\"at\":\"1970-01-01T00:00:00.000Z\",\"hits\":0,\"runs\":0}");
    arena_fini(&a);
}

static void plain_text(void **state)
{
    static const struct { struct str json; const char *want; } cases[] = {
        { { "{}", 2 }, "[] (no title)" },
#define J(text) { text, sizeof(text) - 1 }
        { J("{\"severity\":\"error\",\"status\":\"OPEN\",\"title\":\"render-video "
            "crashed\",\"hits\":1,\"runs\":1}"),
          "[ERROR] OPEN: render-video crashed" },
        { J("{\"severity\":\"error\",\"title\":\"it crashed\",\"hits\":4,\"runs\":1}"),
          "[ERROR] it crashed (4 times in 1 run)" },
        { J("{\"severity\":\"error\",\"title\":\"it crashed\",\"hits\":4,\"runs\":3}"),
          "[ERROR] it crashed (4 times in 3 runs)" },
        { J("{\"severity\":\"info\",\"title\":\"4 crashed\",\"hits\":4,\"runs\":3}"), "[INFO] 4 crashed" },
        { J("{\"severity\":\"info\",\"title\":\"14 crashed 43\",\"hits\":4,\"runs\":0}"),
          "[INFO] 14 crashed 43 (4 times)" },
        { J("{\"severity\":\"info\",\"title\":\"a\\nb\\u001b[31m\\u009bc\\u0000\\u007f\",\"body\":"
            "\"x\\r\\ny\\u0007é\"}"),
          "[INFO] a b [31m c  \nx\ny \xC3\xA9" },
        { J("{\"severity\":\"info\",\"title\":\"t\",\"incident\":\"inc_1\",\"rule\":\"r\",\"env\":\"prod\"}"),
          "[INFO] t\nRule: r (prod)\nIncident: inc_1" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a = { 0 };
        struct strbuf out;
        strbuf_init(&out, 4096);
        message_plain(parse(&a, cases[i].json), &out);
        same(strbuf_view(&out), cases[i].want);
        strbuf_fini(&out);
        arena_fini(&a);
    }
}

static void plain_text_of_everything(void **state)
{
    struct arena a = { 0 };
    struct message m = full(&a);
    struct strbuf out;
    (void)state;
    strbuf_init(&out, 4096);
    message_plain(parse(&a, stored(&a, &m)), &out);
    same(strbuf_view(&out),
         "[ERROR] STILL OPEN after 2h 5m: render-video crashed in prod (12 times)\n"
         "Error: out of memory\n"
         "  at frame 7\n"
         "Reason: nobody took it\n"
         "Task: render-video\n"
         "Tags: a, \"b\"\n"
         "Rule: video-fails, task=render-video (web/prod)\n"
         "Told 3h 5m after it happened\n"
         "Note: a template failed\n"
         "Link: https://trigger.example/runs/run_abc\n"
         "Runbook: https://wiki.example/video\n"
         "Incident: inc_1kqpne6510000 https://bell.example/incidents/1");
    strbuf_fini(&out);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_both_ways),       cmocka_unit_test(stored_form),
        cmocka_unit_test(stored_form_of_little),    cmocka_unit_test(plain_text),
        cmocka_unit_test(plain_text_of_everything),
    };
    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
