/* config: the whole configuration of one generation: server, store, sources, destinations, rules. Immutable
 * once loaded, reference-counted: each thread that works with it holds one. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H
#include "base/log.h"
#include "base/secret.h"
#include "notify/notify.h"
#include "rule/rule.h"

enum source_type { SOURCE_WEBHOOK, SOURCE_TRIGGER_WEBHOOK, SOURCE_TRIGGER_API };
enum source_method { METHOD_AUTO, METHOD_QUERY, METHOD_LIST };
struct config_trigger_api { /* how runs are found at Trigger.dev's API */
    struct str url;               /* without a slash at its end */
    struct secret key;            /* of one environment; tr_pat_... with project_ref */
    struct str project_ref;       /* proj_...: the project variant, which wants env; STR_NONE */
    struct str branch;            /* preview branch, STR_NONE */
    enum source_method method;
    int64_t every_ms, overlap_ms, timeout_ms;
    int64_t budget_percent;       /* of the rate limit shared with the user's own application */
    int64_t page_size;            /* runs per list page */
    bool live;                    /* the realtime feed beside polling */
    struct str tls_ca, proxy;     /* STR_NONE */
    bool tls_insecure;
};
struct config_source {
    struct str name;
    enum source_type type;
    struct str path;              /* webhooks: /v1/events, /v1/trigger by default; unique. STR_NONE for trigger-api */
    struct secret token;          /* webhook: absent = anybody who can reach it */
    struct secret *secrets;       /* trigger-webhook: any of them may have signed (rotation) */
    size_t secret_count;
    bool replays;                 /* trigger-webhook: take bodies that were made more than a day ago */
    struct config_trigger_api api;
    struct str project, env;      /* STR_NONE: "default" / the event's own slug, else "default" */
    struct str dashboard;         /* URL, STR_NONE */
    int64_t ignore_older_ms;      /* 0 = never */
};
/* What a source can ever report (trigger-dev-api.md 1.1, 2.3, 3, 6.2, 6.4). */
struct source_sight {
    uint32_t states;              /* bit per enum run_state */
    uint32_t fields;              /* RUN_HAS_* */
    bool other_kinds;             /* deployments and error groups, too */
};
struct source_sight config_source_sight(const struct config_source *s);
const char *source_type_name(enum source_type t); /* "trigger-api" */
const char *source_method_name(enum source_method m);
struct config_server {
    struct str listen, public_url, zone;
    struct secret token;
    struct str tls_cert, tls_key; /* paths, STR_NONE */
    int64_t body_bytes, batch_items, queue_bytes, connections;
    int64_t window_entries, keys_per_rule, runs_per_incident, watched_runs; /* what the engine remembers at most */
};
struct config_store { struct secret url; int64_t keep_events_ms, keep_incidents_ms, keep_size_bytes; bool keep_payload; };
struct config {
    struct arena arena;
    struct str path, dir;         /* of the main file */
    struct config_server server;
    struct config_store store;
    enum log_format log_format;
    enum log_level log_level;
    struct { struct secret url; int64_t every_ms; } heartbeat; /* every_ms 0 = none */
    struct config_source *sources;
    size_t source_count;
    struct notify_providers *providers;
    struct notify_destination *destinations;
    size_t destination_count;
    struct ruleset *rules;
    const struct yaml_node **test_sections; /* the `tests:` of every file, for runbell test */
    size_t test_section_count;
    struct rule_file *files;
    size_t file_count;
};
/* Loads path and what it includes. NULL when there was any error; d has them all (warnings too on success: their
 * texts then live as long as the configuration).
 * With check_only, secrets that cannot be resolved are warnings, and an `include` may match nothing. */
struct config *config_load(const char *path, bool check_only, struct diags *d);
bool config_secret_unresolved(const struct secret *s); /* one of those */
/* A file of rules alone (no sources, no destinations) is checked against permissive placeholders: every
 * destination named counts as existing. For `check rules/x.yaml` and `test`. */
struct config *config_load_rules(const char *path, struct diags *d);
/* Every part of a configuration but the rules' and the tests' (rule_parts, test_parts), which they refer to: "file" is
 * the whole, "included" a file that another includes. */
const struct field_part *config_parts(struct arena *a, const struct notify_providers *p, size_t *n);
/* The configuration at path, checked only, with the rules of another file instead of its own (rules_path, whose top is that
 * of an included file): what would these rules do here? */
struct config *config_load_with_rules(const char *path, const char *rules_path, struct diags *d);
/* The same with the rules as text, called `rules` in diagnostics. It must outlive d and the configuration. */
struct config *config_load_with_rules_text(const char *path, struct str rules, struct diags *d);
struct config *config_ref(struct config *c);  /* any thread */
void config_unref(struct config **c);         /* any thread; frees with the last */
const struct notify_destination *config_destination(const struct config *c, struct str name);
const struct config_source *config_source_by_path(const struct config *c, struct str path);
#endif
