/* seen: which of the names that rules write out are found in a log: tasks, tags, queues, environments. The log is read from
 * the newest event back until all are found, or it ends, or time is up; what is held is the distinct names, not the events.
 * One thread. */
#ifndef REPLAY_SEEN_H
#define REPLAY_SEEN_H
#include "base/map.h"
#include "rule/rule.h"
#include "store/store.h"

enum { SEEN_TASKS, SEEN_TAGS, SEEN_QUEUES, SEEN_ENVS, SEEN_FIELDS, SEEN_DISTINCT_MAX = 20000 };
struct seen_field {
    enum rule_field_id id;
    struct map names;        /* distinct ones */
    VEC(struct str) list;    /* the same, as they came; at most SEEN_DISTINCT_MAX, and `more` says so */
    bool more;
};
struct seen_name { struct rule_named named; bool found; };
struct seen {
    struct seen_name *wanted;
    size_t wanted_count, missing;
    struct seen_field fields[SEEN_FIELDS];
    struct arena arena, scratch;
    uint64_t events;
    int64_t oldest_ms;       /* arrival of the oldest event that was read; 0 = there is none */
    bool cut_short;          /* time was up: older events were not read */
};
int seen_read(struct seen *s, const struct ruleset *rs, struct store_reader *r, int64_t deadline_ms, struct err *err) WUR; /* monotonic */
void seen_fini(struct seen *s);
/* The name seen that is nearest to one that was not; STR_NONE when none is near. */
struct str seen_nearest(const struct seen *s, const struct rule_named *n);
const struct seen_field *seen_field_of(const struct seen *s, enum rule_field_id id);
#endif
