/* Any bytes as JSON. What is accepted must read the same after each way of writing it, and every way of
 * looking a value up must lead to the same value. */
#include <stddef.h>
#include <stdint.h>

#include "base/utf8.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

static bool same_str(struct str a, struct str b)
{
    return str_absent(a) == str_absent(b) && str_eq(a, b);
}

static bool same(struct json a, struct json b)
{
    struct json x, y;
    if (json_kind(a) != json_kind(b) || json_count(a) != json_count(b)) return false;
    if (!same_str(json_scalar(a), json_scalar(b)) || !same_str(json_key(a), json_key(b))) return false;
    for (x = json_first(a), y = json_first(b); json_kind(x); x = json_next(x), y = json_next(y))
        if (!same(x, y)) return false;
    return json_kind(y) == JSON_ABSENT;
}

/* Writes v again from its decoded parts. */
static void rewrite(struct json_writer *w, struct json v)
{
    bool object = json_kind(v) == JSON_OBJECT;
    if (json_kind(v) == JSON_STRING) {
        json_put_str(w, json_str(v));
        return;
    }
    if (!object && json_kind(v) != JSON_ARRAY) {
        json_put_raw(w, json_text(v));
        return;
    }
    if (object) json_object_begin(w);
    else json_array_begin(w);
    for (struct json c = json_first(v); json_kind(c); c = json_next(c)) {
        if (object) json_put_key(w, json_key(c));
        rewrite(w, c);
    }
    if (object) json_object_end(w);
    else json_array_end(w);
}

static void check_again(struct json v, bool decoded, bool escape_html)
{
    struct arena a = { 0 };
    struct strbuf out;
    struct json_writer w;
    struct json again;
    struct err err;
    strbuf_init(&out, 64 << 20);
    json_writer_init(&w, &out);
    w.escape_html = escape_html;
    if (decoded) rewrite(&w, v);
    else json_put_value(&w, v);
    must(strbuf_ok(&out));
    for (size_t i = 0; escape_html && i < out.n; i++) must(out.p[i] != '<' && out.p[i] != '>' && out.p[i] != '&');
    must(json_parse(&a, strbuf_view(&out), &json_default_limits, &again, NULL, &err) == 0);
    must(same(v, again));
    strbuf_fini(&out);
    arena_fini(&a);
}

static void check_number(struct json v)
{
    int64_t whole;
    double d;
    if (json_i64(v, &whole) && json_f64(v, &d)) must(d >= -9.3e18 && d <= 9.3e18);
}

/* Every look-up leads to the value that iteration shows. */
static void check_access(struct json v)
{
    size_t n = 0;
    for (struct json c = json_first(v); json_kind(c); c = json_next(c), n++) {
        struct str key = json_key(c);
        struct json found = json_kind(v) == JSON_OBJECT ? json_get(v, key) : n < 100 ? json_at(v, n) : c;
        must(found.at == c.at && found.doc == c.doc);
        must(str_absent(key) == (json_kind(v) == JSON_ARRAY));
        if (!str_absent(key)) must(utf8_invalid_at(key) == key.n);
        check_access(c);
    }
    must(n == json_count(v));
    if (json_kind(v) == JSON_STRING) must(utf8_invalid_at(json_str(v)) == json_str(v).n);
    check_number(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    struct str text = { (const char *)data, size };
    struct json v;
    struct err err = { 0 };
    size_t offset = 0;
    if (json_parse(&a, text, &json_default_limits, &v, &offset, &err) == 0) {
        check_access(v);
        check_again(v, false, false);
        check_again(v, false, true);
        check_again(v, true, false);
        check_again(v, true, true);
    } else {
        must(err.code == ERR_LIMIT || (err.code == ERR_SYNTAX && err.line > 0 && err.col > 0));
        must(offset <= size && err.msg[0] && json_kind(v) == JSON_ABSENT);
    }
    arena_fini(&a);
    return 0;
}
