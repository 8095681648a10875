/* The realtime feed's protocol: where a subscription stands, and messages as changes of runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "source/shape.h"

struct bench {
    struct arena a;
    struct shape s;
    struct fetch_header headers[8];
    size_t header_count;
    struct run runs[16];
    const char *before[16];
    bool known[16];
    size_t n;
    struct err err;
};

static struct bench bench;
#define UP_TO_DATE "{'headers':{'control':'up-to-date'}}"
#define REFETCH "{'headers':{'control':'must-refetch'}}"
#define CHANGE(key, op, value) "{'key':'" key "','value':{" value "},'headers':{'operation':'" op "'}}"
#define EXECUTING "'friendlyId':'run_1','status':'EXECUTING','taskIdentifier':'t','createdAt':'2026-05-03 10:00:00'"

static int set_up(void **state)
{
    (void)state;
    bench = (struct bench){ .n = 0 };
    shape_init(&bench.s);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    shape_fini(&bench.s);
    arena_fini(&bench.a);
    return 0;
}

static void on_change(void *ctx, struct str object, struct str before, bool known)
{
    struct bench *b = ctx;
    struct json root;
    struct err err;
    assert_in_range(b->n, 0, 15);
    assert_int_equal(json_parse(&b->a, object, &json_own_limits, &root, NULL, &err), 0);
    assert_int_equal(run_decode(&b->a, root, &b->runs[b->n], &err), 0);
    b->before[b->n] = str_dup_c(&b->a, before);
    b->known[b->n++] = known;
}

static int take_with(const char *text, const char *handle, const char *offset, bool up_to_date)
{
    char *p = arena_memdup(&bench.a, text, strlen(text));
    struct fetch_answer f = { .status = 200, .body = str_c(p), .headers = bench.headers };
    for (char *q = p; *q; q++)
        if (*q == '\'') *q = '"';
    if (handle) bench.headers[f.header_count++] = (struct fetch_header){ STR("electric-handle"), str_c(handle) };
    if (offset) bench.headers[f.header_count++] = (struct fetch_header){ STR("electric-offset"), str_c(offset) };
    if (up_to_date) bench.headers[f.header_count++] = (struct fetch_header){ STR("electric-up-to-date"), STR("") };
    bench.n = 0;
    return shape_take(&bench.s, &bench.a, &f, on_change, &bench, &bench.err);
}

static void take(const char *text)
{
    assert_int_equal(take_with(text, "h&1", "5_0", false), 0);
}

static bool asks(const char *part)
{
    struct str q = shape_query(&bench.s, &bench.a, "24h", STR("payload,output"));
    return str_find_str(q, str_c(part)) < q.n;
}

static void test_from_the_start_to_waiting(void **state)
{
    (void)state;
    assert_true(asks("offset=-1") && asks("createdAt=24h") && asks("skipColumns=payload%2Coutput"));
    assert_false(asks("handle=") || asks("live="));
    take("[" CHANGE("k1", "insert", EXECUTING) "]");
    assert_true(asks("handle=h%261") && asks("offset=5_0"));
    assert_false(asks("live="));
    assert_int_equal(bench.n, 1);
    assert_false(bench.known[0] || bench.s.news);
    take("[" UP_TO_DATE "]");
    assert_true(asks("live=true") && asks("cursor="));
    assert_false(bench.s.changed);
    take("[" CHANGE("k1", "update", "'status':'CRASHED'") "]");
    assert_true(bench.s.news && bench.s.changed && bench.known[0]);
    assert_string_equal(bench.before[0], "EXECUTING");
}

static void test_updates_are_merged(void **state)
{
    (void)state;
    take("[" CHANGE("k1", "insert", EXECUTING ",'isTest':'t','runTags':'{a,\\\"b \\\\\\\"q\\\\\\\" c\\\"}','costInCents':'1.5','startedAt':null") "," UP_TO_DATE "]");
    take("[" CHANGE("k1", "update", "'status':'CRASHED','completedAt':'2026-05-03 10:00:09.5'") "]");
    assert_int_equal(bench.n, 1);
    assert_true(str_eq_c(bench.runs[0].task, "t") && bench.runs[0].test);
    assert_int_equal(bench.runs[0].state, RUN_CRASHED);
    assert_int_equal(bench.runs[0].tag_count, 2);
    assert_true(str_eq_c(bench.runs[0].tags[1], "b \"q\" c"));
    assert_int_equal(bench.runs[0].finished_ms - bench.runs[0].created_ms, 9500); /* both without a zone, in UTC */
    take("[" CHANGE("k1", "update", "'status':'CRASHED'") "]"); /* it was over, and is not kept */
    assert_int_equal(bench.n, 0);
    assert_int_equal(bench.s.rows.n, 0);
}

static void test_tags_as_postgres_writes_them(void **state)
{
    static const struct { const char *text; size_t n; } cases[] = { { "{}", 0 }, { "{a}", 1 }, { "{a,b,c}", 3 }, { "no list", 0 },
                                                                    { "{\\\"a,b\\\",c}", 2 }, { "{\\\"", 0 }, { "{\\\"open}", 1 }, { "{a\\\\\\\\}", 1 } };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        take(str_printf(&bench.a, "[" CHANGE("k", "insert", EXECUTING ",'runTags':'%s'") "]", cases[k].text).p);
        assert_int_equal(bench.n, 1);
        if (bench.runs[0].tag_count != cases[k].n) fail_msg("%s: %zu tags", cases[k].text, bench.runs[0].tag_count);
    }
}

static void test_must_refetch_begins_again_and_compares(void **state)
{
    (void)state;
    take("[" CHANGE("k1", "insert", EXECUTING) "," CHANGE("k2", "insert", "'friendlyId':'run_2','status':'WAITING'") "," UP_TO_DATE "]");
    take("[" REFETCH "]");
    assert_true(asks("offset=-1"));
    assert_int_equal(bench.s.rows.n, 2);
    take("[" CHANGE("k1", "insert", "'friendlyId':'run_1','status':'CRASHED'") "," UP_TO_DATE "]");
    assert_true(bench.known[0]);
    assert_string_equal(bench.before[0], "EXECUTING");
    assert_int_equal(bench.s.rows.n, 0); /* k2 was not told again: it has left the feed */
}

static void test_a_deleted_row_is_dropped(void **state)
{
    (void)state;
    take("[" CHANGE("k1", "insert", EXECUTING) "," UP_TO_DATE "]");
    take("[" CHANGE("k1", "delete", "'friendlyId':'run_1'") "]");
    assert_int_equal(bench.n, 0);
    assert_int_equal(bench.s.rows.n, 0);
}

static void test_a_nul_in_a_column(void **state)
{
    (void)state;
    take("[" CHANGE("k1", "insert", "'friendlyId':'run_1','status':'EXECUTING','taskIdentifier':'a\\u0000bcdefgh'") "]");
    assert_int_equal(bench.n, 1);
    assert_int_equal(bench.runs[0].task.n, 9);
    assert_memory_equal(bench.runs[0].task.p, "a\0bcdefgh", 9);
}

static void test_what_is_not_of_the_protocol(void **state)
{
    (void)state;
    assert_int_equal(take_with("{}", "h", "1", false), -1);
    assert_int_equal(take_with("[", "h", "1", false), -1);
    assert_int_equal(take_with("[]", NULL, "1", false), -1);
    shape_restart(&bench.s);
    assert_int_equal(take_with("[]", "h", NULL, false), -1);
    shape_restart(&bench.s);
    assert_int_equal(take_with("", "h", "1", true), 0);
    assert_true(bench.s.up_to_date);
    take("[7,{},{'key':'k'},{'key':'k','value':[]},{'key':'k','value':{'status':'X'}},{'headers':{'control':'snapshot-end'}}]");
    assert_int_equal(bench.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_from_the_start_to_waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_updates_are_merged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tags_as_postgres_writes_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_must_refetch_begins_again_and_compares, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_deleted_row_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_nul_in_a_column, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_of_the_protocol, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
