/* POST to a source of either webhook type: decode, hand to the pipeline, answer after the commit. */
#include "base/failpoint.h"
#include "base/id.h"
#include "http/internal.h"

/* Undecodable bodies are kept, but not whole megabytes of them. */
enum { REJECTED_MAX = 64 * 1024 };

static bool says_ndjson(struct str type)
{
    type = str_trim(str_sub(type, 0, str_find(type, ';', 0)));
    return str_ieq(type, STR("application/x-ndjson")) || str_ieq(type, STR("application/ndjson")) ||
           str_ieq(type, STR("application/jsonl"));
}

static void fill_reports(struct http_request *r)
{
    size_t n = r->batch.report_count;
    struct pipeline_report *reports = arena_alloc(&r->arena, n * sizeof *reports);
    for (size_t i = 0; i < n; i++) {
        const struct source_report *from = &r->batch.reports[i];
        reports[i] = (struct pipeline_report){ .run = from->run, .index = from->index };
    }
    r->p.kind = PIPELINE_REPORTS;
    r->p.reports = reports;
    r->p.report_count = n;
}

static enum source_result decode(struct http_request *r, struct str body)
{
    if (r->source->type == SOURCE_TRIGGER_WEBHOOK)
        return source_trigger_decode(&r->arena, r->source, body, clock_wall(r->http->clock).ms, &r->batch, &r->p.err);
    return source_webhook_decode(&r->arena, r->source, body, says_ndjson(r->headers.content_type),
                                 (size_t)r->config->server.batch_items, &r->batch, &r->p.err);
}

static int prepare(struct http_request *r)
{
    struct str body = strbuf_view(&r->body);
    failpoint("http.body");
    if (!http_auth_body(r)) return -1;
    r->result = decode(r, body);
    switch (r->result) {
    case SOURCE_DECODED: fill_reports(r); return 0;
    case SOURCE_TOO_LARGE: http_problem(r, MHD_HTTP_CONTENT_TOO_LARGE, "%s", r->p.err.msg); return -1;
    case SOURCE_UNKNOWN:
        r->batch.faults->text = str_printf(&r->arena, "%s; it is kept, see /v1/rejected", r->p.err.msg);
        break;
    case SOURCE_NOTHING:
    case SOURCE_NOT_JSON: break;
    }
    r->place = (struct http_place){ r->p.err.line, r->p.err.col, r->batch.offset };
    r->p.kind = PIPELINE_REJECTED;
    r->p.rejected.reason = str_dup(&r->arena, str_c(r->p.err.msg));
    r->p.rejected.body = str_sub(body, 0, REJECTED_MAX);
    return 0;
}

static void put_faults(struct json_writer *w, const struct source_batch *b)
{
    json_put_key(w, STR("rejected"));
    json_array_begin(w);
    for (size_t i = 0; i < b->fault_count; i++) {
        json_object_begin(w);
        json_field_i64(w, "index", (int64_t)b->faults[i].index);
        json_field_str(w, "error", b->faults[i].text);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_ids(struct json_writer *w, const struct pipeline_request *p)
{
    char text[ID_SIZE];
    json_put_key(w, STR("ids"));
    json_array_begin(w);
    for (size_t i = 0; i < p->report_count; i++)
        json_put_str(w, id_format("evt", p->reports[i].event_id, text));
    json_array_end(w);
}

static void answer_accepted(struct http_request *r)
{
    uint64_t n = r->p.report_count, duplicates = 0;
    struct json_writer w = http_json(r, MHD_HTTP_ACCEPTED);
    for (size_t i = 0; i < n; i++) duplicates += r->p.reports[i].duplicate;
    json_object_begin(&w);
    json_field_i64(&w, "accepted", (int64_t)(n - duplicates));
    json_field_i64(&w, "duplicates", (int64_t)duplicates);
    put_faults(&w, &r->batch);
    put_ids(&w, &r->p);
    json_object_end(&w);
    http_count_source(r->http, r->source->name, n - duplicates, duplicates, r->batch.fault_count);
}

static void answer_rejected(struct http_request *r)
{
    http_problem_at(r, MHD_HTTP_BAD_REQUEST, r->p.rejected.reason,
                    r->result == SOURCE_NOT_JSON ? &r->place : NULL);
    atomic_fetch_add(&r->http->counters.rejected_bodies, 1);
    http_count_source(r->http, r->source->name, 0, 0, 1);
}

static void finish(struct http_request *r)
{
    if (r->p.status != PIPELINE_DONE)
        http_busy(r, r->p.err.msg[0] ? r->p.err.msg : "not stored");
    else if (r->p.kind == PIPELINE_REPORTS || r->result == SOURCE_UNKNOWN)
        answer_accepted(r);
    else
        answer_rejected(r);
}

const struct http_route http_ingest_route = {
    .method = "POST", .pattern = "", .where = HTTP_WRITE, .open = true, .params = "", .prepare = prepare,
    .finish = finish,
};

/* --- what came by which source --------------------------------------------------------------------- */

static struct http_source_stats *find_stats(struct http *h, struct str name)
{
    struct http_source_stats *s;
    for (size_t i = 0; i < h->sources.n; i++)
        if (str_eq(h->sources.v[i]->name, name)) return h->sources.v[i];
    s = xcalloc(1, sizeof *s);
    s->name.p = strndup(name.p, name.n);
    s->name.n = s->name.p ? name.n : 0;
    *vec_push(&h->sources) = s;
    return s;
}

void http_count_source(struct http *h, struct str name, uint64_t accepted, uint64_t duplicates,
                       uint64_t rejected)
{
    struct http_source_stats *s;
    atomic_fetch_add(&h->counters.accepted, accepted);
    atomic_fetch_add(&h->counters.duplicates, duplicates);
    atomic_fetch_add(&h->counters.rejected_items, rejected);
    pthread_mutex_lock(&h->lock);
    s = find_stats(h, name);
    s->accepted += accepted;
    s->duplicates += duplicates;
    s->rejected += rejected;
    s->last_ms = clock_wall(h->clock).ms;
    pthread_mutex_unlock(&h->lock);
}
