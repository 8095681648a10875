/* Incidents and what can be done to them. */
#include "base/id.h"
#include "base/timefmt.h"
#include "http/internal.h"

enum { NOTES_MAX = 1000, DELIVERIES_MAX = 200 };

static void put_row(struct json_writer *w, const struct engine_incident_row *i)
{
    http_put_id(w, "id", "inc", i->id);
    json_field_str(w, "state", str_c(incident_state_name(i->state)));
    json_field_str(w, "rule", i->rule);
    json_field_str(w, "key", i->key);
    json_field_str(w, "label", i->label);
    json_field_str(w, "project", i->project);
    json_field_str(w, "env", i->env);
    json_field_str(w, "severity", str_c(severity_name((enum severity)i->severity)));
    json_field_str(w, "title", i->title);
    json_field_opt(w, "task", i->task);
    json_field_opt(w, "last_run", i->last_run);
    json_field_i64(w, "hits", i->hits);
    json_field_i64(w, "runs", i->runs);
    http_put_time(w, "opened_at", i->opened_ms);
    http_put_time(w, "updated_at", i->updated_ms);
    http_put_time(w, "resolved_at", i->resolved_ms);
}

static bool read_filter(struct http_request *r, struct store_incident_filter *f, struct http_page *page)
{
    const struct target *t = &r->target;
    *f = (struct store_incident_filter){
        .state = target_query(t, "state"), .rule = target_query(t, "rule"), .task = target_query(t, "task"),
        .env = target_query(t, "env"), .project = target_query(t, "project"), .q = target_query(t, "q"),
    };
    if (!http_page_read(r, "inc", page)) return false;
    f->before = page->before;
    f->limit = page->limit + 1;
    if (str_absent(f->state)) return true;
    for (int s = INCIDENT_PENDING; s <= INCIDENT_RESOLVED; s++)
        if (str_eq_c(f->state, incident_state_name((enum incident_state)s))) return true;
    if (str_eq_c(f->state, "unresolved")) return true;
    http_problem(r, MHD_HTTP_BAD_REQUEST, "state is one of pending, open, acknowledged, unresolved, resolved");
    return false;
}

void api_incidents(struct http_request *r, struct store_reader *s)
{
    struct store_incident_filter f;
    struct http_page page;
    struct engine_incident_row *rows;
    struct err err = { 0 };
    size_t n = 0;
    if (!read_filter(r, &f, &page)) return;
    rows = ARENA_ARRAY(&r->arena, struct engine_incident_row, f.limit);
    if (s->ops->incidents(s, &r->arena, &f, rows, &n, &err) < 0) {
        http_store_failed(r, &err);
        return;
    }
    struct json_writer w = http_list(r);
    for (size_t i = 0; i < n && i < page.limit; i++) {
        json_object_begin(&w);
        put_row(&w, &rows[i]);
        json_object_end(&w);
    }
    http_list_end(&w, "inc", n > page.limit ? rows[page.limit - 1].id : 0);
}

static int put_timeline(struct http_request *r, struct store_reader *s, uint64_t id, struct json_writer *w,
                        struct err *err)
{
    struct store_note *notes = ARENA_ARRAY(&r->arena, struct store_note, NOTES_MAX);
    size_t n = 0;
    if (s->ops->notes(s, &r->arena, id, notes, NOTES_MAX, &n, err) < 0) return -1;
    json_put_key(w, STR("timeline"));
    json_array_begin(w);
    for (size_t i = 0; i < n; i++) {
        json_object_begin(w);
        json_field_time(w, "at", notes[i].at_ms);
        json_field_str(w, "what", notes[i].what);
        json_put_key(w, STR("detail"));
        if (notes[i].body.n)
            json_put_raw(w, notes[i].body);
        else
            json_put_null(w);
        json_object_end(w);
    }
    json_array_end(w);
    return 0;
}

static int put_deliveries(struct http_request *r, struct store_reader *s, uint64_t id, struct json_writer *w,
                          struct err *err)
{
    struct store_delivery_filter f = { .state = -1, .incident = id, .limit = DELIVERIES_MAX };
    struct store_delivery *rows = ARENA_ARRAY(&r->arena, struct store_delivery, DELIVERIES_MAX);
    size_t n = 0;
    if (s->ops->deliveries(s, &r->arena, &f, rows, &n, err) < 0) return -1;
    json_put_key(w, STR("deliveries"));
    json_array_begin(w);
    for (size_t i = 0; i < n; i++) {
        json_object_begin(w);
        api_delivery_write(w, &rows[i]);
        if (api_attempts_write(r, s, rows[i].id, w, err) < 0) return -1;
        json_object_end(w);
    }
    json_array_end(w);
    return 0;
}

void api_incident(struct http_request *r, struct store_reader *s)
{
    struct engine_incident_row row;
    struct err err = { 0 };
    struct json_writer w;
    uint64_t id;
    int found;
    if (!http_id_segment(r, 2, "inc", &id)) return;
    found = s->ops->incident(s, &r->arena, id, &row, &err);
    if (found == 0) http_problem(r, MHD_HTTP_NOT_FOUND, "no such incident");
    if (found < 0) http_store_failed(r, &err);
    if (found <= 0) return;
    w = http_json(r, MHD_HTTP_OK);
    json_object_begin(&w);
    put_row(&w, &row);
    if (put_timeline(r, s, id, &w, &err) < 0 || put_deliveries(r, s, id, &w, &err) < 0) {
        http_store_failed(r, &err);
        return;
    }
    json_object_end(&w);
}

/* --- ack, resolve, snooze -------------------------------------------------------------------------- */

static bool read_texts(struct http_request *r, struct json root)
{
    struct json who = json_get_c(root, "who"), why = json_get_c(root, "why"), time = json_get_c(root, "for");
    if ((json_present(who) && json_kind(who) != JSON_STRING) ||
        (json_present(why) && json_kind(why) != JSON_STRING) ||
        (json_present(time) && json_kind(time) != JSON_STRING)) {
        http_problem(r, MHD_HTTP_BAD_REQUEST, "who, why and for are texts");
        return false;
    }
    r->p.command.who = json_str(who);
    r->p.command.why = json_str(why);
    if (!json_present(time) ||
        (duration_parse(json_str(time), &r->p.command.for_ms) && r->p.command.for_ms > 0))
        return true;
    http_problem(r, MHD_HTTP_BAD_REQUEST, "for is a duration such as 30m or 2h");
    return false;
}

/* {"who", "why", "for"}, all optional; an empty body is fine. */
static bool read_command(struct http_request *r)
{
    struct json root;
    struct err err = { 0 };
    struct http_place place;
    if (r->body.n == 0) return true;
    if (json_parse(&r->arena, strbuf_view(&r->body), &json_default_limits, &root, &place.offset, &err) < 0) {
        place.line = err.line;
        place.col = err.col;
        http_problem_at(r, MHD_HTTP_BAD_REQUEST, str_c(err.msg), &place);
        return false;
    }
    return read_texts(r, root);
}

int api_command_prepare(struct http_request *r)
{
    struct str verb = r->target.segments[3];
    r->p.kind = PIPELINE_COMMAND;
    if (!http_id_segment(r, 2, "inc", &r->p.command.incident) || !read_command(r)) return -1;
    if (str_eq_c(verb, "ack"))
        r->p.command.what = ENGINE_ACK;
    else
        r->p.command.what = str_eq_c(verb, "resolve") ? ENGINE_RESOLVE : ENGINE_SNOOZE;
    if (r->p.command.what != ENGINE_SNOOZE || r->p.command.for_ms > 0) return 0;
    http_problem(r, MHD_HTTP_BAD_REQUEST, "how long? {\"for\": \"2h\"}");
    return -1;
}

void api_command_finish(struct http_request *r)
{
    static const char *const done[] = { [ENGINE_ACK] = "acknowledged", [ENGINE_RESOLVE] = "resolved",
                                        [ENGINE_SNOOZE] = "snoozed" };
    struct json_writer w;
    if (r->p.status == PIPELINE_NOT_FOUND) {
        http_problem(r, MHD_HTTP_NOT_FOUND, "no such open incident");
        return;
    }
    if (r->p.status != PIPELINE_DONE) {
        http_busy(r, r->p.err.msg[0] ? r->p.err.msg : "not stored");
        return;
    }
    w = http_json(r, MHD_HTTP_OK);
    json_object_begin(&w);
    http_put_id(&w, "id", "inc", r->p.command.incident);
    json_field_str(&w, "done", str_c(done[r->p.command.what]));
    json_object_end(&w);
}
