/* Where a source is: stored with what was found, read back after a start, carried over between methods. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "source/poll_internal.h"

#define DAY_MS 86400000LL
enum { NOW = 2000000000 };

struct store { const char *text; int found; }; /* what the sink answers */
struct bench {
    struct store store;
    struct pollers all;
    struct config_source source;
    struct poll p;
};

static int stored(void *ctx, const char *what, struct str source, struct arena *a, struct str *out, struct err *err)
{
    const struct store *s = ctx;
    assert_string_equal(what, "position");
    assert_true(str_eq_c(source, "prod"));
    if (s->found < 0) return err_set(err, ERR_IO, "the store is away");
    if (s->found) *out = str_dup(a, str_c(s->text));
    return s->found;
}

static void begin(struct bench *b)
{
    *b = (struct bench){ .source = { .name = STR("prod"), .type = SOURCE_TRIGGER_API } };
    b->all.sink = (struct poller_sink){ .ctx = &b->store, .stored = stored };
    b->p.all = &b->all;
    b->p.name = b->source.name;
    b->p.source = &b->source;
    b->p.start_ms = b->p.floor_ms = RUN_TIME_NONE;
    pthread_mutex_init(&b->p.lock, NULL);
}

static void end(struct bench *b)
{
    for (size_t k = 0; k < b->p.late.n; k++) free((char *)b->p.late.v[k].p);
    vec_free(&b->p.late);
    position_fini(&b->p.position);
    arena_fini(&b->p.arena);
    pthread_mutex_destroy(&b->p.lock);
}

static void test_read_back_as_written(void **state)
{
    struct bench a, b;
    struct err err;
    (void)state;
    begin(&a);
    a.p.position = (struct position){ .known = true, .method = METHOD_LIST, .start_ms = 11, .told_ms = 33, .from_ms = 22 };
    position_follow(&a.p.position, STR("run_a"));
    position_follow(&a.p.position, STR("run_b"));
    details_put_off(&a.p, STR("run_late"));
    details_put_off(&a.p, STR("run_late")); /* once is enough */
    poll_learn_env(&a.p, STR("prev\"iew"));
    begin(&b);
    b.store = (struct store){ str_dup_c(&a.p.arena, position_text(&a.p, &a.p.arena)), 1 };
    assert_int_equal(position_load(&b.p, &err), 0);
    assert_true(b.p.position.known && b.p.position.method == METHOD_LIST);
    assert_int_equal(b.p.position.start_ms, 11);
    assert_int_equal(b.p.position.from_ms, 22);
    assert_int_equal(b.p.position.told_ms, 33);
    assert_int_equal(b.p.position.follow.n, 2);
    assert_true(str_eq_c(b.p.position.follow.v[1], "run_b"));
    assert_int_equal(b.p.late.n, 1);
    assert_true(str_eq_c(b.p.late.v[0], "run_late"));
    assert_true(str_eq_c(poll_env(&b.p), "prev\"iew"));
    assert_int_equal(b.p.start_ms, 11);
    b.source.env = STR("own");
    assert_true(str_eq_c(poll_env(&b.p), "own"));
    end(&a);
    end(&b);
}

static void test_what_cannot_be_read_is_no_new_source(void **state)
{
    static const struct store stores[] = { { NULL, -1 }, { "", 1 }, { "{}", 1 }, { "{\"v\":2,\"from\":1,\"start\":1}", 1 }, { "{\"v\":1,\"from\":1}", 1 } };
    struct bench b;
    struct err err;
    (void)state;
    for (size_t k = 0; k < sizeof stores / sizeof *stores; k++) {
        begin(&b);
        b.store = stores[k];
        assert_int_equal(position_load(&b.p, &err), -1);
        assert_false(b.p.position.known);
        end(&b);
    }
    begin(&b);
    assert_int_equal(position_load(&b.p, &err), 0);
    assert_false(b.p.position.known);
    end(&b);
}

static void test_between_methods(void **state)
{
    struct position at = { .known = true, .method = METHOD_LIST, .start_ms = 1, .told_ms = NOW, .from_ms = NOW - 5 };
    (void)state;
    position_is_of(&at, METHOD_QUERY);
    assert_int_equal(at.told_ms, NOW);
    position_is_of(&at, METHOD_QUERY);
    position_is_of(&at, METHOD_LIST); /* what was active then is not known: a window that reaches back */
    assert_int_equal(at.from_ms, NOW - DAY_MS);
    assert_int_equal(at.told_ms, NOW);
    position_is_of(&at, METHOD_LIST);
    assert_int_equal(at.from_ms, NOW - DAY_MS);
}

static void test_a_clock_that_is_set_back(void **state)
{
    struct bench b;
    struct position *at = &b.p.position;
    (void)state;
    begin(&b);
    *at = (struct position){ .known = true, .start_ms = NOW - 100, .told_ms = NOW, .from_ms = NOW };
    b.p.floor_ms = NOW;
    assert_false(position_rewind(&b.p, NOW));
    assert_false(position_rewind(&b.p, NOW - 2000)); /* its Date is cut to the second */
    assert_int_equal(at->told_ms, NOW);
    assert_true(position_rewind(&b.p, NOW - 50000));
    assert_true(at->told_ms < NOW - 50000 && at->from_ms <= at->told_ms);
    assert_int_equal(at->start_ms, NOW - 50000);
    assert_int_equal(b.p.start_ms, NOW - 50000);
    assert_int_equal(b.p.floor_ms, RUN_TIME_NONE);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_back_as_written), cmocka_unit_test(test_what_cannot_be_read_is_no_new_source),
        cmocka_unit_test(test_between_methods), cmocka_unit_test(test_a_clock_that_is_set_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
