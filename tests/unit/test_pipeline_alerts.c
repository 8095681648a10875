/* Trigger.dev's alerts through the pipeline: what a failure without a name hits, what the fuller report adds, and what
 * deployments and error groups do to rules that name them, and to those that do not. */
#include "pipeline_testing.h"
#include "source/trigger_webhook.h"

#define HOOK "destinations: {hook: {type: webhook, url: \"http://127.0.0.1:PORT/hook\"}}\n"
#define RULE(name, when) "  " name ": {when: " when ", notify: hook, linger: 0s, limit: 1000 per 1s, message: {title: \"<" name "> {{status}}\"}}\n"
#define PLACE "'organization':{'id':'o'},'environment':{'slug':'prod'},'project':{'ref':'p'}"
#define BARE(run) "{'task':{'id':'charge'},'run':{'id':'" run "','isTest':false}," PLACE ",'error':{'message':'boom'}}"
#define ALERT(type, object) "{'id':'a','created':'2026-09-21T14:13:00Z','webhookVersion':'v1','type':'" type "','object':{" object "," PLACE "}}"
#define FAILED_RUN(run, status) \
    ALERT("alert.run.failed", "'task':{'id':'charge'},'run':{'id':'" run "','status':'" status "','completedAt':'2026-09-21T14:12:59Z'}")
#define CRASHED(run) "{'id':'" run "','status':'CRASHED','taskIdentifier':'charge','env':'prod','finishedAt':'2026-09-21T14:12:59Z','metadata':{}}"
#define DEPLOYMENT(id, ok, at) \
    ALERT("alert.deployment." ok, "'deployment':{'id':'" id "','version':'20260921.1','shortCode':'k7','failedAt':'" at "','deployedAt':'" at "'}")
#define GROUP(task) \
    ALERT("alert.error", "'classification':'new_issue','error':{'fingerprint':'f1','type':'TypeError','message':'no rows'," \
                         "'lastSeen':'2026-09-21T14:12:00Z','occurrenceCount':3,'taskIdentifier':'" task "'}")

static struct asked *ask_alert(struct world *w, const char *json)
{
    struct asked *a = ask(w, PIPELINE_REPORTS);
    struct str body = str_dup(&a->arena, str_c(json));
    struct source_batch b;
    struct err err;
    for (size_t i = 0; i < body.n; i++)
        if (body.p[i] == '\'') ((char *)(uintptr_t)body.p)[i] = '"';
    a->r.config = config_ref(w->config);
    a->r.source = &w->config->sources[0];
    if (source_trigger_decode(&a->arena, a->r.source, body, T0, &b, &err) != SOURCE_DECODED) fail_msg("%s: %s", json, err.msg);
    a->r.reports = ARENA_NEW(&a->arena, struct pipeline_report);
    a->r.report_count = 1;
    a->r.reports->run = b.reports[0].run;
    return a;
}

/* Posts an alert; was it one that is known? */
static bool alert(struct world *w, const char *json)
{
    struct asked *a = answered(w, ask_alert(w, json));
    bool duplicate = a->duplicates[0];
    if (a->status != PIPELINE_DONE) fail_msg("%s: %s", json, a->err.msg);
    free(a);
    world_settle(w);
    return duplicate;
}

static void post_run(struct world *w, const char *json)
{
    posted(w, json);
    world_settle(w);
}

static size_t told(struct world *w, const char *text)
{
    return sink_count(w->sink, 204, text);
}

/* --- failed in some way ---------------------------------------------------------------------------------- */
static const char vague_rules[] = HOOK "rules:\n" RULE("class", "{status: failed}") RULE("ends", "{status: finished}") RULE("crashed", "{status: CRASHED}")
    RULE("failed", "{status: FAILED}") RULE("either", "{status: [FAILED, CRASHED]}") RULE("others", "{status: failed, not: {status: SYSTEM_FAILURE}}");

static void a_failure_without_a_name_hits_what_takes_every_failure(void **state)
{
    struct world *w = world_open(vague_rules);
    (void)state;
    assert_false(alert(w, BARE("run_1")));
    assert_int_equal(told(w, "<class>"), 1);
    assert_int_equal(told(w, "<ends>"), 1);
    assert_int_equal(told(w, "<others>"), 1);
    assert_int_equal(told(w, "<crashed>") + told(w, "<failed>") + told(w, "<either>"), 0);
    assert_true(alert(w, BARE("run_1")));
    world_close(w);
}

static void the_exact_state_is_a_hit_once(void **state)
{
    struct world *w = world_open(vague_rules);
    (void)state;
    alert(w, BARE("run_1"));
    post_run(w, CRASHED("run_1"));
    assert_int_equal(told(w, "<crashed>"), 1);
    assert_int_equal(told(w, "<either>"), 1);
    assert_int_equal(told(w, "<failed>"), 0);
    assert_int_equal(told(w, "incident.opened"), 5);
    assert_int_equal(told(w, "\"hits\":2"), 0);
    post_run(w, CRASHED("run_1"));
    assert_true(alert(w, BARE("run_1"))); /* and the poorer one is none again */
    assert_true(alert(w, FAILED_RUN("run_1", "CRASHED")));
    assert_int_equal(told(w, "incident.opened"), 5);
    world_close(w);
}

static void the_exact_state_may_be_failed(void **state)
{
    struct world *w = world_open(vague_rules);
    (void)state;
    alert(w, BARE("run_1"));
    assert_false(alert(w, FAILED_RUN("run_1", "FAILED")));
    assert_int_equal(told(w, "<failed>"), 1);
    assert_int_equal(told(w, "<either>"), 1);
    assert_int_equal(told(w, "<crashed>"), 0);
    assert_int_equal(told(w, "incident.opened"), 5);
    world_close(w);
}

/* The other way round: a vague report may bring what the exact one lacked, and is judged by the exact state. */
static void a_vague_report_of_an_exact_state(void **state)
{
    struct world *w = world_open(HOOK "rules:\n" RULE("boom", "{status: CRASHED, error.message: boom}") RULE("failed", "{status: FAILED, error.message: boom}"));
    (void)state;
    post_run(w, CRASHED("run_1"));
    assert_int_equal(told(w, "incident.opened"), 0);
    assert_false(alert(w, BARE("run_1")));
    assert_int_equal(told(w, "<boom> CRASHED"), 1);
    assert_int_equal(told(w, "incident.opened"), 1);
    world_close(w);
}

static void it_is_remembered_over_a_restart(void **state)
{
    struct world *w = world_open(vague_rules);
    (void)state;
    alert(w, BARE("run_1"));
    world_restart(w);
    assert_true(alert(w, BARE("run_1")));
    post_run(w, CRASHED("run_1"));
    assert_int_equal(told(w, "<crashed>"), 1);
    assert_int_equal(told(w, "incident.opened"), 5);
    world_close(w);
}

static void a_key_that_is_the_state(void **state)
{
    struct world *w = world_open(HOOK "rules: {r: {when: {status: failed}, by: status, notify: hook, limit: 1000 per 1s}}\n");
    (void)state;
    alert(w, BARE("run_1"));
    assert_int_equal(told(w, "status=(none)"), 1);
    world_close(w);
}

/* --- deployments and error groups ---------------------------------------------------------------------------- */
static const char kind_rules[] = HOOK "rules:\n  runs: {when: {status: failed}, notify: hook}\n  any-state: {when: {env: prod}, notify: hook}\n"
    "  deploys: {when: {kind: deployment, status: failed}, linger: 0s, notify: hook}\n  groups: {when: {kind: error}, by: [task, metadata.fingerprint], notify: hook}\n";

static void deployments_hit_rules_that_name_them(void **state)
{
    struct world *w = world_open(kind_rules);
    (void)state;
    assert_false(alert(w, DEPLOYMENT("deployment_1", "failed", "2026-09-21T14:10:00Z")));
    assert_true(alert(w, DEPLOYMENT("deployment_1", "failed", "2026-09-21T14:10:00Z")));
    assert_int_equal(told(w, "incident.opened"), 1);
    assert_int_equal(told(w, "Deployment 20260921.1 failed in prod"), 1);
    assert_int_equal(told(w, "(none)"), 0);
    assert_false(alert(w, DEPLOYMENT("deployment_0", "success", "2026-09-21T14:09:00Z"))); /* before it */
    assert_int_equal(told(w, "incident.resolved"), 0);
    assert_false(alert(w, DEPLOYMENT("deployment_2", "success", "2026-09-21T14:11:00Z")));
    assert_int_equal(told(w, "incident.resolved"), 1);
    world_close(w);
}

static void several_deployments_are_counted(void **state)
{
    struct world *w = world_open(HOOK "rules: {d: {when: {kind: deployment, status: failed}, by: env, at_least: 2, notify: hook}}\n");
    (void)state;
    alert(w, DEPLOYMENT("deployment_1", "failed", "2026-09-21T14:10:00Z"));
    assert_int_equal(told(w, "incident.opened"), 0);
    alert(w, DEPLOYMENT("deployment_2", "failed", "2026-09-21T14:11:00Z"));
    assert_int_equal(told(w, "2 deployments failed in prod"), 1);
    world_close(w);
}

static void error_groups_hit_rules_that_name_them(void **state)
{
    struct world *w = world_open(kind_rules);
    (void)state;
    assert_false(alert(w, GROUP("charge")));
    assert_true(alert(w, GROUP("charge")));
    assert_int_equal(told(w, "incident.opened"), 1);
    assert_int_equal(told(w, "Error group TypeError: no rows (new_issue) in task charge in prod"), 1);
    world_close(w);
}

static void runs_hit_none_of_them(void **state)
{
    struct world *w = world_open(kind_rules);
    (void)state;
    alert(w, FAILED_RUN("run_1", "TIMED_OUT"));
    assert_int_equal(told(w, "incident.opened"), 2);
    assert_int_equal(told(w, "\"rule\":\"runs\""), 1);
    assert_int_equal(told(w, "\"rule\":\"any-state\""), 1);
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_without_a_name_hits_what_takes_every_failure),
        cmocka_unit_test(the_exact_state_is_a_hit_once),
        cmocka_unit_test(the_exact_state_may_be_failed),
        cmocka_unit_test(a_vague_report_of_an_exact_state),
        cmocka_unit_test(it_is_remembered_over_a_restart),
        cmocka_unit_test(a_key_that_is_the_state),
        cmocka_unit_test(deployments_hit_rules_that_name_them),
        cmocka_unit_test(several_deployments_are_counted),
        cmocka_unit_test(error_groups_hit_rules_that_name_them),
        cmocka_unit_test(runs_hit_none_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
