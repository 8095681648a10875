/* run: the domain. A run snapshot, its states in every spelling (rule-language.md section 4), and how one
 * is read from the JSON shapes that Trigger.dev, its hooks and the seed use (trigger-dev-api.md 1.5, 2.3,
 * 3). Pure. Slices borrow from the document or arena they were decoded into. */
#ifndef RUN_RUN_H
#define RUN_RUN_H
#include "base/err.h"
#include "base/str.h"
#include "json/json.h"

enum run_state {
    RUN_UNKNOWN, /* kept as text, treated as active */
    RUN_DELAYED, RUN_QUEUED, RUN_PENDING_VERSION, RUN_DEQUEUED, RUN_EXECUTING, RUN_REATTEMPTING, RUN_WAITING,
    RUN_COMPLETED, RUN_FAILED, RUN_CRASHED, RUN_SYSTEM_FAILURE, RUN_FAILED_TO_RUN, RUN_INTERRUPTED,
    RUN_TIMED_OUT, RUN_EXPIRED, RUN_CANCELED,
    RUN_STATES
};
enum run_class { /* bits */
    RUN_CLASS_ACTIVE = 1, RUN_CLASS_RETRYING = 2, RUN_CLASS_FINISHED = 4, RUN_CLASS_SUCCESS = 8, RUN_CLASS_FAILED = 16
};
/* Any spelling, UI titles too: case, blanks, '-' and '_' do not matter. RUN_UNKNOWN otherwise. */
enum run_state run_state_parse(struct str spelling);
const char *run_state_name(enum run_state s);        /* "TIMED_OUT"; "" for RUN_UNKNOWN */
unsigned run_state_class(enum run_state s);          /* RUN_CLASS_* bits */
bool run_class_parse(struct str name, unsigned *class_bit); /* "failed", "success", "finished", "active", "retrying" */
/* All spellings the table knows, for suggestions; NULL-terminated. */
const char *const *run_state_spellings(void);

#define RUN_TIME_NONE INT64_MIN
enum { RUN_STARTS_MAX = 256, RUN_ATTEMPT_MAX = 1000000, RUN_NAME_MAX = 4096 /* bytes of a name or tag */ };

/* Bits of run.present: which fields the report itself carried (not what was carried over). */
enum run_field {
    RUN_HAS_TASK = 1 << 0, RUN_HAS_TAGS = 1 << 1, RUN_HAS_VERSION = 1 << 2, RUN_HAS_QUEUE = 1 << 3,
    RUN_HAS_ROOT = 1 << 4, RUN_HAS_PARENT = 1 << 5, RUN_HAS_MACHINE = 1 << 6, RUN_HAS_REGION = 1 << 7,
    RUN_HAS_SCHEDULE = 1 << 8, RUN_HAS_BATCH = 1 << 9, RUN_HAS_TEST = 1 << 10, RUN_HAS_ATTEMPT = 1 << 11,
    RUN_HAS_CREATED = 1 << 12, RUN_HAS_UPDATED = 1 << 13, RUN_HAS_STARTED = 1 << 14, RUN_HAS_FINISHED = 1 << 15,
    RUN_HAS_DELAYED = 1 << 16, RUN_HAS_COST = 1 << 17, RUN_HAS_ERROR = 1 << 18, RUN_HAS_METADATA = 1 << 19,
    RUN_HAS_STATE = 1 << 20 /* the exact state is known (a legacy webhook only says "failed") */
};

struct run_error {
    struct str name, message, code, stack; /* code: INTERNAL_ERROR's, also parsed out of "(CODE)" */
};
struct run {
    struct str id, task, project, env, version, queue, root, parent, machine, region, schedule, batch, kind;
    enum run_state state;
    struct str spelling;      /* the sender's own word for the state */
    bool test;
    struct str *tags;
    size_t tag_count;
    int64_t created_ms, updated_ms, started_ms, finished_ms, delayed_ms; /* wall; RUN_TIME_NONE = absent */
    int64_t duration_ms;      /* as reported (durationMs); RUN_TIME_NONE = absent */
    int64_t attempt;          /* this report is about; 0 = unknown. run_transitions settles it */
    int64_t attempts_finished, attempts_listed; /* from attempts[]; -1 = not listed */
    int64_t attempt_count;    /* attemptCount as reported; -1 = absent */
    int64_t *attempt_starts_ms; /* from attempts[], ascending: [0] is attempt 1's */
    size_t attempt_start_count; /* at most RUN_STARTS_MAX; the count above goes on */
    double cost_cents;
    struct run_error error;   /* the run's, else the last finished attempt's */
    struct json metadata;     /* object or absent */
    struct str dashboard_url;
    uint32_t present;         /* RUN_HAS_* */
};
/* A fresh one: times NONE, counts -1, the rest zero. */
void run_init(struct run *r);

/* Reads one run object: the seed's shape and the API's (null and absent are alike; unknown members are
 * ignored; payload and output are checked as JSON by the reader and not looked at). project and env of the
 * object are read too. -1 with ERR_TYPE when there is no usable id (^run_[A-Za-z0-9]{1,64}$; other ids are
 * taken when 1..128 bytes of printable ASCII without blanks), no status, or a member has a wrong type: the
 * message names the member. `kind` is run unless the object says deployment or error. */
int run_decode(struct arena *a, struct json object, struct run *out, struct err *err) WUR;
/* The same of a report that only says "failed": status is not looked at, the exact state is unknown
 * (RUN_FAILED without RUN_HAS_STATE). */
int run_decode_failed(struct arena *a, struct json object, struct run *out, struct err *err) WUR;
/* An error in any of its shapes: text, {name, message, stack}, Trigger.dev's four types. *found: there was something
 * in it; else *out is untouched. */
int run_error_decode(struct json v, struct run_error *out, bool *found, struct err *err) WUR;
bool run_id_usable(struct str id); /* 1..128 bytes of printable ASCII without blanks */
/* The normalised snapshot as stored in the log and shown by the API: our own field names (rule-language.md
 * section 1.3), times as epoch ms, metadata raw; no payload, no output. run_restore(run_write(r)) == r. */
void run_write(const struct run *r, struct json_writer *w);
int run_restore(struct arena *a, struct json object, struct run *out, struct err *err) WUR;

/* error.fingerprint: 16 hex digits over name, message with digits and ids masked, first own stack frame;
 * over name and code alone where there is a code, because Trigger.dev's API then hides message and stack
 * and its webhooks do not. STR_NONE without an error. */
struct str run_error_fingerprint(struct arena *a, const struct run *r);
/* When attempt (1 = first) began, as listed by the report; RUN_TIME_NONE = not told. */
int64_t run_attempt_start(const struct run *r, int64_t attempt);
/* When it happened by the run's own clock: finishedAt for a final state, the attempt's start for
 * REATTEMPTING where known, else updatedAt, else arrival; never later than arrival + 5 min. */
int64_t run_event_time(const struct run *r, int64_t arrival_ms);
#endif
