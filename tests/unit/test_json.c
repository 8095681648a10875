/* The strict reader and the writer. Grammar as such is covered file by file in tests/json-suite; here are
 * places of errors, access, limits and what the writer promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "json/json.h"

static struct arena arena;

static int clean(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static struct json must(const char *text)
{
    struct json v;
    struct err err;
    if (json_parse(&arena, str_c(text), &json_default_limits, &v, NULL, &err))
        fail_msg("%s: refused: %s", text, err.msg);
    return v;
}

static void assert_str(struct str got, const char *want)
{
    if (!str_eq_c(got, want)) fail_msg("got `" STR_FMT "`, want `%s`", STR_ARG(got), want);
}

/* --- reader --------------------------------------------------------------------------------------------- */
static void refuses_with_place(void **state)
{
    static const struct {
        const char *text;
        uint32_t line, col;
        size_t offset;
        const char *says;
    } cases[] = {
        { "", 1, 1, 0, "empty" },
        { " \n ", 2, 2, 3, "empty" },
        { "5", 1, 1, 0, "root" },
        { "\"a\"", 1, 1, 0, "root" },
        { "\xef\xbb\xbf{}", 1, 1, 0, "byte order mark" },
        { "{\n \"a\": 01}", 2, 7, 8, "number" },
        { "[1.]", 1, 2, 1, "number" },
        { "[-]", 1, 2, 1, "number" },
        { "[1e]", 1, 2, 1, "number" },
        { "[truth]", 1, 2, 1, "true, false, null" },
        { "[nul]", 1, 2, 1, "true, false, null" },
        { "[1,]", 1, 4, 3, "a value is expected" },
        { "[,1]", 1, 2, 1, "a value or ]" },
        { "[1 2]", 1, 4, 3, "comma" },
        { "[\"a\":1]", 1, 5, 4, "comma" },
        { "{\"a\"}", 1, 5, 4, "colon" },
        { "{\"a\":}", 1, 6, 5, "a value" },
        { "{\"a\":1,}", 1, 8, 7, "key in quotes" },
        { "{,}", 1, 2, 1, "key in quotes" },
        { "{\"a\":1 \"b\":2}", 1, 8, 7, "comma" },
        { "{\"a\":1:2}", 1, 6, 5, "number" },
        { "{}{}", 1, 3, 2, "" },
        { "[]]", 1, 3, 2, "closes nothing" },
        { "[[]", 1, 4, 3, "ends inside" },
        { "[}", 1, 2, 1, "" },
        { "[\"a\tb\"]", 1, 4, 3, "control character" },
        { "[\"abc", 1, 2, 1, "no end" },
        { "[\"\\x\"]", 1, 2, 1, "" },
        { "[\"\\ud800\"]", 1, 3, 2, "\\u escape" },
        { "[\"\\udc00\\ud800\"]", 1, 3, 2, "\\u escape" },
        { "[\"\\ud800\\u0041\"]", 1, 3, 2, "\\u escape" },
        { "[\"\xc0\x80\"]", 1, 3, 2, "UTF-8" },
        { "[\"\xed\xa0\x80\"]", 1, 3, 2, "UTF-8" },
        { "[\xe9]", 1, 2, 1, "UTF-8" },
        { "{\"a\":1,\n\"a\":2}", 2, 1, 8, "given before" },
        { "{\"a\":1,\"\\u0061\":2}", 1, 8, 7, "given before" },
        { "{\"\":1,\"\":2}", 1, 7, 6, "given before" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json v;
        struct err err;
        size_t offset = 999;
        if (json_parse(&arena, str_c(cases[i].text), &json_default_limits, &v, &offset, &err) == 0)
            fail_msg("accepted: %s", cases[i].text);
        if (err.code != ERR_SYNTAX || err.line != cases[i].line || err.col != cases[i].col ||
            offset != cases[i].offset || !strstr(err.msg, cases[i].says))
            fail_msg("%s: %u:%u at %zu: %s", cases[i].text, err.line, err.col, offset, err.msg);
        assert_int_equal(json_kind(v), JSON_ABSENT);
    }
}

static void refuses_nul_anywhere(void **state)
{
    static const struct str cases[] = { STR("[1]\0"), STR("[\0]"), STR("[\"a\0b\"]"), STR("\0") };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json v;
        struct err err;
        assert_int_equal(json_parse(&arena, cases[i], &json_default_limits, &v, NULL, &err), -1);
    }
}

static void limits(void **state)
{
    struct json_limits few = { .bytes = 20, .tokens = 5, .depth = 3 };
    static const struct {
        const char *text;
        enum err_code code; /* ERR_OK = accepted */
    } cases[] = {
        { "[1,2,3]", ERR_OK },       { "[1,2,3,4]", ERR_OK },          { "[1,2,3,4,5]", ERR_LIMIT },
        { "[[[1]]]", ERR_OK },       { "[[[[1]]]]", ERR_SYNTAX },      { "[\"1234567890123456\"]", ERR_OK },
        { "{\"a\":{\"b\":1}}", ERR_OK }, { "[\"12345678901234567\"]", ERR_LIMIT },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json v;
        struct err err = { 0 };
        int rc = json_parse(&arena, str_c(cases[i].text), &few, &v, NULL, &err);
        if (rc != (cases[i].code == ERR_OK ? 0 : -1) || err.code != cases[i].code)
            fail_msg("%s: %d %s", cases[i].text, err.code, err.msg);
    }
}

static void access_members(void **state)
{
    struct json v = must(" { \"s\" : \"a\\u00e9\\n\\ud83d\\ude00\" , \"n\":-12 , \"f\": 1.5e2, \"t\":true,"
                         "\"z\":null, \"o\":{}, \"a\":[ [1,2] , {\"k\":[]} , \"x\" ] }");
    int64_t i = 0;
    double f = 0;
    struct str path[] = { STR("a"), STR("0"), STR("1") };
    (void)state;
    assert_int_equal(json_count(v), 7);
    assert_str(json_str(json_get_c(v, "s")), "a\xc3\xa9\n\xf0\x9f\x98\x80");
    assert_str(json_text(json_get_c(v, "s")), "\"a\\u00e9\\n\\ud83d\\ude00\"");
    assert_true(json_i64(json_get_c(v, "n"), &i));
    assert_int_equal(i, -12);
    assert_false(json_i64(json_get_c(v, "f"), &i));
    assert_true(json_f64(json_get_c(v, "f"), &f));
    assert_true(f > 149.99 && f < 150.01);
    assert_true(json_bool(json_get_c(v, "t"), false));
    assert_true(json_bool(json_get_c(v, "s"), true));
    assert_int_equal(json_kind(json_get_c(v, "z")), JSON_NULL);
    assert_false(json_present(json_get_c(v, "z")));
    assert_true(json_present(json_get_c(v, "o")));
    assert_int_equal(json_kind(json_first(json_get_c(v, "o"))), JSON_ABSENT);
    assert_str(json_text(json_path(v, path, 3)), "2");
    assert_int_equal(json_kind(json_at(json_get_c(v, "a"), 3)), JSON_ABSENT);
    assert_str(json_text(json_at(json_get_c(v, "a"), 1)), "{\"k\":[]}");
    assert_str(json_scalar(json_get_c(v, "n")), "-12");
    assert_str(json_scalar(json_get_c(v, "t")), "true");
    assert_true(str_absent(json_scalar(json_get_c(v, "z"))));
    assert_true(str_absent(json_scalar(json_get_c(v, "a"))));
}

static void absence_passes_through(void **state)
{
    struct json none = { 0 }, v = must("{\"a\":[1]}");
    struct str path[] = { STR("a"), STR("b"), STR("c") };
    int64_t i;
    double f;
    (void)state;
    assert_int_equal(json_kind(json_get_c(json_get_c(none, "a"), "b")), JSON_ABSENT);
    assert_int_equal(json_kind(json_path(v, path, 3)), JSON_ABSENT);
    assert_int_equal(json_count(none), 0);
    assert_int_equal(json_kind(json_next(none)), JSON_ABSENT);
    assert_int_equal(json_kind(json_at(none, 0)), JSON_ABSENT);
    assert_int_equal(json_kind(json_get(v, STR_NONE)), JSON_ABSENT);
    assert_true(str_absent(json_str(none)) && str_absent(json_text(none)) && str_absent(json_key(none)));
    assert_true(str_absent(json_key(v)));
    assert_false(json_i64(none, &i) || json_f64(none, &f) || json_bool(none, false));
}

static void iterates_in_order(void **state)
{
    struct json v = must("{\"a\":{\"x\":[1,2]},\"\\u0062\":[],\"c\":3}");
    const char *keys[] = { "a", "b", "c" };
    size_t n = 0;
    (void)state;
    for (struct json m = json_first(v); json_kind(m); m = json_next(m)) assert_str(json_key(m), keys[n++]);
    assert_int_equal(n, 3);
    assert_true(str_absent(json_key(json_first(json_get_c(json_get_c(v, "a"), "x")))));
}

static void many_members(void **state)
{
    (void)state;
    for (int n = 1; n < 200; n += n < 20 ? 1 : 13) {
        struct strbuf b;
        struct json v;
        struct err err;
        strbuf_init(&b, 1 << 20);
        for (int i = 0; i < n; i++) strbuf_printf(&b, "%c\"key%d\":%d", i ? ',' : '{', i, i * 7);
        strbuf_c(&b, "}");
        assert_int_equal(json_parse(&arena, strbuf_view(&b), &json_default_limits, &v, NULL, &err), 0);
        for (int i = 0; i < n; i++) {
            char key[16];
            int64_t got = -1;
            snprintf(key, sizeof key, "key%d", i);
            assert_true(json_i64(json_get_c(v, key), &got));
            assert_int_equal(got, i * 7);
        }
        assert_int_equal(json_kind(json_get_c(v, "key")), JSON_ABSENT);
        strbuf_cut(&b, b.n - 1);
        strbuf_printf(&b, ",\"key%d\":1}", n / 2);
        assert_int_equal(json_parse(&arena, strbuf_view(&b), &json_default_limits, &v, NULL, &err), -1);
        assert_non_null(strstr(err.msg, "given before"));
        strbuf_fini(&b);
    }
}

static void numbers(void **state)
{
    static const struct {
        const char *text;
        bool whole;
        int64_t i;
    } cases[] = {
        { "[0]", true, 0 },
        { "[-0]", true, 0 },
        { "[9223372036854775807]", true, INT64_MAX },
        { "[-9223372036854775808]", true, INT64_MIN },
        { "[9223372036854775808]", false, 0 },
        { "[1.0]", false, 0 },
        { "[1e3]", false, 0 },
        { "[\"1\"]", false, 0 },
    };
    double f;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t got = 0;
        assert_int_equal(json_i64(json_first(must(cases[i].text)), &got), cases[i].whole);
        assert_int_equal(got, cases[i].i);
    }
    assert_false(json_f64(json_first(must("[1e999]")), &f));
    assert_true(json_f64(json_first(must("[1e-999]")), &f));
}

/* --- writer --------------------------------------------------------------------------------------------- */
struct writing {
    struct strbuf out;
    struct json_writer w;
};

static struct json_writer *writing_begin(struct writing *t)
{
    strbuf_init(&t->out, 4096);
    json_writer_init(&t->w, &t->out);
    return &t->w;
}

static void writing_end(struct writing *t, const char *want)
{
    assert_str(strbuf_view(&t->out), want);
    assert_true(strbuf_ok(&t->out));
    strbuf_fini(&t->out);
}

static void writes_structure(void **state)
{
    struct writing t;
    struct json_writer *w = writing_begin(&t);
    (void)state;
    json_object_begin(w);
    json_field_str(w, "s", STR("x"));
    json_field_str(w, "none", STR_NONE);
    json_field_opt(w, "left out", STR_NONE);
    json_field_opt(w, "empty", STR(""));
    json_field_i64(w, "least", INT64_MIN);
    json_field_f64(w, "f", 0.1);
    json_field_bool(w, "b", true);
    json_field_time(w, "at", 1777803401377);
    json_put_key(w, STR("a"));
    json_array_begin(w);
    json_array_begin(w);
    json_array_end(w);
    json_put_i64(w, 0);
    json_object_begin(w);
    json_object_end(w);
    json_put_null(w);
    json_put_raw(w, STR("{\"r\":1}"));
    json_put_value(w, must("{ \"a b\" : [ 1 , \"x \\\" y\" ] }"));
    json_put_value(w, (struct json){ 0 });
    json_array_end(w);
    json_object_end(w);
    writing_end(&t, "{\"s\":\"x\",\"none\":null,\"empty\":\"\",\"least\":-9223372036854775808,\"f\":0.1,"
                    "\"b\":true,\"at\":\"2026-05-03T10:16:41.377Z\",\"a\":[[],0,{},null,{\"r\":1},"
                    "{\"a b\":[1,\"x \\\" y\"]},null]}");
}

static void writes_strings(void **state)
{
    static const struct {
        struct str in;
        bool html;
        const char *want;
    } cases[] = {
        { STR("a\"\\/\b\f\n\r\t\x01\x7f"), false, "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\x7f\"" },
        { STR("a\0b"), false, "\"a\\u0000b\"" },
        { STR("\xc3\xa9\xf0\x9f\x98\x80"), false, "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
        { STR("x\xff" "y\xc3"), false, "\"x\xef\xbf\xbdy\xef\xbf\xbd\"" },
        { STR("\xed\xa0\x80"), false, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { STR("<b>&"), false, "\"<b>&\"" },
        { STR("<b>&"), true, "\"\\u003cb\\u003e\\u0026\"" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct writing t;
        struct json_writer *w = writing_begin(&t);
        w->escape_html = cases[i].html;
        json_put_str(w, cases[i].in);
        writing_end(&t, cases[i].want);
    }
}

static void escapes_html_in_passed_on_values(void **state)
{
    struct writing t;
    struct json_writer *w = writing_begin(&t);
    (void)state;
    w->escape_html = true;
    json_put_value(w, must("[ \"</script>\", \"\\\\\" ]"));
    writing_end(&t, "[\"\\u003c/script\\u003e\",\"\\\\\"]");
}

static void writes_numbers(void **state)
{
    static const struct {
        double in;
        const char *want;
    } cases[] = {
        { 0, "0" }, { 3, "3" }, { -2.5, "-2.5" }, { 0.1, "0.1" }, { 1e300, "1e+300" },
        { 0.30000000000000004, "0.30000000000000004" }, { (double)INFINITY, "null" }, { (double)NAN, "null" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct writing t;
        json_put_f64(writing_begin(&t), cases[i].in);
        writing_end(&t, cases[i].want);
    }
}

static void big_ids_survive(void **state)
{
    struct writing t;
    (void)state;
    json_put_value(writing_begin(&t), must("{\"id\":123456789012345678901234567890.10}"));
    writing_end(&t, "{\"id\":123456789012345678901234567890.10}");
}

static void ceiling_is_reported(void **state)
{
    struct strbuf out;
    struct json_writer w;
    (void)state;
    strbuf_init(&out, 8);
    json_writer_init(&w, &out);
    json_put_str(&w, STR("123456789"));
    assert_false(strbuf_ok(&out));
    strbuf_fini(&out);
}

static void a_draft_outlives_its_writer(void **state)
{
    struct json_draft d;
    struct arena a = { 0 };
    struct str text;
    (void)state;
    json_put_str(json_draft_begin(&d, 8), STR("12345"));
    assert_true(strbuf_ok(&d.text));
    text = json_draft_end(&d, &a);
    assert_true(str_eq_c(text, "\"12345\""));
    json_put_str(json_draft_begin(&d, 8), STR("1234567"));
    assert_false(strbuf_ok(&d.text));
    json_draft_end(&d, &a);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(refuses_with_place, clean),
        cmocka_unit_test_teardown(refuses_nul_anywhere, clean),
        cmocka_unit_test_teardown(limits, clean),
        cmocka_unit_test_teardown(access_members, clean),
        cmocka_unit_test_teardown(absence_passes_through, clean),
        cmocka_unit_test_teardown(iterates_in_order, clean),
        cmocka_unit_test_teardown(many_members, clean),
        cmocka_unit_test_teardown(numbers, clean),
        cmocka_unit_test_teardown(writes_structure, clean),
        cmocka_unit_test_teardown(writes_strings, clean),
        cmocka_unit_test_teardown(escapes_html_in_passed_on_values, clean),
        cmocka_unit_test_teardown(writes_numbers, clean),
        cmocka_unit_test_teardown(big_ids_survive, clean),
        cmocka_unit_test_teardown(ceiling_is_reported, clean),
        cmocka_unit_test(a_draft_outlives_its_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
