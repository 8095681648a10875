/* queue: a bounded queue between threads, taken in batches. Bounded in bytes: the producer says what an
 * item weighs. Any thread may put; one thread takes. */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;
struct queue_item { /* put it first into your own struct */
    struct queue_item *next;
    size_t weight_bytes;
};

struct queue *queue_new(size_t ceiling_bytes);
void queue_free(struct queue **q); /* items still inside are the caller's to take before */
/* False when the queue is full or closed: nothing was taken. `urgent` items pass even a full queue (they
 * free memory or answer somebody) but not a closed one. */
bool queue_put(struct queue *q, struct queue_item *item, bool urgent);
/* The same for an item that will have company at once: who waits in queue_take is not woken for it alone but at
 * the next queue_flush, or queue_put, or when QUEUE_COMPANY of them are there. Nothing is lost without a flush:
 * a wait that ends takes them, too. */
enum { QUEUE_COMPANY = 64, QUEUE_LATE_MS = 5 };
bool queue_put_soon(struct queue *q, struct queue_item *item);
/* The same for an urgent item that nobody waits for: without company it is taken QUEUE_LATE_MS later. */
bool queue_put_late(struct queue *q, struct queue_item *item);
void queue_flush(struct queue *q);
/* Waits until something is there, wait_ms have passed (negative: for ever) or the queue is closed. Gives
 * the items in order, linked by next, at most max_items and max_bytes (but at least one), or NULL. */
struct queue_item *queue_take(struct queue *q, int64_t wait_ms, size_t max_items, size_t max_bytes);
void queue_wake(struct queue *q);  /* makes a waiting take return now */
void queue_close(struct queue *q); /* puts fail from now on; takes still drain */
size_t queue_bytes(struct queue *q);
size_t queue_length(struct queue *q);
#endif
