/* A provider's parameters as a table of fields, for the JSON Schema and the reference. */
#include "notify/notify_internal.h"

/* A reference is judged when it is resolved; anything else must fit the pattern. */
static const char *text_schema(struct arena *a, const struct param *q)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, 1 << 16);
    json_object_begin(w);
    json_put_key(w, STR("type"));
    json_put_raw(w, STR("[\"string\",\"number\",\"boolean\"]"));
    if (!str_absent(q->pattern)) {
        json_put_key(w, STR("anyOf"));
        json_array_begin(w);
        json_put_raw(w, STR("{\"pattern\":\"[$][{](env|file):\"}"));
        json_object_begin(w);
        json_field_str(w, "pattern", q->pattern);
        json_object_end(w);
        json_array_end(w);
    }
    json_object_end(w);
    return str_dup_c(a, json_draft_end(&d, a));
}

static struct field field_of(struct arena *a, const struct param *q)
{
    struct field f = { .name = str_dup_c(a, q->name), .required = q->required, .type = FIELD_NODE };
    f.help = str_printf(a, STR_FMT "%s%s", STR_ARG(q->help), q->secret ? " (a secret)" : "", q->settable ? " (a rule may set it)" : "").p;
    f.schema = q->type == PARAM_BOOL ? "{\"type\":\"boolean\"}" : text_schema(a, q);
    if (!str_absent(q->fallback)) f.fallback = str_dup_c(a, q->fallback);
    return f;
}

const struct field_table *notify_provider_fields(const struct notify_provider *p, struct arena *a)
{
    struct field *fields = ARENA_ARRAY(a, struct field, p->param_count + 1);
    struct field_table *t = ARENA_NEW(a, struct field_table);
    for (size_t k = 0; k < p->param_count; k++) fields[k] = field_of(a, &p->params[k]);
    *t = (struct field_table){ str_dup_c(a, p->name), fields, p->param_count };
    return t;
}

struct str notify_provider_type(const struct notify_provider *p)
{
    return p->type;
}

struct str notify_provider_about(const struct notify_provider *p)
{
    return p->about;
}

struct str notify_provider_picked_by(const struct notify_provider *p, size_t k)
{
    return k < p->when.n ? p->when.v[k] : STR_NONE;
}
