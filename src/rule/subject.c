/* What a rule sees of one transition: the values of its fields. */
#include "base/timefmt.h"
#include "rule/rule_internal.h"

void rule_subject_init(struct rule_subject *s, struct arena *a, const struct run *run,
                       const struct transition *t, int64_t arrival_ms)
{
    *s = (struct rule_subject){ .run = run, .transition = t, .arrival_ms = arrival_ms, .arena = a };
}

enum run_state rule_subject_state(const struct rule_subject *s)
{
    return s->transition ? s->transition->state : s->run->state;
}

bool rule_subject_exact(const struct rule_subject *s)
{
    return (s->run->present & RUN_HAS_STATE) || !(run_state_class(rule_subject_state(s)) & RUN_CLASS_FAILED);
}

struct str rule_subject_spelling(const struct rule_subject *s)
{
    enum run_state state = rule_subject_state(s);
    if (state == s->run->state && s->run->spelling.n > 0) return s->run->spelling;
    return str_c(run_state_name(state));
}

static struct str fingerprint(struct rule_subject *s)
{
    if (str_absent(s->fingerprint)) {
        s->fingerprint = run_error_fingerprint(s->arena, s->run);
        if (str_absent(s->fingerprint)) s->fingerprint = STR("");
    }
    return s->fingerprint;
}

struct str rule_subject_text(enum rule_field_id id, struct rule_subject *s)
{
    const struct run *r = s->run;
    switch ((int)id) { /* the text fields only */
    case RULE_TASK: return r->task;
    case RULE_ENV: return r->env;
    case RULE_PROJECT: return r->project;
    case RULE_VERSION: return r->version;
    case RULE_QUEUE: return r->queue;
    case RULE_RUN: return r->id;
    case RULE_ROOT: return r->root;
    case RULE_PARENT: return r->parent;
    case RULE_MACHINE: return r->machine;
    case RULE_REGION: return r->region;
    case RULE_SCHEDULE: return r->schedule;
    case RULE_BATCH: return r->batch;
    case RULE_KIND: return r->kind.n ? r->kind : STR("run");
    case RULE_ERROR_MESSAGE: return r->error.message;
    case RULE_ERROR_NAME: return r->error.name;
    case RULE_ERROR_CODE: return r->error.code;
    case RULE_ERROR_FINGERPRINT: return fingerprint(s);
    default: return STR_NONE;
    }
}

/* to - from, when both are known; a clock that is off never makes it negative. */
static bool span(int64_t from_ms, int64_t to_ms, double *out)
{
    if (from_ms == RUN_TIME_NONE || to_ms == RUN_TIME_NONE) return false;
    *out = to_ms > from_ms ? (double)to_ms - (double)from_ms : 0;
    return true;
}

static bool duration_of(const struct rule_subject *s, double *out)
{
    const struct run *r = s->run;
    if (span(r->started_ms, r->finished_ms, out)) return true;
    /* A running run's reported duration is not its duration yet. */
    if (r->duration_ms == RUN_TIME_NONE) return false;
    if (!(run_state_class(rule_subject_state(s)) & RUN_CLASS_FINISHED)) return false;
    *out = (double)r->duration_ms;
    return true;
}

static int64_t event_time(const struct rule_subject *s)
{
    return s->transition ? s->transition->event_ms : run_event_time(s->run, s->arrival_ms);
}

bool rule_subject_number(enum rule_field_id id, const struct rule_subject *s, double *out)
{
    const struct run *r = s->run;
    int64_t attempt = s->transition ? s->transition->attempt : r->attempt;
    switch ((int)id) { /* the number and duration fields only */
    case RULE_ATTEMPT:
        if (attempt <= 0) attempt = r->attempt;
        *out = (double)attempt;
        return attempt > 0;
    case RULE_COST:
        *out = r->cost_cents;
        return r->present & RUN_HAS_COST;
    case RULE_DURATION: return duration_of(s, out);
    case RULE_QUEUE_TIME:
        return span(r->delayed_ms != RUN_TIME_NONE ? r->delayed_ms : r->created_ms, r->started_ms, out);
    case RULE_AGE: return span(r->created_ms, event_time(s), out);
    default: return false;
    }
}

struct json rule_subject_json(const struct rule_field *f, const struct rule_subject *s)
{
    return json_path(s->run->metadata, f->path, f->path_count);
}

static size_t texts_of_json(struct json v, bool key, struct str *out, size_t max)
{
    enum json_kind kind = json_kind(v);
    size_t n = 0;
    struct str text;
    if (kind == JSON_ARRAY) {
        for (struct json e = json_first(v); json_kind(e) != JSON_ABSENT && n < max; e = json_next(e)) {
            text = json_scalar(e);
            if (!str_absent(text)) out[n++] = text;
        }
        return n;
    }
    text = kind == JSON_OBJECT && !key ? json_text(v) : json_scalar(v);
    if (str_absent(text) || max == 0) return 0;
    out[0] = text;
    return 1;
}

static struct str number_text(const struct rule_field *f, double v, bool key, struct rule_subject *s)
{
    char text[TIMEFMT_SIZE];
    if (rule_field_shape(f->id) == SHAPE_NUMBER) return str_printf(s->arena, "%.12g", v);
    return str_dup(s->arena, key ? duration_format((int64_t)v, text) : duration_human((int64_t)v, text));
}

static size_t one(struct str text, struct str *out)
{
    if (text.n == 0) return 0;
    *out = text;
    return 1;
}

static size_t tags_of(const struct run *r, struct str *out, size_t max)
{
    size_t n = r->tag_count < max ? r->tag_count : max;
    if (n) memcpy(out, r->tags, n * sizeof *out);
    return n;
}

static size_t values_of(const struct rule_field *f, struct rule_subject *s, bool key, struct str *out,
                        size_t max)
{
    double v;
    enum run_state state = rule_subject_state(s);
    if (max == 0) return 0;
    switch (rule_field_shape(f->id)) {
    case SHAPE_STATUS:
        if (key && !rule_subject_exact(s)) return 0;
        if (!key || state == RUN_UNKNOWN) return one(rule_subject_spelling(s), out);
        return one(str_c(run_state_name(state)), out);
    case SHAPE_TEXT: return one(rule_subject_text(f->id, s), out);
    case SHAPE_LIST: return tags_of(s->run, out, max);
    case SHAPE_BOOL: return one(s->run->test ? STR("true") : STR("false"), out);
    case SHAPE_JSON: return texts_of_json(rule_subject_json(f, s), key, out, max);
    case SHAPE_NUMBER:
    case SHAPE_DURATION:
    default: return rule_subject_number(f->id, s, &v) ? one(number_text(f, v, key, s), out) : 0;
    }
}

size_t rule_field_values(const struct rule_field *f, struct rule_subject *s, struct str *out, size_t max)
{
    return values_of(f, s, false, out, max);
}

size_t rule_subject_key_values(const struct rule_field *f, struct rule_subject *s, struct str *out,
                               size_t max)
{
    return values_of(f, s, true, out, max);
}
