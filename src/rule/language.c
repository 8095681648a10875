/* The language of rules in parts, for editors and for the reference: its tables, what a field's test may look
 * like, and the short forms. */
#include "rule/rule_internal.h"

#define DURATION "([0-9]+(ms|s|m|h|d|w))+"
#define TEXT_TYPES "[\"string\",\"number\",\"boolean\"]"
#define PART(name) "{\"$ref\":\"#/$defs/" name "\"}"
#define LIST_OF(item) "{\"type\":\"array\",\"minItems\":1,\"items\":" item "}"
#define ONE_OR_MORE(item) "{\"anyOf\":[" item "," LIST_OF(item) "]}"
#define TEXT(pattern) "{\"type\":\"string\",\"pattern\":\"^" pattern "$\"}"
#define RESOLVE_ONE \
    "{\"anyOf\":[" TEXT("(success|clears|manual|[0-9]+ +success(es)?|" DURATION " +quiet)") "," PART("resolve.map") "]}"

static const struct field_part forms[] = {
    { .name = "count",
      .about = "`3 in 10m` counts hits, `10 runs in 5m` distinct runs, in an exact sliding window by event time; or the map below.",
      .schema = "{\"anyOf\":[" TEXT("[0-9]+ +((runs|of +[^ ]+) +)?in +" DURATION) "," PART("count.map") "]}" },
    { .name = "flaps",
      .about = "`4 in 1h` counts changes between hit and success in an exact sliding window by event time; or the map below.",
      .schema = "{\"anyOf\":[" TEXT("[0-9]+ +in +" DURATION) "," PART("flaps.map") "]}" },
    { .name = "rate",
      .about = "`over 20% of last 50 runs` or `under 90% in 1h, min 50`: the share of hits among the finished runs; or the map below.",
      .schema = "{\"anyOf\":[" TEXT("(over|under) +[0-9.]+ *% +(of +last +[0-9]+ +runs|in +" DURATION ")( *, *min +[0-9]+)?") "," PART("rate.map") "]}" },
    { .name = "absent",
      .about = "`2h`: no hit of a key for that long; or the map below, with `every` or `cron`.",
      .schema = "{\"anyOf\":[" TEXT(DURATION) "," PART("absent.map") "]}" },
    { .name = "by",
      .about = "The field, or the list of fields, that make one incident; `[]` is one for the whole environment. `project` and `env` always "
               "belong to it.",
      .schema = "{\"anyOf\":[" PART("field") ",{\"type\":\"array\",\"items\":" PART("field") "}]}" },
    { .name = "repeat", .about = "`4h`, `30m then 2h then 1d`, a list of durations (the last one repeats), or `never`.",
      .schema = "{\"anyOf\":[" TEXT("(never|" DURATION "( +then +" DURATION ")*)") "," LIST_OF(TEXT(DURATION)) "]}" },
    { .name = "resolve",
      .about = "`success`, `3 successes`, `24h quiet`, `clears`, `manual` or the map below; of a list, the first that holds ends the "
               "incident. `manual` stands alone.",
      .schema = ONE_OR_MORE(RESOLVE_ONE) },
    { .name = "targets",
      .about = "A destination's name, or `{to: NAME, PARAMETER: text}` to set what that destination lets a rule set (a `channel` must fit "
               "the destination's own pattern), or a list of those. With `during: SCHEDULE` in the map this one hears of it in those hours only, and "
               "later of what is still open then.",
      .schema = ONE_OR_MORE(PART("target")) },
    { .name = "target", .about = "One of [targets](#targets).",
      .schema = "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"object\",\"required\":[\"to\"],\"properties\":{\"to\":{\"type\":\"string\"}},"
                "\"additionalProperties\":{\"type\":" TEXT_TYPES "}}]}" },
    { .name = "switch",
      .about = "`{switch: FIELD, VALUE: targets, ..., else: targets}`: whom an incident tells is decided when it opens, by the first VALUE that "
               "fits. FIELD is in `by`, or is task, env or project; a VALUE is what a test of FIELD may be: a text, a glob, a state. Without "
               "`else`, others tell nobody.",
      .schema = "{\"type\":\"object\",\"required\":[\"switch\"],\"minProperties\":2,\"properties\":{\"switch\":" PART("field") "},"
                "\"additionalProperties\":" PART("targets") "}" },
    { .name = "outside", .about = "`hold`, `drop`, or the [targets](#targets) that hear of it instead.",
      .schema = "{\"anyOf\":[{\"enum\":[\"hold\",\"drop\"]}," PART("targets") "]}" },
    { .name = "escalate", .about = "A map from the time since opening to the [targets](#targets) that hear of it then: `{15m: pager, 45m: [pager, mail]}`.",
      .schema = "{\"type\":\"object\",\"minProperties\":1,\"propertyNames\":{\"pattern\":\"^" DURATION "$\"},\"additionalProperties\":" PART("targets") "}" },
    { .name = "labels", .about = "A map of names and texts; a text may be a template.",
      .schema = "{\"type\":\"object\",\"additionalProperties\":{\"type\":" TEXT_TYPES "}}" },
};
enum { FORMS = sizeof forms / sizeof *forms };

/* --- what a test may look like, by the shape of its field --------------------------------------------------- */
static const struct { const char *name, *about; } tests[] = {
    [SHAPE_STATUS] = { "test.status", "A state in any spelling, a class in lower case, a glob, or a list of those." },
    [SHAPE_TEXT] = { "test.text", "A text, a glob (`*`, `?`), or a list of those of which one must fit." },
    [SHAPE_LIST] = { "test.list", "As [test.text](#testtext); holds when the run has any of them. `all`: has every one." },
    [SHAPE_BOOL] = { "test.bool", "`true` or `false`." },
    [SHAPE_NUMBER] = { "test.number", "A number, a list of numbers, or `{gte: 3}`." },
    [SHAPE_DURATION] = { "test.duration", "A duration, or `{gt: 5m}`." },
    [SHAPE_JSON] = { "test.value", "A text, a glob, a number, true or false, or a list of those; or `{exists: true}`." },
};
enum { TESTS = sizeof tests / sizeof *tests, SCHEMA_CEILING = 1 << 20 };

static void put_statuses(struct json_writer *w)
{
    static const char *const classes[] = { "failed", "success", "finished", "active", "retrying" };
    json_put_key(w, STR("anyOf"));
    json_array_begin(w);
    json_object_begin(w);
    json_put_key(w, STR("enum"));
    json_array_begin(w);
    for (size_t k = 0; k < sizeof classes / sizeof *classes; k++) json_put_str(w, str_c(classes[k]));
    for (const char *const *s = run_state_spellings(); *s; s++) json_put_str(w, str_c(*s));
    json_array_end(w);
    json_object_end(w);
    json_put_raw(w, STR("{\"type\":\"string\",\"pattern\":\"^[^a-z]|[*?]\"}")); /* states to come, and globs */
    json_array_end(w);
}

/* Members of the object that describes one value. */
static void put_value(struct json_writer *w, enum field_shape shape)
{
    static const char *const bare[] = {
        [SHAPE_STATUS] = "", [SHAPE_TEXT] = TEXT_TYPES, [SHAPE_LIST] = TEXT_TYPES, [SHAPE_BOOL] = "\"boolean\"",
        [SHAPE_NUMBER] = "\"number\"", [SHAPE_DURATION] = "\"string\"", [SHAPE_JSON] = TEXT_TYPES,
    };
    if (shape == SHAPE_STATUS) {
        put_statuses(w);
        return;
    }
    json_put_key(w, STR("type"));
    json_put_raw(w, str_c(bare[shape]));
    if (shape == SHAPE_DURATION) json_field_str(w, "pattern", STR("^" DURATION "$"));
}

static void put_one(struct json_writer *w, enum field_shape shape)
{
    json_object_begin(w);
    put_value(w, shape);
    json_object_end(w);
}

/* One value, or a list of some. */
static void put_values(struct json_writer *w, enum field_shape shape)
{
    json_put_key(w, STR("anyOf"));
    json_array_begin(w);
    put_one(w, shape);
    json_object_begin(w);
    json_field_str(w, "type", STR("array"));
    json_field_i64(w, "minItems", 1);
    json_put_key(w, STR("items"));
    put_one(w, shape);
    json_object_end(w);
    json_array_end(w);
}

static void put_wanted(struct json_writer *w, enum field_shape shape, enum match_wants wants)
{
    enum field_shape bound = shape == SHAPE_JSON ? SHAPE_NUMBER : shape;
    json_object_begin(w);
    switch (wants) {
    case MATCH_WANTS_VALUES: put_values(w, shape); break;
    case MATCH_WANTS_TEXTS: put_values(w, SHAPE_TEXT); break;
    case MATCH_WANTS_BOUND: put_value(w, bound); break;
    case MATCH_WANTS_BOOL: put_value(w, SHAPE_BOOL); break;
    }
    json_object_end(w);
}

static void put_map(struct json_writer *w, enum field_shape shape)
{
    struct str name;
    enum match_wants wants;
    bool fits;
    json_object_begin(w);
    json_field_str(w, "type", STR("object"));
    json_field_i64(w, "minProperties", 1);
    json_put_key(w, STR("properties"));
    json_object_begin(w);
    for (size_t k = 0; !str_absent(name = match_test_name(k, shape, &fits, &wants)); k++) {
        if (!fits) continue;
        json_put_key(w, name);
        put_wanted(w, shape, wants);
    }
    json_object_end(w);
    json_field_bool(w, "additionalProperties", false);
    json_object_end(w);
}

static const char *test_schema(struct arena *a, enum field_shape shape)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, SCHEMA_CEILING);
    json_object_begin(w);
    json_put_key(w, STR("anyOf"));
    json_array_begin(w);
    json_object_begin(w);
    put_values(w, shape);
    json_object_end(w);
    put_map(w, shape);
    json_array_end(w);
    json_object_end(w);
    return str_dup_c(a, json_draft_end(&d, a));
}

/* --- fields --------------------------------------------------------------------------------------------------- */
static const char *field_schema(struct arena *a)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, SCHEMA_CEILING);
    json_object_begin(w);
    json_put_key(w, STR("anyOf"));
    json_array_begin(w);
    json_object_begin(w);
    json_put_key(w, STR("enum"));
    json_array_begin(w);
    for (size_t k = 0; k < RULE_METADATA; k++) json_put_str(w, str_c(rule_match_fields[k].name));
    json_array_end(w);
    json_object_end(w);
    json_put_raw(w, STR("{\"type\":\"string\",\"pattern\":\"^metadata\\\\.\"}"));
    json_array_end(w);
    json_object_end(w);
    return str_dup_c(a, json_draft_end(&d, a));
}

/* The table of `when` with the shapes of its fields. */
static const struct field_table *match_table(struct arena *a)
{
    struct field *f = ARENA_ARRAY(a, struct field, RULE_MATCH_KEYS);
    struct field_table *t = ARENA_NEW(a, struct field_table);
    for (size_t k = 0; k < RULE_MATCH_KEYS; k++) {
        f[k] = rule_match_fields[k];
        if (k < RULE_FIELDS)
            f[k].schema = str_printf(a, "{\"$ref\":\"#/$defs/%s\"}", tests[rule_field_shape((enum rule_field_id)k)].name).p;
        else
            f[k].schema = str_eq_c(str_c(f[k].name), "not") ? PART("match") : LIST_OF(PART("match"));
    }
    f[RULE_METADATA].name = "metadata.PATH";
    *t = (struct field_table){ rule_tables[RULE_TABLE_MATCH].name, f, RULE_MATCH_KEYS };
    return t;
}

/* The form that a table is the long one of: its part is called FORM.map. */
static const struct field_part *form_of(const struct field_table *t)
{
    for (size_t k = 0; k < FORMS; k++)
        if (str_eq_c(str_c(forms[k].name), t->name)) return &forms[k];
    return NULL;
}

static size_t put_tables(struct arena *a, struct field_part *parts, size_t n)
{
    for (size_t k = 0; k < RULE_TABLES; k++) {
        if (form_of(&rule_tables[k])) continue;
        parts[n] = (struct field_part){ .name = rule_tables[k].name, .table = &rule_tables[k] };
        if (k == RULE_TABLE_MATCH) parts[n].table = match_table(a), parts[n].about = "All of these must hold.";
        n++;
    }
    return n;
}

static size_t put_forms(struct arena *a, struct field_part *parts, size_t n)
{
    for (size_t k = 0; k < FORMS; k++) {
        parts[n++] = forms[k];
        for (size_t t = 0; t < RULE_TABLES; t++)
            if (form_of(&rule_tables[t]) == &forms[k])
                parts[n++] = (struct field_part){ .name = str_printf(a, "%s.map", forms[k].name).p, .table = &rule_tables[t] };
    }
    return n;
}

/* Which tests a map may hold: "`is`, `in`, ..." */
static const char *test_about(struct arena *a, enum field_shape shape)
{
    struct str text = str_printf(a, "%s In a map:", tests[shape].about), name;
    enum match_wants wants;
    bool fits, first = true;
    for (size_t k = 0; !str_absent(name = match_test_name(k, shape, &fits, &wants)); k++) {
        if (!fits) continue;
        text = str_printf(a, STR_FMT "%s `" STR_FMT "`", STR_ARG(text), first ? "" : ",", STR_ARG(name));
        first = false;
    }
    return str_printf(a, STR_FMT ".", STR_ARG(text)).p;
}

const struct field_part *rule_parts(struct arena *a, size_t *n)
{
    struct field_part *parts = ARENA_ARRAY(a, struct field_part, (size_t)RULE_TABLES + FORMS + TESTS + 1);
    *n = put_forms(a, parts, put_tables(a, parts, 0));
    for (int k = 0; k < TESTS; k++)
        parts[(*n)++] = (struct field_part){ .name = tests[k].name, .about = test_about(a, (enum field_shape)k),
                                             .schema = test_schema(a, (enum field_shape)k) };
    parts[(*n)++] = (struct field_part){ .name = "field", .about = "A field's name, as in [match](#match); `metadata.PATH` is one, too.",
                                         .schema = field_schema(a) };
    return parts;
}
