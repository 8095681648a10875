/* Reading a run object of any origin: members are sorted into slots in one pass, then read slot by slot. */
#include <math.h>
#include <stdarg.h>

#include "base/map.h"
#include "base/timefmt.h"
#include "run/run.h"

enum slot {
    SLOT_ID, SLOT_STATUS, SLOT_TASK, SLOT_VERSION, SLOT_QUEUE, SLOT_MACHINE, SLOT_REGION, SLOT_SCHEDULE,
    SLOT_BATCH, SLOT_PROJECT, SLOT_ENV, SLOT_URL, SLOT_ROOT, SLOT_PARENT, SLOT_RELATED, SLOT_CREATED,
    SLOT_UPDATED, SLOT_STARTED, SLOT_FINISHED, SLOT_DELAYED, SLOT_TEST, SLOT_TAGS, SLOT_METADATA, SLOT_ERROR,
    SLOT_ATTEMPT, SLOT_ATTEMPT_COUNT, SLOT_ATTEMPTS, SLOT_DURATION, SLOT_COST, SLOT_KIND,
    SLOTS
};

/* By length, then bytes. An alias fills its slot only where the API's own name does not. */
static const struct member {
    struct str name;
    enum slot slot;
    bool alias;
} members[] = {
    { STR("id"), SLOT_ID, false },
    { STR("env"), SLOT_ENV, false },
    { STR("kind"), SLOT_KIND, false },
    { STR("root"), SLOT_ROOT, false },
    { STR("tags"), SLOT_TAGS, false },
    { STR("task"), SLOT_TASK, true },
    { STR("test"), SLOT_TEST, true },
    { STR("batch"), SLOT_BATCH, true },
    { STR("error"), SLOT_ERROR, false },
    { STR("queue"), SLOT_QUEUE, false },
    { STR("isTest"), SLOT_TEST, false },
    { STR("parent"), SLOT_PARENT, false },
    { STR("region"), SLOT_REGION, false },
    { STR("status"), SLOT_STATUS, false },
    { STR("attempt"), SLOT_ATTEMPT, false },
    { STR("batchId"), SLOT_BATCH, false },
    { STR("machine"), SLOT_MACHINE, false },
    { STR("project"), SLOT_PROJECT, false },
    { STR("version"), SLOT_VERSION, false },
    { STR("attempts"), SLOT_ATTEMPTS, false },
    { STR("metadata"), SLOT_METADATA, false },
    { STR("schedule"), SLOT_SCHEDULE, false },
    { STR("createdAt"), SLOT_CREATED, false },
    { STR("startedAt"), SLOT_STARTED, false },
    { STR("updatedAt"), SLOT_UPDATED, false },
    { STR("durationMs"), SLOT_DURATION, false },
    { STR("finishedAt"), SLOT_FINISHED, false },
    { STR("completedAt"), SLOT_FINISHED, true },
    { STR("costInCents"), SLOT_COST, false },
    { STR("relatedRuns"), SLOT_RELATED, false },
    { STR("attemptCount"), SLOT_ATTEMPT_COUNT, false },
    { STR("dashboardUrl"), SLOT_URL, false },
    { STR("delayedUntil"), SLOT_DELAYED, false },
    { STR("taskIdentifier"), SLOT_TASK, false },
};

enum { LONGEST_MEMBER = 14, MEMBERS = sizeof members / sizeof *members };
/* Where members of a length begin; those of the length end where the next ones begin. */
static const uint8_t members_from[LONGEST_MEMBER + 2] = { 0, 0, 0, 1, 2, 7, 10, 14, 19, 22, 25, 27, 30, 33, 33, MEMBERS };
_Static_assert(MEMBERS == 34, "a member came or went: move what stands behind it in members_from");

static const struct member *find_member(struct str name)
{
    if (name.n > LONGEST_MEMBER) return NULL;
    for (size_t k = members_from[name.n]; k < members_from[name.n + 1]; k++)
        if (memcmp(name.p, members[k].name.p, name.n) == 0) return &members[k];
    return NULL;
}

static void sort_members(struct json object, struct json slots[SLOTS])
{
    bool own[SLOTS] = { false };
    for (struct json v = json_first(object); json_kind(v) != JSON_ABSENT; v = json_next(v)) {
        const struct member *m = find_member(json_key(v));
        if (!m || !json_present(v) || (m->alias && own[m->slot])) continue;
        slots[m->slot] = v;
        if (!m->alias) own[m->slot] = true;
    }
}

/* --- single values ------------------------------------------------------------------------------------- */

static const char *kind_name(struct json v)
{
    static const char *const names[] = {
        [JSON_ABSENT] = "nothing",   [JSON_NULL] = "null",   [JSON_BOOL] = "true or false",
        [JSON_NUMBER] = "a number",  [JSON_STRING] = "text", [JSON_ARRAY] = "a list",
        [JSON_OBJECT] = "an object",
    };
    return names[json_kind(v)];
}

static int wrong(struct json v, const char *wanted, struct err *err)
{
    struct str key = json_key(v);
    return err_set(err, ERR_TYPE, STR_FMT " must be %s, not %s", STR_ARG(key), wanted, kind_name(v));
}

/* The message is about a member of the one named now. */
PRINTF_LIKE(2, 3) static int within(struct err *err, const char *fmt, ...)
{
    char inner[sizeof err->msg], outer[80];
    va_list ap;
    memcpy(inner, err->msg, sizeof inner);
    va_start(ap, fmt);
    vsnprintf(outer, sizeof outer, fmt, ap);
    va_end(ap);
    return err_set(err, err->code, "%s.%s", outer, inner);
}

static int take_text(struct json v, struct str *out, struct err *err)
{
    if (!json_present(v)) return 0;
    if (json_kind(v) != JSON_STRING) return wrong(v, "text", err);
    *out = json_str(v);
    return 0;
}

/* Text, or an object that has it as its member key (or, failing that, other). */
static int take_name(struct json v, const char *key, const char *other, struct str *out, struct err *err)
{
    struct json inner;
    if (json_kind(v) == JSON_STRING || !json_present(v)) return take_text(v, out, err);
    if (json_kind(v) != JSON_OBJECT) return wrong(v, "text or an object", err);
    inner = json_get_c(v, key);
    if (!json_present(inner) && other) inner = json_get_c(v, other);
    return take_text(inner, out, err) ? within(err, STR_FMT, STR_ARG(json_key(v))) : 0;
}

static int take_time(struct json v, int64_t *out, struct err *err)
{
    if (!json_present(v)) return 0;
    if (json_kind(v) != JSON_STRING) return wrong(v, "an RFC 3339 time as text", err);
    if (time_parse(json_str(v), out)) return 0;
    return err_set(err, ERR_TYPE, STR_FMT " is no RFC 3339 time", STR_ARG(json_key(v)));
}

static int take_count(struct json v, int64_t *out, struct err *err)
{
    int64_t n;
    if (!json_present(v)) return 0;
    if (json_kind(v) != JSON_NUMBER) return wrong(v, "a whole number", err);
    if (!json_i64(v, &n) || n < 0 || n > RUN_ATTEMPT_MAX)
        return err_set(err, ERR_TYPE, STR_FMT " must be a whole number from 0 to %d", STR_ARG(json_key(v)),
                       RUN_ATTEMPT_MAX);
    *out = n;
    return 0;
}

static int take_number(struct json v, double *out, struct err *err)
{
    if (json_kind(v) != JSON_NUMBER) return wrong(v, "a number", err);
    if (!json_f64(v, out) || !isfinite(*out))
        return err_set(err, ERR_TYPE, STR_FMT " is out of range", STR_ARG(json_key(v)));
    return 0;
}

/* --- groups of members --------------------------------------------------------------------------------- */

bool run_id_usable(struct str id)
{
    if (id.n < 1 || id.n > 128) return false;
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] <= ' ' || id.p[i] > '~') return false;
    return true;
}

static int read_id(struct json v, struct run *out, struct err *err)
{
    if (!json_present(v)) return err_set(err, ERR_TYPE, "id is missing: a run needs one");
    if (take_text(v, &out->id, err)) return -1;
    if (out->id.n < 1 || out->id.n > 128) return err_set(err, ERR_TYPE, "id must have 1 to 128 characters");
    if (!run_id_usable(out->id)) return err_set(err, ERR_TYPE, "id must be printable ASCII without blanks");
    return 0;
}

static int read_kind(struct json v, struct run *out, struct err *err)
{
    out->kind = STR("run");
    if (take_text(v, &out->kind, err)) return -1;
    if (str_eq_c(out->kind, "run") || str_eq_c(out->kind, "deployment") || str_eq_c(out->kind, "error")) return 0;
    return err_set(err, ERR_TYPE, "kind must be run, deployment or error");
}

static int read_status(struct json v, struct run *out, struct err *err)
{
    if (!json_present(v)) return err_set(err, ERR_TYPE, "status is missing: a run needs one");
    if (take_text(v, &out->spelling, err)) return -1;
    if (out->spelling.n < 1 || out->spelling.n > 128)
        return err_set(err, ERR_TYPE, "status must have 1 to 128 bytes");
    out->state = run_state_parse(out->spelling);
    out->present |= RUN_HAS_STATE;
    return 0;
}

/* Names go into keys, rows, titles and lists: none of them is for megabytes. */
static int too_long(struct json v, struct str name, struct err *err)
{
    return err_set(err, ERR_TYPE, STR_FMT " has %zu bytes; a name has %d at most", STR_ARG(json_key(v)), name.n, RUN_NAME_MAX);
}

static int read_texts(const struct json slots[SLOTS], struct run *out, struct err *err)
{
    const struct {
        enum slot slot;
        uint32_t bit;
        const char *key, *other;
        struct str *to;
    } texts[] = {
        { SLOT_TASK, RUN_HAS_TASK, "id", NULL, &out->task },
        { SLOT_VERSION, RUN_HAS_VERSION, "version", NULL, &out->version },
        { SLOT_QUEUE, RUN_HAS_QUEUE, "name", NULL, &out->queue },
        { SLOT_MACHINE, RUN_HAS_MACHINE, "name", "preset", &out->machine },
        { SLOT_REGION, RUN_HAS_REGION, "name", NULL, &out->region },
        { SLOT_SCHEDULE, RUN_HAS_SCHEDULE, "id", NULL, &out->schedule },
        { SLOT_BATCH, RUN_HAS_BATCH, "id", NULL, &out->batch },
        { SLOT_ROOT, RUN_HAS_ROOT, "id", NULL, &out->root },
        { SLOT_PARENT, RUN_HAS_PARENT, "id", NULL, &out->parent },
        { SLOT_PROJECT, 0, "ref", "slug", &out->project },
        { SLOT_ENV, 0, "name", "slug", &out->env },
        { SLOT_URL, 0, "href", NULL, &out->dashboard_url },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (take_name(slots[texts[i].slot], texts[i].key, texts[i].other, texts[i].to, err)) return -1;
        if (texts[i].to->n > RUN_NAME_MAX) return too_long(slots[texts[i].slot], *texts[i].to, err);
        if (!str_absent(*texts[i].to)) out->present |= texts[i].bit;
    }
    return 0;
}

static int read_related(struct json v, struct run *out, struct err *err)
{
    struct str root = STR_NONE, parent = STR_NONE;
    if (!json_present(v)) return 0;
    if (json_kind(v) != JSON_OBJECT) return wrong(v, "an object", err);
    if (take_name(json_get_c(v, "root"), "id", NULL, &root, err) ||
        take_name(json_get_c(v, "parent"), "id", NULL, &parent, err))
        return within(err, "relatedRuns");
    if (root.n > RUN_NAME_MAX || parent.n > RUN_NAME_MAX) return too_long(v, root.n > parent.n ? root : parent, err);
    if (!str_absent(root)) {
        out->root = root;
        out->present |= RUN_HAS_ROOT;
    }
    if (!str_absent(parent)) {
        out->parent = parent;
        out->present |= RUN_HAS_PARENT;
    }
    return 0;
}

static int read_times(const struct json slots[SLOTS], struct run *out, struct err *err)
{
    const struct {
        enum slot slot;
        uint32_t bit;
        int64_t *to;
    } times[] = {
        { SLOT_CREATED, RUN_HAS_CREATED, &out->created_ms },
        { SLOT_UPDATED, RUN_HAS_UPDATED, &out->updated_ms },
        { SLOT_STARTED, RUN_HAS_STARTED, &out->started_ms },
        { SLOT_FINISHED, RUN_HAS_FINISHED, &out->finished_ms },
        { SLOT_DELAYED, RUN_HAS_DELAYED, &out->delayed_ms },
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        if (take_time(slots[times[i].slot], times[i].to, err)) return -1;
        if (*times[i].to != RUN_TIME_NONE) out->present |= times[i].bit;
    }
    return 0;
}

/* Exact repetitions fall out. Few tags are compared one by one, many by a map. */
static bool tag_is_new(struct map *seen, const struct str *tags, size_t n, struct str tag, bool many)
{
    static char marker;
    if (many) return map_put(seen, tag, &marker) == NULL;
    for (size_t i = 0; i < n; i++)
        if (str_eq(tags[i], tag)) return false;
    return true;
}

static int read_tag_list(struct arena *a, struct json list, struct map *seen, struct run *out,
                         struct err *err)
{
    size_t n = json_count(list), at = 0;
    struct str *tags = ARENA_ARRAY(a, struct str, n ? n : 1);
    out->tags = tags;
    for (struct json v = json_first(list); json_kind(v) != JSON_ABSENT; v = json_next(v), at++) {
        if (json_kind(v) != JSON_STRING)
            return err_set(err, ERR_TYPE, "tags[%zu] must be text, not %s", at, kind_name(v));
        if (json_str(v).n > RUN_NAME_MAX)
            return err_set(err, ERR_TYPE, "tags[%zu] has %zu bytes; a tag has %d at most", at, json_str(v).n, RUN_NAME_MAX);
        if (tag_is_new(seen, tags, out->tag_count, json_str(v), n > 16)) tags[out->tag_count++] = json_str(v);
    }
    return 0;
}

static int read_tags(struct arena *a, struct json v, struct run *out, struct err *err)
{
    struct map seen = { 0 };
    int rc = 0;
    if (!json_present(v)) return 0;
    out->present |= RUN_HAS_TAGS;
    if (json_kind(v) == JSON_STRING) { /* the SDK lets a single tag stand alone */
        if (json_str(v).n > RUN_NAME_MAX) return too_long(v, json_str(v), err);
        out->tags = ARENA_NEW(a, struct str);
        out->tags[out->tag_count++] = json_str(v);
        return 0;
    }
    if (json_kind(v) != JSON_ARRAY) return wrong(v, "a list of texts", err);
    rc = read_tag_list(a, v, &seen, out, err);
    map_fini(&seen);
    return rc;
}

static int read_scalars(const struct json slots[SLOTS], struct run *out, struct err *err)
{
    struct json test = slots[SLOT_TEST], cost = slots[SLOT_COST], duration = slots[SLOT_DURATION];
    if (json_present(test)) {
        if (json_kind(test) != JSON_BOOL) return wrong(test, "true or false", err);
        out->test = json_bool(test, false);
        out->present |= RUN_HAS_TEST;
    }
    if (json_present(cost)) {
        if (take_number(cost, &out->cost_cents, err)) return -1;
        out->present |= RUN_HAS_COST;
    }
    if (json_present(duration)) {
        double ms = 0;
        if (take_number(duration, &ms, err)) return -1;
        if (ms >= 0 && ms <= 1e15) out->duration_ms = (int64_t)(ms + 0.5); /* clocks that disagree are no reason to refuse a run */
    }
    return 0;
}

static int read_metadata(struct json v, struct run *out, struct err *err)
{
    if (!json_present(v)) return 0;
    if (json_kind(v) != JSON_OBJECT) return wrong(v, "an object", err);
    out->metadata = v;
    out->present |= RUN_HAS_METADATA;
    return 0;
}

/* --- errors -------------------------------------------------------------------------------------------- */

/* CODE out of "trigger.dev internal error (CODE)", all that the API leaves of an internal error. */
static struct str code_in(struct str message)
{
    struct str lead = STR("trigger.dev internal error (");
    if (!str_starts(message, lead) || !str_ends(message, STR(")"))) return STR_NONE;
    return str_sub(message, lead.n, message.n - lead.n - 1);
}

static int read_error_object(struct json v, struct run_error *out, struct err *err)
{
    struct str type = STR_NONE;
    struct json raw = json_get_c(v, "raw"), code = json_get_c(v, "code"), stack = json_get_c(v, "stackTrace");
    if (!json_present(stack)) stack = json_get_c(v, "stack");
    if (take_text(json_get_c(v, "type"), &type, err)) return -1;
    if (take_text(json_get_c(v, "name"), &out->name, err)) return -1;
    if (take_text(json_get_c(v, "message"), &out->message, err)) return -1;
    if (take_text(stack, &out->stack, err)) return -1;
    if (json_kind(code) == JSON_ARRAY || json_kind(code) == JSON_OBJECT)
        return wrong(code, "text", err);
    out->code = json_scalar(code);
    if (str_absent(out->message) && json_present(raw) &&
        (str_eq_c(type, "STRING_ERROR") || str_eq_c(type, "CUSTOM_ERROR")))
        out->message = json_kind(raw) == JSON_STRING ? json_str(raw) : json_text(raw);
    return 0;
}

int run_error_decode(struct json v, struct run_error *out, bool *found, struct err *err)
{
    struct run_error e = { 0 };
    *found = false;
    if (!json_present(v)) return 0;
    if (json_kind(v) == JSON_STRING) e.message = json_str(v);
    else if (json_kind(v) != JSON_OBJECT) return wrong(v, "text or an object", err);
    else if (read_error_object(v, &e, err)) return within(err, "error");
    if (str_absent(e.code)) e.code = code_in(e.message);
    if (str_absent(e.name) && str_absent(e.message) && str_absent(e.code) && str_absent(e.stack)) return 0;
    *out = e;
    *found = true;
    return 0;
}

/* --- attempts ------------------------------------------------------------------------------------------ */

struct attempts {
    struct run *run;
    int64_t failed_ms; /* when the attempt whose error is kept ended; RUN_TIME_NONE = not told */
    struct run_error error;
    bool has_error;
};

static int read_attempt(struct attempts *all, struct json v, struct err *err)
{
    struct str status = STR_NONE;
    int64_t started_ms = RUN_TIME_NONE, completed_ms = RUN_TIME_NONE;
    struct run_error error = { 0 };
    bool found, finished;
    if (take_text(json_get_c(v, "status"), &status, err)) return -1;
    if (take_time(json_get_c(v, "startedAt"), &started_ms, err)) return -1;
    if (take_time(json_get_c(v, "completedAt"), &completed_ms, err)) return -1;
    if (run_error_decode(json_get_c(v, "error"), &error, &found, err)) return -1;
    finished =
        completed_ms != RUN_TIME_NONE || (run_state_class(run_state_parse(status)) & RUN_CLASS_FINISHED);
    all->run->attempts_finished += finished;
    if (started_ms != RUN_TIME_NONE && all->run->attempt_start_count < RUN_STARTS_MAX)
        all->run->attempt_starts_ms[all->run->attempt_start_count++] = started_ms;
    if (finished && found && (!all->has_error || completed_ms >= all->failed_ms)) {
        all->error = error;
        all->has_error = true;
        all->failed_ms = completed_ms;
    }
    return 0;
}

/* Servers list attempts in either order; their starts say which is which. */
static void sort_starts(struct run *r)
{
    for (size_t i = 1; i < r->attempt_start_count; i++)
        for (size_t k = i; k > 0 && r->attempt_starts_ms[k] < r->attempt_starts_ms[k - 1]; k--) {
            int64_t t = r->attempt_starts_ms[k];
            r->attempt_starts_ms[k] = r->attempt_starts_ms[k - 1];
            r->attempt_starts_ms[k - 1] = t;
        }
}

static int read_attempts(struct arena *a, struct json list, struct attempts *all, struct err *err)
{
    size_t n = json_count(list), at = 0;
    if (!json_present(list)) return 0;
    if (json_kind(list) != JSON_ARRAY) return wrong(list, "a list", err);
    all->run->attempts_finished = 0;
    all->run->attempts_listed = (int64_t)n;
    if (n == 0) return 0;
    all->run->attempt_starts_ms = ARENA_ARRAY(a, int64_t, n < RUN_STARTS_MAX ? n : RUN_STARTS_MAX);
    for (struct json v = json_first(list); json_kind(v) != JSON_ABSENT; v = json_next(v), at++) {
        if (json_kind(v) != JSON_OBJECT)
            return err_set(err, ERR_TYPE, "attempts[%zu] must be an object, not %s", at, kind_name(v));
        if (read_attempt(all, v, err)) return within(err, "attempts[%zu]", at);
    }
    sort_starts(all->run);
    return 0;
}

/* attempt: a number, or the {number} of Trigger.dev's task context. */
static int read_attempt_numbers(const struct json slots[SLOTS], struct run *out, struct err *err)
{
    struct json attempt = slots[SLOT_ATTEMPT];
    bool nested = json_kind(attempt) == JSON_OBJECT;
    if (take_count(nested ? json_get_c(attempt, "number") : attempt, &out->attempt, err))
        return nested ? within(err, "attempt") : -1;
    if (take_count(slots[SLOT_ATTEMPT_COUNT], &out->attempt_count, err)) return -1;
    if (out->attempt > 0 || out->attempt_count >= 0 || out->attempts_listed > 0)
        out->present |= RUN_HAS_ATTEMPT;
    return 0;
}

static int decode(struct arena *a, struct json object, bool stated, struct run *out, struct err *err)
{
    struct json slots[SLOTS] = { { 0 } };
    struct attempts attempts = { .run = out, .failed_ms = RUN_TIME_NONE };
    bool has_error;
    run_init(out);
    if (json_kind(object) != JSON_OBJECT)
        return err_set(err, ERR_TYPE, "a run must be an object, not %s", kind_name(object));
    sort_members(object, slots);
    if (read_id(slots[SLOT_ID], out, err) || (stated && read_status(slots[SLOT_STATUS], out, err))) return -1;
    if (read_kind(slots[SLOT_KIND], out, err)) return -1;
    if (read_texts(slots, out, err) || read_related(slots[SLOT_RELATED], out, err)) return -1;
    if (read_times(slots, out, err) || read_scalars(slots, out, err)) return -1;
    if (read_tags(a, slots[SLOT_TAGS], out, err) || read_metadata(slots[SLOT_METADATA], out, err)) return -1;
    if (read_attempts(a, slots[SLOT_ATTEMPTS], &attempts, err) || read_attempt_numbers(slots, out, err))
        return -1;
    if (run_error_decode(slots[SLOT_ERROR], &out->error, &has_error, err)) return -1;
    if (!has_error) out->error = attempts.error;
    if (has_error || attempts.has_error) out->present |= RUN_HAS_ERROR;
    return 0;
}

int run_decode(struct arena *a, struct json object, struct run *out, struct err *err)
{
    return decode(a, object, true, out, err);
}

int run_decode_failed(struct arena *a, struct json object, struct run *out, struct err *err)
{
    if (decode(a, object, false, out, err)) return -1;
    out->state = RUN_FAILED;
    out->spelling = STR("failed");
    return 0;
}
