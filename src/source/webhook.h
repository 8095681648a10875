/* source/webhook: one HTTP body -> run reports. Pure: no clock, no I/O.
 * A body is one run object, {"run": {...}}, a JSON array of those, a page of the runs API ({"data": [...]}),
 * or NDJSON: one of those objects per line. An item that cannot be taken is a fault of its own; the rest is
 * taken. Reports borrow from the body and from the arena: both must outlive them. */
#ifndef SOURCE_WEBHOOK_H
#define SOURCE_WEBHOOK_H
#include "base/arena.h"
#include "config/config.h"
#include "run/run.h"

struct source_report {
    struct run run; /* project and env settled: source_settle */
    size_t index;   /* which item of the body, from 0 */
};
struct source_fault {
    size_t index;
    struct str text; /* for people: names the member that is missing or wrong */
};
enum source_result {
    SOURCE_DECODED,  /* at least one report */
    SOURCE_NOTHING,  /* valid JSON, but nothing in it could be taken; err says why */
    SOURCE_UNKNOWN,  /* sound, but of a type that is not known: taken, kept with err as the reason; one fault says so */
    SOURCE_NOT_JSON, /* err has line and column, out->offset the byte */
    SOURCE_TOO_LARGE /* more items or tokens than the limits; err says which */
};
struct source_batch {
    struct source_report *reports;
    size_t report_count;
    struct source_fault *faults;
    size_t fault_count;
    size_t offset; /* SOURCE_NOT_JSON: 0-based byte of the mistake */
};

/* ndjson: the sender says so; without it several root objects on lines of their own are noticed anyway.
 * items_max: most items of one body (limits.batch). err is filled for every result but SOURCE_DECODED. */
enum source_result source_webhook_decode(struct arena *a, const struct config_source *source, struct str body,
                                         bool ndjson, size_t items_max, struct source_batch *out,
                                         struct err *err);
/* Settles project and env (rule-language.md section 1, point 4): the source's own, else for env the event's
 * slug, else "default"; a project that an event names is not believed, since polling could not see it. */
void source_settle(const struct config_source *source, struct run *run);
/* One of Trigger.dev's alerts, of any version: what a source of type trigger-webhook takes. */
bool source_is_alert(struct json root);
#endif
