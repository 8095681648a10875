/* The configuration in parts, for editors and for the reference: the keys at the top, and how the type of a source or a
 * destination decides what else it may have. */
#include "config/config_internal.h"

#define COUNT(x) (sizeof(x) / sizeof *(x))
#define PART(name) "{\"$ref\":\"#/$defs/" name "\"}"
#define NAMED(name) "{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[a-z][a-z0-9-]{0,62}$\"},\"additionalProperties\":" PART(name) "}"
#define ONE_OR_LIST(item) "{\"anyOf\":[" item ",{\"type\":\"array\",\"items\":" item "}]}"
#define KEY(key_, schema_, help_) { .name = (key_), .type = FIELD_NODE, .schema = (schema_), .help = (help_) }

/* --- the keys at the top ------------------------------------------------------------------------------- */
#define VERSION_KEY { .name = "version", .type = FIELD_NODE, .required = true, .schema = "{\"title\":\"`1`\",\"enum\":[1,\"1\"]}", .help = "Of this language." }
#define SHARED_KEYS \
    KEY("schedules", NAMED("schedule"), "Hours of the week, by name; a name is unique over all files."), \
    KEY("mutes", NAMED("mute"), "Hours in which messages about some runs are held, by name; a name is unique over all files."), \
    KEY("rules", NAMED("rule"), "The rules, by name; a name is unique over all files."), \
    KEY("tests", "{\"anyOf\":[{\"type\":\"array\",\"items\":" PART("test") "},{\"type\":\"null\"}]}", "Tests of the rules, for `runbell test`.")

static const struct field top_fields[] = {
    VERSION_KEY,
    KEY("server", PART("server"), "Where runbell listens, and for whom."),
    KEY("store", PART("store"), "Where events and incidents are kept."),
    KEY("log", PART("log"), "What is written to standard error."),
    KEY("heartbeat", PART("heartbeat"), "Somebody who notices when runbell is gone."),
    KEY("sources", NAMED("source"), "Where run events come from, by name."),
    KEY("destinations", NAMED("destination.any"), "Whom rules may tell, by name."),
    KEY("operator", "{\"type\":\"string\"}", "The destination that hears of runbell's own faults."),
    KEY("defaults", PART("defaults"), "What every rule has unless it says otherwise."),
    KEY("include", ONE_OR_LIST("{\"type\":\"string\"}"), "Files of rules; globs, relative to this file."),
    SHARED_KEYS,
};
static const struct field included_fields[] = { VERSION_KEY, SHARED_KEYS };

const struct field_table *config_top_table(bool included)
{
    static const struct field_table top = { "the configuration", top_fields, COUNT(top_fields) };
    static const struct field_table inner = { "an included file", included_fields, COUNT(included_fields) };
    return included ? &inner : &top;
}

/* --- a type decides --------------------------------------------------------------------------------------- */
enum { TYPES_MAX = 128, SCHEMA_CEILING = 1 << 20 };

static void put_enum(struct json_writer *w, const struct str *names, size_t n)
{
    json_put_key(w, STR("enum"));
    json_array_begin(w);
    for (size_t k = 0; k < n; k++) json_put_str(w, names[k]);
    json_array_end(w);
}

/* {"type":"object","required":["type"],"properties":{"type":{"enum":[...]}},"allOf":[: what follows are ifs. */
static void begin_choice(struct json_writer *w, const struct str *types, size_t n)
{
    json_object_begin(w);
    json_field_str(w, "type", STR("object"));
    json_put_key(w, STR("required"));
    json_put_raw(w, STR("[\"type\"]"));
    json_put_key(w, STR("properties"));
    json_object_begin(w);
    json_put_key(w, STR("type"));
    json_object_begin(w);
    put_enum(w, types, n);
    json_object_end(w);
    json_object_end(w);
    json_put_key(w, STR("allOf"));
    json_array_begin(w);
}

static const char *end_choice(struct json_draft *d, struct json_writer *w, struct arena *a)
{
    json_array_end(w);
    json_object_end(w);
    return str_dup_c(a, json_draft_end(d, a));
}

/* The members that must be there for p to be the one: "required" of its type's keys. */
static void put_picked_by(struct json_writer *w, const struct notify_provider *p)
{
    struct str key;
    json_put_key(w, STR("required"));
    json_array_begin(w);
    for (size_t k = 0; p && !str_absent(key = notify_provider_picked_by(p, k)); k++) json_put_str(w, key);
    json_array_end(w);
}

static void put_if(struct json_writer *w, struct str type, const struct notify_provider *p)
{
    json_put_key(w, STR("if"));
    json_object_begin(w);
    json_put_key(w, STR("properties"));
    json_object_begin(w);
    json_put_key(w, STR("type"));
    json_object_begin(w);
    json_field_str(w, "const", type);
    json_object_end(w);
    json_object_end(w);
    put_picked_by(w, p);
    json_object_end(w);
}

static void put_ref(struct json_writer *w, struct arena *a, const char *of, struct str name)
{
    json_object_begin(w);
    json_field_str(w, "$ref", str_printf(a, "#/$defs/%s." STR_FMT, of, STR_ARG(name)));
    json_object_end(w);
}

static struct field_part source_choice(struct arena *a, size_t n)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, SCHEMA_CEILING);
    struct str types[TYPES_MAX] = { { 0 } };
    for (size_t k = 0; k < n; k++) types[k] = str_c(source_type_name((enum source_type)k));
    begin_choice(w, types, n);
    for (size_t k = 0; k < n; k++) {
        json_object_begin(w);
        put_if(w, types[k], NULL);
        json_put_key(w, STR("then"));
        put_ref(w, a, "source", types[k]);
        json_object_end(w);
    }
    return (struct field_part){ .name = "source", .about = "Its `type` decides what else it has: [source.webhook](#sourcewebhook), "
                                "[source.trigger-webhook](#sourcetrigger-webhook), [source.trigger-api](#sourcetrigger-api).",
                                .schema = end_choice(&d, w, a) };
}

/* --- destinations ------------------------------------------------------------------------------------------ */
/* Of a type with several providers, the parameters given must pick one. */
static void put_some_picked(struct json_writer *w, const struct notify_provider *const *list, size_t n, struct str type)
{
    json_object_begin(w);
    put_if(w, type, NULL);
    json_put_key(w, STR("then"));
    json_object_begin(w);
    json_put_key(w, STR("anyOf"));
    json_array_begin(w);
    for (size_t k = 0; k < n; k++) {
        if (!str_eq(notify_provider_type(list[k]), type)) continue;
        json_object_begin(w);
        put_picked_by(w, list[k]);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
    json_object_end(w);
}

static size_t types_of(const struct notify_provider *const *list, size_t n, struct str *types)
{
    size_t found = 0;
    for (size_t k = 0; k < n; k++) {
        size_t before = 0;
        while (before < found && !str_eq(types[before], notify_provider_type(list[k]))) before++;
        if (before == found) types[found++] = notify_provider_type(list[k]);
    }
    return found;
}

static struct field_part destination_choice(struct arena *a, const struct notify_provider *const *list, size_t n)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, SCHEMA_CEILING);
    struct str types[TYPES_MAX] = { { 0 } };
    size_t type_count = types_of(list, n, types);
    begin_choice(w, types, type_count);
    for (size_t k = 0; k < type_count; k++) put_some_picked(w, list, n, types[k]);
    for (size_t k = 0; k < n; k++) {
        json_object_begin(w);
        put_if(w, notify_provider_type(list[k]), list[k]);
        json_put_key(w, STR("then"));
        put_ref(w, a, "destination", notify_provider_name(list[k]));
        json_object_end(w);
    }
    return (struct field_part){ .name = "destination.any", .about = "Its `type` decides, and for a service with two APIs the parameters given.",
                                .schema = end_choice(&d, w, a) };
}

/* The provider's own parameters, then what every destination may have. */
static struct field_part provider_part(struct arena *a, const struct notify_provider *p, const struct field_table *common)
{
    const struct field_table *own = notify_provider_fields(p, a);
    struct field *fields = ARENA_ARRAY(a, struct field, own->n + common->n);
    struct field_table *all = ARENA_NEW(a, struct field_table);
    for (size_t k = 0; k < own->n; k++) fields[k] = own->fields[k];
    for (size_t k = 0; k < common->n; k++) fields[own->n + k] = common->fields[k];
    *all = (struct field_table){ own->name, fields, own->n + common->n };
    return (struct field_part){ .name = str_printf(a, "destination.%s", own->name).p, .table = all, .own = own->n,
                                .about = str_printf(a, "`type: " STR_FMT "`. " STR_FMT, STR_ARG(notify_provider_type(p)), STR_ARG(notify_provider_about(p))).p };
}

/* --- all ------------------------------------------------------------------------------------------------------ */
static const struct field_part general[] = {
    { .name = "limit", .about = "So many in so long: `20 per 1m`, or the map below.",
      .schema = "{\"anyOf\":[{\"type\":\"string\",\"pattern\":\"^[0-9]+ per ([0-9]+(ms|s|m|h|d|w))+$\"}," PART("limit.map") "]}" },
    { .name = "limit.map", .table = &yaml_rate_table },
};

static void add(struct field_part *to, size_t *n, const struct field_part *from, size_t count)
{
    for (size_t k = 0; k < count; k++) to[(*n)++] = from[k];
}

const struct field_part *config_parts(struct arena *a, const struct notify_providers *p, size_t *n)
{
    const struct notify_provider *list[TYPES_MAX];
    size_t settings, sources, destinations, providers = notify_providers_list(p, list, TYPES_MAX);
    const struct field_part *of_settings = config_settings_parts(&settings), *of_sources = config_source_parts(&sources),
                            *of_destinations = config_destination_parts(&destinations);
    struct field_part *parts = ARENA_ARRAY(a, struct field_part, 4 + settings + sources + destinations + providers + COUNT(general));
    struct field_part choice = source_choice(a, sources);
    *n = 0;
    parts[(*n)++] = (struct field_part){ .name = "file", .about = "The keys at the top of a configuration.", .table = config_top_table(false) };
    parts[(*n)++] = (struct field_part){ .name = "included", .about = "The keys at the top of a file that another includes.", .table = config_top_table(true) };
    add(parts, n, of_settings, settings);
    add(parts, n, &choice, 1);
    add(parts, n, of_sources, sources);
    choice = destination_choice(a, list, providers);
    add(parts, n, &choice, 1);
    add(parts, n, of_destinations, destinations);
    for (size_t k = 0; k < providers; k++) parts[(*n)++] = provider_part(a, list[k], of_destinations[0].table);
    add(parts, n, general, COUNT(general));
    return parts;
}
