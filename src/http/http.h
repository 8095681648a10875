/* http: the server. One loop thread of our own around libmicrohttpd takes requests, decodes and checks them,
 * and hands them to the pipeline; a connection is suspended until its answer is durable and is resumed on the
 * loop thread. Reads for the API run on two reader threads, each with its own view of the store. The loop
 * never waits for either (design.md section 2; c-style.md section 3, Threads). */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H
#include "base/clock.h"
#include "config/config.h"
#include "pipeline/pipeline.h"

struct http_limits {
    int64_t header_ms;     /* a request's headers must be there within this */
    int64_t body_ms;       /* its body within this, plus a second for every body_rate bytes that came */
    int64_t body_rate;     /* bytes per second */
    int64_t idle_ms;       /* a connection without a request; also an answer that is not read */
    int64_t hold_start_ms; /* requests that come before http_attach wait this long, then 503 */
    int64_t hold_full_ms;  /* requests that meet a full queue wait this long, then 503 */
    int64_t retry_ms;      /* how often a full queue is asked again */
    size_t per_address; /* connections of one address (IPv6: /64); 0 = an eighth of all, loopback is exempt */
};
extern const struct http_limits http_default_limits;

/* What the server needs from the pipeline. http_attach fills one from a struct pipeline; tests give their
 * own. submit: false when the queue is full. All others may be called from any reader thread. */
struct http_backend {
    void *ctx;
    bool (*submit)(void *ctx, struct pipeline_request *r);
    void (*flush)(void *ctx); /* after the submits of one turn of the loop; NULL = not needed */
    bool (*ready)(void *ctx, struct err *why);
    struct pipeline_stats (*stats)(void *ctx);
    struct store_reader *(*reader)(void *ctx, struct err *err); /* a new one, owned by the calling thread */
    struct deliver_stats (*deliver_stats)(void *ctx);
    void (*describe_destinations)(void *ctx, struct json_writer *w); /* a JSON array */
};

struct http_setup {
    struct config *config;            /* a reference is taken */
    struct clock *clock;              /* borrowed */
    const struct http_limits *limits; /* NULL = http_default_limits */
};
struct http;
/* Listens at once and starts the loop; requests wait until http_attach. Raises the process's file limit to
 * the hard one. Without server.token only loopback and unix sockets may listen: ERR_CONFLICT. NULL with err
 * when the address cannot be had or TLS files cannot be read. */
struct http *http_start(const struct http_setup *setup, struct err *err);
/* Once, any thread. What p or backend is must outlive http_stop. */
void http_attach(struct http *h, struct pipeline *p);
/* For their status and figures; NULL: they are about to go. Any thread. */
struct pollers;
void http_attach_pollers(struct http *h, struct pollers *p);
void http_attach_backend(struct http *h, const struct http_backend *backend);
/* Sources (paths, tokens), the API's token and body and batch limits change for requests that start from now
 * on; address, TLS and connections need a restart. Takes its own reference. Any thread. */
void http_reload(struct http *h, struct config *config);
/* The port that is listened on (for "host:0"), 0 for a unix socket. */
int http_port(const struct http *h);
/* Stops listening, answers what is in the pipeline (at most grace_ms), closes all connections, joins its
 * threads. The pipeline must still run. Requests that got no answer in time are still the pipeline's: call
 * http_free only after pipeline_stop. */
void http_stop(struct http *h, int64_t grace_ms);
void http_free(struct http **h);
#endif
