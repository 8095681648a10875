#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "yaml/yaml_internal.h"

enum { MOST_SHOWN = 60, MOST_MESSAGE = 1000 };

const char *yaml_shown(struct arena *a, struct str value)
{
    struct strbuf b;
    const char *shown;
    strbuf_init(&b, MOST_SHOWN + 16);
    for (size_t i = 0; i < value.n && b.n < MOST_SHOWN;) {
        size_t n = utf8_sequence(value, i);
        unsigned char c = (unsigned char)value.p[i];
        if (c == '\n') strbuf_c(&b, "\\n");
        else if (n == 0 || c < 0x20 || c == 0x7f) strbuf_char(&b, '?');
        else strbuf_add(&b, value.p + i, n);
        i += n ? n : 1;
        if (b.n >= MOST_SHOWN && i < value.n) strbuf_c(&b, "...");
    }
    shown = str_dup_c(a, strbuf_view(&b));
    strbuf_fini(&b);
    return shown;
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (!map || map->kind != YAML_MAP) return NULL;
    for (struct yaml_node *n = map->first; n; n = n->next)
        if (str_eq_c(n->key, key)) return n;
    return NULL;
}

bool yaml_is_null(const struct yaml_node *n)
{
    if (n->kind != YAML_SCALAR || !n->plain) return false;
    return n->text.n == 0 || str_eq_c(n->text, "~") || str_eq_c(n->text, "null");
}

static struct diag *add(struct diags *d, enum diag_level level, const struct yaml_node *n, bool at_key,
                        const char *fmt, va_list ap) __attribute__((format(printf, 5, 0)));
static struct diag *add(struct diags *d, enum diag_level level, const struct yaml_node *n, bool at_key,
                        const char *fmt, va_list ap)
{
    char text[MOST_MESSAGE];
    struct diag *item;
    bool key = at_key && n->key_line;
    assert(fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    item = diag_add(d, level, n->file, key ? n->key_line : n->line, key ? n->key_col : n->col, "%s", text);
    if (key) item->width = (uint32_t)utf8_chars(n->key) + (n->key_plain ? 0 : 2);
    else if (n->kind == YAML_SCALAR && memchr(n->text.p ? n->text.p : "", '\n', n->text.n) == NULL)
        item->width = (uint32_t)utf8_chars(n->text) + (n->plain ? 0 : 2);
    return item;
}

struct diag *yaml_error(struct diags *d, const struct yaml_node *n, const char *fmt, ...)
{
    va_list ap;
    struct diag *item;
    va_start(ap, fmt);
    item = add(d, DIAG_ERROR, n, false, fmt, ap);
    va_end(ap);
    return item;
}

struct diag *yaml_error_key(struct diags *d, const struct yaml_node *n, const char *fmt, ...)
{
    va_list ap;
    struct diag *item;
    va_start(ap, fmt);
    item = add(d, DIAG_ERROR, n, true, fmt, ap);
    va_end(ap);
    return item;
}

struct diag *yaml_warning(struct diags *d, const struct yaml_node *n, const char *fmt, ...)
{
    va_list ap;
    struct diag *item;
    va_start(ap, fmt);
    item = add(d, DIAG_WARNING, n, false, fmt, ap);
    va_end(ap);
    return item;
}

void yaml_hide(struct diags *d, const struct yaml_node *n)
{
    diags_hide(d, n->file, n->line, n->col, n->plain ? n->text.n : 0);
}
