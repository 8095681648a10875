/* transition: which reports change what is known of a run, and which are duplicates or fuller reports of a
 * known transition (design.md section 1, rule-language.md section 4). Pure. */
#ifndef RUN_TRANSITION_H
#define RUN_TRANSITION_H
#include "run/run.h"

/* What is remembered of a run between reports; stored per (project, env, run). */
struct run_seen { /* one known transition */
    int64_t event_ms;
    enum run_state state;
    struct str spelling;     /* for RUN_UNKNOWN: its exact text; else STR_NONE */
    int64_t attempt;         /* of a REATTEMPTING; else 0 */
    uint32_t present;        /* union of RUN_HAS_* over all its reports, carried-over fields included */
    uint64_t event_id;       /* its first report in the log */
    bool derived;            /* a REATTEMPTING never reported as such: not a state the run was in */
};
struct run_known { /* zero: a run never heard of */
    bool exists;
    struct run_seen *seen;   /* by event_ms, then arrival; at most RUN_SEEN_MAX, oldest active ones fall out first */
    size_t seen_count;
    int64_t attempts_known;  /* highest attempt number known; 0 = none */
    /* Identity carried over to later reports that lack it: */
    struct str task, version, queue, root, parent, schedule, batch;
    struct str *tags;
    size_t tag_count;
    int64_t created_ms, started_ms;
    bool test;
    uint32_t present;        /* which of those are known; RUN_HAS_ATTEMPT: a report told a number */
};
enum { RUN_SEEN_MAX = 64 };

enum transition_kind {
    TRANSITION_NEW,      /* evaluate all rules */
    TRANSITION_FULLER,   /* evaluate rules that read a field in `gained` */
    TRANSITION_DUPLICATE /* nothing new */
};
struct transition {
    enum transition_kind kind;
    enum run_state state;    /* REATTEMPTING for derived ones; else the report's */
    bool derived;            /* derived REATTEMPTING: does not change the run's state */
    bool current;            /* the latest known by event time (a late one never moves the state back); a
                              * final state always is. Derived: its report is not late */
    int64_t attempt;         /* REATTEMPTING: the attempt about to run; else the run's attempt */
    int64_t event_ms;
    uint32_t gained;         /* FULLER: RUN_HAS_* that were absent in every report before */
    uint64_t event_id;       /* the transition's first report in the log; DUPLICATE of a forgotten one: 0 */
};
enum { TRANSITIONS_MAX = 64 }; /* of one report; of more new attempts than fit the latest are told */

/* Judges one report against what is known, and updates known in place: new parts of it live in a or borrow
 * what the report's slices borrow. The report gets
 * carried-over identity fields filled in (its `present` keeps saying what it brought itself) and its
 * `attempt` set. source_start_ms: runs created before it yield no derived transitions at first sight.
 * Gives the number of transitions (at least 1; a pure duplicate is one entry of kind DUPLICATE), oldest
 * first. event_id is recorded with new transitions. */
size_t run_transitions(struct arena *a, struct run *report, struct run_known *known, int64_t arrival_ms,
                       int64_t source_start_ms, uint64_t event_id, struct transition out[TRANSITIONS_MAX]);
/* The transition that the run's state now is: a final one, else the latest that was reported as such. NULL: none is known. */
const struct run_seen *run_known_state(const struct run_known *known);
/* Is the run known to have completed since t? Then a retry told late, or in the report of the success itself, is over. */
bool run_succeeded_since(const struct run_known *known, const struct transition *t);

/* Compact JSON, as kept in the store's run row; known_restore(known_write(k)) == k. */
void run_known_write(const struct run_known *k, struct json_writer *w);
int run_known_restore(struct arena *a, struct json object, struct run_known *out, struct err *err) WUR;
#endif
