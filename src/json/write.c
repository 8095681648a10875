#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/timefmt.h"
#include "base/utf8.h"
#include "json/json.h"

enum { MOST_LEVELS = 64 }; /* bits of has_item */

void json_writer_init(struct json_writer *w, struct strbuf *out)
{
    *w = (struct json_writer){ .out = out };
}

struct json_writer *json_draft_begin(struct json_draft *d, size_t ceiling)
{
    strbuf_init(&d->text, ceiling);
    json_writer_init(&d->w, &d->text);
    return &d->w;
}

struct str json_draft_end(struct json_draft *d, struct arena *a)
{
    struct str text = str_dup(a, strbuf_view(&d->text));
    strbuf_fini(&d->text);
    return text;
}

static uint64_t level_bit(const struct json_writer *w)
{
    return (uint64_t)1 << (w->depth - 1);
}

/* The comma before an item, unless it is the first one or follows its key. */
static void before_item(struct json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0) return;
    if (w->has_item & level_bit(w)) strbuf_char(w->out, ',');
    w->has_item |= level_bit(w);
}

static void begin(struct json_writer *w, char bracket)
{
    before_item(w);
    assert(w->depth < MOST_LEVELS);
    w->depth++;
    w->has_item &= ~level_bit(w);
    strbuf_char(w->out, bracket);
}

static void end(struct json_writer *w, char bracket)
{
    assert(w->depth > 0 && !w->after_key);
    w->depth--;
    strbuf_char(w->out, bracket);
}

void json_object_begin(struct json_writer *w)
{
    begin(w, '{');
}

void json_object_end(struct json_writer *w)
{
    end(w, '}');
}

void json_array_begin(struct json_writer *w)
{
    begin(w, '[');
}

void json_array_end(struct json_writer *w)
{
    end(w, ']');
}

enum needs { AS_IT_IS, ESCAPE_IN_HTML, ESCAPE, CHECK }; /* the order matters to plain_until */
static const uint8_t needs[256] = {
    [0x00 ... 0x1f] = ESCAPE, ['"'] = ESCAPE, ['\\'] = ESCAPE, ['<'] = ESCAPE_IN_HTML, ['>'] = ESCAPE_IN_HTML,
    ['&'] = ESCAPE_IN_HTML, [0x80 ... 0xff] = CHECK,
};

static void put_escape(struct strbuf *out, unsigned char c)
{
    static const char shorts[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r' };
    static const char hex[] = "0123456789abcdef";
    char full[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
    if (c < sizeof shorts && shorts[c]) full[1] = shorts[c];
    else if (c == '"' || c == '\\') full[1] = (char)c;
    strbuf_add(out, full, full[1] == 'u' ? 6 : 2);
}

/* The next byte at or after i that cannot simply be copied. */
static size_t plain_until(const struct json_writer *w, struct str s, size_t i)
{
    const uint8_t most = w->escape_html ? AS_IT_IS : ESCAPE_IN_HTML;
    while (i < s.n && needs[(unsigned char)s.p[i]] <= most) i++;
    return i;
}

/* Most texts need no escape: one copy. */
static void put_plain(struct json_writer *w, struct str s)
{
    char *p = strbuf_room(w->out, s.n + 2);
    if (!p) return;
    p[0] = '"';
    if (s.n) memcpy(p + 1, s.p, s.n);
    p[s.n + 1] = '"';
    strbuf_grew(w->out, s.n + 2);
}

static void put_quoted(struct json_writer *w, struct str s)
{
    size_t from = 0, i = plain_until(w, s, 0);
    if (i == s.n) {
        put_plain(w, s);
        return;
    }
    strbuf_char(w->out, '"');
    for (; i < s.n; i = plain_until(w, s, i)) {
        unsigned char c = (unsigned char)s.p[i];
        size_t len = 1;
        bool bad = false;
        if (needs[c] == CHECK) {
            len = utf8_sequence(s, i);
            bad = len == 0;
        }
        if (needs[c] == CHECK && !bad) {
            i += len;
            continue;
        }
        strbuf_add(w->out, s.p + from, i - from);
        if (bad) strbuf_add(w->out, "\xef\xbf\xbd", 3);
        else put_escape(w->out, c);
        from = ++i;
    }
    strbuf_add(w->out, s.p + from, i - from);
    strbuf_char(w->out, '"');
}

void json_put_key(struct json_writer *w, struct str key)
{
    assert(w->depth > 0 && !w->after_key);
    before_item(w);
    put_quoted(w, key);
    strbuf_char(w->out, ':');
    w->after_key = true;
}

void json_put_str(struct json_writer *w, struct str s)
{
    before_item(w);
    if (str_absent(s)) strbuf_str(w->out, STR("null"));
    else put_quoted(w, s);
}

void json_put_i64(struct json_writer *w, int64_t v)
{
    char digits[24], *p = digits + sizeof digits;
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    before_item(w);
    for (; rest >= 100; rest /= 100) { /* two at a time: divisions are what this costs */
        unsigned two = (unsigned)(rest % 100);
        *--p = (char)('0' + two % 10);
        *--p = (char)('0' + two / 10);
    }
    if (rest >= 10) {
        *--p = (char)('0' + rest % 10);
        rest /= 10;
    }
    *--p = (char)('0' + rest);
    if (v < 0) *--p = '-';
    strbuf_add(w->out, p, (size_t)(digits + sizeof digits - p));
}

/* The shortest of three precisions that reads back as the same number. */
void json_put_f64(struct json_writer *w, double v)
{
    char text[40];
    int n = 0;
    before_item(w);
    if (!isfinite(v)) {
        strbuf_str(w->out, STR("null"));
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        double back;
        n = snprintf(text, sizeof text, "%.*g", digits, v);
        if (str_to_f64((struct str){ text, (size_t)n }, &back) && !(back < v) && !(back > v)) break;
    }
    strbuf_add(w->out, text, (size_t)n);
}

void json_put_bool(struct json_writer *w, bool v)
{
    before_item(w);
    strbuf_str(w->out, v ? STR("true") : STR("false"));
}

void json_put_null(struct json_writer *w)
{
    before_item(w);
    strbuf_str(w->out, STR("null"));
}

/* < > & stand in valid JSON only inside strings, so they can be escaped wherever they are. */
static void put_source(struct json_writer *w, struct str text, bool compact)
{
    size_t from = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool drop = !in_string && compact && (c == ' ' || c == '\n' || c == '\t' || c == '\r');
        bool escape = w->escape_html && (c == '<' || c == '>' || c == '&');
        if (c == '"') in_string = !in_string;
        if (c == '\\') i++; /* what follows belongs to the escape */
        if (!drop && !escape) continue;
        strbuf_add(w->out, text.p + from, i - from);
        if (escape) put_escape(w->out, (unsigned char)c);
        from = i + 1;
    }
    strbuf_add(w->out, text.p + from, text.n - from);
}

void json_put_raw(struct json_writer *w, struct str text)
{
    before_item(w);
    put_source(w, text, false);
}

void json_put_value(struct json_writer *w, struct json v)
{
    before_item(w);
    if (json_kind(v) == JSON_ABSENT) strbuf_str(w->out, STR("null"));
    else put_source(w, json_text(v), true);
}

void json_field_str(struct json_writer *w, const char *key, struct str s)
{
    json_put_key(w, str_c(key));
    json_put_str(w, s);
}

void json_field_opt(struct json_writer *w, const char *key, struct str s)
{
    if (!str_absent(s)) json_field_str(w, key, s);
}

void json_field_i64(struct json_writer *w, const char *key, int64_t v)
{
    json_put_key(w, str_c(key));
    json_put_i64(w, v);
}

void json_field_f64(struct json_writer *w, const char *key, double v)
{
    json_put_key(w, str_c(key));
    json_put_f64(w, v);
}

void json_field_bool(struct json_writer *w, const char *key, bool v)
{
    json_put_key(w, str_c(key));
    json_put_bool(w, v);
}

void json_field_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
    char text[TIMEFMT_SIZE];
    json_put_key(w, str_c(key));
    json_put_str(w, time_format(wall_ms, text));
}
