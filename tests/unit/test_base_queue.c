/* base: the bounded queue, alone and between threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/queue.h"

struct thing {
    struct queue_item item; /* first */
    int producer, number;
};

static void things(struct thing *t, size_t n, size_t weight)
{
    for (size_t k = 0; k < n; k++) t[k] = (struct thing){ { NULL, weight }, 0, (int)k };
}

static size_t taken(const struct queue_item *i, int first)
{
    size_t n = 0;
    for (; i; i = i->next, n++) assert_int_equal(((const struct thing *)(const void *)i)->number, first + (int)n);
    return n;
}

/* --- bounds --------------------------------------------------------------------------------------------------------- */
static void test_items_come_out_in_order(void **state)
{
    struct queue *q = queue_new(1000);
    struct thing t[10];
    (void)state;
    things(t, 10, 10);
    for (int k = 0; k < 10; k++) assert_true(queue_put(q, &t[k].item, false));
    assert_int_equal(queue_length(q), 10);
    assert_int_equal(queue_bytes(q), 100);
    assert_int_equal(taken(queue_take(q, 0, 3, SIZE_MAX), 0), 3);
    assert_int_equal(taken(queue_take(q, 0, 100, 40), 3), 4);
    assert_int_equal(taken(queue_take(q, 0, 100, 0), 7), 1); /* at least one */
    assert_int_equal(taken(queue_take(q, 0, SIZE_MAX, SIZE_MAX), 8), 2);
    assert_null(queue_take(q, 0, 100, 100));
    assert_int_equal(queue_length(q), 0);
    assert_int_equal(queue_bytes(q), 0);
    assert_true(queue_put(q, &t[0].item, false)); /* the end of the list was found again */
    assert_int_equal(taken(queue_take(q, 0, 1, 1), 0), 1);
    queue_free(&q);
    assert_null(q);
    queue_free(&q);
}

static void test_a_full_queue_refuses(void **state)
{
    struct queue *q = queue_new(100);
    struct thing t[5];
    (void)state;
    things(t, 5, 60);
    assert_true(queue_put(q, &t[0].item, false));
    assert_false(queue_put(q, &t[1].item, false));
    assert_int_equal(queue_length(q), 1);
    assert_true(queue_put(q, &t[1].item, true)); /* urgent ones pass */
    t[2].item.weight_bytes = 0;
    assert_false(queue_put(q, &t[2].item, false)); /* over the ceiling is over it */
    assert_int_equal(taken(queue_take(q, 0, 10, SIZE_MAX), 0), 2);
    t[3].item.weight_bytes = 5000;
    assert_true(queue_put(q, &t[3].item, false)); /* heavier than the whole queue: alone, or it could never pass */
    assert_false(queue_put(q, &t[4].item, false));
    assert_int_equal(taken(queue_take(q, 0, 10, 1), 3), 1);
    t[0].item.weight_bytes = 40;
    t[1].item.weight_bytes = 60;
    assert_true(queue_put(q, &t[0].item, false) && queue_put(q, &t[1].item, false)); /* exactly full */
    assert_int_equal(queue_bytes(q), 100);
    assert_int_equal(taken(queue_take(q, 0, 10, SIZE_MAX), 0), 2);
    queue_free(&q);
}

static void test_a_closed_queue_drains(void **state)
{
    struct queue *q = queue_new(100);
    struct thing t[2];
    (void)state;
    things(t, 2, 1);
    assert_true(queue_put(q, &t[0].item, false));
    queue_close(q);
    assert_false(queue_put(q, &t[1].item, false));
    assert_false(queue_put(q, &t[1].item, true)); /* not even urgent ones */
    assert_int_equal(taken(queue_take(q, -1, 10, 10), 0), 1);
    assert_null(queue_take(q, -1, 10, 10)); /* does not wait for ever */
    queue_free(&q);
}

/* --- waiting --------------------------------------------------------------------------------------------------------- */
static void test_waiting_ends(void **state)
{
    struct queue *q = queue_new(100);
    int64_t before = clock_mono(clock_system()).ms;
    (void)state;
    assert_null(queue_take(q, 20, 10, 10));
    assert_true(clock_mono(clock_system()).ms - before >= 19);
    queue_wake(q);
    assert_null(queue_take(q, -1, 10, 10)); /* the wake came first: it is not lost */
    queue_wake(q);
    queue_wake(q);
    assert_null(queue_take(q, -1, 10, 10));
    assert_null(queue_take(q, 1, 10, 10)); /* and counts once */
    queue_free(&q);
}

/* What is put soon waits for company: for a flush, for an item that is put at once, for enough of its kind, or for
 * the end of the wait. */
static void test_company_is_waited_for(void **state)
{
    struct queue *q = queue_new(SIZE_MAX);
    static struct thing t[QUEUE_COMPANY + 8];
    int64_t before = clock_mono(clock_system()).ms;
    (void)state;
    things(t, QUEUE_COMPANY + 8, 1);
    assert_true(queue_put_soon(q, &t[0].item) && queue_put_soon(q, &t[1].item));
    assert_int_equal(taken(queue_take(q, 20, 10, SIZE_MAX), 0), 2);
    assert_true(clock_mono(clock_system()).ms - before >= 19);
    assert_true(queue_put_soon(q, &t[2].item));
    queue_flush(q);
    assert_int_equal(taken(queue_take(q, -1, 10, SIZE_MAX), 2), 1);
    assert_true(queue_put_soon(q, &t[3].item) && queue_put(q, &t[4].item, false) && queue_put_soon(q, &t[5].item));
    assert_int_equal(taken(queue_take(q, -1, 2, SIZE_MAX), 3), 2);
    before = clock_mono(clock_system()).ms;
    assert_int_equal(taken(queue_take(q, 20, 10, SIZE_MAX), 5), 1); /* it is still one that waits */
    assert_true(clock_mono(clock_system()).ms - before >= 19);
    for (size_t k = 6; k < QUEUE_COMPANY + 6; k++) assert_true(queue_put_soon(q, &t[k].item));
    assert_int_equal(taken(queue_take(q, -1, SIZE_MAX, SIZE_MAX), 6), QUEUE_COMPANY);
    queue_free(&q);
}

static void *put_late(void *arg)
{
    struct { struct queue *q; struct thing *t; } *a = arg;
    assert_true(queue_put_late(a->q, &a->t->item));
    return NULL;
}

/* Late ones pass a full queue, wait for company, but not for ever, whoever was first: the item or the taker. */
static void test_late_ones_come_at_last(void **state)
{
    struct queue *q = queue_new(1);
    struct thing t[3];
    struct { struct queue *q; struct thing *t; } late = { q, &t[2] };
    pthread_t thread;
    int64_t before = clock_mono(clock_system()).ms;
    (void)state;
    things(t, 3, 1);
    assert_true(queue_put_late(q, &t[0].item) && queue_put_late(q, &t[1].item));
    assert_int_equal(taken(queue_take(q, -1, 10, SIZE_MAX), 0), 2);
    assert_true(clock_mono(clock_system()).ms - before >= QUEUE_LATE_MS - 1);
    pthread_create(&thread, NULL, put_late, &late);
    assert_int_equal(taken(queue_take(q, -1, 10, SIZE_MAX), 2), 1);
    pthread_join(thread, NULL);
    queue_free(&q);
}

static void *wake_it(void *q)
{
    queue_wake(q);
    return NULL;
}

static void *close_it(void *q)
{
    queue_close(q);
    return NULL;
}

static void test_another_thread_ends_a_wait(void **state)
{
    void *(*const ways[])(void *) = { wake_it, close_it };
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct queue *q = queue_new(100);
        pthread_t t;
        pthread_create(&t, NULL, ways[k], q);
        assert_null(queue_take(q, -1, 10, 10));
        pthread_join(t, NULL);
        queue_free(&q);
    }
}

/* --- several producers, one consumer ------------------------------------------------------------------------------------ */
enum { PRODUCERS = 4, EACH = 20000, CEILING = 500 };
static atomic_int refused;

struct producer { struct queue *q; int number; pthread_t thread; };

static void *produce(void *arg)
{
    struct producer *p = arg;
    for (int k = 0; k < EACH; k++) {
        struct thing *t = xmalloc(sizeof *t);
        *t = (struct thing){ { NULL, (size_t)k % 7 + 1 }, p->number, k };
        while (!queue_put(p->q, &t->item, k % 1000 == 0)) { /* what a client does after a 503 */
            atomic_fetch_add(&refused, 1);
            sched_yield();
        }
    }
    return NULL;
}

static void test_nothing_is_lost_between_threads(void **state)
{
    struct queue *q = queue_new(CEILING);
    struct producer p[PRODUCERS];
    int next[PRODUCERS] = { 0 };
    size_t got = 0, batches = 0;
    (void)state;
    for (int k = 0; k < PRODUCERS; k++) {
        p[k] = (struct producer){ .q = q, .number = k };
        pthread_create(&p[k].thread, NULL, produce, &p[k]);
    }
    while (got < (size_t)PRODUCERS * EACH) {
        struct queue_item *i = queue_take(q, -1, 50, 200), *rest;
        size_t n = 0, bytes = 0;
        for (; i; i = rest, n++) {
            struct thing *t = (struct thing *)(void *)i;
            rest = i->next;
            bytes += i->weight_bytes;
            assert_int_equal(t->number, next[t->producer]++); /* each producer's own order */
            free(t);
        }
        assert_true(n >= 1 && n <= 50 && bytes <= 200);
        assert_true(queue_bytes(q) <= CEILING + PRODUCERS * 7); /* urgent ones may be over it */
        got += n;
        batches++;
    }
    for (int k = 0; k < PRODUCERS; k++) pthread_join(p[k].thread, NULL);
    assert_null(queue_take(q, 0, 1, 1));
    assert_int_equal(queue_bytes(q), 0);
    print_message("%zu items in %zu batches, refused %d times\n", got, batches, atomic_load(&refused));
    queue_free(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_come_out_in_order),
        cmocka_unit_test(test_a_full_queue_refuses),
        cmocka_unit_test(test_a_closed_queue_drains),
        cmocka_unit_test(test_waiting_ends),
        cmocka_unit_test(test_company_is_waited_for),
        cmocka_unit_test(test_late_ones_come_at_last),
        cmocka_unit_test(test_another_thread_ends_a_wait),
        cmocka_unit_test(test_nothing_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
