/* deliver: the one thread that talks to destinations, over curl_multi (design.md section 7). It gets jobs
 * that are complete in themselves, sends each once, and gives the outcome back; what is durable about a
 * delivery is the pipeline's. Per destination: token bucket, at most N in flight, breaker. One slow or dead
 * destination delays no other. The caller gives at most one job per (destination, lane) at a time, so order
 * is kept by construction. */
#ifndef DELIVER_DELIVER_H
#define DELIVER_DELIVER_H
#include "base/clock.h"
#include "base/rng.h"
#include "config/config.h"

struct deliver_job { /* copied by deliver_push */
    uint64_t delivery, message, incident;
    struct str destination, lane, params, content, captures;
    int64_t created_ms, expires_ms;
    int64_t attempts; /* made so far */
    bool plain;       /* the last answer was bad_payload: send the reduced form */
};
enum deliver_outcome { DELIVER_DELIVERED, DELIVER_RETRY, DELIVER_DEAD };
struct deliver_result { /* valid during the call only */
    uint64_t delivery, incident;
    struct str destination, lane;
    enum deliver_outcome outcome;
    bool attempted;        /* false: postponed without a try (breaker open, stopping): no attempt is burnt */
    bool plain;            /* RETRY: next try in the reduced form */
    struct verdict verdict;
    int64_t at_ms, took_ms, due_ms; /* RETRY: not before due_ms (wall) */
};
/* A breaker opened or closed, for the operator and the status page. */
struct deliver_health { struct str destination; bool open; struct str reason; };
struct deliver_callbacks { /* called on the deliver thread; must not block for long */
    void (*done)(void *ctx, const struct deliver_result *r);
    void (*health)(void *ctx, const struct deliver_health *h);
    void *ctx;
};
struct deliver;
/* Takes a reference on config. clock and rng are borrowed (rng: only the deliver thread uses it). */
struct deliver *deliver_start(struct config *c, struct clock *clock, struct rng *rng,
                              const struct deliver_callbacks *cb, struct err *err);
/* Any thread. False when the destination's queue is full (ask deliver_room first) or deliver is stopping. A
 * destination that the configuration does not have gives DELIVER_DEAD ("destination removed"). */
bool deliver_push(struct deliver *d, const struct deliver_job *job);
size_t deliver_room(struct deliver *d, struct str destination); /* jobs it would still take; any thread */
void deliver_reload(struct deliver *d, struct config *c);       /* jobs in flight keep their old destination */
/* Stops taking jobs; waits for those in flight at most grace_ms; the rest is given back as postponed. */
void deliver_stop(struct deliver **d, int64_t grace_ms);
struct deliver_stats { uint64_t sent, delivered, retried, dead; size_t in_flight, waiting, breakers_open; };
struct deliver_stats deliver_stats(struct deliver *d);           /* any thread */
/* Per destination as JSON array: name, type, state (ok, throttled, breaker_open), reason, in_flight,
 * waiting. Any thread. */
void deliver_describe(struct deliver *d, struct json_writer *w);
#endif
