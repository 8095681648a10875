#include <string.h>

#include "json/json.h"
#include "yaml/yaml.h"

static void put_text_types(struct json_writer *w)
{
    json_put_key(w, STR("type")); /* a plain number or bool is text where text is wanted */
    json_array_begin(w);
    json_put_str(w, STR("string"));
    json_put_str(w, STR("number"));
    json_put_str(w, STR("boolean"));
    json_array_end(w);
}

static void put_int_bounds(struct json_writer *w, const struct field *f)
{
    if (f->least == 0 && f->most == 0) return;
    json_field_i64(w, "minimum", f->least);
    if (f->most >= f->least && f->most != INT64_MAX) json_field_i64(w, "maximum", f->most);
}

static void put_texts(struct json_writer *w)
{
    json_put_key(w, STR("anyOf"));
    json_array_begin(w);
    json_object_begin(w);
    put_text_types(w);
    json_object_end(w);
    json_object_begin(w);
    json_field_str(w, "type", STR("array"));
    json_put_key(w, STR("items"));
    json_object_begin(w);
    put_text_types(w);
    json_object_end(w);
    json_object_end(w);
    json_array_end(w);
}

static void put_enum(struct json_writer *w, const struct field *f)
{
    json_put_key(w, STR("enum"));
    json_array_begin(w);
    for (size_t i = 0; f->names[i]; i++) json_put_str(w, str_c(f->names[i]));
    json_array_end(w);
}

static void put_type(struct json_writer *w, const struct field *f)
{
    switch (f->type) {
    case FIELD_TEXT: put_text_types(w); break;
    case FIELD_BOOL: json_field_str(w, "type", STR("boolean")); break;
    case FIELD_INT:
        json_field_str(w, "type", STR("integer"));
        put_int_bounds(w, f);
        break;
    case FIELD_NUMBER: json_field_str(w, "type", STR("number")); break;
    case FIELD_DURATION:
        json_field_str(w, "type", STR("string"));
        json_field_str(w, "pattern", STR("^([0-9]+(ms|s|m|h|d|w))+$"));
        break;
    case FIELD_SIZE:
        json_put_key(w, STR("type"));
        json_put_raw(w, STR("[\"string\",\"integer\"]"));
        json_field_str(w, "pattern", STR("^[0-9]+(B|[kKMGT]B|[KMGT]iB)?$"));
        break;
    case FIELD_ENUM: put_enum(w, f); break;
    case FIELD_TEXTS: put_texts(w); break;
    case FIELD_NODE:
        if (!f->schema) break;
        json_put_key(w, STR("allOf"));
        json_array_begin(w);
        json_put_raw(w, str_c(f->schema));
        json_array_end(w);
        break;
    }
}

static void put_default(struct json_writer *w, const struct field *f)
{
    if (!f->fallback) return;
    json_put_key(w, STR("default"));
    if (f->type == FIELD_BOOL || f->type == FIELD_INT || f->type == FIELD_NUMBER)
        json_put_raw(w, str_c(f->fallback));
    else
        json_put_str(w, str_c(f->fallback));
}

static void put_required(struct json_writer *w, const struct field_table *t)
{
    json_put_key(w, STR("required"));
    json_array_begin(w);
    for (size_t i = 0; i < t->n; i++)
        if (t->fields[i].required) json_put_str(w, str_c(t->fields[i].name));
    json_array_end(w);
}

void fields_schema(const struct field_table *t, struct strbuf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_object_begin(&w);
    json_field_str(&w, "type", STR("object"));
    json_put_key(&w, STR("properties"));
    json_object_begin(&w);
    for (size_t i = 0; i < t->n; i++) {
        json_put_key(&w, str_c(t->fields[i].name));
        json_object_begin(&w);
        put_type(&w, &t->fields[i]);
        json_field_opt(&w, "description", str_c(t->fields[i].help));
        put_default(&w, &t->fields[i]);
        json_object_end(&w);
    }
    json_object_end(&w);
    put_required(&w, t);
    json_field_bool(&w, "additionalProperties", false);
    json_object_end(&w);
}

/* A cell of a Markdown table: a bar would end it. */
static void put_cell(struct strbuf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|') strbuf_char(out, '\\');
        strbuf_char(out, *text == '\n' ? ' ' : *text);
    }
}

static void put_type_name(struct strbuf *out, const struct field *f)
{
    static const char *const names[] = {
        [FIELD_TEXT] = "text",     [FIELD_BOOL] = "true or false", [FIELD_INT] = "whole number",
        [FIELD_NUMBER] = "number", [FIELD_DURATION] = "duration",  [FIELD_SIZE] = "size",
        [FIELD_ENUM] = "",         [FIELD_NODE] = "see below",     [FIELD_TEXTS] = "text or list of texts",
    };
    put_cell(out, names[f->type]);
    for (size_t i = 0; f->type == FIELD_ENUM && f->names[i]; i++) {
        strbuf_c(out, i ? ", `" : "`");
        put_cell(out, f->names[i]);
        strbuf_char(out, '`');
    }
}

void fields_docs(const struct field_table *t, struct strbuf *out)
{
    strbuf_c(out, "| key | type | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < t->n; i++) {
        const struct field *f = &t->fields[i];
        strbuf_printf(out, "| `%s` | ", f->name);
        put_type_name(out, f);
        strbuf_c(out, " | ");
        if (f->required) strbuf_c(out, "required");
        else if (f->fallback && f->fallback[0]) {
            strbuf_char(out, '`');
            put_cell(out, f->fallback);
            strbuf_char(out, '`');
        }
        strbuf_c(out, " | ");
        put_cell(out, f->help ? f->help : "");
        strbuf_c(out, " |\n");
    }
}
