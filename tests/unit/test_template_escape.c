/* template: escapers, lengths, truncation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "template/escape.h"

#define COUNT_OF(t) (sizeof(t) / sizeof *(t))
#define ELLIPSIS "\xE2\x80\xA6"
#define ROCKET "\xF0\x9F\x9A\x80"

static void escapers(void **state)
{
    static const struct { const char *name; struct str in; const char *want; } cases[] = {
        { "html", { "a&b<c>\"d'", 9 }, "a&amp;b&lt;c&gt;&quot;d'" },
        { "telegram_html", { "<b>&\"", 5 }, "&lt;b&gt;&amp;&quot;" },
        { "slack", { "a & <!channel> \"b\" *c* _d_ `e`", 30 }, "a &amp; &lt;!channel&gt; \"b\" *c* _d_ `e`" },
        { "slack", { "``", 2 }, "``" },
        { "slack", { "```", 3 }, "``\xE2\x80\x8B`" },
        { "slack", { "a```<``````", 11 }, "a``\xE2\x80\x8B`&lt;``\xE2\x80\x8B``\xE2\x80\x8B``" },
        { "json", { "a\"b\\c\n\x01\xC3\xA9", 9 }, "a\\\"b\\\\c\\n\\u0001\xC3\xA9" },
        { "json", { NULL, 0 }, "" },
        { "json", { "\xff", 1 }, "\xEF\xBF\xBD" },
        { "url_path", { "a b/c?d#e%.~_-\xC3\xA9", 16 }, "a%20b%2Fc%3Fd%23e%25.~_-%C3%A9" },
        { "url_path", { "..", 2 }, "%2E%2E" },
        { "url_path", { ".", 1 }, "%2E" },
        { "url_path", { "...", 3 }, "..." },
        { "url_query", { "a=b&c d+e", 9 }, "a%3Db%26c%20d%2Be" },
        { "url_query", { "..", 2 }, ".." },
        { "url_query", { "\0", 1 }, "%00" },
        { "header", { "a\r\nX: b\0c", 9 }, "a  X: b c" },
        { "telegram_md2", { "a_b*[c](d)~`>#+-=|{}.!\\", 23 },
          "a\\_b\\*\\[c\\]\\(d\\)\\~\\`\\>\\#\\+\\-\\=\\|\\{\\}\\.\\!\\\\" },
        { "discord_md", { "*a_ ~|># -[]()`\\.!", 18 }, "\\*a\\_ \\~\\|\\>\\# \\-\\[\\]\\(\\)\\`\\\\.!" },
        { "none", { "<&>", 3 }, "<&>" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct strbuf out;
        strbuf_init(&out, 1000);
        assert_non_null(escape_by_name(str_c(cases[i].name)));
        escape_by_name(str_c(cases[i].name))(cases[i].in, &out);
        assert_string_equal(out.p, cases[i].want);
        strbuf_fini(&out);
    }
    assert_null(escape_by_name(STR("xml")));
    assert_null(escape_by_name(STR("")));
}

static void lengths(void **state)
{
    static const struct { struct str s; size_t chars, utf16, bytes; } cases[] = {
        { { NULL, 0 }, 0, 0, 0 },
        { { "abc", 3 }, 3, 3, 3 },
        { { "\xC3\xA9" ELLIPSIS ROCKET, 9 }, 3, 4, 9 },
        { { "a\xff\xfe", 3 }, 3, 3, 3 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(text_length(cases[i].s, TEXT_CHARS), cases[i].chars);
        assert_int_equal(text_length(cases[i].s, TEXT_UTF16), cases[i].utf16);
        assert_int_equal(text_length(cases[i].s, TEXT_BYTES), cases[i].bytes);
    }
}

static void truncation(void **state)
{
    static const struct { const char *in; size_t most; enum text_unit unit; const char *want; } cases[] = {
        { "abcde", 5, TEXT_CHARS, "abcde" },
        { "abcde", 4, TEXT_CHARS, "abc" ELLIPSIS },
        { "abcde", 1, TEXT_CHARS, ELLIPSIS },
        { "abcde", 0, TEXT_CHARS, "" },
        { "", 0, TEXT_CHARS, "" },
        { "\xC3\xA9\xC3\xA9\xC3\xA9", 3, TEXT_CHARS, "\xC3\xA9\xC3\xA9\xC3\xA9" },
        { "\xC3\xA9\xC3\xA9\xC3\xA9", 2, TEXT_CHARS, "\xC3\xA9" ELLIPSIS },
        { ROCKET ROCKET, 4, TEXT_UTF16, ROCKET ROCKET },
        { ROCKET ROCKET, 3, TEXT_UTF16, ROCKET ELLIPSIS },
        { ROCKET ROCKET, 2, TEXT_UTF16, ELLIPSIS },
        { "\xC3\xA9\xC3\xA9\xC3\xA9", 6, TEXT_BYTES, "\xC3\xA9\xC3\xA9\xC3\xA9" },
        { "\xC3\xA9\xC3\xA9\xC3\xA9", 5, TEXT_BYTES, "\xC3\xA9" ELLIPSIS },
        { "\xC3\xA9\xC3\xA9\xC3\xA9", 4, TEXT_BYTES, ELLIPSIS },
        { "\xC3\xA9\xC3\xA9\xC3\xA9", 3, TEXT_BYTES, ELLIPSIS },
        { "abcdef", 2, TEXT_BYTES, "ab" },
        { "\xC3\xA9\xC3\xA9", 1, TEXT_BYTES, "" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a = { 0 };
        struct str got = text_truncate(&a, str_c(cases[i].in), cases[i].most, cases[i].unit);
        if (!str_eq_c(got, cases[i].want)) fail_msg("%zu: " STR_FMT, i, STR_ARG(got));
        assert_true(text_length(got, cases[i].unit) <= cases[i].most);
        arena_fini(&a);
    }
}

static void truncation_keeps_nul(void **state)
{
    struct arena a = { 0 };
    struct str got = text_truncate(&a, STR("a\0bcd"), 4, TEXT_CHARS);
    (void)state;
    assert_true(str_eq(got, STR("a\0b" ELLIPSIS)));
    arena_fini(&a);
}

static void units(void **state)
{
    enum text_unit u = TEXT_CHARS;
    (void)state;
    assert_true(text_unit_parse(STR("utf16"), &u));
    assert_int_equal(u, TEXT_UTF16);
    assert_true(text_unit_parse(STR("bytes"), &u));
    assert_int_equal(u, TEXT_BYTES);
    assert_true(text_unit_parse(STR("chars"), &u));
    assert_int_equal(u, TEXT_CHARS);
    assert_false(text_unit_parse(STR("words"), &u));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapers),   cmocka_unit_test(lengths), cmocka_unit_test(truncation),
        cmocka_unit_test(truncation_keeps_nul), cmocka_unit_test(units),
    };
    return cmocka_run_group_tests_name("template_escape", tests, NULL, NULL);
}
