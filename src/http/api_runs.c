/* What was seen of a run, and what could not be read at all. */
#include "base/id.h"
#include "http/internal.h"
#include "replay/explain.h"

enum { ENVIRONMENTS_MAX = 16, EXPLAIN_MS = 5000 };

static void put_state(struct json_writer *w, struct str state, struct str status)
{
    json_field_str(w, "state", state);
    json_field_str(w, "status", status);
}

static int put_event(struct http_request *r, struct store_reader *s, uint64_t id, struct json_writer *w,
                     struct err *err)
{
    struct store_event e;
    int found = s->ops->event(s, &r->arena, id, &e, err);
    if (found <= 0) return found; /* retention may have taken it */
    json_object_begin(w);
    http_put_id(w, "id", "evt", e.id);
    json_field_str(w, "source", e.source);
    put_state(w, e.state, e.status);
    if (e.attempt) json_field_i64(w, "attempt", e.attempt);
    http_put_time(w, "at", e.event_ms);
    http_put_time(w, "received_at", e.arrival_ms);
    json_put_key(w, STR("run"));
    json_put_raw(w, e.body);
    json_object_end(w);
    return 0;
}

/* As the sender spelt it, while its event is kept. A derived transition was not spelt by anybody. */
static int spelling_of(struct http_request *r, struct store_reader *s, const struct run_seen *seen, struct str *out, struct err *err)
{
    struct store_event e;
    int found;
    *out = seen->spelling.n ? seen->spelling : str_c(run_state_name(seen->state));
    if (seen->derived || seen->spelling.n) return 0;
    found = s->ops->event(s, &r->arena, seen->event_id, &e, err);
    if (found == 1) *out = e.status;
    return found < 0 ? -1 : 0;
}

static int put_transitions(struct http_request *r, struct store_reader *s, const struct run_known *k, struct json_writer *w,
                           struct err *err)
{
    json_put_key(w, STR("transitions"));
    json_array_begin(w);
    for (size_t i = 0; i < k->seen_count; i++) {
        const struct run_seen *seen = &k->seen[i];
        struct str spelling;
        if (spelling_of(r, s, seen, &spelling, err) < 0) return -1;
        json_object_begin(w);
        put_state(w, str_c(run_state_name(seen->state)), spelling);
        if (seen->derived) json_field_bool(w, "derived", true);
        if (seen->attempt) json_field_i64(w, "attempt", seen->attempt);
        http_put_time(w, "at", seen->event_ms);
        http_put_id(w, "event", "evt", seen->event_id);
        json_object_end(w);
    }
    json_array_end(w);
    return 0;
}

static int put_events(struct http_request *r, struct store_reader *s, const struct run_known *k,
                      uint64_t last, struct json_writer *w, struct err *err)
{
    uint64_t before = 0;
    bool has_last = false;
    json_put_key(w, STR("events"));
    json_array_begin(w);
    for (size_t i = 0; i < k->seen_count; i++) {
        uint64_t id = k->seen[i].event_id;
        if (id == before) continue; /* several transitions of one report */
        if (put_event(r, s, id, w, err) < 0) return -1;
        has_last |= id == last;
        before = id;
    }
    if (!has_last && last && put_event(r, s, last, w, err) < 0) return -1;
    json_array_end(w);
    return 0;
}

static int put_run(struct http_request *r, struct store_reader *s, const struct store_run *row,
                   struct json_writer *w, struct err *err)
{
    struct json root;
    struct run_known k;
    if (json_parse(&r->arena, row->known, &json_own_limits, &root, NULL, err) < 0 ||
        run_known_restore(&r->arena, root, &k, err) < 0)
        return -1;
    json_object_begin(w);
    json_field_str(w, "project", row->project);
    json_field_str(w, "env", row->env);
    json_field_opt(w, "task", k.task);
    json_field_opt(w, "version", k.version);
    if (k.attempts_known) json_field_i64(w, "attempts", k.attempts_known);
    http_put_time(w, "created_at", (k.present & RUN_HAS_CREATED) ? k.created_ms : 0);
    http_put_time(w, "updated_at", row->updated_ms);
    if (put_transitions(r, s, &k, w, err) < 0 || put_events(r, s, &k, row->last_event, w, err) < 0) return -1;
    json_object_end(w);
    return 0;
}

void api_run(struct http_request *r, struct store_reader *s)
{
    struct str id = r->target.segments[2];
    struct store_run rows[ENVIRONMENTS_MAX];
    struct json_writer w;
    struct err err = { 0 };
    size_t n = 0;
    int rc = s->ops->run(s, &r->arena, target_query(&r->target, "project"), target_query(&r->target, "env"),
                         id, rows, ENVIRONMENTS_MAX, &n, &err);
    if (rc == 0 && n == 0) {
        http_problem(r, MHD_HTTP_NOT_FOUND, "run `" STR_FMT "` was never seen", STR_ARG(id));
        return;
    }
    w = http_json(r, MHD_HTTP_OK);
    json_object_begin(&w);
    json_field_str(&w, "id", id);
    json_put_key(&w, STR("seen"));
    json_array_begin(&w);
    for (size_t i = 0; i < n && rc == 0; i++) rc = put_run(r, s, &rows[i], &w, &err);
    json_array_end(&w);
    json_object_end(&w);
    if (rc < 0) http_store_failed(r, &err);
}

void api_explain(struct http_request *r, struct store_reader *s)
{
    struct explain_setup setup = {
        .config = r->config, .reader = s, .arena = &r->arena, .run = r->target.segments[2],
        .project = target_query(&r->target, "project"), .env = target_query(&r->target, "env"),
        .deadline_ms = clock_mono(clock_system()).ms + EXPLAIN_MS,
    };
    struct json_writer w = http_json(r, MHD_HTTP_OK);
    struct err err = { 0 };
    int found = explain_run(&setup, &w, &err);
    if (found < 0) http_store_failed(r, &err);
    if (found == 0) http_problem(r, MHD_HTTP_NOT_FOUND, "run `" STR_FMT "` was never seen", STR_ARG(setup.run));
}

void api_reread(struct http_request *r, struct store_reader *s)
{
    struct pollers *pollers = atomic_load(&r->http->pollers);
    size_t asked = pollers ? pollers_reread(pollers, target_query(&r->target, "env"), r->target.segments[2]) : 0;
    struct json_writer w;
    (void)s;
    if (!asked) {
        http_problem(r, MHD_HTTP_NOT_FOUND, "there is no trigger-api source that could read a run again");
        return;
    }
    w = http_json(r, MHD_HTTP_ACCEPTED);
    json_object_begin(&w);
    json_field_i64(&w, "asked", (int64_t)asked);
    json_object_end(&w);
}

void api_rejected(struct http_request *r, struct store_reader *s)
{
    struct http_page page;
    struct store_rejected *rows;
    struct json_writer w;
    struct err err = { 0 };
    size_t n = 0;
    if (!http_page_read(r, "rej", &page)) return;
    rows = ARENA_ARRAY(&r->arena, struct store_rejected, page.limit + 1);
    if (s->ops->rejected(s, &r->arena, page.before, rows, page.limit + 1, &n, &err) < 0) {
        http_store_failed(r, &err);
        return;
    }
    w = http_list(r);
    for (size_t i = 0; i < n && i < page.limit; i++) {
        json_object_begin(&w);
        http_put_id(&w, "id", "rej", rows[i].id);
        json_field_time(&w, "at", rows[i].at_ms);
        json_field_str(&w, "source", rows[i].source);
        json_field_str(&w, "reason", rows[i].reason);
        json_field_str(&w, "body", rows[i].body);
        json_object_end(&w);
    }
    http_list_end(&w, "rej", n > page.limit ? rows[page.limit - 1].id : 0);
}
