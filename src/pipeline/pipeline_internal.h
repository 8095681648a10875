/* pipeline_internal: the writer's state, for the files of this room. All of it is the writer thread's, but
 * for the queue, and for what `lock` guards. */
#ifndef PIPELINE_PIPELINE_INTERNAL_H
#define PIPELINE_PIPELINE_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "base/strbuf.h"
#include "pipeline/pipeline.h"

enum {
    BATCH_ITEMS = 1000,
    BATCH_BYTES = 4 << 20,
    ROW_CEILING = 8 << 20,
    ROW_KEEP_BYTES = 64 << 10,   /* a row buffer that grew beyond this is given back */
    DETAIL_KEEP_BYTES = 2 << 20, /* incident details kept in memory; the rest is paged in when needed */
    IDLE_MS = 250,               /* quiet that long: time for housekeeping */
    GIVE_BACK_COMMITS = 16,      /* so many since memory was last given back make it worth doing again */
    PURGE_EVERY_MS = 60000,
    PURGE_ROWS = 500,
    HEAL_EVERY_MS = 1000,        /* after a failed commit: how often the store is tried again */
    HEALED_AHEAD_MS = 600000,    /* further than any breaker and backoff puts off */
    TOP_UP = 64                  /* due deliveries fetched for a destination at once */
};

/* What deliver says, on its way to the writer. Same start as struct pipeline_request: item, kind. */
enum { PIPELINE_VERDICT = 100, PIPELINE_HEALTH };
struct verdict_item {
    struct queue_item item;
    enum pipeline_kind kind;
    struct arena arena;
    struct deliver_result result; /* texts live in arena */
    bool bare;                    /* recorded without the engine, which choked on it */
};
struct health_item {
    struct queue_item item;
    enum pipeline_kind kind;
    struct arena arena;
    struct deliver_health health;
};

/* A run as the batch knows it so far. */
struct batch_run {
    struct store_run row;
    struct run_known known;
    bool changed;
};
struct place_state { /* of one destination, by name */
    struct str name;
    size_t on_the_way;
    bool backlog; /* the store holds due deliveries that had no room */
    bool healed;  /* its breaker has closed: what was put off until a later try may go now */
};

struct pipeline {
    struct store *store;
    struct store_reader *reader; /* the writer's own, for look-ups by id */
    struct engine *engine;
    struct queue *queue;
    struct clock *clock;
    struct rng *rng;
    struct deliver *deliver;
    pthread_t thread;
    bool thread_started;
    atomic_bool stopping;        /* takes nothing new from outside any more */
    int64_t grace_ms;            /* set before stopping */
    void (*broken_fn)(void *ctx, const struct err *why);
    void *broken_ctx;

    struct id_gen event_ids, drill_ids;
    /* The time by which everything here goes: the wall clock's, but it never goes back. When that was set back, it goes
     * on more slowly than the wall clock until both agree again. due times are in it, what people read is not. */
    int64_t now_ms;
    int64_t wall_ms;             /* what the wall clock says */
    int64_t agreed_ms, agreed_mono_ms; /* when both last agreed */
    int64_t wall_minus_mono_ms;  /* to see jumps of the clock */
    int64_t next_delivery_ms, next_purge_ms, heal_at_ms;
    bool sick, broken;           /* last commit failed; for good */
    struct err sick_err;
    struct arena batch_arena, names;
    struct strbuf row;           /* where rows are written before the batch keeps them; its memory serves again */
    struct store_batch batch;
    struct engine_output out;
    struct pipeline_stats tally; /* of the batch: counts once it is in the store */
    struct map batch_runs;
    VEC(struct batch_run *) batch_run_list;
    struct map lanes;            /* "destination\0lane" on the way to deliver -> itself (heap) */
    struct map places;           /* struct place_state by name: every destination there ever was */
    VEC(struct place_state *) place_list;
    struct queue_item *kept;     /* verdicts whose commit failed: first in the next batch */
    struct map source_starts;    /* source name -> int64_t */
    struct map heard;            /* source name -> how far it is: heard.c */
    const struct config *heard_of; /* whose sources the engine knows: p->config, or in a batch the one that follows */
    VEC(struct engine_reread) rereads; /* to be asked for; heap */
    VEC(struct engine_reread) unread;  /* that nobody can read; heap */
    pthread_mutex_t reread_lock; /* guards the next two */
    pipeline_reread_fn reread_fn;
    void *reread_ctx;
    bool engine_stale;           /* a failed commit: rebuild from the store before the next batch */
    size_t idle_rounds;
    uint64_t given_back;         /* stats.commits then */

    pthread_mutex_t lock;        /* guards what follows */
    struct config *config;
    struct pipeline_stats stats;
    bool ready;
    struct err why_not_ready;
};

/* pipeline.c. A pipeline without a thread of its own: who built it makes it turn (tests, under a clock of their
 * own); pipeline_stop ends it as any other. */
struct pipeline *pipeline_build(const struct pipeline_setup *setup, struct err *err);
void pipeline_tell_time(struct pipeline *p); /* sets now_ms and wall_ms */
/* Waits for work, until something is due or for most_ms; then one batch, what is due, housekeeping. */
void pipeline_turn(struct pipeline *p, int64_t most_ms);
/* engine_state.c */
int engine_build(struct pipeline *p, struct err *err); /* from the store, under p->config's rules */
/* step.c: items of a batch. Ours: from the deliver thread, the others are requests. */
static inline struct pipeline_request *item_request(struct queue_item *i) { return (struct pipeline_request *)(void *)i; }
static inline enum pipeline_kind item_kind(const struct queue_item *i) { return ((const struct pipeline_request *)(const void *)i)->kind; }
bool item_is_ours(const struct queue_item *i);
void item_free_ours(struct queue_item *i);
int step_item(struct pipeline *p, struct queue_item *i, struct err *err);
/* batch.c. stopping: what deliver said and cannot be stored is forgotten; it is sent again after the start. */
void batch_run_all(struct pipeline *p, struct queue_item *items, bool stopping);
void batch_break(struct pipeline *p, const struct err *why); /* a sync failed: nothing is written any more; the process must stop */
/* reports.c */
int reports_fetch(struct pipeline *p, struct queue_item *items, struct err *err);
int reports_apply(struct pipeline *p, struct pipeline_request *r, struct err *err);
void reports_write_runs(struct pipeline *p);
/* A source starts when it is first configured, not with its first event. Into the batch, unless the store knows. */
int reports_note_sources(struct pipeline *p, const struct config *c, struct err *err);
/* heard.c */
int heard_learn(struct pipeline *p, const struct config *c, struct err *err); /* from the store, for an engine that does not know */
int heard_position(struct pipeline *p, const struct config_source *source, struct str position, struct err *err);
/* reread.c */
void reread_take(struct pipeline *p);                    /* what the committed batch asks for */
void reread_ask(struct pipeline *p);
int reread_step(struct pipeline *p, struct err *err);    /* tells the engine whom nobody can read */
void reread_forget(struct pipeline *p);                  /* those have been told, and that is stored */
void reread_fini(struct pipeline *p);
/* outbox.c */
int outbox_name_places(struct pipeline *p, const struct config *c, struct err *err); /* into the batch, unless the store knows */
void outbox_take_messages(struct pipeline *p);           /* engine messages -> delivery rows of the batch */
void outbox_verdict(struct pipeline *p, const struct deliver_result *r); /* -> attempt row, engine input is the caller's */
void outbox_release(struct pipeline *p, const struct deliver_result *r); /* its lane is free again */
void outbox_push_new(struct pipeline *p);                /* after the commit: heads of the batch's lanes */
void outbox_push_lane(struct pipeline *p, struct str destination, struct str lane);
void outbox_healed(struct pipeline *p, struct str destination);
void outbox_look_again(struct pipeline *p, int64_t at_ms); /* for what is due, at that time at the latest */
void outbox_top_up(struct pipeline *p, bool all);        /* due ones from the store */
void outbox_fini(struct pipeline *p);
int outbox_drill(struct pipeline *p, struct pipeline_request *r);
int outbox_redeliver(struct pipeline *p, struct pipeline_request *r);
#endif
