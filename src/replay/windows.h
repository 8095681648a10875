/* windows: what the windows of the rules' conditions held when the transitions of one run were evaluated: the log is
 * folded again, up to there. One thread. */
#ifndef REPLAY_WINDOWS_H
#define REPLAY_WINDOWS_H
#include "config/config.h"
#include "engine/engine.h"
#include "store/store.h"

/* The windows of the keys that a transition stands under, as JSON objects in a. Empty: the rule looks at no window, or the
 * transition is nothing to it. *holds: does the condition, in one of them? */
struct str windows_text(struct engine *e, const struct rule *r, struct rule_subject *s, struct arena *a, bool *holds);
/* Is it a hit, or one of the runs that the condition looks at? */
bool windows_concern(const struct rule *r, struct rule_subject *s);
/* `first` is asked before a step, the others behind it. */
bool windows_asked_before(const struct rule *r);

enum { WINDOWS_EVENTS_MAX = 200000 }; /* what they make known of runs is held in memory */
struct windows_setup {
    const struct config *config;
    struct store_reader *reader;
    struct arena *arena;
    const struct store_run *run;
    const struct run_known *known;
    int64_t deadline_ms; /* monotonic */
    uint64_t events_max; /* folded at most; 0 = WINDOWS_EVENTS_MAX */
};
struct window_seen { uint64_t event; int64_t attempt; enum run_state state; struct str rule, text; bool holds; };
struct windows {
    struct windows_setup setup;
    VEC(struct window_seen) list;
    int64_t from_ms, back_ms; /* the log was folded from there on, so much before the run's first; 0 = no rule looks at a window */
    bool cut_short;           /* the log was too long */
};
int windows_read(struct windows *w, const struct windows_setup *setup, struct err *err) WUR;
void windows_fini(struct windows *w);
/* NULL: none is known. */
const struct window_seen *windows_find(const struct windows *w, struct str rule, uint64_t event, const struct transition *t);
#endif
