/* Fuzzes templates. The first line is the template, the rest the view as JSON; the view's member "partials"
 * (name to text) gives partials, which may have several lines. Compiling and rendering must end, stay within
 * the limits, name places that exist, and give the same again. */
#include <assert.h>
#include <stdint.h>

#include "base/utf8.h"
#include "template/escape.h"
#include "template/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_INPUT = 64 << 10 };
static const struct template_limits limits = { 3000, 64 << 10, 32 };

static bool find_partial(void *ctx, struct str name, struct str *source)
{
    struct json v = json_get(json_get_c(*(struct json *)ctx, "partials"), name);
    *source = json_str(v);
    return json_kind(v) == JSON_STRING;
}

static void count_name(void *ctx, struct str name)
{
    assert(name.n > 0);
    ++*(size_t *)ctx;
}

static void check_place(const struct err *err, struct str source)
{
    size_t lines = 1;
    for (size_t i = 0; i < source.n; i++) lines += source.p[i] == '\n';
    assert(err->msg[0] && err->code != ERR_OK);
    if (err->file[0]) return; /* of a partial */
    assert(err->line <= lines && err->col <= source.n + 1);
}

static int render(const struct template *t, struct json view, const char *escaper, struct strbuf *out,
                  struct str source)
{
    struct err err;
    int rc = template_render(t, view, escape_by_name(str_c(escaper)), &limits, out, &err);
    assert(out->n <= limits.bytes && strbuf_ok(out));
    if (rc < 0) check_place(&err, source);
    return rc;
}

static void check_render(const struct template *t, struct json view, struct str source)
{
    static const char *const escapers[] = { "html", "slack", "json", "url_path", "url_query", "header",
                                            "telegram_md2", "discord_md", "none" };
    for (size_t i = 0; i < sizeof escapers / sizeof *escapers; i++) {
        struct strbuf one, two;
        struct str literal;
        strbuf_init(&one, 1 << 20);
        strbuf_init(&two, 1 << 20);
        int rc = render(t, view, escapers[i], &one, source);
        assert(render(t, view, escapers[i], &two, source) == rc &&
               str_eq(strbuf_view(&one), strbuf_view(&two)));
        if (rc == 0 && template_is_literal(t, &literal)) assert(str_eq(literal, strbuf_view(&one)));
        strbuf_fini(&one);
        strbuf_fini(&two);
    }
}

static void check_truncate(struct arena *a, struct str s)
{
    for (int unit = TEXT_CHARS; unit <= TEXT_BYTES; unit++) {
        for (size_t most = 0; most < 9; most++) {
            struct str cut = text_truncate(a, s, most, (enum text_unit)unit);
            assert(text_length(cut, (enum text_unit)unit) <= most);
            if (utf8_invalid_at(s) == s.n) assert(utf8_invalid_at(cut) == cut.n);
        }
    }
}

static void check(struct arena *a, struct str source, struct json view, bool filters)
{
    struct template_options o = { .filters = filters, .partial = find_partial, .ctx = &view };
    struct err err = { 0 };
    struct template *t = template_compile(a, source, &o, &err);
    size_t names = 0;
    if (!t) {
        check_place(&err, source);
        return;
    }
    template_names(t, count_name, &names);
    check_render(t, view, source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    struct str rest = { (const char *)data, size }, source;
    struct json view = { 0 };
    struct err err;
    if (size > MOST_INPUT || !str_split(&rest, '\n', &source)) return 0;
    check_truncate(&a, source);
    if (json_parse(&a, rest, &json_default_limits, &view, NULL, &err) < 0) view = (struct json){ 0 };
    check(&a, source, view, false);
    check(&a, source, view, true);
    arena_fini(&a);
    return 0;
}
