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

/* Does a comma stand before the item that comes now? None before the first one, and none behind a key. */
static bool comma_due(struct json_writer *w)
{
    bool due;
    if (w->after_key) {
        w->after_key = false;
        return false;
    }
    if (w->depth == 0) return false;
    due = w->has_item & level_bit(w);
    w->has_item |= level_bit(w);
    return due;
}

static void before_item(struct json_writer *w)
{
    if (comma_due(w)) strbuf_char(w->out, ',');
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

/* For sure nothing to escape in it: eight bytes at a time, the last of them twice. */
static bool surely_plain(const struct json_writer *w, struct str s)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t hits = 0, v;
    if (s.n < sizeof v || w->escape_html) return false;
    for (size_t i = 0; i < s.n; i += sizeof v) {
        memcpy(&v, s.p + (i + sizeof v <= s.n ? i : s.n - sizeof v), sizeof v);
        hits |= v | (v - ones * ' ') | ((v ^ ones * '"') - ones) | ((v ^ ones * '\\') - ones);
    }
    return !(hits & ones << 7);
}

/* Most texts need no escape: one copy, with what stands around it. */
static void put_plain(struct json_writer *w, struct str s, bool comma, bool colon)
{
    size_t n = s.n + 2 + comma + colon;
    char *p = strbuf_room(w->out, n);
    if (!p) return;
    if (comma) *p++ = ',';
    *p++ = '"';
    if (s.n) memcpy(p, s.p, s.n);
    p += s.n;
    *p++ = '"';
    if (colon) *p = ':';
    strbuf_grew(w->out, n);
}

/* From i on there is something to escape. */
static void put_escaped(struct json_writer *w, struct str s, size_t i)
{
    size_t from = 0;
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

static void put_text(struct json_writer *w, struct str s, bool colon)
{
    bool comma = comma_due(w);
    size_t plain = surely_plain(w, s) ? s.n : plain_until(w, s, 0);
    if (plain == s.n) {
        put_plain(w, s, comma, colon);
        return;
    }
    if (comma) strbuf_char(w->out, ',');
    put_escaped(w, s, plain);
    if (colon) strbuf_char(w->out, ':');
}

void json_put_key(struct json_writer *w, struct str key)
{
    assert(w->depth > 0 && !w->after_key);
    put_text(w, key, true);
    w->after_key = true;
}

void json_put_str(struct json_writer *w, struct str s)
{
    if (str_absent(s)) json_put_null(w);
    else put_text(w, s, false);
}

#define TEN(d) d "0", d "1", d "2", d "3", d "4", d "5", d "6", d "7", d "8", d "9"
static const char pairs[100][2] = { TEN("0"), TEN("1"), TEN("2"), TEN("3"), TEN("4"),
                                    TEN("5"), TEN("6"), TEN("7"), TEN("8"), TEN("9") };

void json_put_i64(struct json_writer *w, int64_t v)
{
    char digits[24], *p = digits + sizeof digits;
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    for (; rest >= 10; rest /= 100) { /* two at a time: divisions are what this costs */
        p -= 2;
        memcpy(p, pairs[rest % 100], 2);
    }
    if (rest > 0 || p == digits + sizeof digits) *--p = (char)('0' + rest);
    if (v < 0) *--p = '-';
    if (comma_due(w)) *--p = ',';
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

void json_put_name(struct json_writer *w, struct str name)
{
    assert(w->depth > 0 && !w->after_key);
    put_plain(w, name, comma_due(w), true);
    w->after_key = true;
}

void json_field_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
    char text[TIMEFMT_SIZE];
    json_put_name(w, str_c(key));
    json_put_str(w, time_format(wall_ms, text));
}
