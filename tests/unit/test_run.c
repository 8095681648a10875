#include "run_support.h"

/* --- states ------------------------------------------------------------------------------------------ */

static void every_spelling_folds(void **state)
{
    enum {
        A = RUN_CLASS_ACTIVE,
        R = RUN_CLASS_RETRYING,
        F = RUN_CLASS_FINISHED,
        S = RUN_CLASS_SUCCESS,
        X = RUN_CLASS_FAILED
    };
    static const struct {
        const char *spelling, *name;
        unsigned class;
    } rows[] = {
        { "DELAYED", "DELAYED", A },
        { "Delayed", "DELAYED", A },
        { "QUEUED", "QUEUED", A },
        { "PENDING", "QUEUED", A },
        { "Queued", "QUEUED", A },
        { "PENDING_VERSION", "PENDING_VERSION", A },
        { "WAITING_FOR_DEPLOY", "PENDING_VERSION", A },
        { "Pending version", "PENDING_VERSION", A },
        { "DEQUEUED", "DEQUEUED", A },
        { "Dequeued", "DEQUEUED", A },
        { "EXECUTING", "EXECUTING", A },
        { "Executing", "EXECUTING", A },
        { "REATTEMPTING", "REATTEMPTING", A | R },
        { "RETRYING_AFTER_FAILURE", "REATTEMPTING", A | R },
        { "Reattempting", "REATTEMPTING", A | R },
        { "WAITING", "WAITING", A },
        { "WAITING_TO_RESUME", "WAITING", A },
        { "FROZEN", "WAITING", A },
        { "PAUSED", "WAITING", A },
        { "Waiting", "WAITING", A },
        { "Paused", "WAITING", A },
        { "COMPLETED", "COMPLETED", F | S },
        { "COMPLETED_SUCCESSFULLY", "COMPLETED", F | S },
        { "Completed", "COMPLETED", F | S },
        { "FAILED", "FAILED", F | X },
        { "COMPLETED_WITH_ERRORS", "FAILED", F | X },
        { "Failed", "FAILED", F | X },
        { "CRASHED", "CRASHED", F | X },
        { "Crashed", "CRASHED", F | X },
        { "SYSTEM_FAILURE", "SYSTEM_FAILURE", F | X },
        { "System failure", "SYSTEM_FAILURE", F | X },
        { "FAILED_TO_RUN", "FAILED_TO_RUN", F | X },
        { "INTERRUPTED", "INTERRUPTED", F | X },
        { "Interrupted", "INTERRUPTED", F | X },
        { "TIMED_OUT", "TIMED_OUT", F | X },
        { "Timed out", "TIMED_OUT", F | X },
        { "EXPIRED", "EXPIRED", F | X },
        { "Expired", "EXPIRED", F | X },
        { "CANCELED", "CANCELED", F },
        { "CANCELLED", "CANCELED", F },
        { "Canceled", "CANCELED", F },
        { "HIBERNATING", "", A },
        { "", "", A },
        { "FAILE", "", A },
        { "FAILED_TO_RUN_AT_ALL_EVER_AGAIN", "", A },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum run_state s = run_state_parse(str_c(rows[i].spelling));
        assert_string_equal(run_state_name(s), rows[i].name);
        assert_int_equal(run_state_class(s), rows[i].class);
    }
    for (const char *const *p = run_state_spellings(); *p; p++)
        assert_int_not_equal(run_state_parse(str_c(*p)), RUN_UNKNOWN);
    for (unsigned s = 1; s < RUN_STATES; s++)
        assert_int_equal(run_state_parse(str_c(run_state_name((enum run_state)s))), s);
}

static void classes_have_names(void **state)
{
    static const char *const names[] = { "active", "retrying", "finished", "success", "failed" };
    unsigned bit = 0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_true(run_class_parse(str_c(names[i]), &bit));
        assert_int_equal(bit, 1u << i);
    }
    assert_false(run_class_parse(STR("FAILED"), &bit));
    assert_false(run_class_parse(STR("fail"), &bit));
}

/* --- storing ----------------------------------------------------------------------------------------- */

static void the_stored_form_is_stable(void **state)
{
    struct arena a = { 0 };
    struct run r = decode(&a, load(&a, "seed-run-timed-out.json"));
    (void)state;
    check_str(
        write_run(&a, &r),
        "{'id':'run_tmout3k8p5r2v6y1','status':'TIMED_OUT','task':'sync-ledger','version':'20260503.1',"
        "'kind':'run','test':false,'tags':['org_northwind'],'attempts_listed':1,'attempts_finished':1,"
        "'created':1777803000000,'updated':1777803301913,'started':1777803001250,'finished':1777803301913,"
        "'attempt_starts':[1777803001250],'error':{'message':'maxDuration of 300s exceeded'},"
        "'metadata':{},'present':1899527}");
    r.spelling = STR_NONE; /* a source that only says "failed" */
    r.state = RUN_FAILED;
    r.present &= ~(uint32_t)RUN_HAS_STATE;
    assert_int_equal(run_restore(&a, parse(&a, write_run(&a, &r)), &r, &(struct err){ 0 }), 0);
    assert_true(str_absent(r.spelling));
    assert_int_equal(r.state, RUN_FAILED);
    assert_false(r.present & RUN_HAS_STATE);
    arena_fini(&a);
}

static void damaged_storage_is_an_error(void **state)
{
    static const char *const texts[] = { "[]", "{}", "{'present':'x'}",
                                         "{'present':1,'created':'x'}",
                                         "{'present':131072,'cost':null}" };
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct run r;
        struct err err = { 0 };
        assert_int_equal(run_restore(&a, parse_text(&a, texts[i]), &r, &err), -1);
        assert_int_equal(err.code, ERR_TYPE);
    }
    arena_fini(&a);
}

/* --- derived facts ----------------------------------------------------------------------------------- */

static struct run with_error(const char *name, const char *message, const char *code, const char *stack)
{
    struct run r;
    run_init(&r);
    r.error = (struct run_error){ str_c(name), str_c(message), str_c(code), str_c(stack) };
    return r;
}

static void fingerprints_ignore_what_differs_from_run_to_run(void **state)
{
    static const struct {
        const char *message, *stack, *other_message, *other_stack;
        bool same;
    } rows[] = {
        { "invoice 7719 failed", NULL, "invoice 12 failed", NULL, true },
        { "user_8841 unknown", NULL, "user_9 unknown", NULL, true },
        { "run_cmf7k2n1v000208l4i9j0k1l2 gone", NULL, "run_crash7x2m9q4w1z8 gone", NULL, true },
        { "key 6f1deeee-beef-cafe-dead-c0ffeec0ffee", NULL, "key 00000000-0000-4000-8000-000000000000", NULL,
          true },
        { "took 12.5 s at 10:16:41 from 10.0.0.1", NULL, "took 3 s at 9:01:00 from 192.168.7.9", NULL, true },
        { "at 0x1f", NULL, "at 0xdeadbeef", NULL, true },
        { "invoice 7719 failed", NULL, "invoice 7719 refused", NULL, false },
        { "x", "Error: x\n    at load (file:///app/src/a.ts:1:2)", "x",
          "Error: x\n    at load (file:///app/src/a.ts:90:17)", true },
        { "x", "Error: x\n    at load (file:///app/src/a.ts:1:2)", "x",
          "Error: x\n    at save (file:///app/src/a.ts:1:2)", false },
        { "x",
          "Error: x\n    at f (/app/node_modules/pg/lib/c.js:4:5)\n    at load (file:///app/src/a.ts:1:2)",
          "x", "Error: x\n    at g (node:internal/process/task:95:5)\n    at load (file:///app/src/a.ts:1:2)",
          true },
    };
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct run one = with_error("Error", rows[i].message, NULL, rows[i].stack);
        struct run two = with_error("Error", rows[i].other_message, NULL, rows[i].other_stack);
        struct str p = run_error_fingerprint(&a, &one), q = run_error_fingerprint(&a, &two);
        assert_int_equal(p.n, 16);
        if (str_eq(p, q) != rows[i].same) fail_msg("%s / %s", rows[i].message, rows[i].other_message);
    }
    arena_fini(&a);
}

static void fingerprints_see_name_and_code(void **state)
{
    struct arena a = { 0 };
    struct run none = with_error(NULL, NULL, NULL, NULL), plain = with_error("Error", "m", NULL, NULL),
               type = with_error("TypeError", "m", NULL, NULL);
    struct run api =
        with_error(NULL, "trigger.dev internal error (MAX_DURATION_EXCEEDED)", "MAX_DURATION_EXCEEDED", NULL);
    struct run hook = with_error(NULL, "Run exceeded maximum compute time", "MAX_DURATION_EXCEEDED", NULL);
    (void)state;
    assert_true(str_absent(run_error_fingerprint(&a, &none)));
    assert_false(str_eq(run_error_fingerprint(&a, &plain), run_error_fingerprint(&a, &type)));
    assert_true(str_eq(run_error_fingerprint(&a, &api), run_error_fingerprint(&a, &hook)));
    check_str(run_error_fingerprint(&a, &plain),
              "194e7b6902f5ff97"); /* kept in incident keys: must not change */
    arena_fini(&a);
}

static void event_time_is_the_runs_own_clock(void **state)
{
    enum { ARRIVAL = 1000000000, LATEST = ARRIVAL + 300000 };
    int64_t starts[] = { 100, 200, 300 };
    const struct {
        enum run_state state;
        int64_t updated, finished, attempt, want;
    } rows[] = {
        { RUN_EXECUTING, 5000, RUN_TIME_NONE, 0, 5000 },
        { RUN_EXECUTING, 5000, 7000, 0, 5000 },
        { RUN_EXECUTING, RUN_TIME_NONE, RUN_TIME_NONE, 0, ARRIVAL },
        { RUN_FAILED, 5000, 7000, 0, 7000 },
        { RUN_FAILED, 5000, RUN_TIME_NONE, 0, 5000 },
        { RUN_CANCELED, RUN_TIME_NONE, RUN_TIME_NONE, 0, ARRIVAL },
        { RUN_REATTEMPTING, 5000, RUN_TIME_NONE, 3, 300 },
        { RUN_REATTEMPTING, 5000, RUN_TIME_NONE, 4, 5000 },
        { RUN_UNKNOWN, 5000, 7000, 0, 5000 },
        { RUN_FAILED, 5000, LATEST + 1, 0, LATEST },
        { RUN_EXECUTING, INT64_MAX, RUN_TIME_NONE, 0, LATEST },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct run r;
        run_init(&r);
        r.state = rows[i].state;
        r.updated_ms = rows[i].updated;
        r.finished_ms = rows[i].finished;
        r.attempt = rows[i].attempt;
        r.attempt_starts_ms = starts;
        r.attempt_start_count = COUNT_OF(starts);
        assert_int_equal(run_event_time(&r, ARRIVAL), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_folds),
        cmocka_unit_test(classes_have_names),
        cmocka_unit_test(the_stored_form_is_stable),
        cmocka_unit_test(damaged_storage_is_an_error),
        cmocka_unit_test(fingerprints_ignore_what_differs_from_run_to_run),
        cmocka_unit_test(fingerprints_see_name_and_code),
        cmocka_unit_test(event_time_is_the_runs_own_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
