/* The ledger of deliveries: list, try again, drill. */
#include "base/id.h"
#include "http/internal.h"

enum { ATTEMPTS_MAX = 50 };

void api_delivery_write(struct json_writer *w, const struct store_delivery *d)
{
    http_put_id(w, "id", "dlv", d->id);
    http_put_id(w, "message", "msg", d->message);
    http_put_id(w, "incident", "inc", d->incident);
    json_field_str(w, "destination", d->destination);
    json_field_str(w, "kind", str_c(message_kind_name((enum message_kind)d->kind)));
    json_field_str(w, "state", str_c(delivery_state_name(d->state)));
    json_field_i64(w, "attempts", d->attempts);
    if (d->last_error.n) json_field_str(w, "last_error", d->last_error);
    http_put_time(w, "created_at", d->created_ms);
    http_put_time(w, "due_at", d->due_ms);
    http_put_time(w, "expires_at", d->expires_ms);
    http_put_time(w, "done_at", d->done_ms);
}

int api_attempts_write(struct http_request *r, struct store_reader *s, uint64_t delivery,
                       struct json_writer *w, struct err *err)
{
    struct store_attempt *rows = ARENA_ARRAY(&r->arena, struct store_attempt, ATTEMPTS_MAX);
    size_t n = 0;
    if (s->ops->attempts(s, &r->arena, delivery, rows, ATTEMPTS_MAX, &n, err) < 0) return -1;
    json_put_key(w, STR("tries"));
    json_array_begin(w);
    for (size_t i = 0; i < n; i++) {
        json_object_begin(w);
        json_field_time(w, "at", rows[i].at_ms);
        json_field_i64(w, "took_ms", rows[i].took_ms);
        json_field_str(w, "verdict", str_c(verdict_class_name((enum verdict_class)rows[i].class)));
        if (rows[i].status) json_field_i64(w, "status", rows[i].status);
        if (rows[i].detail.n) json_field_str(w, "detail", rows[i].detail);
        json_object_end(w);
    }
    json_array_end(w);
    return 0;
}

static bool read_filter(struct http_request *r, struct store_delivery_filter *f, struct http_page *page)
{
    struct str state = target_query(&r->target, "state"), incident = target_query(&r->target, "incident");
    enum delivery_state parsed;
    *f = (struct store_delivery_filter){ .state = -1 };
    f->destination = target_query(&r->target, "destination");
    if (!http_page_read(r, "dlv", page)) return false;
    f->before = page->before;
    f->limit = page->limit + 1;
    if (!str_absent(incident) && !id_parse("inc", incident, &f->incident)) {
        http_problem(r, MHD_HTTP_BAD_REQUEST, "incident=" STR_FMT " is no inc_ id", STR_ARG(incident));
        return false;
    }
    if (str_absent(state)) return true;
    if (delivery_state_parse(state, &parsed)) {
        f->state = (int)parsed;
        return true;
    }
    http_problem(r, MHD_HTTP_BAD_REQUEST, "state is one of pending, sending, delivered, retrying, dead");
    return false;
}

void api_deliveries(struct http_request *r, struct store_reader *s)
{
    struct store_delivery_filter f;
    struct http_page page;
    struct store_delivery *rows;
    struct json_writer w;
    struct err err = { 0 };
    size_t n = 0;
    if (!read_filter(r, &f, &page)) return;
    rows = ARENA_ARRAY(&r->arena, struct store_delivery, f.limit);
    if (s->ops->deliveries(s, &r->arena, &f, rows, &n, &err) < 0) {
        http_store_failed(r, &err);
        return;
    }
    w = http_list(r);
    for (size_t i = 0; i < n && i < page.limit; i++) {
        json_object_begin(&w);
        api_delivery_write(&w, &rows[i]);
        json_object_end(&w);
    }
    http_list_end(&w, "dlv", n > page.limit ? rows[page.limit - 1].id : 0);
}

static bool failed(struct http_request *r, const char *missing)
{
    if (r->p.status == PIPELINE_DONE) return false;
    if (r->p.status == PIPELINE_NOT_FOUND)
        http_problem(r, MHD_HTTP_NOT_FOUND, "%s", r->p.err.msg[0] ? r->p.err.msg : missing);
    else if (r->p.err.code == ERR_CONFLICT && r->p.kind == PIPELINE_REDELIVER)
        http_problem(r, MHD_HTTP_CONFLICT, "%s", r->p.err.msg); /* asking again would not help */
    else
        http_busy(r, r->p.err.msg[0] ? r->p.err.msg : "not stored");
    return true;
}

static void put_pending(struct http_request *r, uint64_t delivery)
{
    struct json_writer w = http_json(r, MHD_HTTP_ACCEPTED);
    json_object_begin(&w);
    http_put_id(&w, "id", "dlv", delivery);
    json_field_str(&w, "state", str_c(delivery_state_name(DELIVERY_PENDING)));
    json_object_end(&w);
}

int api_retry_prepare(struct http_request *r)
{
    r->p.kind = PIPELINE_REDELIVER;
    return http_id_segment(r, 2, "dlv", &r->p.redeliver) ? 0 : -1;
}

void api_retry_finish(struct http_request *r)
{
    if (!failed(r, "no such dead delivery")) put_pending(r, r->p.redeliver);
}

int api_send_prepare(struct http_request *r)
{
    r->p.kind = PIPELINE_SEND;
    r->p.send.destination = r->target.segments[2];
    if (config_destination(r->config, r->p.send.destination)) return 0;
    http_problem(r, MHD_HTTP_NOT_FOUND, "there is no destination `" STR_FMT "`",
                 STR_ARG(r->p.send.destination));
    return -1;
}

void api_send_finish(struct http_request *r)
{
    if (!failed(r, "no such destination")) put_pending(r, r->p.send.delivery);
}
