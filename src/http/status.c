/* How it is: liveness, readiness, status for people. */
#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include "http/internal.h"

void api_healthz(struct http_request *r, struct store_reader *s)
{
    (void)s;
    http_text(r, MHD_HTTP_OK, "text/plain; charset=utf-8");
    strbuf_c(&r->out, "ok\n");
}

/* On the loop: it waits for no reader that has a long search to do. */
void api_readyz(struct http_request *r, struct store_reader *s)
{
    const struct http_backend *b = &r->http->backend;
    struct err why = { 0 };
    (void)s;
    if (!r->http->attached) {
        http_busy(r, "starting");
        return;
    }
    if (!b->ready(b->ctx, &why)) {
        http_busy(r, why.msg[0] ? why.msg : "not ready");
        return;
    }
    http_text(r, MHD_HTTP_OK, "text/plain; charset=utf-8");
    strbuf_c(&r->out, "ready\n");
}

static int64_t rss_bytes(void)
{
    char line[128];
    size_t n;
    int64_t pages = 0;
    struct str rest, part;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f) return 0;
    n = fread(line, 1, sizeof line, f);
    fclose(f);
    rest = (struct str){ line, n };
    str_split(&rest, ' ', &part);
    str_split(&rest, ' ', &part);
    str_to_i64(part, &pages);
    return pages * sysconf(_SC_PAGESIZE);
}

static int64_t open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int64_t n = -3; /* ".", ".." and the one that counts */
    if (!d) return 0;
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

struct http_process http_process_read(void)
{
    struct rlimit limit = { 0 };
    getrlimit(RLIMIT_NOFILE, &limit);
    return (struct http_process){ rss_bytes(), open_fds(), (int64_t)limit.rlim_cur };
}

static void put_pipeline(struct json_writer *w, const struct pipeline_stats *p)
{
    json_put_key(w, STR("events"));
    json_object_begin(w);
    json_field_i64(w, "accepted", (int64_t)p->events_accepted);
    json_field_i64(w, "duplicate", (int64_t)p->events_duplicate);
    json_field_i64(w, "fuller", (int64_t)p->events_fuller);
    json_field_i64(w, "late", (int64_t)p->events_late);
    json_field_i64(w, "rejected", (int64_t)p->rejected);
    json_field_i64(w, "unknown_states", (int64_t)p->unknown_states);
    json_field_i64(w, "dropped", (int64_t)p->dropped_total);
    json_object_end(w);
    json_put_key(w, STR("queue"));
    json_object_begin(w);
    json_field_i64(w, "length", (int64_t)p->queue_length);
    json_field_i64(w, "bytes", (int64_t)p->queue_bytes);
    json_object_end(w);
    json_put_key(w, STR("commits"));
    json_object_begin(w);
    json_field_i64(w, "count", (int64_t)p->commits);
    json_field_i64(w, "failed", (int64_t)p->commit_failures);
    json_field_f64(w, "mean_ms", p->commits ? (double)p->commit_us_total / 1000.0 / (double)p->commits : 0);
    json_field_f64(w, "max_ms", (double)p->commit_us_max / 1000.0);
    json_field_i64(w, "largest", (int64_t)p->batch_max);
    json_object_end(w);
    json_put_key(w, STR("reloads"));
    json_object_begin(w);
    json_field_i64(w, "done", (int64_t)p->reloads);
    json_field_i64(w, "failed", (int64_t)p->reloads_failed);
    http_put_time(w, "last_at", p->last_reload_ms);
    json_object_end(w);
}

static void put_incidents(struct json_writer *w, const struct pipeline_stats *p)
{
    json_put_key(w, STR("incidents"));
    json_object_begin(w);
    json_field_i64(w, "pending", (int64_t)p->engine.incidents_pending);
    json_field_i64(w, "open", (int64_t)p->engine.incidents_open);
    json_field_i64(w, "acknowledged", (int64_t)p->engine.incidents_acknowledged);
    json_field_i64(w, "held", (int64_t)p->engine.incidents_held);
    json_field_i64(w, "silences", (int64_t)p->engine.silences);
    json_field_i64(w, "hits", (int64_t)p->hits);
    json_field_i64(w, "messages", (int64_t)p->messages);
    json_object_end(w);
}

/* Of rules with `absent`. Unknown: they may be absent, but a source has not told yet. */
static void put_absences(struct json_writer *w, const struct pipeline_stats *p)
{
    if (p->engine.absent_keys == 0) return;
    json_put_key(w, STR("absent"));
    json_object_begin(w);
    json_field_i64(w, "keys", (int64_t)p->engine.absent_keys);
    json_field_i64(w, "unknown", (int64_t)p->engine.absent_unknown);
    json_object_end(w);
}

static void put_deliveries(struct json_writer *w, const struct deliver_stats *d, const struct store_counts *c)
{
    json_put_key(w, STR("deliveries"));
    json_object_begin(w);
    json_field_i64(w, "delivered", (int64_t)d->delivered);
    json_field_i64(w, "retried", (int64_t)d->retried);
    json_field_i64(w, "in_flight", (int64_t)d->in_flight);
    json_field_i64(w, "undelivered", c->deliveries_undelivered);
    json_field_i64(w, "dead", c->deliveries_dead);
    http_put_time(w, "oldest_undelivered_at", c->oldest_undelivered_ms);
    json_field_i64(w, "breakers_open", (int64_t)d->breakers_open);
    json_object_end(w);
}

static void put_store(struct json_writer *w, const struct store_counts *c)
{
    json_put_key(w, STR("store"));
    json_object_begin(w);
    json_field_i64(w, "events", c->events);
    json_field_i64(w, "runs", c->runs);
    json_field_i64(w, "incidents", c->incidents);
    json_field_i64(w, "rejected", c->rejected);
    json_field_i64(w, "bytes", c->size_bytes);
    json_object_end(w);
}

/* By name: members of what their pollers say. */
static void put_polled(struct json_writer *w, struct http_request *r)
{
    struct pollers *pollers = atomic_load(&r->http->pollers);
    bool any = false;
    for (size_t i = 0; pollers && i < r->config->source_count; i++) {
        if (r->config->sources[i].type != SOURCE_TRIGGER_API) continue;
        if (!any) {
            json_put_key(w, STR("polled_sources"));
            json_object_begin(w);
        }
        any = true;
        json_put_key(w, r->config->sources[i].name);
        json_object_begin(w);
        pollers_describe(pollers, r->config->sources[i].name, w);
        json_object_end(w);
    }
    if (any) json_object_end(w);
}

static void put_process(struct json_writer *w, struct http *h)
{
    struct http_process p = http_process_read();
    json_put_key(w, STR("process"));
    json_object_begin(w);
    json_field_i64(w, "rss_bytes", p.rss_bytes);
    json_field_i64(w, "open_files", p.open_fds);
    json_field_i64(w, "requests", (int64_t)atomic_load(&h->counters.requests));
    json_object_end(w);
}

void api_status(struct http_request *r, struct store_reader *s)
{
    const struct http_backend *b = &r->http->backend;
    struct pipeline_stats p = b->stats(b->ctx);
    struct deliver_stats d = b->deliver_stats(b->ctx);
    struct store_counts counts = { 0 };
    struct json_writer w;
    struct err err = { 0 }, why = { 0 };
    bool ready = b->ready(b->ctx, &why);
    int64_t now_ms = clock_wall(r->http->clock).ms;
    if (s->ops->counts(s, &counts, &err) < 0) {
        http_store_failed(r, &err);
        return;
    }
    w = http_json(r, MHD_HTTP_OK);
    json_object_begin(&w);
    json_field_str(&w, "version", STR(RUNBELL_VERSION));
    json_field_bool(&w, "ready", ready);
    if (!ready) json_field_str(&w, "not_ready", str_c(why.msg));
    json_field_str(&w, "config", r->config->path);
    http_put_time(&w, "started_at", p.started_ms);
    json_field_i64(&w, "uptime_seconds", p.started_ms ? (now_ms - p.started_ms) / 1000 : 0);
    json_field_i64(&w, "rules", r->config->rules ? (int64_t)r->config->rules->rule_count : 0);
    json_field_i64(&w, "sources", (int64_t)r->config->source_count);
    json_field_i64(&w, "destinations", (int64_t)r->config->destination_count);
    put_polled(&w, r);
    put_pipeline(&w, &p);
    put_incidents(&w, &p);
    put_absences(&w, &p);
    put_deliveries(&w, &d, &counts);
    put_store(&w, &counts);
    put_process(&w, r->http);
    json_object_end(&w);
}
