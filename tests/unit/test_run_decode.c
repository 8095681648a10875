#include "run_support.h"

/* --- the fixtures ------------------------------------------------------------------------------------ */

static const struct fixture {
    const char *file;
    int item; /* of a list page; -1: the file is the run */
    const char *id, *state, *task, *error, *code;
    int64_t finished, listed, count;
} fixtures[] = {
    { "seed-run-cancelled.json", -1, "run_cancl9q2w5e8r1t4", "CANCELED", "render-video", NULL, NULL, 1, 1,
      -1 },
    { "seed-run-completed-with-errors.json", -1, "run_child1p5o8i2u7y4", "FAILED", "report-section",
      "Cannot read properties of undefined (reading 'rows')", NULL, 1, 1, -1 },
    { "seed-run-completed.json", -1, "run_compl2w7e4r9t6y3", "COMPLETED", "nightly-report", NULL, NULL, 1, 1,
      -1 },
    { "seed-run-crashed.json", -1, "run_crash7x2m9q4w1z8", "CRASHED", "render-video",
      "Process killed: out of memory (exit 137)", NULL, 1, 1, -1 },
    { "seed-run-delayed.json", -1, "run_delay8h1j4k7l0z3", "DELAYED", "trial-reminder", NULL, NULL, 0, 0,
      -1 },
    { "seed-run-executing.json", -1, "run_execu8d3f6g1h9j2", "EXECUTING", "send-invoice", NULL, NULL, 0, 1,
      -1 },
    { "seed-run-expired.json", -1, "run_expir4m7n0b3v6c9", "EXPIRED", "send-invoice", NULL, NULL, 0, 0, -1 },
    { "seed-run-failed-to-run.json", -1, "run_norun6z1x8c3v5b0", "FAILED_TO_RUN", "brand-new-task", NULL,
      NULL, 0, 0, -1 },
    { "seed-run-reattempting.json", -1, "run_retry5b9n2c7x4m1", "REATTEMPTING", "send-invoice",
      "SMTP 421 try again later", NULL, 2, 2, -1 },
    { "seed-run-timed-out.json", -1, "run_tmout3k8p5r2v6y1", "TIMED_OUT", "sync-ledger",
      "maxDuration of 300s exceeded", NULL, 1, 1, -1 },
    { "seed-run-waiting-for-deploy.json", -1, "run_wdply1a4s7d0f3g6", "PENDING_VERSION", "brand-new-task",
      NULL, NULL, 0, 0, -1 },
    { "retrieve-run-completed.json", -1, "run_cmf7k2h5t000408l4q7r8s9t0", "COMPLETED", "nightly-report", NULL,
      NULL, 0, 0, 1 },
    { "retrieve-run-crashed.json", -1, NULL, "CRASHED", "render-video", NULL, "TASK_PROCESS_OOM_KILLED", 0, 0,
      1 },
    { "retrieve-run-failed-child-presigned.json", -1, "run_cmf7k2h9y000608l4y5z6a7b8", "FAILED",
      "report-section", "Cannot read properties of undefined (reading 'rows')", NULL, 0, 0, 3 },
    { "retrieve-run-reattempting-legacy.json", -1, "run_p4omhh45hgxxnq1re6ovy", "REATTEMPTING",
      "send-invoice", "SMTP 421 try again later", NULL, 1, 1, 1 },
    { "retrieve-run-retrying-executing.json", -1, NULL, "EXECUTING", "send-invoice", NULL, NULL, 0, 0, 2 },
    { "retrieve-run-retrying-queued.json", -1, NULL, "QUEUED", "send-invoice", NULL, NULL, 0, 0, 1 },
    { "retrieve-run-timed-out.json", -1, NULL, "TIMED_OUT", "sync-ledger",
      "trigger.dev internal error (MAX_DURATION_EXCEEDED)", "MAX_DURATION_EXCEEDED", 0, 0, 1 },
    { "list-runs-page1.json", 0, "run_cmf7k2q9x000008l4a1b2c3d4", "CRASHED", "render-video", NULL, NULL, -1,
      -1, -1 },
    { "list-runs-page1.json", 1, "run_cmf7k2p4w000108l4e5f6g7h8", "TIMED_OUT", "sync-ledger", NULL, NULL, -1,
      -1, -1 },
    { "list-runs-page1.json", 2, "run_cmf7k2n1v000208l4i9j0k1l2", "EXECUTING", "send-invoice", NULL, NULL, -1,
      -1, -1 },
    { "list-runs-page2.json", 0, "run_cmf7k2k8u000308l4m3n4o5p6", "EXPIRED", "send-invoice", NULL, NULL, -1,
      -1, -1 },
    { "list-runs-page2.json", 1, "run_cmf7k2h5t000408l4q7r8s9t0", "COMPLETED", "nightly-report", NULL, NULL,
      -1, -1, -1 },
    { "list-runs-page2.json", 2, "run_cmf7k2e2s000508l4u1v2w3x4", "PENDING_VERSION", "brand-new-task", NULL,
      NULL, -1, -1, -1 },
};

static struct json fixture_object(struct arena *a, const struct fixture *f)
{
    struct json root = load(a, f->file);
    return f->item < 0 ? root : json_at(json_get_c(root, "data"), (size_t)f->item);
}

static void every_fixture_decodes(void **state)
{
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(fixtures); i++) {
        const struct fixture *f = &fixtures[i];
        struct run r = decode(&a, fixture_object(&a, f));
        if (f->id) check_str(r.id, f->id);
        check_str(r.task, f->task);
        assert_string_equal(run_state_name(r.state), f->state);
        if (f->error) check_str(r.error.message, f->error);
        if (f->code) check_str(r.error.code, f->code);
        assert_int_equal(r.attempts_finished, f->finished);
        assert_int_equal(r.attempts_listed, f->listed);
        assert_int_equal(r.attempt_count, f->count);
        assert_true(r.present & RUN_HAS_CREATED);
        assert_true(r.present & RUN_HAS_STATE);
        assert_true(r.present & RUN_HAS_TEST);
        assert_true(r.present & RUN_HAS_TAGS);
        check_str(r.kind, "run");
        arena_reset(&a);
    }
    arena_fini(&a);
}

static void the_fields_of_the_shapes_are_read(void **state)
{
    struct arena a = { 0 };
    struct run r;
    (void)state;
    r = decode(&a, json_at(json_get_c(load(&a, "list-runs-page1.json"), "data"), 0));
    check_str(r.env, "prod");
    check_str(r.region, "us-east-1");
    check_str(r.version, "20260503.1");
    check_str(r.tags[0], "org_northwind");
    assert_int_equal(r.tag_count, 2);
    assert_int_equal(r.duration_ms, 98211);
    assert_true(r.cost_cents > 0.0411 && r.cost_cents < 0.0413);
    assert_int_equal(r.created_ms, 1777803300120);
    assert_int_equal(r.updated_ms, 1777803401377);
    assert_int_equal(r.started_ms, 1777803302004);
    assert_int_equal(r.finished_ms, 1777803401377);
    assert_int_equal(r.delayed_ms, RUN_TIME_NONE);
    check_str(json_str(json_get_c(r.metadata, "stage")), "encode");
    r = decode(&a, load(&a, "retrieve-run-completed.json"));
    check_str(r.schedule, "sched_7gq2m4n6p8r1s3t5u7v9w");
    r = decode(&a, load(&a, "retrieve-run-failed-child-presigned.json"));
    check_str(r.batch, "batch_cmf7k2h8x000508l4c9d0e1f2");
    check_str(r.root, "run_cmf7k2h5t000408l4q7r8s9t0");
    check_str(r.parent, "run_cmf7k2h5t000408l4q7r8s9t0");
    check_str(r.error.name, "TypeError");
    assert_true(str_starts(r.error.stack, STR("TypeError: Cannot")));
    r = decode(&a, load(&a, "seed-run-completed-with-errors.json"));
    check_str(r.root, "run_compl2w7e4r9t6y3");
    check_str(r.spelling, "COMPLETED_WITH_ERRORS");
    r = decode(&a, load(&a, "seed-run-reattempting.json"));
    assert_int_equal(run_attempt_start(&r, 1), 1777802971000);
    assert_int_equal(run_attempt_start(&r, 2), 1777803065000);
    assert_int_equal(run_attempt_start(&r, 3), RUN_TIME_NONE);
    assert_int_equal(run_attempt_start(&r, 0), RUN_TIME_NONE);
    r = decode(&a, json_path(load(&a, "webhook-alert-run-failed-timed-out.json"),
                             (struct str[]){ STR("object"), STR("run") }, 2));
    check_str(r.error.code, "MAX_DURATION_EXCEEDED");
    check_str(r.machine, "small-1x");
    assert_int_equal(r.finished_ms, 1777803301913);
    assert_true(str_starts(r.dashboard_url, STR("https://")));
    arena_fini(&a);
}

/* --- single members ---------------------------------------------------------------------------------- */

static void null_and_absent_are_alike(void **state)
{
    static const char *const texts[] = {
        "{'id':'run_1','status':'QUEUED'}",
        "{'id':'run_1','status':'QUEUED','taskIdentifier':null,'version':null,"
        "'createdAt':null,'updatedAt':null,"
        "'startedAt':null,'finishedAt':null,'delayedUntil':null,'isTest':null,'tags':null,'metadata':null,"
        "'relatedRuns':null,'attempts':null,'attemptCount':null,'attempt':null,'error':null,'schedule':null,"
        "'batchId':null,'queue':null,'machine':null,'region':null,'env':null,"
        "'project':null,'durationMs':null,"
        "'costInCents':null,'payload':null,'output':null,'dashboardUrl':null,'whatever':[1,{}]}",
        "{'id':'run_1','status':'QUEUED','relatedRuns':{'root':null,'children':[]},"
        "'env':{'id':'x'},'error':{}}",
    };
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct run r = decode_text(&a, texts[i]);
        assert_int_equal(r.present, RUN_HAS_STATE);
        check_str(write_run(&a, &r),
                  "{'id':'run_1','status':'QUEUED','kind':'run','present':1048576}");
    }
    arena_fini(&a);
}

static void wrong_types_are_named(void **state)
{
    static const struct {
        const char *member, *message;
    } rows[] = {
        { "'taskIdentifier':5", "taskIdentifier must be text or an object, not a number" },
        { "'task':{'id':5}", "task.id must be text, not a number" },
        { "'version':[]", "version must be text or an object, not a list" },
        { "'queue':true", "queue must be text or an object, not true or false" },
        { "'queue':{'name':1}", "queue.name must be text, not a number" },
        { "'machine':{'preset':1}", "machine.preset must be text, not a number" },
        { "'schedule':{'id':{}}", "schedule.id must be text, not an object" },
        { "'env':3", "env must be text or an object, not a number" },
        { "'project':{'ref':3}", "project.ref must be text, not a number" },
        { "'createdAt':1777802971000", "createdAt must be an RFC 3339 time as text, not a number" },
        { "'updatedAt':'yesterday'", "updatedAt is no RFC 3339 time" },
        { "'isTest':'no'", "isTest must be true or false, not text" },
        { "'tags':{}", "tags must be a list of texts, not an object" },
        { "'tags':['a',1]", "tags[1] must be text, not a number" },
        { "'metadata':'{}'", "metadata must be an object, not text" },
        { "'relatedRuns':[]", "relatedRuns must be an object, not a list" },
        { "'relatedRuns':{'root':7}", "relatedRuns.root must be text or an object, not a number" },
        { "'relatedRuns':{'parent':{'id':7}}", "relatedRuns.parent.id must be text, not a number" },
        { "'attempts':{}", "attempts must be a list, not an object" },
        { "'attempts':[{},5]", "attempts[1] must be an object, not a number" },
        { "'attempts':[{'startedAt':5}]",
          "attempts[0].startedAt must be an RFC 3339 time as text, not a number" },
        { "'attempts':[{'error':{'name':5}}]", "attempts[0].error.name must be text, not a number" },
        { "'attemptCount':'2'", "attemptCount must be a whole number, not text" },
        { "'attemptCount':1.5", "attemptCount must be a whole number from 0 to 1000000" },
        { "'attempt':-1", "attempt must be a whole number from 0 to 1000000" },
        { "'attempt':{'number':9999999}", "attempt.number must be a whole number from 0 to 1000000" },
        { "'error':7", "error must be text or an object, not a number" },
        { "'error':{'message':7}", "error.message must be text, not a number" },
        { "'error':{'code':[]}", "error.code must be text, not a list" },
        { "'durationMs':'5'", "durationMs must be a number, not text" },
        { "'costInCents':{}", "costInCents must be a number, not an object" },
        { "'dashboardUrl':5", "dashboardUrl must be text or an object, not a number" },
    };
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str text = str_printf(&a, "{'id':'run_1','status':'QUEUED',%s}", rows[i].member);
        struct run r;
        struct err err = { 0 };
        if (!run_decode(&a, parse_text(&a, text.p), &r, &err)) fail_msg("accepted: %s", rows[i].member);
        assert_int_equal(err.code, ERR_TYPE);
        assert_string_equal(err.msg, rows[i].message);
    }
    arena_fini(&a);
}

static void a_run_needs_id_and_status(void **state)
{
    static const struct {
        const char *text, *message; /* NULL: accepted */
    } rows[] = {
        { "[]", "a run must be an object, not a list" },
        { "{}", "id is missing: a run needs one" },
        { "{'id':null,'status':'QUEUED'}", "id is missing: a run needs one" },
        { "{'id':5,'status':'QUEUED'}", "id must be text, not a number" },
        { "{'id':'','status':'QUEUED'}", "id must have 1 to 128 characters" },
        { "{'id':'run 1','status':'QUEUED'}", "id must be printable ASCII without blanks" },
        { "{'id':'run_\\u0000','status':'QUEUED'}", "id must be printable ASCII without blanks" },
        { "{'id':'r\\u00fcn','status':'QUEUED'}", "id must be printable ASCII without blanks" },
        { "{'id':'run_1'}", "status is missing: a run needs one" },
        { "{'id':'run_1','status':5}", "status must be text, not a number" },
        { "{'id':'run_1','status':''}", "status must have 1 to 128 bytes" },
        { "{'id':'order/17:b','status':'HIBERNATING'}", NULL },
        { "{'id':'run_1','status':'COMPLETED_SUCCESSFULLY'}", NULL },
    };
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct run r;
        struct err err = { 0 };
        int rc = run_decode(&a, parse_text(&a, rows[i].text), &r, &err);
        assert_int_equal(rc, rows[i].message ? -1 : 0);
        if (rows[i].message) assert_string_equal(err.msg, rows[i].message);
    }
    arena_fini(&a);
}

static void an_unknown_state_keeps_its_text(void **state)
{
    struct arena a = { 0 };
    struct run r = decode_text(&a, "{'id':'run_1','status':'HIBERNATING'}"), back;
    struct err err = { 0 };
    (void)state;
    assert_int_equal(r.state, RUN_UNKNOWN);
    check_str(r.spelling, "HIBERNATING");
    assert_int_equal(run_restore(&a, parse(&a, write_run(&a, &r)), &back, &err), 0);
    check_str(back.spelling, "HIBERNATING");
    arena_fini(&a);
}

static void either_form_of_a_member_is_read(void **state)
{
    struct arena a = { 0 };
    struct run r = decode_text(
        &a,
        "{'id':'run_1','status':'FAILED','task':'alias','taskIdentifier':'sync',"
        "'queue':{'name':'task/sync'},'machine':{'preset':'small-1x'},'schedule':'sched_1',"
        "'batch':{'id':'batch_1'},'project':{'ref':'proj_x','slug':'y'},'env':{'slug':'stg'},"
        "'root':'run_r','parent':{'id':'run_p'},'attempt':{'number':3},'durationMs':12.6,"
        "'delayedUntil':'2026-05-03T10:00:00Z','test':true,'completedAt':'2026-05-03T12:00:00+02:00'}");
    (void)state;
    check_str(r.task, "sync");
    check_str(r.queue, "task/sync");
    check_str(r.machine, "small-1x");
    check_str(r.schedule, "sched_1");
    check_str(r.batch, "batch_1");
    check_str(r.project, "proj_x");
    check_str(r.env, "stg");
    check_str(r.root, "run_r");
    check_str(r.parent, "run_p");
    assert_int_equal(r.attempt, 3);
    assert_int_equal(r.duration_ms, 13);
    assert_int_equal(r.delayed_ms, 1777802400000);
    assert_int_equal(r.finished_ms, 1777802400000);
    assert_true(r.test);
    r = decode_text(
        &a,
        "{'id':'run_1','status':'FAILED','taskIdentifier':'sync','task':'alias','queue':'q'}");
    check_str(r.task, "sync");
    check_str(r.queue, "q");
    r = decode_text(
        &a, "{'id':'run_1','status':'FAILED','task':{'id':'alias'},'taskIdentifier':null}");
    check_str(r.task, "alias");
    arena_fini(&a);
}

static void tags_keep_order_and_lose_repetitions(void **state)
{
    static const struct {
        const char *tags, *want;
    } rows[] = {
        { "[]", "" },
        { "['b','a','b','A','a']", "b a A " },
        { "'single'", "single " },
        { "['1','2','3','4','5','6','7','8','9','10','11','12','13','14','15','16','17','3','1','18']",
          "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 " },
    };
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct run r = decode_text(
            &a, str_printf(&a, "{'id':'r','status':'FAILED','tags':%s}", rows[i].tags).p);
        struct strbuf joined;
        strbuf_init(&joined, 1000);
        for (size_t k = 0; k < r.tag_count; k++) {
            strbuf_str(&joined, r.tags[k]);
            strbuf_char(&joined, ' ');
        }
        check_str(strbuf_view(&joined), rows[i].want);
        assert_true(r.present & RUN_HAS_TAGS);
        strbuf_fini(&joined);
    }
    arena_fini(&a);
}

static void errors_of_every_shape_are_read(void **state)
{
    static const struct {
        const char *members, *name, *message, *code, *stack;
    } rows[] = {
        { "'error':'it broke'", NULL, "it broke", NULL, NULL },
        { "'error':{'name':'E','message':'m','stackTrace':'s'}", "E", "m", NULL, "s" },
        { "'error':{'name':'E','message':'m','stack':'s','code':500}", "E", "m", "500", "s" },
        { "'error':{'message':'trigger.dev internal error (POD_EVICTED)'}", NULL,
          "trigger.dev internal error (POD_EVICTED)", "POD_EVICTED", NULL },
        { "'error':{'message':'trigger.dev internal error (POD_EVICTED) x'}", NULL,
          "trigger.dev internal error (POD_EVICTED) x", NULL, NULL },
        { "'error':{'type':'BUILT_IN_ERROR','name':'E','message':'m','stackTrace':'s'}",
          "E", "m", NULL, "s" },
        { "'error':{'type':'STRING_ERROR','raw':'plain'}", NULL, "plain", NULL, NULL },
        { "'error':{'type':'CUSTOM_ERROR','raw':'{\\\"a\\\":1}'}", NULL, "{'a':1}", NULL, NULL },
        { "'error':{'type':'CUSTOM_ERROR','raw':{'a':1}}", NULL, "{'a':1}", NULL, NULL },
        { "'error':{'type':'INTERNAL_ERROR','code':'TASK_RUN_CRASHED'}", NULL, NULL,
          "TASK_RUN_CRASHED", NULL },
        { "'attempts':[{'status':'FAILED','completedAt':'2026-05-03T10:00:02Z','error':{'message':'second'}},"
          "{'status':'FAILED','completedAt':'2026-05-03T10:00:01Z','error':{'message':'first'}}]",
          NULL, "second", NULL, NULL },
        { "'attempts':[{'status':'FAILED','error':'one'},{'status':'FAILED','error':'two'},"
          "{'status':'EXECUTING','error':'three'}]",
          NULL, "two", NULL, NULL },
        { "'error':{'message':'run'},'attempts':[{'status':'FAILED','error':'attempt'}]",
          NULL, "run", NULL, NULL },
        { "'error':{},'attempts':[{'status':'FAILED','error':'attempt'}]", NULL, "attempt", NULL,
          NULL },
    };
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct run r =
            decode_text(&a, str_printf(&a, "{'id':'r','status':'FAILED',%s}", rows[i].members).p);
        check_str(r.error.name, rows[i].name);
        check_str(r.error.message, rows[i].message);
        check_str(r.error.code, rows[i].code);
        check_str(r.error.stack, rows[i].stack);
        assert_true(r.present & RUN_HAS_ERROR);
    }
    arena_fini(&a);
}

static void attempts_are_counted(void **state)
{
    struct arena a = { 0 };
    struct run r = decode_text(
        &a,
        "{'id':'r','status':'EXECUTING','attempts':["
        "{'status':'EXECUTING','startedAt':'2026-05-03T10:00:04Z','completedAt':null},"
        "{'status':'FAILED','startedAt':'2026-05-03T10:00:02Z'},"
        "{'status':'COMPLETED','startedAt':'2026-05-03T10:00:03Z'},{'status':'CANCELED'},"
        "{'completedAt':'2026-05-03T10:00:01Z','startedAt':'2026-05-03T10:00:01Z'},{'status':'PENDING'}]}");
    (void)state;
    assert_int_equal(r.attempts_finished, 4);
    assert_int_equal(r.attempts_listed, 6);
    assert_int_equal(run_attempt_start(&r, 1), 1777802401000);
    assert_int_equal(run_attempt_start(&r, 4), 1777802404000);
    assert_int_equal(run_attempt_start(&r, 5), RUN_TIME_NONE);
    assert_true(r.present & RUN_HAS_ATTEMPT);
    arena_fini(&a);
}

/* --- and stored -------------------------------------------------------------------------------------- */

static void what_is_written_is_restored(void **state)
{
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(fixtures); i++) {
        struct run r = decode(&a, fixture_object(&a, &fixtures[i])), back;
        struct err err = { 0 };
        struct str text = write_run(&a, &r);
        if (run_restore(&a, parse(&a, text), &back, &err)) fail_msg("%s", err.msg);
        check_str(write_run(&a, &back), text.p);
        check_str(back.id, str_dup_c(&a, r.id));
        check_str(back.spelling, str_dup_c(&a, r.spelling));
        assert_int_equal(back.state, r.state);
        assert_int_equal(back.present, r.present);
        assert_int_equal(back.updated_ms, r.updated_ms);
        assert_int_equal(back.tag_count, r.tag_count);
        assert_int_equal(back.attempts_finished, r.attempts_finished);
        assert_int_equal(back.attempt_start_count, r.attempt_start_count);
        assert_true(back.cost_cents >= r.cost_cents && back.cost_cents <= r.cost_cents);
        arena_reset(&a);
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fixture_decodes),
        cmocka_unit_test(the_fields_of_the_shapes_are_read),
        cmocka_unit_test(null_and_absent_are_alike),
        cmocka_unit_test(wrong_types_are_named),
        cmocka_unit_test(a_run_needs_id_and_status),
        cmocka_unit_test(an_unknown_state_keeps_its_text),
        cmocka_unit_test(either_form_of_a_member_is_read),
        cmocka_unit_test(tags_keep_order_and_lose_repetitions),
        cmocka_unit_test(errors_of_every_shape_are_read),
        cmocka_unit_test(attempts_are_counted),
        cmocka_unit_test(what_is_written_is_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
