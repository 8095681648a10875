/* Field tables as JSON Schema. */
#include <stdio.h>
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

/* error.PATH stands for error.code and all its like: the prefix up to the dot; n 0 for a plain name. */
static struct str prefix_of(const struct field *f)
{
    struct str name = str_c(f->name);
    return str_ends(name, STR(".PATH")) ? str_sub(name, 0, name.n - 5) : STR("");
}

static void put_field(struct json_writer *w, const struct field *f)
{
    json_object_begin(w);
    put_type(w, f);
    if (f->help) json_field_str(w, "description", str_c(f->help));
    put_default(w, f);
    json_object_end(w);
}

static void put_patterns(struct json_writer *w, const struct field_table *t)
{
    char pattern[128];
    json_put_key(w, STR("patternProperties"));
    json_object_begin(w);
    for (size_t i = 0; i < t->n; i++) {
        struct str prefix = prefix_of(&t->fields[i]);
        if (prefix.n == 0) continue;
        snprintf(pattern, sizeof pattern, "^" STR_FMT "\\.", STR_ARG(prefix));
        json_put_key(w, str_c(pattern));
        put_field(w, &t->fields[i]);
    }
    json_object_end(w);
}

void fields_schema_write(const struct field_table *t, struct json_writer *w)
{
    bool patterns = false;
    json_object_begin(w);
    json_field_str(w, "type", STR("object"));
    json_put_key(w, STR("properties"));
    json_object_begin(w);
    for (size_t i = 0; i < t->n; i++) {
        bool plain = prefix_of(&t->fields[i]).n == 0;
        patterns |= !plain;
        if (!plain) continue;
        json_put_key(w, str_c(t->fields[i].name));
        put_field(w, &t->fields[i]);
    }
    json_object_end(w);
    if (patterns) put_patterns(w, t);
    put_required(w, t);
    json_field_bool(w, "additionalProperties", false);
    json_object_end(w);
}

void fields_schema(const struct field_table *t, struct strbuf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    fields_schema_write(t, &w);
}

void field_parts_schema(const struct field_part *parts, size_t n, struct json_writer *w)
{
    for (size_t i = 0; i < n; i++) {
        json_put_key(w, str_c(parts[i].name));
        if (parts[i].table) fields_schema_write(parts[i].table, w);
        else json_put_raw(w, str_c(parts[i].schema));
    }
}
