/* The stored form of a message. What there is nothing to say about is left out, so that {{#member}} in a
 * template asks just that. */
#include "base/id.h"
#include "message/message.h"

static void text(struct json_writer *w, const char *key, struct str s)
{
    if (s.n) json_field_str(w, key, s);
}

static void write_identity(const struct message *m, struct json_writer *w)
{
    char id[ID_SIZE];
    json_field_str(w, "kind", str_c(message_kind_name(m->kind)));
    if (m->id) json_field_str(w, "id", id_format("msg", m->id, id));
    if (m->incident) json_field_str(w, "incident", id_format("inc", m->incident, id));
    text(w, "rule", m->rule);
    text(w, "key", m->key);
    text(w, "dedup", m->dedup);
    text(w, "project", m->project);
    text(w, "env", m->env);
}

static void write_state(const struct message *m, struct json_writer *w)
{
    static const char *const flags[] = { "severity_info", "severity_warning", "severity_error",
                                         "severity_critical" };
    json_field_str(w, "severity", str_c(severity_name(m->severity)));
    json_field_bool(w, flags[m->severity], true);
    json_field_bool(w, "resolved", m->resolved);
    json_field_bool(w, "acknowledged", m->acknowledged);
    json_field_str(w, "state",
                   m->resolved       ? STR("resolved")
                   : m->acknowledged ? STR("acknowledged")
                                     : STR("firing"));
}

static void write_fields(const struct message *m, struct json_writer *w)
{
    json_put_key(w, STR("fields"));
    json_array_begin(w);
    for (size_t i = 0; i < m->field_count; i++) {
        const struct message_field *f = &m->fields[i];
        json_object_begin(w);
        json_field_str(w, "name", f->name.p ? f->name : STR(""));
        json_field_str(w, "value", f->value.p ? f->value : STR(""));
        json_field_bool(w, "wide", f->wide);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_times(const struct message *m, struct json_writer *w)
{
    json_field_time(w, "at", m->at_ms);
    if (m->opened_ms) {
        json_field_time(w, "opened_at", m->opened_ms);
        json_field_i64(w, "opened_unix", m->opened_ms / 1000);
    }
    json_field_i64(w, "hits", m->hits);
    json_field_i64(w, "runs", m->runs);
    if (m->late) json_field_bool(w, "late", true);
    if (m->late) text(w, "late_by", m->late_by);
}

/* labels for {{labels.team}}, label_list for a section over all of them. */
static void write_labels(const struct message *m, struct json_writer *w)
{
    size_t n = json_kind(m->labels) == JSON_OBJECT ? json_count(m->labels) : 0;
    struct json v = json_first(m->labels);
    if (n == 0) return;
    json_put_key(w, STR("labels"));
    json_put_value(w, m->labels);
    json_put_key(w, STR("label_list"));
    json_array_begin(w);
    for (size_t i = 0; i < n; i++, v = json_next(v)) {
        json_object_begin(w);
        json_field_str(w, "name", json_key(v));
        json_put_key(w, STR("value"));
        json_put_value(w, v);
        json_object_end(w);
    }
    json_array_end(w);
}

void message_write(const struct message *m, struct json_writer *w)
{
    json_object_begin(w);
    write_identity(m, w);
    write_state(m, w);
    json_field_str(w, "title", m->title.p ? m->title : STR(""));
    text(w, "body", m->body);
    text(w, "status", m->status_line);
    text(w, "reason", m->reason);
    write_fields(m, w);
    text(w, "run", m->run);
    text(w, "task", m->task);
    text(w, "link", m->link);
    text(w, "incident_link", m->incident_link);
    text(w, "runbook", m->runbook);
    write_times(m, w);
    text(w, "note", m->note);
    write_labels(m, w);
    json_object_end(w);
}
