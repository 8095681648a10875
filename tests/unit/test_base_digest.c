/* base: digests, regular expressions and their limits, secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/regex.h"
#include "base/rng.h"
#include "base/secret.h"

#define BYTES(lit) ((struct str){ lit, sizeof(lit) - 1 })

static struct str repeated(struct arena *a, char c, size_t n)
{
    char *p = arena_alloc(a, n + 1);
    memset(p, c, n);
    return (struct str){ p, n };
}

static void assert_hex(const unsigned char got[DIGEST_SIZE], const char *wanted)
{
    struct strbuf b;
    strbuf_init(&b, 100);
    digest_hex(got, DIGEST_SIZE, &b);
    assert_string_equal(b.p, wanted);
    strbuf_fini(&b);
}

/* --- digests ------------------------------------------------------------------------------------------------------- */
static void test_sha256(void **state)
{
    struct arena a = { 0 };
    unsigned char out[DIGEST_SIZE];
    (void)state;
    digest_sha256(STR("abc"), out);
    assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_sha256(STR_NONE, out);
    assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    digest_sha256(repeated(&a, 'a', 1000000), out);
    assert_hex(out, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    arena_fini(&a);
}

static void test_hmac_rfc_4231(void **state)
{
    struct arena a = { 0 };
    const struct { struct str key, data; const char *mac; } cases[] = {
        { repeated(&a, '\x0b', 20), BYTES("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
        { BYTES("Jefe"), BYTES("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
        { repeated(&a, '\xaa', 20), repeated(&a, '\xdd', 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
        { BYTES("\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27\30\31"), repeated(&a, '\xcd', 50),
          "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
        { repeated(&a, '\xaa', 131), BYTES("Test Using Larger Than Block-Size Key - Hash Key First"),
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
        { repeated(&a, '\xaa', 131),
          BYTES("This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before "
                "being used by the HMAC algorithm."),
          "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
        { STR_NONE, STR_NONE, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad" },
    };
    unsigned char out[DIGEST_SIZE];
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        digest_hmac_sha256(cases[k].key, cases[k].data, out);
        assert_hex(out, cases[k].mac);
    }
    arena_fini(&a);
}

static void test_base64_rfc_4648(void **state)
{
    static const struct { const char *plain, *text; } cases[] = {
        { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
    };
    static const char *const wrong[] = { "Z", "Zg", "Zg=", "Zg===", "====", "=Zg=", "Z===", "Zm9v=", "Zm9 ", "Zm9\n", "Zm-v", "Zm_v", "Zg==Zg==", "Z=g=" };
    struct strbuf b;
    (void)state;
    strbuf_init(&b, 100);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        strbuf_clear(&b);
        digest_base64((const unsigned char *)cases[k].plain, strlen(cases[k].plain), &b);
        assert_string_equal(b.p, cases[k].text);
        strbuf_clear(&b);
        assert_int_equal(digest_unbase64(str_c(cases[k].text), &b), 0);
        assert_string_equal(b.p, cases[k].plain);
    }
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        strbuf_clear(&b);
        if (digest_unbase64(str_c(wrong[k]), &b) != -1) fail_msg("`%s` passed", wrong[k]);
    }
    strbuf_fini(&b);
    strbuf_init(&b, 2);
    assert_int_equal(digest_unbase64(STR("Zm9v"), &b), -1); /* over the ceiling */
    strbuf_fini(&b);
}

static void test_base64_round_trips(void **state)
{
    struct rng rng;
    (void)state;
    rng_seed(&rng, 11);
    for (size_t n = 0; n < 300; n++) {
        unsigned char p[300];
        struct strbuf text, back;
        for (size_t k = 0; k < n; k++) p[k] = (unsigned char)rng_u64(&rng);
        strbuf_init(&text, 1000);
        strbuf_init(&back, 1000);
        digest_base64(p, n, &text);
        assert_int_equal(text.n, (n + 2) / 3 * 4);
        assert_int_equal(digest_unbase64(strbuf_view(&text), &back), 0);
        assert_true(str_eq(strbuf_view(&back), (struct str){ (const char *)p, n }));
        strbuf_fini(&text);
        strbuf_fini(&back);
    }
}

static void test_secrets_are_compared(void **state)
{
    (void)state;
    assert_true(digest_equal_secret(STR("token"), STR("token")));
    assert_true(digest_equal_secret(STR(""), STR_NONE));
    assert_false(digest_equal_secret(STR("token"), STR("tokem")));
    assert_false(digest_equal_secret(STR("token"), STR("token2")));
    assert_false(digest_equal_secret(STR("token"), BYTES("token\0")));
    assert_false(digest_equal_secret(STR("token"), STR("")));
}

/* --- regular expressions ------------------------------------------------------------------------------------------------ */
static enum regex_result match(const char *pattern, struct str text)
{
    struct err err;
    struct regex *re = regex_new(str_c(pattern), &err);
    enum regex_result r;
    if (!re) fail_msg("%s: %s", pattern, err.msg);
    r = regex_match(re, text);
    regex_free(&re);
    assert_null(re);
    regex_free(&re);
    return r;
}

static void test_patterns_match(void **state)
{
    static const struct { const char *pattern; struct str text; enum regex_result r; } cases[] = {
        { "time ?out", BYTES("a timeout happened"), REGEX_YES }, { "^timeout", BYTES("a timeout"), REGEX_NO },
        { "TIMEOUT", BYTES("timeout"), REGEX_NO },               { "(?i)TIMEOUT", BYTES("timeout"), REGEX_YES },
        { "^.$", BYTES("\xc3\xa9"), REGEX_YES },                 { "", BYTES(""), REGEX_YES },
        { "a.b", BYTES("a\nb"), REGEX_NO },                      { "(?s)a.b", BYTES("a\nb"), REGEX_YES },
        { "a\\x00b", BYTES("a\0b"), REGEX_YES },                 { "(?<n>a)\\k<n>", BYTES("xaa"), REGEX_YES },
        { "x", { NULL, 0 }, REGEX_NO },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        if (match(cases[k].pattern, cases[k].text) != cases[k].r) fail_msg("%s", cases[k].pattern);
}

static void test_bad_patterns_say_where(void **state)
{
    static const struct { const char *pattern; uint32_t col; } cases[] = { { "a(b", 4 }, { "[a", 3 }, { "a)", 2 }, { "*", 1 }, { "a\\Cb", 4 }, { "\xff", 1 } };
    struct err err;
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        assert_null(regex_new(str_c(cases[k].pattern), &err));
        assert_int_equal(err.code, ERR_SYNTAX);
        if (err.col != cases[k].col) fail_msg("%s: column %u", cases[k].pattern, err.col);
    }
}

/* Error messages and stacks of ordinary length must be matched by ordinary patterns, not given up on. */
static void test_long_texts_are_no_limit(void **state)
{
    static const char *const patterns[] = { "^(.|\\n)*timeout$", "^(?:\\w|\\s)+timeout", "(?s)^.*timeout$", "^(a|b)*timeout" };
    struct arena a = { 0 };
    struct str text = repeated(&a, 'a', 20000);
    (void)state;
    memcpy((char *)(uintptr_t)text.p + text.n - 7, "timeout", 7);
    for (size_t k = 0; k < sizeof patterns / sizeof *patterns; k++)
        if (match(patterns[k], text) != REGEX_YES) fail_msg("%s", patterns[k]);
    arena_fini(&a);
}

static const char *const hostile[] = { "(a+)+$", "^(a|a)*$", "^(\\w+\\s?)*$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*a){12}$", "(?=(a+))*a{30,}x" };
enum { HOSTILE = sizeof hostile / sizeof *hostile };

static void test_hostile_patterns_are_given_up_on(void **state)
{
    struct arena a = { 0 };
    size_t limits = 0;
    (void)state;
    for (size_t n = 30; n <= 300000; n *= 100) {
        struct str text = repeated(&a, 'a', n);
        *(char *)(uintptr_t)(text.p + n - 1) = '!';
        for (size_t k = 0; k < HOSTILE; k++) {
            int64_t before = clock_mono(clock_system()).ms;
            limits += match(hostile[k], text) == REGEX_LIMIT;
            assert_true(clock_mono(clock_system()).ms - before < 10000); /* else it would take years; milliseconds in truth */
        }
    }
    assert_true(limits >= 8);
    assert_int_equal(match("(*LIMIT_MATCH=4000000000)(a+)+$", repeated(&a, 'a', 0)), REGEX_NO);
    arena_fini(&a);
}

static void *match_many(void *arg)
{
    const struct regex *const *res = arg;
    struct arena a = { 0 };
    struct str bad = repeated(&a, 'a', 5000), good = repeated(&a, 'a', 40);
    intptr_t wrong = 0;
    *(char *)(uintptr_t)(bad.p + bad.n - 1) = '!';
    for (int k = 0; k < 300; k++) {
        wrong += regex_match(res[0], bad) != REGEX_LIMIT;
        wrong += regex_match(res[0], good) != REGEX_YES;
        wrong += regex_match(res[1], good) != REGEX_NO;
    }
    arena_fini(&a);
    return (void *)wrong;
}

static void test_threads_share_a_pattern(void **state)
{
    struct err err;
    struct regex *res[2] = { regex_new(STR("(a+)+$"), &err), regex_new(STR("b"), &err) };
    pthread_t t[4];
    (void)state;
    for (int k = 0; k < 4; k++) pthread_create(&t[k], NULL, match_many, res);
    for (int k = 0; k < 4; k++) {
        void *wrong;
        pthread_join(t[k], &wrong);
        assert_null(wrong);
    }
    regex_free(&res[0]);
    regex_free(&res[1]);
}

/* --- secrets ---------------------------------------------------------------------------------------------------------------- */
static char dir[] = "/tmp/runbell-secret-XXXXXX";

static void write_file(const char *name, struct str content)
{
    char path[256];
    FILE *f;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(content.p, 1, content.n, f), content.n);
    fclose(f);
}

static int make_dir(void **state)
{
    struct arena a = { 0 };
    (void)state;
    assert_non_null(mkdtemp(dir));
    write_file("plain", STR("from file"));
    write_file("newline", STR("from file\n"));
    write_file("crlf", STR("from file\r\n"));
    write_file("two", STR("two\n\n"));
    write_file("none", STR(""));
    write_file("big", repeated(&a, 'x', 65537));
    setenv("RUNBELL_TEST_SECRET", "s3cret", 1);
    setenv("RUNBELL_TEST_EMPTY", "", 1);
    setenv("RUNBELL_TEST_NESTED", "${env:RUNBELL_TEST_SECRET}", 1);
    unsetenv("RUNBELL_TEST_MISSING");
    arena_fini(&a);
    return 0;
}

static int remove_dir(void **state)
{
    static const char *const names[] = { "plain", "newline", "crlf", "two", "none", "big" };
    char path[256];
    (void)state;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[k]);
        unlink(path);
    }
    return rmdir(dir);
}

static void test_secrets_resolve(void **state)
{
    static const struct { const char *text, *value; bool reference; } cases[] = {
        { "literal", "literal", false },
        { "", "", false },
        { "${env:RUNBELL_TEST_SECRET}", "s3cret", true },
        { "${env:RUNBELL_TEST_EMPTY}", "", true },
        { "${env:RUNBELL_TEST_NESTED}", "${env:RUNBELL_TEST_SECRET}", true }, /* what comes out is not read again */
        { "${file:plain}", "from file", true },
        { "${file:newline}", "from file", true },
        { "${file:crlf}", "from file", true },
        { "${file:two}", "two\n", true }, /* one newline only */
        { "${file:none}", "", true },
        { "a ${env:RUNBELL_TEST_SECRET}-${file:plain} z", "a s3cret-from file z", true },
        { "${env:RUNBELL_TEST_SECRET}${env:RUNBELL_TEST_SECRET}", "s3crets3cret", true },
        { "$5 ${HOME} $${x} ${vault:x} ${env:UNENDED", "$5 ${HOME} $${x} ${vault:x} ${env:UNENDED", false },
    };
    struct arena a = { 0 };
    struct err err;
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct secret s = { STR_NONE, STR_NONE };
        assert_int_equal(secret_resolve(&a, str_c(cases[k].text), dir, &s, &err), 0);
        if (!str_eq_c(secret_reveal(&s), cases[k].value)) fail_msg("%s", cases[k].text);
        assert_int_equal(secret_present(&s), cases[k].value[0] != '\0');
        assert_int_equal(!str_absent(s.reference), cases[k].reference);
        if (cases[k].reference) assert_true(str_eq_c(s.reference, cases[k].text));
    }
    arena_fini(&a);
}

static void test_missing_secrets_are_named(void **state)
{
    static const struct { const char *text, *says; enum err_code code; } cases[] = {
        { "${env:RUNBELL_TEST_MISSING}", "RUNBELL_TEST_MISSING", ERR_NOT_FOUND },
        { "ok ${env:RUNBELL_TEST_SECRET} ${env:RUNBELL_TEST_MISSING}", "RUNBELL_TEST_MISSING", ERR_NOT_FOUND },
        { "${file:not-there}", "not-there", ERR_NOT_FOUND },
        { "${file:/}", "/", ERR_IO },
        { "${file:big}", "65536", ERR_LIMIT },
    };
    struct arena a = { 0 };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct secret s = { STR_NONE, STR_NONE };
        struct err err = { 0 };
        assert_int_equal(secret_resolve(&a, str_c(cases[k].text), dir, &s, &err), -1);
        if (!strstr(err.msg, cases[k].says)) fail_msg("%s: %s", cases[k].text, err.msg);
        assert_int_equal(err.code, cases[k].code);
        assert_null(strstr(err.msg, "s3cret")); /* what was resolved before is not shown */
        assert_false(secret_present(&s));
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_hmac_rfc_4231),
        cmocka_unit_test(test_base64_rfc_4648),
        cmocka_unit_test(test_base64_round_trips),
        cmocka_unit_test(test_secrets_are_compared),
        cmocka_unit_test(test_patterns_match),
        cmocka_unit_test(test_bad_patterns_say_where),
        cmocka_unit_test(test_long_texts_are_no_limit),
        cmocka_unit_test(test_hostile_patterns_are_given_up_on),
        cmocka_unit_test(test_threads_share_a_pattern),
        cmocka_unit_test(test_secrets_resolve),
        cmocka_unit_test(test_missing_secrets_are_named),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
