/* Keys, views and explanations of a subject. */
#include "rule_testing.h"

static const char run_json[] =
    "{\"id\":\"run_k1\",\"status\":\"COMPLETED_WITH_ERRORS\",\"taskIdentifier\":\"render/video\",\"env\":\"prod\","
    "\"project\":\"shop\",\"version\":\"20260503.1\",\"tags\":[\"billing\",\"org_7\",\"billing\",\"vip\"],\"attempt\":2,"
    "\"createdAt\":\"2026-05-03T10:00:00Z\",\"startedAt\":\"2026-05-03T10:00:10Z\","
    "\"finishedAt\":\"2026-05-03T10:02:10Z\",\"updatedAt\":\"2026-05-03T10:02:10Z\",\"costInCents\":0.25,"
    "\"error\":{\"name\":\"TypeError\",\"message\":\"boom 17\"},"
    "\"metadata\":{\"customerId\":\"ac\\\\me\",\"list\":[\"x\",\"y\"],\"obj\":{\"a\":1},\"n\":5,\"zone\":\"\"}}";

struct row { const char *when, *by, *keys, *identities, *labels; }; /* joined by " | " */
static const struct row rows[] = {
    { "{}", "task", "render\\/video", "render\\/video", "task=render/video" },
    { "{}", "[]", "", "", "" },
    { "{}", "env", "", "", "" },
    { "{}", "[project, env]", "", "", "" },
    { "{}", "[task, version]", "render\\/video/20260503.1", "render\\/video/20260503.1",
      "task=render/video, version=20260503.1" },
    { "{}", "queue", "(none)", "(none)", "queue=(none)" },
    { "{}", "[queue, version]", "(none)/20260503.1", "(none)/20260503.1",
      "queue=(none), version=20260503.1" },
    { "{}", "metadata.customerId", "ac\\\\me", "ac\\\\me", "metadata.customerId=ac\\me" },
    { "{}", "metadata.n", "5", "5", "metadata.n=5" },
    { "{}", "metadata.obj", "(none)", "(none)", "metadata.obj=(none)" },
    { "{}", "metadata.obj.a", "1", "1", "metadata.obj.a=1" },
    { "{}", "metadata.nope", "(none)", "(none)", "metadata.nope=(none)" },
    { "{}", "metadata.list", "x | y", "x | y", "metadata.list=x | metadata.list=y" },
    { "{}", "tags", "billing | org_7 | vip", "billing | org_7 | vip",
      "tags=billing | tags=org_7 | tags=vip" },
    { "{tags: [billing, invoices]}", "tags", "billing", "billing", "tags=billing" },
    { "{tags: [billing, org_*]}", "tags", "billing | org_7", "billing | org_7", "tags=billing | tags=org_7" },
    { "{tags: {all: [vip, billing]}}", "tags", "billing | vip", "billing | vip", "tags=billing | tags=vip" },
    { "{tags: {not: billing}}", "tags", "billing | org_7 | vip", "billing | org_7 | vip", NULL },
    { "{not: {tags: vip}}", "tags", "billing | org_7 | vip", "billing | org_7 | vip", NULL },
    { "{any: [{tags: other}, {env: prod}]}", "tags", "billing | org_7 | vip", "billing | org_7 | vip", NULL },
    { "{any: [{tags: other}, {tags: {re: ^vip}}]}", "tags", "vip", "vip", NULL },
    { "{metadata.list: y}", "metadata.list", "y", "y", NULL },
    { "{tags: [billing, vip]}", "[tags, metadata.list]", "billing/x | billing/y | vip/x | vip/y",
      "billing/x | billing/y | vip/x | vip/y", NULL },
    { "{}", "[error.name, version]", "TypeError/20260503.1", "20260503.1",
      "error.name=TypeError, version=20260503.1" },
    { "{}", "[version, status]", "20260503.1/FAILED", "20260503.1", NULL },
    { "{}", "status", "FAILED", "", NULL },
    { "{}", "[attempt, duration, test]", "2/2m/false", "false", NULL },
};

static void joined(struct arena *a, const struct rule_key *keys, size_t n, int which, struct str *out)
{
    struct strbuf b;
    strbuf_init(&b, 4096);
    for (size_t i = 0; i < n; i++) {
        if (i) strbuf_c(&b, " | ");
        strbuf_str(&b, which == 0 ? keys[i].key : which == 1 ? keys[i].identity : keys[i].label);
    }
    *out = str_dup(a, strbuf_view(&b));
    strbuf_fini(&b);
}

static void keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *wanted[3] = { rows[i].keys, rows[i].identities, rows[i].labels };
        struct bed b;
        struct testing_run run;
        struct rule_key out[16];
        char by[128];
        size_t n;
        snprintf(by, sizeof by, "    by: %s\n", rows[i].by);
        bed_when(&b, rows[i].when, by);
        if (!b.rs) bed_print(&b);
        assert_non_null(b.rs);
        testing_run(&b.a, run_json, &run);
        n = rule_keys(b.rs->rules[0], &run.subject, out, 16);
        for (int which = 0; which < 3; which++) {
            struct str got;
            joined(&b.a, out, n, which, &got);
            if (wanted[which] && !str_eq_c(got, wanted[which]))
                fail_msg("when %s by %s: got `%s`, wanted `%s`", rows[i].when, rows[i].by, got.p,
                         wanted[which]);
        }
        bed_fini(&b);
    }
}

static void keys_are_bounded(void **state)
{
    struct bed b;
    struct testing_run run;
    struct rule_key out[16];
    char *one, *two;
    struct str first;
    (void)state;
    bed_when(&b, "{}", "    by: [tags, metadata.list]\n");
    testing_run(&b.a, run_json, &run);
    assert_int_equal(rule_keys(b.rs->rules[0], &run.subject, out, 4), 4);
    assert_int_equal(rule_keys(b.rs->rules[0], &run.subject, out, 0), 0);
    bed_fini(&b);

    bed_when(&b, "{}", "");
    testing_run(&b.a, run_json, &run);
    one = arena_zalloc(&b.a, 100000);
    two = arena_zalloc(&b.a, 100000);
    memset(one, 'a', 100000);
    memset(two, 'a', 100000);
    two[99999] = 'b';
    run.run.task = (struct str){ one, 100000 };
    assert_int_equal(rule_keys(b.rs->rules[0], &run.subject, out, 16), 1);
    first = out[0].key;
    assert_true(first.n < 300);
    run.run.task = (struct str){ two, 100000 };
    assert_int_equal(rule_keys(b.rs->rules[0], &run.subject, out, 16), 1);
    assert_false(str_eq(first, out[0].key));
    bed_fini(&b);
}

static void expect_json(struct strbuf *got, const char *wanted)
{
    assert_true(strbuf_ok(got));
    assert_string_equal(got->p, wanted);
}

static void views(void **state)
{
    struct bed b;
    struct testing_run run;
    struct strbuf out;
    struct json_writer w;
    struct json view;
    struct err err;
    struct str fingerprint;
    (void)state;
    bed_when(&b, "{}", "    severity: critical\n");
    testing_run(&b.a, run_json, &run);
    strbuf_init(&out, 1 << 16);
    json_writer_init(&w, &out);
    rule_view(b.rs->rules[0], &run.subject, &w);
    assert_int_equal(json_parse(&b.a, strbuf_view(&out), &json_default_limits, &view, NULL, &err), 0);
    assert_true(str_eq_c(json_str(json_get_c(view, "status")), "COMPLETED_WITH_ERRORS"));
    assert_true(str_eq_c(json_str(json_get_c(view, "task")), "render/video"));
    assert_true(str_eq_c(json_str(json_get_c(view, "rule")), "r"));
    assert_true(str_eq_c(json_str(json_get_c(view, "severity")), "critical"));
    assert_true(str_eq_c(json_str(json_get_c(view, "duration")), "2m"));
    assert_true(str_eq_c(json_scalar(json_get_c(view, "attempt")), "2"));
    assert_true(str_eq_c(json_scalar(json_get_c(view, "cost")), "0.25"));
    assert_int_equal(json_count(json_get_c(view, "tags")), 3);
    assert_true(str_eq_c(json_str(json_get_c(json_get_c(view, "error"), "name")), "TypeError"));
    fingerprint = json_str(json_get_c(json_get_c(view, "error"), "fingerprint"));
    assert_int_equal(fingerprint.n, 16);
    assert_int_equal(json_kind(json_get_c(json_get_c(view, "metadata"), "obj")), JSON_OBJECT);
    assert_int_equal(json_kind(json_get_c(view, "queue")), JSON_ABSENT);
    assert_int_equal(json_kind(json_get_c(view, "key")), JSON_ABSENT);
    strbuf_fini(&out);
    bed_fini(&b);
}

static void explanations(void **state)
{
    struct bed b;
    struct testing_run run;
    struct strbuf out;
    struct json_writer w;
    (void)state;
    bed_compile(&b, "rules:\n  r:\n    when:\n      status: FAILED\n      tags: {all: [vip, gold]}\n"
                    "      any: [{attempt: {gte: 3}}, {queue: q}]\n      not: {env: dev}\n    notify: pager\n");
    testing_run(&b.a, run_json, &run);
    strbuf_init(&out, 1 << 16);
    json_writer_init(&w, &out);
    rule_explain(b.rs->rules[0], &run.subject, &w);
    expect_json(&out,
        "{\"rule\":\"r\",\"file\":\"a.yaml\",\"line\":2,\"hit\":false,\"clauses\":["
        "{\"field\":\"status\",\"test\":\"is \\\"FAILED\\\"\",\"value\":\"COMPLETED_WITH_ERRORS\",\"hit\":true,\"line\":4},"
        "{\"field\":\"tags\",\"test\":\"all of [\\\"gold\\\", \\\"vip\\\"]\","
        "\"value\":[\"billing\",\"org_7\",\"vip\"],\"hit\":false,\"line\":5},"
        "{\"any\":[{\"field\":\"attempt\",\"test\":\"gte 3\",\"value\":\"2\",\"hit\":false,\"line\":6},"
        "{\"field\":\"queue\",\"test\":\"is \\\"q\\\"\",\"value\":null,\"hit\":false,\"line\":6}],\"hit\":false,\"line\":6},"
        "{\"not\":[{\"field\":\"env\",\"test\":\"is \\\"dev\\\"\",\"value\":\"prod\",\"hit\":false,\"line\":7}],"
        "\"hit\":true,\"line\":7}],\"keys\":[\"render\\\\/video\"]}");
    strbuf_clear(&out);
    json_writer_init(&w, &out);
    run.run.kind = STR("error");
    rule_explain(b.rs->rules[0], &run.subject, &w);
    assert_non_null(strstr(out.p,
                           "{\"field\":\"kind\",\"test\":\"is \\\"run\\\"\",\"value\":\"error\",\"hit\":false}"));
    strbuf_fini(&out);
    bed_fini(&b);
}

static void values_for_people(void **state)
{
    static const struct { const char *field, *wanted; } cases[] = {
        { "status", "COMPLETED_WITH_ERRORS" }, { "task", "render/video" }, { "queue", NULL },
            { "test", "false" },
        { "attempt", "2" }, { "duration", "2m" }, { "queue_time", "10s" }, { "cost", "0.25" },
            { "age", "2m 10s" },
        { "error.name", "TypeError" }, { "kind", "run" }, { "run", "run_k1" }, { "metadata.n", "5" },
        { "metadata.obj", "{\"a\":1}" },
    };
    struct arena a = { 0 };
    struct testing_run run;
    (void)state;
    testing_run(&a, run_json, &run);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rule_field f;
        struct str nearest, out[4];
        struct err err;
        size_t n;
        assert_int_equal(rule_field_parse(&a, str_c(cases[i].field), &f, &nearest, &err), 0);
        n = rule_field_values(&f, &run.subject, out, 4);
        if (n != (cases[i].wanted ? 1 : 0) || (n && !str_eq_c(out[0], cases[i].wanted)))
            fail_msg("%s: " STR_FMT, cases[i].field, STR_ARG(n ? out[0] : STR("nothing")));
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(keys_are_bounded),
        cmocka_unit_test(views),
        cmocka_unit_test(explanations),
        cmocka_unit_test(values_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
