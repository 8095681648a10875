/* A subject for templates and for people: the view, and why a rule hit or did not. */
#include "rule/rule_internal.h"

static const char *const severities[] = { "info", "warning", "error", "critical" };

enum { VIEW_VALUES = 64, EXPLAIN_KEYS = 16 };

/* --- view ---------------------------------------------------------------------------------------------- */
static void put_tags(struct json_writer *w, const struct run *r)
{
    json_put_key(w, STR("tags"));
    json_array_begin(w);
    for (size_t i = 0; i < r->tag_count; i++) json_put_str(w, r->tags[i]);
    json_array_end(w);
}

static void put_error(struct json_writer *w, struct rule_subject *s)
{
    const struct run_error *e = &s->run->error;
    if (e->name.n + e->message.n + e->code.n == 0) return;
    json_put_key(w, STR("error"));
    json_object_begin(w);
    json_field_opt(w, "message", e->message);
    json_field_opt(w, "name", e->name);
    json_field_opt(w, "code", e->code);
    json_field_opt(w, "fingerprint", rule_subject_text(RULE_ERROR_FINGERPRINT, s));
    json_object_end(w);
}

static void put_number(struct json_writer *w, enum rule_field_id id, const struct rule_subject *s)
{
    double v;
    if (!rule_subject_number(id, s, &v)) return;
    if (id == RULE_ATTEMPT) json_field_i64(w, rule_field_name(id), (int64_t)v);
    else json_field_f64(w, rule_field_name(id), v);
}

static void put_field(struct json_writer *w, enum rule_field_id id, struct rule_subject *s)
{
    struct rule_field f = { .id = id };
    struct str text;
    switch (rule_field_shape(id)) {
    case SHAPE_LIST: put_tags(w, s->run); return;
    case SHAPE_BOOL: json_field_bool(w, rule_field_name(id), s->run->test); return;
    case SHAPE_NUMBER: put_number(w, id, s); return;
    case SHAPE_STATUS:
    case SHAPE_TEXT:
    case SHAPE_DURATION:
    case SHAPE_JSON:
    default:
        if (rule_field_values(&f, s, &text, 1) == 1) json_field_str(w, rule_field_name(id), text);
    }
}

void rule_view_members(const struct rule *r, struct rule_subject *s, struct json_writer *w)
{
    for (int id = 0; id < RULE_ERROR_MESSAGE; id++) put_field(w, (enum rule_field_id)id, s);
    put_error(w, s);
    if (json_present(s->run->metadata)) {
        json_put_key(w, STR("metadata"));
        json_put_value(w, s->run->metadata);
    }
    json_field_str(w, "rule", r->name);
    json_field_str(w, "severity", str_c(severities[r->severity]));
}

void rule_view(const struct rule *r, struct rule_subject *s, struct json_writer *w)
{
    json_object_begin(w);
    rule_view_members(r, s, w);
    json_object_end(w);
}

/* --- explain ------------------------------------------------------------------------------------------- */
static void put_values(struct json_writer *w, const struct rule_field *f, struct rule_subject *s)
{
    struct str v[VIEW_VALUES];
    size_t n = rule_field_values(f, s, v, VIEW_VALUES);
    bool list = rule_field_shape(f->id) == SHAPE_LIST || n > 1;
    json_put_key(w, STR("value"));
    if (list) json_array_begin(w);
    else if (n == 0) json_put_null(w);
    for (size_t i = 0; i < n; i++) json_put_str(w, v[i]);
    if (list) json_array_end(w);
}

enum { TEST_TEXT_BYTES = 1 << 20 };

static void explain_test(const struct match *m, struct rule_subject *s, struct json_writer *w)
{
    struct strbuf text;
    strbuf_init(&text, TEST_TEXT_BYTES);
    match_test_text(m, &text);
    json_field_str(w, "field", m->field.text);
    json_field_str(w, "test", strbuf_view(&text));
    put_values(w, &m->field, s);
    strbuf_fini(&text);
}

static void explain_clause(const struct match *m, struct rule_subject *s, struct json_writer *w);

static void explain_list(const struct match *m, struct rule_subject *s, struct json_writer *w)
{
    json_array_begin(w);
    for (size_t i = 0; i < m->child_count; i++) explain_clause(m->children[i], s, w);
    json_array_end(w);
}

static void explain_clause(const struct match *m, struct rule_subject *s, struct json_writer *w)
{
    static const char *const names[] = { [MATCH_ALL] = "all", [MATCH_ANY] = "any", [MATCH_NOT] = "not" };
    bool hit = match_eval(m, s);
    if (m->implicit && hit) return; /* nobody wrote it and it is no reason */
    json_object_begin(w);
    if (m->kind == MATCH_TEST) {
        explain_test(m, s, w);
    } else {
        json_put_key(w, str_c(names[m->kind]));
        explain_list(m, s, w);
    }
    json_field_bool(w, "hit", hit);
    if (m->line) json_field_i64(w, "line", m->line);
    json_object_end(w);
}

static void explain_keys(const struct rule *r, struct rule_subject *s, struct json_writer *w)
{
    struct rule_key keys[EXPLAIN_KEYS];
    size_t n = rule_keys(r, s, keys, EXPLAIN_KEYS);
    json_put_key(w, STR("keys"));
    json_array_begin(w);
    for (size_t i = 0; i < n; i++) json_put_str(w, keys[i].key);
    json_array_end(w);
}

static const struct match *const *clauses_of(const struct match *const *when, size_t *n)
{
    if ((*when)->kind != MATCH_ALL) {
        *n = 1;
        return when;
    }
    *n = (*when)->child_count;
    return (*when)->children;
}

void rule_explain_members(const struct rule *r, struct rule_subject *s, struct json_writer *w)
{
    size_t n;
    const struct match *const *clauses = clauses_of(&r->when, &n);
    json_field_str(w, "rule", r->name);
    json_field_str(w, "file", str_c(r->file));
    json_field_i64(w, "line", r->line);
    json_field_bool(w, "hit", rule_matches(r, s));
    json_put_key(w, STR("clauses"));
    json_array_begin(w);
    for (size_t i = 0; i < n; i++) explain_clause(clauses[i], s, w);
    json_array_end(w);
    explain_keys(r, s, w);
}

void rule_explain(const struct rule *r, struct rule_subject *s, struct json_writer *w)
{
    json_object_begin(w);
    rule_explain_members(r, s, w);
    json_object_end(w);
}
