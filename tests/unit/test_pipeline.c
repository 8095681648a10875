/* The pipeline as its callers see it: what they are answered, and what is in the store and at the receiver then. */
#include "pipeline_testing.h"

#define HOOK "destinations: {hook: {type: webhook, url: \"http://127.0.0.1:PORT/hook\"}}\n"
#define BY_RUN "rules: {fails: {when: {status: FAILED}, by: run, notify: hook, limit: 1000 per 1s}}\n"
#define FAILED(run) "{'id':'" run "','status':'FAILED','taskIdentifier':'charge','createdAt':'2026-09-21T12:53:00Z'," \
                    "'startedAt':'2026-09-21T12:53:10Z','updatedAt':'2026-09-21T14:13:10Z'}"
#define COMPLETED(run) "{'id':'" run "','status':'COMPLETED','taskIdentifier':'charge','updatedAt':'2026-09-21T14:13:10Z'}"

static bool has_event(struct world *w, uint64_t id)
{
    struct store_event e;
    struct arena a = { 0 };
    struct err err;
    int found = w->p->reader->ops->event(w->p->reader, &a, id, &e, &err);
    arena_fini(&a);
    return found == 1;
}

/* --- reports ------------------------------------------------------------------------------------------------------ */
static void reports_get_ids_that_are_stored(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    struct asked *a = post(w, "[" FAILED("run_a") "," COMPLETED("run_b") "," FAILED("run_a") "]");
    (void)state;
    assert_int_equal(a->status, PIPELINE_DONE);
    assert_int_equal(a->done, 1);
    assert_true(a->ids[0] != 0 && a->ids[1] > a->ids[0] && a->ids[2] == a->ids[0]);
    assert_true(!a->duplicates[0] && !a->duplicates[1] && a->duplicates[2]);
    assert_true(has_event(w, a->ids[0]) && has_event(w, a->ids[1]) && !has_event(w, a->ids[1] + 1));
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 204, "\"run\":\"run_a\""), 1);
    assert_int_equal(sink_count(w->sink, 0, "run_b"), 0);
    assert_int_equal(pipeline_stats(w->p).events_accepted, 2);
    assert_int_equal(pipeline_stats(w->p).events_duplicate, 1);
    free(a);
    world_close(w);
}

static void duplicate_gets_the_first_id_over_restarts(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    uint64_t unknown = posted(w, "{'id':'run_u','status':'PUZZLED','taskIdentifier':'t','updatedAt':'2026-09-21T14:13:10Z'}");
    uint64_t other = posted(w, "{'id':'run_u','status':'BEWILDERED','taskIdentifier':'t','updatedAt':'2026-09-21T14:13:20Z'}");
    uint64_t failed = posted(w, FAILED("run_a"));
    struct asked *a;
    (void)state;
    world_settle(w);
    world_restart(w);
    a = post(w, "[{'id':'run_u','status':'PUZZLED','taskIdentifier':'t','updatedAt':'2026-09-21T14:13:10Z'}," FAILED("run_a") ","
                "{'id':'run_u','status':'BEWILDERED','taskIdentifier':'t','updatedAt':'2026-09-21T14:13:20Z'}," COMPLETED("run_a") "]");
    assert_true(a->duplicates[0] && a->duplicates[1] && a->duplicates[2] && a->duplicates[3]);
    assert_true(a->ids[0] == unknown && a->ids[1] == failed && a->ids[2] == other && a->ids[3] == failed);
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 0, "run_a"), 1);
    free(a);
    world_close(w);
}

static void what_is_too_old_is_recorded_not_told(void **state)
{
    struct world *w = world_new(HOOK BY_RUN);
    uint64_t id;
    (void)state;
    w->config->sources[0].ignore_older_ms = 600000;
    world_start(w);
    id = posted(w, "{'id':'run_old','status':'FAILED','taskIdentifier':'t','finishedAt':'2026-09-21T10:00:00Z','updatedAt':'2026-09-21T10:00:00Z'}");
    assert_true(has_event(w, id));
    assert_int_equal(count_deliveries(w, -1), 0);
    assert_int_equal(posted(w, FAILED("run_new")) != 0, 1);
    assert_int_equal(count_deliveries(w, -1), 1);
    world_close(w);
}

static void rejected_bodies_are_kept_and_told_once(void **state)
{
    struct world *w = world_open(HOOK "operator: hook\n" BY_RUN);
    struct store_rejected rows[4];
    struct arena a = { 0 };
    struct err err;
    size_t n = 4;
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct asked *r = ask(w, PIPELINE_REJECTED);
        r->r.config = config_ref(w->config);
        r->r.source = &w->config->sources[0];
        r->r.rejected.reason = STR("no run in it");
        r->r.rejected.body = STR("{\"hello\":1}");
        assert_int_equal(outcome(w, r), PIPELINE_DONE);
    }
    assert_int_equal(w->p->reader->ops->rejected(w->p->reader, &a, 0, rows, 4, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_true(str_eq_c(rows[0].reason, "no run in it") && str_eq_c(rows[0].source, "push"));
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 204, "runbell.operator"), 1);
    arena_fini(&a);
    world_close(w);
}

/* --- commands ------------------------------------------------------------------------------------------------------ */
static void commands_change_incidents_or_say_that_there_is_none(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    uint64_t incident;
    (void)state;
    posted(w, FAILED("run_a"));
    incident = only_incident(w);
    assert_int_equal(outcome(w, ask_command(w, ENGINE_ACK, incident)), PIPELINE_DONE);
    assert_int_equal(state_of(w, incident), INCIDENT_ACKNOWLEDGED);
    assert_int_equal(outcome(w, ask_command(w, ENGINE_RESOLVE, incident)), PIPELINE_DONE);
    assert_int_equal(state_of(w, incident), INCIDENT_RESOLVED);
    assert_int_equal(outcome(w, ask_command(w, ENGINE_ACK, incident)), PIPELINE_NOT_FOUND);
    assert_int_equal(outcome(w, ask_command(w, ENGINE_RESOLVE, 12345)), PIPELINE_NOT_FOUND);
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 204, "incident.opened"), 1);
    assert_int_equal(sink_count(w->sink, 204, "incident.resolved"), 1);
    world_close(w);
}

static void drills_go_out(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    struct asked *a = answered(w, ask_drill(w, "hook"));
    char id[ID_SIZE];
    (void)state;
    assert_int_equal(a->status, PIPELINE_DONE);
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 204, "runbell.drill"), 1);
    assert_true(str_eq_c(id_format("dlv", a->ids[0], id), sink_last(w->sink).id));
    free(a);
    assert_int_equal(outcome(w, ask_drill(w, "nowhere")), PIPELINE_NOT_FOUND);
    world_close(w);
}

/* The engine and drills number deliveries apart from each other, at the same moment, too. */
static void drills_beside_messages(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    struct asked *all[6];
    (void)state;
    for (int i = 0; i < 6; i++) all[i] = i > 0 ? ask_drill(w, "hook") : ask_reports(w, "[" FAILED("run_a") "," FAILED("run_b") "]");
    for (int i = 0; i < 6; i++) submit(w, all[i]);
    while (!all[5]->done) pipeline_turn(w->p, 0);
    for (int i = 0; i < 6; i++) assert_int_equal(all[i]->status, PIPELINE_DONE);
    world_settle(w);
    assert_int_equal(count_deliveries(w, DELIVERY_DELIVERED), 7);
    for (int i = 0; i < 6; i++) free(all[i]);
    world_close(w);
}

/* --- sending again --------------------------------------------------------------------------------------------------- */
static enum pipeline_status redeliver(struct world *w, uint64_t delivery)
{
    struct asked *a = ask(w, PIPELINE_REDELIVER);
    a->r.redeliver = delivery;
    return outcome(w, a);
}

static void dead_letters_are_sent_again_under_their_id(void **state)
{
    struct world *w = world_open(HOOK "operator: hook\n" BY_RUN);
    struct store_delivery d[64];
    struct arena a = { 0 };
    (void)state;
    sink_mood(w->sink, 400, "");
    posted(w, FAILED("run_a"));
    world_settle(w); /* refused, then refused in its plain form */
    assert_int_equal(count_deliveries(w, DELIVERY_DEAD), 2); /* and what the operator should hear, too */
    sink_mood(w->sink, 204, "");
    assert_int_equal(deliveries(w, &a, DELIVERY_DEAD, d), 2);
    assert_int_equal(d[1].attempts, 2);
    assert_int_equal(redeliver(w, d[1].id), PIPELINE_DONE);
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 400, "incident.opened"), 2);
    assert_int_equal(sink_count(w->sink, 204, "incident.opened"), 1);
    assert_int_equal(count_deliveries(w, DELIVERY_DELIVERED), 1);
    assert_string_equal(w->sink->heard[0].id, sink_last(w->sink).id);
    assert_int_equal(redeliver(w, d[1].id), PIPELINE_FAILED); /* delivered: a second time would be a repeat */
    assert_int_equal(redeliver(w, d[1].id + 1), PIPELINE_NOT_FOUND);
    arena_fini(&a);
    world_close(w);
}

/* --- reload ------------------------------------------------------------------------------------------------------------ */
static void reload(struct world *w, const char *yaml)
{
    struct asked *a = ask_reload(w, yaml);
    config_unref(&w->config);
    w->config = config_ref(a->r.config);
    assert_int_equal(outcome(w, a), PIPELINE_DONE);
}

static void reload_brings_rules_and_destinations(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    (void)state;
    posted(w, FAILED("run_a"));
    reload(w, "destinations: {other: {type: webhook, url: \"http://127.0.0.1:PORT/other\"}}\n"
              "rules: {fails: {when: {status: FAILED}, by: run, notify: other}, all: {when: {status: COMPLETED}, by: run, notify: other}}\n");
    assert_true(pipeline_config(w->p) == w->config);
    config_unref(&(struct config *){ w->config }); /* the reference that was just given */
    posted(w, COMPLETED("run_b"));
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 204, "/other"), 1);
    assert_int_equal(count_deliveries(w, DELIVERY_DELIVERED) + count_deliveries(w, DELIVERY_DEAD), 2);
    assert_int_equal(pipeline_stats(w->p).reloads, 1);
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_get_ids_that_are_stored),
        cmocka_unit_test(duplicate_gets_the_first_id_over_restarts),
        cmocka_unit_test(what_is_too_old_is_recorded_not_told),
        cmocka_unit_test(rejected_bodies_are_kept_and_told_once),
        cmocka_unit_test(commands_change_incidents_or_say_that_there_is_none),
        cmocka_unit_test(drills_go_out),
        cmocka_unit_test(drills_beside_messages),
        cmocka_unit_test(dead_letters_are_sent_again_under_their_id),
        cmocka_unit_test(reload_brings_rules_and_destinations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
