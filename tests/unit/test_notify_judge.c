/* Verdicts: every answer named in the providers' facts, and what is common to all. */
#include "notify_testing.h"

struct answer_case {
    int status;
    const char *body, *header; /* header: "Name: value", NULL = none */
    enum verdict_class class;
    int64_t wait_ms;
};
static const int64_t now_ms = INT64_C(1777803402500);

static struct notify_request build(struct notify_bench *b, const struct notify_destination *d, enum message_kind kind,
                                   const char *captures)
{
    struct message m = bench_message(kind);
    struct notify_request req;
    struct err err;
    if (notify_build(d, bench_stored(&b->arena, &m), (struct json){ 0 }, bench_json(&b->arena, str_c(captures)),
                     &bench_attempt, &b->arena, &req, &err) < 0)
        fail_msg("%s", err.msg);
    return req;
}

static struct verdict judge(struct notify_bench *b, const struct notify_destination *d, enum message_kind kind,
                            const char *captures, const struct notify_response *res)
{
    struct notify_request req = build(b, d, kind, captures);
    struct verdict v;
    notify_judge(d, &req, bench_json(&b->arena, str_c(captures)), res, now_ms, &b->arena, &v);
    return v;
}

static struct notify_response response(struct arena *a, const struct answer_case *c)
{
    struct notify_response r = { .status = c->status, .body = str_c(c->body ? c->body : ""), .sent = true };
    if (c->header) {
        struct str all = str_c(c->header);
        size_t colon = str_find(all, ':', 0);
        r.headers = ARENA_NEW(a, struct notify_header);
        r.header_count = 1;
        r.headers->name = str_sub(all, 0, colon);
        r.headers->value = str_trim(str_sub(all, colon + 1, all.n));
    }
    return r;
}

static void run_cases(const char *yaml, const struct answer_case *cases, size_t n)
{
    struct notify_bench b;
    struct notify_destination d;
    bench_open(&b);
    d = bench_destination(&b, yaml);
    for (size_t i = 0; i < n; i++) {
        struct notify_response r = response(&b.arena, &cases[i]);
        struct verdict v = judge(&b, &d, MESSAGE_OPEN, "{}", &r);
        if (v.class != cases[i].class || v.wait_ms != cases[i].wait_ms)
            fail_msg("%.20s: %d %s: %s and %lld ms, wanted %s and %lld ms", yaml, r.status, cases[i].body,
                     verdict_class_name(v.class), (long long)v.wait_ms, verdict_class_name(cases[i].class),
                     (long long)cases[i].wait_ms);
        assert_int_equal(v.status, r.status);
        assert_true(v.detail.n > 0);
    }
    bench_close(&b);
}
#define RUN(yaml, cases) run_cases(yaml, cases, sizeof cases / sizeof cases[0])
#define SLACK(error) "{\"ok\":false,\"error\":\"" error "\"}"

static void test_slack_bot(void **state)
{
    static const struct answer_case cases[] = {
        { 200, "{\"ok\":true,\"channel\":\"C1\",\"ts\":\"1.2\"}", NULL, VERDICT_OK, 0 },
        { 200, "{\"ok\":\"true\"}", NULL, VERDICT_RETRY, 0 },
        { 200, "", NULL, VERDICT_RETRY, 0 },
        { 200, "<html>captive portal</html>", NULL, VERDICT_RETRY, 0 },
        { 429, SLACK("ratelimited"), "Retry-After: 30", VERDICT_RATE_LIMITED, 30000 },
        { 200, SLACK("rate_limited"), NULL, VERDICT_RATE_LIMITED, 30000 },
        { 200, SLACK("internal_error"), NULL, VERDICT_RETRY, 0 },
        { 200, SLACK("fatal_error"), NULL, VERDICT_RETRY, 0 },
        { 200, SLACK("service_unavailable"), NULL, VERDICT_RETRY, 0 },
        { 200, SLACK("request_timeout"), NULL, VERDICT_RETRY, 0 },
        { 200, SLACK("team_added_to_org"), NULL, VERDICT_RETRY, 0 },
        { 200, SLACK("already_reacted"), NULL, VERDICT_OK_DUPLICATE, 0 },
        { 200, SLACK("message_not_found"), NULL, VERDICT_GONE_TARGET, 0 },
        { 200, SLACK("cant_update_message"), NULL, VERDICT_GONE_TARGET, 0 },
        { 200, SLACK("edit_window_closed"), NULL, VERDICT_GONE_TARGET, 0 },
        { 200, SLACK("thread_not_found"), NULL, VERDICT_GONE_TARGET, 0 },
        { 200, SLACK("msg_too_long"), NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 200, SLACK("msg_blocks_too_long"), NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 200, SLACK("no_text"), NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 200, SLACK("invalid_blocks"), NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 200, SLACK("invalid_blocks_format"), NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 200, SLACK("invalid_attachments"), NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 200, SLACK("too_many_attachments"), NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 200, SLACK("invalid_arguments"), NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 200, SLACK("invalid_json"), NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 200, SLACK("invalid_form_data"), NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 200, SLACK("something_new_of_2031"), NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 200, SLACK("invalid_auth"), NULL, VERDICT_BAD_CONFIG, 0 },
        { 200, SLACK("not_authed"), NULL, VERDICT_BAD_CONFIG, 0 },
        { 200, SLACK("account_inactive"), NULL, VERDICT_BAD_CONFIG, 0 },
        { 200, SLACK("token_revoked"), NULL, VERDICT_BAD_CONFIG, 0 },
        { 200, SLACK("token_expired"), NULL, VERDICT_BAD_CONFIG, 0 },
        { 200, SLACK("missing_scope"), NULL, VERDICT_BAD_CONFIG, 0 },
        { 200, SLACK("no_permission"), NULL, VERDICT_BAD_CONFIG, 0 },
        { 200, SLACK("channel_not_found"), NULL, VERDICT_BAD_CONFIG, 0 },
        { 200, SLACK("not_in_channel"), NULL, VERDICT_BAD_CONFIG, 0 },
        { 200, SLACK("is_archived"), NULL, VERDICT_BAD_CONFIG, 0 },
        { 200, SLACK("restricted_action"), NULL, VERDICT_BAD_CONFIG, 0 },
        { 200, SLACK("restricted_action_read_only_channel"), NULL, VERDICT_BAD_CONFIG, 0 },
        { 200, SLACK("ekm_access_denied"), NULL, VERDICT_BAD_CONFIG, 0 },
        { 500, "", NULL, VERDICT_RETRY, 0 },
        { 503, "", "retry-after: 7", VERDICT_RETRY, 7000 },
        { 302, "", NULL, VERDICT_BAD_CONFIG, 0 },
    };
    (void)state;
    RUN(bench_slack_bot, cases);
}

static void test_slack_webhook(void **state)
{
    static const struct answer_case cases[] = {
        { 200, "ok", NULL, VERDICT_OK, 0 },
        { 200, "ok\n", NULL, VERDICT_OK, 0 },
        { 200, "okay", NULL, VERDICT_RETRY, 0 },
        { 200, "", NULL, VERDICT_RETRY, 0 },
        { 400, "invalid_payload", NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 400, "user_not_found", NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 400, "no_text", NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 400, "too_many_attachments", NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 400, "invalid_blocks", NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 400, "missing_text_or_fallback_or_attachments", NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 400, "something_else", NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 400, "invalid_token", NULL, VERDICT_BAD_CONFIG, 0 },
        { 403, "invalid_token", NULL, VERDICT_BAD_CONFIG, 0 },
        { 403, "action_prohibited", NULL, VERDICT_BAD_CONFIG, 0 },
        { 403, "posting_to_general_channel_denied", NULL, VERDICT_BAD_CONFIG, 0 },
        { 404, "channel_not_found", NULL, VERDICT_BAD_CONFIG, 0 },
        { 404, "no_service", NULL, VERDICT_BAD_CONFIG, 0 },
        { 404, "no_active_hooks", NULL, VERDICT_BAD_CONFIG, 0 },
        { 404, "no_team", NULL, VERDICT_BAD_CONFIG, 0 },
        { 410, "channel_is_archived", NULL, VERDICT_BAD_CONFIG, 0 },
        { 500, "rollup_error", NULL, VERDICT_RETRY, 0 },
        { 502, "<html>", NULL, VERDICT_RETRY, 0 },
        { 429, "", "Retry-After: 3", VERDICT_RATE_LIMITED, 3000 },
        { 429, "", NULL, VERDICT_RATE_LIMITED, 30000 },
    };
    (void)state;
    RUN(bench_slack_webhook, cases);
}

static void test_pagerduty(void **state)
{
    static const struct answer_case cases[] = {
        { 202, "{\"status\":\"success\",\"message\":\"Event processed\",\"dedup_key\":\"a\"}", NULL, VERDICT_OK, 0 },
        { 200, "{}", NULL, VERDICT_RETRY, 0 },
        { 400, "{\"status\":\"invalid event\",\"message\":\"Event object is invalid\",\"errors\":[\"Length of 'routing_key' is incorrect\"]}",
          NULL, VERDICT_BAD_CONFIG, 0 },
        { 400, "{\"status\":\"invalid event\",\"message\":\"Invalid routing_key\"}", NULL, VERDICT_BAD_CONFIG, 0 },
        { 400, "{\"status\":\"invalid event\",\"errors\":[\"'payload.summary' is missing or blank\"]}", NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 413, "", NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 429, "", NULL, VERDICT_RATE_LIMITED, 30000 },
        { 403, "", NULL, VERDICT_BAD_CONFIG, 0 },
        { 404, "", NULL, VERDICT_BAD_CONFIG, 0 },
        { 500, "", NULL, VERDICT_RETRY, 0 },
        { 503, "", NULL, VERDICT_RETRY, 0 },
    };
    (void)state;
    RUN(bench_pagerduty, cases);
}

static void test_webhook(void **state)
{
    static const struct answer_case cases[] = {
        { 200, "", NULL, VERDICT_OK, 0 },
        { 204, "", NULL, VERDICT_OK, 0 },
        { 301, "", NULL, VERDICT_BAD_CONFIG, 0 },
        { 307, "", NULL, VERDICT_BAD_CONFIG, 0 },
        { 400, "no", NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 422, "", NULL, VERDICT_BAD_PAYLOAD, 0 },
        { 401, "", NULL, VERDICT_BAD_CONFIG, 0 },
        { 404, "", NULL, VERDICT_BAD_CONFIG, 0 },
        { 410, "", NULL, VERDICT_BAD_CONFIG, 0 },
        { 408, "", NULL, VERDICT_RETRY, 0 },
        { 409, "", NULL, VERDICT_RETRY, 0 },
        { 425, "", NULL, VERDICT_RETRY, 0 },
        { 429, "", "retry-after: 2", VERDICT_RATE_LIMITED, 2000 },
        { 429, "", "Retry-After: Sun, 03 May 2026 10:16:52 GMT", VERDICT_RATE_LIMITED, 9500 },
        { 429, "", "Retry-After: Sun, 03 May 2020 10:16:52 GMT", VERDICT_RATE_LIMITED, 30000 },
        { 429, "", "Retry-After: soon", VERDICT_RATE_LIMITED, 30000 },
        { 429, "", "Retry-After: -5", VERDICT_RATE_LIMITED, 30000 },
        { 503, "", "Retry-After: 999999999999", VERDICT_RETRY, 24 * 3600 * INT64_C(1000) }, /* at most the maximum age */
        { 502, "", NULL, VERDICT_RETRY, 0 },
        { 504, "", NULL, VERDICT_RETRY, 0 },
        { 500, "", NULL, VERDICT_RETRY, 0 },
        { 599, "", NULL, VERDICT_RETRY, 0 },
    };
    (void)state;
    RUN(bench_webhook, cases);
}

static void test_no_answer(void **state)
{
    static const struct { struct notify_response res; enum verdict_class class; const char *detail; } cases[] = {
        { { .sent = true }, VERDICT_UNCERTAIN, "no answer" },
        { { .sent = false, .transport_error = { "connection refused", 18 } }, VERDICT_RETRY, "connection refused" },
        { { .sent = true, .transport_error = { "timed out", 9 } }, VERDICT_UNCERTAIN, "timed out" },
        { { .tls_failed = true, .transport_error = { "certificate has expired", 23 } }, VERDICT_BAD_CONFIG, "certificate has expired" },
        { { .tls_failed = true }, VERDICT_BAD_CONFIG, "TLS failed" },
    };
    struct notify_bench b;
    struct notify_destination d;
    (void)state;
    bench_open(&b);
    d = bench_destination(&b, bench_slack_bot);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct verdict v = judge(&b, &d, MESSAGE_OPEN, "{}", &cases[i].res);
        assert_int_equal(v.class, cases[i].class);
        assert_true(str_eq_c(v.detail, cases[i].detail));
        assert_int_equal(v.wait_ms, 0);
    }
    bench_close(&b);
}

static void test_captures(void **state)
{
    static const struct { enum message_kind kind; const char *before, *body, *after; } cases[] = {
        { MESSAGE_OPEN, "{}", "{\"ok\":true,\"channel\":\"C1\",\"ts\":\"1767323045.000200\"}",
          "{\"channel\":\"C1\",\"ts\":\"1767323045.000200\"}" },
        { MESSAGE_OPEN, "{\"ts\":\"0.1\",\"other\":\"x\"}", "{\"ok\":true,\"channel\":\"C1\",\"ts\":\"1.2\"}",
          "{\"channel\":\"C1\",\"ts\":\"1.2\",\"other\":\"x\"}" },
        { MESSAGE_OPEN, "{}", "{\"ok\":true}", NULL }, /* nothing to remember, still delivered */
        { MESSAGE_OPEN, "{}", "{\"ok\":true,\"channel\":{},\"ts\":12}", "{\"ts\":\"12\"}" },
        { MESSAGE_REMINDER, "{\"channel\":\"C1\",\"ts\":\"1.2\"}", "{\"ok\":true,\"channel\":\"C1\",\"ts\":\"9.9\"}", NULL }, /* the root stays */
        { MESSAGE_UPDATE, "{\"channel\":\"C1\",\"ts\":\"1.2\"}", SLACK("message_not_found"), "{}" },
        { MESSAGE_UPDATE, "{\"channel\":\"C1\",\"ts\":\"1.2\"}", SLACK("internal_error"), NULL },
    };
    struct notify_bench b;
    struct notify_destination d;
    (void)state;
    bench_open(&b);
    d = bench_destination(&b, bench_slack_bot);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct notify_response r = { .status = 200, .body = str_c(cases[i].body), .sent = true };
        struct verdict v = judge(&b, &d, cases[i].kind, cases[i].before, &r);
        if (!str_eq(v.captures, str_c(cases[i].after)) || str_absent(v.captures) != !cases[i].after)
            fail_msg("case %zu: captured " STR_FMT, i, STR_ARG(v.captures));
    }
    bench_close(&b);
}

static void test_detail(void **state)
{
    static const struct { const char *yaml; int status; const char *body, *detail; } cases[] = {
        { bench_slack_bot, 200, SLACK("not_in_channel"), "HTTP 200: not_in_channel" },
        { bench_slack_webhook, 500, "rollup_error", "HTTP 500: rollup_error" },
        { bench_slack_webhook, 404, "no service at /services/T1/B1/s3cr3tpath\r\nbye", "HTTP 404: no service at /***  bye" },
        { bench_pagerduty, 400, "{\"errors\":[\"bad key 0123456789abcdef0123456789abcdef\"]}", "HTTP 400: [\"bad key ***\"]" },
        { bench_webhook, 500, "", "HTTP 500" },
        { bench_webhook, 500, "{\"error\":{\"message\":\"boom\"}}", "HTTP 500: boom" },
    };
    struct notify_bench b;
    (void)state;
    bench_open(&b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct notify_destination d = bench_destination(&b, cases[i].yaml);
        struct notify_response r = { .status = cases[i].status, .body = str_c(cases[i].body), .sent = true };
        struct verdict v = judge(&b, &d, MESSAGE_OPEN, "{}", &r);
        if (!str_eq_c(v.detail, cases[i].detail)) fail_msg("detail: " STR_FMT, STR_ARG(v.detail));
    }
    bench_close(&b);
}

/* A long detail is cut between characters. */
static void test_long_detail(void **state)
{
    struct notify_bench b;
    struct notify_destination d;
    struct strbuf body;
    struct verdict v;
    struct notify_response r = { .status = 500, .sent = true };
    (void)state;
    bench_open(&b);
    d = bench_destination(&b, bench_webhook);
    strbuf_init(&body, 4096);
    strbuf_char(&body, 'x');
    for (int i = 0; i < 300; i++) strbuf_c(&body, "\xE2\x82\xAC");
    r.body = strbuf_view(&body);
    v = judge(&b, &d, MESSAGE_OPEN, "{}", &r);
    assert_true(v.detail.n > 100 && v.detail.n < 260);
    assert_true(str_ends(v.detail, STR("\xE2\x82\xAC")));
    strbuf_fini(&body);
    bench_close(&b);
}

static void test_waits(void **state)
{
    static struct pointer at;
    static struct str part = { "retry_after", 11 };
    static const struct { const char *header, *value, *json; enum wait_kind kind; int64_t unit, cap, want; } cases[] = {
        { NULL, NULL, "{\"retry_after\":64.57}", WAIT_DELTA, 1000, 900000, 64570 },
        { NULL, NULL, "{\"retry_after\":1500}", WAIT_DELTA, 1, 900000, 1500 },
        { NULL, NULL, "{\"retry_after\":0.0001}", WAIT_DELTA, 1000, 900000, 1 },
        { NULL, NULL, "{\"retry_after\":\"x\"}", WAIT_DELTA, 1000, 900000, 0 },
        { NULL, NULL, "{}", WAIT_DELTA, 1000, 900000, 0 },
        { "X-Reset", "1777803407", NULL, WAIT_EPOCH, 1000, 900000, 4500 },
        { "X-Reset", "1777803407000", NULL, WAIT_EPOCH, 1, 900000, 4500 },
        { "X-Reset", "1", NULL, WAIT_EPOCH, 1000, 900000, 0 },
        { "X-Reset", "100000", NULL, WAIT_DELTA, 1000, 900000, 900000 },
        { "X-Reset", "100000", NULL, WAIT_DELTA, 1000, -1, 7200000 },
    };
    (void)state;
    at = (struct pointer){ &part, 1, STR("/retry_after") };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena a = { 0 };
        struct notify_header h = { str_c(cases[i].header), str_c(cases[i].value) };
        struct notify_response r = { .headers = &h, .header_count = cases[i].header ? 1 : 0 };
        struct wait_source w = { .header = cases[i].header != NULL, .name = h.name, .at = at, .unit_ms = cases[i].unit,
                                 .kind = cases[i].kind, .cap_ms = cases[i].cap };
        struct answer answer = { &r, bench_json(&a, str_c(cases[i].json)) };
        assert_int_equal(answer_wait(&w, 1, &answer, now_ms, 7200000), cases[i].want);
        arena_fini(&a);
    }
}

static void test_http_date(void **state)
{
    static const struct { const char *text; bool ok; int64_t ms; } cases[] = {
        { "Sun, 06 Nov 1994 08:49:37 GMT", true, INT64_C(784111777000) },
        { " Thu, 01 Jan 1970 00:00:00 GMT ", true, 0 },
        { "Sun, 06 Nov 1994 08:49:37 UTC", false, 0 },
        { "Sun, 6 Nov 1994 08:49:37 GMT", false, 0 },
        { "Sun, 06 Foo 1994 08:49:37 GMT", false, 0 },
        { "Sun, 36 Nov 1994 08:49:37 GMT", false, 0 },
        { "120", false, 0 },
        { "", false, 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = 0;
        assert_int_equal(http_date_parse(str_c(cases[i].text), &ms), cases[i].ok);
        if (cases[i].ok) assert_int_equal(ms, cases[i].ms);
    }
}

static void test_mask(void **state)
{
    struct notify_bench b;
    struct notify_destination d;
    (void)state;
    bench_open(&b);
    d = bench_destination(&b, "type: webhook\nurl: https://in.example.com/hook/abcdef\nsecret: whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB\n");
    static const struct { const char *in, *out; } cases[] = {
        { "POST https://in.example.com/hook/abcdef failed", "POST *** failed" },
        { "GET /hook/abcdef", "GET /***" },
        { "in.example.com refused", "in.example.com refused" },
        { "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "*** ***" },
        { "", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str got = notify_mask(&d, &b.arena, str_c(cases[i].in));
        if (!str_eq_c(got, cases[i].out)) fail_msg("masked: " STR_FMT, STR_ARG(got));
    }
    d = bench_destination(&b, "type: slack\ntoken: xyz\nchannel: '#ops'\n"); /* a short one too, the channel not */
    assert_true(str_eq_c(notify_mask(&d, &b.arena, STR("xyz in #ops")), "*** in #ops"));
    bench_close(&b);
}

static void test_console(void **state)
{
    struct notify_bench b;
    struct notify_destination d;
    struct notify_response printed = { 0 };
    (void)state;
    bench_open(&b);
    d = bench_destination(&b, bench_console);
    assert_int_equal(judge(&b, &d, MESSAGE_OPEN, "{}", &printed).class, VERDICT_OK);
    printed.transport_error = STR("standard output is closed");
    assert_int_equal(judge(&b, &d, MESSAGE_OPEN, "{}", &printed).class, VERDICT_RETRY);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slack_bot),  cmocka_unit_test(test_slack_webhook), cmocka_unit_test(test_pagerduty),
        cmocka_unit_test(test_webhook),    cmocka_unit_test(test_no_answer),     cmocka_unit_test(test_captures),
        cmocka_unit_test(test_detail),     cmocka_unit_test(test_long_detail),   cmocka_unit_test(test_waits),
        cmocka_unit_test(test_http_date),  cmocka_unit_test(test_mask),          cmocka_unit_test(test_console),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
