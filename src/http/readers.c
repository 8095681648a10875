/* Reader threads: list and status answers are made here, each thread with its own view of the store. */
#include "http/internal.h"

enum { READER_THREADS = 2 };
struct http_readers {
    struct http *http;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct http_list jobs; /* lock */
    bool stop;             /* lock */
    pthread_t threads[READER_THREADS];
    size_t count;
};

static struct http_request *take(struct http_readers *rs)
{
    struct http_request *r;
    pthread_mutex_lock(&rs->lock);
    while (!rs->jobs.first && !rs->stop) pthread_cond_wait(&rs->filled, &rs->lock);
    r = rs->stop ? NULL : rs->jobs.first;
    if (r) {
        rs->jobs.first = r->next;
        if (!rs->jobs.first) rs->jobs.last = &rs->jobs.first;
    }
    pthread_mutex_unlock(&rs->lock);
    return r;
}

static void read_one(struct http_request *r, struct store_reader **reader)
{
    const struct http_backend *b = &r->http->backend;
    struct err err = { 0 };
    if (!*reader) *reader = b->reader(b->ctx, &err);
    if (*reader)
        r->route->handle(r, *reader);
    else
        http_store_failed(r, &err);
}

static void *reader_main(void *arg)
{
    struct http_readers *rs = arg;
    struct store_reader *reader = NULL;
    struct http_request *r;
    while ((r = take(rs)) != NULL) {
        read_one(r, &reader);
        http_finished(r);
    }
    if (reader) reader->ops->close(&reader);
    return NULL;
}

struct http_readers *http_readers_start(struct http *h)
{
    struct http_readers *rs = xcalloc(1, sizeof *rs);
    rs->http = h;
    rs->jobs.last = &rs->jobs.first;
    pthread_mutex_init(&rs->lock, NULL);
    pthread_cond_init(&rs->filled, NULL);
    while (rs->count < READER_THREADS && pthread_create(&rs->threads[rs->count], NULL, reader_main, rs) == 0)
        rs->count++;
    return rs;
}

void http_readers_put(struct http_readers *rs, struct http_request *r)
{
    r->next = NULL;
    pthread_mutex_lock(&rs->lock);
    *rs->jobs.last = r;
    rs->jobs.last = &r->next;
    pthread_cond_signal(&rs->filled);
    pthread_mutex_unlock(&rs->lock);
}

void http_readers_stop(struct http_readers **at)
{
    struct http_readers *rs = *at;
    if (!rs) return;
    pthread_mutex_lock(&rs->lock);
    rs->stop = true;
    pthread_cond_broadcast(&rs->filled);
    pthread_mutex_unlock(&rs->lock);
    for (size_t i = 0; i < rs->count; i++) pthread_join(rs->threads[i], NULL);
    while (rs->jobs.first) {
        struct http_request *r = rs->jobs.first;
        rs->jobs.first = r->next;
        http_busy(r, "stopping");
        http_finished(r);
    }
    pthread_mutex_destroy(&rs->lock);
    pthread_cond_destroy(&rs->filled);
    free(rs);
    *at = NULL;
}
