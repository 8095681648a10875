/* poll_internal: one poller's state, for the files of this room. Its thread's, but for what `lock` guards. */
#ifndef SOURCE_POLL_INTERNAL_H
#define SOURCE_POLL_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>

#include "base/vec.h"
#include "source/api.h"
#include "source/poller.h"
#include "source/recall.h"

enum {
    SUBMIT_RUNS = 500,            /* reports handed over at once */
    SUBMIT_BYTES = 4 << 20,
    FOLLOW_MOST = 20,             /* long runs that are followed by id instead of widening the window */
    LATE_MOST = 10000,            /* runs whose details are fetched when there is time */
    POSITION_EVERY_MS = 30000,    /* how often a position without news is stored, unless rules wait for what does not come */
    PROBE_EVERY_MS = 3600000      /* how often a server without the query endpoint is asked again */
};

/* Where a source is. Stored as JSON with what was found up to there. */
struct position {
    bool known;
    enum source_method method;    /* that it was reached by */
    bool attempts;                /* query: whoever was retried up to here has been told of */
    int64_t start_ms;             /* when the source was first looked through: what ended before is history */
    int64_t told_ms;              /* what finished before is told, as far as rules asked for it */
    int64_t from_ms;              /* list: of what was created before, only `follow` can still end */
    VEC(struct str) follow;       /* list: ids of active runs created before; in `texts` */
    struct arena texts;
};
struct query_cursor { /* the last row of the page before; it outlives the page */
    int64_t ms;
    char id[129];
    size_t id_n;                  /* 0 = none: from ms on */
};
enum history_state { HISTORY_NONE, HISTORY_RUNNING, HISTORY_DONE };
struct history {                  /* an import */
    enum history_state state;
    bool loaded;
    int64_t since_ms, until_ms;
    struct query_cursor at;
    uint64_t runs;
    char trouble[160];
};
struct list_window { int64_t asked_ms, from_ms; };
struct poll_status { /* copied whole under the lock */
    bool ok, tried;
    char trouble[240];            /* why it is not ok */
    enum source_method method;    /* AUTO = not settled */
    char why_method[160];
    char blind[480];              /* which rules it cannot see by that method */
    char again[160];              /* what went wrong at the last try of a request that is being made again */
    struct api_usage usage;
    int64_t limit, remaining;
    double per_minute;
    uint64_t looks, transitions, thin, live_reports;
    int64_t lag_ms, newest_ms, look_ms, last_ok_ms, failing_since_ms;
    size_t active, late;
    struct history history;
    char env[128];                /* slug that runs name */
    bool live, live_ok;
    char live_trouble[160];
};
struct poll {
    struct pollers *all;
    struct str name;              /* lives in the config of `settings` */
    struct config *settings;      /* the generation whose source settings this poller runs by */
    const struct config_source *source;
    struct config *rules;         /* the generation whose rules are in force */
    struct arena demand_arena;
    struct rule_demand demand;
    struct rule_scratch scratch;
    VEC(const struct rule *) detail_rules;  /* that read what the method's rows do not tell */
    VEC(const struct rule *) attempt_rules; /* that ask for retries */
    uint32_t tells;               /* RUN_HAS_* that a row of the method would have */
    struct api api;
    enum source_method method;    /* in use; AUTO = to be settled */
    int64_t probe_ms;             /* mono: when to look for the query endpoint again */
    struct position position;
    int64_t position_stored_ms;   /* mono */
    int64_t floor_ms;             /* list: what ended before was not asked for, or told; RUN_TIME_NONE = to be settled */
    VEC(struct list_window) windows; /* list: of the looks within the overlap */
    int64_t base_from_ms;         /* list: where the window of the look at hand begins by what was active before */
    struct recall recall;
    uint64_t round;
    size_t page_size;             /* list: shrunk while pages are too large */
    uint32_t refused_states;      /* list: bits by place in its table, of names the server does not know */
    struct arena arena;           /* of a look */
    VEC(struct run) found;        /* of a look, to be handed over */
    bool rereading;               /* what is found was asked for by its id, just now */
    size_t found_bytes;
    VEC(struct run) needy;        /* of a look: found, but rules want their details first */
    struct arena details_arena;   /* of those that were fetched since the last hand-over */
    int64_t details_left_ms;      /* of the look: how long details may still take */
    VEC(struct str) late;         /* ids whose details come when there is time; heap. Stored with the position */
    int64_t late_pause_ms;        /* mono: not before */
    int64_t late_backoff_ms;      /* 0 = the last one came */
    int64_t server_ms;            /* the server's clock at the start of the look */
    int64_t newest_ms;            /* event time of the newest thing seen */
    uint64_t transitions, looks, thin;
    struct history history;
    size_t unasked;               /* list: active runs whose attempts there was no time to ask for, in the last look */
    int64_t behind_ms;            /* mono: since when details have not been keeping up; 0 = they do */
    size_t active;                /* runs that were active and of interest, in the last look */
    int64_t failing_since_ms;     /* wall; 0 = fine */
    int64_t failing_mono_ms;      /* the same, to count by */
    bool faulted;                 /* the operator has heard */

    pthread_t thread, live_thread;
    bool started, live_started;
    struct fetch *live_fetch;
    pthread_mutex_t lock;         /* what follows */
    struct config *next_rules, *live_rules;
    char env[128];                /* slug of the environment, as learned from a row; "" = not yet */
    int64_t import_since_ms;      /* an import that is wished for; 0 = none */
    int64_t start_ms;             /* the position's; RUN_TIME_NONE = not known yet */
    struct poll_hints { struct str *v; size_t n, cap; struct arena texts; } hints; /* ids to be retrieved soon */
    struct poll_status status;
};
struct pollers {
    struct clock *clock;
    struct poller_sink sink;
    pthread_mutex_t lock;         /* the list */
    VEC(struct poll *) polls;
};

/* pollers.c */
struct poll *poll_make(struct pollers *all, struct config *c, const struct config_source *s); /* no thread of its own yet */
void poll_free(struct poll *p);
struct poll *poll_named(struct pollers *all, struct str source); /* with all->lock held; NULL = there is none */
/* poll.c */
void poll_take_rules(struct poll *p);
enum api_outcome poll_settle(struct poll *p, struct err *err); /* which method works */
uint32_t poll_tells(enum source_method m); /* RUN_HAS_* that its rows tell */
const char *poll_remedy(enum api_outcome outcome); /* what to do about it: " - is the key right ...", or "" */
void *poll_run(void *poll); /* the thread */
int64_t poll_mono(const struct poll *p);
int64_t poll_wall(const struct poll *p);
void poll_say(struct poll *p);    /* copies figures into the status */
void poll_reset(struct poll *p);  /* drops what was found and not handed over, with its memory */
void poll_hint(struct poll *p, struct str id); /* any thread: to be retrieved soon */
void poll_learn_env(struct poll *p, struct str env);
struct str poll_env(const struct poll *p); /* of runs whose report does not name it; poller's thread. STR_NONE = not known */
void poll_learn_start(struct poll *p);
void poll_say_blind(struct poll *p, struct str text); /* to people, and to the operator; STR_NONE = it sees everything */
size_t names_bytes(const struct rule_names *names);
/* hand.c: what was found goes to the pipeline. */
void poll_found(struct poll *p, const struct run *run);      /* kept until poll_hand_over; slices must live in p->arena */
int poll_hand_over(struct poll *p, bool with_position, struct err *err);
/* position.c */
int position_load(struct poll *p, struct err *err);
struct str position_text(const struct poll *p, struct arena *a);
/* A position reached by queries, taken up by lists, gets a window that reaches back: what was active then is not known,
 * only what had finished. The other way round nothing is lost. */
void position_is_of(struct position *at, enum source_method m);
/* The server's clock says now_ms. A position ahead of it was told by a clock that has been set back since: what ends now
 * would be taken for told. True: it was moved back. */
bool position_rewind(struct poll *p, int64_t now_ms);
void position_follow(struct position *at, struct str id);
void position_clear_follow(struct position *at);
void position_fini(struct position *at);
/* details.c: what the rows of a method do not tell is fetched by id for the runs whose rules read it. */
void details_prepare(struct poll *p); /* after a change of rules or method */
bool details_attempts(struct poll *p, const struct run *run); /* does some rule ask how often it was tried? */
/* Retrieves by id: API_OK with *out filled, in a; missing fields are taken from thin. */
enum api_outcome details_get(struct poll *p, struct arena *a, struct str id, const struct run *thin, struct run *out, struct err *err);
/* Takes a run that was found: to be handed over at once, or when its details are there. */
void details_take(struct poll *p, struct run *run);
void details_begin(struct poll *p); /* of a look */
/* Fetches the details of those that wait for them, as many as the budget allows in time, and hands them over in portions;
 * the others go without, and theirs come later. What is left is then ready to be handed over. -1: interrupted. */
int details_settle(struct poll *p, struct err *err);
int details_late(struct poll *p, int64_t until_mono_ms, struct err *err); /* those put off, while there is time */
void details_put_off(struct poll *p, struct str id);
void details_fini(struct poll *p);
/* query.c */
struct str query_cursor_id(const struct query_cursor *at);
void query_cursor_set(struct query_cursor *at, struct str id);
/* history.c */
int history_load(struct poll *p, struct err *err);
/* One page of an import, stored. *last: there are no more. Of another outcome than API_OK nothing is kept. */
enum api_outcome history_step(struct poll *p, bool *last, struct err *err);
void history_go_on(struct poll *p, int64_t until_mono_ms); /* pages of an import, while there is time and room */
/* query.c, list.c: one look. */
enum api_outcome query_look(struct poll *p, struct err *err);
enum api_outcome query_probe(struct poll *p, struct err *err); /* does the server answer queries? */
enum api_outcome list_look(struct poll *p, struct err *err);
void poll_say_again(void *poll, const struct err *err); /* of a request that is made again; NULL: it is over */
/* blind.c */
void blind_check(struct poll *p); /* after a change of rules or method */
/* live.c */
void *live_run(void *poll);
#endif
