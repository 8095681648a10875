/* The snapshot as we store it, and back. */
#include <stddef.h>

#include "run/run.h"

/* Written and read by the same tables, so that neither can forget a field. */
static const struct text_field {
    struct str key;
    size_t at;
} text_fields[] = {
    { STR("task"), offsetof(struct run, task) },       { STR("project"), offsetof(struct run, project) },
    { STR("env"), offsetof(struct run, env) },         { STR("version"), offsetof(struct run, version) },
    { STR("queue"), offsetof(struct run, queue) },     { STR("root"), offsetof(struct run, root) },
    { STR("parent"), offsetof(struct run, parent) },   { STR("machine"), offsetof(struct run, machine) },
    { STR("region"), offsetof(struct run, region) },   { STR("schedule"), offsetof(struct run, schedule) },
    { STR("batch"), offsetof(struct run, batch) },     { STR("kind"), offsetof(struct run, kind) },
    { STR("url"), offsetof(struct run, dashboard_url) },
};
static const struct number_field {
    struct str key;
    size_t at;
    int64_t absent;
} number_fields[] = {
    { STR("attempt"), offsetof(struct run, attempt), 0 },
    { STR("attempt_count"), offsetof(struct run, attempt_count), -1 },
    { STR("attempts_listed"), offsetof(struct run, attempts_listed), -1 },
    { STR("attempts_finished"), offsetof(struct run, attempts_finished), -1 },
    { STR("created"), offsetof(struct run, created_ms), RUN_TIME_NONE },
    { STR("updated"), offsetof(struct run, updated_ms), RUN_TIME_NONE },
    { STR("started"), offsetof(struct run, started_ms), RUN_TIME_NONE },
    { STR("finished"), offsetof(struct run, finished_ms), RUN_TIME_NONE },
    { STR("delayed"), offsetof(struct run, delayed_ms), RUN_TIME_NONE },
    { STR("duration"), offsetof(struct run, duration_ms), RUN_TIME_NONE },
};
static const struct text_field error_fields[] = {
    { STR("name"), offsetof(struct run_error, name) },
    { STR("message"), offsetof(struct run_error, message) },
    { STR("code"), offsetof(struct run_error, code) },
    { STR("stack"), offsetof(struct run_error, stack) },
};
#define COUNT_OF(table) (sizeof(table) / sizeof *(table))
#define TEXT_AT(base, field) ((struct str *)(void *)((char *)(base) + (field)->at))
#define CONST_TEXT_AT(base, field) ((const struct str *)(const void *)((const char *)(base) + (field)->at))

void run_init(struct run *r)
{
    *r = (struct run){
        .created_ms = RUN_TIME_NONE, .updated_ms = RUN_TIME_NONE, .started_ms = RUN_TIME_NONE,
        .finished_ms = RUN_TIME_NONE, .delayed_ms = RUN_TIME_NONE, .duration_ms = RUN_TIME_NONE,
        .attempts_finished = -1, .attempts_listed = -1, .attempt_count = -1,
    };
}

/* The folded state; the sender's word beside it only where it differs. */
static void write_state(const struct run *r, struct json_writer *w)
{
    struct str name = str_c(run_state_name(r->state));
    if (r->state == RUN_UNKNOWN) {
        json_field_str(w, "status", r->spelling);
        return;
    }
    json_field_str(w, "status", name);
    if (!str_eq(name, r->spelling)) json_field_str(w, "spelling", r->spelling);
}

static void write_tags(const struct run *r, struct json_writer *w)
{
    json_put_key(w, STR("tags"));
    json_array_begin(w);
    for (size_t i = 0; i < r->tag_count; i++) json_put_str(w, r->tags[i]);
    json_array_end(w);
}

static void write_starts(const struct run *r, struct json_writer *w)
{
    json_put_key(w, STR("attempt_starts"));
    json_array_begin(w);
    for (size_t i = 0; i < r->attempt_start_count; i++) json_put_i64(w, r->attempt_starts_ms[i]);
    json_array_end(w);
}

static void write_text(struct json_writer *w, struct str key, struct str text)
{
    if (str_absent(text)) return;
    json_put_name(w, key);
    json_put_str(w, text);
}

static void write_error(const struct run_error *e, struct json_writer *w)
{
    json_put_key(w, STR("error"));
    json_object_begin(w);
    for (size_t i = 0; i < COUNT_OF(error_fields); i++)
        write_text(w, error_fields[i].key, *CONST_TEXT_AT(e, &error_fields[i]));
    json_object_end(w);
}

static bool has_error(const struct run_error *e)
{
    return !str_absent(e->name) || !str_absent(e->message) || !str_absent(e->code) || !str_absent(e->stack);
}

static void write_numbers(const struct run *r, struct json_writer *w)
{
    for (size_t i = 0; i < COUNT_OF(number_fields); i++) {
        int64_t v;
        memcpy(&v, (const char *)r + number_fields[i].at, sizeof v);
        if (v == number_fields[i].absent) continue;
        json_put_name(w, number_fields[i].key);
        json_put_i64(w, v);
    }
}

void run_write(const struct run *r, struct json_writer *w)
{
    json_object_begin(w);
    json_field_opt(w, "id", r->id);
    write_state(r, w);
    for (size_t i = 0; i < COUNT_OF(text_fields); i++)
        write_text(w, text_fields[i].key, *CONST_TEXT_AT(r, &text_fields[i]));
    if (r->test || (r->present & RUN_HAS_TEST)) json_field_bool(w, "test", r->test);
    if (r->tag_count || (r->present & RUN_HAS_TAGS)) write_tags(r, w);
    write_numbers(r, w);
    if (r->attempt_start_count) write_starts(r, w);
    if (r->present & RUN_HAS_COST) json_field_f64(w, "cost", r->cost_cents);
    if (has_error(&r->error)) write_error(&r->error, w);
    if (json_kind(r->metadata) == JSON_OBJECT) {
        json_put_key(w, STR("metadata"));
        json_put_value(w, r->metadata);
    }
    json_field_i64(w, "present", (int64_t)r->present);
    json_object_end(w);
}

static int restore_numbers(struct json object, struct run *out, struct err *err)
{
    for (size_t i = 0; i < COUNT_OF(number_fields); i++) {
        struct json v = json_get(object, number_fields[i].key);
        int64_t n;
        if (!json_present(v)) continue;
        if (!json_i64(v, &n))
            return err_set(err, ERR_TYPE, "stored run: " STR_FMT " is no whole number", STR_ARG(number_fields[i].key));
        memcpy((char *)out + number_fields[i].at, &n, sizeof n);
    }
    return 0;
}

static void restore_tags(struct arena *a, struct json list, struct run *out)
{
    if (json_count(list) == 0) return;
    out->tags = ARENA_ARRAY(a, struct str, json_count(list));
    for (struct json v = json_first(list); json_kind(v) != JSON_ABSENT; v = json_next(v))
        out->tags[out->tag_count++] = json_str(v);
}

static void restore_starts(struct arena *a, struct json list, struct run *out)
{
    size_t n = json_count(list) < RUN_STARTS_MAX ? json_count(list) : RUN_STARTS_MAX;
    if (n == 0) return;
    out->attempt_starts_ms = ARENA_ARRAY(a, int64_t, n);
    for (struct json v = json_first(list); out->attempt_start_count < n; v = json_next(v))
        if (!json_i64(v, &out->attempt_starts_ms[out->attempt_start_count++])) break;
}

static void restore_state(struct json object, struct run *out)
{
    struct json spelling = json_get_c(object, "spelling");
    out->spelling = json_str(json_get_c(object, "status"));
    out->state = run_state_parse(out->spelling);
    if (json_kind(spelling) != JSON_ABSENT) out->spelling = json_str(spelling);
}

int run_restore(struct arena *a, struct json object, struct run *out, struct err *err)
{
    struct json error = json_get_c(object, "error");
    int64_t present = 0;
    run_init(out);
    if (json_kind(object) != JSON_OBJECT) return err_set(err, ERR_TYPE, "a stored run must be an object");
    if (!json_i64(json_get_c(object, "present"), &present))
        return err_set(err, ERR_TYPE, "stored run: present is missing");
    out->present = (uint32_t)present;
    out->id = json_str(json_get_c(object, "id"));
    restore_state(object, out);
    for (size_t i = 0; i < COUNT_OF(text_fields); i++)
        *TEXT_AT(out, &text_fields[i]) = json_str(json_get(object, text_fields[i].key));
    for (size_t i = 0; i < COUNT_OF(error_fields); i++)
        *TEXT_AT(&out->error, &error_fields[i]) = json_str(json_get(error, error_fields[i].key));
    out->test = json_bool(json_get_c(object, "test"), false);
    restore_tags(a, json_get_c(object, "tags"), out);
    restore_starts(a, json_get_c(object, "attempt_starts"), out);
    if ((out->present & RUN_HAS_COST) && !json_f64(json_get_c(object, "cost"), &out->cost_cents))
        return err_set(err, ERR_TYPE, "stored run: cost is no number");
    out->metadata = json_get_c(object, "metadata");
    return restore_numbers(object, out, err);
}

int64_t run_attempt_start(const struct run *r, int64_t attempt)
{
    if (attempt < 1 || (uint64_t)attempt > r->attempt_start_count) return RUN_TIME_NONE;
    return r->attempt_starts_ms[attempt - 1];
}

int64_t run_event_time(const struct run *r, int64_t arrival_ms)
{
    const int64_t latest_ms = arrival_ms + 5 * 60000;
    int64_t ms = RUN_TIME_NONE;
    if (run_state_class(r->state) & RUN_CLASS_FINISHED) ms = r->finished_ms;
    if (r->state == RUN_REATTEMPTING) ms = run_attempt_start(r, r->attempt);
    if (ms == RUN_TIME_NONE) ms = r->updated_ms;
    if (ms == RUN_TIME_NONE) ms = arrival_ms;
    return ms < latest_ms ? ms : latest_ms;
}
