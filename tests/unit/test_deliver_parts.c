/* The pure parts of deliver: backoff, token bucket, breaker, the place's gate and slow start, what a verdict
 * means for a job. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deliver/deliver_internal.h"

#define COUNT(x) (sizeof(x) / sizeof *(x))

static struct mono at(int64_t ms)
{
    return (struct mono){ ms };
}

/* --- backoff ------------------------------------------------------------------------------------------- */
static void test_backoff_ceiling(void **state)
{
    static const struct { int64_t base, cap, attempt, want; } cases[] = {
        { 1000, 300000, 1, 1000 },    { 1000, 300000, 2, 2000 },        { 1000, 300000, 9, 256000 },
        { 1000, 300000, 10, 300000 }, { 1000, 300000, 1000000, 300000 }, { 1000, 300000, 0, 1000 },
        { 1000, 300000, -5, 1000 },   { 1000, 500, 1, 500 },            { 1, INT64_MAX, 64, INT64_MAX },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct backoff b = { cases[i].base, cases[i].cap };
        assert_int_equal(backoff_ceiling(&b, cases[i].attempt), cases[i].want);
    }
}

static void test_backoff_jitter_is_full(void **state)
{
    struct backoff b = { 1000, 300000 };
    struct rng rng;
    (void)state;
    rng_seed(&rng, 7);
    assert_int_equal(backoff_delay(&b, 3, UINT64_MAX), backoff_delay(&b, 3, UINT64_MAX));
    for (int64_t attempt = 1; attempt <= 12; attempt++) {
        int64_t ceiling = backoff_ceiling(&b, attempt), low = ceiling, high = 0, sum = 0;
        for (int i = 0; i < 2000; i++) {
            int64_t d = backoff_delay(&b, attempt, rng_u64(&rng));
            assert_in_range(d, 0, ceiling);
            low = d < low ? d : low;
            high = d > high ? d : high;
            sum += d;
        }
        assert_true(low < ceiling / 50 && high > ceiling - ceiling / 50); /* from nothing up to all of it */
        assert_in_range(sum / 2000, ceiling * 45 / 100, ceiling * 55 / 100);
    }
}

/* --- bucket -------------------------------------------------------------------------------------------- */
static void test_bucket_steps(void **state)
{
    static const struct { int64_t now; bool take; int64_t wait; } steps[] = { /* 3 per 10 s */
        { 0, true, 0 }, { 0, true, 0 }, { 0, true, 0 }, { 0, false, 3334 }, { 3333, false, 1 }, { 3334, true, 0 },
        { 6666, false, 1 }, { 6667, true, 0 }, { 5000, false, 3333 }, { 100000, true, 0 }, { 100000, true, 0 },
        { 100000, true, 0 }, { 100000, false, 3334 },
    };
    struct bucket b;
    (void)state;
    bucket_init(&b, 3, 10000, at(0));
    assert_int_equal(bucket_interval(&b), 3334);
    for (size_t i = 0; i < COUNT(steps); i++) {
        assert_int_equal(bucket_wait(&b, at(steps[i].now)), steps[i].wait);
        assert_int_equal(bucket_take(&b, at(steps[i].now)), steps[i].take);
    }
    bucket_init(&b, 3, 10000, at(0)); /* a rest fills it, and no more */
    for (int i = 0; i < 4; i++) assert_int_equal(bucket_take(&b, at(9999)), i < 3);
}

static void test_bucket_without_limit(void **state)
{
    struct bucket b;
    (void)state;
    bucket_init(&b, 0, 1000, at(5));
    for (int i = 0; i < 1000; i++) assert_true(bucket_take(&b, at(5)));
    assert_int_equal(bucket_interval(&b), 0);
    bucket_init(&b, INT64_MAX, INT64_MAX, at(0)); /* absurd numbers are bounded, not undefined */
    assert_true(bucket_take(&b, at(0)));
    assert_true(bucket_take(&b, at(INT64_MAX / 2)));
}

/* Over any stretch of time at most n + n per per_ms are let through, and who waits as told is let through. */
static void test_bucket_property(void **state)
{
    struct rng rng;
    (void)state;
    rng_seed(&rng, 11);
    for (int round = 0; round < 200; round++) {
        int64_t n = 1 + (int64_t)rng_below(&rng, 20), per = 1 + (int64_t)rng_below(&rng, 60000), now = 0, taken = 0;
        struct bucket b;
        bucket_init(&b, n, per, at(0));
        for (int i = 0; i < 300; i++) {
            int64_t wait;
            now += (int64_t)rng_below(&rng, (uint64_t)per / 4 + 1);
            wait = bucket_wait(&b, at(now));
            assert_in_range(wait, 0, bucket_interval(&b));
            if (rng_below(&rng, 2)) now += wait, wait = 0;
            assert_int_equal(bucket_take(&b, at(now)), wait == 0);
            taken += wait == 0;
            assert_true(taken <= n + now * n / per);
        }
    }
}

/* --- breaker ------------------------------------------------------------------------------------------- */
/* A story: o ok, f failed, b broken; p probes (asserts that one may go), then the next letter is its outcome;
 * . waits a second, : ten. want: state afterwards. */
static void test_breaker_stories(void **state)
{
    static const struct { const char *story; enum breaker_state want; int64_t cool_ms; } cases[] = {
        { "", BREAKER_CLOSED, 0 },
        { "ffff", BREAKER_CLOSED, 0 },
        { "fffff", BREAKER_OPEN, 10000 },
        { "ffffoffff", BREAKER_CLOSED, 0 },
        { "b", BREAKER_OPEN, 10000 },
        { "ob", BREAKER_OPEN, 10000 },
        { "fofofofofofofofofof", BREAKER_CLOSED, 0 },    /* 19 outcomes */
        { "fofofofofofofofofofof", BREAKER_OPEN, 10000 }, /* the 21st is a failure: 11 of 21 */
        { "ooooooooooofofofofof", BREAKER_CLOSED, 0 },
        { "fofofofofo::::::: fofofofofof", BREAKER_CLOSED, 0 }, /* the first ten are older than the window */
        { "b:p o", BREAKER_CLOSED, 0 },
        { "b:p f", BREAKER_OPEN, 20000 },
        { "b:p b", BREAKER_OPEN, 20000 },
        { "b:pf::pf::::pf::::::::pf::::::::::::::::pf::::::::::::::::::::::::::::::pf", BREAKER_OPEN, 300000 },
        { "b:pf::po b", BREAKER_OPEN, 10000 },   /* after a good probe all begins anew */
        { "b:p o ffff", BREAKER_CLOSED, 0 },
        { "b ffffff", BREAKER_OPEN, 10000 },     /* late ones change nothing */
        { "b oooooo", BREAKER_OPEN, 10000 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct breaker b;
        int64_t now = 0;
        bool probe = false;
        breaker_init(&b);
        for (const char *s = cases[i].story; *s; s++) {
            if (*s == '.' || *s == ':') now += *s == '.' ? 1000 : 10000;
            if (*s == 'p') {
                assert_true(breaker_allows(&b, at(now)));
                assert_false(breaker_allows(&b, at(b.until.ms - 1)));
                breaker_probe(&b);
                assert_false(breaker_allows(&b, at(now)));
                probe = true;
            }
            if (!strchr("ofb", *s)) continue;
            breaker_record(&b, *s == 'o' ? BREAKER_OK : *s == 'f' ? BREAKER_FAILED : BREAKER_BROKEN, probe, at(now));
            probe = false;
        }
        if (b.state != cases[i].want) fail_msg("%s: state %d", cases[i].story, (int)b.state);
        assert_int_equal(b.cool_ms, cases[i].cool_ms);
    }
}

static void test_breaker_changes(void **state)
{
    struct breaker b;
    (void)state;
    breaker_init(&b);
    assert_int_equal(breaker_record(&b, BREAKER_OK, false, at(0)), BREAKER_SAME);
    assert_int_equal(breaker_record(&b, BREAKER_BROKEN, false, at(0)), BREAKER_OPENED);
    breaker_probe(&b);
    assert_int_equal(breaker_record(&b, BREAKER_OK, false, at(20000)), BREAKER_SAME); /* not the probe's */
    assert_int_equal(b.state, BREAKER_PROBING);
    assert_int_equal(breaker_record(&b, BREAKER_FAILED, true, at(20000)), BREAKER_OPENED);
    breaker_probe(&b);
    assert_int_equal(breaker_record(&b, BREAKER_OK, true, at(40000)), BREAKER_CLOSED_AGAIN);
}

/* --- a place ------------------------------------------------------------------------------------------- */
static struct notify_destination destination(size_t in_flight_max, int64_t rate_n, int64_t rate_per_ms)
{
    return (struct notify_destination){ .name = STR("x"), .type = STR("webhook"), .in_flight_max = in_flight_max,
                                        .rate_n = rate_n, .rate_per_ms = rate_per_ms };
}

static void test_slow_start(void **state)
{
    /* + a success, - a failure */
    static const struct { size_t most; const char *story; size_t want; } cases[] = {
        { 8, "", 2 }, { 8, "+", 2 }, { 8, "++", 3 }, { 8, "++" "+++" "++++", 5 }, { 1, "++++", 1 },
        { 8, "++++++++++++++++++++++++++++++++++++++++++++++++++++++", 8 }, { 8, "-", 1 }, { 8, "----", 1 },
        { 8, "++" "+++" "-", 2 }, { 8, "-+", 2 }, { 3, "+++++++++++", 3 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct notify_destination d = destination(cases[i].most, 0, 0);
        struct place *p = place_new(&d, at(0));
        for (const char *s = cases[i].story; *s; s++) *s == '+' ? place_went_well(p) : place_went_badly(p);
        if (p->limit != cases[i].want) fail_msg("%s: %zu", cases[i].story, p->limit);
        place_free(&p);
    }
}

static void test_gate(void **state)
{
    static const struct {
        const char *what;
        size_t in_flight;
        int64_t paused_ms;
        enum breaker_state breaker;
        int64_t breaker_ms, rate_per_ms;
        enum gate want;
        int64_t until;
    } cases[] = {
        { "free", 0, 0, BREAKER_CLOSED, 0, 0, GATE_GO, INT64_MAX },
        { "one in flight", 1, 0, BREAKER_CLOSED, 0, 0, GATE_GO, INT64_MAX },
        { "full", 2, 0, BREAKER_CLOSED, 0, 0, GATE_WAIT, INT64_MAX },
        { "short pause", 0, 1999, BREAKER_CLOSED, 0, 0, GATE_WAIT, 101999 },
        { "long pause", 0, 2000, BREAKER_CLOSED, 0, 0, GATE_POSTPONE, 102000 },
        { "short rate", 0, 0, BREAKER_CLOSED, 0, 1000, GATE_WAIT, 101000 },
        { "long rate", 0, 0, BREAKER_CLOSED, 0, 60000, GATE_POSTPONE, 160000 },
        { "open", 0, 0, BREAKER_OPEN, 5000, 0, GATE_POSTPONE, 105000 },
        { "soon half open", 0, 0, BREAKER_OPEN, 1, 0, GATE_WAIT, 100001 },
        { "probe due, others still in flight", 2, 0, BREAKER_OPEN, 0, 0, GATE_GO, INT64_MAX },
        { "probing", 1, 0, BREAKER_PROBING, 0, 0, GATE_WAIT, INT64_MAX },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct notify_destination d = destination(8, cases[i].rate_per_ms ? 1 : 0, cases[i].rate_per_ms);
        struct place *p = place_new(&d, at(100000));
        struct mono until;
        enum gate got;
        bucket_take(&p->bucket, at(100000));
        p->in_flight = cases[i].in_flight;
        if (cases[i].paused_ms) p->paused_until = at(100000 + cases[i].paused_ms);
        p->breaker.state = cases[i].breaker;
        p->breaker.until = at(100000 + cases[i].breaker_ms);
        got = place_gate(p, at(100000), &until);
        if (got != cases[i].want || until.ms != cases[i].until) fail_msg("%s: %d, %jd", cases[i].what, (int)got, (intmax_t)until.ms);
        place_free(&p);
    }
}

static void test_returns_are_spread(void **state)
{
    struct notify_destination free_one = destination(8, 0, 0), limited = destination(8, 1, 10000);
    struct place *p = place_new(&free_one, at(0));
    struct mono first, r;
    struct rng rng;
    int64_t high = 0;
    (void)state;
    rng_seed(&rng, 3);
    first = place_return(p, at(10000), at(0), &rng);
    assert_int_equal(first.ms, 10000); /* the probe is not late */
    for (int i = 0; i < 500; i++) {
        r = place_return(p, at(10000), at(0), &rng);
        assert_in_range(r.ms, 10000, 15000);
        high = r.ms > high ? r.ms : high;
    }
    assert_true(high > 14500);
    place_free(&p);
    p = place_new(&limited, at(0)); /* each its own token, five minutes ahead at most */
    for (int64_t i = 0; i < 30; i++) assert_int_equal(place_return(p, at(10000), at(0), &rng).ms, 10000 + i * 10000);
    for (int64_t i = 0; i < 100; i++) assert_in_range(place_return(p, at(10000), at(0), &rng).ms, 310000, 341000);
    place_free(&p);
    p = place_new(&free_one, at(0)); /* a day's pause is looked at again before it is over */
    assert_in_range(place_return(p, at(86400000), at(0), &rng).ms, RECHECK_MS, RECHECK_MS + SPREAD_MOST_MS);
    place_free(&p);
}

/* --- outcomes ------------------------------------------------------------------------------------------ */
#define V(c) { .class = VERDICT_##c }
#define LIMITED_30S { .class = VERDICT_RATE_LIMITED, .wait_ms = 30000 }
#define RETRY_30S { .class = VERDICT_RETRY, .wait_ms = 30000 }

static void test_outcomes(void **state)
{
    enum { NOW = 1000000, no = false, yes = true };
    enum { DELIVERED = DELIVER_DELIVERED, RETRY = DELIVER_RETRY, DEAD = DELIVER_DEAD };
    static const struct {
        const char *what;
        struct verdict v;
        struct deliver_job j;
        int64_t not_before_ms;
        int want;
        bool plain, too_old;
        int64_t least, most;
    } cases[] = {
        { "ok", V(OK), { 0 }, 0, DELIVERED, no, no, 0, 0 },
        { "known already", V(OK_DUPLICATE), { .plain = true }, 0, DELIVERED, yes, no, 0, 0 },
        { "ok, though old", V(OK), { .expires_ms = 1 }, 0, DELIVERED, no, no, 0, 0 },
        { "first retry", V(RETRY), { 0 }, 0, RETRY, no, no, 0, 1000 },
        { "late retry", V(RETRY), { .attempts = 30 }, 0, RETRY, no, no, 0, 300000 },
        { "uncertain", V(UNCERTAIN), { .attempts = 2 }, 0, RETRY, no, no, 0, 4000 },
        { "plain stays plain", V(RETRY), { .plain = true }, 0, RETRY, yes, no, 0, 1000 },
        { "asked to wait", LIMITED_30S, { 0 }, 0, RETRY, no, no, 30000, 30999 },
        { "asked to wait, 503", RETRY_30S, { 0 }, 0, RETRY, no, no, 30000, 30999 },
        { "limited, nothing said", V(RATE_LIMITED), { 0 }, 0, RETRY, no, no, 1000, 1999 },
        { "breaker", V(RETRY), { 0 }, 10000, RETRY, no, no, 10000, 10000 },
        { "refused", V(BAD_PAYLOAD), { 0 }, 0, RETRY, yes, no, 0, 0 },
        { "refused again", V(BAD_PAYLOAD), { .plain = true }, 0, DEAD, yes, no, 0, 0 },
        { "bad config", V(BAD_CONFIG), { .plain = false }, 10000, RETRY, no, no, 10000, 10000 },
        { "gone", V(GONE_TARGET), { .captures = STR("{\"ts\":\"1\"}") }, 0, RETRY, no, no, 0, 0 },
        { "gone, had nothing", V(GONE_TARGET), { .attempts = 20, .captures = STR(" {} ") }, 0, RETRY, no, no, 0, 300000 },
        { "still in time", V(RETRY), { .expires_ms = NOW + 10000 }, 10000, RETRY, no, no, 10000, 10000 },
        { "too old", V(RETRY), { .expires_ms = NOW + 9999 }, 10000, DEAD, no, yes, 10000, 10000 },
        { "refused, too old", V(BAD_PAYLOAD), { .expires_ms = NOW - 1 }, 0, DEAD, yes, yes, 0, 0 },
    };
    struct rng rng;
    (void)state;
    rng_seed(&rng, 5);
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int k = 0; k < 100; k++) {
            uint64_t jitter[2] = { rng_u64(&rng) | 1, rng_u64(&rng) };
            struct outcome o = outcome_of(&cases[i].j, &cases[i].v, NOW, cases[i].not_before_ms, jitter);
            bool fits = (int)o.what == cases[i].want && o.plain == cases[i].plain && o.too_old == cases[i].too_old;
            if (!fits || o.delay_ms < cases[i].least || o.delay_ms > cases[i].most)
                fail_msg("%s: %d after %jd ms", cases[i].what, (int)o.what, (intmax_t)o.delay_ms);
        }
    }
}

static void test_what_breaks(void **state)
{
    static const enum breaker_outcome want[VERDICT_CLASSES] = {
        [VERDICT_OK] = BREAKER_OK, [VERDICT_OK_DUPLICATE] = BREAKER_OK, [VERDICT_RETRY] = BREAKER_FAILED,
        [VERDICT_RATE_LIMITED] = BREAKER_OK, [VERDICT_BAD_PAYLOAD] = BREAKER_OK, [VERDICT_BAD_CONFIG] = BREAKER_BROKEN,
        [VERDICT_GONE_TARGET] = BREAKER_OK, [VERDICT_UNCERTAIN] = BREAKER_FAILED,
    };
    const struct deliver_job job = { .params = STR_NONE }, own = { .params = STR("{\"channel\":\"#c\"}") };
    (void)state;
    for (int c = 0; c < VERDICT_CLASSES; c++) {
        assert_int_equal(outcome_for_breaker(&job, (enum verdict_class)c), want[c]);
        assert_int_equal(outcome_for_breaker(&own, (enum verdict_class)c), c == VERDICT_BAD_CONFIG ? BREAKER_FAILED : want[c]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backoff_ceiling),
        cmocka_unit_test(test_backoff_jitter_is_full),
        cmocka_unit_test(test_bucket_steps),
        cmocka_unit_test(test_bucket_without_limit),
        cmocka_unit_test(test_bucket_property),
        cmocka_unit_test(test_breaker_stories),
        cmocka_unit_test(test_breaker_changes),
        cmocka_unit_test(test_slow_start),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_returns_are_spread),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_what_breaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
