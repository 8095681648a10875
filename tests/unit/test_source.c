#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "source/webhook.h"

#define COUNT_OF(t) (sizeof(t) / sizeof *(t))
#define FIXTURES "tests/fixtures/trigger-dev/"
#define ID(n) "{\"id\":\"run_" n "\",\"status\":\"CRASHED\",\"taskIdentifier\":\"t\"}"

enum { ITEMS_MAX = 1000 };

static const struct config_source plain = { .type = SOURCE_WEBHOOK };

struct outcome {
    struct arena arena;
    struct source_batch batch;
    enum source_result result;
    struct err err;
};

static void decode_with(struct outcome *o, const struct config_source *source, struct str body, bool ndjson,
                        size_t items_max)
{
    *o = (struct outcome){ 0 };
    o->result = source_webhook_decode(&o->arena, source, body, ndjson, items_max, &o->batch, &o->err);
}

static void decode(struct outcome *o, const char *body)
{
    decode_with(o, &plain, str_c(body), false, ITEMS_MAX);
}

static void done(struct outcome *o)
{
    arena_fini(&o->arena);
}

/* --- fixtures -------------------------------------------------------------------------------------- */

static const struct fixture {
    const char *file;
    size_t runs;
    const char *first_id, *first_status, *first_env;
} fixtures[] = {
    { "seed-run-cancelled.json", 1, NULL, "CANCELLED", "default" },
    { "seed-run-completed-with-errors.json", 1, NULL, "COMPLETED_WITH_ERRORS", "default" },
    { "seed-run-completed.json", 1, NULL, "COMPLETED_SUCCESSFULLY", "default" },
    { "seed-run-crashed.json", 1, "run_crash7x2m9q4w1z8", "CRASHED", "default" },
    { "seed-run-delayed.json", 1, NULL, "DELAYED", "default" },
    { "seed-run-executing.json", 1, NULL, "EXECUTING", "default" },
    { "seed-run-expired.json", 1, NULL, "EXPIRED", "default" },
    { "seed-run-failed-to-run.json", 1, NULL, "FAILED_TO_RUN", "default" },
    { "seed-run-reattempting.json", 1, NULL, "REATTEMPTING", "default" },
    { "seed-run-timed-out.json", 1, NULL, "TIMED_OUT", "default" },
    { "seed-run-waiting-for-deploy.json", 1, NULL, "WAITING_FOR_DEPLOY", "default" },
    { "retrieve-run-completed.json", 1, NULL, "COMPLETED", NULL },
    { "retrieve-run-crashed.json", 1, "run_cmf7k2q9x000008l4a1b2c3d4", "CRASHED", "default" },
    { "retrieve-run-failed-child-presigned.json", 1, NULL, "FAILED", NULL },
    { "retrieve-run-reattempting-legacy.json", 1, NULL, "REATTEMPTING", NULL },
    { "retrieve-run-retrying-executing.json", 1, NULL, "EXECUTING", NULL },
    { "retrieve-run-retrying-queued.json", 1, NULL, "QUEUED", NULL },
    { "retrieve-run-timed-out.json", 1, NULL, "TIMED_OUT", NULL },
    { "list-runs-page1.json", 2, "run_cmf7k2q9x000008l4a1b2c3d4", "CRASHED", "prod" },
    { "list-runs-empty.json", 0, NULL, NULL, NULL },
    { "error-404-run.json", 0, NULL, NULL, NULL },
    { "webhook-alert-run-failed-timed-out.json", 0, NULL, NULL, NULL },
    { "webhook-alert-error-group.json", 0, NULL, NULL, NULL },
    { "webhook-legacy-v1-run-failed.json", 0, NULL, NULL, NULL },
};

static struct str fixture_text(struct arena *a, const char *name)
{
    struct str text = STR_NONE;
    struct err err = { 0 };
    if (file_read(a, str_printf(a, FIXTURES "%s", name).p, 1 << 20, &text, &err)) fail_msg("%s", err.msg);
    return text;
}

static void check_fixture(const struct fixture *f)
{
    struct arena files = { 0 };
    struct outcome o;
    const struct run *run;
    decode_with(&o, &plain, fixture_text(&files, f->file), false, ITEMS_MAX);
    if (o.batch.report_count < f->runs || (f->runs == 0) != (o.result == SOURCE_NOTHING))
        fail_msg("%s: %zu runs, result %d: %s", f->file, o.batch.report_count, o.result, o.err.msg);
    if (f->runs) {
        run = &o.batch.reports[0].run;
        if (f->first_id && !str_eq_c(run->id, f->first_id)) fail_msg("%s: id", f->file);
        if (!str_eq_c(run->spelling, f->first_status))
            fail_msg("%s: " STR_FMT, f->file, STR_ARG(run->spelling));
        if (f->first_env && !str_eq_c(run->env, f->first_env))
            fail_msg("%s: env " STR_FMT, f->file, STR_ARG(run->env));
        if (!str_eq_c(run->project, "default")) fail_msg("%s: project", f->file);
    }
    done(&o);
    arena_fini(&files);
}

static void test_fixtures(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(fixtures); i++) check_fixture(&fixtures[i]);
}

static void test_every_fixture_as_one_body(void **state)
{
    struct arena files = { 0 };
    struct strbuf all, lines;
    struct outcome o;
    size_t n = 0;
    (void)state;
    strbuf_init(&all, 1 << 22);
    strbuf_init(&lines, 1 << 22);
    for (size_t i = 0; i < COUNT_OF(fixtures); i++) {
        struct str text;
        if (fixtures[i].runs != 1) continue;
        text = str_trim(fixture_text(&files, fixtures[i].file));
        strbuf_c(&all, n ? "," : "[");
        strbuf_str(&all, text);
        for (size_t k = 0; k < text.n; k++) strbuf_char(&lines, text.p[k] == '\n' ? ' ' : text.p[k]);
        strbuf_c(&lines, "\r\n");
        n++;
    }
    strbuf_c(&all, "]");
    decode_with(&o, &plain, strbuf_view(&all), false, ITEMS_MAX);
    assert_int_equal(o.batch.report_count, n);
    done(&o);
    decode_with(&o, &plain, strbuf_view(&lines), true, ITEMS_MAX);
    assert_int_equal(o.batch.report_count, n);
    done(&o);
    decode_with(&o, &plain, strbuf_view(&lines), false, ITEMS_MAX); /* noticed without being told */
    assert_int_equal(o.batch.report_count, n);
    done(&o);
    strbuf_fini(&all);
    strbuf_fini(&lines);
    arena_fini(&files);
}

/* --- shapes ---------------------------------------------------------------------------------------- */

struct want { size_t index; const char *text; }; /* part of the fault's text */
static const struct shape {
    const char *body;
    bool ndjson;
    enum source_result result;
    size_t reports;
    struct want faults[4];
    const char *err; /* part of err.msg */
} shapes[] = {
    { ID("1"), false, SOURCE_DECODED, 1, { { 0, NULL } }, NULL },
    { "{\"run\":" ID("1") "}", false, SOURCE_DECODED, 1, { { 0, NULL } }, NULL },
    { "{\"type\":\"x\",\"run\":" ID("1") "}", false, SOURCE_DECODED, 1, { { 0, NULL } }, NULL },
    { "[" ID("1") ",{\"run\":" ID("2") "}]", false, SOURCE_DECODED, 2, { { 0, NULL } }, NULL },
    { "{\"data\":[" ID("1") "," ID("2") "],\"pagination\":{}}",
      false,
      SOURCE_DECODED,
      2,
      { { 0, NULL } },
      NULL },
    { ID("1") "\n" ID("2") "\n", false, SOURCE_DECODED, 2, { { 0, NULL } }, NULL },
    { "\n\n" ID("1") "\r\n\r\n  " ID("2"), false, SOURCE_DECODED, 2, { { 0, NULL } }, NULL },
    { ID("1") "\n" ID("2"), true, SOURCE_DECODED, 2, { { 0, NULL } }, NULL },
    { ID("1"), true, SOURCE_DECODED, 1, { { 0, NULL } }, NULL },
    { "{\n\"id\":\"run_1\",\n\"status\":\"X\"\n}\n", false, SOURCE_DECODED, 1, { { 0, NULL } }, NULL },
    { "{\"id\":\"run_1\",\"status\":\"NEVER_HEARD_OF\"}", false, SOURCE_DECODED, 1, { { 0, NULL } }, NULL },
    { "{\"id\":\"run_1\",\"status\":\"CRASHED\",\"createdAt\":\"9999-01-01T00:00:00Z\"}",
      false,
      SOURCE_DECODED,
      1,
      { { 0, NULL } },
      NULL },
    { "[" ID("1") ",{\"status\":\"CRASHED\"},7," ID("2") ",{\"id\":\"run_3\",\"status\":4}]",
      false,
      SOURCE_DECODED,
      2,
      { { 1, "id" }, { 2, "not an object" }, { 4, "status" } },
      NULL },
    { ID("1") "\nnot json\n" ID("2") "\n", true, SOURCE_DECODED, 2, { { 1, "line 2, column" } }, NULL },
    { ID("1") "\n{\"id\":\n" ID("2") "\n", false, SOURCE_DECODED, 2, { { 1, "line 2" } }, NULL },
    { ID("1") "\n[" ID("2") "]\n", true, SOURCE_DECODED, 1, { { 1, "not an object" } }, NULL },
    { "{}", false, SOURCE_NOTHING, 0, { { 0, "id" } }, "id" },
    { "{\"id\":\"run_1\"}", false, SOURCE_NOTHING, 0, { { 0, "status" } }, "status" },
    { "{\"id\":17,\"status\":\"CRASHED\"}", false, SOURCE_NOTHING, 0, { { 0, "id" } }, "id" },
    { "{\"id\":\"run_1\",\"status\":\"CRASHED\",\"tags\":7}",
      false,
      SOURCE_NOTHING,
      0,
      { { 0, "tags" } },
      "tags" },
    { "{\"webhookVersion\":\"v1\",\"type\":\"alert.run.failed\",\"object\":{}}",
      false,
      SOURCE_NOTHING,
      0,
      { { 0, "alert webhook" } },
      "trigger-webhook" },
    { "[]", false, SOURCE_NOTHING, 0, { { 0, NULL } }, "no run in it" },
    { "{\"data\":[]}", false, SOURCE_NOTHING, 0, { { 0, NULL } }, "no run in it" },
    { "[1,2]", false, SOURCE_NOTHING, 0, { { 0, "object" }, { 1, "object" } }, "none of its 2 items" },
    { " \n ", true, SOURCE_NOTHING, 0, { { 0, NULL } }, "no run in it" },
    { "", false, SOURCE_NOT_JSON, 0, { { 0, NULL } }, "" },
    { "7", false, SOURCE_NOT_JSON, 0, { { 0, NULL } }, "" },
    { "{\"id\":\"run_1\",\"id\":\"run_2\",\"status\":\"CRASHED\"}",
      false,
      SOURCE_NOT_JSON,
      0,
      { { 0, NULL } },
      "" },
    { ID("1") "\ngarbage", false, SOURCE_NOT_JSON, 0, { { 0, NULL } }, "" },
    { ID("1") "," ID("2"), false, SOURCE_NOT_JSON, 0, { { 0, NULL } }, "" },
};

static void check_shape(const struct shape *s, const char *body)
{
    struct outcome o;
    size_t faults = 0;
    decode_with(&o, &plain, str_c(body), s->ndjson, ITEMS_MAX);
    if (o.result != s->result || o.batch.report_count != s->reports)
        fail_msg("%s: result %d, %zu reports: %s", body, o.result, o.batch.report_count, o.err.msg);
    while (faults < COUNT_OF(s->faults) && s->faults[faults].text) {
        const struct source_fault *f = &o.batch.faults[faults];
        if (faults == o.batch.fault_count) fail_msg("%s: only %zu faults", body, faults);
        if (f->index != s->faults[faults].index) fail_msg("%s: fault %zu at %zu", body, faults, f->index);
        if (str_find_str(f->text, str_c(s->faults[faults].text)) == f->text.n)
            fail_msg("%s: " STR_FMT, body, STR_ARG(f->text));
        faults++;
    }
    if (faults != o.batch.fault_count) fail_msg("%s: %zu faults", body, o.batch.fault_count);
    if (s->err && !strstr(o.err.msg, s->err)) fail_msg("%s: %s", body, o.err.msg);
    if (s->result != SOURCE_DECODED) assert_true(o.err.msg[0]);
    done(&o);
}

static void test_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(shapes); i++) check_shape(&shapes[i], shapes[i].body);
}

static void test_index_of_each_report(void **state)
{
    struct outcome o;
    (void)state;
    decode(&o, "[1," ID("a") ",{}," ID("b") "]");
    assert_int_equal(o.batch.report_count, 2);
    assert_int_equal(o.batch.reports[0].index, 1);
    assert_int_equal(o.batch.reports[1].index, 3);
    assert_true(str_eq_c(o.batch.reports[1].run.id, "run_b"));
    done(&o);
}

static void test_place_of_a_mistake(void **state)
{
    struct outcome o;
    (void)state;
    decode(&o, "{\"id\": \"run_1\",\n  \"status\": nope}");
    assert_int_equal(o.result, SOURCE_NOT_JSON);
    assert_int_equal(o.err.line, 2);
    assert_int_equal(o.err.col, 13);
    assert_int_equal(o.batch.offset, 28);
    done(&o);
}

/* --- project and env ------------------------------------------------------------------------------- */

static const struct settle {
    const char *source_project, *source_env, *event_env, *project, *env;
} settles[] = {
    { NULL, NULL, NULL, "default", "default" },
    { NULL, NULL, "\"staging\"", "default", "staging" },
    { NULL, NULL, "{\"id\":\"x\",\"name\":\"prod\"}", "default", "prod" },
    { "shop", NULL, "\"staging\"", "shop", "staging" },
    { "shop", "prod", "\"staging\"", "shop", "prod" },
    { NULL, "prod", NULL, "default", "prod" },
};

static void test_settles_project_and_env(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(settles); i++) {
        const struct settle *s = &settles[i];
        struct config_source source = { .project = str_c(s->source_project), .env = str_c(s->source_env) };
        struct arena a = { 0 };
        struct outcome o;
        struct str body = str_printf(&a, "{\"id\":\"run_1\",\"status\":\"CRASHED\",\"project\":\"told\"%s%s}",
                                     s->event_env ? ",\"env\":" : "", s->event_env ? s->event_env : "");
        decode_with(&o, &source, body, false, ITEMS_MAX);
        if (o.result != SOURCE_DECODED) fail_msg("%zu: %s", i, o.err.msg);
        if (!str_eq_c(o.batch.reports[0].run.project, s->project)) fail_msg("%zu: project", i);
        if (!str_eq_c(o.batch.reports[0].run.env, s->env)) fail_msg("%zu: env", i);
        done(&o);
        arena_fini(&a);
    }
}

/* --- limits ---------------------------------------------------------------------------------------- */

static struct strbuf repeated(const char *head, const char *item, const char *between, size_t n,
                              const char *tail)
{
    struct strbuf b;
    strbuf_init(&b, 1 << 24);
    strbuf_c(&b, head);
    for (size_t i = 0; i < n; i++) {
        if (i) strbuf_c(&b, between);
        strbuf_c(&b, item);
    }
    strbuf_c(&b, tail);
    return b;
}

static void check_limit(struct strbuf body, bool ndjson, size_t items_max, enum source_result want)
{
    struct outcome o;
    decode_with(&o, &plain, strbuf_view(&body), ndjson, items_max);
    if (o.result != want) fail_msg("%d, wanted %d: %s", o.result, want, o.err.msg);
    if (want == SOURCE_TOO_LARGE) assert_int_equal(o.batch.report_count, 0);
    done(&o);
    strbuf_fini(&body);
}

static void test_limits(void **state)
{
    const char *heavy =
        "{\"id\":\"run_1\",\"status\":\"X\",\"output\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}";
    /* what stands in a string is no token */
    const char *wordy = "{\"id\":\"run_1\",\"status\":\"X\",\"output\":\"\\\",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\"}";
    (void)state;
    check_limit(repeated("[", ID("1"), ",", 1000, "]"), false, 1000, SOURCE_DECODED);
    check_limit(repeated("[", ID("1"), ",", 1001, "]"), false, 1000, SOURCE_TOO_LARGE);
    check_limit(repeated("{\"data\":[", ID("1"), ",", 3, "]}"), false, 2, SOURCE_TOO_LARGE);
    check_limit(repeated("", ID("1"), "\n", 10, "\n"), true, 10, SOURCE_DECODED);
    check_limit(repeated("", ID("1"), "\n", 11, "\n"), true, 10, SOURCE_TOO_LARGE);
    check_limit(repeated("", ID("1"), "\n", 11, "\n"), false, 10, SOURCE_TOO_LARGE);
    /* tokens: of one text, and of all lines together */
    check_limit(repeated("[", "1", ",", 1100000, "]"), false, 10000000, SOURCE_TOO_LARGE);
    check_limit(repeated("", heavy, "\n", 60000, "\n"), true, 10000000, SOURCE_TOO_LARGE);
    check_limit(repeated("", heavy, "\n", 20000, "\n"), true, 10000000, SOURCE_DECODED);
    check_limit(repeated("", wordy, "\n", 20000, "\n"), true, 10000000, SOURCE_DECODED);
    /* depth */
    check_limit(repeated("{\"id\":\"run_1\",\"status\":\"X\",\"output\":", "[", "", 70, ""), false, 9,
                SOURCE_NOT_JSON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixtures),
        cmocka_unit_test(test_every_fixture_as_one_body),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_index_of_each_report),
        cmocka_unit_test(test_place_of_a_mistake),
        cmocka_unit_test(test_settles_project_and_env),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
