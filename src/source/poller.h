/* poller: one thread for each source of type trigger-api (and one more where it is `live`), which finds at Trigger.dev's
 * API every transition that the rules in force can ask for. What it finds goes to the pipeline through the sink, with
 * the position in the same transaction: after any downtime it goes on where it was. */
#ifndef SOURCE_POLLER_H
#define SOURCE_POLLER_H
#include "base/clock.h"
#include "config/config.h"

struct poller_batch {
    struct config *config;             /* the generation that source is of */
    const struct config_source *source;
    const struct run *runs;            /* project and env settled; borrowed until the call comes back */
    size_t run_count;
    int64_t start_ms;                  /* when the source was first looked through, by the server's clock */
    struct str position;               /* to be stored with them; STR_NONE = as it was */
    struct str history;                /* an import: recorded, not evaluated; where it is, to be stored with them unless "" */
    size_t bytes;                      /* about how large */
    bool reread;                       /* each was just asked for by its id */
    bool attempts_followed;            /* every attempt of theirs that is not known yet is news, however old the run */
};
struct poller_sink { /* called on pollers' threads */
    void *ctx;
    /* Hands over and waits until it is durable. -1: it is not (err says why), and may be tried again. */
    int (*submit)(void *ctx, const struct poller_batch *b, struct err *err);
    /* What was stored of a source ("position", "import") into a: 1 found, 0 none, -1 failed. */
    int (*stored)(void *ctx, const char *what, struct str source, struct arena *a, struct str *out, struct err *err);
    /* For the operator: once per topic and hour is the engine's business. */
    void (*fault)(void *ctx, struct str topic, struct str title, struct str body);
};
struct pollers;
/* Takes a reference on config. Never fails: a source that cannot start says so in its status and tries again. */
struct pollers *pollers_start(struct config *c, struct clock *clock, const struct poller_sink *sink);
/* Sources that stayed as they were go on under the new rules; others are stopped and started. */
void pollers_reload(struct pollers *p, struct config *c);
void pollers_stop(struct pollers **p);
/* Members of an open object: method, state, lag, requests ... of a source; nothing for one of another type. Any thread. */
void pollers_describe(struct pollers *p, struct str source, struct json_writer *w);
/* Brings what ended since since_ms, and before the source's own looks, into the log, beside its looking. False: there is
 * no trigger-api source of this name. Any thread. */
bool pollers_import(struct pollers *p, struct str source, int64_t since_ms);
/* Has a run read again at once, and what is new of it evaluated: before an incident opens, or because somebody asks. env:
 * STR_NONE when not known. How many sources were asked; each is one that could know it. Any thread. */
size_t pollers_reread(struct pollers *p, struct str env, struct str run);
struct poller_figures { /* for metrics */
    bool ok;
    uint64_t requests, limited, failed, transitions, looks, thin;
    int64_t lag_ms, data_age_ms; /* -1 = not known yet */
    double budget_per_minute;
};
bool pollers_figures(struct pollers *p, struct str source, struct poller_figures *out); /* false: no such */
#endif
