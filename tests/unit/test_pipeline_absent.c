/* Rules that wait, in the pipeline: what it knows of its sources, and how that comes over restarts and an ill store. */
#include "pipeline_testing.h"

enum { MINUTE = 60000, HOUR = 3600000 };
#define HOOK "destinations: {hook: {type: webhook, url: \"http://127.0.0.1:PORT/hook\"}}\n"
#define QUIET "rules: {quiet: {when: {task: sync, status: success}, absent: 2h, linger: 0s, repeat: never, notify: hook}}\n"
#define SUCCESS(run) "{'id':'" run "','status':'COMPLETED','taskIdentifier':'sync'}" /* as of its arrival */

static size_t opened(struct world *w)
{
    world_settle(w);
    return sink_count(w->sink, 204, "incident.opened");
}

/* A look that found nothing new, up to then. */
static void looked(struct world *w, int64_t told_ms)
{
    struct asked *a = ask(w, PIPELINE_REPORTS);
    a->r.config = config_ref(w->config);
    a->r.source = &w->config->sources[0];
    a->r.position = str_printf(&a->arena, "{\"v\":1,\"start\":%lld,\"told\":%lld,\"from\":%lld}", (long long)T0, (long long)told_ms, (long long)told_ms);
    assert_int_equal(outcome(w, a), PIPELINE_DONE);
}

static void pushed_alone_it_rings_in_time(void **state)
{
    struct world *w = world_open(HOOK QUIET);
    (void)state;
    posted(w, SUCCESS("run_1"));
    world_wait(w, 2 * HOUR - 1);
    assert_int_equal(opened(w), 0);
    world_wait(w, 1);
    assert_int_equal(opened(w), 1);
    posted(w, SUCCESS("run_2"));
    world_settle(w);
    assert_int_equal(sink_count(w->sink, 204, "incident.resolved"), 1);
    world_close(w);
}

static void after_a_restart_a_whole_period(void **state)
{
    struct world *w = world_open(HOOK QUIET);
    (void)state;
    posted(w, SUCCESS("run_1"));
    pipeline_stop(&w->p, 0);
    world_wait(w, 3 * HOUR);
    world_start(w);
    assert_int_equal(opened(w), 0);
    world_wait(w, 2 * HOUR - 1);
    assert_int_equal(opened(w), 0);
    world_wait(w, 1);
    assert_int_equal(opened(w), 1);
    world_restart(w);
    world_pass(w, 5 * HOUR, HOUR);
    assert_int_equal(opened(w), 1);
    world_close(w);
}

static void a_polling_source_must_have_caught_up(void **state)
{
    struct world *w = world_new(HOOK QUIET);
    (void)state;
    w->config->sources[0].type = SOURCE_TRIGGER_API;
    world_start(w);
    posted(w, SUCCESS("run_1"));
    looked(w, T0);
    world_wait(w, 3 * HOUR);
    assert_int_equal(opened(w), 0);
    assert_int_equal(pipeline_stats(w->p).engine.absent_keys, 1);
    assert_int_equal(engine_stats(w->p->engine).absent_unknown, 1);
    world_restart(w); /* it goes on where it was */
    assert_int_equal(opened(w), 0);
    looked(w, T0 + 2 * HOUR - 1);
    assert_int_equal(opened(w), 0);
    looked(w, T0 + 2 * HOUR);
    assert_int_equal(opened(w), 1);
    assert_int_equal(sink_count(w->sink, 204, "later than due"), 1);
    world_close(w);
}

/* Between the commit that failed and the next, nobody knows: what is told must not be taken for granted. */
static void a_position_that_was_not_stored_does_not_count(void **state)
{
    struct world *w = world_new(HOOK QUIET);
    struct asked *a;
    (void)state;
    w->config->sources[0].type = SOURCE_TRIGGER_API;
    world_start(w);
    posted(w, SUCCESS("run_1"));
    looked(w, T0);
    world_wait(w, 3 * HOUR);
    store_memory_fail(w->store, ERR_IO, 1);
    a = ask(w, PIPELINE_REPORTS);
    a->r.config = config_ref(w->config);
    a->r.source = &w->config->sources[0];
    a->r.position = str_printf(&a->arena, "{\"v\":1,\"start\":%lld,\"told\":%lld,\"from\":0}", (long long)T0, (long long)T0 + 3 * HOUR);
    assert_int_equal(outcome(w, a), PIPELINE_FAILED);
    world_wait(w, 2000);
    assert_int_equal(opened(w), 0);
    looked(w, T0 + 3 * HOUR);
    assert_int_equal(opened(w), 1);
    world_close(w);
}

/* Whoever posted meanwhile was turned away. */
static void what_an_ill_store_turned_away_was_not_heard(void **state)
{
    struct world *w = world_open(HOOK QUIET);
    (void)state;
    posted(w, SUCCESS("run_1"));
    world_wait(w, HOUR);
    store_memory_fail(w->store, ERR_IO, 1);
    free(post(w, SUCCESS("run_2")));
    world_wait(w, HOUR / 2);
    world_settle(w);
    world_wait(w, HOUR);
    assert_int_equal(opened(w), 0);
    world_wait(w, HOUR);
    assert_int_equal(opened(w), 1);
    world_close(w);
}

static void a_position_that_cannot_be_read_is_no_trouble(void **state)
{
    struct world *w = world_new(HOOK QUIET);
    struct asked *a;
    (void)state;
    w->config->sources[0].type = SOURCE_TRIGGER_API;
    world_start(w);
    a = ask(w, PIPELINE_REPORTS);
    a->r.config = config_ref(w->config);
    a->r.source = &w->config->sources[0];
    a->r.position = STR("somewhere");
    assert_int_equal(outcome(w, a), PIPELINE_DONE);
    world_restart(w);
    posted(w, SUCCESS("run_1"));
    world_wait(w, 3 * HOUR);
    assert_int_equal(opened(w), 0);
    world_close(w);
}

static void a_reload_brings_rules_that_wait(void **state)
{
    struct world *w = world_open(HOOK "rules: {fails: {when: {status: FAILED}, by: run, notify: hook}}\n");
    (void)state;
    posted(w, SUCCESS("run_1"));
    world_wait(w, HOUR);
    assert_int_equal(outcome(w, ask_reload(w, HOOK QUIET)), PIPELINE_DONE);
    world_wait(w, 2 * HOUR - 1);
    assert_int_equal(opened(w), 0);
    world_wait(w, 1);
    assert_int_equal(opened(w), 1);
    world_close(w);
}

/* Its sources are known with it. */
static void a_reload_brings_another_source(void **state)
{
    struct world *w = world_open(HOOK QUIET);
    struct asked *a;
    (void)state;
    posted(w, SUCCESS("run_1"));
    a = ask_reload(w, HOOK QUIET);
    a->r.config->sources[0].type = SOURCE_TRIGGER_API; /* it looks for itself now, and has not yet */
    assert_int_equal(outcome(w, a), PIPELINE_DONE);
    world_wait(w, 3 * HOUR);
    assert_int_equal(opened(w), 0);
    assert_int_equal(outcome(w, ask_reload(w, HOOK QUIET)), PIPELINE_DONE);
    world_wait(w, 2 * HOUR);
    assert_int_equal(opened(w), 1);
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushed_alone_it_rings_in_time),
        cmocka_unit_test(after_a_restart_a_whole_period),
        cmocka_unit_test(a_polling_source_must_have_caught_up),
        cmocka_unit_test(a_position_that_was_not_stored_does_not_count),
        cmocka_unit_test(what_an_ill_store_turned_away_was_not_heard),
        cmocka_unit_test(a_position_that_cannot_be_read_is_no_trouble),
        cmocka_unit_test(a_reload_brings_rules_that_wait),
        cmocka_unit_test(a_reload_brings_another_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
