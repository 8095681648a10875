#include <stdarg.h>

#include "base/failpoint.h"
#include "base/id.h"
#include "http/internal.h"

struct json_writer http_json(struct http_request *r, unsigned status)
{
    struct json_writer w;
    http_text(r, status, "application/json");
    json_writer_init(&w, &r->out);
    return w;
}

struct json_writer http_list(struct http_request *r)
{
    struct json_writer w = http_json(r, MHD_HTTP_OK);
    json_object_begin(&w);
    json_put_key(&w, STR("data"));
    json_array_begin(&w);
    return w;
}

void http_list_end(struct json_writer *w, const char *prefix, uint64_t next)
{
    json_array_end(w);
    http_put_id(w, "next", prefix, next);
    json_object_end(w);
}

void http_text(struct http_request *r, unsigned status, const char *content_type)
{
    strbuf_clear(&r->out);
    r->status = status;
    r->content_type = content_type;
}

static const char *title_of(unsigned status)
{
    switch (status) {
    case 400: return "Bad request";
    case 401: return "Token missing or wrong";
    case 403: return "Not allowed";
    case 404: return "Not found";
    case 405: return "Method not allowed";
    case 409: return "Conflict";
    case 413: return "Too large";
    case 415: return "Content type not taken";
    case 503: return "Not now";
    default: return "Internal error";
    }
}

void http_problem_at(struct http_request *r, unsigned status, struct str detail,
                     const struct http_place *place)
{
    struct json_writer w = http_json(r, status);
    r->content_type = "application/problem+json";
    json_object_begin(&w);
    json_field_str(&w, "title", str_c(title_of(status)));
    json_field_i64(&w, "status", status);
    json_field_str(&w, "detail", detail);
    if (place) {
        json_put_key(&w, STR("position"));
        json_object_begin(&w);
        json_field_i64(&w, "line", place->line);
        json_field_i64(&w, "column", place->col);
        json_field_i64(&w, "offset", (int64_t)place->offset);
        json_object_end(&w);
    }
    json_object_end(&w);
}

void http_problem(struct http_request *r, unsigned status, const char *fmt, ...)
{
    char detail[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
    http_problem_at(r, status, str_c(detail), NULL);
}

void http_busy(struct http_request *r, const char *why)
{
    http_problem(r, MHD_HTTP_SERVICE_UNAVAILABLE, "%s: try again", why);
    r->retry_after = true;
}

static enum MHD_Result add_headers(struct http_request *r, struct MHD_Response *res)
{
    enum MHD_Result ok = MHD_add_response_header(res, MHD_HTTP_HEADER_CONTENT_TYPE, r->content_type);
    if (r->allow) ok &= MHD_add_response_header(res, MHD_HTTP_HEADER_ALLOW, r->allow);
    if (r->retry_after) ok &= MHD_add_response_header(res, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    if (r->status == MHD_HTTP_UNAUTHORIZED)
        ok &= MHD_add_response_header(res, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (r->close || r->http->draining)
        ok &= MHD_add_response_header(res, MHD_HTTP_HEADER_CONNECTION, "close");
    if (r->route != &http_ingest_route) {
        ok &= MHD_add_response_header(res, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        ok &= MHD_add_response_header(res, "X-Content-Type-Options", "nosniff");
    }
    return ok;
}

enum MHD_Result http_answer(struct http_request *r)
{
    struct http *h = r->http;
    struct MHD_Response *res;
    enum MHD_Result ok;
    if (!strbuf_ok(&r->out))
        http_problem(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "the answer is too large: ask for less");
    r->stage = HTTP_ANSWER;
    r->conn->deadline_ms = h->now_ms + h->limits.idle_ms + (int64_t)r->out.n * 1000 / h->limits.body_rate;
    if (!r->counted) h->active++;
    r->counted = true;
    /* r->out lives until http_request_end, which MHD calls when nothing is left to send. */
    res = MHD_create_response_from_buffer(r->out.n, r->out.p, MHD_RESPMEM_PERSISTENT);
    if (!res) return MHD_NO;
    ok = add_headers(r, res) & MHD_queue_response(r->mhd, r->status, res);
    MHD_destroy_response(res);
    if (r->status == MHD_HTTP_ACCEPTED) failpoint("http.answered");
    return ok;
}

void http_put_id(struct json_writer *w, const char *key, const char *prefix, uint64_t id)
{
    char text[ID_SIZE];
    if (id) json_field_str(w, key, id_format(prefix, id, text));
}

void http_put_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
    if (wall_ms != 0 && wall_ms != RUN_TIME_NONE) json_field_time(w, key, wall_ms);
}
