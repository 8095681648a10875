/* deliver_internal: the core, which decides what goes out when and what became of it, apart from how it gets
 * there (wire.c) and from the thread (deliver.c). The core knows no sockets, no threads and no waiting: tests
 * step it with a virtual clock and a made-up transport. All of it is used by one thread. */
#ifndef DELIVER_DELIVER_INTERNAL_H
#define DELIVER_DELIVER_INTERNAL_H
#include <stdio.h>

#include "base/map.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "deliver/backoff.h"
#include "deliver/breaker.h"
#include "deliver/bucket.h"
#include "deliver/deliver.h"

enum {
    QUEUE_MOST = 256,            /* jobs of one destination that are here at a time */
    START_LIMIT = 2,             /* slow start: in flight at first */
    STARTS_PER_STEP = 64,        /* then the sockets have their turn */
    SHORT_WAIT_MS = 2000,        /* a longer wait is spent in the store, not in memory */
    SPREAD_MOST_MS = 30000,      /* postponed jobs come back within this time of each other */
    RECHECK_MS = 900000,         /* a pause longer than this is looked at again */
    SLOTS_AHEAD_MS = 300000,     /* tokens promised to postponed jobs reach at most this far */
    ANSWER_MOST = 65536          /* bytes read of an answer's body */
};

struct job { /* one block of memory: free() */
    struct job *next;
    struct deliver_job j; /* texts stand behind it */
};
struct job *job_new(const struct deliver_job *j);

struct place;
/* One attempt on its way. Pooled per place, so that connections' settings are made once. */
struct exchange {
    struct exchange *next;       /* in the pool */
    struct exchange *before, *after; /* among those in flight */
    struct place *place;
    unsigned generation;         /* of the place when it started */
    bool flying, probe;          /* in flight; the breaker waits for this one */
    struct job *job;
    struct config *config;       /* a reference: what was decided under an old configuration ends under it */
    const struct notify_destination *dest;
    struct arena arena;
    struct notify_request request;
    struct json captures;
    struct wall began;
    struct mono began_mono;
    void *line;                  /* the transport's */
};
/* How requests travel. send starts one; the answer comes later by core_answered, never from inside send. */
struct deliver_transport {
    void (*send)(void *ctx, struct exchange *x);
    void (*forget)(void *ctx, struct exchange *x); /* x ends: abort it, free x->line. NULL = nothing to do */
    void *ctx;
};

struct place { /* a destination's state */
    struct str name, type;       /* own memory */
    const struct notify_destination *dest; /* in core->config; NULL: removed from it */
    unsigned generation;         /* goes up when a reload changes the destination */
    struct job *first, *last;
    size_t waiting, in_flight;
    size_t limit, round;         /* in flight at most; successes since it last went up */
    struct bucket bucket;
    struct breaker breaker;
    struct mono paused_until;    /* the provider asked for it */
    struct mono slot;            /* the next token to promise to a postponed job */
    struct mono promised;        /* the moment that has its first job already */
    struct mono throttled_until; /* for the status page */
    char reason[200];            /* of the breaker */
    struct exchange *idle;
    bool dirty;                  /* changed since the last look of whoever publishes it */
};

struct deliver_core {
    struct config *config;
    struct clock *clock;
    struct rng *rng;
    struct deliver_callbacks cb;
    struct deliver_transport transport;
    FILE *console;               /* stdout */
    struct map places;
    VEC(struct place *) list;
    struct exchange *flying;
    VEC(struct place *) busy;    /* scratch of core_step */
    size_t turn;                 /* which place goes first: everybody in turn */
    struct deliver_stats stats;
};

/* A reference on config is taken; the rest is borrowed. */
void core_init(struct deliver_core *core, struct config *c, struct clock *clock, struct rng *rng,
               const struct deliver_callbacks *cb, const struct deliver_transport *transport);
void core_fini(struct deliver_core *core); /* after core_give_back and core_abort: nothing is here any more */
void core_push(struct deliver_core *core, struct job *take_job);
/* Starts what may start. Gives the moment to step again at the latest; INT64_MAX: when something happens. */
struct mono core_step(struct deliver_core *core);
void core_answered(struct deliver_core *core, struct exchange *x, const struct notify_response *res);
void core_reload(struct deliver_core *core, struct config *c);
void core_give_back(struct deliver_core *core); /* everything that waits, as postponed until now */
void core_abort(struct deliver_core *core);     /* everything in flight, the same */

/* --- places (place.c) ---------------------------------------------------------------------------------- */
struct place *place_new(const struct notify_destination *d, struct mono now);
void place_free(struct place **p);
/* The same destination under a new configuration. True when it is not what it was: breaker, pause, bucket and
 * slow start begin anew. */
bool place_reload(struct place *p, const struct notify_destination *d, struct mono now);
void place_put(struct place *p, struct job *take_job);
struct job *place_take(struct place *p); /* NULL: none waits */
enum gate { GATE_GO, GATE_WAIT, GATE_POSTPONE };
/* May the next job go? WAIT: stay in memory until *until (or an answer). POSTPONE: not before *until. */
enum gate place_gate(struct place *p, struct mono now, struct mono *until);
/* When a job that cannot go before `from` should come back, so that not all come at once. */
struct mono place_return(struct place *p, struct mono from, struct mono now, struct rng *rng);
void place_went_well(struct place *p);
void place_went_badly(struct place *p);

/* --- outcomes (outcome.c) ------------------------------------------------------------------------------ */
struct outcome { enum deliver_outcome what; bool plain, too_old; int64_t delay_ms; };
/* What a verdict means for a job. A retry comes not before not_before_ms from now (the breaker's). jitter:
 * two uniform numbers. Pure. */
struct outcome outcome_of(const struct deliver_job *j, const struct verdict *v, int64_t now_ms,
                          int64_t not_before_ms, const uint64_t jitter[2]);
enum breaker_outcome outcome_for_breaker(const struct deliver_job *j, enum verdict_class c);
/* Gives a job back without a try: not before due, or dead. Frees it. */
void give_back(struct deliver_core *core, struct job *take_job, struct mono due, struct str why);
void give_dead(struct deliver_core *core, struct job *take_job, struct str why);
/* All of them, spread. */
void give_back_waiting(struct deliver_core *core, struct place *p, struct mono from, struct str why);
/* Log, count, callback. */
void breaker_told(struct deliver_core *core, struct place *p, bool open, struct str reason);
/* Breaker, slow start, log, done; then x is over. was_sent: it was in flight. */
void settle(struct deliver_core *core, struct exchange *x, const struct verdict *v, bool was_sent);

/* --- exchanges (core.c) -------------------------------------------------------------------------------- */
void exchange_end(struct deliver_core *core, struct exchange *x); /* frees its job; x to the pool, or away */
#endif
