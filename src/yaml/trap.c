#include <string.h>

#include "base/utf8.h"
#include "yaml/yaml_internal.h"

static const struct trap {
    char c;
    const char *taken_for;
} traps[] = {
    { '>', "the start of a folded block of text" },
    { '|', "the start of a block of text" },
    { '!', "a tag" },
    { '*', "an alias" },
    { '&', "an anchor" },
    { '%', "a directive" },
    { '@', "a reserved character" },
    { '`', "a reserved character" },
};

static const struct trap *find(char c)
{
    for (size_t i = 0; i < sizeof traps / sizeof *traps; i++)
        if (traps[i].c == c) return &traps[i];
    return NULL;
}

bool trap_is(char c)
{
    return find(c) != NULL;
}

enum { LOOK_AROUND = 400 }; /* bytes of a line that are searched */

/* Is text[at] inside brackets that opened on its own line? */
static bool in_brackets(struct str text, size_t at)
{
    int open = 0;
    for (size_t i = at; i > 0 && text.p[i - 1] != '\n' && at - i < LOOK_AROUND; i--) {
        if (text.p[i - 1] == '{' || text.p[i - 1] == '[') open++;
        if (text.p[i - 1] == '}' || text.p[i - 1] == ']') open--;
    }
    return open > 0;
}

struct str trap_meant(struct str text, size_t at)
{
    const struct str ends = STR(",]}");
    bool brackets = in_brackets(text, at);
    size_t i = at;
    for (; i < text.n && text.p[i] != '\n' && text.p[i] != '\r' && i - at < LOOK_AROUND; i++) {
        if (text.p[i] == '#' && i > at && text.p[i - 1] == ' ') break;
        if (brackets && str_find(ends, text.p[i], 0) < ends.n) break;
    }
    return str_trim(str_sub(text, at, i - at));
}

/* What follows the signs of `> 5m`, `>=3`: a number or a time to compare with. Empty when it is no comparison. */
static struct str compared(struct str value)
{
    struct str of = str_trim(str_sub(value, value.n > 1 && value.p[1] == '=' ? 2 : 1, value.n));
    bool number = value.n && value.p[0] == '>' && of.n && of.p[0] >= '0' && of.p[0] <= '9';
    return number ? of : STR("");
}

void trap_report(struct diags *d, const char *file, struct str text, size_t at, uint32_t line, uint32_t col)
{
    const struct trap *trap = find(text.p[at]);
    struct str value = trap_meant(text, at);
    struct diag *item = diag_add(d, DIAG_ERROR, file, line, col,
                                 "an unquoted value cannot start with `%c`: YAML takes it for %s", text.p[at],
                                 trap ? trap->taken_for : "something else");
    char quote = memchr(value.p, '"', value.n) || memchr(value.p, '\\', value.n) ? '\'' : '"';
    item->width = (uint32_t)utf8_chars(value);
    struct str of = compared(value);
    item->hint = str_printf(d->arena, "put it in quotes: %c%s%c", quote, yaml_shown(d->arena, value), quote);
    if (of.n) /* in quotes it is a text */
        item->hint = str_printf(d->arena, STR_FMT "; to compare, write {%s: %s}", STR_ARG(item->hint), value.p[1] == '=' ? "gte" : "gt", yaml_shown(d->arena, of));
}
