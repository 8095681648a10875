/* Trigger.dev's alerts: signatures, every type and version, what is refused, what is only kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/timefmt.h"
#include "source/trigger_webhook.h"

#define COUNT_OF(t) (sizeof(t) / sizeof *(t))
#define FIXTURES "tests/fixtures/trigger-dev/"
#define CREATED "'created':'2026-05-03T10:00:00.000Z'"
#define ALERT(type, object) "{'id':'a'," CREATED ",'webhookVersion':'v1','type':'" type "','object':" object "}"
#define RUN(more) "{'id':'run_1','status':'CRASHED'" more "}"
#define PLACE "'environment':{'id':'e','type':'PRODUCTION','slug':'prod'},'organization':{'id':'o'},'project':{'ref':'proj_x'}"

static const struct config_source plain = { .type = SOURCE_TRIGGER_WEBHOOK };

struct outcome {
    struct arena arena;
    struct source_batch batch;
    enum source_result result;
    struct err err;
    const struct run *run; /* NULL: none came of it */
};

static int64_t moment(const char *text)
{
    int64_t ms = 0;
    assert_true(time_parse(str_c(text), &ms));
    return ms;
}

static void decode_at(struct outcome *o, const struct config_source *source, struct str body, const char *now)
{
    struct arena kept = o->arena;
    *o = (struct outcome){ .arena = kept };
    o->result = source_trigger_decode(&o->arena, source, body, moment(now), &o->batch, &o->err);
    o->run = o->batch.report_count ? &o->batch.reports[0].run : NULL;
}

/* JSON with ' for ". */
static void decode(struct outcome *o, const char *text)
{
    struct str body;
    *o = (struct outcome){ 0 };
    body = str_dup(&o->arena, str_c(text));
    for (size_t i = 0; i < body.n; i++)
        if (body.p[i] == '\'') ((char *)(uintptr_t)body.p)[i] = '"';
    decode_at(o, &plain, body, "2026-05-03T10:00:01Z");
}

static void decode_fixture(struct outcome *o, const char *name)
{
    struct str text = STR_NONE;
    struct err err = { 0 };
    *o = (struct outcome){ 0 };
    if (file_read(&o->arena, str_printf(&o->arena, FIXTURES "%s", name).p, 1 << 20, &text, &err)) fail_msg("%s", err.msg);
    decode_at(o, &plain, text, "2026-05-03T11:00:00Z");
}

static void done(struct outcome *o)
{
    arena_fini(&o->arena);
}

static void is(struct str got, const char *want)
{
    if (!str_eq_c(got, want)) fail_msg("got '" STR_FMT "', want '%s'", STR_ARG(got), want);
}

static void meta_is(const struct run *r, const char *path, const char *want)
{
    struct str parts[4], rest = str_c(path);
    size_t n = 0;
    while (n < 4 && str_split(&rest, '.', &parts[n])) n++;
    is(json_scalar(json_path(r->metadata, parts, n)), want);
}

/* --- signatures -------------------------------------------------------------------------------------- */
#define VECTOR_SECRET "whsec_test_51f0"
#define EMPTY_SIGNED "217e9a02292b887ed37eb9cc8a8b2658bc575f7477eb67847bd928c513b7e052"
#define CAFE                                                                                                                      \
    "{\"id\":\"cmf7k2w0a000a08l4hookcrash\",\"created\":\"2026-05-03T10:16:41.702Z\",\"webhookVersion\":\"v1\",\"type\":\"alert." \
    "run.failed\",\"object\":{\"note\":\"caf\xc3\xa9\"}}"
#define CAFE_SIGNED "3949853492a54f2a13dfbbf2b1cf14e7d2d44a2885fcf29f129538f945f7bd0b"

static bool right(const char *const *secrets, const char *body, const char *signature)
{
    struct secret list[4];
    struct config_source source = { .type = SOURCE_TRIGGER_WEBHOOK, .secrets = list };
    for (; *secrets; secrets++) list[source.secret_count++] = (struct secret){ .hidden = str_c(*secrets) };
    return trigger_signature_right(&source, str_c(body), str_c(signature));
}

static void signatures(void **state)
{
    static const char *const one[] = { VECTOR_SECRET, NULL }, *const other[] = { "whsec_test_51f1", NULL },
                             *const rotating[] = { "older", VECTOR_SECRET, "newer", NULL }, *const none[] = { NULL };
    (void)state;
    assert_true(right(one, "{}", EMPTY_SIGNED));
    assert_true(right(one, CAFE, CAFE_SIGNED));
    assert_true(right(rotating, CAFE, CAFE_SIGNED));
    assert_false(right(other, "{}", EMPTY_SIGNED));
    assert_false(right(none, "{}", EMPTY_SIGNED));
    assert_false(right(one, "{} ", EMPTY_SIGNED));
    assert_false(right(one, "{}", CAFE_SIGNED));
    assert_false(right(one, "{}", "sha256=" EMPTY_SIGNED));
    assert_false(right(one, "{}", "217E9A02292B887ED37EB9CC8A8B2658BC575F7477EB67847BD928C513B7E052"));
    assert_false(right(one, "{}", EMPTY_SIGNED "0"));
    assert_false(right(one, "{}", " " EMPTY_SIGNED));
    assert_false(right(one, "{}", ""));
}

static void shapes_of_signatures(void **state)
{
    (void)state;
    assert_true(trigger_signature_shaped(STR(EMPTY_SIGNED)));
    assert_true(trigger_signature_shaped(STR("0000000000000000000000000000000000000000000000000000000000000000")));
    assert_false(trigger_signature_shaped(STR("000000000000000000000000000000000000000000000000000000000000000")));
    assert_false(trigger_signature_shaped(STR("000000000000000000000000000000000000000000000000000000000000000g")));
    assert_false(trigger_signature_shaped(STR("00000000000000000000000000000000000000000000000000000000000000 0")));
    assert_false(trigger_signature_shaped(STR_NONE));
}

/* --- runs ---------------------------------------------------------------------------------------------- */
static void a_crash(void **state)
{
    struct outcome o;
    (void)state;
    decode_fixture(&o, "webhook-alert-run-failed-crashed-oom.json");
    assert_int_equal(o.result, SOURCE_DECODED);
    is(o.run->id, "run_cmf7k2q9x000008l4a1b2c3d4");
    is(o.run->kind, "run");
    is(o.run->task, "render-video");
    is(o.run->version, "20260503.1");
    is(o.run->machine, "small-2x");
    is(o.run->env, "prod");
    is(o.run->project, "default"); /* the webhook's own is not believed */
    assert_int_equal(o.run->state, RUN_CRASHED);
    assert_int_equal(o.run->tag_count, 2);
    is(o.run->tags[1], "user_8841");
    is(o.run->error.code, "TASK_PROCESS_OOM_KILLED");
    is(o.run->error.message, "Your task ran out of memory. Try increasing the machine specs.");
    assert_true(str_ends(o.run->dashboard_url, STR("/runs/run_cmf7k2q9x000008l4a1b2c3d4")));
    assert_int_equal(o.run->created_ms, moment("2026-05-03T10:15:00.120Z"));
    assert_int_equal(o.run->started_ms, moment("2026-05-03T10:15:02.004Z"));
    assert_int_equal(o.run->finished_ms, moment("2026-05-03T10:16:41.377Z"));
    assert_int_equal(o.run->updated_ms, RUN_TIME_NONE);
    assert_false(o.run->test);
    assert_int_equal(o.run->present, RUN_HAS_STATE | RUN_HAS_TASK | RUN_HAS_VERSION | RUN_HAS_MACHINE | RUN_HAS_TAGS | RUN_HAS_TEST |
                                         RUN_HAS_CREATED | RUN_HAS_STARTED | RUN_HAS_FINISHED | RUN_HAS_ERROR);
    done(&o);
}

static void other_runs(void **state)
{
    struct outcome o;
    (void)state;
    decode_fixture(&o, "webhook-alert-run-failed-timed-out.json");
    assert_int_equal(o.run->state, RUN_TIMED_OUT);
    is(o.run->error.code, "MAX_DURATION_EXCEEDED");
    done(&o);
    decode_fixture(&o, "webhook-alert-run-failed-builtin-error.json");
    assert_int_equal(o.run->state, RUN_FAILED);
    assert_true(o.run->present & RUN_HAS_STATE);
    is(o.run->error.name, "TypeError");
    assert_true(str_starts(o.run->error.stack, STR("TypeError: Cannot")));
    done(&o);
}

static void what_is_unknown_is_absent(void **state)
{
    struct outcome o;
    (void)state;
    decode(&o, ALERT("alert.run.failed", "{'task':{'id':'t','version':'Unknown'},'run':" RUN(",'machine':'Unknown'") "," PLACE "}"));
    assert_int_equal(o.result, SOURCE_DECODED);
    assert_int_equal(o.run->present, RUN_HAS_STATE | RUN_HAS_TASK);
    assert_true(str_absent(o.run->version) && str_absent(o.run->machine));
    assert_int_equal(o.run->updated_ms, moment("2026-05-03T10:00:00Z")); /* it never ran: when the alert was made */
    done(&o);
}

/* Newer servers may have names for failures that this version has not. */
static void a_failure_without_a_name_known(void **state)
{
    struct outcome o;
    (void)state;
    decode(&o, ALERT("alert.run.failed", "{'run':{'id':'run_1','status':'EXPLODED'}}"));
    assert_int_equal(o.run->state, RUN_FAILED);
    assert_false(o.run->present & RUN_HAS_STATE);
    is(o.run->spelling, "EXPLODED");
    is(o.run->env, "default");
    done(&o);
}

static void a_run_without_envelope(void **state)
{
    struct outcome o;
    (void)state;
    decode_fixture(&o, "webhook-legacy-v1-run-failed.json");
    assert_int_equal(o.result, SOURCE_DECODED);
    is(o.run->id, "run_cmf7k2p4w000108l4e5f6g7h8");
    is(o.run->task, "sync-ledger");
    is(o.run->env, "prod");
    is(o.run->spelling, "failed");
    is(o.run->error.code, "MAX_DURATION_EXCEEDED");
    assert_int_equal(o.run->state, RUN_FAILED);
    assert_int_equal(o.run->present, RUN_HAS_TASK | RUN_HAS_TEST | RUN_HAS_CREATED | RUN_HAS_ERROR); /* no state, no tags */
    done(&o);
}

/* --- deployments --------------------------------------------------------------------------------------- */
static void a_deployment_that_failed(void **state)
{
    struct outcome o;
    (void)state;
    decode_fixture(&o, "webhook-alert-deployment-failed.json");
    assert_int_equal(o.result, SOURCE_DECODED);
    is(o.run->kind, "deployment");
    is(o.run->id, "deployment_9a1s2d3f4g5h6j7k8m9nb");
    is(o.run->version, "20260503.1");
    is(o.run->env, "prod");
    is(o.run->error.message, "Failed to index tasks");
    assert_int_equal(o.run->state, RUN_FAILED);
    assert_int_equal(o.run->finished_ms, moment("2026-05-03T07:40:01.777Z"));
    assert_int_equal(o.run->present, RUN_HAS_STATE | RUN_HAS_VERSION | RUN_HAS_FINISHED | RUN_HAS_ERROR | RUN_HAS_METADATA);
    meta_is(o.run, "shortCode", "p3w8z1vt");
    meta_is(o.run, "stderr", "Could not resolve \"./missing-module\"");
    done(&o);
}

static void a_deployment_that_succeeded(void **state)
{
    struct outcome o;
    (void)state;
    decode_fixture(&o, "webhook-alert-deployment-success.json");
    assert_int_equal(o.run->state, RUN_COMPLETED);
    is(o.run->spelling, "DEPLOYED");
    assert_int_equal(o.run->finished_ms, moment("2026-05-03T08:01:12.310Z"));
    meta_is(o.run, "git.branch", "main");
    meta_is(o.run, "git.pullRequestNumber", "412");
    meta_is(o.run, "tasks.1", "nightly-report");
    assert_false(o.run->present & (RUN_HAS_ERROR | RUN_HAS_TASK));
    done(&o);
}

#define DEPLOYMENT(more) "'deployment':{'id':'deployment_1','version':'7'" more "}"
static void states_of_deployments(void **state)
{
    static const struct { const char *body, *spelling; enum run_state want; } rows[] = {
        { ALERT("alert.deployment.failed", "{" DEPLOYMENT(",'status':'TIMED_OUT'") "}"), "TIMED_OUT", RUN_TIMED_OUT },
        { ALERT("alert.deployment.failed", "{" DEPLOYMENT(",'status':'DEPLOYED'") "}"), "DEPLOYED", RUN_FAILED }, /* the type decides */
        { ALERT("alert.deployment.failed", "{" DEPLOYMENT("") "}"), "FAILED", RUN_FAILED },
        { ALERT("alert.deployment.success", "{" DEPLOYMENT("") "}"), "COMPLETED", RUN_COMPLETED },
        { "{" DEPLOYMENT(",'status':'FAILED'") "," PLACE ",'error':{'message':'no'}}", "FAILED", RUN_FAILED },
        { "{" DEPLOYMENT(",'failedAt':'2026-05-03T10:00:00Z'") "," PLACE "}", "FAILED", RUN_FAILED },
        { "{" DEPLOYMENT(",'deployedAt':'2026-05-03T10:00:00Z'") "," PLACE ",'tasks':[]}", "COMPLETED", RUN_COMPLETED },
    };
    struct outcome o;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        decode(&o, rows[i].body);
        if (o.result != SOURCE_DECODED) fail_msg("%s: %s", rows[i].body, o.err.msg);
        assert_int_equal(o.run->state, rows[i].want);
        is(o.run->spelling, rows[i].spelling);
        is(o.run->kind, "deployment");
        done(&o);
    }
}

/* --- error groups -------------------------------------------------------------------------------------- */
static void an_error_group(void **state)
{
    struct outcome o;
    (void)state;
    decode_fixture(&o, "webhook-alert-error-group.json");
    assert_int_equal(o.result, SOURCE_DECODED);
    is(o.run->kind, "error");
    is(o.run->id, "error_8f3b2a1c9d4e5f60_regression_1777803524230");
    is(o.run->task, "report-section");
    is(o.run->env, "prod");
    is(o.run->error.name, "TypeError");
    assert_int_equal(o.run->state, RUN_FAILED);
    assert_int_equal(o.run->finished_ms, moment("2026-05-03T10:18:44.230Z"));
    meta_is(o.run, "classification", "regression");
    meta_is(o.run, "occurrenceCount", "37");
    meta_is(o.run, "fingerprint", "8f3b2a1c9d4e5f60");
    meta_is(o.run, "firstSeen", "2026-04-28T06:12:09.004Z");
    assert_true(str_ends(o.run->dashboard_url, STR("/errors/8f3b2a1c9d4e5f60")));
    done(&o);
}

#define GROUP(id, how, print, seen)                                                                                                  \
    "{'id':'" id "'," CREATED ",'webhookVersion':'2025-01-01','type':'alert.error','object':{'classification':'" how "','error':"     \
    "{'fingerprint':'" print "','type':'E','message':'m','lastSeen':'2026-05-03T10:00:0" seen "Z','taskIdentifier':'t'}}}"
static void what_an_error_group_is_known_by(void **state)
{
    struct outcome first, o;
    const char *bodies[] = { GROUP("b", "new_issue", "ff", "0"), GROUP("a", "regression", "ff", "0"), GROUP("a", "new_issue", "fe", "0"),
                             GROUP("a", "new_issue", "ff", "1") };
    (void)state;
    decode(&first, GROUP("a", "new_issue", "ff", "0"));
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        decode(&o, bodies[i]);
        assert_int_equal(o.result, SOURCE_DECODED);
        assert_int_equal(str_eq(o.run->id, first.run->id), i == 0); /* the alert's id changes with each try */
        done(&o);
    }
    decode(&o, GROUP("a", "new_issue", "with blanks, and more than fits into an id: 0123456789012345678901234567890123456789012345678901234567890123456789", "0"));
    assert_true(run_id_usable(o.run->id));
    done(&o);
    done(&first);
}

/* --- what is refused, what is kept --------------------------------------------------------------------- */
static void what_is_refused(void **state)
{
    static const struct { const char *body, *why; enum source_result want; } rows[] = {
        { "{", NULL, SOURCE_NOT_JSON },
        { "{'id':'run_1','status':'CRASHED'}", "a source of type webhook", SOURCE_NOTHING },
        { "{'run':{'id':'run_1','status':'CRASHED'}}", "a source of type webhook", SOURCE_NOTHING },
        { "[{'id':'run_1','status':'CRASHED'}]", "a source of type webhook", SOURCE_NOTHING },
        { "{'data':[{'id':'run_1','status':'CRASHED'}]}", "a source of type webhook", SOURCE_NOTHING },
        { "{'hello':1}", "it has no type", SOURCE_NOTHING },
        { "{'object':{},'id':'x'}", "it has no type", SOURCE_NOTHING },
        { ALERT("alert.run.failed", "{}"), "a run must be an object, not nothing", SOURCE_NOTHING },
        { ALERT("alert.run.failed", "7"), "a run must be an object, not nothing", SOURCE_NOTHING },
        { ALERT("alert.run.failed", "{'run':{'status':'CRASHED'}}"), "id is missing", SOURCE_NOTHING },
        { ALERT("alert.run.failed", "{'run':{'id':'run_1'}}"), "status is missing", SOURCE_NOTHING },
        { ALERT("alert.run.failed", "{'run':" RUN("") ",'task':{'id':7}}"), "task.id must be text", SOURCE_NOTHING },
        { ALERT("alert.run.failed", "{'run':" RUN("") ",'environment':{'slug':7}}"), "environment.slug must be text", SOURCE_NOTHING },
        { ALERT("alert.run.failed", "{'run':" RUN(",'error':7") "}"), "error must be text or an object", SOURCE_NOTHING },
        { ALERT("alert.deployment.failed", "{}"), "deployment.id must be", SOURCE_NOTHING },
        { ALERT("alert.deployment.failed", "{" DEPLOYMENT(",'failedAt':'noon'") "}"), "deployment.failedAt is no RFC 3339 time", SOURCE_NOTHING },
        { ALERT("alert.error", "{}"), "error.fingerprint is missing", SOURCE_NOTHING },
        { ALERT("alert.error", "{'error':{'fingerprint':'f'}}"), "error.lastSeen is missing", SOURCE_NOTHING },
        { "{'webhookVersion':'v1','type':'alert.run.failed','object':{'run':" RUN("") "}}", "created is missing", SOURCE_NOTHING },
        { "{'webhookVersion':'v1','type':'alert.run.failed','created':'x','object':{'run':" RUN("") "}}", "created is no RFC 3339 time",
          SOURCE_NOTHING },
    };
    struct outcome o;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        decode(&o, rows[i].body);
        if (o.result != rows[i].want || o.run) fail_msg("%s: result %d", rows[i].body, (int)o.result);
        if (rows[i].why && !strstr(o.err.msg, rows[i].why)) fail_msg("%s: %s", rows[i].body, o.err.msg);
        done(&o);
    }
}

static void types_that_are_not_known(void **state)
{
    struct outcome o;
    (void)state;
    decode_fixture(&o, "webhook-alert-dashboard-agent-watch.json");
    assert_int_equal(o.result, SOURCE_UNKNOWN);
    assert_null(o.run);
    assert_int_equal(o.batch.fault_count, 1);
    assert_non_null(strstr(o.err.msg, "alert.dashboard_agent_watch"));
    is(o.batch.faults[0].text, o.err.msg);
    done(&o);
    decode(&o, ALERT("alert.moon", "'full'"));
    assert_int_equal(o.result, SOURCE_UNKNOWN);
    done(&o);
}

static void replays(void **state)
{
    struct config_source open = { .type = SOURCE_TRIGGER_WEBHOOK, .replays = true };
    struct outcome o;
    struct str body;
    (void)state;
    decode(&o, ALERT("alert.run.failed", "{'run':" RUN("") "}"));
    body = str_dup(&o.arena, STR("{\"id\":\"a\",\"created\":\"2026-05-03T10:00:00.000Z\",\"type\":\"alert.run.failed\",\"object\":{\"run\":{\"id\":\"run_1\",\"status\":\"FAILED\"}}}"));
    decode_at(&o, &plain, body, "2026-05-04T10:00:00Z");
    assert_int_equal(o.result, SOURCE_DECODED); /* a day to the millisecond */
    decode_at(&o, &plain, body, "2026-05-04T10:00:00.001Z");
    assert_int_equal(o.result, SOURCE_NOTHING);
    assert_non_null(strstr(o.err.msg, "replays: true"));
    assert_non_null(strstr(o.err.msg, "24h"));
    decode_at(&o, &open, body, "2027-05-04T10:00:00Z");
    assert_int_equal(o.result, SOURCE_DECODED);
    decode_at(&o, &plain, body, "2020-01-01T00:00:00Z"); /* from the future: whose clock is wrong? */
    assert_int_equal(o.result, SOURCE_DECODED);
    done(&o);
}

static void the_source_settles_where_it_was(void **state)
{
    struct config_source mine = { .type = SOURCE_TRIGGER_WEBHOOK, .project = STR("web"), .env = STR("stage") };
    struct outcome o;
    (void)state;
    decode(&o, ALERT("alert.run.failed", "{'run':" RUN("") "," PLACE "}"));
    is(o.run->env, "prod");
    decode_at(&o, &mine, str_dup(&o.arena, STR("{\"organization\":{},\"environment\":{\"slug\":\"prod\"},\"run\":{\"id\":\"run_1\"}}")), "2026-05-03T10:00:00Z");
    is(o.run->env, "stage");
    is(o.run->project, "web");
    done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures),
        cmocka_unit_test(shapes_of_signatures),
        cmocka_unit_test(a_crash),
        cmocka_unit_test(other_runs),
        cmocka_unit_test(what_is_unknown_is_absent),
        cmocka_unit_test(a_failure_without_a_name_known),
        cmocka_unit_test(a_run_without_envelope),
        cmocka_unit_test(a_deployment_that_failed),
        cmocka_unit_test(a_deployment_that_succeeded),
        cmocka_unit_test(states_of_deployments),
        cmocka_unit_test(an_error_group),
        cmocka_unit_test(what_an_error_group_is_known_by),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(types_that_are_not_known),
        cmocka_unit_test(replays),
        cmocka_unit_test(the_source_settles_where_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
