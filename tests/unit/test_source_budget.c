/* The share of a rate limit, and what answers make of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "source/budget.h"

enum { START = 1000000 };

static int take_all(struct budget *b, int64_t now)
{
    int n = 0;
    while (budget_take(b, now) == 0) n++;
    return n;
}

static void test_a_tenth_of_the_bucket_and_of_its_refill(void **state)
{
    struct budget b;
    (void)state;
    budget_init(&b, 10, START);
    assert_int_equal(budget_room(&b, START), 75); /* of 750 */
    assert_int_equal(take_all(&b, START), 75);
    assert_int_equal(budget_room(&b, START), 0);
    assert_float_equal(budget_per_minute(&b), 150, 1e-9);
    assert_in_range(budget_take(&b, START), 400, 401); /* 150 a minute: one each 400 ms */
    assert_int_equal(take_all(&b, START + 60000), 75);  /* no more than the bucket is saved up */
    assert_int_equal(take_all(&b, START + 62000), 5);
}

static void test_who_waits_as_long_as_told_may_go(void **state)
{
    struct budget b;
    int64_t now = START, wait;
    (void)state;
    budget_init(&b, 1, START);
    for (int n = 0; n < 200; n++) {
        wait = budget_take(&b, now);
        if (wait > 0) {
            now += wait;
            assert_int_equal(budget_take(&b, now), 0);
        }
    }
    assert_in_range(now - START, 60000 * 192 / 15, 60000 * 194 / 15); /* 7.5 at once, then 15 a minute */
}

static void test_the_limit_that_is_told_counts(void **state)
{
    struct budget b;
    (void)state;
    budget_init(&b, 10, START);
    budget_told(&b, START, 20, 19, 1000);
    assert_int_equal(budget_room(&b, START), 2);
    assert_float_equal(budget_per_minute(&b), 4, 1e-9);
    budget_told(&b, START, -1, 19, -1); /* not told again: as it was */
    assert_float_equal(budget_per_minute(&b), 4, 1e-9);
    budget_init(&b, 1, START);
    budget_told(&b, START, 10, 9, 1000);
    assert_int_equal(budget_room(&b, START), 1); /* never less than one, or it could never ask */
}

static void test_what_is_nearly_empty_is_left_to_others(void **state)
{
    struct budget b;
    (void)state;
    budget_init(&b, 50, START);
    budget_told(&b, START, 750, 75, 4000);
    assert_int_equal(budget_take(&b, START), 0);
    budget_told(&b, START, 750, 74, 4000);
    assert_int_equal(budget_take(&b, START), 4000);
    assert_int_equal(budget_room(&b, START), 0);
    assert_int_equal(budget_take(&b, START + 4000), 0);
    budget_told(&b, START + 4000, 750, 0, -1); /* no word of when: a while */
    assert_int_equal(budget_take(&b, START + 4000), 10000);
    budget_told(&b, START + 4000, 750, 0, 3600000); /* an hour is no answer of this limiter */
    assert_int_equal(budget_take(&b, START + 4000), 10000);
}

static void test_a_hold_is_never_shortened(void **state)
{
    struct budget b;
    (void)state;
    budget_init(&b, 100, START);
    budget_hold(&b, START + 5000);
    budget_hold(&b, START + 1000);
    assert_int_equal(budget_take(&b, START), 5000);
    budget_told(&b, START, 750, 0, 100);
    assert_int_equal(budget_take(&b, START + 1000), 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tenth_of_the_bucket_and_of_its_refill), cmocka_unit_test(test_who_waits_as_long_as_told_may_go),
        cmocka_unit_test(test_the_limit_that_is_told_counts), cmocka_unit_test(test_what_is_nearly_empty_is_left_to_others),
        cmocka_unit_test(test_a_hold_is_never_shortened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
