#include "yaml/diag.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "json/json.h"

enum { MOST_KEPT = 50, /* of each level */
       MOST_TEXT = 1000, WIDEST_LINE = 160 };

struct diag_source {
    const char *file;
    struct str text;
};
struct hidden { /* bytes of a source line */
    const char *from, *to;
};
struct diag_sources {
    VEC(struct diag_source) items;
    VEC(struct hidden) hidden;
    struct diag scratch; /* what diag_add gives when it keeps nothing */
};

const char *diags_source_file(const struct diags *d, size_t k)
{
    return k < d->sources->items.n ? d->sources->items.v[k].file : NULL;
}

void diags_init(struct diags *d, struct arena *a)
{
    *d = (struct diags){ .arena = a, .sources = xcalloc(1, sizeof *d->sources) };
}

void diags_fini(struct diags *d)
{
    if (d->sources) vec_free(&d->sources->items);
    if (d->sources) vec_free(&d->sources->hidden);
    free(d->sources);
    vec_free(&d->items);
    *d = (struct diags){ 0 };
}

static size_t source_order(const struct diags *d, const char *file)
{
    size_t i;
    for (i = 0; i < d->sources->items.n; i++)
        if (file && strcmp(d->sources->items.v[i].file, file) == 0) break;
    return i;
}

void diags_add_source(struct diags *d, const char *file, struct str text)
{
    size_t at = source_order(d, file);
    if (at == d->sources->items.n) vec_push(&d->sources->items)->file = file;
    d->sources->items.v[at].text = text;
}

/* Lines end as libyaml counts them: LF, CR LF or CR. */
static bool take_line(struct str text, size_t *at, struct str *line)
{
    size_t from = *at, to = from;
    if (from > text.n) return false;
    while (to < text.n && text.p[to] != '\n' && text.p[to] != '\r') to++;
    *line = (struct str){ text.p ? text.p + from : "", to - from };
    if (to + 1 < text.n && text.p[to] == '\r' && text.p[to + 1] == '\n') to++;
    *at = to + 1;
    return true;
}

static struct str find_line(const struct diags *d, const char *file, uint32_t number)
{
    size_t at = source_order(d, file), offset = 0;
    struct str line = STR_NONE;
    if (number == 0 || at == d->sources->items.n) return STR_NONE;
    for (uint32_t i = 0; i < number; i++)
        if (!take_line(d->sources->items.v[at].text, &offset, &line)) return STR_NONE;
    return line;
}

static bool keep(struct diags *d, enum diag_level level)
{
    size_t *count = level == DIAG_ERROR ? &d->errors : &d->warnings;
    (*count)++;
    if (*count <= MOST_KEPT) return true;
    d->held++;
    return false;
}

struct diag *diag_add(struct diags *d, enum diag_level level, const char *file, uint32_t line, uint32_t col,
                      const char *fmt, ...)
{
    char text[MOST_TEXT];
    struct diag *item = &d->sources->scratch;
    va_list ap;
    bool kept = keep(d, level);
    if (kept) item = vec_push(&d->items);
    *item = (struct diag){ .level = level, .file = file, .line = line, .col = col };
    if (!kept) return item;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    item->text = str_dup(d->arena, str_c(text));
    item->source_line = find_line(d, file, line);
    return item;
}

static bool stands_before(const struct diags *d, const struct diag *a, const struct diag *b)
{
    size_t fa = source_order(d, a->file), fb = source_order(d, b->file);
    if (fa != fb) return fa < fb;
    if (a->line != b->line) return a->line < b->line;
    return a->col < b->col;
}

/* Few items, and equals must keep their order: an insertion sort. */
void diags_sort(struct diags *d)
{
    for (size_t i = 1; i < d->items.n; i++) {
        struct diag moving = d->items.v[i];
        size_t at = i;
        for (; at > 0 && stands_before(d, &moving, &d->items.v[at - 1]); at--)
            d->items.v[at] = d->items.v[at - 1];
        d->items.v[at] = moving;
    }
}

/* --- as text -------------------------------------------------------------------------------------------- */
/* Text from outside must not steer the terminal. */
static void put_tame(struct strbuf *out, struct str s)
{
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t n = utf8_sequence(s, i);
        bool c1 = n == 2 && c == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0;
        if (n == 0 || c1 || (c < 0x20 && c != '\t') || c == 0x7f) strbuf_char(out, '?');
        else strbuf_add(out, s.p + i, n);
        i += n ? n : 1;
    }
}

static size_t skip_chars(struct str s, size_t at, size_t chars)
{
    while (at < s.n && chars-- > 0) {
        size_t n = utf8_sequence(s, at);
        at += n ? n : 1;
    }
    return at;
}

/* --- secrets -------------------------------------------------------------------------------------------- */
/* Where the quoted scalar at s[at] ends. */
static size_t quoted_end(struct str s, size_t at)
{
    char quote = s.p[at];
    for (at++; at < s.n && s.p[at] != quote; at++)
        if (quote == '"' && s.p[at] == '\\') at++;
    return at < s.n ? at + 1 : s.n;
}

void diags_hide(struct diags *d, const char *file, uint32_t line, uint32_t col, size_t n)
{
    struct str text = find_line(d, file, line);
    size_t from = str_absent(text) || col == 0 ? text.n : skip_chars(text, 0, col - 1), to;
    if (from == text.n) return;
    to = n == 0 ? quoted_end(text, from) : n < text.n - from ? from + n : text.n;
    *vec_push(&d->sources->hidden) = (struct hidden){ text.p + from, text.p + to };
}

static struct str without_secrets(const struct diags *d, struct str line)
{
    char *copy = NULL;
    for (size_t k = 0; k < d->sources->hidden.n; k++) {
        const struct hidden *h = &d->sources->hidden.v[k];
        if (h->from < line.p || h->from >= line.p + line.n) continue;
        if (!copy) copy = memcpy(arena_alloc(d->arena, line.n), line.p, line.n);
        memset(copy + (h->from - line.p), '*', (size_t)(h->to - h->from));
    }
    return copy ? (struct str){ copy, line.n } : line;
}

/* The line and the caret below it. A long line shows the part around the place. */
static void put_source(const struct diags *d, struct strbuf *out, const struct diag *item, bool color)
{
    size_t col = item->col ? item->col : 1, width = item->width ? item->width : 1, skip = 0, from, to, at;
    struct str line = without_secrets(d, item->source_line);
    if (col > WIDEST_LINE - 20) skip = col - (WIDEST_LINE - 20);
    from = skip_chars(line, 0, skip);
    to = skip_chars(line, from, WIDEST_LINE);
    strbuf_printf(out, "%5u | ", item->line);
    put_tame(out, (struct str){ line.p + from, to - from });
    strbuf_c(out, to < line.n ? "...\n" : "\n");
    if (item->col) {
        strbuf_c(out, "      | ");
        at = from;
        for (size_t i = 1 + skip; i < col; i++) { /* a tab stays one, so that the caret lines up */
            strbuf_char(out, at < to && line.p[at] == '\t' ? '\t' : ' ');
            at = skip_chars(line, at, 1);
        }
        strbuf_c(out, color ? "\033[1;32m^" : "^");
        for (; width > 1 && (at = skip_chars(line, at, 1)) < to; width--) strbuf_char(out, '~');
        strbuf_c(out, color ? "\033[0m\n" : "\n");
    }
}

static void put_item(const struct diags *d, struct strbuf *out, const struct diag *item, bool color)
{
    const char *level = item->level == DIAG_ERROR ? "error" : "warning";
    const char *paint = item->level == DIAG_ERROR ? "\033[1;31m" : "\033[1;35m";
    if (item->file) strbuf_printf(out, "%s:", item->file);
    if (item->line) strbuf_printf(out, "%u:", item->line);
    if (item->line && item->col) strbuf_printf(out, "%u:", item->col);
    if (item->file) strbuf_char(out, ' ');
    strbuf_printf(out, "%s%s:%s ", color ? paint : "", level, color ? "\033[0m" : "");
    put_tame(out, item->text);
    strbuf_char(out, '\n');
    if (!str_absent(item->source_line)) put_source(d, out, item, color);
    if (str_absent(item->hint)) return;
    strbuf_c(out, "      = ");
    put_tame(out, item->hint);
    strbuf_char(out, '\n');
}

void diags_print(const struct diags *d, struct strbuf *out, bool color)
{
    for (size_t i = 0; i < d->items.n; i++) put_item(d, out, &d->items.v[i], color);
    if (d->held) strbuf_printf(out, "... and %zu more\n", d->held);
}

void diags_json(const struct diags *d, struct strbuf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_array_begin(&w);
    for (size_t i = 0; i < d->items.n; i++) {
        const struct diag *item = &d->items.v[i];
        json_object_begin(&w);
        json_field_str(&w, "level", item->level == DIAG_ERROR ? STR("error") : STR("warning"));
        json_field_str(&w, "file", str_c(item->file));
        json_field_i64(&w, "line", item->line);
        json_field_i64(&w, "col", item->col);
        json_field_str(&w, "text", item->text);
        json_field_str(&w, "hint", item->hint);
        json_object_end(&w);
    }
    json_array_end(&w);
}
