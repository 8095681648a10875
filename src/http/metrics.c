/* /metrics: Prometheus text. Every counter here has a log line that explains it. */
#include <inttypes.h>

#include "http/internal.h"

static void head(struct strbuf *b, const char *name, const char *type, const char *help)
{
    strbuf_printf(b, "# HELP runbell_%s %s\n# TYPE runbell_%s %s\n", name, help, name, type);
}

static void one(struct strbuf *b, const char *name, const char *type, const char *help, uint64_t v)
{
    head(b, name, type, help);
    strbuf_printf(b, "runbell_%s %" PRIu64 "\n", name, v);
}

static void real(struct strbuf *b, const char *name, const char *type, const char *help, double v)
{
    head(b, name, type, help);
    strbuf_printf(b, "runbell_%s %.6f\n", name, v);
}

static void labelled(struct strbuf *b, const char *name, const char *label, const char *value, uint64_t v)
{
    strbuf_printf(b, "runbell_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, value, v);
}

static void put_events(struct strbuf *b, const struct pipeline_stats *p)
{
    head(b, "events_total", "counter", "Run events by what they were.");
    labelled(b, "events_total", "kind", "accepted", p->events_accepted);
    labelled(b, "events_total", "kind", "duplicate", p->events_duplicate);
    labelled(b, "events_total", "kind", "fuller", p->events_fuller);
    labelled(b, "events_total", "kind", "late", p->events_late);
    one(b, "rejected_total", "counter", "Bodies that could not be decoded; see /v1/rejected.", p->rejected);
    one(b, "unknown_states_total", "counter", "Events in a state that runbell does not know.",
        p->unknown_states);
    one(b, "dropped_total", "counter", "Events lost. Stays 0.", p->dropped_total);
    one(b, "hits_total", "counter", "Rules hit by events.", p->hits);
    one(b, "messages_total", "counter", "Messages decided.", p->messages);
}

static void put_commits(struct strbuf *b, const struct pipeline_stats *p)
{
    one(b, "commits_total", "counter", "Transactions committed.", p->commits);
    one(b, "commit_failures_total", "counter", "Transactions that failed.", p->commit_failures);
    real(b, "commit_seconds_total", "counter", "Time spent in commits.", (double)p->commit_us_total / 1e6);
    real(b, "commit_seconds_max", "gauge", "The longest commit.", (double)p->commit_us_max / 1e6);
    one(b, "batch_max", "gauge", "The most requests that shared one commit.", p->batch_max);
    one(b, "queue_length", "gauge", "Requests that wait for the writer.", p->queue_length);
    one(b, "queue_bytes", "gauge", "Their size.", p->queue_bytes);
    one(b, "reloads_total", "counter", "Configurations taken.", p->reloads);
    one(b, "reloads_failed_total", "counter", "Configurations refused.", p->reloads_failed);
}

static void put_incidents(struct strbuf *b, const struct pipeline_stats *p)
{
    head(b, "incidents", "gauge", "Incidents by state.");
    labelled(b, "incidents", "state", "pending", p->engine.incidents_pending);
    labelled(b, "incidents", "state", "open", p->engine.incidents_open);
    labelled(b, "incidents", "state", "acknowledged", p->engine.incidents_acknowledged);
    one(b, "incidents_held", "gauge", "Incidents whose messages are held: silences, mutes, hours, other incidents.", p->engine.incidents_held);
    one(b, "silences", "gauge", "Silences in force.", p->engine.silences);
    one(b, "absent_keys", "gauge", "Keys that rules with `absent` wait for.", p->engine.absent_keys);
    one(b, "absent_unknown", "gauge", "Of those, overdue while their sources have not told yet.", p->engine.absent_unknown);
    one(b, "collapsed_entries_total", "counter", "Hits that were only counted.", p->engine.collapsed_entries);
    one(b, "collapsed_keys_total", "counter", "Hits that joined (overflow).", p->engine.collapsed_keys);
    one(b, "watched_runs", "gauge", "Runs in a state of a rule with `lasts`.", p->engine.watched_runs);
    one(b, "unwatched_runs_total", "counter", "Those for which there was no room.", p->engine.unwatched_runs);
    one(b, "template_failures_total", "counter", "Messages sent with built-in text.",
        p->engine.template_failures);
    one(b, "limited_total", "counter", "Messages that went into a digest.", p->engine.limited);
}

static void put_deliveries(struct strbuf *b, const struct deliver_stats *d, const struct store_counts *c)
{
    head(b, "deliveries_total", "counter", "Tries by outcome.");
    labelled(b, "deliveries_total", "outcome", "delivered", d->delivered);
    labelled(b, "deliveries_total", "outcome", "retried", d->retried);
    labelled(b, "deliveries_total", "outcome", "dead", d->dead);
    one(b, "deliveries_in_flight", "gauge", "Requests under way to destinations.", d->in_flight);
    one(b, "breakers_open", "gauge", "Destinations with an open breaker.", d->breakers_open);
    one(b, "deliveries_undelivered", "gauge", "Deliveries not yet done.",
        (uint64_t)c->deliveries_undelivered);
    one(b, "deliveries_dead", "gauge", "Dead deliveries in the store.", (uint64_t)c->deliveries_dead);
    one(b, "store_events", "gauge", "Events in the store.", (uint64_t)c->events);
    one(b, "store_bytes", "gauge", "Size of the store.", (uint64_t)c->size_bytes);
}

static void put_http(struct strbuf *b, struct http *h)
{
    static const char *const classes[] = { "aborted", "1xx", "2xx", "3xx", "4xx", "5xx" };
    struct http_counters *c = &h->counters;
    head(b, "http_answers_total", "counter", "HTTP answers by class.");
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        labelled(b, "http_answers_total", "class", classes[i], atomic_load(&c->answers[i]));
    one(b, "http_rejected_items_total", "counter", "Items refused in bodies taken.",
        atomic_load(&c->rejected_items));
    one(b, "http_held_total", "counter", "Requests that had to wait for room.", atomic_load(&c->held));
    one(b, "http_busy_total", "counter", "Of those, answered 503.", atomic_load(&c->busy));
    one(b, "http_unauthorized_total", "counter", "Requests with a wrong token.",
        atomic_load(&c->unauthorized));
    one(b, "http_deadlines_total", "counter", "Connections closed at a deadline.",
        atomic_load(&c->deadlines));
    one(b, "http_refused_connections_total", "counter", "Connections over the per-address limit.",
        atomic_load(&c->refused_connections));
}

enum figure { SOURCE_UP, SOURCE_REQUESTS, SOURCE_LIMITED, SOURCE_FAILED, SOURCE_TRANSITIONS, SOURCE_LAG, SOURCE_AGE, SOURCE_FIGURES };

static double figure_of(const struct poller_figures *f, enum figure which)
{
    switch (which) {
    case SOURCE_UP: return f->ok;
    case SOURCE_REQUESTS: return (double)f->requests;
    case SOURCE_LIMITED: return (double)f->limited;
    case SOURCE_FAILED: return (double)f->failed;
    case SOURCE_TRANSITIONS: return (double)f->transitions;
    case SOURCE_LAG: return (double)f->lag_ms / 1000;
    case SOURCE_AGE: return (double)f->data_age_ms / 1000;
    case SOURCE_FIGURES:
    default: return 0;
    }
}

/* Names of sources are lower case letters, digits and '-': nothing to escape. */
static void put_sources(struct strbuf *b, struct http *h, const struct config *c)
{
    static const struct { const char *name, *type, *help; } names[SOURCE_FIGURES] = {
        [SOURCE_UP] = { "source_up", "gauge", "Did the last look of a trigger-api source succeed?" },
        [SOURCE_REQUESTS] = { "source_requests_total", "counter", "Requests made to Trigger.dev." },
        [SOURCE_LIMITED] = { "source_limited_total", "counter", "Of those, told to wait (429)." },
        [SOURCE_FAILED] = { "source_failed_total", "counter", "Calls that failed after all tries." },
        [SOURCE_TRANSITIONS] = { "source_transitions_total", "counter", "Reports found by looking." },
        [SOURCE_LAG] = { "source_lag_seconds", "gauge", "How long a transition may wait to be seen." },
        [SOURCE_AGE] = { "source_data_age_seconds", "gauge", "Age of the newest transition seen." },
    };
    struct pollers *pollers = atomic_load(&h->pollers);
    struct poller_figures f;
    for (size_t k = 0; pollers && k < SOURCE_FIGURES; k++) {
        bool any = false;
        for (size_t i = 0; i < c->source_count; i++) {
            if (!pollers_figures(pollers, c->sources[i].name, &f)) continue;
            if (!any) head(b, names[k].name, names[k].type, names[k].help);
            any = true;
            strbuf_printf(b, "runbell_%s{source=\"" STR_FMT "\"} %.10g\n", names[k].name, STR_ARG(c->sources[i].name), figure_of(&f, (enum figure)k));
        }
    }
}

/* The names that every exporter uses for itself. */
static void put_process(struct strbuf *b, int64_t started_ms)
{
    struct http_process p = http_process_read();
    strbuf_printf(b, "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %lld\n",
                  (long long)p.rss_bytes);
    strbuf_printf(b, "# TYPE process_open_fds gauge\nprocess_open_fds %lld\n", (long long)p.open_fds);
    strbuf_printf(b, "# TYPE process_max_fds gauge\nprocess_max_fds %lld\n", (long long)p.max_fds);
    strbuf_printf(b, "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %.3f\n",
                  (double)started_ms / 1000.0);
}

void api_metrics(struct http_request *r, struct store_reader *s)
{
    const struct http_backend *backend = &r->http->backend;
    struct pipeline_stats p = backend->stats(backend->ctx);
    struct deliver_stats d = backend->deliver_stats(backend->ctx);
    struct store_counts counts = { 0 };
    struct err err = { 0 };
    if (s->ops->counts(s, &counts, &err) < 0) {
        http_store_failed(r, &err);
        return;
    }
    http_text(r, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8");
    head(&r->out, "build_info", "gauge", "The version that runs.");
    labelled(&r->out, "build_info", "version", RUNBELL_VERSION, 1);
    put_events(&r->out, &p);
    put_commits(&r->out, &p);
    put_incidents(&r->out, &p);
    put_deliveries(&r->out, &d, &counts);
    put_http(&r->out, r->http);
    put_sources(&r->out, r->http, r->config);
    put_process(&r->out, p.started_ms);
}
