/* sources: where run events come from, and what each kind can see. */
#include <stddef.h>
#include <string.h>

#include "config/config_internal.h"

#define AT(member) offsetof(struct source, member)

struct source {
    struct str type, path, project, env, dashboard;
    const struct yaml_node *token;
    int64_t ignore_older;
};
static const struct field fields[] = {
    { "type", FIELD_TEXT, true, AT(type), 0, 0, NULL, NULL, "webhook", NULL },
    { "path", FIELD_TEXT, false, AT(path), 0, 0, NULL, "/v1/events", "where bodies are posted to", NULL },
    { "token", FIELD_NODE, false, AT(token), 0, 0, NULL, NULL, "bearer token that senders show", "{\"type\":\"string\"}" },
    { "project", FIELD_TEXT, false, AT(project), 0, 0, NULL, NULL, "project of its events; with several projects, set it on each source", NULL },
    { "env", FIELD_TEXT, false, AT(env), 0, 0, NULL, NULL, "environment of its events; else each event's own", NULL },
    { "dashboard", FIELD_TEXT, false, AT(dashboard), 0, 0, NULL, NULL, "URL under which runs/ID opens a run in Trigger.dev's dashboard", NULL },
    { "ignore_older", FIELD_DURATION, false, AT(ignore_older), 0, 0, NULL, NULL, "older events are recorded, not evaluated", NULL },
};
static const struct field_table table = { "a webhook source", fields, sizeof fields / sizeof *fields };

static const char *const later_types[] = { "trigger-webhook", "trigger-api" };

/* What this version does not have yet is refused by name, before its keys are judged. */
static bool type_ok(struct loader *l, const struct yaml_node *n)
{
    const struct yaml_node *type = yaml_get(n, "type");
    if (!type || str_eq_c(type->text, "webhook")) return true;
    for (size_t k = 0; k < sizeof later_types / sizeof *later_types; k++)
        if (str_eq_c(type->text, later_types[k])) {
            yaml_error(l->d, type, "sources of type `%s` are not available in this version of runbell yet", later_types[k])->hint =
                STR("post run objects to a source of type webhook");
            return false;
        }
    yaml_error(l->d, type, "there is no source type `" STR_FMT "`", STR_ARG(type->text))->hint = STR("types: webhook");
    return false;
}

static void check_path(struct loader *l, const struct yaml_node *n, const struct config_source *s)
{
    static const char *const ours[] = { "/v1/incidents", "/v1/deliveries", "/v1/runs", "/v1/rules", "/v1/destinations", "/v1/status",
                                        "/v1/sources", "/v1/rejected", "/v1/silences", "/v1/stream", "/metrics", "/healthz", "/readyz" };
    const struct yaml_node *path = yaml_get(n, "path");
    const struct config_source *other = config_source_by_path(l->c, s->path);
    if (s->path.n == 0 || s->path.p[0] != '/' || str_find(s->path, '?', 0) < s->path.n)
        yaml_error(l->d, path ? path : n, "a path starts with / and has no query");
    if (other) yaml_error(l->d, path ? path : n, "source `" STR_FMT "` listens on " STR_FMT " already", STR_ARG(other->name), STR_ARG(s->path));
    for (size_t k = 0; k < sizeof ours / sizeof *ours; k++)
        if (str_eq_c(s->path, ours[k])) yaml_error(l->d, path ? path : n, "%s is a path of runbell's own", ours[k]);
}

static void read_source(struct loader *l, const struct yaml_node *n)
{
    struct source s = { .path = STR("/v1/events") };
    struct config_source out = { .name = n->key, .type = SOURCE_WEBHOOK };
    if (!config_name_ok(n->key)) yaml_error_key(l->d, n, "a name is lower case letters, digits and -, starts with a letter, 63 at most");
    if (n->kind != YAML_MAP) {
        yaml_error(l->d, n, "a source is a map with a `type`");
        return;
    }
    config_hide(l, n, "token");
    if (!type_ok(l, n) || !fields_decode(&table, l->a, n, l->d, &s, NULL, NULL)) return;
    out.path = s.path;
    out.project = s.project;
    out.env = s.env;
    out.dashboard = s.dashboard;
    out.ignore_older_ms = s.ignore_older;
    if (s.token && config_secret(l, s.token, &out.token)) {
        config_warn_literal(l, s.token, &out.token, "the source's token");
        if (!secret_present(&out.token)) yaml_error(l->d, s.token, "the token is empty: anybody could post");
    }
    config_check_url(l, n, "dashboard", s.dashboard);
    check_path(l, n, &out);
    l->c->sources[l->c->source_count++] = out;
}

void config_read_sources(struct loader *l, const struct yaml_node *sources)
{
    if (!sources) return;
    if (sources->kind != YAML_MAP) {
        yaml_error(l->d, sources, "sources is a map of names");
        return;
    }
    l->c->sources = ARENA_ARRAY(l->a, struct config_source, sources->count);
    for (const struct yaml_node *n = sources->first; n; n = n->next) read_source(l, n);
}
