/* recall: what a poller remembers of runs between its looks, so that what it has seen is not told again. Bounded by the
 * runs that are active or within reach of the next look. One thread. */
#ifndef SOURCE_RECALL_H
#define SOURCE_RECALL_H
#include "base/map.h"
#include "run/run.h"

struct recalled {
    struct str id;          /* lives behind it */
    enum run_state state;
    int64_t attempt;        /* highest known to have begun; -1 = not known */
    int64_t created_ms, updated_ms, finished_ms; /* by the server; RUN_TIME_NONE */
    int64_t asked_ms;       /* updated_ms when the run was last retrieved; RUN_TIME_NONE = never */
    uint64_t round;         /* the look that saw it last */
    int64_t seen_ms;        /* when that was, by the server */
    struct str env;         /* slug, in the recall's own arena: there are few */
};
struct recall {
    struct map runs;        /* id -> struct recalled */
    struct map envs;
    struct arena texts;
};
struct recalled *recall_get(const struct recall *r, struct str id); /* NULL: not known */
struct recalled *recall_note(struct recall *r, const struct run *run); /* made anew when it is not known; fields as in the run */
void recall_forget(struct recall *r, struct recalled *run);
bool recalled_is_final(const struct recalled *run);
void recall_fini(struct recall *r);
#endif
