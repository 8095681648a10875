/* sources: where run events come from. */
#include <stddef.h>
#include <string.h>

#include "base/suggest.h"
#include "config/config_internal.h"

#define AT(type, member) offsetof(struct type, member)
#define COUNT(x) (sizeof(x) / sizeof *(x))

static const char *const types[] = { "webhook", "trigger-webhook", "trigger-api", NULL };
static const char *const methods[] = { "auto", "query", "list", NULL };

const char *source_type_name(enum source_type t)
{
    return types[t];
}

const char *source_method_name(enum source_method m)
{
    return methods[m];
}

/* --- what all kinds have ------------------------------------------------------------------------------- */
struct common {
    const struct yaml_node *type; /* read before */
    struct str project, env, dashboard;
    int64_t ignore_older;
};
#define COMMON                                                                                                                        \
    { "type", FIELD_NODE, true, AT(common, type), 0, 0, NULL, NULL, "webhook, trigger-webhook or trigger-api", "{\"type\":[\"string\",\"number\",\"boolean\"]}" },             \
    { "project", FIELD_TEXT, false, AT(common, project), 0, 0, NULL, NULL,                                                             \
      "project of its events; with several projects, set it on each source", NULL },                                                   \
    { "env", FIELD_TEXT, false, AT(common, env), 0, 0, NULL, NULL, "environment of its events; else each event's own", NULL },         \
    { "dashboard", FIELD_TEXT, false, AT(common, dashboard), 0, 0, NULL, NULL,                                                         \
      "URL under which runs/ID opens a run in Trigger.dev's dashboard", NULL },                                                        \
    { "ignore_older", FIELD_DURATION, false, AT(common, ignore_older), 0, 0, NULL, NULL, "older events are recorded, not evaluated", NULL }

struct webhook {
    struct common common; /* first: offsets of COMMON */
    struct str path;
    const struct yaml_node *token, *secret;
    bool replays;
};
static const struct field webhook_fields[] = {
    COMMON,
    { "path", FIELD_TEXT, false, AT(webhook, path), 0, 0, NULL, "/v1/events", "where bodies are posted to", NULL },
    { "token", FIELD_NODE, false, AT(webhook, token), 0, 0, NULL, NULL, "bearer token that senders show", "{\"type\":[\"string\",\"number\",\"boolean\"]}" },
};
static const struct field_table webhook_table = { "a webhook source", webhook_fields, COUNT(webhook_fields) };
static const struct field trigger_webhook_fields[] = {
    COMMON,
    { "path", FIELD_TEXT, false, AT(webhook, path), 0, 0, NULL, "/v1/trigger", "where Trigger.dev posts its alerts to", NULL },
    { "secret", FIELD_NODE, true, AT(webhook, secret), 0, 0, NULL, NULL, "the alert channel's secret, or a list while it is being changed",
      "{\"type\":[\"string\",\"array\"]}" },
    { "replays", FIELD_BOOL, false, AT(webhook, replays), 0, 0, NULL, "false", "take alerts that were made more than 24h ago", NULL },
};
static const struct field_table trigger_webhook_table = { "a trigger-webhook source", trigger_webhook_fields, COUNT(trigger_webhook_fields) };

struct trigger_api {
    struct common common; /* first */
    struct str url, project_ref, branch, proxy;
    const struct yaml_node *key, *tls;
    int64_t every, overlap, timeout, budget, page_size;
    int method;
    bool live;
};
static const struct field trigger_api_fields[] = {
    COMMON,
    { "url", FIELD_TEXT, false, AT(trigger_api, url), 0, 0, NULL, "https://api.trigger.dev", "Trigger.dev's address; a self-hosted one's own", NULL },
    { "key", FIELD_NODE, true, AT(trigger_api, key), 0, 0, NULL, NULL,
      "secret key of one environment (tr_prod_...), or with project_ref a personal token (tr_pat_...)", "{\"type\":[\"string\",\"number\",\"boolean\"]}" },
    { "project_ref", FIELD_TEXT, false, AT(trigger_api, project_ref), 0, 0, NULL, NULL, "proj_...: read this project with a personal token; wants env", NULL },
    { "branch", FIELD_TEXT, false, AT(trigger_api, branch), 0, 0, NULL, NULL, "preview branch", NULL },
    { "every", FIELD_DURATION, false, AT(trigger_api, every), 50, 3600000, NULL, "15s", "how often it looks", NULL },
    { "method", FIELD_ENUM, false, AT(trigger_api, method), 0, 0, methods, "auto", "query, list, or auto: what the server can do", NULL },
    { "live", FIELD_BOOL, false, AT(trigger_api, live), 0, 0, NULL, "false", "hear of changes at once from the realtime feed, beside looking", NULL },
    { "budget", FIELD_INT, false, AT(trigger_api, budget), 1, 100, NULL, "10", "percent of the API's rate limit it may use; the rest is your application's", NULL },
    { "overlap", FIELD_DURATION, false, AT(trigger_api, overlap), 0, 3600000, NULL, "30s", "how far back each look reaches, for rows that come late", NULL },
    { "page_size", FIELD_INT, false, AT(trigger_api, page_size), 1, 100, NULL, "100", "runs per list page: fewer where metadata is large", NULL },
    { "timeout", FIELD_DURATION, false, AT(trigger_api, timeout), 100, 300000, NULL, "30s", "of one request", NULL },
    { "tls", FIELD_NODE, false, AT(trigger_api, tls), 0, 0, NULL, NULL, "{ca: FILE, insecure: bool}", "{\"$ref\":\"#/$defs/tls\"}" },
    { "proxy", FIELD_TEXT, false, AT(trigger_api, proxy), 0, 0, NULL, NULL, "HTTP proxy; the environment's is never used", NULL },
};
static const struct field_table trigger_api_table = { "a trigger-api source", trigger_api_fields, COUNT(trigger_api_fields) };

static void take_common(struct loader *l, const struct yaml_node *n, const struct common *c, struct config_source *out)
{
    out->project = c->project;
    out->env = c->env;
    out->dashboard = c->dashboard;
    out->ignore_older_ms = c->ignore_older;
    config_check_url(l, n, "dashboard", c->dashboard);
}

/* --- webhooks ------------------------------------------------------------------------------------------ */
static void check_path(struct loader *l, const struct yaml_node *n, const struct config_source *s)
{
    static const char *const ours[] = { "/v1/incidents", "/v1/deliveries", "/v1/runs", "/v1/rules", "/v1/destinations", "/v1/status",
                                        "/v1/sources", "/v1/rejected", "/v1/silences", "/v1/stream", "/v1/import", "/metrics", "/healthz",
                                        "/readyz" };
    const struct yaml_node *path = yaml_get(n, "path");
    const struct config_source *other = config_source_by_path(l->c, s->path);
    if (s->path.n == 0 || s->path.p[0] != '/' || str_find(s->path, '?', 0) < s->path.n)
        yaml_error(l->d, path ? path : n, "a path starts with / and has no query");
    if (other) yaml_error(l->d, path ? path : n, "source `" STR_FMT "` listens on " STR_FMT " already", STR_ARG(other->name), STR_ARG(s->path));
    for (size_t k = 0; k < COUNT(ours); k++)
        if (str_eq_c(s->path, ours[k])) yaml_error(l->d, path ? path : n, "%s is a path of runbell's own", ours[k]);
}

static void take_secret(struct loader *l, const struct yaml_node *n, struct config_source *out)
{
    struct secret *s = &out->secrets[out->secret_count];
    if (!config_secret(l, n, s)) return;
    config_warn_literal(l, n, s, "the alert channel's secret");
    if (!secret_present(s)) yaml_error(l->d, n, "the secret is empty: anybody could sign");
    else out->secret_count++;
}

static void take_secrets(struct loader *l, const struct yaml_node *n, struct config_source *out)
{
    out->secrets = ARENA_ARRAY(l->a, struct secret, n->kind == YAML_SEQ ? n->count + 1 : 1);
    if (n->kind != YAML_SEQ) {
        take_secret(l, n, out);
        return;
    }
    for (const struct yaml_node *k = n->first; k; k = k->next) take_secret(l, k, out);
    if (!n->first) yaml_error(l->d, n, "wants at least one secret: anybody could post otherwise");
}

static void read_webhook(struct loader *l, const struct yaml_node *n, struct config_source *out)
{
    bool plain = out->type == SOURCE_WEBHOOK;
    struct webhook s = { .path = plain ? STR("/v1/events") : STR("/v1/trigger") };
    if (!fields_decode(plain ? &webhook_table : &trigger_webhook_table, l->a, n, l->d, &s, NULL, NULL)) return;
    take_common(l, n, &s.common, out);
    out->path = s.path;
    out->replays = s.replays;
    if (s.secret) take_secrets(l, s.secret, out);
    if (s.token && config_secret(l, s.token, &out->token)) {
        config_warn_literal(l, s.token, &out->token, "the source's token");
        if (!secret_present(&out->token)) yaml_error(l->d, s.token, "the token is empty: anybody could post");
    }
    check_path(l, n, out);
    l->c->sources[l->c->source_count++] = *out;
}

/* --- trigger-api --------------------------------------------------------------------------------------- */
/* Which key goes with what: one environment's, or a personal one with a project (trigger-dev-api.md 2.1, 2.4). */
static void check_key(struct loader *l, const struct yaml_node *n, const struct yaml_node *key, const struct config_source *s)
{
    struct str text = secret_reveal(&s->api.key);
    bool personal = str_starts(text, STR("tr_pat_")), resolved = !str_eq_c(text, "unresolved");
    if (!secret_present(&s->api.key)) yaml_error(l->d, key, "the key is empty");
    else if (str_starts(text, STR("pk_")))
        yaml_error(l->d, key, "a public key (pk_...) cannot read runs")->hint = STR("use the environment's secret key, tr_prod_... or the like");
    else if (personal && str_absent(s->api.project_ref))
        yaml_error(l->d, key, "a personal token reads a project: it wants `project_ref`")->hint = STR("add project_ref: proj_... and env:, or use the environment's secret key");
    else if (resolved && !personal && !str_absent(s->api.project_ref))
        yaml_error(l->d, yaml_get(n, "project_ref"), "`project_ref` goes with a personal token (tr_pat_...) only")->hint = STR("an environment's key needs no project_ref");
}

static void check_project(struct loader *l, const struct yaml_node *n, const struct config_source *s)
{
    const struct yaml_node *ref = yaml_get(n, "project_ref");
    if (!ref) return;
    if (!str_starts(s->api.project_ref, STR("proj_"))) yaml_error(l->d, ref, "wants a project's reference: proj_ and 20 letters");
    if (str_absent(s->env)) yaml_error(l->d, ref, "with `project_ref` the source wants `env`: the slug of one environment (dev, stg, prod, preview)");
    if (s->api.method == METHOD_QUERY)
        yaml_error(l->d, yaml_get(n, "method"), "a personal token cannot query: the API takes it for lists only");
    if (s->api.live) yaml_error(l->d, yaml_get(n, "live"), "a personal token cannot follow the realtime feed: use the environment's secret key");
}

static void read_trigger_api(struct loader *l, const struct yaml_node *n, struct config_source *out)
{
    struct trigger_api s = { .url = STR_NONE, .project_ref = STR_NONE, .branch = STR_NONE, .proxy = STR_NONE };
    if (!fields_decode(&trigger_api_table, l->a, n, l->d, &s, NULL, NULL)) return;
    take_common(l, n, &s.common, out);
    out->path = STR_NONE;
    config_check_url(l, n, "url", s.url);
    while (str_ends(s.url, STR("/"))) s.url.n--;
    out->api = (struct config_trigger_api){
        .url = s.url, .project_ref = s.project_ref, .branch = s.branch, .proxy = s.proxy, .method = (enum source_method)s.method,
        .every_ms = s.every, .overlap_ms = s.overlap, .timeout_ms = s.timeout, .budget_percent = s.budget, .page_size = s.page_size,
        .live = s.live,
    };
    config_read_tls(l, s.tls, "source", &out->api.tls_ca, &out->api.tls_insecure);
    if (!s.key || !config_secret(l, s.key, &out->api.key)) return;
    config_warn_literal(l, s.key, &out->api.key, "the API key");
    check_key(l, n, s.key, out);
    check_project(l, n, out);
    l->c->sources[l->c->source_count++] = *out;
}

/* --- any ----------------------------------------------------------------------------------------------- */
static bool read_type(struct loader *l, const struct yaml_node *n, enum source_type *out)
{
    const struct yaml_node *type = yaml_get(n, "type");
    struct str names[COUNT(types) - 1], near;
    struct diag *d;
    if (!type) {
        if (!n->cut) yaml_error_key(l->d, n, "the source needs a `type`: webhook, trigger-webhook or trigger-api");
        return false;
    }
    for (size_t k = 0; types[k]; k++) {
        names[k] = str_c(types[k]);
        *out = (enum source_type)k;
        if (str_eq(type->text, names[k])) return true;
    }
    d = yaml_error(l->d, type, "there is no source type `" STR_FMT "`", STR_ARG(type->text));
    near = suggest_nearest(type->text, names, COUNT(names));
    d->hint = near.n ? str_printf(l->d->arena, "did you mean `" STR_FMT "`?", STR_ARG(near)) : STR("types: webhook, trigger-webhook, trigger-api");
    return false;
}

static void read_source(struct loader *l, const struct yaml_node *n)
{
    struct config_source out = { .name = n->key };
    if (!config_name_ok(n->key)) yaml_error_key(l->d, n, "a name is lower case letters, digits and -, starts with a letter, 63 at most");
    if (n->kind != YAML_MAP) {
        yaml_error(l->d, n, "a source is a map with a `type`");
        return;
    }
    config_hide(l, n, "token");
    config_hide(l, n, "secret");
    config_hide(l, n, "key");
    if (!read_type(l, n, &out.type)) return;
    if (out.type == SOURCE_TRIGGER_API) read_trigger_api(l, n, &out);
    else read_webhook(l, n, &out);
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

const struct field_part *config_source_parts(size_t *n)
{
    static const struct field_part parts[] = {
        { .name = "source.webhook", .about = "`type: webhook`: run objects, posted by anybody who has the token.", .table = &webhook_table },
        { .name = "source.trigger-webhook", .about = "`type: trigger-webhook`: Trigger.dev's own signed alerts.", .table = &trigger_webhook_table },
        { .name = "source.trigger-api", .about = "`type: trigger-api`: runs are looked for at Trigger.dev's API.", .table = &trigger_api_table },
    };
    *n = COUNT(parts);
    return parts;
}
