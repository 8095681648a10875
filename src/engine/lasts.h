/* lasts: runs that are watched because they are in a state of a rule with `lasts` (rule-language.md section 5). A run
 * that is a hit of some rules has a stay in each of them; when a stay is over its time, it is ripe, and its run counts
 * for the key. For lasts.c and watched.c. */
#ifndef ENGINE_LASTS_H
#define ENGINE_LASTS_H
#include "engine/engine_internal.h"

struct crowd { /* the stays of one (rule, project, env, key), ripe or not; gone with the last of them */
    struct engine_rule *rule;
    struct part *part;
    struct str key;
    uint32_t hash;
    uint32_t still;          /* ripe ones: what an incident of the key is about */
    struct member *members;
};
struct member { /* a stay in one of its keys */
    struct crowd *crowd;     /* NULL: it has left */
    struct watched *run;
    struct member *before, *after;
    bool counts;             /* in crowd.still */
};
enum stay_phase { STAY_WAITS, STAY_RIPE, STAY_ASKED /* over its time, and the run is being read again */ }; /* stored */
struct stay {
    struct engine_rule *rule;
    int64_t since_ms;        /* by the run's clock */
    int64_t due_ms;          /* what its phase waits for: its time to be over, an answer, or that it is forgotten */
    int64_t overdue_ms;      /* asked: how late its timer fired */
    struct member *members;
    uint16_t member_count;
    uint8_t phase;           /* enum stay_phase */
};
struct watched { /* by the 100,000; its id lies behind it */
    struct timer timer;      /* the earliest of its stays */
    struct part *part;
    struct stay *stays;
    char *detail;            /* the run in the state it is in: detail_write's text; NULL = paged out */
    struct watched *older, *newer; /* with a detail in memory, by when it came there */
    uint64_t event_id;       /* of the report that told that state first */
    int64_t at_ms;           /* since when it is in it, and in this attempt */
    uint32_t hash, id_bytes, detail_bytes, stay_count;
    bool dirty, stored, ended;
};
struct lasts {
    struct index runs, crowds;
    VEC(struct watched *) dirty; /* ended ones, too: they are freed when that has been handed out */
    size_t rules;            /* in force */
    size_t asked;            /* stays that wait for an answer */
    struct watched *oldest, *newest; /* with a detail in memory */
    size_t detail_bytes;
    bool lost;               /* a detail could not be read back where that could not be told: the next step fails */
    uint32_t reads;          /* RUN_HAS_* that they read */
    struct str names;        /* those rules with their shapes, as stored; heap */
    bool names_dirty;
    bool news;               /* one came or changed: what is watched is to be looked at again */
    struct rule_scratch scratch;
};

/* A run as it is now. */
struct look {
    struct step_context *c;
    struct watched *w;                /* NULL: not watched yet */
    const struct run_known *known;
    struct run run;
    struct transition t;              /* into the state it is in */
    struct str dashboard;
    struct rule_subject subject;
    bool fresh;                       /* as this report tells it, and not as it was kept */
    bool whole;                       /* all that rules read is there */
    bool born;                        /* watched since this very look */
    bool old;                         /* too old to begin a stay */
    bool answered;                    /* its source has just been asked */
    bool unconfirmed;                 /* it was to be asked, and did not answer */
};
/* lasts.c */
bool look_at_kept(struct look *l); /* false: it could not be read */
void look_end(struct look *l);
void lasts_ripe(struct look *l, struct stay *s); /* it counts from now on */
/* confirm.c. True: the stay waits for an answer first. */
bool confirm_asks(struct look *l, struct stay *s);
void confirm_answered(struct look *l);
/* watched.c */
void stay_set_phase(struct engine *e, struct stay *s, enum stay_phase phase);
void lasts_note_coming(struct engine *e, int64_t now_ms); /* of rules that have come */
static inline struct str watched_id(const struct watched *w)
{
    return (struct str){ (const char *)(w + 1), w->id_bytes };
}
struct watched *watched_find(const struct engine *e, struct str project, struct str env, struct str run);
struct watched *watched_new(struct engine *e, struct part *p, struct str run);
void watched_touch(struct engine *e, struct watched *w);
void watched_rearm(struct engine *e, struct watched *w);
void watched_keep_detail(struct engine *e, struct watched *w, struct str text);
int watched_page_in(struct engine *e, struct watched *w, struct err *err) WUR;
/* Out of the index; freed by the next collect. Its stays must have been ended. */
void watched_forget(struct engine *e, struct watched *w);
/* All of them, in an order that is the same in every run; heap. */
struct watched **watched_all(const struct engine *e, size_t *n);
struct stay *stay_find(const struct watched *w, const struct engine_rule *r);
struct stay *stay_add(struct watched *w, struct engine_rule *r); /* those had before have moved */
void stay_remove(struct engine *e, struct watched *w, struct stay *s); /* those behind it move up */
void stay_set_keys(struct engine *e, struct watched *w, struct stay *s, const struct str *keys, size_t n); /* of one that has none */
bool stay_has_key(const struct stay *s, struct str key);
struct crowd *crowd_find(const struct engine *e, const struct engine_rule *r, const struct part *p, struct str key);
struct crowd *crowd_get(struct engine *e, struct engine_rule *r, struct part *p, struct str key);
void member_join(struct member *m, struct crowd *crowd, struct watched *w);
void member_leave(struct engine *e, struct member *m); /* its crowd may go with it */
#endif
