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

/* --- memory ---------------------------------------------------------------------------------------------------------- */
static int given_back;

int malloc_trim(size_t pad) /* instead of the C library's */
{
    (void)pad;
    return ++given_back;
}

/* The first quiet after a rush is the moment for it; a single event makes it not worth while. */
static void memory_is_given_back_after_a_rush(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    (void)state;
    given_back = 0;
    posted(w, COMPLETED("run_a"));
    pipeline_turn(w->p, 0);
    assert_int_equal(given_back, 0);
    for (int i = 0; i < GIVE_BACK_COMMITS; i++) {
        char body[256];
        snprintf(body, sizeof body, COMPLETED("run_b%d"), i);
        posted(w, body);
    }
    assert_int_equal(given_back, 0);
    for (int i = 0; i < 3; i++) pipeline_turn(w->p, 0);
    assert_int_equal(given_back, 1);
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

/* --- order, and a receiver that is down --------------------------------------------------------------------------------- */
/* A resolve never overtakes its opening, however often that has to be tried. */
static void messages_of_one_incident_keep_their_order(void **state)
{
    struct world *w = world_open(HOOK "rules: {r: {when: {status: REATTEMPTING}, by: run, resolve: success, notify: hook}}\n");
    size_t opened = 0;
    (void)state;
    sink_mood(w->sink, 500, "");
    posted(w, "{'id':'run_a','status':'REATTEMPTING','taskIdentifier':'t','attemptCount':1,'updatedAt':'2026-09-21T14:13:00Z'}");
    posted(w, COMPLETED("run_a"));
    assert_int_equal(count_deliveries(w, DELIVERY_PENDING) + count_deliveries(w, DELIVERY_RETRYING), 2); /* the first may have failed by now */
    world_pass(w, 60000, 1000);
    assert_int_equal(sink_count(w->sink, 0, "incident.resolved"), 0);
    sink_mood(w->sink, 204, "");
    world_pass(w, 600000, 5000);
    assert_int_equal(sink_count(w->sink, 204, "incident.opened"), 1);
    assert_int_equal(sink_count(w->sink, 0, "incident.resolved"), 1);
    for (size_t i = 0; i < w->sink->heard_count; i++) {
        if (w->sink->heard[i].status == 204 && strstr(w->sink->heard[i].body, "incident.opened")) opened = i;
        if (strstr(w->sink->heard[i].body, "incident.resolved")) assert_true(opened > 0 && opened < i);
    }
    world_close(w);
}

#define SLACK "destinations: {ops: {type: slack, token: xoxb-1, channel: \"#ops\", base_url: \"http://127.0.0.1:PORT\"}}\n" \
              "rules: {fails: {when: {status: FAILED}, notify: ops, update: 30s}}\n"

/* An hour of outage and a failure every minute: then the opening, and one update that has it all. */
static void an_hour_of_outage_ends_in_one_update(void **state)
{
    struct world *w = world_open(SLACK);
    size_t updates;
    (void)state;
    sink_mood(w->sink, 500, "");
    for (int i = 0; i < 60; i++) {
        char json[200];
        snprintf(json, sizeof json, "{'id':'run_%d','status':'FAILED','taskIdentifier':'charge'}", i);
        posted(w, json);
        world_pass(w, 60000, 10000);
    }
    assert_int_equal(sink_count(w->sink, 200, ""), 0);
    assert_in_range(sink_count(w->sink, 500, "chat.postMessage"), 5, 60);
    assert_int_equal(sink_count(w->sink, 0, "chat.update"), 0);
    assert_int_equal(count_deliveries(w, DELIVERY_RETRYING), 1);
    sink_mood(w->sink, 200, "{\"ok\":true,\"channel\":\"C1\",\"ts\":\"1.5\"}");
    world_pass(w, 1200000, 10000);
    assert_int_equal(sink_count(w->sink, 200, "chat.postMessage"), 1);
    updates = sink_count(w->sink, 200, "chat.update");
    assert_int_equal(updates, 1);
    assert_non_null(strstr(sink_last(w->sink).body, "1.5"));
    assert_non_null(strstr(sink_last(w->sink).body, "60"));
    assert_int_equal(count_deliveries(w, -1), 2);
    world_close(w);
}

/* A breaker that holds a message back makes no attempts of it. */
static void what_is_held_back_is_no_attempt(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    struct store_delivery d[64];
    struct store_attempt tries[64];
    struct arena a = { 0 };
    struct err err;
    size_t n, sum = 0;
    (void)state;
    sink_mood(w->sink, 500, "");
    for (int i = 0; i < 20; i++) {
        char json[200];
        snprintf(json, sizeof json, "{'id':'run_%d','status':'FAILED','taskIdentifier':'charge'}", i);
        posted(w, json);
        world_settle(w);
    }
    world_pass(w, 120000, 5000);
    n = deliveries(w, &a, DELIVERY_RETRYING, d);
    for (size_t i = 0; i < n; i++) {
        size_t m = 64;
        assert_int_equal(w->p->reader->ops->attempts(w->p->reader, &a, d[i].id, tries, 64, &m, &err), 0);
        assert_int_equal(m, d[i].attempts);
        sum += m;
    }
    assert_true(n >= 19 && sum == w->sink->heard_count);
    arena_fini(&a);
    world_close(w);
}

/* --- with its own thread --------------------------------------------------------------------------------------------------- */
struct crowd { struct world *w; atomic_int asked, done, taken; atomic_bool go_home; };

static void crowd_done(void *ctx, struct pipeline_request *r)
{
    struct asked *a = (struct asked *)(void *)r;
    struct crowd *c = ctx;
    atomic_fetch_add(&c->done, 1);
    atomic_fetch_add(&c->taken, r->status == PIPELINE_DONE);
    config_unref(&r->config);
    arena_fini(&a->arena);
    free(a);
}

static void *push_and_push(void *ctx)
{
    struct crowd *c = ctx;
    for (int i = 0; !atomic_load(&c->go_home); i++) {
        char json[200];
        struct asked *a;
        snprintf(json, sizeof json, "{'id':'run_%lx_%d','status':'%s','taskIdentifier':'t'}", (unsigned long)pthread_self(), i,
                 i % 8 ? "COMPLETED" : "FAILED");
        a = ask_reports(c->w, json);
        a->r.done = crowd_done;
        a->r.ctx = c;
        atomic_fetch_add(&c->asked, 1);
        if (pipeline_submit(c->w->p, &a->r)) continue;
        atomic_fetch_sub(&c->asked, 1);
        config_unref(&a->r.config);
        arena_fini(&a->arena);
        free(a);
    }
    return NULL;
}

/* Whoever was let in is answered, also when it ends in the middle; everything answered is there. */
static void everybody_let_in_is_answered(void **state)
{
    struct world *w = world_new(HOOK BY_RUN);
    struct crowd c = { .w = w };
    pthread_t threads[3];
    struct pipeline *p;
    struct pipeline_setup setup = world_setup(w);
    struct store_counts counts;
    struct store_reader *reader;
    struct err err;
    (void)state;
    setup.clock = clock_system();
    w->p = p = pipeline_start(&setup, &err);
    assert_non_null(p);
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, push_and_push, &c);
    while (atomic_load(&c.taken) < 1000 || sink_count(w->sink, 204, "incident.opened") == 0) {
        struct pipeline_stats s = pipeline_stats(p);
        struct config *seen = pipeline_config(p);
        assert_true(seen == w->config && s.commit_failures == 0);
        config_unref(&seen);
    }
    atomic_store(&c.go_home, true);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    reader = pipeline_reader(p, &err);
    pipeline_stop(&w->p, 0);
    assert_int_equal(atomic_load(&c.asked), atomic_load(&c.done));
    assert_int_equal(atomic_load(&c.asked), atomic_load(&c.taken));
    assert_int_equal(reader->ops->counts(reader, &counts, &err), 0);
    assert_int_equal(counts.events, atomic_load(&c.taken));
    reader->ops->close(&reader);
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
        cmocka_unit_test(memory_is_given_back_after_a_rush),
        cmocka_unit_test(dead_letters_are_sent_again_under_their_id),
        cmocka_unit_test(reload_brings_rules_and_destinations),
        cmocka_unit_test(messages_of_one_incident_keep_their_order),
        cmocka_unit_test(an_hour_of_outage_ends_in_one_update),
        cmocka_unit_test(what_is_held_back_is_no_attempt),
        cmocka_unit_test(everybody_let_in_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
