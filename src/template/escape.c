/* Escapers: each writes s so that its target shows it as it is. Length and truncation. */
#include "template/escape.h"

#include <string.h>

#include "base/utf8.h"

/* Writes s with every byte that has a replacement in swap[] replaced. */
static void swap_bytes(struct str s, const char *const swap[128], struct strbuf *out)
{
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 128 || !swap[c]) continue;
        strbuf_add(out, s.p + from, i - from);
        strbuf_c(out, swap[c]);
        from = i + 1;
    }
    if (from < s.n) strbuf_add(out, s.p + from, s.n - from);
}

static void backslash(struct str s, const char *special, struct strbuf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] && strchr(special, s.p[i])) strbuf_char(out, '\\');
        strbuf_char(out, s.p[i]);
    }
}

static void escape_html(struct str s, struct strbuf *out)
{
    static const char *const swap[128] = {
        ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;"
    };
    swap_bytes(s, swap, out);
}

/* A value with ``` in it would end the code block it stands in: a zero width space keeps them apart. */
static void escape_slack(struct str s, struct strbuf *out)
{
    static const char *const swap[128] = { ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;" };
    size_t from = 0, ticks = 0;
    for (size_t i = 0; i < s.n; i++) {
        ticks = s.p[i] == '`' ? ticks + 1 : 0;
        if (ticks < 3) continue;
        swap_bytes(str_sub(s, from, i - from), swap, out);
        strbuf_c(out, "\xE2\x80\x8B");
        from = i;
        ticks = 1;
    }
    swap_bytes(str_sub(s, from, s.n - from), swap, out);
}

static void escape_json(struct str s, struct strbuf *out)
{
    struct strbuf b;
    struct json_writer w;
    strbuf_init(&b, 6 * s.n + 3); /* \u0000 and the quotes, which are ours to drop */
    json_writer_init(&w, &b);
    json_put_str(&w, s.p ? s : STR(""));
    if (b.n > 2) strbuf_add(out, b.p + 1, b.n - 2);
    strbuf_fini(&b);
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~", c));
}

static void escape_url_query(struct str s, struct strbuf *out)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        char code[3] = { '%', hex[c >> 4], hex[c & 15] };
        if (is_unreserved(s.p[i])) strbuf_char(out, s.p[i]);
        else strbuf_add(out, code, 3);
    }
}

/* One segment. "." and ".." alone would move to another path. */
static void escape_url_path(struct str s, struct strbuf *out)
{
    if (str_eq_c(s, ".")) strbuf_c(out, "%2E");
    else if (str_eq_c(s, "..")) strbuf_c(out, "%2E%2E");
    else escape_url_query(s, out);
}

static void escape_header(struct str s, struct strbuf *out)
{
    for (size_t i = 0; i < s.n; i++)
        strbuf_char(out, s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0' ? ' ' : s.p[i]);
}

static void escape_telegram_md2(struct str s, struct strbuf *out)
{
    backslash(s, "\\_*[]()~`>#+-=|{}.!", out);
}

static void escape_discord_md(struct str s, struct strbuf *out)
{
    backslash(s, "\\*_~|>#-[]()`", out);
}

static void escape_none(struct str s, struct strbuf *out)
{
    strbuf_str(out, s);
}

template_escape_fn escape_by_name(struct str name)
{
    static const struct { const char *name; template_escape_fn fn; } escapers[] = {
        { "html", escape_html },           { "slack", escape_slack },
        { "json", escape_json },           { "url_path", escape_url_path },
        { "url_query", escape_url_query }, { "header", escape_header },
        { "telegram_html", escape_html },  { "telegram_md2", escape_telegram_md2 },
        { "discord_md", escape_discord_md }, { "none", escape_none },
    };
    for (size_t i = 0; i < sizeof escapers / sizeof *escapers; i++)
        if (str_eq_c(name, escapers[i].name)) return escapers[i].fn;
    return NULL;
}

/* --- lengths ---------------------------------------------------------------------------------------- */
bool text_unit_parse(struct str name, enum text_unit *out)
{
    static const char *const names[] = {
        [TEXT_CHARS] = "chars", [TEXT_UTF16] = "utf16", [TEXT_BYTES] = "bytes"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!str_eq_c(name, names[i])) continue;
        *out = (enum text_unit)i;
        return true;
    }
    return false;
}

/* Units of the code point of n bytes (0: an invalid byte, shown as one character). */
static size_t units_of(size_t n, enum text_unit unit)
{
    if (unit == TEXT_BYTES) return n ? n : 1;
    return unit == TEXT_UTF16 && n == 4 ? 2 : 1;
}

/* Bytes at the beginning of s that take at most `most` units, whole code points. */
static size_t fitting(struct str s, size_t most, enum text_unit unit, size_t *units)
{
    size_t at = 0;
    *units = 0;
    while (at < s.n) {
        size_t n = utf8_sequence(s, at), more = units_of(n, unit);
        if (more > most - *units) break;
        *units += more;
        at += n ? n : 1;
    }
    return at;
}

size_t text_length(struct str s, enum text_unit unit)
{
    size_t units;
    if (unit == TEXT_BYTES) return s.n;
    fitting(s, SIZE_MAX, unit, &units);
    return units;
}

struct str text_truncate(struct arena *a, struct str s, size_t most, enum text_unit unit)
{
    const struct str ellipsis = STR("\xE2\x80\xA6");
    size_t units, mark = unit == TEXT_BYTES ? ellipsis.n : 1, keep;
    char *p;
    if (s.n <= most || fitting(s, most, unit, &units) == s.n) return s; /* no unit is less than a byte */
    keep = fitting(s, most >= mark ? most - mark : most, unit, &units);
    if (most < mark) return str_sub(s, 0, keep);
    p = arena_alloc(a, keep + ellipsis.n);
    memcpy(p, s.p, keep);
    memcpy(p + keep, ellipsis.p, ellipsis.n);
    return (struct str){ p, keep + ellipsis.n };
}
