#include "base/queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct queue_item *first, **last;
    size_t bytes, length, ceiling;
    size_t quiet; /* of the length: put soon and not flushed */
    bool closed, woken;
    bool late;            /* there is one that waits until late_due for company */
    struct timespec late_due;
};

struct queue *queue_new(size_t ceiling_bytes)
{
    struct queue *q = xcalloc(1, sizeof *q);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->filled, &attr);
    pthread_condattr_destroy(&attr);
    q->last = &q->first;
    q->ceiling = ceiling_bytes;
    return q;
}

void queue_free(struct queue **q)
{
    if (!*q) return;
    pthread_cond_destroy(&(*q)->filled);
    pthread_mutex_destroy(&(*q)->lock);
    free(*q);
    *q = NULL;
}

static struct timespec deadline_in(int64_t ms)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += ms / 1000;
    ts.tv_nsec += (ms % 1000) * 1000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_nsec -= 1000000000;
        ts.tv_sec++;
    }
    return ts;
}

static void show(struct queue *q)
{
    q->quiet = 0;
    pthread_cond_signal(&q->filled);
}

enum when { AT_ONCE, SOON, LATE };

static void appoint(struct queue *q)
{
    if (q->late) return;
    q->late = true;
    q->late_due = deadline_in(QUEUE_LATE_MS);
    pthread_cond_signal(&q->filled); /* who waits goes on waiting, but not longer than that */
}

static bool put(struct queue *q, struct queue_item *item, bool urgent, enum when when)
{
    bool fits;
    pthread_mutex_lock(&q->lock);
    /* An item heavier than the whole queue may pass when it is empty, or it could never pass. */
    fits = urgent || q->first == NULL || q->bytes + item->weight_bytes <= q->ceiling;
    if (q->closed) fits = false;
    if (fits) {
        item->next = NULL;
        *q->last = item;
        q->last = &item->next;
        q->bytes += item->weight_bytes;
        q->length++;
        q->quiet++;
        if (when == AT_ONCE || q->quiet >= QUEUE_COMPANY) show(q);
        else if (when == LATE) appoint(q);
    }
    pthread_mutex_unlock(&q->lock);
    return fits;
}

bool queue_put(struct queue *q, struct queue_item *item, bool urgent)
{
    return put(q, item, urgent, AT_ONCE);
}

bool queue_put_soon(struct queue *q, struct queue_item *item)
{
    return put(q, item, false, SOON);
}

bool queue_put_late(struct queue *q, struct queue_item *item)
{
    return put(q, item, true, LATE);
}

void queue_flush(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    if (q->quiet) show(q);
    pthread_mutex_unlock(&q->lock);
}

static bool before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static void wait_filled(struct queue *q, int64_t wait_ms)
{
    struct timespec until = deadline_in(wait_ms > 0 ? wait_ms : 0);
    while (q->length == q->quiet && !q->closed && !q->woken && wait_ms != 0) {
        const struct timespec *first = wait_ms > 0 ? &until : NULL;
        if (q->late && (!first || before(&q->late_due, first))) first = &q->late_due;
        if (!first)
            pthread_cond_wait(&q->filled, &q->lock);
        else if (pthread_cond_timedwait(&q->filled, &q->lock, &(struct timespec){ first->tv_sec, first->tv_nsec }) != 0)
            break;
    }
    q->woken = false;
}

struct queue_item *queue_take(struct queue *q, int64_t wait_ms, size_t max_items, size_t max_bytes)
{
    struct queue_item *taken, *end = NULL;
    size_t items = 0, bytes = 0;
    pthread_mutex_lock(&q->lock);
    wait_filled(q, wait_ms);
    taken = q->first;
    for (struct queue_item *i = q->first; i && items < max_items; i = i->next) {
        if (items > 0 && bytes + i->weight_bytes > max_bytes) break;
        items++;
        bytes += i->weight_bytes;
        end = i;
    }
    if (end) {
        q->first = end->next;
        end->next = NULL;
        if (!q->first) {
            q->last = &q->first;
            q->late = false;
        }
        q->bytes -= bytes;
        q->length -= items;
        if (q->quiet > q->length) q->quiet = q->length; /* the quiet ones are the last */
    }
    pthread_mutex_unlock(&q->lock);
    return end ? taken : NULL;
}

void queue_wake(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->woken = true;
    pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

size_t queue_bytes(struct queue *q)
{
    size_t n;
    pthread_mutex_lock(&q->lock);
    n = q->bytes;
    pthread_mutex_unlock(&q->lock);
    return n;
}

size_t queue_length(struct queue *q)
{
    size_t n;
    pthread_mutex_lock(&q->lock);
    n = q->length;
    pthread_mutex_unlock(&q->lock);
    return n;
}
