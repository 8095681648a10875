/* The core of deliver, stepped with a virtual clock and a transport that answers from a script: hours of
 * outage in no time. */
#include "deliver_testing.h"

enum { FLYING_MOST = 4096, TOLD_MOST = 65536 };
static const int64_t T0 = INT64_C(1777803401377);

struct bench {
    struct clock_virtual clock;
    struct rng rng;
    struct config *config;
    struct deliver_core core;
    struct exchange *flying[FLYING_MOST];
    size_t flying_count;
    struct told *told;
    size_t told_count;
    int opened, closed;
    char reason[200];
    size_t forgotten;
};

static void bench_send(void *ctx, struct exchange *x)
{
    struct bench *b = ctx;
    assert_true(b->flying_count < FLYING_MOST);
    b->flying[b->flying_count++] = x;
}

static void bench_forget(void *ctx, struct exchange *x)
{
    struct bench *b = ctx;
    for (size_t i = 0; i < b->flying_count; i++)
        if (b->flying[i] == x) b->flying[i] = b->flying[--b->flying_count];
    b->forgotten++;
}

static void bench_done(void *ctx, const struct deliver_result *r)
{
    struct bench *b = ctx;
    assert_true(b->told_count < TOLD_MOST);
    told_fill(&b->told[b->told_count++], r);
}

static void bench_health(void *ctx, const struct deliver_health *h)
{
    struct bench *b = ctx;
    if (h->open) b->opened++;
    else b->closed++;
    snprintf(b->reason, sizeof b->reason, STR_FMT, STR_ARG(h->reason));
}

static struct bench *bench_open(const char *destinations)
{
    struct bench *b = xcalloc(1, sizeof *b);
    struct deliver_callbacks cb = { bench_done, bench_health, b };
    struct deliver_transport transport = { bench_send, bench_forget, b };
    log_setup(LOG_LOGFMT, LOG_ERROR + 1); /* silent */
    clock_virtual_init(&b->clock, T0);
    rng_seed(&b->rng, 42);
    b->told = xcalloc(TOLD_MOST, sizeof *b->told);
    b->config = bench_config(destinations);
    core_init(&b->core, b->config, &b->clock.clock, &b->rng, &cb, &transport);
    return b;
}

static void bench_close(struct bench *b)
{
    core_give_back(&b->core);
    core_abort(&b->core);
    assert_int_equal(b->core.stats.waiting, 0);
    assert_int_equal(b->core.stats.in_flight, 0);
    core_fini(&b->core);
    config_unref(&b->config);
    free(b->told);
    free(b);
}

static void push(struct bench *b, uint64_t id, const char *destination)
{
    struct deliver_job j = bench_job(id, destination);
    core_push(&b->core, job_new(&j));
}

/* Answers the oldest in flight to the destination (NULL: any). retry_after: NULL = no such header. */
static bool answer(struct bench *b, const char *destination, int status, const char *retry_after)
{
    struct notify_header headers[] = { { STR("Retry-After"), str_c(retry_after) } };
    struct notify_response res = {
        .status = status, .sent = true, .headers = headers, .header_count = retry_after ? 1 : 0
    };
    for (size_t i = 0; i < b->flying_count; i++) {
        struct exchange *x = b->flying[i];
        if (destination && !str_eq_c(x->dest->name, destination)) continue;
        b->flying_count--;
        memmove(&b->flying[i], &b->flying[i + 1], (b->flying_count - i) * sizeof *b->flying);
        if (!status) res.transport_error = STR("connection refused");
        core_answered(&b->core, x, &res);
        return true;
    }
    return false;
}

static const struct told *last(const struct bench *b)
{
    assert_true(b->told_count > 0);
    return &b->told[b->told_count - 1];
}

#define HOOK(name) "  " name ": {type: webhook, url: \"https://" name ".example/hook/s3cr3t-" name "\""

/* --- one destination ----------------------------------------------------------------------------------- */
static void test_delivered(void **state)
{
    struct bench *b = bench_open(HOOK("a") "}\n");
    const struct told *t;
    (void)state;
    push(b, 1, "a");
    assert_int_equal(core_step(&b->core).ms, INT64_MAX);
    assert_int_equal(b->flying_count, 1);
    assert_true(str_eq_c(b->flying[0]->request.url, "https://a.example/hook/s3cr3t-a"));
    clock_virtual_advance(&b->clock, 70);
    answer(b, NULL, 200, NULL);
    t = last(b);
    assert_int_equal(t->outcome, DELIVER_DELIVERED);
    assert_true(t->attempted);
    assert_int_equal(t->took_ms, 70);
    assert_int_equal(b->core.stats.sent, 1);
    assert_int_equal(b->core.stats.delivered, 1);
    bench_close(b);
}

static void test_slow_start_and_order(void **state)
{
    struct bench *b = bench_open(HOOK("a") "}\n");
    (void)state;
    for (uint64_t i = 1; i <= 60; i++) push(b, i, "a");
    core_step(&b->core);
    assert_int_equal(b->flying_count, 2);
    for (int i = 0; i < 50; i++) {
        answer(b, NULL, 200, NULL);
        core_step(&b->core);
    }
    assert_int_equal(b->flying_count, 8); /* the provider's most */
    while (answer(b, NULL, 200, NULL)) core_step(&b->core);
    for (size_t i = 0; i < b->told_count; i++) assert_int_equal(b->told[i].delivery, i + 1);
    bench_close(b);
}

static void test_refused_body_goes_plain_then_dead(void **state)
{
    struct bench *b = bench_open(HOOK("a") "}\n");
    struct deliver_job j = bench_job(2, "a");
    (void)state;
    push(b, 1, "a");
    core_step(&b->core);
    answer(b, NULL, 400, NULL);
    assert_int_equal(last(b)->outcome, DELIVER_RETRY);
    assert_true(last(b)->plain && last(b)->attempted);
    assert_int_equal(last(b)->due_ms, T0);
    j.plain = true;
    j.attempts = 1;
    core_push(&b->core, job_new(&j));
    core_step(&b->core);
    assert_int_equal(b->flying_count, 1);
    assert_true(str_find_str(b->flying[0]->request.body, STR("\"text\":")) < b->flying[0]->request.body.n);
    answer(b, NULL, 400, NULL);
    assert_int_equal(last(b)->outcome, DELIVER_DEAD);
    assert_int_equal(b->opened, 0); /* it is the message, not the destination */
    bench_close(b);
}

static void test_what_cannot_be_built(void **state)
{
    static const struct { const char *content, *params;
    } cases[] = {
        { "{\"kind\":\"open\"", "" },
        { "{\"kind\":\"nothing\"}", "" },
        { "{\"kind\":\"open\",\"title\":\"x\"}", "{\"to\":\"a\",\"url\":\"http://evil\"}" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bench *b = bench_open(HOOK("a") "}\n");
        struct deliver_job j = bench_job(1, "a");
        j.content = str_c(cases[i].content);
        j.params = str_c(cases[i].params);
        core_push(&b->core, job_new(&j));
        core_step(&b->core);
        assert_int_equal(b->flying_count, 0);
        assert_int_equal(last(b)->outcome, DELIVER_RETRY);
        assert_int_equal(last(b)->class, VERDICT_BAD_PAYLOAD);
        assert_true(last(b)->plain && last(b)->attempted && last(b)->detail[0]);
        j.plain = true;
        core_push(&b->core, job_new(&j));
        core_step(&b->core);
        assert_int_equal(last(b)->outcome, DELIVER_DEAD);
        bench_close(b);
    }
}

static void test_too_old(void **state)
{
    struct bench *b = bench_open(HOOK("a") "}\n");
    struct deliver_job j = bench_job(1, "a");
    (void)state;
    j.expires_ms = T0 - 1;
    core_push(&b->core, job_new(&j));
    core_step(&b->core);
    assert_int_equal(b->flying_count, 0);
    assert_int_equal(last(b)->outcome, DELIVER_DEAD);
    assert_string_equal(last(b)->detail, "maximum age reached");
    assert_false(last(b)->attempted);
    j.expires_ms = T0 + 29000;
    core_push(&b->core, job_new(&j));
    core_step(&b->core);
    answer(b, NULL, 503, "30");
    assert_int_equal(last(b)->outcome, DELIVER_DEAD);
    assert_string_equal(last(b)->detail, "maximum age reached; the last try: HTTP 503");
    assert_true(last(b)->attempted);
    bench_close(b);
}

static void test_gone_target(void **state)
{
    struct bench *b = bench_open("  s: {type: slack, token: \"${env:TEST_SLACK}\", channel: \"#ops\"}\n");
    struct deliver_job j = bench_job(1, "s");
    struct notify_response res = { .status = 200,
                                   .sent = true,
                                   .body = STR("{\"ok\":false,\"error\":\"message_not_found\"}") };
    (void)state;
    j.content = STR("{\"kind\":\"resolve\",\"id\":\"msg_1\",\"title\":\"t\",\"resolved\":true,\"severity\":"
                    "\"error\",\"state\":\"resolved\"}");
    j.captures = STR("{\"channel\":\"C1\",\"ts\":\"1.2\"}");
    core_push(&b->core, job_new(&j));
    core_step(&b->core);
    b->flying_count = 0;
    core_answered(&b->core, b->flying[0], &res);
    assert_int_equal(last(b)->class, VERDICT_GONE_TARGET);
    assert_int_equal(last(b)->outcome, DELIVER_RETRY);
    assert_int_equal(last(b)->due_ms, T0);
    assert_string_equal(last(b)->captures, "{}");
    bench_close(b);
}

static void test_console(void **state)
{
    struct bench *b = bench_open("  c: {type: console}\n");
    struct deliver_job j = bench_job(2, "c");
    char text[2048] = "", *out = NULL;
    size_t n = 0;
    (void)state;
    b->core.console = open_memstream(&out, &n);
    push(b, 1, "c");
    core_step(&b->core);
    assert_int_equal(last(b)->outcome, DELIVER_DELIVERED);
    snprintf(text, sizeof text, "%s", out);
    assert_non_null(strstr(text, "render failed"));
    assert_int_equal(text[strlen(text) - 1], '\n');
    j.content = STR("{\"kind\":\"update\",\"title\":\"x\"}"); /* the console does not repeat itself */
    core_push(&b->core, job_new(&j));
    core_step(&b->core);
    assert_int_equal(last(b)->outcome, DELIVER_DELIVERED);
    assert_int_equal(n, strlen(text));
    assert_int_equal(b->core.stats.sent, 1);
    fclose(b->core.console);
    free(out);
    b->core.console = fopen("/dev/full", "w"); /* what cannot be written is not delivered */
    push(b, 3, "c");
    core_step(&b->core);
    assert_int_equal(last(b)->outcome, DELIVER_RETRY);
    fclose(b->core.console);
    bench_close(b);
}

/* --- waiting ------------------------------------------------------------------------------------------- */
static void test_long_pause_is_spent_in_the_store(void **state)
{
    struct bench *b = bench_open(HOOK("a") "}\n");
    int64_t low = INT64_MAX, high = 0;
    (void)state;
    for (uint64_t i = 1; i <= 100; i++) push(b, i, "a");
    core_step(&b->core);
    answer(b, NULL, 429, "30");
    assert_in_range(last(b)->due_ms, T0 + 30000, T0 + 30999);
    core_step(&b->core);
    assert_int_equal(b->told_count, 99); /* one is still in flight */
    for (size_t i = 1; i < b->told_count; i++) {
        assert_false(b->told[i].attempted);
        assert_int_equal(b->told[i].outcome, DELIVER_RETRY);
        low = b->told[i].due_ms < low ? b->told[i].due_ms : low;
        high = b->told[i].due_ms > high ? b->told[i].due_ms : high;
    }
    assert_int_equal(low, T0 + 30000);
    assert_in_range(high, T0 + 42000, T0 + 45000); /* not all at once */
    answer(b, NULL, 200, NULL);
    push(b, 101, "a"); /* comes in between: not before the others */
    core_step(&b->core);
    assert_in_range(last(b)->due_ms, T0 + 30000, T0 + 45000);
    clock_virtual_advance(&b->clock, 30000);
    push(b, 102, "a");
    core_step(&b->core);
    assert_int_equal(b->flying_count, 1);
    bench_close(b);
}

static void test_short_pause_is_spent_here(void **state)
{
    struct bench *b = bench_open(HOOK("a") "}\n");
    (void)state;
    for (uint64_t i = 1; i <= 3; i++) push(b, i, "a");
    core_step(&b->core);
    answer(b, NULL, 503, "1");
    answer(b, NULL, 200, NULL);
    assert_int_equal(core_step(&b->core).ms, 1000);
    assert_int_equal(b->flying_count, 0);
    clock_virtual_advance(&b->clock, 999);
    core_step(&b->core);
    assert_int_equal(b->flying_count, 0);
    clock_virtual_advance(&b->clock, 1);
    core_step(&b->core);
    assert_int_equal(b->flying_count, 1);
    assert_int_equal(b->told_count, 2);
    bench_close(b);
}

static void test_rate(void **state)
{
    struct bench *b = bench_open(HOOK("a") ", rate: 1 per 1s}\n" HOOK("b") ", rate: 1 per 10s}\n");
    (void)state;
    for (uint64_t i = 1; i <= 5; i++) push(b, i, "a");
    for (uint64_t i = 11; i <= 15; i++) push(b, i, "b");
    core_step(&b->core);
    assert_int_equal(b->flying_count, 2); /* one each */
    assert_int_equal(b->told_count, 4);   /* b's others come back each at a token of its own */
    for (size_t i = 0; i < 4; i++) assert_int_equal(b->told[i].due_ms, T0 + 10000 * (int64_t)(i + 1));
    for (int second = 1; second < 5; second++) {
        while (answer(b, "a", 200, NULL)) continue;
        assert_int_equal(core_step(&b->core).ms, second * 1000);
        assert_int_equal(b->flying_count, 1);
        clock_virtual_advance(&b->clock, 1000);
        core_step(&b->core);
        assert_int_equal(b->flying_count, 2);
    }
    bench_close(b);
}

/* --- fairness ------------------------------------------------------------------------------------------ */
static void test_turns(void **state)
{
    struct bench *b = bench_open("  a: {type: console}\n  b: {type: console}\n  c: {type: console}\n");
    static const char *const names[] = { "a", "b", "c" };
    FILE *null = fopen("/dev/null", "w");
    (void)state;
    b->core.console = null;
    for (uint64_t i = 0; i < 300; i++) push(b, i, names[i / 100]); /* all of a first */
    core_step(&b->core);
    assert_int_equal(b->told_count, STARTS_PER_STEP); /* then the sockets' turn */
    for (size_t i = 0; i + 3 < STARTS_PER_STEP; i += 3) {
        assert_string_not_equal(b->told[i].destination, b->told[i + 1].destination);
        assert_string_not_equal(b->told[i].destination, b->told[i + 2].destination);
        assert_string_not_equal(b->told[i + 1].destination, b->told[i + 2].destination);
    }
    core_step(&b->core);
    assert_string_equal(b->told[STARTS_PER_STEP].destination, "b"); /* another one goes first each time */
    while (b->told_count < 300) core_step(&b->core);
    fclose(null);
    bench_close(b);
}

static void test_one_that_hangs_delays_nobody(void **state)
{
    struct bench *b = bench_open(HOOK("a") "}\n" HOOK("b") "}\n");
    (void)state;
    for (uint64_t i = 0; i < 200; i++) push(b, i, "a");
    for (uint64_t i = 1000; i < 1200; i++) push(b, i, "b");
    core_step(&b->core);
    while (answer(b, "b", 200, NULL)) core_step(&b->core);
    assert_int_equal(b->told_count, 200);
    assert_int_equal(b->flying_count, 2);
    bench_close(b);
}

/* --- the breaker --------------------------------------------------------------------------------------- */
static void test_bad_config_burns_nothing(void **state)
{
    struct bench *b = bench_open(HOOK("a") "}\n");
    (void)state;
    for (uint64_t i = 1; i <= 50; i++) push(b, i, "a");
    core_step(&b->core);
    answer(b, NULL, 401, NULL);
    assert_int_equal(b->opened, 1);
    assert_string_equal(b->reason, "HTTP 401");
    assert_int_equal(b->told_count, 49); /* 48 that waited, and the refused one */
    assert_true(b->told[0].attempted);
    assert_int_equal(b->told[0].outcome, DELIVER_RETRY);
    assert_int_equal(b->told[0].due_ms, T0 + 10000);
    for (size_t i = 1; i < b->told_count; i++) {
        assert_false(b->told[i].attempted);
        assert_int_equal(b->told[i].outcome, DELIVER_RETRY);
        assert_in_range(b->told[i].due_ms, T0 + 10000, T0 + 15000);
    }
    answer(b, NULL, 401, NULL); /* the one that was in flight: no second alarm */
    assert_int_equal(b->opened, 1);
    push(b, 60, "a"); /* comes while it is open */
    core_step(&b->core);
    assert_false(last(b)->attempted);
    clock_virtual_advance(&b->clock, 10000);
    for (uint64_t i = 61; i <= 65; i++) push(b, i, "a");
    core_step(&b->core);
    assert_int_equal(b->flying_count, 1); /* the probe; the others wait for what it finds */
    answer(b, NULL, 401, NULL);
    assert_int_equal(b->opened, 1); /* the operator knows */
    assert_true(last(b)->due_ms >= T0 + 30000);
    assert_int_equal(b->core.stats.waiting, 0);
    clock_virtual_advance(&b->clock, 20000);
    for (uint64_t i = 71; i <= 75; i++) push(b, i, "a");
    core_step(&b->core);
    answer(b, NULL, 200, NULL);
    assert_int_equal(b->closed, 1);
    core_step(&b->core);
    assert_int_equal(b->flying_count, 2);
    assert_int_equal(b->core.stats.dead, 0);
    bench_close(b);
}

static void test_begins_slowly_after_an_outage(void **state)
{
    struct bench *b = bench_open(HOOK("a") "}\n");
    (void)state;
    for (uint64_t i = 1; i <= 60; i++) push(b, i, "a");
    for (core_step(&b->core); answer(b, NULL, 200, NULL);) core_step(&b->core);
    for (uint64_t i = 1; i <= 20; i++) push(b, i, "a");
    core_step(&b->core);
    assert_int_equal(b->flying_count, 8);
    answer(b, NULL, 401, NULL);
    while (answer(b, NULL, 200, NULL)) continue;
    clock_virtual_advance(&b->clock, 10000);
    for (uint64_t i = 1; i <= 20; i++) push(b, i, "a");
    core_step(&b->core);
    answer(b, NULL, 200, NULL);
    core_step(&b->core);
    assert_in_range(b->flying_count, 1, START_LIMIT);
    bench_close(b);
}

static void test_reload_of_a_changed_destination_closes(void **state)
{
    struct bench *b = bench_open(HOOK("a") "}\n" HOOK("b") "}\n");
    struct config *same = bench_config(HOOK("a") "}\n" HOOK("b") "}\n");
    struct config *other = bench_config(HOOK("a") ", authorization: new}\n" HOOK("b") "}\n");
    (void)state;
    for (uint64_t i = 1; i <= 2; i++) push(b, i, "a");
    for (uint64_t i = 3; i <= 3; i++) push(b, i, "b");
    core_step(&b->core);
    answer(b, "a", 401, NULL);
    answer(b, "b", 401, NULL);
    assert_int_equal(b->core.stats.breakers_open, 2);
    core_reload(&b->core, same);
    assert_int_equal(b->core.stats.breakers_open, 2);
    core_reload(&b->core, other);
    assert_int_equal(b->core.stats.breakers_open, 1);
    assert_int_equal(b->closed, 1);
    answer(b, "a", 401, NULL); /* an answer to the old one says nothing of the new one */
    assert_int_equal(b->core.stats.breakers_open, 1);
    assert_int_equal(last(b)->outcome, DELIVER_RETRY);
    push(b, 4, "a");
    core_step(&b->core);
    assert_int_equal(b->flying_count, 1);
    assert_int_equal(b->flying[0]->config == other, 1);
    config_unref(&same);
    config_unref(&other);
    bench_close(b);
}

static void test_removed_destination(void **state)
{
    struct bench *b = bench_open(HOOK("a") "}\n" HOOK("b") "}\n");
    struct config *without = bench_config(HOOK("b") "}\n"),
                  *again = bench_config(HOOK("a") "}\n" HOOK("b") "}\n");
    (void)state;
    for (uint64_t i = 1; i <= 5; i++) push(b, i, "a");
    core_step(&b->core);
    core_reload(&b->core, without);
    assert_int_equal(b->told_count, 3);
    assert_int_equal(last(b)->outcome, DELIVER_DEAD);
    assert_string_equal(last(b)->detail, "destination removed");
    push(b, 6, "a");
    assert_int_equal(b->told_count, 4);
    answer(b, "a", 200, NULL); /* in flight: ends under its old destination */
    assert_int_equal(last(b)->outcome, DELIVER_DELIVERED);
    core_reload(&b->core, again); /* back, with one of its old life still in flight */
    push(b, 7, "a");
    core_step(&b->core);
    assert_int_equal(b->flying_count, 2);
    while (answer(b, "a", 200, NULL)) continue;
    assert_int_equal(b->told_count, 7);
    core_reload(&b->core, without);
    assert_int_equal(b->core.list.n, 1); /* forgotten with its last exchange */
    config_unref(&without);
    config_unref(&again);
    bench_close(b);
}

static void test_given_back_at_the_end(void **state)
{
    struct bench *b = bench_open(HOOK("a") "}\n");
    (void)state;
    for (uint64_t i = 1; i <= 5; i++) push(b, i, "a");
    core_step(&b->core);
    core_give_back(&b->core);
    assert_int_equal(b->told_count, 3);
    core_abort(&b->core);
    assert_int_equal(b->told_count, 5);
    assert_int_equal(b->forgotten, 2);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(b->told[i].outcome, DELIVER_RETRY);
        assert_false(b->told[i].attempted);
        assert_int_equal(b->told[i].due_ms, T0);
    }
    bench_close(b);
}

/* --- an hour of outage --------------------------------------------------------------------------------- */
/* A store in miniature: keeps what is due and hands it over again. */
struct kept { uint64_t id; char destination[8]; int64_t due_ms, attempts; bool here, over; };
enum { PLACES = 20, PER_PLACE = 300 };
struct outage {
    struct bench *b;
    struct kept kept[PLACES * PER_PLACE];
    size_t n, seen; /* told results that were looked at */
    int attempts[PLACES], before_open;
    int64_t late_ms; /* the longest a healthy place's message took */
};

static int place_number(const char *name)
{
    return (int)(name[1] - 'a');
}

static void hand_over_due(struct outage *o, int64_t now_ms)
{
    size_t held[PLACES] = { 0 };
    for (size_t i = 0; i < o->n; i++) held[place_number(o->kept[i].destination)] += o->kept[i].here;
    for (size_t i = 0; i < o->n; i++) {
        struct kept *k = &o->kept[i];
        struct deliver_job j;
        if (k->here || k->over || k->due_ms > now_ms || held[place_number(k->destination)]++ >= QUEUE_MOST)
            continue;
        j = bench_job(k->id, k->destination);
        j.attempts = k->attempts;
        j.expires_ms = T0 + 86400000;
        k->here = true;
        core_push(&o->b->core, job_new(&j));
    }
}

static void look_at_results(struct outage *o)
{
    for (; o->seen < o->b->told_count; o->seen++) {
        const struct told *t = &o->b->told[o->seen];
        struct kept *k = &o->kept[t->delivery];
        k->here = false;
        k->attempts += t->attempted;
        k->due_ms = t->due_ms;
        k->over = t->outcome != DELIVER_RETRY;
        assert_int_not_equal(t->outcome, DELIVER_DEAD);
    }
    if (o->b->told_count > TOLD_MOST / 2) o->seen = o->b->told_count = 0;
}

static void answer_all(struct outage *o, bool outage)
{
    while (o->b->flying_count) {
        const char *name = o->b->flying[0]->dest->name.p;
        int place = place_number(name);
        o->attempts[place]++;
        if (place == 0 && o->b->opened == 0) o->before_open++;
        answer(o->b, NULL, place == 0 && outage ? 0 : 200, NULL);
    }
}

static bool all_over(const struct outage *o)
{
    for (size_t i = 0; i < o->n; i++)
        if (!o->kept[i].over) return false;
    return true;
}

/* Each place gets a message every 12 s; the first one is dead for an hour. */
static void test_an_hour_of_outage(void **state)
{
    static struct outage o;
    struct strbuf yaml;
    int64_t end = T0 + 3600000, now_ms = T0;
    (void)state;
    strbuf_init(&yaml, 1 << 16);
    for (int i = 0; i < PLACES; i++)
        strbuf_printf(&yaml, "  p%c: {type: webhook, url: \"https://p%c.example/x\"}\n", 'a' + i, 'a' + i);
    o.b = bench_open(yaml.p);
    while (!(now_ms >= end && all_over(&o)) && now_ms < end + 3600000) {
        int64_t tick = (now_ms - T0) / 12000;
        while ((int64_t)o.n < (tick + 1) * PLACES && o.n < COUNT(o.kept)) {
            struct kept *k = &o.kept[o.n];
            *k = (struct kept){ .id = o.n, .due_ms = now_ms };
            snprintf(k->destination, sizeof k->destination, "p%c", (char)('a' + (char)(o.n % PLACES)));
            o.n++;
        }
        for (size_t before = 1; before != o.seen;) {
            before = o.seen;
            hand_over_due(&o, now_ms);
            core_step(&o.b->core);
            answer_all(&o, now_ms < end);
            look_at_results(&o);
        }
        for (size_t i = 0; i < o.n; i++) /* the healthy ones never wait */
            if (i % PLACES) assert_true(o.kept[i].over);
        clock_virtual_advance(&o.b->clock, 500);
        now_ms += 500;
    }
    assert_true(all_over(&o));
    assert_true(now_ms < end + 400000); /* within the longest cool-down, and its spread */
    assert_in_range(o.before_open, 5, 10);
    assert_true(o.attempts[0] < PER_PLACE + 40); /* an hour of it cost some twenty probes */
    assert_int_equal(o.attempts[1], PER_PLACE);
    assert_int_equal(o.b->opened, 1);
    assert_int_equal(o.b->closed, 1);
    strbuf_fini(&yaml);
    bench_close(o.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivered),
        cmocka_unit_test(test_slow_start_and_order),
        cmocka_unit_test(test_refused_body_goes_plain_then_dead),
        cmocka_unit_test(test_what_cannot_be_built),
        cmocka_unit_test(test_too_old),
        cmocka_unit_test(test_gone_target),
        cmocka_unit_test(test_console),
        cmocka_unit_test(test_long_pause_is_spent_in_the_store),
        cmocka_unit_test(test_short_pause_is_spent_here),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_one_that_hangs_delays_nobody),
        cmocka_unit_test(test_bad_config_burns_nothing),
        cmocka_unit_test(test_begins_slowly_after_an_outage),
        cmocka_unit_test(test_reload_of_a_changed_destination_closes),
        cmocka_unit_test(test_removed_destination),
        cmocka_unit_test(test_given_back_at_the_end),
        cmocka_unit_test(test_an_hour_of_outage),
    };
    setenv("TEST_SLACK", "xoxb-123456789012-canary", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
