/* Dotted names. */
#include "template/template_internal.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

/* One part at text[*at], which moves to the dot behind it or to the end. */
static bool read_part(struct str text, size_t *at, bool quotes, struct str *part, const char **why)
{
    size_t from = *at;
    if (quotes && from < text.n && text.p[from] == '"') {
        size_t end = str_find(text, '"', from + 1);
        *why = "the quote in the name is not closed";
        if (end == text.n) return false;
        *part = str_sub(text, from + 1, end - from - 1);
        *at = end + 1;
        *why = "a dot must follow the quoted part of a name";
        return *at == text.n || text.p[*at] == '.';
    }
    while (*at < text.n && text.p[*at] != '.') {
        *why = "a name holds no blanks";
        if (is_blank(text.p[*at])) return false;
        *why = "only a whole part of a name can stand in quotes";
        if (quotes && text.p[*at] == '"') return false;
        (*at)++;
    }
    *part = str_sub(text, from, *at - from);
    *why = "a part of the name is empty";
    return part->n > 0;
}

static size_t most_parts(struct str text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.n; i++) n += text.p[i] == '.';
    return n;
}

bool name_parse(struct arena *a, struct str text, bool quotes, struct name *out, const char **why)
{
    size_t at = 0;
    *out = (struct name){ .text = text };
    if (str_eq_c(text, ".")) return true;
    *why = "the tag is empty";
    if (text.n == 0) return false;
    out->parts = ARENA_ARRAY(a, struct str, most_parts(text));
    for (;;) {
        if (!read_part(text, &at, quotes, &out->parts[out->n], why)) return false;
        out->n++;
        if (at == text.n) return true;
        at++;
    }
}
