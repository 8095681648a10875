/* settings: server, store, log, heartbeat (interface.md, Configuration beside rules). */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_internal.h"

#define AT(type, member) offsetof(struct type, member)
#define COUNT(x) (sizeof(x) / sizeof *(x))

/* --- server ------------------------------------------------------------------------------------------------------ */
struct limits { int64_t body, batch, queue, connections, window, keys, runs, watched; };
static const struct field limit_fields[] = {
    { "body", FIELD_SIZE, false, AT(limits, body), 1024, 64 << 20, NULL, "4MiB", "longest request body", NULL },
    { "batch", FIELD_INT, false, AT(limits, batch), 1, 100000, NULL, "1000", "most run objects in one body", NULL },
    { "queue", FIELD_SIZE, false, AT(limits, queue), 65536, 4LL << 30, NULL, "64MiB", "bodies waiting for the writer; above it 503", NULL },
    { "connections", FIELD_INT, false, AT(limits, connections), 1, 100000, NULL, "4096", "open connections", NULL },
    { "window", FIELD_INT, false, AT(limits, window), 64, 1000000, NULL, "4096", "hits kept in the window of one key, or as many as its condition counts; older ones are only counted; read at the start", NULL },
    { "keys", FIELD_INT, false, AT(limits, keys), 100, 10000000, NULL, "1000000", "keys of one rule; others share one incident, (overflow); read at the start", NULL },
    { "runs", FIELD_INT, false, AT(limits, runs), 10, 100000, NULL, "1000", "runs that one incident remembers; others are only counted; read at the start", NULL },
    { "watched", FIELD_INT, false, AT(limits, watched), 100, 10000000, NULL, "500000", "runs that rules with `lasts` watch; of more the operator hears; read at the start", NULL },
};
static const struct field_table limit_table = { "server.limits", limit_fields, COUNT(limit_fields) };

struct tls { struct str cert, key; };
static const struct field tls_fields[] = {
    { "cert", FIELD_TEXT, true, AT(tls, cert), 0, 0, NULL, NULL, "PEM file with the certificate chain", NULL },
    { "key", FIELD_TEXT, true, AT(tls, key), 0, 0, NULL, NULL, "PEM file with the private key", NULL },
};
static const struct field_table tls_table = { "server.tls", tls_fields, COUNT(tls_fields) };

struct server { struct str listen, public_url, zone; const struct yaml_node *token, *tls, *limits; };
static const struct field server_fields[] = {
    { "listen", FIELD_TEXT, false, AT(server, listen), 0, 0, NULL, "127.0.0.1:8484", "host:port, [v6]:port or unix:PATH", NULL },
    { "public_url", FIELD_TEXT, false, AT(server, public_url), 0, 0, NULL, NULL, "where people reach runbell, for links in messages", NULL },
    { "token", FIELD_NODE, false, AT(server, token), 0, 0, NULL, NULL, "guards the API and metrics", "{\"type\":[\"string\",\"number\",\"boolean\"]}" },
    { "tls", FIELD_NODE, false, AT(server, tls), 0, 0, NULL, NULL, "serve HTTPS", "{\"$ref\":\"#/$defs/server.tls\"}" },
    { "limits", FIELD_NODE, false, AT(server, limits), 0, 0, NULL, NULL, "bounds of what is taken", "{\"$ref\":\"#/$defs/server.limits\"}" },
    { "zone", FIELD_TEXT, false, AT(server, zone), 0, 0, NULL, "UTC", "time zone of times in messages", NULL },
};
static const struct field_table server_table = { "server", server_fields, COUNT(server_fields) };

/* host:port, [v6]:port or unix:PATH by its form; whether it can be had is seen at the start. */
static bool listen_ok(struct str listen)
{
    size_t colon = listen.n;
    int64_t port;
    if (str_starts(listen, STR("unix:"))) return listen.n > 5;
    for (size_t k = 0; k < listen.n; k++)
        if (listen.p[k] == ':') colon = k;
    if (colon == listen.n || !str_to_i64(str_sub(listen, colon + 1, listen.n), &port) || port < 0 || port > 65535) return false;
    if (colon > 2 && listen.p[0] == '[' && listen.p[colon - 1] == ']') return true;
    return colon > 0 && str_find(listen, ':', 0) == colon;
}

static void check_server(struct loader *l, const struct yaml_node *n, const struct server *s)
{
    if (s->listen.p && !listen_ok(s->listen)) yaml_error(l->d, yaml_get(n, "listen"), "wants host:port, [v6]:port or unix:PATH");
    config_check_url(l, n, "public_url", s->public_url);
    if (s->zone.p && !str_eq_c(s->zone, "UTC")) yaml_error(l->d, yaml_get(n, "zone"), "a `zone` other than UTC is not available in this version of runbell yet");
}

static void read_server(struct loader *l, const struct yaml_node *n)
{
    static const struct yaml_node nothing = { .kind = YAML_MAP };
    struct server s = { 0 };
    struct limits limits = { 0 };
    struct tls tls = { 0 };
    struct config_server *out = &l->c->server;
    config_hide(l, n, "token");
    fields_decode(&server_table, l->a, n ? n : &nothing, l->d, &s, NULL, NULL);
    if (n && n->kind == YAML_MAP) check_server(l, n, &s);
    fields_decode(&limit_table, l->a, s.limits ? s.limits : &nothing, l->d, &limits, NULL, NULL);
    if (s.tls && fields_decode(&tls_table, l->a, s.tls, l->d, &tls, NULL, NULL)) {
        out->tls_cert = tls.cert;
        out->tls_key = tls.key;
    }
    if (s.token && config_secret(l, s.token, &out->token)) config_warn_literal(l, s.token, &out->token, "the server's token");
    out->listen = s.listen;
    out->public_url = s.public_url;
    out->zone = s.zone;
    out->body_bytes = limits.body;
    out->batch_items = limits.batch;
    out->queue_bytes = limits.queue;
    out->connections = limits.connections;
    out->window_entries = limits.window;
    out->keys_per_rule = limits.keys;
    out->runs_per_incident = limits.runs;
    out->watched_runs = limits.watched;
}

/* --- store --------------------------------------------------------------------------------------------------------- */
struct keep { int64_t events, incidents, size; bool payload; };
static const struct field keep_fields[] = {
    { "events", FIELD_DURATION, false, AT(keep, events), 3600000, 0x7fffffffffff, NULL, "30d", "the log of run events", NULL },
    { "incidents", FIELD_DURATION, false, AT(keep, incidents), 3600000, 0x7fffffffffff, NULL, "180d", "resolved incidents", NULL },
    { "size", FIELD_SIZE, false, AT(keep, size), 1 << 20, 1LL << 50, NULL, "10GiB", "the whole store; oldest events go first", NULL },
    { "payload", FIELD_BOOL, false, AT(keep, payload), 0, 0, NULL, "false", "keep payload and output of runs", NULL },
};
static const struct field_table keep_table = { "store.keep", keep_fields, COUNT(keep_fields) };
struct store_settings { const struct yaml_node *url, *keep; };
static const struct field store_fields[] = {
    { "url", FIELD_NODE, false, AT(store_settings, url), 0, 0, NULL, NULL, "sqlite:PATH, relative to this file", "{\"type\":[\"string\",\"number\",\"boolean\"]}" },
    { "keep", FIELD_NODE, false, AT(store_settings, keep), 0, 0, NULL, NULL, "retention", "{\"$ref\":\"#/$defs/store.keep\"}" },
};
static const struct field_table store_table = { "store", store_fields, COUNT(store_fields) };

static void read_store(struct loader *l, const struct yaml_node *n)
{
    static const struct yaml_node nothing = { .kind = YAML_MAP };
    struct store_settings s = { 0 };
    struct keep keep = { 0 };
    struct config_store *out = &l->c->store;
    out->url = (struct secret){ STR("sqlite:runbell.db"), STR_NONE };
    fields_decode(&store_table, l->a, n ? n : &nothing, l->d, &s, NULL, NULL);
    fields_decode(&keep_table, l->a, s.keep ? s.keep : &nothing, l->d, &keep, NULL, NULL);
    if (s.url && config_secret(l, s.url, &out->url)) {
        struct str url = secret_reveal(&out->url);
        if (str_starts(url, STR("postgres")))
            yaml_error(l->d, s.url, "PostgreSQL is not available in this version of runbell yet")->hint = STR("use sqlite:PATH");
        else if (!str_starts(url, STR("sqlite:")) && !str_starts(url, STR("memory:")))
            yaml_error(l->d, s.url, "wants sqlite:PATH");
    }
    if (keep.payload) yaml_error(l->d, yaml_get(s.keep, "payload"), "`payload: true` is not available in this version of runbell yet");
    out->keep_events_ms = keep.events;
    out->keep_incidents_ms = keep.incidents;
    out->keep_size_bytes = keep.size;
}

/* --- log, heartbeat ----------------------------------------------------------------------------------------------------- */
static const char *const format_names[] = { "logfmt", "json", NULL };
static const char *const level_names[] = { "debug", "info", "warn", "error", NULL };
struct log_settings { int format, level; };
static const struct field log_fields[] = {
    { "format", FIELD_ENUM, false, AT(log_settings, format), 0, 0, format_names, "logfmt", "shape of log lines", NULL },
    { "level", FIELD_ENUM, false, AT(log_settings, level), 0, 0, level_names, "info", "least level that is written", NULL },
};
static const struct field_table log_table = { "log", log_fields, COUNT(log_fields) };
struct heartbeat { const struct yaml_node *url; int64_t every; };
static const struct field heartbeat_fields[] = {
    { "url", FIELD_NODE, true, AT(heartbeat, url), 0, 0, NULL, NULL, "is asked for while runbell works", "{\"type\":[\"string\",\"number\",\"boolean\"]}" },
    { "every", FIELD_DURATION, false, AT(heartbeat, every), 1000, 86400000, NULL, "1m", "how often", NULL },
};
static const struct field_table heartbeat_table = { "heartbeat", heartbeat_fields, COUNT(heartbeat_fields) };

void config_read_settings(struct loader *l, const struct yaml_node *top)
{
    static const struct yaml_node nothing = { .kind = YAML_MAP };
    struct log_settings log = { 0, 1 };
    struct heartbeat beat = { 0 };
    const struct yaml_node *n;
    read_server(l, yaml_get(top, "server"));
    read_store(l, yaml_get(top, "store"));
    n = yaml_get(top, "log");
    fields_decode(&log_table, l->a, n ? n : &nothing, l->d, &log, NULL, NULL);
    l->c->log_format = (enum log_format)log.format;
    l->c->log_level = (enum log_level)log.level;
    n = yaml_get(top, "heartbeat");
    config_hide(l, n, "url"); /* whoever knows it can keep it quiet */
    if (!n || !fields_decode(&heartbeat_table, l->a, n, l->d, &beat, NULL, NULL)) return;
    if (!config_secret(l, beat.url, &l->c->heartbeat.url)) return;
    if (str_absent(l->c->heartbeat.url.reference)) config_check_url(l, n, "url", secret_reveal(&l->c->heartbeat.url));
    l->c->heartbeat.every_ms = beat.every;
}

const struct field_part *config_settings_parts(size_t *n)
{
    static const struct field_part parts[] = {
        { .name = "server", .table = &server_table }, { .name = "server.tls", .table = &tls_table },
        { .name = "server.limits", .table = &limit_table }, { .name = "store", .table = &store_table },
        { .name = "store.keep", .about = "Resolved incidents and events older than this are removed.", .table = &keep_table },
        { .name = "log", .table = &log_table }, { .name = "heartbeat", .about = "runbell's own dead-man switch.", .table = &heartbeat_table },
    };
    *n = COUNT(parts);
    return parts;
}
