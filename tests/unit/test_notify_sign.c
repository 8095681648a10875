/* Signers against tests/schemas/signature-test-vectors.json, and the errors of bad secrets. */
#include "base/file.h"
#include "notify_testing.h"

static struct json vectors(struct arena *a)
{
    struct str text;
    struct err err;
    if (file_read(a, "tests/schemas/signature-test-vectors.json", 1 << 20, &text, &err) < 0) fail_msg("%s", err.msg);
    return bench_json(a, text);
}

static struct str text_of(struct json v, const char *key)
{
    return json_str(json_get_c(v, key));
}

/* "secret", or "secrets" joined by blanks as a user writes them. */
static struct str secret_of(struct arena *a, struct json v)
{
    struct str all = text_of(v, "secret");
    struct json list = json_get_c(v, "secrets");
    for (struct json s = json_first(list); json_kind(s) != JSON_ABSENT; s = json_next(s))
        all = all.n ? str_printf(a, STR_FMT " " STR_FMT, STR_ARG(all), STR_ARG(json_str(s))) : json_str(s);
    return all;
}

static int64_t seconds_of(struct json v, const char *key)
{
    int64_t s = 0;
    assert_true(str_to_i64(text_of(v, key), &s));
    return s * 1000 + 999; /* cut down to whole seconds */
}

static struct str header_of(const struct notify_header *h, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_ieq(h[i].name, str_c(name))) return h[i].value;
    return STR_NONE;
}

static void assert_same(struct str got, struct str want)
{
    if (!str_eq(got, want)) fail_msg("got " STR_FMT ", wanted " STR_FMT, STR_ARG(got), STR_ARG(want));
}

static void test_standard_webhooks(void **state)
{
    struct arena a = { 0 };
    struct json list = json_get_c(vectors(&a), "standard_webhooks_v1");
    const struct signer s = { .scheme = SIGN_STANDARD_WEBHOOKS };
    (void)state;
    assert_true(json_count(list) >= 3);
    for (struct json v = json_first(list); json_kind(v) != JSON_ABSENT; v = json_next(v)) {
        struct notify_header h[SIGN_HEADERS];
        size_t n = 0;
        struct err err;
        struct sign_job job = { .secret = secret_of(&a, v), .id = text_of(v, "webhook-id"), .body = text_of(v, "body"),
                                .now_ms = seconds_of(v, "webhook-timestamp") };
        assert_int_equal(sign_request(&s, &job, &a, h, &n, &err), 0);
        assert_same(header_of(h, n, "webhook-id"), text_of(v, "webhook-id"));
        assert_same(header_of(h, n, "webhook-timestamp"), text_of(v, "webhook-timestamp"));
        assert_same(header_of(h, n, "webhook-signature"), text_of(v, "webhook-signature"));
    }
    arena_fini(&a);
}

static void test_hmac(void **state)
{
    static const struct { const char *list, *prefix; struct str timestamp_header; } cases[] = {
        { "hmac_hex_body", "sha256=", STR_NONE },
        { "grafana_hmac", "", { "X-At", 4 } },
    };
    struct arena a = { 0 };
    struct json all = vectors(&a);
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct json v = json_first(json_get_c(all, cases[i].list));
        const struct signer s = { .scheme = SIGN_HMAC_HEADER, .header = STR("X-Signature"), .prefix = str_c(cases[i].prefix),
                                  .timestamp_header = cases[i].timestamp_header, .separator = STR(":") };
        struct notify_header h[SIGN_HEADERS];
        size_t n = 0;
        struct err err;
        struct sign_job job = { .secret = text_of(v, "secret"), .body = text_of(v, "body") };
        if (!str_absent(s.timestamp_header)) job.now_ms = seconds_of(v, "timestamp");
        assert_int_equal(sign_request(&s, &job, &a, h, &n, &err), 0);
        assert_same(header_of(h, n, "X-Signature"), str_printf(&a, "%s" STR_FMT, cases[i].prefix, STR_ARG(text_of(v, "hex"))));
        assert_same(header_of(h, n, "X-At"), i == 1 ? text_of(v, "timestamp") : STR_NONE);
    }
    arena_fini(&a);
}

static void test_without_secret(void **state)
{
    struct arena a = { 0 };
    const struct signer s = { .scheme = SIGN_STANDARD_WEBHOOKS };
    struct notify_header h[SIGN_HEADERS];
    struct sign_job job = { .id = STR("dlv_1"), .body = STR("{}"), .now_ms = 1700000000123 };
    struct err err;
    size_t n = 0;
    (void)state;
    assert_int_equal(sign_request(&s, &job, &a, h, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_same(header_of(h, n, "webhook-timestamp"), STR("1700000000"));
    arena_fini(&a);
}

static void test_bad_secret(void **state)
{
    static const char *const bad[] = { "whsec_", "whsec_!!!!", "not base64 at all", "whsec_AAAA", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA whsec_?" };
    struct arena a = { 0 };
    const struct signer s = { .scheme = SIGN_STANDARD_WEBHOOKS };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct notify_header h[SIGN_HEADERS];
        struct sign_job job = { .secret = str_c(bad[i]), .id = STR("dlv_1"), .body = STR("{}") };
        struct err err;
        size_t n = 0;
        assert_int_equal(sign_request(&s, &job, &a, h, &n, &err), -1);
        assert_int_equal(err.code, ERR_TYPE);
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standard_webhooks),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_without_secret),
        cmocka_unit_test(test_bad_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
