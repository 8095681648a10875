/* engine: the fold. engine_step(state, input) -> decisions. Pure: no clock, no I/O, no randomness; the same
 * inputs under the same rules give the same outputs, byte for byte (design.md section 2). One thread.
 *
 * State is paged: what an incident needs only to speak (the last hit's details) may be dropped from memory by
 * engine_trim and is asked back through engine_detail_fn, which gives exactly what was handed out in a
 * change row before. That is part of the state, not input: answers do not depend on it. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H
#include "base/id.h"
#include "base/vec.h"
#include "message/message.h"
#include "rule/rule.h"

#define ENGINE_NEVER INT64_MAX

enum incident_state { INCIDENT_PENDING, INCIDENT_OPEN, INCIDENT_ACKNOWLEDGED, INCIDENT_RESOLVED };
const char *incident_state_name(enum incident_state s);

struct engine_limits { /* 0 = the default */
    size_t window_entries;    /* kept per key; older ones collapse into a counter */
    size_t keys_per_rule;     /* open incidents of one rule; above it hits join the key "(overflow)" */
    size_t runs_per_incident; /* distinct runs remembered; above it they are only counted */
    size_t watched_runs;      /* that are in a state of a rule with `lasts`; above it the operator is told that some are not watched */
};
extern const struct engine_limits engine_default_limits;

/* Detail of an incident, as last handed out; 0, or -1 when it could not be read (the step then fails). */
typedef int (*engine_detail_fn)(void *ctx, uint64_t incident, struct arena *a, struct str *detail);
/* The same of a cell, by its key. */
typedef int (*engine_cell_fn)(void *ctx, struct str key, struct arena *a, struct str *blob);
struct engine_setup {
    const struct ruleset *rules; /* borrowed until the next engine_reload or engine_free */
    struct engine_limits limits;
    engine_detail_fn detail; /* NULL: nothing is ever trimmed */
    engine_cell_fn cell;     /* NULL: the same of runs that are watched */
    void *detail_ctx;        /* of both */
    struct str public_url;   /* for incident links; STR_NONE = none */
    bool rereads;            /* who drives it can have a run read again at its source: else rules with `confirm` open at once */
};
struct engine;
struct engine *engine_new(const struct engine_setup *setup);
void engine_free(struct engine **e);

/* --- inputs ------------------------------------------------------------------------------------------- */
enum engine_input_kind { ENGINE_EVENT, ENGINE_TICK, ENGINE_COMMAND, ENGINE_VERDICT, ENGINE_FAULT, ENGINE_SOURCES, ENGINE_UNREAD };
/* Who brings events, and how far it is: what was not heard of may have happened all the same. An engine that was never told of its
 * sources takes everything for heard: in a replay, that is so. */
struct engine_source {
    struct str name, project, env; /* env STR_NONE: any */
    uint32_t states, fields;       /* that it can ever tell: bits of enum run_state; RUN_HAS_* */
    int64_t heard_ms;              /* since then it listens */
    int64_t told_ms;               /* all that happened until then it has told; ENGINE_NEVER: it tells at once */
};
enum { ENGINE_SILENCES_MOST = 1000 }; /* in force at once; and so many are kept after their end */
enum engine_command { ENGINE_ACK, ENGINE_RESOLVE, ENGINE_SNOOZE, ENGINE_SILENCE, ENGINE_SILENCE_END };
struct engine_input {
    enum engine_input_kind kind;
    int64_t now_ms; /* wall time of arrival; never goes back within one engine (the caller clamps) */
    union {
        struct { /* one transition of one report; a duplicate is looked at by rules with `lasts` that have not seen its run yet */
            const struct run *run;
            const struct transition *transition;
            uint64_t event_id;
            struct str dashboard; /* the source's, for links; STR_NONE */
            bool since_succeeded; /* the run is already known to have succeeded after this transition */
            bool reread;          /* its source has just been asked for the run */
            bool recorded_only;   /* too old to be evaluated (ignore_older): no rule begins with it, but a run that is watched may leave */
            const struct run_known *known; /* all that is known of the run, this report included; NULL: the transition alone */
        } event;
        struct engine_command_input {
            enum engine_command what;
            uint64_t incident;     /* ENGINE_SILENCE_END: the silence */
            struct str who, why;
            int64_t for_ms;        /* ENGINE_SNOOZE, ENGINE_SILENCE: at most */
            struct str rule, when; /* ENGINE_SILENCE: hits of this rule, and hits that meet this; at least one of them */
            bool until_resolved;   /* ENGINE_SILENCE: ends with the last incident that it holds, for_ms at the latest */
        } command;
        struct { uint64_t delivery, incident; struct str destination, lane; bool delivered; /* else dead */ struct str detail; } verdict;
        struct { const struct engine_source *v; size_t n; } sources; /* all there are; copied */
        struct { struct str project, env, run; } unread; /* no source can read this run again, as was asked for */
        struct { struct str topic, title, body; } fault; /* runbell's own: told to the operator, once per topic and hour */
    } u;
};

/* --- outputs ------------------------------------------------------------------------------------------ */
struct engine_message { /* becomes a delivery row */
    uint64_t delivery, message, incident; /* incident 0: operator, digest */
    struct str destination, params;       /* params: JSON object of rendered {to: X, ...} values, or STR_NONE */
    struct str lane;                      /* messages of one (destination, lane) go out in order */
    enum message_kind kind;
    struct str content;                   /* message_write's JSON */
};
struct engine_note { /* the incident's timeline, and the answer to "why" */
    uint64_t incident;
    int64_t at_ms;
    const char *what;  /* "opened", "hit", "told", "limited", "escalated", "acknowledged", "resolved", ... */
    struct str body;   /* JSON object: event, run, destination, reason, ... */
};
struct engine_reread { struct str project, env, run; }; /* to be read again at its source, and told by an event */
struct engine_output {
    struct arena *arena; /* everything below lives here */
    VEC(struct engine_message) messages;
    VEC(struct engine_note) notes;
    VEC(struct engine_reread) rereads;
    uint64_t hits;           /* rules hit by this input */
    int command_result;      /* ENGINE_COMMAND: 0, or -1 when there is no such open incident or silence, `when` is wrong, or there are too many silences */
    uint64_t command_id;     /* ENGINE_SILENCE: of the new one */
};
void engine_output_init(struct engine_output *o, struct arena *a);
void engine_output_fini(struct engine_output *o);

/* 0, or -1 when a detail could not be paged in: the state is then undefined, reload it from the store. */
int engine_step(struct engine *e, const struct engine_input *in, struct engine_output *out, struct err *err) WUR;
/* Wall time of the next due timer, or ENGINE_NEVER: give ENGINE_TICK at or after it. One tick fires 10,000 at most: when this is still
 * over afterwards, give it another one, as a batch of its own. */
int64_t engine_next_due(const struct engine *e);
/* Switches rules (whole or not at all is the caller's part): rules whose shape changed, and rules gone,
 * resolve their incidents as "rule changed" / "rule removed"; all else goes on under the new settings. */
int engine_reload(struct engine *e, const struct ruleset *rules, int64_t now_ms, struct engine_output *out,
                  struct err *err) WUR;

/* --- persistence -------------------------------------------------------------------------------------- */
struct engine_incident_row {
    uint64_t id;
    struct str project, env, rule, key, label;
    enum incident_state state;
    int severity;
    int64_t opened_ms, updated_ms, resolved_ms; /* 0 = not yet; opened_ms of a pending one is its first hit */
    int64_t hits, runs;
    struct str title, task, last_run; /* STR_NONE = unchanged since the last row of this incident */
    struct str state_blob; /* engine's own, opaque */
    struct str detail;     /* opaque; STR_NONE = unchanged since the last row of this incident */
};
struct engine_cell_row { struct str key, blob; }; /* blob STR_NONE = delete */
struct engine_changes {
    struct arena *arena;
    VEC(struct engine_incident_row) incidents;
    VEC(struct engine_cell_row) cells;
};
/* Everything that changed since the last collect, each once. */
void engine_collect(struct engine *e, struct engine_changes *out);
/* At start, before any step: unresolved incidents (any order), then cells. -1 on a blob that is not ours. */
int engine_restore_incident(struct engine *e, const struct engine_incident_row *row, struct err *err) WUR;
int engine_restore_cell(struct engine *e, const struct engine_cell_row *row, struct err *err) WUR;
/* Ends restoring; also without anything restored, it is the moment from which the rules are in force. Incidents of rules that are gone or changed are settled as in a reload. */
int engine_restored(struct engine *e, int64_t now_ms, struct engine_output *out, struct err *err) WUR;
/* Drops details of collected incidents until at most keep_bytes of them stay. Only with a detail_fn. */
void engine_trim(struct engine *e, size_t keep_bytes);

struct engine_stats {
    size_t incidents_pending, incidents_open, incidents_acknowledged, incidents_held, silences, windows, timers, detail_bytes, watched_runs;
    size_t absent_keys, absent_unknown; /* keys waited for; those of them that may be absent, if only their sources had told (10000 at most) */
    uint64_t collapsed_entries, collapsed_keys, unwatched_runs, template_failures, limited;
};
struct engine_stats engine_stats(const struct engine *e);
/* For test, explain and the API: the incident as JSON (state, timers, told destinations). 1 found, 0 absent. */
int engine_describe(const struct engine *e, uint64_t incident, struct json_writer *w);
/* The window of a rule's key as an event at event_ms sees it, one object: {"key", "wants", what it holds by the kind of the
 * condition, "holds"}. Of `first` it is what the event would find, so it is asked before the event's step; of the others
 * what is there, asked behind it. Of `lasts` it is the stay of the run: {"key","lasts","since","rings_at","over","still"}. ENGINE_NO_WINDOW: the condition looks at no window, and nothing is written. */
enum engine_window { ENGINE_NO_WINDOW, ENGINE_WINDOW, ENGINE_WINDOW_HOLDS };
struct engine_window_name { struct str rule, project, env, key, run; };
enum engine_window engine_describe_window(struct engine *e, const struct engine_window_name *name, int64_t event_ms, struct json_writer *w);
/* What a key of `absent` waits for, from its cell: {"key","state","last_hit","expected","rings"}. */
struct str absent_cell_key(struct arena *a, struct str rule, struct str project, struct str env, struct str key);
void engine_describe_absent(struct json cell, struct json_writer *w);
/* Ids of open, pending and acknowledged incidents of a rule (rule empty: all), at most max. */
size_t engine_incidents(const struct engine *e, struct str rule, uint64_t *out, size_t max);
#endif
