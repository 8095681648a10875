/* The pipeline when things go wrong: commits that fail, restarts, receivers that are down, clocks that jump. */
#include "pipeline_testing.h"

#define HOOK "destinations: {hook: {type: webhook, url: \"http://127.0.0.1:PORT/hook\"}}\n"
#define BY_RUN "rules: {fails: {when: {status: FAILED}, by: run, notify: hook, limit: 1000 per 1s}}\n"
#define FAILED(run) "{'id':'" run "','status':'FAILED','taskIdentifier':'charge','updatedAt':'2026-09-21T14:13:10Z'}"

/* --- commits that fail -------------------------------------------------------------------------------------------- */
static bool ready(struct world *w)
{
    struct err why;
    return pipeline_ready(w->p, &why);
}

static void failed_commits_heal(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    struct asked *a;
    (void)state;
    assert_true(ready(w));
    store_memory_fail(w->store, ERR_IO, 3);
    for (int i = 0; i < 3; i++) {
        a = post(w, FAILED("run_a"));
        assert_int_equal(a->status, PIPELINE_FAILED);
        assert_int_equal(a->err.code, ERR_IO);
        assert_false(ready(w));
        free(a);
        world_wait(w, 1001);
    }
    a = post(w, FAILED("run_a"));
    assert_true(a->status == PIPELINE_DONE && !a->duplicates[0] && ready(w));
    free(a);
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 0, "run_a"), 1);
    assert_int_equal(pipeline_stats(w->p).events_accepted, 1);
    assert_int_equal(pipeline_stats(w->p).commit_failures, 3);
    assert_int_equal(atomic_load(&w->broken), 0);
    world_close(w);
}

/* Clients that knock all the time must not keep the store from being tried again. */
static void heals_under_load(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    int refused = 0;
    (void)state;
    store_memory_fail(w->store, ERR_LIMIT, 1);
    for (;; refused++) {
        struct asked *a = post(w, FAILED("run_a"));
        bool taken = a->status == PIPELINE_DONE;
        free(a);
        if (taken) break;
        assert_true(refused < 200);
        world_wait(w, 10);
    }
    assert_true(refused >= 50);
    world_close(w);
}

/* With nobody at the door it is a write that shows whether the store is well. */
static void is_not_well_before_a_write_went_through(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    (void)state;
    store_memory_fail(w->store, ERR_LIMIT, 3);
    free(post(w, FAILED("run_a")));
    for (int i = 0; i < 2; i++) {
        world_wait(w, 1001);
        pipeline_turn(w->p, 0);
        assert_false(ready(w));
    }
    world_wait(w, 1001);
    pipeline_turn(w->p, 0);
    assert_true(ready(w));
    world_close(w);
}

static void verdicts_survive_a_failed_commit(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    (void)state;
    posted(w, FAILED("run_a"));
    store_memory_fail(w->store, ERR_IO, 1);
    while (pipeline_stats(w->p).commit_failures == 0) pipeline_turn(w->p, 20);
    world_wait(w, 1001);
    world_settle(w);
    assert_int_equal(count_deliveries(w, DELIVERY_DELIVERED), 1);
    assert_int_equal(sink_count(w->sink, 204, "run_a"), 1);
    posted(w, FAILED("run_b")); /* the destination goes on */
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 204, "run_b"), 1);
    world_close(w);
}

static void uncertain_commits_stop_everything(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    (void)state;
    store_memory_fail(w->store, ERR_UNCERTAIN, 1);
    assert_int_equal(outcome(w, ask_reports(w, FAILED("run_a"))), PIPELINE_FAILED);
    assert_int_equal(atomic_load(&w->broken), 1);
    world_wait(w, 5000);
    assert_int_equal(outcome(w, ask_reports(w, FAILED("run_b"))), PIPELINE_FAILED); /* the store would take it */
    assert_int_equal(atomic_load(&w->broken), 1);
    assert_false(ready(w));
    world_close(w);
}

static int failed_sync(struct store *s, bool idle, struct err *err)
{
    (void)s;
    (void)idle;
    return err_set(err, ERR_UNCERTAIN, "a checkpoint could not be synced");
}

/* With nothing to commit it would be long until anybody noticed. */
static void a_failed_sync_of_a_checkpoint_stops_everything(void **state)
{
    struct world *w = world_new(HOOK BY_RUN);
    (void)state;
    w->ops.upkeep = failed_sync;
    world_start(w);
    for (int i = 0; i < 3; i++) {
        world_wait(w, 1000);
        pipeline_turn(w->p, 0);
    }
    assert_int_equal(atomic_load(&w->broken), 1);
    assert_false(ready(w));
    assert_int_equal(outcome(w, ask_reports(w, FAILED("run_a"))), PIPELINE_FAILED);
    world_close(w);
}

static void a_start_that_cannot_write_is_none(void **state)
{
    struct world *w = world_new(HOOK BY_RUN);
    struct pipeline_setup setup = world_setup(w);
    struct err err;
    (void)state;
    store_memory_fail(w->store, ERR_LIMIT, 1);
    assert_null(pipeline_start(&setup, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    world_start(w);
    world_close(w);
}

static void a_reload_that_cannot_be_stored_changes_nothing(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    struct config *c;
    (void)state;
    posted(w, FAILED("run_a"));
    world_settle(w);
    store_memory_fail(w->store, ERR_IO, 1);
    assert_int_equal(outcome(w, ask_reload(w, HOOK "rules: {other: {when: {status: CRASHED}, by: run, notify: hook}}\n")), PIPELINE_FAILED);
    c = pipeline_config(w->p);
    assert_ptr_equal(c, w->config);
    config_unref(&c);
    world_wait(w, 1001);
    posted(w, FAILED("run_b"));
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 204, "incident.opened"), 2);
    assert_int_equal(sink_count(w->sink, 0, "incident.resolved"), 0);
    assert_int_equal(pipeline_stats(w->p).reloads_failed, 1);
    world_close(w);
}

/* --- one that cannot be done ---------------------------------------------------------------------------------------- */
static void damage_run(struct world *w, const char *run)
{
    struct store_batch b;
    struct err err;
    store_batch_init(&b);
    *vec_push(&b.runs) = (struct store_run){ .project = STR("default"), .env = STR("default"), .run = str_c(run), .known = STR("{\"seen\":[") };
    assert_int_equal(w->store->ops->commit(w->store, &b, &err), 0);
    store_batch_fini(&b);
}

/* What cannot be judged is refused by itself; what came with it is none the worse. */
static void one_bad_report_refuses_no_other(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    struct asked *good = ask_reports(w, FAILED("run_good")), *bad = ask_reports(w, FAILED("run_bad")), *after = ask_reports(w, FAILED("run_after"));
    (void)state;
    damage_run(w, "run_bad");
    submit(w, good);
    submit(w, bad);
    submit(w, after);
    while (!after->done) pipeline_turn(w->p, 0);
    assert_true(good->status == PIPELINE_DONE && bad->status == PIPELINE_FAILED && after->status == PIPELINE_DONE && ready(w));
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 204, "run_good"), 1);
    assert_int_equal(sink_count(w->sink, 204, "run_after"), 1);
    assert_int_equal(pipeline_stats(w->p).events_accepted, 2);
    free(good);
    free(bad);
    free(after);
    world_close(w);
}

static int attempts_to_refuse;
static int (*real_commit)(struct store *s, const struct store_batch *b, struct err *err);

static int refuse_attempts(struct store *s, const struct store_batch *b, struct err *err)
{
    if (b->attempts.n == 0 || attempts_to_refuse == 0) return real_commit(s, b, err);
    attempts_to_refuse--;
    return err_set(err, ERR_CONFLICT, "an attempt at a delivery that is not there");
}

static struct world *world_refusing_attempts(int n)
{
    struct world *w = world_new(HOOK BY_RUN);
    real_commit = w->ops.commit;
    w->ops.commit = refuse_attempts;
    attempts_to_refuse = n;
    world_start(w);
    return w;
}

static void a_verdict_the_engine_chokes_on_is_recorded(void **state)
{
    struct world *w = world_refusing_attempts(1);
    (void)state;
    posted(w, FAILED("run_a"));
    world_settle(w);
    world_pass(w, 5000, 1000);
    assert_int_equal(sink_count(w->sink, 0, "run_a"), 1);
    assert_int_equal(count_deliveries(w, DELIVERY_DELIVERED), 1);
    assert_true(ready(w));
    world_close(w);
}

static void a_verdict_that_cannot_be_stored_blocks_nobody(void **state)
{
    struct world *w = world_refusing_attempts(2);
    (void)state;
    posted(w, FAILED("run_a"));
    world_settle(w);
    assert_true(ready(w));
    posted(w, FAILED("run_b"));
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 204, "run_b"), 1);
    world_pass(w, 5000, 1000); /* as far as the store knows, the first is still due */
    assert_int_equal(sink_count(w->sink, 204, "run_a"), 2);
    assert_string_equal(w->sink->heard[0].id, w->sink->heard[2].id);
    assert_int_equal(count_deliveries(w, DELIVERY_DELIVERED), 2);
    world_close(w);
}

/* --- restarts, and destinations that are gone ------------------------------------------------------------------------- */
static void a_restart_sends_what_was_due_under_the_same_ids(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    struct store_delivery before[64], after[64];
    struct arena a = { 0 };
    size_t n;
    (void)state;
    sink_mood(w->sink, 500, "");
    for (int i = 0; i < 5; i++) {
        char json[200];
        snprintf(json, sizeof json, FAILED("run_%d"), i);
        posted(w, json);
    }
    world_settle(w);
    n = deliveries(w, &a, -1, before);
    assert_int_equal(n, 5);
    pipeline_stop(&w->p, 0);
    sink_mood(w->sink, 204, "");
    world_wait(w, 60000);
    world_start(w);
    world_pass(w, 600000, 20000);
    assert_int_equal(deliveries(w, &a, DELIVERY_DELIVERED, after), 5);
    for (size_t i = 0; i < n; i++) {
        char id[ID_SIZE];
        assert_true(before[i].id == after[i].id && after[i].attempts > before[i].attempts - 1);
        id_format("dlv", after[i].id, id);
        assert_int_equal(sink_count(w->sink, 204, id), 1);
    }
    arena_fini(&a);
    world_close(w);
}

static void a_stop_without_grace_repeats_with_the_same_id(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    (void)state;
    posted(w, FAILED("run_a"));
    while (sink_count(w->sink, 204, "run_a") == 0) continue; /* it has arrived, and the verdict is not stored */
    store_memory_fail(w->store, ERR_IO, 1);                  /* nor can it be */
    world_restart(w);
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 204, "run_a"), 2);
    assert_string_equal(w->sink->heard[0].id, w->sink->heard[1].id);
    assert_string_equal(w->sink->heard[0].body, w->sink->heard[1].body);
    assert_int_equal(count_deliveries(w, DELIVERY_DELIVERED), 1);
    world_close(w);
}

/* A verdict that could not be stored has one more chance at the end. */
static void a_kept_verdict_is_stored_at_the_stop(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    (void)state;
    posted(w, FAILED("run_a"));
    store_memory_fail(w->store, ERR_IO, 1);
    while (pipeline_stats(w->p).commit_failures == 0) pipeline_turn(w->p, 20);
    world_wait(w, 1001);
    world_restart(w);
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 204, "run_a"), 1);
    assert_int_equal(count_deliveries(w, DELIVERY_DELIVERED), 1);
    world_close(w);
}

#define OTHER "destinations: {other: {type: webhook, url: \"http://127.0.0.1:PORT/other\"}}\n" \
              "rules: {fails: {when: {status: FAILED}, by: run, notify: other}}\n"

/* Whoever renames a destination while it is down finds its messages among the dead letters, not nowhere. */
static void what_waits_for_a_removed_destination_goes_dead(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    struct store_delivery d[64];
    struct arena a = { 0 };
    (void)state;
    sink_mood(w->sink, 500, "");
    for (int i = 0; i < 4; i++) posted(w, i % 2 ? FAILED("run_a") : FAILED("run_b"));
    world_settle(w);
    assert_int_equal(count_deliveries(w, DELIVERY_RETRYING), 2);
    pipeline_stop(&w->p, 0);
    config_unref(&w->config);
    w->config = world_config(w, OTHER);
    world_start(w);
    world_settle(w);
    world_pass(w, 600000, 10000);
    assert_int_equal(deliveries(w, &a, DELIVERY_DEAD, d), 2);
    assert_true(str_starts(d[0].last_error, STR("destination removed")));
    assert_int_equal(count_deliveries(w, DELIVERY_RETRYING), 0);
    arena_fini(&a);
    world_close(w);
}

/* --- clocks that jump --------------------------------------------------------------------------------------------------- */
#define WAITS "rules: {fails: {when: {status: FAILED}, by: run, notify: hook, wait: 1m}}\n"

static void jump(struct world *w, int64_t ms)
{
    atomic_fetch_add(&w->clock.wall_ms, ms);
}

/* Set back by an hour, the wall clock must not hold up a minute for an hour. */
static void a_clock_set_back_holds_up_nothing(void **state)
{
    struct world *w = world_open(HOOK WAITS);
    (void)state;
    posted(w, FAILED("run_a"));
    jump(w, -3600000);
    world_settle(w);
    posted(w, FAILED("run_b"));
    world_pass(w, 50000, 1000);
    assert_int_equal(sink_count(w->sink, 0, "incident.opened"), 0);
    world_pass(w, 30000, 1000);
    assert_int_equal(sink_count(w->sink, 204, "run_a"), 1);
    assert_int_equal(sink_count(w->sink, 204, "run_b"), 1);
    world_close(w);
}

/* Ahead by a day for a moment and right again: retries keep their distance, and everything goes on. */
static void a_clock_ahead_for_a_moment_burns_no_retries(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    size_t tries;
    (void)state;
    jump(w, 86400000);
    posted(w, FAILED("run_a"));
    world_settle(w);
    jump(w, -86400000);
    sink_mood(w->sink, 500, "");
    posted(w, FAILED("run_b"));
    world_settle(w);
    world_pass(w, 20000, 100);
    tries = sink_count(w->sink, 500, "run_b");
    assert_in_range(tries, 2, 12);
    sink_mood(w->sink, 204, "");
    world_pass(w, 600000, 5000);
    assert_int_equal(sink_count(w->sink, 204, "run_b"), 1);
    world_close(w);
}

static void a_clock_set_forward_fires_once(void **state)
{
    struct world *w = world_open(HOOK WAITS);
    (void)state;
    posted(w, FAILED("run_a"));
    jump(w, 7200000);
    world_settle(w);
    world_pass(w, 60000, 1000);
    assert_int_equal(sink_count(w->sink, 204, "incident.opened"), 1);
    world_close(w);
}

/* Set back while nothing ran: the ids of that time are given already. */
static void a_clock_set_back_at_a_restart_refuses_nothing(void **state)
{
    struct world *w = world_open(HOOK BY_RUN);
    uint64_t before, after;
    (void)state;
    before = posted(w, FAILED("run_a"));
    world_settle(w);
    pipeline_stop(&w->p, 0);
    atomic_store(&w->clock.wall_ms, T0 - 5000);
    world_start(w);
    world_wait(w, 5000);
    after = posted(w, FAILED("run_b"));
    assert_true(after > before);
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 204, "run_b"), 1);
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failed_commits_heal),
        cmocka_unit_test(heals_under_load),
        cmocka_unit_test(is_not_well_before_a_write_went_through),
        cmocka_unit_test(verdicts_survive_a_failed_commit),
        cmocka_unit_test(uncertain_commits_stop_everything),
        cmocka_unit_test(a_failed_sync_of_a_checkpoint_stops_everything),
        cmocka_unit_test(a_start_that_cannot_write_is_none),
        cmocka_unit_test(a_reload_that_cannot_be_stored_changes_nothing),
        cmocka_unit_test(one_bad_report_refuses_no_other),
        cmocka_unit_test(a_verdict_the_engine_chokes_on_is_recorded),
        cmocka_unit_test(a_verdict_that_cannot_be_stored_blocks_nobody),
        cmocka_unit_test(a_restart_sends_what_was_due_under_the_same_ids),
        cmocka_unit_test(a_stop_without_grace_repeats_with_the_same_id),
        cmocka_unit_test(a_kept_verdict_is_stored_at_the_stop),
        cmocka_unit_test(what_waits_for_a_removed_destination_goes_dead),
        cmocka_unit_test(a_clock_set_back_holds_up_nothing),
        cmocka_unit_test(a_clock_ahead_for_a_moment_burns_no_retries),
        cmocka_unit_test(a_clock_set_forward_fires_once),
        cmocka_unit_test(a_clock_set_back_at_a_restart_refuses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
