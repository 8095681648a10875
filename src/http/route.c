#include "base/id.h"
#include "base/suggest.h"
#include "http/internal.h"

static const struct http_route routes[] = {
    { "GET", "healthz", HTTP_HERE, true, "", api_healthz, NULL, NULL },
    { "GET", "readyz", HTTP_HERE, true, "", api_readyz, NULL, NULL },
    { "GET", "metrics", HTTP_READ, false, "", api_metrics, NULL, NULL },
    { "GET", "v1/incidents", HTTP_READ, false, "state rule task env project q after limit", api_incidents,
      NULL, NULL },
    { "GET", "v1/incidents/{}", HTTP_READ, false, "", api_incident, NULL, NULL },
    { "POST", "v1/incidents/{}/ack", HTTP_WRITE, false, "", NULL, api_command_prepare, api_command_finish },
    { "POST", "v1/incidents/{}/resolve", HTTP_WRITE, false, "", NULL, api_command_prepare,
      api_command_finish },
    { "POST", "v1/incidents/{}/snooze", HTTP_WRITE, false, "", NULL, api_command_prepare,
      api_command_finish },
    { "GET", "v1/silences", HTTP_READ, false, "state", api_silences, NULL, NULL },
    { "POST", "v1/silences", HTTP_WRITE, false, "", NULL, api_silence_prepare, api_silence_finish },
    { "DELETE", "v1/silences/{}", HTTP_WRITE, false, "who", NULL, api_silence_end_prepare, api_silence_end_finish },
    { "GET", "v1/deliveries", HTTP_READ, false, "state incident destination after limit", api_deliveries,
      NULL, NULL },
    { "POST", "v1/deliveries/{}/retry", HTTP_WRITE, false, "", NULL, api_retry_prepare, api_retry_finish },
    { "GET", "v1/runs/{}", HTTP_READ, false, "project env", api_run, NULL, NULL },
    { "GET", "v1/runs/{}/explain", HTTP_READ, false, "project env", api_explain, NULL, NULL },
    { "POST", "v1/runs/{}/reread", HTTP_READ, false, "env", api_reread, NULL, NULL },
    { "GET", "v1/rejected", HTTP_READ, false, "after limit", api_rejected, NULL, NULL },
    { "POST", "v1/backtest", HTTP_READ, false, "", api_backtest, NULL, NULL },
    { "GET", "v1/rules", HTTP_READ, false, "", api_rules, NULL, NULL },
    { "POST", "v1/sources/{}/import", HTTP_READ, false, "since", api_import, NULL, NULL },
    { "GET", "v1/sources", HTTP_READ, false, "", api_sources, NULL, NULL },
    { "GET", "v1/destinations", HTTP_READ, false, "", api_destinations, NULL, NULL },
    { "POST", "v1/destinations/{}/send", HTTP_WRITE, false, "", NULL, api_send_prepare, api_send_finish },
    { "GET", "v1/status", HTTP_READ, false, "", api_status, NULL, NULL },
};
enum { ROUTES = sizeof routes / sizeof *routes };

static bool has_word(const char *words, struct str word)
{
    struct str rest = str_c(words), part;
    while (str_split(&rest, ' ', &part))
        if (part.n && str_eq(part, word)) return true;
    return false;
}

/* No parameter is ever ignored: a misspelt filter would list everything. */
static bool params_known(struct http_request *r, const struct http_route *route)
{
    for (size_t i = 0; i < r->target.query_count; i++) {
        struct str name = r->target.query[i].name;
        if (has_word(route->params, name)) continue;
        http_problem(r, MHD_HTTP_BAD_REQUEST, "unknown query parameter `" STR_FMT "`; known here: %s",
                     STR_ARG(name), route->params[0] ? route->params : "none");
        return false;
    }
    return true;
}

/* All that this path takes. */
static const char *allowed(struct http_request *r)
{
    struct str list = STR("");
    for (size_t i = 0; i < ROUTES; i++) {
        const char *method = routes[i].method;
        if (!target_matches(&r->target, routes[i].pattern)) continue;
        list = str_printf(&r->arena, STR_FMT "%s%s", STR_ARG(list), list.n ? ", " : "", strcmp(method, "GET") == 0 ? "GET, HEAD" : method);
    }
    return list.p;
}

const struct http_route *http_route_find(struct http_request *r, const char *method)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    const struct http_route *other = NULL;
    for (size_t i = 0; i < ROUTES; i++) {
        if (!target_matches(&r->target, routes[i].pattern)) continue;
        if (strcmp(routes[i].method, wanted) == 0) return params_known(r, &routes[i]) ? &routes[i] : NULL;
        other = &routes[i];
    }
    if (other) {
        r->allow = allowed(r);
        http_problem(r, MHD_HTTP_METHOD_NOT_ALLOWED, "%s is not possible here", method);
    } else {
        http_problem(r, MHD_HTTP_NOT_FOUND, "there is nothing at " STR_FMT, STR_ARG(r->target.path));
    }
    return NULL;
}

bool http_page_read(struct http_request *r, const char *prefix, struct http_page *out)
{
    struct str after = target_query(&r->target, "after"), limit = target_query(&r->target, "limit");
    int64_t n = HTTP_PAGE_DEFAULT;
    *out = (struct http_page){ 0 };
    if (!str_absent(after) && !id_parse(prefix, after, &out->before)) {
        http_problem(r, MHD_HTTP_BAD_REQUEST, "after=" STR_FMT " is no %s_ id", STR_ARG(after), prefix);
        return false;
    }
    if (!str_absent(limit) && (!str_to_i64(limit, &n) || n < 1 || n > HTTP_PAGE_MAX)) {
        http_problem(r, MHD_HTTP_BAD_REQUEST, "limit is a number from 1 to %d", HTTP_PAGE_MAX);
        return false;
    }
    out->limit = (size_t)n;
    return true;
}

void http_store_failed(struct http_request *r, const struct err *err)
{
    static struct log_once once;
    log_write_limited(&once, 1000, LOG_WARN, "http.read_failed", LOG_FIELDS(LOG_E(err)));
    http_busy(r, "the store cannot be read");
}

bool http_id_segment(struct http_request *r, size_t i, const char *prefix, uint64_t *id)
{
    struct str text = r->target.segments[i];
    if (id_parse(prefix, text, id)) return true;
    http_problem(r, MHD_HTTP_NOT_FOUND, "`" STR_FMT "` is no %s_ id", STR_ARG(text), prefix);
    return false;
}
