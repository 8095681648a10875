#include "cli/table.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/utf8.h"
#include "cli/cli.h"
#include "template/escape.h"

void table_init(struct table *t, const char *const *heads, size_t columns)
{
    *t = (struct table){ .columns = columns < TABLE_COLUMNS ? columns : TABLE_COLUMNS };
    for (size_t k = 0; k < t->columns; k++) t->heads[k] = heads[k];
}

struct str printable(struct arena *a, struct str text)
{
    char *p = arena_memdup(a, text.p ? text.p : "", text.n);
    for (size_t k = 0; k < text.n; k++) {
        unsigned char c = (unsigned char)p[k];
        if (c < 0x20 || c == 0x7f) p[k] = '?';
        if (c == 0xC2 && k + 1 < text.n && (unsigned char)p[k + 1] < 0xA0) p[k] = p[k + 1] = '?'; /* U+0080 to U+009F */
    }
    return (struct str){ p, text.n };
}

void table_cell(struct table *t, struct str text)
{
    *vec_push(&t->cells) = printable(&t->arena, text);
}

static size_t terminal_width(void)
{
    struct winsize w;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 40) return w.ws_col;
    return isatty(STDOUT_FILENO) ? 100 : 4096;
}

static void print_cell(struct table *t, struct str s, size_t width, bool last)
{
    struct str cut = text_truncate(&t->arena, s, width, TEXT_CHARS);
    size_t pad = last ? 0 : width - text_length(cut, TEXT_CHARS) + 2;
    printf("%.*s%*s", STR_ARG(cut), (int)pad, "");
}

void table_print(const struct table *table)
{
    struct table *t = (struct table *)(uintptr_t)table; /* cutting allocates from its arena */
    size_t widths[TABLE_COLUMNS] = { 0 }, total = 0, rows = t->columns ? t->cells.n / t->columns : 0, room = terminal_width();
    if (rows == 0) {
        printf("nothing\n");
        return;
    }
    for (size_t c = 0; c < t->columns; c++) {
        widths[c] = utf8_chars(str_c(t->heads[c]));
        for (size_t r = 0; r < rows; r++) {
            size_t n = utf8_chars(t->cells.v[r * t->columns + c]);
            if (n > widths[c]) widths[c] = n;
        }
        total += widths[c] + 2;
    }
    if (total > room + 2) { /* the last column gives way, down to 20 characters */
        size_t over = total - room, *last = &widths[t->columns - 1];
        *last = *last > over + 20 ? *last - over : (*last < 20 ? *last : 20);
    }
    for (size_t c = 0; c < t->columns; c++) print_cell(t, str_c(t->heads[c]), widths[c], c + 1 == t->columns);
    printf("\n");
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < t->columns; c++) print_cell(t, t->cells.v[r * t->columns + c], widths[c], c + 1 == t->columns);
        printf("\n");
    }
}

void table_fini(struct table *t)
{
    vec_free(&t->cells);
    arena_fini(&t->arena);
}
