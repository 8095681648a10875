/* history: the engine over a stored log, on the log's own clock: each event is stepped at the moment at which it was
 * taken, timers fire when they would have, messages count as delivered at once. Nobody acknowledges anything. What
 * comes of it is told to an ear. Memory grows with the runs of the log, not with its events. One thread. */
#ifndef REPLAY_HISTORY_H
#define REPLAY_HISTORY_H
#include "base/map.h"
#include "config/config.h"
#include "engine/engine.h"
#include "store/store.h"

struct history_who { /* an incident; lives as long as the history */
    uint64_t id;
    struct str project, env, rule, key;
    bool opened;
};
struct history_judged { /* a transition that was evaluated; borrowed */
    const struct store_event *event;
    const struct run *run;
    const struct transition *transition;
};
struct history_ear { /* any function may be NULL */
    void *ctx;
    /* who NULL: of no incident (a digest). at_ms: when it would have been decided. */
    void (*message)(void *ctx, const struct history_who *who, const struct engine_message *m, int64_t at_ms);
    void (*note)(void *ctx, const struct history_who *who, const struct engine_note *n); /* but for "hit" and "told" */
    void (*judging)(void *ctx, struct engine *e, const struct history_judged *j); /* about to be evaluated */
    void (*judged)(void *ctx, struct engine *e, const struct history_judged *j);
    bool (*page)(void *ctx, int64_t at_ms, uint64_t events); /* the log has been read up to there; false: that is enough */
};
struct history {
    const struct config *config; /* borrowed */
    struct history_ear ear;
    struct engine *engine;
    struct arena scratch, names; /* of one event; of all of it */
    struct engine_output out;
    struct map runs;   /* project, env and id -> struct memory: what is known of it */
    struct map who;    /* id of an incident -> struct history_who */
    int64_t *starts;   /* of the configuration's sources */
    uint64_t last, until;
    bool by_event_time; /* see history_read_as_it_happened */
    int64_t now_ms;
    size_t steps;      /* since the engine's changes were last collected */
    uint64_t events, hits;
};
void history_init(struct history *h, const struct config *config, const struct history_ear *ear);
void history_fini(struct history *h);
/* When each source began, as the log's own server knows it: it decides what the first sight of a run tells. */
int history_learn_sources(struct history *h, struct store_reader *r, struct err *err) WUR;
/* The next event of the log: a store_event_fn. */
int history_event(void *h, const struct store_event *e, struct err *err);
/* Every timer due until at_ms fires at its own moment. */
int history_until(struct history *h, int64_t at_ms, struct err *err) WUR;
/* All of the log that was taken at from_ms or later and before until_ms, page by page; then timers until until_ms. */
int history_read(struct history *h, struct store_reader *r, int64_t from_ms, int64_t until_ms, struct err *err) WUR;
/* The same of what happened in that time, in the order in which it happened, each event taken at its own moment: for
 * history that was imported long after. A list of all of it is held in memory, 16 bytes an event. */
int history_read_as_it_happened(struct history *h, struct store_reader *r, int64_t from_ms, int64_t until_ms, struct err *err) WUR;
/* The first id that can be made at that time. */
uint64_t history_id_at(int64_t wall_ms);
#endif
