/* message: what an incident has to say to one destination at one moment (the content model), and what came
 * of saying it (the verdict). Pure data. */
#ifndef MESSAGE_MESSAGE_H
#define MESSAGE_MESSAGE_H
#include "base/err.h"
#include "json/json.h"
#include "run/run.h"

enum message_kind {
    MESSAGE_OPEN, MESSAGE_UPDATE, MESSAGE_REMINDER, MESSAGE_ESCALATION, MESSAGE_RESOLVE, MESSAGE_DIGEST,
    MESSAGE_ACK,      /* the incident was acknowledged: pagers follow */
    MESSAGE_OPERATOR, /* runbell's own fault */
    MESSAGE_DRILL,    /* runbell send */
    MESSAGE_KINDS
};
const char *message_kind_name(enum message_kind k); /* "open", ... */
bool message_kind_parse(struct str name, enum message_kind *out);

enum severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_ERROR, SEVERITY_CRITICAL };
const char *severity_name(enum severity s);
bool severity_parse(struct str name, enum severity *out);

struct message_field { struct str name, value; bool wide; };
/* The content. Everything is plain, unescaped text; providers escape. It is stored as JSON, and that JSON
 * is what provider templates see as their view: the member names below in the comments are the names. */
struct message {
    enum message_kind kind;       /* kind: "open" */
    uint64_t id, incident;        /* id: "msg_...", incident: "inc_..." */
    struct str rule;              /* rule */
    struct str key;               /* key: for people, "task=render-video" */
    struct str dedup;             /* dedup: stable over the incident's life, holds the epoch */
    struct str project, env;      /* project, env */
    enum severity severity;       /* severity: "error"; also severity_<name>: true for sections */
    bool resolved;                /* resolved: true; state: "firing" | "acknowledged" | "resolved" */
    bool acknowledged;
    struct str title;             /* title: the first line; says what happened to what, how often */
    struct str body;              /* body: the error or the reason; may be empty */
    struct str status_line;       /* status: "OPEN", "REMINDER 2h 5m", "ESCALATED after 15m", "RESOLVED after 14m" */
    struct str reason;            /* reason: why it resolved or escalates; may be empty */
    struct message_field *fields; /* fields: [{name, value, wide}] */
    size_t field_count;
    struct str run, task;         /* run, task: of the last hit */
    struct str link;              /* link: the run in Trigger.dev's dashboard, STR_NONE = unknown */
    struct str incident_link;     /* incident_link: the incident at runbell */
    struct str runbook;           /* runbook */
    int64_t at_ms, opened_ms;     /* at, opened_at (RFC 3339), opened_unix */
    int64_t hits, runs;           /* hits, runs */
    bool late;                    /* late: true with late_by: "3h 5m": told long after it happened */
    struct str late_by;
    struct str note;              /* note: e.g. that a template failed; may be empty */
    struct json labels;           /* labels: {k: v} as [{name, value}] under label_list, too */
};
void message_write(const struct message *m, struct json_writer *w);
/* The plain built-in one-paragraph text of a message (console, fallback of a refused body). Takes the
 * stored JSON, so that it works on what is in the outbox. */
void message_plain(struct json message, struct strbuf *out);

enum verdict_class {
    VERDICT_OK, VERDICT_OK_DUPLICATE, VERDICT_RETRY, VERDICT_RATE_LIMITED, VERDICT_BAD_PAYLOAD,
    VERDICT_BAD_CONFIG, VERDICT_GONE_TARGET, VERDICT_UNCERTAIN, VERDICT_CLASSES
};
const char *verdict_class_name(enum verdict_class c);
bool verdict_class_parse(struct str name, enum verdict_class *out);
struct verdict {
    enum verdict_class class;
    int64_t wait_ms;       /* what the provider asked for; 0 = nothing said */
    int status;            /* HTTP status or SMTP code; 0 = none */
    struct str detail;     /* for people, secrets masked: "HTTP 500: rollup_error" */
    struct str captures;   /* JSON object of captured ids to merge, STR_NONE = none */
};
#endif
