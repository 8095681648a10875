#include "cli/serve_sources.h"

#include <pthread.h>
#include <stdlib.h>

struct handed { /* one request and who waits for it */
    struct pipeline_request r; /* first */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done;
};

static void on_done(void *ctx, struct pipeline_request *r)
{
    struct handed *h = ctx;
    (void)r;
    pthread_mutex_lock(&h->lock);
    h->done = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
}

static void wait_done(struct handed *h)
{
    pthread_mutex_lock(&h->lock);
    while (!h->done) pthread_cond_wait(&h->wake, &h->lock);
    pthread_mutex_unlock(&h->lock);
}

/* The pipeline answers every request it has taken, also while it stops. */
static int hand_over(struct pipeline *p, struct handed *h, struct err *err)
{
    int rc = 0;
    h->r.done = on_done;
    h->r.ctx = h;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->wake, NULL);
    if (pipeline_submit(p, &h->r)) {
        wait_done(h);
        if (h->r.status != PIPELINE_DONE) {
            *err = h->r.err;
            rc = -1;
        }
    } else {
        rc = err_set(err, ERR_BUSY, "the queue is full");
    }
    pthread_cond_destroy(&h->wake);
    pthread_mutex_destroy(&h->lock);
    return rc;
}

static int submit(void *ctx, const struct poller_batch *b, struct err *err)
{
    struct handed h = { .r = { .kind = PIPELINE_REPORTS, .source = b->source, .config = b->config, .start_ms = b->start_ms, .position = b->position,
                               .history = b->history } };
    int rc;
    h.r.item.weight_bytes = sizeof h + b->bytes;
    h.r.reports = xcalloc(b->run_count + 1, sizeof *h.r.reports);
    h.r.report_count = b->run_count;
    for (size_t k = 0; k < b->run_count; k++)
        h.r.reports[k] = (struct pipeline_report){ .run = b->runs[k], .index = k, .attempts_followed = b->attempts_followed, .reread = b->reread };
    rc = hand_over(ctx, &h, err);
    free(h.r.reports);
    return rc;
}

static int stored(void *ctx, const char *what, struct str source, struct arena *a, struct str *out, struct err *err)
{
    struct store_reader *r = pipeline_reader(ctx, err);
    int rc;
    if (!r) return -1;
    rc = r->ops->meta(r, a, str_printf(a, "%s/" STR_FMT, what, STR_ARG(source)), out, err);
    r->ops->close(&r);
    return rc;
}

static void fault(void *ctx, struct str topic, struct str title, struct str body)
{
    struct handed h = { .r = { .kind = PIPELINE_FAULT, .fault = { topic, title, body } } };
    struct err err;
    h.r.item.weight_bytes = sizeof h;
    (void)hand_over(ctx, &h, &err); /* it is in the log and the status, too */
}

static size_t reread(void *ctx, struct str env, struct str run)
{
    return pollers_reread(ctx, env, run);
}

void sources_stop(struct pollers **all, struct pipeline *p)
{
    if (p) pipeline_set_reread(p, NULL, NULL);
    pollers_stop(all);
}

struct pollers *sources_start(struct config *c, struct pipeline *p)
{
    struct poller_sink sink = { .ctx = p, .submit = submit, .stored = stored, .fault = fault };
    struct pollers *all = pollers_start(c, clock_system(), &sink);
    pipeline_set_reread(p, reread, all);
    return all;
}
