#include <assert.h>
#include <string.h>

#include "base/suggest.h"
#include "base/timefmt.h"
#include "yaml/yaml_internal.h"

enum { MOST_FIELDS = 64 };

static const struct field *find(const struct field_table *t, struct str name)
{
    for (size_t i = 0; i < t->n; i++)
        if (str_eq_c(name, t->fields[i].name)) return &t->fields[i];
    return NULL;
}

static bool has_bounds(const struct field *f)
{
    return f->least != 0 || f->most != 0;
}

/* A table that names only the lower bound leaves the upper one 0. */
static int64_t upper(const struct field *f)
{
    return !has_bounds(f) || f->most < f->least ? INT64_MAX : f->most;
}

static bool in_bounds(const struct field *f, const struct yaml_node *n, struct diags *d, int64_t v,
                      const char *least, const char *most)
{
    if (!has_bounds(f) || (v >= f->least && v <= upper(f))) return true;
    if (v < f->least) yaml_error(d, n, "`%s` is at least %s", f->name, least);
    else yaml_error(d, n, "`%s` is at most %s", f->name, most);
    return false;
}

static bool decode_duration(const struct field *f, const struct yaml_node *n, struct diags *d, int64_t *out)
{
    char least[TIMEFMT_SIZE], most[TIMEFMT_SIZE];
    int64_t v;
    if (!yaml_want_duration(n, d, &v)) return false;
    duration_format(f->least, least);
    duration_format(f->most, most);
    if (!in_bounds(f, n, d, v, least, most)) return false;
    *out = v;
    return true;
}

static bool decode_size(const struct field *f, const struct yaml_node *n, struct diags *d, int64_t *out)
{
    char least[32], most[32];
    int64_t v;
    if (!yaml_want_size(n, d, &v)) return false;
    snprintf(least, sizeof least, "%lld bytes", (long long)f->least);
    snprintf(most, sizeof most, "%lld bytes", (long long)f->most);
    if (!in_bounds(f, n, d, v, least, most)) return false;
    *out = v;
    return true;
}

static bool decode_int(const struct field *f, const struct yaml_node *n, struct diags *d, int64_t *out)
{
    return yaml_want_i64(n, d, has_bounds(f) ? f->least : INT64_MIN, upper(f), out);
}

/* "a, b or c" */
static const char *list_names(struct arena *a, const char *const *names)
{
    struct strbuf b;
    const char *list;
    strbuf_init(&b, 900);
    for (size_t i = 0; names[i]; i++)
        strbuf_printf(&b, "%s%s", i == 0 ? "" : names[i + 1] ? ", " : " or ", names[i]);
    list = str_dup_c(a, strbuf_view(&b));
    strbuf_fini(&b);
    return list;
}

static bool decode_enum(const struct field *f, const struct yaml_node *n, struct diags *d, int *out)
{
    struct str names[MOST_FIELDS], near, text;
    size_t count = 0;
    if (!yaml_want_text(n, d, &text)) return false;
    for (; count < MOST_FIELDS && f->names[count]; count++) {
        names[count] = str_c(f->names[count]);
        if (!str_eq(text, names[count])) continue;
        *out = (int)count;
        return true;
    }
    near = suggest_nearest(text, names, count);
    struct diag *item = yaml_error(d, n, "`%s` is %s, got `%s`", f->name, list_names(d->arena, f->names),
                                   yaml_shown(d->arena, text));
    if (!str_absent(near)) item->hint = str_printf(d->arena, "did you mean `" STR_FMT "`?", STR_ARG(near));
    return false;
}

static bool decode_texts(struct arena *a, const struct yaml_node *n, struct diags *d, struct field_texts *out)
{
    size_t count = n->kind == YAML_SEQ ? n->count : 1;
    const struct yaml_node *item = n->kind == YAML_SEQ ? n->first : n;
    bool ok = true;
    *out = (struct field_texts){ 0 };
    out->v = ARENA_ARRAY(a, struct str, count);
    out->nodes = ARENA_ARRAY(a, const struct yaml_node *, count);
    for (size_t i = 0; i < count; i++, item = item->next) {
        if (!yaml_want_text(item, d, &out->v[out->n])) ok = false;
        else out->nodes[out->n++] = item;
    }
    return ok;
}

static bool decode_field(const struct field *f, struct arena *a, const struct yaml_node *n, struct diags *d,
                         void *out)
{
    void *at = (char *)out + f->offset;
    switch (f->type) {
    case FIELD_TEXT: return yaml_want_text(n, d, at);
    case FIELD_BOOL: return yaml_want_bool(n, d, at);
    case FIELD_INT: return decode_int(f, n, d, at);
    case FIELD_NUMBER: return yaml_want_f64(n, d, -1.7e308, 1.7e308, at);
    case FIELD_DURATION: return decode_duration(f, n, d, at);
    case FIELD_SIZE: return decode_size(f, n, d, at);
    case FIELD_ENUM: return decode_enum(f, n, d, at);
    case FIELD_NODE: *(const struct yaml_node **)at = n; return true;
    case FIELD_TEXTS: return decode_texts(a, n, d, at);
    }
    return false;
}

void fields_unknown(const struct field_table *t, const struct yaml_node *member, struct diags *d)
{
    struct str names[MOST_FIELDS], near;
    size_t n = t->n < MOST_FIELDS ? t->n : MOST_FIELDS;
    struct diag *item = yaml_error_key(d, member, "unknown key `%s` in %s", yaml_shown(d->arena, member->key),
                                       t->name);
    for (size_t i = 0; i < n; i++) names[i] = str_c(t->fields[i].name);
    near = suggest_nearest(member->key, names, n);
    if (!str_absent(near)) item->hint = str_printf(d->arena, "did you mean `" STR_FMT "`?", STR_ARG(near));
}

/* Fallbacks are ours: one that does not decode is a mistake in the table. */
static bool apply_fallback(const struct field *f, struct arena *a, const struct yaml_node *map,
                           struct diags *d, void *out)
{
    struct yaml_node *n;
    if (!f->fallback || f->type == FIELD_NODE) return true;
    n = ARENA_NEW(a, struct yaml_node);
    *n = (struct yaml_node){ .kind = YAML_SCALAR, .plain = true, .file = map->file, .line = map->line,
                             .col = map->col, .text = str_c(f->fallback) };
    return decode_field(f, a, n, d, out);
}

static bool complete(const struct field_table *t, struct arena *a, const struct yaml_node *map,
                     const bool *seen, struct diags *d, void *out)
{
    bool ok = true;
    for (size_t i = 0; i < t->n; i++) {
        const struct field *f = &t->fields[i];
        if (seen[i]) continue;
        if (f->required) { /* of a map cut short the syntax error says enough */
            if (!map->cut) yaml_error_key(d, map, "missing key `%s` in %s", f->name, t->name);
            ok = false;
        } else if (!apply_fallback(f, a, map, d, out)) {
            ok = false;
        }
    }
    return ok;
}

bool fields_decode(const struct field_table *t, struct arena *a, const struct yaml_node *n, struct diags *d,
                   void *out, field_extra_fn extra, void *ctx)
{
    bool seen[MOST_FIELDS] = { false }, ok = true;
    assert(t->n <= MOST_FIELDS);
    if (n->kind != YAML_MAP && !yaml_is_null(n)) {
        yaml_error(d, n, "%s wants a map of keys and values, got %s", t->name,
                   n->kind == YAML_SEQ ? "a list" : str_printf(a, "`%s`", yaml_shown(a, n->text)).p);
        return false;
    }
    for (const struct yaml_node *m = n->first; m; m = m->next) {
        const struct field *f = find(t, m->key);
        if (f) {
            seen[f - t->fields] = true;
            if (!decode_field(f, a, m, d, out)) ok = false;
        } else if (!extra || !extra(ctx, m)) {
            fields_unknown(t, m, d);
            ok = false;
        }
    }
    return complete(t, a, n, seen, d, out) && ok;
}
