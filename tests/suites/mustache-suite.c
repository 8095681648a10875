/* mustache-suite FILE.json...: runs tests in the JSON form of the Mustache specification,
 *   {"tests": [{"name", "data", "template", "expected", "partials"}]},
 * with the HTML escaper, as that specification wants. Beyond it, for our own files: "filters": true (on the
 * file or a test) turns filters on, and "error" instead of "expected" is a part of the message wanted. */
#include <stdio.h>

#include "base/file.h"
#include "json/json.h"
#include "template/escape.h"
#include "template/template.h"

enum { CEILING = 16 << 20 };

struct totals { unsigned passed, failed; };

static bool find_partial(void *ctx, struct str name, struct str *source)
{
    struct json v = json_get(*(struct json *)ctx, name);
    if (json_kind(v) != JSON_STRING) return false;
    *source = json_str(v);
    return true;
}

static void print_quoted(const char *what, struct str s)
{
    struct strbuf b;
    struct json_writer w;
    strbuf_init(&b, CEILING);
    json_writer_init(&w, &b);
    json_put_str(&w, s.p ? s : STR(""));
    printf("    %s %s\n", what, b.p);
    strbuf_fini(&b);
}

static bool run_test(struct arena *a, struct json test, bool filters, struct strbuf *out, struct err *err)
{
    struct json partials = json_get_c(test, "partials");
    struct template_options o = {
        .filters = json_bool(json_get_c(test, "filters"), filters),
        .partial = find_partial,
        .ctx = &partials,
    };
    struct template *t = template_compile(a, json_str(json_get_c(test, "template")), &o, err);
    if (!t) return false;
    return template_render(t, json_get_c(test, "data"), escape_by_name(STR("html")), NULL, out, err) == 0;
}

static void check_test(struct json test, bool filters, const char *path, struct totals *totals)
{
    struct arena a = { 0 };
    struct strbuf out;
    struct err err = { 0 };
    struct json error = json_get_c(test, "error");
    struct str want = json_str(json_present(error) ? error : json_get_c(test, "expected")), got;
    bool ran, ok;
    strbuf_init(&out, CEILING);
    ran = run_test(&a, test, filters, &out, &err);
    got = ran ? strbuf_view(&out) : str_c(err.msg);
    if (!ran && json_present(error)) ok = str_find_str(got, want) < got.n;
    else ok = ran && !json_present(error) && !str_absent(want) && str_eq(got, want);
    if (ok) totals->passed++;
    else totals->failed++;
    if (!ok) {
        struct str name = json_str(json_get_c(test, "name"));
        printf("FAILED %s: " STR_FMT "\n", path, STR_ARG(name));
        print_quoted("template", json_str(json_get_c(test, "template")));
        print_quoted(json_present(error) ? "expected the error" : "expected", want);
        print_quoted(ran ? "got     " : "got the error", got);
    }
    strbuf_fini(&out);
    arena_fini(&a);
}

static void check_file(const char *path, struct totals *totals)
{
    struct arena a = { 0 };
    struct err err = { 0 };
    struct str text;
    struct json root, tests, test;
    if (file_read(&a, path, CEILING, &text, &err) < 0 ||
        json_parse(&a, text, &json_default_limits, &root, NULL, &err) < 0) {
        printf("FAILED %s: line %u: %s\n", path, err.line, err.msg);
        totals->failed++;
    } else {
        tests = json_get_c(root, "tests");
        test = json_first(tests);
        if (json_count(tests) == 0) {
            printf("FAILED %s: no tests in it\n", path);
            totals->failed++;
        }
        for (size_t i = 0, n = json_count(tests); i < n; i++, test = json_next(test))
            check_test(test, json_bool(json_get_c(root, "filters"), false), path, totals);
    }
    arena_fini(&a);
}

int main(int argc, char **argv)
{
    struct totals totals = { 0 };
    if (argc < 2) {
        fprintf(stderr, "usage: mustache-suite FILE.json...\n");
        return 2;
    }
    for (int i = 1; i < argc; i++) check_file(argv[i], &totals);
    printf("%u passed, %u failed\n", totals.passed, totals.failed);
    return totals.failed ? 1 : 0;
}
