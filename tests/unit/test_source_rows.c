/* Rows of the query endpoint as runs, and texts and times as its SQL wants them; what is recalled of runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/timefmt.h"
#include "source/recall.h"
#include "source/rows.h"

static struct arena arena;

static int decode(const char *text, struct run *out, struct err *err)
{
    struct json root;
    char *p = arena_memdup(&arena, text, strlen(text));
    for (char *q = p; *q; q++)
        if (*q == '\'') *q = '"';
    assert_int_equal(json_parse(&arena, str_c(p), &json_default_limits, &root, NULL, err), 0);
    return row_decode(&arena, root, out, err);
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void assert_text(struct str s, const char *wanted)
{
    assert_string_equal(str_dup_c(&arena, s), wanted);
}

static void test_a_whole_row(void **state)
{
    struct run r;
    struct err err;
    int64_t ms;
    (void)state;
    assert_int_equal(decode("{'run_id':'run_1','environment':'prod','status':'Timed out','attempt_count':'3','task_identifier':'it\\u0027s','queue':'task/x',"
                            "'batch_id':'batch_1','root_run_id':'run_r','parent_run_id':'run_p','region':'eu','triggered_at':'2026-05-03 10:16:41.702',"
                            "'dequeued_at':'2026-05-03T10:16:42Z','completed_at':'2026-05-03 10:17:00','delay_until':null,'total_cost':0.0125,"
                            "'error':{'type':'INTERNAL_ERROR','code':'MAX_DURATION_EXCEEDED'},'tags':['a,b','q\\\"q'],'task_version':'20260503.1',"
                            "'machine':'small-1x','is_test':1}", &r, &err), 0);
    assert_text(r.id, "run_1");
    assert_text(r.env, "prod");
    assert_int_equal(r.state, RUN_TIMED_OUT);
    assert_text(r.spelling, "Timed out");
    assert_int_equal(r.attempt_count, 3);
    assert_text(r.task, "it's");
    assert_text(r.error.code, "MAX_DURATION_EXCEEDED");
    assert_int_equal(r.tag_count, 2);
    assert_text(r.tags[1], "q\"q");
    assert_true(r.test);
    assert_float_equal(r.cost_cents, 1.25, 1e-9);
    assert_true(time_parse(STR("2026-05-03T10:16:41.702Z"), &ms));
    assert_int_equal(r.created_ms, ms);
    assert_int_equal(r.finished_ms, ms + 18298);
    assert_int_equal(r.delayed_ms, RUN_TIME_NONE);
    assert_int_equal(r.present & (RUN_HAS_DELAYED | RUN_HAS_METADATA | RUN_HAS_UPDATED), 0);
    assert_true(r.present & RUN_HAS_ERROR);
}

static void test_what_is_absent_is_not_there(void **state)
{
    struct run r;
    struct err err;
    (void)state;
    assert_int_equal(decode("{'run_id':'run_1','status':'Executing','queue':'','completed_at':'1970-01-01 00:00:00.000','error':null,'attempt_count':'many',"
                            "'is_test':false,'tags':{'a':1},'total_cost':'1e999'}", &r, &err), 0);
    assert_int_equal(r.finished_ms, RUN_TIME_NONE); /* how an analytics store writes "never" */
    assert_int_equal(r.attempt_count, -1);
    assert_false(r.test);
    assert_int_equal(r.tag_count, 0);
    assert_int_equal(r.present & ~(uint32_t)(RUN_HAS_STATE | RUN_HAS_TAGS | RUN_HAS_TEST | RUN_HAS_COST), 0);
    assert_int_equal(decode("{'run_id':'run_1','status':'Hibernating'}", &r, &err), 0);
    assert_int_equal(r.state, RUN_UNKNOWN);
}

static void test_what_is_no_row_of_a_run(void **state)
{
    static const char *const bad[] = { "{}", "[]", "{'run_id':'run_1'}", "{'status':'Failed'}", "{'run_id':7,'status':'Failed','x':1}",
                                       "{'run_id':'run 1','status':'Failed'}", "{'run_id':'run_\\u0000','status':'Failed'}", "{'run_id':{},'status':'Failed'}",
                                       "{'run_id':'run_1','status':''}" };
    struct run r;
    (void)state;
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct err err = { 0 };
        if (k == 4) { /* a number is its text */
            assert_int_equal(decode(bad[k], &r, &err), 0);
            continue;
        }
        assert_int_equal(decode(bad[k], &r, &err), -1);
        assert_true(err.msg[0]);
    }
}

static void test_errors_in_every_shape(void **state)
{
    static const struct { const char *error, *message; } cases[] = {
        { "{'type':'BUILT_IN_ERROR','name':'TypeError','message':'x is undefined'}", "x is undefined" },
        { "{'type':'STRING_ERROR','raw':'gone'}", "gone" }, { "'plain text'", "plain text" }, { "''", NULL }, { "{}", NULL }, { "[]", NULL },
    };
    struct run r;
    struct err err;
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const char *row = str_printf(&arena, "{'run_id':'run_1','status':'Failed','error':%s}", cases[k].error).p;
        assert_int_equal(decode(row, &r, &err), 0);
        assert_int_equal((r.present & RUN_HAS_ERROR) != 0, cases[k].message != NULL);
        if (cases[k].message) assert_text(r.error.message, cases[k].message);
    }
}

static void test_sql(void **state)
{
    static const struct { const char *text, *wanted; } cases[] = {
        { "plain", "'plain'" }, { "it's", "'it\\'s'" }, { "\\'; DROP", "'\\\\\\'; DROP'" }, { "", "''" }, { "a\nb, \"c\"", "'a\nb, \"c\"'" },
    };
    struct strbuf b;
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        strbuf_init(&b, 256);
        row_quote(&b, str_c(cases[k].text));
        assert_string_equal(b.p, cases[k].wanted);
        strbuf_fini(&b);
    }
    assert_text(row_time(&arena, 1777803401702), "2026-05-03 10:16:41.702");
    assert_text(row_time(&arena, 1777803401000), "2026-05-03 10:16:41.000");
}

/* Every state that can be asked for is read back as that state. */
static void test_titles(void **state)
{
    (void)state;
    for (int s = 0; s < RUN_STATES; s++) {
        const char *const *titles = row_titles((enum run_state)s);
        for (; titles && *titles; titles++) assert_int_equal(run_state_parse(str_c(*titles)), s);
    }
    assert_null(row_titles(RUN_UNKNOWN));
    assert_non_null(row_titles(RUN_CANCELED));
}

static void test_recall(void **state)
{
    struct recall all = { 0 };
    struct run r;
    struct recalled *k;
    char id[16] = "run_1";
    (void)state;
    run_init(&r);
    r.id = str_c(id);
    r.env = STR("prod");
    r.state = RUN_EXECUTING;
    r.attempt_count = 2;
    k = recall_note(&all, &r);
    id[4] = '9'; /* its own copy */
    assert_ptr_equal(recall_get(&all, STR("run_1")), k);
    assert_null(recall_get(&all, STR("run_9")));
    assert_false(recalled_is_final(k));
    assert_int_equal(k->asked_ms, RUN_TIME_NONE);
    r.id = STR("run_1");
    r.env = STR_NONE;
    r.attempt_count = -1;
    r.state = RUN_CRASHED;
    r.finished_ms = 5;
    assert_ptr_equal(recall_note(&all, &r), k);
    assert_int_equal(k->attempt, 2); /* it only grows */
    assert_text(k->env, "prod");
    assert_true(recalled_is_final(k));
    assert_int_equal(k->finished_ms, 5);
    recall_forget(&all, k);
    assert_null(recall_get(&all, STR("run_1")));
    recall_note(&all, &r);
    recall_fini(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_row), cmocka_unit_test(test_what_is_absent_is_not_there), cmocka_unit_test(test_what_is_no_row_of_a_run),
        cmocka_unit_test(test_errors_in_every_shape), cmocka_unit_test(test_sql), cmocka_unit_test(test_titles), cmocka_unit_test(test_recall),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
