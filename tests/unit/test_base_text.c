/* base: slices, UTF-8, globs and suggestions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/glob.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "base/suggest.h"
#include "base/utf8.h"

#define BYTES(lit) ((struct str){ lit, sizeof(lit) - 1 })

static void assert_str(struct str got, const char *wanted)
{
    if (!str_eq_c(got, wanted)) fail_msg("got `" STR_FMT "`, wanted `%s`", STR_ARG(got), wanted);
}

/* --- slices ---------------------------------------------------------------------------------------------------- */
static void test_absent_is_not_empty(void **state)
{
    (void)state;
    assert_true(str_absent(STR_NONE));
    assert_true(str_absent(str_c(NULL)));
    assert_false(str_absent(STR("")));
    assert_true(str_eq(STR_NONE, STR(""))); /* equal in content all the same */
    assert_true(str_absent(str_sub(STR_NONE, 3, 4)));
}

static void test_comparing(void **state)
{
    static const struct { struct str a, b; int order; } cases[] = {
        { BYTES("a"), BYTES("b"), -1 },        { BYTES("b"), BYTES("a"), 1 },    { BYTES("ab"), BYTES("abc"), -1 },
        { BYTES("abc"), BYTES("abc"), 0 },     { BYTES(""), BYTES("a"), -1 },    { BYTES("a\0b"), BYTES("a\0c"), -1 },
        { BYTES("\xff"), BYTES("a"), 1 },      { BYTES("a"), BYTES("a\0"), -1 },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int c = str_cmp(cases[k].a, cases[k].b);
        assert_int_equal((c > 0) - (c < 0), cases[k].order);
        assert_int_equal(str_eq(cases[k].a, cases[k].b), cases[k].order == 0);
    }
    assert_true(str_ieq(STR("AbZ-9"), STR("aBz-9")));
    assert_false(str_ieq(STR("a"), STR("ab")));
    assert_false(str_ieq(STR("["), STR("{"))); /* 0x20 apart, and no letters */
}

static void test_parts(void **state)
{
    struct str s = STR("hello");
    (void)state;
    assert_str(str_sub(s, 1, 3), "ell");
    assert_str(str_sub(s, 4, 99), "o");
    assert_str(str_sub(s, 9, 1), "");
    assert_str(str_sub(s, 2, SIZE_MAX), "llo");
    assert_true(str_starts(s, STR("")) && str_starts(s, STR("hell")) && !str_starts(s, STR("hello!")));
    assert_true(str_ends(s, STR("")) && str_ends(s, STR("lo")) && !str_ends(s, STR("ohello")));
    assert_str(str_trim(STR(" \t\r\n a b \v\f")), "a b");
    assert_str(str_trim(STR(" \n")), "");
}

static void test_finding(void **state)
{
    static const struct { const char *in, *needle; size_t at; } cases[] = {
        { "abcabd", "abd", 3 }, { "aaab", "aab", 1 }, { "abc", "", 0 }, { "", "a", 0 }, { "", "", 0 },
        { "abc", "abcd", 3 },   { "abab", "bb", 4 },  { "xa", "a", 1 },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        assert_int_equal(str_find_str(str_c(cases[k].in), str_c(cases[k].needle)), cases[k].at);
    assert_int_equal(str_find(STR("a/b/c"), '/', 2), 3);
    assert_int_equal(str_find(STR("a/b"), '/', 9), 3);
    assert_int_equal(str_find(STR_NONE, '/', 0), 0);
    assert_int_equal(str_find_str(STR_NONE, STR("x")), 0);
}

static void test_splitting_gives_back_every_part(void **state)
{
    static const struct { const char *in; size_t parts; } cases[] = { { "", 1 }, { ",", 2 }, { "a", 1 }, { "a,", 2 }, { ",,b", 3 } };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct str rest = str_c(cases[k].in), part;
        struct strbuf joined;
        size_t n = 0;
        strbuf_init(&joined, 100);
        for (; str_split(&rest, ',', &part); n++) {
            if (n) strbuf_char(&joined, ',');
            strbuf_str(&joined, part);
        }
        assert_int_equal(n, cases[k].parts);
        assert_str(strbuf_view(&joined), cases[k].in);
        strbuf_fini(&joined);
    }
}

static void test_whole_numbers(void **state)
{
    static const struct { const char *text; bool ok; int64_t v; } cases[] = {
        { "0", true, 0 }, { "-0", true, 0 }, { "9223372036854775807", true, INT64_MAX }, { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775808", false, 0 }, { "-9223372036854775809", false, 0 }, { "99999999999999999999", false, 0 },
        { "", false, 0 }, { "-", false, 0 }, { "+1", false, 0 }, { "1 ", false, 0 }, { " 1", false, 0 }, { "1.0", false, 0 },
        { "0012", true, 12 }, { "1e3", false, 0 }, { "--1", false, 0 },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int64_t v = 77;
        assert_int_equal(str_to_i64(str_c(cases[k].text), &v), cases[k].ok);
        assert_true(v == (cases[k].ok ? cases[k].v : 77)); /* untouched on failure */
    }
    assert_false(str_to_i64(BYTES("1\0"), &(int64_t){ 0 }));
}

static void test_numbers(void **state)
{
    static const struct { const char *text; bool ok; double v; } cases[] = {
        { "0", true, 0 }, { "-1.5", true, -1.5 }, { "1e3", true, 1000 }, { "2.5E-1", true, 0.25 }, { "1e999", false, 0 },
        { "", false, 0 }, { "nan", false, 0 }, { "inf", false, 0 }, { "0x10", false, 0 }, { "1,5", false, 0 }, { "1e", false, 0 },
        { ".", false, 0 }, { "-", false, 0 }, { "1 ", false, 0 }, { "1.2.3", false, 0 }, { "1-2", false, 0 },
    };
    char longest[80];
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        double v = 77;
        if (str_to_f64(str_c(cases[k].text), &v) != cases[k].ok) fail_msg("`%s`", cases[k].text);
        assert_true(v - (cases[k].ok ? cases[k].v : 77) == 0);
    }
    memset(longest, '1', sizeof longest);
    assert_false(str_to_f64((struct str){ longest, sizeof longest }, &(double){ 0 }));
}

static void test_printing_and_hashes(void **state)
{
    struct arena a = { 0 };
    (void)state;
    assert_str(str_printf(&a, "%s-%d", "x", 7), "x-7");
    assert_str(str_printf(&a, STR_FMT, STR_ARG(STR_NONE)), "");
    assert_true(str_absent(str_dup(&a, STR_NONE)));
    assert_false(str_absent(str_dup(&a, STR(""))));
    assert_string_equal(str_dup_c(&a, STR("abc")), "abc");
    assert_true(str_hash(STR("a")) == str_hash(STR("a")) && str_hash(STR("a")) != str_hash(STR("b")));
    assert_true(str_hash(BYTES("a\0")) != str_hash(STR("a")));
    /* SipHash-1-3 under a fixed key, worked out apart from our code. Stored in rows: these may never change. */
    assert_true(str_hash_stable(STR_NONE) == 0x4eab908b3ce54523u);
    assert_true(str_hash_stable(STR("1234567")) == 0x623376c83348c71eu);
    assert_true(str_hash_stable(STR("run_1234")) == 0xa6fc1579b596325fu);
    assert_true(str_hash_stable(STR("render-video")) == 0x90e928fc923c939bu);
    arena_fini(&a);
}

/* --- UTF-8 -------------------------------------------------------------------------------------------------------- */
static void test_every_code_point_round_trips(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
        char out[4];
        size_t n = utf8_encode(cp, out), next;
        struct str s = { out, n };
        if (cp >= 0xd800 && cp <= 0xdfff) { /* no scalar value: what it would look like is refused */
            assert_int_equal(utf8_sequence(s, 0), 0);
            continue;
        }
        assert_int_equal(n, cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4);
        assert_int_equal(utf8_sequence(s, 0), n);
        assert_int_equal(utf8_decode(s, 0, &next), cp);
        assert_int_equal(next, n);
        assert_int_equal(utf8_utf16(s), cp >= 0x10000 ? 2 : 1);
        for (size_t cut = 1; cut < n; cut++) assert_int_equal(utf8_sequence((struct str){ out, cut }, 0), 0);
    }
}

static void test_invalid_sequences(void **state)
{
    static const struct { struct str s; size_t at; } cases[] = {
        { BYTES("abc\x80"), 3 },         { BYTES("\xc0\x80"), 0 },         { BYTES("\xc1\xbf"), 0 },
        { BYTES("a\xe0\x9f\xbf"), 1 },   { BYTES("\xed\xa0\x80"), 0 },     { BYTES("\xed\xbf\xbf"), 0 },
        { BYTES("\xf0\x8f\xbf\xbf"), 0 }, { BYTES("\xf4\x90\x80\x80"), 0 }, { BYTES("\xf5\x80\x80\x80"), 0 },
        { BYTES("\xe2\x82"), 0 },        { BYTES("\xc3\xa9\xff"), 2 },     { BYTES("ok"), 2 },
        { BYTES(""), 0 },                { BYTES("\xc3("), 0 },            { BYTES("\xf0\x9f\x98\x80"), 4 },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) assert_int_equal(utf8_invalid_at(cases[k].s), cases[k].at);
    assert_int_equal(utf8_chars(STR("a\xc3\xa9\xf0\x9f\x98\x80")), 3);
    assert_int_equal(utf8_utf16(STR("a\xc3\xa9\xf0\x9f\x98\x80")), 4);
    assert_int_equal(utf8_decode(BYTES("\xff"), 0, &(size_t){ 0 }), 0xfffd);
}

/* --- globs --------------------------------------------------------------------------------------------------------- */
static void test_globs(void **state)
{
    static const struct { const char *pattern, *text; bool hit; } cases[] = {
        { "", "", true },           { "", "a", false },        { "*", "", true },          { "*", "anything", true },
        { "a*", "abc", true },      { "a*", "ba", false },     { "*c", "abc", true },      { "a*c", "ac", true },
        { "a*c", "abcb", false },   { "a?c", "abc", true },    { "a?c", "ac", false },     { "?", "", false },
        { "*a*b*", "xxaxxbx", true }, { "*ab*ab", "abab", true }, { "*ab*ab", "ab", false }, { "**", "x", true },
        { "a*b*c", "aXbXbXc", true }, { "?\xc3\xa9", "x\xc3\xa9", true }, { "?", "\xf0\x9f\x98\x80", true }, { "??", "\xc3\xa9", false },
        { "*\xa9", "\xc3\xa9", false }, { "A", "a", false },   { "etl-*", "etl-", true },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        if (glob_match(str_c(cases[k].pattern), str_c(cases[k].text)) != cases[k].hit)
            fail_msg("`%s` against `%s` should give %d", cases[k].pattern, cases[k].text, cases[k].hit);
    assert_true(glob_is(STR("a*")) && glob_is(STR("?")) && !glob_is(STR("a.b")) && !glob_is(STR("")));
}

/* Plainly right and slow: recursion over code points. */
static bool naive(struct str p, struct str t)
{
    size_t n = t.n ? utf8_sequence(t, 0) : 0;
    if (p.n == 0) return t.n == 0;
    if (p.p[0] == '*') {
        for (;;) {
            if (naive(str_sub(p, 1, p.n), t)) return true;
            if (t.n == 0) return false;
            t = str_sub(t, utf8_sequence(t, 0), t.n);
        }
    }
    if (t.n == 0) return false;
    if (p.p[0] == '?') return naive(str_sub(p, 1, p.n), str_sub(t, n, t.n));
    if (p.n < n || memcmp(p.p, t.p, n) != 0) return false;
    return naive(str_sub(p, n, p.n), str_sub(t, n, t.n));
}

static struct str random_text(struct rng *rng, char *to, bool pattern)
{
    static const char *const letters[] = { "a", "b", "\xc3\xa9", "\xc3\xa8", "*", "?" };
    size_t n = 0, count = rng_below(rng, 9);
    for (size_t k = 0; k < count; k++) {
        const char *l = letters[rng_below(rng, pattern ? 6 : 4)];
        memcpy(to + n, l, strlen(l));
        n += strlen(l);
    }
    return (struct str){ to, n };
}

static void test_globs_agree_with_a_naive_matcher(void **state)
{
    struct rng rng;
    uint64_t seed;
    size_t hits = 0;
    (void)state;
    rng_seed_system(&rng);
    seed = rng.state;
    print_message("glob seed %llu\n", (unsigned long long)seed);
    for (int k = 0; k < 200000; k++) {
        char a[32], b[32];
        struct str p = random_text(&rng, a, true), t = random_text(&rng, b, false);
        bool want = naive(p, t);
        hits += want;
        if (glob_match(p, t) != want) fail_msg("seed %llu: `" STR_FMT "` against `" STR_FMT "`", (unsigned long long)seed, STR_ARG(p), STR_ARG(t));
    }
    assert_true(hits > 1000);
}

static void test_a_hostile_glob_is_not_slow(void **state)
{
    enum { N = 4000 };
    static char pattern[N], text[N];
    (void)state;
    for (int k = 0; k < N; k++) {
        pattern[k] = k % 2 ? 'a' : '*';
        text[k] = 'a';
    }
    pattern[N - 1] = 'b';
    assert_false(glob_match((struct str){ pattern, N }, (struct str){ text, N })); /* at most N * N steps */
}

/* --- suggestions ------------------------------------------------------------------------------------------------------ */
static void test_suggestions(void **state)
{
    static const struct { const char *word, *want; } cases[] = {
        { "chanel", "channel" }, { "chnanel", "channel" }, { "notfy", "notify" }, { "whne", "when" }, { "slack-opps", "slack-ops" },
        { "channel", "channel" }, { "x", NULL },           { "", NULL },          { "completelyelse", NULL },
    };
    static const struct str names[] = { BYTES("channel"), BYTES("notify"), BYTES("when"), BYTES("slack-ops"), BYTES("") };
    char big[200];
    struct str word = { big, sizeof big };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct str got = suggest_nearest(str_c(cases[k].word), names, 5);
        if (!cases[k].want) assert_true(str_absent(got));
        else assert_str(got, cases[k].want);
    }
    memset(big, 'a', sizeof big);
    assert_true(str_absent(suggest_nearest(word, &word, 1))); /* over 63 bytes: passed over, not overrun */
    word.n = 63;
    assert_true(str_eq(suggest_nearest(word, &word, 1), word));
    word.n = 64;
    assert_true(str_absent(suggest_nearest(word, &word, 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent_is_not_empty),
        cmocka_unit_test(test_comparing),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_finding),
        cmocka_unit_test(test_splitting_gives_back_every_part),
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_printing_and_hashes),
        cmocka_unit_test(test_every_code_point_round_trips),
        cmocka_unit_test(test_invalid_sequences),
        cmocka_unit_test(test_globs),
        cmocka_unit_test(test_globs_agree_with_a_naive_matcher),
        cmocka_unit_test(test_a_hostile_glob_is_not_slow),
        cmocka_unit_test(test_suggestions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
