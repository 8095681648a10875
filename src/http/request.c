/* A request's way: target -> headers -> body -> (suspended: pipeline or reader) -> answer. Requests are
 * pooled with their arena and buffers, so that the usual one allocates nothing. */
#include "base/failpoint.h"
#include "http/internal.h"

enum {
    POOL_MAX = 1024,       /* requests kept for reuse */
    KEEP_BYTES = 64 * 1024, /* a buffer that grew beyond this is not kept */
    OUT_CEILING = 32 * 1024 * 1024,
    API_BODY_MAX = 64 * 1024,
    DRAIN_MAX = 64 * 1024  /* a refused body up to this is read, so that the connection can stay */
};

static struct http_request *request_new(struct http *h)
{
    struct http_request *r = h->pool;
    if (r) {
        h->pool = r->next;
        h->pool_count--;
        return r;
    }
    r = xcalloc(1, sizeof *r);
    r->http = h;
    strbuf_init(&r->body, SIZE_MAX / 2); /* its real ceiling is checked against the configuration */
    strbuf_init(&r->out, OUT_CEILING);
    return r;
}

static void trim(struct strbuf *b)
{
    if (b->cap > KEEP_BYTES)
        strbuf_fini(b);
    else
        strbuf_clear(b);
}

static void destroy(struct http_request *r)
{
    strbuf_fini(&r->body);
    strbuf_fini(&r->out);
    arena_fini(&r->arena);
    free(r);
}

void http_request_free(struct http_request *r)
{
    struct http *h = r->http;
    config_unref(&r->config);
    h->body_bytes -= r->body.n;
    if (r->counted) h->active--;
    trim(&r->body);
    trim(&r->out);
    if (r->arena.used_bytes > KEEP_BYTES)
        arena_fini(&r->arena);
    else
        arena_reset(&r->arena);
    if (h->pool_count == POOL_MAX) {
        destroy(r);
        return;
    }
    r->next = h->pool;
    h->pool = r;
    h->pool_count++;
}

void http_pool_fini(struct http *h)
{
    while (h->pool) {
        struct http_request *r = h->pool;
        h->pool = r->next;
        destroy(r);
    }
}

void *http_request_begin(void *ctx, const char *uri, struct MHD_Connection *mhd)
{
    struct http *h = ctx;
    struct http_conn *c = http_conn_of(mhd);
    struct http_request *r = request_new(h);
    r->conn = c;
    r->mhd = mhd;
    r->stage = HTTP_HEADERS;
    r->route = NULL;
    r->source = NULL;
    r->target.query_count = r->target.segment_count = 0;
    r->raw = str_dup(&r->arena, str_c(uri)); /* MHD unescapes its own copy in place */
    r->config = config_ref(h->config);
    r->status = 0;
    r->discarded = 0;
    r->method = NULL;
    r->allow = NULL;
    r->close = r->retry_after = r->counted = r->prepared = false;
    c->request = r;
    c->deadline_ms = h->now_ms + h->limits.header_ms;
    return r;
}

static void log_access(const struct http_request *r, enum MHD_RequestTerminationCode how)
{
    static struct log_once refused, failed;
    const struct log_field *fields =
        LOG_FIELDS(LOG_C("method", r->method), LOG_S("path", target_path(r->raw)), LOG_I("status", r->status),
                   LOG_I("bytes", r->out.n), LOG_I("body", r->body.n), LOG_I("ended", how));
    if (r->status >= 500)
        log_write_limited(&failed, 1000, LOG_INFO, "http.failed", fields);
    else if (r->status >= 400)
        log_write_limited(&refused, 1000, LOG_INFO, "http.refused", fields);
    else
        log_write(LOG_DEBUG, "http.request", fields);
}

void http_request_end(void *ctx, struct MHD_Connection *mhd, void **at, enum MHD_RequestTerminationCode how)
{
    struct http *h = ctx;
    struct http_request *r = *at;
    struct http_conn *c = http_conn_of(mhd);
    *at = NULL;
    if (!r || !c || c->request != r) return; /* let go: it is the pipeline's */
    c->request = NULL;
    c->deadline_ms = h->now_ms + h->limits.idle_ms;
    atomic_fetch_add(&h->counters.requests, 1);
    atomic_fetch_add(&h->counters.answers[r->status / 100 % 6], 1);
    if (r->status == MHD_HTTP_ACCEPTED && how == MHD_REQUEST_TERMINATED_COMPLETED_OK) failpoint("http.sent");
    if (r->status >= 400 || h->log_requests) log_access(r, how);
    http_request_free(r);
}

/* --- headers --------------------------------------------------------------------------------------- */

static size_t body_max(const struct http_request *r)
{
    return r->source ? (size_t)r->config->server.body_bytes : API_BODY_MAX;
}

static bool find_route(struct http_request *r, const char *method)
{
    struct err err;
    r->source = config_source_by_path(r->config, target_path(r->raw));
    if (r->source && strcmp(method, MHD_HTTP_METHOD_POST) == 0) {
        r->route = &http_ingest_route;
        return true;
    }
    if (r->source) {
        r->allow = "POST";
        http_problem(r, MHD_HTTP_METHOD_NOT_ALLOWED, "events are posted here");
        return false;
    }
    if (target_parse(&r->arena, r->raw, &r->target, &err) < 0) {
        http_problem(r, MHD_HTTP_BAD_REQUEST, "%s", err.msg);
        return false;
    }
    r->route = http_route_find(r, method);
    return r->route != NULL;
}

static bool type_taken(struct str type)
{
    static const char *const taken[] = { "application/json", "application/x-ndjson", "application/ndjson",
                                         "application/jsonl", "text/json" };
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (str_ieq(type, str_c(taken[i]))) return true;
    return str_starts(type, STR("application/")) && str_ends(type, STR("+json"));
}

static bool media_type_fits(struct http_request *r)
{
    struct str type = r->headers.content_type, coding = r->headers.content_encoding;
    bool body = r->headers.chunked || r->headers.length > 0;
    if (!body && !r->source) return true;
    type = str_trim(str_sub(type, 0, str_find(type, ';', 0)));
    if (type.n && !type_taken(type)) {
        http_problem(r, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                     "Content-Type " STR_FMT " is not taken: send application/json or application/x-ndjson",
                     STR_ARG(type));
        return false;
    }
    if (coding.n && !str_ieq(coding, STR("identity"))) {
        http_problem(r, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                     "Content-Encoding is not taken: send the body as it is");
        return false;
    }
    return true;
}

static bool too_long(struct http_request *r)
{
    if (r->headers.length <= (int64_t)body_max(r)) return false;
    http_problem(r, MHD_HTTP_CONTENT_TOO_LARGE, "the body has %lld bytes; at most %zu are taken",
                 (long long)r->headers.length, body_max(r));
    r->close = true;
    return true;
}

static bool admit(struct http_request *r, const char *method)
{
    http_headers_read(r->mhd, &r->headers);
    if (!http_headers_sound(r)) {
        r->close = true;
        return false;
    }
    if (!find_route(r, method)) return false;
    if (r->source ? !http_auth_source(r) : !r->route->open && !http_auth_api(r)) return false;
    return !too_long(r) && media_type_fits(r);
}

/* Somebody who may post, and is in the middle of it: closing would take the answer from them. */
static bool is_slightly_too_long(const struct http_request *r)
{
    return r->status == MHD_HTTP_CONTENT_TOO_LARGE && r->source && r->headers.length <= 2 * (int64_t)body_max(r);
}

static enum MHD_Result begin(struct http_request *r, const char *method)
{
    struct http *h = r->http;
    r->method = method;
    r->stage = HTTP_BODY;
    r->conn->deadline_ms = h->now_ms + h->limits.body_ms;
    if (admit(r, method)) return MHD_YES;
    if (!r->close && !r->headers.chunked && r->headers.length <= DRAIN_MAX) return MHD_YES;
    if (is_slightly_too_long(r)) return MHD_YES;
    r->close = true;
    return http_answer(r);
}

/* --- body ------------------------------------------------------------------------------------------ */

/* MHD takes no answer in the middle of a body: what is refused there is read and forgotten, within bounds. */
static enum MHD_Result discard(struct http_request *r, size_t n)
{
    r->discarded += n;
    return r->discarded > 2 * body_max(r) ? MHD_NO : MHD_YES;
}

static enum MHD_Result take_body(struct http_request *r, const char *p, size_t *n)
{
    struct http *h = r->http;
    struct http_conn *c = r->conn;
    size_t got = *n;
    int64_t credit = c->deadline_ms + (int64_t)got * 1000 / h->limits.body_rate;
    int64_t most = h->now_ms + h->limits.body_ms;
    *n = 0;
    c->deadline_ms = credit < most ? credit : most;
    if (r->status) return discard(r, got);
    if (got > body_max(r) - r->body.n) {
        http_problem(r, MHD_HTTP_CONTENT_TOO_LARGE, "the body has more than %zu bytes", body_max(r));
    } else if (got > h->body_ceiling - h->body_bytes) {
        http_busy(r, "too many bodies at once");
    } else {
        strbuf_add(&r->body, p, got);
        h->body_bytes += got;
        return MHD_YES;
    }
    r->close = true;
    return discard(r, got);
}

/* --- handing on ------------------------------------------------------------------------------------ */

static void committed(void *ctx, struct pipeline_request *p)
{
    (void)p;
    http_finished(ctx);
}

static void fill_work(struct http_request *r)
{
    memset(&r->p, 0, sizeof r->p);
    r->p.arena = &r->arena;
    r->p.source = r->source;
    r->p.config = r->config;
    r->p.done = committed;
    r->p.ctx = r;
}

/* Body to work for the pipeline. False: an answer is written instead. */
static bool prepare(struct http_request *r)
{
    if (r->prepared) return true;
    fill_work(r);
    if (r->route->prepare(r) < 0) return false;
    r->p.item.weight_bytes = sizeof *r + r->body.n + r->arena.used_bytes;
    r->prepared = true;
    return true;
}

bool http_request_dispatch(struct http_request *r)
{
    struct http *h = r->http;
    if (!h->attached) return false;
    if (r->route->where == HTTP_READ) {
        r->stage = HTTP_READING;
        http_readers_put(h->readers, r);
        return true;
    }
    if (!prepare(r)) {
        http_resume(r);
        return true;
    }
    r->stage = HTTP_QUEUED;
    h->to_flush = true;
    if (h->backend.submit(h->backend.ctx, &r->p)) return true;
    r->stage = HTTP_WAITING;
    return false;
}

static void suspend(struct http_request *r)
{
    struct http *h = r->http;
    r->conn->deadline_ms = INT64_MAX;
    r->counted = true;
    h->active++;
    MHD_suspend_connection(r->mhd);
    /* Behind those that wait already, or a busy queue would never serve them. */
    if (h->waiting.first || !http_request_dispatch(r))
        http_wait(h, r, h->attached ? h->limits.hold_full_ms : h->limits.hold_start_ms);
}

static enum MHD_Result complete(struct http_request *r)
{
    const struct http_route *route = r->route;
    if (r->status) return http_answer(r);
    if (route->where == HTTP_HERE) {
        route->handle(r, NULL);
        return http_answer(r);
    }
    if (r->http->closing) {
        http_busy(r, "stopping");
        return http_answer(r);
    }
    /* Decoded, a body may take ten times its size: behind those that wait it stays as it is. */
    if (route->where == HTTP_WRITE && !r->http->waiting.first && !prepare(r)) return http_answer(r);
    suspend(r);
    return MHD_YES;
}

enum MHD_Result http_request_handle(void *h, struct MHD_Connection *mhd, const char *url, const char *method,
                                    const char *version, const char *upload, size_t *upload_size, void **ctx)
{
    struct http_request *r = *ctx;
    (void)h;
    (void)mhd;
    (void)url;
    (void)version;
    if (!r) return MHD_NO;
    switch (r->stage) {
    case HTTP_HEADERS: return begin(r, method);
    case HTTP_BODY: return *upload_size ? take_body(r, upload, upload_size) : complete(r);
    case HTTP_ANSWER:
        if (!r->status) r->route->finish(r);
        return http_answer(r);
    case HTTP_WAITING:
    case HTTP_QUEUED:
    case HTTP_READING: break; /* suspended: MHD does not call */
    }
    return MHD_NO;
}
