/* explain: why each rule did or did not fire for a run of the store: what every clause saw, what the window held, the
 * incident that was joined, what held its messages back, and what it waits for. Reads only. One thread. */
#ifndef REPLAY_EXPLAIN_H
#define REPLAY_EXPLAIN_H
#include "config/config.h"
#include "store/store.h"

struct explain_setup {
    const struct config *config;
    struct store_reader *reader;
    struct arena *arena;           /* for all that is read */
    struct str run, project, env;  /* project, env: STR_NONE = any */
    int64_t deadline_ms;           /* monotonic: windows are counted again from the log until then */
};
/* {"id", "seen": [{"project", "env", "task", "transitions": [{"state", "status", ..., "rules": [...]}]}]}, one of `seen`
 * for each environment the run was met in. 1, 0 when the run was never seen (nothing is written), -1 with err. */
int explain_run(const struct explain_setup *s, struct json_writer *w, struct err *err) WUR;
#endif
