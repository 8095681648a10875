/* The picture of a backtest: one row a rule, one column a stretch of time; a bar is as high as what would have been sent
 * then, red where an incident opens. */
#include <stdlib.h>

#include "base/timefmt.h"
#include "replay/backtest.h"

enum { LEFT = 220, WIDTH = 1008, ROW = 34, BAR = 26, TOP = 56, BOTTOM = 34, ROWS_MAX = 40, TICKS = 7 };
_Static_assert(WIDTH % BACKTEST_BINS == 0, "whole pixels");

struct row { struct str name; uint32_t openings[BACKTEST_BINS], messages[BACKTEST_BINS], most; uint64_t total; };

static void put_text(struct strbuf *out, struct str s)
{
    for (size_t k = 0; k < s.n; k++) {
        if (s.p[k] == '<') strbuf_c(out, "&lt;");
        else if (s.p[k] == '&') strbuf_c(out, "&amp;");
        else strbuf_char(out, s.p[k]);
    }
}

static size_t bin_of(const struct backtest *b, int64_t at_ms)
{
    int64_t span = b->until_ms - b->from_ms;
    int64_t bin = span > 0 ? (at_ms - b->from_ms) * BACKTEST_BINS / span : 0;
    return bin < 0 ? 0 : bin >= BACKTEST_BINS ? BACKTEST_BINS - 1 : (size_t)bin;
}

/* Rows beyond the last share it. */
static struct row *row_of(struct row *rows, size_t *n, struct str rule)
{
    struct str name = rule.n ? rule : STR("(digests)");
    for (size_t k = 0; k < *n; k++)
        if (str_eq(rows[k].name, name)) return &rows[k];
    if (*n == ROWS_MAX) {
        rows[ROWS_MAX - 1].name = STR("(others)");
        return &rows[ROWS_MAX - 1];
    }
    rows[*n].name = name;
    return &rows[(*n)++];
}

static size_t gather(const struct backtest *b, struct row *rows)
{
    size_t n = 0;
    for (size_t k = 0; k < b->list.n; k++)
        if (b->list.v[k]->total || b->list.v[k]->openings) row_of(rows, &n, b->list.v[k]->rule);
    for (size_t k = 0; k < b->openings.n; k++) row_of(rows, &n, b->openings.v[k].who->rule)->openings[bin_of(b, b->openings.v[k].at_ms)]++;
    for (size_t k = 0; k < b->messages.n; k++) {
        const struct backtest_message *m = &b->messages.v[k];
        struct row *r = row_of(rows, &n, m->who ? m->who->rule : STR(""));
        uint32_t count = ++r->messages[bin_of(b, m->at_ms)];
        r->total++;
        if (count > r->most) r->most = count;
    }
    return n;
}

static void put_row(const struct row *r, size_t at, struct strbuf *out)
{
    unsigned base = TOP + (unsigned)at * ROW + BAR;
    strbuf_printf(out, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">", LEFT - 12, base - 8);
    put_text(out, r->name);
    strbuf_printf(out, "</text>\n<text x=\"%d\" y=\"%u\" class=\"n\">%llu</text>\n<path d=\"M%d %u.5h%d\" class=\"l\"/>\n", LEFT + WIDTH + 8, base - 8,
                  (unsigned long long)r->total, LEFT, base, WIDTH);
    for (unsigned k = 0; k < BACKTEST_BINS; k++) {
        unsigned step = WIDTH / BACKTEST_BINS, height = r->most ? (r->messages[k] * (BAR - 4) + r->most - 1) / r->most : 0;
        if (r->messages[k] == 0 && r->openings[k] == 0) continue;
        if (height < 3) height = 3;
        strbuf_printf(out, "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" class=\"%s\"><title>%u messages, %u openings</title></rect>\n",
                      LEFT + k * step, base - height, step - 1, height, r->openings[k] ? "o" : "m", r->messages[k], r->openings[k]);
    }
}

static void put_ticks(const struct backtest *b, unsigned height, struct strbuf *out)
{
    char text[TIMEFMT_SIZE];
    for (int k = 0; k <= TICKS; k++) {
        struct str at = time_format(b->from_ms + (b->until_ms - b->from_ms) * k / TICKS, text);
        int x = LEFT + WIDTH * k / TICKS;
        strbuf_printf(out, "<path d=\"M%d.5 %dV%u\" class=\"l\"/>\n<text x=\"%d\" y=\"%u\" text-anchor=\"middle\" class=\"n\">%.5s %.5s</text>\n", x,
                      TOP - 6, height - BOTTOM + 4, x, height - BOTTOM + 20, at.p + 5, at.p + 11);
    }
}

void backtest_svg(const struct backtest *b, struct strbuf *out)
{
    struct row *rows = xcalloc(ROWS_MAX, sizeof *rows);
    size_t n = gather(b, rows);
    unsigned height = TOP + (unsigned)(n ? n : 1) * ROW + BOTTOM;
    char from[TIMEFMT_SIZE], until[TIMEFMT_SIZE];
    strbuf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %u\" font-family=\"sans-serif\" font-size=\"13\">\n", LEFT + WIDTH + 80, height);
    strbuf_c(out, "<style>.b{fill:#fff}text{fill:#222}.n{fill:#777;font-size:11px}.l{stroke:#ddd;fill:none}.o{fill:#c0392b}.m{fill:#5b7fa6}"
                  "@media(prefers-color-scheme:dark){.b{fill:#1c1c1c}text{fill:#ddd}.n{fill:#999}.l{stroke:#444}}</style>\n<rect width=\"100%\" height=\"100%\" class=\"b\"/>\n");
    strbuf_printf(out, "<text x=\"%d\" y=\"22\" font-size=\"15\">%zu messages, %zu incidents, %llu events</text>\n"
                       "<text x=\"%d\" y=\"40\" class=\"n\">%s to %s; a bar: messages of that time, red where an incident opens</text>\n",
                  LEFT, b->messages.n, b->openings.n, (unsigned long long)b->history.events, LEFT, time_format(b->from_ms, from).p,
                  time_format(b->until_ms, until).p);
    put_ticks(b, height, out);
    for (size_t k = 0; k < n; k++) put_row(&rows[k], k, out);
    if (n == 0) strbuf_printf(out, "<text x=\"%d\" y=\"%d\">nothing would have been sent</text>\n", LEFT + 12, TOP + 18);
    strbuf_c(out, "</svg>\n");
    free(rows);
}
