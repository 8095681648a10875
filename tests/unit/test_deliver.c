/* The deliver thread against a small HTTP server with every fault there is, over loopback and real time. */
#include "deliver_testing.h"
#include "deliver_server.h"

#include <time.h>

#include "base/id.h"

/* --- the bench: deliver, and what it told -------------------------------------------------------------- */
struct bench {
    struct server *server;
    struct config *config;
    struct deliver *deliver;
    struct rng rng;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct told told[4096];
    size_t told_count;
    int opened, closed;
};

static void bench_done(void *ctx, const struct deliver_result *r)
{
    struct bench *b = ctx;
    pthread_mutex_lock(&b->lock);
    assert_true(b->told_count < COUNT(b->told));
    told_fill(&b->told[b->told_count++], r);
    pthread_cond_broadcast(&b->moved);
    pthread_mutex_unlock(&b->lock);
}

static void bench_health(void *ctx, const struct deliver_health *h)
{
    struct bench *b = ctx;
    pthread_mutex_lock(&b->lock);
    if (h->open) b->opened++;
    else b->closed++;
    pthread_cond_broadcast(&b->moved);
    pthread_mutex_unlock(&b->lock);
}

/* %d in the YAML: the server's port. */
static struct config *config_for(const struct server *s, const char *yaml)
{
    struct strbuf b;
    struct config *c;
    strbuf_init(&b, 1 << 16);
    for (const char *at; (at = strstr(yaml, "%d")); yaml = at + 2) {
        strbuf_add(&b, yaml, (size_t)(at - yaml));
        strbuf_printf(&b, "%d", s->port);
    }
    strbuf_c(&b, yaml);
    c = bench_config(b.p);
    strbuf_fini(&b);
    return c;
}

static struct bench *bench_open(const char *yaml)
{
    struct bench *b = xcalloc(1, sizeof *b);
    struct deliver_callbacks cb = { bench_done, bench_health, b };
    struct err err;
    log_setup(LOG_LOGFMT, LOG_ERROR + 1); /* silent */
    b->server = server_open();
    b->config = config_for(b->server, yaml);
    rng_seed(&b->rng, 1);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->moved, NULL);
    b->deliver = deliver_start(b->config, clock_system(), &b->rng, &cb, &err);
    assert_non_null(b->deliver);
    return b;
}

static void bench_close(struct bench *b)
{
    deliver_stop(&b->deliver, 0);
    server_close(b->server);
    config_unref(&b->config);
    pthread_cond_destroy(&b->moved);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static void push(struct bench *b, uint64_t id, const char *destination)
{
    struct deliver_job j = bench_job(id, destination);
    assert_true(deliver_push(b->deliver, &j));
}

static size_t count_told(const struct bench *b, const char *destination)
{
    size_t n = 0;
    for (size_t i = 0; i < b->told_count; i++)
        n += !destination || strcmp(b->told[i].destination, destination) == 0;
    return n;
}

/* Waits until n results are there for the destination (NULL: any). */
static void wait_told(struct bench *b, const char *destination, size_t n)
{
    struct timespec end;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 30;
    pthread_mutex_lock(&b->lock);
    while (count_told(b, destination) < n && rc == 0) rc = pthread_cond_timedwait(&b->moved, &b->lock, &end);
    if (rc)
        fail_msg("%zu of %zu results for %s", count_told(b, destination), n,
                 destination ? destination : "all");
    pthread_mutex_unlock(&b->lock);
}

static void wait_health(struct bench *b, int opened, int closed)
{
    struct timespec end;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 30;
    pthread_mutex_lock(&b->lock);
    while ((b->opened < opened || b->closed < closed) && rc == 0)
        rc = pthread_cond_timedwait(&b->moved, &b->lock, &end);
    assert_int_equal(b->opened, opened);
    assert_int_equal(b->closed, closed);
    pthread_mutex_unlock(&b->lock);
}

static struct told told_of(struct bench *b, const char *destination)
{
    struct told t = { 0 };
    wait_told(b, destination, 1);
    pthread_mutex_lock(&b->lock);
    for (size_t i = b->told_count; i-- > 0;)
        if (strcmp(b->told[i].destination, destination) == 0) t = b->told[i];
    pthread_mutex_unlock(&b->lock);
    return t;
}

/* A destination; those that time out on purpose say how soon. */
#define HOOK_IN(time, name, path) "  " name ": {type: webhook, timeout: " time ", url: \"http://127.0.0.1:%d/" path "\"}\n"
#define HOOK(name, path) HOOK_IN("60s", name, path)

/* --- tests --------------------------------------------------------------------------------------------- */
static void test_every_fault(void **state)
{
    static const struct {
        const char *name;
        enum deliver_outcome outcome;
        enum verdict_class class;
        int status;
        bool plain;
        const char *detail;
    } cases[] = {
        { "ok", DELIVER_DELIVERED, VERDICT_OK, 204, false, "HTTP 204" },
        { "e500", DELIVER_RETRY, VERDICT_RETRY, 500, false, "HTTP 500: oops" },
        { "e400", DELIVER_RETRY, VERDICT_BAD_PAYLOAD, 400, true, "HTTP 400" },
        { "e401", DELIVER_RETRY, VERDICT_BAD_CONFIG, 401, false, "HTTP 401" },
        { "e429", DELIVER_RETRY, VERDICT_RATE_LIMITED, 429, false, "HTTP 429" },
        { "e301", DELIVER_RETRY, VERDICT_BAD_CONFIG, 301, false, "HTTP 301" },
        { "e100", DELIVER_RETRY, VERDICT_RETRY, 503, false, "HTTP 503" },
        { "trailer", DELIVER_DELIVERED, VERDICT_OK, 200, false, "HTTP 200" },
        { "garbage", DELIVER_RETRY, VERDICT_UNCERTAIN, 0, false, "the answer is not HTTP" },
        { "half-head", DELIVER_RETRY, VERDICT_UNCERTAIN, 0, false, NULL },
        { "close", DELIVER_RETRY, VERDICT_UNCERTAIN, 0, false,
          "the connection was closed without an answer" },
        { "hang", DELIVER_RETRY, VERDICT_UNCERTAIN, 0, false, "no answer within the timeout" },
        { "short", DELIVER_DELIVERED, VERDICT_OK, 200, false, "HTTP 200" },
        { "slow", DELIVER_DELIVERED, VERDICT_OK, 200, false, "HTTP 200" },
        { "endless", DELIVER_RETRY, VERDICT_RETRY, 500, false, NULL },
        { "refused", DELIVER_RETRY, VERDICT_RETRY, 0, false, "connection refused" },
        { "noname", DELIVER_RETRY, VERDICT_RETRY, 0, false, NULL },
        { "tls", DELIVER_RETRY, VERDICT_RETRY, 0, false, NULL },
    };
    struct bench *b = bench_open(
        HOOK("ok", "ok") HOOK("e500", "500") HOOK("e400", "400") HOOK("e401", "401") HOOK("e429", "429")
        HOOK("e301", "301") HOOK("e100", "100") HOOK("garbage", "garbage") HOOK("half-head", "half-head")
        HOOK("trailer", "trailer") HOOK("close", "close") HOOK("short", "short") HOOK("endless", "endless")
        HOOK_IN("400ms", "hang", "hang") HOOK_IN("3s", "slow", "slow")
        "  refused: {type: webhook, url: \"http://127.0.0.1:1/s3cr3t\"}\n"
        "  noname: {type: webhook, timeout: 5s, url: \"http://nothing.invalid/s3cr3t\"}\n"
        "  tls: {type: webhook, url: \"https://127.0.0.1:%d/s3cr3t\"}\n");
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) push(b, i + 1, cases[i].name);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct told t = told_of(b, cases[i].name);
        if (t.outcome != cases[i].outcome || t.class != cases[i].class || t.status != cases[i].status ||
            t.plain != cases[i].plain || (cases[i].detail && strcmp(t.detail, cases[i].detail) != 0))
            fail_msg("%s: outcome %d, %s, status %d, \"%s\"", cases[i].name, (int)t.outcome,
                     verdict_class_name(t.class), t.status, t.detail);
        assert_true(t.attempted);
        assert_null(strstr(t.detail, "s3cr3t"));
        if (t.status == 429) assert_in_range(t.due_ms, t.at_ms + 7000, t.at_ms + t.took_ms + 8100);
        if (t.status == 503) assert_in_range(t.due_ms, t.at_ms + 3000, t.at_ms + t.took_ms + 4100);
    }
    assert_int_equal(server_saw(b->server, "/elsewhere"), 0);
    wait_health(b, 2, 0); /* 401, and the redirect */
    assert_int_equal(deliver_stats(b->deliver).breakers_open, 2);
    bench_close(b);
}

static void test_the_request(void **state)
{
    struct bench *b =
        bench_open("  a: {type: webhook, authorization: Bearer x, url: \"http://127.0.0.1:%d/ok\"}\n");
    struct seen *s;
    char id[ID_SIZE];
    (void)state;
    for (uint64_t i = 1; i <= 20; i++) {
        push(b, 7, "a");
        wait_told(b, "a", i);
    }
    assert_int_equal(b->server->worker_count, 1); /* one after another: one connection */
    s = &b->server->seen[19];
    id_format("dlv", 7, id);
    assert_string_equal(s->id, id); /* the same each time */
    assert_string_equal(b->server->seen[0].id, id);
    assert_memory_equal(s->head, "POST /ok HTTP/1.1\r\n", 19);
    assert_non_null(strstr(s->head, "Authorization: Bearer x\r\n"));
    assert_non_null(strstr(s->head, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(s->head, "User-Agent: runbell/" RUNBELL_VERSION "\r\n"));
    assert_null(strcasestr(s->head, "expect:"));
    bench_close(b);
}

static void test_dead_ones_delay_nobody(void **state)
{
    struct bench *b = bench_open(HOOK("good", "ok") HOOK_IN("400ms", "hang", "hang") HOOK("close", "close")
                                 "  refused: {type: webhook, url: \"http://127.0.0.1:1/\"}\n");
    static const char *const bad[] = { "hang", "close", "refused" };
    int64_t start = clock_mono(clock_system()).ms, took;
    size_t told_bad;
    (void)state;
    for (uint64_t i = 0; i < 150; i++) push(b, 1000 + i, bad[i % 3]);
    for (uint64_t i = 0; i < 250; i++) push(b, i + 1, "good");
    wait_told(b, "good", 250);
    took = clock_mono(clock_system()).ms - start;
    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < b->told_count; i++)
        if (strcmp(b->told[i].destination, "good") == 0)
            assert_int_equal(b->told[i].outcome, DELIVER_DELIVERED);
    told_bad = count_told(b, "hang");
    pthread_mutex_unlock(&b->lock);
    if (took < 400) assert_int_equal(told_bad, 0); /* the good ones were through before the first timeout */
    wait_told(b, NULL, 400); /* some failures each, then the breaker gives the rest back */
    wait_health(b, 3, 0);
    bench_close(b);
}

static void test_order_on_one_connection(void **state)
{
    struct bench *b = bench_open(HOOK("a", "ok"));
    (void)state;
    for (uint64_t i = 1; i <= 100; i++) { /* a lane: the next one when the one before is done */
        push(b, i, "a");
        wait_told(b, "a", i);
        assert_int_equal(b->told[i - 1].delivery, i);
    }
    bench_close(b);
}

static void test_room(void **state)
{
    struct bench *b = bench_open(HOOK("a", "hang") HOOK("b", "ok"));
    struct deliver_job j = bench_job(1, "a");
    uint64_t pushed = 0;
    (void)state;
    assert_int_equal(deliver_room(b->deliver, STR("a")), QUEUE_MOST);
    while (deliver_push(b->deliver, &j)) pushed++;
    assert_int_equal(pushed, QUEUE_MOST);
    assert_int_equal(deliver_room(b->deliver, STR("a")), 0);
    assert_int_equal(deliver_room(b->deliver, STR("b")), QUEUE_MOST);
    push(b, 2, "b");
    wait_told(b, "b", 1);
    assert_int_equal(deliver_room(b->deliver, STR("b")), QUEUE_MOST);
    bench_close(b);
}

static void test_no_proxy_from_the_environment(void **state)
{
    struct bench *b;
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    setenv("no_proxy", "127.0.0.1", 1);
    b = bench_open(HOOK(
        "a", "ok") "  p: {type: webhook, proxy: \"http://127.0.0.1:%d\", url: \"http://127.0.0.1:1/ok\"}\n");
    push(b, 1, "a");
    push(b, 2, "p");
    assert_int_equal(told_of(b, "a").outcome, DELIVER_DELIVERED);
    wait_told(b, "p", 1);
    assert_int_equal(server_saw(b->server, "http://127.0.0.1:1/ok"), 1);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    unsetenv("no_proxy");
    bench_close(b);
}

static void test_stop_waits_for_those_in_flight(void **state)
{
    struct bench *b = bench_open(HOOK_IN("2s", "a", "hang"));
    size_t in_time = 0, given_back = 0;
    (void)state;
    for (uint64_t i = 1; i <= 10; i++) push(b, i, "a");
    while (server_saw(b->server, "/hang") < 2) sched_yield(); /* in flight */
    deliver_stop(&b->deliver, 60000);                         /* longer than they take to time out */
    assert_int_equal(b->told_count, 10);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(b->told[i].outcome, DELIVER_RETRY);
        in_time += b->told[i].attempted && b->told[i].class == VERDICT_UNCERTAIN;
        given_back += !b->told[i].attempted;
    }
    assert_true(in_time >= 2);
    assert_int_equal(in_time + given_back, 10);
    bench_close(b);
}

static void test_stop_without_grace(void **state)
{
    struct bench *b = bench_open("  a: {type: webhook, timeout: 60s, url: \"http://127.0.0.1:%d/hang\"}\n");
    int64_t start;
    (void)state;
    for (uint64_t i = 1; i <= 10; i++) push(b, i, "a");
    while (server_saw(b->server, "/hang") < 2) sched_yield();
    start = clock_mono(clock_system()).ms;
    deliver_stop(&b->deliver, 50);
    assert_in_range(clock_mono(clock_system()).ms - start, 0, 10000);
    assert_int_equal(b->told_count, 10);
    for (size_t i = 0; i < 10; i++) assert_false(b->told[i].attempted);
    bench_close(b);
}

static void test_reload_changes_and_removes(void **state)
{
    struct bench *b = bench_open(HOOK("a", "401") HOOK("b", "ok"));
    struct config *better = config_for(b->server, HOOK("a", "ok") HOOK("c", "ok"));
    (void)state;
    push(b, 1, "a");
    wait_health(b, 1, 0);
    assert_int_equal(deliver_stats(b->deliver).breakers_open, 1);
    deliver_reload(b->deliver, better);
    push(b, 2, "a");
    push(b, 3, "b");
    push(b, 4, "c");
    wait_told(b, NULL, 4);
    assert_int_equal(told_of(b, "b").outcome, DELIVER_DEAD);
    assert_string_equal(told_of(b, "b").detail, "destination removed");
    assert_int_equal(told_of(b, "c").outcome, DELIVER_DELIVERED);
    wait_told(b, "a", 2);
    assert_int_equal(server_saw(b->server, "/ok"), 2);
    wait_health(b, 1, 1);
    config_unref(&better);
    bench_close(b);
}

static void test_describe(void **state)
{
    struct bench *b = bench_open(HOOK("a", "401") HOOK("b", "ok") HOOK("c", "429"));
    struct strbuf text;
    struct json_writer w;
    (void)state;
    push(b, 1, "a");
    push(b, 2, "b");
    push(b, 3, "c");
    wait_told(b, NULL, 3);
    deliver_stop(&(struct deliver *){ NULL }, 0); /* nothing is fine, too */
    strbuf_init(&text, 4096);
    do { /* published after the callback */
        strbuf_clear(&text);
        json_writer_init(&w, &text);
        deliver_describe(b->deliver, &w);
    } while (strstr(text.p, "\"in_flight\":1") || !strstr(text.p, "throttled"));
    assert_string_equal(text.p, "[{\"name\":\"a\",\"type\":\"webhook\",\"state\":\"breaker_open\",\"reason\":"
                                "\"HTTP 401\",\"in_flight\":0,\"waiting\":0},"
                                "{\"name\":\"b\",\"type\":\"webhook\",\"state\":\"ok\",\"reason\":\"\",\"in_"
                                "flight\":0,\"waiting\":0},"
                                "{\"name\":\"c\",\"type\":\"webhook\",\"state\":\"throttled\",\"reason\":"
                                "\"\",\"in_flight\":0,\"waiting\":0}]");
    strbuf_fini(&text);
    bench_close(b);
}

/* Four threads push while another reloads and a fifth looks: for the thread sanitizer, and for the count. */
struct pusher { struct bench *b; uint64_t first; };

static void *push_many(void *ctx)
{
    struct pusher *p = ctx;
    for (uint64_t i = 0; i < 500; i++) {
        struct deliver_job j = bench_job(p->first + i, i % 2 ? "a" : "b");
        while (!deliver_push(p->b->deliver, &j)) sched_yield();
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    struct bench *b = bench_open(HOOK("a", "ok") HOOK("b", "ok"));
    struct config *two[2] = { config_for(b->server, HOOK("b", "ok") HOOK("a", "ok")),
                              config_for(b->server, HOOK("a", "ok") HOOK("b", "ok") HOOK("c", "ok")) };
    struct pusher pushers[4];
    pthread_t threads[4];
    static bool seen[4 * 500];
    struct strbuf text;
    struct json_writer w;
    (void)state;
    strbuf_init(&text, 4096);
    for (uint64_t i = 0; i < 4; i++) {
        pushers[i] = (struct pusher){ b, i * 500 };
        pthread_create(&threads[i], NULL, push_many, &pushers[i]);
    }
    for (int i = 0; i < 200; i++) {
        deliver_reload(b->deliver, two[i % 2]);
        strbuf_clear(&text);
        json_writer_init(&w, &text);
        deliver_describe(b->deliver, &w);
        assert_true(deliver_stats(b->deliver).dead == 0 && deliver_room(b->deliver, STR("a")) <= QUEUE_MOST);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    wait_told(b, NULL, 2000);
    for (size_t i = 0; i < b->told_count; i++) {
        assert_int_equal(b->told[i].outcome, DELIVER_DELIVERED);
        assert_false(seen[b->told[i].delivery]);
        seen[b->told[i].delivery] = true;
    }
    assert_int_equal(server_saw(b->server, "/ok"), 2000);
    strbuf_fini(&text);
    config_unref(&two[0]);
    config_unref(&two[1]);
    bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_fault),
        cmocka_unit_test(test_the_request),
        cmocka_unit_test(test_dead_ones_delay_nobody),
        cmocka_unit_test(test_order_on_one_connection),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_no_proxy_from_the_environment),
        cmocka_unit_test(test_stop_waits_for_those_in_flight),
        cmocka_unit_test(test_stop_without_grace),
        cmocka_unit_test(test_reload_changes_and_removes),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
