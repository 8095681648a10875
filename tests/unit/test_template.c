/* template: what the Mustache suite cannot say: places of faults, known names, bounds, literals, options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/suggest.h"
#include "template/escape.h"
#include "template/template.h"

#define COUNT_OF(t) (sizeof(t) / sizeof *(t))

static const struct str known_names[] = { { "task", 4 }, { "run.id", 6 }, { "tags", 4 }, { "error", 5 } };

static bool known(void *ctx, struct str name, struct str *suggestion)
{
    (void)ctx;
    for (size_t i = 0; i < COUNT_OF(known_names); i++)
        if (str_eq(name, known_names[i])) return true;
    *suggestion = suggest_nearest(name, known_names, COUNT_OF(known_names));
    return false;
}

static bool partial(void *ctx, struct str name, struct str *source)
{
    struct json v = json_get(*(struct json *)ctx, name);
    *source = json_str(v);
    return json_present(v);
}

static struct json parse(struct arena *a, const char *text)
{
    struct json root = { 0 };
    struct err err = { 0 };
    if (json_parse(a, str_c(text), &json_default_limits, &root, NULL, &err))
        fail_msg("%s: %s", err.msg, text);
    return root;
}

static struct template *compile(struct arena *a, const char *source, const struct template_options *o)
{
    struct err err = { 0 };
    struct template *t = template_compile(a, str_c(source), o, &err);
    if (!t) fail_msg("%s: %s", source, err.msg);
    return t;
}

/* --- faults ----------------------------------------------------------------------------------------- */
static void faults_have_places(void **state)
{
    static const struct { const char *source; uint32_t line, col; const char *msg; } cases[] = {
        { "a {{tsk}}", 1, 3, "unknown field \"tsk\"; did you mean \"task\"?" },
        { "a\nb {{#tag}}{{/tag}}", 2, 3, "unknown field \"tag\"; did you mean \"tags\"?" },
        { "{{something.else}}", 1, 1, "unknown field \"something.else\"" },
        { "{{task}}\n\n  {{^zzzzzzzz}}", 3, 3, "unknown field \"zzzzzzzz\"" },
        { "{{task | upper}} {{task | lowr}}", 1, 27, "unknown filter \"lowr\"; did you mean \"lower\"?" },
        { "x\n{{task | trim | truncate: 0}}", 2, 17,
          "the filter \"truncate\" wants a whole number from 1 to 1000000" },
        { "{{#tags}}\n{{.}}", 1, 1, "the section \"tags\" is not closed" },
        { "{{#tags}}\n {{/task}}", 2, 2, "\"task\" closes the section \"tags\" of line 1" },
        { "ab\ncd {{task", 2, 4, "the tag is not closed: }} is missing" },
        { "{{=<% %>=}}\n<%task", 2, 1, "the tag is not closed: %> is missing" },
        { "{{{task}}}", 1, 1, "unescaped text ({{{) is not allowed here: write {{task}}" },
        { "{{& task}}", 1, 1, "unescaped text ({{&) is not allowed here: write {{task}}" },
    };
    struct template_options o = { .filters = true, .refuse_unescaped = true, .known = known };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a = { 0 };
        struct err err = { 0 };
        assert_null(template_compile(&a, str_c(cases[i].source), &o, &err));
        assert_string_equal(err.msg, cases[i].msg);
        assert_int_equal(err.code, ERR_SYNTAX);
        if (err.line != cases[i].line || err.col != cases[i].col)
            fail_msg("%s: at %u:%u", cases[i].source, err.line, err.col);
        arena_fini(&a);
    }
}

static void faults_in_partials_name_them(void **state)
{
    struct arena a = { 0 };
    struct err err = { 0 };
    struct json partials = parse(&a, "{\"foot\":\"one\\n{{tsk}}\",\"late\":\"ab {{error | round}}\"}");
    struct template_options o = { .filters = true, .known = known, .partial = partial, .ctx = &partials };
    struct strbuf out;
    (void)state;
    assert_null(template_compile(&a, STR("{{>foot}}"), &o, &err));
    assert_string_equal(err.file, "partial foot");
    assert_int_equal(err.line, 2);
    assert_int_equal(err.col, 1);
    strbuf_init(&out, 1000);
    assert_int_equal(template_render(compile(&a, "x {{>late}}", &o), parse(&a, "{\"error\":\"e\"}"), NULL,
                                     NULL, &out, &err),
                     -1);
    assert_string_equal(err.msg, "round: \"e\" is not a number");
    assert_string_equal(err.file, "partial late");
    assert_int_equal(err.line, 1);
    assert_int_equal(err.col, 4);
    assert_string_equal(out.p, "x ab ");
    strbuf_fini(&out);
    arena_fini(&a);
}

static void collect(void *ctx, struct str name)
{
    strbuf_str(ctx, name);
    strbuf_char(ctx, ' ');
}

static void names_are_told(void **state)
{
    struct arena a = { 0 };
    struct json partials = parse(&a, "{\"p\":\"{{error}}{{>p}}\"}");
    struct template_options o = { .filters = true, .known = known, .partial = partial, .ctx = &partials };
    struct strbuf out;
    (void)state;
    strbuf_init(&out, 1000);
    template_names(
        compile(&a, "a {{task | upper}}{{#tags}}{{.}}{{run.id}}{{/tags}}{{^error}}{{/error}}{{>p}}", &o),
        collect, &out);
    assert_string_equal(out.p, "task tags run.id error error ");
    strbuf_fini(&out);
    arena_fini(&a);
}

static void literals_are_known(void **state)
{
    static const struct { const char *source, *literal; } cases[] = {
        { "", "" },
        { "plain", "plain" },
        { "{{! gone }}", "" },
        { "a{{! gone }}b{{=| |=}}c", "abc" },
        { "a\n{{! gone }}\nb", "a\nb" },
        { "a {{task}}", NULL },
        { "{{#task}}{{/task}}", NULL },
        { "{{>p}}", NULL },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a = { 0 };
        struct str text = STR_NONE;
        bool literal = template_is_literal(compile(&a, cases[i].source, NULL), &text);
        assert_int_equal(literal, cases[i].literal != NULL);
        if (literal) assert_true(str_eq_c(text, cases[i].literal));
        arena_fini(&a);
    }
}

/* --- bounds ----------------------------------------------------------------------------------------- */
static void bounds_hold(void **state)
{
    static const struct {
        const char *source;
        struct template_limits limits;
        const char *out, *msg;
    } cases[] = {
        { "12345{{task}}890", { 10, 10, 1 }, "12345678", "the text grows over its limit of 10 bytes" },
        { "12345{{task}}8", { 10, 9, 1 }, "123456788", NULL },
        { "12345{{task}}", { 10, 7, 1 }, "12345", "the text grows over its limit of 7 bytes" },
        { "{{#tags}}x{{/tags}}", { 7, 99, 1 }, "xxx", NULL }, /* 1 + 3 elements * 2 */
        { "{{#tags}}x{{/tags}}", { 6, 99, 1 }, "xx", "the template takes too many steps" },
        { "{{#a}}{{#b}}x{{/b}}{{/a}}", { 99, 99, 2 }, "x", NULL },
        { "{{#a}}{{#b}}x{{/b}}{{/a}}", { 99, 99, 1 }, "", "sections and partials are nested too deep" },
        { "{{>loop}}", { 99, 99, 3 }, "rrr", "sections and partials are nested too deep" },
        { "{{>bomb}}", { 500, 1 << 20, 1000 }, NULL, "the template takes too many steps" },
        { "{{big | upper}}", { 99, 50, 1 }, "", "a value grows over the limit of 50 bytes" },
        { "{{big | truncate: 1}}", { 5, 50, 1 }, "\xE2\x80\xA6", NULL },
        { "{{huge | truncate: 1}}", { 5, 50, 1 }, "", "the template takes too many steps" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a = { 0 };
        struct err err = { 0 };
        struct strbuf out;
        struct str x = str_printf(&a, "%01000d", 0);
        struct json partials = parse(&a, "{\"loop\":\"r{{>loop}}\",\"bomb\":\"{{>bomb}}{{>bomb}}\"}");
        struct json view =
            parse(&a, str_printf(&a,
                                 "{\"task\":\"678\",\"tags\":[1,2,3],\"a\":{\"b\":true},\"big\":\"%.60s\","
                                 "\"huge\":\"%s\"}",
                                 x.p, x.p)
                          .p);
        struct template_options o = { .filters = true, .partial = partial, .ctx = &partials };
        struct template *t = compile(&a, cases[i].source, &o);
        strbuf_init(&out, 1 << 20);
        int rc = template_render(t, view, NULL, &cases[i].limits, &out, &err);
        assert_int_equal(rc, cases[i].msg ? -1 : 0);
        if (cases[i].msg) assert_string_equal(err.msg, cases[i].msg);
        if (cases[i].msg && err.code != ERR_LIMIT) fail_msg("%s: code %d", cases[i].source, (int)err.code);
        if (cases[i].out) assert_string_equal(out.p, cases[i].out);
        strbuf_fini(&out);
        arena_fini(&a);
    }
}

static void a_full_buffer_is_told(void **state)
{
    struct arena a = { 0 };
    struct err err = { 0 };
    struct strbuf out;
    (void)state;
    strbuf_init(&out, 8);
    strbuf_c(&out, "1234");
    assert_int_equal(
        template_render(compile(&a, "56{{a}}", NULL), parse(&a, "{\"a\":\"78\"}"), NULL, NULL, &out, &err),
        0);
    assert_string_equal(out.p, "12345678");
    assert_int_equal(template_render(compile(&a, "9", NULL), parse(&a, "{}"), NULL, NULL, &out, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(out.p, "12345678");
    strbuf_fini(&out);
    arena_fini(&a);
}

static void partials_are_bounded(void **state)
{
    struct arena a = { 0 };
    struct err err = { 0 };
    struct strbuf source, partials;
    struct json names;
    struct template_options o = { .partial = partial, .ctx = &names };
    (void)state;
    strbuf_init(&source, 1 << 20);
    strbuf_init(&partials, 1 << 20);
    for (int i = 0; i < 300; i++) {
        strbuf_printf(&source, "{{>p%d}}", i);
        strbuf_printf(&partials, "%s\"p%d\":\"\"", i ? "," : "{", i);
    }
    strbuf_char(&partials, '}');
    names = parse(&a, partials.p);
    assert_null(template_compile(&a, strbuf_view(&source), &o, &err));
    assert_string_equal(err.msg, "more than 256 partials");
    strbuf_fini(&source);
    strbuf_fini(&partials);
    arena_fini(&a);
}

/* One call of the escaper for each value, with all of it: senders mark values through it. */
static void mark(struct str s, struct strbuf *out)
{
    strbuf_printf(out, "<" STR_FMT ">", STR_ARG(s));
}

static void values_pass_the_escaper_once(void **state)
{
    struct arena a = { 0 };
    struct err err = { 0 };
    struct strbuf out;
    struct template_options o = { .filters = true };
    struct template *t = compile(&a, "a{{task}}b{{tags}}c{{none}}d{{tags | join: - | upper}}{{{task}}}", &o);
    (void)state;
    strbuf_init(&out, 1000);
    assert_int_equal(
        template_render(t, parse(&a, "{\"task\":\"t\",\"tags\":[\"x\",\"y\"]}"), mark, NULL, &out, &err), 0);
    assert_string_equal(out.p, "a<t>b<x, y>cd<X-Y>t");
    strbuf_fini(&out);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_have_places),
        cmocka_unit_test(faults_in_partials_name_them),
        cmocka_unit_test(names_are_told),
        cmocka_unit_test(literals_are_known),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(a_full_buffer_is_told),
        cmocka_unit_test(partials_are_bounded),
        cmocka_unit_test(values_pass_the_escaper_once),
    };
    return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
