/* Names of kinds, severities and verdict classes, both ways. */
#include "message/message.h"

static const char *const kinds[MESSAGE_KINDS] = {
    [MESSAGE_OPEN] = "open",             [MESSAGE_UPDATE] = "update",   [MESSAGE_REMINDER] = "reminder",
    [MESSAGE_ESCALATION] = "escalation", [MESSAGE_RESOLVE] = "resolve", [MESSAGE_DIGEST] = "digest",
    [MESSAGE_ACK] = "ack",               [MESSAGE_OPERATOR] = "operator", [MESSAGE_DRILL] = "drill",
};
enum { SEVERITIES = SEVERITY_CRITICAL + 1 };
static const char *const severities[SEVERITIES] = {
    [SEVERITY_INFO] = "info",
    [SEVERITY_WARNING] = "warning",
    [SEVERITY_ERROR] = "error",
    [SEVERITY_CRITICAL] = "critical",
};
static const char *const classes[VERDICT_CLASSES] = {
    [VERDICT_OK] = "ok",
    [VERDICT_OK_DUPLICATE] = "ok_duplicate",
    [VERDICT_RETRY] = "retry",
    [VERDICT_RATE_LIMITED] = "rate_limited",
    [VERDICT_BAD_PAYLOAD] = "bad_payload",
    [VERDICT_BAD_CONFIG] = "bad_config",
    [VERDICT_GONE_TARGET] = "gone_target",
    [VERDICT_UNCERTAIN] = "uncertain",
};

/* Index of name, or n. */
static unsigned find(struct str name, const char *const *names, unsigned n)
{
    unsigned i = 0;
    while (i < n && !str_eq_c(name, names[i])) i++;
    return i;
}

const char *message_kind_name(enum message_kind k)
{
    return (unsigned)k < MESSAGE_KINDS ? kinds[k] : "";
}

bool message_kind_parse(struct str name, enum message_kind *out)
{
    unsigned i = find(name, kinds, MESSAGE_KINDS);
    if (i < MESSAGE_KINDS) *out = (enum message_kind)i;
    return i < MESSAGE_KINDS;
}

const char *severity_name(enum severity s)
{
    return (unsigned)s < SEVERITIES ? severities[s] : "";
}

bool severity_parse(struct str name, enum severity *out)
{
    unsigned i = find(name, severities, SEVERITIES);
    if (i < SEVERITIES) *out = (enum severity)i;
    return i < SEVERITIES;
}

const char *verdict_class_name(enum verdict_class c)
{
    return (unsigned)c < VERDICT_CLASSES ? classes[c] : "";
}

bool verdict_class_parse(struct str name, enum verdict_class *out)
{
    unsigned i = find(name, classes, VERDICT_CLASSES);
    if (i < VERDICT_CLASSES) *out = (enum verdict_class)i;
    return i < VERDICT_CLASSES;
}
