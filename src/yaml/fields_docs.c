/* Field tables as Markdown. */
#include <ctype.h>

#include "json/json.h"
#include "yaml/yaml.h"

/* A cell of a Markdown table: a bar would end it. */
static void put_cell(struct strbuf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '|') strbuf_char(out, '\\');
        strbuf_char(out, text.p[i] == '\n' ? ' ' : text.p[i]);
    }
}

static void put_code(struct strbuf *out, struct str text)
{
    strbuf_char(out, '`');
    put_cell(out, text);
    strbuf_char(out, '`');
}

/* --- what kind of value a schema wants, in words --------------------------------------------------------- */
/* To the heading of a part: letters, digits and dashes of its name are the anchor. */
static void put_link(struct strbuf *out, struct str ref)
{
    const struct str defs = STR("#/$defs/");
    struct str name = str_starts(ref, defs) ? str_sub(ref, defs.n, ref.n) : ref;
    strbuf_printf(out, "[" STR_FMT "](#", STR_ARG(name));
    for (size_t i = 0; i < name.n; i++)
        if (isalnum((unsigned char)name.p[i]) || name.p[i] == '-') strbuf_char(out, name.p[i]);
    strbuf_char(out, ')');
}

static void put_kind(struct strbuf *out, struct json v);

static void put_kinds(struct strbuf *out, struct json list)
{
    size_t n = 0;
    for (struct json k = json_first(list); json_kind(k) != JSON_ABSENT; k = json_next(k)) {
        if (str_eq_c(json_str(json_get_c(k, "type")), "null")) continue; /* nothing there: no news for people */
        if (n++) strbuf_c(out, " or ");
        put_kind(out, k);
    }
}

static void put_values(struct strbuf *out, struct json list)
{
    size_t n = 0;
    for (struct json k = json_first(list); json_kind(k) != JSON_ABSENT; k = json_next(k)) {
        if (n++) strbuf_c(out, ", ");
        put_code(out, json_kind(k) == JSON_STRING ? json_str(k) : json_text(k));
    }
}

static void put_typed(struct strbuf *out, struct json v, struct str type)
{
    struct json items = json_get_c(v, "items"), more = json_get_c(v, "additionalProperties");
    if (str_eq_c(type, "array")) {
        strbuf_c(out, "list");
        if (json_kind(items) == JSON_OBJECT) strbuf_c(out, " of "), put_kind(out, items);
    } else if (str_eq_c(type, "object")) {
        strbuf_c(out, "map");
        if (json_kind(more) == JSON_OBJECT) strbuf_c(out, " of names, each "), put_kind(out, more);
    } else if (str_eq_c(type, "integer")) {
        strbuf_c(out, "whole number");
    } else if (str_eq_c(type, "boolean")) {
        strbuf_c(out, "true or false");
    } else {
        strbuf_c(out, str_eq_c(type, "number") ? "number" : "text");
    }
}

static void put_kind(struct strbuf *out, struct json v)
{
    struct json ref = json_get_c(v, "$ref"), any = json_get_c(v, "anyOf"), names = json_get_c(v, "enum");
    struct json title = json_get_c(v, "title"), type = json_get_c(v, "type");
    if (json_kind(ref) == JSON_STRING) put_link(out, json_str(ref));
    else if (json_kind(title) == JSON_STRING) put_cell(out, json_str(title));
    else if (json_kind(names) == JSON_ARRAY) put_values(out, names);
    else if (json_kind(type) == JSON_STRING) put_typed(out, v, json_str(type));
    else if (json_kind(type) == JSON_ARRAY) strbuf_c(out, "text");
    else if (json_kind(any) == JSON_ARRAY) put_kinds(out, any);
    else strbuf_c(out, "any value");
}

static void put_schema_kind(struct strbuf *out, const char *schema)
{
    struct arena a = { 0 };
    struct json v;
    struct err err;
    if (!schema || json_parse(&a, str_c(schema), &json_own_limits, &v, NULL, &err) < 0) strbuf_c(out, "any value");
    else put_kind(out, v);
    arena_fini(&a);
}

/* --- tables ---------------------------------------------------------------------------------------------- */
static void put_type(struct strbuf *out, const struct field *f)
{
    static const char *const names[] = {
        [FIELD_TEXT] = "text",     [FIELD_BOOL] = "true or false", [FIELD_INT] = "whole number",
        [FIELD_NUMBER] = "number", [FIELD_DURATION] = "duration",  [FIELD_SIZE] = "size",
        [FIELD_ENUM] = "",         [FIELD_NODE] = "",              [FIELD_TEXTS] = "text or list of texts",
    };
    strbuf_c(out, names[f->type]);
    if (f->type == FIELD_NODE) put_schema_kind(out, f->schema);
    for (size_t i = 0; f->type == FIELD_ENUM && f->names[i]; i++) {
        if (i) strbuf_c(out, ", ");
        put_code(out, str_c(f->names[i]));
    }
}

static void put_row(struct strbuf *out, const struct field *f)
{
    strbuf_printf(out, "| `%s` | ", f->name);
    put_type(out, f);
    strbuf_c(out, " | ");
    if (f->required) strbuf_c(out, "required");
    else if (f->fallback && f->fallback[0]) put_code(out, str_c(f->fallback));
    strbuf_c(out, " | ");
    put_cell(out, str_c(f->help ? f->help : ""));
    strbuf_c(out, " |\n");
}

void fields_docs(const struct field_table *t, struct strbuf *out)
{
    strbuf_c(out, "| key | type | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < t->n; i++) put_row(out, &t->fields[i]);
}

void field_parts_docs(const struct field_part *parts, size_t n, struct strbuf *out)
{
    for (size_t i = 0; i < n; i++) {
        const struct field_part *p = &parts[i];
        strbuf_printf(out, "\n### %s\n\n", p->name);
        if (p->about) strbuf_printf(out, "%s\n", p->about);
        if (!p->table || p->table->n == 0) continue;
        struct field_table own = { p->table->name, p->table->fields, p->own ? p->own : p->table->n };
        if (p->about) strbuf_char(out, '\n');
        fields_docs(&own, out);
    }
}
