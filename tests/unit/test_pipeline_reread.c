/* Runs that the engine wants read again: after the commit they are asked for; what comes of it reaches the engine. */
#include "pipeline_testing.h"

static const char rules[] = "destinations: {hook: {type: webhook, url: \"http://127.0.0.1:PORT/hook\"}}\n"
                            "rules:\n  stuck: {when: {status: EXECUTING}, lasts: 30m, linger: 0s, notify: hook}\n";
#define HANGS "{'id':'run_a','status':'EXECUTING','taskIdentifier':'sync','env':'prod','updatedAt':'2026-09-21T13:00:00Z'}"
#define ENDED "{'id':'run_a','status':'COMPLETED','taskIdentifier':'sync','env':'prod','updatedAt':'2026-09-21T13:10:00Z','finishedAt':'2026-09-21T13:10:00Z'}"

struct source { size_t sources, asked; char run[32], env[32]; };

static size_t reread(void *ctx, struct str env, struct str run)
{
    struct source *s = ctx;
    s->asked++;
    snprintf(s->run, sizeof s->run, STR_FMT, STR_ARG(run));
    snprintf(s->env, sizeof s->env, STR_FMT, STR_ARG(env));
    return s->sources;
}

/* The configuration has no source that could: it is made to look as if it had. */
static struct world *open_asking(struct source *s)
{
    struct world *w = world_new(rules);
    assert_false(w->config->rules->rules[0]->confirm);
    w->config->rules->rules[0]->confirm = true;
    world_start(w);
    if (s) pipeline_set_reread(w->p, reread, s);
    return w;
}

static void answer(struct world *w, const char *json)
{
    struct asked *a = ask_reports(w, json);
    a->r.reports[0].reread = true;
    free(answered(w, a));
    world_settle(w);
}

static size_t openings(struct world *w)
{
    return sink_count(w->sink, 0, "incident.opened");
}

static void test_it_is_asked_for_and_opens(void **state)
{
    struct source s = { .sources = 1 };
    struct world *w = open_asking(&s);
    (void)state;
    posted(w, HANGS);
    world_settle(w);
    assert_int_equal(s.asked, 1);
    assert_string_equal(s.run, "run_a");
    assert_string_equal(s.env, "prod");
    assert_int_equal(openings(w), 0);
    posted(w, HANGS);
    world_settle(w);
    assert_int_equal(openings(w), 0); /* a repetition is no answer */
    answer(w, HANGS);
    assert_int_equal(openings(w), 1);
    assert_null(strstr(sink_last(w->sink).body, "not confirmed"));
    assert_int_equal(s.asked, 1);
    world_close(w);
}

static void test_it_has_ended(void **state)
{
    struct source s = { .sources = 1 };
    struct world *w = open_asking(&s);
    (void)state;
    posted(w, HANGS);
    world_settle(w);
    answer(w, ENDED);
    world_pass(w, 120000, 10000);
    assert_int_equal(openings(w), 0);
    assert_int_equal(pipeline_stats(w->p).engine.watched_runs, 0);
    world_close(w);
}

static void test_no_source_knows_it(void **state)
{
    struct source s = { .sources = 0 };
    struct world *w = open_asking(&s);
    (void)state;
    posted(w, HANGS);
    world_settle(w);
    pipeline_turn(w->p, 0);
    world_settle(w);
    assert_int_equal(s.asked, 1);
    assert_int_equal(openings(w), 1);
    assert_null(strstr(sink_last(w->sink).body, "not confirmed"));
    world_close(w);
}

static void test_no_answer_comes(void **state)
{
    struct source s = { .sources = 1 };
    struct world *w = open_asking(&s);
    (void)state;
    posted(w, HANGS);
    world_settle(w);
    world_pass(w, 29000, 1000);
    assert_int_equal(openings(w), 0);
    world_pass(w, 2000, 1000);
    assert_int_equal(openings(w), 1);
    assert_non_null(strstr(sink_last(w->sink).body, "not confirmed: the source did not tell the run again within 30 s"));
    world_close(w);
}

/* Asked for before there is a source, and again by the next process. */
static void test_asked_for_when_there_is_a_source(void **state)
{
    struct source s = { .sources = 1 }, later = { .sources = 1 };
    struct world *w = open_asking(NULL);
    (void)state;
    posted(w, HANGS);
    world_settle(w);
    pipeline_set_reread(w->p, reread, &s);
    pipeline_turn(w->p, 0);
    assert_int_equal(s.asked, 1);
    pipeline_set_reread(w->p, NULL, NULL);
    world_restart(w);
    pipeline_set_reread(w->p, reread, &later);
    pipeline_turn(w->p, 0);
    assert_int_equal(s.asked, 1);
    assert_int_equal(later.asked, 1);
    assert_string_equal(later.run, "run_a");
    answer(w, HANGS);
    assert_int_equal(openings(w), 1);
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_asked_for_and_opens),
        cmocka_unit_test(test_it_has_ended),
        cmocka_unit_test(test_no_source_knows_it),
        cmocka_unit_test(test_no_answer_comes),
        cmocka_unit_test(test_asked_for_when_there_is_a_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
