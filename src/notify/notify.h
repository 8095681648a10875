/* notify: provider descriptors (notifier-providers.md section 52). message -> request, answer -> verdict.
 * No I/O, no clock. A provider is a YAML file under providers/, embedded; there is no C per provider.
 * Providers are parsed once (notify_init) and immutable afterwards; any thread may build and judge. */
#ifndef NOTIFY_NOTIFY_H
#define NOTIFY_NOTIFY_H
#include "base/secret.h"
#include "message/message.h"
#include "yaml/yaml.h"

enum notify_transport { NOTIFY_HTTP, NOTIFY_CONSOLE, NOTIFY_SMTP };
struct notify_provider; /* "slack-webhook", "slack-bot", "pagerduty", "webhook", "console" */

/* Parses the embedded descriptors (and extra YAML texts in tests). -1 with diagnostics on a bad one. */
struct notify_providers;
struct notify_providers *notify_providers_load(struct arena *a, struct diags *d);
/* Adds one more descriptor; for tests and users' own. */
int notify_providers_add(struct notify_providers *p, struct arena *a, const char *file, struct str text, struct diags *d);
size_t notify_providers_list(const struct notify_providers *p, const struct notify_provider **out, size_t max);
/* A person's view of a provider: name, what it is, parameters, actions, limits. */
void notify_provider_describe(const struct notify_provider *p, struct json_writer *w);
struct str notify_provider_name(const struct notify_provider *p);
/* What a rule may set, {to: X, channel: ...}: all texts, for rule_destination.params. Empty = nothing. */
const struct field_table *notify_provider_settable(const struct notify_provider *p);

/* What a destination of it may have beside the common keys, as fields (into no struct): for schema and reference. */
const struct field_table *notify_provider_fields(const struct notify_provider *p, struct arena *a);
struct str notify_provider_type(const struct notify_provider *p);
struct str notify_provider_about(const struct notify_provider *p);
/* The k-th parameter that picks it among the providers of its type; STR_NONE at the end. */
struct str notify_provider_picked_by(const struct notify_provider *p, size_t k);

/* --- a configured place --------------------------------------------------------------------------------- */
struct notify_param { struct str name; struct secret value; bool is_secret; };
struct notify_destination {
    struct str name;
    struct str type;                      /* as the user wrote it: "slack" */
    const struct notify_provider *provider; /* picked by type and the parameters given */
    struct notify_param *params;
    size_t param_count;
    /* common keys, decoded by config: */
    struct str base_url;                  /* STR_NONE = the provider's own */
    int64_t timeout_ms;                   /* 15 s by default */
    int64_t rate_n, rate_per_ms;          /* token bucket: config's, else the provider's */
    int64_t retry_for_ms;                 /* maximum age, 24 h by default */
    struct str tls_ca, proxy;
    bool tls_insecure;
    bool edits, acks;                     /* what the provider can do: for rule_destination */
    enum notify_transport transport;
    size_t in_flight_max;                 /* 8 by default */
};
/* Decodes the provider's own parameters of a destination map (common keys are passed over: type, base_url,
 * timeout, rate, retry, tls, proxy). Unknown and missing ones are diagnostics at their place; a literal
 * secret is a warning. dir: for "${file:...}". check_only: a reference that cannot be resolved is a warning, and
 * its value is not judged. false when an error was added. */
bool notify_destination_decode(const struct notify_providers *p, struct arena *a, const struct yaml_node *map,
                               const char *dir, bool check_only, struct diags *d, struct notify_destination *out);

/* --- requests ------------------------------------------------------------------------------------------- */
struct notify_header { struct str name, value; };
struct notify_request {
    bool skip;               /* this provider has nothing to say for this kind of message: counts as delivered */
    struct str method, url;  /* url may hold secrets: never log it; url_shown is scheme and host */
    struct str url_shown;
    struct notify_header *headers;
    size_t header_count;
    struct str body;         /* console: the text to print */
    const void *action;      /* for notify_judge */
};
struct notify_attempt {
    uint64_t delivery, message;
    int64_t now_ms;          /* for timestamps and signatures of this attempt */
    bool plain;              /* the reduced form, after a refused body */
};
/* Builds the request for a stored message (message_write's JSON): picks the action by message kind and
 * captures, renders typed body trees, truncates, signs the final bytes. params: JSON object that overrides
 * destination parameters ({to: X, channel: ...}), or absent. -1 when a leaf cannot be rendered or a header,
 * URL or parameter would be unsafe (CR, LF, NUL): ERR_TYPE. */
int notify_build(const struct notify_destination *d, struct json message, struct json params, struct json captures,
                 const struct notify_attempt *at, struct arena *a, struct notify_request *out, struct err *err) WUR;

struct notify_response {
    int status;                /* 0: no answer */
    struct notify_header *headers;
    size_t header_count;
    struct str body;           /* at most 64 KiB was read */
    bool sent;                 /* the request went out whole: no answer means uncertain, not retry */
    struct str transport_error; /* "connection refused"; STR_NONE = none */
    bool tls_failed;           /* certificate mismatch: bad_config */
};
/* First matching classify rule wins, then the default table of section 0.1. Never fails. verdict->captures
 * is the new whole capture object (old ones kept, {} after gone_target). now_ms: for epoch and date forms. */
void notify_judge(const struct notify_destination *d, const struct notify_request *req, struct json captures,
                  const struct notify_response *res, int64_t now_ms, struct arena *a, struct verdict *out);
/* Replaces every secret of the destination in text by ***. */
struct str notify_mask(const struct notify_destination *d, struct arena *a, struct str text);
#endif
