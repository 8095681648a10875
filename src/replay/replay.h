/* replay: the engine driven on a virtual clock. What `test` expects, what `render` shows and what the live
 * server does come from the same fold (design.md section 2). Messages count as delivered at once. One thread. */
#ifndef REPLAY_REPLAY_H
#define REPLAY_REPLAY_H
#include "base/map.h"
#include "base/vec.h"
#include "engine/engine.h"

struct replay_fact { /* something that happened, in order */
    int64_t at_ms;
    enum { REPLAY_SENT, REPLAY_OPENED, REPLAY_RESOLVED, REPLAY_NOTE } kind;
    struct str rule, key;
    struct str destination;    /* SENT; NOTE: whose digest the incident is in from now on, else empty */
    enum message_kind message; /* SENT */
    struct str content;        /* SENT: message_write's JSON; NOTE: what */
    struct str params;         /* SENT */
    struct str reason;         /* RESOLVED */
};
struct replay {
    struct arena arena;
    struct engine *engine;
    struct id_gen ids;
    struct map known;     /* run -> struct run_known, by project, env and id */
    struct map incidents; /* id text -> rule and key */
    int64_t now_ms;
    struct str dashboard; /* of the source that reports come from; may be set after replay_init */
    VEC(struct replay_fact) facts; /* texts live in arena */
};
/* rules are borrowed until replay_fini. public_url: for links to incidents; STR_NONE = none. */
void replay_init(struct replay *r, const struct ruleset *rules, struct str public_url, int64_t start_ms);
void replay_fini(struct replay *r);
/* One report at at_ms (not before now); timers due until then fire first. *hits (may be NULL): rules hit. */
int replay_report(struct replay *r, struct run *report, int64_t at_ms, uint64_t *hits, struct err *err) WUR;
/* Lets time pass: every timer due until at_ms fires at its own moment. */
int replay_until(struct replay *r, int64_t at_ms, struct err *err) WUR;
#endif
