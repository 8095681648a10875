/* pipeline: the writer. Takes what is waiting as one batch, folds it through the engine, writes all of it in
 * one transaction, answers everybody in it, wakes the deliver thread. Owns the engine and the store. */
#ifndef PIPELINE_PIPELINE_H
#define PIPELINE_PIPELINE_H
#include "base/clock.h"
#include "base/queue.h"
#include "base/rng.h"
#include "config/config.h"
#include "deliver/deliver.h"
#include "store/store.h"

struct batch_run;
struct pipeline_report { /* one run report in a request */
    struct run run;          /* project and env already settled by the source */
    size_t index;            /* in the request, for the answer */
    bool attempts_followed;  /* of a run older than its source, too, attempts not known yet are news */
    bool reread;             /* the source has just been asked for this run */
    /* filled in by the pipeline: */
    uint64_t event_id;       /* of a duplicate: its first event's */
    bool duplicate;
    struct batch_run *batch_run; /* of the batch it is in now */
};
enum pipeline_kind { PIPELINE_REPORTS, PIPELINE_REJECTED, PIPELINE_COMMAND, PIPELINE_REDELIVER, PIPELINE_SEND, PIPELINE_RELOAD, PIPELINE_FAULT };
enum pipeline_status { PIPELINE_DONE, PIPELINE_FAILED, PIPELINE_NOT_FOUND };
/* One unit of work. Made by the caller; its memory (arena) is the caller's again when done was called. */
struct pipeline_request {
    struct queue_item item;  /* first; weight_bytes set by the caller (about the body's size) */
    enum pipeline_kind kind;
    struct arena *arena;     /* what the fields below point into */
    const struct config_source *source; /* REPORTS, REJECTED */
    struct config *config;   /* a reference held for source; RELOAD: the new configuration (taken over) */
    struct pipeline_report *reports;
    size_t report_count;
    int64_t start_ms;        /* REPORTS: when the source began, by the clock that its runs were created by; 0 = ours */
    struct str position;     /* REPORTS of a polling source: where it now is, stored with them; STR_NONE = unchanged */
    struct str history;      /* REPORTS of an import: recorded, not evaluated; where it is, stored with them unless "" */
    struct { struct str reason, body; } rejected;
    struct engine_command_input command;
    uint64_t command_id;     /* COMMAND: of the silence that it made */
    uint64_t redeliver;      /* REDELIVER: delivery id */
    struct { struct str destination; uint64_t delivery; } send; /* SEND: a drill; delivery filled in */
    struct { struct str topic, title, body; } fault;
    int64_t arrival_ms;      /* set by pipeline_submit */
    void (*done)(void *ctx, struct pipeline_request *r); /* on the writer thread, after the commit; NULL = none */
    void *ctx;
    enum pipeline_status status;
    struct err err;          /* FAILED, NOT_FOUND */
};

struct pipeline;
struct pipeline_setup {
    struct config *config;   /* a reference is taken */
    struct store *store;     /* owned from now on */
    struct clock *clock;
    struct rng *rng;         /* for the deliver thread's jitter */
    /* The store can no longer be trusted to keep what it says (a failed sync): everybody waiting was told to
     * try again; the process must stop. Called once, on the writer thread. NULL: abort(). */
    void (*broken)(void *ctx, const struct err *why);
    void *broken_ctx;
};
/* Restores the engine from the store, starts the writer and the deliver thread. */
struct pipeline *pipeline_start(const struct pipeline_setup *setup, struct err *err);
/* Any thread. False when the queue is full or stopping: answer 503. */
bool pipeline_submit(struct pipeline *p, struct pipeline_request *r);
/* The same for one of several that come together: the writer hears of it at the next pipeline_flush at the latest,
 * so that they share a commit. */
bool pipeline_submit_soon(struct pipeline *p, struct pipeline_request *r);
void pipeline_flush(struct pipeline *p);
/* Drains: takes no more, finishes what is queued, stops deliver (grace_ms for those in flight), closes the store. */
void pipeline_stop(struct pipeline **p, int64_t grace_ms);
/* How a run is had read again, to be answered by a report of it: how many sources were asked. Called on the writer thread,
 * must not block. NULL: nobody can any more; when this returns, none is under way. Any thread. */
typedef size_t (*pipeline_reread_fn)(void *ctx, struct str env, struct str run);
void pipeline_set_reread(struct pipeline *p, pipeline_reread_fn fn, void *ctx);
/* The configuration in force, with a reference for the caller. Any thread. */
struct config *pipeline_config(struct pipeline *p);
struct store_reader *pipeline_reader(struct pipeline *p, struct err *err); /* a new one, for the calling thread */
struct deliver *pipeline_deliver(struct pipeline *p);                     /* for status */
bool pipeline_ready(struct pipeline *p, struct err *why);                 /* store writable, rules loaded */
struct pipeline_stats {
    uint64_t events_accepted, events_duplicate, events_fuller, events_late, rejected, commits, commit_failures, hits, messages,
        reloads, reloads_failed, unknown_states, dropped_total;
    uint64_t commit_us_total, commit_us_max, batch_max;
    size_t queue_length, queue_bytes;
    int64_t last_reload_ms, started_ms;
    struct engine_stats engine;
};
struct pipeline_stats pipeline_stats(struct pipeline *p);                 /* any thread; a snapshot */
#endif
