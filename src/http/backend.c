/* The pipeline as the server sees it. */
#include "http/internal.h"

static bool submit(void *ctx, struct pipeline_request *r)
{
    return pipeline_submit_soon(ctx, r);
}

static void flush(void *ctx)
{
    pipeline_flush(ctx);
}

static bool ready(void *ctx, struct err *why)
{
    return pipeline_ready(ctx, why);
}

static struct pipeline_stats stats(void *ctx)
{
    return pipeline_stats(ctx);
}

static struct store_reader *reader(void *ctx, struct err *err)
{
    return pipeline_reader(ctx, err);
}

static struct deliver_stats delivery_stats(void *ctx)
{
    return deliver_stats(pipeline_deliver(ctx));
}

static void describe(void *ctx, struct json_writer *w)
{
    deliver_describe(pipeline_deliver(ctx), w);
}

void http_attach_pollers(struct http *h, struct pollers *p)
{
    atomic_store(&h->pollers, p);
}

void http_attach(struct http *h, struct pipeline *p)
{
    struct http_backend b = { .ctx = p, .submit = submit, .flush = flush, .ready = ready, .stats = stats, .reader = reader,
                              .deliver_stats = delivery_stats, .describe_destinations = describe };
    http_attach_backend(h, &b);
}
