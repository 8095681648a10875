#include "http_testing.h"

#define RUN(id) "{\"id\":\"run_" id "\",\"status\":\"CRASHED\",\"taskIdentifier\":\"t\",\"env\":\"prod\"}"
#define SMALL "{\"id\":\"run_1\",\"status\":\"CRASHED\"}" /* 33 bytes */
#define JSON "Content-Type: application/json\r\n"
#define HEAD "POST /v1/events HTTP/1.1\r\nHost: localhost\r\n"

static const char yaml_tokens[] =
    "version: 1\nserver:\n  listen: \"127.0.0.1:0\"\n  token: api-secret\n  limits: {body: 64KiB, batch: 3}\nsources:\n"
    "  push: {type: webhook, token: push-secret, project: shop}\n"
    "  open: {type: webhook, path: /in/open, env: staging}\n" YAML_TAIL;

/* --- one request, one answer ----------------------------------------------------------------------- */

static const struct one {
    const char *line, *headers, *body;
    int status;
    const char *part; /* of head and body */
} tokens[] = {
    { "POST /v1/events", JSON, RUN("1"), 401, "application/problem+json" },
    { "POST /v1/events", JSON "Authorization: Bearer wrong\r\n", RUN("1"), 401, "WWW-Authenticate: Bearer" },
    { "POST /v1/events", JSON "Authorization: Basic push-secret\r\n", RUN("1"), 401, NULL },
    { "POST /v1/events", JSON "Authorization: Bearer push-secret2\r\n", RUN("1"), 401, NULL },
    { "POST /v1/events", JSON "Authorization: Bearer api-secret\r\n", RUN("1"), 401, NULL },
    { "POST /v1/events", JSON "Authorization: Bearer push-secret\r\n", RUN("1"), 202, "\"accepted\":1,\"duplicates\":0,\"rejected\":[],\"ids\":[\"evt_0" },
    { "POST /v1/events", JSON "authorization: bearer push-secret\r\n", RUN("1"), 202, NULL },
    { "POST /in/open", JSON, RUN("1"), 202, NULL },
    { "POST /in/open", "", RUN("1"), 202, NULL },
    { "POST /in/open", "Content-Type: application/json; charset=utf-8\r\n", RUN("1"), 202, NULL },
    { "POST /in/open", "Content-Type: application/vnd.x+json\r\n", RUN("1"), 202, NULL },
    { "POST /in/open", "Content-Type: application/x-ndjson\r\n", RUN("1") "\n" RUN("2"), 202, "\"accepted\":2" },
    { "POST /in/open", JSON, RUN("1") "\n" RUN("2"), 202, "\"accepted\":2" },
    { "POST /in/open", JSON, "[" RUN("1") "," RUN("again") ",{}]", 202, "\"accepted\":1,\"duplicates\":1,\"rejected\":[{\"index\":2,\"error\":\"" },
    { "POST /in/open", "Content-Type: text/plain\r\n", RUN("1"), 415, "application/x-ndjson" },
    { "POST /in/open", "Content-Type: application/x-www-form-urlencoded\r\n", RUN("1"), 415, NULL },
    { "POST /in/open", JSON "Content-Encoding: gzip\r\n", RUN("1"), 415, "Content-Encoding" },
    { "POST /in/open", JSON, "", 400, "\"position\"" },
    { "POST /in/open", JSON, "{\"id\":\n  nope}", 400, "\"position\":{\"line\":2,\"column\":3,\"offset\":9}" },
    { "POST /in/open", JSON, "[]", 400, "no run in it" },
    { "POST /in/open", JSON, "{\"status\":\"CRASHED\"}", 400, "id" },
    { "POST /in/open", JSON, "[" RUN("1") "," RUN("2") "," RUN("3") "]", 202, "\"accepted\":3" },
    { "POST /in/open", JSON, "[" RUN("1") "," RUN("2") "," RUN("3") "," RUN("4") "]", 413, "at most 3" },
    { "POST /in/open", JSON, RUN("fail"), 503, "disk full" },
    { "POST /in/open", JSON, RUN("fail"), 503, "Retry-After: 1" },
    { "GET /in/open", "", "", 405, "Allow: POST" },
    { "PUT /v1/events", "", "", 405, "Allow: POST" },
    { "POST /nowhere", JSON, RUN("1"), 404, "application/problem+json" },
    { "GET /", "", "", 404, NULL },
    { "GET /v1/incidents", "", "", 401, "the API" },
    { "GET /v1/incidents", "Authorization: Bearer push-secret\r\n", "", 401, NULL },
    { "GET /v1/incidents", "Authorization: Bearer api-secret\r\n", "", 200, "{\"data\":[{\"id\":\"inc_" },
    { "GET /metrics", "", "", 401, NULL },
    { "GET /metrics", "Authorization: Bearer api-secret\r\n", "", 200, "runbell_incidents{state=\"open\"} 5\n" },
    { "GET /healthz", "", "", 200, "ok" },
    { "GET /readyz", "", "", 200, "ready" },
    { "DELETE /healthz", "", "", 405, "Allow: GET, HEAD" },
    { "GET /%zz", "", "", 400, "escape" },
    { "GET /healthz%00", "", "", 400, "control" },
};

static const struct one api[] = {
    { "GET /v1/incidents?state=open&limit=2", "", "", 200, "\"next\":\"inc_0000000000009\"}" },
    { "GET /v1/incidents?after=inc_0000000000009&limit=8", "", "", 200, "\"id\":\"inc_0000000000001\"" },
    { "GET /v1/incidents", "", "", 200, "\"severity\":\"error\",\"title\":\"t failed \\\"twice\\\"\"" },
    { "GET /v1/incidents", "", "", 200, "\"opened_at\":\"1970-01-01T00:00:01.000Z\"" },
    { "GET /v1/incidents?task=none", "", "", 200, "{\"data\":[]}" },
    { "GET /v1/incidents?state=ajar", "", "", 400, "acknowledged" },
    { "GET /v1/incidents?stat=open", "", "", 400, "unknown query parameter `stat`" },
    { "GET /v1/incidents?state=open&state=open", "", "", 400, "twice" },
    { "GET /v1/incidents?limit=0", "", "", 400, "limit" },
    { "GET /v1/incidents?limit=501", "", "", 400, "limit" },
    { "GET /v1/incidents?after=inc_1", "", "", 400, "after" },
    { "GET /v1/incidents?rule=broken", "", "", 503, "store" },
    { "GET /v1/incidents/inc_0000000000003", "", "", 200, "\"timeline\":[{\"at\":\"1970-01-01T00:00:01.000Z\",\"what\":\"opened\"" },
    { "GET /v1/incidents/inc_0000000000003", "", "", 200, "\"tries\":[{" },
    { "GET /v1/incidents/inc_000000000000z", "", "", 404, "no such incident" },
    { "GET /v1/incidents/7", "", "", 404, "inc_" },
    { "POST /v1/incidents/inc_0000000000003/ack", JSON, "{\"who\":\"ann\",\"why\":\"on it\"}", 200, "\"done\":\"acknowledged\"" },
    { "POST /v1/incidents/inc_0000000000003/resolve", "", "", 200, "\"done\":\"resolved\"" },
    { "POST /v1/incidents/inc_0000000000003/snooze", JSON, "{\"for\":\"2h\"}", 200, "\"done\":\"snoozed\"" },
    { "POST /v1/incidents/inc_0000000000003/snooze", JSON, "{\"for\":\"soon\"}", 400, "duration" },
    { "POST /v1/incidents/inc_0000000000003/snooze", "", "", 400, "how long" },
    { "POST /v1/incidents/inc_0000000000003/ack", JSON, "{\"who\":7}", 400, "texts" },
    { "POST /v1/incidents/inc_0000000000003/ack", JSON, "{\"who\":}", 400, "\"position\"" },
    { "POST /v1/incidents/inc_00000000000cm/ack", "", "", 404, "no such open incident" },
    { "GET /v1/incidents/inc_0000000000003/ack", "", "", 405, "Allow: POST" },
    { "GET /v1/deliveries?state=dead", "", "", 200, "\"last_error\":\"HTTP 500\"" },
    { "GET /v1/deliveries?state=pending", "", "", 200, "{\"data\":[]}" },
    { "GET /v1/deliveries?state=lost", "", "", 400, "retrying" },
    { "POST /v1/deliveries/dlv_0000000000009/retry", "", "", 202, "{\"id\":\"dlv_0000000000009\",\"state\":\"pending\"}" },
    { "POST /v1/deliveries/9/retry", "", "", 404, "dlv_" },
    { "GET /v1/runs/run_known", "", "", 200, "\"transitions\":[{\"state\":\"CRASHED\",\"status\":\"CRASHED\"" },
    { "GET /v1/runs/run_known", "", "", 200, "\"run\":{\"id\":\"run_known\"}" },
    { "GET /v1/runs/run_other", "", "", 404, "never seen" },
    { "GET /v1/rejected", "", "", 200, "\"reason\":\"no id\",\"body\":\"{}\xef\xbf\xbd\"" },
    { "GET /v1/rules", "", "", 200, "\"name\":\"any-crash\"" },
    { "GET /v1/sources", "", "", 200, "\"path\":\"/v1/events\",\"token\":false" },
    { "GET /v1/destinations", "", "", 200, "{\"data\":[{\"name\":\"ops\"" },
    { "POST /v1/destinations/ops/send", "", "", 202, "dlv_" },
    { "POST /v1/destinations/none/send", "", "", 404, "no destination" },
    { "GET /v1/status", "", "", 200, "\"accepted\":41" },
    { "GET /metrics", "", "", 200, "runbell_events_total{kind=\"accepted\"} 41\n" },
    { "GET /metrics", "", "", 200, "runbell_dropped_total 0\n" },
    { "GET /metrics", "", "", 200, "runbell_commit_seconds_total 1.500000\n" },
    /* a page of another origin, and another name for this machine */
    { "POST /v1/destinations/ops/send", "Origin: https://evil.example\r\n", "", 403, "origin" },
    { "POST /v1/destinations/ops/send", "Origin: http://localhost\r\n", "", 202, NULL },
    { "POST /v1/events", "Origin: https://evil.example\r\n", RUN("x"), 403, "origin" },
    { "POST /v1/events", "Origin: http://localhost\r\n", RUN("x"), 202, NULL },
};

static void check_one(const struct server *s, const struct one *o)
{
    static struct answer a;
    ask(s, o->line, o->headers, o->body, &a);
    if (a.status != o->status) fail_msg("%s %s %s: %s", o->line, o->headers, o->body, a.text);
    if (o->part && !strstr(a.text, o->part)) fail_msg("%s %s: no `%s` in %s", o->line, o->body, o->part, a.text);
}

static void test_tokens_and_ingest(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, yaml_tokens, NULL);
    for (size_t i = 0; i < COUNT_OF(tokens); i++) check_one(&s, &tokens[i]);
    server_stop(&s);
}

static void test_api(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    for (size_t i = 0; i < COUNT_OF(api); i++) check_one(&s, &api[i]);
    server_stop(&s);
}

static void test_what_the_pipeline_gets(void **state)
{
    static struct answer a;
    struct server s;
    (void)state;
    server_start(&s, yaml_tokens, NULL);
    ask(&s, "POST /v1/events", "Authorization: Bearer push-secret\r\n", RUN("x"), &a);
    assert_string_equal(s.stub.run, "run_x");
    assert_string_equal(s.stub.project, "shop");
    assert_string_equal(s.stub.env, "prod");
    ask(&s, "POST /in/open", "", RUN("x"), &a);
    assert_string_equal(s.stub.project, "default");
    assert_string_equal(s.stub.env, "staging");
    ask(&s, "POST /in/open", "", "{\"id\":", &a);
    assert_int_equal(s.stub.kind, PIPELINE_REJECTED);
    assert_true(s.stub.reason[0]);
    s.stub.requests = 0;
    ask(&s, "POST /v1/events", "", "{\"id\":", &a); /* not authenticated: nothing is kept */
    assert_int_equal(s.stub.requests, 0);
    ask(&s, "POST /v1/incidents/inc_0000000000003/snooze", "Authorization: Bearer api-secret\r\n",
        "{\"who\":\"ann\",\"why\":\"later\",\"for\":\"1h30m\"}", &a);
    assert_int_equal(s.stub.kind, PIPELINE_COMMAND);
    assert_int_equal(s.stub.command, ENGINE_SNOOZE);
    assert_int_equal(s.stub.incident, 3);
    assert_int_equal(s.stub.for_ms, 5400000);
    assert_string_equal(s.stub.who, "ann");
    assert_string_equal(s.stub.why, "later");
    server_stop(&s);
}

static void test_secrets_stay_secret(void **state)
{
    static const char *const paths[] = { "GET /v1/status", "GET /v1/sources", "GET /v1/rules", "GET /v1/destinations",
                                         "GET /metrics" };
    static struct answer a;
    struct server s;
    (void)state;
    server_start(&s, yaml_tokens, NULL);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        ask(&s, paths[i], "Authorization: Bearer api-secret\r\n", "", &a);
        assert_int_equal(a.status, 200);
        assert_null(strstr(a.text, "api-secret"));
        assert_null(strstr(a.text, "push-secret"));
    }
    server_stop(&s);
}

static void test_foreign_host_name(void **state)
{
    static struct answer a;
    struct server s;
    int fd;
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    fd = dial(s.port);
    exchange(fd, "GET /v1/status HTTP/1.1\r\nHost: evil.example:8484\r\n\r\n", &a);
    assert_int_equal(a.status, 403);
    exchange(fd, "GET /v1/status HTTP/1.1\r\nHost: 127.evil.example:8484\r\n\r\n", &a); /* a name, no address */
    assert_int_equal(a.status, 403);
    exchange(fd, "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1:8484\r\n\r\n", &a);
    assert_int_equal(a.status, 200);
    exchange(fd, "GET /v1/status HTTP/1.1\r\nHost: [::1]:8484\r\n\r\n", &a);
    assert_int_equal(a.status, 200);
    exchange(fd, "GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", &a);
    assert_int_equal(a.status, 200);
    close(fd);
    server_stop(&s);
}

/* --- the connection -------------------------------------------------------------------------------- */

static void test_keeps_the_connection(void **state)
{
    static struct answer a;
    struct server s;
    int fd;
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    fd = dial(s.port);
    for (int i = 0; i < 3; i++) {
        exchange(fd, HEAD "Content-Length: 2\r\n\r\n[]", &a); /* 400 */
        assert_int_equal(a.status, 400);
        exchange(fd, HEAD "Content-Type: text/x\r\nContent-Length: 2\r\n\r\n[]", &a);
        assert_int_equal(a.status, 415);
        exchange(fd, "GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", &a);
        assert_int_equal(a.status, 404);
        exchange(fd, "GET /v1/rules HTTP/1.1\r\nHost: localhost\r\n\r\n", &a);
        assert_int_equal(a.status, 200);
        exchange(fd, HEAD "Content-Length: 33\r\n\r\n" SMALL, &a);
        assert_int_equal(a.status, 202);
    }
    exchange(fd, HEAD "Transfer-Encoding: chunked\r\n\r\n10\r\n{\"id\":\"run_1\",\"s\r\n11\r\ntatus\":\"CRASHED\"}\r\n0\r\n\r\n", &a);
    assert_int_equal(a.status, 202);
    close(fd);
    server_stop(&s);
}

static void test_head_of_a_get(void **state)
{
    struct server s;
    char text[2048];
    size_t n = 0;
    int fd;
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    fd = dial(s.port);
    assert_true(say_all(fd, "HEAD /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    for (ssize_t got; (got = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0;) n += (size_t)got;
    text[n] = '\0';
    assert_non_null(strstr(text, "HTTP/1.1 200"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    close(fd);
    server_stop(&s);
}

/* Refused, and the connection closed: what follows could be somebody else's request. */
static const char *const smuggled[] = {
    HEAD "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    HEAD "Content-Length: 2\r\nContent-Length: 2\r\n\r\n[]",
    HEAD "Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
    HEAD "Content-Length: 2, 2\r\n\r\n[]",
    HEAD "Content-Length: +2\r\n\r\n[]",
    HEAD "Content-Length: 0x2\r\n\r\n[]",
    HEAD "Content-Length : 2\r\n\r\n[]",
    HEAD "X Y: 2\r\nContent-Length: 2\r\n\r\n[]",
    HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n[]",
    "POST /v1/events HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]", /* no Host */
    "nonsense\r\n\r\n",
};

static void test_refuses_smuggling(void **state)
{
    static struct answer a;
    struct server s;
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    for (size_t i = 0; i < COUNT_OF(smuggled); i++) {
        int fd = dial(s.port);
        exchange(fd, smuggled[i], &a);
        if (a.status != 0 && a.status != 400) fail_msg("%s: %s", smuggled[i], a.text);
        if (!is_closed(fd)) fail_msg("%s: still open", smuggled[i]);
        close(fd);
    }
    assert_int_equal(s.stub.submits, 0);
    server_stop(&s);
}

static void test_body_limit(void **state)
{
    static struct answer a;
    static char big[70000];
    struct server s;
    char head[200];
    int fd;
    (void)state;
    memset(big, ' ', sizeof big);
    memcpy(big, RUN("1"), strlen(RUN("1")));
    server_start(&s, yaml_tokens, NULL);
    fd = dial(s.port); /* refused by what it announces: not a byte of the body is waited for */
    exchange(fd, "POST /in/open HTTP/1.1\r\nHost: x\r\nContent-Length: 131073\r\n\r\n", &a);
    assert_int_equal(a.status, 413);
    assert_true(is_closed(fd));
    close(fd);
    fd = dial(s.port); /* a little too long: read, so that the answer is, too */
    assert_true(say_all(fd, "POST /in/open HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n"));
    assert_true(say(fd, big, 65537));
    hear(fd, &a);
    assert_int_equal(a.status, 413);
    assert_true(is_closed(fd));
    close(fd);
    fd = dial(s.port); /* exactly at the limit */
    assert_true(say_all(fd, "POST /in/open HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 65536\r\n\r\n"));
    assert_true(say(fd, big, 65536));
    hear(fd, &a);
    assert_int_equal(a.status, 202);
    close(fd);
    fd = dial(s.port); /* chunked: found out on the way */
    snprintf(head, sizeof head, "POST /in/open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", sizeof big);
    assert_true(say_all(fd, head));
    assert_true(say(fd, big, sizeof big));
    assert_true(say_all(fd, "\r\n0\r\n\r\n"));
    hear(fd, &a);
    assert_int_equal(a.status, 413);
    assert_true(is_closed(fd));
    close(fd);
    server_stop(&s);
}

static void test_header_limit(void **state)
{
    static struct answer a;
    static char request[40000];
    struct server s;
    static const struct { size_t n; bool taken; } sizes[] = { { 8000, true }, { 15000, true }, { 17000, false } };
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        int fd = dial(s.port);
        snprintf(request, sizeof request, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: %0*d\r\n\r\n", (int)sizes[i].n, 7);
        exchange(fd, request, &a);
        if (sizes[i].taken != (a.status == 200)) fail_msg("%zu: %s", sizes[i].n, a.text);
        close(fd);
    }
    server_stop(&s);
}

/* --- deadlines ------------------------------------------------------------------------------------- */

static const struct http_limits hasty = { .header_ms = 120, .body_ms = 120, .body_rate = 10000, .idle_ms = 120,
                                          .hold_start_ms = 150, .hold_full_ms = 150, .retry_ms = 5 };

static bool closes_within(int fd, int ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, ms) == 1 && is_closed(fd);
}

static const char *const slow_starts[] = {
    "",
    "POST /v1/ev",
    HEAD "X-Drip: ",
    HEAD "Content-Length: 100\r\n\r\n{\"id\":",
    HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"i",
};

static void test_half_open_is_closed(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, YAML_PLAIN, &hasty);
    for (size_t i = 0; i < COUNT_OF(slow_starts); i++) {
        int fd = dial(s.port);
        assert_true(say_all(fd, slow_starts[i]));
        if (!closes_within(fd, 3000)) fail_msg("`%s` stays open", slow_starts[i]);
        close(fd);
    }
    server_stop(&s);
}

/* A byte every 10 ms: never idle, but too slow. */
static void test_drip_is_closed(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, YAML_PLAIN, &hasty);
    for (size_t i = 1; i < COUNT_OF(slow_starts); i++) {
        int fd = dial(s.port), turns = 0;
        assert_true(say_all(fd, slow_starts[i]));
        while (turns < 300 && !closes_within(fd, 10) && say(fd, "x", 1)) turns++;
        if (turns >= 300) fail_msg("`%s` drips for ever", slow_starts[i]);
        close(fd);
    }
    server_stop(&s);
}

static void test_idle_is_closed_and_steady_is_not(void **state)
{
    struct http_limits steady = http_default_limits;
    static struct answer a;
    static char body[8000];
    struct server s;
    int fd;
    (void)state;
    memset(body, ' ', sizeof body);
    memcpy(body, RUN("1"), strlen(RUN("1")));
    steady.body_ms = 1000;
    steady.body_rate = 1000;
    server_start(&s, YAML_PLAIN, &hasty);
    fd = dial(s.port);
    exchange(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    assert_true(closes_within(fd, 3000));
    close(fd);
    server_stop(&s);
    server_start(&s, YAML_PLAIN, &steady);
    fd = dial(s.port); /* takes longer than body_ms, but never slower than the least rate */
    assert_true(say_all(fd, HEAD "Content-Length: 8000\r\n\r\n"));
    for (size_t sent = 0; sent < sizeof body; sent += 50) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        assert_int_equal(poll(&p, 1, 8), 0);
        assert_true(say(fd, body + sent, 50));
    }
    hear(fd, &a);
    assert_int_equal(a.status, 202);
    close(fd);
    server_stop(&s);
}

/* --- holding --------------------------------------------------------------------------------------- */

static uint64_t submits(struct server *s)
{
    return atomic_load(&s->stub.submits);
}

static void test_full_queue(void **state)
{
    static struct answer a;
    struct server s;
    int fd;
    (void)state;
    server_start(&s, YAML_PLAIN, &hasty);
    atomic_store(&s.stub.full, true);
    ask(&s, "POST /v1/events", "", RUN("1"), &a);
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.text, "Retry-After: 1"));
    assert_true(submits(&s) >= 2); /* it was asked again */
    ask(&s, "GET /readyz", "", "", &a);
    assert_int_equal(a.status, 503);
    ask(&s, "GET /v1/status", "", "", &a); /* reads go on */
    assert_int_equal(a.status, 200);
    server_stop(&s);

    struct http_limits patient = hasty;
    patient.hold_full_ms = 20000;
    server_start(&s, YAML_PLAIN, &patient);
    atomic_store(&s.stub.full, true);
    fd = dial(s.port);
    assert_true(say_all(fd, HEAD "Content-Length: 33\r\n\r\n" SMALL));
    while (submits(&s) < 3) { /* it is being held */ }
    atomic_store(&s.stub.full, false);
    hear(fd, &a);
    assert_int_equal(a.status, 202);
    close(fd);
    server_stop(&s);
}

static void test_before_the_pipeline_is_there(void **state)
{
    static struct answer a;
    struct server s;
    struct http_limits patient = hasty;
    int fd;
    (void)state;
    server_listen(&s, YAML_PLAIN, &hasty);
    ask(&s, "GET /healthz", "", "", &a);
    assert_int_equal(a.status, 200);
    ask(&s, "GET /readyz", "", "", &a);
    assert_int_equal(a.status, 503);
    ask(&s, "POST /v1/events", "", RUN("1"), &a);
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.text, "starting"));
    server_stop(&s);

    patient.hold_start_ms = 20000;
    server_listen(&s, YAML_PLAIN, &patient);
    fd = dial(s.port);
    assert_true(say_all(fd, HEAD "Content-Length: 33\r\n\r\n" SMALL));
    ask(&s, "GET /healthz", "", "", &a); /* answered behind it: the loop has seen it */
    server_attach(&s);
    hear(fd, &a);
    assert_int_equal(a.status, 202);
    close(fd);
    server_stop(&s);
}

static void test_reload(void **state)
{
    static struct answer a;
    struct server s;
    struct config *next = config_of(yaml_tokens);
    int fd;
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    fd = dial(s.port);
    exchange(fd, HEAD "Authorization: Bearer old\r\nContent-Length: 33\r\n\r\n" SMALL, &a);
    assert_int_equal(a.status, 202);
    http_reload(s.http, next);
    config_unref(&next);
    /* The loop takes the order when it is woken; the same connection may be a turn ahead of it. */
    for (int i = 0; i < 1000 && a.status != 401; i++)
        exchange(fd, HEAD "Authorization: Bearer old\r\nContent-Length: 33\r\n\r\n" SMALL, &a);
    assert_int_equal(a.status, 401);
    exchange(fd, HEAD "Authorization: Bearer push-secret\r\nContent-Length: 33\r\n\r\n" SMALL, &a);
    assert_int_equal(a.status, 202);
    assert_string_equal(s.stub.project, "shop");
    close(fd);
    server_stop(&s);
}

static void *stop_main(void *arg)
{
    http_stop(arg, 5000);
    return NULL;
}

static void test_stop_answers_what_is_in_the_pipeline(void **state)
{
    static struct answer a;
    struct server s;
    pthread_t stopper;
    int fd, idle;
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    idle = dial(s.port);
    exchange(idle, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", &a);
    atomic_store(&s.stub.slow, true);
    fd = dial(s.port);
    assert_true(say_all(fd, HEAD "Content-Length: 33\r\n\r\n" SMALL));
    while (submits(&s) == 0) { /* until it is there */ }
    assert_int_equal(pthread_create(&stopper, NULL, stop_main, s.http), 0);
    for (;;) { /* until nobody listens any more */
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)s.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int probe = socket(AF_INET, SOCK_STREAM, 0);
        int rc = connect(probe, (struct sockaddr *)&to, sizeof to);
        close(probe);
        if (rc != 0) break;
    }
    atomic_store(&s.stub.slow, false);
    hear(fd, &a);
    assert_int_equal(a.status, 202);
    assert_non_null(strstr(a.text, "Connection: close"));
    pthread_join(stopper, NULL);
    assert_true(is_closed(idle));
    close(idle);
    close(fd);
    server_stop(&s);
}

/* The pipeline hangs: stopping gives up, and the request is still the pipeline's to finish. */
static void test_stop_with_a_stuck_pipeline(void **state)
{
    struct server s;
    int fd;
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    atomic_store(&s.stub.slow, true);
    fd = dial(s.port);
    assert_true(say_all(fd, HEAD "Content-Length: 33\r\n\r\n" SMALL));
    while (submits(&s) == 0) { /* until it is there */ }
    http_stop(s.http, 50);
    assert_true(is_closed(fd));
    close(fd);
    server_stop(&s); /* lets the stub finish: its done must find memory that is still there */
}

/* A long search on every reader must not look like a server that is not ready: traffic would be taken from it. */
static void test_ready_while_readers_are_busy(void **state)
{
    static struct answer a;
    struct server s;
    int busy[4];
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    atomic_store(&s.stub.read_slowly, 1);
    for (size_t i = 0; i < COUNT_OF(busy); i++) {
        busy[i] = dial(s.port);
        assert_true(say_all(busy[i], "GET /v1/incidents?rule=slow HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    }
    while (atomic_load(&s.stub.slow_now) < 2) sched_yield();
    ask(&s, "GET /readyz", "", "", &a);
    assert_int_equal(a.status, 200);
    atomic_store(&s.stub.read_slowly, 0);
    for (size_t i = 0; i < COUNT_OF(busy); i++) {
        hear(busy[i], &a);
        assert_int_equal(a.status, 200);
        close(busy[i]);
    }
    server_stop(&s);
}

/* --- where it listens ------------------------------------------------------------------------------ */

static const struct listening {
    const char *yaml;
    bool fine;
    const char *part;
} listenings[] = {
    { "server: {listen: \"127.0.0.1:0\"}\n", true, NULL },
    { "server: {listen: \"localhost:0\"}\n", true, NULL },
    { "server: {listen: \"0.0.0.0:0\"}\n", false, "server.token" },
    { "server: {listen: \"0.0.0.0:0\", token: x}\n", true, NULL },
    { "server: {listen: \"127.0.0.1:0\", tls: {cert: /nowhere/c.pem, key: /nowhere/k.pem}}\n", false, "/nowhere/c.pem" },
};

static void test_where_it_listens(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(listenings); i++) {
        struct err err = { 0 };
        struct arena a = { 0 };
        struct config *c = config_of(str_printf(&a, "version: 1\n%ssources:\n  push: {type: webhook}\n%s",
                                                listenings[i].yaml, YAML_TAIL).p);
        struct http_setup setup = { .config = c, .clock = clock_system() };
        struct http *h = http_start(&setup, &err);
        if ((h != NULL) != listenings[i].fine) fail_msg("%s: %s", listenings[i].yaml, err.msg);
        if (listenings[i].part && !strstr(err.msg, listenings[i].part)) fail_msg("%s: %s", listenings[i].yaml, err.msg);
        if (h) http_stop(h, 0);
        http_free(&h);
        config_unref(&c);
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_and_ingest),
        cmocka_unit_test(test_api),
        cmocka_unit_test(test_what_the_pipeline_gets),
        cmocka_unit_test(test_secrets_stay_secret),
        cmocka_unit_test(test_foreign_host_name),
        cmocka_unit_test(test_keeps_the_connection),
        cmocka_unit_test(test_head_of_a_get),
        cmocka_unit_test(test_refuses_smuggling),
        cmocka_unit_test(test_body_limit),
        cmocka_unit_test(test_header_limit),
        cmocka_unit_test(test_half_open_is_closed),
        cmocka_unit_test(test_drip_is_closed),
        cmocka_unit_test(test_idle_is_closed_and_steady_is_not),
        cmocka_unit_test(test_full_queue),
        cmocka_unit_test(test_ready_while_readers_are_busy),
        cmocka_unit_test(test_before_the_pipeline_is_there),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_stop_answers_what_is_in_the_pipeline),
        cmocka_unit_test(test_stop_with_a_stuck_pipeline),
        cmocka_unit_test(test_where_it_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
