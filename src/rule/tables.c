/* The keys of the language, described once: these tables decode maps, print the docs and the JSON Schema. */
#include "rule/rule_internal.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
/* The part of language.c that says what a value looks like. */
#define PART(name) "{\"$ref\":\"#/$defs/" name "\"}"

#define TEXT(pattern) "{\"type\":\"string\",\"pattern\":\"^" pattern "$\"}"
#define DAY "(mon|tue|wed|thu|fri|sat|sun)"
#define DAYS TEXT("(all|" DAY "(-" DAY ")?)")
#define CLOCK "([01][0-9]|2[0-4]):[0-5][0-9]"
#define HOURS TEXT(CLOCK " *- *" CLOCK)
#define DATE TEXT("[0-9]{4}-[0-9]{2}-[0-9]{2}")

/* --- match --------------------------------------------------------------------------------------------- */
/* In the order of enum rule_field_id; any, all and not stand behind. */
#define FIELD(n, h) { .name = (n), .type = FIELD_NODE, .help = (h) }
const struct field rule_match_fields[RULE_MATCH_KEYS] = {
    FIELD("status",
          "A state in capitals in any spelling, or a class: failed, success, finished, active, retrying."),
    FIELD("task", "The task's identifier."),
    FIELD("tags", "The run's tags; a list of values means: has any of them."),
    FIELD("env", "The environment."),
    FIELD("project", "The project."),
    FIELD("version", "The deployed version, as 20260503.1."),
    FIELD("queue", "The queue's name."),
    FIELD("run", "The run's id."),
    FIELD("root", "The id of the run at the root."),
    FIELD("parent", "The id of the parent run."),
    FIELD("machine", "The machine preset."),
    FIELD("region", "The region."),
    FIELD("schedule", "The id of the schedule that started the run."),
    FIELD("batch", "The id of the batch."),
    FIELD("test", "Is it a test run? Test runs match unless `test: false`."),
    FIELD("kind", "run, deployment or error; a rule that names no kind matches runs only."),
    FIELD("attempt", "The number of the attempt; for REATTEMPTING the one about to run."),
    FIELD("duration", "From start to finish."),
    FIELD("queue_time", "From creation (or the end of its delay) to start."),
    FIELD("cost", "Cost in cents."),
    FIELD("age", "From creation to the event."),
    FIELD("error.message", "The error's message."),
    FIELD("error.name", "The error's name, as TypeError."),
    FIELD("error.code", "The platform's error code, as TASK_PROCESS_OOM_KILLED."),
    FIELD("error.fingerprint", "A hash of name, masked message and first own stack frame."),
    FIELD("metadata",
          "metadata.PATH: a value of the run's metadata; a key that holds a dot is quoted, a number "
                      "indexes an array."),
    FIELD("any", "A list of matches of which one must hold."),
    FIELD("all", "A list of matches that must all hold."),
    FIELD("not", "A match that must not hold."),
};

#undef FIELD

/* --- count, resolve, message --------------------------------------------------------------------------- */
static const struct field count_fields[] = {
    { .name = "n", .type = FIELD_INT, .required = true, .offset = offsetof(struct count_draft, n), .least = 1,
      .most = RULE_COUNT_MAX, .help = "How many." },
    { .name = "of", .type = FIELD_NODE, .offset = offsetof(struct count_draft, of),
      .help = "runs, or a field: distinct runs, or distinct values of the field, instead of hits.", .schema = "{\"type\":\"string\"}" },
    { .name = "in", .type = FIELD_DURATION, .required = true, .offset = offsetof(struct count_draft, in_ms),
      .least = 1, .most = INT64_MAX, .help = "The length of the sliding window." },
};

static const struct field flaps_fields[] = {
    { .name = "n", .type = FIELD_INT, .required = true, .offset = offsetof(struct flaps_draft, n), .least = 1,
      .most = RULE_STREAK_MAX, .help = "How many changes." },
    { .name = "in", .type = FIELD_DURATION, .required = true, .offset = offsetof(struct flaps_draft, in_ms),
      .least = 1, .most = INT64_MAX, .help = "The length of the sliding window." },
};

static const struct field rate_fields[] = {
    { .name = "over", .type = FIELD_NODE, .offset = offsetof(struct rate_draft, over), .schema = "{\"type\":\"number\"}",
      .help = "More than that many percent are hits." },
    { .name = "under", .type = FIELD_NODE, .offset = offsetof(struct rate_draft, under), .schema = "{\"type\":\"number\"}",
      .help = "Fewer than that many percent are hits." },
    { .name = "last", .type = FIELD_INT, .offset = offsetof(struct rate_draft, last), .least = 1, .most = RULE_RATE_MAX,
      .help = "Of that many newest runs." },
    { .name = "in", .type = FIELD_DURATION, .offset = offsetof(struct rate_draft, in_ms), .least = 1, .most = INT64_MAX,
      .help = "Or of the runs in a sliding window of that length." },
    { .name = "min", .type = FIELD_INT, .offset = offsetof(struct rate_draft, min), .least = 1, .most = RULE_RATE_MAX,
      .help = "With fewer runs it does not hold: `last` by default, 10 with `in`." },
};

static const struct field absent_fields[] = {
    { .name = "every", .type = FIELD_DURATION, .offset = offsetof(struct absent_draft, every_ms), .most = INT64_MAX,
      .help = "No hit for that long." },
    { .name = "cron", .type = FIELD_TEXT, .offset = offsetof(struct absent_draft, cron),
      .help = "Or the times at which a hit is due: minute, hour, day, month, weekday, or @daily and the like." },
    { .name = "grace", .type = FIELD_DURATION, .offset = offsetof(struct absent_draft, grace_ms), .most = INT64_MAX, .fallback = "0s",
      .help = "How much later it may come." },
    { .name = "zone", .type = FIELD_TEXT, .offset = offsetof(struct absent_draft, zone),
      .help = "The time zone of `cron`, as Europe/Berlin; UTC by default." },
};

static const struct field resolve_fields[] = {
    { .name = "successes", .type = FIELD_INT, .offset = offsetof(struct resolve_draft, successes), .least = 1,
      .most = RULE_SUCCESSES_MAX, .help = "That many successful runs one after another." },
    { .name = "quiet", .type = FIELD_DURATION, .offset = offsetof(struct resolve_draft, quiet_ms), .least = 1,
      .most = INT64_MAX, .help = "No hit for that long." },
    { .name = "match", .type = FIELD_NODE, .offset = offsetof(struct resolve_draft, match), .schema = PART("match"),
      .help = "A run event of the same key that meets this and is no hit, later than the last hit by its own time." },
};

static const struct field message_fields[] = {
    { .name = "title", .type = FIELD_NODE, .offset = offsetof(struct message_draft, title),
      .help = "The first line, a template.", .schema = "{\"type\":[\"string\",\"number\",\"boolean\"]}" },
    { .name = "body", .type = FIELD_NODE, .offset = offsetof(struct message_draft, body),
      .help = "The text below it, a template.", .schema = "{\"type\":[\"string\",\"number\",\"boolean\"]}" },
    { .name = "fields", .type = FIELD_NODE, .offset = offsetof(struct message_draft, fields),
      .help = "Named values, each a template.",
      .schema = "{\"type\":\"object\",\"additionalProperties\":{\"type\":[\"string\",\"number\",\"boolean\"]}}" },
};

static const struct field schedule_fields[] = {
    { .name = "days", .type = FIELD_NODE, .offset = offsetof(struct schedule_draft, days), .schema = "{\"anyOf\":[" DAYS ",{\"type\":\"array\",\"minItems\":1,\"items\":" DAYS "}]}",
      .help = "`all`, mon, mon-fri, sat-mon, or a list of those; all when there are only hours." },
    { .name = "hours", .type = FIELD_NODE, .offset = offsetof(struct schedule_draft, hours), .schema = "{\"anyOf\":[" HOURS ",{\"type\":\"array\",\"minItems\":1,\"items\":" HOURS "}]}",
      .help = "`09:00-18:00`, `22:00-06:00` (of the day on which it begins), or a list; the whole day when there are only days." },
    { .name = "zone", .type = FIELD_NODE, .required = true, .offset = offsetof(struct schedule_draft, zone), .schema = "{\"type\":\"string\"}",
      .help = "The time zone by its IANA name, as Europe/Berlin, or UTC." },
    { .name = "except", .type = FIELD_NODE, .offset = offsetof(struct schedule_draft, except), .schema = "{\"anyOf\":[" DATE ",{\"type\":\"array\",\"items\":" DATE "}]}",
      .help = "A date or a list of dates, `2026-12-25`: what would begin on them is left out." },
};

static const struct field mute_fields[] = {
    { .name = "when", .type = FIELD_NODE, .required = true, .offset = offsetof(struct mute_draft, when), .schema = "{\"$ref\":\"#/$defs/match\"}",
      .help = "Of which run events." },
    { .name = "during", .type = FIELD_NODE, .required = true, .offset = offsetof(struct mute_draft, during), .schema = "{\"type\":\"string\"}", .help = "The schedule." },
    { .name = "why", .type = FIELD_TEXT, .required = true, .offset = offsetof(struct mute_draft, why), .help = "For whoever wonders why nothing came." },
};

/* --- rule, defaults ------------------------------------------------------------------------------------ */
static const char *const severities[] = { "info", "warning", "error", "critical", NULL };

#define AT(member) .offset = offsetof(struct rule_draft, member)
#define SHARED_FIELDS(wait_, update_, severity_, at_least_) \
    { .name = "by", .type = FIELD_NODE, AT(by), .schema = PART("by"), \
      .help = "What makes an incident: a field or a list of fields; project and env always belong to it. " \
              "task by default." }, \
    { .name = "at_least", .type = FIELD_INT, AT(at_least), .least = 1, .most = 100000, \
      .fallback = at_least_, \
      .help = "Distinct runs in the incident before it opens." }, \
    { .name = "wait", .type = FIELD_DURATION, AT(wait_ms), .fallback = wait_, \
      .help = "From opening to the first message; what clears meanwhile stays silent." }, \
    { .name = "update", .type = FIELD_DURATION, AT(update_ms), .fallback = update_, \
      .help = "An incident's message is edited at most that often." }, \
    { .name = "repeat", .type = FIELD_NODE, AT(repeat), .schema = PART("repeat"), \
      .help = "Reminders while open and not acknowledged: `4h`, `30m then 2h then 1d`, never. " \
              "4h by default." }, \
    { .name = "linger", .type = FIELD_DURATION, AT(linger_ms), \
      .help = "Resolved only after that long without a relapse; 5m, or 0s with `run` in `by`." }, \
    { .name = "resolve", .type = FIELD_NODE, AT(resolve), .schema = PART("resolve"), \
      .help = "What ends an incident: success, `3 successes`, `24h quiet`, clears, manual, or a list; " \
              "[success, 24h quiet] by default; or {match: ...}, which names the event that ends it." }, \
    { .name = "unless", .type = FIELD_NODE, AT(unless), .schema = "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"type\":\"string\"}}]}", \
      .help = "Rules whose open incidents in the same environment hold this one's messages: a name or a list; `[]` for none." }, \
    { .name = "limit", .type = FIELD_NODE, AT(limit), .schema = PART("limit"), \
      .help = "Openings and escalations; above it one digest, never a drop. 20 per 1m by default." }, \
    { .name = "severity", .type = FIELD_ENUM, AT(severity), .names = severities, .fallback = severity_, \
      .help = "How bad it is." }, \
    { .name = "notify", .type = FIELD_NODE, AT(notify), .schema = "{\"anyOf\":[" PART("targets") "," PART("switch") "]}", \
      .help = "Who hears of it: a destination, {to: DESTINATION, channel: ...}, a list, or a switch between those by the value of a field." }, \
    { .name = "escalate", .type = FIELD_NODE, AT(escalate), .schema = PART("escalate"), \
      .help = "Who else hears of it how long after opening, unless acknowledged: {15m: pager}." }, \
    { .name = "during", .type = FIELD_NODE, AT(during), .schema = "{\"type\":\"string\"}", \
      .help = "The schedule in whose hours messages go; `always` by default." }, \
    { .name = "outside", .type = FIELD_NODE, AT(outside), .schema = PART("outside"), \
      .help = "What becomes of messages beside those hours: `hold`, which is the default, `drop`, or who hears of them instead." }, \
    { .name = "confirm", .type = FIELD_NODE, AT(confirm), .schema = "{\"type\":\"boolean\"}", \
      .help = "Is the run read again before an incident opens, where a source can? true for `lasts` and `absent`, else false." }, \
    { .name = "message", .type = FIELD_NODE, AT(message), .schema = PART("message"), \
      .help = "Own title, body and fields instead of the built-in text." }, \
    { .name = "runbook", .type = FIELD_TEXT, AT(runbook), .help = "A link to what to do." }, \
    { .name = "labels", .type = FIELD_NODE, AT(labels), .schema = PART("labels"), \
      .help = "Names and values that go with every message." }, \
    { .name = "enabled", .type = FIELD_BOOL, AT(enabled), .help = "false is as if the rule were not there." }

static const struct field rule_fields[] = {
    { .name = "when", .type = FIELD_NODE, AT(when), .schema = PART("match"),
      .help = "Which run events hit." },
    { .name = "count", .type = FIELD_NODE, AT(count), .schema = PART("count"),
      .help = "That many hits, runs or distinct values within a sliding window: `3 in 10m`, `10 runs in 5m`, "
              "`5 of metadata.customerId in 15m`." },
    { .name = "first", .type = FIELD_NODE, AT(first), .schema = "{\"type\":\"string\"}",
      .help = "Only the first hit of its key in that long, new or returning: `7d`." },
    { .name = "flaps", .type = FIELD_NODE, AT(flaps), .schema = PART("flaps"),
      .help = "That many changes between hit and success within a sliding window: `4 in 1h`." },
    { .name = "rate", .type = FIELD_NODE, AT(rate), .schema = PART("rate"),
      .help = "The share of hits among the finished runs: `over 20% of last 50 runs`, `under 90% in 1h, min 50`." },
    { .name = "absent", .type = FIELD_NODE, AT(absent), .schema = PART("absent"),
      .help = "No hit for that long: `2h`, or none by the times of `{cron: \"0 3 * * *\", grace: 30m, zone: Europe/Berlin}`." },
    { .name = "lasts", .type = FIELD_NODE, AT(lasts), .schema = "{\"type\":\"string\"}",
      .help = "A run stays a hit that long: `30m`. The incident holds the runs that do." },
    { .name = "streak", .type = FIELD_NODE, AT(streak), .schema = "{\"type\":\"integer\",\"minimum\":1}",
      .help = "That many finished runs of the key one after another are hits; anything else in between breaks the row." },
    SHARED_FIELDS(NULL, NULL, NULL, NULL),
};

static const struct field defaults_fields[] = {
    { .name = "when", .type = FIELD_NODE, AT(when), .schema = PART("match"),
      .help = "Must hold beside every rule's own `when`." },
    SHARED_FIELDS("0s", "30s", "error", "1"),
};


const struct field_table rule_tables[RULE_TABLES] = {
    [RULE_TABLE_RULE] = { "rule", rule_fields, COUNT(rule_fields) },
    [RULE_TABLE_MATCH] = { "match", rule_match_fields, COUNT(rule_match_fields) },
    [RULE_TABLE_COUNT] = { "count", count_fields, COUNT(count_fields) },
    [RULE_TABLE_FLAPS] = { "flaps", flaps_fields, COUNT(flaps_fields) },
    [RULE_TABLE_RATE] = { "rate", rate_fields, COUNT(rate_fields) },
    [RULE_TABLE_ABSENT] = { "absent", absent_fields, COUNT(absent_fields) },
    [RULE_TABLE_RESOLVE] = { "resolve", resolve_fields, COUNT(resolve_fields) },
    [RULE_TABLE_MESSAGE] = { "message", message_fields, COUNT(message_fields) },
    [RULE_TABLE_DEFAULTS] = { "defaults", defaults_fields, COUNT(defaults_fields) },
    [RULE_TABLE_SCHEDULE] = { "schedule", schedule_fields, COUNT(schedule_fields) },
    [RULE_TABLE_MUTE] = { "mute", mute_fields, COUNT(mute_fields) },
};

const struct field_table *rule_field_tables(size_t *n)
{
    *n = RULE_TABLES;
    return rule_tables;
}
