#include "replay/timeline.h"

#include "base/timefmt.h"
#include "base/utf8.h"

enum { ROWS_MAX = 60, WIDTH_LEAST = 20, WIDTH_MOST = 72 };

/* At most WIDTH_MOST characters of it; *cut: there were more. */
static struct str shown(struct str s, bool *cut)
{
    size_t chars = 0, at = 0;
    for (; at < s.n; at++) {
        if (((unsigned char)s.p[at] & 0xc0) == 0x80) continue; /* inside a character */
        if (++chars > WIDTH_MOST) break;
    }
    *cut = at < s.n;
    return str_sub(s, 0, at);
}

static size_t width_of(const struct timeline_row *rows, size_t n)
{
    size_t width = WIDTH_LEAST;
    bool cut;
    for (size_t k = 0; k < n; k++) {
        size_t chars = utf8_chars(shown(rows[k].happened, &cut)) + cut;
        if (chars > width) width = chars;
    }
    return width;
}

static void pad(struct strbuf *out, size_t from, size_t to)
{
    for (; from < to; from++) strbuf_char(out, ' ');
}

static void put_row(const struct timeline_row *r, size_t width, struct strbuf *out)
{
    char text[TIMEFMT_SIZE];
    bool cut;
    struct str at = duration_format(r->at_ms, text), left = shown(r->happened, &cut);
    strbuf_printf(out, "    %8.*s  " STR_FMT "%s", STR_ARG(at), STR_ARG(left), cut ? "\xe2\x80\xa6" : "");
    if (r->expected.n) {
        pad(out, utf8_chars(left) + cut, width);
        strbuf_printf(out, "  %s  " STR_FMT, r->missed ? "MISS" : "ok  ", STR_ARG(r->expected));
    }
    strbuf_char(out, '\n');
}

void timeline_put(const struct timeline_row *rows, size_t n, struct strbuf *out)
{
    size_t width = width_of(rows, n), left_out = 0;
    strbuf_printf(out, "    %8s  what happened", "when");
    pad(out, sizeof "what happened" - 1, width);
    strbuf_c(out, "  what was expected\n");
    for (size_t k = 0; k < n; k++) {
        if (k < ROWS_MAX || rows[k].expected.n) put_row(&rows[k], width, out);
        else left_out++;
    }
    if (left_out) strbuf_printf(out, "    and %zu more that nothing was expected of\n", left_out);
}
