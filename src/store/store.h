/* store: where everything accepted and decided is kept. The pipeline speaks in batches; one thread writes.
 * A store is a small struct of functions; memory.c is the double in tests, sqlite.c the default
 * (design.md section 5; section 8 facts 2 and 3).
 *
 * Ids are time-ordered (base/id.h) and below 2^63. Texts that are keys or names are never absent when read
 * back: STR_NONE given is "" stored. Where a field says STR_NONE it means it. */
#ifndef STORE_STORE_H
#define STORE_STORE_H
#include "base/err.h"
#include "base/vec.h"
#include "engine/engine.h"

struct store_event { /* append-only log */
    uint64_t id;               /* evt_; time-ordered: the row key */
    struct str source, project, env, run;
    struct str status;         /* the sender's spelling */
    struct str state;          /* folded name, "" when unknown */
    int64_t attempt, event_ms, arrival_ms;
    struct str body;           /* run_write's JSON */
};
struct store_run { /* last known state; key (project, env, run) */
    struct str project, env, run;
    struct str known;          /* run_known_write's JSON */
    int64_t updated_ms;
    uint64_t last_event;
};
enum delivery_state { DELIVERY_PENDING, DELIVERY_SENDING, DELIVERY_DELIVERED, DELIVERY_RETRYING, DELIVERY_DEAD };
const char *delivery_state_name(enum delivery_state s);
bool delivery_state_parse(struct str name, enum delivery_state *out);
struct store_delivery {
    uint64_t id, message, incident; /* dlv_, msg_, inc_ (0 = none) */
    struct str destination, lane, params, content;
    int kind;                       /* enum message_kind */
    enum delivery_state state;      /* SENDING is never stored: a crash means sent again */
    int64_t created_ms, due_ms, expires_ms, done_ms;
    int64_t attempts;
    struct str last_error;
    struct str captures;            /* of (destination, lane), as read with the delivery; JSON or STR_NONE */
};
struct store_attempt { /* the outcome of one try, and what it does to its delivery */
    uint64_t delivery;
    int64_t at_ms, took_ms;
    int class, status;              /* enum verdict_class; HTTP status */
    struct str detail;
    enum delivery_state state;      /* DELIVERED, RETRYING or DEAD */
    bool postponed;                 /* no try was made (breaker open): only state and due_ms change, nothing is counted */
    int64_t due_ms;                 /* RETRYING: not before */
    struct str captures;            /* new whole JSON object for (destination, lane); "{}" forgets; STR_NONE = unchanged */
};
struct store_note { uint64_t incident; int64_t at_ms; struct str what, body; };
struct store_rejected { uint64_t id; int64_t at_ms; struct str source, reason, body; }; /* rej_; body cut to 64 KiB */
struct store_meta { struct str key, value; };
/* One transaction. Rows are applied in this order; all or nothing. A second event, delivery or rejected body of
 * one id, or an attempt at a delivery that is not there, is the caller's mistake: ERR_CONFLICT. */
struct store_batch {
    VEC(struct store_event) events;
    VEC(struct store_run) runs;              /* upsert */
    VEC(struct engine_incident_row) incidents; /* upsert; a resolved one keeps its row, its state_blob is emptied */
    VEC(struct engine_cell_row) cells;       /* upsert or delete */
    VEC(struct store_note) notes;
    VEC(struct store_delivery) deliveries;   /* insert */
    VEC(struct store_attempt) attempts;      /* insert + update of its delivery */
    VEC(struct store_rejected) rejected;
    VEC(struct store_meta) meta;
    VEC(uint64_t) redeliver;                 /* dead -> pending, due now, attempts kept, the same time to live again;
                                              * one that is not dead (or not there) is left alone */
    int64_t now_ms;
};
void store_batch_init(struct store_batch *b);
void store_batch_clear(struct store_batch *b);
void store_batch_fini(struct store_batch *b);

struct store_load { /* callbacks at start; -1 from one stops the load */
    int (*incident)(void *ctx, const struct engine_incident_row *row, struct err *err);
    int (*cell)(void *ctx, const struct engine_cell_row *row, struct err *err);
    void *ctx;
};
struct store_keep { int64_t events_ms, incidents_ms, size_bytes; }; /* 0 = for ever, without bound */

struct store;
/* Writer thread only, but for reader_open. */
struct store_ops {
    void (*close)(struct store **s);
    /* Unresolved incidents, without their detail (fetch_detail), then cells. */
    int (*load)(struct store *s, const struct store_load *l, struct err *err);
    /* known JSON of each run into out[i] (STR_NONE = never seen), allocated from a. */
    int (*fetch_runs)(struct store *s, struct arena *a, const struct store_run *ids, size_t n, struct str *out,
                      struct err *err);
    /* STR_NONE when the incident has none. */
    int (*fetch_detail)(struct store *s, struct arena *a, uint64_t incident, struct str *detail, struct err *err);
    /* STR_NONE when there is no such cell. */
    int (*fetch_cell)(struct store *s, struct arena *a, struct str key, struct str *blob, struct err *err);
    /* ERR_IO and ERR_LIMIT (disk full) heal: nothing of the batch is in the store. ERR_UNCERTAIN: the caller must stop
     * the process (a failed sync is never tried again). */
    int (*commit)(struct store *s, const struct store_batch *b, struct err *err);
    /* Due heads of lanes of one destination (STR_NONE: any), by due time: an undelivered, not dead delivery whose (destination,
     * lane) has no older undelivered one. With captures. next_due_ms (may be NULL): due time of the earliest head not in out,
     * ENGINE_NEVER without one. */
    int (*due_deliveries)(struct store *s, struct arena *a, struct str destination, int64_t now_ms, size_t max,
                          struct store_delivery *out, size_t *n, int64_t *next_due_ms, struct err *err);
    /* Oldest undelivered of one lane, due or not: 1 found, 0 none, -1 failed. */
    int (*lane_head)(struct store *s, struct arena *a, struct str destination, struct str lane,
                     struct store_delivery *out, struct err *err);
    int (*meta_get)(struct store *s, struct arena *a, struct str key, struct str *value, struct err *err); /* 1/0/-1 */
    /* Deletes about max_rows rows that are over keep, at most; *deleted tells, 0 = nothing left to do. Events go with the
     * runs they were the last of; resolved incidents with notes, deliveries, attempts, details. By size: oldest events
     * first, then resolved incidents. Open incidents and undelivered deliveries stay. */
    int (*purge)(struct store *s, const struct store_keep *keep, int64_t now_ms, size_t max_rows, size_t *deleted,
                 struct err *err);
    /* Housekeeping when idle (checkpoint). due: is it worth it now? */
    bool (*upkeep_due)(struct store *s);
    int (*upkeep)(struct store *s, bool idle, struct err *err);
    /* Read-only view for another thread: its own connection, to be closed before the store. NULL on failure. Any thread. */
    struct store_reader *(*reader_open)(struct store *s, struct err *err);
};
struct store { const struct store_ops *ops; };

/* url: "sqlite:PATH" (relative to dir) or "memory:". A database written by a newer schema, a file held by
 * another runbell, a file that is no database: refused with a clear message. Migrations run here. */
struct store *store_open(const char *url, const char *dir, struct err *err);
struct store *store_memory_open(void);
/* For tests: the next commits of a memory store fail with code and leave nothing behind. */
void store_memory_fail(struct store *s, enum err_code code, size_t commits);
struct store *store_sqlite_open(const char *path, struct err *err);

/* --- reading, for the API: one reader per thread ------------------------------------------------------- *
 * A query gives at most STORE_ROWS_MAX rows and takes at most STORE_QUERY_MS (then ERR_LIMIT). */
enum { STORE_ROWS_MAX = 1000, STORE_QUERY_MS = 5000 };
struct store_incident_filter {
    struct str state, rule, task, env, project, q; /* STR_NONE = any; state: "open" etc., or "unresolved" */
    struct str key;                                 /* exactly this one; STR_NONE = any */
    uint64_t before;                                /* cursor: ids below it; 0 = from the newest */
    size_t limit;
};
struct store_delivery_filter { int state; /* -1 = any */ uint64_t incident, before; struct str destination; size_t limit; };
struct store_counts {
    int64_t events, runs, incidents;
    int64_t incidents_open;        /* open or acknowledged */
    int64_t deliveries_undelivered, deliveries_dead, rejected;
    int64_t oldest_undelivered_ms; /* when the oldest of them was made; 0 = none */
    uint64_t newest_event;         /* the greatest id of an event or of a rejected body; 0 = none */
    int64_t size_bytes;            /* in use: what purge compares with keep.size_bytes */
};
/* One event of the log; its texts are borrowed. -1 with err stops the reading. It must not use the reader. */
typedef int (*store_event_fn)(void *ctx, const struct store_event *e, struct err *err);
struct store_reader_ops {
    void (*close)(struct store_reader **r);
    /* Newest first. Texts live in a. Lists leave state_blob and detail out. */
    int (*incidents)(struct store_reader *r, struct arena *a, const struct store_incident_filter *f,
                     struct engine_incident_row *out, size_t *n, struct err *err);
    int (*incident)(struct store_reader *r, struct arena *a, uint64_t id, struct engine_incident_row *out, struct err *err); /* 1/0/-1 */
    /* Notes and attempts: the newest max, oldest of them first. */
    int (*notes)(struct store_reader *r, struct arena *a, uint64_t incident, struct store_note *out, size_t max, size_t *n, struct err *err);
    int (*deliveries)(struct store_reader *r, struct arena *a, const struct store_delivery_filter *f, struct store_delivery *out, size_t *n, struct err *err);
    int (*attempts)(struct store_reader *r, struct arena *a, uint64_t delivery, struct store_attempt *out, size_t max, size_t *n, struct err *err);
    int (*run)(struct store_reader *r, struct arena *a, struct str project, struct str env, struct str run, struct store_run *out, size_t max, size_t *n, struct err *err); /* project/env STR_NONE: any */
    int (*event)(struct store_reader *r, struct arena *a, uint64_t id, struct store_event *out, struct err *err); /* 1/0/-1 */
    /* The log in the order in which it was evaluated: up to max events with ids above after; *n tells how many. A page is
     * one short look: whoever reads a long log page by page never keeps the writer from reusing its own. */
    int (*events)(struct store_reader *r, uint64_t after, size_t max, store_event_fn fn, void *ctx, size_t *n, struct err *err);
    /* The same from the newest back: up to max events with ids below before, the newest of them first. */
    int (*events_back)(struct store_reader *r, uint64_t before, size_t max, store_event_fn fn, void *ctx, size_t *n, struct err *err);
    /* These events in this order, at most STORE_ROWS_MAX; those that retention took are left out. */
    int (*events_of)(struct store_reader *r, const uint64_t *ids, size_t n, store_event_fn fn, void *ctx, struct err *err);
    int (*rejected)(struct store_reader *r, struct arena *a, uint64_t before, struct store_rejected *out, size_t max, size_t *n, struct err *err);
    int (*counts)(struct store_reader *r, struct store_counts *out, struct err *err);
    int (*meta)(struct store_reader *r, struct arena *a, struct str key, struct str *value, struct err *err); /* 1/0/-1 */
    /* The engine's cells whose keys start so, by key: the first max. */
    int (*cells)(struct store_reader *r, struct arena *a, struct str prefix, struct engine_cell_row *out, size_t max, size_t *n, struct err *err);
    int (*cell)(struct store_reader *r, struct arena *a, struct str key, struct str *blob, struct err *err);  /* 1/0/-1 */
};
struct store_reader { const struct store_reader_ops *ops; };
/* A reader beside a server that may be running: read-only, takes no lock, changes nothing. url as in store_open; memory:
 * cannot be read from outside. NULL with err: ERR_NOT_FOUND when there is no such file. */
struct store_reader *store_reader_open(const char *url, const char *dir, struct err *err);
struct store_reader *store_sqlite_reader_open(const char *path, struct err *err);
#endif
